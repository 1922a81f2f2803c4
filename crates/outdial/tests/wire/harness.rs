//! The stage of every test: a directory, ports, processes that die with it, and what they said.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for anything that must happen; a busy machine takes its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How often is looked for what nobody tells.
const LOOK_PERIOD: Duration = Duration::from_millis(10);
/// How much of a file is printed when a test fails, in bytes.
const SHOWN_MAX: usize = 40_000;

/// A test's directory; when the test fails, what stands in its files is printed.
pub(crate) struct Stage(TempDir);

impl Stage {
    /// A new directory.
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("outdial-wire-").expect("there is room for temporary files"))
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let entries = std::fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort();
        let is_text = |path: &&PathBuf| {
            let end = path.extension().unwrap_or_default();
            ["log", "jsonl", "toml"].iter().any(|text| end == *text)
        };
        for path in files.iter().filter(is_text) {
            let content = std::fs::read(path).unwrap_or_default();
            let tail = &content[content.len().saturating_sub(SHOWN_MAX)..];
            if !tail.is_empty() {
                eprintln!("==== {}\n{}", path.display(), String::from_utf8_lossy(tail));
            }
        }
    }
}

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `program` in the stage's directory; what it says goes to `name.log`.
    pub(crate) fn start(stage: &Stage, name: &str, program: &Path, arguments: &[&str]) -> Self {
        let log = stage.file(&format!("{name}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(stage.dir())
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Self { name: name.to_owned(), child }
    }

    /// Its process id, while it runs.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("{} has ended", self.name))
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("{} does not end", self.name)).unwrap()
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        // It may have ended by itself in the same moment.
        self.child.start_kill().ok();
        self.end().await;
    }

    /// Sends it a signal by name.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().await.unwrap();
        assert!(sent.success(), "{} took no {signal}", self.name);
    }
}

/// Where an installed program is; without it the test fails, for it would show nothing.
pub(crate) fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|it| it.is_file());
    found.unwrap_or_else(|| panic!("{program} is missing: `make setup` installs it"))
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(LOOK_PERIOD).await;
    }
}

/// Waits for `work`, which must come to its end.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// Ports that this process hands out: below those that the system gives out by itself.
const PORTS: std::ops::Range<u32> = 10_000..32_000;
/// Ports among them that the program asks nothing of by HTTP: databases and their like live there.
const NOT_FOR_HTTP: [u16; 10] =
    [10_080, 10_250, 10_255, 11_211, 15_672, 25_672, 26_379, 27_017, 27_018, 27_019];

/// The first of `count` ports in a row that nobody else is given, UDP and TCP, on loopback.
pub(crate) fn ports(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count_wide = u32::from(count);
    // Test runs at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(7_919) % (PORTS.end - PORTS.start);
    let taken_ports = ports_in_use();
    for _ in 0..1_000 {
        let taken = begin + NEXT.fetch_add(count_wide, Ordering::Relaxed);
        let first = PORTS.start + taken % (PORTS.end - PORTS.start);
        if first + count_wide > PORTS.end {
            continue;
        }
        let first = u16::try_from(first).expect("ports have 16 bits");
        if !(first..first + count).any(|port| taken_ports.contains(&port)) {
            return first;
        }
    }
    panic!("no {count} free ports in a row");
}

/// A port of its own.
pub(crate) fn port() -> u16 {
    ports(1)
}

/// A port of loopback.
pub(crate) fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Ports that somebody has, or better leaves alone.
///
/// They are read, not tried: a process that another test starts at that moment would keep a port
/// that was only tried until it becomes its program, and whoever is given the port cannot open it.
fn ports_in_use() -> HashSet<u16> {
    let tables = ["udp", "udp6", "tcp", "tcp6"]
        .map(|name| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
    let local = |line: &str| {
        let address = line.split_whitespace().nth(1)?;
        u16::from_str_radix(address.rsplit(':').next()?, 16).ok()
    };
    let used = tables.iter().flat_map(|table| table.lines().filter_map(local));
    used.chain(NOT_FOR_HTTP).collect()
}

/// Waits until a process has opened this UDP port.
pub(crate) async fn until_open(port: u16) {
    let entry = format!(":{port:04X} ");
    until("a port is open", async || {
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
        let local = |line: &str| line.split_whitespace().nth(1).map(|at| format!("{at} "));
        sockets.lines().filter_map(local).any(|at| at.ends_with(&entry)).then_some(())
    })
    .await;
}
