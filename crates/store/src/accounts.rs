//! Accounts, their PINs and their API keys.

use domain::account::{Account, ApiKey};
use domain::ids::AccountId;
use domain::time::Timestamp;

use crate::value::{queries, values};
use crate::{CreateError, Reader, Store, StoreError};

queries! {
    ACCOUNT = "SELECT id, login, pin_hash, created_at FROM accounts WHERE id = $1";
    ACCOUNTS = "SELECT id, login, pin_hash, created_at FROM accounts ORDER BY id";
    ACCOUNT_BY_LOGIN = "SELECT id, login, pin_hash, created_at FROM accounts WHERE login = $1";
    API_KEY = "SELECT key_id, secret_hash, account, created_at FROM api_keys \
        WHERE key_id = $1 AND revoked_at IS NULL";
    CREATE_ACCOUNT = "INSERT INTO accounts (login, pin_hash, created_at) VALUES ($1, $2, $3) \
        ON CONFLICT (login) DO NOTHING RETURNING id, login, pin_hash, created_at";
    CREATE_API_KEY = "INSERT INTO api_keys (key_id, secret_hash, account, created_at) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (key_id) DO NOTHING";
    REVOKE_API_KEY = "UPDATE api_keys SET revoked_at = $1 \
        WHERE account = $2 AND key_id = $3 AND revoked_at IS NULL";
    SET_PIN_HASH = "UPDATE accounts SET pin_hash = $1 WHERE id = $2";
}

impl Store {
    /// Creates an account; [`CreateError::Taken`] where the login exists.
    pub async fn create_account(
        &self,
        now: Timestamp,
        login: &str,
        pin_hash: Option<&str>,
    ) -> Result<Account, CreateError> {
        let (name, pin_hash) = (login.to_owned(), pin_hash.map(str::to_owned));
        let created = self
            .write(1, move |tx| {
                let values = values![name.as_str(), pin_hash.as_deref(), now];
                tx.one(CREATE_ACCOUNT, values, |row| row.account())
            })
            .await?;
        created.ok_or_else(|| CreateError::Taken(login.to_owned()))
    }

    /// Changes or removes an account's PIN hash (PHC form).
    pub async fn set_pin_hash(
        &self,
        account: AccountId,
        pin_hash: Option<&str>,
    ) -> Result<(), StoreError> {
        let pin_hash = pin_hash.map(str::to_owned);
        self.write(1, move |tx| {
            match tx.run(SET_PIN_HASH, values![pin_hash.as_deref(), account])? {
                0 => Err(unknown_account(account)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Stores a key for the native API; [`CreateError::Taken`] where its public part exists.
    pub async fn create_api_key(&self, key: ApiKey) -> Result<(), CreateError> {
        let key_id = key.key_id.clone();
        let created = self
            .write(1, move |tx| {
                if tx.one(ACCOUNT, values![key.account], |_| Ok(()))?.is_none() {
                    return Err(unknown_account(key.account));
                }
                let values =
                    values![key.key_id.as_str(), &key.secret_hash, key.account, key.created_at];
                tx.run(CREATE_API_KEY, values)
            })
            .await?;
        match created {
            0 => Err(CreateError::Taken(key_id)),
            _ => Ok(()),
        }
    }

    /// Makes a key useless from now on; `false` where the account has no such key in use.
    pub async fn revoke_api_key(
        &self,
        now: Timestamp,
        account: AccountId,
        key_id: &str,
    ) -> Result<bool, StoreError> {
        let key_id = key_id.to_owned();
        self.write(1, move |tx| {
            Ok(tx.run(REVOKE_API_KEY, values![now, account, key_id.as_str()])? > 0)
        })
        .await
    }
}

impl Reader {
    /// The account of this id.
    pub async fn account(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        self.look(move |sql| sql.one(ACCOUNT, values![account], |row| row.account())).await
    }

    /// The account of this login.
    pub async fn account_by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        let login = login.to_owned();
        self.look(move |sql| {
            sql.one(ACCOUNT_BY_LOGIN, values![login.as_str()], |row| row.account())
        })
        .await
    }

    /// All accounts, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.look(|sql| sql.all(ACCOUNTS, &[], |row| row.account())).await
    }

    /// The key of this public part, unless it was revoked.
    pub async fn api_key(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        let key_id = key_id.to_owned();
        self.look(move |sql| sql.one(API_KEY, values![key_id.as_str()], |row| row.api_key())).await
    }
}

/// The caller named an account that does not exist.
pub(crate) const fn unknown_account(account: AccountId) -> StoreError {
    StoreError::Unknown { what: "account", id: account.0 }
}
