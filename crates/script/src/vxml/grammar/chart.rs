//! Matches input token by token: complete, extensible, or neither (after Earley).
//!
//! A chart holds, for every token read, the states the network may be in and how each was first
//! reached. Work grows with the square of the input at worst, never with the number of ways to
//! read it.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::fault::Fault;
use super::Grammar;
use super::network::{Network, Over, State, index};

/// What the input so far amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It is a whole match.
    pub(crate) complete: bool,
    /// More input may match too.
    pub(crate) more: bool,
}

/// One matching under way.
#[derive(Debug)]
pub(crate) struct Matcher {
    grammar: Arc<Grammar>,
    columns: Vec<Column>,
    /// All items of all columns, for the limit.
    items: usize,
}

/// All that may be the case after some tokens.
#[derive(Debug, Default)]
struct Column {
    items: Vec<Item>,
    seen: HashMap<Key, u32>,
    /// Items that wait here for a rule to be matched, by rule.
    callers: HashMap<u32, Vec<u32>>,
}

/// Somewhere in a rule that was entered at `origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    rule: u32,
    state: State,
    origin: u32,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    key: Key,
    by: Reached,
}

/// Where an item is: column and index.
type Ref = (u32, u32);

/// How an item was first reached; always from an older one.
#[derive(Clone, Copy, Debug)]
enum Reached {
    /// The rule was entered.
    Entry,
    /// Past a matched rule: the item that called it, and the item that ended it.
    Called {
        caller: Ref,
        ended: Ref,
    },
    Step(Ref),
    Tagged(Ref, u32),
}

/// The rules that matched, and the tags passed.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) rule: u32,
    /// Tokens `start..end`.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) parts: Vec<TreePart>,
}

#[derive(Debug)]
pub(super) enum TreePart {
    Rule(Tree),
    Tag(u32),
}

/// Most items of one matching; grammars that people write need some hundred.
const ITEMS_MAX: usize = 200_000;
/// Deepest nesting of rules in what matched.
const TREE_DEPTH_MAX: usize = 64;

impl Matcher {
    pub(crate) fn new(grammar: Arc<Grammar>) -> Result<Self, Fault> {
        let mut matcher = Self { grammar, columns: vec![Column::default()], items: 0 };
        if let Some(root) = matcher.grammar.network.root {
            matcher.enter(root);
            matcher.close()?;
        }
        Ok(matcher)
    }

    pub(crate) fn grammar(&self) -> &Arc<Grammar> {
        &self.grammar
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let network = &self.grammar.network;
        let (Some(root), Some(last)) = (network.root, self.columns.last()) else {
            return Verdict { complete: false, more: false };
        };
        let whole = Key { rule: root, state: network.rules[root as usize].accept, origin: 0 };
        let takes = |over: Over| matches!(over, Over::Any | Over::Token(_));
        Verdict {
            complete: last.seen.contains_key(&whole),
            more: last.items.iter().any(|item| {
                let edges = &network.edges[item.key.state as usize];
                edges.iter().any(|edge| takes(edge.over))
            }),
        }
    }

    /// How much there is to keep of what was read.
    pub(crate) fn work(&self) -> usize {
        self.items
    }

    /// Whether this token may come next.
    pub(crate) fn takes(&self, token: &str) -> bool {
        let network = &self.grammar.network;
        let token = network.known_token(token);
        let Some(last) = self.columns.last() else {
            return false;
        };
        last.items.iter().any(|item| {
            let edges = &network.edges[item.key.state as usize];
            edges.iter().any(|edge| match edge.over {
                Over::Any => true,
                Over::Token(wanted) => Some(wanted) == token,
                Over::Call(_) | Over::Nothing | Over::Tag(_) => false,
            })
        })
    }

    /// Reads one more token.
    pub(crate) fn feed(&mut self, token: &str) -> Result<Verdict, Fault> {
        let grammar = Arc::clone(&self.grammar);
        let network = &grammar.network;
        let token = network.known_token(token);
        let column = index(self.columns.len() - 1);
        let before = self.columns[column as usize].items.clone();
        self.columns.push(Column::default());
        for (at, item) in (0..).zip(before) {
            for edge in &network.edges[item.key.state as usize] {
                let taken = match edge.over {
                    Over::Any => true,
                    Over::Token(wanted) => Some(wanted) == token,
                    Over::Call(_) | Over::Nothing | Over::Tag(_) => false,
                };
                if taken {
                    let key = Key { state: edge.to, ..item.key };
                    self.add(key, Reached::Step((column, at)));
                }
            }
        }
        self.close()?;
        Ok(self.verdict())
    }

    /// Follows all that takes no token, in the last column.
    fn close(&mut self) -> Result<(), Fault> {
        let grammar = Arc::clone(&self.grammar);
        let column = index(self.columns.len() - 1);
        let mut at = 0;
        while let Some(item) = self.columns[column as usize].items.get(at as usize).copied() {
            if self.items > ITEMS_MAX {
                let message = format!("the grammar is too ambiguous: over {ITEMS_MAX} readings");
                return Err(Fault::semantic(message));
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
            let next = Key { state: edge.to, ..key };
            match edge.over {
                Over::Any | Over::Token(_) => {}
                Over::Nothing => self.add(next, Reached::Step(own)),
                Over::Tag(tag) => self.add(next, Reached::Tagged(own, tag)),
                Over::Call(rule) => {
                    let callers = &mut self.columns[column as usize].callers;
                    callers.entry(rule).or_default().push(own.1);
                    self.enter(rule);
                    // The rule may have matched nothing here already.
                    let empty =
                        Key { rule, state: network.rules[rule as usize].accept, origin: column };
                    let ended = self.columns[column as usize].seen.get(&empty).copied();
                    if let Some(ended) = ended {
                        let ended = (column, ended);
                        self.add(next, Reached::Called { caller: own, ended });
                    }
                }
            }
        }
    }

    /// A rule ended here: all that called it where it began go on.
    fn complete(&mut self, network: &Network, key: Key, own: Ref) {
        let began = key.origin;
        let callers = self.columns[began as usize].callers.get(&key.rule).cloned();
        for caller in callers.unwrap_or_default() {
            let waiting = self.columns[began as usize].items[caller as usize].key;
            for edge in &network.edges[waiting.state as usize] {
                if edge.over == Over::Call(key.rule) {
                    let next = Key { state: edge.to, ..waiting };
                    let caller = (began, caller);
                    self.add(next, Reached::Called { caller, ended: own });
                }
            }
        }
    }

    fn enter(&mut self, rule: u32) {
        let key = Key {
            rule,
            state: self.grammar.network.start(rule),
            origin: index(self.columns.len() - 1),
        };
        self.add(key, Reached::Entry);
    }

    /// Adds an item to the last column, unless it is there.
    fn add(&mut self, key: Key, by: Reached) {
        let Some(column) = self.columns.last_mut() else {
            return;
        };
        let next = index(column.items.len());
        if let std::collections::hash_map::Entry::Vacant(vacant) = column.seen.entry(key) {
            vacant.insert(next);
            column.items.push(Item { key, by });
            self.items += 1;
        }
    }

    /// How the input was read, the way found first.
    pub(super) fn tree(&self) -> Option<Result<Tree, Fault>> {
        let network = &self.grammar.network;
        let root = network.root?;
        let last = self.columns.last()?;
        let whole = Key { rule: root, state: network.rules[root as usize].accept, origin: 0 };
        let at = *last.seen.get(&whole)?;
        Some(self.subtree((index(self.columns.len() - 1), at), 0))
    }

    fn subtree(&self, ended: Ref, depth: usize) -> Result<Tree, Fault> {
        if depth > TREE_DEPTH_MAX {
            let message =
                format!("the input nests more than {TREE_DEPTH_MAX} rules of the grammar");
            return Err(Fault::semantic(message));
        }
        let key = self.item(ended).key;
        let mut parts = Vec::new();
        let mut at = ended;
        loop {
            at = match self.item(at).by {
                Reached::Entry => break,
                Reached::Step(before) => before,
                Reached::Tagged(before, tag) => {
                    parts.push(TreePart::Tag(tag));
                    before
                }
                Reached::Called { caller, ended } => {
                    parts.push(TreePart::Rule(self.subtree(ended, depth + 1)?));
                    caller
                }
            };
        }
        parts.reverse();
        Ok(Tree { rule: key.rule, start: key.origin as usize, end: ended.0 as usize, parts })
    }

    fn item(&self, (column, at): Ref) -> Item {
        self.columns[column as usize].items[at as usize]
    }
}
