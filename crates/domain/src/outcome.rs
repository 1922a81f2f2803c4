//! Who or what answered, how an attempt ended, and how a contact ended.

/// Who or what answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalleeType {
    /// A machine that asks on behalf of a person who calls and why; he may still take the call.
    CallScreener,
    /// A fax machine, known by its tones.
    Fax,
    /// A person.
    Human,
    /// An answering machine or a voicemail.
    Machine,
    /// Nobody could tell, or nobody asked.
    Unknown,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Somebody or something answered, and the call was led to its end.
    Answered(CalleeType),
    /// The far end is in a call, or declined this one.
    Busy,
    /// We gave the attempt up before anybody answered: canceled by the client, or on shutdown.
    Canceled,
    /// The process ended while the phone may have been ringing; nobody knows what came of it.
    InDoubt,
    /// Special information tones said that the number is vacant, changed or out of service.
    Intercepted,
    /// The number cannot be reached as dialed: unassigned, changed, malformed.
    InvalidNumber,
    /// The network or the trunk failed before the phone rang.
    LineFailure,
    /// It rang, or should have, and nobody answered.
    NoAnswer,
    /// Tones of the network said that it has no way to the number at present.
    NoCircuit,
}

impl Outcome {
    /// Every outcome, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::Answered(CalleeType::CallScreener),
        Self::Answered(CalleeType::Fax),
        Self::Answered(CalleeType::Human),
        Self::Answered(CalleeType::Machine),
        Self::Answered(CalleeType::Unknown),
        Self::Busy,
        Self::Canceled,
        Self::InDoubt,
        Self::Intercepted,
        Self::InvalidNumber,
        Self::LineFailure,
        Self::NoAnswer,
        Self::NoCircuit,
    ];

    /// The name that is stored and shown; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered(CalleeType::CallScreener) => "call_screener",
            Self::Answered(CalleeType::Fax) => "fax",
            Self::Answered(CalleeType::Human) => "human",
            Self::Answered(CalleeType::Machine) => "machine",
            Self::Answered(CalleeType::Unknown) => "answered",
            Self::Busy => "busy",
            Self::Canceled => "canceled",
            Self::InDoubt => "in_doubt",
            Self::Intercepted => "intercepted",
            Self::InvalidNumber => "invalid_number",
            Self::LineFailure => "line_failure",
            Self::NoAnswer => "no_answer",
            Self::NoCircuit => "no_circuit",
        }
    }

    /// The outcome of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// How a contact ended; each contact ends once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Somebody asked for it not to be dialed any more.
    Canceled,
    /// An attempt was answered.
    Completed,
    /// Its window closed first.
    Expired,
    /// All attempts are used up, or one ended so that no other makes sense.
    Failed,
}

impl Disposition {
    /// Every disposition, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Canceled, Self::Completed, Self::Expired, Self::Failed];

    /// The name that is stored and shown; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// The disposition of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|disposition| disposition.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_value() {
        assert!(Outcome::ALL.iter().all(|o| Outcome::from_name(o.name()) == Some(*o)));
        assert!(Disposition::ALL.iter().all(|d| Disposition::from_name(d.name()) == Some(*d)));
    }
}
