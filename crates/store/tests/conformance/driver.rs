//! Opening, closing, sharing commits, and a world that fails.

use std::error::Error;
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
async fn database_of_a_newer_program_is_left_alone() {
    let home = Home::new().await;
    home.store.close().await.unwrap();
    let path = home.dir.path().join("outdial.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("INSERT INTO schema_versions VALUES (999, 'later')").unwrap();
    drop(database);
    let refused = Store::open(config(home.dir.path())).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooNew { found: 999, .. }), "{refused:?}");
}

#[tokio::test]
async fn file_that_is_no_database_is_refused_with_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outdial.db"), "x".repeat(5_000)).unwrap();
    let refused = Store::open(config(dir.path())).await.unwrap_err();
    assert_eq!(refused.to_string(), "store is unavailable");
    let cause = refused.source().unwrap().to_string();
    assert!(cause.contains("not a database"), "{cause}");
}

#[tokio::test]
async fn directory_that_does_not_exist_is_refused_with_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Store::open(config(&dir.path().join("nowhere"))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)));
    let cause = refused.source().unwrap().to_string();
    assert!(cause.contains("No such file"), "{cause}");
}

#[cfg(unix)]
#[tokio::test]
async fn database_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    for name in ["outdial.db", "outdial.db-wal", "outdial.db.lock"] {
        let mode = std::fs::metadata(home.dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
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
    // The file alone has everything: nothing was left written ahead.
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
async fn full_disk_refuses_with_the_cause_and_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let small = StoreConfig { file_bytes_max: Some(400 * 1_024), ..config(dir.path()) };
    let (store, reader) = Store::open(small).await.unwrap();
    let account = store.create_account(at(0), "plum", None).await.unwrap().id;
    let rule = rule(account);
    let mut taken = 0;
    let refused = loop {
        match store.add_contacts(at(1), &rule, contacts(100)).await {
            Ok(ids) => taken += ids.len() as u64,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)));
    let cause = refused.source().unwrap().to_string();
    assert!(cause.contains("full"), "{cause}");
    assert!(taken >= 100);
    assert_eq!(reader.totals().await.unwrap().contacts.waiting, taken);

    // What needs no more room goes on, and more room helps at the next start.
    let campaign = store.campaign_named(at(2), account, "default").await.unwrap().id;
    assert!(store.set_redial_in_doubt(account, campaign, true).await.unwrap());
    drop(store);
    let (store, reader) = Store::open(config(dir.path())).await.unwrap();
    store.add_contacts(at(3), &rule, contacts(100)).await.unwrap();
    assert_eq!(reader.totals().await.unwrap().contacts.waiting, taken + 100);
}

#[tokio::test]
async fn full_disk_fails_only_what_needs_room_in_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let small = StoreConfig {
        file_bytes_max: Some(400 * 1_024),
        group_window: Duration::from_millis(50),
        ..config(dir.path())
    };
    let (store, _reader) = Store::open(small).await.unwrap();
    let account = store.create_account(at(0), "plum", None).await.unwrap().id;
    let campaign = store.campaign_named(at(0), account, "default").await.unwrap().id;
    let rule = rule(account);
    let (first, large, last) = tokio::join!(
        store.set_redial_in_doubt(account, campaign, true),
        store.add_contacts(at(1), &rule, contacts(5_000)),
        store.add_contacts(at(1), &rule, contacts(1)),
    );
    assert!(first.unwrap());
    assert!(matches!(large, Err(StoreError::Unavailable(_))));
    assert_eq!(last.unwrap().len(), 1);
}

#[tokio::test]
async fn readers_see_a_commit_as_soon_as_it_is_answered() {
    let home = Home::new().await;
    for nth in 1..=50 {
        home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
        assert_eq!(home.reader.totals().await.unwrap().contacts.waiting, nth);
    }
}
