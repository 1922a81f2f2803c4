//! Webhook endpoints of our own API. docs/webhooks.md.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::ids::{AccountId, EndpointId};
use domain::webhook::{Endpoint, Topics};
use facade::native::problem::ProblemCode;
use facade::native::request::ListOf;
use facade::native::signature;
use facade::native::webhooks::{
    NewSecret, NewWebhook, ReplayRequest, ReplayWish, Replayed, RotateRequest, Told, Webhook,
    WebhookDelivery, WebhookDeliveryList, WebhookList, WebhookRequest, WebhookWishes,
};
use facade::zone::rfc_3339;
use http::{Method, StatusCode};
use serde_json::Value;
use store::{ENDPOINTS_MAX, EndpointChange, LoggedDelivery, NewEndpoint, Replay, Rotation};

use crate::error::Fault;
use crate::idempotency::{self, Begin, Fingerprint, Key};
use crate::native::{Caller, Id, JsonBody, in_body, list_query};
use crate::{Parts, Shared};

/// Creates a webhook endpoint; its secret is shown this once.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks",
    request_body = WebhookRequest,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Your name for the request, in quotes: it is done once.")),
    responses(
        (status = 201, description = "The endpoint was created.", body = NewWebhook,
            headers(("Location" = String, description = "Address of the endpoint."))),
        (status = 409, description = "There are as many as there may be, or a request with this \
            key is under way.", body = facade::native::answer::Problem)))]
pub(crate) async fn create_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, "/v1/webhooks").json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let wishes = WebhookWishes::parse_new(&body).map_err(in_body)?;
    let url = wishes.url.unwrap_or_default();
    shared.control.check_endpoint(&url)?;
    let new = NewEndpoint {
        account,
        url,
        description: wishes.description.unwrap_or_default(),
        topics: wishes.topics.unwrap_or_else(Topics::ends),
        enabled: wishes.enabled.unwrap_or(true),
        key: shared.control.new_key(),
    };
    let key = new.key.clone();
    let answer = move |endpoint: &Endpoint| {
        let location = format!("/v1/webhooks/{}", endpoint.id);
        idempotency::created(&NewWebhook::new(endpoint, &key), Some(location))
    };
    let created = shared.control.create_endpoint(new, claim.once(), answer.clone()).await?;
    let created = created.map(|endpoint| {
        let endpoint = endpoint.ok_or_else(|| {
            let detail = format!("an account has at most {ENDPOINTS_MAX} webhook endpoints");
            Fault::new(ProblemCode::LimitReached, detail)
        })?;
        Ok::<_, Fault>(answer(&endpoint))
    });
    Ok(idempotency::met(&shared, created.transpose()?)?)
}

/// Lists the webhook endpoints, oldest first.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks",
    responses((status = 200, description = "All of them.", body = WebhookList)))]
pub(crate) async fn list_webhooks(
    State(shared): State<Shared>,
    Caller(account): Caller,
) -> Result<Json<WebhookList>, Fault> {
    let mut data = Vec::new();
    for endpoint in shared.control.reader().endpoints(account).await? {
        data.push(shown(&shared, &endpoint).await?);
    }
    Ok(Json(WebhookList { data }))
}

/// Shows a webhook endpoint.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the endpoint.")),
    responses((status = 200, description = "The endpoint.", body = Webhook)))]
pub(crate) async fn read_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
) -> Result<Json<Webhook>, Fault> {
    Ok(Json(shown(&shared, &endpoint_of(&shared, account, id).await?).await?))
}

/// Changes a webhook endpoint: what is not named stays as it is.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "webhooks",
    request_body = WebhookRequest,
    params(("id" = String, Path, description = "Id of the endpoint.")),
    responses((status = 200, description = "The endpoint as it is now.", body = Webhook)))]
pub(crate) async fn change_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
    JsonBody(body): JsonBody,
) -> Result<Json<Webhook>, Fault> {
    let wishes = WebhookWishes::parse_change(&body).map_err(in_body)?;
    if let Some(url) = &wishes.url {
        shared.control.check_endpoint(url)?;
    }
    let WebhookWishes { url, topics, description, enabled } = wishes;
    let change = EndpointChange { url, description, topics, enabled };
    let changed = shared.control.change_endpoint(account, id, change).await?;
    Ok(Json(shown(&shared, &changed.ok_or_else(unknown)?).await?))
}

/// Deletes a webhook endpoint: it is told of nothing more.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the endpoint.")),
    responses((status = 204, description = "It is deleted.")))]
pub(crate) async fn delete_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
) -> Result<StatusCode, Fault> {
    let deleted = shared.control.delete_endpoint(account, id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// Gives a webhook endpoint a new secret, which is shown this once; the old one signs beside it for
/// a while.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate", tag = "webhooks",
    request_body = RotateRequest,
    params(
        ("id" = String, Path, description = "Id of the endpoint."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    responses((status = 201, description = "The new secret.", body = NewSecret)))]
pub(crate) async fn rotate_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let path = format!("/v1/webhooks/{id}/rotate");
    rotate(&shared, account, Some(id), key, &path, &body).await
}

/// Gives the result URLs of your calls a new secret, which is shown this once.
#[utoipa::path(post, path = "/v1/result_secret/rotate", tag = "webhooks",
    request_body = RotateRequest,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Your name for the request, in quotes: it is done once.")),
    responses((status = 201, description = "The new secret.", body = NewSecret)))]
pub(crate) async fn rotate_result_secret(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    rotate(&shared, account, None, key, "/v1/result_secret/rotate", &body).await
}

/// Tells a webhook endpoint a test, before all else that it is to be told.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks",
    params(
        ("id" = String, Path, description = "Id of the endpoint."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    responses((status = 202, description = "It will be told; the log shows what came of it.",
        body = Told)))]
pub(crate) async fn test_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
    Key(key): Key,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, &format!("/v1/webhooks/{id}/test"));
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let told = |webhook| {
        let message_id = signature::message_id(webhook);
        idempotency::done(StatusCode::ACCEPTED, &Told { message_id })
    };
    let tested = shared.control.test_endpoint(account, id, claim.once(), told).await?;
    let tested = tested.map(|webhook| webhook.map(told).ok_or_else(unknown)).transpose()?;
    Ok(idempotency::met(&shared, tested)?)
}

/// Tells a webhook endpoint again what it was told, one message or a span of time, under the same
/// ids.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", tag = "webhooks",
    request_body = ReplayRequest,
    params(
        ("id" = String, Path, description = "Id of the endpoint."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    responses((status = 202, description = "They will be told again.", body = Replayed)))]
pub(crate) async fn replay_webhook(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let path = format!("/v1/webhooks/{id}/replay");
    let print = Fingerprint::new(&Method::POST, &path).json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let which = match ReplayWish::parse(&body, shared.control.now()).map_err(in_body)? {
        ReplayWish::One(webhook) => Replay::One(webhook),
        ReplayWish::Range { since, until, delivered } => Replay::Range { since, until, delivered },
    };
    let replayed = shared.control.replay(account, id, which).await?;
    let store::Replayed { many, more } =
        replayed.ok_or_else(|| Fault::not_found("webhook endpoint or message"))?;
    let answer = idempotency::done(StatusCode::ACCEPTED, &Replayed { replayed: many, more });
    // In many transactions: one that was cut off is asked for again, under the same ids.
    let kept = idempotency::keep(&shared, claim.once(), answer).await?;
    Ok(idempotency::met(&shared, kept)?)
}

/// Shows what came of the deliveries to a webhook endpoint, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(
        ("id" = String, Path, description = "Id of the endpoint."),
        ("after" = Option<String>, Query, description = "Where the page begins: taken from `next`."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200,
            description = "Most deliveries in the page. Default: 50.")),
    responses((status = 200, description = "A page of the log.", body = WebhookDeliveryList)))]
pub(crate) async fn list_deliveries(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<EndpointId>,
    RawQuery(query): RawQuery,
) -> Result<Json<WebhookDeliveryList>, Fault> {
    let (query, after) = list_query(query.as_deref(), ListOf::Deliveries)?;
    endpoint_of(&shared, account, id).await?;
    let page = shared.control.reader().endpoint_deliveries(id, after, query.limit).await?;
    let address = |next: store::Cursor| {
        format!("/v1/webhooks/{id}/deliveries?{}", query.following(&next.to_string()))
    };
    let data = page.items.into_iter().map(delivery).collect();
    Ok(Json(WebhookDeliveryList { data, next: page.next.map(address) }))
}

async fn rotate(
    shared: &Parts,
    account: AccountId,
    of: Option<EndpointId>,
    key: Option<String>,
    path: &str,
    body: &Value,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, path).json(body);
    let claim = match idempotency::begin(shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let overlap: Duration = RotateRequest::parse(body).map_err(in_body)?;
    let (new, expires_at) = (shared.control.new_key(), shared.control.now() + overlap);
    let answer = idempotency::created(&NewSecret::new(&new, expires_at), None);
    let rotation = Rotation { account, of, new, expires_at };
    let rotated = shared.control.rotate_key(rotation, claim.once(), answer.clone()).await?;
    let rotated = rotated.map(|is_known| is_known.then_some(answer).ok_or_else(unknown));
    Ok(idempotency::met(shared, rotated.transpose()?)?)
}

async fn endpoint_of(
    shared: &Parts,
    account: AccountId,
    id: EndpointId,
) -> Result<Endpoint, Fault> {
    shared.control.reader().endpoint(account, id).await?.ok_or_else(unknown)
}

async fn shown(shared: &Parts, endpoint: &Endpoint) -> Result<Webhook, Fault> {
    let keys = shared.control.reader().signing_keys(endpoint.account, Some(endpoint.id)).await?;
    Ok(Webhook::new(endpoint, &keys))
}

fn delivery(logged: LoggedDelivery) -> WebhookDelivery {
    WebhookDelivery {
        id: logged.id.to_string(),
        message_id: signature::message_id(logged.webhook),
        kind: logged.topic.name(),
        call_id: logged.contact.map(|contact| contact.to_string()),
        at: rfc_3339(logged.at),
        accepted: logged.accepted,
        status: logged.status,
        latency_ms: u64::try_from(logged.latency.as_millis()).unwrap_or(u64::MAX),
        answer: logged.answer,
        detail: logged.detail,
        state: logged.state.name(),
        next_delivery_at: logged.next_at.map(rfc_3339),
    }
}

fn unknown() -> Fault {
    Fault::not_found("webhook endpoint")
}
