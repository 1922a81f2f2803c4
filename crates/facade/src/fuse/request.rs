//! What Fuse's clients ask: the parameters of `queue` and `bulk_queue`.
//!
//! A request is read whole: all its mistakes are named at once. Fields that neither knows are
//! ignored, for old clients send their buttons along.

use std::time::Duration;

use domain::application::{ApplicationSpec, Deployment};
use domain::contact::{ContactRule, NewContact};
use domain::number::Destination;
use domain::retry::RetryRule;
use domain::terms::{Terms, Variables};
use domain::time::{DialWindow, Timestamp};
use serde_json::Value;

use crate::Facade;
use crate::form::{self, Form};
use crate::refusal::{Mistake, Refusal};
use crate::web_url;
use crate::when::MOMENT_MAX;

/// Longest phone_number, in characters (as in DEV).
pub(super) const PHONE_NUMBER_MAX: usize = 128;
/// What a number looks like, in every refusal of one.
pub(super) const PHONE_NUMBER: &str = "a number such as tel:+12125550101;ani=8005550199;postd=2";
/// Longest result_url, in characters; proxies and logs begin to cut beyond it.
pub(super) const URL_MAX: usize = 2_048;
/// Attempts in all (Fuse: 1 to 10).
pub(super) const ATTEMPTS: std::ops::RangeInclusive<u32> = 1..=10;
/// Seconds between attempts (Fuse: a minute to a day).
pub(super) const REATTEMPT_WAIT_S: std::ops::RangeInclusive<u32> = 60..=86_400;
/// Seconds between attempts where the client names none; there are none then, but results say it.
const REATTEMPT_WAIT_DEFAULT_S: u64 = 300;
/// How long a call rings before nobody has answered.
pub const RING_TIME_MAX: Duration = Duration::from_secs(45);

/// `queue`: one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What it has in common with a list.
    pub order: Order,
    /// Whom to call.
    pub contact: NewContact,
}

/// What `queue` and `bulk_queue` take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// How often to dial.
    pub retry: RetryRule,
    /// When to dial.
    pub window: DialWindow,
    /// Where each result is owed.
    pub result_url: Option<String>,
    /// Values for all calls of the request.
    pub metadata: Variables,
    /// The client wants its data in a store for payment and health data.
    pub is_pci: bool,
}

impl Queue {
    /// Reads the fields of `queue`, or names all that is wrong with them.
    pub fn parse(form: &Form, now: Timestamp) -> Result<Self, Vec<Refusal>> {
        let mut fields = Fields { form, refusals: Vec::new() };
        let destination = fields.destination();
        let order = fields.order(now);
        match (fields.refusals, destination) {
            (refusals, Some(destination)) if refusals.is_empty() => {
                let variables = order.metadata.clone();
                let contact = NewContact { variables, ..NewContact::new(destination) };
                Ok(Self { order, contact })
            }
            (refusals, _) => Err(refusals),
        }
    }
}

impl Order {
    /// Reads the fields of `bulk_queue` beside its file, or names all that is wrong with them.
    pub fn parse(form: &Form, now: Timestamp) -> Result<Self, Vec<Refusal>> {
        let mut fields = Fields { form, refusals: Vec::new() };
        let order = fields.order(now);
        if fields.refusals.is_empty() { Ok(order) } else { Err(fields.refusals) }
    }

    /// Whether a form field of this name holds the list; any other file is the list if alone.
    pub fn is_list_field(name: &str) -> bool {
        name == "csv"
    }

    /// What is said when no list came.
    pub fn list_missing() -> Refusal {
        let expected = "a CSV file with a column destination, in multipart/form-data";
        Refusal::blind("csv", Mistake::Missing, expected)
    }

    /// What is said when several files came and none or two of them are named as the list.
    pub fn list_repeated() -> Refusal {
        Refusal::blind("csv", Mistake::Conflict, "one file, not several")
    }

    /// What all calls of this request share.
    pub fn rule(&self, deployment: &Deployment) -> ContactRule {
        let dialect = Facade::Fuse.dialect();
        ContactRule {
            account: deployment.account,
            campaign: deployment.campaign(),
            application: ApplicationSpec {
                script: deployment.script.clone(),
                parameters: String::new(),
                dialect,
                detection: None,
            },
            window: self.window,
            retry: self.retry,
            terms: Terms { ring_time_max: Some(RING_TIME_MAX), ..Terms::default() },
            result_url: self.result_url.clone(),
            dialect,
        }
    }
}

/// Reads fields one by one and remembers what was wrong.
struct Fields<'a> {
    form: &'a Form,
    refusals: Vec<Refusal>,
}

impl<'a> Fields<'a> {
    fn order(&mut self, now: Timestamp) -> Order {
        Order {
            retry: self.retry(),
            window: self.window(now),
            result_url: self.result_url(),
            metadata: self.metadata(),
            is_pci: self.switch("is_pci"),
        }
    }

    fn destination(&mut self) -> Option<Destination> {
        let Some(text) = self.one("phone_number") else {
            self.refusals.push(Refusal::blind("phone_number", Mistake::Missing, PHONE_NUMBER));
            return None;
        };
        read_destination(text)
            .map_err(|(mistake, expected)| self.refuse("phone_number", mistake, text, expected))
            .ok()
    }

    /// Each needs the other.
    fn retry(&mut self) -> RetryRule {
        let attempts = self.one("max_attempts");
        let wait = self.one("reattempt_wait");
        let attempts_max = attempts.map(|text| self.number("max_attempts", text, ATTEMPTS));
        let wait_s = wait.map(|text| self.number("reattempt_wait", text, REATTEMPT_WAIT_S));
        match (attempts, wait) {
            (Some(_), None) => {
                let expected = "the seconds between attempts, for max_attempts is set";
                self.refusals.push(Refusal::blind("reattempt_wait", Mistake::Missing, expected));
            }
            (None, Some(_)) => {
                let expected = "the number of attempts, for reattempt_wait is set";
                self.refusals.push(Refusal::blind("max_attempts", Mistake::Missing, expected));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        RetryRule {
            attempts_max: attempts_max.unwrap_or(1),
            wait: Duration::from_secs(wait_s.map_or(REATTEMPT_WAIT_DEFAULT_S, u64::from)),
            ..RetryRule::ONCE
        }
    }

    fn window(&mut self, now: Timestamp) -> DialWindow {
        let opens_at = self.seconds("start_timestamp");
        let closes_at = self.seconds("end_timestamp");
        if let Some(closes_at) = closes_at {
            let text = closes_at.as_seconds().to_string();
            if closes_at <= now {
                let expected = "a moment that is still to come";
                self.refuse("end_timestamp", Mistake::OutOfRange, &text, expected);
            } else if opens_at.is_some_and(|opens_at| closes_at <= opens_at) {
                let expected = "a moment after start_timestamp";
                self.refuse("end_timestamp", Mistake::Conflict, &text, expected);
            }
        }
        // A start that is over means at once, as a client whose clock runs late means it.
        DialWindow { opens_at: opens_at.filter(|at| *at > now), closes_at }
    }

    fn seconds(&mut self, name: &'static str) -> Option<Timestamp> {
        const EXPECTED: &str = "seconds since 1970, or 0 for none";
        let text = self.one(name)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            self.refuse(name, Mistake::Malformed, text, EXPECTED);
            return None;
        }
        match text.parse().map(Timestamp::from_seconds) {
            Ok(at) if at.as_seconds() == 0 => None,
            Ok(at) if at < MOMENT_MAX => Some(at),
            _ => {
                let expected = format!("{EXPECTED}, before the year 2100: not milliseconds");
                self.refuse(name, Mistake::OutOfRange, text, expected);
                None
            }
        }
    }

    fn result_url(&mut self) -> Option<String> {
        let text = self.one("result_url")?;
        let read = web_url::parse("result_url", text, URL_MAX);
        read.map_err(|refusal| self.refusals.push(refusal)).ok()
    }

    fn metadata(&mut self) -> Variables {
        const EXPECTED: &str = "a JSON object such as {\"name\":\"Ann\"}";
        let mut variables = Variables::default();
        let Some(text) = self.one("metadata") else {
            return variables;
        };
        let document = match serde_json::from_str(text) {
            Ok(Value::Object(document)) => document,
            // PHP writes an empty object as an empty list.
            Ok(Value::Array(list)) if list.is_empty() => return variables,
            Ok(_) => {
                self.refuse("metadata", Mistake::WrongType, text, EXPECTED);
                return variables;
            }
            Err(error) => {
                self.refuse("metadata", Mistake::Malformed, text, format!("{EXPECTED}: {error}"));
                return variables;
            }
        };
        for (name, value) in &document {
            if let Err(error) = variables.add(name, &as_text(value)) {
                self.refuse("metadata", Mistake::TooLong, name, format!("{EXPECTED}: {error}"));
            }
        }
        variables
    }

    fn switch(&mut self, name: &'static str) -> bool {
        match self.one(name) {
            Some("1" | "true") => true,
            Some("0" | "false") | None => false,
            Some(text) => {
                self.refuse(name, Mistake::Malformed, text, "0 or 1");
                false
            }
        }
    }

    fn number(
        &mut self,
        name: &'static str,
        text: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> u32 {
        let least = *range.start();
        form::number(text, range).unwrap_or_else(|(mistake, expected)| {
            self.refuse(name, mistake, text, expected);
            least
        })
    }

    /// The field's value without blanks around it; `None` where it is not there or blank.
    fn one(&mut self, name: &'static str) -> Option<&'a str> {
        let form = self.form;
        let mut values = form.all(name).map(str::trim).filter(|value| !value.is_empty());
        let value = values.next()?;
        if let Some(other) = values.find(|other| *other != value) {
            // Dialing one of two numbers at random would be worse than asking again.
            self.refuse(name, Mistake::Conflict, other, "one value, not several");
        }
        Some(value)
    }

    fn refuse(
        &mut self,
        name: &'static str,
        mistake: Mistake,
        found: &str,
        expected: impl Into<String>,
    ) {
        self.refusals.push(Refusal::new(name, mistake, found, expected));
    }
}

/// Reads a number with its parameters; or the mistake, and what would be right.
pub(super) fn read_destination(text: &str) -> Result<Destination, (Mistake, String)> {
    let length = text.chars().count();
    if length > PHONE_NUMBER_MAX {
        let expected = format!("at most {PHONE_NUMBER_MAX} characters, not {length}");
        return Err((Mistake::TooLong, expected));
    }
    text.parse().map_err(|error| (Mistake::Malformed, format!("{PHONE_NUMBER}: {error}")))
}

/// A value as the text of a variable: texts as they are, nothing for null, the rest as JSON writes
/// it.
fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
