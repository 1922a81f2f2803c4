//! MACHINE that records a leg: `handle` a frame, `poll` what came of it; time is counted in frames.
//!
//! Sound is kept as it would be sent, one byte a sample. Whether somebody speaks is told by how much
//! stands out above the quietest that the line was of late.

use std::time::Duration;

use crate::g711::Law;
use crate::{FRAME_MS, FRAME_SAMPLES, LinearFrame, samples_in};

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRule {
    /// Silence after speech that ends it.
    pub final_silence: Duration,
    /// Longest recording.
    pub time_max: Duration,
    /// Silence from the start that ends it.
    pub timeout: Duration,
}

/// What happens to a recording.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The next 20 ms.
    Frame(&'a LinearFrame),
    /// Somebody ends it.
    Stop,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Somebody began to speak; said once.
    SpeechStarted,
    /// It is over; the last effect.
    Ended(Ending),
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has its greatest length.
    Full,
    /// Nobody spoke in time; there is nothing to keep.
    NoInput,
    /// Nobody spoke any more.
    Silence,
    /// Somebody ended it; without speech until then, there is nothing to keep.
    Stopped,
}

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    rule: RecordRule,
    law: Law,
    bytes: Vec<u8>,
    samples_max: usize,
    voice: Voice,
    /// Frames so far, and since somebody spoke last.
    frames: u32,
    quiet_frames: u32,
    has_speech: bool,
    is_over: bool,
    effects: std::collections::VecDeque<Effect>,
}

impl Recorder {
    /// A recording that begins with the next frame, kept in `law`.
    ///
    /// All its room is taken at once, so that no copy of what was said is left behind by growth;
    /// the system gives memory only as it is used.
    pub fn new(rule: RecordRule, law: Law) -> Self {
        let samples_max = samples_in(rule.time_max.min(TIME_MAX));
        Self {
            rule,
            law,
            bytes: Vec::with_capacity(samples_max),
            samples_max,
            voice: Voice::default(),
            frames: 0,
            quiet_frames: 0,
            has_speech: false,
            is_over: false,
            effects: std::collections::VecDeque::new(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, input: Input<'_>) {
        match (self.is_over, input) {
            (false, Input::Frame(frame)) => self.hear(frame),
            (false, Input::Stop) => self.end(Ending::Stopped),
            (true, _) => tracing::trace!("ignored: the recording is over"),
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.bytes.len() as u64 * 125)
    }

    /// The sound, one byte a sample; empty where nobody spoke.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn hear(&mut self, frame: &LinearFrame) {
        self.frames = self.frames.saturating_add(1);
        let room = self.samples_max - self.bytes.len();
        let count = room.min(FRAME_SAMPLES);
        let start = self.bytes.len();
        self.bytes.resize(start + count, self.law.silence());
        self.law.encode_into(&frame[..count], &mut self.bytes[start..]);
        if self.voice.next(frame) {
            self.quiet_frames = 0;
            if !self.has_speech {
                self.has_speech = true;
                self.effects.push_back(Effect::SpeechStarted);
            }
        } else {
            self.quiet_frames = self.quiet_frames.saturating_add(1);
        }
        let quiet = Duration::from_millis(u64::from(self.quiet_frames) * u64::from(FRAME_MS));
        if self.has_speech && quiet >= self.rule.final_silence {
            self.end(Ending::Silence);
        } else if !self.has_speech && quiet >= self.rule.timeout {
            self.end(Ending::NoInput);
        } else if self.bytes.len() >= self.samples_max {
            self.end(Ending::Full);
        }
    }

    fn end(&mut self, ending: Ending) {
        self.is_over = true;
        let keeps = self.has_speech || ending == Ending::Full;
        if !keeps {
            self.bytes.fill(0);
            self.bytes.clear();
        }
        self.effects.push_back(Effect::Ended(ending));
    }
}

/// Longest recording of a script: half an hour, 14 MB; what it asks for beyond is cut.
const TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// Tells speech from the noise of a line by its level alone, 20 ms at a time.
///
/// Quick and rough where the callee-type machine is careful: a recording that begins half a word
/// early or ends a breath late is none the worse.
#[derive(Clone, Debug)]
pub struct Voice {
    /// Level of the noise in tenths of a dB of full scale, from below.
    floor: i32,
    /// Frames above the noise in a row, and frames that speech still counts for.
    loud: u32,
    hold: u32,
}

/// What noise is taken for before it is known: -58 dB.
const FLOOR_FIRST: i32 = -580;
/// Noise is at least so much and at most so much, in tenths of a dB.
const FLOOR_RANGE: (i32, i32) = (-700, -350);
/// Speech stands out by so much, in tenths of a dB.
const ABOVE: i32 = 120;
/// How fast the noise that is known rises, in tenths of a dB a frame: 5 dB a second.
const FLOOR_RISE: i32 = 1;
/// Frames in a row that make speech: a click has fewer.
const LOUD_FRAMES_MIN: u32 = 3;
/// Frames for which speech counts on after its last loud one: closures of plosives are shorter.
const HOLD_FRAMES: u32 = 8;

impl Default for Voice {
    fn default() -> Self {
        Self { floor: FLOOR_FIRST, loud: 0, hold: 0 }
    }
}

impl Voice {
    /// Whether somebody speaks in the next 20 ms.
    pub fn next(&mut self, frame: &LinearFrame) -> bool {
        let level = level(frame);
        if level < self.floor {
            self.floor = level;
        } else {
            self.floor += FLOOR_RISE;
        }
        self.floor = self.floor.clamp(FLOOR_RANGE.0, FLOOR_RANGE.1);
        if level > self.floor + ABOVE {
            self.loud = self.loud.saturating_add(1);
        } else {
            self.loud = 0;
        }
        if self.loud >= LOUD_FRAMES_MIN {
            self.hold = HOLD_FRAMES;
        } else {
            self.hold = self.hold.saturating_sub(1);
        }
        self.hold > 0
    }
}

/// Mean level in tenths of a dB of full scale; -1000 for nothing at all.
fn level(frame: &LinearFrame) -> i32 {
    let sum: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = sum / FRAME_SAMPLES as f64 / f64::from(i16::MAX).powi(2);
    if mean <= 1e-10 { -1_000 } else { (100.0 * mean.log10()) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const RULE: RecordRule = RecordRule {
        final_silence: Duration::from_secs(2),
        time_max: Duration::from_secs(10),
        timeout: Duration::from_secs(4),
    };

    /// Frames of noise with this greatest sample.
    fn noise(frames: usize, peak: i16, seed: u64) -> Vec<LinearFrame> {
        let mut random = Random::new(seed);
        let range = 2 * u64::from(peak.unsigned_abs()) + 1;
        let mut sample = || (random.next_u64() % range) as i16 - peak;
        (0..frames).map(|_| std::array::from_fn(|_| sample())).collect()
    }

    /// What happens, by the frame at which it does.
    fn story(recorder: &mut Recorder, frames: &[LinearFrame]) -> Vec<(usize, Effect)> {
        let mut told = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            recorder.handle(Input::Frame(frame));
            told.extend(std::iter::from_fn(|| recorder.poll()).map(|effect| (at, effect)));
        }
        told
    }

    #[test]
    fn recording_ends_with_the_silence_after_speech() {
        let mut recorder = Recorder::new(RULE, Law::Mu);
        let mut frames = noise(50, 20, 1);
        frames.extend(noise(100, 8_000, 2));
        frames.extend(noise(300, 20, 3));
        let told = story(&mut recorder, &frames);
        let [(started, Effect::SpeechStarted), (ended, Effect::Ended(Ending::Silence))] = told[..]
        else {
            panic!("{told:?}")
        };
        assert!((50..56).contains(&started), "{started}");
        assert!((249..260).contains(&ended), "{ended}");
        assert_eq!(recorder.duration(), Duration::from_millis(20 * (ended as u64 + 1)));
    }

    #[test]
    fn who_says_nothing_leaves_nothing_behind() {
        let mut recorder = Recorder::new(RULE, Law::Mu);
        let told = story(&mut recorder, &noise(400, 60, 4));
        assert_eq!(told, [(199, Effect::Ended(Ending::NoInput))]);
        assert!(recorder.into_bytes().is_empty());
    }

    #[test]
    fn who_speaks_without_end_is_cut_at_the_greatest_length() {
        let rule = RecordRule { time_max: Duration::from_millis(1_010), ..RULE };
        let mut recorder = Recorder::new(rule, Law::A);
        let told = story(&mut recorder, &noise(400, 9_000, 5));
        assert_eq!(told.last(), Some(&(50, Effect::Ended(Ending::Full))));
        assert_eq!(recorder.into_bytes().len(), 8_080);
    }

    #[test]
    fn stopped_recording_keeps_what_was_said_and_no_silence_alone() {
        let mut recorder = Recorder::new(RULE, Law::Mu);
        story(&mut recorder, &noise(20, 9_000, 6));
        recorder.handle(Input::Stop);
        assert_eq!(recorder.poll(), Some(Effect::Ended(Ending::Stopped)));
        recorder.handle(Input::Frame(&[0; FRAME_SAMPLES]));
        assert_eq!(recorder.poll(), None);
        assert_eq!(recorder.into_bytes().len(), 20 * FRAME_SAMPLES);
        let mut silent = Recorder::new(RULE, Law::Mu);
        story(&mut silent, &noise(20, 10, 7));
        silent.handle(Input::Stop);
        assert!(silent.into_bytes().is_empty());
    }

    #[test]
    fn click_is_no_speech_and_a_loud_line_none_either() {
        let mut voice = Voice::default();
        let clicks = (0..200).map(|at| if at % 40 == 0 { [9_000; 160] } else { [0; 160] });
        assert!(!clicks.into_iter().any(|frame| voice.next(&frame)));
        let mut voice = Voice::default();
        let heard: Vec<bool> = noise(500, 500, 8).iter().map(|frame| voice.next(frame)).collect();
        assert!(heard[400..].iter().all(|speech| !speech));
    }

    #[test]
    fn recording_of_absurd_length_is_bounded() {
        let rule = RecordRule { time_max: Duration::MAX, ..RULE };
        let recorder = Recorder::new(rule, Law::Mu);
        assert_eq!(recorder.samples_max, samples_in(TIME_MAX));
    }
}
