//! LOOP for each conference room: every 20 ms takes what the members say and gives each the others.
//!
//! A room exists from its first member to its last. Members come with what their legs hear and get
//! what their legs are to send; who takes part is a matter of names within an account.

mod chime;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::AccountId;
use media::LinearFrame;
use media::mixer::{Mixer, Role};
use media::sound::Encoded;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::chime::{Change, Chimes};
use crate::rtp_io::frames::channel;
use crate::rtp_io::{FrameSink, Frames, LegFrame};

/// Members of one room; 64 talk in 1.3 ms of a core a second each.
const MEMBERS_MAX: usize = 64;
/// Rooms of a node.
const ROOMS_MAX: usize = 1_000;
/// Longest name of a room, in characters.
const NAME_CHARS_MAX: usize = 128;
/// What waits for a member that takes nothing: keys of the others, mostly.
const EVENTS_MAX: usize = 64;
/// Length of a frame.
const FRAME: Duration = Duration::from_millis(media::FRAME_MS as u64);

/// All rooms of a node; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms {
    rooms: Arc<Mutex<HashMap<RoomName, Arc<Room>>>>,
    /// What is heard where nobody is to be heard.
    music: Option<Encoded>,
}

type RoomName = (AccountId, String);

/// How somebody takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// What he is once the room has begun.
    pub(crate) role: Role,
    /// Whether the room begins with him; until then all others are held.
    pub(crate) begins: bool,
    /// Whether the room ends with him: all others are told.
    pub(crate) ends: bool,
    /// Whether the room hears when he comes and leaves.
    pub(crate) sounds: bool,
}

impl Part {
    /// Talks and hears from the first moment on.
    pub(crate) const TALKER: Self =
        Self { role: Role::Talker, begins: true, ends: false, sounds: false };
}

/// Why somebody cannot come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RoomError {
    /// The room has as many members as there may be, or the node as many rooms. Time repairs it.
    #[error("the conference is full")]
    Full,
    /// A room has a name, and not a long one. The client repairs it.
    #[error("a conference's name has 1 to {NAME_CHARS_MAX} characters")]
    Name,
}

/// What a member is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomEvent {
    /// The room has begun: he hears and is heard, as far as he may.
    Begun,
    /// The room is over.
    Ended,
    /// Another member pressed a key.
    Key(char),
}

/// A member's place; dropped, he has left.
#[derive(Debug)]
pub(crate) struct Seat {
    rooms: Rooms,
    name: RoomName,
    room: Arc<Room>,
    number: u32,
    events: mpsc::Receiver<RoomEvent>,
}

/// A member's keys; who has left presses none that anybody hears.
#[derive(Debug)]
pub(crate) struct Presser {
    room: Arc<Room>,
    number: u32,
}

#[derive(Debug, Default)]
struct Room(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    next: u32,
    members: BTreeMap<u32, Member>,
    has_begun: bool,
    is_over: bool,
    music: Option<Encoded>,
    music_at: usize,
    chimes: Chimes,
}

#[derive(Debug)]
struct Member {
    part: Part,
    said: Frames,
    heard: FrameSink,
    events: mpsc::Sender<RoomEvent>,
}

impl Rooms {
    /// None yet; `music` is what is heard, over and over, while there is nobody to be heard.
    pub(crate) fn with_music(music: Option<Encoded>) -> Self {
        Self { rooms: Arc::default(), music }
    }

    /// Comes in: `said` is what the member's leg hears; the answer has what it is to send.
    pub(crate) fn join(
        &self,
        account: AccountId,
        name: &str,
        part: Part,
        said: Frames,
    ) -> Result<(Seat, Frames), RoomError> {
        if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
            return Err(RoomError::Name);
        }
        let name = (account, name.to_owned());
        let mut rooms = self.rooms();
        let known = rooms.get(&name).filter(|room| !room.members().is_over).cloned();
        if known.is_none() && rooms.len() >= ROOMS_MAX {
            return Err(RoomError::Full);
        }
        let room = known.unwrap_or_else(|| {
            let room = Arc::new(Room::with_music(self.music.clone()));
            rooms.insert(name.clone(), Arc::clone(&room));
            tokio::runtime::Handle::current().spawn(run(Arc::clone(&room)));
            room
        });
        let (heard, frames) = channel();
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let number = {
            let mut members = room.members();
            if members.members.len() >= MEMBERS_MAX {
                return Err(RoomError::Full);
            }
            members.next += 1;
            let number = members.next;
            let member = Member { part, said, heard, events: sender };
            members.members.insert(number, member);
            if part.sounds {
                members.chimes.ring(Change::Came);
            }
            if members.has_begun {
                members.tell_one(number, RoomEvent::Begun);
            } else if part.begins {
                members.has_begun = true;
                members.tell(None, RoomEvent::Begun);
            }
            number
        };
        drop(rooms);
        Ok((Seat { rooms: self.clone(), name, room, number, events }, frames))
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.rooms().len()
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The next thing that the member is told; never comes back once the room is over.
    pub(crate) async fn next(&mut self) -> RoomEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// The member pressed a key, which all others are told.
    pub(crate) fn press(&self, key: char) {
        self.presser().press(key);
    }

    /// Who presses keys for the member in another task.
    pub(crate) fn presser(&self) -> Presser {
        Presser { room: Arc::clone(&self.room), number: self.number }
    }
}

impl Presser {
    /// The member pressed a key, which all others are told.
    pub(crate) fn press(&self, key: char) {
        self.room.members().tell(Some(self.number), RoomEvent::Key(key));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.rooms.rooms();
        let is_over = {
            let mut members = self.room.members();
            let left = members.members.remove(&self.number);
            let part = left.map(|left| left.part);
            if part.is_some_and(|part| part.sounds) {
                members.chimes.ring(Change::Left);
            }
            let ends = part.is_some_and(|part| part.ends);
            if ends && !members.is_over {
                members.is_over = true;
                members.tell(None, RoomEvent::Ended);
            }
            members.is_over |= members.members.is_empty();
            members.is_over
        };
        // A room of the same name may have begun since.
        if is_over && rooms.get(&self.name).is_some_and(|room| Arc::ptr_eq(room, &self.room)) {
            rooms.remove(&self.name);
        }
    }
}

impl Room {
    fn with_music(music: Option<Encoded>) -> Self {
        Self(Mutex::new(Members { music, ..Members::default() }))
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// Tells all but one; who takes nothing misses it.
    fn tell(&self, but: Option<u32>, event: RoomEvent) {
        let others = self.members.iter().filter(|(number, _)| Some(**number) != but);
        for (_, member) in others {
            member.events.try_send(event).ok();
        }
    }

    fn tell_one(&self, number: u32, event: RoomEvent) {
        if let Some(member) = self.members.get(&number) {
            member.events.try_send(event).ok();
        }
    }

    /// 20 ms of the room.
    fn turn(&mut self, mixer: &mut Mixer<u32>, known: &mut Vec<u32>) {
        known.retain(|number| {
            let stays = self.members.contains_key(number);
            if !stays {
                mixer.remove(*number);
            }
            stays
        });
        let waits = !self.has_begun;
        for (number, member) in &mut self.members {
            if !known.contains(number) {
                known.push(*number);
            }
            mixer.set(*number, if waits { Role::Held } else { member.part.role });
            if let Ok(Some(frame)) = member.said.relay() {
                mixer.put(*number, frame);
            }
        }
        let (music, chime) = (self.music_frame(), self.chimes.next());
        for (number, frame) in mixer.mix(&music) {
            let frame = chime.as_ref().map_or(frame, |chime| chime::over(&frame, chime));
            if let Some(member) = self.members.get_mut(&number) {
                member.heard.push(LegFrame::heard(frame));
            }
        }
    }

    /// The next 20 ms of music, from its beginning again after its end; silence without any.
    fn music_frame(&mut self) -> LinearFrame {
        let mut frame = [0; media::FRAME_SAMPLES];
        if let Some(music) = self.music.as_ref().filter(|music| !music.bytes().is_empty()) {
            let (law, bytes) = (music.law(), music.bytes());
            for sample in &mut frame {
                *sample = law.decode(bytes[self.music_at % bytes.len()]);
                self.music_at = (self.music_at + 1) % bytes.len();
            }
        }
        frame
    }
}

/// Turns a room until it is over and empty.
async fn run(room: Arc<Room>) {
    let (mut mixer, mut known) = (Mixer::default(), Vec::new());
    let mut pace = interval(FRAME);
    // What a busy machine was late with is made good: relays leave out what is too old by then.
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        pace.tick().await;
        let mut members = room.members();
        if members.is_over && members.members.is_empty() {
            return;
        }
        members.turn(&mut mixer, &mut known);
    }
}

#[cfg(test)]
mod tests {
    use media::g711::Law;

    use super::*;

    const ACCOUNT: AccountId = AccountId(1);

    /// A member whose leg says what the test wants, and what the leg is to send.
    struct Leg {
        says: FrameSink,
        sends: Frames,
        seat: Seat,
    }

    fn with_music() -> Rooms {
        let music = Encoded::new(Law::Mu, vec![Law::Mu.encode(1_000); 100].into());
        Rooms::with_music(Some(music))
    }

    fn join(rooms: &Rooms, name: &str, part: Part) -> Leg {
        let (says, said) = channel();
        let (seat, sends) = rooms.join(ACCOUNT, name, part, said).unwrap();
        Leg { says, sends, seat }
    }

    /// Everybody says his number for some time; what each is to send at the end of it.
    async fn talk(legs: &mut [Leg]) -> Vec<i16> {
        let mut last = vec![0; legs.len()];
        for _ in 0..10 {
            for (number, leg) in (1..).zip(legs.iter_mut()) {
                leg.says.push(LegFrame::heard([number * 100; media::FRAME_SAMPLES]));
            }
            tokio::time::advance(FRAME).await;
            tokio::task::yield_now().await;
            for (last, leg) in last.iter_mut().zip(legs.iter_mut()) {
                while let Some(frame) = leg.sends.try_next() {
                    *last = frame.heard[0];
                }
            }
        }
        last
    }

    #[tokio::test(start_paused = true)]
    async fn members_hear_each_other_and_who_is_held_or_alone_has_music() {
        let rooms = with_music();
        let mut legs = vec![join(&rooms, "a", Part::TALKER)];
        let music = talk(&mut legs).await[0];
        assert!((900..1_100).contains(&music), "{music}");
        legs.push(join(&rooms, "a", Part::TALKER));
        legs.push(join(&rooms, "a", Part { role: Role::Listener, ..Part::TALKER }));
        legs.push(join(&rooms, "b", Part::TALKER));
        assert_eq!(talk(&mut legs).await, [200, 100, 300, music]);
        legs.push(join(&rooms, "a", Part { role: Role::Held, ..Part::TALKER }));
        assert_eq!(talk(&mut legs).await, [200, 100, 300, music, music]);
    }

    #[tokio::test(start_paused = true)]
    async fn room_begins_and_ends_with_its_moderator_and_is_gone_with_its_last_member() {
        let rooms = with_music();
        let guest = Part { begins: false, ..Part::TALKER };
        let mut legs = vec![join(&rooms, "a", guest), join(&rooms, "a", guest)];
        let waiting = talk(&mut legs).await;
        assert!(waiting.iter().all(|heard| *heard > 900), "{waiting:?}");
        legs.push(join(&rooms, "a", Part { ends: true, ..Part::TALKER }));
        assert_eq!(talk(&mut legs).await, [500, 400, 300]);
        assert_eq!(legs[0].seat.next().await, RoomEvent::Begun);
        legs[2].seat.press('5');
        assert_eq!(legs[0].seat.next().await, RoomEvent::Key('5'));
        drop(legs.pop());
        assert_eq!(legs[0].seat.next().await, RoomEvent::Ended);
        assert_eq!(rooms.len(), 0);
        // Who comes now has a room of his own.
        let other = join(&rooms, "a", Part::TALKER);
        legs.clear();
        assert_eq!(rooms.len(), 1);
        drop(other);
        assert_eq!(rooms.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn room_hears_who_comes_and_leaves_where_that_is_wanted() {
        let rooms = Rooms::default();
        let mut legs = vec![join(&rooms, "a", Part::TALKER), join(&rooms, "a", Part::TALKER)];
        let loud = |leg: &mut Leg| {
            let frames = std::iter::from_fn(|| leg.sends.try_next());
            frames.filter(|frame| frame.heard.iter().any(|sample| *sample > 1_000)).count()
        };
        let quiet = async |legs: &mut Vec<Leg>| {
            for _ in 0..20 {
                tokio::time::advance(FRAME).await;
                tokio::task::yield_now().await;
            }
            legs.iter_mut().map(loud).collect::<Vec<usize>>()
        };
        assert_eq!(quiet(&mut legs).await, [0, 0]);
        legs.push(join(&rooms, "a", Part { sounds: true, ..Part::TALKER }));
        assert_eq!(quiet(&mut legs).await, [10, 10, 10]);
        drop(legs.pop());
        assert_eq!(quiet(&mut legs).await, [10, 10]);
        drop(legs.pop());
        assert_eq!(quiet(&mut legs).await, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn full_rooms_and_wrong_names_are_refused() {
        let rooms = Rooms::default();
        let legs: Vec<Leg> = (0..MEMBERS_MAX).map(|_| join(&rooms, "full", Part::TALKER)).collect();
        let refused = |name: &str| {
            rooms.join(ACCOUNT, name, Part::TALKER, channel().1).map(|_| ()).unwrap_err()
        };
        assert_eq!(refused("full"), RoomError::Full);
        assert_eq!(refused(""), RoomError::Name);
        assert_eq!(refused(&"x".repeat(129)), RoomError::Name);
        drop(legs);
        assert_eq!(rooms.len(), 0);
    }
}
