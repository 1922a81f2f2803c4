//! Limits, places of faults, and what holds for every message; verdicts are in `tests/torture`.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::sip::value::NameAddr;

const CORE: &str = "Via: SIP/2.0/UDP h.example.com;branch=z9hG4bK1\r\n\
    From: <sip:a@h.example.com>;tag=1\r\n\
    To: <sip:b@h.example.com>\r\n\
    Call-ID: c1\r\n\
    CSeq: 1 OPTIONS\r\n";

fn options(headers: &str, body: &str) -> String {
    format!("OPTIONS sip:b@h.example.com SIP/2.0\r\n{CORE}{headers}\r\n{body}")
}

fn fault(text: &str) -> Fault {
    parse_datagram(text.as_bytes()).unwrap_err().fault
}

fn request(text: &str) -> Request {
    match parse_datagram(text.as_bytes()).unwrap() {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?} is a response"),
    }
}

#[test]
fn message_is_split_into_what_it_says() {
    let request = request(&options("X-Own :  a\r\n\t b \r\nc: text/plain\r\nl: 2\r\n", "hello"));
    assert_eq!((request.method, request.uri.as_str()), (Method::Options, "sip:b@h.example.com"));
    assert_eq!(request.body, "he");
    assert_eq!(request.headers.get_other("x-own"), Some("a b"));
    assert_eq!(request.headers.get(Name::ContentType), Some("text/plain"));
    assert!(!request.headers.has(Name::ContentLength));
}

#[test]
fn limits_are_kept_to_the_octet() {
    let headers = |count| "X: 1\r\n".repeat(count);
    let fits = HEADERS_MAX - 5;
    assert_eq!(request(&options(&headers(fits), "")).headers.len(), HEADERS_MAX);
    assert_eq!(fault(&options(&headers(fits + 1), "")), Fault::HeadersTooMany);
    // Content-Length counts although it is not kept.
    assert_eq!(fault(&options(&(headers(fits) + "l: 0\r\n"), "")), Fault::HeadersTooMany);

    let folds = |count| format!("X: 1{}\r\n", "\r\n 2".repeat(count));
    assert_eq!(request(&options(&folds(FOLDS_MAX), "")).headers.len(), 6);
    assert_eq!(fault(&options(&folds(FOLDS_MAX + 1), "")), Fault::FoldsTooMany);
    assert_eq!(fault(&options(&folds(FOLDS_MAX / 2 + 1).repeat(2), "")), Fault::FoldsTooMany);

    let line = |length| format!("X: {}\r\n", "y".repeat(length - 3));
    assert_eq!(request(&options(&line(LINE_BYTES_MAX - 2), "")).headers.len(), 6);
    assert_eq!(fault(&options(&line(LINE_BYTES_MAX + 1), "")), Fault::LineTooLong);
    let folded = format!("X: {}\r\n {}\r\n", "y".repeat(5_000), "y".repeat(5_000));
    assert_eq!(fault(&options(&folded, "")), Fault::LineTooLong);

    let head = options("", "").len();
    let longest = options("", &"b".repeat(MESSAGE_BYTES_MAX - head));
    assert_eq!(request(&longest).body.len(), MESSAGE_BYTES_MAX - head);
    let octets = MESSAGE_BYTES_MAX + 1;
    assert_eq!(fault(&(longest + "b")), Fault::MessageTooLong { octets });
}

#[test]
fn error_says_line_and_octet_of_its_fault() {
    let text = options("Contact: <sip:x@y>;;\r\n", "");
    let error = parse_datagram(text.as_bytes()).unwrap_err();
    assert_eq!((error.line, error.offset), (7, text.find(";;").unwrap() + 1));
    assert_eq!(
        error.to_string(),
        format!(
            "line 7, octet {}: Contact is malformed, expected a parameter's name after the \
             semicolon",
            error.offset
        )
    );
    let error = parse_datagram(format!("\r\n\r\n{text}").as_bytes()).unwrap_err();
    assert_eq!(error.offset, text.find(";;").unwrap() + 5);
}

#[test]
fn answer_to_a_broken_request_gives_its_own_words_back() {
    let text = options("Content-Length: x\r\n", "");
    let reply = parse_datagram(text.as_bytes()).unwrap_err().reply().cloned().unwrap();
    assert_eq!(
        (reply.status, reply.reason.as_str()),
        (400, "Bad Request - Content-Length is malformed, expected octets as digits")
    );
    assert_eq!(reply.headers.get(Name::Via), Some("SIP/2.0/UDP h.example.com;branch=z9hG4bK1"));
    assert_eq!(reply.headers.get(Name::CSeq), Some("1 OPTIONS"));
    let tag = reply.headers.to().unwrap().tag().unwrap().to_owned();
    assert_eq!(tag.len(), 16);
    // A repeated request gets the same tag.
    let again = parse_datagram(text.as_bytes()).unwrap_err();
    assert_eq!(again.reply().unwrap().headers.to().unwrap().tag(), Some(tag.as_str()));
}

#[test]
fn answer_keeps_a_tag_and_a_broken_to_as_they_are() {
    let text = options("", "").replace("To: <sip:b@h.example.com>", "To: \"b <sip:b@h>");
    let reply = parse_datagram(text.as_bytes()).unwrap_err().reply().cloned().unwrap();
    assert_eq!(reply.headers.get(Name::To), Some("\"b <sip:b@h>"));
    let text = options("l: x\r\n", "").replace("b@h.example.com>\r\n", "b@h>;tag=q\r\n");
    let reply = parse_datagram(text.as_bytes()).unwrap_err().reply().cloned().unwrap();
    assert_eq!(reply.headers.to().unwrap().tag(), Some("q"));
}

#[test]
fn latin_1_in_one_line_does_not_touch_the_others() {
    let mut octets = options("", "").into_bytes();
    let at = octets.len() - 2;
    octets.splice(at..at, b"Server: K\xf6ln\r\nSubject: \xc3\xb6\r\n".iter().copied());
    let message = parse_datagram(&octets).unwrap();
    assert_eq!(message.headers().get(Name::Server), Some("Köln"));
    assert_eq!(message.headers().get(Name::Subject), Some("ö"));
}

#[test]
fn keep_alives_are_told_from_messages() {
    assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(b"") && is_keep_alive(b"\0\0\0\0"));
    assert!(!is_keep_alive(b"\r\nSIP"));
}

/// A message that is right, of parts that a generator chose.
fn any_message() -> impl Strategy<Value = String> {
    let start = prop_oneof![
        "[A-Z]{3,8} (sip|sips):[a-z0-9;=]{1,8}@[a-z]{1,9}\\.example(:[1-9][0-9]{1,3})? SIP/2\\.0",
        "SIP/2\\.0 [1-6][0-9]{2} [\\PC&&[^\r\n]]{0,20}",
    ];
    let display = prop_oneof![Just(String::new()), "\"[a-zéж ,;<>@]{0,12}\" ", "[a-z.]{1,8} "];
    let extra = proptest::collection::vec(
        prop_oneof![
            "Subject ?: ?[\\PC&&[^\r\n]]{0,20}",
            "X-[A-Za-z%!]{1,6}:[ \t]*[\\PC&&[^\r\n]]{0,20}",
            "(Contact|m): <sip:[a-z]{1,5}@192\\.0\\.2\\.[1-9](;lr)?>(;q=0\\.[1-9])?",
            "v:SIP / 2\\.0/TCP [a-z]{1,5};branch=[a-z0-9]{1,9}",
            "(k|Supported): timer,\r\n 100rel",
        ],
        0..5,
    );
    (start, display, "[a-z0-9]{1,9}", extra, "\\PC{0,30}").prop_map(
        |(start, display, tag, extra, body)| {
            let method = start.split(' ').next().unwrap();
            let method = if method == "SIP/2.0" { "INVITE" } else { method };
            let mut text = format!(
                "{start}\r\nv: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK{tag}\r\n\
                 f: {display}<sip:a@h>;tag={tag}\r\nt: sip:b@h;x=y\r\ni: {tag}@h\r\n\
                 CSeq: 7 {method}\r\n"
            );
            for line in extra {
                write!(text, "{line}\r\n").unwrap();
            }
            write!(text, "l: {}\r\n\r\n{body}", body.len()).unwrap();
            text
        },
    )
}

/// Asks a message everything it can be asked.
fn ask_everything(message: &Message) {
    let headers = message.headers();
    let addresses: [Result<Vec<NameAddr>, _>; 3] =
        [headers.contacts(), headers.record_routes(), headers.routes()];
    for address in addresses.into_iter().flatten().flatten() {
        assert!(address.uri.same_as(&address.uri));
        let _ = (address.uri.user_octets(), address.uri.for_request_line(), address.to_string());
    }
    let _ = (headers.vias(), headers.from(), headers.to(), headers.call_id(), headers.cseq());
    let _ = (headers.max_forwards(), headers.expires(), headers.min_expires());
    let _ = (headers.session_expires(), headers.min_se(), headers.retry_after());
    let _ = (headers.supported().count(), headers.require().count(), headers.allow().count());
    let _ = (headers.www_authenticate(), headers.proxy_authenticate(), headers.reasons());
    let _ = (headers.q850_cause(), headers.content_type(), headers.rseq(), headers.rack());
    let mut stamped = headers.clone();
    stamped.stamp_via("[2001:db8::1]:5070".parse().unwrap()).unwrap();
    assert!(stamped.vias().is_ok());
}

proptest! {
    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_datagram(&octets);
    }

    #[test]
    fn message_that_is_right_is_read_and_reads_the_same_once_written(text in any_message()) {
        let message = parse_datagram(text.as_bytes()).unwrap();
        ask_everything(&message);
        prop_assert_eq!(parse_datagram(&message.to_bytes()).unwrap(), message);
    }

    #[test]
    fn message_with_a_few_octets_changed_never_panics_and_reads_the_same_once_written(
        text in any_message(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut octets = text.into_bytes();
        for (index, octet) in changes {
            let at = index.index(octets.len());
            octets[at] = octet;
        }
        match parse_datagram(&octets) {
            Ok(message) => {
                ask_everything(&message);
                prop_assert_eq!(parse_datagram(&message.to_bytes()).unwrap(), message);
            }
            Err(error) => {
                let _ = (error.to_string(), error.reply().map(Response::to_bytes));
            }
        }
    }
}
