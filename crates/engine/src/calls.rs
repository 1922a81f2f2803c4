//! The live calls by attempt, so that they can be counted, canceled and interrupted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::application::PageAddress;
use domain::ids::AttemptId;
use tokio::sync::{mpsc, watch};

use crate::config::TapeState;

/// What may be asked of a call before it looks; a cancel finds a place beside interrupts.
const ASKS_MAX: usize = 16;
/// Cancels kept for attempts that are written down but not yet live; far more than one batch.
const EARLY_MAX: usize = 4_096;

/// What is asked of a call from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallAsk {
    /// To end, for this reason.
    Cancel(String),
    /// To stop what its script does now, and go on with this page, or end.
    Interrupt(Option<PageAddress>),
}

/// The live calls; clones are the same set.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveCalls(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    live: HashMap<AttemptId, mpsc::Sender<CallAsk>>,
    /// Recordings under way.
    tapes: HashMap<AttemptId, watch::Sender<TapeState>>,
    /// Cancels of attempts between their commit and their first instant of life, oldest first.
    early: VecDeque<(AttemptId, String)>,
}

impl LiveCalls {
    /// A call begins; what it receives is asked of it, a cancel that came early included.
    pub(crate) fn begin(&self, attempt: AttemptId) -> mpsc::Receiver<CallAsk> {
        let (cancel, canceled) = mpsc::channel(ASKS_MAX);
        let mut calls = self.calls();
        if let Some(at) = calls.early.iter().position(|(early, _)| *early == attempt)
            && let Some((_, reason)) = calls.early.remove(at)
        {
            cancel.try_send(CallAsk::Cancel(reason)).ok();
        }
        calls.live.insert(attempt, cancel);
        canceled
    }

    /// A call has ended.
    pub(crate) fn end(&self, attempt: AttemptId) {
        let mut calls = self.calls();
        calls.live.remove(&attempt);
        calls.tapes.remove(&attempt);
    }

    /// Asks a call to end; to be asked twice, or after its end, does it no harm.
    pub(crate) fn cancel(&self, attempt: AttemptId, reason: &str) {
        let mut calls = self.calls();
        match calls.live.get(&attempt) {
            Some(call) => {
                call.try_send(CallAsk::Cancel(reason.to_owned())).ok();
            }
            None => {
                if calls.early.len() >= EARLY_MAX {
                    calls.early.pop_front();
                }
                calls.early.push_back((attempt, reason.to_owned()));
            }
        }
    }

    /// Asks a call to stop what its script does; whether it lives here.
    pub(crate) fn interrupt(&self, attempt: AttemptId, page: Option<PageAddress>) -> bool {
        let calls = self.calls();
        let asked = calls.live.get(&attempt).map(|it| it.try_send(CallAsk::Interrupt(page)));
        matches!(asked, Some(Ok(())))
    }

    /// A recording of this call begins; whether it is paused is heard from the answer.
    pub(crate) fn tape(&self, attempt: AttemptId) -> watch::Receiver<TapeState> {
        let (pause, state) = watch::channel(TapeState::Running);
        self.calls().tapes.insert(attempt, pause);
        state
    }

    /// Pauses the recording of a call, or lets it go on; `false` where it is not recorded here.
    pub(crate) fn set_tape(&self, attempt: AttemptId, state: TapeState) -> bool {
        match self.calls().tapes.get(&attempt) {
            Some(tape) => {
                tape.send_replace(state);
                true
            }
            None => false,
        }
    }

    /// Asks every call to end.
    pub(crate) fn cancel_all(&self, reason: &str) {
        for call in self.calls().live.values() {
            call.try_send(CallAsk::Cancel(reason.to_owned())).ok();
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.calls().live.len()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancel_before_the_first_instant_of_a_call_is_not_lost() {
        let calls = LiveCalls::default();
        calls.cancel(AttemptId(1), "changed my mind");
        let asked = calls.begin(AttemptId(1)).try_recv().unwrap();
        assert_eq!(asked, CallAsk::Cancel("changed my mind".into()));
        assert!(calls.begin(AttemptId(2)).try_recv().is_err());
    }

    #[test]
    fn cancels_of_attempts_that_never_live_do_not_pile_up() {
        let calls = LiveCalls::default();
        (0..10_000).for_each(|n| calls.cancel(AttemptId(n), "late"));
        assert!(calls.calls().early.len() <= EARLY_MAX);
    }
}
