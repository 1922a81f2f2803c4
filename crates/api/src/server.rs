//! Accepts connections and serves them, within limits of number, size and time.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::{Extension, Router};
use facade::zone::Zone;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::Layer;

use crate::{Api, Parts, router};

/// Most connections at once; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 1_024;
/// Longest wait for the head of a request, an idle connection's included.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most header lines of a request.
const HEADERS_MAX: usize = 100;
/// Longest wait until a client takes more of an answer.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);
/// Longest wait for connections to end on shutdown.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection, as when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often figures are sorted into their buckets.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Why the API does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The operator repairs the setting.
    #[error("time zone {0:?} is unknown, use an IANA name such as \"America/New_York\"")]
    TimeZone(String),
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(SocketAddr);

impl Peer {
    /// Its address.
    pub(crate) const fn ip(self) -> IpAddr {
        self.0.ip()
    }
}

/// Serves the API at `listener` until `stop`; then lets requests under way end, for a while.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let zone = Zone::named(&api.time_zone).ok_or(ServeError::TimeZone(api.time_zone.clone()))?;
    let shared = Arc::new(Parts::new(api, zone));
    let router = router::router(Arc::clone(&shared));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut upkeep = interval(UPKEEP_EVERY);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            (stream, peer, place) = accept(&listener, &places) => {
                let router = router.clone();
                let connection = connection(stream, peer, router, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Some(_) = connections.join_next() => {}
            _ = upkeep.tick() => shared.figures.upkeep(),
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_TIME_MAX, ended).await.is_err() {
        tracing::warn!("API connections were cut at shutdown: {}", connections.len());
    }
    connections.shutdown().await;
    Ok(())
}

/// The next connection and its place among all; errors are waited out.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole: waiting for more would only delay their end.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::trace!("connection has gone: {error}");
                }
                return (stream, peer, place);
            }
            Err(error) => {
                tracing::warn!("API connection was not accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let service = TowerToHyperService::new(Extension(Peer(peer)).layer(router));
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let connection = builder.serve_connection(TokioIo::new(Impatient::new(stream)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!("connection ended: {error}");
    }
}

/// A connection that ends when its client takes nothing of an answer for too long.
struct Impatient<S> {
    stream: S,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S) -> Self {
        Self { stream, stalled: None }
    }

    /// Passes a write's outcome on; the first of several waits starts the clock.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL_MAX)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    /// Serves one connection in virtual time: the client's end, and what says when it is over.
    fn serve_one(buffer_bytes: usize) -> (DuplexStream, tokio::task::JoinHandle<Instant>) {
        let (client, server) = tokio::io::duplex(buffer_bytes);
        let large = get(|| async { "x".repeat(1_000_000) });
        let router = Router::new().route("/large", large);
        let stop = CancellationToken::new();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let served = tokio::spawn(async move {
            connection(server, peer, router, stop).await;
            Instant::now()
        });
        (client, served)
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_never_ends_its_head_is_cut_off() {
        let (mut client, served) = serve_one(64 * 1024);
        let began = Instant::now();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
        for _ in 0..5 {
            sleep(HEAD_TIME_MAX / 10).await;
            client.write_all(b"a").await.unwrap();
        }
        assert_eq!(served.await.unwrap() - began, HEAD_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_sends_nothing_at_all_is_cut_off() {
        let (_client, served) = serve_one(64 * 1024);
        let began = Instant::now();
        assert_eq!(served.await.unwrap() - began, HEAD_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_does_not_read_its_answer_is_cut_off() {
        let (mut client, served) = serve_one(1024);
        let began = Instant::now();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(served.await.unwrap() - began, WRITE_STALL_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_slowly_but_reads_gets_its_answer() {
        let (mut client, served) = serve_one(64 * 1024);
        let request = b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let (mut taken, mut piece) = (0, vec![0; 50_000]);
        loop {
            sleep(WRITE_STALL_MAX / 2).await;
            let read = client.read(&mut piece).await.unwrap();
            taken += read;
            if read == 0 {
                break;
            }
        }
        served.await.unwrap();
        assert!(taken > 1_000_000, "{taken}");
    }
}
