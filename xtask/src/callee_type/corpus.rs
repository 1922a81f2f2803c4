//! The recordings that the model is trained with, and what it sees of them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use media::classify::observe;
use media::classify::trial::{Recording, manifest};
use media::sound::{Hint, Limits, Sound};
use sha2::{Digest, Sha256};

use super::augment::Clip;
use super::boost::Sample;
use super::random::Random;

/// What each recording becomes: itself, and so many others.
pub(super) const VARIANTS: u64 = 8;
/// How often the model looks in training.
const EVERY: Duration = Duration::from_millis(100);
/// Longest time from the first word that is learned from, in seconds.
const SINCE_MAX_S: f32 = 6.5;
/// Share of people who speak long in one breath; least length, mean of what exceeds it, and most.
const LONG: f32 = 0.11;
const LONG_S: (f32, f32, f32) = (1.9, 0.9, 4.8);
/// Share of people who say a sentence, and its length in seconds.
const SENTENCES: f32 = 0.3;
const SENTENCE_S: (f32, f32) = (0.9, 2.1);
/// Share of people who say hello again, the pause before that, and how long they do, in seconds.
const AGAIN: f32 = 0.04;
const AGAIN_PAUSE_S: (f32, f32) = (0.7, 2.4);
const AGAIN_S: (f32, f32) = (0.3, 1.3);
/// Share of people who say more after a short pause: "hello … who is this?", both in seconds.
const MORE: f32 = 0.03;
const MORE_PAUSE_S: (f32, f32) = (0.32, 0.8);
const MORE_S: (f32, f32) = (0.5, 1.6);
/// Share of machines whose first pause is made longer.
const LONGER_PAUSES: f32 = 0.2;
/// Utterances in one breath at most.
const CHAIN_MAX: usize = 12;
/// Longest clip that is looked at, in samples.
const CLIP_MAX: usize = 8_000 * 11;

/// One recording of speech.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its row of the manifest.
    pub(super) recording: Recording,
    /// How it sounds.
    pub(super) clip: Clip,
    /// Whether a machine speaks.
    pub(super) is_machine: bool,
    /// Place of its unit among the units.
    pub(super) unit: usize,
}

/// All recordings of speech.
#[derive(Debug)]
pub(super) struct Corpus {
    /// The recordings, in the manifest's order.
    pub(super) clips: Vec<Entry>,
    /// Names of the units.
    pub(super) units: Vec<String>,
    /// SHA-256 of the manifest and of all recordings used.
    pub(super) hash: String,
}

impl Corpus {
    /// Reads people and machines of a manifest.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("manifest.csv");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut hash = Sha256::new();
        hash.update(&text);
        let (mut clips, mut units): (Vec<Entry>, Vec<String>) = (Vec::new(), Vec::new());
        for recording in manifest(&text)? {
            let is_machine = recording.label == "machine";
            if !is_machine && recording.label != "human" {
                continue;
            }
            let path = dir.join(&recording.file);
            let bytes =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            hash.update(&bytes);
            let sound = Sound::read(&bytes, Hint::default(), &Limits::default())?;
            let samples = sound.at_rate(media::RATE_HZ)?.samples().to_vec();
            let (start, end) = recording.voice_s.unwrap_or((0.0, f32::MAX));
            let place = |s: f32| ((s * 8_000.0) as usize).min(samples.len());
            let voice = (place(start), place(end).max(place(start)));
            let unit = units.iter().position(|unit| *unit == recording.unit);
            let unit = unit.unwrap_or_else(|| {
                units.push(recording.unit.clone());
                units.len() - 1
            });
            clips.push(Entry { clip: Clip { samples, voice }, recording, is_machine, unit });
        }
        ensure!(clips.iter().any(|c| c.is_machine) && clips.iter().any(|c| !c.is_machine));
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { clips, units, hash })
    }

    /// What the model sees of all recordings, as they are and changed in many ways.
    pub(super) fn samples(&self, seed: u64) -> Vec<Sample> {
        let (left, right) = self.clips.split_at(self.clips.len() / 2);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| self.samples_of(left, 0, seed));
            let mut second = self.samples_of(right, left.len(), seed);
            let mut all = first.join().expect("training does not panic");
            all.append(&mut second);
            self.weigh(&mut all);
            all
        })
    }

    fn samples_of(&self, entries: &[Entry], first: usize, seed: u64) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (nth, entry) in entries.iter().enumerate() {
            let group = first + nth;
            let mut random = Random::new(seed ^ (group as u64).wrapping_mul(0x9e37_79b9));
            for variant in 0..VARIANTS {
                let clip = if variant == 0 {
                    entry.clip.clone()
                } else {
                    self.variant(entry, group, &mut random)
                };
                let heard = &clip.samples[..clip.samples.len().min(CLIP_MAX)];
                let number = group as u32 * VARIANTS as u32 + variant as u32;
                for (_, features) in observe(heard, EVERY) {
                    if features[0] > SINCE_MAX_S {
                        break;
                    }
                    // Long after the last word nothing is learned any more.
                    let weight = if features[2] > 1.2 { 0.3 } else { 1.0 };
                    let is_machine = entry.is_machine;
                    let group = group as u32;
                    samples.push(Sample { features, is_machine, weight, group, clip: number });
                }
            }
        }
        samples
    }

    /// The recording as another call would have it.
    fn variant(&self, entry: &Entry, group: usize, random: &mut Random) -> Clip {
        let mut clip = match (entry.is_machine, random.share()) {
            (true, kind) if kind < LONGER_PAUSES => entry.clip.with_longer_pause(random),
            (true, _) => entry.clip.clone(),
            (false, kind) => self.person(entry, group, kind, random),
        };
        if random.share() < 0.6 {
            clip = clip.at_speed(random.between(0.85, 1.18));
        }
        if random.share() < 0.6 {
            clip = clip.with_onset(random);
        }
        clip.over_any_line(random)
    }

    /// A person who says more than the corpus has: it holds many words and few sentences, so how
    /// long people speak in one breath, and how often they speak again, is set here.
    fn person(&self, entry: &Entry, group: usize, kind: f32, random: &mut Random) -> Clip {
        let clip = &entry.clip;
        if kind < LONG {
            self.long(clip, group, random)
        } else if kind < LONG + SENTENCES {
            self.chain(clip, group, random.between(SENTENCE_S.0, SENTENCE_S.1), random)
        } else if kind < LONG + SENTENCES + AGAIN {
            let pause_s = random.between(AGAIN_PAUSE_S.0, AGAIN_PAUSE_S.1);
            let again = if random.share() < 0.7 { clip } else { self.other(group, random) };
            clip.followed_by(&again.cut(random.between(AGAIN_S.0, AGAIN_S.1)), pause_s)
        } else if kind < LONG + SENTENCES + AGAIN + MORE {
            let pause_s = random.between(MORE_PAUSE_S.0, MORE_PAUSE_S.1);
            let more = self.chain(clip, group, random.between(MORE_S.0, MORE_S.1), random);
            clip.cut(MORE_S.1).followed_by(&more, pause_s)
        } else {
            clip.clone()
        }
    }

    /// Somebody who speaks long in one breath.
    pub(super) fn long(&self, clip: &Clip, group: usize, random: &mut Random) -> Clip {
        let long_s = LONG_S.0 - LONG_S.1 * (1.0 - random.share()).ln();
        self.chain(clip, group, long_s.min(LONG_S.2), random)
    }

    /// Utterances of the same source without pauses, until they are as long as wanted.
    fn chain(&self, clip: &Clip, group: usize, seconds: f32, random: &mut Random) -> Clip {
        let mut chain = clip.clone();
        for _ in 0..CHAIN_MAX {
            if chain.speech_s() >= seconds {
                break;
            }
            chain = chain.followed_by(self.other(group, random), random.between(0.0, 0.1));
        }
        chain.cut(seconds)
    }

    /// Another recording of the same unit.
    pub(super) fn other(&self, group: usize, random: &mut Random) -> &Clip {
        let unit = self.clips[group].unit;
        let label = &self.clips[group].recording.label;
        let same = |e: &&Entry| e.unit == unit && e.recording.label == *label;
        let all: Vec<&Entry> = self.clips.iter().filter(same).collect();
        &all[random.below(all.len())].clip
    }

    /// Recordings count alike, those of large units a little less, people and machines the same.
    fn weigh(&self, samples: &mut [Sample]) {
        let mut sums = vec![0.0f32; self.clips.len()];
        samples.iter().for_each(|s| sums[s.group as usize] += s.weight);
        let size = |unit| self.clips.iter().filter(|e| e.unit == unit).count() as f32;
        let sizes: Vec<f32> = self.clips.iter().map(|entry| size(entry.unit)).collect();
        let mut totals = [0.0f32; 2];
        for sample in samples.iter_mut() {
            let group = sample.group as usize;
            sample.weight /= sums[group] * sizes[group].powf(0.4);
            totals[usize::from(sample.is_machine)] += sample.weight;
        }
        for sample in samples.iter_mut() {
            // Half of 400 each, so that the regular part means the same with any corpus.
            sample.weight *= 200.0 / totals[usize::from(sample.is_machine)];
        }
    }
}
