//! The node's journal: which attempts have left for the network, written before they leave.
//!
//! The store says which attempts were begun; only this file can say of a begun attempt that nothing
//! of it was ever sent, so that it may be dialed again after a crash of the process. A mark is one
//! `write` without sync: it survives the process. It does not survive the machine, so a journal of
//! another boot proves nothing and everything begun is in doubt. Nor does a copy, for the process
//! that it was copied from may have gone on, nor a damaged one: a mark that
//! is missing would have a phone rung twice, so each has a check, and a file that was cut shows it by
//! its length.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use domain::ids::AttemptId;
use domain::time::Timestamp;

/// Marks per file; when it is full, a new journal begins and older attempts are in doubt.
const MARKS_MAX: u64 = 4_000_000;
/// First line of the file: format, boot id, and since when marks are complete.
const HEADER: &str = "outdial-journal-3";
/// Bytes of the header; padded, so that marks are aligned.
const HEADER_BYTES: usize = 128;
/// A mark: the attempt, and a check of it and its place.
const MARK_BYTES: usize = 16;
/// Marks for which there is room at first, and by which the room grows: a file that is no header and
/// so many is damaged.
const ROOM_MARKS: u64 = 4_096;

/// Attempts that a journal tells of as having left last: as many as a process leaves open at most,
/// beside those that it has begun since.
const RECENT_MAX: usize = 500;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<Open>,
    /// This boot and this file.
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
    /// The last ones that left, whatever has become of them since.
    recent: Vec<AttemptId>,
}

impl Past {
    /// The last attempts that left, whatever has become of them since.
    pub(crate) fn recent(&self) -> &[AttemptId] {
        &self.recent
    }

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
        // A copy does not know what the other one goes on to write.
        let about = file.metadata()?;
        let boot_id = &format!("{boot_id}/{:x}:{:x}", about.dev(), about.ino());
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
        // Killed in between, the file has a length that no journal has.
        self.file.set_len(0)?;
        self.file.write_all_at(header(boot_id, complete_since).as_bytes(), 0)?;
        self.marks = 0;
        self.make_room()
    }

    fn mark(&mut self, attempt: AttemptId) -> io::Result<()> {
        if self.marks > 0 && self.marks.is_multiple_of(ROOM_MARKS) {
            self.make_room()?;
        }
        let mut mark = [0; MARK_BYTES];
        mark[..8].copy_from_slice(&attempt.0.to_le_bytes());
        mark[8..].copy_from_slice(&check(attempt, self.marks).to_le_bytes());
        self.file.write_all_at(&mark, place(self.marks))?;
        self.marks += 1;
        Ok(())
    }

    /// Adds empty places after those that are used.
    fn make_room(&self) -> io::Result<()> {
        self.file.set_len(place(self.marks + ROOM_MARKS))
    }
}

fn header(boot_id: &str, complete_since: Timestamp) -> String {
    let words = format!("{HEADER} {boot_id} {}", complete_since.as_millis());
    let words = format!("{words} {:016x}", fnv_1a(words.as_bytes()));
    format!("{words:<width$}\n", width = HEADER_BYTES - 1)
}

/// Where the nth mark stands in the file.
const fn place(nth: u64) -> u64 {
    HEADER_BYTES as u64 + nth * MARK_BYTES as u64
}

/// What stands beside the nth mark.
fn check(attempt: AttemptId, nth: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&attempt.0.to_le_bytes());
    bytes[8..].copy_from_slice(&nth.to_le_bytes());
    fnv_1a(&bytes)
}

/// The 64-bit hash of Fowler, Noll and Vo: enough against chance, and the same for ever.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads a journal; anything odd about it means that it proves nothing, though its marks still count.
fn read(bytes: &[u8], boot_id: &str, open: &[AttemptId]) -> Past {
    let nothing = Past { complete_since: None, sent: Vec::new(), recent: Vec::new() };
    let Some((head, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        return nothing;
    };
    let head = String::from_utf8_lossy(head);
    let words: Vec<&str> = head.split_whitespace().collect();
    let [HEADER, boot, since, _] = words[..] else {
        return nothing;
    };
    let since = since.parse().ok().map(Timestamp::from_millis);
    let Some(since) = since.filter(|since| boot == boot_id && header(boot, *since) == head) else {
        return nothing;
    };
    let room = ROOM_MARKS as usize * MARK_BYTES;
    let mut whole = !rest.is_empty() && rest.len().is_multiple_of(room);
    let (mut sent, mut recent, mut ended) = (Vec::new(), VecDeque::new(), false);
    for (nth, mark) in (0..).zip(rest.chunks_exact(MARK_BYTES)) {
        let (attempt, beside) = mark.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let attempt = AttemptId(number(attempt).cast_signed());
        if mark.iter().all(|byte| *byte == 0) {
            ended = true;
        } else if ended || number(beside) != check(attempt, nth) {
            whole = false;
        } else {
            recent.push_back(attempt);
            if recent.len() > RECENT_MAX {
                recent.pop_front();
            }
            if open.contains(&attempt) {
                sent.push(attempt);
            }
        }
    }
    if !whole {
        tracing::error!("the journal is damaged: what was begun and not ended is in doubt");
    }
    Past { complete_since: whole.then_some(since), sent, recent: recent.into() }
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
    fn copy_of_a_journal_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("journal"), dir.path().join("copy"));
        let (journal, _) = reopen(&path, "boot-1", &[]);
        std::fs::copy(&path, &copy).unwrap();
        journal.sent(AttemptId(7), T0).unwrap();
        let (_, past) = reopen(&copy, "boot-1", &[7, 8]);
        assert!(!past.never_sent(AttemptId(7), T0));
        assert!(!past.never_sent(AttemptId(8), T0));
        let (_, past) = reopen(&path, "boot-1", &[7, 8]);
        assert!(past.never_sent(AttemptId(8), T0));
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

    #[test]
    fn journal_that_is_damaged_anywhere_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = reopen(&path, "boot-1", &[]);
        (1..=5).for_each(|attempt| journal.sent(AttemptId(attempt), T0).unwrap());
        drop(journal);
        let good = std::fs::read(&path).unwrap();
        let head = String::from_utf8_lossy(&good);
        let boot = head.split_whitespace().nth(1).unwrap();
        let proves = |bytes: &[u8]| read(bytes, boot, &[]).never_sent(AttemptId(8), T0);
        assert!(proves(&good));
        let marks_end = HEADER_BYTES + 5 * MARK_BYTES;
        for at in (0..marks_end + 64).chain(good.len() - 64..good.len()) {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                assert!(!proves(&bytes), "byte {at}, bit {bit}");
            }
        }
        for length in (0..marks_end + 64).chain(good.len() - 64..good.len()) {
            assert!(!proves(&good[..length]), "cut to {length} bytes");
        }
    }

    #[test]
    fn journal_grows_and_tells_all_its_marks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = reopen(&path, "boot-1", &[]);
        let last = i64::try_from(ROOM_MARKS).unwrap() + 1;
        (1..=last).for_each(|attempt| journal.sent(AttemptId(attempt), T0).unwrap());
        drop(journal);
        let (_, past) = reopen(&path, "boot-1", &[1, last, last + 1]);
        assert!(!past.never_sent(AttemptId(1), T0) && !past.never_sent(AttemptId(last), T0));
        assert!(past.never_sent(AttemptId(last + 1), T0));
    }
}
