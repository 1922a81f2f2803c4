//! What grammars are compiled to: rules of states, joined by edges.

use std::collections::HashMap;

/// A state, as an index.
pub(super) type State = u32;

/// A recursive network: each rule a small automaton whose edges may call other rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Network {
    /// Edges by state, in the order of the document, which is the order of preference.
    pub(super) edges: Vec<Vec<Edge>>,
    pub(super) rules: Vec<Rule>,
    pub(super) tags: Vec<String>,
    tokens: HashMap<String, u32>,
    /// Tags by their text: a repeated item has its tag once.
    tag_ids: HashMap<String, u32>,
    /// The rule that input must match; `None`: nothing matches.
    pub(super) root: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) start: State,
    pub(super) accept: State,
}

/// A way from a state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) over: Over,
    pub(super) to: State,
}

/// What a way takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Any one token (the special rule GARBAGE).
    Any,
    /// All that a rule matches.
    Call(u32),
    /// Nothing.
    Nothing,
    /// Nothing, and the tag counts.
    Tag(u32),
    /// One token.
    Token(u32),
}

impl Network {
    pub(super) fn add_rule(&mut self, name: &str) -> u32 {
        let start = self.state();
        let rule = index(self.rules.len());
        self.rules.push(Rule { name: name.to_owned(), start, accept: start });
        rule
    }

    pub(super) fn start(&self, rule: u32) -> State {
        self.rules[rule as usize].start
    }

    /// The rule ends at this state. An accepting state has no way out, so that what is done in
    /// it is done once: it gets one of its own.
    pub(super) fn finish(&mut self, rule: u32, at: State) {
        let accept = self.step(at, Over::Nothing);
        self.rules[rule as usize].accept = accept;
    }

    pub(super) fn state(&mut self) -> State {
        self.edges.push(Vec::new());
        index(self.edges.len() - 1)
    }

    pub(super) fn join(&mut self, from: State, over: Over, to: State) {
        self.edges[from as usize].push(Edge { over, to });
    }

    /// A new state behind an edge.
    pub(super) fn step(&mut self, from: State, over: Over) -> State {
        let to = self.state();
        self.join(from, over, to);
        to
    }

    pub(super) fn token(&mut self, from: State, token: &str) -> State {
        let token = self.token_id(token);
        self.step(from, Over::Token(token))
    }

    /// One of several tokens.
    pub(super) fn one_of(&mut self, from: State, tokens: &str) -> State {
        let to = self.state();
        for token in tokens.chars() {
            let token = self.token_id(&token.to_string());
            self.join(from, Over::Token(token), to);
        }
        to
    }

    pub(super) fn tag(&mut self, from: State, tag: &str) -> State {
        let next = index(self.tags.len());
        let id = *self.tag_ids.entry(tag.to_owned()).or_insert(next);
        if id == next {
            self.tags.push(tag.to_owned());
        }
        self.step(from, Over::Tag(id))
    }

    pub(super) fn token_id(&mut self, token: &str) -> u32 {
        let next = index(self.tokens.len());
        *self.tokens.entry(token.to_owned()).or_insert(next)
    }

    /// The number of a token that some edge takes.
    pub(super) fn known_token(&self, token: &str) -> Option<u32> {
        self.tokens.get(token).copied()
    }

    pub(super) fn states(&self) -> usize {
        self.edges.len()
    }

    /// Takes out every way that leads nowhere, so that a way left open can be walked to an end;
    /// `root` is what input must match from now on.
    pub(super) fn settle(&mut self, root: u32) {
        self.root = Some(root);
        let live = self.live();
        let rules = &self.rules;
        for edges in &mut self.edges {
            edges.retain(|edge| {
                let callable = match edge.over {
                    Over::Call(rule) => live[rules[rule as usize].start as usize],
                    Over::Any | Over::Nothing | Over::Tag(_) | Over::Token(_) => true,
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
                    Over::Call(rule) if !live[self.start(*rule) as usize] => {
                        waiting.entry(*rule).or_default().push(*from);
                    }
                    _ => found.push(*from),
                }
            }
        }
        live
    }
}

/// Networks are limited to a few thousand states.
pub(super) fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
