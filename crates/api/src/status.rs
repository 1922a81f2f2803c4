//! How the server is doing, and what it can be asked: without a key, for operators and tools.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use engine::health;
use facade::native::answer::{Health, TrunkHealth};
use facade::native::problem::{self, ProblemCode};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa::ToSchema;

use crate::error::{Fault, log_store};
use crate::{Shared, metrics};

/// Media type that Prometheus expects.
const FIGURES_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Media type of the pages on problems.
const PAGE_CONTENT_TYPE: &str = "text/markdown; charset=utf-8";

/// Says whether the server makes calls.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()),
    responses(
        (status = 200, description = "Calls are made.", body = Health),
        (status = 503, description = "No calls are made; `problems` says why.", body = Health)))]
pub(crate) async fn health(State(shared): State<Shared>) -> (StatusCode, Json<Health>) {
    let health = report(shared.control.health());
    let status = if health.dialing { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

/// Shows figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()),
    responses((status = 200, description = "Figures in Prometheus' text format.",
        body = String, content_type = "text/plain")))]
pub(crate) async fn figures(State(shared): State<Shared>) -> Response {
    metrics::observe_live_calls(shared.control.health().live_calls);
    match shared.control.reader().totals().await {
        Ok(totals) => metrics::observe_store(&totals),
        Err(error) => log_store(&error),
    }
    ([(CONTENT_TYPE, FIGURES_CONTENT_TYPE)], shared.figures.render()).into_response()
}

/// Shows this document: everything that the server is asked, each vendor's words under its tag.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", security(()),
    responses((status = 200, description = "This document.", body = serde_json::Value)))]
pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], crate::openapi::document()).into_response()
}

/// Shows the part of the document that one vendor's clients need, or the clients of our own API.
#[utoipa::path(get, path = "/openapi/{file}", tag = "operation", security(()),
    params(("file" = inline(DocumentFile), Path, description = "The facade, as a file of JSON.")),
    responses((status = 200, description = "A document.", body = serde_json::Value)))]
pub(crate) async fn openapi_of(Path(file): Path<String>) -> Result<Response, Fault> {
    let document = crate::openapi::document_of(&file);
    let document = document.ok_or_else(|| Fault::of_status(StatusCode::NOT_FOUND))?;
    Ok(([(CONTENT_TYPE, "application/json")], document).into_response())
}

/// The documents there are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its names are wanted, for the document")]
enum DocumentFile {
    #[schema(rename = "aculab.json")]
    Aculab,
    #[schema(rename = "fuse.json")]
    Fuse,
    #[schema(rename = "native.json")]
    Native,
    #[schema(rename = "plum.json")]
    Plum,
}

/// Explains all problems.
#[utoipa::path(get, path = "/errors", tag = "operation", security(()),
    responses((status = 200, description = "A page in Markdown.",
        body = String, content_type = "text/markdown")))]
pub(crate) async fn problems() -> Response {
    ([(CONTENT_TYPE, PAGE_CONTENT_TYPE)], problem::document()).into_response()
}

/// Explains a problem.
#[utoipa::path(get, path = "/errors/{code}", tag = "operation", security(()),
    params(("code" = ProblemCode, Path, description = "The code of a problem.")),
    responses((status = 200, description = "A page in Markdown.",
        body = String, content_type = "text/markdown")))]
pub(crate) async fn problem(Path(code): Path<String>) -> Result<Response, Fault> {
    let code = ProblemCode::from_name(&code);
    let code = code.ok_or_else(|| Fault::of_status(StatusCode::NOT_FOUND))?;
    Ok(([(CONTENT_TYPE, PAGE_CONTENT_TYPE)], code.section()).into_response())
}

/// What health checks are told.
fn report(health: health::Health) -> Health {
    let trunks: Vec<TrunkHealth> = health
        .trunks
        .into_iter()
        .map(|(name, trunk)| TrunkHealth {
            name,
            up: trunk.addresses_alive > 0 && trunk.registered != Some(false),
            addresses_alive: trunk.addresses_alive,
            addresses: trunk.addresses,
            busy: trunk.busy,
            slots: trunk.slots,
            registered: trunk.registered,
        })
        .collect();
    let mut problems = Vec::new();
    if health.draining {
        problems.push("server is shutting down".to_owned());
    }
    // Causes name files and programs: they are in the log, not in an answer to anybody.
    if health.store_error.is_some() {
        problems.push("store cannot be written".to_owned());
    }
    if !trunks.iter().any(|trunk| trunk.up) {
        problems.push("no trunk is up".to_owned());
    }
    let dialing = problems.is_empty();
    if health.speech_error.is_some() {
        problems.push("texts cannot be spoken".to_owned());
    }
    problems.extend(health.database);
    problems.extend(
        trunks
            .iter()
            .filter(|trunk| !trunk.up)
            .map(|trunk| format!("trunk {} is down", trunk.name)),
    );
    Health {
        dialing,
        problems,
        draining: health.draining,
        live_calls: health.live_calls,
        store: health.store_error.is_none(),
        speech: health.speech_error.is_none(),
        trunks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(alive: usize, registered: Option<bool>) -> health::TrunkHealth {
        let is_silent = alive == 0;
        let (addresses, busy, slots, addresses_alive) = (2, 1, 10, alive);
        health::TrunkHealth { addresses_alive, addresses, busy, slots, is_silent, registered }
    }

    fn health(trunks: &[(&str, health::TrunkHealth)]) -> health::Health {
        health::Health {
            draining: false,
            live_calls: 1,
            store_error: None,
            database: Vec::new(),
            speech_error: None,
            trunks: trunks.iter().map(|(name, trunk)| ((*name).into(), trunk.clone())).collect(),
        }
    }

    fn problems(health: health::Health) -> (bool, Vec<String>) {
        let report = report(health);
        (report.dialing, report.problems)
    }

    #[test]
    fn server_with_one_trunk_of_two_dials_and_says_which_is_down() {
        let found = problems(health(&[("a", trunk(1, None)), ("b", trunk(0, None))]));
        assert_eq!(found, (true, vec!["trunk b is down".into()]));
    }

    #[test]
    fn server_without_a_trunk_store_or_future_does_not_dial() {
        let none = problems(health(&[]));
        assert_eq!(none, (false, vec!["no trunk is up".into()]));
        let refused = problems(health(&[("a", trunk(2, Some(false)))]));
        assert!(!refused.0);
        let up = [("a", trunk(2, Some(true)))];
        let broken = health::Health { store_error: Some("disk full".into()), ..health(&up) };
        assert_eq!(problems(broken), (false, vec!["store cannot be written".into()]));
        let ending = health::Health { draining: true, ..health(&up) };
        assert_eq!(problems(ending), (false, vec!["server is shutting down".into()]));
    }

    #[test]
    fn server_that_cannot_speak_still_dials() {
        let up = [("a", trunk(2, None))];
        let mute = health::Health { speech_error: Some("no program".into()), ..health(&up) };
        assert_eq!(problems(mute), (true, vec!["texts cannot be spoken".into()]));
    }
}
