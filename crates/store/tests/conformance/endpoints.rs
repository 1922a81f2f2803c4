//! Endpoints: who is told of what, by which keys, and who is told no more.

use std::time::Duration;

use domain::event::EventKind;
use domain::ids::{AccountId, EndpointId, WebhookId};
use domain::outcome::{CalleeType, Outcome};
use domain::time::Timestamp;
use domain::webhook::{
    DeliveryVerdict, DisableReason, Endpoint, EndpointState, FAILING_MAX, KeyPair, Topic, Topics,
};
use store::{
    Answer, ContactFilter, ENDPOINTS_MAX, EndpointChange, Met, NewEndpoint, Once, Owed, Replay,
    Replayed, Rotation, TakenIn, Tried,
};

use crate::support::{Home, at, contacts, end, rule};

/// An answer of this body.
pub(crate) fn answer(body: &str) -> Answer {
    let content_type = "application/json".into();
    Answer { status: 201, content_type, location: None, body: body.into(), parts: None }
}

fn new(account: AccountId, topics: Topics) -> NewEndpoint {
    NewEndpoint {
        account,
        url: "http://hooks.example/".into(),
        description: "ours".into(),
        topics,
        enabled: true,
        key: KeyPair::new([1; 32], [2; 32]),
    }
}

async fn create(home: &Home, topics: Topics) -> Endpoint {
    let new = new(home.account, topics);
    match home.store.create_endpoint(at(0), new, None, |_| answer("")).await.unwrap() {
        Met::Done(Some(endpoint)) => endpoint,
        met => panic!("{met:?}"),
    }
}

async fn lease(home: &Home, seconds: i64) -> Vec<Owed> {
    home.store.lease_webhooks(at(seconds), at(seconds + 30), 100, 100).await.unwrap()
}

fn tried(at: Timestamp, accepted: bool) -> Tried {
    Tried {
        at,
        accepted,
        status: Some(if accepted { 204 } else { 500 }),
        latency: Duration::from_millis(12),
        answer: "as it says".into(),
        detail: "why".into(),
    }
}

/// Whom each webhook tells of what.
fn told(owed: &[Owed]) -> Vec<(Option<EndpointId>, &'static str)> {
    owed.iter().map(|owed| (owed.endpoint, owed.topic.name())).collect()
}

#[tokio::test]
async fn end_of_a_contact_is_owed_to_its_result_url_and_to_every_endpoint_that_asked() {
    let home = Home::new().await;
    let first = create(&home, Topics::ends()).await.id;
    let failures = [Topic::ContactFailed].into_iter().collect();
    create(&home, failures).await;
    let third = create(&home, Topics::ends()).await.id;
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    home.store.cancel_contact(at(2), home.account, ids[0]).await.unwrap();
    let owed = lease(&home, 3).await;
    let canceled = "contact.canceled";
    let mut told = told(&owed);
    told.sort();
    assert_eq!(told, [(None, canceled), (Some(first), canceled), (Some(third), canceled)]);
    assert!(owed.iter().all(|owed| owed.contact.as_ref().is_some_and(|c| c.id == ids[0])));
    let url =
        |endpoint| owed.iter().find(|owed| owed.endpoint == endpoint).map(|owed| owed.url.as_str());
    assert_eq!(url(None), Some("http://a.example/result"));
    assert_eq!(url(Some(first)), Some("http://hooks.example/"));
}

#[tokio::test]
async fn facts_of_an_attempt_are_owed_to_whom_asked_for_them() {
    let home = Home::new().await;
    let all = create(&home, Topic::ALL.into_iter().collect()).await.id;
    let mut quiet = rule(home.account);
    quiet.result_url = None;
    home.store.add_contacts(at(1), &quiet, contacts(1)).await.unwrap();
    let begun = home.begin_one(at(2), home.campaign().await).await;
    let (attempt, contact) = (begun.attempt.id, begun.contact.id);
    for kind in [EventKind::Ringing, EventKind::Answered] {
        home.store.note(attempt, contact, at(3), kind, "").await.unwrap();
    }
    let human = end(Outcome::Answered(CalleeType::Human), at(9));
    home.store.finish_attempt(attempt, &human).await.unwrap();
    let owed = lease(&home, 10).await;
    let names =
        ["call.dialing", "call.ringing", "call.answered", "call.ended", "contact.completed"];
    assert_eq!(told(&owed), names.map(|name| (Some(all), name)));
    assert_eq!((owed[3].attempt, owed[3].at), (Some(attempt), at(9)));
    assert_eq!(owed[3].detail, human.outcome.name());
}

#[tokio::test]
async fn attempt_that_is_undone_is_told_to_nobody() {
    let home = Home::new().await;
    create(&home, Topic::ALL.into_iter().collect()).await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let begun = home.begin_one(at(2), home.campaign().await).await;
    let owed = lease(&home, 2).await;
    assert_eq!(owed.len(), 1);
    home.store.release_attempt(at(3), begun.attempt.id).await.unwrap();
    assert_eq!(lease(&home, 99).await, []);
    assert_eq!(home.reader.totals().await.unwrap().webhooks_owed, 0);
    // What was on its way meanwhile is no webhook any more.
    let verdict = DeliveryVerdict::Delivered;
    assert!(
        home.store.record_delivery(owed[0].webhook, tried(at(4), true), verdict).await.is_err()
    );
}

#[tokio::test]
async fn endpoint_of_another_account_is_told_nothing_and_not_found() {
    let home = Home::new().await;
    let other = home.store.create_account(at(0), "other", None).await.unwrap().id;
    let endpoint = create(&home, Topics::ends()).await.id;
    let ids = home.store.add_contacts(at(1), &rule(other), contacts(1)).await.unwrap();
    home.store.cancel_contact(at(2), other, ids[0]).await.unwrap();
    assert_eq!(told(&lease(&home, 3).await), [(None, "contact.canceled")]);
    assert_eq!(home.reader.endpoint(other, endpoint).await.unwrap(), None);
    assert_eq!(home.reader.endpoints(other).await.unwrap(), []);
    assert!(!home.store.delete_endpoint(at(3), other, endpoint).await.unwrap());
    assert_eq!(home.store.test_endpoint(at(3), other, endpoint).await.unwrap(), None);
    let change = EndpointChange { enabled: Some(false), ..EndpointChange::default() };
    let changed = home.store.change_endpoint(at(3), other, endpoint, change).await;
    assert_eq!(changed.unwrap(), None);
    let range = Replay::Range { since: at(0), until: at(9), delivered: true };
    assert_eq!(home.store.replay(at(3), other, endpoint, range, 9).await.unwrap(), None);
}

#[tokio::test]
async fn endpoint_that_is_gone_is_disabled_and_what_it_was_owed_is_given_up() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let mut quiet = rule(home.account);
    quiet.result_url = None;
    let ids = home.store.add_contacts(at(1), &quiet, contacts(3)).await.unwrap();
    for id in &ids[..2] {
        home.store.cancel_contact(at(2), home.account, *id).await.unwrap();
    }
    let owed = home.store.lease_webhooks(at(3), at(33), 1, 1).await.unwrap();
    let verdict = DeliveryVerdict::Gone;
    let disabled = home.store.record_delivery(owed[0].webhook, tried(at(4), false), verdict).await;
    assert_eq!(disabled.unwrap(), Some(DisableReason::Gone));
    let found = home.reader.endpoint(home.account, endpoint).await.unwrap().unwrap();
    let state = EndpointState::Disabled { why: DisableReason::Gone, at: at(4) };
    assert_eq!((found.state, found.failing_since), (state, Some(at(4))));
    // Nothing more is owed to it, and what was owed is dropped.
    home.store.cancel_contact(at(5), home.account, ids[2]).await.unwrap();
    let rest = lease(&home, 6).await;
    assert_eq!(rest.iter().map(|owed| owed.muted).collect::<Vec<_>>(), [true]);
    home.store.drop_webhook(rest[0].webhook, at(7)).await.unwrap();
    let totals = home.reader.totals().await.unwrap();
    assert_eq!((totals.webhooks_owed, totals.webhooks_given_up), (0, 2));
    // Enabled again it is well, and told what it missed if it asks.
    let change = EndpointChange { enabled: Some(true), ..EndpointChange::default() };
    let changed = home.store.change_endpoint(at(8), home.account, endpoint, change).await;
    let changed = changed.unwrap().unwrap();
    assert_eq!((changed.state, changed.failing_since), (EndpointState::Enabled, None));
    let range = Replay::Range { since: at(0), until: at(9), delivered: false };
    let replayed = home.store.replay(at(9), home.account, endpoint, range, 100).await.unwrap();
    assert_eq!(replayed, Some(Replayed { many: 2, more: false }));
    assert_eq!(lease(&home, 10).await.len(), 2);
}

#[tokio::test]
async fn endpoint_that_fails_for_five_days_is_disabled_and_one_success_saves_it() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let webhook = home.store.test_endpoint(at(0), home.account, endpoint).await.unwrap().unwrap();
    let record = async |seconds: i64, accepted: bool| {
        let verdict = DeliveryVerdict::RetryAt(at(seconds));
        home.store.record_delivery(webhook, tried(at(seconds), accepted), verdict).await.unwrap()
    };
    let long = i64::try_from(FAILING_MAX.as_secs()).unwrap();
    assert_eq!(record(10, false).await, None);
    assert_eq!(record(9 + long, false).await, None);
    assert_eq!(record(10 + long, true).await, None);
    assert_eq!(record(11 + long, false).await, None);
    assert_eq!(record(10 + long + long, false).await, None);
    assert_eq!(record(11 + long + long, false).await, Some(DisableReason::Failing));
    assert_eq!(record(12 + long + long, false).await, None);
}

#[tokio::test]
async fn test_goes_before_all_else_that_the_endpoint_is_owed_even_to_a_disabled_one() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    home.store.cancel_contact(at(2), home.account, ids[0]).await.unwrap();
    let change = EndpointChange { enabled: Some(false), ..EndpointChange::default() };
    home.store.change_endpoint(at(3), home.account, endpoint, change).await.unwrap();
    let test = home.store.test_endpoint(at(4), home.account, endpoint).await.unwrap();
    let owed = lease(&home, 5).await;
    let of_endpoint: Vec<_> = owed.iter().filter(|owed| owed.endpoint.is_some()).collect();
    assert_eq!(Some(of_endpoint[0].webhook), test);
    assert_eq!((of_endpoint[0].muted, of_endpoint[0].contact.as_ref()), (false, None));
    assert!(of_endpoint[1].muted);
}

#[tokio::test]
async fn changed_endpoint_is_told_where_it_is_now() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    home.store.test_endpoint(at(1), home.account, endpoint).await.unwrap();
    let change = EndpointChange {
        url: Some("http://moved.example/".into()),
        description: Some("moved".into()),
        topics: Some([Topic::CallEnded].into_iter().collect()),
        enabled: None,
    };
    let changed = home.store.change_endpoint(at(2), home.account, endpoint, change).await;
    let changed = changed.unwrap().unwrap();
    assert_eq!(
        (changed.description.as_str(), changed.topics.names()),
        ("moved", "call.ended".into())
    );
    assert_eq!(lease(&home, 3).await[0].url, "http://moved.example/");
}

#[tokio::test]
async fn deleted_endpoint_is_gone_with_its_keys() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    home.store.test_endpoint(at(1), home.account, endpoint).await.unwrap();
    assert!(home.store.delete_endpoint(at(2), home.account, endpoint).await.unwrap());
    assert!(!home.store.delete_endpoint(at(2), home.account, endpoint).await.unwrap());
    assert_eq!(home.reader.endpoints(home.account).await.unwrap(), []);
    assert_eq!(home.reader.signing_keys(home.account, Some(endpoint)).await.unwrap(), []);
    assert!(lease(&home, 3).await[0].muted);
}

#[tokio::test]
async fn account_has_so_many_endpoints_and_no_more() {
    let home = Home::new().await;
    for _ in 0..ENDPOINTS_MAX {
        create(&home, Topics::ends()).await;
    }
    let one_more = new(home.account, Topics::ends());
    let refused = home.store.create_endpoint(at(0), one_more, None, |_| answer("")).await;
    assert_eq!(refused.unwrap(), Met::Done(None));
}

#[tokio::test]
async fn key_before_the_newest_signs_on_for_its_time_and_the_one_before_it_does_not() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let rotate = async |nth: u8, expires_at: i64| {
        let rotation = Rotation {
            account: home.account,
            of: Some(endpoint),
            new: KeyPair::new([nth; 32], [nth; 32]),
            expires_at: at(expires_at),
        };
        home.store.rotate_key(at(5), rotation, None, answer("")).await.unwrap()
    };
    assert_eq!(rotate(3, 100).await, Met::Done(true));
    assert_eq!(rotate(4, 200).await, Met::Done(true));
    let keys = home.store.signing_keys(home.account, Some(endpoint)).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|key| (key.secret[0], key.expires_at)).collect();
    assert_eq!(keys, [(4, None), (3, Some(at(200)))]);
    assert_eq!(home.store.purge_keys(at(199)).await.unwrap(), 0);
    assert_eq!(home.store.purge_keys(at(200)).await.unwrap(), 1);
}

#[tokio::test]
async fn key_for_result_urls_is_made_once_and_rotated_like_any_other() {
    let home = Home::new().await;
    let fresh = |nth: u8| KeyPair::new([nth; 32], [nth; 32]);
    let first = home.store.result_keys(at(1), home.account, fresh(1)).await.unwrap();
    let again = home.store.result_keys(at(2), home.account, fresh(2)).await.unwrap();
    assert_eq!((first.as_slice(), &again), (&[fresh(1)][..], &first));
    let rotation = Rotation { account: home.account, of: None, new: fresh(3), expires_at: at(9) };
    home.store.rotate_key(at(3), rotation, None, answer("")).await.unwrap();
    let keys = home.store.result_keys(at(4), home.account, fresh(4)).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|key| key.secret[0]).collect();
    assert_eq!(keys, [3, 1]);
}

#[tokio::test]
async fn log_shows_each_delivery_newest_first_page_by_page() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let webhook = home.store.test_endpoint(at(0), home.account, endpoint).await.unwrap().unwrap();
    for second in 1..=3 {
        let verdict = match second {
            3 => DeliveryVerdict::Delivered,
            _ => DeliveryVerdict::RetryAt(at(second + 1)),
        };
        let tried = tried(at(second), second == 3);
        home.store.record_delivery(webhook, tried, verdict).await.unwrap();
    }
    let first = home.reader.endpoint_deliveries(endpoint, None, 2).await.unwrap();
    let rest = home.reader.endpoint_deliveries(endpoint, first.next, 2).await.unwrap();
    let log = first.items.iter().chain(&rest.items);
    let log: Vec<_> = log.map(|one| (one.at, one.accepted, one.status)).collect();
    let refused = |seconds| (at(seconds), false, Some(500));
    assert_eq!(log, [(at(3), true, Some(204)), refused(2), refused(1)]);
    let last = &first.items[0];
    assert_eq!((last.latency, last.topic), (Duration::from_millis(12), Topic::Test));
    assert_eq!((last.answer.as_str(), last.detail.as_str()), ("as it says", "why"));
    assert_eq!((last.contact, last.next_at), (None, None));
}

#[tokio::test]
async fn one_webhook_is_replayed_under_its_id_with_a_fresh_schedule() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let webhook = home.store.test_endpoint(at(0), home.account, endpoint).await.unwrap().unwrap();
    lease(&home, 1).await;
    let verdict = DeliveryVerdict::Delivered;
    home.store.record_delivery(webhook, tried(at(2), true), verdict).await.unwrap();
    let replay = async |webhook: WebhookId| {
        let one = Replay::One(webhook);
        home.store.replay(at(50), home.account, endpoint, one, 1).await.unwrap()
    };
    assert_eq!(replay(webhook).await, Some(Replayed { many: 1, more: false }));
    assert_eq!(replay(WebhookId(77)).await, None);
    let owed = lease(&home, 51).await;
    assert_eq!((owed[0].webhook, owed[0].deliveries), (webhook, 0));
    assert_eq!(owed[0].owed_since, at(50));
}

#[tokio::test]
async fn range_is_replayed_as_far_as_one_request_may_ask_for() {
    let home = Home::new().await;
    let endpoint = create(&home, Topics::ends()).await.id;
    let mut quiet = rule(home.account);
    quiet.result_url = None;
    let ids = home.store.add_contacts(at(1), &quiet, contacts(450)).await.unwrap();
    for id in ids {
        home.store.cancel_contact(at(2), home.account, id).await.unwrap();
    }
    let owed = home.store.lease_webhooks(at(3), at(33), 1_000, 1_000).await.unwrap();
    for owed in &owed {
        let verdict = DeliveryVerdict::Delivered;
        home.store.record_delivery(owed.webhook, tried(at(4), true), verdict).await.unwrap();
    }
    let replay = async |delivered: bool, until: i64, limit: u32| {
        let range = Replay::Range { since: at(2), until: at(until), delivered };
        home.store.replay(at(9), home.account, endpoint, range, limit).await.unwrap().unwrap()
    };
    assert_eq!(replay(false, 9, 10).await, Replayed { many: 0, more: false });
    assert_eq!(replay(true, 2, 10).await, Replayed { many: 0, more: false });
    assert_eq!(replay(true, 3, 400).await, Replayed { many: 400, more: true });
    assert_eq!(replay(true, 3, 400).await, Replayed { many: 50, more: false });
}

#[tokio::test]
async fn lane_that_is_limited_leaves_the_others_alone() {
    let home = Home::new().await;
    let first = create(&home, Topics::ends()).await.id;
    let second = create(&home, Topics::ends()).await.id;
    for endpoint in [first, second] {
        home.store.test_endpoint(at(1), home.account, endpoint).await.unwrap();
    }
    home.store.limit_lane(&format!("e{first}"), Some((1, Some(at(60)))));
    assert_eq!(told(&lease(&home, 2).await), [(Some(second), "webhook.test")]);
    assert_eq!(told(&lease(&home, 60).await)[0], (Some(first), "webhook.test"));
}

#[tokio::test]
async fn endpoint_that_is_created_twice_by_one_key_is_one_endpoint() {
    let home = Home::new().await;
    let key = |fingerprint: u8| Once {
        account: home.account,
        key: "k".into(),
        fingerprint: [fingerprint; 32],
    };
    let create = async |fingerprint: u8| {
        let (new, key) = (new(home.account, Topics::ends()), key(fingerprint));
        let text = |endpoint: &Endpoint| answer(&endpoint.id.to_string());
        home.store.create_endpoint(at(0), new, Some(key), text).await.unwrap()
    };
    assert!(matches!(create(1).await, Met::Done(Some(_))));
    assert_eq!(create(1).await, Met::Repeated(answer("1")));
    assert_eq!(create(2).await, Met::KeyReused);
    assert_eq!(home.reader.endpoints(home.account).await.unwrap().len(), 1);
    assert_eq!(home.reader.answer(key(1)).await.unwrap(), Some(Met::Repeated(answer("1"))));
    assert_eq!(home.reader.answer(key(2)).await.unwrap(), Some(Met::KeyReused));
}

#[tokio::test]
async fn answer_and_what_it_was_given_for_outlive_a_crash_together() {
    let home = Home::new().await;
    let key = |nth: u8| Once { account: home.account, key: "k".into(), fingerprint: [nth; 32] };
    let text = |taken: &TakenIn| answer(&taken.contact.id.to_string());
    let (first, rule) = (contacts(1).remove(0), rule(home.account));
    let added = home.store.add_contact_once(at(1), &rule, first.clone(), Some(key(1)), text).await;
    let Met::Done(taken) = added.unwrap() else { panic!("it is new") };
    let (key_again, key_other) = (key(1), key(2));
    let home = home.reopened().await;
    assert!(home.reader.contact(home.account, taken.contact.id).await.unwrap().is_some());
    let again = home.store.add_contact_once(at(2), &rule, first.clone(), Some(key_again), text);
    assert_eq!(again.await.unwrap(), Met::Repeated(text(&taken)));
    let other = home.store.add_contact_once(at(2), &rule, first, Some(key_other), text).await;
    assert_eq!(other.unwrap(), Met::KeyReused);
    let all = home.reader.contacts(home.account, ContactFilter::default(), None, 9).await.unwrap();
    assert_eq!(all.items.len(), 1);
}

#[tokio::test]
async fn upload_of_a_repeated_request_stays_out() {
    let home = Home::new().await;
    let rule = rule(home.account);
    let key = || Once { account: home.account, key: "k".into(), fingerprint: [1; 32] };
    let mut met = Vec::new();
    for _ in 0..2 {
        let upload = home.store.begin_upload(at(1), &rule).await.unwrap();
        home.store.upload_add(upload, contacts(3)).await.unwrap();
        let id = home.store.next_answer().await.unwrap();
        home.store.keep_answer_part(at(1), id, 0, "rows".into()).await.unwrap();
        let kept = Answer { parts: Some(id), ..answer("") };
        met.push(home.store.commit_upload_once(at(1), upload, Some(key()), kept).await.unwrap());
    }
    let Met::Repeated(first) = &met[1] else { panic!("{met:?}") };
    assert_eq!(met[0], Met::Done(()));
    let parts = first.parts.unwrap();
    assert_eq!(home.reader.answer_part(parts, 0).await.unwrap().as_deref(), Some("rows"));
    assert_eq!(home.reader.answer_part(parts, 1).await.unwrap(), None);
    home.store.flush().await.unwrap();
    let all = home.reader.contacts(home.account, ContactFilter::default(), None, 9).await.unwrap();
    assert_eq!(all.items.len(), 3);
    // After their time both are forgotten, and the key is free.
    assert_eq!(home.store.purge_answers(at(1), 9).await.unwrap(), 0);
    assert_eq!(home.store.purge_answers(at(2), 9).await.unwrap(), 3);
    assert_eq!(home.reader.answer(key()).await.unwrap(), None);
}
