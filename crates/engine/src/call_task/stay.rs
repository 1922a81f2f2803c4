//! Conferences: a call into one, and the callee's stay in one, his sound into the room and the
//! others' back to him.

use domain::call::Input;
use domain::policy::CallRecording;
use media::mixer::Role;
use script::step::{Input as ScriptInput, Join, StayEnd, StayId};

use super::CallTask;
use crate::rooms::{Part, RoomEvent, Seat};
use crate::switch::{Leg, seat};

/// A stay in a conference; dropped, the callee has left it.
pub(super) struct Stay {
    stay: StayId,
    seat: Seat,
    recording: CallRecording,
}

impl Stay {
    /// The next thing that happens in the room.
    pub(super) async fn next(&mut self) -> RoomEvent {
        self.seat.next().await
    }

    /// The callee pressed a key, which all others are to have.
    pub(super) fn press(&self, key: char) {
        self.seat.press(key);
    }
}

impl CallTask {
    /// Calls the conference that the attempt is to: no phone rings, and it answers at once.
    pub(super) fn enter(&mut self) {
        let (contact, attempt) = (&self.begun.contact, &self.begun.attempt);
        let room = contact.destination.room().unwrap_or_default();
        tracing::info!(
            call.id = %attempt.id, contact.id = %contact.id, room, "entering a conference"
        );
        match self.parts.switch.sent(self.parts.clock.now(), attempt.id) {
            Ok(()) => {
                let leg = seat::Leg::enter(&self.parts.rooms, contact.account, room);
                self.leg = Some(Leg::Seat(leg));
            }
            Err(cause) => self.inputs.push_back(Input::LegEnded(cause)),
        }
    }

    /// Puts the callee into a conference.
    pub(super) fn join(&mut self, wanted: Join) {
        let stay = wanted.stay;
        let Some(leg) = &self.leg else {
            return self.answer(ScriptInput::StayEnded { stay, end: StayEnd::Left });
        };
        if self.begun.contact.destination.room() == Some(wanted.room.as_str()) {
            // It would hear itself, over and over.
            tracing::warn!(room = wanted.room, "a call is in this conference already");
            return self.answer(ScriptInput::StayEnded { stay, end: StayEnd::Full });
        }
        let role = if wanted.speaks { Role::Talker } else { Role::Listener };
        let (begins, ends, sounds) = (wanted.begins, wanted.ends, wanted.sounds);
        let part = Part { role, begins, ends, sounds };
        let account = self.begun.contact.account;
        let joined = self.parts.rooms.join(account, &wanted.room, part, leg.listen());
        let told = match joined {
            Ok((seat, frames)) => {
                leg.relay(Some(frames));
                self.stay = Some(Stay { stay, seat, recording: wanted.recording });
                self.begin_part(wanted.recording);
                ScriptInput::StayBegan { stay }
            }
            Err(error) => {
                tracing::warn!(room = wanted.room, %error, "a callee cannot join a conference");
                ScriptInput::StayEnded { stay, end: StayEnd::Full }
            }
        };
        self.answer(told);
    }

    /// Takes the callee out of the conference, if he is in one.
    pub(super) fn leave(&mut self) {
        self.end_stay(StayEnd::Left);
    }

    /// Takes in what happened in the room.
    pub(super) async fn heard_in_room(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::Begun => {}
            RoomEvent::Ended => self.end_stay(StayEnd::Closed),
            // Of a leg whose keys are tones, the room hears them anyhow.
            RoomEvent::Key(key) => {
                if let Some(leg) = self.leg.as_ref().filter(|leg| Leg::has_key_events(leg)) {
                    leg.send_keys(key.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    fn end_stay(&mut self, end: StayEnd) {
        let Some(Stay { stay, recording, .. }) = self.stay.take() else {
            return;
        };
        self.end_part(recording);
        if let Some(leg) = &self.leg {
            leg.relay(None);
        }
        self.answer(ScriptInput::StayEnded { stay, end });
    }
}
