//! Where the PostgreSQL server is, how it is spoken to, and with which session settings.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use super::tls::{Tls, Trust};
use crate::StoreError;
use crate::driver::unavailable;

/// Longest time to reach one address of the server, unless the URL says otherwise.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// As many of the times above may pass until a server has let us in: one that is frozen takes the
/// connection, and then never does, while another one of the URL would.
const ENTRY_TIMES: u32 = 3;
/// Unanswered data ends a connection after this time: a pulled cable must not look like patience.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A connection that is silent for so long is asked whether it is there, and then so often: data
/// that has arrived and is never answered looks like patience, too.
const PROBE_AFTER: Duration = Duration::from_secs(5);
/// Longest wait for an answer, unless the URL says otherwise: the server itself gives up before, by
/// `statement_timeout`, if it is one that can.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(35);
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
    /// One for each host of the URL, in the order of preference.
    servers: Vec<Config>,
    tls: Option<Tls>,
    answer_time_max: Duration,
    known: Known,
}

/// What the connections of one store know together of the servers that they go to.
///
/// Where one finds its server silent, the others need not find it out again, each in its own time;
/// and who connects begins with the server that let somebody in last.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Servers>);

#[derive(Debug, Default)]
struct Servers {
    /// How often a server fell silent.
    silences: AtomicU64,
    /// Which server, by its place in the URL, let somebody in last.
    good: AtomicUsize,
}

impl Target {
    /// Reads a URL: `postgres://role:password@host:port/database?sslmode=verify-full`.
    ///
    /// `sslmode` and `sslrootcert` mean what they mean to libpq; authorities are the system's where
    /// none are named. `answer_timeout` is our own: seconds to wait for an answer.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (url, root_file) = take_out(url, "sslrootcert");
        let (url, mode) = take_out(&url, "sslmode");
        let (url, answer_s) = take_out(&url, "answer_timeout");
        let mut config: Config = url.parse().map_err(unavailable)?;
        // TLS is never spoken over sockets of the machine itself.
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
            && config.get_hostaddrs().is_empty();
        let chain_if_known = if root_file.is_some() { Trust::Chain } else { Trust::Anybody };
        let (mode, trust) = match mode.as_deref() {
            // Without a word the driver's own reading counts, which prefers TLS.
            None => (config.get_ssl_mode(), chain_if_known),
            Some("disable") => (SslMode::Disable, Trust::Anybody),
            Some("allow" | "prefer") => (SslMode::Prefer, chain_if_known),
            Some("require") => (SslMode::Require, chain_if_known),
            Some("verify-ca") => (SslMode::Require, Trust::Chain),
            Some("verify-full") => (SslMode::Require, Trust::ChainAndName),
            Some(other) => return Err(wrong(format!("sslmode {other:?} is none that exists"))),
        };
        config.ssl_mode(if local { SslMode::Disable } else { mode });
        let answer_time_max = match answer_s.map(|text| (text.parse().ok(), text)) {
            None => ANSWER_TIME_MAX,
            Some((Some(seconds @ 1..), _)) => Duration::from_secs(seconds),
            Some((_, text)) => return Err(wrong(format!("answer_timeout {text:?} is no number"))),
        };
        fill_in(&mut config);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Tls::new(trust, root_file.as_deref())?),
        };
        Ok(Self { servers: one_by_one(&config), tls, answer_time_max, known: Known::default() })
    }

    /// The same, sharing what is known of the servers.
    pub(crate) fn knowing(self, known: &Known) -> Self {
        Self { known: known.clone(), ..self }
    }

    /// How often a server fell silent so far; a connection of before is no good any more.
    pub(crate) fn silences(&self) -> u64 {
        self.known.0.silences.load(Ordering::Acquire)
    }

    /// The server fell silent on a connection of when there had been so many silences.
    pub(crate) fn fell_silent(&self, silences: u64) {
        let counted = &self.known.0.silences;
        // Where others have noticed it before, it is the same silence.
        counted.compare_exchange(silences, silences + 1, Ordering::AcqRel, Ordering::Acquire).ok();
    }

    /// The server for people, without secrets.
    pub(crate) fn shown(&self) -> String {
        let hosts = self.servers.iter().flat_map(|config| config.get_hosts());
        let hosts = hosts.map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        let database = self.servers.first().and_then(Config::get_dbname).unwrap_or_default();
        format!("{}/{database}", hosts.join(","))
    }

    /// Longest wait for an answer.
    pub(crate) const fn answer_time_max(&self) -> Duration {
        self.answer_time_max
    }

    /// Connects to the first server that lets us in; what drives the connection is a task of
    /// `runtime`.
    pub(crate) fn connect(
        &self,
        runtime: &Runtime,
        purpose: Purpose,
    ) -> Result<Client, StoreError> {
        runtime.block_on(async {
            let mut refused = wrong("the URL names no host".into());
            let many = self.servers.len();
            let good = self.known.0.good.load(Ordering::Relaxed);
            for nth in (0..many).map(|step| (good + step) % many) {
                let server = &self.servers[nth];
                let time_max = server.get_connect_timeout().copied().unwrap_or(CONNECT_TIME_MAX);
                let entered = self.enter(runtime, server, purpose);
                match tokio::time::timeout(time_max * ENTRY_TIMES, entered).await {
                    Ok(Ok(client)) => {
                        self.known.0.good.store(nth, Ordering::Relaxed);
                        return Ok(client);
                    }
                    Ok(Err(error)) => refused = error,
                    Err(_) => refused = silent("the server takes connections and lets nobody in"),
                }
            }
            Err(refused)
        })
    }

    async fn enter(
        &self,
        runtime: &Runtime,
        server: &Config,
        purpose: Purpose,
    ) -> Result<Client, StoreError> {
        let client = match &self.tls {
            Some(tls) => {
                let opened = server.connect(tls.clone()).await;
                let (client, connection) = opened.map_err(unavailable)?;
                drive(runtime, connection);
                client
            }
            None => {
                let (client, connection) = server.connect(NoTls).await.map_err(unavailable)?;
                drive(runtime, connection);
                client
            }
        };
        client.batch_execute(purpose.settings()).await.map_err(unavailable)?;
        Ok(client)
    }
}

/// Sets what the URL left unsaid and the driver takes for granted.
fn fill_in(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIME_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_MAX);
    }
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(PROBE_AFTER).keepalives_interval(PROBE_AFTER);
    }
    if config.get_application_name().is_none() {
        config.application_name("outdial");
    }
}

/// A configuration for each host: the driver asks the next one only where the one before answers.
fn one_by_one(config: &Config) -> Vec<Config> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let ports = config.get_ports();
    let alone = |nth: usize| {
        let mut one = common(config);
        match hosts.get(nth) {
            Some(Host::Tcp(name)) => drop(one.host(name)),
            Some(Host::Unix(path)) => drop(one.host_path(path)),
            None => {}
        }
        if let Some(address) = addresses.get(nth) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(nth).or_else(|| ports.first()) {
            one.port(*port);
        }
        one
    };
    (0..hosts.len().max(addresses.len())).map(alone).collect()
}

/// All of a configuration but its hosts.
fn common(config: &Config) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(time) = config.get_connect_timeout() {
        one.connect_timeout(*time);
    }
    if let Some(time) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*time);
    }
    if let Some(time) = config.get_keepalives_interval() {
        one.keepalives_interval(time);
    }
    if let Some(tries) = config.get_keepalives_retries() {
        one.keepalives_retries(tries);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

/// Refuses a server that is too old, or a database that cannot hold every text; the process behind
/// the connection, and when it began.
pub(super) async fn check(client: &Client) -> Result<(i32, String), StoreError> {
    let query = "SELECT current_setting('server_version_num')::bigint, \
                 current_setting('server_encoding'), pid, backend_start::text \
                 FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = client.query_one(query, &[]).await.map_err(unavailable)?;
    let (version, encoding): (i64, String) = (row.get(0), row.get(1));
    if version < SERVER_VERSION_MIN {
        let found = version / 10_000;
        return Err(wrong(format!("PostgreSQL {found} is too old, 13 is the oldest that will do")));
    }
    if encoding != "UTF8" {
        return Err(wrong(format!("the database is encoded in {encoding}, not in UTF8")));
    }
    Ok((row.get(2), row.get(3)))
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

/// Takes a parameter out of a URL's query, read as URLs are.
fn take_out(url: &str, name: &str) -> (String, Option<String>) {
    let Some((head, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let (mut rest, mut found) = (Vec::new(), None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((key, value)) if key == name => found = Some(unescaped(value)),
            _ => rest.push(pair),
        }
    }
    (format!("{head}?{}", rest.join("&")), found)
}

/// A text of a URL with its `%2F` and the like as what they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let code = escape.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = if code.is_some() { &escape[2..] } else { escape };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn wrong(what: String) -> StoreError {
    unavailable(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// Somebody who was asked says nothing.
pub(super) fn silent(what: &'static str) -> StoreError {
    unavailable(io::Error::new(io::ErrorKind::TimedOut, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_names_the_servers_and_shows_no_password() {
        let url = "postgres://outdial:secret@db.example,db2.example:5433/calls";
        let target = Target::parse(url).unwrap();
        assert_eq!(target.shown(), "db.example,db2.example/calls");
        let ports: Vec<&[u16]> = target.servers.iter().map(Config::get_ports).collect();
        assert_eq!(ports, [[5432], [5433]]);
        let same = target.servers.iter().all(|one| one.get_password() == Some(b"secret"));
        assert!(same && target.servers.iter().all(|one| one.get_user() == Some("outdial")));
    }

    #[test]
    fn tls_is_preferred_and_used_where_it_is_asked_for() {
        let mode = |mode: &str| {
            let url = format!("postgres://db.example/calls?connect_timeout=2{mode}");
            let target = Target::parse(&url)?;
            Ok::<_, StoreError>((target.servers[0].get_ssl_mode(), target.tls.is_some()))
        };
        assert_eq!(mode("").unwrap(), (SslMode::Prefer, true));
        assert_eq!(mode("&sslmode=disable").unwrap(), (SslMode::Disable, false));
        for weak in ["allow", "prefer"] {
            assert_eq!(mode(&format!("&sslmode={weak}")).unwrap(), (SslMode::Prefer, true));
        }
        for strong in ["require", "verify-ca", "verify-full"] {
            assert_eq!(mode(&format!("&sslmode={strong}")).unwrap(), (SslMode::Require, true));
        }
        assert!(mode("&sslmode=verify").is_err());
        let socket = Target::parse("postgres://outdial@%2Frun%2Fpostgresql/calls?sslmode=require");
        assert!(socket.unwrap().tls.is_none());
    }

    #[test]
    fn authorities_come_from_the_file_that_is_named() {
        let url = "postgres://db.example/calls?sslmode=verify-full&sslrootcert=%2Fnowhere/ca.pem";
        let refused = Target::parse(url).map(drop).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("/nowhere/ca.pem"), "{cause}");
    }

    #[test]
    fn wait_for_answers_is_a_number_of_seconds() {
        let url = |text: &str| format!("postgres://db.example/calls?answer_timeout={text}");
        let target = Target::parse(&url("7")).unwrap();
        assert_eq!(target.answer_time_max(), Duration::from_secs(7));
        assert!(Target::parse(&url("0")).is_err() && Target::parse(&url("soon")).is_err());
    }

    #[test]
    fn escapes_of_a_url_are_read_and_what_is_none_stays() {
        assert_eq!(unescaped("%2Fetc%2fa%20b"), "/etc/a b");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%é"), "%zz%é");
    }

    #[test]
    fn server_that_lets_nobody_in_is_given_up() {
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = deaf.local_addr().unwrap().port();
        let url = format!("postgres://outdial@127.0.0.1:{port}/calls?connect_timeout=1");
        let target = Target::parse(&url).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap();
        let refused = target.connect(&runtime, Purpose::Write).map(drop).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("lets nobody in"), "{cause}");
    }
}
