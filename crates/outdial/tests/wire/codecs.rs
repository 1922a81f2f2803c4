//! Calls in every codec: heard both ways, keys beside them, protected, mixed, and changed on the way.

use media::sound::{Hint, Limits, Sound};

use crate::baresip::Baresip;
use crate::customer::{Customer, PLAYS_A_PROMPT, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::scene::{Expected, NUMBER, Scene, queue};
use crate::server::{Server, Settings};
use crate::sound::{check_like, prompt, spoken, wav};

/// Plays a prompt, asks for keys, records what is said, and posts both.
const ASKS_AND_RECORDS: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form>
    <field name="choice" type="digits?length=4">
      <property name="timeout" value="30s"/>
      <property name="inputmodes" value="dtmf"/>
      <prompt><audio src="/prompt.wav"/></prompt>
    </field>
    <record name="message" maxtime="4s" finalsilence="4s" dtmfterm="false"/>
    <block><submit next="/answer" method="post" enctype="multipart/form-data"
      namelist="choice message"/></block>
  </form>
</vxml>"#;
/// What is spoken each way; Opus is made for it.
const TEXT: &str = "Your appointment is tomorrow at nine. Please bring all your papers with you.";
const ANSWER: &str = "Thank you very much for your call, I will certainly be there in good time. \
    Could you please tell me where exactly I have to go, and whom I should ask for? I have never \
    been in that building before, and last time somebody sent me to the wrong floor. It would \
    also be kind of you to write it down in a message for me, since I forget such things.";

/// The codecs of the trunk, in another order than usual.
fn settings(codecs: &str) -> Settings {
    Settings { trunk: format!("codecs = [{codecs}]\n"), ..Settings::default() }
}

/// A phone that speaks nothing but `codec` hears the prompt, presses keys and is recorded: this
/// less like what it said, since a busy machine disturbs its clock.
async fn speaks(codec: &str, alike_min: (f64, f64)) {
    let stage = Stage::new();
    let baresip = async |says: Vec<i16>| Baresip::speaking(&stage, NUMBER, codec, &says).await;
    let all = settings(r#""pcmu", "pcma", "g722", "opus""#);
    hears_and_is_heard(&stage, codec, baresip, &all, alike_min).await;
}

/// The same of this phone, called by a server with these settings.
pub(crate) async fn hears_and_is_heard(
    stage: &Stage,
    what: &str,
    phone: impl AsyncFnOnce(Vec<i16>) -> Baresip,
    settings: &Settings,
    (heard_min, said_min): (f64, f64),
) {
    let (sent, said) = (spoken(TEXT).await, spoken(ANSWER).await);
    let mut baresip = phone(said.repeat(4)).await;
    let customer = Customer::open(ASKS_AND_RECORDS).await;
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&sent))]);
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    let server = Server::start(stage, baresip.address, settings).await;
    queue(&server, &customer, NUMBER).await;
    baresip.until_heard(sent.len() + 1_600).await;
    baresip.press("2590").await;
    let answer = customer.posted("/answer").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    check_like(&format!("{what}, heard"), &sent, &baresip.heard(), heard_min);
    let text = String::from_utf8(answer.part("choice").1).unwrap();
    assert_eq!(text, "2590");
    let (_, recording) = answer.part("message");
    let recording = Sound::read(&recording, Hint::None, &Limits::default()).unwrap();
    assert!(recording.samples().len() > 3 * 8_000, "{}", recording.samples().len());
    // The recording is a part of what it says all the time.
    check_like(&format!("{what}, said"), recording.samples(), &said.repeat(4), said_min);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_speaks_g722_hears_and_is_heard() {
    speaks("G722/16000/1", (0.95, 0.8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_speaks_opus_hears_and_is_heard() {
    speaks("opus/48000/2", (0.8, 0.7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_goes_on_in_another_codec_and_refuses_one_that_nobody_knows() {
    let all = settings(r#""pcmu", "g722", "opus""#);
    let scene = Scene::open("changes_codec", 1, &[], &all).await;
    scene.customer.reply("POST", "/start", [Reply::page(PLAYS_A_PROMPT)]);
    scene.customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&prompt(7, 4)))]);
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    scene.ends_clean().await;
}
