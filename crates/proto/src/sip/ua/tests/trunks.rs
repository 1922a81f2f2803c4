//! Registrations and probes.

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::message::Method;
use crate::sip::name::Name;
use crate::sip::ua::*;
use crate::sip::uri::Uri;

const CHALLENGE: &str = "Digest realm=\"sip.example\", nonce=\"n1\", qop=\"auth\"";

fn register(lab: &mut Lab) {
    let aor = Uri::parse("sip:17@sip.example").unwrap();
    lab.feed(Input::Register { trunk: TRUNK, aor, expires_s: 600 });
}

fn lab() -> Lab {
    let credentials = Credentials { username: "17".into(), password: "p".into(), realm: None };
    let targets = [target(T::Udp, 1), target(T::Udp, 2)];
    let mut lab = Lab::with(config(), &targets, Some(credentials));
    register(&mut lab);
    lab
}

#[test]
fn registration_is_made_kept_and_ended() {
    let mut lab = lab();
    assert_eq!(lab.story(), "> REGISTER 1");
    let sent = lab.last(&Method::Register);
    assert_eq!(sent.uri.as_str(), "sip:sip.example");
    assert_eq!(sent.headers.get(Name::To), Some("<sip:17@sip.example>"));
    assert_eq!(sent.headers.get(Name::Contact), Some("<sip:17@198.51.100.1:5060>;expires=600"));
    let contact = "<sip:else@203.0.113.1>;expires=9, <sip:17@198.51.100.1:5060>;expires=300";
    lab.respond_as(&Method::Register, 200, "r", &[(Name::Contact, contact)], "");
    assert_eq!(lab.story(), "Registered { expires_s: 300 }");
    let waited_s = lab.wait();
    assert!((210..=240).contains(&waited_s), "{waited_s}");
    assert_eq!(lab.story(), "> REGISTER 2");
    let again = lab.last(&Method::Register);
    assert_eq!(sent.headers.get(Name::CallId), again.headers.get(Name::CallId));
    lab.respond_as(&Method::Register, 200, "r", &[(Name::Expires, "60")], "");
    assert_eq!(lab.story(), "Registered { expires_s: 60 }");
    lab.feed(Input::Unregister { trunk: TRUNK });
    assert_eq!(lab.story(), "> REGISTER 3");
    let goodbye = lab.last(&Method::Register);
    assert_eq!(goodbye.headers.get(Name::Contact), Some("<sip:17@198.51.100.1:5060>;expires=0"));
    lab.respond(&Method::Register, 200);
    assert_eq!(lab.story(), "Unregistered");
    lab.assert_clean();
}

#[test]
fn challenged_registration_is_proved_and_the_next_one_at_once() {
    let mut lab = lab();
    lab.respond_as(&Method::Register, 401, "r", &[(Name::WwwAuthenticate, CHALLENGE)], "");
    assert_eq!(lab.story(), "> REGISTER 1; > REGISTER 2");
    lab.respond(&Method::Register, 200);
    assert_eq!(lab.story(), "Registered { expires_s: 600 }");
    lab.wait();
    assert_eq!(lab.story(), "> REGISTER 3");
    assert!(lab.last(&Method::Register).headers.has(Name::Authorization));
}

#[test]
fn wrong_password_backs_off() {
    let mut lab = lab();
    for _ in 0..2 {
        lab.respond_as(&Method::Register, 401, "r", &[(Name::WwwAuthenticate, CHALLENGE)], "");
    }
    let story = lab.story();
    assert!(story.starts_with("> REGISTER 1; > REGISTER 2; Failed { status: Some(401)"), "{story}");
    let waited_s = lab.wait();
    assert!((15..=30).contains(&waited_s), "{waited_s}");
    assert_eq!(lab.story(), "> REGISTER 3");
}

#[test]
fn registrar_that_wants_longer_gets_longer() {
    let mut lab = lab();
    lab.respond_as(&Method::Register, 423, "r", &[(Name::MinExpires, "1800")], "");
    assert_eq!(lab.story(), "> REGISTER 1; > REGISTER 2");
    assert_eq!(lab.last(&Method::Register).headers.get(Name::Expires), Some("1800"));
    lab.respond(&Method::Register, 200);
    assert_eq!(lab.story(), "Registered { expires_s: 1800 }");
}

#[test]
fn registration_goes_to_the_next_address_when_one_fails() {
    let mut lab = lab();
    lab.feed(Input::FlowFailed { flow: udp(1), failure: FlowFailure::Unreachable });
    assert_eq!(lab.story(), "> REGISTER 1; > REGISTER 2 at 192.0.2.2:5060");
    lab.respond_as(&Method::Register, 503, "r", &[(Name::RetryAfter, "100")], "");
    let story = lab.story();
    assert!(story.starts_with("Failed { status: Some(503), retry_in: 100s"), "{story}");
    lab.pass_s(100);
    assert!(lab.story().starts_with("> REGISTER 3"));
}

#[test]
fn silent_registrar_fails_after_all_addresses_were_tried() {
    let mut lab = lab();
    lab.pass_s(65);
    let story = lab.story();
    assert_eq!(story.matches("> REGISTER 1").count(), 11);
    assert_eq!(story.matches("> REGISTER 2 at 192.0.2.2:5060").count(), 11);
    assert!(story.contains("Failed { status: None"), "{story}");
}

#[test]
fn unknown_trunk_cannot_be_registered_with_and_needs_no_goodbye() {
    let mut lab = Lab::new();
    let (trunk, aor) = (TrunkKey(9), Uri::parse("sip:a@b").unwrap());
    lab.feed(Input::Register { trunk, aor, expires_s: 60 });
    lab.feed(Input::Unregister { trunk });
    lab.feed(Input::Unregister { trunk: TRUNK });
    assert_eq!(lab.story(), "Failed { status: None, retry_in: 0ns }; Unregistered; Unregistered");
    // An address of record without a host has no registrar.
    let aor = Uri::parse("tel:+1617").unwrap();
    lab.feed(Input::Register { trunk: TRUNK, aor, expires_s: 60 });
    assert!(lab.story().starts_with("Failed { status: None"));
}

#[test]
fn trunk_that_is_forgotten_takes_its_registration_along() {
    let mut lab = lab();
    lab.story();
    let forgotten =
        Input::Trunk { trunk: TRUNK, targets: vec![], sources: vec![], credentials: None };
    lab.feed(forgotten);
    lab.respond(&Method::Register, 200);
    lab.pass_s(1_000);
    assert!(!lab.story().contains("Registered"));
    assert_eq!(lab.ua.deadline(), None);
    lab.dial();
    assert_eq!(lab.story(), "ended NotSent");
}

fn probe(lab: &mut Lab) {
    lab.feed(Input::Probe { trunk: TRUNK });
}

#[test]
fn any_final_answer_to_a_probe_means_alive_but_those_that_say_otherwise() {
    for status in [200, 404, 405, 481, 500, 603] {
        let mut lab = Lab::new();
        probe(&mut lab);
        lab.pass(std::time::Duration::from_millis(20));
        lab.respond(&Method::Options, 100);
        lab.respond(&Method::Options, status);
        assert_eq!(
            lab.story(),
            format!(
                "> OPTIONS 1; probed 192.0.2.1:5060 Alive {{ status: {status}, round_trip: 20ms }}"
            )
        );
        lab.assert_clean();
    }
    for status in [408, 503] {
        let mut lab = Lab::new();
        probe(&mut lab);
        lab.respond(&Method::Options, status);
        assert_eq!(
            lab.story(),
            format!("> OPTIONS 1; probed 192.0.2.1:5060 Down {{ status: Some({status}) }}")
        );
    }
}

#[test]
fn every_address_is_asked_once_at_a_time() {
    let targets = [target(T::Udp, 1), target(T::Tls, 2)];
    let mut lab = Lab::with(config(), &targets, None);
    probe(&mut lab);
    probe(&mut lab);
    assert_eq!(lab.story(), "> OPTIONS 1; > OPTIONS 1 at 192.0.2.2:5060 (sip.example)");
    let sent = lab.last(&Method::Options);
    assert_eq!(sent.uri.as_str(), "sip:sip.example:5060;transport=tls");
    lab.pass_s(33);
    let story = lab.story();
    assert!(story.contains("probed 192.0.2.1:5060 Down { status: None }"), "{story}");
    assert!(story.contains("probed 192.0.2.2:5060 Down { status: None }"), "{story}");
    probe(&mut lab);
    assert_eq!(lab.story().matches("> OPTIONS").count(), 2);
}

#[test]
fn address_that_a_probe_found_dead_is_called_last() {
    let targets = [target(T::Udp, 1), target(T::Udp, 2)];
    let mut lab = Lab::with(config(), &targets, None);
    probe(&mut lab);
    lab.feed(Input::FlowFailed { flow: udp(1), failure: FlowFailure::Unreachable });
    lab.story();
    lab.dial();
    assert_eq!(lab.story(), "> INVITE 1 sdp at 192.0.2.2:5060; sent");
    probe(&mut lab);
    let asked = lab.sent.iter().rev().find(|(flow, _)| *flow == udp(1)).unwrap().1.clone();
    let crate::sip::Message::Request(asked) = asked else { panic!("an OPTIONS") };
    lab.receive(response(&asked, 200, "x", &[], "").into());
    lab.story();
    lab.feed(Input::Invite(Box::new(invite(CallKey(8)))));
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent");
}

#[test]
fn challenged_probe_is_proved_or_alive_as_it_is() {
    let mut lab = Lab::new();
    probe(&mut lab);
    let extra = [(Name::WwwAuthenticate, CHALLENGE)];
    lab.respond_as(&Method::Options, 401, "x", &extra, "");
    assert!(lab.story().ends_with("Alive { status: 401, round_trip: 0ns }"));
    let credentials = Credentials { username: "u".into(), password: "p".into(), realm: None };
    let mut lab = Lab::with(config(), &[target(T::Udp, 1)], Some(credentials));
    probe(&mut lab);
    lab.respond_as(&Method::Options, 401, "x", &extra, "");
    lab.respond(&Method::Options, 200);
    assert_eq!(
        lab.story(),
        "> OPTIONS 1; > OPTIONS 2; probed 192.0.2.1:5060 Alive { status: 200, round_trip: 0ns }"
    );
}
