//! The writer's thread: groups of operations share a commit, and idle moments do the chores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::driver::{Surety, Unsettled, Writer};
use crate::inbox::{Inbox, Limits, Manner, Op, Work};
use crate::outbox::Outbox;
use crate::sqlite::FileLock;
use crate::tide::Tide;
use crate::tx::{Done, Memory, Tx};
use crate::value::queries;
use crate::{StoreConfig, StoreError, uploads, webhooks};

queries! {
    // A checked import waits for its commit through any restart.
    FORGET_UPLOADS = "UPDATE uploads SET state = 'aborted' WHERE state = 'open' AND id NOT IN \
        (SELECT imports.upload FROM imports WHERE imports.state = 'checked')";
}

/// The name under which openings are counted.
const EPOCH: &str = "epoch";

/// The thread that writes, as its callers see it.
pub(crate) struct WriterThread {
    inbox: Arc<Inbox>,
    outbox: Arc<Mutex<Outbox>>,
    epoch: i64,
    ended: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread owns.
struct Desk {
    writer: Writer,
    inbox: Arc<Inbox>,
    outbox: Arc<Mutex<Outbox>>,
    memory: Memory,
    epoch: i64,
    chores: bool,
    tide: Arc<Tide>,
    path: PathBuf,
    // Last, so that the lock outlives the connection.
    _lock: FileLock,
}

impl WriterThread {
    /// Opens the database on a thread of its own, which then waits for operations.
    pub(crate) async fn start(config: StoreConfig) -> Result<Self, StoreError> {
        let inbox = Arc::new(Inbox::new(Limits {
            window: config.group_window,
            soon_window: config.dial_window,
            ops_max: config.group_ops_max.max(1),
            note_delay_max: config.note_delay_max,
            places: config.waiting_ops_max.max(1),
        }));
        let (opened, open) = oneshot::channel();
        let (end, ended) = watch::channel(false);
        let outbox = Arc::new(Mutex::new(Outbox::default()));
        let own = (Arc::clone(&inbox), Arc::clone(&outbox));
        let thread = spawn("store-writer", move || {
            match Desk::open(&config, own.0, own.1) {
                // Nobody listens where the opening was given up; then nobody would close it either.
                Ok(desk) => match opened.send(Ok(desk.epoch)) {
                    Ok(()) => desk.work(config.checkpoint_every),
                    Err(_) => drop(desk),
                },
                Err(error) => drop(opened.send(Err(error))),
            }
            end.send_replace(true);
        })?;
        let epoch = open.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { inbox, outbox, epoch, ended, thread: Mutex::new(Some(thread)) })
    }

    /// Number of this opening.
    pub(crate) const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Whose turn it is at the outbox.
    pub(crate) const fn outbox(&self) -> &Arc<Mutex<Outbox>> {
        &self.outbox
    }

    /// Hands an operation over and waits until it is committed.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        manner: Manner,
        rows: usize,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { work, done: None, reply };
        self.inbox.put(manner, rows, Box::new(ask)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands an operation over that nobody waits for.
    pub(crate) async fn tell(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.inbox.put(Manner::NOTED, 1, Box::new(Tell(work))).await
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
    fn open(
        config: &StoreConfig,
        inbox: Arc<Inbox>,
        outbox: Arc<Mutex<Outbox>>,
    ) -> Result<Self, StoreError> {
        let lock = FileLock::take(&config.path)?;
        let mut writer = Writer::open(config)?;
        writer.migrate()?;
        let mut desk = Self {
            writer,
            inbox,
            outbox,
            memory: Memory::default(),
            epoch: 0,
            chores: true,
            tide: Arc::default(),
            path: config.path.clone(),
            _lock: lock,
        };
        desk.epoch = desk.transaction(Surety::Power, |tx| {
            tx.run(FORGET_UPLOADS, &[])?;
            webhooks::load(tx)?;
            tx.next(EPOCH)
        })?;
        Ok(desk)
    }

    fn work(mut self, checkpoint_every: Duration) {
        let checkpointer = self.checkpointer(checkpoint_every);
        while let Some(group) = self.inbox.group(self.chores) {
            let tide = Arc::clone(&self.tide);
            let still = tide.hold();
            self.group(group);
            self.chore();
            drop(still);
            self.tide.rise();
        }
        let numbers = self.memory.numbers;
        if let Err(error) = self.transaction(Surety::Process, |tx| tx.give_back(&numbers)) {
            tracing::warn!(%error, "some numbers stay unused");
        }
        self.tide.end();
        if let Some(thread) = checkpointer
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpointer ended by a panic");
        }
        if let Writer::Sqlite(writer) = &self.writer
            && let Err(error) = writer.settle()
        {
            tracing::warn!(%error, "store left its write-ahead file behind");
        }
    }

    fn checkpointer(&self, every: Duration) -> Option<JoinHandle<()>> {
        match &self.writer {
            Writer::Postgres(_) => None,
            Writer::Sqlite(_) => match self.tide.start(&self.path, every) {
                Ok(thread) => Some(thread),
                Err(error) => {
                    tracing::error!(%error, "store cannot checkpoint, its file will grow");
                    None
                }
            },
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
        let numbers = self.memory.numbers;
        let together = self.try_together(group);
        if together.is_err() {
            self.writer.roll_back();
            self.memory.applications.clear();
            self.memory.numbers = numbers;
        }
        together
    }

    fn try_together(&mut self, group: &mut [Op]) -> Result<Vec<Option<StoreError>>, StoreError> {
        let surest = group.iter().map(|op| op.manner.surety).max();
        self.writer.begin(surest.unwrap_or(Surety::Process))?;
        self.memory.listen = None;
        if let [op] = group {
            return self.alone(op).map(|failure| vec![failure]);
        }
        let mut done = Done::default();
        let mut failures = Vec::with_capacity(group.len());
        for op in group {
            failures.push(self.one(op, &mut done)?);
        }
        self.commit(done)?;
        Ok(failures)
    }

    /// Runs one operation of several, so that it can be undone without the others.
    fn one(&mut self, op: &mut Op, done: &mut Done) -> Result<Option<StoreError>, StoreError> {
        self.writer.mark()?;
        let numbers = self.memory.numbers;
        let mut tx = Tx::new(self.writer.sql()?, self.epoch, &mut self.memory);
        match run(op, &mut tx) {
            Ok(()) => {
                done.add(tx.into_done());
                self.writer.keep()?;
                Ok(None)
            }
            // A full disk or a failing one ends the whole transaction: all of it is tried again.
            Err(error) if !self.writer.in_transaction() => Err(error),
            Err(error) => {
                if !self.writer.undo()? {
                    return Err(error);
                }
                self.memory.applications.clear();
                self.memory.numbers = numbers;
                Ok(Some(error))
            }
        }
    }

    /// Runs an operation that has the transaction for itself.
    fn alone(&mut self, op: &mut Op) -> Result<Option<StoreError>, StoreError> {
        let mut tx = Tx::new(self.writer.sql()?, self.epoch, &mut self.memory);
        run(op, &mut tx)?;
        let done = tx.into_done();
        self.commit(done)?;
        Ok(None)
    }

    /// Commits, and lets be known what only counts from then on.
    fn commit(&mut self, done: Done) -> Result<(), StoreError> {
        done.write(self.writer.sql()?)?;
        self.writer.commit().map_err(Unsettled::into_error)?;
        self.chores |= done.chores;
        if !done.outbox.is_empty() {
            let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
            done.outbox.into_iter().for_each(|change| outbox.apply(change));
        }
        Ok(())
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

    /// Runs work of the writer's own in a transaction.
    fn transaction<T>(
        &mut self,
        surety: Surety,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let numbers = self.memory.numbers;
        self.writer.begin(surety)?;
        self.memory.listen = None;
        let mut tx = Tx::new(self.writer.sql()?, self.epoch, &mut self.memory);
        let worked = work(&mut tx).map(|result| (result, tx.into_done()));
        let committed = worked.and_then(|(result, done)| self.commit(done).map(|()| result));
        if committed.is_err() {
            self.writer.roll_back();
            self.memory.applications.clear();
            self.memory.numbers = numbers;
        }
        committed
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

/// Runs an operation; one that panics has failed, and nobody else with it.
fn run(op: &mut Op, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    catch_unwind(AssertUnwindSafe(|| op.work.run(tx)))
        .unwrap_or_else(|_| Err(StoreError::Damaged("what made an operation panic".into())))
}

/// Starts a thread of the store.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(crate::driver::unavailable)
}
