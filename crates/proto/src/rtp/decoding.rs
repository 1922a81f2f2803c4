//! What leaves the stream to be decoded, and how its timestamps become samples at 8 kHz.

use super::{CLOCK_HZ, Codec};

/// A payload that means nothing before it is decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Coded {
    /// How it is encoded.
    pub codec: Codec,
    /// Whose it is: a codec that remembers begins anew with another source.
    pub ssrc: u32,
    /// Its number in the stream.
    pub sequence: u16,
    /// Its first sample's time, in samples at 8 kHz.
    pub timestamp: u32,
    /// What is to be decoded.
    pub payload: Box<[u8]>,
}

impl std::fmt::Debug for Coded {
    // Sound is nobody's business, and long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coded")
            .field("codec", &self.codec)
            .field("sequence", &self.sequence)
            .field("timestamp", &self.timestamp)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Ticks of any codec's clock as samples at 8 kHz, over rounds of both.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Samples {
    last: u32,
    samples: u32,
    /// Ticks behind the last whole sample.
    rest: i64,
}

impl Samples {
    /// The sample of a timestamp; how far it lies from the one before is kept.
    pub(super) fn at(&mut self, codec: Codec, timestamp: u32) -> u32 {
        let ticks = i64::from(codec.clock_hz() / CLOCK_HZ);
        let ahead = i64::from(timestamp.wrapping_sub(self.last) as i32) + self.rest;
        self.last = timestamp;
        self.rest = ahead.rem_euclid(ticks);
        self.samples = self.samples.wrapping_add(ahead.div_euclid(ticks) as u32);
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_the_clock_over_its_rounds_and_back() {
        let mut samples = Samples::default();
        let first = samples.at(Codec::Opus, 0xffff_ff00);
        for packet in 1..=1_000_u32 {
            let at = 0xffff_ff00_u32.wrapping_add(packet * 960);
            assert_eq!(samples.at(Codec::Opus, at).wrapping_sub(first), packet * 160);
        }
        let late = 0xffff_ff00_u32.wrapping_add(998 * 960);
        assert_eq!(samples.at(Codec::Opus, late).wrapping_sub(first), 998 * 160);
    }

    #[test]
    fn ticks_between_two_samples_are_not_lost() {
        let mut samples = Samples::default();
        let first = samples.at(Codec::Opus, 5);
        let last = (1..=600).map(|packet| samples.at(Codec::Opus, 5 + packet * 961)).last();
        assert_eq!(last.unwrap() - first, 600 * 961 / 6);
    }

    #[test]
    fn telephone_clock_is_taken_as_it_is() {
        let mut samples = Samples::default();
        let first = samples.at(Codec::G722, 77);
        assert_eq!(samples.at(Codec::G722, 77 + 160).wrapping_sub(first), 160);
    }
}
