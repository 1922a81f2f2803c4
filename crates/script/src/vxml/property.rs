//! Properties (VoiceXML 2.0 §6.3): item before dialog before document before root.

use std::time::Duration;

use super::document::{FetchRule, Property};
use super::fault::Fault;
use super::grammar::is_key;
use super::read::parse_duration;

/// The properties in force, closest first.
pub(crate) struct Properties<'p> {
    pub(crate) levels: [&'p [Property]; 4],
}

/// How input is taken.
#[derive(Clone, Debug)]
pub(crate) struct InputRule {
    /// Silence after the prompts until `noinput`.
    pub(crate) timeout: Duration,
    /// Silence after a key that may be followed by more.
    pub(crate) inter_digit: Duration,
    /// Wait for the terminating key after input that nothing can follow.
    pub(crate) term_timeout: Duration,
    pub(crate) term_char: Option<char>,
    /// Whether keys are listened to.
    pub(crate) dtmf: bool,
}

/// Long enough to find the keypad, short enough not to seem dead.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Slow keying of a long number still counts as one input.
const INTER_DIGIT_DEFAULT: Duration = Duration::from_secs(3);

impl<'p> Properties<'p> {
    pub(crate) fn input_rule(&self) -> Result<InputRule, Fault> {
        Ok(InputRule {
            timeout: self.duration("timeout")?.unwrap_or(TIMEOUT_DEFAULT),
            inter_digit: self.duration("interdigittimeout")?.unwrap_or(INTER_DIGIT_DEFAULT),
            term_timeout: self.duration("termtimeout")?.unwrap_or(Duration::ZERO),
            term_char: self.term_char()?,
            dtmf: self.input_modes()?,
        })
    }

    pub(crate) fn bargein(&self) -> Result<bool, Fault> {
        match self.find("bargein") {
            None => Ok(true),
            Some(property) => match property.value.trim() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(wrong(property, "true or false")),
            },
        }
    }

    /// What a fetching element does not say itself; `kind` as in `documentmaxage`.
    pub(crate) fn fetch(&self, kind: &str, own: &FetchRule) -> Result<FetchRule, Fault> {
        let seconds = |name: &str| match self.find(&format!("{kind}{name}")) {
            None => Ok(None),
            Some(property) => match property.value.trim().parse() {
                Ok(seconds) => Ok(Some(seconds)),
                Err(_) => Err(wrong(property, "a whole number of seconds")),
            },
        };
        Ok(FetchRule {
            timeout: match own.timeout {
                Some(timeout) => Some(timeout),
                None => self.duration("fetchtimeout")?,
            },
            maxage_s: own.maxage_s.map_or_else(|| seconds("maxage"), |own| Ok(Some(own)))?,
            maxstale_s: own.maxstale_s.map_or_else(|| seconds("maxstale"), |own| Ok(Some(own)))?,
        })
    }

    fn term_char(&self) -> Result<Option<char>, Fault> {
        let Some(property) = self.find("termchar") else {
            return Ok(Some('#'));
        };
        let mut keys = property.value.trim().chars();
        match (keys.next(), keys.next()) {
            (None, _) => Ok(None),
            (Some(key), None) if is_key(key) => Ok(Some(key)),
            _ => Err(wrong(property, "one key, or empty for none")),
        }
    }

    fn input_modes(&self) -> Result<bool, Fault> {
        let Some(property) = self.find("inputmodes") else {
            return Ok(true);
        };
        let mut dtmf = false;
        for mode in property.value.split_whitespace() {
            match mode {
                "dtmf" => dtmf = true,
                "voice" => {}
                _ => return Err(wrong(property, "dtmf, voice or both")),
            }
        }
        Ok(dtmf)
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, Fault> {
        let Some(property) = self.find(name) else {
            return Ok(None);
        };
        match parse_duration(&property.value) {
            Some(duration) => Ok(Some(duration)),
            None => Err(wrong(property, "a time as 3s, 0.5s or 850ms")),
        }
    }

    /// The closest property of this name; of two on one element the later.
    fn find(&self, name: &str) -> Option<&'p Property> {
        let mut levels = self.levels.iter();
        levels.find_map(|level| level.iter().rev().find(|property| property.name == name))
    }
}

fn wrong(property: &Property, wanted: &str) -> Fault {
    let message = format!("property {} is \"{}\"; it is {wanted}", property.name, property.value);
    Fault::semantic(message).at(&property.place)
}
