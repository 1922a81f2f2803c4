//! Instants that are stored, and the window in which a contact may be dialed.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment in milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Only what is stored or shown uses it; what is merely waited for uses a monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch; negative before it.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment `seconds` after the epoch; saturates instead of wrapping.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Time from `earlier` to here; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.as_seconds(), self.0.rem_euclid(1_000))
    }
}

/// When a contact may be dialed: `opens_at <= now < closes_at`; an open end has no bound.
///
/// Plum clears contacts at the end of the window and reports `noattempt`; Fuse reports `canceled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DialWindow {
    /// First moment at which dialing is permitted.
    pub opens_at: Option<Timestamp>,
    /// First moment at which it no longer is.
    pub closes_at: Option<Timestamp>,
}

impl DialWindow {
    /// A window that is always open.
    pub const ALWAYS: Self = Self { opens_at: None, closes_at: None };

    /// Whether dialing is permitted at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at.is_none_or(|opens_at| opens_at <= now) && !self.has_closed(now)
    }

    /// Whether the window is over at `now` and will not open again.
    pub fn has_closed(&self, now: Timestamp) -> bool {
        self.closes_at.is_some_and(|closes_at| closes_at <= now)
    }

    /// The first moment from `now` on at which dialing is permitted; `None` when it never is.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.opens_at.map_or(now, |opens_at| opens_at.max(now));
        self.is_open(at).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(opens: i64, closes: i64) -> DialWindow {
        DialWindow {
            opens_at: Some(Timestamp::from_seconds(opens)),
            closes_at: Some(Timestamp::from_seconds(closes)),
        }
    }

    #[test]
    fn window_includes_its_opening_and_excludes_its_closing() {
        let window = window(10, 20);
        let open = [9, 10, 19, 20].map(|s| window.is_open(Timestamp::from_seconds(s)));
        assert_eq!(open, [false, true, true, false]);
    }

    #[test]
    fn next_opening_is_now_inside_the_window_and_none_after_it() {
        let window = window(10, 20);
        let next = [0, 15, 20]
            .map(|s| window.next_opening(Timestamp::from_seconds(s)).map(Timestamp::as_seconds));
        assert_eq!(next, [Some(10), Some(15), None]);
    }

    #[test]
    fn window_that_closes_before_it_opens_never_opens() {
        assert_eq!(window(20, 10).next_opening(Timestamp::from_seconds(0)), None);
    }

    #[test]
    fn timestamp_before_the_epoch_rounds_down() {
        assert_eq!(Timestamp::from_millis(-1).as_seconds(), -1);
    }
}
