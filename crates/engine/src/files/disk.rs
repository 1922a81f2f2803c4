//! Made sound on disk, so that a restart need not make it again; bounded, and checked when read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::Key;
use super::lru::Lru;

/// A directory of sounds, one file each, named by their keys.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    index: Mutex<Lru<()>>,
    /// Tells files apart that are being written at the same moment.
    written: AtomicU64,
}

/// First bytes of every file; another number when the format changes.
const MAGIC: &[u8; 16] = b"outdial-sound-1\n";
/// What stands before the sound: the magic and the SHA-256 of what follows.
const HEADER_BYTES: usize = MAGIC.len() + 32;
/// Ending of a file that is complete.
const SUFFIX: &str = "sound";
/// Ending of a file that is being written; found at start, it is what a crash left behind.
const SUFFIX_UNFINISHED: &str = "unfinished";
/// Space that a file takes at least; one block of common file systems.
const FILE_BYTES_MIN: u64 = 4_096;

impl Disk {
    /// Takes stock of a directory, creates it where it is missing and removes what is too much.
    pub(super) fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            match path.extension().and_then(|suffix| suffix.to_str()) {
                Some(SUFFIX) => {}
                Some(SUFFIX_UNFINISHED) => {
                    fs::remove_file(&path)?;
                    continue;
                }
                _ => continue,
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if let Some(key) = stem.and_then(Key::from_hex) {
                let metadata = entry.metadata()?;
                let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((modified, key, metadata.len()));
            }
        }
        found.sort_unstable_by_key(|(modified, key, _)| (*modified, *key));
        let disk = Self {
            dir: dir.to_owned(),
            index: Mutex::new(Lru::new(bytes_max)),
            written: AtomicU64::new(0),
        };
        for (_, key, bytes) in found {
            disk.enter(key, bytes);
        }
        Ok(disk)
    }

    /// The sound of this key; `None` where there is none, or none that is whole.
    pub(super) fn read(&self, key: &Key) -> Option<Vec<u8>> {
        self.index().get(key)?;
        let mut bytes = match fs::read(self.path(key)) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, "cached sound cannot be read; it is made again");
                self.forget(key);
                return None;
            }
        };
        let whole = bytes.len() >= HEADER_BYTES
            && bytes.starts_with(MAGIC)
            && bytes[MAGIC.len()..HEADER_BYTES] == Sha256::digest(&bytes[HEADER_BYTES..])[..];
        if !whole {
            tracing::warn!("cached sound is damaged; it is made again");
            self.forget(key);
            return None;
        }
        bytes.drain(..HEADER_BYTES);
        Some(bytes)
    }

    /// Keeps a sound. The file appears whole or not at all.
    pub(super) fn write(&self, key: &Key, sound: &[u8]) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.dir.join(format!("{key}-{number}.{SUFFIX_UNFINISHED}"));
        let mut bytes = Vec::with_capacity(HEADER_BYTES + sound.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&Sha256::digest(sound));
        bytes.extend_from_slice(sound);
        // Not synced: what a crash tears, the checksum finds, and the sound is made again.
        let done =
            fs::write(&unfinished, &bytes).and_then(|()| fs::rename(&unfinished, self.path(key)));
        if let Err(error) = done {
            // Best effort: if it stays, the next start removes it.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        self.enter(*key, bytes.len() as u64);
        Ok(())
    }

    /// Enters a file into the index and removes the files that must leave for it.
    fn enter(&self, key: Key, bytes: u64) {
        let left = self.index().insert(key, (), bytes.max(FILE_BYTES_MIN));
        for (gone, ()) in left {
            if gone != key || self.index().get(&key).is_none() {
                // Best effort: what cannot be removed now is counted again at the next start.
                let _ = fs::remove_file(self.path(&gone));
            }
        }
    }

    fn forget(&self, key: &Key) {
        self.index().remove(key);
        let _ = fs::remove_file(self.path(key));
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(format!("{key}.{SUFFIX}"))
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Lru<()>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::of(&[name.as_bytes()])
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn sound_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        disk.write(&key("a"), b"hello").unwrap();
        drop(disk);
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        assert_eq!(disk.read(&key("a")).as_deref(), Some(&b"hello"[..]));
        assert_eq!(disk.read(&key("b")), None);
    }

    #[test]
    fn damaged_or_cut_file_is_not_believed_and_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        for damage in [b"outdial-sound-1\nshort".to_vec(), vec![0; 100], Vec::new()] {
            disk.write(&key("a"), b"hello").unwrap();
            fs::write(disk.path(&key("a")), damage).unwrap();
            assert_eq!(disk.read(&key("a")), None);
            assert_eq!(files(dir.path()), 0);
        }
    }

    #[test]
    fn file_that_vanished_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        disk.write(&key("a"), b"hello").unwrap();
        fs::remove_file(disk.path(&key("a"))).unwrap();
        assert_eq!(disk.read(&key("a")), None);
        assert_eq!(disk.index().bytes(), 0);
    }

    #[test]
    fn directory_never_grows_beyond_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 20_000).unwrap();
        for n in 0..20u8 {
            disk.write(&key(&n.to_string()), &[n; 100]).unwrap();
        }
        assert_eq!(files(dir.path()), 4);
        assert!(disk.read(&key("19")).is_some());
        drop(disk);
        Disk::open(dir.path(), 10_000).unwrap();
        assert_eq!(files(dir.path()), 2);
    }

    #[test]
    fn same_sound_written_twice_stays() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        disk.write(&key("a"), b"one").unwrap();
        disk.write(&key("a"), b"two").unwrap();
        assert_eq!(disk.read(&key("a")).as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn sound_larger_than_the_directory_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 10_000).unwrap();
        disk.write(&key("a"), &[0; 20_000]).unwrap();
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn unfinished_files_of_a_crash_are_removed_and_strangers_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x-1.unfinished"), "half").unwrap();
        fs::write(dir.path().join("README"), "mine").unwrap();
        Disk::open(dir.path(), 10_000).unwrap();
        assert_eq!(files(dir.path()), 1);
    }

    #[test]
    fn directory_that_cannot_be_made_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Disk::open(&file.join("sub"), 10_000).is_err());
    }
}
