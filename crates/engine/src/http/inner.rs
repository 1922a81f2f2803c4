//! Requests to other servers of ours: addresses come from operators, and bodies are passed on as
//! they come.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;

use super::address::Network;
use super::connect::{Connector, client_error, tls_config, transfer_error};
use super::names::Names;
use super::policy::HttpPolicy;
use super::{HttpError, Phase};

/// Longest wait for status and headers, connecting included.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest silence within a body.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a connection that nobody uses is kept.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Asks servers of ours; clones share connections.
#[derive(Clone)]
pub(crate) struct InnerClient(Client<Connector, Empty<Bytes>>);

impl InnerClient {
    /// Trusts `extra_roots` beside the authorities of the system.
    pub(crate) fn new(extra_roots: &[CertificateDer<'static>]) -> io::Result<Self> {
        let tls = tls_config(extra_roots, true).map_err(io::Error::other)?;
        let names = Names::system().map_err(io::Error::other)?;
        let anywhere = ["0.0.0.0/0", "::/0"].map(str::parse::<Network>);
        let policy = HttpPolicy {
            allowed: anywhere.into_iter().filter_map(Result::ok).collect(),
            allowed_ports: (1..1_024).collect(),
            denied_ports: Vec::new(),
            own: Vec::new(),
            extra_roots: Vec::new(),
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .build(Connector::new(policy, names, tls));
        Ok(Self(client))
    }

    /// Asks; any status is an answer, redirects are not followed.
    pub(crate) async fn ask(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, HttpError> {
        let answer = pin!(self.0.request(request));
        let answered = timeout(HEAD_TIME_MAX, answer).await;
        let answered = answered.map_err(|_| HttpError::Timeout(Phase::Headers))?;
        answered.map_err(|error| client_error(&error))
    }
}

/// The bytes of a body as they come; one that is silent for too long breaks off.
pub(crate) fn pieces(body: Incoming) -> impl Stream<Item = Result<Bytes, HttpError>> + Send {
    unfold(Some(body), |body| async {
        let mut body = body?;
        loop {
            match timeout(SILENCE_MAX, body.frame()).await {
                Err(_) => return Some((Err(HttpError::Timeout(Phase::Body)), None)),
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(transfer_error(&error)), None)),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => return Some((Ok(bytes), Some(body))),
                    Err(_) => continue,
                },
            }
        }
    })
}
