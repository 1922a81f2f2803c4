//! Every query, held to what both databases ask of it.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::time::Timestamp;

use crate::driver::Writer;
use crate::numbers::taken;
use crate::{
    Store, StoreConfig, StoreError, accounts, ahead, attempts, campaigns, claim, contacts,
    deployments, dial_queue, dialect, endpoints, events, idempotency, imports, lead, lists,
    migrate, nodes, numbers, policies, reader, reroutes, services, share, store, tx, uploads,
    webhooks, writer,
};

/// Who runs PostgreSQL where the tests run as root, which it refuses: nobody.
const NOBODY: u32 = 65_534;

/// The queries by file and name.
fn queries() -> Vec<(&'static str, &'static str, &'static str)> {
    let files = [
        ("accounts", accounts::QUERIES),
        ("ahead", ahead::QUERIES),
        ("attempts", attempts::QUERIES),
        ("campaigns", campaigns::QUERIES),
        ("claim", claim::QUERIES),
        ("contacts", contacts::QUERIES),
        ("deployments", deployments::QUERIES),
        ("dial_queue", dial_queue::QUERIES),
        ("endpoints", endpoints::QUERIES),
        ("events", events::QUERIES),
        ("idempotency", idempotency::QUERIES),
        ("imports", imports::QUERIES),
        ("lead", lead::QUERIES),
        ("lists", lists::QUERIES),
        ("migrate", migrate::QUERIES),
        ("nodes", nodes::QUERIES),
        ("numbers", numbers::QUERIES),
        ("policies", policies::QUERIES),
        ("reader", reader::QUERIES),
        ("reroutes", reroutes::QUERIES),
        ("services", services::QUERIES),
        ("share", share::QUERIES),
        ("store", store::QUERIES),
        ("taken", taken::QUERIES),
        ("tx", tx::QUERIES),
        ("uploads", uploads::QUERIES),
        ("webhooks", webhooks::QUERIES),
        ("writer", writer::QUERIES),
    ];
    let named = files
        .iter()
        .flat_map(|(file, queries)| queries.iter().map(move |(name, sql)| (*file, *name, *sql)));
    named.collect()
}

/// The numbers of a query's parameters as they stand in it.
fn parameters(sql: &str) -> Vec<usize> {
    let parts = sql.split('$').skip(1);
    let digits = parts.map(|part| part.split(|c: char| !c.is_ascii_digit()).next());
    digits.map(|digits| digits.unwrap().parse().unwrap()).collect()
}

#[test]
fn parameters_first_appear_in_ascending_order() {
    // SQLite counts names as they first appear, PostgreSQL by their number: here both are one.
    for (file, name, sql) in queries() {
        let mut known = 0;
        for parameter in parameters(sql) {
            assert!(parameter <= known + 1, "{file} {name}: ${parameter} after ${known}");
            known = known.max(parameter);
        }
    }
}

#[test]
fn row_found_by_its_id_is_not_looked_for_among_all_of_its_state() {
    // Each state has an index of its own, for which PostgreSQL takes little when it plans.
    for (file, name, sql) in queries() {
        let by_id = sql.starts_with("UPDATE webhooks") && sql.contains("WHERE id = $");
        assert!(!(by_id && sql.contains("state = 'owed' RETURNING")), "{file} {name}");
        assert!(!(by_id && sql.ends_with("state = 'owed'")), "{file} {name}");
    }
}

#[test]
fn every_query_fits_the_schema_of_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outdial.db");
    let mut writer = Writer::open(&StoreConfig::new(&path)).unwrap();
    writer.migrate().unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    // Where there is but one server, nothing of the others is asked.
    let own = queries()
        .into_iter()
        .filter(|(file, ..)| !["ahead", "lead", "nodes", "taken"].contains(file));
    for (file, name, sql) in own {
        if let Err(error) = connection.prepare(sql) {
            panic!("{file} {name}: {error}");
        }
    }
}

/// Queries that must find their rows in this order by this index, whatever the tables hold.
const PLANS: [(&str, &str, &str); 24] = [
    ("attempts", "WAITING", "contacts_campaign"),
    ("contacts", "LIST", "contacts_account"),
    ("contacts", "LIST_CAMPAIGN", "contacts_campaign"),
    ("contacts", "LIST_ENDED", "contacts_ended"),
    ("contacts", "LIST_STATE", "contacts_account"),
    ("contacts", "LIST_WAITING", "contacts_campaign"),
    ("contacts", "LOOK_END_OF_CAMPAIGN", "contacts_campaign"),
    ("dial_queue", "CLOSED", "contacts_closing"),
    ("dial_queue", "NEXT_CLOSING", "contacts_closing"),
    ("dial_queue", "NEXT_PARKED", "contacts_parked"),
    ("dial_queue", "PROMOTE_DUE", "contacts_parked"),
    ("claim", "READY", "contacts_ready"),
    ("endpoints", "DELIVERIES", "deliveries_endpoint"),
    ("endpoints", "OVER", "webhooks_endpoint"),
    ("events", "NEWEST", "events_account"),
    ("events", "NTH", "events_account"),
    ("events", "OLDEST", "events_account"),
    ("events", "PART", "events_account"),
    ("idempotency", "FORGET_OLD", "idempotency_keys_age"),
    ("idempotency", "FORGET_OLD_PARTS", "answer_parts_age"),
    ("lists", "WAITING_WITH", "contacts_number"),
    ("numbers", "CALLS", "called_number"),
    ("webhooks", "DUE_OF_LANE", "webhooks_due"),
    ("webhooks", "UNDONE", "webhooks_attempt"),
];

#[test]
fn rows_come_from_an_index_in_order_without_sorting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outdial.db");
    let mut writer = Writer::open(&StoreConfig::new(&path)).unwrap();
    writer.migrate().unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let queries = queries();
    for (file, name, index) in PLANS {
        let of_that_name = |query: &&(&str, &str, &str)| (query.0, query.1) == (file, name);
        let sql = queries.iter().find(of_that_name).unwrap().2;
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let parameters = plan.parameter_count();
        let values = rusqlite::params_from_iter((0..parameters).map(|_| 1));
        let steps = plan.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let found = steps.iter().any(|step| step.contains(index));
        let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(found && !sorted, "{file} {name}: {steps:?}");
    }
}

#[tokio::test]
async fn operation_that_panics_is_undone_and_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(dir.path().join("outdial.db"));
    let (store, reader) = Store::open(config).await.unwrap();
    let now = Timestamp::from_seconds(1);
    store.create_account(now, "first", None).await.unwrap();
    let panicking = store.write(1, |tx| -> Result<(), StoreError> {
        tx.run("DELETE FROM accounts", &[])?;
        panic!("as this test wants it");
    });
    let (panicked, added) = tokio::join!(panicking, store.create_account(now, "second", None));
    assert!(matches!(panicked, Err(StoreError::Damaged(_))));
    added.unwrap();
    assert_eq!(reader.accounts().await.unwrap().len(), 2);
}

#[tokio::test]
async fn look_that_panics_ends_alone() {
    let dir = tempfile::tempdir().unwrap();
    let one = StoreConfig { readers: 1, ..StoreConfig::new(dir.path().join("outdial.db")) };
    let (_store, reader) = Store::open(one).await.unwrap();
    let panicked = reader.look(|sql| -> Result<(), StoreError> {
        sql.snapshot(|_| panic!("as this test wants it"))
    });
    assert!(matches!(panicked.await, Err(StoreError::Closed)));
    assert_eq!(reader.totals().await.unwrap().webhooks_owed, 0);
}

#[test]
fn migrations_come_in_pairs() {
    let names = |database: &str| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
        let files = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn every_query_fits_the_schema_of_postgresql() {
    if Command::new("initdb").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: no initdb");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let as_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if as_root {
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let run = |mut command: Command| {
        if as_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.current_dir(dir.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), errors)
    };
    let data = dir.path().join("data");
    let mut initdb = Command::new("initdb");
    initdb.args(["-U", "outdial", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8", "-D"]);
    initdb.arg(&data);
    let (done, errors) = run(initdb);
    assert!(done, "{errors}");

    // One server process without a server: statements end with an empty line after the semicolon.
    let mut script = String::new();
    for migration in migrate::MIGRATIONS {
        // Between statements: an empty line alone ends one.
        let statements = migration.postgres.trim_end();
        write!(script, "{statements}\n\n").unwrap();
    }
    let queries = queries();
    let create = queries.iter().find(|(_, name, _)| *name == "CREATE_VERSIONS").unwrap().2;
    write!(script, "\n\n{create};\n\n").unwrap();
    for (file, name, sql) in queries.iter().filter(|(_, _, sql)| *sql != create) {
        write!(script, "PREPARE {file}_{name} AS {};\n\n", dialect::for_postgres(sql)).unwrap();
    }
    let path = dir.path().join("script.sql");
    std::fs::write(&path, &script).unwrap();
    let mut single = Command::new("postgres");
    single.args(["--single", "-j", "-c", "exit_on_error=on", "-D"]).arg(&data).arg("postgres");
    single.stdin(File::open(&path).unwrap());
    let (done, errors) = run(single);
    let refused = errors.lines().find(|line| line.contains("ERROR") || line.contains("FATAL"));
    assert!(done && refused.is_none(), "{errors}");
}
