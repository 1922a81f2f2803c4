//! Recordings of calls: had as WAV files, paused while a callee says what is nobody's business.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use domain::ids::{AccountId, AttemptId, ContactId};
use engine::config::TapeState;
use facade::native::problem::ProblemCode;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::error::Fault;
use crate::native::{Caller, Id};
use crate::{Parts, Shared};

/// Fetches the recording of an attempt.
#[utoipa::path(get, path = "/v1/calls/{id}/recordings/{attempt}", tag = "calls",
    params(
        ("id" = String, Path, description = "Id of the call."),
        ("attempt" = String, Path, description = "Id of the attempt.")),
    responses((status = 200, description = "The recording: mu-law, 8 kHz, one channel or two.",
        body = Vec<u8>, content_type = "audio/x-wav")))]
pub(crate) async fn read_recording(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Path((call, attempt)): Path<(String, String)>,
) -> Result<Response, Fault> {
    let nothing = || Fault::not_found("recording");
    let (call, attempt): (ContactId, AttemptId) =
        (call.parse().map_err(|_| nothing())?, attempt.parse().map_err(|_| nothing())?);
    owned(&shared, account, call).await?;
    let attempts = shared.control.reader().attempts(call).await?;
    if !attempts.iter().any(|known| known.id == attempt) {
        return Err(nothing());
    }
    let recording = shared.control.recording(attempt).await.map_err(|error| {
        tracing::error!(call.id = %attempt, %error, "a recording cannot be read");
        nothing()
    })?;
    let headers = [(CONTENT_TYPE, "audio/x-wav"), (CACHE_CONTROL, "private, no-store")];
    match recording {
        Some(bytes) => Ok((headers, bytes).into_response()),
        None => Err(elsewhere(&shared, call, attempt).await?.unwrap_or_else(nothing)),
    }
}

/// Says which server keeps a recording that this one has not.
async fn elsewhere(
    shared: &Parts,
    call: ContactId,
    attempt: AttemptId,
) -> Result<Option<Fault>, Fault> {
    let events = shared.control.reader().events(call).await?;
    let of_attempt = events.iter().filter(|event| event.attempt == Some(attempt));
    let mut kept_at = of_attempt.filter_map(|event| Some(event.recording()?.kept_at));
    let kept_at = kept_at.next_back().filter(|host| !host.is_empty());
    Ok(kept_at.map(|host| {
        let detail = format!(
            "the recording was made by the server at {host}, which keeps it as long as its \
             settings say; it is not here"
        );
        Fault::new(ProblemCode::NotFound, detail)
    }))
}

/// Pauses the recording of a call under way: until it goes on, silence is recorded.
#[utoipa::path(post, path = "/v1/calls/{id}/recording/pause", tag = "calls",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 204, description = "Silence is recorded from now on.")))]
pub(crate) async fn pause_recording(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ContactId>,
) -> Result<StatusCode, Fault> {
    set(&shared, account, id, TapeState::Paused).await
}

/// Lets the recording of a call go on.
#[utoipa::path(post, path = "/v1/calls/{id}/recording/resume", tag = "calls",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 204, description = "The call is recorded from now on.")))]
pub(crate) async fn resume_recording(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ContactId>,
) -> Result<StatusCode, Fault> {
    set(&shared, account, id, TapeState::Running).await
}

async fn set(
    shared: &Parts,
    account: AccountId,
    call: ContactId,
    state: TapeState,
) -> Result<StatusCode, Fault> {
    owned(shared, account, call).await?;
    let attempts = shared.control.reader().attempts(call).await?;
    let live = attempts.last().map(|attempt| attempt.id);
    match live.is_some_and(|attempt| shared.control.set_recording(attempt, state)) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Fault::not_found("recording under way")),
    }
}

/// Refuses calls of others as if they did not exist.
async fn owned(shared: &Parts, account: AccountId, call: ContactId) -> Result<(), Fault> {
    let contact = shared.control.reader().contact(account, call).await?;
    contact.map(drop).ok_or_else(|| Fault::not_found("call"))
}
