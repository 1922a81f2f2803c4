//! A compiled grammar: what can be matched, and how its meaning is found.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::builtin::Kind;
use super::model::{Draft, Mode, TagFormat};
use super::network::{Network, Over};

/// A compiled grammar; immutable, and shared between all that match it.
#[derive(Debug)]
pub struct Grammar {
    pub(crate) mode: Mode,
    pub(crate) network: Network,
    /// The documents it was made of; rules know theirs by number.
    pub(crate) parts: Vec<Part>,
    /// Which rule of the network a reference in a part leads to, by its label.
    pub(crate) resolved: HashMap<(u32, String), u32>,
    /// The document and rule that each rule of the network was made of.
    pub(crate) origins: Vec<Option<(u32, usize)>>,
}

/// A document of a grammar.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) draft: Arc<Draft>,
    pub(crate) meaning: Interpretation,
}

/// How the meaning of what a document's rules matched is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interpretation {
    /// A builtin type's own (VoiceXML 2.0 App. P).
    Builtin(Kind),
    /// By its tags.
    Tags(TagFormat),
}

impl Grammar {
    /// The grammar of one sequence of keys; characters that are no keys match nothing.
    pub fn keys(keys: &str) -> Self {
        let mut network = Network::default();
        let rule = network.add_rule("keys", 0);
        let start = network.start(rule);
        let mut letter = [0; 4];
        let at = keys
            .chars()
            .fold(start, |at, key| network.token(at, key.encode_utf8(&mut letter), None));
        network.finish(rule, at);
        network.settle(rule);
        Self::of_network(Mode::Dtmf, network)
    }

    /// A grammar that matches nothing.
    pub fn nothing(mode: Mode) -> Self {
        Self::of_network(mode, Network::default())
    }

    /// A grammar that comes from no document.
    pub(crate) fn of_network(mode: Mode, network: Network) -> Self {
        let origins = network.rules.iter().map(|_| None).collect();
        Self { mode, network, parts: Vec::new(), resolved: HashMap::new(), origins }
    }

    /// What it listens for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How large it is, for limits.
    pub fn states(&self) -> usize {
        self.network.states()
    }

    /// Whether any input can match.
    pub fn is_matchable(&self) -> bool {
        self.network.root.is_some()
    }

    /// All words that may be said, as they are compared, in alphabetical order.
    pub fn vocabulary(&self) -> Vec<&str> {
        let mut used = BTreeSet::new();
        let reachable = self.reachable();
        for (edges, reachable) in self.network.edges.iter().zip(reachable) {
            for edge in edges.iter().filter(|_| reachable) {
                if let Over::Word { word, .. } = edge.over {
                    used.insert(word);
                }
            }
        }
        let words = self.network.words().filter(|(_, id)| used.contains(id));
        let mut words: Vec<&str> = words.map(|(word, _)| word).collect();
        words.sort_unstable();
        words
    }

    /// All languages that its tokens are in, the grammar's own first.
    pub fn languages(&self) -> Vec<&str> {
        let own = self.parts.first().and_then(|part| part.draft.language());
        let tokens = self.network.tokens.iter().filter_map(|token| token.language.as_deref());
        let mut languages: Vec<&str> = Vec::new();
        for language in own.into_iter().chain(tokens) {
            if !languages.iter().any(|known| known.eq_ignore_ascii_case(language)) {
                languages.push(language);
            }
        }
        languages
    }

    /// The documents it was made of, the one that was asked for first.
    pub fn drafts(&self) -> impl Iterator<Item = &Arc<Draft>> {
        self.parts.iter().map(|part| &part.draft)
    }

    /// Which states input can come to.
    pub(crate) fn reachable(&self) -> Vec<bool> {
        let mut reached = vec![false; self.network.edges.len()];
        let mut waiting: Vec<u32> =
            self.network.root.map(|root| self.network.start(root)).into_iter().collect();
        while let Some(state) = waiting.pop() {
            if std::mem::replace(&mut reached[state as usize], true) {
                continue;
            }
            for edge in &self.network.edges[state as usize] {
                waiting.push(edge.to);
                if let Over::Call { rule, .. } = edge.over {
                    waiting.push(self.network.start(rule));
                }
            }
        }
        reached
    }
}
