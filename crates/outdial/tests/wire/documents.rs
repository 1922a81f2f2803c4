//! Documents of every area of VoiceXML, each a call through real SIP and audio: what is heard,
//! pressed and said, and what comes of it at the application.
//!
//! All calls are made at once by one server; some are answered by `baresip`, some by phones of our
//! own. Their stories stand in `golden/documents.txt`.

mod callee;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::expect_file;
use serde_json::{Value, json};
use tokio::task::LocalSet;
use tokio::time::Instant;

use self::callee::{Callee, World};
use self::table::{DOCUMENTS, Document, FarEnd, SOUNDS, extras};
use crate::baresip::Baresip;
use crate::customer::{Asked, Customer, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::hearing::{Hearing, RATE_HZ, Repertoire, samples, told};
use crate::phone::Phone;
use crate::server::{Server, Settings};
use crate::sound::wav;

/// A page or file of a document.
fn file(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/documents");
    std::fs::read_to_string(format!("{dir}/{name}")).unwrap()
}

/// The number that a document's call goes to.
fn number(nth: usize) -> String {
    format!("1555020{nth:04}")
}

/// Puts all pages, files and sounds where the server finds them.
async fn application() -> Customer {
    let customer = Customer::open(SAYS_NOTHING).await;
    for (name, seconds) in SOUNDS {
        let sound = wav(&samples(name, *seconds));
        customer.reply("GET", &format!("/s/{name}.wav"), [Reply::wav(sound)]);
    }
    for Document { name, .. } in DOCUMENTS {
        let page = name.split('-').next().expect("a name has a first part");
        let start = Reply::page(file(&format!("{page}.vxml")));
        customer.reply("POST", &format!("/{name}/page"), [start]);
        customer.reply("POST", &format!("/{name}/answer"), [Reply::page(file("end.vxml"))]);
    }
    customer
}

/// Settings with a trunk for each phone of its own.
fn settings(phones: &BTreeMap<&str, Baresip>) -> Settings {
    let mut trunk = String::new();
    for (name, phone) in phones {
        write!(
            trunk,
            "[[trunk]]\nname = \"{name}\"\nhosts = [\"{}\"]\nallow_loopback = true\n\
             slots = 2\ncalls_per_second = 5\n",
            phone.address
        )
        .unwrap();
    }
    Settings { slots: 60, trunk, ..Settings::default() }
}

/// Makes the campaign of a document, whose calls go over one trunk.
async fn campaign(server: &Server, name: &str, trunk: &str) {
    let made = server.native("POST", "/v1/campaigns", Some(json!({ "name": name }))).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/v1/campaigns/{}/policy", made.json()["id"].as_str().unwrap());
    let policy = json!({ "trunks": [{ "trunk": trunk, "weight": 1 }] });
    let changed = server.native("PATCH", &path, Some(policy)).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_every_area_are_heard_and_answered_over_real_calls() {
    let phone = Phone::open().await;
    let customer = application().await;
    // Each in a directory of its own.
    let stages: Vec<Stage> = DOCUMENTS.iter().map(|_| Stage::new()).collect();
    let mut phones = BTreeMap::new();
    for (nth, document) in DOCUMENTS.iter().enumerate() {
        if matches!(document.far_end, FarEnd::Baresip) {
            let baresip = Baresip::start(&stages[nth], &number(nth)).await;
            phones.insert(document.name, baresip);
        }
    }
    let stage = Stage::new();
    let server = Server::start(&stage, phone.address, &settings(&phones)).await;
    let world = Arc::new(World { server, customer, phone, sounds: Repertoire::new(SOUNDS) });
    for Document { name, far_end, .. } in DOCUMENTS {
        let trunk = if matches!(far_end, FarEnd::Baresip) { name } else { "carrier" };
        campaign(&world.server, name, trunk).await;
        extras(&world.customer, name);
    }
    let begun = Instant::now();
    let calls = LocalSet::new();
    let mut running = Vec::new();
    for (nth, document) in DOCUMENTS.iter().enumerate() {
        let mut callee = Callee::new(document, number(nth), phones.remove(document.name));
        let world = Arc::clone(&world);
        running.push(calls.spawn_local(async move { call(&world, document, &mut callee).await }));
    }
    calls.await;
    let mut told = String::new();
    for story in running {
        told += &story.await.unwrap();
    }
    println!("{} documents in {:?}", DOCUMENTS.len(), begun.elapsed());
    expect_file!["golden/documents.txt"].assert_eq(&told);
    let world = Arc::into_inner(world).expect("all calls are over");
    world.server.stop().await;
}

/// A document's call from its beginning to its end; its story.
async fn call(world: &World, document: &Document, callee: &mut Callee) -> String {
    let Document { name, area, far_end, keys, times } = document;
    let call = json!({
        "number": callee.number,
        "campaign": name,
        "vxml_url": world.customer.url(&format!("/{name}/page")),
    });
    let id = world.server.create_call(call).await;
    callee.plays(world, keys).await;
    let call = world.server.until_state(&id, "completed").await;
    let mut story = format!("=== {name}: {area}\n{far_end}: {keys}\n");
    writeln!(story, "heard: {}", told(callee.hearing.found())).unwrap();
    for (from, to, least_s, most_s) in *times {
        let begin = |name| {
            let found = callee.hearing.found().iter().find(|it| it.name == name);
            found.unwrap_or_else(|| panic!("{name} was heard")).begin as f64 / RATE_HZ as f64
        };
        let took_s = begin(*to) - begin(*from);
        assert!((*least_s..*most_s).contains(&took_s), "{area}: {from} to {to} took {took_s:.2} s");
        writeln!(story, "from {from} to {to} as long as it should be").unwrap();
    }
    let place = format!("/{name}/");
    for asked in world.customer.asked().iter().filter(|it| it.path.starts_with(&place)) {
        writeln!(story, "{}", request(world, asked, &place)).unwrap();
    }
    for event in call["events"].as_array().unwrap() {
        if event["kind"] == "script_error" {
            let detail = event["detail"].as_str().unwrap().replace(&world.customer.url(""), "");
            writeln!(story, "told: {detail}").unwrap();
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    writeln!(story, "{}, {}", text(&call["state"]), text(&call["outcome"])).unwrap();
    story
}

/// What was asked, with all that was sent.
fn request(world: &World, asked: &Asked, place: &str) -> String {
    let mut text = format!("{} {}", asked.method, &asked.path[place.len()..]);
    if !asked.query.is_empty() {
        write!(text, "?{}", asked.query).unwrap();
    }
    for name in ["if-none-match", "cookie"] {
        if let Some(value) = asked.headers.get(name) {
            write!(text, " ({name} {})", value.to_str().unwrap()).unwrap();
        }
    }
    let content_type = asked.headers.get("content-type").map_or("", |it| it.to_str().unwrap());
    if content_type.starts_with("multipart/form-data") {
        for name in asked.body.split("form-data; name=\"").skip(1) {
            let name = name.split('"').next().unwrap();
            let (media_type, bytes) = asked.part(name);
            match media_type.split('/').next() {
                Some("audio") => {
                    let heard = recording(world, &bytes);
                    write!(text, "\n  part {name}: {media_type} of {heard}").unwrap();
                }
                _ => {
                    let bytes = String::from_utf8_lossy(&bytes);
                    write!(text, "\n  part {name}={bytes}").unwrap();
                }
            }
        }
    } else if asked.path.ends_with("/page") {
        // What every start page is posted are the call's ids, which differ from run to run.
        assert_eq!(asked.method == "POST", asked.fields.contains_key("call_id"));
    } else {
        for (name, value) in &asked.fields {
            write!(text, " {name}={value}").unwrap();
        }
    }
    text
}

/// The sounds of a recording.
fn recording(world: &World, bytes: &[u8]) -> String {
    let read = media::sound::Sound::read(
        bytes,
        media::sound::Hint::None,
        &media::sound::Limits::default(),
    );
    let mut hearing = Hearing::default();
    hearing.hear(&world.sounds, read.unwrap().samples());
    told(hearing.found())
}
