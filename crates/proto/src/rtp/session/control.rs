//! The RTCP half of a stream: reports out, reports in, and where they may come from.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::counters::{DropReason, FarReport};
use super::{Effect, Session, clock, ticks};
use crate::rtp::interval::Interval;
use crate::rtp::random::Random;
use crate::rtp::rtcp::{
    Blocks, CNAME_BYTES, Compound, NtpTime, ReportBlock, RtcpBytes, RtcpPacket, SenderInfo,
};
use crate::rtp::source::{Learning, canonical};

/// Round trips that are believed, in 1/65536 s: up to ten seconds, and a little less than none,
/// since both ends round.
const ROUND_TRIPS: std::ops::RangeInclusive<i32> = -66..=10 << 16;

/// What RTCP needs to remember.
#[derive(Debug)]
pub(super) struct Control {
    /// The wall clock when the stream began.
    wall: NtpTime,
    cname: [u8; CNAME_BYTES],
    interval: Interval,
    /// An RTCP source that was learned from what it said; the signalled one needs none.
    learned: Option<SocketAddr>,
    /// Middle bits of the newest sender report, and when it came.
    last_sender_report: Option<(u32, Instant)>,
    /// Packets sent when the report before was made.
    packets_reported: u64,
}

impl Control {
    pub(super) fn new(wall: NtpTime, random: &mut Random, interval: Interval) -> Self {
        Self {
            wall,
            cname: cname(random),
            interval,
            learned: None,
            last_sender_report: None,
            packets_reported: 0,
        }
    }

    pub(super) const fn due(&self) -> Instant {
        self.interval.due()
    }

    /// Another source speaks: what the old one reported does not concern it.
    pub(super) const fn forget_source(&mut self) {
        self.learned = None;
        self.last_sender_report = None;
    }
}

impl Session {
    /// Sends the report that is due; an expiry that comes early or twice does nothing.
    pub(super) fn report_if_due(&mut self, now: Instant) {
        if now < self.control.interval.due() {
            return;
        }
        self.control.interval.sent(now);
        if let Some(to) = self.control_remote() {
            let bytes = self.report(now);
            self.statistics.reports_sent += 1;
            self.effects.push_back(Effect::SendControl { to, bytes });
        }
    }

    /// Leaves with a last report; silent if nothing was ever sent (§6.3.7).
    pub(super) fn say_goodbye(&mut self, now: Instant) {
        if self.statistics.packets_sent == 0 && self.statistics.reports_sent == 0 {
            return;
        }
        if let Some(to) = self.control_remote() {
            let bytes = self.report(now).with_goodbye(self.out.ssrc);
            self.statistics.reports_sent += 1;
            self.effects.push_back(Effect::SendControl { to, bytes });
        }
    }

    /// Takes a compound packet, if it is from where it should be and sound in all its lengths.
    pub(super) fn hear_control(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let from = canonical(from);
        let is_expected = self.expects_control_from(from);
        if !is_expected && !self.may_learn_control_from(from) {
            return self.discard(DropReason::ControlSource);
        }
        let Ok(compound) = Compound::parse(bytes) else {
            return self.discard(DropReason::ControlMalformed);
        };
        if !is_expected {
            // From the right host, from another port: it must name the stream that is heard.
            let names_stream = compound.packets().any(|packet| match packet {
                RtcpPacket::SenderReport { ssrc, .. } | RtcpPacket::ReceiverReport { ssrc, .. } => {
                    self.is_heard(ssrc)
                }
                RtcpPacket::Goodbye { .. }
                | RtcpPacket::Other { .. }
                | RtcpPacket::SourceDescription { .. } => false,
            });
            if !names_stream {
                return self.discard(DropReason::ControlSource);
            }
            self.control.learned = Some(from);
        }
        self.statistics.reports_received += 1;
        for packet in compound.packets() {
            match packet {
                RtcpPacket::SenderReport { ssrc, info, blocks } => {
                    if self.is_heard(ssrc) {
                        self.control.last_sender_report = Some((info.ntp.middle(), now));
                    }
                    self.take_blocks(now, blocks);
                }
                RtcpPacket::ReceiverReport { blocks, .. } => self.take_blocks(now, blocks),
                RtcpPacket::Goodbye { mut sources } => {
                    // Not the end of the call, only of this source: another may follow.
                    if sources.any(|ssrc| self.is_heard(ssrc)) {
                        self.reception = None;
                        self.control.last_sender_report = None;
                    }
                }
                RtcpPacket::SourceDescription { .. } | RtcpPacket::Other { .. } => {}
            }
        }
    }

    /// A report without farewell: a sender's if anything was sent since the one before.
    fn report(&mut self, now: Instant) -> RtcpBytes {
        let out = &self.out;
        let sent = self.statistics.packets_sent;
        let hz = self.terms.codec.clock_hz();
        let since_tick = clock(now.saturating_duration_since(out.ticked_at), hz);
        let info = (sent > self.control.packets_reported).then(|| SenderInfo {
            ntp: self.wall(now),
            // The frame counted last began one frame before the next one's timestamp.
            rtp_timestamp: out.timestamp.wrapping_sub(self.frame_ticks()).wrapping_add(since_tick),
            packets: sent as u32,
            octets: self.statistics.bytes_sent as u32,
        });
        self.control.packets_reported = sent;
        let (last_sender_report, delay_since) = match self.control.last_sender_report {
            Some((middle, came)) => (middle, sixteenth_bits(now.saturating_duration_since(came))),
            None => (0, 0),
        };
        let reception = self.reception.as_mut().filter(|reception| reception.is_valid());
        let block = reception.map(|reception| {
            let loss = reception.close_interval();
            ReportBlock {
                ssrc: reception.ssrc(),
                fraction_lost: loss.fraction,
                cumulative_lost: loss.cumulative.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
                highest_sequence: reception.highest_sequence(),
                jitter: reception.jitter(),
                last_sender_report,
                delay_since,
            }
        });
        RtcpBytes::report(self.out.ssrc, info, block).with_cname(self.out.ssrc, &self.control.cname)
    }

    /// Notes what the far end says of our packets.
    fn take_blocks(&mut self, now: Instant, mut blocks: Blocks<'_>) {
        let Some(block) = blocks.find(|block| block.ssrc == self.out.ssrc) else {
            return;
        };
        let hz = self.terms.codec.clock_hz();
        let (sent, held) = (block.last_sender_report, block.delay_since);
        let away = self.wall(now).middle().wrapping_sub(sent).wrapping_sub(held) as i32;
        let round_trip = (sent != 0 && ROUND_TRIPS.contains(&away))
            .then(|| Duration::from_micros((u64::from(away.max(0) as u32) * 1_000_000) >> 16));
        self.statistics.far = Some(FarReport {
            fraction_lost: block.fraction_lost,
            packets_lost: block.cumulative_lost,
            // Whatever it claims; a minute is beyond any clock that works.
            jitter: ticks(block.jitter.min(60 * hz), hz),
            round_trip,
        });
    }

    /// Where reports go; nowhere while the signalled place is known to be wrong.
    fn control_remote(&self) -> Option<SocketAddr> {
        if !self.terms.is_reachable() {
            None
        } else if self.terms.rtcp_mux {
            Some(self.guard.address())
        } else if self.control.learned.is_some() {
            self.control.learned
        } else if self.guard.is_learned() {
            None
        } else {
            self.terms.remote_rtcp
        }
    }

    fn expects_control_from(&self, from: SocketAddr) -> bool {
        if self.terms.rtcp_mux {
            return from == self.guard.address();
        }
        let signalled = self.terms.remote_rtcp.map(canonical);
        self.control.learned.or(signalled) == Some(from)
    }

    /// One port other than the signalled one may be learned, on the host that sound comes from.
    fn may_learn_control_from(&self, from: SocketAddr) -> bool {
        !self.terms.rtcp_mux
            && self.terms.learning == Learning::FirstPackets
            && self.control.learned.is_none()
            && self.reception.is_some()
            && from.ip() == self.guard.address().ip()
    }

    /// Whether this is the source that is heard.
    fn is_heard(&self, ssrc: u32) -> bool {
        self.reception.as_ref().is_some_and(|reception| reception.ssrc() == ssrc)
    }

    fn wall(&self, now: Instant) -> NtpTime {
        self.control.wall.after(now.saturating_duration_since(self.started))
    }
}

/// A span in 1/65536 s; more than 18 hours stay at the limit.
fn sixteenth_bits(span: Duration) -> u32 {
    let bits = (span.as_secs() << 16) | ((u64::from(span.subsec_nanos()) << 16) / 1_000_000_000);
    u32::try_from(bits).unwrap_or(u32::MAX)
}

/// A name of 96 random bits, new for each stream, so that calls cannot be linked (RFC 7022 §4.2).
fn cname(random: &mut Random) -> [u8; CNAME_BYTES] {
    let mut bits = 0;
    std::array::from_fn(|position| {
        if position % 16 == 0 {
            bits = random.next_u64();
        }
        let digit = (bits >> (position % 16 * 4)) as usize & 0xf;
        b"0123456789abcdef"[digit]
    })
}
