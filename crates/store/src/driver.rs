//! The two databases behind one door: what runs SQL, its values and rows, and the writer.

use std::sync::Arc;

use crate::postgres::{self, Purpose, Session};
use crate::sqlite;
use crate::{StoreConfig, StoreError};

/// A connection, seen as something that runs SQL.
#[derive(Clone, Copy)]
pub(crate) enum Sql<'c> {
    /// PostgreSQL.
    Postgres(&'c Session),
    /// SQLite.
    Sqlite(&'c rusqlite::Connection),
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'v> {
    /// Bytes.
    Blob(&'v [u8]),
    /// A number, a time in milliseconds, or a flag.
    Int(i64),
    /// Nothing.
    Null,
    /// A text.
    Text(&'v str),
}

/// A row, read column by column from the left.
pub(crate) struct Row<'r> {
    row: AnyRow<'r>,
    next: usize,
}

/// A row of either database.
#[derive(Clone, Copy)]
enum AnyRow<'r> {
    Postgres(&'r tokio_postgres::Row),
    Sqlite(&'r rusqlite::Row<'r>),
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell<'r> {
    /// Bytes.
    Blob(&'r [u8]),
    /// A number.
    Int(i64),
    /// Nothing.
    Null,
    /// Something that this program never writes.
    Other,
    /// A text.
    Text(&'r str),
}

/// How surely a commit is on disk when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surety {
    /// It outlives the process, and the machine once a later commit outlives it.
    Process,
    /// It outlives the machine's power.
    Power,
}

/// How a transaction failed to end as it should.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// Nothing of it remains.
    Failed(StoreError),
    /// This process was taken for dead: nothing of it remains, nor would of anything in this epoch.
    Fenced(StoreError),
    /// The connection was lost on the way: nothing of it remains.
    Lost(StoreError),
    /// The commit was sent and its answer was lost: it may have happened.
    Unknown(StoreError),
}

impl Unsettled {
    /// The failure, for those to whom both are one.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Failed(error)
            | Self::Fenced(error)
            | Self::Lost(error)
            | Self::Unknown(error) => error,
        }
    }
}

/// The writer's connection.
pub(crate) enum Writer {
    /// PostgreSQL.
    Postgres(Box<postgres::Writer>),
    /// SQLite.
    Sqlite(sqlite::Writer),
}

impl Writer {
    /// Opens the database; SQLite's file is created where there is none.
    pub(crate) fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        Ok(match &config.url {
            Some(url) => Self::Postgres(Box::new(postgres::Writer::open(url, &config.known)?)),
            None => Self::Sqlite(sqlite::Writer::open(config)?),
        })
    }

    /// Brings the schema up to date.
    pub(crate) fn migrate(&mut self) -> Result<(), StoreError> {
        match self {
            // On a connection of its own: a migration may take longer than any other transaction.
            Self::Postgres(writer) => {
                let mut migrator = Self::Postgres(Box::new(writer.migrator()?));
                crate::migrate::migrate(&mut migrator)
            }
            Self::Sqlite(_) => crate::migrate::migrate(self),
        }
    }

    /// Begins a transaction whose commit will be as sure as `surety`.
    pub(crate) fn begin(&mut self, surety: Surety) -> Result<(), StoreError> {
        match self {
            Self::Postgres(writer) => writer.begin(surety),
            Self::Sqlite(writer) => writer.begin(surety),
        }
    }

    /// Commits; where that fails for sure, nothing of the transaction remains.
    pub(crate) fn commit(&mut self) -> Result<(), Unsettled> {
        match self {
            Self::Postgres(writer) => writer.commit(),
            Self::Sqlite(writer) => writer.commit().map_err(Unsettled::Failed),
        }
    }

    /// Whether the transaction whose commit had no answer is committed after all.
    pub(crate) fn is_settled(&mut self) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(writer) => writer.is_settled(),
            Self::Sqlite(_) => Ok(false),
        }
    }

    /// Whether the connection is there; a transaction that was open went with it.
    pub(crate) fn is_up(&self) -> bool {
        match self {
            Self::Postgres(writer) => writer.is_up(),
            Self::Sqlite(_) => true,
        }
    }

    /// Undoes the transaction, if one is open.
    pub(crate) fn roll_back(&mut self) {
        match self {
            Self::Postgres(writer) => writer.roll_back(),
            Self::Sqlite(writer) => writer.roll_back(),
        }
    }

    /// Whether a transaction is open and can go on: a full disk, a lost connection or, in
    /// PostgreSQL, any failure ends it.
    pub(crate) fn in_transaction(&self) -> bool {
        match self {
            Self::Postgres(writer) => writer.in_transaction(),
            Self::Sqlite(writer) => writer.in_transaction(),
        }
    }

    /// Marks the place to which [`Self::undo`] goes back.
    pub(crate) fn mark(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(writer) => writer.mark(),
            Self::Sqlite(writer) => writer.mark(),
        }
    }

    /// Forgets the mark: what was done since stays.
    pub(crate) fn keep(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(writer) => writer.keep(),
        }
    }

    /// Undoes what was done since the mark; `false` where that takes the whole transaction.
    pub(crate) fn undo(&self) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(writer) => Ok(writer.undo()),
            Self::Sqlite(writer) => writer.undo().map(|()| true),
        }
    }

    /// Runs SQL on this connection.
    pub(crate) fn sql(&self) -> Result<Sql<'_>, StoreError> {
        match self {
            Self::Postgres(writer) => writer.session().map(Sql::Postgres),
            Self::Sqlite(writer) => Ok(Sql::Sqlite(writer.connection())),
        }
    }

    /// Runs a script of several statements, a migration.
    pub(crate) fn script(&self, script: &str) -> Result<(), StoreError> {
        match self {
            Self::Postgres(writer) => writer.session()?.script(script),
            Self::Sqlite(writer) => writer.script(script),
        }
    }
}

/// A connection beside the writer's; with SQLite it only reads.
pub(crate) enum ReadOnly {
    /// PostgreSQL.
    Postgres(Box<postgres::ReadOnly>),
    /// SQLite.
    Sqlite(sqlite::ReadOnly),
}

impl ReadOnly {
    /// Opens a database that a [`Writer`] has opened.
    pub(crate) fn open(config: &StoreConfig, purpose: Purpose) -> Result<Self, StoreError> {
        Ok(match &config.url {
            Some(url) => {
                Self::Postgres(Box::new(postgres::ReadOnly::open(url, &config.known, purpose)?))
            }
            None => Self::Sqlite(sqlite::ReadOnly::open(&config.path)?),
        })
    }

    /// Runs SQL on this connection, which is opened anew where it was lost.
    pub(crate) fn sql(&mut self) -> Result<Sql<'_>, StoreError> {
        match self {
            Self::Postgres(reader) => reader.sql(),
            Self::Sqlite(reader) => Ok(reader.sql()),
        }
    }

    /// Ends a snapshot that was left open.
    pub(crate) fn end_snapshot(&mut self) {
        match self {
            Self::Postgres(reader) => reader.end_snapshot(),
            Self::Sqlite(reader) => reader.end_snapshot(),
        }
    }
}

impl Sql<'_> {
    /// Runs a statement that gives no rows; how many it changed.
    pub(crate) fn run(self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        match self {
            Self::Postgres(session) => session.run(sql, values),
            Self::Sqlite(connection) => sqlite::run(connection, sql, values),
        }
    }

    /// Hands over a change that nothing in this transaction looks at by anything else handed over.
    ///
    /// It is done before the next statement that is not handed over, at the latest before the
    /// commit, and where it fails, the transaction does. Statements of one wording may be done
    /// together, and before others that were handed over earlier.
    pub(crate) fn put(self, sql: &'static str, values: &[Value<'_>]) -> Result<(), StoreError> {
        match self {
            Self::Postgres(session) => session.put(sql, values),
            Self::Sqlite(connection) => sqlite::run(connection, sql, values).map(drop),
        }
    }

    /// Reads the first row, if there is one.
    pub(crate) fn one<T>(
        self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Self::Postgres(session) => {
                let rows = session.rows(sql, values)?;
                rows.first().map(|row| read(&mut Row::postgres(row))).transpose()
            }
            Self::Sqlite(connection) => sqlite::one(connection, sql, values, read),
        }
    }

    /// Reads all rows.
    pub(crate) fn all<T>(
        self,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Postgres(session) => {
                let rows = session.rows(sql, values)?;
                rows.iter().map(|row| read(&mut Row::postgres(row))).collect()
            }
            Self::Sqlite(connection) => sqlite::all(connection, sql, values, read),
        }
    }

    /// Takes from a counter, and reads what it gives: in PostgreSQL beside the transaction, so that
    /// nobody waits for its end.
    pub(crate) fn count<T>(
        self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Self::Postgres(session) => session.beside(sql, values, read),
            Self::Sqlite(_) => self.one(sql, values, read),
        }
    }

    /// Runs `work` in a transaction of its own, where none is open.
    pub(crate) fn transaction<T>(
        self,
        work: impl FnOnce(Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::Postgres(session) => session.transaction(|| work(self)),
            Self::Sqlite(_) => self.snapshot(work),
        }
    }

    /// Runs `look` on one unchanging state of the database.
    pub(crate) fn snapshot<T>(
        self,
        look: impl FnOnce(Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::Postgres(session) => session.snapshot(|| look(self)),
            Self::Sqlite(_) => {
                self.run("BEGIN", &[])?;
                let seen = look(self);
                self.run("COMMIT", &[])?;
                seen
            }
        }
    }
}

impl<'r> Row<'r> {
    /// A row of PostgreSQL.
    pub(crate) const fn postgres(row: &'r tokio_postgres::Row) -> Self {
        Self { row: AnyRow::Postgres(row), next: 0 }
    }

    /// A row of SQLite.
    pub(crate) const fn sqlite(row: &'r rusqlite::Row<'r>) -> Self {
        Self { row: AnyRow::Sqlite(row), next: 0 }
    }

    /// The next column, a number.
    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.maybe_int()?.ok_or_else(|| self.damaged("no number"))
    }

    /// The next column, a number or nothing.
    pub(crate) fn maybe_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.column()? {
            Cell::Int(number) => Ok(Some(number)),
            Cell::Null => Ok(None),
            Cell::Blob(_) | Cell::Other | Cell::Text(_) => Err(self.damaged("no number")),
        }
    }

    /// The next column, a text.
    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.maybe_text()?.ok_or_else(|| self.damaged("no text"))
    }

    /// The next column, a text or nothing.
    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.column()? {
            Cell::Text(text) => Ok(Some(text.to_owned())),
            Cell::Null => Ok(None),
            Cell::Blob(_) | Cell::Int(_) | Cell::Other => Err(self.damaged("no text")),
        }
    }

    /// The next column, 32 bytes.
    pub(crate) fn bytes32(&mut self) -> Result<[u8; 32], StoreError> {
        match self.column()? {
            Cell::Blob(bytes) => bytes.try_into().map_err(|_| self.damaged("not 32 bytes")),
            Cell::Int(_) | Cell::Null | Cell::Other | Cell::Text(_) => {
                Err(self.damaged("no bytes"))
            }
        }
    }

    fn column(&mut self) -> Result<Cell<'r>, StoreError> {
        self.next += 1;
        let nth = self.next - 1;
        match self.row {
            AnyRow::Postgres(row) => postgres::cell(row, nth),
            AnyRow::Sqlite(row) => sqlite::cell(row, nth),
        }
    }

    /// The column read last holds `what` where something else belongs.
    pub(crate) fn damaged(&self, what: &str) -> StoreError {
        let column = self.next.checked_sub(1).and_then(|nth| match self.row {
            AnyRow::Postgres(row) => row.columns().get(nth).map(|column| column.name().to_owned()),
            AnyRow::Sqlite(row) => row.as_ref().column_name(nth).ok().map(str::to_owned),
        });
        StoreError::Damaged(format!("{what} in {}", column.unwrap_or_default()))
    }
}

/// The world outside failed.
pub(crate) fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Arc::new(cause))
}
