//! The queries that the databases word differently, and why.
//!
//! SQLite has one writer at a time, so what it selects nobody else takes. In PostgreSQL several
//! servers take from one table: each locks what it takes and passes over what others have locked.

/// Takes contacts that are ready in a campaign: now, campaign, most.
pub(crate) const CLAIM_READY: &str = concat!(
    "UPDATE contacts SET state = 'calling', attempts = attempts + 1, last_attempt_at = $1 \
     WHERE id IN (SELECT id FROM contacts WHERE campaign = $2 AND state = 'waiting' \
         AND parked = 0 AND next_at <= $1 AND (opens_at IS NULL OR opens_at <= $1) \
         AND (closes_at IS NULL OR closes_at > $1) ORDER BY next_at, id LIMIT $3) RETURNING ",
    crate::value::contact_columns!()
);

/// Makes parked contacts ready whose time has come: now, most.
pub(crate) const PROMOTE_DUE: &str = "UPDATE contacts SET parked = 0 WHERE id IN \
    (SELECT id FROM contacts WHERE state = 'waiting' AND parked = 1 AND next_at <= $1 \
     ORDER BY next_at, id LIMIT $2) RETURNING campaign";

/// The same for PostgreSQL.
#[cfg(test)]
pub(crate) mod postgres {
    /// As [`super::CLAIM_READY`].
    pub(crate) const CLAIM_READY: &str = concat!(
        "UPDATE contacts SET state = 'calling', attempts = attempts + 1, last_attempt_at = $1 \
         WHERE id IN (SELECT id FROM contacts WHERE campaign = $2 AND state = 'waiting' \
             AND parked = 0 AND next_at <= $1 AND (opens_at IS NULL OR opens_at <= $1) \
             AND (closes_at IS NULL OR closes_at > $1) ORDER BY next_at, id LIMIT $3 \
             FOR UPDATE SKIP LOCKED) RETURNING ",
        crate::value::contact_columns!()
    );

    /// As [`super::PROMOTE_DUE`].
    pub(crate) const PROMOTE_DUE: &str = "UPDATE contacts SET parked = 0 WHERE id IN \
        (SELECT id FROM contacts WHERE state = 'waiting' AND parked = 1 AND next_at <= $1 \
         ORDER BY next_at, id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING campaign";
}
