//! The check of a URL before calls are queued.

use super::*;

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
