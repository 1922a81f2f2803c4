//! Addresses of clients that are told of what happens, their keys, and the log of what they took.

use std::time::Duration;

use domain::ids::{AccountId, ContactId, DeliveryId, EndpointId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::{
    DisableReason, Endpoint, EndpointState, FAILING_MAX, KeyPair, Topic, Topics,
};

use crate::driver::Row;
use crate::idempotency::once;
use crate::tx::Tx;
use crate::value::{queries, values};
use crate::webhooks::{Message, owe_again, owe_endpoint};
use crate::{Answer, Cursor, Met, Once, Page, Reader, Store, StoreError, WebhookState};

/// Columns of an endpoint, in the order of [`endpoint`].
macro_rules! endpoint_columns {
    () => {
        "id, account, url, description, topics, state, why, state_since, failing_since, created_at"
    };
}

queries! {
    ADD_KEY = "INSERT INTO signing_keys (account, endpoint, secret, seed, created_at) \
        VALUES ($1, $2, $3, $4, $5)";
    ADD_MISSING_KEY = "INSERT INTO signing_keys (account, endpoint, secret, seed, created_at) \
        VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (account, endpoint) WHERE expires_at IS NULL DO NOTHING";
    CHANGE = concat!(
        "UPDATE endpoints SET url = $1, description = $2, topics = $3, state = $4, why = $5, \
         state_since = $6, failing_since = $7 WHERE id = $8 RETURNING ", endpoint_columns!()
    );
    COUNT = "SELECT count(*) FROM endpoints WHERE account = $1 AND state <> 'deleted'";
    CREATE = concat!(
        "INSERT INTO endpoints (account, url, description, topics, state, why, state_since, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING ", endpoint_columns!()
    );
    DELETE = "UPDATE endpoints SET state = 'deleted', why = NULL, state_since = $1 \
        WHERE account = $2 AND id = $3 AND state <> 'deleted'";
    DELETE_KEYS = "DELETE FROM signing_keys WHERE account = $1 AND endpoint = $2";
    DELETE_OLD_KEYS = "DELETE FROM signing_keys WHERE account = $1 AND endpoint = $2 \
        AND expires_at IS NOT NULL";
    DELIVERIES = "SELECT deliveries.id, deliveries.webhook, deliveries.at, deliveries.accepted, \
        deliveries.status, deliveries.latency_ms, deliveries.answer, deliveries.detail, \
        webhooks.topic, webhooks.contact, webhooks.state, webhooks.next_at \
        FROM deliveries JOIN webhooks ON webhooks.id = deliveries.webhook \
        WHERE deliveries.endpoint = $1 AND deliveries.id < $2 \
        ORDER BY deliveries.id DESC LIMIT $3";
    DISABLE = "UPDATE endpoints SET state = 'disabled', why = $1, state_since = $2 \
        WHERE id = $3 AND state = 'enabled'";
    ENDPOINT = concat!(
        "SELECT ", endpoint_columns!(),
        " FROM endpoints WHERE account = $1 AND id = $2 AND state <> 'deleted'"
    );
    ENDPOINTS = concat!(
        "SELECT ", endpoint_columns!(),
        " FROM endpoints WHERE account = $1 AND state <> 'deleted' ORDER BY id"
    );
    EXPIRE_KEY = "UPDATE signing_keys SET expires_at = $1 \
        WHERE account = $2 AND endpoint = $3 AND expires_at IS NULL";
    FORGET_EXPIRED_KEYS = "DELETE FROM signing_keys WHERE expires_at <= $1";
    KEYS = "SELECT secret, seed, expires_at FROM signing_keys \
        WHERE account = $1 AND endpoint = $2 ORDER BY id DESC";
    MARK_FAILING = "UPDATE endpoints SET failing_since = coalesce(failing_since, $1) \
        WHERE id = $2 AND state = 'enabled' RETURNING failing_since";
    MARK_WELL = "UPDATE endpoints SET failing_since = NULL \
        WHERE id = $1 AND failing_since IS NOT NULL";
    OVER = "SELECT id, at FROM webhooks WHERE endpoint = $1 AND (at, id) > ($2, $3) AND at < $4 \
        AND state IN ('given_up', $5) ORDER BY at, id LIMIT $6";
    OVER_ONE = "SELECT id FROM webhooks WHERE endpoint = $1 AND id = $2";
}

/// Endpoints that an account may have.
pub const ENDPOINTS_MAX: u32 = 50;
/// Webhooks that one transaction owes again: a few milliseconds of the writer's time.
const REPLAY_ROWS: u32 = 200;
/// Under which endpoint the keys for an account's result URLs are kept.
const RESULT_URLS: EndpointId = EndpointId(0);

/// An endpoint to create.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// What it is told of.
    pub topics: Topics,
    /// Whether it is told from the beginning.
    pub enabled: bool,
    /// What signs what it is told.
    pub key: KeyPair,
}

/// A new key that takes the place of one.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Whose it is.
    pub account: AccountId,
    /// What it signs for; `None`: the result URLs of the account.
    pub of: Option<EndpointId>,
    /// The new key.
    pub new: KeyPair,
    /// Until when the one before signs beside it.
    pub expires_at: Timestamp,
}

/// What is to change in an endpoint; `None` leaves what is there.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Where it is.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it is told of.
    pub topics: Option<Topics>,
    /// Whether it is told.
    pub enabled: Option<bool>,
}

/// One try at telling an endpoint, as its log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDelivery {
    /// Its id; grows with time.
    pub id: DeliveryId,
    /// What was delivered.
    pub webhook: WebhookId,
    /// When.
    pub at: Timestamp,
    /// Whether the client took it.
    pub accepted: bool,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub latency: Duration,
    /// The first characters of the answer.
    pub answer: String,
    /// What else there is to say, for people.
    pub detail: String,
    /// What it tells of.
    pub topic: Topic,
    /// Whom it tells of; nobody, where the endpoint was tried out.
    pub contact: Option<ContactId>,
    /// How the webhook stands now.
    pub state: WebhookState,
    /// Not delivered again before this moment; `None` where it is over.
    pub next_at: Option<Timestamp>,
}

/// What of an endpoint's past is to be told once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// One webhook, whatever became of it.
    One(WebhookId),
    /// All that happened in `since <= at < until` and is over; `delivered`: what was taken, too.
    Range {
        /// First moment.
        since: Timestamp,
        /// First moment that is too late.
        until: Timestamp,
        /// Whether what the client took is told again, or only what it did not.
        delivered: bool,
    },
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Webhooks owed again.
    pub many: u32,
    /// There are more in the range than one request may ask for.
    pub more: bool,
}

impl Store {
    /// Creates an endpoint, unless its account has [`ENDPOINTS_MAX`]: then there is `None`.
    ///
    /// `answer` says what is kept for a request that carries a key.
    pub async fn create_endpoint(
        &self,
        now: Timestamp,
        new: NewEndpoint,
        key: Option<Once>,
        mut answer: impl FnMut(&Endpoint) -> Answer + Send + 'static,
    ) -> Result<Met<Option<Endpoint>>, StoreError> {
        self.write(3, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                let created = create(tx, now, &new)?;
                let answer = created.as_ref().filter(|_| key.is_some()).map(&mut answer);
                Ok((created, answer))
            })
        })
        .await
    }

    /// Changes an endpoint; `None` where the account has no such endpoint.
    ///
    /// What is owed to it goes where it is now; what it is owed while it is disabled is given up.
    pub async fn change_endpoint(
        &self,
        now: Timestamp,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
    ) -> Result<Option<Endpoint>, StoreError> {
        self.write(1, move |tx| {
            let Some(found) = tx.one(ENDPOINT, values![account, id], endpoint)? else {
                return Ok(None);
            };
            let (state, failing_since) = match (change.enabled, found.state.is_enabled()) {
                (Some(true), false) => (EndpointState::Enabled, None),
                (Some(false), true) => {
                    let state = EndpointState::Disabled { why: DisableReason::Client, at: now };
                    (state, found.failing_since)
                }
                (None | Some(_), _) => (found.state, found.failing_since),
            };
            let (name, why, since) = state_columns(state, now);
            let topics = change.topics.as_ref().unwrap_or(&found.topics).names();
            let values = values![
                change.url.as_ref().unwrap_or(&found.url).as_str(),
                change.description.as_ref().unwrap_or(&found.description).as_str(),
                topics.as_str(),
                name,
                why,
                since,
                failing_since,
                id,
            ];
            let changed = tx.the(CHANGE, values, endpoint)?;
            tx.endpoints_changed();
            Ok(Some(changed))
        })
        .await
    }

    /// Deletes an endpoint and its keys; `false` where the account has no such endpoint.
    pub async fn delete_endpoint(
        &self,
        now: Timestamp,
        account: AccountId,
        id: EndpointId,
    ) -> Result<bool, StoreError> {
        self.write(2, move |tx| {
            if tx.run(DELETE, values![now, account, id])? == 0 {
                return Ok(false);
            }
            tx.run(DELETE_KEYS, values![account, id])?;
            Ok(true)
        })
        .await
    }

    /// Gives an endpoint a new key, or the result URLs of an account where no endpoint is named.
    ///
    /// The key before it signs beside it until [`Rotation::expires_at`]; one that came before that one signs no
    /// more. `false` where the account has no such endpoint.
    pub async fn rotate_key(
        &self,
        now: Timestamp,
        rotation: Rotation,
        key: Option<Once>,
        answer: Answer,
    ) -> Result<Met<bool>, StoreError> {
        let Rotation { account, of, new, expires_at } = rotation;
        self.write(3, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                if let Some(id) = of
                    && tx.one(ENDPOINT, values![account, id], endpoint)?.is_none()
                {
                    return Ok((false, None));
                }
                let id = of.unwrap_or(RESULT_URLS);
                tx.run(DELETE_OLD_KEYS, values![account, id])?;
                tx.run(EXPIRE_KEY, values![expires_at, account, id])?;
                tx.run(ADD_KEY, values![account, id, &new.secret, &new.seed, now])?;
                Ok((true, Some(answer.clone())))
            })
        })
        .await
    }

    /// What signs what is told to an endpoint, or to the result URLs of an account, newest first.
    pub async fn signing_keys(
        &self,
        account: AccountId,
        of: Option<EndpointId>,
    ) -> Result<Vec<KeyPair>, StoreError> {
        keys(self.eyes(), account, of).await
    }

    /// What signs what is told to the result URLs of an account: `fresh`, where there was nothing.
    pub async fn result_keys(
        &self,
        now: Timestamp,
        account: AccountId,
        fresh: KeyPair,
    ) -> Result<Vec<KeyPair>, StoreError> {
        let known = self.signing_keys(account, None).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        self.write(1, move |tx| {
            let values = values![account, RESULT_URLS, &fresh.secret, &fresh.seed, now];
            tx.run(ADD_MISSING_KEY, values)?;
            tx.all(KEYS, values![account, RESULT_URLS], key_pair)
        })
        .await
    }

    /// Forgets keys that have expired; how many there were.
    pub async fn purge_keys(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(1, move |tx| tx.run(FORGET_EXPIRED_KEYS, values![now])).await
    }

    /// Owes an endpoint a test, before all else that it is owed; `None` where the account has no
    /// such endpoint.
    pub async fn test_endpoint(
        &self,
        now: Timestamp,
        account: AccountId,
        id: EndpointId,
    ) -> Result<Option<WebhookId>, StoreError> {
        self.write(2, move |tx| owe_test(tx, now, account, id)).await
    }

    /// The same, once for all requests with this key; `answer` says what is kept.
    pub async fn test_endpoint_once(
        &self,
        now: Timestamp,
        account: AccountId,
        id: EndpointId,
        key: Option<Once>,
        answer: impl Fn(WebhookId) -> Answer + Send + 'static,
    ) -> Result<Met<Option<WebhookId>>, StoreError> {
        self.write(3, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                let owed = owe_test(tx, now, account, id)?;
                Ok((owed, owed.filter(|_| key.is_some()).map(&answer)))
            })
        })
        .await
    }

    /// Owes an endpoint once more what it was told, under the same ids, at most `limit` of it.
    ///
    /// In parts, each a transaction of its own. `None` where the account has no such endpoint, or
    /// it was never owed that one webhook.
    pub async fn replay(
        &self,
        now: Timestamp,
        account: AccountId,
        id: EndpointId,
        which: Replay,
        limit: u32,
    ) -> Result<Option<Replayed>, StoreError> {
        let (since, until, delivered) = match which {
            Replay::One(webhook) => {
                let found = self.write(2, move |tx| replay_one(tx, now, account, id, webhook));
                let replayed = Replayed { many: 1, more: false };
                return Ok(found.await?.then_some(replayed));
            }
            Replay::Range { since, until, delivered } => (since, until, delivered),
        };
        let (mut many, mut after) = (0, (since.as_millis(), i64::MIN));
        loop {
            let rows = REPLAY_ROWS.min(limit - many);
            if rows == 0 {
                return Ok(Some(Replayed { many, more: true }));
            }
            let part = self
                .write(REPLAY_ROWS as usize, move |tx| {
                    replay_part(tx, now, (account, id), after, until, delivered, rows)
                })
                .await?;
            let Some(part) = part else { return Ok(None) };
            many += u32::try_from(part.len()).unwrap_or(u32::MAX);
            match part.last() {
                Some(last) if part.len() as u32 == rows => after = *last,
                Some(_) | None => return Ok(Some(Replayed { many, more: false })),
            }
        }
    }
}

impl Reader {
    /// An endpoint of the account.
    pub async fn endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        self.look(move |sql| sql.one(ENDPOINT, values![account, id], endpoint)).await
    }

    /// The endpoints of the account, oldest first; there are few.
    pub async fn endpoints(&self, account: AccountId) -> Result<Vec<Endpoint>, StoreError> {
        self.look(move |sql| sql.all(ENDPOINTS, values![account], endpoint)).await
    }

    /// Deliveries to an endpoint, newest first, at most `limit` in a page.
    pub async fn endpoint_deliveries(
        &self,
        id: EndpointId,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<LoggedDelivery>, StoreError> {
        let below = Cursor::before(from);
        self.look(move |sql| {
            let items = sql.all(DELIVERIES, values![id, below, limit], logged)?;
            Ok(Page::of(items, limit, |item| item.id.0))
        })
        .await
    }

    /// As [`Store::signing_keys`].
    pub async fn signing_keys(
        &self,
        account: AccountId,
        of: Option<EndpointId>,
    ) -> Result<Vec<KeyPair>, StoreError> {
        keys(self, account, of).await
    }
}

/// Takes note of what an endpoint made of a delivery; why it was disabled, where it was.
pub(crate) fn note_reception(
    tx: &Tx<'_>,
    id: EndpointId,
    at: Timestamp,
    accepted: bool,
    gone: bool,
) -> Result<Option<DisableReason>, StoreError> {
    if accepted {
        tx.run(MARK_WELL, values![id])?;
        return Ok(None);
    }
    let failing_since = tx.one(MARK_FAILING, values![at, id], |row| row.time())?;
    let long = failing_since.is_some_and(|since| at.since(since) >= FAILING_MAX);
    let why = match (gone, long) {
        (true, _) => DisableReason::Gone,
        (false, true) => DisableReason::Failing,
        (false, false) => return Ok(None),
    };
    let disabled = tx.run(DISABLE, values![why.name(), at, id])? > 0;
    Ok(disabled.then_some(why))
}

async fn keys(
    reader: &Reader,
    account: AccountId,
    of: Option<EndpointId>,
) -> Result<Vec<KeyPair>, StoreError> {
    let id = of.unwrap_or(RESULT_URLS);
    reader.look(move |sql| sql.all(KEYS, values![account, id], key_pair)).await
}

fn create(
    tx: &mut Tx<'_>,
    now: Timestamp,
    new: &NewEndpoint,
) -> Result<Option<Endpoint>, StoreError> {
    let known = tx.the(COUNT, values![new.account], |row| row.int())?;
    if known >= i64::from(ENDPOINTS_MAX) {
        return Ok(None);
    }
    let state = match new.enabled {
        false => EndpointState::Disabled { why: DisableReason::Client, at: now },
        true => EndpointState::Enabled,
    };
    let (name, why, since) = state_columns(state, now);
    let topics = new.topics.names();
    let (url, description) = (new.url.as_str(), new.description.as_str());
    let values = values![new.account, url, description, topics.as_str(), name, why, since];
    let created = tx.the(CREATE, values, endpoint)?;
    tx.endpoints_changed();
    let key = &new.key;
    tx.run(ADD_KEY, values![new.account, created.id, &key.secret, &key.seed, now])?;
    Ok(Some(created))
}

fn owe_test(
    tx: &mut Tx<'_>,
    now: Timestamp,
    account: AccountId,
    id: EndpointId,
) -> Result<Option<WebhookId>, StoreError> {
    if tx.one(ENDPOINT, values![account, id], endpoint)?.is_none() {
        return Ok(None);
    }
    let message =
        Message { account, contact: None, topic: Topic::Test, attempt: None, at: now, detail: "" };
    owe_endpoint(tx, id, &message, Timestamp::default()).map(Some)
}

fn replay_one(
    tx: &mut Tx<'_>,
    now: Timestamp,
    account: AccountId,
    id: EndpointId,
    webhook: WebhookId,
) -> Result<bool, StoreError> {
    let of_account = tx.one(ENDPOINT, values![account, id], endpoint)?.is_some();
    let owed = tx.one(OVER_ONE, values![id, webhook], |row| row.int())?.is_some();
    if of_account && owed {
        owe_again(tx, now, webhook)?;
    }
    Ok(of_account && owed)
}

/// Owes a part of a range again: moment and id of each, in order.
fn replay_part(
    tx: &mut Tx<'_>,
    now: Timestamp,
    (account, id): (AccountId, EndpointId),
    after: (i64, i64),
    until: Timestamp,
    delivered: bool,
    rows: u32,
) -> Result<Option<Vec<(i64, i64)>>, StoreError> {
    if tx.one(ENDPOINT, values![account, id], endpoint)?.is_none() {
        return Ok(None);
    }
    let other = if delivered { WebhookState::Delivered } else { WebhookState::GivenUp };
    let values = values![id, after.0, after.1, until, other.name(), rows];
    let part = tx.all(OVER, values, |row| {
        let (id, at) = (row.int()?, row.int()?);
        Ok((at, id))
    })?;
    for (_, webhook) in &part {
        owe_again(tx, now, WebhookId(*webhook))?;
    }
    Ok(Some(part))
}

fn state_columns(
    state: EndpointState,
    now: Timestamp,
) -> (&'static str, Option<&'static str>, Timestamp) {
    match state {
        EndpointState::Disabled { why, at } => ("disabled", Some(why.name()), at),
        EndpointState::Enabled => ("enabled", None, now),
    }
}

fn endpoint(row: &mut Row<'_>) -> Result<Endpoint, StoreError> {
    let (id, account) = (EndpointId(row.int()?), AccountId(row.int()?));
    let (url, description) = (row.text()?, row.text()?);
    let topics = Topics::from_names(&row.text()?);
    let state = row.text()?;
    let why = row.maybe_text()?;
    let at = row.time()?;
    let state = match (state.as_str(), why.as_deref().and_then(DisableReason::from_name)) {
        ("disabled", Some(why)) => EndpointState::Disabled { why, at },
        ("enabled", None) => EndpointState::Enabled,
        _ => return Err(row.damaged(&format!("the state {state:?} for the reason {why:?}"))),
    };
    let (failing_since, created_at) = (row.maybe_time()?, row.time()?);
    Ok(Endpoint { id, account, url, description, topics, state, failing_since, created_at })
}

fn key_pair(row: &mut Row<'_>) -> Result<KeyPair, StoreError> {
    Ok(KeyPair { secret: row.bytes32()?, seed: row.bytes32()?, expires_at: row.maybe_time()? })
}

fn logged(row: &mut Row<'_>) -> Result<LoggedDelivery, StoreError> {
    let (id, webhook) = (DeliveryId(row.int()?), WebhookId(row.int()?));
    let (at, accepted, status) = (row.time()?, row.flag()?, row.maybe_number()?);
    let latency = Duration::from_millis(row.number()?);
    let (answer, detail) = (row.text()?, row.text()?);
    let topic = row.name(Topic::from_name)?;
    let contact = row.maybe_int()?.map(ContactId);
    let state = row.name(WebhookState::from_name)?;
    let next_at = Some(row.time()?).filter(|_| state == WebhookState::Owed);
    Ok(LoggedDelivery {
        id,
        webhook,
        at,
        accepted,
        status,
        latency,
        answer,
        detail,
        topic,
        contact,
        state,
        next_at,
    })
}
