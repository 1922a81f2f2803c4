//! Tones of the telephone network: what they are made of, made, and keys recognised.
//!
//! Levels are in dBm0: the loudest sine that mu-law can say has 3.17 (G.711 §4).

mod dtmf;
mod generate;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use dtmf::DtmfDetector;
pub use generate::Generator;

/// Frequencies of the keys' rows, in Hz (ITU-T Q.23).
pub const DTMF_ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// Frequencies of the keys' columns, in Hz (ITU-T Q.23).
pub const DTMF_COLUMNS_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// The keys, row by row.
const DTMF_KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// A sound made of steps, once or for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Tone {
    pub(crate) steps: Vec<Step>,
    pub(crate) repeat: Repeat,
    pub(crate) seed: u64,
}

/// How often the steps are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Until somebody stops it.
    Forever,
    /// One time.
    Once,
}

/// One sound for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What is heard.
    pub wave: Wave,
    /// How long.
    pub duration: Duration,
}

/// What a step sounds like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wave {
    /// White noise of this level in dBm0.
    Noise(f32),
    /// Nothing.
    Silence,
    /// One frequency.
    Single(Sine),
    /// Two at once.
    Pair(Sine, Sine),
}

/// One frequency at one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sine {
    /// Cycles a second.
    pub hz: f32,
    /// Level; above about 3 dBm0 it is clipped.
    pub dbm0: f32,
}

/// Special information tones: three beeps before an announcement that say why a call failed
/// (Telcordia GR-674, ITU-T E.180 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sit {
    /// IC: number changed, vacant or out of service.
    Intercept,
    /// IO: the call cannot be completed, for another reason.
    IneffectiveOther,
    /// NC of the local network: no circuit is free.
    NoCircuit,
    /// NC of another network.
    NoCircuitInterLata,
    /// RO of the local network: equipment was too busy.
    Reorder,
    /// RO of another network.
    ReorderInterLata,
    /// Reserved: both first tones high and short.
    Reserved,
    /// VC: no such number.
    VacantCode,
}

impl Sit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Intercept,
        Self::IneffectiveOther,
        Self::NoCircuit,
        Self::NoCircuitInterLata,
        Self::Reorder,
        Self::ReorderInterLata,
        Self::Reserved,
        Self::VacantCode,
    ];

    /// The three tones: frequency in Hz and length in milliseconds.
    ///
    /// Each of the first two is low or high and short or long; the third never changes.
    pub const fn segments(self) -> [(f32, u32); 3] {
        const LOW: [f32; 2] = [913.8, 1_370.6];
        const HIGH: [f32; 2] = [985.2, 1_428.5];
        const SHORT: u32 = 274;
        const LONG: u32 = 380;
        let (first, second) = match self {
            Self::Intercept => ((LOW[0], SHORT), (LOW[1], SHORT)),
            Self::IneffectiveOther => ((LOW[0], LONG), (HIGH[1], SHORT)),
            Self::NoCircuit => ((HIGH[0], LONG), (HIGH[1], LONG)),
            Self::NoCircuitInterLata => ((LOW[0], LONG), (LOW[1], LONG)),
            Self::Reorder => ((LOW[0], SHORT), (HIGH[1], LONG)),
            Self::ReorderInterLata => ((HIGH[0], SHORT), (LOW[1], LONG)),
            Self::Reserved => ((HIGH[0], SHORT), (HIGH[1], SHORT)),
            Self::VacantCode => ((HIGH[0], LONG), (LOW[1], SHORT)),
        };
        [first, second, (1_776.7, LONG)]
    }
}

impl Tone {
    /// Steps of your own.
    pub const fn of(steps: Vec<Step>, repeat: Repeat) -> Self {
        Self { steps, repeat, seed: 0 }
    }

    /// A key's two tones and the pause after them; `None` if there is no such key.
    pub fn dtmf(key: char, on: Duration, off: Duration) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        let row = DTMF_KEYS.iter().position(|row| row.contains(&key))?;
        let column = DTMF_KEYS[row].iter().position(|sign| *sign == key)?;
        // The upper one is sent louder, since lines weaken it more (ITU-T Q.23).
        let wave = pair(DTMF_ROWS_HZ[row], -9.0, DTMF_COLUMNS_HZ[column], -7.0);
        Some(Self::of(vec![step(wave, on), step(Wave::Silence, off)], Repeat::Once))
    }

    /// The three tones that precede an announcement of why the call failed.
    pub fn sit(code: Sit) -> Self {
        let steps = code.segments().map(|(hz, ms)| step(single(hz, -24.0), millis(ms)));
        Self::of(steps.to_vec(), Repeat::Once)
    }

    /// Busy as in North America.
    pub fn busy() -> Self {
        Self::cadence(pair(480.0, -24.0, 620.0, -24.0), 500, 500)
    }

    /// Reorder, or fast busy, as in North America.
    pub fn reorder() -> Self {
        Self::cadence(pair(480.0, -24.0, 620.0, -24.0), 250, 250)
    }

    /// Ringback as in North America; begins with the ring.
    pub fn ringback() -> Self {
        Self::cadence(pair(440.0, -19.0, 480.0, -19.0), 2_000, 4_000)
    }

    /// What a fax that calls sends: half a second in every three and a half (ITU-T T.30 §4).
    pub fn cng() -> Self {
        Self::cadence(single(1_100.0, -11.0), 500, 3_000)
    }

    /// What a fax that answers sends, 3.3 s, and the pause before its data (ITU-T T.30 §4).
    pub fn ced() -> Self {
        let steps =
            vec![step(single(2_100.0, -11.0), millis(3_300)), step(Wave::Silence, millis(75))];
        Self::of(steps, Repeat::Once)
    }

    /// What a machine says before it records.
    pub fn beep(hz: f32, duration: Duration) -> Self {
        Self::sine(hz, -10.0, duration)
    }

    /// One frequency.
    pub fn sine(hz: f32, dbm0: f32, duration: Duration) -> Self {
        Self::of(vec![step(single(hz, dbm0), duration)], Repeat::Once)
    }

    /// Nothing.
    pub fn silence(duration: Duration) -> Self {
        Self::of(vec![step(Wave::Silence, duration)], Repeat::Once)
    }

    /// Noise as on a line where nobody speaks, for ever; a line is at about -60 dBm0.
    pub fn comfort_noise(dbm0: f32, seed: u64) -> Self {
        let steps = vec![step(Wave::Noise(dbm0), Duration::from_secs(1))];
        Self { steps, repeat: Repeat::Forever, seed }
    }

    /// The same for ever: on, off, on, off.
    pub fn cadence(wave: Wave, on_ms: u32, off_ms: u32) -> Self {
        let steps = vec![step(wave, millis(on_ms)), step(Wave::Silence, millis(off_ms))];
        Self::of(steps, Repeat::Forever)
    }

    /// How long it lasts; `None` if for ever.
    pub fn duration(&self) -> Option<Duration> {
        match self.repeat {
            Repeat::Forever => None,
            Repeat::Once => Some(self.steps.iter().map(|step| step.duration).sum()),
        }
    }
}

const fn step(wave: Wave, duration: Duration) -> Step {
    Step { wave, duration }
}

const fn single(hz: f32, dbm0: f32) -> Wave {
    Wave::Single(Sine { hz, dbm0 })
}

const fn pair(low_hz: f32, low_dbm0: f32, high_hz: f32, high_dbm0: f32) -> Wave {
    Wave::Pair(Sine { hz: low_hz, dbm0: low_dbm0 }, Sine { hz: high_hz, dbm0: high_dbm0 })
}

const fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms as u64)
}
