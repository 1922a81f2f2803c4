//! Recordings of calls: had as WAV files, deleted, paused while a callee says what is nobody's
//! business. Where another server of the database has one, it is asked for it.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse as _, Response};
use domain::ids::{AccountId, AttemptId, ContactId};
use engine::config::TapeState;
use engine::peers::PeerError;
use facade::native::problem::ProblemCode;
use facade::zone::rfc_3339;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName,
    HeaderValue, IF_RANGE, RANGE,
};
use http::request::Parts as Head;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use crate::error::Fault;
use crate::native::Caller;
use crate::ranges::Wanted;
use crate::server::Peer;
use crate::{Parts, Shared, peers};

/// Media type of recordings.
const WAV: &str = "audio/x-wav";
/// Bytes of a recording that are read at once: a few seconds of it.
const CHUNK_BYTES: usize = 64 * 1024;
/// Seconds after which a server that is away is asked again: it restarts in less.
const AWAY_RETRY_S: u64 = 10;
/// What of another server's answer is passed on.
const PASSED_ON: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_RANGE, ACCEPT_RANGES];

/// Who asks about a recording, and how.
pub(crate) struct Asker {
    account: AccountId,
    /// Another server, in the account's name: it is answered from here alone, so that no two
    /// servers ask each other in turns.
    is_peer: bool,
    method: Method,
    path: String,
    range: Option<HeaderValue>,
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Head, shared: &Shared) -> Result<Self, Fault> {
        let asked = (&head.method, head.uri.path());
        let from = head.extensions.get::<Peer>().map(|peer| peer.ip());
        let (account, is_peer) = match peers::asked(shared, &head.headers, asked, from)? {
            Some(account) => (account, true),
            None => (Caller::from_request_parts(head, shared).await?.0, false),
        };
        // There is nothing to compare a validator with: then all is sent (RFC 9110 §13.1.5).
        let range = head.headers.get(RANGE).filter(|_| !head.headers.contains_key(IF_RANGE));
        let (method, path) = (head.method.clone(), head.uri.path().to_owned());
        Ok(Self { account, is_peer, method, path, range: range.cloned() })
    }
}

/// Fetches the recording of an attempt, whichever server of the database made it.
#[utoipa::path(get, path = "/v1/calls/{id}/recordings/{attempt}", tag = "calls",
    params(
        ("id" = String, Path, description = "Id of the call."),
        ("attempt" = String, Path, description = "Id of the attempt."),
        ("Range" = Option<String>, Header,
            description = "One range of bytes, as `bytes=0-999`; several are answered with all.")),
    responses(
        (status = 200, description = "The recording: mu-law, 8 kHz, one channel or two.",
            body = Vec<u8>, content_type = "audio/x-wav",
            headers(("Accept-Ranges" = String, description = "`bytes`."))),
        (status = 206, description = "The part that was asked for.",
            body = Vec<u8>, content_type = "audio/x-wav",
            headers(("Content-Range" = String, description = "Which part of how many bytes."))),
        (status = 416, description = "No such part; `Content-Range` says how many bytes there are.",
            body = facade::native::answer::Problem,
            headers(("Content-Range" = String, description = "`bytes */` and their number."))),
        (status = 503, description = "Another server has it and does not answer (`node_away`); or \
            this one is busy, shutting down, or without its store.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn read_recording(
    State(shared): State<Shared>,
    asker: Asker,
    Path(ids): Path<(String, String)>,
) -> Result<Response, Fault> {
    let (call, attempt) = recorded(&shared, &asker, &ids).await?;
    let recording = shared.control.recording(attempt).await.map_err(|error| broken(&ids, &error));
    if let Some((file, length)) = recording? {
        return sent(file, length, asker.range.as_ref())
            .await
            .map_err(|error| broken(&ids, &error));
    }
    elsewhere_or_nowhere(&shared, &asker, (call, attempt)).await
}

/// Deletes the recording of an attempt, whichever server of the database has it.
#[utoipa::path(delete, path = "/v1/calls/{id}/recordings/{attempt}", tag = "calls",
    params(
        ("id" = String, Path, description = "Id of the call."),
        ("attempt" = String, Path, description = "Id of the attempt.")),
    responses(
        (status = 204, description = "It is gone. One that is being made is not deleted."),
        (status = 503, description = "Another server has it and does not answer (`node_away`); or \
            this one is busy, shutting down, or without its store.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn delete_recording(
    State(shared): State<Shared>,
    asker: Asker,
    Path(ids): Path<(String, String)>,
) -> Result<Response, Fault> {
    let (call, attempt) = recorded(&shared, &asker, &ids).await?;
    let deleted = shared.control.delete_recording(attempt).await;
    if deleted.map_err(|error| broken(&ids, &error))? {
        tracing::info!(call.id = %attempt, contact.id = %call, account.id = %asker.account,
            "a recording is deleted as asked");
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    elsewhere_or_nowhere(&shared, &asker, (call, attempt)).await
}

/// Pauses the recording of a call under way: until it goes on, silence is recorded.
#[utoipa::path(post, path = "/v1/calls/{id}/recording/pause", tag = "calls",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 204, description = "Silence is recorded from now on.")))]
pub(crate) async fn pause_recording(
    State(shared): State<Shared>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    set(&shared, &asker, &id, TapeState::Paused).await
}

/// Lets the recording of a call go on.
#[utoipa::path(post, path = "/v1/calls/{id}/recording/resume", tag = "calls",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 204, description = "The call is recorded from now on.")))]
pub(crate) async fn resume_recording(
    State(shared): State<Shared>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    set(&shared, &asker, &id, TapeState::Running).await
}

async fn set(shared: &Parts, asker: &Asker, id: &str, state: TapeState) -> Result<Response, Fault> {
    let call = id.parse().map_err(|_| Fault::not_found("what this address names"))?;
    owned(shared, asker.account, call).await?;
    let nothing = || Fault::not_found("recording under way");
    let attempts = shared.control.reader().attempts(call).await?;
    let live = attempts.last().filter(|attempt| attempt.outcome.is_none());
    let attempt = live.map(|attempt| attempt.id).ok_or_else(nothing)?;
    if shared.control.set_recording(attempt, state) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    elsewhere(shared, asker, attempt).await?.ok_or_else(nothing)
}

/// The ids in an address, where the account has such an attempt.
async fn recorded(
    shared: &Parts,
    asker: &Asker,
    (call, attempt): &(String, String),
) -> Result<(ContactId, AttemptId), Fault> {
    let nothing = || Fault::not_found("recording");
    let call = call.parse().map_err(|_| nothing())?;
    let attempt = attempt.parse().map_err(|_| nothing())?;
    owned(shared, asker.account, call).await?;
    let attempts = shared.control.reader().attempts(call).await?;
    let known = attempts.iter().any(|known| known.id == attempt);
    known.then_some((call, attempt)).ok_or_else(nothing)
}

/// Refuses calls of others as if they did not exist.
async fn owned(shared: &Parts, account: AccountId, call: ContactId) -> Result<(), Fault> {
    let contact = shared.control.reader().contact(account, call).await?;
    contact.map(drop).ok_or_else(|| Fault::not_found("call"))
}

/// What the server that made an attempt answers; or which one kept what is nowhere any more.
async fn elsewhere_or_nowhere(
    shared: &Parts,
    asker: &Asker,
    (call, attempt): (ContactId, AttemptId),
) -> Result<Response, Fault> {
    match elsewhere(shared, asker, attempt).await? {
        Some(response) => Ok(response),
        None => Err(not_here(shared, call, attempt).await?),
    }
}

/// What the server that made an attempt answers; `None`: it is this one, or has no such thing.
async fn elsewhere(
    shared: &Parts,
    asker: &Asker,
    attempt: AttemptId,
) -> Result<Option<Response>, Fault> {
    if asker.is_peer {
        return Ok(None);
    }
    let Some(place) = shared.control.other_keeper(attempt).await? else {
        return Ok(None);
    };
    let asked = (&asker.method, asker.path.as_str());
    let relayed =
        shared.control.ask_peer(place.clone(), asker.account, asked, asker.range.as_ref());
    let relayed = relayed.await?;
    let mut response = match relayed.status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
            Body::from_stream(relayed.body).into_response()
        }
        StatusCode::NO_CONTENT => StatusCode::NO_CONTENT.into_response(),
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::RANGE_NOT_SATISFIABLE => behind_the_end(relayed.headers.get(CONTENT_RANGE)),
        status => {
            tracing::warn!(node = place.node, %status, "another server cannot give a recording");
            let detail = format!("server {} has it, and answers {status}", place.node);
            return Err(away(detail));
        }
    };
    if relayed.status.is_success() {
        *response.status_mut() = relayed.status;
        copy(&relayed.headers, response.headers_mut());
    }
    Ok(Some(response))
}

fn copy(from: &HeaderMap, into: &mut HeaderMap) {
    for name in PASSED_ON {
        if let Some(value) = from.get(&name) {
            into.insert(name, value.clone());
        }
    }
    into.insert(CACHE_CONTROL, PRIVATE);
}

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// A file, or the part of it that is wanted, read as the client takes it.
async fn sent(
    mut file: File,
    length: u64,
    range: Option<&HeaderValue>,
) -> Result<Response, std::io::Error> {
    let wanted = Wanted::of(range.and_then(|range| range.to_str().ok()), length);
    let (status, first, bytes) = match wanted {
        Wanted::Nothing => {
            let all = HeaderValue::from_str(&format!("bytes */{length}")).ok();
            return Ok(behind_the_end(all.as_ref()));
        }
        Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Whole => (StatusCode::OK, 0, length),
    };
    file.seek(SeekFrom::Start(first))?;
    let part = tokio::fs::File::from_std(file).take(bytes);
    let body = Body::from_stream(ReaderStream::with_capacity(part, CHUNK_BYTES));
    let mut response = (status, [(CONTENT_TYPE, WAV)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, bytes.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, PRIVATE);
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first + bytes - 1;
        if let Ok(told) = HeaderValue::from_str(&format!("bytes {first}-{last}/{length}")) {
            headers.insert(CONTENT_RANGE, told);
        }
    }
    Ok(response)
}

fn behind_the_end(content_range: Option<&HeaderValue>) -> Response {
    let detail = "the range begins behind the end, Content-Range says how many bytes there are";
    let mut response = Fault::new(ProblemCode::RangeNotSatisfiable, detail).into_response();
    if let Some(value) = content_range {
        response.headers_mut().insert(CONTENT_RANGE, value.clone());
    }
    response
}

fn broken((_, attempt): &(String, String), error: &std::io::Error) -> Fault {
    tracing::error!(call.id = %attempt, %error, "a recording cannot be read or removed");
    Fault::not_found("recording")
}

/// Says which server keeps a recording that this one has not.
async fn not_here(shared: &Parts, call: ContactId, attempt: AttemptId) -> Result<Fault, Fault> {
    let events = shared.control.reader().events(call).await?;
    let of_attempt = events.iter().filter(|event| event.attempt == Some(attempt));
    let mut kept_at = of_attempt.filter_map(|event| Some(event.recording()?.kept_at));
    let Some(host) = kept_at.next_back().filter(|host| !host.is_empty()) else {
        return Ok(Fault::not_found("recording"));
    };
    let detail = format!(
        "the recording was made by the server at {host}, which keeps it as long as its settings \
         say; it is not here"
    );
    Ok(Fault::new(ProblemCode::NotFound, detail))
}

fn away(detail: String) -> Fault {
    Fault { retry_after_s: Some(AWAY_RETRY_S), ..Fault::new(ProblemCode::NodeAway, detail) }
}

impl From<PeerError> for Fault {
    fn from(error: PeerError) -> Self {
        let told = error.to_string();
        let (place, why) = match error {
            PeerError::Store(error) => return error.into(),
            PeerError::Away { place, .. } => (place, "does not answer"),
            PeerError::Stranger(place) => (place, "is not found at its address"),
            PeerError::Unplaced(place) => (place, "has not said where it is asked"),
        };
        // Addresses of our own networks are in the log, not in an answer to anybody.
        tracing::warn!("a recording cannot be had: {told}");
        away(format!(
            "server {} made this call and keeps its recording, and {why}; it was last heard at {}",
            place.node,
            rfc_3339(place.seen_at)
        ))
    }
}
