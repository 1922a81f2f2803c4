//! Who or what answered, and how sure that is.

use std::time::Duration;

use super::sit::SitCode;

/// Who or what answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// The far end is in a call: a busy tone.
    Busy,
    /// A machine that asks who calls and why, on behalf of a person.
    CallScreener,
    /// A fax machine or a modem.
    Fax,
    /// A person.
    Human,
    /// An answering machine, a voicemail, an announcement.
    Machine,
    /// Music, of somebody who holds or in place of a ring.
    Music,
    /// The network has no way: a fast busy tone.
    Reorder,
    /// It still rings, although the network says that the call is answered.
    Ringback,
    /// Nobody spoke.
    Silence,
    /// Special information tones: the call failed, and these say why.
    Sit(SitCode),
    /// Nobody can tell.
    Unknown,
}

impl Callee {
    /// A word for tables and logs; stable.
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
            Self::Sit(_) => "sit",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known about a callee.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Who or what it is.
    pub callee: Callee,
    /// Chance that this is right, 0 to 1; for people and machines it is calibrated.
    pub probability: f32,
    /// When this came to be known, counted in frames heard since the answer.
    pub at: Duration,
    /// Whether it stays: the share of people among firm machines is below the setting.
    pub is_firm: bool,
}
