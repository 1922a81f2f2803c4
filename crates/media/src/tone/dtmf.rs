//! Recognises keys in sound: two tones, one of four rows and one of four columns (ITU-T Q.24).
//!
//! What Goertzel's filters would sum over a block is summed here in pieces of 5 ms and put
//! together with its phase, three pieces at a time. So the windows of 15 ms overlap for the price
//! of one, and from one window to the next the phase tells the frequency to a few Hertz, which
//! speech does not keep.

use std::f32::consts::PI;

use super::{DTMF_COLUMNS_HZ, DTMF_KEYS, DTMF_ROWS_HZ};
use crate::{LinearFrame, RATE_HZ};

/// Samples of a piece, 5 ms.
const PIECE: usize = 40;
/// Pieces of a window, 15 ms.
const PIECES: usize = 3;
/// Samples of a window.
const WINDOW: usize = PIECE * PIECES;
/// The eight frequencies: rows, then columns.
const TONES: usize = 8;
/// Windows in a row that make a press. Of 40 ms of tone at least five windows are full.
const HITS_MIN: u32 = 4;
/// Windows in a row without it that end a press. A pause of 40 ms spoils nine and more, a
/// drop-out of 10 ms at most six.
const MISSES_MIN: u32 = 7;

/// Least amplitude of either tone: -41 dBm0, well below the -29 that must be heard.
const AMPLITUDE_MIN: f32 = 200.0;
/// How much louder the row may be, in power: 8 dB, and one for noise.
const TWIST_MAX: f32 = 7.95;
/// How much louder the column may be, in power: 4 dB, and one for noise.
const REVERSE_TWIST_MAX: f32 = 3.16;
/// How far the others of the four must stay below the loudest, in power: 6 dB.
const OTHERS_MAX: f32 = 0.25;
/// Share of the window's energy that the two tones have at least.
const SHARE_MIN: f32 = 0.85;
/// Most energy at twice a tone's frequency, as a share of the tone: -9 dB. Voices have more.
const HARMONIC_MAX: f32 = 0.125;
/// How far apart the other tone must be from a harmonic for that to be looked for.
const HARMONIC_APART_HZ: f32 = 150.0;
/// How far a frequency may be off in one window, where noise adds to it.
const DEVIATION_MAX: f32 = 0.025;
/// How far it may be off on average: 1.5 % must be taken, 3.5 % must not (Q.24). Voices at 3:4
/// resemble keys that are off by nearly two.
const MEAN_DEVIATION_MAX: f32 = 0.0175;

/// A piece's or window's sum for each frequency, real and imaginary.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    re: [f32; TONES],
    im: [f32; TONES],
}

/// Hears keys in a stream of frames; one detector per direction of a call.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    /// The pieces before the newest, older first.
    pieces: [Sums; PIECES - 1],
    energies: [f32; PIECES - 1],
    /// The samples of the window.
    samples: [f32; WINDOW],
    window_before: Sums,
    /// What the windows show: the key of the latest, how many in a row, and the sum of how far
    /// their frequencies were off.
    candidate: Option<char>,
    hits: u32,
    off_sum: [f32; 2],
    /// The press that has been told and is not over, and windows without it.
    pressed: Option<char>,
    misses: u32,
}

/// Cosines and sines of each frequency for each sample of a piece.
static WAVES: std::sync::LazyLock<Waves> = std::sync::LazyLock::new(Waves::new);

struct Waves {
    cos: [[f32; TONES]; PIECE],
    sin: [[f32; TONES]; PIECE],
    /// Turn of each frequency over one piece.
    turn: Sums,
    hz: [f32; TONES],
}

impl Waves {
    fn new() -> Self {
        let mut hz = [0.0; TONES];
        hz[..4].copy_from_slice(&DTMF_ROWS_HZ);
        hz[4..].copy_from_slice(&DTMF_COLUMNS_HZ);
        let angle = |tone: usize, n: usize| {
            // In f64, since a piece is several turns long.
            std::f64::consts::TAU * f64::from(hz[tone]) * n as f64 / f64::from(RATE_HZ)
        };
        let table = |of: fn(f64) -> f64| {
            std::array::from_fn(|n| std::array::from_fn(|tone| of(angle(tone, n)) as f32))
        };
        let turn = Sums {
            re: std::array::from_fn(|tone| angle(tone, PIECE).cos() as f32),
            im: std::array::from_fn(|tone| -angle(tone, PIECE).sin() as f32),
        };
        Self { cos: table(f64::cos), sin: table(f64::sin), turn, hz }
    }
}

impl Default for DtmfDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl DtmfDetector {
    /// A detector that has heard nothing.
    pub const fn new() -> Self {
        const SILENT: Sums = Sums { re: [0.0; TONES], im: [0.0; TONES] };
        Self {
            pieces: [SILENT; PIECES - 1],
            energies: [0.0; PIECES - 1],
            samples: [0.0; WINDOW],
            window_before: SILENT,
            candidate: None,
            hits: 0,
            off_sum: [0.0; 2],
            pressed: None,
            misses: 0,
        }
    }

    /// Hears 20 ms; gives the key whose press became certain in it, once a press.
    pub fn hear(&mut self, frame: &LinearFrame) -> Option<char> {
        let waves = &*WAVES;
        let (pieces, _) = frame.as_chunks::<PIECE>();
        let mut pressed = None;
        for piece in pieces {
            let shown = self.advance(waves, piece);
            pressed = pressed.or(self.settle(shown));
        }
        pressed
    }

    /// Takes one piece and gives what the window ending with it shows.
    fn advance(&mut self, waves: &Waves, piece: &[i16; PIECE]) -> Option<Shown> {
        self.samples.copy_within(PIECE.., 0);
        let mut energy = 0.0;
        for (slot, sample) in self.samples[WINDOW - PIECE..].iter_mut().zip(piece) {
            *slot = f32::from(*sample);
            energy += *slot * *slot;
        }
        let total = self.energies.iter().sum::<f32>() + energy;
        self.energies = [self.energies[1], energy];
        // Most of a call is too quiet to hold a key.
        let is_quiet = energy < PIECE as f32 * AMPLITUDE_MIN * AMPLITUDE_MIN / 2.0;
        let newest = if is_quiet { Sums::default() } else { sum(waves, &self.samples) };
        let window = newest.after(self.pieces[1], waves.turn).after(self.pieces[0], waves.turn);
        self.pieces = [self.pieces[1], newest];
        let before = std::mem::replace(&mut self.window_before, window);
        if is_quiet { None } else { self.judge(waves, &window, &before, total) }
    }

    /// The key that a window shows, if it holds against all tests.
    fn judge(&self, waves: &Waves, window: &Sums, before: &Sums, total: f32) -> Option<Shown> {
        // On the scale of a sine's energy over the window.
        let power: [f32; TONES] = std::array::from_fn(|tone| {
            let (re, im) = (window.re[tone], window.im[tone]);
            (re * re + im * im) * (2.0 / WINDOW as f32)
        });
        let row = loudest(&power[..4]);
        let column = 4 + loudest(&power[4..]);
        let least = WINDOW as f32 * AMPLITUDE_MIN * AMPLITUDE_MIN / 2.0;
        // Before the costlier tests; a frequency that is off loses up to half its power here.
        if power[row].min(power[column]) < least || power[row] + power[column] < total * 0.5 {
            return None;
        }
        let stands_out = |tone: usize, group: std::ops::Range<usize>| {
            group.into_iter().all(|other| other == tone || power[other] <= power[tone] * OTHERS_MAX)
        };
        if !stands_out(row, 0..4) || !stands_out(column, 4..8) {
            return None;
        }
        let pair = Pair::measure(waves, window, before, [row, column]);
        let is_off = |off: f32| off.abs() > DEVIATION_MAX;
        if is_off(pair.off[0]) || is_off(pair.off[1]) {
            return None;
        }
        let [low, high] = pair.power;
        let is_key = low <= high * TWIST_MAX
            && high <= low * REVERSE_TWIST_MAX
            && low + high >= total * SHARE_MIN
            && !self.has_harmonic(waves, row, column, low)
            && !self.has_harmonic(waves, column, row, high);
        is_key.then(|| Shown { key: DTMF_KEYS[row][column - 4], off: pair.off })
    }

    /// Whether there is more at twice a tone's frequency than a key has.
    fn has_harmonic(&self, waves: &Waves, tone: usize, other: usize, power: f32) -> bool {
        let hz = waves.hz[tone] * 2.0;
        // Twice a row may lie beside the column, which would pass for a harmonic.
        let is_apart = (hz - waves.hz[other]).abs() >= HARMONIC_APART_HZ;
        is_apart && self.power_at(hz) > power * HARMONIC_MAX
    }

    /// Goertzel's filter over the window, for a frequency that is rarely asked for.
    fn power_at(&self, hz: f32) -> f32 {
        let factor = 2.0 * (2.0 * PI * hz / RATE_HZ as f32).cos();
        let (mut last, mut before) = (0.0f32, 0.0f32);
        for sample in self.samples {
            (last, before) = (factor.mul_add(last, sample - before), last);
        }
        (last * last + before * before - factor * last * before) * (2.0 / WINDOW as f32)
    }

    /// Counts windows; gives a key when its press becomes certain.
    fn settle(&mut self, shown: Option<Shown>) -> Option<char> {
        let key = shown.map(|shown| shown.key);
        if key.is_some() && key == self.pressed {
            self.misses = 0;
        } else if self.pressed.is_some() {
            self.misses += 1;
            if self.misses >= MISSES_MIN {
                self.pressed = None;
            }
        }
        if key != self.candidate {
            self.hits = 0;
            self.off_sum = [0.0; 2];
        }
        self.candidate = key;
        let shown = shown?;
        self.hits += 1;
        for (sum, off) in self.off_sum.iter_mut().zip(shown.off) {
            *sum += off;
        }
        let is_steady =
            self.off_sum.iter().all(|sum| sum.abs() <= MEAN_DEVIATION_MAX * self.hits as f32);
        if self.hits < HITS_MIN || !is_steady || key == self.pressed {
            return None;
        }
        self.pressed = key;
        self.misses = 0;
        key
    }
}

/// What one window shows.
#[derive(Clone, Copy, Debug)]
struct Shown {
    key: char,
    /// How far row and column are off, as a share of their frequencies.
    off: [f32; 2],
}

impl Sums {
    const fn at(&self, tone: usize) -> Complex {
        Complex { re: self.re[tone], im: self.im[tone] }
    }

    /// These sums begun one piece later than `earlier`, put together with them.
    fn after(self, earlier: Self, turn: Self) -> Self {
        let mut all = earlier;
        for tone in 0..TONES {
            let (re, im) = (self.re[tone], self.im[tone]);
            all.re[tone] += re * turn.re[tone] - im * turn.im[tone];
            all.im[tone] += re * turn.im[tone] + im * turn.re[tone];
        }
        all
    }
}

/// The newest piece of a window, correlated with each frequency.
fn sum(waves: &Waves, samples: &[f32; WINDOW]) -> Sums {
    let mut sums = Sums::default();
    let newest = &samples[WINDOW - PIECE..];
    for ((sample, cos), sin) in newest.iter().zip(&waves.cos).zip(&waves.sin) {
        for tone in 0..TONES {
            sums.re[tone] += sample * cos[tone];
            sums.im[tone] -= sample * sin[tone];
        }
    }
    sums
}

/// Two tones of a window told apart: each leaks a little into the sum of the other.
struct Pair {
    /// How far the frequencies are off, as a share of what they should be.
    off: [f32; 2],
    /// Energy of the tones over the window.
    power: [f32; 2],
}

impl Pair {
    /// Measures both as if they were alone, then again without what leaks from the other.
    fn measure(waves: &Waves, window: &Sums, before: &Sums, tones: [usize; 2]) -> Self {
        let hz = tones.map(|tone| waves.hz[tone]);
        let turn = tones.map(|tone| waves.turn.at(tone));
        let rough = tones.map(|tone| (window.at(tone), before.at(tone)));
        let off_hz = [0, 1].map(|at| off_hz_from(rough[at], turn[at]));
        let clean = [0, 1].map(|at| {
            let other = 1 - at;
            let leak = run(hz[other] + off_hz[other] - hz[at]).over(run(off_hz[other]));
            let without = |sum: Complex, leaking: Complex| sum.minus(leaking.times(leak));
            (without(rough[at].0, rough[other].0), without(rough[at].1, rough[other].1))
        });
        let off_hz = [0, 1].map(|at| off_hz_from(clean[at], turn[at]));
        let power =
            [0, 1].map(|at| clean[at].0.square() * (2.0 / WINDOW as f32) / response(off_hz[at]));
        Self { off: [off_hz[0] / hz[0], off_hz[1] / hz[1]], power }
    }
}

/// How many Hertz a tone is off, from its sums over two windows one piece apart.
///
/// A steady tone turns by its own frequency; what differs from the turn of the nominal one is the
/// deviation.
fn off_hz_from((window, before): (Complex, Complex), turn: Complex) -> f32 {
    let turned = window.times(before.conjugate()).times(turn);
    turned.im.atan2(turned.re) / (2.0 * PI) * (RATE_HZ as f32 / PIECE as f32)
}

/// The sum over a window of a tone of `hz`, which may be negative.
fn run(hz: f32) -> Complex {
    // A geometric series: its middle's turn times the sines' quotient.
    let half = PI * hz / RATE_HZ as f32;
    let size =
        if half.abs() < 1e-5 { WINDOW as f32 } else { (half * WINDOW as f32).sin() / half.sin() };
    let (sin, cos) = (half * (WINDOW as f32 - 1.0)).sin_cos();
    Complex { re: size * cos, im: size * sin }
}

/// A complex number.
#[derive(Clone, Copy, Debug)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    const fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    const fn minus(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }

    const fn over(self, other: Self) -> Self {
        let size = other.square();
        let product = self.times(other.conjugate());
        Self { re: product.re / size, im: product.im / size }
    }

    const fn square(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    const fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// What a window leaves of the power of a sine that is `off_hz` beside its frequency.
fn response(off_hz: f32) -> f32 {
    let angle = PI * off_hz * WINDOW as f32 / RATE_HZ as f32;
    if angle.abs() < 1e-3 { 1.0 } else { (angle.sin() / angle).powi(2) }
}

fn loudest(powers: &[f32]) -> usize {
    let mut best = 0;
    for (at, power) in powers.iter().enumerate() {
        if *power > powers[best] {
            best = at;
        }
    }
    best
}
