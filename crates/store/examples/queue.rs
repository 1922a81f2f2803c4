//! Prints whole cycles a second, of one node and of several: `cargo run -p outdial-store --example
//! queue -- [--cycles-only] sqlite|postgres://… [contacts] [nodes …]`; one line of JSON for each
//! measure.

mod calls;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::dial_queue::Share;
use domain::ids::{AccountId, CampaignId, TrunkId};
use domain::permit::Freely;
use domain::time::Timestamp;
use domain::trunk::{TrunkGate, TrunkLimits};
use domain::webhook::DeliveryVerdict;
use futures_util::future::join_all;
use store::{NodeReport, Reader, Store, StoreConfig, Tried, TrunkReport};
use tokio::task::JoinSet;

use self::calls::{at, contact, end, rule};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Contacts of one measure, where no number is given.
const CONTACTS: usize = 20_000;
/// Contacts claimed at once.
const BATCH: usize = 200;
/// Batches that a node has under way at once.
const WORKERS: usize = 3;
/// The one trunk.
const TRUNK: TrunkId = TrunkId(1);
/// What it allows where the keeping of limits is measured.
const WHOLE: TrunkLimits = TrunkLimits { slots: 10_000, calls_per_second: 200 };
/// How long that is measured, once shares have settled.
const PACED: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let cycles_only = arguments.next_if(|argument| argument == "--cycles-only").is_some();
    let place = arguments.next().ok_or("say sqlite, or the URL of a PostgreSQL database")?;
    let contacts = arguments.next().map_or(Ok(CONTACTS), |contacts| contacts.parse())?;
    let counts: Vec<usize> =
        arguments.map(|count| count.parse()).collect::<std::result::Result<_, _>>()?;
    let counts = if counts.is_empty() { vec![1] } else { counts };
    for nodes in counts {
        let fleet = Fleet::open(&place, nodes).await?;
        let rate = fleet.cycles(contacts).await?;
        let pace = if cycles_only { String::new() } else { fleet.pace().await?.told() };
        println!(
            "{{\"database\": \"{}\", \"nodes\": {nodes}, \"contacts\": {contacts}, \
             \"cycles_per_s\": {rate:.0}{pace}}}",
            if place == "sqlite" { "sqlite" } else { "postgresql" },
        );
        fleet.close().await?;
    }
    Ok(())
}

/// Nodes on one database.
struct Fleet {
    nodes: Vec<(Store, Reader)>,
    account: AccountId,
    _dirs: Vec<tempfile::TempDir>,
}

/// How a limit was kept.
struct Pace {
    most: usize,
    mean: f64,
}

impl Pace {
    /// As members of an object.
    fn told(&self) -> String {
        format!(
            ", \"cap_per_s\": {}, \"most_in_a_second\": {}, \"mean_per_s\": {:.1}",
            WHOLE.calls_per_second, self.most, self.mean
        )
    }
}

impl Fleet {
    async fn open(place: &str, count: usize) -> Result<Self> {
        let (mut nodes, mut dirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            // Where the program is started, not where temporary files may be in memory.
            let dir = tempfile::tempdir_in(".")?;
            let config = StoreConfig::new(dir.path().join("queue.db"));
            let url = (place != "sqlite").then(|| place.to_owned());
            nodes.push(Store::open(config.at_url(url)).await?);
            dirs.push(dir);
        }
        let (store, reader) = &nodes[0];
        let account = match reader.account_by_login("queue").await? {
            Some(account) => account.id,
            None => store.create_account(at(0), "queue", None).await?.id,
        };
        Ok(Self { nodes, account, _dirs: dirs })
    }

    /// A campaign of its own with so many contacts.
    async fn fill(&self, contacts: usize) -> Result<CampaignId> {
        let store = &self.nodes[0].0;
        let name = format!("measure {}", store.epoch());
        let rule = rule(self.account, &name);
        let upload = store.begin_upload(at(1), &rule).await?;
        for chunk in (0..contacts).collect::<Vec<_>>().chunks(1_000) {
            store.upload_add(upload, chunk.iter().copied().map(contact).collect()).await?;
        }
        store.commit_upload(upload).await?;
        store.flush().await?;
        Ok(store.campaign_named(at(1), self.account, &name).await?.id)
    }

    /// Whole cycles a second: claimed, attempt written, result written, owed, delivered.
    async fn cycles(&self, contacts: usize) -> Result<f64> {
        let campaign = self.fill(contacts).await?;
        let delivered = self.nodes[0].1.totals().await?.webhooks_delivered;
        let clock = Instant::now_here();
        let mut work = JoinSet::new();
        for (store, _) in &self.nodes {
            for _ in 0..WORKERS {
                work.spawn(dial(store.clone(), campaign));
            }
            work.spawn(deliver(store.clone()));
            work.spawn(live(store.clone()));
        }
        let target = delivered + u64::try_from(contacts)?;
        while self.nodes[0].1.totals().await?.webhooks_delivered < target {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Some(ended) = work.try_join_next() {
                ended??;
            }
        }
        let elapsed = clock.elapsed().as_secs_f64();
        work.shutdown().await;
        Ok(f64::from(u32::try_from(contacts)?) / elapsed)
    }

    /// Calls begun by all nodes under one trunk's limit: most in any second, and on average.
    async fn pace(&self) -> Result<Pace> {
        let campaign = self.fill(6_000).await?;
        let started = Instant::now_here();
        let mut work = JoinSet::new();
        for (store, _) in &self.nodes {
            work.spawn(paced(store.clone(), campaign, started));
        }
        let mut starts: Vec<Duration> = Vec::new();
        for ended in work.join_all().await {
            starts.extend(ended?);
        }
        starts.sort_unstable();
        let second = Duration::from_secs(1);
        let most = (0..starts.len())
            .map(|nth| starts[nth..].partition_point(|start| *start < starts[nth] + second))
            .max();
        let settled = Duration::from_secs(6);
        let late = starts.iter().filter(|start| **start >= settled).count();
        let late = f64::from(u32::try_from(late)?);
        Ok(Pace { most: most.unwrap_or(0), mean: late / PACED.as_secs_f64() })
    }

    async fn close(self) -> Result<()> {
        for (store, _) in self.nodes {
            store.close().await?;
        }
        Ok(())
    }
}

/// Claims and ends until nothing is left.
async fn dial(store: Store, campaign: CampaignId) -> Result<()> {
    loop {
        let share = Share { campaign, trunks: vec![TRUNK; BATCH] };
        let begun = store.begin_attempts(at(9), vec![share], Arc::new(Freely)).await?.begun;
        if begun.is_empty() {
            return Ok(());
        }
        let ends = begun.iter().map(|begun| {
            let (store, id) = (store.clone(), begun.attempt.id);
            async move { store.finish_attempt(id, &end()).await }
        });
        for ended in join_all(ends).await {
            ended?;
        }
    }
}

/// Says every second that this node lives.
async fn live(store: Store) -> Result<()> {
    loop {
        let hour = Duration::from_secs(3_600);
        let report =
            NodeReport { ring_time_max: hour, call_time_max: hour, ..NodeReport::default() };
        store.tick(report).await.ok();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Delivers whatever is owed by its node.
async fn deliver(store: Store) -> Result<()> {
    loop {
        let leased = store.lease_webhooks(at(11), at(100), 1_000, 1_000).await?;
        if leased.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let posts = leased.iter().map(|owed| {
            let (store, webhook) = (store.clone(), owed.webhook);
            let tried = Tried {
                at: at(12),
                accepted: true,
                status: Some(200),
                latency: Duration::from_millis(5),
                answer: String::new(),
                detail: String::new(),
            };
            async move { store.record_delivery(webhook, tried, DeliveryVerdict::Delivered).await }
        });
        for recorded in join_all(posts).await {
            recorded?;
        }
    }
}

/// Begins calls as far as this node's part of the trunk goes; when each began.
async fn paced(store: Store, campaign: CampaignId, started: Instant) -> Result<Vec<Duration>> {
    let mut gate = TrunkGate::new(TRUNK, TrunkLimits::default());
    let (mut starts, mut seen, mut next_tick) = (Vec::new(), 0, Duration::ZERO);
    while started.elapsed() < PACED + Duration::from_secs(6) {
        let now = started.elapsed();
        if now >= next_tick {
            next_tick = now + Duration::from_secs(1);
            let busy = gate.busy();
            let report = TrunkReport { trunk: TRUNK, limits: WHOLE, busy, wanted: 9_999, seen };
            let hour = Duration::from_secs(3_600);
            let report = NodeReport {
                trunks: vec![report],
                ring_time_max: hour,
                call_time_max: hour,
                ..NodeReport::default()
            };
            // After a word that came too late it goes on in a new epoch.
            let heard = store.tick(report).await.ok();
            if let Some(grant) = heard.as_ref().and_then(|heard| heard.grants.first()) {
                gate.set_limits(grant.limits);
                seen = grant.version;
            }
        }
        let moment = Timestamp::from_millis(i64::try_from(started.elapsed().as_millis())?);
        let free = usize::try_from(gate.free(moment))?;
        if free > 0 {
            let share = Share { campaign, trunks: vec![TRUNK; free] };
            for _ in store.begin_attempts(at(9), vec![share], Arc::new(Freely)).await?.begun {
                let begun = started.elapsed();
                gate.start(Timestamp::from_millis(i64::try_from(begun.as_millis())?));
                starts.push(begun);
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    Ok(starts)
}

/// The moment, of a clock that measures.
trait Here {
    fn now_here() -> Self;
}

impl Here for Instant {
    #[expect(clippy::disallowed_methods, reason = "what is measured here is real time")]
    fn now_here() -> Self {
        Self::now()
    }
}
