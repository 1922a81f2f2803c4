//! Control's verbs for endpoints, and for requests that are to be done once.

use domain::campaign::Campaign;
use domain::contact::{ContactRule, NewContact};
use domain::ids::{AccountId, EndpointId, WebhookId};
use domain::webhook::Endpoint;
use store::{
    Answer, AnswerId, CreateError, EndpointChange, Met, NewCampaign, NewEndpoint, Once, Replay,
    Replayed, Rotation, StoreError, TakenIn,
};

use crate::control::{Control, QueueError, Upload};
use crate::http::CheckError;

/// Most webhooks that one request may ask for again.
pub(crate) const REPLAY_MAX: u32 = 10_000;

impl Control {
    /// As [`Control::queue_contact`], once for all requests with this key; `answer` says what is
    /// kept.
    pub async fn queue_contact_once(
        &self,
        rule: ContactRule,
        contact: NewContact,
        key: Option<Once>,
        answer: impl FnMut(&TakenIn) -> Answer + Send + 'static,
    ) -> Result<Met<TakenIn>, QueueError> {
        self.may_call(&rule, &contact)?;
        self.admit(&rule).await?;
        let met = self.0.store.add_contact_once(self.now(), &rule, contact, key, answer).await?;
        self.0.wakes.dialer.wake();
        Ok(met)
    }

    /// Creates a campaign, once for all requests with this key.
    pub async fn create_campaign_once(
        &self,
        new: NewCampaign,
        key: Option<Once>,
        answer: impl FnMut(&Campaign) -> Answer + Send + 'static,
    ) -> Result<Met<Campaign>, CreateError> {
        self.0.store.create_campaign_once(self.now(), new, key, answer).await
    }

    /// A number under which the parts of a long answer are kept.
    pub async fn next_answer(&self) -> Result<AnswerId, StoreError> {
        self.0.store.next_answer().await
    }

    /// Keeps a part of a long answer, from 0.
    pub async fn keep_answer_part(
        &self,
        answer: AnswerId,
        part: u32,
        body: String,
    ) -> Result<(), StoreError> {
        self.0.store.keep_answer_part(self.now(), answer, part, body).await
    }

    /// Whether an endpoint may be at this URL; nobody is asked.
    pub fn check_endpoint(&self, url: &str) -> Result<(), QueueError> {
        let refused = |reason| QueueError::UrlRefused { field: "url", reason };
        match self.0.http.may_ask(url) {
            Ok(()) => Ok(()),
            Err(CheckError::Refused(reason)) => Err(refused(reason)),
            Err(error @ (CheckError::Busy | CheckError::Unreachable)) => {
                Err(refused(error.to_string()))
            }
        }
    }

    /// Creates an endpoint; `None` where its account has too many.
    pub async fn create_endpoint(
        &self,
        new: NewEndpoint,
        key: Option<Once>,
        answer: impl FnMut(&Endpoint) -> Answer + Send + 'static,
    ) -> Result<Met<Option<Endpoint>>, StoreError> {
        self.0.store.create_endpoint(self.now(), new, key, answer).await
    }

    /// Changes an endpoint; `None` where the account has no such endpoint.
    pub async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
    ) -> Result<Option<Endpoint>, StoreError> {
        let changed = self.0.store.change_endpoint(self.now(), account, id, change).await?;
        self.0.wakes.webhooks.wake();
        Ok(changed)
    }

    /// Deletes an endpoint; `false` where the account has no such endpoint.
    pub async fn delete_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
    ) -> Result<bool, StoreError> {
        self.0.store.delete_endpoint(self.now(), account, id).await
    }

    /// Gives an endpoint, or the result URLs of an account, a new key; `false` where the account
    /// has no such endpoint.
    pub async fn rotate_key(
        &self,
        rotation: Rotation,
        key: Option<Once>,
        answer: Answer,
    ) -> Result<Met<bool>, StoreError> {
        self.0.store.rotate_key(self.now(), rotation, key, answer).await
    }

    /// Tries an endpoint out, once for all requests with this key; `None` where the account has no
    /// such endpoint.
    pub async fn test_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        key: Option<Once>,
        answer: impl Fn(WebhookId) -> Answer + Send + 'static,
    ) -> Result<Met<Option<WebhookId>>, StoreError> {
        let tested = self.0.store.test_endpoint_once(self.now(), account, id, key, answer).await?;
        self.0.wakes.webhooks.wake();
        Ok(tested)
    }

    /// Keeps an answer to what was done already and would be done again without harm.
    pub async fn keep_answer(&self, key: Once, answer: Answer) -> Result<Met<()>, StoreError> {
        self.0.store.keep_answer(self.now(), key, answer).await
    }

    /// Tells an endpoint again what it was told; `None` where the account has no such endpoint, or
    /// it was never told that.
    pub async fn replay(
        &self,
        account: AccountId,
        id: EndpointId,
        which: Replay,
    ) -> Result<Option<Replayed>, StoreError> {
        let replayed = self.0.store.replay(self.now(), account, id, which, REPLAY_MAX).await?;
        self.0.wakes.webhooks.wake();
        Ok(replayed)
    }
}

impl Upload {
    /// As [`Upload::commit`], once for all requests with this key: where that was done before,
    /// nothing of this upload is taken in.
    pub async fn commit_once(
        mut self,
        key: Option<Once>,
        answer: Answer,
    ) -> Result<Met<()>, QueueError> {
        let (store, now) = (&self.control.0.store, self.control.now());
        let met = store.commit_upload_once(now, self.upload, key, answer).await?;
        if matches!(met, Met::Done(())) {
            self.open = false;
            self.control.0.wakes.dialer.wake();
        }
        Ok(met)
    }
}
