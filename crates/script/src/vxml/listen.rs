//! Listens: plays what is queued, takes keys, and decides when they are an answer
//! (VoiceXML 2.0 §4.1.8, App. D).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::time::Timestamp;
use zeroize::{Zeroize as _, Zeroizing};

use super::event::Event;
use super::fault::Fault;
use super::fia::{Phase, Vxml};
use super::form::Source;
use super::grammar::{Grammar, Matcher, Meaning, Mode, is_key};
use super::property::InputRule;
use super::value::Value;
use crate::step::{PlayError, PlayId, Step, Timer};

/// A grammar in force, and what a match of it means.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) source: Source,
    pub(super) grammar: Arc<Grammar>,
}

/// Listening under way.
#[derive(Debug)]
pub(super) struct Listening {
    /// What may match, in order of precedence.
    rivals: Vec<(Source, Matcher)>,
    rule: InputRule,
    /// Keys so far; kept apart from texts, and wiped.
    keys: Keys,
    /// What still plays, and whether it may be interrupted.
    plays: VecDeque<(PlayId, bool)>,
    /// Silence after the prompts until `noinput`.
    timeout: Duration,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

/// Keys of one input, each as a token of the grammar.
#[derive(Debug, Default)]
struct Keys(Vec<String>);

impl Drop for Keys {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(String::zeroize);
    }
}

/// Most states that the rivals may keep together; grammars that people write need hundreds.
const WORK_MAX: usize = 200_000;

/// What a key, or the lack of one, has decided.
enum Decision {
    /// The answer of this rival.
    Match(usize),
    /// The same, and a key that belongs to the next input.
    MatchBefore(usize, char),
    NoMatch,
    /// More is awaited until this runs out.
    Wait(Timer),
}

impl Vxml {
    /// Begins to listen; keys pressed before count, unless a prompt holds the floor.
    pub(super) fn listen(&mut self, active: Vec<Active>) -> Result<(), Fault> {
        if active.is_empty() {
            let message = "nothing can be matched here: no grammar is active; add a <grammar>, a \
                           type or <option>s";
            return Err(Fault::semantic(message));
        }
        let rule = self.properties().input_rule()?;
        let mut rivals = Vec::new();
        for active in active {
            if active.grammar.mode == Mode::Dtmf && rule.dtmf {
                rivals.push((active.source, Matcher::new(active.grammar)?));
            }
        }
        let timeout = self.prompts.timeout().unwrap_or(rule.timeout);
        let mut listening = Listening {
            rivals,
            timeout,
            keys: Keys::default(),
            plays: VecDeque::new(),
            deadline: None,
            rule,
        };
        if !listening.rule.dtmf || self.prompts.holds_the_floor() {
            self.ahead.zeroize();
        }
        if self.ahead.is_empty() {
            listening.plays = self.flush();
            listening.await_input(self.now);
            self.phase = Phase::Listening(Box::new(listening));
            return Ok(());
        }
        // The callee knows the way and has keyed ahead: no need to say it all.
        self.prompts.take();
        self.phase = Phase::Listening(Box::new(listening));
        while matches!(self.phase, Phase::Listening(_)) && !self.ahead.is_empty() {
            let key = self.ahead.remove(0);
            self.take_key(key);
        }
        Ok(())
    }

    /// A key while listening; as long as a prompt that holds the floor plays or is yet to come,
    /// keys do not count.
    pub(super) fn key(&mut self, key: char) {
        let Phase::Listening(listening) = &self.phase else {
            return;
        };
        // What must be heard to its end must not be jumped over either.
        let held = listening.plays.iter().any(|(_, bargein)| !bargein);
        if held || !listening.rule.dtmf || !is_key(key) {
            return;
        }
        self.take_key(key);
    }

    /// A key that comes too early is kept for the next input.
    pub(super) fn type_ahead(&mut self, key: char) {
        if is_key(key) && self.ahead.len() < self.limits.keys_max {
            self.ahead.push(key);
        }
    }

    fn take_key(&mut self, key: char) {
        self.usage.input();
        self.scopes.input();
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if !listening.plays.is_empty() {
            listening.plays.clear();
            self.steps.push_back(Step::StopPlay);
        }
        match listening.press(key, self.limits.keys_max) {
            Ok(decision) => self.decide(decision),
            Err(fault) => self.raise(fault),
        }
    }

    /// A timer of the listening ran out.
    pub(super) fn expired(&mut self, timer: Timer) {
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        // A timer may run out while the key that stops it is on its way.
        let due = listening.deadline.is_some_and(|(at, own)| own == timer && at <= self.now);
        if !due {
            return;
        }
        match timer {
            Timer::InterDigit | Timer::Term => {
                let decision = listening.give_up();
                self.decide(decision);
            }
            Timer::NoInput => {
                self.phase = Phase::Busy;
                let event = Event { name: "noinput".to_owned(), message: None };
                self.throw(event, None);
            }
        }
    }

    pub(super) fn play_ended(&mut self, ended: PlayId) {
        let now = self.now;
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if listening.plays.iter().any(|(play, _)| *play == ended) {
            listening.plays.retain(|(play, _)| *play > ended);
            listening.await_input(now);
        }
    }

    /// A prompt could not be had: the document may say what then.
    pub(super) fn play_failed(&mut self, failed: PlayId, error: &PlayError) {
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if !listening.plays.iter().any(|(play, _)| *play == failed) {
            return;
        }
        listening.plays.retain(|(play, _)| *play > failed);
        if !listening.plays.is_empty() {
            self.steps.push_back(Step::StopPlay);
        }
        self.phase = Phase::Busy;
        let fault = Self::play_fault(error);
        self.raise(fault);
    }

    fn decide(&mut self, decision: Decision) {
        let decided = match decision {
            Decision::Wait(timer) => {
                self.wait_for_more(timer);
                Ok(())
            }
            Decision::Match(rival) => self.accept(rival),
            Decision::MatchBefore(rival, key) => {
                self.ahead.insert(0, key);
                self.accept(rival)
            }
            Decision::NoMatch => self.reject(),
        };
        if let Err(fault) = decided {
            self.raise(fault);
        }
    }

    fn wait_for_more(&mut self, timer: Timer) {
        let now = self.now;
        if let Phase::Listening(listening) = &mut self.phase {
            let wait = match timer {
                Timer::InterDigit => listening.rule.inter_digit,
                Timer::NoInput => listening.timeout,
                Timer::Term => listening.rule.term_timeout,
            };
            listening.deadline = Some((now + wait, timer));
        }
    }

    fn accept(&mut self, rival: usize) -> Result<(), Fault> {
        let Phase::Listening(listening) = std::mem::replace(&mut self.phase, Phase::Busy) else {
            return Ok(());
        };
        let (source, matcher) = &listening.rivals[rival];
        let meaning = matcher.meaning(&listening.keys.0).unwrap_or_else(|| {
            // Only whole matches are accepted.
            Ok(Meaning::Is(Value::Undefined))
        })?;
        let value = match meaning {
            Meaning::Is(value) => value,
            Meaning::Computed(program) => self.scopes.interpret(&program)?,
        };
        self.remember(&listening.keys, value.clone())?;
        self.matched(source.clone(), value)
    }

    fn reject(&mut self) -> Result<(), Fault> {
        let Phase::Listening(listening) = std::mem::replace(&mut self.phase, Phase::Busy) else {
            return Ok(());
        };
        // What was keyed behind a wrong key belongs to it.
        self.ahead.zeroize();
        self.remember(&listening.keys, Value::Undefined)?;
        let event = Event { name: "nomatch".to_owned(), message: None };
        self.throw(event, None);
        Ok(())
    }

    /// `application.lastresult$`, also of what did not match (VoiceXML 2.0 §5.1.5).
    fn remember(&mut self, keys: &Keys, value: Value) -> Result<(), Fault> {
        let result = Value::Record(vec![
            ("confidence".to_owned(), Value::Number(1.0)),
            ("utterance".to_owned(), Value::Text(Zeroizing::new(keys.0.concat()))),
            ("inputmode".to_owned(), Value::text("dtmf")),
            ("interpretation".to_owned(), value),
        ]);
        self.pages.last_result = result.clone();
        self.scopes.set_last_result(result)
    }
}

impl Listening {
    /// Nothing plays any more: silence counts from here.
    fn await_input(&mut self, now: Timestamp) {
        if self.plays.is_empty() {
            self.deadline = Some((now + self.timeout, Timer::NoInput));
        }
    }

    fn press(&mut self, key: char, keys_max: usize) -> Result<Decision, Fault> {
        let token = key.to_string();
        let taken = self.rivals.iter().any(|(_, matcher)| matcher.takes(&token));
        let something = !self.keys.0.is_empty() || self.best().is_some();
        if !taken && self.rule.term_char == Some(key) && something {
            // The terminating key is no part of what it ends.
            return Ok(self.give_up());
        }
        let waited = matches!(self.deadline, Some((_, Timer::Term)));
        if let (true, Some(rival)) = (waited, self.best()) {
            return Ok(Decision::MatchBefore(rival, key));
        }
        self.keys.0.push(token.clone());
        let mut more = false;
        let mut work = 0;
        for (_, matcher) in &mut self.rivals {
            more |= matcher.feed(&token)?.more;
            work += matcher.work();
            if work > WORK_MAX {
                let message = "the grammars that are active together are too ambiguous";
                return Err(Fault::semantic(message));
            }
        }
        let full = self.keys.0.len() >= keys_max;
        Ok(match (self.best(), more && !full) {
            (_, true) => Decision::Wait(Timer::InterDigit),
            (Some(_), false) if self.awaits_term_char() => Decision::Wait(Timer::Term),
            (Some(rival), false) => Decision::Match(rival),
            (None, false) => Decision::NoMatch,
        })
    }

    fn awaits_term_char(&self) -> bool {
        self.rule.term_char.is_some() && !self.rule.term_timeout.is_zero()
    }

    /// No more keys come: what is there must do.
    fn give_up(&self) -> Decision {
        self.best().map_or(Decision::NoMatch, Decision::Match)
    }

    /// The rival of highest precedence whose whole grammar the keys are.
    fn best(&self) -> Option<usize> {
        self.rivals.iter().position(|(_, matcher)| matcher.verdict().complete)
    }
}
