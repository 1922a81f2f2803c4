//! `get_input`: words or keys, whichever comes.

use std::time::Duration;

use super::collect::{DigitRule, Goal, Question};
use super::reader::Members;
use super::speech::SpeechRule;

/// Most keys of an input.
const DIGITS_MAX: i64 = 32;
/// How long nothing may come, where the page does not say.
const TIMEOUT_S: f64 = 5.0;

pub(super) fn read(members: &mut Members<'_>) -> Question {
    let next_page = members.needed_page("next_page");
    let prompt = members.play("prompt");
    let speech = members.word("speech_input_mode", &["timeout", "auto", "disabled"]);
    let (mut phrases, mut language) = (Vec::new(), None);
    if let Some(mut options) = members.object("speech_recognition_options", "an object") {
        language = options.text("language");
        phrases = options.texts("phrases", "a list of texts").unwrap_or_default();
        options.text("model");
        options.finish();
    }
    let pause = members.milliseconds("milliseconds_inter_speech_timeout", 1_000.0);
    let total = Some(members.seconds("seconds_timeout", TIMEOUT_S)).filter(|it| !it.is_zero());
    let digits = members.flag("digit_input_enabled", true);
    let rule = read_digits(members, total);
    if !digits && speech == "disabled" {
        members.refuse_as("digit_input_enabled", "false", "true, for speech is disabled, too");
    }
    Question {
        name: "get_input",
        prompt,
        digits: digits.then_some(rule),
        speech: (speech != "disabled").then_some(SpeechRule { phrases, language, pause, total }),
        on_timeout: members.plays("on_input_timeout_messages").unwrap_or_default(),
        on_invalid: members.plays("on_invalid_input_messages").unwrap_or_default(),
        goal: Goal::Input(next_page),
    }
}

fn read_digits(members: &mut Members<'_>, total: Option<Duration>) -> DigitRule {
    let mut rule = DigitRule {
        count: 0,
        end: Some('#'),
        valid: "0123456789".to_owned(),
        help: None,
        initial: total,
        inter: Some(Duration::from_secs(5)),
        total: None,
    };
    if let Some(mut options) = members.object("digit_input_options", "an object") {
        let count = options.whole("digit_count", 0..=DIGITS_MAX, 0);
        rule.count = usize::try_from(count).unwrap_or(0);
        rule.end = options.key("end_digit", Some('#'));
        rule.valid = options.keys("valid_digits", "0123456789");
        let inter = options.milliseconds("milliseconds_inter_digit_timeout", 5_000.0);
        rule.inter = Some(inter).filter(|time| !time.is_zero());
        if count == 0 && rule.end.is_none() {
            let expected = "a key, for without digit_count only it ends the input";
            options.refuse_as("end_digit", "none", expected);
        }
        options.finish();
    }
    rule
}
