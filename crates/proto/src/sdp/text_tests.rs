//! Descriptions read and written: what is taken, what is refused, and both ways the same.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::rtp::Direction;
use crate::sdp::parse::{FORMATS_MAX, LINES_MAX, MEDIA_MAX, SDP_BYTES_MAX, SdpError};

const PLAIN: &str = "v=0\r\n\
    o=- 1 2 IN IP4 192.0.2.1\r\n\
    s=-\r\n\
    c=IN IP4 192.0.2.1\r\n\
    t=0 0\r\n\
    a=sendonly\r\n\
    m=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=ptime:20\r\n\
    a=rtcp:4005 IN IP4 192.0.2.9\r\n\
    m=video 5000/2 RTP/AVP 99\r\n\
    c=IN IP6 2001:db8::1\r\n\
    a=rtpmap:99 H264/90000\r\n\
    a=inactive\r\n";

fn parse(text: &str) -> Description {
    Description::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refused(text: &str) -> SdpError {
    Description::parse(text.as_bytes()).expect_err(text)
}

#[test]
fn description_is_read_line_by_line() {
    let description = parse(PLAIN);
    let [audio, video] = &description.media[..] else { panic!("two media") };
    assert_eq!(description.origin.version, "2");
    assert_eq!((audio.port, audio.formats.join(" ").as_str()), (4_000, "8 0 101"));
    assert_eq!(audio.encoding("101").unwrap().name, "telephone-event");
    assert!(audio.encoding("8").unwrap().is("pcma", 8_000));
    assert_eq!(audio.encoding("18"), None);
    assert_eq!(audio.ptime_ms(), Some(20));
    assert_eq!(audio.rtcp(), Some((4_005, Some("192.0.2.9".parse().unwrap()))));
    assert_eq!(description.direction_of(audio), Direction::SendOnly);
    assert_eq!(description.direction_of(video), Direction::Inactive);
    let address = |media| match description.connection_of(media) {
        Some(Connection::Ip(address)) => address.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!((address(audio).as_str(), address(video).as_str()), ("192.0.2.1", "2001:db8::1"));
}

#[test]
fn description_is_written_as_it_was_read() {
    assert_eq!(parse(PLAIN).to_string(), PLAIN.replace("5000/2", "5000"));
}

#[test]
fn slips_that_change_nothing_are_overlooked() {
    let text = "v=0\no=a  12345678901234567890123 1 IN IP6 2001:db8::2\ni=info\nb=AS:64\n\
                c=IN IP4 media.example.com/127\nx=later\nm=audio  4000   RTP/AVP 0\nb=AS:64\n\
                c=IN IP4 192.0.2.1\nc=IN IP4 192.0.2.2\na=ptime:20.0\na=flag \n\n\n";
    assert_eq!(
        parse(text).to_string(),
        "v=0\r\no=a 12345678901234567890123 1 IN IP6 2001:db8::2\r\ns=-\r\n\
         c=IN IP4 media.example.com\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
         c=IN IP4 192.0.2.1\r\na=ptime:20.0\r\na=flag\r\n"
    );
    assert_eq!(parse(text).media[0].ptime_ms(), Some(20));
}

#[test]
fn static_type_that_is_mapped_to_something_else_is_something_else() {
    let text =
        PLAIN.replace("a=fmtp", "a=rtpmap:0 G726-32/8000\r\na=rtpmap:8 PCMA/8000/1\r\na=fmtp");
    let description = parse(&text);
    assert_eq!(description.media[0].encoding("0").unwrap().name, "G726-32");
    assert!(description.media[0].encoding("8").unwrap().is("PCMA", 8_000));
}

#[test]
fn what_makes_a_difference_is_refused_with_its_line() {
    let refusals = [
        ("", 1, "o= somewhere"),
        ("v=1\r\n", 1, "v=0, the only version"),
        ("o=- 1 1 IN IP4 h\r\n", 1, "v=0, the only version"),
        ("v=0\r\ns=-\r\n", 2, "o= somewhere"),
        ("v=0\r\nrubbish\r\n", 2, "a letter and an equals sign"),
        ("v=0\r\nab=c\r\n", 2, "a letter and an equals sign"),
        ("v=0\r\no=- x 1 IN IP4 h\r\n", 2, "o=username session-id version IN IP4 address"),
        ("v=0\r\no=- 1 1 IN IP4\r\n", 2, "o=username session-id version IN IP4 address"),
        ("v=0\r\no=- 1 1 IN IP4 h x\r\n", 2, "o=username session-id version IN IP4 address"),
        ("v=0\r\nc=IN IP4 300.0.0.1\r\n", 2, "c=IN IP4 address or c=IN IP6 address"),
        ("v=0\r\nc=IN IP4 2001:db8::1\r\n", 2, "c=IN IP4 address or c=IN IP6 address"),
        ("v=0\r\nc=IN IP6 [2001:db8::1]\r\n", 2, "c=IN IP4 address or c=IN IP6 address"),
        ("v=0\r\nc=IN IP4 $(reboot)\r\n", 2, "c=IN IP4 address or c=IN IP6 address"),
        ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", 2, "a port from 0 to 65535"),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", 2, "a port from 0 to 65535"),
        ("v=0\r\nm=audio 4000 RTP/AVP\r\n", 2, "m=kind port protocol and payload types"),
        ("v=0\r\nm=audio\r\n", 2, "m=kind port protocol and payload types"),
        ("v=0\r\na=\r\n", 2, "a=name or a=name:value"),
        ("v=0\r\na=:x\r\n", 2, "a=name or a=name:value"),
        ("v=0\r\ns=a\0b\r\n", 2, "neither NUL nor a lone CR"),
    ];
    for (text, line, expected) in refusals {
        assert_eq!(refused(text), SdpError { line, expected }, "{text}");
    }
    let twice = PLAIN.replace("s=-", "o=- 1 3 IN IP4 192.0.2.1");
    assert_eq!(refused(&twice), SdpError { line: 3, expected: "one o=" });
}

#[test]
fn limits_are_kept() {
    let with = |count, line: &str| format!("{PLAIN}{}", line.repeat(count));
    assert_eq!(refused(&with(LINES_MAX, "a=x\r\n")).expected, "at most 1024 lines");
    assert_eq!(parse(&with(MEDIA_MAX - 2, "m=audio 0 X 0\r\n")).media.len(), MEDIA_MAX);
    assert_eq!(refused(&with(MEDIA_MAX - 1, "m=audio 0 X 0\r\n")).expected, "at most 32 media");
    let formats = |count| format!("{PLAIN}m=audio 0 X{}\r\n", " 1".repeat(count));
    assert_eq!(parse(&formats(FORMATS_MAX)).media[2].formats.len(), FORMATS_MAX);
    assert_eq!(refused(&formats(FORMATS_MAX + 1)).expected, "at most 128 payload types");
    assert_eq!(refused(&with(SDP_BYTES_MAX / 4, "i=x\n")).expected, "at most 32768 octets");
}

#[test]
fn octets_that_are_not_utf8_are_read_as_latin_1() {
    let octets = [PLAIN.as_bytes(), b"a=tool:K\xf6ln\r\n"].concat();
    let description = Description::parse(&octets).unwrap();
    assert_eq!(description.media[1].attribute("tool"), Some("Köln"));
}

proptest! {
    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Description::parse(&octets);
    }

    #[test]
    fn what_is_read_reads_the_same_once_written(
        lines in proptest::collection::vec(
            prop_oneof![
                "[a-z]=[ -~]{0,20}",
                "a=(rtpmap|fmtp|rtcp|ptime|sendonly|[a-z]{1,4})(:[ -~]{0,20})?",
                "c=IN IP4 [1-9]\\.[1-9]\\.[1-9]\\.[1-9](/1)?",
                "c=IN IP6 [a-f1-9:]{2,9}",
                "m=(audio|video) [0-9]{1,5} RTP/AVP( [0-9]{1,3}){1,4}",
            ],
            0..12,
        ),
    ) {
        let mut text = String::from("v=0\r\no=- 1 1 IN IP4 h\r\n");
        for line in &lines {
            write!(text, "{line}\r\n").unwrap();
        }
        if let Ok(description) = Description::parse(text.as_bytes()) {
            for media in &description.media {
                let _ = (description.direction_of(media), description.connection_of(media));
                let _ = (media.rtcp(), media.ptime_ms());
                let _ = media.formats.iter().find_map(|format| media.encoding(format));
            }
            let written = description.to_string();
            prop_assert_eq!(Description::parse(written.as_bytes()).unwrap(), description);
        }
    }
}
