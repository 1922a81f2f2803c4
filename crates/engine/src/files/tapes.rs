//! Recordings of whole calls on disk: WAV files that appear whole, for the owner alone, for a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use domain::ids::{AttemptId, ContactId};
use media::g711::Law;
use media::wav::{self, Packing};

use super::private_dir;

/// Ending of a file that is complete.
const SUFFIX: &str = "wav";
/// Ending of one that is being written; found at the start, it is what a crash left behind.
const SUFFIX_UNFINISHED: &str = "partial";
/// Read and write for the owner alone.
const PRIVATE: u32 = 0o600;
/// How the samples are kept: as they came over the wire, mostly.
const LAW: Law = Law::Mu;

/// The directory of recordings; clones are the same.
#[derive(Clone, Debug)]
pub struct TapeDir(PathBuf);

/// A recording that is being written.
#[derive(Debug)]
pub(crate) struct TapeFile {
    file: File,
    channels: u16,
    bytes: u32,
    unfinished: PathBuf,
    finished: PathBuf,
}

impl TapeDir {
    /// Makes the directory ours alone, and completes what a crash left unfinished.
    pub fn open(dir: &Path) -> io::Result<Self> {
        private_dir(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX_UNFINISHED) {
                complete(&path)?;
            }
        }
        Ok(Self(dir.to_owned()))
    }

    /// The finished recording of an attempt and its length in bytes, if it is here.
    pub fn open_tape(&self, attempt: AttemptId) -> io::Result<Option<(File, u64)>> {
        match File::open(self.path(attempt, SUFFIX)) {
            Ok(file) => {
                let length = file.metadata()?.len();
                Ok(Some((file, length)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the finished recording of an attempt; `false` where it is not here.
    pub fn remove(&self, attempt: AttemptId) -> io::Result<bool> {
        match fs::remove_file(self.path(attempt, SUFFIX)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes recordings that were finished so long ago; how many.
    pub fn purge(&self, now: SystemTime, keep: Duration) -> io::Result<u64> {
        let mut gone = 0;
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let path = entry.path();
            let is_finished = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if is_finished && age > keep {
                fs::remove_file(path)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Begins the recording of an attempt.
    pub(crate) fn begin(&self, attempt: AttemptId, channels: u16) -> io::Result<TapeFile> {
        let unfinished = self.path(attempt, SUFFIX_UNFINISHED);
        let finished = self.path(attempt, SUFFIX);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE)
            .open(&unfinished)?;
        file.write_all(&header(channels, 0))?;
        Ok(TapeFile { file, channels, bytes: 0, unfinished, finished })
    }

    fn path(&self, attempt: AttemptId, suffix: &str) -> PathBuf {
        self.0.join(format!("{attempt}.{suffix}"))
    }
}

impl TapeFile {
    /// Appends samples of all channels, one byte each, those of a moment beside each other.
    pub(crate) fn append(&mut self, samples: &[u8]) -> io::Result<()> {
        let bytes = u32::try_from(samples.len()).ok().and_then(|more| self.bytes.checked_add(more));
        let bytes = bytes.ok_or_else(|| io::Error::other("a WAV file has no more room"))?;
        self.file.write_all(samples)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Makes it whole, and lets it appear under its name; how many bytes of samples it has.
    pub(crate) fn finish(mut self) -> io::Result<u32> {
        if !self.bytes.is_multiple_of(2) {
            self.file.write_all(&[0])?;
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.channels, self.bytes))?;
        self.file.sync_data()?;
        fs::rename(&self.unfinished, &self.finished)?;
        Ok(self.bytes)
    }
}

/// How one sample is kept.
pub(crate) fn encode(sample: i16) -> u8 {
    LAW.encode(sample)
}

fn header(channels: u16, bytes: u32) -> Vec<u8> {
    wav::header_of(Packing::Companded(LAW), media::RATE_HZ, channels, bytes)
}

/// A recording whose process ended: its header says nothing of its length, the file does.
fn complete(unfinished: &Path) -> io::Result<()> {
    let mut head = vec![0; header(1, 0).len()];
    let mut file = OpenOptions::new().read(true).write(true).open(unfinished)?;
    let length = file.metadata()?.len();
    if length <= head.len() as u64 {
        return fs::remove_file(unfinished);
    }
    io::Read::read_exact(&mut file, &mut head)?;
    let channels = if head == header(2, 0) { 2 } else { 1 };
    let bytes = u32::try_from(length - head.len() as u64).unwrap_or(u32::MAX);
    let finished = unfinished.with_extension(SUFFIX);
    TapeFile { file, channels, bytes, unfinished: unfinished.to_owned(), finished }.finish_at_end()
}

impl TapeFile {
    fn finish_at_end(mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.finish().map(drop)
    }
}

/// Where clients have the recording of an attempt.
pub(crate) fn recording_address(call: ContactId, attempt: AttemptId) -> String {
    format!("/v1/calls/{call}/recordings/{attempt}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use media::sound::{Hint, Limits, Sound};

    use super::*;

    const ATTEMPT: AttemptId = AttemptId(17);

    fn read(tapes: &TapeDir, attempt: AttemptId) -> Option<Vec<u8>> {
        let (mut file, length) = tapes.open_tape(attempt).unwrap()?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length);
        Some(bytes)
    }

    #[test]
    fn recording_that_is_removed_is_gone_and_one_under_way_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tapes = TapeDir::open(dir.path()).unwrap();
        let mut file = tapes.begin(ATTEMPT, 1).unwrap();
        file.append(&[0; 8]).unwrap();
        assert!(!tapes.remove(ATTEMPT).unwrap());
        file.finish().unwrap();
        assert!(tapes.remove(ATTEMPT).unwrap());
        assert!(!tapes.remove(ATTEMPT).unwrap());
        assert_eq!(read(&tapes, ATTEMPT), None);
    }

    #[test]
    fn recording_appears_whole_and_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("recordings");
        let tapes = TapeDir::open(&dir).unwrap();
        let mut file = tapes.begin(ATTEMPT, 1).unwrap();
        file.append(&[0x12; 801]).unwrap();
        assert_eq!(read(&tapes, ATTEMPT), None);
        assert_eq!(file.finish().unwrap(), 801);
        let bytes = read(&tapes, ATTEMPT).unwrap();
        let sound = Sound::read(&bytes, Hint::None, &Limits::default()).unwrap();
        assert_eq!(sound.samples(), [Law::Mu.decode(0x12); 801]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("17.wav"))), (0o700, 0o600));
    }

    #[test]
    fn recording_of_a_killed_process_is_completed_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let tapes = TapeDir::open(dir.path()).unwrap();
        let mut file = tapes.begin(ATTEMPT, 2).unwrap();
        file.append(&[1, 2, 3, 4]).unwrap();
        drop(file);
        drop(tapes.begin(AttemptId(18), 1).unwrap());
        let tapes = TapeDir::open(dir.path()).unwrap();
        let bytes = read(&tapes, ATTEMPT).unwrap();
        assert!(bytes.ends_with(&[1, 2, 3, 4]));
        assert_eq!(bytes[..header(2, 4).len()], header(2, 4));
        assert_eq!(read(&tapes, AttemptId(18)), None, "nothing was in it");
    }

    #[test]
    fn recordings_are_kept_for_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let tapes = TapeDir::open(dir.path()).unwrap();
        let mut file = tapes.begin(ATTEMPT, 1).unwrap();
        file.append(&[0; 8]).unwrap();
        file.finish().unwrap();
        let written = fs::metadata(dir.path().join("17.wav")).unwrap().modified().unwrap();
        let (now, day) = (written, Duration::from_secs(86_400));
        assert_eq!(tapes.purge(now, day).unwrap(), 0);
        assert_eq!(tapes.purge(now + 2 * day, day).unwrap(), 1);
        assert_eq!(read(&tapes, ATTEMPT), None);
    }
}
