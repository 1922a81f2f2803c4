//! What we send to a start page and to a result URL of our own API.

use domain::contact::Contact;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Call;
use super::words::{CallState, result_type};
use crate::zone::rfc_3339;

/// What a result URL is posted, once for each call that ended; repeated until it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResultEvent {
    /// What happened: `call.completed`, `call.failed`, `call.expired` or `call.canceled`.
    #[serde(rename = "type")]
    #[schema(example = "call.completed")]
    pub kind: &'static str,
    /// When the call ended.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// The call as it ended.
    pub data: Call,
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
pub fn result(contact: &Contact) -> String {
    let event = ResultEvent {
        kind: result_type(CallState::from(contact.state)),
        timestamp: rfc_3339(contact.ended_at.unwrap_or(contact.created_at)),
        data: Call::new(contact),
    };
    serde_json::to_string(&event).expect("texts and numbers are always JSON")
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
