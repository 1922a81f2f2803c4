//! The server's half of any request but INVITE and ACK: MACHINE of RFC 3261 §17.2.2.
//!
//! `handle` takes our responses, repeated requests, transport failures and expired timers; `poll`
//! gives what to send; `deadline` says when it wants to be woken.

use std::time::Instant;

use bytes::Bytes;

use super::{Effect, Effects, Finish, REPEATS_MAX, Transport};
use crate::sip::timers::{PATIENCE, Timer};

/// One request received, until it can come again no more.
#[derive(Debug)]
pub struct Server {
    phase: Phase,
    transport: Transport,
    /// The last response given.
    message: Bytes,
    /// Timer J.
    end_at: Option<Instant>,
    /// Repeated requests that are still answered.
    repeats_left: u8,
    effects: Effects,
}

/// What can happen to the server transaction of a request other than INVITE.
#[derive(Clone, Debug)]
pub enum Input {
    /// A timer this machine asked for has run out.
    Expired(Timer),
    /// The layer above responds.
    Respond(u16, Bytes),
    /// The same request arrived again.
    Repeated,
    /// The transport says that it cannot deliver.
    TransportFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl Server {
    /// A request arrived; nothing is sent until the layer above responds.
    pub fn new(transport: Transport) -> Self {
        Self {
            phase: Phase::Trying,
            transport,
            message: Bytes::new(),
            end_at: None,
            repeats_left: REPEATS_MAX,
            effects: Effects::default(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        use Phase::{Completed, Proceeding, Terminated, Trying};
        match (self.phase, input) {
            (Trying | Proceeding, Input::Respond(..200, message)) => {
                self.phase = Proceeding;
                self.send(message);
            }
            (Trying | Proceeding, Input::Respond(200.., message)) => self.complete(now, message),
            (Proceeding | Completed, Input::Repeated) => self.repeat_answer(),
            (Proceeding | Completed, Input::TransportFailed) => self.finish(Finish::Transport),
            (Completed, Input::Expired(Timer::J)) => self.finish(Finish::Done),
            // Absorbed: repetitions before the first answer, answers after the answer.
            (Trying | Proceeding | Completed | Terminated, input) => {
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
        self.end_at.map(|at| (at, Timer::J))
    }

    /// Whether the final response is still to be given.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Trying | Phase::Proceeding)
    }

    fn send(&mut self, message: Bytes) {
        self.message = message;
        self.effects.push(Effect::Send(self.message.clone()));
    }

    fn complete(&mut self, now: Instant, message: Bytes) {
        self.phase = Phase::Completed;
        self.send(message);
        // On a reliable transport timer J is zero: nothing comes twice.
        if self.transport.repeats() {
            self.end_at = Some(now + PATIENCE);
        } else {
            self.finish(Finish::Done);
        }
    }

    fn repeat_answer(&mut self) {
        if self.repeats_left > 0 {
            self.repeats_left -= 1;
            self.effects.push(Effect::Send(self.message.clone()));
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.phase = Phase::Terminated;
        self.message = Bytes::new();
        self.end_at = None;
        self.effects.push(Effect::Terminated(finish));
    }
}

impl Input {
    /// For the log, which shows no messages.
    const fn name(&self) -> &'static str {
        match self {
            Self::Expired(_) => "expired",
            Self::Respond(..) => "respond",
            Self::Repeated => "repeated",
            Self::TransportFailed => "transport failed",
        }
    }
}
