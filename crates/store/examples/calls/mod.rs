//! Calls as the examples make them: one rule for all, a number each, answered and over in a second.

use domain::application::{ApplicationSpec, Dialect, ScriptSource};
use domain::attempt::AttemptEnd;
use domain::cause::Cause;
use domain::contact::{ContactRule, NewContact};
use domain::ids::AccountId;
use domain::outcome::{CalleeType, Outcome};
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::{DialWindow, Timestamp};

/// A moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// How each of them ends.
pub(crate) fn end() -> AttemptEnd {
    AttemptEnd {
        outcome: Outcome::Answered(CalleeType::Human),
        cause: Cause::local("far end hung up"),
        ringing_at: Some(at(9)),
        answered_at: Some(at(10)),
        ended_at: at(11),
        detected: String::new(),
        message_left: false,
    }
}

/// The rule of all of them.
pub(crate) fn rule(account: AccountId, campaign: &str) -> ContactRule {
    ContactRule {
        account,
        campaign: campaign.into(),
        application: ApplicationSpec {
            script: ScriptSource::Url("http://customer.example/start.vxml".into()),
            parameters: String::new(),
            dialect: Dialect(1),
            detection: None,
        },
        window: DialWindow::ALWAYS,
        retry: RetryRule::ONCE,
        terms: Terms::default(),
        result_url: Some("http://customer.example/result".into()),
        dialect: Dialect(1),
    }
}

/// Whom the nth of them goes to.
pub(crate) fn contact(nth: usize) -> NewContact {
    let number = format!("+1555{nth:07}");
    NewContact {
        reference: format!("reference {nth}"),
        parameters: "name=Somebody".into(),
        ..NewContact::new(number.parse().expect("digits are a destination"))
    }
}
