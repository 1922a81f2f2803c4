//! `make sim`: days of calls in virtual time, as many as are asked for; a failure names its seed.
//!
//! `days [DAYS [FIRST_SEED]] [--json FILE]`; exit code 1 where a checker complains.

use std::collections::BTreeMap;
use std::process::ExitCode;

use sim::checkers::Kind;
use sim::world::World;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (mut numbers, mut json) = (Vec::new(), None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => json = words.next(),
            word => numbers.push(word.parse::<u64>().expect("days and seeds are numbers")),
        }
    }
    let days = numbers.first().copied().unwrap_or(10_000);
    let first = numbers.get(1).copied().unwrap_or(0);
    let mut wrong: BTreeMap<Kind, usize> = BTreeMap::new();
    let (mut calls, mut contacts, mut in_doubt, mut crashes) = (0, 0, 0, 0);
    for seed in first..first + days {
        let day = World::play(seed);
        calls += day.calls;
        contacts += day.contacts;
        in_doubt += day.in_doubt;
        crashes += day.crashes;
        if let Some(complaint) = day.complaints.first() {
            println!("seed {seed}: {} complaints, first: {}", day.complaints.len(), complaint.what);
        }
        for complaint in day.complaints {
            *wrong.entry(complaint.kind).or_default() += 1;
        }
        if (seed - first + 1).is_multiple_of(1_000) {
            println!("{} days, {calls} calls, {crashes} crashes", seed - first + 1);
        }
    }
    let of = |kind| wrong.get(&kind).copied().unwrap_or(0);
    let figures = format!(
        "{{\"runs\": {days}, \"calls\": {calls}, \"contacts\": {contacts}, \
         \"crashes\": {crashes}, \"rung_twice\": {}, \"results_lost\": {}, \"caps_broken\": {}, \
         \"outside_window\": {}, \"broken\": {}, \"in_doubt\": {in_doubt}}}",
        of(Kind::RungTwice),
        of(Kind::Results),
        of(Kind::Caps),
        of(Kind::Window),
        of(Kind::Broken)
    );
    println!("{figures}");
    if let Some(file) = json {
        std::fs::write(file, figures).expect("the file can be written");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
