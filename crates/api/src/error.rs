//! Why a request of our own API was not done, before it is put into words.

use axum::response::{IntoResponse, Response};
use engine::control::QueueError;
use facade::native::answer::Part;
use facade::native::problem::ProblemCode;
use facade::refusal::{Mistake, Refusal};
use http::{Method, StatusCode};
use store::{CreateError, StoreError};

use crate::auth::Denied;
use crate::body::BodyError;

/// Why a request was not done; [`crate::speak`] writes it down as a problem document.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) code: ProblemCode,
    pub(crate) detail: String,
    pub(crate) mistakes: Option<(Part, Vec<Refusal>)>,
    pub(crate) retry_after_s: Option<u64>,
}

impl Fault {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), mistakes: None, retry_after_s: None }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(ProblemCode::NotFound, format!("{what} does not exist for this account"))
    }

    pub(crate) fn busy() -> Self {
        let fault = Self::new(ProblemCode::Busy, "too many requests are under way, try again");
        Self { retry_after_s: Some(BUSY_RETRY_S.into()), ..fault }
    }

    pub(crate) fn refused(part: Part, refusals: Vec<Refusal>) -> Self {
        let detail = match refusals.as_slice() {
            [refusal] => refusal.to_string(),
            refusals => format!("{} mistakes, errors names each", refusals.len()),
        };
        Self { mistakes: Some((part, refusals)), ..Self::new(ProblemCode::InvalidRequest, detail) }
    }

    /// What an answer without words of ours means: axum's own refusals, and hyper's.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status.as_u16() {
            404 => (ProblemCode::NotFound, "this address does not exist"),
            405 => (ProblemCode::MethodNotAllowed, "this address does not know the method"),
            408 => (ProblemCode::RequestTimeout, "the request did not arrive in time"),
            413 => (ProblemCode::BodyTooLarge, "the body is too large"),
            415 => (ProblemCode::MediaType, "the body is of another kind"),
            400..=499 => (ProblemCode::BodyMalformed, "the request cannot be read"),
            503 => (ProblemCode::Busy, "the server is busy, try again"),
            _ => (ProblemCode::Internal, "the server made a mistake"),
        };
        Self::new(code, detail)
    }
}

/// Seconds after which a busy server is asked again.
pub(crate) const BUSY_RETRY_S: u32 = 2;

/// No words yet: they need the request, which the caller of the handler has.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let mut response = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => {
                Self::new(ProblemCode::BodyMalformed, "the body broke off before its end")
            }
            BodyError::Slow => Self::of_status(StatusCode::REQUEST_TIMEOUT),
            BodyError::TooLarge(bytes_max) => {
                let detail = format!("the body is larger than {bytes_max} bytes");
                Self::new(ProblemCode::BodyTooLarge, detail)
            }
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Closed => {
                Self::new(ProblemCode::Draining, "the server is shutting down, try again")
            }
            StoreError::Damaged(_)
            | StoreError::InUse(_)
            | StoreError::TooNew { .. }
            | StoreError::Unavailable(_) => {
                log_store(&error);
                Self::new(ProblemCode::Unavailable, "the store is away, try again later")
            }
            StoreError::Unknown { .. } => {
                log_store(&error);
                Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

impl From<CreateError> for Fault {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Taken(name) => {
                Self::new(ProblemCode::NameTaken, format!("{name:?} is taken"))
            }
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Store(error) => error.into(),
            Denied::Throttled(wait) => {
                let seconds = wait.as_secs().max(1);
                let detail = format!("wrong keys too often, try again in {seconds} s");
                Self { retry_after_s: Some(seconds), ..Self::new(ProblemCode::Throttled, detail) }
            }
            Denied::Wrong => Self::new(
                ProblemCode::Unauthorized,
                "expected the header Authorization: Bearer od_live_… with a valid API key",
            ),
        }
    }
}

impl From<QueueError> for Fault {
    fn from(error: QueueError) -> Self {
        let (code, refusal) = match error {
            QueueError::Busy { field } => {
                let detail =
                    format!("too many addresses of the host of {} are being asked", pointer(field));
                return Self { detail, ..Self::busy() };
            }
            QueueError::CallerId(number) => {
                return Self::refused(Part::Body, vec![not_verified("/caller_id", &number)]);
            }
            QueueError::Draining => {
                return Self::new(ProblemCode::Draining, "the server takes no new calls");
            }
            QueueError::Store(error) => return error.into(),
            QueueError::UrlRefused { field, reason } => {
                (ProblemCode::UrlRefused, not_permitted(pointer(field), &reason))
            }
            QueueError::UrlUnreachable { field } => {
                (ProblemCode::UrlUnreachable, unreachable(pointer(field)))
            }
        };
        let detail = refusal.to_string();
        Self { mistakes: Some((Part::Body, vec![refusal])), ..Self::new(code, detail) }
    }
}

/// What is said of an address that did not answer; no more, for the answer is none of ours to give.
pub(crate) fn unreachable(field: &str) -> Refusal {
    let expected = "did not answer a GET request with status 200 in time";
    Refusal::blind(field, Mistake::Unreachable, expected)
}

/// What is said of an address that may not be asked; `reason` is what is wrong with it.
pub(crate) fn not_permitted(field: &str, reason: &str) -> Refusal {
    let expected = format!("an address that may be asked: {reason}");
    Refusal::blind(field, Mistake::Malformed, expected)
}

/// What is said of a caller ID that the account may not show.
pub(crate) fn not_verified(field: &str, number: &str) -> Refusal {
    Refusal::new(field, Mistake::Malformed, number, NOT_VERIFIED)
}

/// What is expected of a caller ID.
pub(crate) const NOT_VERIFIED: &str = "one of the account's verified caller IDs";

/// Our own name for what the engine calls as Plum does.
fn pointer(field: &'static str) -> &'static str {
    match field {
        "start_url" => "/vxml_url",
        "result_url" => "/result_url",
        "url" => "/url",
        other => other,
    }
}

/// Logs why the store failed, with all causes.
pub(crate) fn log_store(error: &StoreError) {
    let mut chain = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        chain.push_str(&format!(": {error}"));
        cause = error.source();
    }
    tracing::error!("a request failed: {chain}");
}

/// Answers an address that does not exist.
pub(crate) async fn not_found() -> Fault {
    Fault::of_status(StatusCode::NOT_FOUND)
}

/// Answers a method that an address does not know; axum adds the header Allow.
pub(crate) async fn method_not_allowed(method: Method) -> Fault {
    let detail = format!("this address does not know {method}, see the header Allow");
    Fault::new(ProblemCode::MethodNotAllowed, detail)
}
