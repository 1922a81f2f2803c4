//! Outgoing HTTP against real servers on loopback, most of them hostile.

mod check;
mod reach;
mod redirects;
mod size;
mod speech;
mod time;
mod tls;

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::policy::URL_BYTES_MAX;
use super::test_server::{Reply, Server, answer, ok, status};
use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(8, 8, 8, 8));

/// A client that may reach loopback, where every name is at home.
fn client() -> HttpClient {
    client_with(HttpPolicy::default().with_loopback(), |_| vec![LOOPBACK])
}

fn client_with(
    policy: HttpPolicy,
    names: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
) -> HttpClient {
    let tls = tls_config(&policy.extra_roots, false).unwrap();
    let names = Names::Stub(Box::new(names));
    HttpClient::with(Connector::new(policy, names, tls), Clock::new())
}

fn page(url: Url) -> Request {
    Request::get(url, Purpose::Page)
}

fn post(url: Url, body: &'static str) -> Request {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    Request::post(url, form, Bytes::from_static(body.as_bytes()), Purpose::Webhook)
}

async fn got(client: &HttpClient, request: Request) -> String {
    match client.send(request).await {
        Ok(answer) => {
            format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
        }
        Err(error) => format!("{}: {error}", error.name()),
    }
}

/// Sends; once the server has heard it, time runs on its own as fast as nobody has work to do.
async fn got_as_time_flies(client: &HttpClient, request: Request, server: &Server) -> String {
    let before = server.heard().len();
    let sending = got(client, request);
    let fly = async {
        server.heard_requests(before + 1).await;
        tokio::time::pause();
    };
    let (got, ()) = tokio::join!(sending, fly);
    tokio::time::resume();
    got
}

#[tokio::test]
async fn answer_is_brought_whole_whatever_its_status() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /a?b=c%20d" => Reply::Say(answer("404 No", "Content-Type: Text/XML; a=b\r\n", "gone")),
        other => panic!("{other}"),
    })
    .await;
    let got = client().send(page(server.url("/a?b=c%20d#part"))).await.unwrap();
    assert_eq!((got.status, got.content_type.as_str()), (404, "Text/XML; a=b"));
    assert_eq!(got.body, "gone");
    let heard = &server.heard()[0];
    assert_eq!(heard.header("host"), server.address.to_string());
    assert_eq!(heard.header("user-agent"), "Outdial");
    assert!(heard.header("accept").starts_with("application/voicexml+xml"));
    assert_eq!(heard.header("accept-encoding"), "");
}

#[tokio::test]
async fn form_is_posted_with_its_type_length_and_headers() {
    let server = Server::start(|_| ok("completed")).await;
    let mut request = post(server.url("/result"), "a=1&b=2");
    request.headers.insert("webhook-id", HeaderValue::from_static("17"));
    assert_eq!(got(&client(), request).await, "200 completed");
    let heard = &server.heard()[0];
    assert_eq!((heard.asked(), heard.body.as_str()), ("POST /result", "a=1&b=2"));
    assert_eq!(heard.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(heard.header("webhook-id"), "17");
}

#[tokio::test]
async fn requests_one_after_another_share_a_connection() {
    let server = Server::start(|_| ok("x")).await;
    let client = client();
    for _ in 0..20 {
        assert_eq!(got(&client, page(server.url("/"))).await, "200 x");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn connection_closed_by_the_server_is_replaced_without_a_word() {
    let server = Server::start(|_| Reply::SayAndClose(answer("200 OK", "", "x"))).await;
    let client = client();
    for _ in 0..5 {
        assert_eq!(got(&client, post(server.url("/"), "once")).await, "200 x");
    }
    assert_eq!(server.heard().len(), 5);
}

#[tokio::test]
async fn name_stays_in_host_header_when_its_address_is_used() {
    let server = Server::start(|_| ok("x")).await;
    let url = server.url_as("http", "app.example", "/");
    assert_eq!(got(&client(), page(url)).await, "200 x");
    let host = format!("app.example:{}", server.address.port());
    assert_eq!(server.heard()[0].header("host"), host);
}

#[tokio::test]
async fn hosts_file_counts() {
    let server = Server::start(|_| ok("x")).await;
    let policy = HttpPolicy::default().with_loopback();
    let tls = tls_config(&[], false).unwrap();
    let connector = Connector::new(policy, Names::system().unwrap(), tls);
    let client = HttpClient::with(connector, Clock::new());
    assert_eq!(got(&client, page(server.url_as("http", "localhost", "/"))).await, "200 x");
}
