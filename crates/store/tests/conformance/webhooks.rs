//! The outbox: turns, leases, and what is remembered of deliveries.

use domain::ids::{ContactId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::DeliveryVerdict;
use store::{Owed, StoreError, Tried, WebhookState};

use crate::support::{Home, at, contacts, rule};

const PER_LANE_MAX: u32 = 2;

/// Owes the end of `many` contacts to a host, at `now`.
async fn owe(home: &Home, now: Timestamp, host: &str, many: usize) -> Vec<ContactId> {
    let mut rule = rule(home.account);
    rule.result_url = Some(format!("http://{host}/result"));
    let ids = home.store.add_contacts(now, &rule, contacts(many)).await.unwrap();
    for id in &ids {
        home.store.cancel_contact(now, home.account, *id).await.unwrap();
    }
    ids
}

/// Leases up to `limit` until 30 seconds later.
async fn lease(home: &Home, seconds: i64, limit: u32) -> Vec<Owed> {
    let leased = home.store.lease_webhooks(at(seconds), at(seconds + 30), limit, PER_LANE_MAX);
    leased.await.unwrap()
}

async fn record(home: &Home, owed: &Owed, seconds: i64, verdict: DeliveryVerdict) {
    let accepted = verdict == DeliveryVerdict::Delivered;
    let tried = tried(at(seconds), accepted);
    home.store.record_delivery(owed.webhook, tried, verdict).await.unwrap();
}

fn tried(at: Timestamp, accepted: bool) -> Tried {
    Tried {
        at,
        accepted,
        status: accepted.then_some(200),
        latency: std::time::Duration::from_millis(3),
        answer: String::new(),
        detail: "why".into(),
    }
}

fn hosts(owed: &[Owed]) -> String {
    owed.iter().map(|owed| &owed.url[7..8]).collect()
}

#[tokio::test]
async fn hosts_take_turns_whatever_each_of_them_is_owed() {
    let home = Home::new().await;
    owe(&home, at(1), "a.example", 9).await;
    owe(&home, at(2), "b.example", 1).await;
    owe(&home, at(3), "c.example", 2).await;
    assert_eq!(hosts(&lease(&home, 10, 10).await), "abcac");
}

#[tokio::test]
async fn dead_host_holds_up_nobody() {
    let home = Home::new().await;
    owe(&home, at(1), "a.example", 50).await;
    // Both places of the dead host are taken and never given back.
    assert_eq!(hosts(&lease(&home, 1, 10).await), "aa");
    for second in 2..20 {
        owe(&home, at(second), "b.example", 1).await;
        let leased = lease(&home, second, 1).await;
        assert_eq!(hosts(&leased), "b");
        record(&home, &leased[0], second, DeliveryVerdict::Delivered).await;
    }
}

#[tokio::test]
async fn host_served_longest_ago_goes_first() {
    let home = Home::new().await;
    for host in ["a.example", "b.example", "c.example"] {
        owe(&home, at(1), host, 6).await;
    }
    let mut turns = String::new();
    for second in 10..16 {
        let leased = lease(&home, second, 1).await;
        turns += &hosts(&leased);
        record(&home, &leased[0], second, DeliveryVerdict::Delivered).await;
    }
    assert_eq!(turns, "abcabc");
}

#[tokio::test]
async fn saturated_host_goes_on_as_soon_as_a_place_is_free() {
    let home = Home::new().await;
    owe(&home, at(1), "a.example", 3).await;
    let leased = lease(&home, 2, 10).await;
    assert_eq!(leased.len(), 2);
    assert_eq!(lease(&home, 3, 10).await, []);
    assert_eq!(home.store.webhooks_due_at().await.unwrap(), Some(at(32)));
    record(&home, &leased[0], 4, DeliveryVerdict::Delivered).await;
    assert!(home.store.webhooks_due_at().await.unwrap() <= Some(at(4)));
    assert_eq!(lease(&home, 4, 10).await.len(), 1);
}

#[tokio::test]
async fn lease_that_runs_out_makes_the_webhook_due_again() {
    let home = Home::new().await;
    owe(&home, at(1), "a.example", 1).await;
    let first = lease(&home, 2, 10).await;
    assert_eq!(lease(&home, 31, 10).await, []);
    let second = lease(&home, 32, 10).await;
    assert_eq!(second, first);
}

#[tokio::test]
async fn leases_end_with_the_process_that_held_them() {
    let home = Home::new().await;
    owe(&home, at(1), "a.example", 3).await;
    let first = lease(&home, 2, 10).await;
    let home = home.reopened().await;
    assert_eq!(lease(&home, 3, 10).await, first);
}

#[tokio::test]
async fn refused_webhook_waits_for_its_next_try() {
    let home = Home::new().await;
    let ids = owe(&home, at(1), "a.example", 1).await;
    let leased = lease(&home, 2, 10).await;
    record(&home, &leased[0], 3, DeliveryVerdict::RetryAt(at(8))).await;
    assert_eq!(lease(&home, 7, 10).await, []);
    assert!(home.store.webhooks_due_at().await.unwrap() <= Some(at(8)));
    let again = lease(&home, 8, 10).await;
    assert_eq!((again[0].webhook, again[0].deliveries), (leased[0].webhook, 1));
    record(&home, &again[0], 9, DeliveryVerdict::Delivered).await;

    let webhook = home.reader.webhook(ids[0]).await.unwrap().unwrap();
    assert_eq!((webhook.state, webhook.deliveries), (WebhookState::Delivered, 2));
    let deliveries = home.reader.deliveries(ids[0]).await.unwrap();
    let deliveries: Vec<_> = deliveries
        .iter()
        .map(|one| (one.at, one.accepted, one.status, one.detail.as_str()))
        .collect();
    assert_eq!(deliveries, [(at(3), false, None, "why"), (at(9), true, Some(200), "why")]);
    assert_eq!(lease(&home, 99, 10).await, []);
}

#[tokio::test]
async fn delivered_webhook_stays_delivered_whatever_is_recorded_later() {
    let home = Home::new().await;
    let ids = owe(&home, at(1), "a.example", 1).await;
    let leased = lease(&home, 2, 10).await;
    record(&home, &leased[0], 3, DeliveryVerdict::Delivered).await;
    record(&home, &leased[0], 4, DeliveryVerdict::RetryAt(at(5))).await;
    record(&home, &leased[0], 4, DeliveryVerdict::GivenUp).await;
    let webhook = home.reader.webhook(ids[0]).await.unwrap().unwrap();
    assert_eq!((webhook.state, webhook.deliveries), (WebhookState::Delivered, 1));
    assert_eq!(home.reader.deliveries(ids[0]).await.unwrap().len(), 3);
    let totals = home.reader.totals().await.unwrap();
    let sums = (totals.webhooks_owed, totals.webhooks_delivered, totals.webhooks_given_up);
    assert_eq!(sums, (0, 1, 0));
}

#[tokio::test]
async fn webhook_given_up_is_counted_as_such() {
    let home = Home::new().await;
    owe(&home, at(1), "a.example", 2).await;
    let leased = lease(&home, 2, 1).await;
    record(&home, &leased[0], 3, DeliveryVerdict::GivenUp).await;
    let totals = home.reader.totals().await.unwrap();
    let sums = (totals.webhooks_owed, totals.webhooks_delivered, totals.webhooks_given_up);
    assert_eq!(sums, (1, 0, 1));
}

#[tokio::test]
async fn contact_without_a_result_url_owes_nothing() {
    let home = Home::new().await;
    let mut silent = rule(home.account);
    silent.result_url = None;
    let ids = home.store.add_contacts(at(1), &silent, contacts(1)).await.unwrap();
    home.store.cancel_contact(at(2), home.account, ids[0]).await.unwrap();
    assert_eq!(home.reader.webhook(ids[0]).await.unwrap(), None);
    assert_eq!(home.store.webhooks_due_at().await.unwrap(), None);
}

#[tokio::test]
async fn delivery_of_an_unknown_webhook_is_refused() {
    let home = Home::new().await;
    let verdict = DeliveryVerdict::Delivered;
    let recorded = home.store.record_delivery(WebhookId(9), tried(at(1), true), verdict).await;
    assert!(matches!(recorded, Err(StoreError::Unknown { what: "webhook", id: 9 })));
}

#[tokio::test]
async fn purge_forgets_what_is_long_over_and_nothing_else() {
    let home = Home::new().await;
    let ids = owe(&home, at(1), "a.example", 2).await;
    owe(&home, at(1), "b.example", 1).await;
    let leased = lease(&home, 2, 10).await;
    for owed in leased.iter().filter(|owed| owed.url.contains("a.")) {
        record(&home, owed, 3, DeliveryVerdict::Delivered).await;
    }
    assert_eq!(home.store.purge_webhooks(at(3), 10).await.unwrap(), 0);
    assert_eq!(home.store.purge_webhooks(at(4), 1).await.unwrap(), 1);
    assert_eq!(home.store.purge_webhooks(at(4), 10).await.unwrap(), 1);
    assert_eq!(home.reader.webhook(ids[0]).await.unwrap(), None);
    assert_eq!(home.reader.deliveries(ids[0]).await.unwrap(), []);
    // The result itself stays readable.
    assert!(home.reader.contact(home.account, ids[0]).await.unwrap().is_some());
    assert_eq!(lease(&home, 40, 10).await.len(), 1);
}
