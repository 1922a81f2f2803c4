//! Fuse's words for where a call stands and what happened to it.

use domain::contact::{Contact, ContactState};
use domain::event::{Event, EventKind};
use domain::outcome::{CalleeType, Disposition, Outcome};

/// The state that a call is in after an attempt that ended so without an answer.
///
/// Fuse has three of them. What failed in the network is `busy` ("the far end was unavailable"):
/// `informationtone` says that the number is wrong, and clients take such numbers off their lists.
pub const fn state_of_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(_) => "disconnected",
        Outcome::Busy | Outcome::LineFailure | Outcome::NoCircuit => "busy",
        // Given up while it rang, or nobody knows: not answered, as far as anybody can say.
        Outcome::Canceled | Outcome::InDoubt | Outcome::NoAnswer => "noanswer",
        Outcome::Intercepted | Outcome::InvalidNumber => "informationtone",
    }
}

/// `status` of a call that ended so.
pub const fn status_of_disposition(disposition: Disposition) -> &'static str {
    match disposition {
        // The end of the window is a cancel here; docs/api/fuse.md "States".
        Disposition::Canceled | Disposition::Expired => "canceled",
        Disposition::Completed => "completed",
        Disposition::Failed => "failed",
    }
}

/// `status` of a call; `events` are its own, oldest first.
pub fn status(contact: &Contact, events: &[Event]) -> &'static str {
    match contact.state {
        ContactState::Calling => {
            let own = events.iter().rev();
            let last = own.map(|event| event.kind).find(|kind| {
                matches!(kind, EventKind::Answered | EventKind::Dialing | EventKind::Ended)
            });
            if last == Some(EventKind::Answered) { "connected" } else { "dialing" }
        }
        ContactState::Done(disposition) => status_of_disposition(disposition),
        ContactState::Waiting => match contact.last_outcome {
            Some(outcome) if contact.attempts > 0 => state_of_outcome(outcome),
            Some(_) | None => "queued",
        },
    }
}

/// `event` of a fact; `None`: Fuse has no word for it.
pub fn event(event: &Event) -> Option<&'static str> {
    match event.kind {
        EventKind::Answered => Some("connected"),
        EventKind::Dialing => Some("dialing"),
        // The detail is the outcome's name.
        EventKind::Ended => Outcome::from_name(&event.detail).map(state_of_outcome),
        EventKind::Queued => Some("queued"),
        EventKind::CalleeDetected
        | EventKind::Done
        | EventKind::Held
        | EventKind::MessageLeft
        | EventKind::Recorded
        | EventKind::Refused
        | EventKind::Rerouted
        | EventKind::RetryScheduled
        | EventKind::Ringing
        | EventKind::ScriptError
        | EventKind::TokenGiven => None,
    }
}

/// `session.connection.callee_type` while a script runs; `None`: not yet known.
pub const fn session_callee_type(callee_type: Option<CalleeType>) -> &'static str {
    crate::plum::words::session_callee_type(callee_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist 1-029, 1-031.
    #[test]
    fn every_outcome_is_one_of_the_states_that_fuse_documents() {
        let words = Outcome::ALL.map(|outcome| (outcome.name(), state_of_outcome(outcome)));
        assert_eq!(
            words,
            [
                ("call_screener", "disconnected"),
                ("fax", "disconnected"),
                ("human", "disconnected"),
                ("machine", "disconnected"),
                ("answered", "disconnected"),
                ("busy", "busy"),
                ("canceled", "noanswer"),
                ("in_doubt", "noanswer"),
                ("intercepted", "informationtone"),
                ("invalid_number", "informationtone"),
                ("line_failure", "busy"),
                ("no_answer", "noanswer"),
                ("no_circuit", "busy"),
            ]
        );
    }

    /// Checklist 1-022, 1-025.
    #[test]
    fn call_whose_window_closed_is_canceled() {
        let words = Disposition::ALL.map(|end| (end.name(), status_of_disposition(end)));
        assert_eq!(
            words,
            [
                ("canceled", "canceled"),
                ("completed", "completed"),
                ("expired", "canceled"),
                ("failed", "failed"),
            ]
        );
    }
}
