//! What clients ask when they send a file of contacts, and what they are told of it.

use domain::contact::ContactRule;
use domain::ids::AccountId;
use domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::detection::DetectionRequest;
use super::json::{self, Fields};
use super::request::{RetryRequest, WindowRequest};
use super::rule::{self, Rule};
use crate::import::{Delimiter, ImportOptions, ImportReport, Mapping};
use crate::refusal::{Mistake, Refusal};

/// Longest mapping, in characters.
const MAPPING_MAX: usize = 8_192;
/// Longest name of an encoding or a delimiter, in characters.
const WORD_MAX: usize = 40;

/// What the contacts of a file share, and what there is to know of the file. All that is not said of
/// the file is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Name of the campaign; it is created if there is none. Default: `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, example = "spring")]
    pub campaign: Option<String>,
    /// Address of the VoiceXML page that runs the calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/start")]
    pub vxml_url: Option<String>,
    /// A text to speak; then the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000, example = "Your table is ready.")]
    pub say: Option<String>,
    /// A VoiceXML document that runs the calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 262_144)]
    pub document: Option<String>,
    /// When to dial; always, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRequest>,
    /// How often to dial; once, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRequest>,
    /// Address that is posted each result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/result")]
    pub result_url: Option<String>,
    /// How urgent the calls are, where the file does not say; 10 before all others. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub priority: Option<u8>,
    /// Whether it is found out who answered, and what follows. Default: as the campaign says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionRequest>,
    /// How long each rings, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 300)]
    pub ring_time_max_s: Option<u32>,
    /// What stands in which column: `number=Phone,var.name=First name,reference=3`. Columns that are
    /// not named follow their header; others become variables of the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 8192, example = "number=Phone,var.name=First name")]
    pub mapping: Option<String>,
    /// What separates cells: `comma`, `semicolon`, `tab` or `pipe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "semicolon")]
    pub delimiter: Option<String>,
    /// Name of the file's encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "windows-1252")]
    pub encoding: Option<String>,
    /// Whether the first row names the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Whether a number that came before in the file is taken again. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_duplicates: Option<bool>,
}

/// What is asked of an import in the query of its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportQuery {
    /// Take in at once what can be taken in.
    pub commit: bool,
    /// Read and tell, keep nothing.
    pub dry_run: bool,
}

impl ImportQuery {
    /// Reads the part of an address after the question mark, or names all that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, Vec<Refusal>> {
        let (mut found, mut refusals) = (Self::default(), Vec::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "commit" => &mut found.commit,
                "dry_run" => &mut found.dry_run,
                _ => {
                    let expected = "one of commit, dry_run";
                    refusals.push(Refusal::new(name.clone(), Mistake::Unknown, &name, expected));
                    continue;
                }
            };
            match value.parse() {
                Ok(value) => *place = value,
                Err(_) => {
                    let expected = "true or false";
                    refusals.push(Refusal::new(name, Mistake::Malformed, &value, expected));
                }
            }
        }
        if found.commit && found.dry_run {
            let expected = "commit or dry_run, not both";
            refusals.push(Refusal::blind("dry_run", Mistake::Conflict, expected));
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }
}

/// What to do with a file, read and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImport {
    /// What was said of the file.
    pub options: ImportOptions,
    rule: Rule,
}

impl NewImport {
    /// Reads an [`ImportRequest`], or names all that is wrong with it.
    pub fn parse(document: &Value, now: Timestamp) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            let rule = rule::rule(fields, now);
            let options = options(fields);
            Some(Self { options, rule: rule? })
        })
    }

    /// What the store is told beside the contacts.
    pub fn rule(&self, account: AccountId) -> ContactRule {
        self.rule.of(account)
    }
}

fn options(fields: &mut Fields<'_>) -> ImportOptions {
    let mapping = fields.text("mapping", MAPPING_MAX).map(str::parse::<Mapping>);
    let mapping = mapping.transpose().unwrap_or_else(|error| {
        fields.refuse_blind("mapping", Mistake::Malformed, error.to_string());
        None
    });
    let delimiter = fields.text("delimiter", WORD_MAX).and_then(|word| {
        let known = Delimiter::from_word(word);
        if known.is_none() {
            let expected = "comma, semicolon, tab or pipe";
            fields.refuse("delimiter", Mistake::Malformed, word, expected);
        }
        known
    });
    ImportOptions {
        mapping: mapping.unwrap_or_default(),
        delimiter,
        encoding: fields.text("encoding", WORD_MAX).map(str::to_owned),
        header: fields.switch("header"),
        keep_duplicates: fields.switch("keep_duplicates").unwrap_or(false),
        numbers_only: false,
        home: None,
    }
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// The file is being read.
    Checking,
    /// It has been read; nothing is dialed before it is committed.
    Checked,
    /// Its contacts are taken in.
    Committed,
    /// It was thrown away: by its client, by a restart while it was being read, or with time.
    Discarded,
}

impl ImportState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Checking, Self::Checked, Self::Committed, Self::Discarded];

    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Checked => "checked",
            Self::Committed => "committed",
            Self::Discarded => "discarded",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A file of contacts and what was found in it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Import {
    /// Its id; none of a dry run, of which nothing is kept.
    pub id: Option<String>,
    /// Where it stands.
    pub state: ImportState,
    /// Name of the file, as the client gave it.
    pub file_name: String,
    /// When it was sent.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// What was found.
    #[schema(value_type = ImportReport)]
    pub report: Value,
}

/// Imports, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ImportList {
    /// The imports.
    pub data: Vec<Import>,
    /// Address of the next page.
    pub next: Option<String>,
}

/// A report as it is stored and shown.
pub fn report_text(report: &ImportReport) -> String {
    serde_json::to_string(report).expect("a report has texts for keys")
}
