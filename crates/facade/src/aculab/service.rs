//! The configuration of an outbound service: read with all its mistakes, merged, shown, described.

use domain::application::{ActionPages, ApplicationSpec, PageAddress};
use domain::contact::ContactRule;
use domain::detection::{Detection, DetectionRules, OnFax, OnMachine, ScriptStart};
use domain::ids::AccountId;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::DialWindow;
use serde_json::{Map, Value, json};

use super::callback::final_url;
use crate::Facade;
use crate::web_url;

/// Longest name of a service, in characters.
pub const NAME_MAX: usize = 64;
/// Shortest and longest password, in characters.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;
/// Longest address, in characters.
const URL_MAX: usize = 2_000;
/// Longest text of any other option, in characters.
const TEXT_MAX: usize = 255;
/// Most others that a service may call at once.
const EXTRA_CHANNELS_MAX: u64 = 20;
/// Longest call, in minutes.
const MINUTES_MAX: u64 = 24 * 60;
/// How deep options stand inside each other.
const DEPTH_MAX: usize = 3;

/// A configuration without its mistakes; the password is apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// All options, those that were left out by their defaults.
    options: Map<String, Value>,
}

/// A configuration and the password that stood in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The configuration.
    pub service: Service,
    /// The password, where one was given.
    pub password: Option<String>,
}

/// What a service calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallType {
    /// A conference.
    Conference,
    /// A telephone number, and everything else.
    TelephoneNumber,
}

impl Service {
    /// Reads a whole configuration; what is left out has its default. Or all that is wrong with it.
    pub fn write(body: &Value) -> Result<Written, Vec<String>> {
        Self::read(body, defaults())
    }

    /// Merges a part of a configuration into this one.
    pub fn modify(&self, body: &Value) -> Result<Written, Vec<String>> {
        Self::read(body, self.options.clone())
    }

    /// The configuration of this text, which [`Service::text`] wrote.
    pub fn of_text(text: &str) -> Option<Self> {
        let Value::Object(options) = serde_json::from_str(text).ok()? else {
            return None;
        };
        Some(Self { options })
    }

    /// The text that is stored.
    pub fn text(&self) -> String {
        Value::Object(self.options.clone()).to_string()
    }

    /// What clients are shown: all but the password.
    pub fn shown(&self) -> Value {
        Value::Object(self.options.clone())
    }

    /// What it calls.
    pub fn call_type(&self) -> CallType {
        match self.at(&["outbound_call_type"]).as_str() {
            Some("conference") => CallType::Conference,
            _ => CallType::TelephoneNumber,
        }
    }

    /// Opaque text for all its calls.
    pub fn application_parameters(&self) -> &str {
        self.at(&["application_parameters"]).as_str().unwrap_or_default()
    }

    /// Whether it is found out who answered, and whether a machine and a fax are hung up on.
    pub fn classification(&self) -> (bool, bool, bool) {
        let flag = |name| self.at(&["far_end_classification", name]).as_bool().unwrap_or(false);
        (flag("enabled"), flag("hang_up_on_answering_machine"), flag("hang_up_on_fax_machine"))
    }

    /// Whether it is found out who answered, and what follows.
    fn detection(&self) -> Detection {
        let (enabled, machine_ends, fax_ends) = self.classification();
        // In a conference there may be several, and nobody answers.
        if !enabled || self.call_type() == CallType::Conference {
            return Detection::Off;
        }
        Detection::On(DetectionRules {
            start: ScriptStart::WhenKnown,
            // The first page of a machine is asked for when its greeting is over.
            on_machine: if machine_ends { OnMachine::HangUp } else { OnMachine::Wait },
            on_fax: if fax_ends { OnFax::HangUp } else { OnFax::Continue },
            ..DetectionRules::TELL
        })
    }

    /// What all its calls share.
    pub fn rule(&self, account: AccountId, name: &str) -> ContactRule {
        let dialect = Facade::Aculab.dialect();
        let number = |name| self.at(&[name]).as_u64().and_then(|it| u32::try_from(it).ok());
        let voice = self.at(&["tts_voice"]).as_str().filter(|voice| !voice.is_empty());
        let pages = ActionPages {
            first: self
                .page("first_page")
                .unwrap_or_else(|| PageAddress { url: String::new(), is_got: false }),
            error: self.page("error_page"),
            voice: voice.map(str::to_owned),
            extra_legs: number("extra_channels").unwrap_or(0),
            minutes_max: number("minutes_max_call_duration"),
        };
        ContactRule {
            account,
            campaign: campaign(name),
            application: ApplicationSpec {
                script: domain::application::ScriptSource::Actions(pages),
                parameters: self.application_parameters().to_owned(),
                dialect,
                detection: Some(self.detection()),
            },
            window: DialWindow::default(),
            retry: RetryRule::ONCE,
            terms: Terms::default(),
            result_url: self.page("final_page").map(|page| final_url(&page)),
            dialect,
        }
    }

    fn page(&self, name: &str) -> Option<PageAddress> {
        let address = self.at(&["rest", name, "address"]).as_str().filter(|it| !it.is_empty())?;
        let is_got = self.at(&["rest", name, "method"]) == "GET";
        Some(PageAddress { url: address.to_owned(), is_got })
    }

    fn at(&self, way: &[&str]) -> &Value {
        let mut value = self.options.get(way[0]).unwrap_or(&Value::Null);
        for name in &way[1..] {
            value = value.get(*name).unwrap_or(&Value::Null);
        }
        value
    }

    fn read(body: &Value, before: Map<String, Value>) -> Result<Written, Vec<String>> {
        let Value::Object(given) = body else {
            return Err(vec!["the configuration is not of type 'object'".to_owned()]);
        };
        let mut given = given.clone();
        let mut details = Vec::new();
        let password = match given.remove("service_password") {
            None => None,
            Some(Value::String(text)) if PASSWORD_CHARS.contains(&text.chars().count()) => {
                Some(text)
            }
            Some(_) => {
                let (least, most) = PASSWORD_CHARS.into_inner();
                details.push(format!(
                    "service_password is not a text of {least} to {most} characters"
                ));
                None
            }
        };
        let mut options = Value::Object(before);
        merge(&mut options, &Value::Object(given), 0);
        check(&options, &schema(), "", &mut details);
        check_pages(&options, &mut details);
        match options {
            Value::Object(options) if details.is_empty() => {
                Ok(Written { service: Self { options }, password })
            }
            _ => Err(details),
        }
    }
}

/// Name of the campaign of a service, which nothing but its calls is in.
pub fn campaign(name: &str) -> String {
    format!("services/{name}")
}

/// Whether a service may be called so. A blank at either end is nobody's wish, and is lost where the
/// name stands in a user.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.trim() == name
        && name.chars().count() <= NAME_MAX
        && name
            .chars()
            .all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.' | ' '))
}

/// The JSON schema of a configuration (JSON Schema 2020-12).
pub fn schema() -> Value {
    let page = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "properties": {
                "address": {"type": "string", "maxLength": URL_MAX},
                "method": {"type": "string", "enum": ["GET", "POST"]}
            },
            "additionalProperties": false
        })
    };
    let flag = |description: &str| json!({"type": "boolean", "description": description});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "outbound service",
        "type": "object",
        "properties": {
            "application_parameters": {"type": "string", "maxLength": TEXT_MAX,
                "description": "Opaque text for all calls of the service."},
            "application_server_type": {"type": "string", "enum": ["REST API"]},
            "extra_channels": {"type": "integer", "minimum": 0, "maximum": EXTRA_CHANNELS_MAX,
                "description": "Others that one connect may call at once."},
            "far_end_classification": {
                "type": "object",
                "properties": {
                    "enabled": flag("Find out who or what answered before the first page."),
                    "hang_up_on_answering_machine": flag("End the call where a machine answers."),
                    "hang_up_on_fax_machine": flag("End the call where a fax machine answers.")
                },
                "additionalProperties": false
            },
            "minutes_max_call_duration": {"type": "integer", "minimum": 1, "maximum": MINUTES_MAX},
            "outbound_call_type": {"type": "string", "enum": ["telephone_number", "conference"]},
            "rest": {
                "type": "object",
                "properties": {
                    "error_page": page("Told what was wrong with another page."),
                    "final_page": page("Told of the end of every call, answered or not."),
                    "first_page": page("Asked for when the call is answered.")
                },
                "additionalProperties": false
            },
            "service_password": {"type": "string", "minLength": PASSWORD_CHARS.start(),
                "maxLength": PASSWORD_CHARS.end(), "writeOnly": true,
                "description": "Authorises service_start."},
            "tts_voice": {"type": "string", "maxLength": TEXT_MAX,
                "description": "The voice of texts that name none."}
        },
        "additionalProperties": false
    })
}

fn defaults() -> Map<String, Value> {
    let page = json!({"address": "", "method": "POST"});
    let options = json!({
        "application_parameters": "",
        "application_server_type": "REST API",
        "extra_channels": 0,
        "far_end_classification": {
            "enabled": false,
            "hang_up_on_answering_machine": true,
            "hang_up_on_fax_machine": true
        },
        "minutes_max_call_duration": 240,
        "outbound_call_type": "telephone_number",
        "rest": {"error_page": page, "final_page": page, "first_page": page},
        "tts_voice": ""
    });
    match options {
        Value::Object(options) => options,
        _ => Map::new(),
    }
}

/// Puts what is given over what is there; only objects are merged, member by member.
fn merge(into: &mut Value, given: &Value, depth: usize) {
    match (into, given) {
        (Value::Object(into), Value::Object(given)) if depth < DEPTH_MAX => {
            for (name, value) in given {
                match into.get_mut(name) {
                    Some(known) => merge(known, value, depth + 1),
                    None => {
                        into.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (into, given) => into.clone_from(given),
    }
}

/// Says where a value is not as its schema wants it, in the words of the real service.
fn check(value: &Value, schema: &Value, path: &str, details: &mut Vec<String>) {
    let at = if path.is_empty() { "the configuration" } else { path };
    let wanted = schema["type"].as_str().unwrap_or_default();
    let fits = match wanted {
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "object" => value.is_object(),
        _ => value.is_string(),
    };
    if !fits {
        details.push(format!("{at} {} is not of type '{wanted}'", shown(value)));
        return;
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        let words: Vec<String> = words.iter().map(shown).collect();
        details.push(format!("{at} {} is not one of [{}]", shown(value), words.join(",")));
    }
    let length = value.as_str().map(|text| text.chars().count() as u64);
    if let (Some(length), Some(most)) = (length, schema["maxLength"].as_u64())
        && length > most
    {
        details.push(format!("{at} is too long: {length} of at most {most} characters"));
    }
    let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
    if let (Some(least), Some(most)) = (least, most)
        && value.as_i64().is_none_or(|number| !(least..=most).contains(&number))
    {
        details.push(format!("{at} {value} is not from {least} to {most}"));
    }
    if let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        let mut names: Vec<&String> = members.keys().collect();
        names.sort();
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match known.get(name) {
                Some(schema) => check(&members[name], schema, &below, details),
                None => details.push(format!("{below} was unexpected")),
            }
        }
    }
}

fn check_pages(options: &Value, details: &mut Vec<String>) {
    for name in ["first_page", "final_page", "error_page"] {
        let path = format!("rest.{name}.address");
        match options["rest"][name]["address"].as_str() {
            Some("") if name == "first_page" => {
                details.push(format!("{path} is a required property"));
            }
            Some("") | None => {}
            Some(address) => {
                if let Err(refusal) = web_url::parse(&path, address, URL_MAX) {
                    details.push(refusal.to_string());
                }
            }
        }
    }
}

/// A value as messages show it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(classification: Value) -> Service {
        let config = json!({
            "rest": {"first_page": {"address": "http://app.example/first"}},
            "far_end_classification": classification
        });
        Service::write(&config).unwrap().service
    }

    #[test]
    fn names_of_services_neither_begin_nor_end_with_a_blank() {
        for name in ["s", "Our reminders", "a_b-c.d", &"n".repeat(64)] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["", " ", " s", "s ", "a/b", "ä", "a\u{0}", &"n".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn password_is_a_text_or_is_left_out() {
        let with = |password: Value| {
            let pages = json!({"first_page": {"address": "http://app.example/first"}});
            Service::write(&json!({"rest": pages, "service_password": password}))
        };
        assert_eq!(with(json!("correct horse")).unwrap().password.unwrap(), "correct horse");
        for wrong in [json!(null), json!(12_345_678), json!("short"), json!("x".repeat(129))] {
            let refused = with(wrong).unwrap_err();
            assert_eq!(refused, ["service_password is not a text of 8 to 128 characters"]);
        }
    }

    /// Checklist 2-010, 2-018, 2-019, 2-020: classification off or on, hanging up or not.
    #[test]
    fn scenarios_of_classification_become_rules_of_detection() {
        let rules = |on: bool, hang_up: bool| {
            let config = json!({"enabled": on, "hang_up_on_answering_machine": hang_up,
                "hang_up_on_fax_machine": hang_up});
            service(config).rule(AccountId(1), "s").application.detection.unwrap()
        };
        assert_eq!(rules(false, true), Detection::Off);
        assert_eq!(rules(false, false), Detection::Off);
        let scenario = |on_machine, on_fax| {
            let start = ScriptStart::WhenKnown;
            Detection::On(DetectionRules { start, on_machine, on_fax, ..DetectionRules::TELL })
        };
        assert_eq!(rules(true, false), scenario(OnMachine::Wait, OnFax::Continue));
        assert_eq!(rules(true, true), scenario(OnMachine::HangUp, OnFax::HangUp));
        // Once it is on, machines are hung up on unless somebody says otherwise.
        let usual = service(json!({"enabled": true})).rule(AccountId(1), "s");
        assert_eq!(usual.application.detection, Some(rules(true, true)));
        let conference = json!({"outbound_call_type": "conference"});
        let room = service(json!({"enabled": true})).modify(&conference).unwrap().service;
        assert_eq!(room.rule(AccountId(1), "s").application.detection, Some(Detection::Off));
    }

    #[test]
    fn configuration_comes_back_from_its_text_and_is_merged_member_by_member() {
        let before = service(json!({"enabled": true}));
        assert_eq!(Service::of_text(&before.text()), Some(before.clone()));
        let part = json!({"rest": {"final_page": {"address": "http://a.example/f"}}, "tts_voice": "en-GB"});
        let after = before.modify(&part).unwrap().service;
        assert_eq!(after.at(&["rest", "first_page"]), before.at(&["rest", "first_page"]));
        let rule = after.rule(AccountId(1), "s");
        assert_eq!(rule.result_url.as_deref(), Some("http://a.example/f"));
        assert_eq!(rule.campaign, "services/s");
    }

    #[test]
    fn every_mistake_of_a_configuration_is_named() {
        let wrong = json!({
            "rest": {"first_page": {"address": "ftp://x", "method": "x"}, "last_page": {}},
            "extra_channels": 99, "tts_voice": 5, "service_password": "short",
            "far_end_classification": true, "application_parameters": "y".repeat(300)
        });
        let details = Service::write(&wrong).unwrap_err();
        let expected = [
            "service_password is not a text of 8 to 128 characters",
            "application_parameters is too long: 300 of at most 255 characters",
            "extra_channels 99 is not from 0 to 20",
            "far_end_classification true is not of type 'object'",
            "rest.first_page.method 'x' is not one of ['GET','POST']",
            "rest.last_page was unexpected",
            "tts_voice 5 is not of type 'string'",
            "rest.first_page.address: found \"ftp://x\", expected an absolute address such as \
             https://app.example/start",
        ];
        assert_eq!(details, expected);
        let missing = Service::write(&json!({})).unwrap_err();
        assert_eq!(missing, ["rest.first_page.address is a required property"]);
        assert!(Service::write(&json!([])).is_err());
    }
}
