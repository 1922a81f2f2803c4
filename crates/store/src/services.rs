//! Outbound services: configurations under names by which clients start calls.

use domain::application::Service;
use domain::ids::AccountId;

use crate::value::{queries, values};
use crate::{Reader, Store, StoreError};

queries! {
    COUNT_SERVICES = "SELECT count(*) FROM services WHERE account = $1";
    DELETE_SERVICE = "DELETE FROM services WHERE account = $1 AND name = $2";
    PUT_SERVICE = "INSERT INTO services \
        (account, name, config, password_hash, created_at, changed_at) \
        VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (account, name) DO UPDATE SET config = excluded.config, \
        password_hash = excluded.password_hash, changed_at = excluded.changed_at";
    SERVICE = "SELECT account, name, config, password_hash, created_at, changed_at \
        FROM services WHERE account = $1 AND name = $2";
    SERVICES = "SELECT account, name, config, password_hash, created_at, changed_at \
        FROM services WHERE account = $1 ORDER BY name LIMIT $2";
}

/// Most services of an account; they are listed in one piece.
pub const SERVICES_MAX: u32 = 1_000;

impl Store {
    /// Creates a service, or replaces the one of its name. `false` where the account has as many as
    /// it may have.
    pub async fn put_service(&self, service: Service) -> Result<bool, StoreError> {
        self.write(1, move |tx| {
            let (account, name) = (service.account, service.name.as_str());
            let known = tx.one(SERVICE, values![account, name], |_| Ok(()))?.is_some();
            let count = tx.one(COUNT_SERVICES, values![account], |row| row.int())?;
            if !known && count.unwrap_or(0) >= i64::from(SERVICES_MAX) {
                return Ok(false);
            }
            let values = values![
                account,
                name,
                service.config.as_str(),
                service.password_hash.as_deref(),
                service.created_at,
                service.changed_at
            ];
            tx.run(PUT_SERVICE, values)?;
            Ok(true)
        })
        .await
    }

    /// Deletes a service; `false` where the account has none such.
    pub async fn delete_service(&self, account: AccountId, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(1, move |tx| Ok(tx.run(DELETE_SERVICE, values![account, name.as_str()])? > 0))
            .await
    }

    /// The attempts of a contact, as [`Reader::attempts`] says it, for the engine's own use.
    pub async fn attempts(
        &self,
        contact: domain::ids::ContactId,
    ) -> Result<Vec<domain::attempt::Attempt>, StoreError> {
        self.eyes().attempts(contact).await
    }
}

impl Reader {
    /// The account's service of this name.
    pub async fn service(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<Service>, StoreError> {
        let name = name.to_owned();
        self.look(move |sql| sql.one(SERVICE, values![account, name.as_str()], |row| row.service()))
            .await
    }

    /// The account's services, by name.
    pub async fn services(&self, account: AccountId) -> Result<Vec<Service>, StoreError> {
        let values_max = SERVICES_MAX;
        self.look(move |sql| sql.all(SERVICES, values![account, values_max], |row| row.service()))
            .await
    }
}
