//! The carrier's record of calls: JSON lines, on disk before anything follows from them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// One thing that happened to a call.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    /// Milliseconds since the epoch.
    pub(super) at_ms: i64,
    /// What: invite, ringing, answered, heard, pressed, key, canceled, refused, caller_hung_up,
    /// hung_up, unconfirmed.
    pub(super) event: &'static str,
    /// Digits that were called.
    pub(super) number: String,
    /// What the callee does.
    pub(super) kind: &'static str,
    /// The SIP Call-ID.
    pub(super) call_id: String,
    /// The keys, where it is about keys.
    pub(super) detail: String,
}

/// The record; without a file only the log tells.
pub(super) struct Record(Option<File>);

impl Record {
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(Some(file.with_context(|| format!("cannot write {}", path.display()))?)))
    }

    /// Writes an entry. One write a line, so that no reader sees half of one; the carrier outlives
    /// the program that it judges, so the page cache is safe enough while it runs.
    pub(super) fn write(&mut self, entry: &Entry) {
        tracing::debug!(number = entry.number, kind = entry.kind, event = entry.event, "call");
        let Some(file) = &mut self.0 else {
            return;
        };
        let mut line = serde_json::to_string(entry).unwrap_or_default();
        line.push('\n');
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(%error, "the record of calls cannot be written");
        }
    }

    /// Syncs what was written.
    pub(super) fn finish(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(File::sync_all) {
            tracing::error!(%error, "the record of calls is not on disk");
        }
    }
}
