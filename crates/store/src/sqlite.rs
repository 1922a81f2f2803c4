//! The SQLite driver: connections, values and rows, checkpoints, and the lock of the file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use crate::driver::{Cell, Row, Sql, Surety, Value, unavailable};
use crate::{StoreConfig, StoreError};

/// Statements kept prepared; more than there are queries.
const STATEMENTS_MAX: usize = 256;
/// How long a reader or the writer waits where the file is locked for a moment: only while the
/// write-ahead file is reset.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// How long the checkpointer may keep the writer waiting for a reader that does not let go.
const TRUNCATE_MAX: Duration = Duration::from_millis(20);
/// Page cache of the writer, in KiB: the hot ends of all indexes.
const WRITER_CACHE_KIB: u32 = 16_384;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: u32 = 4_096;
/// Length of the write-ahead file, in pages of 4 KiB, from which it is emptied with the writer
/// standing still: under load the writer adds to it faster than it ever stands empty.
const WAL_PAGES_MAX: i64 = 16_384;
/// Bytes to which the write-ahead file shrinks when it starts anew.
const WAL_BYTES_KEPT: u32 = 64 * 1_024 * 1_024;
/// Bytes in a page of the database.
const PAGE_BYTES: u64 = 4_096;

/// Keeps a second server off the same file for as long as it lives.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

/// The writer's connection.
pub(crate) struct Writer {
    connection: Connection,
    surety: Surety,
}

impl Writer {
    /// Opens or creates the database file.
    pub(crate) fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        create_private(&config.path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(&config.path, flags, WRITER_CACHE_KIB)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
             PRAGMA journal_size_limit = {WAL_BYTES_KEPT};"
        ))?;
        if let Some(bytes) = config.file_bytes_max {
            let pages = (bytes / PAGE_BYTES).max(1);
            connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
        }
        Ok(Self { connection, surety: Surety::Power })
    }

    /// Begins a transaction whose commit will be as sure as `surety`.
    pub(crate) fn begin(&mut self, surety: Surety) -> Result<(), StoreError> {
        if self.surety != surety {
            self.connection.execute_batch(match surety {
                Surety::Process => "PRAGMA synchronous = NORMAL",
                Surety::Power => "PRAGMA synchronous = FULL",
            })?;
            self.surety = surety;
        }
        run(&self.connection, "BEGIN IMMEDIATE", &[]).map(drop)
    }

    /// Commits; where that fails, nothing of the transaction remains.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        let committed = run(&self.connection, "COMMIT", &[]);
        if committed.is_err() {
            self.roll_back();
        }
        committed.map(drop)
    }

    /// Undoes the transaction, if one is open.
    pub(crate) fn roll_back(&mut self) {
        if self.in_transaction()
            && let Err(error) = run(&self.connection, "ROLLBACK", &[])
        {
            // The next `begin` fails then, and says so to whoever asked for it.
            tracing::error!(%error, "store cannot roll back");
        }
    }

    /// Whether a transaction is open: a full disk may have ended it on its own.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Marks the place to which [`Self::undo`] goes back.
    pub(crate) fn mark(&self) -> Result<(), StoreError> {
        run(&self.connection, "SAVEPOINT op", &[]).map(drop)
    }

    /// Forgets the mark.
    pub(crate) fn keep(&self) -> Result<(), StoreError> {
        run(&self.connection, "RELEASE op", &[]).map(drop)
    }

    /// Undoes what was done since the mark.
    pub(crate) fn undo(&self) -> Result<(), StoreError> {
        run(&self.connection, "ROLLBACK TO op", &[])?;
        self.keep()
    }

    /// The connection, to run SQL on.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs a script of several statements, a migration.
    pub(crate) fn script(&self, script: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(script)?)
    }

    /// Moves everything into the database file; for the end, when nobody else writes.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        checkpoint(&self.connection, "PRAGMA wal_checkpoint(TRUNCATE)").map(drop)
    }
}

/// A connection that only reads.
pub(crate) struct ReadOnly(Connection);

impl ReadOnly {
    /// Opens a database that a [`Writer`] has opened.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        connect(path, flags, READER_CACHE_KIB).map(Self)
    }

    /// Runs SQL on this connection.
    pub(crate) fn sql(&self) -> Sql<'_> {
        Sql::Sqlite(&self.0)
    }

    /// Ends a snapshot that was left open.
    pub(crate) fn end_snapshot(&self) {
        if !self.0.is_autocommit()
            && let Err(error) = run(&self.0, "ROLLBACK", &[])
        {
            tracing::error!(%error, "a reader cannot end its snapshot");
        }
    }
}

/// A connection that moves what was written ahead into the database file.
pub(crate) struct Checkpoints(Connection);

impl Checkpoints {
    /// Opens a database that a [`Writer`] has opened.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(path, flags, READER_CACHE_KIB)?;
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL")?;
        connection.busy_timeout(TRUNCATE_MAX)?;
        Ok(Self(connection))
    }

    /// Moves what can be moved beside the writer's work; whether the write-ahead file has grown so
    /// long that [`Self::empty`] is due.
    pub(crate) fn pass(&self) -> Result<bool, StoreError> {
        let pages = checkpoint(&self.0, "PRAGMA wal_checkpoint(PASSIVE)")?;
        Ok(pages > WAL_PAGES_MAX)
    }

    /// Empties the write-ahead file; the writer must stand still.
    pub(crate) fn empty(&self) -> Result<(), StoreError> {
        checkpoint(&self.0, "PRAGMA wal_checkpoint(TRUNCATE)").map(drop)
    }
}

impl FileLock {
    /// Takes the lock beside the database at `path`.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let file = create_private(&PathBuf::from(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }
}

impl FileLock {
    /// The file itself, which may hold what belongs to this place alone.
    pub(crate) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Names the place: this boot of the machine and this file on it.
    pub(crate) fn place(&self) -> Result<String, StoreError> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let file = self.file.metadata().map_err(unavailable)?;
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            format!("{}:{}", file.dev(), file.ino())
        };
        #[cfg(not(unix))]
        let file = format!("{:?}", file.created());
        Ok(format!("{} {file}", boot.trim()))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone would not do: a child process between its fork and its exec has it open, too.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock of the database ends only with this process");
        }
    }
}

/// Runs a statement that gives no rows; how many it changed.
pub(crate) fn run(
    connection: &Connection,
    sql: &'static str,
    values: &[Value<'_>],
) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()?)
}

/// Reads the first row, if there is one.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &'static str,
    values: &[Value<'_>],
    read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    match rows.next()? {
        Some(row) => read(&mut Row::sqlite(row)).map(Some),
        None => Ok(None),
    }
}

/// Reads all rows.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &'static str,
    values: &[Value<'_>],
    mut read: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&mut Row::sqlite(row))?);
    }
    Ok(found)
}

/// What stands in the `nth` column.
pub(crate) fn cell<'r>(row: &'r rusqlite::Row<'_>, nth: usize) -> Result<Cell<'r>, StoreError> {
    Ok(match row.get_ref(nth)? {
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Null => Cell::Null,
        ValueRef::Real(_) => Cell::Other,
        ValueRef::Text(text) => std::str::from_utf8(text).map_or(Cell::Other, Cell::Text),
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        unavailable(error)
    }
}

fn connect(path: &Path, flags: OpenFlags, cache_kib: u32) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Else a statement that could use a partial index is planned anew for every new value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(&format!("PRAGMA cache_size = -{cache_kib}"))?;
    Ok(connection)
}

/// Opens or creates a file that only its owner reads: it holds numbers and hashes of PINs.
fn create_private(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(unavailable)
}

/// Runs a checkpoint; pages in the write-ahead file, moved or not.
fn checkpoint(connection: &Connection, pragma: &str) -> Result<i64, StoreError> {
    // The columns: busy or not, pages in the file, pages of them moved.
    Ok(connection.query_row(pragma, [], |row| row.get(1))?)
}

fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> Result<(), StoreError> {
    // `$1` is a name to SQLite: it numbers names by first appearance. A test holds the queries to
    // the ascending order that makes both counts agree.
    for (nth, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(nth + 1, value)?;
    }
    Ok(())
}
