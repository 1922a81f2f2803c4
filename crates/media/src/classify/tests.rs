//! The classifier on sounds of our own making.

use std::f32::consts::TAU;

use proptest::prelude::*;

use super::trial::{Line, Recording, Score, listen, manifest, sit_code};
use super::*;
use crate::FRAME_SAMPLES;
use crate::g711::Law;
use crate::random::Random;
use crate::tone::{Generator, Repeat, Sine, Sit, Step, Tone, Wave};

mod disturbed;

#[expect(clippy::disallowed_methods, reason = "trials count from any moment")]
fn start() -> Instant {
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn silence(length: u64) -> Vec<i16> {
    vec![0; length as usize * 8]
}

/// Samples of a tone, over mu-law; one for ever is cut off.
fn tone(tone: Tone, length: u64) -> Vec<i16> {
    let mut generator = Generator::new(tone);
    let mut samples = vec![0; length as usize * 8];
    generator.fill(&mut samples);
    samples
}

fn wave(wave: Wave, length: u64) -> Vec<i16> {
    let step = Step { wave, duration: ms(length) };
    tone(Tone::of(vec![step], Repeat::Once), length)
}

fn beep(hz: f32, dbm0: f32, length: u64) -> Vec<i16> {
    wave(Wave::Single(Sine { hz, dbm0 }), length)
}

/// Sound like speech: syllables of four a second, each a glottal buzz with moving pitch through
/// two formants, with noise as of consonants between them.
fn speech(length: u64, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let (mut phase, mut syllable) = (0.0f32, (500.0f32, 1_500.0f32));
    let count = length as usize * 8;
    let mut samples = Vec::with_capacity(count);
    for at in 0..count {
        let t = at as f32 / 8_000.0;
        let part = (t * 4.0).fract();
        if part * 8_000.0 < 4.0 {
            let bits = random.next_u64();
            syllable = (350.0 + (bits % 400) as f32, 1_000.0 + (bits >> 16 & 0x3ff) as f32);
        }
        let pitch = 120.0 + 40.0 * (t * 2.3).sin() + 25.0 * (part * 3.0).cos();
        phase += TAU * pitch / 8_000.0;
        let voiced: f32 = (1..=20)
            .map(|harmonic| {
                let hz = harmonic as f32 * pitch;
                let near = |formant: f32| 1.0 / (1.0 + ((hz - formant) / 120.0).powi(2));
                (near(syllable.0) + 0.5 * near(syllable.1)) * (phase * harmonic as f32).sin()
            })
            .sum();
        let envelope = (part * std::f32::consts::PI).sin().max(0.0).powf(0.7);
        let noise = random.next_normal() * if part > 0.88 { 500.0 } else { 60.0 };
        samples.push((voiced * envelope * 2_600.0 + noise).clamp(-32_000.0, 32_000.0) as i16);
    }
    samples
}

fn heard(samples: &[i16]) -> trial::Heard {
    listen(samples, trial::settings(), &MODEL, start(), None)
}

fn over(line: Line, samples: &[i16]) -> Vec<i16> {
    let mut samples = samples.to_vec();
    line.send(&mut samples, 11);
    samples
}

const CLEAN: Line = Line { noise_dbov: None, law: Some(Law::Mu) };
const NOISY: Line = Line { noise_dbov: Some(-45.0), law: Some(Law::Mu) };

fn all(parts: &[Vec<i16>]) -> Vec<i16> {
    parts.concat()
}

fn effects_of(samples: &[i16], settings: Settings) -> Vec<Effect> {
    let said = trial::effects(samples, settings, &MODEL, start(), None);
    said.into_iter().map(|(_, effect)| effect).collect()
}

#[test]
fn every_code_of_special_information_tones_is_told_exactly_in_time() {
    for code in Sit::ALL {
        for line in [CLEAN, NOISY] {
            let length = Tone::sit(code).duration().unwrap().as_millis() as u64;
            let sit = tone(Tone::sit(code), length);
            let samples = over(line, &all(&[silence(300), sit, speech(2_000, 5)]));
            let heard = heard(&samples);
            assert_eq!(heard.verdict.callee, Callee::Sit(SitCode::Coded(code)), "{line:?}");
            assert!(heard.decided <= ms(300 + length - 380 + 200), "{code:?} {:?}", heard.decided);
        }
    }
}

#[test]
fn special_information_tones_of_other_countries_have_no_code() {
    for (shift, length) in [(0.0, 330), (-35.0, 270), (40.0, 390)] {
        let one = |hz: f32| beep(hz + shift, -20.0, length);
        let gap = silence(20);
        let parts = [silence(400), one(950.0), gap.clone(), one(1_400.0), gap, one(1_800.0)];
        let samples = over(CLEAN, &all(&parts));
        assert_eq!(heard(&samples).verdict.callee, Callee::Sit(SitCode::Uncoded), "{shift}");
    }
}

#[test]
fn fax_machines_are_told_by_answer_call_and_data() {
    let calling = |hz, on| all(&[beep(hz, -15.0, on), silence(1_500)]);
    let mut data = Vec::new();
    let mut phase = 0.0f32;
    // Flags of V.21's second channel: 01111110 at 300 bit/s.
    for at in 0..8_000 {
        let bit = at * 300 / 8_000 % 8;
        phase += TAU * if (1..7).contains(&bit) { 1_650.0 } else { 1_850.0 } / 8_000.0;
        data.push((phase.sin() * 4_000.0) as i16);
    }
    for (name, sound) in [
        ("CED", beep(2_100.0, -20.0, 1_500)),
        ("Bell 103", beep(2_225.0, -20.0, 1_500)),
        ("CNG", calling(1_100.0, 500)),
        ("V.25", calling(1_300.0, 600)),
        ("V.21", data),
    ] {
        for line in [CLEAN, NOISY] {
            let heard = heard(&over(line, &all(&[silence(250), sound.clone()])));
            assert_eq!(heard.verdict.callee, Callee::Fax, "{name}");
            assert!(heard.decided <= ms(1_000), "{name} {:?}", heard.decided);
        }
    }
}

#[test]
fn an_answer_tone_with_turned_phases_is_a_fax_machine() {
    let mut samples = silence(200);
    for at in 0..16_000usize {
        let t = at as f32 / 8_000.0;
        let turned = if (at / 3_600) % 2 == 0 { 0.0 } else { std::f32::consts::PI };
        let swell = 1.0 + 0.2 * (TAU * 15.0 * t).sin();
        samples.push(((TAU * 2_100.0 * t + turned).sin() * swell * 3_000.0) as i16);
    }
    assert_eq!(heard(&over(NOISY, &samples)).verdict.callee, Callee::Fax);
}

#[test]
fn busy_reorder_and_ringback_of_many_countries_are_told() {
    let single = |hz| Wave::Single(Sine { hz, dbm0: -22.0 });
    let pair =
        |low, high| Wave::Pair(Sine { hz: low, dbm0: -22.0 }, Sine { hz: high, dbm0: -22.0 });
    let cadences: &[(&str, Wave, &[u64], Callee)] = &[
        ("US busy", pair(480.0, 620.0), &[500, 500], Callee::Busy),
        ("US reorder", pair(480.0, 620.0), &[250, 250], Callee::Reorder),
        ("US ring", pair(440.0, 480.0), &[2_000, 4_000], Callee::Ringback),
        ("UK busy", single(400.0), &[375, 375], Callee::Busy),
        ("UK reorder", single(400.0), &[400, 350, 225, 525], Callee::Reorder),
        ("UK ring", pair(400.0, 450.0), &[400, 200, 400, 2_000], Callee::Ringback),
        ("AU ring", pair(413.0, 438.0), &[400, 200, 400, 2_000], Callee::Ringback),
        ("DE busy", single(425.0), &[480, 480], Callee::Busy),
        ("DE reorder", single(425.0), &[240, 240], Callee::Reorder),
        ("DE ring", single(425.0), &[1_000, 4_000], Callee::Ringback),
        ("FR ring", single(440.0), &[1_500, 3_500], Callee::Ringback),
        ("IT busy", single(425.0), &[500, 500], Callee::Busy),
        ("CN reorder", single(450.0), &[700, 700], Callee::Reorder),
        ("IN busy", single(400.0), &[750, 750], Callee::Busy),
    ];
    for (name, tone, spans, callee) in cadences {
        let mut sound = silence(300);
        while sound.len() < 8_000 * 8 {
            for (nth, span) in spans.iter().enumerate() {
                sound.extend(if nth % 2 == 0 { wave(*tone, *span) } else { silence(*span) });
            }
        }
        for line in [CLEAN, NOISY] {
            let heard = heard(&over(line, &sound));
            assert_eq!(heard.verdict.callee, *callee, "{name} {line:?}");
            let cycle: u64 = spans.iter().sum();
            assert!(heard.decided <= ms(300 + cycle * 2), "{name} {:?}", heard.decided);
        }
    }
}

#[test]
fn beeps_are_told_while_they_sound_and_when_they_end() {
    let greeting = all(&[silence(300), speech(4_000, 9), silence(500)]);
    for hz in [400.0, 461.0, 640.0, 850.0, 1_000.0, 1_400.0, 2_000.0] {
        for length in [120, 250, 900] {
            for line in [CLEAN, NOISY] {
                let sound = all(&[greeting.clone(), beep(hz, -22.0, length), silence(1_000)]);
                let beeps = heard(&over(line, &sound)).beeps;
                let [(from, told, until)] = beeps[..] else {
                    panic!("{hz} Hz, {length} ms, {line:?}: {beeps:?}")
                };
                assert!(from.abs_diff(ms(4_800)) <= ms(30), "{hz} {length}: {from:?}");
                assert!(told <= ms(4_800 + 120), "{hz} {length}: {told:?}");
                let until = until.unwrap();
                assert!(until.abs_diff(ms(4_800 + length)) <= ms(40), "{hz} {length}: {until:?}");
            }
        }
    }
}

#[test]
fn a_beep_of_two_tones_and_one_that_fades_are_beeps() {
    let greeting = all(&[speech(3_000, 2), silence(300)]);
    let pair = Wave::Pair(Sine { hz: 440.0, dbm0: -16.0 }, Sine { hz: 1_400.0, dbm0: -16.0 });
    let fading: Vec<i16> = (0..3_200)
        .map(|at| {
            let t = at as f32 / 8_000.0;
            ((TAU * 880.0 * t).sin() * 8_000.0 * (-6.0 * t).exp()) as i16
        })
        .collect();
    for sound in [wave(pair, 200), fading] {
        let samples = over(CLEAN, &all(&[greeting.clone(), sound, silence(500)]));
        assert_eq!(heard(&samples).beeps.len(), 1);
    }
}

#[test]
fn a_tone_without_any_voice_before_it_is_a_beep_only_if_the_network_sends_nothing_like_it() {
    // 425 Hz for half a second could be busy: nothing is told until silence follows.
    let lone = all(&[silence(400), beep(425.0, -20.0, 500), silence(2_500)]);
    let lone = heard(&over(CLEAN, &lone));
    assert_eq!((lone.beeps.len(), lone.verdict.callee), (1, Callee::Machine));
    let busy = tone(Tone::cadence(Wave::Single(Sine { hz: 425.0, dbm0: -20.0 }), 500, 500), 6_000);
    assert_eq!(heard(&over(CLEAN, &busy)).beeps, []);
}

#[test]
fn speech_noise_and_silence_hold_no_beeps_and_no_network_tones() {
    for seed in 0..6 {
        let sound = all(&[silence(200), speech(20_000, seed)]);
        for line in [CLEAN, NOISY] {
            let heard = heard(&over(line, &sound));
            assert_eq!(heard.beeps, [], "{seed}");
            assert_eq!(heard.verdict.callee, Callee::Machine, "{seed}");
        }
    }
}

#[test]
fn a_short_answer_is_a_person_at_once_and_a_long_greeting_is_a_machine() {
    for line in [CLEAN, NOISY] {
        for onset in [0, 300, 1_500] {
            let hello = all(&[silence(onset), speech(600, 4), silence(6_000)]);
            let hello = heard(&over(line, &hello));
            assert_eq!(hello.verdict.callee, Callee::Human, "{onset} {line:?}");
            assert!(hello.decided <= ms(onset + 600 + 500), "{onset} {:?}", hello.decided);
            let greeting = all(&[silence(onset), speech(8_000, 4)]);
            let greeting = heard(&over(line, &greeting));
            assert_eq!(greeting.verdict.callee, Callee::Machine, "{onset} {line:?}");
            assert!(greeting.decided <= ms(onset + 3_800), "{onset} {:?}", greeting.decided);
        }
    }
}

#[test]
fn an_early_person_is_revised_when_a_greeting_goes_on() {
    let parts = [silence(200), speech(500, 4), silence(1_500), speech(6_000, 8)];
    let said = effects_of(&over(CLEAN, &all(&parts)), trial::settings());
    let [Effect::Decided(first), Effect::Revised { was, verdict }, ..] = said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((first.callee, first.is_firm, was), (Callee::Human, false, Callee::Human));
    assert_eq!((verdict.callee, verdict.is_firm), (Callee::Machine, true));
    assert!(verdict.at < ms(5_000), "{:?}", verdict.at);
}

#[test]
fn a_person_stays_when_the_time_for_revising_is_over() {
    let parts = [silence(200), speech(500, 4), silence(7_000)];
    let said = effects_of(&over(CLEAN, &all(&parts)), Settings::default());
    let [Effect::Decided(first), Effect::Confirmed(then), Effect::Finished(last)] = said[..] else {
        panic!("{said:?}")
    };
    assert_eq!([first.callee, then.callee, last.callee], [Callee::Human; 3]);
    assert_eq!([first.is_firm, then.is_firm, last.is_firm], [false, true, true]);
    assert!(then.at.abs_diff(first.at + Settings::default().revise_within) <= ms(20));
}

#[test]
fn a_message_can_start_when_the_greeting_has_ended() {
    let greeting = all(&[speech(5_000, 3), silence(400)]);
    let by_beep = all(&[greeting.clone(), beep(1_000.0, -20.0, 400), silence(500)]);
    let said = effects_of(&over(CLEAN, &by_beep), trial::settings());
    let ended = said.iter().find_map(|effect| match effect {
        Effect::GreetingEnded { at, by_beep } => Some((*at, *by_beep)),
        _ => None,
    });
    let (at, is_beep) = ended.unwrap();
    assert!(is_beep && at >= ms(5_780) && at <= ms(5_880), "{at:?}");
    let by_silence = all(&[greeting, silence(3_000)]);
    let said = effects_of(&over(CLEAN, &by_silence), trial::settings());
    let Some(Effect::GreetingEnded { at, by_beep: false }) =
        said.iter().find(|effect| matches!(effect, Effect::GreetingEnded { .. }))
    else {
        panic!("{said:?}")
    };
    assert!(at.abs_diff(ms(5_000 + 2_500)) <= ms(120), "{at:?}");
}

#[test]
fn a_beep_after_the_silence_that_ended_a_greeting_ends_it_once_more() {
    let late = |pause| all(&[speech(5_000, 3), silence(pause), beep(1_000.0, -20.0, 400)]);
    let ends = |sound: Vec<i16>| -> Vec<bool> {
        let said = effects_of(&over(CLEAN, &all(&[sound, silence(500)])), trial::settings());
        let ended = said.iter().filter_map(|effect| match effect {
            Effect::GreetingEnded { by_beep, .. } => Some(*by_beep),
            _ => None,
        });
        assert_eq!(said.iter().filter(|e| matches!(e, Effect::Finished(_))).count(), 1);
        ended.collect()
    };
    assert_eq!(ends(late(4_000)), [false, true]);
    assert_eq!(ends(late(1_000)), [true]);
    assert_eq!(ends(all(&[late(14_000)])), [false], "that late it is another thing");
}

#[test]
fn who_waits_in_silence_is_told_of_once_and_nobody_else_is() {
    let quiet = |parts: &[Vec<i16>]| -> Vec<Duration> {
        let said = effects_of(&over(CLEAN, &all(parts)), trial::settings());
        let quiet = said.into_iter().filter_map(|effect| match effect {
            Effect::Quiet { at } => Some(at),
            _ => None,
        });
        quiet.collect()
    };
    assert_eq!(quiet(&[silence(6_000)]), [ms(2_000)]);
    assert_eq!(quiet(&[silence(300), speech(600, 4), silence(6_000)]), [], "a person by then");
    assert_eq!(quiet(&[speech(8_000, 4)]), []);
    assert_eq!(quiet(&[tone(Tone::ringback(), 12_000)]), [], "it rings");
    let late = quiet(&[silence(2_600), speech(600, 4), silence(6_000)]);
    assert_eq!(late, [ms(2_000)]);
}

#[test]
fn a_machine_without_waiting_is_the_last_word() {
    let said = effects_of(&over(CLEAN, &speech(8_000, 3)), Settings::default());
    let last = said.last().unwrap();
    assert!(matches!(last, Effect::Finished(v) if v.callee == Callee::Machine), "{said:?}");
    assert_eq!(said.iter().filter(|e| matches!(e, Effect::Finished(_))).count(), 1);
}

#[test]
fn a_ring_after_the_answer_starts_the_clock_again() {
    let ring = tone(Tone::ringback(), 8_000);
    let sound = over(CLEAN, &all(&[ring, silence(500), speech(600, 4), silence(6_000)]));
    let said = effects_of(&sound, Settings::default());
    let [Effect::Decided(ring), Effect::Revised { was: Callee::Ringback, verdict }, ..] = said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!((ring.callee, verdict.callee), (Callee::Ringback, Callee::Human));
    let network = Settings { mode: Mode::NetworkConnect, ..Settings::default() };
    assert!(!said.iter().any(|effect| matches!(effect, Effect::Quiet { .. })), "{said:?}");
    let said = effects_of(&sound, network);
    assert!(matches!(said.last(), Some(Effect::Finished(v)) if v.callee == Callee::Ringback));
}

#[test]
fn nobody_and_noise_are_silence_when_the_time_is_over() {
    for noise in [None, Some(-60.0), Some(-45.0), Some(-38.0)] {
        let line = Line { noise_dbov: noise, law: Some(Law::Mu) };
        let heard = heard(&over(line, &silence(6_000)));
        assert_eq!(heard.verdict.callee, Callee::Silence, "{noise:?}");
        assert_eq!(heard.verdict.at, ms(5_000), "{noise:?}");
    }
}

#[test]
fn chords_that_never_pause_are_music() {
    let mut samples = Vec::new();
    for chord in [[262.0, 330.0, 392.0], [294.0, 349.0, 440.0], [247.0, 330.0, 494.0]].repeat(8) {
        for at in 0..3_200 {
            let t = at as f32 / 8_000.0;
            let note = |hz: f32| (TAU * hz * t).sin() + 0.4 * (TAU * 2.0 * hz * t).sin();
            let sum: f32 = chord.into_iter().map(note).sum();
            samples.push((sum * 2_000.0 * (1.0 - 0.9 * t)) as i16);
        }
    }
    let heard = heard(&over(CLEAN, &samples));
    assert_eq!(heard.verdict.callee, Callee::Music);
}

#[test]
fn tones_before_the_answer_are_verdicts_and_a_voice_is_not_a_person() {
    let now = start();
    let early = |samples: Vec<i16>| {
        let mut classifier = Classifier::new(Settings::default());
        for frame in samples.chunks(FRAME_SAMPLES) {
            classifier.handle(now, Input::Frame(frame));
        }
        let mut said: Vec<Effect> = std::iter::from_fn(|| classifier.poll()).collect();
        assert_eq!(classifier.deadline(), None, "nobody waits before the answer");
        classifier.handle(now, Input::Answered);
        said.extend(std::iter::from_fn(|| classifier.poll()));
        said
    };
    let sit = early(over(CLEAN, &tone(Tone::sit(Sit::NoCircuit), 1_200)));
    assert!(matches!(sit.last(), Some(Effect::Finished(v))
        if v.callee == Callee::Sit(SitCode::Coded(Sit::NoCircuit))));
    assert_eq!(early(over(CLEAN, &all(&[speech(600, 3), silence(3_000)]))), []);
    assert_eq!(early(over(CLEAN, &tone(Tone::ringback(), 7_000))), []);
    let voicemail = early(over(CLEAN, &speech(6_000, 3)));
    assert!(matches!(voicemail[..], [Effect::Decided(v)] if v.callee == Callee::Machine));
}

#[test]
fn words_tell_screeners_and_voicemails() {
    let now = start();
    for (words, callee) in [
        ("please leave a message after the tone", Callee::Machine),
        ("record your name and reason for calling", Callee::CallScreener),
    ] {
        let mut classifier = Classifier::new(Settings::default());
        classifier.handle(now, Input::Answered);
        classifier.handle(now, Input::Words("hello"));
        assert_eq!(classifier.poll(), None);
        classifier.handle(now, Input::Words(words));
        assert!(matches!(classifier.poll(), Some(Effect::Decided(v)) if v.callee == callee));
        assert!(matches!(classifier.poll(), Some(Effect::Finished(v)) if v.callee == callee));
        classifier.handle(now, Input::Words(words));
        assert_eq!(classifier.poll(), None, "nothing follows the last word");
    }
}

/// What is told of sound where words are read 200 ms after they are asked for, if at all; and how
/// often they were asked for.
fn told_with_words(sound: &[i16], words_ms: u64, text: Option<&str>) -> (Verdict, usize) {
    told_by(&MODEL, sound, words_ms, text.map(Input::Words))
}

fn told_by(
    model: &'static Model,
    sound: &[i16],
    words_ms: u64,
    answer: Option<Input<'_>>,
) -> (Verdict, usize) {
    let settings = Settings { words_time: ms(words_ms), ..Settings::default() };
    let now = start();
    let mut classifier = Classifier::with_model(settings, model);
    classifier.handle(now, Input::Answered);
    let (mut asked, mut due, mut last) = (0, VecDeque::new(), None);
    for (nth, frame) in sound.chunks(FRAME_SAMPLES).enumerate() {
        let at = now + ms(20 * nth as u64);
        if let Some(answer) = answer.filter(|_| due.front().is_some_and(|due| *due <= at)) {
            due.pop_front();
            classifier.handle(at, answer);
        }
        classifier.handle(at, Input::Frame(frame));
        while let Some(effect) = classifier.poll() {
            match effect {
                Effect::WordsWanted { .. } => {
                    asked += 1;
                    due.push_back(at + ms(200));
                }
                Effect::Finished(verdict) => last = Some(verdict),
                _ => {}
            }
        }
    }
    (last.unwrap(), asked)
}

#[test]
fn a_machine_is_firm_once_its_words_are_read_or_the_time_for_it_is_over() {
    let sound = all(&[silence(400), speech(5_000, 4), silence(6_000)]);
    let (without, asked) = told_with_words(&sound, 0, None);
    assert_eq!((without.callee, asked), (Callee::Machine, 0));
    let firm_ms = without.at.as_millis();
    let cases = [
        (Some("record your name and reason for calling"), Callee::CallScreener, 200, 1),
        (Some(""), Callee::Machine, 1_000, 2),
        (None, Callee::Machine, 1_000, 2),
    ];
    for (text, callee, later_ms, questions) in cases {
        let (told, asked) = told_with_words(&sound, 1_000, text);
        assert_eq!((told.callee, asked), (callee, questions), "{text:?}");
        let later = told.at.as_millis() - firm_ms;
        assert!((later_ms - 20..later_ms + 60).contains(&later), "{text:?} {later}");
    }
}

/// The model with much room between the chances from which on a machine is firm, and speech in one
/// breath that is just long enough for the lower one.
fn long_breath() -> (&'static Model, Vec<i16>) {
    let firm = vec![Firm { share: 0.05, first: 0.8, unsaid: 0.98, later: 0.98 }].leak();
    let model = Box::leak(Box::new(Model { firm, ..MODEL }));
    let breath = |ms| all(&[silence(400), speech(ms, 4), silence(8_000)]);
    let is_machine = |sound: &Vec<i16>| told_by(model, sound, 0, None).0.callee == Callee::Machine;
    (model, (20..50).map(|tenths| breath(tenths * 100)).find(is_machine).unwrap())
}

#[test]
fn who_speaks_long_and_says_no_words_of_machines_is_a_person() {
    let (model, sound) = long_breath();
    for (answer, callee) in [
        (Some(Input::Words("this is anna speaking who is calling please")), Callee::Human),
        (Some(Input::Words("")), Callee::Human),
        (Some(Input::Words("please leave your message after the tone")), Callee::Machine),
        (Some(Input::Unread), Callee::Machine),
        (None, Callee::Machine),
    ] {
        assert_eq!(told_by(model, &sound, 1_000, answer).0.callee, callee, "{answer:?}");
    }
}

#[test]
fn who_goes_on_for_very_long_is_a_machine_whatever_is_said() {
    let sound = all(&[silence(400), speech(6_000, 4), silence(8_000)]);
    let (told, _) = told_with_words(&sound, 1_000, Some("hello this is anna speaking"));
    assert_eq!(told.callee, Callee::Machine);
}

#[test]
fn short_announcement_that_sounds_like_a_person_is_told_by_its_words() {
    let sound = all(&[silence(400), speech(1_200, 4), silence(8_000)]);
    for (text, callee) in [
        (Some("please try your call again later"), Callee::Machine),
        (Some("this is peter miller"), Callee::Human),
        (None, Callee::Human),
    ] {
        let (told, asked) = told_with_words(&sound, 1_000, text);
        assert_eq!((told.callee, asked), (callee, 1), "{text:?}");
    }
    let (told, asked) = told_with_words(&sound, 0, None);
    assert_eq!((told.callee, asked), (Callee::Human, 0), "nobody reads words");
}

#[test]
fn single_word_is_not_read_and_no_call_is_read_more_often_than_agreed() {
    let hello = all(&[silence(400), speech(450, 4), silence(8_000)]);
    assert_eq!(told_with_words(&hello, 1_000, Some("")).1, 0);
    let phrases: Vec<Vec<i16>> = (0..20).map(|_| all(&[speech(800, 4), silence(900)])).collect();
    let many = told_with_words(&all(&phrases), 3_000, None);
    assert!((1..=usize::from(QUESTIONS_MAX)).contains(&many.1), "{many:?}");
}

#[test]
fn people_are_told_no_later_where_words_are_read() {
    let hello = all(&[silence(400), speech(1_200, 4), silence(6_000)]);
    let settings = Settings { words_time: ms(1_000), ..trial::settings() };
    let mut effects = effects_of(&hello, settings);
    effects.retain(|effect| !matches!(effect, Effect::WordsWanted { .. }));
    assert_eq!(effects, effects_of(&hello, trial::settings()));
}

#[test]
fn a_person_is_told_after_the_pause_that_is_set() {
    let hello = all(&[silence(400), speech(600, 4), silence(6_000)]);
    let decided = |person_pause| {
        let settings = Settings { person_pause, ..trial::settings() };
        let is_decided = |effect: Effect| match effect {
            Effect::Decided(verdict) => Some((verdict.callee, verdict.at)),
            _ => None,
        };
        effects_of(&hello, settings).into_iter().find_map(is_decided).unwrap()
    };
    let [early, usual, late] = [140, 340, 700].map(|pause| decided(ms(pause)));
    assert!(early.1 < usual.1 && usual.1 < late.1, "{early:?} {usual:?} {late:?}");
    assert!([early, usual, late].iter().all(|told| told.0 == Callee::Human));
}

#[test]
fn a_call_without_frames_is_decided_by_its_deadline() {
    let now = start();
    let mut classifier = Classifier::new(Settings::default());
    classifier.handle(now, Input::Answered);
    let (at, timer) = classifier.deadline().unwrap();
    assert!(at > now + ms(5_000) && at < now + ms(8_000));
    classifier.handle(at, Input::Expired(timer));
    assert!(matches!(classifier.poll(), Some(Effect::Decided(v)) if v.callee == Callee::Silence));
    assert!(matches!(classifier.poll(), Some(Effect::Finished(_))));
    assert_eq!((classifier.poll(), classifier.deadline()), (None, None));
}

#[test]
fn fewer_people_taken_asks_for_higher_chances() {
    let mut before = Firm { share: 1.0, first: 0.0, unsaid: 0.0, later: 0.0 };
    for share in [0.1, 0.05, 0.02, 0.01, 0.001, 0.0, f32::NAN] {
        let firm = MODEL.firm(share);
        assert!(firm.first >= before.first && firm.later >= before.later, "{share}");
        before = firm;
    }
    assert!(before.first < 1.0);
}

#[test]
fn more_speech_never_makes_a_machine_less_likely_and_a_longer_pause_never_more() {
    let mut random = Random::new(1);
    let mut share = || (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
    for _ in 0..20_000 {
        let features: Features = std::array::from_fn(|_| share() * 8.0);
        for (place, direction) in FEATURE_DIRECTIONS.iter().enumerate() {
            let mut more = features;
            more[place] += share() * 3.0;
            let change = MODEL.machine(&more) - MODEL.machine(&features);
            assert!(change * f32::from(*direction) >= -1e-4, "{place} {features:?} {change}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_as_a_manifest_or_refused(text in ".{0,400}") {
        let _ = manifest(&text);
        let _ = manifest(&format!("file,label\n{text}"));
    }
}

#[test]
fn manifests_are_read_by_the_names_of_their_columns() {
    let text = "label,notes,file,beep_start_s,beep_end_s,voice_start_s,voice_end_s,tier\r\n\
                machine,\"a, \"\"b\"\"\",x.wav,1.5,2.0,0.1,1.2,A\r\n\nhuman,,y.wav,,,,,\n";
    let list = manifest(text).unwrap();
    let first = Recording {
        file: "x.wav".into(),
        label: "machine".into(),
        tier: "A".into(),
        voice_s: Some((0.1, 1.2)),
        beep_s: Some((1.5, 2.0)),
        ..Recording::default()
    };
    assert_eq!(list[0], first);
    assert_eq!((list.len(), list[1].beep_s), (2, None));
    assert_eq!(manifest("label\n"), Err(trial::ManifestError::ColumnMissing("file")));
    assert_eq!(manifest(""), Err(trial::ManifestError::ColumnMissing("file")));
}

#[test]
fn names_of_codes_in_manifests_are_understood() {
    assert_eq!(sit_code("ic"), Some(SitCode::Coded(Sit::Intercept)));
    assert_eq!(sit_code("RO2"), Some(SitCode::Coded(Sit::ReorderInterLata)));
    assert_eq!(sit_code("nc''"), Some(SitCode::Coded(Sit::NoCircuitInterLata)));
    assert_eq!(sit_code("r1"), Some(SitCode::Coded(Sit::IneffectiveOther)));
    assert_eq!(sit_code("itu-low"), Some(SitCode::Uncoded));
    assert_eq!(sit_code("what"), None);
}

#[test]
fn scores_count_beeps_where_they_are_and_where_they_are_not() {
    let sound = all(&[speech(3_000, 2), silence(300), beep(1_000.0, -20.0, 400), silence(500)]);
    let heard = heard(&over(CLEAN, &sound));
    let mut score = Score::default();
    let recording = Recording { label: "machine".into(), ..Recording::default() };
    let known = Recording { beep_s: Some((3.3, 3.7)), ..recording.clone() };
    score.add(&known, &heard, ms(4_200));
    score.add(&recording, &heard, ms(4_200));
    assert_eq!((score.beeps_total, score.beeps_found, score.beeps_false), (1, 1, 1));
    assert!(score.beep_delay_s[0] <= 0.12, "{:?}", score.beep_delay_s);
}
