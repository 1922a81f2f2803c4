//! The program under test as a process: configured, started, asked, killed, started again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Process, Stage, port, ports, until};
use crate::http::{self, Answer};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_outdial");

/// How a server is set up, where it matters.
pub(crate) struct Settings {
    pub(crate) ring_time_max_s: u32,
    pub(crate) slots: u32,
    pub(crate) calls_per_second: u32,
    /// Further lines of the settings of calls.
    pub(crate) calls: &'static str,
    /// By which name the trunk's host is found; its address without one.
    pub(crate) host: Option<&'static str>,
    /// Further lines of the trunk's settings.
    pub(crate) trunk: String,
    /// Further lines of the settings of SIP.
    pub(crate) sip: &'static str,
    /// Further sections of the settings.
    pub(crate) store: String,
    pub(crate) log: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ring_time_max_s: 30,
            slots: 20,
            calls_per_second: 50,
            calls: "",
            host: None,
            trunk: String::new(),
            sip: "",
            store: String::new(),
            log: "info,outdial_engine=debug,outdial_proto=debug,outdial_script=debug",
        }
    }
}

/// A server, running or killed.
pub(crate) struct Server {
    process: Process,
    api: SocketAddr,
    pub(crate) sip: SocketAddr,
    login: String,
    pin: String,
    api_key: String,
}

impl Server {
    /// Sets a server up whose trunk is `far_end`, and starts it.
    pub(crate) async fn start(stage: &Stage, far_end: SocketAddr, settings: &Settings) -> Self {
        Self::configure(stage, far_end, settings);
        let created = Command::new(PROGRAM)
            .args(["account", "create", "wire", "--json"])
            .current_dir(stage.dir())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&created.stderr);
        assert!(created.status.success(), "no account was created: {said}");
        let secrets: Value = serde_json::from_slice(&created.stdout).unwrap();
        let text = |name: &str| secrets[name].as_str().unwrap().to_owned();
        let mut process = launch(stage);
        let (api, sip) = ready(stage, &mut process).await;
        Self { process, api, sip, login: text("login"), pin: text("pin"), api_key: text("api_key") }
    }

    /// Starts another one on the database of `first`, with the same account.
    pub(crate) async fn join(
        first: &Self,
        stage: &Stage,
        far_end: SocketAddr,
        settings: &Settings,
    ) -> Self {
        Self::configure(stage, far_end, settings);
        let mut process = launch(stage);
        let (api, sip) = ready(stage, &mut process).await;
        let (login, pin) = (first.login.clone(), first.pin.clone());
        Self { process, api, sip, login, pin, api_key: first.api_key.clone() }
    }

    /// Writes the settings that the next start reads.
    pub(crate) fn configure(stage: &Stage, far_end: SocketAddr, settings: &Settings) {
        stage.write("outdial.toml", configuration(far_end, settings));
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again and waits until it is up.
    pub(crate) async fn restart(&mut self, stage: &Stage) {
        self.launch(stage);
        (self.api, self.sip) = ready(stage, &mut self.process).await;
    }

    /// Starts it again without waiting for anything.
    pub(crate) fn launch(&mut self, stage: &Stage) {
        assert!(self.process.ended().is_some(), "the server still runs");
        self.process = launch(stage);
    }

    /// Asks it to end; it must, and well.
    pub(crate) async fn stop(self) {
        self.begin_to_end().await;
        self.ends_well().await;
    }

    /// Asks it to end.
    pub(crate) async fn begin_to_end(&self) {
        self.process.signal("TERM").await;
    }

    /// Waits for its end, which must be a good one.
    pub(crate) async fn ends_well(mut self) {
        let status = self.process.end().await;
        assert!(status.success(), "the server ended with {status}");
    }

    /// Where its HTTP is.
    pub(crate) const fn api(&self) -> SocketAddr {
        self.api
    }

    /// Login and API key as HTTP Basic has them.
    pub(crate) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.login, self.api_key);
        format!("Basic {}", Base64::encode_string(pair.as_bytes()))
    }

    /// The same with a user of a cloud.
    pub(crate) fn cloud_basic(&self) -> String {
        let pair = format!("1-2-0/{}:{}", self.login, self.api_key);
        format!("Basic {}", Base64::encode_string(pair.as_bytes()))
    }

    /// The name of a service and its password.
    pub(crate) fn service_basic(&self, service: &str, password: &str) -> String {
        let pair = format!("1-2-0/{}/{service}:{password}", self.login);
        format!("Basic {}", Base64::encode_string(pair.as_bytes()))
    }

    /// Runs a command of the program against it; what it prints.
    pub(crate) async fn command(&self, stage: &Stage, arguments: &[&str]) -> String {
        let ran = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(stage.dir())
            .env("OUTDIAL_SERVER", format!("http://{}", self.api))
            .env("OUTDIAL_API_KEY", &self.api_key)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "outdial {}: {said}", arguments.join(" "));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Login and PIN, as fields of a form.
    pub(crate) fn credentials(&self) -> [(&'static str, &str); 2] {
        [("login", &self.login), ("pin", &self.pin)]
    }

    /// Posts a form with login and PIN to `/webservice/queuecall.php`.
    pub(crate) async fn queue_call(&self, fields: &[(&str, &str)]) -> Document {
        let mut all = self.credentials().to_vec();
        all.extend_from_slice(fields);
        let head = [("content-type", "application/x-www-form-urlencoded")];
        let path = "/webservice/queuecall.php";
        Document::of(http::send(self.api, "POST", path, &head, http::form(&all)).await)
    }

    /// The same, which must succeed; its call_id.
    pub(crate) async fn queued(&self, fields: &[(&str, &str)]) -> String {
        let document = self.queue_call(fields).await;
        assert_eq!(document.attribute("queuecall", "status"), "queued", "{}", document.text);
        document.attribute("queuecall", "call_id")
    }

    /// Posts a form with a list to `/webservice/queuecalls.php`.
    pub(crate) async fn queue_calls(&self, fields: &[(&str, &str)], list: &[u8]) -> Document {
        let mut all = self.credentials().to_vec();
        all.extend_from_slice(fields);
        let (content_type, body) = http::multipart(&all, Some(("phone_list", list)));
        let head = [("content-type", content_type.as_str())];
        let path = "/webservice/queuecalls.php";
        Document::of(http::send(self.api, "POST", path, &head, body).await)
    }

    /// Asks the native API.
    pub(crate) async fn native(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let key = format!("Bearer {}", self.api_key);
        let mut head = vec![("authorization", key.as_str())];
        if body.is_some() {
            head.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        http::send(self.api, method, path, &head, body).await
    }

    /// The same with further headers.
    pub(crate) async fn native_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let key = format!("Bearer {}", self.api_key);
        let mut head = vec![("authorization", key.as_str())];
        head.extend_from_slice(headers);
        http::send(self.api, method, path, &head, "").await
    }

    /// Queues a call by the native API; its id.
    pub(crate) async fn create_call(&self, call: Value) -> String {
        let answer = self.native("POST", "/v1/calls", Some(call)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// A call with its attempts, events and deliveries.
    pub(crate) async fn call(&self, id: &str) -> Value {
        let answer = self.native("GET", &format!("/v1/calls/{id}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a call's state is this one; the call.
    pub(crate) async fn until_state(&self, id: &str, state: &str) -> Value {
        until(&format!("call {id} is {state}"), async || {
            Some(self.call(id).await).filter(|call| call["state"] == state)
        })
        .await
    }

    /// The campaigns by name.
    pub(crate) async fn campaigns(&self) -> BTreeMap<String, Value> {
        let answer = self.native("GET", "/v1/campaigns", None).await.json();
        let rows = answer["data"].as_array().cloned().unwrap_or_default();
        let named = |row: Value| (row["name"].as_str().unwrap_or_default().to_owned(), row);
        rows.into_iter().map(named).collect()
    }

    /// How many contacts a campaign has, in whatever state.
    pub(crate) async fn contacts_of(&self, campaign: &str) -> u64 {
        let counts = self.campaigns().await[campaign]["counts"].clone();
        counts.as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }

    /// How it is doing.
    pub(crate) async fn health(&self) -> Value {
        http::send(self.api, "GET", "/healthz", &[], "").await.json()
    }

    /// Waits until no call is live.
    pub(crate) async fn until_quiet(&self) {
        until("no call is live", async || {
            (self.health().await["live_calls"] == json!(0)).then_some(())
        })
        .await;
    }

    /// Waits until the trunk is seen to be up.
    pub(crate) async fn until_dialing(&self) {
        until("the trunk is up", async || {
            (self.health().await["dialing"] == json!(true)).then_some(())
        })
        .await;
    }

    /// Lets its largest memory count from now on.
    pub(crate) fn forget_largest_memory(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    /// A figure of its memory in kB: `VmRSS`, or `VmHWM` for the largest so far.
    pub(crate) fn memory_kib(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// What one of Plum's scripts answers.
pub(crate) struct Document {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Document {
    /// An answer as document.
    pub(crate) fn of(answer: Answer) -> Self {
        let text = answer.text();
        Self { status: answer.status, text }
    }

    /// An attribute of the first element of this name, empty if there is none.
    pub(crate) fn attribute(&self, element: &str, name: &str) -> String {
        let tag = self.text.split(&format!("<{element} ")).nth(1).unwrap_or_default();
        let tag = tag.split('>').next().unwrap_or_default();
        let value = tag.split(&format!("{name}=\"")).nth(1).unwrap_or_default();
        value.split('"').next().unwrap_or_default().to_owned()
    }

    /// The errors as `field code: text`, in order; `-` where no field is named.
    pub(crate) fn errors(&self) -> Vec<String> {
        let elements = self.text.split("<error ").skip(1);
        let error = |element: &str| {
            let (tag, rest) = element.split_once('>')?;
            let part = |name: &str| {
                let value = tag.split(&format!("{name}=\"")).nth(1)?;
                value.split('"').next().map(str::to_owned)
            };
            let text = rest.split("</error>").next()?;
            let field = part("field").unwrap_or_else(|| "-".into());
            let text = text.replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&");
            Some(format!("{field} {}: {text}", part("code")?))
        };
        elements.filter_map(error).collect()
    }
}

fn configuration(far_end: SocketAddr, settings: &Settings) -> String {
    let Settings { ring_time_max_s, slots, calls_per_second, calls, host, .. } = settings;
    let Settings { trunk, sip, store, log, .. } = settings;
    let far_end = match host {
        Some(name) => format!("{name}:{}", far_end.port()),
        None => far_end.to_string(),
    };
    // A call takes two ports, and a pair rests for a while after it.
    let rtp_ports = u16::try_from(slots * 3 + 20).unwrap();
    let rtp = ports(rtp_ports);
    let mut text = String::from("[api]\nlisten = \"127.0.0.1:0\"\n");
    write!(
        text,
        "[calls]\nring_time_max_s = {ring_time_max_s}\ndrain_time_max_s = 10\n{calls}\n\
         [fetch]\nallow_private = [\"127.0.0.0/8\"]\n\
         [log]\nfilter = {log:?}\n\
         [rtp]\nbind = \"127.0.0.1\"\nport_min = {rtp}\nport_max = {}\n\
         [sip]\nbind = \"127.0.0.1:{}\"\n{sip}\n{store}\
         [[trunk]]\nname = \"carrier\"\nhosts = [\"{far_end}\"]\nallow_loopback = true\n\
         slots = {slots}\ncalls_per_second = {calls_per_second}\n{trunk}\n",
        rtp + rtp_ports - 1,
        port(),
    )
    .unwrap();
    text
}

fn launch(stage: &Stage) -> Process {
    std::fs::remove_file(stage.file("server.ready")).ok();
    let arguments = ["serve", "--ready-file", "server.ready"];
    Process::start(stage, "server", Path::new(PROGRAM), &arguments)
}

async fn ready(stage: &Stage, process: &mut Process) -> (SocketAddr, SocketAddr) {
    let file = stage.file("server.ready");
    let told = until("the server is up", async || {
        if let Some(status) = process.ended() {
            panic!("the server ended with {status}");
        }
        std::fs::read_to_string(&file).ok()
    })
    .await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let address = |name: &str| told[name].as_str().unwrap().parse().unwrap();
    (address("api"), address("sip"))
}
