//! The server is killed while calls are up or ringing: the process after it ends them at once,
//! and the far end's own record says so.

use crate::carrier::{Carrier, Event};
use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::phone::{Ear, Phone};
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};

/// How many calls are under way when the server is killed.
const CALLS: usize = 12;

/// A server, a carrier whose callees all do the same, and a start page that never comes, so that
/// answered calls stay up.
async fn scene(does: &str) -> (Server, Carrier, Customer, Stage) {
    let stage = Stage::new();
    let habits = format!("[[callee]]\nnumber = \"1555*\"\ndoes = [{does:?}]\nring_ms = 50\n");
    let carrier = Carrier::start(&stage, &habits).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    customer.reply("POST", "/start", vec![Reply::Hang; CALLS]);
    let server = Server::start(&stage, carrier.address, &Settings::default()).await;
    for nth in 0..CALLS {
        queue(&server, &customer, &format!("1555010{nth:04}")).await;
    }
    (server, carrier, customer, stage)
}

/// What happened to each call, in order; there is one for each number.
fn stories(events: &[Event]) -> Vec<String> {
    let calls = events.iter().filter(|event| event.event == "invite");
    let story = |call: &Event| {
        let of_call = events.iter().filter(|event| event.call_id == call.call_id);
        let signals = of_call.map(|event| event.event.as_str()).filter(|event| *event != "heard");
        signals.collect::<Vec<_>>().join(" ")
    };
    calls.map(story).collect()
}

/// How many answered calls the server has on disk: slots of 2 KiB, the free ones without checksum.
fn kept(stage: &Stage) -> usize {
    let file = std::fs::read(stage.file("outdial.answered")).unwrap();
    file.chunks(2_048).filter(|slot| slot[..8] != [0; 8]).count()
}

async fn until_told(carrier: &Carrier, story: &str) {
    carrier
        .until(&format!("each call's story is {story:?}"), |events| {
            let stories = stories(events);
            let is_told = stories.len() == CALLS && stories.iter().all(|told| told == story);
            is_told.then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_that_ring_when_the_server_is_killed_are_canceled_by_the_next() {
    let (mut server, carrier, customer, stage) = scene("no_answer").await;
    until_told(&carrier, "invite ringing").await;
    server.kill().await;
    server.restart(&stage).await;
    // "refused" is the ACK of the 487: without it the carrier would end with "unconfirmed".
    until_told(&carrier, "invite ringing canceled refused").await;
    for result in customer.results_of(CALLS).await.values() {
        Expected::IN_DOUBT.check(result, result.field("phone_number"));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callees_that_talk_when_the_server_is_killed_are_hung_up_by_the_next() {
    let (mut server, carrier, customer, stage) = scene("person").await;
    customer
        .until("all calls are up", |asked| {
            // A GET only looks whether the page is there.
            let is_begun = |asked: &&Asked| asked.path == "/start" && asked.method == "POST";
            let begun = asked.iter().filter(is_begun);
            (begun.count() >= CALLS).then_some(())
        })
        .await;
    server.kill().await;
    assert_eq!(kept(&stage), CALLS, "a call that is up is not on disk");
    server.restart(&stage).await;
    until_told(&carrier, "invite ringing answered caller_hung_up").await;
    for result in customer.results_of(CALLS).await.values() {
        Expected::IN_DOUBT.check(result, result.field("phone_number"));
    }
    // What was taken down is forgotten: the third process has nothing to do.
    let is_forgotten = async || (kept(&stage) == 0).then_some(());
    until("calls that are over are forgotten", is_forgotten).await;
    server.kill().await;
    server.restart(&stage).await;
    server.until_dialing().await;
    server.stop().await;
    let empty = stage.file("outdial.answered").metadata().unwrap().len();
    assert_eq!(empty, 0, "calls that are over are still kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn invite_that_was_sent_again_with_a_password_is_canceled_by_the_next_process() {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let trunk = "username = \"customer\"\npassword = \"open sesame\"\n".to_owned();
    let settings = Settings { trunk, ..Settings::default() };
    let mut server = Server::start(&stage, phone.address, &settings).await;
    queue(&server, &customer, NUMBER).await;
    let first = phone.request("INVITE").await;
    let challenge = "Digest realm=\"wire.example\", nonce=\"once\", qop=\"auth\"";
    let asks = phone.response_to(&first, 407, "Who are you", "guard");
    phone.send(&asks.with("Proxy-Authenticate", challenge), first.from).await;
    let second = phone
        .take("the INVITE comes again", |message| {
            message.is_request("INVITE") && message.branch() != first.message.branch()
        })
        .await;
    phone.answer(&second, 180, "Ringing", "callee").await;
    server.kill().await;
    server.restart(&stage).await;
    let cancel = phone
        .take("the second INVITE is canceled", |message| {
            message.is_request("CANCEL") && message.branch() == second.message.branch()
        })
        .await;
    for name in ["Call-ID", "From", "To", "Via"] {
        assert_eq!(cancel.message.header(name), second.message.header(name), "{name}");
    }
    assert_eq!(cancel.message.header("CSeq"), "2 CANCEL");
    assert!(cancel.message.header("Reason").starts_with("Q.850;cause=41"));
    phone.answer(&cancel, 200, "OK", "callee").await;
    phone.answer(&second, 487, "Request Terminated", "callee").await;
    phone
        .take("the 487 is acknowledged", |message| {
            message.is_request("ACK") && message.branch() == second.message.branch()
        })
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_before_the_callee_is_hung_up_it_is_tried_once_more() {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    customer.reply("POST", "/start", [Reply::Hang]);
    let mut server = Server::start(&stage, phone.address, &Settings::default()).await;
    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    let ear = Ear::open().await;
    phone.accept(&invite, "callee", &ear.sdp()).await;
    customer.posted("/start").await;
    server.kill().await;
    let kept = std::fs::read(stage.file("outdial.answered")).unwrap();
    server.restart(&stage).await;
    let bye = phone.request("BYE").await;
    assert_eq!(bye.message.call_id(), invite.message.call_id());
    assert_eq!(
        (bye.message.tag("To"), bye.message.tag("From")),
        ("callee", invite.message.tag("From"))
    );
    server.kill().await;
    // As if it had been killed a moment earlier.
    std::fs::write(stage.file("outdial.answered"), kept).unwrap();
    server.restart(&stage).await;
    let again = phone
        .take("BYE comes once more", |message| {
            message.is_request("BYE") && message.branch() != bye.message.branch()
        })
        .await;
    phone.answer(&again, 481, "Call/Transaction Does Not Exist", "callee").await;
    server.stop().await;
}
