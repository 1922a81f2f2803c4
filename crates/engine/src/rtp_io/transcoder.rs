//! Between the G.711 of which a stream's sound is made here and the codec that its far end speaks.
//!
//! G.711 passes as it is and costs nothing. Everything else is decoded as it comes in, so that it
//! waits in the jitter buffer like any sound, and encoded as it goes out.

use media::LinearFrame;
use media::coder::{
    Coding, DECODED_SAMPLES_MAX, Decoder, ENCODED_BYTES_MAX, Encoder, FRAMES_MADE_UP_MAX,
};
use proto::rtp::session::PAYLOAD_SENT_BYTES_MAX;
use proto::rtp::{Codec, Coded, FRAME_SAMPLES, Frame, Terms};

use super::law::law;

const _: () = assert!(ENCODED_BYTES_MAX <= PAYLOAD_SENT_BYTES_MAX, "what is encoded can be sent");

/// Packets by which a number may jump before it is another stream's, ten seconds of them.
const JUMP_MAX: u16 = 500;
/// Most samples that are made up before a packet.
const MADE_UP_SAMPLES_MAX: u32 = (FRAMES_MADE_UP_MAX * FRAME_SAMPLES) as u32;

/// The codecs of one stream, each from its first packet on.
#[derive(Default)]
pub(super) struct Transcoder {
    out: Option<Out>,
    g722: Option<Box<In>>,
    opus: Option<Box<In>>,
    /// Packets that could not be decoded.
    pub(super) malformed: u64,
}

struct Out {
    codec: Codec,
    expects_loss: bool,
    encoder: Encoder,
    payload: [u8; ENCODED_BYTES_MAX],
}

struct In {
    ssrc: u32,
    decoder: Decoder,
    /// The packet last decoded: its number, and the sample behind its last one.
    last: Option<(u16, u32)>,
    samples: [i16; DECODED_SAMPLES_MAX],
    companded: [u8; DECODED_SAMPLES_MAX],
}

/// Sound that was decoded, or made up for what is missing before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded<'a> {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// As [`Codec::companded`] says.
    pub(super) samples: &'a [u8],
}

impl Transcoder {
    /// The payload of a frame: itself in G.711. `linear` is the same sound, where it is known
    /// better than the frame tells.
    pub(super) fn encode<'a>(
        &'a mut self,
        terms: &Terms,
        frame: &'a Frame,
        linear: Option<&LinearFrame>,
    ) -> &'a [u8] {
        let Some(coding) = coding(terms.codec) else {
            self.out = None;
            return frame;
        };
        let as_before =
            |out: &Out| (out.codec, out.expects_loss) == (terms.codec, terms.expects_loss);
        if !self.out.as_ref().is_some_and(as_before) {
            self.out = None;
        }
        let out = self.out.get_or_insert_with(|| Out {
            codec: terms.codec,
            expects_loss: terms.expects_loss,
            encoder: Encoder::new(coding, terms.expects_loss),
            payload: [0; ENCODED_BYTES_MAX],
        });
        let length = match linear {
            Some(linear) => out.encoder.encode(linear, &mut out.payload),
            None => {
                let mut linear = [0; FRAME_SAMPLES];
                law(terms.codec).decode_into(frame, &mut linear);
                out.encoder.encode(&linear, &mut out.payload)
            }
        };
        &out.payload[..length]
    }

    /// Decodes a packet; `sink` gets its sound, before it what is made up for packets missing.
    pub(super) fn decode(&mut self, coded: &Coded, mut sink: impl FnMut(Decoded<'_>)) {
        let Some(coding) = coding(coded.codec) else {
            return;
        };
        let slot = match coding {
            Coding::G722 => &mut self.g722,
            Coding::Opus => &mut self.opus,
        };
        let is_same = slot.as_ref().is_some_and(|known| known.goes_on_with(coded));
        if !is_same {
            *slot = None;
        }
        let known = slot.get_or_insert_with(|| Box::new(In::new(coding, coded.ssrc)));
        if !known.decode(coded, &mut sink) {
            self.malformed += 1;
        }
    }
}

impl In {
    fn new(coding: Coding, ssrc: u32) -> Self {
        Self {
            ssrc,
            decoder: Decoder::new(coding),
            last: None,
            samples: [0; DECODED_SAMPLES_MAX],
            companded: [0; DECODED_SAMPLES_MAX],
        }
    }

    /// Whether a packet belongs to the same stream.
    fn goes_on_with(&self, coded: &Coded) -> bool {
        let is_near = self.last.is_none_or(|(last, _)| {
            let ahead = coded.sequence.wrapping_sub(last);
            ahead.min(ahead.wrapping_neg()) <= JUMP_MAX
        });
        self.ssrc == coded.ssrc && is_near
    }

    /// `false` for a packet that means nothing.
    fn decode(&mut self, coded: &Coded, sink: &mut impl FnMut(Decoded<'_>)) -> bool {
        let Coded { codec, sequence, timestamp, payload, .. } = coded;
        if let Some((last, end)) = self.last {
            let ahead = sequence.wrapping_sub(last);
            // What was overtaken comes too late for a codec that remembers: something was made up.
            if ahead == 0 || ahead > JUMP_MAX {
                return true;
            }
            let missing = timestamp.wrapping_sub(end);
            if ahead > 1 && (1..=MADE_UP_SAMPLES_MAX).contains(&missing) {
                let count = self.decoder.make_up(missing as usize, payload, &mut self.samples);
                self.give(*codec, sequence.wrapping_sub(1), end, count, sink);
            }
        }
        let Ok(count) = self.decoder.decode(payload, &mut self.samples) else {
            return false;
        };
        self.last = Some((*sequence, timestamp.wrapping_add(count as u32)));
        self.give(*codec, *sequence, *timestamp, count, sink);
        true
    }

    fn give(
        &mut self,
        codec: Codec,
        sequence: u16,
        timestamp: u32,
        count: usize,
        sink: &mut impl FnMut(Decoded<'_>),
    ) {
        if count > 0 {
            let companded = &mut self.companded[..count];
            law(codec).encode_into(&self.samples[..count], companded);
            sink(Decoded { sequence, timestamp, samples: companded });
        }
    }
}

/// What has to be done for a codec; nothing for G.711.
const fn coding(codec: Codec) -> Option<Coding> {
    match codec {
        Codec::G722 => Some(Coding::G722),
        Codec::Opus => Some(Coding::Opus),
        Codec::Pcma | Codec::Pcmu => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use media::g711::Law;

    use super::*;

    const CODECS: [Codec; 2] = [Codec::G722, Codec::Opus];

    fn terms(codec: Codec) -> Terms {
        let far = SocketAddr::from(([192, 0, 2, 1], 4_000));
        Terms { expects_loss: true, ..Terms::new(far, codec, None) }
    }

    /// A second of a tone as packets.
    fn packets(codec: Codec) -> Vec<Coded> {
        let mut transcoder = Transcoder::default();
        let packet = |at: u16| {
            let sample = |n: usize| {
                let angle = (usize::from(at) * FRAME_SAMPLES + n) as f64 * 0.5;
                Law::Mu.encode((angle.sin() * 8_000.0) as i16)
            };
            let frame: Frame = std::array::from_fn(sample);
            let payload = transcoder.encode(&terms(codec), &frame, None).into();
            let timestamp = u32::from(at) * FRAME_SAMPLES as u32;
            Coded { codec, ssrc: 7, sequence: at.wrapping_add(65_530), timestamp, payload }
        };
        (0..50).map(packet).collect()
    }

    /// What comes out: number, time and loudness of each piece.
    fn heard<'a>(
        transcoder: &mut Transcoder,
        packets: impl IntoIterator<Item = &'a Coded>,
    ) -> Vec<(u16, u32, usize)> {
        let mut heard = Vec::new();
        for packet in packets {
            transcoder.decode(packet, |decoded| {
                let levels = decoded.samples.iter().map(|byte| Law::Mu.decode(*byte));
                let loud = levels.filter(|level| level.unsigned_abs() > 1_000).count();
                let pieces = decoded.samples.len() / FRAME_SAMPLES;
                heard.push((decoded.sequence, decoded.timestamp, loud / pieces));
            });
        }
        heard
    }

    #[test]
    fn each_codec_gives_back_what_was_put_in_in_its_place() {
        for codec in CODECS {
            let packets = packets(codec);
            let heard = heard(&mut Transcoder::default(), &packets);
            let places = heard.iter().map(|(sequence, at, _)| (*sequence, *at));
            assert!(places.eq(packets.iter().map(|packet| (packet.sequence, packet.timestamp))));
            let quiet = heard[2..].iter().filter(|(_, _, loud)| *loud < 100).count();
            assert_eq!(quiet, 0, "{codec:?}: {heard:?}");
        }
    }

    #[test]
    fn opus_makes_up_a_lost_packet_in_its_place_and_g722_leaves_that_to_the_jitter_buffer() {
        for codec in CODECS {
            let packets = packets(codec);
            let lost = packets.iter().enumerate().filter(|(at, _)| at % 10 != 7);
            let heard = heard(&mut Transcoder::default(), lost.map(|(_, packet)| packet));
            let expected = if codec == Codec::Opus { 50 } else { 45 };
            assert_eq!(heard.len(), expected, "{codec:?}");
            let found = heard.iter().find(|(_, at, _)| *at == 7 * 160);
            match codec {
                Codec::Opus => {
                    let (sequence, _, loud) = found.unwrap();
                    assert_eq!(*sequence, packets[7].sequence);
                    assert!(*loud > 80, "{loud}");
                }
                _ => assert_eq!(found, None),
            }
        }
    }

    #[test]
    fn overtaken_and_repeated_packets_are_left_out_and_another_source_begins_anew() {
        let mut packets = packets(Codec::Opus);
        packets.swap(10, 11);
        let again = packets[20].clone();
        packets.insert(21, again);
        let mut transcoder = Transcoder::default();
        let first = heard(&mut transcoder, &packets);
        // One of them was made up before it came.
        assert_eq!(first.len(), 50);
        let others: Vec<Coded> =
            packets.iter().take(5).map(|packet| Coded { ssrc: 8, ..packet.clone() }).collect();
        assert_eq!(heard(&mut transcoder, &others).len(), 5);
    }

    #[test]
    fn nonsense_is_counted_and_gives_no_sound() {
        let mut transcoder = Transcoder::default();
        let packet = packets(Codec::Opus).swap_remove(0);
        let nonsense = Coded { payload: [0xff; 3].into(), ..packet };
        assert_eq!(heard(&mut transcoder, [&nonsense]), []);
        assert_eq!(transcoder.malformed, 1);
    }

    #[test]
    fn g711_passes_as_it_is() {
        let (mut transcoder, frame) = (Transcoder::default(), [0x41; FRAME_SAMPLES]);
        for codec in [Codec::Pcma, Codec::Pcmu] {
            assert_eq!(transcoder.encode(&terms(codec), &frame, None), frame);
        }
    }
}
