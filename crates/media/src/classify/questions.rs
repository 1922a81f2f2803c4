//! When it is asked what was said, and what waits for the answer.

use super::Callee;
use super::words::{Speaker, speaker};

/// Questions that a call has at most: one for each phrase of a short announcement, and two for a
/// machine that talks on.
pub const QUESTIONS_MAX: u8 = 4;
/// Questions in the pauses after phrases at most; the others are left for a machine that talks on.
const PAUSE_QUESTIONS_MAX: u8 = 2;
/// Voice that is worth asking in a pause, in hops: a single word says nothing.
const PAUSE_HOPS_MIN: u32 = 60;
/// Voice in which no words of machines were found that speaks for a person, in hops: machines that
/// say what they are have said it by then.
const UNSAID_HOPS_MIN: u32 = 200;
/// Voice that is worth asking again, of a machine that waits for its words, in hops.
const AGAIN_HOPS_MIN: u32 = 50;

/// When it is asked what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// A machine would be firm.
    Firm,
    /// A phrase has ended.
    Pause,
    /// A machine that waits for its words talks on.
    TalksOn,
}

/// Questions of a call, and how many of them have an answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: u8,
    open: u8,
    /// Voice at the last question, in hops.
    asked_speech: u32,
    /// Voice at the last question whose answer told nothing, in hops; zero before.
    unsaid_speech: u32,
    /// A machine that is firm once all questions have their answer, by which chance, and the hop
    /// at which it is firm without.
    waiting: Option<(f32, u32)>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    /// Who speaks.
    Says(Callee),
    /// Nothing, and a machine waits for it, by this chance.
    Leaves(f32),
    /// Nothing, and nobody has waited.
    Nothing,
}

/// Where a machine stands that waits for its words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wait {
    /// It waits.
    Goes,
    /// It has waited long enough; its chance.
    Over(f32),
}

impl Questions {
    /// Whether to ask on this occasion, where so much voice was heard.
    pub(super) fn ask(&mut self, speech: u32, occasion: Occasion) -> bool {
        let (least, max) = match occasion {
            Occasion::Firm => (1, QUESTIONS_MAX),
            Occasion::Pause => (PAUSE_HOPS_MIN, PAUSE_QUESTIONS_MAX),
            Occasion::TalksOn => (AGAIN_HOPS_MIN, QUESTIONS_MAX),
        };
        let is_news = speech.saturating_sub(self.asked_speech) >= least;
        if !is_news || self.asked >= max {
            return false;
        }
        self.asked += 1;
        self.open += 1;
        self.asked_speech = speech;
        true
    }

    /// Whether any question is left.
    pub(super) const fn may_ask(&self) -> bool {
        self.asked < QUESTIONS_MAX
    }

    /// Whether a machine of this chance has to wait for answers, at most until that hop.
    pub(super) fn wait(&mut self, machine: f32, until: u32) -> bool {
        if self.open > 0 {
            self.waiting = Some((machine, until));
        }
        self.open > 0
    }

    /// Where the machine stands that waits, at this hop; it does so no longer once that is over.
    pub(super) fn waits(&mut self, hop: u32) -> Option<Wait> {
        let (machine, until) = self.waiting?;
        if hop < until {
            return Some(Wait::Goes);
        }
        self.waiting = None;
        Some(Wait::Over(machine))
    }

    /// Whether much was said, was read, and told nothing.
    pub(super) const fn is_unsaid(&self) -> bool {
        self.unsaid_speech >= UNSAID_HOPS_MIN
    }

    /// No machine waits any more.
    pub(super) const fn leave(&mut self) {
        self.waiting = None;
    }

    /// A question has this answer, or somebody tells it unasked.
    pub(super) fn answered(&mut self, text: &str) -> Answer {
        match speaker(text) {
            Some(Speaker::CallScreener) => return Answer::Says(Callee::CallScreener),
            Some(Speaker::Machine) => return Answer::Says(Callee::Machine),
            None => {}
        }
        let answer = self.unread();
        if self.open == 0 {
            self.unsaid_speech = self.asked_speech;
        }
        answer
    }

    /// A question has no answer: what was said could not be read.
    pub(super) fn unread(&mut self) -> Answer {
        self.open = self.open.saturating_sub(1);
        match self.waiting {
            Some((machine, _)) if self.open == 0 => Answer::Leaves(machine),
            _ => Answer::Nothing,
        }
    }
}
