//! A leg without a phone: it takes a seat in a conference of the account, and whoever is there hears
//! what the call plays.

use std::collections::VecDeque;

use domain::cause::Cause;
use domain::ids::AccountId;

use super::LegEvent;
use crate::rooms::{Part, RoomError, RoomEvent, Rooms, Seat};
use crate::rtp_io::frames::channel;
use crate::rtp_io::{MediaEvent, Sound};

/// Why a leg ended that we ended, in the words of every leg.
const HUNG_UP: &str = "hung up";
/// What a full conference is to who calls it: 486 Busy Here (RFC 3261 §21.4.24).
const BUSY: u16 = 486;
/// What a call is that came to its end: 200 OK.
const OK: u16 = 200;

/// One leg in a conference.
pub(crate) struct Leg {
    /// `None` once it is over.
    seated: Option<Seated>,
    owed: VecDeque<LegEvent>,
}

struct Seated {
    seat: Seat,
    sound: Sound,
}

impl Leg {
    /// Enters the conference, as somebody who talks; one that there is not yet begins.
    pub(crate) fn enter(rooms: &Rooms, account: AccountId, room: &str) -> Self {
        // What the leg says goes into the room; what it is to send there, it hears.
        let (said, to_room) = channel();
        match rooms.join(account, room, Part::TALKER, to_room) {
            Ok((seat, heard)) => {
                let presser = seat.presser();
                let sound = Sound::in_room(said, heard, move |key| presser.press(key.to_char()));
                let seated = Some(Seated { seat, sound });
                Self { seated, owed: VecDeque::from([LegEvent::Answered]) }
            }
            Err(error) => {
                let cause = match error {
                    RoomError::Full => ended(BUSY, error.to_string()),
                    RoomError::Name => Cause::local(error.to_string()),
                };
                Self { seated: None, owed: VecDeque::from([LegEvent::Ended(cause)]) }
            }
        }
    }

    /// The next thing that happens. May be dropped and asked again; nothing is lost by it.
    pub(crate) async fn next(&mut self) -> LegEvent {
        loop {
            if let Some(event) = self.owed.pop_front() {
                return event;
            }
            let Some(Seated { seat, sound }) = &mut self.seated else {
                return std::future::pending().await;
            };
            tokio::select! {
                event = seat.next() => match event {
                    RoomEvent::Begun => {}
                    RoomEvent::Ended => self.end("the conference is over".to_owned()),
                    RoomEvent::Key(key) => return LegEvent::Key(key),
                },
                event = sound.next() => match event {
                    Some(MediaEvent::KeysSent) => return LegEvent::KeysSent,
                    Some(MediaEvent::MarkReached(play, name)) => {
                        return LegEvent::MarkReached(play, name);
                    }
                    Some(MediaEvent::PlayEnded(play)) => return LegEvent::PlayEnded(play),
                    Some(MediaEvent::Failed(failure)) => self.end(failure.to_string()),
                    // There is no network that could fall silent.
                    Some(
                        MediaEvent::Key(_) | MediaEvent::RemoteHeard | MediaEvent::RemoteSilent,
                    ) => {}
                    None => self.end("the conference's sound has stopped".to_owned()),
                },
            }
        }
    }

    /// Leaves the conference.
    pub(crate) fn hang_up(&mut self) {
        self.end(HUNG_UP.to_owned());
    }

    /// What it plays and hears.
    pub(crate) fn sound(&self) -> Option<&Sound> {
        self.seated.as_ref().map(|seated| &seated.sound)
    }

    fn end(&mut self, why: String) {
        if self.seated.take().is_some() {
            self.owed.clear();
            self.owed.push_back(LegEvent::Ended(ended(OK, why)));
        }
    }
}

fn ended(status: u16, text: String) -> Cause {
    Cause { sip_status: Some(status), q850: None, text }
}

#[cfg(test)]
mod tests {
    use media::FRAME_SAMPLES;
    use media::g711::Law;
    use media::playlist::{Bargein, Playable};
    use media::sound::Encoded;
    use script::step::PlayId;

    use super::*;
    use crate::rtp_io::{Directions, FrameSink, Frames, LegFrame, PlayItem};

    const ACCOUNT: AccountId = AccountId(1);

    /// Somebody else in the room.
    struct Member {
        says: FrameSink,
        hears: Frames,
        seat: Seat,
    }

    fn member(rooms: &Rooms, part: Part) -> Member {
        let (says, said) = channel();
        let (seat, hears) = rooms.join(ACCOUNT, "talk", part, said).unwrap();
        Member { says, hears, seat }
    }

    async fn entered(rooms: &Rooms) -> Leg {
        let mut leg = Leg::enter(rooms, ACCOUNT, "talk");
        assert!(matches!(leg.next().await, LegEvent::Answered));
        leg
    }

    /// A fifth of a second of one value.
    fn sound(sample: i16) -> Vec<PlayItem> {
        let sound = Encoded::new(Law::Mu, vec![Law::Mu.encode(sample); 1_600].into());
        vec![PlayItem { sound: Playable::Audio(sound), bargein: Bargein::Forbidden }]
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_plays_is_heard_in_the_conference_and_what_is_said_there_is_heard_by_it() {
        let rooms = Rooms::default();
        let mut other = member(&rooms, Part::TALKER);
        let mut leg = entered(&rooms).await;
        let mut tap = leg.sound().unwrap().tap(Directions::Both);
        leg.sound().unwrap().play(PlayId(7), sound(1_000));
        assert!(matches!(leg.next().await, LegEvent::PlayEnded(PlayId(7))));
        let heard = std::iter::from_fn(|| other.hears.try_next());
        let loud = heard.filter(|frame| (900..1_100).contains(&frame.heard[80])).count();
        assert!(loud >= 9, "{loud} of 10 frames");
        // And for who records both sides, in the order of time.
        other.says.push(LegFrame::heard([500; FRAME_SAMPLES]));
        let (mut said, mut spoken) = (0, 0);
        while spoken == 0 {
            let frame = tap.next().await.unwrap();
            said += usize::from((900..1_100).contains(&frame.said[80]));
            spoken += usize::from(frame.heard[80] == 500);
        }
        assert!(said >= 9, "{said} of 10 frames");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_pass_both_ways() {
        let rooms = Rooms::default();
        let mut other = member(&rooms, Part::TALKER);
        let mut leg = entered(&rooms).await;
        leg.sound().unwrap().send_keys("5,#");
        assert!(matches!(leg.next().await, LegEvent::KeysSent));
        let pressed = [other.seat.next().await, other.seat.next().await, other.seat.next().await];
        assert_eq!(pressed, [RoomEvent::Begun, RoomEvent::Key('5'), RoomEvent::Key('#')]);
        other.seat.press('7');
        assert!(matches!(leg.next().await, LegEvent::Key('7')));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_conference_and_when_it_is_hung_up() {
        let rooms = Rooms::default();
        let host = member(&rooms, Part { ends: true, ..Part::TALKER });
        let mut leg = entered(&rooms).await;
        drop(host);
        let LegEvent::Ended(cause) = leg.next().await else { panic!("it goes on") };
        assert_eq!((cause.sip_status, cause.text.as_str()), (Some(OK), "the conference is over"));
        assert!(leg.sound().is_none());

        let mut leg = entered(&rooms).await;
        leg.hang_up();
        leg.hang_up();
        let LegEvent::Ended(cause) = leg.next().await else { panic!("it goes on") };
        assert_eq!(cause.text, HUNG_UP);
    }

    #[tokio::test(start_paused = true)]
    async fn full_conference_is_busy() {
        let rooms = Rooms::default();
        let all: Vec<Member> = (0..64).map(|_| member(&rooms, Part::TALKER)).collect();
        let mut leg = Leg::enter(&rooms, ACCOUNT, "talk");
        let LegEvent::Ended(cause) = leg.next().await else { panic!("it came in") };
        assert_eq!(cause.sip_status, Some(BUSY));
        drop(all);
    }
}
