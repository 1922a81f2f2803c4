//! Both codecs both ways, with packets lost, and against bytes that nobody meant.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::align::align;
use crate::random::Random;

const BOTH: [Coding; 2] = [Coding::G722, Coding::Opus];

/// A voice that says vowels: many harmonics under a moving mouth, with pauses.
fn voice(frames: usize) -> Vec<i16> {
    let mut phase = 0.0_f64;
    let sample = |at: usize| {
        let time_s = at as f64 / f64::from(RATE_HZ);
        let pitch_hz = 120.0 + 30.0 * (time_s * 2.3).sin() + 10.0 * (time_s * 7.1).sin();
        phase += TAU * pitch_hz / f64::from(RATE_HZ);
        let mouth_hz = 700.0 + 400.0 * (time_s * 3.7).sin();
        let harmonic = |n: u32| {
            let apart = (f64::from(n) * pitch_hz - mouth_hz) / 500.0;
            (f64::from(n) * phase).sin() * (-apart * apart).exp()
        };
        let level = (time_s * 5.3).sin().max(0.0) * 6_000.0;
        (level * (1..20).map(harmonic).sum::<f64>()) as i16
    };
    (0..frames * FRAME_SAMPLES).map(sample).collect()
}

/// A sound of all that telephones carry, which resembles itself nowhere.
fn noise(frames: usize) -> Vec<i16> {
    let (mut random, mut slow) = (Random::new(7), 0.0_f32);
    let sample = |_| {
        slow += (random.next_normal() - slow) * 0.5;
        (slow * 3_000.0) as i16
    };
    (0..frames * FRAME_SAMPLES).map(sample).collect()
}

fn encoded(coding: Coding, expects_loss: bool, samples: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(coding, expects_loss);
    let (frames, _) = samples.as_chunks::<FRAME_SAMPLES>();
    let mut out = [0; ENCODED_BYTES_MAX];
    let payload = |frame| {
        let length = encoder.encode(frame, &mut out);
        out[..length].to_vec()
    };
    frames.iter().map(payload).collect()
}

/// What is heard of these payloads; `None` is a packet that was lost.
fn heard<'a>(coding: Coding, payloads: impl IntoIterator<Item = Option<&'a Vec<u8>>>) -> Vec<i16> {
    let (mut decoder, mut out) = (Decoder::new(coding), [0; DECODED_SAMPLES_MAX]);
    let (mut heard, mut lost) = (Vec::new(), 0);
    for payload in payloads {
        let Some(payload) = payload else {
            lost += FRAME_SAMPLES;
            continue;
        };
        let count = decoder.make_up(lost, payload, &mut out);
        heard.extend_from_slice(&out[..count]);
        heard.resize(heard.len() + lost - count, 0);
        lost = 0;
        let count = decoder.decode(payload, &mut out).unwrap();
        heard.extend_from_slice(&out[..count]);
    }
    heard
}

#[test]
fn sound_comes_back_as_it_was() {
    // Noise is the hardest for Opus, which keeps its colour rather than its shape.
    for (coding, voice_min, noise_min) in [(Coding::G722, 0.99, 0.98), (Coding::Opus, 0.95, 0.6)] {
        for (name, sent, least) in
            [("voice", voice(250), voice_min), ("noise", noise(250), noise_min)]
        {
            let payloads = encoded(coding, false, &sent);
            let alignment = align(&sent, &heard(coding, payloads.iter().map(Some))).unwrap();
            println!("{coding:?}, {name}: {alignment:?}");
            assert!(alignment.correlation > least, "{coding:?} {name}: {alignment:?}");
            // What the codec looks ahead, and the change of the rate both ways.
            assert!((0..=120).contains(&alignment.offset), "{alignment:?}");
        }
    }
}

#[test]
fn payloads_are_as_long_as_the_codec_says() {
    for payload in encoded(Coding::G722, false, &noise(50)) {
        assert_eq!(payload.len(), 160);
    }
    let opus = encoded(Coding::Opus, true, &noise(250));
    let bytes: usize = opus.iter().map(Vec::len).sum();
    assert!(bytes / opus.len() < 80, "{} bytes a frame", bytes / opus.len());
    // 20 ms of narrowband speech, one channel, one frame (RFC 6716 §3.1).
    assert!(opus.iter().all(|payload| payload[0] == 1 << 3), "{:x}", opus[0][0]);
}

#[test]
fn opus_tells_of_a_lost_frame_in_the_next_one() {
    let sent = voice(250);
    let like = |expects_loss| {
        let payloads = encoded(Coding::Opus, expects_loss, &sent);
        let arrived =
            payloads.iter().enumerate().map(|(at, payload)| (at % 10 != 5).then_some(payload));
        let heard = heard(Coding::Opus, arrived);
        assert_eq!(heard.len(), sent.len());
        align(&sent, &heard).unwrap().correlation
    };
    let (told, guessed) = (like(true), like(false));
    println!("one of ten lost: told {told:.4}, guessed {guessed:.4}");
    assert!(told > 0.93 && told > guessed, "{told} {guessed}");
}

#[test]
fn long_losses_are_made_up_for_a_while_only() {
    let payloads = encoded(Coding::Opus, true, &voice(20));
    let mut decoder = Decoder::new(Coding::Opus);
    let mut out = [0; DECODED_SAMPLES_MAX];
    decoder.decode(&payloads[0], &mut out).unwrap();
    let mut made_up = |lost| decoder.make_up(lost, &payloads[9], &mut out);
    assert_eq!([0, 19, 160, 330, 9_000].map(&mut made_up), [0, 0, 160, 320, 480]);
    let g722 = encoded(Coding::G722, true, &voice(1));
    assert_eq!(Decoder::new(Coding::G722).make_up(160, &g722[0], &mut out), 0);
}

#[test]
fn packets_of_other_lengths_are_understood() {
    let mut out = [0; DECODED_SAMPLES_MAX];
    let mut wide = Decoder::new(Coding::G722);
    for length in [1, 80, 161, 240, 480, 960] {
        assert_eq!(wide.decode(&vec![0xfa; length], &mut out), Ok(length));
    }
    assert_eq!(wide.decode(&[0; 961], &mut out), Err(DecodeError::Size));
    // Two and three frames in a packet (RFC 6716 §3.2.3, §3.2.5).
    let mut one = encoded(Coding::Opus, false, &voice(3)).swap_remove(2);
    one.remove(0);
    let mut opus = Decoder::new(Coding::Opus);
    let two = [&[1 << 3 | 1][..], &one, &one].concat();
    assert_eq!(opus.decode(&two, &mut out), Ok(320));
    let three = [&[1 << 3 | 3, 3][..], &one, &one, &one].concat();
    assert_eq!(opus.decode(&three, &mut out), Ok(480));
    for coding in BOTH {
        assert_eq!(Decoder::new(coding).decode(&[], &mut out), Err(DecodeError::Size));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_sound_or_an_error(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..60),
        lost in 0_usize..2_000,
    ) {
        for coding in BOTH {
            let (mut decoder, mut out) = (Decoder::new(coding), [0; DECODED_SAMPLES_MAX]);
            for payload in &payloads {
                prop_assert!(decoder.make_up(lost, payload, &mut out) <= DECODED_SAMPLES_MAX);
                prop_assert!(decoder.decode(payload, &mut out).unwrap_or(0) <= DECODED_SAMPLES_MAX);
            }
        }
    }

    #[test]
    fn damaged_packets_are_sound_or_an_error(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let (mut decoder, mut out) = (Decoder::new(Coding::Opus), [0; DECODED_SAMPLES_MAX]);
        for mut payload in encoded(Coding::Opus, true, &voice(20)) {
            for _ in 0..random.next_u64() % 4 {
                let at = random.next_u64() as usize % payload.len();
                payload[at] = random.next_u64() as u8;
            }
            decoder.decode(&payload, &mut out).ok();
        }
    }
}
