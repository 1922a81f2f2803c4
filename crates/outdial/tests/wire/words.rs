//! What callees say in words, where prompts have got to when they answer, and calls on tape.

use media::align::align;
use media::g711::Law;
use serde_json::json;

use crate::customer::Reply;
use crate::harness::until;
use crate::record::Talk;
use crate::server::Settings;
use crate::sound::{check, prompt, spoken, wav};

/// Asks for a city, and posts what was understood.
const ASKS_FOR_A_CITY: &str = r##"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <property name="timeout" value="20s"/>
  <form><field name="city">
    <grammar mode="voice" version="1.0" root="r" xml:lang="en-US"><rule id="r"><one-of>
      <item>new york</item><item>chicago</item><item>operator</item>
    </one-of></rule></grammar>
    <grammar mode="dtmf" version="1.0" root="k"><rule id="k">9</rule></grammar>
    <prompt>Which city?</prompt>
    <nomatch><reprompt/></nomatch>
    <filled>
      <var name="mode" expr="city$.inputmode"/><var name="sure" expr="city$.confidence"/>
      <submit next="/answer" method="post" namelist="city mode sure"/>
    </filled>
  </field></form>
</vxml>"##;

#[tokio::test(flavor = "multi_thread")]
async fn word_that_a_callee_says_arrives_in_the_submitted_field() {
    let talk = Talk::begin(ASKS_FOR_A_CITY, &Settings::default()).await;
    until("the question is asked", async || (talk.heard().len() > 16_000).then_some(())).await;
    talk.voice.say(&spoken("Chicago").await);
    let answer = talk.answer().await;
    assert_eq!((answer.field("city"), answer.field("mode")), ("chicago", "voice"));
    let sure: f64 = answer.field("sure").parse().unwrap();
    assert!((0.5..=1.0).contains(&sure), "{sure}");
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_work_where_no_recognizer_is_connected() {
    let settings = Settings { sip: "[recognition]\nprogram = \"\"", ..Settings::default() };
    let talk = Talk::begin(ASKS_FOR_A_CITY, &settings).await;
    until("the question is asked", async || (talk.heard().len() > 16_000).then_some(())).await;
    talk.voice.say(&spoken("Chicago").await);
    until("it was said", async || talk.voice.is_silent().then_some(())).await;
    talk.voice.press("9");
    let answer = talk.answer().await;
    assert_eq!((answer.field("city"), answer.field("mode")), ("9", "dtmf"));
    talk.ends().await;
}

/// Records until a word is said, and posts what is there and by which word.
const RECORDS_UNTIL_A_WORD: &str = r##"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form><record name="note" maxtime="40s" finalsilence="20s" beep="true">
    <grammar mode="voice" version="1.0" root="r" xml:lang="en-US"><rule id="r"><one-of>
      <item>chicago</item><item>operator</item>
    </one-of></rule></grammar>
    <filled>
      <var name="word" expr="note$.utterance"/><var name="mode" expr="note$.inputmode"/>
      <var name="took" expr="note$.duration"/>
      <submit next="/answer" method="post" namelist="word mode took"/>
    </filled>
  </record></form>
</vxml>"##;

#[tokio::test(flavor = "multi_thread")]
async fn word_that_a_callee_says_into_a_recording_ends_it() {
    let talk = Talk::begin(RECORDS_UNTIL_A_WORD, &Settings::default()).await;
    talk.beep().await;
    let note = prompt(61, 2);
    let pause = vec![0; 12_000];
    talk.voice.say(&[note.clone(), pause, spoken("Chicago").await].concat());
    let answer = talk.answer().await;
    assert_eq!((answer.field("word"), answer.field("mode")), ("chicago", "voice"));
    let took_ms: f64 = answer.field("took").parse().unwrap();
    assert!((3_500.0..20_000.0).contains(&took_ms), "{took_ms} ms");
    talk.ends().await;
}

/// Plays two prompts with marks around them, and posts which one was reached.
const MARKS: &str = r##"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form><field name="key">
    <grammar mode="dtmf" version="1.0" root="k"><rule id="k">5</rule></grammar>
    <prompt><audio src="/one.wav"/><mark name="first"/><audio src="/two.wav"/>
      <mark name="second"/></prompt>
    <filled>
      <var name="mark" expr="application.lastresult$.markname"/>
      <var name="time" expr="application.lastresult$.marktime"/>
      <submit next="/answer" method="post" namelist="key mark time"/>
    </filled>
  </field></form>
</vxml>"##;

#[tokio::test(flavor = "multi_thread")]
async fn mark_that_was_reached_when_a_key_was_pressed_is_told() {
    let talk = Talk::begin_with(MARKS, &Settings::default(), |customer| {
        customer.reply("GET", "/one.wav", [Reply::wav(wav(&prompt(41, 1)))]);
        customer.reply("GET", "/two.wav", [Reply::wav(wav(&prompt(42, 30)))]);
    })
    .await;
    let one_and_a_half = 12_000;
    until("the second prompt plays", async || {
        let loud = talk.heard().iter().filter(|sample| sample.unsigned_abs() > 100).count();
        (loud > one_and_a_half).then_some(())
    })
    .await;
    talk.voice.press("5");
    let answer = talk.answer().await;
    assert_eq!(answer.field("mark"), "first");
    let time_ms: f64 = answer.field("time").parse().unwrap();
    assert!((200.0..20_000.0).contains(&time_ms), "{time_ms} ms");
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_of_a_recorded_campaign_is_had_as_a_file_with_a_channel_for_each_side() {
    let page = r##"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form><block><prompt><audio src="/one.wav"/><break time="4s"/></prompt></block></form>
</vxml>"##;
    let ours = prompt(51, 2);
    let (served, policy) = (wav(&ours), json!({ "recording": "separate" }));
    let talk = Talk::begin_in(page, &Settings::default(), policy, |customer| {
        customer.reply("GET", "/one.wav", [Reply::wav(served.clone())]);
    })
    .await;
    let theirs = prompt(52, 2);
    talk.voice.say(&theirs);
    let bye = talk.phone.request("BYE").await;
    talk.phone.answer(&bye, 200, "OK", "ear").await;
    talk.customer.result().await;
    let call = talk.server.until_state(&talk.id, "completed").await;
    let events = call["events"].as_array().unwrap();
    let recorded = events.iter().find(|event| event["kind"] == "recorded").unwrap();
    let link = recorded["detail"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    let file = talk.server.native("GET", &link, None).await;
    assert_eq!(file.status, 200, "{}", file.text());
    let samples = &file.body[58..];
    let side = |nth: usize| -> Vec<i16> {
        samples.iter().skip(nth).step_by(2).map(|byte| Law::Mu.decode(*byte)).collect()
    };
    check("callee on tape", &theirs, &side(0));
    check("prompt on tape", &ours, &side(1));
    assert!(align(&ours, &side(0)).is_none_or(|found| found.correlation < 0.5));
    let nobody = crate::http::send(talk.server.api(), "GET", &link, &[], "").await;
    assert_eq!(nobody.status, 401);
    let other = talk.server.native("GET", &format!("{link}9"), None).await;
    assert_eq!(other.status, 404);
    talk.server.stop().await;
}
