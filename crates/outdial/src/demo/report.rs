//! The demo's report: each result against what its callee really did.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::callees::Callee;
use super::customer::Customer;
use crate::terminal::table;

/// What was measured beside the results.
pub(super) struct Measured {
    /// The carrier's own record of calls.
    pub(super) calls: PathBuf,
    pub(super) cpu_s: f64,
    pub(super) duration: Duration,
    pub(super) memory_bytes_max: u64,
    pub(super) start_up: Duration,
}

/// The report; its fields are documented in docs/reports.md and stay stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    total: usize,
    right: usize,
    wrong: Vec<Wrong>,
    dialed: usize,
    answered: usize,
    keys_right: usize,
    keys_total: usize,
    duration_s: f64,
    start_up_s: f64,
    set_up_ms_median: f64,
    cpu_s: f64,
    cpu_s_per_1000_calls: f64,
    memory_bytes_max: u64,
    kinds: Vec<KindRow>,
}

/// A result that is missing or not what it should be.
#[derive(Debug, Serialize)]
struct Wrong {
    number: String,
    callee: String,
    expected: String,
    got: String,
}

/// What came of the callees that behave alike.
#[derive(Debug, Default, Serialize)]
struct KindRow {
    callee: String,
    calls: usize,
    attempts: u32,
    results: BTreeMap<String, usize>,
    right: usize,
}

/// What one callee's result says, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    result: String,
    callee_type: String,
    attempts: String,
    key: Option<String>,
}

impl Report {
    /// Compares what the customer was told with what the callees did.
    pub(super) fn make(callees: &[Callee], customer: &Customer, seen: &Measured) -> Result<Self> {
        let (results, keys) = (customer.results(), customer.keys());
        let carrier = carrier_calls(&seen.calls)?;
        let (mut wrong, mut kinds) = (Vec::new(), BTreeMap::<String, KindRow>::new());
        let (mut keys_right, mut keys_total) = (0, 0);
        for (nth, callee) in callees.iter().enumerate() {
            let posted = results.get(&callee.number).map(Vec::as_slice).unwrap_or_default();
            let key = keys.get(&format!("callee-{nth}")).cloned();
            if let Some(expected) = callee.key {
                keys_total += 1;
                keys_right += usize::from(key.as_deref() == Some(&expected.to_string()));
            }
            let mistake = judge(callee, posted, key, carrier.get(&callee.number).copied());
            let row = kinds.entry(callee.does.join(", then ")).or_default();
            row.calls += 1;
            row.attempts += carrier.get(&callee.number).copied().unwrap_or_default();
            let shown = posted.first().map_or_else(
                || "missing".to_owned(),
                |fields| {
                    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
                    format!("{} {}", field("result"), field("callee_type"))
                },
            );
            *row.results.entry(shown).or_default() += 1;
            row.right += usize::from(mistake.is_none());
            wrong.extend(mistake);
        }
        let kinds: Vec<KindRow> =
            kinds.into_iter().map(|(callee, row)| KindRow { callee, ..row }).collect();
        let dialed: u32 = carrier.values().sum();
        let completed = results.values().filter(|posted| {
            posted.iter().any(|fields| fields.get("result").is_some_and(|r| r == "Completed"))
        });
        Ok(Self {
            total: callees.len(),
            right: callees.len() - wrong.len(),
            wrong,
            dialed: usize::try_from(dialed).unwrap_or(usize::MAX),
            answered: completed.count(),
            keys_right,
            keys_total,
            duration_s: seen.duration.as_secs_f64(),
            start_up_s: seen.start_up.as_secs_f64(),
            set_up_ms_median: set_up_ms_median(&seen.calls)?,
            cpu_s: seen.cpu_s,
            cpu_s_per_1000_calls: seen.cpu_s / f64::from(dialed.max(1)) * 1_000.0,
            memory_bytes_max: seen.memory_bytes_max,
            kinds,
        })
    }

    /// Whether every result is there and right.
    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The report as JSON.
    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// The report for the terminal.
    pub(super) fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .kinds
            .iter()
            .map(|row| {
                let results: Vec<String> = row
                    .results
                    .iter()
                    .map(|(result, count)| format!("{count} × {result}"))
                    .collect();
                vec![
                    row.callee.clone(),
                    row.calls.to_string(),
                    row.attempts.to_string(),
                    results.join(", "),
                    format!("{} of {}", row.right, row.calls),
                ]
            })
            .collect();
        let mut text = table(&["callee does", "callees", "attempts", "results", "right"], &rows);
        text.push_str(&format!(
            "\n  {} of {} results right; {} attempts dialed, {} answered, {} of {} keys arrived\n",
            self.right, self.total, self.dialed, self.answered, self.keys_right, self.keys_total
        ));
        text.push_str(&format!(
            "  {:.1} s in all; first sound {:.0} ms after the answer (median); \
             {:.2} ms CPU per attempt; {:.0} MB memory at most\n",
            self.duration_s,
            self.set_up_ms_median,
            self.cpu_s_per_1000_calls,
            self.memory_bytes_max as f64 / 1e6
        ));
        for wrong in &self.wrong {
            let Wrong { number, callee, expected, got } = wrong;
            text.push_str(&format!(
                "  wrong: {number} ({callee}): expected {expected}, got {got}\n"
            ));
        }
        text
    }
}

fn judge(
    callee: &Callee,
    posted: &[BTreeMap<String, String>],
    key: Option<String>,
    rung: Option<u32>,
) -> Option<Wrong> {
    let wrong = |expected: String, got: String| Wrong {
        number: callee.number.clone(),
        callee: callee.does.join(", then "),
        expected,
        got,
    };
    let fields = match posted {
        [] => return Some(wrong("a result".into(), "none".into())),
        [fields] => fields,
        more => return Some(wrong("one result".into(), format!("{} results", more.len()))),
    };
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let told = Told {
        result: field("result"),
        // Who answered counts once detection is on.
        callee_type: callee.callee_type.map(|_| field("callee_type")).unwrap_or_default(),
        attempts: field("attempts"),
        key: callee.key.and(key),
    };
    let expected = Told {
        result: callee.result.into(),
        callee_type: callee.callee_type.unwrap_or_default().into(),
        attempts: callee.attempts.to_string(),
        key: callee.key.map(String::from),
    };
    if told != expected {
        return Some(wrong(format!("{expected:?}"), format!("{told:?}")));
    }
    // The carrier's own count decides how often the phone was really called.
    (rung != Some(callee.attempts))
        .then(|| wrong(format!("{} calls at the carrier", callee.attempts), format!("{rung:?}")))
}

/// How often the carrier was called, by number.
fn carrier_calls(path: &std::path::Path) -> Result<BTreeMap<String, u32>> {
    let mut calls = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        if entry["event"] == "invite" {
            let number = entry["number"].as_str().unwrap_or_default().to_owned();
            *calls.entry(number).or_default() += 1;
        }
    }
    Ok(calls)
}

/// Median time from an answer at the carrier to the first sound that it hears, in milliseconds.
fn set_up_ms_median(path: &std::path::Path) -> Result<f64> {
    let mut answered = BTreeMap::new();
    let mut times = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        let call = entry["call_id"].as_str().unwrap_or_default().to_owned();
        let at = entry["at_ms"].as_f64().unwrap_or_default();
        match entry["event"].as_str() {
            Some("answered") => drop(answered.insert(call, at)),
            Some("heard") => {
                times.extend(answered.remove(&call).map(|since| at - since));
            }
            _ => {}
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
