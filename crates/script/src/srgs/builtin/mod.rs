//! The builtin types: boolean, currency, date, digits, number, phone, time, for keys and for
//! English speech (VoiceXML 2.0 App. P).
//!
//! Each is a grammar in the ABNF form, whose tags are read here and not by ECMAScript.

mod keys;
mod value;
mod voice;

use std::sync::Arc;

use super::model::{Draft, Mode};
use crate::vxml::place::Rows;

pub(crate) use value::{Worth, interpret};

/// A builtin type, as it is interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Currency,
    Date,
    Digits,
    Number,
    Phone,
    Time,
}

/// Why there is no such builtin grammar.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such type.
    #[error(
        "there is no builtin type {0}; there are boolean, currency, date, digits, number, phone \
         and time"
    )]
    Unknown(String),
    /// The type exists, its parameters are wrong.
    #[error("{0}")]
    Parameter(String),
}

/// Most digits that a builtin may ask for.
const DIGITS_MAX: u32 = 1_000;

/// The grammar of a builtin type with its parameters, as `digits?minlength=3;maxlength=5`.
pub(crate) fn draft(kind: &str, mode: Mode) -> Result<(Draft, Kind), Refusal> {
    let (name, given) = kind.trim().split_once('?').unwrap_or((kind.trim(), ""));
    let parameters = Parameters::read(given);
    let kind = match name {
        "boolean" => Kind::Boolean,
        "currency" => Kind::Currency,
        "date" => Kind::Date,
        "digits" => Kind::Digits,
        "number" => Kind::Number,
        "phone" => Kind::Phone,
        "time" => Kind::Time,
        _ => return Err(Refusal::Unknown(name.to_owned())),
    };
    // Parameters that are wrong are wrong in both modes, also where only one heeds them.
    let answers = parameters.answers()?;
    let length = parameters.length()?;
    let text = match mode {
        Mode::Dtmf => keys::text(kind, answers, &length),
        Mode::Voice => voice::text(kind, &length),
    };
    let source: Arc<str> = Arc::from(format!("builtin:{name}"));
    let read = super::abnf::read(&text, &Rows::new(&source, &text), None, false, text.len());
    let draft = read.map_err(|mistakes| {
        let told = mistakes.first().map(ToString::to_string).unwrap_or_default();
        Refusal::Parameter(format!("{source}: {told}"))
    })?;
    Ok((draft, kind))
}

/// What stands behind the question mark.
struct Parameters<'p>(Vec<(&'p str, &'p str)>);

impl<'p> Parameters<'p> {
    fn read(given: &'p str) -> Self {
        let pairs = given.split([';', '&']).filter(|pair| !pair.trim().is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(key, value)| (key.trim(), value.trim())).collect())
    }

    fn get(&self, name: &str) -> Option<&'p str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The keys for yes and no.
    fn answers(&self) -> Result<(char, char), Refusal> {
        let key = |name: &str, default: char| {
            let given = self.get(name).unwrap_or_default();
            let mut keys = given.chars();
            match (keys.next(), keys.next()) {
                (None, _) => Ok(default),
                (Some(key), None) if super::is_key(key) => Ok(key),
                _ => Err(Refusal::Parameter(format!("boolean?{name}={given}: one key is wanted"))),
            }
        };
        let (yes, no) = (key("y", '1')?, key("n", '2')?);
        if yes == no {
            let message = format!("boolean?y={yes};n={no}: the keys must differ");
            return Err(Refusal::Parameter(message));
        }
        Ok((yes, no))
    }

    /// How many digits, as a repeat.
    fn length(&self) -> Result<String, Refusal> {
        let number = |name: &str| match self.get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u32>() {
                Ok(number) if number <= DIGITS_MAX => Ok(Some(number)),
                _ => {
                    let message =
                        format!("digits?{name}={text}: a number up to {DIGITS_MAX} is wanted");
                    Err(Refusal::Parameter(message))
                }
            },
        };
        let length = number("length")?;
        let least = number("minlength")?.or(length).unwrap_or(1);
        let most = number("maxlength")?.or(length);
        let exact = length.is_none_or(|length| length == least && Some(length) == most);
        if !exact || most.is_some_and(|most| most < least || most == 0) {
            let message = "digits: minlength, maxlength and length contradict each other";
            return Err(Refusal::Parameter(message.to_owned()));
        }
        Ok(match most {
            Some(most) => format!("<{least}-{most}>"),
            None => format!("<{least}->"),
        })
    }
}

#[cfg(test)]
mod tests;
