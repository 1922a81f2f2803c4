//! The server is killed at every point of a call's life. The far end and the customer are judges:
//! nobody is rung twice, every call comes to one end, every result arrives.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::customer::{Asked, Customer, PLAYS_A_PROMPT, Reply, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::phone::{Ear, Heard, Phone};
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;
use crate::sound::{prompt, wav};

/// A server that will be killed, and its judges.
struct Crash {
    server: Server,
    phone: Phone,
    customer: Customer,
    stage: Stage,
    /// The call that is under way.
    id: String,
}

impl Crash {
    /// A server with one call queued.
    async fn new(page: &str) -> Self {
        let stage = Stage::new();
        let phone = Phone::open().await;
        let customer = Customer::open(page).await;
        // A short ringing time, for slots that a crash leaves behind are held as long.
        let settings = Settings { ring_time_max_s: 3, ..Settings::default() };
        let server = Server::start(&stage, phone.address, &settings).await;
        let id = queue(&server, &customer, NUMBER).await;
        Self { server, phone, customer, stage, id }
    }

    /// Kills the server and starts it again; its trunk is up then.
    async fn strike(&mut self) {
        self.server.kill().await;
        self.server.restart(&self.stage).await;
        self.server.until_dialing().await;
    }

    /// The call is answered by this phone.
    async fn answer(&self, tag: &str) -> (Heard, Ear) {
        let ear = Ear::open().await;
        let invite = self.phone.request("INVITE").await;
        self.phone.accept(&invite, tag, &ear.sdp()).await;
        self.phone.request("ACK").await;
        (invite, ear)
    }

    /// Checks that the call has come to one end, told as expected and always the same, with one
    /// INVITE; the result.
    async fn settles(&self, expected: &Expected) -> Asked {
        let result = self.customer.result().await;
        expected.check(&result, NUMBER);
        let state = expected.result.to_lowercase();
        let call = self.server.until_state(&self.id, &state).await;
        until("the result is known to be delivered", async || {
            let call = self.server.call(&self.id).await;
            (call["result"]["state"] == "delivered").then_some(())
        })
        .await;
        let ends = call["events"].as_array().unwrap();
        let ends = ends.iter().filter(|event| event["kind"] == "done").count();
        assert_eq!(ends, 1, "the call has {ends} ends: {call}");
        let told: HashSet<_> = self.customer.results().into_iter().map(|one| one.body).collect();
        assert_eq!(told.len(), 1, "results contradict each other: {told:?}");
        self.server.until_quiet().await;
        assert_eq!(self.dialogs(), 1, "the phone was rung more than once");
        result
    }

    /// How many different calls the phone has seen.
    fn dialogs(&self) -> usize {
        let invites = self.phone.heard(|message| message.is_request("INVITE"));
        let calls: HashSet<_> =
            invites.iter().map(|invite| invite.message.call_id().to_owned()).collect();
        calls.len()
    }

    /// The phone answers a call of the process before; it must be hung up at once.
    async fn late_answer_is_hung_up(&self, invite: &Heard, tag: &str) {
        let ear = Ear::open().await;
        self.phone.accept(invite, tag, &ear.sdp()).await;
        let of_call = |method: &'static str| {
            let call_id = invite.message.call_id().to_owned();
            move |message: &Message| message.is_request(method) && message.call_id() == call_id
        };
        self.phone.take("a late answer is acknowledged", of_call("ACK")).await;
        let bye = self.phone.take("a late answer is hung up", of_call("BYE")).await;
        self.phone.answer(&bye, 200, "OK", tag).await;
    }

    /// The phone hangs up a call of the process before; it is told that there is none.
    async fn late_bye_is_unknown(&self, invite: &Heard, tag: &str) {
        let answer = self.phone.ask(invite, tag, "BYE", 7, self.server.sip).await;
        assert_eq!(answer.status(), Some(481));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_invite_and_before_any_response() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let invite = crash.phone.request("INVITE").await;
    crash.strike().await;
    crash.settles(&Expected::IN_DOUBT).await;
    crash.late_answer_is_hung_up(&invite, "late").await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_phone_rings() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let invite = crash.phone.request("INVITE").await;
    crash.phone.answer(&invite, 180, "Ringing", "ringing").await;
    until("the server has heard it ring", async || {
        let call = crash.server.call(&crash.id).await;
        (!call["attempts"][0]["ringing_at"].is_null()).then_some(())
    })
    .await;
    crash.strike().await;
    crash.settles(&Expected::IN_DOUBT).await;
    crash.late_answer_is_hung_up(&invite, "ringing").await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_moment_of_the_answer() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    crash.customer.reply("POST", "/start", [Reply::Hang]);
    let (invite, _ear) = crash.answer("answered").await;
    crash.strike().await;
    crash.settles(&Expected::IN_DOUBT).await;
    // The phone may not have heard the ACK, and answers again.
    crash.late_answer_is_hung_up(&invite, "answered").await;
    crash.late_bye_is_unknown(&invite, "answered").await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_script_is_fetched() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    crash.customer.reply("POST", "/start", [Reply::Hang]);
    let (invite, _ear) = crash.answer("answered").await;
    crash.customer.posted("/start").await;
    crash.strike().await;
    crash.settles(&Expected::IN_DOUBT).await;
    crash.late_bye_is_unknown(&invite, "answered").await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_prompt_plays() {
    let mut crash = Crash::new(PLAYS_A_PROMPT).await;
    crash.customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&prompt(5, 20)))]);
    let (invite, ear) = crash.answer("answered").await;
    until("the prompt plays", async || (ear.packets().len() > 25).then_some(())).await;
    crash.strike().await;
    let heard = ear.packets().len();
    crash.settles(&Expected::IN_DOUBT).await;
    crash.late_bye_is_unknown(&invite, "answered").await;
    assert_eq!(ear.packets().len(), heard, "sound comes from a process that is gone");
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_bye_and_before_the_result_is_stored() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let (invite, _ear) = crash.answer("answered").await;
    // Not answered, so that the call cannot end.
    let bye = crash.phone.request("BYE").await;
    crash.strike().await;
    crash.phone.answer(&bye, 200, "OK", "answered").await;
    crash.settles(&Expected::IN_DOUBT).await;
    crash.late_bye_is_unknown(&invite, "answered").await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_result_is_stored_and_before_it_is_posted() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    crash.answer("answered").await;
    let bye = crash.phone.request("BYE").await;
    crash.customer.close().await;
    crash.phone.answer(&bye, 200, "OK", "answered").await;
    crash.server.until_state(&crash.id, "completed").await;
    crash.server.kill().await;
    assert_eq!(crash.customer.results().len(), 0);
    crash.customer.reopen().await;
    crash.server.restart(&crash.stage).await;
    crash.settles(&Expected::ANSWERED).await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_result_is_posted() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let acknowledged = Reply::text(200, "completed");
    crash.customer.reply("POST", "/result", [Reply::Hang, acknowledged]);
    crash.answer("answered").await;
    let bye = crash.phone.request("BYE").await;
    crash.phone.answer(&bye, 200, "OK", "answered").await;
    let first = crash.customer.posted("/result").await;
    crash.strike().await;
    crash
        .customer
        .until("the result is posted again", |asked| {
            let results = asked.iter().filter(|one| one.method == "POST" && one.path == "/result");
            (results.count() >= 2).then_some(())
        })
        .await;
    let last = crash.settles(&Expected::ANSWERED).await;
    assert_eq!(first.fields, last.fields);
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twice_in_a_row() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let invite = crash.phone.request("INVITE").await;
    crash.phone.answer(&invite, 180, "Ringing", "ringing").await;
    crash.server.kill().await;
    crash.server.restart(&crash.stage).await;
    crash.strike().await;
    crash.settles(&Expected::IN_DOUBT).await;
    crash.late_answer_is_hung_up(&invite, "ringing").await;
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_while_it_recovers() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let numbers: Vec<String> = (0..10).map(|nth| format!("1555020{nth:04}")).collect();
    let mut ids = Vec::new();
    for number in &numbers {
        ids.push(queue(&crash.server, &crash.customer, number).await);
    }
    for _ in 0..=numbers.len() {
        let invite = crash.phone.request("INVITE").await;
        crash.phone.answer(&invite, 180, "Ringing", "ringing").await;
    }
    crash.server.kill().await;
    // Moments of a start, from its first milliseconds to after its end.
    for moment_ms in [1, 3, 8, 15, 22, 30, 40, 55, 75, 100, 140] {
        crash.server.launch(&crash.stage);
        sleep(Duration::from_millis(moment_ms)).await;
        crash.server.kill().await;
    }
    crash.server.restart(&crash.stage).await;
    let results = crash.customer.results_of(numbers.len() + 1).await;
    for (id, number) in ids.iter().zip(&numbers) {
        Expected::IN_DOUBT.check(&results[id], number);
        crash.server.until_state(id, "failed").await;
    }
    let told: HashSet<_> = crash.customer.results().into_iter().map(|one| one.body).collect();
    assert_eq!(told.len(), numbers.len() + 1, "results contradict each other");
    assert_eq!(crash.dialogs(), numbers.len() + 1, "somebody was rung twice");
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_waited_for_the_start_wait_for_the_trunk_to_be_found_as_well() {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let one = Settings { slots: 1, ring_time_max_s: 3, ..Settings::default() };
    let mut server = Server::start(&stage, phone.address, &one).await;
    queue(&server, &customer, NUMBER).await;
    phone.request("INVITE").await;
    let mut ids = Vec::new();
    for nth in 0..10 {
        ids.push(queue(&server, &customer, &format!("1555030{nth:04}")).await);
    }
    // The only slot is taken: all others are still waiting at the next start, which has more slots
    // and a trunk whose name must be looked up.
    server.kill().await;
    let many = Settings { host: Some("localhost"), ..Settings::default() };
    Server::configure(&stage, phone.address, &many);
    server.restart(&stage).await;
    for _ in &ids {
        let invite = phone.request("INVITE").await;
        phone.answer(&invite, 486, "Busy Here", "busy").await;
        phone.request("ACK").await;
    }
    for id in &ids {
        let call = server.until_state(id, "failed").await;
        assert_eq!(call["outcome"], "busy", "{call}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn number_whose_campaign_wants_it_is_rung_again_but_not_twice_at_once() {
    let mut crash = Crash::new(SAYS_NOTHING).await;
    let first = crash.phone.request("INVITE").await;
    crash.phone.answer(&first, 486, "Busy Here", "busy").await;
    crash.phone.request("ACK").await;

    let campaign = json!({ "name": "again", "redial_in_doubt": true });
    let created = crash.server.native("POST", "/v1/campaigns", Some(campaign)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let id = crash
        .server
        .create_call(json!({
            "number": "15550109999",
            "campaign": "again",
            "vxml_url": crash.customer.url("/start"),
            "retry": { "attempts_max": 2, "wait_s": 1 },
        }))
        .await;
    let invite = crash.phone.request("INVITE").await;
    crash.phone.answer(&invite, 180, "Ringing", "first").await;
    crash.strike().await;
    let again = crash.phone.request("INVITE").await;
    assert_ne!(again.message.call_id(), invite.message.call_id());
    let canceled = crash.phone.heard(|message| {
        message.call_id() == invite.message.call_id()
            && (message.is_request("CANCEL") || message.is_request("BYE"))
    });
    // The first phone rings on unless somebody took it down; the trunk's own time for that is
    // ring_time_max.
    let waited = again.at - invite.at;
    assert!(
        !canceled.is_empty() || waited >= Duration::from_secs(3),
        "rung again after {waited:?} while the first call was still ringing"
    );
    let ear = Ear::open().await;
    crash.phone.accept(&again, "second", &ear.sdp()).await;
    crash.phone.request("ACK").await;
    let bye = crash.phone.request("BYE").await;
    crash.phone.answer(&bye, 200, "OK", "second").await;
    let call = crash.server.until_state(&id, "completed").await;
    let outcomes: Vec<_> =
        call["attempts"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("in_doubt"), json!("answered")]);
    crash.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_asked_to_end_takes_no_calls_and_lets_the_live_one_end() {
    let crash = Crash::new(PLAYS_A_PROMPT).await;
    let sent = prompt(6, 3);
    crash.customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&sent))]);
    let (_, ear) = crash.answer("answered").await;
    until("the prompt plays", async || (ear.packets().len() > 25).then_some(())).await;
    let Crash { server, phone, customer, stage: _stage, .. } = crash;
    server.begin_to_end().await;
    until("it says that it is shutting down", async || {
        (server.health().await["draining"] == json!(true)).then_some(())
    })
    .await;
    let fields = [("phone_number", NUMBER), ("start_url", &customer.url("/start"))];
    let refused = server.queue_call(&fields).await;
    let errors = refused.errors();
    assert!(errors[0].starts_with("- draining: server is shutting down"), "{errors:?}");
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "answered").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    assert!(ear.packets().len() >= sent.len() / 160, "the prompt was cut off");
    server.ends_well().await;
}
