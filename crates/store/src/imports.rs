//! Files of contacts that are read first and taken in when somebody says so.
//!
//! The contacts of an import are an upload's. Beside it stand what was found in the file, for people,
//! and the rows that were rejected, as the file in which they are given back.

use domain::contact::ContactRule;
use domain::ids::AccountId;
use domain::time::Timestamp;

use crate::idempotency::once;
use crate::inbox::Manner;
use crate::tx::Tx;
use crate::uploads;
use crate::value::{queries, values};
use crate::{
    Answer, Cursor, Import, ImportState, Met, Once, Page, Reader, Store, StoreError, UploadId,
};

macro_rules! import_columns {
    () => {
        "imports.upload, imports.state, imports.file_name, imports.report, imports.created_at, \
         (SELECT count(*) FROM uploads WHERE uploads.id = imports.upload \
         AND uploads.state = 'open')"
    };
}

queries! {
    ADD_REJECTED = "INSERT INTO import_rejects (upload, part, text) VALUES ($1, $2, $3)";
    BEGIN = "INSERT INTO imports (upload, account, state, file_name, report, created_at) \
        VALUES ($1, $2, 'checking', $3, '', $4)";
    CHECKED = "UPDATE imports SET state = 'checked', report = $1 \
        WHERE upload = $2 AND state = 'checking'";
    FORGET = "DELETE FROM imports WHERE upload = $1";
    FORGET_REJECTED = "DELETE FROM import_rejects WHERE upload = $1";
    IMPORT = concat!(
        "SELECT ", import_columns!(), " FROM imports WHERE account = $1 AND upload = $2"
    );
    IMPORTS = concat!(
        "SELECT ", import_columns!(), " FROM imports WHERE account = $1 AND upload < $2 \
         ORDER BY upload DESC LIMIT $3"
    );
    MOVE = "UPDATE imports SET state = $1 WHERE account = $2 AND upload = $3 AND state = 'checked'";
    OLD = "SELECT upload FROM imports WHERE created_at < $1 AND state <> 'checking' \
        ORDER BY created_at LIMIT 20";
    REJECTED = "SELECT text FROM import_rejects WHERE upload = $1 AND part = $2";
}

impl Store {
    /// Begins an import: an upload that outlives its request once it has been checked.
    pub async fn begin_import(
        &self,
        now: Timestamp,
        rule: &ContactRule,
        file_name: &str,
    ) -> Result<UploadId, StoreError> {
        let (rule, file_name) = (rule.clone(), file_name.to_owned());
        self.write(4, move |tx| {
            let upload = uploads::begin(tx, now, &rule)?;
            tx.run(BEGIN, values![upload, rule.account, file_name.as_str(), now])?;
            Ok(upload)
        })
        .await
    }

    /// Adds the next part, counted from 0, of the file of an import's rejected rows.
    pub async fn import_rejected(
        &self,
        upload: UploadId,
        part: u32,
        text: String,
    ) -> Result<(), StoreError> {
        let add = move |tx: &mut Tx<'_>| {
            tx.run(ADD_REJECTED, values![upload, part, text.as_str()]).map(drop)
        };
        self.write_with(Manner::PREPARED, 1, add).await
    }

    /// Writes down what was found in the file; from then on the import waits for its commit.
    pub async fn import_checked(&self, upload: UploadId, report: String) -> Result<(), StoreError> {
        self.write(1, move |tx| match tx.run(CHECKED, values![report.as_str(), upload])? {
            0 => Err(unknown(upload)),
            _ => Ok(()),
        })
        .await
    }

    /// The same, once for all requests with this key; with `at_once` it is taken in at once. `answer`
    /// says of the import what is kept.
    pub async fn import_checked_once(
        &self,
        now: Timestamp,
        (account, upload): (AccountId, UploadId),
        (report, at_once): (String, bool),
        key: Option<Once>,
        mut answer: impl FnMut(&Import) -> Answer + Send + 'static,
    ) -> Result<Met<Import>, StoreError> {
        let rows = if at_once { uploads::CHORE_ROWS } else { 2 };
        self.write(rows, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                if tx.run(CHECKED, values![report.as_str(), upload])? == 0 {
                    return Err(unknown(upload));
                }
                if at_once {
                    commit(tx, account, upload)?;
                }
                let import = tx.one(IMPORT, values![account, upload], |row| row.import())?;
                let import = import.ok_or_else(|| unknown(upload))?;
                let kept = key.is_some().then(|| answer(&import));
                Ok((import, kept))
            })
        })
        .await
    }

    /// Takes the contacts of a checked import in, all at once; `false` where the account has none of
    /// this id that is checked and not committed yet.
    pub async fn commit_import(
        &self,
        account: AccountId,
        upload: UploadId,
    ) -> Result<bool, StoreError> {
        self.write(uploads::CHORE_ROWS, move |tx| commit(tx, account, upload)).await
    }

    /// The same, once for all requests with this key; `None` where there is none such.
    pub async fn commit_import_once(
        &self,
        now: Timestamp,
        account: AccountId,
        upload: UploadId,
        key: Option<Once>,
        mut answer: impl FnMut(&Import) -> Answer + Send + 'static,
    ) -> Result<Met<Option<Import>>, StoreError> {
        self.write(uploads::CHORE_ROWS, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                if !commit(tx, account, upload)? {
                    return Ok((None, None));
                }
                let import = tx.one(IMPORT, values![account, upload], |row| row.import())?;
                let kept = import.as_ref().filter(|_| key.is_some()).map(&mut answer);
                Ok((import, kept))
            })
        })
        .await
    }

    /// Throws a checked import away; `false` where the account has none of this id that is
    /// checked.
    pub async fn discard_import(
        &self,
        account: AccountId,
        upload: UploadId,
    ) -> Result<bool, StoreError> {
        self.write(2, move |tx| {
            let discarded = ImportState::Discarded.name();
            if tx.run(MOVE, values![discarded, account, upload])? == 0 {
                return Ok(false);
            }
            tx.run(FORGET_REJECTED, values![upload])?;
            uploads::abort(tx, upload).map(|()| true)
        })
        .await
    }

    /// Forgets an import whose file was not read to its end.
    pub async fn abandon_import(&self, upload: UploadId) -> Result<(), StoreError> {
        self.write_with(Manner::PREPARED, 2, move |tx| {
            tx.run(FORGET_REJECTED, values![upload])?;
            tx.run(FORGET, values![upload])?;
            uploads::abort(tx, upload)
        })
        .await
    }

    /// Forgets imports that were begun before this moment, twenty at most: those committed with what
    /// was rejected, and those that nobody committed with their contacts. How many there were.
    pub async fn forget_imports(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.write_with(Manner::PREPARED, 200, move |tx| {
            let old = tx.all(OLD, values![before], |row| row.int())?;
            for upload in &old {
                tx.run(FORGET_REJECTED, values![*upload])?;
                tx.run(FORGET, values![*upload])?;
                // One that was committed or discarded is open no more, and left alone.
                match uploads::abort(tx, UploadId(*upload)) {
                    Ok(()) | Err(StoreError::Unknown { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(old.len())
        })
        .await
    }
}

impl Reader {
    /// An import of the account.
    pub async fn import(
        &self,
        account: AccountId,
        upload: UploadId,
    ) -> Result<Option<Import>, StoreError> {
        self.look(move |sql| sql.one(IMPORT, values![account, upload], |row| row.import())).await
    }

    /// Imports of the account, newest first.
    pub async fn imports(
        &self,
        account: AccountId,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Import>, StoreError> {
        let below = Cursor::before(from);
        self.look(move |sql| {
            let items = sql.all(IMPORTS, values![account, below, limit], |row| row.import())?;
            Ok(Page::of(items, limit, |item| item.id.0))
        })
        .await
    }

    /// A part of the file of an import's rejected rows; `None` after the last.
    pub async fn rejected_part(
        &self,
        upload: UploadId,
        part: u32,
    ) -> Result<Option<String>, StoreError> {
        self.look(move |sql| sql.one(REJECTED, values![upload, part], |row| row.text())).await
    }
}

const fn unknown(upload: UploadId) -> StoreError {
    StoreError::Unknown { what: "import", id: upload.0 }
}

fn commit(tx: &mut Tx<'_>, account: AccountId, upload: UploadId) -> Result<bool, StoreError> {
    let committed = ImportState::Committed.name();
    if tx.run(MOVE, values![committed, account, upload])? == 0 {
        return Ok(false);
    }
    uploads::commit(tx, upload).map(|()| true)
}
