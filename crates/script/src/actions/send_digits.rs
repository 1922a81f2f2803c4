//! `send_digits`: keys for the callee.

use super::reader::{Members, is_key};
use super::runner::{Phase, Runner};
use crate::step::Step;

/// Most keys at once, pauses included: some twenty seconds.
const KEYS_MAX: usize = 100;

pub(super) fn read(members: &mut Members<'_>) -> String {
    let keys = members.needed_text("digits", "the keys to send, such as 1234#");
    let fits = keys.len() <= KEYS_MAX && keys.chars().all(|key| is_key(key) || key == ',');
    if !fits {
        let expected = format!("1 to {KEYS_MAX} of the keys 0-9 A-D * # and the pause ,");
        members.refuse_as("digits", "something else", &expected);
    }
    keys.to_ascii_uppercase()
}

impl Runner {
    /// `send_digits`.
    pub(super) fn begin_send_digits(&mut self, keys: String) {
        self.steps.push_back(Step::SendKeys { keys });
        self.phase = Phase::Sending;
    }

    pub(super) fn digits_sent(&mut self) {
        self.usage.noticed();
        self.phase = Phase::Busy;
    }
}
