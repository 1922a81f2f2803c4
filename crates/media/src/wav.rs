//! WAV files: read with all the ways in which headers lie, and written for recordings.

#[cfg(test)]
mod tests;

use crate::g711::Law;
use crate::resample::{RATE_HZ_MAX, RATE_HZ_MIN, RateError};
use crate::sound::{Coding, Limits, Sound, SoundError};

const FORMAT_PCM: u16 = 0x0001;
const FORMAT_FLOAT: u16 = 0x0003;
const FORMAT_A_LAW: u16 = 0x0006;
const FORMAT_MU_LAW: u16 = 0x0007;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;
/// Lengths that writers leave in a header when they cannot go back: `espeak-ng`, `sox` and
/// `ffmpeg` into a pipe. From here on the data reaches to the end of the file.
const LENGTH_UNKNOWN_MIN: u32 = 0x7fff_0000;
/// Chunks that are looked at; no honest file has more.
const CHUNKS_MAX: usize = 1_000;

/// How a file that is written holds its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// One byte a sample in one of the telephone's laws.
    Companded(Law),
    /// Two bytes a sample, linear.
    Pcm16,
}

/// Whether the bytes begin as a WAV file.
pub fn is_wav(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")
}

/// Reads a WAV file; lengths in it are believed only as far as there are bytes.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Sound, SoundError> {
    let missing = |part| SoundError::Missing { container: "WAV", part };
    let chunks = Chunks::find(bytes);
    let format = Format::read(chunks.format.ok_or(missing("format chunk"))?)?;
    let data = chunks.data.ok_or(missing("data chunk"))?;
    let channels = usize::from(format.channels);
    let samples = format.coding.decode(data, format.rate_hz, channels, limits)?;
    Ok(Sound::new(format.rate_hz, samples)?)
}

/// Writes a whole file.
pub fn write(sound: &Sound, packing: Packing) -> Vec<u8> {
    let mut data = Vec::new();
    pack(sound.samples(), packing, &mut data);
    let mut file = header(packing, sound.rate_hz(), data.len() as u32);
    file.append(&mut data);
    if file.len() % 2 == 1 {
        file.push(0);
    }
    file
}

/// Appends samples as the data chunk holds them.
pub fn pack(samples: &[i16], packing: Packing, data: &mut Vec<u8>) {
    match packing {
        Packing::Companded(law) => {
            let start = data.len();
            data.resize(start + samples.len(), 0);
            law.encode_into(samples, &mut data[start..]);
        }
        Packing::Pcm16 => data.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
    }
}

/// All that precedes `data_bytes` bytes of samples of one channel. For a recording that grows
/// write it with zero first and once more in place when the length is known: it has the same
/// size. An odd length is to be followed by one zero byte.
pub fn header(packing: Packing, rate_hz: u32, data_bytes: u32) -> Vec<u8> {
    header_of(packing, rate_hz, 1, data_bytes)
}

/// The same for several channels, whose samples of a moment stand beside each other.
pub fn header_of(packing: Packing, rate_hz: u32, channels: u16, data_bytes: u32) -> Vec<u8> {
    let (format, sample_bytes) = match packing {
        Packing::Companded(Law::A) => (FORMAT_A_LAW, 1u16),
        Packing::Companded(Law::Mu) => (FORMAT_MU_LAW, 1),
        Packing::Pcm16 => (FORMAT_PCM, 2),
    };
    let mut head = Vec::with_capacity(58);
    head.extend(b"RIFF\0\0\0\0WAVEfmt ");
    // All but PCM have the length of an extension, here none, and the number of samples.
    let is_pcm = format == FORMAT_PCM;
    head.extend(if is_pcm { 16u32 } else { 18 }.to_le_bytes());
    head.extend(format.to_le_bytes());
    let block_bytes = sample_bytes.saturating_mul(channels.max(1));
    head.extend(channels.max(1).to_le_bytes());
    head.extend(rate_hz.to_le_bytes());
    head.extend((rate_hz.saturating_mul(u32::from(block_bytes))).to_le_bytes());
    head.extend(block_bytes.to_le_bytes());
    head.extend((sample_bytes * 8).to_le_bytes());
    if !is_pcm {
        head.extend(0u16.to_le_bytes());
        head.extend(b"fact");
        head.extend(4u32.to_le_bytes());
        head.extend((data_bytes / u32::from(block_bytes)).to_le_bytes());
    }
    head.extend(b"data");
    head.extend(data_bytes.to_le_bytes());
    let rest = (head.len() as u32 - 8).saturating_add(data_bytes).saturating_add(data_bytes % 2);
    head[4..8].copy_from_slice(&rest.to_le_bytes());
    head
}

/// The two chunks that matter.
struct Chunks<'a> {
    format: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
}

impl<'a> Chunks<'a> {
    /// Walks the file; the length in the RIFF header is not needed and often wrong.
    fn find(bytes: &'a [u8]) -> Self {
        let mut chunks = Self { format: None, data: None };
        let mut rest = bytes.get(12..).unwrap_or_default();
        for _ in 0..CHUNKS_MAX {
            let Some((head, body)) = rest.split_first_chunk::<8>() else { break };
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            let taken = body.len().min(length as usize);
            match &head[..4] {
                b"fmt " if chunks.format.is_none() => chunks.format = Some(&body[..taken]),
                b"data" if chunks.data.is_none() => {
                    let is_unknown =
                        length >= LENGTH_UNKNOWN_MIN || length == 0 && !begins_a_chunk(body);
                    let taken = if is_unknown { body.len() } else { taken };
                    chunks.data = Some(&body[..taken]);
                    if is_unknown {
                        break;
                    }
                }
                _ => {}
            }
            // Chunks begin at even places.
            rest = body.get(taken + taken % 2..).unwrap_or_default();
        }
        chunks
    }
}

/// Whether a chunk with a name follows; else what follows a length of zero is sound.
fn begins_a_chunk(bytes: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] =
        [b"LIST", b"fact", b"fmt ", b"id3 ", b"cue ", b"bext", b"PEAK", b"JUNK"];
    NAMES.iter().any(|name| bytes.starts_with(name))
}

/// What the format chunk says.
struct Format {
    coding: Coding,
    channels: u16,
    rate_hz: u32,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Self, SoundError> {
        let short = SoundError::Missing { container: "WAV", part: "whole format chunk" };
        if chunk.len() < 16 {
            return Err(short);
        }
        let half = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let (mut format, channels, bits) = (half(0), half(2), half(14));
        let rate_hz = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let block_bytes = half(12);
        if format == FORMAT_EXTENSIBLE {
            // The true format is the beginning of an identifier of 16 bytes.
            if chunk.len() < 26 {
                return Err(short);
            }
            format = half(24);
        }
        let coding = coding(format, bits)?;
        if !(1..=2).contains(&channels) {
            return Err(SoundError::Channels(channels.into()));
        }
        if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&rate_hz) {
            return Err(RateError(rate_hz).into());
        }
        // Some writers leave the block at zero; one that says something else is not to be trusted.
        if block_bytes != 0 && usize::from(block_bytes) != coding.bytes() * usize::from(channels) {
            return Err(SoundError::Contradiction { channels, bits, block_bytes });
        }
        Ok(Self { coding, channels, rate_hz })
    }
}

/// How samples of a format and width lie in the file.
fn coding(format: u16, bits: u16) -> Result<Coding, SoundError> {
    let wrong = |coding, right| SoundError::Bits { container: "WAV", coding, bits, right };
    match (format, bits) {
        (FORMAT_PCM, 1..=8) => Ok(Coding::Unsigned8),
        (FORMAT_PCM, 9..=32) => Ok(Coding::Little(usize::from(bits.div_ceil(8)))),
        (FORMAT_PCM, _) => Err(wrong("PCM", "8, 16, 24 or 32 bits")),
        (FORMAT_FLOAT, 32) => Ok(Coding::Float32),
        (FORMAT_FLOAT, 64) => Ok(Coding::Float64),
        (FORMAT_FLOAT, _) => Err(wrong("floating point", "32 or 64 bits")),
        // Some writers say 16 bits, those of the sound before it was encoded.
        (FORMAT_A_LAW, 8 | 16) => Ok(Coding::Companded(Law::A)),
        (FORMAT_A_LAW, _) => Err(wrong("A-law", "8 bits")),
        (FORMAT_MU_LAW, 8 | 16) => Ok(Coding::Companded(Law::Mu)),
        (FORMAT_MU_LAW, _) => Err(wrong("mu-law", "8 bits")),
        (code, _) => {
            let name = match code {
                0x0002 => "Microsoft ADPCM",
                0x0011 => "IMA ADPCM",
                0x0031 => "GSM 6.10",
                0x0040 => "G.721 ADPCM",
                0x0055 => "MP3",
                0x0083 | 0x0133 => "G.729",
                _ => "an unknown coding",
            };
            Err(SoundError::Coding { container: "WAV", name, code: code.into() })
        }
    }
}
