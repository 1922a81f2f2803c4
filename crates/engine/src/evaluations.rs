//! Where scripts are evaluated: beside the runtime's workers, for as long as a call can wait.
//!
//! ECMAScript is stopped after a bounded amount of work, which it counts by turns of loops and by
//! calls. One builtin on a text of megabytes is a single call: a loop of nothing else takes minutes
//! to be noticed, and no thread can be ended from outside. So its call goes on without it, and its
//! account may have no more than a few such threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::AccountId;

use crate::clock::Clock;

/// Longest that a call waits for its script; what scripts may do takes a second on an idle machine.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Evaluations of an account that were given up and still run, beyond which it gets no others.
const GIVEN_UP_MAX: usize = 2;

/// All evaluations under way; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Evaluations {
    clock: Clock,
    /// When each is given up, whether or not its call still waits for it then; no empty lists.
    under_way: Arc<Mutex<HashMap<AccountId, Vec<Instant>>>>,
}

/// Why an evaluation came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvaluationError {
    /// It panicked: ours to repair.
    #[error("internal error in the script")]
    Broken,
    /// Others of the account do not end; whoever writes its scripts repairs it.
    #[error(
        "error.limit: limit given_up_max: {GIVEN_UP_MAX} scripts of this account were given up and \
         still run; no other is run until one of them ends"
    )]
    Refused,
    /// It does not end; whoever writes the script repairs it.
    #[error(
        "error.limit: limit wait_max: the script did not come back within {} s; the call ends \
         without it",
        WAIT_MAX.as_secs()
    )]
    TooLong,
}

impl Evaluations {
    /// Does this work for an account's call.
    ///
    /// Where the call ends meanwhile the work goes on, and counts as given up from the moment from
    /// which nobody would have waited for it any longer.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, EvaluationError> {
        self.run_within(WAIT_MAX, account, work).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        wait_max: Duration,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, EvaluationError> {
        if self.given_up(account) >= GIVEN_UP_MAX {
            return Err(EvaluationError::Refused);
        }
        let turn = Turn::begin(self, account, self.clock.instant() + wait_max);
        let running = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match tokio::time::timeout(wait_max, running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "script machine broke");
                Err(EvaluationError::Broken)
            }
            Err(_) => {
                tracing::warn!(account.id = %account, "a script does not end and was given up");
                Err(EvaluationError::TooLong)
            }
        }
    }

    /// How many of an account run for longer than anybody waits.
    fn given_up(&self, account: AccountId) -> usize {
        let now = self.clock.instant();
        let under_way = self.lock();
        let of_account = under_way.get(&account).into_iter().flatten();
        of_account.filter(|given_up_at| **given_up_at <= now).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Vec<Instant>>> {
        // A panic leaves nothing half done: every change is one push or one removal.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One evaluation, from when it is asked for until its work is over, however that ends.
struct Turn {
    all: Evaluations,
    account: AccountId,
    given_up_at: Instant,
}

impl Turn {
    fn begin(all: &Evaluations, account: AccountId, given_up_at: Instant) -> Self {
        all.lock().entry(account).or_default().push(given_up_at);
        Self { all: all.clone(), account, given_up_at }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.all.lock();
        if let Some(of_account) = under_way.get_mut(&self.account) {
            // Two that are given up in the same moment are as good as each other.
            if let Some(nth) = of_account.iter().position(|at| *at == self.given_up_at) {
                of_account.swap_remove(nth);
            }
            if of_account.is_empty() {
                under_way.remove(&self.account);
            }
        }
        drop(under_way);
        if self.given_up_at <= self.all.clock.instant() {
            tracing::info!(account.id = %self.account, "a script that was given up has ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const OWN: AccountId = AccountId(1);
    const OTHER: AccountId = AccountId(2);
    /// Longer than any machine needs to add two numbers.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn script_that_does_not_end_is_given_up_and_bounds_those_of_its_account_alone() {
        let evaluations = Evaluations::default();
        let mut stuck = Vec::new();
        for _ in 0..GIVEN_UP_MAX {
            let (end, ended) = mpsc::channel::<()>();
            stuck.push(end);
            let work = move || ended.recv().is_ok();
            let given_up = evaluations.run_within(Duration::from_millis(1), OWN, work).await;
            assert_eq!(given_up, Err(EvaluationError::TooLong));
        }
        let more = evaluations.run_within(LONG, OWN, || 1 + 1).await;
        assert_eq!(more, Err(EvaluationError::Refused));
        assert_eq!(evaluations.run_within(LONG, OTHER, || 1 + 1).await, Ok(2));
        stuck.pop();
        while evaluations.given_up(OWN) == GIVEN_UP_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(evaluations.run_within(LONG, OWN, || 1 + 1).await, Ok(2));
        drop(stuck);
        while evaluations.given_up(OWN) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(evaluations.lock().is_empty());
    }

    #[tokio::test]
    async fn script_that_breaks_is_told_and_not_counted() {
        let evaluations = Evaluations::default();
        let work = || -> u32 { panic!("broken") };
        let broken = evaluations.run_within(LONG, OWN, work).await;
        assert_eq!(broken, Err(EvaluationError::Broken));
        assert!(evaluations.lock().is_empty());
    }

    /// Begins work whose call ends at once.
    async fn leave(evaluations: &Evaluations, wait_max: Duration) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel::<()>();
        let work = move || ended.recv().is_ok();
        tokio::select! {
            biased;
            _ = evaluations.run_within(wait_max, OWN, work) => panic!("it does not end"),
            () = std::future::ready(()) => end,
        }
    }

    #[tokio::test]
    async fn script_whose_call_has_ended_is_counted_once_nobody_would_wait_for_it() {
        let evaluations = Evaluations::default();
        let mut stuck = Vec::new();
        for _ in 0..GIVEN_UP_MAX {
            stuck.push(leave(&evaluations, Duration::from_millis(1)).await);
        }
        while evaluations.given_up(OWN) < GIVEN_UP_MAX {
            tokio::task::yield_now().await;
        }
        let more = evaluations.run_within(LONG, OWN, || 1 + 1).await;
        assert_eq!(more, Err(EvaluationError::Refused));
        drop(stuck);
        while !evaluations.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(evaluations.run_within(LONG, OWN, || 1 + 1).await, Ok(2));
    }

    #[tokio::test]
    async fn callees_who_hang_up_while_scripts_run_keep_no_other_call_from_its_script() {
        let evaluations = Evaluations::default();
        let mut running = Vec::new();
        for _ in 0..10 * GIVEN_UP_MAX {
            running.push(leave(&evaluations, LONG).await);
        }
        assert_eq!(evaluations.run_within(LONG, OWN, || 1 + 1).await, Ok(2));
    }
}
