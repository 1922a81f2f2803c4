//! From the opening to the close: ports, hold, another codec, another address, figures.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use proto::rtp::session::DropReason;
use proto::rtp::{Codec, Direction, Terms};
use script::step::PlayId;

use super::fixture::{FarEnd, Rig, events, is_continuous, item, payloads, sound};
use crate::rtp_io::{MediaError, MediaEvent, StreamStats};

#[test]
fn ports_are_a_pair_within_the_range_and_told_with_the_advertised_address() {
    let rig = Rig::with(|config| {
        config.advertise = IpAddr::from([203, 0, 113, 7]);
        (config.port_min, config.port_max) = (30_000, 30_099);
    });
    let stream = rig.engine.open().unwrap();
    let (rtp, rtcp) = (stream.local_rtp(), stream.local_rtcp());
    assert_eq!([rtp.ip(), rtcp.ip()], [IpAddr::from([203, 0, 113, 7]); 2]);
    assert_eq!((rtp.port() % 2, rtcp.port()), (0, rtp.port() + 1));
    assert!((30_000..30_099).contains(&rtp.port()));
}

#[test]
fn range_without_a_free_port_is_an_error_until_one_is_given_back() {
    let mut rig = Rig::with(|config| (config.port_min, config.port_max) = (30_000, 30_005));
    let far_end = FarEnd::new();
    let mut streams: Vec<_> = (0..3).map(|_| rig.connect(far_end.terms())).collect();
    let refused = rig.engine.open().err().unwrap();
    assert_eq!(refused.to_string(), "no RTP port is free between 30000 and 30005");
    rig.pass(20);
    streams.pop();
    rig.pass(20);
    assert_eq!(rig.engine.load().port_pairs_free, 1);
    streams.push(rig.engine.open().unwrap());
    assert!(rig.engine.open().is_err());
    // One that was never connected gives its ports back as well.
    streams.pop();
    assert!(rig.engine.open().is_ok());
}

#[test]
fn port_that_another_program_uses_is_passed_over() {
    let rig = Rig::with(|config| (config.port_min, config.port_max) = (30_000, 30_003));
    let address = rig.engine.0.config.bind;
    let _other = UdpSocket::bind((address, 30_001)).unwrap();
    let stream = rig.engine.open().unwrap();
    assert_eq!(stream.local_rtp().port(), 30_002);
    assert!(matches!(rig.engine.open(), Err(MediaError::PortsExhausted { .. })));
}

#[test]
fn address_that_is_not_this_machines_is_an_error() {
    let rig = Rig::with(|config| config.bind = IpAddr::from([203, 0, 113, 7]));
    let refused = rig.engine.open().err().unwrap();
    assert_eq!(refused.to_string(), "no RTP socket on 203.0.113.7");
}

#[test]
fn prompt_waits_while_the_call_is_on_hold_and_then_goes_on_where_it_stood() {
    let far_end = FarEnd::new();
    let unspecified = Terms { remote: "0.0.0.0:4000".parse().unwrap(), ..far_end.terms() };
    let inactive = Terms { direction: Direction::Inactive, ..far_end.terms() };
    let receive_only = Terms { direction: Direction::ReceiveOnly, ..far_end.terms() };
    for held in [unspecified, inactive, receive_only] {
        let mut rig = Rig::new();
        let mut stream = rig.connect(far_end.terms());
        let a = sound(1, 3_200);
        stream.play(PlayId(1), vec![item(&a)]);
        rig.pass(200);
        let before = far_end.got();
        stream.connect(held);
        rig.pass(2_000);
        assert_eq!(far_end.got().len(), 0);
        assert_eq!(events(&mut stream), []);
        stream.connect(far_end.terms());
        rig.pass(400);
        let after = far_end.got();
        assert!(payloads(&[before.clone(), after.clone()].concat())[..3_200] == a.bytes()[..]);
        assert!(after[0].marker);
        assert_eq!(after[0].timestamp, before[9].timestamp.wrapping_add(101 * 160));
        assert_eq!(after[0].sequence, before[9].sequence.wrapping_add(1));
        assert_eq!(events(&mut stream), [MediaEvent::PlayEnded(PlayId(1))]);
    }
}

#[test]
fn prompt_goes_on_in_another_codec() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let mut stream = rig.connect(far_end.terms());
    let a = sound(1, 3_200);
    stream.play(PlayId(1), vec![item(&a)]);
    rig.pass(200);
    let before = far_end.got();
    stream.connect(Terms { codec: Codec::Pcma, payload_type: 8, ..far_end.terms() });
    rig.pass(200);
    let after = far_end.got();
    assert!(before.iter().all(|packet| packet.payload_type == 0));
    assert!(after.iter().all(|packet| packet.payload_type == 8));
    assert!(is_continuous(&[before, after.clone()].concat()));
    let mut rest = a.bytes()[1_600..].to_vec();
    media::g711::Law::Mu.transcode(media::g711::Law::A, &mut rest);
    assert!(payloads(&after) == rest);
}

#[tokio::test]
async fn far_end_that_moves_is_followed_and_the_old_place_no_longer_heard() {
    let mut rig = Rig::new();
    let (old, new) = (FarEnd::new(), FarEnd::new());
    let mut stream = rig.connect(old.terms());
    let to = stream.local_rtp();
    rig.pass(20);
    old.say(to, 1, 0..5, 0x90);
    rig.pass(100);
    assert_eq!(old.got().len(), 6);
    stream.connect(new.terms());
    rig.pass(100);
    assert_eq!((old.got().len(), new.got().len()), (0, 5));
    new.say(to, 2, 0..5, 0x90);
    rig.pass(20);
    old.say(to, 1, 5..10, 0x90);
    rig.pass(20);
    assert_eq!(events(&mut stream), [MediaEvent::RemoteHeard]);
    let stats = rig.until(stream.close()).await;
    assert_eq!(stats.stream.packets_received, 10);
    assert_eq!(stats.stream.drops.of(DropReason::Source), 0, "the kernel keeps it out");
}

#[tokio::test]
async fn figures_tell_what_was_sent_and_heard_on_both_sides() {
    let mut rig = Rig::new();
    let (a, b) = rig.pair(None);
    rig.pass(20_000);
    for stats in [rig.until(a.close()).await, rig.until(b.close()).await] {
        let stream = stats.stream;
        assert!((998..=1_003).contains(&stream.packets_sent), "{stats:?}");
        assert!((998..=1_003).contains(&stream.packets_received), "{stats:?}");
        assert_eq!((stream.packets_lost, stream.drops.total()), (0, 0));
        assert!(stream.reports_sent >= 2 && stream.reports_received >= 2, "{stats:?}");
        assert_eq!(stream.far.map(|far| far.packets_lost), Some(0));
        assert_eq!((stats.frames_skipped, stats.sends_failed), (0, 0));
    }
}

#[tokio::test]
async fn close_gives_the_ports_back_and_is_the_last_thing_heard() {
    let mut rig = Rig::new();
    let far_end = FarEnd::new();
    let stream = rig.connect(far_end.terms());
    let free = rig.engine.load().port_pairs_free;
    rig.pass(100);
    let stats = rig.until(stream.close()).await;
    assert_eq!(stats.stream.packets_sent, far_end.got().len() as u64);
    rig.pass(100);
    assert_eq!(far_end.got().len(), 0);
    assert_eq!(rig.engine.load().port_pairs_free, free + 1);
}

#[tokio::test]
async fn stream_that_was_never_connected_closes_with_empty_figures() {
    let rig = Rig::new();
    let stream = rig.engine.open().unwrap();
    assert_eq!(stream.close().await, StreamStats::default());
}

#[test]
fn streams_and_engine_may_be_shared_between_tasks() {
    const fn shared<T: Send + Sync>() {}
    shared::<crate::rtp_io::Stream>();
    shared::<crate::rtp_io::MediaEngine>();
}

#[test]
fn streams_run_over_ipv6_as_well() {
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((loopback, 0)).is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let mut rig = Rig::with(|config| (config.bind, config.advertise) = (loopback, loopback));
    let (a, mut b) = rig.pair(Some(101));
    a.send_keys("1");
    rig.pass(500);
    let keys = events(&mut b).into_iter().filter(|event| matches!(event, MediaEvent::Key(_)));
    assert_eq!(keys.count(), 1);
}
