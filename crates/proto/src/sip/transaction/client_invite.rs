//! The client's half of an INVITE: MACHINE of RFC 3261 §17.1.1 as corrected by RFC 6026 §7.2.
//!
//! `handle` takes responses, transport failures and expired timers; `poll` gives what to send and
//! what to pass up; `deadline` says when it wants to be woken.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Effects, Finish, REPEATS_MAX, Transport, ack, skeleton};
use crate::sip::message::{Request, Response};
use crate::sip::timers::{PATIENCE, T1, Timer, doubled};

/// One INVITE sent, until nothing of it can come back any more.
#[derive(Debug)]
pub struct ClientInvite {
    phase: Phase,
    transport: Transport,
    /// The INVITE while it may be repeated, then the ACK of its refusal.
    message: Bytes,
    /// What ACK and CANCEL are made of: the INVITE's identifying headers, without body.
    skeleton: Option<Box<Request>>,
    /// Timer A's current pause.
    pause: Duration,
    repeat_at: Option<Instant>,
    /// Timer B, D or M, or the wait after a CANCEL, as the phase says.
    end_at: Option<Instant>,
    /// Repeated refusals that are still answered with the ACK.
    repeats_left: u8,
    effects: Effects,
}

/// What can happen to a client transaction.
#[derive(Debug)]
pub enum Input<'a> {
    /// A CANCEL was sent; the far end has [`PATIENCE`] to end the INVITE (RFC 3261 §9.1).
    Canceled,
    /// A timer this machine asked for has run out.
    Expired(Timer),
    /// A response to this transaction arrived.
    Response(&'a Response),
    /// The transport says that it cannot deliver.
    TransportFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Calling,
    Proceeding,
    /// As `Proceeding`, with a CANCEL under way.
    Canceling,
    Completed,
    Accepted,
    Terminated,
}

/// What a response means to the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Provisional,
    Success,
    Refusal,
}

impl ClientInvite {
    /// Sends the INVITE: the first effect is `Send`.
    pub fn new(now: Instant, invite: &Request, transport: Transport) -> Self {
        let message = Bytes::from(invite.to_bytes());
        let mut effects = Effects::default();
        effects.push(Effect::Send(message.clone()));
        Self {
            phase: Phase::Calling,
            transport,
            message,
            skeleton: Some(Box::new(skeleton(invite))),
            pause: T1,
            repeat_at: transport.repeats().then(|| now + T1),
            end_at: Some(now + PATIENCE),
            repeats_left: REPEATS_MAX,
            effects,
        }
    }

    /// An INVITE of an earlier life that was just accepted: its repeated 2xx come here.
    pub fn adopted(now: Instant, transport: Transport) -> Self {
        Self {
            phase: Phase::Accepted,
            transport,
            message: Bytes::new(),
            skeleton: None,
            pause: T1,
            repeat_at: None,
            end_at: Some(now + PATIENCE),
            repeats_left: 0,
            effects: Effects::default(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        use Class::{Provisional, Refusal, Success};
        use Phase::{Accepted, Calling, Canceling, Completed, Proceeding, Terminated};
        let (class, response) = match &input {
            Input::Response(response) => (Some(Class::of(response.status)), Some(*response)),
            _ => (None, None),
        };
        match (self.phase, &input, class) {
            (Calling, Input::Expired(Timer::A), _) => self.repeat(now),
            (Calling, Input::Expired(Timer::B), _) => self.finish(Finish::Timeout),
            (Calling, Input::TransportFailed, _) => self.finish(Finish::Transport),
            (Calling, _, Some(Provisional)) => self.proceed(),
            (Proceeding | Canceling, _, Some(Provisional)) => self.effects.push(Effect::Deliver),
            (Calling | Proceeding | Canceling, _, Some(Success)) => self.accept(now),
            (Calling | Proceeding | Canceling, _, Some(Refusal)) => self.complete(now, response),
            (Proceeding, Input::Canceled, _) => {
                self.phase = Canceling;
                self.end_at = Some(now + PATIENCE);
            }
            (Canceling, Input::Expired(Timer::Canceled), _) => self.finish(Finish::Timeout),
            (Completed, _, Some(Refusal)) => self.repeat_ack(),
            (Completed, Input::Expired(Timer::D), _) => self.finish(Finish::Done),
            (Completed, Input::TransportFailed, _) => self.finish(Finish::Done),
            (Accepted, _, Some(Success)) => self.effects.push(Effect::Deliver),
            (Accepted, Input::Expired(Timer::M), _) => self.finish(Finish::Done),
            // Late: a provisional after the final, a timer that lost its race, a broken
            // connection while nothing is to be sent (a response may come over another one).
            (Calling | Proceeding | Canceling | Completed | Accepted | Terminated, _, _) => {
                tracing::trace!(phase = ?self.phase, ?class, "ignored");
            }
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop()
    }

    /// When to wake this machine, and for what.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        let end = match self.phase {
            Phase::Calling => Timer::B,
            Phase::Canceling => Timer::Canceled,
            Phase::Completed => Timer::D,
            Phase::Accepted => Timer::M,
            Phase::Proceeding | Phase::Terminated => return None,
        };
        let repeat = self.repeat_at.map(|at| (at, Timer::A));
        let end = self.end_at.map(|at| (at, end));
        repeat.into_iter().chain(end).min_by_key(|(at, _)| *at)
    }

    /// Whether a provisional response came and no final one: only then may it be canceled.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.phase, Phase::Proceeding)
    }

    /// Whether no response of any kind came yet.
    pub fn is_calling(&self) -> bool {
        matches!(self.phase, Phase::Calling)
    }

    /// Whether a final response is still to come.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Calling | Phase::Proceeding | Phase::Canceling)
    }

    /// What a CANCEL is made of, until the INVITE has its final response.
    pub fn skeleton(&self) -> Option<&Request> {
        self.skeleton.as_deref()
    }

    fn repeat(&mut self, now: Instant) {
        self.effects.push(Effect::Resend(self.message.clone()));
        self.pause = doubled(self.pause, PATIENCE);
        self.repeat_at = Some(now + self.pause);
    }

    fn proceed(&mut self) {
        self.phase = Phase::Proceeding;
        self.message = Bytes::new();
        self.repeat_at = None;
        self.end_at = None;
        self.effects.push(Effect::Deliver);
    }

    fn accept(&mut self, now: Instant) {
        self.phase = Phase::Accepted;
        self.message = Bytes::new();
        self.skeleton = None;
        self.repeat_at = None;
        self.end_at = Some(now + PATIENCE);
        self.effects.push(Effect::Deliver);
    }

    fn complete(&mut self, now: Instant, response: Option<&Response>) {
        self.phase = Phase::Completed;
        self.repeat_at = None;
        if let (Some(skeleton), Some(response)) = (self.skeleton.take(), response) {
            self.message = ack(*skeleton, response);
            self.effects.push(Effect::Send(self.message.clone()));
        }
        self.effects.push(Effect::Deliver);
        // On a reliable transport timer D is zero: nothing comes twice.
        if self.transport.repeats() {
            self.end_at = Some(now + PATIENCE);
        } else {
            self.finish(Finish::Done);
        }
    }

    fn repeat_ack(&mut self) {
        if self.repeats_left > 0 {
            self.repeats_left -= 1;
            self.effects.push(Effect::Send(self.message.clone()));
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.phase = Phase::Terminated;
        self.repeat_at = None;
        self.end_at = None;
        self.effects.push(Effect::Terminated(finish));
    }
}

impl Class {
    fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Provisional,
            200..300 => Self::Success,
            300.. => Self::Refusal,
        }
    }
}
