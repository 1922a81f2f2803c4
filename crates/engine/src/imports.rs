//! Control's verbs for files of contacts: begin, add, check, commit, discard.

use std::collections::HashMap;
use std::time::Duration;

use domain::contact::{ContactRule, NewContact};
use domain::ids::AccountId;
use domain::policy::DO_NOT_CALL;
use store::{Answer, Given, Import, Met, Once, StoreError, UploadId};

use crate::control::{Control, QueueError};

/// How long an import may wait for its commit, and its report be read afterwards: a week.
const KEPT_TIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// An import whose file is being read; dropped before it is checked, nothing of it remains.
pub struct ImportUnderWay {
    control: Control,
    account: AccountId,
    upload: UploadId,
    parts: u32,
    open: bool,
}

impl Control {
    /// Begins an import of contacts that share `rule`, after its URLs have answered.
    pub async fn begin_import(
        &self,
        rule: ContactRule,
        file_name: &str,
    ) -> Result<ImportUnderWay, QueueError> {
        self.admit(&rule).await?;
        let store = self.store();
        store.forget_imports(self.now() - KEPT_TIME).await?;
        let upload = store.begin_import(self.now(), &rule, file_name).await?;
        let account = rule.account;
        Ok(ImportUnderWay { control: self.clone(), account, upload, parts: 0, open: true })
    }

    /// Takes the contacts of a checked import in, once for all requests with this key; `None` where
    /// the account has none of this id that waits for it.
    pub async fn commit_import(
        &self,
        account: AccountId,
        import: UploadId,
        key: Option<Once>,
        answer: impl FnMut(&Import) -> Answer + Send + 'static,
    ) -> Result<Met<Option<Import>>, QueueError> {
        if self.is_draining() {
            return Err(QueueError::Draining);
        }
        let (store, now) = (self.store(), self.now());
        let committed = store.commit_import_once(now, account, import, key, answer).await?;
        self.wake_dialer();
        Ok(committed)
    }

    /// The lists of numbers not to call that a campaign heeds which may not exist yet.
    pub async fn heeded_lists(
        &self,
        account: AccountId,
        campaign: &str,
    ) -> Result<Vec<String>, StoreError> {
        let found = self.reader().campaign_by_name(account, campaign).await?;
        let own = found.map(|row| self.lists_of(row.campaign.id));
        let mut lists = own.unwrap_or_else(|| self.standard_lists());
        lists.push(DO_NOT_CALL.to_owned());
        Ok(lists)
    }

    /// Of contacts of an account the list, of those named, that each is on.
    pub async fn listed(
        &self,
        account: AccountId,
        lists: &[String],
        contacts: impl Iterator<Item = &NewContact>,
    ) -> Result<Vec<Option<String>>, StoreError> {
        let number = |contact: &NewContact| {
            self.canonical(account, contact.destination.dialed()).key().to_owned()
        };
        let numbers: Vec<String> = contacts.map(number).collect();
        let mut listed = self.reader().listed_among(account, numbers.clone()).await?;
        listed.retain(|(_, list)| lists.contains(list));
        let listed: HashMap<String, String> = listed.into_iter().collect();
        Ok(numbers.iter().map(|number| listed.get(number).cloned()).collect())
    }

    /// Throws a checked import away; `false` where the account has none of this id
    /// that waits for a commit.
    pub async fn discard_import(
        &self,
        account: AccountId,
        import: UploadId,
    ) -> Result<bool, StoreError> {
        self.store().discard_import(account, import).await
    }
}

impl ImportUnderWay {
    /// Adds contacts; they are dialed only after the commit. Those whose references the campaign has
    /// had are not taken again.
    pub async fn add(&mut self, contacts: Vec<NewContact>) -> Result<Vec<Given>, QueueError> {
        Ok(self.control.store().upload_take(self.upload, contacts).await?)
    }

    /// Adds to the file of rejected rows.
    pub async fn reject(&mut self, text: String) -> Result<(), QueueError> {
        self.control.store().import_rejected(self.upload, self.parts, text).await?;
        self.parts += 1;
        Ok(())
    }

    /// Writes down what was found, once for all requests with this key; the import then waits for
    /// its commit, or with `at_once` is taken in.
    pub async fn checked(
        mut self,
        report: String,
        at_once: bool,
        key: Option<Once>,
        answer: impl FnMut(&Import) -> Answer + Send + 'static,
    ) -> Result<Met<Import>, QueueError> {
        let (store, now) = (self.control.store(), self.control.now());
        let (import, report) = ((self.account, self.upload), (report, at_once));
        let met = store.import_checked_once(now, import, report, key, answer).await?;
        if matches!(met, Met::Done(_)) {
            self.open = false;
            self.control.wake_dialer();
        }
        Ok(met)
    }
}

impl Drop for ImportUnderWay {
    fn drop(&mut self) {
        if self.open {
            let (store, upload) = (self.control.store().clone(), self.upload);
            // Without a runtime the process is ending, and the next start clears what was staged.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { store.abandon_import(upload).await });
            }
        }
    }
}
