//! Control: the verbs that the API may use; each is on disk before it answers.

mod recordings;
mod rules;
mod services;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::account::{Account, ApiKey};
use domain::application::{Deployment, NewDeployment, ScriptSource};
use domain::campaign::{Campaign, CampaignState};
use domain::contact::{ContactRule, NewContact};
use domain::ids::{AccountId, CampaignId, ContactId, DeploymentId};
use domain::number::sip_address::SipNumber;
use domain::time::Timestamp;
use domain::webhook::KeyPair;
use facade::Facade;
use store::{
    Answer, CampaignChange, Cancel, CreateError, Met, Once, Reader, Store, StoreError, UploadId,
};

use crate::calls::LiveCalls;
use crate::clock::Clock;
use crate::config::TrunkConfig;
use crate::files::TapeDir;
use crate::health::{Health, HealthBoard};
use crate::http::{CheckError, HttpClient};
use crate::peers::Peers;
use crate::policies::Policies;
use crate::signing::KeyMaker;
use crate::wake::Wakes;

pub use rules::WhyNot;
pub use services::Interrupted;

/// The engine's verbs; clones act on the same engine.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Parts>);

/// What [`Control`] acts on.
pub(crate) struct Parts {
    pub(crate) calls: LiveCalls,
    pub(crate) clock: Clock,
    pub(crate) draining: AtomicBool,
    pub(crate) health: HealthBoard,
    pub(crate) http: HttpClient,
    pub(crate) keys: KeyMaker,
    pub(crate) peers: Peers,
    pub(crate) policies: Policies,
    pub(crate) reader: Reader,
    pub(crate) store: Store,
    pub(crate) tapes: TapeDir,
    pub(crate) trunks: Vec<TrunkConfig>,
    pub(crate) wakes: Wakes,
}

/// Why contacts were not taken in.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Too many URLs of one host are being checked. Time repairs it.
    #[error("too many addresses of the host of {field} are being checked, try again later")]
    Busy {
        /// Which URL.
        field: &'static str,
    },
    /// The account may not show this caller ID. The operator repairs it, or the client shows another.
    #[error("caller ID {0} is none of the account's verified numbers")]
    CallerId(String),
    /// The server is shutting down. Time repairs it.
    #[error("server is shutting down and takes no new calls")]
    Draining,
    /// The store is away. Time repairs it.
    #[error("store is unavailable")]
    Store(#[source] StoreError),
    /// The client's URL is not permitted. The client repairs it.
    #[error("{field} is refused: {reason}")]
    UrlRefused {
        /// Which URL.
        field: &'static str,
        /// What would be right.
        reason: String,
    },
    /// The client's URL did not answer a GET with 200. The client repairs it.
    #[error("{field} did not answer a GET request with status 200")]
    UrlUnreachable {
        /// Which URL.
        field: &'static str,
    },
}

/// Why a deployment was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Its page does not answer, and the like.
    #[error(transparent)]
    Page(#[from] QueueError),
    /// Its number is taken, or the store is away.
    #[error(transparent)]
    Store(#[from] CreateError),
}

impl From<StoreError> for QueueError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Control {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        Self(parts)
    }

    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The clock itself, for what must tell times of its own.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Read-only access to the store.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// How the engine is doing.
    pub fn health(&self) -> Health {
        self.0.health.read(self.is_draining(), self.0.calls.count())
    }

    /// Whether a shutdown has begun.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// A new key for webhooks, which nobody has yet.
    pub fn new_key(&self) -> KeyPair {
        self.0.keys.make()
    }

    /// Takes in one contact after its URLs have answered.
    pub async fn queue_contact(
        &self,
        rule: ContactRule,
        contact: NewContact,
    ) -> Result<ContactId, QueueError> {
        self.may_call(&rule, &contact)?;
        self.admit(&rule).await?;
        let ids = self.0.store.add_contacts(self.now(), &rule, vec![contact]).await?;
        self.0.wakes.dialer.wake();
        Ok(*ids.first().expect("the store answers with one id for each contact"))
    }

    /// Begins an upload of contacts that share `rule`, after its URLs have answered.
    pub async fn begin_upload(&self, rule: ContactRule) -> Result<Upload, QueueError> {
        self.admit(&rule).await?;
        let upload = self.0.store.begin_upload(self.now(), &rule).await?;
        Ok(Upload { control: self.clone(), account: rule.account, upload, open: true })
    }

    /// Cancels a contact: one that waits ends at once, one in a call is hung up.
    pub async fn cancel_contact(
        &self,
        account: AccountId,
        contact: ContactId,
    ) -> Result<Cancel, StoreError> {
        let canceled = self.0.store.cancel_contact(self.now(), account, contact).await?;
        match canceled {
            Cancel::Calling(attempt) => self.0.calls.cancel(attempt, "canceled by the client"),
            Cancel::Canceled => self.0.wakes.webhooks.wake(),
            Cancel::AlreadyDone | Cancel::NotFound => {}
        }
        Ok(canceled)
    }

    /// Cancels all that waits in the account's campaign of this name; calls under way go on, and
    /// are the last ones of their contacts.
    pub async fn cancel_campaign(&self, account: AccountId, name: &str) -> Result<(), StoreError> {
        let Some(row) = self.0.reader.campaign_by_name(account, name).await? else {
            // Nothing was ever queued in it.
            return Ok(());
        };
        let (store, campaign) = (&self.0.store, row.campaign.id);
        store.end_after_calls(account, campaign).await?;
        store.cancel_waiting(self.now(), account, campaign).await?;
        // Those that were just being dialed when they should have been canceled.
        store.end_after_calls(account, campaign).await?;
        self.0.wakes.webhooks.wake();
        Ok(())
    }

    /// Creates a deployment, after the page that it runs has answered; once for all requests with
    /// this key.
    pub async fn create_deployment(
        &self,
        account: AccountId,
        new: NewDeployment,
        key: Option<Once>,
        answer: impl FnMut(&Deployment) -> Answer + Send + 'static,
    ) -> Result<Met<Deployment>, DeployError> {
        self.check_script(&new.script).await?;
        Ok(self.0.store.create_deployment_once(self.now(), account, new, key, answer).await?)
    }

    /// Changes a deployment, after the page that it runs has answered. `None`: the account has no
    /// such deployment.
    pub async fn update_deployment(
        &self,
        account: AccountId,
        deployment: DeploymentId,
        name: &str,
        script: &ScriptSource,
    ) -> Result<Option<Deployment>, DeployError> {
        self.check_script(script).await?;
        let updated = self.0.store.update_deployment(account, deployment, name, script).await;
        Ok(updated.map_err(CreateError::from)?)
    }

    /// Deletes a deployment, and cancels all that waits for it. `false`: as above.
    pub async fn delete_deployment(
        &self,
        account: AccountId,
        deployment: &Deployment,
    ) -> Result<bool, StoreError> {
        let deleted = self.0.store.delete_deployment(self.now(), account, deployment.id).await?;
        if deleted {
            self.cancel_campaign(account, &deployment.campaign()).await?;
        }
        Ok(deleted)
    }

    /// Changes a campaign. `None`: the account has no such campaign.
    pub async fn change_campaign(
        &self,
        account: AccountId,
        campaign: CampaignId,
        change: CampaignChange,
    ) -> Result<Option<Campaign>, CreateError> {
        let changed = self.0.store.change_campaign(account, campaign, change).await?;
        self.0.wakes.dialer.wake();
        Ok(changed)
    }

    /// Lets a campaign's contacts be dialed. `false`: the account has no such campaign.
    pub async fn start_campaign(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<bool, StoreError> {
        self.set_state(account, campaign, CampaignState::Running).await
    }

    /// Keeps a campaign's contacts waiting; calls under way go on. `false`: as above.
    pub async fn stop_campaign(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<bool, StoreError> {
        self.set_state(account, campaign, CampaignState::Stopped).await
    }

    /// The account of this login.
    pub async fn account_by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        self.0.reader.account_by_login(login).await
    }

    /// The API key of this public id.
    pub async fn api_key(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.0.reader.api_key(key_id).await
    }

    /// Whether a SIP address is at a host of one of our trunks: nobody else is called.
    pub fn is_at_trunk(&self, address: &SipNumber) -> bool {
        self.0.trunks.iter().any(|trunk| trunk.is_at(address))
    }

    /// The store, for the verbs of other files.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// There may be something to dial.
    pub(crate) fn wake_dialer(&self) {
        self.0.wakes.dialer.wake();
    }

    async fn set_state(
        &self,
        account: AccountId,
        campaign: CampaignId,
        state: CampaignState,
    ) -> Result<bool, StoreError> {
        let found = self.0.store.set_campaign_state(account, campaign, state).await?;
        self.0.wakes.dialer.wake();
        Ok(found)
    }

    /// A caller ID that may not be shown is refused before it is dialed with.
    pub(crate) fn may_call(
        &self,
        rule: &ContactRule,
        contact: &NewContact,
    ) -> Result<(), QueueError> {
        match contact.destination.caller_id() {
            Some(own) if !self.may_show(rule.account, own) => {
                Err(QueueError::CallerId(own.to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Plum asks both URLs before it queues; the answers say no more than whether they answer.
    pub(crate) async fn admit(&self, rule: &ContactRule) -> Result<(), QueueError> {
        if self.is_draining() {
            return Err(QueueError::Draining);
        }
        if !Facade::of(rule.dialect).is_none_or(Facade::asks_before_queueing) {
            // Where it may not be told anything at all, that is said now and not after the call.
            let permitted = rule.result_url.as_deref().map(|url| self.0.http.may_ask(url));
            return permitted.unwrap_or(Ok(())).map_err(|error| refused("result_url", error));
        }
        if let ScriptSource::Url(url) = &rule.application.script {
            self.check("start_url", url).await?;
        }
        if let Some(url) = &rule.result_url {
            self.check("result_url", url).await?;
        }
        Ok(())
    }

    async fn check(&self, field: &'static str, url: &str) -> Result<(), QueueError> {
        self.0.http.check(url).await.map_err(|error| refused(field, error))
    }

    async fn check_script(&self, script: &ScriptSource) -> Result<(), QueueError> {
        match script {
            ScriptSource::Url(url) => self.check("start_url", url).await,
            ScriptSource::Actions(_) | ScriptSource::Document(_) | ScriptSource::Say(_) => Ok(()),
        }
    }
}

fn refused(field: &'static str, error: CheckError) -> QueueError {
    match error {
        CheckError::Busy => QueueError::Busy { field },
        CheckError::Refused(reason) => QueueError::UrlRefused { field, reason },
        CheckError::Unreachable => QueueError::UrlUnreachable { field },
    }
}

/// An upload under way; dropped before its commit, nothing of it is taken in.
pub struct Upload {
    pub(crate) control: Control,
    pub(crate) account: AccountId,
    pub(crate) upload: UploadId,
    pub(crate) open: bool,
}

impl Upload {
    /// Whether the upload's account may show this caller ID.
    pub fn may_show(&self, caller_id: &str) -> bool {
        self.control.may_show(self.account, caller_id)
    }

    /// Adds contacts; they are dialed only after the commit.
    pub async fn add(&mut self, contacts: Vec<NewContact>) -> Result<Vec<ContactId>, QueueError> {
        Ok(self.control.0.store.upload_add(self.upload, contacts).await?)
    }

    /// Takes them all in.
    pub async fn commit(mut self) -> Result<(), QueueError> {
        self.control.0.store.commit_upload(self.upload).await?;
        self.open = false;
        self.control.0.wakes.dialer.wake();
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.open {
            let (store, upload) = (self.control.0.store.clone(), self.upload);
            // Without a runtime the process is ending, and the next start clears what was staged.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { store.abort_upload(upload).await });
            }
        }
    }
}
