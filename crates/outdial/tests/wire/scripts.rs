//! Scripts that are broken, endless or hostile: each ends its own call with a word on why, and no
//! other call notices.

use std::sync::Arc;
use std::time::Duration;

use expect_test::{expect, expect_file};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::customer::{Customer, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::phone::{Ear, Phone};
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;
use crate::undisturbed::Undisturbed;

/// What ends a script that works without end: the count of its work, or else its time.
const BOUNDS: [&str; 3] = ["call_ticks_max", "ran too long", "wait_max"];
/// Longest life of a call whose script does harm.
const LIFE_MAX: Duration = Duration::from_secs(40);
/// Memory that the server may gain by all of them, in kB.
const GROWTH_MAX_KIB: u64 = 128 * 1_024;

/// A page around the inside of a form's block.
fn block(inside: &str) -> Reply {
    page(&format!("<form><block>{inside}</block></form>"))
}

/// A page around its dialogs.
fn page(inside: &str) -> Reply {
    Reply::page(format!(
        "<?xml version=\"1.0\"?>\n<vxml version=\"2.0\" xmlns=\"http://www.w3.org/2001/vxml\">\n\
         {inside}\n</vxml>"
    ))
}

/// A text of a few hundred bytes that a careless reader makes a billion laughs of.
fn entity_bomb() -> Reply {
    let laughs: String = (1..10)
        .map(|nth| {
            let before = nth - 1;
            format!("<!ENTITY l{nth} \"{}\">", format!("&l{before};").repeat(10))
        })
        .collect();
    let bomb = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE vxml [<!ENTITY l0 \"ha\">{laughs}]>\n\
         <vxml version=\"2.0\"><form><block><prompt>&l9;</prompt></block></form></vxml>"
    );
    Reply::page(bomb)
}

/// Bad pages by name.
fn pages(customer: &Customer) -> Vec<(&'static str, Reply)> {
    let outside = "<?xml version=\"1.0\"?>\n<!DOCTYPE vxml [<!ENTITY x SYSTEM \
                   \"file:///etc/passwd\">]>\n<vxml version=\"2.0\"><form><block><prompt>&x;\
                   </prompt></block></form></vxml>";
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let script = |code: &str| block(&format!("<script><![CDATA[{code}]]></script>"));
    let to = |url: &str| block(&format!("<goto next=\"{url}\"/>"));
    vec![
        ("empty", Reply::page("")),
        ("no-xml", Reply::page("Hello, this is your bank.")),
        ("html", Reply::Send(200, "text/html", "<html><body><p>Hi<br></body></html>".into())),
        ("other-xml", Reply::page("<?xml version=\"1.0\"?><speak>Hello</speak>")),
        ("cut-off", Reply::page("<?xml version=\"1.0\"?><vxml version=\"2.0\"><form><block>")),
        ("no-dialog", page("")),
        ("unknown-element", page("<form><dance/></form>")),
        ("wrong-encoding", Reply::Send(200, "text/xml", b"<vxml>\xC3\x28\xFF</vxml>"[..].into())),
        ("entity-bomb", entity_bomb()),
        ("outside-entity", Reply::page(outside)),
        ("deep", page(&deep)),
        ("huge", Reply::page(" ".repeat(3 << 20))),
        ("endless", Reply::Endless(64 * 1_024, Duration::from_millis(1))),
        ("slow", Reply::Endless(1, Duration::from_millis(300))),
        ("never", Reply::Hang),
        ("error-500", Reply::text(500, "no")),
        ("recording", Reply::Send(200, "audio/wav", vec![1; 1_000].into())),
        ("around", Reply::Redirect(customer.url("/around"))),
        ("to-the-inside", Reply::Redirect("http://169.254.169.254/latest/".into())),
        ("goto-inside", to("http://10.0.0.1/page")),
        ("goto-file", to("file:///etc/passwd")),
        ("goto-nowhere", to("#nowhere")),
        (
            "loop",
            page(
                "<form id=\"a\"><block><goto next=\"#b\"/></block></form>\
                       <form id=\"b\"><block><goto next=\"#a\"/></block></form>",
            ),
        ),
        ("loop-of-pages", to("loop-of-pages?x=1")),
        (
            "throws",
            page(
                "<catch event=\"x\"><throw event=\"x\"/></catch>\
                         <form><block><throw event=\"x\"/></block></form>",
            ),
        ),
        ("script-loop", script("while (true) {}")),
        ("script-memory", script("var a = []; for (;;) a.push(new Array(100000).join('x'));")),
        ("script-recursion", script("function f() { return f() + f(); } f();")),
        ("script-expression", script("/(a+)+$/.test(new Array(40).join('a') + 'b');")),
        ("script-wrong", script("this is no script")),
        (
            "script-many",
            block(
                &"<script>var t = 0; for (var i = 0; i &lt; 1e7; i++) t += i;</script>".repeat(200),
            ),
        ),
        ("variable-unknown", block("<log expr=\"nobody.knows\"/>")),
        ("audio-missing", block("<prompt><audio src=\"/no.wav\"/></prompt>")),
        ("audio-broken", block("<prompt><audio src=\"/broken.wav\"/></prompt>")),
        ("audio-inside", block("<prompt><audio src=\"http://10.0.0.1/a.wav\"/></prompt>")),
        ("text-without-end", block(&format!("<prompt>{}</prompt>", "very ".repeat(200_000)))),
    ]
}

/// The phone of this number answers and does as it is told until it is hung up.
pub(crate) async fn answer(phone: Arc<Phone>, number: String) {
    let is_invite = |message: &Message| message.is_request("INVITE") && message.number() == number;
    let invite = phone.take("a victim is called", is_invite).await;
    let ear = Ear::open().await;
    phone.accept(&invite, &number, &ear.sdp()).await;
    let call_id = invite.message.call_id().to_owned();
    let is_bye = |message: &Message| message.is_request("BYE") && message.call_id() == call_id;
    let bye = phone.take("a victim is hung up", is_bye).await;
    phone.answer(&bye, 200, "OK", &number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_scripts_end_their_own_calls_with_a_word_and_disturb_nobody() {
    let stage = Stage::new();
    let phone = Arc::new(Phone::open().await);
    let customer = Customer::open(SAYS_NOTHING).await;
    customer.reply("GET", "/broken.wav", [Reply::wav(b"RIFF\xFF\xFF\xFF\xFFWAVEjunk".to_vec())]);
    customer.reply("GET", "/no.wav", [Reply::text(404, "no")]);
    let settings = Settings { slots: 60, ..Settings::default() };
    let server = Server::start(&stage, phone.address, &settings).await;
    let undisturbed = Undisturbed::begin(&server, &phone, &customer).await;
    let before = server.memory_kib("VmRSS");

    let pages = pages(&customer);
    let begun = Instant::now();
    let (mut calls, mut victims) = (Vec::new(), JoinSet::new());
    for (nth, (name, reply)) in pages.iter().enumerate() {
        let path = format!("/{name}");
        customer.reply("POST", &path, [reply.clone()]);
        // A page that is fetched again by its own goto is asked by GET.
        if *name == "loop-of-pages" || *name == "around" {
            customer.reply("GET", &path, [Reply::text(200, ""), reply.clone()]);
        }
        let number = format!("1555090{nth:04}");
        let (start_url, result_url) = (customer.url(&path), customer.url("/result"));
        let id = server
            .queued(&[
                ("phone_number", &number),
                ("start_url", &start_url),
                ("result_url", &result_url),
            ])
            .await;
        victims.spawn(answer(Arc::clone(&phone), number));
        calls.push((*name, id));
    }
    while let Some(ended) = victims.join_next().await {
        ended.unwrap();
    }
    let took = begun.elapsed();
    let mut golden = String::new();
    for (name, id) in &calls {
        let call = server.until_state(id, "completed").await;
        golden += &story(name, &call).replace(&customer.url(""), "http://app.example");
        let life = call["duration_s"].as_u64().unwrap();
        assert!(life <= LIFE_MAX.as_secs(), "{name} lived for {life} s");
    }
    let results = customer.results_of(calls.len()).await;
    assert!(calls.iter().all(|(_, id)| results[id].field("result") == "Completed"));
    let after = server.memory_kib("VmRSS");
    println!(
        "{} bad scripts in {took:?}, memory {before} kB before, {after} kB after",
        calls.len()
    );
    expect_file!["golden/scripts.txt"].assert_eq(&golden);
    assert!(after < before + GROWTH_MAX_KIB, "memory grew from {before} to {after} kB");
    undisturbed.ends_well(&server, &phone, &customer).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn script_asks_for_as_many_pages_as_the_settings_allow_and_for_no_more() {
    let stage = Stage::new();
    let phone = Arc::new(Phone::open().await);
    let customer = Customer::open(SAYS_NOTHING).await;
    let more = block("<goto next=\"/more\" maxage=\"0\"/>");
    customer.reply("POST", "/start", [more.clone()]);
    customer.reply("GET", "/more", [more]);
    let settings = Settings { calls: "pages_max = 4", ..Settings::default() };
    let server = Server::start(&stage, phone.address, &settings).await;
    let id = queue(&server, &customer, NUMBER).await;
    answer(Arc::clone(&phone), NUMBER.to_owned()).await;
    let call = server.until_state(&id, "completed").await;
    expect![[r#"
        === more
        error.limit: http://app.example/more:3:14: limit pages_max: more than 4 documents fetched in a call
    "#]]
    .assert_eq(&story("more", &call).replace(&customer.url(""), "http://app.example"));
    let fetched = customer.asked().into_iter().filter(|one| one.path == "/more");
    assert_eq!(fetched.count(), 3, "the start page is the first of four");
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    server.stop().await;
}

/// What the API tells of a call's script.
fn story(name: &str, call: &Value) -> String {
    let mut text = format!("=== {name}\n");
    for event in call["events"].as_array().unwrap() {
        if event["kind"] == "script_error" {
            let detail: String = event["detail"].as_str().unwrap().chars().take(300).collect();
            // Which of its bounds ends work without end depends on what else the machine does.
            let is_bounded = BOUNDS.iter().any(|bound| detail.contains(bound));
            let detail = match name {
                "script-many" if is_bounded => "work without end".to_owned(),
                _ => detail,
            };
            text.push_str(&format!("{detail}\n"));
        }
    }
    text
}
