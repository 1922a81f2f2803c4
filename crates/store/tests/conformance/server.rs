//! A PostgreSQL server of the tests' own, which ends with the process that started it.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};

use crate::support::Database;

/// Tells a child of the tests which server to use.
const SOCKET: &str = "OUTDIAL_STORE_TEST_SOCKET";
/// Names the socket of a server that is not reached over the network.
const PORT: u16 = 5_432;
/// Who runs the server where the tests run as root, which it refuses: nobody.
const NOBODY: u32 = 65_534;
/// Ends the server and removes its files as soon as nobody holds the other end of its input; its
/// output is the server's log, and ends with the server.
const KEEPER: &str = r#"
dir=$1
shift
postgres -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c max_connections=200 \
    -c shared_buffers=64MB -c autovacuum_naptime=5s -c log_min_messages=log "$@" 2>&1 &
server=$!
exec >/dev/null 2>&1
read -r end
kill -QUIT $server
wait $server
rm -rf "$dir"
"#;

/// A running server.
pub(crate) struct Server {
    /// Its directory, where its socket is.
    pub(crate) socket: PathBuf,
    /// Ends the server when its input is closed, which the end of this process does.
    _keeper: Option<Child>,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();

/// The URL of a database for the test whose files are in `dir`; the same at every call.
///
/// Where PostgreSQL is not installed, the whole program of tests says so and ends well.
pub(crate) fn url_of(dir: &Path) -> String {
    let Some(server) = SERVER.get_or_init(shared) else {
        // Past the harness, which shows nothing of a test that ends well.
        std::io::stderr().write_all(b"skipped: no PostgreSQL\n").unwrap();
        std::process::exit(0);
    };
    let mut hash = DefaultHasher::new();
    dir.hash(&mut hash);
    let schema = format!("test_{:x}", hash.finish());
    let base = format!("host={} user=outdial dbname=postgres", server.socket.display());
    run(&base, &format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    let socket = server.socket.display().to_string().replace('/', "%2F");
    format!("postgres://outdial@{socket}/postgres?options=-csearch_path%3D{schema}")
}

/// Runs a script at a server, past any store.
pub(crate) fn run(url: &str, script: &str) {
    let (url, script) = (url.to_owned(), script.to_owned());
    on_a_thread(async move {
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::select! {
            done = client.batch_execute(&script) => done.unwrap(),
            ended = connection => panic!("the server hung up: {ended:?}"),
        }
    });
}

/// What a child of the tests must find in its environment.
pub(crate) fn for_child() -> Option<(&'static str, OsString)> {
    let started = match crate::DATABASE {
        Database::Postgres => SERVER.get_or_init(shared).as_ref(),
        Database::Sqlite => None,
    };
    started.map(|server| (SOCKET, server.socket.clone().into_os_string()))
}

/// Runs `work` to its end beside whatever runtime this thread has.
fn on_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work);
    });
    thread.join().unwrap();
}

/// Where programs are; Debian keeps those of the server apart.
fn programs() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    for version in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        path.push(":");
        path.push(version.path().join("bin"));
    }
    path
}

fn shared() -> Option<Server> {
    match std::env::var_os(SOCKET) {
        Some(socket) => Some(Server { socket: socket.into(), _keeper: None }),
        None => start(PORT, &[], |_| {}),
    }
}

/// Starts a server with further settings, once `prepare` has seen to its data.
pub(crate) fn start(port: u16, settings: &[&str], prepare: impl FnOnce(&Path)) -> Option<Server> {
    let found = Command::new("initdb").env("PATH", programs()).arg("--version").output();
    found.ok()?;
    let dir = tempfile::Builder::new().prefix("outdial-pg-").tempdir().unwrap().keep();
    let as_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if as_root {
        chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let as_nobody = |command: &mut Command| {
        command.current_dir(&dir).env("PATH", programs());
        if as_root {
            command.uid(NOBODY).gid(NOBODY);
        }
    };
    let mut initdb = Command::new("initdb");
    initdb.args(["-U", "outdial", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8", "-D"]);
    as_nobody(initdb.arg(dir.join("data")));
    let made = initdb.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    prepare(&dir.join("data"));
    let mut keeper = Command::new("sh");
    as_nobody(keeper.args(["-c", KEEPER, "keeper"]).arg(&dir));
    keeper.args(["-p", &port.to_string()]).args(settings);
    // A signal for the tests' terminal is none of the server's business.
    keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut keeper = keeper.spawn().unwrap();
    wait_until_ready(keeper.stdout.take().unwrap());
    Some(Server { socket: dir, _keeper: Some(keeper) })
}

/// Waits until the server's log says that it is ready; from then on the log is read and forgotten.
fn wait_until_ready(log: impl Read + Send + 'static) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut so_far = Vec::new();
        let ready = lines.by_ref().inspect(|line| so_far.push(line.clone())).any(is_ready);
        tell.send((ready, so_far)).unwrap();
        lines.for_each(drop);
    });
    let (ready, so_far) = told.recv().unwrap();
    assert!(ready, "the server did not start: {so_far:#?}");
}

fn is_ready(line: String) -> bool {
    line.ends_with("database system is ready to accept connections")
}
