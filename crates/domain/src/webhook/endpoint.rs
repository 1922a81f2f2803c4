//! An address of a client that is told of what happens, and the keys that sign what it is told.

use std::fmt;
use std::time::Duration;

use super::Topics;
use crate::ids::{AccountId, EndpointId};
use crate::time::Timestamp;

/// An endpoint that took nothing for this long is disabled (120 h: longer than the last webhook
/// that it was owed when it broke).
pub const FAILING_MAX: Duration = Duration::from_secs(120 * 3_600);

/// An address of a client that is told of what happens to its contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose contacts it is told of.
    pub account: AccountId,
    /// Where it is.
    pub url: String,
    /// What it is for, in the client's words.
    pub description: String,
    /// What it is told of.
    pub topics: Topics,
    /// Whether it is told.
    pub state: EndpointState,
    /// Since when it takes nothing; `None` where it took what it was told last.
    pub failing_since: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whether an endpoint is told of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It is not.
    Disabled {
        /// Why.
        why: DisableReason,
        /// Since when.
        at: Timestamp,
    },
    /// It is.
    Enabled,
}

impl EndpointState {
    /// Whether it is told.
    pub const fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled)
    }
}

/// Why an endpoint is told of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisableReason {
    /// Its client said so.
    Client,
    /// It took nothing for [`FAILING_MAX`].
    Failing,
    /// It answered 410.
    Gone,
}

impl DisableReason {
    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }

    /// The reason of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Client, Self::Failing, Self::Gone].into_iter().find(|reason| reason.name() == name)
    }
}

/// What webhooks are signed with: a secret shared with the client, and a private key of which the
/// client has the public one.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The shared secret, 32 random bytes.
    pub secret: [u8; 32],
    /// The seed of the private ed25519 key (RFC 8032 §5.1.5), 32 random bytes.
    pub seed: [u8; 32],
    /// Signs until then beside the key that came after it; `None`: it is the newest.
    pub expires_at: Option<Timestamp>,
}

impl KeyPair {
    /// The newest key, of random bytes.
    pub const fn new(secret: [u8; 32], seed: [u8; 32]) -> Self {
        Self { secret, seed, expires_at: None }
    }

    /// Whether it signs at `now`.
    pub fn signs(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets do not belong into logs.
        f.debug_struct("KeyPair").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_came_before_signs_until_it_expires_and_no_longer() {
        let mut key = KeyPair::new([1; 32], [2; 32]);
        assert!(key.signs(Timestamp::from_millis(i64::MAX)));
        key.expires_at = Some(Timestamp::from_seconds(10));
        assert!(key.signs(Timestamp::from_millis(9_999)));
        assert!(!key.signs(Timestamp::from_seconds(10)));
    }

    #[test]
    fn key_is_not_told_to_logs() {
        let shown = format!("{:?}", KeyPair::new([1; 32], [2; 32]));
        assert_eq!(shown, "KeyPair { expires_at: None, .. }");
    }

    #[test]
    fn every_reason_is_found_by_its_name() {
        for reason in [DisableReason::Client, DisableReason::Failing, DisableReason::Gone] {
            assert_eq!(DisableReason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(DisableReason::from_name("bored"), None);
    }
}
