//! The OpenAPI 3.1 document of Aculab Cloud's web services: what they take, and every answer.

use domain::contact::TEXT_MAX;
use domain::outcome::Outcome;
use serde_json::{Map, Value, json};

use super::request::{CALLS_MAX, IDS_MAX};
use super::service::{self, NAME_MAX};
use super::words;
use crate::contract::{
    self, MULTIPART, Operation, URLENCODED, content, form, parameter, schema, text,
};

/// Its tag, and what its operations are named with.
const TAG: &str = "aculab";
/// Who manages services: `cloud/login` with an API key.
const USER: &str = "aculab_user";
/// Who starts one: `cloud/login/service` with the service's own password.
const SERVICE: &str = "aculab_service";
/// Media type of all answers.
const JSON: [&str; 1] = ["application/json"];
const ABOUT: &str = "Outbound services of clients that were written for Aculab Cloud, as \
    docs/api/aculab.md tells it.";

/// The document.
pub fn document() -> Value {
    let paths: Map<String, Value> = [
        ("/service/v1/outbound", json!({ "get": list() })),
        ("/service/v1/outbound/{name}", on_service()),
        ("/service/v1/schema/outbound", json!({ "get": described() })),
        ("/service_start", start()),
        ("/service_status", by_ids("service_status", INVOCATIONS, STATUS, "AculabStatuses")),
        ("/service_cancel", by_ids("service_cancel", INVOCATIONS, CANCEL, "AculabResults")),
        (
            "/application_status",
            by_ids("application_status", APPLICATIONS, STATUS, "AculabStatuses"),
        ),
        ("/rest_interrupt", by_ids("rest_interrupt", APPLICATIONS, INTERRUPT, "AculabResults")),
    ]
    .into_iter()
    .map(|(path, item)| (path.to_owned(), item))
    .collect();
    let basic = |about: &str| json!({"type": "http", "scheme": "basic", "description": about});
    contract::document(
        ("Outdial for clients of Aculab Cloud", TAG, ABOUT),
        &json!({
            USER: basic("The user is `cloud/login`, the password an API key of the account."),
            SERVICE: basic("The user is `cloud/login/service`, the password the service's own.")
        }),
        &Value::Object(paths),
        &schemas(),
    )
}

const INVOCATIONS: &str = "invocation_ids";
const APPLICATIONS: &str = "application_instance_ids";
const STATUS: &str = "Tells where each stands.";
const CANCEL: &str = "Ends each, waiting or answered.";
const INTERRUPT: &str = "Stops what each does; it goes on with another page, or ends.";

fn list() -> Value {
    Operation::new(TAG, "aculab_services", "Names the services.", Some(USER))
        .answers(200, contract::answer("Their names.", &JSON, "AculabNames"))
        .fails(failures(&ALWAYS), &errors())
        .done()
}

fn described() -> Value {
    let summary = "Describes a configuration by its JSON schema.";
    let response = json!({"description": "The schema.",
        "content": {"application/json": {"schema": {"type": "object"}}}});
    Operation::new(TAG, "aculab_service_schema", summary, Some(USER))
        .answers(200, response)
        .fails(failures(&ALWAYS), &errors())
        .done()
}

fn on_service() -> Value {
    let operation = |id: &str, summary: &str| {
        let named = json!({"type": "string", "minLength": 1, "maxLength": NAME_MAX,
            "pattern": "^[A-Za-z0-9_. -]+$", "example": "reminders"});
        Operation::new(TAG, id, summary, Some(USER)).parameters([parameter(
            "path",
            "name",
            "Name of the service.",
            &named,
        )])
    };
    let body = |name: &str| {
        let example = json!({"service_password": "correct horse",
            "rest": {"first_page": {"address": "https://app.example/first"}}});
        form(&JSON, name, &example)
    };
    let told = |what: &str| contract::answer(what, &JSON, "AculabService");
    let unknown = [404];
    let written = [400, 408, 409, 413, 415];
    json!({
        "get": operation("aculab_read_service", "Shows a service.")
            .answers(200, told("Its configuration, without its password."))
            .fails(failures(&ALWAYS), &errors())
            .fails(failures(&unknown), &errors())
            .done(),
        "put": operation("aculab_write_service", "Writes a service.")
            .about("What is left out has its default; the password that there is stays.")
            .body(&body("AculabServiceRequest"))
            .answers(200, told("It was there before, and is as given now."))
            .answers(201, told("It is new."))
            .fails(failures(&ALWAYS), &errors())
            .fails(failures(&written), &errors())
            .done(),
        "patch": operation("aculab_modify_service", "Changes a part of a service.")
            .body(&body("AculabServicePart"))
            .answers(200, told("As it is now."))
            .fails(failures(&ALWAYS), &errors())
            .fails(failures(&unknown), &errors())
            .fails(failures(&written), &errors())
            .done(),
        "delete": operation("aculab_delete_service", "Deletes a service.")
            .about("What waits for it is canceled.")
            .answers(204, json!({"description": "It is gone."}))
            .fails(failures(&ALWAYS), &errors())
            .fails(failures(&unknown), &errors())
            .done()
    })
}

fn start() -> Value {
    let calls = "[{\"to\":\"15550100\",\"from\":\"15550199\",\"token\":\"order 7\"}]";
    let rest_calls = json!({"type": "string", "contentMediaType": "application/json",
        "contentSchema": schema("AculabCalls"), "example": calls,
        "description": "JSON: a call, or a list of calls."});
    let older = json!({"type": "string", "contentMediaType": "application/json",
        "description": "The older name of rest_calls."});
    let fields = [("rest_calls", rest_calls), ("outbound_parameters", older)];
    asked(
        ("service_start", "Makes calls, all or none of them.", SERVICE),
        &fields,
        &json!({ "rest_calls": calls }),
        &contract::answer("The invocation ids, in the order of the calls.", &JSON, "AculabIds"),
    )
}

fn by_ids(id: &str, name: &str, summary: &str, told: &str) -> Value {
    let about = format!("1 to {IDS_MAX} ids, delimited by `/`.");
    let mut fields = vec![(
        name,
        json!({"type": "string", "example": "112850593/112850594", "description": about}),
    )];
    if summary == INTERRUPT {
        fields.push(("redirect_page", text(2_000, "The page that it goes on with.")));
        let methods = json!({"type": "string", "enum": ["GET", "POST"]});
        fields.push(("redirect_method", methods));
    }
    asked(
        (id, summary, USER),
        &fields,
        &json!({ name: "112850593/112850594" }),
        &contract::answer("One member for each id.", &JSON, told),
    )
}

/// An address that takes its fields in the query, and by POST in a form as well.
fn asked(
    (id, summary, security): (&str, &str, &str),
    fields: &[(&str, Value)],
    example: &Value,
    told: &Value,
) -> Value {
    let parameters = fields.iter().map(|(name, schema)| {
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let about = about.as_ref().and_then(Value::as_str).unwrap_or_default();
        parameter("query", name, about, &schema)
    });
    let get = Operation::new(TAG, &format!("aculab_{id}"), summary, Some(security))
        .parameters(parameters)
        .answers(200, told.clone())
        .fails(failures(&ALWAYS), &errors())
        .fails(failures(&[400]), &errors());
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let form_schema = json!({"type": "object", "properties": properties});
    let media = json!({"schema": form_schema, "example": example});
    let body = json!({"content": {URLENCODED: media, MULTIPART: media}});
    let post = Operation::new(TAG, &format!("aculab_{id}_by_post"), summary, Some(security))
        .about("Fields may stand in the query as well.")
        .body(&body)
        .answers(200, told.clone())
        .fails(failures(&ALWAYS), &errors())
        .fails(failures(&[400, 408, 413, 415]), &errors());
    json!({ "get": get.done(), "post": post.done() })
}

/// Statuses that every request may meet.
const ALWAYS: [u16; 4] = [401, 429, 500, 503];

fn failures(statuses: &[u16]) -> impl Iterator<Item = (u16, String)> {
    statuses.iter().map(|status| {
        let sentence = match status {
            400 => "What is given is wrong; `details` names each mistake where there are several.",
            401 => "User or password is wrong.",
            404 => "There is no service of this name.",
            408 => "The body did not come in time.",
            409 => "The account has as many services as it may have.",
            413 => "The body is too large.",
            415 => "The body is of another kind.",
            429 => "User or password was wrong too often.",
            503 => "The server is busy, shutting down, or without its store.",
            _ => "A defect of the server.",
        };
        (*status, sentence.to_owned())
    })
}

fn errors() -> Value {
    content(&JSON, "AculabError")
}

fn schemas() -> Value {
    let id = json!({"type": "string", "pattern": "^[0-9]+$"});
    let by_id = |name: &str| json!({"type": "object", "additionalProperties": schema(name)});
    let result = json!({"type": "object", "required": ["result"],
        "properties": {"result": {"type": "string", "examples": ["canceled"]}}});
    let mut request = service::schema();
    let part = without(&mut request, "$schema");
    let mut shown = part.clone();
    without(&mut shown["properties"], "service_password");
    shown["required"] = json!(["outbound_call_type", "rest"]);
    let mut whole = part.clone();
    whole["required"] = json!(["rest"]);
    whole["properties"]["rest"]["required"] = json!(["first_page"]);
    whole["properties"]["rest"]["properties"]["first_page"]["required"] = json!(["address"]);
    json!({
        "AculabNames": {"type": "array", "items": {"type": "string"}},
        "AculabIds": {"type": "array", "items": id},
        "AculabService": shown,
        "AculabServicePart": part,
        "AculabServiceRequest": whole,
        "AculabCalls": {"anyOf": [schema("AculabCall"),
            {"type": "array", "minItems": 1, "maxItems": CALLS_MAX, "items": schema("AculabCall")}]},
        "AculabCall": {"type": "object", "required": ["to"], "properties": {
            "to": {"type": "string", "description": "A full international number, with or without \
                `tel:` and `+`, or a SIP address at the host of a trunk; of a service that calls \
                conferences, `con:` and a name."},
            "from": {"type": "string", "description": "The number to show; it may be left out in \
                a call to a conference."},
            "token": text(TEXT_MAX, "Your own text, told to every page."),
            "outbound_parameters": {"type": ["string", "object", "array", "number", "boolean"],
                "description": "Yours as well; what is no text is kept as its JSON."}
        }},
        "AculabStatuses": by_id("AculabStatus"),
        "AculabResults": by_id("AculabResult"),
        "AculabResult": result,
        "AculabStatus": {"anyOf": [status(), schema("AculabResult")]},
        "AculabError": error()
    })
}

/// Where an invocation stands.
fn status() -> Value {
    let mut causes: Vec<&str> =
        Outcome::ALL.into_iter().map(|outcome| words::call_cause(outcome, false)).collect();
    causes.sort_unstable();
    causes.dedup();
    json!({"type": "object", "required": ["state", "token"], "properties": {
        "state": {"type": "string", "enum": ["completed", "queued", "running"]},
        "token": {"type": "string"},
        "call_cause": {"type": "string", "enum": causes},
        "call_raw_cause": {"type": "string", "pattern": "^(-1|[0-9]{3})$",
            "description": "The SIP status, or -1."}
    }})
}

fn error() -> Value {
    let datetime = json!({"type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}:[0-9]{2}:[0-9]{2}$",
        "examples": ["2021-01-15_08:56:24"]});
    json!({"type": "object", "required": ["error", "request"], "properties": {
        "error": {"type": "object", "required": ["code", "datetime", "link", "text"],
            "properties": {
                "code": {"type": "string", "examples": ["HTTP 400"]},
                "text": {"type": "string"},
                "details": {"type": "array", "items": {"type": "string"}},
                "datetime": datetime,
                "link": {"type": "string"}
            }},
        "request": {"type": "object", "required": ["datetime", "url"],
            "properties": {"url": {"type": "string"}, "datetime": datetime}}
    }})
}

/// Takes a member away; what remains.
fn without(object: &mut Value, name: &str) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
    object.clone()
}
