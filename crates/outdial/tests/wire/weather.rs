//! Calls over a network that loses, repeats and delays messages, both ways.

use crate::carrier::Carrier;
use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::Stage;
use crate::relay::{From, Relay, Weather};
use crate::scene::{Expected, Scene, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;

/// Calls under way at the same time.
const CALLS: usize = 24;

/// Every call must be answered, told once, and leave nothing behind, whatever the weather.
async fn calls_survive(server: &Server, customer: &Customer, relay: &Relay) {
    let numbers: Vec<String> = (0..CALLS).map(|nth| format!("1555010{nth:04}")).collect();
    let mut ids = Vec::new();
    for number in &numbers {
        ids.push(queue(server, customer, number).await);
    }
    let results = customer.results_of(CALLS).await;
    for (id, number) in ids.iter().zip(&numbers) {
        Expected::ANSWERED.check(&results[id], number);
    }
    relay.assert_no_dialog_stays(server).await;

    let passed = relay.passed();
    let lost = passed.iter().filter(|it| it.copies == 0).map(|it| &it.message);
    let lost: Vec<String> =
        lost.map(|it| format!("{} {}", it.start.replace("SIP/2.0 ", ""), it.method())).collect();
    let lost_of = |what: &str| lost.iter().filter(|it| it.starts_with(what)).count();
    let twice = passed.iter().filter(|it| it.copies > 1).count();
    println!(
        "{} messages; lost {}: INVITE {}, 200 {}, ACK {}, BYE {}; {twice} came twice",
        passed.len(),
        lost.len(),
        lost_of("INVITE"),
        lost_of("200"),
        lost_of("ACK"),
        lost_of("BYE"),
    );
    // One dialog a call, and both of its ends said what they must.
    assert_eq!(relay.invites().len(), CALLS);
    for invite in relay.invites() {
        let arrived = |from, fits: &dyn Fn(&Message) -> bool| {
            let of_call = passed.iter().filter(|it| it.message.call_id() == invite.call_id());
            of_call.filter(|it| it.from == from && it.copies > 0).any(|it| fits(&it.message))
        };
        let call = invite.number();
        assert!(arrived(From::Outdial, &|message| message.is_request("BYE")), "{call}: no BYE");
        let is_answered = arrived(From::FarEnd, &|message| message.is_response(200, "BYE"));
        assert!(is_answered, "{call}: no answer to BYE");
    }
    assert_eq!(customer.results().len(), CALLS, "a result came twice");
}

async fn with_sipp(lost: u64) {
    let settings = Settings { ring_time_max_s: 60, ..Settings::default() };
    let weather = Weather { seed: lost, lost, ..Weather::default() };
    let scene = Scene::in_weather("weathers", CALLS, &[], &settings, weather).await;
    let Scene { server, mut sipp, customer, _stage } = scene;
    calls_survive(&server, &customer, &sipp.relay).await;
    server.stop().await;
    sipp.kill().await;
}

/// What `sipp` cannot bear: messages that come twice or overtake each other.
async fn with_carrier(percent: u64) {
    let stage = Stage::new();
    let habits = "[[callee]]\nnumber = \"1555*\"\ndoes = [\"person\"]\nring_ms = 300\n";
    let carrier = Carrier::start(&stage, habits).await;
    let weather =
        Weather { seed: 100 + percent, lost: percent, repeated: percent, delayed: percent };
    let relay = Relay::open(carrier.address, weather).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = Settings { ring_time_max_s: 60, ..Settings::default() };
    let server = Server::start(&stage, relay.front, &settings).await;
    calls_survive(&server, &customer, &relay).await;
    carrier.assert_rung_at_most(1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_survive_a_network_that_loses_one_message_in_twenty() {
    with_sipp(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_survive_a_network_that_loses_one_message_in_ten() {
    with_sipp(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_survive_a_network_that_loses_one_message_in_five() {
    with_sipp(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_survive_when_one_message_in_ten_is_lost_repeated_or_late() {
    with_carrier(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_survive_when_one_message_in_five_is_lost_repeated_or_late() {
    with_carrier(20).await;
}
