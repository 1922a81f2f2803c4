//! Facts worth telling about a contact: its history, in the order in which they happened.

use crate::ids::{AttemptId, ContactId, EventId};
use crate::time::Timestamp;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Taken into the dial queue.
    Queued,
    /// An attempt began.
    Dialing,
    /// A trunk refused the attempt before anything rang, and it goes over another one; the detail
    /// is the trunk that refused and its words.
    Rerouted,
    /// The far end rings.
    Ringing,
    /// The far end answered.
    Answered,
    /// It is known who or what answered; the detail says who, how sure that is, and when.
    CalleeDetected,
    /// The message for a machine was played to its end.
    MessageLeft,
    /// The call was recorded; the detail is where the recording is, or why there is none.
    Recorded,
    /// It may not be dialed yet; the detail is the rule and what was seen. Told when the rule
    /// changes, not at each look.
    Held,
    /// It may not be dialed at all, and ends; the detail is the rule and what was seen.
    Refused,
    /// The script went wrong; the detail says how. The call went on or ended as the script says.
    ScriptError,
    /// The application gave the call another name than its client did; the detail is this token.
    TokenGiven,
    /// The attempt ended; the detail is the outcome's name.
    Ended,
    /// Another attempt will follow; the detail is its time in seconds since the epoch.
    RetryScheduled,
    /// The contact ended; the detail is the disposition's name.
    Done,
}

impl EventKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 15] = [
        Self::Queued,
        Self::Dialing,
        Self::Rerouted,
        Self::Ringing,
        Self::Answered,
        Self::CalleeDetected,
        Self::MessageLeft,
        Self::Recorded,
        Self::Held,
        Self::Refused,
        Self::ScriptError,
        Self::TokenGiven,
        Self::Ended,
        Self::RetryScheduled,
        Self::Done,
    ];

    /// The name that is stored and shown; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dialing => "dialing",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::CalleeDetected => "callee_detected",
            Self::MessageLeft => "message_left",
            Self::Recorded => "recorded",
            Self::Ended => "ended",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Rerouted => "rerouted",
            Self::RetryScheduled => "retry_scheduled",
            Self::ScriptError => "script_error",
            Self::TokenGiven => "token_given",
            Self::Done => "done",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A fact about a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id; grows with time.
    pub id: EventId,
    /// Whom it concerns.
    pub contact: ContactId,
    /// The attempt, if it concerns one.
    pub attempt: Option<AttemptId>,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// The kind's detail; empty where it has none.
    pub detail: String,
}

/// Where the recording of an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingPlace<'e> {
    /// Where clients have it: a path of this server's address.
    pub address: &'e str,
    /// Which server keeps the file; empty of those that were written before it was told.
    pub kept_at: &'e str,
}

/// The detail of [`EventKind::Recorded`] for a recording that there is.
pub fn recorded_detail(address: &str, seconds: f64, kept_at: &str) -> String {
    format!("{address} {seconds:.1} s at {kept_at}")
}

impl Event {
    /// The recording that this event tells of; `None` where it tells of none.
    pub fn recording(&self) -> Option<RecordingPlace<'_>> {
        let detail = self.detail.as_str();
        if self.kind != EventKind::Recorded || !detail.starts_with('/') {
            return None;
        }
        let address = detail.split(' ').next().unwrap_or_default();
        let kept_at = detail.split_once(" at ").map_or("", |(_, host)| host);
        Some(RecordingPlace { address, kept_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_is_found_in_its_event_and_in_no_other() {
        let event = |kind, detail: &str| Event {
            id: EventId(1),
            contact: ContactId(7),
            attempt: Some(AttemptId(9)),
            at: Timestamp::from_millis(0),
            kind,
            detail: detail.to_owned(),
        };
        let address = "/v1/calls/7/recordings/9";
        let told = event(EventKind::Recorded, &recorded_detail(address, 12.34, "10.0.0.5"));
        assert_eq!(told.detail, "/v1/calls/7/recordings/9 12.3 s at 10.0.0.5");
        assert_eq!(told.recording(), Some(RecordingPlace { address, kept_at: "10.0.0.5" }));
        let older = event(EventKind::Recorded, "/v1/calls/7/recordings/9 12.3 s");
        assert_eq!(older.recording(), Some(RecordingPlace { address, kept_at: "" }));
        assert_eq!(event(EventKind::Recorded, "not recorded: disk full").recording(), None);
        assert_eq!(event(EventKind::ScriptError, "/v1").recording(), None);
    }
}
