//! LOOP: looks at the store and the trunks, decides by `domain` how many to dial, and dials.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::attempt::AttemptEnd;
use domain::dial_queue::{Demand, Room, Sharing, Turns, deal};
use domain::ids::{AttemptId, TrunkId};
use domain::outcome::Outcome;
use domain::pacing::unattended::calls_to_start;
use domain::time::Timestamp;
use domain::trunk::TrunkGate;
use store::{Begun, Store, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::call_task::{self, CallParts, never_dialed};
use crate::calls::LiveCalls;
use crate::health::HealthBoard;
use crate::wake::Wakes;

/// Attempts begun in one transaction: few enough that a crash leaves little in doubt, many enough
/// that one commit serves them all.
const BATCH_MAX: u32 = 50;
/// Longest time between two looks, when nobody wakes the loop.
const PERIOD: Duration = Duration::from_secs(1);
/// Contacts promoted or expired in one go.
const DUE_BATCH: u32 = 500;
/// Wait after a failure of the store before the next try.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// The dialer, which owns all live calls and the gates of all trunks.
pub(crate) struct Dialer {
    calls: LiveCalls,
    gates: Vec<(String, TrunkGate)>,
    health: HealthBoard,
    parts: Arc<CallParts>,
    wakes: Wakes,
    /// Attempts of the process before that may still be ringing hold their slots until then.
    held: Vec<(Timestamp, TrunkId)>,
    live: JoinSet<()>,
    slots: HashMap<Id, (AttemptId, TrunkId)>,
    turns: Turns,
    due_at: Timestamp,
}

impl Dialer {
    /// A dialer that has not begun.
    pub(crate) fn new(
        calls: LiveCalls,
        gates: Vec<(String, TrunkGate)>,
        health: HealthBoard,
        parts: Arc<CallParts>,
        held: Vec<(Timestamp, TrunkId)>,
        wakes: Wakes,
    ) -> Self {
        Self {
            calls,
            due_at: Timestamp::default(),
            gates,
            health,
            held,
            turns: Turns::default(),
            live: JoinSet::new(),
            parts,
            slots: HashMap::new(),
            wakes,
        }
    }

    /// Dials until `stop`, then waits for the live calls, at most `drain_time_max`.
    pub(crate) async fn run(mut self, stop: CancellationToken, drain_time_max: Duration) {
        while !stop.is_cancelled() {
            let pause = match self.step().await {
                Ok(pause) => {
                    self.health.store(None);
                    pause
                }
                Err(error) => {
                    tracing::error!(%error, "cannot dial: the store does not answer");
                    self.health.store(Some(error.to_string()));
                    STORE_RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wakes.dialer.woken() => self.due_at = Timestamp::default(),
                Some(ended) = self.live.join_next_with_id() => self.end(ended).await,
                () = tokio::time::sleep(pause) => {}
            }
            while let Some(ended) = self.live.try_join_next_with_id() {
                self.end(ended).await;
            }
        }
        self.drain(drain_time_max).await;
    }

    /// One look: what is due, what is free, what to dial. Answers when to look again at the latest.
    async fn step(&mut self) -> Result<Duration, StoreError> {
        let store = &self.parts.store;
        let now = self.parts.clock.now();
        if now >= self.due_at {
            let promoted = store.promote_due(now, DUE_BATCH).await?;
            let expired = store.expire(now, DUE_BATCH).await?;
            if expired > 0 {
                self.wakes.webhooks.wake();
            }
            if promoted == DUE_BATCH || expired == DUE_BATCH {
                return self.dial(now).await.map(|_| Duration::ZERO);
            }
            let next = store.next_due().await?;
            self.due_at = next.map_or(now + PERIOD, |next| next.min(now + PERIOD));
        }
        let more = self.dial(now).await?;
        let now = self.parts.clock.now();
        let due = self.due_at.since(now).clamp(Duration::from_millis(1), PERIOD);
        let starts = self.gates.iter().filter(|(_, gate)| gate.busy() < gate.limits().slots);
        let next_start = starts.map(|(_, gate)| gate.next_start(now).since(now)).min();
        Ok(match next_start {
            Some(wait) if more => due.min(wait.max(Duration::from_millis(1))),
            _ => due,
        })
    }

    /// Begins what may begin now; whether there is more to dial than there was room for.
    async fn dial(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        self.release_held(now);
        let free = self.gates.iter().map(|(_, gate)| gate.free(now)).fold(0, u32::saturating_add);
        let starts = calls_to_start(free, 0, BATCH_MAX);
        let demands = self.parts.store.demands(now, starts.saturating_add(1)).await?;
        let ready = demands.iter().map(|demand| demand.ready).fold(0, u32::saturating_add);
        let mut trunks = self.trunks(now, starts.min(ready)).into_iter();
        let room = |_: &Demand| trunks.next().map_or(Room::Over, Room::Slot);
        let shares = deal(&mut self.turns, &demands, Sharing::BY_WEIGHT, room);
        if shares.is_empty() {
            return Ok(ready > 0);
        }
        let begun = self.parts.store.begin_attempts(now, shares).await?;
        for begun in begun {
            self.begin(begun);
        }
        Ok(ready > starts)
    }

    /// A trunk for each of `count` calls: in turn, as far as each has room.
    fn trunks(&self, now: Timestamp, count: u32) -> Vec<TrunkId> {
        let mut room: Vec<_> =
            self.gates.iter().map(|(_, gate)| (gate.trunk, gate.free(now))).collect();
        let mut trunks = Vec::new();
        while trunks.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            let before = trunks.len();
            for (trunk, free) in room.iter_mut().filter(|(_, free)| *free > 0) {
                *free -= 1;
                trunks.push(*trunk);
            }
            if trunks.len() == before {
                break;
            }
        }
        trunks.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        trunks
    }

    fn begin(&mut self, begun: Begun) {
        let (attempt, trunk) = (begun.attempt.id, begun.attempt.trunk);
        let now = self.parts.clock.now();
        if let Some(gate) = self.gate(trunk) {
            gate.start(now);
        }
        let canceled = self.calls.begin(attempt);
        let (parts, calls) = (Arc::clone(&self.parts), self.calls.clone());
        let wakes = self.wakes.clone();
        let task = self.live.spawn(async move {
            let contact = begun.contact.id;
            let end = call_task::run(Arc::clone(&parts), begun, canceled).await;
            tracing::info!(
                call.id = %attempt, contact.id = %contact, outcome = end.outcome.name(),
                cause = %end.cause.text, duration_s = end.duration_s(), "call ended"
            );
            finish(&parts.store, attempt, &end).await;
            calls.end(attempt);
            wakes.webhooks.wake();
            wakes.dialer.wake();
        });
        self.slots.insert(task.id(), (attempt, trunk));
        self.show();
    }

    /// A call's task has ended; its slot is free.
    async fn end(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, failed) = match &ended {
            Ok((id, ())) => (*id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let Some((attempt, trunk)) = self.slots.remove(&id) else {
            return;
        };
        if let Some(error) = failed {
            // The call's own code broke; what the phone did is not known.
            tracing::error!(call.id = %attempt, %error, "call task broke");
            let now = self.parts.clock.now();
            let end = never_dialed(now, Outcome::InDoubt, "internal error".into());
            finish(&self.parts.store, attempt, &end).await;
            self.calls.end(attempt);
        }
        if let Some(gate) = self.gate(trunk) {
            gate.end();
        }
        self.show();
    }

    fn release_held(&mut self, now: Timestamp) {
        let due: Vec<TrunkId> =
            self.held.extract_if(.., |(until, _)| *until <= now).map(|(_, trunk)| trunk).collect();
        for trunk in due {
            if let Some(gate) = self.gate(trunk) {
                gate.end();
            }
        }
    }

    fn gate(&mut self, trunk: TrunkId) -> Option<&mut TrunkGate> {
        self.gates.iter_mut().map(|(_, gate)| gate).find(|gate| gate.trunk == trunk)
    }

    fn show(&self) {
        for (name, gate) in &self.gates {
            self.health.trunk(name, |trunk| {
                trunk.busy = gate.busy();
                trunk.slots = gate.limits().slots;
            });
        }
    }

    /// Waits for the live calls; those that outlast `time_max` are hung up.
    async fn drain(mut self, time_max: Duration) {
        tracing::info!(calls = self.live.len(), "draining: no new calls");
        let ended = tokio::time::timeout(time_max, async {
            while let Some(ended) = self.live.join_next_with_id().await {
                self.end(ended).await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(calls = self.live.len(), "hanging up what is left");
            self.calls.cancel_all("server is shutting down");
            while let Some(ended) = self.live.join_next_with_id().await {
                self.end(ended).await;
            }
        }
    }
}

/// Stores an attempt's end; a store that is away only delays it, for the result must not be lost.
pub(crate) async fn finish(store: &Store, attempt: AttemptId, end: &AttemptEnd) {
    let mut pause = Duration::from_millis(100);
    loop {
        match store.finish_attempt(attempt, end).await {
            Ok(_) => return,
            Err(StoreError::Closed) => {
                tracing::error!(call.id = %attempt, "store closed before the call's end was stored");
                return;
            }
            Err(error) => {
                tracing::error!(call.id = %attempt, %error, "cannot store a call's end, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}
