//! Outbound services and their pages of actions, over real calls.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, port, until, within};
use crate::http::{self, Answer};
use crate::phone::{Ear, Heard, Phone, Voice};
use crate::server::{Server, Settings};
use crate::sound::spoken;

/// The password of the service.
const PASSWORD: &str = "correct horse";

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) phone: Phone,
    pub(crate) customer: Customer,
    pub(crate) stage: Stage,
}

impl Scene {
    /// A client with a service whose pages are the customer's.
    async fn open() -> Self {
        Self::open_with(&Settings::default(), |_| {}).await
    }

    /// The same with other settings, and files that they name.
    pub(crate) async fn open_with(settings: &Settings, files: impl FnOnce(&Stage)) -> Self {
        let stage = Stage::new();
        files(&stage);
        let phone = Phone::open().await;
        let customer = Customer::open(SAYS_NOTHING).await;
        let server = Server::start(&stage, phone.address, settings).await;
        let scene = Self { server, phone, customer, stage };
        let pages = |page: &str| json!({"address": scene.customer.url(page)});
        scene
            .put(json!({"rest": {
                "first_page": pages("/first"),
                "final_page": pages("/final"),
                "error_page": pages("/error")
            }}))
            .await;
        scene.customer.reply("POST", "/final", [Reply::text(200, "")]);
        scene
    }

    /// Makes the service with these options.
    pub(crate) async fn put(&self, config: Value) {
        self.put_as("reminders", config).await;
    }

    /// Makes a service of this name.
    pub(crate) async fn put_as(&self, name: &str, mut config: Value) {
        config["service_password"] = json!(PASSWORD);
        let answer = self.service_of(name, "PUT", Some(config)).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    async fn service(&self, method: &str, body: Option<Value>) -> Answer {
        self.service_of("reminders", method, body).await
    }

    async fn service_of(&self, name: &str, method: &str, body: Option<Value>) -> Answer {
        let basic = self.server.cloud_basic();
        let head = [("authorization", basic.as_str()), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let path = format!("/service/v1/outbound/{name}");
        http::send(self.server.api(), method, &path, &head, body).await
    }

    /// What `service_start` of a service answers, asked by GET.
    pub(crate) async fn got_start(&self, name: &str, calls: &Value) -> Answer {
        let basic = self.server.service_basic(name, PASSWORD);
        let query = http::form(&[("rest_calls", &calls.to_string())]);
        let path = format!("/service_start?{query}");
        http::send(self.server.api(), "GET", &path, &[("authorization", &basic)], "").await
    }

    /// What the user is answered about one invocation: `result`, or `state`.
    pub(crate) async fn about(&self, path: &str, id: &str, more: &[(&str, &str)]) -> Value {
        let name = match path {
            "/rest_interrupt" | "/application_status" => "application_instance_ids",
            _ => "invocation_ids",
        };
        let fields = [&[(name, id)], more].concat();
        let answer = self.asks(path, &self.server.cloud_basic(), &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()[id].clone()
    }

    async fn asks(&self, path: &str, basic: &str, fields: &[(&str, &str)]) -> Answer {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let head = [("authorization", basic), form];
        http::send(self.server.api(), "POST", path, &head, http::form(fields)).await
    }

    /// Starts a call; its invocation id.
    pub(crate) async fn start(&self, token: &str) -> String {
        self.start_to("tel:16175551234", token).await
    }

    /// Starts a call there; its invocation id.
    pub(crate) async fn start_to(&self, to: &str, token: &str) -> String {
        let calls = json!({"to": to, "from": "18009957586", "token": token});
        let basic = self.server.service_basic("reminders", PASSWORD);
        let answer =
            self.asks("/service_start", &basic, &[("rest_calls", &calls.to_string())]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()[0].as_str().unwrap().to_owned()
    }

    /// The next call, answered.
    pub(crate) async fn answered(&self, ear: &Ear) -> (Heard, Voice) {
        let invite = self.phone.request("INVITE").await;
        let voice = ear.speak(&invite.message);
        self.phone.accept(&invite, "ear", &ear.sdp()).await;
        self.phone.request("ACK").await;
        (invite, voice)
    }

    pub(crate) async fn hung_up(&self) {
        let bye = self.phone.request("BYE").await;
        self.phone.answer(&bye, 200, "OK", "ear").await;
    }

    pub(crate) fn page(&self, path: &str, page: Value) {
        let text = page.to_string().into_bytes();
        self.customer.reply("POST", path, [Reply::Send(200, "application/json", text.into())]);
    }
}

pub(crate) fn told(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

/// Checklist 2-001, 2-002, 2-009 to 2-013, 2-020 (no classification, a person).
#[tokio::test(flavor = "multi_thread")]
async fn started_service_runs_its_pages_when_the_call_is_answered_and_tells_the_final_page() {
    let scene = Scene::open().await;
    scene.page(
        "/first",
        json!({"actions": [
        {"play": {"play_list": [{"text_to_say": "Hello."}]}},
        {"get_number": {"digit_count": 3, "next_page": {"url": "got"}}}], "token": "second"}),
    );
    scene.page("/got", json!({"actions": [{"hang_up": {}}], "token": "third"}));
    let ear = Ear::open().await;
    let id = scene.start("first token").await;
    let (invite, voice) = scene.answered(&ear).await;
    assert_eq!(invite.message.number(), "+16175551234");
    assert!(invite.message.header("From").contains("18009957586"), "{:?}", invite.message);
    let first = told(&scene.customer.posted("/first").await);
    assert_eq!(first["token"], "first token");
    assert_eq!(first["application_instance_id"], id.as_str());
    assert_eq!(first["this_call"]["call_to"], "+16175551234");
    assert_eq!(first["this_call"]["call_state"], "answered");
    voice.press("417");
    let got = told(&scene.customer.posted("/got").await);
    assert_eq!(got["token"], "second");
    assert_eq!(got["action_result"]["result"]["entered_number"], "417");
    scene.hung_up().await;
    let last = told(&scene.customer.posted("/final").await);
    assert_eq!(last["token"], "third");
    assert_eq!(last["this_call"]["call_cause"], "completed");
    assert_eq!(last["this_call"]["call_state"], "idle");
    // What a running call is told, its end is told as well.
    let names = |info: &Value| info["this_call"].as_object().unwrap().keys().cloned().collect();
    let (running, ended): (Vec<String>, Vec<String>) = (names(&first), names(&last));
    assert!(running.iter().all(|name| ended.contains(name)), "{running:?} {ended:?}");
    let basic = scene.server.cloud_basic();
    let status = scene.asks("/service_status", &basic, &[("invocation_ids", &id)]).await;
    assert_eq!(status.json()[&id]["state"], "completed");
    scene.server.stop().await;
}

/// Checklist 2-014, 2-015, 2-020 (not answered).
#[tokio::test(flavor = "multi_thread")]
async fn final_page_of_a_rejected_call_is_told_the_reason() {
    let scene = Scene::open().await;
    scene.start("t").await;
    let invite = scene.phone.request("INVITE").await;
    scene.phone.answer(&invite, 486, "Busy Here", "ear").await;
    let last = told(&scene.customer.posted("/final").await);
    assert_eq!(last["this_call"]["call_cause"], "busy");
    assert_eq!(last["this_call"]["call_raw_cause"], "486");
    assert_eq!(last["token"], "t");
    assert!(scene.customer.asked().iter().all(|asked| asked.path != "/first"));
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupt_stops_the_action_and_its_page_goes_on_and_cancel_ends_the_call() {
    let scene = Scene::open().await;
    for page in ["/first", "/other", "/third"] {
        scene.page(page, json!({"actions": [{"sleep": {"seconds": 600}}]}));
    }
    let ear = Ear::open().await;
    let id = scene.start("t").await;
    let (other, third) = (scene.customer.url("/other"), scene.customer.url("/third"));
    let to_other = [("redirect_page", other.as_str())];
    // While it rings, no application runs that could be interrupted.
    let invite = scene.phone.request("INVITE").await;
    scene.phone.answer(&invite, 180, "Ringing", "ear").await;
    let early = scene.about("/rest_interrupt", &id, &to_other).await;
    assert_eq!(early["result"], "no such application");
    assert_eq!(scene.about("/service_status", &id, &[]).await["state"], "running");
    let _voice = ear.speak(&invite.message);
    scene.phone.accept(&invite, "ear", &ear.sdp()).await;
    scene.customer.posted("/first").await;
    // The page may be on its way yet; an interrupt is not lost by that.
    let answer = scene.about("/rest_interrupt", &id, &to_other).await;
    assert_eq!(answer["result"], "interrupted");
    scene.customer.posted("/other").await;
    // The second one is not lost behind the first one's page.
    let answer = scene.about("/rest_interrupt", &id, &[("redirect_page", &third)]).await;
    assert_eq!(answer["result"], "interrupted");
    scene.customer.posted("/third").await;
    let canceled = scene.about("/service_cancel", &id, &[]).await;
    assert_eq!(canceled["result"], "canceled");
    // The application is over with that, though the callee has not been hung up yet.
    let bye = scene.phone.request("BYE").await;
    let late = scene.about("/rest_interrupt", &id, &to_other).await;
    assert_eq!(late["result"], "application already completed");
    assert_eq!(scene.about("/application_status", &id, &[]).await["state"], "running");
    scene.phone.answer(&bye, 200, "OK", "ear").await;
    scene.customer.posted("/final").await;
    for (path, result) in [
        ("/rest_interrupt", "application already completed"),
        ("/service_cancel", "already completed"),
    ] {
        assert_eq!(scene.about(path, &id, &[]).await["result"], result, "{path}");
    }
    let status = scene.about("/service_status", &id, &[]).await;
    assert_eq!(
        (&status["state"], &status["call_cause"]),
        (&json!("completed"), &json!("completed"))
    );
    scene.server.stop().await;
}

/// While a page is on its way no action is stopped, and the page is not waited for; once the callee
/// has gone there is nothing to interrupt any more.
#[tokio::test(flavor = "multi_thread")]
async fn interrupt_does_not_wait_for_a_page_on_its_way_and_a_callee_who_left_has_no_application() {
    let scene = Scene::open().await;
    scene.customer.reply("POST", "/first", [Reply::Hang]);
    scene.page("/other", json!({"actions": [{"sleep": {"seconds": 600}}], "token": "other"}));
    let ear = Ear::open().await;
    let id = scene.start("t").await;
    let (invite, _voice) = scene.answered(&ear).await;
    scene.customer.posted("/first").await;
    let other = scene.customer.url("/other");
    let to_other = [("redirect_page", other.as_str())];
    let answer = scene.about("/rest_interrupt", &id, &to_other).await;
    assert_eq!(answer["result"], "interrupted");
    let asked = told(&scene.customer.posted("/other").await);
    assert_eq!(asked["token"], "t", "{asked}");
    assert_eq!(asked["action_result"].get("action"), None, "{asked}");
    // Its end is not taken yet when he is asked about again.
    scene.customer.reply("POST", "/final", [Reply::text(500, "later"), Reply::text(200, "")]);
    let left = scene.phone.ask(&invite, "ear", "BYE", 7, scene.server.sip).await;
    assert_eq!(left.status(), Some(200));
    scene.customer.posted("/final").await;
    let late = scene.about("/rest_interrupt", &id, &to_other).await;
    assert_eq!(late["result"], "application already completed");
    let late = scene.about("/service_cancel", &id, &[]).await;
    assert_eq!(late["result"], "already completed");
    let last = told(&scene.customer.posted("/final").await);
    assert_eq!(last["this_call"]["call_cause"], "hung_up");
    scene.server.stop().await;
}

/// Canceled before anybody answered: while it waits, and while it rings.
#[tokio::test(flavor = "multi_thread")]
async fn invocations_that_wait_or_ring_are_canceled_and_only_the_final_page_is_told() {
    let settings = Settings { slots: 1, ..Settings::default() };
    let scene = Scene::open_with(&settings, |_| {}).await;
    let ringing = scene.start("rings").await;
    let invite = scene.phone.request("INVITE").await;
    scene.phone.answer(&invite, 180, "Ringing", "ear").await;
    let waiting = scene.start_to("tel:16175551235", "waits").await;
    assert_eq!(scene.about("/service_status", &waiting, &[]).await["state"], "queued");
    let asked = scene.about("/rest_interrupt", &waiting, &[]).await;
    assert_eq!(asked["result"], "no such application");
    for id in [&waiting, &ringing] {
        assert_eq!(scene.about("/service_cancel", id, &[]).await["result"], "canceled");
    }
    let cancel = scene.phone.request("CANCEL").await;
    scene.phone.answer(&cancel, 200, "OK", "ear").await;
    scene.phone.answer(&invite, 487, "Request Terminated", "ear").await;
    let is_told =
        |asked: &Asked, token: &str| asked.path == "/final" && told(asked)["token"] == token;
    for token in ["waits", "rings"] {
        let what = format!("the end of who {token} is told");
        let last = scene
            .customer
            .until(&what, |asked| asked.iter().find(|asked| is_told(asked, token)).map(told));
        let call = last.await["this_call"].clone();
        assert_eq!(call["call_cause"], "dropped", "{token}: {call}");
        assert_eq!(call["seconds_call_duration"], 0.0, "{token}");
    }
    let pages = scene.customer.asked();
    assert!(pages.iter().all(|asked| asked.path == "/final" || asked.method == "GET"), "{pages:?}");
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_with_mistakes_is_told_to_the_error_page() {
    let scene = Scene::open().await;
    scene.page("/first", json!({"actions": [{"dance": {}}]}));
    scene.page("/error", json!({"actions": []}));
    let ear = Ear::open().await;
    scene.start("t").await;
    let (_, _voice) = scene.answered(&ear).await;
    let error = told(&scene.customer.posted("/error").await);
    let result = error["error_result"]["result"].as_str().unwrap();
    assert!(result.contains("actions[0].dance"), "{result}");
    scene.hung_up().await;
    scene.customer.posted("/final").await;
    scene.server.stop().await;
}

/// Checklist 2-003 to 2-007, 2-016, 2-017.
#[tokio::test(flavor = "multi_thread")]
async fn service_is_written_read_changed_and_deleted_and_mistakes_are_named() {
    let scene = Scene::open().await;
    let read = scene.service("GET", None).await.json();
    assert_eq!(read["outbound_call_type"], "telephone_number");
    assert_eq!(read["application_server_type"], "REST API");
    assert_eq!(read.get("service_password"), None);
    let part = json!({"rest": {"first_page": {"method": "GET"}}});
    let changed = scene.service("PATCH", Some(part)).await.json();
    assert_eq!(changed["rest"]["first_page"]["method"], "GET");
    assert_eq!(changed["rest"]["first_page"]["address"], scene.customer.url("/first").as_str());
    let wrong = json!({"rest": {"first_page": {"method": "x"}}, "extra_channels": -1, "y": 1});
    let refused = scene.service("PATCH", Some(wrong)).await;
    assert_eq!(refused.status, 400);
    let error = &refused.json()["error"];
    assert_eq!(error["code"], "HTTP 400");
    assert!(error["details"].to_string().contains("is not one of ['GET','POST']"), "{error}");
    assert_eq!(error["details"].as_array().unwrap().len(), 3, "{error}");
    let wrong = scene.server.service_basic("reminders", "wrong horse");
    let refused = scene.asks("/service_start", &wrong, &[("rest_calls", "{}")]).await;
    assert_eq!(refused.status, 401);
    let right = scene.server.service_basic("reminders", PASSWORD);
    for calls in ["{}", "[]", "x", r#"{"to": "sip:ann@x", "from": "1"}"#] {
        let refused = scene.asks("/service_start", &right, &[("rest_calls", calls)]).await;
        assert_eq!(refused.status, 400, "{calls}: {}", refused.text());
    }
    let conference = json!({"outbound_call_type": "conference"});
    assert_eq!(scene.service("PATCH", Some(conference)).await.status, 200);
    let calls = r#"{"to": "tel:16175551234", "from": "1"}"#;
    let refused = scene.asks("/service_start", &right, &[("rest_calls", calls)]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("is no conference"), "{}", refused.text());
    assert_eq!(scene.service("DELETE", None).await.status, 204);
    assert_eq!(scene.service("GET", None).await.status, 404);
    assert_eq!(scene.service("DELETE", None).await.status, 404);
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_callee_says_is_written_down_and_told_until_it_is_stopped() {
    let scene = Scene::open().await;
    let start = json!({"results_page": {"url": "said"}, "id": "a",
        "transcription_mode": "inbound"});
    // Longer than anybody needs to write down what was said.
    let wait = json!({"get_number": {"digit_count": 1, "seconds_timeout": 300,
        "milliseconds_initial_timeout": 300_000, "next_page": {"url": "got"}}});
    scene.page("/first", json!({"actions": [{"start_transcription": start}, wait]}));
    scene.page("/got", json!({"actions": [{"stop_transcription": {}}]}));
    scene.page("/said", json!({"actions": []}));
    let ear = Ear::open().await;
    scene.start("t").await;
    let (_, voice) = scene.answered(&ear).await;
    scene.customer.posted("/first").await;
    let mut words = spoken("Good morning. This is a test of one two three four five.").await;
    words.extend([0; 16_000]);
    // The page may be on its way yet when the first words are said.
    until("something is written down", async || {
        if voice.is_silent() {
            voice.say(&words);
        }
        scene.customer.asked().iter().any(|asked| asked.path == "/said").then_some(())
    })
    .await;
    let said = told(&scene.customer.posted("/said").await);
    assert_eq!(said["token"], "");
    assert_eq!(said["is_notification"], true);
    let result = &said["action_result"]["result"];
    assert_eq!((&result["id"], &result["completed"]), (&json!("a"), &json!(false)), "{said}");
    let piece = &result["transcription"][0];
    assert_eq!((&piece["direction"], &piece["final"]), (&json!("inbound"), &json!(true)));
    assert!(!piece["alternatives"][0]["text"].as_str().unwrap().is_empty(), "{said}");
    voice.press("1");
    scene.customer.posted("/got").await;
    let is_completed = |asked: &Asked| {
        asked.path == "/said" && told(asked)["action_result"]["result"]["completed"] == true
    };
    until("its end is told", async || {
        scene.customer.asked().iter().any(is_completed).then_some(())
    })
    .await;
    scene.hung_up().await;
    scene.customer.posted("/final").await;
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transcription_without_a_recognizer_is_over_at_once_and_the_call_goes_on() {
    let settings = Settings { sip: "[recognition]\nprogram = \"\"", ..Settings::default() };
    let scene = Scene::open_with(&settings, |_| {}).await;
    let start = json!({"results_page": {"url": "said"}});
    let wait = json!({"get_number": {"digit_count": 1, "next_page": {"url": "got"}}});
    scene.page("/first", json!({"actions": [{"start_transcription": start}, wait]}));
    scene.page("/got", json!({"actions": []}));
    scene.page("/said", json!({"actions": []}));
    let ear = Ear::open().await;
    let id = scene.start("t").await;
    let (_, voice) = scene.answered(&ear).await;
    let said = told(&scene.customer.posted("/said").await);
    assert_eq!(said["action_result"]["result"]["completed"], true, "{said}");
    voice.press("1");
    scene.customer.posted("/got").await;
    scene.hung_up().await;
    scene.customer.posted("/final").await;
    let call = scene.server.call(&id).await;
    assert!(call["events"].to_string().contains("no speech recognizer"), "{call:#}");
    scene.server.stop().await;
}

/// The example application, as a program of its own.
struct Example {
    lines: Lines<BufReader<ChildStdout>>,
    /// What it said so far, for who looks at a test that failed.
    said: Vec<String>,
    port: u16,
    _program: Child,
}

impl Example {
    /// `None` where there is no Python.
    async fn run() -> Option<Self> {
        let port = port();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/actions/reminder.py");
        let mut program = Command::new("python3")
            .arg(file)
            .arg(port.to_string())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let lines = BufReader::new(program.stdout.take()?).lines();
        let mut example = Self { lines, said: Vec::new(), port, _program: program };
        example.line("ready").await;
        Some(example)
    }

    /// Waits until it says so; what it was told.
    async fn line(&mut self, begin: &str) -> String {
        within(&format!("the application says {begin}"), async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push(line.clone());
                if let Some(rest) = line.strip_prefix(begin) {
                    return rest.to_owned();
                }
            }
            panic!("the application has ended before {begin}");
        })
        .await
    }

    /// Waits for a page that a key leads to: it counts as soon as the callee is in the room.
    async fn pressed(&mut self, voice: &Voice, key: &str, begin: &str) -> String {
        let presses = async {
            loop {
                voice.press(key);
                voice.say(&[0; 8_000]);
                until("a second is over", async || voice.is_silent().then_some(())).await;
            }
        };
        tokio::select! {
            told = self.line(begin) => told,
            () = presses => unreachable!("keys are pressed for ever"),
        }
    }

    fn url(&self, path: &str) -> Value {
        json!({"address": format!("http://127.0.0.1:{}{path}", self.port)})
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.said.iter().for_each(|line| eprintln!("the application said {line}"));
        }
    }
}

/// Checklist 2-011, 2-012: every action there is, in one application.
#[tokio::test(flavor = "multi_thread")]
async fn example_application_of_actions_is_led_through_all_its_pages() {
    let Some(mut example) = Example::run().await else {
        eprintln!("skipped: no python3");
        return;
    };
    let scene = Scene::open().await;
    scene
        .put(json!({"extra_channels": 1, "rest": {
            "first_page": example.url("/first"),
            "final_page": example.url("/final"),
            "error_page": example.url("/error")
        }}))
        .await;
    let ear = Ear::open().await;
    scene.start("begin").await;
    let (_, voice) = scene.answered(&ear).await;
    example.line("/first ").await;
    example.line("/menu ").await;
    voice.press("1");
    example.line("/number ").await;
    voice.press("4711");
    assert!(example.line("/got_number ").await.contains("4711"));
    // Keys count from here on, though the question may not have been said yet.
    until("the digits are sent", async || {
        (['1', '5', '#'].into_iter().all(|key| ear.has_key(key))).then_some(())
    })
    .await;
    voice.press("12#");
    assert!(example.line("/got_input ").await.contains("\"12\""));
    voice.press("5");
    example.line("/message ").await;
    let said = spoken("This is my message.").await;
    voice.say(&said);
    until("it was said", async || voice.is_silent().then_some(())).await;
    voice.press("#");
    let recorded = example.line("/recorded ").await;
    assert!(recorded.contains(".wav"), "{recorded}");
    example.line("/agent ").await;
    let is_agent = |message: &crate::sip::Message| {
        message.is_request("INVITE") && message.number() == "+15550100777"
    };
    let agent = scene.phone.take("the agent is called", is_agent).await;
    let agent_ear = Ear::open().await;
    let agent_voice = agent_ear.speak(&agent.message);
    scene.phone.accept(&agent, "agent", &agent_ear.sdp()).await;
    let whisper = example.line("/whisper ").await;
    assert!(whisper.contains("+15550100777"), "{whisper}");
    agent_voice.press("1");
    example.line("/accepted ").await;
    let left = scene.phone.ask(&agent, "agent", "BYE", 7, scene.server.sip).await;
    assert_eq!(left.status(), Some(200));
    example.pressed(&voice, "*", "/audience ").await;
    example.pressed(&voice, "#", "/goodbye ").await;
    scene.hung_up().await;
    let last = example.line("/final ").await;
    assert!(last.contains("at /goodbye"), "{last}");
    assert!(last.contains("\"call_cause\": \"completed\""), "{last}");
    scene.server.stop().await;
}
