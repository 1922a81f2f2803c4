//! Where scripts are evaluated: beside the runtime's workers, for as long as a call can wait.
//!
//! ECMAScript is stopped after a bounded amount of work, which it counts by turns of loops and by
//! calls. One builtin on a text of megabytes is a single call: a loop of nothing else takes minutes
//! to be noticed, and no thread can be ended from outside. So its call goes on without it, and its
//! account may have no more than a few such threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::ids::AccountId;

/// Longest that a call waits for its script; what scripts may do takes a second on an idle machine.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Evaluations of an account that were given up and still run, beyond which it gets no others.
const GIVEN_UP_MAX: usize = 2;

/// All evaluations under way; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Evaluations {
    /// Those that were given up and still run.
    given_up: Arc<Mutex<HashMap<AccountId, usize>>>,
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
        if self.count(account) >= GIVEN_UP_MAX {
            return Err(EvaluationError::Refused);
        }
        let turn = Arc::new(Turn { all: self.clone(), account, stage: Mutex::default() });
        let ending = Ending(Arc::clone(&turn));
        let running = tokio::task::spawn_blocking(move || {
            let _ending = ending;
            work()
        });
        match tokio::time::timeout(wait_max, running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "script machine broke");
                Err(EvaluationError::Broken)
            }
            Err(_) => {
                turn.give_up();
                Err(EvaluationError::TooLong)
            }
        }
    }

    fn count(&self, account: AccountId) -> usize {
        self.lock().get(&account).copied().unwrap_or(0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, usize>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one evaluation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Running,
    Ended,
    GivenUp,
}

struct Turn {
    all: Evaluations,
    account: AccountId,
    stage: Mutex<Stage>,
}

impl Turn {
    fn stage(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self) {
        let mut stage = self.stage();
        // It may have ended in the same moment.
        if *stage == Stage::Running {
            *stage = Stage::GivenUp;
            *self.all.lock().entry(self.account).or_default() += 1;
            tracing::warn!(account.id = %self.account, "a script does not end and was given up");
        }
    }

    fn end(&self) {
        let before = std::mem::replace(&mut *self.stage(), Stage::Ended);
        if before == Stage::GivenUp {
            let mut given_up = self.all.lock();
            let left = given_up.get(&self.account).copied().unwrap_or(0).saturating_sub(1);
            if left == 0 {
                given_up.remove(&self.account);
            } else {
                given_up.insert(self.account, left);
            }
            tracing::info!(account.id = %self.account, "a script that was given up has ended");
        }
    }
}

/// Tells the end of the work, however it ends.
struct Ending(Arc<Turn>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
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
        while evaluations.count(OWN) == GIVEN_UP_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(evaluations.run_within(LONG, OWN, || 1 + 1).await, Ok(2));
        drop(stuck);
        while evaluations.count(OWN) > 0 {
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
        assert_eq!(evaluations.count(OWN), 0);
    }
}
