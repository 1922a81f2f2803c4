//! What surrounds every request: its id, its time and place, and words for what went wrong.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use facade::fuse::answer::{Format, XML_CONTENT_TYPE};
use facade::native::answer::{PROBLEM_CONTENT_TYPE, Problem};
use facade::native::problem::ProblemCode;
use facade::plum::answer as plum;
use futures_util::FutureExt;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::timeout;

use crate::Shared;
use crate::error::Fault;
use crate::plum::{failure_of, script_at};

/// Longest work on a request: both of a client's URLs are asked in it, at up to 15 s each.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest work on a list, whose bytes may come slowly.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Header that names the request in answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a request went, for words and figures.
struct Place {
    method: Method,
    path: String,
    route: String,
    /// How Fuse's clients are answered, where it is an address of theirs.
    fuse: Option<Format>,
}

/// Surrounds a request; the outermost layer.
pub(crate) async fn speak(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let id = shared.ids.next();
    let started_at = shared.control.now();
    let matched = request.extensions().get::<MatchedPath>();
    let place = Place {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        fuse: crate::fuse::format_at(request.uri().path(), request.headers()),
        route: matched.map_or("none", MatchedPath::as_str).to_owned(),
    };
    let response = in_time(&shared, &place, request, next).await;
    let mut response = in_words(&shared, response, &place, &id);
    finish(&mut response, &id);
    let (status, took) = (response.status().as_u16(), shared.control.now().since(started_at));
    let method = known_method(&place.method);
    tracing::debug!(request.id = %id, status, took_ms = took.as_millis() as u64,
        "{method} {}", place.route);
    crate::metrics::observe_request(method, place.route, status, took.as_secs_f64());
    response
}

/// Runs the handler, within the limits of time and number; a panic ends the request alone.
async fn in_time(shared: &Shared, place: &Place, request: Request, next: Next) -> Response {
    // Who watches a busy server must still see it.
    let watching = matches!(place.route.as_str(), "/healthz" | "/metrics");
    let permit = shared.requests.try_acquire();
    if permit.is_err() && !watching {
        return Fault::busy().into_response();
    }
    let uploads = ["/queuecalls.php", "/bulk_queue", "/v1/imports", "/v1/lists/{list}/file"];
    let is_upload = uploads.iter().any(|upload| place.route.ends_with(upload));
    let time_max = if is_upload { UPLOAD_TIME_MAX } else { REQUEST_TIME_MAX };
    match timeout(time_max, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Fault::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
        Err(_) => Fault::busy().into_response(),
    }
}

/// Puts what went wrong into the words of the facade that was asked.
fn in_words(shared: &Shared, mut response: Response, place: &Place, id: &str) -> Response {
    let fault = response.extensions_mut().remove::<Fault>();
    let fault = match fault {
        Some(fault) => fault,
        None if is_in_words(&response) => return response,
        None => Fault::of_status(response.status()),
    };
    if fault.code == ProblemCode::Internal {
        tracing::error!(request.id = %id, "{} {} failed: {}", place.method, place.route, fault.detail);
    }
    let kept = [ALLOW, CONTENT_RANGE].map(|name| (response.headers_mut().remove(&name), name));
    let mut response = match (script_at(&place.path), place.fuse) {
        (Some(script), _) => crate::plum::document(script, &failure_of(&fault, &place.method)),
        (None, Some(format)) => {
            let failure = crate::fuse::failure_of(&fault, &place.method, &place.path);
            crate::fuse::failed(format, &failure)
        }
        (None, None) if crate::aculab::is_at(&place.path) => {
            crate::aculab::failed(shared, &place.path, &crate::aculab::failure_of(&fault))
        }
        (None, None) => problem(&fault, place, id),
    };
    let headers = response.headers_mut();
    for (value, name) in kept {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if let Some(seconds) = fault.retry_after_s {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Whether a response says itself what it has to say.
fn is_in_words(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    let ours = [plum::CONTENT_TYPE, XML_CONTENT_TYPE, "application/json", PROBLEM_CONTENT_TYPE];
    response.status().is_success()
        || content_type.is_some_and(|found| ours.iter().any(|ours| found == ours))
}

fn problem(fault: &Fault, place: &Place, id: &str) -> Response {
    let mut problem = Problem::new(fault.code, &fault.detail, &place.path, id);
    if let Some((part, refusals)) = &fault.mistakes {
        problem = problem.with_errors(*part, refusals);
    }
    let body = serde_json::to_string(&problem).expect("texts and numbers are always JSON");
    let mut response = ([(CONTENT_TYPE, PROBLEM_CONTENT_TYPE)], body).into_response();
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or_default();
    if fault.code == ProblemCode::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// What every answer carries.
fn finish(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    // Nothing here is a page: browsers are to show, run, keep and embed none of it.
    let fixed = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// A bounded set of methods: figures must not grow with what clients invent.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "other",
    }
}
