//! What is done to one of several servers on one database, and how soon the others take its place.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::time::Timestamp;
use tokio::time::sleep;

use super::fault::Loss;
use super::judge::{Heard, Told};
use super::node::Node;
use super::road::Passing;
use super::run::Scene;
use crate::stage::{Running, ServerPlan};

/// How long a server is stopped or cut off: longer than its lease of 10 s.
const ABSENCE: Duration = Duration::from_secs(15);
/// How long a copy of a server that lives must wait, at least.
const COPY_WAITS: Duration = Duration::from_secs(12);
/// Window in which starts are counted.
const SECOND_MS: i64 = 1_000;

/// How a run of several servers went, where one of them was lost or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct FleetFigures {
    /// Results told in a second, from the first to the last call of those undisturbed.
    pub(super) contacts_per_s: Option<f64>,
    /// Most calls begun in any second, beyond what the trunk allows.
    pub(super) cap_error: usize,
    /// From the loss until the others call at the rate of the whole trunk again.
    pub(super) share_s: Option<f64>,
    /// From the loss until the last call that the lost one had under way is told.
    pub(super) settled_s: Option<f64>,
}

impl fmt::Display for FleetFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls per second beyond the trunk's: {}", self.cap_error)?;
        let told = [
            ("contacts per second", self.contacts_per_s),
            ("rate of the whole trunk again after s", self.share_s),
            ("calls of the lost server settled after s", self.settled_s),
        ];
        told.iter()
            .filter_map(|(what, figure)| Some((what, (*figure)?)))
            .try_for_each(|(what, figure)| write!(f, ", {what}: {figure:.1}"))
    }
}

impl Scene {
    /// Something becomes of one of several servers.
    pub(super) async fn strike_fleet(&mut self, loss: Loss) -> Result<()> {
        if loss != Loss::Nothing {
            self.any_moment().await?;
        }
        let many = self.nodes.len() as u64;
        let nth = usize::try_from(self.chance.below(many))?;
        match loss {
            Loss::All => {
                for node in &mut self.nodes {
                    node.kill().await?;
                }
                self.heal();
                for node in &mut self.nodes {
                    node.serve().await?;
                }
            }
            Loss::Copied => self.copy_node(nth).await?,
            Loss::CutOff => {
                let pass =
                    |node: &Node, what| node.roads.iter().for_each(|road| road.let_pass(what));
                pass(&self.nodes[nth], Passing::Nothing);
                sleep(ABSENCE).await;
                pass(&self.nodes[nth], Passing::All);
                self.heal();
            }
            Loss::Killed => {
                self.nodes[nth].kill().await?;
                self.heal();
                self.lost_at = self.healed_at();
            }
            Loss::LeaderPaused => {
                let leader = self.leader().await?;
                self.pause_node(leader).await?;
            }
            Loss::Nothing => {}
            Loss::Paused => self.pause_node(nth).await?,
        }
        Ok(())
    }

    async fn pause_node(&mut self, nth: usize) -> Result<()> {
        self.nodes[nth].signal("STOP").await?;
        sleep(ABSENCE).await;
        self.nodes[nth].signal("CONT").await?;
        self.heal();
        Ok(())
    }

    /// The server that leads now, by the place of its files.
    async fn leader(&mut self) -> Result<usize> {
        let query = "SELECT nodes.place FROM leaders JOIN nodes ON nodes.epoch = leaders.epoch";
        let place = self.database()?.sql("outdial", query).await?;
        let leads = |node: &Node| {
            let lock = std::fs::metadata(node.plan.dir.join("outdial.db.lock")).ok()?;
            let inode = std::os::unix::fs::MetadataExt::ino(&lock);
            place.ends_with(&format!(":{inode}")).then_some(())
        };
        self.nodes.iter().position(|node| leads(node).is_some()).context("nobody leads")
    }

    /// Runs a copy of a server's files beside it; then the server dies, and the copy goes on.
    async fn copy_node(&mut self, nth: usize) -> Result<()> {
        let original = &self.nodes[nth].plan;
        let dir = self.dir.join("server-copy");
        copy_files(&original.dir, &dir)?;
        let plan = ServerPlan {
            dir,
            trunk: original.trunk.clone(),
            api: String::new(),
            sip: String::new(),
            store_url: original.store_url.clone(),
            ..*original
        };
        let mut copy = Node::new(plan);
        copy.plan.write_settings()?;
        let mut waiting = Running::spawn(&copy.plan.dir, "server", &[], &["serve"])?;
        let ready = copy.plan.dir.join("server.ready");
        let looks = COPY_WAITS.as_millis() / 100;
        for _ in 0..looks {
            if ready.exists() {
                bail!("a copy of a server runs beside it");
            }
            if let Some(status) = waiting.try_wait()? {
                bail!("a copy of a server ended with {status}");
            }
            sleep(Duration::from_millis(100)).await;
        }
        waiting.kill().await?;
        self.nodes[nth].kill().await?;
        self.heal();
        // Its calls are the copy's now, whose files know nothing of them.
        self.lost_at = self.healed_at();
        copy.client = self.nodes[nth].client.clone();
        copy.plan.api = self.nodes[nth].plan.api.clone();
        copy.plan.sip = self.nodes[nth].plan.sip.clone();
        copy.plan.write_settings()?;
        copy.serve().await?;
        copy.roads = std::mem::take(&mut self.nodes[nth].roads);
        self.nodes[nth] = copy;
        Ok(())
    }

    /// How the servers did, by the records.
    pub(super) fn fleet_figures(&self, loss: Loss, heard: &[Heard], told: &[Told]) -> FleetFigures {
        let caps = self.caps;
        let mut begins: Vec<i64> = first_invites(heard).map(|line| line.at_ms).collect();
        begins.sort_unstable();
        let in_a_second = |nth: usize| {
            let at = begins[nth];
            begins[..=nth].iter().rev().take_while(|other| at - **other < SECOND_MS).count()
        };
        let most = (0..begins.len()).map(in_a_second).max().unwrap_or_default();
        let results: BTreeSet<i64> =
            told.iter().filter(|line| line.taken).map(|line| line.at_ms).collect();
        let lost_at = self.lost_at.map(Timestamp::as_millis);
        let nodes = self.nodes.len();
        let share_s = lost_at.and_then(|lost_at| {
            // More than the parts of those that are left.
            let parts = caps.calls_per_second * (nodes - 1) / nodes;
            let again = (0..begins.len())
                .find(|nth| begins[*nth] > lost_at + SECOND_MS && in_a_second(*nth) > parts + 1)?;
            Some(seconds(begins[again] - lost_at))
        });
        let settled_s = lost_at.and_then(|lost_at| {
            let doubt = told.iter().filter(|line| line.taken && line.body.contains("in_doubt"));
            doubt.map(|line| seconds(line.at_ms - lost_at)).max_by(f64::total_cmp)
        });
        let contacts_per_s = match (begins.first(), results.last()) {
            (Some(first), Some(last)) if loss == Loss::Nothing && last > first => {
                #[expect(clippy::cast_precision_loss, reason = "some thousand contacts")]
                let contacts = self.expected.len() as f64;
                Some((contacts / seconds(last - first) * 10.0).round() / 10.0)
            }
            _ => None,
        };
        let cap_error = most.saturating_sub(caps.calls_per_second);
        FleetFigures { contacts_per_s, cap_error, share_s, settled_s }
    }
}

/// The first INVITE of each call.
fn first_invites(heard: &[Heard]) -> impl Iterator<Item = &Heard> {
    let mut seen = BTreeSet::new();
    heard.iter().filter(move |line| line.event == "invite" && seen.insert(line.call_id.as_str()))
}

fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some minutes in milliseconds")]
    let seconds = ms as f64 / 1_000.0;
    seconds
}

/// Copies the files of a directory as they are now.
fn copy_files(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != "server.ready" {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
