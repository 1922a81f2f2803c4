//! Schemas of merge patches, made of those of what they change (RFC 7396).

use serde_json::{Map, Value, json};
use utoipa::openapi::{Components, OpenApi as Document};

/// How deep objects lie in each other at most; a schema that is part of itself ends there.
const DEPTH_MAX: usize = 8;

/// Adds the schema of a merge patch: as that of `changed`, but every member may be left out, and
/// `null` gives it its default again. Lists are replaced whole, by entries that need not say what
/// has a default.
pub(super) fn add(document: &mut Document, changed: &str, name: &str) {
    let Some(components) = document.components.as_mut() else { return };
    let Some(whole) = schema(components, changed) else { return };
    let mut change = change(components, whole, DEPTH_MAX);
    change["description"] = json!(format!(
        "A change of it as a merge patch: what is left out stays, `null` gives a default again \
         (RFC 7396). {}",
        change["description"].as_str().unwrap_or_default(),
    ));
    let change = serde_json::from_value(change).expect("a schema of fewer demands is a schema");
    components.schemas.insert(name.to_owned(), change);
}

/// The schema that a reference leads to.
fn named(components: &Components, reference: &Value) -> Option<Value> {
    schema(components, reference["$ref"].as_str()?.rsplit('/').next()?)
}

fn schema(components: &Components, name: &str) -> Option<Value> {
    let schema = components.schemas.get(name)?;
    Some(serde_json::to_value(schema).expect("schemas can be written as JSON"))
}

/// The schema of an object's change.
fn change(components: &Components, mut whole: Value, depth: usize) -> Value {
    let Some(object) = whole.as_object_mut() else { return whole };
    object.remove("required");
    let members = object.get_mut("properties").and_then(Value::as_object_mut);
    for member in members.into_iter().flat_map(Map::values_mut) {
        *member = nullable(components, member.take(), depth - 1);
    }
    whole
}

/// A member that may be `null`; an object within is changed member by member.
fn nullable(components: &Components, mut member: Value, depth: usize) -> Value {
    if let Some(mut whole) = named(components, &member).filter(|_| depth > 0) {
        // What the member is for says more than what its kind is.
        whole["description"] = member["description"].take();
        return json!({ "anyOf": [change(components, whole, depth), { "type": "null" }] });
    }
    if let Some(entries) = member.get_mut("items") {
        *entries = entry(components, entries.take());
    }
    let kinds = match member.get("type") {
        Some(Value::String(kind)) => vec![json!(kind)],
        Some(Value::Array(kinds)) => kinds.clone(),
        // Whatever it may be, it may be nothing as well.
        _ => return json!({ "anyOf": [member, { "type": "null" }] }),
    };
    let others = kinds.into_iter().filter(|kind| kind != "null");
    member["type"] = others.chain([json!("null")]).collect();
    member
}

/// An entry of a list: what has a default may be left out or be `null`.
fn entry(components: &Components, entry: Value) -> Value {
    let Some(mut whole) = named(components, &entry) else { return entry };
    let Some(members) = whole["properties"].as_object_mut() else { return entry };
    let mut optional = Vec::new();
    for (name, member) in members.iter_mut().filter(|(_, member)| member.get("default").is_some()) {
        *member = nullable(components, member.take(), 0);
        optional.push(json!(name));
    }
    if let Some(required) = whole["required"].as_array_mut() {
        required.retain(|name| !optional.contains(name));
    }
    whole
}
