//! Whether an attempt that a trunk refused may go over another one: only where no phone can ring.
//!
//! One attempt is one ring at most. So a refusal must prove that the callee heard nothing, and what
//! proves nothing ends the attempt: silence (the INVITE may have arrived), a broken connection, any
//! word of ringing, and refusals in which the callee or his exchange had a say.

use crate::cause::Cause;

/// Trunks that one attempt takes at most, the first included: each costs the callee's time to ring.
pub const TRUNKS_MAX: usize = 4;

/// How far the INVITE of a leg came that ended before its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It was not sent, or no address of the trunk took it.
    Nobody,
    /// It was refused, and nothing but 100 was heard before.
    Refused,
    /// It may have arrived, or something was heard of the callee.
    Unknown,
}

/// Whether a leg that came so far and ended with this cause proves that no phone rang, nor will.
///
/// - what never left, or was taken by no address;
/// - 503: the far end does not work (RFC 3261 §21.5.4);
/// - 401 and 407 as the last word: it does not take our password, and asks before it does anything;
/// - a Q.850 cause that says that there is no way or no room: the call was never set up.
///
/// A Q.850 cause about the callee speaks against it, whatever the status: he is nearer to it.
pub fn rang_nobody(reach: Reach, cause: &Cause) -> bool {
    match reach {
        Reach::Nobody => true,
        Reach::Refused => match (cause.sip_status, cause.q850) {
            // Success is no refusal, and 6xx is said for all trunks (RFC 3261 §21.6).
            (None | Some(..=299 | 600..), _) => false,
            (Some(_), Some(q850)) if is_no_way(q850) => true,
            (Some(401 | 407 | 503), q850) => q850.is_none_or(is_vague),
            (Some(_), _) => false,
        },
        Reach::Unknown => false,
    }
}

/// ITU-T Q.850 §2.2.7: no route, or no circuit, channel or resource.
const fn is_no_way(q850: u8) -> bool {
    matches!(q850, 2 | 3 | 34 | 38 | 42 | 44 | 47)
}

/// Normal, unspecified, a temporary failure, interworking: causes that gateways put to anything.
const fn is_vague(q850: u8) -> bool {
    matches!(q850, 31 | 41 | 63 | 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sip_status: u16, q850: Option<u8>) -> bool {
        let cause = Cause { sip_status: Some(sip_status), q850, text: String::new() };
        rang_nobody(Reach::Refused, &cause)
    }

    #[test]
    fn trunk_that_does_not_work_or_has_no_way_rang_nobody() {
        for (status, q850) in [
            (503, None),
            (503, Some(41)),
            (503, Some(34)),
            (404, Some(3)),
            (480, Some(34)),
            (500, Some(38)),
            (401, None),
            (407, None),
        ] {
            assert!(refused(status, q850), "{status} {q850:?}");
        }
    }

    #[test]
    fn refusal_in_which_the_callee_may_have_had_a_say_proves_nothing() {
        for (status, q850) in [
            (404, None),
            (404, Some(1)),
            (403, None),
            (408, None),
            (480, None),
            (486, None),
            (487, None),
            (500, None),
            (502, None),
            (504, None),
            (503, Some(16)),
            (503, Some(17)),
            (503, Some(18)),
            (503, Some(27)),
            (600, None),
            (603, Some(34)),
            (200, Some(34)),
        ] {
            assert!(!refused(status, q850), "{status} {q850:?}");
        }
    }

    #[test]
    fn silence_and_ringing_prove_nothing_whatever_came_after() {
        let unavailable = Cause { sip_status: Some(503), ..Cause::default() };
        assert!(!rang_nobody(Reach::Unknown, &unavailable));
        assert!(!rang_nobody(Reach::Unknown, &Cause::local("no response to the INVITE")));
        assert!(!rang_nobody(Reach::Refused, &Cause::local("a refusal has a status")));
    }

    #[test]
    fn what_never_left_rang_nobody() {
        assert!(rang_nobody(Reach::Nobody, &Cause::local("trunk has no address")));
    }
}
