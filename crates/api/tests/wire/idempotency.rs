//! The same request, sent again: one key, one call.

use serde_json::json;

use crate::harness::{Answer, PIN, Server, multipart};

async fn post(server: &Server, path: &str, key: &str, body: &str) -> Answer {
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n",
        server.key
    );
    server.send("POST", path, &headers, body.as_bytes()).await
}

async fn calls(server: &Server) -> usize {
    server.native("GET", "/v1/calls", "").await.json()["data"].as_array().unwrap().len()
}

fn call(number: u32) -> String {
    json!({ "number": format!("+1212{number:07}"), "say": "Hello." }).to_string()
}

#[tokio::test]
async fn fifty_requests_at_once_with_one_key_make_one_call() {
    let server = Server::start().await;
    let body = call(1);
    let requests = (0..50).map(|_| post(&server, "/v1/calls", "\"order 1\"", &body));
    let answers = futures_util::future::join_all(requests).await;
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|answer| answer.body == made[0].body));
    let first = made.iter().filter(|answer| answer.header("idempotency-replayed").is_empty());
    assert_eq!(first.count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(answer.json()["code"], "idempotency_key_in_use");
    }
    assert_eq!(calls(&server).await, 1);
    let again = post(&server, "/v1/calls", "\"order 1\"", &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.header("location"), made[0].header("location"));
    assert_eq!(again.body, made[0].body);
    server.stop().await;
}

#[tokio::test]
async fn key_of_another_request_is_refused_and_so_is_what_is_no_key() {
    let server = Server::start().await;
    assert_eq!(post(&server, "/v1/calls", "\"a\"", &call(1)).await.status, 201);
    for (path, body) in [("/v1/calls", call(2)), ("/v1/campaigns", call(1))] {
        let answer = post(&server, path, "\"a\"", &body).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.json()["code"], "idempotency_key_reused");
    }
    let answer = post(&server, "/v1/calls", "a", &call(1)).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("idempotency_key_malformed"))
    );
    // Blanks and the order of fields are no other request, and a UUID needs no quotes.
    let spaced = "{ \"say\": \"Hello.\",  \"number\": \"+12120000001\" }";
    let again = post(&server, "/v1/calls", "\"a\"", spaced).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    let uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324";
    assert_eq!(post(&server, "/v1/calls", uuid, &call(3)).await.status, 201);
    assert_eq!(calls(&server).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn request_that_did_nothing_leaves_its_key_free() {
    let server = Server::start().await;
    assert_eq!(post(&server, "/v1/calls", "\"a\"", "{}").await.status, 422);
    assert_eq!(post(&server, "/v1/calls", "\"a\"", &call(1)).await.status, 201);
    let campaign = json!({ "name": "spring" }).to_string();
    assert_eq!(server.native("POST", "/v1/campaigns", &campaign).await.status, 201);
    assert_eq!(post(&server, "/v1/campaigns", "\"b\"", &campaign).await.status, 409);
    let other = json!({ "name": "summer" }).to_string();
    let created = post(&server, "/v1/campaigns", "\"b\"", &other).await;
    let again = post(&server, "/v1/campaigns", "\"b\"", &other).await;
    assert_eq!((created.status, again.status), (201, 201));
    assert_eq!(created.body, again.body);
    server.stop().await;
}

#[tokio::test]
async fn keys_of_different_accounts_are_different_keys() {
    let server = Server::start().await;
    let (_, key) = server.add_account("bob").await;
    assert_eq!(post(&server, "/v1/calls", "\"a\"", &call(1)).await.status, 201);
    let headers = format!(
        "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nIdempotency-Key: \"a\"\r\n"
    );
    let answer = server.send("POST", "/v1/calls", &headers, call(1).as_bytes()).await;
    assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, ""));
    server.stop().await;
}

#[tokio::test]
async fn plums_call_with_a_key_is_queued_once() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let form = async |key: &str, number: &str| {
        let fields =
            [("login", "ann"), ("pin", PIN), ("phone_number", number), ("start_url", &start)];
        let body = facade::form::encode(fields);
        let headers = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nIdempotency-Key: {key}\r\n"
        );
        server.send("POST", "/webservice/queuecall.php", &headers, body.as_bytes()).await
    };
    let first = form("\"a\"", "+12125550101").await;
    let again = form("\"a\"", "+12125550101").await;
    assert!(first.body.contains("status=\"queued\""), "{first:?}");
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    let other = form("\"a\"", "+12125550102").await;
    assert_eq!(other.status, 422, "{other:?}");
    assert!(other.body.contains("idempotency_key_reused"), "{other:?}");
    assert_eq!(form("a", "+12125550101").await.status, 400);
    assert_eq!(calls(&server).await, 1);
    server.stop().await;
}

/// A body without its chunks' lengths (RFC 9112 §7.1).
fn without_chunks(body: &str) -> String {
    let (mut rest, mut whole) = (body.as_bytes(), Vec::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return String::from_utf8(whole).unwrap();
        }
        whole.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
}

#[tokio::test]
async fn list_with_a_key_is_taken_in_once_and_answered_row_by_row_again() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let send = async |list: &str, boundary: &str| {
        let fields =
            [("login", "ann"), ("pin", PIN), ("campaign", "spring"), ("start_url", start.as_str())];
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        body += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"phone_list\"; \
             filename=\"l.txt\"\r\n\r\n{list}\r\n--{boundary}--\r\n"
        );
        let headers = format!(
            "Content-Type: multipart/form-data; boundary={boundary}\r\nIdempotency-Key: \"l\"\r\n"
        );
        server.send("POST", "/webservice/queuecalls.php", &headers, body.as_bytes()).await
    };
    // Long enough for an answer of several parts, with characters of two bytes on their edges.
    let rows: Vec<String> = (0..1_500).map(|row| format!("+1212{row:07}\tZoë {row}\tx")).collect();
    let list = format!("{}\n", rows.join("\n"));
    let first = send(&list, "one").await;
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body.len() > 100_000, "{first:?}");
    let again = send(&list, "two").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(without_chunks(&again.body), first.body);
    let other = send(&list.replace("Zoë 7\t", "Zoé 7\t"), "one").await;
    assert_eq!(other.status, 422, "{other:?}");
    // The contacts come to their place in the moments that follow; those are all.
    server.store.flush().await.unwrap();
    let campaigns = server.native("GET", "/v1/campaigns", "").await.json();
    let counts = campaigns["data"][0]["counts"].as_object().unwrap();
    assert_eq!(counts.values().filter_map(serde_json::Value::as_u64).sum::<u64>(), 1_500);
    server.stop().await;
}

#[tokio::test]
async fn everything_that_is_created_by_json_is_created_once_for_one_key() {
    let server = Server::start().await;
    let endpoint = json!({ "url": "https://app.example/hook" }).to_string();
    assert_eq!(server.native("POST", "/v1/webhooks", &endpoint).await.status, 201);
    let requests = [
        ("/v1/deployments", json!({ "name": "a", "say": "Hello." }), 201),
        ("/v1/lists", json!({ "name": "partners" }), 201),
        ("/v1/lists/partners/numbers", json!({ "numbers": ["+12125550101"] }), 200),
        ("/v1/opt-outs", json!({ "number": "+12125550101" }), 200),
        ("/v1/webhooks/1/test", json!({}), 202),
        ("/v1/webhooks/1/replay", json!({ "since": "2020-01-01T00:00:00Z" }), 202),
    ];
    for (nth, (path, body, status)) in requests.iter().enumerate() {
        let (key, body) = (format!("\"{nth}\""), body.to_string());
        let first = post(&server, path, &key, &body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (*status, ""), "{path}");
        let again = post(&server, path, &key, &body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        assert_eq!(again.header("location"), first.header("location"), "{path}");
        let other = post(&server, "/v1/calls", &key, &call(1)).await;
        assert_eq!(other.status, 422, "{path}");
    }
    let deployments = server.native("GET", "/v1/deployments", "").await.json();
    assert_eq!(deployments["data"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn import_with_a_key_is_taken_in_once() {
    let server = Server::start().await;
    let send = async |key: &str, query: &str, file: &[u8]| {
        let settings = json!({ "campaign": "spring", "say": "Hello." }).to_string();
        let body = multipart(&[
            ("name=\"settings\"", settings.as_bytes()),
            ("name=\"file\"; filename=\"a.csv\"", file),
        ]);
        let headers = format!(
            "Authorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=frontier\r\n\
             Idempotency-Key: {key}\r\n",
            server.key
        );
        server.send("POST", &format!("/v1/imports{query}"), &headers, &body).await
    };
    let file = b"number\n+12125550101\n+12125550102\n";
    let first = send("\"a\"", "?commit=true", file).await;
    assert_eq!((first.status, &first.json()["state"]), (201, &json!("committed")), "{first:?}");
    let again = send("\"a\"", "?commit=true", file).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    let reused = send("\"a\"", "", file).await;
    assert_eq!((reused.status, &reused.json()["code"]), (422, &json!("idempotency_key_reused")));
    let reused = send("\"a\"", "?commit=true", b"number\n+12125550109\n").await;
    assert_eq!(reused.status, 422);
    server.store.flush().await.unwrap();
    assert_eq!(calls(&server).await, 2);
    // A commit of its own may carry one as well.
    let checked = send("\"b\"", "", b"number\n+12125550103\n").await;
    let path = format!("{}/commit", checked.header("location"));
    let commit = || post(&server, &path, "\"c\"", "");
    assert_eq!(commit().await.status, 200);
    let again = commit().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(server.native("POST", &path, "").await.status, 409);
    server.stop().await;
}
