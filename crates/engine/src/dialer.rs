//! LOOP: looks at the store and the trunks, decides by `domain` how many to dial, and dials.

pub(crate) mod reroute;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::attempt::AttemptEnd;
use domain::dial_queue::{Demand, Share, Sharing, Turns, deal};
use domain::ids::{AttemptId, ContactId, TrunkId};
use domain::outcome::Outcome;
use domain::pacing::unattended::calls_to_start;
use domain::time::Timestamp;
use domain::trunk::{TrunkGate, TrunkLimits};
use store::{Begun, Claimed, Store, StoreError, TrunkReport};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::reroute::{Ask, Wanting};
use crate::call_task::{self, CallParts, never_dialed};
use crate::calls::LiveCalls;
use crate::gates::{Gates, Given, Slot};
use crate::health::HealthBoard;
use crate::node::Membership;
use crate::policies::Policies;
use crate::slots::SlotAsk;
use crate::wake::Wakes;

/// Attempts begun in one transaction: few enough that a crash leaves little in doubt, many enough
/// that one commit serves them all.
const BATCH_MAX: u32 = 50;
/// Longest time between two looks, when nobody wakes the loop.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest time between two looks at what campaigns say, when nobody says that it changed.
const POLICY_PERIOD: Duration = Duration::from_secs(5);
/// Contacts promoted or expired in one go.
const DUE_BATCH: u32 = 500;
/// Wait after a failure of the store before the next try.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// The dialer, which owns all live calls and the gates of all trunks.
pub(crate) struct Dialer {
    /// Where live calls ask for another trunk; each at most once at a time.
    asks: (mpsc::UnboundedSender<Ask>, mpsc::UnboundedReceiver<Ask>),
    calls: LiveCalls,
    gates: Gates,
    health: HealthBoard,
    /// What this node may use, of what the settings say of the whole trunks.
    membership: Membership,
    whole: HashMap<TrunkId, TrunkLimits>,
    parts: Arc<CallParts>,
    wakes: Wakes,
    /// Attempts of the process before that may still be ringing hold their slots until then.
    held: Vec<(Timestamp, TrunkId)>,
    live: JoinSet<AttemptEnd>,
    policies: Policies,
    policies_at: Timestamp,
    sharing: Sharing,
    slots: HashMap<Id, Live>,
    turns: Turns,
    due_at: Timestamp,
    /// Calls that want another trunk.
    wanting: Vec<Wanting>,
}

/// A live call, and the places that it takes.
struct Live {
    attempt: AttemptId,
    contact: ContactId,
    slot: Slot,
    /// Whether it goes over its trunk, and so tells how that works.
    is_carried: bool,
}

/// The gates of trunks, by the trunks' names.
pub(crate) type NamedGates = Vec<(String, TrunkGate)>;
/// Slots that attempts of the process before may still hold, and until when.
pub(crate) type HeldSlots = Vec<(Timestamp, TrunkId)>;

impl Dialer {
    /// A dialer that has not begun.
    pub(crate) fn new(
        calls: LiveCalls,
        (gates, held): (NamedGates, HeldSlots),
        health: HealthBoard,
        membership: Membership,
        parts: Arc<CallParts>,
        (policies, sharing): (Policies, Sharing),
        wakes: Wakes,
    ) -> Self {
        let whole = gates.iter().map(|(_, gate)| (gate.trunk, gate.limits())).collect();
        let dialer = Self {
            asks: mpsc::unbounded_channel(),
            calls,
            due_at: Timestamp::default(),
            gates: Gates::new(gates),
            health,
            held,
            membership,
            whole,
            turns: Turns::default(),
            live: JoinSet::new(),
            policies,
            policies_at: Timestamp::default(),
            sharing,
            parts,
            slots: HashMap::new(),
            wakes,
            wanting: Vec::new(),
        };
        dialer.report(0);
        dialer
    }

    /// Dials until `stop`, then waits for the live calls, at most `drain_time_max`.
    pub(crate) async fn run(
        mut self,
        mut asked: UnboundedReceiver<SlotAsk>,
        stop: CancellationToken,
        drain_time_max: Duration,
    ) {
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
                Some(ask) = asked.recv() => self.answer(ask),
                () = self.wakes.dialer.woken() => self.due_at = Timestamp::default(),
                Some(ended) = self.live.join_next_with_id() => self.end(ended).await,
                Some(ask) = self.asks.1.recv() => self.hear(ask),
                () = tokio::time::sleep(pause) => {}
            }
            while let Some(ended) = self.live.try_join_next_with_id() {
                self.end(ended).await;
            }
        }
        // Legs that live calls ask for now are not begun.
        drop(asked);
        self.drain(drain_time_max).await;
    }

    /// A live call wants another leg, or one is over.
    fn answer(&mut self, ask: SlotAsk) {
        match ask {
            SlotAsk::Give(slot) => self.gates.end(slot, None),
            SlotAsk::Move { slot, tried, cause, moved } => {
                // Who waits no more drops it, which gives it back.
                moved.send(self.move_leg(slot, &tried, &cause)).ok();
            }
            SlotAsk::Take { account, campaign, taken } => {
                let now = self.parts.clock.now();
                let may_begin = self.membership.epoch(self.parts.clock.instant()).is_some();
                let (bench, limits) = (self.policies.bench(), self.policies.limits());
                let slot = self.gates.take(now, (account, campaign), &bench, &limits);
                if let Some(slot) = slot {
                    let lease = self.parts.desk.lease(slot);
                    // Who waits no more, or may not begin: it comes back by itself.
                    may_begin.then(|| taken.send(lease).ok());
                }
            }
        }
        self.show();
    }

    /// One look: what is due, what is free, what to dial. Answers when to look again at the latest.
    async fn step(&mut self) -> Result<Duration, StoreError> {
        // Who has begun goes first: the callee's time to ring runs.
        let reroute_at = self.reroute().await;
        let store = &self.parts.store;
        let now = self.parts.clock.now();
        if now >= self.due_at {
            let mut next = store.next_due().await?;
            if next.is_some_and(|next| next <= now) {
                let promoted = store.promote_due(now, DUE_BATCH).await?;
                let expired = store.expire(now, DUE_BATCH).await?;
                if expired > 0 {
                    self.wakes.webhooks.wake();
                }
                if promoted == DUE_BATCH || expired == DUE_BATCH {
                    return self.dial(now).await.map(|_| Duration::ZERO);
                }
                next = store.next_due().await?;
            }
            self.due_at = next.map_or(now + PERIOD, |next| next.min(now + PERIOD));
        }
        let more = self.dial(now).await?;
        let now = self.parts.clock.now();
        let due = self.due_at.since(now).clamp(Duration::from_millis(1), PERIOD);
        let until = |at: Timestamp| at.since(now).max(Duration::from_millis(1));
        let due = reroute_at.map_or(due, |at| due.min(until(at)));
        Ok(match (more, self.gates.next_start(now)) {
            (More::AtOnce, _) => Duration::ZERO,
            (More::WithRoom, Some(next)) => due.min(until(next)),
            (More::Nothing, _) | (More::WithRoom, None) => due,
        })
    }

    /// Begins what may begin now; whether there is more to dial than there was room for.
    async fn dial(&mut self, now: Timestamp) -> Result<More, StoreError> {
        self.release_held(now);
        self.gates.tidy(now);
        self.share();
        if now >= self.policies_at {
            self.policies.reload().await?;
            self.policies_at = now + POLICY_PERIOD;
        }
        let starts = calls_to_start(self.gates.free(now), 0, BATCH_MAX);
        let demands = self.parts.store.demands(now, starts.saturating_add(1)).await?;
        let demands = self.policies.complete(now, demands);
        let ready = demands.iter().map(|demand| demand.ready).fold(0, u32::saturating_add);
        self.report(demands.iter().map(|demand| demand.size).fold(ready, u32::max));
        let (bench, limits) = (self.policies.bench(), self.policies.limits());
        let mut given = Given::nothing(now, starts, &bench, &limits);
        let room = |demand: &Demand| self.gates.room(&mut given, demand);
        let shares = deal(&mut self.turns, &demands, self.sharing, room);
        let waiting = if ready > 0 { More::WithRoom } else { More::Nothing };
        if shares.is_empty() {
            return Ok(waiting);
        }
        let Some(epoch) = self.membership.epoch(self.parts.clock.instant()) else {
            return Ok(More::Nothing);
        };
        let judge = Arc::clone(&bench);
        let claimed = self.parts.store.begin_attempts(now, shares.clone(), judge).await?;
        self.give_back(&shares, &claimed);
        if claimed.ended > 0 {
            self.wakes.webhooks.wake();
        }
        // Another node, or another thread, has changed a policy since it was read.
        if !claimed.unknown.is_empty() {
            self.policies_at = Timestamp::default();
        }
        let dealt: usize = shares.iter().map(|share| share.trunks.len()).sum();
        // A batch is no bound on what may be dialed, only on what is dialed at once.
        let is_full = u32::try_from(dealt).is_ok_and(|dealt| dealt == BATCH_MAX);
        let is_held = claimed.held > 0 || !claimed.unfinished.is_empty();
        // The answer may have taken long: others may have taken this node for dead meanwhile.
        let is_late = self.membership.epoch(self.parts.clock.instant()) != Some(epoch);
        let answered_at = self.parts.clock.now();
        for begun in claimed.begun {
            if is_late || !begun.contact.window.is_open(answered_at) {
                release(&self.parts.store, now, begun.attempt.id).await?;
            } else {
                self.begin(begun);
            }
        }
        Ok(if is_held || is_full { More::AtOnce } else { waiting })
    }

    /// Goes by what this node may use of the trunks now, and by which of them have fallen silent.
    fn share(&mut self) {
        let silent = self.gates.trunks().iter();
        let silent = silent.map(|(name, gate)| (gate.trunk, self.health.is_silent(name)));
        for (trunk, is_silent) in silent.collect::<Vec<_>>() {
            self.gates.set_silent(trunk, is_silent);
        }
        let now = self.parts.clock.instant();
        for gate in self.gates.trunks_mut() {
            let (limits, _) = self.membership.limits(gate.trunk, now);
            gate.set_limits(limits);
        }
    }

    /// Says how the trunks are used, and by which grants; called right after these are gone by.
    fn report(&self, ready: u32) {
        let now = self.parts.clock.instant();
        let report = |(_, gate): &(String, TrunkGate)| {
            let limits = self.whole.get(&gate.trunk).copied().unwrap_or_default();
            let (granted, version) = self.membership.limits(gate.trunk, now);
            TrunkReport {
                trunk: gate.trunk,
                limits,
                busy: gate.busy(),
                wanted: gate.busy().saturating_add(ready).min(limits.slots),
                // Heard of since the gates were set: not gone by yet.
                seen: if granted == gate.limits() { version } else { 0 },
            }
        };
        self.membership.report(self.gates.trunks().iter().map(report).collect());
    }

    /// Turns of contacts that were not dialed after all.
    fn give_back(&mut self, shares: &[Share], claimed: &Claimed) {
        for share in shares {
            let begun = claimed.begun.iter();
            let begun = begun.filter(|begun| begun.contact.campaign == share.campaign).count();
            let short = share.trunks.len().saturating_sub(begun);
            if let Ok(short) = u32::try_from(short)
                && short > 0
            {
                self.turns.give_back(share.campaign, short);
            }
        }
    }

    fn begin(&mut self, begun: Begun) {
        let (attempt, contact) = (begun.attempt.id, begun.contact.id);
        let is_carried = begun.contact.destination.room().is_none();
        let slot = Slot {
            trunk: begun.attempt.trunk,
            campaign: begun.contact.campaign,
            account: begun.contact.account,
        };
        self.gates.start(self.parts.clock.now(), slot);
        let canceled = self.calls.begin(attempt);
        let (parts, calls) = (Arc::clone(&self.parts), self.calls.clone());
        let (wakes, asks) = (self.wakes.clone(), self.asks.0.clone());
        let task = self.live.spawn(async move {
            let end = call_task::run(Arc::clone(&parts), begun, canceled, asks).await;
            tracing::info!(
                call.id = %attempt, contact.id = %contact, outcome = end.outcome.name(),
                cause = %end.cause.text, duration_s = end.duration_s(), "call ended"
            );
            finish(&parts.store, attempt, &end).await;
            calls.end(attempt);
            wakes.webhooks.wake();
            wakes.dialer.wake();
            end
        });
        self.slots.insert(task.id(), Live { attempt, contact, slot, is_carried });
        self.show();
    }

    /// A call's task has ended; its slot is free.
    async fn end(&mut self, ended: Result<(Id, AttemptEnd), JoinError>) {
        let (id, end, failed) = match &ended {
            Ok((id, end)) => (*id, Some(end), None),
            Err(error) => (error.id(), None, Some(error)),
        };
        let Some(Live { attempt, slot, is_carried, .. }) = self.slots.remove(&id) else {
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
        self.gates.end(slot, end.filter(|_| is_carried));
        self.show();
    }

    fn release_held(&mut self, now: Timestamp) {
        let due: Vec<TrunkId> =
            self.held.extract_if(.., |(until, _)| *until <= now).map(|(_, trunk)| trunk).collect();
        due.into_iter().for_each(|trunk| self.gates.let_go(trunk));
    }

    fn show(&self) {
        for (name, gate) in self.gates.trunks() {
            self.health.trunk(name, |trunk| {
                trunk.busy = gate.busy();
                trunk.slots = gate.limits().slots;
            });
        }
    }

    /// Waits for the live calls; those that outlast `time_max` are hung up.
    async fn drain(mut self, time_max: Duration) {
        tracing::info!(calls = self.live.len(), "draining: no new calls");
        // Nobody is left to look for other trunks; who asks hears at once that there is none.
        self.wanting.clear();
        drop(std::mem::replace(&mut self.asks, mpsc::unbounded_channel()).1);
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

/// Whether there is more to dial.
enum More {
    /// Contacts that were not looked at yet.
    AtOnce,
    /// No.
    Nothing,
    /// As soon as there is room.
    WithRoom,
}

/// Gives back an attempt of which nothing was sent.
async fn release(store: &Store, now: Timestamp, attempt: AttemptId) -> Result<(), StoreError> {
    tracing::warn!(call.id = %attempt, "claimed too late, giving a call back unsent");
    store.release_attempt(now, attempt).await.map(drop)
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
