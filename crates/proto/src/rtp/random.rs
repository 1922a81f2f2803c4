//! Numbers that follow from a seed: SSRC, first sequence number, spread of the reports.

/// SplitMix64 (Steele, Lea and Flood, 2014): small, even, and the same on every machine.
///
/// Not for secrets. The seed comes from the caller, who draws it from the system's generator so
/// that nobody outside can guess an SSRC or a sequence number (RFC 3550 §8.1, §9.1).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator whose whole output follows from `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 32 bits.
    pub(crate) const fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// The next 16 bits.
    pub(crate) const fn next_u16(&mut self) -> u16 {
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
