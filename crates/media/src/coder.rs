//! Codecs that remember what was before: G.722 and Opus, between their packets and 20 ms at 8 kHz.
//!
//! The arithmetic is that of the crates `audio-codec` and `opus-rs`; here are the rates, the sizes
//! and what is done for packets that are lost. G.722 has 16,000 samples a second (ITU-T G.722),
//! which are halved and doubled; Opus is told to speak and hear at 8 kHz by itself (RFC 6716 §2.1).

#[cfg(test)]
mod tests;

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};
use opus_rs::{Application, OpusDecoder, OpusEncoder};

use crate::resample::Stream;
use crate::{FRAME_SAMPLES, LinearFrame, RATE_HZ};

/// Longest payload that a frame becomes, in bytes: Opus at its bit rate needs a tenth of it.
pub const ENCODED_BYTES_MAX: usize = 400;
/// Most that one packet holds, in samples: 120 ms (RFC 6716 §2.1.4).
pub const DECODED_SAMPLES_MAX: usize = 960;
/// Frames that are made up at most for packets that are missing: what is longer is a pause.
pub const FRAMES_MADE_UP_MAX: usize = 3;
/// Bytes of a G.722 frame: 64 kbit/s.
const G722_FRAME_BYTES: usize = 160;
/// Samples of a frame in G.722's own rate.
const WIDE_SAMPLES: usize = 2 * FRAME_SAMPLES;
/// Samples of the shortest frame of Opus, 2.5 ms.
const OPUS_STEP: usize = 20;
/// Bits per second of Opus: narrowband speech is as good as it gets at two thirds of it
/// (RFC 7587 §3.1.1); the rest is for music and for what helps against loss.
const OPUS_BITS_PER_SECOND: i32 = 24_000;
/// Effort of Opus, 0 to 10: what more adds is not heard at 8 kHz, and costs as much again.
const OPUS_EFFORT: i32 = 4;
/// Loss in per cent that Opus prepares for where the far end uses it.
const OPUS_LOSS_PERCENT: i32 = 10;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// ITU-T G.722 at 64 kbit/s.
    G722,
    /// RFC 6716.
    Opus,
}

/// Why a packet has no sound. Whoever sent it repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is longer than a packet may be, or empty.
    #[error("packet has no size that the codec knows")]
    Size,
    /// Its bytes mean nothing.
    #[error("packet cannot be decoded")]
    Malformed,
}

/// Makes payloads of frames, one after the other.
pub struct Encoder(Encoding);

enum Encoding {
    G722 { codec: Box<G722Encoder>, doubled: Stream },
    Opus(Box<OpusEncoder>),
}

/// Makes samples of payloads, in the order in which they were sent.
pub struct Decoder(Decoding);

enum Decoding {
    G722 { codec: Box<G722Decoder>, halved: Stream },
    Opus { codec: Box<OpusDecoder>, samples: Box<[f32; DECODED_SAMPLES_MAX]> },
}

impl Encoder {
    /// One that has heard nothing; `expects_loss` spends a part of Opus's bits on the frame before
    /// (RFC 7587 §6.1, `useinbandfec`), and changes nothing for G.722.
    pub fn new(coding: Coding, expects_loss: bool) -> Self {
        match coding {
            Coding::G722 => Self(Encoding::G722 {
                codec: Box::new(G722Encoder::new()),
                doubled: Stream::doubling(),
            }),
            Coding::Opus => {
                let rate = RATE_HZ.cast_signed();
                let codec = OpusEncoder::new(rate, 1, Application::Voip);
                let mut codec = codec.expect("Opus knows 8 kHz with one channel");
                codec.bitrate_bps = OPUS_BITS_PER_SECOND;
                codec.complexity = OPUS_EFFORT;
                codec.use_inband_fec = expects_loss;
                codec.packet_loss_perc = if expects_loss { OPUS_LOSS_PERCENT } else { 0 };
                Self(Encoding::Opus(Box::new(codec)))
            }
        }
    }

    /// The payload of the next frame; its length. Nothing where the codec fails, which is then a
    /// packet lost.
    pub fn encode(&mut self, frame: &LinearFrame, out: &mut [u8; ENCODED_BYTES_MAX]) -> usize {
        match &mut self.0 {
            Encoding::G722 { codec, doubled } => {
                let mut wide = [0; WIDE_SAMPLES];
                doubled.push(frame, &mut wide);
                codec.encode_into(&wide, out).unwrap_or(0)
            }
            Encoding::Opus(codec) => codec.encode_i16(frame, FRAME_SAMPLES, out).unwrap_or(0),
        }
    }
}

impl Decoder {
    /// One that has heard nothing.
    pub fn new(coding: Coding) -> Self {
        match coding {
            Coding::G722 => Self(Decoding::G722 {
                codec: Box::new(G722Decoder::new()),
                halved: Stream::halving(),
            }),
            Coding::Opus => {
                let codec = OpusDecoder::new(RATE_HZ.cast_signed(), 1);
                let codec = Box::new(codec.expect("Opus knows 8 kHz with one channel"));
                Self(Decoding::Opus { codec, samples: Box::new([0.0; DECODED_SAMPLES_MAX]) })
            }
        }
    }

    /// The samples of the next payload; their number.
    pub fn decode(
        &mut self,
        payload: &[u8],
        out: &mut [i16; DECODED_SAMPLES_MAX],
    ) -> Result<usize, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Size);
        }
        match &mut self.0 {
            Decoding::G722 { codec, halved } => {
                if payload.len() > DECODED_SAMPLES_MAX {
                    return Err(DecodeError::Size);
                }
                for (bytes, out) in
                    payload.chunks(G722_FRAME_BYTES).zip(out.chunks_mut(FRAME_SAMPLES))
                {
                    let mut wide = [0; WIDE_SAMPLES];
                    let count = codec.decode_into(bytes, &mut wide);
                    let count = count.map_err(|_| DecodeError::Malformed)?;
                    halved.push(&wide[..count], out);
                }
                Ok(payload.len())
            }
            Decoding::Opus { codec, samples } => {
                let decoded = codec.decode(payload, DECODED_SAMPLES_MAX, &mut samples[..]);
                let count = decoded.map_err(|_| DecodeError::Malformed)?;
                to_integers(&samples[..count], out);
                Ok(count)
            }
        }
    }

    /// What stands for `lost` samples before this payload, which is to be decoded next: from what
    /// it tells of them, else made up. Nothing for G.722, whose frames do not speak of others.
    pub fn make_up(
        &mut self,
        lost: usize,
        next: &[u8],
        out: &mut [i16; DECODED_SAMPLES_MAX],
    ) -> usize {
        let Decoding::Opus { codec, samples } = &mut self.0 else {
            return 0;
        };
        // Opus counts in 2.5 ms.
        let lost = lost.min(FRAMES_MADE_UP_MAX * FRAME_SAMPLES) / OPUS_STEP * OPUS_STEP;
        let count = codec.decode_fec(next, lost, &mut samples[..]).unwrap_or(0);
        to_integers(&samples[..count], out);
        count
    }
}

fn to_integers(samples: &[f32], out: &mut [i16]) {
    for (out, sample) in out.iter_mut().zip(samples) {
        // A float's cast keeps it in range, and makes silence of what is no number.
        *out = (sample * 32_768.0).round() as i16;
    }
}
