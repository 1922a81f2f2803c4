//! Tones that come and go: busy, reorder and ringback of many countries (ITU-T E.180 Supp. 2).

use super::spectrum::Hop;

/// A repeating tone of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cadence {
    /// The far end is in a call.
    Busy,
    /// The network has no way to the far end.
    Reorder,
    /// The far end's phone rings.
    Ringback,
}

/// Least part of the band's power that lies where these tones do.
const LOW_SHARE_MIN: f32 = 0.84;
/// Least level of a tone in dBov.
const LEVEL_MIN_DBOV: f32 = -50.0;
/// A tone is over when its level falls by this, in dB.
const FALL_DB: f32 = 9.0;
/// Hops that a tone must be there, or away, to count: tones of two close frequencies beat.
const STEADY_HOPS: u32 = 4;
/// A gap in a tone up to this length is a lost frame, in hops: no cadence has so short a pause.
const LOST_HOPS: u32 = 8;
/// Shortest tone, in hops; one that others precede may be cut by a lost frame.
const TONE_HOPS_LEAST: u32 = 10;
/// How far the strongest frequency may wander while a tone sounds, in Hz; where two frequencies
/// cannot be told apart it swings from one to the other.
const WANDER_HZ: f32 = 58.0;
/// Longest tone and longest pause of any cadence, in hops.
const SPAN_HOPS_MAX: u32 = 650;
/// A tone that must be a ring: no busy tone and hardly a beep is so long.
const RING_HOPS: std::ops::RangeInclusive<u32> = 86..=230;
/// Pause after which a ring is believed, in hops; the shortest pause of one tone is 2 s.
const RING_PAUSE_HOPS: u32 = 30;
/// Where a ring's frequency lies, in Hz (ITU-T E.180 Supp. 2: 400 to 480).
const RING_HZ: std::ops::RangeInclusive<f32> = 375.0..=500.0;
/// Lengths of tones and pauses of busy and reorder, in hops.
const BUSY_HOPS: std::ops::RangeInclusive<u32> = 15..=82;
/// Below this length a repeating tone is reorder rather than busy, in hops. Spain's busy and
/// Brazil's, 200 and 250 ms, cannot be told from others' reorder.
const REORDER_HOPS: u32 = 32;
/// Cadences whose parts differ, in hops: two short rings (Britain, Australia, India) and
/// Britain's reorder.
const DOUBLE_RING: [u32; 3] = [40, 20, 40];
const UNEVEN_REORDER: [u32; 3] = [40, 35, 22];
/// How far a part may be from its length, in hops.
const TOLERANCE_HOPS: u32 = 6;

/// A tone is less loud in few of its hops, by at most this, in dB.
const FADES_DB: f32 = 5.0;
/// Length from which on an even tone is no voice, in hops, and from which on the pause after one
/// may be the network's; how long that is awaited.
const TONE_HOPS_MIN: u32 = 25;
const EVEN_HOPS_MIN: u32 = 15;
const AWAITED_HOPS: u32 = 85;

/// Least part of the power at the ring's frequency when the ring is known.
const RING_SHARE_MIN: f32 = 0.7;

/// Listens for repeating tones.
#[derive(Clone, Debug, Default)]
pub(crate) struct CadenceDetector {
    /// Whether a tone sounds, since which hop, and how long the opposite has been seen.
    is_on: bool,
    since: u32,
    opposite: u32,
    dbov: f32,
    hz: f32,
    /// Hops of this tone in which it wandered, and in which it was less loud.
    strayed: u32,
    faded: u32,
    /// Whether the last tone was even, as those of the network are and voices are not.
    was_even: bool,
    /// Lengths of the tones and pauses that preceded, oldest first: on, off, on.
    spans: [u32; 3],
    /// When the last tone began, and what preceded it: should it go on after a lost frame.
    cut: (u32, [u32; 3]),
    /// Hops of this pause in a row that are something else, and as loud as the tone was.
    other: u32,
    /// Whether this ring has been told.
    is_told: bool,
    /// Level of the last tone that was whole.
    last_dbov: f32,
    last_hz: f32,
    /// Frequency and level of a ring that was told.
    ring: Option<(f32, f32)>,
}

impl CadenceDetector {
    /// The next hop; the cadence that it completes.
    pub(crate) fn next(&mut self, at: u32, hop: &Hop) -> Option<Cadence> {
        let found = self.follow(at, hop);
        if found == Some(Cadence::Ringback) {
            self.ring = Some((self.last_hz, self.last_dbov));
        }
        found
    }

    /// Whether a hop sounds like the ring that was heard before, however noisy it is.
    pub(crate) fn is_ring(&self, hop: &Hop) -> bool {
        self.ring.is_some_and(|(hz, dbov)| {
            let [first, _] = hop.peaks;
            let is_near = (first.hz - hz).abs() < WANDER_HZ && first.share > RING_SHARE_MIN;
            is_near && (hop.band_dbov - dbov).abs() < FADES_DB
        })
    }

    fn follow(&mut self, at: u32, hop: &Hop) -> Option<Cadence> {
        let is_tone = hop.low_share >= LOW_SHARE_MIN && hop.band_dbov > LEVEL_MIN_DBOV;
        if self.is_on { self.sounding(at, hop, is_tone) } else { self.pausing(at, hop, is_tone) }
    }

    /// Whether the tone that sounds, or a pause after it, may still become a cadence.
    pub(crate) fn is_candidate(hz: f32) -> bool {
        (340.0..660.0).contains(&hz)
    }

    /// Whether a tone has been sounding so long and so evenly that it is no voice.
    pub(crate) fn is_tone(&self, at: u32) -> bool {
        let length = (at + 1).saturating_sub(self.since);
        let is_clean = self.strayed * 8 <= length && self.faded * 8 <= length;
        self.is_on && length >= TONE_HOPS_MIN && is_clean
    }

    /// Whether a tone sounds, or the pause of one may go on: nobody is to be judged by it.
    pub(crate) fn is_awaited(&self, at: u32) -> bool {
        let is_pause = !self.is_on && self.was_even && self.spans[2] > 0;
        self.is_tone(at) || (is_pause && at.saturating_sub(self.since) < AWAITED_HOPS)
    }

    fn sounding(&mut self, at: u32, hop: &Hop, is_tone: bool) -> Option<Cadence> {
        let is_loud = hop.band_dbov > self.dbov - FALL_DB;
        if is_tone && is_loud {
            self.opposite = 0;
            self.dbov = self.dbov.max(hop.band_dbov);
            let near = hop.peaks.iter().any(|peak| (peak.hz - self.hz).abs() < WANDER_HZ);
            self.strayed += u32::from(!near);
            self.faded += u32::from(hop.band_dbov < self.dbov - FADES_DB);
            if at - self.since > SPAN_HOPS_MAX {
                self.forget(at);
            }
            return None;
        }
        self.opposite += 1;
        if self.opposite < STEADY_HOPS {
            return None;
        }
        // The window sees half of a tone's end half a window late, and its beginning as well.
        let length = at + 1 - self.opposite - self.since;
        let may_go_on = self.spans[2] > 0;
        let is_long = length >= if may_go_on { STEADY_HOPS } else { TONE_HOPS_LEAST };
        let is_clean = self.strayed * 8 <= length && is_long;
        let followed = !is_loud || hop.band_dbov < LEVEL_MIN_DBOV;
        if !is_clean || !followed {
            self.forget(at);
            return None;
        }
        self.is_on = false;
        self.cut = (self.since, self.spans);
        self.since = at + 1 - self.opposite;
        self.opposite = 0;
        (self.last_dbov, self.last_hz) = (self.dbov, self.hz);
        self.was_even = length >= EVEN_HOPS_MIN && self.faded * 8 <= length;
        self.push(length);
        self.is_told = false;
        self.completed()
    }

    fn pausing(&mut self, at: u32, hop: &Hop, is_tone: bool) -> Option<Cadence> {
        let pause = at + 1 - self.since;
        let is_alike = self.spans[2] == 0 || hop.band_dbov > self.last_dbov - FALL_DB;
        if is_tone && is_alike {
            self.opposite += 1;
            if self.opposite == 1 {
                (self.hz, self.dbov) = (hop.peaks[0].hz, hop.band_dbov);
                (self.strayed, self.faded) = (0, 0);
            }
            self.dbov = self.dbov.max(hop.band_dbov);
            if self.opposite >= STEADY_HOPS {
                self.hz = hop.peaks[0].hz;
                self.is_on = true;
                let length = (at + 1 - self.opposite).saturating_sub(self.since);
                let is_whole = self.spans[2] > 0;
                if is_whole && length <= LOST_HOPS && (self.hz - self.last_hz).abs() < WANDER_HZ {
                    (self.since, self.spans) = self.cut;
                } else {
                    self.since = at + 1 - self.opposite;
                    if is_whole {
                        self.push(length);
                    }
                }
                self.opposite = 0;
            }
            return None;
        }
        self.opposite = 0;
        // Something else that is as loud as the tone was ends the pattern; the edges of a lost frame
        // do not.
        let is_other = !is_tone && hop.band_dbov > self.last_dbov - FALL_DB;
        self.other = if is_other { self.other + 1 } else { 0 };
        if self.other >= STEADY_HOPS && self.spans[2] > 0 {
            self.forget(at);
            return None;
        }
        if pause > SPAN_HOPS_MAX {
            self.forget(at);
            return None;
        }
        let is_ring = RING_HOPS.contains(&self.spans[2]) && RING_HZ.contains(&self.last_hz);
        if is_ring && pause >= RING_PAUSE_HOPS && !self.is_told {
            self.is_told = true;
            return Some(Cadence::Ringback);
        }
        None
    }

    fn push(&mut self, length: u32) {
        self.spans.rotate_left(1);
        self.spans[2] = length.max(1);
    }

    fn forget(&mut self, at: u32) {
        *self = Self { since: at + 1, ring: self.ring, ..Self::default() };
    }

    /// What the last tone, pause and tone make.
    fn completed(&self) -> Option<Cadence> {
        let near = |pattern: [u32; 3]| {
            self.spans.iter().zip(pattern).all(|(span, of)| span.abs_diff(of) <= TOLERANCE_HOPS)
        };
        if near(DOUBLE_RING) && RING_HZ.contains(&self.last_hz) {
            return Some(Cadence::Ringback);
        }
        if near(UNEVEN_REORDER) {
            return Some(Cadence::Reorder);
        }
        let [first, pause, second] = self.spans;
        let in_range = self.spans.iter().all(|span| BUSY_HOPS.contains(span));
        let alike = |a: u32, b: u32, part: u32| a.abs_diff(b) <= (a.max(b) / part).max(4);
        if !in_range || !alike(first, second, 9) || !alike(first, pause, 4) {
            return None;
        }
        // China's reorder is as long as India's busy tone, but 450 Hz.
        let is_long_reorder = first > 64 && (440.0..470.0).contains(&self.last_hz);
        let is_reorder = first < REORDER_HOPS || is_long_reorder;
        Some(if is_reorder { Cadence::Reorder } else { Cadence::Busy })
    }
}
