//! What clients of our own API ask: one call, one campaign, a part of a list.
//!
//! A body is read whole: all its mistakes are named at once. Unknown fields are refused, for a
//! misspelled one would silently do nothing.

use std::collections::BTreeMap;

use domain::campaign::{CampaignState, NAME_MAX};
use domain::contact::{ContactRule, NewContact, TEXT_MAX};
use domain::ids::AccountId;
use domain::number::Destination;
use domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::detection::DetectionRequest;
use super::json::{self, Fields};
use super::rule::{self, Rule};
use super::words::CallState;
use crate::refusal::{Mistake, Refusal};

/// Longest number or destination, in characters.
const NUMBER_MAX: usize = 128;
/// Most items in a page of a list.
pub const LIMIT_MAX: u32 = 200;
/// Items in a page where the client asks for no number.
pub const LIMIT_DEFAULT: u32 = 50;

/// A call to make. Give `number` or `destination`, and one of `vxml_url`, `say` and `document`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The number to dial: digits, with a leading `+` or not; blanks and `-.()` are ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128, example = "+12125550101")]
    pub number: Option<String>,
    /// The number with parameters, `[tel:][+]digits[;ani=digits][;postd=keys]`: the caller ID, and
    /// keys to send after the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128, example = "tel:+12125550101;ani=8005550199;postd=2")]
    pub destination: Option<String>,
    /// The number to show to the callee.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128, example = "+18005550199")]
    pub caller_id: Option<String>,
    /// Name of the campaign; it is created if there is none. Default: `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, example = "spring")]
    pub campaign: Option<String>,
    /// Address of the VoiceXML page that runs the call; asked by POST when somebody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/start")]
    pub vxml_url: Option<String>,
    /// A text to speak; then the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000, example = "Your table is ready.")]
    pub say: Option<String>,
    /// A VoiceXML document that runs the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 262_144)]
    pub document: Option<String>,
    /// Your own id for the call, given back unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, example = "order-4711")]
    pub reference: Option<String>,
    /// Opaque text for your application.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, example = "name=Ann")]
    pub parameters: Option<String>,
    /// When to dial; always, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRequest>,
    /// How often to dial; once, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRequest>,
    /// Address that is posted the result; it takes it by any 2xx status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/result")]
    pub result_url: Option<String>,
    /// How urgent it is among the calls of its campaign, 10 before all others. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub priority: Option<u8>,
    /// How long it rings before nobody has answered, in seconds. Default: as the server is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 300)]
    pub ring_time_max_s: Option<u32>,
    /// Whether it is found out who answered, and what follows. Default: as the campaign says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionRequest>,
    /// Named values for the script, as texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<String, String>>,
    /// Time zone of the callee; it counts beside what the number tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "America/Chicago")]
    pub zone: Option<String>,
    /// State or province of the callee.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "FL")]
    pub region: Option<String>,
    /// Postal code of the callee.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "33101")]
    pub postal_code: Option<String>,
}

/// When a call may be dialed: `opens_at <= now < closes_at`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// First moment; at once, if not given or over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-10-14T09:00:00-04:00")]
    pub opens_at: Option<String>,
    /// First moment that is too late; never, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-10-14T20:00:00-04:00")]
    pub closes_at: Option<String>,
}

/// How often a call is dialed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Attempts in all, the first included. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20)]
    pub attempts_max: Option<u32>,
    /// Seconds from the end of an attempt to the next. Default: 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 172_800)]
    pub wait_s: Option<u32>,
    /// What outcomes say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<AfterRequest>,
}

/// What follows from an outcome: seconds to the next attempt, or `stop` for none. All attempts draw
/// on `attempts_max`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterRequest {
    /// After a busy signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<AfterWord>,
    /// After a fax machine answered. Default: `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fax: Option<AfterWord>,
    /// After a number that cannot be reached as dialed. Where tones of the network say so, the
    /// default is `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_number: Option<AfterWord>,
    /// After a failure of network or trunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_failure: Option<AfterWord>,
    /// After an answering machine. Default: `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<AfterWord>,
    /// After nobody answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<AfterWord>,
}

/// Seconds, 1 to 172,800, or the word `stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AfterWord {
    /// Seconds to the next attempt.
    Seconds(u32),
    /// No further attempt.
    Word(StopWord),
}

/// The one word that stands where seconds may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopWord {
    /// No further attempt.
    Stop,
}

/// A campaign to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignRequest {
    /// Its name, unique in your account.
    #[schema(min_length = 1, max_length = 255, example = "spring")]
    pub name: String,
    /// Whether its calls are dialed at once: `running` or `stopped`. Default: `running`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(running|stopped)$", example = "running")]
    pub state: Option<String>,
    /// Whether an attempt that a crash left in doubt may be repeated: the phone may ring twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redial_in_doubt: Option<bool>,
    /// Whether each reference is taken in once: a call with one that the campaign has had is answered
    /// with the call that had it. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_references: Option<bool>,
}

/// What is to change in a campaign; what is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignUpdate {
    /// Its name, unique in your account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255, example = "spring")]
    pub name: Option<String>,
    /// Whether its calls are dialed: `running` or `stopped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(running|stopped)$", example = "running")]
    pub state: Option<String>,
    /// Whether an attempt that a crash left in doubt may be repeated: the phone may ring twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redial_in_doubt: Option<bool>,
    /// Whether each reference is taken in once, of those that come from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_references: Option<bool>,
}

/// A call to make, read and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// Whom to call.
    pub contact: NewContact,
    rule: Rule,
}

/// A campaign to create, read and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCampaign {
    /// Its name.
    pub name: String,
    /// Whether its contacts are dialed.
    pub state: CampaignState,
    /// Whether an attempt in doubt may be repeated.
    pub redial_in_doubt: bool,
    /// Whether each reference is taken in once.
    pub unique_references: bool,
}

/// What is to change in a campaign, read and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignWishes {
    /// Its name.
    pub name: Option<String>,
    /// Whether its contacts are dialed.
    pub state: Option<CampaignState>,
    /// Whether an attempt in doubt may be repeated.
    pub redial_in_doubt: Option<bool>,
    /// Whether each reference is taken in once.
    pub unique_references: Option<bool>,
}

impl NewCall {
    /// Reads a [`CallRequest`], or names all that is wrong with it.
    pub fn parse(document: &Value, now: Timestamp) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            let destination = destination(fields);
            let rule = rule::rule(fields, now);
            let reference = fields.text("reference", TEXT_MAX).unwrap_or_default().to_owned();
            let parameters = fields.text("parameters", TEXT_MAX).unwrap_or_default().to_owned();
            let variables = rule::variables(fields);
            let place = rule::place(fields);
            let new = NewContact::new(destination?);
            let contact = NewContact { reference, parameters, variables, place, ..new };
            Some(Self { contact, rule: rule? })
        })
    }

    /// What the store is told beside the contact.
    pub fn rule(&self, account: AccountId) -> ContactRule {
        self.rule.of(account)
    }
}

impl NewCampaign {
    /// Reads a [`CampaignRequest`], or names all that is wrong with it.
    pub fn parse(document: &Value) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            // One of the wrong type has been refused already.
            if !fields.has("name") {
                fields.refuse_blind("name", Mistake::Missing, CAMPAIGN_NAME);
            }
            let CampaignWishes { name, state, redial_in_doubt, unique_references } =
                CampaignWishes::read(fields);
            Some(Self {
                name: name?,
                state: state.unwrap_or(CampaignState::Running),
                redial_in_doubt: redial_in_doubt.unwrap_or(false),
                unique_references: unique_references.unwrap_or(false),
            })
        })
    }
}

/// What the name of a campaign is.
const CAMPAIGN_NAME: &str = "a name of 1 to 255 characters";

impl CampaignWishes {
    /// Reads a [`CampaignUpdate`], or names all that is wrong with it.
    pub fn parse(document: &Value) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| Some(Self::read(fields)))
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        let name = fields.text("name", NAME_MAX).map(str::trim);
        if name == Some("") {
            fields.refuse_blind("name", Mistake::Missing, CAMPAIGN_NAME);
        }
        let state = fields.text("state", NAME_MAX).and_then(|word| {
            let state = CampaignState::from_name(word);
            if state.is_none() {
                fields.refuse("state", Mistake::Malformed, word, "running or stopped");
            }
            state
        });
        Self {
            name: name.map(str::to_owned),
            state,
            redial_in_doubt: fields.switch("redial_in_doubt"),
            unique_references: fields.switch("unique_references"),
        }
    }
}

/// Which part of a list is wanted, from the query of its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Where the page begins, as an earlier page said.
    pub after: Option<String>,
    /// Only calls of the campaign with this id.
    pub campaign: Option<i64>,
    /// Most items in the page.
    pub limit: u32,
    /// Only calls that stand here.
    pub state: Option<CallState>,
}

/// Which of the filters of [`ListQuery`] a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOf {
    /// `after`, `campaign_id`, `limit`, `state`.
    Calls,
    /// `after`, `limit`.
    Campaigns,
    /// `after`, `limit`.
    Deliveries,
}

impl ListQuery {
    /// Reads the part of an address after the question mark, or names all that is wrong with it.
    pub fn parse(query: &str, list: ListOf) -> Result<Self, Vec<Refusal>> {
        let mut found = Self { after: None, campaign: None, limit: LIMIT_DEFAULT, state: None };
        let mut refusals = Vec::new();
        let names: &[&str] = match list {
            ListOf::Calls => &["after", "campaign_id", "limit", "state"],
            ListOf::Campaigns | ListOf::Deliveries => &["after", "limit"],
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !names.contains(&name.as_ref()) {
                let expected = format!("one of {}", names.join(", "));
                refusals.push(Refusal::new(name.clone(), Mistake::Unknown, &name, expected));
                continue;
            }
            if let Err(expected) = found.take(&name, &value) {
                refusals.push(Refusal::new(name, Mistake::Malformed, &value, expected));
            }
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "after" => self.after = Some(value.to_owned()),
            "campaign_id" => {
                let id = value.parse().map_err(|_| "the id of a campaign")?;
                self.campaign = Some(id);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                self.limit = limit.ok_or(format!("a whole number from 1 to {LIMIT_MAX}"))?;
            }
            "state" => {
                let words = CallState::WORDS.map(|row| row.0).join(", ");
                let state = CallState::from_word(value).ok_or(format!("one of {words}"))?;
                self.state = Some(state);
            }
            _ => {}
        }
        Ok(())
    }

    /// The query of the page that begins at `after`, with the same filters.
    pub fn following(&self, after: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &self.limit.to_string());
        if let Some(campaign) = self.campaign {
            query.append_pair("campaign_id", &campaign.to_string());
        }
        if let Some((word, _)) = CallState::WORDS.iter().find(|row| Some(row.1) == self.state) {
            query.append_pair("state", word);
        }
        query.append_pair("after", after).finish()
    }

    /// What is said of an `after` that no page gave.
    pub fn unknown_after(after: &str) -> Refusal {
        Refusal::new("after", Mistake::Malformed, after, "the value that an earlier page gave")
    }
}

fn destination(fields: &mut Fields<'_>) -> Option<Destination> {
    const EXPECTED: &str = "a number such as +12125550101";
    let both = fields.has("number") && fields.has("destination");
    let number = fields.text("number", NUMBER_MAX);
    let with_parameters = fields.text("destination", NUMBER_MAX);
    let caller_id = fields.text("caller_id", NUMBER_MAX);
    if both {
        fields.refuse_blind("destination", Mistake::Conflict, "number or destination, not both");
        return None;
    }
    let (name, text, read) = match (number, with_parameters) {
        (Some(text), _) => ("number", text, Destination::number(text)),
        (None, Some(text)) => ("destination", text, text.parse()),
        (None, None) => {
            if !fields.has("number") && !fields.has("destination") {
                fields.refuse_blind("number", Mistake::Missing, EXPECTED);
            }
            return None;
        }
    };
    let destination = match read {
        Ok(destination) => destination,
        Err(error) => {
            fields.refuse(name, Mistake::Malformed, text, format!("{EXPECTED}: {error}"));
            return None;
        }
    };
    let Some(caller_id) = caller_id else {
        return Some(destination);
    };
    if destination.caller_id().is_some() {
        let expected = "caller_id or ;ani= in destination, not both";
        fields.refuse("caller_id", Mistake::Conflict, caller_id, expected);
        return None;
    }
    match destination.with_caller_id(caller_id) {
        Ok(destination) => Some(destination),
        Err(_) => {
            fields.refuse("caller_id", Mistake::Malformed, caller_id, EXPECTED);
            None
        }
    }
}
