//! Followers of events on PostgreSQL while transactions end out of the order in which they began.

use std::collections::BTreeSet;

use domain::ids::AccountId;
use store::{EventFilter, EventsRead, ReadFrom, Reader};
use tokio_postgres::{Client, NoTls};

use crate::server;
use crate::support::{Home, at, contacts, rule};

/// A connection past the store, as another node has one.
async fn connect(home: &Home) -> Client {
    let url = server::url_of(home.dir.path());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What is told after a place, by number, and the place after it.
async fn told(reader: &Reader, account: AccountId, from: ReadFrom) -> (Vec<i64>, ReadFrom) {
    let all = EventFilter::default();
    match reader.events_of_account(account, from, all, 1_000).await.unwrap() {
        EventsRead::Part(part) => {
            let ids = part.items.iter().map(|told| told.event.id.0).collect();
            (ids, ReadFrom::After(part.next))
        }
        EventsRead::Gone => panic!("{from:?} is gone"),
    }
}

/// Reads until as many were told.
async fn until(reader: &Reader, account: AccountId, from: &mut ReadFrom, many: usize) -> Vec<i64> {
    let mut found = Vec::new();
    while found.len() < many {
        let (more, next) = told(reader, account, *from).await;
        found.extend(more);
        *from = next;
    }
    found
}

async fn write(client: &Client, contact: i64, id: i64, account: i64) {
    let insert = "INSERT INTO events (contact, id, at, kind, detail, account) \
                  VALUES ($1, $2, 0, 'held', '', $3)";
    client.execute(insert, &[&contact, &id, &account]).await.unwrap();
}

#[tokio::test]
async fn event_of_a_transaction_that_ends_late_is_told_before_those_that_came_after_it() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let (contact, account) = (ids[0].0, home.account.0);
    let mut from = ReadFrom::Oldest;
    until(&home.reader, home.account, &mut from, 1).await;
    let (slow, quick) = (connect(&home).await, connect(&home).await);
    slow.batch_execute("BEGIN").await.unwrap();
    write(&slow, contact, 9_000_001, account).await;
    // It has a smaller number than the one that is still open, and a greater one.
    write(&quick, contact, 9_000_000, account).await;
    write(&quick, contact, 9_000_002, account).await;
    for _ in 0..20 {
        let (found, next) = told(&home.reader, home.account, from).await;
        assert_eq!(found, []);
        from = next;
    }
    slow.batch_execute("COMMIT").await.unwrap();
    let found = until(&home.reader, home.account, &mut from, 3).await;
    assert_eq!(found, [9_000_001, 9_000_000, 9_000_002]);
    assert_eq!(told(&home.reader, home.account, from).await.0, []);
}

#[tokio::test]
async fn event_of_a_transaction_that_is_undone_holds_nobody_up() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let (contact, account) = (ids[0].0, home.account.0);
    let mut from = ReadFrom::Oldest;
    until(&home.reader, home.account, &mut from, 1).await;
    let (slow, quick) = (connect(&home).await, connect(&home).await);
    slow.batch_execute("BEGIN").await.unwrap();
    write(&slow, contact, 9_000_001, account).await;
    write(&quick, contact, 9_000_002, account).await;
    slow.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(until(&home.reader, home.account, &mut from, 1).await, [9_000_002]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_end_in_any_order_are_all_told_of_once() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let (contact, account) = (ids[0].0, home.account.0);
    let mut from = ReadFrom::Oldest;
    until(&home.reader, home.account, &mut from, 1).await;
    // Each holds its transaction open while the next one begins and others end.
    let (writers, rounds) = (5_i64, 40_i64);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let client = connect(&home).await;
        tasks.spawn(async move {
            for round in 0..rounds {
                client.batch_execute("BEGIN").await.unwrap();
                let id = 9_000_000 + round * writers + writer;
                write(&client, contact, id, account).await;
                for _ in 0..(writer + round) % 5 {
                    client.batch_execute("SELECT 1").await.unwrap();
                }
                let end = if (writer + round) % 7 == 0 { "ROLLBACK" } else { "COMMIT" };
                client.batch_execute(end).await.unwrap();
            }
        });
    }
    let kept = (0..writers)
        .flat_map(|writer| (0..rounds).map(move |round| (writer, round)))
        .filter(|(writer, round)| (writer + round) % 7 != 0);
    let expected: BTreeSet<i64> =
        kept.map(|(writer, round)| 9_000_000 + round * writers + writer).collect();
    let found = until(&home.reader, home.account, &mut from, expected.len()).await;
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(told(&home.reader, home.account, from).await.0, []);
}

#[tokio::test]
async fn database_restored_at_another_server_tells_what_comes() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(2)).await.unwrap();
    let url = server::url_of(home.dir.path());
    // Transactions of a server that had begun far more of them.
    server::run(
        &url,
        &format!(
            "UPDATE events SET written = '900000000000';
             INSERT INTO event_floors (account, written, id) VALUES ({}, '800000000000', 1)",
            home.account.0
        ),
    );
    let home = home.reopened().await;
    let mut from = ReadFrom::Oldest;
    assert_eq!(until(&home.reader, home.account, &mut from, 2).await.len(), 2);
    home.store.add_contacts(at(2), &rule(home.account), contacts(1)).await.unwrap();
    assert_eq!(until(&home.reader, home.account, &mut from, 1).await.len(), 1);
}
