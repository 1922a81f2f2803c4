//! Opening, closing, and sharing commits.

use std::time::Duration;

use domain::event::EventKind;
use domain::ids::AccountId;
use store::{CreateError, Store, StoreConfig, StoreError};

use crate::support::{Home, at, config, contacts, rule};

#[tokio::test]
async fn second_server_on_the_same_file_is_told_so() {
    let home = Home::new().await;
    let second = Store::open(config(home.dir.path())).await;
    let error = second.unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)));
    assert!(error.to_string().ends_with("outdial.db is in use by another server"));
    // The first goes on undisturbed.
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
}

#[tokio::test]
async fn closed_store_has_written_all_it_took_and_takes_no_more() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let begun = home.begin_one(at(2), home.campaign().await).await;
    let (attempt, contact) = (begun.attempt.id, begun.contact.id);
    home.store.note(attempt, contact, at(3), EventKind::Ringing, "").await.unwrap();
    let other = home.store.clone();
    home.store.close().await.unwrap();
    other.close().await.unwrap();
    let refused = other.note(attempt, contact, at(4), EventKind::Ringing, "").await;
    assert!(matches!(refused, Err(StoreError::Closed)));
    // SQLite's file alone has everything: nothing was left written ahead.
    let wal = std::fs::metadata(home.dir.path().join("outdial.db-wal"));
    assert_eq!(wal.map_or(0, |wal| wal.len()), 0);
    let home = home.reopened().await;
    assert_eq!(home.reader.events(contact).await.unwrap().len(), 3);
}

#[tokio::test]
async fn operation_that_fails_takes_nobody_of_its_group_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let patient = StoreConfig { group_window: Duration::from_millis(50), ..config(dir.path()) };
    let (store, reader) = Store::open(patient).await.unwrap();
    let account = store.create_account(at(0), "plum", None).await.unwrap().id;
    let good = rule(account);
    let unknown = rule(AccountId(99));
    // The failing one has created nothing by then; the taken login fails without an error of SQL.
    let (first, failed, taken, last) = tokio::join!(
        store.add_contacts(at(1), &good, contacts(2)),
        store.add_contacts(at(1), &unknown, contacts(2)),
        store.create_account(at(1), "plum", None),
        store.add_contacts(at(1), &good, contacts(2)),
    );
    assert_eq!((first.unwrap().len(), last.unwrap().len()), (2, 2));
    assert!(matches!(failed, Err(StoreError::Unknown { .. })));
    assert!(matches!(taken, Err(CreateError::Taken(_))));
    assert_eq!(reader.totals().await.unwrap().contacts.waiting, 4);
}

#[tokio::test]
async fn many_callers_share_few_commits() {
    let dir = tempfile::tempdir().unwrap();
    // So long that only a full group ends the wait.
    let patient = StoreConfig {
        group_window: Duration::from_secs(600),
        group_ops_max: 50,
        ..config(dir.path())
    };
    let (store, reader) = Store::open(patient).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for nth in 0..200 {
        let store = store.clone();
        callers.spawn(async move {
            let login = format!("account {nth}");
            store.create_account(at(0), &login, None).await.unwrap();
        });
    }
    callers.join_all().await;
    assert_eq!(reader.accounts().await.unwrap().len(), 200);
}

#[tokio::test]
async fn callers_beyond_the_places_wait_and_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let narrow = StoreConfig { waiting_ops_max: 2, ..config(dir.path()) };
    let (store, reader) = Store::open(narrow).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for nth in 0..50 {
        let store = store.clone();
        callers.spawn(async move {
            let login = format!("account {nth}");
            store.create_account(at(0), &login, None).await.unwrap();
        });
    }
    callers.join_all().await;
    assert_eq!(reader.accounts().await.unwrap().len(), 50);
}

#[tokio::test]
async fn readers_see_a_commit_as_soon_as_it_is_answered() {
    let home = Home::new().await;
    for nth in 1..=50 {
        home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
        assert_eq!(home.reader.totals().await.unwrap().contacts.waiting, nth);
    }
}
