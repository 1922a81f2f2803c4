//! The shipped model on recordings, where they are there: it must stay as good as it was.
//!
//! It has been trained with these recordings, so these figures are better than others would be;
//! docs/callee-type.md has those of recordings that were held back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use media::classify::MODEL;
use media::classify::trial::{Line, Score, listen, manifest, percentile, settings};
use media::g711::Law;
use media::sound::{Hint, Limits, Sound};

/// All recordings over one line; `None` if there are none on this machine.
#[expect(clippy::disallowed_methods, reason = "trials count from any moment")]
fn scored(noise_dbov: Option<f32>) -> Option<Score> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/callee-type");
    let Ok(text) = std::fs::read_to_string(dir.join("manifest.csv")) else {
        println!("skipped: no ../shared");
        return None;
    };
    let line = Line { noise_dbov, law: Some(Law::Mu) };
    let start = Instant::now();
    let mut score = Score::default();
    for (nth, recording) in manifest(&text).unwrap().iter().enumerate() {
        let bytes = std::fs::read(dir.join(&recording.file)).unwrap();
        let sound = Sound::read(&bytes, Hint::default(), &Limits::default()).unwrap();
        let mut samples = sound.at_rate(media::RATE_HZ).unwrap().samples().to_vec();
        line.send(&mut samples, nth as u64);
        let length = Duration::from_millis(samples.len() as u64 / 8);
        let heard = listen(&samples, settings(), &MODEL, start, None);
        if !media::classify::trial::is_right(&recording.label, heard.verdict.callee) {
            println!("{}: {:?}", recording.file, heard.verdict);
        }
        score.add(recording, &heard, length);
    }
    Some(score)
}

fn assert_good(score: &Score, people: f32, machines: f32) {
    let right = |label: &str| {
        let tally = &score.labels[label];
        println!(
            "{label}: {} of {}, decided {:?} {:?} s",
            tally.right,
            tally.total,
            percentile(&tally.decided_s, 0.5),
            percentile(&tally.decided_s, 0.95)
        );
        tally.right as f32 / tally.total as f32
    };
    assert!(right("human") >= people);
    assert!(right("machine") >= machines);
    for label in ["sit", "fax", "busy", "ringback", "music", "silence"] {
        assert!(right(label) >= 0.97);
    }
    assert_eq!((score.sit_code_right, score.sit_false), (score.sit_total, 0));
    assert_eq!(score.fax_false, 0);
    assert!(score.beeps_found * 100 >= score.beeps_total * 97, "{}", score.beeps_found);
    assert!(score.beeps_false as f32 <= score.beep_hours * 2.0, "{}", score.beeps_false);
    assert!(percentile(&score.beep_delay_s, 0.5).unwrap() <= 0.12);
    let decided = &score.labels["human"].decided_s;
    let at = |share| percentile(decided, share).unwrap();
    assert!(at(0.5) <= 1.8 && at(0.95) <= 3.5, "{} {}", at(0.5), at(0.95));
}

#[test]
fn recordings_over_a_clean_line_are_told_as_well_as_before() {
    if let Some(score) = scored(None) {
        assert_good(&score, 0.97, 0.9);
    }
}

#[test]
fn recordings_over_a_noisy_line_are_told_as_well_as_before() {
    if let Some(score) = scored(Some(-45.0)) {
        assert_good(&score, 0.97, 0.88);
    }
}
