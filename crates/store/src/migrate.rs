//! Brings a database's schema up to date when it is opened.

use crate::StoreError;
use crate::driver::{Surety, Unsettled, Writer};
use crate::value::{queries, values};

queries! {
    CREATE_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_versions (\
        version bigint NOT NULL PRIMARY KEY, name text NOT NULL)";
    LATEST_VERSION = "SELECT coalesce(max(version), 0) FROM schema_versions";
    TAKE_TURNS = "SELECT 1 /*! FROM pg_advisory_xact_lock(7305737) */";
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

/// The migrations by number; a released one is never edited.
pub(crate) const MIGRATIONS: &[Migration] = &[
    migration!(1, "first", "0001_first.sql"),
    migration!(2, "terms", "0002_terms.sql"),
    migration!(3, "imports", "0003_imports.sql"),
    migration!(4, "hooks", "0004_hooks.sql"),
    migration!(5, "deployments", "0005_deployments.sql"),
    migration!(6, "nodes", "0006_nodes.sql"),
    migration!(7, "policy", "0007_policy.sql"),
    migration!(8, "accounts", "0008_accounts.sql"),
    migration!(10, "services", "0010_services.sql"),
    migration!(14, "callee_type", "0014_callee_type.sql"),
    migration!(18, "follow", "0018_follow.sql"),
    migration!(20, "addresses", "0020_addresses.sql"),
];

/// Applies the migrations that the database lacks, each in a transaction of its own.
pub(crate) fn migrate(writer: &mut Writer) -> Result<(), StoreError> {
    while step(writer)? {}
    Ok(())
}

/// Applies the next migration; `false` where there was none.
fn step(writer: &mut Writer) -> Result<bool, StoreError> {
    writer.begin(Surety::Power)?;
    let applied = apply_next(writer);
    match &applied {
        Ok(_) => writer.commit().map_err(Unsettled::into_error)?,
        Err(_) => writer.roll_back(),
    }
    let Some(Migration { version, name, .. }) = applied? else {
        return Ok(false);
    };
    tracing::info!(version, name, "migrated the database");
    Ok(true)
}

fn apply_next(writer: &Writer) -> Result<Option<&'static Migration>, StoreError> {
    let sql = writer.sql()?;
    // Servers that start together take turns, and the second finds the work done.
    sql.one(TAKE_TURNS, &[], |_| Ok(()))?;
    sql.run(CREATE_VERSIONS, &[])?;
    let latest = sql.one(LATEST_VERSION, &[], |row| row.int())?;
    let (found, known) = (latest.unwrap_or(0), MIGRATIONS.last().map_or(0, |last| last.version));
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    let Some(next) = MIGRATIONS.iter().find(|migration| migration.version > found) else {
        return Ok(None);
    };
    writer.script(match writer {
        Writer::Postgres(_) => next.postgres,
        Writer::Sqlite(_) => next.sqlite,
    })?;
    sql.run(RECORD_VERSION, values![next.version, next.name])?;
    Ok(Some(next))
}
