//! What clients of our own API ask: one call, one campaign, a part of a list.
//!
//! A body is read whole: all its mistakes are named at once. Unknown fields are refused, for a
//! misspelled one would silently do nothing.

use std::time::Duration;

use domain::application::{ApplicationSpec, ScriptSource};
use domain::campaign::{CampaignState, DEFAULT_CAMPAIGN, NAME_MAX};
use domain::contact::{ContactRule, NewContact, TEXT_MAX};
use domain::ids::AccountId;
use domain::number::Destination;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::{DialWindow, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::json::{self, Fields};
use super::words::CallState;
use crate::Facade;
use crate::refusal::{Mistake, Refusal};
use crate::web_url;
use crate::when::MOMENT_MAX;
use crate::zone::parse_rfc_3339;

/// Longest number or destination, in characters.
const NUMBER_MAX: usize = 128;
/// Longest address, in characters; proxies and logs begin to cut beyond it.
const URL_MAX: usize = 2_048;
/// Longest text to speak, in characters: some five minutes of speech.
const SAY_MAX: usize = 4_000;
/// Longest document given with a call, in characters; larger ones belong behind an address.
const DOCUMENT_MAX: usize = 256 * 1024;
/// Attempts in all.
const ATTEMPTS: std::ops::RangeInclusive<u32> = 1..=20;
/// Seconds between attempts, up to two days.
const WAIT_S: std::ops::RangeInclusive<u32> = 1..=172_800;
/// Seconds between attempts where the client names none.
const WAIT_DEFAULT_S: u32 = 300;
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
}

/// A call to make, read and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// Whom to call.
    pub contact: NewContact,
    campaign: String,
    script: ScriptSource,
    window: DialWindow,
    retry: RetryRule,
    result_url: Option<String>,
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
}

impl NewCall {
    /// Reads a [`CallRequest`], or names all that is wrong with it.
    pub fn parse(document: &Value, now: Timestamp) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            let destination = destination(fields);
            let campaign = fields.text("campaign", NAME_MAX).map(str::trim);
            if campaign == Some("") {
                fields.refuse_blind("campaign", Mistake::Missing, "a name, or no such field");
            }
            let script = script(fields);
            let reference = fields.text("reference", TEXT_MAX).unwrap_or_default().to_owned();
            let parameters = fields.text("parameters", TEXT_MAX).unwrap_or_default().to_owned();
            let window = fields.object("window", |fields| window(fields, now));
            let retry = fields.object("retry", retry);
            let result_url = web_address(fields, "result_url");
            Some(Self {
                contact: NewContact { reference, parameters, ..NewContact::new(destination?) },
                campaign: campaign.unwrap_or(DEFAULT_CAMPAIGN).to_owned(),
                script: script?,
                window: window.unwrap_or_default(),
                retry: retry.unwrap_or(RetryRule::ONCE),
                result_url,
            })
        })
    }

    /// What the store is told beside the contact.
    pub fn rule(&self, account: AccountId) -> ContactRule {
        let dialect = Facade::Native.dialect();
        ContactRule {
            account,
            campaign: self.campaign.clone(),
            application: ApplicationSpec {
                script: self.script.clone(),
                parameters: String::new(),
                dialect,
            },
            window: self.window,
            retry: self.retry,
            terms: Terms::default(),
            result_url: self.result_url.clone(),
            dialect,
        }
    }
}

impl NewCampaign {
    /// Reads a [`CampaignRequest`], or names all that is wrong with it.
    pub fn parse(document: &Value) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            let name = fields.text("name", NAME_MAX).map(str::trim);
            // One of the wrong type has been refused already.
            if name == Some("") || !fields.has("name") {
                fields.refuse_blind("name", Mistake::Missing, "a name of 1 to 255 characters");
            }
            let state = match fields.text("state", NAME_MAX) {
                None => CampaignState::Running,
                Some(word) => CampaignState::from_name(word).unwrap_or_else(|| {
                    fields.refuse("state", Mistake::Malformed, word, "running or stopped");
                    CampaignState::Running
                }),
            };
            let redial_in_doubt = fields.switch("redial_in_doubt").unwrap_or(false);
            Some(Self { name: name?.to_owned(), state, redial_in_doubt })
        })
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
}

impl ListQuery {
    /// Reads the part of an address after the question mark, or names all that is wrong with it.
    pub fn parse(query: &str, list: ListOf) -> Result<Self, Vec<Refusal>> {
        let mut found = Self { after: None, campaign: None, limit: LIMIT_DEFAULT, state: None };
        let mut refusals = Vec::new();
        let names: &[&str] = match list {
            ListOf::Calls => &["after", "campaign_id", "limit", "state"],
            ListOf::Campaigns => &["after", "limit"],
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

fn script(fields: &mut Fields<'_>) -> Option<ScriptSource> {
    const NAMES: [&str; 3] = ["vxml_url", "say", "document"];
    let given: Vec<&str> = NAMES.into_iter().filter(|name| fields.has(name)).collect();
    let url = web_address(fields, "vxml_url");
    let say = fields.text("say", SAY_MAX);
    let document = fields.text("document", DOCUMENT_MAX);
    match given.as_slice() {
        [] => {
            let expected = "one of vxml_url, say, document";
            fields.refuse_blind("vxml_url", Mistake::Missing, expected);
            None
        }
        [_] => {
            if say.is_some_and(|text| text.trim().is_empty()) {
                fields.refuse_blind("say", Mistake::Missing, "a text to speak");
            }
            if let Some(text) = document.filter(|text| !text.trim_start().starts_with('<')) {
                fields.refuse("document", Mistake::Malformed, text, "a VoiceXML document");
            }
            url.map(ScriptSource::Url)
                .or_else(|| say.map(|text| ScriptSource::Say(text.to_owned())))
                .or_else(|| document.map(|text| ScriptSource::Document(text.to_owned())))
        }
        [_, second, ..] => {
            let expected = "only one of vxml_url, say, document";
            fields.refuse_blind(second, Mistake::Conflict, expected);
            None
        }
    }
}

fn web_address(fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let text = fields.text(name, URL_MAX)?;
    web_url::parse(name, text, URL_MAX).map_err(|refusal| fields.refuse_as(refusal)).ok()
}

fn window(fields: &mut Fields<'_>, now: Timestamp) -> DialWindow {
    let opens_at = moment(fields, "opens_at");
    let closes = moment(fields, "closes_at");
    if let Some((closes_at, text)) = closes {
        if closes_at <= now {
            let expected = "a moment that is still to come";
            fields.refuse("closes_at", Mistake::OutOfRange, text, expected);
        } else if opens_at.is_some_and(|(opens_at, _)| closes_at <= opens_at) {
            fields.refuse("closes_at", Mistake::Conflict, text, "a moment after opens_at");
        }
    }
    DialWindow {
        opens_at: opens_at.map(|(at, _)| at).filter(|at| *at > now),
        closes_at: closes.map(|(at, _)| at),
    }
}

fn moment<'v>(fields: &mut Fields<'v>, name: &'static str) -> Option<(Timestamp, &'v str)> {
    /// Longest moment of RFC 3339, with nanoseconds, in characters.
    const MOMENT_CHARS_MAX: usize = 64;
    const EXPECTED: &str = "a time with its offset, such as 2026-10-14T09:00:00-04:00";
    let text = fields.text(name, MOMENT_CHARS_MAX)?;
    match parse_rfc_3339(text) {
        Some(at) if (Timestamp::default()..MOMENT_MAX).contains(&at) => Some((at, text)),
        Some(_) => {
            let expected = format!("{EXPECTED}, between 1970 and 2100");
            fields.refuse(name, Mistake::OutOfRange, text, expected);
            None
        }
        None => {
            fields.refuse(name, Mistake::Malformed, text, EXPECTED);
            None
        }
    }
}

fn retry(fields: &mut Fields<'_>) -> RetryRule {
    let attempts_max = fields.number("attempts_max", ATTEMPTS).unwrap_or(1);
    let wait_s = fields.number("wait_s", WAIT_S).unwrap_or(WAIT_DEFAULT_S);
    RetryRule { attempts_max, wait: Duration::from_secs(wait_s.into()), ..RetryRule::ONCE }
}
