//! What a URI is made of, what none is, and when two are the same.

use std::net::IpAddr;

use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn sip_uri_is_taken_apart() {
    let uri =
        uri("sips:al%69ce;x=1:se%20cret@[2001:db8::1]:5071;Transport=tcp;lr?Subject=a%20b&X=");
    assert_eq!(uri.scheme(), Scheme::Sips);
    assert_eq!(uri.user(), Some("al%69ce;x=1"));
    assert_eq!(uri.user_octets().as_deref(), Some(&b"alice;x=1"[..]));
    assert_eq!(uri.password(), Some("se%20cret"));
    assert_eq!(uri.host().unwrap().to_string(), "[2001:db8::1]");
    assert_eq!(uri.port(), Some(5071));
    assert_eq!(uri.param("transport"), Some("tcp"));
    assert!(uri.is_loose_router());
    assert_eq!(uri.headers().collect::<Vec<_>>(), [("Subject", "a%20b"), ("X", "")]);
    assert_eq!(uri.socket_addr(), Some("[2001:db8::1]:5071".parse().unwrap()));
}

#[test]
fn user_with_escaped_nul_keeps_it() {
    assert_eq!(uri("sip:a%00b@h.example").user_octets().as_deref(), Some(&b"a\0b"[..]));
    assert!(!uri("sip:%00@h.example").same_as(&uri("sip:%00%00@h.example")));
}

#[test]
fn colons_in_brackets_belong_to_the_address() {
    let ambiguous = uri("sip:[2001:db8::10:5070]");
    assert_eq!((ambiguous.port(), ambiguous.user()), (None, None));
    assert_eq!(ambiguous.socket_addr(), Some("[2001:db8::10:5070]:5060".parse().unwrap()));
    assert_eq!(uri("sip:[2001:db8::10]:5070").port(), Some(5070));
    assert_eq!(uri("sip:[::ffff:192.0.2.1]").host().unwrap().to_string(), "[::ffff:192.0.2.1]");
}

#[test]
fn tel_uri_has_a_number_and_parameters() {
    let uri = uri("tel:+1-617-555.1234;phone-context=example.com;ext=2");
    assert_eq!((uri.scheme(), uri.user()), (Scheme::Tel, Some("+1-617-555.1234")));
    assert_eq!(uri.param("ext"), Some("2"));
    assert_eq!(uri.host(), None);
}

#[test]
fn uris_of_others_are_kept_whole() {
    for text in ["soap.beep://192.0.2.103:3002", "isbn:2983792873", "name:John_Smith", "a+b:x"] {
        assert_eq!((uri(text).scheme(), uri(text).as_str()), (Scheme::Other, text));
    }
}

#[test]
fn what_is_no_uri_is_refused_with_its_place() {
    let refused = [
        ("", 0),
        ("alice@example.com", 0),
        ("1sip:a@b", 0),
        ("sip:", 4),
        ("sip:@host", 4),
        ("sip:a@b@c", 7),
        ("sip:a b@c", 5),
        ("<sip:a@b>", 0),
        ("sip:a%4@b", 5),
        ("sip:a\"@b", 5),
        ("sip:2001:db8::10", 4),
        ("sip:[2001:db8:::192.0.2.1]", 5),
        ("sip:[2001:db8::1", 5),
        ("sip:h:", 6),
        ("sip:h:65536", 6),
        ("sip:256.0.0.1", 4),
        ("sip:a..b", 6),
        ("sip:-a.example", 4),
        ("sip:h;;lr", 6),
        ("sip:h;lr=", 6),
        ("sip:h;=x", 6),
        ("sip:hé", 5),
        ("sip:h;a=%zz", 8),
        ("sip:h?", 6),
        ("sip:h?a", 6),
        ("sip:h?=a", 6),
        ("sip:h?a=b&", 10),
        ("sip:a:b:c@h", 7),
        ("tel:+", 4),
        ("tel:12x", 4),
        ("tel:+12ab", 4),
        ("tel:12;", 7),
        ("mailto:", 7),
    ];
    for (text, at) in refused {
        let error = Uri::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
    }
    assert!(Uri::parse(&format!("sip:{}", "a".repeat(URI_BYTES_MAX))).is_err());
}

#[test]
fn parameters_and_headers_are_counted() {
    let many = |count, part: &str| part.repeat(count);
    assert!(Uri::parse(&format!("sip:h{}", many(URI_PARAMS_MAX, ";a"))).is_ok());
    assert!(Uri::parse(&format!("sip:h{}", many(URI_PARAMS_MAX + 1, ";a"))).is_err());
    assert!(Uri::parse(&format!("sip:h?a={}", many(URI_PARAMS_MAX - 1, "&a="))).is_ok());
    assert!(Uri::parse(&format!("sip:h?a={}", many(URI_PARAMS_MAX, "&a="))).is_err());
}

#[test]
fn same_addresses_are_the_same_however_they_are_written() {
    let same = [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:[2001:DB8::1]", "sip:[2001:db8:0::1]"),
        ("tel:+1-617-555", "tel:+1617555"),
        ("tel:7042;phone-context=A.com;ext=1", "tel:7042;ext=1;phone-context=a.com"),
    ];
    for (one, two) in same {
        assert!(uri(one).same_as(&uri(two)) && uri(two).same_as(&uri(one)), "{one} {two}");
    }
}

#[test]
fn different_addresses_are_different() {
    let different = [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:a%3Bb@h.example", "sip:a;b@h.example"),
        ("sip:a:1@h.example", "sip:a:2@h.example"),
        ("sip:a@h.example;security=on", "sip:a@h.example;security=off"),
        ("tel:7042;phone-context=a.com", "tel:7042"),
        ("tel:+7042", "tel:7042"),
    ];
    for (one, two) in different {
        assert!(!uri(one).same_as(&uri(two)) && !uri(two).same_as(&uri(one)), "{one} {two}");
    }
}

#[test]
fn uri_built_escapes_what_a_user_may_not_hold() {
    let host = Host::parse("example.com").unwrap();
    let built = Uri::sip(Some("a b@c:d%"), &host, Some(5070));
    assert_eq!(built.as_str(), "sip:a%20b%40c%3Ad%25@example.com:5070");
    assert_eq!(built, uri(built.as_str()));
    let host = Host::from("2001:db8::1".parse::<IpAddr>().unwrap());
    assert_eq!(Uri::sips(None, &host, None), uri("sips:[2001:db8::1]"));
}

#[test]
fn parameter_is_added_or_replaced_before_the_headers() {
    let changed = uri("sip:h;%6Cr;ob?a=b").with_param("transport", "tcp").with_param("lr", "");
    assert_eq!(changed.as_str(), "sip:h;ob;transport=tcp;lr?a=b");
}

#[test]
fn request_line_gets_neither_headers_nor_method() {
    let contact = uri("sip:a@h;method=BYE;ob?Route=%3Csip:evil.example%3E");
    assert_eq!(contact.for_request_line().as_str(), "sip:a@h;ob");
    let plain = uri("sip:a@h;ob");
    assert!(matches!(plain.for_request_line(), Cow::Borrowed(_)));
}

#[test]
fn header_in_an_address_is_escaped_and_stands_behind_those_that_are_there() {
    let with = |text: &str, name, value| {
        let uri = Uri::parse(text).unwrap().with_header(name, value);
        uri.map(|uri| uri.as_str().to_owned())
    };
    let replaced = "a~b@[::1];to-tag=x%y;from-tag=\"z\"";
    assert_eq!(
        with("sip:bo@x;lr", "Replaces", replaced).unwrap(),
        "sip:bo@x;lr?Replaces=a~b%40[::1]%3Bto-tag%3Dx%25y%3Bfrom-tag%3D%22z%22"
    );
    let twice = with("sip:bo@x?A=b", "C&", "d e\r\n").unwrap();
    assert_eq!(twice, "sip:bo@x?A=b&C%26=d%20e%0D%0A");
    assert_eq!(with("tel:+1617", "A", "b"), None);
    assert_eq!(with("sip:bo@x", "A", &"b".repeat(5_000)), None);
}
