//! What a stream did: sent, heard, and dropped by reason.

use std::time::Duration;

use crate::rtp::jitter::JitterCounters;

/// Why a packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum DropReason {
    /// No RTP packet, or one whose lengths lie.
    Malformed,
    /// From an address that is not the stream's.
    Source,
    /// From another address while it was open who speaks.
    Unsettled,
    /// A payload type that was not agreed on.
    PayloadType,
    /// An empty or oversized payload.
    Size,
    /// Sound while we were not to hear any.
    OnHold,
    /// Another SSRC that did not prove itself.
    Ssrc,
    /// A jump of the sequence number that nothing confirmed.
    Sequence,
    /// Its time had passed, or lay too far ahead.
    Late,
    /// It had come before.
    Duplicate,
    /// No RTCP packet, or one whose lengths lie.
    ControlMalformed,
    /// RTCP from an address that is not the stream's.
    ControlSource,
}

impl DropReason {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::Source,
        Self::Unsettled,
        Self::PayloadType,
        Self::Size,
        Self::OnHold,
        Self::Ssrc,
        Self::Sequence,
        Self::Late,
        Self::Duplicate,
        Self::ControlMalformed,
        Self::ControlSource,
    ];

    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Source => "source",
            Self::Unsettled => "unsettled",
            Self::PayloadType => "payload_type",
            Self::Size => "size",
            Self::OnHold => "on_hold",
            Self::Ssrc => "ssrc",
            Self::Sequence => "sequence",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::ControlMalformed => "control_malformed",
            Self::ControlSource => "control_source",
        }
    }
}

/// Dropped packets, counted by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// How many went for `reason`.
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many went in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) const fn add(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }
}

/// A stream's figures up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets sent, key presses among them.
    pub packets_sent: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Packets taken from the believed source, late and repeated ones among them.
    pub packets_received: u64,
    /// Their payload bytes.
    pub bytes_received: u64,
    /// Packets that should have come from the present source and did not.
    pub packets_lost: i64,
    /// Mean deviation of the packets' spacing.
    pub jitter: Duration,
    /// What went no further, and why.
    pub drops: Drops,
    /// What the jitter buffer did.
    pub buffer: JitterCounters,
    /// What the far end says of our packets; `None` before its first report.
    pub far: Option<FarReport>,
    /// Compound packets sent.
    pub reports_sent: u64,
    /// Compound packets taken from the far end.
    pub reports_received: u64,
}

/// What the far end says of our packets, newest report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarReport {
    /// Share it lost since its report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets it lost in all.
    pub packets_lost: i32,
    /// Jitter it sees.
    pub jitter: Duration,
    /// Time there and back, once it can be told.
    pub round_trip: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let mut drops = Drops::default();
        for (position, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
            drops.add(reason);
            assert_eq!(drops.of(reason), 1);
        }
        assert_eq!(drops.total(), DropReason::ALL.len() as u64);
        let names: std::collections::HashSet<_> =
            DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
