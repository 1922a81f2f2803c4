//! A whole server on loopback, a client that speaks plain HTTP, and a customer's web server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::Api;
use domain::account::Account;
use domain::call::CallLimits;
use engine::config::{Config, FetchConfig, KeepConfig, RtpConfig, SipConfig, SpeechConfig};
use serde_json::Value;
use store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// PIN of the account that every server has.
pub(crate) const PIN: &str = "98765432";

/// A server with one account, `ann`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) pages: Pages,
    pub(crate) store: Store,
    engine: Option<engine::Engine>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _dir: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The value of an attribute or a JSON field, wherever it stands.
    pub(crate) fn after<'a>(&'a self, mark: &str) -> &'a str {
        let (_, after) = self.body.split_once(mark).unwrap_or_else(|| panic!("{mark}: {self:?}"));
        after.split('"').next().unwrap()
    }
}

impl Server {
    /// A server whose clients' pages may be on this machine.
    pub(crate) async fn start() -> Self {
        Self::start_with(&["127.0.0.0/8"]).await
    }

    /// A server that asks private addresses in these networks only.
    pub(crate) async fn start_with(allow_private: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, reader) =
            Store::open(StoreConfig::new(dir.path().join("test.db"))).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(&dir, allow_private, address);
        let engine = start_engine(config, &store, &reader).await;
        let stop = CancellationToken::new();
        let api = Api {
            control: engine.control().clone(),
            metrics: api::metrics::install(),
            time_zone: "America/New_York".into(),
            secret: [7; 32],
        };
        let serving = api::serve(listener, api, stop.clone());
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        let pages = Pages::start().await;
        let mut server = Self {
            address,
            key: String::new(),
            pages,
            store,
            engine: Some(engine),
            stop,
            serving,
            _dir: dir,
        };
        server.key = server.add_account("ann").await.1;
        server
    }

    /// Adds an account with the PIN of all; its key.
    pub(crate) async fn add_account(&self, login: &str) -> (Account, String) {
        let hash = api::auth::hash_pin(PIN, [1; 16]).unwrap();
        let now = engine::clock::Clock::new().now();
        let account = self.store.create_account(now, login, Some(&hash)).await.unwrap();
        let mut random = [0; 40];
        random[..login.len()].copy_from_slice(login.as_bytes());
        let (key, row) = api::auth::new_api_key(account.id, now, random);
        self.store.create_api_key(row).await.unwrap();
        (account, key)
    }

    /// Ends everything in order.
    pub(crate) async fn stop(mut self) {
        self.drain().await;
        self.stop.cancel();
        self.serving.await.unwrap();
        self.store.close().await.unwrap();
    }

    /// Ends the engine; the API goes on.
    pub(crate) async fn drain(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.drain().await;
        }
    }

    /// Sends these bytes on a connection of their own and reads the answer.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        read_answer(stream).await
    }

    /// A request with a body and further header lines.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: outdial\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// A request of the native API, with the key of `ann`.
    pub(crate) async fn native(&self, method: &str, path: &str, body: &str) -> Answer {
        self.native_as(&self.key, method, path, body).await
    }

    /// A request of the native API.
    pub(crate) async fn native_as(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Answer {
        let content = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let headers = format!("Authorization: Bearer {key}\r\n{content}");
        self.send(method, path, &headers, body.as_bytes()).await
    }

    /// A form for one of Plum's scripts.
    pub(crate) async fn form(&self, script: &str, fields: &[(&str, &str)]) -> Answer {
        let body = facade::form::encode(fields.iter().copied());
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", &format!("/webservice/{script}"), headers, body.as_bytes()).await
    }

    /// A form with files: each part is its head's parameters and its data.
    pub(crate) async fn multipart(&self, script: &str, parts: &[(&str, &[u8])]) -> Answer {
        let headers = "Content-Type: multipart/form-data; boundary=frontier\r\n";
        self.send("POST", &format!("/webservice/{script}"), headers, &multipart(parts)).await
    }
}

/// A multipart body.
pub(crate) fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, data) in parts {
        let head = format!("--frontier\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    body
}

/// Reads an answer until the connection ends.
pub(crate) async fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a large body early may reset the connection after its answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer { status: status.parse().unwrap_or(0), headers, body: body.to_owned() }
}

/// The free UDP port that the system names may be taken for TCP by another test: then another is
/// asked for.
async fn start_engine(config: Config, store: &Store, reader: &store::Reader) -> engine::Engine {
    loop {
        match engine::start(config.clone(), store.clone(), reader.clone()).await {
            Ok(engine) => return engine,
            Err(engine::StartError::Port { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn config(dir: &TempDir, allow_private: &[&str], api: SocketAddr) -> Config {
    let loopback = [127, 0, 0, 1].into();
    Config {
        address: String::new(),
        classify: Default::default(),
        call_limits: CallLimits {
            ring_time_max: Duration::from_secs(45),
            call_time_max: Duration::from_secs(60),
        },
        data_dir: dir.path().to_owned(),
        dialing: engine::config::DialingConfig::default(),
        drain_time_max: Duration::from_secs(1),
        fetch: FetchConfig {
            allow_private: allow_private.iter().map(|network| (*network).into()).collect(),
            ca_file: None,
            own_addresses: vec![api],
        },
        hold_music: None,
        pages_max: 1_000,
        keep: KeepConfig::default(),
        recognition: engine::config::RecognitionConfig {
            model: String::new(),
            processes: 1,
            program: String::new(),
        },
        rtp: RtpConfig {
            advertise: loopback,
            bind: loopback,
            port_max: 41_000,
            port_min: 40_000,
            threads: 1,
        },
        secret: [9; 32],
        sip: SipConfig {
            advertise: loopback,
            bind: "127.0.0.1:0".parse().unwrap(),
            ca_file: None,
            session_expires: None,
        },
        speech: SpeechConfig {
            language: "en-US".into(),
            processes: 1,
            program: "espeak-ng".into(),
        },
        time_zone: "America/New_York".into(),
        trunks: Vec::new(),
    }
}

/// A customer's web server: `/start` and `/result` answer 200, `/<number>` with that status.
pub(crate) struct Pages {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Pages {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move { answer_page(stream, &log).await });
            }
        });
        Self { address, asked }
    }

    /// Address of a page.
    pub(crate) fn url(&self, page: &str) -> String {
        format!("http://{}/{page}", self.address)
    }

    /// First lines of the requests so far, without their version.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer_page(mut stream: TcpStream, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = vec![0; 4_096];
    let read = stream.read(&mut head).await.ok()?;
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let status = line.rsplit('/').next()?.parse().unwrap_or(200);
    log.lock().unwrap().push(line);
    let location = if status == 302 { "Location: /start\r\n" } else { "" };
    let answer = format!(
        "HTTP/1.1 {status} X\r\n{location}Content-Length: 2\r\nConnection: close\r\n\r\nok"
    );
    stream.write_all(answer.as_bytes()).await.ok()
}
