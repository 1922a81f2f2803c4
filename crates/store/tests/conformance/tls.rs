//! TLS to PostgreSQL, passwords, and servers that no longer answer.

use std::error::Error as _;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use store::{Reader, Store, StoreConfig, StoreError};
use tempfile::TempDir;

use crate::server::{self, Server};
use crate::support::account;

/// Who may come in how: by TLS only, and one of them with a password.
const ADMISSION: &str = "local all all trust\n\
                         hostssl all keyed 127.0.0.1/32 scram-sha-256\n\
                         hostssl all all 127.0.0.1/32 trust\n";

/// Opens a server to the network, as far as it goes.
const LISTENS: [&str; 2] = ["-c", "listen_addresses=127.0.0.1"];

/// A server with a certificate for `localhost`, and the authorities that people may trust.
struct Encrypted {
    server: Server,
    port: u16,
    files: TempDir,
}

impl Encrypted {
    /// The one that all tests share; `None` where PostgreSQL is not installed.
    fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Encrypted>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::start);
        if shared.is_none() {
            std::io::stderr().write_all(b"skipped: no PostgreSQL\n").unwrap();
        }
        shared.as_ref()
    }

    fn start() -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let named = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = named.signed_by(&key, &authority).unwrap();
        std::fs::write(files.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(files.path().join("other.pem"), self::authority().pem()).unwrap();
        let port = free_port();
        let settings = [LISTENS, ["-c", "ssl=on"]].concat();
        let server = server::start(port, &settings, |data| {
            write(data, "server.crt", &certificate.pem());
            write(data, "server.key", &key.serialize_pem());
            write(data, "pg_hba.conf", ADMISSION);
        })?;
        let admin = admin(&server, port);
        server::run(&admin, "CREATE ROLE keyed LOGIN SUPERUSER PASSWORD 'open sesame'");
        Some(Self { server, port, files })
    }

    /// A database of its own, asked for by `host`.
    fn url(&self, who: &str, host: &str, more: &str) -> String {
        format!("postgres://{who}@{host}:{}/postgres?{more}", self.port)
    }

    fn authorities(&self, file: &str) -> String {
        format!("sslrootcert={}", self.files.path().join(file).display())
    }

    /// Runs a query past any store; whether it is true.
    fn is_true(&self, query: &str) -> bool {
        let admin = admin(&self.server, self.port);
        let failing = format!("DO $$ BEGIN ASSERT ({query}); END $$");
        std::panic::catch_unwind(|| server::run(&admin, &failing)).is_ok()
    }
}

fn admin(server: &Server, port: u16) -> String {
    format!("host={} port={port} user=outdial dbname=postgres", server.socket.display())
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a file of the server's, as its own.
fn write(data: &Path, name: &str, text: &str) {
    let path = data.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(data).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Opens a store there; what the server or the mistrust says where that fails.
async fn open(url: &str) -> Result<Store, String> {
    open_both(url).await.map(|(store, _)| store)
}

async fn open_both(url: &str) -> Result<(Store, Reader), String> {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        readers: 1,
        ..StoreConfig::new(dir.path().join("outdial.db")).at_url(Some(url.to_owned()))
    };
    match Store::open(config).await {
        Ok(opened) => Ok(opened),
        Err(error) => Err(chain(&error)),
    }
}

fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn server_with_a_certificate_is_spoken_to_in_secret_in_every_mode_that_asks_for_it() {
    let Some(server) = Encrypted::shared() else { return };
    let trusted = server.authorities("ca.pem");
    let modes = [
        "connect_timeout=5".to_owned(),
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=require&{trusted}"),
        format!("sslmode=verify-ca&{trusted}"),
        format!("sslmode=verify-full&{trusted}"),
    ];
    for (nth, mode) in modes.iter().enumerate() {
        let named = format!("{mode}&application_name=secret_{nth}");
        let store = open(&server.url("outdial", "localhost", &named)).await.expect(mode);
        let secret = format!(
            "SELECT count(*) > 2 AND bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl \
             USING (pid) WHERE application_name = 'secret_{nth}'"
        );
        let is_secret = tokio::task::spawn_blocking(move || server.is_true(&secret));
        assert!(is_secret.await.unwrap(), "{mode}");
        store.close().await.unwrap();
    }
    let refused = open(&server.url("outdial", "localhost", "sslmode=disable")).await.unwrap_err();
    assert!(refused.contains("no pg_hba.conf entry"), "{refused}");
}

#[tokio::test]
async fn certificate_is_looked_at_as_far_as_the_mode_says() {
    let Some(server) = Encrypted::shared() else { return };
    let (trusted, other) = (server.authorities("ca.pem"), server.authorities("other.pem"));
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let url = server.url("outdial", "localhost", &format!("sslmode={mode}&{other}"));
        let refused = open(&url).await.expect_err(mode);
        assert!(refused.contains("invalid peer certificate"), "{mode}: {refused}");
    }
    // The system's authorities have not signed it.
    let url = server.url("outdial", "localhost", "sslmode=verify-full");
    open(&url).await.unwrap_err();
    // It is not for this name.
    let by_address =
        |mode| server.url("outdial", "127.0.0.1", &format!("sslmode={mode}&{trusted}"));
    open(&by_address("verify-ca")).await.unwrap().close().await.unwrap();
    let refused = open(&by_address("verify-full")).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[tokio::test]
async fn server_without_a_certificate_is_refused_where_secrecy_is_required() {
    let port = free_port();
    let Some(_server) = server::start(port, &LISTENS, |_| {}) else {
        return std::io::stderr().write_all(b"skipped: no PostgreSQL\n").unwrap();
    };
    let url = |mode| format!("postgres://outdial@localhost:{port}/postgres?sslmode={mode}");
    for mode in ["disable", "allow", "prefer"] {
        open(&url(mode)).await.expect(mode).close().await.unwrap();
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = open(&url(mode)).await.expect_err(mode);
        assert!(refused.contains("does not support TLS"), "{mode}: {refused}");
    }
}

#[tokio::test]
async fn password_of_the_url_is_the_one_that_counts() {
    let Some(server) = Encrypted::shared() else { return };
    let url = |who| server.url(who, "localhost", "sslmode=require");
    open(&url("keyed:open%20sesame")).await.unwrap().close().await.unwrap();
    let refused = open(&url("keyed:wrong")).await.unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert!(!refused.contains("wrong"), "{refused}");
}

#[tokio::test]
async fn server_that_no_longer_answers_is_left_for_one_that_does() {
    let Some(server) = Encrypted::shared() else { return };
    let named = "sslmode=require&application_name=frozen&answer_timeout=3";
    let (store, reader) = open_both(&server.url("outdial", "localhost", named)).await.unwrap();
    let frozen = tokio::task::spawn_blocking(|| {
        // All of its connections at once, as a machine that hangs.
        let script = "COPY (SELECT pid FROM pg_stat_activity WHERE application_name = 'frozen') \
                      TO PROGRAM 'xargs kill -STOP'";
        let shared = Encrypted::shared().unwrap();
        server::run(&admin(&shared.server, shared.port), script);
    });
    frozen.await.unwrap();
    let created = tokio::time::timeout(Duration::from_secs(20), account(&store));
    assert_eq!(created.await.expect("it goes on by another connection").login, "plum");
    // The others do not wait as long once more.
    let read = tokio::time::timeout(Duration::from_secs(2), reader.accounts());
    assert_eq!(read.await.expect("it is known by now").unwrap().len(), 1);
    // What is frozen ends when it may go on; it was told to.
    let thawed = tokio::task::spawn_blocking(|| {
        let script = "COPY (SELECT pid FROM pg_stat_activity WHERE application_name = 'frozen') \
                      TO PROGRAM 'xargs kill -CONT'";
        let shared = Encrypted::shared().unwrap();
        server::run(&admin(&shared.server, shared.port), script);
    });
    thawed.await.unwrap();
    store.close().await.unwrap();
}
