//! Events by a cursor, as a client follows them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Server;

async fn call(server: &Server, campaign: &str) -> String {
    let body = json!({ "number": "+12125550101", "say": "Hello.", "campaign": campaign,
        "reference": "order-1", "window": { "opens_at": "2090-01-01T00:00:00Z" } });
    let answer = server.native("POST", "/v1/calls", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.native("GET", path, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn kinds(part: &Value) -> Vec<&str> {
    part["data"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_of_calls_are_followed_from_the_oldest_on() {
    let server = Server::start().await;
    let id = call(&server, "spring").await;
    server.native("POST", &format!("/v1/calls/{id}/cancel"), "").await;
    let first = get(&server, "/v1/events?limit=1").await;
    let event = &first["data"][0];
    assert_eq!((&event["kind"], &event["call_id"]), (&json!("queued"), &json!(id)));
    assert_eq!((&event["reference"], &event["attempt_id"]), (&json!("order-1"), &Value::Null));
    assert_eq!(first["more"], true);
    let second = get(&server, first["next"].as_str().unwrap()).await;
    assert_eq!(kinds(&second), ["done"]);
    assert_eq!(second["data"][0]["detail"], "canceled");
    let end = get(&server, second["next"].as_str().unwrap()).await;
    assert_eq!((kinds(&end), &end["more"], &end["next"]), (vec![], &json!(false), &second["next"]));
    // From the cursor of an event, too; and of one kind, or one campaign.
    let cursor = event["cursor"].as_str().unwrap();
    assert_eq!(kinds(&get(&server, &format!("/v1/events?after={cursor}")).await), ["done"]);
    assert_eq!(kinds(&get(&server, "/v1/events?kind=done").await), ["done"]);
    let campaign = event["campaign_id"].as_str().unwrap();
    let of_campaign = format!("/v1/events?campaign_id={campaign}");
    assert_eq!(kinds(&get(&server, &of_campaign).await), ["queued", "done"]);
    assert_eq!(kinds(&get(&server, "/v1/events?campaign_id=999").await), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn follower_who_waits_is_answered_as_soon_as_something_happens() {
    let server = Server::start().await;
    call(&server, "spring").await;
    let wait = get(&server, "/v1/events?after=now&wait_s=30&kind=done");
    let other = get(&server, "/v1/events?after=now&wait_s=30");
    let happen = async {
        // What is not asked for wakes nobody for good.
        let id = call(&server, "spring").await;
        server.native("POST", &format!("/v1/calls/{id}/cancel"), "").await;
    };
    let all = async { tokio::join!(wait, other, happen) };
    let (done, any, ()) = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    assert_eq!(kinds(&done), ["done"]);
    assert_eq!(kinds(&any)[0], "queued");
    server.stop().await;
}

#[tokio::test]
async fn follower_who_waits_in_vain_is_told_so_and_where_to_go_on() {
    let server = Server::start().await;
    call(&server, "spring").await;
    let none = get(&server, "/v1/events?after=now&wait_s=1").await;
    assert_eq!((kinds(&none), &none["more"]), (vec![], &json!(false)));
    call(&server, "spring").await;
    assert_eq!(kinds(&get(&server, none["next"].as_str().unwrap()).await), ["queued"]);
    server.stop().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_those_who_wait() {
    let mut server = Server::start().await;
    server.drain().await;
    let waited = get(&server, "/v1/events?after=now&wait_s=30");
    let none = tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap();
    assert_eq!(kinds(&none), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn cursor_that_leads_nowhere_is_gone_and_one_that_is_none_is_refused() {
    let server = Server::start().await;
    let never = server.native("GET", "/v1/events?after=1-7fffffffffffffff", "").await;
    assert_eq!(never.status, 410, "{never:?}");
    assert_eq!(never.json()["code"], "cursor_gone");
    let none = server.native("GET", "/v1/events?after=x&limit=0&kind=dane", "").await;
    assert_eq!(none.status, 422, "{none:?}");
    assert_eq!(none.json()["errors"].as_array().unwrap().len(), 2);
    let none = server.native("GET", "/v1/events?after=x", "").await;
    assert_eq!((none.status, &none.json()["errors"][0]["parameter"]), (422, &json!("after")));
    server.stop().await;
}

#[tokio::test]
async fn events_of_other_accounts_are_none_of_a_followers_business() {
    let server = Server::start().await;
    call(&server, "spring").await;
    let (_, key) = server.add_account("bob").await;
    let answer = server.native_as(&key, "GET", "/v1/events", "").await;
    assert_eq!((answer.status, kinds(&answer.json())), (200, vec![]));
    server.stop().await;
}
