//! The recovered pages of the W3C's implementation reports, as far as their data is at hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use script::step::{Fetch, FetchError, Fetched, Method, StartPage, TransferEnd};
use script::vxml::Limits;
use serde_json::Value as Json;
use url::Url;

use crate::world::{Act, FarEnd, World};

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/voicexml/ir");
    if root.join("manifest.json").exists() {
        return Some(root);
    }
    println!("skipped: no ../shared");
    None
}

#[test]
fn recovered_conformance_pages_pass() {
    let Some(root) = data() else {
        return;
    };
    let text = fs::read_to_string(root.join("manifest.json")).unwrap();
    let manifest: Json = serde_json::from_str(&text).unwrap();
    let mut areas: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut failures = Vec::new();
    for test in manifest["tests"].as_array().unwrap() {
        let Some(profile) = test["profiles"].get("dtmf") else {
            continue;
        };
        let area =
            format!("{} {}", test["suite"].as_str().unwrap(), test["section"].as_str().unwrap());
        let counts = areas.entry(area).or_default();
        counts.1 += 1;
        match run(&root, test, profile) {
            Ok(()) => counts.0 += 1,
            Err(story) => failures.push(format!("{}\n{story}", test["key"])),
        }
    }
    for (area, (passed, all)) in &areas {
        println!("{area:<16} {passed} of {all}");
    }
    let passed: u32 = areas.values().map(|(passed, _)| passed).sum();
    let all: u32 = areas.values().map(|(_, all)| all).sum();
    println!("passed {passed} of {all}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What the far end of a test's transfer does, in the manifest's words.
fn far_end(check: &Json) -> Option<Act> {
    let does = check["transfer"]["far_end"].as_str()?;
    Some(Act::FarEnd(match does {
        "accept blind transfer" => FarEnd::Ends(TransferEnd::Transferred),
        "answer, then hang up" => FarEnd::Answers(2),
        "answer and stay" => FarEnd::Answers(3_600),
        "ring, never answer" => FarEnd::Rings,
        "busy" => FarEnd::Ends(TransferEnd::Busy),
        "network busy" => FarEnd::Ends(TransferEnd::NetworkBusy),
        other => panic!("a far end that does \"{other}\""),
    }))
}

fn run(root: &Path, test: &Json, profile: &Json) -> Result<(), String> {
    let server = |fetch: &Fetch| serve(root, fetch);
    let inputs = profile["inputs"].as_array().unwrap();
    let acts = inputs.iter().map(|input| match input["dtmf"].as_str() {
        Some(keys) => Act::Keys(keys.to_owned()),
        None => Act::Silence,
    });
    let mut acts: Vec<Act> = far_end(&test["check"]).into_iter().chain(acts).collect();
    acts.extend([Act::Silence, Act::Silence, Act::Silence, Act::Silence, Act::Silence]);
    acts.push(Act::HangUp);
    let mut world = World::new(Limits::default(), &server, acts);
    let start = format!("http://127.0.0.1:8787/{}", profile["start"].as_str().unwrap());
    world.start(StartPage::Url { url: Url::parse(&start).unwrap(), method: Method::Get });
    world.run();
    let result = world.values.iter().find(|(name, _)| name == "exit");
    let result = result.map(|(_, value)| value.as_str());
    let verdict = match test["verdict"].as_str().unwrap() {
        "exit-pass" => result == Some("pass"),
        _ => result != Some("fail"),
    };
    let told = |what: &Json, story: &str| {
        let mut from = 0;
        what.as_array().into_iter().flatten().all(|part| {
            let part = part.as_str().unwrap();
            let part = part.strip_prefix("text:").or(part.strip_prefix("audio:")).unwrap_or(part);
            let found = story[from..].find(part);
            from += found.map_or(0, |at| at + part.len());
            found.is_some()
        })
    };
    let check = &test["check"];
    let logs = world.logs.join("\n");
    let exit_value =
        check.get("exit_value").is_none_or(|wanted| result == Some(&wanted.to_string()));
    let checked = told(&check["output_in_order"], &world.story)
        && told(&check["log_in_order"], &logs)
        && contained(&check["log_contains"], &logs)
        && exit_value;
    if verdict && checked { Ok(()) } else { Err(world.story) }
}

fn contained(what: &Json, text: &str) -> bool {
    what.as_array().into_iter().flatten().all(|part| text.contains(part.as_str().unwrap()))
}

fn serve(root: &Path, fetch: &Fetch) -> Result<Fetched, FetchError> {
    if fetch.url.host_str() != Some("127.0.0.1") {
        return Err(FetchError::Failed("no such host".to_owned()));
    }
    let path = root.join(fetch.url.path().trim_start_matches('/'));
    let text = fs::read_to_string(path).map_err(|_| FetchError::Status(404))?;
    Ok(Fetched { url: fetch.url.clone(), content_type: String::new(), text })
}
