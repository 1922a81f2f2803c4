//! Callees whom a page of actions connects with others: who hears a page of his own first, who is
//! called beside and given up, and what the application is told of each.

use serde_json::{Value, json};

use crate::aculab::{Scene, told};
use crate::harness::until;
use crate::phone::{Ear, Heard, PCMU, Phone, Voice};
use crate::record::samples;
use crate::server::Settings;
use crate::sip::Message;
use crate::sound::spoken;

/// Whom callees are connected with.
const AGENT: &str = "+15550100777";
/// Who is called beside.
const OTHER: &str = "+15550100888";

/// A service whose calls may have others beside them, and the callee, who has answered.
struct Line {
    scene: Scene,
    ear: Ear,
    invite: Heard,
    voice: Voice,
}

/// Somebody who is called for the callee, at his phone.
struct Agent {
    invite: Heard,
    ear: Ear,
    voice: Voice,
}

impl Line {
    /// The first page connects so; `/got` is told what came of it.
    async fn begin(connect: Value, settings: &Settings) -> Self {
        Self::begin_over(connect, settings, None).await
    }

    /// The same where the callee's call may come to either of two phones.
    async fn begin_over(connect: Value, settings: &Settings, spare: Option<&Phone>) -> Self {
        let scene = Scene::open_with(settings, |_| {}).await;
        let pages = |page: &str| json!({"address": scene.customer.url(page)});
        scene
            .put(json!({"extra_channels": 4, "rest": {
                "first_page": pages("/first"),
                "final_page": pages("/final"),
                "error_page": pages("/error")
            }}))
            .await;
        let mut connect = connect;
        connect["next_page"] = json!({"url": "got"});
        scene.page("/first", json!({"actions": [{"connect": connect}], "token": "connecting"}));
        for page in ["/got", "/error", "/agent_final"] {
            scene.page(page, json!({"actions": []}));
        }
        let ear = Ear::open().await;
        scene.start("t").await;
        let is_callee =
            |message: &Message| message.is_request("INVITE") && message.number() == "+16175551234";
        let spare = spare.unwrap_or(&scene.phone);
        let (phone, invite) = tokio::select! {
            invite = scene.phone.take("the callee is called", is_callee) => (&scene.phone, invite),
            invite = spare.take("the callee is called", is_callee) => (spare, invite),
        };
        let voice = ear.speak(&invite.message);
        phone.accept(&invite, "ear", &ear.sdp()).await;
        Self { scene, ear, invite, voice }
    }

    async fn rings(&self, number: &str) -> Heard {
        let is_his = |message: &Message| message.is_request("INVITE") && message.number() == number;
        self.scene.phone.take(&format!("{number} is called"), is_his).await
    }

    async fn answers(&self, invite: Heard) -> Agent {
        let ear = Ear::open().await;
        let voice = ear.speak(&invite.message);
        self.scene.phone.accept(&invite, "agent", &ear.sdp()).await;
        Agent { invite, ear, voice }
    }

    /// This call is hung up by the server.
    async fn hung_up(&self, invite: &Heard, tag: &str) {
        let call_id = invite.message.call_id().to_owned();
        let is_bye = |message: &Message| message.is_request("BYE") && message.call_id() == call_id;
        let bye = self.scene.phone.take(&format!("{tag} is hung up"), is_bye).await;
        self.scene.phone.answer(&bye, 200, "OK", tag).await;
    }

    /// This call, which rings, is given up by the server.
    async fn given_up(&self, invite: &Heard, tag: &str) {
        let call_id = invite.message.call_id().to_owned();
        let is_cancel =
            |message: &Message| message.is_request("CANCEL") && message.call_id() == call_id;
        let cancel = self.scene.phone.take(&format!("{tag} is given up"), is_cancel).await;
        self.scene.phone.answer(&cancel, 200, "OK", tag).await;
        self.scene.phone.answer(invite, 487, "Request Terminated", tag).await;
    }

    /// What came of it, and the end of the whole.
    async fn ends(self) -> (Value, Value) {
        let ended = self.comes_to_its_end().await;
        self.scene.server.stop().await;
        ended
    }

    /// The same, of a server that goes on.
    async fn comes_to_its_end(&self) -> (Value, Value) {
        let got = told(&self.scene.customer.posted("/got").await);
        self.hung_up(&self.invite, "ear").await;
        let last = told(&self.scene.customer.posted("/final").await);
        (got["action_result"]["result"].clone(), last)
    }
}

fn loud(ear: &Ear) -> usize {
    samples(ear).iter().filter(|sample| sample.unsigned_abs() > 600).count()
}

/// The pages of somebody who may accept by one key and refuse by another.
fn whispers(scene: &Scene) {
    let options = json!([
        {"digit": "1", "next_page": {"url": "accept"}},
        {"digit": "2", "next_page": {"url": "refuse"}}
    ]);
    let prompt = json!({"play_list": [{"text_to_say": "A call for you. One to take it."}]});
    let menu = json!({"run_menu": {"prompt": prompt, "menu_options": options}});
    scene.page("/whisper", json!({"actions": [menu], "token": "whispered"}));
    scene.page("/accept", json!({"actions": []}));
    scene.page("/refuse", json!({"actions": [{"hang_up": {}}]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_to_answer_hears_his_page_and_takes_the_call_and_the_other_is_given_up() {
    let secondary = json!({"first_page": {"url": "whisper"}, "final_page": {"url": "agent_final"},
        "call_recording": true, "call_recording_mode": "separate"});
    let connect = json!({"destinations": [AGENT, OTHER], "call_from": "+18005550111",
        "secondary_call": secondary});
    let line = Line::begin(connect, &Settings::default()).await;
    whispers(&line.scene);
    let (first, second) = (line.rings(AGENT).await, line.rings(OTHER).await);
    assert!(first.message.header("From").contains("8005550111"), "{:?}", first.message);
    line.scene.phone.answer(&second, 180, "Ringing", "other").await;
    // The callee hears it ring.
    until("the callee hears it ring", async || (loud(&line.ear) > 8_000).then_some(())).await;
    let agent = line.answers(first).await;
    line.given_up(&second, "other").await;
    let whisper = told(&line.scene.customer.posted("/whisper").await);
    assert_eq!(whisper["token"], "connecting");
    assert_eq!(whisper["this_call"]["call_to"], AGENT);
    assert_eq!(whisper["this_call"]["call_from"], "+18005550111");
    let call_id = whisper["this_call"]["call_id"].as_str().unwrap().to_owned();
    assert!(call_id.ends_with("-1"), "{call_id}");
    until("the agent hears his page", async || (loud(&agent.ear) > 8_000).then_some(())).await;
    agent.voice.press("1");
    line.scene.customer.posted("/accept").await;
    // Now the two talk.
    let words = spoken("Hello, this is the agent.").await;
    let before = loud(&line.ear);
    agent.voice.say(&words);
    until("the callee hears the agent", async || {
        (loud(&line.ear) > before + words.len() / 4).then_some(())
    })
    .await;
    let (phone, sip) = (&line.scene.phone, line.scene.server.sip);
    assert_eq!(phone.ask(&agent.invite, "agent", "BYE", 7, sip).await.status(), Some(200));
    let last = told(&line.scene.customer.posted("/agent_final").await);
    assert_eq!(last["this_call"]["call_id"], call_id.as_str());
    assert_eq!(last["this_call"]["call_cause"], "hung_up");
    assert_eq!(last["this_call"]["call_state"], "idle");
    assert_eq!(last["dropped_calls"][0]["call_to"], OTHER);
    assert_eq!(last["dropped_calls"][0]["call_cause"], "dropped");
    let (result, ended) = line.comes_to_its_end().await;
    assert!(result["seconds_connected_duration"].as_f64().unwrap() > 0.5, "{result}");
    assert_eq!(result["call_cause"], "hung_up");
    assert_eq!(result["calls"].as_array().unwrap().len(), 2);
    is_recorded(&line.scene, &last, &ended).await;
    line.scene.server.stop().await;
}

/// Both final pages tell where the recording is, it has two channels, and where its file is not, it
/// is said which server has it.
async fn is_recorded(scene: &Scene, of_agent: &Value, of_call: &Value) {
    let link = of_call["this_call"]["call_recording_filename"].as_str().unwrap();
    assert_eq!(of_agent["this_call"]["call_recording_filename"], link);
    let file = scene.server.native("GET", link, None).await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert_eq!(file.body[22..24], [2, 0], "channels");
    let files = walk(scene.stage.dir());
    let tape = files.iter().find(|path| std::fs::read(path).is_ok_and(|bytes| bytes == file.body));
    std::fs::remove_file(tape.unwrap()).unwrap();
    let elsewhere = scene.server.native("GET", link, None).await;
    assert_eq!(elsewhere.status, 404);
    assert!(elsewhere.text().contains("made by the server at "), "{}", elsewhere.text());
}

/// All files below a directory.
fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().filter_map(Result::ok);
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => walk(&path),
            path => vec![path],
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_who_refuses_by_his_page_never_hears_the_callee() {
    let connect = json!({"destinations": [AGENT], "hold_media": {"play_list":
        [{"text_to_say": "Please wait."}]}, "secondary_call": {"first_page": {"url": "whisper"}}});
    let line = Line::begin(connect, &Settings::default()).await;
    whispers(&line.scene);
    let invite = line.rings(AGENT).await;
    until("the callee is told to wait", async || (loud(&line.ear) > 1_600).then_some(())).await;
    let agent = line.answers(invite).await;
    line.scene.customer.posted("/whisper").await;
    line.voice.say(&spoken("Hello? Is anybody there?").await);
    agent.voice.press("2");
    line.hung_up(&agent.invite, "agent").await;
    let (result, _) = line.ends().await;
    assert_eq!(result["seconds_connected_duration"], 0.0);
    assert_eq!(result["call_cause"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_whose_page_cannot_be_had_or_who_leaves_is_not_connected() {
    for leaves in [false, true] {
        let secondary = json!({"first_page": {"url": if leaves { "whisper" } else { "nowhere" }}});
        let connect = json!({"destinations": [AGENT], "secondary_call": secondary});
        let line = Line::begin(connect, &Settings::default()).await;
        whispers(&line.scene);
        let agent = line.answers(line.rings(AGENT).await).await;
        if leaves {
            line.scene.customer.posted("/whisper").await;
            let (phone, sip) = (&line.scene.phone, line.scene.server.sip);
            assert_eq!(phone.ask(&agent.invite, "agent", "BYE", 7, sip).await.status(), Some(200));
        } else {
            line.hung_up(&agent.invite, "agent").await;
        }
        let (result, _) = line.ends().await;
        assert_eq!(result["seconds_connected_duration"], 0.0, "{result}");
        let cause = if leaves { "hung_up" } else { "completed" };
        assert_eq!(result["call_cause"], cause, "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_who_leaves_while_the_agent_hears_his_page_ends_both_calls() {
    let connect =
        json!({"destinations": [AGENT], "secondary_call": {"first_page": {"url": "whisper"}}});
    let line = Line::begin(connect, &Settings::default()).await;
    whispers(&line.scene);
    let agent = line.answers(line.rings(AGENT).await).await;
    line.scene.customer.posted("/whisper").await;
    let (phone, sip) = (&line.scene.phone, line.scene.server.sip);
    assert_eq!(phone.ask(&line.invite, "ear", "BYE", 7, sip).await.status(), Some(200));
    line.hung_up(&agent.invite, "agent").await;
    let last = told(&line.scene.customer.posted("/final").await);
    assert_eq!(last["this_call"]["call_cause"], "hung_up");
    line.scene.server.until_quiet().await;
    line.scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_answers_for_the_agent_is_hung_up_on_and_the_next_one_talks() {
    let connect = json!({"destinations": [AGENT, OTHER], "classify_callee": {},
        "secondary_call": {"final_page": {"url": "agent_final"}}});
    let line = Line::begin(connect, &Settings::default()).await;
    let (first, second) = (line.rings(AGENT).await, line.rings(OTHER).await);
    let machine = line.answers(first).await;
    machine.voice.say(&spoken(crate::callee_type::GREETING).await);
    line.hung_up(&machine.invite, "agent").await;
    let person = line.answers(second).await;
    person.voice.say(&spoken("Hello?").await);
    let before = loud(&person.ear);
    let words = spoken("Good morning, I have a question.").await;
    // Until it is known that it is a person, nobody hears the callee.
    until("the two talk", async || {
        if line.voice.is_silent() {
            line.voice.say(&words);
        }
        (loud(&person.ear) > before + words.len() / 4).then_some(())
    })
    .await;
    let (phone, sip) = (&line.scene.phone, line.scene.server.sip);
    assert_eq!(phone.ask(&person.invite, "agent", "BYE", 7, sip).await.status(), Some(200));
    let last = told(&line.scene.customer.posted("/agent_final").await);
    assert_eq!(last["this_call"]["call_to"], OTHER);
    assert_eq!(last["this_call"]["far_end_type"], "human");
    assert_eq!(last["dropped_calls"][0]["far_end_type"], "answering_machine");
    let (result, _) = line.ends().await;
    assert_eq!(result["call_cause"], "hung_up");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_leg_that_a_trunk_refuses_goes_over_the_next_one() {
    let spare = Phone::open().await;
    let trunk = format!(
        "\n[[trunk]]\nname = \"spare\"\nhosts = [\"{}\"]\nallow_loopback = true\n\
         slots = 20\ncalls_per_second = 50\n",
        spare.address
    );
    let settings = Settings { trunk, ..Settings::default() };
    let connect = json!({"destinations": [AGENT]});
    let line = Line::begin_over(connect, &settings, Some(&spare)).await;
    // Calls are dealt to trunks in turn: whichever has it first refuses it.
    let phones = [&line.scene.phone, &spare];
    let is_his = |message: &Message| message.is_request("INVITE") && message.number() == AGENT;
    let (at, invite) = until("a trunk is tried", async || {
        (0..2).find_map(|at| phones[at].heard(is_his).pop().map(|heard| (at, heard)))
    })
    .await;
    phones[at].answer(&invite, 503, "Service Unavailable", "agent").await;
    let again = phones[1 - at].take("the other trunk is tried", is_his).await;
    phones[1 - at].answer(&again, 486, "Busy Here", "agent").await;
    let got = told(&line.scene.customer.posted("/got").await);
    assert_eq!(got["action_result"]["result"]["call_cause"], "busy", "{got}");
    assert_eq!(phones[at].heard(is_his).len() + phones[1 - at].heard(is_his).len(), 2);
    line.scene.server.stop().await;
}

/// The sound that a leg was sent is the network's.
#[tokio::test(flavor = "multi_thread")]
async fn early_media_is_heard_only_where_it_is_asked_for() {
    let connect = json!({"destinations": [AGENT], "pass_early_media": true});
    let line = Line::begin(connect, &Settings::default()).await;
    let invite = line.rings(AGENT).await;
    let ear = Ear::open().await;
    let early = ear.speak(&invite.message);
    let ringing = line.scene.phone.response_to(&invite, 183, "Session Progress", "agent");
    line.scene.phone.send(&ringing.with_sdp(&ear.sdp()), invite.from).await;
    let words = spoken("The person you are calling is not available at present.").await;
    assert_eq!(loud(&line.ear), 0, "nothing rings where the network is to be heard");
    early.say(&words);
    until("the announcement is heard", async || (loud(&line.ear) > words.len() / 4).then_some(()))
        .await;
    assert!(line.ear.packets().iter().any(|packet| packet.kind == PCMU));
    line.scene.phone.answer(&invite, 480, "Temporarily Unavailable", "agent").await;
    let (result, _) = line.ends().await;
    assert_eq!(result["call_cause"], "no_answer", "{result}");
}

/// A call whose page does this between two keys that are sent; the first one is out.
async fn doing(action: &str, properties: Value) -> (Scene, Ear, String) {
    let scene = Scene::open_with(&Settings::default(), |_| {}).await;
    let pages = |page: &str| json!({"address": scene.customer.url(page)});
    scene
        .put(json!({"extra_channels": 1, "rest": {
            "first_page": pages("/first"), "final_page": pages("/final"),
            "error_page": pages("/error")
        }}))
        .await;
    let ear = Ear::open().await;
    let mut middle = json!({});
    middle[action] = properties;
    let last = json!({"play": {"play_list": [{"digits_to_play": "9"}]}});
    let actions = json!([{"send_digits": {"digits": "7"}}, middle, last]);
    scene.page("/first", json!({"actions": actions, "token": "first"}));
    scene.page("/other", json!({"actions": [{"sleep": {"seconds": 600}}], "token": "other"}));
    scene.page("/agent_final", json!({"actions": []}));
    let id = scene.start("t").await;
    let (_, voice) = scene.answered(&ear).await;
    until("the page is begun", async || ear.has_key('7').then_some(())).await;
    // Nobody says anything, and nothing depends on it.
    drop(voice);
    (scene, ear, id)
}

/// Whatever the pages do is interrupted: the page that is named is told which action was stopped,
/// and nothing of a result; what else was to come of it comes, too.
#[tokio::test(flavor = "multi_thread")]
async fn interrupt_stops_a_prompt_a_question_a_recording_a_menu_and_a_call_to_somebody() {
    let text = "This is a long text, which nobody wants to hear to its end. ".repeat(20);
    let next = json!({"url": "got"});
    let options = json!([{"digit": "1", "next_page": next}]);
    let agent = json!({"destinations": [AGENT], "next_page": next,
        "secondary_call": {"final_page": {"url": "agent_final"}}});
    let talk = json!({"conference_name": "talk", "next_page": next});
    for (action, properties) in [
        ("play", json!({"play_list": [{"text_to_say": text}]})),
        ("get_number", json!({"next_page": next, "seconds_timeout": 300})),
        ("record", json!({"next_page": next, "milliseconds_max_silence": 60_000})),
        ("run_menu", json!({"menu_options": options, "seconds_digit_timeout": 300})),
        ("connect", agent),
        ("connect_to_conference", talk),
    ] {
        let (scene, ear, id) = doing(action, properties).await;
        let mut rings = None;
        match action {
            "play" => {
                let before = ear.heard_len();
                let heard = async || (ear.heard_len() > before + 16_000).then_some(());
                until("it is being said", heard).await;
            }
            "connect" => {
                let invite = scene.phone.request("INVITE").await;
                scene.phone.answer(&invite, 180, "Ringing", "agent").await;
                rings = Some(invite);
            }
            // They begin, unheard, in the moment when the key is out.
            _ => {}
        }
        let other = scene.customer.url("/other");
        let to_other = [("redirect_page", other.as_str())];
        let answer = scene.about("/rest_interrupt", &id, &to_other).await;
        assert_eq!(answer["result"], "interrupted", "{action}");
        let asked = told(&scene.customer.posted("/other").await);
        assert_eq!(asked["token"], "first", "{action}");
        let result = &asked["action_result"];
        let stopped = [action, "send_digits"].iter().any(|name| result["action"] == *name);
        assert!(stopped, "{action}: {asked}");
        assert_eq!(result.get("result"), None, "{action}: {asked}");
        if let Some(invite) = rings {
            assert_eq!(result["action"], action);
            let cancel = scene.phone.request("CANCEL").await;
            scene.phone.answer(&cancel, 200, "OK", "agent").await;
            scene.phone.answer(&invite, 487, "Request Terminated", "agent").await;
            let last = told(&scene.customer.posted("/agent_final").await);
            assert_eq!(last["this_call"]["call_to"], AGENT, "{last}");
        }
        assert_eq!(scene.about("/service_cancel", &id, &[]).await["result"], "canceled");
        scene.hung_up().await;
        scene.customer.reply("POST", "/final", [crate::customer::Reply::text(200, "")]);
        let last = told(&scene.customer.posted("/final").await);
        assert_eq!(
            (&last["token"], &last["this_call"]["call_cause"]),
            (&json!("other"), &json!("completed")),
            "{action}"
        );
        assert!(scene.customer.asked().iter().all(|asked| asked.path != "/got"), "{action}");
        assert!(!ear.has_key('9'), "{action}: the rest of its page was done");
        scene.server.stop().await;
    }
}
