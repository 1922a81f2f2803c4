//! What Plum's clients ask: the parameters of `queuecall.php` and `queuecalls.php`.
//!
//! A request is read whole: all its mistakes are named at once. Fields that neither script knows
//! are ignored, for old clients send their buttons along.

use std::fmt;
use std::time::Duration;

use domain::application::{ApplicationSpec, ScriptSource};
use domain::campaign::{DEFAULT_CAMPAIGN, NAME_MAX};
use domain::contact::{ContactRule, NewContact, TEXT_MAX};
use domain::ids::AccountId;
use domain::number::Destination;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::{DialWindow, Timestamp};

use super::words;
use crate::Facade;
use crate::form::{self, Form};
use crate::refusal::{Mistake, Refusal};
use crate::web_url;
use crate::when::{self, Bound, MOMENT_MAX};
use crate::zone::Zone;

/// Longest login, in characters (Plum: 128).
pub(super) const LOGIN_MAX: usize = 128;
/// Longest PIN, in characters (Plum: 16).
pub(super) const PIN_MAX: usize = 16;
/// Longest phone_number, in characters (Plum: 128).
pub(super) const PHONE_NUMBER_MAX: usize = 128;
/// Longest start_url and result_url, in characters (Plum: 255).
pub(super) const URL_MAX: usize = 255;
/// Most failed attempts tolerated (Plum: 10).
pub(super) const RETRIES_MAX: u32 = 10;
/// Shortest and longest time between attempts, in seconds (Plum: a minute to two days).
pub(super) const RETRY_INTERVAL_S: std::ops::RangeInclusive<u32> = 60..=172_800;
/// Time between attempts where the client names none: Plum documents no default, and a person who
/// did not answer is rarely back within a minute.
const RETRY_INTERVAL_DEFAULT_S: u32 = 300;

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Login of the account.
    pub login: String,
    /// Its PIN: a secret, to be compared and forgotten.
    pub pin: String,
}

impl Credentials {
    /// The credentials in a form that may still be on its way; `None` while one of them is not
    /// there or cannot be right.
    pub fn early(form: &Form) -> Option<Self> {
        let mut fields = Fields::new(form);
        let credentials = fields.credentials();
        fields.finish().is_ok().then_some(credentials)
    }
}

/// The PIN is not shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("login", &self.login).finish_non_exhaustive()
    }
}

/// `queuecall.php`: one contact for the default campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueCall {
    /// What it has in common with a list.
    pub order: Order,
    /// Whom to call.
    pub contact: NewContact,
}

/// `queuecalls.php` without its list: a campaign whose contacts come from an uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueCalls {
    /// What it has in common with a single call.
    pub order: Order,
}

/// What both scripts take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who asks.
    pub credentials: Credentials,
    /// Name of the campaign.
    pub campaign: String,
    /// The page that runs the call.
    pub start_url: String,
    /// Where each result is owed.
    pub result_url: Option<String>,
    /// Opaque text for all calls.
    pub campaign_parameters: String,
    /// How often to dial.
    pub retry: RetryRule,
    /// When to dial.
    pub window: DialWindow,
    /// Whether the client asked to be told who answers; `None`: it did not say.
    pub callee_type_detection: Option<bool>,
    /// The fields of the request as they came, without the PIN, for the answer.
    pub echo: Vec<(&'static str, String)>,
}

impl QueueCall {
    /// Reads the fields of `queuecall.php`, or names all that is wrong with them.
    pub fn parse(form: &Form, now: Timestamp, zone: &Zone) -> Result<Self, Vec<Refusal>> {
        let mut fields = Fields::new(form);
        let credentials = fields.credentials();
        let destination = fields.destination();
        let reference = fields.opaque("message_reference");
        let parameters = fields.opaque("call_parameters");
        let order = fields.order(credentials, DEFAULT_CAMPAIGN.to_owned(), now, zone);
        match (fields.finish(), destination, order) {
            (Ok(echo), Some(destination), Some(order)) => Ok(Self {
                order: Order { echo, ..order },
                contact: NewContact { reference, parameters, ..NewContact::new(destination) },
            }),
            (refusals, _, _) => Err(refusals.err().unwrap_or_default()),
        }
    }
}

impl QueueCalls {
    /// Reads the fields of `queuecalls.php` beside its file, or names all that is wrong with them.
    pub fn parse(form: &Form, now: Timestamp, zone: &Zone) -> Result<Self, Vec<Refusal>> {
        let mut fields = Fields::new(form);
        let credentials = fields.credentials();
        let campaign = fields.campaign();
        let order = fields.order(credentials, campaign, now, zone);
        match (fields.finish(), order) {
            (Ok(echo), Some(order)) => Ok(Self { order: Order { echo, ..order } }),
            (refusals, _) => Err(refusals.err().unwrap_or_default()),
        }
    }

    /// Whether a form field of this name holds the list; any other file is the list if alone.
    pub fn is_list_field(name: &str) -> bool {
        ["contacts", "phone_list", "phone_number_list"].contains(&name)
    }

    /// What is said when no list came.
    pub fn list_missing() -> Refusal {
        let expected = "a file with one call per line, in multipart/form-data";
        Refusal::blind("phone_list", Mistake::Missing, expected)
    }

    /// What is said when several files came and none or two of them are named as the list.
    pub fn list_repeated() -> Refusal {
        Refusal::blind("phone_list", Mistake::Conflict, "one file, not several")
    }
}

impl Order {
    /// What all contacts of this request share.
    pub fn rule(&self, account: AccountId) -> ContactRule {
        let dialect = Facade::Plum.dialect();
        ContactRule {
            account,
            campaign: self.campaign.clone(),
            application: ApplicationSpec {
                script: ScriptSource::Url(self.start_url.clone()),
                parameters: self.campaign_parameters.clone(),
                dialect,
                detection: self.callee_type_detection.map(words::detection),
            },
            window: self.window,
            retry: self.retry,
            terms: Terms::default(),
            result_url: self.result_url.clone(),
            dialect,
        }
    }
}

/// Reads fields one by one and remembers what was wrong and what is to be echoed.
struct Fields<'a> {
    form: &'a Form,
    refusals: Vec<Refusal>,
    echo: Vec<(&'static str, String)>,
}

impl<'a> Fields<'a> {
    fn new(form: &'a Form) -> Self {
        Self { form, refusals: Vec::new(), echo: Vec::new() }
    }

    fn finish(self) -> Result<Vec<(&'static str, String)>, Vec<Refusal>> {
        if self.refusals.is_empty() { Ok(self.echo) } else { Err(self.refusals) }
    }

    fn order(
        &mut self,
        credentials: Credentials,
        campaign: String,
        now: Timestamp,
        zone: &Zone,
    ) -> Option<Order> {
        let start_url = self.required_url("start_url");
        let result_url = self.url("result_url");
        let campaign_parameters = self.opaque("campaign_parameters");
        let retry = self.retry();
        let window = self.window(now, zone);
        let callee_type_detection = self.switch("callee_type_detection");
        Some(Order {
            credentials,
            campaign,
            start_url: start_url?,
            result_url,
            campaign_parameters,
            retry,
            window,
            callee_type_detection,
            echo: Vec::new(),
        })
    }

    fn credentials(&mut self) -> Credentials {
        let login = self.required("login", LOGIN_MAX, "the login of your account");
        let pin = self.pin();
        Credentials { login, pin }
    }

    /// Never echoed, never shown.
    fn pin(&mut self) -> String {
        let form = self.form;
        let mut values = form.all("pin").map(str::trim).filter(|value| !value.is_empty());
        let pin = values.next().unwrap_or_default();
        if values.any(|other| other != pin) {
            self.refuse_blind("pin", Mistake::Conflict, "one PIN, not several");
        } else if pin.is_empty() {
            self.refuse_blind("pin", Mistake::Missing, "the PIN of your account");
        } else if pin.chars().count() > PIN_MAX {
            let expected = format!("at most {PIN_MAX} characters");
            self.refuse_blind("pin", Mistake::TooLong, expected);
        }
        pin.to_owned()
    }

    fn destination(&mut self) -> Option<Destination> {
        const EXPECTED: &str = "a number such as +12125550101;ani=8005550199;postd=2";
        let text = self.required("phone_number", PHONE_NUMBER_MAX, EXPECTED);
        if text.is_empty() || text.chars().count() > PHONE_NUMBER_MAX {
            return None;
        }
        match text.parse() {
            Ok(destination) => Some(destination),
            Err(error) => {
                let expected = format!("{EXPECTED}: {error}");
                self.refuse("phone_number", Mistake::Malformed, &text, expected);
                None
            }
        }
    }

    fn campaign(&mut self) -> String {
        match self.first_of(["campaign", "campaign_name"]) {
            Some((name, text)) => self.bounded(name, text.trim(), NAME_MAX),
            None => {
                let expected = "the name of the campaign";
                self.refuse_blind("campaign", Mistake::Missing, expected);
                String::new()
            }
        }
    }

    fn retry(&mut self) -> RetryRule {
        let retries = self
            .first_of(["max_retries", "max_retry"])
            .map_or(0, |(name, text)| self.number(name, text, 0..=RETRIES_MAX));
        let interval_s = self.one("retry_interval").map_or(RETRY_INTERVAL_DEFAULT_S, |text| {
            self.number("retry_interval", text, RETRY_INTERVAL_S)
        });
        RetryRule {
            attempts_max: retries + 1,
            wait: Duration::from_secs(interval_s.into()),
            ..RetryRule::ONCE
        }
    }

    fn window(&mut self, now: Timestamp, zone: &Zone) -> DialWindow {
        let opens_at = self
            .moment("scheduled_timestamp", "scheduled_time", now, zone, Bound::Opens)
            .map(|(_, _, at)| at);
        let closes =
            self.moment("expiration_timestamp", "expiration_time", now, zone, Bound::Closes);
        if let Some((name, text, closes_at)) = closes {
            if closes_at <= now {
                let over =
                    format!("a moment that is still to come; this is {}", zone.rfc_822(closes_at));
                self.refuse(name, Mistake::OutOfRange, text, over);
            } else if opens_at.is_some_and(|opens_at| closes_at <= opens_at) {
                self.refuse(name, Mistake::Conflict, text, "a moment after the scheduled one");
            }
        }
        DialWindow {
            // A start that is over means at once, as a client whose clock runs late means it.
            opens_at: opens_at.filter(|at| *at > now),
            closes_at: closes.map(|(_, _, at)| at),
        }
    }

    /// A moment given in seconds, 0 being none, or in words; and the field that gave it.
    fn moment(
        &mut self,
        seconds: &'static str,
        words: &'static str,
        now: Timestamp,
        zone: &Zone,
        bound: Bound,
    ) -> Option<(&'static str, &'a str, Timestamp)> {
        let by_seconds = self.one(seconds).and_then(|text| {
            let at = self.seconds(seconds, text)?;
            Some((seconds, text, at))
        });
        let by_words = self.one(words).and_then(|text| match when::parse(text, now, zone, bound) {
            Ok(at) => Some((words, text, at)),
            Err(error) => {
                let expected = format!(
                    "a time such as now, +3 days, tomorrow 9am or oct 14th, 2026 11:05PM EST: {error}"
                );
                self.refuse(words, Mistake::Malformed, text, expected);
                None
            }
        });
        match (by_seconds, by_words) {
            (Some((_, _, one)), Some((_, text, other))) if one != other => {
                let expected = format!("the moment that {seconds} gives, or only one of both");
                self.refuse(words, Mistake::Conflict, text, expected);
                by_seconds
            }
            (Some(moment), _) | (None, Some(moment)) => Some(moment),
            (None, None) => None,
        }
    }

    fn seconds(&mut self, name: &'static str, text: &str) -> Option<Timestamp> {
        const EXPECTED: &str = "seconds since 1970, or 0 for none";
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
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

    fn switch(&mut self, name: &'static str) -> Option<bool> {
        let text = self.one(name)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "on" | "true" | "yes" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => {
                self.refuse(name, Mistake::Malformed, text, "1 or 0");
                None
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
            self.refuse(name, mistake, text.trim(), expected);
            least
        })
    }

    fn required_url(&mut self, name: &'static str) -> Option<String> {
        let Some(text) = self.one(name) else {
            let expected = "the address of the page that runs the call";
            self.refuse_blind(name, Mistake::Missing, expected);
            return None;
        };
        self.web_address(name, text)
    }

    fn url(&mut self, name: &'static str) -> Option<String> {
        let text = self.one(name)?;
        self.web_address(name, text)
    }

    fn web_address(&mut self, name: &'static str, text: &str) -> Option<String> {
        web_url::parse(name, text, URL_MAX).map_err(|refusal| self.refusals.push(refusal)).ok()
    }

    /// A text for the application, kept as it is; empty where there is none.
    fn opaque(&mut self, name: &'static str) -> String {
        let text = self.one(name).unwrap_or_default();
        self.bounded(name, text, TEXT_MAX)
    }

    fn required(&mut self, name: &'static str, chars_max: usize, expected: &str) -> String {
        match self.one(name).map(str::trim) {
            Some(text) if !text.is_empty() => self.bounded(name, text, chars_max),
            _ => {
                self.refuse_blind(name, Mistake::Missing, expected);
                String::new()
            }
        }
    }

    fn bounded(&mut self, name: &'static str, text: &str, chars_max: usize) -> String {
        let length = text.chars().count();
        if length > chars_max {
            let expected = format!("at most {chars_max} characters, not {length}");
            self.refuse(name, Mistake::TooLong, text, expected);
        } else if text.contains('\0') {
            self.refuse(name, Mistake::Malformed, text, "a text without NUL");
        }
        text.to_owned()
    }

    /// The value of the first of two names for one field, and the name.
    fn first_of(&mut self, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
        let [first, second] = names.map(|name| self.one(name).map(|text| (name, text)));
        if let (Some((one_name, one)), Some((other_name, other))) = (first, second)
            && one != other
        {
            let expected = format!("the same as in {one_name}, or only one of both");
            self.refuse(other_name, Mistake::Conflict, other, expected);
        }
        first.or(second)
    }

    /// The field's value, echoed; `None` where it is not there or blank.
    fn one(&mut self, name: &'static str) -> Option<&'a str> {
        let form = self.form;
        let mut values = form.all(name).filter(|value| !value.trim().is_empty());
        let value = values.next()?;
        if let Some(other) = values.find(|other| *other != value) {
            // Dialing one of two numbers at random would be worse than asking again.
            self.refuse(name, Mistake::Conflict, other, "one value, not several");
        }
        if !self.echo.iter().any(|field| field.0 == name) {
            self.echo.push((name, value.to_owned()));
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

    fn refuse_blind(&mut self, name: &'static str, mistake: Mistake, expected: impl Into<String>) {
        self.refusals.push(Refusal::blind(name, mistake, expected));
    }
}
