//! docs/api/openapi.json is what the server serves; `UPDATE_GOLDEN=1` rewrites it.

#[test]
fn document_in_the_repository_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, api::openapi()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), api::openapi());
}

#[test]
fn every_route_of_our_own_api_is_in_the_document() {
    let router = include_str!("../src/router.rs");
    let document: serde_json::Value = serde_json::from_str(&api::openapi()).unwrap();
    let routes = router.split('"').filter(|text| text.starts_with("/v1/"));
    for route in routes {
        assert!(document["paths"].get(route).is_some(), "{route}");
    }
}
