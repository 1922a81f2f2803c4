//! `connect`: somebody else is called, and the two talk.
//!
//! Here is what the page says of it; what comes of it is in `connecting`.

use std::time::Duration;

use domain::detection::{DetectionRules, OnFax, OnMachine, ScriptStart};
use domain::policy::CallRecording;

use super::play::{PlayList, WebPage};
use super::reader::Members;

/// Longest ringing, in seconds.
const ANSWER_TIMEOUT_MAX_S: i64 = 600;
/// Longest secondary call, in minutes.
const MINUTES_MAX: i64 = 24 * 60;

/// Whom to call, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Connect {
    /// `tel:…` or `sip:…`.
    pub(super) destinations: Vec<String>,
    pub(super) caller_id: Option<String>,
    /// What the callee hears meanwhile; a ringing tone where nothing is said.
    pub(super) hold_media: Option<PlayList>,
    pub(super) early_media: bool,
    pub(super) answer_timeout: Duration,
    /// Whether it is found out who answered, and what follows.
    pub(super) classify: Option<DetectionRules>,
    pub(super) secondary: Secondary,
    pub(super) next_page: Option<WebPage>,
}

/// What is said of the other call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Secondary {
    pub(super) recording: CallRecording,
    pub(super) time_max: Duration,
    /// Runs on the other call before the two talk.
    pub(super) first_page: Option<WebPage>,
    /// Told when the other call is over.
    pub(super) final_page: Option<WebPage>,
    /// Told what was wrong with pages of the other call.
    pub(super) error_page: Option<WebPage>,
}

pub(super) fn read(members: &mut Members<'_>) -> Connect {
    let destinations = destinations(members);
    let caller_id = members.text("call_from").filter(|from| !from.trim().is_empty());
    let hold_media = members.play("hold_media");
    let early_media = members.flag("pass_early_media", false);
    let answer = members.whole("seconds_answer_timeout", 1..=ANSWER_TIMEOUT_MAX_S, 30);
    let classify = classify(members);
    let secondary = Secondary::read(members);
    if early_media && (destinations.len() != 1 || secondary.first_page.is_some()) {
        let expected = "false, for it takes one destination, and no first page of its call";
        members.refuse_as("pass_early_media", "true", expected);
    }
    Connect {
        destinations,
        caller_id,
        hold_media,
        early_media,
        answer_timeout: seconds(answer),
        classify,
        secondary,
        next_page: members.page("next_page"),
    }
}

/// `classify_callee`: as a service's own classification, with the same names and defaults.
fn classify(members: &mut Members<'_>) -> Option<DetectionRules> {
    let mut given = members.object("classify_callee", "an object")?;
    let enabled = given.flag("enable", true);
    let machine_ends = given.flag("hang_up_on_answering_machine", true);
    let fax_ends = given.flag("hang_up_on_fax_machine", true);
    given.finish();
    enabled.then_some(DetectionRules {
        start: ScriptStart::WhenKnown,
        on_machine: if machine_ends { OnMachine::HangUp } else { OnMachine::Wait },
        on_fax: if fax_ends { OnFax::HangUp } else { OnFax::Continue },
        ..DetectionRules::TELL
    })
}

impl Secondary {
    pub(super) fn read(members: &mut Members<'_>) -> Self {
        let mut secondary = Self {
            recording: CallRecording::None,
            time_max: Duration::from_secs(240 * 60),
            first_page: None,
            final_page: None,
            error_page: None,
        };
        if let Some(mut given) = members.object("secondary_call", "an object") {
            let why = "recordings are not encrypted here";
            given.refuse_if_given("call_recording_encryption", why);
            given.refuse_if_given("call_recording_cipher", why);
            given.flag("call_recording_eliminate_dtmf", true);
            let mode = given.word("call_recording_mode", &["mixed", "separate"]);
            secondary.recording = match (given.flag("call_recording", false), mode) {
                (false, _) => CallRecording::None,
                (true, "separate") => CallRecording::Separate,
                (true, _) => CallRecording::Mixed,
            };
            let minutes = given.whole("minutes_max_call_duration", 1..=MINUTES_MAX, 240);
            secondary.time_max = seconds(minutes * 60);
            secondary.first_page = given.page("first_page");
            secondary.final_page = given.page("final_page");
            secondary.error_page = given.page("error_page");
            given.finish();
        }
        secondary
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn destinations(members: &mut Members<'_>) -> Vec<String> {
    let sample = "a list such as [\"tel:+15550100\"]";
    let given = members.texts("destinations", sample);
    if given.as_ref().is_none_or(Vec::is_empty) {
        members.refuse_as("destinations", "nobody to call", sample);
    }
    let mut destinations = Vec::new();
    for text in given.unwrap_or_default() {
        match destination(&text) {
            Ok(destination) => destinations.push(destination),
            Err(expected) => members.refuse_as("destinations", &format!("{text:?}"), expected),
        }
    }
    destinations
}

/// An address as written, with its scheme: digits with at most one dash are a number, all else is a
/// SIP address.
fn destination(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "a telephone number such as tel:+15550100, or sip:name@host";
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, rest)) if !rest.is_empty() => match scheme.as_str() {
            "tel" if is_number(rest) => Ok(format!("tel:{rest}")),
            "sip" | "sips" if rest.contains('@') => Ok(format!("{scheme}:{rest}")),
            "con" => Err("a number; conferences are joined by connect_to_conference"),
            _ => Err(EXPECTED),
        },
        Some(_) => Err(EXPECTED),
        None if is_number(text) => Ok(format!("tel:{text}")),
        None if text.contains('@') => Ok(format!("sip:{text}")),
        None => Err(EXPECTED),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let dashes = digits.matches('-').count();
    !digits.is_empty()
        && dashes <= 1
        && digits.chars().all(|sign| sign.is_ascii_digit() || sign == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_with_one_dash_are_a_number_and_all_else_is_an_address() {
        assert_eq!(destination("1555-0100").unwrap(), "tel:1555-0100");
        assert_eq!(destination("TEL:+15550100").unwrap(), "tel:+15550100");
        assert_eq!(destination("ann@example.com").unwrap(), "sip:ann@example.com");
        for text in ["1-555-0100", "loc:service", "con:room", "tel:", "tel:ann", "", "webrtc:a"] {
            assert!(destination(text).is_err(), "{text}");
        }
    }
}
