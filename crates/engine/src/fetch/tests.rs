//! Fetches of scripts against real servers on loopback: forms, text, cookies, the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use script::step::{FetchId, Part};

use crate::files::AudioWish;

use super::*;
use crate::http::HttpPolicy;
use crate::http::test_server::{Heard, Reply, Server, answer, ok, status};

fn fetcher() -> Fetcher {
    let policy = HttpPolicy::default().with_loopback();
    let clock = Clock::new();
    Fetcher::new(HttpClient::new(policy, clock.clone()).unwrap(), clock, 1_000_000)
}

fn get(url: Url) -> Fetch {
    Fetch {
        fetch: FetchId(1),
        url,
        method: Method::Get,
        timeout: None,
        maxage_s: None,
        maxstale_s: None,
    }
}

async fn text(fetcher: &Fetcher, fetch: &Fetch) -> Result<String, FetchError> {
    fetcher.page(fetch, &CookieJar::default()).await.map(|page| page.text)
}

/// A server whose every answer has these headers and the number of the request as its body.
async fn counting(headers: &'static str) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst).to_string();
        Reply::Say(answer("200 OK", headers, &number))
    })
    .await
}

#[tokio::test]
async fn page_comes_decoded_with_its_type_and_the_address_it_came_from() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /start" => Reply::Say(answer("302 Found", "Location: /app/index.vxml\r\n", "")),
        _ => Reply::Say(answer(
            "200 OK",
            "Content-Type: Application/VoiceXML+XML; charset=\"iso-8859-1\"\r\n",
            "<vxml/>",
        )),
    })
    .await;
    let page = fetcher().page(&get(server.url("/start")), &CookieJar::default()).await.unwrap();
    assert_eq!(page.url, server.url("/app/index.vxml"));
    assert_eq!(page.content_type, "application/voicexml+xml");
    assert_eq!(page.text, "<vxml/>");
}

#[tokio::test]
async fn fields_are_posted_in_either_form() {
    let server = Server::start(|_| ok("<vxml/>")).await;
    let fields = vec![("key".to_owned(), "1 & 2".to_owned())];
    let plain = Fetch { method: Method::Post(fields.clone()), ..get(server.url("/")) };
    let fields = fields.into_iter().map(|(name, value)| (name, Part::Text(value))).collect();
    let parts = Fetch { method: Method::PostMultipart(fields), ..get(server.url("/")) };
    let fetcher = fetcher();
    text(&fetcher, &plain).await.unwrap();
    text(&fetcher, &parts).await.unwrap();
    let heard = server.heard();
    assert_eq!((heard[0].asked(), heard[0].body.as_str()), ("POST /", "key=1+%26+2"));
    assert!(heard[1].header("content-type").starts_with("multipart/form-data; boundary="));
    assert!(heard[1].body.contains("name=\"key\"\r\n\r\n1 & 2\r\n"), "{}", heard[1].body);
}

#[tokio::test]
async fn what_is_no_page_is_an_error_that_says_what_it_is() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /404" => status("404 Not Found"),
        "GET /500" => status("500 Oops"),
        "GET /304" => status("304 Not Modified"),
        "GET /image" => Reply::Say(answer("200 OK", "Content-Type: image/png\r\n", "PNG")),
        "GET /bytes" => {
            Reply::Say(answer("200 OK", "Content-Type: text/xml; charset=x-none\r\n", "<vxml/>"))
        }
        "GET /large" => ok(&"x".repeat(1_000_001)),
        "GET /reset" => Reply::Reset,
        other => panic!("{other}"),
    })
    .await;
    let fetcher = fetcher();
    let expected = [
        ("/404", FetchError::Status(404)),
        ("/500", FetchError::Status(500)),
        ("/304", FetchError::Status(304)),
        (
            "/image",
            FetchError::Failed("server sent image/png where a page was expected".to_owned()),
        ),
        (
            "/bytes",
            FetchError::Failed("page says its encoding is \"x-none\", which is not known".into()),
        ),
        ("/large", FetchError::TooLarge(1_000_000)),
    ];
    for (path, error) in expected {
        assert_eq!(text(&fetcher, &get(server.url(path))).await, Err(error), "{path}");
    }
    let reset = text(&fetcher, &get(server.url("/reset"))).await.unwrap_err();
    assert!(matches!(&reset, FetchError::Failed(reason) if reason.contains("broke")), "{reset}");
    let private = text(&fetcher, &get(Url::parse("http://10.0.0.1/").unwrap())).await;
    assert_eq!(
        private.unwrap_err().to_string(),
        "address is refused: its host is in a private, local or reserved network"
    );
}

#[tokio::test]
async fn time_that_the_script_grants_is_kept() {
    let server = Server::start(|_| Reply::SayAndHang(String::new())).await;
    let fetch = Fetch { timeout: Some(Duration::from_secs(60)), ..get(server.url("/")) };
    let fetcher = fetcher();
    let fly = async {
        server.heard_requests(1).await;
        tokio::time::pause();
        tokio::time::Instant::now()
    };
    let (fetched, began) = tokio::join!(text(&fetcher, &fetch), fly);
    assert_eq!(fetched, Err(FetchError::Timeout));
    let took = tokio::time::Instant::now() - began;
    assert!((59..61).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn cookies_belong_to_one_call() {
    let server = Server::start(|heard| {
        let cookie = heard.header("cookie").to_owned();
        Reply::Say(answer("200 OK", "Set-Cookie: call=1; Path=/\r\n", &cookie))
    })
    .await;
    let fetcher = fetcher();
    let (first, second) = (CookieJar::default(), CookieJar::default());
    let page = |path, jar: &CookieJar| {
        let (fetcher, fetch, jar) = (fetcher.clone(), get(server.url(path)), jar.clone());
        async move { fetcher.page(&fetch, &jar).await.unwrap().text }
    };
    assert_eq!(page("/a", &first).await, "");
    assert_eq!(page("/a", &first).await, "call=1");
    assert_eq!(page("/a", &second).await, "");
}

#[tokio::test]
async fn fresh_page_is_not_asked_for_again() {
    let server = counting("Cache-Control: max-age=600\r\n").await;
    let fetcher = fetcher();
    for _ in 0..3 {
        assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "0");
    }
    assert_eq!(text(&fetcher, &get(server.url("/?other"))).await.unwrap(), "1");
}

#[tokio::test]
async fn page_that_says_nothing_is_asked_for_each_time() {
    let server = counting("").await;
    let fetcher = fetcher();
    for number in ["0", "1", "2"] {
        assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), number);
    }
}

#[tokio::test]
async fn script_that_wants_it_fresh_gets_it_fresh() {
    let server = counting("Cache-Control: max-age=600\r\nAge: 10\r\n").await;
    let fetcher = fetcher();
    let fetch = |maxage_s| Fetch { maxage_s, ..get(server.url("/")) };
    assert_eq!(text(&fetcher, &fetch(None)).await.unwrap(), "0");
    assert_eq!(text(&fetcher, &fetch(Some(60))).await.unwrap(), "0");
    assert_eq!(text(&fetcher, &fetch(Some(0))).await.unwrap(), "1");
    assert_eq!(server.heard()[1].header("cache-control"), "max-age=0");
    assert_eq!(text(&fetcher, &fetch(None)).await.unwrap(), "1");
}

#[tokio::test]
async fn script_that_takes_it_stale_is_served_without_asking() {
    let server = counting("Cache-Control: max-age=5\r\nAge: 10\r\n").await;
    let fetcher = fetcher();
    let fetch = |maxstale_s| Fetch { maxstale_s, ..get(server.url("/")) };
    assert_eq!(text(&fetcher, &fetch(None)).await.unwrap(), "0");
    assert_eq!(text(&fetcher, &fetch(Some(60))).await.unwrap(), "0");
    assert_eq!(text(&fetcher, &fetch(Some(1))).await.unwrap(), "1");
    assert_eq!(server.heard()[1].header("cache-control"), "max-stale=1");
}

#[tokio::test]
async fn page_that_has_not_changed_is_not_sent_again() {
    let server = Server::start(|heard| {
        if heard.header("if-none-match") == "\"v1\""
            && heard.header("if-modified-since") == "Sun, 06 Nov 1994 08:49:37 GMT"
        {
            return Reply::Say("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n".to_owned());
        }
        let headers = "ETag: \"v1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        Reply::Say(answer("200 OK", headers, "body"))
    })
    .await;
    let fetcher = fetcher();
    for _ in 0..3 {
        assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "body");
    }
    assert_eq!(server.heard()[0].header("if-none-match"), "");
    assert_eq!(server.heard()[2].header("if-none-match"), "\"v1\"");
}

#[tokio::test]
async fn answer_for_one_call_is_not_given_to_another() {
    let headers = [
        "Cache-Control: private, max-age=600\r\n",
        "Cache-Control: max-age=600\r\nSet-Cookie: a=b\r\n",
        "Cache-Control: max-age=600\r\nVary: Cookie\r\n",
        "Cache-Control: no-store, max-age=600\r\n",
    ];
    for headers in headers {
        let server = counting(headers).await;
        let fetcher = fetcher();
        assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "0");
        assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "1", "{headers}");
    }
}

#[tokio::test]
async fn post_is_never_kept_and_what_it_may_have_changed_is_forgotten() {
    let server = counting("Cache-Control: max-age=600\r\n").await;
    let fetcher = fetcher();
    let post = Fetch { method: Method::Post(Vec::new()), ..get(server.url("/")) };
    assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "0");
    assert_eq!(text(&fetcher, &post).await.unwrap(), "1");
    assert_eq!(text(&fetcher, &post).await.unwrap(), "2");
    assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "3");
}

#[tokio::test]
async fn answer_with_an_endless_age_does_no_harm() {
    let server = counting("Cache-Control: max-age=600\r\nAge: 18446744073709551615\r\n").await;
    let fetcher = fetcher();
    assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "0");
    assert_eq!(text(&fetcher, &get(server.url("/"))).await.unwrap(), "1");
}

/// A server that answers with this document, the number of the request in place of `@`.
async fn numbering(headers: &'static str, document: &'static str) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst).to_string();
        Reply::Say(answer("200 OK", headers, &document.replace('@', &number)))
    })
    .await
}

#[tokio::test]
async fn document_that_says_how_long_it_holds_is_asked_for_again_after_that() {
    let documents = [
        "<vxml version='2.1'><meta http-equiv='Cache-Control' content='max-age=60'/>\
         <form id='f@'/></vxml>",
        "<grammar version='1.0' root='r' xmlns='http://www.w3.org/2001/06/grammar'>\
         <meta http-equiv='cache-control' content='max-age=60'/><rule id='r'>@</rule></grammar>",
        "#ABNF 1.0;\nmode dtmf; root $r; http-equiv 'Cache-Control' is 'max-age=60';\n$r = @;\n",
    ];
    for document in documents {
        let server = numbering("Date: Sun, 06 Nov 2044 08:49:37 GMT\r\n", document).await;
        let clock = Clock::new();
        let policy = HttpPolicy::default().with_loopback();
        let http = HttpClient::new(policy, clock.clone()).unwrap();
        let fetcher = Fetcher::new(http, clock.clone(), 1_000_000);
        let mut asked = Vec::new();
        for wait_s in [0, 50, 20, 50, 20] {
            clock.forward(Duration::from_secs(wait_s));
            text(&fetcher, &get(server.url("/"))).await.unwrap();
            asked.push(server.heard().len());
        }
        assert_eq!(asked, [1, 1, 2, 2, 3], "{document}");
    }
}

#[tokio::test]
async fn server_has_the_last_word_on_how_long_a_document_holds() {
    let document = "<vxml version='2.1'><meta http-equiv='Cache-Control' content='max-age=60'/>\
                    <meta http-equiv='Expires' content='0'/><form id='f@'/></vxml>";
    for (headers, asked) in [
        ("", 1),
        ("Cache-Control: no-store\r\n", 2),
        ("Cache-Control: no-cache\r\nETag: \"a\"\r\n", 2),
        ("Expires: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 1),
        ("Set-Cookie: a=b\r\n", 2),
    ] {
        let server = numbering(headers, document).await;
        let fetcher = fetcher();
        for _ in 0..2 {
            text(&fetcher, &get(server.url("/"))).await.unwrap();
        }
        assert_eq!(server.heard().len(), asked, "{headers}");
    }
}

#[tokio::test]
async fn document_may_forbid_what_its_server_allows_by_another_header() {
    let document = "<vxml version='2.1'><meta http-equiv='Cache-Control' content='no-cache'/>\
                    <form id='f@'/></vxml>";
    let server = numbering("Expires: Sun, 06 Nov 2044 08:49:37 GMT\r\n", document).await;
    let wide = {
        let text = document.encode_utf16().flat_map(u16::to_le_bytes);
        [b"\xff\xfe".to_vec(), text.collect()].concat()
    };
    assert!(may_speak_for_itself(&wide));
    let fetcher = fetcher();
    for number in ["f0", "f1", "f2"] {
        assert!(text(&fetcher, &get(server.url("/"))).await.unwrap().contains(number));
    }
}

/// Holds back every answer until the test lets it go.
async fn gated(headers: &'static str) -> (Server, Arc<Notify>) {
    let gate = Arc::new(Notify::new());
    let held = gate.clone();
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_: &Heard| {
        let number = count.fetch_add(1, Ordering::SeqCst).to_string();
        Reply::SayWhen(held.clone(), answer("200 OK", headers, &number))
    })
    .await;
    (server, gate)
}

fn hundred(fetcher: &Fetcher, url: &Url) -> JoinSet<Result<String, FetchError>> {
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (fetcher, fetch) = (fetcher.clone(), get(url.clone()));
        calls.spawn(async move { text(&fetcher, &fetch).await });
    }
    calls
}

#[tokio::test]
async fn hundred_calls_for_a_page_that_may_be_shared_ask_once() {
    let (server, gate) = gated("Cache-Control: max-age=600\r\n").await;
    let fetcher = fetcher();
    let calls = hundred(&fetcher, &server.url("/"));
    server.heard_requests(1).await;
    gate.notify_one();
    let pages = calls.join_all().await;
    assert!(pages.iter().all(|page| page.as_deref() == Ok("0")), "{pages:?}");
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn hundred_calls_for_pages_of_their_own_wait_for_one_answer_at_most() {
    let (server, gate) = gated("").await;
    let fetcher = fetcher();
    let calls = hundred(&fetcher, &server.url("/"));
    server.heard_requests(1).await;
    assert_eq!(server.heard().len(), 1);
    gate.notify_one();
    // All others are on their way at once, none behind another.
    server.heard_requests(100).await;
    gate.notify_waiters();
    let pages = calls.join_all().await;
    assert!(pages.iter().all(Result::is_ok), "{pages:?}");
    assert_eq!(server.heard().len(), 100);
}

#[tokio::test]
async fn those_who_wait_for_a_failure_do_not_fail_one_after_another() {
    let server = Server::start(|_| Reply::SayAndHang(String::new())).await;
    let fetcher = fetcher();
    let fetch = Fetch { timeout: Some(Duration::from_secs(4)), ..get(server.url("/")) };
    let began = tokio::time::Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let (fetcher, fetch) = (fetcher.clone(), fetch.clone());
        calls.spawn(async move { text(&fetcher, &fetch).await });
    }
    server.heard_requests(1).await;
    tokio::time::pause();
    let pages = calls.join_all().await;
    assert!(pages.iter().all(|page| *page == Err(FetchError::Timeout)), "{pages:?}");
    let took = tokio::time::Instant::now() - began;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn recording_comes_as_bytes_with_its_type_and_is_kept() {
    let server = Server::start(|heard| match heard.asked() {
        "GET /hello.wav" => Reply::Say(answer(
            "200 OK",
            "Content-Type: audio/wav; x=y\r\nCache-Control: max-age=600\r\n",
            "RIFF",
        )),
        "GET /gone.wav" => status("404 Not Found"),
        _ => Reply::Say(answer("200 OK", "Content-Type: text/html\r\n", "<p>sorry</p>")),
    })
    .await;
    let fetcher = fetcher();
    let audio = |path| {
        let (fetcher, url) = (fetcher.clone(), server.url(path));
        let wish = AudioWish { url, timeout: None, maxage_s: None, maxstale_s: None };
        async move { fetcher.audio(&wish, &CookieJar::default()).await }
    };
    for _ in 0..2 {
        let file = audio("/hello.wav").await.unwrap();
        assert_eq!((file.content_type.as_str(), &file.bytes[..]), ("audio/wav; x=y", &b"RIFF"[..]));
    }
    assert_eq!(server.heard().len(), 1);
    assert!(server.heard()[0].header("accept").starts_with("audio/*"));
    assert_eq!(audio("/gone.wav").await, Err(FetchError::Status(404)));
    let html = audio("/page").await.unwrap_err();
    assert_eq!(html.to_string(), "server sent text/html where a recording was expected");
}
