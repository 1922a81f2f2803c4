//! Rules of dialing by our own API: policies, lists, opting out, and why not.

use serde_json::{Value, json};

use crate::harness::Server;

/// A campaign that keeps its calls waiting, and one call in it.
async fn waiting_call(server: &Server, number: &str) -> (String, String) {
    let body = json!({ "name": "spring", "state": "stopped" }).to_string();
    let campaign = server.native("POST", "/v1/campaigns", &body).await.json();
    let body = json!({ "number": number, "say": "Hello.", "campaign": "spring" }).to_string();
    let call = server.native("POST", "/v1/calls", &body).await.json();
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    (id(&campaign), id(&call))
}

#[tokio::test]
async fn policy_is_changed_by_a_patch_and_shown_whole() {
    let server = Server::start().await;
    let (campaign, _) = waiting_call(&server, "+12125550101").await;
    let path = format!("/v1/campaigns/{campaign}/policy");
    let before = server.native("GET", &path, "").await.json();
    assert_eq!((&before["version"], &before["policy"]["weight"]), (&json!(0), &json!(1)));
    let patch = json!({ "weight": 3, "number_limits": { "own": ["gap 1h"] } }).to_string();
    let answer = server.native("PATCH", &path, &patch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let after = server.native("GET", &path, "").await.json();
    assert_eq!(after, answer.json());
    assert_eq!((&after["version"], &after["policy"]["weight"]), (&json!(1), &json!(3)));
    assert_eq!(after["policy"]["number_limits"]["own"], json!(["gap 1h"]));
    assert_eq!(after["policy"]["destinations"]["countries"], json!(["home"]));

    let wrong = server.native("PATCH", &path, r#"{"weight": 0, "colour": "red"}"#).await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 2);
    let unknown = server.native("PATCH", "/v1/campaigns/999/policy", "{}").await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    server.stop().await;
}

#[tokio::test]
async fn numbers_come_on_lists_and_go_from_them() {
    let server = Server::start().await;
    let create = || server.native("POST", "/v1/lists", r#"{"name": "partners"}"#);
    assert_eq!(create().await.status, 201);
    assert_eq!(create().await.status, 409);
    let body = json!({ "numbers": ["(212) 555-0101", "+1 212 555 0102"], "reason": "asked" });
    let numbers = "/v1/lists/partners/numbers";
    let added = server.native("POST", numbers, &body.to_string()).await;
    assert_eq!((added.status, added.json()), (200, json!({ "count": 2 })));
    let page = server.native("GET", &format!("{numbers}?limit=1"), "").await.json();
    assert_eq!(page["data"][0]["number"], "+12125550101");
    let next = server.native("GET", &format!("{numbers}?after=%2B12125550101"), "").await.json();
    assert_eq!(next["data"].as_array().unwrap().len(), 1);
    let one = format!("{numbers}/2125550102");
    assert_eq!(server.native("GET", &one, "").await.json()["reason"], "asked");
    assert_eq!(server.native("DELETE", &one, "").await.status, 204);
    assert_eq!(server.native("DELETE", &one, "").await.status, 404);
    assert_eq!(server.native("GET", &one, "").await.status, 404);
    assert_eq!(server.native("GET", "/v1/lists/none/numbers", "").await.status, 404);
    assert_eq!(server.native("GET", &format!("{numbers}?limit=0"), "").await.status, 422);
    let lists = server.native("GET", "/v1/lists", "").await.json();
    assert_eq!(
        (&lists["data"][0]["name"], &lists["data"][0]["numbers"]),
        (&json!("partners"), &json!(1))
    );
    let refused = server.native("POST", numbers, r#"{"numbers": ["nobody"]}"#).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn callee_who_opts_out_is_waited_for_no_more() {
    let server = Server::start().await;
    let (_, call) = waiting_call(&server, "+12125550101").await;
    let ended = server.native("POST", "/v1/opt-outs", r#"{"number": "212 555 0101"}"#).await;
    assert_eq!((ended.status, ended.json()), (200, json!({ "count": 1 })));
    let call = server.native("GET", &format!("/v1/calls/{call}"), "").await.json();
    assert_eq!(call["state"], "canceled");
    let kinds: Vec<&Value> =
        call["events"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["queued", "refused", "done"]);
    server.stop().await;
}

#[tokio::test]
async fn waiting_calls_of_a_campaign_are_canceled_together() {
    let server = Server::start().await;
    let (campaign, call) = waiting_call(&server, "+12125550101").await;
    let path = format!("/v1/campaigns/{campaign}/calls");
    assert_eq!(server.native("DELETE", &path, "").await.json(), json!({ "count": 1 }));
    let call = server.native("GET", &format!("/v1/calls/{call}"), "").await.json();
    assert_eq!(call["state"], "canceled");
    assert_eq!(server.native("DELETE", "/v1/campaigns/999/calls", "").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn call_that_is_not_dialed_says_why_in_a_sentence_first() {
    let server = Server::start().await;
    let (campaign, call) = waiting_call(&server, "+442079460000").await;
    let path = format!("/v1/contacts/{call}/why-not-now");
    let why = server.native("GET", &path, "").await.json();
    assert_eq!(why["sentence"], "Not dialed now: its campaign is stopped.");
    let checks = why["checks"].as_array().unwrap();
    let destination = checks.iter().find(|check| check["rule"] == "destination-country").unwrap();
    assert_eq!((&destination["passed"], &destination["seen"]), (&json!(false), &json!("GB")));
    let policy = json!({ "destinations": { "countries": ["any"] } }).to_string();
    server.native("PATCH", &format!("/v1/campaigns/{campaign}/policy"), &policy).await;
    let why = server.native("GET", &path, "").await.json();
    let forbidden =
        why["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false);
    assert_eq!(forbidden.count(), 1, "{why}");
    let weighed = server.native("GET", &format!("/v1/calls/{call}/why"), "").await.json();
    assert_eq!(weighed, json!({ "attempts": [] }));
    assert_eq!(server.native("GET", "/v1/contacts/999/why-not-now", "").await.status, 404);
    assert_eq!(server.native("GET", "/v1/calls/999/why", "").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn file_of_numbers_comes_on_a_list_and_bad_rows_are_told() {
    let server = Server::start().await;
    let send = async |query: &str, headers: &str, file: &[u8]| {
        let headers = format!("Authorization: Bearer {}\r\n{headers}", server.key);
        server.send("POST", &format!("/v1/lists/national/file{query}"), &headers, file).await
    };
    let csv = "Content-Type: text/csv; charset=utf-8\r\n";
    let file = b"phone;since\n(617) 253-0101;2020\n+16172530101;2021\nnobody;x\n6172530102;y\n";
    let added = send("?reason=federal", csv, file).await;
    assert_eq!(added.status, 200, "{added:?}");
    let told = added.json();
    let counts = ["count", "rows", "rejected"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(counts, [2, 4, 1]);
    assert_eq!(told["faults"][0]["fault"], "not_a_number");
    let one = "/v1/lists/national/numbers/6172530101";
    assert_eq!(server.native("GET", one, "").await.json()["reason"], "federal");
    assert_eq!(send("", csv, file).await.json()["count"], 0);
    // Two numbers of one customer are both not to be called.
    let of_one = b"phone,customer id\n6172530111,7\n6172530112,7\n";
    assert_eq!(send("", csv, of_one).await.json()["count"], 2);
    let keyed = format!("{csv}Idempotency-Key: \"f\"\r\n");
    let first = send("", &keyed, b"number\n6172530103\n").await;
    assert_eq!((first.status, &first.json()["count"]), (200, &json!(1)));
    let again = send("", &keyed, b"number\n6172530103\n").await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
    assert_eq!(send("", &keyed, b"number\n6172530104\n").await.status, 422);
    assert_eq!(send("", "Content-Type: application/json\r\n", b"{}").await.status, 415);
    assert_eq!(send("?why=1", csv, file).await.status, 422);
    assert_eq!(send("", csv, b"").await.status, 422);
    server.stop().await;
}
