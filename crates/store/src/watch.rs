//! What makes PostgreSQL slow long before it fails: who runs it must hear of it in time.

use crate::{Store, StoreError};

// PostgreSQL's own tables, and nobody else's: the house's rules of queries are about ours.
/// The oldest transaction that somebody wants to see. Each second of a node's lease takes a number:
/// the same oldest one for long is an old snapshot.
const HORIZON: &str = "SELECT CAST(CAST(horizon AS text) AS bigint) FROM (\
        SELECT backend_xmin AS horizon FROM pg_stat_activity WHERE backend_xmin IS NOT NULL \
        AND pid <> pg_backend_pid() AND (datname IS NULL OR datname = current_database()) \
        UNION ALL SELECT xmin FROM pg_replication_slots WHERE xmin IS NOT NULL \
        UNION ALL SELECT transaction FROM pg_prepared_xacts) AS holders \
        ORDER BY age(horizon) DESC LIMIT 1";
/// Connections, those that are allowed, and whether the database cleans up.
const ROOM: &str = "SELECT CAST((SELECT sum(numbackends) FROM pg_stat_database) AS bigint), \
        CAST(current_setting('max_connections') AS bigint) \
        - CAST(current_setting('superuser_reserved_connections') AS bigint), \
        CAST(CAST(current_setting('autovacuum') = 'on' AS integer) AS bigint)";

/// How the database is doing, beside its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseState {
    /// The oldest transaction whose rows somebody may still want to see, by its number; nothing that
    /// went out of date since can be cleaned up.
    pub horizon: Option<i64>,
    /// Connections to all databases of the server.
    pub connections: i64,
    /// Connections that it allows.
    pub connections_max: i64,
    /// Whether it cleans up by itself.
    pub cleans_up: bool,
}

impl Store {
    /// Asks the database how it is doing; `None` where it is a file.
    pub async fn database_state(&self) -> Result<Option<DatabaseState>, StoreError> {
        let Some(desk) = self.node_desk() else {
            return Ok(None);
        };
        desk.look(|sql| {
            let horizon = sql.one(HORIZON, &[], |row| row.int())?;
            let state = sql.one(ROOM, &[], |row| {
                Ok(DatabaseState {
                    horizon,
                    connections: row.int()?,
                    connections_max: row.int()?,
                    cleans_up: row.int()? != 0,
                })
            })?;
            Ok(state)
        })
        .await
    }
}
