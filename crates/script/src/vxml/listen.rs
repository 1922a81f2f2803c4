//! Listens: plays what is queued, takes keys and speech, and decides when they are an answer
//! (VoiceXML 2.0 §4.1.8, App. D).

use std::sync::Arc;
use std::time::Duration;

use domain::time::Timestamp;
use zeroize::Zeroize as _;

use super::fault::Fault;
use super::fia::{Phase, Vxml};
use super::form::Source;
use super::grammar::{Grammar, is_key};
use super::hear::Ear;
use super::prompt::{Bargein, Playing};
use super::property::InputRule;
use super::result::{Circumstances, Reading};
use super::rivals::{Decision, Rivals};
use super::value::Value;
use crate::step::{PlayError, PlayId, Step, Timer};

/// A grammar in force, and what a match of it means.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) source: Source,
    pub(super) grammar: Arc<Grammar>,
}

/// Listening under way.
#[derive(Debug)]
pub(super) struct Listening {
    /// What keys may match.
    rivals: Rivals,
    pub(super) ear: Ear,
    pub(super) rule: InputRule,
    /// What still plays, and what may interrupt it.
    pub(super) playing: Playing,
    /// The last mark that was played, when, and how long before the prompts ended.
    mark: Option<(String, Timestamp, Option<Duration>)>,
    /// Silence after the prompts until `noinput`.
    timeout: Duration,
    pub(super) deadline: Option<(Timestamp, Timer)>,
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
        let rivals = Rivals::new(&active, &rule)?;
        let timeout = self.prompts.timeout().unwrap_or(rule.timeout);
        let mut listening = Listening {
            rivals,
            ear: Ear::new(&active, &rule),
            timeout,
            playing: Playing::default(),
            mark: None,
            deadline: None,
            rule,
        };
        if !listening.rule.dtmf || self.prompts.holds_the_floor() {
            self.ahead.zeroize();
        }
        if self.ahead.is_empty() {
            listening.playing = self.flush();
            listening.await_input(self.now);
            self.phase = Phase::Listening(Box::new(listening));
            return self.open_ear();
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
        if listening.playing.holds_the_floor() || !listening.rule.dtmf || !is_key(key) {
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
        self.input_came();
        self.close_ear();
        let keys_max = self.limits.keys_max;
        let now = self.now;
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if !listening.awaits_hotword() && listening.cut_short(now) {
            self.steps.push_back(Step::StopPlay);
        }
        let waited = matches!(listening.deadline, Some((_, Timer::Term)));
        match listening.rivals.press(key, &listening.rule, waited, keys_max) {
            Ok(decision) => self.decide(decision),
            Err(fault) => self.raise(fault),
        }
    }

    /// A timer of the listening ran out.
    pub(super) fn listen_expired(&mut self, timer: Timer) {
        let Phase::Listening(listening) = &self.phase else {
            return;
        };
        match timer {
            Timer::InterDigit | Timer::Term => {
                let decision = listening.rivals.give_up();
                self.decide(decision);
            }
            Timer::NoInput => {
                self.leave_listening();
                self.throw_own("noinput");
            }
            // The recognizer has heard speech begin and never said how it ended.
            Timer::Reply => self.speech_too_long(),
            Timer::FetchAudio
            | Timer::Retry
            | Timer::Sleep
            | Timer::TransferConnect
            | Timer::TransferMax => {}
        }
    }

    pub(super) fn play_ended(&mut self, ended: PlayId) {
        let now = self.now;
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if !listening.playing.contains(ended) {
            return;
        }
        listening.playing.ended(ended);
        if listening.playing.is_empty() {
            listening.freeze_mark(now);
        }
        listening.await_input(now);
        if let Err(fault) = self.open_ear() {
            self.raise(fault);
        }
    }

    /// A prompt could not be had: the document may say what then.
    pub(super) fn play_failed(&mut self, failed: PlayId, error: &PlayError) {
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if !listening.playing.contains(failed) {
            return;
        }
        listening.playing.ended(failed);
        self.leave_listening();
        let fault = Self::play_fault(error);
        self.raise(fault);
    }

    /// What is played has come to a mark.
    pub(super) fn mark_reached(&mut self, play: PlayId, name: String) {
        let now = self.now;
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if listening.playing.contains(play) {
            listening.mark = Some((name, now, None));
        }
    }

    fn decide(&mut self, decision: Decision) {
        let decided = match decision {
            Decision::Wait(timer) => {
                self.wait_for_more(timer);
                Ok(())
            }
            Decision::Match(rival) => self.accept_keys(rival),
            Decision::MatchBefore(rival, key) => {
                self.ahead.insert(0, key);
                self.accept_keys(rival)
            }
            Decision::NoMatch => self.reject_keys(),
        };
        if let Err(fault) = decided {
            self.raise(fault);
        }
    }

    fn wait_for_more(&mut self, timer: Timer) {
        let now = self.now;
        if let Phase::Listening(listening) = &mut self.phase {
            let wait = match timer {
                Timer::Term => listening.rule.term_timeout,
                _ => listening.rule.inter_digit,
            };
            listening.deadline = Some((now + wait, timer));
        }
    }

    fn accept_keys(&mut self, rival: usize) -> Result<(), Fault> {
        let Some(listening) = self.leave_listening() else {
            return Ok(());
        };
        let (source, meaning) = listening.rivals.answer(rival)?;
        let value = self.meant_by(&source, meaning)?;
        let reading = Reading::keys(listening.rivals.utterance(), value.clone());
        self.remember(&[reading], &listening.circumstances())?;
        self.matched(source, value)
    }

    fn reject_keys(&mut self) -> Result<(), Fault> {
        let now = self.now;
        if let Phase::Listening(listening) = &mut self.phase
            && listening.awaits_hotword()
        {
            // What is not the word is not heard (VoiceXML 2.0 §4.1.5.1).
            listening.rivals.reset()?;
            listening.deadline = None;
            listening.await_input(now);
            return self.open_ear();
        }
        let Some(listening) = self.leave_listening() else {
            return Ok(());
        };
        // What was keyed behind a wrong key belongs to it.
        self.ahead.zeroize();
        let reading = Reading::keys(listening.rivals.utterance(), Value::Undefined);
        self.remember(&[reading], &listening.circumstances())?;
        self.throw_own("nomatch");
        Ok(())
    }

    /// The callee did something: what is counted between inputs starts again.
    pub(super) fn input_came(&mut self) {
        self.usage.input();
        self.scopes.input();
    }

    /// Ends the listening, and what still goes on for it.
    pub(super) fn leave_listening(&mut self) -> Option<Listening> {
        if !matches!(self.phase, Phase::Listening(_)) {
            return None;
        }
        self.close_ear();
        let Phase::Listening(mut listening) = std::mem::replace(&mut self.phase, Phase::Busy)
        else {
            return None;
        };
        if listening.cut_short(self.now) {
            self.steps.push_back(Step::StopPlay);
        }
        Some(*listening)
    }
}

impl Listening {
    /// Nothing plays any more: silence counts from here.
    fn await_input(&mut self, now: Timestamp) {
        if self.playing.is_empty() && self.rivals.is_fresh() {
            self.deadline = Some((now + self.timeout, Timer::NoInput));
        }
    }

    /// Whether what plays is interrupted only by input that matches as a whole.
    pub(super) fn awaits_hotword(&self) -> bool {
        self.playing.bargein() == Some(Bargein::Hotword)
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.rivals.is_empty()
    }

    /// Nothing plays any more; true where something did.
    pub(super) fn cut_short(&mut self, now: Timestamp) -> bool {
        let was_heard = !self.playing.is_empty();
        if was_heard {
            self.playing.clear();
            self.freeze_mark(now);
        }
        was_heard
    }

    fn freeze_mark(&mut self, now: Timestamp) {
        if let Some((_, at, time)) = &mut self.mark {
            time.get_or_insert(now.since(*at));
        }
    }

    pub(super) fn circumstances(&self) -> Circumstances {
        let mark = self.mark.as_ref();
        let mark = mark.and_then(|(name, _, time)| Some((name.clone(), (*time)?)));
        Circumstances { mark, recording: None }
    }
}
