//! The outbox: webhooks owed, leased for a delivery, and what came of it.

use domain::ids::{ContactId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::DeliveryVerdict;

use crate::{Delivery, Owed, Reader, Store, StoreError, Webhook};

impl Store {
    /// Leases up to `limit` due webhooks until `lease_until`, at most `per_host_max` of one host at
    /// once, those still leased included.
    ///
    /// Hosts take turns, the one served longest ago first, so that a dead host holds up nobody else.
    /// A lease that runs out makes the webhook due again.
    pub async fn lease_webhooks(
        &self,
        _now: Timestamp,
        _lease_until: Timestamp,
        _limit: u32,
        _per_host_max: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Records what came of a delivery and what follows from it, and gives the lease back.
    ///
    /// A webhook that is over stays over; the delivery is recorded all the same.
    pub async fn record_delivery(
        &self,
        _webhook: WebhookId,
        _at: Timestamp,
        _accepted: bool,
        _status: Option<u16>,
        _detail: &str,
        _verdict: DeliveryVerdict,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// When to look for webhooks again; never later than the next one is due.
    pub async fn webhooks_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Deletes up to `limit` webhooks that were over before `before`, with their deliveries.
    pub async fn purge_webhooks(&self, _before: Timestamp, _limit: u32) -> Result<u32, StoreError> {
        Err(StoreError::Closed)
    }
}

impl Reader {
    /// The webhook that tells of a contact's end, if one is or was owed.
    pub async fn webhook(&self, _contact: ContactId) -> Result<Option<Webhook>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Deliveries of a contact's webhook, oldest first.
    pub async fn deliveries(&self, _contact: ContactId) -> Result<Vec<Delivery>, StoreError> {
        Err(StoreError::Closed)
    }
}
