//! RTCP: compound packets read with every length checked, and built in a fixed buffer
//! (RFC 3550 §6.4 to §6.6).

use std::time::Duration;

/// Bytes of the longest compound packet that is sent: report, one block, name, farewell.
pub const OUTGOING_BYTES_MAX: usize = 128;
/// Bytes of a canonical name; RFC 7022 §4.2 wants at least 96 random bits, here in hexadecimal.
pub const CNAME_BYTES: usize = 24;
/// Longest datagram looked into; a compound packet is meant to fit an Ethernet frame.
pub const INCOMING_BYTES_MAX: usize = 1_500;

const VERSION: u8 = 2;
const TYPE_SENDER_REPORT: u8 = 200;
const TYPE_RECEIVER_REPORT: u8 = 201;
const TYPE_SOURCE_DESCRIPTION: u8 = 202;
const TYPE_GOODBYE: u8 = 203;
const BLOCK_BYTES: usize = 24;
const SENDER_INFO_BYTES: usize = 20;
const ITEM_CNAME: u8 = 1;
/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_EPOCH_OFFSET_S: u64 = 2_208_988_800;

/// A moment as RTCP tells it: seconds since 1900, 32 bits before the point and 32 behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(u64);

impl NtpTime {
    /// The moment `since` after 1970-01-01T00:00:00Z; the seconds wrap in 2036 as NTP's do.
    pub const fn from_unix(since: Duration) -> Self {
        Self(
            (since.as_secs().wrapping_add(NTP_EPOCH_OFFSET_S) << 32)
                | (((since.subsec_nanos() as u64) << 32) / 1_000_000_000),
        )
    }

    /// From the 64 bits on the wire.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits on the wire.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The moment `span` later.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        let fraction = ((span.subsec_nanos() as u64) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add((span.as_secs() << 32) | fraction))
    }

    /// The middle 32 bits: 1/65536 s, what reports refer to each other by.
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What a sender tells of its own stream (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp: NtpTime,
    /// The same moment on the stream's clock.
    pub rtp_timestamp: u32,
    /// Packets sent since the start, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent since the start, modulo 2^32.
    pub octets: u32,
}

/// What a receiver tells of somebody's stream (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// Whose stream it is about.
    pub ssrc: u32,
    /// Share lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; duplicates make it negative. 24 bits on the wire.
    pub cumulative_lost: i32,
    /// Highest sequence number seen, with its cycles above.
    pub highest_sequence: u32,
    /// Mean deviation of the packets' spacing, in ticks of the clock.
    pub jitter: u32,
    /// Middle bits of the newest sender report; zero if there was none.
    pub last_sender_report: u32,
    /// Time since then, in 1/65536 s.
    pub delay_since: u32,
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// From somebody who sends sound.
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// What was sent.
        info: SenderInfo,
        /// What was heard.
        blocks: Blocks<'a>,
    },
    /// From somebody who only listens.
    ReceiverReport {
        /// Who listens.
        ssrc: u32,
        /// What was heard.
        blocks: Blocks<'a>,
    },
    /// Names; the chunks were walked, their text is not kept.
    SourceDescription {
        /// How many sources are named.
        chunks: u8,
    },
    /// Somebody leaves.
    Goodbye {
        /// Who leaves.
        sources: Sources<'a>,
    },
    /// A type that is of no interest here.
    Other {
        /// The packet type, 192 to 223.
        packet_type: u8,
    },
}

/// The report blocks of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk::<BLOCK_BYTES>()?;
        self.0 = rest;
        let word = |at: usize| be_u32(&block[at..]);
        Some(ReportBlock {
            ssrc: word(0),
            fraction_lost: block[4],
            // The sign of 24 bits comes by shifting up and down again.
            cumulative_lost: ((word(4) << 8) as i32) >> 8,
            highest_sequence: word(8),
            jitter: word(12),
            last_sender_report: word(16),
            delay_since: word(20),
        })
    }
}

/// The sources that a goodbye names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources<'a>(&'a [u8]);

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (source, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*source))
    }
}

/// Why a datagram is no compound packet. Nobody repairs it: it is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// A length that reaches past the end, or too small for what it must hold.
    #[error("compound is shorter than its lengths say")]
    Short,
    /// More than any compound needs.
    #[error("compound is longer than {INCOMING_BYTES_MAX} bytes")]
    Long,
    /// Not version 2.
    #[error("compound has RTP version {0}, not 2")]
    Version(u8),
    /// The first packet is no report (§6.1).
    #[error("compound starts with type {0}, not with a report")]
    NotAReport(u8),
    /// Padding that is impossible, or before the last packet (§6.4.1).
    #[error("compound has impossible padding")]
    Padding,
}

/// A datagram whose packets were all found sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a>(&'a [u8]);

impl<'a> Compound<'a> {
    /// Checks a datagram whole (§A.2) before anything in it is believed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        if bytes.len() > INCOMING_BYTES_MAX {
            return Err(RtcpError::Long);
        }
        let first = *bytes.get(1).ok_or(RtcpError::Short)?;
        if first != TYPE_SENDER_REPORT && first != TYPE_RECEIVER_REPORT {
            return Err(RtcpError::NotAReport(first));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split_packet(rest)?;
        }
        Ok(Self(bytes))
    }

    /// The packets in their order.
    pub fn packets(self) -> impl Iterator<Item = RtcpPacket<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (packet, tail) = split_packet(rest).ok()?;
            rest = tail;
            Some(packet)
        })
    }
}

/// Takes the first packet off; also checks what is inside.
fn split_packet(bytes: &[u8]) -> Result<(RtcpPacket<'_>, &[u8]), RtcpError> {
    let head = bytes.first_chunk::<4>().ok_or(RtcpError::Short)?;
    if head[0] >> 6 != VERSION {
        return Err(RtcpError::Version(head[0] >> 6));
    }
    let length = (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4;
    let (packet, rest) = bytes.split_at_checked(length).ok_or(RtcpError::Short)?;
    let mut body = &packet[4..];
    if head[0] & 0x20 != 0 {
        let count = usize::from(*body.last().ok_or(RtcpError::Padding)?);
        // Only the last packet of a compound is padded.
        if count == 0 || count > body.len() || !rest.is_empty() {
            return Err(RtcpError::Padding);
        }
        body = &body[..body.len() - count];
    }
    let count = usize::from(head[0] & 0x1f);
    let packet = match head[1] {
        TYPE_SENDER_REPORT => {
            let (ssrc, body) = body.split_first_chunk::<4>().ok_or(RtcpError::Short)?;
            let (info, body) = body.split_at_checked(SENDER_INFO_BYTES).ok_or(RtcpError::Short)?;
            let info = SenderInfo {
                ntp: NtpTime(u64::from(be_u32(info)) << 32 | u64::from(be_u32(&info[4..]))),
                rtp_timestamp: be_u32(&info[8..]),
                packets: be_u32(&info[12..]),
                octets: be_u32(&info[16..]),
            };
            let blocks = Blocks(body.get(..count * BLOCK_BYTES).ok_or(RtcpError::Short)?);
            RtcpPacket::SenderReport { ssrc: u32::from_be_bytes(*ssrc), info, blocks }
        }
        TYPE_RECEIVER_REPORT => {
            let (ssrc, body) = body.split_first_chunk::<4>().ok_or(RtcpError::Short)?;
            let blocks = Blocks(body.get(..count * BLOCK_BYTES).ok_or(RtcpError::Short)?);
            RtcpPacket::ReceiverReport { ssrc: u32::from_be_bytes(*ssrc), blocks }
        }
        TYPE_SOURCE_DESCRIPTION => {
            walk_chunks(body, count)?;
            RtcpPacket::SourceDescription { chunks: head[0] & 0x1f }
        }
        TYPE_GOODBYE => {
            let sources = body.get(..count * 4).ok_or(RtcpError::Short)?;
            RtcpPacket::Goodbye { sources: Sources(sources) }
        }
        packet_type => RtcpPacket::Other { packet_type },
    };
    Ok((packet, rest))
}

/// Checks that `count` chunks of source description are whole (§6.5).
fn walk_chunks(mut body: &[u8], count: usize) -> Result<(), RtcpError> {
    for _ in 0..count {
        let mut at = 4;
        loop {
            match body.get(at).ok_or(RtcpError::Short)? {
                0 => break,
                _ => at += 2 + usize::from(*body.get(at + 1).ok_or(RtcpError::Short)?),
            }
        }
        // The list ends with a zero and the chunk at the next multiple of four bytes.
        body = body.get((at / 4 + 1) * 4..).ok_or(RtcpError::Short)?;
    }
    Ok(())
}

/// The first four bytes as a number; callers have checked that they are there.
fn be_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word))
}

/// A compound packet being built; reads as its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RtcpBytes {
    bytes: [u8; OUTGOING_BYTES_MAX],
    length: usize,
}

impl RtcpBytes {
    /// A report that opens the compound: a sender's with `info`, else a receiver's (§6.4).
    pub fn report(ssrc: u32, info: Option<SenderInfo>, block: Option<ReportBlock>) -> Self {
        let mut out = Self { bytes: [0; OUTGOING_BYTES_MAX], length: 0 };
        let packet_type = match info {
            Some(_) => TYPE_SENDER_REPORT,
            None => TYPE_RECEIVER_REPORT,
        };
        out.packet(u8::from(block.is_some()), packet_type, |out| {
            out.word(ssrc);
            if let Some(info) = info {
                out.word((info.ntp.0 >> 32) as u32);
                out.word(info.ntp.0 as u32);
                out.word(info.rtp_timestamp);
                out.word(info.packets);
                out.word(info.octets);
            }
            if let Some(block) = block {
                out.word(block.ssrc);
                let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
                out.word(u32::from(block.fraction_lost) << 24 | lost);
                out.word(block.highest_sequence);
                out.word(block.jitter);
                out.word(block.last_sender_report);
                out.word(block.delay_since);
            }
        });
        out
    }

    /// Adds the canonical name, which every compound carries (§6.5.1).
    #[must_use]
    pub fn with_cname(mut self, ssrc: u32, cname: &[u8; CNAME_BYTES]) -> Self {
        self.packet(1, TYPE_SOURCE_DESCRIPTION, |out| {
            out.word(ssrc);
            out.put(&[ITEM_CNAME, CNAME_BYTES as u8]);
            out.put(cname);
            // At least one zero ends the list, and the chunk ends on a multiple of four.
            out.put(&[0, 0]);
        });
        self
    }

    /// Adds the farewell (§6.6).
    #[must_use]
    pub fn with_goodbye(mut self, ssrc: u32) -> Self {
        self.packet(1, TYPE_GOODBYE, |out| out.word(ssrc));
        self
    }

    /// Writes one packet with its length known only afterwards.
    fn packet(&mut self, count: u8, packet_type: u8, body: impl FnOnce(&mut Self)) {
        let start = self.length;
        self.put(&[VERSION << 6 | count, packet_type, 0, 0]);
        body(self);
        let words = ((self.length - start) / 4 - 1) as u16;
        self.bytes[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }

    fn word(&mut self, word: u32) {
        self.put(&word.to_be_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl std::ops::Deref for RtcpBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl std::fmt::Debug for RtcpBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(Compound(self).packets()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CNAME: &[u8; CNAME_BYTES] = b"0123456789abcdef01234567";
    const INFO: SenderInfo = SenderInfo {
        ntp: NtpTime(0x0102_0304_0506_0708),
        rtp_timestamp: 160,
        packets: 10,
        octets: 1_600,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 2,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest_sequence: 0x0001_0005,
        jitter: 7,
        last_sender_report: 0x0304_0506,
        delay_since: 65_536,
    };

    fn packets(bytes: &[u8]) -> Vec<RtcpPacket<'_>> {
        Compound::parse(bytes).unwrap().packets().collect()
    }

    #[test]
    fn sender_report_with_name_and_farewell_is_read_back() {
        let bytes =
            RtcpBytes::report(1, Some(INFO), Some(BLOCK)).with_cname(1, CNAME).with_goodbye(1);
        let packets = packets(&bytes);
        assert_eq!(bytes.len(), 52 + 36 + 8);
        let RtcpPacket::SenderReport { ssrc: 1, info: INFO, mut blocks } = packets[0] else {
            panic!("{packets:?}");
        };
        assert_eq!(blocks.next(), Some(BLOCK));
        assert_eq!(blocks.next(), None);
        assert_eq!(packets[1], RtcpPacket::SourceDescription { chunks: 1 });
        let RtcpPacket::Goodbye { sources } = packets[2] else { panic!("{packets:?}") };
        assert_eq!(sources.collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn receiver_report_without_anything_heard_has_no_block() {
        let bytes = RtcpBytes::report(9, None, None).with_cname(9, CNAME);
        assert_eq!(bytes[..8], [0x80, 201, 0, 1, 0, 0, 0, 9]);
        assert_eq!(bytes.len(), 8 + 36);
    }

    #[test]
    fn loss_beyond_24_bits_stays_at_the_limit() {
        for (lost, told) in [(9_000_000, 0x7f_ffff), (-9_000_000, -0x80_0000)] {
            let block = ReportBlock { cumulative_lost: lost, ..BLOCK };
            let bytes = RtcpBytes::report(1, None, Some(block));
            let RtcpPacket::ReceiverReport { mut blocks, .. } = packets(&bytes)[0] else {
                panic!("no report");
            };
            assert_eq!(blocks.next().unwrap().cumulative_lost, told);
        }
    }

    #[test]
    fn short_and_lying_packets_are_refused_whole() {
        let good = RtcpBytes::report(1, Some(INFO), Some(BLOCK)).with_cname(1, CNAME);
        for length in (0..good.len()).filter(|length| *length != 52) {
            assert!(Compound::parse(&good[..length]).is_err(), "{length}");
        }
        // More blocks than there is room for.
        assert_eq!(Compound::parse(&[0x9f, 201, 0, 1, 0, 0, 0, 1]), Err(RtcpError::Short));
        // A report without even its sender: the packet that crashed others.
        assert_eq!(Compound::parse(&[0x80, 200, 0, 0]), Err(RtcpError::Short));
        assert_eq!(Compound::parse(&[0x80, 203, 0, 0]), Err(RtcpError::NotAReport(203)));
        assert_eq!(Compound::parse(&[0x40, 201, 0, 1, 0, 0, 0, 1]), Err(RtcpError::Version(1)));
        assert_eq!(Compound::parse(&[0x80; 1_504]), Err(RtcpError::Long));
    }

    #[test]
    fn padding_is_taken_only_from_the_last_packet() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let padded = [0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4];
        assert_eq!(packets(&padded).len(), 1);
        assert_eq!(packets(&[&report[..], &padded[..]].concat()).len(), 2);
        assert_eq!(Compound::parse(&[&padded[..], &report[..]].concat()), Err(RtcpError::Padding));
        let too_much = [0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!(Compound::parse(&too_much), Err(RtcpError::Padding));
    }

    #[test]
    fn source_descriptions_without_an_end_are_refused() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let with = |chunk: &[u8]| Compound::parse(&[&report[..], chunk].concat()).map(|_| ());
        assert_eq!(with(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 1, b'a', 0]), Ok(()));
        assert_eq!(with(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b']), Err(RtcpError::Short));
        assert_eq!(with(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 255, b'a', 0]), Err(RtcpError::Short));
        assert_eq!(with(&[0x82, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]), Err(RtcpError::Short));
        assert_eq!(with(&[0x80, 202, 0, 0]), Ok(()));
    }

    #[test]
    fn goodbye_and_unknown_types_pass() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let bye = [0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let feedback = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let bytes = [&report[..], &bye[..], &feedback[..]].concat();
        let packets = packets(&bytes);
        let RtcpPacket::Goodbye { sources } = packets[1] else { panic!("{packets:?}") };
        assert_eq!(sources.collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packets[2], RtcpPacket::Other { packet_type: 206 });
        let lying = [&report[..], &[0x83, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]].concat();
        assert_eq!(Compound::parse(&lying), Err(RtcpError::Short));
    }

    #[test]
    fn ntp_time_counts_from_1900_and_in_fractions() {
        let at = NtpTime::from_unix(Duration::from_millis(1_500));
        assert_eq!(at.to_bits(), (2_208_988_801 << 32) | 0x8000_0000);
        assert_eq!(at.middle(), (((2_208_988_801u64 & 0xffff) << 16) | 0x8000) as u32);
        assert_eq!(at.after(Duration::from_millis(500)).to_bits(), 2_208_988_802 << 32);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            first in 0x80u8..=0xbf,
            kind in 200u8..=203,
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [&[first, kind][..], &rest].concat();
            if let Ok(compound) = Compound::parse(&bytes) {
                for packet in compound.packets() {
                    match packet {
                        RtcpPacket::SenderReport { blocks, .. }
                        | RtcpPacket::ReceiverReport { blocks, .. } => {
                            prop_assert!(blocks.count() <= 31);
                        }
                        RtcpPacket::Goodbye { sources } => prop_assert!(sources.count() <= 31),
                        RtcpPacket::SourceDescription { .. } | RtcpPacket::Other { .. } => {}
                    }
                }
            }
        }

        #[test]
        fn packets_with_honest_lengths_but_any_content_are_read_or_refused(
            parts in prop::collection::vec(
                (0u8..=0x3f, 200u8..=207, prop::collection::vec(any::<u8>(), 0..60)), 1..6),
        ) {
            let mut bytes = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
            for (count, kind, mut body) in parts {
                body.resize(body.len().next_multiple_of(4), 0);
                bytes.extend([0x80 | count, kind, 0, (body.len() / 4) as u8]);
                bytes.extend(body);
            }
            if let Ok(compound) = Compound::parse(&bytes) {
                prop_assert!(compound.packets().count() >= 2);
            }
        }
    }
}
