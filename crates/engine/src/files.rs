//! Audio files made ready to send, each once a codec and then kept; prompts made of them.

mod cache;
mod disk;
mod lru;
mod private;
mod prompts;
mod takes;
mod tapes;

use std::time::Duration;

use bytes::Bytes;
use media::sound::{Encoded, Hint, Limits, Sound, SoundError};
use proto::rtp::Codec;
use script::step::PlayError;

pub use self::cache::{CacheConfig, Key, SoundCache};
pub(crate) use self::private::private_dir;
pub use self::prompts::{AudioWish, prepare};
pub use self::takes::{Take, Takes};
pub use self::tapes::TapeDir;
pub(crate) use self::tapes::{TapeFile, encode as tape_sample, recording_address};
use crate::rtp_io::law;

/// An audio file as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFile {
    /// Its media type, as the server named it; empty where it named none.
    pub content_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// Decodes audio files and keeps what came of them; clones share what is kept.
#[derive(Clone, Debug)]
pub struct AudioFiles {
    cache: SoundCache,
}

/// Files up to this size are decoded at once; larger ones where it may take its time.
const AT_ONCE_BYTES_MAX: usize = 16 << 10;
/// Version of what follows from a file; another number when the sound of old files changes.
const RECIPE: &[u8] = b"file 1";
/// Largest file and longest sound that are taken.
const LIMITS: Limits = Limits { bytes_max: 32 << 20, duration_max: Duration::from_secs(30 * 60) };

impl AudioFiles {
    /// A decoder that keeps what it decoded in `cache`.
    pub const fn new(cache: SoundCache) -> Self {
        Self { cache }
    }

    /// A file as sound in `codec`: WAV and AU in mu-law, A-law or PCM at any
    /// rate, and raw G.711 where its type says so. The same bytes are decoded once.
    ///
    /// Fails with [`PlayError::BadFetch`], whose sentence names what would be right.
    pub async fn encode(&self, file: AudioFile, codec: Codec) -> Result<Encoded, PlayError> {
        if file.bytes.len() > LIMITS.bytes_max {
            let (bytes, max) = (file.bytes.len(), LIMITS.bytes_max);
            return Err(bad_audio(&SoundError::TooLarge { bytes, max }));
        }
        let is_small = file.bytes.len() <= AT_ONCE_BYTES_MAX;
        let hint = Hint::from_content_type(&file.content_type);
        let bytes = file.bytes.clone();
        let name = move || {
            let hint = match hint {
                Hint::None => "",
                Hint::Raw(law) => law::codec(law).name(),
            };
            Key::of(&[RECIPE, codec.name().as_bytes(), hint.as_bytes(), &bytes])
        };
        let key = if is_small { name() } else { blocking(name).await };
        let decode = move || encode(&file.bytes, hint, codec);
        let make = async move {
            let sound = if is_small { decode() } else { blocking(decode).await };
            sound.map_err(|error| bad_audio(&error))
        };
        Ok(Encoded::new(law::law(codec), self.cache.sound(key, make).await?))
    }
}

/// Reads a whole file and encodes it, one byte a sample.
pub(crate) fn encode(bytes: &[u8], hint: Hint, codec: Codec) -> Result<Vec<u8>, SoundError> {
    let sound = Sound::read(bytes, hint, &LIMITS)?;
    Ok(sound.encode(law::law(codec)).bytes().to_vec())
}

fn bad_audio(error: &SoundError) -> PlayError {
    PlayError::BadFetch(error.to_string())
}

/// Works where it may take its time, for what takes longer than a few hundred microseconds.
pub(crate) async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            // A fault in the work is a fault of who wanted it.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it everybody who waits.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use media::wav::{self, Packing};

    use super::*;

    fn files() -> AudioFiles {
        AudioFiles::new(SoundCache::open(&CacheConfig::default()).unwrap())
    }

    fn file(content_type: &str, bytes: &[u8]) -> AudioFile {
        AudioFile { content_type: content_type.to_owned(), bytes: Bytes::copy_from_slice(bytes) }
    }

    /// A second of a tone at some rate, as 16-bit WAV.
    fn tone(rate_hz: u32) -> Vec<u8> {
        let samples = (0..rate_hz).map(|at| {
            let phase = f64::from(at) * 440.0 * std::f64::consts::TAU / f64::from(rate_hz);
            (phase.sin() * 10_000.0) as i16
        });
        let sound = Sound::new(rate_hz, samples.collect()).unwrap();
        wav::write(&sound, Packing::Pcm16)
    }

    #[tokio::test]
    async fn wav_of_any_rate_becomes_one_byte_a_sample_at_8_khz() {
        for rate_hz in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000] {
            let wav = file("audio/wav", &tone(rate_hz));
            let sound = files().encode(wav, Codec::Pcmu).await.unwrap();
            assert_eq!(sound.bytes().len(), 8_000, "{rate_hz}");
            assert!(!Codec::Pcmu.is_quiet(sound.bytes()));
        }
    }

    #[tokio::test]
    async fn wav_is_known_by_its_first_bytes_whatever_its_type_says() {
        for content_type in ["", "application/octet-stream", "audio/basic", "text/plain"] {
            let sound = files().encode(file(content_type, &tone(8_000)), Codec::Pcma).await;
            assert_eq!(sound.unwrap().bytes().len(), 8_000, "{content_type}");
        }
    }

    #[tokio::test]
    async fn raw_sound_is_taken_as_its_type_says_and_passed_on_unchanged() {
        let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != 0x7f).collect();
        let mu = file("Audio/Basic; rate=8000", &bytes);
        assert_eq!(**files().encode(mu, Codec::Pcmu).await.unwrap().bytes(), *bytes);
        let bytes: Vec<u8> = (0..=255).collect();
        let a = file("audio/x-alaw-basic", &bytes);
        assert_eq!(**files().encode(a, Codec::Pcma).await.unwrap().bytes(), *bytes);
    }

    #[tokio::test]
    async fn same_bytes_under_another_type_are_another_sound() {
        let files = files();
        let bytes = [0x12; 800];
        let mu = files.encode(file("audio/basic", &bytes), Codec::Pcmu).await.unwrap();
        let a = files.encode(file("audio/x-alaw-basic", &bytes), Codec::Pcmu).await.unwrap();
        assert_ne!(mu, a);
    }

    #[tokio::test]
    async fn file_is_decoded_once_and_then_shared() {
        let files = files();
        let first = files.encode(file("audio/wav", &tone(44_100)), Codec::Pcmu).await.unwrap();
        let second = files.encode(file("audio/wav", &tone(44_100)), Codec::Pcmu).await.unwrap();
        assert!(std::sync::Arc::ptr_eq(first.bytes(), second.bytes()));
    }

    #[tokio::test]
    async fn what_is_no_sound_is_refused_with_a_sentence() {
        let told = async |content_type: &str, bytes: &[u8]| {
            files().encode(file(content_type, bytes), Codec::Pcmu).await.unwrap_err().to_string()
        };
        let large = vec![0xff; LIMITS.bytes_max + 1];
        let long = vec![0xff; 30 * 60 * 8_000 + 1];
        assert_eq!(told("audio/basic", b"").await, "audio cannot be had: sound is empty");
        assert!(told("audio/mpeg", b"ID3\x03rest").await.contains("sound is MP3"));
        assert!(told("text/html", b"<html>404").await.contains("page of text"));
        assert!(told("audio/wav", b"RIFF\0\0\0\0WAVE").await.contains("WAV has no"));
        assert!(told("audio/wav", &tone(8_000)[..20]).await.contains("WAV has no"));
        assert!(told("audio/basic", &large).await.contains("at most 33554432 are taken"));
        assert!(told("audio/basic", &long).await.contains("at most 1800 are taken"));
    }
}
