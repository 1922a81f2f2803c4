//! From any rate to any other: a windowed sinc, one set of coefficients for each phase.
//!
//! Flat to 3.4 kHz and down by 80 dB at 4 kHz where the telephone's rate is the lower one.
//! [`resample`] is for a sound as a whole, [`Stream`] for one that comes in pieces.

use std::sync::LazyLock;

/// Lowest rate taken.
pub const RATE_HZ_MIN: u32 = 4_000;
/// Highest rate taken.
pub const RATE_HZ_MAX: u32 = 192_000;

/// Samples of the lower rate that the filter reaches to either side. With the window below this
/// gives a transition of 500 Hz at 8 kHz.
const REACH: f64 = 40.0;
/// Middle of the transition, as a share of half the lower rate: 3.75 kHz of 4.
const CUTOFF: f64 = 0.9375;
/// Kaiser's shape for 80 dB: 0.1102 (80 - 8.7).
const SHAPE: f64 = 7.857;
/// Most sets of coefficients; rates with a smaller common divisor interpolate between two.
const PHASES_MAX: u32 = 2_048;
/// Sums kept apart so that the processor may do them at once.
const LANES: usize = 8;

/// Why a rate is not taken. Whoever made the sound repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sound has {0} samples a second; {RATE_HZ_MIN} to {RATE_HZ_MAX} are supported")]
pub struct RateError(pub u32);

/// The same sound at another rate; as long, to the sample, rounded up.
pub fn resample(samples: &[i16], from_hz: u32, to_hz: u32) -> Result<Vec<i16>, RateError> {
    for rate in [from_hz, to_hz] {
        if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&rate) {
            return Err(RateError(rate));
        }
    }
    if from_hz == to_hz {
        return Ok(samples.to_vec());
    }
    Ok(Filter::new(from_hz, to_hz).run(samples))
}

/// Twice the rate or half of it for sound without end, 5 ms late.
pub struct Stream {
    filter: &'static Filter,
    /// Samples that are still needed: as many as a set has coefficients, but one.
    line: Vec<f32>,
}

static DOUBLING: LazyLock<Filter> = LazyLock::new(|| Filter::new(8_000, 16_000));
static HALVING: LazyLock<Filter> = LazyLock::new(|| Filter::new(16_000, 8_000));

impl Stream {
    /// Twice as many samples come out as go in.
    pub fn doubling() -> Self {
        Self::new(&DOUBLING)
    }

    /// Half as many samples come out as go in.
    pub fn halving() -> Self {
        Self::new(&HALVING)
    }

    fn new(filter: &'static Filter) -> Self {
        Self { filter, line: vec![0.0; filter.taps - 1] }
    }

    /// Takes the next samples, an even number of them, and gives those that follow from them; what
    /// there is no room for is lost.
    pub fn push(&mut self, samples: &[i16], out: &mut [i16]) {
        let Filter { up, down, taps, .. } = *self.filter;
        self.line.extend(samples.iter().map(|sample| f32::from(*sample)));
        let (mut whole, mut rest) = (0, 0);
        for out in out {
            let Some(window) = self.line.get(whole..whole + taps) else {
                break;
            };
            *out = self.filter.at(window, rest).round() as i16;
            rest += down;
            whole += (rest / up) as usize;
            rest %= up;
        }
        self.line.drain(..samples.len());
    }
}

/// Coefficients for one pair of rates.
struct Filter {
    /// Output samples for every `down` input samples.
    up: u64,
    down: u64,
    /// One more set than phases, so that interpolation needs no wrap.
    sets: Vec<f32>,
    phases: u32,
    /// Coefficients of a set, a multiple of [`LANES`].
    taps: usize,
    /// Input samples before the position that a set begins with.
    before: usize,
}

impl Filter {
    fn new(from_hz: u32, to_hz: u32) -> Self {
        let divisor = greatest_common_divisor(from_hz, to_hz);
        let (up, down) = (to_hz / divisor, from_hz / divisor);
        // The filter belongs to the lower rate; here in input samples.
        let stretch = (f64::from(from_hz) / f64::from(to_hz)).max(1.0);
        let reach = REACH * stretch;
        let before = reach.ceil() as usize;
        let taps = (2 * before).next_multiple_of(LANES);
        let phases = up.min(PHASES_MAX);
        let mut sets = Vec::with_capacity((phases as usize + 1) * taps);
        for phase in 0..=phases {
            let fraction = f64::from(phase) / f64::from(phases);
            let position = |tap: usize| tap as f64 - (before as f64 - 1.0) - fraction;
            let set: Vec<f64> =
                (0..taps).map(|tap| kernel(position(tap) / stretch, reach / stretch)).collect();
            // Every set passes a steady level unchanged, whatever the phase.
            let sum: f64 = set.iter().sum();
            sets.extend(set.iter().map(|coefficient| (coefficient / sum) as f32));
        }
        Self { up: up.into(), down: down.into(), sets, phases, taps, before }
    }

    fn run(&self, samples: &[i16]) -> Vec<i16> {
        // Silence on either side, so that no position needs a check.
        let mut padded = vec![0.0f32; self.before + samples.len() + self.taps];
        for (padded, sample) in padded[self.before - 1..].iter_mut().zip(samples) {
            *padded = f32::from(*sample);
        }
        let length = (samples.len() as u64 * self.up).div_ceil(self.down);
        let mut out = Vec::with_capacity(length as usize);
        let (mut whole, mut rest) = (0, 0);
        for _ in 0..length {
            let window = &padded[whole as usize..][..self.taps];
            out.push(self.at(window, rest).round() as i16);
            rest += self.down;
            whole += rest / self.up;
            rest %= self.up;
        }
        out
    }

    /// The sample `rest / up` behind the middle of `window`; a float's cast keeps it in range.
    fn at(&self, window: &[f32], rest: u64) -> f32 {
        let scaled = rest * u64::from(self.phases);
        let phase = (scaled / self.up) as usize;
        let first = dot(window, &self.sets[phase * self.taps..][..self.taps]);
        match scaled % self.up {
            0 => first,
            between => {
                let next = dot(window, &self.sets[(phase + 1) * self.taps..][..self.taps]);
                first + (next - first) * (between as f32 / self.up as f32)
            }
        }
    }
}

/// The filter's response at `at`, in samples of the lower rate, up to `reach` to either side.
fn kernel(at: f64, reach: f64) -> f64 {
    let beside = at / reach;
    if beside.abs() >= 1.0 {
        return 0.0;
    }
    let window = bessel(SHAPE * (1.0 - beside * beside).sqrt()) / bessel(SHAPE);
    let angle = std::f64::consts::PI * CUTOFF * at;
    let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
    sinc * window
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (left, _) = left.as_chunks::<LANES>();
    let (right, _) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum()
}

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
        (0..(f64::from(rate) * seconds) as usize)
            .map(|sample| {
                let angle = std::f64::consts::TAU * hz * sample as f64 / f64::from(rate);
                (angle.sin() * 16_000.0).round() as i16
            })
            .collect()
    }

    /// Decibels by which the sine stands above all else, away from the ends.
    fn signal_to_noise(samples: &[i16], hz: f64, rate: u32) -> f64 {
        let margin = samples.len() / 8;
        let middle = &samples[margin..samples.len() - margin];
        let angle = |n: usize| std::f64::consts::TAU * hz * n as f64 / f64::from(rate);
        // Least squares on sine and cosine, then what is left.
        let (mut ss, mut cc, mut sc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (n, sample) in middle.iter().enumerate() {
            let (s, c) = angle(n).sin_cos();
            let x = f64::from(*sample);
            ss += s * s;
            cc += c * c;
            sc += s * c;
            xs += x * s;
            xc += x * c;
        }
        let determinant = ss * cc - sc * sc;
        let (a, b) = ((xs * cc - xc * sc) / determinant, (xc * ss - xs * sc) / determinant);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (n, sample) in middle.iter().enumerate() {
            let (s, c) = angle(n).sin_cos();
            let fit = a * s + b * c;
            signal += fit * fit;
            noise += (f64::from(*sample) - fit).powi(2);
        }
        10.0 * (signal / noise.max(1e-9)).log10()
    }

    fn level(samples: &[i16]) -> f64 {
        let margin = samples.len() / 8;
        let middle = &samples[margin..samples.len() - margin];
        let power: f64 = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        10.0 * (power / middle.len() as f64).max(1e-9).log10()
    }

    #[test]
    fn sines_survive_both_ways_at_every_common_rate() {
        for rate in [
            4_000, 6_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
            192_000,
        ] {
            let highest = (f64::from(rate.min(8_000)) * 0.425).min(3_400.0);
            for hz in [300.0, 1_004.0, highest] {
                let down = resample(&sine(hz, rate, 0.5), rate, 8_000).unwrap();
                assert_eq!(down.len(), 4_000, "{rate}");
                let snr = signal_to_noise(&down, hz, 8_000);
                assert!(snr > 75.0, "{rate} Hz to 8000 Hz, {hz} Hz: {snr:.1} dB");
                assert!((level(&down) - 81.07).abs() < 0.05, "{rate} {hz}: {}", level(&down));
                let up = resample(&sine(hz, 8_000, 0.5), 8_000, rate).unwrap();
                let snr = signal_to_noise(&up, hz, rate);
                assert!(snr > 75.0, "8000 Hz to {rate} Hz, {hz} Hz: {snr:.1} dB");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone() {
        for rate in [16_000, 22_050, 44_100, 48_000] {
            for hz in [4_050.0, 5_000.0, 7_000.0] {
                let down = resample(&sine(hz, rate, 0.5), rate, 8_000).unwrap();
                // 81 dB is the level of the sine; what is left is rounding noise.
                assert!(level(&down) < 3.0, "{rate} {hz}: {:.1} dB", level(&down));
            }
        }
        // Going up, the mirror image above 4 kHz must not appear.
        let up = resample(&sine(3_000.0, 8_000, 0.5), 8_000, 16_000).unwrap();
        assert!(signal_to_noise(&up, 3_000.0, 16_000) > 75.0);
    }

    #[test]
    fn sound_in_pieces_is_the_same_as_sound_as_a_whole() {
        let sound = sine(1_004.0, 8_000, 0.4);
        let (mut doubled, mut halved) = (vec![0; 2 * sound.len()], vec![0; sound.len()]);
        let (mut up, mut down) = (Stream::doubling(), Stream::halving());
        for (at, piece) in sound.chunks(160).enumerate() {
            let wide = &mut doubled[at * 320..][..320];
            up.push(piece, wide);
            // Halves of a piece are as good as a whole one.
            down.push(&wide[..100], &mut halved[at * 160..][..50]);
            down.push(&wide[100..], &mut halved[at * 160 + 50..][..110]);
        }
        let whole = resample(&sound, 8_000, 16_000).unwrap();
        let late = 2 * (DOUBLING.taps - DOUBLING.before);
        assert_eq!(doubled[late..], whole[..whole.len() - late]);
        assert!(signal_to_noise(&halved, 1_004.0, 8_000) > 75.0);
        assert!((level(&halved) - 81.07).abs() < 0.05);
    }

    #[test]
    fn rates_without_a_common_divisor_are_as_good() {
        for rate in [7_919, 11_113, 44_099, 191_999] {
            let down = resample(&sine(1_000.0, rate, 0.5), rate, 8_000).unwrap();
            let snr = signal_to_noise(&down, 1_000.0, 8_000);
            assert!(snr > 70.0, "{rate}: {snr:.1} dB");
            assert!(down.len().abs_diff(4_000) <= 1);
        }
    }

    #[test]
    fn time_is_kept_to_the_sample() {
        let mut click = vec![0i16; 4_800];
        click[2_400] = 30_000;
        let down = resample(&click, 48_000, 8_000).unwrap();
        let loudest = (0..down.len()).max_by_key(|at| down[*at].abs()).unwrap();
        assert_eq!((down.len(), loudest), (800, 400));
    }

    #[test]
    fn full_scale_is_clipped_not_wrapped() {
        let square: Vec<i16> =
            (0..4_410).map(|n| if n / 50 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let down = resample(&square, 44_100, 8_000).unwrap();
        let jump = down.windows(2).map(|pair| i32::from(pair[1]) - i32::from(pair[0]));
        // A wrap would turn a rising edge into a fall right at the top.
        assert!(down.contains(&i16::MAX) && down.contains(&i16::MIN));
        assert!(jump.map(i32::abs).max().unwrap() <= 65_535);
    }

    #[test]
    fn odd_lengths_and_rates_out_of_range_are_handled() {
        assert_eq!(resample(&[], 44_100, 8_000).unwrap(), []);
        assert_eq!(resample(&[5], 8_000, 8_000).unwrap(), [5]);
        assert_eq!(resample(&[5], 48_000, 8_000).unwrap().len(), 1);
        assert_eq!(resample(&[5], 0, 8_000), Err(RateError(0)));
        assert_eq!(resample(&[5], 3_999, 8_000), Err(RateError(3_999)));
        assert_eq!(resample(&[5], 8_000, 192_001), Err(RateError(192_001)));
    }
}
