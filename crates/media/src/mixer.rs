//! Mixes a room: each hears all others, 20 ms at a time.

use std::collections::BTreeMap;

use crate::{FRAME_SAMPLES, LinearFrame};

/// What somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Hears music and is not heard.
    Held,
    /// Hears and is not heard.
    Listener,
    /// Hears and is heard.
    Talker,
}

/// Loudest sum that passes as it is; what is beyond is pressed together, so that two who speak at
/// once are loud and not torn.
const KNEE: i32 = 24_000;

/// A room of members with names of any kind.
#[derive(Clone, Debug)]
pub struct Mixer<K> {
    members: BTreeMap<K, Member>,
}

#[derive(Clone, Debug)]
struct Member {
    role: Role,
    /// What was said in the 20 ms under way.
    said: Option<LinearFrame>,
}

impl<K> Default for Mixer<K> {
    fn default() -> Self {
        Self { members: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Mixer<K> {
    /// Somebody comes in, or becomes something else.
    pub fn set(&mut self, member: K, role: Role) {
        self.members.entry(member).or_insert(Member { role, said: None }).role = role;
    }

    /// Somebody leaves.
    pub fn remove(&mut self, member: K) {
        self.members.remove(&member);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What a member says in the 20 ms under way; only the last frame counts.
    pub fn put(&mut self, member: K, frame: LinearFrame) {
        if let Some(member) = self.members.get_mut(&member) {
            member.said = Some(frame);
        }
    }

    /// Ends the 20 ms under way: what each member hears, without himself.
    ///
    /// `music` is for those who are held, and for who is alone with nobody to hear.
    pub fn mix(&mut self, music: &LinearFrame) -> Vec<(K, LinearFrame)> {
        let mut sum = [0_i32; FRAME_SAMPLES];
        for member in self.members.values_mut() {
            if member.role != Role::Talker {
                member.said = None;
            }
            if let Some(said) = &member.said {
                sum.iter_mut().zip(said).for_each(|(sum, sample)| *sum += i32::from(*sample));
            }
        }
        let is_alone = self.members.values().filter(|it| it.role != Role::Held).count() < 2;
        let heard = self.members.iter().map(|(name, member)| {
            if member.role == Role::Held || is_alone {
                return (*name, *music);
            }
            let own = member.said.unwrap_or([0; FRAME_SAMPLES]);
            (*name, std::array::from_fn(|at| pressed(sum[at] - i32::from(own[at]))))
        });
        let heard = heard.collect();
        self.members.values_mut().for_each(|member| member.said = None);
        heard
    }
}

/// A sum as a sample: straight up to the knee, from there on never quite at the limit.
fn pressed(sum: i32) -> i16 {
    let beyond = sum.abs() - KNEE;
    if beyond <= 0 {
        return sum as i16;
    }
    let room = i32::from(i16::MAX) - KNEE;
    let loud = KNEE + (i64::from(room) * i64::from(beyond) / i64::from(beyond + room)) as i32;
    (loud * sum.signum()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUSIC: LinearFrame = [7; FRAME_SAMPLES];

    /// What each hears, by the first sample; each says a frame of his own number.
    fn heard(mixer: &mut Mixer<u32>, said: &[(u32, i16)]) -> Vec<(u32, i16)> {
        said.iter().for_each(|(member, sample)| mixer.put(*member, [*sample; FRAME_SAMPLES]));
        mixer.mix(&MUSIC).into_iter().map(|(member, frame)| (member, frame[0])).collect()
    }

    fn room(members: &[(u32, Role)]) -> Mixer<u32> {
        let mut mixer = Mixer::default();
        members.iter().for_each(|(member, role)| mixer.set(*member, *role));
        mixer
    }

    #[test]
    fn each_hears_all_others_and_not_himself() {
        let mut mixer = room(&[(1, Role::Talker), (2, Role::Talker), (3, Role::Talker)]);
        let all = [(1, 100), (2, 20), (3, 3)];
        assert_eq!(heard(&mut mixer, &all), [(1, 23), (2, 103), (3, 120)]);
        // What was said once is not said again, and who says nothing is silence.
        assert_eq!(heard(&mut mixer, &[(2, 20)]), [(1, 20), (2, 0), (3, 20)]);
    }

    #[test]
    fn listeners_hear_and_are_not_heard_and_the_held_have_music() {
        let mut mixer = room(&[(1, Role::Talker), (2, Role::Listener), (3, Role::Held)]);
        let all = [(1, 100), (2, 20), (3, 3)];
        assert_eq!(heard(&mut mixer, &all), [(1, 0), (2, 100), (3, 7)]);
        mixer.set(3, Role::Talker);
        assert_eq!(heard(&mut mixer, &all), [(1, 3), (2, 103), (3, 100)]);
    }

    #[test]
    fn who_is_alone_has_music_until_somebody_comes() {
        let mut mixer = room(&[(1, Role::Talker)]);
        assert_eq!(heard(&mut mixer, &[(1, 100)]), [(1, 7)]);
        mixer.set(2, Role::Talker);
        assert_eq!(heard(&mut mixer, &[(1, 100)]), [(1, 0), (2, 100)]);
        mixer.remove(1);
        assert_eq!(heard(&mut mixer, &[(1, 100), (2, 9)]), [(2, 7)]);
        mixer.remove(2);
        assert!(mixer.is_empty() && heard(&mut mixer, &[]).is_empty());
    }

    #[test]
    fn many_at_once_are_loud_and_never_turn_over() {
        let members: Vec<(u32, Role)> = (0..64).map(|member| (member, Role::Talker)).collect();
        let mut mixer = room(&members);
        for sample in [i16::MAX, i16::MIN] {
            let said: Vec<(u32, i16)> = (0..64).map(|member| (member, sample)).collect();
            let all = heard(&mut mixer, &said);
            assert!(all.iter().all(|(_, heard)| heard.signum() == sample.signum()));
            assert!(all.iter().all(|(_, heard)| i32::from(*heard).abs() > KNEE));
        }
        let rising: Vec<i16> = (0..2_000_000).step_by(997).map(pressed).collect();
        assert!(rising.is_sorted());
    }
}
