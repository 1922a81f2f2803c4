//! When somebody spoke and when not: what the model of speech knows about a call.
//!
//! All times are counted from the first word, never from the answer: how long a line is silent
//! before somebody speaks says more about the network than about who it is. Only phrases count,
//! not the words in them: rhythm, level and pitch tell the recordings of a corpus apart rather
//! than people from machines (docs/callee-type.md).

use super::ear::Moment;

/// Hops of a second.
const HOPS_A_SECOND: f32 = 100.0;
/// Shorter voice than this is a click, in hops.
const WORD_HOPS_MIN: u32 = 6;
/// Gaps up to this length lie within a word, in hops: stops of the breath before a consonant.
const WORD_GAP_HOPS: u32 = 6;
/// Pauses up to this length lie within a phrase, in hops.
const PHRASE_GAP_HOPS: u32 = 30;
/// Longest time of any feature, in seconds: a model must not lean on what it has hardly seen.
const SECONDS_MAX: f32 = 8.0;
/// Most phrases that are told apart.
const PHRASES_MAX: u32 = 4;

/// Number of features.
pub const FEATURES: usize = 8;

/// Names of the features, in their order.
pub const FEATURE_NAMES: [&str; FEATURES] = [
    "since_onset_s",
    "speech_s",
    "pause_s",
    "phrase_s",
    "phrases",
    "phrase_max_s",
    "pause_max_s",
    "first_phrase_s",
];

/// Place of the number of phrases among the features.
pub(crate) const PHRASES: usize = 4;
/// Place of the pause among the features.
pub(crate) const PAUSE: usize = 2;

/// In which direction a feature may move the chance of a machine: more speech makes it likelier,
/// a longer pause makes it less likely, whatever a few recordings say.
pub const FEATURE_DIRECTIONS: [i8; FEATURES] = [0, 1, -1, 1, 1, 1, 0, 0];

/// What the model looks at.
pub type Features = [f32; FEATURES];

/// Collects the timing of speech.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timing {
    hops: u32,
    /// Hop of the first word.
    onset: Option<u32>,
    /// Voice under way: its first hop and the hop after its last one.
    run: Option<(u32, u32)>,
    /// Hop after the last voice that was no click.
    voice_until: u32,
    phrases: u32,
    phrase_from: u32,
    phrase_max: u32,
    first_phrase: u32,
    /// Phrases before the one under way, added up.
    spoken: u32,
    pause_max: u32,
}

impl Timing {
    /// The next hop.
    pub(crate) fn next(&mut self, moment: &Moment) {
        let at = self.hops;
        self.hops = self.hops.saturating_add(1);
        let is_voice = moment.is_voice && !moment.is_tone;
        match (&mut self.run, is_voice) {
            (Some((_, until)), true) => *until = at + 1,
            (None, true) => self.run = Some((at, at + 1)),
            (Some((_, until)), false) if at - *until >= WORD_GAP_HOPS => self.run = None,
            (_, false) => {}
        }
        // A steady tone is no word, however it began.
        if moment.is_tone {
            self.run = None;
        }
        let Some((from, until)) =
            self.run.filter(|(from, until)| is_voice && until - from >= WORD_HOPS_MIN)
        else {
            return;
        };
        let pause = from.saturating_sub(self.voice_until);
        let is_first = self.onset.is_none();
        if is_first || pause > PHRASE_GAP_HOPS {
            self.spoken += self.phrase_hops();
            self.phrases += 1;
            self.phrase_from = from;
        }
        match self.onset {
            None => self.onset = Some(from),
            Some(_) => self.pause_max = self.pause_max.max(pause),
        }
        self.voice_until = until;
        self.phrase_max = self.phrase_max.max(self.phrase_hops());
        if self.phrases == 1 {
            self.first_phrase = self.phrase_hops();
        }
    }

    /// Hops since the last voice; `None` before the first word.
    pub(crate) fn pause_hops(&self) -> Option<u32> {
        self.onset.map(|_| self.hops - self.voice_until)
    }

    /// All phrases, in hops.
    pub(crate) fn speech_hops(&self) -> u32 {
        self.spoken + self.phrase_hops()
    }

    /// The phrase under way, or the last one, in hops.
    fn phrase_hops(&self) -> u32 {
        self.voice_until.saturating_sub(self.phrase_from)
    }

    /// What the model looks at; `None` before the first word.
    pub(crate) fn features(&self) -> Option<Features> {
        let onset = self.onset?;
        let seconds = |hops: u32| (hops as f32 / HOPS_A_SECOND).min(SECONDS_MAX);
        Some([
            seconds(self.hops - onset),
            seconds(self.speech_hops()),
            seconds(self.hops - self.voice_until),
            seconds(self.phrase_hops()),
            self.phrases.min(PHRASES_MAX) as f32,
            seconds(self.phrase_max),
            seconds(self.pause_max),
            seconds(self.first_phrase),
        ])
    }
}
