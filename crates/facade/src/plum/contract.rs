//! The OpenAPI 3.1 document of both scripts: what they take, and every answer by its status.

use domain::campaign::NAME_MAX;
use domain::contact::TEXT_MAX;
use serde_json::{Map, Value, json};

use super::answer::Failure;
use super::request::{
    LOGIN_MAX, PHONE_NUMBER_MAX, PIN_MAX, RETRIES_MAX, RETRY_INTERVAL_S, URL_MAX,
};
use crate::contract::{self, MULTIPART, Operation, URLENCODED, number, seconds, text};
use crate::list::ListError;
use crate::refusal::Mistake;

/// Its tag, and what its operations are named with.
const TAG: &str = "plum";
/// Media type of all answers.
const XML: [&str; 1] = ["text/xml"];
const ABOUT: &str = "Calls of clients that were written for Plum DEV Outbound, as docs/api/plum.md \
    tells it. Who asks is said by login and pin among the fields.";

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for (before, suffix) in [("", ""), ("/outbound", "_on_premises")] {
        let path = format!("{before}/webservice/queuecall.php");
        paths.insert(path, json!({ "post": queue_call(suffix) }));
        let path = format!("{before}/webservice/queuecalls.php");
        paths.insert(path, json!({ "post": queue_calls(suffix) }));
    }
    contract::document(
        ("Outdial for clients of Plum DEV Outbound", TAG, ABOUT),
        &json!({}),
        &Value::Object(paths),
        &schemas(),
    )
}

fn queue_call(suffix: &str) -> Value {
    let example = json!({
        "login": "ann", "pin": "98765432", "phone_number": "+12125550101;ani=8005550199",
        "start_url": "https://app.example/start", "message_reference": "order-4711"
    });
    let queued = "The call was queued, or the script refused it: `status` says which.";
    Operation::new(TAG, &format!("plum_queue_call{suffix}"), "Queues one call.", None)
        .about("Both addresses are asked by GET first, and must answer 200.")
        .parameters([contract::idempotency_key()])
        .body(&contract::form(&[URLENCODED, MULTIPART], "PlumQueueCallForm", &example))
        .answers(200, contract::answer(queued, &XML, "PlumQueueCall"))
        .fails(failures(), &contract::content(&XML, "PlumQueueCall"))
        .done()
}

fn queue_calls(suffix: &str) -> Value {
    let list = "+12125550101;ani=8005550199\torder-1\tname=Ann\n+12125550102\torder-2\tname=Bo\n";
    let example = json!({
        "login": "ann", "pin": "98765432", "campaign": "spring", "phone_list": list,
        "start_url": "https://app.example/start"
    });
    let queued = "The list was queued, or the script refused it: `status` says which. Each row has \
        its id, or what is wrong with it.";
    Operation::new(TAG, &format!("plum_queue_calls{suffix}"), "Queues a list of calls.", None)
        .about(
            "The file may have any of the list's names; any other one does if it is the only file.",
        )
        .parameters([contract::idempotency_key()])
        .body(&contract::form(&[MULTIPART], "PlumQueueCallsForm", &example))
        .answers(200, contract::answer(queued, &XML, "PlumQueueCalls"))
        .fails(failures(), &contract::content(&XML, "PlumQueueCalls"))
        .done()
}

/// What stops a request before its script, and its statuses.
fn failures() -> impl Iterator<Item = (u16, String)> {
    every()
        .into_iter()
        .filter(|failure| !matches!(failure, Failure::MethodNotAllowed { .. }))
        .map(|failure| (failure.status(), format!("`{}`, {failure}", failure.code())))
}

/// One of each failure.
fn every() -> [Failure; 17] {
    [
        Failure::BodyMalformed("…".to_owned()),
        Failure::BodyTooLarge { limit_bytes: 64 * 1_024 },
        Failure::Busy { retry_after_s: 2 },
        Failure::Credentials,
        Failure::Draining,
        Failure::Internal,
        Failure::KeyInUse,
        Failure::KeyMalformed,
        Failure::KeyReused,
        Failure::List(ListError::Utf16),
        Failure::ListEmpty,
        Failure::ListRejected { rejected: 2 },
        Failure::MediaType { found: "text/plain".to_owned(), expected: "a form" },
        Failure::MethodNotAllowed { found: "GET".to_owned() },
        Failure::Throttled { retry_after_s: 60 },
        Failure::Timeout,
        Failure::Unavailable,
    ]
}

fn schemas() -> Value {
    let list = "The list: one call in each row.";
    let file = json!({"type": "string", "contentMediaType": "text/plain", "description": list});
    let mut one = fields();
    one.insert("phone_number".into(), text(PHONE_NUMBER_MAX, "Number to dial."));
    one.insert("message_reference".into(), text(TEXT_MAX, "Your own id of the call."));
    one.insert("call_parameters".into(), text(TEXT_MAX, "Text for your page."));
    let mut many = fields();
    for name in ["campaign", "campaign_name"] {
        many.insert(name.into(), text(NAME_MAX, "Name of the campaign; needed, by either name."));
    }
    for name in ["contacts", "phone_list", "phone_number_list"] {
        many.insert(name.into(), file.clone());
    }
    json!({
        "PlumQueueCallForm": {"type": "object", "properties": one,
            "required": ["login", "pin", "phone_number", "start_url"]},
        "PlumQueueCallsForm": {"type": "object", "properties": many,
            "required": ["login", "pin", "start_url"]},
        "PlumQueueCall": answer("queuecall", &one, &json!({
            "call_id": attribute("Id of the call.")
        })),
        "PlumQueueCalls": answer("queuecalls", &many, &json!({
            "call": {"type": "array", "items": {"$ref": "#/components/schemas/PlumRow"}},
            "campaign_named": {"type": "string", "description": "The campaign.",
                "xml": {"attribute": true, "name": "campaign"}},
            "queued": attribute("How many rows were queued."),
            "rejected": attribute("How many rows were not.")
        })),
        "PlumError": {"type": "object", "xml": {"name": "error"},
            "description": "A mistake; its text says what was found and what would be right.",
            "required": ["code"],
            "properties": {"code": attribute(&codes()), "field": attribute("Which field.")}},
        "PlumRow": {"type": "object", "xml": {"name": "call"},
            "description": "A row of the list, in its order.",
            "required": ["message_reference", "phone_number"],
            "properties": {
                "call_id": attribute("Its id, where it was queued."),
                "error": {"type": "string", "description": "What is wrong with it."},
                "line": attribute("Where it stands, where it was not queued."),
                "message_reference": attribute("Your own id of the call."),
                "phone_number": attribute("The number.")
            }}
    })
}

/// What both take.
fn fields() -> Map<String, Value> {
    let (least, most) = RETRY_INTERVAL_S.into_inner();
    let switches = ["0", "1", "false", "no", "off", "on", "true", "yes"];
    let fields = json!({
        "login": text(LOGIN_MAX, "Login of the account."),
        "pin": text(PIN_MAX, "Its PIN."),
        "start_url": text(URL_MAX, "Page that runs the call, http or https."),
        "result_url": text(URL_MAX, "Page that is told the result, likewise."),
        "campaign_parameters": text(TEXT_MAX, "Text for your page, the same for all calls."),
        "max_retries": number(0, RETRIES_MAX, "Failed attempts tolerated before giving up."),
        "max_retry": number(0, RETRIES_MAX, "The same."),
        "retry_interval": number(least, most, "Seconds from an attempt's end to the next one."),
        "scheduled_timestamp": seconds("First permitted attempt; 0 or over: at once."),
        "scheduled_time": {"type": "string", "examples": ["now", "+3 days"],
            "description": "The same in words."},
        "expiration_timestamp": seconds("When to give up; 0: never."),
        "expiration_time": {"type": "string", "examples": ["tomorrow 9am"],
            "description": "The same in words."},
        "callee_type_detection": {"type": "string", "enum": switches,
            "description": "Whether it is found out who answers."}
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The document of a script: how it ended, and the fields as they came.
fn answer(root: &str, form: &Map<String, Value>, more: &Value) -> Value {
    let mut properties = json!({
        "status": {"type": "string", "enum": ["failed", "queued"], "xml": {"attribute": true}},
        "error_message": {"type": "string", "description": "All mistakes in one sentence."},
        "error": {"type": "array", "items": {"$ref": "#/components/schemas/PlumError"}}
    });
    let echoed = form.keys().filter(|name| *name != "pin" && !name.ends_with("_list"));
    for name in echoed.filter(|name| *name != "contacts") {
        properties[name] = json!({"type": "string", "description": "As it came."});
    }
    for (name, schema) in more.as_object().into_iter().flatten() {
        properties[name] = schema.clone();
    }
    json!({"type": "object", "xml": {"name": root}, "required": ["status"],
        "properties": properties})
}

fn attribute(description: &str) -> Value {
    json!({"type": "string", "description": description, "xml": {"attribute": true}})
}

/// All codes of mistakes.
fn codes() -> String {
    let fields = Mistake::ALL.iter().map(|mistake| mistake.name());
    let failures = every().map(|failure| failure.code());
    let codes: Vec<&str> = fields.chain(failures).collect();
    format!("What kind of mistake it is: {}.", codes.join(", "))
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
            Failure::Draining => 4,
            Failure::Internal => 5,
            Failure::KeyInUse => 6,
            Failure::KeyMalformed => 7,
            Failure::KeyReused => 8,
            Failure::List(_) => 9,
            Failure::ListEmpty => 10,
            Failure::ListRejected { .. } => 11,
            Failure::MediaType { .. } => 12,
            Failure::MethodNotAllowed { .. } => 13,
            Failure::Throttled { .. } => 14,
            Failure::Timeout => 15,
            Failure::Unavailable => 16,
        }
    }

    #[test]
    fn every_failure_of_the_code_has_its_status_in_the_document() {
        assert!(every().iter().map(place).eq(0..every().len()));
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (status, sentence) in failures() {
                let response = &item["post"]["responses"][status.to_string()];
                let told = response["description"].as_str();
                assert!(
                    told.is_some_and(|told| status == 200 || told.contains(&sentence)),
                    "{path}"
                );
            }
        }
    }
}
