//! LOOP: keeps this node's lease and its parts of the trunks, by the clock that never steps.
//!
//! A node that cannot renew its lease stops to start calls by itself, before others take it for
//! dead. Its live calls go on, and their results are handed in when the store answers again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::attempt::Attempt;
use domain::call::CallLimits;
use domain::ids::TrunkId;
use domain::trunk::TrunkLimits;
use store::{NodeReport, NodeTick, Store, StoreError, TrunkReport};
use tokio_util::sync::CancellationToken;

use crate::alarms::Alarms;
use crate::calls::LiveCalls;
use crate::clock::Clock;
use crate::health::HealthBoard;
use crate::recovery::end_in_doubt;
use crate::wake::Wakes;

/// Time between two words to the others: several fit into a lease.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest wait for the store at one of them; what comes later is not worth the wait.
const TICK_TIME_MAX: Duration = Duration::from_secs(4);

/// Words between two looks at how the database is doing.
const LOOK_EVERY: u32 = 5;

/// What this node may do now; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The epoch in which calls begin, and until when; no end where there is but one node.
    lease: Option<(i64, Option<Instant>)>,
    grants: HashMap<TrunkId, Grant>,
    reports: Vec<TrunkReport>,
}

#[derive(Clone, Copy, Debug)]
struct Grant {
    limits: TrunkLimits,
    version: i64,
    until: Option<Instant>,
}

impl Membership {
    /// The epoch in which calls may begin at `now`; `None`: none may.
    pub(crate) fn epoch(&self, now: Instant) -> Option<i64> {
        let lease = self.state().lease;
        lease.filter(|(_, until)| until.is_none_or(|until| now < until)).map(|(epoch, _)| epoch)
    }

    /// What may be used of a trunk at `now`, and by which grant.
    pub(crate) fn limits(&self, trunk: TrunkId, now: Instant) -> (TrunkLimits, i64) {
        let state = self.state();
        match state.grants.get(&trunk) {
            Some(grant) if grant.until.is_none_or(|until| now < until) => {
                (grant.limits, grant.version)
            }
            Some(grant) => (TrunkLimits::default(), grant.version),
            None => (TrunkLimits::default(), 0),
        }
    }

    /// How the trunks are used, by whom they are used.
    pub(crate) fn report(&self, reports: Vec<TrunkReport>) {
        self.state().reports = reports;
    }

    /// Takes in what was heard in answer to a word of `asked_at`; whether anything changed.
    fn hear(&self, asked_at: Instant, tick: &NodeTick) -> bool {
        let until = |time: Option<Duration>| time.map(|time| asked_at + time);
        let mut state = self.state();
        state.lease = Some((tick.epoch, until(tick.valid_for)));
        let grants: HashMap<TrunkId, Grant> = tick
            .grants
            .iter()
            .map(|grant| {
                let (limits, version) = (grant.limits, grant.version);
                (grant.trunk, Grant { limits, version, until: until(grant.valid_for) })
            })
            .collect();
        let limits = |grants: &HashMap<TrunkId, Grant>| {
            let mut limits: Vec<_> =
                grants.iter().map(|(trunk, grant)| (*trunk, grant.limits.slots)).collect();
            limits.sort_unstable();
            limits
        };
        let changed = limits(&grants) != limits(&state.grants);
        state.grants = grants;
        changed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the loop works with.
pub(crate) struct Node {
    /// Where the others ask it.
    pub(crate) address: String,
    pub(crate) calls: LiveCalls,
    pub(crate) clock: Clock,
    pub(crate) health: HealthBoard,
    pub(crate) limits: CallLimits,
    pub(crate) membership: Membership,
    pub(crate) store: Store,
    pub(crate) wakes: Wakes,
}

impl Node {
    /// Keeps the lease until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut away = false;
        let mut alarms = Alarms::default();
        let mut words = 0_u32;
        while !stop.is_cancelled() {
            let asked_at = self.clock.instant();
            match tokio::time::timeout(TICK_TIME_MAX, self.tick(asked_at)).await {
                Ok(Ok(())) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("this node is heard again, it starts calls");
                    }
                }
                Ok(Err(error)) => self.miss(&mut away, &error.to_string()),
                Err(_) => self.miss(&mut away, "the store takes too long"),
            }
            if words.is_multiple_of(LOOK_EVERY) {
                self.watch(&mut alarms).await;
            }
            words = words.wrapping_add(1);
            let next = PERIOD.saturating_sub(self.clock.instant().duration_since(asked_at));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// Looks at how the database is doing, and says what is wrong with it when that changes.
    async fn watch(&self, alarms: &mut Alarms) {
        let looked = tokio::time::timeout(TICK_TIME_MAX, self.store.database_state()).await;
        // What does not answer is told elsewhere.
        let Ok(Ok(Some(state))) = looked else {
            return;
        };
        let wrong = alarms.hear(self.clock.instant(), &state);
        if self.health.database(wrong.clone()) {
            match wrong.is_empty() {
                true => tracing::info!("the database is well again"),
                false => tracing::warn!("see docs/database.md: {}", wrong.join(", ")),
            }
        }
    }

    fn miss(&self, away: &mut bool, why: &str) {
        let fenced = self.membership.epoch(self.clock.instant()).is_none();
        if fenced && !std::mem::replace(away, true) {
            tracing::error!("this node's lease is over, it starts no calls: {why}");
        } else {
            tracing::debug!("the node's lease was not renewed: {why}");
        }
    }

    async fn tick(&self, asked_at: Instant) -> Result<(), StoreError> {
        let trunks = self.membership.state().reports.clone();
        let report = NodeReport {
            address: self.address.clone(),
            trunks,
            ring_time_max: self.limits.ring_time_max,
            call_time_max: self.limits.call_time_max,
        };
        let tick = self.store.tick(report).await?;
        if self.membership.hear(asked_at, &tick) {
            self.wakes.dialer.wake();
        }
        for attempt in &tick.canceled {
            self.calls.cancel(*attempt, "canceled by the client");
        }
        self.settle(tick.to_settle.iter().map(|(attempt, _)| attempt)).await
    }

    /// Ends what dead nodes left open: whether those phones rang nobody knows.
    async fn settle(&self, left: impl Iterator<Item = &Attempt>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut settled = 0;
        let ends: Vec<_> = left.map(|left| (left.id, end_in_doubt(left, now))).collect();
        // Together, so that they share a commit.
        let finishes = ends.iter().map(|(id, end)| self.store.finish_attempt(*id, end));
        for finished in futures_util::future::join_all(finishes).await {
            settled += usize::from(!finished?.repeated);
        }
        if settled > 0 {
            tracing::warn!(settled, "attempts that a dead node left open are in doubt");
            self.wakes.webhooks.wake();
            self.wakes.dialer.wake();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::TrunkGrant;

    const TRUNK: TrunkId = TrunkId(1);

    fn tick(epoch: i64, slots: u32, version: i64) -> NodeTick {
        let limits = TrunkLimits { slots, calls_per_second: 2 };
        let valid_for = Some(Duration::from_secs(8));
        NodeTick {
            epoch,
            valid_for,
            grants: vec![TrunkGrant { trunk: TRUNK, limits, version, valid_for }],
            canceled: Vec::new(),
            to_settle: Vec::new(),
            leads: false,
        }
    }

    #[test]
    fn node_that_was_never_heard_starts_nothing() {
        let membership = Membership::default();
        let now = Clock::new().instant();
        assert_eq!(membership.epoch(now), None);
        assert_eq!(membership.limits(TRUNK, now), (TrunkLimits::default(), 0));
    }

    #[test]
    fn lease_and_grants_end_by_the_clock_of_the_node_itself() {
        let membership = Membership::default();
        let asked_at = Clock::new().instant();
        assert!(membership.hear(asked_at, &tick(7, 5, 3)));
        let (before, after) =
            (asked_at + Duration::from_millis(7_999), asked_at + Duration::from_secs(8));
        assert_eq!(membership.epoch(before), Some(7));
        assert_eq!(membership.limits(TRUNK, before).0.slots, 5);
        assert_eq!(membership.epoch(after), None);
        assert_eq!(membership.limits(TRUNK, after), (TrunkLimits::default(), 3));
    }

    #[test]
    fn dialer_is_woken_only_for_other_limits() {
        let membership = Membership::default();
        let now = Clock::new().instant();
        assert!(membership.hear(now, &tick(7, 5, 3)));
        assert!(!membership.hear(now, &tick(7, 5, 3)));
        assert!(membership.hear(now, &tick(7, 4, 4)));
    }
}
