//! The words for how calls end and where they stand.

use domain::attempt::Attempt;
use domain::contact::{Contact, ContactState};
use domain::number::Destination;
use domain::outcome::{CalleeType, Outcome};

/// The scheme of conferences.
pub const CONFERENCE: &str = "con";

/// How a callee is named to pages: a number, or a conference.
pub fn address(destination: &Destination) -> String {
    match destination.room() {
        Some(room) => format!("{CONFERENCE}:{room}"),
        None => destination.dialed().to_owned(),
    }
}

/// `call_cause` of a call that ended so; `by_far_end`: the callee hung up.
pub const fn call_cause(outcome: Outcome, by_far_end: bool) -> &'static str {
    match outcome {
        Outcome::Answered(_) if by_far_end => "hung_up",
        Outcome::Answered(_) => "completed",
        Outcome::Busy => "busy",
        Outcome::Canceled => "dropped",
        Outcome::InDoubt | Outcome::LineFailure | Outcome::NoCircuit => "failed",
        Outcome::Intercepted | Outcome::InvalidNumber => "unobtainable",
        Outcome::NoAnswer => "no_answer",
    }
}

/// `call_raw_cause`: the SIP status as text; `-1` where there is none, or tones said it.
pub fn call_raw_cause(attempt: Option<&Attempt>) -> String {
    let by_tones = |attempt: &&Attempt| {
        matches!(attempt.outcome, Some(Outcome::Intercepted | Outcome::NoCircuit))
    };
    let spoken = attempt.filter(|attempt| !by_tones(attempt));
    match spoken.and_then(|attempt| attempt.cause.sip_status) {
        Some(status) => status.to_string(),
        None => "-1".to_owned(),
    }
}

/// Where an invocation stands.
pub fn state(contact: &Contact) -> &'static str {
    match contact.state {
        ContactState::Calling => "running",
        ContactState::Done(_) => "completed",
        ContactState::Waiting => "queued",
    }
}

/// `far_end_type`; `None`: not yet known.
pub const fn far_end_type(callee_type: Option<CalleeType>) -> &'static str {
    match callee_type {
        // Aculab knows no screeners; one that asks for a name is no answering machine.
        None | Some(CalleeType::CallScreener | CalleeType::Unknown) => "unknown",
        Some(CalleeType::Fax) => "fax_machine",
        Some(CalleeType::Human) => "human",
        Some(CalleeType::Machine) => "answering_machine",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callees_are_numbers_and_conferences() {
        assert_eq!(address(&"tel:15550100;postd=1".parse().unwrap()), "15550100");
        assert_eq!(address(&Destination::conference("talk").unwrap()), "con:talk");
    }

    /// Checklist 2-018.
    #[test]
    fn every_callee_has_a_far_end_type() {
        let types = [CalleeType::Human, CalleeType::Machine, CalleeType::Fax, CalleeType::Unknown];
        let words = types.map(|callee| far_end_type(Some(callee)));
        assert_eq!(words, ["human", "answering_machine", "fax_machine", "unknown"]);
        assert_eq!(far_end_type(None), "unknown");
    }

    /// Checklist 2-014, 2-015.
    #[test]
    fn every_outcome_has_a_cause_that_is_documented() {
        let words = Outcome::ALL.map(|outcome| call_cause(outcome, false));
        let known =
            ["completed", "hung_up", "no_answer", "busy", "unobtainable", "dropped", "failed"];
        assert!(words.iter().all(|word| known.contains(word)), "{words:?}");
        assert_eq!(call_cause(Outcome::Busy, false), "busy");
        assert_eq!(call_cause(Outcome::Answered(CalleeType::Human), true), "hung_up");
    }
}
