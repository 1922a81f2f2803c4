//! What the headers of a message say once they are asked.

use super::*;
use crate::sip::value::{Refresher, Transport};

fn headers(lines: &[(Name, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, value);
    }
    headers
}

fn one(name: Name, value: &str) -> Headers {
    headers(&[(name, value)])
}

/// Every value that is refused, with the octet that its error names.
fn refusals<T>(
    name: Name,
    values: &[&str],
    read: impl Fn(&Headers) -> Result<T, HeaderError>,
) -> Vec<usize> {
    let place = |value: &&str| match read(&one(name, value)) {
        Err(HeaderError::Malformed { cause, .. }) => cause.at,
        Err(error) => panic!("{value}: {error}"),
        Ok(_) => panic!("{value} was read"),
    };
    values.iter().map(place).collect()
}

#[test]
fn via_is_read_through_any_space() {
    let text = "SIP  / 2.0  / TCP     spindle.example.com   :  5070 ;  branch  =   z9hG4bK9ikj8  ,\
                SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;rport=7;branch=1";
    let vias = one(Name::Via, text).vias().unwrap();
    assert_eq!(vias[0].transport, Transport::Tcp);
    assert_eq!(
        (vias[0].host.to_string().as_str(), vias[0].port),
        ("spindle.example.com", Some(5070))
    );
    assert_eq!(vias[0].branch(), Some("z9hG4bK9ikj8"));
    assert!(vias[0].has_unique_branch());
    assert_eq!(vias[1].received(), Some("2001:db8::9:255".parse().unwrap()));
    assert_eq!(vias[1].rport(), Some(Some(7)));
    assert!(!vias[1].has_unique_branch());
    assert_eq!(vias[1].to_string(), text.split_once(',').unwrap().1);
}

#[test]
fn received_is_read_with_and_without_brackets() {
    for text in ["2001:db8::1", "[2001:db8::1]"] {
        let via = format!("SIP/2.0/UDP h;received={text};rport");
        let via = one(Name::Via, &via).via_top().unwrap();
        assert_eq!(via.received(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(via.rport(), Some(None));
    }
}

#[test]
fn bare_cookie_is_no_unique_branch() {
    let via = one(Name::Via, "SIP/2.0/UDP h;branch=z9hG4bK").via_top().unwrap();
    assert!(!via.has_unique_branch());
}

#[test]
fn broken_vias_are_refused_where_they_break() {
    let texts = [
        "192.0.2.15",
        "SIP/2.0/UDP",
        "SIP/7.0/UDP h",
        "SIP/2.0/UDP 192.0.2.15;;,;,,",
        "SIP/2.0/UDP h:70000",
        "SIP/2.0/UDP [2001:db8:::1]",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h x",
        "SIP/2.0/UDP h,",
    ];
    let at = refusals(Name::Via, &texts, Headers::vias);
    assert_eq!(at, [10, 11, 0, 23, 14, 13, 21, 14, 14]);
}

#[test]
fn address_is_read_in_all_its_forms() {
    let forms = [
        ("sip:a@h;tag=1", None, "sip:a@h", ";tag=1"),
        ("<sip:a@h;lr>;tag=1", None, "sip:a@h;lr", ";tag=1"),
        ("caller<sip:a@h>", Some("caller"), "sip:a@h", ""),
        ("A. Bell  Jr <sip:a@h>", Some("A. Bell  Jr"), "sip:a@h", ""),
        ("\"J \\\"R\\\\\" <sip:a@h> ; x = \"y\"", Some("J \"R\\"), "sip:a@h", "; x = \"y\""),
        ("\"\"<sip:a@h>", Some(""), "sip:a@h", ""),
        ("isbn:2983792873", None, "isbn:2983792873", ""),
    ];
    for (text, display, uri, params) in forms {
        let address = one(Name::From, text).from().unwrap();
        assert_eq!(address.display.as_deref(), display, "{text}");
        assert_eq!((address.uri.as_str(), address.params.to_string().as_str()), (uri, params));
    }
}

#[test]
fn broken_addresses_are_refused_where_they_break() {
    let texts = [
        "",
        "\"Mr. J. User <sip:j.user@example.com>",
        "Bell, Alexander <sip:a@h>",
        "< sip:a@h >",
        "<sip:a@h",
        "\"A\" sip:a@h",
        "sip:a@h?Route=x",
        "<sip:a@h>;;;;",
        "<sip:a@h>, <sip:b@h>",
        "alice@h",
    ];
    assert_eq!(refusals(Name::To, &texts, Headers::to), [0, 37, 0, 1, 1, 4, 7, 10, 9, 0]);
}

#[test]
fn address_written_is_read_as_it_was() {
    let mut address = NameAddr::new("sip:a@h".parse().unwrap()).with_tag("t");
    address.display = Some("\"Quoted\" \\ name\0".into());
    let read = one(Name::From, &address.to_string()).from().unwrap();
    assert_eq!(read, address);
    assert_eq!(read.tag(), Some("t"));
}

#[test]
fn header_that_may_stand_once_is_refused_twice() {
    let twice = headers(&[
        (Name::To, "<sip:a@h>"),
        (Name::To, "<sip:b@h>"),
        (Name::CallId, "1"),
        (Name::CallId, "1"),
    ]);
    assert_eq!(twice.to(), Err(HeaderError::Repeated(Name::To)));
    assert_eq!(twice.call_id(), Err(HeaderError::Repeated(Name::CallId)));
    assert_eq!(twice.cseq(), Err(HeaderError::Missing(Name::CSeq)));
}

#[test]
fn cseq_is_a_number_of_32_bits_and_a_method() {
    assert_eq!(one(Name::CSeq, "0009   INVITE").cseq(), Ok((9, Method::Invite)));
    assert_eq!(one(Name::CSeq, "4294967295 X").cseq().unwrap().0, u32::MAX);
    let texts = ["", "INVITE", "1INVITE", "4294967296 INVITE", "-1 INVITE", "1 ", "1 INVITE x"];
    assert_eq!(refusals(Name::CSeq, &texts, Headers::cseq), [0, 0, 1, 0, 0, 1, 9]);
}

#[test]
fn call_id_is_one_word() {
    let call_id = "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{";
    assert_eq!(one(Name::CallId, call_id).call_id(), Ok(call_id));
    assert_eq!(
        refusals(Name::CallId, &["", "a b", "é", "a,b"], |headers| {
            headers.call_id().map(str::to_owned)
        }),
        [0, 1, 0, 1]
    );
}

#[test]
fn contacts_and_routes_come_one_by_one_from_lists_and_lines() {
    let headers = headers(&[
        (Name::Contact, "\"a,b\" <sip:a,b@h>;q=0.3, sip:c@h;expires=60"),
        (Name::Contact, "<sip:d@h?x=%2C>"),
        (Name::RecordRoute, "<sip:p1;lr>,<sip:p2;lr>"),
        (Name::Route, "<sip:p3;lr>"),
    ]);
    let uris =
        |list: Vec<NameAddr>| list.iter().map(|item| item.uri.to_string()).collect::<Vec<_>>();
    assert_eq!(headers.contacts().unwrap()[1].params.get("expires"), Some("60"));
    assert_eq!(uris(headers.record_routes().unwrap()), ["sip:p1;lr", "sip:p2;lr"]);
    assert_eq!(uris(headers.routes().unwrap()), ["sip:p3;lr"]);
    let texts = ["<sip:a@h>,", "*, <sip:a@h>", "<sip:d@h?x=,>"];
    assert_eq!(refusals(Name::Contact, &texts, Headers::contacts), [10, 0, 11]);
    assert_eq!(one(Name::Contact, "*").contacts(), Ok(Vec::new()));
}

#[test]
fn session_timer_is_read_and_written() {
    let headers = headers(&[
        (Name::SessionExpires, "1800 ; Refresher = UAS;x=1"),
        (Name::MinSe, "90;x=1"),
        (Name::Supported, "timer, 100rel,,"),
        (Name::Supported, "replaces"),
    ]);
    let timer = headers.session_expires().unwrap().unwrap();
    assert_eq!((timer.interval.as_secs(), timer.refresher), (1_800, Some(Refresher::Uas)));
    assert_eq!(timer.to_string(), "1800;refresher=uas");
    assert_eq!(headers.min_se(), Ok(Some(90)));
    assert_eq!(headers.supported().collect::<Vec<_>>(), ["timer", "100rel", "replaces"]);
    assert!(headers.supports("TIMER") && !headers.supports("path"));
    let texts = ["", "x", "90;refresher=me", "90 x"];
    assert_eq!(refusals(Name::SessionExpires, &texts, Headers::session_expires), [0, 0, 2, 3]);
}

#[test]
fn reason_gives_the_cause_of_either_network() {
    let headers = headers(&[
        (Name::Reason, "SIP ;cause=486;text=\"Busy, \\\"now\\\"\", q.850;cause=17"),
        (Name::Reason, "Preemption;cause=x"),
    ]);
    let reasons = headers.reasons().unwrap();
    let texts: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["SIP;cause=486;text=\"Busy, \\\"now\\\"\"", "q.850;cause=17", "Preemption"]);
    assert_eq!(headers.q850_cause(), Some(17));
    assert_eq!(one(Name::Reason, "Q.850;;cause=16").q850_cause(), None);
    assert_eq!(Reason::q850(16, "Normal").to_string(), "Q.850;cause=16;text=\"Normal\"");
}

#[test]
fn numbers_are_clamped_where_the_rfc_says_so() {
    let headers = headers(&[
        (Name::Expires, "99999999999999"),
        (Name::RetryAfter, "120 (in a meeting);duration=60"),
        (Name::MaxForwards, "0068"),
        (Name::RSeq, "988789"),
        (Name::RAck, "776656 1 INVITE"),
    ]);
    assert_eq!(headers.expires(), Ok(Some(u32::MAX)));
    assert_eq!(headers.retry_after(), Ok(Some(120)));
    assert_eq!(headers.max_forwards(), Ok(Some(68)));
    assert_eq!(headers.rseq(), Ok(Some(988_789)));
    assert_eq!(headers.rack().unwrap().unwrap().to_string(), "776656 1 INVITE");
    assert_eq!(headers.min_expires(), Ok(None));
    assert_eq!(refusals(Name::MaxForwards, &["-1", "7x"], Headers::max_forwards), [0, 1]);
}

#[test]
fn media_type_is_known_by_its_words() {
    let kind = one(Name::ContentType, "Application / SDP;charset=\"utf-8\"").content_type();
    let kind = kind.unwrap().unwrap();
    assert!(kind.is_sdp() && !kind.is("text", "plain"));
    assert_eq!(kind.params.text("charset").as_deref(), Some("utf-8"));
    let texts = ["", "application", "application/", "a/b/c", "a/b;c="];
    assert_eq!(refusals(Name::ContentType, &texts, Headers::content_type), [0, 11, 12, 3, 6]);
}

#[test]
fn via_is_stamped_with_where_the_request_came_from() {
    let source = "192.0.2.9:6050".parse().unwrap();
    let stamped = |via: &str| {
        let mut headers = one(Name::Via, via);
        headers.stamp_via(source).unwrap();
        headers.get(Name::Via).unwrap().to_owned()
    };
    assert_eq!(
        stamped("SIP/2.0/UDP h.example;rport;branch=1, SIP/2.0/UDP x"),
        "SIP/2.0/UDP h.example;rport=6050;branch=1;received=192.0.2.9, SIP/2.0/UDP x"
    );
    assert_eq!(stamped("SIP/2.0/UDP 192.0.2.9;branch=1"), "SIP/2.0/UDP 192.0.2.9;branch=1");
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.1;received=10.0.0.1;branch=1"),
        "SIP/2.0/UDP 192.0.2.1;received=192.0.2.9;branch=1"
    );
}

#[test]
fn headers_are_set_removed_and_put_on_top() {
    let mut headers = headers(&[(Name::Subject, "1"), (Name::Via, "v1"), (Name::Subject, "2")]);
    headers.insert_top(Name::Via, "v0");
    headers.insert_top(Name::Route, "r");
    headers.set(Name::Subject, " 3 ");
    headers.push_other(&Token::new("X-Own").unwrap(), 4);
    headers.push_other(&Token::new("k").unwrap(), "timer");
    let written: Vec<_> = headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(written, ["Route=r", "Subject=3", "Via=v0", "Via=v1", "X-Own=4", "Supported=timer"]);
    assert_eq!(headers.get_other("x-OWN"), Some("4"));
    assert_eq!((headers.remove(Name::Via), headers.len()), (2, 4));
}
