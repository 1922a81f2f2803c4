//! Noise that follows from a seed.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// For sound, not for secrets.
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

    /// A nearly normal number with mean 0 and deviation 1: four uniform ones added up.
    pub(crate) fn next_normal(&mut self) -> f32 {
        let bits = self.next_u64();
        let sum: i32 = (0..4).map(|part| (bits >> (part * 16)) as u16 as i16 as i32).sum();
        // Four uniform numbers over 2^16 have a deviation of 2 * 2^16 / sqrt(12).
        sum as f32 / 37_837.23
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let mut random = Random::new(5);
        let numbers: Vec<f32> = (0..100_000).map(|_| random.next_normal()).collect();
        let mean = numbers.iter().sum::<f32>() / 100_000.0;
        let variance = numbers.iter().map(|number| number * number).sum::<f32>() / 100_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }
}
