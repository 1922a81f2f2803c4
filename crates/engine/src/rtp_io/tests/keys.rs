//! Keys from one end to the other, as events and as tones.

use proto::rtp::{Codec, Direction, Terms};
use script::step::PlayId;

use super::fixture::{EVENTS, FarEnd, Rig, events, is_continuous, item, payloads, sound};
use crate::rtp_io::{MediaEvent, Stream};

/// The keys among the events, and whether all sent ones are out.
fn told(stream: &mut Stream) -> (String, bool) {
    let mut keys = String::new();
    let mut sent = false;
    for event in events(stream) {
        match event {
            MediaEvent::Key(key) => keys.push(key.to_char()),
            MediaEvent::KeysSent => sent = true,
            MediaEvent::RemoteHeard => {}
            other => panic!("{other:?}"),
        }
    }
    (keys, sent)
}

fn sent_and_heard(telephone_event: Option<u8>) {
    let mut rig = Rig::new();
    let (mut a, mut b) = rig.pair(telephone_event);
    rig.pass(500);
    a.send_keys("12p#*w0D");
    b.send_keys("55");
    rig.pass(1_000);
    assert_eq!(told(&mut b), ("12".into(), true), "one second of pause lies before the rest");
    rig.pass(2_500);
    assert_eq!(told(&mut a), ("55".into(), true));
    assert_eq!(told(&mut b), ("#*0D".into(), false));
}

#[test]
fn keys_are_sent_and_heard_as_telephone_events() {
    sent_and_heard(Some(EVENTS));
}

#[test]
fn keys_are_sent_and_heard_as_tones_where_events_were_not_agreed_on() {
    sent_and_heard(None);
}

#[test]
fn key_is_one_event_of_many_packets_in_place_of_sound() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    let a = sound(1, 1_600);
    stream.play(PlayId(1), vec![item(&a)]);
    stream.send_keys("7");
    rig.pass(600);
    let got = far_end.got();
    let (keys, sounds): (Vec<_>, Vec<_>) =
        got.iter().cloned().partition(|packet| packet.payload_type == EVENTS);
    assert!(keys.len() >= 5 && keys[0].marker);
    assert!(keys.iter().all(|packet| packet.payload[0] == 7));
    assert!(keys.iter().all(|packet| packet.timestamp == keys[0].timestamp));
    assert!(got.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    // The prompt waited for the key, and then came whole.
    let heard = payloads(&sounds);
    let begin = heard.iter().position(|byte| *byte != Codec::Pcmu.silence()).unwrap();
    let end = (begin + a.bytes().len()).min(heard.len());
    assert!(heard.windows(1_600).any(|window| window == &a.bytes()[..]), "{begin} {end}");
    assert_eq!(events(&mut stream).last(), Some(&MediaEvent::PlayEnded(PlayId(1))));
}

#[test]
fn tones_in_the_sound_are_not_keys_where_events_were_agreed_on() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (rig.engine.open().unwrap(), rig.engine.open().unwrap());
    a.connect(Terms::new(b.local_rtp(), Codec::Pcmu, None));
    b.connect(Terms::new(a.local_rtp(), Codec::Pcmu, Some(EVENTS)));
    a.send_keys("1");
    rig.pass(1_000);
    assert_eq!(told(&mut a), (String::new(), true));
    assert_eq!(told(&mut b).0, "");
}

#[test]
fn keys_wait_while_the_call_is_on_hold() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let held = Terms { direction: Direction::Inactive, ..far_end.terms() };
    let mut stream = rig.connect(held);
    stream.send_keys("1");
    rig.pass(1_000);
    assert_eq!((far_end.got().len(), told(&mut stream).1), (0, false));
    stream.connect(far_end.terms());
    rig.pass(1_000);
    assert_eq!(told(&mut stream), (String::new(), true));
    assert!(far_end.got().iter().any(|packet| packet.payload_type == EVENTS));
}

#[test]
fn keys_go_on_as_tones_when_events_are_no_longer_taken() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    stream.send_keys("123");
    rig.pass(60);
    stream.connect(Terms { telephone_event: None, ..far_end.terms() });
    rig.pass(40);
    far_end.got();
    rig.pass(1_500);
    let got = far_end.got();
    assert!(is_continuous(&got));
    assert!(got.iter().all(|packet| packet.payload_type == 0));
    assert!(payloads(&got).iter().any(|byte| *byte != Codec::Pcmu.silence()));
    assert_eq!(told(&mut stream), (String::new(), true));
    // And with nothing but the press at hand cut off, the plan still ends.
    stream.connect(far_end.terms());
    stream.send_keys("4");
    rig.pass(60);
    stream.connect(Terms { telephone_event: None, ..far_end.terms() });
    rig.pass(1_000);
    assert_eq!(told(&mut stream), (String::new(), true));
    stream.play(PlayId(1), vec![item(&sound(1, 160))]);
    rig.pass(100);
    assert_eq!(events(&mut stream), [MediaEvent::PlayEnded(PlayId(1))]);
}

#[test]
fn nothing_to_send_is_sent_at_once() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    stream.send_keys("");
    rig.pass(40);
    assert_eq!(told(&mut stream), (String::new(), true));
}
