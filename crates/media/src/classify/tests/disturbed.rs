//! Sound as bad lines and hostile senders make it: it changes no verdict, and nothing stops it.

use super::*;

/// A short answer, a greeting that goes on, and a tone, each sent over a telephone, with the verdict
/// that they must have whatever happens to them on the way.
fn known_sounds() -> [(Vec<i16>, Callee); 4] {
    let hello = over(CLEAN, &all(&[silence(400), speech(600, 4), silence(6_000)]));
    let greeting = over(CLEAN, &all(&[silence(400), speech(9_000, 4)]));
    let busy = over(CLEAN, &tone(Tone::busy(), 6_000));
    let fax = over(CLEAN, &tone(Tone::ced(), 3_000));
    [(hello, Callee::Human), (greeting, Callee::Machine), (busy, Callee::Busy), (fax, Callee::Fax)]
}

fn assert_verdicts_stay(what: &str, change: impl Fn(&[i16]) -> Vec<i16>) {
    for (sound, callee) in known_sounds() {
        assert_eq!(heard(&change(&sound)).verdict.callee, callee, "{what}");
    }
}

/// Frames lost as this seed has it, three of a hundred.
fn lossy(samples: &[i16], seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut samples = samples.to_vec();
    for frame in samples.chunks_mut(FRAME_SAMPLES) {
        if random.next_u64() % 100 < 3 {
            frame.fill(0);
        }
    }
    samples
}

#[test]
fn clocks_that_drift_change_no_verdict() {
    // 500 in a million is five times what RFC 3550 senders are known for.
    for speed in [1.0005f32, 0.9995] {
        assert_verdicts_stay(&format!("clock at {speed}"), |samples| {
            let count = (samples.len() as f32 / speed) as usize - 1;
            (0..count).map(|at| samples[(at as f32 * speed) as usize]).collect()
        });
    }
}

#[test]
fn three_frames_lost_of_a_hundred_change_no_verdict() {
    for (sound, callee) in known_sounds() {
        for seed in 1..=20 {
            assert_eq!(heard(&lossy(&sound, seed)).verdict.callee, callee, "lost by {seed}");
        }
    }
}

#[test]
fn information_tones_with_a_hole_in_them_are_told_all_the_same() {
    // Lost frames in a row; the least parts in a thousand that are told, and with their code. A
    // hole at an edge makes a tone so much shorter that it may be another's.
    for (frames, told_min, right_min) in
        [(1, 1_000, 1_000), (2, 1_000, 1_000), (3, 1_000, 950), (4, 940, 850), (5, 910, 790)]
    {
        let (mut told, mut right, mut holes) = (0, 0, 0);
        for code in Sit::ALL {
            let sit = all(&[silence(300), tone(Tone::sit(code), 1_200), speech(2_000, 5)]);
            let sit = over(CLEAN, &sit);
            for first in 15..55 {
                let mut samples = sit.clone();
                samples[first * FRAME_SAMPLES..][..frames * FRAME_SAMPLES].fill(0);
                let callee = heard(&samples).verdict.callee;
                told += usize::from(matches!(callee, Callee::Sit(_)));
                right += usize::from(callee == Callee::Sit(SitCode::Coded(code)));
                holes += 1;
            }
        }
        assert!(told * 1_000 >= holes * told_min, "{frames} lost: {told} of {holes} told");
        assert!(right * 1_000 >= holes * right_min, "{frames} lost: {right} of {holes} right");
    }
}

#[test]
fn clipping_changes_no_verdict() {
    for (gain, most) in [(4, 20_000), (4, i16::MAX), (12, i16::MAX)] {
        assert_verdicts_stay(&format!("{gain} times, up to {most}"), |samples| {
            samples.iter().map(|s| s.saturating_mul(gain).clamp(-most, most)).collect()
        });
    }
}

#[test]
fn direct_current_changes_no_verdict() {
    for shift in [-6_000, -300, 300, 6_000] {
        assert_verdicts_stay(&format!("shifted by {shift}"), |samples| {
            samples.iter().map(|sample| sample.saturating_add(shift)).collect()
        });
    }
}

#[test]
fn nothing_but_direct_current_or_full_scale_is_nobody() {
    for level in [0, 1, -1, 6_000, i16::MAX, i16::MIN] {
        let heard = heard(&vec![level; 8_000 * 7]);
        assert_eq!(heard.verdict.callee, Callee::Silence, "{level}");
    }
    let square: Vec<i16> =
        (0..8_000 * 7).map(|at| if at % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let verdict = heard(&square).verdict;
    assert!(!matches!(verdict.callee, Callee::Human | Callee::Machine), "{verdict:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sound_in_any_frames_ends_in_one_last_word(
        frames in prop::collection::vec(prop::collection::vec(any::<i16>(), 0..200), 0..300),
        loud in any::<i16>(),
        answered in 0usize..50,
    ) {
        let now = start();
        let mut classifier = Classifier::new(trial::settings());
        let mut finished = 0;
        for (nth, frame) in frames.iter().enumerate() {
            if nth == answered {
                classifier.handle(now, Input::Answered);
            }
            let flat = [loud; FRAME_SAMPLES];
            let frame = if nth % 7 == 0 { &flat[..] } else { frame };
            classifier.handle(now + ms(20 * nth as u64), Input::Frame(frame));
            let verdict = classifier.verdict();
            prop_assert!((0.0..=1.0).contains(&verdict.probability), "{:?}", verdict);
            while let Some(effect) = classifier.poll() {
                finished += usize::from(matches!(effect, Effect::Finished(_)));
            }
        }
        classifier.handle(now, Input::Stop);
        classifier.handle(now, Input::Stop);
        while let Some(effect) = classifier.poll() {
            finished += usize::from(matches!(effect, Effect::Finished(_)));
        }
        prop_assert_eq!(finished, 1);
    }

    #[test]
    fn any_bytes_of_either_law_are_heard_to_the_end(
        bytes in prop::collection::vec(any::<u8>(), 0..20_000),
        law in prop::sample::select(vec![Law::A, Law::Mu]),
    ) {
        let samples: Vec<i16> = bytes.iter().map(|byte| law.decode(*byte)).collect();
        let heard = heard(&samples);
        prop_assert!(heard.decided <= heard.verdict.at.max(heard.decided));
    }
}
