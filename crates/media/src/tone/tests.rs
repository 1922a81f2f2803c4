//! Keys under every impairment that the standard names, speech that is none, and tones as made.

use proptest::prelude::*;

use super::generate::SINE_DBM0_MAX;
use super::*;
use crate::FRAME_SAMPLES;
use crate::g711::Law;
use crate::random::Random;

const ALL_KEYS: &str = "123A456B789C*0#D";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A key that is not quite as it should be.
#[derive(Clone, Copy)]
struct Press {
    key: char,
    on_ms: u64,
    off_ms: u64,
    /// Level of the row's tone, and how much louder the column's is.
    dbm0: f32,
    twist_db: f32,
    /// How far the row's and the column's frequency are off, in percent.
    off_percent: [f32; 2],
}

impl Press {
    const fn of(key: char) -> Self {
        Self { key, on_ms: 60, off_ms: 60, dbm0: -12.0, twist_db: 0.0, off_percent: [0.0; 2] }
    }

    fn samples(self) -> Vec<i16> {
        let row = DTMF_KEYS.iter().position(|row| row.contains(&self.key)).unwrap();
        let column = DTMF_KEYS[row].iter().position(|sign| *sign == self.key).unwrap();
        let low = DTMF_ROWS_HZ[row] * (1.0 + self.off_percent[0] / 100.0);
        let high = DTMF_COLUMNS_HZ[column] * (1.0 + self.off_percent[1] / 100.0);
        let wave = pair(low, self.dbm0, high, self.dbm0 + self.twist_db);
        let steps = vec![step(wave, ms(self.on_ms)), step(Wave::Silence, ms(self.off_ms))];
        Generator::samples(Tone::of(steps, Repeat::Once))
    }
}

/// The presses one after the other, beginning `shift` samples into a frame, with silence after.
fn line(presses: &[Press], shift: usize) -> Vec<i16> {
    let mut samples = vec![0; shift];
    for press in presses {
        samples.extend(press.samples());
    }
    samples.extend([0; 800]);
    samples
}

fn detected(samples: &[i16]) -> String {
    let mut detector = DtmfDetector::new();
    let (frames, _) = samples.as_chunks::<FRAME_SAMPLES>();
    frames.iter().filter_map(|frame| detector.hear(frame)).collect()
}

fn companded(law: Law, samples: &[i16]) -> Vec<i16> {
    samples.iter().map(|sample| law.decode(law.encode(*sample))).collect()
}

fn with_noise(samples: &[i16], deviation: f32, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let noisy = |sample: &i16| (f32::from(*sample) + random.next_normal() * deviation) as i16;
    samples.iter().map(noisy).collect()
}

/// Each key once at many places relative to the frames, each altered by `with`.
fn all_keys_are_detected(
    what: &str,
    with: impl Fn(Press) -> Press,
    line_of: impl Fn(Vec<i16>, u64) -> Vec<i16>,
) {
    for shift in (0..160).step_by(7) {
        let presses: Vec<Press> = ALL_KEYS.chars().map(|key| with(Press::of(key))).collect();
        let samples = line_of(line(&presses, shift), shift as u64);
        assert_eq!(detected(&samples), ALL_KEYS, "{what}, shift {shift}");
    }
}

fn unchanged(samples: Vec<i16>, _: u64) -> Vec<i16> {
    samples
}

#[test]
fn every_key_is_heard_once_at_every_place_in_a_frame() {
    all_keys_are_detected("clean", |press| press, unchanged);
    for law in [Law::A, Law::Mu] {
        all_keys_are_detected("companded", |press| press, |line, _| companded(law, &line));
    }
}

#[test]
fn forty_milliseconds_on_and_off_are_enough() {
    all_keys_are_detected("40/40", |press| Press { on_ms: 40, off_ms: 40, ..press }, unchanged);
    let twice = [Press { on_ms: 40, off_ms: 40, ..Press::of('7') }; 5];
    for shift in 0..160 {
        assert_eq!(detected(&line(&twice, shift)), "77777", "{shift}");
    }
}

#[test]
fn tones_under_twenty_milliseconds_are_no_press() {
    for key in ALL_KEYS.chars() {
        for shift in (0..160).step_by(11) {
            let press = Press { on_ms: 20, ..Press::of(key) };
            assert_eq!(detected(&line(&[press], shift)), "", "{key} {shift}");
        }
    }
}

#[test]
fn press_of_any_length_is_heard_once_even_with_a_drop_out() {
    for on_ms in [50, 100, 500, 5_000] {
        assert_eq!(detected(&line(&[Press { on_ms, ..Press::of('5') }], 3)), "5");
    }
    for at in (400..560).step_by(13) {
        let mut samples = line(&[Press { on_ms: 200, ..Press::of('5') }], 0);
        samples[at..at + 80].fill(0);
        assert_eq!(detected(&samples), "5", "10 ms missing at {at}");
    }
}

#[test]
fn frequencies_off_by_one_and_a_half_percent_are_heard() {
    for off in [[1.5, 1.5], [-1.5, -1.5], [1.5, -1.5], [-1.5, 1.5]] {
        let with = |press| Press { off_percent: off, on_ms: 40, off_ms: 40, ..press };
        all_keys_are_detected("off", with, |line, _| companded(Law::Mu, &line));
    }
}

#[test]
fn frequencies_off_by_three_and_a_half_percent_are_not() {
    for off in [[3.5, 0.0], [-3.5, 0.0], [0.0, 3.5], [0.0, -3.5], [5.0, 5.0]] {
        for key in ALL_KEYS.chars() {
            let press = Press { off_percent: off, on_ms: 100, ..Press::of(key) };
            assert_eq!(detected(&line(&[press], 0)), "", "{key} {off:?}");
        }
    }
}

#[test]
fn twist_of_four_and_eight_decibels_is_heard_and_more_is_not() {
    for twist_db in [4.0, -4.0, -8.0] {
        for off in [[0.0, 0.0], [1.5, 1.5], [-1.5, -1.5]] {
            let with = |press| Press { twist_db, off_percent: off, ..press };
            all_keys_are_detected("twist", with, |line, _| companded(Law::Mu, &line));
        }
    }
    for twist_db in [10.0, -14.0] {
        let press = Press { twist_db, ..Press::of('3') };
        assert_eq!(detected(&line(&[press], 0)), "", "{twist_db}");
    }
}

#[test]
fn levels_from_loud_to_minus_thirty_are_heard() {
    for dbm0 in [-3.0, -15.0, -25.0, -30.0] {
        let with = |press| Press { dbm0, ..press };
        all_keys_are_detected("level", with, |line, _| companded(Law::Mu, &line));
    }
    assert_eq!(detected(&line(&[Press { dbm0: -48.0, ..Press::of('1') }], 0)), "");
}

#[test]
fn noise_fifteen_decibels_below_does_not_hide_a_key() {
    // Two tones of -12 dBm0 have together the power of one of -9; noise 15 dB below that.
    let deviation =
        32_768.0 * 10f32.powf((-9.0 - SINE_DBM0_MAX - 15.0) / 20.0) / std::f32::consts::SQRT_2;
    all_keys_are_detected(
        "noise",
        |press| press,
        |line, seed| companded(Law::Mu, &with_noise(&line, deviation, seed)),
    );
    let with = |press| Press { off_percent: [1.5, -1.5], twist_db: -4.0, ..press };
    all_keys_are_detected("noise and all", with, |line, seed| {
        companded(Law::Mu, &with_noise(&line, deviation * 0.7, seed))
    });
}

#[test]
fn one_tone_alone_or_three_at_once_are_no_key() {
    for hz in DTMF_ROWS_HZ.iter().chain(&DTMF_COLUMNS_HZ) {
        assert_eq!(detected(&Generator::samples(Tone::sine(*hz, -10.0, ms(500)))), "", "{hz}");
    }
    let key = Press { on_ms: 300, ..Press::of('1') }.samples();
    let other = Generator::samples(Tone::sine(852.0, -12.0, ms(300)));
    let three: Vec<i16> = key.iter().zip(other).map(|(key, other)| key + other).collect();
    assert_eq!(detected(&three), "");
}

#[test]
fn tones_of_the_network_are_no_keys() {
    let mut tones = vec![
        Tone::busy(),
        Tone::reorder(),
        Tone::ringback(),
        Tone::cng(),
        Tone::ced(),
        Tone::beep(1_000.0, ms(500)),
        Tone::comfort_noise(-20.0, 1),
    ];
    tones.extend(Sit::ALL.map(Tone::sit));
    for tone in tones {
        assert_eq!(detected(&Generator::samples(tone.clone())), "", "{tone:?}");
    }
}

/// Ten minutes of what resembles a voice: a buzz with a wandering pitch through wandering
/// formants, in syllables.
fn speech_like(seed: u64, seconds: usize) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut uniform = move |low: f32, high: f32| {
        low + (high - low) * (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut samples = Vec::with_capacity(seconds * 8_000);
    let (mut phase, mut states) = (0.0f32, [[0.0f32; 2]; 3]);
    while samples.len() < seconds * 8_000 {
        let (pitch, glide) = (uniform(85.0, 400.0), uniform(-40.0, 40.0));
        let length = uniform(600.0, 2_400.0) as usize;
        let loud = uniform(300.0, 6_000.0);
        let formants = [uniform(300.0, 950.0), uniform(900.0, 1_800.0), uniform(2_000.0, 3_000.0)];
        let noisy = uniform(0.0, 0.3);
        for n in 0..length {
            let along = n as f32 / length as f32;
            phase += (pitch + glide * along) / 8_000.0;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            let mut value = pulse * 8.0 + uniform(-1.0, 1.0) * noisy;
            for (formant, state) in formants.iter().zip(&mut states) {
                let radius = 0.97f32;
                let factor = 2.0 * radius * (std::f32::consts::TAU * formant / 8_000.0).cos();
                let next = value * 0.2 + factor * state[0] - radius * radius * state[1];
                *state = [next, state[0]];
                value = next;
            }
            let envelope = (std::f32::consts::PI * along).sin();
            samples.push((value * envelope * loud) as i16);
        }
    }
    samples
}

#[test]
fn what_resembles_speech_presses_no_key() {
    for seed in 0..10 {
        let samples = speech_like(seed, 100);
        assert_eq!(detected(&samples), "", "{seed}");
    }
    for seed in 0..4 {
        let noise = Generator::samples(Tone::of(
            vec![step(Wave::Noise(-12.0), Duration::from_secs(60))],
            Repeat::Once,
        ));
        assert_eq!(detected(&with_noise(&noise, 500.0, seed)), "", "{seed}");
    }
}

#[test]
fn recorded_voices_music_and_tones_press_no_key() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/callee-type/audio");
    let Ok(kinds) = std::fs::read_dir(directory) else {
        eprintln!("skipped: no ../shared");
        return;
    };
    let (mut seconds, mut hits) = (0.0, Vec::new());
    for kind in kinds {
        for entry in std::fs::read_dir(kind.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let limits = crate::sound::Limits::default();
            let sound =
                crate::sound::Sound::read(&bytes, crate::sound::Hint::None, &limits).unwrap();
            seconds += sound.duration().as_secs_f64();
            let keys = detected(sound.samples());
            if !keys.is_empty() {
                hits.push((path, keys));
            }
        }
    }
    eprintln!("{seconds:.0} s of recordings, {} with keys: {hits:?}", hits.len());
    assert!(hits.is_empty());
}

/// The level of one frequency in samples, in dBm0.
fn level(samples: &[i16], hz: f32) -> f32 {
    let (mut re, mut im) = (0.0f64, 0.0f64);
    for (n, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * f64::from(hz) * n as f64 / 8_000.0;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    let amplitude = 2.0 * re.hypot(im) / samples.len() as f64;
    (20.0 * (amplitude / 32_768.0).log10() + f64::from(SINE_DBM0_MAX)) as f32
}

#[test]
fn tones_have_the_frequencies_levels_and_lengths_that_they_say() {
    let key = Generator::samples(Tone::dtmf('d', ms(1_000), ms(100)).unwrap());
    assert_eq!(key.len(), 8_800);
    assert!((level(&key[..8_000], 941.0) + 9.0).abs() < 0.1);
    assert!((level(&key[..8_000], 1_633.0) + 7.0).abs() < 0.1);
    assert!(key[8_000..].iter().all(|sample| *sample == 0));
    assert_eq!(Tone::dtmf('x', ms(1), ms(1)), None);

    let ced = Generator::samples(Tone::ced());
    assert_eq!(ced.len(), 27_000);
    assert!((level(&ced[..26_400], 2_100.0) + 11.0).abs() < 0.1);

    let busy = Generator::samples(Tone::busy());
    assert_eq!(busy.len(), 8_000);
    assert!((level(&busy[..4_000], 620.0) + 24.0).abs() < 0.2);
    assert!(busy[4_000..].iter().all(|sample| *sample == 0));
}

#[test]
fn information_tones_have_three_segments_that_tell_the_code() {
    for code in Sit::ALL {
        let samples = Generator::samples(Tone::sit(code));
        let mut at = 0;
        for (hz, ms) in code.segments() {
            let length = ms as usize * 8;
            assert!((level(&samples[at..at + length], hz) + 24.0).abs() < 0.2, "{code:?} {hz}");
            at += length;
        }
        assert_eq!(at, samples.len());
    }
    let mut patterns: Vec<_> = Sit::ALL.map(|code| format!("{:?}", code.segments())).into();
    patterns.sort();
    patterns.dedup();
    assert_eq!(patterns.len(), Sit::ALL.len());
}

#[test]
fn endless_tones_go_on_and_short_ones_end() {
    let mut ringback = Generator::new(Tone::ringback());
    let mut out = vec![0; 8_000 * 13];
    assert_eq!(ringback.fill(&mut out), out.len());
    assert!(out[6 * 8_000..8 * 8_000].iter().any(|sample| *sample != 0));
    assert!(out[2 * 8_000..6 * 8_000].iter().all(|sample| *sample == 0));
    let mut beep = Generator::new(Tone::beep(900.0, ms(30)));
    let mut frame = [0; 160];
    assert_eq!((beep.fill(&mut frame), beep.fill(&mut frame), beep.fill(&mut frame)), (160, 80, 0));
    let mut nothing = Generator::new(Tone::cadence(Wave::Silence, 0, 0));
    assert_eq!(nothing.fill(&mut frame), 0);
    assert_eq!(Generator::new(Tone::of(vec![], Repeat::Forever)).fill(&mut frame), 0);
    assert_eq!(Tone::busy().duration(), None);
    assert_eq!(Tone::ced().duration(), Some(ms(3_375)));
}

#[test]
fn tone_is_the_same_in_frames_as_in_one_piece() {
    let whole = Generator::samples(Tone::sit(Sit::VacantCode));
    let mut generator = Generator::new(Tone::sit(Sit::VacantCode));
    let mut pieces = Vec::new();
    let mut frame = [0; 37];
    loop {
        let filled = generator.fill(&mut frame);
        pieces.extend_from_slice(&frame[..filled]);
        if filled < frame.len() {
            break;
        }
    }
    assert_eq!(pieces, whole);
}

#[test]
fn comfort_noise_has_its_level_and_follows_its_seed() {
    let noise = |seed| Generator::samples(Tone::comfort_noise(-40.0, seed));
    let samples = noise(1);
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 8_000.0;
    let dbm0 = 10.0 * (power * 2.0 / 32_768f64.powi(2)).log10() + f64::from(SINE_DBM0_MAX);
    assert!((dbm0 + 40.0).abs() < 0.5, "{dbm0}");
    assert_eq!(samples, noise(1));
    assert_ne!(samples, noise(2));
}

proptest! {
    #[test]
    fn any_sound_is_listened_to(samples in prop::collection::vec(any::<i16>(), 0..2_000)) {
        prop_assert!(detected(&samples).len() <= samples.len() / 320);
    }
}
