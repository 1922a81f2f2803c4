//! Trials of the classifier: recordings whose truth is known, what it said of them, and the score.
//!
//! A manifest is a CSV file with a heading; columns are found by name. `file` and `label` must be
//! there; `sublabel`, `tier`, `unit` and the times of voice and beep may be.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::beep::Beep;
use super::ear::{Ear, Finding};
use super::{Callee, Classifier, Effect, Greeting, Input, Model, Settings, SitCode, Verdict};
use crate::g711::Law;
use crate::random::Random;
use crate::tone::Sit;
use crate::{FRAME_MS, FRAME_SAMPLES};

/// How much earlier than the manifest says a beep may be heard, and how much after its end it may
/// still be told, in seconds: people who measured by eye are no more exact.
const BEEP_EARLY_S: f32 = 0.06;
const BEEP_LATE_S: f32 = 0.3;
/// Recordings of one manifest at most.
const RECORDINGS_MAX: usize = 100_000;

/// One recording of a manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Path from the manifest's directory.
    pub file: String,
    /// What it is: `human`, `machine`, `sit`, `fax`, `busy`, `ringback`, `music`, `silence`, …
    pub label: String,
    /// Which kind of it.
    pub sublabel: String,
    /// How real it is: `A` as recorded, `B` composed of recordings, `C` with made sounds.
    pub tier: String,
    /// Recordings that must stay together when some are held back: a speaker, a source.
    pub unit: String,
    /// When the first voice starts and the last one ends, in seconds.
    pub voice_s: Option<(f32, f32)>,
    /// When a beep in it starts and ends, in seconds.
    pub beep_s: Option<(f32, f32)>,
}

/// Why a manifest cannot be used. Whoever wrote it repairs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The heading lacks a column.
    #[error("there is no column {0}")]
    ColumnMissing(&'static str),
    /// It has more recordings than one trial takes.
    #[error("there are more than {RECORDINGS_MAX} recordings")]
    TooLong,
}

/// Reads a manifest.
pub fn manifest(text: &str) -> Result<Vec<Recording>, ManifestError> {
    let mut rows = text.lines().filter(|row| !row.trim().is_empty()).map(fields);
    let heading = rows.next().unwrap_or_default();
    let column = |name: &str| heading.iter().position(|field| field == name);
    let file = column("file").ok_or(ManifestError::ColumnMissing("file"))?;
    let label = column("label").ok_or(ManifestError::ColumnMissing("label"))?;
    let texts = ["sublabel", "tier", "unit"].map(column);
    let times = ["voice_start_s", "voice_end_s", "beep_start_s", "beep_end_s"].map(column);
    let mut recordings = Vec::new();
    for row in rows {
        if recordings.len() == RECORDINGS_MAX {
            return Err(ManifestError::TooLong);
        }
        let at = |place: Option<usize>| place.and_then(|place| row.get(place)).cloned();
        let [sublabel, tier, unit] = texts.map(|place| at(place).unwrap_or_default());
        let seconds = |place| at(place)?.parse::<f32>().ok().filter(|value| value.is_finite());
        let [voice_start, voice_end, beep_start, beep_end] = times.map(seconds);
        recordings.push(Recording {
            file: at(Some(file)).unwrap_or_default(),
            label: at(Some(label)).unwrap_or_default(),
            sublabel,
            tier,
            unit,
            voice_s: voice_start.zip(voice_end),
            beep_s: beep_start.zip(beep_end),
        });
    }
    Ok(recordings)
}

/// Fields of a line; quotes hold commas and doubled quotes together (RFC 4180, without line breaks
/// inside of fields).
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut signs = line.trim_end_matches('\r').chars().peekable();
    while let Some(sign) = signs.next() {
        let field = fields.last_mut().expect("there is always a field");
        match sign {
            '"' if is_quoted && signs.peek() == Some(&'"') => {
                field.push('"');
                signs.next();
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            sign => field.push(sign),
        }
    }
    fields
}

/// The line that a recording is sent over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Level of white noise that is added, in dBov.
    pub noise_dbov: Option<f32>,
    /// The law it is coded in and decoded from.
    pub law: Option<Law>,
}

impl Line {
    /// Sends samples over it; the noise follows from `seed`.
    pub fn send(&self, samples: &mut [i16], seed: u64) {
        let mut random = Random::new(seed);
        let amplitude = self.noise_dbov.map_or(0.0, |dbov| 10f32.powf(dbov / 20.0) * 32_768.0);
        for sample in samples {
            if amplitude > 0.0 {
                let noisy = f32::from(*sample) + random.next_normal() * amplitude;
                *sample = noisy.round() as i16;
            }
            if let Some(law) = self.law {
                *sample = law.decode(law.encode(*sample));
            }
        }
    }
}

/// What was said of a recording that was played from the moment of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// The last word.
    pub verdict: Verdict,
    /// When that callee was decided, from the answer.
    pub decided: Duration,
    /// When it became firm, from the answer.
    pub firm: Duration,
    /// What was decided first, if it was something else.
    pub first: Option<Callee>,
    /// Beeps: when each began, when it was told, and when it ended if it did.
    pub beeps: Vec<(Duration, Duration, Option<Duration>)>,
}

/// How trials listen: like [`Settings::default`], with the greeting awaited.
pub fn settings() -> Settings {
    Settings {
        greeting: Greeting::Await,
        greeting_within: Duration::from_secs(600),
        ..Settings::default()
    }
}

/// Who reads what is said in a recording.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    /// Reads all that was said until it is asked.
    pub read: &'a dyn Fn(&[i16]) -> String,
    /// How long that takes.
    pub time: Duration,
}

/// Plays a recording to a classifier as a call that is answered when it begins and ends with it;
/// what it said, and when, from the start of the recording. `start` is any moment.
pub fn effects(
    samples: &[i16],
    settings: Settings,
    model: &'static Model,
    start: Instant,
    words: Option<Words<'_>>,
) -> Vec<(Duration, Effect)> {
    let mut classifier = Classifier::with_model(settings, model);
    let mut said = Vec::new();
    let mut answers = VecDeque::<(Duration, String)>::new();
    let mut at = Duration::ZERO;
    classifier.handle(start, Input::Answered);
    for (nth, frame) in samples.chunks(FRAME_SAMPLES).enumerate() {
        at += Duration::from_millis(u64::from(FRAME_MS));
        if let Some((_, text)) = answers.pop_front_if(|(due, _)| *due <= at) {
            classifier.handle(start + at, Input::Words(&text));
        }
        classifier.handle(start + at, Input::Frame(frame));
        while let Some(effect) = classifier.poll() {
            said.push((at, effect));
            if let (Effect::WordsWanted { .. }, Some(words)) = (effect, words) {
                let heard = &samples[..(nth * FRAME_SAMPLES + frame.len())];
                answers.push_back((at + words.time, (words.read)(heard)));
            }
        }
    }
    classifier.handle(start + at, Input::Stop);
    while let Some(effect) = classifier.poll() {
        said.push((at, effect));
    }
    said
}

/// Plays a recording to a classifier, and once more to the detector of beeps, which is asked for
/// all of it whatever the verdict. `start` is any moment.
pub fn listen(
    samples: &[i16],
    settings: Settings,
    model: &'static Model,
    start: Instant,
    words: Option<Words<'_>>,
) -> Heard {
    let (mut decided, mut firm, mut first, mut last) = (None, None, None, None);
    for (_, effect) in effects(samples, settings, model, start, words) {
        match effect {
            Effect::Decided(verdict) | Effect::Revised { verdict, .. } => {
                first = first.or(Some(verdict.callee));
                decided = Some(verdict.at);
                firm = verdict.is_firm.then_some(verdict.at);
            }
            Effect::Confirmed(verdict) => firm = Some(verdict.at),
            Effect::Finished(verdict) => last = Some(verdict),
            Effect::BeepStarted { .. }
            | Effect::BeepEnded { .. }
            | Effect::GreetingEnded { .. }
            | Effect::Quiet { .. }
            | Effect::WordsWanted { .. } => {}
        }
    }
    let verdict = last.expect("a call that was stopped has a last word");
    let first = first.filter(|callee| *callee != verdict.callee);
    let decided = decided.unwrap_or(verdict.at);
    Heard { verdict, decided, firm: firm.unwrap_or(verdict.at), first, beeps: beeps(samples) }
}

/// All beeps of a recording.
fn beeps(samples: &[i16]) -> Vec<(Duration, Duration, Option<Duration>)> {
    let mut ear = Ear::new();
    let mut beeps: Vec<(Duration, Duration, Option<Duration>)> = Vec::new();
    let time = |hops: u32| Duration::from_millis(u64::from(hops) * super::HOP_MS);
    for frame in samples.chunks(FRAME_SAMPLES) {
        let (findings, _) = ear.hear(frame);
        for finding in findings.iter() {
            match finding {
                Finding::Beep(Beep::Started { from, .. }) => {
                    beeps.push((time(from), time(ear.hops), None));
                }
                Finding::Beep(Beep::Ended { until }) => {
                    if let Some(beep) = beeps.last_mut() {
                        beep.2 = Some(time(until));
                    }
                }
                Finding::Cadence(_) | Finding::Fax | Finding::Sit(_) => {}
            }
        }
    }
    beeps
}

/// How often one kind of recording was told right, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Recordings.
    pub total: usize,
    /// How many were told right in the end.
    pub right: usize,
    /// How many were told right, and nothing else before.
    pub right_at_first: usize,
    /// When the right ones were decided, in seconds, sorted.
    pub decided_s: Vec<f32>,
    /// When the right ones became firm, in seconds, sorted.
    pub firm_s: Vec<f32>,
}

/// The value below which `share` of sorted values lie; `None` if there are none.
pub fn percentile(sorted: &[f32], share: f32) -> Option<f32> {
    let place = (share * sorted.len() as f32).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

/// The score of a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Per label.
    pub labels: BTreeMap<String, Tally>,
    /// Per label and sublabel, with a slash between them.
    pub sublabels: BTreeMap<String, Tally>,
    /// Per label and tier, with a slash between them.
    pub tiers: BTreeMap<String, Tally>,
    /// Per label, how often which callee was said.
    pub confusion: BTreeMap<String, BTreeMap<&'static str, usize>>,
    /// Beeps that there were.
    pub beeps_total: usize,
    /// Beeps found.
    pub beeps_found: usize,
    /// How long after its start a beep was told, in seconds, sorted.
    pub beep_delay_s: Vec<f32>,
    /// Beeps told where there were none.
    pub beeps_false: usize,
    /// Hours of sound in which no beep but the known ones was expected: speech, music, silence.
    pub beep_hours: f32,
    /// Special information tones.
    pub sit_total: usize,
    /// How many of them were told to be such.
    pub sit_found: usize,
    /// How many were told with the right code.
    pub sit_code_right: usize,
    /// How many other recordings were told to be such.
    pub sit_false: usize,
    /// How many recordings that are none were told to be fax machines.
    pub fax_false: usize,
}

impl Score {
    /// Counts one recording; `duration` is its length.
    pub fn add(&mut self, recording: &Recording, heard: &Heard, duration: Duration) {
        let Recording { label, sublabel, tier, .. } = recording;
        let is_right = is_right(label, heard.verdict.callee);
        for (tallies, key) in [
            (&mut self.labels, label.clone()),
            (&mut self.sublabels, format!("{label}/{sublabel}")),
            (&mut self.tiers, format!("{label}/{tier}")),
        ] {
            tallies.entry(key).or_default().add(is_right, heard);
        }
        let said = self.confusion.entry(label.clone()).or_default();
        *said.entry(heard.verdict.callee.name()).or_default() += 1;
        self.add_beeps(recording, heard, duration);
        let is_sit = matches!(heard.verdict.callee, Callee::Sit(_));
        self.sit_false += usize::from(is_sit && label != "sit");
        self.fax_false += usize::from(heard.verdict.callee == Callee::Fax && label != "fax");
        if label == "sit" {
            self.sit_total += 1;
            if let Callee::Sit(code) = heard.verdict.callee {
                self.sit_found += 1;
                self.sit_code_right += usize::from(sit_code(sublabel) == Some(code));
            }
        }
    }

    fn add_beeps(&mut self, recording: &Recording, heard: &Heard, duration: Duration) {
        // Tones of the network are no beeps, but may sound like one; nobody waits for a beep there.
        if !["human", "machine", "music", "silence"].contains(&recording.label.as_str()) {
            return;
        }
        self.beep_hours += duration.as_secs_f32() / 3_600.0;
        let mut is_found = false;
        for (_, told, _) in &heard.beeps {
            let told = told.as_secs_f32();
            match recording.beep_s {
                Some((start, end)) if told >= start - BEEP_EARLY_S && told <= end + BEEP_LATE_S => {
                    if !is_found {
                        insert(&mut self.beep_delay_s, told - start);
                    }
                    is_found = true;
                }
                _ => self.beeps_false += 1,
            }
        }
        self.beeps_total += usize::from(recording.beep_s.is_some());
        self.beeps_found += usize::from(is_found);
    }
}

impl Tally {
    fn add(&mut self, is_right: bool, heard: &Heard) {
        self.total += 1;
        if is_right {
            self.right += 1;
            self.right_at_first += usize::from(heard.first.is_none());
            insert(&mut self.decided_s, heard.decided.as_secs_f32());
            insert(&mut self.firm_s, heard.firm.as_secs_f32());
        }
    }
}

fn insert(sorted: &mut Vec<f32>, value: f32) {
    let place = sorted.partition_point(|other| *other < value);
    sorted.insert(place, value);
}

/// Whether a callee is what a label means; busy and reorder are told apart by country only, so
/// either is right for both.
pub fn is_right(label: &str, callee: Callee) -> bool {
    match callee {
        Callee::Busy | Callee::Reorder => matches!(label, "busy" | "reorder"),
        Callee::CallScreener => matches!(label, "call_screener" | "machine"),
        Callee::Sit(_) => label == "sit",
        callee => label == callee.name(),
    }
}

/// The code that a sublabel means: `ic`, `vc`, `nc`, `nc2`, `ro`, `ro2`, `io` or `r1`, `r2`, `itu`.
pub fn sit_code(sublabel: &str) -> Option<SitCode> {
    let name: String = sublabel.to_lowercase().replace('\'', "2").replace(['-', '_', ' '], "");
    let code = match name.trim_start_matches("sit") {
        "ic" | "intercept" => Sit::Intercept,
        "vc" | "vacantcode" | "vacant" => Sit::VacantCode,
        "nc" | "nc1" | "nc2intra" | "ncintra" | "nocircuit" => Sit::NoCircuit,
        "nc2" | "nc22" | "ncinter" | "ncb" => Sit::NoCircuitInterLata,
        "ro" | "ro1" | "rointra" | "reorder" => Sit::Reorder,
        "ro2" | "ro22" | "rointer" | "rob" => Sit::ReorderInterLata,
        "io" | "r1" | "#1" | "reserved1" | "ineffective" => Sit::IneffectiveOther,
        "r2" | "#2" | "reserved2" | "reserved" => Sit::Reserved,
        name if name.starts_with("itu") => return Some(SitCode::Uncoded),
        // Tables name the second code of a pair in many ways.
        name if name.starts_with("nc") => Sit::NoCircuitInterLata,
        name if name.starts_with("ro") => Sit::ReorderInterLata,
        _ => return None,
    };
    Some(SitCode::Coded(code))
}
