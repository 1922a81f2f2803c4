//! Every route of every facade.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::{Shared, error, native, plum, speak, status};

/// The whole API.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        // Plum DEV Outbound, as hosted and as on premises: docs/api/plum.md.
        .route("/webservice/queuecall.php", post(plum::queue_call))
        .route("/webservice/queuecalls.php", post(plum::queue_calls))
        .route("/outbound/webservice/queuecall.php", post(plum::queue_call))
        .route("/outbound/webservice/queuecalls.php", post(plum::queue_calls))
        // Our own: docs/api/native.md.
        .route("/v1/calls", get(native::list_calls).post(native::create_call))
        .route("/v1/calls/{id}", get(native::read_call).delete(native::cancel_call))
        .route("/v1/calls/{id}/cancel", post(native::cancel_call))
        .route("/v1/campaigns", get(native::list_campaigns).post(native::create_campaign))
        .route("/v1/campaigns/{id}", get(native::read_campaign))
        .route("/v1/campaigns/{id}/start", post(native::start_campaign))
        .route("/v1/campaigns/{id}/stop", post(native::stop_campaign))
        // For operators and tools, without a key: docs/api/native.md.
        .route("/errors", get(status::problems))
        .route("/errors/{code}", get(status::problem))
        .route("/healthz", get(status::health))
        .route("/metrics", get(status::figures))
        .route("/openapi.json", get(status::openapi))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn_with_state(Shared::clone(&shared), speak::speak))
        .with_state(shared)
}
