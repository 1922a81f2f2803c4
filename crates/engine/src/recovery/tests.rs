//! What becomes of attempts that a crash left open.

use std::sync::Arc;

use domain::application::{ApplicationSpec, Dialect, ScriptSource};
use domain::contact::{ContactRule, ContactState, NewContact};
use domain::dial_queue::Share;
use domain::event::EventKind;
use domain::ids::AccountId;
use domain::outcome::Disposition;
use domain::permit::Freely;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::DialWindow;
use store::{Begun, Reader, StoreConfig};

use super::*;

const T0: Timestamp = Timestamp::from_seconds(1_000);
const RING: Duration = Duration::from_secs(45);

async fn open(dir: &Path) -> (Store, Reader) {
    Store::open(StoreConfig::new(dir.join("outdial.db"))).await.unwrap()
}

/// A contact with an attempt, as a process leaves it that dies now.
async fn begun(store: &Store, redial_in_doubt: bool) -> (AccountId, Begun) {
    let account = store.create_account(T0, "login", None).await.unwrap().id;
    let rule = ContactRule {
        account,
        campaign: "default".into(),
        application: ApplicationSpec {
            script: ScriptSource::Say("hello".into()),
            parameters: String::new(),
            dialect: Dialect(0),
            detection: None,
        },
        window: DialWindow::ALWAYS,
        retry: RetryRule { attempts_max: 3, ..RetryRule::ONCE },
        terms: Terms::default(),
        result_url: None,
        dialect: Dialect(0),
    };
    let contact = NewContact::new("15550100".parse().unwrap());
    store.add_contacts(T0, &rule, vec![contact]).await.unwrap();
    let demands = store.demands(T0, 10).await.unwrap();
    let campaign = demands[0].campaign;
    store.set_redial_in_doubt(account, campaign, redial_in_doubt).await.unwrap();
    let shares = vec![Share { campaign, trunks: vec![TrunkId(1)] }];
    let mut begun = store.begin_attempts(T0, shares, Arc::new(Freely)).await.unwrap().begun;
    (account, begun.remove(0))
}

async fn state(reader: &Reader, account: AccountId, begun: &Begun) -> (ContactState, u32) {
    let contact = reader.contact(account, begun.contact.id).await.unwrap().unwrap();
    (contact.state, contact.attempts)
}

#[tokio::test]
async fn attempt_that_never_left_waits_again_and_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (store, reader) = open(dir.path()).await;
    drop(recover(&store, &path, T0, RING).await.unwrap());
    let (account, begun) = begun(&store, false).await;
    let recovered = recover(&store, &path, T0, RING).await.unwrap();
    assert!(recovered.held.is_empty());
    assert_eq!(state(&reader, account, &begun).await, (ContactState::Waiting, 0));
}

#[tokio::test]
async fn attempt_that_left_is_in_doubt_and_holds_its_slot_while_it_may_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (store, reader) = open(dir.path()).await;
    let before = recover(&store, &path, T0, RING).await.unwrap();
    let (account, begun) = begun(&store, false).await;
    before.journal.sent(begun.attempt.id, T0).unwrap();
    drop(before);
    let recovered = recover(&store, &path, T0, RING).await.unwrap();
    assert_eq!(recovered.held, [(T0 + RING, TrunkId(1))]);
    let failed = ContactState::Done(Disposition::Failed);
    assert_eq!(state(&reader, account, &begun).await, (failed, 1));
}

#[tokio::test]
async fn attempt_in_doubt_is_taken_down_by_each_process_while_it_may_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (store, _) = open(dir.path()).await;
    let before = recover(&store, &path, T0, RING).await.unwrap();
    let (_, begun) = begun(&store, false).await;
    before.journal.sent(begun.attempt.id, T0).unwrap();
    drop(before);
    // Two that are killed before they have done anything about it, and a third.
    for _ in 0..3 {
        let recovered = recover(&store, &path, T0, RING).await.unwrap();
        let left: Vec<AttemptId> = recovered.in_doubt.iter().map(|left| left.0.id).collect();
        assert_eq!(left, [begun.attempt.id]);
    }
    let later = T0 + RING + INVITE_TIME_MAX + Duration::from_secs(1);
    assert!(recover(&store, &path, later, RING).await.unwrap().in_doubt.is_empty());
}

#[tokio::test]
async fn attempt_in_doubt_is_repeated_where_the_campaign_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (store, reader) = open(dir.path()).await;
    let before = recover(&store, &path, T0, RING).await.unwrap();
    let (account, begun) = begun(&store, true).await;
    before.journal.sent(begun.attempt.id, T0).unwrap();
    drop(before);
    drop(recover(&store, &path, T0, RING).await.unwrap());
    assert_eq!(state(&reader, account, &begun).await, (ContactState::Waiting, 1));
}

#[tokio::test]
async fn attempt_that_rang_is_in_doubt_whatever_the_journal_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (store, reader) = open(dir.path()).await;
    drop(recover(&store, &path, T0, RING).await.unwrap());
    let (account, begun) = begun(&store, false).await;
    let Begun { attempt, contact, .. } = &begun;
    store.note(attempt.id, contact.id, T0, EventKind::Ringing, "").await.unwrap();
    store.flush().await.unwrap();
    drop(recover(&store, &path, T0, RING).await.unwrap());
    let failed = ContactState::Done(Disposition::Failed);
    assert_eq!(state(&reader, account, &begun).await, (failed, 1));
}
