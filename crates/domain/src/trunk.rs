//! A route to the network, with its slots and its calls per second.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::TrunkId;
use crate::time::Timestamp;

/// How much a trunk may do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Concurrent calls.
    pub slots: u32,
    /// New calls in any one second.
    pub calls_per_second: u32,
}

/// Counts a trunk's calls and starts against its limits.
///
/// The second is a sliding one: in no window of 1,000 ms, wherever it begins, do more than
/// `calls_per_second` calls start. A token bucket would allow twice that across its refill. Within
/// the second the starts are spread: at most a tenth of them, rounded up, in any 100 ms.
#[derive(Clone, Debug)]
pub struct TrunkGate {
    /// Whose limits they are.
    pub trunk: TrunkId,
    limits: TrunkLimits,
    busy: u32,
    starts: VecDeque<Timestamp>,
}

impl TrunkGate {
    /// A trunk on which nothing has happened yet.
    pub fn new(trunk: TrunkId, limits: TrunkLimits) -> Self {
        Self { trunk, limits, busy: 0, starts: VecDeque::new() }
    }

    /// How many calls may start at `now`.
    pub fn free(&self, now: Timestamp) -> u32 {
        let since = |window: Duration| {
            count(self.starts.iter().rev().take_while(|at| now.since(**at) < window).count())
        };
        let rate = self.limits.calls_per_second.saturating_sub(since(SECOND));
        let spread = self.tenth().saturating_sub(since(SECOND / 10));
        rate.min(spread).min(self.limits.slots.saturating_sub(self.busy))
    }

    /// When the next call may start as far as the rate goes; `now` when one may start at once.
    ///
    /// A missing slot has no time: it comes back with the end of a call.
    pub fn next_start(&self, now: Timestamp) -> Timestamp {
        // The start that was `limit` starts ago must have left the window.
        let free_at = |limit: u32, window: Duration| {
            let nth = usize::try_from(limit).unwrap_or(usize::MAX);
            let oldest = self.starts.len().checked_sub(nth).and_then(|at| self.starts.get(at));
            oldest.map_or(now, |at| *at + window)
        };
        match self.limits.calls_per_second {
            0 => now + SECOND,
            rate => free_at(rate, SECOND).max(free_at(self.tenth(), SECOND / 10)).max(now),
        }
    }

    fn tenth(&self) -> u32 {
        self.limits.calls_per_second.div_ceil(10)
    }

    /// A call starts at `now` and takes a slot.
    pub fn start(&mut self, now: Timestamp) {
        self.starts.push_back(now);
        let rate = usize::try_from(self.limits.calls_per_second).unwrap_or(usize::MAX);
        while self.starts.len() > rate.max(1) {
            self.starts.pop_front();
        }
        self.busy += 1;
    }

    /// A call ends and frees its slot.
    pub fn end(&mut self) {
        debug_assert!(self.busy > 0, "a slot is freed once, by the call that took it");
        self.busy = self.busy.saturating_sub(1);
    }

    /// Calls under way.
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// The limits it keeps.
    pub fn limits(&self) -> TrunkLimits {
        self.limits
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The window in which starts are counted: a second, and the time that an INVITE may take from
/// its count to the wire.
const SECOND: Duration = Duration::from_millis(1_020);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gate(slots: u32, calls_per_second: u32) -> TrunkGate {
        TrunkGate::new(TrunkId(1), TrunkLimits { slots, calls_per_second })
    }

    #[test]
    fn slots_bound_the_calls_and_come_back_when_they_end() {
        let mut gate = gate(2, 100);
        let now = Timestamp::from_millis(0);
        gate.start(now);
        gate.start(now);
        assert_eq!(gate.free(now + SECOND), 0);
        gate.end();
        assert_eq!(gate.free(now + SECOND), 1);
    }

    #[test]
    fn second_call_of_a_slow_trunk_waits_a_full_second() {
        let mut gate = gate(10, 1);
        gate.start(Timestamp::from_millis(500));
        assert_eq!(gate.free(Timestamp::from_millis(1_519)), 0);
        assert_eq!(gate.next_start(Timestamp::from_millis(600)), Timestamp::from_millis(1_520));
        assert_eq!(gate.free(Timestamp::from_millis(1_520)), 1);
    }

    #[test]
    fn fast_trunk_spreads_its_starts_over_the_second() {
        let mut gate = gate(1_000, 50);
        let now = Timestamp::from_millis(0);
        assert_eq!(gate.free(now), 5);
        (0..5).for_each(|_| gate.start(now));
        assert_eq!(gate.free(now), 0);
        assert_eq!(gate.next_start(now), Timestamp::from_millis(102));
        assert_eq!(gate.free(Timestamp::from_millis(102)), 5);
    }

    proptest! {
        #[test]
        fn no_second_holds_more_starts_than_allowed(
            rate in 1_u32..20,
            steps in proptest::collection::vec(0_i64..400, 1..200),
        ) {
            let mut gate = gate(u32::MAX, rate);
            let (mut now, mut starts) = (0_i64, Vec::new());
            for step in steps {
                now += step;
                for _ in 0..gate.free(Timestamp::from_millis(now)) {
                    gate.start(Timestamp::from_millis(now));
                    starts.push(now);
                }
            }
            for start in &starts {
                let inside = starts.iter().filter(|at| (*start..start + 1_000).contains(*at));
                prop_assert!(inside.count() <= rate as usize);
            }
        }
    }
}
