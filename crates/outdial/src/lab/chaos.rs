//! `outdial lab chaos`: faults on the real program, judged by the carrier's and the customer's records.
//!
//! Server, carrier and customer are processes of their own; the server never judges itself. Each
//! fault is tried with several seeds, which choose the moments.

mod fault;
mod judge;
mod run;
mod strike;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use self::fault::{FAULTS, Fault};
use self::judge::Verdict;
use self::run::{Outcome, Scene};
use crate::cli::EXIT_FAILED;
use crate::terminal;

/// Which faults, and how often.
///
/// Exit codes: 0 nothing is wrong, 1 something is, 2 wrong command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these faults; can be given several times. --list names them.
    #[arg(long, value_name = "NAME")]
    fault: Vec<String>,
    /// Runs of each fault.
    #[arg(long, default_value_t = 3, value_name = "N")]
    seeds: u64,
    /// First seed; a failure names the one that it had.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Calls of each run.
    #[arg(long, default_value_t = 40, value_name = "N")]
    calls: usize,
    /// Write the figures into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say which faults there are.
    #[arg(long)]
    list: bool,
}

/// The figures of all runs.
#[derive(Debug, Default, Serialize)]
struct Figures {
    runs: usize,
    skipped: Vec<String>,
    rung_twice: usize,
    results_lost: usize,
    results_changed: usize,
    caps_broken: usize,
    outside_window: usize,
    orphans: usize,
    in_doubt: usize,
    calls: usize,
    /// Longest time from the end of a fault to the next sign of life.
    recovery_s: f64,
    faults: Vec<FaultFigures>,
}

/// The figures of a fault.
#[derive(Debug, Serialize)]
struct FaultFigures {
    name: &'static str,
    seed: u64,
    recovery_s: Option<f64>,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Tries them all.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        for fault in FAULTS {
            println!("{:<18} {}", fault.name, fault.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut figures = Figures::default();
    let mut rows = Vec::new();
    for fault in chosen(&options.fault)? {
        for seed in options.seed..options.seed + options.seeds {
            eprint!("{:<18} seed {seed}: ", fault.name);
            match Scene::play(fault, seed, options.calls).await? {
                Outcome::Skipped(why) => {
                    eprintln!("skipped: {why}");
                    figures.skipped.push(format!("{}: {why}", fault.name));
                    break;
                }
                Outcome::Judged { verdict, recovery_s } => {
                    let word = if verdict.is_good() { "good" } else { "WRONG" };
                    let recovery =
                        recovery_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.1}"));
                    let doubt = verdict.in_doubt;
                    eprintln!("{word}, {doubt} in doubt, recovery {recovery} s");
                    verdict.complaints.iter().for_each(|complaint| eprintln!("  {complaint}"));
                    rows.push(row(fault, seed, &verdict, &recovery));
                    figures.add(fault, seed, recovery_s, verdict);
                }
            }
        }
    }
    let head =
        ["fault", "seed", "calls", "rung twice", "lost", "caps", "window", "doubt", "recovery s"];
    println!("{}", terminal::table(&head, &rows));
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if figures.is_good() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Fault>> {
    if names.is_empty() {
        return Ok(FAULTS.iter().collect());
    }
    let find = |name: &String| match FAULTS.iter().find(|fault| fault.name == name) {
        Some(fault) => Ok(fault),
        None => bail!("no fault is called {name}, --list names them"),
    };
    names.iter().map(find).collect()
}

fn row(fault: &Fault, seed: u64, verdict: &Verdict, recovery: &str) -> Vec<String> {
    let numbers = [
        verdict.calls,
        verdict.rung_twice,
        verdict.results_lost + verdict.results_changed,
        verdict.caps_broken,
        verdict.outside_window,
        verdict.in_doubt,
    ];
    let mut row = vec![fault.name.to_owned(), seed.to_string()];
    row.extend(numbers.iter().map(ToString::to_string));
    row.push(recovery.to_owned());
    row
}

impl Figures {
    fn add(&mut self, fault: &Fault, seed: u64, recovery_s: Option<f64>, verdict: Verdict) {
        self.runs += 1;
        self.rung_twice += verdict.rung_twice;
        self.results_lost += verdict.results_lost;
        self.results_changed += verdict.results_changed;
        self.caps_broken += verdict.caps_broken;
        self.outside_window += verdict.outside_window;
        self.orphans += verdict.orphans;
        self.in_doubt += verdict.in_doubt;
        self.calls += verdict.calls;
        self.recovery_s = self.recovery_s.max(recovery_s.unwrap_or_default());
        self.faults.push(FaultFigures { name: fault.name, seed, recovery_s, verdict });
    }

    fn is_good(&self) -> bool {
        self.faults.iter().all(|fault| fault.verdict.is_good())
    }
}
