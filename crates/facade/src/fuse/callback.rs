//! What we send to the client's result_url, and what a start page is posted.

use domain::contact::Contact;
use domain::event::{Event, EventKind};
use domain::outcome::Outcome;
use domain::time::Timestamp;
use serde::Serialize;

use super::words;

/// A call as clients see it: the body of a result, and `call_details` of its status.
///
/// Numbers are strings, but for those of events and `duration`; docs/api/fuse.md "Kept quirks".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallDetails {
    /// Attempts allowed in all.
    pub max_attempts: String,
    /// Attempts made.
    pub attempts: String,
    /// What happened, oldest first.
    pub events: Vec<CallEvent>,
    /// The number dialed.
    pub phone_number: String,
    /// Where it stands.
    pub status: &'static str,
    /// When it was taken in, in seconds since 1970.
    pub queued_timestamp: String,
    /// When it was answered; before that the begin of its window, `0` without one.
    pub start_timestamp: String,
    /// When the answered call ended; before that the end of its window, `0` without one.
    pub end_timestamp: String,
    /// Seconds between attempts.
    pub reattempt_wait: String,
    /// Seconds from answer to end.
    pub duration: i64,
}

/// One thing that happened to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallEvent {
    /// What.
    pub event: &'static str,
    /// When, in seconds since 1970.
    pub timestamp: i64,
}

impl CallDetails {
    /// A call; `events` are its own, oldest first.
    pub fn new(contact: &Contact, events: &[Event]) -> Self {
        let told = events.iter().filter_map(|event| {
            let timestamp = event.at.as_seconds();
            Some(CallEvent { event: words::event(event)?, timestamp })
        });
        let talk = talk(events);
        let window = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_seconds);
        let (start, end) = match talk {
            Some((connected, disconnected)) => {
                (connected, disconnected.unwrap_or_else(|| window(contact.window.closes_at)))
            }
            None => (window(contact.window.opens_at), window(contact.window.closes_at)),
        };
        let lasted = talk.and_then(|(connected, disconnected)| Some(disconnected? - connected));
        Self {
            max_attempts: contact.retry.attempts_max.to_string(),
            attempts: contact.attempts.to_string(),
            events: told.collect(),
            phone_number: contact.destination.dialed().to_owned(),
            status: words::status(contact, events),
            queued_timestamp: contact.created_at.as_seconds().to_string(),
            start_timestamp: start.to_string(),
            end_timestamp: end.to_string(),
            reattempt_wait: contact.retry.wait.as_secs().to_string(),
            duration: lasted.unwrap_or(0).max(0),
        }
    }
}

/// When the last answered attempt was answered, and when it ended; in seconds since 1970, so that
/// their difference is the duration.
fn talk(events: &[Event]) -> Option<(i64, Option<i64>)> {
    let answered = events.iter().rposition(|event| event.kind == EventKind::Answered)?;
    let is_end = |event: &&Event| {
        event.kind == EventKind::Ended
            && matches!(Outcome::from_name(&event.detail), Some(Outcome::Answered(_)))
    };
    let ended = events[answered..].iter().find(is_end);
    Some((events[answered].at.as_seconds(), ended.map(|event| event.at.as_seconds())))
}

/// The body that result_url is posted when a call has ended for good.
pub fn result(contact: &Contact, events: &[Event]) -> String {
    let details = CallDetails::new(contact, events);
    serde_json::to_string(&details).expect("texts and numbers are always JSON")
}

/// Whether this answer to a result says that the client has it.
pub const fn accepted(status: u16) -> bool {
    status >= 200 && status < 300
}

/// The form that the deployment's page is posted when a call is answered: number, id, and every
/// value of the metadata by its name.
pub fn start_form(contact: &Contact) -> Vec<(String, String)> {
    let id = contact.id.to_string();
    let own = [("phone_number", contact.destination.digits()), ("call_id", id.as_str())];
    let metadata = contact.variables.iter().filter(|(name, _)| own.iter().all(|o| o.0 != *name));
    let fields = own.into_iter().chain(metadata);
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
