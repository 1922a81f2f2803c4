//! Where a voice is: what stands out above the noise of the line, band by band.

use super::spectrum::{Hop, VOICE_BANDS};

/// Hops of one block of which the quietest is remembered.
const BLOCK_HOPS: u32 = 25;
/// Blocks remembered: noise is what the quietest of 2.5 s was, since every voice takes breath.
const BLOCKS: usize = 10;
/// Hops until the first spectrum is whole; what comes before is too quiet.
const FILLED_HOPS: u32 = 4;
/// Noise that is assumed at most before it is known, in dB a band; a line is rarely louder.
const FLOOR_MAX_DB: f32 = -49.0;
/// Noise that is assumed at least, in dB a band: what the telephone's laws add is no voice.
const FLOOR_MIN_DB: f32 = -69.0;
/// The quietest of many looks at noise lies below its mean by so much, in dB.
const FLOOR_BIAS_DB: f32 = 2.5;
/// How much a band of noise varies within a block at most, in dB, and how many bands must; a voice
/// varies by more.
const NOISE_RANGE_DB: f32 = 8.0;
const NOISE_BANDS_MIN: usize = 6;
/// How much of a band counts, in dB above the noise: what varies less than this is noise, and a
/// single loud band is not to decide.
const COUNTS_DB: (f32, f32) = (5.0, 14.0);
/// Sum over the bands above which a voice begins, and below which it ends.
const BEGINS: f32 = 14.0;
const ENDS: f32 = 6.0;
/// Least level of a voice in dBov.
const LEVEL_MIN_DBOV: f32 = -60.0;
/// Below this nothing was sent, or it was lost: it says nothing about the noise, in dBov, unless
/// it lasts, in hops.
const NOTHING_DBOV: f32 = -90.0;
const NOTHING_HOPS: u32 = 12;

/// Tells voice from the noise of a line; adapts to the noise.
#[derive(Clone, Debug)]
pub(crate) struct VoiceActivity {
    /// Smoothed level of each band.
    smooth: [f32; VOICE_BANDS],
    /// Quietest and loudest of the block under way.
    quietest: [f32; VOICE_BANDS],
    loudest: [f32; VOICE_BANDS],
    /// Quietest of the blocks before; the newest is the last.
    blocks: [[f32; VOICE_BANDS]; BLOCKS],
    hops: u32,
    nothing_hops: u32,
    /// Whether the noise was heard alone, or for long enough.
    is_known: bool,
    is_voice: bool,
}

impl VoiceActivity {
    pub(crate) const fn new() -> Self {
        Self {
            smooth: [FLOOR_MAX_DB; VOICE_BANDS],
            quietest: [f32::MAX; VOICE_BANDS],
            loudest: [f32::MIN; VOICE_BANDS],
            blocks: [[FLOOR_MAX_DB; VOICE_BANDS]; BLOCKS],
            hops: 0,
            nothing_hops: 0,
            is_known: false,
            is_voice: false,
        }
    }

    /// Whether the next hop holds voice.
    pub(crate) fn next(&mut self, hop: &Hop) -> bool {
        self.hops = self.hops.saturating_add(1);
        let is_nothing = hop.dbov <= NOTHING_DBOV;
        self.nothing_hops = if is_nothing { self.nothing_hops.saturating_add(1) } else { 0 };
        if self.hops >= FILLED_HOPS && (!is_nothing || self.nothing_hops > NOTHING_HOPS) {
            self.learn(hop);
        }
        let mut excess = 0.0;
        for band in 0..VOICE_BANDS {
            let above = hop.bands[band] - self.floor(band) - COUNTS_DB.0;
            excess += above.clamp(0.0, COUNTS_DB.1);
        }
        let least = if self.is_voice { ENDS } else { BEGINS };
        self.is_voice = excess >= least && hop.dbov > LEVEL_MIN_DBOV;
        self.is_voice
    }

    fn learn(&mut self, hop: &Hop) {
        if self.hops == FILLED_HOPS {
            self.smooth = hop.bands;
        }
        for band in 0..VOICE_BANDS {
            self.smooth[band] += (hop.bands[band] - self.smooth[band]) * 0.4;
            self.quietest[band] = self.quietest[band].min(self.smooth[band]);
            self.loudest[band] = self.loudest[band].max(self.smooth[band]);
        }
        if !self.hops.is_multiple_of(BLOCK_HOPS) {
            return;
        }
        let is_even = |band: &usize| self.loudest[*band] - self.quietest[*band] < NOISE_RANGE_DB;
        let even = (0..VOICE_BANDS).filter(is_even).count();
        if !self.is_known && even >= NOISE_BANDS_MIN {
            // Nothing but noise: this is what it is, however loud.
            self.blocks = [self.quietest; BLOCKS];
        }
        self.is_known |= even >= NOISE_BANDS_MIN || self.hops >= BLOCK_HOPS * BLOCKS as u32;
        self.blocks.rotate_left(1);
        self.blocks[BLOCKS - 1] = self.quietest;
        (self.quietest, self.loudest) = (self.smooth, self.smooth);
    }

    /// Noise of a band in dB.
    fn floor(&self, band: usize) -> f32 {
        let known = self.blocks.iter().map(|block| block[band]);
        let quietest = known.fold(self.quietest[band], f32::min) + FLOOR_BIAS_DB;
        // Until the noise is known, a voice that began at once must not pass for it.
        let most = if self.is_known { 0.0 } else { FLOOR_MAX_DB };
        quietest.clamp(FLOOR_MIN_DB, most)
    }
}
