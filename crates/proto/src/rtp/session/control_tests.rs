//! Reports beside a stream: what they tell, where they go, whom they are believed from, farewells.

use super::tests::*;
use super::*;
use crate::rtp::rtcp::{Compound, ReportBlock, RtcpPacket, SenderInfo};

fn only_report(effects: &[Effect]) -> (SocketAddr, Vec<u8>) {
    let [Effect::SendControl { to, bytes }] = effects else { panic!("{effects:?}") };
    (*to, bytes.to_vec())
}

#[test]
fn sender_reports_tell_what_was_sent_and_heard() {
    let mut bench = Bench::new(terms());
    for _ in 0..50 {
        sent(&mut bench, Some(&LOUD));
        bench.speak();
        bench.pass(1);
    }
    bench.sequence += 2;
    bench.speak();
    let (to, bytes) = only_report(&bench.report());
    assert_eq!(to, address(FAR_CONTROL));
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().packets().collect();
    let RtcpPacket::SenderReport { info, mut blocks, .. } = packets[0] else {
        panic!("{packets:?}");
    };
    assert_eq!((info.packets, info.octets), (50, 8_000));
    let passed = bench.now - bench.start;
    assert_eq!(info.ntp, NtpTime::from_unix(Duration::from_secs(1_000) + passed));
    let block = blocks.next().unwrap();
    assert_eq!((block.ssrc, block.cumulative_lost), (FAR_SSRC, 2));
    assert_eq!(block.highest_sequence, 500 + 52);
    assert_eq!(block.fraction_lost, (2 * 256 / 53) as u8);
    assert_eq!((block.last_sender_report, block.delay_since), (0, 0));
    assert!(matches!(packets[1], RtcpPacket::SourceDescription { chunks: 1 }));
    // Nothing sent since: the next one is a listener's.
    let (_, bytes) = only_report(&bench.report());
    assert_eq!(bytes[1], 201);
}

#[test]
fn report_timestamp_is_that_of_the_moment_it_is_sent() {
    let mut bench = Bench::new(terms());
    let (header, ..) = sent(&mut bench, Some(&LOUD)).unwrap();
    bench.now += Duration::from_millis(5);
    bench.now = bench.now.max(bench.session.deadline().unwrap().0);
    let passed = bench.now - bench.start;
    let (_, bytes) = only_report(&bench.report());
    let told = u32::from_be_bytes(bytes[16..20].try_into().unwrap());
    let ticks = (passed.as_micros() * 8 / 1_000) as u32;
    assert!(told.wrapping_sub(header.timestamp).abs_diff(ticks) <= 1);
}

#[test]
fn far_reports_give_loss_and_round_trip() {
    let mut bench = Bench::new(terms());
    let (header, ..) = sent(&mut bench, Some(&LOUD)).unwrap();
    bench.speak();
    bench.speak();
    let (_, bytes) = only_report(&bench.report());
    let middle = u32::from_be_bytes(bytes[10..14].try_into().unwrap());
    bench.now += Duration::from_millis(1_080);
    let block = ReportBlock {
        ssrc: header.ssrc,
        fraction_lost: 26,
        cumulative_lost: 5,
        highest_sequence: 0,
        jitter: 80,
        last_sender_report: middle,
        delay_since: 65_536,
    };
    let info = SenderInfo {
        ntp: NtpTime::from_bits(0x1111_2222_3333_4444),
        rtp_timestamp: 0,
        packets: 2,
        octets: 320,
    };
    let report = RtcpBytes::report(FAR_SSRC, Some(info), Some(block));
    assert_eq!(bench.control(FAR_CONTROL, &report), []);
    let far = bench.session.statistics().far.unwrap();
    assert_eq!((far.fraction_lost, far.packets_lost), (26, 5));
    assert_eq!(far.jitter, Duration::from_millis(10));
    let round_trip = far.round_trip.unwrap();
    assert!(round_trip.abs_diff(Duration::from_millis(80)) < Duration::from_millis(1));
    // Our next report refers to theirs.
    let (due, _) = bench.session.deadline().unwrap();
    let waited = due.saturating_duration_since(bench.now);
    let (_, bytes) = only_report(&bench.report());
    let RtcpPacket::ReceiverReport { mut blocks, .. } =
        Compound::parse(&bytes).unwrap().packets().next().unwrap()
    else {
        panic!("no receiver report");
    };
    let block = blocks.next().unwrap();
    assert_eq!(block.last_sender_report, 0x2222_3333);
    let expected = (waited.as_secs_f64() * 65_536.0) as u32;
    assert!(block.delay_since.abs_diff(expected) <= 1);
}

#[test]
fn reports_from_elsewhere_or_broken_ones_are_dropped() {
    let mut bench = Bench::new(terms());
    let report = RtcpBytes::report(FAR_SSRC, None, None);
    bench.control("198.51.100.7:4001", &report);
    bench.control("192.0.2.1:9999", &report);
    assert_eq!(bench.drops(DropReason::ControlSource), 2, "nothing was heard yet");
    bench.control(FAR_CONTROL, &[0x80, 200, 0, 0]);
    bench.control(FAR_CONTROL, &[]);
    assert_eq!(bench.drops(DropReason::ControlMalformed), 2);
    assert_eq!(bench.session.statistics().reports_received, 0);
    bench.control(FAR_CONTROL, &report);
    assert_eq!(bench.session.statistics().reports_received, 1);
}

#[test]
fn rtcp_port_of_the_same_host_is_learned_once_if_it_names_the_stream() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    bench.control("192.0.2.1:9999", &RtcpBytes::report(5, None, None));
    assert_eq!(bench.drops(DropReason::ControlSource), 1);
    let report = RtcpBytes::report(FAR_SSRC, None, None);
    bench.control("192.0.2.1:9999", &report);
    assert_eq!(bench.session.statistics().reports_received, 1);
    bench.control("192.0.2.1:8888", &report);
    assert_eq!(bench.drops(DropReason::ControlSource), 2);
    sent(&mut bench, Some(&LOUD));
    assert_eq!(only_report(&bench.report()).0, address("192.0.2.1:9999"));
}

#[test]
fn shared_port_carries_both_and_reports_go_there() {
    let mut bench = Bench::new(Terms { rtcp_mux: true, ..terms() });
    bench.speak();
    bench.speak();
    let report = RtcpBytes::report(FAR_SSRC, None, None);
    bench.give(Input::Datagram { from: address(FAR), bytes: &report });
    assert_eq!(bench.session.statistics().reports_received, 1);
    sent(&mut bench, Some(&LOUD));
    assert_eq!(only_report(&bench.report()).0, address(FAR));
    // Not agreed on: RTCP on the RTP port is no packet.
    let mut bench = Bench::new(terms());
    bench.give(Input::Datagram { from: address(FAR), bytes: &report });
    assert_eq!(bench.drops(DropReason::Malformed), 1);
}

#[test]
fn farewell_of_a_source_ends_the_source_and_not_the_stream() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    let bye = RtcpBytes::report(FAR_SSRC, None, None).with_goodbye(FAR_SSRC);
    assert_eq!(bench.control(FAR_CONTROL, &bye), []);
    bench.sequence = 9;
    let bytes = bench.packet(0, 1_234, &LOUD);
    bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
    assert_eq!(bench.session.statistics().packets_received, 3);
}

#[test]
fn reports_are_not_sent_to_an_address_known_to_be_wrong() {
    let mut bench = Bench::new(terms());
    for _ in 0..6 {
        bench.speak_from("198.51.100.7:40000");
    }
    sent(&mut bench, Some(&LOUD));
    assert_eq!(bench.report(), []);
    let report = RtcpBytes::report(FAR_SSRC, None, None);
    bench.control("198.51.100.7:40001", &report);
    assert_eq!(only_report(&bench.report()).0, address("198.51.100.7:40001"));
}

#[test]
fn early_expiry_does_nothing_and_the_deadline_moves_with_each_report() {
    let mut bench = Bench::new(terms());
    sent(&mut bench, Some(&LOUD));
    let (first, timer) = bench.session.deadline().unwrap();
    assert_eq!(bench.give(Input::Expired(timer)), []);
    assert_eq!(bench.session.deadline().unwrap().0, first);
    bench.report();
    assert!(bench.session.deadline().unwrap().0 > first);
}

#[test]
fn closing_says_goodbye_once_and_nothing_after_it() {
    let mut bench = Bench::new(terms());
    sent(&mut bench, Some(&LOUD));
    let effects = bench.give(Input::Close);
    let [Effect::SendControl { bytes, .. }, Effect::Closed] = &effects[..] else {
        panic!("{effects:?}");
    };
    let last = Compound::parse(bytes).unwrap().packets().last();
    assert!(matches!(last, Some(RtcpPacket::Goodbye { .. })));
    assert_eq!(bench.session.deadline(), None);
    assert_eq!(bench.give(Input::Close), []);
    assert_eq!(bench.speak(), []);
    assert_eq!(bench.give(Input::Expired(Timer::Report)), []);
    assert_eq!(sent(&mut bench, Some(&LOUD)), None);
    assert_eq!(bench.hear(), Popped::Empty);
}

#[test]
fn stream_that_never_sent_leaves_without_a_word() {
    let mut bench = Bench::new(terms());
    assert_eq!(bench.give(Input::Close), [Effect::Closed]);
}
