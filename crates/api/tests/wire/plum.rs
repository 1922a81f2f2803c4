//! Plum's scripts, as old clients call them.

use crate::harness::{PIN, Server};

fn fields(start_url: &str) -> Vec<(&str, &str)> {
    vec![
        ("login", "ann"),
        ("pin", PIN),
        ("phone_number", "tel:+12125550101;ani=8005550199"),
        ("start_url", start_url),
    ]
}

/// How many calls the account has.
async fn calls(server: &Server) -> usize {
    server.native("GET", "/v1/calls", "").await.json()["data"].as_array().unwrap().len()
}

/// Checklist 0-003, 0-015 to 0-018, 0-021, 0-025 to 0-027, 0-052, 0-053.
#[tokio::test]
async fn queued_call_is_answered_with_its_id_after_both_urls_were_asked() {
    let server = Server::start().await;
    let (start, result) = (server.pages.url("start"), server.pages.url("result"));
    let mut form = fields(&start);
    form.extend([
        ("result_url", result.as_str()),
        ("message_reference", "order & 4711"),
        ("max_retries", "2"),
    ]);
    let answer = server.form("queuecall.php", &form).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/xml; charset=utf-8");
    assert!(answer.body.contains("<queuecall status=\"queued\" call_id=\""), "{answer:?}");
    assert!(answer.body.contains("<message_reference>order &amp; 4711</message_reference>"));
    assert!(!answer.body.contains(PIN));
    assert_eq!(server.pages.asked(), ["GET /start", "GET /result"]);
    let id = answer.after("call_id=\"");
    let call = server.native("GET", &format!("/v1/calls/{id}"), "").await.json();
    assert_eq!(call["number"], "+12125550101");
    assert_eq!(call["caller_id"], "8005550199");
    assert_eq!(call["reference"], "order & 4711");
    assert_eq!(call["retry"]["attempts_max"], 3);
    assert_eq!(call["state"], "waiting");
    let campaigns = server.native("GET", "/v1/campaigns", "").await.json();
    assert_eq!(campaigns["data"][0]["name"], "default");
    server.stop().await;
}

#[tokio::test]
async fn form_may_come_as_multipart_and_from_an_on_premises_address() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let parts: Vec<(String, &[u8])> = fields(&start)
        .into_iter()
        .map(|(name, value)| (format!("name=\"{name}\""), value.as_bytes()))
        .collect();
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(head, data)| (head.as_str(), *data)).collect();
    let answer = server.multipart("queuecall.php", &parts).await;
    assert!(answer.body.contains("status=\"queued\""), "{answer:?}");
    let body = facade::form::encode(fields(&start));
    // A client on a bare socket that forgets the header of the body's type.
    let path = "/outbound/webservice/queuecall.php";
    let answer = server.send("POST", path, "", body.as_bytes()).await;
    assert!(answer.body.contains("status=\"queued\""), "{answer:?}");
    server.stop().await;
}

/// Checklist 0-022.
#[tokio::test]
async fn url_that_does_not_answer_200_fails_the_whole_operation() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    for bad in ["404", "500", "204", "302"] {
        let bad = server.pages.url(bad);
        let answer = server.form("queuecall.php", &fields(&bad)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("<queuecall status=\"failed\">"), "{answer:?}");
        assert!(
            answer.body.contains("<error field=\"start_url\" code=\"unreachable\">"),
            "{answer:?}"
        );
        let mut form = fields(&start);
        form.push(("result_url", &bad));
        let answer = server.form("queuecall.php", &form).await;
        assert!(
            answer.body.contains("<error field=\"result_url\" code=\"unreachable\">"),
            "{answer:?}"
        );
        let answer = server.multipart("queuecalls.php", &upload(&bad, b"12125550101\n")).await;
        assert!(answer.body.contains("<queuecalls status=\"failed\">"), "{answer:?}");
    }
    let nobody = server.form("queuecall.php", &fields("http://127.0.0.1:1/")).await;
    assert!(nobody.body.contains("status=\"failed\""), "{nobody:?}");
    assert_eq!(calls(&server).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn private_address_is_refused_without_being_asked() {
    let server = Server::start_with(&[]).await;
    let start = server.pages.url("start");
    for url in [start.as_str(), "http://169.254.169.254/latest", "http://[::1]:8080/"] {
        let answer = server.form("queuecall.php", &fields(url)).await;
        assert!(
            answer.body.contains("<error field=\"start_url\" code=\"malformed\">"),
            "{answer:?}"
        );
    }
    assert!(server.pages.asked().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn all_mistakes_are_named_at_once_and_nothing_is_asked_or_queued() {
    let server = Server::start().await;
    let answer = server
        .form("queuecall.php", &[("pin", "secret-pin"), ("max_retries", "11"), ("start_url", "x")])
        .await;
    assert_eq!(answer.status, 200);
    for field in ["login", "phone_number", "start_url", "max_retries"] {
        assert!(answer.body.contains(&format!("<error field=\"{field}\"")), "{field}: {answer:?}");
    }
    assert!(!answer.body.contains("secret-pin"));
    assert_eq!(calls(&server).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn wrong_pin_and_unknown_login_are_told_the_same() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let mut answers = Vec::new();
    for (login, pin) in [("ann", "1"), ("nobody", PIN), ("ann", "987654321")] {
        let mut form = fields(&start);
        form[0].1 = login;
        form[1].1 = pin;
        let answer = server.form("queuecall.php", &form).await;
        answers.push((answer.status, answer.body));
    }
    assert!(answers[0].1.contains("<error code=\"credentials\">login or pin is wrong</error>"));
    assert!(answers.iter().all(|answer| answer.0 == 200 && answer == &answers[0]));
    assert!(server.pages.asked().is_empty(), "strangers may not make the server ask");
    server.stop().await;
}

#[tokio::test]
async fn pin_tried_too_often_has_to_wait_but_a_known_client_need_not() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let known = server.form("queuecall.php", &fields(&start)).await;
    assert!(known.body.contains("status=\"queued\""), "{known:?}");
    let mut wrong = fields(&start);
    wrong[1].1 = "1";
    for _ in 0..10 {
        let answer = server.form("queuecall.php", &wrong).await;
        assert!(answer.body.contains("code=\"credentials\""), "{answer:?}");
    }
    let answer = server.form("queuecall.php", &wrong).await;
    assert_eq!((answer.status, answer.header("retry-after") > "0"), (429, true), "{answer:?}");
    assert!(answer.body.contains("<error code=\"throttled\">"), "{answer:?}");
    let known = server.form("queuecall.php", &fields(&start)).await;
    assert!(known.body.contains("status=\"queued\""), "{known:?}");
    server.stop().await;
}

/// Head and data of a part.
type Part<'a> = (&'a str, &'a [u8]);

fn upload<'a>(start_url: &'a str, list: &'a [u8]) -> Vec<Part<'a>> {
    vec![
        ("name=\"login\"", b"ann"),
        ("name=\"pin\"", PIN.as_bytes()),
        ("name=\"campaign\"", b"spring"),
        ("name=\"start_url\"", start_url.as_bytes()),
        ("name=\"phone_list\"; filename=\"list.txt\"", list),
    ]
}

/// Checklist 0-028 to 0-030, 0-066.
#[tokio::test]
async fn list_is_queued_row_by_row_and_rows_that_cannot_be_are_named() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let list = b"12125550101\tr1\ta=1\nbroken\tr2\n+12125550103\tr3\t<b>\n";
    let answer = server.multipart("queuecalls.php", &upload(&start, list)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let begin = "<queuecalls status=\"queued\" campaign=\"spring\" queued=\"2\" rejected=\"1\">";
    assert!(answer.body.contains(begin), "{answer:?}");
    let rows: Vec<&str> = answer.body.lines().filter(|line| line.contains("<call ")).collect();
    assert!(rows[0].contains("phone_number=\"12125550101\" message_reference=\"r1\" call_id=\""));
    assert!(
        rows[1].contains("phone_number=\"broken\" message_reference=\"r2\" line=\"2\"><error>")
    );
    assert!(answer.body.ends_with("</queuecalls>\n"));
    let page = server.native("GET", "/v1/calls", "").await.json();
    let parameters: Vec<&str> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["parameters"].as_str().unwrap())
        .collect();
    assert_eq!(parameters, ["<b>", "a=1"]);
    server.stop().await;
}

#[tokio::test]
async fn fields_may_come_after_the_file_and_the_file_may_have_any_name_if_alone() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let mut parts = upload(&start, b"12125550101\n");
    parts.last_mut().unwrap().0 = "name=\"upload\"; filename=\"x.txt\"";
    parts.reverse();
    // Sent along by a form whose second file input was left empty.
    parts.push(("name=\"other\"; filename=\"\"", b""));
    parts.push(("name=\"max_retries\"", b"4"));
    let answer = server.multipart("queuecalls.php", &parts).await;
    assert!(answer.body.contains("queued=\"1\""), "{answer:?}");
    let page = server.native("GET", "/v1/calls", "").await.json();
    assert_eq!(page["data"][0]["retry"]["attempts_max"], 5);
    server.stop().await;
}

#[tokio::test]
async fn contacts_file_may_be_given_as_a_plain_field() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let mut parts = upload(&start, b"\"destination\",\"name\"\r\n\"12125550101\",\"Ann\"\r\n");
    parts.last_mut().unwrap().0 = "name=\"contacts\"";
    let answer = server.multipart("queuecalls.php", &parts).await;
    assert!(answer.body.contains("queued=\"1\" rejected=\"0\""), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn request_without_a_usable_list_queues_nothing_and_says_why() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let file = "name=\"phone_list\"; filename=\"list.txt\"";
    let cases: [(Vec<Part<'_>>, &str); 7] = [
        (vec![], "<error field=\"phone_list\" code=\"missing\">"),
        (
            vec![(file, b""), (file, b"12125550101")],
            "<error field=\"phone_list\" code=\"conflict\">",
        ),
        (vec![(file, b"\n# none\n")], "<error code=\"list_empty\">"),
        (vec![(file, b"one\ntwo\n")], "<error code=\"list_rejected\">"),
        (vec![(file, b"1\n2\n\xffdestination,a,a")], "queued=\"2\" rejected=\"1\""),
        (vec![(file, b"destination,a,a\n1,2,3\n")], "<error code=\"list_malformed\">"),
        (vec![(file, b"PK\x03\x04\x14")], "<error code=\"list_malformed\">"),
    ];
    for (files, expected) in cases {
        let mut parts = upload(&start, b"");
        parts.pop();
        parts.extend(files);
        let answer = server.multipart("queuecalls.php", &parts).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains(expected), "{expected}: {answer:?}");
    }
    assert_eq!(calls(&server).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn list_without_its_form_names_both_kinds_of_mistakes() {
    let server = Server::start().await;
    let answer = server.form("queuecalls.php", &[("login", "ann")]).await;
    assert_eq!(answer.status, 200);
    for field in ["pin", "campaign", "start_url", "phone_list"] {
        assert!(answer.body.contains(&format!("<error field=\"{field}\"")), "{field}: {answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn strangers_list_is_refused_before_it_is_received() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let mut parts = upload(&start, b"12125550101\n");
    parts[1].1 = b"0000";
    let body = crate::harness::multipart(&parts);
    let end = body.windows(5).position(|bytes| bytes == b"12125").unwrap();
    let head = "POST /webservice/queuecalls.php HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Content-Type: multipart/form-data; boundary=frontier\r\n\
                Content-Length: 1000000\r\n\r\n";
    // The rest of the body never comes, and the answer does not wait for it.
    let answer = server.raw(&[head.as_bytes(), &body[..end]].concat()).await;
    assert!(answer.body.contains("code=\"credentials\""), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn other_methods_and_bodies_are_answered_with_a_document_that_helps() {
    let server = Server::start().await;
    for script in ["queuecall", "queuecalls"] {
        let path = format!("/webservice/{script}.php");
        let answer = server.send("GET", &path, "", b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
        assert!(answer.body.contains("send the call by POST"), "{answer:?}");
        assert!(answer.body.contains(&format!("<{script} status=\"failed\">")), "{answer:?}");
        let answer = server.send("POST", &path, "Content-Type: text/plain\r\n", b"x").await;
        assert_eq!(answer.status, 415);
        assert!(answer.body.contains("&quot;text/plain") || answer.body.contains("\"text/plain\""));
        let answer =
            server.send("POST", &path, "Content-Type: multipart/form-data\r\n", b"x").await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let headers = "Content-Type: multipart/form-data; boundary=b\r\n";
        let answer = server.send("POST", &path, headers, b"--b\r\nbroken").await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("body ends before its last boundary"), "{answer:?}");
    }
    server.stop().await;
}

/// Checklist 0-024, 0-025: a stopped campaign takes calls and keeps them.
#[tokio::test]
async fn stopped_campaign_takes_calls_and_keeps_them_waiting() {
    let server = Server::start().await;
    let created =
        server.native("POST", "/v1/campaigns", r#"{"name":"spring","state":"stopped"}"#).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let start = server.pages.url("start");
    let answer = server.multipart("queuecalls.php", &upload(&start, b"12125550101\n")).await;
    assert!(answer.body.contains("queued=\"1\""), "{answer:?}");
    let campaign = server.native("GET", &format!("/v1/campaigns/{id}"), "").await.json();
    assert_eq!(
        (&campaign["state"], &campaign["counts"]["waiting"]),
        (&"stopped".into(), &1.into())
    );
    server.stop().await;
}

#[tokio::test]
async fn server_that_ends_says_so_in_the_document() {
    let mut server = Server::start().await;
    let start = server.pages.url("start");
    server.drain().await;
    let answer = server.form("queuecall.php", &fields(&start)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("<error code=\"draining\">"), "{answer:?}");
    let answer = server.multipart("queuecalls.php", &upload(&start, b"12125550101\n")).await;
    assert!(answer.body.contains("<error code=\"draining\">"), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn store_that_is_gone_says_so_in_the_document() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    server.store.close().await.unwrap();
    let answer = server.form("queuecall.php", &fields(&start)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("status=\"failed\""), "{answer:?}");
}
