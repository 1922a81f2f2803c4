//! What a callee said lately, kept for who reads it.

use media::g711::Law;
use zeroize::Zeroizing;

/// How much of it is kept, in samples of 8 kHz: who speaks longer is told by that.
const KEPT_SAMPLES: usize = 6 * 8_000;

/// The last seconds of sound, as a telephone line codes them; in memory alone, and wiped.
#[derive(Debug, Default)]
pub(super) struct Said(Zeroizing<Vec<u8>>);

impl Said {
    /// The next of it.
    pub(super) fn push(&mut self, samples: &[i16]) {
        if self.0.is_empty() {
            // At once: where it grew, copies would stay.
            self.0.reserve_exact(2 * KEPT_SAMPLES);
        }
        if self.0.len() + samples.len() > 2 * KEPT_SAMPLES {
            let old = self.0.len() - KEPT_SAMPLES;
            self.0.drain(..old);
        }
        self.0.extend(samples.iter().map(|sample| Law::Mu.encode(*sample)));
    }

    /// What is kept of it.
    pub(super) fn samples(&self) -> Zeroizing<Vec<i16>> {
        let from = self.0.len().saturating_sub(KEPT_SAMPLES);
        Zeroizing::new(self.0[from..].iter().map(|code| Law::Mu.decode(*code)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_seconds_are_kept_however_long_somebody_speaks() {
        let mut said = Said::default();
        for nth in 0..2_000 {
            said.push(&[nth * 16; 160]);
        }
        let samples = said.samples();
        assert_eq!(samples.len(), KEPT_SAMPLES);
        assert!((samples[KEPT_SAMPLES - 1] - 1_999 * 16).abs() < 1_024);
        assert!((samples[0] - 1_700 * 16).abs() < 1_024, "{}", samples[0]);
        assert!(said.0.len() <= 2 * KEPT_SAMPLES);
    }
}
