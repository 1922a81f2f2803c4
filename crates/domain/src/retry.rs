//! When to dial a contact again, and when to give up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::outcome::{CalleeType, Disposition, Outcome};
use crate::time::{DialWindow, Timestamp};

/// How often a contact is dialed, and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// Attempts in all, the first included; at least 1.
    pub attempts_max: u32,
    /// From the end of an attempt to the start of the next.
    pub wait: Duration,
    /// What outcomes say otherwise.
    pub waits: Waits,
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
    pub const ONCE: Self =
        Self { attempts_max: 1, wait: Duration::ZERO, waits: Waits::NONE, redial_in_doubt: false };

    /// What follows from attempt number `attempts`, which ended at `ended_at` with `outcome`.
    ///
    /// Plum puts any number that is not completed back in its queue, an invalid one too, until the
    /// retries are used up or the window closes; so do we unless `waits` says otherwise. Of its own
    /// two things end a contact early: an attempt in doubt, for the phone may have rung
    /// (`redial_in_doubt` overrules), and tones that say that the number is out of service.
    pub fn after_attempt(
        &self,
        attempts: u32,
        outcome: Outcome,
        ended_at: Timestamp,
        window: &DialWindow,
    ) -> Verdict {
        let said = self.waits.after(outcome);
        let otherwise = match outcome {
            Outcome::Answered(_) => Disposition::Completed,
            Outcome::Canceled => return Verdict::End(Disposition::Canceled),
            Outcome::InDoubt if !self.redial_in_doubt => {
                return Verdict::End(Disposition::Failed);
            }
            Outcome::Intercepted if said.is_none() => return Verdict::End(Disposition::Failed),
            Outcome::Busy
            | Outcome::InDoubt
            | Outcome::Intercepted
            | Outcome::InvalidNumber
            | Outcome::LineFailure
            | Outcome::NoAnswer
            | Outcome::NoCircuit => Disposition::Failed,
        };
        let wait = match (said, otherwise) {
            (Some(After::Wait(wait)), _) => wait,
            (None, Disposition::Failed) => self.wait,
            (None | Some(After::Stop), _) => return Verdict::End(otherwise),
        };
        if attempts >= self.attempts_max {
            return Verdict::End(otherwise);
        }
        match window.next_opening(ended_at + wait) {
            // What was reached once was reached, though it could not be dialed again.
            None if otherwise == Disposition::Completed => Verdict::End(otherwise),
            Some(at) => Verdict::DialAt(at),
            None => Verdict::End(Disposition::Expired),
        }
    }
}

/// What follows from one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// No further attempt.
    Stop,
    /// A further attempt after this time.
    Wait(Duration),
}

/// What outcomes say of the next attempt, where they do not follow the rule's one wait.
///
/// All attempts draw on the one budget of the contact. `human` is not among them: who was reached
/// is not called again by a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// After a busy signal.
    pub busy: Option<After>,
    /// After a fax machine answered; without it the contact is completed.
    pub fax: Option<After>,
    /// After a number that cannot be reached as dialed; one that tones say is out of service is
    /// not dialed again without it.
    pub invalid_number: Option<After>,
    /// After a failure of network or trunk, told by SIP or by tones.
    pub line_failure: Option<After>,
    /// After an answering machine; without it the contact is completed.
    pub machine: Option<After>,
    /// After nobody answered.
    pub no_answer: Option<After>,
}

impl Waits {
    /// Nothing said: the rule's one wait holds.
    pub const NONE: Self = Self {
        busy: None,
        fax: None,
        invalid_number: None,
        line_failure: None,
        machine: None,
        no_answer: None,
    };

    /// What is said of this outcome.
    pub const fn after(&self, outcome: Outcome) -> Option<After> {
        match outcome {
            Outcome::Answered(CalleeType::Fax) => self.fax,
            Outcome::Answered(CalleeType::Machine) => self.machine,
            Outcome::Busy => self.busy,
            Outcome::Intercepted | Outcome::InvalidNumber => self.invalid_number,
            Outcome::LineFailure | Outcome::NoCircuit => self.line_failure,
            Outcome::NoAnswer => self.no_answer,
            Outcome::Answered(
                CalleeType::CallScreener | CalleeType::Human | CalleeType::Unknown,
            )
            | Outcome::Canceled
            | Outcome::InDoubt => None,
        }
    }

    const fn parts(&self) -> [(&'static str, Option<After>); 6] {
        [
            ("busy", self.busy),
            ("fax", self.fax),
            ("invalid_number", self.invalid_number),
            ("line_failure", self.line_failure),
            ("machine", self.machine),
            ("no_answer", self.no_answer),
        ]
    }
}

/// The form that is stored: `busy=300000,invalid_number=stop`, waits in milliseconds.
impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (name, after) in self.parts() {
            match after {
                Some(After::Stop) => write!(f, "{comma}{name}=stop")?,
                Some(After::Wait(wait)) => write!(f, "{comma}{name}={}", wait.as_millis())?,
                None => continue,
            }
            comma = ",";
        }
        Ok(())
    }
}

/// The text is not one that [`Waits`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text is no list of waits by outcome")]
pub struct WaitsTextError;

impl FromStr for Waits {
    type Err = WaitsTextError;

    fn from_str(text: &str) -> Result<Self, WaitsTextError> {
        let mut waits = Self::NONE;
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, after) = part.split_once('=').ok_or(WaitsTextError)?;
            let place = match name {
                "busy" => &mut waits.busy,
                "fax" => &mut waits.fax,
                "invalid_number" => &mut waits.invalid_number,
                "line_failure" => &mut waits.line_failure,
                "machine" => &mut waits.machine,
                "no_answer" => &mut waits.no_answer,
                _ => return Err(WaitsTextError),
            };
            *place = Some(match after {
                "stop" => After::Stop,
                ms => After::Wait(Duration::from_millis(ms.parse().map_err(|_| WaitsTextError)?)),
            });
        }
        Ok(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: RetryRule = RetryRule {
        attempts_max: 3,
        wait: Duration::from_secs(300),
        waits: Waits::NONE,
        redial_in_doubt: false,
    };

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

    #[test]
    fn outcome_may_wait_longer_than_others_or_end_the_contact() {
        let waits: Waits = "busy=60000,invalid_number=stop,machine=7200000".parse().unwrap();
        let rule = RetryRule { waits, ..RULE };
        let after = |attempts, outcome| {
            let ended_at = Timestamp::from_seconds(0);
            rule.after_attempt(attempts, outcome, ended_at, &DialWindow::ALWAYS)
        };
        let again = |seconds| Verdict::DialAt(Timestamp::from_seconds(seconds));
        let machine = Outcome::Answered(CalleeType::Machine);
        assert_eq!(after(1, Outcome::Busy), again(60));
        assert_eq!(after(1, Outcome::NoAnswer), again(300));
        assert_eq!(after(1, Outcome::InvalidNumber), Verdict::End(Disposition::Failed));
        assert_eq!(after(1, machine), again(7_200));
        assert_eq!(after(3, machine), Verdict::End(Disposition::Completed));
        assert_eq!(
            after(1, Outcome::Answered(CalleeType::Human)),
            Verdict::End(Disposition::Completed)
        );
    }

    #[test]
    fn number_that_tones_say_is_out_of_service_is_dialed_again_only_where_the_rule_says_so() {
        let again = Verdict::DialAt(Timestamp::from_seconds(1_300));
        assert_eq!(after(1, Outcome::Intercepted, None), Verdict::End(Disposition::Failed));
        assert_eq!(after(1, Outcome::NoCircuit, None), again);
        assert_eq!(after(1, Outcome::InvalidNumber, None), again);
        let waits = Waits { invalid_number: Some(After::Wait(RULE.wait)), ..Waits::NONE };
        let rule = RetryRule { waits, ..RULE };
        let verdict = rule.after_attempt(
            1,
            Outcome::Intercepted,
            Timestamp::from_seconds(1_000),
            &DialWindow::ALWAYS,
        );
        assert_eq!(verdict, again);
    }

    #[test]
    fn waits_come_back_from_their_text() {
        let text = "busy=60000,invalid_number=stop";
        assert_eq!(text.parse::<Waits>().unwrap().to_string(), text);
        assert_eq!("busy=soon".parse::<Waits>(), Err(WaitsTextError));
        assert_eq!("human=1".parse::<Waits>(), Err(WaitsTextError));
    }
}
