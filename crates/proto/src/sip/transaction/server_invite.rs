//! The server's half of an INVITE: MACHINE of RFC 3261 §17.2.1 as corrected by RFC 6026 §7.1.
//!
//! `handle` takes our responses, repeated requests, ACKs, transport failures and expired timers;
//! `poll` gives what to send and what to pass up; `deadline` says when it wants to be woken.
//! Repeating a 2xx until its ACK comes is the layer above's business, not the transaction's.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Effects, Finish, REPEATS_MAX, Transport};
use crate::sip::timers::{PATIENCE, T1, T2, T4, Timer, doubled};

/// One INVITE received, until nothing of it can come again.
#[derive(Debug)]
pub struct ServerInvite {
    phase: Phase,
    transport: Transport,
    /// The last provisional response, then the refusal.
    message: Bytes,
    /// Timer G's current pause.
    pause: Duration,
    repeat_at: Option<Instant>,
    /// Timer H, I or L, as the phase says.
    end_at: Option<Instant>,
    /// Repeated INVITEs that are still answered.
    repeats_left: u8,
    effects: Effects,
}

/// What can happen to the server transaction of an INVITE.
#[derive(Clone, Debug)]
pub enum Input {
    /// The ACK arrived: of a refusal in this transaction, of a 2xx by way of the dialog.
    Ack,
    /// A timer this machine asked for has run out.
    Expired(Timer),
    /// The layer above responds.
    Respond(u16, Bytes),
    /// The same INVITE arrived again.
    Repeated,
    /// The transport says that it cannot deliver.
    TransportFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

impl ServerInvite {
    /// An INVITE arrived; nothing is sent until the layer above responds.
    pub fn new(transport: Transport) -> Self {
        Self {
            phase: Phase::Proceeding,
            transport,
            message: Bytes::new(),
            pause: T1,
            repeat_at: None,
            end_at: None,
            repeats_left: REPEATS_MAX,
            effects: Effects::default(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        use Phase::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match (self.phase, input) {
            (Proceeding, Input::Repeated) => self.repeat_answer(),
            (Proceeding, Input::Respond(..200, message)) => self.send(message),
            (Proceeding, Input::Respond(200..300, message)) => {
                self.accept(now);
                self.effects.push(Effect::Send(message));
            }
            (Proceeding, Input::Respond(300.., message)) => self.complete(now, message),
            (Proceeding | Completed, Input::TransportFailed) => self.finish(Finish::Transport),
            (Completed, Input::Repeated) => self.repeat_answer(),
            (Completed, Input::Expired(Timer::G)) => self.repeat(now),
            (Completed, Input::Expired(Timer::H)) => self.finish(Finish::Timeout),
            (Completed, Input::Ack) => self.confirm(now),
            (Confirmed, Input::Expired(Timer::I)) => self.finish(Finish::Done),
            (Accepted, Input::Ack) => self.effects.push(Effect::Deliver),
            (Accepted, Input::Respond(200..300, message)) => {
                self.effects.push(Effect::Resend(message));
            }
            (Accepted, Input::Expired(Timer::L)) => self.finish(Finish::Done),
            // Absorbed: repeated INVITEs and ACKs, answers after the answer, late timers.
            (Proceeding | Completed | Confirmed | Accepted | Terminated, input) => {
                tracing::trace!(phase = ?self.phase, input = input.name(), "ignored");
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
            Phase::Completed => Timer::H,
            Phase::Confirmed => Timer::I,
            Phase::Accepted => Timer::L,
            Phase::Proceeding | Phase::Terminated => return None,
        };
        let repeat = self.repeat_at.map(|at| (at, Timer::G));
        let end = self.end_at.map(|at| (at, end));
        repeat.into_iter().chain(end).min_by_key(|(at, _)| *at)
    }

    /// Whether the final response is still to be given.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Proceeding)
    }

    fn send(&mut self, message: Bytes) {
        self.message = message;
        self.effects.push(Effect::Send(self.message.clone()));
    }

    fn accept(&mut self, now: Instant) {
        self.phase = Phase::Accepted;
        self.message = Bytes::new();
        self.end_at = Some(now + PATIENCE);
    }

    fn complete(&mut self, now: Instant, message: Bytes) {
        self.phase = Phase::Completed;
        self.repeat_at = self.transport.repeats().then(|| now + T1);
        self.end_at = Some(now + PATIENCE);
        self.send(message);
    }

    fn confirm(&mut self, now: Instant) {
        self.phase = Phase::Confirmed;
        self.message = Bytes::new();
        self.repeat_at = None;
        // On a reliable transport timer I is zero: no ACK comes twice.
        if self.transport.repeats() {
            self.end_at = Some(now + T4);
        } else {
            self.finish(Finish::Done);
        }
    }

    fn repeat(&mut self, now: Instant) {
        self.effects.push(Effect::Resend(self.message.clone()));
        self.pause = doubled(self.pause, T2);
        self.repeat_at = Some(now + self.pause);
    }

    fn repeat_answer(&mut self) {
        if self.repeats_left > 0 && !self.message.is_empty() {
            self.repeats_left -= 1;
            self.effects.push(Effect::Send(self.message.clone()));
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.phase = Phase::Terminated;
        self.message = Bytes::new();
        self.repeat_at = None;
        self.end_at = None;
        self.effects.push(Effect::Terminated(finish));
    }
}

impl Input {
    /// For the log, which shows no messages.
    const fn name(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Expired(_) => "expired",
            Self::Respond(..) => "respond",
            Self::Repeated => "repeated",
            Self::TransportFailed => "transport failed",
        }
    }
}
