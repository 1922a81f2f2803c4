//! The node's journal: which attempts have left for the network, written before they leave.
//!
//! The store says which attempts were begun; only this file can say of a begun attempt that nothing
//! of it was ever sent, so that it may be dialed again after a crash of the process. A mark is one
//! `write` without sync: it survives the process. It does not survive the machine, so a journal of
//! another boot proves nothing and everything begun is in doubt.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use domain::ids::AttemptId;
use domain::time::Timestamp;

/// Marks per file; when it is full, a new journal begins and older attempts are in doubt.
const MARKS_MAX: u64 = 4_000_000;
/// First line of the file: format, boot id, and since when marks are complete.
const HEADER: &str = "outdial-journal-1";
/// Bytes of the header; padded, so that marks are aligned.
const HEADER_BYTES: usize = 128;
const MARK_BYTES: usize = 8;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<Open>,
    boot_id: String,
}

#[derive(Debug)]
struct Open {
    file: File,
    marks: u64,
}

/// What a journal says about the attempts of the process before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// Marks are complete for attempts begun from here on; `None`: for none at all.
    complete_since: Option<Timestamp>,
    sent: Vec<AttemptId>,
}

impl Past {
    /// Whether it is certain that nothing of this attempt was ever sent.
    pub(crate) fn never_sent(&self, attempt: AttemptId, started_at: Timestamp) -> bool {
        self.complete_since.is_some_and(|since| started_at >= since)
            && !self.sent.contains(&attempt)
    }
}

impl Journal {
    /// Opens the journal at `path`, tells what it says of the past, and begins it anew at `now`.
    ///
    /// `open` are the attempts that the store knows as begun and not ended; the marks of all
    /// others are of no use any more. Their own marks are kept by the new journal.
    pub(crate) fn open(
        path: &Path,
        boot_id: &str,
        now: Timestamp,
        open: &[AttemptId],
    ) -> io::Result<(Self, Past)> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let past = read(&bytes, boot_id, open);
        let mut opened = Open { file, marks: 0 };
        opened.begin(boot_id, past.complete_since.unwrap_or(now))?;
        for attempt in &past.sent {
            opened.mark(*attempt)?;
        }
        Ok((Self { file: Mutex::new(opened), boot_id: boot_id.into() }, past))
    }

    /// Writes down that `attempt` leaves now; must return before the first byte of it is sent.
    pub(crate) fn sent(&self, attempt: AttemptId, now: Timestamp) -> io::Result<()> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if open.marks >= MARKS_MAX {
            open.begin(&self.boot_id, now)?;
        }
        open.mark(attempt)
    }
}

impl Open {
    fn begin(&mut self, boot_id: &str, complete_since: Timestamp) -> io::Result<()> {
        let header = format!("{HEADER} {boot_id} {}", complete_since.as_millis());
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(format!("{header:<width$}\n", width = HEADER_BYTES - 1).as_bytes())?;
        self.marks = 0;
        Ok(())
    }

    fn mark(&mut self, attempt: AttemptId) -> io::Result<()> {
        self.file.write_all(&attempt.0.to_le_bytes())?;
        self.marks += 1;
        Ok(())
    }
}

/// Reads a journal; anything odd about it means that it proves nothing.
fn read(bytes: &[u8], boot_id: &str, open: &[AttemptId]) -> Past {
    let nothing = Past { complete_since: None, sent: Vec::new() };
    let Some((header, marks)) = bytes.split_at_checked(HEADER_BYTES) else {
        return nothing;
    };
    let header = String::from_utf8_lossy(header);
    let words: Vec<&str> = header.split_whitespace().collect();
    let [HEADER, boot, since] = words[..] else {
        return nothing;
    };
    let Some(since) = since.parse().ok().filter(|_| boot == boot_id) else {
        return nothing;
    };
    let sent = marks
        .chunks_exact(MARK_BYTES)
        .filter_map(|mark| mark.try_into().ok().map(i64::from_le_bytes).map(AttemptId))
        .filter(|attempt| open.contains(attempt))
        .collect();
    Past { complete_since: Some(Timestamp::from_millis(since)), sent }
}

/// Which boot of the machine this is; differs after every restart of the machine.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown-boot".into(), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_seconds(100);

    fn reopen(path: &Path, boot: &str, open: &[i64]) -> (Journal, Past) {
        let open: Vec<AttemptId> = open.iter().copied().map(AttemptId).collect();
        Journal::open(path, boot, T0, &open).unwrap()
    }

    #[test]
    fn attempt_without_a_mark_was_never_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = reopen(&path, "boot-1", &[]);
        journal.sent(AttemptId(7), T0).unwrap();
        drop(journal);
        let (_, past) = reopen(&path, "boot-1", &[7, 8]);
        assert!(!past.never_sent(AttemptId(7), T0));
        assert!(past.never_sent(AttemptId(8), T0));
    }

    #[test]
    fn mark_survives_two_crashes_in_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        reopen(&path, "boot-1", &[]).0.sent(AttemptId(7), T0).unwrap();
        drop(reopen(&path, "boot-1", &[7]));
        let (_, past) = reopen(&path, "boot-1", &[7]);
        assert!(!past.never_sent(AttemptId(7), T0));
    }

    #[test]
    fn journal_of_another_boot_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        drop(reopen(&path, "boot-1", &[]));
        let (_, past) = reopen(&path, "boot-2", &[8]);
        assert!(!past.never_sent(AttemptId(8), T0));
    }

    #[test]
    fn attempt_older_than_the_journal_is_in_doubt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        drop(reopen(&path, "boot-1", &[]));
        let (_, past) = reopen(&path, "boot-1", &[8]);
        assert!(!past.never_sent(AttemptId(8), Timestamp::from_seconds(99)));
    }

    #[test]
    fn torn_or_foreign_file_proves_nothing_and_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, vec![0xFF; 1_000]).unwrap();
        let (_, past) = reopen(&path, "boot-1", &[8]);
        assert!(!past.never_sent(AttemptId(8), T0));
        let (_, past) = reopen(&path, "boot-1", &[8]);
        assert!(past.never_sent(AttemptId(8), T0));
    }
}
