//! Offers and answers of whole calls: first, held, resumed, moved, refused.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn settings() -> Settings {
    Settings {
        local: "192.0.2.1:4000".parse().unwrap(),
        session_id: 77,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        policy: AddressPolicy::RemoteOnly,
        privacy: Privacy::Plain,
    }
}

fn negotiation() -> Negotiation {
    Negotiation::new(settings())
}

/// A description of the far end with one audio medium.
fn theirs(formats: &str, attributes: &str) -> String {
    at("198.51.100.9", 6_000, formats, attributes)
}

fn at(address: &str, port: u16, formats: &str, attributes: &str) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    let attributes: String = attributes
        .split_whitespace()
        .map(|line| format!("a={}\r\n", line.replace('_', " ")))
        .collect();
    format!(
        "v=0\r\no=x 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\n{attributes}"
    )
}

/// An established call.
fn agreed() -> Negotiation {
    let mut negotiation = negotiation();
    negotiation.offer();
    negotiation.answered(theirs("0 101", "rtpmap:101_telephone-event/8000").as_bytes()).unwrap();
    negotiation
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn version(bytes: &Bytes) -> String {
    Description::parse(bytes).unwrap().origin.version
}

fn answer(negotiation: &mut Negotiation, offer: &str) -> (Bytes, Stream) {
    negotiation.answer(offer.as_bytes()).unwrap_or_else(|error| panic!("{error}: {offer}"))
}

#[test]
fn offer_has_both_laws_and_telephone_events() {
    expect![[r#"
        v=0
        o=- 77 1 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        t=0 0
        m=audio 4000 RTP/AVP 0 8 101
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-16
        a=ptime:20
        a=sendrecv
    "#]]
    .assert_eq(&text(&negotiation().offer()).replace("\r\n", "\n"));
}

#[test]
fn offer_over_ipv6_names_its_family() {
    let local = "[2001:db8::1]:4000".parse().unwrap();
    let mut negotiation = Negotiation::new(Settings { local, ..settings() });
    let offer = negotiation.offer();
    assert!(text(&offer).contains("o=- 77 1 IN IP6 2001:db8::1\r\n"));
    assert!(text(&offer).contains("c=IN IP6 2001:db8::1\r\n"));
    let answer = at("2001:db8::9", 6_000, "8", "");
    let stream = negotiation.answered(answer.as_bytes()).unwrap();
    assert_eq!(stream.remote_rtp, "[2001:db8::9]:6000".parse().unwrap());
}

#[test]
fn answer_says_where_and_how_to_send() {
    let mut negotiation = negotiation();
    negotiation.offer();
    let answer = theirs("8 0 96", "rtpmap:96_telephone-event/8000 ptime:30 rtcp:6005");
    let stream = negotiation.answered(answer.as_bytes()).unwrap();
    let expected = Stream {
        remote_rtp: "198.51.100.9:6000".parse().unwrap(),
        remote_rtcp: Some("198.51.100.9:6005".parse().unwrap()),
        codec: Codec::Pcma,
        payload_type: 8,
        telephone_event: Some(96),
        event_clock_hz: 8_000,
        expects_loss: false,
        receive: ReceiveTypes::g711(Some(101)),
        direction: Direction::SendReceive,
        ptime_ms: 30,
    };
    assert_eq!(stream, expected);
    assert_eq!(negotiation.stream(), Some(&expected));
    let terms = stream.terms(Learning::default());
    assert_eq!((terms.remote, terms.payload_type), (stream.remote_rtp, 8));
}

#[test]
fn answer_without_telephone_events_takes_none() {
    let mut negotiation = negotiation();
    negotiation.offer();
    let stream = negotiation.answered(theirs("0", "").as_bytes()).unwrap();
    assert_eq!((stream.telephone_event, stream.ptime_ms), (None, 20));
    assert_eq!(stream.remote_rtcp, Some("198.51.100.9:6001".parse().unwrap()));
}

#[test]
fn later_answer_to_the_same_offer_replaces_the_earlier_one() {
    let mut negotiation = negotiation();
    negotiation.offer();
    negotiation.answered(theirs("0", "sendonly").as_bytes()).unwrap();
    let stream = negotiation.answered(at("203.0.113.4", 7_000, "8", "").as_bytes()).unwrap();
    assert_eq!((stream.codec, stream.direction), (Codec::Pcma, Direction::SendReceive));
    assert_eq!(negotiation.stream().unwrap().remote_rtp, "203.0.113.4:7000".parse().unwrap());
}

#[test]
fn answers_that_agree_on_nothing_are_refused_and_change_nothing() {
    let refusals = [
        (theirs("18 3", ""), "no common codec, the far end has 18 3"),
        (theirs("96", "rtpmap:96_opus/48000/2"), "no common codec, the far end has opus"),
        (theirs("0", "rtpmap:0_PCMU/16000"), "no common codec, the far end has PCMU"),
        (
            theirs("101", "rtpmap:101_telephone-event/8000"),
            "no common codec, the far end has \
                                                            telephone-event",
        ),
        (at("198.51.100.9", 0, "0", ""), "far end refuses audio"),
        (
            theirs("0", "").replace("RTP/AVP", "RTP/SAVP"),
            "there is no open audio medium over RTP/AVP",
        ),
        (
            theirs("0", "").replace("m=audio", "m=video"),
            "there is no open audio medium over RTP/AVP",
        ),
        (theirs("0", "").replace("c=IN IP4 198.51.100.9\r\n", ""), "there is no c= line"),
        (
            theirs("0", "").replace("c=IN IP4 198.51.100.9", "c=IN IP4 a.example"),
            "far end takes sound at the name \"a.example\", expected an address",
        ),
        (at("127.0.0.1", 6_000, "0", ""), "sound may not go there"),
        (at("255.255.255.255", 6_000, "0", ""), "sound may not go there"),
        (at("192.0.2.1", 4_000, "0", ""), "sound may not go there"),
        (at("198.51.100.9", 53, "0", ""), "sound may not go there"),
        (
            at("2001:db8::9", 6_000, "0", ""),
            "far end takes sound at 2001:db8::9, we are at 192.0.2.1",
        ),
        ("v=0\r\n".into(), "description is malformed"),
        (String::new(), "description is malformed"),
        ("v=0\r\no=- 1 1 IN IP4 h\r\n".into(), "there is no open audio medium over RTP/AVP"),
    ];
    for (answer, reason) in refusals {
        let mut negotiation = agreed();
        let before = negotiation.stream().copied();
        let error = negotiation.answered(answer.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), reason, "{answer}");
        assert_eq!(negotiation.stream().copied(), before, "{answer}");
    }
    let error = negotiation().answered(theirs("0", "").as_bytes()).unwrap_err();
    assert_eq!(error, NegotiationError::NothingOffered);
}

#[test]
fn loopback_is_spoken_to_where_it_is_allowed() {
    let policy = AddressPolicy::LoopbackAllowed;
    let local = "127.0.0.1:4000".parse().unwrap();
    let mut negotiation = Negotiation::new(Settings { local, policy, ..settings() });
    negotiation.offer();
    assert!(negotiation.answered(at("127.0.0.1", 6_000, "0", "").as_bytes()).is_ok());
    let error = negotiation.answered(at("127.0.0.1", 4_000, "0", "").as_bytes()).unwrap_err();
    assert_eq!(error, NegotiationError::Address(AddressError::Ourselves(local)));
}

#[test]
fn hold_and_resume_are_answered_in_kind() {
    let mut negotiation = agreed();
    let events = "rtpmap:101_telephone-event/8000";
    let story = [
        (theirs("0 101", &format!("{events} sendonly")), "recvonly", Direction::ReceiveOnly),
        (theirs("0 101", &format!("{events} inactive")), "inactive", Direction::Inactive),
        (theirs("0 101", &format!("{events} recvonly")), "sendonly", Direction::SendOnly),
        (at("0.0.0.0", 6_000, "0 101", events), "recvonly", Direction::ReceiveOnly),
        (
            at("0.0.0.0", 6_000, "0 101", &format!("{events} inactive")),
            "inactive",
            Direction::Inactive,
        ),
        (theirs("0 101", events), "sendrecv", Direction::SendReceive),
    ];
    for (offer, attribute, direction) in story {
        let (sdp, stream) = answer(&mut negotiation, &offer);
        assert_eq!(stream.direction, direction, "{offer}");
        assert!(text(&sdp).ends_with(&format!("a={attribute}\r\n")), "{}", text(&sdp));
    }
}

#[test]
fn hold_for_the_whole_session_is_hold_for_its_audio() {
    let offer = theirs("0", "").replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    assert_eq!(answer(&mut agreed(), &offer).1.direction, Direction::ReceiveOnly);
}

#[test]
fn version_grows_by_one_with_each_change_and_else_stays() {
    let mut negotiation = agreed();
    let events = "rtpmap:101_telephone-event/8000";
    let mut versions = Vec::new();
    for attributes in ["", "sendonly", "sendonly", "", ""] {
        let offer = theirs("0 101", &format!("{events} {attributes}"));
        versions.push(version(&answer(&mut negotiation, &offer).0));
    }
    assert_eq!(versions, ["2", "3", "3", "4", "4"]);
    assert!(negotiation.answer(theirs("18", "").as_bytes()).is_err());
    versions = vec![version(&negotiation.offer()), version(&negotiation.offer())];
    assert_eq!(versions, ["5", "5"]);
}

#[test]
fn far_end_may_change_codec_and_address() {
    let mut negotiation = agreed();
    let (sdp, stream) = answer(&mut negotiation, &at("203.0.113.4", 7_000, "18 8 0", ""));
    assert_eq!((stream.codec, stream.payload_type), (Codec::Pcma, 8));
    assert_eq!(stream.remote_rtp, "203.0.113.4:7000".parse().unwrap());
    assert_eq!(stream.telephone_event, None);
    expect![[r#"
        v=0
        o=- 77 2 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        t=0 0
        m=audio 4000 RTP/AVP 8
        a=rtpmap:8 PCMA/8000
        a=ptime:20
        a=sendrecv
    "#]]
    .assert_eq(&text(&sdp).replace("\r\n", "\n"));
}

#[test]
fn dynamic_types_of_the_offer_are_used_both_ways() {
    let attributes = "rtpmap:97_PCMA/8000 rtpmap:98_telephone-event/8000";
    let mut negotiation = negotiation();
    let (sdp, stream) = answer(&mut negotiation, &theirs("97 98", attributes));
    assert!(text(&sdp).contains("m=audio 4000 RTP/AVP 97 98\r\n"));
    assert!(text(&sdp).contains("a=fmtp:98 0-16\r\n"));
    assert_eq!((stream.payload_type, stream.telephone_event), (97, Some(98)));
    let receive =
        ReceiveTypes { pcma: Some(97), telephone_event: Some(98), ..ReceiveTypes::default() };
    assert_eq!(stream.receive, receive);
    // A later offer of ours keeps the type that events have in this session.
    assert!(text(&negotiation.offer()).contains("m=audio 4000 RTP/AVP 0 8 98\r\n"));
}

#[test]
fn media_that_we_do_not_speak_are_refused_in_their_place() {
    let offer = "v=0\r\no=bob 1 1 IN IP4 host.example.com\r\ns=\r\nt=0 0\r\n\
                 m=video 6024 RTP/AVP 107 34\r\nc=IN IP6 2001:db8::1\r\n\
                 m=audio 5000 RTP/SAVP 0\r\nc=IN IP4 198.51.100.9\r\n\
                 m=audio 22334 RTP/AVP 0\r\nc=IN IP4 198.51.100.9\r\n\
                 m=image 6026 udptl t38\r\nc=IN IP4 198.51.100.9\r\n";
    let mut negotiation = agreed();
    let (sdp, stream) = answer(&mut negotiation, offer);
    let lines: Vec<_> = text(&sdp).lines().filter(|line| line.starts_with("m=")).collect();
    let expected = [
        "m=video 0 RTP/AVP 107",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 4000 RTP/AVP 0",
        "m=image 0 udptl t38",
    ];
    assert_eq!(lines, expected);
    assert_eq!(stream.remote_rtp, "198.51.100.9:22334".parse().unwrap());
    // Their places stay in an offer of our own, and its answer is read at the third.
    let offer = negotiation.offer();
    let kinds: Vec<_> = text(&offer).lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(kinds[2], "m=audio 4000 RTP/AVP 0 8 101");
    assert_eq!(kinds.len(), 4);
    let answer = theirs("8", "")
        .replace("m=audio", "m=video 0 RTP/AVP 107\r\nm=audio 0 RTP/SAVP 0\r\nm=audio");
    assert_eq!(negotiation.answered(answer.as_bytes()).unwrap().codec, Codec::Pcma);
}

#[test]
fn blank_that_parts_no_words_is_one_in_the_answer_too() {
    // Of refused media the answer repeats the first format, whatever it is.
    for format in ["\u{b}", "\u{2003}", "\u{85}"] {
        let offer = theirs("0", "") + &format!("m=image 5000 udptl\t{format} t38\r\n");
        let (bytes, _) = answer(&mut negotiation(), &offer);
        let told = Description::parse(&bytes).unwrap();
        assert_eq!(told.media[1].formats, [format]);
    }
}

#[test]
fn offers_that_cannot_be_answered_are_refused_with_their_status_and_change_nothing() {
    let refusals = [
        (theirs("18", ""), 488),
        (at("198.51.100.9", 0, "0", ""), 488),
        (theirs("0", "").replace("m=audio", "m=video"), 488),
        (at("169.254.0.9", 6_000, "0", ""), 488),
        (theirs("0", "").replace("t=0 0", "rubbish"), 400),
    ];
    for (offer, status) in refusals {
        let mut negotiation = agreed();
        let (stream, ours) = (negotiation.stream().copied(), negotiation.ours.clone());
        let error = negotiation.answer(offer.as_bytes()).unwrap_err();
        assert_eq!(error.status(), status, "{offer}");
        assert_eq!((negotiation.stream().copied(), negotiation.ours), (stream, ours), "{offer}");
    }
}

#[test]
fn reports_do_not_go_to_another_host_than_the_sound() {
    let mut negotiation = agreed();
    let offer = |rtcp: &str| theirs("0", &format!("rtcp:{rtcp}"));
    let rtcp = |negotiation: &mut Negotiation, text: &str| {
        answer(negotiation, &offer(text)).1.remote_rtcp.map(|address| address.to_string())
    };
    let cases = [
        ("7007", Some("198.51.100.9:7007")),
        ("7007_IN_IP4_198.51.100.9", Some("198.51.100.9:7007")),
        ("7007_IN_IP4_203.0.113.1", Some("198.51.100.9:6001")),
        ("53", None),
        ("0", Some("198.51.100.9:6001")),
        ("x", Some("198.51.100.9:6001")),
    ];
    for (text, expected) in cases {
        assert_eq!(rtcp(&mut negotiation, text).as_deref(), expected, "{text}");
    }
    let last = at("198.51.100.9", u16::MAX, "0", "");
    assert_eq!(answer(&mut negotiation, &last).1.remote_rtcp, None);
}

#[test]
fn refresh_with_our_last_answer_is_answered_like_an_offer() {
    let mut negotiation = agreed();
    answer(&mut negotiation, &theirs("8", "sendonly"));
    let stream = negotiation.answered(theirs("8", "sendonly").as_bytes()).unwrap();
    assert_eq!((stream.codec, stream.direction), (Codec::Pcma, Direction::ReceiveOnly));
    assert_eq!(stream.receive, ReceiveTypes { pcma: Some(8), ..ReceiveTypes::default() });
}

fn any_description() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "m=(audio|video) (0|[1-9][0-9]{3}) RTP/(AVP|SAVP)( (0|8|9|18|96|101|127|128)){1,4}",
        2 => "c=IN IP4 (0\\.0\\.0\\.0|127\\.0\\.0\\.1|198\\.51\\.100\\.[1-9]|a\\.example)",
        1 => "c=IN IP6 (::|::1|2001:db8::[1-9])",
        2 => "a=(sendonly|recvonly|inactive|sendrecv|ptime:[0-9]{1,6}|rtcp:[0-9]{1,5})",
        2 => "a=rtpmap:(0|96|101|128) (PCMA|pcmu|telephone-event|opus)/(8000|48000)(/[12])?",
    ];
    proptest::collection::vec(line, 0..10).prop_map(|lines| {
        format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n{}\r\n", lines.join("\r\n"))
    })
}

proptest! {
    #[test]
    fn any_story_of_offers_and_answers_keeps_the_rules(
        story in proptest::collection::vec((any::<bool>(), any_description()), 1..6),
    ) {
        let mut negotiation = negotiation();
        let mut last_version = version(&negotiation.offer());
        for (is_offer, description) in story {
            if is_offer {
                let theirs = Description::parse(description.as_bytes());
                let media = theirs.map(|theirs| theirs.media.len());
                if let Ok((sdp, stream)) = negotiation.answer(description.as_bytes()) {
                    let ours = Description::parse(&sdp).unwrap();
                    prop_assert_eq!(ours.media.len(), media.unwrap());
                    let open = ours.media.iter().filter(|media| media.port != 0);
                    prop_assert_eq!(open.count(), 1);
                    prop_assert!(stream.payload_type < 128);
                    let number = |text: &str| text.parse::<u64>().unwrap();
                    let grown = number(&ours.origin.version) - number(&last_version);
                    prop_assert!(grown <= 1);
                    last_version = ours.origin.version;
                }
            } else {
                let _ = negotiation.answered(description.as_bytes());
            }
            if let Some(stream) = negotiation.stream()
                && !stream.remote_rtp.ip().is_unspecified()
            {
                let found = check_media_address(stream.remote_rtp, AddressPolicy::RemoteOnly);
                prop_assert!(found.is_ok());
            } else if let Some(stream) = negotiation.stream() {
                prop_assert!(!stream.direction.sends());
            }
        }
    }

    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut negotiation = agreed();
        let _ = (negotiation.answer(&octets), negotiation.answered(&octets));
    }
}

/// Keys of ours that are easy to tell from others.
fn private() -> Negotiation {
    let keys = [MasterKey::new([1; 30]), MasterKey::new([2; 30])];
    Negotiation::new(Settings { privacy: Privacy::Srtp(keys), ..settings() })
}

/// Thirty bytes of value 9, and of value 1, in base64.
const NINES: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";
const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";

/// A description with keys: the lines behind `a=crypto:`.
fn with_keys(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    theirs("0 101", "rtpmap:101_telephone-event/8000").replace("RTP/AVP", "RTP/SAVP") + &lines
}

#[test]
fn private_offer_names_a_key_for_each_suite() {
    let offer = private().offer();
    let media = &Description::parse(&offer).unwrap().media[0];
    assert_eq!(media.protocol, "RTP/SAVP");
    let lines: Vec<&str> = media.values("crypto").collect();
    assert_eq!(
        lines,
        [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{ONES}"),
            "2 AES_CM_128_HMAC_SHA1_32 inline:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC".into(),
        ]
    );
}

#[test]
fn answer_chooses_one_of_the_suites_and_brings_its_key() {
    let mut negotiation = private();
    negotiation.offer();
    let line = format!("2 AES_CM_128_HMAC_SHA1_32 inline:{NINES}");
    negotiation.answered(with_keys(&[&line]).as_bytes()).unwrap();
    let protection = negotiation.protection().unwrap();
    assert_eq!(protection.suite, Suite::AesCm128HmacSha1_32);
    assert_eq!(protection.ours, MasterKey::new([2; 30]));
    assert_eq!(protection.theirs, MasterKey::new([9; 30]));
}

#[test]
fn answer_without_a_key_that_was_offered_is_refused() {
    let wrong_tag = format!("1 AES_CM_128_HMAC_SHA1_32 inline:{NINES}");
    for lines in [&[][..], &[wrong_tag.as_str()], &["2 AES_CM_128_HMAC_SHA1_32 inline:CQ=="]] {
        let mut negotiation = private();
        negotiation.offer();
        let refused = negotiation.answered(with_keys(lines).as_bytes());
        assert_eq!(refused, Err(NegotiationError::NoKey));
        assert_eq!((negotiation.protection(), negotiation.stream()), (None, None));
    }
}

#[test]
fn sound_in_the_clear_is_refused_where_it_is_to_be_private_and_the_other_way_round() {
    let mut negotiation = private();
    negotiation.offer();
    let plain = negotiation.answered(theirs("0", "").as_bytes());
    assert_eq!(plain, Err(NegotiationError::NoAudio { profile: "RTP/SAVP" }));
    let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{NINES}");
    let mut negotiation = Negotiation::new(settings());
    negotiation.offer();
    let private = negotiation.answered(with_keys(&[&line]).as_bytes());
    assert_eq!(private, Err(NegotiationError::NoAudio { profile: "RTP/AVP" }));
}

#[test]
fn private_offer_is_answered_under_its_tag_by_the_first_suite_that_we_speak() {
    let mut negotiation = private();
    let unknown = format!("4 AEAD_AES_128_GCM inline:{NINES}");
    let known = format!("5 AES_CM_128_HMAC_SHA1_80 inline:{NINES}");
    let (text, stream) = answer(&mut negotiation, &with_keys(&[&unknown, &known]));
    let media = &Description::parse(&text).unwrap().media[0];
    let line = format!("5 AES_CM_128_HMAC_SHA1_80 inline:{ONES}");
    assert_eq!((media.protocol.as_str(), media.attribute("crypto")), ("RTP/SAVP", Some(&*line)));
    assert_eq!(stream.codec, Codec::Pcmu);
    assert_eq!(negotiation.protection().unwrap().theirs, MasterKey::new([9; 30]));
    // Sent again to refresh the session, it is answered under the same tag.
    let again = with_keys(&[&format!("5 AES_CM_128_HMAC_SHA1_80 inline:{ONES}")]);
    negotiation.answered(again.as_bytes()).unwrap();
    assert_eq!(negotiation.protection().unwrap().theirs, MasterKey::new([1; 30]));
}

#[test]
fn private_offer_without_a_usable_key_is_refused() {
    let refused = private().answer(with_keys(&[]).as_bytes()).unwrap_err();
    assert_eq!((refused.clone(), refused.status()), (NegotiationError::NoKey, 488));
}

/// Negotiates all that there is, in this order.
fn with_codecs(codecs: &[Codec]) -> Negotiation {
    Negotiation::new(Settings { codecs: codecs.to_vec(), ..settings() })
}

#[test]
fn offer_has_the_codecs_in_their_order_and_events_by_each_clock() {
    let mut negotiation = with_codecs(&[Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu]);
    expect![[r#"
        m=audio 4000 RTP/AVP 111 9 8 0 101 110
        a=rtpmap:111 opus/48000/2
        a=fmtp:111 maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;sprop-stereo=0;useinbandfec=1
        a=rtpmap:9 G722/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-16
        a=rtpmap:110 telephone-event/48000
        a=fmtp:110 0-16
        a=ptime:20
        a=sendrecv
    "#]]
    .assert_eq(text(&negotiation.offer()).replace("\r\n", "\n").split_once("t=0 0\n").unwrap().1);
}

#[test]
fn answers_to_all_codecs_say_what_is_sent_and_in_which_clock_keys_are() {
    // (formats, attributes) → (codec, its type, type of events, their clock, loss expected)
    let opus = "rtpmap:96_opus/48000/2 fmtp:96_minptime=10;_useinbandfec=1";
    let events = "rtpmap:97_telephone-event/48000 rtpmap:98_telephone-event/8000";
    let cases = [
        ("9 98", events.to_owned(), (Codec::G722, 9, Some(98), 8_000, false)),
        ("9 0", "rtpmap:9_G722/8000".into(), (Codec::G722, 9, None, 8_000, false)),
        ("96 97 98", format!("{opus} {events}"), (Codec::Opus, 96, Some(97), 48_000, true)),
        // Events at 8 kHz alone are better than none.
        ("96 98", format!("{opus} {events}"), (Codec::Opus, 96, Some(98), 8_000, true)),
        ("96", "rtpmap:96_OPUS/48000/2".into(), (Codec::Opus, 96, None, 8_000, false)),
        ("0 97 98", events.to_owned(), (Codec::Pcmu, 0, Some(98), 8_000, false)),
        // With one channel it is not what RFC 7587 names.
        ("96 8", "rtpmap:96_opus/48000".into(), (Codec::Pcma, 8, None, 8_000, false)),
        // Several: the first is sent, all that we offered are taken.
        ("18 9 0 8", String::new(), (Codec::G722, 9, None, 8_000, false)),
    ];
    for (formats, attributes, expected) in cases {
        let mut negotiation = with_codecs(&[Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma]);
        negotiation.offer();
        let stream = negotiation.answered(theirs(formats, &attributes).as_bytes()).unwrap();
        let Stream { codec, payload_type, telephone_event, event_clock_hz, expects_loss, .. } =
            stream;
        let found = (codec, payload_type, telephone_event, event_clock_hz, expects_loss);
        assert_eq!(found, expected, "{formats} {attributes}");
        let taken = Codec::ALL.map(|codec| stream.receive.of(codec));
        assert_eq!(taken, [Some(9), Some(111), Some(8), Some(0)]);
        assert_eq!(stream.receive.telephone_event_48, Some(110));
    }
}

#[test]
fn codec_that_was_not_offered_is_not_agreed_on() {
    let mut negotiation = negotiation();
    negotiation.offer();
    let refused = negotiation.answered(theirs("9", "").as_bytes()).unwrap_err();
    assert_eq!(refused, NegotiationError::NoCommonCodec("G722".into()));
}

#[test]
fn new_offer_may_change_the_codec_and_unknown_ones_alone_are_refused() {
    let mut negotiation = with_codecs(&[Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]);
    negotiation.offer();
    negotiation.answered(theirs("0", "").as_bytes()).unwrap();
    let offer = theirs("120 9 121", "rtpmap:120_opus/48000/2 rtpmap:121_telephone-event/48000");
    let (ours, stream) = answer(&mut negotiation, &offer);
    expect![[r#"
        m=audio 4000 RTP/AVP 120 121
        a=rtpmap:120 opus/48000/2
        a=fmtp:120 maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;sprop-stereo=0;useinbandfec=1
        a=rtpmap:121 telephone-event/48000
        a=fmtp:121 0-16
        a=ptime:20
        a=sendrecv
    "#]]
    .assert_eq(text(&ours).replace("\r\n", "\n").split_once("t=0 0\n").unwrap().1);
    assert_eq!((stream.telephone_event, stream.event_clock_hz), (Some(121), 48_000));
    assert_eq!(stream.receive.telephone_event_48, Some(121));

    let (_, stream) = answer(&mut negotiation, &theirs("9 96", "rtpmap:96_telephone-event/8000"));
    assert_eq!((stream.codec, stream.telephone_event), (Codec::G722, Some(96)));
    let before = stream;
    let refused = negotiation.answer(theirs("18 3", "").as_bytes()).unwrap_err();
    assert_eq!(refused.status(), 488);
    assert_eq!(negotiation.stream(), Some(&before));
}
