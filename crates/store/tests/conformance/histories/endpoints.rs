//! What happens to endpoints in random histories.

use std::time::Duration;

use domain::ids::{EndpointId, WebhookId};
use domain::webhook::{KeyPair, Topic, Topics};
use proptest::prelude::*;
use store::{EndpointChange, Met, NewEndpoint, Replay};

use super::Pair;
use crate::endpoints::answer;

/// Most endpoints in a history.
const ENDPOINTS_MAX: usize = 3;

/// One thing that happens to an endpoint; numbers pick among what there is.
#[derive(Clone, Debug)]
pub(super) enum EndpointStep {
    Create { topics: usize },
    Delete { pick: usize },
    Enable { pick: usize, enabled: bool },
    Replay { pick: usize, back_s: u64, delivered: bool, limit: u32 },
    ReplayOne { pick: usize, webhook: usize },
    Test { pick: usize },
}

pub(super) fn endpoint_step() -> impl Strategy<Value = EndpointStep> {
    let pick = any::<usize>();
    prop_oneof![
        4 => (0_usize..3).prop_map(|topics| EndpointStep::Create { topics }),
        1 => pick.prop_map(|pick| EndpointStep::Delete { pick }),
        3 => (pick, prop::bool::weighted(0.7))
            .prop_map(|(pick, enabled)| EndpointStep::Enable { pick, enabled }),
        2 => (pick, 0_u64..300, any::<bool>(), 1_u32..5).prop_map(
            |(pick, back_s, delivered, limit)| EndpointStep::Replay { pick, back_s, delivered, limit }
        ),
        2 => (pick, any::<usize>())
            .prop_map(|(pick, webhook)| EndpointStep::ReplayOne { pick, webhook }),
        2 => pick.prop_map(|pick| EndpointStep::Test { pick }),
    ]
}

impl Pair {
    pub(super) async fn endpoint(&mut self, step: &EndpointStep) {
        let (store, now, account) = (self.store(), self.now, self.account);
        match *step {
            EndpointStep::Create { topics } => self.create_endpoint(topics).await,
            EndpointStep::Delete { pick } => {
                let id = self.pick_endpoint(pick);
                let deleted = store.delete_endpoint(now, account, id).await.unwrap();
                assert_eq!(deleted, self.ledger.delete_endpoint(id));
            }
            EndpointStep::Enable { pick, enabled } => {
                let id = self.pick_endpoint(pick);
                let change = EndpointChange { enabled: Some(enabled), ..EndpointChange::default() };
                let changed = store.change_endpoint(now, account, id, change).await.unwrap();
                assert_eq!(changed, self.ledger.enable_endpoint(now, id, enabled));
            }
            EndpointStep::Replay { pick, back_s, delivered, limit } => {
                let id = self.pick_endpoint(pick);
                let since = now - Duration::from_secs(back_s);
                let range = Replay::Range { since, until: now, delivered };
                let replayed = store.replay(now, account, id, range, limit).await.unwrap();
                let replayed = replayed.map(|replayed| (replayed.many, replayed.more));
                let expected = self.ledger.replay(now, id, (since, now), delivered, limit);
                assert_eq!(replayed, expected);
            }
            EndpointStep::ReplayOne { pick, webhook } => {
                let id = self.pick_endpoint(pick);
                let webhook = WebhookId((webhook % (self.ledger.webhooks.len() + 2)) as i64);
                let replayed = store.replay(now, account, id, Replay::One(webhook), 1).await;
                let expected = self.ledger.replay_one(now, id, webhook);
                assert_eq!(replayed.unwrap().is_some(), expected);
            }
            EndpointStep::Test { pick } => {
                let id = self.pick_endpoint(pick);
                let tested = store.test_endpoint(now, account, id).await.unwrap();
                assert_eq!(tested, self.ledger.test_endpoint(now, id));
            }
        }
    }

    async fn create_endpoint(&mut self, topics: usize) {
        if self.ledger.endpoints.len() == ENDPOINTS_MAX {
            return;
        }
        let topics: Topics = match topics {
            0 => Topics::ends(),
            1 => Topic::ALL.into_iter().collect(),
            _ => [Topic::CallDialing, Topic::CallEnded, Topic::ContactFailed].into_iter().collect(),
        };
        let url = "http://hooks.example/";
        let new = NewEndpoint {
            account: self.account,
            url: url.into(),
            description: String::new(),
            topics: topics.clone(),
            enabled: true,
            key: KeyPair::new([1; 32], [2; 32]),
        };
        let created = self.store().create_endpoint(self.now, new, None, |_| answer("")).await;
        let expected = self.ledger.create_endpoint(self.now, self.account, url, topics);
        assert_eq!(created.unwrap(), Met::Done(Some(expected)));
    }

    /// One of those that there are, now and then one that is not.
    fn pick_endpoint(&self, pick: usize) -> EndpointId {
        let known: Vec<EndpointId> = self.ledger.endpoints.keys().copied().collect();
        let nth = pick % (known.len() + 1);
        known.get(nth).copied().unwrap_or(EndpointId(99))
    }

    pub(super) async fn compare_endpoints(&self) {
        let endpoints = self.reader.endpoints(self.account).await.unwrap();
        let expected: Vec<_> = self.ledger.endpoints.values().cloned().collect();
        assert_eq!(endpoints, expected);
        for endpoint in endpoints {
            let log = self.reader.endpoint_deliveries(endpoint.id, None, 1_000).await.unwrap();
            let log = log.items.into_iter().map(|one| {
                let hook = &self.ledger.webhooks[&one.webhook];
                assert_eq!((one.topic, one.contact), (hook.topic, hook.contact));
                assert_eq!(one.next_at, hook.over.is_none().then_some(hook.next_at));
                (one.webhook, one.at, one.accepted, one.status)
            });
            let mut log: Vec<_> = log.collect();
            log.sort();
            let hooks = self.ledger.webhooks.iter();
            let told = hooks.filter(|(_, hook)| hook.endpoint == Some(endpoint.id));
            let expected = told.flat_map(|(id, hook)| {
                hook.log.iter().map(|(at, accepted, status)| (*id, *at, *accepted, *status))
            });
            let mut expected: Vec<_> = expected.collect();
            expected.sort();
            assert_eq!(log, expected);
        }
    }
}
