//! Matches input word by word: complete, extensible, or neither (after Earley).
//!
//! A chart holds, for every word read, the states the network may be in and the ways each was
//! reached. Work grows with the cube of the input at worst, never with the number of ways to
//! read it, and has a bound.

use std::collections::HashMap;
use std::sync::Arc;

use super::grammar::Grammar;
use super::network::{Cost, Edge, Network, Over, State, index};

/// What the input so far amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It is a whole match.
    pub complete: bool,
    /// More input may match too.
    pub more: bool,
}

/// The grammar can be read in too many ways; the input is given up.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the grammar is too ambiguous: {0}")]
pub struct Excess(pub(crate) &'static str);

/// One matching under way.
#[derive(Debug)]
pub struct Matcher {
    pub(crate) grammar: Arc<Grammar>,
    pub(crate) columns: Vec<Column>,
    pub(crate) links: Vec<Link>,
    /// All items of all columns, for the limit.
    items: usize,
    /// Steps so far, for the limit.
    steps: usize,
    /// Ways to read the input have been left out.
    pub(crate) cut: bool,
}

/// All that may be the case after some words.
#[derive(Debug, Default)]
pub(crate) struct Column {
    pub(crate) items: Vec<Item>,
    pub(crate) seen: HashMap<Key, u32>,
    /// Items that wait here for a rule to be matched, by rule.
    callers: HashMap<u32, Vec<u32>>,
}

/// Somewhere in a rule that was entered at `origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) rule: u32,
    pub(crate) state: State,
    pub(crate) origin: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) key: Key,
    /// The first of its links.
    pub(crate) first: u32,
    /// The last of its links.
    last: u32,
}

/// One way in which an item was reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) by: Reached,
    pub(crate) cost: Cost,
    /// The next link of the same item, or [`NONE`].
    pub(crate) next: u32,
}

/// No link.
pub(crate) const NONE: u32 = u32::MAX;

/// Where an item is: column and index.
pub(crate) type Ref = (u32, u32);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Reached {
    /// Past a matched rule: the item that called it, and the item that ended it.
    Called {
        caller: Ref,
        ended: Ref,
        site: u32,
    },
    /// The rule was entered.
    Entry,
    Step(Ref),
    Tagged(Ref, u32),
    /// The last word of a token.
    Told(Ref, u32),
}

/// Most items of one matching; grammars that people write need some hundred.
const ITEMS_MAX: usize = 200_000;
/// Most ways that are remembered; of what comes later the best reading may be missed.
const LINKS_MAX: usize = 150_000;
/// Most steps of one matching; a second of work or so.
const STEPS_MAX: usize = 5_000_000;
/// How many steps weigh as much as an item that is kept.
const STEPS_PER_ITEM: usize = 25;
/// Most words of one input.
const WORDS_MAX: usize = 1_000;

impl Matcher {
    /// Begins to match.
    pub fn new(grammar: Arc<Grammar>) -> Result<Self, Excess> {
        let mut matcher = Self {
            grammar,
            columns: vec![Column::default()],
            links: Vec::new(),
            items: 0,
            steps: 0,
            cut: false,
        };
        if let Some(root) = matcher.grammar.network.root {
            matcher.enter(root);
            matcher.close()?;
        }
        Ok(matcher)
    }

    /// What is matched.
    pub fn grammar(&self) -> &Arc<Grammar> {
        &self.grammar
    }

    /// What the input so far amounts to.
    pub fn verdict(&self) -> Verdict {
        let network = &self.grammar.network;
        let more = self.columns.last().is_some_and(|last| {
            last.items.iter().any(|item| {
                let edges = &network.edges[item.key.state as usize];
                edges.iter().any(|edge| matches!(edge.over, Over::Any | Over::Word { .. }))
            })
        });
        Verdict { complete: self.whole().is_some(), more }
    }

    /// How much there was to keep and to do, for limits on several matchings together.
    pub fn work(&self) -> usize {
        self.items + self.steps / STEPS_PER_ITEM
    }

    /// Whether this word may come next.
    pub fn takes(&self, word: &str) -> bool {
        let network = &self.grammar.network;
        let word = network.known_word(word);
        let Some(last) = self.columns.last() else {
            return false;
        };
        last.items.iter().any(|item| {
            let edges = &network.edges[item.key.state as usize];
            edges.iter().any(|edge| is_taken(edge.over, word))
        })
    }

    /// Reads one more word, or key.
    pub fn feed(&mut self, word: &str) -> Result<Verdict, Excess> {
        if self.columns.len() > WORDS_MAX {
            return Err(Excess("the input is too long"));
        }
        let grammar = Arc::clone(&self.grammar);
        let network = &grammar.network;
        let word = network.known_word(word);
        let column = index(self.columns.len() - 1);
        self.columns.push(Column::default());
        for at in 0..self.columns[column as usize].items.len() {
            let key = self.columns[column as usize].items[at].key;
            for edge in &network.edges[key.state as usize] {
                if !is_taken(edge.over, word) {
                    continue;
                }
                let before = (column, index(at));
                let (by, cost) = match edge.over {
                    Over::Word { token: Some(token), .. } => {
                        (Reached::Told(before, token), edge.cost)
                    }
                    // The less garbage, the better.
                    Over::Any => (Reached::Step(before), edge.cost.ordered(1)),
                    _ => (Reached::Step(before), edge.cost),
                };
                self.add(Key { state: edge.to, ..key }, by, cost);
            }
        }
        self.close()?;
        Ok(self.verdict())
    }

    /// The item that says that the whole input is matched.
    pub(crate) fn whole(&self) -> Option<Ref> {
        let network = &self.grammar.network;
        let root = network.root?;
        let whole = Key { rule: root, state: network.rules[root as usize].accept, origin: 0 };
        let at = *self.columns.last()?.seen.get(&whole)?;
        Some((index(self.columns.len() - 1), at))
    }

    pub(crate) fn item(&self, (column, at): Ref) -> Item {
        self.columns[column as usize].items[at as usize]
    }

    /// The ways in which an item was reached, the one found first in front.
    pub(crate) fn links_of(&self, item: Ref) -> impl Iterator<Item = &Link> {
        let mut next = self.item(item).first;
        std::iter::from_fn(move || {
            let link = self.links.get(next as usize)?;
            next = link.next;
            Some(link)
        })
    }

    /// Follows all that takes no word, in the last column.
    fn close(&mut self) -> Result<(), Excess> {
        let grammar = Arc::clone(&self.grammar);
        let column = index(self.columns.len() - 1);
        let mut at = 0;
        while let Some(item) = self.columns[column as usize].items.get(at as usize).copied() {
            if self.items > ITEMS_MAX || self.steps > STEPS_MAX {
                return Err(Excess("there are too many ways to read the input"));
            }
            self.expand(&grammar.network, item.key, (column, at));
            at += 1;
        }
        Ok(())
    }

    fn expand(&mut self, network: &Network, key: Key, own: Ref) {
        let column = own.0;
        if key.state == network.rules[key.rule as usize].accept {
            self.complete(network, key, own);
        }
        for edge in &network.edges[key.state as usize] {
            self.steps += 1;
            let next = Key { state: edge.to, ..key };
            match edge.over {
                Over::Any | Over::Word { .. } => {}
                Over::Nothing => self.add(next, Reached::Step(own), edge.cost),
                Over::Tag(tag) => self.add(next, Reached::Tagged(own, tag), edge.cost),
                Over::Call { rule, site } => self.call(network, edge, next, own, (rule, site)),
            }
        }
        debug_assert!(column as usize == self.columns.len() - 1, "only the last column grows");
    }

    fn call(
        &mut self,
        network: &Network,
        edge: &Edge,
        next: Key,
        own: Ref,
        (rule, site): (u32, u32),
    ) {
        let column = own.0;
        let callers = self.columns[column as usize].callers.entry(rule).or_default();
        if callers.last() != Some(&own.1) {
            callers.push(own.1);
        }
        self.enter(rule);
        // The rule may have matched nothing here already; if that item is yet to be followed,
        // it finds its caller itself.
        let accept = network.rules[rule as usize].accept;
        let empty = Key { rule, state: accept, origin: column };
        let ended = self.columns[column as usize].seen.get(&empty).copied();
        if let Some(ended) = ended.filter(|ended| *ended <= own.1) {
            let by = Reached::Called { caller: own, ended: (column, ended), site };
            self.add(next, by, edge.cost);
        }
    }

    /// A rule ended here: all that called it where it began go on.
    fn complete(&mut self, network: &Network, key: Key, own: Ref) {
        let began = key.origin;
        let waiting = self.columns[began as usize].callers.get(&key.rule);
        let waiting = waiting.cloned().unwrap_or_default();
        for caller in waiting {
            let before = self.columns[began as usize].items[caller as usize].key;
            for edge in &network.edges[before.state as usize] {
                self.steps += 1;
                match edge.over {
                    Over::Call { rule, site } if rule == key.rule => {
                        let next = Key { state: edge.to, ..before };
                        let by = Reached::Called { caller: (began, caller), ended: own, site };
                        self.add(next, by, edge.cost);
                    }
                    _ => {}
                }
            }
        }
    }

    fn enter(&mut self, rule: u32) {
        let origin = index(self.columns.len() - 1);
        let key = Key { rule, state: self.grammar.network.start(rule), origin };
        if self.columns.last().is_some_and(|column| !column.seen.contains_key(&key)) {
            self.add(key, Reached::Entry, Cost::FREE);
        }
    }

    /// Adds an item to the last column, or if it is there, one more way to reach it.
    fn add(&mut self, key: Key, by: Reached, cost: Cost) {
        let link = index(self.links.len());
        let Some(column) = self.columns.last_mut() else {
            return;
        };
        let next = index(column.items.len());
        match column.seen.entry(key) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(next);
                column.items.push(Item { key, first: link, last: link });
                self.items += 1;
            }
            std::collections::hash_map::Entry::Occupied(there) => {
                if self.links.len() >= LINKS_MAX {
                    self.cut = true;
                    return;
                }
                let item = &mut column.items[*there.get() as usize];
                self.links[item.last as usize].next = link;
                item.last = link;
            }
        }
        self.links.push(Link { by, cost, next: NONE });
    }
}

fn is_taken(over: Over, word: Option<u32>) -> bool {
    match over {
        Over::Any => true,
        Over::Word { word: wanted, .. } => Some(wanted) == word,
        Over::Call { .. } | Over::Nothing | Over::Tag(_) => false,
    }
}
