//! Another trunk for calls that one refused before anything rang.
//!
//! The call asks, and the dialer, which owns the gates, answers: with a trunk once the attempt is
//! written down for it, or with nothing. The attempt stays one, and so does its ring.

use std::time::Duration;

use domain::attempt::AttemptEnd;
use domain::cause::Cause;
use domain::failover::TRUNKS_MAX;
use domain::ids::{AttemptId, ContactId, TrunkId};
use domain::time::Timestamp;
use store::Reroute;
use tokio::sync::{mpsc, oneshot};

use super::Dialer;
use crate::call_task::never_dialed;
use crate::gates::{Next, Slot};
use crate::slots::{LegSlot, Moved};

/// Longest wait for a trunk that has a slot, and whose rate allows no call just now.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// A call's question.
#[derive(Debug)]
pub(crate) struct Ask {
    attempt: AttemptId,
    /// What the last of the trunks said.
    cause: Cause,
    /// The trunks that refused it, oldest first.
    tried: Vec<TrunkId>,
    /// Dropped unanswered where there is no trunk.
    answer: oneshot::Sender<TrunkId>,
}

/// A call that wants another trunk, as the dialer keeps it.
#[derive(Debug)]
pub(super) struct Wanting {
    ask: Ask,
    until: Timestamp,
}

/// The call's side: the trunks it took, and the answer it waits for.
#[derive(Debug)]
pub(crate) struct Reroutes {
    asks: mpsc::UnboundedSender<Ask>,
    tried: Vec<TrunkId>,
    asked: Option<(Cause, oneshot::Receiver<TrunkId>)>,
}

impl Reroutes {
    /// Of a call that begins on this trunk.
    pub(crate) fn new(asks: mpsc::UnboundedSender<Ask>, first: TrunkId) -> Self {
        Self { asks, tried: vec![first], asked: None }
    }

    /// Asks for another trunk than those that refused, the last one with this cause.
    pub(crate) fn ask(&mut self, attempt: AttemptId, cause: Cause) {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { attempt, cause: cause.clone(), tried: self.tried.clone(), answer };
        if self.tried.len() < TRUNKS_MAX {
            // A dialer that is gone drops it, which is an answer.
            self.asks.send(ask).ok();
        }
        self.asked = Some((cause, answered));
    }

    /// The answer: a trunk, or the cause that is the last word. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Result<TrunkId, Cause> {
        let Some((_, answered)) = &mut self.asked else {
            return std::future::pending().await;
        };
        let answer = answered.await;
        let cause = self.asked.take().map(|(cause, _)| cause).unwrap_or_default();
        let trunk = answer.map_err(|_| cause)?;
        self.tried.push(trunk);
        Ok(trunk)
    }
}

impl Dialer {
    /// A call asks.
    pub(super) fn hear(&mut self, ask: Ask) {
        let now = self.parts.clock.now();
        if let Some(refused) = ask.tried.last() {
            // Known before the call ends, so that the next ones do not take that trunk.
            self.gates.note(*refused, &refusal(now, &ask.cause));
        }
        self.wanting.push(Wanting { ask, until: now + WAIT_MAX });
    }

    /// Gives calls other trunks; when to look again, where some wait for a trunk's rate.
    pub(super) async fn reroute(&mut self) -> Option<Timestamp> {
        while let Ok(ask) = self.asks.1.try_recv() {
            self.hear(ask);
        }
        if self.wanting.is_empty() {
            return None;
        }
        self.share();
        let now = self.parts.clock.now();
        // A node whose lease is over starts nothing, not even what it has begun.
        let epoch = self.membership.epoch(self.parts.clock.instant());
        let wanting = std::mem::take(&mut self.wanting);
        epoch?;
        let (mut moves, mut answers, mut again) = (Vec::new(), Vec::new(), None);
        for wanting in wanting {
            match self.place(now, &wanting.ask) {
                Some((contact, Next::Trunk(trunk))) => {
                    moves.push(self.reroute_of(&wanting.ask, contact, trunk));
                    answers.push((wanting.ask, trunk));
                }
                Some((_, Next::NotBefore(at))) if at <= wanting.until => {
                    again = Some(again.map_or(at, |again: Timestamp| again.min(at)));
                    self.wanting.push(wanting);
                }
                Some((_, Next::NotBefore(_) | Next::Nobody)) | None => {}
            }
        }
        if moves.is_empty() {
            return again;
        }
        let moved = match self.parts.store.reroute_attempts(now, moves, self.policies.bench()).await
        {
            Ok(moved) => moved,
            Err(error) => {
                tracing::error!(%error, "calls keep to trunks that refused: the store is away");
                return again;
            }
        };
        // The answer may have taken long: others may have taken this node for dead meanwhile.
        if self.membership.epoch(self.parts.clock.instant()) == epoch {
            for (ask, trunk) in answers.into_iter().filter(|(ask, _)| moved.contains(&ask.attempt))
            {
                // A call that was canceled meanwhile does not hear it.
                ask.answer.send(trunk).ok();
            }
        }
        again
    }

    /// The slot of a second leg on another trunk than those tried, the last of which said this.
    pub(super) fn move_leg(&mut self, mut leg: LegSlot, tried: &[TrunkId], cause: &Cause) -> Moved {
        let now = self.parts.clock.now();
        self.gates.note(leg.trunk(), &refusal(now, cause));
        if self.membership.epoch(self.parts.clock.instant()).is_none() {
            return Moved::Nowhere;
        }
        let (bench, slot) = (self.policies.bench(), leg.slot_mut());
        let policy = bench.policy(slot.campaign);
        match self.gates.next_trunk(now, policy, slot.campaign, tried) {
            Next::Nobody => Moved::Nowhere,
            Next::NotBefore(_) => Moved::NotYet(leg),
            Next::Trunk(trunk) => {
                self.gates.reroute(now, slot, trunk);
                Moved::There(leg)
            }
        }
    }

    /// Where a call may go, which takes its place there; `None` where it asks no more.
    fn place(&mut self, now: Timestamp, ask: &Ask) -> Option<(ContactId, Next)> {
        if ask.answer.is_closed() {
            return None;
        }
        let mut slots = self.slots.values_mut();
        let live = slots.find(|live| live.attempt == ask.attempt)?;
        let bench = self.policies.bench();
        let Slot { campaign, .. } = live.slot;
        let next = self.gates.next_trunk(now, bench.policy(campaign), campaign, &ask.tried);
        if let Next::Trunk(trunk) = next {
            self.gates.reroute(now, &mut live.slot, trunk);
        }
        Some((live.contact, next))
    }

    fn reroute_of(&self, ask: &Ask, contact: ContactId, trunk: TrunkId) -> Reroute {
        let refused = ask.tried.last().map_or("", |refused| self.gates.name(*refused));
        let Cause { sip_status, q850, text } = &ask.cause;
        let mut refusal = format!("{refused}:");
        if let Some(status) = sip_status {
            refusal.push_str(&format!(" {status}"));
        }
        if !text.is_empty() {
            refusal.push_str(&format!(" {text}"));
        }
        if let Some(q850) = q850 {
            refusal.push_str(&format!(" (Q.850 {q850})"));
        }
        let next = self.gates.name(trunk);
        tracing::warn!(call.id = %ask.attempt, refusal, next, "a trunk refused, trying another one");
        Reroute { attempt: ask.attempt, contact, trunk, refusal }
    }
}

/// What a trunk's refusal says about it.
fn refusal(now: Timestamp, cause: &Cause) -> AttemptEnd {
    AttemptEnd { cause: cause.clone(), ..never_dialed(now, cause.outcome(), String::new()) }
}
