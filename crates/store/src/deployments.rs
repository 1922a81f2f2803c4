//! Deployments: scripts under numbers by which clients name them.

use domain::application::{Deployment, NewDeployment, ScriptSource};
use domain::ids::{AccountId, ContactId, DeploymentId};
use domain::time::Timestamp;

use crate::idempotency::once;
use crate::tx::Tx;
use crate::value::{queries, script_columns, values};
use crate::{Answer, CreateError, Cursor, Met, Once, Page, Reader, Store, StoreError};

macro_rules! deployment_row {
    ($rest:literal) => {
        concat!(
            "SELECT id, app, account, name, created_at, deleted_at, source, script \
             FROM deployments ",
            $rest
        )
    };
}

queries! {
    // Numbers are the next ones where none are asked for; of two servers one tries again.
    CREATE = "INSERT INTO deployments (id, app, account, name, source, script, created_at) VALUES (\
        coalesce($1, (SELECT coalesce(max(id), 0) + 1 FROM deployments)), \
        coalesce($2, (SELECT coalesce(max(app), 0) + 1 FROM deployments)), $3, $4, $5, $6, $7) \
        ON CONFLICT (id) DO NOTHING \
        RETURNING id, app, account, name, created_at, deleted_at, source, script";
    DELETE = "UPDATE deployments SET deleted_at = $1 \
        WHERE account = $2 AND id = $3 AND deleted_at IS NULL";
    DEPLOYMENT = deployment_row!("WHERE id = $1");
    DEPLOYMENTS = deployment_row!(
        "WHERE account = $1 AND id < $2 AND deleted_at IS NULL ORDER BY id DESC LIMIT $3"
    );
    OWNER_OF_APP = "SELECT account FROM deployments WHERE app = $1 LIMIT 1";
    OWNER_OF_CONTACT = "SELECT account FROM contacts WHERE id = $1";
    OWNER_OF_STAGED = "SELECT u.account FROM uploads u JOIN staged ON staged.upload = u.id \
        WHERE u.state = 'committed' AND staged.id = $1";
    UPDATE = "UPDATE deployments SET name = $1, source = $2, script = $3 \
        WHERE account = $4 AND id = $5 AND deleted_at IS NULL \
        RETURNING id, app, account, name, created_at, deleted_at, source, script";
}

/// How often numbers are chosen anew where another server was faster.
const CHOICES_MAX: u32 = 10;

impl Store {
    /// Creates a deployment; [`CreateError::Taken`] where its number exists, deleted ones included,
    /// or its application is another account's.
    pub async fn create_deployment(
        &self,
        now: Timestamp,
        account: AccountId,
        new: NewDeployment,
    ) -> Result<Deployment, CreateError> {
        let wanted = new.clone();
        let created = self.write(2, move |tx| create(tx, now, account, &wanted)).await?;
        created.map_err(|number| taken(number, &new))
    }

    /// The same, once for all requests with this key; `answer` says what is kept.
    pub async fn create_deployment_once(
        &self,
        now: Timestamp,
        account: AccountId,
        new: NewDeployment,
        key: Option<Once>,
        mut answer: impl FnMut(&Deployment) -> Answer + Send + 'static,
    ) -> Result<Met<Deployment>, CreateError> {
        let wanted = new.clone();
        let met = self
            .write(2, move |tx| {
                once(tx, now, key.as_ref(), |tx| {
                    let created = create(tx, now, account, &wanted)?;
                    let kept = created.as_ref().ok().filter(|_| key.is_some()).map(&mut answer);
                    Ok((created, kept))
                })
            })
            .await?;
        match met {
            Met::Done(created) => created.map(Met::Done).map_err(|number| taken(number, &new)),
            Met::KeyReused => Ok(Met::KeyReused),
            Met::Repeated(answer) => Ok(Met::Repeated(answer)),
        }
    }

    /// Gives a deployment another name and script; `None` where the account has no such deployment.
    pub async fn update_deployment(
        &self,
        account: AccountId,
        deployment: DeploymentId,
        name: &str,
        script: &ScriptSource,
    ) -> Result<Option<Deployment>, StoreError> {
        let (name, script) = (name.to_owned(), script.clone());
        self.write(1, move |tx| {
            let (source, text) = script_columns(&script);
            let values = values![name.as_str(), source, text.as_ref(), account, deployment];
            tx.one(UPDATE, values, |row| row.deployment())
        })
        .await
    }

    /// Deletes a deployment: it takes no calls any more. `false` where the account has none such.
    pub async fn delete_deployment(
        &self,
        now: Timestamp,
        account: AccountId,
        deployment: DeploymentId,
    ) -> Result<bool, StoreError> {
        self.write(1, move |tx| Ok(tx.run(DELETE, values![now, account, deployment])? > 0)).await
    }
}

impl Reader {
    /// The deployment of this number, whoever owns it, deleted or not.
    pub async fn deployment(
        &self,
        deployment: DeploymentId,
    ) -> Result<Option<Deployment>, StoreError> {
        self.look(move |sql| sql.one(DEPLOYMENT, values![deployment], |row| row.deployment())).await
    }

    /// The account's deployments, newest first, at most `limit` in a page.
    pub async fn deployments(
        &self,
        account: AccountId,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Deployment>, StoreError> {
        self.look(move |sql| {
            let values = values![account, Cursor::before(from), limit];
            let items = sql.all(DEPLOYMENTS, values, |row| row.deployment())?;
            Ok(Page::of(items, limit, |item| item.id.0))
        })
        .await
    }

    /// Whose contact this is.
    pub async fn owner_of_contact(
        &self,
        contact: ContactId,
    ) -> Result<Option<AccountId>, StoreError> {
        self.look(move |sql| {
            sql.snapshot(|sql| {
                let found = sql.one(OWNER_OF_CONTACT, values![contact], |row| row.int())?;
                match found {
                    Some(owner) => Ok(Some(AccountId(owner))),
                    None => {
                        let staged = sql.one(OWNER_OF_STAGED, values![contact], |row| row.int())?;
                        Ok(staged.map(AccountId))
                    }
                }
            })
        })
        .await
    }
}

/// Creates a deployment; else the name of the number that is taken.
fn create(
    tx: &Tx<'_>,
    now: Timestamp,
    account: AccountId,
    wanted: &NewDeployment,
) -> Result<Result<Deployment, &'static str>, StoreError> {
    let owner = match wanted.app {
        Some(app) => tx.one(OWNER_OF_APP, values![app], |row| row.int())?,
        None => None,
    };
    if owner.is_some_and(|owner| owner != account.0) {
        return Ok(Err("application_id"));
    }
    let (source, script) = script_columns(&wanted.script);
    let choices = if wanted.id.is_none() { CHOICES_MAX } else { 1 };
    for _ in 0..choices {
        let name = wanted.name.as_str();
        let values = values![wanted.id, wanted.app, account, name, source, script.as_ref(), now];
        if let Some(created) = tx.one(CREATE, values, |row| row.deployment())? {
            return Ok(Ok(created));
        }
    }
    Ok(Err("id"))
}

fn taken(number: &str, new: &NewDeployment) -> CreateError {
    let taken = match number {
        "id" => new.id.map(|id| id.0),
        _ => new.app.map(|app| app.0),
    };
    CreateError::Taken(format!("{number} {}", taken.unwrap_or_default()))
}
