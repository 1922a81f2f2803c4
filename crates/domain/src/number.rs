//! Whom to call: number, caller ID and keys after the answer; and how a number is shown in logs.

pub mod canonical;
pub mod sip_address;

use std::fmt;
use std::str::FromStr;

/// Longest number accepted, in digits; E.164 allows 15, dial plans with prefixes need more.
const DIGITS_MAX: usize = 32;
/// Longest run of keys sent after the answer, pauses included.
const POST_DIAL_MAX: usize = 64;
/// Longest name of a conference, in characters.
pub const ROOM_CHARS_MAX: usize = 48;
/// What stands before the name of a conference; no number has it.
const ROOM: &str = "conference:";

/// A number to dial, who is calling, and the keys to send once it is answered.
///
/// The grammar that Plum DEV and Fuse share: `[tel:][+]digits[;ani=digits][;postd=keys]`.
/// A `Destination` that exists is dialable; [`fmt::Display`] writes the form it was read from,
/// normalised: parameters in this order, visual separators gone.
///
/// It may be a conference of the account instead, which no text of a client is read as: only who
/// knows that one is meant makes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Digits, with a leading `+` where the client wrote one; or [`ROOM`] and a name.
    number: String,
    /// The caller ID, digits with an optional leading `+`; none is sent without it.
    caller_id: Option<String>,
    /// Keys to send after the answer: `0-9 A-D * #`, and `,` or `p` or `w` for a pause.
    post_dial: Option<String>,
}

/// Why a text is no destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// There is nothing to dial.
    #[error("number is empty")]
    Empty,
    /// A sign that is neither digit nor separator.
    #[error("number has {0:?}, which is neither a digit nor a separator")]
    NotADigit(char),
    /// More digits than any network takes.
    #[error("number has {0} digits, at most {DIGITS_MAX} are allowed")]
    TooLong(usize),
    /// The caller ID is not a number.
    #[error("ani must be a number of 1 to {DIGITS_MAX} digits")]
    CallerId,
    /// The keys after the answer are not keys.
    #[error("postd must be 1 to {POST_DIAL_MAX} of 0-9 A-D * # and the pauses , p w")]
    PostDial,
    /// A parameter that the grammar does not know.
    #[error("parameter {0:?} is unknown, use ani or postd")]
    UnknownParameter(String),
    /// A zero that is dialed only within the country, after the country's code.
    #[error("number has (0) after its country code, leave it out where it is not dialed")]
    TrunkPrefix,
    /// The same parameter twice.
    #[error("parameter {0:?} appears twice")]
    RepeatedParameter(String),
    /// What can be no conference's name.
    #[error("a conference's name has 1 to {ROOM_CHARS_MAX} letters, digits, _ and -")]
    Room,
}

/// Whether a conference may be called so.
pub fn is_room(name: &str) -> bool {
    (1..=ROOM_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, b'_' | b'-'))
}

impl Destination {
    /// Reads the number alone, without parameters.
    pub fn number(text: &str) -> Result<Self, DestinationError> {
        Ok(Self { number: parse_number(text)?, caller_id: None, post_dial: None })
    }

    /// The conference of this name.
    pub fn conference(room: &str) -> Result<Self, DestinationError> {
        if !is_room(room) {
            return Err(DestinationError::Room);
        }
        Ok(Self { number: format!("{ROOM}{room}"), caller_id: None, post_dial: None })
    }

    /// Reads what [`fmt::Display`] wrote, conferences included.
    pub fn stored(text: &str) -> Result<Self, DestinationError> {
        Self::read(text, |first| match first.strip_prefix(ROOM) {
            Some(room) => Self::conference(room),
            None => Self::number(first),
        })
    }

    fn read(
        text: &str,
        first: impl FnOnce(&str) -> Result<Self, DestinationError>,
    ) -> Result<Self, DestinationError> {
        let mut parts = text.split(';');
        let mut destination = first(parts.next().unwrap_or_default())?;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "ani" if destination.caller_id.is_none() => {
                    destination = destination.with_caller_id(value)?;
                }
                "postd" if destination.post_dial.is_none() => {
                    destination.post_dial = Some(parse_post_dial(value.trim())?);
                }
                name @ ("ani" | "postd") => {
                    return Err(DestinationError::RepeatedParameter(name.into()));
                }
                name => return Err(DestinationError::UnknownParameter(name.into())),
            }
        }
        Ok(destination)
    }

    /// The name of the conference, if it is one.
    pub fn room(&self) -> Option<&str> {
        self.number.strip_prefix(ROOM)
    }

    /// The same destination, called from `caller_id`.
    pub fn with_caller_id(mut self, caller_id: &str) -> Result<Self, DestinationError> {
        self.caller_id = Some(parse_number(caller_id).map_err(|_| DestinationError::CallerId)?);
        Ok(self)
    }

    /// What is dialed: digits, with a leading `+` where the client wrote one.
    pub fn dialed(&self) -> &str {
        &self.number
    }

    /// The digits alone, as Plum's `phone_number` of type int.
    pub fn digits(&self) -> &str {
        self.number.trim_start_matches('+')
    }

    /// The caller ID to show, if one is given.
    pub fn caller_id(&self) -> Option<&str> {
        self.caller_id.as_deref()
    }

    /// The keys to send after the answer.
    pub fn post_dial(&self) -> Option<&str> {
        self.post_dial.as_deref()
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let text = text.trim();
        let text = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
            _ => text,
        };
        Self::read(text, Self::number)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.number)?;
        if let Some(caller_id) = &self.caller_id {
            write!(f, ";ani={caller_id}")?;
        }
        if let Some(post_dial) = &self.post_dial {
            write!(f, ";postd={post_dial}")?;
        }
        Ok(())
    }
}

/// A number as logs may show it: all but the last four digits hidden.
pub struct Masked<'a>(pub &'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown_from = self.0.chars().count().saturating_sub(4);
        for (position, sign) in self.0.chars().enumerate() {
            let hidden = sign.is_ascii_digit() && position < shown_from;
            fmt::Write::write_char(f, if hidden { '*' } else { sign })?;
        }
        Ok(())
    }
}

/// Digits with an optional leading `+`; the visual separators of RFC 3966 §5.1.1 are dropped.
fn parse_number(text: &str) -> Result<String, DestinationError> {
    // "+44 (0)20": nobody is at the digits as they stand, and in Italy the zero belongs to the number.
    if text.contains('+') && text.contains("(0)") {
        return Err(DestinationError::TrunkPrefix);
    }
    let mut number = String::with_capacity(16);
    for sign in text.trim().chars() {
        match sign {
            '0'..='9' => number.push(sign),
            '+' if number.is_empty() => number.push(sign),
            '-' | '.' | '(' | ')' | ' ' => {}
            other => return Err(DestinationError::NotADigit(other)),
        }
    }
    match number.trim_start_matches('+').len() {
        0 => Err(DestinationError::Empty),
        1..=DIGITS_MAX => Ok(number),
        digits => Err(DestinationError::TooLong(digits)),
    }
}

fn parse_post_dial(text: &str) -> Result<String, DestinationError> {
    let keys = text.to_ascii_uppercase();
    let valid = (1..=POST_DIAL_MAX).contains(&keys.len())
        && keys
            .chars()
            .all(|key| matches!(key, '0'..='9' | 'A'..='D' | '*' | '#' | ',' | 'P' | 'W'));
    valid.then_some(keys).ok_or(DestinationError::PostDial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normalised(text: &str) -> String {
        match text.parse::<Destination>() {
            Ok(destination) => destination.to_string(),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn every_form_of_the_shared_grammar_is_read() {
        let forms = [
            ("6175551234", "6175551234"),
            ("tel:+16175551234", "+16175551234"),
            ("16175551234;ani=8009957586", "16175551234;ani=8009957586"),
            ("16175551234;postd=2", "16175551234;postd=2"),
            ("tel:+16175551234;ani=8009957586;postd=2", "+16175551234;ani=8009957586;postd=2"),
            ("TEL:16175551234;POSTD=2p1;ANI=+1800", "16175551234;ani=+1800;postd=2P1"),
            ("(617) 555-12.34", "6175551234"),
        ];
        for (text, expected) in forms {
            assert_eq!(normalised(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialed_is_refused_with_the_reason() {
        let refusals = [
            ("", "refused: number is empty"),
            ("tel:+", "refused: number is empty"),
            ("17:ani=", "refused: number has ':', which is neither a digit nor a separator"),
            ("1617;ani=", "refused: ani must be a number of 1 to 32 digits"),
            ("1617;ext=2", "refused: parameter \"ext\" is unknown, use ani or postd"),
            ("1617;ani=1;ani=2", "refused: parameter \"ani\" appears twice"),
            (
                "+44 (0)20 7946 0018",
                "refused: number has (0) after its country code, leave it out where it is not dialed",
            ),
            ("+1+1", "refused: number has '+', which is neither a digit nor a separator"),
        ];
        for (text, expected) in refusals {
            assert_eq!(normalised(text), expected, "{text}");
        }
    }

    #[test]
    fn conference_is_stored_and_read_back_and_no_text_of_a_client_is_one() {
        let talk = Destination::conference("weekly-talk_2").unwrap();
        assert_eq!(talk.room(), Some("weekly-talk_2"));
        let shown = talk.with_caller_id("+15550100").unwrap();
        assert_eq!(shown.to_string(), "conference:weekly-talk_2;ani=+15550100");
        assert_eq!(Destination::stored(&shown.to_string()), Ok(shown.clone()));
        assert!(shown.to_string().parse::<Destination>().is_err());
        assert_eq!(Destination::stored("+15550100").unwrap().room(), None);
        for name in ["", "a b", "a;ani=1", "a/b", "é", &"x".repeat(49)] {
            assert_eq!(Destination::conference(name), Err(DestinationError::Room), "{name}");
        }
    }

    #[test]
    fn masked_number_shows_its_last_four_digits() {
        assert_eq!(Masked("+16175551234").to_string(), "+*******1234");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_reads_again(text in "\\PC{0,60}") {
            if let Ok(destination) = text.parse::<Destination>() {
                prop_assert_eq!(destination.to_string().parse::<Destination>().unwrap(), destination);
            }
        }
    }
}
