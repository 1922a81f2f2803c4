//! Verbs about outbound services and their applications that run.

use domain::application::{PageAddress, Service};
use domain::contact::{ContactRule, ContactState, NewContact};
use domain::ids::{AccountId, ContactId};
use store::{NodePlace, StoreError};

use super::{Control, QueueError};

/// What came of an interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// It was interrupted often just now, and has not done that yet. Time repairs it.
    Busy,
    /// Its call has ended, or comes to its end.
    Completed,
    /// What it did has been stopped, or will be at once.
    Done,
    /// This other server makes the call, and is to be asked.
    Elsewhere(NodePlace),
    /// No application runs for this call: it waits, it rings, or it is not known yet who answered.
    NotRunning,
    /// The account has no such call.
    Unknown,
}

impl Control {
    /// Creates a service, or replaces the one of its name. `false`: the account has too many.
    pub async fn put_service(&self, service: Service) -> Result<bool, StoreError> {
        self.0.store.put_service(service).await
    }

    /// Deletes a service, and cancels the calls of `campaign`, its own, that wait. `false`: the
    /// account has no such service.
    pub async fn delete_service(
        &self,
        account: AccountId,
        name: &str,
        campaign: &str,
    ) -> Result<bool, StoreError> {
        let deleted = self.0.store.delete_service(account, name).await?;
        if deleted {
            self.cancel_campaign(account, campaign).await?;
        }
        Ok(deleted)
    }

    /// Takes in several contacts of one request, all or none.
    pub async fn queue_contacts(
        &self,
        rule: ContactRule,
        contacts: Vec<NewContact>,
    ) -> Result<Vec<ContactId>, QueueError> {
        self.admit(&rule).await?;
        let ids = self.0.store.add_contacts(self.now(), &rule, contacts).await?;
        self.wake_dialer();
        Ok(ids)
    }

    /// Stops what the application of a contact's call does now; it goes on with `page`, or ends.
    pub async fn interrupt(
        &self,
        account: AccountId,
        contact: ContactId,
        page: Option<PageAddress>,
    ) -> Result<Interrupted, StoreError> {
        let Some(found) = self.0.reader.contact(account, contact).await? else {
            return Ok(Interrupted::Unknown);
        };
        match found.state {
            ContactState::Done(_) => Ok(Interrupted::Completed),
            ContactState::Waiting => Ok(Interrupted::NotRunning),
            ContactState::Calling => {
                let attempts = self.0.reader.attempts(contact).await?;
                let open = attempts.iter().rev().find(|attempt| attempt.outcome.is_none());
                let Some(open) = open else {
                    return Ok(Interrupted::Completed);
                };
                if let Some(interrupted) = self.0.calls.interrupt(open.id, page) {
                    return Ok(interrupted);
                }
                let keeper = self.0.store.other_keeper(open.id).await?;
                Ok(keeper.map_or(Interrupted::NotRunning, Interrupted::Elsewhere))
            }
        }
    }
}
