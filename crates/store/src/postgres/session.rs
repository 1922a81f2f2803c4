//! A session: statements prepared once, and changes handed over that travel with the next question.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::connect::{Purpose, Target, check, silent};
use super::together::{Shape, for_many};
use super::values::{Column, Owned};
use crate::StoreError;
use crate::dialect;
use crate::driver::{Row as DriverRow, Unsettled, Value, unavailable};

/// A connection to PostgreSQL, with what it has prepared and what it was handed over.
pub(crate) struct Session {
    runtime: Runtime,
    client: Client,
    statements: RefCell<HashMap<&'static str, Known>>,
    pending: RefCell<Pending>,
    /// A statement failed since the transaction began: PostgreSQL lets it only be undone.
    failed: Cell<bool>,
    /// An answer did not come in time: whatever comes now belongs to nothing any more.
    silent: Cell<bool>,
    /// How often servers had fallen silent before this connection.
    silences: u64,
    backend: Backend,
    /// Longest wait for an answer; `None`: for ever, as migrations may take.
    answer_time_max: Option<Duration>,
    /// Where to connect once more, and the connection beside this one, where it was needed.
    target: Target,
    beside: RefCell<Option<Box<Self>>>,
}

/// The server's process behind a connection, by which another one can end it.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pid: i32,
    /// When it began; a process id alone may be somebody else's by now.
    since: String,
}

/// A query that has been prepared.
#[derive(Clone)]
struct Known {
    one: Statement,
    shape: Shape,
    /// The same for a list, once it was needed; `None` inside: there is no such.
    many: Option<Option<Statement>>,
}

/// Changes handed over and not yet sent, and what has happened since the mark.
#[derive(Default)]
struct Pending {
    chunks: Vec<Chunk>,
    /// The chunk of each change since the mark, newest last.
    since_mark: Vec<usize>,
    /// Something done since the mark has gone out.
    gone: bool,
}

/// Changes of one wording.
struct Chunk {
    sql: &'static str,
    shape: Shape,
    rows: Vec<Vec<Owned>>,
    /// The rows that are named by them.
    keys: HashSet<Vec<Owned>>,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + 'a>>;

impl Session {
    /// Connects.
    pub(crate) fn open(target: &Target, purpose: Purpose) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unavailable)?;
        let silences = target.silences();
        let client = target.connect(&runtime, purpose)?;
        let answer_time_max = match purpose {
            Purpose::Migrate => None,
            Purpose::Read | Purpose::Write => Some(target.answer_time_max()),
        };
        let known = async { check(&client).await };
        let known = async { tokio::time::timeout(target.answer_time_max(), known).await };
        let known = runtime.block_on(known);
        let (pid, since) = known.map_err(|_| silent("the server does not answer"))??;
        let backend = Backend { pid, since };
        Ok(Self {
            runtime,
            client,
            statements: RefCell::default(),
            pending: RefCell::default(),
            failed: Cell::new(false),
            silent: Cell::new(false),
            silences,
            backend,
            answer_time_max,
            target: target.clone(),
            beside: RefCell::default(),
        })
    }

    /// Whether the connection is still there, as far as is known without asking.
    pub(crate) fn is_up(&self) -> bool {
        // Lets the connection's task read what has come, the end included.
        self.runtime.block_on(tokio::task::yield_now());
        let is_silent = self.silent.get() || self.target.silences() != self.silences;
        !self.client.is_closed() && !is_silent
    }

    /// Whether a statement failed since the transaction began.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.get() || self.client.is_closed() || self.silent.get()
    }

    /// The server's process behind this connection.
    pub(super) fn backend(&self) -> Backend {
        self.backend.clone()
    }

    /// Ends the server's process of a connection that was lost, which may hold locks still.
    pub(super) fn end(&self, other: &Backend) {
        let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE pid = $1 AND backend_start::text = $2";
        let asked = async {
            let ended = self.client.query(query, &[&other.pid, &other.since]).await;
            ended.map_err(unavailable)
        };
        if let Err(error) = self.wait(asked) {
            tracing::debug!(%error, "the lost connection could not be ended at the server");
        }
    }

    /// Runs a script of several statements.
    pub(crate) fn script(&self, script: &str) -> Result<(), StoreError> {
        self.flush()?;
        self.wait(async { self.client.batch_execute(script).await.map_err(|e| self.fail(e)) })
    }

    /// Runs a statement that gives no rows; how many it changed.
    pub(crate) fn run(&self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        let known = self.known(sql)?;
        let parameters: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let mut changed = 0;
        let counted = async {
            changed = self.client.execute(&known.one, &parameters).await?;
            Ok(Vec::new())
        };
        self.send(Some(Box::pin(counted)))?;
        self.went_out(sql);
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Runs a statement that gives rows.
    pub(crate) fn rows(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let known = self.known(sql)?;
        let parameters: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let asked = self.client.query(&known.one, &parameters);
        let rows = self.send(Some(Box::pin(asked)))?;
        self.went_out(sql);
        Ok(rows)
    }

    /// Runs a statement beside the transaction, in one of its own, which is as sure as whatever is
    /// committed after it; its first row.
    pub(crate) fn beside<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut DriverRow<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut beside = self.beside.borrow_mut();
        if beside.as_ref().is_some_and(|session| !session.is_up()) {
            *beside = None;
        }
        if beside.is_none() {
            let session = Self::open(&self.target, Purpose::Write)?;
            session.script("SET synchronous_commit = off")?;
            *beside = Some(Box::new(session));
        }
        let rows = match beside.as_ref() {
            Some(session) => session.rows(sql, values)?,
            None => Vec::new(),
        };
        rows.first().map(|row| read(&mut DriverRow::postgres(row))).transpose()
    }

    /// Takes a change that may wait for the next question.
    pub(crate) fn put(&self, sql: &'static str, values: &[Value<'_>]) -> Result<(), StoreError> {
        let shape = self.known(sql)?.shape;
        let row: Vec<Owned> = values.iter().map(Owned::of).collect();
        self.pending.borrow_mut().put(sql, shape, row);
        Ok(())
    }

    /// Sends what was handed over and waits for it.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.send(None).map(drop)
    }

    /// Begins a transaction, with the next question.
    pub(super) fn begin(&self, sql: &'static str) -> Result<(), StoreError> {
        self.failed.set(false);
        *self.pending.borrow_mut() = Pending::default();
        self.put(sql, &[])
    }

    /// Commits what was sent.
    pub(super) fn commit(&self) -> Result<(), Unsettled> {
        let known = self.known("COMMIT").map_err(Unsettled::Failed)?;
        let asked = async { Ok(self.client.execute(&known.one, &[]).await) };
        let error = match self.wait(asked) {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(silent) => return Err(Unsettled::Unknown(silent)),
        };
        // A refusal is certain. A lost answer is not, nor are the last words of a server that ends.
        let refused = error.as_db_error().and_then(DbError::parsed_severity);
        match refused {
            Some(Severity::Error) => Err(Unsettled::Failed(self.fail(error))),
            _ => Err(Unsettled::Unknown(self.fail(error))),
        }
    }

    /// Undoes the transaction, or forgets one that was not begun yet.
    pub(super) fn roll_back(&self) -> Result<(), StoreError> {
        *self.pending.borrow_mut() = Pending::default();
        let asked = self.client.batch_execute("ROLLBACK");
        let done = self.wait(async { asked.await.map_err(unavailable) });
        self.failed.set(false);
        done
    }

    /// Marks the place to which [`Self::undo`] goes back.
    pub(super) fn mark(&self) {
        let mut pending = self.pending.borrow_mut();
        pending.since_mark.clear();
        pending.gone = false;
    }

    /// Forgets what was handed over since the mark; `false` where some of it has gone out.
    pub(super) fn undo(&self) -> bool {
        let mut pending = self.pending.borrow_mut();
        if self.failed.get() || pending.gone {
            return false;
        }
        while let Some(nth) = pending.since_mark.pop() {
            pending.take_back(nth);
        }
        true
    }

    /// Runs `work` in a transaction.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin("BEGIN")?;
        let worked = work().and_then(|result| self.flush().map(|()| result));
        match worked {
            Ok(result) => self.commit().map(|()| result).map_err(Unsettled::into_error),
            Err(error) => {
                if let Err(error) = self.roll_back() {
                    tracing::debug!(%error, "a transaction ended with its connection");
                }
                Err(error)
            }
        }
    }

    /// Runs `look` on one unchanging state of the database.
    pub(crate) fn snapshot<T>(
        &self,
        look: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let seen = look();
        if seen.is_ok() && !self.has_failed() {
            self.run("COMMIT", &[])?;
        } else if let Err(error) = self.roll_back() {
            tracing::debug!(%error, "a snapshot ended with its connection");
        }
        seen
    }

    /// Sends all that was handed over and then `last`, in one go; the rows of `last`.
    fn send<'a>(&'a self, last: Option<Answer<'a>>) -> Result<Vec<Row>, StoreError> {
        let chunks = self.pending.borrow_mut().take();
        let mut ready = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            ready.push((self.known(chunk.sql)?, self.many(chunk)?, chunk));
        }
        let columns: Vec<Vec<Column<'_>>> = ready
            .iter()
            .map(|(_, many, chunk)| match many {
                Some(many) => columns(many, chunk),
                None => Vec::new(),
            })
            .collect();
        let mut answers: Vec<Answer<'_>> = Vec::with_capacity(ready.len() + 1);
        for ((known, many, chunk), columns) in ready.iter().zip(&columns) {
            match many {
                Some(many) => answers.push(Box::pin(async move {
                    let parameters: Vec<_> = columns.iter().map(Column::as_sql).collect();
                    self.client.execute(many, &parameters).await.map(|_| Vec::new())
                })),
                None => answers.extend(chunk.rows.iter().map(|row| -> Answer<'_> {
                    Box::pin(async move {
                        let parameters: Vec<_> =
                            row.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                        self.client.execute(&known.one, &parameters).await.map(|_| Vec::new())
                    })
                })),
            }
        }
        answers.extend(last);
        let mut rows = Vec::new();
        // The first error is the cause: in a failed transaction everything after it fails, too.
        for answer in self.wait(async { Ok(in_order(answers).await) })? {
            rows = answer.map_err(|error| self.fail(error))?;
        }
        Ok(rows)
    }

    /// The statement for a list, where the chunk is one and there is such a statement.
    fn many(&self, chunk: &Chunk) -> Result<Option<Statement>, StoreError> {
        if chunk.rows.len() < TOGETHER_MIN || chunk.shape == Shape::Single {
            return Ok(None);
        }
        let known = self.known(chunk.sql)?;
        if let Some(many) = known.many {
            return Ok(many);
        }
        let many = match for_many(&dialect::for_postgres(chunk.sql), known.one.params()) {
            Some(sql) => Some(self.prepare(&sql)?),
            None => None,
        };
        if let Some(known) = self.statements.borrow_mut().get_mut(chunk.sql) {
            known.many = Some(many.clone());
        }
        Ok(many)
    }

    fn known(&self, sql: &'static str) -> Result<Known, StoreError> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let text = dialect::for_postgres(sql);
        let one = self.prepare(&text)?;
        let shape = Shape::of(&text, one.params().len());
        let known = Known { one, shape, many: None };
        self.statements.borrow_mut().insert(sql, known.clone());
        Ok(known)
    }

    fn prepare(&self, sql: &str) -> Result<Statement, StoreError> {
        self.wait(async { self.client.prepare(sql).await.map_err(|error| self.fail(error)) })
    }

    /// Waits for an answer, but not for ever: a server that is frozen keeps its connections, and
    /// another one may have taken its place.
    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let nobody = || silent("the server does not answer");
        if self.silent.get() {
            return Err(nobody());
        }
        let Some(time_max) = self.answer_time_max else {
            return self.runtime.block_on(answer);
        };
        let answer = async { tokio::time::timeout(time_max, answer).await };
        self.runtime.block_on(answer).unwrap_or_else(|_| {
            self.silent.set(true);
            self.failed.set(true);
            self.target.fell_silent(self.silences);
            Err(nobody())
        })
    }

    fn fail(&self, error: Error) -> StoreError {
        self.failed.set(true);
        unavailable(error)
    }

    /// Notes that something was done that cannot be taken back alone.
    fn went_out(&self, sql: &'static str) {
        if !sql.starts_with("SELECT") {
            self.pending.borrow_mut().gone = true;
        }
    }
}

impl Pending {
    fn put(&mut self, sql: &'static str, shape: Shape, row: Vec<Owned>) {
        let key = match shape {
            Shape::Keyed(from) => row.get(from..).unwrap_or_default().to_vec(),
            Shape::Insert | Shape::Single => Vec::new(),
        };
        // Only the newest of its wording: a row that is named twice is changed in that order.
        let same = self.chunks.iter().rposition(|chunk| chunk.sql == sql);
        let same = same.filter(|nth| match shape {
            Shape::Insert => true,
            Shape::Keyed(_) => !self.chunks[*nth].keys.contains(&key),
            Shape::Single => false,
        });
        let nth = same.unwrap_or_else(|| {
            let chunk = Chunk { sql, shape, rows: Vec::new(), keys: HashSet::new() };
            self.chunks.push(chunk);
            self.chunks.len() - 1
        });
        let chunk = &mut self.chunks[nth];
        chunk.rows.push(row);
        if let Shape::Keyed(_) = shape {
            chunk.keys.insert(key);
        }
        self.since_mark.push(nth);
    }

    /// Takes back the newest change of a chunk.
    fn take_back(&mut self, nth: usize) {
        let Some(chunk) = self.chunks.get_mut(nth) else {
            return;
        };
        if let (Some(row), Shape::Keyed(from)) = (chunk.rows.pop(), chunk.shape) {
            chunk.keys.remove(row.get(from..).unwrap_or_default());
        }
    }

    fn take(&mut self) -> Vec<Chunk> {
        self.gone |= !self.since_mark.is_empty();
        self.since_mark.clear();
        std::mem::take(&mut self.chunks)
    }
}

/// Fewer changes of one wording are sent one by one: a list costs as much as they do.
const TOGETHER_MIN: usize = 3;

fn columns<'c>(many: &Statement, chunk: &'c Chunk) -> Vec<Column<'c>> {
    let element = |ty: &Type| match *ty {
        Type::BYTEA_ARRAY => Type::BYTEA,
        Type::INT8_ARRAY => Type::INT8,
        _ => Type::TEXT,
    };
    let types = many.params().iter().enumerate();
    types.map(|(nth, ty)| Column::of(&chunk.rows, nth, &element(ty))).collect()
}

/// Polls futures in their order, so that what they send leaves in that order; all their results.
async fn in_order<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let mut begun = false;
    let mut first = 0;
    poll_fn(|context| {
        // The first round sends them all; answers come in the same order.
        for (nth, future) in futures.iter_mut().enumerate().skip(first) {
            if done[nth].is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                done[nth] = Some(value);
            } else if begun && done[nth].is_none() {
                break;
            }
        }
        begun = true;
        while done.get(first).is_some_and(Option::is_some) {
            first += 1;
        }
        if first == done.len() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
