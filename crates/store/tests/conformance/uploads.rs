//! Long lists, which count as a whole or not at all.

use domain::contact::ContactState;
use domain::ids::ContactId;
use store::{Cancel, ContactFilter, StoreError, UploadId};

use crate::support::{Home, at, contacts, rule};

/// More than one transaction makes dialable.
const MANY: usize = 3_000;

async fn uploaded(home: &Home, many: usize) -> (UploadId, Vec<ContactId>) {
    let upload = home.store.begin_upload(at(1), &rule(home.account)).await.unwrap();
    let ids = home.store.upload_add(upload, contacts(many)).await.unwrap();
    (upload, ids)
}

async fn waiting(home: &Home) -> u64 {
    home.reader.totals().await.unwrap().contacts.waiting
}

#[tokio::test]
async fn contacts_of_an_open_upload_are_neither_shown_nor_dialed_nor_canceled() {
    let home = Home::new().await;
    let (_, ids) = uploaded(&home, 3).await;
    assert_eq!(home.reader.contact(home.account, ids[0]).await.unwrap(), None);
    let list = home.reader.contacts(home.account, ContactFilter::default(), None, 10);
    assert_eq!(list.await.unwrap().items, []);
    assert_eq!(home.store.demands(at(2), 10).await.unwrap(), []);
    let cancel = home.store.cancel_contact(at(2), home.account, ids[0]).await.unwrap();
    assert_eq!(cancel, Cancel::NotFound);
}

#[tokio::test]
async fn committed_upload_is_dialed_in_its_order() {
    let home = Home::new().await;
    let (upload, ids) = uploaded(&home, MANY).await;
    home.store.commit_upload(upload).await.unwrap();
    home.store.flush().await.unwrap();
    assert_eq!(waiting(&home).await, MANY as u64);
    let campaign = home.campaign().await;
    let begun = home.begin(at(2), campaign, 900).await;
    let begun: Vec<_> = begun.iter().map(|begun| begun.contact.id).collect();
    assert_eq!(begun, ids[..900]);
    let events = home.reader.events(ids[MANY - 1]).await.unwrap();
    assert_eq!((events.len(), events[0].at), (1, at(1)));
}

#[tokio::test]
async fn committed_upload_outlives_a_crash_before_it_is_dialable() {
    let home = Home::new().await;
    let (upload, ids) = uploaded(&home, MANY).await;
    home.store.commit_upload(upload).await.unwrap();
    let home = home.reopened().await;
    home.store.flush().await.unwrap();
    assert_eq!(waiting(&home).await, ids.len() as u64);
}

#[tokio::test]
async fn upload_never_committed_is_gone_after_a_crash() {
    let home = Home::new().await;
    let (upload, ids) = uploaded(&home, MANY).await;
    let home = home.reopened().await;
    home.store.flush().await.unwrap();
    let late = home.store.commit_upload(upload).await;
    assert!(matches!(late, Err(StoreError::Unknown { what: "upload", .. })));
    assert_eq!(waiting(&home).await, 0);
    // Its numbers are not given out again: the client may remember them.
    let next = home.store.add_contacts(at(2), &rule(home.account), contacts(1)).await.unwrap();
    assert_eq!(next, [ContactId(ids.len() as i64 + 1)]);
}

#[tokio::test]
async fn aborted_upload_takes_nothing_in_and_takes_nothing_more() {
    let home = Home::new().await;
    let (upload, _) = uploaded(&home, MANY).await;
    home.store.abort_upload(upload).await.unwrap();
    home.store.flush().await.unwrap();
    assert_eq!(waiting(&home).await, 0);
    assert!(home.store.upload_add(upload, contacts(1)).await.is_err());
    assert!(home.store.commit_upload(upload).await.is_err());
    assert!(home.store.abort_upload(upload).await.is_err());
}

#[tokio::test]
async fn contact_of_a_committed_upload_is_shown_before_it_is_dialable() {
    let home = Home::new().await;
    let (upload, ids) = uploaded(&home, MANY).await;
    home.store.commit_upload(upload).await.unwrap();
    let last = home.reader.contact(home.account, ids[MANY - 1]).await.unwrap().unwrap();
    assert_eq!((last.state, last.next_at), (ContactState::Waiting, at(1)));
    home.store.flush().await.unwrap();
    let dialable = home.reader.contact(home.account, ids[MANY - 1]).await.unwrap().unwrap();
    assert_eq!(dialable, last);
}

#[tokio::test]
async fn contact_of_a_committed_upload_is_canceled_before_it_is_dialable() {
    let home = Home::new().await;
    let (upload, ids) = uploaded(&home, MANY).await;
    home.store.commit_upload(upload).await.unwrap();
    let cancel = home.store.cancel_contact(at(2), home.account, ids[MANY - 1]).await.unwrap();
    assert_eq!(cancel, Cancel::Canceled);
    home.store.flush().await.unwrap();
    let counts = home.reader.totals().await.unwrap().contacts;
    assert_eq!((counts.waiting, counts.canceled), (MANY as u64 - 1, 1));
}

#[tokio::test]
async fn campaign_canceled_after_an_upload_keeps_none_of_it() {
    let home = Home::new().await;
    let (upload, _) = uploaded(&home, MANY).await;
    home.store.commit_upload(upload).await.unwrap();
    let campaign = home.campaign().await;
    let canceled = home.store.cancel_waiting(at(2), home.account, campaign).await.unwrap();
    assert_eq!((canceled, waiting(&home).await), (MANY as u64, 0));
}

#[tokio::test]
async fn others_are_served_between_the_parts_of_an_upload() {
    let home = Home::new().await;
    let mut single = rule(home.account);
    single.campaign = "single".into();
    let (upload, ids) = uploaded(&home, 20_000).await;
    let added = home.store.add_contacts(at(2), &single, contacts(1));
    let (committed, added) = tokio::join!(home.store.commit_upload(upload), added);
    committed.unwrap();
    home.store.flush().await.unwrap();
    // Events are numbered as they are written: the single contact came long before the last.
    let single = home.reader.events(added.unwrap()[0]).await.unwrap()[0].id;
    let last = home.reader.events(ids[ids.len() - 1]).await.unwrap()[0].id;
    assert!(single < last, "{single} {last}");
}
