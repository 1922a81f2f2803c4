//! One source as heard: whether its sequence numbers make sense, what is lost, how it jitters
//! (RFC 3550 §A.1, §A.3, §A.8).

/// Packets in a row that a new source must show before it is believed (§A.1 `MIN_SEQUENTIAL`).
pub const PROBATION_PACKETS: u8 = 2;
/// Largest jump forward that passes for loss; at 50 packets a second one minute (§A.1).
const DROPOUT_MAX: u16 = 3_000;
/// Largest step back that passes for reordering, two seconds (§A.1).
const MISORDER_MAX: u16 = 100;

/// The book kept on one source.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: u32,
    highest: u16,
    /// Wraps of the sequence number, shifted 16 bits up.
    cycles: u32,
    base: u32,
    /// The next number that would prove a jump to be a restart.
    bad: Option<u16>,
    /// Packets still to come before the source is believed.
    probation: u8,
    received: u64,
    expected_before: u64,
    received_before: u64,
    transit: Option<u32>,
    /// Sixteen times the estimate, as in §A.8's integer version.
    jitter_x16: u32,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the stream.
    Accepted,
    /// Two packets in a row from elsewhere: the stream starts anew here, take this one.
    Restarted,
    /// The source is not yet believed; `fresh` if this packet began its trial anew.
    Probation {
        /// Whether earlier packets of the trial are to be forgotten.
        fresh: bool,
    },
    /// A jump that nothing yet confirms.
    Jump,
}

/// Loss since the report before, and in all (§A.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Share lost since the report before, in 1/256.
    pub fraction: u8,
    /// Packets lost since the start; negative where duplicates outnumber them.
    pub cumulative: i64,
}

impl Reception {
    /// A source on probation; its first packet is still to be told to [`Self::judge`].
    pub const fn new(ssrc: u32, sequence: u16) -> Self {
        Self {
            ssrc,
            // One before, so that the first packet is the first of the row.
            highest: sequence.wrapping_sub(1),
            cycles: 0,
            base: sequence as u32,
            bad: None,
            probation: PROBATION_PACKETS,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter_x16: 0,
        }
    }

    /// Whose stream this is.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Judges the next packet by its sequence number alone (§A.1).
    pub fn judge(&mut self, sequence: u16) -> Verdict {
        if self.probation > 0 {
            return self.on_probation(sequence);
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
        } else if ahead <= u16::MAX - MISORDER_MAX {
            if self.bad != Some(sequence) {
                self.bad = Some(sequence.wrapping_add(1));
                return Verdict::Jump;
            }
            self.start(sequence);
            return Verdict::Restarted;
        }
        // What remains is late or repeated; both count as received, as the RFC wants.
        self.received += 1;
        Verdict::Accepted
    }

    /// Adds one packet of sound to the jitter estimate (§A.8); both in ticks of the clock.
    pub fn time(&mut self, arrival: u32, timestamp: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let deviation = (transit.wrapping_sub(before) as i32).unsigned_abs();
            let decay = (self.jitter_x16.saturating_add(8)) >> 4;
            self.jitter_x16 = self.jitter_x16.saturating_add(deviation) - decay;
        }
    }

    /// Whether the source is believed.
    pub const fn is_valid(&self) -> bool {
        self.probation == 0
    }

    /// The jitter estimate in ticks of the clock.
    pub const fn jitter(&self) -> u32 {
        self.jitter_x16 >> 4
    }

    /// Highest sequence number with its cycles above.
    pub const fn highest_sequence(&self) -> u32 {
        self.cycles.wrapping_add(self.highest as u32)
    }

    /// Packets received since the source was believed, duplicates among them.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets lost since the source was believed.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Closes the interval of a report: loss since the one before, and in all (§A.3).
    pub fn close_interval(&mut self) -> Loss {
        let expected = self.expected();
        let expected_now = expected.saturating_sub(self.expected_before);
        let received_now = self.received - self.received_before;
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_now = expected_now.saturating_sub(received_now);
        // All lost would be 256/256, which has no room in eight bits.
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0).min(255) as u8;
        Loss { fraction, cumulative: self.lost() }
    }

    fn on_probation(&mut self, sequence: u16) -> Verdict {
        let follows = sequence == self.highest.wrapping_add(1);
        self.highest = sequence;
        if !follows {
            self.probation = PROBATION_PACKETS - 1;
            return Verdict::Probation { fresh: true };
        }
        self.probation -= 1;
        if self.probation > 0 {
            return Verdict::Probation { fresh: false };
        }
        // The packets that proved the source count with it.
        self.start(sequence);
        self.base = self.base.wrapping_sub(u32::from(PROBATION_PACKETS) - 1);
        self.received = u64::from(PROBATION_PACKETS);
        Verdict::Accepted
    }

    fn start(&mut self, sequence: u16) {
        self.highest = sequence;
        self.cycles = 0;
        self.base = u32::from(sequence);
        self.bad = None;
        self.received = 1;
        self.expected_before = 0;
        self.received_before = 0;
        self.transit = None;
    }

    fn expected(&self) -> u64 {
        if self.is_valid() {
            u64::from(self.highest_sequence().wrapping_sub(self.base)) + 1
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(first: u16) -> Reception {
        let mut reception = Reception::new(7, first);
        assert_eq!(reception.judge(first), Verdict::Probation { fresh: false });
        assert_eq!(reception.judge(first.wrapping_add(1)), Verdict::Accepted);
        reception
    }

    #[test]
    fn source_is_believed_after_two_packets_in_a_row() {
        let mut reception = Reception::new(7, 10);
        assert_eq!(reception.judge(10), Verdict::Probation { fresh: false });
        assert!(!reception.is_valid());
        assert_eq!(reception.judge(12), Verdict::Probation { fresh: true });
        assert_eq!(reception.judge(13), Verdict::Accepted);
        assert!(reception.is_valid());
        assert_eq!((reception.received(), reception.lost()), (2, 0));
    }

    #[test]
    fn sequence_numbers_wrap_into_the_next_cycle() {
        let mut reception = heard(0xfffe);
        assert_eq!(reception.judge(0), Verdict::Accepted);
        assert_eq!(reception.highest_sequence(), 0x1_0000);
        assert_eq!(reception.lost(), 0);
        // A late one from before the wrap changes neither.
        assert_eq!(reception.judge(0xfffe), Verdict::Accepted);
        assert_eq!(reception.highest_sequence(), 0x1_0000);
    }

    #[test]
    fn jump_is_dropped_until_a_second_packet_confirms_it() {
        let mut reception = heard(1);
        assert_eq!(reception.judge(10_000), Verdict::Jump);
        assert_eq!(reception.judge(3), Verdict::Accepted);
        assert_eq!(reception.judge(20_000), Verdict::Jump);
        assert_eq!(reception.judge(20_001), Verdict::Restarted);
        assert_eq!(reception.judge(20_002), Verdict::Accepted);
        assert_eq!((reception.received(), reception.lost()), (2, 0));
    }

    #[test]
    fn loss_is_counted_by_interval_and_in_all() {
        let mut reception = heard(0);
        for sequence in [2, 3, 6, 7] {
            reception.judge(sequence);
        }
        // 8 expected, 6 received.
        assert_eq!(reception.close_interval(), Loss { fraction: 64, cumulative: 2 });
        for sequence in [8, 9] {
            reception.judge(sequence);
        }
        assert_eq!(reception.close_interval(), Loss { fraction: 0, cumulative: 2 });
        // Nothing came at all: nothing was expected either.
        assert_eq!(reception.close_interval(), Loss { fraction: 0, cumulative: 2 });
        for _ in 0..3 {
            reception.judge(9);
        }
        assert_eq!(reception.close_interval(), Loss { fraction: 0, cumulative: -1 });
    }

    #[test]
    fn jitter_follows_the_rfc_estimator() {
        let mut reception = heard(0);
        for packet in 0..1_000u32 {
            // Every other packet 10 ms late: deviation of 80 ticks each time.
            let late = if packet % 2 == 0 { 80 } else { 0 };
            reception.time(packet * 160 + late, packet * 160);
        }
        assert!((75..=80).contains(&reception.jitter()), "{}", reception.jitter());
        for packet in 0..1_000u32 {
            reception.time(packet * 160, packet * 160);
        }
        assert_eq!(reception.jitter(), 0);
    }

    proptest! {
        #[test]
        fn any_sequence_of_packets_keeps_the_book_sound(
            packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u32>()), 0..200),
        ) {
            let mut reception = Reception::new(1, 0);
            for (sequence, arrival, timestamp) in packets {
                reception.judge(sequence);
                reception.time(arrival, timestamp);
                reception.close_interval();
            }
        }
    }
}
