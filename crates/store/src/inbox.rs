//! What waits for the writer: bounded, in order, handed over a group at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;
use crate::tx::Tx;
use std::sync::Arc;

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
    /// One group; it outlives the process once answered.
    Process,
    /// One group; it outlives the machine's power once answered.
    Power,
}

/// An operation that waits.
pub(crate) struct Op {
    /// How long it may.
    pub haste: Haste,
    /// Rows that it writes, roughly.
    pub rows: usize,
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
    /// How long a group's first operation waits for others.
    pub window: Duration,
    /// Operations in a group.
    pub ops_max: usize,
    /// How long notes wait for something with more haste.
    pub note_delay_max: Duration,
    /// Operations that may wait; callers beyond wait for a place.
    pub places: usize,
}

struct Waiting {
    ops: VecDeque<Op>,
    /// Those of them that are not notes.
    hasty: usize,
    rows: usize,
    closed: bool,
    /// The writer sleeps, and for what.
    sleeper: Sleeper,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleeper {
    /// Until a group is full.
    Company,
    /// Until something with haste comes.
    Haste,
    /// Nobody sleeps.
    None,
    /// Until anything comes.
    Work,
}

impl Inbox {
    /// An empty inbox.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.places)),
            waiting: Mutex::new(Waiting {
                ops: VecDeque::new(),
                hasty: 0,
                rows: 0,
                closed: false,
                sleeper: Sleeper::None,
            }),
            arrived: Condvar::new(),
            limits,
        }
    }

    /// Takes an operation in, once there is a place for it.
    pub(crate) async fn put(
        &self,
        haste: Haste,
        rows: usize,
        work: Box<dyn Work>,
    ) -> Result<(), StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        waiting.hasty += usize::from(haste > Haste::Note);
        waiting.rows += rows;
        waiting.ops.push_back(Op { haste, rows, work, place });
        let wake = match waiting.sleeper {
            Sleeper::Company => self.full(&waiting),
            Sleeper::Haste => waiting.hasty > 0 || self.full(&waiting),
            Sleeper::None => false,
            Sleeper::Work => true,
        };
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
            waiting.sleeper = Sleeper::Work;
            waiting = self
                .arrived
                .wait_while(waiting, |w| w.ops.is_empty() && !w.closed)
                .unwrap_or_else(PoisonError::into_inner);
            waiting = self.sleep(waiting, Sleeper::Haste, self.limits.note_delay_max);
            waiting = self.sleep(waiting, Sleeper::Company, self.limits.window);
        }
        if waiting.ops.is_empty() && waiting.closed {
            return None;
        }
        Some(waiting.take(self.limits.ops_max))
    }

    fn sleep<'w>(
        &self,
        mut waiting: MutexGuard<'w, Waiting>,
        sleeper: Sleeper,
        longest: Duration,
    ) -> MutexGuard<'w, Waiting> {
        waiting.sleeper = sleeper;
        let hasty_enough = |w: &Waiting| sleeper == Sleeper::Haste && w.hasty > 0;
        let (mut waiting, _) = self
            .arrived
            .wait_timeout_while(waiting, longest, |w| {
                !w.closed && !hasty_enough(w) && !self.full(w)
            })
            .unwrap_or_else(PoisonError::into_inner);
        waiting.sleeper = Sleeper::None;
        waiting
    }

    fn full(&self, waiting: &Waiting) -> bool {
        waiting.ops.len() >= self.limits.ops_max || waiting.rows >= GROUP_ROWS_MAX
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here is left half done by a panic: every change is one push or one pop.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, ops_max: usize) -> Vec<Op> {
        let mut group = Vec::new();
        let mut rows = 0;
        while group.len() < ops_max && rows < GROUP_ROWS_MAX {
            let Some(op) = self.ops.pop_front() else {
                break;
            };
            rows += op.rows;
            self.hasty -= usize::from(op.haste > Haste::Note);
            group.push(op);
        }
        self.rows -= rows;
        group
    }
}
