//! The writer's thread: groups of operations share a commit, and idle moments do the chores.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::inbox::{Haste, Inbox, Limits, Op, Work};
use crate::sqlite::{Checkpoints, FileLock, Surety, Writer};
use crate::tx::{Applications, Counts, Tx};
use crate::value::queries;
use crate::{StoreConfig, StoreError, migrate, uploads};

queries! {
    FORGET_LEASES = "UPDATE webhooks SET leased_until = NULL WHERE leased_until IS NOT NULL";
    FORGET_UPLOADS = "UPDATE uploads SET state = 'aborted' WHERE state = 'open'";
    // What was leased is due again at once.
    LOOK_AT_HOSTS = "UPDATE webhook_hosts SET due_at = 0 WHERE host IN \
        (SELECT host FROM webhooks WHERE leased_until IS NOT NULL)";
}

/// The name under which openings are counted.
const EPOCH: &str = "epoch";

/// The thread that writes, as its callers see it.
pub(crate) struct WriterThread {
    inbox: Arc<Inbox>,
    epoch: i64,
    ended: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread owns.
struct Desk {
    writer: Writer,
    inbox: Arc<Inbox>,
    applications: Applications,
    epoch: i64,
    chores: bool,
    tide: Arc<Tide>,
    path: PathBuf,
    // Last, so that the lock outlives the connection.
    _lock: FileLock,
}

/// What writer and checkpointer tell each other.
#[derive(Default)]
struct Tide {
    state: Mutex<TideState>,
    changed: Condvar,
    /// Held by whoever needs the other to stand still.
    gate: Mutex<()>,
}

#[derive(Default)]
struct TideState {
    dirty: bool,
    ended: bool,
}

impl WriterThread {
    /// Opens the database on a thread of its own, which then waits for operations.
    pub(crate) async fn start(config: StoreConfig) -> Result<Self, StoreError> {
        let inbox = Arc::new(Inbox::new(Limits {
            window: config.group_window,
            ops_max: config.group_ops_max.max(1),
            note_delay_max: config.note_delay_max,
            places: config.waiting_ops_max.max(1),
        }));
        let (opened, open) = oneshot::channel();
        let (end, ended) = watch::channel(false);
        let own = Arc::clone(&inbox);
        let thread = spawn("store-writer", move || {
            match Desk::open(&config, own) {
                Ok(desk) => {
                    // Nobody listens any more only where the opening was given up.
                    let _ = opened.send(Ok(desk.epoch));
                    desk.work(config.checkpoint_every);
                }
                Err(error) => drop(opened.send(Err(error))),
            }
            end.send_replace(true);
        })?;
        let epoch = open.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { inbox, epoch, ended, thread: Mutex::new(Some(thread)) })
    }

    /// Number of this opening.
    pub(crate) const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Hands an operation over and waits until it is committed.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        haste: Haste,
        rows: usize,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { work, done: None, reply };
        self.inbox.put(haste, rows, Box::new(ask)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands an operation over that nobody waits for.
    pub(crate) async fn tell(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.inbox.put(Haste::Note, 1, Box::new(Tell(work))).await
    }

    /// Takes nothing in any more, and waits until all that was taken in is written.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.inbox.close();
        let mut ended = self.ended.clone();
        ended.wait_for(|ended| *ended).await.map_err(|_| StoreError::Closed)?;
        Ok(())
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.inbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

impl Desk {
    fn open(config: &StoreConfig, inbox: Arc<Inbox>) -> Result<Self, StoreError> {
        let lock = FileLock::take(&config.path)?;
        let mut writer = Writer::open(config)?;
        migrate::migrate(&mut writer)?;
        let mut desk = Self {
            writer,
            inbox,
            applications: Applications::default(),
            epoch: 0,
            chores: true,
            tide: Arc::default(),
            path: config.path.clone(),
            _lock: lock,
        };
        desk.epoch = desk.transaction(Surety::Power, |tx| {
            tx.run(LOOK_AT_HOSTS, &[])?;
            tx.run(FORGET_LEASES, &[])?;
            tx.run(FORGET_UPLOADS, &[])?;
            tx.numbers(EPOCH, 1)
        })?;
        Ok(desk)
    }

    fn work(mut self, checkpoint_every: Duration) {
        let checkpointer = match self.checkpointer(checkpoint_every) {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::error!(%error, "store cannot checkpoint, its file will grow");
                None
            }
        };
        while let Some(group) = self.inbox.group(self.chores) {
            let tide = Arc::clone(&self.tide);
            let still = tide.gate.lock().unwrap_or_else(PoisonError::into_inner);
            self.group(group);
            self.chore();
            drop(still);
            self.tide.set(|state| state.dirty = true);
        }
        self.tide.set(|state| state.ended = true);
        if let Some(thread) = checkpointer
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpointer ended by a panic");
        }
        if let Err(error) = self.writer.settle() {
            tracing::warn!(%error, "store left its write-ahead file behind");
        }
    }

    /// Runs a group in one transaction; where that fails as a whole, each operation in its own.
    fn group(&mut self, mut group: Vec<Op>) {
        let failures = match self.together(&mut group) {
            Ok(failures) => failures,
            Err(error) if group.len() == 1 => vec![Some(error)],
            Err(error) => {
                tracing::warn!(%error, ops = group.len(), "a group failed, trying one by one");
                let alone = |op| self.together(std::slice::from_mut(op));
                let results = group.iter_mut().map(alone);
                results
                    .map(|result| result.map_or_else(Some, |mut failed| failed.pop().flatten()))
                    .collect()
            }
        };
        for (op, failed) in group.into_iter().zip(failures) {
            op.work.answer(failed);
            drop(op.place);
        }
    }

    /// Runs operations in one transaction. What fails on its own account is undone alone; an error
    /// is one of the transaction, of which then nothing remains.
    fn together(&mut self, group: &mut [Op]) -> Result<Vec<Option<StoreError>>, StoreError> {
        if group.is_empty() {
            return Ok(Vec::new());
        }
        let sure = group.iter().any(|op| op.haste == Haste::Power);
        self.writer.begin(if sure { Surety::Power } else { Surety::Process })?;
        let mut counts = Counts::default();
        let mut failures = Vec::with_capacity(group.len());
        for op in group {
            match self.one(op, &mut counts) {
                Ok(failure) => failures.push(failure),
                Err(error) => return Err(self.give_up(error)),
            }
        }
        if let Err(error) = counts.write(self.writer.sql()) {
            return Err(self.give_up(error));
        }
        match self.writer.commit() {
            Ok(()) => Ok(failures),
            Err(error) => Err(self.give_up(error)),
        }
    }

    fn one(&mut self, op: &mut Op, counts: &mut Counts) -> Result<Option<StoreError>, StoreError> {
        let sql = self.writer.sql();
        sql.run("SAVEPOINT op", &[])?;
        let mut tx = Tx::new(sql, self.epoch, &mut self.applications);
        match op.work.run(&mut tx) {
            Ok(()) => {
                self.chores |= tx.chores;
                counts.add(tx.into_counts());
                sql.run("RELEASE op", &[])?;
                Ok(None)
            }
            // A full disk or a failing one ends the whole transaction: all of it is tried again.
            Err(error) if !self.writer.in_transaction() => Err(error),
            Err(error) => {
                sql.run("ROLLBACK TO op", &[])?;
                sql.run("RELEASE op", &[])?;
                self.applications.clear();
                Ok(Some(error))
            }
        }
    }

    fn give_up(&mut self, error: StoreError) -> StoreError {
        self.writer.roll_back();
        self.applications.clear();
        error
    }

    /// Does a part of what may wait for idle moments, so that nobody waits long behind it.
    fn chore(&mut self) {
        if !self.chores {
            return;
        }
        match self.transaction(Surety::Process, uploads::chore) {
            Ok(more) => self.chores = more,
            Err(error) => {
                // The next upload or the next start brings it up again; not the next moment, for a
                // full disk stays full for a while.
                tracing::error!(%error, "an upload could not be made dialable");
                self.chores = false;
            }
        }
    }

    fn transaction<T>(
        &mut self,
        surety: Surety,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.writer.begin(surety)?;
        let sql = self.writer.sql();
        let mut tx = Tx::new(sql, self.epoch, &mut self.applications);
        let done = work(&mut tx).and_then(|done| {
            tx.into_counts().write(sql)?;
            Ok(done)
        });
        match done {
            Ok(done) => self.writer.commit().map(|()| done),
            Err(error) => Err(self.give_up(error)),
        }
    }

    fn checkpointer(&self, every: Duration) -> Result<JoinHandle<()>, StoreError> {
        let checkpoints = Checkpoints::open(&self.path)?;
        let tide = Arc::clone(&self.tide);
        spawn("store-checkpoint", move || {
            while tide.wait(every) {
                let passed = checkpoints.pass().and_then(|long| {
                    if long {
                        let _still = tide.gate.lock().unwrap_or_else(PoisonError::into_inner);
                        checkpoints.empty()?;
                    }
                    Ok(())
                });
                if let Err(error) = passed {
                    tracing::warn!(%error, "a checkpoint failed");
                }
            }
        })
    }
}

impl Tide {
    fn set(&self, change: impl FnOnce(&mut TideState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was = state.dirty || state.ended;
        change(&mut state);
        let ended = state.ended;
        drop(state);
        if !was || ended {
            self.changed.notify_one();
        }
    }

    /// Waits for something to move and then for `every`; `false` at the end.
    fn wait(&self, every: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .changed
            .wait_while(state, |state| !state.dirty && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, every, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.dirty = false;
        !state.ended
    }
}

/// An operation with somebody who waits for its result.
struct Ask<T, W> {
    work: W,
    done: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Work for Ask<T, W>
where
    T: Send,
    W: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let done = (self.work)(tx);
        let failed = done.as_ref().err().cloned();
        self.done = Some(done);
        failed.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let answer = match (failed, self.done) {
            (Some(error), _) => Err(error),
            (None, Some(done)) => done,
            (None, None) => Err(StoreError::Closed),
        };
        // Whoever asked may have gone; what was asked for is done all the same.
        let _ = self.reply.send(answer);
    }
}

/// An operation that nobody waits for.
struct Tell<W>(W);

impl<W> Work for Tell<W>
where
    W: FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        (self.0)(tx)
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        if let Some(error) = failed {
            tracing::warn!(%error, "a note was lost");
        }
    }
}

/// Starts a thread of the store.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(crate::sqlite::unavailable)
}
