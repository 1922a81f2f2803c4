//! Requests with a key are done once: draft-ietf-httpapi-idempotency-key-header-07.
//!
//! The answer is kept in the transaction that does what was asked for. While a request is worked
//! on, the same one is refused; that much is known to this process alone, and where two servers
//! work on one key at once, the store lets one of them do it.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::ids::AccountId;
use facade::form::Form;
use facade::native::problem::ProblemCode;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::request::Parts as Head;
use http::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{Answer, AnswerId, Met, Once, Reader, StoreError};

use crate::error::Fault;
use crate::{Parts, Shared};

/// The header with the client's key.
const KEY: &str = "idempotency-key";
/// What an answer says that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// Why a request with a key is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// The same request is being worked on.
    InUse,
    /// The header is no key.
    Malformed,
    /// The key belongs to another request.
    Reused,
}

/// The keys of requests that are being worked on.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<(AccountId, String)>>>);

/// A request with a key, or without one, that is being worked on.
pub(crate) struct Claim {
    once: Option<Once>,
    in_flight: InFlight,
}

/// What is to be done with a request.
pub(crate) enum Begin {
    /// It is new.
    New(Claim),
    /// It was done before.
    Done(Response),
}

/// A hash of all that makes a request what it is.
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// That of a request without a body.
    pub(crate) fn new(method: &Method, path: &str) -> Self {
        let mut fingerprint = Self(Sha256::new());
        fingerprint.part(method.as_str().as_bytes());
        fingerprint.part(path.as_bytes());
        fingerprint
    }

    /// Takes in a part, told apart from its neighbours by its length.
    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.0.update(bytes.len().to_be_bytes());
        self.0.update(bytes);
    }

    /// Takes in JSON; the order of fields and blanks between them do not count.
    pub(crate) fn json(mut self, value: &Value) -> Self {
        self.value(value);
        self
    }

    /// Takes in a form's fields; what parts them in the body does not count.
    pub(crate) fn form(mut self, form: &Form) -> Self {
        for (name, value) in form.fields() {
            self.part(name.as_bytes());
            self.part(value.as_bytes());
        }
        self
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(values) => {
                self.part(b"[");
                values.iter().for_each(|value| self.value(value));
                self.part(b"]");
            }
            Value::Object(map) => {
                let mut fields: Vec<_> = map.iter().collect();
                fields.sort_by_key(|field| field.0);
                self.part(b"{");
                for (name, value) in fields {
                    self.part(name.as_bytes());
                    self.value(value);
                }
                self.part(b"}");
            }
            Value::String(text) => {
                self.part(b"\"");
                self.part(text.as_bytes());
            }
            Value::Bool(_) | Value::Null | Value::Number(_) => {
                self.part(value.to_string().as_bytes());
            }
        }
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Begins a request: a key that was met before is answered as it was then.
pub(crate) async fn begin(
    shared: &Parts,
    account: AccountId,
    key: Option<String>,
    fingerprint: Fingerprint,
) -> Result<Result<Begin, KeyFault>, StoreError> {
    let in_flight = shared.in_flight.clone();
    let Some(key) = key else {
        return Ok(Ok(Begin::New(Claim { once: None, in_flight })));
    };
    let once = Once { account, key, fingerprint: fingerprint.finish() };
    let is_free = in_flight.lock().insert((account, once.key.clone()));
    if !is_free {
        return Ok(Err(KeyFault::InUse));
    }
    // From here on the place is given back, whatever happens.
    let claim = Claim { once: Some(once.clone()), in_flight };
    Ok(match shared.control.reader().answer(once).await? {
        None => Ok(Begin::New(claim)),
        Some(Met::Done(()) | Met::KeyReused) => Err(KeyFault::Reused),
        Some(Met::Repeated(answer)) => {
            Ok(Begin::Done(repeated(shared.control.reader().clone(), answer)))
        }
    })
}

/// A request that is known as the one it is only when its body has been read.
pub(crate) struct EarlyClaim {
    claim: Claim,
    account: AccountId,
    key: Option<String>,
    /// Its key was met before: it is read, and nothing more is done.
    pub(crate) is_known: bool,
}

/// Begins such a request.
pub(crate) async fn begin_early(
    shared: &Parts,
    account: AccountId,
    key: Option<String>,
) -> Result<Result<EarlyClaim, KeyFault>, StoreError> {
    // No request has this fingerprint, so that whatever was kept shows.
    let nothing = Fingerprint(Sha256::new());
    Ok(match begin(shared, account, key.clone(), nothing).await? {
        Ok(Begin::New(claim)) => Ok(EarlyClaim { claim, account, key, is_known: false }),
        Ok(Begin::Done(_)) | Err(KeyFault::Reused) => {
            let claim = Claim { once: None, in_flight: shared.in_flight.clone() };
            Ok(EarlyClaim { claim, account, key, is_known: true })
        }
        Err(fault) => Err(fault),
    })
}

impl EarlyClaim {
    /// What the store is told, now that the request is read.
    pub(crate) fn once(&mut self, print: Fingerprint) -> Option<Once> {
        let fingerprint = print.finish();
        // The place is still given back by the claim.
        self.claim.once().map(|once| Once { fingerprint, ..once })
    }

    /// Answers a request whose key was met before.
    pub(crate) async fn answer(
        self,
        shared: &Parts,
        print: Fingerprint,
    ) -> Result<Response, Fault> {
        Ok(match begin(shared, self.account, self.key, print).await?? {
            Begin::Done(response) => response,
            // What was kept has just been forgotten; sent again it is done.
            Begin::New(_) => return Err(KeyFault::InUse.into()),
        })
    }
}

/// An answer that was given before.
pub(crate) fn repeated(reader: Reader, answer: Answer) -> Response {
    let parts = answer.parts;
    let mut response = respond(answer);
    if let Some(parts) = parts {
        *response.body_mut() = body_of_parts(reader, parts);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// An answer, as it is given the first time.
pub(crate) fn respond(answer: Answer) -> Response {
    let mut response = answer.body.into_response();
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&answer.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if let Some(Ok(location)) = answer.location.as_deref().map(HeaderValue::from_str) {
        headers.insert(LOCATION, location);
    }
    response
}

/// An answer of JSON, with the address of what it created.
pub(crate) fn created(body: &impl serde::Serialize, location: Option<String>) -> Answer {
    let body = serde_json::to_string(body).expect("texts and numbers are always JSON");
    let content_type = "application/json".to_owned();
    Answer { status: StatusCode::CREATED.as_u16(), content_type, location, body, parts: None }
}

/// An answer of JSON that created nothing with an address.
pub(crate) fn done(status: StatusCode, body: &impl serde::Serialize) -> Answer {
    Answer { status: status.as_u16(), ..created(body, None) }
}

/// Keeps the answer to what was done in several transactions, any of which may be done again.
pub(crate) async fn keep(
    shared: &Parts,
    once: Option<Once>,
    answer: Answer,
) -> Result<Met<Answer>, StoreError> {
    Ok(match once {
        Some(once) => shared.control.keep_answer(once, answer.clone()).await?.map(|()| answer),
        None => Met::Done(answer),
    })
}

/// What came of a request, as it is answered: its own answer, or the one that was given before.
pub(crate) fn met(shared: &Parts, met: Met<Answer>) -> Result<Response, KeyFault> {
    met_as(shared, met, respond)
}

/// The same, where the first answer is given in another form than it is kept in.
pub(crate) fn met_as<T>(
    shared: &Parts,
    met: Met<T>,
    first: impl FnOnce(T) -> Response,
) -> Result<Response, KeyFault> {
    match met {
        Met::Done(done) => Ok(first(done)),
        Met::KeyReused => Err(KeyFault::Reused),
        Met::Repeated(answer) => Ok(repeated(shared.control.reader().clone(), answer)),
    }
}

/// A body that is read from the store as the client takes it.
fn body_of_parts(reader: Reader, answer: AnswerId) -> Body {
    let parts = stream::try_unfold(0_u32, move |part| {
        let reader = reader.clone();
        async move {
            let body = reader.answer_part(answer, part).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(body.map(|body| (Bytes::from(body), part + 1)))
        }
    });
    Body::from_stream(parts)
}

/// The key of a form's request, and what makes it what it is as far as its head tells.
pub(crate) fn identity(request: &Request) -> Result<(Option<String>, Fingerprint), KeyFault> {
    let key = key_of(request.headers())?;
    Ok((key, Fingerprint::new(request.method(), request.uri().path())))
}

/// The key in a request's head: a text in quotes (RFC 8941 §3.3.3), or a bare UUID.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, KeyFault> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(KeyFault::Malformed);
    }
    let text = value.to_str().map_err(|_| KeyFault::Malformed)?.trim();
    let key = quoted(text).or_else(|| is_uuid(text).then(|| text.to_ascii_lowercase()));
    let key = key.filter(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX);
    key.map(Some).ok_or(KeyFault::Malformed)
}

fn quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let (mut key, mut rest) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(char) = rest.next() {
        key.push(match char {
            '"' => return None,
            '\\' => rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            ' '..='~' => char,
            _ => return None,
        });
    }
    Some(key)
}

/// `8-4-4-4-12` hexadecimal digits (RFC 9562 §4).
fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut groups = text.split('-');
    let fits = |length: &usize| {
        groups.next().is_some_and(|group| {
            group.len() == *length && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    lengths.iter().all(fits) && text.len() == 36
}

impl InFlight {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(AccountId, String)>> {
        // Nothing is left half done by a panic: every change is one insert or one remove.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// What the store is told.
    pub(crate) fn once(&self) -> Option<Once> {
        self.once.clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(once) = self.once.take() {
            self.in_flight.lock().remove(&(once.account, once.key));
        }
    }
}

/// The key of a request to our own API.
pub(crate) struct Key(pub(crate) Option<String>);

impl FromRequestParts<Shared> for Key {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Head, _: &Shared) -> Result<Self, Fault> {
        Ok(Self(key_of(&head.headers)?))
    }
}

impl From<KeyFault> for Fault {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::InUse => Self::new(
                ProblemCode::IdempotencyKeyInUse,
                "a request with this key is being worked on, wait and send it again",
            ),
            KeyFault::Malformed => Self::new(
                ProblemCode::IdempotencyKeyMalformed,
                "expected Idempotency-Key: \"text of at most 255 characters\", or a UUID",
            ),
            KeyFault::Reused => Self::new(
                ProblemCode::IdempotencyKeyReused,
                "another request carried this key, give each request its own",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(values: &[&str]) -> Result<Option<String>, KeyFault> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_str(value).unwrap());
        }
        key_of(&headers)
    }

    #[test]
    fn key_is_a_text_in_quotes_or_a_uuid() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["\"order 4711\""]), Ok(Some("order 4711".into())));
        assert_eq!(key(&[r#""a\"b\\c""#]), Ok(Some(r#"a"b\c"#.into())));
        let uuid = "8E03978E-40D5-43E8-BC93-6894A57F9324";
        assert_eq!(key(&[uuid]), Ok(Some(uuid.to_ascii_lowercase())));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("\"{}\"", "a".repeat(256));
        for wrong in ["", "order-4711", "\"", "\"\"", "\"a", "\"a\"b\"", r#""a\n""#, &long] {
            assert_eq!(key(&[wrong]), Err(KeyFault::Malformed), "{wrong}");
        }
        assert_eq!(key(&["\"a\"", "\"a\""]), Err(KeyFault::Malformed));
        for wrong in ["8e03978e40d543e8bc936894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f932g"] {
            assert_eq!(key(&[wrong]), Err(KeyFault::Malformed), "{wrong}");
        }
    }

    fn json_print(value: &Value) -> [u8; 32] {
        Fingerprint::new(&Method::POST, "/v1/calls").json(value).finish()
    }

    #[test]
    fn fingerprint_knows_what_a_body_says_and_not_how_it_is_written() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":{"c":[true,null],"d":"x"}}"#).unwrap();
        let other: Value =
            serde_json::from_str(r#"{ "b": {"d":"x", "c":[true, null]}, "a": 1 }"#).unwrap();
        assert_eq!(json_print(&one), json_print(&other));
        let different = [
            json!({ "a": 1, "b": { "c": [true, null], "d": "y" } }),
            json!({ "a": 1, "b": { "c": [null, true], "d": "x" } }),
            json!({ "a": "1", "b": { "c": [true, null], "d": "x" } }),
            json!({ "a": 1, "b": {}, "c": [true, null], "d": "x" }),
        ];
        assert!(different.iter().all(|value| json_print(value) != json_print(&one)));
        let elsewhere = Fingerprint::new(&Method::POST, "/v1/campaigns").json(&one).finish();
        assert_ne!(elsewhere, json_print(&one));
    }
}
