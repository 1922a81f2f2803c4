//! PostgreSQL of a run's own: made, started, killed, frozen, copied to a standby, promoted.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// Where Debian keeps the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Who runs the server where this program runs as root, which it refuses: nobody.
const NOBODY: u32 = 65_534;
/// Longest wait for a server to take connections; after a crash it reads its log first.
const UP_TIME_MAX: Duration = Duration::from_secs(120);
/// How often is looked whether it does.
const LOOK_PERIOD: Duration = Duration::from_millis(50);
/// Ports of our own, below those that the system hands out: a server that is killed comes back
/// where it was, and nobody has taken its place.
const PORTS: std::ops::Range<u16> = 11_000..19_000;

/// A server with a database `outdial`, on loopback.
#[derive(Debug)]
pub(super) struct Cluster {
    dir: PathBuf,
    pub(super) port: u16,
    settings: Vec<String>,
    postmaster: Option<Child>,
}

/// A port that nobody listens at, over TCP or UDP.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs at the same time begin at different places.
    let width = PORTS.end - PORTS.start;
    let begin = u16::try_from(std::process::id().wrapping_mul(7_919) % u32::from(width));
    loop {
        let nth = begin.unwrap_or(0).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % width;
        let address = ("127.0.0.1", PORTS.start + nth);
        let is_free = std::net::UdpSocket::bind(address).is_ok()
            && std::net::TcpListener::bind(address).is_ok();
        if is_free {
            return address.1;
        }
    }
}

/// Whether PostgreSQL is installed.
pub(super) fn is_installed() -> bool {
    let asked = std::process::Command::new(program("initdb")).arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}

/// A program of the server, the newest there is.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
    let number =
        |dir: &PathBuf| dir.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions
        .map(|entry| entry.path())
        .filter(|dir| dir.join("bin").join(name).exists())
        .max_by_key(number);
    newest.map_or_else(|| PathBuf::from(name), |dir| dir.join("bin").join(name))
}

/// Whether this program may do everything.
pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Cluster {
    /// Makes a server whose files are in `dir`, and starts it with further settings.
    pub(super) async fn create(dir: &Path, settings: &[&str]) -> Result<Self> {
        let mut cluster = Self::at(dir, settings)?;
        let data = cluster.data();
        let data = data.display().to_string();
        let made = ["-U", "outdial", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8", "-D"];
        cluster.run("initdb", &[&made[..], &[&data]].concat()).await?;
        cluster.start().await?;
        // Servers come as somebody who may not take what is kept for administrators.
        cluster.sql("postgres", "CREATE ROLE app LOGIN").await?;
        cluster.sql("postgres", "CREATE DATABASE outdial OWNER app").await?;
        Ok(cluster)
    }

    /// A standby of this server, in `dir`, following it.
    pub(super) async fn standby(&self, dir: &Path) -> Result<Self> {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        let mut standby = Self::at(dir, &settings)?;
        let (port, data) = (self.port.to_string(), standby.data().display().to_string());
        let source = ["-h", "127.0.0.1", "-p", &port, "-U", "outdial"];
        let how = ["-D", &data, "-R", "-X", "stream", "-c", "fast", "--no-sync"];
        self.run("pg_basebackup", &[&source[..], &how[..]].concat()).await?;
        standby.start().await?;
        Ok(standby)
    }

    fn at(dir: &Path, settings: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        if is_root() {
            chown(dir, Some(NOBODY), Some(NOBODY))?;
        }
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        Ok(Self { dir: dir.to_owned(), port: free_port(), settings, postmaster: None })
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Its address for those who go straight there.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it and waits until it takes connections.
    pub(super) async fn start(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new();
        let log = log.clone().create(true).append(true).open(self.dir.with_extension("log"))?;
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).arg("-k").arg(&self.dir);
        server.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "autovacuum_naptime=5s", "-c", "log_line_prefix=%m [%p] %a "]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let up = async {
            loop {
                // The processes of one that was killed end a moment after it: then it begins again.
                if self.postmaster.as_mut().is_none_or(|it| !matches!(it.try_wait(), Ok(None))) {
                    self.postmaster = Some(server.spawn().context("cannot start PostgreSQL")?);
                }
                if self.sql("postgres", "SELECT 1").await.is_ok() {
                    return Ok(());
                }
                sleep(LOOK_PERIOD).await;
            }
        };
        tokio::time::timeout(UP_TIME_MAX, up).await.context("PostgreSQL does not start")?
    }

    /// Kills it as `kill -9` does.
    pub(super) async fn kill(&mut self) -> Result<()> {
        match self.postmaster.take() {
            Some(mut postmaster) => Ok(postmaster.kill().await?),
            None => Ok(()),
        }
    }

    /// Stops it by a signal: `INT` lets transactions be undone, `QUIT` ends all at once.
    pub(super) async fn stop(&mut self, signal: &str) -> Result<()> {
        let Some(mut postmaster) = self.postmaster.take() else {
            return Ok(());
        };
        let id = postmaster.id().context("PostgreSQL has ended")?;
        send(signal, &[id]).await?;
        postmaster.wait().await?;
        Ok(())
    }

    /// Stops all of its processes where they stand; they keep their connections.
    pub(super) async fn freeze(&self) -> Result<()> {
        send("STOP", &self.processes()).await
    }

    /// Lets them go on.
    pub(super) async fn thaw(&self) -> Result<()> {
        send("CONT", &self.processes()).await
    }

    /// The server's processes, the first one first, so that no further one is started meanwhile.
    fn processes(&self) -> Vec<u32> {
        let Some(postmaster) = self.postmaster.as_ref().and_then(Child::id) else {
            return Vec::new();
        };
        let path = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        [postmaster].into_iter().chain(children).collect()
    }

    /// Makes a standby the primary, and waits until it is.
    pub(super) async fn promote(&self) -> Result<()> {
        self.sql("postgres", "SELECT pg_promote(true, 60)").await.map(drop)
    }

    /// Runs SQL as the owner of everything, straight at the server; what it gives.
    pub(super) async fn sql(&self, database: &str, script: &str) -> Result<String> {
        let port = self.port.to_string();
        let place = ["-h", "127.0.0.1", "-p", &port, "-U", "outdial", "-d", database];
        let how = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", script];
        self.run("psql", &[&place[..], &how[..]].concat()).await
    }

    /// Starts a client that runs SQL as servers do, until it is dropped.
    pub(super) fn client(&self, script: &str) -> Result<Child> {
        let mut client = self.command("psql");
        let port = self.port.to_string();
        client.args(["-h", "127.0.0.1", "-p", &port, "-U", "app", "-d", "outdial"]);
        client.args(["-X", "-q", "-c", script]).stdin(Stdio::null());
        client.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        client.spawn().context("cannot start psql")
    }

    async fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(name);
        let output = command.args(arguments).stdin(Stdio::null()).output().await?;
        if !output.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A program of the server's, run by who may run the server.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.current_dir(&self.dir);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

/// Sends a signal by name.
async fn send(signal: &str, processes: &[u32]) -> Result<()> {
    let ids: Vec<String> = processes.iter().map(ToString::to_string).collect();
    // One that has ended meanwhile takes none.
    Command::new("kill").arg(format!("-{signal}")).args(ids).stderr(Stdio::null()).status().await?;
    Ok(())
}
