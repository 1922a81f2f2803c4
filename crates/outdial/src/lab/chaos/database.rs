//! What is done to the database and to the road there.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::time::Timestamp;
use facade::zone::rfc_3339;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::cluster::Cluster;
use super::fault::{Failover, Outage};
use super::road::Passing;
use super::run::Scene;
use crate::client::{Answer, ApiClient};
use crate::stage::multipart;

/// How long a disk is full, or no connection is to be had.
const TROUBLE_TIME: Duration = Duration::from_secs(5);
/// Every so many commits lose their answer.
const DEAF_EVERY: u64 = 3;
/// For how long.
const DEAF_TIME: Duration = Duration::from_secs(6);
/// Wait before a request is made once more that the server could not do.
const REPEAT_PAUSE: Duration = Duration::from_millis(200);
/// How often it is made at most: some five minutes.
const REPEATS_MAX: usize = 1_500;
/// Contacts of the file that is taken in.
const IMPORTED: usize = 20_000;
/// The campaign that takes them.
const IMPORT_CAMPAIGN: &str = "import";
/// Room on the database's disk where it is to become full.
const DISK: &str = "size=192m,mode=755";
/// Connections that the database has where they are to be taken.
const CONNECTIONS: &str = "max_connections=24";

impl Outage {
    /// Further settings of the database.
    pub(super) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::LongTransaction(_) => &["autovacuum=off"],
            Self::Taken => &[CONNECTIONS],
            // Its log of changes must not fill the disk before the disk is to be full.
            Self::DiskFull => &["max_wal_size=64MB", "min_wal_size=32MB"],
            _ => &[],
        }
    }

    /// Whether it comes while calls are queued, or before.
    pub(super) const fn comes_early(self) -> bool {
        matches!(self, Self::Idle | Self::Queueing | Self::DeafCommits)
    }
}

/// A small disk for the database's files.
pub(super) async fn small_disk(dir: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let dir = dir.display().to_string();
    super::strike::run("mount", &["-t", "tmpfs", "-o", DISK, "tmpfs", &dir]).await
}

/// Makes a request that counts once, until the server can do it.
pub(super) async fn insist(
    client: &ApiClient,
    path: &str,
    body: &Value,
    key: &str,
) -> Result<Answer> {
    let mut last = None;
    for _ in 0..REPEATS_MAX {
        match client.post_json_once(path, body, key).await {
            // 409: the one before is under way still.
            Ok(answer) if !matches!(answer.status, 409 | 429 | 500..=599) => return Ok(answer),
            Ok(answer) => last = Some(answer.status),
            Err(_) => {}
        }
        sleep(REPEAT_PAUSE).await;
    }
    bail!("{path} could not be done, at last {last:?}")
}

impl Scene {
    /// Something becomes of the database.
    pub(super) async fn strike_database(&mut self, outage: Outage) -> Result<()> {
        if !outage.comes_early() && outage != Outage::Importing {
            self.any_moment().await?;
        }
        match outage {
            Outage::DeafCommits => self.deafen().await?,
            Outage::DiskFull => self.fill_database_disk().await?,
            Outage::Frozen(seconds) => {
                self.database()?.freeze().await?;
                sleep(Duration::from_secs(seconds)).await;
                self.database()?.thaw().await?;
            }
            Outage::Idle => {
                self.database()?.kill().await?;
                self.database()?.start().await?;
            }
            Outage::Importing => self.import_through_a_kill().await?,
            Outage::Killed(seconds) => {
                self.database()?.kill().await?;
                sleep(Duration::from_secs(seconds)).await;
                self.database()?.start().await?;
            }
            Outage::LongTransaction(seconds) => self.hold_open(seconds).await?,
            Outage::Queueing => {
                let pause = Duration::from_millis(self.chance.below(150));
                sleep(pause).await;
                self.database()?.kill().await?;
                self.database()?.start().await?;
            }
            Outage::Stopped(signal) => {
                self.database()?.stop(signal).await?;
                self.database()?.start().await?;
            }
            Outage::Taken => self.take_connections().await?,
        }
        self.heal();
        Ok(())
    }

    /// The database.
    pub(super) fn database(&mut self) -> Result<&mut Cluster> {
        self.database.as_mut().context("there is no database")
    }

    /// The road lets only some pass for a while.
    pub(super) async fn block_road(&mut self, passing: Passing, seconds: u64) -> Result<()> {
        self.any_moment().await?;
        let pass = |passing| self.nodes[0].roads.iter().for_each(|road| road.let_pass(passing));
        pass(passing);
        sleep(Duration::from_secs(seconds)).await;
        pass(Passing::All);
        self.heal();
        Ok(())
    }

    /// The answers of some commits are lost: of whatever is queued, claimed, ended and told.
    async fn deafen(&mut self) -> Result<()> {
        let node = &self.nodes[0];
        node.roads.iter().for_each(|road| road.lose_commits(DEAF_EVERY));
        sleep(DEAF_TIME).await;
        node.roads.iter().for_each(|road| road.lose_commits(0));
        let lost: u64 = node.roads.iter().map(super::road::Road::lost).sum();
        if lost == 0 {
            bail!("no answer of a commit was lost");
        }
        self.notes.push(format!("{lost} answers of commits lost"));
        Ok(())
    }

    /// The primary is lost, and its standby promoted.
    pub(super) async fn fail_over(&mut self, failover: Failover) -> Result<()> {
        self.any_moment().await?;
        match failover {
            Failover::Asynchronous | Failover::Synchronous => self.database()?.kill().await?,
            Failover::Frozen => self.database()?.freeze().await?,
        }
        self.heal();
        self.standby.as_ref().context("there is no standby")?.promote().await
    }

    /// A standby without which nothing is committed, or one that follows as it can.
    pub(super) async fn add_standby(&mut self, failover: Failover) -> Result<()> {
        let dir = self.dir.join("standby");
        let primary = self.database.as_ref().context("there is no database")?;
        self.standby = Some(primary.standby(&dir).await?);
        if failover != Failover::Asynchronous {
            for set in ["synchronous_standby_names = 'ANY 1 (*)'", "synchronous_commit = on"] {
                primary.sql("postgres", &format!("ALTER SYSTEM SET {set}")).await?;
            }
            primary.sql("postgres", "SELECT pg_reload_conf()").await?;
            self.until_followed().await?;
        }
        Ok(())
    }

    /// Waits until the standby takes part in every commit.
    async fn until_followed(&self) -> Result<()> {
        let primary = self.database.as_ref().context("there is no database")?;
        let query =
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')";
        for _ in 0..600 {
            if primary.sql("postgres", query).await? == "1" {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the standby does not follow")
    }

    async fn fill_database_disk(&mut self) -> Result<()> {
        let ballast = self.dir.join("database").join("ballast");
        let mut file = std::fs::File::create(&ballast)?;
        let block = vec![0; 65_536];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        drop(file);
        sleep(TROUBLE_TIME).await;
        std::fs::remove_file(&ballast)?;
        // A database that cannot write its log ends; who runs it starts it again.
        self.database()?.stop("QUIT").await?;
        self.database()?.start().await
    }

    /// Takes every connection there is, and ends those of the server.
    async fn take_connections(&mut self) -> Result<()> {
        let database = self.database()?;
        let mut clients = Vec::new();
        for _ in 0..40 {
            clients.push(database.client("SELECT pg_sleep(60)")?);
        }
        sleep(TROUBLE_TIME / 5).await;
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name LIKE 'server%'";
        let ended = database.sql("postgres", end).await?;
        // Whoever was refused before takes what is free now.
        for _ in 0..20 {
            clients.push(database.client("SELECT pg_sleep(60)")?);
        }
        sleep(TROUBLE_TIME).await;
        for client in &mut clients {
            client.kill().await?;
        }
        let leave = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE application_name = 'psql' AND pid <> pg_backend_pid()";
        database.sql("postgres", leave).await?;
        self.notes.push(format!("{ended} connections of the server's ended"));
        Ok(())
    }

    /// Leaves a transaction open that sees everything as it was, and waits for an alarm.
    async fn hold_open(&mut self, seconds: u64) -> Result<()> {
        let script = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM contacts; \
             SELECT pg_sleep({seconds}); COMMIT"
        );
        let mut client = self.database()?.client(&script)?;
        let alarm = async {
            loop {
                let answer = self.client().get("/healthz").await?;
                let health: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let problems = health.get("problems").map(ToString::to_string);
                if let Some(said) = problems.filter(|said| said.contains("snapshot")) {
                    return Ok::<_, anyhow::Error>(said);
                }
                sleep(REPEAT_PAUSE).await;
            }
        };
        let alarm = tokio::time::timeout(Duration::from_secs(seconds), alarm).await;
        client.kill().await?;
        let said = alarm.context("no alarm of an old snapshot")??;
        self.notes.push(said);
        Ok(())
    }

    /// Takes a file of contacts in while the database is killed, and counts what is there then.
    async fn import_through_a_kill(&mut self) -> Result<()> {
        let opens = self.clock.now().as_millis() + 7 * 24 * 3_600_000;
        let settings = json!({
            "campaign": IMPORT_CAMPAIGN,
            "say": "hello",
            "window": { "opens_at": rfc_3339(Timestamp::from_millis(opens)) },
        });
        let mut file = String::from("number,reference\n");
        for nth in 0..IMPORTED {
            let _ = writeln!(file, "1212{:07},import-{nth}", 2_000_000 + nth);
        }
        let settings = settings.to_string();
        let (content_type, body) =
            multipart(&[("settings", &settings)], ("file", "list.csv", &file));
        let key = format!("\"import-{}\"", self.chance.below(u64::MAX));
        let client = self.client().clone();
        let sent = tokio::task::spawn(async move {
            for _ in 0..REPEATS_MAX {
                match client.post_once("/v1/imports", &content_type, body.clone(), &key).await {
                    Ok(answer) if !matches!(answer.status, 409 | 429 | 500..=599) => {
                        return answer.json();
                    }
                    _ => sleep(REPEAT_PAUSE).await,
                }
            }
            bail!("the file could not be sent")
        });
        let pause = Duration::from_millis(self.chance.below(1_500));
        sleep(pause).await;
        self.database()?.kill().await?;
        self.database()?.start().await?;
        let import = sent.await??;
        let id = import.get("id").and_then(Value::as_str).context("the import has no id")?;
        let commit = format!("/v1/imports/{id}/commit");
        insist(self.client(), &commit, &json!({}), "\"commit\"").await?.json()?;
        self.count_imported().await
    }

    async fn count_imported(&mut self) -> Result<()> {
        let count = "SELECT count(*) || ' of ' || count(DISTINCT contacts.reference) FROM contacts \
                     JOIN campaigns ON campaigns.id = contacts.campaign \
                     WHERE campaigns.name = 'import'";
        let wanted = format!("{IMPORTED} of {IMPORTED}");
        let mut counted = String::new();
        for _ in 0..300 {
            counted = self.database()?.sql("outdial", count).await?;
            if counted == wanted {
                self.notes.push(format!("{IMPORTED} contacts taken in once"));
                return Ok(());
            }
            sleep(REPEAT_PAUSE).await;
        }
        bail!("{counted} contacts are there, {wanted} were sent")
    }
}
