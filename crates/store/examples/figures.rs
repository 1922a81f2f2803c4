//! Prints what the store does in a second and what it costs: `cargo run -p outdial-store --example
//! figures [rows [cycles a second]]`.

mod calls;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::dial_queue::Share;
use domain::event::EventKind;
use domain::ids::{AccountId, CampaignId, TrunkId};
use domain::permit::Freely;
use domain::webhook::DeliveryVerdict;
use store::{Begun, Store, StoreConfig, StoreError, Tried};
use tokio::task::JoinSet;

use self::calls::{at, contact, end, rule};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Contacts taken in where no number is given.
const ROWS: usize = 1_000_000;
/// Contacts handed over at once.
const CHUNK: usize = 1_000;
/// Cycles measured at full speed.
const CYCLES: u32 = 20_000;
/// Calls at once at full speed.
const CALLS: u32 = 200;
/// Cycles measured at each pace.
const PACED: u32 = 1_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(ROWS), |rows| rows.parse())?;
    let dir = tempfile::tempdir_in(".")?;
    let (store, reader) = Store::open(StoreConfig::new(dir.path().join("figures.db"))).await?;
    let account = store.create_account(at(0), "figures", None).await?.id;
    println!("at rest: {} KiB resident", resident_kib()?);

    upload(&store, account, rows).await?;
    println!(
        "database: {} MiB, written ahead: {} MiB",
        mib(dir.path(), ""),
        mib(dir.path(), "-wal")
    );
    let campaign = store.campaign_named(at(0), account, "default").await?.id;
    if let Some(pace) = std::env::args().nth(2) {
        paced(&store, campaign, pace.parse()?).await?;
        return Ok(store.close().await?);
    }
    begin(&store, campaign).await?;
    cycles(&store, campaign).await?;
    for pace in [20, 50, 100, 200] {
        paced(&store, campaign, pace).await?;
    }
    let clock = Clock::start()?;
    for _ in 0..1_000 {
        store.demands(at(9), 50).await?;
    }
    clock.stop("demands", 1_000)?;
    let totals = reader.totals().await?;
    println!("at the end: {totals:?}, {} KiB resident", resident_kib()?);
    Ok(store.close().await?)
}

/// Takes in a long list, while somebody else takes in single contacts.
async fn upload(store: &Store, account: AccountId, rows: usize) -> Result<()> {
    let clock = Clock::start()?;
    let rule = rule(account, "default");
    let upload = store.begin_upload(at(1), &rule).await?;
    let (mut done, mut most) = (0, 0);
    while done < rows {
        let chunk = (done..rows.min(done + CHUNK)).map(contact).collect();
        done += store.upload_add(upload, chunk).await?.len();
        most = most.max(resident_kib()?);
    }
    clock.stop("rows staged", rows)?;
    let clock = Clock::start()?;
    store.commit_upload(upload).await?;
    let published = tokio::spawn({
        let store = store.clone();
        async move { store.flush().await }
    });
    let mut waits = Vec::new();
    while !published.is_finished() {
        let asked = Clock::start()?;
        let single = vec![contact(waits.len())];
        store.add_contacts(at(1), &self::rule(account, "single"), single).await?;
        waits.push(asked.started.elapsed());
        most = most.max(resident_kib()?);
    }
    published.await??;
    clock.stop("rows made dialable", rows)?;
    println!("  beside it {}", Waits(waits));
    println!("  at most {most} KiB resident");
    Ok(())
}

/// Begins attempts fifty at a time, each fifty durable before the next.
async fn begin(store: &Store, campaign: CampaignId) -> Result<()> {
    let clock = Clock::start()?;
    let (mut begun, mut waits) = (0, Vec::new());
    for _ in 0..200 {
        let asked = Clock::start()?;
        begun += take(store, campaign, 50).await?.len();
        waits.push(asked.started.elapsed());
    }
    clock.stop("attempts begun by fifty", begun)?;
    println!("  {}", Waits(waits));
    let mut calls = JoinSet::new();
    for (attempt, _) in store.open_attempts().await? {
        let store = store.clone();
        calls.spawn(async move { store.finish_attempt(attempt.id, &end()).await });
    }
    for finished in calls.join_all().await {
        finished?;
    }
    deliver(store).await?;
    Ok(())
}

/// Whole cycles as fast as they go.
async fn cycles(store: &Store, campaign: CampaignId) -> Result<()> {
    let clock = Clock::start()?;
    let mut calls = JoinSet::new();
    let mut left = CYCLES;
    let store_of_posts = store.clone();
    let posts = tokio::spawn(async move {
        while post(&store_of_posts).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    while left > 0 || !calls.is_empty() {
        let free = CALLS.saturating_sub(u32::try_from(calls.len())?).min(left);
        if free >= 50.min(left) && left > 0 {
            for begun in take(store, campaign, free.min(50)).await? {
                calls.spawn(call(store.clone(), begun));
                left -= 1;
            }
        } else if let Some(ended) = calls.join_next().await {
            ended??;
        }
    }
    posts.abort();
    deliver(store).await?;
    clock.stop("cycles at full speed", usize::try_from(CYCLES)?)?;
    Ok(())
}

/// Whole cycles at so many in a second; what has become due meanwhile is begun together.
async fn paced(store: &Store, campaign: CampaignId, pace: u32) -> Result<()> {
    let clock = Clock::start()?;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / pace);
    let mut calls = JoinSet::new();
    let mut begun = 0;
    while begun < PACED {
        tick.tick().await;
        let due = clock.started.elapsed().as_secs_f64() * f64::from(pace);
        let due = PACED.min(due.ceil() as u32);
        for one in take(store, campaign, due - begun).await? {
            let store = store.clone();
            calls.spawn(async move {
                call(store.clone(), one).await?;
                post(&store).await
            });
        }
        begun = due;
    }
    while let Some(ended) = calls.join_next().await {
        ended??;
    }
    clock.stop(&format!("cycles at {pace} a second"), usize::try_from(PACED)?)
}

async fn take(store: &Store, campaign: CampaignId, contacts: u32) -> Result<Vec<Begun>> {
    let trunks = vec![TrunkId(1); usize::try_from(contacts)?];
    let shares = vec![Share { campaign, trunks }];
    Ok(store.begin_attempts(at(9), shares, Arc::new(Freely)).await?.begun)
}

/// What a call tells the store, a few milliseconds apart as a real one would be seconds.
async fn call(store: Store, begun: Begun) -> std::result::Result<(), StoreError> {
    let (id, contact) = (begun.attempt.id, begun.contact.id);
    for kind in [EventKind::Ringing, EventKind::Answered] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.note(id, contact, at(10), kind, "").await?;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    store.finish_attempt(id, &end()).await.map(drop)
}

async fn deliver(store: &Store) -> Result<()> {
    while store.webhooks_due_at().await?.is_some_and(|due| due <= at(11)) {
        post(store).await?;
    }
    Ok(())
}

/// Delivers what is due, all at once.
async fn post(store: &Store) -> std::result::Result<(), StoreError> {
    let leased = store.lease_webhooks(at(11), at(41), 64, 64).await?;
    let mut posts = JoinSet::new();
    for owed in leased {
        let store = store.clone();
        posts.spawn(async move {
            let verdict = DeliveryVerdict::Delivered;
            let tried = Tried {
                at: at(12),
                accepted: true,
                status: Some(200),
                latency: Duration::ZERO,
                answer: String::new(),
                detail: String::new(),
            };
            store.record_delivery(owed.webhook, tried, verdict).await.map(drop)
        });
    }
    posts.join_all().await.into_iter().collect()
}

/// How long callers waited.
struct Waits(Vec<Duration>);

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let of = |part| sorted.get(sorted.len() * part / 1_000).copied().unwrap_or_default();
        let most = sorted.last().copied().unwrap_or_default();
        let many = sorted.len();
        write!(f, "{many} asked: half within {:?}, 99 % {:?}, all {most:?}", of(500), of(990))
    }
}

/// Wall and processor time from a moment on.
struct Clock {
    started: Instant,
    cpu_s: f64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "what is measured here is real time")]
    fn start() -> Result<Self> {
        Ok(Self { started: Instant::now(), cpu_s: cpu_s()? })
    }

    fn stop(&self, what: &str, many: usize) -> Result<()> {
        let (wall, cpu) = (self.started.elapsed().as_secs_f64(), cpu_s()? - self.cpu_s);
        let many = f64::from(u32::try_from(many)?);
        let (rate, cost) = (many / wall, cpu / many * 1_000.0);
        println!("{what}: {rate:.0} a second, {cost:.3} CPU-s a thousand ({wall:.2} s)");
        Ok(())
    }
}

/// Processor time of this process, in seconds.
fn cpu_s() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // After the name: user time is the 12th field, system time the 13th, in hundredths of a second.
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<std::result::Result<f64, _>>()? / 100.0)
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

fn mib(dir: &Path, suffix: &str) -> u64 {
    let file = std::fs::metadata(dir.join(format!("figures.db{suffix}")));
    file.map_or(0, |file| file.len() / 1_024 / 1_024)
}
