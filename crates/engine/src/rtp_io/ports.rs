//! Which pair of ports a stream gets: random in a wide range, and rested before it is used again.
//!
//! Pure: the time and the seed are arguments; binding is the caller's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// How long a pair rests after a stream: what the old far end still sends must not be heard by a
/// new callee. Longer than any network keeps a packet, and than a BYE is repeated (32 s, RFC 3261).
pub(super) const REST_TIME: Duration = Duration::from_secs(40);

/// Pairs of an even port for RTP and the odd one above it for RTCP (RFC 3550 §11).
#[derive(Debug)]
pub(super) struct PortPool {
    /// Even ports that may be taken, in no order.
    rested: Vec<u16>,
    /// Even ports and until when they rest, oldest first.
    resting: VecDeque<(Instant, u16)>,
    chance: Chance,
}

impl PortPool {
    /// All pairs within `min..=max`.
    pub(super) fn new(min: u16, max: u16, seed: u64) -> Self {
        let first = min.max(2).checked_next_multiple_of(2);
        let rested = first.map_or_else(Vec::new, |first| (first..max).step_by(2).collect());
        Self { rested, resting: VecDeque::new(), chance: Chance::new(b"ports", seed) }
    }

    /// Takes a pair and gives its even port.
    ///
    /// Chosen by chance, so that nobody outside knows where to send noise to. When all others are
    /// in use, the pair that rested longest is taken: a call with an old echo is better than none.
    pub(super) fn take(&mut self, now: Instant) -> Option<u16> {
        while let Some((until, port)) = self.resting.front().copied()
            && until <= now
        {
            self.resting.pop_front();
            self.rested.push(port);
        }
        if self.rested.is_empty() {
            return self.resting.pop_front().map(|(_, port)| port);
        }
        let index = self.chance.below(self.rested.len());
        Some(self.rested.swap_remove(index))
    }

    /// Gives a pair back; it rests from now on.
    pub(super) fn give_back(&mut self, now: Instant, port: u16) {
        self.resting.push_back((now + REST_TIME, port));
    }

    /// Pairs that nobody uses, resting ones included.
    pub(super) fn free(&self) -> usize {
        self.rested.len() + self.resting.len()
    }
}

/// Numbers that nobody can foretell from those seen before: SHA-256 of seed and count.
#[derive(Debug)]
pub(super) struct Chance {
    purpose: &'static [u8],
    seed: u64,
    count: u64,
}

impl Chance {
    /// Numbers for one purpose; other purposes get others from the same seed.
    pub(super) const fn new(purpose: &'static [u8], seed: u64) -> Self {
        Self { purpose, seed, count: 0 }
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.count.to_be_bytes());
        hash.update(self.purpose);
        self.count += 1;
        let digest = hash.finalize();
        digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A number below `bound`, which is not 0; even but for one part in 2^32 and less.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock::Clock;

    fn start() -> Instant {
        Clock::new().instant()
    }

    #[test]
    fn pairs_are_even_and_within_the_range() {
        let ports = |min, max| {
            let mut pool = PortPool::new(min, max, 1);
            std::iter::from_fn(|| pool.take(start())).collect::<BTreeSet<_>>()
        };
        assert_eq!(ports(10_001, 10_007), BTreeSet::from([10_002, 10_004, 10_006]));
        assert_eq!(ports(10_000, 10_004), BTreeSet::from([10_000, 10_002]));
        assert_eq!(ports(65_534, 65_535), BTreeSet::from([65_534]));
        assert_eq!(ports(65_535, 65_535), BTreeSet::new());
        assert_eq!(ports(9, 3), BTreeSet::new());
        assert_eq!(ports(0, 3), BTreeSet::from([2]));
    }

    #[test]
    fn choice_follows_from_the_seed_and_is_no_sequence() {
        let first = |seed| {
            let mut pool = PortPool::new(10_000, 20_000, seed);
            std::iter::from_fn(|| pool.take(start())).take(8).collect::<Vec<_>>()
        };
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
        assert!(first(1).windows(2).any(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn pair_rests_before_it_is_used_again() {
        let start = start();
        let mut pool = PortPool::new(10_000, 10_004, 1);
        let (a, b) = (pool.take(start).unwrap(), pool.take(start).unwrap());
        pool.give_back(start, a);
        pool.give_back(start + REST_TIME, b);
        for _ in 0..20 {
            let now = start + REST_TIME;
            assert_eq!(pool.take(now), Some(a));
            pool.resting.push_front((start, a));
        }
    }

    #[test]
    fn pair_that_rested_longest_is_taken_when_there_is_no_other() {
        let start = start();
        let mut pool = PortPool::new(10_000, 10_004, 1);
        let (a, b) = (pool.take(start).unwrap(), pool.take(start).unwrap());
        assert_eq!(pool.take(start), None);
        pool.give_back(start, b);
        pool.give_back(start, a);
        assert_eq!(pool.free(), 2);
        assert_eq!([pool.take(start), pool.take(start)], [Some(b), Some(a)]);
        assert_eq!(pool.free(), 0);
    }
}
