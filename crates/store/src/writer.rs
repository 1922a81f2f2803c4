//! The writer's thread: groups of operations share a commit, and idle moments do the chores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::ahead::{Ahead, Want};
use crate::driver::{Surety, Unsettled, Writer, unavailable};
use crate::inbox::{Inbox, Limits, Manner, Op, Work};
use crate::nodes::Entry;
use crate::outbox::Outbox;
use crate::sqlite::FileLock;
use crate::tide::Tide;
use crate::tx::{Done, Memory, Numbers, Own, Tx};
use crate::value::queries;
use crate::{StoreConfig, StoreError, events, nodes, uploads, webhooks};

queries! {
    // A checked import waits for its commit through any restart.
    FORGET_UPLOADS = "UPDATE uploads SET state = 'aborted' WHERE state = 'open' AND id NOT IN \
        (SELECT imports.upload FROM imports WHERE imports.state = 'checked')";
}

/// The name under which openings are counted.
const EPOCH: &str = "epoch";

/// How often a group is tried whose connection was lost, or whose epoch was over.
const TRIES_MAX: usize = 4;
/// How often it is asked what became of a commit; with the pause below some two minutes, longer than
/// a server takes to start again.
const FIND_OUT_TRIES_MAX: usize = 600;
/// Wait between two such tries.
const FIND_OUT_PAUSE: Duration = Duration::from_millis(200);
/// Shortest wait for a process that may live as this node.
const ENTER_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The thread that writes, as its callers see it.
pub(crate) struct WriterThread {
    inbox: Arc<Inbox>,
    outbox: Arc<Mutex<Outbox>>,
    epoch: Arc<AtomicI64>,
    node: i64,
    ended: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread owns.
struct Desk {
    writer: Writer,
    inbox: Arc<Inbox>,
    outbox: Arc<Mutex<Outbox>>,
    memory: Memory,
    own: Own,
    /// The same epoch for those outside.
    epoch: Arc<AtomicI64>,
    chores: bool,
    tide: Arc<Tide>,
    path: PathBuf,
    // Last, so that the lock outlives the connection.
    lock: FileLock,
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
                Ok(desk) => match opened.send(Ok((Arc::clone(&desk.epoch), desk.own.node))) {
                    Ok(()) => desk.work(config.checkpoint_every),
                    Err(_) => drop(desk),
                },
                Err(error) => drop(opened.send(Err(error))),
            }
            end.send_replace(true);
        })?;
        let (epoch, node) = open.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { inbox, outbox, epoch, node, ended, thread: Mutex::new(Some(thread)) })
    }

    /// Number of this opening.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Number of this node.
    pub(crate) const fn node(&self) -> i64 {
        self.node
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
        want: Want,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { work, done: None, reply };
        self.inbox.put(manner, rows, want, Box::new(ask)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands an operation over that nobody waits for.
    pub(crate) async fn tell(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.inbox.put(Manner::NOTED, 1, Want::Nothing, Box::new(Tell(work))).await
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
            own: Own::default(),
            epoch: Arc::default(),
            chores: true,
            tide: Arc::default(),
            path: config.path.clone(),
            lock,
        };
        desk.enter()?;
        Ok(desk)
    }

    /// Begins an epoch, tidies up after the one before, and learns what is owed.
    fn enter(&mut self) -> Result<(), StoreError> {
        let place = self.lock.place()?;
        let identity = match &self.writer {
            Writer::Postgres(_) => nodes::identity(self.writer.sql()?, self.lock.file())?,
            Writer::Sqlite(_) => String::new(),
        };
        let several = matches!(self.writer, Writer::Postgres(_));
        loop {
            let entry = self.transaction(Surety::Power, |tx| {
                if several {
                    events::enter(tx, 0)?;
                    return nodes::enter(tx.sql(), &identity, &place, || tx.next(EPOCH));
                }
                tx.run(FORGET_UPLOADS, &[])?;
                let epoch = tx.next(EPOCH)?;
                events::enter(tx, epoch)?;
                Ok(Entry::In { node: 0, epoch })
            })?;
            match entry {
                Entry::In { node, epoch } => {
                    self.begin_epoch(Own { epoch, node });
                    break;
                }
                Entry::Wait(left) => {
                    tracing::warn!(?left, "another process may live as this node, waiting for it");
                    if !self.inbox.pause(left.max(ENTER_PAUSE_MIN)) {
                        return Err(StoreError::Closed);
                    }
                }
            }
        }
        self.transaction(Surety::Process, webhooks::load)
    }

    /// Goes on in a new epoch after it was taken for dead.
    fn reenter(&mut self) -> Result<(), StoreError> {
        let (place, old) = (self.lock.place()?, self.own);
        if let Writer::Postgres(writer) = &mut self.writer {
            writer.unguard();
        }
        let epoch = self.transaction(Surety::Power, |tx| {
            let epoch = tx.next(EPOCH)?;
            nodes::reenter(tx.sql(), old.node, old.epoch, &place, epoch)?;
            Ok(epoch)
        })?;
        tracing::warn!(old = old.epoch, epoch, "fenced: this node was taken for dead and goes on");
        self.begin_epoch(Own { epoch, ..old });
        Ok(())
    }

    fn begin_epoch(&mut self, own: Own) {
        if let Writer::Postgres(writer) = &mut self.writer {
            writer.guard(own.epoch);
        }
        self.own = own;
        self.epoch.store(own.epoch, Ordering::Release);
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
        if let Writer::Postgres(_) = &self.writer {
            let epoch = self.own.epoch;
            if let Err(error) =
                self.transaction(Surety::Process, |tx| nodes::leave(tx.sql(), epoch))
            {
                tracing::warn!(%error, "this node could not take its leave");
            }
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
        let failures = self.settle(&mut group);
        for (op, failed) in group.into_iter().zip(failures) {
            op.work.answer(failed);
            drop(op.place);
        }
    }

    /// Brings a group to its end; for each operation why it was not done, if it was not.
    ///
    /// It is tried again only where it is known that nothing of it remains.
    fn settle(&mut self, group: &mut [Op]) -> Vec<Option<StoreError>> {
        let all = |error: &StoreError, count: usize| vec![Some(error.clone()); count];
        for _ in 0..TRIES_MAX {
            match self.together(group) {
                Ok(failures) => return failures,
                Err(Unsettled::Failed(error)) if group.len() > 1 => {
                    tracing::warn!(%error, ops = group.len(), "a group failed, trying one by one");
                    let alone = |op| self.settle(std::slice::from_mut(op)).pop().flatten();
                    return group.iter_mut().map(alone).collect();
                }
                Err(Unsettled::Failed(error) | Unsettled::Unknown(error)) => {
                    return all(&error, group.len());
                }
                Err(Unsettled::Fenced(error)) => {
                    tracing::warn!(%error, ops = group.len(), "a group of a stale epoch is refused");
                    if let Err(error) = self.reenter() {
                        return all(&error, group.len());
                    }
                }
                Err(Unsettled::Lost(error)) => {
                    tracing::debug!(%error, "the connection was lost before a commit");
                    if let Err(error) = self.connect() {
                        return all(&error, group.len());
                    }
                }
            }
        }
        all(&unavailable(std::io::Error::from(std::io::ErrorKind::TimedOut)), group.len())
    }

    /// Whether the database can be reached.
    fn connect(&mut self) -> Result<(), StoreError> {
        self.writer.begin(Surety::Process)?;
        self.writer.roll_back();
        Ok(())
    }

    /// Runs operations in one transaction. What fails on its own account is undone alone; an error
    /// is one of the transaction, of which then nothing remains, or nobody knows.
    fn together(&mut self, group: &mut [Op]) -> Result<Vec<Option<StoreError>>, Unsettled> {
        if group.is_empty() {
            return Ok(Vec::new());
        }
        let surest = group.iter().map(|op| op.manner.surety).max();
        if let Err(error) = self.writer.begin(surest.unwrap_or(Surety::Process)) {
            // While the database is away all are refused at once.
            let refused = vec![Some(error.clone()); group.len()];
            return if self.writer.is_up() { Err(Unsettled::Failed(error)) } else { Ok(refused) };
        }
        let numbers = self.memory.numbers;
        self.memory.listen = None;
        let together = self.try_together(group);
        if together.is_err() {
            self.writer.roll_back();
            self.memory.applications.clear();
            self.memory.numbers = match together {
                // Somebody may have them.
                Err(Unsettled::Unknown(_)) => Numbers::default(),
                _ => numbers,
            };
        }
        together
    }

    fn try_together(&mut self, group: &mut [Op]) -> Result<Vec<Option<StoreError>>, Unsettled> {
        self.memory.ahead = Ahead::default();
        if let [op] = group {
            return self.alone(op).map(|()| vec![None]);
        }
        if let Writer::Postgres(_) = &self.writer {
            let wants = group.iter().map(|op| op.want);
            let ahead = self.writer.sql().and_then(|sql| Ahead::read(sql, wants));
            self.memory.ahead = ahead.map_err(|error| self.failure(error))?;
        }
        let mut done = Done::default();
        let mut failures = Vec::with_capacity(group.len());
        for op in group {
            let failed = self.one(op, &mut done).map_err(|error| self.failure(error))?;
            failures.push(failed);
        }
        self.commit(done)?;
        Ok(failures)
    }

    /// How a statement's failure leaves the transaction: with the connection, or alone.
    fn failure(&self, error: StoreError) -> Unsettled {
        if self.writer.is_up() { Unsettled::Failed(error) } else { Unsettled::Lost(error) }
    }

    /// Runs one operation of several, so that it can be undone without the others.
    fn one(&mut self, op: &mut Op, done: &mut Done) -> Result<Option<StoreError>, StoreError> {
        self.writer.mark()?;
        let numbers = self.memory.numbers;
        let mut tx = Tx::new(self.writer.sql()?, self.own, &mut self.memory);
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
                self.memory.ahead = Ahead::default();
                self.memory.numbers = numbers;
                Ok(Some(error))
            }
        }
    }

    /// Runs an operation that has the transaction for itself.
    fn alone(&mut self, op: &mut Op) -> Result<(), Unsettled> {
        let worked = self.writer.sql().and_then(|sql| {
            let mut tx = Tx::new(sql, self.own, &mut self.memory);
            run(op, &mut tx).map(|()| tx.into_done())
        });
        let done = worked.map_err(|error| self.failure(error))?;
        self.commit(done)
    }

    /// Commits, and lets be known what only counts from then on.
    fn commit(&mut self, done: Done) -> Result<(), Unsettled> {
        let written = self.writer.sql().and_then(|sql| done.write(sql, self.own.node));
        written.map_err(|error| self.failure(error))?;
        match self.writer.commit() {
            Ok(()) => {}
            Err(Unsettled::Unknown(error)) => self.find_out(error)?,
            Err(failed) => return Err(failed),
        }
        self.chores |= done.chores;
        if !done.outbox.is_empty() {
            let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
            done.outbox.into_iter().for_each(|change| outbox.apply(change));
        }
        Ok(())
    }

    /// Finds out whether a transaction was committed whose answer was lost: the row of its epoch
    /// says so, once the database answers again. Meanwhile all others are refused.
    fn find_out(&mut self, lost: StoreError) -> Result<(), Unsettled> {
        tracing::warn!(error = %lost, "the answer to a commit was lost, finding out");
        for _ in 0..FIND_OUT_TRIES_MAX {
            match self.writer.is_settled() {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Unsettled::Lost(lost)),
                Err(error) => {
                    for op in self.inbox.all() {
                        op.work.answer(Some(error.clone()));
                        drop(op.place);
                    }
                    if !self.inbox.pause(FIND_OUT_PAUSE) {
                        break;
                    }
                }
            }
        }
        tracing::error!("nobody knows whether a transaction was committed");
        Err(Unsettled::Unknown(lost))
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
        self.memory.ahead = Ahead::default();
        let mut tx = Tx::new(self.writer.sql()?, self.own, &mut self.memory);
        let worked = work(&mut tx).map(|result| (result, tx.into_done()));
        let committed = worked.and_then(|(result, done)| {
            self.commit(done).map(|()| result).map_err(Unsettled::into_error)
        });
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
    thread.map_err(unavailable)
}
