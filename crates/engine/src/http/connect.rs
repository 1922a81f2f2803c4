//! From a permitted URL to a connection: resolve, judge every address, connect to one of these.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::names::Names;
use super::policy::{HttpPolicy, Target};
use super::{HttpError, Phase};

/// Longest time for name, TCP and TLS together.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long one address may be silent before the next is tried beside it (RFC 8305 §5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried; one that lists hundreds makes us scan nothing.
const ADDRESSES_TRIED_MAX: usize = 4;

pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections for the HTTP client's pool; a connection in the pool keeps the address that
/// was judged when it was opened.
#[derive(Clone)]
pub(super) struct Connector(Arc<Doors>);

struct Doors {
    policy: HttpPolicy,
    names: Names,
    tls: TlsConnector,
}

impl Connector {
    pub(super) fn new(policy: HttpPolicy, names: Names, tls: ClientConfig) -> Self {
        Self(Arc::new(Doors { policy, names, tls: TlsConnector::from(Arc::new(tls)) }))
    }

    pub(super) fn policy(&self) -> &HttpPolicy {
        &self.0.policy
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, HttpError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let doors = self.0.clone();
        Box::pin(async move {
            let url = Url::parse(&uri.to_string())
                .map_err(|error| HttpError::Protocol(error.to_string()))?;
            // Judged again, though whoever asks has done so: no other way leads to a socket.
            let target = doors.policy.target(&url)?;
            match timeout(CONNECT_TIME_MAX, doors.open(target)).await {
                Ok(opened) => opened,
                Err(_) => Err(HttpError::Timeout(Phase::Connect)),
            }
        })
    }
}

impl Doors {
    async fn open(&self, target: Target) -> Result<Stream, HttpError> {
        let addresses = match &target.host {
            Host::Domain(name) => self.names.resolve(name).await.map_err(HttpError::Resolve)?,
            Host::Ipv4(address) => vec![IpAddr::from(*address)],
            Host::Ipv6(address) => vec![IpAddr::from(*address)],
        };
        self.policy.check(&addresses, target.port)?;
        let tcp = open_first(&in_turn(&addresses, target.port)).await?;
        // Requests are small and wait for answers: nothing is won by holding bytes back.
        tcp.set_nodelay(true).map_err(|error| HttpError::Connect(Arc::new(error)))?;
        if !target.tls {
            return Ok(Stream::Http(TokioIo::new(tcp)));
        }
        let name = server_name(target.host)?;
        match self.tls.connect(name, TokioIo::new(TokioIo::new(tcp))).await {
            Ok(tls) => Ok(Stream::from(tls)),
            Err(error) => Err(tls_error(error)),
        }
    }
}

/// The name that the certificate must carry.
fn server_name(host: Host<String>) -> Result<ServerName<'static>, HttpError> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(address))),
        // A name may end in a dot, the name in a certificate never does.
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| HttpError::Tls(format!("{name:?} cannot be the name in a certificate"))),
    }
}

/// A handshake that fails by its own rules is told from a connection that breaks under it.
fn tls_error(error: io::Error) -> HttpError {
    match error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) {
        Some(error) => HttpError::Tls(error.to_string()),
        None => HttpError::Connect(Arc::new(error)),
    }
}

/// The addresses to try: IPv6 and IPv4 by turns, so that a broken network of one costs one wait.
fn in_turn(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let mut six = addresses.iter().filter(|address| address.is_ipv6());
    let mut four = addresses.iter().filter(|address| address.is_ipv4());
    let mut turns: Vec<IpAddr> = Vec::new();
    while turns.len() < ADDRESSES_TRIED_MAX {
        match (six.next(), four.next()) {
            (None, None) => break,
            (six, four) => turns.extend(six.into_iter().chain(four).copied()),
        }
    }
    turns.truncate(ADDRESSES_TRIED_MAX);
    turns.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

/// The connection that opens first; the next address joins after a failure or a silence.
async fn open_first(addresses: &[SocketAddr]) -> Result<TcpStream, HttpError> {
    let mut rest = addresses.iter().copied();
    let mut opening = FuturesUnordered::new();
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match rest.next() {
            Some(address) => opening.push(TcpStream::connect(address)),
            None if opening.is_empty() => return Err(HttpError::Connect(Arc::new(last_error))),
            None => {}
        }
        let more = rest.len() > 0;
        tokio::select! {
            Some(opened) = opening.next() => match opened {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last_error = error,
            },
            () = sleep(NEXT_ADDRESS_AFTER), if more => {}
        }
    }
}

/// TLS as a client: 1.2 and 1.3, the system's authorities and `extra` ones.
pub(crate) fn tls_config(
    extra: &[CertificateDer<'static>],
    with_system: bool,
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    if with_system {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "authorities of the system cannot be read");
        }
        let (taken, _) = roots.add_parsable_certificates(native.certs);
        if taken == 0 {
            tracing::warn!("the system has no authorities; every https address will fail");
        }
    }
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What went wrong in the pool: the connector's own error where it is one.
pub(super) fn client_error(error: &hyper_util::client::legacy::Error) -> HttpError {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<HttpError>() {
            return ours.clone();
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return transfer_error(error);
        }
        cause = error.source();
    }
    HttpError::Protocol(error.to_string())
}

/// What went wrong on an open connection.
pub(super) fn transfer_error(error: &hyper::Error) -> HttpError {
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        // What cannot be read is the server's doing, not the network's.
        Some(error) if is_unreadable(error) => HttpError::Protocol(error.to_string()),
        Some(error) => HttpError::Broken(error.to_string()),
        None if error.is_incomplete_message() => {
            HttpError::Broken("server closed it before its answer was complete".to_owned())
        }
        None => HttpError::Protocol(error.to_string()),
    }
}

fn is_unreadable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(addresses: &[&str]) -> Vec<String> {
        let addresses: Vec<IpAddr> =
            addresses.iter().map(|address| address.parse().unwrap()).collect();
        in_turn(&addresses, 80).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn families_take_turns_and_no_name_is_tried_for_ever() {
        assert_eq!(turns(&["8.8.8.8", "8.8.4.4"]), ["8.8.8.8:80", "8.8.4.4:80"]);
        assert_eq!(
            turns(&["8.8.8.8", "8.8.4.4", "2606::1"]),
            ["[2606::1]:80", "8.8.8.8:80", "8.8.4.4:80"]
        );
        assert_eq!(
            turns(&["1.0.0.1", "1.0.0.2", "1.0.0.3", "2606::1", "2606::2", "2606::3"]),
            ["[2606::1]:80", "1.0.0.1:80", "[2606::2]:80", "1.0.0.2:80"]
        );
    }

    #[tokio::test]
    async fn closed_address_gives_way_to_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let gone = {
            let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            other.local_addr().unwrap()
        };
        let tcp = open_first(&[gone, gone, open]).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), open);
        let error = open_first(&[gone]).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot connect: Connection refused"), "{error}");
        assert!(open_first(&[]).await.is_err());
    }

    #[test]
    fn certificate_names_have_no_trailing_dot() {
        let name = server_name(Host::Domain("app.example.".into())).unwrap();
        assert_eq!(name.to_str(), "app.example");
        assert!(server_name(Host::Domain("a..b".into())).is_err());
    }
}
