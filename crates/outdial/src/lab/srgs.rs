//! `outdial lab srgs`: runs lists of grammars with inputs and what they must come to.

use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use script::srgs::suite::{self, Report};
use serde_json::{Value, json};

/// Runs grammars against inputs.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A folder with manifest.json or vectors.json, or with folders that have them.
    dir: PathBuf,
    /// Write the result to this file as JSON: passed, failed, failures.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What lists are called.
const LISTS: [&str; 2] = ["manifest.json", "vectors.json"];

/// Runs the lists that the options name and prints what came out; fails when something did.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    super::check_writable(options.json.as_deref())?;
    let report = run_folder(&options.dir)?;
    for failure in &report.failures {
        match failure.input.as_str() {
            "" => println!("{}: {}", failure.grammar, failure.message),
            input => println!("{} \"{input}\": {}", failure.grammar, failure.message),
        }
    }
    if report.made_up > 0 {
        let count = report.made_up;
        println!("{count} documents were not there; they were made up to match what the list says");
    }
    println!("passed {}, failed {}", report.passed, report.failures.len());
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&told(&report))?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_folder(dir: &Path) -> Result<Report> {
    let mut found = lists(dir)?;
    if found.is_empty() {
        let entries = std::fs::read_dir(dir);
        let entries = entries.with_context(|| format!("cannot read {}", dir.display()))?;
        let mut folders: Vec<PathBuf> =
            entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        folders.sort();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            found.extend(lists(folder)?);
        }
    }
    if found.is_empty() {
        bail!("{} has no manifest.json and no vectors.json of grammars", dir.display());
    }
    let mut report = Report::default();
    for (folder, list) in found {
        report.add(suite::run(&list, &mut |path| read(&folder, path)));
    }
    Ok(report)
}

/// The lists of grammars in a folder; other lists may stand beside them.
fn lists(dir: &Path) -> Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    for name in LISTS {
        let file = dir.join(name);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let list: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is no JSON", file.display()))?;
        if suite::is_suite(&list) {
            found.push((dir.to_owned(), list));
        }
    }
    Ok(found)
}

/// A file beside a list; paths that lead out of the folder lead nowhere.
fn read(folder: &Path, path: &str) -> Option<Vec<u8>> {
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    inside.then(|| std::fs::read(folder.join(path)).ok())?
}

fn told(report: &Report) -> Value {
    let failures = report.failures.iter().map(|failure| {
        json!({
            "grammar": failure.grammar,
            "input": failure.input,
            "message": failure.message,
        })
    });
    json!({
        "passed": report.passed,
        "failed": report.failures.len(),
        "made_up": report.made_up,
        "failures": failures.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"grammars": [
        {"file": "a.gram", "vectors": [
            {"in": "x", "accept": true, "parse": "$r[\"x\"]"},
            {"in": "y", "accept": true},
            {"in": "z", "accept": false},
            {"in": "go", "accept": true, "parse": "$r[$<missing.gram#where>[\"go\"]]"}]},
        {"file": "../../etc/passwd", "vectors": [{"in": "x", "accept": false}]}]}"#;
    const GRAMMAR: &str = "#ABNF 1.0;\nlanguage en;\nroot $r;\n$r = x | $<missing.gram#where>;\n";

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("one")).unwrap();
        std::fs::write(dir.path().join("one/manifest.json"), LIST).unwrap();
        std::fs::write(dir.path().join("one/a.gram"), GRAMMAR).unwrap();
        dir
    }

    #[test]
    fn a_list_is_run_and_each_failure_is_told() {
        let dir = folder();
        let file = dir.path().join("told.json");
        let options = Options { dir: dir.path().to_owned(), json: Some(file.clone()) };
        run(&options).unwrap();
        let told: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!((&told["passed"], &told["failed"]), (&json!(4), &json!(1)));
        assert_eq!(told["failures"][0]["input"], "y");
        assert_eq!(told["failures"][0]["message"], "rejected; it is to match");
    }

    #[test]
    fn a_folder_without_lists_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(run_folder(dir.path()).is_err());
        std::fs::write(dir.path().join("manifest.json"), "{").unwrap();
        assert!(run_folder(dir.path()).is_err());
    }

    #[test]
    fn the_lists_beside_the_project_pass() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/voicexml");
        if !root.exists() {
            println!("skipped: no ../shared");
            return;
        }
        let report = run_folder(&root).unwrap();
        assert_eq!(report.failures, []);
        assert!(report.passed > 300, "{}", report.passed);
    }
}
