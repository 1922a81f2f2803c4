//! The two laws of the telephone, mu and A: to linear, from linear, and one to the other
//! (ITU-T G.711).
//!
//! All by tables that are computed when the program is compiled.

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law, payload type 8: Europe and most of the world.
    A,
    /// Mu-law, payload type 0: North America and Japan.
    Mu,
}

/// Sign of both laws: set for positive samples.
const SIGN: u8 = 0x80;
/// A-law inverts every second bit on the line.
const A_INVERTED: u8 = 0x55;
/// What mu-law adds to a magnitude of 14 bits so that segments start at powers of two.
const MU_BIAS: u16 = 33;
/// Largest magnitude of 14 bits that mu-law can say.
const MU_MAGNITUDE_MAX: u16 = 8_158;

static MU_DECODED: [i16; 256] = decoded(Law::Mu);
static A_DECODED: [i16; 256] = decoded(Law::A);
/// By the upper 14 bits of a sample.
static MU_ENCODED: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        table[index] = encode_mu((index << 2) as u16 as i16);
        index += 1;
    }
    table
};
/// By the upper 12 bits of a sample.
static A_ENCODED: [u8; 1 << 12] = {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < table.len() {
        table[index] = encode_a((index << 4) as u16 as i16);
        index += 1;
    }
    table
};
static MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let mu = code as u8;
        table[code] = (mu & SIGN | mu_rank_to_a(!mu & 0x7f)) ^ A_INVERTED;
        code += 1;
    }
    table
};
static A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let a = code as u8 ^ A_INVERTED;
        table[code] = a & SIGN | (!a_rank_to_mu(a & 0x7f) & 0x7f);
        code += 1;
    }
    table
};

impl Law {
    /// The byte that means silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xd5,
            Self::Mu => 0xff,
        }
    }

    /// The sample that a byte stands for, on the scale of 16 bits.
    #[inline]
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Self::A => A_DECODED[usize::from(byte)],
            Self::Mu => MU_DECODED[usize::from(byte)],
        }
    }

    /// The byte for a sample.
    #[inline]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::A => A_ENCODED[usize::from(sample as u16 >> 4)],
            Self::Mu => MU_ENCODED[usize::from(sample as u16 >> 2)],
        }
    }

    /// Decodes as many bytes as both sides hold.
    pub fn decode_into(self, bytes: &[u8], samples: &mut [i16]) {
        let table = match self {
            Self::A => &A_DECODED,
            Self::Mu => &MU_DECODED,
        };
        for (sample, byte) in samples.iter_mut().zip(bytes) {
            *sample = table[usize::from(*byte)];
        }
    }

    /// Encodes as many samples as both sides hold.
    pub fn encode_into(self, samples: &[i16], bytes: &mut [u8]) {
        match self {
            Self::A => {
                for (byte, sample) in bytes.iter_mut().zip(samples) {
                    *byte = A_ENCODED[usize::from(*sample as u16 >> 4)];
                }
            }
            Self::Mu => {
                for (byte, sample) in bytes.iter_mut().zip(samples) {
                    *byte = MU_ENCODED[usize::from(*sample as u16 >> 2)];
                }
            }
        }
    }

    /// Turns bytes of this law into bytes of `law`, by the tables of G.711 (tables 3 and 4).
    ///
    /// They differ from decoding and encoding in a few values, so that sound which crosses the
    /// border twice comes back as it was.
    pub fn transcode(self, law: Self, bytes: &mut [u8]) {
        let table = match (self, law) {
            (Self::A, Self::A) | (Self::Mu, Self::Mu) => return,
            (Self::A, Self::Mu) => &A_TO_MU,
            (Self::Mu, Self::A) => &MU_TO_A,
        };
        for byte in bytes {
            *byte = table[usize::from(*byte)];
        }
    }
}

const fn decoded(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = match law {
            Law::A => decode_a(code as u8),
            Law::Mu => decode_mu(code as u8),
        };
        code += 1;
    }
    table
}

const fn decode_mu(code: u8) -> i16 {
    let rank = (!code & 0x7f) as u16;
    let (segment, step) = (rank >> 4, rank & 0x0f);
    let magnitude = (((step << 1) + MU_BIAS) << segment) - MU_BIAS;
    signed(code & SIGN != 0, magnitude << 2)
}

const fn decode_a(code: u8) -> i16 {
    let code = code ^ A_INVERTED;
    let (segment, step) = ((code >> 4 & 7) as u16, (code & 0x0f) as u16);
    let magnitude = match segment {
        0 => (step << 1) + 1,
        _ => ((step << 1) + 33) << (segment - 1),
    };
    signed(code & SIGN != 0, magnitude << 3)
}

const fn encode_mu(sample: i16) -> u8 {
    let magnitude = magnitude(sample) >> 2;
    let capped = if magnitude > MU_MAGNITUDE_MAX { MU_MAGNITUDE_MAX } else { magnitude };
    let biased = capped + MU_BIAS;
    // Segment 0 starts at 32, which has its highest bit at place 5.
    let segment = 10 - biased.leading_zeros() as u16;
    let rank = (segment << 4 | (biased >> (segment + 1)) & 0x0f) as u8;
    (if sample < 0 { 0 } else { SIGN }) | (!rank & 0x7f)
}

const fn encode_a(sample: i16) -> u8 {
    let magnitude = magnitude(sample) >> 3;
    // The first two segments have the same step, so they count as one that starts at zero.
    let rank = if magnitude < 64 {
        magnitude >> 1
    } else {
        let segment = 11 - magnitude.leading_zeros() as u16;
        segment << 4 | (magnitude >> segment) & 0x0f
    };
    ((if sample < 0 { 0 } else { SIGN }) | rank as u8) ^ A_INVERTED
}

/// The magnitude by one's complement, so that both signs are cut alike.
const fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }) as u16
}

const fn signed(is_positive: bool, magnitude: u16) -> i16 {
    if is_positive { magnitude as i16 } else { -(magnitude as i16) }
}

/// G.711 table 3: values of mu-law counted from silence, 0 to 127, to those of A-law.
const fn mu_rank_to_a(rank: u8) -> u8 {
    match rank {
        0..=15 => rank / 2,
        16..=32 => rank - 8,
        33..=36 => 24 + (rank - 32) * 2,
        37..=47 => rank - 4,
        48 => 45,
        49..=63 => rank - 2,
        64..=80 => rank - 1,
        _ => rank,
    }
}

/// G.711 table 4: values of A-law counted from silence, 0 to 127, to those of mu-law.
const fn a_rank_to_mu(rank: u8) -> u8 {
    match rank {
        0..=7 => rank * 2 + 1,
        8..=23 => rank + 8,
        24..=31 => 32 + (rank - 24) / 2,
        32..=44 => rank + 4,
        45..=46 => rank + 3,
        47..=62 => rank + 2,
        63..=79 => rank + 1,
        _ => rank,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 table 1 and 2 in words: segments of 16 steps, each with its step, and the borders
    /// between the values; on the laws' own scales of 13 and 14 bits.
    fn borders(law: Law) -> Vec<i32> {
        let mut borders = vec![0];
        let mut at = 0;
        match law {
            // Mu-law begins with one half step, then 15 of two, then 16 each of 4, 8 … 256.
            Law::Mu => {
                at += 1;
                borders.push(at);
                for step in [2; 15] {
                    at += step;
                    borders.push(at);
                }
                for segment in 1..8 {
                    for _ in 0..16 {
                        at += 2 << segment;
                        borders.push(at);
                    }
                }
                assert_eq!(at, 8_159, "the virtual border of table 2");
            }
            // A-law has 32 steps of 2, then 16 each of 4, 8 … 128.
            Law::A => {
                for _ in 0..32 {
                    at += 2;
                    borders.push(at);
                }
                for segment in 1..7 {
                    for _ in 0..16 {
                        at += 2 << segment;
                        borders.push(at);
                    }
                }
                assert_eq!(at, 4_096, "the virtual border of table 1");
            }
        }
        borders
    }

    /// The value number and the output that the tables give for a magnitude.
    fn quantised(law: Law, magnitude: i32) -> (u8, i32) {
        let borders = borders(law);
        let rank = borders[1..borders.len() - 1].partition_point(|border| *border <= magnitude);
        let output = match (law, rank) {
            (Law::Mu, 0) => 0,
            _ => (borders[rank] + borders[rank + 1]) / 2,
        };
        (rank as u8, output)
    }

    #[test]
    fn every_sample_is_encoded_and_decoded_as_the_tables_of_the_standard_say() {
        for law in [Law::A, Law::Mu] {
            // 16 bits to the law's own scale.
            let shift = if law == Law::A { 3 } else { 2 };
            let tables: Vec<(u8, i32)> =
                (0..1 << (15 - shift)).map(|magnitude| quantised(law, magnitude)).collect();
            for sample in i16::MIN..=i16::MAX {
                let magnitude = if sample < 0 { !sample } else { sample } >> shift;
                let (rank, output) = tables[magnitude as usize];
                let sign = if sample < 0 { 0 } else { 0x80 };
                let code = match law {
                    Law::A => (rank | sign) ^ 0x55,
                    Law::Mu => !rank & 0x7f | sign,
                };
                assert_eq!(law.encode(sample), code, "{law:?} {sample}");
                let decoded = i32::from(law.decode(code));
                assert_eq!(decoded.abs(), output << shift, "{law:?} {sample}");
                assert!(decoded == 0 || (decoded < 0) == (sample < 0), "{law:?} {sample}");
            }
        }
    }

    #[test]
    fn every_byte_comes_back_from_its_sample() {
        for law in [Law::A, Law::Mu] {
            for byte in 0..=255u8 {
                let back = law.encode(law.decode(byte));
                // Mu-law has two zeros; the negative one comes back as the positive.
                let expected = if law == Law::Mu && byte == 0x7f { 0xff } else { byte };
                assert_eq!(back, expected, "{law:?}");
            }
            assert!(law.decode(law.silence()).abs() <= 8);
        }
    }

    #[test]
    fn known_values_of_the_standard_are_met() {
        // Table 2b: the extremes and both zeros.
        assert_eq!((Law::Mu.decode(0x00), Law::Mu.decode(0x80)), (-32_124, 32_124));
        assert_eq!((Law::Mu.decode(0x7f), Law::Mu.decode(0xff)), (0, 0));
        assert_eq!((Law::A.decode(0x2a), Law::A.decode(0xaa)), (-32_256, 32_256));
        assert_eq!((Law::A.decode(0x55), Law::A.decode(0xd5)), (-8, 8));
        assert_eq!((Law::Mu.encode(i16::MIN), Law::Mu.encode(i16::MAX)), (0x00, 0x80));
        assert_eq!((Law::A.encode(i16::MIN), Law::A.encode(i16::MAX)), (0x2a, 0xaa));
        assert_eq!((Law::Mu.encode(0), Law::A.encode(0)), (0xff, 0xd5));
    }

    fn transcoded(from: Law, to: Law, byte: u8) -> u8 {
        let mut bytes = [byte];
        from.transcode(to, &mut bytes);
        bytes[0]
    }

    #[test]
    fn transcoding_keeps_the_sign_rises_and_stays_within_one_value_of_the_nearest() {
        for (from, to) in [(Law::A, Law::Mu), (Law::Mu, Law::A)] {
            let mut louder = 0;
            let by_loudness = |byte: &u8| i32::from(from.decode(*byte)).abs();
            let mut codes: Vec<u8> =
                (0..=255).filter(|byte| from.encode(1) & 0x80 == byte & 0x80).collect();
            codes.sort_by_key(by_loudness);
            for code in codes {
                let direct = transcoded(from, to, code);
                let sample = i32::from(from.decode(code));
                let value = i32::from(to.decode(direct));
                assert!(value >= louder, "{from:?} {code:#x} falls");
                louder = value;
                let nearest = i32::from(to.decode(to.encode(from.decode(code))));
                let spacing = (nearest / 16).max(16);
                assert!((value - sample).abs() <= (nearest - sample).abs() + spacing);
                let negative = transcoded(from, to, code ^ 0x80);
                assert_eq!(negative, direct ^ 0x80, "{from:?} {code:#x}");
            }
        }
    }

    #[test]
    fn sound_that_crosses_the_border_twice_changes_once_at_most() {
        for (from, to) in [(Law::A, Law::Mu), (Law::Mu, Law::A)] {
            for code in 0..=255u8 {
                let there = transcoded(from, to, code);
                let back = transcoded(to, from, there);
                assert_eq!(transcoded(from, to, back), there, "{from:?} {code:#x}");
            }
        }
    }

    #[test]
    fn transcoding_to_the_same_law_changes_nothing() {
        let mut bytes = [0, 1, 0x7f, 0x80, 0xff];
        Law::A.transcode(Law::A, &mut bytes);
        Law::Mu.transcode(Law::Mu, &mut bytes);
        assert_eq!(bytes, [0, 1, 0x7f, 0x80, 0xff]);
    }

    #[test]
    fn slices_are_turned_as_far_as_both_sides_reach() {
        let samples = [0, 1_000, -1_000, i16::MAX];
        for law in [Law::A, Law::Mu] {
            let mut bytes = [0; 3];
            law.encode_into(&samples, &mut bytes);
            assert_eq!(bytes, [0, 1, 2].map(|at| law.encode(samples[at])));
            let mut back = [0; 4];
            law.decode_into(&bytes, &mut back);
            assert_eq!(back[..3], bytes.map(|byte| law.decode(byte)));
            assert_eq!(back[3], 0);
        }
    }
}
