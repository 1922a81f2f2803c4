//! The answered calls of this node, each in a slot of a file, so that a later process hangs them up.
//!
//! A slot is one write without sync: it survives the process. What is torn or stale does no harm,
//! for a slot has a checksum, and a far end that has no such call any more says so; so it does not
//! matter of which boot the file is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use domain::ids::{AttemptId, TrunkId};
use proto::sip::ua::DialogSeed;
use sha2::{Digest, Sha256};

/// Bytes of a slot. Seeds have 400 to 1,000; of a call whose seed is longer none is kept.
const SLOT_BYTES: usize = 2_048;
/// Calls kept at once; 32 MiB.
const SLOTS_MAX: usize = 16_384;
const CHECKSUM_BYTES: usize = 8;
/// Checksum, attempt, trunk, length of the seed.
const HEAD_BYTES: usize = CHECKSUM_BYTES + 8 + 8 + 2;

/// The file; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct AnsweredCalls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    free: Vec<usize>,
    /// Slots of the file, free ones included.
    count: usize,
}

/// A call that the process before had answered.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) attempt: AttemptId,
    pub(crate) trunk: TrunkId,
    pub(crate) seed: DialogSeed,
    pub(crate) slot: Slot,
}

/// Where a call is kept. Dropped without `forget`, it is there for the next process.
#[derive(Debug)]
#[must_use]
pub(crate) struct Slot {
    calls: AnsweredCalls,
    nth: usize,
}

impl AnsweredCalls {
    /// Opens the file and tells the calls in it, which stay there until they are forgotten.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Kept>)> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut found = Vec::new();
        let mut slot = [0; SLOT_BYTES];
        let whole = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX) / SLOT_BYTES;
        for nth in 0..whole.min(SLOTS_MAX) {
            file.read_exact_at(&mut slot, offset(nth))?;
            found.extend(read(&slot).map(|call| (nth, call)));
        }
        let count = found.last().map_or(0, |(nth, _)| nth + 1);
        file.set_len(offset(count))?;
        let free = (0..count)
            .filter(|nth| found.binary_search_by_key(nth, |(taken, _)| *taken).is_err())
            .collect();
        let calls = Self(Arc::new(Inner { file, slots: Mutex::new(Slots { free, count }) }));
        let kept = |(nth, (attempt, trunk, seed))| {
            let slot = Slot { calls: calls.clone(), nth };
            Kept { attempt, trunk, seed, slot }
        };
        let kept = found.into_iter().map(kept).collect();
        Ok((calls, kept))
    }

    /// Keeps an answered call. `None`: there is no room for it, or the disk takes nothing; the
    /// call goes on, and a later process cannot hang it up.
    pub(crate) fn keep(
        &self,
        attempt: AttemptId,
        trunk: TrunkId,
        seed: &DialogSeed,
    ) -> Option<Slot> {
        let data = write(attempt, trunk, seed)?;
        let nth = self.slots(|slots| {
            slots.free.pop().or_else(|| {
                let nth = slots.count;
                slots.count += usize::from(nth < SLOTS_MAX);
                (nth < SLOTS_MAX).then_some(nth)
            })
        })?;
        if let Err(error) = self.0.file.write_all_at(&data, offset(nth)) {
            tracing::warn!(call.id = %attempt, %error, "an answered call is not kept on disk");
            self.slots(|slots| slots.free.push(nth));
            return None;
        }
        Some(Slot { calls: self.clone(), nth })
    }

    fn slots<T>(&self, work: impl FnOnce(&mut Slots) -> T) -> T {
        work(&mut self.0.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slot {
    /// The call is over.
    pub(crate) fn forget(self) {
        let nothing = [0; CHECKSUM_BYTES];
        if let Err(error) = self.calls.0.file.write_all_at(&nothing, offset(self.nth)) {
            // A later process hangs up once more, and hears that there is no such call.
            tracing::warn!(%error, "an ended call stays on disk");
        }
        self.calls.slots(|slots| slots.free.push(self.nth));
    }
}

fn offset(nth: usize) -> u64 {
    (nth * SLOT_BYTES) as u64
}

fn write(attempt: AttemptId, trunk: TrunkId, seed: &DialogSeed) -> Option<[u8; SLOT_BYTES]> {
    let seed = seed.as_str().as_bytes();
    let length = u16::try_from(seed.len()).ok()?;
    let mut slot = [0; SLOT_BYTES];
    slot[8..16].copy_from_slice(&attempt.0.to_le_bytes());
    slot[16..24].copy_from_slice(&trunk.0.to_le_bytes());
    slot[24..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
    slot.get_mut(HEAD_BYTES..HEAD_BYTES + seed.len())?.copy_from_slice(seed);
    let checksum = checksum(&slot);
    slot[..CHECKSUM_BYTES].copy_from_slice(&checksum);
    Some(slot)
}

fn read(slot: &[u8; SLOT_BYTES]) -> Option<(AttemptId, TrunkId, DialogSeed)> {
    if slot[..CHECKSUM_BYTES] != checksum(slot) {
        return None;
    }
    let number = |at: usize| slot[at..at + 8].try_into().ok().map(i64::from_le_bytes);
    let length = usize::from(u16::from_le_bytes([slot[24], slot[25]]));
    let seed = std::str::from_utf8(slot.get(HEAD_BYTES..HEAD_BYTES + length)?).ok()?;
    Some((AttemptId(number(8)?), TrunkId(number(16)?), DialogSeed::new(seed)))
}

fn checksum(slot: &[u8; SLOT_BYTES]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(&slot[CHECKSUM_BYTES..]);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> (AnsweredCalls, Vec<Kept>) {
        AnsweredCalls::open(path).unwrap()
    }

    fn keep(calls: &AnsweredCalls, attempt: i64, seed: &str) -> Option<Slot> {
        calls.keep(AttemptId(attempt), TrunkId(3), &DialogSeed::new(seed))
    }

    fn attempts(kept: &[Kept]) -> Vec<i64> {
        kept.iter().map(|kept| kept.attempt.0).collect()
    }

    #[test]
    fn answered_call_is_there_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answered");
        let (calls, kept) = open(&path);
        assert!(kept.is_empty());
        let over = keep(&calls, 7, "over").unwrap();
        let _up = keep(&calls, 8, "SIP/2.0 200 \u{fc}\r\n").unwrap();
        over.forget();
        // Two crashes in a row.
        for _ in 0..2 {
            let (_, kept) = open(&path);
            assert_eq!(attempts(&kept), [8]);
            assert_eq!(kept[0].trunk, TrunkId(3));
            assert_eq!(kept[0].seed.as_str(), "SIP/2.0 200 \u{fc}\r\n");
        }
        let (_, kept) = open(&path);
        kept.into_iter().for_each(|kept| kept.slot.forget());
        assert!(open(&path).1.is_empty());
        assert_eq!(path.metadata().unwrap().len(), 0);
    }

    #[test]
    fn slots_are_used_again_and_those_of_the_past_are_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answered");
        let (calls, _) = open(&path);
        let first = keep(&calls, 1, "a").unwrap();
        let _second = keep(&calls, 2, "b").unwrap();
        first.forget();
        let (calls, kept) = open(&path);
        for attempt in 3..100 {
            keep(&calls, attempt, "c").unwrap().forget();
        }
        let _third = keep(&calls, 100, "d").unwrap();
        assert_eq!(attempts(&kept), [2]);
        assert_eq!(attempts(&open(&path).1), [100, 2]);
        assert_eq!(path.metadata().unwrap().len(), 2 * SLOT_BYTES as u64);
    }

    #[test]
    fn torn_flipped_and_foreign_slots_are_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answered");
        let (calls, _) = open(&path);
        let _kept = [1, 2, 3].map(|attempt| keep(&calls, attempt, "seed").unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT_BYTES + 30] ^= 1;
        bytes.truncate(3 * SLOT_BYTES - 1);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(attempts(&open(&path).1), [1]);
        std::fs::write(&path, vec![0xff; 5 * SLOT_BYTES]).unwrap();
        let (calls, kept) = open(&path);
        assert!(kept.is_empty());
        let _slot = keep(&calls, 4, "seed").unwrap();
        assert_eq!(attempts(&open(&path).1), [4]);
    }

    #[test]
    fn too_long_a_seed_and_too_many_calls_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (calls, _) = open(&dir.path().join("answered"));
        let longest = "x".repeat(SLOT_BYTES - HEAD_BYTES);
        assert!(keep(&calls, 1, &longest).is_some());
        assert!(keep(&calls, 2, &format!("{longest}x")).is_none());
        assert!(keep(&calls, 3, &"x".repeat(100_000)).is_none());
        calls.slots(|slots| slots.count = SLOTS_MAX);
        assert!(keep(&calls, 4, "seed").is_none());
        calls.slots(|slots| slots.free.push(0));
        assert!(keep(&calls, 5, "seed").is_some());
    }
}
