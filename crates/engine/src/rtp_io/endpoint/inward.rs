//! 20 ms inwards: packets from the sockets through the machine, and sound to who listens.

use std::time::Instant;

use proto::rtp::{Codec, Coded, FRAME_SAMPLES, Frame, Input};

use super::{Endpoint, HEARD_MAX, Live, PACKETS_MAX, REPORTS_MAX, Scratch};
use crate::rtp_io::MediaEvent;
use crate::rtp_io::law::law;
use crate::rtp_io::listener::Heard;
use crate::rtp_io::sockets::Received;
use crate::rtp_io::transcoder::Decoded;

impl Endpoint {
    /// Takes what has come, and passes on as many frames as time has passed.
    pub(super) fn hear(&mut self, now: Instant, missed: u64, scratch: &mut Scratch) {
        self.receive(now, scratch);
        let Some(live) = &mut self.live else {
            return;
        };
        if !self.sockets.is_connected() && live.is_settled() {
            self.sockets.connect(live.session.remote());
        }
        let frames = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        let mut frame: Frame = [0; FRAME_SAMPLES];
        let count = frames.min(HEARD_MAX);
        for nth in 0..count {
            let popped = live.session.hear(&mut frame);
            if self.listener.is_none() && live.ear.is_none() && self.taps.is_empty() {
                continue;
            }
            let samples = linear(live.session.codec_heard(), &frame);
            if let Some(ear) = &mut live.ear
                && let Some(key) = ear.hear(&samples)
            {
                self.outbox.push(MediaEvent::Key(key));
            }
            if let Some(listener) = &mut self.listener {
                listener(Heard { popped, samples: &samples });
            }
            self.taps.hear(samples, popped, nth, count);
        }
        self.taps.end_tick(frames - count);
    }

    /// Takes the packets that have come; what is encoded is decoded at once.
    fn receive(&mut self, now: Instant, scratch: &mut Scratch) {
        let buffer = &mut scratch.datagram;
        for _ in 0..PACKETS_MAX {
            let Received::Datagram(from, bytes) = self.sockets.receive(buffer) else {
                return;
            };
            let Some(live) = &mut self.live else {
                return;
            };
            // Before anything else is done with it: whose source may be learned is authentic.
            match self.privacy.open(&mut buffer[..bytes]) {
                Some(bytes) => live.session.handle(now, Input::Datagram { from, bytes }),
                None => self.counters.forged += 1,
            }
            self.drain(now);
        }
    }

    /// Takes the reports that have come.
    pub(super) fn hear_reports(&mut self, now: Instant, scratch: &mut Scratch) {
        let Some(live) = &mut self.live else {
            return;
        };
        let buffer = &mut scratch.datagram;
        for _ in 0..REPORTS_MAX {
            let Received::Datagram(from, bytes) = self.sockets.receive_control(buffer) else {
                break;
            };
            match self.privacy.open_report(&mut buffer[..bytes]) {
                Some(bytes) => live.session.handle(now, Input::Control { from, bytes }),
                None => self.counters.forged += 1,
            }
        }
    }
}

impl Live {
    /// Decodes a packet, and lets its sound wait for its time.
    pub(super) fn decode(&mut self, now: Instant, coded: &Coded) {
        let Self { session, transcoder, .. } = self;
        transcoder.decode(coded, |decoded| {
            let Decoded { sequence, timestamp, samples } = decoded;
            let codec = coded.codec;
            session.handle(now, Input::Decoded { codec, sequence, timestamp, samples });
        });
    }

    /// Whether it is beyond doubt who speaks: the address in the signalling, since these terms.
    ///
    /// A learned address does not count, since the signalled one may still speak up.
    fn is_settled(&self) -> bool {
        let (signalled, remote) = (self.session.terms().remote, self.session.remote());
        self.session.last_heard().is_some_and(|heard| heard >= self.terms_at)
            && (remote.ip(), remote.port()) == (signalled.ip().to_canonical(), signalled.port())
    }
}

/// A frame as samples.
pub(super) fn linear(codec: Codec, frame: &Frame) -> [i16; FRAME_SAMPLES] {
    let mut samples = [0; FRAME_SAMPLES];
    law(codec).decode_into(frame, &mut samples);
    samples
}
