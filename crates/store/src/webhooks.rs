//! The outbox: what clients are owed, leased for a delivery, and what came of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::application::Dialect;
use domain::contact::{Contact, ContactState};
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, ContactId, EndpointId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::{DeliveryVerdict, DisableReason, Topic, Topics};

use crate::ahead::{Want, WebhookAhead};
use crate::driver::{Row, Sql};
use crate::endpoints::note_reception;
use crate::inbox::Manner;
use crate::outbox::{Change, Outbox, Turn};
use crate::tx::{Number, Tx};
use crate::value::{contact_columns, cut, listed, queries, values};
use crate::{Delivery, Owed, Reader, Store, StoreError, Tried, Webhook, WebhookState};

queries! {
    DELIVERIES = "SELECT deliveries.id, deliveries.webhook, deliveries.at, deliveries.accepted, \
        deliveries.status, deliveries.detail \
        FROM webhooks JOIN deliveries ON deliveries.webhook = webhooks.id \
        WHERE webhooks.contact = $1 AND webhooks.endpoint IS NULL \
        ORDER BY deliveries.id LIMIT $2";
    DUE_OF_LANE = "SELECT id, next_at FROM webhooks WHERE node = $1 AND lane = $2 \
        AND state = 'owed' AND next_at <= $3 ORDER BY next_at, id LIMIT $4";
    ENDPOINTS_OF = "SELECT id, topics FROM endpoints WHERE account = $1 AND state = 'enabled' \
        ORDER BY id";
    ENDPOINTS_OF_CONTACT = "SELECT endpoints.id, endpoints.topics, endpoints.account \
        FROM contacts JOIN endpoints ON endpoints.account = contacts.account \
        WHERE contacts.id = $1 AND endpoints.state = 'enabled' ORDER BY endpoints.id";
    FORGET = "DELETE FROM webhooks WHERE id = $1";
    FORGET_DELIVERIES = "DELETE FROM deliveries WHERE webhook = $1";
    IS_THERE = "SELECT endpoint FROM webhooks WHERE id = $1";
    LANE = "SELECT lane FROM webhooks WHERE id = $1";
    LATER_OF_LANE = "SELECT next_at FROM webhooks WHERE node = $1 AND lane = $2 \
        AND state = 'owed' AND next_at > $3 ORDER BY next_at, id LIMIT 1";
    // The oldest come first, and what is far behind them is not looked at.
    OVER = "SELECT id FROM (SELECT id, ended_at FROM webhooks ORDER BY id LIMIT $1) AS oldest \
        WHERE ended_at < $2 ORDER BY id LIMIT $3";
    OWE = "INSERT INTO webhooks (id, account, contact, endpoint, topic, attempt, at, detail, \
        state, dialect, owed_since, next_at, lane, url, node) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'owed', $9, $7, $10, $11, $12, $13)";
    OWE_AGAIN = "UPDATE webhooks SET state = 'owed', deliveries = 0, owed_since = $1, \
        next_at = $1, ended_at = NULL WHERE id = $2 RETURNING lane";
    // In PostgreSQL of a list, for there each question costs a round trip.
    OWED = concat!(
        "SELECT webhooks.id, webhooks.account, webhooks.endpoint, \
         coalesce(endpoints.url, webhooks.url), webhooks.lane, webhooks.dialect, \
         webhooks.topic, webhooks.attempt, webhooks.at, webhooks.detail, webhooks.deliveries, \
         webhooks.owed_since, coalesce(endpoints.state, 'enabled'), webhooks.contact, ",
        contact_columns!(),
        " FROM webhooks LEFT JOIN contacts ON contacts.id = webhooks.contact \
         LEFT JOIN endpoints ON endpoints.id = webhooks.endpoint WHERE webhooks.id = \
         /*! ANY (CAST(string_to_array( */ $1 /*! , ',') AS bigint[])) */"
    );
    OWED_LANES = "SELECT lane, min(next_at) FROM webhooks WHERE state = 'owed' AND node = $1 \
        GROUP BY lane";
    RECORD = "INSERT INTO deliveries (webhook, id, endpoint, at, accepted, status, latency_ms, \
        answer, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    // Not `state = 'owed'`: PostgreSQL might look for the row among all that is owed, of which it
    // believes there to be few when it plans, and there are many while a client's server is away.
    SETTLE = "UPDATE webhooks SET state = $1, deliveries = deliveries + 1, \
        next_at = coalesce($2, next_at), ended_at = $3 \
        WHERE id = $4 AND state NOT IN ('delivered', 'given_up') RETURNING lane";
    // The same where it is known that it is owed, and in which lane.
    SETTLE_KNOWN = "UPDATE webhooks SET state = $1, deliveries = deliveries + 1, \
        next_at = coalesce($2, next_at), ended_at = $3 WHERE id = $4";
    STATE = "SELECT state FROM webhooks WHERE id = $1";
    UNDONE = "SELECT id, lane FROM webhooks WHERE attempt = $1 AND state = 'owed'";
    WEBHOOK = "SELECT id, contact, url, state, deliveries, owed_since, next_at FROM webhooks \
        WHERE contact = $1 AND endpoint IS NULL";
}

/// Most lanes that one lease looks at.
const LANES_MAX: usize = 1_000;
/// Most deliveries of a contact that are read: with the longest waits, weeks of them.
const DELIVERIES_MAX: u32 = 1_000;
/// Oldest webhooks that one purge looks at.
const PURGE_LOOK_MAX: u32 = 20_000;

/// What an endpoint, or a result URL, is told.
pub(crate) struct Message<'m> {
    /// Whose it is.
    pub account: AccountId,
    /// Whom it tells of, and in whose words it came.
    pub contact: Option<(ContactId, Dialect)>,
    /// What it tells of.
    pub topic: Topic,
    /// The attempt that it concerns.
    pub attempt: Option<AttemptId>,
    /// When it happened.
    pub at: Timestamp,
    /// The detail of its topic.
    pub detail: &'m str,
}

impl Store {
    /// Leases up to `limit` due webhooks until `lease_until`, at most `per_lane_max` of one lane at
    /// once, those still leased included.
    ///
    /// Lanes take turns, the one served longest ago first, so that a dead server holds up nobody
    /// else: each endpoint has a lane, and each host of an account's result URLs. A lease that runs
    /// out makes the webhook due again; leases end with the process.
    pub async fn lease_webhooks(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        per_lane_max: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        // Most looks find nothing; those cost nothing.
        if self.webhooks_due_at().await?.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let (node, outbox) = (self.node(), self.outbox());
        // All looks are on the one thread of these eyes, so no two serve the same.
        self.eyes()
            .look(move |sql| {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let per_lane_max = usize::try_from(per_lane_max).unwrap_or(usize::MAX);
                let turns = locked(&outbox, |outbox| outbox.turns(now, per_lane_max, LANES_MAX));
                let (owed, served) = sql.snapshot(|sql| lease(sql, node, now, limit, turns))?;
                locked(&outbox, |outbox| {
                    for lane in served {
                        outbox.served(now, lease_until, &lane.name, &lane.served, lane.next);
                    }
                });
                Ok(owed)
            })
            .await
    }

    /// Holds a lane to `most` deliveries at once, and to none before `peace_until`, in this
    /// process; `None` frees it.
    pub fn limit_lane(&self, lane: &str, limit: Option<(u32, Option<Timestamp>)>) {
        let limit = limit.map(|(most, until)| (usize::try_from(most).unwrap_or(usize::MAX), until));
        locked(&self.outbox(), |outbox| outbox.limit(lane, limit));
    }

    /// Gives back leases of webhooks of a lane that were not tried.
    pub fn give_back_webhooks(
        &self,
        now: Timestamp,
        lane: &str,
        webhooks: impl IntoIterator<Item = WebhookId>,
    ) {
        locked(&self.outbox(), |outbox| {
            for webhook in webhooks {
                let (lane, next_at) = (lane.to_owned(), Some(now));
                outbox.apply(Change::Settle { lane, webhook, next_at });
            }
        });
    }

    /// Records what came of a delivery and what follows from it, and gives the lease back; why the
    /// endpoint was disabled by it, where it was.
    ///
    /// A webhook that is over stays over; the delivery is recorded all the same. Answers with the
    /// next commit of something that cannot wait: what a crash loses by that is delivered again.
    pub async fn record_delivery(
        &self,
        webhook: WebhookId,
        tried: Tried,
        verdict: DeliveryVerdict,
    ) -> Result<Option<DisableReason>, StoreError> {
        self.write_wanting(Manner::NOTED, 4, Want::Webhook(webhook), move |tx| {
            let ahead = tx.webhook_ahead(webhook);
            let endpoint = match &ahead {
                Some(ahead) => ahead.endpoint,
                None => {
                    let there = tx.one(IS_THERE, values![webhook], |row| row.maybe_int())?;
                    let unknown = StoreError::Unknown { what: "webhook", id: webhook.0 };
                    there.ok_or(unknown)?.map(EndpointId)
                }
            };
            let id = tx.numbers(Number::Delivery, 1)?;
            let values = values![
                webhook,
                id,
                endpoint,
                tried.at,
                tried.accepted,
                tried.status.map(u32::from),
                tried.latency,
                cut(&tried.answer),
                cut(&tried.detail),
            ];
            tx.put(RECORD, values)?;
            settle(tx, webhook, ahead, tried.at, verdict)?;
            let gone = verdict == DeliveryVerdict::Gone;
            endpoint.map_or(Ok(None), |endpoint| {
                note_reception(tx, endpoint, tried.at, tried.accepted, gone)
            })
        })
        .await
    }

    /// Gives a webhook up that was not even tried: its endpoint is disabled or deleted.
    pub async fn drop_webhook(&self, webhook: WebhookId, at: Timestamp) -> Result<(), StoreError> {
        self.write_with(Manner::NOTED, 1, move |tx| {
            settle(tx, webhook, None, at, DeliveryVerdict::GivenUp)
        })
        .await
    }

    /// When to look for webhooks again; never later than the next one is due.
    pub async fn webhooks_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(locked(&self.outbox(), |outbox| outbox.due_at()))
    }

    /// Deletes up to `limit` of the oldest webhooks that were over before `before`, with their
    /// deliveries; how many there were.
    pub async fn purge_webhooks(&self, before: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let over = self
            .eyes()
            .look(move |sql| sql.all(OVER, values![PURGE_LOOK_MAX, before, limit], |row| row.int()))
            .await?;
        self.write_with(Manner::PREPARED, over.len(), move |tx| {
            for webhook in &over {
                tx.run(FORGET_DELIVERIES, values![*webhook])?;
                tx.run(FORGET, values![*webhook])?;
            }
            let owed = tx.all(OWED_LANES, values![tx.node], |row| row.text())?;
            tx.outbox(Change::Keep(BTreeSet::from_iter(owed)));
            Ok(u32::try_from(over.len()).unwrap_or(u32::MAX))
        })
        .await
    }
}

impl Reader {
    /// The webhook that tells a contact's result URL of its end, if one is or was owed.
    pub async fn webhook(&self, contact: ContactId) -> Result<Option<Webhook>, StoreError> {
        self.look(move |sql| sql.one(WEBHOOK, values![contact], |row| row.webhook())).await
    }

    /// Deliveries to a contact's result URL, oldest first.
    pub async fn deliveries(&self, contact: ContactId) -> Result<Vec<Delivery>, StoreError> {
        self.look(move |sql| {
            sql.all(DELIVERIES, values![contact, DELIVERIES_MAX], |row| row.delivery())
        })
        .await
    }
}

/// Tells a new process's outbox what is owed.
pub(crate) fn load(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (lane, at) in tx.all(OWED_LANES, values![tx.node], |row| Ok((row.text()?, row.time()?)))? {
        tx.outbox(Change::Owe { lane, at });
    }
    Ok(())
}

/// Owes the end of a contact to all that asked for it: its result URL, and endpoints.
pub(crate) fn owe(tx: &mut Tx<'_>, contact: &Contact, at: Timestamp) -> Result<(), StoreError> {
    let ContactState::Done(disposition) = contact.state else {
        return Ok(());
    };
    let message = Message {
        account: contact.account,
        contact: Some((contact.id, contact.dialect)),
        topic: Topic::of_end(disposition),
        attempt: None,
        at,
        detail: "",
    };
    if let Some(url) = contact.result_url.as_deref() {
        let lane = format!("{}/{}", contact.account, host(url));
        owe_one(tx, None, &message, at, lane, url)?;
    }
    if !tx.endpoints_listen()? {
        return Ok(());
    }
    for (endpoint, topics) in tx.all(ENDPOINTS_OF, values![contact.account], listener)? {
        if topics.contains(message.topic) {
            owe_endpoint(tx, endpoint, &message, at)?;
        }
    }
    Ok(())
}

/// Owes a fact about an attempt to the endpoints that asked for such.
pub(crate) fn owe_fact(
    tx: &mut Tx<'_>,
    contact: ContactId,
    attempt: Option<AttemptId>,
    at: Timestamp,
    kind: EventKind,
    detail: &str,
) -> Result<(), StoreError> {
    let Some(topic) = Topic::of_fact(kind) else {
        return Ok(());
    };
    if !tx.endpoints_listen()? {
        return Ok(());
    }
    let listeners = tx.all(ENDPOINTS_OF_CONTACT, values![contact], |row| {
        Ok((listener(row)?, AccountId(row.int()?)))
    })?;
    for ((endpoint, topics), account) in listeners {
        if topics.contains(topic) {
            // What an endpoint is told is in our own words.
            let contact = Some((contact, Dialect(0)));
            let message = Message { account, contact, topic, attempt, at, detail };
            owe_endpoint(tx, endpoint, &message, at)?;
        }
    }
    Ok(())
}

/// Owes a message to an endpoint, not to be delivered before `next_at`.
pub(crate) fn owe_endpoint(
    tx: &mut Tx<'_>,
    endpoint: EndpointId,
    message: &Message<'_>,
    next_at: Timestamp,
) -> Result<WebhookId, StoreError> {
    owe_one(tx, Some(endpoint), message, next_at, format!("e{endpoint}"), "")
}

/// Owes once more what was owed before, from the first delivery on.
pub(crate) fn owe_again(
    tx: &mut Tx<'_>,
    now: Timestamp,
    webhook: WebhookId,
) -> Result<(), StoreError> {
    let was = tx.the(STATE, values![webhook], |row| row.name(WebhookState::from_name))?;
    let lane = tx.the(OWE_AGAIN, values![now, webhook], |row| row.text())?;
    tx.count_webhook(was, -1);
    tx.count_webhook(WebhookState::Owed, 1);
    tx.outbox(Change::Owe { lane, at: now });
    Ok(())
}

/// Owes nobody any more what an attempt was said to do, for it is undone.
pub(crate) fn undo(tx: &mut Tx<'_>, attempt: AttemptId) -> Result<(), StoreError> {
    let undone = tx.all(UNDONE, values![attempt], |row| Ok((row.int()?, row.text()?)))?;
    for (webhook, lane) in undone {
        tx.run(FORGET_DELIVERIES, values![webhook])?;
        tx.run(FORGET, values![webhook])?;
        tx.count_webhook(WebhookState::Owed, -1);
        tx.outbox(Change::Settle { lane, webhook: WebhookId(webhook), next_at: None });
    }
    Ok(())
}

fn owe_one(
    tx: &mut Tx<'_>,
    endpoint: Option<EndpointId>,
    message: &Message<'_>,
    next_at: Timestamp,
    lane: String,
    url: &str,
) -> Result<WebhookId, StoreError> {
    let id = WebhookId(tx.numbers(Number::Webhook, 1)?);
    let (contact, dialect) = message.contact.unzip();
    let values = values![
        id,
        message.account,
        contact,
        endpoint,
        message.topic.name(),
        message.attempt,
        message.at,
        cut(message.detail),
        dialect.unwrap_or(Dialect(0)),
        next_at,
        lane.as_str(),
        url,
        tx.node,
    ];
    tx.put(OWE, values)?;
    tx.outbox(Change::Owe { lane, at: next_at });
    tx.count_webhook(WebhookState::Owed, 1);
    Ok(id)
}

fn listener(row: &mut Row<'_>) -> Result<(EndpointId, Topics), StoreError> {
    Ok((EndpointId(row.int()?), Topics::from_names(&row.text()?)))
}

/// A lane as a look found it.
struct Found {
    name: String,
    due: std::vec::IntoIter<(WebhookId, Timestamp)>,
    /// There may be more of the due than were looked at.
    more: bool,
}

/// A lane after its turn.
struct Served {
    name: String,
    served: Vec<WebhookId>,
    next: Option<Timestamp>,
}

fn lease(
    sql: Sql<'_>,
    node: i64,
    now: Timestamp,
    limit: usize,
    turns: Vec<Turn>,
) -> Result<(Vec<Owed>, Vec<Served>), StoreError> {
    let mut found = Vec::with_capacity(turns.len());
    for turn in turns {
        let look = turn.free.min(limit) + turn.leased.len();
        let most = i64::try_from(look).unwrap_or(i64::MAX);
        let values = values![node, turn.lane.as_str(), now, most];
        let mut due =
            sql.all(DUE_OF_LANE, values, |row| Ok((WebhookId(row.int()?), row.time()?)))?;
        let more = due.len() == look;
        due.retain(|due| !turn.leased.contains(&due.0));
        due.truncate(turn.free);
        found.push(Found { name: turn.lane, due: due.into_iter(), more });
    }
    let (dealt, lanes) = deal(found, limit);
    let mut served = Vec::with_capacity(lanes.len());
    for (mut lane, webhooks) in lanes {
        let next = match (lane.due.next(), lane.more) {
            (Some((_, next_at)), _) => Some(next_at),
            (None, true) => Some(now),
            (None, false) => {
                let values = values![node, lane.name.as_str(), now];
                sql.one(LATER_OF_LANE, values, |row| row.time())?
            }
        };
        served.push(Served { name: lane.name, served: webhooks, next });
    }
    Ok((read_all_owed(sql, &dealt)?, served))
}

/// What is owed by these webhooks, in their order.
fn read_all_owed(sql: Sql<'_>, webhooks: &[WebhookId]) -> Result<Vec<Owed>, StoreError> {
    let found: Vec<Owed> = match sql {
        Sql::Postgres(_) if webhooks.is_empty() => Vec::new(),
        Sql::Postgres(_) => {
            let list = listed(webhooks.iter().map(|webhook| webhook.0));
            sql.all(OWED, values![list.as_str()], read_owed)?
        }
        Sql::Sqlite(_) => {
            let mut found = Vec::with_capacity(webhooks.len());
            for webhook in webhooks {
                found.extend(sql.one(OWED, values![*webhook], read_owed)?);
            }
            return Ok(found);
        }
    };
    let mut by_id: HashMap<WebhookId, Owed> =
        found.into_iter().map(|owed| (owed.webhook, owed)).collect();
    Ok(webhooks.iter().filter_map(|webhook| by_id.remove(webhook)).collect())
}

fn read_owed(row: &mut Row<'_>) -> Result<Owed, StoreError> {
    let (webhook, account) = (WebhookId(row.int()?), AccountId(row.int()?));
    let endpoint = row.maybe_int()?.map(EndpointId);
    let (url, lane) = (row.text()?, row.text()?);
    let dialect = Dialect(row.number()?);
    let topic = row.name(Topic::from_name)?;
    let attempt = row.maybe_int()?.map(AttemptId);
    let (at, detail) = (row.time()?, row.text()?);
    let (deliveries, owed_since) = (row.number()?, row.time()?);
    let muted = match row.text()?.as_str() {
        "enabled" => false,
        // A client may try out what it has not enabled yet.
        "disabled" => topic != Topic::Test,
        _ => true,
    };
    let contact = row.maybe_int()?.map(|_| row.contact()).transpose()?;
    Ok(Owed {
        webhook,
        account,
        endpoint,
        url,
        lane,
        dialect,
        topic,
        attempt,
        at,
        detail,
        deliveries,
        owed_since,
        muted,
        contact,
    })
}

/// One to each lane in turn, until nothing is left to serve or the limit is reached; all that was
/// dealt, and each lane with its part of it.
fn deal(found: Vec<Found>, limit: usize) -> (Vec<WebhookId>, Vec<(Found, Vec<WebhookId>)>) {
    let mut lanes: Vec<_> = found.into_iter().map(|lane| (lane, Vec::new())).collect();
    let mut dealt = Vec::new();
    loop {
        let before = dealt.len();
        for (lane, served) in &mut lanes {
            if dealt.len() < limit
                && let Some((webhook, _)) = lane.due.next()
            {
                dealt.push(webhook);
                served.push(webhook);
            }
        }
        if dealt.len() == before {
            return (dealt, lanes);
        }
    }
}

fn settle(
    tx: &mut Tx<'_>,
    webhook: WebhookId,
    ahead: Option<WebhookAhead>,
    at: Timestamp,
    verdict: DeliveryVerdict,
) -> Result<(), StoreError> {
    let (state, next_at, ended_at) = match verdict {
        DeliveryVerdict::Delivered => (WebhookState::Delivered, None, Some(at)),
        DeliveryVerdict::GivenUp | DeliveryVerdict::Gone => (WebhookState::GivenUp, None, Some(at)),
        DeliveryVerdict::RetryAt(next_at) => (WebhookState::Owed, Some(next_at), None),
    };
    let values = values![state.name(), next_at, ended_at, webhook];
    let settled = match ahead {
        Some(ahead) if ahead.state == WebhookState::Owed => {
            tx.put(SETTLE_KNOWN, values)?;
            Ok(ahead.lane)
        }
        Some(ahead) => Err(Some(ahead.lane)),
        None => match tx.one(SETTLE, values, |row| row.text())? {
            Some(lane) => Ok(lane),
            None => Err(tx.one(LANE, values![webhook], |row| row.text())?),
        },
    };
    let lane = match settled {
        Ok(lane) => lane,
        Err(lane) => {
            // Another node has delivered it meanwhile: here it is under way no longer.
            if let Some(lane) = lane {
                tx.outbox(Change::Settle { lane, webhook, next_at: None });
            }
            return Ok(());
        }
    };
    if state != WebhookState::Owed {
        tx.count_webhook(WebhookState::Owed, -1);
        tx.count_webhook(state, 1);
    }
    tx.outbox(Change::Settle { lane, webhook, next_at });
    Ok(())
}

pub(crate) fn locked<T>(outbox: &Mutex<Outbox>, look: impl FnOnce(&mut Outbox) -> T) -> T {
    // A panic leaves no change half done that matters: a due time too early, a lease too many.
    look(&mut outbox.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The host and port that a URL leads to, by which deliveries take turns.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_a_url_is_what_a_connection_goes_to() {
        let hosts = [
            "http://a.example/result?x=1",
            "https://user:pin@A.Example:8443",
            "http://a.example?b",
            "no url",
        ]
        .map(host);
        assert_eq!(hosts, ["a.example", "a.example:8443", "a.example", "no url"]);
    }
}
