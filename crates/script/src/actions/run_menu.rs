//! `run_menu`: a choice by one key.

use super::collect::{Choice, DigitRule, Goal, Question};
use super::play::PlayList;
use super::reader::Members;

pub(super) fn read(members: &mut Members<'_>) -> Question {
    let mut choices = Vec::new();
    let sample = "a list such as [{\"digit\": \"1\", \"next_page\": {\"url\": \"one\"}}]";
    members.each("menu_options", sample, |option| {
        let digit = option.key("digit", None);
        if digit.is_none() {
            option.refuse_as("digit", "none", "one of 0-9 A-D * #");
        }
        let next_page = option.needed_page("next_page");
        choices.push(Choice { digit, phrase: None, next_page });
    });
    if choices.is_empty() {
        members.refuse_as("menu_options", "nothing to choose from", sample);
    }
    let prompt = members.play("prompt");
    let help = members.key("help_digit", Some('*'));
    let time = members.seconds("seconds_digit_timeout", 5.0);
    let messages = |messages: Option<Vec<PlayList>>, default: [&str; 2]| {
        messages.unwrap_or_else(|| default.map(PlayList::text).to_vec())
    };
    let on_timeout = messages(members.plays("on_digit_timeout_messages"), TIMEOUT);
    let on_invalid = messages(members.plays("on_invalid_digit_messages"), INVALID);
    let valid = choices.iter().filter_map(|choice| choice.digit).collect();
    Question {
        name: "run_menu",
        prompt,
        digits: Some(DigitRule {
            count: 1,
            end: None,
            valid,
            help,
            initial: Some(time).filter(|time| !time.is_zero()),
            inter: None,
            total: None,
        }),
        speech: None,
        on_timeout,
        on_invalid,
        goal: Goal::Menu(choices),
    }
}

/// What is said where the page does not say it.
const TIMEOUT: [&str; 2] = ["No key was pressed. Please try again.", "No key was pressed."];
const INVALID: [&str; 2] =
    ["That is not one of the choices. Please try again.", "That is not one of the choices."];
