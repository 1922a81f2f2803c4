//! What goes wrong while a script runs: an event to throw, or a limit that ends the call.

use super::place::Place;

/// The event of a run-time error in the document (VoiceXML 2.0 §5.2.6).
pub(crate) const SEMANTIC: &str = "error.semantic";
/// The event of a page that cannot be had, or is not well made.
pub(crate) const BAD_FETCH: &str = "error.badfetch";

/// Why a statement could not be done.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The event to throw; [`LIMIT`] ends the call instead.
    pub(crate) event: String,
    /// What was wrong, and what would be right.
    pub(crate) message: String,
    /// Where, if known nearer than by who reports it.
    pub(crate) place: Option<Place>,
}

/// The event that is reported, never thrown, when a call runs into one of its limits.
pub(crate) const LIMIT: &str = "error.limit";

impl Fault {
    pub(crate) fn new(event: impl Into<String>, message: impl Into<String>) -> Self {
        Self { event: event.into(), message: message.into(), place: None }
    }

    pub(crate) fn semantic(message: impl Into<String>) -> Self {
        Self::new(SEMANTIC, message)
    }

    pub(crate) fn bad_fetch(message: impl Into<String>) -> Self {
        Self::new(BAD_FETCH, message)
    }

    pub(crate) fn unsupported(what: &str, message: impl Into<String>) -> Self {
        Self::new(format!("error.unsupported.{what}"), message)
    }

    /// `name` is the field of [`super::Limits`] that was exceeded.
    pub(crate) fn limit(name: &str, message: impl std::fmt::Display) -> Self {
        Self::new(LIMIT, format!("limit {name}: {message}"))
    }

    /// Adds where it was, unless that is known already.
    #[must_use]
    pub(crate) fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    pub(crate) fn is_limit(&self) -> bool {
        self.event == LIMIT
    }

    /// `where: what`.
    pub(crate) fn text(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}", self.message),
            None => self.message.clone(),
        }
    }
}
