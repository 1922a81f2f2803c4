//! A server for tests: answers on loopback, byte by byte as the test says, and remembers what it
//! heard.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// What a client said.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What the server says to it.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes; the connection stays open for the next request.
    Say(String),
    /// These bytes, once the test says so.
    SayWhen(Arc<Notify>, String),
    /// These bytes, then the end.
    SayAndClose(String),
    /// These bytes, then nothing more.
    SayAndHang(String),
    /// The first bytes at once, then one of the others each time.
    Drip(String, String, Duration),
    /// The first bytes, then these again and again.
    Endless(String, Vec<u8>),
    /// The connection is reset.
    Reset,
}

pub(crate) type Answers = dyn Fn(&Heard) -> Reply + Send + Sync;

/// A running server; ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Bytes of endless answers that went out.
    pub(crate) sent: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<Heard>>>,
    news: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(answers: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, answers).await
    }

    pub(crate) async fn start_with(
        tls: Option<TlsAcceptor>,
        answers: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            sent: Arc::default(),
            heard: Arc::default(),
            news: Arc::default(),
            _tasks: JoinSet::new(),
        };
        let (connections, sent) = (server.connections.clone(), server.sent.clone());
        let (heard, news) = (server.heard.clone(), server.news.clone());
        let answers: Arc<Answers> = Arc::new(answers);
        server._tasks.spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let serving = Serving {
                    sent: sent.clone(),
                    heard: heard.clone(),
                    news: news.clone(),
                    answers: answers.clone(),
                };
                let tls = tls.clone();
                clients.spawn(async move {
                    match tls {
                        None => serving.run(tcp, reset).await,
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(tls) => serving.run(tls, |tls| reset(tls.get_ref().0)).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// The same under another name for its host.
    pub(crate) fn url_as(&self, scheme: &str, host: &str, path: &str) -> Url {
        Url::parse(&format!("{scheme}://{host}:{}{path}", self.address.port())).unwrap()
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn heard_requests(&self, count: usize) {
        loop {
            let news = self.news.notified();
            if self.heard.lock().unwrap().len() >= count {
                return;
            }
            news.await;
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An answer with a body and its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn ok(body: &str) -> Reply {
    Reply::Say(answer("200 OK", "Content-Type: text/plain\r\n", body))
}

pub(crate) fn status(status: &str) -> Reply {
    Reply::Say(answer(status, "", ""))
}

/// Closing then sends RST instead of FIN.
fn reset(tcp: &TcpStream) {
    SockRef::from(tcp).set_linger(Some(Duration::ZERO)).unwrap();
}

struct Serving {
    sent: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<Heard>>>,
    news: Arc<Notify>,
    answers: Arc<Answers>,
}

impl Serving {
    async fn run<S>(self, mut stream: S, reset: impl Fn(&S)) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut unread = Vec::new();
        loop {
            let heard = read(&mut stream, &mut unread).await?;
            let reply = (self.answers)(&heard);
            self.heard.lock().unwrap().push(heard);
            self.news.notify_waiters();
            match reply {
                Reply::Say(text) => stream.write_all(text.as_bytes()).await.ok()?,
                Reply::SayWhen(now, text) => {
                    now.notified().await;
                    stream.write_all(text.as_bytes()).await.ok()?;
                }
                Reply::SayAndClose(text) => {
                    stream.write_all(text.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()?;
                    return None;
                }
                Reply::SayAndHang(text) => {
                    stream.write_all(text.as_bytes()).await.ok()?;
                    stream.read_to_end(&mut unread).await.ok()?;
                }
                Reply::Drip(first, rest, every) => {
                    stream.write_all(first.as_bytes()).await.ok()?;
                    for byte in rest.bytes() {
                        sleep(every).await;
                        stream.write_all(&[byte]).await.ok()?;
                    }
                }
                Reply::Endless(first, again) => {
                    stream.write_all(first.as_bytes()).await.ok()?;
                    loop {
                        stream.write_all(&again).await.ok()?;
                        self.sent.fetch_add(again.len(), Ordering::SeqCst);
                    }
                }
                Reply::Reset => {
                    reset(&stream);
                    return None;
                }
            }
        }
    }
}

/// The next request; `None` when the client has gone.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, unread: &mut Vec<u8>) -> Option<Heard> {
    loop {
        if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8(unread[..end].to_vec()).unwrap();
            let length = length_of(&head);
            if unread.len() >= end + 4 + length {
                let body = unread[end + 4..end + 4 + length].to_vec();
                unread.drain(..end + 4 + length);
                let body = String::from_utf8(body).unwrap();
                return Some(Heard { head, body });
            }
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
}

fn length_of(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().unwrap())
}

impl Heard {
    /// `GET /path`.
    pub(crate) fn asked(&self) -> &str {
        let line = self.head.lines().next().unwrap();
        line.strip_suffix(" HTTP/1.1").unwrap()
    }

    /// The value of a header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}
