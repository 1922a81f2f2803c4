//! The RFCs' own examples, what is answered, what is not, and how often.

use super::*;
use crate::sip::message::Method;

/// The example of RFC 2617 §3.5 and of RFC 7616 §3.9.1.
fn mufasa(realm: &'static str, nonce: &'static str, cnonce: &'static str) -> Proof<'static> {
    Proof {
        username: "Mufasa",
        password: if realm == "testrealm@host.com" { "Circle Of Life" } else { "Circle of Life" },
        realm,
        nonce,
        cnonce,
        count: 1,
        method: "GET",
        uri: "/dir/index.html",
    }
}

#[test]
fn example_of_rfc_2617_comes_out() {
    let proof = mufasa("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b");
    assert_eq!(proof.response(&Algorithm::Md5, Qop::Auth), "6629fae49393a05397450978507c4ef1");
}

#[test]
fn example_of_rfc_2069_comes_out_without_qop() {
    let proof = mufasa("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "");
    // As the RFC's erratum 749 has it, the RFC itself being wrong.
    let proof = Proof { password: "CircleOfLife", ..proof };
    assert_eq!(proof.response(&Algorithm::Md5, Qop::Absent), "1949323746fe6a43ef61f9606e7febea");
}

#[test]
fn examples_of_rfc_7616_come_out() {
    let proof = mufasa(
        "http-auth@example.org",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    );
    assert_eq!(proof.response(&Algorithm::Md5, Qop::Auth), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(
        proof.response(&Algorithm::Sha256, Qop::Auth),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    );
}

#[test]
fn every_algorithm_comes_out_as_computed_elsewhere() {
    let proof = |count| Proof {
        username: "outdial",
        password: "s3cret:\"x\"",
        realm: "carrier.example",
        nonce: "abc",
        cnonce: "0123456789abcdef01234567",
        count,
        method: "INVITE",
        uri: "sip:b@carrier.example",
    };
    let expected = [
        (1, Algorithm::Md5, Qop::Auth, "f59f85205410518710f9e05c7a66a69b"),
        (2, Algorithm::Md5, Qop::Auth, "1f865b15ee7f06a2d793bf0d9d587592"),
        (1, Algorithm::Md5Sess, Qop::Auth, "0cc31ce8501497f7d6975214ac51024f"),
        (2, Algorithm::Md5Sess, Qop::Auth, "20b5ea2c21404ca64873d584b785c073"),
        (1, Algorithm::Md5, Qop::Absent, "fa654a84c9f0218c07fd78dada1372ad"),
        (
            2,
            Algorithm::Sha256,
            Qop::Auth,
            "b66f658a2011ae8dfc8a218768fefef0ce31167ea9e00c59ea2d3a9a171fc5c6",
        ),
        (
            1,
            Algorithm::Sha256Sess,
            Qop::Auth,
            "8339bfa59835fd53798268ec0fa5ba5435facbc7e36e5d5faacb583403de8e2b",
        ),
        (
            1,
            Algorithm::Sha256,
            Qop::Absent,
            "115ca09d1413ec10bd88df216a648aab792c5130d0bd144725c6818941a5911a",
        ),
    ];
    for (count, algorithm, qop, response) in expected {
        assert_eq!(proof(count).response(&algorithm, qop), response, "{algorithm} {qop:?}");
    }
}

/// One trunk with one peer.
struct World {
    authenticator: Authenticator,
    peer: Host,
}

impl World {
    fn new(realm: Option<&str>) -> Self {
        let credentials = Credentials {
            username: "outdial".into(),
            password: "s3cret".into(),
            realm: realm.map(str::to_owned),
        };
        let authenticator = Authenticator::new(credentials, [1; 32]);
        Self { authenticator, peer: Host::parse("192.0.2.1").unwrap() }
    }

    /// A new request, with an answer in it if one was prepared.
    fn request(&mut self) -> (Request, AuthTries) {
        let mut request = Request::new(Method::Invite, "sip:b@carrier.example".parse().unwrap());
        let mut tries = AuthTries::default();
        self.authenticator.prepare(&self.peer, &mut request, &mut tries);
        (request, tries)
    }

    /// What a challenge is answered with, or why not.
    fn challenge(
        &mut self,
        status: u16,
        challenges: &[&str],
        (request, tries): &mut (Request, AuthTries),
    ) -> Result<String, AuthError> {
        let response = response(status, challenges);
        self.authenticator.answer(&self.peer, &response, request, tries)?;
        let name = if status == 407 { Name::ProxyAuthorization } else { Name::Authorization };
        assert_eq!(request.headers.get_all(name).count(), 1);
        Ok(request.headers.get(name).unwrap().to_owned())
    }
}

fn response(status: u16, challenges: &[&str]) -> Response {
    let mut response = Response::new(status, "");
    let name = if status == 407 { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
    for challenge in challenges {
        response.headers.push(name, challenge);
    }
    response
}

/// One parameter of an answer.
fn param<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let params = answer.strip_prefix("Digest ").unwrap().split(", ");
    params.filter_map(|param| param.split_once('=')).find(|(other, _)| *other == name).map(|p| p.1)
}

const SHA: &str = "Digest realm=\"r\", nonce=\"n1\", qop=\"auth,auth-int\", algorithm=SHA-256";
const MD5: &str = "Digest realm=\"r\", nonce=\"m1\", qop=\"auth\", opaque=\"o\\\"p\"";

#[test]
fn challenge_is_answered_with_all_that_it_asks() {
    let mut world = World::new(None);
    let mut request = world.request();
    let answer = world.challenge(401, &[MD5], &mut request).unwrap();
    assert!(answer.starts_with("Digest username=\"outdial\", realm=\"r\", nonce=\"m1\", "));
    assert_eq!(param(&answer, "uri"), Some("\"sip:b@carrier.example\""));
    assert_eq!(param(&answer, "algorithm"), Some("MD5"));
    assert_eq!(param(&answer, "opaque"), Some("\"o\\\"p\""));
    assert_eq!(param(&answer, "qop"), Some("auth"));
    assert_eq!(param(&answer, "nc"), Some("00000001"));
    assert_eq!(param(&answer, "cnonce").unwrap().len(), 26);
    assert_eq!(param(&answer, "response").unwrap().len(), 34);
}

#[test]
fn challenge_without_qop_is_answered_without_count_and_cnonce() {
    let mut world = World::new(None);
    let mut request = world.request();
    let answer = world.challenge(407, &["Digest realm=\"r\",nonce=\"n\""], &mut request).unwrap();
    assert_eq!((param(&answer, "nc"), param(&answer, "cnonce")), (None, None));
    assert_eq!(param(&answer, "qop"), None);
}

#[test]
fn strongest_challenge_that_we_speak_is_answered() {
    let mut world = World::new(None);
    let mut request = world.request();
    let others = [
        "Basic realm=\"r\"",
        "Digest realm=\"r\", nonce=\"x\", algorithm=SHA-512-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"y\", algorithm=SHA-256, qop=\"auth-int\"",
        "Digest realm=\"r\", nonce=\"z\", algorithm=SHA-256-sess",
        "Digest realm",
        MD5,
        SHA,
    ];
    let answer = world.challenge(401, &others, &mut request).unwrap();
    assert_eq!(param(&answer, "nonce"), Some("\"n1\""));
    assert_eq!(param(&answer, "algorithm"), Some("SHA-256"));
}

#[test]
fn challenges_that_we_do_not_speak_are_not_answered() {
    let mut world = World::new(None);
    let mut request = world.request();
    let unsupported = ["Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"x\", algorithm=X"];
    for challenge in unsupported {
        let refused = world.challenge(401, &[challenge], &mut request);
        assert_eq!(refused, Err(AuthError::Unsupported), "{challenge}");
    }
    let missing = AuthError::Malformed(HeaderError::Missing(Name::WwwAuthenticate));
    assert_eq!(world.challenge(401, &[], &mut request), Err(missing));
    let refused = world.challenge(401, &["Digest realm=\"r"], &mut request);
    assert!(matches!(refused, Err(AuthError::Malformed(HeaderError::Malformed { .. }))));
    assert!(!request.0.headers.has(Name::Authorization));
}

#[test]
fn password_of_one_realm_is_never_used_in_another() {
    let mut world = World::new(Some("ours"));
    let mut request = world.request();
    let refused = AuthError::UnknownRealm { asked: "r".into(), ours: "ours".into() };
    assert_eq!(world.challenge(401, &[SHA, MD5], &mut request), Err(refused));
    let ours = "Digest realm=\"ours\", nonce=\"1\"";
    let answer = world.challenge(401, &[SHA, ours], &mut request).unwrap();
    assert_eq!(param(&answer, "realm"), Some("\"ours\""));
}

#[test]
fn realm_named_first_by_a_peer_is_its_realm_from_then_on() {
    let mut world = World::new(None);
    let mut request = world.request();
    world.challenge(401, &[SHA], &mut request).unwrap();
    let mut bye = world.request();
    let other = "Digest realm=\"another\", nonce=\"1\"";
    let refused = AuthError::UnknownRealm { asked: "another".into(), ours: "r".into() };
    assert_eq!(world.challenge(407, &[other], &mut bye), Err(refused));
    // Another peer of the trunk has a realm of its own.
    world.peer = Host::parse("sip.example.com").unwrap();
    assert!(world.challenge(407, &[other], &mut bye).is_ok());
}

#[test]
fn nonce_is_used_again_with_the_next_count() {
    let mut world = World::new(None);
    let mut first = world.request();
    let first = world.challenge(401, &[SHA], &mut first).unwrap();
    let (second, _) = world.request();
    let second = second.headers.get(Name::Authorization).unwrap();
    assert_eq!(param(second, "nc"), Some("00000002"));
    assert_eq!(param(second, "cnonce"), param(&first, "cnonce"));
    assert_ne!(param(second, "response"), param(&first, "response"));
    world.peer = Host::parse("192.0.2.2").unwrap();
    assert!(!world.request().0.headers.has(Name::Authorization));
}

#[test]
fn wrong_password_is_tried_once() {
    let mut world = World::new(None);
    let mut request = world.request();
    world.challenge(401, &[SHA], &mut request).unwrap();
    let again = SHA.replace("n1", "n2");
    let refused = AuthError::Refused { realm: "r".into() };
    assert_eq!(world.challenge(401, &[&again], &mut request), Err(refused));
}

#[test]
fn stale_nonce_is_replaced_once() {
    let mut world = World::new(None);
    let mut request = world.request();
    world.challenge(401, &[SHA], &mut request).unwrap();
    let stale = |nonce| format!("{}, stale=true", SHA.replace("n1", nonce));
    let answer = world.challenge(401, &[&stale("n2")], &mut request).unwrap();
    assert_eq!(param(&answer, "nonce"), Some("\"n2\""));
    assert_eq!(param(&answer, "nc"), Some("00000001"));
    let refused = AuthError::Refused { realm: "r".into() };
    assert_eq!(world.challenge(401, &[&stale("n3")], &mut request), Err(refused));
}

#[test]
fn old_nonce_refused_says_nothing_about_the_password() {
    let mut world = World::new(None);
    let mut first = world.request();
    world.challenge(401, &[SHA], &mut first).unwrap();
    let mut second = world.request();
    let answer = world.challenge(401, &[&SHA.replace("n1", "n2")], &mut second).unwrap();
    assert_eq!(param(&answer, "nonce"), Some("\"n2\""));
    // It was refused at its second use: this peer's nonces are good for one.
    let (third, _) = world.request();
    assert!(!third.headers.has(Name::Authorization));
}

#[test]
fn proxy_and_server_are_answered_side_by_side() {
    let mut world = World::new(None);
    let mut request = world.request();
    world.challenge(407, &[SHA], &mut request).unwrap();
    world.challenge(401, &[MD5], &mut request).unwrap();
    assert!(request.0.headers.has(Name::ProxyAuthorization));
    let (next, _) = world.request();
    assert!(next.headers.has(Name::ProxyAuthorization) && next.headers.has(Name::Authorization));
}

#[test]
fn peers_that_never_end_do_not_fill_the_memory() {
    let mut world = World::new(None);
    for number in 0..2 * PEERS_MAX {
        world.peer = Host::parse(&format!("h{number}.example")).unwrap();
        let mut request = world.request();
        world.challenge(401, &[SHA], &mut request).unwrap();
    }
    assert_eq!(world.authenticator.peers.len(), PEERS_MAX);
}

#[test]
fn password_is_not_shown() {
    let shown = format!("{:?}", World::new(None).authenticator);
    assert!(shown.contains("outdial") && !shown.contains("s3cret"), "{shown}");
}
