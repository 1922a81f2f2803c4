//! What may not be reached: private addresses in every disguise.

use super::*;

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
