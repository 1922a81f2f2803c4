//! What the final page is told of a call that has ended.

use domain::application::PageAddress;
use domain::attempt::Attempt;
use domain::contact::Contact;
use domain::event::{Event, EventKind};
use domain::outcome::Outcome;
use serde::Serialize;
use url::Url;

use super::request::APPLICATION_PARAMETERS;
use super::words;

/// The part of an address that is never sent: it says that the page is got.
const GOT: &str = "GET";

/// How a final page is kept: its address, and in its fragment, which is never sent, how it is asked.
pub(super) fn final_url(page: &PageAddress) -> String {
    let address = page.url.split('#').next().unwrap_or_default();
    if page.is_got { format!("{address}#{GOT}") } else { address.to_owned() }
}

/// The address with what is told in its query, where the page is got.
pub fn got(url: &Url, body: &str) -> Option<Url> {
    if url.fragment() != Some(GOT) {
        return None;
    }
    let mut url = url.clone();
    url.set_fragment(None);
    url.query_pairs_mut().append_pair("instance_info", body);
    Some(url)
}

/// What every page is told, without what only running calls have.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct InstanceInfo<'i> {
    application_instance_id: String,
    token: &'i str,
    log_filename: &'static str,
    this_call: CallInfo<'i>,
    is_notification: bool,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct CallInfo<'i> {
    call_id: String,
    call_direction: &'static str,
    call_from: &'i str,
    call_to: String,
    call_target: String,
    call_divert: &'static str,
    seconds_call_duration: f64,
    call_state: &'static str,
    application_parameters: &'i str,
    outbound_parameters: &'i str,
    #[serde(skip_serializing_if = "Option::is_none")]
    far_end_type: Option<&'static str>,
    call_cause: &'static str,
    call_raw_cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_recording_filename: Option<&'i str>,
}

/// The body that the final page is told; `events` and `attempts` are the contact's own, oldest
/// first.
pub fn result(contact: &Contact, events: &[Event], attempts: &[Attempt]) -> String {
    let given = events.iter().rev().find(|event| event.kind == EventKind::TokenGiven);
    let recording = events.iter().rev().find_map(Event::recording);
    let last = attempts.last();
    let destination = &contact.destination;
    // Of a call that was canceled before it was dialed there is no attempt.
    let outcome = contact.last_outcome.unwrap_or(Outcome::Canceled);
    let by_far_end = last.is_some_and(|attempt| attempt.cause.text != HUNG_UP);
    let info = InstanceInfo {
        application_instance_id: contact.id.to_string(),
        token: given.map_or(contact.reference.as_str(), |event| event.detail.as_str()),
        log_filename: "",
        this_call: CallInfo {
            call_id: last.map(|attempt| attempt.id.to_string()).unwrap_or_default(),
            call_direction: "out",
            call_from: destination.caller_id().unwrap_or_default(),
            call_to: words::address(destination),
            call_target: words::address(destination),
            call_divert: "",
            seconds_call_duration: last.map_or(0.0, tenths),
            call_state: "idle",
            application_parameters: contact
                .variables
                .value(APPLICATION_PARAMETERS)
                .unwrap_or_default(),
            outbound_parameters: &contact.parameters,
            far_end_type: far_end_type(outcome, last),
            call_cause: words::call_cause(outcome, by_far_end),
            call_raw_cause: words::call_raw_cause(last),
            call_recording_filename: recording.map(|recording| recording.address),
        },
        is_notification: false,
    };
    serde_json::to_string(&info).expect("texts and numbers are always JSON")
}

/// Who answered, where somebody listened for it.
fn far_end_type(outcome: Outcome, attempt: Option<&Attempt>) -> Option<&'static str> {
    match outcome {
        Outcome::Answered(callee) if attempt.is_some_and(|it| !it.detected.is_empty()) => {
            Some(words::far_end_type(Some(callee)))
        }
        _ => None,
    }
}

/// Seconds from answer to end, with one decimal.
fn tenths(attempt: &Attempt) -> f64 {
    let (Some(from), Some(to)) = (attempt.answered_at, attempt.ended_at) else {
        return 0.0;
    };
    #[expect(clippy::cast_precision_loss, reason = "no call lasts 2^53 tenths of a second")]
    let tenths = (to.since(from).as_millis() / 100) as f64;
    tenths / 10.0
}

/// Whether this answer says that the client has it: any success, its body does not matter.
pub const fn accepted(status: u16) -> bool {
    status >= 200 && status < 300
}

/// The cause of a leg that we ended ourselves.
const HUNG_UP: &str = "hung up";
