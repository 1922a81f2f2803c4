//! Finding out who or what answered: what is wanted of it, what was heard, and what follows.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::application::ScriptSource;
use crate::outcome::{CalleeType, Outcome};

/// Longest time to a verdict; after it, what is likeliest counts (Aculab: 5,000 ms "best value").
pub const DECIDE_WITHIN: Duration = Duration::from_millis(5_000);
/// Times to a verdict that a client may ask for, in milliseconds: before one second nobody has
/// said more than a word, and no verdict takes a minute.
pub const DECIDE_WITHIN_MS: std::ops::RangeInclusive<u32> = 1_000..=60_000;

/// Whether anybody listens for who answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Detection {
    /// Nobody does; the script runs at once.
    #[default]
    Off,
    /// By these rules.
    On(DetectionRules),
}

/// What follows from who answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DetectionRules {
    /// When the script starts.
    pub start: ScriptStart,
    /// What a machine is met with.
    pub on_machine: OnMachine,
    /// What a fax machine is met with.
    pub on_fax: OnFax,
    /// What "answered" means.
    pub clock: AnswerClock,
    /// Longest time from the answer to a verdict.
    pub decide_within: Duration,
}

/// When the script starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScriptStart {
    /// With the answer; it is told who it is as soon as that is known.
    AtOnce,
    /// When it is known who it is, or when nobody has said a word for as long as a person waits.
    WhenKnown,
}

/// What a machine is met with, once it is beyond doubt that it is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OnMachine {
    /// The script, as a person is.
    Continue,
    /// The end of the call.
    HangUp,
    /// This message, after its greeting and its beep; then the call ends.
    LeaveMessage(ScriptSource),
    /// The script, after its greeting; one that runs already goes on.
    Wait,
}

/// What a fax machine is met with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFax {
    /// The script.
    Continue,
    /// The end of the call.
    HangUp,
}

/// What "answered" means, where the network says so while it still rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerClock {
    /// A ring after the answer starts the time again (Aculab: Answer Detect).
    Answer,
    /// The network's word counts (Aculab: Network Connect).
    Connect,
}

/// Who or what is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// A busy tone.
    Busy,
    /// A machine that asks on behalf of a person who calls and why.
    CallScreener,
    /// A fax machine or a modem.
    Fax,
    /// A person.
    Human,
    /// An answering machine, a voicemail, an announcement.
    Machine,
    /// Music.
    Music,
    /// The fast busy tone of a network without a way.
    Reorder,
    /// It still rings.
    Ringback,
    /// Nobody spoke.
    Silence,
    /// Special information tones: intercept, vacant number (Telcordia IC, VC).
    SitNumber,
    /// Special information tones: no circuit, reorder, ineffective other.
    SitNetwork,
    /// Special information tones without a code (ITU-T E.180 §7).
    SitUncoded,
    /// Nobody can tell.
    Unknown,
}

/// What was found out about a callee, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// Who or what it is.
    pub heard: Heard,
    /// The code of special information tones, such as `IC`; else empty.
    pub code: &'static str,
    /// Chance that this is right, in hundredths.
    pub percent: u8,
    /// How long after the answer it was known.
    pub after: Duration,
    /// Whether it stays.
    pub is_firm: bool,
}

impl DetectionRules {
    /// Tell the script, and nothing else.
    pub const TELL: Self = Self {
        start: ScriptStart::AtOnce,
        on_machine: OnMachine::Continue,
        on_fax: OnFax::Continue,
        clock: AnswerClock::Answer,
        decide_within: DECIDE_WITHIN,
    };
}

impl Detection {
    /// The rules, if anybody listens.
    pub const fn rules(&self) -> Option<&DetectionRules> {
        match self {
            Self::Off => None,
            Self::On(rules) => Some(rules),
        }
    }
}

impl Heard {
    /// Everything that may be heard, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::Busy,
        Self::CallScreener,
        Self::Fax,
        Self::Human,
        Self::Machine,
        Self::Music,
        Self::Reorder,
        Self::Ringback,
        Self::Silence,
        Self::SitNumber,
        Self::SitNetwork,
        Self::SitUncoded,
        Self::Unknown,
    ];

    /// The name that is stored and shown; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::CallScreener => "call_screener",
            Self::Fax => "fax",
            Self::Human => "human",
            Self::Machine => "machine",
            Self::Music => "music",
            Self::Reorder => "reorder",
            Self::Ringback => "ringback",
            Self::Silence => "silence",
            Self::SitNumber => "sit_number",
            Self::SitNetwork => "sit_network",
            Self::SitUncoded => "sit",
            Self::Unknown => "unknown",
        }
    }

    /// Who answered, as scripts and results know it.
    ///
    /// A call screener speaks for a person who may still take the call: it is no machine to hang
    /// up on.
    pub const fn callee_type(self) -> CalleeType {
        match self {
            Self::CallScreener => CalleeType::CallScreener,
            Self::Fax => CalleeType::Fax,
            Self::Human => CalleeType::Human,
            Self::Machine => CalleeType::Machine,
            Self::Busy
            | Self::Music
            | Self::Reorder
            | Self::Ringback
            | Self::Silence
            | Self::SitNumber
            | Self::SitNetwork
            | Self::SitUncoded
            | Self::Unknown => CalleeType::Unknown,
        }
    }

    /// How a call ends whose network says so by tones, answered or not; `None` where somebody or
    /// something is there.
    pub const fn failure(self) -> Option<Outcome> {
        match self {
            Self::Busy => Some(Outcome::Busy),
            Self::Reorder | Self::SitNetwork | Self::SitUncoded => Some(Outcome::NoCircuit),
            Self::SitNumber => Some(Outcome::Intercepted),
            Self::CallScreener
            | Self::Fax
            | Self::Human
            | Self::Machine
            | Self::Music
            | Self::Ringback
            | Self::Silence
            | Self::Unknown => None,
        }
    }
}

/// One line for the record: `sit_number IC 99% after 810 ms`.
impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.heard.name())?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        write!(f, " {}% after {} ms", self.percent, self.after.as_millis())
    }
}

/// The form that is stored: `off`, or `start=known,machine=say,…,within=5000;` and the message.
impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On(rules) = self else {
            return f.write_str("off");
        };
        let start = match rules.start {
            ScriptStart::AtOnce => "at_once",
            ScriptStart::WhenKnown => "known",
        };
        let (machine, message) = match &rules.on_machine {
            OnMachine::Continue => ("continue", Cow::default()),
            OnMachine::HangUp => ("hang_up", Cow::default()),
            OnMachine::LeaveMessage(ScriptSource::Actions(pages)) => {
                ("actions", pages.to_string().into())
            }
            OnMachine::LeaveMessage(ScriptSource::Document(text)) => ("document", text.into()),
            OnMachine::LeaveMessage(ScriptSource::Say(text)) => ("say", text.into()),
            OnMachine::LeaveMessage(ScriptSource::Url(text)) => ("url", text.into()),
            OnMachine::Wait => ("wait", Cow::default()),
        };
        let fax = match rules.on_fax {
            OnFax::Continue => "continue",
            OnFax::HangUp => "hang_up",
        };
        let clock = match rules.clock {
            AnswerClock::Answer => "answer",
            AnswerClock::Connect => "connect",
        };
        let within = rules.decide_within.as_millis();
        write!(
            f,
            "start={start},machine={machine},fax={fax},clock={clock},within={within};{message}"
        )
    }
}

/// The text is not one that [`Detection`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text is no rule for finding out who answered")]
pub struct DetectionTextError;

impl FromStr for Detection {
    type Err = DetectionTextError;

    fn from_str(text: &str) -> Result<Self, DetectionTextError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (settings, message) = text.split_once(';').ok_or(DetectionTextError)?;
        let mut rules = DetectionRules::TELL;
        for setting in settings.split(',') {
            let setting = setting.split_once('=').ok_or(DetectionTextError)?;
            match setting {
                ("start", "at_once") => rules.start = ScriptStart::AtOnce,
                ("start", "known") => rules.start = ScriptStart::WhenKnown,
                ("machine", word) => rules.on_machine = on_machine(word, message)?,
                ("fax", "continue") => rules.on_fax = OnFax::Continue,
                ("fax", "hang_up") => rules.on_fax = OnFax::HangUp,
                ("clock", "answer") => rules.clock = AnswerClock::Answer,
                ("clock", "connect") => rules.clock = AnswerClock::Connect,
                ("within", ms) => {
                    let ms = ms.parse().map_err(|_| DetectionTextError)?;
                    rules.decide_within = Duration::from_millis(ms);
                }
                _ => return Err(DetectionTextError),
            }
        }
        Ok(Self::On(rules))
    }
}

fn on_machine(word: &str, message: &str) -> Result<OnMachine, DetectionTextError> {
    let message = || message.to_owned();
    Ok(match word {
        "actions" => {
            let pages = message().parse().map_err(|_| DetectionTextError)?;
            OnMachine::LeaveMessage(ScriptSource::Actions(pages))
        }
        "continue" => OnMachine::Continue,
        "document" => OnMachine::LeaveMessage(ScriptSource::Document(message())),
        "hang_up" => OnMachine::HangUp,
        "say" => OnMachine::LeaveMessage(ScriptSource::Say(message())),
        "url" => OnMachine::LeaveMessage(ScriptSource::Url(message())),
        "wait" => OnMachine::Wait,
        _ => return Err(DetectionTextError),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::{ActionPages, PageAddress};

    #[test]
    fn rules_come_back_from_their_text() {
        let message = "Hello; this=is, Outdial.\nBye";
        let first = PageAddress { url: "https://app.example/a".into(), is_got: false };
        let pages =
            ActionPages { first, error: None, voice: None, extra_legs: 0, minutes_max: None };
        let machines = [
            OnMachine::LeaveMessage(ScriptSource::Actions(pages)),
            OnMachine::Continue,
            OnMachine::HangUp,
            OnMachine::LeaveMessage(ScriptSource::Document("<vxml/>".into())),
            OnMachine::LeaveMessage(ScriptSource::Say(message.into())),
            OnMachine::LeaveMessage(ScriptSource::Url("https://app.example/?a=b;c,d".into())),
            OnMachine::Wait,
        ];
        for on_machine in machines {
            let rules = DetectionRules {
                start: ScriptStart::WhenKnown,
                on_machine,
                on_fax: OnFax::HangUp,
                clock: AnswerClock::Connect,
                decide_within: Duration::from_millis(4_200),
            };
            for rules in [Detection::Off, Detection::On(rules), Detection::On(DetectionRules::TELL)]
            {
                assert_eq!(rules.to_string().parse(), Ok(rules));
            }
        }
    }

    #[test]
    fn text_that_nobody_wrote_is_refused() {
        for text in ["", "on", "start=known", "start=soon;", "within=x;", "machine=bark;", ";"] {
            assert_eq!(text.parse::<Detection>(), Err(DetectionTextError), "{text}");
        }
    }

    #[test]
    fn tones_of_the_network_end_a_call_and_callees_do_not() {
        let failures: Vec<(&str, &str)> = Heard::ALL
            .into_iter()
            .filter_map(|heard| Some((heard.name(), heard.failure()?.name())))
            .collect();
        assert_eq!(
            failures,
            [
                ("busy", "busy"),
                ("reorder", "no_circuit"),
                ("sit_number", "intercepted"),
                ("sit_network", "no_circuit"),
                ("sit", "no_circuit"),
            ]
        );
        assert!(
            Heard::ALL
                .into_iter()
                .filter(|heard| heard.callee_type() != CalleeType::Unknown)
                .all(|heard| heard.failure().is_none())
        );
    }

    #[test]
    fn record_says_what_was_heard_and_how_sure_that_is() {
        let detected = Detected {
            heard: Heard::SitNumber,
            code: "IC",
            percent: 99,
            after: Duration::from_millis(810),
            is_firm: true,
        };
        assert_eq!(detected.to_string(), "sit_number IC 99% after 810 ms");
    }
}
