//! Who authenticates, owns and is limited.

use crate::ids::AccountId;
use crate::time::Timestamp;

/// Who owns campaigns and contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Login name, unique, at most 128 characters.
    pub login: String,
    /// Hash of the PIN in PHC form (argon2id); `None` locks facades that ask for one.
    pub pin_hash: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A key for the native API; only the SHA-256 of its secret part is kept.
///
/// Shown once as `od_live_<key_id>_<secret>`: 32 random bytes need no slow hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public part, by which the row is found.
    pub key_id: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// Whose it is.
    pub account: AccountId,
    /// When it was created.
    pub created_at: Timestamp,
}
