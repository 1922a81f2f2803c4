//! What was recorded in one call: in memory alone, and wiped when the call is over.
//!
//! What callees say is as private as what they key: nothing of it is written anywhere unless the
//! script sends it to its application.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::g711::Law;
use media::sound::Encoded;
use media::wav::{self, Packing};
use script::step::RecordingId;
use zeroize::Zeroize as _;

/// Bytes that the recordings of one call take at most: over an hour of sound.
const BYTES_MAX: usize = 32 << 20;
/// The media type of recordings as WAV; all others have no header.
const WAV: &str = "audio/x-wav";
/// Samples in a second.
const RATE_HZ: u32 = media::RATE_HZ;

/// The recordings of one call; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Takes(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    takes: BTreeMap<RecordingId, Take>,
    bytes: usize,
}

/// One recording.
#[derive(Clone)]
pub struct Take {
    /// `audio/basic`, `audio/x-alaw-basic` or `audio/x-wav`.
    pub media_type: String,
    sound: Encoded,
}

impl Takes {
    /// Keeps a recording; its size as a file, or `None` where this call has too much already.
    pub fn keep(
        &self,
        recording: RecordingId,
        media_type: &str,
        law: Law,
        mut sound: Vec<u8>,
    ) -> Option<u64> {
        let mut kept = self.kept();
        if kept.bytes.saturating_add(sound.len()) > BYTES_MAX {
            sound.zeroize();
            return None;
        }
        kept.bytes += sound.len();
        let bytes: Arc<[u8]> = Arc::from(sound.as_slice());
        sound.zeroize();
        let take = Take { media_type: media_type.to_owned(), sound: Encoded::new(law, bytes) };
        let size = take.size();
        kept.takes.insert(recording, take);
        Some(size)
    }

    /// A recording, if there is one of this name.
    pub fn find(&self, recording: RecordingId) -> Option<Take> {
        self.kept().takes.get(&recording).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Take {
    /// The sound of it.
    pub fn sound(&self) -> &Encoded {
        &self.sound
    }

    /// It as a file of its media type.
    pub fn file(&self) -> Vec<u8> {
        let mut file = self.header();
        file.extend_from_slice(self.sound.bytes());
        if !file.len().is_multiple_of(2) && self.is_wav() {
            file.push(0);
        }
        file
    }

    /// Name of the file, for who wants one.
    pub fn file_name(&self) -> &'static str {
        match (self.is_wav(), self.sound.law()) {
            (true, _) => "recording.wav",
            (false, Law::A) => "recording.al",
            (false, Law::Mu) => "recording.ul",
        }
    }

    /// The law that recordings of a media type are kept in.
    pub fn law_of(media_type: &str) -> Law {
        if media_type == "audio/x-alaw-basic" { Law::A } else { Law::Mu }
    }

    fn is_wav(&self) -> bool {
        self.media_type == WAV
    }

    fn header(&self) -> Vec<u8> {
        let bytes = u32::try_from(self.sound.bytes().len()).unwrap_or(u32::MAX);
        let packing = Packing::Companded(self.sound.law());
        if self.is_wav() { wav::header(packing, RATE_HZ, bytes) } else { Vec::new() }
    }

    fn size(&self) -> u64 {
        (self.header().len() + self.sound.bytes().len()) as u64
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for take in std::mem::take(&mut self.takes).into_values() {
            let mut bytes = Arc::clone(take.sound.bytes());
            drop(take);
            // Whoever still plays it drops it a moment later, unwiped: its leg outlives its call.
            if let Some(bytes) = Arc::get_mut(&mut bytes) {
                bytes.zeroize();
            }
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use media::sound::{Hint, Limits, Sound};

    use super::*;

    #[test]
    fn recording_is_a_file_of_its_type() {
        let takes = Takes::default();
        let sound = vec![0x12; 801];
        let size = takes.keep(RecordingId(1), WAV, Law::Mu, sound.clone()).unwrap();
        let take = takes.find(RecordingId(1)).unwrap();
        let file = take.file();
        assert_eq!(file.len() as u64, size + 1, "an odd length has one more byte");
        let read = Sound::read(&file, Hint::None, &Limits::default()).unwrap();
        assert_eq!(read.samples(), take.sound().decode().samples());
        let size = takes.keep(RecordingId(2), "audio/x-alaw-basic", Law::A, sound.clone());
        assert_eq!(size, Some(801));
        assert_eq!(takes.find(RecordingId(2)).unwrap().file(), sound);
        assert!(takes.find(RecordingId(3)).is_none());
    }

    #[test]
    fn call_cannot_fill_the_memory() {
        let takes = Takes::default();
        let keep = |nth, bytes| takes.keep(RecordingId(nth), WAV, Law::Mu, vec![0; bytes]);
        assert!(keep(1, BYTES_MAX).is_some());
        assert!(keep(2, 1).is_none());
    }
}
