//! Who answers, on the wire: the verdict reaches scripts, results and rules; messages land after
//! the beep.

use std::time::Duration;

use media::g711::Law;
use media::tone::{Generator, Sit, Tone};
use proto::rtp::Codec;
use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::phone::{Ear, Heard, Phone, Voice};
use crate::record::samples;
use crate::relay::Weather;
use crate::scene::NUMBER;
use crate::server::{Server, Settings};
use crate::sipp::Sipp;
use crate::sound::{check, spoken, voiced};

/// A greeting that nobody takes for a person's.
pub(crate) const GREETING: &str = "Hello, you have reached the voicemail of Ann Lee. I cannot take your call \
    right now, since I am away from my desk. Please leave your name and your number after the \
    tone, and I will call you back as soon as I can.";
/// What is left there.
const MESSAGE: &str = "This is a reminder of your appointment tomorrow at nine. Goodbye.";
/// Loudest sample of what still counts as silence.
const QUIET_MAX: u16 = 600;

/// Tells who it is when the script begins, and again after six seconds without a key.
const BRANCHES: &str = r##"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <property name="inputmodes" value="dtmf"/>
  <var name="first" expr="session.connection.callee_type"/>
  <form><field name="key" type="digits?length=1">
    <property name="timeout" value="8s"/>
    <noinput>
      <var name="then" expr="session.connection.callee_type"/>
      <submit next="/answer" method="post" namelist="first then"/>
    </noinput>
  </field></form>
</vxml>"##;

/// A server, a phone of our own, and what is to happen to a call.
struct Line {
    server: Server,
    customer: Customer,
    phone: Phone,
    ear: Ear,
    id: String,
    _stage: Stage,
}

/// An answered call.
struct Talk {
    invite: Heard,
    voice: Voice,
}

impl Line {
    /// A call by these rules, with more fields of its request.
    async fn dial(page: &str, detection: Value, more: Value) -> Self {
        Self::dial_in(Codec::Pcmu, page, detection, more).await
    }

    /// The same to a phone that speaks nothing but this codec.
    async fn dial_in(codec: Codec, page: &str, detection: Value, more: Value) -> Self {
        let stage = Stage::new();
        let (phone, ear) = (Phone::open().await, Ear::speaking(codec).await);
        let customer = Customer::open(page).await;
        customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
        let codecs = "codecs = [\"pcmu\", \"g722\", \"opus\"]\n";
        let settings = Settings { trunk: codecs.into(), ..Settings::default() };
        let server = Server::start(&stage, phone.address, &settings).await;
        let mut call = json!({
            "number": NUMBER,
            "vxml_url": customer.url("/start"),
            "result_url": customer.url("/result"),
            "detection": detection,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            call[name] = value.clone();
        }
        let id = server.create_call(call).await;
        Self { server, customer, phone, ear, id, _stage: stage }
    }

    /// Answers the next attempt.
    async fn answer(&self) -> Talk {
        let invite = self.phone.request("INVITE").await;
        let voice = self.ear.speak(&invite.message);
        self.phone.accept(&invite, "ear", &self.ear.sdp()).await;
        self.phone.request("ACK").await;
        Talk { invite, voice }
    }

    /// Is hung up by the server.
    async fn hung_up(&self) {
        let bye = self.phone.request("BYE").await;
        self.phone.answer(&bye, 200, "OK", "ear").await;
    }

    /// The result, as it was posted, and the call, as it is shown.
    async fn ends(self, state: &str) -> (Value, Value) {
        let result = self.customer.result().await;
        let call = self.server.until_state(&self.id, state).await;
        self.server.stop().await;
        (serde_json::from_str(&result.body).unwrap(), call)
    }
}

impl Talk {
    /// Says this to its end.
    async fn say(&self, samples: &[i16]) {
        self.voice.say(samples);
        until("it was said", async || self.voice.is_silent().then_some(())).await;
    }
}

fn tone(tone: Tone, ms: usize) -> Vec<i16> {
    let mut samples = vec![0; ms * 8];
    Generator::new(tone).fill(&mut samples);
    samples
}

async fn greeting_and_beep() -> Vec<i16> {
    let mut sound = spoken(GREETING).await;
    sound.extend([0; 4_000]);
    sound.extend(tone(Tone::beep(1_000.0, Duration::from_millis(400)), 400));
    sound
}

/// What the attempt's event says of who it was.
fn detected(call: &Value) -> Vec<String> {
    let events = call["events"].as_array().unwrap();
    let of_kind = events.iter().filter(|event| event["kind"] == "callee_detected");
    of_kind.map(|event| event["detail"].as_str().unwrap().to_owned()).collect()
}

fn loud(ear: &Ear) -> usize {
    samples(ear).iter().filter(|sample| sample.unsigned_abs() > QUIET_MAX).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn script_hears_processing_first_and_then_that_a_person_answered() {
    let line = Line::dial(BRANCHES, json!({}), json!({})).await;
    let sound = spoken("Hello?").await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    let answer = line.customer.posted("/answer").await;
    assert_eq!((answer.field("first"), answer.field("then")), ("processing", "human"));
    line.hung_up().await;
    let (result, call) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "human");
    let told = detected(&call);
    assert!(matches!(&told[..], [one] if one.starts_with("human ")), "{told:?}");
    assert!(call["attempts"][0]["detected"].as_str().unwrap().starts_with("human "), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plums_client_that_asks_for_it_is_told_of_a_machine_in_script_and_result() {
    let stage = Stage::new();
    let (phone, ear) = (Phone::open().await, Ear::open().await);
    let customer = Customer::open(BRANCHES).await;
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    let server = Server::start(&stage, phone.address, &Settings::default()).await;
    let (start_url, result_url) = (customer.url("/start"), customer.url("/result"));
    server
        .queued(&[
            ("phone_number", NUMBER),
            ("start_url", &start_url),
            ("result_url", &result_url),
            ("callee_type_detection", "1"),
        ])
        .await;
    // Before the answer: who says nothing for a while is spoken to.
    let greeting = greeting_and_beep().await;
    let invite = phone.request("INVITE").await;
    let voice = ear.speak(&invite.message);
    phone.accept(&invite, "ear", &ear.sdp()).await;
    phone.request("ACK").await;
    voice.say(&greeting);
    let answer = customer.posted("/answer").await;
    assert_eq!((answer.field("first"), answer.field("then")), ("processing", "answeringmachine"));
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "ear").await;
    let result = customer.result().await;
    assert_eq!(
        (result.field("result"), result.field("callee_type")),
        ("Completed", "answeringmachine")
    );
    server.stop().await;
}

/// A call to sipp, which plays this when it has answered, or before; by these rules.
async fn to_sipp(scenario: &str, sound: &[i16], detection: Value) -> (Value, Option<String>) {
    let stage = Stage::new();
    let coded: Vec<u8> = sound.iter().map(|sample| Law::Mu.encode(*sample)).collect();
    stage.write("callee.pcmu", coded);
    let mut sipp = Sipp::start(&stage, scenario, 1, &[], Weather::default()).await;
    let customer = Customer::open(BRANCHES).await;
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    let server = Server::start(&stage, sipp.relay.front, &Settings::default()).await;
    let call = json!({
        "number": NUMBER, "vxml_url": customer.url("/start"),
        "result_url": customer.url("/result"), "detection": detection,
        "retry": { "attempts_max": 1, "after": { "machine": 600, "fax": 600 } },
    });
    server.create_call(call).await;
    let result = customer.result().await;
    sipp.ended_well().await;
    let said = customer.asked().iter().find(|one| one.path == "/answer").cloned();
    server.stop().await;
    (serde_json::from_str(&result.body).unwrap(), said.map(|one| one.field("then").to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn callees_of_sipp_are_told_in_script_and_result() {
    let hello = spoken("Hello?").await;
    let greeting = greeting_and_beep().await;
    let fax = tone(Tone::ced(), 3_500);
    for (sound, callee) in [(hello, "human"), (greeting, "machine"), (fax, "fax")] {
        let (result, said) = to_sipp("plays", &sound, json!({})).await;
        assert_eq!(result["data"]["callee_type"], callee);
        assert_eq!(said.as_deref(), Some(callee));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tones_that_sipp_plays_before_the_answer_end_the_call_as_intercepted() {
    let tones = [tone(Tone::sit(Sit::VacantCode), 1_100), vec![0; 4_000]].concat();
    let (result, said) = to_sipp("plays_early", &tones, json!({})).await;
    assert_eq!((&result["data"]["outcome"], said), (&json!("intercepted"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn message_is_left_after_the_beep_whole_and_noted() {
    let rules = json!({ "message": { "say": MESSAGE } });
    let line = Line::dial(SAYS_NOTHING, rules, json!({})).await;
    let sound = greeting_and_beep().await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    // All of greeting and beep was said by now; that the beep has ended shows a moment later.
    let before = loud(&line.ear);
    assert_eq!(before, 0, "nothing is said into the greeting");
    line.hung_up().await;
    check("message", &spoken(MESSAGE).await, &samples(&line.ear));
    // That the page answers was looked at when the call was queued; only a script posts to it.
    let starts = |asked: &Asked| asked.path == "/start" && asked.method == "POST";
    let customer_was_asked = line.customer.asked().iter().any(starts);
    assert!(!customer_was_asked, "the script is for people");
    let (result, call) = line.ends("completed").await;
    let data = &result["data"];
    assert_eq!((&data["callee_type"], &data["message_left"]), (&json!("machine"), &json!(true)));
    let kinds: Vec<&str> =
        call["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds[kinds.len() - 5..],
        ["answered", "callee_detected", "message_left", "ended", "done"],
        "{kinds:?}"
    );
    assert_eq!(call["attempts"][0]["message_left"], true);
}

/// What a codec does to greeting, beep and pause makes nobody else of who answers.
#[tokio::test(flavor = "multi_thread")]
async fn person_and_machine_are_told_apart_in_every_codec() {
    let (hello, greeting) = (spoken("Hello?").await, greeting_and_beep().await);
    let answered = async |codec: Codec, sound: &[i16], callee: &str| {
        // A machine's page is asked for after its beep: all of its sound is heard by then.
        let rules = json!({ "start": "when_known", "on_machine": "wait" });
        let line = Line::dial_in(codec, SAYS_NOTHING, rules, json!({})).await;
        let talk = line.answer().await;
        talk.voice.say(sound);
        line.hung_up().await;
        let is_over = callee != "machine" || talk.voice.is_silent();
        assert!(is_over, "{codec:?}: the machine was not heard to the end");
        let (result, call) = line.ends("completed").await;
        println!("{codec:?}: {:?}", detected(&call));
        assert_eq!(result["data"]["callee_type"], callee, "{codec:?}");
    };
    let both = async |codec| {
        tokio::join!(answered(codec, &hello, "human"), answered(codec, &greeting, "machine"))
    };
    tokio::join!(both(Codec::Pcmu), both(Codec::G722), both(Codec::Opus));
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_began_before_a_late_beep_begins_again_after_it() {
    let rules = json!({ "message": { "say": MESSAGE } });
    let line = Line::dial(SAYS_NOTHING, rules, json!({})).await;
    let sound = spoken(GREETING).await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    until("the message begins", async || (loud(&line.ear) > 4_000).then_some(())).await;
    let first = samples(&line.ear).len();
    talk.say(&tone(Tone::beep(1_000.0, Duration::from_millis(400)), 400)).await;
    line.hung_up().await;
    // What was heard from the beep on holds all of it: it began again there.
    check("message after the beep", &spoken(MESSAGE).await, &samples(&line.ear)[first..]);
    let (result, _) = line.ends("completed").await;
    assert_eq!(result["data"]["message_left"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_who_hangs_up_during_the_message_was_not_left_it() {
    let rules = json!({ "message": { "say": MESSAGE } });
    let line = Line::dial(SAYS_NOTHING, rules, json!({})).await;
    let sound = greeting_and_beep().await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    until("the message begins", async || (loud(&line.ear) > 4_000).then_some(())).await;
    let answer = line.phone.ask(&talk.invite, "ear", "BYE", 7, line.server.sip).await;
    assert_eq!(answer.status(), Some(200));
    let (result, _) = line.ends("completed").await;
    let data = &result["data"];
    assert_eq!((&data["callee_type"], &data["message_left"]), (&json!("machine"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_is_hung_up_on_and_called_again_where_the_rules_say_so() {
    let rules = json!({ "on_machine": "hang_up" });
    let retry = json!({ "retry": { "attempts_max": 2, "after": { "machine": 1 } } });
    let line = Line::dial(BRANCHES, rules, retry).await;
    let greeting = greeting_and_beep().await;
    let talk = line.answer().await;
    talk.voice.say(&greeting);
    line.hung_up().await;
    drop(talk);
    let sound = spoken("Hello?").await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    let answer = line.customer.posted("/answer").await;
    assert_eq!(answer.field("then"), "human");
    line.hung_up().await;
    let (result, call) = line.ends("completed").await;
    assert_eq!(result["data"]["attempts_made"], 2);
    let types: Vec<&Value> =
        call["attempts"].as_array().unwrap().iter().map(|a| &a["callee_type"]).collect();
    assert_eq!(types, ["machine", "human"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn announcement_of_one_sentence_is_told_by_its_words() {
    let line = Line::dial(BRANCHES, json!({ "on_machine": "hang_up" }), json!({})).await;
    let sound = voiced("Please try your call again later.").await;
    let talk = line.answer().await;
    talk.voice.say(&sound);
    line.hung_up().await;
    let (result, call) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "machine");
    let told = detected(&call);
    assert!(told.last().unwrap().starts_with("machine 97%"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_screener_is_told_by_its_words_and_not_hung_up_on() {
    let line = Line::dial(BRANCHES, json!({ "on_machine": "hang_up" }), json!({})).await;
    let sound = voiced(
        "Hi, if you record your name and reason for calling, I'll see if this person is available.",
    )
    .await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    let answer = line.customer.posted("/answer").await;
    assert_eq!(answer.field("then"), "call_screener");
    line.hung_up().await;
    let (result, call) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "call_screener");
    let told = detected(&call);
    assert!(told.last().unwrap().starts_with("call_screener "), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fax_machine_is_hung_up_on() {
    let line = Line::dial(BRANCHES, json!({ "on_fax": "hang_up" }), json!({})).await;
    let talk = line.answer().await;
    talk.voice.say(&tone(Tone::ced(), 3_000));
    line.hung_up().await;
    let (result, _) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "fax");
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_tones_of_a_vacant_number_end_call_and_contact() {
    let retry = json!({ "retry": { "attempts_max": 3, "wait_s": 1 } });
    let line = Line::dial(BRANCHES, json!({}), retry).await;
    let talk = line.answer().await;
    talk.voice.say(&tone(Tone::sit(Sit::VacantCode), 1_500));
    line.hung_up().await;
    let (result, call) = line.ends("failed").await;
    let data = &result["data"];
    assert_eq!((&data["outcome"], &data["attempts_made"]), (&json!("intercepted"), &json!(1)));
    assert_eq!(data["callee_type"], Value::Null);
    assert!(detected(&call)[0].starts_with("sit_number VC 99% after "), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tones_of_a_network_without_circuits_are_followed_by_another_attempt() {
    let retry = json!({ "retry": { "attempts_max": 2, "wait_s": 1 } });
    let line = Line::dial(BRANCHES, json!({}), retry).await;
    for tones in [Tone::sit(Sit::NoCircuit), Tone::reorder()] {
        let talk = line.answer().await;
        talk.voice.say(&tone(tones, 5_000));
        line.hung_up().await;
    }
    let (result, _) = line.ends("failed").await;
    let data = &result["data"];
    assert_eq!((&data["outcome"], &data["attempts_made"]), (&json!("no_circuit"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn tones_before_the_answer_end_an_attempt_without_waiting_for_the_network() {
    let stage = Stage::new();
    let habits = format!("[[callee]]\nnumber = '{NUMBER}'\ndoes = ['sit']\nring_after_ms = 0\n");
    let carrier = Carrier::start(&stage, &habits).await;
    let server = Server::start(&stage, carrier.address, &Settings::default()).await;
    let call = json!({
        "number": NUMBER, "say": "hello", "detection": {},
        "retry": { "attempts_max": 3, "wait_s": 1 },
    });
    let id = server.create_call(call).await;
    let call = server.until_state(&id, "failed").await;
    assert_eq!((&call["outcome"], &call["attempts_made"]), (&json!("intercepted"), &json!(1)));
    carrier
        .until("canceled", |events| events.iter().find(|e| e.event == "canceled").cloned())
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_callee_hears_the_script_before_anybody_knows_who_it_is() {
    let rules = json!({ "start": "when_known", "decide_within_ms": 60_000 });
    let line = Line::dial(BRANCHES, rules, json!({})).await;
    let talk = line.answer().await;
    // With a minute for the verdict, only the silence can have started it.
    let answer = line.customer.posted("/answer").await;
    assert_eq!((answer.field("first"), answer.field("then")), ("processing", "processing"));
    line.hung_up().await;
    drop(talk);
    let (result, _) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_says_for_calls_that_do_not() {
    let stage = Stage::new();
    let (phone, ear) = (Phone::open().await, Ear::open().await);
    let server = Server::start(&stage, phone.address, &Settings::default()).await;
    let campaign = server.native("POST", "/v1/campaigns", Some(json!({ "name": "spring" }))).await;
    let campaign = campaign.json();
    let path = format!("/v1/campaigns/{}/policy", campaign["id"].as_str().unwrap());
    let policy = json!({ "detection": { "on_fax": "hang_up" } });
    let answer = server.native("PATCH", &path, Some(policy)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = server
        .create_call(json!({ "number": NUMBER, "campaign": "spring", "document": BRANCHES }))
        .await;
    let invite = phone.request("INVITE").await;
    let voice = ear.speak(&invite.message);
    phone.accept(&invite, "ear", &ear.sdp()).await;
    phone.request("ACK").await;
    voice.say(&tone(Tone::ced(), 3_000));
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "ear").await;
    let call = server.until_state(&id, "completed").await;
    assert_eq!(call["callee_type"], "fax");
    server.stop().await;
}

/// A page that speaks to whoever it is, and ends.
fn speaks(text: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><vxml version=\"2.0\" xmlns=\"http://www.w3.org/2001/vxml\">\
         <form><block><prompt>{text}</prompt></block></form></vxml>"
    )
}

/// Answers with this greeting where machines are waited for: nothing is said into it, the page is
/// spoken after it, whole, and the result says who it was.
async fn is_waited_for(greeting: &[i16]) {
    let rules = json!({ "on_machine": "wait", "start": "when_known" });
    let line = Line::dial(&speaks(MESSAGE), rules, json!({})).await;
    let talk = line.answer().await;
    talk.say(greeting).await;
    assert_eq!(loud(&line.ear), 0, "something is said into the greeting");
    line.hung_up().await;
    check("page after the greeting", &spoken(MESSAGE).await, &samples(&line.ear));
    let (result, call) = line.ends("completed").await;
    let data = &result["data"];
    // It is the script that was spoken, to a machine; a message of the rules there was none.
    assert_eq!((&data["callee_type"], &data["message_left"]), (&json!("machine"), &json!(false)));
    assert_eq!((&data["outcome"], &data["attempts_made"]), (&json!("answered"), &json!(1)));
    assert!(detected(&call).last().unwrap().starts_with("machine "), "{call}");
    assert!(call["attempts"][0]["detected"].as_str().unwrap().starts_with("machine "), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn greeting_is_waited_for_to_its_beep_and_the_script_follows_it() {
    is_waited_for(&greeting_and_beep().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn greeting_without_a_beep_is_waited_for_until_it_is_silent() {
    is_waited_for(&spoken(GREETING).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn person_is_spoken_to_without_waiting_where_machines_are_waited_for() {
    let rules = json!({ "on_machine": "wait", "start": "when_known", "decide_within_ms": 60_000 });
    let line = Line::dial(&speaks(MESSAGE), rules, json!({})).await;
    let sound = spoken("Hello?").await;
    let talk = line.answer().await;
    talk.say(&sound).await;
    line.hung_up().await;
    check("page to a person", &spoken(MESSAGE).await, &samples(&line.ear));
    let (result, _) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "human");
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_hangs_up_in_its_greeting_is_told_and_hears_nothing() {
    let rules = json!({ "on_machine": "wait", "start": "when_known" });
    let line = Line::dial(&speaks(MESSAGE), rules, json!({})).await;
    let greeting = spoken(GREETING).await;
    let talk = line.answer().await;
    talk.say(&greeting).await;
    let answer = line.phone.ask(&talk.invite, "ear", "BYE", 7, line.server.sip).await;
    assert_eq!(answer.status(), Some(200));
    let customer_was_asked =
        line.customer.asked().iter().any(|it| it.method == "POST" && it.path == "/start");
    assert!(!customer_was_asked, "its greeting was not over");
    let (result, _) = line.ends("completed").await;
    assert_eq!(result["data"]["callee_type"], "machine");
}

/// Calls sipp, which lets this be heard in so many calls and then no more, by rules of three
/// attempts; the result.
async fn redialed(scenario: &str, sound: &[i16], calls: usize, after: Value) -> Value {
    let stage = Stage::new();
    let coded: Vec<u8> = sound.iter().map(|sample| Law::Mu.encode(*sample)).collect();
    stage.write("callee.pcmu", coded);
    let mut sipp = Sipp::start(&stage, scenario, calls, &[], Weather::default()).await;
    let customer = Customer::open(BRANCHES).await;
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    let server = Server::start(&stage, sipp.relay.front, &Settings::default()).await;
    let call = json!({
        "number": NUMBER, "vxml_url": customer.url("/start"),
        "result_url": customer.url("/result"), "detection": { "on_fax": "hang_up" },
        "retry": { "attempts_max": 3, "wait_s": 1, "after": after },
    });
    server.create_call(call).await;
    let result = customer.result().await;
    sipp.ended_well().await;
    server.stop().await;
    serde_json::from_str::<Value>(&result.body).unwrap()["data"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn fax_machine_of_sipp_is_not_dialed_again_unless_the_rules_say_so() {
    let fax = tone(Tone::ced(), 3_500);
    let data = redialed("plays", &fax, 1, json!({})).await;
    assert_eq!((&data["callee_type"], &data["attempts_made"]), (&json!("fax"), &json!(1)));
    let data = redialed("plays", &fax, 3, json!({ "fax": 1 })).await;
    assert_eq!((&data["callee_type"], &data["attempts_made"]), (&json!("fax"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn number_that_tones_of_sipp_call_invalid_is_not_dialed_again() {
    for (scenario, code) in
        [("plays", Sit::Intercept), ("plays", Sit::VacantCode), ("plays_early", Sit::Intercept)]
    {
        let tones = [tone(Tone::sit(code), 1_100), vec![0; 4_000]].concat();
        let data = redialed(scenario, &tones, 1, json!({})).await;
        let ended = (&data["outcome"], &data["attempts_made"]);
        assert_eq!(ended, (&json!("intercepted"), &json!(1)), "{scenario} {code:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn network_that_says_by_tones_of_sipp_that_it_has_no_circuit_is_tried_again() {
    for (scenario, code) in [("plays", Sit::NoCircuit), ("plays_early", Sit::NoCircuitInterLata)] {
        let tones = [tone(Tone::sit(code), 1_200), vec![0; 4_000]].concat();
        let data = redialed(scenario, &tones, 3, json!({})).await;
        let ended = (&data["outcome"], &data["attempts_made"]);
        assert_eq!(ended, (&json!("no_circuit"), &json!(3)), "{scenario} {code:?}");
    }
}
