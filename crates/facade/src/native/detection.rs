//! Whether it is found out who answered, as JSON: for a call, for a list, for a campaign's policy.

use std::time::Duration;

use domain::application::ScriptSource;
use domain::detection::{
    AnswerClock, DECIDE_WITHIN, DECIDE_WITHIN_MS, Detection, DetectionRules, OnFax, OnMachine,
    ScriptStart,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::json::Fields;
use super::rule;
use crate::refusal::Mistake;

/// Longest word, in characters.
const WORD_MAX: usize = 32;

/// Whether it is found out who or what answered, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectionRequest {
    /// Whether anybody listens. Default: `true`, for who says anything here wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<bool>,
    /// When the script starts: `at_once`, and is told who it is as soon as that is known; or
    /// `when_known`, after at most two seconds of silence. Default: `when_known` where a machine
    /// is waited for or left a message, else `at_once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(at_once|when_known)$", example = "at_once")]
    pub start: Option<String>,
    /// What a machine is met with: `continue`, the script; `hang_up`; `wait`, the script after its
    /// greeting; or `leave_message`, the `message` after its greeting and its beep. Default:
    /// `leave_message` where there is a message, else `continue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(continue|hang_up|leave_message|wait)$", example = "hang_up")]
    pub on_machine: Option<String>,
    /// What a fax machine is met with: `continue` or `hang_up`. Default: `continue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(continue|hang_up)$", example = "hang_up")]
    pub on_fax: Option<String>,
    /// From when the time counts where it rings after the answer: `answer`, the last ring;
    /// `connect`, the network's word. Default: `answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(answer|connect)$", example = "answer")]
    pub clock: Option<String>,
    /// Longest time to a verdict, in milliseconds; after it, what is likeliest counts. Default: 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 60_000)]
    pub decide_within_ms: Option<u32>,
    /// The message for a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRequest>,
}

/// A message for a machine: one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRequest {
    /// A text to speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000, example = "Please call us back at 555 0100.")]
    pub say: Option<String>,
    /// A VoiceXML document, which may play a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 262_144)]
    pub document: Option<String>,
    /// Address of such a document; asked by POST, as that of a call's script is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/message")]
    pub vxml_url: Option<String>,
}

impl DetectionRequest {
    /// Rules in our own words, all of them said.
    pub fn new(detection: &Detection) -> Self {
        let Detection::On(rules) = detection else {
            return Self { detect: Some(false), ..Self::default() };
        };
        let word = |word: &str| Some(word.to_owned());
        let message = |script: &ScriptSource| match script {
            // None of our own words makes one.
            ScriptSource::Actions(_) => MessageRequest::default(),
            ScriptSource::Document(text) => {
                MessageRequest { document: word(text), ..MessageRequest::default() }
            }
            ScriptSource::Say(text) => {
                MessageRequest { say: word(text), ..MessageRequest::default() }
            }
            ScriptSource::Url(url) => {
                MessageRequest { vxml_url: word(url), ..MessageRequest::default() }
            }
        };
        Self {
            detect: Some(true),
            start: word(match rules.start {
                ScriptStart::AtOnce => "at_once",
                ScriptStart::WhenKnown => "when_known",
            }),
            on_machine: word(match rules.on_machine {
                OnMachine::Continue => "continue",
                OnMachine::HangUp => "hang_up",
                OnMachine::LeaveMessage(_) => "leave_message",
                OnMachine::Wait => "wait",
            }),
            on_fax: word(match rules.on_fax {
                OnFax::Continue => "continue",
                OnFax::HangUp => "hang_up",
            }),
            clock: word(match rules.clock {
                AnswerClock::Answer => "answer",
                AnswerClock::Connect => "connect",
            }),
            decide_within_ms: u32::try_from(rules.decide_within.as_millis()).ok(),
            message: match &rules.on_machine {
                OnMachine::LeaveMessage(script) => Some(message(script)),
                OnMachine::Continue | OnMachine::HangUp | OnMachine::Wait => None,
            },
        }
    }
}

/// Reads the field `detection`; `None` where nothing is said.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Detection> {
    fields.object("detection", detection)
}

fn detection(fields: &mut Fields<'_>) -> Detection {
    let detect = fields.switch("detect").unwrap_or(true);
    let has_message = fields.has("message");
    let message = fields.object("message", rule::script).flatten();
    let usual = if has_message { "leave_message" } else { "continue" };
    let machine = word(fields, "on_machine", &["continue", "hang_up", "leave_message", "wait"]);
    let on_machine = match (machine.unwrap_or(usual), message) {
        ("leave_message", Some(message)) => OnMachine::LeaveMessage(message),
        ("leave_message", None) => {
            // One that is wrong has been refused already.
            if !has_message {
                fields.refuse_blind("message", Mistake::Missing, "the message to leave");
            }
            OnMachine::Continue
        }
        (other, message) => {
            if message.is_some() {
                let expected = "no message, or on_machine leave_message";
                fields.refuse_blind("message", Mistake::Conflict, expected);
            }
            match other {
                "hang_up" => OnMachine::HangUp,
                "wait" => OnMachine::Wait,
                _ => OnMachine::Continue,
            }
        }
    };
    let waits = matches!(on_machine, OnMachine::LeaveMessage(_) | OnMachine::Wait);
    let start = match word(fields, "start", &["at_once", "when_known"]) {
        Some("at_once") if on_machine == OnMachine::Wait => {
            let expected = "when_known where the script waits for the end of a greeting";
            fields.refuse_blind("start", Mistake::Conflict, expected);
            ScriptStart::WhenKnown
        }
        Some("at_once") => ScriptStart::AtOnce,
        None if !waits => ScriptStart::AtOnce,
        Some(_) | None => ScriptStart::WhenKnown,
    };
    let on_fax = match word(fields, "on_fax", &["continue", "hang_up"]) {
        Some("hang_up") => OnFax::HangUp,
        Some(_) | None => OnFax::Continue,
    };
    let clock = match word(fields, "clock", &["answer", "connect"]) {
        Some("connect") => AnswerClock::Connect,
        Some(_) | None => AnswerClock::Answer,
    };
    let within = fields.number("decide_within_ms", DECIDE_WITHIN_MS);
    let decide_within = within.map_or(DECIDE_WITHIN, |ms| Duration::from_millis(u64::from(ms)));
    let rules = DetectionRules { start, on_machine, on_fax, clock, decide_within };
    if detect { Detection::On(rules) } else { Detection::Off }
}

/// One of these words; another is refused.
fn word<'v>(fields: &mut Fields<'v>, name: &'static str, words: &[&str]) -> Option<&'v str> {
    let text = fields.text(name, WORD_MAX)?;
    if !words.contains(&text) {
        let expected = format!("one of {}", words.join(", "));
        fields.refuse(name, Mistake::Malformed, text, expected);
        return None;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::native::json as fields;
    use crate::refusal::Refusal;

    fn parse(detection: &Value) -> Result<Option<Detection>, Vec<Refusal>> {
        fields::read(&json!({ "detection": detection }), |fields| Some(read(fields)))
    }

    fn rules(detection: &Value) -> DetectionRules {
        match parse(detection) {
            Ok(Some(Detection::On(rules))) => rules,
            other => panic!("{detection}: {other:?}"),
        }
    }

    fn refused(detection: &Value) -> Vec<String> {
        let refusals = parse(detection).expect_err("it is wrong");
        refusals.into_iter().map(|refusal| refusal.field).collect()
    }

    #[test]
    fn empty_object_tells_the_script_and_nothing_else() {
        assert_eq!(rules(&json!({})), DetectionRules::TELL);
        assert_eq!(parse(&Value::Null), Ok(None));
        assert_eq!(parse(&json!({"detect": false})), Ok(Some(Detection::Off)));
    }

    #[test]
    fn script_waits_where_a_machine_is_waited_for_and_a_message_says_what_it_is_for() {
        let message = rules(&json!({"message": {"say": "Call us."}}));
        let say = ScriptSource::Say("Call us.".into());
        assert_eq!(message.on_machine, OnMachine::LeaveMessage(say));
        assert_eq!(message.start, ScriptStart::WhenKnown);
        assert_eq!(rules(&json!({"on_machine": "wait"})).start, ScriptStart::WhenKnown);
        assert_eq!(rules(&json!({"on_machine": "hang_up"})).start, ScriptStart::AtOnce);
    }

    #[test]
    fn rules_come_back_from_their_document() {
        let all = json!({
            "start": "at_once", "on_machine": "leave_message", "on_fax": "hang_up",
            "clock": "connect", "decide_within_ms": 4000,
            "message": {"document": "<vxml version='2.1'/>"}
        });
        for detection in [Detection::Off, Detection::On(rules(&all))] {
            let document = serde_json::to_value(DetectionRequest::new(&detection)).unwrap();
            assert_eq!(parse(&document), Ok(Some(detection)));
        }
    }

    #[test]
    fn mistakes_are_refused_with_their_places() {
        for (detection, field) in [
            (json!({"on_machine": "bark"}), "/detection/on_machine"),
            (json!({"on_machine": "leave_message"}), "/detection/message"),
            (json!({"on_machine": "wait", "start": "at_once"}), "/detection/start"),
            (json!({"on_machine": "hang_up", "message": {"say": "x"}}), "/detection/message"),
            (json!({"message": {"say": " "}}), "/detection/message/say"),
            (json!({"message": {}}), "/detection/message/vxml_url"),
            (json!({"decide_within_ms": 10}), "/detection/decide_within_ms"),
            (json!({"clock": 5}), "/detection/clock"),
            (json!({"unheard": 5}), "/detection/unheard"),
        ] {
            assert_eq!(refused(&detection), [field]);
        }
        assert_eq!(refused(&json!(true)), ["/detection"]);
    }
}
