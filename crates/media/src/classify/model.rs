//! A model of small symmetric trees: how likely a machine is, given the timing of the speech.

use super::timing::{FEATURES, Features, PHRASES};

/// Questions of one tree.
pub const DEPTH: usize = 3;
/// Answers of one tree.
pub const LEAVES: usize = 1 << DEPTH;

/// A tree that asks the same question of all branches of one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tree {
    /// Which features are asked for, first question first.
    pub features: [u8; DEPTH],
    /// Above which value the answer is yes.
    pub thresholds: [f32; DEPTH],
    /// What it adds to the log odds of a machine; the first question's answer is the lowest bit.
    pub leaves: [f32; LEAVES],
}

/// Trees whose answers add up, and what turns their sum into a chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// All trees; their order does not matter.
    pub trees: &'static [Tree],
    /// Log odds before any question.
    pub base: f32,
    /// The chance is the logistic function of `scale * sum + shift`, which makes it true on
    /// recordings that the trees have not seen (Platt, 1999).
    pub scale: f32,
    /// See `scale`.
    pub shift: f32,
    /// From which chance on a machine is firm, for falling shares of people who are taken for
    /// machines, found with recordings that the trees have not seen.
    pub firm: &'static [Firm],
}

/// Chances of a machine that at most a share of people reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Firm {
    /// Share of people, 0 to 1.
    pub share: f32,
    /// Chance in the first phrase: some people speak long in one breath.
    pub first: f32,
    /// Chance in the first phrase, where no words were found in it that only machines say.
    pub unsaid: f32,
    /// Chance in later phrases: few people go on after a pause.
    pub later: f32,
}

impl Tree {
    fn answer(&self, features: &Features) -> f32 {
        let mut leaf = 0;
        for level in 0..DEPTH {
            let value = features[usize::from(self.features[level]) % FEATURES];
            leaf |= usize::from(value > self.thresholds[level]) << level;
        }
        self.leaves[leaf]
    }
}

impl Model {
    /// Sum of all trees' answers: log odds that are not yet calibrated.
    pub fn margin(&self, features: &Features) -> f32 {
        self.base + self.trees.iter().map(|tree| tree.answer(features)).sum::<f32>()
    }

    /// Chance that a machine speaks, 0 to 1.
    pub fn machine(&self, features: &Features) -> f32 {
        1.0 / (1.0 + (-(self.scale * self.margin(features) + self.shift)).exp())
    }

    /// From which chance on a machine is firm, if at most `share` of people may be taken for
    /// machines.
    pub fn firm(&self, share: f32) -> Firm {
        let within = self.firm.iter().find(|firm| firm.share <= share);
        let never = Firm { share: 0.0, first: 1.0, unsaid: 1.0, later: 1.0 };
        within.or(self.firm.last()).copied().unwrap_or(never)
    }
}

impl Firm {
    /// From which chance on a machine is firm, given what the model looks at, and whether words
    /// that only machines say were looked for and not found.
    pub fn from(&self, features: &Features, is_unsaid: bool) -> f32 {
        match features[PHRASES] > 1.0 {
            true => self.later,
            false if is_unsaid => self.unsaid,
            false => self.first,
        }
    }
}
