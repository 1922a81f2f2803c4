//! Every route of every facade.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use crate::{
    Shared, accounts, aculab, deployments, error, events, fuse, imports, list_files, native, plum,
    recordings, rules, speak, status, webhooks,
};

/// The whole API.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .merge(vendors())
        .merge(accounts())
        .merge(native())
        .merge(operation())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn_with_state(Shared::clone(&shared), speak::speak))
        .with_state(shared)
}

/// What clients of other systems ask.
fn vendors() -> Router<Shared> {
    Router::new()
        // Plum DEV Outbound, as hosted and as on premises: docs/api/plum.md.
        .route("/webservice/queuecall.php", post(plum::queue_call))
        .route("/webservice/queuecalls.php", post(plum::queue_calls))
        .route("/outbound/webservice/queuecall.php", post(plum::queue_call))
        .route("/outbound/webservice/queuecalls.php", post(plum::queue_calls))
        // Plum Fuse: docs/api/fuse.md.
        .route(
            "/api/apps/{application_id}/{deployment_id}/queue",
            post(fuse::queue).options(fuse::options_of_post),
        )
        .route(
            "/api/apps/{application_id}/{deployment_id}/bulk_queue",
            post(fuse::bulk_queue).options(fuse::options_of_post),
        )
        .route(
            "/api/apps/{application_id}/{deployment_id}/cancel",
            delete(fuse::cancel).options(fuse::options_of_delete),
        )
        .route("/api/outbound/{call_id}", get(fuse::status).options(fuse::options_of_get))
        // Aculab Cloud: docs/api/aculab.md.
        .route("/service/v1/outbound", get(aculab::list))
        .route(
            "/service/v1/outbound/{name}",
            get(aculab::service)
                .put(aculab::service)
                .patch(aculab::service)
                .delete(aculab::service),
        )
        .route("/service/v1/schema/outbound", get(aculab::schema))
        .route("/service_start", get(aculab::start).post(aculab::start))
        .route("/service_status", get(aculab::status).post(aculab::status))
        .route("/service_cancel", get(aculab::cancel).post(aculab::cancel))
        .route("/application_status", get(aculab::status).post(aculab::status))
        .route("/rest_interrupt", get(aculab::interrupt).post(aculab::interrupt))
}

/// Who may do how much: docs/api/native.md.
fn accounts() -> Router<Shared> {
    Router::new()
        .route("/v1/account", get(accounts::read_own))
        .route("/v1/account/caller-ids", get(accounts::list_own_caller_ids))
        .route("/v1/account/resume", post(accounts::resume_own))
        .route("/v1/account/suspend", post(accounts::suspend_own))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/accounts/{id}", get(accounts::read).patch(accounts::change))
        .route(
            "/v1/accounts/{id}/caller-ids",
            get(accounts::list_caller_ids).post(accounts::verify),
        )
        .route("/v1/accounts/{id}/caller-ids/{number}", delete(accounts::forget))
        .route("/v1/accounts/{id}/resume", post(accounts::resume))
        .route("/v1/accounts/{id}/suspend", post(accounts::suspend))
        .route("/v1/dialing", get(accounts::dialing))
        .route("/v1/dialing/resume", post(accounts::resume_dialing))
        .route("/v1/dialing/suspend", post(accounts::suspend_dialing))
}

/// Our own: docs/api/native.md.
fn native() -> Router<Shared> {
    Router::new()
        .route("/v1/calls", get(native::list_calls).post(native::create_call))
        .route("/v1/calls/{id}", get(native::read_call).delete(native::cancel_call))
        .route("/v1/calls/{id}/cancel", post(native::cancel_call))
        .route("/v1/calls/{id}/recording/pause", post(recordings::pause_recording))
        .route("/v1/calls/{id}/recording/resume", post(recordings::resume_recording))
        .route(
            "/v1/calls/{id}/recordings/{attempt}",
            get(recordings::read_recording).delete(recordings::delete_recording),
        )
        .route("/v1/campaigns", get(native::list_campaigns).post(native::create_campaign))
        .route("/v1/campaigns/{id}", get(native::read_campaign).patch(native::change_campaign))
        .route("/v1/calls/{id}/why", get(rules::why))
        .route("/v1/campaigns/{id}/calls", delete(rules::cancel_waiting))
        .route("/v1/campaigns/{id}/policy", get(rules::read_policy).patch(rules::change_policy))
        .route("/v1/contacts/{id}/why-not-now", get(rules::why_not_now))
        .route("/v1/lists", get(rules::lists).post(rules::create_list))
        .route("/v1/lists/{list}/file", post(list_files::add_file))
        .route("/v1/lists/{list}/numbers", get(rules::list_numbers).post(rules::add_numbers))
        .route(
            "/v1/lists/{list}/numbers/{number}",
            get(rules::check_number).delete(rules::remove_number),
        )
        .route("/v1/opt-outs", post(rules::opt_out))
        .route("/v1/campaigns/{id}/start", post(native::start_campaign))
        .route("/v1/campaigns/{id}/stop", post(native::stop_campaign))
        .route("/v1/deployments", get(deployments::list).post(deployments::create))
        .route(
            "/v1/deployments/{id}",
            get(deployments::read).put(deployments::update).delete(deployments::delete),
        )
        .route("/v1/events", get(events::list_events))
        .route("/v1/imports", get(imports::list_imports).post(imports::create_import))
        .route("/v1/imports/{id}", get(imports::read_import).delete(imports::discard_import))
        .route("/v1/imports/{id}/commit", post(imports::commit_import))
        .route("/v1/imports/{id}/rejected", get(imports::rejected_rows))
        .route("/v1/result_secret/rotate", post(webhooks::rotate_result_secret))
        .route("/v1/webhooks", get(webhooks::list_webhooks).post(webhooks::create_webhook))
        .route(
            "/v1/webhooks/{id}",
            get(webhooks::read_webhook)
                .patch(webhooks::change_webhook)
                .delete(webhooks::delete_webhook),
        )
        .route("/v1/webhooks/{id}/deliveries", get(webhooks::list_deliveries))
        .route("/v1/webhooks/{id}/replay", post(webhooks::replay_webhook))
        .route("/v1/webhooks/{id}/rotate", post(webhooks::rotate_webhook))
        .route("/v1/webhooks/{id}/test", post(webhooks::test_webhook))
}

/// For operators and tools, without a key: docs/api/native.md.
fn operation() -> Router<Shared> {
    Router::new()
        .route("/errors", get(status::problems))
        .route("/errors/{code}", get(status::problem))
        .route("/healthz", get(status::health))
        .route("/metrics", get(status::figures))
        .route("/openapi.json", get(status::openapi))
        .route("/openapi/{file}", get(status::openapi_of))
}
