//! What calls of one request share: campaign, script, window, budget, urgency, and where results go.

use std::time::Duration;

use domain::application::{ApplicationSpec, ScriptSource};
use domain::campaign::{DEFAULT_CAMPAIGN, NAME_MAX};
use domain::contact::ContactRule;
use domain::detection::Detection;
use domain::ids::AccountId;
use domain::retry::{After, RetryRule, Waits};
use domain::terms::{Place, Priority, Terms, Variables};
use domain::time::{DialWindow, Timestamp};
use domain::zones::Zone;

use super::detection;
use super::json::Fields;
use crate::Facade;
use crate::refusal::Mistake;
use crate::web_url;
use crate::when::MOMENT_MAX;
use crate::zone::parse_rfc_3339;

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
/// Seconds of ringing.
const RING_S: std::ops::RangeInclusive<u32> = 5..=300;
/// Longest part of a place, in characters.
const PLACE_MAX: usize = 64;

/// What calls of one request share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    campaign: String,
    script: ScriptSource,
    window: DialWindow,
    retry: RetryRule,
    terms: Terms,
    result_url: Option<String>,
    detection: Option<Detection>,
}

impl Rule {
    /// The rule for calls of this account.
    pub(super) fn of(&self, account: AccountId) -> ContactRule {
        let dialect = Facade::Native.dialect();
        ContactRule {
            account,
            campaign: self.campaign.clone(),
            application: ApplicationSpec {
                script: self.script.clone(),
                parameters: String::new(),
                dialect,
                detection: self.detection.clone(),
            },
            window: self.window,
            retry: self.retry,
            terms: self.terms,
            result_url: self.result_url.clone(),
            dialect,
        }
    }
}

/// Reads what calls share.
pub(super) fn rule(fields: &mut Fields<'_>, now: Timestamp) -> Option<Rule> {
    let campaign = fields.text("campaign", NAME_MAX).map(str::trim);
    if campaign == Some("") {
        fields.refuse_blind("campaign", Mistake::Missing, "a name, or no such field");
    }
    let script = script(fields);
    let window = fields.object("window", |fields| window(fields, now));
    let retry = fields.object("retry", retry);
    let result_url = web_address(fields, "result_url");
    let priority = fields.number("priority", 1..=10).and_then(|number| u8::try_from(number).ok());
    let ring_s = fields.number("ring_time_max_s", RING_S);
    let detection = detection::read(fields);
    Some(Rule {
        campaign: campaign.unwrap_or(DEFAULT_CAMPAIGN).to_owned(),
        script: script?,
        window: window.unwrap_or_default(),
        retry: retry.unwrap_or(RetryRule::ONCE),
        terms: Terms {
            priority: priority.and_then(Priority::new).unwrap_or_default(),
            ring_time_max: ring_s.map(|seconds| Duration::from_secs(seconds.into())),
        },
        result_url,
        detection,
    })
}

/// Reads the script: one of three fields.
pub(super) fn script(fields: &mut Fields<'_>) -> Option<ScriptSource> {
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

pub(super) fn moment<'v>(
    fields: &mut Fields<'v>,
    name: &'static str,
) -> Option<(Timestamp, &'v str)> {
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
    let waits = fields.object("after", |fields| Waits {
        busy: after(fields, "busy"),
        fax: after(fields, "fax"),
        invalid_number: after(fields, "invalid_number"),
        line_failure: after(fields, "line_failure"),
        machine: after(fields, "machine"),
        no_answer: after(fields, "no_answer"),
    });
    RetryRule {
        attempts_max,
        wait: Duration::from_secs(wait_s.into()),
        waits: waits.unwrap_or_default(),
        ..RetryRule::ONCE
    }
}

/// Seconds, or `stop`.
fn after(fields: &mut Fields<'_>, name: &'static str) -> Option<After> {
    if fields.is_text(name) {
        return match fields.text(name, "stop".len()) {
            Some("stop") => Some(After::Stop),
            Some(word) => {
                let expected = "seconds from 1 to 172800, or stop";
                fields.refuse(name, Mistake::Malformed, word, expected);
                None
            }
            None => None,
        };
    }
    let wait_s = fields.number(name, WAIT_S)?;
    Some(After::Wait(Duration::from_secs(wait_s.into())))
}

/// The named values for the script.
pub(super) fn variables(fields: &mut Fields<'_>) -> Variables {
    let mut variables = Variables::default();
    for (name, value) in fields.texts("variables") {
        if let Err(error) = variables.add(name, value) {
            fields.refuse("variables", Mistake::TooLong, name, error.to_string());
        }
    }
    variables
}

/// Where the callee is.
pub(super) fn place(fields: &mut Fields<'_>) -> Place {
    let mut text = |name| fields.text(name, PLACE_MAX).map(|text| text.trim().to_owned());
    let (zone, region, postal_code) = (text("zone"), text("region"), text("postal_code"));
    let zone = zone.and_then(|zone| match Zone::named(&zone) {
        Some(known) => Some(known.name().to_owned()),
        None => {
            let expected = "a zone such as America/Chicago";
            fields.refuse("zone", Mistake::Malformed, &zone, expected);
            None
        }
    });
    Place { zone, region, postal_code }
}
