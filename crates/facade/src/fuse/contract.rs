//! The OpenAPI 3.1 document of Fuse's addresses: what they take, and every answer by its status.

use std::collections::BTreeSet;

use domain::outcome::Outcome;
use serde_json::{Map, Value, json};

use super::answer::Failure;
use super::request::{ATTEMPTS, PHONE_NUMBER_MAX, REATTEMPT_WAIT_S, URL_MAX};
use super::words;
use crate::contract::{
    self, MULTIPART, Operation, URLENCODED, number, parameter, schema, seconds, text,
};
use crate::list::ListError;

/// Its tag, and what its operations are named with.
const TAG: &str = "fuse";
/// The name of its security scheme.
const SCHEME: &str = "fuse";
/// Media types of all answers; `Accept` chooses.
const BOTH: [&str; 2] = ["application/json", "application/xml"];
const ABOUT: &str = "Calls of clients that were written for Plum Fuse's outbound API, as \
    docs/api/fuse.md tells it. Answers are XML where `Accept` prefers it, else JSON.";

/// The document.
pub fn document() -> Value {
    let of_deployment = "/api/apps/{application_id}/{deployment_id}";
    let paths: Map<String, Value> = [
        (format!("{of_deployment}/queue"), queue()),
        (format!("{of_deployment}/bulk_queue"), bulk_queue()),
        (format!("{of_deployment}/cancel"), cancel()),
        ("/api/outbound/{call_id}".to_owned(), status()),
    ]
    .into_iter()
    .collect();
    let developer_key = json!({"type": "http", "scheme": "basic",
        "description": "The user is the account's e-mail, the password a developer key of it."});
    contract::document(
        ("Outdial for clients of Plum Fuse", TAG, ABOUT),
        &json!({ SCHEME: developer_key }),
        &Value::Object(paths),
        &schemas(),
    )
}

fn queue() -> Value {
    let example = json!({
        "phone_number": "tel:+16175551234;ani=8009957586", "max_attempts": 2,
        "reattempt_wait": 300, "metadata": "{\"name\":\"Ann\"}"
    });
    let of_one = |failure: &Failure| !matches!(failure, Failure::List(_) | Failure::ListEmpty);
    let mut queued = contract::answer("The call was queued.", &BOTH, "FuseQueued");
    queued["headers"] = json!({"Link": {"schema": {"type": "string"},
        "description": "Where the call's status is, as `</api/outbound/7>; rel=\"status\"`."}});
    let post = Operation::new(TAG, "fuse_queue", "Queues one call.", Some(SCHEME))
        .parameters(of_deployment().into_iter().chain([contract::idempotency_key()]))
        .body(&contract::form(&[URLENCODED, MULTIPART], "FuseQueueForm", &example))
        .answers(200, queued)
        .fails(failures(|failure| of_deployments(failure) && of_one(failure)), &errors())
        .done();
    json!({ "post": post, "options": options("fuse_queue_options", of_deployment()) })
}

fn bulk_queue() -> Value {
    let list = "\"destination\",\"name\"\n\"6175551234\",\"Ann\"\n\"16175551235\",\"Bo\"\n";
    let example = json!({"csv": list, "max_attempts": 2, "reattempt_wait": 300});
    let none = "Fields or the list are wrong, or none of its rows can be queued; or the body \
        cannot be read, or the Idempotency-Key is none.";
    let either = json!({"schema": {"anyOf": [schema("FuseError"), schema("FuseList")]}});
    let refused = json!({"description": none,
        "content": {"application/json": either, "application/xml": either}});
    let post = Operation::new(TAG, "fuse_bulk_queue", "Queues a list of calls.", Some(SCHEME))
        .about("A file of any name is the list if it is the only one.")
        .parameters(of_deployment().into_iter().chain([contract::idempotency_key()]))
        .body(&contract::form(&[MULTIPART], "FuseBulkQueueForm", &example))
        .answers(200, contract::answer("The list was queued.", &BOTH, "FuseList"))
        .answers(400, refused)
        .fails(failures(of_deployments), &errors())
        .done();
    json!({ "post": post, "options": options("fuse_bulk_queue_options", of_deployment()) })
}

fn cancel() -> Value {
    let of_cancel = |failure: &Failure| {
        of_all(failure) || matches!(failure, Failure::NoDeployment | Failure::NotYours)
    };
    let summary = "Cancels all calls of the deployment that wait.";
    let delete = Operation::new(TAG, "fuse_cancel", summary, Some(SCHEME))
        .parameters(of_deployment())
        .answers(202, json!({"description": "They are canceled, or being canceled."}))
        .fails(failures(of_cancel), &errors())
        .done();
    json!({ "delete": delete, "options": options("fuse_cancel_options", of_deployment()) })
}

fn status() -> Value {
    let id = json!({"type": "string", "pattern": "^[0-9]{1,18}$", "example": "112850593"});
    let call_id = || [parameter("path", "call_id", "Id of the call.", &id)];
    let of_status = |failure: &Failure| {
        of_all(failure) || matches!(failure, Failure::NoCall | Failure::NotYours)
    };
    let get = Operation::new(TAG, "fuse_status", "Tells where a call stands.", Some(SCHEME))
        .parameters(call_id())
        .answers(200, contract::answer("The call.", &BOTH, "FuseStatus"))
        .fails(failures(of_status), &errors())
        .done();
    json!({ "get": get, "options": options("fuse_status_options", call_id()) })
}

/// The methods are those of all such addresses, whatever stands in them.
fn options(id: &str, parameters: impl IntoIterator<Item = Value>) -> Value {
    let parameters = parameters.into_iter().map(|mut parameter| {
        parameter["schema"] = json!({"type": "string"});
        parameter
    });
    let mut allowed = json!({"description": "The methods of this address."});
    allowed["headers"] = json!({"Allow": {"schema": {"type": "string"}}});
    Operation::new(TAG, id, "Names the methods of this address.", None)
        .parameters(parameters)
        .answers(204, allowed)
        .done()
}

fn of_deployment() -> [Value; 2] {
    let number =
        |example: &str| json!({"type": "string", "pattern": "^[0-9]{1,18}$", "example": example});
    [
        parameter("path", "application_id", "Number of the application.", &number("12")),
        parameter("path", "deployment_id", "Number of the deployment.", &number("34")),
    ]
}

fn errors() -> Value {
    contract::content(&BOTH, "FuseError")
}

fn failures(may: impl Fn(&Failure) -> bool) -> Vec<(u16, String)> {
    let told = |failure: Failure| match &failure {
        Failure::Invalid(_) => (failure.status(), "fields are wrong: each is named".to_owned()),
        failure => (failure.status(), failure.to_string()),
    };
    every().into_iter().filter(may).map(told).collect()
}

/// What any request may meet.
fn of_all(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Busy { .. }
            | Failure::Credentials
            | Failure::Draining
            | Failure::Internal
            | Failure::Throttled { .. }
            | Failure::Unavailable
    )
}

/// What a request may meet that queues something.
fn of_deployments(failure: &Failure) -> bool {
    !matches!(failure, Failure::MethodNotAllowed { .. } | Failure::NoAddress | Failure::NoCall)
}

/// One of each failure.
fn every() -> [Failure; 23] {
    [
        Failure::BodyMalformed("…".to_owned()),
        Failure::BodyTooLarge { limit_bytes: 64 * 1_024 },
        Failure::Busy { retry_after_s: 2 },
        Failure::Credentials,
        Failure::Deleted,
        Failure::Draining,
        Failure::Internal,
        Failure::Invalid(Vec::new()),
        Failure::KeyInUse,
        Failure::KeyMalformed,
        Failure::KeyReused,
        Failure::List(ListError::Utf16),
        Failure::ListEmpty,
        Failure::MediaType { found: "text/plain".to_owned(), expected: "a form" },
        Failure::MethodNotAllowed { found: "PUT".to_owned(), allowed: "POST" },
        Failure::NoAddress,
        Failure::NoCall,
        Failure::NoDeployment,
        Failure::NotYours,
        Failure::PciNotGranted,
        Failure::Throttled { retry_after_s: 60 },
        Failure::Timeout,
        Failure::Unavailable,
    ]
}

fn schemas() -> Value {
    let mut one = fields();
    one.insert("phone_number".into(), text(PHONE_NUMBER_MAX, "Number to dial."));
    let mut many = fields();
    let list = "The list, with a column destination: one call in each row.";
    let file = json!({"type": "string", "contentMediaType": "text/csv", "description": list});
    many.insert("csv".into(), file);
    json!({
        "FuseQueueForm": {"type": "object", "properties": one, "required": ["phone_number"]},
        "FuseBulkQueueForm": {"type": "object", "properties": many, "required": ["csv"]},
        "FuseQueued": {"type": "object", "xml": {"name": "result"}, "required": ["call_id"],
            "properties": {"call_id": id()}},
        "FuseError": {"type": "object", "xml": {"name": "result"}, "required": ["error"],
            "properties": {"error": {"type": "string",
                "description": "What was found and what would be right."}}},
        "FuseList": {"type": "object", "xml": {"name": "result"},
            "required": ["calls", "queued", "rejected"],
            "properties": {
                "error": {"type": "string", "description": "Why no row was queued."},
                "queued": count("How many rows were queued."),
                "rejected": count("How many rows were not."),
                "calls": {"type": "array", "xml": {"wrapped": true}, "items": row()}
            }},
        "FuseStatus": {"type": "object", "xml": {"name": "result"}, "required": ["call_details"],
            "properties": {"call_details": schema("FuseCallDetails")}},
        "FuseCallDetails": details()
    })
}

fn id() -> Value {
    json!({"type": "string", "pattern": "^[0-9]+$", "description": "Id of the call."})
}

fn count(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

fn row() -> Value {
    json!({"type": "object", "xml": {"name": "call"}, "required": ["destination", "row"],
    "properties": {
        "row": count("Where it stands in the file."),
        "destination": {"type": "string"},
        "call_id": id(),
        "error": {"type": "string", "description": "Why it was not queued."}
    }})
}

/// What both take.
fn fields() -> Map<String, Value> {
    let (attempts, waits) = (ATTEMPTS.into_inner(), REATTEMPT_WAIT_S.into_inner());
    let fields = json!({
        "start_timestamp": seconds("First moment at which it may be dialed; 0 or over: at once."),
        "end_timestamp": seconds("When it is canceled if it was not dialed; 0: never."),
        "max_attempts": number(attempts.0, attempts.1, "Attempts in all; with reattempt_wait."),
        "reattempt_wait": number(waits.0, waits.1,
            "Seconds from an attempt's end to the next one; with max_attempts."),
        "result_url": text(URL_MAX, "Page that is told the result, http or https."),
        "metadata": {"type": "string", "contentMediaType": "application/json",
            "description": "A JSON object: every key is a variable of the script."},
        "is_pci": {"type": "integer", "enum": [0, 1],
            "description": "1 is refused: there is no storage for payment and health data."}
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Where a call may stand, and `more`.
fn states(more: &[&'static str]) -> BTreeSet<&'static str> {
    let outcomes = Outcome::ALL.into_iter().map(words::state_of_outcome);
    outcomes.chain(["connected", "dialing", "queued"]).chain(more.iter().copied()).collect()
}

/// A call, as its status and its result tell it.
fn details() -> Value {
    let count = |description: &str| json!({"type": "string", "pattern": "^[0-9]+$", "description": description});
    json!({"type": "object",
    "required": ["attempts", "duration", "end_timestamp", "events", "max_attempts",
        "phone_number", "queued_timestamp", "reattempt_wait", "start_timestamp", "status"],
    "properties": {
        "max_attempts": count("Attempts allowed."),
        "attempts": count("Attempts made."),
        "events": {"type": "array", "xml": {"wrapped": true}, "items": {
            "type": "object", "xml": {"name": "event"}, "required": ["event", "timestamp"],
            "properties": {
                "event": {"type": "string", "enum": states(&[])},
                "timestamp": {"type": "integer", "description": "Seconds since 1970."}
            }}},
        "phone_number": {"type": "string", "description": "The number dialed."},
        "status": {"type": "string", "enum": states(&["canceled", "completed", "failed"])},
        "queued_timestamp": count("When it was queued."),
        "start_timestamp": count("When it was answered; before that its window's begin, or 0."),
        "end_timestamp": count("When that call ended; before that its window's end, or 0."),
        "reattempt_wait": count("Seconds between attempts."),
        "duration": {"type": "integer", "minimum": 0,
            "description": "Seconds from answer to end."}
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its place in [`every`]: a new failure has none until it is given one.
    fn place(failure: &Failure) -> usize {
        match failure {
            Failure::BodyMalformed(_) => 0,
            Failure::BodyTooLarge { .. } => 1,
            Failure::Busy { .. } => 2,
            Failure::Credentials => 3,
            Failure::Deleted => 4,
            Failure::Draining => 5,
            Failure::Internal => 6,
            Failure::Invalid(_) => 7,
            Failure::KeyInUse => 8,
            Failure::KeyMalformed => 9,
            Failure::KeyReused => 10,
            Failure::List(_) => 11,
            Failure::ListEmpty => 12,
            Failure::MediaType { .. } => 13,
            Failure::MethodNotAllowed { .. } => 14,
            Failure::NoAddress => 15,
            Failure::NoCall => 16,
            Failure::NoDeployment => 17,
            Failure::NotYours => 18,
            Failure::PciNotGranted => 19,
            Failure::Throttled { .. } => 20,
            Failure::Timeout => 21,
            Failure::Unavailable => 22,
        }
    }

    #[test]
    fn every_failure_of_the_code_has_its_status_in_the_document() {
        assert!(every().iter().map(place).eq(0..every().len()));
        let document = document();
        let responses = |path: &str, method: &str| {
            document["paths"][path][method]["responses"].as_object().unwrap().clone()
        };
        let queue = responses("/api/apps/{application_id}/{deployment_id}/queue", "post");
        let known: Vec<&str> = queue.keys().map(String::as_str).collect();
        let wanted = ["200", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429"];
        assert_eq!(known, [&wanted[..], &["500", "503"]].concat());
        let status = responses("/api/outbound/{call_id}", "get");
        let known: Vec<&str> = status.keys().map(String::as_str).collect();
        assert_eq!(known, ["200", "401", "403", "404", "429", "500", "503"]);
    }

    #[test]
    fn call_is_told_with_the_members_that_the_document_has() {
        let told = crate::fuse::callback::CallDetails {
            max_attempts: String::new(),
            attempts: String::new(),
            events: Vec::new(),
            phone_number: String::new(),
            status: "queued",
            queued_timestamp: String::new(),
            start_timestamp: String::new(),
            end_timestamp: String::new(),
            reattempt_wait: String::new(),
            duration: 0,
        };
        let told = serde_json::to_value(told).unwrap();
        let schema = details();
        let mut members: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(json!(members), schema["required"]);
        assert!(members.iter().all(|member| schema["properties"].get(*member).is_some()));
    }
}
