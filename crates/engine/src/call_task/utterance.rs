//! What somebody says in one go, cut out of his sound as it comes in.

use std::collections::VecDeque;
use std::time::Duration;

use media::recorder::Voice;
use media::{FRAME_MS, FRAME_SAMPLES, LinearFrame, RATE_HZ};
use zeroize::Zeroize as _;

/// Silence after speech that ends it where nobody says otherwise.
pub(super) const SILENCE_DEFAULT: Duration = Duration::from_millis(800);
/// Frames that are kept from before speech is noticed: 0.3 s, for soft first sounds.
const BEFORE_FRAMES: usize = 15;

/// An utterance under way; wiped from memory when it goes.
#[derive(Default)]
pub(super) struct Utterance {
    voice: Voice,
    /// What was heard last before speech; then the utterance.
    samples: VecDeque<i16>,
    speaks: bool,
    quiet: Duration,
}

impl Utterance {
    /// 20 ms more; whether speech has begun with them.
    pub(super) fn hear(&mut self, frame: &LinearFrame) -> bool {
        self.samples.extend(frame);
        let is_voice = self.voice.next(frame);
        if self.speaks {
            let frame_time = Duration::from_millis(u64::from(FRAME_MS));
            self.quiet = if is_voice { Duration::ZERO } else { self.quiet + frame_time };
            return false;
        }
        let before = self.samples.len().saturating_sub(BEFORE_FRAMES * FRAME_SAMPLES);
        self.samples.drain(..before);
        self.speaks = is_voice;
        is_voice
    }

    /// Whether speech has begun.
    pub(super) fn speaks(&self) -> bool {
        self.speaks
    }

    /// The silence after it, until now.
    pub(super) fn quiet(&self) -> Duration {
        self.quiet
    }

    /// How long it lasts, with what is kept around it.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(RATE_HZ))
    }

    /// Its samples, in order.
    pub(super) fn samples(&self) -> impl Iterator<Item = i16> {
        self.samples.iter().copied()
    }

    /// Ends it, and begins with the next one; nothing where nobody spoke.
    pub(super) fn take(&mut self) -> Option<Vec<i16>> {
        let samples = self.samples.drain(..).collect();
        self.quiet = Duration::ZERO;
        std::mem::take(&mut self.speaks).then_some(samples)
    }
}

impl Drop for Utterance {
    fn drop(&mut self) {
        self.samples.make_contiguous().zeroize();
    }
}
