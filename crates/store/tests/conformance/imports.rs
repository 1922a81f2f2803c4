//! Files of contacts: read first, taken in when somebody says so, or not at all.

use store::{ImportState, StoreError, UploadId};

use crate::support::{Home, at, contacts, rule};

#[tokio::test]
async fn import_is_dialed_after_its_commit_and_not_before() {
    let home = Home::new().await;
    let rule = rule(home.account);
    let import = home.store.begin_import(at(1), &rule, "list.csv").await.unwrap();
    home.store.upload_add(import, contacts(3)).await.unwrap();
    let begun = home.reader.import(home.account, import).await.unwrap().unwrap();
    assert_eq!((begun.state, begun.report.as_str()), (ImportState::Checking, ""));
    home.store.import_checked(import, "{}".into()).await.unwrap();
    assert!(home.store.demands(at(2), 10).await.unwrap().is_empty());

    assert!(home.store.commit_import(home.account, import).await.unwrap());
    home.store.flush().await.unwrap();
    let demands = home.store.demands(at(2), 10).await.unwrap();
    assert_eq!(demands.iter().map(|demand| demand.ready).sum::<u32>(), 3);
    let committed = home.reader.import(home.account, import).await.unwrap().unwrap();
    assert_eq!(committed.state, ImportState::Committed);
    assert_eq!((committed.file_name.as_str(), committed.report.as_str()), ("list.csv", "{}"));
    // A second commit takes nothing in twice.
    assert!(!home.store.commit_import(home.account, import).await.unwrap());
}

#[tokio::test]
async fn discarded_import_leaves_no_contact_behind() {
    let home = Home::new().await;
    let import = home.store.begin_import(at(1), &rule(home.account), "a").await.unwrap();
    home.store.upload_add(import, contacts(600)).await.unwrap();
    home.store.import_rejected(import, 0, "phone\nbad\n".into()).await.unwrap();
    home.store.import_checked(import, "{}".into()).await.unwrap();
    assert!(home.store.discard_import(home.account, import).await.unwrap());
    home.store.flush().await.unwrap();
    assert!(home.store.demands(at(2), 10).await.unwrap().is_empty());
    assert!(!home.store.commit_import(home.account, import).await.unwrap());
    assert_eq!(home.reader.rejected_part(import, 0).await.unwrap(), None);
}

#[tokio::test]
async fn checked_import_waits_for_its_commit_through_a_restart() {
    let home = Home::new().await;
    let rule = rule(home.account);
    let checked = home.store.begin_import(at(1), &rule, "checked").await.unwrap();
    home.store.upload_add(checked, contacts(2)).await.unwrap();
    home.store.import_checked(checked, "{}".into()).await.unwrap();
    let unread = home.store.begin_import(at(1), &rule, "unread").await.unwrap();
    home.store.upload_add(unread, contacts(2)).await.unwrap();

    let home = home.reopened().await;
    let state = async |import| {
        let found = home.reader.import(home.account, import).await.unwrap();
        found.map(|import| import.state)
    };
    assert_eq!(state(checked).await, Some(ImportState::Checked));
    assert_eq!(state(unread).await, Some(ImportState::Discarded));
    assert!(home.store.commit_import(home.account, checked).await.unwrap());
    home.store.flush().await.unwrap();
    let demands = home.store.demands(at(2), 10).await.unwrap();
    assert_eq!(demands.iter().map(|demand| demand.ready).sum::<u32>(), 2);
}

#[tokio::test]
async fn import_belongs_to_its_account_alone() {
    let home = Home::new().await;
    let other = home.store.create_account(at(0), "other", None).await.unwrap().id;
    let import = home.store.begin_import(at(1), &rule(home.account), "a").await.unwrap();
    home.store.import_checked(import, "{}".into()).await.unwrap();
    assert_eq!(home.reader.import(other, import).await.unwrap(), None);
    assert!(home.reader.imports(other, None, 10).await.unwrap().items.is_empty());
    assert!(!home.store.commit_import(other, import).await.unwrap());
    assert!(!home.store.discard_import(other, import).await.unwrap());
    assert_eq!(home.reader.imports(home.account, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn rejected_rows_come_back_part_by_part_and_old_imports_are_forgotten() {
    let home = Home::new().await;
    let import = home.store.begin_import(at(1), &rule(home.account), "a").await.unwrap();
    for (nth, text) in ["phone\n", "bad\n"].into_iter().enumerate() {
        home.store.import_rejected(import, nth as u32, text.into()).await.unwrap();
    }
    home.store.upload_add(import, contacts(2)).await.unwrap();
    home.store.import_checked(import, "{}".into()).await.unwrap();
    assert_eq!(home.reader.rejected_part(import, 1).await.unwrap().as_deref(), Some("bad\n"));
    assert_eq!(home.reader.rejected_part(import, 2).await.unwrap(), None);

    assert_eq!(home.store.forget_imports(at(1)).await.unwrap(), 0);
    assert_eq!(home.store.forget_imports(at(2)).await.unwrap(), 1);
    assert_eq!(home.reader.import(home.account, import).await.unwrap(), None);
    assert!(!home.store.commit_import(home.account, import).await.unwrap());
    home.store.flush().await.unwrap();
    assert!(home.store.demands(at(2), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn import_that_nobody_began_is_not_checked() {
    let home = Home::new().await;
    let checked = home.store.import_checked(UploadId(77), "{}".into()).await;
    assert!(matches!(checked, Err(StoreError::Unknown { .. })));
}
