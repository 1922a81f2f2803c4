//! Plum's words for how a call ended and who answered.

use std::time::Duration;

use domain::contact::{Contact, ContactState};
use domain::detection::{Detection, DetectionRules};
use domain::outcome::{CalleeType, Disposition, Outcome};

/// `callee_type` of a result: who answered, or why nobody did.
pub const fn callee_type_of_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(CalleeType::Fax) => "faxmachine",
        Outcome::Answered(CalleeType::Human) => "voice",
        Outcome::Answered(CalleeType::Machine) => "answeringmachine",
        // Plum knows no screeners.
        Outcome::Answered(CalleeType::CallScreener | CalleeType::Unknown) => "unknown",
        Outcome::Busy => "busy",
        // Given up while it rang: not picked up, as far as anybody can say.
        Outcome::Canceled => "noanswer",
        Outcome::InDoubt => "unknown",
        Outcome::Intercepted | Outcome::InvalidNumber | Outcome::NoCircuit => "informationtone",
        Outcome::LineFailure => "linefailure",
        Outcome::NoAnswer => "noanswer",
    }
}

/// `callee_type` of a contact's result: that of its last attempt, `noattempt` without one.
pub const fn callee_type(contact: &Contact) -> &'static str {
    match contact.last_outcome {
        Some(outcome) if contact.attempts > 0 => callee_type_of_outcome(outcome),
        Some(_) | None => "noattempt",
    }
}

/// `result` of a contact that ended so.
pub const fn result_of_disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Completed => "Completed",
        Disposition::Canceled | Disposition::Expired | Disposition::Failed => "Failed",
    }
}

/// `result` of a contact; `Failed` too while it has not ended, for nothing has been completed.
pub const fn result(contact: &Contact) -> &'static str {
    match contact.state {
        ContactState::Done(disposition) => result_of_disposition(disposition),
        ContactState::Calling | ContactState::Waiting => "Failed",
    }
}

/// `session.connection.callee_type` while a script runs; `None`: not yet known.
///
/// Plum says `fax` here and `faxmachine` in results (docs/api/plum.md "Kept quirks").
pub const fn session_callee_type(callee_type: Option<CalleeType>) -> &'static str {
    match callee_type {
        None => "processing",
        Some(CalleeType::Fax) => "fax",
        Some(CalleeType::Human) => "voice",
        Some(CalleeType::Machine) => "answeringmachine",
        Some(CalleeType::CallScreener | CalleeType::Unknown) => "unknown",
    }
}

/// The type is `processing` for so long at most, as the vendor's documents say.
const DECIDE_WITHIN: Duration = Duration::from_millis(4_000);

/// What `callee_type_detection` asks for: the script runs at once, and is told.
pub const fn detection(is_on: bool) -> Detection {
    if is_on {
        let rules = DetectionRules { decide_within: DECIDE_WITHIN, ..DetectionRules::TELL };
        Detection::On(rules)
    } else {
        Detection::Off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_the_callee_type_that_plum_documents() {
        let words = Outcome::ALL.map(|outcome| (outcome.name(), callee_type_of_outcome(outcome)));
        assert_eq!(
            words,
            [
                ("call_screener", "unknown"),
                ("fax", "faxmachine"),
                ("human", "voice"),
                ("machine", "answeringmachine"),
                ("answered", "unknown"),
                ("busy", "busy"),
                ("canceled", "noanswer"),
                ("in_doubt", "unknown"),
                ("intercepted", "informationtone"),
                ("invalid_number", "informationtone"),
                ("line_failure", "linefailure"),
                ("no_answer", "noanswer"),
                ("no_circuit", "informationtone"),
            ]
        );
    }

    #[test]
    fn only_an_answered_contact_is_completed() {
        let words = Disposition::ALL.map(|end| (end.name(), result_of_disposition(end)));
        assert_eq!(
            words,
            [
                ("canceled", "Failed"),
                ("completed", "Completed"),
                ("expired", "Failed"),
                ("failed", "Failed"),
            ]
        );
    }

    #[test]
    fn session_variable_says_fax_and_processing() {
        let types = [
            None,
            Some(CalleeType::CallScreener),
            Some(CalleeType::Fax),
            Some(CalleeType::Human),
            Some(CalleeType::Machine),
            Some(CalleeType::Unknown),
        ];
        assert_eq!(
            types.map(session_callee_type),
            ["processing", "unknown", "fax", "voice", "answeringmachine", "unknown"]
        );
    }
}
