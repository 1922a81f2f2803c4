//! Far ends that want a password: 401 and 407, MD5 and SHA-256, judged by checkers of their own.

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::Stage;
use crate::phone::{Ear, Heard, Phone};
use crate::scene::{Expected, NUMBER, Scene, queue};
use crate::server::{Server, Settings};

const USER: &str = "customer";
const PASSWORD: &str = "open sesame";
const REALM: &str = "wire.example";

fn with_password() -> Settings {
    let trunk = format!("username = {USER:?}\npassword = {PASSWORD:?}\n");
    Settings { trunk, ..Settings::default() }
}

/// `sipp` computes the digest by itself, and refuses a wrong one with 403.
#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_asks_401_is_answered_by_md5() {
    let words = [("status", "401"), ("challenge", "WWW-Authenticate")];
    let scene = Scene::open("challenges", 1, &words, &with_password()).await;
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn challenge_without_a_password_for_it_is_a_line_failure() {
    let words = [("status", "407"), ("words", "Proxy Authentication Required")];
    let scene = Scene::open("refuses", 1, &words, &Settings::default()).await;
    let result = scene.call().await;
    Expected::failed("linefailure", 1).check(&result, NUMBER);
    scene.ends_clean().await;
}

/// The value of a parameter of an Authorization header, without quotes.
fn said<'a>(header: &'a str, name: &str) -> &'a str {
    let parameters = header.trim_start_matches("Digest").split(',');
    let mut pairs = parameters.filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|pair| pair.0.eq_ignore_ascii_case(name));
    found.map_or("", |pair| pair.1.trim_matches('"'))
}

fn hex<D: Digest>(text: String) -> String {
    D::digest(text).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What a far end asks for, and in which words.
struct Asks {
    status: u16,
    challenge: &'static str,
    proof: &'static str,
    algorithm: &'static str,
}

impl Asks {
    const fn by_401(algorithm: &'static str) -> Self {
        Self { status: 401, challenge: "WWW-Authenticate", proof: "Authorization", algorithm }
    }

    const fn by_407(algorithm: &'static str) -> Self {
        let (challenge, proof) = ("Proxy-Authenticate", "Proxy-Authorization");
        Self { status: 407, challenge, proof, algorithm }
    }

    async fn challenge(&self, phone: &Phone, request: &Heard, rest: &str) {
        let response = phone.response_to(request, self.status, "Who are you", "guard");
        let algorithm = self.algorithm;
        let challenge =
            format!("Digest realm=\"{REALM}\", {rest}, algorithm={algorithm}, qop=\"auth\"");
        phone.send(&response.with(self.challenge, challenge), request.from).await;
        phone.request("ACK").await;
    }

    /// Checks a proof as RFC 7616 and RFC 8760 define it.
    fn check<D: Digest>(&self, request: &Heard, nonce: &str) {
        let proof = request.message.header(self.proof);
        let method = request.message.method();
        let address = request.message.start.split_whitespace().nth(1).unwrap();
        let names = ["username", "realm", "nonce", "uri", "qop", "nc", "algorithm"];
        let right = [USER, REALM, nonce, address, "auth", "00000001", self.algorithm];
        assert_eq!(names.map(|name| said(proof, name)), right, "{proof}");
        let cnonce = said(proof, "cnonce");
        assert!(!cnonce.is_empty(), "{proof}");
        let secret = hex::<D>(format!("{USER}:{REALM}:{PASSWORD}"));
        let what = hex::<D>(format!("{method}:{address}"));
        let right = hex::<D>(format!("{secret}:{nonce}:00000001:{cnonce}:auth:{what}"));
        assert_eq!(said(proof, "response"), right, "{proof}");
    }
}

/// A far end that asks, then says that its nonce is stale, then lets the call in.
async fn proven<D: Digest>(asks: Asks) {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let server = Server::start(&stage, phone.address, &with_password()).await;
    queue(&server, &customer, NUMBER).await;

    let invite = phone.request("INVITE").await;
    assert_eq!(invite.message.header(asks.proof), "", "a proof that nobody asked for");
    asks.challenge(&phone, &invite, "nonce=\"first\"").await;
    let invite = phone.request("INVITE").await;
    asks.check::<D>(&invite, "first");
    asks.challenge(&phone, &invite, "nonce=\"second\", stale=true").await;
    let invite = phone.request("INVITE").await;
    asks.check::<D>(&invite, "second");

    let ear = Ear::open().await;
    phone.accept(&invite, "inside", &ear.sdp()).await;
    phone.request("ACK").await;
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "inside").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    let late = phone.ask(&invite, "inside", "BYE", 1, server.sip).await;
    assert_eq!(late.status(), Some(481));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_that_asks_407_is_answered_by_md5_and_again_when_stale() {
    proven::<Md5>(Asks::by_407("MD5")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_asks_401_is_answered_by_sha_256_and_again_when_stale() {
    proven::<Sha256>(Asks::by_401("SHA-256")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_that_asks_407_is_answered_by_sha_256_and_again_when_stale() {
    proven::<Sha256>(Asks::by_407("SHA-256")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn password_that_is_wrong_is_offered_once_and_not_again() {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let server = Server::start(&stage, phone.address, &with_password()).await;
    queue(&server, &customer, NUMBER).await;
    for nonce in ["first", "second"] {
        let invite = phone.request("INVITE").await;
        Asks::by_407("MD5").challenge(&phone, &invite, &format!("nonce={nonce:?}")).await;
    }
    let result = customer.result().await;
    Expected::failed("linefailure", 1).check(&result, NUMBER);
    server.until_quiet().await;
    assert_eq!(phone.heard(|message| message.is_request("INVITE")).len(), 2);
    server.stop().await;
}
