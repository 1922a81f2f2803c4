//! Deployments of our own API: `/v1/deployments`. docs/api/native.md.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::application;
use domain::ids::{AccountId, DeploymentId};
use engine::control::DeployError;
use facade::native::answer::Part;
use facade::native::deployment::{Deployment, DeploymentList, parse_new, parse_update};
use facade::native::request::ListOf;
use http::{Method, StatusCode};
use store::Answer;

use crate::error::Fault;
use crate::idempotency::{self, Begin, Fingerprint, Key};
use crate::native::{Caller, Id, JsonBody, list_query};
use crate::{Parts, Shared};

/// Creates a deployment: a script under numbers, with a campaign of its own.
#[utoipa::path(post, path = "/v1/deployments", operation_id = "create_deployment", tag = "deployments",
    request_body = facade::native::deployment::DeploymentRequest,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Your name for the request, in quotes: it is done once.")),
    responses(
        (status = 201, description = "The deployment was created.", body = Deployment,
            headers(("Location" = String, description = "Address of the deployment."))),
        (status = 409, description = "A number is taken, or a request with this key is under way.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn create(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, "/v1/deployments").json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let new = parse_new(&body).map_err(|refusals| Fault::refused(Part::Body, refusals))?;
    let met = shared.control.create_deployment(account, new, claim.once(), created).await?;
    Ok(idempotency::met(&shared, met.map(|deployment| created(&deployment)))?)
}

fn created(deployment: &application::Deployment) -> Answer {
    let location = format!("/v1/deployments/{}", deployment.id);
    idempotency::created(&Deployment::new(deployment), Some(location))
}

/// Lists deployments, newest first; deleted ones are not among them.
#[utoipa::path(get, path = "/v1/deployments", operation_id = "list_deployments", tag = "deployments",
    params(
        ("after" = Option<String>, Query, description = "Where the page begins: taken from `next`."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200,
            description = "Most deployments in the page. Default: 50.")),
    responses((status = 200, description = "A page of the list.", body = DeploymentList)))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<DeploymentList>, Fault> {
    let (query, after) = list_query(query.as_deref(), ListOf::Campaigns)?;
    let page = shared.control.reader().deployments(account, after, query.limit).await?;
    let next =
        page.next.map(|next| format!("/v1/deployments?{}", query.following(&next.to_string())));
    Ok(Json(DeploymentList { data: page.items.iter().map(Deployment::new).collect(), next }))
}

/// Shows a deployment.
#[utoipa::path(get, path = "/v1/deployments/{id}", operation_id = "read_deployment", tag = "deployments",
    params(("id" = String, Path, description = "Id of the deployment.")),
    responses((status = 200, description = "The deployment.", body = Deployment)))]
pub(crate) async fn read(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<DeploymentId>,
) -> Result<Json<Deployment>, Fault> {
    Ok(Json(Deployment::new(&deployment_of(&shared, account, id).await?)))
}

/// Gives a deployment another name and script; calls queued before keep theirs.
#[utoipa::path(put, path = "/v1/deployments/{id}", operation_id = "update_deployment", tag = "deployments",
    params(("id" = String, Path, description = "Id of the deployment.")),
    request_body = facade::native::deployment::DeploymentUpdate,
    responses((status = 200, description = "The deployment as it is now.", body = Deployment)))]
pub(crate) async fn update(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<DeploymentId>,
    JsonBody(body): JsonBody,
) -> Result<Json<Deployment>, Fault> {
    let (name, script) =
        parse_update(&body).map_err(|refusals| Fault::refused(Part::Body, refusals))?;
    let updated = shared.control.update_deployment(account, id, &name, &script).await?;
    updated.as_ref().map(Deployment::new).map(Json).ok_or_else(not_found)
}

/// Deletes a deployment, and cancels all that waits for it; its numbers are not used again.
#[utoipa::path(delete, path = "/v1/deployments/{id}", operation_id = "delete_deployment", tag = "deployments",
    params(("id" = String, Path, description = "Id of the deployment.")),
    responses((status = 204, description = "The deployment is deleted.")))]
pub(crate) async fn delete(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<DeploymentId>,
) -> Result<StatusCode, Fault> {
    let deployment = deployment_of(&shared, account, id).await?;
    match shared.control.delete_deployment(account, &deployment).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(not_found()),
    }
}

async fn deployment_of(
    shared: &Parts,
    account: AccountId,
    id: DeploymentId,
) -> Result<application::Deployment, Fault> {
    let found = shared.control.reader().deployment(id).await?;
    let own =
        |found: &application::Deployment| found.account == account && found.deleted_at.is_none();
    found.filter(own).ok_or_else(not_found)
}

fn not_found() -> Fault {
    Fault::not_found("deployment")
}

impl From<DeployError> for Fault {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Page(error) => error.into(),
            DeployError::Store(error) => error.into(),
        }
    }
}
