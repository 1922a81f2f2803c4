//! Callees who meet in a room: each hears the others and not himself, and music while he waits.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use crate::aculab::{Scene, told};
use crate::customer::{Asked, Reply};
use crate::harness::until;
use crate::phone::{Ear, Heard, Voice};
use crate::record::samples;
use crate::server::Settings;
use crate::sound::wav;

/// What each of three says, and what is played to who waits.
const TONES_HZ: [f64; 3] = [400.0, 1_000.0, 1_700.0];
const MUSIC_HZ: f64 = 2_400.0;
/// The sounds of who comes and leaves.
const CHIME_HZ: [f64; 2] = [523.0, 784.0];
/// Samples in a second.
const RATE_HZ: usize = 8_000;
/// Loudness of what is said.
const AMPLITUDE: f64 = 6_000.0;
/// Samples over which it is judged what is heard: a second.
const JUDGED: usize = RATE_HZ;

fn tone(hz: f64, seconds: usize) -> Vec<i16> {
    let angle = |at: usize| TAU * hz * at as f64 / RATE_HZ as f64;
    (0..seconds * RATE_HZ).map(|at| (angle(at).sin() * AMPLITUDE) as i16).collect()
}

/// How loud a frequency is, of what was said with it: 1 is as loud as it was (Goertzel).
fn level(samples: &[i16], hz: f64) -> f64 {
    let factor = 2.0 * (TAU * hz / RATE_HZ as f64).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (f64::from(*sample) + factor * last - before, last);
    }
    let power = last * last + before * before - factor * last * before;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64 / AMPLITUDE
}

/// One callee at his phone.
struct Callee {
    ear: Ear,
    voice: Voice,
    invite: Heard,
    tag: String,
}

impl Callee {
    /// The next call, answered; says his tone for minutes.
    async fn answers(scene: &Scene, nth: usize) -> Self {
        let invite = scene.phone.request("INVITE").await;
        let (ear, tag) = (Ear::open().await, format!("callee{nth}"));
        let voice = ear.speak(&invite.message);
        scene.phone.accept(&invite, &tag, &ear.sdp()).await;
        scene.phone.request("ACK").await;
        voice.say(&tone(TONES_HZ[nth], 120));
        Self { ear, voice, invite, tag }
    }

    /// What he has heard in the last second.
    fn heard(&self) -> Option<Vec<i16>> {
        let heard = samples(&self.ear);
        heard.len().checked_sub(JUDGED).map(|from| heard[from..].to_vec())
    }

    /// Waits until he hears these tones and no others for a second.
    async fn hears(&self, what: &str, wanted: &[f64]) {
        let all = TONES_HZ.iter().chain([&MUSIC_HZ]);
        let levels = until(what, async || {
            let heard = self.heard()?;
            let levels: Vec<(f64, f64)> = all.clone().map(|hz| (*hz, level(&heard, *hz))).collect();
            let fits = |(hz, level): &(f64, f64)| match wanted.contains(hz) {
                // A room presses nobody as long as it is not loud, and mu-law takes little.
                true => (0.85..1.15).contains(level),
                // 36 dB below what he would hear of himself.
                false => *level < 0.015,
            };
            levels.iter().all(fits).then_some(levels)
        })
        .await;
        println!("{what}: {levels:.4?}");
    }

    /// Waits until he has heard the sounds of a change.
    async fn hears_chime(&self, what: &str) {
        until(what, async || {
            let heard = samples(&self.ear);
            let frames: Vec<&[i16]> = heard.chunks_exact(400).collect();
            let sounds = |hz: f64| frames.iter().any(|frame| level(frame, hz) > 0.2);
            CHIME_HZ.into_iter().all(sounds).then_some(())
        })
        .await;
    }
}

/// Starts a call; its first page joins the room so.
async fn called(scene: &Scene, nth: usize, how: Value) -> Callee {
    let mut conference = json!({"conference_name": "talk", "exit_digits": "#"});
    conference.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
    let actions = json!({"actions": [{"conference": conference}, {"hang_up": {}}]});
    scene.page("/first", actions);
    scene.start_to(&format!("tel:1617555123{nth}"), &format!("callee {nth}")).await;
    let callee = Callee::answers(scene, nth).await;
    scene.customer.posted("/first").await;
    callee
}

async fn hung_up(scene: &Scene, callee: &Callee) {
    let call_id = callee.invite.message.call_id().to_owned();
    let is_bye =
        |message: &crate::sip::Message| message.is_request("BYE") && message.call_id() == call_id;
    let bye = scene.phone.take(&format!("{} is hung up", callee.tag), is_bye).await;
    scene.phone.answer(&bye, 200, "OK", &callee.tag).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_callees_hear_the_others_and_not_themselves_and_music_while_they_wait() {
    let music = "[conferences]\nmusic_file = \"music.wav\"\n";
    let settings = Settings { store: music.into(), ..Settings::default() };
    let scene = Scene::open_with(&settings, |stage| {
        stage.write("music.wav", wav(&tone(MUSIC_HZ, 2)));
    })
    .await;
    // A room that has not begun holds who is there, and who is alone in one has nobody to hear.
    let first = called(&scene, 0, json!({"start_on_entry": false})).await;
    first.hears("held alone: music", &[MUSIC_HZ]).await;
    let second = called(&scene, 1, json!({"start_on_entry": false})).await;
    second.hears("second is held: music", &[MUSIC_HZ]).await;
    first.hears("first is held yet: music", &[MUSIC_HZ]).await;

    let third = called(&scene, 2, json!({"entry_exit_sounds": true})).await;
    first.hears_chime("the first hears who comes").await;
    first.hears("first hears second and third", &TONES_HZ[1..]).await;
    second.hears("second hears first and third", &[TONES_HZ[0], TONES_HZ[2]]).await;
    third.hears("third hears first and second", &TONES_HZ[..2]).await;

    // A key is heard by all others, and takes nobody out whose script does not say so.
    first.voice.press("5");
    until("the second has the key", async || second.ear.has_key('5').then_some(())).await;
    third.voice.press("#");
    hung_up(&scene, &third).await;
    first.hears("without the third", &TONES_HZ[1..2]).await;
    second.hears("without the third, second", &TONES_HZ[..1]).await;
    second.voice.press("#");
    hung_up(&scene, &second).await;
    first.hears("alone again: music", &[MUSIC_HZ]).await;
    first.voice.press("#");
    hung_up(&scene, &first).await;
    scene.server.stop().await;
}

/// A service that calls the room, with pages of its own.
async fn announcing(scene: &Scene) {
    let page = |path: &str| json!({"address": scene.customer.url(path)});
    let pages = json!({"first_page": page("/announce"), "final_page": page("/announced"),
        "error_page": page("/error")});
    scene.put_as("announcer", json!({"outbound_call_type": "conference", "rest": pages})).await;
    scene.customer.reply("POST", "/announced", [Reply::text(200, "")]);
}

/// Calls the room; the invocation id.
async fn announces(scene: &Scene, to: &str) -> String {
    let calls = json!({"to": to, "token": "news", "outbound_parameters": "all"});
    let answer = scene.got_start("announcer", &calls).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()[0].as_str().unwrap().to_owned()
}

/// What the final page of this call of the room was told of it.
async fn told_end(scene: &Scene, id: &str) -> Value {
    let is_its =
        |asked: &Asked| asked.path == "/announced" && told(asked)["application_instance_id"] == id;
    let last = scene
        .customer
        .until("its end is told", |asked| asked.iter().find(|asked| is_its(asked)).map(told));
    last.await["this_call"].clone()
}

/// Checklist 2-006, 2-016: everybody in a conference hears what a service plays that calls it, and
/// it hears their keys.
#[tokio::test(flavor = "multi_thread")]
async fn service_that_calls_a_conference_is_heard_by_all_who_are_in_it_and_hears_their_keys() {
    let settings = Settings { slots: 3, ..Settings::default() };
    let scene = Scene::open_with(&settings, |_| {}).await;
    announcing(&scene).await;
    let list = json!([{"file_to_play": {"url": "news.wav", "method": "GET"}}]);
    scene.customer.reply("GET", "/news.wav", [Reply::wav(wav(&tone(MUSIC_HZ, 6)))]);
    scene.page(
        "/announce",
        json!({"actions": [
        {"play": {"play_list": list, "barge_in_on_digit": false}},
        {"get_number": {"digit_count": 2, "next_page": {"url": "keyed"}}}], "token": "asked"}),
    );
    scene.page(
        "/keyed",
        json!({"actions": [{"send_digits": {"digits": "9"}},
        {"record": {"next_page": {"url": "taped"}, "seconds_max_duration": 2}}]}),
    );
    for page in ["/taped", "/other"] {
        scene.page(page, json!({"actions": [{"sleep": {"seconds": 600}}]}));
    }
    let first = called(&scene, 0, json!({})).await;
    let second = called(&scene, 1, json!({})).await;
    first.hears("first hears second", &TONES_HZ[1..2]).await;
    let id = announces(&scene, "con:talk").await;
    first.hears("first hears second and the news", &[TONES_HZ[1], MUSIC_HZ]).await;
    second.hears("second hears first and the news", &[TONES_HZ[0], MUSIC_HZ]).await;
    // It is a call like others: it has a slot, a state, and its pages are told of it.
    assert_eq!(scene.server.health().await["trunks"][0]["busy"], 3);
    let waits = announces(&scene, "con:elsewhere").await;
    assert_eq!(scene.about("/service_status", &waits, &[]).await["state"], "queued");
    assert_eq!(scene.about("/service_cancel", &waits, &[]).await["result"], "canceled");
    assert_eq!(scene.about("/service_status", &id, &[]).await["state"], "running");
    let call = told(&scene.customer.posted("/announce").await)["this_call"].clone();
    assert_eq!((&call["call_to"], &call["call_from"]), (&json!("con:talk"), &json!("")));
    assert_eq!((&call["call_state"], call.get("far_end_type")), (&json!("answered"), None));
    // Whoever presses a key answers.
    first.hears("the news are over", &TONES_HZ[1..2]).await;
    first.voice.press("4");
    second.voice.press("2");
    let keyed = told(&scene.customer.posted("/keyed").await);
    let number = keyed["action_result"]["result"]["entered_number"].as_str().unwrap().to_owned();
    assert!(number == "42" || number == "24", "{keyed}");
    until("both have its key", async || {
        (first.ear.has_key('9') && second.ear.has_key('9')).then_some(())
    })
    .await;
    let taped = told(&scene.customer.posted("/taped").await);
    assert_eq!(taped["action_result"]["result"]["contains_sound"], true, "{taped}");
    let other = scene.customer.url("/other");
    let answer = scene.about("/rest_interrupt", &id, &[("redirect_page", &other)]).await;
    assert_eq!(answer["result"], "interrupted");
    let interrupted = told(&scene.customer.posted("/other").await);
    assert_eq!(interrupted["token"], "asked");
    assert_eq!(scene.about("/service_cancel", &id, &[]).await["result"], "canceled");
    let last = told_end(&scene, &id).await;
    assert_eq!((&last["call_to"], &last["call_cause"]), (&json!("con:talk"), &json!("completed")));
    assert_eq!(
        (&last["call_raw_cause"], &last["outbound_parameters"]),
        (&json!("200"), &json!("all"))
    );
    assert!(last["seconds_call_duration"].as_f64().unwrap() > 4.0, "{last}");
    // Those who are in the conference stay there.
    first.hears("without it, first hears second", &TONES_HZ[1..2]).await;
    assert_eq!(scene.server.health().await["trunks"][0]["busy"], 2);
    for callee in [&first, &second] {
        callee.voice.press("#");
        hung_up(&scene, callee).await;
    }
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_of_a_conference_ends_with_it_and_calls_somebody_into_it() {
    let scene = Scene::open_with(&Settings::default(), |_| {}).await;
    announcing(&scene).await;
    let page = |path: &str| json!({"address": scene.customer.url(path)});
    let pages = json!({"first_page": page("/announce"), "final_page": page("/announced")});
    scene
        .put_as(
            "announcer",
            json!({"outbound_call_type": "conference", "extra_channels": 1,
        "rest": pages}),
        )
        .await;
    scene.page(
        "/announce",
        json!({"actions": [{"conference": {"conference_name": "talk",
        "next_page": {"url": "again"}}}]}),
    );
    scene.page(
        "/again",
        json!({"actions": [{"connect": {"destinations": ["+16175551231"],
        "next_page": {"url": "connected"}}}, {"sleep": {"seconds": 600}}]}),
    );
    scene.page("/connected", json!({"actions": [{"sleep": {"seconds": 600}}]}));
    let host = called(&scene, 0, json!({"destroy_on_exit": true})).await;
    announces(&scene, "talk").await;
    // In the conference that it has called it is already: it would hear itself.
    let again = told(&scene.customer.posted("/again").await);
    assert_eq!(again["action_result"]["result"]["call_cause"], "busy", "{again}");
    let guest = Callee::answers(&scene, 1).await;
    host.hears("the host hears who was called", &TONES_HZ[1..2]).await;
    guest.hears("who was called hears the host", &TONES_HZ[..1]).await;
    host.voice.press("#");
    hung_up(&scene, &host).await;
    hung_up(&scene, &guest).await;
    let last = told(&scene.customer.posted("/announced").await)["this_call"].clone();
    assert_eq!((&last["call_to"], &last["call_cause"]), (&json!("con:talk"), &json!("hung_up")));
    scene.server.until_quiet().await;
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_whose_music_cannot_be_read_does_not_start_and_says_why() {
    let stage = crate::harness::Stage::new();
    stage.write("noise.wav", "this is no sound");
    let settings = Settings {
        store: "[conferences]\nmusic_file = \"noise.wav\"\n".into(),
        ..Settings::default()
    };
    let far_end = crate::harness::at(crate::harness::port());
    crate::server::Server::configure(&stage, far_end, &settings);
    let ended = tokio::process::Command::new(crate::server::PROGRAM)
        .arg("serve")
        .current_dir(stage.dir())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("noise.wav"), "{said}");
}
