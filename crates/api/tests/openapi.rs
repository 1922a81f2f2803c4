//! docs/api/openapi.json is what the server serves, and tells of every route and of nothing else.
//!
//! `UPDATE_GOLDEN=1` rewrites it.

use std::collections::BTreeSet;

use serde_json::Value;

/// The methods that routes and operations are named with.
const METHODS: [&str; 6] = ["delete", "get", "options", "patch", "post", "put"];

#[test]
fn document_in_the_repository_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, api::openapi()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), api::openapi());
}

/// `METHOD path` of every route, as the router's own text has it.
fn routes() -> BTreeSet<String> {
    let router = include_str!("../src/router.rs");
    let mut found = BTreeSet::new();
    for route in router.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        let route = route.split(".merge(").next().unwrap();
        let route = route.split("\n}").next().unwrap();
        for method in METHODS {
            let is_named = |(at, _): (usize, &str)| {
                !route[..at].ends_with(|sign: char| sign.is_alphanumeric() || sign == '_')
            };
            if route.match_indices(&format!("{method}(")).any(is_named) {
                found.insert(format!("{method} {path}"));
            }
        }
    }
    found
}

#[test]
fn every_route_is_an_operation_of_the_document_and_every_operation_is_a_route() {
    let document: Value = serde_json::from_str(api::openapi()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().filter(|name| METHODS.contains(&&***name));
        operations.extend(methods.map(|method| format!("{method} {path}")));
    }
    assert!(routes().len() > 90, "{}", routes().len());
    assert_eq!(routes(), operations);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_what_it_refers_to_exists() {
    let text = api::openapi();
    let document: Value = serde_json::from_str(text).unwrap();
    let mut names = BTreeSet::new();
    let items = document["paths"].as_object().unwrap().values();
    for operation in items.flat_map(|item| item.as_object().unwrap().values()) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name}");
        for scheme in operation["security"].as_array().into_iter().flatten() {
            for scheme in scheme.as_object().unwrap().keys() {
                let known = &document["components"]["securitySchemes"];
                assert!(known.get(scheme).is_some(), "{name}: {scheme}");
            }
        }
    }
    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
