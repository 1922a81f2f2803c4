//! What grammars are compiled to: rules of states, joined by edges.

use std::collections::HashMap;
use std::sync::Arc;

/// A state, as an index.
pub(crate) type State = u32;

/// A recursive network: each rule a small automaton whose edges may call other rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// Edges by state.
    pub(crate) edges: Vec<Vec<Edge>>,
    pub(crate) rules: Vec<RuleStates>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) tokens: Vec<TokenText>,
    /// What references look like in a parse: `$name`, `$<address#name>`.
    pub(crate) sites: Vec<String>,
    /// Words as they are compared, with their numbers.
    words: HashMap<String, u32>,
    token_ids: HashMap<(String, Option<Arc<str>>), u32>,
    tag_ids: HashMap<Arc<str>, u32>,
    site_ids: HashMap<String, u32>,
    /// The rule that input must match; `None`: nothing matches.
    pub(crate) root: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleStates {
    pub(crate) name: String,
    /// The document it comes from, by number.
    pub(crate) document: u32,
    pub(crate) start: State,
    pub(crate) accept: State,
}

/// A token as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenText {
    pub(crate) text: String,
    pub(crate) language: Option<Arc<str>>,
    /// How many words it takes.
    pub(crate) words: u32,
}

/// A way from a state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) over: Over,
    pub(crate) to: State,
    pub(crate) cost: Cost,
}

/// What a way takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Any one word (the special rule GARBAGE).
    Any,
    /// All that a rule matches.
    Call { rule: u32, site: u32 },
    /// Nothing.
    Nothing,
    /// Nothing, and the tag counts.
    Tag(u32),
    /// One word; `token` where it is the last of its token.
    Word { word: u32, token: Option<u32> },
}

/// How little a way is preferred: by weight, and among equals by the order of the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cost {
    /// Negative logarithm of the weight, in units of 2⁻²⁰.
    pub(crate) weight: u64,
    pub(crate) order: u64,
}

/// The dearest weight: what is all but impossible can still be said.
const WEIGHT_COST_MAX: f64 = 40.0;
const WEIGHT_COST_UNIT: f64 = 1_048_576.0;

impl Cost {
    pub(crate) const FREE: Self = Self { weight: 0, order: 0 };

    /// Of a weight from 0 to 1.
    pub(crate) fn of(weight: f64) -> Self {
        let cost = if weight > 0.0 { -weight.ln() } else { WEIGHT_COST_MAX };
        let cost = cost.clamp(0.0, WEIGHT_COST_MAX) * WEIGHT_COST_UNIT;
        Self { weight: cost.round() as u64, order: 0 }
    }

    pub(crate) fn ordered(self, order: usize) -> Self {
        Self { order: order as u64, ..self }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            weight: self.weight.saturating_add(other.weight),
            order: self.order.saturating_add(other.order),
        }
    }

    /// The weight that costs this.
    pub(crate) fn to_weight(self) -> f64 {
        (-(self.weight as f64) / WEIGHT_COST_UNIT).exp()
    }
}

impl Network {
    pub(crate) fn add_rule(&mut self, name: &str, document: u32) -> u32 {
        let start = self.state();
        let rule = index(self.rules.len());
        self.rules.push(RuleStates { name: name.to_owned(), document, start, accept: start });
        rule
    }

    pub(crate) fn start(&self, rule: u32) -> State {
        self.rules[rule as usize].start
    }

    /// The rule ends at this state. An accepting state has no way out, so that what is done in
    /// it is done once: it gets one of its own.
    pub(crate) fn finish(&mut self, rule: u32, at: State) {
        let accept = self.step(at, Over::Nothing);
        self.rules[rule as usize].accept = accept;
    }

    pub(crate) fn state(&mut self) -> State {
        self.edges.push(Vec::new());
        index(self.edges.len() - 1)
    }

    pub(crate) fn join(&mut self, from: State, over: Over, to: State, cost: Cost) {
        self.edges[from as usize].push(Edge { over, to, cost });
    }

    /// A new state behind an edge.
    pub(crate) fn step(&mut self, from: State, over: Over) -> State {
        let to = self.state();
        self.join(from, over, to, Cost::FREE);
        to
    }

    /// The words of a token, one after the other.
    pub(crate) fn token(&mut self, from: State, text: &str, language: Option<&Arc<str>>) -> State {
        let words: Vec<u32> = text.split(' ').map(|word| self.word_id(word)).collect();
        let next = index(self.tokens.len());
        let key = (text.to_owned(), language.cloned());
        let token = *self.token_ids.entry(key).or_insert(next);
        if token == next {
            self.tokens.push(TokenText {
                text: text.to_owned(),
                language: language.cloned(),
                words: index(words.len()),
            });
        }
        let last = words.len().saturating_sub(1);
        words.iter().enumerate().fold(from, |at, (number, word)| {
            let token = (number == last).then_some(token);
            self.step(at, Over::Word { word: *word, token })
        })
    }

    pub(crate) fn tag(&mut self, from: State, tag: &Arc<str>) -> State {
        let next = index(self.tags.len());
        let id = *self.tag_ids.entry(Arc::clone(tag)).or_insert(next);
        if id == next {
            self.tags.push(Arc::clone(tag));
        }
        self.step(from, Over::Tag(id))
    }

    pub(crate) fn site(&mut self, label: String) -> u32 {
        let next = index(self.sites.len());
        let id = *self.site_ids.entry(label.clone()).or_insert(next);
        if id == next {
            self.sites.push(label);
        }
        id
    }

    fn word_id(&mut self, word: &str) -> u32 {
        let next = index(self.words.len());
        *self.words.entry(heard(word)).or_insert(next)
    }

    /// The number of a word that some edge takes.
    pub(crate) fn known_word(&self, word: &str) -> Option<u32> {
        match self.words.get(word) {
            Some(known) => Some(*known),
            None => self.words.get(&heard(word)).copied(),
        }
    }

    /// All words with their numbers, as they are compared.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&str, u32)> {
        self.words.iter().map(|(word, id)| (word.as_str(), *id))
    }

    pub(crate) fn states(&self) -> usize {
        self.edges.len()
    }

    /// Takes out every way that leads nowhere, so that a way left open can be walked to an end;
    /// `root` is what input must match from now on.
    pub(crate) fn settle(&mut self, root: u32) {
        self.root = Some(root);
        let live = self.live();
        let rules = &self.rules;
        for edges in &mut self.edges {
            edges.retain(|edge| {
                let callable = match edge.over {
                    Over::Call { rule, .. } => live[rules[rule as usize].start as usize],
                    Over::Any | Over::Nothing | Over::Tag(_) | Over::Word { .. } => true,
                };
                callable && live[edge.to as usize]
            });
        }
        if !live[self.start(root) as usize] {
            self.root = None;
        }
    }

    /// Which states lead to the end of their rule.
    fn live(&self) -> Vec<bool> {
        let mut into: Vec<Vec<(State, Over)>> = vec![Vec::new(); self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            for edge in edges {
                into[edge.to as usize].push((index(from), edge.over));
            }
        }
        let starts: HashMap<State, u32> =
            (0..).zip(&self.rules).map(|(number, rule)| (rule.start, number)).collect();
        let mut live = vec![false; self.edges.len()];
        // States that are live as soon as the rule they call is.
        let mut waiting: HashMap<u32, Vec<State>> = HashMap::new();
        let mut found: Vec<State> = self.rules.iter().map(|rule| rule.accept).collect();
        while let Some(state) = found.pop() {
            if std::mem::replace(&mut live[state as usize], true) {
                continue;
            }
            if let Some(rule) = starts.get(&state) {
                found.extend(waiting.remove(rule).unwrap_or_default());
            }
            for (from, over) in &into[state as usize] {
                match over {
                    Over::Call { rule, .. } if !live[self.start(*rule) as usize] => {
                        waiting.entry(*rule).or_default().push(*from);
                    }
                    _ => found.push(*from),
                }
            }
        }
        live
    }
}

/// A word as words are compared: speech has no capitals, and keys have one spelling.
pub(crate) fn heard(word: &str) -> String {
    word.to_lowercase()
}

/// Networks are limited to some ten thousand states.
pub(crate) fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
