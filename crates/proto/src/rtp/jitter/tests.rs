//! The buffer under loss, reordering, bursts, drift and jumps; in virtual time, 1/8000 s a tick.

use proptest::prelude::*;

use super::*;

/// A frame whose samples tell which one it is.
fn frame(number: u32) -> Frame {
    [(number % 100 + 100) as u8; FRAME_SAMPLES]
}

/// Which frame this is, `-` for silence, `~` for one that is made up.
fn name(popped: Popped, out: &Frame) -> String {
    match popped {
        Popped::Audio => (u32::from(out[0]) - 100).to_string(),
        Popped::Concealed => "~".into(),
        Popped::Empty => "-".into(),
    }
}

struct Bench {
    buffer: JitterBuffer,
    first: u16,
    start: u32,
}

impl Bench {
    fn new() -> Self {
        Self { buffer: JitterBuffer::new(Codec::Pcmu), first: 0, start: 0 }
    }

    fn push(&mut self, number: u32) -> Pushed {
        let sequence = self.first.wrapping_add(number as u16);
        let timestamp = self.start.wrapping_add(number * FRAME);
        self.buffer.push(sequence, timestamp, &frame(number))
    }

    fn pop(&mut self) -> String {
        let mut out = [0; FRAME_SAMPLES];
        let popped = self.buffer.pop(&mut out);
        name(popped, &out)
    }

    /// For each number a packet, if any, then a pop.
    fn play(&mut self, numbers: &[&[u32]]) -> String {
        let step = |numbers: &&[u32]| {
            numbers.iter().for_each(|number| {
                self.push(*number);
            });
            self.pop()
        };
        numbers.iter().map(step).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn steady_packets_come_out_in_order_after_two_frames_of_delay() {
    let mut bench = Bench::new();
    assert_eq!(bench.pop(), "-");
    assert_eq!(bench.play(&[&[0], &[1], &[2], &[3], &[4]]), "- - 0 1 2");
    assert_eq!(bench.buffer.depth(), 2 * FRAME);
    assert_eq!(bench.buffer.counters(), JitterCounters { anchored: 1, ..Default::default() });
}

#[test]
fn packets_out_of_order_and_twice_come_out_once_and_in_order() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.play(&[&[0], &[2], &[1, 1], &[4, 2], &[3], &[6, 5], &[], &[]]),
        "- - 0 1 2 3 4 5"
    );
    assert_eq!(bench.buffer.counters().duplicate, 2);
    assert_eq!(bench.buffer.counters().late, 0);
}

#[test]
fn lost_packet_is_made_up_from_the_one_before_and_fainter() {
    let mut bench = Bench::new();
    assert_eq!(bench.play(&[&[0], &[1], &[2], &[]]), "- - 0 1");
    bench.push(4);
    bench.push(5);
    assert_eq!(bench.pop(), "2");
    let mut out = [0; FRAME_SAMPLES];
    assert_eq!(bench.buffer.pop(&mut out), Popped::Concealed);
    assert_eq!(out, [Codec::Pcmu.halved(frame(2)[0], 1); FRAME_SAMPLES]);
    assert_eq!(bench.play(&[&[], &[]]), "4 5");
    assert_eq!(bench.buffer.counters().concealed, 1);
}

#[test]
fn long_gap_fades_to_silence() {
    let mut bench = Bench::new();
    bench.play(&[&[0], &[1], &[], &[]]);
    assert_eq!(bench.play(&[&[], &[], &[], &[], &[]]), "~ ~ ~ - -");
    let mut out = [0; FRAME_SAMPLES];
    bench.buffer.pop(&mut out);
    assert_eq!(out, [Codec::Pcmu.silence(); FRAME_SAMPLES]);
}

#[test]
fn packet_behind_its_time_is_dropped_and_common_lateness_adds_delay() {
    let mut bench = Bench::new();
    bench.play(&[&[0], &[1], &[2], &[3]]);
    assert_eq!(bench.push(0), Pushed::Duplicate);
    let depth = bench.buffer.depth();
    // Each third packet comes four frames after its turn.
    let mut late = 0;
    for number in 4..=40 {
        if number % 3 != 0 {
            bench.push(number);
        }
        if number % 3 == 1 && number >= 7 && bench.push(number - 4) == Pushed::Late {
            late += 1;
        }
        bench.pop();
    }
    assert!(late >= 3);
    assert!(bench.buffer.counters().grown >= 1);
    assert!(bench.buffer.depth() > depth, "{} {depth}", bench.buffer.depth());
}

#[test]
fn packet_that_comes_after_the_buffer_ran_dry_is_still_played_and_the_delay_stays() {
    let mut bench = Bench::new();
    assert_eq!(bench.play(&[&[0], &[1], &[], &[], &[], &[]]), "- - 0 1 ~ ~");
    // The stall ends and all that was held up arrives at once.
    assert_eq!(bench.play(&[&[2, 3, 4, 5, 6], &[7], &[8]]), "2 3 4");
    assert_eq!(bench.buffer.depth(), 4 * FRAME);
}

#[test]
fn sequence_and_timestamp_wrap_unnoticed() {
    let mut bench = Bench::new();
    bench.first = u16::MAX - 2;
    bench.start = u32::MAX - 400;
    let numbers: Vec<[u32; 1]> = (0..10).map(|number| [number]).collect();
    let steps: Vec<&[u32]> = numbers.iter().map(|number| &number[..]).collect();
    assert_eq!(bench.play(&steps), "- - 0 1 2 3 4 5 6 7");
    assert_eq!(bench.buffer.counters().anchored, 1);
}

#[test]
fn timestamp_that_jumps_either_way_begins_anew_at_once() {
    for jump in [1_000_000u32, 1_000_000u32.wrapping_neg(), 0x8000_0000] {
        let mut bench = Bench::new();
        bench.play(&[&[0], &[1], &[2]]);
        bench.start = bench.start.wrapping_add(jump);
        assert_eq!(bench.play(&[&[3], &[4], &[5], &[6]]), "- - 3 4", "{jump}");
        assert_eq!(bench.buffer.counters().anchored, 2);
    }
}

#[test]
fn new_talk_spurt_gets_its_full_delay_again() {
    let mut bench = Bench::new();
    bench.play(&[&[0], &[1], &[2], &[], &[]]);
    for _ in 0..100 {
        bench.pop();
    }
    // Not one sample of silence was sent: the sender's clock stood still or ran, both work.
    assert_eq!(bench.play(&[&[3], &[4], &[5], &[6]]), "- - 3 4");
    for _ in 0..100 {
        bench.pop();
    }
    bench.first = bench.first.wrapping_sub(101);
    assert_eq!(bench.play(&[&[108], &[109], &[110], &[111]]), "- - 8 9");
}

#[test]
fn burst_beyond_the_most_that_may_wait_keeps_the_newest() {
    let mut bench = Bench::new();
    for number in 0..60 {
        bench.push(number);
        assert!(bench.buffer.depth() <= DEPTH_SAMPLES_MAX);
    }
    let first: u32 = bench.pop().parse().unwrap_or(0);
    assert!((17..60).contains(&first), "{first}");
}

#[test]
fn packets_of_other_lengths_come_out_in_frames() {
    for length in [80usize, 240, 320, 480, 37] {
        let mut buffer = JitterBuffer::new(Codec::Pcma);
        let sound: Vec<u8> = (0..9_600u32).map(|sample| (sample % 251) as u8).collect();
        let mut heard = Vec::new();
        let mut sent = 0;
        let mut out = [0; FRAME_SAMPLES];
        for tick in 1..=50usize {
            while sent * length < tick * FRAME_SAMPLES && (sent + 1) * length <= sound.len() {
                let payload = &sound[sent * length..][..length];
                let timestamp = (sent * length) as u32;
                assert_eq!(buffer.push(sent as u16, timestamp, payload), Pushed::Accepted);
                sent += 1;
            }
            if buffer.pop(&mut out) == Popped::Audio {
                heard.extend_from_slice(&out);
            }
        }
        assert!(heard.len() >= 40 * FRAME_SAMPLES, "{length}: {}", heard.len());
        assert_eq!(heard, sound[..heard.len()], "{length}");
    }
}

#[test]
fn empty_and_oversized_payloads_are_refused() {
    let mut buffer = JitterBuffer::new(Codec::Pcmu);
    assert_eq!(buffer.push(0, 0, &[]), Pushed::Misfit);
    assert_eq!(buffer.push(0, 0, &[0; PAYLOAD_BYTES_MAX + 1]), Pushed::Misfit);
    assert_eq!(buffer.push(0, 0, &[0; PAYLOAD_BYTES_MAX]), Pushed::Accepted);
}

/// Plays ten minutes from a sender whose clock is off by `ppm`, with up to `jitter` ticks of
/// random delay; gives the deepest the buffer got and what it did.
fn play_with_drift(ppm: i64, jitter: u32) -> (u32, JitterCounters) {
    let mut buffer = JitterBuffer::new(Codec::Pcmu);
    let mut random = 12_345u32;
    let mut depth_max = 0;
    let mut out = [0; FRAME_SAMPLES];
    let mut waiting = std::collections::VecDeque::new();
    let mut sent = 0u32;
    for tick in 0..30_000i64 {
        let now = tick * 160;
        // The sender's clock runs by `ppm` faster than ours.
        while i64::from(sent) * 160 <= now + now * ppm / 1_000_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let delay = if jitter == 0 { 0 } else { (random >> 8) % jitter };
            waiting.push_back((now + i64::from(delay), sent));
            sent += 1;
        }
        waiting.make_contiguous().sort_unstable();
        while waiting.front().is_some_and(|(at, _)| *at <= now) {
            let (_, number) = waiting.pop_front().unwrap();
            buffer.push(number as u16, number * FRAME, &frame(number));
        }
        buffer.pop(&mut out);
        depth_max = depth_max.max(buffer.depth());
    }
    (depth_max, buffer.counters())
}

#[test]
fn sender_with_a_faster_clock_is_followed_by_skipping_frames() {
    let (depth, counters) = play_with_drift(200, 0);
    // 200 ppm of ten minutes are six frames.
    assert!((4..=7).contains(&counters.skipped), "{counters:?}");
    assert!(depth <= 4 * FRAME, "{depth}");
    assert_eq!((counters.concealed, counters.late, counters.anchored), (0, 0, 1));
}

#[test]
fn sender_with_a_slower_clock_is_followed_by_inserting_frames() {
    let (depth, counters) = play_with_drift(-200, 0);
    assert!((3..=7).contains(&counters.grown), "{counters:?}");
    assert!(counters.concealed <= 7, "{counters:?}");
    assert!(depth <= 4 * FRAME, "{depth}");
}

#[test]
fn jitter_of_sixty_milliseconds_costs_few_frames_once_the_delay_has_grown() {
    let (depth, counters) = play_with_drift(0, 480);
    assert!(depth <= 8 * FRAME, "{depth}");
    assert!(counters.late + counters.concealed < 60, "{counters:?}");
}

proptest! {
    #[test]
    fn any_packets_leave_the_buffer_bounded_and_whole(
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), 0usize..1_000, 0u8..3), 0..200),
        near: bool,
    ) {
        let mut buffer = JitterBuffer::new(Codec::Pcma);
        let mut out = [0; FRAME_SAMPLES];
        for (sequence, timestamp, length, pops) in packets {
            let timestamp = if near { timestamp % 8_000 } else { timestamp };
            buffer.push(sequence, timestamp, &vec![1; length]);
            prop_assert!(buffer.depth() <= DEPTH_SAMPLES_MAX);
            for _ in 0..pops {
                buffer.pop(&mut out);
            }
        }
    }

    /// Whatever the order within 40 ms, all that was sent comes out, in order and once.
    #[test]
    fn reordering_within_the_delay_loses_nothing(
        swaps in prop::collection::vec(any::<bool>(), 40),
        first: u16,
        start: u32,
    ) {
        let mut bench = Bench::new();
        bench.first = first;
        bench.start = start;
        let mut order: Vec<u32> = (0..=40).collect();
        for (position, swap) in swaps.iter().enumerate().skip(1) {
            if *swap && position % 2 == 0 {
                order.swap(position, position + 1);
            }
        }
        let mut heard = Vec::new();
        for number in order {
            bench.push(number);
            heard.push(bench.pop());
        }
        heard.retain(|name| name != "-");
        let expected: Vec<String> = (0..heard.len()).map(|number| number.to_string()).collect();
        prop_assert_eq!(heard.len(), 39);
        prop_assert_eq!(heard, expected);
    }
}
