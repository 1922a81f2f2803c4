//! The parts of OpenAPI 3.1 that the vendors' documents are made of.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Media types of forms.
pub(crate) const URLENCODED: &str = "application/x-www-form-urlencoded";
/// The same, with files.
pub(crate) const MULTIPART: &str = "multipart/form-data";

/// A whole document: one facade, under one tag.
pub(crate) fn document(
    (title, tag, about): (&str, &str, &str),
    security_schemes: &Value,
    paths: &Value,
    schemas: &Value,
) -> Value {
    let mut components = json!({ "schemas": schemas });
    if security_schemes.as_object().is_some_and(|schemes| !schemes.is_empty()) {
        components["securitySchemes"] = security_schemes.clone();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": about,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": env!("CARGO_PKG_VERSION")
        },
        "paths": paths,
        "components": components,
        "tags": [{"name": tag, "description": about}]
    })
}

/// An operation with its name and what it does; the rest is added to it.
pub(crate) struct Operation(Value);

impl Operation {
    /// `security` names one scheme; `None`: nobody is asked who it is.
    pub(crate) fn new(tag: &str, id: &str, summary: &str, security: Option<&str>) -> Self {
        let security = match security {
            Some(scheme) => json!([{ scheme: [] }]),
            None => json!([{}]),
        };
        Self(json!({
            "tags": [tag], "summary": summary, "operationId": id, "security": security,
            "responses": {}
        }))
    }

    /// More than the summary says.
    #[must_use]
    pub(crate) fn about(mut self, description: &str) -> Self {
        self.0["description"] = json!(description);
        self
    }

    /// What stands in its address and in its head.
    #[must_use]
    pub(crate) fn parameters(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.0["parameters"] = parameters.into_iter().collect();
        self
    }

    /// What it takes.
    #[must_use]
    pub(crate) fn body(mut self, body: &Value) -> Self {
        self.0["requestBody"] = body.clone();
        self
    }

    /// An answer.
    #[must_use]
    pub(crate) fn answers(mut self, status: u16, response: Value) -> Self {
        self.0["responses"][status.to_string()] = response;
        self
    }

    /// Answers of requests that are not done, where there is no other one with their status: each
    /// with all that it can mean, in one of `contents`.
    #[must_use]
    pub(crate) fn fails(
        mut self,
        failures: impl IntoIterator<Item = (u16, String)>,
        content: &Value,
    ) -> Self {
        let mut sentences: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for (status, sentence) in failures {
            let told = sentences.entry(status).or_default();
            if !told.contains(&sentence) {
                told.push(sentence);
            }
        }
        for (status, told) in sentences {
            let mut response = json!({"description": told.join("; or: "), "content": content});
            if let Some((name, header)) = header_of(status) {
                response["headers"] = json!({ name: header });
            }
            if let Some(known) = self.0["responses"].as_object_mut() {
                known.entry(status.to_string()).or_insert(response);
            }
        }
        self
    }

    /// The operation.
    pub(crate) fn done(self) -> Value {
        self.0
    }
}

/// The header that goes with a status.
fn header_of(status: u16) -> Option<(&'static str, Value)> {
    match status {
        401 => Some((
            "WWW-Authenticate",
            json!({"schema": {"type": "string"}, "description": "How to say who you are."}),
        )),
        429 | 503 => Some((
            "Retry-After",
            json!({"schema": {"type": "integer", "minimum": 1},
                "description": "Seconds after which to try again."}),
        )),
        _ => None,
    }
}

/// The schema of this name.
pub(crate) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An answer with a body in one of these media types, of one schema.
pub(crate) fn answer(description: &str, media_types: &[&str], name: &str) -> Value {
    json!({"description": description, "content": content(media_types, name)})
}

/// A body of one schema in each of these media types.
pub(crate) fn content(media_types: &[&str], name: &str) -> Value {
    media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema(name) })))
        .collect::<Map<String, Value>>()
        .into()
}

/// A form of one schema, in each of these media types, with an example.
pub(crate) fn form(media_types: &[&str], name: &str, example: &Value) -> Value {
    let content: Map<String, Value> = media_types
        .iter()
        .map(|media_type| {
            let media = json!({"schema": schema(name), "example": example});
            ((*media_type).to_owned(), media)
        })
        .collect();
    json!({"required": true, "content": content})
}

/// A parameter; those of the path are always needed.
pub(crate) fn parameter(place: &str, name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "description": description,
        "schema": schema})
}

/// The client's name for a request.
pub(crate) fn idempotency_key() -> Value {
    let description = "Your name for the request, a text in quotes or a UUID: it is done once.";
    let quoted = "\"[ !#-\\[\\]-~]{1,255}\"";
    let uuid = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
    let schema = json!({"type": "string", "maxLength": 257,
        "pattern": format!("^({quoted}|{uuid})$"), "example": "\"order-4711\""});
    parameter("header", "Idempotency-Key", description, &schema)
}

/// A text of at most so many characters.
pub(crate) fn text(length_max: usize, description: &str) -> Value {
    json!({"type": "string", "maxLength": length_max, "description": description})
}

/// A whole number in a range.
pub(crate) fn number(least: u32, most: u32, description: &str) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most, "description": description})
}

/// A moment in seconds since 1970.
pub(crate) fn seconds(description: &str) -> Value {
    let before = crate::when::MOMENT_MAX.as_seconds() - 1;
    json!({"type": "integer", "minimum": 0, "maximum": before, "description": description})
}
