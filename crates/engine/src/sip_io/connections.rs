//! SIP over TCP and TLS: one task a connection, each reused for all that goes to its peer.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::sip::flow::{Flow, Transport};
use proto::sip::framer::{Frame, Framer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Longest time for a connection to be made, TLS handshake included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// A connection on which nothing was read for so long is closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(900);
/// Messages that wait for a connection to take them; the peer is stuck when there are more.
const WAITING_MAX: usize = 1_024;
/// Connections at once; trunks have few addresses, so more is an attack or a leak.
const CONNECTIONS_MAX: usize = 256;

/// What a connection tells.
#[derive(Debug)]
pub(super) enum Heard {
    /// What the stream brought.
    Frame { flow: Flow, frame: Box<Frame> },
    /// The connection is gone, or was never made.
    Gone { flow: Flow, nth: u64, made: bool },
}

/// All open connections.
pub(super) struct Connections {
    open: HashMap<Flow, Open>,
    tasks: JoinSet<()>,
    heard: mpsc::Sender<Heard>,
    tls: Arc<ClientConfig>,
    opened: u64,
}

struct Open {
    /// Tells a connection from an earlier one to the same peer.
    nth: u64,
    write: mpsc::Sender<Bytes>,
}

impl Connections {
    pub(super) fn new(tls: Arc<ClientConfig>, heard: mpsc::Sender<Heard>) -> Self {
        Self { open: HashMap::new(), tasks: JoinSet::new(), heard, tls, opened: 0 }
    }

    /// Sends on the connection to this peer, which is made if there is none. `false`: it cannot be
    /// sent, now or ever; the flow has failed.
    pub(super) fn send(&mut self, flow: Flow, name: Option<&str>, data: Bytes) -> bool {
        self.reap();
        if !self.open.contains_key(&flow) && !self.connect(flow, name) {
            return false;
        }
        self.open.get(&flow).is_some_and(|open| open.write.try_send(data).is_ok())
    }

    /// Takes in a connection that a peer has made.
    pub(super) fn accept(&mut self, stream: TcpStream, peer: SocketAddr, trunks: &HashSet<IpAddr>) {
        self.reap();
        if !trunks.contains(&peer.ip()) || self.open.len() >= CONNECTIONS_MAX {
            tracing::debug!(%peer, "connection refused");
            return;
        }
        let flow = Flow { transport: Transport::Tcp, peer };
        let (nth, messages) = self.open(flow);
        let heard = self.heard.clone();
        self.tasks.spawn(async move {
            serve(stream, flow, messages, &heard).await;
            heard.send(Heard::Gone { flow, nth, made: true }).await.ok();
        });
    }

    /// Forgets a connection that is gone. `false`: another to the same peer has taken its place.
    pub(super) fn forget(&mut self, flow: Flow, nth: u64) -> bool {
        let current = self.open.get(&flow).is_some_and(|open| open.nth == nth);
        if current {
            self.open.remove(&flow);
        }
        current
    }

    fn open(&mut self, flow: Flow) -> (u64, mpsc::Receiver<Bytes>) {
        let (write, messages) = mpsc::channel(WAITING_MAX);
        self.opened += 1;
        self.open.insert(flow, Open { nth: self.opened, write });
        (self.opened, messages)
    }

    fn connect(&mut self, flow: Flow, name: Option<&str>) -> bool {
        if self.open.len() >= CONNECTIONS_MAX {
            tracing::warn!(%flow, "too many SIP connections");
            return false;
        }
        let tls = match flow.transport {
            Transport::Udp => return false,
            Transport::Tcp => None,
            Transport::Tls => {
                let name = name.map_or_else(|| flow.peer.ip().to_string(), str::to_owned);
                let Ok(name) = ServerName::try_from(name) else {
                    return false;
                };
                Some((TlsConnector::from(Arc::clone(&self.tls)), name))
            }
        };
        let (nth, messages) = self.open(flow);
        let heard = self.heard.clone();
        self.tasks.spawn(async move {
            let served = connect_and_serve(flow, tls, messages, &heard).await;
            if let Err(error) = &served {
                tracing::info!(%flow, %error, "SIP connection failed");
            }
            heard.send(Heard::Gone { flow, nth, made: served.is_ok() }).await.ok();
        });
        true
    }

    fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }
}

async fn connect_and_serve(
    flow: Flow,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    messages: mpsc::Receiver<Bytes>,
    heard: &mpsc::Sender<Heard>,
) -> std::io::Result<()> {
    let connect = async {
        let stream = TcpStream::connect(flow.peer).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    };
    match tls {
        None => {
            let stream = tokio::time::timeout(CONNECT_TIME_MAX, connect).await??;
            serve(stream, flow, messages, heard).await;
        }
        Some((connector, name)) => {
            let handshake = async { connector.connect(name, connect.await?).await };
            let stream = tokio::time::timeout(CONNECT_TIME_MAX, handshake).await??;
            serve(stream, flow, messages, heard).await;
        }
    }
    Ok(())
}

/// Moves messages both ways until the peer closes, breaks the framing or falls silent.
async fn serve<S: AsyncRead + AsyncWrite>(
    stream: S,
    flow: Flow,
    mut messages: mpsc::Receiver<Bytes>,
    heard: &mpsc::Sender<Heard>,
) {
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        while let Some(message) = messages.recv().await {
            if write.write_all(&message).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut framer = Framer::new();
        let mut buffer = vec![0; 8 * 1_024];
        loop {
            let read = tokio::time::timeout(IDLE_TIME_MAX, read.read(&mut buffer)).await;
            let Ok(Ok(count @ 1..)) = read else {
                return;
            };
            framer.feed(&buffer[..count]);
            while let Some(frame) = framer.poll() {
                let is_broken = matches!(frame, Frame::Broken(_));
                let told = heard.send(Heard::Frame { flow, frame: Box::new(frame) }).await;
                if is_broken || told.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}
