//! Brings a database's schema up to date when it is opened.

use crate::StoreError;
use crate::sqlite::{Surety, Writer};
use crate::value::{queries, values};

queries! {
    CREATE_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_versions (\
        version bigint NOT NULL PRIMARY KEY, name text NOT NULL)";
    LATEST_VERSION = "SELECT coalesce(max(version), 0) FROM schema_versions";
    RECORD_VERSION = "INSERT INTO schema_versions (version, name) VALUES ($1, $2)";
}

/// A step of the schema, in the words of each database.
pub(crate) struct Migration {
    /// Its number.
    version: i64,
    /// What it is about.
    name: &'static str,
    /// For SQLite.
    sqlite: &'static str,
    /// For PostgreSQL.
    #[cfg_attr(not(test), expect(dead_code, reason = "only SQLite is opened so far"))]
    pub postgres: &'static str,
}

/// Names a migration's two files.
macro_rules! migration {
    ($version:literal, $name:literal, $file:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../migrations/postgres/", $file)),
        }
    };
}

/// The migrations by number, without a gap; a released one is never edited.
pub(crate) const MIGRATIONS: &[Migration] =
    &[migration!(1, "first", "0001_first.sql"), migration!(2, "terms", "0002_terms.sql")];

/// Applies the migrations that the database lacks, each in a transaction of its own.
pub(crate) fn migrate(writer: &mut Writer) -> Result<(), StoreError> {
    writer.sql().run(CREATE_VERSIONS, &[])?;
    let latest = writer.sql().one(LATEST_VERSION, &[], |row| row.int())?;
    let (found, known) = (latest.unwrap_or(0), MIGRATIONS.last().map_or(0, |last| last.version));
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        let Migration { version, name, sqlite, .. } = migration;
        writer.begin(Surety::Power)?;
        let applied = writer.script(sqlite).and_then(|()| {
            let recorded = values![*version, *name];
            writer.sql().run(RECORD_VERSION, recorded)
        });
        if let Err(error) = applied {
            writer.roll_back();
            return Err(error);
        }
        writer.commit()?;
        tracing::info!(version, name, "migrated the database");
    }
    Ok(())
}
