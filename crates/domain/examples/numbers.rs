//! What it costs to know a number: `cargo run --release -p outdial-domain --example numbers`.

#![expect(clippy::disallowed_methods, reason = "an example that measures looks at a clock")]

use std::hint::black_box;
use std::time::Instant;

use domain::calling_hours::{Hours, RuleBook};
use domain::caps::{PastCall, next_allowed};
use domain::number::canonical::Canonical;
use domain::region::Country;
use domain::time::Timestamp;
use domain::zones::{Atlas, Hint, Home, Place, Placing};

/// Numbers that are measured: all area codes of the table, with lines that differ.
const NUMBERS: usize = 20_000;

fn main() {
    let began = Instant::now();
    let atlas = Atlas::built_in();
    let book = RuleBook::built_in();
    let home = Home { country: Country::US, zone: None };
    println!("tables and rules read once {:>9.2?}", began.elapsed());
    let began = Instant::now();
    black_box(Canonical::of("+16175551234", home.country));
    println!("metadata of numbers read once {:>6.2?}", began.elapsed());

    let prefixes: Vec<u32> =
        atlas.regions().iter().flat_map(|facts| facts.prefixes.iter().copied()).collect();
    let texts: Vec<String> = prefixes
        .iter()
        .cycle()
        .zip(0..NUMBERS)
        .map(|(prefix, line)| format!("+{prefix}{}{:04}", 234 + line % 700, line % 10_000))
        .collect();
    let numbers: Vec<Canonical> =
        each("canonical form", &texts, |text| Canonical::of(text, home.country));
    let national: Vec<&str> = texts.iter().map(|text| &text[2..]).collect();
    each("canonical form, national", &national, |text| Canonical::of(text, home.country));
    let place = |number: &Canonical| atlas.place(number, &Hint::NONE, Placing::default(), &home);
    let places: Vec<Place> = each("zones and regions", &numbers, place);
    // Sat 2026-11-21 15:00 UTC, and 03:00 UTC of the night after it.
    let (day, night) =
        (Timestamp::from_seconds(1_795_273_200), Timestamp::from_seconds(1_795_316_400));
    let own = Hours::parse("mon-sat 9-20").expect("these are hours");
    each("hours, by day", &places, |place| book.permitted(day, place, Some(&own)));
    each("hours, by night", &places, |place| book.permitted(night, place, Some(&own)));
    each("hours with every check", &places, |place| book.weigh(night, place, Some(&own)));
    let past: Vec<PastCall> = (1..=20)
        .map(|hours: i64| PastCall {
            begun_at: Timestamp::from_seconds(1_795_273_200 - hours * 3_600),
            ended_at: None,
            is_counted: true,
            is_conversation: hours == 20,
        })
        .collect();
    let asked = ["us-debts".to_owned()];
    each("caps over 20 calls", &places, |place| {
        next_allowed(&past, day, book.caps_for(place, &asked), &place.zones)
    });
}

/// Does `work` with each of `inputs` and prints what one costs.
fn each<I, O>(what: &str, inputs: &[I], mut work: impl FnMut(&I) -> O) -> Vec<O> {
    let began = Instant::now();
    let outputs: Vec<O> = inputs.iter().map(|input| black_box(work(input))).collect();
    let nanos = began.elapsed().as_nanos() / inputs.len().max(1) as u128;
    println!("{what:<26} {:>9.2} µs each", nanos as f64 / 1_000.0);
    outputs
}
