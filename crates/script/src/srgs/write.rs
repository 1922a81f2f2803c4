//! Writes a grammar for recognizers: as JSGF, and as a finite-state grammar of Sphinx.
//!
//! Recognizers need words only; tags stay here, where what was heard is matched again.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use super::grammar::Grammar;
use super::link::label;
use super::model::{Choice, Expansion, Repeat};
use super::network::{Cost, Over, State, heard};

/// Deepest nesting of rules in a finite-state grammar; what is deeper is left out.
const DEPTH_MAX: usize = 24;
/// How often a rule may hold itself in a finite-state grammar; what nests deeper is left out.
const RECURSION_MAX: usize = 3;
/// Most states of a finite-state grammar.
const STATES_MAX: usize = 50_000;
/// Turns of a repeat that are written out; more are written as any number.
const TURNS_MAX: u32 = 64;

impl Grammar {
    /// The grammar in the JSpeech Grammar Format 1.0; `None` where nothing can match.
    ///
    /// Words are told as they are compared. GARBAGE, which the format lacks, is left out: what
    /// follows it must be said alone.
    pub fn to_jsgf(&self, name: &str) -> Option<String> {
        let root = self.network.root?;
        let mut text = format!("#JSGF V1.0 UTF-8;\ngrammar {};\n", plain(name));
        let mut written = BTreeSet::new();
        let mut waiting = vec![root];
        while let Some(rule) = waiting.pop() {
            if !written.insert(rule) {
                continue;
            }
            let public = if rule == root { "public " } else { "" };
            let _ = write!(text, "{public}<{}> = ", self.jsgf_name(rule));
            match self.origins[rule as usize] {
                Some((document, number)) => {
                    let draft = &self.parts[document as usize].draft;
                    let mut writer = Jsgf { grammar: self, document, referred: Vec::new() };
                    text.push_str(&writer.alternatives(&draft.rules[number].expansion));
                    waiting.extend(writer.referred);
                }
                None => waiting.extend(self.jsgf_states(rule, &mut text)),
            }
            text.push_str(";\n");
        }
        Some(text)
    }

    /// A rule that no document has, state by state; tells the rules it refers to.
    fn jsgf_states(&self, rule: u32, text: &mut String) -> Vec<u32> {
        let states = &self.network.rules[rule as usize];
        let name = |state: State| format!("<r{rule}_s{state}>");
        text.push_str(&name(states.start));
        let words = self.network.words().map(|(word, id)| (id, word)).collect::<HashMap<_, _>>();
        let (mut referred, mut seen) = (Vec::new(), BTreeSet::from([states.start]));
        let mut waiting = vec![states.start];
        while let Some(state) = waiting.pop() {
            let mut ways = Vec::new();
            for edge in &self.network.edges[state as usize] {
                let next = name(edge.to);
                ways.push(match edge.over {
                    Over::Any | Over::Nothing | Over::Tag(_) => next,
                    Over::Call { rule, .. } => {
                        referred.push(rule);
                        format!("<{}> {next}", self.jsgf_name(rule))
                    }
                    Over::Word { word, .. } => {
                        format!("{} {next}", quoted(words.get(&word).copied().unwrap_or_default()))
                    }
                });
                if seen.insert(edge.to) {
                    waiting.push(edge.to);
                }
            }
            if state == states.accept {
                ways.push("<NULL>".to_owned());
            }
            let _ = write!(text, ";\n{} = {}", name(state), ways.join(" | "));
        }
        referred
    }

    fn jsgf_name(&self, rule: u32) -> String {
        format!("r{rule}_{}", plain(&self.network.rules[rule as usize].name))
    }

    /// The grammar as one automaton, in the text form of Sphinx; `None` where nothing can match.
    ///
    /// Rules that hold themselves are unfolded a few times only, so that the automaton is
    /// finite; weights are told as probabilities.
    pub fn to_fsg(&self, name: &str) -> Option<String> {
        let root = self.network.root?;
        let mut fsg = Fsg { grammar: self, states: 0, lines: Vec::new(), open: Vec::new() };
        let (start, end) = (fsg.state(), fsg.state());
        fsg.rule(root, start, end);
        let words = self.network.words().map(|(word, id)| (id, word)).collect::<HashMap<_, _>>();
        let mut text = format!("FSG_BEGIN {}\n", plain(name));
        let _ = write!(text, "NUM_STATES {}\nSTART_STATE {start}\nFINAL_STATE {end}\n", fsg.states);
        for (from, to, weight, word) in fsg.lines {
            let _ = write!(text, "TRANSITION {from} {to} {weight:.6}");
            if let Some(word) = word.and_then(|word| words.get(&word)) {
                let _ = write!(text, " {word}");
            }
            text.push('\n');
        }
        text.push_str("FSG_END\n");
        Some(text)
    }
}

/// A name that both formats take.
fn plain(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let plain: String = plain.collect();
    if plain.is_empty() { "grammar".to_owned() } else { plain }
}

struct Jsgf<'g> {
    grammar: &'g Grammar,
    document: u32,
    referred: Vec<u32>,
}

impl Jsgf<'_> {
    /// Alternatives may stand without brackets here.
    fn alternatives(&mut self, expansion: &Expansion) -> String {
        match expansion {
            Expansion::OneOf(choices) => self.choices(choices),
            other => self.sequence(other),
        }
    }

    fn choices(&mut self, choices: &[Choice]) -> String {
        // The format wants a weight on every alternative, or on none.
        let weighted = choices.iter().any(|choice| choice.weight.is_some());
        let texts = choices.iter().map(|choice| {
            let text = self.sequence(&choice.expansion);
            match weighted {
                // A weight of nothing is none that the format knows.
                true => format!("/{}/ {text}", choice.weight.unwrap_or(1.0).max(0.000_001)),
                false => text,
            }
        });
        texts.collect::<Vec<_>>().join(" | ")
    }

    fn sequence(&mut self, expansion: &Expansion) -> String {
        match expansion {
            Expansion::Garbage | Expansion::Null | Expansion::Tag(_) => "<NULL>".to_owned(),
            Expansion::OneOf(choices) => format!("({})", self.choices(choices)),
            Expansion::Reference(reference) => {
                let key = (self.document, label(&reference.target));
                match self.grammar.resolved.get(&key) {
                    Some(rule) => {
                        self.referred.push(*rule);
                        format!("<{}>", self.grammar.jsgf_name(*rule))
                    }
                    None => "<VOID>".to_owned(),
                }
            }
            Expansion::Repeat(repeat) => self.repeat(repeat),
            Expansion::Sequence(parts) => {
                let parts = parts.iter().map(|part| self.sequence(part));
                let parts: Vec<String> = parts.filter(|part| part != "<NULL>").collect();
                if parts.is_empty() { "<NULL>".to_owned() } else { parts.join(" ") }
            }
            Expansion::Token(token) => {
                let words = token.text.split(' ').map(|word| quoted(&heard(word)));
                words.collect::<Vec<_>>().join(" ")
            }
            Expansion::Void => "<VOID>".to_owned(),
        }
    }

    fn repeat(&mut self, repeat: &Repeat) -> String {
        if repeat.body.is_silent() || repeat.most == Some(0) {
            return "<NULL>".to_owned();
        }
        let body = format!("({})", self.alternatives(&repeat.body));
        let least = repeat.least.min(TURNS_MAX);
        let mut text = vec![body.clone(); least as usize].join(" ");
        let most = repeat.most.filter(|most| most - repeat.least <= TURNS_MAX);
        match most {
            Some(most) => {
                let optional = (most - repeat.least) as usize;
                if optional > 0 {
                    let nested = format!(" [{body}").repeat(optional) + &"]".repeat(optional);
                    text.push_str(&nested);
                }
            }
            None => {
                text.push(' ');
                text.push_str(&body);
                text.push('*');
            }
        }
        text.trim_start().to_owned()
    }
}

/// A word, in quotation marks where it has signs that mean something.
fn quoted(word: &str) -> String {
    let bare = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '-' | '.' | '_');
    if word.chars().all(bare) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Fsg<'g> {
    grammar: &'g Grammar,
    states: usize,
    lines: Vec<(usize, usize, f64, Option<u32>)>,
    /// The rules around.
    open: Vec<u32>,
}

impl Fsg<'_> {
    fn state(&mut self) -> usize {
        self.states += 1;
        self.states - 1
    }

    fn line(&mut self, from: usize, to: usize, cost: Cost, word: Option<u32>) {
        // One is written with six digits; less than that is as good as nothing.
        self.lines.push((from, to, cost.to_weight().max(0.000_001), word));
    }

    /// All states of a rule, between two that are there.
    fn rule(&mut self, rule: u32, from: usize, to: usize) {
        let held = self.open.iter().filter(|open| **open == rule).count();
        let deep = self.open.len() >= DEPTH_MAX || held >= RECURSION_MAX;
        if deep || self.states > STATES_MAX {
            return;
        }
        self.open.push(rule);
        let network = &self.grammar.network;
        let states = network.rules[rule as usize].clone();
        let mut numbers: HashMap<State, usize> = HashMap::new();
        let mut waiting = vec![states.start];
        numbers.insert(states.start, self.state());
        self.line(from, numbers[&states.start], Cost::FREE, None);
        while let Some(state) = waiting.pop() {
            let own = numbers[&state];
            if state == states.accept {
                self.line(own, to, Cost::FREE, None);
            }
            for edge in &network.edges[state as usize] {
                let next = match numbers.get(&edge.to) {
                    Some(next) => *next,
                    None => {
                        let next = self.state();
                        numbers.insert(edge.to, next);
                        waiting.push(edge.to);
                        next
                    }
                };
                match edge.over {
                    // Garbage is what no model is had of.
                    Over::Any => {}
                    Over::Call { rule, .. } => self.rule(rule, own, next),
                    Over::Nothing | Over::Tag(_) => self.line(own, next, edge.cost, None),
                    Over::Word { word, .. } => self.line(own, next, edge.cost, Some(word)),
                }
            }
        }
        self.open.pop();
    }
}
