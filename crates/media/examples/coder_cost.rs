//! What the codecs cost: one core encodes and decodes a minute of sound in each, frame by frame.
//!
//! `cargo run --release -p outdial-media --example coder_cost`

use std::time::Instant;

use media::FRAME_SAMPLES;
use media::coder::{Coding, DECODED_SAMPLES_MAX, Decoder, ENCODED_BYTES_MAX, Encoder};
use media::g711::Law;
use media::tone::{Generator, Tone};

/// Frames of a minute.
const FRAMES: usize = 3_000;
/// Rounds of which the fastest counts: what else the machine does is not the codec's.
const ROUNDS: usize = 5;

#[expect(clippy::disallowed_methods, reason = "this is a measurement")]
fn best(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let fastest = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
    fastest * 1e6 / FRAMES as f64
}

fn main() {
    let mut sound = vec![0; FRAMES * FRAME_SAMPLES];
    Generator::new(Tone::comfort_noise(-15.0, 1)).fill(&mut sound);
    // Words and pauses, as people speak.
    for (at, sample) in sound.iter_mut().enumerate() {
        *sample = if at % 16_000 < 9_000 { *sample } else { *sample / 64 };
    }
    let (frames, _) = sound.as_chunks::<FRAME_SAMPLES>();
    let mut bytes = [0; FRAME_SAMPLES];
    let law = best(|| frames.iter().for_each(|frame| Law::Mu.encode_into(frame, &mut bytes)));
    println!("mu-law: {law:.2} us to encode a frame of 20 ms");
    for (name, coding, expects_loss) in [
        ("G.722", Coding::G722, false),
        ("Opus", Coding::Opus, false),
        ("Opus, prepared for loss", Coding::Opus, true),
    ] {
        let mut payloads = Vec::new();
        let mut out = [0; ENCODED_BYTES_MAX];
        let encoding = best(|| {
            let mut encoder = Encoder::new(coding, expects_loss);
            payloads.clear();
            for frame in frames {
                let length = encoder.encode(frame, &mut out);
                payloads.push(out[..length].to_vec());
            }
        });
        let mut samples = [0; DECODED_SAMPLES_MAX];
        let decoding = best(|| {
            let mut decoder = Decoder::new(coding);
            for payload in &payloads {
                decoder.decode(payload, &mut samples).expect("it was encoded here");
            }
        });
        let length = payloads.iter().map(Vec::len).sum::<usize>() / payloads.len();
        let calls = 20_000.0 / (encoding + decoding);
        println!(
            "{name}: {encoding:.1} us to encode, {decoding:.1} us to decode, {length} bytes a \
             frame; {calls:.0} calls at once fill a core"
        );
    }
}
