//! SQLite's file: who may read it, what is none, and a disk that is full.

use std::error::Error;
use std::time::Duration;

use store::{Store, StoreConfig, StoreError};

use crate::support::{Home, at, config, contacts, rule};

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
async fn numbers_of_events_begin_above_those_that_a_lost_commit_may_have_given_out() {
    let home = Home::new().await;
    let first = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let told = async |home: &Home, contact| home.reader.events(contact).await.unwrap()[0].id.0;
    let before = told(&home, first[0]).await;
    // Power fails, and the last commits that were not asked to outlive it are gone.
    let home = home.reopened().await;
    let path = home.dir.path().join("outdial.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("DELETE FROM events").unwrap();
    drop(database);
    let again = home.store.add_contacts(at(2), &rule(home.account), contacts(1)).await.unwrap();
    assert!(told(&home, again[0]).await > before + (1 << 31));
}
