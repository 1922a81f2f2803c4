//! Whose packets are believed: the address in the SDP, or one learned within the first packets.
//!
//! Whoever can guess a port can send to it, so the source of a stream is held to what the
//! signalling said. Behind a NAT that is not where the packets come from; then one other address
//! may be learned, but only within the first [`LEARNING_PACKETS_MAX`] packets, and the signalled
//! address wins whenever it shows itself. After that nothing else is heard.

use std::net::SocketAddr;

use super::packet::Header;

/// Packets from elsewhere that are looked at before the door closes.
pub const LEARNING_PACKETS_MAX: u8 = 5;
/// Packets of those that must follow each other from one source for it to be learned.
const LEARNED_PACKETS_MIN: u8 = 4;

/// Whether another address than the signalled one may be learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learning {
    /// Within the first packets, and only as long as the signalled address is silent.
    #[default]
    FirstPackets,
    /// Never: for trunks that are known not to sit behind a NAT.
    Never,
}

/// The judge of one stream's sources.
#[derive(Clone, Copy, Debug)]
pub struct SourceGuard {
    signalled: SocketAddr,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing is settled; this many packets came from elsewhere.
    Learning { seen: u8, candidate: Option<Candidate> },
    /// Only the signalled address is heard.
    Signalled,
    /// The learned address is heard, until the signalled one speaks up.
    Learned(SocketAddr),
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    /// Packets in a row.
    packets: u8,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceVerdict {
    /// From where it should be.
    Trusted,
    /// From elsewhere, and from now on that is where it should be: take it, and send there.
    Learned,
    /// From the signalled address although another had been learned: take it, and send there.
    Returned,
    /// From elsewhere while it is still open who speaks.
    Unsettled,
    /// From elsewhere.
    Foreign,
}

impl SourceGuard {
    /// A guard for a stream that should come from `signalled`.
    pub fn new(signalled: SocketAddr, learning: Learning) -> Self {
        let state = match learning {
            Learning::FirstPackets => State::Learning { seen: 0, candidate: None },
            Learning::Never => State::Signalled,
        };
        Self { signalled: canonical(signalled), state }
    }

    /// Where the stream comes from and goes to: what was learned, else what was signalled.
    pub const fn address(&self) -> SocketAddr {
        match self.state {
            State::Learned(address) => address,
            State::Learning { .. } | State::Signalled => self.signalled,
        }
    }

    /// Whether [`Self::address`] was learned against the signalling.
    pub const fn is_learned(&self) -> bool {
        matches!(self.state, State::Learned(_))
    }

    /// Whether packets from there are worth a look; cheap, and before anything is parsed.
    pub fn may_pass(&self, from: SocketAddr) -> bool {
        let from = canonical(from);
        from == self.signalled
            || match self.state {
                State::Learning { .. } => true,
                State::Signalled => false,
                State::Learned(address) => from == address,
            }
    }

    /// Judges a packet that is otherwise in order, by its source.
    pub fn judge(&mut self, from: SocketAddr, header: &Header) -> SourceVerdict {
        let from = canonical(from);
        match &mut self.state {
            State::Signalled if from == self.signalled => SourceVerdict::Trusted,
            State::Signalled => SourceVerdict::Foreign,
            State::Learned(address) if from == *address => SourceVerdict::Trusted,
            State::Learned(_) if from == self.signalled => {
                self.state = State::Signalled;
                SourceVerdict::Returned
            }
            State::Learned(_) => SourceVerdict::Foreign,
            State::Learning { .. } if from == self.signalled => {
                self.state = State::Signalled;
                SourceVerdict::Trusted
            }
            State::Learning { seen, candidate } => {
                *seen += 1;
                let packets = follow(candidate, from, header);
                if packets >= LEARNED_PACKETS_MIN {
                    self.state = State::Learned(from);
                    SourceVerdict::Learned
                } else if *seen >= LEARNING_PACKETS_MAX {
                    self.state = State::Signalled;
                    SourceVerdict::Foreign
                } else {
                    SourceVerdict::Unsettled
                }
            }
        }
    }
}

/// Counts a packet for its source; gives how many of one stream came in a row.
fn follow(candidate: &mut Option<Candidate>, from: SocketAddr, header: &Header) -> u8 {
    let packets = match candidate {
        Some(known)
            if known.from == from
                && known.ssrc == header.ssrc
                && header.sequence == known.sequence.wrapping_add(1) =>
        {
            known.packets + 1
        }
        _ => 1,
    };
    let (ssrc, sequence) = (header.ssrc, header.sequence);
    *candidate = Some(Candidate { from, ssrc, sequence, packets });
    packets
}

/// The address without its IPv6 dress: sockets that take both families show IPv4 as `::ffff:…`.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn header(sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1 }
    }

    fn guard() -> SourceGuard {
        SourceGuard::new(address("192.0.2.1:4000"), Learning::FirstPackets)
    }

    #[test]
    fn signalled_address_is_trusted_at_once_and_closes_the_door() {
        let mut guard = guard();
        let judged = guard.judge(address("192.0.2.1:4000"), &header(0));
        assert_eq!(judged, SourceVerdict::Trusted);
        for sequence in 0..10 {
            let judged = guard.judge(address("198.51.100.1:1"), &header(sequence));
            assert_eq!(judged, SourceVerdict::Foreign);
        }
        assert!(!guard.may_pass(address("198.51.100.1:1")));
        assert!(!guard.may_pass(address("192.0.2.1:4001")), "the port counts too");
    }

    #[test]
    fn address_behind_a_nat_is_learned_from_a_row_of_packets() {
        let mut guard = guard();
        let nat = address("198.51.100.1:7000");
        let verdicts: Vec<_> = (10..15).map(|number| guard.judge(nat, &header(number))).collect();
        assert_eq!(
            verdicts,
            [
                SourceVerdict::Unsettled,
                SourceVerdict::Unsettled,
                SourceVerdict::Unsettled,
                SourceVerdict::Learned,
                SourceVerdict::Trusted
            ]
        );
        assert_eq!(guard.address(), nat);
        let other = guard.judge(address("203.0.113.9:1"), &header(15));
        assert_eq!(other, SourceVerdict::Foreign);
    }

    #[test]
    fn spray_from_many_addresses_closes_the_door_without_learning() {
        let mut guard = guard();
        for number in 0..20u16 {
            let from = SocketAddr::new(address("198.51.100.1:1").ip(), 1_000 + number);
            assert_ne!(guard.judge(from, &header(number)), SourceVerdict::Learned);
        }
        let nat = address("198.51.100.1:7000");
        assert_eq!(guard.judge(nat, &header(1)), SourceVerdict::Foreign);
        let signalled = guard.judge(address("192.0.2.1:4000"), &header(0));
        assert_eq!(signalled, SourceVerdict::Trusted);
    }

    #[test]
    fn packets_that_do_not_follow_each_other_teach_nothing() {
        let mut guard = guard();
        let from = address("198.51.100.1:1");
        for sequence in [5, 900, 17, 4, 5, 6, 7, 8] {
            assert_ne!(guard.judge(from, &header(sequence)), SourceVerdict::Learned);
        }
    }

    #[test]
    fn signalled_address_takes_over_from_a_learned_one() {
        let mut guard = guard();
        let learned = address("198.51.100.1:7000");
        for number in 0..4 {
            guard.judge(learned, &header(number));
        }
        assert!(guard.is_learned());
        let back = guard.judge(address("192.0.2.1:4000"), &header(0));
        assert_eq!(back, SourceVerdict::Returned);
        assert_eq!(guard.address(), address("192.0.2.1:4000"));
        assert_eq!(guard.judge(learned, &header(5)), SourceVerdict::Foreign);
    }

    #[test]
    fn strict_guard_never_learns() {
        let mut guard = SourceGuard::new(address("192.0.2.1:4000"), Learning::Never);
        for number in 0..10 {
            let judged = guard.judge(address("198.51.100.1:1"), &header(number));
            assert_eq!(judged, SourceVerdict::Foreign);
        }
    }

    #[test]
    fn ipv4_in_ipv6_dress_is_the_same_address() {
        let mut guard = guard();
        let judged = guard.judge(address("[::ffff:192.0.2.1]:4000"), &header(0));
        assert_eq!(judged, SourceVerdict::Trusted);
    }
}
