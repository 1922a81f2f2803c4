//! Who is heard, and who listens.

use std::sync::mpsc;
use std::time::Duration;

use proto::rtp::session::DropReason;
use proto::rtp::{Codec, FRAME_SAMPLES, Learning, Popped, Terms};
use script::step::PlayId;

use super::fixture::{FarEnd, Rig, events, item, sound};
use crate::rtp_io::law::law;
use crate::rtp_io::{Failure, Heard, MediaEvent, Stream};

/// The loudest code of mu-law, and one that is fainter.
const LOUD: u8 = 0x80;
const FAINT: u8 = 0xb0;

/// Lets a stream be heard; the bytes of all that comes, as mu-law.
fn listen(stream: &Stream) -> mpsc::Receiver<(Popped, Vec<u8>)> {
    let (heard, listener) = mpsc::channel();
    stream.listen(Some(Box::new(move |Heard { popped, samples }: Heard<'_>| {
        let mut bytes = vec![0; samples.len()];
        law(Codec::Pcmu).encode_into(samples, &mut bytes);
        heard.send((popped, bytes)).unwrap();
    })));
    listener
}

fn bytes(heard: &mpsc::Receiver<(Popped, Vec<u8>)>) -> Vec<u8> {
    heard.try_iter().flat_map(|(_, bytes)| bytes).collect()
}

#[test]
fn listener_hears_every_20_ms_what_the_far_end_says_in_order() {
    let mut rig = Rig::new();
    let (a, b) = rig.pair(None);
    let heard = listen(&b);
    let sound = sound(1, 16_000);
    a.play(PlayId(1), vec![item(&sound)]);
    rig.pass(3_000);
    let frames: Vec<_> = heard.try_iter().collect();
    assert!((149..=150).contains(&frames.len()), "{}", frames.len());
    assert!(frames.iter().all(|(popped, _)| *popped != Popped::Concealed));
    let law = law(Codec::Pcmu);
    // As a listener gets it: both zeros of mu-law are one.
    let plain: Vec<u8> = sound.bytes().iter().map(|byte| law.encode(law.decode(*byte))).collect();
    let all: Vec<u8> = frames.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(all.windows(plain.len()).any(|window| window == plain));
    b.listen(None);
    rig.pass(100);
    heard.try_iter().count();
    rig.pass(100);
    assert_eq!(heard.try_iter().count(), 0);
}

#[test]
fn second_sender_is_not_heard() {
    let mut rig = Rig::new();
    let (friend, stranger) = (FarEnd::new(), FarEnd::new());
    let mut stream = rig.connect(friend.terms());
    let heard = listen(&stream);
    let to = stream.local_rtp();
    for frame in 0..100 {
        friend.say(to, 1, frame..frame + 1, FAINT);
        stranger.say(to, 1, frame..frame + 3, LOUD);
        stranger.say(to, 2, frame..frame + 1, LOUD);
        rig.pass(20);
    }
    let heard = bytes(&heard);
    assert!(!heard.contains(&LOUD));
    assert!(heard.iter().filter(|byte| **byte == FAINT).count() > 95 * FRAME_SAMPLES);
    assert_eq!(events(&mut stream), [MediaEvent::RemoteHeard]);
    // And what we say goes to the friend only.
    assert!(stranger.got().is_empty());
    assert_eq!(friend.got().len(), 100);
}

#[tokio::test]
async fn strangers_packets_are_counted_until_the_kernel_keeps_them_out() {
    let mut rig = Rig::new();
    let (friend, stranger) = (FarEnd::new(), FarEnd::new());
    let stream = rig.connect(Terms { learning: Learning::Never, ..friend.terms() });
    let to = stream.local_rtp();
    rig.pass(20);
    stranger.say(to, 1, 0..3, LOUD);
    rig.pass(20);
    friend.say(to, 1, 0..3, FAINT);
    rig.pass(20);
    stranger.say(to, 1, 3..6, LOUD);
    rig.pass(20);
    let stats = rig.until(stream.close()).await;
    assert_eq!(stats.stream.drops.of(DropReason::Source), 3);
    assert_eq!(stats.stream.packets_received, 3);
}

#[test]
fn far_end_behind_a_nat_is_learned_and_gives_way_to_the_signalled_one() {
    let mut rig = Rig::new();
    let (signalled, nat) = (FarEnd::new(), FarEnd::new());
    let stream = rig.connect(signalled.terms());
    let to = stream.local_rtp();
    rig.pass(40);
    assert_eq!((signalled.got().len(), nat.got().len()), (2, 0));
    for frame in 0..10 {
        nat.say(to, 1, frame..frame + 1, FAINT);
        rig.pass(20);
    }
    signalled.got();
    nat.got();
    rig.pass(40);
    assert_eq!((signalled.got().len(), nat.got().len()), (0, 2));
    for frame in 0..3 {
        signalled.say(to, 2, frame..frame + 1, FAINT);
        rig.pass(20);
    }
    signalled.got();
    nat.got();
    rig.pass(40);
    assert_eq!((signalled.got().len(), nat.got().len()), (2, 0));
}

#[test]
fn flood_costs_a_bounded_number_of_packets_a_tick_and_harms_nobody_else() {
    let mut rig = Rig::new();
    let (friend, flood) = (FarEnd::new(), FarEnd::new());
    let stream = rig.connect(friend.terms());
    let mut other = rig.connect(friend.terms());
    other.play(PlayId(1), vec![item(&sound(1, 800))]);
    rig.pass(20);
    friend.say(stream.local_rtp(), 1, 0..1, FAINT);
    rig.pass(20);
    for _ in 0..10 {
        flood.say(stream.local_rtp(), 1, 0..2_000, LOUD);
        rig.pass(20);
    }
    assert_eq!(events(&mut other), [MediaEvent::PlayEnded(PlayId(1))]);
    assert_eq!(friend.got().len(), 24);
}

#[test]
fn garbage_on_both_ports_is_survived() {
    let mut rig = Rig::new();
    let friend = FarEnd::new();
    let mut stream = rig.connect(friend.terms());
    for seed in 0..200 {
        let noise = sound(seed, seed as usize * 10);
        friend.socket.send_to(noise.bytes(), stream.local_rtp()).unwrap();
        friend.socket.send_to(noise.bytes(), stream.local_rtcp()).unwrap();
        rig.pass(5);
    }
    rig.pass(100);
    assert!(events(&mut stream).iter().all(|event| *event == MediaEvent::RemoteHeard));
}

#[test]
fn silent_far_end_is_told_once_and_again_when_it_is_back() {
    let mut rig = Rig::with(|config| config.silence_time_max = Duration::from_secs(3));
    let friend = FarEnd::new();
    let mut stream = rig.connect(friend.terms());
    rig.pass(2_900);
    assert_eq!(events(&mut stream), []);
    rig.pass(3_000);
    assert_eq!(events(&mut stream), [MediaEvent::RemoteSilent]);
    friend.say(stream.local_rtp(), 1, 0..3, FAINT);
    rig.pass(3_500);
    assert_eq!(events(&mut stream), [MediaEvent::RemoteHeard, MediaEvent::RemoteSilent]);
}

#[tokio::test]
async fn fault_in_one_stream_closes_that_one_only() {
    let mut rig = Rig::new();
    let friend = FarEnd::new();
    let mut stream = rig.connect(friend.terms());
    let other = rig.connect(friend.terms());
    stream.listen(Some(Box::new(|_| panic!("on purpose, in a test"))));
    rig.pass(40);
    assert_eq!(stream.next().await, Some(MediaEvent::Failed(Failure::Internal)));
    assert_eq!(stream.next().await, None);
    assert_eq!(rig.until(stream.close()).await, Default::default());
    friend.got();
    rig.pass(100);
    assert_eq!(friend.got().len(), 5);
    assert_eq!(rig.until(other.close()).await.sends_failed, 0);
}
