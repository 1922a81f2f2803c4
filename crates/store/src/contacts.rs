//! Taking contacts in, one request or one long upload at a time, and reading them.

use domain::application::Application;
use domain::contact::{Contact, ContactRule, NewContact};
use domain::event::Event;
use domain::ids::{AccountId, ApplicationId, ContactId};
use domain::time::Timestamp;

use crate::{ContactFilter, Cursor, Page, Reader, Store, StoreError, UploadId};

impl Store {
    /// Takes contacts in, all or none; campaign and application are created where they are new.
    ///
    /// One transaction: for more than some hundred contacts use an upload.
    pub async fn add_contacts(
        &self,
        _now: Timestamp,
        _rule: &ContactRule,
        _contacts: Vec<NewContact>,
    ) -> Result<Vec<ContactId>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Begins to take in a long list, which counts only once it is committed.
    pub async fn begin_upload(
        &self,
        _now: Timestamp,
        _rule: &ContactRule,
    ) -> Result<UploadId, StoreError> {
        Err(StoreError::Closed)
    }

    /// Adds contacts to an upload. They have their ids, and are neither dialed nor shown before the
    /// commit.
    pub async fn upload_add(
        &self,
        _upload: UploadId,
        _contacts: Vec<NewContact>,
    ) -> Result<Vec<ContactId>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Commits an upload: from the answer on all its contacts are taken in, a crash included.
    ///
    /// The first become dialable with it, the others in the moments that follow.
    pub async fn commit_upload(&self, _upload: UploadId) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Forgets an upload and its contacts.
    pub async fn abort_upload(&self, _upload: UploadId) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
}

impl Reader {
    /// A contact of the account.
    pub async fn contact(
        &self,
        _account: AccountId,
        _contact: ContactId,
    ) -> Result<Option<Contact>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Contacts of the account, newest first, at most `limit` in a page.
    ///
    /// Of an upload that is being made dialable, only the part that already is.
    pub async fn contacts(
        &self,
        _account: AccountId,
        _filter: ContactFilter,
        _from: Option<Cursor>,
        _limit: u32,
    ) -> Result<Page<Contact>, StoreError> {
        Err(StoreError::Closed)
    }

    /// What happened to a contact, oldest first.
    pub async fn events(&self, _contact: ContactId) -> Result<Vec<Event>, StoreError> {
        Err(StoreError::Closed)
    }

    /// What runs when somebody answers.
    pub async fn application(
        &self,
        _application: ApplicationId,
    ) -> Result<Option<Application>, StoreError> {
        Err(StoreError::Closed)
    }
}
