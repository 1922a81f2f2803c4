//! Events followed by a cursor: none is skipped, none is told twice, and who comes too late hears it.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::event::EventKind;
use domain::ids::{AccountId, EventId};
use store::{EventCursor, EventFilter, EventPart, EventsRead, ReadFrom, Reader};

use crate::support::{Home, at, contacts, end, rule};

const ALL: EventFilter = EventFilter { campaign: None, kind: None };

async fn part(
    reader: &Reader,
    account: AccountId,
    from: ReadFrom,
    filter: EventFilter,
    limit: u32,
) -> EventPart {
    match reader.events_of_account(account, from, filter, limit).await.unwrap() {
        EventsRead::Part(part) => part,
        EventsRead::Gone => panic!("{from:?} is gone"),
    }
}

/// All that can be told after a place, page by page.
async fn rest(reader: &Reader, account: AccountId, mut from: ReadFrom) -> (Vec<EventId>, ReadFrom) {
    let mut found = Vec::new();
    loop {
        let part = part(reader, account, from, ALL, 3).await;
        found.extend(part.items.iter().map(|told| told.event.id));
        from = ReadFrom::After(part.next);
        if !part.more {
            return (found, from);
        }
    }
}

/// Takes one more contact in, and waits until that can be told: so can all before it.
async fn settled(home: &Home) {
    home.store.flush().await.unwrap();
    let last = home.store.add_contacts(at(9), &rule(home.account), contacts(1)).await.unwrap();
    let mut from = ReadFrom::Oldest;
    loop {
        let part = part(&home.reader, home.account, from, ALL, 1_000).await;
        if part.items.iter().any(|told| told.event.contact == last[0]) {
            return;
        }
        from = ReadFrom::After(part.next);
    }
}

#[tokio::test]
async fn events_of_an_account_are_told_in_order_page_by_page_and_once() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(4)).await.unwrap();
    let campaign = home.campaign().await;
    let begun = home.begin_one(at(2), campaign).await;
    let human = domain::outcome::Outcome::Answered(domain::outcome::CalleeType::Human);
    home.store.finish_attempt(begun.attempt.id, &end(human, at(20))).await.unwrap();
    settled(&home).await;
    let (first, from) = rest(&home.reader, home.account, ReadFrom::Oldest).await;
    // Four are queued, one is dialed, ends, and is done; and the one that settled it.
    assert_eq!(first.len(), 8);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 8);
    let again = rest(&home.reader, home.account, from).await;
    assert_eq!(again, (vec![], from));
    settled(&home).await;
    let (more, _) = rest(&home.reader, home.account, from).await;
    assert_eq!(more.len(), 1);
}

#[tokio::test]
async fn events_are_told_by_campaign_and_kind_and_the_rest_is_passed_over() {
    let home = Home::new().await;
    let other = domain::contact::ContactRule { campaign: "other".into(), ..rule(home.account) };
    home.store.add_contacts(at(1), &other, contacts(2)).await.unwrap();
    home.store.add_contacts(at(1), &rule(home.account), contacts(2)).await.unwrap();
    let campaign = home.campaign().await;
    home.begin_one(at(2), campaign).await;
    settled(&home).await;
    let filter = EventFilter { campaign: Some(campaign), kind: Some(EventKind::Queued) };
    let found = part(&home.reader, home.account, ReadFrom::Oldest, filter, 100).await;
    let seen: Vec<_> = found
        .items
        .iter()
        .map(|told| (told.event.kind, told.campaign, told.reference.as_str()))
        .collect();
    let queued = |reference| (EventKind::Queued, campaign, reference);
    assert_eq!(seen, [queued("ref 1"), queued("ref 2"), queued("ref 1")]);
    assert!(!found.more);
    // Where it goes on, what was passed over is not looked through again.
    let newest = home.reader.newest_events(vec![home.account]).await.unwrap()[0].1;
    assert_eq!(found.next, newest);
}

#[tokio::test]
async fn events_of_other_accounts_are_not_told() {
    let home = Home::new().await;
    let other = home.store.create_account(at(0), "other", None).await.unwrap().id;
    home.store.add_contacts(at(1), &rule(other), contacts(2)).await.unwrap();
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    settled(&home).await;
    assert_eq!(rest(&home.reader, home.account, ReadFrom::Oldest).await.0.len(), 2);
    assert_eq!(rest(&home.reader, other, ReadFrom::Oldest).await.0.len(), 2);
}

#[tokio::test]
async fn who_begins_now_is_told_only_what_comes() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(3)).await.unwrap();
    settled(&home).await;
    let (none, from) = rest(&home.reader, home.account, ReadFrom::Now).await;
    assert_eq!(none, []);
    settled(&home).await;
    assert_eq!(rest(&home.reader, home.account, from).await.0.len(), 1);
}

#[tokio::test]
async fn list_taken_in_as_a_whole_is_told_as_well() {
    let home = Home::new().await;
    let upload = home.store.begin_upload(at(1), &rule(home.account)).await.unwrap();
    home.store.upload_add(upload, contacts(600)).await.unwrap();
    home.store.commit_upload(upload).await.unwrap();
    settled(&home).await;
    let (found, _) = rest(&home.reader, home.account, ReadFrom::Oldest).await;
    assert_eq!(found.len(), 601);
}

#[tokio::test]
async fn place_before_what_is_kept_is_gone_and_the_oldest_kept_is_not() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(2)).await.unwrap();
    home.store.add_contacts(at(5), &rule(home.account), contacts(2)).await.unwrap();
    settled(&home).await;
    let page = part(&home.reader, home.account, ReadFrom::Oldest, ALL, 3).await;
    assert_eq!(home.store.purge_events(at(1), 10).await.unwrap(), 0);
    assert_eq!(home.store.purge_events(at(5), 1).await.unwrap(), 1);
    assert_eq!(home.store.purge_events(at(5), 10).await.unwrap(), 1);
    assert_eq!(home.store.purge_events(at(5), 10).await.unwrap(), 0);
    // After the first of those forgotten one is missing, after the last of them none.
    let read =
        async |from| home.reader.events_of_account(home.account, from, ALL, 10).await.unwrap();
    let after = |nth: usize| ReadFrom::After(page.items[nth].cursor);
    assert_eq!(read(after(0)).await, EventsRead::Gone);
    assert!(matches!(read(after(1)).await, EventsRead::Part(part) if part.items.len() == 3));
    assert!(matches!(read(after(2)).await, EventsRead::Part(part) if part.items.len() == 2));
    let oldest = read(ReadFrom::Oldest).await;
    assert!(matches!(oldest, EventsRead::Part(part) if part.items.len() == 3));
}

#[tokio::test]
async fn place_that_this_database_has_never_reached_is_gone() {
    let home = Home::new().await;
    settled(&home).await;
    let never: EventCursor = "7fffffffffffffff-1".parse().unwrap();
    let from = ReadFrom::After(never);
    let read = home.reader.events_of_account(home.account, from, ALL, 10).await.unwrap();
    assert_eq!(read, EventsRead::Gone);
}

#[tokio::test]
async fn follower_goes_on_where_the_store_is_opened_anew() {
    let home = Home::new().await;
    settled(&home).await;
    let (_, from) = rest(&home.reader, home.account, ReadFrom::Oldest).await;
    let home = home.reopened().await;
    settled(&home).await;
    let (found, _) = rest(&home.reader, home.account, from).await;
    assert_eq!(found.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn follower_of_many_writers_skips_nothing_and_hears_nothing_twice() {
    let home = Home::new().await;
    let mut writers = tokio::task::JoinSet::new();
    for nth in 0..6_usize {
        let (store, account) = (home.store.clone(), home.account);
        writers.spawn(async move {
            for _ in 0..25 {
                store.add_contacts(at(1), &rule(account), contacts(1 + nth)).await.unwrap();
            }
        });
    }
    let mut told = Vec::new();
    let mut from = ReadFrom::Oldest;
    let expected: usize = (0..6).map(|nth| 25 * (1 + nth)).sum();
    let follow = async {
        while told.len() < expected {
            let (found, next) = rest(&home.reader, home.account, from).await;
            told.extend(found);
            from = next;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), follow).await.unwrap();
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), expected);
    assert_eq!(rest(&home.reader, home.account, from).await.0, []);
}
