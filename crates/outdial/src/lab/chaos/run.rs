//! One run: three processes, a load of calls, a fault, and the wait until all is told.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::time::Timestamp;
use engine::clock::Clock;
use facade::zone::rfc_3339;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::database::insist;
use super::fault::{Chance, Fault, Loss, Outage, Strike};
use super::fleet::FleetFigures;
use super::judge::{Caps, Expected, Heard, Told, Verdict, judge, lines};
use super::node::Node;
use crate::client::ApiClient;
use crate::stage::{ANY_PORT, Running, ServerPlan};

/// What the carrier allows: little, so that calls are under way for some time.
const CAPS: Caps = Caps { slots: 12, calls_per_second: 10 };
/// What it allows several servers.
const FLEET_CAPS: Caps = Caps { slots: 60, calls_per_second: 40 };
/// Calls of several servers for each one of one: one is lost, and the others must still have some.
const FLEET_CALLS: usize = 20;
/// Contacts of which some have windows: those that are queued first.
const WINDOWED: usize = 60;
/// Longest call in seconds: calls of a lost server hold their slots for as long.
const CALL_TIME_MAX_S: u32 = 10;
/// Seconds until nobody has answered; as long are slots held after a crash.
const RING_TIME_MAX_S: u32 = 3;
/// Longest wait for all results of a run.
const RESULTS_TIME_MAX: Duration = Duration::from_secs(150);
/// How often the records are looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(20);
/// Requests under way at once while calls are queued.
const REQUESTS: usize = 8;

/// What callees do, in turn.
const KINDS: [&str; 6] = ["person", "busy", "hangs_up", "refuses", "no_answer", "wrong"];

/// What came of a run.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was judged.
    Judged {
        verdict: Verdict,
        /// From the end of the fault to the next sign of life.
        recovery_s: Option<f64>,
        /// How several servers did.
        fleet: Option<FleetFigures>,
        /// What is worth telling of the fault.
        notes: Vec<String>,
    },
    /// This machine cannot do it.
    Skipped(String),
}

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) calls: usize,
    /// Other calls per second than usual.
    pub(super) calls_per_second: Option<usize>,
    /// Other slots than usual.
    pub(super) slots: Option<usize>,
}

/// A call of the run.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) id: String,
    /// Its place among the expected ones.
    pub(super) nth: usize,
}

/// A run under way.
pub(super) struct Scene {
    pub(super) dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) chance: Chance,
    pub(super) receiver: Running,
    pub(super) expected: Vec<Expected>,
    pub(super) queued: Vec<Queued>,
    pub(super) caps: Caps,
    /// The servers; most faults have one.
    pub(super) nodes: Vec<Node>,
    pub(super) database: Option<Cluster>,
    pub(super) standby: Option<Cluster>,
    /// When a server was lost for good.
    pub(super) lost_at: Option<Timestamp>,
    /// What is worth telling of the fault.
    pub(super) notes: Vec<String>,
    carrier: Running,
    /// When the fault was over.
    healed_at: Option<Timestamp>,
    // Last, so that it outlives what runs in it.
    kept: Kept,
}

/// A directory that goes with the run, unless something was wrong.
struct Kept {
    dir: PathBuf,
    keep: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.keep {
            std::fs::remove_dir_all(&self.dir).ok();
        }
    }
}

impl Scene {
    /// Plays a fault and has it judged.
    pub(super) async fn play(fault: &Fault, seed: u64, plan: Plan) -> Result<Outcome> {
        if let Some(why) = super::strike::missing(fault) {
            return Ok(Outcome::Skipped(why));
        }
        let mut scene = Self::set(fault, seed, plan).await?;
        let played = scene.through(fault.strike).await;
        let complete = *played.as_ref().unwrap_or(&false);
        let recovery_s = scene.recovery_s()?;
        if let Err(error) = scene.end(fault.strike).await {
            tracing::warn!("the run did not end well: {error:#}");
        }
        let (heard, told) = (scene.heard()?, scene.told()?);
        let lost_ms = scene.lost_at.map(Timestamp::as_millis);
        let mut verdict = judge(&scene.expected, scene.caps, (&heard, &told), lost_ms);
        if let Err(error) = played {
            verdict.complaints.push(format!("{error:#}"));
        } else if !complete && verdict.results_lost == 0 {
            verdict.complaints.push("results came too late".into());
        }
        if !verdict.is_good() {
            scene.kept.keep = true;
            verdict.complaints.push(format!("records and logs are in {}", scene.dir.display()));
        }
        let fleet = match fault.strike {
            Strike::Fleet(loss) => Some(scene.fleet_figures(loss, &heard, &told)),
            _ => None,
        };
        let notes = std::mem::take(&mut scene.notes);
        Ok(Outcome::Judged { verdict, recovery_s, fleet, notes })
    }

    /// From the first server to the last result; whether it came.
    async fn through(&mut self, strike: Strike) -> Result<bool> {
        self.prepare(strike).await?;
        self.start(strike).await?;
        let comes_early = matches!(strike, Strike::Database(outage) if outage.comes_early());
        if strike == Strike::Fleet(Loss::Nothing) {
            return self.measure().await;
        }
        self.open_windows();
        let queueing = tokio::task::spawn(queue(self.clients(), self.requests()));
        if comes_early {
            self.strike(strike).await?;
            let queued = queueing.await??;
            self.note_queued(queued);
        } else {
            let queued = queueing.await??;
            self.note_queued(queued);
            self.strike(strike).await?;
        }
        self.wait_for_results().await
    }

    /// All is queued before the first call is made: what is measured are calls.
    async fn measure(&mut self) -> Result<bool> {
        self.expected.iter_mut().for_each(|contact| contact.window_ms = None);
        let stopped = json!({ "name": "chaos", "state": "stopped" });
        let campaign = self.client().post_json("/v1/campaigns", &stopped).await?.json()?;
        let id = campaign.get("id").and_then(Value::as_str).context("no id")?;
        let queued = queue(self.clients(), self.requests()).await?;
        self.note_queued(queued);
        let start = format!("/v1/campaigns/{id}/start");
        self.client().post_json(&start, &json!({})).await?.json()?;
        self.wait_for_results().await
    }

    /// Ends everybody, the judges last.
    async fn end(&mut self, strike: Strike) -> Result<()> {
        for nth in 0..self.nodes.len() {
            self.until_quiet(nth).await;
        }
        for node in &mut self.nodes {
            if let Some(server) = node.running.take()
                && let Err(error) = server.stop().await
            {
                tracing::warn!("a server did not end well: {error:#}");
            }
        }
        for database in [&mut self.standby, &mut self.database].into_iter().flatten() {
            database.thaw().await?;
            database.stop("QUIT").await?;
        }
        self.tidy(strike).await;
        self.carrier.signal("TERM").await?;
        self.receiver.signal("TERM").await
    }

    async fn set(fault: &Fault, seed: u64, plan: Plan) -> Result<Self> {
        let name = format!("outdial-chaos-{}-{}-{seed}", std::process::id(), fault.name);
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir)?;
        let kept = Kept { dir: dir.clone(), keep: false };
        let clock = Clock::new();
        let mut chance = Chance::new(seed, fault.name);
        let is_fleet = matches!(fault.strike, Strike::Fleet(_));
        let (caps, times) = if is_fleet { (FLEET_CAPS, FLEET_CALLS) } else { (CAPS, 1) };
        let caps = Caps {
            slots: plan.slots.unwrap_or(caps.slots),
            calls_per_second: plan.calls_per_second.unwrap_or(caps.calls_per_second),
        };
        let expected = contacts(&mut chance, plan.calls * times);
        std::fs::write(dir.join("habits.toml"), habits(&expected, &mut chance))?;
        let (habits, record) = (dir.join("habits.toml"), dir.join("carrier.jsonl"));
        let carrier = Running::carrier(&dir, &habits, &record).await?;
        let log = dir.join("results.jsonl").display().to_string();
        let arguments = ["lab", "receiver", "--bind", ANY_PORT, "--log", &log];
        let receiver = Running::start(&dir, "receiver", &arguments, None).await?;
        let mut scene = Self {
            dir,
            clock,
            chance,
            receiver,
            expected,
            queued: Vec::new(),
            caps,
            nodes: Vec::new(),
            database: None,
            standby: None,
            lost_at: None,
            notes: Vec::new(),
            carrier,
            healed_at: None,
            kept,
        };
        for nth in 0..fault.nodes.max(1) {
            let name = if nth == 0 { "server".to_owned() } else { format!("server-{}", nth + 1) };
            let plan = scene.server_plan(&name)?;
            std::fs::create_dir_all(&plan.dir)?;
            scene.nodes.push(Node::new(plan));
        }
        if fault.nodes > 0 {
            scene.open_database(fault.strike).await?;
        }
        Ok(scene)
    }

    fn server_plan(&self, name: &str) -> Result<ServerPlan> {
        Ok(ServerPlan {
            dir: self.dir.join(name),
            trunk: self.carrier.told("sip").to_owned(),
            slots: u32::try_from(self.caps.slots)?,
            calls_per_second: u32::try_from(self.caps.calls_per_second)?,
            ring_time_max_s: RING_TIME_MAX_S,
            api: String::new(),
            sip: String::new(),
            store_url: None,
            call_time_max_s: CALL_TIME_MAX_S,
        })
    }

    /// Starts the database, and opens each server's road there.
    async fn open_database(&mut self, strike: Strike) -> Result<()> {
        let dir = self.dir.join("database");
        let settings = match strike {
            Strike::Database(outage) => outage.settings(),
            _ => &[],
        };
        if strike == Strike::Database(Outage::DiskFull) {
            super::database::small_disk(&dir).await?;
        }
        self.database = Some(Cluster::create(&dir, settings).await?);
        if let Strike::Failover(failover) = strike {
            self.add_standby(failover).await?;
        }
        let databases: Vec<&Cluster> = self.database.iter().chain(&self.standby).collect();
        for node in &mut self.nodes {
            node.join(&databases).await?;
        }
        Ok(())
    }

    /// Where the first server's files are.
    pub(super) fn server_dir(&self) -> PathBuf {
        self.nodes[0].plan.dir.clone()
    }

    /// Asks the first server.
    pub(super) fn client(&self) -> &ApiClient {
        &self.nodes[0].client
    }

    fn clients(&self) -> Vec<ApiClient> {
        self.nodes.iter().map(|node| node.client.clone()).collect()
    }

    /// Starts the servers for the first time: settings, an account, and the ports they keep.
    async fn start(&mut self, strike: Strike) -> Result<()> {
        let account = self.nodes[0].plan.prepare("chaos").await?;
        for node in &mut self.nodes {
            node.plan.write_settings()?;
            node.log_in(&account.api_key);
            node.serve().await?;
        }
        for nth in 0..self.nodes.len() {
            self.until_dialing(nth).await?;
        }
        if let (Strike::Fleet(_), Some(_)) = (strike, &self.database) {
            self.until_shared().await?;
        }
        Ok(())
    }

    /// Waits until each server has its part of the trunk.
    async fn until_shared(&mut self) -> Result<()> {
        let query =
            "SELECT count(*) FROM trunk_shares WHERE slots > 0 AND rate > 0 AND version = seen";
        let all = self.nodes.len().to_string();
        for _ in 0..600 {
            if self.database()?.sql("outdial", query).await? == all {
                return Ok(());
            }
            tokio::time::sleep(LOOK_PERIOD * 5).await;
        }
        bail!("the trunk is not shared out")
    }

    /// Starts the first server and waits until it is up.
    pub(super) async fn serve(&mut self) -> Result<()> {
        self.nodes[0].serve().await
    }

    /// Kills the first server, if it lives.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.nodes[0].kill().await
    }

    /// The fault is over from now on.
    pub(super) fn heal(&mut self) {
        self.healed_at = Some(self.clock.now());
    }

    /// When the fault was over.
    pub(super) const fn healed_at(&self) -> Option<Timestamp> {
        self.healed_at
    }

    async fn until_dialing(&self, nth: usize) -> Result<()> {
        let dialing = async {
            loop {
                // 503 until a trunk is up.
                let answer = self.nodes[nth].client.get("/healthz").await?;
                let health: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                if health.get("dialing") == Some(&json!(true)) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_PERIOD).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), dialing).await.context("it does not dial")?
    }

    /// Windows are counted from now on.
    fn open_windows(&mut self) {
        let now = self.clock.now().as_millis();
        let windows = self.expected.iter_mut().filter_map(|contact| contact.window_ms.as_mut());
        windows.for_each(|(opens, closes)| {
            *opens += now;
            *closes += now;
        });
    }

    /// What was refused, because its window was over by then, must not be heard of.
    fn note_queued(&mut self, queued: Vec<Option<Queued>>) {
        for (nth, queued) in queued.into_iter().enumerate() {
            match queued {
                Some(queued) => self.queued.push(queued),
                None => self.expected[nth].attempts_max = 0,
            }
        }
    }

    /// The requests of all calls.
    fn requests(&self) -> Vec<Value> {
        self.expected.iter().map(|contact| self.request(contact)).collect()
    }

    /// The request of a call.
    pub(super) fn request(&self, contact: &Expected) -> Value {
        let application = format!("http://{}", self.receiver.told("http"));
        let number = &contact.number;
        let mut request = json!({
            "number": number,
            "campaign": "chaos",
            "vxml_url": format!("{application}/start"),
            "result_url": format!("{application}/result?number={number}"),
            "retry": { "attempts_max": contact.attempts_max, "wait_s": 1 },
        });
        if let Some((opens, closes)) = contact.window_ms {
            let time = |ms| rfc_3339(Timestamp::from_millis(ms));
            request["window"] = json!({ "opens_at": time(opens), "closes_at": time(closes) });
        }
        request
    }

    /// The carrier's record so far.
    pub(super) fn heard(&self) -> Result<Vec<Heard>> {
        lines(&self.dir.join("carrier.jsonl"))
    }

    /// The customer's record so far.
    pub(super) fn told(&self) -> Result<Vec<Told>> {
        lines(&self.dir.join("results.jsonl"))
    }

    /// Waits until the carrier has so many lines on record.
    pub(super) async fn until_heard(&self, count: usize) -> Result<()> {
        let enough = async {
            while self.heard()?.len() < count {
                tokio::time::sleep(LOOK_PERIOD / 4).await;
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(30), enough).await.context("no calls come")?
    }

    /// Waits for every result; `false` if some did not come in time.
    async fn wait_for_results(&self) -> Result<bool> {
        let all = async {
            loop {
                let told = self.told()?;
                let has = |contact: &Expected| {
                    let query = format!("number={}", contact.number);
                    contact.attempts_max == 0
                        || told.iter().any(|line| line.taken && line.query == query)
                };
                if self.expected.iter().all(has) {
                    return Ok(true);
                }
                tokio::time::sleep(LOOK_PERIOD).await;
            }
        };
        tokio::time::timeout(RESULTS_TIME_MAX, all).await.unwrap_or(Ok(false))
    }

    /// Waits until no call is live at the carrier, within reason: those of a killed server end when
    /// their time is over.
    async fn until_quiet(&self, nth: usize) {
        for _ in 0..2_000 {
            let Ok(answer) = self.nodes[nth].client.get("/healthz").await else {
                return;
            };
            let health: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            if health.get("live_calls") == Some(&json!(0)) {
                // What was taken down may still be answered.
                tokio::time::sleep(Duration::from_millis(500)).await;
                return;
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    fn recovery_s(&self) -> Result<Option<f64>> {
        let Some(healed) = self.healed_at.map(Timestamp::as_millis) else {
            return Ok(None);
        };
        let invites = self.heard()?.into_iter().filter(|line| line.event == "invite");
        let results = self.told()?.into_iter().filter(|line| line.taken);
        let signs = invites.map(|line| line.at_ms).chain(results.map(|line| line.at_ms));
        let first = signs.filter(|at| *at >= healed).min();
        #[expect(clippy::cast_precision_loss, reason = "some seconds in milliseconds")]
        Ok(first.map(|at| (at - healed) as f64 / 1_000.0))
    }
}

/// Queues calls by our own API, each once however often that takes, by all servers in turn.
async fn queue(clients: Vec<ApiClient>, requests: Vec<Value>) -> Result<Vec<Option<Queued>>> {
    let clients = &clients;
    let answers = futures_util::stream::iter(requests.into_iter().enumerate())
        .map(|(nth, request)| async move {
            let client = &clients[nth % clients.len()];
            let key = format!("\"call-{nth}\"");
            let answer = insist(client, "/v1/calls", &request, &key).await?;
            if answer.status == 422 && answer.body.contains("/window/closes_at") {
                return Ok(None);
            }
            let call = answer.json()?;
            let id = call.get("id").and_then(Value::as_str).context("no id")?.to_owned();
            Ok::<_, anyhow::Error>(Some(Queued { id, nth }))
        })
        .buffered(REQUESTS);
    let queued: Vec<Result<Option<Queued>>> = answers.collect().await;
    queued.into_iter().collect()
}

/// The contacts of a run: some may be rung twice, some of the first only within some seconds from
/// when they are queued.
fn contacts(chance: &mut Chance, many: usize) -> Vec<Expected> {
    let run = chance.below(1_000);
    let contact = |nth: usize| Expected {
        number: format!("1555{run:03}{nth:04}"),
        attempts_max: if nth % 10 == 7 { 2 } else { 1 },
        window_ms: match nth % 10 {
            3 if nth < WINDOWED => Some((4_000, 12_000)),
            8 if nth < WINDOWED => Some((0, 5_000)),
            _ => None,
        },
        canceled_ms: None,
    };
    (0..many).map(contact).collect()
}

fn habits(contacts: &[Expected], chance: &mut Chance) -> String {
    let mut text = String::new();
    for (nth, contact) in contacts.iter().enumerate() {
        let does = match contact.attempts_max {
            2 => "\"busy\", \"person\"".to_owned(),
            _ => format!("{:?}", KINDS[nth % KINDS.len()]),
        };
        let (ring, after) = (chance.below(400), chance.below(60));
        let number = &contact.number;
        let _ = write!(
            text,
            "[[callee]]\nnumber = {number:?}\ndoes = [{does}]\nring_ms = {ring}\n\
             ring_after_ms = {after}\n"
        );
    }
    text
}
