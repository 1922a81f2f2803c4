//! Where the PostgreSQL server is, how it is spoken to, and with which session settings.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_rustls::TlsConnector;

use crate::StoreError;
use crate::driver::unavailable;

/// Longest time to reach one address of the server, unless the URL says otherwise.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// Unanswered data ends a connection after this time: a pulled cable must not look like patience.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Oldest server: `xid8`, and `gen_random_uuid` without an extension.
const SERVER_VERSION_MIN: i64 = 130_000;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Changes the schema: may take its time.
    Migrate,
    /// Reads: lists for people may be long.
    Read,
    /// Reads and writes rows by their keys, in short transactions.
    Write,
}

impl Purpose {
    /// The settings of such a session.
    ///
    /// Short transactions find every row by an index whatever the statistics say: those of a table
    /// that was empty an hour ago lie, and a plan by them would read it whole.
    const fn settings(self) -> &'static str {
        match self {
            Self::Migrate => "SET statement_timeout = 0; SET lock_timeout = '60s'",
            Self::Read => {
                "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'; \
                 SET jit = off; SET plan_cache_mode = force_generic_plan; \
                 SET default_transaction_read_only = on"
            }
            Self::Write => {
                "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '15s'; \
                 SET lock_timeout = '10s'; SET jit = off; \
                 SET plan_cache_mode = force_generic_plan; \
                 SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
            }
        }
    }
}

/// A server, a database, a role.
#[derive(Clone)]
pub(crate) struct Target {
    config: Config,
    tls: Option<Tls>,
}

impl Target {
    /// Reads a URL: `postgres://role:password@host:port/database?sslmode=require`.
    ///
    /// Beside what libpq and the driver know, `sslrootcert` names a PEM file of authorities. A
    /// server's certificate is always checked where TLS is asked for.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (url, root_file) = take_out(url, "sslrootcert");
        let (url, mode) = take_out(&url, "sslmode");
        let mut config: Config = url.parse().map_err(unavailable)?;
        let encrypted = match mode.as_deref() {
            None | Some("disable" | "allow" | "prefer") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(other) => return Err(wrong(format!("sslmode {other:?} is none that exists"))),
        };
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIME_MAX);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("outdial");
        }
        let tls = if encrypted { Some(Tls::new(root_file.as_deref())?) } else { None };
        Ok(Self { config, tls })
    }

    /// The server for people, without secrets.
    pub(crate) fn shown(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        format!("{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }

    /// Connects; what drives the connection is a task of `runtime`.
    pub(crate) fn connect(
        &self,
        runtime: &Runtime,
        purpose: Purpose,
    ) -> Result<Client, StoreError> {
        runtime.block_on(async {
            let client = match &self.tls {
                Some(tls) => {
                    let opened = self.config.connect(tls.clone()).await;
                    let (client, connection) = opened.map_err(unavailable)?;
                    drive(runtime, connection);
                    client
                }
                None => {
                    let (client, connection) =
                        self.config.connect(NoTls).await.map_err(unavailable)?;
                    drive(runtime, connection);
                    client
                }
            };
            client.batch_execute(purpose.settings()).await.map_err(unavailable)?;
            Ok(client)
        })
    }
}

/// Refuses a server that is too old, or a database that cannot hold every text.
pub(crate) fn check(runtime: &Runtime, client: &Client) -> Result<(), StoreError> {
    let query = "SELECT current_setting('server_version_num')::bigint, \
                 current_setting('server_encoding')";
    let row = runtime.block_on(client.query_one(query, &[])).map_err(unavailable)?;
    let (version, encoding): (i64, String) = (row.get(0), row.get(1));
    if version < SERVER_VERSION_MIN {
        let found = version / 10_000;
        return Err(wrong(format!("PostgreSQL {found} is too old, 13 is the oldest that will do")));
    }
    if encoding != "UTF8" {
        return Err(wrong(format!("the database is encoded in {encoding}, not in UTF8")));
    }
    Ok(())
}

fn drive<S, T>(runtime: &Runtime, connection: tokio_postgres::Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    runtime.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to PostgreSQL ended");
        }
    });
}

/// Takes a parameter out of a URL's query.
fn take_out(url: &str, name: &str) -> (String, Option<String>) {
    let Some((head, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let (mut rest, mut found) = (Vec::new(), None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((key, value)) if key == name => found = Some(value.to_owned()),
            _ => rest.push(pair),
        }
    }
    (format!("{head}?{}", rest.join("&")), found)
}

fn wrong(what: String) -> StoreError {
    unavailable(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// TLS by rustls, with the system's authorities or those of a file.
#[derive(Clone)]
struct Tls(TlsConnector);

impl Tls {
    fn new(root_file: Option<&str>) -> Result<Self, StoreError> {
        let mut roots = rustls::RootCertStore::empty();
        match root_file {
            Some(file) => {
                let path = PathBuf::from(file);
                let read = |error| wrong(format!("sslrootcert {file}: {error}"));
                for certificate in CertificateDer::pem_file_iter(&path).map_err(read)? {
                    roots.add(certificate.map_err(read)?).map_err(unavailable)?;
                }
            }
            None => {
                for certificate in rustls_native_certs::load_native_certs().certs {
                    // What rustls cannot read cannot have signed what rustls reads.
                    roots.add(certificate).ok();
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unavailable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = TlsStream;
    type TlsConnect = TlsTo;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<TlsTo, io::Error> {
        let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
        Ok(TlsTo { connector: self.0.clone(), name })
    }
}

/// TLS to one server.
struct TlsTo {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for TlsTo {
    type Stream = TlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<TlsStream, io::Error>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.name, stream).await?;
            Ok(TlsStream(Box::new(stream)))
        })
    }
}

/// An encrypted connection.
struct TlsStream(Box<tokio_rustls::client::TlsStream<Socket>>);

impl tokio_postgres::tls::TlsStream for TlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_names_the_server_and_shows_no_password() {
        let target =
            Target::parse("postgres://outdial:secret@db.example,db2.example:5433/calls").unwrap();
        assert_eq!(target.shown(), "db.example,db2.example/calls");
        assert!(target.tls.is_none());
    }

    #[test]
    fn tls_is_used_where_it_is_asked_for() {
        let modes = ["require", "verify-ca", "verify-full"];
        for mode in modes {
            let url = format!("postgres://db.example/calls?connect_timeout=2&sslmode={mode}");
            assert!(Target::parse(&url).unwrap().tls.is_some(), "{mode}");
        }
        assert!(Target::parse("postgres://db.example/calls?sslmode=verify").is_err());
    }

    #[test]
    fn authorities_come_from_the_file_that_is_named() {
        let url = "postgres://db.example/calls?sslmode=require&sslrootcert=/nowhere/ca.pem";
        let refused = Target::parse(url).map(drop).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("/nowhere/ca.pem"), "{cause}");
    }
}
