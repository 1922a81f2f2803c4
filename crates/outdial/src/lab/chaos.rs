//! `outdial lab chaos`: faults on the real program, judged by the carrier's and the customer's records.
//!
//! Server, carrier and customer are processes of their own; the server never judges itself. Each
//! fault is tried with several seeds, which choose the moments.

mod cluster;
mod database;
mod fault;
mod fleet;
mod judge;
mod node;
mod road;
mod run;
mod strike;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures_util::StreamExt;
use serde::Serialize;

use self::fault::{FAULTS, Fault, MEASURES};
use self::fleet::FleetFigures;
use self::judge::Verdict;
use self::run::{Outcome, Plan, Scene};
use crate::cli::EXIT_FAILED;
use crate::terminal;

/// Complaints shown of a run, beside the last one, which names its folder; the report has all.
const COMPLAINTS_MAX: usize = 8;

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
    /// Calls of each run; several servers have twenty times as many.
    #[arg(long, default_value_t = 40, value_name = "N")]
    calls: usize,
    /// Runs at the same time; their times say less the more there are.
    #[arg(long, default_value_t = 3, value_name = "N")]
    at_once: usize,
    /// Calls per second that the carrier allows.
    #[arg(long, value_name = "N")]
    calls_per_second: Option<usize>,
    /// Calls at the same time that the carrier allows.
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
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
    /// How several servers did.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetFigures>,
    /// What is worth telling of the fault.
    notes: Vec<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Tries them all.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        for fault in FAULTS.iter().chain(MEASURES) {
            println!("{:<18} {}", fault.name, fault.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Options { calls, calls_per_second, slots, .. } = *options;
    let plan = Plan { calls, calls_per_second, slots };
    let seeds = options.seed..options.seed + options.seeds;
    let faults = chosen(&options.fault)?;
    let runs = faults.iter().flat_map(|fault| seeds.clone().map(move |seed| (*fault, seed)));
    // As they end, so that a long one holds nobody up.
    let played = futures_util::stream::iter(runs)
        .map(|(fault, seed)| async move { (fault, seed, Scene::play(fault, seed, plan).await) })
        .buffer_unordered(options.at_once.max(1));
    let mut played = std::pin::pin!(played);
    let mut figures = Figures::default();
    while let Some((fault, seed, outcome)) = played.next().await {
        eprint!("{:<18} seed {seed}: ", fault.name);
        match outcome {
            Ok(Outcome::Skipped(why)) => {
                eprintln!("skipped: {why}");
                figures.skip(format!("{}: {why}", fault.name));
            }
            Ok(Outcome::Judged { verdict, recovery_s, fleet, notes }) => {
                let name = fault.name;
                figures.add(FaultFigures { name, seed, recovery_s, fleet, notes, verdict });
            }
            Err(error) => {
                let complaints = vec![format!("not played: {error:#}")];
                let verdict = Verdict { complaints, ..Verdict::default() };
                let (name, notes) = (fault.name, Vec::new());
                let fleet = None;
                figures.add(FaultFigures { name, seed, recovery_s: None, fleet, notes, verdict });
            }
        }
    }
    let place = |name| faults.iter().position(|fault| fault.name == name);
    figures.faults.sort_by_key(|run| (place(run.name), run.seed));
    let head =
        ["fault", "seed", "calls", "rung twice", "lost", "caps", "window", "doubt", "recovery s"];
    let rows: Vec<Vec<String>> = figures.faults.iter().map(FaultFigures::row).collect();
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
    let known = || FAULTS.iter().chain(MEASURES);
    let find = |name: &String| match known().find(|fault| fault.name == name) {
        Some(fault) => Ok(fault),
        None => bail!("no fault is called {name}, --list names them"),
    };
    names.iter().map(find).collect()
}

impl FaultFigures {
    fn recovery(&self) -> String {
        self.recovery_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.1}"))
    }

    /// Says how the run went.
    fn tell(&self) {
        let Self { verdict, fleet, notes, .. } = self;
        let word = if verdict.is_good() { "good" } else { "WRONG" };
        eprintln!("{word}, {} in doubt, recovery {} s", verdict.in_doubt, self.recovery());
        fleet.iter().for_each(|fleet| eprintln!("  {fleet}"));
        let complaints = verdict.complaints.iter();
        let last = complaints.clone().skip(COMPLAINTS_MAX).last();
        let shown = complaints.take(COMPLAINTS_MAX).chain(last);
        notes.iter().chain(shown).for_each(|line| eprintln!("  {line}"));
    }

    fn row(&self) -> Vec<String> {
        let verdict = &self.verdict;
        let numbers = [
            verdict.calls,
            verdict.rung_twice,
            verdict.results_lost + verdict.results_changed,
            verdict.caps_broken,
            verdict.outside_window,
            verdict.in_doubt,
        ];
        let mut row = vec![self.name.to_owned(), self.seed.to_string()];
        row.extend(numbers.iter().map(ToString::to_string));
        row.push(self.recovery());
        row
    }
}

impl Figures {
    fn add(&mut self, figures: FaultFigures) {
        let verdict = &figures.verdict;
        self.runs += 1;
        self.rung_twice += verdict.rung_twice;
        self.results_lost += verdict.results_lost;
        self.results_changed += verdict.results_changed;
        self.caps_broken += verdict.caps_broken;
        self.outside_window += verdict.outside_window;
        self.orphans += verdict.orphans;
        self.in_doubt += verdict.in_doubt;
        self.calls += verdict.calls;
        self.recovery_s = self.recovery_s.max(figures.recovery_s.unwrap_or_default());
        figures.tell();
        self.faults.push(figures);
    }

    fn skip(&mut self, why: String) {
        if !self.skipped.contains(&why) {
            self.skipped.push(why);
        }
    }

    fn is_good(&self) -> bool {
        self.faults.iter().all(|fault| fault.verdict.is_good())
    }
}
