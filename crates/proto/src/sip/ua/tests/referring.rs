//! Referrals: what the far end says of them, in every order, and nothing at all.

use super::lab::*;
use crate::sip::message::Method;
use crate::sip::name::Name;
use crate::sip::ua::*;
use crate::sip::uri::Uri;

const OTHER: &str = "sip:+16175550199@sip.example";

/// A call whose far end was asked to call somebody else.
fn referring() -> Lab {
    let mut lab = Lab::up();
    lab.feed(Input::Refer { call: CALL, to: Uri::parse(OTHER).unwrap() });
    assert_eq!(lab.story(), "> REFER 2");
    lab
}

/// The far end tells how it goes: state of the subscription, and the fragment.
fn notify(lab: &mut Lab, event: &str, state: &str, fragment: &str) {
    lab.far_cseq += 1;
    let headers = [(Name::Event, event), (Name::SubscriptionState, state)];
    let mut request = lab.far_request(Method::Notify, lab.far_cseq, "b", &headers, "");
    if !fragment.is_empty() {
        request.set_body("message/sipfrag;version=2.0", fragment.to_owned());
    }
    lab.receive(request.into());
}

#[test]
fn far_end_that_reaches_the_other_has_done_it() {
    let mut lab = referring();
    let refer = lab.last(&Method::Refer);
    let header = |name| refer.headers.get(name).unwrap_or_default().to_owned();
    assert_eq!(header(Name::ReferTo), format!("<{OTHER}>"));
    assert_eq!(header(Name::Supported), "norefersub");
    assert!(header(Name::Allow).ends_with(", NOTIFY"), "{}", header(Name::Allow));
    assert!(refer.headers.has(Name::Contact));
    lab.respond(&Method::Refer, 202);
    assert_eq!(lab.story(), "");
    notify(&mut lab, "refer", "active;expires=60", "SIP/2.0 100 Trying");
    notify(&mut lab, "refer;id=2", "active", "SIP/2.0 180 Ringing\r\n");
    assert_eq!(lab.story(), "> 200 to NOTIFY; > 200 to NOTIFY");
    notify(&mut lab, "refer", "terminated;reason=noresource", "SIP/2.0 200 OK\r\nTo: x\r\n");
    assert_eq!(lab.story(), "> 200 to NOTIFY; referred Done");
    // It was the last: whoever tells more of it is too late.
    notify(&mut lab, "refer", "terminated", "SIP/2.0 486 Busy Here");
    assert_eq!(lab.story(), "> 481 to NOTIFY");
    lab.hang_up();
    lab.respond(&Method::Bye, 200);
    assert_eq!(lab.story(), "> BYE 3; ended Us 200");
    lab.assert_clean();
}

#[test]
fn what_is_told_of_a_referral_is_its_result() {
    // (event, state, fragment) → what is said besides the answer to NOTIFY
    let cases = [
        ("refer", "terminated", "SIP/2.0 486 Busy Here", "200; referred Failed(486)"),
        ("refer", "active", "SIP/2.0 603 Decline", "200; referred Failed(603)"),
        ("REFER ; id=2", "Terminated", "sip/2.0 200 OK", "200; referred Done"),
        // The last word is no result.
        ("refer", "terminated;reason=timeout", "SIP/2.0 180 Ringing", "200; referred Unknown"),
        ("refer", "terminated", "", "200; referred Unknown"),
        ("refer", "terminated", "Hello", "200; referred Unknown"),
        ("refer", "terminated", "SIP/2.0 99 Odd", "200; referred Unknown"),
        ("refer", "terminated", "SIP/2.0 20000 Odd", "200; referred Unknown"),
        ("refer", "terminated", "SIP/2.0", "200; referred Unknown"),
        ("refer", "active", "INVITE sip:x SIP/2.0", "200"),
        ("refer", "pending", "", "200"),
        // Of another REFER, and of nothing that we asked for.
        ("refer;id=77", "terminated", "SIP/2.0 200 OK", "481"),
        ("presence", "terminated", "SIP/2.0 200 OK", "489"),
        ("", "terminated", "SIP/2.0 200 OK", "489"),
    ];
    for (event, state, fragment, expected) in cases {
        let mut lab = referring();
        lab.respond(&Method::Refer, 202);
        notify(&mut lab, event, state, fragment);
        let (status, rest) = expected.split_once(';').unwrap_or((expected, ""));
        let separator = if rest.is_empty() { "" } else { ";" };
        let expected = format!("> {status} to NOTIFY{separator}{rest}");
        assert_eq!(lab.story(), expected, "{event} {state} {fragment}");
    }
}

#[test]
fn refused_referrals_say_why_and_the_call_goes_on() {
    for status in [405, 420, 481, 501, 603] {
        let mut lab = referring();
        lab.respond(&Method::Refer, 100);
        lab.respond(&Method::Refer, status);
        assert_eq!(lab.story(), format!("referred Refused({status})"));
        assert_eq!(lab.ua.calls(), 1);
    }
}

#[test]
fn far_end_without_subscription_has_done_it_when_it_takes_the_task() {
    let mut lab = referring();
    let request = lab.last(&Method::Refer);
    let mut taken = response(&request, 202, "b", &[], "");
    taken.headers.push_other(&crate::sip::Token::new("Refer-Sub").unwrap(), "false");
    lab.receive(taken.into());
    assert_eq!(lab.story(), "referred Done");
}

#[test]
fn far_end_that_says_nothing_is_not_waited_for_for_ever() {
    // No answer at all.
    let mut lab = referring();
    lab.pass_s(50);
    assert!(lab.story().ends_with("referred Refused(0)"), "no answer to REFER");
    // No NOTIFY.
    let mut lab = referring();
    lab.respond(&Method::Refer, 202);
    assert_eq!(lab.wait(), 10);
    assert_eq!(lab.story(), "referred Unknown");
    // Ringing without end.
    let mut lab = referring();
    lab.respond(&Method::Refer, 202);
    notify(&mut lab, "refer", "active", "SIP/2.0 180 Ringing");
    assert_eq!(lab.story(), "> 200 to NOTIFY");
    assert_eq!(lab.wait(), 185);
    assert_eq!(lab.story(), "referred Unknown");
    assert_eq!(lab.ua.calls(), 1);
}

#[test]
fn notify_may_overtake_the_answer_to_the_refer() {
    let mut lab = referring();
    notify(&mut lab, "refer", "active", "SIP/2.0 100 Trying");
    lab.respond(&Method::Refer, 202);
    lab.pass_s(20);
    notify(&mut lab, "refer", "terminated", "SIP/2.0 200 OK");
    assert_eq!(lab.story(), "> 200 to NOTIFY; > 200 to NOTIFY; referred Done");
    let mut lab = referring();
    notify(&mut lab, "refer", "terminated", "SIP/2.0 200 OK");
    assert_eq!(lab.story(), "> 200 to NOTIFY; referred Done");
    lab.respond(&Method::Refer, 202);
    assert_eq!(lab.story(), "");
}

#[test]
fn far_end_that_takes_the_task_and_hangs_up_has_done_it() {
    let mut lab = referring();
    lab.respond(&Method::Refer, 202);
    lab.ask(Method::Bye, &[], "");
    assert_eq!(lab.story(), "> 200 to BYE; referred Done; ended Far 200");
    // One that hangs up before has not.
    let mut lab = referring();
    lab.ask(Method::Bye, &[], "");
    assert_eq!(lab.story(), "> 200 to BYE; ended Far 200");
}

#[test]
fn challenge_is_met_once_and_its_notify_names_the_second_refer() {
    let credentials = Credentials { username: "me".into(), password: "secret".into(), realm: None };
    let mut lab = Lab::with(config(), &[target(Transport::Udp, 1)], Some(credentials));
    lab.dial();
    lab.answer();
    lab.story();
    lab.feed(Input::Refer { call: CALL, to: Uri::parse(OTHER).unwrap() });
    let challenge = [(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"")];
    lab.respond_as(&Method::Refer, 401, "b", &challenge, "");
    assert_eq!(lab.story(), "> REFER 2; > REFER 3");
    assert!(lab.last(&Method::Refer).headers.has(Name::Authorization));
    lab.respond(&Method::Refer, 202);
    notify(&mut lab, "refer;id=2", "terminated", "SIP/2.0 200 OK");
    notify(&mut lab, "refer;id=3", "terminated", "SIP/2.0 200 OK");
    assert_eq!(lab.story(), "> 481 to NOTIFY; > 200 to NOTIFY; referred Done");
}

#[test]
fn only_one_referral_at_a_time_and_only_of_a_call_that_is_up() {
    let to = || Uri::parse(OTHER).unwrap();
    let mut lab = referring();
    lab.feed(Input::Refer { call: CALL, to: to() });
    assert_eq!(lab.story(), "");
    let mut lab = Lab::new();
    lab.dial();
    lab.story();
    lab.feed(Input::Refer { call: CALL, to: to() });
    assert_eq!(lab.story(), "");
}

#[test]
fn nobody_else_decides_whom_we_call() {
    let mut lab = Lab::up();
    let refer = lab.ask(Method::Refer, &[(Name::ReferTo, "<sip:+19005550100@evil.example>")], "");
    assert_eq!(lab.story(), "> 405 to REFER");
    let allow = lab.last_response(&Method::Refer);
    assert!(!allow.headers.get(Name::Allow).unwrap().contains("REFER"));
    // Not even by a call that is to take the place of this one (RFC 3891): of none is told that it
    // is there.
    let replaces = format!("{};to-tag=b;from-tag=a", refer.headers.call_id().unwrap());
    let mut invite = lab.far_request(Method::Invite, 7, "z", &[], "");
    invite.headers.set(Name::CallId, "another@call");
    invite.headers.set(Name::To, "<sip:+16175550100@dialer.example>");
    invite.headers.push(Name::Replaces, &replaces);
    lab.receive(invite.clone().into());
    assert_eq!(lab.story(), "> 481 to INVITE");
    invite.headers.set(Name::CallId, "required@call");
    invite.headers.set(Name::Via, "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKrequired");
    invite.headers.set(Name::Require, "replaces");
    lab.receive(invite.clone().into());
    assert_eq!(lab.story(), "> 420 to INVITE");
    let refused = lab.last_response(&Method::Invite);
    assert_eq!(refused.headers.get(Name::Unsupported), Some("replaces"));
    invite.headers.set(Name::CallId, "twice@call");
    invite.headers.set(Name::Via, "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKtwice");
    invite.headers.set(Name::Require, "timer");
    invite.headers.push(Name::Replaces, &replaces);
    lab.receive(invite.clone().into());
    assert_eq!(lab.story(), "> 400 to INVITE");
    invite.headers.set(Name::CallId, "plain@call");
    invite.headers.set(Name::Via, "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKplain");
    invite.headers.remove(Name::Replaces);
    lab.receive(invite.into());
    assert_eq!(lab.story(), "> 480 to INVITE");
    assert_eq!(lab.ua.calls(), 1);
}

/// Whom the callee is consulted about.
const PARTNER: CallKey = CallKey(8);
const KNOWS: (Name, &str) = (Name::Supported, "timer, Replaces");

/// Two calls that are up: a callee's, and his partner's; what their far ends say of themselves.
fn consulting(callee: &[(Name, &str)], partner: &[(Name, &str)]) -> Lab {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond_as(&Method::Invite, 200, "b", callee, ANSWER);
    lab.feed(Input::Invite(Box::new(invite(PARTNER))));
    lab.respond_as(&Method::Invite, 200, "p!1", partner, ANSWER);
    lab.story();
    lab
}

fn in_place() -> Input {
    Input::ReferInPlaceOf { call: CALL, other: PARTNER }
}

#[test]
fn far_end_is_asked_to_take_our_place_in_another_call_as_its_far_end_knows_it() {
    let contact = (Name::Contact, "\"P\" <sip:p@192.0.2.1:5070;transport=udp>;q=1");
    let mut lab = consulting(&[KNOWS], &[KNOWS, contact]);
    lab.feed(in_place());
    assert_eq!(lab.story(), "> REFER 2");
    let refer = lab.last(&Method::Refer);
    let ours = invite(PARTNER).identity;
    let call_id = ours.call_id.replace('@', "%40");
    let place = format!("{call_id}%3Bto-tag%3Dp!1%3Bfrom-tag%3D{}", ours.from_tag);
    assert_eq!(
        refer.headers.get(Name::ReferTo),
        Some(&*format!("<sip:p@192.0.2.1:5070;transport=udp?Replaces={place}&Require=replaces>"))
    );
    // It is asked in its own call, and must tell how that goes: till then we stay.
    assert_eq!(refer.headers.call_id().unwrap(), invite(CALL).identity.call_id);
    assert!(!refer.headers.has(Name::Supported));
    let mut taken = response(&refer, 202, "b", &[], "");
    taken.headers.push_other(&crate::sip::Token::new("Refer-Sub").unwrap(), "false");
    lab.receive(taken.into());
    assert_eq!(lab.story(), "");
    notify(&mut lab, "refer", "active", "SIP/2.0 100 Trying");
    notify(&mut lab, "refer", "terminated", "SIP/2.0 200 OK");
    assert_eq!(lab.story(), "> 200 to NOTIFY; > 200 to NOTIFY; referred Done");
    assert_eq!(lab.ua.calls(), 2);
}

#[test]
fn place_that_cannot_be_taken_is_told_and_both_calls_go_on() {
    for (status, fragment) in [("481", "481 Gone"), ("420", "420 Bad Extension")] {
        let mut lab = consulting(&[KNOWS], &[KNOWS]);
        lab.feed(in_place());
        lab.respond(&Method::Refer, 202);
        notify(&mut lab, "refer", "terminated", &format!("SIP/2.0 {fragment}"));
        let story = format!("> REFER 2; > 200 to NOTIFY; referred Failed({status})");
        assert_eq!(lab.story(), story);
        assert_eq!(lab.ua.calls(), 2);
    }
    let mut lab = consulting(&[KNOWS], &[KNOWS]);
    lab.feed(in_place());
    lab.respond(&Method::Refer, 405);
    assert_eq!(lab.story(), "> REFER 2; referred Refused(405)");
    assert_eq!(lab.ua.calls(), 2);
}

/// Nobody rings twice: who does not know Replaces would take the new call for a new one.
#[test]
fn nothing_is_asked_where_one_of_the_two_does_not_know_replaces_or_is_not_up() {
    let nobody = (Name::Supported, "timer");
    for (callee, partner) in [
        (&[][..], &[KNOWS][..]),
        (&[KNOWS][..], &[][..]),
        (&[nobody][..], &[KNOWS][..]),
        // Of RFC 2543: without a tag there is no place to name.
        (&[KNOWS][..], &[KNOWS, (Name::To, "<sip:+16175550101@sip.example>")][..]),
        (&[KNOWS][..], &[KNOWS, (Name::Contact, "<sip:nobody@192.0.2.1?x=y>")][..]),
    ] {
        let mut lab = consulting(callee, partner);
        lab.feed(in_place());
        let asked = lab.story();
        match partner.get(1) {
            // Headers of a Contact are none of ours.
            Some((Name::Contact, _)) => {
                assert_eq!(asked, "> REFER 2");
                let to = lab.last(&Method::Refer).headers.get(Name::ReferTo).unwrap().to_owned();
                assert!(to.starts_with("<sip:nobody@192.0.2.1?Replaces="), "{to}");
            }
            _ => assert_eq!(asked, "referred Refused(0)", "{callee:?} {partner:?}"),
        }
    }
    let mut lab = consulting(&[KNOWS], &[KNOWS]);
    for other in [CALL, CallKey(99)] {
        lab.feed(Input::ReferInPlaceOf { call: CALL, other });
        assert_eq!(lab.story(), "referred Refused(0)");
    }
    lab.feed(Input::HangUp { call: PARTNER, reason: None });
    lab.story();
    lab.feed(in_place());
    assert_eq!(lab.story(), "referred Refused(0)");
    // Another trunk's far ends do not know each other.
    let mut lab = Lab::new();
    let trunk = TrunkKey(2);
    let targets = vec![target(Transport::Udp, 1)];
    lab.feed(Input::Trunk { trunk, targets, sources: Vec::new(), credentials: None });
    lab.dial();
    lab.respond_as(&Method::Invite, 200, "b", &[KNOWS], ANSWER);
    lab.feed(Input::Invite(Box::new(Invite { trunk, ..invite(PARTNER) })));
    lab.respond_as(&Method::Invite, 200, "p", &[KNOWS], ANSWER);
    lab.story();
    lab.feed(in_place());
    assert_eq!(lab.story(), "referred Refused(0)");
}
