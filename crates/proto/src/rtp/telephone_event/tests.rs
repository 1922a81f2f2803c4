//! Presses under loss, repetition and reordering, and what goes out for one.

use proptest::prelude::*;

use super::*;

fn key(sign: char) -> Key {
    Key::from_char(sign).unwrap()
}

/// All packets of one press that begins at `timestamp`, as the sender makes them.
fn press(sign: char, timestamp: u32) -> Vec<EventPacket> {
    let mut sender = KeySender::default();
    assert!(sender.press(key(sign), KeyTiming::default()));
    std::iter::from_fn(|| match sender.tick(timestamp) {
        KeyTick::Packet(packet) => Some(packet),
        KeyTick::Idle | KeyTick::Pause | KeyTick::Done => None,
    })
    .collect()
}

/// What is heard of these packets, in this order.
fn hear(packets: impl IntoIterator<Item = EventPacket>) -> String {
    let mut receiver = KeyReceiver::default();
    let mut keys = String::new();
    for packet in packets {
        assert!(receiver.receive(packet.marker, packet.timestamp, &packet.payload, |key| {
            keys.push(key.to_char());
        }));
    }
    keys
}

fn event(code: u8, end: bool, duration: u16) -> [u8; 4] {
    Event { event: code, end, volume: 10, duration }.to_bytes()
}

#[test]
fn every_key_has_its_event_code_and_sign() {
    for (code, sign) in "0123456789*#ABCD".chars().enumerate() {
        assert_eq!(key(sign).event(), code as u8);
        assert_eq!(Key::from_event(code as u8).unwrap().to_char(), sign);
    }
    assert_eq!(Key::from_char('d'), Key::from_char('D'));
    assert_eq!(Key::from_char('E'), None);
    assert_eq!(Key::from_event(16), None);
    assert_eq!(format!("{:?}", key('7')), "Key(_)");
}

#[test]
fn press_is_a_marked_start_growing_updates_and_three_ends() {
    let packets = press('#', 8_000);
    let told: Vec<_> = packets
        .iter()
        .map(|packet| {
            let event = Event::from_bytes(packet.payload);
            assert_eq!((event.event, event.volume, packet.timestamp), (11, 10, 8_000));
            (packet.marker, event.end, event.duration)
        })
        .collect();
    assert_eq!(
        told,
        [
            (true, false, 160),
            (false, false, 320),
            (false, false, 480),
            (false, false, 640),
            (false, true, 800),
            (false, true, 800),
            (false, true, 800),
        ]
    );
}

#[test]
fn keys_follow_each_other_after_the_pause_and_the_last_one_says_so() {
    let mut sender = KeySender::default();
    assert!(sender.press(key('1'), KeyTiming::default()));
    assert!(sender.press(key('2'), KeyTiming::default()));
    let ticks: String = (0..22)
        .map(|frame| match sender.tick(frame * 160) {
            KeyTick::Packet(packet) if packet.marker => 'M',
            KeyTick::Packet(packet) if Event::from_bytes(packet.payload).end => 'E',
            KeyTick::Packet(_) => 'p',
            KeyTick::Pause => '.',
            KeyTick::Done => 'd',
            KeyTick::Idle => ' ',
        })
        .collect();
    assert_eq!(ticks, "MpppEEE...MpppEEE..d  ");
    assert!(!sender.is_busy());
}

#[test]
fn timing_stays_within_what_the_format_can_say() {
    let mut sender = KeySender::default();
    let timing = KeyTiming { on: Duration::from_secs(60), off: Duration::ZERO };
    assert!(sender.press(key('5'), timing));
    let mut last = 0;
    let mut frames = 0;
    while sender.is_busy() {
        if let KeyTick::Packet(packet) = sender.tick(0) {
            last = Event::from_bytes(packet.payload).duration;
        }
        frames += 1;
    }
    assert_eq!((last, frames), (48_000, 303));
}

#[test]
fn only_so_many_keys_wait() {
    let mut sender = KeySender::default();
    for _ in 0..KEYS_WAITING_MAX {
        assert!(sender.press(key('1'), KeyTiming::default()));
    }
    assert!(!sender.press(key('1'), KeyTiming::default()));
    assert_eq!(sender.take_waiting().count(), KEYS_WAITING_MAX);
    assert!(!sender.is_busy());
}

#[test]
fn one_press_is_heard_once_whatever_of_it_arrives() {
    let packets = press('4', 0);
    assert_eq!(hear(packets.clone()), "4");
    assert_eq!(hear(packets[3..].to_vec()), "4", "start lost");
    assert_eq!(hear(packets[..4].to_vec()), "4", "end lost");
    assert_eq!(hear([packets[6]]), "4", "all but the last lost");
    assert_eq!(hear(packets.iter().rev().copied()), "4", "backwards");
    assert_eq!(hear(packets.iter().flat_map(|packet| [*packet; 3])), "4", "tripled");
}

#[test]
fn same_key_twice_is_two_presses_even_if_the_first_end_is_lost() {
    let first = press('4', 0);
    let second = press('4', 1_600);
    assert_eq!(hear([&first[..], &second[..]].concat()), "44");
    assert_eq!(hear([&first[..4], &second[..]].concat()), "44", "end lost");
    assert_eq!(hear([&first[..4], &second[1..]].concat()), "44", "end and marker lost");
}

#[test]
fn late_packets_of_the_press_before_do_not_count_again() {
    let first = press('1', 0);
    let second = press('2', 1_600);
    let third = press('1', 3_200);
    let mixed = [&first[..5], &second[..1], &first[5..], &second[1..], &third[..], &second[6..]];
    assert_eq!(hear(mixed.concat()), "121");
}

#[test]
fn press_held_longer_than_a_segment_is_one_press() {
    let mut receiver = KeyReceiver::default();
    let mut count = 0;
    for (timestamp, event) in [
        (100, event(5, false, 160)),
        (100, event(5, false, 0xfff0)),
        (100, event(5, false, 0xffff)),
        (100 + 0xffff, event(5, false, 160)),
        (100 + 0xffff, event(5, true, 800)),
        (100 + 0xffff, event(5, true, 800)),
    ] {
        receiver.receive(false, timestamp, &event, |_| count += 1);
    }
    assert_eq!(count, 1);
}

#[test]
fn sender_that_moves_the_timestamp_with_each_packet_presses_once() {
    let mut receiver = KeyReceiver::default();
    let mut count = 0;
    for packet in 0..8u16 {
        let event = event(9, packet >= 5, packet.min(5) * 160);
        let timestamp = 5_000 + u32::from(packet.min(5)) * 160;
        receiver.receive(packet == 0, timestamp, &event, |_| count += 1);
    }
    assert_eq!(count, 1);
}

#[test]
fn timestamps_wrap_and_may_jump_back() {
    let keys = hear([press('1', u32::MAX - 500), press('2', 1_100)].concat());
    assert_eq!(keys, "12", "wrap");
    let keys = hear([press('1', 1_000_000), press('2', 500)].concat());
    assert_eq!(keys, "12", "clock set anew");
}

#[test]
fn events_that_are_no_keys_are_not_heard() {
    let mut receiver = KeyReceiver::default();
    let mut count = 0;
    for code in 16..=255 {
        let timestamp = u32::from(code) * 8_000;
        assert!(receiver.receive(true, timestamp, &event(code, true, 800), |_| count += 1));
    }
    assert!(!receiver.receive(true, 0, &[1, 2, 3], |_| count += 1));
    assert_eq!(count, 0);
}

#[test]
fn several_events_in_one_packet_are_several_presses_but_padding_is_none() {
    let mut receiver = KeyReceiver::default();
    let mut keys = String::new();
    let mut payload = [event(1, true, 800), event(2, true, 800), [0; 4], [0; 4]].concat();
    payload.extend([0; 2]);
    receiver.receive(true, 0, &payload, |key| keys.push(key.to_char()));
    assert_eq!(keys, "12");
}

proptest! {
    #[test]
    fn any_payloads_press_at_most_once_per_event(
        packets in prop::collection::vec(
            (any::<bool>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..20)), 0..50),
    ) {
        let mut receiver = KeyReceiver::default();
        for (marker, timestamp, payload) in packets {
            let mut presses = 0;
            receiver.receive(marker, timestamp, &payload, |_| presses += 1);
            prop_assert!(presses <= payload.len() / 4);
        }
    }

    /// Every press of which at least one packet arrives is heard, in order, once.
    #[test]
    fn presses_survive_heavy_loss_and_repetition(
        signs in prop::collection::vec(0u8..16, 1..20),
        fate in prop::collection::vec(0u8..4, 140),
        start: u32,
    ) {
        let mut arrived = Vec::new();
        let mut expected = String::new();
        for (position, code) in signs.iter().enumerate() {
            let sign = Key::from_event(*code).unwrap().to_char();
            let packets = press(sign, start.wrapping_add(position as u32 * 1_600));
            let before = arrived.len();
            for (packet, fate) in packets.iter().zip(&fate[position * 7..]) {
                arrived.extend(std::iter::repeat_n(*packet, usize::from(fate.saturating_sub(1))));
            }
            if arrived.len() > before {
                expected.push(sign);
            }
        }
        prop_assert_eq!(hear(arrived), expected);
    }
}
