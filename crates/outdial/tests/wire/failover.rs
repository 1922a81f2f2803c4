//! Two trunks: what the first refuses before anything rings goes over the second, within one
//! attempt; and what may have rung goes nowhere else.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::{Stage, at, port};
use crate::phone::Phone;
use crate::relay::Weather;
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sipp::Sipp;

/// Settings with a second trunk; `first` are further lines of the first one.
fn settings(first: &str, spare: SocketAddr) -> Settings {
    let trunk = format!(
        "{first}\n[[trunk]]\nname = \"spare\"\nhosts = [\"{spare}\"]\nallow_loopback = true\n\
         slots = 20\ncalls_per_second = 50\n"
    );
    Settings { trunk, ring_time_max_s: 20, ..Settings::default() }
}

/// A server between two phones.
async fn between(
    settings_of: impl Fn(SocketAddr) -> Settings,
) -> (Server, [Phone; 2], Customer, Stage) {
    let stage = Stage::new();
    let phones = [Phone::open().await, Phone::open().await];
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = settings_of(phones[1].address);
    let server = Server::start(&stage, phones[0].address, &settings).await;
    (server, phones, customer, stage)
}

/// How many INVITEs a phone was sent.
fn invites(phone: &Phone) -> usize {
    phone.heard(|message| message.is_request("INVITE")).len()
}

/// The one attempt of a call.
fn attempt(call: &Value) -> &Value {
    let attempts = call["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{call:#}");
    &attempts[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_the_first_trunk_refuses_rings_over_the_second_in_the_same_attempt() {
    let stage = Stage::new();
    let words = [("status", "503"), ("words", "Service Unavailable")];
    let mut first = Sipp::start(&stage, "refuses", 1, &words, Weather::default()).await;
    let mut spare = Sipp::start(&stage, "answers", 1, &[], Weather::default()).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = settings("", spare.relay.front);
    let server = Server::start(&stage, first.relay.front, &settings).await;
    let id = queue(&server, &customer, NUMBER).await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    first.ended_well().await;
    spare.ended_well().await;

    let call = server.call(&id).await;
    assert_eq!((&attempt(&call)["trunk"], &attempt(&call)["number"]), (&json!(2), &json!(1)));
    let events = call["events"].as_array().unwrap();
    let rerouted = events.iter().find(|event| event["kind"] == "rerouted").unwrap();
    assert_eq!(rerouted["detail"], "carrier: 503 Service Unavailable");
    let why = server.native("GET", &format!("/v1/calls/{id}/why"), None).await.json();
    let checks = why["attempts"][0]["checks"].as_array().unwrap();
    let trunk = checks.iter().find(|check| check["rule"] == "trunk").unwrap();
    assert_eq!(trunk["passed"], json!(false));
    assert_eq!(trunk["seen"], "carrier: 503 Service Unavailable");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trunk_is_tried_once_and_the_last_words_are_the_result() {
    let (server, [first, spare], customer, _stage) = between(|at| settings("", at)).await;
    let id = queue(&server, &customer, NUMBER).await;
    let invite = first.request("INVITE").await;
    first.answer(&invite, 503, "Full", "first").await;
    let second = spare.request("INVITE").await;
    // Both may lead to the same switch: there the two are different calls.
    assert_ne!(invite.message.call_id(), second.message.call_id());
    spare.answer(&second, 503, "Full as well", "spare").await;
    Expected::failed("linefailure", 1).check(&customer.result().await, NUMBER);
    let call = server.call(&id).await;
    assert_eq!(attempt(&call)["reason"], "Full as well");
    server.until_quiet().await;
    assert_eq!((invites(&first), invites(&spare)), (1, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_rang_before_its_trunk_failed_rings_nowhere_else() {
    for (status, words) in [(180, "Ringing"), (183, "Session Progress"), (181, "Forwarded")] {
        let (server, [first, spare], customer, _stage) = between(|at| settings("", at)).await;
        queue(&server, &customer, NUMBER).await;
        let invite = first.request("INVITE").await;
        first.answer(&invite, status, words, "first").await;
        first.answer(&invite, 503, "Service Unavailable", "first").await;
        Expected::failed("linefailure", 1).check(&customer.result().await, NUMBER);
        server.until_quiet().await;
        assert_eq!(invites(&spare), 0, "after {status}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_that_may_be_the_callees_own_rings_nowhere_else() {
    for (status, callee_type) in [(486, "busy"), (404, "informationtone"), (500, "linefailure")] {
        let (server, [first, spare], customer, _stage) = between(|at| settings("", at)).await;
        queue(&server, &customer, NUMBER).await;
        let invite = first.request("INVITE").await;
        first.answer(&invite, status, "No", "first").await;
        Expected::failed(callee_type, 1).check(&customer.result().await, NUMBER);
        server.until_quiet().await;
        assert_eq!(invites(&spare), 0, "after {status}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trunk_that_takes_no_connection_is_passed_over() {
    let stage = Stage::new();
    let spare = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = settings("transport = \"tcp\"", spare.address);
    let server = Server::start(&stage, at(port()), &settings).await;
    let id = queue(&server, &customer, NUMBER).await;
    let invite = spare.request("INVITE").await;
    spare.answer(&invite, 486, "Busy Here", "spare").await;
    Expected::failed("busy", 1).check(&customer.result().await, NUMBER);
    assert_eq!(attempt(&server.call(&id).await)["trunk"], json!(2));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_rings_over_the_second_trunk_in_a_crash_is_canceled_there_and_not_rung_again() {
    let (mut server, [first, spare], customer, stage) = between(|at| settings("", at)).await;
    queue(&server, &customer, NUMBER).await;
    let invite = first.request("INVITE").await;
    first.answer(&invite, 503, "Full", "first").await;
    let second = spare.request("INVITE").await;
    spare.answer(&second, 180, "Ringing", "spare").await;
    server.kill().await;
    server.restart(&stage).await;
    let cancel = spare
        .take("the second INVITE is canceled", |message| {
            message.is_request("CANCEL") && message.branch() == second.message.branch()
        })
        .await;
    assert_eq!(cancel.message.call_id(), second.message.call_id());
    spare.answer(&cancel, 200, "OK", "spare").await;
    spare.answer(&second, 487, "Request Terminated", "spare").await;
    spare.request("ACK").await;
    Expected::IN_DOUBT.check(&customer.result().await, NUMBER);
    assert_eq!((invites(&first), invites(&spare)), (1, 1));
    server.stop().await;
}
