//! What reaches us outside of calls: trunks, strangers, floods, rubbish, and an earlier life.

use proptest::prelude::*;

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::framer::Framer;
use crate::sip::identity::CallIdentity;
use crate::sip::message::{Method, Request};
use crate::sip::name::Name;
use crate::sip::ua::*;
use crate::sip::uri::Uri;

fn outside(method: &str, extra: &[(Name, &str)]) -> Request {
    let uri = Uri::parse("sip:16175550100@198.51.100.1").unwrap();
    let mut request = Request::new(Method::parse(method).unwrap(), uri);
    let headers = &mut request.headers;
    headers.push(Name::Via, format_args!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}"));
    headers.push(Name::From, "<sip:x@192.0.2.1>;tag=1");
    headers.push(Name::To, "<sip:16175550100@198.51.100.1>");
    headers.push(Name::CallId, "theirs");
    headers.push(Name::CSeq, format_args!("1 {method}"));
    for (name, value) in extra {
        headers.set(*name, value);
    }
    request
}

#[test]
fn options_of_a_trunk_is_answered_with_what_we_can() {
    let mut lab = Lab::new();
    lab.receive(outside("OPTIONS", &[]).into());
    assert_eq!(lab.story(), "> 200 to OPTIONS");
    let answer = lab.last_response(&Method::Options);
    for name in [Name::Allow, Name::Accept, Name::Supported] {
        assert!(answer.headers.has(name), "{name}");
    }
    assert!(answer.headers.to().unwrap().tag().is_some());
    assert!(!answer.headers.has(Name::Server));
    assert_eq!(answer.headers.get(Name::Via), Some("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKOPTIONS"));
    lab.receive(outside("OPTIONS", &[]).into());
    assert_eq!(lab.story(), "> 200 to OPTIONS");
    lab.assert_clean();
}

#[test]
fn answers_follow_rport_or_the_via() {
    let from = Flow { transport: T::Udp, peer: "192.0.2.1:40000".parse().unwrap() };
    for (via, to) in [
        ("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1", "192.0.2.1:5070"),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2", "192.0.2.1:5060"),
        ("SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK3", "192.0.2.1:40000"),
    ] {
        let mut lab = Lab::new();
        lab.receive_from(from, outside("OPTIONS", &[(Name::Via, via)]).into());
        assert_eq!(lab.sent.last().unwrap().0.peer, to.parse().unwrap());
        let via = lab.last_response(&Method::Options).headers.via_top().unwrap();
        assert_eq!(via.received(), Some("192.0.2.1".parse().unwrap()));
    }
}

#[test]
fn agent_that_only_calls_out_says_so_properly() {
    let expected = [
        ("INVITE", 480),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 489),
        ("BYE", 481),
        ("CANCEL", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("INFO", 481),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("REFER", 405),
        ("REGISTER", 405),
        ("FOO", 501),
    ];
    let mut lab = Lab::new();
    for (method, status) in expected {
        lab.receive(outside(method, &[]).into());
        assert_eq!(lab.story(), format!("> {status} to {method}"));
    }
    lab.receive(outside("ACK", &[]).into());
    assert_eq!(lab.story(), "");
    let required = [(Name::Require, "x"), (Name::Via, "SIP/2.0/UDP h;branch=z9hG4bKq")];
    lab.receive(outside("OPTIONS", &required).into());
    assert_eq!(lab.story(), "> 420 to OPTIONS");
    let tagged = [
        (Name::To, "<sip:us@198.51.100.1>;tag=gone"),
        (Name::Via, "SIP/2.0/UDP h;branch=z9hG4bKr"),
    ];
    lab.receive(outside("OPTIONS", &tagged).into());
    assert_eq!(lab.story(), "> 481 to OPTIONS");
    lab.assert_clean();
}

#[test]
fn refused_invite_is_acknowledged_and_forgotten() {
    let mut lab = Lab::new();
    lab.receive(outside("INVITE", &[]).into());
    lab.pass(std::time::Duration::from_millis(600));
    assert_eq!(lab.story(), "> 480 to INVITE; > 480 to INVITE");
    let via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKINVITE";
    lab.receive(outside("ACK", &[(Name::Via, via)]).into());
    lab.pass_s(10);
    assert_eq!((lab.story().as_str(), lab.ua.transactions()), ("", 0));
}

#[test]
fn client_of_rfc_2543_is_matched_without_a_branch() {
    let mut lab = Lab::new();
    let via = [(Name::Via, "SIP/2.0/UDP 192.0.2.1")];
    lab.receive(outside("INVITE", &via).into());
    lab.receive(outside("INVITE", &via).into());
    assert_eq!(lab.story(), "> 480 to INVITE; > 480 to INVITE");
    assert_eq!(lab.ua.transactions(), 1);
    let to = (Name::To, "<sip:16175550100@198.51.100.1>;tag=whatever");
    lab.receive(outside("ACK", &[via[0], to]).into());
    lab.pass_s(6);
    assert_eq!((lab.story().as_str(), lab.ua.transactions()), ("", 0));
}

#[test]
fn strangers_hear_nothing_and_are_counted() {
    let mut lab = Lab::new();
    for method in ["OPTIONS", "INVITE", "REGISTER", "BYE", "ACK"] {
        lab.receive_from(udp(66), outside(method, &[]).into());
    }
    lab.receive_text(udp(66), "rubbish");
    assert_eq!((lab.story().as_str(), lab.ua.transactions()), ("", 0));
    assert_eq!(lab.ua.counters().strangers, 6);
    assert!(lab.ua.is_trunk_address(peer(1).ip()) && !lab.ua.is_trunk_address(peer(66).ip()));
}

#[test]
fn trunk_may_send_from_further_addresses() {
    let mut lab = Lab::new();
    let (targets, sources) = (vec![target(T::Udp, 1)], vec![peer(66).ip()]);
    lab.feed(Input::Trunk { trunk: TRUNK, targets, sources, credentials: None });
    lab.receive_from(udp(66), outside("OPTIONS", &[]).into());
    assert_eq!(lab.story(), "> 200 to OPTIONS at 192.0.2.66:5060");
}

#[test]
fn call_stays_reachable_by_the_address_that_its_trunk_lost() {
    let mut lab = Lab::up();
    let moved =
        |targets| Input::Trunk { trunk: TRUNK, targets, sources: vec![], credentials: None };
    lab.feed(moved(vec![target(T::Udp, 2)]));
    lab.feed(moved(vec![]));
    lab.feed(Input::Invite(Box::new(invite(CallKey(8)))));
    assert_eq!(lab.story(), "ended NotSent");
    lab.ask(Method::Bye, &[], "");
    assert_eq!(lab.story(), "> 200 to BYE; ended Far 200");
    lab.feed(moved(vec![]));
    lab.receive(outside("OPTIONS", &[]).into());
    assert_eq!(lab.story(), "");
}

#[test]
fn source_that_floods_is_dropped_unread_until_it_calms_down() {
    let mut slow = config();
    slow.limits.source_rate_per_s = 10;
    slow.limits.source_burst = 3;
    let mut lab = Lab::with(slow, &[target(T::Udp, 1)], None);
    for _ in 0..10 {
        lab.receive(outside("OPTIONS", &[]).into());
    }
    assert_eq!(lab.story().matches("200").count(), 3);
    assert_eq!(lab.ua.counters().floods, 7);
    lab.pass_s(1);
    lab.receive(outside("OPTIONS", &[]).into());
    assert_eq!(lab.story(), "> 200 to OPTIONS");
}

#[test]
fn full_table_sheds_requests_and_says_when_to_come_back() {
    let mut small = config();
    small.limits.transactions_max = 1;
    let mut lab = Lab::with(small, &[target(T::Udp, 1)], None);
    lab.receive(outside("OPTIONS", &[]).into());
    lab.receive(outside("MESSAGE", &[]).into());
    assert_eq!(lab.story(), "> 200 to OPTIONS; > 503 to MESSAGE");
    let shed = lab.last_response(&Method::Message);
    assert_eq!(shed.headers.retry_after(), Ok(Some(5)));
    assert_eq!((lab.ua.transactions(), lab.ua.counters().requests_shed), (1, 1));
}

#[test]
fn malformed_request_of_a_trunk_is_answered_400_where_it_can_be() {
    let broken = "OPTIONS sip:us@198.51.100.1 SIP/2.0\n\
        Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:us@y>\n\
        Call-ID: c\nCSeq: 1 OPTIONS\nMax-Forwards: many\n\n";
    let mut lab = Lab::new();
    lab.receive_text(udp(1), broken);
    assert_eq!(lab.story(), "> 400 to OPTIONS at 192.0.2.1:5070");
    lab.receive_text(udp(66), broken);
    lab.receive_text(udp(1), "OPTIONS sip:us@198.51.100.1 SIP/2.0\nVia: nonsense\n\n");
    lab.receive_text(udp(1), "SIP/2.0 200 OK\n\n");
    assert_eq!(lab.story(), "");
    assert_eq!(lab.ua.counters().malformed, 3);
    assert_eq!(lab.ua.transactions(), 0);
}

#[test]
fn keep_alives_cost_nothing_and_pings_are_answered() {
    let mut lab = Lab::new();
    for octets in ["", "\n", "\n\n", "\0\0"] {
        lab.receive_text(udp(1), octets);
    }
    assert_eq!((lab.story().as_str(), lab.ua.counters()), ("", &Counters::default()));
    let mut framer = Framer::new();
    framer.feed(b"\r\n\r\n");
    framer.feed(&outside("OPTIONS", &[]).to_bytes());
    framer.feed(b"FOO\r\n\r\n");
    let flow = flow(T::Tcp, 1);
    while let Some(frame) = framer.poll() {
        lab.feed(Input::Framed { flow, frame: Box::new(frame) });
    }
    assert_eq!(lab.story(), "> b\"\\r\\n\"; > 200 to OPTIONS");
    assert_eq!(lab.ua.counters().malformed, 1);
}

#[test]
fn responses_that_nothing_waits_for_are_counted() {
    let mut lab = Lab::up();
    let mut stray = response(&lab.last(&Method::Invite), 486, "b", &[], "");
    stray.headers.set(Name::Via, "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKunknown");
    lab.receive(stray.clone().into());
    // Two Vias: it was meant for somebody behind us, and there is nobody.
    stray = response(&lab.last(&Method::Invite), 200, "b", &[], "");
    stray.headers.push(Name::Via, "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKother");
    lab.receive(stray.into());
    assert_eq!((lab.story().as_str(), lab.ua.counters().unmatched), ("", 2));
}

/// The 200 to an INVITE that an earlier process of ours sent.
fn orphan(lab: &mut Lab, attempt: i64, tag: &str) -> crate::sip::Response {
    let identity = CallIdentity::derive(&KEY, attempt, 1, "dialer.example");
    let mut invite = outside("INVITE", &[]);
    let headers = &mut invite.headers;
    let via = format!("SIP/2.0/UDP 198.51.100.1:5060;branch={}", identity.branch(1, udp(1)));
    headers.set(Name::Via, via);
    headers.set(Name::From, format_args!("<sip:us@198.51.100.1>;tag={}", identity.from_tag));
    headers.set(Name::CallId, &identity.call_id);
    lab.story();
    response(&invite, 200, tag, &[], ANSWER)
}

#[test]
fn call_of_an_earlier_life_that_is_answered_now_is_ended_and_named() {
    let mut lab = Lab::new();
    let answer = orphan(&mut lab, 4_711, "b");
    lab.receive(answer.clone().into());
    assert_eq!(lab.story(), "> ACK 1; > BYE 2; orphan 4711");
    assert_eq!(lab.last(&Method::Bye).uri.as_str(), "sip:far@192.0.2.1:5060");
    // Repeated: acknowledged, and told once.
    lab.receive(answer.into());
    assert_eq!(lab.story(), "> ACK 1");
    let fork = orphan(&mut lab, 4_711, "c");
    lab.receive(fork.into());
    assert_eq!(lab.story(), "> ACK 1; > BYE 2");
    lab.assert_clean();
}

#[test]
fn answers_that_are_not_ours_are_not_adopted() {
    let mut lab = Lab::new();
    let mut foreign = orphan(&mut lab, 4_711, "b");
    foreign.headers.set(Name::CallId, "4711.000000000000000000000000@dialer.example");
    lab.receive(foreign.into());
    let ours = orphan(&mut lab, 4_711, "b");
    lab.receive_from(udp(66), ours.clone().into());
    let mut ringing = ours.clone();
    ringing.status = 180;
    lab.receive(ringing.into());
    assert_eq!((lab.story().as_str(), lab.ua.counters().unmatched), ("", 3));
}

#[test]
fn answer_after_we_gave_up_is_an_orphan() {
    let mut lab = Lab::new();
    lab.dial();
    lab.pass_s(40);
    assert!(lab.story().ends_with("ended Timeout"));
    lab.answer();
    assert_eq!(lab.story(), format!("> ACK 1; > BYE 2; orphan {}", CALL.0));
    lab.assert_clean();
}

#[test]
fn very_late_repetition_does_not_end_the_call_that_is_up() {
    let mut lab = Lab::up();
    lab.pass_s(40);
    lab.answer();
    assert_eq!((lab.story().as_str(), lab.ua.calls()), ("", 1));
    // Another fork, as late: it is ended, the call is not, and nobody is told of an orphan.
    lab.respond_as(&Method::Invite, 200, "c", &[], ANSWER);
    assert_eq!(lab.story(), "> ACK 1; > BYE 2");
    assert_eq!(lab.last(&Method::Bye).headers.to().unwrap().tag(), Some("c"));
    assert_eq!(lab.ua.calls(), 1);
}

#[test]
fn replies_for_calls_that_are_not_there_are_ignored() {
    let mut lab = Lab::new();
    let call = CallKey(99);
    lab.feed(Input::Answer { call, sdp: OFFER.into() });
    lab.feed(Input::Reject { call, status: 488 });
    lab.feed(Input::HangUp { call, reason: None });
    lab.feed(Input::Probe { trunk: TrunkKey(99) });
    lab.feed(Input::FlowFailed { flow: udp(99), failure: FlowFailure::Closed });
    lab.feed(Input::Expired(Timer::A));
    assert_eq!(lab.story(), "");
}

#[test]
fn torture_messages_of_a_trunk_leave_us_alive_and_clean() {
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/sip");
    let mut messages = Vec::new();
    for corpus in ["rfc4475", "rfc5118"] {
        let Ok(files) = std::fs::read_dir(format!("{shared}/{corpus}")) else {
            return println!("skipped: no ../shared");
        };
        let paths = files.map(|file| file.unwrap().path());
        let paths = paths.filter(|path| path.extension().is_some_and(|kind| kind == "dat"));
        messages.extend(paths.map(|path| std::fs::read(path).unwrap()));
    }
    assert!(messages.len() > 50);
    let mut lab = Lab::up();
    for (n, message) in messages.into_iter().enumerate() {
        lab.feed(Input::Received { flow: udp(1), data: message.into() });
        lab.story();
        let via = format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKalive{n}");
        lab.receive(outside("OPTIONS", &[(Name::Via, &via)]).into());
        assert_eq!(lab.story(), "> 200 to OPTIONS");
    }
    assert!(lab.sent.iter().all(|(flow, _)| flow.peer.ip() == peer(1).ip()));
    assert_eq!(lab.ua.calls(), 1);
    lab.hang_up();
    lab.respond(&Method::Bye, 200);
    lab.assert_clean();
}

/// A message with some octets changed, taken out or put in.
fn mutated(text: Vec<u8>, changes: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut text = text;
    for (at, kind, octet) in changes {
        let at = at % text.len().max(1);
        match kind % 3 {
            _ if text.is_empty() => text.push(*octet),
            0 => text[at] = *octet,
            1 => text.insert(at, *octet),
            _ => drop(text.remove(at)),
        }
    }
    text
}

proptest! {
    #[test]
    fn any_octets_never_panic(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut lab = Lab::up();
        lab.feed(Input::Received { flow: udp(1), data: data.into() });
        prop_assert_eq!(lab.ua.calls(), 1);
    }

    #[test]
    fn damaged_messages_never_panic_and_leave_nothing_behind(
        choices in proptest::collection::vec((0..12_usize, 0..8_u64), 1..12),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6),
    ) {
        let mut lab = Lab::new();
        lab.dial();
        for (choice, wait_s) in choices {
            let dialed = lab.last(&Method::Invite);
            let text = match choice {
                0 => response(&dialed, 100, "", &[], "").to_bytes(),
                1 => response(&dialed, 183, "b", &[], ANSWER).to_bytes(),
                2 => response(&dialed, 200, "b", &[], ANSWER).to_bytes(),
                3 => response(&dialed, 200, "c", &[], ANSWER).to_bytes(),
                4 => response(&dialed, 486, "b", &[], "").to_bytes(),
                5 => {
                    let extra = [(Name::Require, "100rel"), (Name::RSeq, "1")];
                    response(&dialed, 183, "b", &extra, ANSWER).to_bytes()
                }
                6 => outside("INVITE", &[]).to_bytes(),
                7 => outside("OPTIONS", &[]).to_bytes(),
                choice => {
                    lab.far_cseq += 1;
                    let method = [Method::Bye, Method::Invite, Method::Update, Method::Ack];
                    let method = method[choice - 8].clone();
                    lab.far_request(method, lab.far_cseq, "b", &[], ANSWER).to_bytes()
                }
            };
            let data = mutated(text, &changes).into();
            lab.feed(Input::Received { flow: udp(1), data });
            lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
            lab.pass_s(wait_s);
        }
        lab.hang_up();
        lab.pass_s(140);
        prop_assert_eq!((lab.ua.calls(), lab.ua.transactions()), (0, 0));
        prop_assert_eq!(lab.story().matches("ended").count(), 1);
    }
}
