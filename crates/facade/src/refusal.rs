//! Why a request is refused: which field, what was found there, what would be right.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// Longest piece of the client's text that a refusal repeats, in characters.
const FOUND_MAX: usize = 60;

/// What kind of mistake it is; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mistake {
    /// Two fields contradict each other.
    Conflict,
    /// The text is not of the form that the field asks for.
    Malformed,
    /// The field is needed and is not there, or empty.
    Missing,
    /// The value is of the right form, but too small, too large, or over already.
    OutOfRange,
    /// The text is longer than the field takes.
    TooLong,
    /// No field of this name exists.
    Unknown,
    /// The client's address did not answer as it must.
    Unreachable,
    /// A number where a text is asked for, and the like.
    WrongType,
}

impl Mistake {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 8] = [
        Self::Conflict,
        Self::Malformed,
        Self::Missing,
        Self::OutOfRange,
        Self::TooLong,
        Self::Unknown,
        Self::Unreachable,
        Self::WrongType,
    ];

    /// The name that clients see; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::OutOfRange => "out_of_range",
            Self::TooLong => "too_long",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
            Self::WrongType => "wrong_type",
        }
    }
}

/// One field that cannot be taken as it is.
///
/// [`fmt::Display`] writes `field: found …, expected …`, a sentence that a client can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field, in the client's words: a form field's name, or a JSON pointer.
    pub field: String,
    /// What kind of mistake it is.
    pub mistake: Mistake,
    /// What was found, shortened; `None` where nothing was, or where it is secret.
    pub found: Option<String>,
    /// What would be right.
    pub expected: String,
}

impl Refusal {
    /// A refusal that shows what was found.
    pub fn new(
        field: impl Into<String>,
        mistake: Mistake,
        found: &str,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            mistake,
            found: Some(shortened(found)),
            expected: expected.into(),
        }
    }

    /// A refusal that shows nothing of what was found.
    pub fn blind(field: impl Into<String>, mistake: Mistake, expected: impl Into<String>) -> Self {
        Self { field: field.into(), mistake, found: None, expected: expected.into() }
    }

    /// The sentence without the field's name, for answers that name it elsewhere.
    pub fn detail(&self) -> String {
        match (&self.found, self.mistake) {
            (Some(found), _) => format!("found {found:?}, expected {}", self.expected),
            (None, Mistake::Missing) => format!("is missing, expected {}", self.expected),
            (None, Mistake::Unreachable) => self.expected.clone(),
            (None, _) => format!("expected {}", self.expected),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail())
    }
}

/// At most [`FOUND_MAX`] characters of `text`, with an ellipsis where it goes on.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(FOUND_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_the_field_what_was_found_and_what_would_be_right() {
        let refusal = Refusal::new("max_retries", Mistake::OutOfRange, "11", "0 to 10");
        assert_eq!(refusal.to_string(), r#"max_retries: found "11", expected 0 to 10"#);
    }

    #[test]
    fn blind_refusal_shows_nothing_of_the_value() {
        let refusal = Refusal::blind("pin", Mistake::TooLong, "at most 16 characters");
        assert_eq!(refusal.to_string(), "pin: expected at most 16 characters");
    }

    #[test]
    fn every_mistake_is_written_by_its_name() {
        for mistake in Mistake::ALL {
            assert_eq!(serde_json::to_value(mistake).unwrap(), mistake.name());
        }
    }

    #[test]
    fn long_text_is_shown_in_part() {
        let refusal = Refusal::new("start_url", Mistake::TooLong, &"é".repeat(300), "less");
        assert_eq!(refusal.found.unwrap().chars().count(), FOUND_MAX + 1);
    }
}
