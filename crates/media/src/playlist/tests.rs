//! Lists played frame by frame.

use proptest::prelude::*;

use super::*;
use crate::tone::Wave;

fn audio(value: u8, samples: usize) -> Item {
    let sound = Playable::Audio(Encoded::new(Law::Mu, vec![value; samples].into()));
    Item { sound, bargein: Bargein::Allowed }
}

fn silence(ms: u64) -> Item {
    let sound = Playable::Silence(Duration::from_millis(ms));
    Item { sound, bargein: Bargein::Forbidden }
}

fn ended(ending: Ending, ms: u64, item: usize) -> Option<Effect> {
    Some(Effect::Ended { ending, played: Duration::from_millis(ms), item })
}

/// All frames until the end, in one piece.
fn play(playlist: &mut Playlist) -> Vec<u8> {
    let mut all = Vec::new();
    let mut frame = [0; FRAME_SAMPLES];
    while playlist.next_frame(&mut frame) {
        assert_eq!(playlist.poll(), None);
        all.extend_from_slice(&frame);
    }
    all
}

#[test]
fn items_follow_each_other_without_a_gap_and_the_end_is_told_once() {
    let items = vec![audio(1, 200), silence(10), audio(2, 100)];
    let mut playlist = Playlist::new(Law::Mu, items);
    let heard = play(&mut playlist);
    let expected = [vec![1; 200], vec![0xff; 80], vec![2; 100], vec![0xff; 100]].concat();
    assert_eq!(heard, expected);
    assert_eq!(playlist.poll(), ended(Ending::Completed, 60, 3));
    assert_eq!(playlist.poll(), None);
    assert!(playlist.is_over());
    assert!(!playlist.next_frame(&mut [0; FRAME_SAMPLES]));
    playlist.handle(Input::Stop);
    assert_eq!(playlist.poll(), None);
}

#[test]
fn empty_lists_and_empty_items_end_at_once() {
    for items in [vec![], vec![audio(1, 0), silence(0), audio(2, 0)]] {
        let mut playlist = Playlist::new(Law::A, items);
        assert!(!playlist.next_frame(&mut [0; FRAME_SAMPLES]));
        assert!(matches!(
            playlist.poll(),
            Some(Effect::Ended { ending: Ending::Completed, played: Duration::ZERO, .. })
        ));
    }
}

#[test]
fn position_tells_item_and_time_as_they_are_played() {
    let mut playlist = Playlist::new(Law::Mu, vec![audio(1, 240), audio(2, 400)]);
    let mut frame = [0; FRAME_SAMPLES];
    assert_eq!(playlist.position(), (0, Duration::ZERO));
    playlist.next_frame(&mut frame);
    assert_eq!(playlist.position(), (0, Duration::from_millis(20)));
    playlist.next_frame(&mut frame);
    assert_eq!(playlist.position(), (1, Duration::from_millis(10)));
    assert_eq!(playlist.played(), Duration::from_millis(40));
}

#[test]
fn callee_cuts_short_what_may_be_cut_short_and_all_behind_it() {
    let mut playlist = Playlist::new(Law::Mu, vec![silence(20), audio(1, 320), audio(2, 320)]);
    let mut frame = [0; FRAME_SAMPLES];
    assert_eq!(playlist.bargein(), Bargein::Forbidden);
    playlist.next_frame(&mut frame);
    playlist.handle(Input::Bargein);
    assert_eq!(playlist.poll(), None, "the silence may not be cut short");
    playlist.next_frame(&mut frame);
    assert_eq!(playlist.bargein(), Bargein::Allowed);
    playlist.handle(Input::Bargein);
    assert_eq!(playlist.poll(), ended(Ending::BargedIn, 40, 1));
    assert!(!playlist.next_frame(&mut frame));
}

#[test]
fn stopping_ends_whatever_plays() {
    let mut playlist = Playlist::new(Law::Mu, vec![silence(1_000)]);
    playlist.next_frame(&mut [0; FRAME_SAMPLES]);
    playlist.handle(Input::Stop);
    assert_eq!(playlist.poll(), ended(Ending::Stopped, 20, 0));
}

#[test]
fn law_may_change_under_way_and_recordings_follow() {
    let loud = Law::Mu.encode(8_000);
    let mut playlist = Playlist::new(Law::Mu, vec![audio(loud, 320), silence(20)]);
    let mut frame = [0; FRAME_SAMPLES];
    playlist.next_frame(&mut frame);
    assert_eq!(frame, [loud; FRAME_SAMPLES]);
    playlist.handle(Input::LawChanged(Law::A));
    playlist.next_frame(&mut frame);
    assert!((i32::from(Law::A.decode(frame[7])) - 8_000).abs() < 300);
    playlist.next_frame(&mut frame);
    assert_eq!(frame, [Law::A.silence(); FRAME_SAMPLES]);
}

#[test]
fn tones_are_made_as_they_are_played() {
    let tone = Tone::sine(1_000.0, -10.0, Duration::from_millis(50));
    let item = |tone: Tone| Item { sound: Playable::Tone(tone), bargein: Bargein::Allowed };
    let mut playlist = Playlist::new(Law::A, vec![item(tone.clone()), audio(9, 80)]);
    let heard = play(&mut playlist);
    let samples = Generator::samples(tone);
    let expected: Vec<u8> = samples.iter().map(|sample| Law::A.encode(*sample)).collect();
    assert_eq!(heard[..400], expected);
    assert_eq!(playlist.poll(), ended(Ending::Completed, 60, 2));
    // One for ever goes on until it is stopped, one of nothing is passed over.
    let mut playlist = Playlist::new(Law::A, vec![item(Tone::busy())]);
    for _ in 0..1_000 {
        assert!(playlist.next_frame(&mut [0; FRAME_SAMPLES]));
    }
    let mut playlist = Playlist::new(Law::A, vec![item(Tone::cadence(Wave::Silence, 0, 0))]);
    assert!(!playlist.next_frame(&mut [0; FRAME_SAMPLES]));
}

proptest! {
    #[test]
    fn any_list_plays_all_its_samples_and_ends_once(
        lengths in prop::collection::vec((0usize..500, any::<bool>()), 0..12),
    ) {
        let items: Vec<Item> = lengths
            .iter()
            .map(|(length, is_audio)| match is_audio {
                true => audio(7, *length),
                false => silence(*length as u64 / 8),
            })
            .collect();
        let samples: usize = lengths
            .iter()
            .map(|(length, is_audio)| if *is_audio { *length } else { length / 8 * 8 })
            .sum();
        let mut playlist = Playlist::new(Law::Mu, items);
        let heard = play(&mut playlist);
        prop_assert_eq!(heard.len(), samples.next_multiple_of(FRAME_SAMPLES));
        prop_assert!(playlist.poll().is_some());
        prop_assert_eq!(playlist.poll(), None);
    }
}
