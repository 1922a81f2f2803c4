//! When somebody spoke and when not: what the model of speech knows about a call.
//!
//! All times are counted from the first word, never from the answer: how long a line is silent
//! before somebody speaks says more about the network than about who it is.

use super::ear::Moment;

/// Hops of a second.
const HOPS_A_SECOND: f32 = 100.0;
/// Shorter voice than this is a click, in hops.
const WORD_HOPS_MIN: u32 = 6;
/// Pauses up to this length lie within a word, in hops: stops of the breath before a consonant.
const WORD_GAP_HOPS: u32 = 6;
/// Pauses up to this length lie within a phrase, in hops.
const PHRASE_GAP_HOPS: u32 = 30;
/// How much the level must fall and rise between two syllables, in dB.
const SYLLABLE_DB: f32 = 3.5;
/// Longest time of any feature, in seconds: a model must not lean on what it has hardly seen.
const SECONDS_MAX: f32 = 8.0;

/// Number of features.
pub const FEATURES: usize = 14;

/// Names of the features, in their order.
pub const FEATURE_NAMES: [&str; FEATURES] = [
    "since_onset_s",
    "voice_s",
    "pause_s",
    "phrase_s",
    "phrases",
    "words",
    "word_max_s",
    "phrase_max_s",
    "pause_max_s",
    "first_phrase_s",
    "density",
    "syllables_a_second",
    "level_deviation_db",
    "level_end_db",
];

/// In which direction a feature may move the chance of a machine: more voice makes it likelier,
/// a longer pause makes it less likely, whatever a few recordings say.
pub const FEATURE_DIRECTIONS: [i8; FEATURES] = [0, 1, -1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];

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
    voice_hops: u32,
    words: u32,
    word_from: u32,
    word_max: u32,
    phrases: u32,
    phrase_from: u32,
    phrase_max: u32,
    first_phrase: u32,
    pause_max: u32,
    level: Level,
}

/// How loud the voice is, and how it moves.
#[derive(Clone, Debug, Default)]
struct Level {
    count: f32,
    mean: f32,
    squares: f32,
    /// Smoothed over 50 ms and over 300 ms.
    fast: f32,
    slow: f32,
    extreme: f32,
    is_rising: bool,
    syllables: u32,
}

impl Level {
    fn next(&mut self, dbov: f32) {
        self.count += 1.0;
        if self.count == 1.0 {
            (self.fast, self.slow, self.extreme) = (dbov, dbov, dbov);
            self.is_rising = true;
        }
        let off = dbov - self.mean;
        self.mean += off / self.count;
        self.squares += off * (dbov - self.mean);
        self.fast += (dbov - self.fast) * 0.33;
        self.slow += (dbov - self.slow) * 0.066;
        let turned = if self.is_rising {
            self.extreme = self.extreme.max(self.fast);
            self.fast < self.extreme - SYLLABLE_DB
        } else {
            self.extreme = self.extreme.min(self.fast);
            self.fast > self.extreme + SYLLABLE_DB
        };
        if turned {
            self.syllables += u32::from(self.is_rising);
            self.is_rising = !self.is_rising;
            self.extreme = self.fast;
        }
    }
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
        let Some((from, until)) = self.run else { return };
        if !is_voice {
            return;
        }
        self.level.next(moment.hop.band_dbov);
        if until - from < WORD_HOPS_MIN {
            return;
        }
        if until - from == WORD_HOPS_MIN || self.voice_until <= from {
            self.begin_word(from);
            self.voice_hops += until - from;
        } else {
            self.voice_hops += 1;
        }
        self.voice_until = until;
        self.word_max = self.word_max.max(until - self.word_from);
        self.phrase_max = self.phrase_max.max(until - self.phrase_from);
        if self.phrases == 1 {
            self.first_phrase = until - self.phrase_from;
        }
    }

    fn begin_word(&mut self, from: u32) {
        self.words += 1;
        self.word_from = from;
        let pause = from.saturating_sub(self.voice_until);
        if self.onset.is_none() {
            self.onset = Some(from);
        } else {
            self.pause_max = self.pause_max.max(pause);
        }
        if self.phrases == 0 || pause > PHRASE_GAP_HOPS {
            self.phrases += 1;
            self.phrase_from = from;
        }
    }

    /// Hops since the last voice; `None` before the first word.
    pub(crate) fn pause_hops(&self) -> Option<u32> {
        self.onset.map(|_| self.hops - self.voice_until)
    }

    /// Hops of voice since the first word.
    pub(crate) fn voice_hops(&self) -> u32 {
        self.voice_hops
    }

    /// Length of the phrase under way, or of the last one, in hops.
    pub(crate) fn phrase_hops(&self) -> u32 {
        self.voice_until.saturating_sub(self.phrase_from)
    }

    /// What the model looks at; `None` before the first word.
    pub(crate) fn features(&self) -> Option<Features> {
        let onset = self.onset?;
        let seconds = |hops: u32| (hops as f32 / HOPS_A_SECOND).min(SECONDS_MAX);
        let (pause, since) = (self.hops - self.voice_until, self.hops - onset);
        let span = (since - pause).max(1);
        let voice = seconds(self.voice_hops).max(0.05);
        let level = &self.level;
        Some([
            seconds(since),
            seconds(self.voice_hops),
            seconds(pause),
            seconds(self.phrase_hops()),
            self.phrases.min(10) as f32,
            self.words.min(30) as f32,
            seconds(self.word_max),
            seconds(self.phrase_max),
            seconds(self.pause_max),
            seconds(self.first_phrase),
            self.voice_hops as f32 / span as f32,
            level.syllables as f32 / voice,
            (level.squares / level.count.max(1.0)).sqrt(),
            level.slow - level.mean,
        ])
    }
}
