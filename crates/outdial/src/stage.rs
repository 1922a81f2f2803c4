//! A stage for the demo and the bench: a server in a directory of its own, as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

/// Longest wait for a process to say that it is up.
const UP_TIME_MAX: Duration = Duration::from_secs(30);
/// How often is looked whether it is.
const LOOK_PERIOD: Duration = Duration::from_millis(20);
/// Longest wait for a process to end after SIGTERM.
const DOWN_TIME_MAX: Duration = Duration::from_secs(60);
/// Clock ticks in a second; fixed on Linux for what it tells to programs.
const TICKS_PER_S: f64 = 100.0;

/// A process that wrote down where it listens.
pub(crate) struct Running {
    child: Child,
    /// What it wrote.
    pub(crate) ready: Value,
}

impl Running {
    /// Starts this very program with `arguments`, on `processors` if some are named.
    pub(crate) async fn start(
        dir: &Path,
        name: &str,
        arguments: &[&str],
        processors: Option<&str>,
    ) -> Result<Self> {
        let wrapper: &[&str] = match processors {
            Some(processors) => &["taskset", "-c", processors],
            None => &[],
        };
        Self::wrapped(dir, name, wrapper, arguments).await
    }

    /// Starts a simulated carrier on loopback, its callees by this file, its record in that one.
    pub(crate) async fn carrier(dir: &Path, habits: &Path, record: &Path) -> Result<Self> {
        let (habits, record) = (habits.display().to_string(), record.display().to_string());
        let arguments =
            ["lab", "carrier", "--bind", ANY_PORT, "--habits", &habits, "--calls", &record];
        Self::start(dir, "carrier", &arguments, None).await
    }

    /// The same within another command that becomes this program, as `env` does.
    pub(crate) async fn wrapped(
        dir: &Path,
        name: &str,
        wrapper: &[&str],
        arguments: &[&str],
    ) -> Result<Self> {
        let mut child = Self::spawn(dir, name, wrapper, arguments)?;
        let ready = wait_ready(&mut child, &ready_file(dir, name), dir, name).await?;
        Ok(Self { child, ready })
    }

    /// Starts it and does not wait until it is up.
    pub(crate) fn spawn(
        dir: &Path,
        name: &str,
        wrapper: &[&str],
        arguments: &[&str],
    ) -> Result<Child> {
        let program = std::env::current_exe().context("this program has no path")?;
        let ready_file = ready_file(dir, name);
        std::fs::remove_file(&ready_file).ok();
        let log = std::fs::OpenOptions::new();
        let log = log.clone().create(true).append(true).open(dir.join(format!("{name}.log")))?;
        let mut command = match wrapper {
            [wrapper, arguments @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(&program);
                command
            }
            [] => Command::new(&program),
        };
        command
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready_file)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        command.spawn().with_context(|| format!("cannot start {name}"))
    }

    /// A text that it wrote.
    pub(crate) fn told(&self, name: &str) -> &str {
        self.ready.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// CPU that it and what it waited for have used, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.child.id().map_or(0.0, |id| cpu_s(&format!("/proc/{id}/stat"), &[13, 14, 15, 16]))
    }

    /// Largest memory so far, in bytes.
    pub(crate) fn memory_bytes_max(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Memory now, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, figure: &str) -> u64 {
        let id = self.child.id().unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let kib: u64 =
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default();
        kib * 1_024
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends it a signal by name, as `STOP`.
    pub(crate) async fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().context("it has ended")?;
        let sent =
            Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().await?;
        if sent.success() { Ok(()) } else { bail!("it takes no signal") }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            Command::new("kill").arg(id.to_string()).status().await?;
        }
        let ended = tokio::time::timeout(DOWN_TIME_MAX, self.child.wait()).await;
        let status = ended.context("it did not end when asked to")??;
        if !status.success() {
            bail!("it ended with {status}");
        }
        Ok(())
    }
}

fn ready_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.ready"))
}

async fn wait_ready(child: &mut Child, file: &Path, dir: &Path, name: &str) -> Result<Value> {
    let looks = UP_TIME_MAX.as_millis() / LOOK_PERIOD.as_millis();
    for _ in 0..looks {
        if let Ok(text) = std::fs::read_to_string(file) {
            return serde_json::from_str(&text).context("what it wrote is no JSON");
        }
        if let Some(status) = child.try_wait()? {
            let log = std::fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
            bail!("{name} ended with {status}:\n{log}");
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
    bail!("{name} is not up after {} s", UP_TIME_MAX.as_secs())
}

/// CPU in seconds from these fields (counted from 0) of a `stat` file of /proc.
pub(crate) fn cpu_s(path: &str, fields: &[usize]) -> f64 {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    // The second field is the program's name in brackets, which may hold anything.
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ticks: f64 = fields
        .iter()
        .filter_map(|field| words.get(field.checked_sub(2)?)?.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_S
}

/// An address of loopback whose port is the system's choice.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// Longest call in seconds where nothing is tried about it.
pub(crate) const CALL_TIME_MAX_S: u32 = 3_600;

/// A server's directory and settings.
pub(crate) struct ServerPlan {
    /// Where its files are.
    pub(crate) dir: PathBuf,
    /// Address of its trunk.
    pub(crate) trunk: String,
    pub(crate) slots: u32,
    pub(crate) calls_per_second: u32,
    pub(crate) ring_time_max_s: u32,
    /// Its API's address; port 0 for any.
    pub(crate) api: String,
    /// Its SIP address; port 0 for any.
    pub(crate) sip: String,
    /// Its PostgreSQL; without one it keeps a file.
    pub(crate) store_url: Option<String>,
    /// Longest call in seconds.
    pub(crate) call_time_max_s: u32,
}

/// Login, PIN and API key of a server's first account.
pub(crate) struct Account {
    pub(crate) login: String,
    pub(crate) pin: String,
    pub(crate) api_key: String,
}

impl ServerPlan {
    /// Writes the settings and creates the account.
    pub(crate) async fn prepare(&self, login: &str) -> Result<Account> {
        self.write_settings()?;
        self.create_account(login).await
    }

    /// Writes the settings, over those of before.
    pub(crate) fn write_settings(&self) -> Result<()> {
        let Self { dir, trunk, slots, calls_per_second, ring_time_max_s, api, sip, .. } = self;
        let call_time_max_s = self.call_time_max_s;
        let store = match &self.store_url {
            Some(url) => format!("[store]\nurl = {url:?}\n"),
            None => String::new(),
        };
        let settings = format!(
            "[api]\nlisten = {api:?}\n\
             [calls]\nring_time_max_s = {ring_time_max_s}\ncall_time_max_s = {call_time_max_s}\n\
             [fetch]\nallow_private = [\"127.0.0.0/8\"]\n\
             [log]\nfilter = \"info\"\n\
             [rtp]\nbind = \"127.0.0.1\"\n\
             [sip]\nbind = {sip:?}\n{store}\
             [[trunk]]\nname = \"carrier\"\nhosts = [{trunk:?}]\nslots = {slots}\n\
             calls_per_second = {calls_per_second}\nallow_loopback = true\n"
        );
        Ok(std::fs::write(dir.join("outdial.toml"), settings)?)
    }

    async fn create_account(&self, login: &str) -> Result<Account> {
        let program = std::env::current_exe().context("this program has no path")?;
        let created = Command::new(program)
            .args(["account", "create", login, "--json"])
            .current_dir(&self.dir)
            .output()
            .await?;
        if !created.status.success() {
            bail!("no account: {}", String::from_utf8_lossy(&created.stderr));
        }
        let secrets: Value = serde_json::from_slice(&created.stdout)?;
        let text =
            |name: &str| secrets.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Account { login: text("login"), pin: text("pin"), api_key: text("api_key") })
    }

    /// Starts the server.
    pub(crate) async fn serve(&self, processors: Option<&str>) -> Result<Running> {
        Running::start(&self.dir, "server", &["serve"], processors).await
    }
}

/// A form with one file, as a browser would send it.
pub(crate) fn multipart(fields: &[(&str, &str)], file: (&str, &str, &str)) -> (String, String) {
    const BOUNDARY: &str = "outdial-form-boundary-7d91c4";
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    let (field, name, text) = file;
    body.push_str(&format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         Content-Type: text/plain\r\n\r\n{text}\r\n--{BOUNDARY}--\r\n"
    ));
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}
