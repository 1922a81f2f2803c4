//! Accounts, their PINs and their API keys.

use domain::account::{Account, ApiKey};
use domain::ids::AccountId;
use domain::time::Timestamp;

use crate::{CreateError, Reader, Store, StoreError};

impl Store {
    /// Creates an account; [`CreateError::Taken`] where the login exists.
    pub async fn create_account(
        &self,
        _now: Timestamp,
        _login: &str,
        _pin_hash: Option<&str>,
    ) -> Result<Account, CreateError> {
        Err(StoreError::Closed.into())
    }

    /// Changes or removes an account's PIN hash (PHC form).
    pub async fn set_pin_hash(
        &self,
        _account: AccountId,
        _pin_hash: Option<&str>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Stores a key for the native API; [`CreateError::Taken`] where its public part exists.
    pub async fn create_api_key(&self, _key: ApiKey) -> Result<(), CreateError> {
        Err(StoreError::Closed.into())
    }

    /// Makes a key useless from now on; `false` where the account has no such key in use.
    pub async fn revoke_api_key(
        &self,
        _now: Timestamp,
        _account: AccountId,
        _key_id: &str,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
}

impl Reader {
    /// The account of this id.
    pub async fn account(&self, _account: AccountId) -> Result<Option<Account>, StoreError> {
        Err(StoreError::Closed)
    }

    /// The account of this login.
    pub async fn account_by_login(&self, _login: &str) -> Result<Option<Account>, StoreError> {
        Err(StoreError::Closed)
    }

    /// All accounts, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        Err(StoreError::Closed)
    }

    /// The key of this public part, unless it was revoked.
    pub async fn api_key(&self, _key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        Err(StoreError::Closed)
    }
}
