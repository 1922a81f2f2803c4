//! Grammars as documents use them; [`crate::srgs`] is what they are.

mod phrase;

use std::sync::Arc;

use roxmltree::Node;
use url::Url;

use super::fault::Fault;
use super::limits::Limits;
use super::place::{Mistake, Rows};
use super::value::Value;
use crate::srgs::{self, Draft, Excess, Given, Library, Linked, Refusal};

pub(crate) use crate::srgs::{Grammar, Matcher, Mode, is_key};
pub(crate) use phrase::words;

/// A compiled grammar of words, for a recognizer; two are equal when they are the same one.
#[derive(Clone, Debug)]
pub struct VoiceGrammar(pub(crate) Arc<Grammar>);

impl PartialEq for VoiceGrammar {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl VoiceGrammar {
    /// The grammar, to match words with or to write it down for a recognizer.
    pub fn grammar(&self) -> &Arc<Grammar> {
        &self.0
    }
}

/// Why a grammar cannot be had.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It asks for what this machine does not do.
    Fault(Fault),
    /// It is wrong.
    Mistakes(Vec<Mistake>),
}

/// What matched input means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// This.
    Is(Value),
    /// What this ECMAScript expression gives.
    Computed(String),
}

/// Whether a media type says SRGS in one of its forms, or says nothing.
pub(crate) fn is_srgs_xml(media_type: &str) -> bool {
    srgs::is_grammar_type(media_type)
}

/// The grammar of keys of a builtin type with its parameters, as `digits?minlength=3`.
pub(crate) fn builtin(kind: &str) -> Result<Grammar, Fault> {
    builtin_of(kind, Mode::Dtmf)
}

/// The grammar at an address that begins with `builtin:`, of keys or of words.
pub(crate) fn builtin_at(address: &str) -> Option<Result<Grammar, Fault>> {
    let kind = address.strip_prefix("builtin:")?;
    Some(match kind.split_once('/') {
        Some(("dtmf", kind)) => builtin_of(kind, Mode::Dtmf),
        Some(("grammar" | "voice", kind)) => builtin_of(kind, Mode::Voice),
        _ => builtin_of(kind, Mode::Voice),
    })
}

/// The grammar of a builtin type.
pub(crate) fn builtin_of(kind: &str, mode: Mode) -> Result<Grammar, Fault> {
    srgs::link_builtin(kind, mode).map_err(|refusal| match refusal {
        Refusal::Unknown(_) => Fault::unsupported("builtin", refusal.to_string()),
        Refusal::Parameter(_) => Fault::bad_fetch(refusal.to_string()),
    })
}

/// Reads a grammar that was fetched.
pub(crate) fn read_text(
    text: &str,
    media_type: &str,
    url: Option<&Url>,
    limits: &Limits,
) -> Result<Draft, Trouble> {
    let bytes_max = limits.document_bytes_max;
    let given = Given { url, media_type, embedded: false, bytes_max };
    srgs::read(text, &given).map_err(Trouble::Mistakes)
}

/// Compiles a grammar that was fetched and refers to no other; `rule` is the fragment of its
/// address.
pub(crate) fn compile_text(
    text: &str,
    name: &Arc<str>,
    rule: Option<&str>,
    limits: &Limits,
) -> Result<Grammar, Trouble> {
    let url = Url::parse(name).ok();
    let draft = read_text(text, "", url.as_ref(), limits)?;
    alone(&Arc::new(draft), rule, limits.grammar_states_max)
}

/// Compiles a grammar that stands in a document and refers to no other.
pub(crate) fn compile(
    grammar: Node<'_, '_>,
    rows: &Rows<'_>,
    states_max: usize,
) -> Result<Grammar, Trouble> {
    let draft = srgs::read_node(grammar, rows, None).map_err(|mut mistakes| {
        place(&mut mistakes, grammar, rows);
        Trouble::Mistakes(mistakes)
    })?;
    alone(&Arc::new(draft), None, states_max).map_err(|trouble| match trouble {
        Trouble::Mistakes(mut mistakes) => {
            place(&mut mistakes, grammar, rows);
            Trouble::Mistakes(mistakes)
        }
        Trouble::Fault(fault) => Trouble::Fault(fault),
    })
}

/// What is wrong with a grammar as a whole is told where it stands.
fn place(mistakes: &mut [Mistake], grammar: Node<'_, '_>, rows: &Rows<'_>) {
    let whole = rows.mistake(grammar.range().start, "");
    for mistake in mistakes.iter_mut().filter(|mistake| (mistake.row, mistake.column) == (1, 1)) {
        (mistake.row, mistake.column) = (whole.row, whole.column);
    }
}

/// Links a draft that refers to no other document.
fn alone(draft: &Arc<Draft>, rule: Option<&str>, states_max: usize) -> Result<Grammar, Trouble> {
    match srgs::link(draft, rule, &Library::default(), states_max) {
        Ok(Linked::Ready(grammar)) => Ok(grammar),
        Ok(Linked::Needs(urls)) => {
            let urls = urls.iter().map(Url::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("the grammar refers to other grammars: {urls}");
            Err(Trouble::Fault(Fault::unsupported("ruleref", message)))
        }
        Err(mistakes) => Err(Trouble::Mistakes(mistakes)),
    }
}

impl From<Excess> for Fault {
    fn from(excess: Excess) -> Self {
        Self::semantic(excess.to_string())
    }
}

impl From<srgs::Meaning> for Meaning {
    fn from(meaning: srgs::Meaning) -> Self {
        match meaning {
            srgs::Meaning::Bool(bool) => Self::Is(Value::Bool(bool)),
            srgs::Meaning::Script(program) => Self::Computed(program.to_string()),
            srgs::Meaning::Text(text) => Self::Is(Value::Text(text)),
        }
    }
}

impl Grammar {
    /// A grammar that only a recognizer can match; without one it never matches.
    pub(crate) fn voice() -> Self {
        Self::nothing(Mode::Voice)
    }
}

impl Matcher {
    /// The meaning of the input, which is `words`; `None` where it is no match.
    pub(crate) fn meaning(&self, words: &[String]) -> Option<Result<Meaning, Fault>> {
        let meaning = self.interpret(words, 1.0)?;
        Some(meaning.map(Meaning::from).map_err(Fault::from))
    }
}

#[cfg(test)]
mod tests;
