//! VoiceXML 2.0 and 2.1: documents, and the machine that runs them.
//!
//! [`Vxml`] is the machine; the rest is its parts. [`check`] finds mistakes without running.

mod document;
mod event;
mod expr;
mod fault;
mod fia;
mod form;
mod grammar;
mod limits;
mod listen;
mod load;
mod place;
mod prompt;
mod property;
mod read;
mod run;
mod schema;
mod scope;
mod simple;
mod throw;
mod value;
mod xml;

pub use fia::Vxml;
pub use limits::Limits;
pub use place::Mistake;
pub use read::check;

/// A document that speaks a text and ends.
pub fn say_document(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            // XML 1.0 has no other control characters, not even escaped ones.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <vxml xmlns=\"{}\" version=\"2.1\">\n  \
         <form><block><prompt>{escaped}</prompt></block></form>\n</vxml>\n",
        schema::VXML
    )
}
