//! A stream in virtual time: paced sending, strict source, keys, renegotiation.

use proptest::prelude::*;

use super::*;
use crate::rtp::telephone_event::Event;
use crate::rtp::{FRAME_SAMPLES, Learning, fixture};

pub(super) const FAR: &str = "192.0.2.1:4000";
pub(super) const FAR_CONTROL: &str = "192.0.2.1:4001";
pub(super) const FAR_SSRC: u32 = 77;
pub(super) const LOUD: Frame = [0x10; FRAME_SAMPLES];

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn terms() -> Terms {
    Terms::new(address(FAR), Codec::Pcmu, Some(101))
}

pub(super) fn key(sign: char) -> Key {
    Key::from_char(sign).unwrap()
}

/// A session and its clock, and a far end that sends in step with it.
pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
}

impl Bench {
    pub(super) fn new(terms: Terms) -> Self {
        let now = fixture::start();
        let wall = NtpTime::from_unix(Duration::from_secs(1_000));
        let session = Session::new(Setup { seed: 1, now, wall, terms });
        Self { session, now, start: now, sequence: 500, timestamp: 9_000 }
    }

    pub(super) fn pass(&mut self, frames: u32) {
        self.now += Duration::from_millis(u64::from(frames * FRAME_MS));
    }

    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    pub(super) fn give(&mut self, input: Input<'_>) -> Vec<Effect> {
        self.session.handle(self.now, input);
        self.effects()
    }

    pub(super) fn packet(&mut self, payload_type: u8, ssrc: u32, payload: &[u8]) -> Vec<u8> {
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
        self.sequence = sequence.wrapping_add(1);
        self.timestamp = timestamp.wrapping_add(160);
        [&header.to_bytes()[..], payload].concat()
    }

    /// The far end sends one frame from `from`.
    pub(super) fn speak_from(&mut self, from: &str) -> Vec<Effect> {
        let bytes = self.packet(0, FAR_SSRC, &LOUD);
        self.give(Input::Datagram { from: address(from), bytes: &bytes })
    }

    pub(super) fn speak(&mut self) -> Vec<Effect> {
        self.speak_from(FAR)
    }

    pub(super) fn hear(&mut self) -> Popped {
        self.session.hear(&mut [0; FRAME_SAMPLES])
    }

    pub(super) fn control(&mut self, from: &str, bytes: &[u8]) -> Vec<Effect> {
        self.give(Input::Control { from: address(from), bytes })
    }

    pub(super) fn drops(&self, reason: DropReason) -> u64 {
        self.session.statistics().drops.of(reason)
    }

    /// Lets the report that is due be sent.
    pub(super) fn report(&mut self) -> Vec<Effect> {
        let (due, timer) = self.session.deadline().unwrap();
        self.now = self.now.max(due);
        self.give(Input::Expired(timer))
    }
}

/// Reads the one packet of a frame.
pub(super) fn sent(
    bench: &mut Bench,
    frame: Option<&Frame>,
) -> Option<(Header, Vec<u8>, SocketAddr)> {
    let now = bench.now;
    let outgoing = bench.session.send_frame(now, frame.map(|frame| &frame[..]))?;
    let packet = Packet::parse(outgoing.bytes).unwrap();
    Some((packet.header, packet.payload.to_vec(), outgoing.to))
}

#[test]
fn frames_go_out_with_rising_numbers_and_a_marker_after_each_silence() {
    let mut bench = Bench::new(terms());
    let frames = [Some(&LOUD), Some(&LOUD), None, None, Some(&LOUD)];
    let packets: Vec<_> = frames.iter().map(|frame| sent(&mut bench, *frame)).collect();
    let (first, payload, to) = packets[0].clone().unwrap();
    assert_eq!((payload.as_slice(), to), (&LOUD[..], address(FAR)));
    assert_eq!((first.marker, first.payload_type), (true, 0));
    let told = |position: usize| {
        let (header, ..) = packets[position].clone().unwrap();
        (
            header.marker,
            header.sequence.wrapping_sub(first.sequence),
            header.timestamp.wrapping_sub(first.timestamp),
            header.ssrc == first.ssrc,
        )
    };
    assert_eq!(told(1), (false, 1, 160, true));
    assert_eq!((&packets[2], &packets[3]), (&None, &None));
    assert_eq!(told(4), (true, 2, 640, true));
    assert_eq!(bench.session.statistics().packets_sent, 3);
    assert_eq!(bench.session.statistics().bytes_sent, 480);
}

#[test]
fn same_seed_gives_the_same_packets_and_another_seed_others() {
    let packet = |seed| {
        let now = fixture::start();
        let wall = NtpTime::from_unix(Duration::ZERO);
        let mut session = Session::new(Setup { seed, now, wall, terms: terms() });
        session.send_frame(now, Some(&LOUD[..])).unwrap().bytes.to_vec()
    };
    assert_eq!(packet(3), packet(3));
    assert_ne!(packet(3)[2..12], packet(4)[2..12]);
}

#[test]
fn what_the_far_end_says_is_heard_from_its_first_packet_on() {
    let mut bench = Bench::new(terms());
    let mut heard = Vec::new();
    for _ in 0..5 {
        bench.speak();
        heard.push(bench.hear());
        bench.pass(1);
    }
    assert_eq!(heard, [Popped::Empty, Popped::Empty, Popped::Audio, Popped::Audio, Popped::Audio]);
    let statistics = bench.session.statistics();
    assert_eq!((statistics.packets_received, statistics.packets_lost), (5, 0));
    assert_eq!(statistics.drops.total(), 0);
    assert_eq!(statistics.jitter, Duration::ZERO);
    assert_eq!(bench.session.last_heard(), Some(bench.start + Duration::from_millis(80)));
}

#[test]
fn packets_from_elsewhere_are_dropped_once_the_signalled_address_spoke() {
    let mut bench = Bench::new(terms());
    bench.speak();
    for from in ["198.51.100.7:4000", "192.0.2.1:4002"] {
        bench.speak_from(from);
    }
    assert_eq!(bench.drops(DropReason::Source), 2);
    assert_eq!(bench.session.statistics().packets_received, 1);
    assert_eq!(bench.session.remote(), address(FAR));
}

#[test]
fn address_behind_a_nat_is_learned_and_sound_goes_there() {
    let mut bench = Bench::new(terms());
    let nat = "198.51.100.7:40000";
    let effects: Vec<_> = (0..6).flat_map(|_| bench.speak_from(nat)).collect();
    assert_eq!(effects, [Effect::RemoteMoved(address(nat))]);
    assert_eq!(bench.drops(DropReason::Unsettled), 3);
    assert_eq!(bench.session.statistics().packets_received, 3);
    let (_, _, to) = sent(&mut bench, Some(&LOUD)).unwrap();
    assert_eq!(to, address(nat));
    // The signalled address speaks after all: it is the one.
    assert_eq!(bench.speak(), [Effect::RemoteMoved(address(FAR))]);
    bench.speak_from(nat);
    assert_eq!(bench.drops(DropReason::Source), 1);
}

#[test]
fn packets_that_were_not_agreed_on_neither_count_nor_teach() {
    let mut bench = Bench::new(terms());
    for _ in 0..10 {
        let bytes = bench.packet(18, FAR_SSRC, &LOUD);
        bench.give(Input::Datagram { from: address("198.51.100.7:4"), bytes: &bytes });
        bench.give(Input::Datagram { from: address("198.51.100.7:4"), bytes: b"junk" });
        let bytes = bench.packet(0, FAR_SSRC, &[]);
        bench.give(Input::Datagram { from: address("198.51.100.7:4"), bytes: &bytes });
    }
    assert_eq!(bench.drops(DropReason::PayloadType), 10);
    assert_eq!(bench.drops(DropReason::Malformed), 10);
    assert_eq!(bench.drops(DropReason::Size), 10);
    assert_eq!(bench.session.statistics().packets_received, 0);
    assert_eq!(bench.session.remote(), address(FAR));
}

#[test]
fn oversized_payload_is_dropped() {
    let mut bench = Bench::new(terms());
    let bytes = bench.packet(0, FAR_SSRC, &[0; PAYLOAD_BYTES_MAX + 1]);
    bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
    assert_eq!(bench.drops(DropReason::Size), 1);
}

#[test]
fn jump_of_the_sequence_number_needs_a_second_packet() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    bench.sequence = bench.sequence.wrapping_add(20_000);
    bench.speak();
    assert_eq!(bench.drops(DropReason::Sequence), 1);
    bench.speak();
    bench.speak();
    assert_eq!(bench.session.statistics().packets_received, 4);
    assert_eq!(bench.session.statistics().packets_lost, 0);
}

#[test]
fn new_source_takes_over_after_two_packets_in_a_row_but_not_when_both_speak() {
    let mut bench = Bench::new(terms());
    let say = |bench: &mut Bench, ssrc| {
        let bytes = bench.packet(0, ssrc, &LOUD);
        bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
    };
    say(&mut bench, FAR_SSRC);
    say(&mut bench, FAR_SSRC);
    // Two at once: the first one stays.
    for _ in 0..10 {
        let (sequence, timestamp) = (bench.sequence, bench.timestamp);
        say(&mut bench, 88);
        (bench.sequence, bench.timestamp) = (sequence, timestamp);
        say(&mut bench, FAR_SSRC);
    }
    assert_eq!(bench.drops(DropReason::Ssrc), 10);
    // The first one stops.
    bench.sequence = 30_000;
    for _ in 0..4 {
        say(&mut bench, 99);
    }
    assert_eq!(bench.drops(DropReason::Ssrc), 11);
    assert_eq!(bench.session.statistics().packets_received, 2 + 10 + 3);
}

#[test]
fn change_of_codec_within_the_offer_is_followed() {
    let mut bench = Bench::new(terms());
    let mut heard = Vec::new();
    for number in 0..10 {
        let bytes = bench.packet(if number < 5 { 0 } else { 8 }, FAR_SSRC, &LOUD);
        bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
        heard.push((bench.hear(), bench.session.codec_heard()));
    }
    assert_eq!(heard[4], (Popped::Audio, Codec::Pcmu));
    assert_eq!(heard[9], (Popped::Audio, Codec::Pcma));
    assert_eq!(bench.drops(DropReason::PayloadType), 0);
}

#[test]
fn comfort_noise_is_taken_note_of_and_not_played() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    let bytes = bench.packet(13, FAR_SSRC, &[40]);
    bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
    assert_eq!(bench.session.statistics().packets_received, 3);
    assert_eq!(bench.session.statistics().drops.total(), 0);
}

#[test]
fn late_and_repeated_packets_are_counted_apart() {
    let mut bench = Bench::new(terms());
    bench.speak();
    let first = bench.packet(0, FAR_SSRC, &LOUD);
    let second = bench.packet(0, FAR_SSRC, &LOUD);
    let third = bench.packet(0, FAR_SSRC, &LOUD);
    for bytes in [&first, &third, &third] {
        bench.give(Input::Datagram { from: address(FAR), bytes });
    }
    bench.speak();
    bench.speak();
    for _ in 0..5 {
        bench.hear();
    }
    bench.give(Input::Datagram { from: address(FAR), bytes: &second });
    assert_eq!(bench.drops(DropReason::Duplicate), 1);
    assert_eq!(bench.drops(DropReason::Late), 1);
}

#[test]
fn keys_from_the_far_end_are_heard_once_each_and_only_from_a_believed_source() {
    let mut bench = Bench::new(terms());
    let press = |bench: &mut Bench, sign: char, timestamp: u32, packets: u16| {
        let mut effects = Vec::new();
        for number in 1..=packets {
            let event = Event {
                event: key(sign).event(),
                end: number >= 5,
                volume: 10,
                duration: number.min(5) * 160,
            };
            let header = Header {
                marker: number == 1,
                payload_type: 101,
                sequence: bench.sequence,
                timestamp,
                ssrc: FAR_SSRC,
            };
            bench.sequence += 1;
            let bytes = [&header.to_bytes()[..], &event.to_bytes()].concat();
            effects.extend(bench.give(Input::Datagram { from: address(FAR), bytes: &bytes }));
        }
        effects
    };
    assert_eq!(press(&mut bench, '1', 8_000, 1), [], "on probation");
    assert_eq!(press(&mut bench, '1', 8_000, 7), [Effect::KeyPressed(key('1'))]);
    assert_eq!(press(&mut bench, '1', 9_600, 7), [Effect::KeyPressed(key('1'))]);
    assert_eq!(press(&mut bench, '#', 11_200, 3), [Effect::KeyPressed(key('#'))]);
    let bytes = bench.packet(101, FAR_SSRC, &[1, 2]);
    bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
    assert_eq!(bench.drops(DropReason::Malformed), 1);
}

#[test]
fn keys_go_out_as_events_in_place_of_sound_and_sound_resumes_marked() {
    let mut bench = Bench::new(terms());
    let before = sent(&mut bench, Some(&LOUD)).unwrap().0;
    let timing = KeyTiming::default();
    for sign in ['4', '2'] {
        assert_eq!(bench.give(Input::Press { key: key(sign), timing }), []);
    }
    assert!(bench.session.is_pressing());
    let mut story = String::new();
    let mut effects = Vec::new();
    for frame in 1..=22u32 {
        let (header, payload, _) = sent(&mut bench, Some(&LOUD)).unwrap();
        effects.extend(bench.effects().into_iter().map(|effect| (frame, effect)));
        assert_eq!(u32::from(header.sequence.wrapping_sub(before.sequence)), frame);
        let ahead = header.timestamp.wrapping_sub(before.timestamp) / 160;
        story.push(match (header.payload_type, header.marker) {
            (101, true) => char::from(b'0' + payload[0]),
            (101, false) if payload[1] & 0x80 != 0 => 'E',
            (101, false) => '+',
            (0, true) => 'M',
            _ => '.',
        });
        let expected = match (header.payload_type, frame) {
            (101, ..=10) => 1,
            (101, _) => 11,
            (_, frame) => frame,
        };
        assert_eq!(ahead, expected, "frame {frame}");
    }
    assert_eq!(story, "4+++EEEM..2+++EEEM....");
    assert_eq!(effects, [(20, Effect::KeysSent)]);
    assert!(!bench.session.is_pressing());
}

#[test]
fn keys_without_agreed_events_are_to_be_played_as_tones() {
    let mut bench = Bench::new(Terms { telephone_event: None, ..terms() });
    let timing = KeyTiming::default();
    assert_eq!(
        bench.give(Input::Press { key: key('9'), timing }),
        [Effect::PlayKey { key: key('9'), timing }]
    );
    // The far end loses the ability while keys wait: the one being sent is cut short.
    let mut bench = Bench::new(terms());
    for sign in ['1', '2', '3'] {
        bench.give(Input::Press { key: key(sign), timing });
    }
    sent(&mut bench, None).unwrap();
    let terms = Terms { telephone_event: None, ..terms() };
    assert_eq!(
        bench.give(Input::Renegotiated(terms)),
        ['2', '3'].map(|sign| Effect::PlayKey { key: key(sign), timing })
    );
}

#[test]
fn cleared_keys_are_not_sent_but_the_one_begun_is_finished() {
    let mut bench = Bench::new(terms());
    for sign in ['1', '2'] {
        bench.give(Input::Press { key: key(sign), timing: KeyTiming::default() });
    }
    sent(&mut bench, None);
    bench.give(Input::ClearKeys);
    let packets = (0..30).filter(|_| sent(&mut bench, None).is_some()).count();
    assert_eq!(packets, 6);
}

#[test]
fn hold_silences_both_ways_and_resuming_begins_with_a_marker() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    let before = sent(&mut bench, Some(&LOUD)).unwrap().0;
    bench.give(Input::Renegotiated(Terms { direction: Direction::Inactive, ..terms() }));
    assert_eq!(sent(&mut bench, Some(&LOUD)), None);
    bench.speak();
    assert_eq!(bench.drops(DropReason::OnHold), 1);
    assert_eq!(bench.hear(), Popped::Empty);
    bench.give(Input::Renegotiated(terms()));
    let after = sent(&mut bench, Some(&LOUD)).unwrap().0;
    assert!(after.marker);
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(320));
}

#[test]
fn hold_by_unspecified_address_sends_nothing_and_keeps_the_source() {
    let mut bench = Bench::new(terms());
    bench.speak();
    let held = Terms { remote: address("0.0.0.0:4000"), ..terms() };
    assert_eq!(bench.give(Input::Renegotiated(held)), []);
    assert_eq!(sent(&mut bench, Some(&LOUD)), None);
    bench.speak_from("198.51.100.9:1");
    assert_eq!(bench.drops(DropReason::Source), 1);
    assert_eq!(bench.report(), [], "nowhere to report to");
}

#[test]
fn new_address_is_followed_and_the_old_one_is_foreign() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    let moved = "203.0.113.5:6000";
    let terms = Terms::new(address(moved), Codec::Pcma, Some(96));
    assert_eq!(bench.give(Input::Renegotiated(terms)), [Effect::RemoteMoved(address(moved))]);
    let (header, _, to) = sent(&mut bench, Some(&LOUD)).unwrap();
    assert_eq!((header.payload_type, header.marker, to), (8, true, address(moved)));
    bench.speak_from(moved);
    bench.speak();
    assert_eq!(bench.drops(DropReason::Source), 1);
    assert_eq!(bench.session.statistics().packets_received, 3);
}

#[test]
fn same_terms_again_change_nothing() {
    let mut bench = Bench::new(terms());
    bench.speak();
    bench.speak();
    sent(&mut bench, Some(&LOUD));
    assert_eq!(bench.give(Input::Renegotiated(terms())), []);
    assert!(!sent(&mut bench, Some(&LOUD)).unwrap().0.marker);
    bench.speak();
    assert_eq!(bench.session.statistics().packets_received, 3);
}

#[test]
fn strict_terms_learn_nothing() {
    let mut bench = Bench::new(Terms { learning: Learning::Never, ..terms() });
    for _ in 0..10 {
        bench.speak_from("198.51.100.7:40000");
    }
    assert_eq!(bench.drops(DropReason::Source), 10);
}

/// Two streams joined by a network that loses one packet in five and turns others round.
#[test]
fn keys_and_most_sound_cross_a_bad_network() {
    let start = fixture::start();
    let ends = [FAR, "192.0.2.9:5000"].map(address);
    let wall = NtpTime::from_unix(Duration::from_secs(1_000));
    let mut sessions = [0, 1].map(|at: usize| {
        let terms = Terms::new(ends[1 - at], Codec::Pcma, Some(101));
        Session::new(Setup { seed: at as u64, now: start, wall, terms })
    });
    let mut random = 7u64;
    let mut chance = |of: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33).is_multiple_of(of)
    };
    let mut held: Option<Vec<u8>> = None;
    let (mut keys, mut heard) = (String::new(), 0);
    for tick in 0..3_000u64 {
        let now = start + Duration::from_millis(tick * u64::from(FRAME_MS));
        if tick >= 100 && tick % 100 == 0 && tick < 1_700 {
            let key = Key::from_event((tick / 100 - 1) as u8).unwrap();
            sessions[0].handle(now, Input::Press { key, timing: KeyTiming::default() });
        }
        let packet = sessions[0].send_frame(now, Some(&LOUD[..])).unwrap().bytes.to_vec();
        let arriving = if chance(5) {
            vec![]
        } else if chance(10) && held.is_none() {
            held = Some(packet);
            vec![]
        } else {
            std::iter::once(packet).chain(held.take()).collect()
        };
        for bytes in arriving {
            sessions[1].handle(now, Input::Datagram { from: ends[0], bytes: &bytes });
        }
        sessions[1].send_frame(now, Some(&LOUD[..])).unwrap();
        heard += u32::from(sessions[1].hear(&mut [0; FRAME_SAMPLES]) == Popped::Audio);
        for at in 0..2 {
            if let Some((due, timer)) = sessions[at].deadline()
                && due <= now
            {
                sessions[at].handle(now, Input::Expired(timer));
            }
            while let Some(effect) = sessions[at].poll() {
                match effect {
                    Effect::KeyPressed(key) => keys.push(key.to_char()),
                    Effect::SendControl { to, bytes } => {
                        assert_eq!(to.ip(), ends[1 - at].ip());
                        let from = SocketAddr::new(ends[at].ip(), ends[at].port() + 1);
                        sessions[1 - at].handle(now, Input::Control { from, bytes: &bytes });
                    }
                    Effect::KeysSent => {}
                    effect => panic!("{effect:?}"),
                }
            }
        }
    }
    assert_eq!(keys, "0123456789*#ABCD");
    assert!((2_150..2_500).contains(&heard), "{heard}");
    let far = sessions[0].statistics().far.unwrap();
    assert!((25..90).contains(&far.fraction_lost), "{far:?}");
    assert!((500..700).contains(&far.packets_lost), "{far:?}");
    assert!(far.round_trip.unwrap() < Duration::from_micros(50), "{far:?}");
    let statistics = sessions[1].statistics();
    // While a key is sent there is no sound, so a talk spurt begins after each.
    assert_eq!(statistics.buffer.anchored, 1 + 16, "{statistics:?}");
}

proptest! {
    #[test]
    fn any_datagrams_are_counted_and_nothing_grows(
        datagrams in prop::collection::vec(
            (0u8..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..100),
        mux: bool,
    ) {
        let mut bench = Bench::new(Terms { rtcp_mux: mux, ..terms() });
        let froms = [FAR, FAR_CONTROL, "198.51.100.7:1"].map(address);
        for (from, control, mut bytes) in datagrams {
            if let Some(first) = bytes.first_mut() {
                *first = *first & 0x3f | 0x80;
            }
            let from = froms[usize::from(from)];
            let effects = bench.give(if control {
                Input::Control { from, bytes: &bytes }
            } else {
                Input::Datagram { from, bytes: &bytes }
            });
            prop_assert!(effects.len() <= 8);
            bench.hear();
            sent(&mut bench, None);
            bench.pass(1);
        }
    }

    #[test]
    fn any_headers_with_agreed_types_keep_the_stream_sound(
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), 0u32..3, prop::sample::select(vec![0u8, 8, 13, 101]),
             1usize..300), 0..200),
    ) {
        let mut bench = Bench::new(terms());
        for (sequence, timestamp, ssrc, payload_type, length) in packets {
            let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
            let bytes = [&header.to_bytes()[..], &vec![1; length]].concat();
            bench.give(Input::Datagram { from: address(FAR), bytes: &bytes });
            bench.hear();
            bench.report();
        }
    }
}
