//! Writes the trained model as Rust.

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
    line(format!("//! Features: {}", FEATURE_NAMES[..5].join(", ")));
    line(format!("//! {}", FEATURE_NAMES[5..].join(", ")));
    line(String::new());
    line("use super::model::{Firm, Model, Tree};".into());
    line(String::new());
    line("/// The model that is shipped.".into());
    line("#[rustfmt::skip]".into());
    line("pub static MODEL: Model = Model {".into());
    line("    trees: TREES,".into());
    line(format!("    base: {:?},", model.base));
    line(format!("    scale: {:?},", model.scale));
    line(format!("    shift: {:?},", model.shift));
    line("    firm: &[".into());
    for firm in model.firm {
        line(format!("        {firm:?},"));
    }
    line("    ],".into());
    line("};".into());
    line(String::new());
    line("#[rustfmt::skip]".into());
    line("const TREES: &[Tree] = &[".into());
    for tree in model.trees {
        let milli = tree.thresholds.map(|value| (value * 1e3).round() as i16);
        line(format!("    tree({:?}, {milli:?},", tree.features));
        line(format!("        {:?}),", tree.leaves.map(|value| (value * 1e4).round() as i16)));
    }
    line("];".into());
    text.push_str(TREE);
    text
}

/// What turns a row of the table into a tree.
const TREE: &str = "
/// A tree from thresholds in thousandths and leaves in ten thousandths.
const fn tree(features: [u8; 3], thresholds: [i16; 3], leaves: [i16; 8]) -> Tree {
    let mut tree = Tree { features, thresholds: [0.0; 3], leaves: [0.0; 8] };
    let mut at = 0;
    while at < 3 {
        tree.thresholds[at] = thresholds[at] as f32 / 1_000.0;
        at += 1;
    }
    at = 0;
    while at < 8 {
        tree.leaves[at] = leaves[at] as f32 / 10_000.0;
        at += 1;
    }
    tree
}
";
