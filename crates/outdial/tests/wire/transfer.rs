//! Callees who are connected with somebody: both are heard, keys pass, and nobody is called who may
//! not be.

use std::sync::Arc;

use proto::rtp::Codec;

use crate::customer::{Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::phone::{Ear, Heard, Phone, Voice};
use crate::record::Talk;
use crate::scene::{NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;
use crate::sound::{check, prompt, share_heard, spoken};

/// Whom callees are connected with.
pub(crate) const AGENT: &str = "15550100777";
/// How often two say the same: a machine may stand still for as long as they talk.
const SAID_MAX: usize = 4;
/// How much of it must be heard: the rest are pieces in which a machine stood still.
const HEARD_SHARE_MIN: f64 = 0.7;

/// A page that transfers with these attributes, and posts how it ended.
pub(crate) fn page(attributes: &str) -> String {
    format!(
        r##"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <catch event="error.connection error.unsupported connection.disconnect">
    <var name="result" expr="_event"/>
    <submit next="/answer" method="post" namelist="result"/>
  </catch>
  <form><transfer name="agent" {attributes}>
    <grammar mode="dtmf" version="1.0" root="r"><rule id="r">* 9</rule></grammar>
    <filled>
      <var name="result" expr="agent"/><var name="took" expr="agent$.duration"/>
      <submit next="/answer" method="post" namelist="result took"/>
    </filled>
  </transfer></form>
</vxml>"##
    )
}

/// A bridge to the agent, who has time to answer.
fn patient_bridge() -> String {
    format!(r#"dest="tel:{AGENT}" bridge="true" connecttimeout="30s""#)
}

/// The second leg, at its phone.
pub(crate) struct Agent {
    ear: Ear,
    voice: Voice,
    pub(crate) invite: Heard,
}

async fn rings(phone: &Phone) -> Heard {
    let is_agent = |message: &Message| message.is_request("INVITE") && message.number() == AGENT;
    phone.take("the agent is called", is_agent).await
}

async fn answers(phone: &Phone) -> Agent {
    answers_with(phone, &[]).await
}

/// The same by an answer with these headers beside.
pub(crate) async fn answers_with(phone: &Phone, headers: &[(&str, &str)]) -> Agent {
    let invite = rings(phone).await;
    let ear = Ear::open().await;
    let voice = ear.speak(&invite.message);
    let mut answer = phone.response_to(&invite, 200, "OK", "agent").with_sdp(&ear.sdp());
    for (name, value) in headers {
        answer = answer.with(name, *value);
    }
    phone.send(&answer, invite.from).await;
    let call_id = invite.message.call_id().to_owned();
    let is_ack = |message: &Message| message.is_request("ACK") && message.call_id() == call_id;
    phone.take("the agent is connected", is_ack).await;
    Agent { ear, voice, invite }
}

pub(crate) async fn is_hung_up(phone: &Phone, invite: &Heard, tag: &str) {
    let call_id = invite.message.call_id().to_owned();
    let is_bye = |message: &Message| message.is_request("BYE") && message.call_id() == call_id;
    let bye = phone.take(&format!("{tag} is hung up"), is_bye).await;
    phone.answer(&bye, 200, "OK", tag).await;
}

/// Both say something, and hear each other.
pub(crate) async fn both_hear(talk: &Talk, agent: &Agent, seed: u32) {
    let said = (prompt(seed, 2), prompt(seed + 1, 2));
    let [by_agent, by_callee] = both_say(talk, agent, &said).await;
    check("agent hears the callee", &said.0, &by_agent);
    check("callee hears the agent", &said.1, &by_callee);
}

/// The callee says the first and the agent the second; what the agent and the callee have heard.
async fn both_say(
    talk: &Talk,
    agent: &Agent,
    (callee_said, agent_said): &(Vec<i16>, Vec<i16>),
) -> [Vec<i16>; 2] {
    let (callee_before, agent_before) = (talk.ear.heard_len(), agent.ear.heard_len());
    talk.voice.say(callee_said);
    agent.voice.say(agent_said);
    let enough = callee_said.len().max(agent_said.len()) + 4_000;
    until("both have heard it", async || {
        let callee = talk.ear.heard_len() - callee_before;
        let agent = agent.ear.heard_len() - agent_before;
        (callee >= enough && agent >= enough).then_some(())
    })
    .await;
    [agent.ear.heard().split_off(agent_before), talk.ear.heard().split_off(callee_before)]
}

/// The callee has ended the talk: the agent is hung up, and the script goes on.
async fn comes_back(talk: Talk, agent: &Agent) {
    is_hung_up(&talk.phone, &agent.invite, "agent").await;
    let answer = talk.answer().await;
    assert_eq!(answer.field("result"), "near_end_disconnect");
    assert!(answer.field("took").parse::<f64>().unwrap() >= 2.0, "{}", answer.field("took"));
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bridged_callee_talks_with_the_agent_and_comes_back_to_the_script_by_a_key() {
    let talk = Talk::begin(&page(&patient_bridge()), &Settings::default()).await;
    let agent = answers(&talk.phone).await;
    both_hear(&talk, &agent, 21).await;
    talk.voice.press("5");
    until("the key has passed", async || agent.ear.has_key('5').then_some(())).await;
    talk.voice.press("*9");
    comes_back(talk, &agent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bridged_callee_comes_back_to_the_script_by_a_word() {
    let words = r#"<grammar mode="voice" version="1.0" root="w" xml:lang="en-US"><rule id="w">
        <one-of><item>chicago</item><item>operator</item></one-of></rule></grammar><filled>"#;
    let page = page(&patient_bridge()).replacen("<filled>", words, 1);
    let talk = Talk::begin(&page, &Settings::default()).await;
    let agent = answers(&talk.phone).await;
    // What the two say to each other is no word.
    both_hear(&talk, &agent, 71).await;
    agent.voice.say(&spoken("Chicago").await);
    until("the agent has said it", async || agent.voice.is_silent().then_some(())).await;
    let pause = vec![0; 12_000];
    talk.voice.say(&[pause, spoken("Chicago").await].concat());
    comes_back(talk, &agent).await;
}

/// A callee and an agent with different codecs: what passes between them is made over.
#[tokio::test(flavor = "multi_thread")]
async fn callee_in_g722_or_opus_and_agent_in_g711_hear_each_other_and_keys_pass_both_ways() {
    // Opus keeps speech and not its shape.
    let said = (
        spoken("Good morning, this is the callee, and I have a question.").await,
        spoken("Hello, this is the agent, how may I help you?").await,
    );
    let talks = async |codec: Codec, alike_min: f64| {
        let settings = Settings {
            trunk: "codecs = [\"opus\", \"g722\", \"pcmu\"]\n".into(),
            ..Settings::default()
        };
        let ear = Ear::speaking(codec).await;
        let talk = Talk::begin_with_ear(&page(&patient_bridge()), &settings, ear).await;
        let agent = answers(&talk.phone).await;
        let is_heard = |[by_agent, by_callee]: &[Vec<i16>; 2]| {
            let shares = [(&said.0, by_agent), (&said.1, by_callee)]
                .map(|(sent, heard)| share_heard(sent, heard, alike_min));
            println!("{codec:?}: heard by agent and callee, {shares:?} of all pieces");
            shares.into_iter().all(|share| share >= HEARD_SHARE_MIN)
        };
        let mut is_alike = false;
        for _ in 0..SAID_MAX {
            is_alike = is_heard(&both_say(&talk, &agent, &said).await);
            if is_alike {
                break;
            }
        }
        assert!(is_alike, "{codec:?} is not heard as it was said");
        talk.voice.press("5");
        agent.voice.press("6");
        until("both keys have passed", async || {
            (agent.ear.has_key('5') && talk.ear.has_key('6')).then_some(())
        })
        .await;
        talk.voice.press("*9");
        comes_back(talk, &agent).await;
    };
    tokio::join!(talks(Codec::G722, 0.95), talks(Codec::Opus, 0.8));
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_is_busy_silent_or_leaves_is_told_to_the_script() {
    let attributes = format!(r#"dest="tel:{AGENT}" bridge="true" connecttimeout="1s""#);
    let talk = Talk::begin(&page(&attributes), &Settings::default()).await;
    let invite = rings(&talk.phone).await;
    talk.phone.answer(&invite, 486, "Busy Here", "agent").await;
    assert_eq!(talk.answer().await.field("result"), "busy");
    talk.ends().await;

    let talk = Talk::begin(&page(&attributes), &Settings::default()).await;
    let invite = rings(&talk.phone).await;
    talk.phone.answer(&invite, 180, "Ringing", "agent").await;
    let cancel = talk.phone.request("CANCEL").await;
    talk.phone.answer(&cancel, 200, "OK", "agent").await;
    talk.phone.answer(&invite, 487, "Request Terminated", "agent").await;
    assert_eq!(talk.answer().await.field("result"), "noanswer");
    talk.ends().await;

    let talk = Talk::begin(&page(&attributes), &Settings::default()).await;
    let agent = answers(&talk.phone).await;
    let answer = talk.phone.ask(&agent.invite, "agent", "BYE", 7, talk.server.sip).await;
    assert_eq!(answer.status(), Some(200));
    assert_eq!(talk.answer().await.field("result"), "far_end_disconnect");
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_who_was_handed_over_stays_with_the_agent_until_one_of_them_leaves() {
    for kind in ["blind", "consultation"] {
        let attributes = format!(r#"dest="tel:{AGENT}" type="{kind}""#);
        let talk = Talk::begin(&page(&attributes), &Settings::default()).await;
        let agent = answers(&talk.phone).await;
        let result = talk.answer().await;
        assert_eq!(result.field("result"), "connection.disconnect.transfer", "{kind}");
        both_hear(&talk, &agent, 31).await;
        let answer = talk.phone.ask(&agent.invite, "agent", "BYE", 7, talk.server.sip).await;
        assert_eq!(answer.status(), Some(200));
        talk.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_is_hung_up_when_the_callee_leaves() {
    let attributes = format!(r#"dest="tel:{AGENT}" bridge="true""#);
    let talk = Talk::begin(&page(&attributes), &Settings::default()).await;
    let agent = answers(&talk.phone).await;
    let answer = talk.phone.ask(&talk.invite, "ear", "BYE", 7, talk.server.sip).await;
    assert_eq!(answer.status(), Some(200));
    is_hung_up(&talk.phone, &agent.invite, "agent").await;
    assert_eq!(talk.answer().await.field("result"), "connection.disconnect.hangup");
    talk.customer.result().await;
    talk.server.until_quiet().await;
    talk.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_no_way_around_what_may_be_dialed() {
    let refused = "error.connection.noauthorization";
    for (destination, event) in [
        ("tel:+442079460000", refused),
        ("tel:+19005551234", refused),
        ("tel:911", refused),
        ("sip:anybody@127.0.0.1", "error.connection.noroute"),
        ("tel:nobody", "error.connection.baddestination"),
    ] {
        let attributes = format!(r#"dest="{destination}" bridge="true""#);
        let talk = Talk::begin(&page(&attributes), &Settings::default()).await;
        assert_eq!(talk.answer().await.field("result"), event, "{destination}");
        assert_eq!(talk.phone.heard(|message| message.is_request("INVITE")).len(), 1);
        talk.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn number_that_wants_no_calls_is_not_transferred_to() {
    let stage = Stage::new();
    let (phone, ear) = (Phone::open().await, Ear::open().await);
    let page = page(&format!(r#"dest="tel:{AGENT}" type="blind""#));
    let customer = Customer::open(&page).await;
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    let server = Server::start(&stage, phone.address, &Settings::default()).await;
    let number = serde_json::json!({ "number": AGENT });
    let opted_out = server.native("POST", "/v1/opt-outs", Some(number)).await;
    assert!((200..300).contains(&opted_out.status), "{}", opted_out.text());
    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    phone.accept(&invite, "ear", &ear.sdp()).await;
    let result = customer.posted("/answer").await;
    assert_eq!(result.field("result"), "error.connection.noauthorization");
    is_hung_up(&phone, &invite, "ear").await;
    assert_eq!(phone.heard(|message| message.is_request("INVITE")).len(), 1);
    customer.result().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_leg_needs_a_slot_of_its_own_and_gives_it_back() {
    let attributes = format!(r#"dest="tel:{AGENT}" bridge="true""#);
    let settings = Settings { slots: 1, ..Settings::default() };
    let talk = Talk::begin(&page(&attributes), &settings).await;
    assert_eq!(talk.answer().await.field("result"), "error.connection.noresource");
    talk.ends().await;

    let settings = Settings { slots: 2, ..Settings::default() };
    let talk = Talk::begin(&page(&attributes), &settings).await;
    let agent = answers(&talk.phone).await;
    assert_eq!(talk.server.health().await["trunks"][0]["busy"], 2);
    talk.voice.press("*9");
    is_hung_up(&talk.phone, &agent.invite, "agent").await;
    talk.answer().await;
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_legs_of_a_killed_server_are_taken_down_by_the_next_one() {
    let stage = Stage::new();
    let phone = Arc::new(Phone::open().await);
    let customer = Customer::open(&page(&format!(r#"dest="tel:{AGENT}" bridge="true""#))).await;
    let mut server = Server::start(&stage, phone.address, &Settings::default()).await;
    let ear = Ear::open().await;
    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    phone.accept(&invite, "ear", &ear.sdp()).await;
    let ringing = rings(&phone).await;
    phone.answer(&ringing, 180, "Ringing", "agent").await;
    server.kill().await;
    server.restart(&stage).await;
    let call_id = ringing.message.call_id().to_owned();
    let is_cancel =
        |message: &Message| message.is_request("CANCEL") && message.call_id() == call_id;
    let cancel = phone.take("the agent's phone stops to ring", is_cancel).await;
    phone.answer(&cancel, 200, "OK", "agent").await;
    phone.answer(&ringing, 487, "Request Terminated", "agent").await;
    is_hung_up(&phone, &invite, "ear").await;
    customer.result().await;
    server.stop().await;
}
