//! Plum DEV Outbound: `queuecall.php` and `queuecalls.php`. docs/api/plum.md.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::AccountId;
use engine::control::QueueError;
use facade::form::Form;
use facade::native::problem::ProblemCode;
use facade::plum::answer::{self, Failure, Script};
use facade::plum::request::{Credentials, QueueCall, QueueCalls};
use facade::refusal::Refusal;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, StatusCode};
use store::{Answer, AnswerId, StoreError, TakenIn};

use crate::auth::Denied;
use crate::body::{self, BodyError};
use crate::error::{BUSY_RETRY_S, Fault, log_store, not_permitted, not_verified, unreachable};
use crate::idempotency::{self, Begin, KeyFault};
use crate::server::Peer;
use crate::upload::{self, Asked, PLUM_LIST, PlumList, SpooledAnswer, UploadedList};
use crate::{Parts, Shared};

/// Largest form, in bytes: fields of the greatest length, every letter escaped, fit twice.
pub(crate) const FORM_BYTES_MAX: u64 = 64 * 1024;

/// Why nothing was queued.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The request as a whole.
    Failed(Failure),
    /// Fields of it.
    Fields(Vec<Refusal>),
}

/// `POST /webservice/queuecall.php`.
pub(crate) async fn queue_call(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    match queue_one(&shared, peer.ip(), request).await {
        Ok(response) => response,
        Err(refused) => refused.document(Script::QueueCall),
    }
}

/// `POST /webservice/queuecalls.php`.
pub(crate) async fn queue_calls(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    match queue_list(&shared, peer.ip(), request).await {
        Ok(response) => response,
        Err(refused) => refused.document(Script::QueueCalls),
    }
}

async fn queue_one(shared: &Parts, source: IpAddr, request: Request) -> Result<Response, Refused> {
    let (key, print) = idempotency::identity(&request)?;
    let form = upload::read_form(request).await?;
    let call = QueueCall::parse(&form, shared.control.now(), &shared.zone)?;
    let account = account(shared, &call.order.credentials, source).await?;
    let claim = match idempotency::begin(shared, account, key, print.form(&form)).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let (rule, contact) = (call.order.rule(account), call.contact.clone());
    let answer = move |taken: &TakenIn| kept(answer::queued(&call, taken.contact.id), None);
    let (once, first) = (claim.once(), answer.clone());
    let queued = shared.control.queue_contact_once(rule, contact, once, answer).await?;
    Ok(idempotency::met(shared, queued.map(|taken| first(&taken)))?)
}

/// A document as it is kept for the same request, sent again.
fn kept(body: String, parts: Option<AnswerId>) -> Answer {
    let content_type = answer::CONTENT_TYPE.to_owned();
    Answer { status: answer::OK, content_type, location: None, body, parts }
}

async fn queue_list(shared: &Parts, source: IpAddr, request: Request) -> Result<Response, Refused> {
    let (key, mut print) = idempotency::identity(&request)?;
    let door = Asked::new(shared, source);
    let UploadedList { form, file, digest } = upload::receive(request, &PLUM_LIST, door).await?;
    let calls = QueueCalls::parse(&form, shared.control.now(), &shared.zone);
    let (calls, file) = upload::with_list(calls, file, QueueCalls::list_missing)?;
    let account = account(shared, &calls.order.credentials, source).await?;
    print.part(&digest);
    let claim = match idempotency::begin(shared, account, key, print.form(&form)).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let _turn = upload::turn(&shared.uploads).await?;
    let upload = shared.control.begin_upload(calls.order.rule(account)).await?;
    let taken = upload::take_in(upload, PlumList::new(&calls), file).await?;
    if taken.queued == 0 {
        // Nothing to commit: the upload is dropped, and forgotten with it.
        return Ok(list_document(taken.answer));
    }
    let kept = |parts| kept(String::new(), Some(parts));
    let committed = upload::commit(shared, taken, claim.once(), kept).await?;
    Ok(idempotency::met_as(shared, committed, list_document)?)
}

/// The account of these credentials.
pub(crate) async fn account(
    shared: &Parts,
    credentials: &Credentials,
    source: IpAddr,
) -> Result<AccountId, Refused> {
    Ok(shared.gate.by_pin(&shared.control, credentials, source).await?)
}

/// Which script an address is; `None` outside Plum's.
pub(crate) fn script_at(path: &str) -> Option<Script> {
    let (_, script) = path.split_once("/webservice/")?;
    match script {
        "queuecall.php" => Some(Script::QueueCall),
        "queuecalls.php" => Some(Script::QueueCalls),
        _ => None,
    }
}

/// What stopped a request before its script, in Plum's words.
pub(crate) fn failure_of(fault: &Fault, method: &Method) -> Failure {
    match fault.code {
        ProblemCode::BodyMalformed => Failure::BodyMalformed(fault.detail.clone()),
        ProblemCode::BodyTooLarge => Failure::BodyTooLarge { limit_bytes: FORM_BYTES_MAX },
        ProblemCode::Busy => Failure::Busy { retry_after_s: BUSY_RETRY_S },
        ProblemCode::Draining => Failure::Draining,
        ProblemCode::MediaType => {
            Failure::MediaType { found: String::new(), expected: EXPECTED_TYPES }
        }
        ProblemCode::MethodNotAllowed => Failure::MethodNotAllowed { found: method.to_string() },
        ProblemCode::RequestTimeout => Failure::Timeout,
        ProblemCode::Unavailable => Failure::Unavailable,
        ProblemCode::AlreadyEnded
        | ProblemCode::CursorGone
        | ProblemCode::Forbidden
        | ProblemCode::IdempotencyKeyInUse
        | ProblemCode::IdempotencyKeyMalformed
        | ProblemCode::IdempotencyKeyReused
        | ProblemCode::Internal
        | ProblemCode::InvalidRequest
        | ProblemCode::LimitReached
        | ProblemCode::NameTaken
        | ProblemCode::NodeAway
        | ProblemCode::NotFound
        | ProblemCode::RangeNotSatisfiable
        | ProblemCode::Throttled
        | ProblemCode::Unauthorized
        | ProblemCode::UrlRefused
        | ProblemCode::UrlUnreachable => Failure::Internal,
    }
}

/// What both kinds of form are called.
pub(crate) const EXPECTED_TYPES: &str = "application/x-www-form-urlencoded or multipart/form-data";

/// The document of a failure, with its status.
pub(crate) fn document(script: Script, failure: &Failure) -> Response {
    let mut response = xml(failure.status(), answer::failed(script, failure));
    if let Some(seconds) = failure.retry_after_s() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

impl Refused {
    fn document(&self, script: Script) -> Response {
        match self {
            Self::Failed(failure) => document(script, failure),
            Self::Fields(refusals) => xml(answer::OK, answer::refused(script, refusals)),
        }
    }
}

fn xml(status: u16, document: impl Into<Body>) -> Response {
    let mut response = ([(CONTENT_TYPE, answer::CONTENT_TYPE)], document.into()).into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response
}

fn list_document(answer: SpooledAnswer) -> Response {
    let length = answer.bytes;
    let mut response = xml(answer::OK, answer.into_body());
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<KeyFault> for Refused {
    fn from(fault: KeyFault) -> Self {
        Self::Failed(match fault {
            KeyFault::InUse => Failure::KeyInUse,
            KeyFault::Malformed => Failure::KeyMalformed,
            KeyFault::Reused => Failure::KeyReused,
        })
    }
}

impl From<Vec<Refusal>> for Refused {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Fields(refusals)
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        Self::Failed(match error {
            BodyError::Broken => Failure::BodyMalformed("it broke off before its end".into()),
            BodyError::Slow => Failure::Timeout,
            BodyError::TooLarge(limit_bytes) => Failure::BodyTooLarge { limit_bytes },
        })
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Store(error) => error.into(),
            Denied::Throttled(wait) => Self::Failed(Failure::Throttled {
                retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1),
            }),
            Denied::Wrong => Self::Failed(Failure::Credentials),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Failed(match &error {
            StoreError::Closed => Failure::Draining,
            StoreError::Damaged(_)
            | StoreError::InUse(_)
            | StoreError::TooNew { .. }
            | StoreError::Unavailable(_) => {
                log_store(&error);
                Failure::Unavailable
            }
            StoreError::Unknown { .. } => {
                log_store(&error);
                Failure::Internal
            }
        })
    }
}

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Busy { .. } => Self::Failed(Failure::Busy { retry_after_s: BUSY_RETRY_S }),
            QueueError::CallerId(number) => {
                Self::Fields(vec![not_verified("phone_number", &number)])
            }
            QueueError::Draining => Self::Failed(Failure::Draining),
            QueueError::Store(error) => error.into(),
            QueueError::UrlRefused { field, reason } => {
                Self::Fields(vec![not_permitted(field, &reason)])
            }
            QueueError::UrlUnreachable { field } => Self::Fields(vec![unreachable(field)]),
        }
    }
}

/// Reads a body as the fields of a form, urlencoded.
pub(crate) async fn urlencoded(request: Request) -> Result<Form, Refused> {
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, FORM_BYTES_MAX).await?;
    Form::parse(&body).map_err(|error| Failure::BodyMalformed(error.to_string()).into())
}
