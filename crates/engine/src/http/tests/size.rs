//! How much may come: bodies, headers, and what is cut.

use super::*;

#[tokio::test]
async fn body_announced_too_large_is_not_read() {
    let server = Server::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
        Reply::Endless(head.to_owned(), vec![b'x'; 65_536])
    })
    .await;
    let got = got(&client(), page(server.url("/"))).await;
    assert_eq!(got, "too_large: answer is larger than 1000000 bytes");
}

#[tokio::test]
async fn endless_body_is_cut_off_while_it_comes() {
    let server = Server::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65_536], b"\r\n"].concat();
        Reply::Endless(head.to_owned(), chunk)
    })
    .await;
    let got = got(&client(), page(server.url("/"))).await;
    assert_eq!(got, "too_large: answer is larger than 1000000 bytes");
    // What is under way in the buffers of both sides comes on top.
    let sent = server.sent.load(Ordering::SeqCst);
    assert!(sent < 30_000_000, "{sent}");
}

#[tokio::test]
async fn body_until_the_end_of_the_connection_is_bounded_as_well() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /endless" => Reply::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned(), vec![b'x'; 65_536]),
        _ => Reply::SayAndClose("HTTP/1.1 200 OK\r\n\r\nold but right".to_owned()),
    })
    .await;
    let client = client();
    let endless = got(&client, page(server.url("/endless"))).await;
    assert_eq!(endless, "too_large: answer is larger than 1000000 bytes");
    assert_eq!(got(&client, page(server.url("/"))).await, "200 old but right");
}

#[tokio::test]
async fn long_answer_to_a_webhook_is_cut_not_refused() {
    let server = Server::start(|_| ok(&"x".repeat(1_000_000))).await;
    let answer = client().send(post(server.url("/"), "x")).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 16_384));
}

#[tokio::test]
async fn largest_page_is_still_a_page() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /fits" => ok(&"x".repeat(1_000_000)),
        _ => ok(&"x".repeat(1_000_001)),
    })
    .await;
    let client = client();
    let fits = client.send(page(server.url("/fits"))).await.unwrap();
    assert_eq!(fits.body.len(), 1_000_000);
    assert!(client.send(page(server.url("/over"))).await.is_err());
}

#[tokio::test]
async fn compressed_body_is_refused_unread() {
    let server = Server::start(|_| {
        Reply::Say(answer("200 OK", "Content-Encoding: gzip\r\n", "would be 10 GB of zeros"))
    })
    .await;
    let got = got(&client(), page(server.url("/"))).await;
    assert_eq!(
        got,
        "protocol: server's answer is not valid: it is encoded as \"gzip\", which was not asked for"
    );
}

#[tokio::test]
async fn headers_are_bounded_in_size_and_number() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /long" => Reply::Say(answer("200 OK", &format!("X: {}\r\n", "x".repeat(200_000)), "")),
        "GET /endless" => Reply::Endless("HTTP/1.1 200 OK\r\n".to_owned(), b"X: y\r\n".to_vec()),
        "GET /line" => Reply::Endless("HTTP/1.1 200 ".to_owned(), b"OK ".to_vec()),
        _ => Reply::Say(answer("200 OK", &"X: y\r\n".repeat(101), "")),
    })
    .await;
    let client = client();
    for path in ["/long", "/endless", "/line", "/many"] {
        let got = got(&client, page(server.url(path))).await;
        assert!(got.starts_with("protocol: "), "{path}: {got}");
    }
}
