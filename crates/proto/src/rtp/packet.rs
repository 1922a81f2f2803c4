//! RTP packets: read without copying, written without allocating (RFC 3550 §5.1).

/// Bytes of a header without contributing sources or extension.
pub const HEADER_BYTES: usize = 12;
/// The only version there is.
const VERSION: u8 = 2;
/// Second bytes that belong to RTCP when both share a port (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// What every packet says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// First packet after a silence, or first of a key press.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// One more with each packet, modulo 2^16.
    pub sequence: u16,
    /// When the first sample was taken, in ticks of the clock, modulo 2^32.
    pub timestamp: u32,
    /// Whose stream it is.
    pub ssrc: u32,
}

impl Header {
    /// The twelve bytes on the wire; no padding, extension or contributing sources.
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let sequence = self.sequence.to_be_bytes();
        let timestamp = self.timestamp.to_be_bytes();
        let ssrc = self.ssrc.to_be_bytes();
        [
            VERSION << 6,
            (self.marker as u8) << 7 | self.payload_type & 0x7f,
            sequence[0],
            sequence[1],
            timestamp[0],
            timestamp[1],
            timestamp[2],
            timestamp[3],
            ssrc[0],
            ssrc[1],
            ssrc[2],
            ssrc[3],
        ]
    }
}

/// One packet as it arrived; borrows the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part.
    pub header: Header,
    /// Contributing sources, four bytes each, 0 to 15 of them.
    pub csrcs: &'a [u8],
    /// The header extension, if there is one (§5.3.1).
    pub extension: Option<Extension<'a>>,
    /// What remains without padding; may be empty.
    pub payload: &'a [u8],
}

/// A header extension (RFC 3550 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The 16 bits that the profile defines.
    pub profile: u16,
    /// The words that follow the length, a multiple of four bytes.
    pub data: &'a [u8],
}

/// Why a datagram is no RTP packet. Nobody repairs it: it is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Shorter than its header, with all that the header announces.
    #[error("packet is shorter than its header")]
    Short,
    /// Not version 2.
    #[error("packet has RTP version {0}, not 2")]
    Version(u8),
    /// The padding count is zero or reaches into the header.
    #[error("packet has impossible padding")]
    Padding,
    /// An RTCP packet on the RTP port.
    #[error("packet is RTCP")]
    Rtcp,
}

impl<'a> Packet<'a> {
    /// Reads a datagram; every length in it is checked.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let Some((fixed, mut rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(PacketError::Short);
        };
        if fixed[0] >> 6 != VERSION {
            return Err(PacketError::Version(fixed[0] >> 6));
        }
        if is_rtcp(bytes) {
            return Err(PacketError::Rtcp);
        }
        let csrcs;
        (csrcs, rest) =
            rest.split_at_checked(usize::from(fixed[0] & 0x0f) * 4).ok_or(PacketError::Short)?;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let (head, tail) = rest.split_first_chunk::<4>().ok_or(PacketError::Short)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let data;
            (data, rest) = tail.split_at_checked(words * 4).ok_or(PacketError::Short)?;
            extension = Some(Extension { profile: u16::from_be_bytes([head[0], head[1]]), data });
        }
        if fixed[0] & 0x20 != 0 {
            let count = usize::from(*rest.last().ok_or(PacketError::Padding)?);
            if count == 0 || count > rest.len() {
                return Err(PacketError::Padding);
            }
            rest = &rest[..rest.len() - count];
        }
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Ok(Self { header, csrcs, extension, payload: rest })
    }
}

/// Whether a datagram of a shared port is RTCP (RFC 5761 §4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() > 1 && bytes[0] >> 6 == VERSION && RTCP_TYPES.contains(&bytes[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 0xfffe,
        timestamp: 0x0102_0304,
        ssrc: 0xdead_beef,
    };

    /// A packet with the given first byte and what follows the fixed header.
    fn datagram(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] = first;
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn header_is_written_as_the_rfc_draws_it_and_read_back() {
        let bytes = HEADER.to_bytes();
        assert_eq!(bytes, [0x80, 0xe5, 0xff, 0xfe, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!(packet.payload, b"");
        assert_eq!(packet.extension, None);
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_taken_off_the_payload() {
        let rest = [
            1, 1, 1, 1, 2, 2, 2, 2, // two sources
            0xbe, 0xde, 0, 1, 9, 9, 9, 9, // extension of one word
            b'a', b'b', 0, 0, 3, // payload and padding
        ];
        let bytes = datagram(0x80 | 0x20 | 0x10 | 2, &rest);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.csrcs, [1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(packet.extension, Some(Extension { profile: 0xbede, data: &[9; 4] }));
        assert_eq!(packet.payload, b"ab");
    }

    #[test]
    fn lengths_that_reach_past_the_end_are_refused() {
        assert_eq!(Packet::parse(&[0x80; 11]), Err(PacketError::Short));
        assert_eq!(Packet::parse(&datagram(0x8f, &[0; 59])), Err(PacketError::Short));
        assert_eq!(Packet::parse(&datagram(0x90, &[0; 3])), Err(PacketError::Short));
        assert_eq!(Packet::parse(&datagram(0x90, &[0, 0, 0xff, 0xff])), Err(PacketError::Short));
        assert_eq!(Packet::parse(&datagram(0xa0, &[])), Err(PacketError::Padding));
        assert_eq!(Packet::parse(&datagram(0xa0, &[1, 0])), Err(PacketError::Padding));
        assert_eq!(Packet::parse(&datagram(0xa0, &[1, 3])), Err(PacketError::Padding));
        assert_eq!(Packet::parse(&datagram(0xa0, &[1, 2])).unwrap().payload, b"");
    }

    #[test]
    fn other_versions_and_rtcp_are_told_apart() {
        assert_eq!(Packet::parse(&datagram(0x40, &[])), Err(PacketError::Version(1)));
        let mut report = datagram(0x80, &[]);
        report[1] = 200;
        assert!(is_rtcp(&report));
        assert_eq!(Packet::parse(&report), Err(PacketError::Rtcp));
        assert!(!is_rtcp(&[]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() + HEADER_BYTES <= bytes.len());
            }
        }

        #[test]
        fn any_bytes_after_a_valid_start_are_read_or_refused(
            first in 0x80u8..=0xbf,
            rest in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = Packet::parse(&datagram(first, &rest));
        }

        #[test]
        fn written_headers_are_read_back(
            marker: bool, payload_type in 0u8..64, sequence: u16, timestamp: u32, ssrc: u32,
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            prop_assert_eq!(Packet::parse(&header.to_bytes()).unwrap().header, header);
        }
    }
}
