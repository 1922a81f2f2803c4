//! How long a request may take, and how many wait for one host.

use super::*;

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
