//! What waits for the writer: bounded, in order, handed over a group at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;
use crate::ahead::Want;
use crate::driver::Surety;
use crate::tx::Tx;

/// Rows that one group may write: what a caller waits for behind an upload stays a few
/// milliseconds.
const GROUP_ROWS_MAX: usize = 1_000;

/// One operation: it may run again after a group failed, and then answers once.
pub(crate) trait Work: Send {
    /// Does it inside a transaction.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Tells the caller: what it did is committed, or why not.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

/// How long an operation may wait for company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Haste {
    /// Until something with more haste comes, or for the longest delay of a note.
    Note,
    /// A little: nobody looks on, and calls come one after the other.
    Soon,
    /// Hardly: somebody waits for the answer.
    Now,
}

/// How an operation is done: how soon, and how surely it is on disk once it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// How long it may wait for company.
    pub haste: Haste,
    /// How sure its commit is.
    pub surety: Surety,
}

impl Manner {
    /// For clients and people: at once, and it outlives the power.
    pub(crate) const ASKED: Self = Self { haste: Haste::Now, surety: Surety::Power };
    /// For calls: with those of other calls, and it outlives the power.
    pub(crate) const DIALED: Self = Self { haste: Haste::Soon, surety: Surety::Power };
    /// What may come late, and is found again where it is lost.
    pub(crate) const NOTED: Self = Self { haste: Haste::Note, surety: Surety::Process };
    /// Many rows at once that count only with a later commit, or are found again.
    pub(crate) const PREPARED: Self = Self { haste: Haste::Now, surety: Surety::Process };
}

/// An operation that waits.
pub(crate) struct Op {
    /// How it is done.
    pub manner: Manner,
    /// Rows that it writes, roughly.
    pub rows: usize,
    /// What it will read first.
    pub want: Want,
    /// What it does.
    pub work: Box<dyn Work>,
    /// Its place among those that may wait; free again once it is answered.
    pub place: OwnedSemaphorePermit,
}

/// The operations that wait for the writer.
pub(crate) struct Inbox {
    places: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    limits: Limits,
}

/// How groups are formed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a group waits for others once something in it is asked for now.
    pub window: Duration,
    /// How much longer it waits before, where all in it is wanted but soon.
    pub soon_window: Duration,
    /// How long notes wait for something with more haste.
    pub note_delay_max: Duration,
    /// Operations in a group.
    pub ops_max: usize,
    /// Operations that may wait; callers beyond wait for a place.
    pub places: usize,
}

struct Waiting {
    ops: VecDeque<Op>,
    /// Those of them that are wanted soon or now.
    soon: usize,
    /// Those of them that are wanted now.
    now: usize,
    rows: usize,
    closed: bool,
    /// What the writer sleeps for, if it does.
    sleeper: Option<Sleeper>,
}

/// What ends the writer's sleep, beside a full group and the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleeper {
    /// Nothing: it waits for company.
    Company,
    /// Something wanted now.
    Now,
    /// Something wanted soon.
    Soon,
    /// Anything.
    Work,
}

impl Inbox {
    /// An empty inbox.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.places)),
            waiting: Mutex::new(Waiting {
                ops: VecDeque::new(),
                soon: 0,
                now: 0,
                rows: 0,
                closed: false,
                sleeper: None,
            }),
            arrived: Condvar::new(),
            limits,
        }
    }

    /// Takes an operation in, once there is a place for it.
    pub(crate) async fn put(
        &self,
        manner: Manner,
        rows: usize,
        want: Want,
        work: Box<dyn Work>,
    ) -> Result<(), StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        waiting.count(manner.haste, 1);
        waiting.rows += rows;
        waiting.ops.push_back(Op { manner, rows, want, work, place });
        let wake = waiting.sleeper.is_some_and(|sleeper| self.awake(&waiting, sleeper));
        drop(waiting);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes nothing in any more; what waits is still handed over.
    pub(crate) fn close(&self) {
        self.places.close();
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// The next group, oldest first; empty at once where there is none and `chores` wait, `None`
    /// after the last one of a closed inbox.
    pub(crate) fn group(&self, chores: bool) -> Option<Vec<Op>> {
        let mut waiting = self.lock();
        if !chores {
            waiting.sleeper = Some(Sleeper::Work);
            waiting = self
                .arrived
                .wait_while(waiting, |waiting| !self.awake(waiting, Sleeper::Work))
                .unwrap_or_else(PoisonError::into_inner);
            waiting = self.sleep(waiting, Sleeper::Soon, self.limits.note_delay_max);
            waiting = self.sleep(waiting, Sleeper::Now, self.limits.soon_window);
            waiting = self.sleep(waiting, Sleeper::Company, self.limits.window);
            waiting.sleeper = None;
        }
        if waiting.ops.is_empty() && waiting.closed {
            return None;
        }
        Some(waiting.take(self.limits.ops_max))
    }

    /// Waits, as long as nobody closes; `false` where somebody has.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let (waiting, _) = self
            .arrived
            .wait_timeout_while(self.lock(), time, |waiting| !waiting.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !waiting.closed
    }

    /// All that waits, to be refused.
    pub(crate) fn all(&self) -> Vec<Op> {
        let mut waiting = self.lock();
        let most = waiting.ops.len();
        let mut all = Vec::new();
        while all.len() < most {
            all.extend(waiting.take(most));
        }
        all
    }

    fn sleep<'w>(
        &self,
        mut waiting: MutexGuard<'w, Waiting>,
        sleeper: Sleeper,
        longest: Duration,
    ) -> MutexGuard<'w, Waiting> {
        if longest.is_zero() || self.awake(&waiting, sleeper) {
            return waiting;
        }
        waiting.sleeper = Some(sleeper);
        self.arrived
            .wait_timeout_while(waiting, longest, |waiting| !self.awake(waiting, sleeper))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Whether there is what the writer sleeps for.
    fn awake(&self, waiting: &Waiting, sleeper: Sleeper) -> bool {
        let there = match sleeper {
            Sleeper::Company => false,
            Sleeper::Now => waiting.now > 0,
            Sleeper::Soon => waiting.soon > 0,
            Sleeper::Work => !waiting.ops.is_empty(),
        };
        let full = waiting.ops.len() >= self.limits.ops_max || waiting.rows >= GROUP_ROWS_MAX;
        there || full || waiting.closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here is left half done by a panic: every change is one push or one pop.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn count(&mut self, haste: Haste, by: isize) {
        self.soon = self.soon.wrapping_add_signed(if haste >= Haste::Soon { by } else { 0 });
        self.now = self.now.wrapping_add_signed(if haste == Haste::Now { by } else { 0 });
    }

    fn take(&mut self, ops_max: usize) -> Vec<Op> {
        let mut group = Vec::new();
        let mut rows = 0;
        while group.len() < ops_max && rows < GROUP_ROWS_MAX {
            let Some(op) = self.ops.pop_front() else {
                break;
            };
            rows += op.rows;
            self.count(op.manner.haste, -1);
            group.push(op);
        }
        self.rows -= rows;
        group
    }
}
