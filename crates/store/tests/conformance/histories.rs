//! Random histories over a database and over the ledger: all that can be seen must agree, after
//! each step, crashes included.

mod endpoints;

use std::sync::Arc;
use std::time::Duration;

use domain::campaign::CampaignState;
use domain::caps::Limit;
use domain::contact::ContactRule;
use domain::dial_queue::{Demand, Room, Sharing, Turns, deal};
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId, TrunkId, WebhookId};
use domain::number::canonical::Canonical;
use domain::outcome::Outcome;
use domain::permit::{Bench, Ground, Question};
use domain::policy::{CampaignPolicy, DO_NOT_CALL};
use domain::region::Country;
use domain::terms::Priority;
use domain::time::{DialWindow, Timestamp};
use domain::webhook::DeliveryVerdict;
use domain::zones::Home as PlaceOfHome;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sim::ledger::Ledger;
use store::{ContactFilter, Reader, Store, Suspender, Tried, UploadId, WebhookState};
use tempfile::TempDir;

use self::endpoints::{EndpointStep, endpoint_step};
use crate::support::{Database, account, config, contacts, end, rule};

/// Histories in a run; over a server each step takes several times as long as in a file.
const CASES: u32 = match crate::DATABASE {
    Database::Postgres => 40,
    Database::Sqlite => 150,
};
/// Longest history.
const STEPS_MAX: usize = 90;
/// Deliveries in one lane at once.
const PER_LANE_MAX: u32 = 2;
/// Contacts counted for a campaign.
const DEMAND_MAX: u32 = 4;
/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(30);

/// One thing that happens; numbers pick among what there is.
#[derive(Clone, Debug)]
enum Step {
    AbortUpload,
    Add { rule: usize, many: usize },
    AddToUpload { many: usize },
    Advance { seconds: i64 },
    Begin { slots: u32 },
    BeginUpload { rule: usize },
    Cancel { pick: usize, stranger: bool },
    CancelWaiting { campaign: i64 },
    CommitUpload,
    Crash,
    Endpoint(EndpointStep),
    Expire { limit: u32 },
    Finish { pick: usize, outcome: usize },
    Lease { limit: u32 },
    Note { pick: usize, kind: usize },
    Promote { limit: u32 },
    Purge { limit: u32 },
    Record { pick: usize, verdict: usize },
    RedialInDoubt { campaign: i64, redial: bool },
    List { number: usize, named: bool, on: bool },
    OptOut { number: usize },
    Policy { campaign: i64, policy: usize, stale: bool },
    Release { pick: usize },
    Suspend { all: bool, suspended: bool },
    Run { campaign: i64, state: CampaignState },
}

fn step() -> impl Strategy<Value = Step> {
    let campaign = 1_i64..4;
    let state = prop_oneof![Just(CampaignState::Running), Just(CampaignState::Stopped)];
    prop_oneof![
        1 => Just(Step::AbortUpload),
        8 => (0_usize..6, 0_usize..4).prop_map(|(rule, many)| Step::Add { rule, many }),
        3 => (0_usize..4).prop_map(|many| Step::AddToUpload { many }),
        10 => (0_i64..90).prop_map(|seconds| Step::Advance { seconds }),
        12 => (1_u32..5).prop_map(|slots| Step::Begin { slots }),
        2 => (0_usize..6).prop_map(|rule| Step::BeginUpload { rule }),
        5 => (any::<usize>(), prop::bool::weighted(0.1))
            .prop_map(|(pick, stranger)| Step::Cancel { pick, stranger }),
        1 => campaign.clone().prop_map(|campaign| Step::CancelWaiting { campaign }),
        2 => Just(Step::CommitUpload),
        2 => Just(Step::Crash),
        6 => endpoint_step().prop_map(Step::Endpoint),
        4 => (1_u32..4).prop_map(|limit| Step::Expire { limit }),
        12 => (any::<usize>(), 0..Outcome::ALL.len())
            .prop_map(|(pick, outcome)| Step::Finish { pick, outcome }),
        6 => (1_u32..6).prop_map(|limit| Step::Lease { limit }),
        6 => (any::<usize>(), 0..EventKind::ALL.len())
            .prop_map(|(pick, kind)| Step::Note { pick, kind }),
        5 => (1_u32..6).prop_map(|limit| Step::Promote { limit }),
        1 => (1_u32..3).prop_map(|limit| Step::Purge { limit }),
        6 => (any::<usize>(), 0_usize..4).prop_map(|(pick, verdict)| Step::Record { pick, verdict }),
        1 => (campaign.clone(), any::<bool>())
            .prop_map(|(campaign, redial)| Step::RedialInDoubt { campaign, redial }),
        2 => any::<usize>().prop_map(|pick| Step::Release { pick }),
        2 => (0_usize..4, any::<bool>(), prop::bool::weighted(0.4))
            .prop_map(|(number, named, on)| Step::List { number, named, on }),
        1 => (1_usize..4).prop_map(|number| Step::OptOut { number }),
        4 => (campaign.clone(), 0_usize..7, prop::bool::weighted(0.1))
            .prop_map(|(campaign, policy, stale)| Step::Policy { campaign, policy, stale }),
        1 => (any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(all, suspended)| Step::Suspend { all, suspended }),
        2 => (campaign, state).prop_map(|(campaign, state)| Step::Run { campaign, state }),
    ]
}

/// Policies that differ in what makes contacts wait or end.
fn policy(nth: usize) -> CampaignPolicy {
    let mut policy = CampaignPolicy::default();
    match nth {
        1 => policy.caps = vec![Limit::parse("gap 50s").unwrap()],
        2 => policy.caps = vec![Limit::parse("calls 2 in 5m").unwrap()],
        3 => policy.lists = vec!["named".into()],
        4 => {
            let from = Timestamp::from_seconds(1_500);
            policy.window.opens_at = Some(from);
            policy.window.closes_at = Some(from + Duration::from_secs(900));
        }
        5 => {
            policy.caller_ids.numbers = vec!["+12122530001".into(), "+16172530001".into()];
            policy.caller_ids.calls_a_day_max = Some(2);
        }
        _ => {}
    }
    policy
}

/// A database and the ledger, going through the same history.
struct Pair {
    ledger: Ledger,
    store: Option<Store>,
    reader: Reader,
    account: AccountId,
    upload: Option<(UploadId, i64)>,
    leased: Vec<WebhookId>,
    turns: Turns,
    judge: Bench,
    now: Timestamp,
    dir: TempDir,
}

impl Pair {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, reader) = Store::open(config(dir.path())).await.unwrap();
        Self {
            ledger: Ledger::default(),
            account: account(&store).await.id,
            store: Some(store),
            reader,
            upload: None,
            leased: Vec::new(),
            turns: Turns::default(),
            judge: Bench::new(
                Ground::at(PlaceOfHome { country: Country::US, zone: None }),
                policy(0),
            ),
            now: Timestamp::from_seconds(1_000),
            dir,
        }
    }

    fn store(&self) -> Store {
        self.store.clone().expect("the store is open between steps")
    }

    /// The rules differ in campaign, application, window, budget and where the result goes.
    fn rule(&self, nth: usize) -> ContactRule {
        let mut rule = rule(self.account);
        rule.campaign = format!("campaign {}", nth % 3);
        rule.application.parameters = format!("parameters {}", nth % 2);
        rule.retry.attempts_max = 1 + (nth as u32 % 3);
        rule.retry.wait = Duration::from_secs(if nth == 5 { 0 } else { 60 });
        rule.terms.priority = Priority::new(1 + (nth as u8 % 10)).unwrap();
        if nth == 2 {
            rule.retry.waits = "busy=30000,no_answer=stop,machine=90000".parse().unwrap();
            rule.terms.ring_time_max = Some(Duration::from_secs(45));
        }
        rule.result_url = match nth {
            0 => None,
            nth => Some(format!("http://{}.example/result", nth % 3)),
        };
        rule.window = match nth {
            3 => DialWindow {
                opens_at: Some(self.now + Duration::from_secs(40)),
                closes_at: Some(self.now + Duration::from_secs(150)),
            },
            4 => DialWindow { opens_at: None, closes_at: Some(self.now + Duration::from_secs(60)) },
            _ => DialWindow::ALWAYS,
        };
        rule
    }

    fn attempt(&self, pick: usize) -> Option<AttemptId> {
        // Mostly open ones, now and then one that has ended.
        let open = self.ledger.open_attempts();
        let all: Vec<AttemptId> = match pick % 8 {
            0 => self.ledger.attempts.keys().copied().collect(),
            _ => open.iter().map(|attempt| attempt.id).collect(),
        };
        all.get((pick / 8).checked_rem(all.len())?).copied()
    }

    /// Half of the time one in a call, else any, now and then one that does not exist.
    fn contact(&self, pick: usize) -> ContactId {
        let open = self.ledger.open_attempts();
        let (half, pick) = (pick % 2, pick / 2);
        match pick.checked_rem(open.len()) {
            Some(nth) if half == 0 => open[nth].contact,
            _ => ContactId((pick % (self.ledger.contacts.len() + 2)) as i64),
        }
    }

    async fn apply(&mut self, step: &Step) {
        let (store, now, account) = (self.store(), self.now, self.account);
        match *step {
            Step::Add { rule, many } => {
                let rule = self.rule(rule);
                let ids = store.add_contacts(now, &rule, contacts(many)).await.unwrap();
                assert_eq!(ids, self.ledger.add_contacts(now, &rule, contacts(many)));
            }
            Step::Advance { seconds } => {
                self.now = self.now + Duration::from_secs(seconds.unsigned_abs());
            }
            Step::Begin { slots } => self.begin(slots).await,
            Step::Cancel { pick, stranger } => {
                let contact = self.contact(pick);
                let account = AccountId(account.0 + i64::from(stranger));
                let met = store.cancel_contact(now, account, contact).await.unwrap();
                let expected = self.ledger.cancel_contact(now, account, contact);
                assert_eq!(format!("{met:?}"), format!("{expected:?}"));
            }
            Step::CancelWaiting { campaign } => {
                let campaign = CampaignId(campaign);
                let canceled = store.cancel_waiting(now, account, campaign).await.unwrap();
                assert_eq!(canceled, self.ledger.cancel_waiting(now, account, campaign));
            }
            Step::Crash => {
                drop(store);
                self.crash().await;
            }
            Step::Endpoint(ref step) => self.endpoint(step).await,
            Step::Expire { limit } => {
                let expired = store.expire(now, limit).await.unwrap();
                assert_eq!(expired, self.ledger.expire(now, limit));
            }
            Step::Finish { pick, outcome } => self.finish(pick, Outcome::ALL[outcome]).await,
            Step::Note { pick, kind } => self.note(pick, EventKind::ALL[kind]).await,
            Step::Promote { limit } => {
                let promoted = store.promote_due(now, limit).await.unwrap();
                assert_eq!(promoted, self.ledger.promote_due(now, limit));
            }
            Step::RedialInDoubt { campaign, redial } => {
                let campaign = CampaignId(campaign);
                let found = store.set_redial_in_doubt(account, campaign, redial).await;
                let expected = self.ledger.set_redial_in_doubt(account, campaign, redial);
                assert_eq!(found.unwrap(), expected);
            }
            Step::Release { pick } => {
                if let Some(attempt) = self.attempt(pick) {
                    let released = store.release_attempt(now, attempt).await.unwrap();
                    assert_eq!(released, self.ledger.release_attempt(now, attempt));
                }
            }
            Step::Run { campaign, state } => {
                let campaign = CampaignId(campaign);
                let found = store.set_campaign_state(account, campaign, state).await;
                let expected = self.ledger.set_campaign_state(account, campaign, state);
                assert_eq!(found.unwrap(), expected);
            }
            Step::List { .. }
            | Step::OptOut { .. }
            | Step::Policy { .. }
            | Step::Suspend { .. } => self.say(step).await,
            Step::Lease { limit } => self.lease(limit).await,
            Step::Purge { limit } => self.purge(limit).await,
            Step::Record { pick, verdict } => self.record(pick, verdict).await,
            Step::AbortUpload
            | Step::AddToUpload { .. }
            | Step::BeginUpload { .. }
            | Step::CommitUpload => self.upload(step).await,
        }
    }

    async fn upload(&mut self, step: &Step) {
        let (store, now) = (self.store(), self.now);
        match (step, self.upload) {
            (Step::BeginUpload { rule }, _) => {
                let rule = self.rule(*rule);
                let upload = store.begin_upload(now, &rule).await.unwrap();
                self.upload = Some((upload, self.ledger.begin_upload(now, &rule)));
            }
            (Step::AddToUpload { many }, Some((upload, mirror))) => {
                let ids = store.upload_add(upload, contacts(*many)).await.ok();
                let expected = self.ledger.upload_add(mirror, contacts(*many));
                // Nothing added to an upload that is over is no error yet.
                assert!(ids == expected || *many == 0, "{ids:?} {expected:?}");
            }
            (Step::CommitUpload, Some((upload, mirror))) => {
                let committed = store.commit_upload(upload).await.is_ok();
                assert_eq!(committed, self.ledger.commit_upload(mirror));
            }
            (_, Some((upload, mirror))) => {
                let aborted = store.abort_upload(upload).await.is_ok();
                assert_eq!(aborted, self.ledger.abort_upload(mirror));
            }
            (_, None) => {}
        }
    }

    async fn begin(&mut self, slots: u32) {
        let (store, now) = (self.store(), self.now);
        let demands = store.demands(now, DEMAND_MAX).await.unwrap();
        let mut trunks = (1..=i64::from(slots)).map(TrunkId);
        let room = |_: &Demand| trunks.next().map_or(Room::Over, Room::Slot);
        let mut shares = deal(&mut self.turns, &demands, Sharing::BY_WEIGHT, room);
        // Ask for more than there is, too.
        shares.iter_mut().for_each(|share| share.trunks.push(TrunkId(9)));
        let judge = Arc::new(self.judge.clone());
        let claimed = store.begin_attempts(now, shares.clone(), judge).await.unwrap();
        let begun: Vec<_> = claimed
            .begun
            .into_iter()
            .map(|begun| {
                assert_eq!(begun.application.id, begun.contact.application);
                (begun.contact, begun.attempt, begun.caller_id)
            })
            .collect();
        let expected = self.ledger.begin_attempts(now, &shares, &self.judge);
        assert_eq!(begun, expected.begun);
        let others = (claimed.held, claimed.ended, claimed.unknown);
        assert_eq!(others, (expected.held, expected.ended, expected.unknown));
    }

    /// What is said about dialing: lists, policies, and that nothing be dialed.
    async fn say(&mut self, step: &Step) {
        let (store, now, account) = (self.store(), self.now, self.account);
        // As its client writes it: without the country.
        let number = |nth: usize| format!("555{nth:07}");
        match *step {
            Step::List { number: nth, named, on } => {
                let list = if named { "named" } else { DO_NOT_CALL };
                if on {
                    let numbers = vec![number(nth), number(nth + 1)];
                    let added = store.list_add(now, account, list, numbers.clone(), "").await;
                    let expected = self.ledger.list_add(now, account, list, &numbers);
                    assert_eq!(added.unwrap(), expected);
                } else {
                    let removed = store.list_remove(account, list, &number(nth)).await;
                    let expected = self.ledger.list_remove(account, list, &number(nth));
                    assert_eq!(removed.unwrap(), expected);
                }
            }
            Step::OptOut { number: nth } => {
                let ended = store.opt_out(now, account, &number(nth), "asked").await;
                assert_eq!(ended.unwrap(), self.ledger.opt_out(now, account, &number(nth)));
            }
            Step::Policy { campaign, policy: nth, stale } => {
                let (campaign, text) = (CampaignId(campaign), nth.to_string());
                let expected = stale.then_some(9);
                let version = store.set_policy(account, campaign, &text, expected).await;
                let said = self.ledger.set_policy(account, campaign, &text, expected);
                assert_eq!(version.unwrap(), said);
                // Now and then the judge learns of it only with the next word about a policy.
                if nth != 6 {
                    let known = self.ledger.policies.iter();
                    self.judge.policies = known
                        .map(|(id, (version, text))| {
                            (*id, (*version, policy(text.parse().unwrap())))
                        })
                        .collect();
                }
            }
            Step::Suspend { all: true, suspended } => {
                store.suspend(suspended).await.unwrap();
                self.ledger.is_suspended = suspended;
            }
            Step::Suspend { all: false, suspended } => {
                store.suspend_account(account, Suspender::Operator, suspended).await.unwrap();
                match suspended {
                    true => drop(self.ledger.suspended.insert(account)),
                    false => drop(self.ledger.suspended.remove(&account)),
                }
            }
            _ => {}
        }
    }

    async fn finish(&mut self, pick: usize, outcome: Outcome) {
        let Some(attempt) = self.attempt(pick) else {
            return;
        };
        let end = end(outcome, self.now);
        let finished = self.store().finish_attempt(attempt, &end).await.unwrap();
        let expected = self.ledger.finish_attempt(attempt, &end).unwrap();
        assert_eq!((finished.contact, finished.verdict, finished.repeated), expected);
    }

    async fn note(&mut self, pick: usize, kind: EventKind) {
        let Some(attempt) = self.attempt(pick) else {
            return;
        };
        let (store, now) = (self.store(), self.now);
        let contact = self.ledger.attempts[&attempt].contact;
        store.note(attempt, contact, now, kind, "detail").await.unwrap();
        self.ledger.note(attempt, contact, now, kind, "detail");
    }

    async fn lease(&mut self, limit: u32) {
        let (now, until) = (self.now, self.now + LEASE);
        let leased = self.store().lease_webhooks(now, until, limit, PER_LANE_MAX).await.unwrap();
        let expected = self.ledger.lease_webhooks(now, until, limit, PER_LANE_MAX);
        for owed in &leased {
            let hook = &self.ledger.webhooks[&owed.webhook];
            let contact = hook.contact.map(|contact| &self.ledger.contacts[&contact].contact);
            assert_eq!(owed.contact.as_ref(), contact);
            if owed.endpoint.is_none() {
                assert_eq!(Some(&owed.url), contact.and_then(|c| c.result_url.as_ref()));
                assert_eq!(Some(owed.dialect), contact.map(|contact| contact.dialect));
            }
            assert_eq!((owed.endpoint, owed.topic), (hook.endpoint, hook.topic));
            assert_eq!((owed.attempt, owed.at), (hook.attempt, hook.at));
            assert_eq!((owed.deliveries, owed.owed_since), (hook.deliveries, hook.owed_since));
            assert_eq!(owed.muted, self.ledger.is_muted(hook));
        }
        let ids: Vec<WebhookId> = leased.iter().map(|owed| owed.webhook).collect();
        assert_eq!(ids, expected);
        for owed in leased {
            if owed.muted {
                self.store().drop_webhook(owed.webhook, now).await.unwrap();
                self.ledger.drop_webhook(owed.webhook, now);
            } else {
                self.leased.push(owed.webhook);
            }
        }
    }

    async fn purge(&mut self, limit: u32) {
        let before = self.now - Duration::from_secs(20);
        let purged = self.store().purge_webhooks(before, limit).await.unwrap();
        assert_eq!(purged, self.ledger.purge_webhooks(before, limit));
        self.leased.retain(|id| self.ledger.webhooks.contains_key(id));
    }

    async fn record(&mut self, pick: usize, verdict: usize) {
        let Some(nth) = pick.checked_rem(self.leased.len()) else {
            return;
        };
        // One in four stays where it is, and is recorded once more later.
        let webhook = match pick % 4 {
            0 => self.leased[nth],
            _ => self.leased.swap_remove(nth),
        };
        let now = self.now;
        let verdict = match verdict {
            0 => DeliveryVerdict::Delivered,
            1 => DeliveryVerdict::GivenUp,
            2 => DeliveryVerdict::Gone,
            _ => DeliveryVerdict::RetryAt(now + Duration::from_secs(5)),
        };
        let accepted = verdict == DeliveryVerdict::Delivered;
        let status = accepted.then_some(200);
        let tried = Tried {
            at: now,
            accepted,
            status,
            latency: Duration::ZERO,
            answer: String::new(),
            detail: String::new(),
        };
        // What an undone attempt was said to do is no webhook any more.
        let recorded = self.store().record_delivery(webhook, tried, verdict).await.ok();
        let expected = self.ledger.record_delivery(webhook, now, accepted, status, verdict);
        assert_eq!(recorded, expected);
    }

    /// What was answered must be there again; what was merely taken, a crash may lose.
    async fn crash(&mut self) {
        let store = self.store.take().expect("the store is open between steps");
        store.flush().await.unwrap();
        drop(store);
        let (store, reader) = Store::open(config(self.dir.path())).await.unwrap();
        (self.store, self.reader) = (Some(store), reader);
        self.ledger.reopen();
    }

    async fn compare(&self) {
        let store = self.store();
        store.flush().await.unwrap();
        let (now, reader) = (self.now, &self.reader);
        let demands = store.demands(now, DEMAND_MAX).await.unwrap();
        assert_eq!(demands, self.ledger.demands(now, DEMAND_MAX));
        assert_eq!(store.next_due().await.unwrap(), self.ledger.next_due());
        let open = store.open_attempts().await.unwrap();
        for (attempt, contact) in &open {
            assert_eq!(*contact, self.ledger.contacts[&attempt.contact].contact);
        }
        let open: Vec<_> = open.into_iter().map(|open| open.0).collect();
        assert_eq!(open, self.ledger.open_attempts());

        let campaigns = reader.campaigns(self.account, None, 100).await.unwrap().items;
        assert_eq!(campaigns.len(), self.ledger.campaigns.len());
        for row in campaigns {
            assert_eq!(row.campaign, self.ledger.campaigns[&row.campaign.id]);
            assert_eq!(row.counts, self.ledger.counts(row.campaign.id));
        }
        for application in &self.ledger.applications {
            let found = reader.application(application.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(application));
        }
        let list = reader.contacts(self.account, ContactFilter::default(), None, 1_000);
        let list: Vec<_> = list.await.unwrap().items;
        let expected = self.ledger.contacts.values().rev();
        assert_eq!(list, expected.map(|entry| entry.contact.clone()).collect::<Vec<_>>());
        for id in self.ledger.contacts.keys() {
            self.compare_contact(*id).await;
        }
        self.compare_endpoints().await;
        self.compare_lists().await;
        self.compare_totals().await;
    }

    async fn compare_contact(&self, id: ContactId) {
        let (entry, reader) = (&self.ledger.contacts[&id], &self.reader);
        let events = reader.events(id).await.unwrap();
        assert!(events.is_sorted_by_key(|event| event.id));
        let events: Vec<_> = events
            .into_iter()
            .map(|event| (event.attempt, event.at, event.kind, event.detail))
            .collect();
        assert_eq!(events, entry.events);

        let attempts = reader.attempts(id).await.unwrap();
        let expected = self.ledger.attempts.values();
        let expected: Vec<_> = expected.filter(|attempt| attempt.contact == id).cloned().collect();
        assert_eq!(attempts, expected);

        let webhook = reader.webhook(id).await.unwrap();
        let deliveries = reader.deliveries(id).await.unwrap();
        let mut hooks = self.ledger.webhooks.iter();
        let hook = hooks.find(|(_, hook)| hook.contact == Some(id) && hook.endpoint.is_none());
        let Some((hook_id, hook)) = hook else {
            assert_eq!((webhook, deliveries), (None, Vec::new()));
            return;
        };
        let webhook = webhook.expect("the ledger owes a webhook here");
        let state = match hook.over {
            None => WebhookState::Owed,
            Some((true, _)) => WebhookState::Delivered,
            Some((false, _)) => WebhookState::GivenUp,
        };
        assert_eq!((webhook.id, webhook.state), (*hook_id, state));
        assert_eq!(
            (webhook.deliveries, webhook.owed_since, webhook.next_at),
            (hook.deliveries, hook.owed_since, hook.next_at)
        );
        let deliveries: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| (delivery.at, delivery.accepted, delivery.status))
            .collect();
        assert_eq!(deliveries, hook.log);
    }

    async fn compare_lists(&self) {
        for nth in 1..6 {
            let contact = contacts(nth).pop().unwrap();
            let number = Canonical::of(contact.destination.dialed(), Country::US);
            let question = Question {
                number: number.key().to_owned(),
                looks_back: Duration::from_secs(86_400),
                of_all_accounts: false,
                caller_ids: vec!["+12122530001".into()],
            };
            let past = self.reader.past(self.now, self.account, question.clone()).await.unwrap();
            assert_eq!(past, self.ledger.past(self.now, self.account, &question));
            let on: Vec<_> = self.reader.on_lists(self.account, &number).await.unwrap();
            let on: Vec<_> = on.into_iter().map(|on| (on.list, on.added_at)).collect();
            assert_eq!(on, past.listed);
        }
        for row in self.reader.policies().await.unwrap() {
            assert_eq!((row.version, row.text), self.ledger.policies[&row.campaign]);
        }
    }

    async fn compare_totals(&self) {
        let totals = self.reader.totals().await.unwrap();
        let attempts = self.ledger.attempts.values();
        let ended: Vec<Outcome> = attempts.filter_map(|attempt| attempt.outcome).collect();
        let of = |outcome| ended.iter().filter(|ended| **ended == outcome).count() as u64;
        let outcomes: Vec<_> = Outcome::ALL.map(|outcome| (outcome, of(outcome))).into();
        assert_eq!(totals.outcomes, outcomes);
        let owed = self.ledger.webhooks.values().filter(|hook| hook.over.is_none());
        assert_eq!(totals.webhooks_owed, owed.count() as u64);
        let calling = self.ledger.open_attempts().len() as u64;
        assert_eq!(totals.contacts.calling, calling);
    }
}

#[test]
fn database_and_ledger_agree_on_every_history() {
    let mut config = Config::with_cases(CASES);
    // A failure is kept by its history, which is printed, not by a file beside the sources.
    config.failure_persistence = None;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let history = prop::collection::vec(step(), 1..STEPS_MAX);
    TestRunner::new_with_rng(config, rng)
        .run(&history, |history| {
            runtime.block_on(async {
                let mut pair = Pair::new().await;
                for step in &history {
                    pair.apply(step).await;
                    pair.compare().await;
                }
            });
            Ok(())
        })
        .unwrap();
}
