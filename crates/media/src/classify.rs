//! MACHINE for who or what answered: frames of 20 ms in, verdicts, beeps and ends of greetings out.
//!
//! [`Classifier`] has the three verbs `handle`, `poll` and `deadline`. Feed it every frame of the
//! call from the first early media on, tell it when the call is answered, and drain it after every
//! `handle`. [`Classifier::verdict`] says at any time what is known so far.
//!
//! Three kinds of evidence, strongest first:
//! - tones (one 32 ms spectrum every 10 ms, shared by all detectors): special information tones
//!   with their code, fax machines, busy, reorder, ringback, beeps;
//! - words, where a recogniser hears the call as well ([`Input::Words`], [`SPOTTED`]);
//! - the timing of speech: when there is voice and when not ([`FEATURE_NAMES`]), and a [`Model`] of
//!   small trees whose generated table says where it came from (`classify/weights.rs`).
//!
//! A verdict comes in two steps. It is *decided* as soon as it is likely, so that a person never
//! waits, and may be *revised* for a while; it is *firm* when at most the share
//! [`Settings::humans_taken_max`] of people would be taken for machines. Act on a person when it is
//! decided; hang up on a machine only when it is firm. docs/callee-type.md says how it was measured.

mod beep;
mod cadence;
mod ear;
mod fax;
mod model;
mod music;
mod questions;
mod settings;
mod sit;
mod spectrum;
mod steady;
#[cfg(test)]
mod tests;
mod timing;
pub mod trial;
mod verdict;
mod voice_activity;
mod weights;
mod words;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::beep::Beep;
use self::cadence::Cadence;
use self::ear::{Ear, Finding};
use self::music::MusicDetector;
use self::questions::{Answer, Occasion, Questions, Wait};
use self::timing::{PAUSE, Timing};

pub use self::model::{DEPTH, Firm, LEAVES, Model, Tree};
pub use self::questions::QUESTIONS_MAX;
pub use self::settings::{Greeting, Mode, Settings};
pub use self::sit::SitCode;
pub use self::timing::{FEATURE_DIRECTIONS, FEATURE_NAMES, FEATURES, Features};
pub use self::verdict::{Callee, Verdict};
pub use self::weights::MODEL;
pub use self::words::SPOTTED;

/// Milliseconds of a hop.
const HOP_MS: u64 = 10;
/// Chance at which a verdict is decided, if nothing else speaks against it.
const LIKELY: f32 = 0.8;
/// Pauses that decide for a person, in seconds, and up to which chance of a machine they do: the
/// longer nobody goes on, the less is asked for, since a person waits and the verdict can be revised.
/// The first is for those who ask for less than the second ([`Settings::person_pause`]).
const PERSON_PAUSES: [(f32, f32); 3] = [(0.0, 0.35), (0.34, 0.5), (0.8, 0.65)];
/// Voice that a call must have brought before speech decides anything, in hops.
const SPEECH_HOPS_MIN: u32 = 12;
/// Voice before a ring or a busy tone that makes it something else: somebody who hung up, in hops.
const VOICE_BEFORE_CADENCE_HOPS: u32 = 100;
/// Chance of what a tone says.
const TONE_CHANCE: f32 = 0.99;
/// Chance of a machine after a beep.
const BEEP_CHANCE: f32 = 0.98;
/// Chance of what words say.
const WORDS_CHANCE: f32 = 0.97;
/// Chance of silence and of music when the time is over.
const LEFT_OVER_CHANCE: f32 = 0.9;
/// How much longer than by the frames' count is waited for them, in case none come.
const FRAMES_LATE_MAX: Duration = Duration::from_millis(300);
/// How long the end of a phrase is awaited when the time for revising is over.
const PHRASE_AWAITED_MAX: Duration = Duration::from_millis(2_000);
/// Pause in which it is asked what was said, in seconds.
const WORDS_PAUSE_S: f32 = 0.3;
/// Longest pause between two rings (ITU-T E.180 Supp. 2: 5 s, and most have 4 s).
const RING_PAUSE_MAX: Duration = Duration::from_millis(5_000);
/// A pause up to this length lies within a phrase, in hops.
const SAME_SPEECH_HOPS: u32 = 30;

/// What happens to a call that is listened to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a> {
    /// The network says that the call is answered.
    Answered,
    /// A deadline has passed.
    Expired(Timer),
    /// The next 20 ms as linear samples; a shorter frame is followed by silence, what exceeds
    /// [`crate::FRAME_SAMPLES`] is cut off. A frame that was lost is fed as silence.
    Frame(&'a [i16]),
    /// Nobody wants to know any more.
    Stop,
    /// What was asked for could not be read: that it told nothing says nothing.
    Unread,
    /// What a recogniser has understood so far; nothing, if it has understood nothing.
    Words(&'a str),
}

/// Why a deadline was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// No frames came in the time in which the verdict, or the end of a greeting, was due.
    Listen,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// A beep has been sounding since `from`, counted like [`Verdict::at`].
    BeepStarted {
        /// When it began.
        from: Duration,
        /// Its frequency.
        hz: f32,
    },
    /// The beep has ended.
    BeepEnded {
        /// When it ended.
        at: Duration,
    },
    /// This is likely who or what it is; act on a person now.
    Decided(Verdict),
    /// The verdict decided before stays; hang up on a machine now.
    Confirmed(Verdict),
    /// The verdict decided before was wrong; this one is firm, or the best so far.
    Revised {
        /// What was decided before.
        was: Callee,
        /// What it is.
        verdict: Verdict,
    },
    /// A machine's greeting has ended: a message can start.
    ///
    /// Where silence ended it, a beep may follow all the same: then it has ended once more.
    GreetingEnded {
        /// When.
        at: Duration,
        /// Whether a beep ended it.
        by_beep: bool,
    },
    /// Nothing was said for [`Settings::quiet_max`], and nobody knows yet who it is: whoever
    /// waits there should hear something. Told once.
    Quiet {
        /// When.
        at: Duration,
    },
    /// The last word; nothing follows it.
    Finished(Verdict),
    /// What was said since the answer should be read now, and [`Input::Words`] told of it, with
    /// nothing if nothing was understood, or [`Input::Unread`] if it could not be read. Only where
    /// [`Settings::words_time`] is set, and at most [`QUESTIONS_MAX`] times a call.
    WordsWanted {
        /// When.
        at: Duration,
    },
}

/// Where the machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the answer.
    Early,
    /// No firm verdict yet.
    Deciding,
    /// It is a machine, and its greeting goes on.
    Greeting,
    /// Silence has ended its greeting, and its beep may still come.
    LateBeep,
    /// All has been said.
    Finished,
}

/// Tells who or what answered one call.
#[derive(Debug)]
pub struct Classifier {
    settings: Settings,
    model: &'static Model,
    /// Chances of a machine from which on it is firm.
    firm: Firm,
    phase: Phase,
    ear: Ear,
    timing: Timing,
    music: MusicDetector,
    /// Hop of the answer, and from which the clock counts: the answer, or the last ring's end.
    answered_hop: u32,
    clock_hop: u32,
    clock_at: Option<Instant>,
    rang_at: Option<Instant>,
    standing: Option<Verdict>,
    standing_hop: u32,
    /// Until when a beep after the greeting is awaited.
    late_beep_until: u32,
    was_quiet: bool,
    questions: Questions,
    effects: VecDeque<Effect>,
}

impl Classifier {
    /// A classifier of a call that is not answered yet, with the model that is shipped.
    pub fn new(settings: Settings) -> Self {
        Self::with_model(settings, &MODEL)
    }

    /// One with a model of your own, for training.
    pub fn with_model(settings: Settings, model: &'static Model) -> Self {
        Self {
            settings,
            model,
            firm: model.firm(settings.humans_taken_max),
            phase: Phase::Early,
            ear: Ear::new(),
            timing: Timing::default(),
            music: MusicDetector::new(),
            answered_hop: 0,
            clock_hop: 0,
            clock_at: None,
            rang_at: None,
            standing: None,
            standing_hop: 0,
            late_beep_until: 0,
            was_quiet: false,
            questions: Questions::default(),
            effects: VecDeque::with_capacity(EFFECTS_AT_ONCE),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match (self.phase, input) {
            (Phase::Early, Input::Answered) => self.answer(now),
            (Phase::Finished, Input::Frame(_)) => {}
            (_, Input::Frame(samples)) => self.hear(now, samples),
            (Phase::Early | Phase::Deciding, Input::Words(text)) => {
                let answer = self.questions.answered(text);
                self.hear_of(answer);
            }
            (Phase::Early | Phase::Deciding, Input::Unread) => {
                let answer = self.questions.unread();
                self.hear_of(answer);
            }
            (Phase::Deciding, Input::Expired(Timer::Listen)) => self.settle(),
            (Phase::Greeting | Phase::LateBeep, Input::Expired(Timer::Listen)) => self.finish(),
            (_, Input::Stop) => self.finish(),
            // Late: frames and timers race with the verdict, and it has won.
            (phase, input) => tracing::trace!(?phase, ?input, "ignored"),
        }
    }

    /// What comes of it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to wake it if no frames come; before the answer nobody waits.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        let within = match self.phase {
            Phase::Early | Phase::Finished => return None,
            Phase::Deciding => self.decided_within() + PHRASE_AWAITED_MAX,
            Phase::Greeting => self.settings.greeting_within,
            Phase::LateBeep => self.settings.greeting_within + self.settings.late_beep_within,
        };
        self.clock_at.map(|at| (at + within + FRAMES_LATE_MAX, Timer::Listen))
    }

    /// What is known so far.
    pub fn verdict(&self) -> Verdict {
        self.standing.unwrap_or_else(|| self.leaning())
    }

    fn answer(&mut self, now: Instant) {
        self.phase = Phase::Deciding;
        self.answered_hop = self.ear.hops;
        // Somebody who speaks across the answer goes on speaking; what came before it is over.
        let is_speaking = self.is_speaking();
        let is_known = self.standing.is_some_and(|verdict| verdict.callee == Callee::Machine);
        self.restart(now, is_speaking && is_known);
        if let Some(standing) = &mut self.standing {
            let Verdict { callee, probability, is_firm, .. } = *standing;
            *standing = Verdict { at: Duration::ZERO, is_firm: false, ..*standing };
            self.standing_hop = self.ear.hops;
            if is_firm {
                self.decide(callee, probability, true);
            }
        }
    }

    fn restart(&mut self, now: Instant, is_same_speech: bool) {
        self.clock_hop = self.ear.hops;
        self.clock_at = Some(now);
        self.questions = Questions::default();
        if !is_same_speech {
            self.timing = Timing::default();
        }
    }

    fn hear(&mut self, now: Instant, samples: &[i16]) {
        let samples = &samples[..samples.len().min(crate::FRAME_SAMPLES)];
        let (findings, moments) = self.ear.hear(samples);
        for moment in &moments {
            self.timing.next(moment);
            self.music.next(&moment.hop);
        }
        for finding in findings.iter() {
            match finding {
                Finding::Beep(beep) => self.beeped(beep),
                Finding::Cadence(cadence) => self.repeated(now, cadence),
                Finding::Fax => self.tone(Callee::Fax),
                Finding::Sit(code) => self.tone(Callee::Sit(code)),
            }
        }
        match self.phase {
            Phase::Early => self.judge_early(),
            Phase::Deciding => self.judge(),
            Phase::Greeting => self.await_end(),
            Phase::LateBeep if self.ear.hops >= self.late_beep_until => self.finish(),
            Phase::LateBeep | Phase::Finished => {}
        }
    }

    /// A tone that leaves no doubt.
    fn tone(&mut self, callee: Callee) {
        if matches!(self.phase, Phase::Early | Phase::Deciding) {
            self.decide(callee, TONE_CHANCE, true);
            self.finish();
        }
    }

    fn repeated(&mut self, now: Instant, cadence: Cadence) {
        let has_spoken = self.timing.speech_hops() > VOICE_BEFORE_CADENCE_HOPS;
        match (self.phase, cadence) {
            // Whoever it was has hung up, and the line says so.
            (Phase::Greeting, Cadence::Busy | Cadence::Reorder) => self.end_greeting(false),
            (Phase::Deciding, _) if has_spoken => {}
            (Phase::Early | Phase::Deciding, Cadence::Busy) => self.tone(Callee::Busy),
            (Phase::Early | Phase::Deciding, Cadence::Reorder) => self.tone(Callee::Reorder),
            (Phase::Deciding, Cadence::Ringback) => self.ring(now),
            _ => tracing::trace!(?cadence, "ignored"),
        }
    }

    /// It rings after the answer.
    fn ring(&mut self, now: Instant) {
        let is_known = self.standing.is_some_and(|verdict| verdict.callee == Callee::Ringback);
        if !is_known {
            self.decide(Callee::Ringback, TONE_CHANCE, false);
        }
        let rang_at = *self.rang_at.get_or_insert(now);
        let is_over = now.saturating_duration_since(rang_at) > self.settings.ringing_within;
        match self.settings.mode {
            Mode::AnswerDetect if is_over => self.finish(),
            Mode::AnswerDetect => self.restart(now, false),
            Mode::NetworkConnect => self.timing = Timing::default(),
        }
    }

    fn beeped(&mut self, beep: Beep) {
        match beep {
            Beep::Started { from, hz } => {
                let from = self.since_answer(from);
                self.effects.push_back(Effect::BeepStarted { from, hz });
                if self.phase == Phase::Deciding {
                    self.decide(Callee::Machine, BEEP_CHANCE, true);
                }
            }
            Beep::Ended { until } => {
                self.effects.push_back(Effect::BeepEnded { at: self.since_answer(until) });
                if matches!(self.phase, Phase::Greeting | Phase::LateBeep) {
                    self.end_greeting(true);
                }
            }
        }
    }

    fn hear_of(&mut self, answer: Answer) {
        match answer {
            Answer::Says(callee) => self.decide(callee, WORDS_CHANCE, true),
            // Of one that talks on, the next words may tell.
            Answer::Leaves(_) if self.is_speaking() && self.questions.may_ask() => {}
            Answer::Leaves(machine) => self.end_wait(machine),
            Answer::Nothing => {}
        }
    }

    /// A machine has waited for its words, and they told nothing: it is firm if it is likely
    /// enough even so.
    fn end_wait(&mut self, machine: f32) {
        self.questions.leave();
        if self.timing.features().is_none_or(|features| machine >= self.firm_from(&features)) {
            self.decide(Callee::Machine, machine, true);
        }
    }

    /// From which chance on a machine is firm.
    fn firm_from(&self, features: &Features) -> f32 {
        self.firm.from(features, self.questions.is_unsaid())
    }

    /// Speech that is a machine's beyond doubt: firm, or heard for its words first.
    fn machine_spoke(&mut self, machine: f32) {
        self.ask(Occasion::Firm);
        let until = self.ear.hops.saturating_add(hops(self.settings.words_time));
        let waits = self.questions.wait(machine, until);
        self.decide(Callee::Machine, machine, !waits);
    }

    /// Asks for what was said, where words are read and it is worth it.
    fn ask(&mut self, occasion: Occasion) {
        let is_on = !self.settings.words_time.is_zero();
        if is_on && self.questions.ask(self.timing.speech_hops(), occasion) {
            let at = self.since_answer(self.ear.hops);
            self.effects.push_back(Effect::WordsWanted { at });
        }
    }

    /// Before the answer only a machine can speak: a voicemail, an announcement.
    fn judge_early(&mut self) {
        let Some(features) = self.timing.features() else { return };
        let machine = self.model.machine(&features);
        if self.standing.is_none()
            && machine >= self.firm_from(&features)
            && !self.music.is_likely()
        {
            self.decide(Callee::Machine, machine, false);
        }
    }

    fn judge(&mut self) {
        let clock = self.since_clock(self.ear.hops);
        let standing = self.standing.map(|verdict| verdict.callee);
        let end = self.decided_within();
        self.judge_speech(standing);
        self.judge_quiet(clock);
        // Nobody is judged in the middle of a phrase that may tell.
        let is_speaking = standing == Some(Callee::Human)
            && self.is_speaking()
            && clock < end + PHRASE_AWAITED_MAX;
        if clock >= end && !is_speaking && self.phase == Phase::Deciding {
            self.settle();
        }
    }

    /// Whether somebody speaks, or has hardly stopped.
    fn is_speaking(&self) -> bool {
        self.timing.pause_hops().is_some_and(|pause| pause < SAME_SPEECH_HOPS)
    }

    /// A person who has spoken, or has not, waits to hear something; a line that rings does not.
    fn judge_quiet(&mut self, clock: Duration) {
        let pause = self.timing.pause_hops();
        let pause = pause.map(|hops| Duration::from_millis(u64::from(hops) * HOP_MS));
        let is_quiet = pause.unwrap_or(clock) >= self.settings.quiet_max;
        let standing = self.standing.map(|verdict| verdict.callee);
        let is_other = matches!(standing, Some(Callee::Human | Callee::Ringback | Callee::Music));
        let may_be_tone = self.ear.awaits_tone() || self.music.is_likely();
        let is_deciding = self.phase == Phase::Deciding;
        if is_deciding && is_quiet && !self.was_quiet && !is_other && !may_be_tone {
            self.was_quiet = true;
            self.effects.push_back(Effect::Quiet { at: self.since_answer(self.ear.hops) });
        }
    }

    fn judge_speech(&mut self, standing: Option<Callee>) {
        if self.music.is_likely() {
            let may_be = matches!(standing, None | Some(Callee::Human | Callee::Ringback));
            if may_be && self.music.is_believed() {
                self.decide(Callee::Music, LEFT_OVER_CHANCE, false);
            }
            return;
        }
        match self.questions.waits(self.ear.hops) {
            Some(Wait::Goes) => {
                self.ask(Occasion::TalksOn);
                return;
            }
            Some(Wait::Over(machine)) => return self.end_wait(machine),
            None => {}
        }
        let Some(features) = self.timing.features() else { return };
        if self.timing.speech_hops() < SPEECH_HOPS_MIN || self.ear.awaits_tone() {
            return;
        }
        let machine = self.model.machine(&features);
        let least = self.settings.person_pause;
        let is_human = decides_for_person(features[PAUSE], machine, least);
        let is_firm = machine >= self.firm_from(&features);
        match standing {
            Some(Callee::CallScreener) => {}
            Some(Callee::Human | Callee::Machine) if is_firm => self.machine_spoke(machine),
            Some(Callee::Human) => {}
            Some(_) | None if is_human => self.decide(Callee::Human, 1.0 - machine, false),
            Some(Callee::Machine) => {}
            _ if is_firm => self.machine_spoke(machine),
            _ if machine >= LIKELY => self.decide(Callee::Machine, machine, false),
            _ => {}
        }
        if features[PAUSE] >= WORDS_PAUSE_S && self.phase == Phase::Deciding {
            self.ask(Occasion::Pause);
        }
    }

    /// The time is over: what stands becomes firm.
    fn settle(&mut self) {
        match self.standing {
            Some(Verdict { callee, probability, .. }) => self.decide(callee, probability, true),
            None => {
                let Verdict { callee, probability, .. } = self.leaning();
                self.decide(callee, probability, true);
            }
        }
        if self.phase == Phase::Deciding {
            self.finish();
        }
    }

    /// Says a verdict, unless it is said already, and goes where it leads.
    fn decide(&mut self, callee: Callee, probability: f32, is_firm: bool) {
        let verdict =
            Verdict { callee, probability, at: self.since_answer(self.ear.hops), is_firm };
        let effect = match self.standing {
            None => Effect::Decided(verdict),
            Some(standing) if standing.callee != callee => {
                Effect::Revised { was: standing.callee, verdict }
            }
            Some(standing) if is_firm && !standing.is_firm => Effect::Confirmed(verdict),
            Some(_) => return,
        };
        if !matches!(effect, Effect::Confirmed(_)) {
            self.standing_hop = self.ear.hops;
        }
        self.standing = Some(verdict);
        self.effects.push_back(effect);
        if !is_firm || self.phase != Phase::Deciding {
            return;
        }
        match (callee, self.settings.greeting) {
            (Callee::Machine, Greeting::Await) => self.phase = Phase::Greeting,
            _ => self.finish(),
        }
    }

    /// Waits for the end of a greeting; a beep that sounds is waited for as well.
    fn await_end(&mut self) {
        let pause = self.timing.pause_hops().unwrap_or_default();
        let pause = Duration::from_millis(u64::from(pause) * HOP_MS);
        if self.since_clock(self.ear.hops) >= self.settings.greeting_within {
            self.finish();
        } else if pause >= self.settings.greeting_pause && !self.ear.is_beeping() {
            self.end_greeting(false);
        }
    }

    fn end_greeting(&mut self, by_beep: bool) {
        let at = self.since_answer(self.ear.hops);
        self.effects.push_back(Effect::GreetingEnded { at, by_beep });
        if by_beep || self.settings.late_beep_within.is_zero() {
            return self.finish();
        }
        self.phase = Phase::LateBeep;
        self.late_beep_until = self.ear.hops.saturating_add(hops(self.settings.late_beep_within));
    }

    fn finish(&mut self) {
        if self.phase != Phase::Finished {
            self.phase = Phase::Finished;
            let verdict = Verdict { is_firm: true, ..self.verdict() };
            self.effects.push_back(Effect::Finished(verdict));
        }
    }

    /// When what stands becomes firm, on the clock: a person when nothing revised it, and what
    /// follows a ring when the next ring would have come and somebody had time to speak.
    fn decided_within(&self) -> Duration {
        let Settings { mode, decide_within, revise_within, .. } = self.settings;
        match self.standing {
            Some(Verdict { callee: Callee::Human, .. }) => {
                self.since_clock(self.standing_hop) + revise_within
            }
            _ if self.rang_at.is_some() && mode == Mode::AnswerDetect => {
                decide_within + RING_PAUSE_MAX
            }
            _ => decide_within,
        }
    }

    /// What is likeliest while nothing stands.
    fn leaning(&self) -> Verdict {
        let at = self.since_answer(self.ear.hops);
        let say = |callee, probability| Verdict { callee, probability, at, is_firm: false };
        let spoke = self.timing.speech_hops() >= SPEECH_HOPS_MIN;
        let features = self.timing.features().filter(|_| spoke);
        match features.map(|features| self.model.machine(&features)) {
            _ if self.music.is_likely() => say(Callee::Music, LEFT_OVER_CHANCE),
            None if self.timing.pause_hops().is_some() => say(Callee::Unknown, 0.0),
            None => say(Callee::Silence, LEFT_OVER_CHANCE),
            Some(machine) if machine >= 0.6 => say(Callee::Machine, machine),
            Some(machine) if machine <= 0.4 => say(Callee::Human, 1.0 - machine),
            Some(machine) => say(Callee::Unknown, machine.min(1.0 - machine)),
        }
    }

    fn since_answer(&self, hop: u32) -> Duration {
        Duration::from_millis(u64::from(hop.saturating_sub(self.answered_hop)) * HOP_MS)
    }

    fn since_clock(&self, hop: u32) -> Duration {
        Duration::from_millis(u64::from(hop.saturating_sub(self.clock_hop)) * HOP_MS)
    }
}

/// A time in hops.
fn hops(time: Duration) -> u32 {
    u32::try_from(time.as_millis() as u64 / HOP_MS).unwrap_or(u32::MAX)
}

/// Effects of one frame at most; a caller who drains after every `handle` allocates nothing.
const EFFECTS_AT_ONCE: usize = 24;

/// Whether a pause of so many seconds decides for a person, where a machine has that chance and
/// no pause shorter than `least` decides.
pub fn decides_for_person(pause_s: f32, machine: f32, least: Duration) -> bool {
    let is_long_enough = pause_s >= least.as_secs_f32();
    let decides = |(from, most): &(f32, f32)| pause_s >= *from && machine <= *most;
    is_long_enough && PERSON_PAUSES.iter().any(decides)
}

/// What the model of speech sees of a recording: the features every `every` from the first word
/// on, with the time in the recording. For training and for pictures.
pub fn observe(samples: &[i16], every: Duration) -> Vec<(Duration, Features)> {
    let mut ear = Ear::new();
    let mut timing = Timing::default();
    let mut seen = Vec::new();
    let every_frames = (every.as_millis() as usize / crate::FRAME_MS as usize).max(1);
    for (nth, frame) in samples.chunks(crate::FRAME_SAMPLES).enumerate() {
        let (_, moments) = ear.hear(frame);
        moments.iter().for_each(|moment| timing.next(moment));
        if (nth + 1).is_multiple_of(every_frames)
            && let Some(features) = timing.features()
        {
            let at = Duration::from_millis((nth as u64 + 1) * u64::from(crate::FRAME_MS));
            seen.push((at, features));
        }
    }
    seen
}
