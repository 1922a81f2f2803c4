//! Music: sound that goes on and on, without the gaps between syllables that every voice has.

use super::spectrum::Hop;

/// Hops looked at: 1.5 s, in which a voice takes breath or closes its lips several times.
const WINDOW: usize = 150;
/// How often it is looked at, in hops.
const EVERY: u32 = 10;
/// Least mean level of music in dBov.
const LEVEL_MIN_DBOV: f32 = -45.0;
/// Music is not so much softer than the loudest that was heard, in dB: a voice before it is not
/// its own background.
const SOFTER_MAX_DB: f32 = 12.0;
/// How much the level varies, as a standard deviation in dB: a tone varies less, a voice more.
const DEVIATION_DB: std::ops::RangeInclusive<f32> = 0.4..=4.3;
/// A gap lies so much below the mean, in dB, and so many hops may.
const GAP_DB: f32 = 9.5;
const GAP_HOPS_MAX: usize = 4;
/// Least part of the power that the two strongest frequencies have: music has notes, and
/// noise has none.
const SHARE_MIN: f32 = 0.52;
/// How long it must last to be believed, in hops.
const BELIEVED_HOPS: u32 = 80;

/// Listens for music.
#[derive(Clone, Debug)]
pub(crate) struct MusicDetector {
    dbov: [f32; WINDOW],
    share: [f32; WINDOW],
    hops: u32,
    like_hops: u32,
    loudest: f32,
}

impl MusicDetector {
    pub(crate) const fn new() -> Self {
        Self {
            dbov: [0.0; WINDOW],
            share: [0.0; WINDOW],
            hops: 0,
            like_hops: 0,
            loudest: LEVEL_MIN_DBOV,
        }
    }

    /// The next hop; a steady tone is no music.
    pub(crate) fn next(&mut self, hop: &Hop) {
        let place = self.hops as usize % WINDOW;
        self.dbov[place] = hop.band_dbov;
        self.share[place] = (hop.peaks[0].share + hop.peaks[1].share).min(1.0);
        self.hops = self.hops.saturating_add(1);
        self.loudest = self.loudest.max(hop.band_dbov);
        if self.hops as usize >= WINDOW && self.hops.is_multiple_of(EVERY) {
            self.like_hops = if self.is_even() { self.like_hops + EVERY } else { 0 };
        }
    }

    /// Whether the last 1.5 s may be music.
    pub(crate) fn is_likely(&self) -> bool {
        self.like_hops > 0
    }

    /// Whether it is music.
    pub(crate) fn is_believed(&self) -> bool {
        self.like_hops >= BELIEVED_HOPS
    }

    fn is_even(&self) -> bool {
        let count = WINDOW as f32;
        let mean = self.dbov.iter().sum::<f32>() / count;
        let variance = self.dbov.iter().map(|db| (db - mean).powi(2)).sum::<f32>() / count;
        let gaps = self.dbov.iter().filter(|db| **db < mean - GAP_DB).count();
        let share = self.share.iter().sum::<f32>() / count;
        mean > LEVEL_MIN_DBOV.max(self.loudest - SOFTER_MAX_DB)
            && DEVIATION_DB.contains(&variance.sqrt())
            && gaps <= GAP_HOPS_MAX
            && share >= SHARE_MIN
    }
}
