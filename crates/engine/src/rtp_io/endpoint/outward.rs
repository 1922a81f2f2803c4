//! 20 ms outwards: what plays, a key's tone, or silence.

use std::time::Instant;

use proto::rtp::{FRAME_SAMPLES, Input, KeyTiming, Terms};

use super::inward::linear;
use super::{Endpoint, HEARD_MAX, Live, SKIPPED_MAX};
use crate::rtp_io::MediaEvent;
use crate::rtp_io::frames::relayed;
use crate::rtp_io::keys::Wanted;
use crate::rtp_io::law::law;
use crate::rtp_io::player::Told;
use crate::rtp_io::wheel::CatchUp;

impl Endpoint {
    /// Sends what is due: one frame, after a stall two, and before them the pause that it was.
    pub(super) fn speak(&mut self, now: Instant, catch_up: CatchUp) {
        self.skip(now, catch_up.skipped);
        for _ in 0..catch_up.frames {
            self.speak_frame(now);
        }
    }

    /// Lets the RTP clock go on over frames that nobody got. Sound is not lost: it goes on where it
    /// stood, marked as the first after a silence.
    fn skip(&mut self, now: Instant, frames: u32) {
        let Some(live) = &mut self.live else {
            return;
        };
        // A key press has its own time and its packets must not be left out: it just lasts longer.
        if frames == 0 || live.session.is_pressing() {
            return;
        }
        for _ in 0..frames.min(SKIPPED_MAX) {
            live.session.send_frame(now, None);
        }
        if self.taps.want_said() {
            (0..frames.min(HEARD_MAX)).for_each(|_| self.taps.say([0; FRAME_SAMPLES]));
        }
        self.counters.frames_skipped += u64::from(frames);
    }

    fn speak_frame(&mut self, now: Instant) {
        self.press_keys(now);
        // Taken also while something else is heard, so that it is not late afterwards.
        let relayed = relayed(&mut self.relay);
        let Some(live) = &mut self.live else {
            return;
        };
        let terms = *live.session.terms();
        let mut frame = [terms.codec.silence(); FRAME_SAMPLES];
        // What another leg says, where it is better than a law can tell.
        let mut better = None;
        let sounds = if waits(live) {
            false
        } else if !live.tones.is_idle() {
            let sounds = live.tones.fill(terms.codec, &mut frame);
            if !sounds {
                self.plan.sent();
            }
            sounds
        } else {
            let outbox = &mut self.outbox;
            let tell = |told| {
                outbox.push(match told {
                    Told::Ended(play) => MediaEvent::PlayEnded(play),
                    Told::Mark(play, name) => MediaEvent::MarkReached(play, name),
                });
            };
            self.player.fill(terms.codec, &mut frame, tell)
                || relayed.is_some_and(|samples| {
                    law(terms.codec).encode_into(&samples, &mut frame);
                    better = Some(samples);
                    true
                })
        };
        if self.taps.want_said() {
            self.taps.say(linear(terms.codec, &frame));
        }
        let is_sent = (sounds || self.options.send_silence) && !is_on_hold(&terms);
        let Live { session, transcoder, .. } = &mut **live;
        let frame = is_sent.then(|| transcoder.encode(&terms, &frame, better.as_ref()));
        if let Some(packet) = session.send_frame(now, frame)
            && let Some(bytes) = self.privacy.seal(packet.bytes)
        {
            let sent = self.sockets.send(packet.to, bytes);
            self.counters.sends_failed += u64::from(sent.is_err());
        }
    }

    /// Hands the next keys of the plan to the protocol machine.
    fn press_keys(&mut self, now: Instant) {
        let Some(live) = &mut self.live else {
            return;
        };
        match self.plan.tick() {
            Wanted::Done => self.outbox.push(MediaEvent::KeysSent),
            Wanted::Nothing => {}
            Wanted::Press(keys) => {
                for key in keys {
                    let timing = KeyTiming::default();
                    live.session.handle(now, Input::Press { key, timing });
                }
                self.drain(now);
            }
        }
    }
}

/// Whether what plays waits: on hold, and where a key's packets take the place of sound. A prompt
/// goes on afterwards where it stood.
fn waits(live: &Live) -> bool {
    let terms = live.session.terms();
    is_on_hold(terms) || terms.telephone_event.is_some() && live.session.is_pressing()
}

/// Whether nothing may be sent.
fn is_on_hold(terms: &Terms) -> bool {
    // An unspecified address is the old way to hold (RFC 3264 §8.4).
    !terms.direction.sends() || terms.remote.ip().is_unspecified() || terms.remote.port() == 0
}
