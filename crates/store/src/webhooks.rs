//! The outbox: webhooks owed, leased for a delivery, and what came of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use domain::application::Dialect;
use domain::contact::Contact;
use domain::ids::{ContactId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::DeliveryVerdict;

use crate::driver::Sql;
use crate::inbox::Manner;
use crate::outbox::{Change, Outbox, Turn};
use crate::tx::{Number, Tx};
use crate::value::{contact_columns, cut, queries, values};
use crate::{Delivery, Owed, Reader, Store, StoreError, Webhook, WebhookState};

queries! {
    DELIVERIES = "SELECT deliveries.id, deliveries.webhook, deliveries.at, deliveries.accepted, \
        deliveries.status, deliveries.detail \
        FROM webhooks JOIN deliveries ON deliveries.webhook = webhooks.id \
        WHERE webhooks.contact = $1 ORDER BY deliveries.id LIMIT $2";
    DUE_OF_HOST = "SELECT id, next_at FROM webhooks WHERE host = $1 AND state = 'owed' \
        AND next_at <= $2 ORDER BY next_at, id LIMIT $3";
    EXISTS = "SELECT id FROM webhooks WHERE id = $1";
    FORGET = "DELETE FROM webhooks WHERE id = $1";
    FORGET_DELIVERIES = "DELETE FROM deliveries WHERE webhook = $1";
    LATER_OF_HOST = "SELECT next_at FROM webhooks WHERE host = $1 AND state = 'owed' \
        AND next_at > $2 ORDER BY next_at, id LIMIT 1";
    OVER = "SELECT id FROM webhooks WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2";
    OWE = "INSERT INTO webhooks (id, contact, state, dialect, owed_since, next_at, host, url) \
        VALUES ($1, $2, 'owed', $3, $4, $4, $5, $6)";
    OWED = concat!(
        "SELECT webhooks.id, webhooks.url, webhooks.dialect, webhooks.deliveries, \
         webhooks.owed_since, ", contact_columns!(),
        " FROM webhooks JOIN contacts ON contacts.id = webhooks.contact WHERE webhooks.id = $1"
    );
    OWED_HOSTS = "SELECT host, min(next_at) FROM webhooks WHERE state = 'owed' GROUP BY host";
    RECORD = "INSERT INTO deliveries (webhook, id, at, accepted, status, detail) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    SETTLE = "UPDATE webhooks SET state = $1, deliveries = deliveries + 1, \
        next_at = coalesce($2, next_at), ended_at = $3 \
        WHERE id = $4 AND state = 'owed' RETURNING host";
    WEBHOOK = "SELECT id, contact, url, state, deliveries, owed_since, next_at FROM webhooks \
        WHERE contact = $1";
}

/// Most hosts that one lease looks at.
const HOSTS_MAX: usize = 1_000;
/// Most deliveries of a contact that are read: with the longest waits, weeks of them.
const DELIVERIES_MAX: u32 = 1_000;

impl Store {
    /// Leases up to `limit` due webhooks until `lease_until`, at most `per_host_max` of one host at
    /// once, those still leased included.
    ///
    /// Hosts take turns, the one served longest ago first, so that a dead host holds up nobody
    /// else. A lease that runs out makes the webhook due again; leases end with the process.
    pub async fn lease_webhooks(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        per_host_max: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        // Most looks find nothing; those cost nothing.
        if self.webhooks_due_at().await?.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let outbox = self.outbox();
        // All looks are on the one thread of these eyes, so no two serve the same.
        self.eyes()
            .look(move |sql| {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let per_host_max = usize::try_from(per_host_max).unwrap_or(usize::MAX);
                let turns = locked(&outbox, |outbox| outbox.turns(now, per_host_max, HOSTS_MAX));
                let (owed, served) = sql.snapshot(|sql| lease(sql, now, limit, turns))?;
                locked(&outbox, |outbox| {
                    for host in served {
                        outbox.served(now, lease_until, &host.name, &host.served, host.next);
                    }
                });
                Ok(owed)
            })
            .await
    }

    /// Records what came of a delivery and what follows from it, and gives the lease back.
    ///
    /// A webhook that is over stays over; the delivery is recorded all the same. Answers with the
    /// next commit of something that cannot wait: what a crash loses by that is delivered again.
    pub async fn record_delivery(
        &self,
        webhook: WebhookId,
        at: Timestamp,
        accepted: bool,
        status: Option<u16>,
        detail: &str,
        verdict: DeliveryVerdict,
    ) -> Result<(), StoreError> {
        let detail = cut(detail).to_owned();
        self.write_with(Manner::NOTED, 3, move |tx| {
            if tx.one(EXISTS, values![webhook], |_| Ok(()))?.is_none() {
                return Err(StoreError::Unknown { what: "webhook", id: webhook.0 });
            }
            let (id, status) = (tx.numbers(Number::Delivery, 1)?, status.map(u32::from));
            tx.put(RECORD, values![webhook, id, at, accepted, status, detail.as_str()])?;
            settle(tx, webhook, at, verdict)
        })
        .await
    }

    /// When to look for webhooks again; never later than the next one is due.
    pub async fn webhooks_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(locked(&self.outbox(), |outbox| outbox.due_at()))
    }

    /// Deletes up to `limit` webhooks that were over before `before`, with their deliveries; how
    /// many there were. Looks through all webhooks: for quiet minutes.
    pub async fn purge_webhooks(&self, before: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let over = self
            .eyes()
            .look(move |sql| sql.all(OVER, values![before, limit], |row| row.int()))
            .await?;
        self.write_with(Manner::PREPARED, over.len(), move |tx| {
            for webhook in &over {
                tx.run(FORGET_DELIVERIES, values![*webhook])?;
                tx.run(FORGET, values![*webhook])?;
            }
            let owed = tx.all(OWED_HOSTS, &[], |row| row.text())?;
            tx.outbox(Change::Keep(BTreeSet::from_iter(owed)));
            Ok(u32::try_from(over.len()).unwrap_or(u32::MAX))
        })
        .await
    }
}

impl Reader {
    /// The webhook that tells of a contact's end, if one is or was owed.
    pub async fn webhook(&self, contact: ContactId) -> Result<Option<Webhook>, StoreError> {
        self.look(move |sql| sql.one(WEBHOOK, values![contact], |row| row.webhook())).await
    }

    /// Deliveries of a contact's webhook, oldest first.
    pub async fn deliveries(&self, contact: ContactId) -> Result<Vec<Delivery>, StoreError> {
        self.look(move |sql| {
            sql.all(DELIVERIES, values![contact, DELIVERIES_MAX], |row| row.delivery())
        })
        .await
    }
}

/// Tells a new process's outbox what is owed.
pub(crate) fn load(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (host, at) in tx.all(OWED_HOSTS, &[], |row| Ok((row.text()?, row.time()?)))? {
        tx.outbox(Change::Owe { host, at });
    }
    Ok(())
}

/// Owes the client the end of a contact, where one asked for it.
pub(crate) fn owe(tx: &mut Tx<'_>, contact: &Contact, at: Timestamp) -> Result<(), StoreError> {
    let Some(url) = contact.result_url.as_deref() else {
        return Ok(());
    };
    let (id, host) = (tx.numbers(Number::Webhook, 1)?, host(url));
    tx.put(OWE, values![id, contact.id, contact.dialect, at, host.as_str(), url])?;
    tx.outbox(Change::Owe { host, at });
    tx.count_webhook(WebhookState::Owed, 1);
    Ok(())
}

/// A host as a look found it.
struct Found {
    name: String,
    due: std::vec::IntoIter<(WebhookId, Timestamp)>,
    /// There may be more of the due than were looked at.
    more: bool,
}

/// A host after its turn.
struct Served {
    name: String,
    served: Vec<WebhookId>,
    next: Option<Timestamp>,
}

fn lease(
    sql: Sql<'_>,
    now: Timestamp,
    limit: usize,
    turns: Vec<Turn>,
) -> Result<(Vec<Owed>, Vec<Served>), StoreError> {
    let mut found = Vec::with_capacity(turns.len());
    for turn in turns {
        let look = turn.free.min(limit) + turn.leased.len();
        let most = i64::try_from(look).unwrap_or(i64::MAX);
        let values = values![turn.host.as_str(), now, most];
        let mut due =
            sql.all(DUE_OF_HOST, values, |row| Ok((WebhookId(row.int()?), row.time()?)))?;
        let more = due.len() == look;
        due.retain(|due| !turn.leased.contains(&due.0));
        due.truncate(turn.free);
        found.push(Found { name: turn.host, due: due.into_iter(), more });
    }
    let (dealt, hosts) = deal(found, limit);
    let mut served = Vec::with_capacity(hosts.len());
    for (mut host, webhooks) in hosts {
        let next = match (host.due.next(), host.more) {
            (Some((_, next_at)), _) => Some(next_at),
            (None, true) => Some(now),
            (None, false) => {
                sql.one(LATER_OF_HOST, values![host.name.as_str(), now], |row| row.time())?
            }
        };
        served.push(Served { name: host.name, served: webhooks, next });
    }
    let mut owed = Vec::with_capacity(dealt.len());
    for webhook in dealt {
        owed.extend(sql.one(OWED, values![webhook], |row| {
            Ok(Owed {
                webhook: WebhookId(row.int()?),
                url: row.text()?,
                dialect: Dialect(row.number()?),
                deliveries: row.number()?,
                owed_since: row.time()?,
                contact: row.contact()?,
            })
        })?);
    }
    Ok((owed, served))
}

/// One to each host in turn, until nothing is left to serve or the limit is reached; all that was
/// dealt, and each host with its part of it.
fn deal(found: Vec<Found>, limit: usize) -> (Vec<WebhookId>, Vec<(Found, Vec<WebhookId>)>) {
    let mut hosts: Vec<_> = found.into_iter().map(|host| (host, Vec::new())).collect();
    let mut dealt = Vec::new();
    loop {
        let before = dealt.len();
        for (host, served) in &mut hosts {
            if dealt.len() < limit
                && let Some((webhook, _)) = host.due.next()
            {
                dealt.push(webhook);
                served.push(webhook);
            }
        }
        if dealt.len() == before {
            return (dealt, hosts);
        }
    }
}

fn settle(
    tx: &mut Tx<'_>,
    webhook: WebhookId,
    at: Timestamp,
    verdict: DeliveryVerdict,
) -> Result<(), StoreError> {
    let (state, next_at, ended_at) = match verdict {
        DeliveryVerdict::Delivered => (WebhookState::Delivered, None, Some(at)),
        DeliveryVerdict::GivenUp | DeliveryVerdict::Gone => (WebhookState::GivenUp, None, Some(at)),
        DeliveryVerdict::RetryAt(next_at) => (WebhookState::Owed, Some(next_at), None),
    };
    let values = values![state.name(), next_at, ended_at, webhook];
    let Some(host) = tx.one(SETTLE, values, |row| row.text())? else {
        return Ok(());
    };
    if state != WebhookState::Owed {
        tx.count_webhook(WebhookState::Owed, -1);
        tx.count_webhook(state, 1);
    }
    tx.outbox(Change::Settle { host, webhook, next_at });
    Ok(())
}

fn locked<T>(outbox: &Mutex<Outbox>, look: impl FnOnce(&mut Outbox) -> T) -> T {
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
