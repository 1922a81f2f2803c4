//! The words of our own API; what is released stays.

use domain::campaign::CampaignState;
use domain::contact::ContactState;
use domain::event::EventKind;
use domain::outcome::{CalleeType, Disposition, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// In a call now.
    Calling,
    /// Ended: somebody asked for it not to be dialed any more.
    Canceled,
    /// Ended: an attempt was answered.
    Completed,
    /// Ended: its window closed first.
    Expired,
    /// Ended: all attempts are used up.
    Failed,
    /// To be dialed when its time and its turn come.
    Waiting,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Somebody or something answered; `callee_type` says who.
    Answered,
    /// The far end is in a call, or declined this one.
    Busy,
    /// Given up before anybody answered.
    Canceled,
    /// The server ended while the phone may have been ringing; nobody knows what came of it.
    InDoubt,
    /// Tones of the network said that the number is vacant, changed or out of service.
    Intercepted,
    /// The number cannot be reached as dialed.
    InvalidNumber,
    /// The network or the trunk failed before the phone rang.
    LineFailure,
    /// Nobody answered in time.
    NoAnswer,
    /// Tones of the network said that it has no way to the number at present.
    NoCircuit,
}

/// Who or what answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Callee {
    /// A machine that asks on behalf of a person who calls and why; he may still take the call.
    CallScreener,
    /// A fax machine.
    Fax,
    /// A person.
    Human,
    /// An answering machine or a voicemail.
    Machine,
    /// Nobody could tell, or nobody asked.
    Unknown,
}

/// Whether a campaign's calls are dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStateWord {
    /// They are.
    Running,
    /// They stay waiting.
    Stopped,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventWord {
    /// The far end answered.
    Answered,
    /// It is known who answered; the detail says who, how sure that is, and when.
    CalleeDetected,
    /// An attempt began.
    Dialing,
    /// The call ended for good; the detail is its state.
    Done,
    /// The attempt ended; the detail says how.
    Ended,
    /// It may not be dialed yet; the detail is the rule and what was seen.
    Held,
    /// The message for a machine was played to its end.
    MessageLeft,
    /// Taken into the dial queue.
    Queued,
    /// The call was recorded; the detail is where the recording is, or why there is none.
    Recorded,
    /// It may not be dialed at all; the detail is the rule and what was seen.
    Refused,
    /// A trunk refused the attempt before anything rang, and it goes over another one; the detail
    /// is the trunk that refused and its words.
    Rerouted,
    /// Another attempt will follow; the detail is its time.
    RetryScheduled,
    /// The far end rings.
    Ringing,
    /// The script went wrong; the detail says how.
    ScriptError,
    /// The application gave the call another name; the detail is this token.
    TokenGiven,
}

impl From<ContactState> for CallState {
    fn from(state: ContactState) -> Self {
        match state {
            ContactState::Calling => Self::Calling,
            ContactState::Done(Disposition::Canceled) => Self::Canceled,
            ContactState::Done(Disposition::Completed) => Self::Completed,
            ContactState::Done(Disposition::Expired) => Self::Expired,
            ContactState::Done(Disposition::Failed) => Self::Failed,
            ContactState::Waiting => Self::Waiting,
        }
    }
}

impl From<CallState> for ContactState {
    fn from(state: CallState) -> Self {
        match state {
            CallState::Calling => Self::Calling,
            CallState::Canceled => Self::Done(Disposition::Canceled),
            CallState::Completed => Self::Done(Disposition::Completed),
            CallState::Expired => Self::Done(Disposition::Expired),
            CallState::Failed => Self::Done(Disposition::Failed),
            CallState::Waiting => Self::Waiting,
        }
    }
}

impl CallState {
    /// Every state with its word.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("calling", Self::Calling),
        ("canceled", Self::Canceled),
        ("completed", Self::Completed),
        ("expired", Self::Expired),
        ("failed", Self::Failed),
        ("waiting", Self::Waiting),
    ];

    /// The state of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|row| row.0 == word).map(|row| row.1)
    }
}

impl From<Outcome> for AttemptOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answered(_) => Self::Answered,
            Outcome::Busy => Self::Busy,
            Outcome::Canceled => Self::Canceled,
            Outcome::InDoubt => Self::InDoubt,
            Outcome::Intercepted => Self::Intercepted,
            Outcome::InvalidNumber => Self::InvalidNumber,
            Outcome::LineFailure => Self::LineFailure,
            Outcome::NoAnswer => Self::NoAnswer,
            Outcome::NoCircuit => Self::NoCircuit,
        }
    }
}

impl From<CalleeType> for Callee {
    fn from(callee_type: CalleeType) -> Self {
        match callee_type {
            CalleeType::CallScreener => Self::CallScreener,
            CalleeType::Fax => Self::Fax,
            CalleeType::Human => Self::Human,
            CalleeType::Machine => Self::Machine,
            CalleeType::Unknown => Self::Unknown,
        }
    }
}

/// Who answered an attempt that ended so; `None` where nobody did.
pub fn callee(outcome: Outcome) -> Option<Callee> {
    match outcome {
        Outcome::Answered(callee_type) => Some(callee_type.into()),
        Outcome::Busy
        | Outcome::Canceled
        | Outcome::InDoubt
        | Outcome::Intercepted
        | Outcome::InvalidNumber
        | Outcome::LineFailure
        | Outcome::NoAnswer
        | Outcome::NoCircuit => None,
    }
}

impl From<CampaignState> for CampaignStateWord {
    fn from(state: CampaignState) -> Self {
        match state {
            CampaignState::Running => Self::Running,
            CampaignState::Stopped => Self::Stopped,
        }
    }
}

impl From<EventKind> for EventWord {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Answered => Self::Answered,
            EventKind::CalleeDetected => Self::CalleeDetected,
            EventKind::Dialing => Self::Dialing,
            EventKind::Done => Self::Done,
            EventKind::Ended => Self::Ended,
            EventKind::Held => Self::Held,
            EventKind::MessageLeft => Self::MessageLeft,
            EventKind::Queued => Self::Queued,
            EventKind::Recorded => Self::Recorded,
            EventKind::Refused => Self::Refused,
            EventKind::Rerouted => Self::Rerouted,
            EventKind::RetryScheduled => Self::RetryScheduled,
            EventKind::Ringing => Self::Ringing,
            EventKind::ScriptError => Self::ScriptError,
            EventKind::TokenGiven => Self::TokenGiven,
        }
    }
}

/// `session.connection.callee_type` while a script runs; `None`: not yet known.
pub const fn session_callee_type(callee_type: Option<CalleeType>) -> &'static str {
    match callee_type {
        None => "processing",
        Some(CalleeType::CallScreener) => "call_screener",
        Some(CalleeType::Fax) => "fax",
        Some(CalleeType::Human) => "human",
        Some(CalleeType::Machine) => "machine",
        Some(CalleeType::Unknown) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_the_word_that_is_shown_and_leads_back() {
        for (word, state) in CallState::WORDS {
            assert_eq!(serde_json::to_value(state).unwrap(), word);
            assert_eq!(CallState::from(ContactState::from(state)), state);
            assert_eq!(CallState::from_word(word), Some(state));
        }
    }

    #[test]
    fn every_event_is_shown_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(EventWord::from(kind)).unwrap(), kind.name());
        }
    }

    #[test]
    fn only_answered_attempts_have_a_callee() {
        let with = Outcome::ALL.into_iter().filter(|outcome| callee(*outcome).is_some());
        assert!(
            with.clone().all(|outcome| AttemptOutcome::from(outcome) == AttemptOutcome::Answered)
        );
        assert_eq!(with.count(), 5);
    }
}
