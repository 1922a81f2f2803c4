//! The ledger's endpoints: who is told of what, and who is told no more.

use domain::ids::{AccountId, EndpointId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::{DisableReason, Endpoint, EndpointState, FAILING_MAX, Topic, Topics};

use super::{Hook, Ledger};

impl Ledger {
    /// Creates an endpoint.
    pub fn create_endpoint(
        &mut self,
        now: Timestamp,
        account: AccountId,
        url: &str,
        topics: Topics,
    ) -> Endpoint {
        self.numbers.endpoint += 1;
        let endpoint = Endpoint {
            id: EndpointId(self.numbers.endpoint),
            account,
            url: url.to_owned(),
            description: String::new(),
            topics,
            state: EndpointState::Enabled,
            failing_since: None,
            created_at: now,
        };
        self.endpoints.insert(endpoint.id, endpoint.clone());
        endpoint
    }

    /// Enables or disables an endpoint; `None` where there is no such endpoint.
    pub fn enable_endpoint(
        &mut self,
        now: Timestamp,
        id: EndpointId,
        enabled: bool,
    ) -> Option<Endpoint> {
        let endpoint = self.endpoints.get_mut(&id)?;
        match (enabled, endpoint.state.is_enabled()) {
            (true, false) => {
                endpoint.state = EndpointState::Enabled;
                endpoint.failing_since = None;
            }
            (false, true) => {
                let why = DisableReason::Client;
                endpoint.state = EndpointState::Disabled { why, at: now };
            }
            (false, false) | (true, true) => {}
        }
        Some(endpoint.clone())
    }

    /// Deletes an endpoint; `false` where there is no such endpoint.
    pub fn delete_endpoint(&mut self, id: EndpointId) -> bool {
        self.endpoints.remove(&id).is_some()
    }

    /// Whether a webhook is owed to an endpoint that is told no more.
    pub fn is_muted(&self, hook: &Hook) -> bool {
        let Some(endpoint) = hook.endpoint else {
            return false;
        };
        let endpoint = self.endpoints.get(&endpoint);
        endpoint.is_none_or(|endpoint| !endpoint.state.is_enabled() && hook.topic != Topic::Test)
    }

    /// Owes an endpoint a test, before all else; `None` where there is no such endpoint.
    pub fn test_endpoint(&mut self, now: Timestamp, id: EndpointId) -> Option<WebhookId> {
        self.endpoints.get(&id)?;
        let hook = Hook::new(None, Some(id), Topic::Test, now);
        Some(self.owe(Hook { next_at: Timestamp::default(), ..hook }))
    }

    /// Owes an endpoint again what happened in `since <= at < until` and is over; how many there
    /// were, and whether there may be more. `None` where there is no such endpoint.
    pub fn replay(
        &mut self,
        now: Timestamp,
        id: EndpointId,
        (since, until): (Timestamp, Timestamp),
        delivered: bool,
        limit: u32,
    ) -> Option<(u32, bool)> {
        self.endpoints.get(&id)?;
        let told = self.webhooks.iter().filter(|(_, hook)| hook.endpoint == Some(id));
        let meant = told.filter(|(_, hook)| (since..until).contains(&hook.at));
        let over = meant.filter(|(_, hook)| hook.over.is_some_and(|over| delivered || !over.0));
        let mut over: Vec<_> = over.map(|(id, hook)| (hook.at, *id)).collect();
        over.sort();
        over.truncate(limit as usize);
        for (_, id) in &over {
            self.owe_again(now, *id);
        }
        Some((over.len() as u32, over.len() == limit as usize))
    }

    /// Owes an endpoint one webhook again; `false` where it was never owed it.
    pub fn replay_one(&mut self, now: Timestamp, id: EndpointId, webhook: WebhookId) -> bool {
        let hook = self.webhooks.get(&webhook);
        let owed = hook.is_some_and(|hook| hook.endpoint == Some(id));
        if owed && self.endpoints.contains_key(&id) {
            self.owe_again(now, webhook);
            return true;
        }
        false
    }

    /// Takes note of what an endpoint made of a delivery; why it was disabled, where it was.
    pub(super) fn note_reception(
        &mut self,
        id: EndpointId,
        at: Timestamp,
        accepted: bool,
        gone: bool,
    ) -> Option<DisableReason> {
        let endpoint = self.endpoints.get_mut(&id)?;
        if accepted {
            endpoint.failing_since = None;
            return None;
        }
        if !endpoint.state.is_enabled() {
            return None;
        }
        let since = *endpoint.failing_since.get_or_insert(at);
        let why = match (gone, at.since(since) >= FAILING_MAX) {
            (true, _) => DisableReason::Gone,
            (false, true) => DisableReason::Failing,
            (false, false) => return None,
        };
        endpoint.state = EndpointState::Disabled { why, at };
        Some(why)
    }

    fn owe_again(&mut self, now: Timestamp, id: WebhookId) {
        let hook = self.hook(id);
        hook.over = None;
        hook.deliveries = 0;
        hook.owed_since = now;
        hook.next_at = now;
    }
}
