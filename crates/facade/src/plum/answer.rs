//! What we answer: XML documents of success and failure, and their HTTP statuses.

use std::fmt;

use domain::contact::NewContact;
use domain::ids::ContactId;

use super::request::{Order, QueueCall};
use crate::list::{ListError, Rejection};
use crate::refusal::Refusal;
use crate::xml;

/// Media type of every answer.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// First line of every document.
const DECLARATION: &str = "<?xml version=\"1.0\"?>\n";

/// Which of the two scripts answers; its name is the document's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// `queuecall.php`.
    QueueCall,
    /// `queuecalls.php`.
    QueueCalls,
}

impl Script {
    /// Name of the document's root.
    pub const fn root(self) -> &'static str {
        match self {
            Self::QueueCall => "queuecall",
            Self::QueueCalls => "queuecalls",
        }
    }
}

/// Why nothing was queued, where it is not a field's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The body is no form. The client repairs it.
    #[error("request cannot be read: {0}")]
    BodyMalformed(String),
    /// The body, or the list in it, is too large. The client sends several.
    #[error("request is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Too much is going on. Time repairs it.
    #[error("server is busy, try again in {retry_after_s} s")]
    Busy {
        /// When to try again.
        retry_after_s: u32,
    },
    /// Login or PIN is wrong. The client repairs it.
    #[error("login or pin is wrong")]
    Credentials,
    /// The server is shutting down. Time repairs it.
    #[error("server is shutting down and takes no new calls, try again in a minute")]
    Draining,
    /// A defect of ours.
    #[error("server made a mistake, the call was not queued")]
    Internal,
    /// The same request is being worked on. Time repairs it.
    #[error("a request with this Idempotency-Key is under way, wait and send it again")]
    KeyInUse,
    /// The header is no key. The client repairs it.
    #[error("Idempotency-Key is no key, expected a text in quotes or a UUID")]
    KeyMalformed,
    /// The key belongs to another request. The client repairs it.
    #[error("Idempotency-Key belongs to another request, give each request its own")]
    KeyReused,
    /// The list is none. The client repairs it.
    #[error("{0}")]
    List(#[from] ListError),
    /// No row of the list can be taken in. The client repairs it.
    #[error("no call was queued: {rejected} of {rejected} rows of the list are refused")]
    ListRejected {
        /// How many rows there were.
        rejected: u64,
    },
    /// The list has no rows. The client repairs it.
    #[error("list has no rows, expected one call per line")]
    ListEmpty,
    /// Another method than POST.
    #[error("{found} is not understood here, send the call by POST")]
    MethodNotAllowed {
        /// The method.
        found: String,
    },
    /// The body is neither kind of form.
    #[error("{found:?} is not understood here, expected {expected}")]
    MediaType {
        /// Its media type; empty where none is given.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The body did not come in time.
    #[error("request did not arrive in time")]
    Timeout,
    /// Login or PIN was wrong too often. Time repairs it.
    #[error("login or pin was wrong too often, try again in {retry_after_s} s")]
    Throttled {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The store is away. Time repairs it.
    #[error("server cannot store calls at the moment, try again later")]
    Unavailable,
}

impl Failure {
    /// A stable name for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BodyMalformed(_) => "body_malformed",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::Busy { .. } => "busy",
            Self::Credentials => "credentials",
            Self::Draining => "draining",
            Self::Internal => "internal",
            Self::KeyInUse => "idempotency_key_in_use",
            Self::KeyMalformed => "idempotency_key_malformed",
            Self::KeyReused => "idempotency_key_reused",
            Self::List(_) => "list_malformed",
            Self::ListEmpty => "list_empty",
            Self::ListRejected { .. } => "list_rejected",
            Self::MediaType { .. } => "media_type",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Throttled { .. } => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
        }
    }

    /// HTTP status of the answer.
    ///
    /// What the scripts themselves decide is 200 with `status="failed"`, as from a PHP script: old
    /// clients read the document and lose it with any other status. What stops a request before a
    /// script would have run has the status that says so (docs/api/plum.md "Kept quirks").
    pub const fn status(&self) -> u16 {
        match self {
            Self::BodyMalformed(_) | Self::KeyMalformed => 400,
            Self::MethodNotAllowed { .. } => 405,
            Self::Timeout => 408,
            Self::KeyInUse => 409,
            Self::BodyTooLarge { .. } => 413,
            Self::MediaType { .. } => 415,
            Self::KeyReused => 422,
            Self::Throttled { .. } => 429,
            Self::Internal => 500,
            Self::Busy { .. } => 503,
            Self::Credentials
            | Self::Draining
            | Self::List(_)
            | Self::ListEmpty
            | Self::ListRejected { .. }
            | Self::Unavailable => 200,
        }
    }

    /// Seconds after which to try again, for the header of that name.
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Busy { retry_after_s } | Self::Throttled { retry_after_s } => {
                Some(*retry_after_s)
            }
            _ => None,
        }
    }
}

/// HTTP status of a document that [`refused`] or [`queued`] has written.
pub const OK: u16 = 200;

/// The document for a contact that was taken in.
pub fn queued(call: &QueueCall, id: ContactId) -> String {
    let mut out = String::from(DECLARATION);
    open(
        &mut out,
        "",
        Script::QueueCall.root(),
        &[("status", "queued"), ("call_id", &id.to_string())],
    );
    out.push('\n');
    echo(&mut out, &call.order);
    out.push_str("</queuecall>\n");
    out
}

/// The document for a request with mistakes in its fields, all of them named.
pub fn refused(script: Script, refusals: &[Refusal]) -> String {
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    let mut out = failure_head(script, &sentences.join("; "));
    for refusal in refusals {
        let attributes = [("field", refusal.field.as_str()), ("code", refusal.mistake.name())];
        element(&mut out, "error", &attributes, &refusal.detail());
    }
    close(&mut out, script);
    out
}

/// The document for a request that failed as a whole.
pub fn failed(script: Script, failure: &Failure) -> String {
    let message = failure.to_string();
    let mut out = failure_head(script, &message);
    element(&mut out, "error", &[("code", failure.code())], &message);
    close(&mut out, script);
    out
}

/// Begins the document for a list of which `queued` rows were taken in and `rejected` were not.
///
/// [`list_queued`] and [`list_rejected`] follow in the order of the file, then [`LIST_END`].
pub fn list_begin(order: &Order, queued: u64, rejected: u64) -> String {
    let mut out = String::from(DECLARATION);
    let attributes = [
        ("status", "queued"),
        ("campaign", order.campaign.as_str()),
        ("queued", &queued.to_string()),
        ("rejected", &rejected.to_string()),
    ];
    open(&mut out, "", Script::QueueCalls.root(), &attributes);
    out.push('\n');
    echo(&mut out, order);
    out
}

/// Begins the document for a list of which every row was rejected; else as [`list_begin`].
pub fn list_begin_failed(rejected: u64) -> String {
    let failure = Failure::ListRejected { rejected };
    let mut out = failure_head(Script::QueueCalls, &failure.to_string());
    element(&mut out, "error", &[("code", failure.code())], &failure.to_string());
    out
}

/// Appends a row that was taken in.
pub fn list_queued(out: &mut String, contact: &NewContact, id: ContactId) {
    let attributes = [
        ("phone_number", contact.destination.to_string()),
        ("message_reference", contact.reference.clone()),
        ("call_id", id.to_string()),
    ];
    open(out, INDENT, "call", &attributes.each_ref().map(|(name, value)| (*name, value.as_str())));
    out.truncate(out.len() - 1);
    out.push_str("/>\n");
}

/// Appends a row that was not taken in.
pub fn list_rejected(out: &mut String, rejection: &Rejection) {
    let row = rejection.row.to_string();
    let attributes = [
        ("phone_number", rejection.phone_number.as_str()),
        ("message_reference", rejection.message_reference.as_str()),
        ("line", &row),
    ];
    open(out, INDENT, "call", &attributes);
    open(out, "", "error", &[]);
    xml::push_text(out, &rejection.reason);
    out.push_str("</error></call>\n");
}

/// Ends the document for a list.
pub const LIST_END: &str = "</queuecalls>\n";

/// Indentation of the root's children.
const INDENT: &str = "    ";

fn failure_head(script: Script, message: &str) -> String {
    let mut out = String::from(DECLARATION);
    open(&mut out, "", script.root(), &[("status", "failed")]);
    out.push('\n');
    element(&mut out, "error_message", &[], message);
    out
}

/// The client's own fields, the PIN excepted (docs/api/plum.md "Kept quirks").
fn echo(out: &mut String, order: &Order) {
    for (name, value) in &order.echo {
        element(out, name, &[], value);
    }
}

fn element(out: &mut String, name: &str, attributes: &[(&str, &str)], text: &str) {
    open(out, INDENT, name, attributes);
    xml::push_text(out, text);
    out.push_str("</");
    out.push_str(name);
    out.push_str(">\n");
}

fn open(out: &mut String, indent: &str, name: &str, attributes: &[(&str, &str)]) {
    out.push_str(indent);
    out.push('<');
    out.push_str(name);
    for (name, value) in attributes {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        xml::push_attribute(out, value);
        out.push('"');
    }
    out.push('>');
}

fn close(out: &mut String, script: Script) {
    out.push_str("</");
    out.push_str(script.root());
    out.push_str(">\n");
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root())
    }
}
