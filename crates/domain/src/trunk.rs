//! A route to the network, with its slots and its calls per second.

use crate::gate::{Gate, Limits};
use crate::ids::TrunkId;
use crate::time::Timestamp;

/// How much a trunk may do at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Concurrent calls.
    pub slots: u32,
    /// New calls in any one second.
    pub calls_per_second: u32,
}

/// Counts a trunk's calls and starts against its limits.
#[derive(Clone, Debug)]
pub struct TrunkGate {
    /// Whose limits they are.
    pub trunk: TrunkId,
    limits: TrunkLimits,
    gate: Gate,
}

impl TrunkGate {
    /// A trunk on which nothing has happened yet.
    pub fn new(trunk: TrunkId, limits: TrunkLimits) -> Self {
        Self { trunk, limits, gate: Gate::new(gate_limits(limits)) }
    }

    /// How many calls may start at `now`.
    pub fn free(&self, now: Timestamp) -> u32 {
        self.gate.free(now)
    }

    /// When the next call may start as far as the rate goes; `now` when one may start at once.
    pub fn next_start(&self, now: Timestamp) -> Timestamp {
        self.gate.next_start(now)
    }

    /// Whether a slot is free, whatever the rate.
    pub fn has_slot(&self) -> bool {
        self.gate.has_slot()
    }

    /// A call starts at `now` and takes a slot.
    pub fn start(&mut self, now: Timestamp) {
        self.gate.start(now);
    }

    /// A call ends and frees its slot.
    pub fn end(&mut self) {
        self.gate.end();
    }

    /// Goes by other limits from now on; what happened under those before still counts.
    pub fn set_limits(&mut self, limits: TrunkLimits) {
        self.limits = limits;
        self.gate.limit(gate_limits(limits));
    }

    /// Calls under way.
    pub fn busy(&self) -> u32 {
        self.gate.busy()
    }

    /// The limits it keeps.
    pub fn limits(&self) -> TrunkLimits {
        self.limits
    }
}

fn gate_limits(limits: TrunkLimits) -> Limits {
    Limits { calls_max: Some(limits.slots), calls_per_second: Some(limits.calls_per_second) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::SECOND;
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
