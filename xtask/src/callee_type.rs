//! Training of the model that tells people from machines by the timing of their speech.
//!
//! Deterministic: the same recordings and the same seed give the same table.

mod augment;
mod boost;
mod corpus;
mod random;
mod table;
mod validate;

use std::path::PathBuf;

use anyhow::{Result, bail};

use self::boost::Plan;
use self::corpus::Corpus;

/// How the shipped model is trained.
const PLAN: Plan = Plan { trees: 120, rate: 0.12, regular: 3.0, part: 0.6, seed: 20_261_121 };

/// Trains, shows how it does on units that were held back, and writes the table.
pub fn run(options: &[String]) -> Result<()> {
    let root = crate::root();
    let mut data = root.join("../shared/data/callee-type");
    let mut is_check = false;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match (option.as_str(), options.clone().next()) {
            ("--data", Some(dir)) => {
                data = PathBuf::from(dir);
                options.next();
            }
            ("--check", _) => is_check = true,
            (option, _) => bail!("there is no option {option}"),
        }
    }
    let corpus = Corpus::read(&data)?;
    println!("{} recordings of speech in {} units", corpus.clips.len(), corpus.units.len());
    let samples = corpus.samples(PLAN.seed);
    println!("{} samples", samples.len());
    let held_back = validate::cross_validate(&corpus, &samples, PLAN);
    validate::show(&corpus, &held_back);
    let model = held_back.calibrated(&samples, PLAN);
    let text = table::write(&model, &corpus, PLAN);
    if !is_check {
        let path = root.join("crates/media/src/classify/weights.rs");
        std::fs::write(&path, text)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
