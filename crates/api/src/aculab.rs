//! Aculab Cloud: outbound services and what is started by their names. docs/api/aculab.md.

mod interrupt;

use std::net::IpAddr;

use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::application;
use domain::ids::{AccountId, ContactId};
use domain::number::sip_address::SipNumber;
use engine::control::QueueError;
use facade::aculab::answer::{self, CONTENT_TYPE as JSON, Failure};
use facade::aculab::request;
use facade::aculab::service::{self, Service, Written};
use facade::form::{self, Form};
use facade::native::problem::ProblemCode;
use facade::plum::answer::Failure as FormFailure;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Cancel, StoreError};

use crate::auth::{Denied, hash_pin};
use crate::body::{self, content_type, media_type};
use crate::error::{BUSY_RETRY_S, Fault};
use crate::plum::{FORM_BYTES_MAX, Refused};
use crate::server::Peer;
use crate::upload;
use crate::{Parts, Shared};

pub(crate) use interrupt::interrupt;

/// Where its addresses begin.
const ADDRESSES: [&str; 6] = [
    "/service/v1/",
    "/service_start",
    "/service_status",
    "/service_cancel",
    "/application_status",
    "/rest_interrupt",
];

/// Why a request was not done, and when it may be tried again.
struct Stopped(Failure, Option<u64>);

type Answer = Result<(StatusCode, String), Stopped>;

/// `GET /service/v1/outbound`: the names of the services.
pub(crate) async fn list(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        let account = account(&shared, peer.ip(), &headers).await?;
        let services = shared.control.reader().services(account).await?;
        let names: Vec<String> = services.into_iter().map(|service| service.name).collect();
        Ok((StatusCode::OK, json!(names).to_string()))
    };
    let answer = work.await;
    spoken(&shared, "/service/v1/outbound", answer)
}

/// `GET /service/v1/schema/outbound`: what a configuration looks like.
pub(crate) async fn schema(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let work = async {
        account(&shared, peer.ip(), &headers).await?;
        Ok((StatusCode::OK, service::schema().to_string()))
    };
    let answer = work.await;
    spoken(&shared, "/service/v1/schema/outbound", answer)
}

/// `GET`, `PUT`, `PATCH` and `DELETE /service/v1/outbound/{name}`.
pub(crate) async fn service(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let answer = on_service(&shared, peer.ip(), &name, request).await;
    spoken(&shared, &path, answer)
}

/// `GET` and `POST /service_start`.
pub(crate) async fn start(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let answer = begin(&shared, peer.ip(), request).await;
    spoken(&shared, "/service_start", answer)
}

/// `GET` and `POST /service_status`, and `/application_status`.
pub(crate) async fn status(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let name = if path.starts_with("/application") { APPLICATIONS } else { INVOCATIONS };
    let work = async {
        let (account, ids, _) = asked(&shared, peer.ip(), name, request).await?;
        let mut members = Vec::new();
        for id in ids {
            let status = status_of(&shared, account, &id).await?;
            members.push((id, status));
        }
        Ok((StatusCode::OK, answer::by_id(members)))
    };
    let answer = work.await;
    spoken(&shared, &path, answer)
}

/// `GET` and `POST /service_cancel`.
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let work = async {
        let (account, ids, _) = asked(&shared, peer.ip(), INVOCATIONS, request).await?;
        let mut members = Vec::new();
        for id in ids {
            let canceled = match id.parse::<ContactId>() {
                Ok(contact) if is_ours(&shared, account, contact).await? => {
                    shared.control.cancel_contact(account, contact).await?
                }
                Ok(_) | Err(_) => Cancel::NotFound,
            };
            let result = match canceled {
                Cancel::AlreadyDone => "already completed",
                Cancel::Calling(_) | Cancel::Canceled => "canceled",
                Cancel::NotFound => "no such invocation",
            };
            members.push((id, answer::result(result)));
        }
        Ok((StatusCode::OK, answer::by_id(members)))
    };
    let answer = work.await;
    spoken(&shared, "/service_cancel", answer)
}

/// The parameter that names invocations.
const INVOCATIONS: &str = "invocation_ids";
/// The parameter that names applications.
const APPLICATIONS: &str = "application_instance_ids";

async fn on_service(shared: &Parts, source: IpAddr, name: &str, request: Request) -> Answer {
    let account = account(shared, source, request.headers()).await?;
    let method = request.method().clone();
    let found = shared.control.reader().service(account, name).await?;
    match method {
        Method::PUT => write(shared, account, name, found, request).await,
        Method::PATCH => {
            let found = found.ok_or_else(|| no_service(name))?;
            write(shared, account, name, Some(found), request).await
        }
        Method::DELETE => {
            let campaign = service::campaign(name);
            match shared.control.delete_service(account, name, &campaign).await? {
                true => Ok((StatusCode::NO_CONTENT, String::new())),
                false => Err(no_service(name)),
            }
        }
        _ => {
            let found = found.ok_or_else(|| no_service(name))?;
            Ok((StatusCode::OK, read(&found)?.shown().to_string()))
        }
    }
}

/// `PUT` writes the whole configuration, `PATCH` a part of it.
async fn write(
    shared: &Parts,
    account: AccountId,
    name: &str,
    found: Option<application::Service>,
    request: Request,
) -> Answer {
    let is_part = request.method() == Method::PATCH;
    let body = json_body(request).await?;
    if !service::is_name(name) {
        let text = "the name of a service has 1 to 64 letters, digits, _ - . and blanks within";
        return Err(Failure::new(400, text).into());
    }
    let before = found.as_ref().filter(|_| is_part).map(read).transpose()?;
    let written = match before {
        Some(before) => before.modify(&body),
        None => Service::write(&body),
    };
    let Written { service, password } = written.map_err(invalid)?;
    let password_hash = match password {
        Some(password) => Some(hashed(shared, password).await?),
        // Who does not give another password keeps the one that there is.
        None => found.as_ref().and_then(|found| found.password_hash.clone()),
    };
    let now = shared.control.now();
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let row = application::Service {
        account,
        name: name.to_owned(),
        config: service.text(),
        password_hash,
        created_at: found.map_or(now, |found| found.created_at),
        changed_at: now,
    };
    if !shared.control.put_service(row).await? {
        let text = format!("an account has at most {} services", store::SERVICES_MAX);
        return Err(Failure::new(409, text).into());
    }
    Ok((status, service.shown().to_string()))
}

async fn begin(shared: &Parts, source: IpAddr, request: Request) -> Answer {
    let given = authorization(request.headers());
    let row = shared.gate.by_service(&shared.control, given, source).await?;
    let service = read(&row)?;
    let form = parameters(request).await?;
    let parameters = service.application_parameters();
    let is_at_trunk = |address: &SipNumber| shared.control.is_at_trunk(address);
    let calls = request::calls(&form, service.call_type(), parameters, is_at_trunk);
    let calls = calls.map_err(invalid)?;
    let rule = service.rule(row.account, &row.name);
    let ids = shared.control.queue_contacts(rule, calls).await?;
    Ok((StatusCode::OK, answer::started(&ids)))
}

/// Who asks about which calls, with all that was sent.
async fn asked(
    shared: &Parts,
    source: IpAddr,
    name: &'static str,
    request: Request,
) -> Result<(AccountId, Vec<String>, Form), Stopped> {
    let account = account(shared, source, request.headers()).await?;
    let form = parameters(request).await?;
    let ids = request::ids(&form, name).map_err(invalid)?;
    Ok((account, ids, form))
}

async fn status_of(shared: &Parts, account: AccountId, id: &str) -> Result<Value, Stopped> {
    let reader = shared.control.reader();
    let contact = match id.parse::<ContactId>() {
        Ok(contact) => reader.contact(account, contact).await?,
        Err(_) => None,
    };
    match contact.filter(|contact| contact.dialect == facade::Facade::Aculab.dialect()) {
        Some(contact) => {
            let attempts = reader.attempts(contact.id).await?;
            Ok(answer::status(&contact, &attempts))
        }
        None => Ok(answer::result("no such invocation")),
    }
}

/// Calls of other interfaces are not told of here, nor touched.
async fn is_ours(
    shared: &Parts,
    account: AccountId,
    contact: ContactId,
) -> Result<bool, StoreError> {
    let found = shared.control.reader().contact(account, contact).await?;
    Ok(found.is_some_and(|found| found.dialect == facade::Facade::Aculab.dialect()))
}

/// The parameters of a request, in its query and in its body.
async fn parameters(request: Request) -> Result<Form, Stopped> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut form = form::Form::parse(query.as_bytes())
        .map_err(|error| Failure::new(400, format!("the query cannot be read: {error}")))?;
    if request.method() == Method::POST {
        let posted = upload::read_form(request).await?;
        for (name, value) in posted.fields() {
            form.push(name.to_owned(), value.to_owned())
                .map_err(|error| Failure::new(400, error.to_string()))?;
        }
    }
    Ok(form)
}

async fn json_body(request: Request) -> Result<Value, Stopped> {
    let (head, body) = request.into_parts();
    let found = media_type(content_type(&head.headers));
    // Clients on bare sockets forget the header.
    if !matches!(found.as_str(), "application/json" | "") {
        let text = format!("found {found}, expected application/json");
        return Err(Failure::new(415, text).into());
    }
    let body = body::read(&head.headers, body, FORM_BYTES_MAX).await.map_err(Refused::from)?;
    serde_json::from_slice(&body)
        .map_err(|error| Failure::new(400, format!("the body is not JSON: {error}")).into())
}

async fn account(
    shared: &Parts,
    source: IpAddr,
    headers: &HeaderMap,
) -> Result<AccountId, Stopped> {
    let given = authorization(headers);
    Ok(shared.gate.by_cloud_user(&shared.control, given, source).await?)
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
}

/// Passwords are short, so their hash is slow: it is not made on a worker of the runtime.
async fn hashed(shared: &Parts, password: String) -> Result<String, Stopped> {
    // Nobody can guess it, and no two are the same.
    let digest = Sha256::digest(shared.ids.next());
    let mut salt = [0; 16];
    salt.copy_from_slice(&digest[..16]);
    let hashed = tokio::task::spawn_blocking(move || hash_pin(&password, salt)).await;
    match hashed {
        Ok(Ok(hash)) => Ok(hash),
        _ => Err(Failure::new(500, "the password cannot be kept").into()),
    }
}

fn read(row: &application::Service) -> Result<Service, Stopped> {
    Service::of_text(&row.config)
        .ok_or_else(|| Failure::new(500, "the service was stored by another program").into())
}

fn no_service(name: &str) -> Stopped {
    Failure::new(404, format!("there is no service {name:?}")).into()
}

fn invalid(details: Vec<String>) -> Stopped {
    Failure::invalid(details).into()
}

/// Whether an address is one of Aculab's.
pub(crate) fn is_at(path: &str) -> bool {
    ADDRESSES.iter().any(|begin| path.starts_with(begin))
}

/// What stopped a request before its handler, or in another file.
pub(crate) fn failure_of(fault: &Fault) -> Failure {
    let text = match fault.code {
        ProblemCode::Internal => "the server made a mistake".to_owned(),
        _ => fault.detail.clone(),
    };
    Failure::new(fault.code.status(), text)
}

/// The answer of a failure.
pub(crate) fn failed(shared: &Parts, path: &str, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or_default();
    let mut response = document(status, failure.body(path, shared.control.now()));
    if failure.status == 401 {
        let wanted = HeaderValue::from_static("Basic realm=\"services\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, wanted);
    }
    response
}

fn spoken(shared: &Parts, path: &str, answer: Answer) -> Response {
    match answer {
        Ok((StatusCode::NO_CONTENT, _)) => StatusCode::NO_CONTENT.into_response(),
        Ok((status, body)) => document(status, body),
        Err(Stopped(failure, retry_after_s)) => {
            let mut response = failed(shared, path, &failure);
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

fn document(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self(failure, None)
    }
}

impl From<Denied> for Stopped {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Store(error) => error.into(),
            Denied::Throttled(wait) => {
                let text = "too many requests with a wrong user or password";
                Self(Failure::new(429, text), Some(wait.as_secs().max(1)))
            }
            Denied::Wrong => Failure::new(401, "user or password is wrong").into(),
        }
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self(failure_of(&fault), fault.retry_after_s)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Refused::from(error).into()
    }
}

impl From<QueueError> for Stopped {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::UrlRefused { reason, .. } => {
                Failure::new(400, format!("rest.final_page.address is refused: {reason}")).into()
            }
            error => Refused::from(error).into(),
        }
    }
}

/// What forms and the store may say, in the words of the interface that they were written for.
impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        let failure = match refused {
            Refused::Failed(failure) => failure,
            Refused::Fields(refusals) => {
                return invalid(refusals.iter().map(ToString::to_string).collect());
            }
        };
        let busy = Some(u64::from(BUSY_RETRY_S));
        match failure {
            FormFailure::BodyMalformed(reason) => Failure::new(400, reason).into(),
            FormFailure::BodyTooLarge { limit_bytes } => {
                Failure::new(413, format!("the body has more than {limit_bytes} bytes")).into()
            }
            FormFailure::Draining => Self(Failure::new(503, "the server is shutting down"), busy),
            FormFailure::MediaType { found, expected } => {
                Failure::new(415, format!("found {found}, expected {expected}")).into()
            }
            FormFailure::Timeout => Failure::new(408, "the request did not arrive in time").into(),
            FormFailure::Busy { .. } | FormFailure::Unavailable => {
                Self(Failure::new(503, "the server is busy, try again"), busy)
            }
            _ => Failure::new(500, "the server made a mistake").into(),
        }
    }
}
