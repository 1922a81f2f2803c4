//! VoiceXML 2.0 and 2.1: documents, and the machine that runs them.
//!
//! [`Vxml`] is the machine; the rest is its parts. [`check`] finds mistakes without running.

mod check;
mod data;
mod document;
mod event;
pub(crate) mod expr;
mod fault;
mod fetching;
mod fia;
mod fill;
mod form;
mod grammar;
mod hear;
mod limits;
mod listen;
mod load;
pub(crate) mod place;
mod prompt;
mod property;
mod read;
mod record;
mod render;
mod result;
mod rivals;
mod run;
mod schema;
mod scope;
mod shape;
pub(crate) mod simple;
mod subdialog;
mod targets;
mod throw;
mod transfer;
pub(crate) mod value;
pub(crate) mod xml;

pub use check::check;
pub use fia::Vxml;
pub use grammar::VoiceGrammar;
pub use limits::Limits;
pub use place::Mistake;

/// A document that speaks a text and ends.
pub fn say_document(text: &str) -> String {
    let escaped = read::escaped(text);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <vxml xmlns=\"{}\" version=\"2.1\">\n  \
         <form><block><prompt>{escaped}</prompt></block></form>\n</vxml>\n",
        schema::VXML
    )
}
