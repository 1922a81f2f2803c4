//! Writes the trained model as Rust.

use std::fmt::Write as _;

use media::classify::{FEATURE_NAMES, Model};

use super::boost::Plan;
use super::corpus::Corpus;

/// The file `crates/media/src/classify/weights.rs`.
pub(super) fn write(model: &Model, corpus: &Corpus, plan: Plan) -> String {
    let people = corpus.clips.iter().filter(|entry| !entry.is_machine).count();
    let machines = corpus.clips.len() - people;
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line("//! The trained model of speech timing. Generated; do not edit.".into());
    line("//!".into());
    line("//! Program: `cargo run -p xtask -- train-callee-type`".into());
    line(format!(
        "//! Plan: {} trees, rate {}, regular {}, part {}, seed {}",
        plan.trees, plan.rate, plan.regular, plan.part, plan.seed
    ));
    line(format!(
        "//! Data: {people} people and {machines} machines in {} units, SHA-256",
        corpus.units.len()
    ));
    line(format!("//! {}", corpus.hash));
    line(format!("//! Features: {}", FEATURE_NAMES[..7].join(", ")));
    line(format!("//! {}", FEATURE_NAMES[7..].join(", ")));
    line(String::new());
    line("use super::model::{Model, Tree};".into());
    line(String::new());
    line("/// The model that is shipped.".into());
    line("#[rustfmt::skip]".into());
    line("pub static MODEL: Model = Model {".into());
    line("    trees: TREES,".into());
    line(format!("    base: {:?},", model.base));
    line(format!("    scale: {:?},", model.scale));
    line(format!("    shift: {:?},", model.shift));
    line(format!("    humans_above: &{:?},", model.humans_above));
    line("};".into());
    line(String::new());
    line("#[rustfmt::skip]".into());
    line("const TREES: &[Tree] = &[".into());
    for tree in model.trees {
        let mut row = String::new();
        let _ = write!(row, "    tree({:?}, {:?},", tree.features, tree.thresholds);
        line(row);
        line(format!("        {:?}),", tree.leaves));
    }
    line("];".into());
    line(String::new());
    line(
        "const fn tree(features: [u8; 3], thresholds: [f32; 3], leaves: [f32; 8]) -> Tree {".into(),
    );
    line("    Tree { features, thresholds, leaves }".into());
    line("}".into());
    text
}
