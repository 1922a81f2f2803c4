//! Attempts: what happens in them, how they end, and what a crash left open.

use domain::attempt::{Attempt, AttemptEnd};
use domain::contact::Contact;
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId};
use domain::time::Timestamp;

use crate::{Cancel, Finished, Reader, Store, StoreError};

impl Store {
    /// Notes a fact about a live attempt, in order with everything else this caller writes.
    ///
    /// Answers once the note is taken, before it is on disk: a crash may lose the last tenth of a
    /// second of notes, never what came with the end of an attempt.
    pub async fn note(
        &self,
        _attempt: AttemptId,
        _contact: ContactId,
        _at: Timestamp,
        _kind: EventKind,
        _detail: &str,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Ends an attempt: its outcome, what follows for the contact, events and owed webhook, at once.
    pub async fn finish_attempt(
        &self,
        _attempt: AttemptId,
        _end: &AttemptEnd,
    ) -> Result<Finished, StoreError> {
        Err(StoreError::Closed)
    }

    /// Undoes an attempt of which nothing was sent; `false` where it is not open.
    ///
    /// The contact waits as before, or ends where its cancel was asked for.
    pub async fn release_attempt(
        &self,
        _now: Timestamp,
        _attempt: AttemptId,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    /// Attempts begun and not ended, oldest first: after a start, those that a crash left.
    pub async fn open_attempts(&self) -> Result<Vec<(Attempt, Contact)>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Ends a waiting contact as canceled; one in a call is not dialed again.
    pub async fn cancel_contact(
        &self,
        _now: Timestamp,
        _account: AccountId,
        _contact: ContactId,
    ) -> Result<Cancel, StoreError> {
        Err(StoreError::Closed)
    }

    /// Ends all contacts as canceled that wait in a campaign; how many there were.
    pub async fn cancel_waiting(
        &self,
        _now: Timestamp,
        _account: AccountId,
        _campaign: CampaignId,
    ) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }
}

impl Reader {
    /// The attempts of a contact, oldest first.
    pub async fn attempts(&self, _contact: ContactId) -> Result<Vec<Attempt>, StoreError> {
        Err(StoreError::Closed)
    }
}
