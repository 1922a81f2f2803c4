//! Outgoing HTTP: what may be reached, how long it may take, how much may come back.

mod address;
mod check;
mod connect;
pub(crate) mod cookies;
pub(crate) mod date;
pub(crate) mod inner;
mod names;
mod policy;
pub(crate) mod slots;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap,
    HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use url::Url;

pub use self::address::{Network, NetworkError};
pub use self::check::CheckError;
pub use self::cookies::CookieJar;
pub use self::policy::{DENIED_PORTS, HttpPolicy, Refusal};

use self::check::Checks;
pub(crate) use self::connect::tls_config;
use self::connect::{Connector, client_error, transfer_error};
use self::names::Names;
use self::policy::Target;
use self::slots::Slots;
use crate::clock::Clock;

/// Asks other servers, within limits; clones share connections and limits.
///
/// Proxies named in the environment are not used: what may be reached is decided here.
#[derive(Clone)]
pub struct HttpClient(Arc<Shared>);

struct Shared {
    clock: Clock,
    connector: Connector,
    pool: Client<Connector, Full<Bytes>>,
    slots: [Slots; Purpose::COUNT],
    checks: Checks,
}

/// What an answer is for; decides how much of it is read, how long, and whether redirects count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A recording to be played.
    Audio,
    /// Whether an address answers 200, before something is queued for it.
    Check,
    /// A page of a script.
    Page,
    /// A result that a client is owed.
    Webhook,
}

/// One thing to ask for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where; its fragment is not sent.
    pub url: Url,
    /// How.
    pub method: Method,
    /// Headers beside those that every request has.
    pub headers: HeaderMap,
    /// What the answer is for.
    pub purpose: Purpose,
    /// How long all of it may take; also how long the server may be silent. `None`: as the purpose
    /// says. At most [`TIME_MAX`].
    pub timeout: Option<Duration>,
    /// Cookies to send, and where those of the answer go.
    pub cookies: Option<CookieJar>,
}

/// How something is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST of a body.
    Post {
        /// Its media type.
        content_type: HeaderValue,
        /// The body.
        body: Bytes,
    },
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status, whatever it is.
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: Url,
    /// The `Content-Type` as it stands, parameters included; empty where there is none.
    pub content_type: String,
    /// The body; for checks and webhooks only as much as their limit.
    pub body: Bytes,
    /// All headers.
    pub headers: HeaderMap,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection broke off. The server or the network repairs it.
    #[error("connection broke: {0}")]
    Broken(String),
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(#[source] Arc<io::Error>),
    /// The server does not speak HTTP as it should.
    #[error("server's answer is not valid: {0}")]
    Protocol(String),
    /// The address may not be asked. Whoever wrote it repairs it, or the operator allows it.
    #[error("address is not permitted: {0}")]
    Refused(#[from] Refusal),
    /// The name is not known, or nobody who knows it answers.
    #[error("host cannot be found: {0}")]
    Resolve(String),
    /// The server took too long.
    #[error("no answer in time, {0}")]
    Timeout(Phase),
    /// No trust: the server's certificate or the handshake is not right.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// More than is wanted of such an answer.
    #[error("answer is larger than {limit} bytes")]
    TooLarge {
        /// What is read at most.
        limit: usize,
    },
    /// One redirect after another.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// How many are followed.
        limit: usize,
    },
}

/// What was waited for when time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The rest of the body.
    Body,
    /// A connection: name, TCP, TLS.
    Connect,
    /// Status and headers.
    Headers,
    /// A turn among the other requests to this host.
    Turn,
}

impl HttpClient {
    /// A client that reaches what `policy` permits; reads the system's authorities and resolver.
    ///
    /// Fails if one of the policy's own certificates is not valid, or there is no resolver.
    pub fn new(policy: HttpPolicy, clock: Clock) -> io::Result<Self> {
        let tls = tls_config(&policy.extra_roots, true).map_err(io::Error::other)?;
        let names = Names::system().map_err(io::Error::other)?;
        Ok(Self::with(Connector::new(policy, names, tls), clock))
    }

    fn with(connector: Connector, clock: Clock) -> Self {
        let pool = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http1_max_buf_size(HEADER_BYTES_MAX)
            .http1_max_headers(HEADERS_MAX)
            .build(connector.clone());
        let slots = Purpose::ALL.map(|purpose| Slots::new(purpose.per_host_max()));
        Self(Arc::new(Shared { clock, connector, pool, slots, checks: Checks::default() }))
    }

    /// Asks, and follows redirects where the purpose permits them; any status is an answer.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let purpose = request.purpose;
        let url = request.url.clone();
        let time_max = request.timeout.unwrap_or(purpose.time_max()).min(TIME_MAX);
        let mut phase = Phase::Turn;
        let answer = match timeout(time_max, self.follow(request, &mut phase)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Timeout(phase)),
        };
        let result = answer.as_ref().map_or_else(HttpError::name, |_| "answered");
        metrics::counter!(
            "outdial_outgoing_requests_total", "purpose" => purpose.name(), "result" => result
        )
        .increment(1);
        if let Err(HttpError::Refused(refusal)) = &answer {
            refusal.note(&url, purpose);
        }
        answer
    }

    async fn follow(&self, mut request: Request, phase: &mut Phase) -> Result<Answer, HttpError> {
        let limit = request.purpose.redirects_max();
        for _ in 0..=limit {
            let answer = self.ask(&request, phase).await?;
            match redirect(&answer)? {
                Some(url) if limit > 0 => request = redirected(request, answer.status, url),
                _ => return Ok(answer),
            }
        }
        Err(HttpError::TooManyRedirects { limit })
    }

    /// One request and its answer.
    async fn ask(&self, request: &Request, phase: &mut Phase) -> Result<Answer, HttpError> {
        let shared = &*self.0;
        let target = shared.connector.policy().target(&request.url)?;
        let message = message(request, shared)?;
        *phase = Phase::Turn;
        let slots = &shared.slots[request.purpose as usize];
        let _slot = slots.take(&host_of(&target)).await;
        *phase = Phase::Connect;
        let response = self.exchange(message, request, phase).await?;
        let (head, body) = response.into_parts();
        if let Some(cookies) = &request.cookies {
            cookies.take(&request.url, &head.headers, shared.clock.now());
        }
        *phase = Phase::Body;
        let body = match request.purpose {
            // The status has said all; the rest is read to keep the connection, not waited for.
            Purpose::Check => {
                let reading = read_body(&head.headers, body, request.purpose);
                timeout(LEFTOVER_TIME_MAX, reading)
                    .await
                    .ok()
                    .and_then(Result::ok)
                    .unwrap_or_default()
            }
            purpose => read_body(&head.headers, body, purpose).await?,
        };
        let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        Ok(Answer {
            status: head.status.as_u16(),
            url: request.url.clone(),
            content_type: String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned(),
            body,
            headers: head.headers,
        })
    }

    /// Sends and waits for status and headers, each part in its own time.
    async fn exchange(
        &self,
        mut message: http::Request<Full<Bytes>>,
        request: &Request,
        phase: &mut Phase,
    ) -> Result<http::Response<Incoming>, HttpError> {
        let mut connected = capture_connection(&mut message);
        let mut answer = pin!(self.0.pool.request(message));
        let connected = async move {
            connected.wait_for_connection_metadata().await;
        };
        let answered = tokio::select! {
            biased;
            answered = &mut answer => answered,
            () = connected => {
                *phase = Phase::Headers;
                // A script that grants more time grants it to a slow server as well.
                let silence_max = request.timeout.unwrap_or(HEADERS_TIME_MAX);
                timeout(silence_max, answer)
                    .await
                    .map_err(|_| HttpError::Timeout(Phase::Headers))?
            }
        };
        answered.map_err(|error| client_error(&error))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("policy", self.0.connector.policy()).finish()
    }
}

impl Purpose {
    const COUNT: usize = 4;
    /// In the order of their numbers, by which slots are found.
    const ALL: [Self; Self::COUNT] = [Self::Audio, Self::Check, Self::Page, Self::Webhook];

    const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Check => "check",
            Self::Page => "page",
            Self::Webhook => "webhook",
        }
    }

    /// Largest body that is read, in bytes; behind it, see [`Self::cuts`].
    const fn body_max(self) -> usize {
        match self {
            // Ten minutes of 16-bit speech at 8 kHz.
            Self::Audio => 10_000_000,
            // Enough to keep the connection of a small page.
            Self::Check => 16_384,
            Self::Page => 1_000_000,
            // One word is wanted.
            Self::Webhook => 16_384,
        }
    }

    /// Whether a longer body is cut there; for others it is an error.
    const fn cuts(self) -> bool {
        match self {
            Self::Audio | Self::Page => false,
            Self::Check | Self::Webhook => true,
        }
    }

    const fn redirects_max(self) -> usize {
        match self {
            Self::Audio | Self::Page => 3,
            Self::Check | Self::Webhook => 0,
        }
    }

    /// Time for all of it, redirects included.
    const fn time_max(self) -> Duration {
        match self {
            Self::Audio | Self::Page | Self::Webhook => Duration::from_secs(15),
            Self::Check => Duration::from_secs(9),
        }
    }

    /// Requests to one host at once. Each purpose has its own, so that results of yesterday's
    /// calls never stand before the pages of today's.
    const fn per_host_max(self) -> usize {
        match self {
            Self::Audio | Self::Page => 512,
            Self::Check => 4,
            Self::Webhook => 16,
        }
    }

    const fn accept(self) -> &'static str {
        match self {
            Self::Audio => "audio/*, */*;q=0.5",
            Self::Check | Self::Webhook => "*/*",
            Self::Page => {
                "application/voicexml+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
            }
        }
    }
}

impl Request {
    /// A GET with no more headers than every request has.
    pub fn get(url: Url, purpose: Purpose) -> Self {
        Self {
            url,
            method: Method::Get,
            headers: HeaderMap::new(),
            purpose,
            timeout: None,
            cookies: None,
        }
    }

    /// A POST of `body` with no more headers than every request has.
    pub fn post(url: Url, content_type: HeaderValue, body: Bytes, purpose: Purpose) -> Self {
        Self { method: Method::Post { content_type, body }, ..Self::get(url, purpose) }
    }
}

impl HttpError {
    /// The name under which errors are counted.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Broken(_) => "broken",
            Self::Connect(_) => "connect",
            Self::Protocol(_) => "protocol",
            Self::Refused(_) => "refused",
            Self::Resolve(_) => "resolve",
            Self::Timeout(_) => "timeout",
            Self::Tls(_) => "tls",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyRedirects { .. } => "too_many_redirects",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "while its body came",
            Self::Connect => "while connecting",
            Self::Headers => "not even its status",
            Self::Turn => "too many other requests to this host",
        })
    }
}

/// The request as it goes out.
fn message(request: &Request, shared: &Shared) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let uri: http::Uri = request.url.as_str().parse().map_err(|_| Refusal::Signs)?;
    let (method, body) = match &request.method {
        Method::Get => (http::Method::GET, Bytes::new()),
        Method::Post { body, .. } => (http::Method::POST, body.clone()),
    };
    let mut message = http::Request::new(Full::new(body));
    *message.method_mut() = method;
    *message.uri_mut() = uri;
    let headers = message.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("Outdial"));
    headers.insert(ACCEPT, HeaderValue::from_static(request.purpose.accept()));
    if let Method::Post { content_type, .. } = &request.method {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    headers.extend(request.headers.clone());
    let cookies = request.cookies.as_ref();
    if let Some(header) = cookies.and_then(|jar| jar.header(&request.url, shared.clock.now())) {
        headers.insert(COOKIE, header);
    }
    Ok(message)
}

/// The name under which requests of one host are counted.
fn host_of(target: &Target) -> String {
    format!("{}:{}", target.host, target.port)
}

/// Where the answer sends us, if it does.
fn redirect(answer: &Answer) -> Result<Option<Url>, HttpError> {
    let location = match answer.status {
        301 | 302 | 303 | 307 | 308 => answer.headers.get(LOCATION),
        _ => None,
    };
    let Some(location) = location else { return Ok(None) };
    let url = std::str::from_utf8(location.as_bytes())
        .ok()
        .and_then(|location| answer.url.join(location).ok())
        .ok_or_else(|| HttpError::Protocol("its redirect is no address".to_owned()))?;
    Ok(Some(url))
}

/// The next request of a chain: a form is posted again only where the status says so (RFC 9110
/// §15.4), and what is meant for one server is not told to another.
fn redirected(mut request: Request, status: u16, mut url: Url) -> Request {
    url.set_fragment(None);
    if !matches!(status, 307 | 308) {
        request.method = Method::Get;
    }
    if url.origin() != request.url.origin() {
        for name in CREDENTIALS {
            request.headers.remove(name);
        }
    }
    request.url = url;
    request
}

/// Reads what the purpose needs, never more.
async fn read_body(
    headers: &HeaderMap,
    mut body: Incoming,
    purpose: Purpose,
) -> Result<Bytes, HttpError> {
    let limit = purpose.body_max();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .unwrap_or(0);
    let too_large = usize::try_from(announced).map_or(true, |announced| announced > limit);
    if !purpose.cuts() {
        // We never ask for it, and what is small on the wire may be endless unpacked.
        if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|it| *it != "identity") {
            let reason = format!("it is encoded as {encoding:?}, which was not asked for");
            return Err(HttpError::Protocol(reason));
        }
        if too_large {
            return Err(HttpError::TooLarge { limit });
        }
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| transfer_error(&error))?;
        let Ok(part) = frame.into_data() else { continue };
        let rest = limit - whole.len();
        if part.len() <= rest {
            whole.extend_from_slice(&part);
        } else if purpose.cuts() {
            whole.extend_from_slice(&part[..rest]);
            break;
        } else {
            return Err(HttpError::TooLarge { limit });
        }
    }
    Ok(whole.freeze())
}

/// Longest time that a script may grant a fetch; a callee listens to nothing meanwhile.
pub const TIME_MAX: Duration = Duration::from_secs(120);
/// Longest silence before status and headers, unless the request grants more.
const HEADERS_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time for the body of an answer whose status was all that was wanted.
const LEFTOVER_TIME_MAX: Duration = Duration::from_secs(1);
/// Connections without use are closed after this. The common servers close theirs after 5 s or
/// more; who closes first never sends a request into a connection that is about to end.
const IDLE_TIME_MAX: Duration = Duration::from_secs(4);
/// Connections kept for one host without use.
const IDLE_PER_HOST_MAX: usize = 64;
/// Longest status line and headers together, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1_024;
/// Most headers of one answer.
const HEADERS_MAX: usize = 100;
/// Headers that are meant for one server alone.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
