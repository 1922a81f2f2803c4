//! `outdial lab receiver`: a customer's application that keeps its own record of what it is told.
//!
//! It serves a start page and takes results. Its record is on disk before it answers, so that it can
//! judge the program that calls it; and it can be told to misbehave, as customers' servers do.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use clap::Args;
use engine::clock::Clock;
use http::{Method, StatusCode, header};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::process::{asked_to_end, tell_ready};

/// What a callee hears.
const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml"><form><block/></form></vxml>"#;
/// How long an answer is held back that hangs.
const HANG_TIME: Duration = Duration::from_secs(600);
/// Bytes of a page that has no end worth waiting for.
const HUGE_BYTES: usize = 32 * 1_024 * 1_024;

/// Where it is, and where its record goes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address and port of HTTP.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    bind: SocketAddr,
    /// Write what it is told into this file, as JSON lines, on disk before it is answered.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Write the address into this file, as JSON, once it is up.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// How it misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 500.
    Broken,
    /// An answer of 32 MiB.
    Huge,
    /// Takes the request and never answers.
    Hangs,
    /// Does not at all.
    None,
    /// Sends the client round in circles.
    Redirects,
    /// 429 with Retry-After.
    Throttles,
    /// 200 with a page that is none.
    Wrong,
}

impl Trouble {
    /// Every way.
    pub(crate) const ALL: [Self; 7] = [
        Self::Broken,
        Self::Huge,
        Self::Hangs,
        Self::None,
        Self::Redirects,
        Self::Throttles,
        Self::Wrong,
    ];

    /// The word by which it is asked for: `POST /trouble/start/hangs`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Huge => "huge",
            Self::Hangs => "hangs",
            Self::None => "none",
            Self::Redirects => "redirects",
            Self::Throttles => "throttles",
            Self::Wrong => "wrong",
        }
    }
}

/// One result that it was told.
#[derive(Debug, Serialize)]
struct Entry<'e> {
    at_ms: i64,
    /// The query of its address, by which clients tell results apart.
    query: &'e str,
    /// Whether it was taken.
    taken: bool,
    body: &'e str,
}

struct Desk {
    clock: Clock,
    log: Mutex<Option<File>>,
    start: Mutex<Trouble>,
    result: Mutex<Trouble>,
}

/// Runs it until SIGTERM or SIGINT.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let log = options.log.as_ref().map(|path| {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| format!("cannot write {}", path.display()))
    });
    let desk = Arc::new(Desk {
        clock: Clock::new(),
        log: Mutex::new(log.transpose()?),
        start: Mutex::new(Trouble::None),
        result: Mutex::new(Trouble::None),
    });
    let listener = TcpListener::bind(options.bind).await;
    let listener = listener.with_context(|| format!("cannot listen at {}", options.bind))?;
    let address = listener.local_addr()?;
    if let Some(file) = &options.ready_file {
        tell_ready(file, &serde_json::json!({ "http": address.to_string() }))?;
    }
    let router = Router::new()
        .route("/start", any(start))
        .route("/result", any(result))
        .route("/trouble/{where}/{word}", post(trouble))
        .with_state(desk);
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        asked = asked_to_end() => asked?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(State(desk): State<Arc<Desk>>, method: Method) -> Response {
    // The look before queueing is no part of the trouble.
    let how = if method == Method::GET { Trouble::None } else { *locked(&desk.start) };
    answer(how, "application/voicexml+xml", PAGE).await
}

async fn result(
    State(desk): State<Arc<Desk>>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    body: String,
) -> Response {
    if method == Method::GET {
        return answer(Trouble::None, "text/plain", "ready").await;
    }
    let how = *locked(&desk.result);
    let at_ms = desk.clock.now().as_millis();
    let taken = how == Trouble::None;
    let entry = Entry { at_ms, query: uri.query().unwrap_or_default(), taken, body: &body };
    if let Err(error) = desk.write(&entry) {
        tracing::error!(%error, "the record cannot be written");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    answer(how, "text/plain", "completed").await
}

async fn trouble(
    State(desk): State<Arc<Desk>>,
    Path((place, word)): Path<(String, String)>,
) -> StatusCode {
    let how = Trouble::ALL.into_iter().find(|how| how.word() == word);
    match (place.as_str(), how) {
        ("start", Some(how)) => *locked(&desk.start) = how,
        ("result", Some(how)) => *locked(&desk.result) = how,
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}

async fn answer(how: Trouble, content_type: &'static str, body: &'static str) -> Response {
    let typed = [(header::CONTENT_TYPE, content_type)];
    match how {
        Trouble::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Trouble::Huge => (typed, Body::from(vec![b' '; HUGE_BYTES])).into_response(),
        Trouble::Hangs => {
            tokio::time::sleep(HANG_TIME).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Trouble::None => (typed, body).into_response(),
        Trouble::Redirects => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/start")]).into_response()
        }
        Trouble::Throttles => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response()
        }
        Trouble::Wrong => (typed, "<html>not what you think").into_response(),
    }
}

impl Desk {
    fn write(&self, entry: &Entry<'_>) -> Result<()> {
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        if let Some(file) = locked(&self.log).as_mut() {
            file.write_all(line.as_bytes())?;
            file.sync_data()?;
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
