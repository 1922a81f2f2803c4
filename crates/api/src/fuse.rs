//! Plum Fuse: calls of a deployment are queued, told of and canceled. docs/api/fuse.md.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::application::Deployment;
use domain::ids::{AccountId, ContactId, DeploymentId};
use engine::control::QueueError;
use facade::fuse::answer::{self, Failure, Format};
use facade::fuse::callback::CallDetails;
use facade::fuse::request::{Order, Queue};
use facade::native::problem::ProblemCode;
use facade::plum::answer::Failure as FormFailure;
use facade::refusal::Refusal;
use http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use store::{Answer, AnswerId, StoreError, TakenIn};
use tokio::time::timeout;

use crate::auth::Denied;
use crate::error::{BUSY_RETRY_S, Fault};
use crate::idempotency::{self, Begin, KeyFault};
use crate::plum::{FORM_BYTES_MAX, Refused};
use crate::server::Peer;
use crate::upload::{self, FUSE_LIST, FuseList, SpooledAnswer, UploadedList};
use crate::{Parts, Shared};

/// How long a cancel is waited for before the client is told that it is under way.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(20);
/// How often a call that moves on while it is read is read anew; none moves on that often at once.
const READS_MAX: u32 = 3;

type Numbers = Path<(String, String)>;

/// Why a request was not done.
struct Stopped(Failure);

/// `POST /api/apps/{application_id}/{deployment_id}/queue`.
pub(crate) async fn queue(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(numbers): Numbers,
    request: Request,
) -> Response {
    let format = format_of(request.headers());
    match queue_one(&shared, peer.ip(), &numbers, request, format).await {
        Ok(mut response) => {
            // Kept as an address, told as a link.
            if let Some(link) = response.headers_mut().remove(LOCATION) {
                response.headers_mut().insert(LINK, link);
            }
            response
        }
        Err(Stopped(failure)) => failed(format, &failure),
    }
}

/// `POST /api/apps/{application_id}/{deployment_id}/bulk_queue`.
pub(crate) async fn bulk_queue(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(numbers): Numbers,
    request: Request,
) -> Response {
    let format = format_of(request.headers());
    match queue_list(&shared, peer.ip(), &numbers, request, format).await {
        Ok(response) => response,
        Err(Stopped(failure)) => failed(format, &failure),
    }
}

/// `GET /api/outbound/{call_id}`.
pub(crate) async fn status(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(call_id): Path<String>,
    request: Request,
) -> Response {
    let format = format_of(request.headers());
    match details(&shared, peer.ip(), &call_id, request.headers()).await {
        Ok(details) => document(format, StatusCode::OK, answer::status(format, &details)),
        Err(Stopped(failure)) => failed(format, &failure),
    }
}

/// `DELETE /api/apps/{application_id}/{deployment_id}/cancel`.
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(numbers): Numbers,
    request: Request,
) -> Response {
    let format = format_of(request.headers());
    match cancel_all(&shared, peer.ip(), &numbers, request.headers()).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Stopped(failure)) => failed(format, &failure),
    }
}

/// `OPTIONS` of addresses that are posted to.
pub(crate) async fn options_of_post() -> Response {
    allowed("POST,OPTIONS")
}

/// `OPTIONS` of the cancel.
pub(crate) async fn options_of_delete() -> Response {
    allowed("DELETE,OPTIONS")
}

/// `OPTIONS` of the status.
pub(crate) async fn options_of_get() -> Response {
    allowed("GET,HEAD,OPTIONS")
}

fn allowed(methods: &'static str) -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, methods)]).into_response()
}

async fn queue_one(
    shared: &Parts,
    source: IpAddr,
    numbers: &(String, String),
    request: Request,
    format: Format,
) -> Result<Response, Stopped> {
    let deployment = deployment(shared, source, numbers, request.headers()).await?;
    let (key, print) = idempotency::identity(&request)?;
    let form = upload::read_form(request).await?;
    let print = print.form(&form);
    let claim = match idempotency::begin(shared, deployment.account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let Queue { order, contact } = Queue::parse(&form, shared.control.now())?;
    granted(&order)?;
    let answer = move |taken: &TakenIn| {
        let (id, body) = (taken.contact.id, answer::queued(format, taken.contact.id));
        Answer { location: Some(answer::link(id)), ..kept(format, body, None) }
    };
    let rule = order.rule(&deployment);
    let queued = shared.control.queue_contact_once(rule, contact, claim.once(), answer).await?;
    Ok(idempotency::met(shared, queued.map(|taken| answer(&taken)))?)
}

/// An answer as it is kept for the same request, sent again: it comes back as it was first asked for.
fn kept(format: Format, body: String, parts: Option<AnswerId>) -> Answer {
    let content_type = format.content_type().to_owned();
    Answer { status: StatusCode::OK.as_u16(), content_type, location: None, body, parts }
}

async fn queue_list(
    shared: &Parts,
    source: IpAddr,
    numbers: &(String, String),
    request: Request,
    format: Format,
) -> Result<Response, Stopped> {
    let deployment = deployment(shared, source, numbers, request.headers()).await?;
    let (key, mut print) = idempotency::identity(&request)?;
    let UploadedList { form, file, digest } =
        upload::receive(request, &FUSE_LIST, upload::Known).await?;
    let order = Order::parse(&form, shared.control.now());
    let (order, file) = upload::with_list(order, file, Order::list_missing)?;
    granted(&order)?;
    print.part(&digest);
    let print = print.form(&form);
    let claim = match idempotency::begin(shared, deployment.account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let _turn = upload::turn(&shared.uploads).await?;
    let rule = order.rule(&deployment);
    let upload = shared.control.begin_upload(rule).await?;
    let list = FuseList::new(order.metadata, format);
    let taken = upload::take_in(upload, list, file).await?;
    if taken.queued == 0 {
        // Nothing to commit: the upload is dropped, and forgotten with it.
        return Ok(list_document(format, StatusCode::BAD_REQUEST, taken.answer));
    }
    let kept = |parts| kept(format, String::new(), Some(parts));
    let committed = upload::commit(shared, taken, claim.once(), kept).await?;
    let first = |answer| list_document(format, StatusCode::OK, answer);
    Ok(idempotency::met_as(shared, committed, first)?)
}

fn list_document(format: Format, status: StatusCode, answer: SpooledAnswer) -> Response {
    let length = answer.bytes;
    let mut response = document(format, status, answer.into_body());
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

async fn details(
    shared: &Parts,
    source: IpAddr,
    call_id: &str,
    headers: &HeaderMap,
) -> Result<CallDetails, Stopped> {
    let account = account(shared, source, headers).await?;
    let id: ContactId = call_id.parse().map_err(|_| Failure::NoCall)?;
    let reader = shared.control.reader();
    let Some(mut contact) = reader.contact(account, id).await? else {
        let stranger = reader.owner_of_contact(id).await?.is_some();
        return Err(if stranger { Failure::NotYours } else { Failure::NoCall }.into());
    };
    let mut events = reader.history(id).await?;
    // Both must be of one moment: a call that has moved on meanwhile is read once more.
    for _ in 0..READS_MAX {
        let Some(again) = reader.contact(account, id).await?.filter(|again| *again != contact)
        else {
            break;
        };
        contact = again;
        events = reader.history(id).await?;
    }
    Ok(CallDetails::new(&contact, &events))
}

async fn cancel_all(
    shared: &Shared,
    source: IpAddr,
    numbers: &(String, String),
    headers: &HeaderMap,
) -> Result<(), Stopped> {
    let deployment = match deployment(shared, source, numbers, headers).await {
        // What waited for it was canceled with it.
        Err(Stopped(Failure::Deleted)) => return Err(Failure::NoDeployment.into()),
        found => found?,
    };
    let control = shared.control.clone();
    // A client that goes away does not stop halfway what it has asked for.
    let canceling = tokio::spawn(async move {
        control.cancel_campaign(deployment.account, &deployment.campaign()).await
    });
    match timeout(CANCEL_TIME_MAX, canceling).await {
        Ok(Ok(canceled)) => Ok(canceled?),
        Ok(Err(_)) => Err(Failure::Internal.into()),
        // It goes on, as 202 says.
        Err(_) => Ok(()),
    }
}

/// The account whose e-mail and developer key a request carries.
async fn account(
    shared: &Parts,
    source: IpAddr,
    headers: &HeaderMap,
) -> Result<AccountId, Stopped> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    Ok(shared.gate.by_basic(&shared.control, given, source).await?)
}

/// The deployment that an address names, if it is the account's and takes calls.
async fn deployment(
    shared: &Parts,
    source: IpAddr,
    (app, id): &(String, String),
    headers: &HeaderMap,
) -> Result<Deployment, Stopped> {
    let account = account(shared, source, headers).await?;
    let id: DeploymentId = id.parse().map_err(|_| Failure::NoDeployment)?;
    let found = shared.control.reader().deployment(id).await?;
    let found = found.filter(|found| found.app.to_string() == *app);
    let found = found.ok_or(Failure::NoDeployment)?;
    if found.account != account {
        return Err(Failure::NotYours.into());
    }
    if found.deleted_at.is_some() {
        return Err(Failure::Deleted.into());
    }
    Ok(found)
}

/// Payment and health data have no store of their own here.
fn granted(order: &Order) -> Result<(), Stopped> {
    if order.is_pci { Err(Failure::PciNotGranted.into()) } else { Ok(()) }
}

/// In which format a request is answered, where its address is one of Fuse's.
pub(crate) fn format_at(path: &str, headers: &HeaderMap) -> Option<Format> {
    let ours = ["/api/apps/", "/api/outbound/"].iter().any(|begin| path.starts_with(begin));
    ours.then(|| format_of(headers))
}

fn format_of(headers: &HeaderMap) -> Format {
    let values: Vec<&str> =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    Format::of_accept(&values.join(","))
}

/// What stopped a request before its handler, in Fuse's words.
pub(crate) fn failure_of(fault: &Fault, method: &Method, path: &str) -> Failure {
    match fault.code {
        ProblemCode::BodyMalformed => Failure::BodyMalformed(fault.detail.clone()),
        ProblemCode::BodyTooLarge => Failure::BodyTooLarge { limit_bytes: FORM_BYTES_MAX },
        ProblemCode::Busy => Failure::Busy { retry_after_s: BUSY_RETRY_S },
        ProblemCode::Draining => Failure::Draining,
        ProblemCode::MediaType => {
            Failure::MediaType { found: String::new(), expected: crate::plum::EXPECTED_TYPES }
        }
        ProblemCode::MethodNotAllowed => {
            let allowed = if path.starts_with("/api/outbound/") {
                "GET"
            } else if path.ends_with("/cancel") {
                "DELETE"
            } else {
                "POST"
            };
            Failure::MethodNotAllowed { found: method.to_string(), allowed }
        }
        ProblemCode::NotFound => Failure::NoAddress,
        ProblemCode::RequestTimeout => Failure::Timeout,
        ProblemCode::Unavailable => Failure::Unavailable,
        _ => Failure::Internal,
    }
}

/// The answer of a failure, with its status.
pub(crate) fn failed(format: Format, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status()).unwrap_or_default();
    let mut response = document(format, status, answer::failed(format, failure));
    let headers = response.headers_mut();
    if let Some(seconds) = failure.retry_after_s() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if *failure == Failure::Credentials {
        let wanted = HeaderValue::from_static("Basic realm=\"calls\", charset=\"UTF-8\"");
        headers.insert(WWW_AUTHENTICATE, wanted);
    }
    response
}

fn document(format: Format, status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, format.content_type())], body.into()).into_response()
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<Vec<Refusal>> for Stopped {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self(Failure::Invalid(refusals))
    }
}

impl From<Denied> for Stopped {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Store(error) => error.into(),
            Denied::Throttled(wait) => Self(Failure::Throttled {
                retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1),
            }),
            Denied::Wrong => Self(Failure::Credentials),
        }
    }
}

impl From<KeyFault> for Stopped {
    fn from(fault: KeyFault) -> Self {
        Refused::from(fault).into()
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Refused::from(error).into()
    }
}

impl From<QueueError> for Stopped {
    fn from(error: QueueError) -> Self {
        Refused::from(error).into()
    }
}

/// Forms and lists are read for both of Plum's systems, and what is wrong with them is the same.
impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        let failure = match refused {
            Refused::Failed(failure) => failure,
            Refused::Fields(refusals) => return refusals.into(),
        };
        Self(match failure {
            FormFailure::BodyMalformed(reason) => Failure::BodyMalformed(reason),
            FormFailure::BodyTooLarge { limit_bytes } => Failure::BodyTooLarge { limit_bytes },
            FormFailure::Busy { retry_after_s } => Failure::Busy { retry_after_s },
            FormFailure::Credentials => Failure::Credentials,
            FormFailure::Draining => Failure::Draining,
            FormFailure::Internal | FormFailure::ListRejected { .. } => Failure::Internal,
            FormFailure::KeyInUse => Failure::KeyInUse,
            FormFailure::KeyMalformed => Failure::KeyMalformed,
            FormFailure::KeyReused => Failure::KeyReused,
            FormFailure::List(error) => Failure::List(error),
            FormFailure::ListEmpty => Failure::ListEmpty,
            FormFailure::MediaType { found, expected } => Failure::MediaType { found, expected },
            FormFailure::MethodNotAllowed { found } => {
                Failure::MethodNotAllowed { found, allowed: "POST" }
            }
            FormFailure::Throttled { retry_after_s } => Failure::Throttled { retry_after_s },
            FormFailure::Timeout => Failure::Timeout,
            FormFailure::Unavailable => Failure::Unavailable,
        })
    }
}
