//! What we answer: JSON or XML as the client takes it, and the HTTP statuses.

use std::fmt::Write as _;

use domain::contact::NewContact;
use domain::ids::ContactId;
use serde_json::json;

use super::callback::CallDetails;
use crate::list::{ListError, Rejection};
use crate::refusal::Refusal;
use crate::xml;

/// First line of every XML document.
const DECLARATION: &str = "<?xml version=\"1.0\"?>\n";

/// In which of the two forms a client takes its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

impl Format {
    /// What the values of a request's Accept ask for: XML where it is preferred, else JSON
    /// (RFC 9110 §12.5.1). A client that takes neither gets JSON all the same.
    pub fn of_accept(accept: &str) -> Self {
        let xml = quality(accept, "application", "xml").max(quality(accept, "text", "xml"));
        if xml > quality(accept, "application", "json") { Self::Xml } else { Self::Json }
    }

    /// Media type of an answer in it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => XML_CONTENT_TYPE,
        }
    }
}

/// Media type of answers in XML.
pub const XML_CONTENT_TYPE: &str = "application/xml; charset=utf-8";

/// How much a media type is wanted, in thousandths: what the range says that names it best.
fn quality(accept: &str, kind: &str, subtype: &str) -> u32 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let Some((range_kind, range_subtype)) = media.split_once('/') else { continue };
        let precision = match (range_kind, range_subtype) {
            ("*", "*") => 1,
            (own, "*") if own == kind => 2,
            (own, sub) if own == kind && sub == subtype => 3,
            _ => continue,
        };
        if precision > best.0 {
            let q = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            best = (precision, q.map_or(1_000, thousandths));
        }
    }
    best.1
}

/// A quality such as `0.75`; what is none counts as the highest.
fn thousandths(text: &str) -> u32 {
    match text.trim().parse::<f64>() {
        Ok(q) if (0.0..1.0).contains(&q) => {
            let digits = format!("{:.0}", q * 1_000.0);
            digits.parse().unwrap_or(1_000)
        }
        _ => 1_000,
    }
}

/// Why a request was not done.
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
    /// E-mail or developer key is wrong. The client repairs it.
    #[error("authentication failed: send the account's e-mail and a developer key by HTTP Basic")]
    Credentials,
    /// The deployment was deleted.
    #[error("deployment was deleted")]
    Deleted,
    /// The server is shutting down. Time repairs it.
    #[error("server is shutting down and takes no new calls, try again in a minute")]
    Draining,
    /// A defect of ours.
    #[error("server made a mistake")]
    Internal,
    /// Fields of the request are wrong. The client repairs them.
    #[error("{}", sentences(.0))]
    Invalid(Vec<Refusal>),
    /// The same request is being worked on. Time repairs it.
    #[error("a request with this Idempotency-Key is being worked on, wait and send it again")]
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
    /// The list has no rows. The client repairs it.
    #[error("list has no rows, expected one call per row below the header")]
    ListEmpty,
    /// The body is neither kind of form.
    #[error("{found:?} is not understood here, expected {expected}")]
    MediaType {
        /// Its media type; empty where none is given.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A method that the address does not know.
    #[error("{found} is not understood here, only {allowed}")]
    MethodNotAllowed {
        /// The method.
        found: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// There is no such address.
    #[error("this address does not exist")]
    NoAddress,
    /// There is no such call.
    #[error("no call exists with this call_id")]
    NoCall,
    /// There is no such deployment.
    #[error("no deployment exists for this application_id and deployment_id")]
    NoDeployment,
    /// Another account's call or deployment.
    #[error("this account has no permission here")]
    NotYours,
    /// There is no store for payment and health data.
    #[error(
        "is_pci: this account is not granted storage for payment and health data; queue an id that \
         says nothing and fetch the rest when the call connects"
    )]
    PciNotGranted,
    /// Wrong keys too often. Time repairs it.
    #[error("authentication failed too often, try again in {retry_after_s} s")]
    Throttled {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The body did not come in time.
    #[error("request did not arrive in time")]
    Timeout,
    /// The store is away. Time repairs it.
    #[error("database error, nothing was changed, try again later")]
    Unavailable,
}

impl Failure {
    /// HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::BodyMalformed(_)
            | Self::Invalid(_)
            | Self::KeyMalformed
            | Self::List(_)
            | Self::ListEmpty => 400,
            Self::Credentials => 401,
            Self::NotYours | Self::PciNotGranted => 403,
            Self::NoAddress | Self::NoCall | Self::NoDeployment => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::Timeout => 408,
            Self::Deleted | Self::KeyInUse => 409,
            Self::BodyTooLarge { .. } => 413,
            Self::MediaType { .. } => 415,
            Self::KeyReused => 422,
            Self::Throttled { .. } => 429,
            // Documented so for a database that does not answer.
            Self::Internal | Self::Unavailable => 500,
            Self::Busy { .. } | Self::Draining => 503,
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

fn sentences(refusals: &[Refusal]) -> String {
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

/// The answer for a call that was taken in.
pub fn queued(format: Format, id: ContactId) -> String {
    match format {
        // A string, as the other numbers of this API are.
        Format::Json => json!({ "call_id": id.to_string() }).to_string(),
        Format::Xml => format!("{DECLARATION}<result><call_id>{id}</call_id></result>\n"),
    }
}

/// Value of the header Link: where the call's status is (RFC 8631 §4.5).
pub fn link(id: ContactId) -> String {
    format!("</api/outbound/{id}>; rel=\"status\"")
}

/// The answer that tells of a call.
pub fn status(format: Format, details: &CallDetails) -> String {
    match format {
        Format::Json => {
            let details = serde_json::to_string(details);
            let details = details.expect("texts and numbers are always JSON");
            format!("{{\"call_details\":{details}}}")
        }
        Format::Xml => xml_details(details),
    }
}

/// The answer for a request that was not done.
pub fn failed(format: Format, failure: &Failure) -> String {
    let message = failure.to_string();
    match format {
        Format::Json => json!({ "error": message }).to_string(),
        Format::Xml => {
            let mut out = format!("{DECLARATION}<result>");
            element(&mut out, "error", &message);
            out.push_str("</result>\n");
            out
        }
    }
}

/// The answer for a list: what stands before, for each row in the order of the file, and after.
#[derive(Clone, Copy, Debug)]
pub struct ListAnswer {
    format: Format,
    rows: u64,
}

impl ListAnswer {
    /// An answer without rows so far.
    pub const fn new(format: Format) -> Self {
        Self { format, rows: 0 }
    }

    /// What stands before the rows, of which `queued` were taken in and `rejected` were not.
    pub fn begin(&self, queued: u64, rejected: u64) -> String {
        let error = format!("no call was queued: {rejected} of {rejected} rows are refused");
        match self.format {
            Format::Json => {
                let error = match queued {
                    0 => format!("\"error\":{},", json!(error)),
                    _ => String::new(),
                };
                format!("{{{error}\"queued\":{queued},\"rejected\":{rejected},\"calls\":[")
            }
            Format::Xml => {
                let mut out = format!("{DECLARATION}<result>\n");
                if queued == 0 {
                    element(&mut out, "error", &error);
                    out.push('\n');
                }
                let _ = writeln!(out, "<queued>{queued}</queued>");
                let _ = writeln!(out, "<rejected>{rejected}</rejected>");
                out.push_str("<calls>\n");
                out
            }
        }
    }

    /// Appends a row that was taken in.
    pub fn queued(&mut self, out: &mut String, row: u64, contact: &NewContact, id: ContactId) {
        let destination = contact.destination.to_string();
        self.row(out, row, &destination, "call_id", &id.to_string());
    }

    /// Appends a row that was not taken in.
    pub fn rejected(&mut self, out: &mut String, rejection: &Rejection) {
        self.row(out, rejection.row, &rejection.phone_number, "error", &rejection.reason);
    }

    /// What stands after the rows.
    pub const fn end(&self) -> &'static str {
        match self.format {
            Format::Json => "\n]}\n",
            Format::Xml => "</calls>\n</result>\n",
        }
    }

    fn row(&mut self, out: &mut String, row: u64, destination: &str, what: &str, text: &str) {
        match self.format {
            Format::Json => {
                out.push_str(if self.rows == 0 { "\n" } else { ",\n" });
                let (destination, text) = (json!(destination), json!(text));
                let _ = write!(
                    out,
                    "{{\"row\":{row},\"destination\":{destination},\"{what}\":{text}}}"
                );
            }
            Format::Xml => {
                let _ = write!(out, "<call><row>{row}</row>");
                element(out, "destination", destination);
                element(out, what, text);
                out.push_str("</call>\n");
            }
        }
        self.rows += 1;
    }
}

fn xml_details(details: &CallDetails) -> String {
    let CallDetails {
        max_attempts,
        attempts,
        events,
        phone_number,
        status,
        queued_timestamp,
        start_timestamp,
        end_timestamp,
        reattempt_wait,
        duration,
    } = details;
    let mut out = format!("{DECLARATION}<result><call_details>\n");
    let mut field = |name: &str, text: &str| {
        element(&mut out, name, text);
        out.push('\n');
    };
    field("max_attempts", max_attempts);
    field("attempts", attempts);
    out.push_str("<events>\n");
    for event in events {
        out.push_str("<event>");
        element(&mut out, "event", event.event);
        element(&mut out, "timestamp", &event.timestamp.to_string());
        out.push_str("</event>\n");
    }
    out.push_str("</events>\n");
    let mut field = |name: &str, text: &str| {
        element(&mut out, name, text);
        out.push('\n');
    };
    field("phone_number", phone_number);
    field("status", status);
    field("queued_timestamp", queued_timestamp);
    field("start_timestamp", start_timestamp);
    field("end_timestamp", end_timestamp);
    field("reattempt_wait", reattempt_wait);
    field("duration", &duration.to_string());
    out.push_str("</call_details></result>\n");
    out
}

fn element(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, "<{name}>");
    xml::push_text(out, text);
    let _ = write!(out, "</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_gets_xml_where_it_prefers_it_and_json_else() {
        let xml = [
            "application/xml",
            "text/xml",
            "application/json;q=0.5, application/xml",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "*/*, application/json;q=0",
            "Application/XML ; Q=0.1",
        ];
        for accept in xml {
            assert_eq!(Format::of_accept(accept), Format::Xml, "{accept}");
        }
        let json = [
            "",
            "*/*",
            "application/*",
            "application/json",
            "application/xml;q=0.2, application/json;q=0.3",
            "application/xml, application/json",
            "application/xml;q=0",
            "application/x-www-form-urlencoded, application/json",
            "text/html",
            "nonsense;;q=,",
            "application/json;q=nonsense, application/xml;q=0.9",
        ];
        for accept in json {
            assert_eq!(Format::of_accept(accept), Format::Json, "{accept}");
        }
    }
}
