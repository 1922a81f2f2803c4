//! Webhook endpoints, as a client makes, tries, mends and deletes them.

use serde_json::{Value, json};

use crate::harness::{Answer, Server};

async fn create(server: &Server, name: &str) -> Value {
    let body = json!({ "url": server.pages.url(name), "description": "ours" }).to_string();
    let answer = server.native("POST", "/v1/webhooks", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn address(webhook: &Value, rest: &str) -> String {
    format!("/v1/webhooks/{}{rest}", webhook["id"].as_str().unwrap())
}

/// The log, once so many deliveries are in it.
async fn log(server: &Server, webhook: &Value, count: usize) -> Vec<Value> {
    loop {
        let log = server.native("GET", &address(webhook, "/deliveries"), "").await.json();
        let log = log["data"].as_array().unwrap().clone();
        if log.len() >= count {
            return log;
        }
    }
}

fn problem(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn endpoint_is_created_shown_changed_and_deleted() {
    let server = Server::start().await;
    let created = create(&server, "hook").await;
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"), "{created}");
    assert_eq!(created["events"].as_array().unwrap().len(), 4);
    assert_eq!((&created["enabled"], &created["disabled_reason"]), (&json!(true), &Value::Null));
    let read = server.native("GET", &address(&created, ""), "").await;
    // The secret is shown once.
    assert!(!read.body.contains("whsec_"), "{read:?}");
    assert_eq!(read.json()["public_keys"], created["public_keys"]);
    let change = json!({ "enabled": false, "events": ["call.ended"] }).to_string();
    let changed = server.native("PATCH", &address(&created, ""), &change).await.json();
    assert_eq!(changed["disabled_reason"], "client");
    assert_eq!(
        (&changed["events"], &changed["description"]),
        (&json!(["call.ended"]), &json!("ours"))
    );
    let list = server.native("GET", "/v1/webhooks", "").await.json();
    assert_eq!(list["data"], json!([changed]));
    let deleted = server.native("DELETE", &address(&created, ""), "").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")] {
        let answer = server.native(method, &address(&created, rest), "").await;
        assert_eq!(problem(&answer), (404, "not_found".into()), "{method} {rest}");
    }
    server.stop().await;
}

#[tokio::test]
async fn endpoint_is_tried_out_told_and_told_again() {
    let server = Server::start().await;
    let webhook = create(&server, "hook").await;
    let tested = server.native("POST", &address(&webhook, "/test"), "").await;
    assert_eq!(tested.status, 202, "{tested:?}");
    let first = log(&server, &webhook, 1).await;
    assert_eq!(first[0]["message_id"], tested.json()["message_id"]);
    assert_eq!((&first[0]["type"], &first[0]["accepted"]), (&json!("webhook.test"), &json!(true)));
    assert_eq!(server.pages.asked(), ["POST /hook"]);

    let body = json!({ "number": "+12125550101", "say": "Hello.",
        "window": { "opens_at": "2090-01-01T00:00:00Z" } });
    let call = server.native("POST", "/v1/calls", &body.to_string()).await.json();
    let cancel = format!("/v1/calls/{}/cancel", call["id"].as_str().unwrap());
    assert_eq!(server.native("POST", &cancel, "").await.status, 200);
    let told = log(&server, &webhook, 2).await;
    assert_eq!((&told[0]["type"], &told[0]["call_id"]), (&json!("contact.canceled"), &call["id"]));

    let one = json!({ "message_id": told[0]["message_id"] }).to_string();
    let replayed = server.native("POST", &address(&webhook, "/replay"), &one).await;
    assert_eq!((replayed.status, replayed.json()), (202, json!({ "replayed": 1, "more": false })));
    assert_eq!(log(&server, &webhook, 3).await[0]["message_id"], told[0]["message_id"]);
    let all = json!({ "since": "2020-01-01T00:00:00Z", "delivered": true }).to_string();
    let replayed = server.native("POST", &address(&webhook, "/replay"), &all).await;
    assert_eq!(replayed.json()["replayed"], 2, "{replayed:?}");
    log(&server, &webhook, 5).await;
    let page = server.native("GET", &address(&webhook, "/deliveries?limit=3"), "").await.json();
    let rest = server.native("GET", page["next"].as_str().unwrap(), "").await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    server.stop().await;
}

#[tokio::test]
async fn secret_is_rotated_and_shown_once_more_to_the_same_request_alone() {
    let server = Server::start().await;
    let webhook = create(&server, "hook").await;
    let rotate = address(&webhook, "/rotate");
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nIdempotency-Key: \"r\"\r\n",
        server.key
    );
    let first = server.send("POST", &rotate, &headers, b"{\"overlap_s\":60}").await;
    let again = server.send("POST", &rotate, &headers, b"{\"overlap_s\":60}").await;
    assert_eq!((first.status, &first.body), (201, &again.body));
    assert_ne!(first.json()["secret"], webhook["secret"]);
    let read = server.native("GET", &address(&webhook, ""), "").await.json();
    let keys = json!([first.json()["public_key"], webhook["public_keys"][0]]);
    assert_eq!(read["public_keys"], keys);
    let results = server.native("POST", "/v1/result_secret/rotate", "{}").await;
    assert_eq!(results.status, 201, "{results:?}");
    assert!(results.json()["secret"].as_str().unwrap().starts_with("whsec_"));
    server.stop().await;
}

#[tokio::test]
async fn endpoint_of_another_account_does_not_exist() {
    let server = Server::start().await;
    let webhook = create(&server, "hook").await;
    let (_, key) = server.add_account("bob").await;
    let replay = json!({ "since": "2020-01-01T00:00:00Z" }).to_string();
    let asks = [
        ("GET", "", ""),
        ("PATCH", "", "{}"),
        ("DELETE", "", ""),
        ("GET", "/deliveries", ""),
        ("POST", "/replay", replay.as_str()),
        ("POST", "/rotate", "{}"),
        ("POST", "/test", ""),
    ];
    for (method, rest, body) in asks {
        let answer = server.native_as(&key, method, &address(&webhook, rest), body).await;
        assert_eq!(problem(&answer), (404, "not_found".into()), "{method} {rest}");
    }
    let list = server.native_as(&key, "GET", "/v1/webhooks", "").await.json();
    assert_eq!(list["data"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn endpoint_where_the_server_does_not_go_is_refused() {
    let server = Server::start_with(&[]).await;
    for url in ["http://127.0.0.1:9000/x", "http://[::1]/x", "http://169.254.169.254/latest"] {
        let body = json!({ "url": url }).to_string();
        let answer = server.native("POST", "/v1/webhooks", &body).await;
        assert_eq!(problem(&answer), (422, "url_refused".into()), "{url}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/url");
    }
    for body in
        [json!({}), json!({ "url": "x" }), json!({ "url": "https://a.example", "events": ["x"] })]
    {
        let answer = server.native("POST", "/v1/webhooks", &body.to_string()).await;
        assert_eq!(problem(&answer), (422, "invalid_request".into()), "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn account_has_fifty_endpoints_at_most() {
    let server = Server::start().await;
    for _ in 0..50 {
        create(&server, "hook").await;
    }
    let body = json!({ "url": server.pages.url("hook") }).to_string();
    let answer = server.native("POST", "/v1/webhooks", &body).await;
    assert_eq!(problem(&answer), (409, "limit_reached".into()));
    server.stop().await;
}
