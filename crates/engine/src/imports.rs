//! Control's verbs for files of contacts: begin, add, check, commit, discard.

use std::time::Duration;

use domain::contact::{ContactRule, NewContact};
use domain::ids::AccountId;
use store::{StoreError, UploadId};

use crate::control::{Control, QueueError};

/// How long an import may wait for its commit, and its report be read afterwards: a week.
const KEPT_TIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// An import whose file is being read; dropped before it is checked, nothing of it remains.
pub struct ImportUnderWay {
    control: Control,
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
        Ok(ImportUnderWay { control: self.clone(), upload, parts: 0, open: true })
    }

    /// Takes the contacts of a checked import in; `false` where the account has none of this id that
    /// waits for it.
    pub async fn commit_import(
        &self,
        account: AccountId,
        import: UploadId,
    ) -> Result<bool, QueueError> {
        if self.is_draining() {
            return Err(QueueError::Draining);
        }
        let committed = self.store().commit_import(account, import).await?;
        self.wake_dialer();
        Ok(committed)
    }

    /// Throws a checked import away; `false` as above.
    pub async fn discard_import(
        &self,
        account: AccountId,
        import: UploadId,
    ) -> Result<bool, StoreError> {
        self.store().discard_import(account, import).await
    }
}

impl ImportUnderWay {
    /// Adds contacts; they are dialed only after the commit.
    pub async fn add(&mut self, contacts: Vec<NewContact>) -> Result<(), QueueError> {
        self.control.store().upload_add(self.upload, contacts).await?;
        Ok(())
    }

    /// Adds to the file of rejected rows.
    pub async fn reject(&mut self, text: String) -> Result<(), QueueError> {
        self.control.store().import_rejected(self.upload, self.parts, text).await?;
        self.parts += 1;
        Ok(())
    }

    /// Writes down what was found; the import then waits for its commit. Answers its id.
    pub async fn checked(mut self, report: String) -> Result<UploadId, QueueError> {
        self.control.store().import_checked(self.upload, report).await?;
        self.open = false;
        Ok(self.upload)
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
