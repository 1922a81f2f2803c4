//! What is answered: invocations, configurations, and errors with their details.

use domain::attempt::Attempt;
use domain::contact::{Contact, ContactState};
use domain::ids::ContactId;
use domain::outcome::Outcome;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};

use super::words;
use crate::zone::rfc_3339;

/// Value of Content-Type of every answer.
pub const CONTENT_TYPE: &str = "application/json";

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in a sentence.
    pub text: String,
    /// Each of several mistakes.
    pub details: Vec<String>,
}

impl Failure {
    /// A failure with one thing to say.
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), details: Vec::new() }
    }

    /// A request with mistakes.
    pub fn invalid(details: Vec<String>) -> Self {
        let text = details.first().cloned().unwrap_or_default();
        let details = if details.len() > 1 { details } else { Vec::new() };
        Self { status: 400, text, details }
    }

    /// The document.
    pub fn body(&self, url: &str, now: Timestamp) -> String {
        let reason = match self.status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            413 => "Payload Too Large",
            415 => "Unsupported Media Type",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let mut error = json!({
            "code": format!("HTTP {}", self.status),
            "text": format!("{reason}: {}", self.text),
            "datetime": datetime(now),
            "link": "/errors"
        });
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        json!({"error": error, "request": {"url": url, "datetime": datetime(now)}}).to_string()
    }
}

/// The ids of the invocations that were begun.
pub fn started(ids: &[ContactId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    json!(ids).to_string()
}

/// One member for each invocation that was asked about.
pub fn by_id(members: Vec<(String, Value)>) -> String {
    Value::Object(members.into_iter().collect::<Map<String, Value>>()).to_string()
}

/// Where an invocation stands.
pub fn status(contact: &Contact, attempts: &[Attempt]) -> Value {
    let mut status = json!({"state": words::state(contact), "token": contact.reference});
    if let ContactState::Done(_) = contact.state {
        let outcome = contact.last_outcome.unwrap_or(Outcome::Canceled);
        status["call_cause"] = json!(words::call_cause(outcome, false));
        status["call_raw_cause"] = json!(words::call_raw_cause(attempts.last()));
    }
    status
}

/// The result of a request about one invocation.
pub fn result(result: &str) -> Value {
    json!({ "result": result })
}

/// A moment as `2021-01-15_08:56:24`, in UTC.
fn datetime(at: Timestamp) -> String {
    rfc_3339(at).chars().take(19).map(|sign| if sign == 'T' { '_' } else { sign }).collect()
}
