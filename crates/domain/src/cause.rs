//! Why a leg ended, from a SIP status or a Q.850 cause, and what that says about the attempt.

use crate::outcome::{CalleeType, Outcome};

/// Why a leg ended, as the network told it; kept with the attempt as it came.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cause {
    /// Status of the final SIP answer, or the one in its Reason header.
    pub sip_status: Option<u16>,
    /// Q.850 cause from a Reason header (RFC 3326), 1 to 127.
    pub q850: Option<u8>,
    /// Words for people: the reason phrase, or what failed on our side.
    pub text: String,
}

impl Cause {
    /// A cause of our own making, without a word from the network.
    pub fn local(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// What a leg that ended **before** its answer says about the attempt.
    ///
    /// A Q.850 cause is nearer to the switch that knows, so it decides where it is specific; else
    /// the SIP status does (RFC 4497 §8.4, RFC 3398 §8.2.6.1 for the pairs of both).
    pub fn outcome(&self) -> Outcome {
        self.q850
            .and_then(outcome_of_q850)
            .or_else(|| self.sip_status.map(outcome_of_status))
            .unwrap_or(Outcome::LineFailure)
    }
}

/// ITU-T Q.850 §2.2.7; `None` where the cause says nothing that the SIP status does not.
const fn outcome_of_q850(cause: u8) -> Option<Outcome> {
    match cause {
        // Unallocated, no route to destination, send SIT, changed, address incomplete or invalid.
        1 | 3 | 4 | 22 | 28 => Some(Outcome::InvalidNumber),
        // User busy, call rejected.
        17 | 21 => Some(Outcome::Busy),
        // No user responding, no answer from user, subscriber absent.
        18..=20 => Some(Outcome::NoAnswer),
        // Out of order; no circuit, network out of order, failure, congestion, and their kin.
        27 | 34 | 38 | 41 | 42 | 44 | 47 | 58 | 63 => Some(Outcome::LineFailure),
        _ => None,
    }
}

/// RFC 3261 §21; a declined call is busy, as to the person who declined it is.
const fn outcome_of_status(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Answered(CalleeType::Unknown),
        // Gone, not found, address incomplete, ambiguous, nowhere, and unsupported URI.
        404 | 410 | 416 | 484 | 485 | 604 => Outcome::InvalidNumber,
        486 | 600 | 603 => Outcome::Busy,
        // The user's phone is off, or nobody picked up in the far end's time.
        408 | 480 | 487 => Outcome::NoAnswer,
        _ => Outcome::LineFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(sip_status: Option<u16>, q850: Option<u8>) -> &'static str {
        Cause { sip_status, q850, text: String::new() }.outcome().name()
    }

    #[test]
    fn final_statuses_say_what_happened() {
        let table = [
            (404, "invalid_number"),
            (408, "no_answer"),
            (410, "invalid_number"),
            (480, "no_answer"),
            (486, "busy"),
            (487, "no_answer"),
            (488, "line_failure"),
            (500, "line_failure"),
            (503, "line_failure"),
            (600, "busy"),
            (603, "busy"),
            (604, "invalid_number"),
        ];
        for (status, expected) in table {
            assert_eq!(outcome(Some(status), None), expected, "{status}");
        }
    }

    #[test]
    fn specific_q850_cause_is_believed_before_the_status() {
        assert_eq!(outcome(Some(480), Some(17)), "busy");
        assert_eq!(outcome(Some(503), Some(1)), "invalid_number");
    }

    #[test]
    fn normal_clearing_leaves_the_verdict_to_the_status() {
        assert_eq!(outcome(Some(486), Some(16)), "busy");
    }

    #[test]
    fn cause_without_a_word_from_the_network_is_a_line_failure() {
        assert_eq!(outcome(None, None), "line_failure");
    }
}
