//! What a stream plays: playings one behind the other, each told when it has ended.

use std::collections::VecDeque;
use std::sync::Arc;

use media::playlist::{Input, Item, Playlist};
use proto::rtp::{Codec, Frame};

use super::law::law;

/// Playings that wait in one stream; scripts queue their prompts until they listen.
pub(super) const PLAYINGS_MAX: usize = 256;

/// What there is to tell of a playing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// All of it was sent.
    Ended(T),
    /// It has come to this mark.
    Mark(T, Arc<str>),
}

/// Playings in order, each with what its end is told by.
#[derive(Debug)]
pub(super) struct Player<T>(VecDeque<(T, Playlist)>);

impl<T> Default for Player<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Player<T> {
    /// Puts a playing behind those that wait; `false` where too many do.
    #[must_use]
    pub(super) fn play(&mut self, play: T, codec: Codec, items: Vec<Item>) -> bool {
        let room = self.0.len() < PLAYINGS_MAX;
        if room {
            self.0.push_back((play, Playlist::new(law(codec), items)));
        }
        room
    }

    /// Forgets everything, without an end.
    pub(super) fn stop(&mut self) {
        self.0.clear();
    }

    /// Whether nothing plays or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_empty()
    }

    /// The next 20 ms in `codec`; `false` where nothing plays, then `frame` is as it was.
    ///
    /// Tells first which playings have ended, namely with the frame before. The next one begins in
    /// the same frame, so that between two there is less than a frame of silence.
    pub(super) fn fill(
        &mut self,
        codec: Codec,
        frame: &mut Frame,
        mut told: impl FnMut(Told<T>),
    ) -> bool
    where
        T: Copy,
    {
        while let Some((play, playlist)) = self.0.front_mut() {
            let play = *play;
            playlist.handle(Input::LawChanged(law(codec)));
            let plays = playlist.next_frame(frame);
            for name in playlist.take_marks() {
                told(Told::Mark(play, name));
            }
            if plays {
                return true;
            }
            self.0.pop_front();
            told(Told::Ended(play));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use media::playlist::{Bargein, Playable};
    use media::sound::Encoded;
    use proto::rtp::FRAME_SAMPLES;

    use super::*;

    fn sound(byte: u8, samples: usize) -> Item {
        let sound = Encoded::new(law(Codec::Pcmu), vec![byte; samples].into());
        Item { sound: Playable::Audio(sound), bargein: Bargein::Allowed }
    }

    fn player(playings: Vec<Vec<Item>>) -> Player<u32> {
        let mut player = Player::default();
        for (number, items) in (0..).zip(playings) {
            assert!(player.play(number, Codec::Pcmu, items));
        }
        player
    }

    type Turn = (Vec<u32>, Vec<(u8, usize)>);

    /// Frames until nothing plays: what ended before each, and its runs of equal bytes.
    fn story(player: &mut Player<u32>) -> Vec<Turn> {
        let mut frames = Vec::new();
        loop {
            let (mut frame, mut ended) = ([0; FRAME_SAMPLES], Vec::new());
            let playing = player.fill(Codec::Pcmu, &mut frame, |told| match told {
                Told::Ended(play) => ended.push(play),
                Told::Mark(play, name) => ended.push(play * 100 + name.len() as u32),
            });
            let runs = frame.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
            if !playing {
                frames.push((ended, Vec::new()));
                return frames;
            }
            frames.push((ended, runs));
        }
    }

    #[test]
    fn playing_ends_when_its_last_frame_is_out_and_the_next_begins_at_once() {
        let mut player = player(vec![vec![sound(1, 100), sound(2, 100)], vec![sound(3, 160)]]);
        assert_eq!(
            story(&mut player),
            [
                (vec![], vec![(1, 100), (2, 60)]),
                (vec![], vec![(2, 40), (0xff, 120)]),
                (vec![0], vec![(3, 160)]),
                (vec![1], vec![]),
            ]
        );
        assert!(player.is_idle());
    }

    #[test]
    fn empty_playings_end_without_a_frame() {
        let silence = Item { sound: Playable::Silence(Duration::ZERO), bargein: Bargein::Allowed };
        let mut player = player(vec![vec![], vec![sound(1, 0)], vec![silence]]);
        assert_eq!(story(&mut player), [(vec![0, 1, 2], vec![])]);
    }

    #[test]
    fn marks_are_told_with_the_frame_in_which_they_stand() {
        let mark =
            |name: &str| Item { sound: Playable::Mark(name.into()), bargein: Bargein::Allowed };
        let items = vec![mark("a"), sound(1, 170), mark("bb"), sound(2, 150), mark("ccc")];
        let mut player = player(vec![vec![], items, vec![mark("dddd")]]);
        let told: Vec<Vec<u32>> = story(&mut player).into_iter().map(|frame| frame.0).collect();
        assert_eq!(told, [vec![0, 101], vec![102], vec![103, 1, 204, 2]]);
    }

    #[test]
    fn stop_forgets_everything_and_ends_nothing() {
        let mut player = player(vec![vec![sound(1, 160)], vec![sound(2, 500)]]);
        assert!(player.fill(Codec::Pcmu, &mut [0; FRAME_SAMPLES], |_| {}));
        player.stop();
        assert_eq!(story(&mut player), [(vec![], vec![])]);
    }

    #[test]
    fn sound_follows_a_change_of_the_codec() {
        let mut player = player(vec![vec![sound(Codec::Pcmu.silence(), 320)]]);
        let mut frame = [0; FRAME_SAMPLES];
        assert!(player.fill(Codec::Pcmu, &mut frame, |_| {}));
        assert_eq!(frame, [0xff; FRAME_SAMPLES]);
        assert!(player.fill(Codec::Pcma, &mut frame, |_| {}));
        assert!(Codec::Pcma.is_quiet(&frame));
    }

    #[test]
    fn too_many_playings_are_refused() {
        let mut player = player(vec![vec![]; PLAYINGS_MAX]);
        assert!(!player.play(0, Codec::Pcmu, vec![]));
    }
}
