//! `get_number`: a number that the callee keys.

use super::collect::{DigitRule, Goal, Question};
use super::reader::Members;

/// Most keys of a number.
pub(super) const DIGITS_MAX: i64 = 100;

pub(super) fn read(members: &mut Members<'_>) -> Question {
    let next_page = members.needed_page("next_page");
    let prompt = members.play("prompt");
    let count = members.whole("digit_count", 0..=DIGITS_MAX, 0);
    let end = members.key("end_digit", Some('#'));
    let valid = members.keys("valid_digits", "0123456789");
    let help = members.key("help_digit", Some('*'));
    // The first release had a time for each key only.
    let older = members.seconds("seconds_digit_timeout", 5.0).as_secs_f64();
    let total = members.seconds("seconds_timeout", 30.0);
    let inter = members.milliseconds("milliseconds_inter_digit_timeout", older * 1_000.0);
    let initial =
        members.milliseconds("milliseconds_initial_timeout", inter.as_secs_f64() * 1_000.0);
    let on_timeout = members.plays("on_digit_timeout_messages").unwrap_or_default();
    let on_invalid = members.plays("on_invalid_digit_messages").unwrap_or_default();
    if count == 0 && end.is_none() {
        let expected = "a key, for without digit_count only it ends the number";
        members.refuse_as("end_digit", "none", expected);
    }
    Question {
        name: "get_number",
        prompt,
        digits: Some(DigitRule {
            count: usize::try_from(count).unwrap_or(0),
            end,
            valid,
            help,
            initial: Some(initial).filter(|time| !time.is_zero()),
            inter: Some(inter).filter(|time| !time.is_zero()),
            total: Some(total),
        }),
        speech: None,
        on_timeout,
        on_invalid,
        goal: Goal::Number(next_page),
    }
}
