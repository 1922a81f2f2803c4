//! Fuse's addresses, as its clients call them.

use base64ct::{Base64, Encoding};
use serde_json::Value;

use crate::harness::{Answer, Server, multipart};

/// A server with a deployment, and the account that owns it.
pub(crate) struct Scene {
    pub(crate) server: Server,
    basic: String,
}

/// The header of a login and a key.
fn basic(login: &str, key: &str) -> String {
    let pair = Base64::encode_string(format!("{login}:{key}").as_bytes());
    format!("Authorization: Basic {pair}\r\n")
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const XML: &str = "Accept: application/xml\r\n";

impl Scene {
    /// Deployment 34 of application 12.
    async fn open() -> Self {
        let server = Server::start().await;
        let (_, key) = server.add_account("Ann@example.com").await;
        let body = "{\"name\":\"a\",\"say\":\"Hello.\",\"id\":34,\"application_id\":12}";
        let created = server.native_as(&key, "POST", "/v1/deployments", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        Self { basic: basic("Ann@example.com", &key), server }
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.server.send(method, path, &format!("{}{headers}", self.basic), body).await
    }

    async fn queue(&self, fields: &[(&str, &str)]) -> Answer {
        let body = facade::form::encode(fields.iter().copied());
        self.send("POST", "/api/apps/12/34/queue", FORM, body.as_bytes()).await
    }

    async fn queued(&self, fields: &[(&str, &str)]) -> String {
        let answer = self.queue(fields).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["call_id"].as_str().unwrap().to_owned()
    }

    async fn bulk(&self, headers: &str, parts: &[(&str, &[u8])]) -> Answer {
        let headers = format!("Content-Type: multipart/form-data; boundary=frontier\r\n{headers}");
        self.send("POST", "/api/apps/12/34/bulk_queue", &headers, &multipart(parts)).await
    }

    async fn details(&self, id: &str) -> Value {
        let answer = self.send("GET", &format!("/api/outbound/{id}"), "", b"").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["call_details"].clone()
    }
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

/// Checklist 1-001, 1-002, 1-035, 1-047, 1-048.
#[tokio::test]
async fn queued_call_is_told_of_at_the_address_of_its_link() {
    let scene = Scene::open().await;
    let answer = scene
        .queue(&[
            ("phone_number", "tel:+16175551234;ani=8009957586;postd=2"),
            ("max_attempts", "3"),
            ("reattempt_wait", "600"),
            ("start_timestamp", "4000000000"),
            ("end_timestamp", "4000003600"),
            ("metadata", "{\"name\":\"John Doe\"}"),
        ])
        .await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let id = answer.json()["call_id"].as_str().unwrap().to_owned();
    let link = answer.header("link").to_owned();
    assert_eq!(link, format!("</api/outbound/{id}>; rel=\"status\""));
    let path = link.split(['<', '>']).nth(1).unwrap();
    let told = scene.send("GET", path, "", b"").await;
    assert!(told.body.starts_with("{\"call_details\":{\"max_attempts\":\"3\",\"attempts\":\"0\","));
    let details = told.json()["call_details"].clone();
    assert_eq!(details["status"], "queued");
    assert_eq!(details["phone_number"], "+16175551234");
    assert_eq!(details["reattempt_wait"], "600");
    assert_eq!(details["start_timestamp"], "4000000000");
    assert_eq!(details["end_timestamp"], "4000003600");
    assert_eq!(details["duration"], 0);
    assert_eq!(details["events"][0]["event"], "queued");
    assert!(details["events"][0]["timestamp"].is_i64());
    let head = scene.send("HEAD", path, "", b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    let xml = scene.send("GET", path, XML, b"").await;
    assert_eq!(xml.header("content-type"), "application/xml; charset=utf-8");
    assert!(xml.body.contains("<result><call_details>\n<max_attempts>3</max_attempts>"), "{xml:?}");
    let headers = format!("{FORM}{XML}");
    let body = b"phone_number=6175551234";
    let xml = scene.send("POST", "/api/apps/12/34/queue", &headers, body).await;
    assert!(xml.body.contains("<result><call_id>"), "{xml:?}");
    scene.server.stop().await;
}

/// Fuse does not ask result_url before it queues; where it may not point is said all the same.
#[tokio::test]
async fn result_url_is_not_asked_before_the_call() {
    let scene = Scene::open().await;
    let result = scene.server.pages.url("405");
    scene.queued(&[("phone_number", "6175551234"), ("result_url", &result)]).await;
    assert!(scene.server.pages.asked().is_empty());
    let own = format!("http://{}/", scene.server.address);
    for address in [own.as_str(), "http://169.254.169.254/latest"] {
        let answer = scene.queue(&[("phone_number", "6175551234"), ("result_url", address)]).await;
        let (status, error) = error(&answer);
        assert_eq!(status, 400, "{answer:?}");
        assert!(error.starts_with("result_url: expected an address that may be asked"), "{error}");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn form_may_come_as_multipart() {
    let scene = Scene::open().await;
    let headers = "Content-Type: multipart/form-data; boundary=frontier\r\n";
    let body = multipart(&[("name=\"phone_number\"", b"6175551234")]);
    let answer = scene.send("POST", "/api/apps/12/34/queue", headers, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    scene.server.stop().await;
}

/// Checklist 1-028.
#[tokio::test]
async fn request_with_mistakes_names_them_all_and_queues_nothing() {
    let scene = Scene::open().await;
    let answer = scene.queue(&[("phone_number", "call me"), ("max_attempts", "3")]).await;
    let (status, text) = error(&answer);
    assert_eq!(status, 400);
    assert!(text.contains("phone_number: found \"call me\""), "{text}");
    assert!(text.contains("reattempt_wait: is missing"), "{text}");
    let pci = scene.queue(&[("phone_number", "6175551234"), ("is_pci", "1")]).await;
    assert_eq!(pci.status, 403, "{pci:?}");
    let body = b"phone_number=1";
    let plain =
        scene.send("POST", "/api/apps/12/34/queue", "Content-Type: text/plain\r\n", body).await;
    assert_eq!(plain.status, 415);
    assert!(error(&plain).1.starts_with("\"text/plain\" is not understood here"));
    let xml = scene.send("POST", "/api/apps/12/34/queue", &format!("{FORM}{XML}"), b"").await;
    assert_eq!(xml.status, 400);
    assert!(xml.body.contains("<result><error>phone_number: is missing"), "{xml:?}");
    let calls = scene.server.native("GET", "/v1/calls", "").await.json();
    assert_eq!(calls["data"].as_array().unwrap().len(), 0);
    scene.server.stop().await;
}

#[tokio::test]
async fn client_without_the_right_e_mail_and_key_is_not_let_in() {
    let scene = Scene::open().await;
    let right = scene.basic.clone();
    let key = {
        let pair = right.trim_start_matches("Authorization: Basic ").trim_end();
        let pair = String::from_utf8(Base64::decode_vec(pair).unwrap()).unwrap();
        pair.split_once(':').unwrap().1.to_owned()
    };
    let wrong = [
        String::new(),
        basic("bob@example.com", &key),
        basic("ann@example.com", "od_live_00_11"),
        basic("ann@example.com", ""),
        "Authorization: Basic !!!\r\n".to_owned(),
        format!("Authorization: Bearer {key}\r\n"),
    ];
    for header in wrong {
        for (method, path) in [
            ("POST", "/api/apps/12/34/queue"),
            ("POST", "/api/apps/12/34/bulk_queue"),
            ("DELETE", "/api/apps/12/34/cancel"),
            ("GET", "/api/outbound/1"),
        ] {
            let answer = scene.server.send(method, path, &header, b"").await;
            assert_eq!(answer.status, 401, "{method} {path} {header}");
            let wanted = answer.header("www-authenticate");
            assert!(wanted.starts_with("Basic realm="), "{answer:?}");
            assert!(error(&answer).1.starts_with("authentication failed"));
        }
    }
    // E-mail addresses are the same in any case.
    let header = format!("{}{FORM}", basic("ANN@EXAMPLE.COM", &key));
    let body = b"phone_number=6175551234";
    let answer = scene.server.send("POST", "/api/apps/12/34/queue", &header, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    scene.server.stop().await;
}

#[tokio::test]
async fn key_that_is_guessed_too_often_has_to_wait() {
    let scene = Scene::open().await;
    let header = basic("ann@example.com", "od_live_00_11");
    let mut last = None;
    for _ in 0..120 {
        last = Some(scene.server.send("GET", "/api/outbound/1", &header, b"").await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u32>().unwrap() > 0);
    // One that is right was not guessed.
    assert_eq!(scene.send("GET", "/api/outbound/1", "", b"").await.status, 404);
    scene.server.stop().await;
}

#[tokio::test]
async fn deployments_and_calls_of_others_and_of_nobody_are_told_apart() {
    let scene = Scene::open().await;
    let id = scene.queued(&[("phone_number", "6175551234")]).await;
    let (_, key) = scene.server.add_account("bob@example.com").await;
    let bob = basic("bob@example.com", &key);
    let bob_form = format!("{bob}{FORM}");
    let body = b"phone_number=1";
    let queue = scene.server.send("POST", "/api/apps/12/34/queue", &bob_form, body).await;
    assert_eq!(queue.status, 403);
    let status = scene.server.send("GET", &format!("/api/outbound/{id}"), &bob, b"").await;
    assert_eq!(status.status, 403);
    let cancel = scene.server.send("DELETE", "/api/apps/12/34/cancel", &bob, b"").await;
    assert_eq!(cancel.status, 403);
    for path in ["/api/apps/12/35/queue", "/api/apps/13/34/queue", "/api/apps/x/y/queue"] {
        let answer = scene.send("POST", path, FORM, b"phone_number=1").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(error(&answer).1.starts_with("no deployment exists"), "{answer:?}");
    }
    for id in ["999999", "-1", "x", "99999999999999999999"] {
        let answer = scene.send("GET", &format!("/api/outbound/{id}"), "", b"").await;
        assert_eq!(
            (answer.status, error(&answer).1.as_str()),
            (404, "no call exists with this call_id")
        );
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn other_methods_are_refused_and_allowed_ones_are_named() {
    let scene = Scene::open().await;
    for (path, allowed, wrong) in [
        ("/api/apps/12/34/queue", "POST,OPTIONS", "GET"),
        ("/api/apps/12/34/bulk_queue", "POST,OPTIONS", "PUT"),
        ("/api/apps/12/34/cancel", "DELETE,OPTIONS", "POST"),
        ("/api/outbound/1", "GET,HEAD,OPTIONS", "DELETE"),
    ] {
        let answer = scene.send(wrong, path, "", b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{path}");
        let main = allowed.split(',').next().unwrap();
        assert_eq!(error(&answer).1, format!("{wrong} is not understood here, only {main}"));
        let options = scene.server.send("OPTIONS", path, "", b"").await;
        assert_eq!((options.status, options.header("allow")), (204, allowed), "{path}");
        assert_eq!(options.body, "");
    }
    let nowhere = scene.send("GET", "/api/apps/12/34", XML, b"").await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.body.contains("<error>this address does not exist</error>"), "{nowhere:?}");
    scene.server.stop().await;
}

/// Checklist 1-022, 1-047 to 1-051.
#[tokio::test]
async fn list_is_queued_row_by_row_and_canceled_as_a_whole() {
    let scene = Scene::open().await;
    let list = b"\"destination\",\"name\"\n\"6175551234\",\"Ann\"\nhello,Bo\n\
        \"tel:+16175551235;ani=8009957586\",\"Cy\"\n";
    let answer = scene
        .bulk(
            "",
            &[
                ("name=\"csv\"; filename=\"list.csv\"", list),
                ("name=\"max_attempts\"", b"2"),
                ("name=\"reattempt_wait\"", b"60"),
            ],
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    assert_eq!((&document["queued"], &document["rejected"]), (&2.into(), &1.into()));
    let calls = document["calls"].as_array().unwrap();
    let rows: Vec<u64> = calls.iter().map(|call| call["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [2, 3, 4]);
    assert!(calls[1]["error"].as_str().unwrap().contains("number has 'h'"), "{calls:?}");
    let ids = [&calls[0], &calls[2]].map(|call| call["call_id"].as_str().unwrap().to_owned());
    let details = scene.details(&ids[1]).await;
    assert_eq!((&details["status"], &details["max_attempts"]), (&"queued".into(), &"2".into()));

    let canceled = scene.send("DELETE", "/api/apps/12/34/cancel", "", b"").await;
    assert_eq!((canceled.status, canceled.body.as_str()), (202, ""));
    for id in &ids {
        assert_eq!(scene.details(id).await["status"], "canceled");
    }
    // There may be nothing to cancel, and new calls are taken.
    assert_eq!(scene.send("DELETE", "/api/apps/12/34/cancel", "", b"").await.status, 202);
    let id = scene.queued(&[("phone_number", "6175551234")]).await;
    assert_eq!(scene.details(&id).await["status"], "queued");
    scene.server.stop().await;
}

#[tokio::test]
async fn list_that_is_none_is_refused() {
    let scene = Scene::open().await;
    let missing = scene.bulk("", &[("name=\"max_attempts\"", b"2")]).await;
    assert_eq!(missing.status, 400);
    let text = error(&missing).1;
    assert!(
        text.contains("reattempt_wait: is missing") && text.contains("csv: is missing"),
        "{text}"
    );
    let csv = "name=\"csv\"; filename=\"list.csv\"";
    let empty = scene.bulk("", &[(csv, b"destination\n")]).await;
    assert_eq!(
        error(&empty),
        (400, "list has no rows, expected one call per row below the header".into())
    );
    let headless = scene.bulk("", &[(csv, b"6175551234\n")]).await;
    assert!(error(&headless).1.starts_with("header of the list: "), "{headless:?}");
    let twice = scene.bulk("", &[(csv, b"destination\n1\n"), (csv, b"destination\n2\n")]).await;
    assert_eq!(error(&twice), (400, "csv: expected one file, not several".into()));
    let rejected = scene.bulk(XML, &[(csv, b"destination\nno\n")]).await;
    assert_eq!(rejected.status, 400);
    assert!(rejected.body.contains("<error>no call was queued: 1 of 1 rows are refused</error>"));
    let typed = scene
        .send(
            "POST",
            "/api/apps/12/34/bulk_queue",
            "Content-Type: text/csv\r\n",
            b"destination\n1\n",
        )
        .await;
    assert_eq!(typed.status, 415, "{typed:?}");
    scene.server.stop().await;
}

#[tokio::test]
async fn deleted_deployment_takes_no_calls_and_what_waited_is_canceled() {
    let scene = Scene::open().await;
    let id = scene.queued(&[("phone_number", "6175551234")]).await;
    let (_, key) = scene.server.add_account("bob@example.com").await;
    let theirs = scene.server.native_as(&key, "DELETE", "/v1/deployments/34", "").await;
    assert_eq!(theirs.status, 404);
    let key = {
        let pair = scene.basic.trim_start_matches("Authorization: Basic ").trim_end();
        let pair = String::from_utf8(Base64::decode_vec(pair).unwrap()).unwrap();
        pair.split_once(':').unwrap().1.to_owned()
    };
    assert_eq!(scene.server.native_as(&key, "DELETE", "/v1/deployments/34", "").await.status, 204);
    assert_eq!(scene.details(&id).await["status"], "canceled");
    let queue = scene.queue(&[("phone_number", "6175551234")]).await;
    assert_eq!(error(&queue), (409, "deployment was deleted".into()));
    let cancel = scene.send("DELETE", "/api/apps/12/34/cancel", "", b"").await;
    assert_eq!(cancel.status, 404);
    scene.server.stop().await;
}

#[tokio::test]
async fn server_that_is_ending_or_has_lost_its_store_says_so() {
    let mut scene = Scene::open().await;
    scene.server.drain().await;
    let answer = scene.queue(&[("phone_number", "6175551234")]).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(error(&answer).1.starts_with("server is shutting down"));
    scene.server.stop().await;

    let scene = Scene::open().await;
    scene.server.store.close().await.unwrap();
    let answer = scene.queue(&[("phone_number", "6175551234")]).await;
    assert_eq!((answer.status, answer.json()["call_id"].is_null()), (503, true), "{answer:?}");
}

#[tokio::test]
async fn call_and_list_with_a_key_are_queued_once() {
    let scene = Scene::open().await;
    let queue = async |key: &str, number: &str| {
        let body = facade::form::encode([("phone_number", number)]);
        let headers = format!("{FORM}Idempotency-Key: {key}\r\n");
        scene.send("POST", "/api/apps/12/34/queue", &headers, body.as_bytes()).await
    };
    let first = queue("\"a\"", "16175551234").await;
    let again = queue("\"a\"", "16175551234").await;
    assert_eq!((first.status, again.status, &again.body), (200, 200, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!((again.header("link"), again.header("location")), (first.header("link"), ""));
    let reused = queue("\"a\"", "16175551235").await;
    assert_eq!(reused.status, 422, "{reused:?}");
    let (status, message) = error(&queue("a", "16175551234").await);
    assert_eq!(status, 400, "{message}");
    let list = async |key: &str, file: &[u8]| {
        let headers = format!("Idempotency-Key: {key}\r\n");
        scene.bulk(&headers, &[("name=\"csv\"; filename=\"a.csv\"", file)]).await
    };
    let first = list("\"l\"", b"destination\n16175550001\n16175550002\n").await;
    let again = list("\"l\"", b"destination\n16175550001\n16175550002\n").await;
    assert_eq!((first.status, again.status), (200, 200));
    let row = "{\"row\":3,\"destination\":\"16175550002\",\"call_id\":\"3\"}";
    assert!(first.body.contains(row) && again.body.contains(row), "{again:?}");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    let reused = list("\"l\"", b"destination\n16175550003\n").await;
    assert_eq!(reused.status, 422, "{reused:?}");
    scene.server.store.flush().await.unwrap();
    scene.server.stop().await;
}
