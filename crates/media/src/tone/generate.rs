//! Makes the samples of a tone, as many at a time as wanted.

use super::{Repeat, Sine, Step, Tone, Wave};
use crate::random::Random;
use crate::{RATE_HZ, samples_in};

/// Samples over which a sound rises and falls, 2 ms: without them it begins with a click.
const RAMP_SAMPLES: usize = 16;
/// Level of the loudest sine that mu-law can say, in dBm0 (G.711 §4); A-law has 3.14.
pub(super) const SINE_DBM0_MAX: f32 = 3.17;
/// Amplitude of the loudest sine.
const AMPLITUDE_MAX: f32 = 32_768.0;

/// One tone being played.
#[derive(Clone, Debug)]
pub struct Generator {
    tone: Tone,
    /// The step that is played, and samples played of it.
    step: usize,
    played: usize,
    oscillators: [Oscillator; 2],
    noise: Random,
}

impl Generator {
    /// From the beginning.
    pub fn new(tone: Tone) -> Self {
        let noise = Random::new(tone.seed);
        let mut generator =
            Self { tone, step: 0, played: 0, oscillators: [Oscillator::SILENT; 2], noise };
        generator.begin_step();
        generator
    }

    /// Writes the next samples; fewer than there is room for means that the tone ended.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut filled = 0;
        // A tone for ever whose steps have no length would never fill anything.
        let mut empty_steps = 0;
        while filled < out.len() && empty_steps <= self.tone.steps.len() {
            let Some(step) = self.tone.steps.get(self.step).copied() else { break };
            let length = samples_in(step.duration);
            let count = (length - self.played).min(out.len() - filled);
            self.sound(step.wave, length, &mut out[filled..filled + count]);
            filled += count;
            self.played += count;
            empty_steps = if count == 0 { empty_steps + 1 } else { 0 };
            if self.played == length {
                self.next_step();
            }
        }
        filled
    }

    /// All samples of a tone that ends; of one that does not, those of one round.
    pub fn samples(tone: Tone) -> Vec<i16> {
        let length = tone.steps.iter().map(|step| samples_in(step.duration)).sum();
        let mut samples = vec![0; length];
        let filled = Self::new(tone).fill(&mut samples);
        samples.truncate(filled);
        samples
    }

    fn next_step(&mut self) {
        self.step += 1;
        self.played = 0;
        if self.step == self.tone.steps.len() && self.tone.repeat == Repeat::Forever {
            self.step = 0;
        }
        self.begin_step();
    }

    fn begin_step(&mut self) {
        self.oscillators = match self.tone.steps.get(self.step) {
            Some(Step { wave: Wave::Single(sine), .. }) => {
                [Oscillator::new(*sine), Oscillator::SILENT]
            }
            Some(Step { wave: Wave::Pair(low, high), .. }) => {
                [Oscillator::new(*low), Oscillator::new(*high)]
            }
            Some(Step { wave: Wave::Noise(_) | Wave::Silence, .. }) | None => {
                [Oscillator::SILENT; 2]
            }
        };
    }

    fn sound(&mut self, wave: Wave, length: usize, out: &mut [i16]) {
        match wave {
            Wave::Silence => out.fill(0),
            Wave::Noise(dbm0) => {
                // The level of a sine is its amplitude over the root of two.
                let deviation = amplitude(dbm0) / std::f32::consts::SQRT_2;
                out.fill_with(|| (self.noise.next_normal() * deviation) as i16);
            }
            Wave::Pair(..) | Wave::Single(_) => {
                let [low, high] = &mut self.oscillators;
                for (offset, sample) in out.iter_mut().enumerate() {
                    let at = self.played + offset;
                    let edge = (at + 1).min(length - at).min(RAMP_SAMPLES);
                    let ramp = edge as f64 / RAMP_SAMPLES as f64;
                    *sample = ((low.next() + high.next()) * ramp).round() as i16;
                }
            }
        }
    }
}

fn amplitude(dbm0: f32) -> f32 {
    AMPLITUDE_MAX * 10f32.powf((dbm0 - SINE_DBM0_MAX) / 20.0)
}

/// A sine by the recurrence `y[n] = 2 cos(w) y[n-1] - y[n-2]`; exact enough for hours in `f64`.
#[derive(Clone, Copy, Debug)]
struct Oscillator {
    factor: f64,
    last: f64,
    before: f64,
}

impl Oscillator {
    const SILENT: Self = Self { factor: 0.0, last: 0.0, before: 0.0 };

    fn new(sine: Sine) -> Self {
        let angle = std::f64::consts::TAU * f64::from(sine.hz) / f64::from(RATE_HZ);
        let amplitude = f64::from(amplitude(sine.dbm0));
        Self {
            factor: 2.0 * angle.cos(),
            last: -amplitude * angle.sin(),
            before: -amplitude * (2.0 * angle).sin(),
        }
    }

    fn next(&mut self) -> f64 {
        let next = self.factor * self.last - self.before;
        (self.before, self.last) = (self.last, next);
        next
    }
}
