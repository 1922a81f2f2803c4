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

/// The SQLite migrations by number, without a gap; a released one is never edited.
const SQLITE: &[(i64, &str, &str)] =
    &[(1, "first", include_str!("../migrations/sqlite/0001_first.sql"))];

/// Applies the migrations that the database lacks, each in a transaction of its own.
pub(crate) fn migrate(writer: &mut Writer) -> Result<(), StoreError> {
    writer.sql().run(CREATE_VERSIONS, &[])?;
    let latest = writer.sql().one(LATEST_VERSION, &[], |row| row.int())?;
    let (found, known) = (latest.unwrap_or(0), SQLITE.last().map_or(0, |last| last.0));
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (version, name, script) in SQLITE.iter().filter(|migration| migration.0 > found) {
        writer.begin(Surety::Power)?;
        let applied = writer.script(script).and_then(|()| {
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
