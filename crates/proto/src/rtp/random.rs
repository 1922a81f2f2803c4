//! Numbers that follow from a seed: SSRC, first sequence number, spread of the reports.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// Small, even, and the same on every machine.
///
/// Not for secrets. The seed comes from the caller, who draws it from the system's generator so
/// that nobody outside can guess an SSRC or a sequence number (RFC 3550 §8.1, §9.1).
#[derive(Clone, Debug)]
pub(crate) struct Random(SplitMix64);

impl Random {
    /// A generator whose whole output follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    /// The next 64 bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next 32 bits.
    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// The next 16 bits.
    pub(crate) fn next_u16(&mut self) -> u16 {
        (self.next_u64() >> 48) as u16
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_numbers_and_another_seed_gives_others() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.next_u64(), random.next_u64(), u64::from(random.next_u32())]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn unit_numbers_stay_in_range_and_spread_evenly() {
        let mut random = Random::new(1);
        let sum: f64 = (0..10_000)
            .map(|_| {
                let unit = random.next_unit();
                assert!((0.0..1.0).contains(&unit));
                unit
            })
            .sum();
        assert!((sum / 10_000.0 - 0.5).abs() < 0.02);
    }
}
