//! The callee of a test: does what the manifest says, and judges what he has heard.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use script::step::{Transfer, TransferEnd};
use serde_json::Value as Json;

use super::manifest::{Profile, Test, TransferCheck, Verdict};
use crate::script::rehearsal::{Act, Callee, Event, FarEnd, Turn};

/// Silences after the last input, until the callee hangs up and the test has failed.
const SILENCES_MAX: u32 = 5;

/// The callee of one test.
#[derive(Debug)]
pub(super) struct Tester {
    inputs: VecDeque<Act>,
    silences: u32,
    far_end: FarEnd,
    hangs_up_talking: bool,
    /// What the callee presses while the two talk.
    keys_talking: Option<String>,
    /// What was heard: texts and sounds.
    heard: Vec<Sound>,
    logs: Vec<String>,
    transferred_to: Vec<String>,
    gave_up: bool,
    pub(super) story: Vec<String>,
}

#[derive(Debug)]
enum Sound {
    Audio(String),
    Text(String),
}

impl Tester {
    pub(super) fn new(test: &Test, profile: &Profile) -> Self {
        let transfer = test.check.transfer.as_ref();
        Self {
            inputs: profile.inputs.iter().map(act).collect(),
            silences: 0,
            far_end: transfer.map_or(FarEnd::Ends(TransferEnd::BadDestination), far_end),
            hangs_up_talking: transfer.is_some_and(|transfer| transfer.caller.contains("hang")),
            keys_talking: transfer.and_then(|transfer| pressed(&transfer.caller)),
            heard: Vec::new(),
            logs: Vec::new(),
            transferred_to: Vec::new(),
            gave_up: false,
            story: Vec::new(),
        }
    }

    /// Why the test has failed; `None` where it has passed.
    pub(super) fn judge(&self, test: &Test, values: &BTreeMap<String, String>) -> Option<String> {
        let value = values.get("exit").map(String::as_str);
        if self.gave_up {
            return Some("nothing came of the inputs; the callee hung up".to_owned());
        }
        match (test.verdict, value) {
            (Verdict::ExitPass, Some("pass")) => {}
            (Verdict::NoFail, value) if value != Some("fail") => {}
            (_, value) => {
                return Some(format!("it ended with {}", value.unwrap_or("no value")));
            }
        }
        let check = &test.check;
        if let Some(wanted) = &check.exit_value {
            let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
            if value != Some(wanted.as_str()) {
                return Some(format!("the exit value is not {wanted}"));
            }
        }
        if let Some(dest) = check.transfer.as_ref().and_then(|transfer| transfer.dest.as_ref())
            && !self.transferred_to.contains(dest)
        {
            return Some(format!("nothing was transferred to {dest}"));
        }
        if check.ends_by.as_deref() == Some("hangup") && value.is_some() {
            return Some("it ended by an exit, not by hanging up".to_owned());
        }
        self.judge_output(&check.output_in_order)
            .or_else(|| judge_logs(&self.logs, &check.log_in_order, &check.log_contains))
    }

    fn judge_output(&self, wanted: &[String]) -> Option<String> {
        let mut heard = self.heard.iter().flat_map(Sound::tokens);
        for part in wanted {
            let found = match part.split_once(':') {
                Some(("audio", name)) => heard.any(|token| token.ends_with(name)),
                Some(("text", text)) => words(text).all(|word| heard.any(|token| token == word)),
                _ => words(part).all(|word| heard.any(|token| token == word)),
            };
            if !found {
                return Some(format!("{part} was not heard in its turn"));
            }
        }
        None
    }

    fn next_input(&mut self) -> Act {
        if let Some(act) = self.inputs.pop_front() {
            return act;
        }
        self.silences += 1;
        if self.silences > SILENCES_MAX {
            self.gave_up = true;
            return Act::HangUp;
        }
        Act::Silence
    }
}

impl Callee for Tester {
    fn sees(&mut self, event: Event<'_>) {
        match event {
            Event::Audio(address) => self.heard.push(Sound::Audio(address.to_owned())),
            Event::Says(text) => self.heard.push(Sound::Text(text.to_owned())),
            Event::Log { label, text } => self.logs.push(format!("{label} {text}")),
            Event::Transfers(transfer) => self.transferred_to.push(transfer.destination.clone()),
            Event::Ended(_)
            | Event::HangsUp
            | Event::Keys(_)
            | Event::NoAudio { .. }
            | Event::Problem { .. }
            | Event::Records(_)
            | Event::TimeRuns(_) => {}
        }
        self.story.push(format!("{event:?}"));
    }

    fn acts(&mut self, turn: Turn) -> Act {
        let act = match turn {
            Turn::Listening { .. } => self.next_input(),
            Turn::Recording => match self.inputs.pop_front() {
                Some(act) => act,
                None => Act::Speech(Duration::from_secs(5)),
            },
            Turn::Talking if self.hangs_up_talking => Act::HangUp,
            Turn::Talking => match (self.inputs.front(), self.keys_talking.take()) {
                (Some(Act::Keys(_) | Act::HangUp), _) => self.next_input(),
                (_, Some(keys)) => Act::Keys(keys),
                (_, None) => Act::Silence,
            },
        };
        self.story.push(format!("callee: {act:?}"));
        act
    }

    fn far_end(&mut self, _: &Transfer) -> FarEnd {
        self.far_end
    }
}

impl Sound {
    fn tokens(&self) -> Vec<String> {
        match self {
            Self::Audio(address) => vec![address.clone()],
            Self::Text(text) => words(text).collect(),
        }
    }
}

fn judge_logs(logs: &[String], in_order: &[String], contained: &[String]) -> Option<String> {
    let all = logs.join("\n");
    let mut rest = all.as_str();
    for part in in_order {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return Some(format!("{part:?} was not logged in its turn")),
        }
    }
    let missing = contained.iter().find(|part| !all.contains(part.as_str()))?;
    Some(format!("{missing:?} was not logged"))
}

/// White space and punctuation may differ between what is written and what is spoken.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase)
}

/// One input of the manifest, as `{"dtmf": "1"}`.
fn act(input: &BTreeMap<String, Json>) -> Act {
    let text = |name: &str| input.get(name).and_then(Json::as_str).map(str::to_owned);
    let is = |name: &str| input.get(name).is_some_and(|value| *value != Json::Bool(false));
    if let Some(keys) = text("dtmf") {
        Act::Keys(keys)
    } else if let Some(words) = text("say") {
        Act::Words(words)
    } else if is("hangup") {
        Act::HangUp
    } else if is("nomatch") {
        Act::Noise
    } else if is("noinput") || input.is_empty() {
        Act::Silence
    } else {
        // Something to be recorded, whatever it is called.
        let seconds = input.values().find_map(Json::as_u64).unwrap_or(5);
        Act::Speech(Duration::from_secs(seconds))
    }
}

/// The keys that a callee presses who is described in words, as `presses 1`.
fn pressed(does: &str) -> Option<String> {
    let (_, after) = does.split_once("press")?;
    let mut words = after.split(|c: char| c.is_whitespace() || ",;\"'".contains(c));
    let is_key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
    words.find(|word| !word.is_empty() && word.chars().all(is_key)).map(str::to_owned)
}

/// What a far end does that is described in words.
fn far_end(transfer: &TransferCheck) -> FarEnd {
    let says = |word: &str| transfer.far_end.contains(word);
    let ends = FarEnd::Ends;
    if says("blind") || says("accept") {
        ends(TransferEnd::Transferred)
    } else if says("never answer") || says("no answer") || says("noanswer") {
        FarEnd::Rings
    } else if says("network busy") {
        ends(TransferEnd::NetworkBusy)
    } else if says("busy") {
        ends(TransferEnd::Busy)
    } else if says("network disconnect") || says("network hangs up") {
        ends(TransferEnd::Network)
    } else if says("authori") {
        ends(TransferEnd::NoAuthorization)
    } else if says("no route") {
        ends(TransferEnd::NoRoute)
    } else if says("no resource") {
        ends(TransferEnd::NoResource)
    } else if says("stay") {
        FarEnd::Answers(None)
    } else if says("answer") {
        FarEnd::Answers(Some(Duration::from_secs(2)))
    } else {
        ends(TransferEnd::BadDestination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_compared_word_by_word_in_order() {
        let test: Test = serde_json::from_str(
            r#"{"key": "k", "profiles": {}, "check": {"output_in_order":
                ["text:alpha", "audio:b.wav", "text:charlie delta"]}}"#,
        )
        .unwrap();
        let profile = Profile { start: String::new(), inputs: Vec::new() };
        let mut tester = Tester::new(&test, &profile);
        tester.sees(Event::Says("Alpha. "));
        tester.sees(Event::Audio("http://x/b.wav"));
        tester.sees(Event::Says("for charlie,"));
        let wanted = &test.check.output_in_order;
        assert!(tester.judge_output(wanted).is_some_and(|reason| reason.contains("delta")));
        tester.sees(Event::Says("Delta"));
        assert_eq!(tester.judge_output(wanted), None);
    }

    #[test]
    fn keys_of_a_talking_callee_are_read_from_words() {
        assert_eq!(pressed("presses 1 to end it").as_deref(), Some("1"));
        assert_eq!(pressed("press '*', then wait").as_deref(), Some("*"));
        assert_eq!(pressed("stay"), None);
        assert_eq!(pressed("press nothing"), None);
    }

    #[test]
    fn a_callee_without_inputs_is_silent_and_then_hangs_up() {
        let test: Test = serde_json::from_str(r#"{"key": "k", "profiles": {}}"#).unwrap();
        let profile = Profile { start: String::new(), inputs: Vec::new() };
        let mut tester = Tester::new(&test, &profile);
        let turn = Turn::Listening { speech: false };
        let acts: Vec<_> = (0..6).map(|_| tester.acts(turn)).collect();
        assert_eq!(acts[4..], [Act::Silence, Act::HangUp]);
        assert!(tester.judge(&test, &BTreeMap::new()).is_some());
    }
}
