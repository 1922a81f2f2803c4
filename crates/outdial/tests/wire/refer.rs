//! Callees who are handed over by their own side: REFER, what is told of it, and nothing at all.

use crate::customer::{Reply, SAYS_NOTHING};
use crate::phone::Heard;
use crate::record::Talk;
use crate::relay::in_dialog;
use crate::scene::Scene;
use crate::server::Settings;
use crate::sip::{Message, parameter};
use crate::transfer::{AGENT, Agent, answers_with, both_hear, is_hung_up};

/// Whom callees are handed over to.
const OTHER: &str = "15550100777";

/// A page that hands over, and posts how that came out.
fn page(attributes: &str) -> String {
    crate::transfer::page(&format!(r#"type="blind" {attributes}"#))
}

fn settings() -> Settings {
    Settings { trunk: "transfer = \"refer\"\n".into(), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_far_end_tells_of_its_call_is_told_to_the_script() {
    for (fragment, result) in [
        ("200 OK", "connection.disconnect.transfer"),
        ("486 Busy Here", "busy"),
        ("404 Not Found", "error.connection.baddestination"),
    ] {
        let scene = Scene::open("refers", 1, &[("fragment", fragment)], &settings()).await;
        let page = page(&format!(r#"dest="tel:{OTHER}""#));
        scene.customer.reply("POST", "/start", [Reply::page(&page)]);
        scene.customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
        let told = scene.call().await;
        assert_eq!(told.field("result"), "Completed", "{fragment}");
        let answer = scene.customer.posted("/answer").await;
        assert_eq!(answer.field("result"), result, "{fragment}");
        scene.ends_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_refuses_or_says_nothing_leaves_the_callee_with_the_script() {
    let attributes = format!(r#"dest="tel:{OTHER}" aai="from us""#);
    let talk = Talk::begin(&page(&attributes), &settings()).await;
    let refer = talk.phone.request("REFER").await;
    // What is told beside goes into the call that is asked for.
    let to = refer.message.header("Refer-To").to_owned();
    assert!(to.contains(OTHER), "{to}");
    assert!(to.contains("?User-to-User=66726f6d207573%3Bencoding%3Dhex"), "{to}");
    talk.phone.answer(&refer, 405, "Method Not Allowed", "ear").await;
    assert_eq!(talk.answer().await.field("result"), "error.connection.noroute");
    talk.ends().await;

    let talk = Talk::begin(&page(&format!(r#"dest="tel:{OTHER}""#)), &settings()).await;
    let refer = talk.phone.request("REFER").await;
    talk.phone.answer(&refer, 202, "Accepted", "ear").await;
    assert_eq!(talk.answer().await.field("result"), "unknown");
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_takes_the_callee_and_hangs_up_has_taken_him() {
    let talk = Talk::begin(&page(&format!(r#"dest="tel:{OTHER}""#)), &settings()).await;
    let refer = talk.phone.request("REFER").await;
    talk.phone.answer(&refer, 202, "Accepted", "ear").await;
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 7, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    assert_eq!(talk.answer().await.field("result"), "connection.disconnect.transfer");
    talk.customer.result().await;
    talk.server.until_quiet().await;
    talk.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callees_are_sent_to_nobody_who_may_not_be_called() {
    for destination in ["tel:+442079460000", "tel:911"] {
        let talk = Talk::begin(&page(&format!(r#"dest="{destination}""#)), &settings()).await;
        assert_eq!(talk.answer().await.field("result"), "error.connection.noauthorization");
        assert_eq!(talk.phone.heard(|message| message.is_request("REFER")).len(), 0);
        talk.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_makes_us_call_by_refer() {
    let talk = Talk::begin(crate::results::LONG_TALK, &Settings::default()).await;
    let refer = in_dialog(&talk.invite.message, "ear", "REFER", 7, talk.phone.address)
        .with("Refer-To", "<sip:+19005550100@evil.example>");
    talk.phone.send(&refer, talk.server.sip).await;
    assert_eq!(talk.phone.response(&refer).await.status(), Some(405));
    assert_eq!(talk.phone.heard(|message| message.is_request("INVITE")).len(), 1);
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 8, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    talk.customer.result().await;
    talk.server.stop().await;
}

/// What a phone says of itself that knows Replaces.
const KNOWS: [(&str, &str); 1] = [("Supported", "replaces")];

/// A callee and an agent who talk after a consultation, both of whose phones say this.
async fn consulted(headers: &[(&str, &str)]) -> (Talk, Agent) {
    let page = crate::transfer::page(&format!(r#"type="consultation" dest="tel:{AGENT}""#));
    let talk = Talk::begin_knowing(&page, &settings(), headers).await;
    let agent = answers_with(&talk.phone, headers).await;
    // The script has what it wanted, whatever becomes of our place.
    let answer = talk.answer().await;
    assert_eq!(answer.field("result"), "connection.disconnect.transfer");
    (talk, agent)
}

/// The callee's phone tells how the call went that it was asked to make.
async fn notifies(talk: &Talk, number: u32, state: &str, fragment: &str) {
    let mut notify = in_dialog(&talk.invite.message, "ear", "NOTIFY", number, talk.phone.address)
        .with("Event", "refer")
        .with("Subscription-State", state)
        .with("Content-Type", "message/sipfrag;version=2.0");
    fragment.clone_into(&mut notify.body);
    talk.phone.send(&notify, talk.server.sip).await;
    assert_eq!(talk.phone.response(&notify).await.status(), Some(200));
}

fn invites(talk: &Talk) -> usize {
    talk.phone.heard(|message| message.is_request("INVITE")).len()
}

/// The call that a phone makes that takes our place, as far as it names the one that it replaces.
fn replaced(refer: &Heard) -> String {
    let to = refer.message.header("Refer-To").trim_matches(['<', '>']).to_owned();
    let (address, headers) = to.split_once('?').expect("headers of the new call");
    let mut headers = headers.split('&').map(|header| header.split_once('=').unwrap());
    let (name, place) = headers.next().unwrap();
    assert_eq!(name, "Replaces");
    assert_eq!(headers.collect::<Vec<_>>(), [("Require", "replaces")]);
    assert!(!place.contains([';', '=', '@', '<']), "{place}");
    let place = place.replace("%3B", ";").replace("%3D", "=").replace("%40", "@");
    format!("{address} {place}")
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_takes_our_place_beside_the_agent_who_was_consulted() {
    let (talk, agent) = consulted(&KNOWS).await;
    let refer = talk.phone.request("REFER").await;
    // In the callee's call, of the agent's: his tag is his own there.
    assert_eq!(refer.message.call_id(), talk.invite.message.call_id());
    let dialog = &agent.invite.message;
    let expected = format!(
        "sip:agent@{} {};to-tag=agent;from-tag={}",
        talk.phone.address,
        dialog.call_id(),
        dialog.tag("From")
    );
    assert_eq!(replaced(&refer), expected);
    both_hear(&talk, &agent, 61).await;
    talk.phone.answer(&refer, 202, "Accepted", "ear").await;
    notifies(&talk, 7, "active;expires=60", "SIP/2.0 100 Trying\r\n").await;
    // The agent's phone takes the new call and ends ours, which is faster than the word of it.
    let bye = talk.phone.ask(&agent.invite, "agent", "BYE", 7, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    notifies(&talk, 8, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n").await;
    assert_eq!(invites(&talk), 2);
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_whose_place_is_taken_is_left_to_end_our_call_by_himself() {
    let (talk, agent) = consulted(&KNOWS).await;
    let refer = talk.phone.request("REFER").await;
    talk.phone.answer(&refer, 202, "Accepted", "ear").await;
    // A carrier that takes the task and hangs up has our place at once, and the agent not yet.
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 7, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    talk.customer.result().await;
    let is_bye = |message: &Message| {
        message.is_request("BYE") && message.call_id() == agent.invite.message.call_id()
    };
    assert_eq!(talk.phone.heard(is_bye).len(), 0, "the agent is hung up before he was taken");
    let bye = talk.phone.ask(&agent.invite, "agent", "BYE", 7, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    assert_eq!(talk.phone.heard(is_bye).len(), 0);
    talk.server.until_quiet().await;
    talk.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn place_that_is_not_taken_is_ours_and_the_two_talk_on() {
    for refused in [true, false] {
        let (talk, agent) = consulted(&KNOWS).await;
        let refer = talk.phone.request("REFER").await;
        if refused {
            talk.phone.answer(&refer, 405, "Method Not Allowed", "ear").await;
        } else {
            talk.phone.answer(&refer, 202, "Accepted", "ear").await;
            notifies(&talk, 7, "terminated", "SIP/2.0 481 Call Does Not Exist\r\n").await;
        }
        both_hear(&talk, &agent, 71).await;
        assert_eq!(invites(&talk), 2);
        let answer = talk.phone.ask(&agent.invite, "agent", "BYE", 7, talk.server.sip).await;
        assert_eq!(answer.status(), Some(200));
        talk.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_that_do_not_know_replaces_talk_through_us() {
    let (talk, agent) = consulted(&[]).await;
    both_hear(&talk, &agent, 81).await;
    assert_eq!(talk.phone.heard(|message| message.is_request("REFER")).len(), 0);
    // Who hangs up first ends it for both.
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 7, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    is_hung_up(&talk.phone, &agent.invite, "agent").await;
    talk.customer.result().await;
    talk.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_a_place_in_a_call_of_ours() {
    let talk = Talk::begin(crate::results::LONG_TALK, &Settings::default()).await;
    let ours = &talk.invite.message;
    let place = format!("{};to-tag={};from-tag=ear", ours.call_id(), ours.tag("From"));
    for (nth, (require, status)) in [("", 481), ("replaces", 420)].into_iter().enumerate() {
        let mut invite = in_dialog(ours, "thief", "INVITE", 1, talk.phone.address)
            .with("Replaces", &place)
            .with_sdp(&talk.ear.sdp());
        invite.set("Call-ID", &format!("thief-{nth}"));
        invite.set("To", "<sip:somebody@127.0.0.1>");
        if !require.is_empty() {
            invite = invite.with("Require", require);
        }
        talk.phone.send(&invite, talk.server.sip).await;
        let refused = talk.phone.response(&invite).await;
        assert_eq!(refused.status(), Some(status));
        assert_eq!(refused.header("Unsupported"), require);
        let mut ack = Message::new(invite.start.replacen("INVITE", "ACK", 1));
        for name in ["Via", "From", "Call-ID"] {
            ack = ack.with(name, invite.header(name));
        }
        let ack = ack.with("To", refused.header("To")).with("CSeq", "1 ACK");
        talk.phone.send(&ack, talk.server.sip).await;
        assert!(!parameter(refused.header("To"), "tag").is_empty());
    }
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 8, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    talk.customer.result().await;
    talk.server.stop().await;
}
