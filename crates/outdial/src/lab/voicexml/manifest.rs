//! A manifest of VoiceXML tests: pages, what the callee does, and what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// All tests of a folder.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    /// Where the pages must be served.
    pub(super) base_url: String,
    pub(super) tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Deserialize)]
pub(super) struct Test {
    pub(super) key: String,
    #[serde(default)]
    pub(super) section: String,
    #[serde(default)]
    pub(super) verdict: Verdict,
    #[serde(default)]
    pub(super) check: Check,
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// When a test has passed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// The script exits with `pass`.
    #[default]
    ExitPass,
    /// The script does not exit with `fail`, and what is checked holds.
    NoFail,
}

/// What else must hold.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Check {
    pub(super) ends_by: Option<String>,
    pub(super) exit_value: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) log_contains: Vec<String>,
    #[serde(default)]
    pub(super) log_in_order: Vec<String>,
    /// `text:…` and `audio:…`, heard in this order.
    #[serde(default)]
    pub(super) output_in_order: Vec<String>,
    pub(super) transfer: Option<TransferCheck>,
}

/// How a test's transfer goes.
#[derive(Debug, Deserialize)]
pub(super) struct TransferCheck {
    /// What the far end does, in words.
    #[serde(default)]
    pub(super) far_end: String,
    /// What the callee does meanwhile, in words.
    #[serde(default)]
    pub(super) caller: String,
    /// Where it must go.
    pub(super) dest: Option<String>,
}

/// One way to run a test.
#[derive(Debug, Deserialize)]
pub(super) struct Profile {
    pub(super) start: String,
    /// What the callee does, one for each time that it is his turn.
    #[serde(default)]
    pub(super) inputs: Vec<BTreeMap<String, serde_json::Value>>,
}

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("manifest.json");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no manifest", file.display()))
    }
}
