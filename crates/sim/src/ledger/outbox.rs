//! The ledger's outbox: webhooks owed, leased and delivered.

use std::collections::BTreeMap;

use domain::ids::{ContactId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::DeliveryVerdict;

use super::Ledger;

/// A webhook, and what became of it.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Whose end it tells.
    pub contact: ContactId,
    /// `None` while owed, then whether the client took it and when that was known.
    pub over: Option<(bool, Timestamp)>,
    /// Deliveries made while it was owed.
    pub deliveries: u32,
    /// Since when it is owed.
    pub owed_since: Timestamp,
    /// Not delivered before this moment.
    pub next_at: Timestamp,
    /// Deliveries: when, accepted, status.
    pub log: Vec<(Timestamp, bool, Option<u16>)>,
    pub(super) leased_until: Option<Timestamp>,
}

impl Ledger {
    /// Leases due webhooks: one to each host in turn, the host served longest ago first.
    pub fn lease_webhooks(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        per_host_max: u32,
    ) -> Vec<WebhookId> {
        let mut hosts: BTreeMap<String, (u32, Vec<(Timestamp, WebhookId)>)> = BTreeMap::new();
        for (id, hook) in self.webhooks.iter().filter(|(_, hook)| hook.over.is_none()) {
            let (leased, due) = hosts.entry(self.host(hook)).or_default();
            if hook.leased_until.is_some_and(|until| until > now) {
                *leased += 1;
            } else if hook.next_at <= now {
                due.push((hook.next_at, *id));
            }
        }
        let mut turns: Vec<_> = hosts.into_iter().collect();
        turns.sort_by_key(|(host, _)| (self.served.get(host).copied(), host.clone()));
        for (_, (leased, due)) in &mut turns {
            due.sort();
            due.truncate(per_host_max.saturating_sub(*leased) as usize);
        }
        let mut dealt = Vec::new();
        for nth in 0..per_host_max as usize {
            for (host, (_, due)) in &turns {
                if let Some((_, id)) = due.get(nth).filter(|_| dealt.len() < limit as usize) {
                    dealt.push(*id);
                    self.served.insert(host.clone(), now);
                }
            }
        }
        for id in &dealt {
            self.hook(*id).leased_until = Some(lease_until);
        }
        dealt
    }

    /// Records what came of a delivery.
    pub fn record_delivery(
        &mut self,
        id: WebhookId,
        at: Timestamp,
        accepted: bool,
        status: Option<u16>,
        verdict: DeliveryVerdict,
    ) {
        let hook = self.hook(id);
        hook.log.push((at, accepted, status));
        if hook.over.is_some() {
            return;
        }
        hook.deliveries += 1;
        hook.leased_until = None;
        match verdict {
            DeliveryVerdict::Delivered => hook.over = Some((true, at)),
            DeliveryVerdict::GivenUp | DeliveryVerdict::Gone => hook.over = Some((false, at)),
            DeliveryVerdict::RetryAt(next_at) => hook.next_at = next_at,
        }
    }

    /// Deletes up to `limit` webhooks that were over before `before`.
    pub fn purge_webhooks(&mut self, before: Timestamp, limit: u32) -> u32 {
        let over = self.webhooks.iter();
        let over = over.filter_map(|(id, hook)| hook.over.map(|(_, at)| (at, *id)));
        let mut over: Vec<_> = over.filter(|(at, _)| *at < before).collect();
        over.sort();
        over.truncate(limit as usize);
        for (_, id) in &over {
            self.webhooks.remove(id);
        }
        let owed = self.webhooks.values().filter(|hook| hook.over.is_none());
        let hosts: Vec<_> = owed.map(|hook| self.host(hook)).collect();
        self.served.retain(|host, _| hosts.contains(host));
        over.len() as u32
    }

    /// Between `http://` and the next slash; that is all a ledger's URLs have.
    fn host(&self, hook: &Hook) -> String {
        let url = self.contacts[&hook.contact].contact.result_url.as_deref();
        let host = url.and_then(|url| url.split('/').nth(2));
        host.unwrap_or_default().to_owned()
    }

    fn hook(&mut self, id: WebhookId) -> &mut Hook {
        let hook = self.webhooks.get_mut(&id);
        hook.expect("who is delivered was owed")
    }
}

impl Hook {
    /// What is owed for the end of a contact at `at`.
    pub(super) const fn new(contact: ContactId, at: Timestamp) -> Self {
        Self {
            contact,
            over: None,
            deliveries: 0,
            owed_since: at,
            next_at: at,
            log: Vec::new(),
            leased_until: None,
        }
    }
}
