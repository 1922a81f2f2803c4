//! Challenges: who gets our proof, for which realm, and how often.

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::message::Method;
use crate::sip::name::Name;
use crate::sip::ua::*;

const CHALLENGE: &str =
    "Digest realm=\"sip.example\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";
const STALE: &str = "Digest realm=\"sip.example\", nonce=\"n2\", stale=true, qop=\"auth\"";
const FOREIGN: &str = "Digest realm=\"other.example\", nonce=\"n1\", qop=\"auth\"";

fn lab_with(realm: Option<&str>) -> Lab {
    let credentials = Credentials {
        username: "outdial".into(),
        password: "secret".into(),
        realm: realm.map(Into::into),
    };
    let targets = [target(T::Udp, 1), target(T::Udp, 2)];
    Lab::with(config(), &targets, Some(credentials))
}

fn lab() -> Lab {
    lab_with(None)
}

fn challenge(lab: &mut Lab, method: &Method, status: u16, text: &str) {
    let name = if status == 407 { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
    lab.respond_as(method, status, "b", &[(name, text)], "");
}

/// The `nc` of the last request's proof.
fn count(lab: &Lab, method: &Method, name: Name) -> Option<String> {
    let request = lab.last(method);
    let value = request.headers.get(name)?;
    let at = value.find("nc=")?;
    Some(value[at + 3..at + 11].to_owned())
}

#[test]
fn challenged_invite_is_sent_again_with_proof_next_number_and_new_branch() {
    for (status, name) in [(401, Name::Authorization), (407, Name::ProxyAuthorization)] {
        let mut lab = lab();
        lab.dial();
        let first = lab.last(&Method::Invite);
        challenge(&mut lab, &Method::Invite, status, CHALLENGE);
        assert_eq!(lab.story(), "> INVITE 1 sdp; sent; > ACK 1; > INVITE 2 sdp");
        let second = lab.last(&Method::Invite);
        assert!(second.headers.get(name).unwrap().contains("username=\"outdial\""));
        assert_ne!(first.headers.get(Name::Via), second.headers.get(Name::Via));
        assert_eq!(first.headers.get(Name::From), second.headers.get(Name::From));
        assert_eq!(first.headers.get(Name::CallId), second.headers.get(Name::CallId));
        assert_eq!(second.headers.get(Name::To), Some("<sip:+16175550101@sip.example>"));
        lab.answer();
        assert_eq!(lab.story(), "> ACK 2; answered sdp");
        // The ACK of a 2xx has the proof of its INVITE (RFC 3261 §13.2.2.4).
        assert_eq!(lab.last(&Method::Ack).headers.get(name), second.headers.get(name));
        // What comes next in the call need not be asked again.
        lab.hang_up();
        assert_eq!(count(&lab, &Method::Bye, name).as_deref(), Some("00000002"));
        lab.respond(&Method::Bye, 200);
        lab.assert_clean();
    }
}

#[test]
fn wrong_password_is_tried_once() {
    let mut lab = lab();
    lab.dial();
    lab.story();
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    assert_eq!(lab.story(), "> ACK 1; > INVITE 2 sdp; > ACK 2; ended Far 401");
    lab.assert_clean();
}

#[test]
fn stale_nonce_is_replaced_once() {
    let mut lab = lab();
    lab.dial();
    lab.story();
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    challenge(&mut lab, &Method::Invite, 401, STALE);
    challenge(&mut lab, &Method::Invite, 401, STALE);
    assert_eq!(
        lab.story(),
        "> ACK 1; > INVITE 2 sdp; > ACK 2; > INVITE 3 sdp; > ACK 3; ended Far 401"
    );
}

#[test]
fn proxy_and_server_may_both_ask() {
    let mut lab = lab();
    lab.dial();
    lab.story();
    challenge(&mut lab, &Method::Invite, 407, CHALLENGE);
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    assert_eq!(lab.story(), "> ACK 1; > INVITE 2 sdp; > ACK 2; > INVITE 3 sdp");
    let sent = lab.last(&Method::Invite);
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        assert_eq!(sent.headers.get_all(name).count(), 1, "{name}");
    }
    lab.answer();
    assert_eq!(lab.story(), "> ACK 3; answered sdp");
}

#[test]
fn proxy_and_server_that_ask_in_turns_are_not_played_with() {
    let mut lab = lab();
    lab.dial();
    for _ in 0..20 {
        challenge(&mut lab, &Method::Invite, 407, STALE);
        challenge(&mut lab, &Method::Invite, 401, STALE);
    }
    assert_eq!(lab.story().matches("> INVITE").count(), 5);
    assert_eq!(lab.ua.calls(), 0);
}

#[test]
fn challenge_for_another_realm_gets_nothing() {
    let mut lab = lab_with(Some("sip.example"));
    lab.dial();
    lab.story();
    challenge(&mut lab, &Method::Invite, 401, FOREIGN);
    assert_eq!(lab.story(), "> ACK 1; ended Far 401");
    // Without a realm of ours, the first that the trunk names is its realm.
    let mut lab = self::lab();
    lab.dial();
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    lab.answer();
    lab.hang_up();
    lab.story();
    challenge(&mut lab, &Method::Bye, 401, FOREIGN);
    assert_eq!(lab.story(), "ended Us 200");
}

#[test]
fn whoever_a_contact_leads_to_may_not_ask_for_the_password() {
    let mut lab = lab();
    lab.dial();
    let extra = [(Name::Contact, "<sip:thief@192.0.2.66>")];
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    lab.hang_up();
    lab.story();
    let extra = [(Name::WwwAuthenticate, CHALLENGE)];
    let asked = response(&lab.last(&Method::Bye), 401, "b", &extra, "");
    let peer = "192.0.2.66:5060".parse().unwrap();
    lab.receive_from(Flow { transport: T::Udp, peer }, asked.into());
    assert_eq!(lab.story(), "ended Us 200");
}

#[test]
fn response_from_elsewhere_is_not_listened_to() {
    let mut lab = lab();
    lab.dial();
    lab.story();
    let extra = [(Name::WwwAuthenticate, CHALLENGE)];
    let asked = response(&lab.last(&Method::Invite), 401, "b", &extra, "");
    let peer = "203.0.113.66:5060".parse().unwrap();
    lab.receive_from(Flow { transport: T::Udp, peer }, asked.into());
    assert_eq!(lab.story(), "");
    assert_eq!(lab.ua.counters().strangers, 1);
}

#[test]
fn challenged_bye_is_proved_once() {
    let mut lab = lab();
    lab.dial();
    lab.answer();
    lab.hang_up();
    lab.story();
    challenge(&mut lab, &Method::Bye, 407, CHALLENGE);
    assert_eq!(lab.story(), "> BYE 3");
    challenge(&mut lab, &Method::Bye, 407, CHALLENGE);
    assert_eq!(lab.story(), "ended Us 200");
    lab.assert_clean();
}

#[test]
fn challenged_refresh_is_proved() {
    let credentials = Credentials { username: "u".into(), password: "p".into(), realm: None };
    let config = UaConfig { session_expires_s: Some(1_800), ..config() };
    let mut lab = Lab::with(config, &[target(T::Udp, 1)], Some(credentials));
    lab.dial();
    let extra = [(Name::SessionExpires, "1800;refresher=uac"), (Name::Allow, "UPDATE")];
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    lab.story();
    lab.pass_s(900);
    challenge(&mut lab, &Method::Update, 401, CHALLENGE);
    assert_eq!(lab.story(), "> UPDATE 2; > UPDATE 3");
    assert_eq!(count(&lab, &Method::Update, Name::Authorization).as_deref(), Some("00000001"));
}

#[test]
fn next_call_uses_the_nonce_at_hand() {
    let mut lab = lab();
    lab.dial();
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    lab.feed(Input::Invite(Box::new(invite(CallKey(8)))));
    let sent = lab.last(&Method::Invite);
    assert_eq!(sent.headers.get(Name::CSeq), Some("1 INVITE"));
    assert_eq!(count(&lab, &Method::Invite, Name::Authorization).as_deref(), Some("00000002"));
}

#[test]
fn nobody_is_answered_without_credentials_or_with_a_broken_challenge() {
    let mut lab = Lab::new();
    lab.dial();
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    assert!(lab.story().ends_with("ended Far 401"));
    for broken in
        ["", "Basic realm=\"x\"", "Digest realm", "Digest realm=\"x\", nonce=\"y\", algorithm=X"]
    {
        let mut lab = self::lab();
        lab.dial();
        challenge(&mut lab, &Method::Invite, 407, broken);
        assert!(lab.story().ends_with("> ACK 1; ended Far 407"), "{broken}");
    }
}

#[test]
fn hang_up_before_the_challenge_is_not_dialed_again() {
    let mut lab = lab();
    lab.dial();
    lab.hang_up();
    lab.story();
    challenge(&mut lab, &Method::Invite, 401, CHALLENGE);
    assert_eq!(lab.story(), "> ACK 1; ended Far 401");
}

#[test]
fn losing_fork_that_challenges_its_bye_is_answered() {
    let mut lab = lab();
    lab.dial();
    lab.answer();
    lab.respond_as(&Method::Invite, 200, "c", &[], ANSWER);
    lab.story();
    let extra = [(Name::ProxyAuthenticate, CHALLENGE)];
    lab.respond_as(&Method::Bye, 407, "c", &extra, "");
    assert_eq!(lab.story(), "> BYE 3");
    lab.respond_as(&Method::Bye, 407, "c", &extra, "");
    assert_eq!(lab.story(), "");
}
