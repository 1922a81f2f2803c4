//! `run_speech_menu`: a choice by a word, or by a key.

use std::time::Duration;

use super::collect::{Choice, DigitRule, Goal, Question};
use super::reader::Members;
use super::speech::SpeechRule;

/// Silence after which a choice has been said.
const PAUSE: Duration = Duration::from_millis(700);

pub(super) fn read(members: &mut Members<'_>) -> Question {
    let mut choices = Vec::new();
    let sample = "a list such as [{\"word\": \"yes\", \"next_page\": {\"url\": \"yes\"}}]";
    members.each("menu_options", sample, |option| {
        let digit = option.key("digit", None);
        let word = option.text("word");
        let phrase = word.or(option.text("phrase")).filter(|phrase| !phrase.trim().is_empty());
        if digit.is_none() && phrase.is_none() {
            option.refuse_as("word", "nothing", "a word or phrase, or else a digit");
        }
        let next_page = option.needed_page("next_page");
        choices.push(Choice { digit, phrase, next_page });
    });
    if choices.is_empty() {
        members.refuse_as("menu_options", "nothing to choose from", sample);
    }
    let prompt = members.play("prompt");
    let language = members.text("language");
    if let Some(mut options) = members.object("speech_model_options", "an object") {
        options.text("model");
        options.finish();
    }
    let help = members.key("help_digit", Some('*'));
    let help_word = members.text("help_word").unwrap_or_else(|| "help".to_owned());
    let total = Some(members.seconds("seconds_timeout", 5.0)).filter(|time| !time.is_zero());
    let on_timeout = members.plays("on_input_timeout_messages").unwrap_or_default();
    let on_invalid = members.plays("on_invalid_input_messages").unwrap_or_default();
    let valid: String = choices.iter().filter_map(|choice| choice.digit).collect();
    let mut phrases: Vec<String> =
        choices.iter().filter_map(|choice| choice.phrase.clone()).collect();
    let speaks = !phrases.is_empty();
    if !help_word.trim().is_empty() {
        phrases.push(help_word.clone());
    }
    let digits =
        DigitRule { count: 1, end: None, valid, help, initial: total, inter: None, total: None };
    Question {
        name: "run_speech_menu",
        prompt,
        digits: Some(digits),
        speech: speaks.then_some(SpeechRule { phrases, language, pause: PAUSE, total }),
        on_timeout,
        on_invalid,
        goal: Goal::SpeechMenu { choices, help_word },
    }
}
