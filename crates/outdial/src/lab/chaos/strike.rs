//! What is done to the server, its files, its clock and those it talks to.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

use super::cluster;
use super::fault::{Damage, Fault, Kill, Outage, Strike};
use super::run::Scene;
use crate::stage::Running;

/// Makes a program see another time than the machine's.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// How long trouble lasts.
const TROUBLE_TIME: Duration = Duration::from_secs(3);
/// Room on the server's disk where it is to become full.
const DISK: &str = "size=48m";
/// Requests at once when there are too many.
const FLOOD: usize = 600;
/// Clients that send a byte now and then.
const SLOW_CLIENTS: usize = 100;

/// What this machine lacks for a fault.
pub(super) fn missing(fault: &Fault) -> Option<String> {
    if fault.nodes > 0 && !cluster::is_installed() {
        return Some("needs PostgreSQL".into());
    }
    match fault.strike {
        Strike::Clock { .. } if !Path::new(FAKETIME).exists() => {
            Some("needs the package faketime".into())
        }
        Strike::DiskFull | Strike::Database(Outage::DiskFull) if !cluster::is_root() => {
            Some("needs root, to mount a small disk".into())
        }
        _ => None,
    }
}

impl Scene {
    /// What must be there before the server starts.
    pub(super) async fn prepare(&mut self, strike: Strike) -> Result<()> {
        match strike {
            Strike::Clock { .. } => {
                let file = self.dir.join("clock");
                std::fs::write(&file, "+0s")?;
                self.nodes[0].wrapper = vec![
                    "env".into(),
                    format!("LD_PRELOAD={FAKETIME}"),
                    format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
                    "FAKETIME_NO_CACHE=1".into(),
                    "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
                ];
                // Its windows follow its clock; the judge's clock is another.
                self.expected.iter_mut().for_each(|contact| contact.window_ms = None);
                Ok(())
            }
            Strike::DiskFull => {
                let dir = self.server_dir();
                run("mount", &["-t", "tmpfs", "-o", DISK, "tmpfs", &dir.display().to_string()])
                    .await
            }
            _ => Ok(()),
        }
    }

    /// What must be undone when all is over.
    pub(super) async fn tidy(&mut self, strike: Strike) {
        let disk = match strike {
            Strike::DiskFull => {
                let log = self.server_dir().join("server.log");
                std::fs::copy(log, self.dir.join("server.log")).ok();
                self.server_dir()
            }
            Strike::Database(Outage::DiskFull) => self.dir.join("database"),
            _ => return,
        };
        if let Err(error) = run("umount", &[&disk.display().to_string()]).await {
            tracing::warn!("a small disk stays mounted: {error:#}");
        }
    }

    /// Strikes while calls are under way.
    pub(super) async fn strike(&mut self, strike: Strike) -> Result<()> {
        match strike {
            Strike::Cancels => self.cancel_some().await,
            Strike::Clock { by_s } => self.shift_clock(by_s).await,
            Strike::Damage(damage) => self.damage(damage).await,
            Strike::Database(outage) => self.strike_database(outage).await,
            Strike::DiskFull => self.fill_disk().await,
            Strike::Duplicates => self.repeat_requests().await,
            Strike::Failover(failover) => self.fail_over(failover).await,
            Strike::Fleet(loss) => self.strike_fleet(loss).await,
            Strike::Kill(kill) => self.kill_at(kill).await,
            Strike::Overload => self.overload().await,
            Strike::Pause { seconds } => self.pause(seconds).await,
            Strike::Road { passing, seconds } => self.block_road(passing, seconds).await,
            Strike::StopAndStart => self.stop_and_start().await,
            Strike::Trouble { place, word } => self.trouble(place, word).await,
            Strike::Twin => self.twin().await,
        }
    }

    /// A moment of the seed's while calls are under way.
    pub(super) async fn any_moment(&mut self) -> Result<()> {
        let calls = self.expected.len() as u64;
        let lines = self.chance.below(calls * 2);
        let pause_us = self.chance.below(60_000);
        self.until_heard(usize::try_from(lines)?).await?;
        sleep(Duration::from_micros(pause_us)).await;
        Ok(())
    }

    async fn kill_at(&mut self, kill: Kill) -> Result<()> {
        match kill {
            Kill::BeforeInvite => {
                let pause_us = self.chance.below(12_000);
                sleep(Duration::from_micros(pause_us)).await;
            }
            Kill::MidResult => {
                let results = self.chance.below(self.expected.len() as u64 / 2);
                while (self.told()?.len() as u64) < results {
                    sleep(Duration::from_millis(2)).await;
                }
                let pause_us = self.chance.below(3_000);
                sleep(Duration::from_micros(pause_us)).await;
            }
            Kill::Any | Kill::Starting | Kill::Thrice => self.any_moment().await?,
        }
        self.kill().await?;
        match kill {
            Kill::Any | Kill::BeforeInvite | Kill::MidResult => {}
            Kill::Starting => {
                for _ in 0..3 {
                    let dir = self.server_dir();
                    let mut child = Running::spawn(&dir, "server", &[], &["serve"])?;
                    let pause = Duration::from_millis(self.chance.below(250));
                    sleep(pause).await;
                    child.kill().await?;
                }
            }
            Kill::Thrice => {
                for _ in 0..2 {
                    self.serve().await?;
                    let pause = Duration::from_millis(self.chance.below(1_500));
                    sleep(pause).await;
                    self.kill().await?;
                }
            }
        }
        self.heal();
        self.serve().await
    }

    async fn pause(&mut self, seconds: u64) -> Result<()> {
        self.any_moment().await?;
        self.nodes[0].signal("STOP").await?;
        sleep(Duration::from_secs(seconds)).await;
        self.nodes[0].signal("CONT").await?;
        self.heal();
        Ok(())
    }

    async fn shift_clock(&mut self, by_s: i64) -> Result<()> {
        self.any_moment().await?;
        let file = self.dir.join("clock");
        let partial = self.dir.join("clock.partial");
        std::fs::write(&partial, format!("{by_s:+}s"))?;
        std::fs::rename(partial, file)?;
        self.heal();
        Ok(())
    }

    async fn damage(&mut self, damage: Damage) -> Result<()> {
        self.any_moment().await?;
        self.kill().await?;
        let path = self.server_dir().join("outdial.journal");
        let mut bytes = std::fs::read(&path).context("there is no journal to damage")?;
        let tail = bytes.len().min(200) as u64;
        let at = bytes.len() - usize::try_from(self.chance.below(tail))?.min(bytes.len());
        match damage {
            Damage::Bit => {
                let bit = self.chance.below(8);
                let last = bytes.len().saturating_sub(1);
                if let Some(byte) = bytes.get_mut(at.min(last)) {
                    *byte ^= 1 << bit;
                }
            }
            Damage::Torn => bytes.truncate(at),
        }
        std::fs::write(&path, bytes)?;
        self.heal();
        self.serve().await
    }

    async fn fill_disk(&mut self) -> Result<()> {
        self.any_moment().await?;
        let ballast = self.server_dir().join("ballast");
        let mut file = std::fs::File::create(&ballast)?;
        let block = vec![0; 65_536];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        drop(file);
        sleep(TROUBLE_TIME).await;
        std::fs::remove_file(&ballast)?;
        self.heal();
        Ok(())
    }

    async fn trouble(&mut self, place: &str, word: &str) -> Result<()> {
        self.set_trouble(place, word).await?;
        sleep(TROUBLE_TIME).await;
        self.set_trouble(place, "none").await?;
        self.heal();
        Ok(())
    }

    async fn set_trouble(&self, place: &str, word: &str) -> Result<()> {
        let base = format!("http://{}", self.receiver.told("http"));
        let client = crate::client::ApiClient::new(&base, None);
        let answer = client.post(&format!("/trouble/{place}/{word}"), "text/plain", "").await?;
        if answer.status == 204 { Ok(()) } else { bail!("no trouble: {}", answer.status) }
    }

    /// Cancels half of the calls, each at a moment of its own.
    async fn cancel_some(&mut self) -> Result<()> {
        let mut cancels = Vec::new();
        for queued in self.queued.clone() {
            if self.chance.below(2) == 0 {
                continue;
            }
            let pause = Duration::from_millis(self.chance.below(4_000));
            let (client, clock) = (self.client().clone(), self.clock.clone());
            cancels.push(async move {
                sleep(pause).await;
                let path = format!("/v1/calls/{}/cancel", queued.id);
                let answer = client.post(&path, "application/json", "").await;
                let acknowledged = answer.is_ok_and(|answer| matches!(answer.status, 200 | 202));
                (queued.nth, acknowledged.then(|| clock.now().as_millis()))
            });
        }
        for (nth, canceled_ms) in join_all(cancels).await {
            self.expected[nth].canceled_ms = canceled_ms;
        }
        Ok(())
    }

    async fn stop_and_start(&mut self) -> Result<()> {
        let campaigns = self.client().get("/v1/campaigns").await?.json()?;
        let rows = campaigns.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        let named = |row: &&Value| row.get("name").and_then(Value::as_str) == Some("chaos");
        let row = rows.iter().find(named).context("there is no campaign")?;
        let id =
            row.get("id").and_then(Value::as_str).context("the campaign has no id")?.to_owned();
        for _ in 0..5 {
            let pause = Duration::from_millis(self.chance.below(800));
            sleep(pause).await;
            for verb in ["stop", "start"] {
                let path = format!("/v1/campaigns/{id}/{verb}");
                self.client().post(&path, "application/json", "").await?.json()?;
            }
        }
        self.heal();
        Ok(())
    }

    /// One request fifty times at once, and once more after a restart.
    async fn repeat_requests(&mut self) -> Result<()> {
        let mut contact = self.expected[0].clone();
        contact.number = format!("{}99", contact.number);
        contact.window_ms = None;
        let request = self.request(&contact);
        self.expected.push(contact);
        let key = format!("\"chaos-{}\"", self.chance.below(u64::MAX));
        let once = || self.client().post_json_once("/v1/calls", &request, &key);
        let answers = join_all((0..50).map(|_| once())).await;
        let good = answers.iter().flatten().filter(|answer| answer.status == 201).count();
        if good == 0 {
            bail!("none of fifty equal requests was taken");
        }
        self.kill().await?;
        self.heal();
        self.serve().await?;
        let again = self.client().post_json_once("/v1/calls", &request, &key).await?;
        if again.status != 201 {
            bail!("the request is answered {} after the restart", again.status);
        }
        Ok(())
    }

    /// Requests without end, and clients that never finish theirs.
    async fn overload(&mut self) -> Result<()> {
        let api = self.client().address().to_owned();
        let mut slow = Vec::new();
        for _ in 0..SLOW_CLIENTS {
            if let Ok(mut stream) = TcpStream::connect(&api).await {
                stream.write_all(b"POST /v1/calls HTTP/1.1\r\nHost: x\r\nContent-Le").await.ok();
                slow.push(stream);
            }
        }
        for _ in 0..3 {
            let looks = (0..FLOOD).map(|_| self.client().get("/v1/calls?limit=200"));
            join_all(looks).await;
        }
        drop(slow);
        self.heal();
        Ok(())
    }

    /// A second server on the same files must say no, and leave the first alone.
    async fn twin(&mut self) -> Result<()> {
        self.any_moment().await?;
        let program = std::env::current_exe().context("this program has no path")?;
        let twin = Command::new(program).arg("serve").current_dir(self.server_dir()).output();
        let ended = tokio::time::timeout(Duration::from_secs(20), twin).await;
        let output = ended.context("a second server runs on the same files")??;
        if output.status.success() {
            bail!("a second server ran on the same files");
        }
        self.heal();
        Ok(())
    }
}

/// Runs a program to its end, which must be a good one.
pub(super) async fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().await?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
