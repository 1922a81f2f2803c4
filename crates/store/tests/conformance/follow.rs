//! Followers of events on PostgreSQL while transactions end out of the order in which they began.

use std::collections::BTreeSet;

use store::{EventFilter, EventsRead, ReadFrom};
use tokio_postgres::{Client, NoTls};

use crate::server;
use crate::support::{Home, at, contacts, rule};

/// Somebody who follows the events of the one account, and has come so far.
struct Follower {
    home: Home,
    from: ReadFrom,
}

impl Follower {
    /// Nothing is told yet.
    fn new(home: Home) -> Self {
        Self { home, from: ReadFrom::Oldest }
    }

    /// A contact was taken in and that was told, as the only thing so far.
    async fn with_a_contact() -> (Self, Whose) {
        let home = Home::new().await;
        let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
        let whose = Whose { contact: ids[0].0, account: home.account.0 };
        let mut follower = Self::new(home);
        follower.until(1).await;
        (follower, whose)
    }

    /// A connection past the store, as another node has one.
    async fn connect(&self) -> Client {
        let url = server::url_of(self.home.dir.path());
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// What is told next, by number.
    async fn told(&mut self) -> Vec<i64> {
        let (account, all) = (self.home.account, EventFilter::default());
        let read = self.home.reader.events_of_account(account, self.from, all, 1_000);
        match read.await.unwrap() {
            EventsRead::Part(part) => {
                self.from = ReadFrom::After(part.next);
                part.items.iter().map(|told| told.event.id.0).collect()
            }
            EventsRead::Gone => panic!("{:?} is gone", self.from),
        }
    }

    /// Reads until as many were told.
    async fn until(&mut self, many: usize) -> Vec<i64> {
        let mut found = Vec::new();
        while found.len() < many {
            found.extend(self.told().await);
        }
        found
    }
}

/// Whose events are written.
#[derive(Clone, Copy)]
struct Whose {
    contact: i64,
    account: i64,
}

impl Whose {
    async fn write(self, client: &Client, id: i64) {
        let insert = "INSERT INTO events (contact, id, at, kind, detail, account) \
                      VALUES ($1, $2, 0, 'held', '', $3)";
        client.execute(insert, &[&self.contact, &id, &self.account]).await.unwrap();
    }
}

#[tokio::test]
async fn event_of_a_transaction_that_ends_late_is_told_before_those_that_came_after_it() {
    let (mut follower, whose) = Follower::with_a_contact().await;
    let (slow, quick) = (follower.connect().await, follower.connect().await);
    slow.batch_execute("BEGIN").await.unwrap();
    whose.write(&slow, 9_000_001).await;
    // It has a smaller number than the one that is still open, and a greater one.
    whose.write(&quick, 9_000_000).await;
    whose.write(&quick, 9_000_002).await;
    for _ in 0..20 {
        assert_eq!(follower.told().await, []);
    }
    slow.batch_execute("COMMIT").await.unwrap();
    assert_eq!(follower.until(3).await, [9_000_001, 9_000_000, 9_000_002]);
    assert_eq!(follower.told().await, []);
}

#[tokio::test]
async fn event_of_a_transaction_that_is_undone_holds_nobody_up() {
    let (mut follower, whose) = Follower::with_a_contact().await;
    let (slow, quick) = (follower.connect().await, follower.connect().await);
    slow.batch_execute("BEGIN").await.unwrap();
    whose.write(&slow, 9_000_001).await;
    whose.write(&quick, 9_000_002).await;
    slow.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(follower.until(1).await, [9_000_002]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_end_in_any_order_are_all_told_of_once() {
    let (mut follower, whose) = Follower::with_a_contact().await;
    // Each holds its transaction open while the next one begins and others end.
    let (writers, rounds) = (5_i64, 40_i64);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let client = follower.connect().await;
        tasks.spawn(async move {
            for round in 0..rounds {
                client.batch_execute("BEGIN").await.unwrap();
                whose.write(&client, 9_000_000 + round * writers + writer).await;
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
    let found = follower.until(expected.len()).await;
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(follower.told().await, []);
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
    let mut follower = Follower::new(home.reopened().await);
    assert_eq!(follower.until(2).await.len(), 2);
    let home = &follower.home;
    home.store.add_contacts(at(2), &rule(home.account), contacts(1)).await.unwrap();
    assert_eq!(follower.until(1).await.len(), 1);
}
