//! How the model does on units that it was not trained with, and what its answers mean.

use std::time::{Duration, Instant};

use media::classify::trial::{Line, Recording, Score, listen, percentile, settings};
use media::classify::{Firm, Model, Tree, decides_for_person};
use media::g711::Law;

use super::boost::{Plan, Sample, train};
use super::corpus::Corpus;
use super::random::Random;

/// Parts that the units are divided into; each is held back once.
const FOLDS: usize = 10;
/// Shares of people for which a threshold is stored, falling.
const SHARES: [f32; 7] = [0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005];

/// Part of the allowed people who may be taken for machines in their first phrase, and in later
/// ones. Together they are more than all: those that training makes up say long sentences and go on
/// after pauses far more often than those who were recorded, of whom no more than allowed are taken.
const FIRST_PART: f32 = 0.6;
const LATER_PART: f32 = 0.8;
/// The same part in their first phrase where much was said and no words of machines were found in
/// it. With 0.54 one machine in 158 is lost, and no more of those who speak long are won.
const UNSAID_PART: f32 = 0.57;

/// Models that have not seen one part of the units each, and what they say of it.
pub(super) struct HeldBack {
    folds: Vec<usize>,
    models: Vec<(&'static [Tree], f32)>,
    scale: f32,
    shift: f32,
    firm: &'static [Firm],
    /// Thresholds found without one part of the units each, to score that part by.
    firm_without: Vec<&'static [Firm]>,
}

/// Which part each unit belongs to: the largest units first, each to the part that is smallest.
fn folds(corpus: &Corpus) -> Vec<usize> {
    let count = |unit: usize, machine: bool| {
        corpus.clips.iter().filter(|e| e.unit == unit && e.is_machine == machine).count()
    };
    let mut order: Vec<usize> = (0..corpus.units.len()).collect();
    order.sort_by_key(|unit| std::cmp::Reverse(count(*unit, true) + count(*unit, false)));
    let mut sizes = [[0usize; 2]; FOLDS];
    let mut folds = vec![0; order.len()];
    for unit in order {
        let (machines, people) = (count(unit, true), count(unit, false));
        let key = |fold: &usize| sizes[*fold][0] * machines + sizes[*fold][1] * people;
        let fold = (0..FOLDS).min_by_key(key).unwrap_or_default();
        sizes[fold][0] += machines;
        sizes[fold][1] += people;
        folds[unit] = fold;
    }
    folds
}

/// Trains once for each part, without it.
pub(super) fn cross_validate(corpus: &Corpus, samples: &[Sample], plan: Plan) -> HeldBack {
    let folds = folds(corpus);
    let fold_of = |sample: &Sample| folds[corpus.clips[sample.group as usize].unit];
    let one = |fold: usize| {
        let seen: Vec<Sample> = samples.iter().filter(|s| fold_of(s) != fold).copied().collect();
        let (trees, base) = train(&seen, plan);
        (&*trees.leak(), base)
    };
    let models: Vec<(&'static [Tree], f32)> = std::thread::scope(|scope| {
        let one = &one;
        let odd = scope.spawn(move || (1..FOLDS).step_by(2).map(one).collect::<Vec<_>>());
        let even: Vec<_> = (0..FOLDS).step_by(2).map(one).collect();
        let odd = odd.join().expect("training does not panic");
        (0..FOLDS).map(|f| if f % 2 == 0 { even[f / 2] } else { odd[f / 2] }).collect()
    });
    let margins: Vec<f32> = samples
        .iter()
        .map(|sample| {
            let (trees, base) = models[fold_of(sample)];
            let model = Model { trees, base, scale: 1.0, shift: 0.0, firm: &[] };
            model.margin(&sample.features)
        })
        .collect();
    let (scale, shift) = calibrate(samples, &margins);
    let chances: Vec<f32> =
        margins.iter().map(|margin| 1.0 / (1.0 + (-(scale * margin + shift)).exp())).collect();
    let firm_without = (0..FOLDS).map(|fold| {
        let others = samples.iter().copied().zip(chances.iter().copied());
        let others = others.filter(|(sample, _)| fold_of(sample) != fold);
        let (others, chances): (Vec<Sample>, Vec<f32>) = others.unzip();
        &*firm(&others, &chances).leak()
    });
    let firm_without = firm_without.collect();
    let firm = &*firm(samples, &chances).leak();
    HeldBack { folds, models, scale, shift, firm, firm_without }
}

/// Scale and shift that make the chances true (Platt, 1999), by Newton's method.
fn calibrate(samples: &[Sample], margins: &[f32]) -> (f32, f32) {
    let (mut scale, mut shift) = (1.0f64, 0.0f64);
    for _ in 0..30 {
        let (mut gradient, mut matrix) = ([0.0f64; 2], [1e-6f64, 0.0, 1e-6]);
        for (sample, margin) in samples.iter().zip(margins) {
            let (margin, weight) = (f64::from(*margin), f64::from(sample.weight));
            let chance = 1.0 / (1.0 + (-(scale * margin + shift)).exp());
            let off = weight * (chance - f64::from(u8::from(sample.is_machine)));
            let curve = weight * chance * (1.0 - chance);
            gradient[0] += off * margin;
            gradient[1] += off;
            matrix[0] += curve * margin * margin;
            matrix[1] += curve * margin;
            matrix[2] += curve;
        }
        let determinant = matrix[0] * matrix[2] - matrix[1] * matrix[1];
        scale -= (matrix[2] * gradient[0] - matrix[1] * gradient[1]) / determinant;
        shift -= (matrix[0] * gradient[1] - matrix[1] * gradient[0]) / determinant;
    }
    (scale as f32, shift as f32)
}

/// From which chances on a machine is firm: what people's clips reach while it matters, until a
/// pause decides for a person, and as long as that may be revised.
fn firm(samples: &[Sample], chances: &[f32]) -> Vec<Firm> {
    let window_s = settings().revise_within.as_secs_f32();
    let pause_least = settings().person_pause;
    // Highest chance in the first phrase and in later ones, and when a person was decided.
    let mut clips = std::collections::BTreeMap::<u32, ([f32; 2], Option<f32>)>::new();
    for (sample, chance) in samples.iter().zip(chances).filter(|(s, _)| !s.is_machine) {
        let [since, _, pause, _, phrases, ..] = sample.features;
        let (highest, decided) = clips.entry(sample.clip).or_default();
        if decided.is_some_and(|at| since > at + window_s) {
            continue;
        }
        let slot = &mut highest[usize::from(phrases > 1.0)];
        *slot = slot.max(*chance);
        if decided.is_none() && decides_for_person(pause, *chance, pause_least) {
            *decided = Some(since);
        }
    }
    let sorted = |which: usize| {
        let mut highest: Vec<f32> = clips.values().map(|(highest, _)| highest[which]).collect();
        highest.sort_by(f32::total_cmp);
        highest
    };
    let (first, later) = (sorted(0), sorted(1));
    let at = |highest: &[f32], share: f32| {
        (percentile(highest, 1.0 - share).unwrap_or(1.0) * 1e4).ceil() / 1e4
    };
    let one = |share: &f32| Firm {
        share: *share,
        first: at(&first, *share * FIRST_PART),
        unsaid: at(&first, *share * UNSAID_PART),
        later: at(&later, *share * LATER_PART),
    };
    SHARES.iter().map(one).collect()
}

impl HeldBack {
    /// The model and the thresholds that have not seen this part.
    fn model(&self, fold: usize) -> &'static Model {
        let Self { scale, shift, .. } = *self;
        let ((trees, base), firm) = (self.models[fold], self.firm_without[fold]);
        Box::leak(Box::new(Model { trees, base, scale, shift, firm }))
    }

    /// The model trained with everything, calibrated by those that were not.
    pub(super) fn calibrated(&self, samples: &[Sample], plan: Plan) -> Model {
        let (trees, base) = train(samples, plan);
        let Self { scale, shift, firm, .. } = *self;
        Model { trees: trees.leak(), base, scale, shift, firm }
    }
}

/// Prints how the models do on what they have not seen, over two lines.
#[expect(clippy::disallowed_methods, reason = "trials count from any moment")]
pub(super) fn show(corpus: &Corpus, held_back: &HeldBack) {
    println!(
        "scale {:.3}, shift {:.3}, thresholds {:?}",
        held_back.scale, held_back.shift, held_back.firm
    );
    let start = Instant::now();
    let models: Vec<&'static Model> = (0..FOLDS).map(|fold| held_back.model(fold)).collect();
    for (name, noise_dbov) in [("mu-law", None), ("noise -45 dBov", Some(-45.0))] {
        let line = Line { noise_dbov, law: Some(Law::Mu) };
        let (mut score, mut spliced) = (Score::default(), Score::default());
        let mut random = Random::new(7);
        let mut wrong = Vec::new();
        for (nth, entry) in corpus.clips.iter().enumerate() {
            let model = models[held_back.folds[entry.unit]];
            let mut one = |score: &mut Score, recording: &Recording, mut samples: Vec<i16>| {
                line.send(&mut samples, nth as u64);
                let heard = listen(&samples, settings(), model, start, None);
                let length = Duration::from_millis(samples.len() as u64 / 8);
                score.add(recording, &heard, length);
                if heard.verdict.callee.name() != recording.label {
                    let Recording { file, unit, .. } = recording;
                    let said = heard.verdict.callee.name();
                    let (at, chance) = (heard.decided.as_secs_f32(), heard.verdict.probability);
                    wrong.push(format!("  {file} {unit}: {said} at {at:.2}, {chance:.2}"));
                }
            };
            one(&mut score, &entry.recording, entry.clip.samples.clone());
            if entry.recording.sublabel == "phrase" {
                let clip = corpus.long(&entry.clip, nth, &mut random);
                let sublabel = "spliced".to_owned();
                let recording = Recording { sublabel, ..entry.recording.clone() };
                one(&mut spliced, &recording, clip.samples);
            }
        }
        println!("== {name}");
        print(&score);
        print(&spliced);
        println!("{}", wrong.join("\n"));
    }
}

fn print(score: &Score) {
    for (name, tally) in score.labels.iter().chain(&score.sublabels) {
        let at = |share| percentile(&tally.decided_s, share).unwrap_or(f32::NAN);
        let firm = |share| percentile(&tally.firm_s, share).unwrap_or(f32::NAN);
        println!(
            "{name:32} {:3}/{:3} {:5.1} % (at first {:3}) \
             decided {:.2} / {:.2} s, firm {:.2} / {:.2}",
            tally.right,
            tally.total,
            tally.right as f32 * 100.0 / tally.total as f32,
            tally.right_at_first,
            at(0.5),
            at(0.95),
            firm(0.5),
            firm(0.95),
        );
    }
    for (label, said) in &score.confusion {
        println!("{label}: {said:?}");
    }
    println!("beeps {}/{}, false {}", score.beeps_found, score.beeps_total, score.beeps_false);
}
