//! What a room hears when somebody comes or leaves: two tones, up or down.

use std::collections::VecDeque;
use std::time::Duration;

use media::tone::{Generator, Tone};
use media::{FRAME_SAMPLES, LinearFrame};

/// The two tones: a fifth, which nothing else on a telephone is.
const LOW_HZ: f32 = 523.0;
const HIGH_HZ: f32 = 784.0;
/// Loudness of each: below speech, so that who speaks is understood.
const LEVEL_DBM0: f32 = -20.0;
/// Length of each, in milliseconds.
const TONE_MS: u64 = 100;
/// Frames that wait: of more who come at once than five, the rest comes quietly.
const WAITING_MAX: usize = 50;

/// Who came or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Came,
    Left,
}

/// The tones that are still to be heard.
#[derive(Debug, Default)]
pub(super) struct Chimes(VecDeque<LinearFrame>);

impl Chimes {
    /// Somebody came or left.
    pub(super) fn ring(&mut self, change: Change) {
        let tone =
            |hz| Generator::samples(Tone::sine(hz, LEVEL_DBM0, Duration::from_millis(TONE_MS)));
        let [first, second] = match change {
            Change::Came => [LOW_HZ, HIGH_HZ],
            Change::Left => [HIGH_HZ, LOW_HZ],
        };
        let samples = [tone(first), tone(second)].concat();
        let (frames, _) = samples.as_chunks::<FRAME_SAMPLES>();
        if self.0.len() + frames.len() <= WAITING_MAX {
            self.0.extend(frames);
        }
    }

    /// The next 20 ms, if there are any.
    pub(super) fn next(&mut self) -> Option<LinearFrame> {
        self.0.pop_front()
    }
}

/// Two sounds at once.
pub(super) fn over(frame: &LinearFrame, chime: &LinearFrame) -> LinearFrame {
    std::array::from_fn(|at| frame[at].saturating_add(chime[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_and_leaving_sound_differently_and_a_crowd_is_not_heard_for_long() {
        let mut chimes = Chimes::default();
        let heard = |chimes: &mut Chimes| -> Vec<LinearFrame> {
            std::iter::from_fn(|| chimes.next()).collect()
        };
        chimes.ring(Change::Came);
        let came = heard(&mut chimes);
        chimes.ring(Change::Left);
        let left = heard(&mut chimes);
        assert_eq!((came.len(), left.len()), (10, 10));
        assert_eq!(came[..5], left[5..]);
        (0..64).for_each(|_| chimes.ring(Change::Came));
        assert_eq!(heard(&mut chimes).len(), WAITING_MAX);
        let loud = over(&[i16::MAX; FRAME_SAMPLES], &[5; FRAME_SAMPLES]);
        assert_eq!(loud, [i16::MAX; FRAME_SAMPLES]);
    }
}
