//! Special information tones: three rising tones before an announcement that say why a call failed.

use super::steady::Run;
use crate::tone::Sit;

/// Which special information tones were heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SitCode {
    /// Those of North America, whose frequencies and lengths say what went wrong.
    Coded(Sit),
    /// Those of the rest of the world, which only say that an announcement follows (ITU-T E.180 §7).
    Uncoded,
}

/// Where each of the three tones may lie, in Hz (ITU-T E.180 §7; Telcordia's lie inside).
const BANDS_HZ: [std::ops::RangeInclusive<f32>; 3] =
    [880.0..=1_010.0, 1_330.0..=1_460.0, 1_740.0..=1_860.0];
/// Length of the first two tones in hops: 274 ms less a quarter to 400 ms and a tenth.
const LENGTH_HOPS: std::ops::RangeInclusive<u32> = 20..=46;
/// Border between short tones of 274 ms and long ones of 380 ms, in hops.
const LONG_HOPS_MIN: u32 = 33;
/// Longest gap between two tones in hops; at most 30 ms are sent, and edges look like gaps.
const GAP_HOPS_MAX: u32 = 9;
/// Longest hole in a tone that is lost sound, in hops: five frames of 20 ms and the edges. The
/// spectrum bridges shorter ones.
const HOLE_HOPS_MAX: u32 = 14;
/// How far the two sides of a hole may be from each other, in Hz.
const SAME_HZ: f32 = 12.0;
/// How much of the third tone must have sounded, in hops.
const THIRD_HOPS: u32 = 13;
/// How far a coded tone may be from its frequency, in Hz: what tells it from the uncoded ones,
/// which lie 36, 29 and 23 Hz away.
const TOLERANCE_HZ: [f32; 3] = [14.0, 12.0, 11.0];

/// A tone, the holes in it included.
#[derive(Clone, Copy, Debug)]
struct Heard {
    hz: f32,
    /// Its length without its edges.
    hops: u32,
    from: u32,
    /// Hop after its last.
    until: u32,
}

/// Listens for the three tones.
#[derive(Clone, Debug, Default)]
pub(crate) struct SitDetector {
    heard: [Option<Heard>; 2],
    /// What has ended last: it goes on, should it only have a hole.
    last: Option<Heard>,
}

impl SitDetector {
    /// A tone has ended.
    pub(crate) fn ended(&mut self, run: &Run) {
        let tone = self.whole(run);
        let fits =
            |place: usize| BANDS_HZ[place].contains(&tone.hz) && LENGTH_HOPS.contains(&tone.hops);
        match self.heard {
            [Some(first), _] if fits(1) && follows(first, tone) => self.heard[1] = Some(tone),
            _ if fits(0) => self.heard = [Some(tone), None],
            // It may have a hole, and be long enough with what comes behind it.
            _ if self.may_be_next(tone) => {}
            // A click between two tones is no tone.
            _ if run.hops > 5 => self.heard = [None, None],
            _ => {}
        }
        self.last = Some(tone);
    }

    /// A tone sounds; which code the three have, when there is no doubt any more.
    pub(crate) fn sounding(&mut self, run: &Run) -> Option<SitCode> {
        let [Some(first), Some(second)] = self.heard else { return None };
        let tone = self.whole(run);
        let fits = BANDS_HZ[2].contains(&tone.hz) && follows(second, tone);
        if !fits || run.hops < THIRD_HOPS {
            return None;
        }
        *self = Self::default();
        Some(code(first, second, tone.hz))
    }

    /// Whether a tone that has begun may become one of the three.
    pub(crate) fn is_candidate(&self, run: &Run) -> bool {
        self.may_be_next(self.whole(run))
    }

    fn may_be_next(&self, tone: Heard) -> bool {
        match self.heard {
            [Some(first), None] if follows(first, tone) => BANDS_HZ[1].contains(&tone.hz),
            [Some(_), Some(second)] if follows(second, tone) => BANDS_HZ[2].contains(&tone.hz),
            _ => BANDS_HZ[0].contains(&tone.hz),
        }
    }

    /// A tone with what sounded before a hole in it.
    fn whole(&self, run: &Run) -> Heard {
        let (hz, hops, until) = (run.hz, run.loud_hops(), run.from + run.hops);
        let own = Heard { hz, hops, from: run.from, until };
        let goes_on = |last: &Heard| {
            let hole = own.from.saturating_sub(last.until);
            hole <= HOLE_HOPS_MAX && (own.hz - last.hz).abs() <= SAME_HZ
        };
        let Some(last) = self.last.filter(goes_on) else { return own };
        // Each side has two edges, of which one is at the hole and belongs to the tone.
        let edges = (last.until - last.from - last.hops) + (run.hops - hops);
        let hops = (until - last.from).saturating_sub(edges / 2);
        Heard {
            hz: if last.hops > own.hops { last.hz } else { own.hz },
            hops,
            from: last.from,
            until,
        }
    }
}

fn follows(earlier: Heard, tone: Heard) -> bool {
    tone.from.saturating_sub(earlier.until) <= GAP_HOPS_MAX
}

fn code(first: Heard, second: Heard, third_hz: f32) -> SitCode {
    let matches = |code: &Sit| {
        let segments = code.segments();
        let near = |place: usize, hz: f32| (segments[place].0 - hz).abs() <= TOLERANCE_HZ[place];
        let lasts = |place: usize, hops: u32| (segments[place].1 > 327) == (hops >= LONG_HOPS_MIN);
        near(0, first.hz)
            && near(1, second.hz)
            && near(2, third_hz)
            && lasts(0, first.hops)
            && lasts(1, second.hops)
    };
    Sit::ALL.into_iter().find(matches).map_or(SitCode::Uncoded, SitCode::Coded)
}
