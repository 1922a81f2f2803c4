//! What operators and tools ask without a key.

use crate::harness::Server;

#[tokio::test]
async fn server_without_a_trunk_is_up_and_says_that_it_does_not_dial() {
    let mut server = Server::start().await;
    let answer = server.send("GET", "/healthz", "", b"").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), "application/json");
    let health = answer.json();
    assert_eq!((&health["dialing"], &health["store"]), (&false.into(), &true.into()));
    assert!(health["problems"].to_string().contains("no trunk is up"), "{health}");
    server.drain().await;
    let health = server.send("GET", "/healthz", "", b"").await.json();
    assert_eq!(health["draining"], true);
    server.stop().await;
}

#[tokio::test]
async fn figures_are_shown_for_prometheus() {
    let server = Server::start().await;
    let body = r#"{"number":"1","say":"x"}"#;
    assert_eq!(server.native("POST", "/v1/calls", body).await.status, 201);
    let answer = server.send("GET", "/metrics", "", b"").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "outdial_calls{state=\"waiting\"}",
        "outdial_attempts{outcome=\"busy\"}",
        "outdial_results{state=\"owed\"}",
        "outdial_live_calls ",
        "outdial_http_requests_total{method=\"POST\",route=\"/v1/calls\",status=\"201\"}",
        "outdial_http_request_seconds_bucket{route=\"/v1/calls\"",
    ] {
        assert!(answer.body.contains(line), "{line}: {}", answer.body);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_name_and_forbids_what_pages_may_do() {
    let server = Server::start().await;
    let mut names = std::collections::BTreeSet::new();
    for path in ["/healthz", "/metrics", "/v1/calls", "/nothing", "/webservice/queuecall.php"] {
        let answer = server.send("GET", path, "X-Request-Id: mine\r\n", b"").await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert!(answer.header("x-request-id").starts_with("req_"), "{answer:?}");
        names.insert(answer.header("x-request-id").to_owned());
    }
    assert_eq!(names.len(), 5);
    server.stop().await;
}

#[tokio::test]
async fn every_problem_has_a_page_where_its_type_points() {
    let server = Server::start().await;
    let problem = server.send("GET", "/v1/calls", "", b"").await.json();
    let page = server.send("GET", problem["type"].as_str().unwrap(), "", b"").await;
    assert_eq!(page.status, 200);
    assert!(page.body.starts_with("## unauthorized\n"), "{page:?}");
    let all = server.send("GET", "/errors", "", b"").await;
    assert!(all.body.contains(&page.body.trim_end().to_owned()));
    assert_eq!(server.send("GET", "/errors/none", "", b"").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn document_of_the_api_is_served_and_true() {
    let server = Server::start().await;
    let answer = server.send("GET", "/openapi.json", "", b"").await;
    assert_eq!(answer.body, api::openapi());
    let document = answer.json();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = filled(path);
            let method = method.to_uppercase();
            let has_body = operation["requestBody"].is_object();
            let body = if has_body { "{}" } else { "" };
            for key in [server.key.as_str(), "wrong"] {
                let answer = server.native_as(key, &method, &path, body).await;
                let status = answer.status.to_string();
                let documented = operation["responses"].get(&status).is_some();
                assert!(documented, "{method} {path} answers {status}");
                assert_ne!(answer.status, 405, "{method} {path}");
                let kind = answer.header("content-type").split(';').next().unwrap().to_owned();
                let content = operation["responses"][&status]["content"].as_object();
                let known = content.map_or(answer.body.is_empty(), |it| it.contains_key(&kind));
                assert!(known, "{method} {path} answers {status} as {kind}");
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 99);
    server.stop().await;
}

/// An address with something in each of its places.
fn filled(path: &str) -> String {
    let mut parts = path.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        filled.push_str(match name {
            "code" => "not_found",
            "file" => "fuse.json",
            _ => "999",
        });
        filled.push_str(rest);
    }
    filled
}

#[tokio::test]
async fn every_vendors_part_of_the_document_is_served_by_itself() {
    let server = Server::start().await;
    for (file, path) in [
        ("native", "/v1/calls"),
        ("plum", "/webservice/queuecall.php"),
        ("fuse", "/api/outbound/{call_id}"),
        ("aculab", "/service_start"),
    ] {
        let answer = server.send("GET", &format!("/openapi/{file}.json"), "", b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        let paths = &answer.json()["paths"];
        assert!(paths.get(path).is_some(), "{file}");
        assert_eq!(paths.get("/v1/calls").is_some(), file == "native", "{file}");
    }
    assert_eq!(server.send("GET", "/openapi/other.json", "", b"").await.status, 404);
    server.stop().await;
}
