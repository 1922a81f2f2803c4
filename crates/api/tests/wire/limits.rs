//! Requests that nobody should send.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{PIN, Server, read_answer};

/// Every answer is a document of ours, whatever was sent.
#[tokio::test]
async fn any_bytes_are_answered_and_the_server_lives() {
    let server = Server::start().await;
    let mut runner = TestRunner::deterministic();
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let targets = [
        ("/v1/calls", "application/json"),
        ("/v1/campaigns", "application/json"),
        ("/webservice/queuecall.php", "application/x-www-form-urlencoded"),
        ("/webservice/queuecall.php", "multipart/form-data; boundary=b"),
        ("/webservice/queuecalls.php", "multipart/form-data; boundary=b"),
    ];
    for (path, content_type) in targets.into_iter().cycle().take(200) {
        let body = bytes.new_tree(&mut runner).unwrap().current();
        let headers =
            format!("Authorization: Bearer {}\r\nContent-Type: {content_type}\r\n", server.key);
        let answer = server.send("POST", path, &headers, &body).await;
        let found = answer.header("content-type");
        assert!((200..500).contains(&answer.status), "{answer:?}");
        assert!(found.contains("xml") || found.contains("json"), "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn request_that_is_no_http_is_cut_off_alone() {
    let server = Server::start().await;
    for request in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"\0\0\0\0"]
    {
        let answer = server.raw(request).await;
        assert!(matches!(answer.status, 0 | 400), "{answer:?}");
    }
    let many = "X-Many: 1\r\n".repeat(200);
    assert_eq!(server.send("GET", "/healthz", &many, b"").await.status, 431);
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    assert!(matches!(server.send("GET", "/healthz", &long, b"").await.status, 0 | 431));
    assert_eq!(server.send("GET", "/openapi.json", "", b"").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn connection_serves_several_requests_one_after_the_other() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /errors/busy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4_096];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    }
    stream.write_all(b"GET /errors/busy HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(stream).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn client_that_leaves_in_the_middle_of_a_list_leaves_nothing_behind() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let parts: [(&str, &[u8]); 5] = [
        ("name=\"login\"", b"ann"),
        ("name=\"pin\"", PIN.as_bytes()),
        ("name=\"campaign\"", b"spring"),
        ("name=\"start_url\"", start.as_bytes()),
        ("name=\"phone_list\"; filename=\"list.txt\"", b"12125550101\n12125550102\n"),
    ];
    let body = crate::harness::multipart(&parts);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /webservice/queuecalls.php HTTP/1.1\r\nHost: x\r\n\
         Content-Type: multipart/form-data; boundary=frontier\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..body.len() - 20]).await.unwrap();
    drop(stream);
    let page = server.native("GET", "/v1/calls", "").await.json();
    assert_eq!(page["data"], serde_json::json!([]));
    server.stop().await;
}

#[tokio::test]
async fn shutdown_lets_a_request_under_way_end() {
    let mut server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /webservice/queuecall.php HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\nlogi";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Answered, so the server has accepted the connection before too.
    assert_eq!(server.send("GET", "/errors", "", b"").await.status, 200);
    server.drain().await;
    let stopping = tokio::spawn(server.stop());
    stream.write_all(b"n=a").await.unwrap();
    let answer = read_answer(stream).await;
    assert!(answer.body.contains("status=\"failed\""), "{answer:?}");
    tokio::time::timeout(Duration::from_secs(5), stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn strangers_with_slow_lists_do_not_keep_clients_waiting() {
    let server = Server::start().await;
    let head = "POST /webservice/queuecalls.php HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\
                Content-Type: multipart/form-data; boundary=frontier\r\n\r\n--frontier\r\n\
                Content-Disposition: form-data; name=\"phone_list\"; filename=\"x\"\r\n\r\n1";
    let mut strangers = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        strangers.push(stream);
    }
    let start = server.pages.url("start");
    let parts: [(&str, &[u8]); 5] = [
        ("name=\"login\"", b"ann"),
        ("name=\"pin\"", PIN.as_bytes()),
        ("name=\"campaign\"", b"spring"),
        ("name=\"start_url\"", start.as_bytes()),
        ("name=\"phone_list\"; filename=\"list.txt\"", b"12125550101\n"),
    ];
    let answer = server.multipart("queuecalls.php", &parts).await;
    assert!(answer.body.contains("queued=\"1\""), "{answer:?}");
    drop(strangers);
    server.stop().await;
}
