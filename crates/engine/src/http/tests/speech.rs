//! Who does not speak HTTP as it should.

use super::*;

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
