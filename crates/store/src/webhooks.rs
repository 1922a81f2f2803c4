//! The outbox: webhooks owed, leased for a delivery, and what came of it.

use domain::application::Dialect;
use domain::contact::Contact;
use domain::ids::{ContactId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::DeliveryVerdict;

use crate::tx::Tx;
use crate::value::{contact_columns, cut, queries, values};
use crate::{Delivery, Owed, Reader, Store, StoreError, Webhook, WebhookState};

queries! {
    DELIVERIES = "SELECT deliveries.id, deliveries.webhook, deliveries.at, deliveries.accepted, \
        deliveries.status, deliveries.detail \
        FROM webhooks JOIN deliveries ON deliveries.webhook = webhooks.id \
        WHERE webhooks.contact = $1 ORDER BY deliveries.id LIMIT $2";
    DUE_HOSTS = "SELECT host FROM webhook_hosts WHERE due_at <= $1 \
        ORDER BY served_at, host LIMIT $2";
    DUE_OF_HOST = "SELECT id FROM webhooks WHERE host = $1 AND state = 'owed' AND next_at <= $2 \
        AND (leased_until IS NULL OR leased_until <= $2) ORDER BY next_at, id LIMIT $3";
    EARLIEST_DUE = "SELECT min(due_at) FROM webhook_hosts WHERE due_at IS NOT NULL";
    EXISTS = "SELECT id FROM webhooks WHERE id = $1";
    FIRST_LEASE_END = "SELECT min(leased_until) FROM webhooks \
        WHERE host = $1 AND leased_until IS NOT NULL";
    FORGET = "DELETE FROM webhooks WHERE id = $1";
    FORGET_DELIVERIES = "DELETE FROM deliveries WHERE webhook = $1";
    FORGET_HOSTS = "DELETE FROM webhook_hosts WHERE NOT EXISTS \
        (SELECT 1 FROM webhooks WHERE webhooks.host = webhook_hosts.host \
         AND webhooks.state = 'owed')";
    LEASE = "UPDATE webhooks SET leased_until = $1 WHERE id = $2";
    LEASED = "SELECT count(*) FROM webhooks WHERE host = $1 AND leased_until > $2";
    LOOK_EARLIER = "INSERT INTO webhook_hosts (host, due_at, served_at) VALUES ($1, $2, 0) \
        ON CONFLICT (host) DO UPDATE SET due_at = excluded.due_at \
        WHERE webhook_hosts.due_at IS NULL OR webhook_hosts.due_at > excluded.due_at";
    NEXT_OF_HOST = "SELECT next_at FROM webhooks WHERE host = $1 AND state = 'owed' \
        AND (leased_until IS NULL OR leased_until <= $2) ORDER BY next_at, id LIMIT 1";
    OVER = "SELECT id FROM webhooks WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2";
    OWE = "INSERT INTO webhooks (contact, state, dialect, owed_since, next_at, host, url) \
        VALUES ($1, 'owed', $2, $3, $3, $4, $5)";
    OWED = concat!(
        "SELECT webhooks.id, webhooks.url, webhooks.dialect, webhooks.deliveries, \
         webhooks.owed_since, ", contact_columns!(),
        " FROM webhooks JOIN contacts ON contacts.id = webhooks.contact WHERE webhooks.id = $1"
    );
    RECORD = "INSERT INTO deliveries (webhook, at, accepted, status, detail) \
        VALUES ($1, $2, $3, $4, $5)";
    SETTLE = "UPDATE webhooks SET state = $1, deliveries = deliveries + 1, \
        next_at = coalesce($2, next_at), ended_at = $3, leased_until = NULL \
        WHERE id = $4 AND state = 'owed' RETURNING host";
    SET_HOST = "UPDATE webhook_hosts SET due_at = $1, \
        served_at = CASE WHEN $2 = 1 THEN $3 ELSE served_at END WHERE host = $4";
    WEBHOOK = "SELECT id, contact, url, state, deliveries, owed_since, next_at FROM webhooks \
        WHERE contact = $1";
}

/// Most hosts that one lease looks at.
const HOSTS_MAX: u32 = 1_000;
/// Most deliveries of a contact that are read: with the longest waits, weeks of them.
const DELIVERIES_MAX: u32 = 1_000;

/// A host whose turn it is, and what it may be served.
struct Turn {
    host: String,
    due: std::vec::IntoIter<WebhookId>,
    leased: u32,
    served: u32,
}

impl Store {
    /// Leases up to `limit` due webhooks until `lease_until`, at most `per_host_max` of one host at
    /// once, those still leased included.
    ///
    /// Hosts take turns, the one served longest ago first, so that a dead host holds up nobody
    /// else. A lease that runs out makes the webhook due again. Always ask with the same
    /// `per_host_max`: a host that has reached it is not looked at until a place is free.
    pub async fn lease_webhooks(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        per_host_max: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        // Most looks find nothing; those cost the writer nothing.
        if self.webhooks_due_at().await?.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let rows = usize::try_from(limit).unwrap_or(usize::MAX).min(200);
        self.write_softly(rows, move |tx| lease(tx, now, lease_until, limit, per_host_max)).await
    }

    /// Records what came of a delivery and what follows from it, and gives the lease back.
    ///
    /// A webhook that is over stays over; the delivery is recorded all the same.
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
        self.write_softly(3, move |tx| {
            if tx.one(EXISTS, values![webhook], |_| Ok(()))?.is_none() {
                return Err(StoreError::Unknown { what: "webhook", id: webhook.0 });
            }
            let status = status.map(u32::from);
            tx.run(RECORD, values![webhook, at, accepted, status, detail.as_str()])?;
            settle(tx, webhook, at, verdict)
        })
        .await
    }

    /// When to look for webhooks again; never later than the next one is due.
    pub async fn webhooks_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.eyes()
            .look(|sql| Ok(sql.one(EARLIEST_DUE, &[], |row| row.maybe_time())?.flatten()))
            .await
    }

    /// Deletes up to `limit` webhooks that were over before `before`, with their deliveries; how
    /// many there were.
    pub async fn purge_webhooks(&self, before: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.write_softly(200, move |tx| {
            let over = tx.all(OVER, values![before, limit], |row| row.int())?;
            for webhook in &over {
                tx.run(FORGET_DELIVERIES, values![*webhook])?;
                tx.run(FORGET, values![*webhook])?;
            }
            tx.run(FORGET_HOSTS, &[])?;
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

/// Owes the client the end of a contact, where one asked for it.
pub(crate) fn owe(tx: &mut Tx<'_>, contact: &Contact, at: Timestamp) -> Result<(), StoreError> {
    let Some(url) = contact.result_url.as_deref() else {
        return Ok(());
    };
    let host = host(url);
    tx.run(OWE, values![contact.id, contact.dialect, at, host.as_str(), url])?;
    tx.run(LOOK_EARLIER, values![host.as_str(), at])?;
    tx.count_webhook(WebhookState::Owed, 1);
    Ok(())
}

fn lease(
    tx: &Tx<'_>,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
    per_host_max: u32,
) -> Result<Vec<Owed>, StoreError> {
    let hosts = tx.all(DUE_HOSTS, values![now, HOSTS_MAX], |row| row.text())?;
    let mut turns = Vec::with_capacity(hosts.len());
    for host in hosts {
        let leased = tx.the(LEASED, values![host.as_str(), now], |row| row.number())?;
        let free = per_host_max.saturating_sub(leased).min(limit);
        let values = values![host.as_str(), now, free];
        let due = tx.all(DUE_OF_HOST, values, |row| row.int().map(WebhookId))?;
        turns.push(Turn { host, due: due.into_iter(), leased, served: 0 });
    }
    let mut owed = Vec::new();
    for webhook in deal(&mut turns, limit) {
        tx.run(LEASE, values![lease_until, webhook])?;
        owed.push(tx.the(OWED, values![webhook], |row| {
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
    for turn in &turns {
        look_again(tx, now, turn, per_host_max)?;
    }
    Ok(owed)
}

/// One to each host in turn, until nothing is left to serve or the limit is reached.
fn deal(turns: &mut [Turn], limit: u32) -> Vec<WebhookId> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut dealt = Vec::new();
    loop {
        let before = dealt.len();
        for turn in turns.iter_mut() {
            if dealt.len() < limit
                && let Some(webhook) = turn.due.next()
            {
                dealt.push(webhook);
                turn.served += 1;
            }
        }
        if dealt.len() == before {
            return dealt;
        }
    }
}

/// Sets when a host has something to serve again: its next webhook, if it has a place for one, or
/// the end of a lease.
fn look_again(
    tx: &Tx<'_>,
    now: Timestamp,
    turn: &Turn,
    per_host_max: u32,
) -> Result<(), StoreError> {
    let host = turn.host.as_str();
    let next = if turn.leased + turn.served < per_host_max {
        tx.one(NEXT_OF_HOST, values![host, now], |row| row.int())?
    } else {
        None
    };
    let lease_end = tx.the(FIRST_LEASE_END, values![host], |row| row.maybe_int())?;
    let due_at = next.into_iter().chain(lease_end).min();
    tx.run(SET_HOST, values![due_at, turn.served > 0, now, host]).map(drop)
}

fn settle(
    tx: &mut Tx<'_>,
    webhook: WebhookId,
    at: Timestamp,
    verdict: DeliveryVerdict,
) -> Result<(), StoreError> {
    let (state, next_at, ended_at) = match verdict {
        DeliveryVerdict::Delivered => (WebhookState::Delivered, None, Some(at)),
        DeliveryVerdict::GivenUp => (WebhookState::GivenUp, None, Some(at)),
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
    // A place has become free for whatever waits next at this host.
    let values = values![host.as_str(), at];
    if let Some(next) = tx.one(NEXT_OF_HOST, values, |row| row.time())? {
        tx.run(LOOK_EARLIER, values![host.as_str(), next])?;
    }
    Ok(())
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
