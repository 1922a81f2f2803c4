//! The queries that the databases word differently, and why.
//!
//! SQLite has one writer at a time, so what it selects nobody else takes. In PostgreSQL several
//! servers take from one table: each locks what it takes and passes over what others have locked.

/// Contacts that are ready in a campaign, in their order: campaign, now, most.
pub(crate) const READY: &str = "SELECT id, opens_at, closes_at FROM contacts \
    WHERE campaign = $1 AND state = 'waiting' AND parked = 0 AND next_at <= $2 \
    ORDER BY rank_at, id LIMIT $3";

/// Makes parked contacts ready whose time has come: now, most.
pub(crate) const PROMOTE_DUE: &str = "UPDATE contacts SET parked = 0 WHERE id IN \
    (SELECT id FROM contacts WHERE state = 'waiting' AND parked = 1 AND next_at <= $1 \
     ORDER BY next_at, id LIMIT $2) RETURNING campaign";

/// The same for PostgreSQL.
#[cfg(test)]
pub(crate) mod postgres {
    /// As [`super::READY`].
    pub(crate) const READY: &str = "SELECT id, opens_at, closes_at FROM contacts \
        WHERE campaign = $1 AND state = 'waiting' AND parked = 0 AND next_at <= $2 \
        ORDER BY rank_at, id LIMIT $3 FOR UPDATE SKIP LOCKED";

    /// As [`super::PROMOTE_DUE`].
    pub(crate) const PROMOTE_DUE: &str = "UPDATE contacts SET parked = 0 WHERE id IN \
        (SELECT id FROM contacts WHERE state = 'waiting' AND parked = 1 AND next_at <= $1 \
         ORDER BY next_at, id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING campaign";
}
