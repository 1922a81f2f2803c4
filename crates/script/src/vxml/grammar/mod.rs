//! Grammars as documents use them; [`crate::srgs`] is what they are.

mod phrase;

use std::collections::HashMap;
use std::sync::Arc;

use roxmltree::Node;
use url::Url;

use super::fault::Fault;
use super::limits::Limits;
use super::place::{Mistake, Place, Rows};
use super::value::Value;
use crate::srgs::{self, Draft, Excess, Given, Library, Linked, Refusal};

pub(crate) use crate::srgs::{Grammar, Matcher, Mode, is_key};

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

/// A grammar that stands in a document.
#[derive(Debug)]
pub(crate) enum Inline {
    /// It is whole.
    Compiled(Box<Grammar>),
    /// It refers to other documents, which are fetched when it is to be active.
    Draft(Arc<Draft>),
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
pub(crate) fn is_srgs(media_type: &str) -> bool {
    srgs::is_grammar_type(media_type)
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

/// Compiles a grammar that stands as elements in a document; `base` is what its references
/// resolve against.
pub(crate) fn compile(
    grammar: Node<'_, '_>,
    rows: &Rows<'_>,
    base: Option<&Url>,
    states_max: usize,
) -> Result<Inline, Vec<Mistake>> {
    let somewhere = nowhere();
    let draft = srgs::read_node(grammar, rows, base.or(somewhere.as_ref()));
    let linked = draft.and_then(|draft| inline(draft, states_max));
    linked.map_err(|mut mistakes| {
        let whole = rows.mistake(grammar.range().start, "");
        for mistake in mistakes.iter_mut().filter(|it| (it.row, it.column) == (1, 1)) {
            // What is wrong with it as a whole is told where it stands.
            (mistake.row, mistake.column) = (whole.row, whole.column);
        }
        mistakes
    })
}

/// Compiles a grammar that stands as a text in a document, from `offset` on.
pub(crate) fn compile_text(
    text: &str,
    media_type: &str,
    rows: &Rows<'_>,
    offset: usize,
    base: Option<&Url>,
    states_max: usize,
) -> Result<Inline, Vec<Mistake>> {
    let somewhere = nowhere();
    let url = base.or(somewhere.as_ref());
    let given = Given { url, media_type, embedded: true, bytes_max: text.len() };
    let linked = srgs::read(text, &given).and_then(|draft| inline(draft, states_max));
    linked.map_err(|mut mistakes| {
        let begin = rows.mistake(offset, "");
        for mistake in &mut mistakes {
            if mistake.row == 1 {
                mistake.column += begin.column - 1;
            }
            mistake.row += begin.row - 1;
        }
        mistakes
    })
}

/// A document that came without an address can refer to others only in vain, which is found
/// out when they are to be fetched.
fn nowhere() -> Option<Url> {
    Url::parse("document:///").ok()
}

fn inline(draft: Draft, states_max: usize) -> Result<Inline, Vec<Mistake>> {
    let draft = Arc::new(draft);
    match srgs::link(&draft, None, &Library::default(), states_max)? {
        Linked::Ready(grammar) => Ok(Inline::Compiled(grammar)),
        Linked::Needs(_) => Ok(Inline::Draft(draft)),
    }
}

/// The grammars that were fetched for a page, and the documents they are made of.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    documents: Library,
    /// Grammars by whole address, or by the place of one that stands in the page.
    ready: HashMap<String, Arc<Grammar>>,
    states: usize,
}

/// What a grammar on the shelf comes to.
#[derive(Debug)]
pub(crate) enum Shelved {
    /// This document must be fetched first.
    Needs(Url),
    Ready(Arc<Grammar>),
}

/// Why a grammar cannot be made of what was fetched.
#[derive(Debug)]
pub(crate) enum Unfit {
    Fault(Fault),
    /// Of the document of this name.
    Mistakes(Arc<str>, Vec<Mistake>),
}

impl Shelf {
    /// The grammar at an address, whose fragment names the rule.
    pub(crate) fn at(&mut self, url: &Url, limits: &Limits) -> Result<Shelved, Unfit> {
        if let Some(ready) = self.ready.get(url.as_str()) {
            return Ok(Shelved::Ready(Arc::clone(ready)));
        }
        let Some(draft) = self.documents.get(url).cloned() else {
            let mut url = url.clone();
            url.set_fragment(None);
            return Ok(Shelved::Needs(url));
        };
        let rule = url.fragment().map(|rule| {
            percent_encoding::percent_decode_str(rule).decode_utf8_lossy().into_owned()
        });
        let rule = rule.filter(|rule| !rule.is_empty());
        self.link(&draft, rule.as_deref(), url.as_str(), limits)
    }

    /// The grammar of a draft that stands in the page at this place.
    pub(crate) fn of(
        &mut self,
        draft: &Arc<Draft>,
        place: &Place,
        limits: &Limits,
    ) -> Result<Shelved, Unfit> {
        let key = place.to_string();
        match self.ready.get(&key) {
            Some(ready) => Ok(Shelved::Ready(Arc::clone(ready))),
            None => self.link(draft, None, &key, limits),
        }
    }

    fn link(
        &mut self,
        draft: &Arc<Draft>,
        rule: Option<&str>,
        key: &str,
        limits: &Limits,
    ) -> Result<Shelved, Unfit> {
        let left = limits.grammar_states_max.saturating_sub(self.states);
        let linked = srgs::link(draft, rule, &self.documents, left);
        match linked.map_err(|mistakes| Unfit::Mistakes(Arc::clone(&draft.name), mistakes))? {
            Linked::Needs(urls) => match urls.into_iter().next() {
                Some(first) => Ok(Shelved::Needs(first)),
                None => Err(Unfit::Fault(Fault::bad_fetch("a grammar that needs nothing"))),
            },
            Linked::Ready(grammar) => {
                self.states += grammar.states();
                let grammar: Arc<Grammar> = Arc::from(grammar);
                self.ready.insert(key.to_owned(), Arc::clone(&grammar));
                Ok(Shelved::Ready(grammar))
            }
        }
    }

    /// Takes a document that was fetched for an address; `from` is where it came from.
    pub(crate) fn add(
        &mut self,
        url: &Url,
        from: &Url,
        media_type: &str,
        text: &str,
        limits: &Limits,
    ) -> Result<(), Unfit> {
        // Servers call grammars anything; what begins as one is judged as one.
        let begins = text.trim_start_matches('\u{feff}').trim_start();
        let looks = begins.starts_with('<') || begins.starts_with("#ABNF");
        let known = is_srgs(media_type);
        if !known && !looks {
            let message = format!(
                "the grammar {url} is {media_type}; application/srgs+xml and application/srgs \
                 are understood"
            );
            return Err(Unfit::Fault(Fault::unsupported("format", message)));
        }
        let media_type = if known { media_type } else { "" };
        let bytes_max = limits.document_bytes_max;
        let given = Given { url: Some(from), media_type, embedded: false, bytes_max };
        let draft = srgs::read(text, &given);
        let draft = draft.map_err(|mistakes| Unfit::Mistakes(from.as_str().into(), mistakes))?;
        self.documents.add(url, Arc::new(draft));
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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

impl Matcher {
    /// The meaning of the input, which is `words`; `None` where it is no match.
    pub(crate) fn meaning(&self, words: &[String]) -> Option<Result<Meaning, Fault>> {
        let meaning = self.interpret(words, 1.0)?;
        Some(meaning.map(Meaning::from).map_err(Fault::from))
    }
}

#[cfg(test)]
mod tests;
