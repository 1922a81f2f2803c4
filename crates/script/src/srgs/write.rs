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
/// The least weight that six digits can tell.
const WEIGHT_MIN: f64 = 0.000_001;
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
                    let told = writer.alternatives(&draft.rules[number].expansion);
                    let told = told.filter(|told| !told.is_empty());
                    text.push_str(told.as_deref().unwrap_or("<NULL>"));
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
        let (start, end, states) = fsg.shorten(start, end);
        let words = self.network.words().map(|(word, id)| (id, word)).collect::<HashMap<_, _>>();
        let mut text = format!("FSG_BEGIN {}\n", plain(name));
        let _ = write!(text, "NUM_STATES {states}\nSTART_STATE {start}\nFINAL_STATE {end}\n");
        for line in fsg.lines {
            let _ = write!(text, "TRANSITION {} {} {:.6}", line.from, line.to, line.weight);
            if let Some(word) = line.word.and_then(|word| words.get(&word)) {
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
    /// An expansion, which may have alternatives without brackets. `None`: it matches nothing,
    /// which recognizers do not understand and so is left out; an empty text: it matches silence.
    fn alternatives(&mut self, expansion: &Expansion) -> Option<String> {
        match expansion {
            Expansion::OneOf(choices) => self.choices(choices),
            other => self.sequence(other),
        }
    }

    fn choices(&mut self, choices: &[Choice]) -> Option<String> {
        let told = choices.iter().filter_map(|choice| {
            let text = self.sequence(&choice.expansion)?;
            let text = if text.is_empty() { "<NULL>".to_owned() } else { text };
            Some((choice.weight, text))
        });
        let told: Vec<(Option<f64>, String)> = told.collect();
        // The format wants a weight on every alternative or on none; recognizers take them for
        // probabilities.
        let weighted = told.iter().any(|(weight, _)| weight.is_some());
        let sum: f64 = told.iter().map(|(weight, _)| weight.unwrap_or(1.0)).sum();
        let texts = told.into_iter().map(|(weight, text)| match weighted && sum > 0.0 {
            true => format!("/{:.6}/ {text}", (weight.unwrap_or(1.0) / sum).max(WEIGHT_MIN)),
            false => text,
        });
        let texts: Vec<String> = texts.collect();
        (!texts.is_empty()).then(|| texts.join(" | "))
    }

    fn sequence(&mut self, expansion: &Expansion) -> Option<String> {
        match expansion {
            Expansion::Garbage | Expansion::Null | Expansion::Tag(_) => Some(String::new()),
            Expansion::OneOf(choices) => self.choices(choices).map(|text| format!("({text})")),
            Expansion::Reference(reference) => {
                let key = (self.document, label(&reference.target));
                let rule = *self.grammar.resolved.get(&key)?;
                let network = &self.grammar.network;
                // A rule that nothing can match has no way out of its beginning.
                let dead = network.edges[network.start(rule) as usize].is_empty();
                (!dead).then(|| {
                    self.referred.push(rule);
                    format!("<{}>", self.grammar.jsgf_name(rule))
                })
            }
            Expansion::Repeat(repeat) => self.repeat(repeat),
            Expansion::Sequence(parts) => {
                let parts: Option<Vec<String>> =
                    parts.iter().map(|part| self.sequence(part)).collect();
                Some(
                    parts?
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .collect::<Vec<_>>()
                        .join(" "),
                )
            }
            Expansion::Token(token) => {
                let words = token.text.split(' ').map(|word| quoted(&heard(word)));
                Some(words.collect::<Vec<_>>().join(" "))
            }
            Expansion::Void => None,
        }
    }

    fn repeat(&mut self, repeat: &Repeat) -> Option<String> {
        if repeat.most == Some(0) {
            return Some(String::new());
        }
        let body = match self.alternatives(&repeat.body) {
            Some(body) if body.is_empty() => return Some(body),
            Some(body) => format!("({body})"),
            None if repeat.least == 0 => return Some(String::new()),
            None => return None,
        };
        let least = repeat.least.min(TURNS_MAX);
        let mut text = vec![body.clone(); least as usize].join(" ");
        let most = repeat.most.filter(|most| most - repeat.least <= TURNS_MAX);
        match most {
            Some(most) => {
                let optional = (most - repeat.least) as usize;
                text.push_str(&format!(" [{body}").repeat(optional));
                text.push_str(&"]".repeat(optional));
            }
            None => {
                text.push(' ');
                text.push_str(&body);
                text.push('*');
            }
        }
        Some(text.trim_start().to_owned())
    }
}

/// A word, in quotation marks where it has signs that mean something. Sphinx takes the marks for
/// a part of the word, so such words are better not used with it.
fn quoted(word: &str) -> String {
    if !word
        .contains([';', '=', '|', '*', '+', '<', '>', '(', ')', '[', ']', '{', '}', '/', '"', '\\'])
    {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Fsg<'g> {
    grammar: &'g Grammar,
    states: usize,
    lines: Vec<Line>,
    /// The rules around.
    open: Vec<u32>,
}

/// A way between two states, over a word or over nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    from: usize,
    to: usize,
    weight: f64,
    word: Option<u32>,
}

impl Fsg<'_> {
    fn state(&mut self) -> usize {
        self.states += 1;
        self.states - 1
    }

    fn line(&mut self, from: usize, to: usize, cost: Cost, word: Option<u32>) {
        let weight = cost.to_weight().max(WEIGHT_MIN);
        self.lines.push(Line { from, to, weight, word });
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

    /// Takes out states that only lead on to another: recognizers join all that nothing parts,
    /// each with each. Tells the new beginning, end and number of states.
    fn shorten(&mut self, start: usize, end: usize) -> (usize, usize, usize) {
        let mut ways = vec![0_u32; self.states];
        self.lines.iter().for_each(|line| ways[line.from] += 1);
        let mut leads: Vec<usize> = (0..self.states).collect();
        for line in &self.lines {
            let only = ways[line.from] == 1 && line.word.is_none() && line.weight >= 1.0;
            if only && line.from != end {
                leads[line.from] = line.to;
            }
        }
        let ends = ends_of(&leads);
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let mut number = |state: usize| {
            let next = numbers.len();
            *numbers.entry(ends[state]).or_insert(next)
        };
        let (start, end) = (number(start), number(end));
        let mut seen = BTreeSet::new();
        let mut lines = Vec::new();
        for line in self.lines.iter().filter(|line| ends[line.from] == line.from) {
            let (from, to) = (number(line.from), number(line.to));
            let loops = line.word.is_none() && from == to;
            if !loops && seen.insert((from, to, line.word, line.weight.to_bits())) {
                lines.push(Line { from, to, ..*line });
            }
        }
        self.lines = lines;
        (start, end, numbers.len())
    }
}

/// Where each state leads to in the end. Those that lead to each other in circles lead nowhere;
/// one of them stands for all.
fn ends_of(leads: &[usize]) -> Vec<usize> {
    let mut ends: Vec<Option<usize>> = vec![None; leads.len()];
    for begin in 0..leads.len() {
        let mut path = Vec::new();
        let mut state = begin;
        let end = loop {
            if let Some(end) = ends[state] {
                break end;
            }
            path.push(state);
            // Provisional, so that a circle is known when it closes.
            ends[state] = Some(state);
            match leads[state] {
                next if next == state => break state,
                next => state = next,
            }
        };
        path.into_iter().for_each(|passed| ends[passed] = Some(end));
    }
    ends.into_iter().enumerate().map(|(state, end)| end.unwrap_or(state)).collect()
}
