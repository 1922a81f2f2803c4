//! The program on PostgreSQL: over TLS, through a kill, with all commands that open the store; and
//! the quick ones of the faults of databases and of several servers.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::carrier::Carrier;
use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::{Stage, port, until};
use crate::scene::{NUMBER, queue};
use crate::server::{PROGRAM, Server, Settings};

/// Where Debian keeps the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Who runs the server where the tests run as root, which it refuses: nobody.
const NOBODY: u32 = 65_534;
/// The faults that take a few seconds each.
const QUICK: [&str; 4] = ["db-kill", "db-deaf", "db-failover", "nodes-none"];
/// Longest time for all of them.
const QUICK_TIME_MAX: Duration = Duration::from_secs(240);

/// A server with a certificate for `localhost`, and passwords for everybody.
pub(crate) struct Postgres {
    pub(crate) url: String,
    _child: Child,
}

fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
    let kept = versions.map(|version| version.path().join("bin").join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named: Vec<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join(name)).collect();
    kept.chain(named).find(|program| program.is_file())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of the server's, run by who may run the server.
fn command(name: &str, dir: &Path) -> Option<Command> {
    let mut command = Command::new(program(name)?);
    command.current_dir(dir).stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    Some(command)
}

/// Writes a file of the server's, as its own.
fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl Postgres {
    /// Starts one; `None` where PostgreSQL is not installed.
    pub(crate) async fn start(stage: &Stage) -> Option<Self> {
        program("initdb")?;
        std::fs::set_permissions(stage.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let dir = stage.file("postgres");
        std::fs::create_dir(&dir).unwrap();
        if is_root() {
            chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        write(&dir, "password", "open sesame");
        let made = command("initdb", &dir)?
            .args(["-U", "outdial", "-A", "scram-sha-256", "--pwfile", "password"])
            .args(["--no-sync", "--locale=C", "-E", "UTF8", "-D", "data"])
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let named = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = named.signed_by(&key, &authority).unwrap();
        let authorities = stage.write("ca.pem", authority.pem());
        let data = dir.join("data");
        write(&data, "server.crt", &certificate.pem());
        write(&data, "server.key", &key.serialize_pem());
        write(&data, "pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
        let port = port();
        let log = std::fs::File::create(stage.file("postgres.log")).unwrap();
        let child = command("postgres", &dir)?
            .args(["-D", "data", "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "ssl=on", "-c", "fsync=off"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!(
            "postgres://outdial:open%20sesame@localhost:{port}/postgres\
             ?sslmode=verify-full&sslrootcert={}",
            authorities.display()
        );
        let said = stage.file("postgres.log");
        until("PostgreSQL takes connections", async || {
            let said = std::fs::read_to_string(&said).ok()?;
            said.contains("ready to accept connections").then_some(())
        })
        .await;
        Some(Self { url, _child: child })
    }
}

/// Runs a command of the program beside the server's files; whether it ended well, and what it said.
async fn outdial(stage: &Stage, arguments: &[&str]) -> (bool, String) {
    let ran = Command::new(PROGRAM).args(arguments).current_dir(stage.dir()).output();
    let ran = ran.await.unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn server_on_postgresql_over_tls_makes_calls_through_a_kill_and_serves_all_commands() {
    let stage = Stage::new();
    let Some(postgres) = Postgres::start(&stage).await else {
        return println!("skipped: no PostgreSQL");
    };
    let habits: String = (1..=4)
        .map(|nth| format!("[[callee]]\nnumber = \"1555010000{nth}\"\ndoes = [\"person\"]\n"))
        .collect();
    let carrier = Carrier::start(&stage, &habits).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let store = format!("[store]\nurl = {:?}\n", postgres.url);
    let settings = Settings { store, ..Settings::default() };
    let mut server = Server::start(&stage, carrier.address, &settings).await;
    queue(&server, &customer, NUMBER).await;
    assert_eq!(customer.result().await.field("result"), "Completed");
    server.kill().await;
    server.restart(&stage).await;
    let second = "15550100002";
    queue(&server, &customer, second).await;
    let results = customer.results_of(2).await;
    assert!(results.values().any(|result| result.field("phone_number") == second));
    assert_eq!(carrier.assert_rung_at_most(1).len(), 2);

    // While it runs its directory is its own.
    let (done, said) = outdial(&stage, &["account", "list"]).await;
    assert!(!done && said.contains("is in use"), "{said}");
    let list = stage.write("list.csv", "number,reference\n15550100003,three\n15550100004,four\n");
    let list = list.display().to_string();
    let import = ["import", &list, "--yes", "--json", "--campaign", "later", "--say", "hello"];
    let imported = server.command(&stage, &[&import[..], &["--priority", "1"]].concat()).await;
    let imported: Value = serde_json::from_str(&imported).unwrap();
    assert_eq!(imported["report"]["accepted"], 2, "{imported}");
    carrier
        .until("the imported are called", |events| {
            let rung = events.iter().filter(|event| event.event == "invite");
            (rung.count() == 4).then_some(())
        })
        .await;
    server.until_quiet().await;
    server.stop().await;

    let (done, said) = outdial(&stage, &["account", "list"]).await;
    assert!(done && said.contains("wire"), "{said}");
    let (done, said) = outdial(&stage, &["account", "create", "second"]).await;
    assert!(done && said.contains("API key"), "{said}");
    let (_, said) = outdial(&stage, &["doctor"]).await;
    let line = said.lines().find(|line| line.contains("store")).unwrap();
    assert!(line.contains("localhost/postgres writes and syncs"), "{said}");
    assert!(!said.contains("sesame"), "{said}");

    // A server that is not the one that the authorities have signed.
    let wrong = postgres.url.replace("@localhost", "@127.0.0.1");
    let refused = Settings { store: format!("[store]\nurl = {wrong:?}\n"), ..Settings::default() };
    Server::configure(&stage, carrier.address, &refused);
    let (done, said) = outdial(&stage, &["serve"]).await;
    assert!(!done && said.contains("not valid for name"), "{said}");
    let (done, said) = outdial(&stage, &["doctor"]).await;
    assert!(!done && said.contains("not valid for name"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_faults_of_databases_and_servers_double_nothing_and_lose_nothing() {
    let stage = Stage::new();
    if program("initdb").is_none() {
        return println!("skipped: no PostgreSQL");
    }
    let figures = stage.file("figures.json");
    let named = figures.display().to_string();
    let mut arguments = vec!["lab", "chaos", "--seeds", "1", "--calls", "20", "--json", &named];
    QUICK.iter().for_each(|fault| arguments.extend(["--fault", fault]));
    let ran = tokio::time::timeout(QUICK_TIME_MAX, outdial(&stage, &arguments)).await;
    let (done, said) = ran.expect("faults are over within their time");
    assert!(done, "{said}");
    let figures: Value = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    assert_eq!(figures["runs"], QUICK.len(), "{said}");
    let wrong = ["rung_twice", "results_lost", "results_changed", "caps_broken", "outside_window"];
    for what in wrong {
        assert_eq!(figures[what], 0, "{what}\n{said}");
    }
    println!("{said}");
}
