//! After a start: what became of the attempts that the process before left open.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use domain::attempt::{Attempt, AttemptEnd};
use domain::cause::Cause;
use domain::contact::Contact;
use domain::ids::{AttemptId, TrunkId};
use domain::outcome::Outcome;
use domain::time::Timestamp;
use store::{Store, StoreError};

use crate::journal::{Journal, boot_id};

/// What was found and done.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The journal of this process.
    pub(crate) journal: Journal,
    /// Attempts that may still be ringing at the far end, to be taken down.
    pub(crate) in_doubt: Vec<(Attempt, Contact)>,
    /// Slots that they hold until then.
    pub(crate) held: Vec<(Timestamp, TrunkId)>,
}

/// How long an INVITE may be repeated beside the time to ring (RFC 3261 §17.1.1.2, 64 T1).
const INVITE_TIME_MAX: Duration = Duration::from_secs(32);

/// Why the start failed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be read or written. The operator repairs it.
    #[error("journal {path} cannot be used")]
    Journal {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The store is away.
    #[error("store is unavailable")]
    Store(#[from] StoreError),
}

/// Settles the open attempts: what was never sent waits again; what may have rung is in doubt.
///
/// An attempt in doubt ends at once, so that its result is not held back, and is dialed again only
/// if its campaign says so. Its phone may ring on for as long as its contact allows, `ring_time_max`
/// where that says nothing, so it keeps its slot that long.
pub(crate) async fn recover(
    store: &Store,
    path: &Path,
    now: Timestamp,
    ring_time_max: Duration,
) -> Result<Recovered, RecoveryError> {
    let open = store.open_attempts().await?;
    let ids: Vec<AttemptId> = open.iter().map(|(attempt, _)| attempt.id).collect();
    let (journal, past) = Journal::open(path, &boot_id(), now, &ids)
        .map_err(|source| RecoveryError::Journal { path: path.display().to_string(), source })?;

    let mut held = Vec::new();
    let mut in_doubt = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (attempt, contact) in open {
        let rang = attempt.ringing_at.is_some() || attempt.answered_at.is_some();
        if !rang && past.never_sent(attempt.id, attempt.started_at) {
            store.release_attempt(now, attempt.id).await?;
            *counts.entry("never sent").or_default() += 1;
            continue;
        }
        store.finish_attempt(attempt.id, &end_in_doubt(&attempt, now)).await?;
        let ring_time_max = contact.terms.ring_time_max.unwrap_or(ring_time_max);
        // A conference rings nowhere.
        if contact.destination.room().is_none() {
            held.push((now + ring_time_max, attempt.trunk));
        }
        in_doubt.push((attempt, contact));
        *counts.entry("in doubt").or_default() += 1;
    }
    // A process that was killed right after it had settled them took none of them down.
    let since = now - ring_time_max - INVITE_TIME_MAX;
    for (attempt, contact) in store.in_doubt_since(past.recent().to_vec(), since).await? {
        if in_doubt.iter().any(|(known, _)| known.id == attempt.id) {
            continue;
        }
        let mark = journal.sent(attempt.id, now);
        mark.map_err(|source| RecoveryError::Journal { path: path.display().to_string(), source })?;
        let ring_time_max = contact.terms.ring_time_max.unwrap_or(ring_time_max);
        let until = attempt.ended_at.unwrap_or(now) + ring_time_max;
        if until > now && contact.destination.room().is_none() {
            held.push((until, attempt.trunk));
        }
        in_doubt.push((attempt, contact));
    }
    if !counts.is_empty() {
        tracing::warn!(?counts, "the process before left attempts open");
    }
    Ok(Recovered { journal, in_doubt, held })
}

/// The end of an attempt of which nobody knows whether its phone rang.
pub(crate) fn end_in_doubt(attempt: &Attempt, now: Timestamp) -> AttemptEnd {
    AttemptEnd {
        outcome: Outcome::InDoubt,
        cause: Cause::local("the server stopped during the attempt"),
        ringing_at: attempt.ringing_at,
        answered_at: attempt.answered_at,
        ended_at: now,
        detected: String::new(),
        message_left: false,
    }
}

#[cfg(test)]
mod tests;
