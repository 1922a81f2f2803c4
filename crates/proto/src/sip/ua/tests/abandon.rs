//! Calls of an earlier life are taken down: what rings is canceled, what is up is hung up.

use bytes::Bytes;

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::parse::parse_datagram;
use crate::sip::transaction::server_invite::Input as Step;
use crate::sip::transaction::{Effect as Done, Finish, ServerInvite};
use crate::sip::ua::tables::server_key;
use crate::sip::ua::*;

const CHALLENGE: &str = "Digest realm=\"sip.example\", nonce=\"n1\", qop=\"auth\"";

fn credentials() -> Option<Credentials> {
    Some(Credentials { username: "outdial".into(), password: "secret".into(), realm: None })
}

fn abandon(lab: &mut Lab) {
    let offer = Bytes::new();
    lab.feed(Input::Abandon(Box::new(Invite { offer, ..invite(CALL) })));
}

/// The CANCEL that a far end finds to belong to the last INVITE of the earlier life.
fn cancel_of_last_invite(earlier: &Lab, later: &Lab) -> Request {
    let invite = earlier.last(&Method::Invite);
    let to = earlier.sent.iter().rev().find(|(_, sent)| *sent == Message::from(invite.clone()));
    let to = to.unwrap().0;
    let key = |request: &Request| {
        server_key(request, &request.headers.via_top().unwrap(), &Method::Invite)
    };
    let mut cancels = later.sent.iter().filter_map(|(flow, sent)| match sent {
        Message::Request(request) if request.method == Method::Cancel && *flow == to => {
            Some(request)
        }
        _ => None,
    });
    let cancel = cancels.find(|cancel| key(cancel) == key(&invite));
    let cancel = cancel.expect("one CANCEL belongs to the INVITE").clone();
    assert_eq!(cancel.uri, invite.uri);
    for name in [Name::Via, Name::From, Name::To, Name::CallId] {
        assert_eq!(cancel.headers.get(name), invite.headers.get(name), "{name:?}");
    }
    assert_eq!(cancel.headers.cseq().unwrap().0, invite.headers.cseq().unwrap().0);
    cancel
}

/// The far end's refusal of the last INVITE of the earlier life.
fn refusal(earlier: &Lab, status: u16) -> Response {
    response(&earlier.last(&Method::Invite), status, "b", &[], "")
}

#[test]
fn ringing_call_of_an_earlier_life_is_canceled() {
    let (mut earlier, mut later) = (Lab::new(), Lab::new());
    earlier.dial();
    earlier.respond(&Method::Invite, 180);
    abandon(&mut later);
    assert_eq!(later.story(), "> CANCEL 1; > CANCEL 2; > CANCEL 3; > CANCEL 4");
    let cancel = cancel_of_last_invite(&earlier, &later);
    assert_eq!(cancel.headers.get(Name::Reason), Some("Q.850;cause=41;text=\"Caller gone\""));
    // It knows the first, and none of the others.
    later.receive(response(&cancel, 200, "b", &[], "").into());
    let others = later.sent.clone();
    for (_, sent) in &others[1..] {
        let Message::Request(other) = sent else { panic!("a response was sent") };
        later.receive(response(other, 481, "x", &[], "").into());
    }
    later.receive(refusal(&earlier, 487).into());
    assert_eq!(later.story(), "> ACK 1");
    later.assert_clean();
    assert_eq!(later.story(), "");
    assert_eq!(later.ua.counters().unmatched, 0);
}

#[test]
fn repeated_487_is_acknowledged_until_the_far_end_has_heard_it() {
    let (mut earlier, mut later) = (Lab::new(), Lab::new());
    earlier.dial();
    abandon(&mut later);
    later.story();
    let mut far = ServerInvite::new(T::Udp);
    far.handle(later.now, Step::Respond(487, refusal(&earlier, 487).to_bytes().into()));
    let invite = earlier.last(&Method::Invite);
    let (mut acks, mut finish) = (0, None);
    while finish.is_none() {
        while let Some(effect) = far.poll() {
            match effect {
                Done::Send(data) | Done::Resend(data) => {
                    later.sent.clear();
                    later.feed(Input::Received { flow: udp(1), data });
                    let ack = later.last(&Method::Ack);
                    assert_eq!(ack.uri, invite.uri);
                    assert_eq!(ack.headers.get(Name::Via), invite.headers.get(Name::Via));
                    assert_eq!(ack.headers.to().unwrap().tag(), Some("b"));
                    acks += 1;
                    // The first two are lost.
                    if acks == 3 {
                        far.handle(later.now, Step::Ack);
                    }
                }
                Done::Terminated(how) => finish = Some(how),
                Done::Deliver => {}
            }
        }
        if let Some((at, timer)) = far.deadline() {
            later.pass(at.saturating_duration_since(later.now));
            far.handle(later.now, Step::Expired(timer));
        }
    }
    assert_eq!((acks, finish), (3, Some(Finish::Done)));
}

#[test]
fn any_refusal_of_an_earlier_life_is_acknowledged_and_foreign_ones_are_not() {
    let (mut earlier, mut later) = (Lab::new(), Lab::new());
    earlier.dial();
    later.receive(refusal(&earlier, 486).into());
    assert_eq!(later.story(), "> ACK 1");
    let mut foreign = refusal(&earlier, 486);
    foreign.headers.set(Name::CallId, "7.000000000000000000000000@dialer.example");
    later.receive(foreign.into());
    later.receive(refusal(&earlier, 180).into());
    later.receive_from(udp(66), refusal(&earlier, 486).into());
    assert_eq!((later.story().as_str(), later.ua.counters().unmatched), ("", 3));
}

#[test]
fn call_answered_meanwhile_is_an_orphan() {
    let (mut earlier, mut later) = (Lab::new(), Lab::new());
    earlier.dial();
    abandon(&mut later);
    later.story();
    let answer = response(&earlier.last(&Method::Invite), 200, "b", &[], ANSWER);
    later.receive(answer.into());
    assert_eq!(later.story(), format!("> ACK 1; > BYE 2; orphan {}", CALL.0));
    later.pass_s(40);
    // Nobody answers: everything is repeated in its time, and then forgotten.
    assert!(later.story().contains("> CANCEL 1"));
    later.assert_clean();
}

#[test]
fn invite_that_was_sent_again_with_a_password_is_canceled_too() {
    for (status, name) in [(401, Name::WwwAuthenticate), (407, Name::ProxyAuthenticate)] {
        let mut earlier = Lab::with(config(), &[target(T::Udp, 1)], credentials());
        let mut later = Lab::with(config(), &[target(T::Udp, 1)], credentials());
        earlier.dial();
        earlier.respond_as(&Method::Invite, status, "a", &[(name, CHALLENGE)], "");
        earlier.respond(&Method::Invite, 180);
        assert!(earlier.story().ends_with("> INVITE 2 sdp; progress 180 b"));
        abandon(&mut later);
        cancel_of_last_invite(&earlier, &later);
        later.story();
        later.receive(refusal(&earlier, 487).into());
        assert_eq!(later.story(), "> ACK 2");
    }
}

#[test]
fn invite_that_went_to_another_address_is_canceled_there() {
    let targets = [target(T::Udp, 1), target(T::Udp, 2)];
    let mut earlier = Lab::with(config(), &targets, credentials());
    let mut later = Lab::with(config(), &targets, credentials());
    earlier.dial();
    earlier.respond(&Method::Invite, 503);
    assert!(earlier.story().ends_with("> INVITE 1 sdp at 192.0.2.2:5060"));
    abandon(&mut later);
    cancel_of_last_invite(&earlier, &later);
    let extra = [(Name::ProxyAuthenticate, CHALLENGE)];
    let asked = response(&earlier.last(&Method::Invite), 407, "b", &extra, "");
    earlier.receive_from(udp(2), asked.into());
    assert!(earlier.story().ends_with("> INVITE 2 sdp at 192.0.2.2:5060"));
    cancel_of_last_invite(&earlier, &later);
    later.story();
    later.receive_from(udp(2), refusal(&earlier, 487).into());
    assert_eq!(later.story(), "> ACK 2 at 192.0.2.2:5060");
}

#[test]
fn refusal_is_acknowledged_at_the_port_it_came_from() {
    let beside = Target {
        flow: Flow { transport: T::Udp, peer: "192.0.2.1:5080".parse().unwrap() },
        server_name: None,
    };
    let targets = [target(T::Udp, 1), beside.clone()];
    let (mut earlier, mut later) = (Lab::new(), Lab::with(config(), &targets, None));
    earlier.dial();
    later.receive_from(beside.flow, refusal(&earlier, 486).into());
    assert_eq!(later.story(), "> ACK 1 at 192.0.2.1:5080");
}

#[test]
fn withheld_number_and_tls_change_nothing() {
    let withheld = |call| Invite { caller_id: CallerId::Withheld, ..invite(call) };
    let (mut earlier, mut later) = (Lab::on(T::Tls), Lab::on(T::Tls));
    earlier.feed(Input::Invite(Box::new(withheld(CALL))));
    later.feed(Input::Abandon(Box::new(withheld(CALL))));
    assert_eq!(later.sent.len(), 4);
    assert!(later.story().starts_with("> CANCEL 1 (sip.example); "));
    let cancel = cancel_of_last_invite(&earlier, &later);
    let from = cancel.headers.get(Name::From).unwrap();
    assert!(from.starts_with("\"Anonymous\""), "{from}");
    later.feed(Input::FlowFailed { flow: flow(T::Tls, 1), failure: FlowFailure::Unreachable });
    assert_eq!(later.story(), "");
    later.assert_clean();
}

#[test]
fn unknown_trunk_and_a_live_call_are_left_alone() {
    let mut lab = Lab::new();
    let trunk = TrunkKey(99);
    lab.feed(Input::Abandon(Box::new(Invite { trunk, ..invite(CALL) })));
    lab.dial();
    lab.story();
    abandon(&mut lab);
    lab.answer();
    lab.story();
    lab.feed(Input::AbandonDialog { trunk: TRUNK, seed: seed_of(&mut Lab::new()) });
    assert_eq!((lab.story().as_str(), lab.ua.calls()), ("", 1));
}

#[test]
fn many_addresses_and_many_calls_stay_bounded() {
    let targets: Vec<Target> = (1..=20).map(|n| target(T::Udp, n)).collect();
    let limits = Limits { transactions_max: 100, ..Limits::default() };
    let mut lab = Lab::with(UaConfig { limits, ..config() }, &targets, None);
    abandon(&mut lab);
    assert_eq!(lab.ua.transactions(), 32);
    // The same again is under way already.
    abandon(&mut lab);
    assert_eq!(lab.ua.transactions(), 32);
    for call in 100..200 {
        lab.feed(Input::Abandon(Box::new(invite(CallKey(call)))));
    }
    assert_eq!(lab.ua.transactions(), 100);
    lab.assert_clean();
}

/// Lets a life answer the call; what it keeps of it.
fn seed_of(earlier: &mut Lab) -> DialogSeed {
    earlier.ua.handle(earlier.now, Input::Invite(Box::new(invite(CALL))));
    let mut sent = None;
    while let Some(effect) = earlier.ua.poll() {
        if let Effect::Send { data, .. } = effect {
            sent = Some(data);
        }
    }
    let Ok(Message::Request(invite)) = parse_datagram(&sent.unwrap()) else { panic!("no INVITE") };
    let extra = [
        (Name::Contact, "<sip:+16175550101@192.0.2.77:5070>"),
        (Name::RecordRoute, "<sip:10.0.0.9;lr>, <sip:192.0.2.2;lr>"),
    ];
    let answer = response(&invite, 200, "b", &extra, ANSWER);
    let data = Bytes::from(answer.to_bytes());
    earlier.ua.handle(earlier.now, Input::Received { flow: udp(1), data });
    let kept = std::iter::from_fn(|| earlier.ua.poll()).find_map(|effect| match effect {
        Effect::Answered { seed, .. } => seed,
        _ => None,
    });
    kept.expect("an answered call leaves a seed")
}

fn hang_up_seed(later: &mut Lab, seed: &DialogSeed) {
    let seed = DialogSeed::new(seed.as_str());
    later.feed(Input::AbandonDialog { trunk: TRUNK, seed });
}

#[test]
fn answered_call_of_an_earlier_life_is_hung_up_by_its_route() {
    let (mut earlier, mut later) = (Lab::new(), Lab::new());
    let seed = seed_of(&mut earlier);
    hang_up_seed(&mut later, &seed);
    earlier.hang_up();
    let (ours, bye) = (earlier.last(&Method::Bye), later.last(&Method::Bye));
    assert_eq!(bye.uri, ours.uri);
    for name in [Name::From, Name::To, Name::CallId] {
        assert_eq!(bye.headers.get(name), ours.headers.get(name), "{name:?}");
    }
    let routes = |request: &Request| {
        request.headers.get_all(Name::Route).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(routes(&bye), routes(&ours));
    // Behind all that the earlier life may have sent since.
    assert_eq!(later.story(), "> BYE 10002 at 192.0.2.2:5060");
    later.receive_from(udp(2), response(&bye, 481, "", &[], "").into());
    later.assert_clean();
}

#[test]
fn challenged_bye_of_an_earlier_life_is_proved() {
    let mut later = Lab::with(config(), &[target(T::Udp, 1), target(T::Udp, 2)], credentials());
    hang_up_seed(&mut later, &seed_of(&mut Lab::new()));
    later.story();
    let extra = [(Name::ProxyAuthenticate, CHALLENGE)];
    let asked = response(&later.last(&Method::Bye), 407, "b", &extra, "");
    later.receive_from(udp(2), asked.into());
    assert_eq!(later.story(), "> BYE 10003 at 192.0.2.2:5060");
}

#[test]
fn seeds_that_are_none_of_ours_are_ignored() {
    let ours = seed_of(&mut Lab::new());
    let text = ours.as_str();
    let foreign = text.replace("Call-ID: 7.", "Call-ID: 8.");
    assert_ne!(foreign, text);
    let cut = &text[..text.len() / 2];
    let call = "INVITE sip:a@b SIP/2.0\r\n\r\n";
    let mut later = Lab::new();
    for text in ["", "\0\0", call, cut, foreign.as_str()] {
        later.feed(Input::AbandonDialog { trunk: TRUNK, seed: DialogSeed::new(text) });
    }
    later.feed(Input::AbandonDialog { trunk: TrunkKey(99), seed: ours });
    assert_eq!(later.story(), "");
    later.assert_clean();
}

#[test]
fn trunk_that_moved_gets_the_bye_at_its_new_address() {
    let mut earlier = Lab::new();
    earlier.dial();
    let extra = [(Name::Contact, "<sip:bo@pbx.example>")];
    earlier.ua.handle(earlier.now, {
        let answer = response(&earlier.last(&Method::Invite), 200, "b", &extra, ANSWER);
        Input::Received { flow: udp(1), data: answer.to_bytes().into() }
    });
    let seed = std::iter::from_fn(|| earlier.ua.poll()).find_map(|effect| match effect {
        Effect::Answered { seed, .. } => seed,
        _ => None,
    });
    let seed = seed.unwrap();
    // By its name the callee is behind the address that the INVITE went to, or the trunk's first.
    for (targets, expected) in [
        (vec![target(T::Udp, 2), target(T::Udp, 1)], "> BYE 10002"),
        (vec![target(T::Udp, 3)], "> BYE 10002 at 192.0.2.3:5060"),
    ] {
        let mut later = Lab::with(config(), &targets, None);
        hang_up_seed(&mut later, &seed);
        assert_eq!(later.story(), expected);
    }
}
