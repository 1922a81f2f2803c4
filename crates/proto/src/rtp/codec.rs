//! The two sound codecs that every trunk speaks, as far as a packet needs to know them.

/// G.711 in its two forms (RFC 3551 §4.5.14).
///
/// What the bytes mean as sound is the business of `media`; here only what a stream needs to go on
/// when a packet is missing: silence, and the same sound fainter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A-law: Europe and most of the world.
    Pcma,
    /// Mu-law: North America and Japan.
    Pcmu,
}

/// Codes of one G.711 segment; a segment less is half the amplitude, 6 dB.
const SEGMENT_CODES: u8 = 16;
/// Codes counted from silence that pass for quiet: below about -36 dB of full scale.
const QUIET_CODES: u8 = 2 * SEGMENT_CODES;

impl Codec {
    /// The static payload type (RFC 3551 §6).
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// The codec of a static payload type.
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// The encoding name in `a=rtpmap` (RFC 3551 §6).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// The byte that means silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcma => 0xd5,
            Self::Pcmu => 0xff,
        }
    }

    /// The same sample with its amplitude halved `times` times, about 6 dB each.
    ///
    /// Both laws are nearly logarithmic, so halving is one segment less and needs no decoding.
    pub const fn halved(self, byte: u8, times: u8) -> u8 {
        let distance = self.distance(byte).saturating_sub(SEGMENT_CODES.saturating_mul(times));
        match self {
            Self::Pcma => ((byte ^ 0x55) & 0x80 | distance) ^ 0x55,
            Self::Pcmu => byte & 0x80 | (!distance & 0x7f),
        }
    }

    /// Whether nobody would miss these samples.
    pub fn is_quiet(self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.distance(*byte) < QUIET_CODES)
    }

    /// Steps from silence to the sample, 0 to 127, regardless of its sign.
    const fn distance(self, byte: u8) -> u8 {
        match self {
            Self::Pcma => (byte ^ 0x55) & 0x7f,
            Self::Pcmu => !byte & 0x7f,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_lead_back_to_their_codec() {
        for codec in [Codec::Pcma, Codec::Pcmu] {
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
        }
        assert_eq!(Codec::from_payload_type(3), None);
    }

    #[test]
    fn halving_keeps_the_sign_and_ends_in_silence() {
        for codec in [Codec::Pcma, Codec::Pcmu] {
            for byte in 0..=255u8 {
                let faint = codec.halved(byte, 1);
                assert_eq!(faint & 0x80, byte & 0x80, "{codec:?} {byte:#x}");
                assert!(codec.distance(faint) <= codec.distance(byte));
                assert_eq!(codec.distance(codec.halved(byte, 8)), 0);
                assert_eq!(codec.halved(byte, 0), byte);
            }
            assert_eq!(codec.halved(codec.silence(), 1), codec.silence());
        }
    }

    #[test]
    fn silence_is_quiet_and_full_scale_is_not() {
        assert!(Codec::Pcmu.is_quiet(&[0xff, 0x7f, 0xf0]));
        assert!(!Codec::Pcmu.is_quiet(&[0xff, 0x00]));
        assert!(Codec::Pcma.is_quiet(&[0xd5, 0x55]));
        assert!(!Codec::Pcma.is_quiet(&[0xd5, 0x2a]));
    }
}
