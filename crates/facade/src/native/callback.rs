//! What we send to a start page and to a result URL of our own API.

use domain::contact::{Contact, ContactState};
use domain::event::Event;
use domain::ids::AttemptId;
use domain::time::Timestamp;
use domain::webhook::Topic;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Call, fact_detail};
use crate::zone::rfc_3339;

/// What a client is told when a call has ended for good; repeated until it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResultEvent {
    /// What happened: `contact.completed`, `contact.failed`, `contact.expired` or
    /// `contact.canceled`.
    #[serde(rename = "type")]
    #[schema(example = "contact.completed")]
    pub kind: &'static str,
    /// When the call ended.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// The call as it ended.
    pub data: Call,
    /// Where the recordings of its attempts can be had, oldest first: paths of this server's
    /// address. Left out where there are none, and in what endpoints of webhooks are told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<String>,
}

/// What a webhook endpoint is told of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallEvent {
    /// What happened: `call.dialing`, `call.ringing`, `call.answered`, `call.callee_detected`,
    /// `call.message_left`, `call.ended`, `call.retry_scheduled` or `call.script_error`.
    #[serde(rename = "type")]
    #[schema(example = "call.answered")]
    pub kind: &'static str,
    /// When it happened.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// Which attempt of which call.
    pub data: CallFact,
}

/// An attempt of a call, and what there is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallFact {
    /// Id of the call.
    #[schema(example = "112850593")]
    pub call_id: String,
    /// Id of the attempt.
    #[schema(required)]
    pub attempt_id: Option<String>,
    /// Id of the campaign.
    pub campaign_id: String,
    /// The number that is dialed.
    #[schema(example = "+12125550101")]
    pub number: String,
    /// Your own id for the call.
    pub reference: String,
    /// The outcome of `call.ended`, what was heard of `call.callee_detected`, the time of `call.retry_scheduled`, the mistake of
    /// `call.script_error`; else empty.
    pub detail: String,
}

/// What a webhook endpoint is told when it is tried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TestEvent {
    /// `webhook.test`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// What there is to say.
    pub data: TestNote,
}

/// A greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TestNote {
    /// For people.
    pub note: &'static str,
}

/// What a webhook endpoint is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// What happened.
    pub topic: Topic,
    /// When.
    pub at: Timestamp,
    /// The attempt that it concerns.
    pub attempt: Option<AttemptId>,
    /// The detail of its kind.
    pub detail: &'a str,
    /// Whom it concerns; nobody, where an endpoint is tried out.
    pub contact: Option<&'a Contact>,
}

/// The form that `vxml_url` is posted when a call is answered.
pub fn start_form(contact: &Contact) -> Vec<(String, String)> {
    let id = contact.id.to_string();
    [
        ("call_id", id.as_str()),
        ("number", contact.destination.dialed()),
        ("caller_id", contact.destination.caller_id().unwrap_or_default()),
        ("reference", &contact.reference),
        ("parameters", &contact.parameters),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The body that `result_url` is posted when a call has ended, as JSON.
pub fn result(contact: &Contact, events: &[Event]) -> String {
    let ContactState::Done(disposition) = contact.state else {
        // Only an ended call owes a result.
        return String::new();
    };
    json(&ResultEvent {
        kind: Topic::of_end(disposition).name(),
        timestamp: rfc_3339(contact.ended_at.unwrap_or(contact.created_at)),
        data: Call::new(contact),
        recordings: events
            .iter()
            .filter_map(Event::recording)
            .map(|recording| recording.address.to_owned())
            .collect(),
    })
}

/// The body that an endpoint is posted, as JSON: the same at every delivery, and under 20 kB.
pub fn message(fact: Fact<'_>) -> String {
    let (kind, timestamp) = (fact.topic.name(), rfc_3339(fact.at));
    let Some(contact) = fact.contact else {
        let note = "This is a test: nothing happened.";
        return json(&TestEvent { kind, timestamp, data: TestNote { note } });
    };
    match fact.topic {
        Topic::ContactCanceled
        | Topic::ContactCompleted
        | Topic::ContactExpired
        | Topic::ContactFailed => result(contact, &[]),
        Topic::CallAnswered
        | Topic::CallCalleeDetected
        | Topic::CallDialing
        | Topic::CallEnded
        | Topic::CallMessageLeft
        | Topic::CallRetryScheduled
        | Topic::CallRinging
        | Topic::CallScriptError
        | Topic::Test => json(&CallEvent {
            kind,
            timestamp,
            // Only what never changes: the call may have gone on since.
            data: CallFact {
                call_id: contact.id.to_string(),
                attempt_id: fact.attempt.map(|attempt| attempt.to_string()),
                campaign_id: contact.campaign.to_string(),
                number: contact.destination.dialed().to_owned(),
                reference: contact.reference.clone(),
                detail: fact_detail(fact.topic, fact.detail),
            },
        }),
    }
}

fn json(event: &impl Serialize) -> String {
    serde_json::to_string(event).expect("texts and numbers are always JSON")
}

/// Whether this status says that the client has the result.
pub const fn accepted(status: u16) -> bool {
    matches!(status, 200..=299)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_is_taken_by_any_success_and_by_no_redirect() {
        let taken = [199, 200, 204, 299, 300, 404, 500].map(accepted);
        assert_eq!(taken, [false, true, true, true, false, false, false]);
    }
}
