//! The live calls by attempt, so that they can be counted, canceled and interrupted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::application::PageAddress;
use domain::ids::AttemptId;
use tokio::sync::{mpsc, watch};

use crate::config::TapeState;
use crate::control::Interrupted;

/// What may be asked of a call before it looks.
const ASKS_MAX: usize = 16;
/// How many of these places interrupts leave free, for cancels.
const CANCELS_MIN: usize = 2;
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

/// Where the script of a live call stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Running {
    /// Nobody has answered yet, or it is not known who did.
    #[default]
    NotYet,
    /// It runs.
    Now,
    /// It has ended, or comes to its end: nothing can be asked of it any more.
    Over,
}

/// The live calls; clones are the same set.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveCalls(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    live: HashMap<AttemptId, Live>,
    /// Recordings under way.
    tapes: HashMap<AttemptId, watch::Sender<TapeState>>,
    /// Cancels of attempts between their commit and their first instant of life, oldest first.
    early: VecDeque<(AttemptId, String)>,
}

#[derive(Debug)]
struct Live {
    asks: mpsc::Sender<CallAsk>,
    script: Running,
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
        calls.live.insert(attempt, Live { asks: cancel, script: Running::NotYet });
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
                call.asks.try_send(CallAsk::Cancel(reason.to_owned())).ok();
            }
            None => {
                if calls.early.len() >= EARLY_MAX {
                    calls.early.pop_front();
                }
                calls.early.push_back((attempt, reason.to_owned()));
            }
        }
    }

    /// The script of a call begins, or is over; over it stays.
    pub(crate) fn set_script(&self, attempt: AttemptId, script: Running) {
        if let Some(call) = self.calls().live.get_mut(&attempt)
            && call.script != Running::Over
        {
            call.script = script;
        }
    }

    /// Asks a call to stop what its script does; `None`: there is no such call here.
    pub(crate) fn interrupt(
        &self,
        attempt: AttemptId,
        page: Option<PageAddress>,
    ) -> Option<Interrupted> {
        let calls = self.calls();
        let call = calls.live.get(&attempt)?;
        Some(match call.script {
            Running::NotYet => Interrupted::NotRunning,
            Running::Over => Interrupted::Completed,
            // It has not done yet what it was asked before, and may not be asked for ever.
            Running::Now if call.asks.capacity() <= CANCELS_MIN => Interrupted::Busy,
            Running::Now => match call.asks.try_send(CallAsk::Interrupt(page)) {
                Ok(()) => Interrupted::Done,
                Err(_) => Interrupted::Completed,
            },
        })
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
            call.asks.try_send(CallAsk::Cancel(reason.to_owned())).ok();
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
    fn only_a_script_that_runs_is_interrupted() {
        let calls = LiveCalls::default();
        let call = AttemptId(1);
        assert_eq!(calls.interrupt(call, None), None);
        let mut asked = calls.begin(call);
        assert_eq!(calls.interrupt(call, None), Some(Interrupted::NotRunning));
        calls.set_script(call, Running::Now);
        assert_eq!(calls.interrupt(call, None), Some(Interrupted::Done));
        assert_eq!(asked.try_recv(), Ok(CallAsk::Interrupt(None)));
        calls.set_script(call, Running::Over);
        calls.set_script(call, Running::Now);
        assert_eq!(calls.interrupt(call, None), Some(Interrupted::Completed));
        calls.end(call);
        assert_eq!(calls.interrupt(call, None), None);
    }

    #[test]
    fn cancel_finds_a_place_however_many_interrupts_wait() {
        let calls = LiveCalls::default();
        let mut asked = calls.begin(AttemptId(1));
        calls.set_script(AttemptId(1), Running::Now);
        let all = (0..100).map(|_| calls.interrupt(AttemptId(1), None));
        assert_eq!(all.filter(|it| *it == Some(Interrupted::Busy)).count(), 100 - 14);
        calls.cancel(AttemptId(1), "enough");
        let all: Vec<CallAsk> = std::iter::from_fn(|| asked.try_recv().ok()).collect();
        assert_eq!(all.last(), Some(&CallAsk::Cancel("enough".into())));
    }

    #[test]
    fn cancels_of_attempts_that_never_live_do_not_pile_up() {
        let calls = LiveCalls::default();
        (0..10_000).for_each(|n| calls.cancel(AttemptId(n), "late"));
        assert!(calls.calls().early.len() <= EARLY_MAX);
    }
}
