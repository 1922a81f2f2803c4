//! Who carries the calls: the embedded SIP and RTP engine, and conferences of our own.

pub(crate) mod native;
pub(crate) mod seat;

use std::sync::Arc;

use domain::cause::Cause;
use proto::rtp::Codec;
use proto::sip::ua::Referral;
use script::step::PlayId;

use crate::rtp_io::frames::channel;
use crate::rtp_io::{Directions, Frames, PlayItem, Sound};

/// What happens to a leg.
#[derive(Debug)]
pub(crate) enum LegEvent {
    /// Somebody answered; sound flows.
    Answered,
    /// It is over; the last event.
    Ended(Cause),
    /// It is over, and it is certain that no phone rang; the last event.
    Failed(Cause),
    /// The far end pressed a key.
    Key(char),
    /// The keys of `send_keys` are out.
    KeysSent,
    /// What plays has come to this mark.
    MarkReached(PlayId, Arc<str>),
    /// The last sample of this playing is out.
    PlayEnded(PlayId),
    /// How it came out that the far end was to call somebody else.
    Referred(Referral),
    /// The far end rings.
    Ringing,
}

/// One leg of a call.
pub(crate) enum Leg {
    /// Into a conference.
    Seat(seat::Leg),
    /// Over a trunk.
    Sip(Box<native::Leg>),
}

impl Leg {
    /// The next thing that happens. May be dropped and asked again; nothing is lost by it.
    pub(crate) async fn next(&mut self) -> LegEvent {
        match self {
            Self::Seat(leg) => leg.next().await,
            Self::Sip(leg) => leg.next().await,
        }
    }

    /// The law in which we make what we send at present; `None` before anything is agreed.
    pub(crate) fn codec(&self) -> Option<Codec> {
        match self {
            Self::Seat(_) => Some(Codec::Pcmu),
            Self::Sip(leg) => leg.codec(),
        }
    }

    /// Whether the far end's keys come as events, and not only as tones in its sound.
    pub(crate) fn has_key_events(&self) -> bool {
        match self {
            Self::Seat(_) => true,
            Self::Sip(leg) => leg.has_key_events(),
        }
    }

    /// Ends it, which is told.
    pub(crate) fn hang_up(&mut self) {
        match self {
            Self::Seat(leg) => leg.hang_up(),
            Self::Sip(leg) => leg.hang_up(),
        }
    }

    /// Plays these after what still plays.
    pub(crate) fn play(&self, play: PlayId, items: Vec<PlayItem>) {
        if let Some(sound) = self.sound() {
            sound.play(play, items);
        }
    }

    /// Stops playing at once.
    pub(crate) fn stop_play(&self) {
        if let Some(sound) = self.sound() {
            sound.stop_play();
        }
    }

    /// Presses keys at the far end.
    pub(crate) fn send_keys(&self, keys: &str) {
        if let Some(sound) = self.sound() {
            sound.send_keys(keys);
        }
    }

    /// What the far end says from now on, frame by frame: also what comes before the answer.
    pub(crate) fn listen(&self) -> Frames {
        self.tap(Directions::Heard)
    }

    /// The same, with what the far end is sent beside it where that is asked for.
    pub(crate) fn tap(&self, directions: Directions) -> Frames {
        match self.sound() {
            Some(sound) => sound.tap(directions),
            // The leg is over, and so are its frames.
            None => channel().1,
        }
    }

    /// Sends these frames whenever nothing plays.
    pub(crate) fn relay(&self, frames: Option<Frames>) {
        if let Some(sound) = self.sound() {
            sound.relay(frames);
        }
    }

    /// What it plays and hears, until it is over.
    fn sound(&self) -> Option<&Sound> {
        match self {
            Self::Seat(leg) => leg.sound(),
            Self::Sip(leg) => leg.sound(),
        }
    }
}
