//! Accounts over HTTP: suspending, parts of the server, countries and verified caller IDs.

use serde_json::{Value, json};
use store::TermsChange;

use crate::harness::Server;

/// An operator and her key, beside `ann`.
async fn operator(server: &Server) -> String {
    let (account, key) = server.add_account("oscar").await;
    let change = TermsChange { is_operator: Some(true), ..TermsChange::default() };
    server.store.change_account(account.id, change).await.unwrap();
    key
}

async fn call(server: &Server, number: &str, caller_id: Option<&str>) -> (u16, Value) {
    let mut body = json!({ "number": number, "say": "Hello.", "campaign": "spring" });
    if let Some(caller_id) = caller_id {
        body["caller_id"] = json!(caller_id);
    }
    let answer = server.native("POST", "/v1/calls", &body.to_string()).await;
    (answer.status, answer.json())
}

async fn why_not(server: &Server, call: &Value) -> String {
    let path = format!("/v1/contacts/{}/why-not-now", call["id"].as_str().unwrap());
    server.native("GET", &path, "").await.json()["sentence"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn account_suspends_and_resumes_itself_unless_an_operator_says_otherwise() {
    let server = Server::start().await;
    let boss = operator(&server).await;
    let (_, made) = call(&server, "+12125550101", None).await;
    let own = server.native("POST", "/v1/account/suspend", "").await;
    assert_eq!((own.status, &own.json()["suspended_by_account"]), (200, &json!(true)));
    assert_eq!(why_not(&server, &made).await, "Not dialed now: its account is suspended.");
    let id = own.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/accounts/{id}/suspend");
    let held = server.native_as(&boss, "POST", &path, "").await;
    assert_eq!((held.status, &held.json()["suspended_by_operator"]), (200, &json!(true)));
    let refused = server.native("POST", "/v1/account/resume", "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")));
    assert_eq!(why_not(&server, &made).await, "Not dialed now: its account is suspended.");
    let path = format!("/v1/accounts/{id}/resume");
    assert_eq!(server.native_as(&boss, "POST", &path, "").await.status, 200);
    let own = server.native("GET", "/v1/account", "").await.json();
    assert_eq!((&own["login"], &own["suspended_by_account"]), (&json!("ann"), &json!(false)));
    assert!(!why_not(&server, &made).await.contains("suspended"));
    server.stop().await;
}

/// Checklist 0-014.
#[tokio::test]
async fn operator_suspends_and_resumes_all_dialing() {
    let server = Server::start().await;
    let boss = operator(&server).await;
    let (_, made) = call(&server, "+12125550101", None).await;
    let refused = server.native("POST", "/v1/dialing/suspend", "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")));
    let suspended = server.native_as(&boss, "POST", "/v1/dialing/suspend", "").await;
    assert_eq!((suspended.status, suspended.json()), (200, json!({ "suspended": true })));
    assert_eq!(why_not(&server, &made).await, "Not dialed now: all dialing is suspended.");
    let shown = server.native("GET", "/v1/dialing", "").await;
    assert_eq!(shown.json(), json!({ "suspended": true }));
    let resumed = server.native_as(&boss, "POST", "/v1/dialing/resume", "").await;
    assert_eq!(resumed.json(), json!({ "suspended": false }));
    assert!(!why_not(&server, &made).await.contains("suspended"));
    server.stop().await;
}

#[tokio::test]
async fn operator_gives_accounts_their_part_and_nobody_else_does() {
    let server = Server::start().await;
    let boss = operator(&server).await;
    let own = server.native("GET", "/v1/account", "").await.json();
    let path = format!("/v1/accounts/{}", own["id"].as_str().unwrap());
    let patch = json!({ "weight": 7, "calls_max": 3, "country": "gb" }).to_string();
    assert_eq!(server.native("PATCH", &path, &patch).await.status, 403);
    let changed = server.native_as(&boss, "PATCH", &path, &patch).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let own = server.native("GET", "/v1/account", "").await.json();
    assert_eq!(own, changed.json());
    assert_eq!((&own["weight"], &own["calls_max"]), (&json!(7), &json!(3)));
    assert_eq!((&own["country"], &own["country_is_its_own"]), (&json!("GB"), &json!(true)));
    let patch = json!({ "calls_max": null, "country": null }).to_string();
    let back = server.native_as(&boss, "PATCH", &path, &patch).await.json();
    assert_eq!((&back["calls_max"], &back["country"]), (&Value::Null, &json!("US")));
    assert_eq!(back["weight"], 7);
    let wrong = server.native_as(&boss, "PATCH", &path, r#"{"weight": 0, "part": 1}"#).await;
    assert_eq!((wrong.status, wrong.json()["errors"].as_array().unwrap().len()), (422, 2));
    let all = server.native_as(&boss, "GET", "/v1/accounts", "").await.json();
    assert_eq!(all["data"].as_array().unwrap().len(), 2);
    assert_eq!(server.native("GET", "/v1/accounts", "").await.status, 403);
    assert_eq!(server.native_as(&boss, "GET", "/v1/accounts/999", "").await.status, 404);
    // Nobody locks the last door behind himself.
    let me = server.native_as(&boss, "GET", "/v1/account", "").await.json();
    let me = format!("/v1/accounts/{}", me["id"].as_str().unwrap());
    let left = server.native_as(&boss, "PATCH", &me, r#"{"operator": false}"#).await;
    assert_eq!(left.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn caller_id_that_is_not_verified_is_refused_by_name() {
    let server = Server::start().await;
    let boss = operator(&server).await;
    let own = server.native("GET", "/v1/account", "").await.json();
    let path = format!("/v1/accounts/{}", own["id"].as_str().unwrap());
    let ids = format!("{path}/caller-ids");
    let numbers = json!({ "numbers": ["(800) 555-0199", "+18005550198"] }).to_string();
    assert_eq!(server.native("POST", &ids, &numbers).await.status, 403);
    let added = server.native_as(&boss, "POST", &ids, &numbers).await;
    assert_eq!((added.status, added.json()), (200, json!({ "count": 2 })));
    // Until the account may show no others, any is taken.
    assert_eq!(call(&server, "+12125550101", Some("+16175550123")).await.0, 201);
    let patch = r#"{"verified_only": true}"#;
    assert_eq!(server.native_as(&boss, "PATCH", &path, patch).await.status, 200);
    assert_eq!(call(&server, "+12125550102", Some("8005550199")).await.0, 201);
    assert_eq!(call(&server, "+12125550103", None).await.0, 201);
    let (status, refused) = call(&server, "+12125550104", Some("+16175550123")).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/caller_id")));
    assert_eq!(
        refused["errors"][0]["detail"],
        "found \"+16175550123\", expected one of the account's verified caller IDs"
    );
    let form = [
        ("login", "ann"),
        ("pin", crate::harness::PIN),
        ("phone_number", "+12125550105;ani=6175550123"),
        ("start_url", &server.pages.url("start")),
    ];
    let plum = server.form("queuecall.php", &form).await;
    assert!(plum.body.contains("6175550123") && plum.body.contains("failed"), "{plum:?}");
    let campaigns = server.native("GET", "/v1/campaigns", "").await.json();
    let campaign = campaigns["data"][0]["id"].as_str().unwrap();
    let patch = json!({ "caller_ids": { "numbers": ["+16175550123"] } }).to_string();
    let policy = format!("/v1/campaigns/{campaign}/policy");
    assert_eq!(server.native("PATCH", &policy, &patch).await.status, 422);
    let shown = server.native("GET", "/v1/account/caller-ids", "").await.json();
    assert_eq!(shown["verified_only"], true);
    assert_eq!(shown["data"][0]["number"], "+18005550198");
    let page = server.native("GET", "/v1/account/caller-ids?limit=1", "").await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let one = format!("{ids}/800-555-0199");
    assert_eq!(server.native_as(&boss, "DELETE", &one, "").await.status, 204);
    assert_eq!(server.native_as(&boss, "DELETE", &one, "").await.status, 404);
    assert_eq!(call(&server, "+12125550106", Some("8005550199")).await.0, 422);
    server.stop().await;
}

#[tokio::test]
async fn numbers_are_read_where_the_account_is() {
    let server = Server::start().await;
    let boss = operator(&server).await;
    let own = server.native("GET", "/v1/account", "").await.json();
    let path = format!("/v1/accounts/{}", own["id"].as_str().unwrap());
    server.native_as(&boss, "PATCH", &path, r#"{"country": "GB"}"#).await;
    let numbers = json!({ "numbers": ["020 7946 0018"] }).to_string();
    server.native("POST", "/v1/lists/partners/numbers", &numbers).await;
    let one = "/v1/lists/partners/numbers/02079460018";
    assert_eq!(server.native("GET", one, "").await.json()["number"], "+442079460018");
    let (_, made) = call(&server, "020 7946 0019", None).await;
    let why = format!("/v1/contacts/{}/why-not-now", made["id"].as_str().unwrap());
    let why = server.native("GET", &why, "").await.json();
    let checks = why["checks"].as_array().unwrap();
    let destination = checks.iter().find(|check| check["rule"] == "destination").unwrap();
    assert_eq!(destination["passed"], true, "{why}");
    server.stop().await;
}
