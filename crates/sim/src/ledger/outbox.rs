//! The ledger's outbox: webhooks owed, leased and delivered.

use std::collections::BTreeMap;

use domain::event::EventKind;
use domain::ids::{AttemptId, ContactId, EndpointId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::{DeliveryVerdict, DisableReason, Topic};

use super::Ledger;

/// A webhook, and what became of it.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Whom it tells of; nobody, where an endpoint is tried out.
    pub contact: Option<ContactId>,
    /// The endpoint that is told; `None`: the contact's result URL.
    pub endpoint: Option<EndpointId>,
    /// What it tells of.
    pub topic: Topic,
    /// The attempt that it concerns.
    pub attempt: Option<AttemptId>,
    /// When that happened.
    pub at: Timestamp,
    /// `None` while owed, then whether the client took it and when that was known.
    pub over: Option<(bool, Timestamp)>,
    /// Deliveries made since it is owed.
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
    /// Leases due webhooks: one to each lane in turn, the lane served longest ago first.
    pub fn lease_webhooks(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        per_lane_max: u32,
    ) -> Vec<WebhookId> {
        let mut lanes: BTreeMap<String, (u32, Vec<(Timestamp, WebhookId)>)> = BTreeMap::new();
        for (id, hook) in self.webhooks.iter().filter(|(_, hook)| hook.over.is_none()) {
            let (leased, due) = lanes.entry(self.lane(hook)).or_default();
            if hook.leased_until.is_some_and(|until| until > now) {
                *leased += 1;
            } else if hook.next_at <= now {
                due.push((hook.next_at, *id));
            }
        }
        let mut turns: Vec<_> = lanes.into_iter().collect();
        turns.sort_by_key(|(lane, _)| (self.served.get(lane).copied(), lane.clone()));
        for (_, (leased, due)) in &mut turns {
            due.sort();
            due.truncate(per_lane_max.saturating_sub(*leased) as usize);
        }
        let mut dealt = Vec::new();
        for nth in 0..per_lane_max as usize {
            for (lane, (_, due)) in &turns {
                if let Some((_, id)) = due.get(nth).filter(|_| dealt.len() < limit as usize) {
                    dealt.push(*id);
                    self.served.insert(lane.clone(), now);
                }
            }
        }
        for id in &dealt {
            self.hook(*id).leased_until = Some(lease_until);
        }
        dealt
    }

    /// Records what came of a delivery; why its endpoint was disabled by it, where it was. `None`
    /// where there is no such webhook.
    pub fn record_delivery(
        &mut self,
        id: WebhookId,
        at: Timestamp,
        accepted: bool,
        status: Option<u16>,
        verdict: DeliveryVerdict,
    ) -> Option<Option<DisableReason>> {
        let hook = self.webhooks.get_mut(&id)?;
        hook.log.push((at, accepted, status));
        let endpoint = hook.endpoint;
        self.settle(id, at, verdict);
        let gone = verdict == DeliveryVerdict::Gone;
        Some(endpoint.and_then(|endpoint| self.note_reception(endpoint, at, accepted, gone)))
    }

    /// Gives a webhook up that was not even tried.
    pub fn drop_webhook(&mut self, id: WebhookId, at: Timestamp) {
        if self.webhooks.contains_key(&id) {
            self.settle(id, at, DeliveryVerdict::GivenUp);
        }
    }

    fn settle(&mut self, id: WebhookId, at: Timestamp, verdict: DeliveryVerdict) {
        let hook = self.hook(id);
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

    /// Deletes up to `limit` webhooks that were over before `before`, the oldest first.
    pub fn purge_webhooks(&mut self, before: Timestamp, limit: u32) -> u32 {
        let over = self.webhooks.iter();
        let over = over.filter(|(_, hook)| hook.over.is_some_and(|(_, at)| at < before));
        let over: Vec<_> = over.map(|(id, _)| *id).take(limit as usize).collect();
        for id in &over {
            self.webhooks.remove(id);
        }
        let owed = self.webhooks.values().filter(|hook| hook.over.is_none());
        let lanes: Vec<_> = owed.map(|hook| self.lane(hook)).collect();
        self.served.retain(|lane, _| lanes.contains(lane));
        over.len() as u32
    }

    /// Owes the end of a contact to its result URL and to the endpoints that asked for it.
    pub(super) fn owe_end(&mut self, contact: ContactId, topic: Topic, at: Timestamp) {
        if self.contacts[&contact].contact.result_url.is_some() {
            self.owe(Hook::new(Some(contact), None, topic, at));
        }
        for endpoint in self.listeners(contact, topic) {
            self.owe(Hook::new(Some(contact), Some(endpoint), topic, at));
        }
    }

    /// Owes a fact about an attempt to the endpoints that asked for such.
    pub(super) fn owe_fact(
        &mut self,
        contact: ContactId,
        attempt: Option<AttemptId>,
        at: Timestamp,
        kind: EventKind,
    ) {
        let Some(topic) = Topic::of_fact(kind) else {
            return;
        };
        for endpoint in self.listeners(contact, topic) {
            let hook = Hook::new(Some(contact), Some(endpoint), topic, at);
            self.owe(Hook { attempt, ..hook });
        }
    }

    /// Owes nobody any more what an undone attempt was said to do.
    pub(super) fn owe_nothing_of(&mut self, attempt: AttemptId) {
        let told = |hook: &Hook| hook.attempt == Some(attempt) && hook.over.is_none();
        self.webhooks.retain(|_, hook| !told(hook));
    }

    pub(super) fn owe(&mut self, hook: Hook) -> WebhookId {
        self.numbers.webhook += 1;
        let id = WebhookId(self.numbers.webhook);
        self.webhooks.insert(id, hook);
        id
    }

    fn listeners(&self, contact: ContactId, topic: Topic) -> Vec<EndpointId> {
        let account = self.contacts[&contact].contact.account;
        let endpoints = self.endpoints.values().filter(|endpoint| endpoint.account == account);
        let enabled = endpoints.filter(|endpoint| endpoint.state.is_enabled());
        let told = enabled.filter(|endpoint| endpoint.topics.contains(topic));
        told.map(|endpoint| endpoint.id).collect()
    }

    /// The endpoint, or what is between `http://` and the next slash; that is all a ledger's URLs
    /// have.
    fn lane(&self, hook: &Hook) -> String {
        if let Some(endpoint) = hook.endpoint {
            return format!("e{endpoint}");
        }
        let contact = hook.contact.map(|contact| &self.contacts[&contact].contact);
        let contact = contact.expect("without an endpoint it tells of a contact");
        let host = contact.result_url.as_deref().and_then(|url| url.split('/').nth(2));
        format!("{}/{}", contact.account, host.unwrap_or_default())
    }

    pub(super) fn hook(&mut self, id: WebhookId) -> &mut Hook {
        let hook = self.webhooks.get_mut(&id);
        hook.expect("who is delivered was owed")
    }
}

impl Hook {
    /// What is owed for what happened at `at`.
    pub(super) const fn new(
        contact: Option<ContactId>,
        endpoint: Option<EndpointId>,
        topic: Topic,
        at: Timestamp,
    ) -> Self {
        Self {
            contact,
            endpoint,
            topic,
            attempt: None,
            at,
            over: None,
            deliveries: 0,
            owed_since: at,
            next_at: at,
            log: Vec::new(),
            leased_until: None,
        }
    }
}
