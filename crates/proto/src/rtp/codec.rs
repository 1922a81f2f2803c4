//! The sound codecs that a stream may have, as far as a packet needs to know them.

/// A sound codec.
///
/// What the bytes mean as sound is the business of `media`. G.711 in its two forms (RFC 3551
/// §4.5.14) waits in the jitter buffer as it came: here is what a stream needs to go on when a
/// packet is missing, silence and the same sound fainter. The others are decoded before they wait,
/// as [`Self::companded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T G.722 at 64 kbit/s.
    G722,
    /// RFC 6716, with one channel.
    Opus,
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
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::G722, Self::Opus, Self::Pcma, Self::Pcmu];

    /// The payload type of our offers: the static one (RFC 3551 §6), or for Opus the one that most
    /// equipment uses.
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::G722 => 9,
            Self::Opus => 111,
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// The codec of a static payload type.
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// The encoding name in `a=rtpmap` (RFC 3551 §6, RFC 7587 §7).
    pub const fn name(self) -> &'static str {
        match self {
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// Ticks of the RTP clock in a second. G.722 has 16,000 samples in that time and says 8000 all
    /// the same, since an early RFC was wrong (RFC 3551 §4.5.2); Opus always says 48000 (RFC 7587
    /// §4.1).
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcma | Self::Pcmu => super::CLOCK_HZ,
        }
    }

    /// Ticks of its clock in one of [`super::CLOCK_HZ`].
    pub const fn ticks_per_sample(self) -> u32 {
        self.clock_hz() / super::CLOCK_HZ
    }

    /// Channels in `a=rtpmap`: Opus says two whatever it sends (RFC 7587 §7).
    pub const fn channels(self) -> u32 {
        match self {
            Self::Opus => 2,
            Self::G722 | Self::Pcma | Self::Pcmu => 1,
        }
    }

    /// G.711 in which its sound waits: itself, or mu-law for what is decoded before.
    pub const fn companded(self) -> Self {
        match self {
            Self::Pcma => Self::Pcma,
            Self::G722 | Self::Opus | Self::Pcmu => Self::Pcmu,
        }
    }

    /// Whether a byte of it is a sample, whatever came before.
    pub const fn is_companded(self) -> bool {
        matches!(self, Self::Pcma | Self::Pcmu)
    }

    /// The byte that means silence, [companded](Self::companded).
    pub const fn silence(self) -> u8 {
        match self.companded() {
            Self::Pcma => 0xd5,
            _ => 0xff,
        }
    }

    /// The same sample, [companded](Self::companded), with its amplitude halved `times` times,
    /// about 6 dB each.
    ///
    /// Both laws are nearly logarithmic, so halving is one segment less and needs no decoding.
    pub const fn halved(self, byte: u8, times: u8) -> u8 {
        let distance = self.distance(byte).saturating_sub(SEGMENT_CODES.saturating_mul(times));
        match self.companded() {
            Self::Pcma => ((byte ^ 0x55) & 0x80 | distance) ^ 0x55,
            _ => byte & 0x80 | (!distance & 0x7f),
        }
    }

    /// Whether nobody would miss these samples, [companded](Self::companded).
    pub fn is_quiet(self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.distance(*byte) < QUIET_CODES)
    }

    /// Steps from silence to the sample, 0 to 127, regardless of its sign.
    const fn distance(self, byte: u8) -> u8 {
        match self.companded() {
            Self::Pcma => (byte ^ 0x55) & 0x7f,
            _ => !byte & 0x7f,
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_lead_back_to_their_codec() {
        for codec in [Codec::G722, Codec::Pcma, Codec::Pcmu] {
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
        }
        assert_eq!(Codec::from_payload_type(3), None);
    }

    #[test]
    fn halving_keeps_the_sign_and_ends_in_silence() {
        for codec in Codec::ALL {
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
