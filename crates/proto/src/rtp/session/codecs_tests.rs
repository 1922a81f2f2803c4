//! Codecs that are decoded outside: their way out and in, their clocks, and keys beside them.

use super::tests::{Bench, FAR, FAR_SSRC, address, key};
use super::*;
use crate::rtp::telephone_event::Event;
use crate::rtp::{FRAME_SAMPLES, Popped};

/// Everything under its usual type, Opus spoken, keys by its clock.
fn terms() -> Terms {
    let mut receive = ReceiveTypes::g711(Some(101));
    (receive.g722, receive.opus) = (Some(9), Some(111));
    receive.telephone_event_48 = Some(110);
    Terms {
        payload_type: 96,
        codec: Codec::Opus,
        telephone_event: Some(97),
        event_clock_hz: 48_000,
        receive,
        ..Terms::new(address(FAR), Codec::Pcmu, None)
    }
}

fn sent(bench: &mut Bench, payload: Option<&[u8]>) -> Option<(Header, Vec<u8>)> {
    let now = bench.now;
    let outgoing = bench.session.send_frame(now, payload)?;
    let packet = Packet::parse(outgoing.bytes).unwrap();
    Some((packet.header, packet.payload.to_vec()))
}

fn give(bench: &mut Bench, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<Effect> {
    bench.timestamp = timestamp;
    let bytes = bench.packet(payload_type, FAR_SSRC, payload);
    bench.give(Input::Datagram { from: address(FAR), bytes: &bytes })
}

#[test]
fn payloads_of_any_length_go_out_by_the_clock_of_their_codec() {
    let mut bench = Bench::new(terms());
    let first = sent(&mut bench, Some(&[1, 2, 3])).unwrap();
    let second = sent(&mut bench, Some(&[4; 77])).unwrap();
    assert_eq!(second.0.timestamp.wrapping_sub(first.0.timestamp), 960);
    assert_eq!((first.0.payload_type, first.1, second.1.len()), (96, vec![1, 2, 3], 77));
    // Nothing, and more than there is room for, is a pause.
    assert_eq!(sent(&mut bench, Some(&[])), None);
    assert_eq!(sent(&mut bench, Some(&[0; PAYLOAD_SENT_BYTES_MAX + 1])), None);
    let third = sent(&mut bench, Some(&[5])).unwrap();
    assert_eq!(third.0.timestamp.wrapping_sub(second.0.timestamp), 3 * 960);
    assert!(third.0.marker);
}

#[test]
fn what_comes_in_leaves_to_be_decoded_and_is_heard_when_it_is_back() {
    let mut bench = Bench::new(terms());
    let mut heard = Vec::new();
    for packet in 0..8_u32 {
        let effects = give(&mut bench, 111, packet * 960, &[7; 40]);
        let [Effect::Decode(coded)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((coded.codec, coded.payload.len()), (Codec::Opus, 40));
        let samples = [packet as u8; FRAME_SAMPLES];
        let (sequence, timestamp) = (coded.sequence, coded.timestamp);
        let codec = Codec::Opus;
        bench.give(Input::Decoded { codec, sequence, timestamp, samples: &samples });
        let mut out = [0; FRAME_SAMPLES];
        if bench.session.hear(&mut out) == Popped::Audio {
            heard.push(out[0]);
        }
    }
    assert_eq!(heard, [0, 1, 2, 3, 4, 5]);
    assert_eq!(bench.session.codec_heard(), Codec::Pcmu);
}

#[test]
fn what_was_decoded_too_late_for_another_codec_is_forgotten() {
    let mut bench = Bench::new(terms());
    let effects = give(&mut bench, 9, 160, &[7; 160]);
    let [Effect::Decode(coded)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((coded.codec, coded.timestamp), (Codec::G722, 160));
    give(&mut bench, 8, 320, &[7; 160]);
    let (sequence, timestamp) = (coded.sequence, coded.timestamp);
    let (codec, samples) = (Codec::G722, &[1; FRAME_SAMPLES][..]);
    bench.give(Input::Decoded { codec, sequence, timestamp, samples });
    assert_eq!(bench.drops(DropReason::PayloadType), 1);
}

#[test]
fn another_clock_is_another_source_and_the_same_clock_is_not() {
    let mut bench = Bench::new(terms());
    let opus = sent(&mut bench, Some(&[1])).unwrap().0;
    let codec = |codec| Terms { codec, payload_type: 9, ..terms() };
    bench.give(Input::Renegotiated(codec(Codec::G722)));
    let wide = sent(&mut bench, Some(&[1; 160])).unwrap().0;
    assert!(wide.marker && wide.ssrc != opus.ssrc);
    bench.give(Input::Renegotiated(codec(Codec::Pcmu)));
    let law = sent(&mut bench, Some(&[1; 160])).unwrap().0;
    assert_eq!((law.ssrc, law.marker), (wide.ssrc, true));
    assert_eq!(law.timestamp.wrapping_sub(wide.timestamp), 160);
}

#[test]
fn keys_last_as_long_by_either_clock() {
    for (clock, ticks) in [(48_000, 960), (8_000, 160)] {
        let mut bench = Bench::new(Terms { event_clock_hz: clock, ..terms() });
        let timing = KeyTiming::default();
        bench.give(Input::Press { key: key('5'), timing });
        let packets: Vec<_> = (0..7).map(|_| sent(&mut bench, None).unwrap()).collect();
        let events =
            packets.iter().map(|(_, bytes)| Event::from_bytes(bytes[..].try_into().unwrap()));
        let durations: Vec<u16> = events.map(|event| event.duration).collect();
        assert_eq!(durations, [1, 2, 3, 4, 5, 5, 5].map(|frames| frames * ticks));
        assert!(packets.iter().all(|(header, _)| header.timestamp == packets[0].0.timestamp));
        assert_eq!(packets[0].0.payload_type, 97);
        let sounds = sent(&mut bench, Some(&[1])).unwrap();
        assert_eq!(sounds.0.timestamp.wrapping_sub(packets[0].0.timestamp), 7 * 960);
    }
}

#[test]
fn longest_press_fits_into_sixteen_bits_of_a_fast_clock() {
    let mut bench = Bench::new(terms());
    let timing = KeyTiming { on: Duration::from_secs(6), off: Duration::from_millis(60) };
    bench.give(Input::Press { key: key('5'), timing });
    let packets = std::iter::from_fn(|| sent(&mut bench, None)).map(|(_, bytes)| bytes);
    let last = Event::from_bytes(packets.last().unwrap()[..].try_into().unwrap());
    assert_eq!((last.duration, last.end), (65_280, true));
}

#[test]
fn keys_are_heard_once_by_either_clock_even_with_a_moving_timestamp() {
    for (payload_type, ticks) in [(110, 960_u16), (101, 160)] {
        let mut bench = Bench::new(terms());
        // Sound first, so that the source has proved itself and its clock is known.
        for packet in 0..3 {
            give(&mut bench, 111, packet * 960, &[7; 40]);
        }
        let mut pressed = 0;
        for (press, moves) in [(10_u32, false), (30, false), (50, true)] {
            for frame in 1..=5_u16 {
                let duration = frame * ticks;
                let event = Event { event: 4, end: frame == 5, volume: 10, duration };
                let moved = if moves { u32::from(frame) * 960 } else { 0 };
                let at = press * 960 + moved;
                let effects = give(&mut bench, payload_type, at, &event.to_bytes());
                pressed += effects.iter().filter(|e| matches!(e, Effect::KeyPressed(_))).count();
            }
        }
        assert_eq!(pressed, 3, "{payload_type}");
    }
}
