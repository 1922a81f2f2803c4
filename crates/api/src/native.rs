//! Our own API under `/v1`. docs/api/native.md.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Extension, FromRequest, FromRequestParts, Path, RawQuery, Request, State};
use axum::response::Response;
use domain::campaign::CampaignCounts;
use domain::ids::{AccountId, CampaignId, ContactId};
use facade::native::answer::{
    Attempt, Call, CallDetail, CallList, Campaign, CampaignList, Delivery, Event, OwedResult, Part,
};
use facade::native::problem::ProblemCode;
use facade::native::request::{CampaignWishes, ListOf, ListQuery, NewCall, NewCampaign};
use facade::zone::rfc_3339;
use http::header::AUTHORIZATION;
use http::request::Parts as Head;
use http::{Method, StatusCode};
use serde_json::Value;
use store::{Answer, CampaignChange, Cancel, ContactFilter, Cursor, TakenIn, WebhookState};

use crate::body::{self, content_type, media_type};
use crate::error::Fault;
use crate::idempotency::{self, Begin, Fingerprint, Key};
use crate::server::Peer;
use crate::{Parts, Shared};

/// Largest JSON body, in bytes: a document of the greatest length, every letter escaped, does not
/// fit; one that is not all escapes does.
const JSON_BYTES_MAX: u64 = 1024 * 1024;

/// Makes a call. In a campaign of unique references a call with one that it has had is not made
/// again: the one that had it is answered.
#[utoipa::path(post, path = "/v1/calls", tag = "calls",
    request_body = facade::native::request::CallRequest,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Your name for the request, in quotes: it is done once.")),
    responses(
        (status = 200, description = "The campaign has had this reference: the call that has it.",
            body = Call,
            headers(("Location" = String, description = "Address of the call."))),
        (status = 201, description = "The call was taken in.", body = Call,
            headers(("Location" = String, description = "Address of the call."))),
        (status = 409, description = "A request with this key is under way.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn create_call(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, "/v1/calls").json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let call = NewCall::parse(&body, shared.control.now()).map_err(in_body)?;
    let rule = call.rule(account);
    let queued =
        shared.control.queue_contact_once(rule, call.contact, claim.once(), created_call).await?;
    Ok(idempotency::met(&shared, queued.map(|taken| created_call(&taken)))?)
}

fn created_call(taken: &TakenIn) -> Answer {
    let location = format!("/v1/calls/{}", taken.contact.id);
    let answer = idempotency::created(&Call::new(&taken.contact), Some(location));
    let status = if taken.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Answer { status: status.as_u16(), ..answer }
}

/// Lists calls, newest first.
#[utoipa::path(get, path = "/v1/calls", tag = "calls",
    params(
        ("after" = Option<String>, Query, description = "Where the page begins: taken from `next`."),
        ("campaign_id" = Option<i64>, Query, description = "Only calls of this campaign."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200,
            description = "Most calls in the page. Default: 50."),
        ("state" = Option<facade::native::words::CallState>, Query,
            description = "Only calls in this state.")),
    responses((status = 200, description = "A page of the list.", body = CallList)))]
pub(crate) async fn list_calls(
    State(shared): State<Shared>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<CallList>, Fault> {
    let (query, after) = list_query(query.as_deref(), ListOf::Calls)?;
    let state = query.state.map(Into::into);
    let filter = ContactFilter { campaign: query.campaign.map(CampaignId), state };
    let page = shared.control.reader().contacts(account, filter, after, query.limit).await?;
    let next = page.next.map(|next| format!("/v1/calls?{}", query.following(&next.to_string())));
    Ok(Json(CallList { data: page.items.iter().map(Call::new).collect(), next }))
}

/// Shows a call with its attempts, its events and the deliveries of its result.
#[utoipa::path(get, path = "/v1/calls/{id}", tag = "calls",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 200, description = "The call.", body = CallDetail)))]
pub(crate) async fn read_call(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ContactId>,
) -> Result<Json<CallDetail>, Fault> {
    let call = call_of(&shared, account, id).await?;
    let reader = shared.control.reader();
    let attempts = reader.attempts(id).await?.iter().map(Attempt::new).collect();
    let events = reader.events(id).await?.iter().map(Event::new).collect();
    Ok(Json(CallDetail { call, attempts, events, result: result_of(&shared, id).await? }))
}

/// Cancels a call: one that waits ends at once, one under way is hung up.
#[utoipa::path(post, path = "/v1/calls/{id}/cancel", tag = "calls",
    params(("id" = String, Path, description = "Id of the call.")),
    responses(
        (status = 200, description = "The call has ended as canceled.", body = Call),
        (status = 202, description = "The call is being hung up and will not be dialed again.",
            body = Call),
        (status = 409, description = "The call had ended before.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn cancel_call(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ContactId>,
) -> Result<(StatusCode, Json<Call>), Fault> {
    let status = match shared.control.cancel_contact(account, id).await? {
        Cancel::AlreadyDone => return Err(already_ended()),
        Cancel::Calling(_) => StatusCode::ACCEPTED,
        Cancel::Canceled => StatusCode::OK,
        Cancel::NotFound => return Err(Fault::not_found("call")),
    };
    Ok((status, Json(call_of(&shared, account, id).await?)))
}

/// Creates a campaign.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns",
    request_body = facade::native::request::CampaignRequest,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Your name for the request, in quotes: it is done once.")),
    responses(
        (status = 201, description = "The campaign was created.", body = Campaign,
            headers(("Location" = String, description = "Address of the campaign."))),
        (status = 409, description = "The name is taken, or a request with this key is under way.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn create_campaign(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, "/v1/campaigns").json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let NewCampaign { name, state, redial_in_doubt, unique_references } =
        NewCampaign::parse(&body).map_err(in_body)?;
    let new = store::NewCampaign { account, name, state, redial_in_doubt, unique_references };
    let created = shared.control.create_campaign_once(new, claim.once(), created_campaign).await?;
    Ok(idempotency::met(&shared, created.map(|campaign| created_campaign(&campaign)))?)
}

fn created_campaign(campaign: &domain::campaign::Campaign) -> Answer {
    let location = format!("/v1/campaigns/{}", campaign.id);
    idempotency::created(&Campaign::new(campaign, &CampaignCounts::default()), Some(location))
}

/// Lists campaigns, newest first.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns",
    params(
        ("after" = Option<String>, Query, description = "Where the page begins: taken from `next`."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200,
            description = "Most campaigns in the page. Default: 50.")),
    responses((status = 200, description = "A page of the list.", body = CampaignList)))]
pub(crate) async fn list_campaigns(
    State(shared): State<Shared>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<CampaignList>, Fault> {
    let (query, after) = list_query(query.as_deref(), ListOf::Campaigns)?;
    let page = shared.control.reader().campaigns(account, after, query.limit).await?;
    let next =
        page.next.map(|next| format!("/v1/campaigns?{}", query.following(&next.to_string())));
    let data = page.items.iter().map(|row| Campaign::new(&row.campaign, &row.counts)).collect();
    Ok(Json(CampaignList { data, next }))
}

/// Shows a campaign and how its calls stand.
#[utoipa::path(get, path = "/v1/campaigns/{id}", tag = "campaigns",
    params(("id" = String, Path, description = "Id of the campaign.")),
    responses((status = 200, description = "The campaign.", body = Campaign)))]
pub(crate) async fn read_campaign(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Fault> {
    Ok(Json(campaign_of(&shared, account, id).await?))
}

/// Changes a campaign, by a merge patch (RFC 7396): what is not named stays as it is.
#[utoipa::path(patch, path = "/v1/campaigns/{id}", tag = "campaigns",
    params(("id" = String, Path, description = "Id of the campaign.")),
    request_body = facade::native::request::CampaignUpdate,
    responses(
        (status = 200, description = "The campaign as it is now.", body = Campaign),
        (status = 409, description = "The name is taken.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn change_campaign(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
    JsonBody(body): JsonBody,
) -> Result<Json<Campaign>, Fault> {
    let CampaignWishes { name, state, redial_in_doubt, unique_references } =
        CampaignWishes::parse(&body).map_err(in_body)?;
    let change = CampaignChange { name, state, redial_in_doubt, unique_references };
    let changed = shared.control.change_campaign(account, id, change).await?;
    changed.ok_or_else(|| Fault::not_found("campaign"))?;
    Ok(Json(campaign_of(&shared, account, id).await?))
}

/// Starts a campaign: its calls are dialed from now on.
#[utoipa::path(post, path = "/v1/campaigns/{id}/start", tag = "campaigns",
    params(("id" = String, Path, description = "Id of the campaign.")),
    responses((status = 200, description = "The campaign runs.", body = Campaign)))]
pub(crate) async fn start_campaign(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Fault> {
    if !shared.control.start_campaign(account, id).await? {
        return Err(Fault::not_found("campaign"));
    }
    Ok(Json(campaign_of(&shared, account, id).await?))
}

/// Stops a campaign: its calls stay waiting; those under way go on.
#[utoipa::path(post, path = "/v1/campaigns/{id}/stop", tag = "campaigns",
    params(("id" = String, Path, description = "Id of the campaign.")),
    responses((status = 200, description = "The campaign is stopped.", body = Campaign)))]
pub(crate) async fn stop_campaign(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Fault> {
    if !shared.control.stop_campaign(account, id).await? {
        return Err(Fault::not_found("campaign"));
    }
    Ok(Json(campaign_of(&shared, account, id).await?))
}

async fn call_of(shared: &Parts, account: AccountId, id: ContactId) -> Result<Call, Fault> {
    let contact = shared.control.reader().contact(account, id).await?;
    contact.as_ref().map(Call::new).ok_or_else(|| Fault::not_found("call"))
}

async fn campaign_of(
    shared: &Parts,
    account: AccountId,
    id: CampaignId,
) -> Result<Campaign, Fault> {
    let row = shared.control.reader().campaign(account, id).await?;
    let row = row.ok_or_else(|| Fault::not_found("campaign"))?;
    Ok(Campaign::new(&row.campaign, &row.counts))
}

async fn result_of(shared: &Parts, id: ContactId) -> Result<Option<OwedResult>, Fault> {
    let reader = shared.control.reader();
    let Some(webhook) = reader.webhook(id).await? else {
        return Ok(None);
    };
    let deliveries = reader.deliveries(id).await?.into_iter().map(|delivery| Delivery {
        at: rfc_3339(delivery.at),
        accepted: delivery.accepted,
        status: delivery.status,
        detail: delivery.detail,
    });
    let is_owed = webhook.state == WebhookState::Owed;
    Ok(Some(OwedResult {
        url: webhook.url,
        state: webhook.state.name(),
        owed_since: rfc_3339(webhook.owed_since),
        next_delivery_at: is_owed.then(|| rfc_3339(webhook.next_at)),
        deliveries: deliveries.collect(),
    }))
}

pub(crate) fn list_query(
    query: Option<&str>,
    list: ListOf,
) -> Result<(ListQuery, Option<Cursor>), Fault> {
    let refused = |refusals| Fault::refused(Part::Query, refusals);
    let query = ListQuery::parse(query.unwrap_or_default(), list).map_err(refused)?;
    let after = match &query.after {
        None => None,
        Some(after) => {
            Some(after.parse().map_err(|_| refused(vec![ListQuery::unknown_after(after)]))?)
        }
    };
    Ok((query, after))
}

pub(crate) fn in_body(refusals: Vec<facade::refusal::Refusal>) -> Fault {
    Fault::refused(Part::Body, refusals)
}

fn already_ended() -> Fault {
    Fault::new(ProblemCode::AlreadyEnded, "the call has ended already, nothing was changed")
}

/// The account whose key a request carries.
pub(crate) struct Caller(pub(crate) AccountId);

impl FromRequestParts<Shared> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Head, shared: &Shared) -> Result<Self, Fault> {
        let Ok(Extension(peer)) = Extension::<Peer>::from_request_parts(head, shared).await else {
            return Err(Fault::of_status(StatusCode::INTERNAL_SERVER_ERROR));
        };
        let key = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(Self(shared.gate.by_key(&shared.control, key, peer.ip()).await?))
    }
}

/// The id in an address; what is no id exists as little as one that nobody has.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<Shared> for Id<T> {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Head, shared: &Shared) -> Result<Self, Fault> {
        let text = Path::<String>::from_request_parts(head, shared).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| Fault::not_found("what this address names"))
    }
}

/// A JSON body.
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest<Shared> for JsonBody {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Fault> {
        let (head, body) = request.into_parts();
        let found = media_type(content_type(&head.headers));
        if found != "application/json" {
            let detail = format!("found {found:?}, expected application/json");
            return Err(Fault::new(ProblemCode::MediaType, detail));
        }
        let bytes = body::read(&head.headers, body, JSON_BYTES_MAX).await?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let value = serde_json::from_slice(bytes);
        value.map(Self).map_err(|error| Fault::new(ProblemCode::BodyMalformed, error.to_string()))
    }
}
