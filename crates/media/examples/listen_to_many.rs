//! How much of a processor listening takes: many calls at once on one core, each fed its 20 ms in
//! turn, and how much faster than real time that was.
//!
//! `cargo run --release -p outdial-media --example listen_to_many -- 1000 10`

use std::time::{Duration, Instant};

use media::FRAME_SAMPLES;
use media::classify::{Classifier, Effect, Input, Settings};
use media::tone::{Generator, Tone};

#[expect(clippy::disallowed_methods, reason = "this is a measurement")]
fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap_or(1));
    let calls = numbers.next().unwrap_or(1_000).max(1);
    let seconds = numbers.next().unwrap_or(10).max(1);
    // A short word now and then, which may be revised for ever: all detectors, and the model in
    // every frame, until the end.
    let mut noise = vec![0; seconds * 8_000];
    Generator::new(Tone::comfort_noise(-20.0, 1)).fill(&mut noise);
    for (at, sample) in noise.iter_mut().enumerate() {
        *sample = if at % 32_000 < 2_400 { *sample } else { *sample / 64 };
    }
    let long = Duration::from_secs(3_600);
    let settings = Settings { revise_within: long, humans_taken_max: 0.0, ..Settings::default() };
    let start = Instant::now();
    let mut listening: Vec<Classifier> = (0..calls).map(|_| Classifier::new(settings)).collect();
    listening.iter_mut().for_each(|classifier| classifier.handle(start, Input::Answered));
    let (mut slowest, mut said) = (Duration::ZERO, 0);
    for (nth, frame) in noise.chunks_exact(FRAME_SAMPLES).enumerate() {
        let turn = Instant::now();
        let now = start + Duration::from_millis(20 * nth as u64);
        for classifier in &mut listening {
            classifier.handle(now, Input::Frame(frame));
            while let Some(effect) = classifier.poll() {
                said += usize::from(!matches!(effect, Effect::Finished(_)));
            }
        }
        slowest = slowest.max(turn.elapsed());
    }
    let taken = start.elapsed().as_secs_f64();
    let heard = (calls * seconds) as f64;
    println!("{calls} calls of {seconds} s at once on one core: {taken:.2} s, {said} effects");
    println!("{:.3} ms of a processor for a second of a call", taken * 1e3 / heard);
    println!("{:.1} us for a frame of 20 ms", taken * 1e6 / heard / 50.0);
    println!("{:.0} times faster than real time", heard / taken);
    println!("slowest turn of all calls: {:.1} ms of its 20 ms", slowest.as_secs_f64() * 1e3);
    println!("{} bytes a call", size_of::<Classifier>());
}
