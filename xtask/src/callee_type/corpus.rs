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
const VARIANTS: u64 = 8;
/// How often the model looks in training.
const EVERY: Duration = Duration::from_millis(100);
/// Longest time from the first word that is learned from, in seconds.
const SINCE_MAX_S: f32 = 6.5;
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
        let kind = random.share();
        let mut clip = if entry.is_machine {
            if kind < 0.2 { entry.clip.with_longer_pause(random) } else { entry.clip.clone() }
        } else {
            let other = self.other(group, random);
            match kind {
                // One who says more than the corpus has: two sentences in one breath.
                kind if kind < 0.16 => entry.clip.followed_by(other, random.between(0.0, 0.12)),
                kind if kind < 0.24 => entry.clip.followed_by(other, random.between(0.15, 0.6)),
                kind if kind < 0.31 => entry.clip.repeated(random),
                _ => entry.clip.clone(),
            }
        };
        if random.share() < 0.6 {
            clip = clip.at_speed(random.between(0.85, 1.18));
        }
        if random.share() < 0.6 {
            clip = clip.with_onset(random);
        }
        clip.over_any_line(random)
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
