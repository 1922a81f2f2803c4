//! Two hundred streams on a real media thread: whole whatever the machine does, and how even.

use std::time::{Duration, Instant};

use script::step::PlayId;

use super::fixture::{FarEnd, Got, is_continuous, item, own_address, payloads, sound};
use crate::clock::Clock;
use crate::rtp_io::{MediaConfig, MediaEngine, MediaEvent};

const STREAMS: u64 = 200;

/// Packets of one far end with the time of their arrival.
#[derive(Default)]
struct Recording {
    got: Vec<Got>,
    at: Vec<Instant>,
}

#[tokio::test]
async fn two_hundred_prompts_of_a_real_thread_arrive_whole() {
    let address = own_address();
    let clock = Clock::new();
    let engine = MediaEngine::start(MediaConfig::new(address, address, 3), clock.clone()).unwrap();
    let far_ends: Vec<_> = (0..STREAMS).map(|_| FarEnd::new()).collect();
    let mut streams: Vec<_> = far_ends
        .iter()
        .zip(0..)
        .map(|(far_end, seed)| {
            let mut stream = engine.open().unwrap();
            // Before the connection, so that the first frame is the prompt's.
            stream.play(PlayId(1), vec![item(&sound(seed, 8_000))]);
            stream.connect(far_end.terms());
            stream
        })
        .collect();
    let (done, stop) = std::sync::mpsc::channel();
    let ears = std::thread::spawn(move || {
        let mut recordings: Vec<_> = far_ends.iter().map(|_| Recording::default()).collect();
        loop {
            let is_last = stop.recv_timeout(Duration::from_millis(1)).is_ok();
            for (far_end, recording) in far_ends.iter().zip(&mut recordings) {
                let got = far_end.got();
                recording.at.resize(recording.at.len() + got.len(), clock.instant());
                recording.got.extend(got);
            }
            if is_last {
                return recordings;
            }
        }
    });
    for stream in &mut streams {
        assert_eq!(stream.next().await, Some(MediaEvent::PlayEnded(PlayId(1))));
    }
    done.send(()).unwrap();
    let recordings = ears.join().unwrap();
    let mut gaps = Vec::new();
    for (seed, recording) in (0..).zip(&recordings) {
        // A machine that stands still makes pauses in time, never in the numbers or the sound.
        let numbers = |pair: &[Got]| pair[1].sequence == pair[0].sequence.wrapping_add(1);
        assert!(recording.got.windows(2).all(numbers));
        assert!(payloads(&recording.got)[..8_000] == sound(seed, 8_000).bytes()[..]);
        gaps.extend(recording.at.windows(2).map(|pair| pair[1] - pair[0]));
    }
    gaps.sort_unstable();
    let share = |percent: usize| gaps[(gaps.len() - 1) * percent / 100];
    let whole = recordings.iter().filter(|recording| is_continuous(&recording.got)).count();
    println!(
        "{STREAMS} streams: gap p50 {:?} p99 {:?} max {:?}, {whole} without a pause, late by {:?}",
        share(50),
        share(99),
        share(100),
        engine.load().late_max,
    );
}
