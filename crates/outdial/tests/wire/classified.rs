//! Services that find out who answers: when their first and their final page are asked for.
//!
//! The table of scenarios, row by row: classification off, on, on with hanging up; a person, an
//! answering machine, a fax machine, nobody.

use std::time::Duration;

use media::tone::{Generator, Tone};
use serde_json::{Value, json};

use crate::aculab::{Scene, told};
use crate::callee_type::GREETING;
use crate::harness::until;
use crate::phone::{Ear, Voice};
use crate::server::Settings;
use crate::sound::spoken;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Fax,
    Human,
    Machine,
}

/// A call of a service with this classification.
struct Row {
    scene: Scene,
    ear: Ear,
}

/// What the pages were told.
struct Pages {
    first: Option<Value>,
    last: Value,
    /// Whether the sound of who answered was over when the first page was asked for.
    was_silent: bool,
}

impl Row {
    async fn begin(classification: Value) -> Self {
        let scene = Scene::open_with(&Settings::default(), |_| {}).await;
        let pages = |page: &str| json!({"address": scene.customer.url(page)});
        scene
            .put(json!({"far_end_classification": classification, "rest": {
                "first_page": pages("/first"), "final_page": pages("/final"),
                "error_page": pages("/error")
            }}))
            .await;
        scene.page("/first", json!({"actions": []}));
        let ear = Ear::open().await;
        scene.start("t").await;
        Self { scene, ear }
    }

    /// This one answers, and the call takes its course.
    async fn meets(self, who: Who) -> Pages {
        let sound = sound(who).await;
        let invite = self.scene.phone.request("INVITE").await;
        let voice = self.ear.speak(&invite.message);
        self.scene.phone.accept(&invite, "ear", &self.ear.sdp()).await;
        self.scene.phone.request("ACK").await;
        voice.say(&sound);
        let bye = self.scene.phone.request("BYE").await;
        self.scene.phone.answer(&bye, 200, "OK", "ear").await;
        self.ends(&voice).await
    }

    async fn ends(self, voice: &Voice) -> Pages {
        let was_silent = voice.is_silent();
        let last = told(&self.scene.customer.posted("/final").await);
        let asked = self.scene.customer.asked();
        let first = asked.iter().find(|asked| asked.path == "/first").map(told);
        self.scene.server.stop().await;
        Pages { first, last, was_silent }
    }
}

async fn sound(who: Who) -> Vec<i16> {
    let tone = |tone: Tone, ms: usize| {
        let mut samples = vec![0; ms * 8];
        Generator::new(tone).fill(&mut samples);
        samples
    };
    match who {
        Who::Fax => tone(Tone::ced(), 3_000),
        Who::Human => spoken("Hello?").await,
        Who::Machine => {
            let mut sound = spoken(GREETING).await;
            sound.extend([0; 4_000]);
            sound.extend(tone(Tone::beep(1_000.0, Duration::from_millis(400)), 400));
            sound
        }
    }
}

/// Checklist 2-020: off; whoever answers has the first page at once.
#[tokio::test(flavor = "multi_thread")]
async fn without_classification_whoever_answers_has_the_first_page_at_once() {
    for who in [Who::Human, Who::Machine, Who::Fax] {
        let pages = Row::begin(json!({"enabled": false})).await.meets(who).await;
        let first = pages.first.expect("the first page is asked for");
        assert_eq!(first["this_call"].get("far_end_type"), None, "{who:?}");
        assert!(!pages.was_silent || who == Who::Human, "{who:?} was waited for");
        assert_eq!(pages.last["this_call"]["call_cause"], "completed", "{who:?}");
    }
}

/// Checklist 2-020: on, without hanging up.
#[tokio::test(flavor = "multi_thread")]
async fn classified_callee_has_the_first_page_when_it_is_known_who_it_is() {
    let on = json!({"enabled": true, "hang_up_on_answering_machine": false,
        "hang_up_on_fax_machine": false});
    for (who, word) in [(Who::Human, "human"), (Who::Fax, "fax_machine")] {
        let pages = Row::begin(on.clone()).await.meets(who).await;
        let first = pages.first.expect("the first page is asked for");
        assert_eq!(first["this_call"]["far_end_type"], word);
        assert_eq!(pages.last["this_call"]["far_end_type"], word);
    }
}

/// Checklist 2-020: on, without hanging up, a machine: its greeting goes first.
#[tokio::test(flavor = "multi_thread")]
async fn answering_machine_has_the_first_page_after_its_greeting() {
    let on = json!({"enabled": true, "hang_up_on_answering_machine": false});
    let pages = Row::begin(on).await.meets(Who::Machine).await;
    let first = pages.first.expect("the first page is asked for");
    assert_eq!(first["this_call"]["far_end_type"], "answering_machine");
    assert!(pages.was_silent, "it was not waited for");
    assert_eq!(pages.last["this_call"]["call_cause"], "completed");
}

/// Checklist 2-020: on, with hanging up: a person has the first page, machines have none.
#[tokio::test(flavor = "multi_thread")]
async fn machines_and_faxes_are_hung_up_on_and_only_the_final_page_is_told() {
    // Both are hung up on where nothing else is said.
    let on = json!({"enabled": true});
    for (who, word) in [(Who::Machine, "answering_machine"), (Who::Fax, "fax_machine")] {
        let pages = Row::begin(on.clone()).await.meets(who).await;
        assert_eq!(pages.first, None, "{who:?}");
        assert_eq!(pages.last["this_call"]["far_end_type"], word);
        assert_eq!(pages.last["this_call"]["call_cause"], "completed", "{who:?}");
    }
    let pages = Row::begin(on).await.meets(Who::Human).await;
    let first = pages.first.expect("the first page is asked for");
    assert_eq!(first["this_call"]["far_end_type"], "human");
}

/// Checklist 2-020: on, a fax machine that is not hung up on while answering machines are.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_machine_is_hung_up_on_by_its_own_option() {
    let on = json!({"enabled": true, "hang_up_on_fax_machine": false});
    let pages = Row::begin(on).await.meets(Who::Fax).await;
    let first = pages.first.expect("the first page is asked for");
    assert_eq!(first["this_call"]["far_end_type"], "fax_machine");
}

/// Checklist 2-020: nobody answers, whatever the classification.
#[tokio::test(flavor = "multi_thread")]
async fn call_that_nobody_answers_has_only_its_final_page_with_or_without_classification() {
    for classification in [
        json!({"enabled": false}),
        json!({"enabled": true}),
        json!({"enabled": true, "hang_up_on_answering_machine": false}),
    ] {
        let row = Row::begin(classification.clone()).await;
        let invite = row.scene.phone.request("INVITE").await;
        row.scene.phone.answer(&invite, 180, "Ringing", "ear").await;
        row.scene.phone.answer(&invite, 480, "Temporarily Unavailable", "ear").await;
        until("the final page is told", async || {
            row.scene.customer.asked().iter().any(|asked| asked.path == "/final").then_some(())
        })
        .await;
        let voice = row.ear.speak(&invite.message);
        let pages = row.ends(&voice).await;
        assert_eq!(pages.first, None, "{classification}");
        assert_eq!(pages.last["this_call"]["call_cause"], "no_answer");
        assert_eq!(pages.last["this_call"].get("far_end_type"), None);
    }
}

/// While it is found out who answered nothing runs yet that could be interrupted; a cancel ends the
/// call, and its application is asked for nothing but the end.
#[tokio::test(flavor = "multi_thread")]
async fn callee_about_whom_it_is_not_known_yet_is_not_interrupted_but_canceled() {
    let on = json!({"enabled": true, "hang_up_on_answering_machine": false});
    let scene = Scene::open_with(&Settings::default(), |_| {}).await;
    let pages = |page: &str| json!({"address": scene.customer.url(page)});
    scene
        .put(json!({"far_end_classification": on, "rest": {
            "first_page": pages("/first"), "final_page": pages("/final")
        }}))
        .await;
    for page in ["/first", "/other"] {
        scene.page(page, json!({"actions": [{"sleep": {"seconds": 600}}]}));
    }
    let other = scene.customer.url("/other");
    let to_other = [("redirect_page", other.as_str())];
    // A greeting without end: as long as it is said, its end is waited for.
    let mut greeting = Vec::new();
    for _ in 0..6 {
        greeting.extend(spoken(GREETING).await);
    }
    let ear = Ear::open().await;
    let id = scene.start("t").await;
    let (_, voice) = scene.answered(&ear).await;
    voice.say(&greeting);
    // Also once it is known that a machine has answered, and only its greeting is waited for.
    let is_machine = async || {
        let asked = scene.about("/rest_interrupt", &id, &to_other).await;
        assert_eq!(asked["result"], "no such application");
        let call = scene.server.call(&id).await;
        call["events"].to_string().contains("machine").then_some(())
    };
    until("it is known that a machine has answered", is_machine).await;
    let asked = scene.about("/rest_interrupt", &id, &to_other).await;
    assert_eq!(asked["result"], "no such application");
    assert_eq!(scene.about("/service_status", &id, &[]).await["state"], "running");
    assert_eq!(scene.about("/service_cancel", &id, &[]).await["result"], "canceled");
    let bye = scene.phone.request("BYE").await;
    let late = scene.about("/service_cancel", &id, &[]).await;
    assert_eq!(late["result"], "canceled");
    scene.phone.answer(&bye, 200, "OK", "ear").await;
    let last = told(&scene.customer.posted("/final").await);
    assert_eq!(last["this_call"]["call_cause"], "completed");
    assert_eq!(last["this_call"]["call_state"], "idle");
    for page in ["/first", "/other"] {
        assert!(scene.customer.asked().iter().all(|asked| asked.path != page), "{page}");
    }
    scene.server.stop().await;
}
