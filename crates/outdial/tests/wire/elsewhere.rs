//! Calls that another server of the database makes: canceled, interrupted, their recordings paused,
//! whichever server is asked.

use std::time::Duration;

use media::sound::{Hint, Limits, Sound};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::aculab::told;
use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::http::{self, Answer};
use crate::phone::{Ear, Heard, Phone, Voice};
use crate::postgres::Postgres;
use crate::server::{Server, Settings};
use crate::sip::Message;
use crate::sound::{prompt, share_heard};

/// The password of the service.
const PASSWORD: &str = "correct horse";
/// Longest time until a cancel has reached the server of its call: servers look once a second.
const REACHED_MAX: Duration = Duration::from_secs(10);
/// A page that says nothing, and stays.
const STAYS: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><field name="never" type="digits"><property name="timeout" value="300s"/></field></form>
</vxml>"#;

/// Two servers that make calls to one phone.
struct Pair {
    servers: [Server; 2],
    phone: Phone,
    customer: Customer,
    stages: [Stage; 2],
    _postgres: Postgres,
}

/// A call that rings, and who makes it.
struct Rings {
    invite: Heard,
    /// Which of the servers.
    maker: usize,
}

impl Pair {
    /// `None` where PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        let stages = [Stage::new(), Stage::new()];
        let postgres = Postgres::start(&stages[0]).await?;
        let (phone, customer) = (Phone::open().await, Customer::open(SAYS_NOTHING).await);
        let store = format!("[store]\nurl = {:?}\n", postgres.url);
        let settings = Settings { store, ..Settings::default() };
        let first = Server::start(&stages[0], phone.address, &settings).await;
        let second = Server::join(&first, &stages[1], phone.address, &settings).await;
        Some(Self { servers: [first, second], phone, customer, stages, _postgres: postgres })
    }

    /// The next call rings.
    async fn rings(&self) -> Rings {
        let invite = self.phone.request("INVITE").await;
        self.phone.answer(&invite, 180, "Ringing", "ear").await;
        let maker = self.servers.iter().position(|server| server.sip == invite.from);
        Rings { invite, maker: maker.expect("one of them calls") }
    }

    /// Who does not make this call.
    fn other(&self, rings: &Rings) -> &Server {
        &self.servers[1 - rings.maker]
    }

    async fn answers(&self, rings: &Rings, ear: &Ear) -> Voice {
        let voice = ear.speak(&rings.invite.message);
        self.phone.accept(&rings.invite, "ear", &ear.sdp()).await;
        self.phone.request("ACK").await;
        voice
    }

    /// The phone is told that it rings no more; how long that took since then.
    async fn is_canceled(&self, rings: &Rings, asked_at: Instant) -> Duration {
        let call_id = rings.invite.message.call_id().to_owned();
        let fits = |message: &Message| message.is_request("CANCEL") && message.call_id() == call_id;
        let cancel = self.phone.take("the call is canceled", fits).await;
        self.phone.answer(&cancel, 200, "OK", "ear").await;
        self.phone.answer(&rings.invite, 487, "Request Terminated", "ear").await;
        cancel.at - asked_at
    }

    async fn is_hung_up(&self) -> Instant {
        let bye = self.phone.request("BYE").await;
        self.phone.answer(&bye, 200, "OK", "ear").await;
        bye.at
    }

    /// A service whose pages are the customer's, by whichever server.
    async fn put_service(&self) {
        let page = |path: &str| json!({"address": self.customer.url(path)});
        let config = json!({"service_password": PASSWORD, "rest": {
            "first_page": page("/first"), "final_page": page("/final"),
            "error_page": page("/error")}});
        let basic = self.servers[1].cloud_basic();
        let head = [("authorization", basic.as_str()), ("content-type", "application/json")];
        let path = "/service/v1/outbound/reminders";
        let api = self.servers[1].api();
        let answer = http::send(api, "PUT", path, &head, config.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.customer.reply("POST", "/final", [Reply::text(200, "")]);
    }

    /// A page of actions of the customer.
    fn page(&self, path: &str, page: Value) {
        let text = page.to_string().into_bytes();
        self.customer.reply("POST", path, [Reply::Send(200, "application/json", text.into())]);
    }

    async fn start_service(&self, token: &str) -> String {
        let calls = json!({"to": "16175551234", "from": "18009957586", "token": token});
        let basic = self.servers[0].service_basic("reminders", PASSWORD);
        let fields = [("rest_calls", &*calls.to_string())];
        let answer = post(&self.servers[0], "/service_start", &basic, &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()[0].as_str().unwrap().to_owned()
    }

    /// The final page of the call with this token.
    async fn ended(&self, token: &str) -> Value {
        let is_told =
            |asked: &Asked| asked.path == "/final" && told(asked)["token"] == json!(token);
        self.customer
            .until(&format!("the end of {token} is told"), |asked| {
                asked.iter().find(|asked| is_told(asked)).map(told)
            })
            .await["this_call"]
            .clone()
    }

    async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }
}

async fn post(server: &Server, path: &str, basic: &str, fields: &[(&str, &str)]) -> Answer {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let head = [("authorization", basic), form];
    http::send(server.api(), "POST", path, &head, http::form(fields)).await
}

/// What a server answers about one application or invocation.
async fn about(server: &Server, path: &str, id: &str, more: &[(&str, &str)]) -> Value {
    let name =
        if path == "/service_cancel" { "invocation_ids" } else { "application_instance_ids" };
    let answer = post(server, path, &server.cloud_basic(), &[&[(name, id)], more].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn reached(what: &str, took: Duration) {
    println!("{what}: {} ms from the request at the other server", took.as_millis());
    assert!(took < REACHED_MAX, "{what} took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn application_of_another_server_is_interrupted_and_canceled_as_one_of_its_own() {
    let Some(pair) = Pair::start().await else {
        return println!("skipped: no PostgreSQL");
    };
    pair.put_service().await;
    for page in ["/first", "/other"] {
        pair.page(page, json!({"actions": [{"sleep": {"seconds": 600}}]}));
    }
    let id = pair.start_service("t").await;
    let rings = pair.rings().await;
    let other = pair.other(&rings);
    let page = pair.customer.url("/other?what=a%20b&who=%C3%A4+1");
    let to_page = [("redirect_page", page.as_str())];
    // While it rings nothing runs, and that is known at the other one, too.
    let early = about(other, "/rest_interrupt", &id, &to_page).await;
    assert_eq!(early[&id]["result"], "no such application");
    let ear = Ear::open().await;
    let _voice = pair.answers(&rings, &ear).await;
    pair.customer.posted("/first").await;
    // Others in the same request, and the same one twice.
    let ids = format!("{id}/999999999/x");
    let answer = about(other, "/rest_interrupt", &ids, &to_page).await;
    assert_eq!(answer[&id]["result"], "interrupted", "{answer}");
    assert_eq!(answer["999999999"]["result"], "no such application");
    assert_eq!(answer["x"]["result"], "no such application");
    let asked = pair.customer.posted("/other").await;
    assert_eq!(asked.query, "what=a%20b&who=%C3%A4+1");
    assert_eq!(told(&asked)["action_result"]["action"], "sleep");
    // By GET, as the page is asked for then.
    let page = pair.customer.url("/got");
    let by_get = [("redirect_page", page.as_str()), ("redirect_method", "GET")];
    let answer = about(other, "/rest_interrupt", &id, &by_get).await;
    assert_eq!(answer[&id]["result"], "interrupted");
    let is_got = |asked: &Asked| asked.path == "/got" && asked.method == "GET";
    pair.customer.until("it is got", |asked| asked.iter().any(is_got).then_some(())).await;
    // That page is no page of actions; its call may be over by itself.
    pair.is_hung_up().await;
    assert_eq!(pair.ended("t").await["call_cause"], "completed");
    for server in &pair.servers {
        let late = about(server, "/rest_interrupt", &id, &to_page).await;
        assert_eq!(late[&id]["result"], "application already completed");
    }

    let id = pair.start_service("canceled").await;
    let rings = pair.rings().await;
    let _voice = pair.answers(&rings, &ear).await;
    let asked_at = Instant::now();
    let canceled = about(pair.other(&rings), "/service_cancel", &id, &[]).await;
    assert_eq!(canceled[&id]["result"], "canceled");
    reached("cancel of a call that is up", pair.is_hung_up().await - asked_at);
    assert_eq!(pair.ended("canceled").await["call_cause"], "completed");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_another_server_rings_is_silent_soon_after_a_cancel() {
    let Some(pair) = Pair::start().await else {
        return println!("skipped: no PostgreSQL");
    };
    pair.put_service().await;
    for (method, after) in [("DELETE", ""), ("POST", "/cancel")] {
        let call = json!({"number": "15550100001", "say": "Hello."});
        let id = pair.servers[0].create_call(call).await;
        let rings = pair.rings().await;
        let asked_at = Instant::now();
        let path = format!("/v1/calls/{id}{after}");
        let answer = pair.other(&rings).native(method, &path, None).await;
        assert!(matches!(answer.status, 200..300), "{method}: {}", answer.text());
        reached(&format!("{method} {after}"), pair.is_canceled(&rings, asked_at).await);
        let call = pair.other(&rings).until_state(&id, "canceled").await;
        assert_eq!(call["attempts"].as_array().unwrap().len(), 1, "{call}");
    }
    let id = pair.start_service("rings").await;
    let rings = pair.rings().await;
    let asked_at = Instant::now();
    let canceled = about(pair.other(&rings), "/service_cancel", &id, &[]).await;
    assert_eq!(canceled[&id]["result"], "canceled");
    reached("service_cancel", pair.is_canceled(&rings, asked_at).await);
    assert_eq!(pair.ended("rings").await["call_cause"], "dropped");
    pair.stop().await;
}

/// Fuse's cancel ends what waits; who rings is the last try of his call, whoever rings him.
#[tokio::test(flavor = "multi_thread")]
async fn deployment_canceled_at_one_server_is_tried_no_more_by_the_other() {
    let Some(pair) = Pair::start().await else {
        return println!("skipped: no PostgreSQL");
    };
    let start = pair.customer.url("/start");
    let create = ["deployment", "create", "--name", "reminders", "--vxml-url", &start];
    let numbers = ["--application", "12", "--id", "34"];
    pair.servers[0].command(&pair.stages[0], &[&create[..], &numbers].concat()).await;
    let basic = pair.servers[0].basic();
    let call = [("phone_number", "+15550100001"), ("max_attempts", "3"), ("reattempt_wait", "60")];
    let queued = post(&pair.servers[0], "/api/apps/12/34/queue", &basic, &call).await;
    assert_eq!(queued.status, 200, "{}", queued.text());
    let rings = pair.rings().await;
    let other = pair.other(&rings);
    let head = [("authorization", basic.as_str())];
    let path = "/api/apps/12/34/cancel";
    let canceled = http::send(other.api(), "DELETE", path, &head, "").await;
    assert!(matches!(canceled.status, 200..300), "{}", canceled.text());
    pair.phone.answer(&rings.invite, 486, "Busy Here", "ear").await;
    pair.phone.request("ACK").await;
    let id = queued.json()["call_id"].as_str().unwrap().to_owned();
    let path = format!("/api/outbound/{id}");
    let status = until("the call is over", async || {
        let answer = http::send(other.api(), "GET", &path, &head, "").await;
        let status = answer.json()["call_details"]["status"].clone();
        ["canceled", "failed"].iter().any(|end| status == *end).then_some(status)
    })
    .await;
    println!("Fuse tells it {status}");
    assert_eq!(pair.phone.heard(|message| message.is_request("INVITE")).len(), 1);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupt_of_a_call_whose_server_is_gone_says_so_and_the_others_are_done() {
    let Some(mut pair) = Pair::start().await else {
        return println!("skipped: no PostgreSQL");
    };
    pair.put_service().await;
    pair.page("/first", json!({"actions": [{"sleep": {"seconds": 600}}]}));
    let id = pair.start_service("t").await;
    let rings = pair.rings().await;
    let ear = Ear::open().await;
    let _voice = pair.answers(&rings, &ear).await;
    pair.customer.posted("/first").await;
    pair.servers[rings.maker].kill().await;
    let ids = format!("{id}/17");
    let answer = about(pair.other(&rings), "/rest_interrupt", &ids, &[]).await;
    let away = "server of this call does not answer, try again";
    assert_eq!(answer[&id]["result"], away, "{answer}");
    assert_eq!(answer["17"]["result"], "no such application");
    // It comes back, hangs up, and its call is over for both.
    let stage = &pair.stages[rings.maker];
    pair.servers[rings.maker].restart(stage).await;
    pair.is_hung_up().await;
    let other = pair.other(&rings);
    until("the call is over", async || {
        let answer = about(other, "/rest_interrupt", &id, &[]).await;
        (answer[&id]["result"] == "application already completed").then_some(())
    })
    .await;
    pair.stop().await;
}

/// Says it whole, and is quiet for a moment.
async fn says(voice: &Voice, samples: &[i16]) {
    voice.say(samples);
    voice.say(&[0; 4_000]);
    until("it was said", async || voice.is_silent().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_at_another_server_is_paused_and_goes_on() {
    let Some(pair) = Pair::start().await else {
        return println!("skipped: no PostgreSQL");
    };
    let campaign = json!({"name": "kept"});
    let made = pair.servers[0].native("POST", "/v1/campaigns", Some(campaign)).await;
    let policy = format!("{}/policy", made.header("location"));
    let kept = json!({"recording": "mixed"});
    let changed = pair.servers[0].native("PATCH", &policy, Some(kept)).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    // Policies are looked for every second: a call that is recorded says that it is known.
    let call = json!({"number": "15550100001", "campaign": "kept", "document": STAYS});
    let ear = Ear::open().await;
    let (id, rings, voice) = until("a call is recorded", async || {
        let id = pair.servers[0].create_call(call.clone()).await;
        let rings = pair.rings().await;
        let path = format!("/v1/calls/{id}/recording/resume");
        // Nothing is recorded before the answer, wherever it is asked.
        for server in &pair.servers {
            assert_eq!(server.native("POST", &path, None).await.status, 404);
        }
        let voice = pair.answers(&rings, &ear).await;
        let is_recorded = pair.servers[rings.maker].native("POST", &path, None).await.status == 204;
        if is_recorded {
            return Some((id, rings, voice));
        }
        pair.servers[0].native("DELETE", &format!("/v1/calls/{id}"), None).await;
        pair.is_hung_up().await;
        None
    })
    .await;
    let [first, secret, last] = [prompt(41, 2), prompt(42, 2), prompt(43, 2)];
    let other = pair.other(&rings);
    says(&voice, &first).await;
    let path = format!("/v1/calls/{id}/recording");
    let paused = other.native("POST", &format!("{path}/pause"), None).await;
    assert_eq!((paused.status, paused.body.len()), (204, 0), "{}", paused.text());
    says(&voice, &secret).await;
    let resumed = other.native("POST", &format!("{path}/resume"), None).await;
    assert_eq!(resumed.status, 204, "{}", resumed.text());
    says(&voice, &last).await;
    // Calls of nobody, and of nobody's account, have none.
    let nobody = other.native("POST", "/v1/calls/999999999/recording/pause", None).await;
    assert_eq!(nobody.status, 404, "{}", nobody.text());
    let (pause, head) = (format!("{path}/pause"), [("authorization", "Bearer x")]);
    assert_eq!(http::send(other.api(), "POST", &pause, &head, "").await.status, 401);
    other.native("DELETE", &format!("/v1/calls/{id}"), None).await;
    pair.is_hung_up().await;
    let call = other.until_state(&id, "completed").await;
    let attempt = call["attempts"][0]["id"].as_str().unwrap().to_owned();
    let file = format!("/v1/calls/{id}/recordings/{attempt}");
    let wav = until("the recording is finished", async || {
        let answer = other.native("GET", &file, None).await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    let wav = Sound::read(&wav, Hint::None, &Limits::default()).unwrap();
    let heard = |said: &[i16]| share_heard(said, wav.samples(), 0.9);
    let (before, within, after) = (heard(&first), heard(&secret), heard(&last));
    println!("heard of it before the pause {before:.2}, within {within:.2}, after {after:.2}");
    assert!(before > 0.7 && after > 0.7, "{before} {after}");
    assert!(within < 0.1, "{within}");
    // Over, it is paused no more.
    let late = other.native("POST", &format!("{path}/pause"), None).await;
    assert_eq!(late.status, 404, "{}", late.text());
    pair.stop().await;
}
