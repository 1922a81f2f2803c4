//! What a hop of 10 ms sounds like: one short spectrum that all detectors of tones and voice share.

use std::sync::LazyLock;

/// Samples between two looks: 10 ms.
pub(crate) const HOP_SAMPLES: usize = 80;
/// Hops of one frame of 20 ms.
pub(crate) const HOPS_A_FRAME: usize = crate::FRAME_SAMPLES / HOP_SAMPLES;
/// Samples that one look covers: 32 ms, long enough to tell tones 40 Hz apart by their beat and
/// short enough to see a beep of 120 ms several times.
const SIZE: usize = 256;
/// A real transform of `SIZE` is a complex one of half the size.
const HALF: usize = SIZE / 2;
const HALF_BITS: u32 = HALF.trailing_zeros();
/// Width of a bin in Hz.
const BIN_HZ: f32 = crate::RATE_HZ as f32 / SIZE as f32;
/// The telephone's band, in bins: 220 Hz to 3,690 Hz. Hum lies below it.
const BAND: std::ops::Range<usize> = 7..118;
/// Where peaks are looked for, in bins: 280 Hz and more, so that their whole lobe is in the band.
const PEAKS: std::ops::Range<usize> = 9..116;
/// Bins where the tones of the network that repeat lie: 344 Hz to 656 Hz.
const LOW_TONES: std::ops::Range<usize> = 11..22;
/// Bins of a fax machine's first data: 1,562 Hz to 1,938 Hz.
const DATA: std::ops::Range<usize> = 50..63;
/// Borders of the bands in which voice is looked for, in bins: from 250 Hz to 3,440 Hz, each about
/// a third of an octave wider than the one below.
const VOICE_BORDERS: [usize; VOICE_BANDS + 1] = [8, 13, 19, 27, 38, 52, 70, 88, 110];
/// Bands in which voice is looked for.
pub(crate) const VOICE_BANDS: usize = 8;
/// What a full-scale square wave would have, so that levels come out in dBov.
const FULL_SCALE: f32 = 32_768.0;
/// Least level that is told, in dBov: below the quantisation of 16 bits.
pub(crate) const LEVEL_MIN_DBOV: f32 = -96.0;
/// Spectra kept: 60 ms.
const PAST_HOPS: usize = 6;
/// Bins around a peak that belong to it: the main lobe of the window.
const LOBE: usize = 2;

/// One strong frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Peak {
    /// Where it is, to about 1 Hz for a steady tone.
    pub(crate) hz: f32,
    /// Its part of the power in the telephone's band, 0 to 1.
    pub(crate) share: f32,
    /// Its level in dBov.
    pub(crate) dbov: f32,
    /// Level at the same frequency 40 to 60 ms earlier, in dBov.
    pub(crate) before_dbov: f32,
}

/// What is known about 10 ms of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hop {
    /// Level of the 10 ms in dBov, all frequencies but the direct current.
    pub(crate) dbov: f32,
    /// Level of the 32 ms that end with the hop, telephone's band only.
    pub(crate) band_dbov: f32,
    /// The two strongest frequencies, stronger first.
    pub(crate) peaks: [Peak; 2],
    /// Part of the band's power between 344 and 656 Hz.
    pub(crate) low_share: f32,
    /// Part of the band's power between 1,562 and 1,938 Hz.
    pub(crate) data_share: f32,
    /// Power of each voice band in dB.
    pub(crate) bands: [f32; VOICE_BANDS],
    /// Largest sample of the hop.
    pub(crate) peak_sample: u16,
}

/// Window, roots of unity and the order of a transform: the same for all calls.
struct Tables {
    window: [f32; SIZE],
    /// `exp(-2 pi i k / SIZE)` for the first half of them.
    cos: [f32; HALF],
    sin: [f32; HALF],
    mirrored: [u8; HALF],
    /// What turns power of bins into power of samples.
    scale: f32,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let angle = |k: usize| std::f32::consts::TAU * k as f32 / SIZE as f32;
    let window = std::array::from_fn(|n| 0.5 - 0.5 * angle(n).cos());
    let energy: f32 = window.iter().map(|weight: &f32| weight * weight).sum();
    Tables {
        window,
        cos: std::array::from_fn(|k| angle(k).cos()),
        sin: std::array::from_fn(|k| -angle(k).sin()),
        mirrored: std::array::from_fn(|k| (k.reverse_bits() >> (usize::BITS - HALF_BITS)) as u8),
        // Bins of positive frequencies only, so twice (Parseval).
        scale: 2.0 / (SIZE as f32 * energy * FULL_SCALE * FULL_SCALE),
    }
});

/// Looks at sound hop by hop; holds the last 32 ms.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    recent: [f32; SIZE],
    /// Slow mean of the samples, so that a direct current is no sound.
    mean: f32,
    re: [f32; HALF],
    im: [f32; HALF],
    power: [f32; HALF],
    /// Power of the hops before, so that the beginning of a tone can be compared.
    past: [[f32; HALF]; PAST_HOPS],
    past_at: usize,
}

impl Spectrum {
    pub(crate) const fn new() -> Self {
        let zero = [0.0; HALF];
        Self {
            recent: [0.0; SIZE],
            mean: 0.0,
            re: zero,
            im: zero,
            power: zero,
            past: [zero; PAST_HOPS],
            past_at: 0,
        }
    }

    /// The next 10 ms; fewer samples than [`HOP_SAMPLES`] are followed by silence.
    pub(crate) fn next(&mut self, samples: &[i16]) -> Hop {
        self.recent.copy_within(HOP_SAMPLES.., 0);
        self.past[self.past_at] = self.power;
        self.past_at = (self.past_at + 1) % PAST_HOPS;
        let (mut energy, mut peak_sample) = (0.0, 0);
        for (nth, slot) in self.recent[SIZE - HOP_SAMPLES..].iter_mut().enumerate() {
            let sample = samples.get(nth).copied().unwrap_or_default();
            peak_sample = peak_sample.max(sample.unsigned_abs());
            let sample = f32::from(sample);
            // Follows within about 60 ms.
            self.mean += (sample - self.mean) / 512.0;
            *slot = sample - self.mean;
            energy += *slot * *slot;
        }
        self.transform();
        let mean_square = energy / (HOP_SAMPLES as f32 * FULL_SCALE * FULL_SCALE);
        self.describe(decibel(mean_square), peak_sample)
    }

    /// Power of every bin from the samples held.
    fn transform(&mut self) {
        let tables = &*TABLES;
        // Even samples are the real part, odd ones the imaginary; already in mirrored order.
        for (to, from) in tables.mirrored.iter().enumerate() {
            let from = usize::from(*from) * 2;
            self.re[to] = self.recent[from] * tables.window[from];
            self.im[to] = self.recent[from + 1] * tables.window[from + 1];
        }
        let mut half = 1;
        while half < HALF {
            let stride = HALF / half;
            for block in (0..HALF).step_by(half * 2) {
                let (re_low, re_high) = self.re[block..block + half * 2].split_at_mut(half);
                let (im_low, im_high) = self.im[block..block + half * 2].split_at_mut(half);
                for k in 0..half {
                    let (cos, sin) = (tables.cos[k * stride], tables.sin[k * stride]);
                    let re = re_high[k] * cos - im_high[k] * sin;
                    let im = re_high[k] * sin + im_high[k] * cos;
                    re_high[k] = re_low[k] - re;
                    im_high[k] = im_low[k] - im;
                    re_low[k] += re;
                    im_low[k] += im;
                }
            }
            half *= 2;
        }
        // The two interleaved halves are told apart by symmetry.
        self.power[0] = 0.0;
        for k in 1..HALF {
            let (a, b) = (self.re[k], self.im[k]);
            let (c, d) = (self.re[HALF - k], self.im[HALF - k]);
            let (even_re, even_im) = ((a + c) / 2.0, (b - d) / 2.0);
            let (odd_re, odd_im) = ((b + d) / 2.0, (c - a) / 2.0);
            let (cos, sin) = (tables.cos[k], tables.sin[k]);
            let re = even_re + odd_re * cos - odd_im * sin;
            let im = even_im + odd_re * sin + odd_im * cos;
            self.power[k] = (re * re + im * im) * tables.scale;
        }
    }

    fn describe(&self, dbov: f32, peak_sample: u16) -> Hop {
        let power = &self.power;
        let total: f32 = power[BAND].iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let first = strongest(power, |_| true);
        let second = strongest(power, |bin| bin.abs_diff(first) > LOBE + 1);
        let low: f32 = power[LOW_TONES].iter().sum();
        let data: f32 = power[DATA].iter().sum();
        let mut bands = [0.0; VOICE_BANDS];
        for (band, borders) in bands.iter_mut().zip(VOICE_BORDERS.windows(2)) {
            *band = decibel(power[borders[0]..borders[1]].iter().sum());
        }
        Hop {
            dbov,
            band_dbov: decibel(total),
            peaks: [self.peak(first, total), self.peak(second, total)],
            low_share: low / total,
            data_share: data / total,
            bands,
            peak_sample,
        }
    }

    /// Where exactly the peak at a bin is: for this window the two strongest bins' ratio tells it
    /// (Grandke, 1983).
    fn peak(&self, bin: usize, total: f32) -> Peak {
        let power = &self.power;
        let (below, at, above) =
            (power[bin - 1], power[bin].max(f32::MIN_POSITIVE), power[bin + 1]);
        let offset = |neighbour: f32| {
            let ratio = (neighbour / at).sqrt();
            ((2.0 * ratio - 1.0) / (ratio + 1.0)).clamp(-0.5, 1.0)
        };
        let shift = if above >= below { offset(above) } else { -offset(below) };
        let lobe: f32 = power[bin - LOBE..=bin + LOBE].iter().sum();
        // The oldest three of those kept.
        let before = |age: usize| {
            let past = &self.past[(self.past_at + age) % PAST_HOPS];
            past[bin - LOBE..=bin + LOBE].iter().sum::<f32>()
        };
        Peak {
            before_dbov: decibel(before(0).max(before(1)).max(before(2))),
            hz: (bin as f32 + shift) * BIN_HZ,
            share: (lobe / total).min(1.0),
            dbov: decibel(lobe),
        }
    }
}

/// The strongest bin of the telephone's band that may be one.
fn strongest(power: &[f32; HALF], may: impl Fn(usize) -> bool) -> usize {
    let mut best = PEAKS.start;
    let mut most = -1.0;
    for bin in PEAKS {
        if power[bin] > most && may(bin) {
            (best, most) = (bin, power[bin]);
        }
    }
    best
}

/// Power in decibel, with a floor.
pub(crate) fn decibel(power: f32) -> f32 {
    // The logarithm to base two is the faster one.
    (power.max(1e-30).log2() * 3.010_3).max(LEVEL_MIN_DBOV)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sine(hz: f32, amplitude: f32, at: usize) -> i16 {
        let angle = std::f64::consts::TAU * f64::from(hz) * at as f64 / 8_000.0;
        (angle.sin() * f64::from(amplitude)).round() as i16
    }

    fn last_hop(sound: impl Fn(usize) -> i16) -> Hop {
        let mut spectrum = Spectrum::new();
        let samples: Vec<i16> = (0..8_000).map(sound).collect();
        samples.chunks(HOP_SAMPLES).map(|hop| spectrum.next(hop)).last().unwrap()
    }

    #[test]
    fn a_tone_is_found_within_a_hertz_with_its_level() {
        for hz in [300.0, 440.0, 913.8, 1_100.0, 1_776.7, 2_100.0, 3_000.5] {
            let hop = last_hop(|at| sine(hz, 3_276.8, at));
            assert!((hop.peaks[0].hz - hz).abs() < 1.0, "{hz}: {:?}", hop.peaks[0]);
            assert!(hop.peaks[0].share > 0.99, "{hz}: {:?}", hop.peaks[0]);
            // A tenth of full scale is -20 dB, and a sine 3 dB less than a square.
            assert!((hop.peaks[0].dbov + 23.0).abs() < 0.3, "{hz}: {:?}", hop.peaks[0]);
            assert!((hop.dbov + 23.0).abs() < 1.0, "{hz}: {}", hop.dbov);
        }
    }

    #[test]
    fn two_tones_are_found_with_their_shares() {
        let hop = last_hop(|at| sine(480.0, 2_000.0, at) + sine(620.0, 2_000.0, at));
        let mut found = hop.peaks.map(|peak| peak.hz);
        found.sort_by(f32::total_cmp);
        assert!((found[0] - 480.0).abs() < 4.0 && (found[1] - 620.0).abs() < 4.0, "{found:?}");
        assert!(hop.peaks[0].share + hop.peaks[1].share > 0.98);
        assert!(hop.low_share > 0.98);
    }

    #[test]
    fn noise_has_no_strong_peak_and_equal_bands() {
        let mut random = Random::new(3);
        let noise: Vec<i16> = (0..8_000).map(|_| (random.next_normal() * 300.0) as i16).collect();
        let hop = last_hop(|at| noise[at]);
        assert!(hop.peaks[0].share < 0.3, "{:?}", hop.peaks[0]);
        assert!((hop.dbov + 40.8).abs() < 2.0, "{}", hop.dbov);
    }

    #[test]
    fn silence_and_direct_current_are_no_sound() {
        assert_eq!(last_hop(|_| 0).dbov, LEVEL_MIN_DBOV);
        assert!(last_hop(|_| 20_000).dbov < -80.0);
        assert!(last_hop(|_| i16::MIN).band_dbov < -80.0);
    }

    #[test]
    fn a_hop_that_is_cut_short_is_followed_by_silence() {
        let mut spectrum = Spectrum::new();
        assert_eq!(spectrum.next(&[]).dbov, LEVEL_MIN_DBOV);
        assert!(spectrum.next(&[1_000; 3]).dbov > -60.0);
    }
}
