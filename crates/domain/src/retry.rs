//! When to dial a contact again, and when to give up.

use std::time::Duration;

use crate::outcome::{Disposition, Outcome};
use crate::time::{DialWindow, Timestamp};

/// How often a contact is dialed, and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// Attempts in all, the first included; at least 1.
    pub attempts_max: u32,
    /// From the end of an attempt to the start of the next.
    pub wait: Duration,
    /// Whether an attempt in doubt may be followed by another: the phone may ring twice.
    pub redial_in_doubt: bool,
}

/// What follows from an ended attempt for its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Dial again, not before this moment.
    DialAt(Timestamp),
    /// The contact has ended.
    End(Disposition),
}

impl RetryRule {
    /// One attempt and no other.
    pub const ONCE: Self = Self { attempts_max: 1, wait: Duration::ZERO, redial_in_doubt: false };

    /// What follows from attempt number `attempts`, which ended at `ended_at` with `outcome`.
    ///
    /// Plum puts any number that is not completed back in its queue, an invalid one too, until the
    /// retries are used up or the window closes; so do we. Only an attempt in doubt ends a contact
    /// early, for the phone may have rung (`redial_in_doubt` overrules).
    pub fn after_attempt(
        &self,
        attempts: u32,
        outcome: Outcome,
        ended_at: Timestamp,
        window: &DialWindow,
    ) -> Verdict {
        match outcome {
            Outcome::Answered(_) => return Verdict::End(Disposition::Completed),
            Outcome::Canceled => return Verdict::End(Disposition::Canceled),
            Outcome::InDoubt if !self.redial_in_doubt => {
                return Verdict::End(Disposition::Failed);
            }
            Outcome::Busy
            | Outcome::InDoubt
            | Outcome::InvalidNumber
            | Outcome::LineFailure
            | Outcome::NoAnswer => {}
        }
        if attempts >= self.attempts_max {
            return Verdict::End(Disposition::Failed);
        }
        match window.next_opening(ended_at + self.wait) {
            Some(at) => Verdict::DialAt(at),
            None => Verdict::End(Disposition::Expired),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::CalleeType;

    const RULE: RetryRule =
        RetryRule { attempts_max: 3, wait: Duration::from_secs(300), redial_in_doubt: false };

    fn after(attempts: u32, outcome: Outcome, closes_at: Option<i64>) -> Verdict {
        let window =
            DialWindow { opens_at: None, closes_at: closes_at.map(Timestamp::from_seconds) };
        RULE.after_attempt(attempts, outcome, Timestamp::from_seconds(1_000), &window)
    }

    #[test]
    fn busy_contact_is_dialed_again_after_the_wait() {
        let again = Verdict::DialAt(Timestamp::from_seconds(1_300));
        assert_eq!(after(1, Outcome::Busy, None), again);
    }

    #[test]
    fn answered_contact_is_completed() {
        let outcome = Outcome::Answered(CalleeType::Machine);
        assert_eq!(after(1, outcome, None), Verdict::End(Disposition::Completed));
    }

    #[test]
    fn last_attempt_fails_the_contact() {
        assert_eq!(after(3, Outcome::NoAnswer, None), Verdict::End(Disposition::Failed));
    }

    #[test]
    fn contact_whose_window_closes_during_the_wait_expires_at_once() {
        assert_eq!(after(1, Outcome::Busy, Some(1_300)), Verdict::End(Disposition::Expired));
    }

    #[test]
    fn attempt_in_doubt_is_not_repeated_unless_the_rule_says_so() {
        assert_eq!(after(1, Outcome::InDoubt, None), Verdict::End(Disposition::Failed));
        let rule = RetryRule { redial_in_doubt: true, ..RULE };
        let verdict = rule.after_attempt(
            1,
            Outcome::InDoubt,
            Timestamp::from_seconds(0),
            &DialWindow::ALWAYS,
        );
        assert_eq!(verdict, Verdict::DialAt(Timestamp::from_seconds(300)));
    }
}
