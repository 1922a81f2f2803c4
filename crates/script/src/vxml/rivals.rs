//! Grammars of keys that are active together, and the keys they have heard (VoiceXML 2.0 App. D).

use std::sync::Arc;

use zeroize::{Zeroize as _, Zeroizing};

use super::fault::Fault;
use super::form::Source;
use super::grammar::{Grammar, Matcher, Meaning, Mode};
use super::listen::Active;
use super::property::InputRule;
use super::value::Value;
use crate::step::Timer;

/// What may match keys, in order of precedence, and the keys so far.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    rivals: Vec<(Source, Matcher)>,
    keys: Keys,
}

/// Keys of one input, each as a token of the grammar; kept apart from texts, and wiped.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The answer of this rival.
    Match(usize),
    /// The same, and a key that belongs to the next input.
    MatchBefore(usize, char),
    NoMatch,
    /// More is awaited until this runs out.
    Wait(Timer),
}

impl Rivals {
    /// The grammars of keys among these.
    pub(super) fn new(active: &[Active], rule: &InputRule) -> Result<Self, Fault> {
        let mut rivals = Vec::new();
        for active in active {
            if active.grammar.mode == Mode::Dtmf && rule.dtmf {
                let matcher = Matcher::new(Arc::clone(&active.grammar))?;
                rivals.push((active.source.clone(), matcher));
            }
        }
        Ok(Self { rivals, keys: Keys::default() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rivals.is_empty()
    }

    /// Whether no key has been pressed yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.keys.0.is_empty()
    }

    /// Whether some grammar can go on with this key.
    pub(super) fn takes(&self, key: char) -> bool {
        let token = key.to_string();
        self.rivals.iter().any(|(_, matcher)| matcher.takes(&token))
    }

    /// Forgets the keys, as if none had been pressed.
    pub(super) fn reset(&mut self) -> Result<(), Fault> {
        self.keys = Keys::default();
        for (_, matcher) in &mut self.rivals {
            let grammar: Arc<Grammar> = Arc::clone(matcher.grammar());
            *matcher = Matcher::new(grammar)?;
        }
        Ok(())
    }

    /// Takes one key; `waited`: it comes while only the terminating key was awaited.
    pub(super) fn press(
        &mut self,
        key: char,
        rule: &InputRule,
        waited: bool,
        keys_max: usize,
    ) -> Result<Decision, Fault> {
        let something = !self.keys.0.is_empty() || self.best().is_some();
        if !self.takes(key) && rule.term_char == Some(key) && something {
            // The terminating key is no part of what it ends.
            return Ok(self.give_up());
        }
        if let (true, Some(rival)) = (waited, self.best()) {
            return Ok(Decision::MatchBefore(rival, key));
        }
        let token = key.to_string();
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
        let awaits_term_char = rule.term_char.is_some() && !rule.term_timeout.is_zero();
        Ok(match (self.best(), more && !full) {
            (_, true) => Decision::Wait(Timer::InterDigit),
            (Some(_), false) if awaits_term_char => Decision::Wait(Timer::Term),
            (Some(rival), false) => Decision::Match(rival),
            (None, false) => Decision::NoMatch,
        })
    }

    /// No more keys come: what is there must do.
    pub(super) fn give_up(&self) -> Decision {
        self.best().map_or(Decision::NoMatch, Decision::Match)
    }

    /// The rival of highest precedence whose whole grammar the keys are.
    fn best(&self) -> Option<usize> {
        self.rivals.iter().position(|(_, matcher)| matcher.verdict().complete)
    }

    /// What a rival's match leads to, and what it means.
    pub(super) fn answer(&self, rival: usize) -> Result<(Source, Meaning), Fault> {
        let (source, matcher) = &self.rivals[rival];
        let meaning = matcher.meaning(&self.keys.0).unwrap_or_else(|| {
            // Only whole matches are accepted.
            Ok(Meaning::Is(Value::Undefined))
        })?;
        Ok((source.clone(), meaning))
    }

    /// The keys as a text, wiped when it goes.
    pub(super) fn utterance(&self) -> Zeroizing<String> {
        Zeroizing::new(self.keys.0.concat())
    }
}
