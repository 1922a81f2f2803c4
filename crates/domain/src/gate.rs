//! How many calls may start now: calls per second and concurrent calls, of whatever is limited.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::attempt::AttemptEnd;
use crate::ids::TrunkId;
use crate::outcome::Outcome;
use crate::time::Timestamp;

/// The window in which starts are counted: a second, and the time that an INVITE may take from
/// its count to the wire.
pub(crate) const SECOND: Duration = Duration::from_millis(1_020);
/// How long a trunk is left alone after its first failure; twice as long after each further one.
const REST: Duration = Duration::from_secs(2);
/// Longest time that a trunk is left alone: somebody may have repaired it.
const REST_MAX: Duration = Duration::from_secs(120);

/// How much may be done at once; no limit without a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent calls.
    pub calls_max: Option<u32>,
    /// New calls in any one second.
    pub calls_per_second: Option<u32>,
}

/// Counts calls and starts against limits.
///
/// The second is a sliding one: in no window of 1,000 ms, wherever it begins, do more than
/// `calls_per_second` calls start. A token bucket would allow twice that across its refill. Within
/// the second the starts are spread: at most a tenth of them, rounded up, in any 100 ms.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    limits: Limits,
    busy: u32,
    starts: VecDeque<Timestamp>,
}

impl Gate {
    /// A gate that nothing has passed yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, busy: 0, starts: VecDeque::new() }
    }

    /// Keeps other limits from now on; what is under way counts on.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many calls may start at `now`.
    pub fn free(&self, now: Timestamp) -> u32 {
        let since = |window: Duration| {
            count(self.starts.iter().rev().take_while(|at| now.since(**at) < window).count())
        };
        let rate = self.limits.calls_per_second.map_or(u32::MAX, |rate| {
            let spread = tenth(rate).saturating_sub(since(SECOND / 10));
            rate.saturating_sub(since(SECOND)).min(spread)
        });
        let slots = self.limits.calls_max.map_or(u32::MAX, |most| most.saturating_sub(self.busy));
        rate.min(slots)
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
            None => now,
            Some(0) => now + SECOND,
            Some(rate) => free_at(rate, SECOND).max(free_at(tenth(rate), SECOND / 10)).max(now),
        }
    }

    /// Whether a slot is free, whatever the rate.
    pub fn has_slot(&self) -> bool {
        self.limits.calls_max.is_none_or(|most| self.busy < most)
    }

    /// A call starts at `now` and takes a slot.
    pub fn start(&mut self, now: Timestamp) {
        self.starts.push_back(now);
        // A limit that comes later finds the starts of the last second.
        while self.starts.front().is_some_and(|at| now.since(*at) > SECOND) {
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

    /// Whether it has nothing to remember at `now`.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.busy == 0 && self.starts.back().is_none_or(|at| now.since(*at) > SECOND)
    }
}

/// Which trunk the next call of a campaign takes: by weight, and none that has just failed.
#[derive(Clone, Debug, Default)]
pub struct TrunkTurns {
    /// What each trunk was given less than its weight's part, in calls times the sum of weights.
    credit: BTreeMap<TrunkId, i64>,
}

impl TrunkTurns {
    /// Chooses among `choices`, trunks with their weights, of those with `room`.
    ///
    /// A trunk of weight 0 is taken where no other has room.
    pub fn choose(
        &mut self,
        choices: &[(TrunkId, u32)],
        mut room: impl FnMut(TrunkId) -> bool,
    ) -> Option<TrunkId> {
        let open: Vec<(TrunkId, u32)> =
            choices.iter().copied().filter(|(trunk, _)| room(*trunk)).collect();
        let weighty: Vec<(TrunkId, u32)> =
            open.iter().copied().filter(|(_, weight)| *weight > 0).collect();
        if weighty.is_empty() {
            return open.first().map(|(trunk, _)| *trunk);
        }
        let sum: i64 = weighty.iter().map(|(_, weight)| i64::from(*weight)).sum();
        for (trunk, weight) in &weighty {
            *self.credit.entry(*trunk).or_default() += i64::from(*weight);
        }
        let credit = |trunk: &TrunkId| self.credit.get(trunk).copied().unwrap_or(0);
        // Of equals the one that is named first.
        let best = weighty.iter().rev().max_by_key(|(trunk, _)| credit(trunk))?.0;
        if let Some(credit) = self.credit.get_mut(&best) {
            *credit -= sum;
        }
        // Who had no room for long has no right to all that it missed.
        self.credit.values_mut().for_each(|credit| *credit = (*credit).clamp(-sum, sum));
        Some(best)
    }
}

/// Trunks that failed and are left alone for a time.
#[derive(Clone, Debug, Default)]
pub struct Rests(BTreeMap<TrunkId, Rest>);

#[derive(Clone, Copy, Debug)]
struct Rest {
    failures: u32,
    until: Timestamp,
}

impl Rests {
    /// Takes note of how a call over a trunk ended.
    pub fn note(&mut self, trunk: TrunkId, end: &AttemptEnd) {
        if !failed(end) {
            self.0.remove(&trunk);
            return;
        }
        let rest = self.0.entry(trunk).or_insert(Rest { failures: 0, until: end.ended_at });
        // Calls that were under way together fail together: that is one failure.
        if rest.failures > 0 && end.ended_at < rest.until {
            return;
        }
        let wait = REST.saturating_mul(1 << rest.failures.min(16)).min(REST_MAX);
        rest.failures = rest.failures.saturating_add(1);
        rest.until = end.ended_at + wait;
    }

    /// Until when a trunk is left alone; `None` where it may be taken at `now`.
    pub fn until(&self, trunk: TrunkId, now: Timestamp) -> Option<Timestamp> {
        self.0.get(&trunk).map(|rest| rest.until).filter(|until| *until > now)
    }
}

/// Whether a call ended because its trunk did not do its work: nothing rang, and 503, 408 or no
/// answer at all came back.
pub fn failed(end: &AttemptEnd) -> bool {
    let said_nothing = end.cause.sip_status.is_none() && end.cause.q850.is_none();
    end.ringing_at.is_none()
        && end.answered_at.is_none()
        && match end.cause.sip_status {
            Some(408 | 503) => true,
            _ => said_nothing && end.outcome == Outcome::LineFailure,
        }
}

fn tenth(rate: u32) -> u32 {
    rate.div_ceil(10)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cause::Cause;

    fn end(status: Option<u16>, at: i64) -> AttemptEnd {
        let cause = Cause { sip_status: status, ..Cause::default() };
        AttemptEnd {
            outcome: cause.outcome(),
            cause,
            ringing_at: None,
            answered_at: None,
            ended_at: Timestamp::from_seconds(at),
            detected: String::new(),
            message_left: false,
        }
    }

    #[test]
    fn gate_without_limits_is_always_open() {
        let mut gate = Gate::default();
        let now = Timestamp::from_millis(0);
        (0..1_000).for_each(|_| gate.start(now));
        assert_eq!((gate.free(now), gate.next_start(now)), (u32::MAX, now));
    }

    #[test]
    fn limit_that_comes_later_counts_what_is_under_way() {
        let mut gate = Gate::default();
        let now = Timestamp::from_millis(0);
        (0..5).for_each(|_| gate.start(now));
        gate.limit(Limits { calls_max: Some(6), calls_per_second: Some(5) });
        assert_eq!(gate.free(now), 0);
        assert_eq!(gate.free(now + SECOND), 1);
        gate.limit(Limits { calls_max: Some(4), calls_per_second: None });
        assert_eq!(gate.free(now), 0);
        assert!(!gate.has_slot());
    }

    #[test]
    fn gate_forgets_itself_when_its_calls_have_ended() {
        let mut gate = Gate::default();
        let now = Timestamp::from_millis(0);
        gate.start(now);
        assert!(!gate.is_idle(now + SECOND * 2));
        gate.end();
        assert!(!gate.is_idle(now));
        assert!(gate.is_idle(now + SECOND * 2));
    }

    #[test]
    fn trunks_are_taken_by_their_weights() {
        let mut turns = TrunkTurns::default();
        let choices = [(TrunkId(1), 3), (TrunkId(2), 1), (TrunkId(3), 0)];
        let taken: Vec<i64> = (0..8).map(|_| turns.choose(&choices, |_| true).unwrap().0).collect();
        assert_eq!(taken, [1, 1, 2, 1, 1, 1, 2, 1]);
        assert_eq!(turns.choose(&choices, |trunk| trunk == TrunkId(3)), Some(TrunkId(3)));
        assert_eq!(turns.choose(&choices, |_| false), None);
    }

    #[test]
    fn trunk_that_fails_is_left_alone_longer_each_time() {
        let mut rests = Rests::default();
        let trunk = TrunkId(1);
        let at = Timestamp::from_seconds;
        rests.note(trunk, &end(Some(503), 10));
        assert_eq!(rests.until(trunk, at(10)), Some(at(12)));
        // A call that began before fails as well.
        rests.note(trunk, &end(Some(503), 11));
        assert_eq!(rests.until(trunk, at(11)), Some(at(12)));
        assert_eq!(rests.until(trunk, at(12)), None);
        rests.note(trunk, &end(None, 12));
        assert_eq!(rests.until(trunk, at(12)), Some(at(16)));
        (0..30).for_each(|n| rests.note(trunk, &end(Some(408), 1_000 * (n + 1))));
        assert_eq!(rests.until(trunk, at(30_000)), Some(at(30_000) + REST_MAX));
    }

    #[test]
    fn trunk_that_works_again_is_taken_again() {
        let mut rests = Rests::default();
        let trunk = TrunkId(1);
        rests.note(trunk, &end(Some(503), 10));
        rests.note(trunk, &end(Some(486), 11));
        assert_eq!(rests.until(trunk, Timestamp::from_seconds(11)), None);
    }

    #[test]
    fn call_that_rang_says_nothing_against_its_trunk() {
        let rang = AttemptEnd { ringing_at: Some(Timestamp::default()), ..end(Some(408), 10) };
        assert!(!failed(&rang));
        assert!(failed(&end(Some(408), 10)));
        assert!(!failed(&end(Some(404), 10)));
    }

    proptest! {
        #[test]
        fn trunks_stay_near_their_weights(
            weights in prop::collection::vec(1_u32..9, 1..5),
            calls in 1_usize..400,
        ) {
            let ids = (1..).map(TrunkId);
            let choices: Vec<(TrunkId, u32)> = ids.zip(weights.iter().copied()).collect();
            let mut turns = TrunkTurns::default();
            let mut taken = BTreeMap::<TrunkId, f64>::new();
            for _ in 0..calls {
                *taken.entry(turns.choose(&choices, |_| true).unwrap()).or_default() += 1.0;
            }
            let sum: u32 = weights.iter().sum();
            for (trunk, weight) in &choices {
                let ideal = calls as f64 * f64::from(*weight) / f64::from(sum);
                let got = taken.get(trunk).copied().unwrap_or(0.0);
                prop_assert!((got - ideal).abs() <= 1.5, "{trunk}: {got} of {ideal}");
            }
        }

        #[test]
        fn slots_never_leak_and_no_second_holds_too_many_starts(
            calls_max in 1_u32..8,
            rate in 1_u32..20,
            steps in prop::collection::vec((0_i64..300, any::<bool>()), 1..200),
        ) {
            let limits = Limits { calls_max: Some(calls_max), calls_per_second: Some(rate) };
            let mut gate = Gate::new(limits);
            let (mut now, mut starts, mut live) = (0_i64, Vec::new(), 0_u32);
            for (step, ends) in steps {
                now += step;
                for _ in 0..gate.free(Timestamp::from_millis(now)) {
                    gate.start(Timestamp::from_millis(now));
                    starts.push(now);
                    live += 1;
                }
                prop_assert!(live <= calls_max);
                if ends && live > 0 {
                    gate.end();
                    live -= 1;
                }
                prop_assert_eq!(gate.busy(), live);
            }
            for start in &starts {
                let inside = starts.iter().filter(|at| (*start..start + 1_000).contains(*at));
                prop_assert!(inside.count() <= rate as usize);
            }
        }
    }
}
