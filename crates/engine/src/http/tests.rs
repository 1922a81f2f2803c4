//! Outgoing HTTP against real servers on loopback, most of them hostile.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

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

// ---- plain things

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

// ---- what may not be reached

/// Addresses that lead nowhere public; every one in the forms that URLs may give it.
const FORBIDDEN_V4: [&str; 36] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.254",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.0.0.2",
    "127.1.2.3",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.17.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.1.1",
    "192.168.255.254",
    "198.18.0.1",
    "198.19.255.254",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "250.1.2.3",
    "255.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
];
const FORBIDDEN_V6: [&str; 24] = [
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

fn spellings_v4(address: &str) -> [String; 6] {
    let ip: std::net::Ipv4Addr = address.parse().unwrap();
    let [a, b, c, d] = ip.octets();
    let number = ip.to_bits();
    [
        address.to_owned(),
        format!("{number}"),
        format!("0x{number:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a}.{}", number & 0x00ff_ffff),
        format!("[::ffff:{address}]"),
    ]
}

fn spellings_v6(address: &str) -> [String; 6] {
    let ip: std::net::Ipv6Addr = address.parse().unwrap();
    let segments = ip.segments();
    let long: Vec<String> = segments.iter().map(|part| format!("{part:04x}")).collect();
    let bare: Vec<String> = segments.iter().map(|part| format!("{part:x}")).collect();
    let [.., a, b, c, d] = ip.octets();
    let dotted = format!("[{}:{a}.{b}.{c}.{d}]", bare[..6].join(":"));
    [
        format!("[{address}]"),
        format!("[{}]", long.join(":")),
        format!("[{}]", long.join(":").to_uppercase()),
        format!("[{}]", bare.join(":")),
        dotted,
        format!("[{address}%25eth0]"),
    ]
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_gets_through() {
    let client = client_with(HttpPolicy::default(), |_| panic!("an address was resolved"));
    let table = FORBIDDEN_V4
        .iter()
        .flat_map(|address| spellings_v4(address))
        .chain(FORBIDDEN_V6.iter().flat_map(|address| spellings_v6(address)));
    let (mut blocked, mut total) = (0, 0);
    for spelling in table {
        total += 1;
        for scheme in ["http", "https"] {
            // What the URL standard itself does not read is blocked as well.
            let Ok(url) = Url::parse(&format!("{scheme}://{spelling}/")) else {
                assert!(spelling.contains('%'), "{spelling} is not read");
                continue;
            };
            let error = client.send(page(url)).await.unwrap_err();
            assert!(
                matches!(error, HttpError::Refused(Refusal::Address(_))),
                "{spelling}: {error}"
            );
        }
        blocked += 1;
    }
    assert_eq!((blocked, total), (360, 360));
    println!("blocked {blocked} of {total} spellings");
}

#[tokio::test]
async fn disguises_that_the_url_standard_folds_are_seen_through() {
    let client = client_with(HttpPolicy::default(), |_| panic!("an address was resolved"));
    let disguises = [
        "http://127.1/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://2130706433/",
        "http://127.0.0.1./",
        "http://１２７.0.0.1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127%2e0%2e0%2e1/",
        "http://%31%32%37.0.0.1/",
        "http://127。0。0。1/",
        "http:\\\\127.0.0.1\\",
        "http:127.0.0.1",
        "HTTP://127.0.0.1:80/",
        " \thttp://127.0.0.1/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]/",
        "http://[::]:80/",
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1:80\\@example.com/",
        "http://0/",
        "http://00.0/",
        "http://0xa9fea9fe/latest/meta-data/",
    ];
    for disguise in disguises {
        let url = Url::parse(disguise).unwrap();
        let error = client.send(page(url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused(_)), "{disguise}: {error}");
    }
}

#[tokio::test]
async fn name_with_a_private_address_is_refused_though_another_is_public() {
    let server = Server::start(|_| ok("x")).await;
    let client = client_with(HttpPolicy::default(), |name| match name {
        "private.example" => vec![LOOPBACK],
        "mixed.example" => vec![PUBLIC, LOOPBACK],
        "six.example" => vec!["::ffff:10.0.0.1".parse().unwrap()],
        "nowhere.example" => vec![],
        other => panic!("{other}"),
    });
    for name in ["private.example", "mixed.example", "six.example"] {
        let error = client.send(page(server.url_as("http", name, "/"))).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "address is not permitted: its host is in a private, local or reserved network"
        );
    }
    let got = got(&client, page(server.url_as("http", "nowhere.example", "/"))).await;
    assert_eq!(got, "resolve: host cannot be found: the name has no address");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn name_that_changes_its_mind_is_judged_at_every_connection() {
    // The classic: permitted when it is checked, private when it is used.
    let server = Server::start(|_| ok("secret")).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let permitted: IpAddr = "127.0.0.2".parse().unwrap();
    let allowed = vec!["127.0.0.2/32".parse().unwrap()];
    let policy = HttpPolicy { allowed, ..HttpPolicy::default() };
    let client = client_with(policy, move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        vec![if first { permitted } else { LOOPBACK }]
    });
    let url = server.url_as("http", "rebinding.example", "/");
    // Nobody is at home at the first address; what matters is that nobody else was asked.
    let first = client.send(page(url.clone())).await.unwrap_err();
    assert!(matches!(first, HttpError::Connect(_)), "{first}");
    let second = client.send(page(url)).await.unwrap_err();
    assert!(matches!(second, HttpError::Refused(Refusal::Address(_))), "{second}");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "each connection resolves once and uses just that");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn own_listener_is_not_called_back_even_where_loopback_is_allowed() {
    let server = Server::start(|_| ok("ourselves")).await;
    let mut policy = HttpPolicy::default().with_loopback();
    policy.own = vec![(IpAddr::from([0, 0, 0, 0]), server.address.port()).into()];
    let client = client_with(policy, |_| vec![LOOPBACK]);
    for host in ["127.0.0.1", "127.9.9.9", "[::ffff:127.0.0.1]", "app.example"] {
        let got = got(&client, page(server.url_as("http", host, "/"))).await;
        assert!(got.starts_with("refused"), "{host}: {got}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn url_that_no_server_reads_is_refused() {
    let server = Server::start(|_| ok("x")).await;
    let long = format!("/{}", "a".repeat(URL_BYTES_MAX));
    let got = got(&client(), page(server.url(&long))).await;
    assert_eq!(got, "refused: address is not permitted: it is longer than 8000 bytes");
}

// ---- redirects

/// `/n` redirects to `/n-1`; `/0` is the end.
fn staircase(heard: &super::test_server::Heard) -> Reply {
    let step: u32 = heard.asked().rsplit('/').next().unwrap().parse().unwrap();
    match step.checked_sub(1) {
        None => ok("bottom"),
        Some(next) => Reply::Say(answer("302 Found", &format!("Location: {next}\r\n"), "")),
    }
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_not() {
    let server = Server::start(staircase).await;
    let client = client();
    let answer = client.send(page(server.url("/3"))).await.unwrap();
    assert_eq!((answer.status, answer.url.path()), (200, "/0"));
    let got = got(&client, page(server.url("/4"))).await;
    assert_eq!(got, "too_many_redirects: more than 3 redirects");
}

#[tokio::test]
async fn redirect_loop_ends() {
    let server =
        Server::start(|_| Reply::Say(answer("301 Moved", "Location: /again\r\n", ""))).await;
    let got = got(&client(), page(server.url("/again"))).await;
    assert_eq!(got, "too_many_redirects: more than 3 redirects");
    assert_eq!(server.heard().len(), 4);
}

#[tokio::test]
async fn webhooks_and_checks_follow_no_redirect() {
    let server = Server::start(staircase).await;
    let client = client();
    assert_eq!(got(&client, post(server.url("/1"), "x")).await, "302 ");
    let check = Request::get(server.url("/1"), Purpose::Check);
    assert_eq!(got(&client, check).await, "302 ");
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_judged() {
    let inner = Server::start(|_| ok("secret")).await;
    let port = inner.address.port();
    let targets = [
        format!("http://10.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("//private.example:{port}/"),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        format!("http://user:pin@127.0.0.1:{port}/"),
        "http://127.0.0.1:6379/".to_owned(),
    ];
    let count = targets.len();
    let outer = Server::start(move |heard| {
        let number: usize = heard.asked().strip_prefix("GET /").unwrap().parse().unwrap();
        let location = format!("Location: {}\r\n", targets[number]);
        Reply::Say(answer("307 Temporary Redirect", &location, ""))
    })
    .await;
    let policy =
        HttpPolicy { allowed: vec!["127.0.0.1/32".parse().unwrap()], ..HttpPolicy::default() };
    let client = client_with(policy, |_| vec!["127.0.0.2".parse().unwrap()]);
    for number in 0..count {
        let got = got(&client, page(outer.url(&format!("/{number}")))).await;
        assert!(got.starts_with("refused"), "{number}: {got}");
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn credentials_go_to_nobody_else() {
    let other = Server::start(|_| ok("other")).await;
    let to_other = format!("Location: {}\r\n", other.url("/x"));
    let server = Server::start(move |heard| match heard.asked() {
        "GET /near" => Reply::Say(answer("302 Found", "Location: /x\r\n", "")),
        "GET /far" => Reply::Say(answer("302 Found", &to_other, "")),
        _ => ok("same"),
    })
    .await;
    let client = client();
    for (path, expected) in [("/near", "200 same"), ("/far", "200 other")] {
        let mut request = page(server.url(path));
        request.headers.insert("authorization", HeaderValue::from_static("Bearer x"));
        assert_eq!(got(&client, request).await, expected);
    }
    assert_eq!(server.heard()[1].header("authorization"), "Bearer x");
    assert_eq!(other.heard()[0].header("authorization"), "");
}

#[tokio::test]
async fn form_is_posted_again_only_where_the_redirect_says_so() {
    let server = Server::start(|heard| match heard.asked() {
        "POST /307" => Reply::Say(answer("307 T", "Location: /end\r\n", "")),
        "POST /303" => Reply::Say(answer("303 S", "Location: /end\r\n", "")),
        "POST /302" => Reply::Say(answer("302 F", "Location: /end\r\n", "")),
        _ => ok("end"),
    })
    .await;
    let client = client();
    for path in ["/307", "/303", "/302"] {
        let request = Request { purpose: Purpose::Page, ..post(server.url(path), "a=1") };
        assert_eq!(got(&client, request).await, "200 end");
    }
    let heard = server.heard();
    let ends: Vec<(&str, &str)> =
        heard.iter().skip(1).step_by(2).map(|it| (it.asked(), it.body.as_str())).collect();
    assert_eq!(ends, [("POST /end", "a=1"), ("GET /end", ""), ("GET /end", "")]);
    assert_eq!(heard[3].header("content-type"), "");
}

#[tokio::test]
async fn cookies_set_on_the_way_are_kept_and_sent() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /start" => {
            Reply::Say(answer("302 F", "Set-Cookie: id=7; Path=/\r\nLocation: /in\r\n", ""))
        }
        _ => ok("in"),
    })
    .await;
    let client = client();
    let cookies = CookieJar::default();
    for path in ["/start", "/next"] {
        let request = Request { cookies: Some(cookies.clone()), ..page(server.url(path)) };
        assert_eq!(got(&client, request).await, "200 in");
    }
    let sent: Vec<String> =
        server.heard().iter().map(|heard| heard.header("cookie").to_owned()).collect();
    assert_eq!(sent, ["", "id=7", "id=7"]);
}

#[tokio::test]
async fn redirect_to_nowhere_is_told_from_one_without_address() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /bad" => Reply::Say(answer("302 F", "Location: http://[/\r\n", "")),
        "GET /none" => status("302 F"),
        _ => Reply::Say(answer("304 Not Modified", "Location: /bad\r\n", "")),
    })
    .await;
    let client = client();
    let bad = got(&client, page(server.url("/bad"))).await;
    assert_eq!(bad, "protocol: server's answer is not valid: its redirect is no address");
    assert_eq!(got(&client, page(server.url("/none"))).await, "302 ");
}

// ---- how long it may take

#[tokio::test]
async fn silent_server_is_left_after_five_seconds() {
    let server = Server::start(|_| Reply::SayAndHang(String::new())).await;
    let client = client();
    let got = got_as_time_flies(&client, page(server.url("/")), &server).await;
    assert_eq!(got, "timeout: no answer in time, not even its status");
}

#[tokio::test]
async fn headers_that_drip_are_bounded_in_time() {
    let drip = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
    let server =
        Server::start(move |_| Reply::Drip(String::new(), drip.clone(), Duration::from_secs(1)))
            .await;
    let got = got_as_time_flies(&client(), page(server.url("/")), &server).await;
    assert_eq!(got, "timeout: no answer in time, not even its status");
}

#[tokio::test]
async fn body_that_drips_is_bounded_in_time() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_owned();
    let server = Server::start(move |_| {
        Reply::Drip(head.clone(), "x".repeat(99_999), Duration::from_millis(500))
    })
    .await;
    let got = got_as_time_flies(&client(), page(server.url("/")), &server).await;
    assert_eq!(got, "timeout: no answer in time, while its body came");
    assert!(server.heard().len() == 1, "it is not asked again");
}

#[tokio::test]
async fn script_that_grants_more_time_gets_it() {
    let server = Server::start(|_| {
        let rest = answer("200 OK", "", "late");
        let (first, rest) = rest.split_at(1);
        Reply::Drip(first.to_owned(), rest.to_owned(), Duration::from_millis(600))
    })
    .await;
    let request = Request { timeout: Some(Duration::from_secs(30)), ..page(server.url("/")) };
    assert_eq!(got_as_time_flies(&client(), request, &server).await, "200 late");
    let request = Request { timeout: Some(Duration::from_secs(10)), ..page(server.url("/")) };
    let got = got_as_time_flies(&client(), request, &server).await;
    assert!(got.starts_with("timeout"), "{got}");
}

#[tokio::test]
async fn handshake_that_hangs_is_left_after_three_seconds() {
    // Accepts and never says a word of TLS.
    let server = Server::start(|_| Reply::SayAndHang(String::new())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = Url::parse(&format!("https://app.example:{port}/")).unwrap();
    let client = client();
    let accept = async {
        let accepted = listener.accept().await.unwrap();
        tokio::time::pause();
        accepted
    };
    let (got, _accepted) = tokio::join!(got(&client, page(url)), accept);
    assert_eq!(got, "timeout: no answer in time, while connecting");
    drop(server);
}

#[tokio::test]
async fn full_host_makes_others_wait_but_not_other_hosts() {
    let slow = Server::start(|_| Reply::SayAndHang(String::new())).await;
    let quick = Server::start(|_| ok("quick")).await;
    let client = client();
    let mut hanging = JoinSet::new();
    for _ in 0..Purpose::Webhook.per_host_max() {
        let (client, request) = (client.clone(), post(slow.url("/"), "x"));
        hanging.spawn(async move { client.send(request).await });
    }
    slow.heard_requests(Purpose::Webhook.per_host_max()).await;
    assert_eq!(got(&client, post(quick.url("/"), "x")).await, "200 quick");
    let mut late = post(slow.url("/"), "x");
    late.timeout = Some(Duration::from_secs(1));
    tokio::time::pause();
    let got = got(&client, late).await;
    assert_eq!(got, "timeout: no answer in time, too many other requests to this host");
    hanging.shutdown().await;
}

// ---- how much may come

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

// ---- who does not speak HTTP as it should

#[tokio::test]
async fn answers_that_lie_or_break_off_are_errors() {
    let server = Server::start(|heard| {
        let head = "HTTP/1.1 200 OK\r\n";
        match heard.asked() {
            "GET /short" => Reply::SayAndClose(format!("{head}Content-Length: 10\r\n\r\nshort")),
            "GET /chunk" => {
                Reply::SayAndClose(format!("{head}Transfer-Encoding: chunked\r\n\r\nff\r\nshort"))
            }
            "GET /reset" => Reply::Reset,
            "GET /nothing" => Reply::SayAndClose(String::new()),
            "GET /half" => Reply::SayAndClose(head.to_owned()),
            "GET /smtp" => Reply::SayAndClose("220 mail.example ESMTP\r\n".to_owned()),
            "GET /length" => Reply::SayAndClose(format!("{head}Content-Length: ten\r\n\r\n")),
            "GET /lengths" => Reply::SayAndClose(format!(
                "{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"
            )),
            "GET /size" => Reply::SayAndClose(format!(
                "{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx"
            )),
            other => panic!("{other}"),
        }
    })
    .await;
    let client = client();
    let expected = [
        ("/short", "broken"),
        ("/chunk", "broken"),
        ("/reset", "broken"),
        ("/nothing", "broken"),
        ("/half", "broken"),
        ("/smtp", "protocol"),
        ("/length", "protocol"),
        ("/lengths", "protocol"),
        ("/size", "protocol"),
    ];
    for (path, name) in expected {
        let got = got(&client, page(server.url(path))).await;
        assert!(got.starts_with(&format!("{name}: ")), "{path}: {got}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_not_the_next_answer() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /first" => Reply::Say(format!(
            "{}{}",
            answer("200 OK", "", "first"),
            answer("200 OK", "", "smuggled")
        )),
        _ => ok("second"),
    })
    .await;
    let client = client();
    assert_eq!(got(&client, page(server.url("/first"))).await, "200 first");
    assert_eq!(got(&client, page(server.url("/second"))).await, "200 second");
}

#[tokio::test]
async fn closed_port_is_an_error_that_says_so() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let got = got(&client(), page(url)).await;
    assert!(got.starts_with("connect: cannot connect: Connection refused"), "{got}");
}

// ---- TLS

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn client_trusting(authority: &Authority) -> HttpClient {
    let mut policy = HttpPolicy::default().with_loopback();
    policy.extra_roots = vec![authority.root()];
    client_with(policy, |_| vec![LOOPBACK])
}

#[tokio::test]
async fn server_with_a_certificate_of_a_trusted_authority_is_reached() {
    let authority = Authority::new("ours");
    let tls = authority.server("app.example", |_| {});
    let server = Server::start_with(Some(tls), |_| ok("secret")).await;
    let client = client_trusting(&authority);
    for _ in 0..3 {
        let url = server.url_as("https", "app.example", "/");
        assert_eq!(got(&client, page(url)).await, "200 secret");
    }
    assert_eq!(server.connections(), 1);
    let dotted = server.url_as("https", "app.example.", "/");
    assert_eq!(got(&client, page(dotted)).await, "200 secret");
}

#[tokio::test]
async fn certificate_that_is_not_right_is_no_connection() {
    let authority = Authority::new("ours");
    let stranger = Authority::new("stranger");
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    };
    let cases = [
        (stranger.server("app.example", |_| {}), "UnknownIssuer"),
        (authority.server("app.example", expired), "expired"),
        (authority.server("other.example", |_| {}), "not valid for name"),
    ];
    let client = client_trusting(&authority);
    for (tls, reason) in cases {
        let server = Server::start_with(Some(tls), |_| ok("secret")).await;
        let got = got(&client, page(server.url_as("https", "app.example", "/"))).await;
        assert!(got.starts_with("tls: no secure connection: ") && got.contains(reason), "{got}");
        assert!(server.heard().is_empty());
    }
}

#[tokio::test]
async fn plain_server_under_https_is_no_connection() {
    let server = Server::start(|_| ok("x")).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    let speak = async {
        let (mut tcp, _) = plain.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad\r\n\r\n").await.unwrap();
        tcp
    };
    let url = Url::parse(&format!("https://app.example:{port}/")).unwrap();
    let client = client();
    let (got, _tcp) = tokio::join!(got(&client, page(url)), speak);
    assert!(got.starts_with("tls: "), "{got}");
    drop(server);
}

// ---- the check before queueing

#[tokio::test]
async fn check_wants_200_and_nothing_else() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /200" => ok("anything"),
        "GET /204" => status("204 No Content"),
        "GET /302" => Reply::Say(answer("302 F", "Location: /200\r\n", "")),
        "GET /404" => status("404 Not Found"),
        "GET /500" => status("500 Oops"),
        "GET /reset" => Reply::Reset,
        other => panic!("{other}"),
    })
    .await;
    let client = client();
    assert_eq!(client.check(server.url("/200").as_str()).await, Ok(()));
    for path in ["/204", "/302", "/404", "/500", "/reset"] {
        let checked = client.check(server.url(path).as_str()).await;
        assert_eq!(checked, Err(CheckError::Unreachable), "{path}");
    }
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    assert_eq!(client.check(&format!("http://{gone}/")).await, Err(CheckError::Unreachable));
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_url_but_not_where_its_name_leads() {
    let client = client_with(HttpPolicy::default(), |_| vec![LOOPBACK]);
    let said = |url: &'static str| {
        let client = client.clone();
        async move { client.check(url).await.unwrap_err().to_string() }
    };
    assert_eq!(
        said("app.example/start").await,
        "it is refused: it is no URL: relative URL without a base"
    );
    assert_eq!(
        said("ftp://app.example/").await,
        "it is refused: its scheme is neither http nor https"
    );
    assert_eq!(
        said("http://127.0.0.1/").await,
        "it is refused: its host is in a private, local or reserved network"
    );
    assert_eq!(said("http://private.example/").await, "it did not answer 200 to a GET");
}

#[tokio::test]
async fn one_url_is_asked_once_however_many_calls_name_it() {
    let server = Server::start(|_| ok("x")).await;
    let client = client();
    let url = server.url("/start");
    let mut checks = JoinSet::new();
    for number in 0..100 {
        let (client, url) = (client.clone(), format!("{url}#{number}"));
        checks.spawn(async move { client.check(&url).await });
    }
    assert!(checks.join_all().await.into_iter().all(|checked| checked.is_ok()));
    assert_eq!(client.check(url.as_str()).await, Ok(()));
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn check_takes_up_where_another_gave_up() {
    let first = Mutex::new(true);
    let server = Server::start(move |_| {
        let first = std::mem::take(&mut *first.lock().unwrap());
        if first { Reply::SayAndHang(String::new()) } else { ok("x") }
    })
    .await;
    let client = client();
    let url = server.url("/");
    let asked = server.heard_requests(1);
    tokio::select! {
        _ = client.check(url.as_str()) => panic!("it hangs"),
        () = asked => {}
    }
    assert_eq!(client.check(url.as_str()).await, Ok(()));
}

#[tokio::test]
async fn check_of_an_endless_page_reads_little_and_succeeds() {
    let server =
        Server::start(|_| Reply::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned(), vec![b'x'; 4_096]))
            .await;
    assert_eq!(client().check(server.url("/").as_str()).await, Ok(()));
}

#[tokio::test]
async fn check_of_a_silent_server_ends_in_time() {
    let server = Server::start(|_| Reply::SayAndHang(String::new())).await;
    let client = client();
    let url = server.url("/");
    let fly = async {
        server.heard_requests(1).await;
        tokio::time::pause();
    };
    let (checked, ()) = tokio::join!(client.check(url.as_str()), fly);
    assert_eq!(checked, Err(CheckError::Unreachable));
}

#[tokio::test]
async fn check_ends_at_200_though_the_body_hangs() {
    let server = Server::start(|_| {
        Reply::SayAndHang("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun".to_owned())
    })
    .await;
    let client = client();
    let url = server.url("/");
    let fly = async {
        server.heard_requests(1).await;
        tokio::time::pause();
    };
    let (checked, ()) = tokio::join!(client.check(url.as_str()), fly);
    assert_eq!(checked, Ok(()));
}

#[tokio::test]
async fn host_that_is_checked_too_often_is_left_in_peace() {
    let server = Server::start(|_| ok("x")).await;
    let client = client();
    let mut checks = JoinSet::new();
    for number in 0..300 {
        let (client, url) = (client.clone(), server.url(&format!("/{number}")));
        checks.spawn(async move { client.check(url.as_str()).await });
    }
    // Its first requests come at once, some wait their turn, the rest is told to come again.
    let (mut busy, mut flying) = (0, false);
    while let Some(checked) = checks.join_next().await {
        match checked.unwrap() {
            Ok(()) if flying => {}
            Ok(()) => {
                tokio::time::pause();
                flying = true;
            }
            Err(CheckError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((server.heard().len(), busy), (200, 100));
}
