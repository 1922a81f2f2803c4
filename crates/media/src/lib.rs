//! What sound means: samples in, samples and verdicts out. Knows no network and no file.
//!
//! In reading order: [`g711`] are the two laws of the telephone, [`coder`] the codecs
//! that remember, [`sound`] is a recording in
//! memory however it came ([`wav`] and [`au`] files, raw bytes, any rate through [`resample`]),
//! [`tone`] makes and recognises tones, [`playlist`] is the machine that plays one thing after
//! another in frames of 20 ms, [`classify`] is the machine that tells who or what answered, and
//! [`align`] tells whether a recording holds what was played.
//!
//! Everything that leaves or enters a call is 8 kHz, one channel.

pub mod align;
pub mod au;
pub mod classify;
pub mod coder;
mod dft;
pub mod g711;
pub mod mixer;
pub mod playlist;
mod random;
pub mod recorder;
pub mod resample;
pub mod sound;
pub mod tone;
pub mod wav;

/// Samples in a second of telephone sound.
pub const RATE_HZ: u32 = 8_000;
/// Length of a frame in milliseconds.
pub const FRAME_MS: u32 = 20;
/// Samples of one frame.
pub const FRAME_SAMPLES: usize = 160;

/// One frame as it goes over the wire: one byte a sample.
pub type EncodedFrame = [u8; FRAME_SAMPLES];
/// One frame in linear samples.
pub type LinearFrame = [i16; FRAME_SAMPLES];

/// How many samples of telephone sound `span` holds, rounded down.
pub const fn samples_in(span: std::time::Duration) -> usize {
    (span.as_micros() * RATE_HZ as u128 / 1_000_000) as usize
}
