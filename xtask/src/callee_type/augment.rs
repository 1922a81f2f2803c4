//! What the same recording would be at another call: another line, another level, another pause.

use media::classify::trial::Line;
use media::g711::Law;

use super::random::Random;

/// Samples of a second.
const RATE: f32 = 8_000.0;

/// A recording as it is trained with.
#[derive(Clone, Debug)]
pub(super) struct Clip {
    /// 8 kHz, from the answer on.
    pub(super) samples: Vec<i16>,
    /// Where voice starts and ends, in samples.
    pub(super) voice: (usize, usize),
}

impl Clip {
    fn speech(&self) -> &[i16] {
        &self.samples[self.voice.0..self.voice.1]
    }

    /// What follows the voice: the sound of the line.
    fn tail(&self) -> &[i16] {
        &self.samples[self.voice.1..]
    }

    fn of(parts: &[&[i16]], lead: usize) -> Self {
        let samples: Vec<i16> = parts.concat();
        let end = samples.len() - parts.last().map_or(0, |tail| tail.len());
        Self { samples, voice: (lead, end) }
    }

    /// Another utterance of the same source after a pause in seconds.
    pub(super) fn followed_by(&self, other: &Self, pause_s: f32) -> Self {
        let pause = noise_like(self.tail(), (pause_s * RATE) as usize);
        let lead = &self.samples[..self.voice.0];
        Self::of(&[lead, self.speech(), &pause, other.speech(), self.tail()], lead.len())
    }

    /// How long it speaks, from the first to the last voice, in seconds.
    pub(super) fn speech_s(&self) -> f32 {
        (self.voice.1 - self.voice.0) as f32 / RATE
    }

    /// Its speech cut off after so many seconds.
    pub(super) fn cut(&self, seconds: f32) -> Self {
        let end = (self.voice.0 + (seconds * RATE) as usize).min(self.voice.1);
        let samples = [&self.samples[..end], self.tail()].concat();
        Self { samples, voice: (self.voice.0, end) }
    }

    /// A pause of the recording made longer: people let machines pause after "hello".
    pub(super) fn with_longer_pause(&self, random: &mut Random) -> Self {
        let Some(at) = first_pause(self.speech()) else { return self.clone() };
        let at = self.voice.0 + at;
        let pause = noise_like(self.tail(), (random.between(0.1, 2.2) * RATE) as usize);
        let samples = [&self.samples[..at], &pause, &self.samples[at..]].concat();
        Self { samples, voice: (self.voice.0, self.voice.1 + pause.len()) }
    }

    /// The same spoken faster or slower, higher or lower.
    pub(super) fn at_speed(&self, speed: f32) -> Self {
        let length = (self.samples.len() as f32 / speed) as usize;
        let sample = |nth: usize| {
            let place = nth as f32 * speed;
            let (at, part) = (place as usize, place.fract());
            let left = f32::from(self.samples[at.min(self.samples.len() - 1)]);
            let right = f32::from(self.samples[(at + 1).min(self.samples.len() - 1)]);
            (left + (right - left) * part) as i16
        };
        let scaled = |place: usize| ((place as f32 / speed) as usize).min(length);
        Self {
            samples: (0..length).map(sample).collect(),
            voice: (scaled(self.voice.0), scaled(self.voice.1)),
        }
    }

    /// Silence before the first word changed to a random length, for people and machines alike.
    pub(super) fn with_onset(&self, random: &mut Random) -> Self {
        let wanted = (random.share().powi(2) * 2.5 * RATE) as usize;
        let keep = self.voice.0.min(wanted);
        let lead = noise_like(self.tail(), wanted - keep);
        let samples = [&lead, &self.samples[self.voice.0 - keep..]].concat();
        let end = wanted + self.voice.1 - self.voice.0;
        Self { samples, voice: (wanted, end) }
    }

    /// Sent over a line of any quality.
    pub(super) fn over_any_line(&self, random: &mut Random) -> Self {
        let mut clip = self.clone();
        let gain = 10f32.powf(random.between(-12.0, 9.0) / 20.0);
        // What exceeds the scale is clipped.
        for sample in &mut clip.samples {
            *sample = (f32::from(*sample) * gain).round() as i16;
        }
        if random.share() < 0.5 {
            band_pass(&mut clip.samples);
        }
        let noise = random.share() < 0.5;
        let noise_dbov = noise.then(|| random.between(-65.0, -41.0));
        Line { noise_dbov, law: Some(Law::Mu) }.send(&mut clip.samples, random.bits());
        if random.share() < 0.2 {
            for frame in clip.samples.chunks_mut(160) {
                if random.share() < 0.03 {
                    frame.fill(0);
                }
            }
        }
        clip
    }
}

/// 300 Hz to 3,400 Hz, gently.
fn band_pass(samples: &mut [i16]) {
    let (mut low, mut high, mut before) = (0.0f32, 0.0f32, 0.0f32);
    for sample in samples {
        let value = f32::from(*sample);
        // One pole each, at about 300 Hz and 3,000 Hz.
        high = 0.81 * (high + value - before);
        before = value;
        low += 0.9 * (high - low);
        *sample = low as i16;
    }
}

/// Sound of a line, as long as wanted.
fn noise_like(line: &[i16], length: usize) -> Vec<i16> {
    // The first and the last tenth of a second may still hold voice.
    let quiet = line.get(800..line.len().saturating_sub(800)).filter(|quiet| !quiet.is_empty());
    quiet.map_or_else(|| vec![0; length], |q| q.iter().copied().cycle().take(length).collect())
}

/// Where the first pause of at least 0.2 s lies in speech, in samples; a quarter of it is left
/// before.
fn first_pause(speech: &[i16]) -> Option<usize> {
    let level = |frame: &[i16]| frame.iter().map(|s| i64::from(s.unsigned_abs())).sum::<i64>();
    let levels: Vec<i64> = speech.chunks_exact(160).map(level).collect();
    let loud = levels.iter().max()? / 25;
    let mut quiet = 0;
    for (nth, level) in levels.iter().enumerate().skip(10) {
        quiet = if *level < loud { quiet + 1 } else { 0 };
        if quiet == 10 {
            return Some((nth - 6) * 160);
        }
    }
    None
}
