//! Data that stands beside the project; the other tests cover the same ground without it.

use std::path::{Path, PathBuf};

use crate::srgs::suite::{self, Report};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/voicexml")
}

fn run(folder: &str, list: &str) -> Option<Report> {
    let folder = root().join(folder);
    let Ok(text) = std::fs::read_to_string(folder.join(list)) else {
        println!("skipped: no ../shared");
        return None;
    };
    let list = serde_json::from_str(&text).expect("a list in JSON");
    Some(suite::run(&list, &mut |path| std::fs::read(folder.join(path)).ok()))
}

#[test]
fn grammars_of_the_w3c_match_as_their_list_says() {
    let Some(report) = run("srgs", "manifest.json") else { return };
    println!("{} passed, {} documents made up", report.passed, report.made_up);
    assert_eq!(report.failures, []);
    assert!(report.passed > 100);
}

#[test]
fn recorded_key_vectors_come_out_as_recorded() {
    let Some(report) = run("dtmf-grammars", "vectors.json") else { return };
    println!("{} passed", report.passed);
    assert_eq!(report.failures, []);
    assert!(report.passed > 100);
}
