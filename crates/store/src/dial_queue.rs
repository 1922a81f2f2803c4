//! The dial queue: which campaigns have contacts to dial, taking them, and keeping time for them.

use domain::dial_queue::{Demand, Share};
use domain::ids::TrunkId;
use domain::time::Timestamp;

use crate::{Begun, Store, StoreError};

impl Store {
    /// Running campaigns with contacts that are due, at most `limit` counted for each.
    ///
    /// Counts what [`Store::promote_due`] has made due; so call that first.
    pub async fn demands(&self, _now: Timestamp, _limit: u32) -> Result<Vec<Demand>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Takes contacts and writes their attempts down, in one durable transaction; only then may
    /// anything be sent.
    ///
    /// In a campaign the contact goes first that has been due longest, then the one taken in first.
    /// The nth attempt of the answer takes the nth trunk; fewer attempts than asked for come back
    /// where campaigns have been stopped or contacts ended since. Do not drop the future halfway:
    /// its attempts would stay open until the next start.
    pub async fn begin_attempts(
        &self,
        _now: Timestamp,
        _shares: &[Share],
        _trunks: &[TrunkId],
    ) -> Result<Vec<Begun>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Makes up to `limit` contacts due whose waiting time is over; how many there were.
    pub async fn promote_due(&self, _now: Timestamp, _limit: u32) -> Result<u32, StoreError> {
        Err(StoreError::Closed)
    }

    /// Ends up to `limit` waiting contacts whose window has closed; how many there were.
    pub async fn expire(&self, _now: Timestamp, _limit: u32) -> Result<u32, StoreError> {
        Err(StoreError::Closed)
    }

    /// When [`Store::promote_due`] or [`Store::expire`] has something to do next.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Err(StoreError::Closed)
    }
}
