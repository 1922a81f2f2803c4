//! Grammars: SRGS 1.0 in both forms with SISR 1.0 tags, for keys and for words.
//!
//! [`read`] makes a [`Draft`] of one document, [`link()`] makes a [`Grammar`] of a draft and of
//! all that it refers to, and says what must be fetched for that. A [`Matcher`] takes keys or
//! words one by one and says whether they match, might, or cannot; [`Matcher::readings`] tells
//! all ways to read them, best first, and what each means.

mod abnf;
mod abnf_rule;
mod abnf_scan;
mod builder;
mod builtin;
mod chart;
mod check;
mod grammar;
mod link;
mod meaning;
mod model;
mod network;
mod parse;
pub mod suite;
mod tags;
mod text;
mod write;
mod xml;

use std::sync::Arc;

use roxmltree::Node;
use url::Url;

use crate::vxml::place::Rows;
use crate::vxml::value::Value;
use crate::vxml::{Limits, Mistake, expr};

pub use builtin::Refusal;
pub use chart::{Excess, Matcher, Verdict};
pub use check::check;
pub use grammar::Grammar;
pub use link::{Library, Linked, link, link_builtin};
pub use meaning::{Meaning, Reading};
pub use model::{Draft, Form, Lexicon, Meta, Mode};
pub use parse::Parse;

pub(crate) use model::{is_key, simple_number};
pub(crate) use network::{Cost, Network, Over};

/// What is known of a document besides its text.
#[derive(Clone, Copy, Debug)]
pub struct Given<'g> {
    /// Where it was had from; relative references resolve against it.
    pub url: Option<&'g Url>,
    /// Its media type as told by whoever delivered it; empty where nobody did.
    pub media_type: &'g str,
    /// It stands in a document that says version and language for it.
    pub embedded: bool,
    /// Most bytes that are read.
    pub bytes_max: usize,
}

/// Reads a document: ABNF or XML, as its media type says, else as it begins.
///
/// Errors are all mistakes that were found, by row and column.
pub fn read(text: &str, given: &Given<'_>) -> Result<Draft, Vec<Mistake>> {
    let name: Arc<str> = Arc::from(given.url.map_or("grammar", Url::as_str));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = Rows::new(&name, text);
    match form_of(text, given.media_type) {
        Form::Abnf => abnf::read(text, &rows, given.url, given.embedded, given.bytes_max),
        Form::Xml => xml::read(text, &rows, given.url, given.embedded, given.bytes_max),
    }
}

/// Reads a document as it came, in the encoding that it or its media type declares.
pub fn read_bytes(bytes: &[u8], given: &Given<'_>) -> Result<Draft, Vec<Mistake>> {
    let whole = |message| vec![Mistake { row: 1, column: 1, message }];
    if bytes.len() > given.bytes_max {
        let (len, max) = (bytes.len(), given.bytes_max);
        return Err(whole(format!("the text has {len} bytes; at most {max} are read")));
    }
    let charset = given.media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let text = text::decode(bytes, charset).map_err(whole)?;
    read(&text, given)
}

/// Reads a grammar that stands as elements in a document which has been checked, names and all.
/// `url` is what its relative references resolve against.
pub(crate) fn read_node(
    grammar: Node<'_, '_>,
    rows: &Rows<'_>,
    url: Option<&Url>,
) -> Result<Draft, Vec<Mistake>> {
    xml::read_node(grammar, rows, url)
}

/// Whether a media type is one of grammars, or one that says nothing about its content.
pub fn is_grammar_type(media_type: &str) -> bool {
    model::form_of_media_type(media_type).is_some() || says_nothing(media_type)
}

/// Whether a media type says nothing of what a grammar is.
pub(crate) fn says_nothing(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    matches!(
        essence.as_str(),
        "" | "application/octet-stream" | "application/xml" | "text/plain" | "text/xml"
    )
}

/// What a text is: by its media type if that is one of grammars, else by how it begins.
fn form_of(text: &str, media_type: &str) -> Form {
    let begins_as_xml = text.trim_start().starts_with('<');
    let sniffed = if begins_as_xml { Form::Xml } else { Form::Abnf };
    model::form_of_media_type(media_type).unwrap_or(sniffed)
}

/// What a meaning comes to, as JSON; scripts run in an engine of their own, within its limits.
///
/// The error is what the engine said.
pub fn evaluate(meaning: &Meaning, limits: &Limits) -> Result<serde_json::Value, String> {
    match meaning {
        Meaning::Bool(bool) => Ok(serde_json::Value::Bool(*bool)),
        Meaning::Text(text) => Ok(serde_json::Value::String(text.to_string())),
        Meaning::Script(program) => {
            // Scripts of grammars have no use for chance; any seed will do.
            let engine = expr::Engine::new(limits, 0, &Value::Record(Vec::new()));
            let value = engine.and_then(|mut engine| engine.evaluate_apart(program));
            value.map(|value| value.to_json()).map_err(|fault| fault.message)
        }
    }
}

#[cfg(test)]
mod tests;
