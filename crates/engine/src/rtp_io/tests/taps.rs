//! Sound off the media threads: taps of both directions, early sound, relays between two legs.

use proto::rtp::{Codec, FRAME_SAMPLES};
use script::step::PlayId;

use super::fixture::{FarEnd, Rig, item, sound};
use crate::rtp_io::law::law;
use crate::rtp_io::{Directions, Frames};

/// Everything that a tap has, as mu-law, by direction.
fn taken(frames: &mut Frames) -> (Vec<u8>, Vec<u8>) {
    let (mut heard, mut said) = (Vec::new(), Vec::new());
    let law = law(Codec::Pcmu);
    while let Some(frame) = frames.try_next() {
        heard.extend(frame.heard.map(|sample| law.encode(sample)));
        said.extend(frame.said.map(|sample| law.encode(sample)));
    }
    (heard, said)
}

/// The bytes as they are after they were samples: both zeros of mu-law are one.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let law = law(Codec::Pcmu);
    bytes.iter().map(|byte| law.encode(law.decode(*byte))).collect()
}

fn holds(heard: &[u8], sound: &[u8]) -> bool {
    heard.windows(sound.len()).any(|window| window == sound)
}

#[test]
fn two_taps_hear_the_same_and_one_of_them_also_what_is_said() {
    let mut rig = Rig::new();
    let (a, b) = rig.pair(None);
    let (mut one, mut both) = (b.tap(Directions::Heard), b.tap(Directions::Both));
    let (theirs, ours) = (sound(1, 3_200), sound(2, 3_200));
    a.play(PlayId(1), vec![item(&theirs)]);
    b.play(PlayId(1), vec![item(&ours)]);
    rig.pass(700);
    let (heard, said) = taken(&mut one);
    assert!(holds(&heard, &plain(theirs.bytes())));
    assert!(said.iter().all(|byte| *byte == 0xff));
    let (heard, said) = taken(&mut both);
    assert!(holds(&heard, &plain(theirs.bytes())));
    assert!(holds(&said, &plain(ours.bytes())));
    assert_eq!((one.gaps(), both.gaps()), (0, 0));
}

#[test]
fn tap_of_a_leg_that_is_not_yet_connected_hears_from_the_first_packet_on() {
    let mut rig = Rig::new();
    let friend = FarEnd::new();
    let mut stream = rig.engine.open().unwrap();
    let mut frames = stream.tap(Directions::Heard);
    stream.connect(friend.terms());
    rig.pass(20);
    for frame in 0..20 {
        friend.say(stream.local_rtp(), 1, frame..frame + 1, 0x90);
        rig.pass(20);
    }
    let (heard, _) = taken(&mut frames);
    let said = heard.iter().filter(|byte| **byte == 0x90).count();
    assert!(said >= 15 * FRAME_SAMPLES, "{said}");
}

#[test]
fn tap_that_nobody_empties_costs_silence_and_no_packet() {
    let mut rig = Rig::new();
    let friend = FarEnd::new();
    let stream = rig.connect(friend.terms());
    let mut frames = stream.tap(Directions::Both);
    rig.pass(3_000);
    let sent = friend.got().len();
    assert!((149..=151).contains(&sent), "{sent}");
    let before = std::iter::from_fn(|| frames.try_next()).count();
    rig.pass(20);
    let after = std::iter::from_fn(|| frames.try_next()).count();
    assert!((149..=151).contains(&(before + after)), "{before} and {after}");
    assert_eq!(frames.gaps(), before as u64 + after as u64 - 51);
}

#[test]
fn stall_of_the_machine_is_silence_of_its_length() {
    let mut rig = Rig::new();
    let friend = FarEnd::new();
    let stream = rig.connect(friend.terms());
    let mut frames = stream.tap(Directions::Both);
    rig.pass(100);
    rig.stall(2_000);
    rig.pass(100);
    let count = std::iter::from_fn(|| frames.try_next()).count();
    assert!((108..=111).contains(&count), "{count}");
    assert!(frames.gaps() >= 75, "{}", frames.gaps());
}

#[test]
fn leg_sends_on_what_another_one_hears_while_nothing_plays() {
    let mut rig = Rig::new();
    let (caller, agent) = (FarEnd::new(), FarEnd::new());
    let (a, b) = (rig.connect(caller.terms()), rig.connect(agent.terms()));
    b.relay(Some(a.tap(Directions::Heard)));
    rig.pass(20);
    let whisper = sound(3, 1_600);
    b.play(PlayId(1), vec![item(&whisper)]);
    for frame in 0..50 {
        caller.say(a.local_rtp(), 1, frame..frame + 1, 0x90);
        rig.pass(20);
    }
    let got: Vec<u8> = agent.got().iter().flat_map(|packet| packet.payload.clone()).collect();
    assert!(holds(&got, whisper.bytes()));
    let relayed = got.iter().filter(|byte| **byte == 0x90).count() / FRAME_SAMPLES;
    // 50 were said, of which the whisper took the place of up to ten.
    assert!((35..=45).contains(&relayed), "{relayed}");
    drop(a);
    rig.pass(100);
    agent.got();
    rig.pass(100);
    assert!(agent.got().iter().all(|packet| packet.payload.iter().all(|byte| *byte == 0xff)));
}
