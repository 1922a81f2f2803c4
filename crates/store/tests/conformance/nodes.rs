//! Several nodes on one PostgreSQL: leases, epochs, what dead nodes leave, and parts of trunks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::contact::ContactState;
use domain::ids::{AttemptId, TrunkId};
use domain::outcome::{CalleeType, Outcome};
use domain::permit::Freely;
use domain::trunk::TrunkLimits;
use domain::webhook::DeliveryVerdict;
use store::{Cancel, NodeReport, NodeTick, Reader, Store, StoreConfig, Tried, TrunkReport};
use tempfile::TempDir;

use crate::server;
use crate::support::{account, at, config, contacts, end, rule};

const TRUNK: TrunkId = TrunkId(1);
const WHOLE: TrunkLimits = TrunkLimits { slots: 10, calls_per_second: 4 };
const HUMAN: Outcome = Outcome::Answered(CalleeType::Human);

/// Nodes that share the database of the first.
struct Fleet {
    url: String,
    dirs: Vec<TempDir>,
}

impl Fleet {
    fn new() -> Self {
        let first = tempfile::tempdir().unwrap();
        Self { url: server::url_of(first.path()), dirs: vec![first] }
    }

    fn config(&self, dir: &Path) -> StoreConfig {
        StoreConfig { url: Some(self.url.clone()), ..config(dir) }
    }

    async fn join(&mut self) -> (Store, Reader) {
        let dir = tempfile::tempdir().unwrap();
        let opened = Store::open(self.config(dir.path())).await.unwrap();
        self.dirs.push(dir);
        opened
    }

    /// Lets time pass for a node, as the database sees it: its lease is over.
    fn let_lapse(&self, store: &Store) {
        let epoch = store.epoch();
        self.sql(&format!(
            "UPDATE nodes SET expires_at = expires_at - 60000 WHERE epoch = {epoch};
             UPDATE trunk_shares SET expires_at = expires_at - 60000, held_until = 0
             WHERE epoch = {epoch}; UPDATE leaders SET expires_at = 0 WHERE epoch = {epoch}"
        ));
    }

    fn sql(&self, script: &str) {
        server::run(&self.url, script);
    }
}

fn report(busy: u32, wanted: u32, seen: i64) -> NodeReport {
    NodeReport {
        address: "http://10.0.0.5:8080".to_owned(),
        trunks: vec![TrunkReport { trunk: TRUNK, limits: WHOLE, busy, wanted, seen }],
        ring_time_max: Duration::from_secs(45),
        call_time_max: Duration::from_secs(3_600),
    }
}

fn granted(tick: &NodeTick) -> TrunkLimits {
    tick.grants.first().map(|grant| grant.limits).unwrap_or_default()
}

fn version(tick: &NodeTick) -> i64 {
    tick.grants.first().map_or(0, |grant| grant.version)
}

#[tokio::test]
async fn node_alone_leads_and_has_the_whole_trunk() {
    let mut fleet = Fleet::new();
    let (store, _) = fleet.join().await;
    let tick = store.tick(report(0, 10, 0)).await.unwrap();
    assert!(tick.leads);
    assert_eq!((granted(&tick), tick.epoch), (WHOLE, store.epoch()));
    assert_eq!(tick.valid_for, Some(Duration::from_millis(8_500)));
}

#[tokio::test]
async fn second_node_has_its_part_once_the_first_goes_by_its_smaller_one() {
    let mut fleet = Fleet::new();
    let (first, _) = fleet.join().await;
    let (second, _) = fleet.join().await;
    first.tick(report(0, 10, 0)).await.unwrap();
    let newcomer = second.tick(report(0, 10, 0)).await.unwrap();
    assert!(!newcomer.leads);
    assert_eq!(granted(&newcomer), TrunkLimits::default());
    let smaller = first.tick(report(7, 10, 1)).await.unwrap();
    assert_eq!(granted(&smaller), TrunkLimits { slots: 5, calls_per_second: 2 });
    // It has not said yet that it goes by it.
    assert_eq!(granted(&second.tick(report(0, 10, 0)).await.unwrap()).slots, 0);
    // It goes by it, and has seven calls still.
    first.tick(report(7, 10, version(&smaller))).await.unwrap();
    let part = second.tick(report(0, 10, 0)).await.unwrap();
    assert_eq!(granted(&part).slots, 3);
    // The rate rests for as long as a call may have been started by it.
    assert_eq!(granted(&part).calls_per_second, 0);
    fleet.sql("UPDATE trunk_shares SET held_until = 0");
    first.tick(report(5, 10, version(&smaller))).await.unwrap();
    let part = second.tick(report(3, 10, version(&part))).await.unwrap();
    assert_eq!(granted(&part), TrunkLimits { slots: 5, calls_per_second: 2 });
}

#[tokio::test]
async fn dead_node_is_fenced_and_what_it_left_is_settled_by_another() {
    let mut fleet = Fleet::new();
    let (dead, _) = fleet.join().await;
    let (heir, reader) = fleet.join().await;
    let owner = account(&heir).await.id;
    heir.add_contacts(at(1), &rule(owner), contacts(3)).await.unwrap();
    let campaign = heir.campaign_named(at(1), owner, "default").await.unwrap().id;
    dead.tick(report(0, 10, 0)).await.unwrap();
    heir.tick(report(0, 10, 0)).await.unwrap();
    let share = domain::dial_queue::Share { campaign, trunks: vec![TRUNK; 2] };
    let begun = dead.begin_attempts(at(2), vec![share], Arc::new(Freely)).await.unwrap().begun;
    let (open, done) = (begun[0].clone(), begun[1].clone());
    dead.finish_attempt(done.attempt.id, &end(HUMAN, at(20))).await.unwrap();
    // The heir's own recovery does not touch what others have under way.
    assert_eq!(heir.open_attempts().await.unwrap(), []);
    fleet.let_lapse(&dead);
    let tick = heir.tick(report(0, 10, 0)).await.unwrap();
    assert!(tick.leads);
    // Its phones may ring still, and its calls keep their slots.
    assert_eq!(tick.to_settle, []);
    assert_eq!(granted(&tick).slots, 9);
    fleet.sql("UPDATE nodes SET lost_at = lost_at - 60000 WHERE state = 'lost'");
    let tick = heir.tick(report(0, 10, version(&tick))).await.unwrap();
    let left: Vec<AttemptId> = tick.to_settle.iter().map(|left| left.0.id).collect();
    assert_eq!(left, [open.attempt.id]);
    heir.finish_attempt(left[0], &end(Outcome::InDoubt, at(90))).await.unwrap();
    assert_eq!(heir.tick(report(0, 10, 0)).await.unwrap().to_settle, []);
    let contact = reader.contact(owner, open.contact.id).await.unwrap().unwrap();
    assert!(matches!(contact.state, ContactState::Done(_)));
    // What it owed is delivered by the heir.
    let owed = heir.lease_webhooks(at(99), at(130), 10, 10).await.unwrap();
    assert_eq!(owed.len(), 2);
}

#[tokio::test]
async fn node_taken_for_dead_that_lives_goes_on_in_a_new_epoch_and_keeps_its_calls() {
    let mut fleet = Fleet::new();
    let (silent, _) = fleet.join().await;
    let (other, _) = fleet.join().await;
    let owner = account(&other).await.id;
    other.add_contacts(at(1), &rule(owner), contacts(1)).await.unwrap();
    let campaign = other.campaign_named(at(1), owner, "default").await.unwrap().id;
    silent.tick(report(0, 10, 0)).await.unwrap();
    let share = domain::dial_queue::Share { campaign, trunks: vec![TRUNK] };
    let begun = silent.begin_attempts(at(2), vec![share], Arc::new(Freely)).await.unwrap().begun;
    fleet.let_lapse(&silent);
    other.tick(report(0, 10, 0)).await.unwrap();
    let old = silent.epoch();
    // It hears that it is over, and begins anew.
    silent.tick(report(1, 10, 0)).await.unwrap_err();
    assert!(silent.epoch() > old);
    silent.tick(report(1, 10, 0)).await.unwrap();
    fleet.sql("UPDATE nodes SET lost_at = lost_at - 60000 WHERE state = 'lost'");
    // Nobody settles what is its own again.
    assert_eq!(other.tick(report(0, 10, 0)).await.unwrap().to_settle, []);
    let finished = silent.finish_attempt(begun[0].attempt.id, &end(HUMAN, at(30))).await.unwrap();
    assert!(!finished.repeated);
}

#[tokio::test]
async fn write_of_a_stale_epoch_is_refused_and_done_in_the_next_one() {
    let mut fleet = Fleet::new();
    let (store, reader) = fleet.join().await;
    let old = store.epoch();
    fleet.sql("UPDATE node_guards SET fenced = 1");
    let owner = account(&store).await.id;
    assert!(store.epoch() > old);
    // Once, not twice.
    assert_eq!(reader.accounts().await.unwrap().len(), 1);
    store.add_contacts(at(1), &rule(owner), contacts(2)).await.unwrap();
    assert_eq!(reader.totals().await.unwrap().contacts.waiting, 2);
}

#[tokio::test]
async fn node_that_starts_again_from_its_place_ends_the_one_before() {
    let mut fleet = Fleet::new();
    let (store, _) = fleet.join().await;
    let (node, epoch) = (store.node(), store.epoch());
    drop(store);
    let dir = fleet.dirs[1].path().to_owned();
    let (again, _) = Store::open(fleet.config(&dir)).await.unwrap();
    assert_eq!(again.node(), node);
    assert!(again.epoch() > epoch);
}

#[tokio::test]
async fn cancel_at_one_node_reaches_the_call_on_another() {
    let mut fleet = Fleet::new();
    let (caller, _) = fleet.join().await;
    let (asked, _) = fleet.join().await;
    let owner = account(&asked).await.id;
    let ids = asked.add_contacts(at(1), &rule(owner), contacts(1)).await.unwrap();
    let campaign = asked.campaign_named(at(1), owner, "default").await.unwrap().id;
    let share = domain::dial_queue::Share { campaign, trunks: vec![TRUNK] };
    let begun = caller.begin_attempts(at(2), vec![share], Arc::new(Freely)).await.unwrap().begun;
    let met = asked.cancel_contact(at(3), owner, ids[0]).await.unwrap();
    assert_eq!(met, Cancel::Calling(begun[0].attempt.id));
    assert_eq!(asked.tick(report(0, 1, 0)).await.unwrap().canceled, []);
    let tick = caller.tick(report(1, 1, 0)).await.unwrap();
    assert_eq!(tick.canceled, [begun[0].attempt.id]);
    assert_eq!(caller.tick(report(1, 1, 0)).await.unwrap().canceled, []);
}

#[tokio::test]
async fn node_that_made_a_call_is_found_by_others_with_its_address_after_it_has_gone() {
    let mut fleet = Fleet::new();
    let (caller, _) = fleet.join().await;
    let (asked, _) = fleet.join().await;
    let owner = account(&asked).await.id;
    asked.add_contacts(at(1), &rule(owner), contacts(1)).await.unwrap();
    let campaign = asked.campaign_named(at(1), owner, "default").await.unwrap().id;
    let share = domain::dial_queue::Share { campaign, trunks: vec![TRUNK] };
    let begun = caller.begin_attempts(at(2), vec![share], Arc::new(Freely)).await.unwrap().begun;
    let attempt = begun[0].attempt.id;
    // It has not said anything yet.
    let found = asked.other_keeper(attempt).await.unwrap().unwrap();
    assert_eq!((found.node, found.address.as_str()), (caller.node(), ""));
    let address = "http://10.0.0.6:8080".to_owned();
    caller.tick(NodeReport { address, ..report(1, 1, 0) }).await.unwrap();
    caller.close().await.unwrap();
    let found = asked.other_keeper(attempt).await.unwrap().unwrap();
    assert_eq!(found.address, "http://10.0.0.6:8080");
    assert!(found.seen_at > at(1_000_000), "{found:?}");
    let unknown = AttemptId(attempt.0 + 1_000);
    assert_eq!(asked.other_keeper(unknown).await.unwrap(), None);
}

#[tokio::test]
async fn node_that_made_a_call_itself_asks_no_other() {
    let mut fleet = Fleet::new();
    let (caller, _) = fleet.join().await;
    let owner = account(&caller).await.id;
    caller.add_contacts(at(1), &rule(owner), contacts(1)).await.unwrap();
    let campaign = caller.campaign_named(at(1), owner, "default").await.unwrap().id;
    let share = domain::dial_queue::Share { campaign, trunks: vec![TRUNK] };
    let begun = caller.begin_attempts(at(2), vec![share], Arc::new(Freely)).await.unwrap().begun;
    assert_eq!(caller.other_keeper(begun[0].attempt.id).await.unwrap(), None);
}

#[tokio::test]
async fn contacts_are_claimed_once_whichever_nodes_claim_at_the_same_time() {
    let mut fleet = Fleet::new();
    let (first, reader) = fleet.join().await;
    let owner = account(&first).await.id;
    first.add_contacts(at(1), &rule(owner), contacts(200)).await.unwrap();
    let campaign = first.campaign_named(at(1), owner, "default").await.unwrap().id;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, _) = fleet.join().await;
        claimers.spawn(async move {
            let mut ids = Vec::new();
            loop {
                let share = domain::dial_queue::Share { campaign, trunks: vec![TRUNK; 9] };
                let begun =
                    store.begin_attempts(at(2), vec![share], Arc::new(Freely)).await.unwrap().begun;
                if begun.is_empty() {
                    return ids;
                }
                for begun in begun {
                    let id = begun.attempt.id;
                    store.finish_attempt(id, &end(HUMAN, at(3))).await.unwrap();
                    ids.push(begun.contact.id.0);
                }
            }
        });
    }
    let mut claimed: Vec<i64> = claimers.join_all().await.concat();
    claimed.sort_unstable();
    claimed.dedup();
    let totals = reader.totals().await.unwrap();
    assert_eq!((claimed.len(), totals.contacts.completed), (200, 200));
    assert_eq!((totals.contacts.waiting, totals.contacts.calling), (0, 0));
}

#[tokio::test]
async fn lost_connections_are_opened_anew_and_double_nothing() {
    let mut fleet = Fleet::new();
    let plain = fleet.url.clone();
    fleet.url += "&application_name=hung_up";
    let (store, reader) = fleet.join().await;
    let owner = account(&store).await.id;
    let hang_up = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = 'hung_up'";
    let mut taken = 0;
    for round in 0..20 {
        let url = plain.clone();
        let hung_up = tokio::task::spawn_blocking(move || server::run(&url, hang_up));
        // Whoever is told that it is not done asks again; who is told nothing else is not doubled.
        while store.add_contacts(at(round), &rule(owner), contacts(3)).await.is_err() {}
        taken += 3;
        hung_up.await.unwrap();
    }
    let counted = async {
        loop {
            if let Ok(totals) = reader.totals().await {
                return totals.contacts.waiting;
            }
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(60), counted).await.unwrap();
    assert_eq!(counted, taken);
}

#[tokio::test]
async fn delivery_recorded_by_two_nodes_settles_once() {
    let mut fleet = Fleet::new();
    let (first, reader) = fleet.join().await;
    let (second, _) = fleet.join().await;
    let owner = account(&first).await.id;
    let ids = first.add_contacts(at(1), &rule(owner), contacts(1)).await.unwrap();
    first.cancel_contact(at(2), owner, ids[0]).await.unwrap();
    // What one owes, the other does not deliver beside it.
    assert_eq!(second.lease_webhooks(at(3), at(9), 5, 5).await.unwrap().len(), 0);
    let owed = first.lease_webhooks(at(3), at(9), 5, 5).await.unwrap();
    assert_eq!(owed.len(), 1);
    for store in [&first, &second] {
        let tried = Tried {
            at: at(4),
            accepted: true,
            status: Some(200),
            latency: Duration::ZERO,
            answer: String::new(),
            detail: String::new(),
        };
        let verdict = DeliveryVerdict::Delivered;
        store.record_delivery(owed[0].webhook, tried, verdict).await.unwrap();
    }
    assert_eq!(reader.totals().await.unwrap().webhooks_delivered, 1);
}

#[tokio::test]
async fn webhook_that_another_node_delivered_is_under_way_no_longer() {
    let mut fleet = Fleet::new();
    let (silent, _) = fleet.join().await;
    let (heir, _) = fleet.join().await;
    let owner = account(&silent).await.id;
    let ids = silent.add_contacts(at(1), &rule(owner), contacts(1)).await.unwrap();
    silent.cancel_contact(at(2), owner, ids[0]).await.unwrap();
    let owed = silent.lease_webhooks(at(3), at(183), 5, 5).await.unwrap();
    assert_eq!(silent.webhooks_due_at().await.unwrap(), Some(at(183)));
    for store in [&heir, &silent] {
        let tried = Tried {
            at: at(4),
            accepted: true,
            status: Some(200),
            latency: Duration::ZERO,
            answer: String::new(),
            detail: String::new(),
        };
        let verdict = DeliveryVerdict::Delivered;
        store.record_delivery(owed[0].webhook, tried, verdict).await.unwrap();
    }
    // Its lane has room again: else one failure would hold it up until the end of the lease.
    assert_eq!(silent.webhooks_due_at().await.unwrap(), None);
}
