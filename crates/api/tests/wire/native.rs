//! Our own API, as a client with a JSON library calls it.

use serde_json::{Value, json};

use crate::harness::{Answer, Server};

/// Asserts a problem of this code, whole and in order.
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["code"], code);
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("/errors/{code}"));
    assert_eq!(problem["request_id"], answer.header("x-request-id"));
    for field in ["title", "detail", "instance"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
}

async fn create(server: &Server, number: u32) -> Value {
    let body = json!({ "number": format!("+1212{number:07}"), "say": "Hello." }).to_string();
    let answer = server.native("POST", "/v1/calls", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn created_call_has_an_address_and_tells_all_about_itself() {
    let server = Server::start().await;
    let body = json!({
        "destination": "tel:+12125550101;postd=2",
        "caller_id": "+18005550199",
        "campaign": "spring",
        "vxml_url": server.pages.url("start"),
        "reference": "order-4711",
        "parameters": "name=Zoë",
        "window": { "closes_at": "2090-01-01T00:00:00+01:00" },
        "retry": { "attempts_max": 3, "wait_s": 60 },
        "result_url": server.pages.url("result"),
    });
    let answer = server.native("POST", "/v1/calls", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let created = answer.json();
    assert_eq!(answer.header("location"), format!("/v1/calls/{}", created["id"].as_str().unwrap()));
    assert_eq!(created["window"]["closes_at"], "2089-12-31T23:00:00.000Z");
    assert_eq!(server.pages.asked(), ["GET /start", "GET /result"]);
    let read = server.native("GET", answer.header("location"), "").await.json();
    assert_eq!(read["events"][0]["kind"], "queued");
    assert_eq!((&read["attempts"], &read["result"]), (&json!([]), &Value::Null));
    for (name, value) in created.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn request_without_a_valid_key_is_not_let_in() {
    let server = Server::start().await;
    let key = server.key.clone();
    let cut = &key[..key.len() - 1];
    let other = key.replace("od_live_", "od_live_0");
    for key in ["", "x", cut, other.as_str(), "od_live_", "od_live__", "od_live_é_é"] {
        let answer = server.native_as(key, "GET", "/v1/calls", "").await;
        assert_problem(&answer, 401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let answer = server.send("GET", "/v1/calls", "Authorization: Basic YTpi\r\n", b"").await;
    assert_problem(&answer, 401, "unauthorized");
    assert_eq!(server.native("GET", "/v1/calls", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn wrong_keys_without_end_have_to_wait_and_the_right_one_need_not() {
    let server = Server::start().await;
    for _ in 0..100 {
        assert_eq!(server.native_as("x", "GET", "/v1/calls", "").await.status, 401);
    }
    let answer = server.native_as("x", "GET", "/v1/calls", "").await;
    assert_problem(&answer, 429, "throttled");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(server.native("GET", "/v1/calls", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn mistakes_are_named_all_at_once_with_their_pointers() {
    let server = Server::start().await;
    let body = r#"{"numbr":"1","say":7,"retry":{"attempts_max":0}}"#;
    let answer = server.native("POST", "/v1/calls", body).await;
    assert_problem(&answer, 422, "invalid_request");
    let mut found: Vec<(String, String)> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let text = |name: &str| error[name].as_str().unwrap().to_owned();
            (text("pointer"), text("code"))
        })
        .collect();
    found.sort();
    let expected = [
        ("/number", "missing"),
        ("/numbr", "unknown"),
        ("/retry/attempts_max", "out_of_range"),
        ("/say", "wrong_type"),
    ];
    assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    server.stop().await;
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_by_kind() {
    let server = Server::start().await;
    let answer = server.native("POST", "/v1/calls", r#"{"number": "1",}"#).await;
    assert_problem(&answer, 400, "body_malformed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("line 1 column 16"), "{answer:?}");
    let headers = format!("Authorization: Bearer {}\r\n", server.key);
    let answer = server.send("POST", "/v1/calls", &headers, b"{}").await;
    assert_problem(&answer, 415, "media_type");
    let json = format!("{headers}Content-Type: application/json\r\n");
    assert_problem(&server.send("POST", "/v1/calls", &json, b"").await, 400, "body_malformed");
    assert_problem(&server.send("POST", "/v1/calls", &json, b"\xff").await, 400, "body_malformed");
    let deep = "[".repeat(100_000);
    let answer = server.send("POST", "/v1/calls", &json, deep.as_bytes()).await;
    assert_problem(&answer, 400, "body_malformed");
    let answer = server.send("POST", "/v1/calls", &json, b"\xef\xbb\xbf[]").await;
    assert_problem(&answer, 422, "invalid_request");
    server.stop().await;
}

#[tokio::test]
async fn body_that_is_too_large_is_refused_before_it_is_received() {
    let server = Server::start().await;
    let head = format!(
        "POST /v1/calls HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1048577\r\n\r\n",
        server.key
    );
    assert_problem(&server.raw(head.as_bytes()).await, 413, "body_too_large");
    let chunked = format!(
        "POST /v1/calls HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n{}\r\n",
        server.key,
        " ".repeat(0x10_0001),
    );
    assert_problem(&server.raw(chunked.as_bytes()).await, 413, "body_too_large");
    server.stop().await;
}

#[tokio::test]
async fn addresses_and_methods_that_do_not_exist_are_problems_too() {
    let server = Server::start().await;
    assert_problem(&server.native("GET", "/v1/nothing", "").await, 404, "not_found");
    assert_problem(&server.native("GET", "/", "").await, 404, "not_found");
    for id in ["0", "999", "x", "-1", "99999999999999999999", "%ff"] {
        assert_problem(
            &server.native("GET", &format!("/v1/calls/{id}"), "").await,
            404,
            "not_found",
        );
        let path = format!("/v1/campaigns/{id}/start");
        assert_problem(&server.native("POST", &path, "").await, 404, "not_found");
    }
    let answer = server.native("PUT", "/v1/calls", "{}").await;
    assert_problem(&answer, 405, "method_not_allowed");
    let mut allowed: Vec<&str> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    server.stop().await;
}

#[tokio::test]
async fn what_belongs_to_another_account_does_not_exist() {
    let server = Server::start().await;
    let (_, stranger) = server.add_account("bo").await;
    let call = create(&server, 1).await["id"].as_str().unwrap().to_owned();
    let created = server.native("POST", "/v1/campaigns", r#"{"name":"spring"}"#).await.json();
    let campaign = created["id"].as_str().unwrap();
    let foreign = [
        ("GET", format!("/v1/calls/{call}")),
        ("POST", format!("/v1/calls/{call}/cancel")),
        ("DELETE", format!("/v1/calls/{call}")),
        ("GET", format!("/v1/campaigns/{campaign}")),
        ("POST", format!("/v1/campaigns/{campaign}/start")),
        ("POST", format!("/v1/campaigns/{campaign}/stop")),
    ];
    for (method, path) in &foreign {
        let answer = server.native_as(&stranger, method, path, "").await;
        assert_problem(&answer, 404, "not_found");
    }
    for list in ["/v1/calls".to_owned(), format!("/v1/calls?campaign_id={campaign}")] {
        let page = server.native_as(&stranger, "GET", &list, "").await.json();
        assert_eq!(page, json!({ "data": [], "next": null }));
    }
    assert_eq!(
        server.native("GET", &format!("/v1/calls/{call}"), "").await.json()["state"],
        "waiting"
    );
    server.stop().await;
}

/// Checklist 0-079.
#[tokio::test]
async fn waiting_call_is_canceled_once() {
    let server = Server::start().await;
    let id = create(&server, 1).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/calls/{id}/cancel");
    let answer = server.native("POST", &path, "").await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"canceled".into()), "{answer:?}");
    assert_problem(&server.native("POST", &path, "").await, 409, "already_ended");
    let id = create(&server, 2).await["id"].as_str().unwrap().to_owned();
    let answer = server.native("DELETE", &format!("/v1/calls/{id}"), "").await;
    assert_eq!(answer.json()["state"], "canceled");
    let canceled = server.native("GET", "/v1/calls?state=canceled", "").await.json();
    assert_eq!(canceled["data"].as_array().unwrap().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn list_is_read_page_by_page_newest_first() {
    let server = Server::start().await;
    let mut expected = Vec::new();
    for n in 1..=5 {
        expected.insert(0, create(&server, n).await["id"].clone());
    }
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut next = Some("/v1/calls?limit=2&state=waiting".to_owned());
    while let Some(path) = next {
        let page = server.native("GET", &path, "").await.json();
        found.extend(page["data"].as_array().unwrap().iter().map(|call| call["id"].clone()));
        next = page["next"].as_str().map(str::to_owned);
        assert!(next.as_ref().is_none_or(|next| next.contains("state=waiting")), "{next:?}");
        pages += 1;
    }
    assert_eq!((found, pages), (expected, 3));
    for query in ["limit=0", "limit=201", "state=gone", "after=x", "page=2", "campaign_id=a"] {
        let answer = server.native("GET", &format!("/v1/calls?{query}"), "").await;
        assert_problem(&answer, 422, "invalid_request");
        let name = query.split('=').next().unwrap();
        assert_eq!(answer.json()["errors"][0]["parameter"], name);
    }
    server.stop().await;
}

/// Checklist 0-024.
#[tokio::test]
async fn campaign_is_created_started_stopped_and_counted() {
    let server = Server::start().await;
    let body = r#"{"name":"spring","state":"stopped","redial_in_doubt":true}"#;
    let answer = server.native("POST", "/v1/campaigns", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let path = answer.header("location").to_owned();
    let campaign = answer.json();
    assert_eq!(
        (&campaign["state"], &campaign["redial_in_doubt"]),
        (&"stopped".into(), &true.into())
    );
    assert_problem(&server.native("POST", "/v1/campaigns", body).await, 409, "name_taken");
    for (verb, state) in [("start", "running"), ("stop", "stopped"), ("stop", "stopped")] {
        let answer = server.native("POST", &format!("{path}/{verb}"), "").await;
        assert_eq!((answer.status, &answer.json()["state"]), (200, &state.into()), "{answer:?}");
    }
    let call = json!({ "number": "1", "say": "x", "campaign": "spring" }).to_string();
    assert_eq!(server.native("POST", "/v1/calls", &call).await.status, 201);
    assert_eq!(server.native("GET", &path, "").await.json()["counts"]["waiting"], 1);
    let page = server.native("GET", "/v1/campaigns?limit=1", "").await.json();
    assert_eq!(page["data"][0]["name"], "spring");
    server.stop().await;
}

#[tokio::test]
async fn addresses_of_the_client_are_named_as_the_client_named_them() {
    let server = Server::start().await;
    let ask = async |field: &str, url: &str| {
        let mut body = json!({ "number": "1", "vxml_url": server.pages.url("start") });
        body[field] = json!(url);
        server.native("POST", "/v1/calls", &body.to_string()).await
    };
    for (field, pointer) in [("vxml_url", "/vxml_url"), ("result_url", "/result_url")] {
        let answer = ask(field, &server.pages.url("404")).await;
        assert_problem(&answer, 422, "url_unreachable");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
        assert!(!answer.body.contains("404"), "what a URL answers is not told: {answer:?}");
        let answer = ask(field, "http://10.0.0.1/").await;
        assert_problem(&answer, 422, "url_refused");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
    server.stop().await;
}

#[tokio::test]
async fn server_that_ends_takes_no_calls_and_still_shows_them() {
    let mut server = Server::start().await;
    let id = create(&server, 1).await["id"].as_str().unwrap().to_owned();
    server.drain().await;
    let body = r#"{"number":"1","say":"x"}"#;
    assert_problem(&server.native("POST", "/v1/calls", body).await, 503, "draining");
    assert_eq!(server.native("GET", &format!("/v1/calls/{id}"), "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn campaign_is_changed_by_a_patch() {
    let server = Server::start().await;
    let created = server.native("POST", "/v1/campaigns", r#"{"name":"spring"}"#).await.json();
    server.native("POST", "/v1/campaigns", r#"{"name":"autumn"}"#).await;
    let path = format!("/v1/campaigns/{}", created["id"].as_str().unwrap());
    let patch = r#"{"name":"summer","state":"stopped","unique_references":true}"#;
    let changed = server.native("PATCH", &path, patch).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!((&changed["name"], &changed["state"]), (&json!("summer"), &json!("stopped")));
    assert_eq!(changed["unique_references"], true);
    assert_eq!(server.native("PATCH", &path, "{}").await.json(), changed);
    let taken = server.native("PATCH", &path, r#"{"name":"autumn"}"#).await;
    assert_eq!((taken.status, &taken.json()["code"]), (409, &json!("name_taken")));
    let wrong = server.native("PATCH", &path, r#"{"name":"","state":"off","x":1}"#).await;
    assert_eq!((wrong.status, wrong.json()["errors"].as_array().unwrap().len()), (422, 3));
    assert_eq!(server.native("PATCH", "/v1/campaigns/999", "{}").await.status, 404);
    let unknown = server.native("PATCH", "/v1/campaigns/999", r#"{"name":"autumn"}"#).await;
    assert_eq!(unknown.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn reference_that_a_campaign_has_had_is_answered_with_the_call_that_has_it() {
    let server = Server::start().await;
    let campaign = r#"{"name":"spring","state":"stopped","unique_references":true}"#;
    server.native("POST", "/v1/campaigns", campaign).await;
    let call = |number: &str| json!({ "number": number, "say": "Hello.", "campaign": "spring", "reference": "a" });
    let first = server.native("POST", "/v1/calls", &call("+12125550101").to_string()).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = server.native("POST", "/v1/calls", &call("+12125550102").to_string()).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(again.header("location"), first.header("location"));
    let mut elsewhere = call("+12125550102");
    elsewhere["campaign"] = json!("autumn");
    let other = server.native("POST", "/v1/calls", &elsewhere.to_string()).await;
    assert_eq!(other.status, 201, "{other:?}");
    let calls = server.native("GET", "/v1/calls", "").await.json();
    assert_eq!(calls["data"].as_array().unwrap().len(), 2);
    server.stop().await;
}
