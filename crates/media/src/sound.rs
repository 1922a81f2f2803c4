//! A recording in memory: one channel of 16-bit samples, however it came.

use std::sync::Arc;
use std::time::Duration;

use crate::g711::Law;
use crate::resample::{self, RateError};
use crate::{RATE_HZ, au, wav};

/// Sound of one channel at some rate.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    rate_hz: u32,
    samples: Vec<i16>,
}

/// Sound ready to be sent: 8 kHz in one law, one byte a sample, shared and never copied.
///
/// A prompt is encoded once per law and played by every call from the same memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    law: Law,
    bytes: Arc<[u8]>,
}

/// How much sound is taken at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest file, in bytes.
    pub bytes_max: usize,
    /// Longest sound.
    pub duration_max: Duration,
}

impl Default for Limits {
    /// 32 MiB and 30 minutes: more than any prompt, and little enough to hold a few at once.
    fn default() -> Self {
        Self { bytes_max: 32 << 20, duration_max: Duration::from_secs(30 * 60) }
    }
}

/// What the bytes are if they do not say so themselves; from the content type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hint {
    /// Nothing is known: only files with a header are taken.
    #[default]
    None,
    /// Bytes without a header are 8 kHz in this law.
    Raw(Law),
}

impl Hint {
    /// What a content type says of bytes without a header (RFC 2046 §4.3, VoiceXML 2.0 App. E).
    pub fn from_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "audio/basic" | "audio/pcmu" | "audio/x-mulaw" | "audio/x-mulaw-basic" => {
                Self::Raw(Law::Mu)
            }
            "audio/x-alaw-basic" | "audio/pcma" | "audio/x-alaw" => Self::Raw(Law::A),
            _ => Self::None,
        }
    }
}

/// Why bytes are no sound. Whoever made the file repairs it; the sentence says how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// There are none.
    #[error("sound is empty")]
    Empty,
    /// More bytes than the limit.
    #[error("sound has {bytes} bytes, at most {max} are taken")]
    TooLarge {
        /// What was found.
        bytes: usize,
        /// What is taken.
        max: usize,
    },
    /// Longer than the limit.
    #[error("sound lasts {seconds} seconds, at most {max} are taken")]
    TooLong {
        /// What was found.
        seconds: u64,
        /// What is taken.
        max: u64,
    },
    /// Another kind of file.
    #[error("sound is {0}; use WAV or AU with mu-law, A-law or PCM, or raw audio/basic")]
    Unrecognised(&'static str),
    /// A coding that is not read.
    #[error("{container} holds {name} (format {code:#06x}); use PCM, mu-law or A-law")]
    Coding {
        /// WAV or AU.
        container: &'static str,
        /// What the format is called.
        name: &'static str,
        /// Its number.
        code: u32,
    },
    /// A width that does not go with the coding.
    #[error("{container} holds {coding} of {bits} bits; use {right}")]
    Bits {
        /// WAV or AU.
        container: &'static str,
        /// What the coding is called.
        coding: &'static str,
        /// What was found.
        bits: u16,
        /// What is taken.
        right: &'static str,
    },
    /// Neither mono nor stereo.
    #[error("sound has {0} channels; use 1 or 2")]
    Channels(u32),
    /// A rate that is not taken.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// A part of the file that must be there.
    #[error("{container} has no {part}")]
    Missing {
        /// WAV or AU.
        container: &'static str,
        /// Which part.
        part: &'static str,
    },
    /// The header says two things.
    #[error("WAV says {channels} channels of {bits} bits but blocks of {block_bytes} bytes")]
    Contradiction {
        /// Channels in the header.
        channels: u16,
        /// Bits a sample in the header.
        bits: u16,
        /// Bytes a block in the header.
        block_bytes: u16,
    },
}

impl Sound {
    /// Sound of samples at hand.
    pub fn new(rate_hz: u32, samples: Vec<i16>) -> Result<Self, RateError> {
        if (resample::RATE_HZ_MIN..=resample::RATE_HZ_MAX).contains(&rate_hz) {
            Ok(Self { rate_hz, samples })
        } else {
            Err(RateError(rate_hz))
        }
    }

    /// Sound of samples at the telephone's rate.
    pub const fn telephone(samples: Vec<i16>) -> Self {
        Self { rate_hz: RATE_HZ, samples }
    }

    /// Reads a file: WAV and AU by what they begin with, else raw as `hint` says.
    pub fn read(bytes: &[u8], hint: Hint, limits: &Limits) -> Result<Self, SoundError> {
        if bytes.is_empty() {
            return Err(SoundError::Empty);
        }
        if bytes.len() > limits.bytes_max {
            return Err(SoundError::TooLarge { bytes: bytes.len(), max: limits.bytes_max });
        }
        if wav::is_wav(bytes) {
            return wav::read(bytes, limits);
        }
        if au::is_au(bytes) {
            return au::read(bytes, limits);
        }
        // What says clearly that it is something else is not played as noise.
        if let Some(kind) = other_kind(bytes) {
            return Err(SoundError::Unrecognised(kind));
        }
        match hint {
            Hint::Raw(law) => {
                let samples = Coding::Companded(law).decode(bytes, RATE_HZ, 1, limits)?;
                Ok(Self::telephone(samples))
            }
            // These two bytes begin an MP3 without a tag, but also quiet mu-law.
            Hint::None if matches!(bytes, [0xff, 0xf2 | 0xf3 | 0xfa | 0xfb, ..]) => {
                Err(SoundError::Unrecognised("MP3"))
            }
            Hint::None => Err(SoundError::Unrecognised("of no known kind")),
        }
    }

    /// Samples a second.
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        let micros = self.samples.len() as u64 * 1_000_000 / u64::from(self.rate_hz);
        Duration::from_micros(micros)
    }

    /// The same sound at another rate.
    pub fn at_rate(self, rate_hz: u32) -> Result<Self, RateError> {
        if rate_hz == self.rate_hz {
            return Ok(self);
        }
        let samples = resample::resample(&self.samples, self.rate_hz, rate_hz)?;
        Ok(Self { rate_hz, samples })
    }

    /// The same sound as a call sends it.
    pub fn encode(&self, law: Law) -> Encoded {
        let resampled;
        let samples = if self.rate_hz == RATE_HZ {
            &self.samples
        } else {
            resampled = resample::resample(&self.samples, self.rate_hz, RATE_HZ)
                .expect("a sound's rate is within the limits of resampling");
            &resampled
        };
        let mut bytes = vec![0; samples.len()];
        law.encode_into(samples, &mut bytes);
        Encoded { law, bytes: bytes.into() }
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({:?} at {} Hz)", self.duration(), self.rate_hz)
    }
}

impl Encoded {
    /// Bytes that are 8 kHz in `law` already, such as what a call heard.
    pub const fn new(law: Law, bytes: Arc<[u8]>) -> Self {
        Self { law, bytes }
    }

    /// The law of the bytes.
    pub const fn law(&self) -> Law {
        self.law
    }

    /// The bytes, one a sample.
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.bytes.len() as u64 * 1_000_000 / u64::from(RATE_HZ))
    }

    /// The sound it stands for.
    pub fn decode(&self) -> Sound {
        let mut samples = vec![0; self.bytes.len()];
        self.law.decode_into(&self.bytes, &mut samples);
        Sound::telephone(samples)
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoded({:?} of {:?})", self.duration(), self.law)
    }
}

/// How one sample lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Companded(Law),
    /// Unsigned, as WAV has eight bits.
    Unsigned8,
    /// Signed, with so many bytes.
    Little(usize),
    /// Signed, with so many bytes.
    Big(usize),
    Float32,
    Float64,
}

impl Coding {
    /// Bytes of one sample.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Companded(_) | Self::Unsigned8 => 1,
            Self::Little(bytes) | Self::Big(bytes) => bytes,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The samples of `data`, two channels mixed to one; an incomplete last block is left out.
    pub(crate) fn decode(
        self,
        data: &[u8],
        rate_hz: u32,
        channels: usize,
        limits: &Limits,
    ) -> Result<Vec<i16>, SoundError> {
        let blocks = data.len() / (self.bytes() * channels);
        let seconds = (blocks as u64).div_ceil(u64::from(rate_hz));
        let max = limits.duration_max.as_secs();
        if blocks as u64 > u64::from(rate_hz) * max {
            return Err(SoundError::TooLong { seconds, max });
        }
        if blocks == 0 {
            return Err(SoundError::Empty);
        }
        // Each coding has its own loop, so that none decides anew with every sample.
        let samples = match self {
            Self::Companded(law) => mix(data, channels, |[byte]| law.decode(byte)),
            Self::Unsigned8 => mix(data, channels, |[byte]| i16::from(byte ^ 0x80) << 8),
            Self::Little(1) => mix(data, channels, |[byte]| i16::from(byte) << 8),
            Self::Little(2) => mix(data, channels, i16::from_le_bytes),
            Self::Little(3) => {
                mix(data, channels, |[_, low, high]| i16::from_le_bytes([low, high]))
            }
            Self::Little(_) => {
                mix(data, channels, |[_, _, low, high]| i16::from_le_bytes([low, high]))
            }
            Self::Big(1) => mix(data, channels, |[byte]| i16::from(byte) << 8),
            Self::Big(2) => mix(data, channels, i16::from_be_bytes),
            Self::Big(3) => mix(data, channels, |[high, low, _]| i16::from_be_bytes([high, low])),
            Self::Big(_) => {
                mix(data, channels, |[high, low, _, _]| i16::from_be_bytes([high, low]))
            }
            Self::Float32 => mix(data, channels, |bytes| from_float(f32::from_le_bytes(bytes))),
            Self::Float64 => {
                mix(data, channels, |bytes| from_float(f64::from_le_bytes(bytes) as f32))
            }
        };
        Ok(samples)
    }
}

/// Decodes sample by sample; of two channels the mean.
fn mix<const N: usize>(data: &[u8], channels: usize, decode: impl Fn([u8; N]) -> i16) -> Vec<i16> {
    let (samples, _) = data.as_chunks::<N>();
    if channels == 1 {
        return samples.iter().map(|bytes| decode(*bytes)).collect();
    }
    let (pairs, _) = samples.as_chunks::<2>();
    let mean = |pair: &[[u8; N]; 2]| {
        let sum = i32::from(decode(pair[0])) + i32::from(decode(pair[1]));
        (sum / 2) as i16
    };
    pairs.iter().map(mean).collect()
}

/// Full scale is 1; beyond is clipped, and what is no number is silence.
fn from_float(value: f32) -> i16 {
    (value * 32_768.0).round() as i16
}

/// What a file is that is not read, by what it begins with.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    let text = bytes.trim_ascii_start();
    let is_text = |with: &str| {
        text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    if begins(b"ID3") {
        Some("MP3")
    } else if begins(b"OggS") {
        Some("Ogg (Vorbis or Opus)")
    } else if begins(b"fLaC") {
        Some("FLAC")
    } else if begins(b"RIFX") || begins(b"RF64") || begins(b"BW64") {
        Some("a variant of WAV that telephones do not use (RIFX, RF64 or BW64)")
    } else if begins(b"FORM") {
        Some("AIFF")
    } else if begins(b"#!AMR") {
        Some("AMR")
    } else if bytes.get(4..8) == Some(b"ftyp") {
        Some("MP4 or M4A")
    } else if is_text("<!doctype") || is_text("<html") || is_text("<?xml") {
        Some("a page of text, not audio")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], hint: Hint) -> Result<Sound, SoundError> {
        Sound::read(bytes, hint, &Limits::default())
    }

    #[test]
    fn raw_bytes_are_read_as_their_content_type_says() {
        let bytes = [0xff, 0x80, 0x00];
        let mu = read(&bytes, Hint::from_content_type("audio/basic")).unwrap();
        assert_eq!(mu.samples(), bytes.map(|byte| Law::Mu.decode(byte)));
        let a = read(&bytes, Hint::from_content_type("Audio/X-alaw-basic; rate=8000")).unwrap();
        assert_eq!(a.samples(), bytes.map(|byte| Law::A.decode(byte)));
        assert_eq!((a.rate_hz(), a.duration()), (8_000, Duration::from_micros(375)));
        assert_eq!(Hint::from_content_type("audio/mpeg"), Hint::None);
    }

    #[test]
    fn bytes_of_other_kinds_are_named_even_if_the_content_type_claims_otherwise() {
        let told = |bytes: &[u8], hint| read(bytes, hint).unwrap_err().to_string();
        assert_eq!(
            told(b"ID3\x04 and so on", Hint::Raw(Law::Mu)),
            "sound is MP3; use WAV or AU with mu-law, A-law or PCM, or raw audio/basic"
        );
        assert!(told(&[0xff, 0xfb, 0x90, 0], Hint::None).contains("MP3"));
        assert!(read(&[0xff, 0xfb, 0x90, 0], Hint::Raw(Law::Mu)).is_ok(), "quiet mu-law");
        assert!(told(b"OggS....", Hint::None).contains("Ogg"));
        assert!(told(b"fLaC", Hint::None).contains("FLAC"));
        assert!(told(b"RF64....WAVE", Hint::None).contains("RF64"));
        assert!(told(b"\0\0\0\x18ftypM4A ", Hint::None).contains("M4A"));
        assert!(told(b" \n<!DOCTYPE html><p>404", Hint::Raw(Law::A)).contains("page of text"));
        assert!(told(b"hello", Hint::None).contains("no known kind"));
    }

    #[test]
    fn empty_large_and_long_sounds_are_refused_with_the_limit() {
        assert_eq!(read(&[], Hint::Raw(Law::Mu)), Err(SoundError::Empty));
        let limits = Limits { bytes_max: 100, duration_max: Duration::from_secs(1) };
        assert_eq!(
            Sound::read(&[1; 101], Hint::Raw(Law::Mu), &limits),
            Err(SoundError::TooLarge { bytes: 101, max: 100 })
        );
        let limits = Limits { bytes_max: 100_000, ..limits };
        assert_eq!(
            Sound::read(&[1; 16_001], Hint::Raw(Law::Mu), &limits),
            Err(SoundError::TooLong { seconds: 3, max: 1 })
        );
        assert!(Sound::read(&[1; 8_000], Hint::Raw(Law::Mu), &limits).is_ok());
    }

    #[test]
    fn sound_is_encoded_at_the_telephones_rate_and_comes_back() {
        let sound = Sound::new(16_000, vec![1_000; 3_200]).unwrap();
        let encoded = sound.encode(Law::A);
        assert_eq!((encoded.law(), encoded.bytes().len()), (Law::A, 1_600));
        assert_eq!(encoded.duration(), Duration::from_millis(200));
        let back = encoded.decode();
        assert!((back.samples()[800] - 1_000).abs() <= 32);
        assert_eq!(
            format!("{encoded:?} {sound:?}"),
            "Encoded(200ms of A) Sound(200ms at 16000 Hz)"
        );
        assert_eq!(Sound::new(100, vec![]), Err(RateError(100)));
        assert_eq!(sound.at_rate(8_000).unwrap().samples().len(), 1_600);
    }

    #[test]
    fn floats_are_clipped_and_what_is_no_number_is_silence() {
        assert_eq!(from_float(1.5), i16::MAX);
        assert_eq!(from_float(-1.0), i16::MIN);
        assert_eq!(from_float(f32::NAN), 0);
        assert_eq!(from_float(f32::NEG_INFINITY), i16::MIN);
        assert_eq!(from_float(0.5), 16_384);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            hint in prop::sample::select(vec![Hint::None, Hint::Raw(Law::A), Hint::Raw(Law::Mu)]),
        ) {
            if let Ok(sound) = read(&bytes, hint) {
                prop_assert!(!sound.samples().is_empty());
            }
        }
    }
}
