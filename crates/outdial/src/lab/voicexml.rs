//! `outdial lab voicexml`: runs a manifest of VoiceXML tests against a callee who does as it says.

mod manifest;
mod server;
mod tester;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use script::step::{Method, StartPage};
use serde::Serialize;
use url::Url;

use self::manifest::{Manifest, Profile, Test};
use self::tester::Tester;
use crate::cli::EXIT_FAILED;
use crate::script::fetcher;
use crate::script::rehearsal::Rehearsal;
use crate::script::site::Site;

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder with `manifest.json` and the pages that it names.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Which of each test's profiles is run.
    #[arg(long, default_value = "dtmf", value_name = "NAME")]
    profile: String,
    /// Run only tests whose key contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write the result as JSON into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print what happened in each failed test.
    #[arg(long)]
    stories: bool,
}

/// What came of a run; documented in docs/reports.md, it stays stable.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) failures: Vec<Failure>,
}

/// A test that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) key: String,
    /// Section of the standard.
    pub(crate) section: String,
    pub(crate) reason: String,
    /// What happened, a line each.
    pub(crate) story: Vec<String>,
}

/// Runs the tests of a folder and prints what came of them.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    super::check_writable(options.json.as_deref())?;
    let report = report(&options.folder, &options.profile, options.only.as_deref()).await?;
    for failure in &report.failures {
        println!("FAILED {} ({}): {}", failure.key, failure.section, failure.reason);
        if options.stories {
            failure.story.iter().for_each(|line| println!("    {line}"));
        }
    }
    println!("{} passed, {} failed", report.passed, report.failed);
    if let Some(file) = &options.json {
        let json = serde_json::to_vec_pretty(&report).context("the report is no JSON")?;
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Runs the tests of a folder that have this profile.
async fn report(folder: &Path, profile: &str, only: Option<&str>) -> Result<Report> {
    let manifest = Manifest::read(folder)?;
    let base = Url::parse(&manifest.base_url).context("base_url of the manifest")?;
    let (Some(host), Some(port)) = (base.host_str(), base.port_or_known_default()) else {
        bail!("base_url of the manifest has no host and port");
    };
    let pages = server::router(folder.to_owned());
    let _site = Site::serve_with(folder.to_owned(), &format!("{host}:{port}"), pages).await?;
    let mut report = Report::default();
    for test in &manifest.tests {
        let Some(profile) = test.profiles.get(profile) else {
            continue;
        };
        if only.is_some_and(|only| !test.key.contains(only)) {
            continue;
        }
        let (reason, story) = run_one(&base, test, profile).await?;
        match reason {
            None => report.passed += 1,
            Some(reason) => {
                report.failed += 1;
                let (key, section) = (test.key.clone(), test.section.clone());
                report.failures.push(Failure { key, section, reason, story });
            }
        }
    }
    if report.passed + report.failed == 0 {
        bail!("no test of {} has the profile {profile}", folder.display());
    }
    Ok(report)
}

/// Why a test failed, if it did, and what happened.
async fn run_one(
    base: &Url,
    test: &Test,
    profile: &Profile,
) -> Result<(Option<String>, Vec<String>)> {
    let start = base.join(&profile.start).with_context(|| format!("start of {}", test.key))?;
    let mut rehearsal = Rehearsal::new(fetcher()?, Tester::new(test, profile));
    let ended = rehearsal.run(StartPage::Url { url: start, method: Method::Get }).await;
    let tester = rehearsal.callee;
    let reason = match ended {
        None => Some("the script does not end".to_owned()),
        Some(values) => tester.judge(test, &values),
    };
    Ok((reason, tester.story))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages whose tests have every verdict, and one that must fail.
    const MANIFEST: &str = r#"{
        "base_url": "http://127.0.0.1:PORT",
        "tests": [
            {"key": "keys", "section": "1", "verdict": "exit-pass", "check": {},
             "profiles": {"dtmf": {"start": "keys.vxml", "inputs": [{"dtmf": "1"}]}}},
            {"key": "output", "section": "2", "verdict": "no-fail",
             "check": {"ends_by": "exit", "output_in_order": ["text:one", "text:two"]},
             "profiles": {"dtmf": {"start": "output.vxml", "inputs": []}}},
            {"key": "transfer", "section": "3", "verdict": "exit-pass",
             "check": {"transfer": {"far_end": "busy", "dest": "tel:+15550111"}},
             "profiles": {"dtmf": {"start": "transfer.vxml", "inputs": []}}},
            {"key": "missing", "section": "4", "verdict": "exit-pass", "check": {},
             "profiles": {"dtmf": {"start": "missing.vxml", "inputs": []}}},
            {"key": "posted", "section": "6", "verdict": "exit-pass", "check": {},
             "profiles": {"dtmf": {"start": "record.vxml", "inputs": [{"recording": 3}]}}},
            {"key": "slow", "section": "7", "verdict": "exit-pass", "check": {},
             "profiles": {"dtmf": {"start": "slow.vxml", "inputs": []}}},
            {"key": "uploaded", "section": "8", "verdict": "exit-pass", "check": {},
             "profiles": {"dtmf": {"start": "upload.vxml", "inputs": [{"recording": 3}]}}},
            {"key": "worded", "section": "9", "verdict": "exit-pass", "check": {},
             "profiles": {"voice": {"start": "worded.vxml",
                                    "inputs": [{"say": "so it was"}, {"say": "stop"}]}}},
            {"key": "spoken", "section": "5", "verdict": "exit-pass", "check": {},
             "profiles": {"voice": {"start": "keys.vxml", "inputs": [{"say": "one"}]}}}
        ]
    }"#;

    const KEYS: &str = "<vxml version='2.1'><form><field name='k'><option dtmf='1'>one</option>\
        <filled><exit expr=\"k == 'one' ? 'pass' : 'fail'\"/></filled></field></form></vxml>";
    const OUTPUT: &str = "<vxml version='2.1'><form><block><prompt>One, <break/>two!</prompt>\
        <exit/></block></form></vxml>";
    const TRANSFER: &str = "<vxml version='2.1'><form>\
        <transfer name='t' bridge='true' dest='tel:+15550111'><filled>\
        <exit expr=\"t == 'busy' ? 'pass' : t\"/></filled></transfer></form></vxml>";

    /// An echo, then a page that comes too late.
    const SLOW: &str = "<vxml version='2.1'><catch event='error.badfetch'><exit expr=\"'pass'\"/>\
        </catch><form><data name='one' src='/dyn/echo.xml?a=1'/>\
        <block>\
        <if cond=\"one.documentElement.firstChild.getAttribute('name') != 'a'\">\
        <exit expr=\"'fail'\"/></if>\
        <goto next='/dyn/sleep/5/keys.vxml' fetchtimeout='200ms'/></block></form></vxml>";
    /// A recording that goes to a server, which says how large it was.
    const UPLOAD: &str = "<vxml version='2.1'><form><record name='r' type='audio/basic'/><block>\
        <data name='d' src='/dyn/upload.vxml' namelist='r' method='post' \
        enctype='multipart/form-data'/>\
        <if cond=\"d.documentElement.firstChild.firstChild.data.indexOf('24000') > 0\">\
        <exit expr=\"r$.size == 24000 ? 'pass' : 'fail'\"/></if></block></form></vxml>";
    /// A recording that a word ends, and others do not.
    const WORDED: &str = "<vxml version='2.1'><form><record name='r'>\
        <grammar version='1.0' mode='voice' root='w' xml:lang='en-US'><rule id='w'>stop</rule>\
        </grammar><filled><exit expr=\"r$.utterance == 'stop' ? 'pass' : 'fail'\"/></filled>\
        </record></form></vxml>";
    const RECORD: &str = "<vxml version='2.1'><form><record name='r' type='audio/x-wav'/><block>\
        <exit expr=\"r$.duration == 3000 ? 'pass' : 'fail'\"/></block></form></vxml>";

    #[tokio::test]
    async fn manifest_is_run_and_each_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        // Each run has a port of its own: the one before may not have let go of its yet.
        let write_manifest =
            || write("manifest.json", &MANIFEST.replace("PORT", &free_port().to_string()));
        write_manifest();
        write("keys.vxml", KEYS);
        write("output.vxml", OUTPUT);
        write("transfer.vxml", TRANSFER);
        write("record.vxml", RECORD);
        write("worded.vxml", WORDED);
        write("slow.vxml", SLOW);
        write("upload.vxml", UPLOAD);
        let told = report(folder.path(), "dtmf", None).await.unwrap();
        let failed: Vec<_> = told.failures.iter().map(|failure| failure.key.as_str()).collect();
        assert_eq!((told.passed, told.failed, failed), (6, 1, vec!["missing"]));
        write_manifest();
        let spoken = report(folder.path(), "voice", None).await.unwrap();
        assert_eq!((spoken.passed, spoken.failed), (2, 0));
    }

    #[tokio::test]
    async fn recovered_conformance_pages_pass_over_http() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/voicexml/ir");
        if !folder.join("manifest.json").exists() {
            println!("skipped: no ../shared");
            return;
        }
        // Some pages name the manifest's own port, so that no other will do.
        if std::net::TcpListener::bind("127.0.0.1:8787").is_err() {
            println!("skipped: port 8787 is taken");
            return;
        }
        let told = report(&folder, "dtmf", None).await.unwrap();
        let failed: Vec<_> =
            told.failures.iter().map(|failure| (&failure.key, &failure.reason)).collect();
        assert_eq!((told.failed, failed), (0, Vec::new()));
        println!("{} of {} pass", told.passed, told.passed + told.failed);
    }

    /// A free port that HTTP may ask.
    fn free_port() -> u16 {
        loop {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = socket.local_addr().unwrap().port();
            if !engine::http::DENIED_PORTS.contains(&port) {
                return port;
            }
        }
    }
}
