//! Properties (VoiceXML 2.0 §6.3): item before dialog before document before root.

use std::time::Duration;

use super::document::{BargeinType, FetchRule, Property};
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
    /// Whether speech is listened to.
    pub(crate) voice: bool,
    /// What is less certain than this, from 0 to 1, does not match.
    pub(crate) confidence: f64,
    /// Most readings of one input that are of use.
    pub(crate) results_max: u32,
}

/// What a recognizer is told besides grammars.
#[derive(Clone, Debug)]
pub(crate) struct SpeechRule {
    pub(crate) complete: Option<Duration>,
    pub(crate) incomplete: Option<Duration>,
    pub(crate) speech_max: Option<Duration>,
    pub(crate) sensitivity: f64,
    pub(crate) speed_over_accuracy: f64,
    /// Whether the sound of what is said is kept.
    pub(crate) record: bool,
}

/// When what is played during a fetch begins, and how long it is heard at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchAudioRule {
    pub(crate) delay: Duration,
    pub(crate) minimum: Duration,
}

/// Long enough to find the keypad, short enough not to seem dead.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Slow keying of a long number still counts as one input.
const INTER_DIGIT_DEFAULT: Duration = Duration::from_secs(3);
/// A fetch that is done sooner needs no music.
const FETCH_AUDIO_DELAY_DEFAULT: Duration = Duration::from_secs(2);
/// Music of less than this sounds like a fault.
const FETCH_AUDIO_MINIMUM_DEFAULT: Duration = Duration::from_secs(1);
/// Most readings that a document may ask for; recognizers give a handful.
const RESULTS_MAX: u32 = 100;

/// Commands that every document understands if it asks for them (§6.3.6).
pub(crate) const UNIVERSALS: [&str; 3] = ["cancel", "exit", "help"];

impl<'p> Properties<'p> {
    pub(crate) fn input_rule(&self) -> Result<InputRule, Fault> {
        let (dtmf, voice) = self.input_modes()?;
        Ok(InputRule {
            timeout: self.timeout()?,
            inter_digit: self.duration("interdigittimeout")?.unwrap_or(INTER_DIGIT_DEFAULT),
            term_timeout: self.duration("termtimeout")?.unwrap_or(Duration::ZERO),
            term_char: self.term_char()?,
            dtmf,
            voice,
            confidence: self.share("confidencelevel")?.unwrap_or(0.5),
            results_max: self.results_max()?,
        })
    }

    pub(crate) fn speech_rule(&self) -> Result<SpeechRule, Fault> {
        Ok(SpeechRule {
            complete: self.duration("completetimeout")?,
            incomplete: self.duration("incompletetimeout")?,
            speech_max: self.duration("maxspeechtimeout")?,
            sensitivity: self.share("sensitivity")?.unwrap_or(0.5),
            speed_over_accuracy: self.share("speedvsaccuracy")?.unwrap_or(0.5),
            record: self.boolean("recordutterance")?.unwrap_or(false),
        })
    }

    /// Silence after the prompts until `noinput`.
    pub(crate) fn timeout(&self) -> Result<Duration, Fault> {
        Ok(self.duration("timeout")?.unwrap_or(TIMEOUT_DEFAULT))
    }

    pub(crate) fn bargein(&self) -> Result<bool, Fault> {
        Ok(self.boolean("bargein")?.unwrap_or(true))
    }

    pub(crate) fn bargein_type(&self) -> Result<BargeinType, Fault> {
        match self.find("bargeintype") {
            None => Ok(BargeinType::Speech),
            Some(property) => match property.value.trim() {
                "hotword" => Ok(BargeinType::Hotword),
                "speech" => Ok(BargeinType::Speech),
                _ => Err(wrong(property, "speech or hotword")),
            },
        }
    }

    /// Commands that are understood everywhere.
    pub(crate) fn universals(&self) -> Result<Vec<&'static str>, Fault> {
        let Some(property) = self.find("universals") else {
            return Ok(Vec::new());
        };
        match property.value.trim() {
            "none" => Ok(Vec::new()),
            "all" => Ok(UNIVERSALS.to_vec()),
            names => {
                let known = |name| UNIVERSALS.into_iter().find(|known| *known == name);
                let found: Option<Vec<_>> = names.split_whitespace().map(known).collect();
                found.ok_or_else(|| wrong(property, "none, all, or some of cancel, exit, help"))
            }
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
        let default_audio = || self.find("fetchaudio").map(|property| property.value.clone());
        let audio = match kind {
            "data" | "document" => own.audio.clone().or_else(default_audio),
            _ => None,
        };
        Ok(FetchRule {
            audio: audio.filter(|audio| !audio.trim().is_empty()),
            timeout: match own.timeout {
                Some(timeout) => Some(timeout),
                None => self.duration("fetchtimeout")?,
            },
            maxage_s: own.maxage_s.map_or_else(|| seconds("maxage"), |own| Ok(Some(own)))?,
            maxstale_s: own.maxstale_s.map_or_else(|| seconds("maxstale"), |own| Ok(Some(own)))?,
        })
    }

    pub(crate) fn fetch_audio_rule(&self) -> Result<FetchAudioRule, Fault> {
        let delay = self.duration("fetchaudiodelay")?;
        let minimum = self.duration("fetchaudiominimum")?;
        Ok(FetchAudioRule {
            delay: delay.unwrap_or(FETCH_AUDIO_DELAY_DEFAULT),
            minimum: minimum.unwrap_or(FETCH_AUDIO_MINIMUM_DEFAULT),
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

    /// Whether keys and whether speech are listened to.
    fn input_modes(&self) -> Result<(bool, bool), Fault> {
        let Some(property) = self.find("inputmodes") else {
            return Ok((true, true));
        };
        let (mut dtmf, mut voice) = (false, false);
        for mode in property.value.split_whitespace() {
            match mode {
                "dtmf" => dtmf = true,
                "voice" => voice = true,
                _ => return Err(wrong(property, "dtmf, voice or both")),
            }
        }
        Ok((dtmf, voice))
    }

    fn results_max(&self) -> Result<u32, Fault> {
        match self.find("maxnbest") {
            None => Ok(1),
            Some(property) => match property.value.trim().parse::<u32>() {
                Ok(number) if number > 0 => Ok(number.min(RESULTS_MAX)),
                _ => Err(wrong(property, "a whole number from 1")),
            },
        }
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(property) = self.find(name) else {
            return Ok(None);
        };
        match property.value.trim() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(wrong(property, "true or false")),
        }
    }

    /// A number from 0 to 1.
    fn share(&self, name: &str) -> Result<Option<f64>, Fault> {
        let Some(property) = self.find(name) else {
            return Ok(None);
        };
        match property.value.trim().parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Some(share)),
            _ => Err(wrong(property, "a number from 0.0 to 1.0")),
        }
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
