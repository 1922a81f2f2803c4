//! A client of Plum Fuse: deployments, metadata that is spoken, keys after the answer, and results.

use std::path::Path;
use std::time::Duration;

use media::g711::Law;
use media::tone::DtmfDetector;
use serde_json::Value;

use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::http;
use crate::phone::{EVENTS, Ear, Heard, PCMU, Packet, Phone};
use crate::server::{Server, Settings};
use crate::sound::{check, spoken};

/// What a value of the metadata says.
const GREETING: &str = "Hello John Doe, your appointment is on Monday at ten.";
/// Keys of the callee, such as are found by chance nowhere.
const SECRET: &str = "86429753";

/// Says a value of the metadata, asks for keys, and posts them with others of its values.
const GREETS: &str = r#"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form>
    <block><prompt><value expr="greeting"/></prompt></block>
    <field name="secret" type="digits?length=8">
      <property name="timeout" value="30s"/>
      <filled>
        <var name="known" expr="session.connection.parameters['order id'] + ' ' + order_id"/>
        <submit next="/keyed" method="post" namelist="secret known"/>
      </filled>
    </field>
  </form>
</vxml>"#;

/// A client with a deployment, a phone that it calls, and its application.
struct Scene {
    server: Server,
    phone: Phone,
    customer: Customer,
    stage: Stage,
}

impl Scene {
    /// Deployment 34 of application 12 runs `page`.
    async fn open(page: &str) -> Self {
        let stage = Stage::new();
        let phone = Phone::open().await;
        let customer = Customer::open(page).await;
        let settings = Settings { ring_time_max_s: 120, ..Settings::default() };
        let server = Server::start(&stage, phone.address, &settings).await;
        let start = customer.url("/start");
        let create = ["deployment", "create", "--name", "reminders", "--vxml-url", &start];
        let numbers = ["--application", "12", "--id", "34"];
        let said = server.command(&stage, &[&create[..], &numbers].concat()).await;
        assert_eq!(said.trim(), "34  /api/apps/12/34/queue  reminders");
        Self { server, phone, customer, stage }
    }

    async fn send(&self, method: &str, path: &str, body: String) -> http::Answer {
        let basic = self.server.basic();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let head = [("authorization", basic.as_str()), form];
        http::send(self.server.api(), method, path, &head, body).await
    }

    /// Queues a call that owes its result to the customer; its call_id.
    async fn queue(&self, fields: &[(&str, &str)]) -> String {
        let result = self.customer.url("/result");
        let fields = [fields, &[("result_url", result.as_str())]].concat();
        let answer = self.send("POST", "/api/apps/12/34/queue", http::form(&fields)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["call_id"].as_str().unwrap().to_owned()
    }

    async fn status(&self, id: &str) -> Value {
        let answer = self.send("GET", &format!("/api/outbound/{id}"), String::new()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["call_details"].clone()
    }

    /// The next call, answered by `ear` with this session description.
    async fn answered(&self, ear: &Ear, sdp: &str) -> (Heard, crate::phone::Voice) {
        let invite = self.phone.request("INVITE").await;
        let voice = ear.speak(&invite.message);
        self.phone.accept(&invite, "ear", sdp).await;
        self.phone.request("ACK").await;
        (invite, voice)
    }

    async fn hung_up(&self) {
        let bye = self.phone.request("BYE").await;
        self.phone.answer(&bye, 200, "OK", "ear").await;
    }
}

/// What a result must say, and how: the names of its fields in their order, and its events.
fn told(result: &Asked) -> (Value, String) {
    let document: Value = serde_json::from_str(&result.body).unwrap();
    let order = [
        "max_attempts",
        "attempts",
        "events",
        "phone_number",
        "status",
        "queued_timestamp",
        "start_timestamp",
        "end_timestamp",
        "reattempt_wait",
        "duration",
    ];
    let places = order.map(|name| result.body.find(&format!("\"{name}\":")).unwrap());
    assert!(places.is_sorted(), "{}", result.body);
    assert_eq!(document.as_object().unwrap().len(), order.len());
    let events = document["events"].as_array().unwrap();
    let words: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert!(events.iter().all(|event| event["timestamp"].is_i64()));
    let words = words.join(" ");
    (document, words)
}

/// The keys among packets of telephone events: each event once, by its timestamp (RFC 4733 §2.5).
fn keys(packets: &[Packet]) -> String {
    let mut last = None;
    let mut keys = String::new();
    for packet in packets.iter().filter(|packet| packet.kind == EVENTS) {
        if last.replace(packet.timestamp) != Some(packet.timestamp) {
            keys.push(char::from(b"0123456789*#ABCD"[usize::from(packet.payload[0])]));
        }
    }
    keys
}

fn samples(packets: &[Packet]) -> Vec<i16> {
    let sound = packets.iter().filter(|packet| packet.kind == PCMU);
    sound.flat_map(|packet| packet.payload.iter().map(|byte| Law::Mu.decode(*byte))).collect()
}

/// Files of the server that hold this text.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Checklist 1-005, 1-010, 1-033 to 1-043.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_spoken_after_the_keys_and_what_the_callee_keys_is_stored_nowhere() {
    let scene = Scene::open(GREETS).await;
    scene.customer.reply("POST", "/keyed", [Reply::page(SAYS_NOTHING)]);
    let ear = Ear::open().await;
    let metadata = format!("{{\"greeting\":\"{GREETING}\",\"order id\":4711}}");
    let id = scene
        .queue(&[
            ("phone_number", "tel:+16175551234;ani=8009957586;postd=2,*5"),
            ("metadata", &metadata),
        ])
        .await;
    let (invite, voice) = scene.answered(&ear, &ear.sdp()).await;
    assert!(invite.message.header("From").contains("sip:8009957586@"), "{:?}", invite.message);
    assert_eq!(invite.message.number(), "+16175551234");

    let start = scene.customer.posted("/start").await;
    assert_eq!(start.field("phone_number"), "16175551234");
    assert_eq!(start.field("call_id"), id);
    assert_eq!((start.field("greeting"), start.field("order id")), (GREETING, "4711"));
    assert_eq!(scene.status(&id).await["status"], "connected");
    let sent = spoken(GREETING).await;
    crate::harness::until("the greeting is over", async || {
        let loud = |packet: &&Packet| packet.kind == PCMU && packet.payload[0] != 0xFF;
        let packets = ear.packets();
        let begun = packets.iter().position(|packet| loud(&packet))?;
        (packets.len() - begun > sent.len() / 160 + 10).then_some(())
    })
    .await;
    voice.press(SECRET);
    let keyed = scene.customer.posted("/keyed").await;
    assert_eq!((keyed.field("secret"), keyed.field("known")), (SECRET, "4711 4711"));
    scene.hung_up().await;

    // Keys first, as events with their pause between, and only then the script.
    let packets = ear.packets();
    assert_eq!(keys(&packets), "2*5");
    let events: Vec<&Packet> = packets.iter().filter(|packet| packet.kind == EVENTS).collect();
    let second = events.iter().find(|packet| packet.payload[0] == 10).unwrap();
    let first_end = events.iter().rfind(|packet| packet.payload[0] == 2).unwrap();
    let pause = second.at - first_end.at;
    assert!(pause >= Duration::from_millis(1_900), "{pause:?} for a comma");
    let last = events.last().unwrap();
    assert!(start.at >= last.at, "the script began before the keys were out");
    let after = packets.iter().position(|packet| packet.sequence == last.sequence).unwrap();
    check("metadata", &sent, &samples(&packets[after..]));

    let result = scene.customer.result().await;
    let (document, events) = told(&result);
    assert_eq!(events, "queued dialing connected disconnected");
    assert_eq!(document["status"], "completed");
    assert_eq!(document["phone_number"], "+16175551234");
    assert_eq!((&document["attempts"], &document["max_attempts"]), (&"1".into(), &"1".into()));
    let seconds = |name: &str| document[name].as_str().unwrap().parse::<i64>().unwrap();
    let at = |nth: usize| document["events"][nth]["timestamp"].as_i64().unwrap();
    assert_eq!(seconds("queued_timestamp"), at(0));
    assert_eq!((seconds("start_timestamp"), seconds("end_timestamp")), (at(2), at(3)));
    assert_eq!(document["duration"], at(3) - at(2));
    assert_eq!(scene.status(&id).await, document);

    let Scene { server, stage, customer: _customer, phone: _phone } = scene;
    assert_eq!(files_with(stage.dir(), SECRET), Vec::<String>::new());
    server.stop().await;
    assert_eq!(files_with(stage.dir(), SECRET), Vec::<String>::new());
}

/// Checklist 1-010: where the far end takes no events, keys are tones.
#[tokio::test(flavor = "multi_thread")]
async fn keys_after_the_answer_are_tones_where_the_far_end_takes_no_events() {
    let scene = Scene::open(SAYS_NOTHING).await;
    let ear = Ear::open().await;
    scene.queue(&[("phone_number", "16175551234;postd=8p#w0")]).await;
    let sdp = ear.sdp();
    let plain: Vec<&str> = sdp.lines().filter(|line| !line.starts_with("a=")).collect();
    let plain = plain.join("\r\n").replace(&format!(" {EVENTS}"), "") + "\r\n";
    let (_, _voice) = scene.answered(&ear, &plain).await;
    scene.hung_up().await;
    let packets = ear.packets();
    assert!(packets.iter().all(|packet| packet.kind != EVENTS));
    let mut detector = DtmfDetector::new();
    let heard = samples(&packets);
    let (frames, _) = heard.as_chunks::<160>();
    let keys: String = frames.iter().filter_map(|frame| detector.hear(frame)).collect();
    assert_eq!(keys, "8#0");
    assert_eq!(told(&scene.customer.result().await).1, "queued dialing connected disconnected");
    scene.server.stop().await;
}

/// Checklist 1-025, 1-029, 1-031, 1-032.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_are_told_with_the_reason_of_each_attempt() {
    for (status, words, event) in [
        (486, "Busy Here", "busy"),
        (404, "Not Found", "informationtone"),
        (480, "Away", "noanswer"),
    ] {
        let scene = Scene::open(SAYS_NOTHING).await;
        let id = scene.queue(&[("phone_number", "6175551234")]).await;
        let invite = scene.phone.request("INVITE").await;
        scene.phone.answer(&invite, status, words, "ear").await;
        let (document, events) = told(&scene.customer.result().await);
        assert_eq!(events, format!("queued dialing {event}"));
        assert_eq!(document["status"], "failed");
        assert_eq!((&document["start_timestamp"], &document["duration"]), (&"0".into(), &0.into()));
        assert_eq!(scene.status(&id).await, document);
        scene.server.stop().await;
    }
}

/// Checklist 1-030: 45 seconds, though the server would let it ring for 120.
#[tokio::test(flavor = "multi_thread")]
async fn call_that_nobody_answers_is_given_up_after_45_seconds() {
    let scene = Scene::open(SAYS_NOTHING).await;
    scene.queue(&[("phone_number", "6175551234")]).await;
    let invite = scene.phone.request("INVITE").await;
    scene.phone.answer(&invite, 180, "Ringing", "ear").await;
    let cancel = scene.phone.request("CANCEL").await;
    let rang = cancel.at - invite.at;
    scene.phone.answer(&cancel, 200, "OK", "ear").await;
    scene.phone.answer(&invite, 487, "Request Terminated", "ear").await;
    let (document, events) = told(&scene.customer.result().await);
    assert_eq!(
        (events.as_str(), &document["status"]),
        ("queued dialing noanswer", &"failed".into())
    );
    assert!(rang >= Duration::from_millis(44_900), "it rang for {rang:?}");
    assert!(rang < Duration::from_secs(55), "it rang for {rang:?}");
    scene.server.stop().await;
}

/// Checklist 1-004, 1-022, 1-033.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_not_dialed_are_canceled_at_the_end_of_their_window_or_by_request() {
    let scene = Scene::open(SAYS_NOTHING).await;
    let stopped = serde_json::json!({ "name": "apps/12/34", "state": "stopped" });
    let campaign = scene.server.native("POST", "/v1/campaigns", Some(stopped)).await;
    assert_eq!(campaign.status, 201, "{}", campaign.text());
    let end = (jiff::Timestamp::now().as_second() + 2).to_string();
    let late = scene.queue(&[("phone_number", "6175551234"), ("end_timestamp", &end)]).await;
    let (document, events) = told(&scene.customer.result().await);
    assert_eq!((events.as_str(), &document["status"]), ("queued", &"canceled".into()));
    assert_eq!((&document["attempts"], &document["end_timestamp"]), (&"0".into(), &end.into()));
    assert_eq!(scene.status(&late).await, document);

    let canceled = scene.queue(&[("phone_number", "6175551235")]).await;
    let answer = scene.send("DELETE", "/api/apps/12/34/cancel", String::new()).await;
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    assert_eq!(scene.status(&canceled).await["status"], "canceled");
    let numbers = scene
        .customer
        .until("both results have come", |asked| {
            let results = asked.iter().filter(|one| one.path == "/result");
            let number = |one: &Asked| told(one).0["phone_number"].as_str().unwrap().to_owned();
            let numbers: Vec<String> = results.map(number).collect();
            (numbers.len() == 2).then_some(numbers)
        })
        .await;
    assert_eq!(numbers, ["6175551234", "6175551235"]);
    // Without ani no caller ID is shown.
    let id = campaign.json()["id"].as_str().unwrap().to_owned();
    scene.server.native("POST", &format!("/v1/campaigns/{id}/start"), None).await;
    scene.queue(&[("phone_number", "6175551236")]).await;
    let invite = scene.phone.request("INVITE").await;
    assert!(invite.message.header("From").contains("anonymous.invalid"), "{:?}", invite.message);
    scene.phone.answer(&invite, 486, "Busy Here", "ear").await;
    let said = scene.server.command(&scene.stage, &["deployment", "delete", "34"]).await;
    assert_eq!(said.trim(), "deployment 34 is deleted");
    assert_eq!(scene.server.command(&scene.stage, &["deployment", "list"]).await, "");
    scene.server.stop().await;
}
