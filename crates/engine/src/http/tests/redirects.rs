//! Redirects: how many, whither, and what goes along.

use super::*;

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
