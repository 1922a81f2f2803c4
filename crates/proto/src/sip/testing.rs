//! What tests of this directory share: an instant to count virtual time from.

use std::time::Instant;

/// Some instant; nothing is measured against it.
pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a starting point for virtual time")]
    Instant::now()
}
