//! What is played is what arrives: whole, in order, in time.

use std::time::Duration;

use media::playlist::{Bargein, Item, Playable};
use proto::rtp::{Codec, FRAME_SAMPLES};
use script::step::PlayId;

use super::fixture::{FarEnd, Rig, events, is_continuous, item, payloads, sound};
use crate::rtp_io::player::PLAYINGS_MAX;
use crate::rtp_io::{Failure, MediaEvent};

/// Where `part` begins in `whole`.
fn position(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

#[test]
fn two_hundred_streams_play_each_its_own_prompt_without_a_hole() {
    let mut rig = Rig::new();
    let mut calls: Vec<_> = (0..200)
        .map(|seed| {
            let far_end = FarEnd::new();
            let stream = rig.connect(far_end.terms());
            let sound = sound(seed, 16_000);
            stream.play(PlayId(1), vec![item(&sound)]);
            (stream, far_end, sound)
        })
        .collect();
    // Their first slot lies within the first 20 ms, each then has 100 frames of sound.
    rig.pass(20 + 100 * 20 + 20);
    for (stream, far_end, sound) in &mut calls {
        let got = far_end.got();
        assert!(is_continuous(&got), "{got:?}");
        assert!((101..=102).contains(&got.len()), "{}", got.len());
        assert!(got[0].marker && got[1..].iter().all(|packet| !packet.marker));
        assert!(got.iter().all(|packet| packet.from == stream.local_rtp()));
        assert_eq!(position(&payloads(&got), sound.bytes()), Some(0));
        assert_eq!(events(stream), [MediaEvent::PlayEnded(PlayId(1))]);
    }
    let mut sources: Vec<_> = calls.iter().map(|call| call.0.local_rtp()).collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), 200);
}

#[test]
fn streams_are_spread_evenly_over_the_slots() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let calls: Vec<_> = (0..200).map(|_| rig.connect(far_end.terms())).collect();
    rig.pass(1);
    assert_eq!(rig.streams_by_slot(), [10; 20]);
    assert_eq!(rig.engine.load().streams, 200);
    drop(calls);
    rig.pass(20);
    assert_eq!(rig.engine.load().streams, 0);
}

#[test]
fn packets_leave_every_20_ms_exactly() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let _stream = rig.connect(far_end.terms());
    let mut at = Vec::new();
    for ms in 0..1_000 {
        rig.pass(1);
        at.extend(far_end.got().iter().map(|_| ms));
    }
    assert_eq!(at.len(), 50);
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] == 20), "{at:?}");
}

#[test]
fn silence_is_sent_while_nothing_plays() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let stream = rig.connect(far_end.terms());
    rig.pass(200);
    let got = far_end.got();
    assert_eq!(got.len(), 10);
    assert!(is_continuous(&got));
    assert!(payloads(&got).iter().all(|byte| *byte == Codec::Pcmu.silence()));
    drop(stream);
}

#[test]
fn nothing_is_sent_while_nothing_plays_if_so_configured() {
    let mut rig = Rig::with(|config| config.send_silence = false);
    let far_end = FarEnd::new();
    let stream = rig.connect(far_end.terms());
    stream.play(PlayId(1), vec![item(&sound(1, 320))]);
    rig.pass(200);
    let first = far_end.got();
    stream.play(PlayId(2), vec![item(&sound(2, 320))]);
    rig.pass(200);
    let second = far_end.got();
    assert_eq!([first.len(), second.len()], [2, 2]);
    // The clock went on: ten frames after the first came the second sound, and says so.
    assert!(second[0].marker);
    assert_eq!(second[0].timestamp, first[0].timestamp.wrapping_add(1_600));
    assert_eq!(second[0].sequence, first[1].sequence.wrapping_add(1));
}

#[test]
fn playings_follow_each_other_and_each_end_is_told_in_time() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    let (a, b) = (sound(1, 1_600), sound(2, 800));
    let pause =
        Item { sound: Playable::Silence(Duration::from_millis(100)), bargein: Bargein::Allowed };
    stream.play(PlayId(1), vec![item(&a), pause]);
    stream.play(PlayId(2), vec![item(&b)]);
    let mut ended = Vec::new();
    let mut frames = 0;
    for _ in 0..600 {
        rig.pass(1);
        frames += far_end.got().len();
        // An end is told with the frame after the last, when the last has been heard.
        ended.extend(events(&mut stream).into_iter().map(|event| (frames, event)));
    }
    assert_eq!(
        ended,
        [(16, MediaEvent::PlayEnded(PlayId(1))), (21, MediaEvent::PlayEnded(PlayId(2)))]
    );
}

#[test]
fn stop_ends_the_sound_with_the_next_frame_and_tells_no_end() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    stream.play(PlayId(1), vec![item(&sound(1, 16_000))]);
    stream.play(PlayId(2), vec![item(&sound(2, 16_000))]);
    rig.pass(100);
    far_end.got();
    stream.stop_play();
    let c = sound(3, 160);
    stream.play(PlayId(3), vec![item(&c)]);
    rig.pass(60);
    let silence = [Codec::Pcmu.silence(); FRAME_SAMPLES].repeat(2);
    assert!(payloads(&far_end.got()) == [&c.bytes()[..], &silence].concat());
    assert_eq!(events(&mut stream), [MediaEvent::PlayEnded(PlayId(3))]);
}

#[test]
fn what_is_played_before_the_far_end_is_known_is_heard_from_its_beginning() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.engine.open().unwrap();
    let a = sound(1, 1_600);
    stream.play(PlayId(1), vec![item(&a)]);
    rig.pass(500);
    stream.connect(far_end.terms());
    rig.pass(250);
    assert_eq!(position(&payloads(&far_end.got()), a.bytes()), Some(0));
    assert_eq!(events(&mut stream), [MediaEvent::PlayEnded(PlayId(1))]);
}

#[test]
fn short_stall_is_made_good_with_one_frame_more() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let stream = rig.connect(far_end.terms());
    let a = sound(1, 16_000);
    stream.play(PlayId(1), vec![item(&a)]);
    rig.pass(100);
    let before = far_end.got();
    rig.stall(40);
    let burst = far_end.got();
    assert_eq!([before.len(), burst.len()], [5, 2]);
    rig.pass(200);
    let got = [before, burst, far_end.got()].concat();
    assert_eq!(got.len(), 17);
    assert!(is_continuous(&got));
    assert!(payloads(&got) == a.bytes()[..17 * FRAME_SAMPLES]);
}

#[test]
fn long_stall_is_a_pause_that_loses_no_sound_and_is_no_burst() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    let a = sound(1, 8_000);
    stream.play(PlayId(1), vec![item(&a)]);
    rig.pass(100);
    let before = far_end.got();
    rig.engine.load();
    rig.stall(1_000);
    let burst = far_end.got();
    assert_eq!([before.len(), burst.len()], [5, 2]);
    let load = rig.engine.load();
    assert_eq!((load.slots, load.slots_late), (1, 1));
    assert!(load.late_max > Duration::from_millis(970), "{load:?}");
    // Fifty frames of time have passed, two of them are here: 48 were a pause, which is marked.
    assert!(burst[0].marker && !burst[1].marker);
    let pause = burst[0].timestamp.wrapping_sub(before[4].timestamp);
    assert_eq!(pause, 49 * FRAME_SAMPLES as u32);
    assert_eq!(burst[0].sequence, before[4].sequence.wrapping_add(1));
    rig.pass(1_000);
    let after = far_end.got();
    assert!(is_continuous(&[burst.clone(), after.clone()].concat()));
    assert_eq!(position(&payloads(&[before, burst, after].concat()), a.bytes()), Some(0));
    assert_eq!(events(&mut stream), [MediaEvent::PlayEnded(PlayId(1))]);
}

#[test]
fn more_playings_than_a_stream_holds_are_a_failure_of_that_stream() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    let mut other = rig.connect(far_end.terms());
    let a = sound(1, 1_600);
    (0..=PLAYINGS_MAX).for_each(|_| stream.play(PlayId(1), vec![item(&a)]));
    rig.pass(20);
    assert_eq!(events(&mut stream), [MediaEvent::Failed(Failure::Overflow)]);
    (0..100_000).for_each(|_| stream.stop_play());
    rig.pass(20);
    assert_eq!(events(&mut stream), [MediaEvent::Failed(Failure::Overflow)]);
    assert_eq!(events(&mut other), []);
}

#[test]
fn events_that_nobody_takes_wait_in_order() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    for play in 0..200 {
        stream.play(PlayId(play), vec![]);
    }
    rig.pass(40);
    let mut told = Vec::new();
    for _ in 0..4 {
        told.extend(events(&mut stream));
        rig.pass(20);
    }
    let ends: Vec<_> = (0..200).map(|play| MediaEvent::PlayEnded(PlayId(play))).collect();
    assert_eq!(told, ends);
}
