//! Grammars: compiled once to a network of states, matched token by token.
//!
//! [`srgs`] and [`builtin`] make them, [`network`] is what they are made of, [`chart`] matches
//! input as it comes, [`semantics`] says what the input means.

mod builtin;
mod chart;
mod network;
mod semantics;
mod srgs;

use network::Network;

pub(crate) use builtin::builtin;
pub(crate) use chart::Matcher;
pub(crate) use semantics::Meaning;
pub(crate) use srgs::{Trouble, compile, compile_text, is_srgs_xml};

/// A compiled grammar.
#[derive(Debug)]
pub(crate) struct Grammar {
    pub(crate) mode: Mode,
    network: Network,
    meaning: Interpretation,
}

/// What a grammar listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Dtmf,
    /// Only a recognizer can match it.
    Voice,
}

/// How the meaning of matched input is found.
#[derive(Clone, Debug, PartialEq)]
enum Interpretation {
    /// The builtin type's own (VoiceXML 2.0 App. P).
    Builtin(builtin::Kind),
    /// The input itself.
    Plain,
    /// `tag-format="semantics/1.0"`: tags are ECMAScript; those of the grammar's head come first.
    Script { head: Vec<String> },
    /// `tag-format="semantics/1.0-literals"`: tags are the meaning.
    Literals,
}

impl Grammar {
    /// The grammar of one sequence of keys.
    pub(crate) fn keys(keys: &str) -> Self {
        let mut network = Network::default();
        let rule = network.add_rule("keys");
        let mut at = network.start(rule);
        for key in keys.chars() {
            at = network.token(at, &key.to_string());
        }
        network.finish(rule, at);
        network.settle(rule);
        Self { mode: Mode::Dtmf, network, meaning: Interpretation::Plain }
    }

    /// How large it is, for the limit.
    pub(crate) fn states(&self) -> usize {
        self.network.states()
    }

    /// A grammar that only a recognizer can match; without one it never matches.
    pub(crate) fn voice() -> Self {
        Self { mode: Mode::Voice, network: Network::default(), meaning: Interpretation::Plain }
    }
}

/// Whether a character is a key of a telephone.
pub(crate) fn is_key(key: char) -> bool {
    key.is_ascii_digit() || matches!(key, '*' | '#' | 'A'..='D')
}

#[cfg(test)]
mod tests;
