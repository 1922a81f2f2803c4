//! The client's half of any request but INVITE and ACK: MACHINE of RFC 3261 §17.1.2.
//!
//! `handle` takes responses, transport failures and expired timers; `poll` gives what to send and
//! what to pass up; `deadline` says when it wants to be woken.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Effects, Finish, Transport};
use crate::sip::timers::{PATIENCE, T1, T2, T4, Timer, doubled};

/// One request sent, until nothing of it can come back any more.
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    transport: Transport,
    /// The request while it may be repeated.
    message: Bytes,
    /// Timer E's current pause.
    pause: Duration,
    repeat_at: Option<Instant>,
    /// Timer F or K, as the phase says.
    end_at: Option<Instant>,
    effects: Effects,
}

/// What can happen to a client transaction.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// A timer this machine asked for has run out.
    Expired(Timer),
    /// A response with this status arrived.
    Response(u16),
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

impl Client {
    /// Sends the request: the first effect is `Send`.
    pub fn new(now: Instant, message: Bytes, transport: Transport) -> Self {
        let mut effects = Effects::default();
        effects.push(Effect::Send(message.clone()));
        Self {
            phase: Phase::Trying,
            transport,
            message,
            pause: T1,
            repeat_at: transport.repeats().then(|| now + T1),
            end_at: Some(now + PATIENCE),
            effects,
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        use Phase::{Completed, Proceeding, Terminated, Trying};
        match (self.phase, input) {
            (Trying, Input::Expired(Timer::E)) => {
                self.repeat(now, doubled(self.pause, T2));
            }
            (Proceeding, Input::Expired(Timer::E)) => self.repeat(now, T2),
            (Trying | Proceeding, Input::Expired(Timer::F)) => self.finish(Finish::Timeout),
            (Trying | Proceeding, Input::TransportFailed) => self.finish(Finish::Transport),
            (Trying, Input::Response(..200)) => {
                self.phase = Proceeding;
                self.effects.push(Effect::Deliver);
            }
            (Proceeding, Input::Response(..200)) => self.effects.push(Effect::Deliver),
            (Trying | Proceeding, Input::Response(200..)) => self.complete(now),
            (Completed, Input::Expired(Timer::K)) => self.finish(Finish::Done),
            // Late: repeated responses, timers that lost their race.
            (Trying | Proceeding | Completed | Terminated, input) => {
                tracing::trace!(phase = ?self.phase, ?input, "ignored");
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
            Phase::Trying | Phase::Proceeding => Timer::F,
            Phase::Completed => Timer::K,
            Phase::Terminated => return None,
        };
        let repeat = self.repeat_at.map(|at| (at, Timer::E));
        let end = self.end_at.map(|at| (at, end));
        repeat.into_iter().chain(end).min_by_key(|(at, _)| *at)
    }

    /// Whether a final response is still to come.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Trying | Phase::Proceeding)
    }

    fn repeat(&mut self, now: Instant, pause: Duration) {
        self.effects.push(Effect::Resend(self.message.clone()));
        self.pause = pause;
        self.repeat_at = Some(now + pause);
    }

    fn complete(&mut self, now: Instant) {
        self.phase = Phase::Completed;
        self.message = Bytes::new();
        self.repeat_at = None;
        self.effects.push(Effect::Deliver);
        // On a reliable transport timer K is zero: nothing comes twice.
        if self.transport.repeats() {
            self.end_at = Some(now + T4);
        } else {
            self.finish(Finish::Done);
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
