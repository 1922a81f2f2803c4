//! The score of a trial as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use media::classify::trial::{Heard, Recording, Score, Tally, percentile};
use media::classify::{Callee, SitCode};
use serde::Serialize;

use crate::terminal::table;

/// The score as a table.
pub(super) fn text(score: &Score) -> String {
    let head = ["what", "right", "of", "%", "at first", "decided s", "p95", "firm s", "p95"];
    let mut text = String::new();
    for tallies in [&score.labels, &score.sublabels, &score.tiers] {
        let rows: Vec<Vec<String>> = tallies.iter().map(|(name, tally)| row(name, tally)).collect();
        text.push_str(&table(&head, &rows));
        text.push('\n');
    }
    let rows: Vec<Vec<String>> = score
        .confusion
        .iter()
        .map(|(label, said)| {
            let said: Vec<String> =
                said.iter().map(|(name, count)| format!("{name} {count}")).collect();
            vec![label.clone(), said.join(", ")]
        })
        .collect();
    text.push_str(&table(&["label", "told to be"], &rows));
    let beeps = Beeps::of(score);
    text.push_str(&format!(
        "\n  beeps: {} of {} found, {} after their start, {} false in {:.2} h ({:.1} an hour)\n",
        beeps.found,
        beeps.total,
        seconds(beeps.delay_s_median),
        beeps.r#false,
        beeps.hours,
        beeps.false_per_hour,
    ));
    text.push_str(&format!(
        "  special information tones: {} of {} found, {} with the right code, {} false\n  \
         fax machines: {} false\n",
        score.sit_found, score.sit_total, score.sit_code_right, score.sit_false, score.fax_false,
    ));
    text
}

fn row(name: &str, tally: &Tally) -> Vec<String> {
    let at = |sorted: &[f32], share| seconds(percentile(sorted, share));
    vec![
        name.to_owned(),
        tally.right.to_string(),
        tally.total.to_string(),
        format!("{:.1}", tally.right as f32 * 100.0 / tally.total.max(1) as f32),
        tally.right_at_first.to_string(),
        at(&tally.decided_s, 0.5),
        at(&tally.decided_s, 0.95),
        at(&tally.firm_s, 0.5),
        at(&tally.firm_s, 0.95),
    ]
}

fn seconds(value: Option<f32>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.2}"))
}

/// A recording that was told wrong, in one line.
pub(super) fn wrong(recording: &Recording, heard: &Heard) -> String {
    format!(
        "{} is {}, told to be {}{} at {:.2} s ({:.2})",
        recording.file,
        recording.label,
        heard.verdict.callee.name(),
        code(heard.verdict.callee),
        heard.decided.as_secs_f32(),
        heard.verdict.probability,
    )
}

/// The code of special information tones, with a space before it; nothing for other callees.
pub(super) fn code(callee: Callee) -> String {
    match callee {
        Callee::Sit(SitCode::Coded(code)) => format!(" {code:?}"),
        Callee::Sit(SitCode::Uncoded) => " uncoded".into(),
        _ => String::new(),
    }
}

/// The score as programs read it; documented in docs/callee-type.md, it stays stable.
#[derive(Debug, Serialize)]
struct Figures<'a> {
    noise_dbov: Option<f32>,
    /// Whether words were read.
    words: bool,
    labels: BTreeMap<&'a str, Counts>,
    sublabels: BTreeMap<String, Counts>,
    tiers: BTreeMap<&'a str, Counts>,
    confusion: &'a BTreeMap<String, BTreeMap<&'static str, usize>>,
    beeps: Beeps,
    sit: SitCounts,
    fax: FaxCounts,
}

#[derive(Debug, Serialize)]
struct Counts {
    total: usize,
    right: usize,
    right_at_first: usize,
    decision_s_median: Option<f32>,
    decision_s_p95: Option<f32>,
    firm_s_median: Option<f32>,
    firm_s_p95: Option<f32>,
}

#[derive(Debug, Serialize)]
struct Beeps {
    total: usize,
    found: usize,
    r#false: usize,
    hours: f32,
    false_per_hour: f32,
    delay_s_median: Option<f32>,
    delay_s_p95: Option<f32>,
}

#[derive(Debug, Serialize)]
struct SitCounts {
    total: usize,
    found: usize,
    code_right: usize,
    r#false: usize,
}

#[derive(Debug, Serialize)]
struct FaxCounts {
    r#false: usize,
}

impl Counts {
    fn of(tally: &Tally) -> Self {
        Self {
            total: tally.total,
            right: tally.right,
            right_at_first: tally.right_at_first,
            decision_s_median: percentile(&tally.decided_s, 0.5),
            decision_s_p95: percentile(&tally.decided_s, 0.95),
            firm_s_median: percentile(&tally.firm_s, 0.5),
            firm_s_p95: percentile(&tally.firm_s, 0.95),
        }
    }
}

impl Beeps {
    fn of(score: &Score) -> Self {
        Self {
            total: score.beeps_total,
            found: score.beeps_found,
            r#false: score.beeps_false,
            hours: score.beep_hours,
            false_per_hour: score.beeps_false as f32 / score.beep_hours.max(1e-6),
            delay_s_median: percentile(&score.beep_delay_s, 0.5),
            delay_s_p95: percentile(&score.beep_delay_s, 0.95),
        }
    }
}

/// The score as JSON.
pub(super) fn json(score: &Score, noise_dbov: Option<f32>, words: bool) -> String {
    let counts = |tallies: &'_ BTreeMap<String, Tally>| -> BTreeMap<String, Counts> {
        tallies.iter().map(|(name, tally)| (name.clone(), Counts::of(tally))).collect()
    };
    let short = |name: &str| name.split_once('/').map_or(name, |(_, short)| short).to_owned();
    let mut sublabels = BTreeMap::new();
    for (name, counts) in counts(&score.sublabels) {
        // A name of two labels keeps its label.
        let twins = score.sublabels.keys().filter(|other| short(other) == short(&name)).count();
        sublabels.insert(if twins == 1 { short(&name) } else { name }, counts);
    }
    let figures = Figures {
        noise_dbov,
        words,
        labels: score.labels.iter().map(|(name, t)| (name.as_str(), Counts::of(t))).collect(),
        sublabels,
        tiers: score.tiers.iter().map(|(name, t)| (name.as_str(), Counts::of(t))).collect(),
        confusion: &score.confusion,
        beeps: Beeps::of(score),
        sit: SitCounts {
            total: score.sit_total,
            found: score.sit_found,
            code_right: score.sit_code_right,
            r#false: score.sit_false,
        },
        fax: FaxCounts { r#false: score.fax_false },
    };
    serde_json::to_string_pretty(&figures).expect("numbers and names can be written")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use media::classify::Verdict;

    use super::*;

    fn scored() -> Score {
        let mut score = Score::default();
        for (label, sublabel, callee, decided_ms) in [
            ("human", "hello", Callee::Human, 1_000),
            ("human", "hello", Callee::Machine, 2_000),
            ("machine", "us", Callee::Machine, 3_000),
            ("busy", "us", Callee::Reorder, 1_500),
        ] {
            let verdict =
                Verdict { callee, probability: 0.9, at: Duration::from_secs(4), is_firm: true };
            let decided = Duration::from_millis(decided_ms);
            let heard = Heard { verdict, decided, firm: verdict.at, first: None, beeps: vec![] };
            let recording = Recording {
                file: "a.wav".into(),
                label: label.into(),
                sublabel: sublabel.into(),
                tier: "B".into(),
                ..Recording::default()
            };
            score.add(&recording, &heard, Duration::from_secs(36));
        }
        score
    }

    #[test]
    fn json_has_what_programs_ask_for() {
        let json: serde_json::Value =
            serde_json::from_str(&json(&scored(), Some(-45.0), false)).unwrap();
        assert_eq!(json["labels"]["human"]["total"], 2);
        assert_eq!(json["labels"]["human"]["right"], 1);
        assert_eq!(json["labels"]["human"]["decision_s_median"], 1.0);
        assert_eq!(json["sublabels"]["hello"]["total"], 2);
        assert_eq!(json["sublabels"]["busy/us"]["right"], 1);
        assert_eq!(json["sublabels"]["machine/us"]["right"], 1);
        assert_eq!(json["beeps"]["false_per_hour"], 0.0);
        assert_eq!(json["sit"]["total"], 0);
        assert_eq!(json["confusion"]["human"]["machine"], 1);
    }

    #[test]
    fn the_table_tells_labels_sublabels_and_tiers() {
        let text = text(&scored());
        for part in ["human/hello", "human/B", "50.0", "machine 1", "0 of 0 found"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
