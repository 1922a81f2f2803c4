//! Callees that are recorded: beep, speech, silence; heard again in the call, and sent away.

use media::g711::Law;
use media::sound::{Hint, Limits, Sound};
use serde_json::Value;

use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::phone::{Ear, Heard, Phone, Voice};
use crate::scene::{NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;
use crate::sound::{check, prompt, share_heard};

/// Samples in a second.
const RATE_HZ: usize = 8_000;
/// Likeness of a beep to a beep: by its length alone nothing else is one.
const BEEP_FRAMES: usize = 15;

/// A call to a phone of our own, up and speaking.
pub(crate) struct Talk {
    pub(crate) server: Server,
    pub(crate) customer: Customer,
    pub(crate) phone: Phone,
    pub(crate) ear: Ear,
    pub(crate) voice: Voice,
    pub(crate) invite: Heard,
    pub(crate) id: String,
    _stage: Stage,
}

impl Talk {
    /// A call that runs `page`.
    pub(crate) async fn begin(page: &str, settings: &Settings) -> Self {
        Self::begin_with(page, settings, |_| {}).await
    }

    /// The same where the application has more than the page.
    pub(crate) async fn begin_with(
        page: &str,
        settings: &Settings,
        more: impl FnOnce(&Customer),
    ) -> Self {
        Self::begin_in(page, settings, Value::Null, more).await
    }

    /// The same with a callee who hears and speaks by this ear.
    pub(crate) async fn begin_with_ear(page: &str, settings: &Settings, ear: Ear) -> Self {
        Self::begin_as(ear, page, settings, Value::Null, |_| {}).await
    }

    /// The same in a campaign of this policy.
    pub(crate) async fn begin_in(
        page: &str,
        settings: &Settings,
        policy: Value,
        more: impl FnOnce(&Customer),
    ) -> Self {
        Self::begin_as(Ear::open().await, page, settings, policy, more).await
    }

    /// The same whose callee's phone answers with these headers beside.
    pub(crate) async fn begin_knowing(
        page: &str,
        settings: &Settings,
        headers: &[(&str, &str)],
    ) -> Self {
        Self::begin_all(Ear::open().await, page, settings, Value::Null, |_| {}, headers).await
    }

    async fn begin_as(
        ear: Ear,
        page: &str,
        settings: &Settings,
        policy: Value,
        more: impl FnOnce(&Customer),
    ) -> Self {
        Self::begin_all(ear, page, settings, policy, more, &[]).await
    }

    async fn begin_all(
        ear: Ear,
        page: &str,
        settings: &Settings,
        policy: Value,
        more: impl FnOnce(&Customer),
        headers: &[(&str, &str)],
    ) -> Self {
        let stage = Stage::new();
        let phone = Phone::open().await;
        let customer = Customer::open(page).await;
        more(&customer);
        customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
        let server = Server::start(&stage, phone.address, settings).await;
        if !policy.is_null() {
            // The campaign of Plum's calls is there with the first of them.
            queue(&server, &customer, "15550109999").await;
            let first = phone.request("INVITE").await;
            phone.answer(&first, 404, "Not Found", "nobody").await;
            phone.request("ACK").await;
            let campaigns = server.campaigns().await;
            for campaign in campaigns.values() {
                let id = campaign["id"].as_str().expect("campaigns have ids");
                let path = format!("/v1/campaigns/{id}/policy");
                let changed = server.native("PATCH", &path, Some(policy.clone())).await;
                assert_eq!(changed.status, 200, "{}", changed.text());
            }
        }
        let id = queue(&server, &customer, NUMBER).await;
        let is_ours =
            |message: &Message| message.is_request("INVITE") && message.number() == NUMBER;
        let invite = phone.take("the callee is called", is_ours).await;
        let voice = ear.speak(&invite.message);
        let mut answer = phone.response_to(&invite, 200, "OK", "ear").with_sdp(&ear.sdp());
        for (name, value) in headers {
            answer = answer.with(name, *value);
        }
        phone.send(&answer, invite.from).await;
        phone.request("ACK").await;
        Self { server, customer, phone, ear, voice, invite, id, _stage: stage }
    }

    /// What the phone has heard so far.
    pub(crate) fn heard(&self) -> Vec<i16> {
        samples(&self.ear)
    }

    /// Waits for the beep before a recording: so many loud frames in a row.
    pub(crate) async fn beep(&self) {
        until("it beeps", async || {
            let loud = |packet: &[i16]| packet.iter().any(|sample| sample.unsigned_abs() > 2_000);
            let heard = self.heard();
            let frames: Vec<bool> = heard.chunks(160).map(loud).collect();
            let runs = frames.chunk_by(|a, b| a == b);
            let beeped = runs.take(frames.len()).any(|run| run[0] && run.len() >= BEEP_FRAMES);
            (beeped && frames.last() == Some(&false)).then_some(())
        })
        .await;
    }

    /// What the application was posted when the recording was over.
    pub(crate) async fn answer(&self) -> Asked {
        self.customer.posted("/answer").await
    }

    /// Is hung up, and everything ends well.
    pub(crate) async fn ends(self) {
        let bye = self.phone.request("BYE").await;
        self.phone.answer(&bye, 200, "OK", "ear").await;
        self.customer.result().await;
        self.server.stop().await;
    }
}

/// What an ear has heard so far.
pub(crate) fn samples(ear: &Ear) -> Vec<i16> {
    ear.heard()
}

/// A page that records with these attributes, plays what was said and posts it.
fn page(attributes: &str) -> String {
    format!(
        r##"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <property name="timeout" value="6s"/>
  <form><record name="message" {attributes}>
    <noinput count="2"><submit next="/answer" namelist="message" method="post"/></noinput>
    <filled>
      <prompt><value expr="message"/></prompt>
      <var name="took" expr="message$.duration"/><var name="size" expr="message$.size"/>
      <var name="key" expr="message$.termchar"/><var name="full" expr="message$.maxtime"/>
      <submit next="/answer" method="post" enctype="multipart/form-data"
        namelist="message took size key full"/>
    </filled>
  </record></form>
</vxml>"##
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_after_the_beep_is_heard_again_and_arrives_at_the_application() {
    let talk = Talk::begin(&page(r#"beep="true" finalsilence="1s""#), &Settings::default()).await;
    talk.beep().await;
    let said = prompt(11, 3);
    talk.voice.say(&said);
    let answer = talk.answer().await;
    let (media_type, wav) = answer.part("message");
    assert_eq!(media_type, "audio/x-wav");
    let kept = Sound::read(&wav, Hint::None, &Limits::default()).unwrap();
    check("recording at the application", &said, kept.samples());
    let text = |name: &str| String::from_utf8(answer.part(name).1).unwrap();
    let took: f64 = text("took").parse().unwrap();
    assert!((4_000.0..6_000.0).contains(&took), "{took} ms of three seconds and one of silence");
    assert_eq!(text("size").parse::<usize>().unwrap(), wav.len() - wav.len() % 2);
    assert_eq!((text("full").as_str(), text("key").as_str()), ("false", "undefined"));
    let bye = talk.phone.request("BYE").await;
    check("recording heard again", &said, &talk.heard());
    talk.phone.answer(&bye, 200, "OK", "ear").await;
    talk.customer.result().await;
    talk.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_ends_a_recording_as_raw_a_law() {
    let attributes = r#"type="audio/x-alaw-basic" finalsilence="9s" beep="true""#;
    let talk = Talk::begin(&page(attributes), &Settings::default()).await;
    talk.beep().await;
    let said = prompt(12, 2);
    talk.voice.say(&said);
    until("it was said", async || talk.voice.is_silent().then_some(())).await;
    talk.voice.press("7");
    let answer = talk.answer().await;
    let (media_type, bytes) = answer.part("message");
    assert_eq!(media_type, "audio/x-alaw-basic");
    let kept: Vec<i16> = bytes.iter().map(|byte| Law::A.decode(*byte)).collect();
    let heard = share_heard(&said, &kept, 0.95);
    assert!(heard > 0.7, "{heard}");
    assert_eq!(answer.part("key").1, b"7");
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_is_cut_at_its_greatest_length_and_silence_is_no_input() {
    let attributes = r#"type="audio/basic" maxtime="1500ms""#;
    let talk = Talk::begin(&page(attributes), &Settings::default()).await;
    talk.voice.say(&prompt(13, 6));
    let answer = talk.answer().await;
    assert_eq!(answer.part("full").1, b"true");
    assert_eq!(answer.part("message").1.len(), 12_000);
    talk.ends().await;
    let silent = page("").replace("6s", "1s");
    let talk = Talk::begin(&silent, &Settings::default()).await;
    let answer = talk.answer().await;
    assert_eq!(answer.field("message"), "undefined", "{}", answer.body);
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_of_who_hangs_up_while_it_is_recorded_is_not_lost() {
    let page = r##"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <catch event="connection.disconnect.hangup">
    <submit next="/answer" method="post" enctype="multipart/form-data" namelist="message"/>
  </catch>
  <form><record name="message" beep="true" finalsilence="9s"><filled/></record></form>
</vxml>"##;
    let talk = Talk::begin(page, &Settings::default()).await;
    talk.beep().await;
    let said = prompt(14, 2);
    talk.voice.say(&said);
    until("it was said", async || talk.voice.is_silent().then_some(())).await;
    let (phone, server) = (&talk.phone, &talk.server);
    let answer = phone.ask(&talk.invite, "ear", "BYE", 7, server.sip).await;
    assert_eq!(answer.status(), Some(200));
    let (_, wav) = talk.answer().await.part("message");
    let kept = Sound::read(&wav, Hint::None, &Limits::default()).unwrap();
    // The last words of who hangs up at once are in the jitter buffer yet.
    let heard = share_heard(&said[..RATE_HZ * 3 / 2], kept.samples(), 0.95);
    assert!(heard > 0.6, "{heard}");
    talk.customer.result().await;
    talk.server.stop().await;
}
