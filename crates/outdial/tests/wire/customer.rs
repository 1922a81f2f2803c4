//! A customer's application: pages, recordings and a place for results, each as a test wants it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{at, port, until, within};

/// Media type of pages.
const VXML: &str = "application/voicexml+xml";

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Behind the path, empty without.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The fields of a posted form.
    pub(crate) fields: BTreeMap<String, String>,
    /// The body as it came.
    pub(crate) body: String,
    raw: Bytes,
}

impl Asked {
    /// A part of a posted form with parts: its media type, empty without one, and what is in it.
    pub(crate) fn part(&self, name: &str) -> (String, Vec<u8>) {
        let first = self.raw.windows(2).position(|pair| pair == b"\r\n").expect("a boundary");
        let boundary = [b"\r\n", &self.raw[..first]].concat();
        let head = format!("name=\"{name}\"");
        let find = |from: usize, what: &[u8]| {
            let rest = &self.raw[from..];
            let at = rest.windows(what.len()).position(|window| window == what);
            from + at.unwrap_or_else(|| panic!("no part {name}"))
        };
        let head_at = find(0, head.as_bytes());
        let begin = find(head_at, b"\r\n\r\n") + 4;
        let end = find(begin - 2, &boundary);
        let head = String::from_utf8_lossy(&self.raw[head_at..begin]).into_owned();
        let media_type = head.split("Content-Type: ").nth(1).unwrap_or_default();
        let media_type = media_type.split("\r\n").next().unwrap_or_default().to_owned();
        (media_type, self.raw[begin..end.max(begin)].to_vec())
    }

    /// A field, empty if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Which call a result is of, in either of the forms that results have.
    pub(crate) fn call_id(&self) -> String {
        let id = || {
            let event: serde_json::Value = serde_json::from_str(&self.body).ok()?;
            Some(event["data"]["id"].as_str()?.to_owned())
        };
        id().unwrap_or_else(|| self.field("call_id").to_owned())
    }

    fn is_result(&self) -> bool {
        self.method == "POST" && self.path == "/result"
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status and a body of this type.
    Send(u16, &'static str, Bytes),
    /// A status, further lines of the head by name and value, and a body of this type.
    Kept(u16, &'static [(&'static str, &'static str)], &'static str, Bytes),
    /// Something, once the test says so.
    Later(Arc<Notify>, Box<Self>),
    /// Nothing, until the client gives up.
    Hang,
    /// A redirect to there.
    Redirect(String),
    /// A body without end, so many bytes at a time, with a pause after each.
    Endless(usize, Duration),
}

impl Reply {
    /// A VoiceXML page.
    pub(crate) fn page(text: impl Into<String>) -> Self {
        Self::Send(200, VXML, text.into().into())
    }

    /// A text.
    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self::Send(status, "text/plain", text.to_owned().into())
    }

    /// A recording.
    pub(crate) fn wav(bytes: Vec<u8>) -> Self {
        Self::Send(200, "audio/wav", bytes.into())
    }
}

/// The application.
pub(crate) struct Customer {
    shared: Arc<Shared>,
    address: SocketAddr,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    replies: Mutex<HashMap<(String, String), VecDeque<Reply>>>,
    changed: Notify,
}

impl Customer {
    /// An application whose start page is this one. GET is answered 200 everywhere, results are
    /// acknowledged.
    pub(crate) async fn open(start_page: &str) -> Self {
        let mut customer = Self { shared: Arc::default(), address: at(port()), serving: None };
        customer.reply("POST", "/start", [Reply::page(start_page)]);
        customer.reply("POST", "/result", [Reply::text(200, "completed")]);
        customer.reopen().await;
        customer
    }

    /// Opens the door again.
    pub(crate) async fn reopen(&mut self) {
        assert!(self.serving.is_none(), "the application is open");
        // A process that was started at the moment of closing keeps the port a little longer.
        let bind = async || TcpListener::bind(self.address).await.ok();
        let listener = until("the application's port is free", bind).await;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        let (close, closed) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            closed.await.ok();
        });
        let task = tokio::spawn(async move { serving.await.unwrap() });
        self.serving = Some((close, task));
    }

    /// Closes the door: nobody is let in, and connections under way end.
    pub(crate) async fn close(&mut self) {
        let (close, task) = self.serving.take().expect("the application is open");
        close.send(()).ok();
        within("the application is closed", task).await.unwrap();
    }

    /// The address of one of its pages.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers requests of this kind one after the other so; the last one stays.
    pub(crate) fn reply(&self, method: &str, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let key = (method.to_owned(), path.to_owned());
        self.shared.replies.lock().unwrap().insert(key, replies.into_iter().collect());
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The results so far.
    pub(crate) fn results(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(Asked::is_result).collect()
    }

    /// Waits until `look` finds something in what was asked.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&[Asked]) -> Option<T>,
    ) -> T {
        within(what, async {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(found) = look(&self.shared.asked.lock().unwrap()) {
                    return found;
                }
                changed.await;
            }
        })
        .await
    }

    /// Waits for a POST to this path; the first one.
    pub(crate) async fn posted(&self, path: &str) -> Asked {
        self.until(&format!("{path} is asked"), |asked| {
            asked.iter().find(|one| one.method == "POST" && one.path == path).cloned()
        })
        .await
    }

    /// Waits for the results of `count` different calls; the last one of each, by call_id.
    pub(crate) async fn results_of(&self, count: usize) -> BTreeMap<String, Asked> {
        self.until(&format!("{count} results have come"), |asked| {
            let results = asked.iter().filter(|one| one.is_result());
            let by_call: BTreeMap<String, Asked> =
                results.map(|one| (one.call_id(), one.clone())).collect();
            (by_call.len() >= count).then_some(by_call)
        })
        .await
    }

    /// Waits for the only result.
    pub(crate) async fn result(&self) -> Asked {
        self.results_of(1).await.into_values().next().expect("there is one")
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    let fields = url::form_urlencoded::parse(&body).into_owned().collect();
    let asked = Asked {
        at: Instant::now(),
        method: method.clone(),
        path: path.clone(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        fields,
        body: String::from_utf8_lossy(&body).into_owned(),
        raw: body,
    };
    let reply = {
        let mut replies = shared.replies.lock().unwrap();
        match replies.get_mut(&(method.clone(), path)) {
            Some(row) if row.len() > 1 => row.pop_front(),
            Some(row) => row.front().cloned(),
            None => None,
        }
    };
    shared.asked.lock().unwrap().push(asked);
    shared.changed.notify_waiters();
    let status = if method == "GET" { 200 } else { 404 };
    let reply = reply.unwrap_or_else(|| Reply::text(status, "ready"));
    send(reply).await
}

async fn send(reply: Reply) -> Response {
    let response = |status: u16| Response::builder().status(status);
    match reply {
        Reply::Send(status, content_type, body) => {
            response(status).header("content-type", content_type).body(Body::from(body)).unwrap()
        }
        Reply::Kept(status, lines, content_type, body) => {
            let head = response(status).header("content-type", content_type);
            let head = lines.iter().fold(head, |head, (name, value)| head.header(*name, *value));
            head.body(Body::from(body)).unwrap()
        }
        Reply::Later(when, reply) => {
            when.notified().await;
            Box::pin(send(*reply)).await
        }
        Reply::Hang => std::future::pending().await,
        Reply::Redirect(to) => response(302).header("location", to).body(Body::empty()).unwrap(),
        Reply::Endless(bytes, pause) => {
            let (mut writer, reader) = tokio::io::duplex(bytes.max(1));
            tokio::spawn(async move {
                let (piece, mut pace) = (vec![b' '; bytes], tokio::time::interval(pause));
                while tokio::io::AsyncWriteExt::write_all(&mut writer, &piece).await.is_ok() {
                    pace.tick().await;
                }
            });
            let stream = tokio_util::io::ReaderStream::new(reader);
            response(200).header("content-type", VXML).body(Body::from_stream(stream)).unwrap()
        }
    }
}

/// A page that hangs up at once.
pub(crate) const SAYS_NOTHING: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><block><exit/></block></form>
</vxml>"#;

/// A page that plays `/prompt.wav`.
pub(crate) const PLAYS_A_PROMPT: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><block><prompt><audio src="/prompt.wav"/></prompt></block></form>
</vxml>"#;

/// The same, and stays half a second longer: phones keep the last tenth of a second in their jitter
/// buffers and throw it away when they are hung up.
pub(crate) const PLAYS_A_PROMPT_AND_STAYS: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><block><prompt><audio src="/prompt.wav"/><break time="500ms"/></prompt></block></form>
</vxml>"#;
