//! Steady tones: which frequency has been sounding without a break, for how long and how evenly.

use super::spectrum::{Hop, Peak};

/// How far a steady tone's frequency may jump from hop to hop, in Hz.
const JUMP_MAX_HZ: f32 = 12.0;
/// Least part of the band's power that the tone, with one companion, has in every hop.
const SHARE_BOTH_MIN: f32 = 0.72;
/// Least part that the tone itself has.
const SHARE_MIN: f32 = 0.3;
/// Least level that is looked at, in dBov: below it lines only murmur.
const LEVEL_MIN_DBOV: f32 = -52.0;
/// Hops that a tone may be disturbed, by a lost packet or a turned phase, and still be the same.
const GRACE_HOPS: u32 = 4;
/// Hops over which evenness is measured; with the window it makes a beep heard after 90 ms.
pub(crate) const EVEN_HOPS: usize = 6;
/// What lies below the loudest by more than this belongs to an edge, not to the tone, in dB.
const EDGE_DB: f32 = 6.0;
/// Levels kept of the beginning and the end of a tone.
const EDGE_HOPS: usize = 6;

/// A tone that sounds, or has just ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Hop in which it was first seen.
    pub(crate) from: u32,
    /// Hops since then, the last one seen included.
    pub(crate) hops: u32,
    /// Hops without a break that ended with the last one seen.
    pub(crate) unbroken: u32,
    /// Mean frequency.
    pub(crate) hz: f32,
    /// Frequency of the companion, 0 if there is none.
    pub(crate) companion_hz: f32,
    /// Loudest level seen in dBov.
    pub(crate) dbov: f32,
    /// Level at its frequency shortly before it began, in dBov.
    pub(crate) before_dbov: f32,
    recent_hz: [f32; EVEN_HOPS],
    recent_dbov: [f32; EVEN_HOPS],
    recent_share: [f32; EVEN_HOPS],
    first_dbov: [f32; EDGE_HOPS],
    last_dbov: [f32; EDGE_HOPS],
}

/// How even the last [`EVEN_HOPS`] of a tone were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evenness {
    /// Standard deviation of the frequency in Hz.
    pub(crate) hz_deviation: f32,
    /// Standard deviation of the level about a straight line, in dB.
    pub(crate) db_deviation: f32,
    /// How fast the level rises, in dB a second.
    pub(crate) db_a_second: f32,
    /// Mean part of the power that tone and companion have.
    pub(crate) share: f32,
}

impl Run {
    fn begin(at: u32, peak: Peak, other: Peak) -> Self {
        let mut run = Self {
            from: at,
            hops: 0,
            unbroken: 0,
            hz: peak.hz,
            companion_hz: 0.0,
            dbov: peak.dbov,
            before_dbov: peak.before_dbov,
            recent_hz: [peak.hz; EVEN_HOPS],
            recent_dbov: [peak.dbov; EVEN_HOPS],
            recent_share: [0.0; EVEN_HOPS],
            first_dbov: [peak.dbov; EDGE_HOPS],
            last_dbov: [peak.dbov; EDGE_HOPS],
        };
        run.extend(at, peak, other);
        run
    }

    fn extend(&mut self, at: u32, peak: Peak, other: Peak) {
        let place = self.unbroken as usize % EVEN_HOPS;
        self.recent_hz[place] = peak.hz;
        self.recent_dbov[place] = peak.dbov;
        self.recent_share[place] = (peak.share + other.share).min(1.0);
        self.unbroken += 1;
        self.hops = at + 1 - self.from;
        // A mean over all at first, then over the last 20 or so.
        self.hz += (peak.hz - self.hz) / (self.unbroken as f32).min(20.0);
        let is_pair = other.share > SHARE_MIN / 2.0;
        self.companion_hz = if is_pair { other.hz } else { 0.0 };
        self.dbov = self.dbov.max(peak.dbov);
        if let Some(slot) = self.first_dbov.get_mut(self.hops as usize - 1) {
            *slot = peak.dbov;
        }
        self.last_dbov.rotate_left(1);
        self.last_dbov[EDGE_HOPS - 1] = peak.dbov;
    }

    /// Its length without the edges, in hops: from half the amplitude to half the amplitude.
    pub(crate) fn loud_hops(&self) -> u32 {
        let is_edge = |dbov: &&f32| **dbov < self.dbov - EDGE_DB;
        let before = self.first_dbov.iter().take_while(is_edge).count();
        let after = self.last_dbov.iter().rev().take_while(is_edge).count();
        self.hops.saturating_sub((before + after) as u32)
    }

    /// How even it was of late; `None` while it is too short to say.
    pub(crate) fn evenness(&self) -> Option<Evenness> {
        if (self.unbroken as usize) < EVEN_HOPS {
            return None;
        }
        let count = EVEN_HOPS as f32;
        let mean = |values: &[f32]| values.iter().sum::<f32>() / count;
        let hz = mean(&self.recent_hz);
        let variance = self.recent_hz.iter().map(|value| (value - hz).powi(2)).sum::<f32>() / count;
        // Oldest first: the oldest lies where the next one will be written.
        let oldest = self.unbroken as usize % EVEN_HOPS;
        let level = |nth: usize| self.recent_dbov[(oldest + nth) % EVEN_HOPS];
        let middle = (count - 1.0) / 2.0;
        let db = mean(&self.recent_dbov);
        let (mut slope, mut squares) = (0.0, 0.0);
        for nth in 0..EVEN_HOPS {
            slope += (nth as f32 - middle) * (level(nth) - db);
            squares += (nth as f32 - middle).powi(2);
        }
        slope /= squares;
        let off = |nth: usize| (level(nth) - db - slope * (nth as f32 - middle)).powi(2);
        let residual = (0..EVEN_HOPS).map(off).sum::<f32>() / count;
        Some(Evenness {
            hz_deviation: variance.sqrt(),
            db_deviation: residual.sqrt(),
            db_a_second: slope * 100.0,
            share: mean(&self.recent_share),
        })
    }
}

/// Follows the one steady tone that sounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steady {
    run: Option<Run>,
    /// Hops since the run was last seen.
    missed: u32,
}

impl Steady {
    /// The next hop; a tone that has ended with it.
    pub(crate) fn next(&mut self, at: u32, hop: &Hop) -> Option<Run> {
        let found = match &self.run {
            Some(run) => follow(run, hop),
            None => None,
        };
        match (&mut self.run, found) {
            (Some(run), Some((peak, other))) => {
                if self.missed > 0 {
                    run.unbroken = 0;
                }
                self.missed = 0;
                run.extend(at, peak, other);
                None
            }
            (Some(_), None) => {
                self.missed += 1;
                let is_other = begins(hop).is_some() && self.missed > 1;
                let ended =
                    if self.missed > GRACE_HOPS || is_other { self.run.take() } else { None };
                if ended.is_some() {
                    self.missed = 0;
                    self.run = begins(hop).map(|(peak, other)| Run::begin(at, peak, other));
                }
                ended
            }
            (None, _) => {
                self.run = begins(hop).map(|(peak, other)| Run::begin(at, peak, other));
                None
            }
        }
    }

    /// The tone that sounds, if it was seen in the last hop.
    pub(crate) fn sounding(&self) -> Option<&Run> {
        self.run.as_ref().filter(|_| self.missed == 0)
    }
}

/// The peak of a hop that continues a run, and the other one.
fn follow(run: &Run, hop: &Hop) -> Option<(Peak, Peak)> {
    let [first, second] = hop.peaks;
    let is_near = |peak: &Peak| (peak.hz - run.hz).abs() <= JUMP_MAX_HZ && peak.share >= SHARE_MIN;
    let pair = match (is_near(&first), is_near(&second)) {
        (true, _) => (first, second),
        (false, true) => (second, first),
        (false, false) => return None,
    };
    let is_clear = first.share + second.share >= SHARE_BOTH_MIN;
    (is_clear && pair.0.dbov > LEVEL_MIN_DBOV).then_some(pair)
}

fn begins(hop: &Hop) -> Option<(Peak, Peak)> {
    let [first, second] = hop.peaks;
    let is_clear = first.share + second.share >= SHARE_BOTH_MIN && first.share >= SHARE_MIN;
    (is_clear && first.dbov > LEVEL_MIN_DBOV).then_some((first, second))
}
