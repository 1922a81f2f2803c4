//! One run: three processes, a load of calls, a fault, and the wait until all is told.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use domain::time::Timestamp;
use engine::clock::Clock;
use facade::zone::rfc_3339;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::fault::{Chance, Fault};
use super::judge::{Caps, Expected, Heard, Told, Verdict, judge, lines};
use crate::client::ApiClient;
use crate::stage::{ANY_PORT, Running, ServerPlan};

/// What the carrier allows: little, so that calls are under way for some time.
const CAPS: Caps = Caps { slots: 12, calls_per_second: 10 };
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
    },
    /// This machine cannot do it.
    Skipped(String),
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
    pub(super) client: ApiClient,
    pub(super) receiver: Running,
    pub(super) expected: Vec<Expected>,
    pub(super) queued: Vec<Queued>,
    /// The server, while it lives.
    pub(super) server: Option<Running>,
    /// What the server is started within, as `env NAME=VALUE`.
    pub(super) wrapper: Vec<String>,
    carrier: Running,
    /// When the fault was over.
    healed_at: Option<Timestamp>,
    // Last, so that it outlives what runs in it.
    _kept: Kept,
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
    pub(super) async fn play(fault: &Fault, seed: u64, calls: usize) -> Result<Outcome> {
        if let Some(why) = super::strike::missing(fault.strike, fault.postgres) {
            return Ok(Outcome::Skipped(why));
        }
        let mut scene = Self::set(fault, seed, calls).await?;
        scene.prepare(fault.strike).await?;
        scene.start().await?;
        scene.queue().await?;
        scene.strike(fault.strike).await?;
        let complete = scene.wait_for_results().await?;
        let recovery_s = scene.recovery_s()?;
        scene.until_quiet().await;
        if let Some(server) = scene.server.take()
            && let Err(error) = server.stop().await
        {
            tracing::warn!("the server did not end well: {error:#}");
        }
        scene.tidy(fault.strike).await;
        scene.carrier.stop().await?;
        scene.receiver.stop().await?;
        let heard = lines(&scene.dir.join("carrier.jsonl"))?;
        let told = lines(&scene.dir.join("results.jsonl"))?;
        let mut verdict = judge(&scene.expected, CAPS, &heard, &told);
        if !complete && verdict.results_lost == 0 {
            verdict.complaints.push("results came too late".into());
        }
        if !verdict.is_good() {
            scene._kept.keep = true;
            verdict.complaints.push(format!("records and logs are in {}", scene.dir.display()));
        }
        Ok(Outcome::Judged { verdict, recovery_s })
    }

    async fn set(fault: &Fault, seed: u64, calls: usize) -> Result<Self> {
        let name = format!("outdial-chaos-{}-{}-{seed}", std::process::id(), fault.name);
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(dir.join("server"))?;
        let kept = Kept { dir: dir.clone(), keep: false };
        let clock = Clock::new();
        let mut chance = Chance::new(seed, fault.name);
        let expected = contacts(&mut chance, clock.now(), calls);
        std::fs::write(dir.join("habits.toml"), habits(&expected, &mut chance))?;
        let (habits, record) = (dir.join("habits.toml"), dir.join("carrier.jsonl"));
        let carrier = Running::carrier(&dir, &habits, &record).await?;
        let log = dir.join("results.jsonl").display().to_string();
        let arguments = ["lab", "receiver", "--bind", ANY_PORT, "--log", &log];
        let receiver = Running::start(&dir, "receiver", &arguments, None).await?;
        let client = ApiClient::new("http://127.0.0.1:1", None);
        Ok(Self {
            dir,
            clock,
            chance,
            client,
            receiver,
            expected,
            queued: Vec::new(),
            server: None,
            wrapper: Vec::new(),
            carrier,
            healed_at: None,
            _kept: kept,
        })
    }

    /// Where the server's files are.
    pub(super) fn server_dir(&self) -> PathBuf {
        self.dir.join("server")
    }

    /// Starts the server for the first time: settings, an account, and the ports it keeps.
    async fn start(&mut self) -> Result<()> {
        let mut plan = ServerPlan {
            dir: self.server_dir(),
            trunk: self.carrier.told("sip").to_owned(),
            slots: u32::try_from(CAPS.slots)?,
            calls_per_second: u32::try_from(CAPS.calls_per_second)?,
            ring_time_max_s: RING_TIME_MAX_S,
            api: ANY_PORT.into(),
            sip: ANY_PORT.into(),
        };
        let account = plan.prepare("chaos").await?;
        self.serve().await?;
        let server = self.server.as_ref().context("the server was started")?;
        // The next processes are reached where the first one was.
        plan.api = server.told("api").to_owned();
        plan.sip = server.told("sip").to_owned();
        plan.write_settings()?;
        self.client = ApiClient::new(&format!("http://{}", plan.api), Some(account.api_key));
        self.until_dialing().await
    }

    /// Starts the server and waits until it is up.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        let dir = self.server_dir();
        self.server = Some(Running::wrapped(&dir, "server", &wrapper, &["serve"]).await?);
        Ok(())
    }

    /// Kills the server, if it lives.
    pub(super) async fn kill(&mut self) -> Result<()> {
        match self.server.take() {
            Some(server) => server.kill().await,
            None => Ok(()),
        }
    }

    /// The fault is over from now on.
    pub(super) fn heal(&mut self) {
        self.healed_at = Some(self.clock.now());
    }

    async fn until_dialing(&self) -> Result<()> {
        let dialing = async {
            loop {
                // 503 until a trunk is up.
                let answer = self.client.get("/healthz").await?;
                let health: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                if health.get("dialing") == Some(&json!(true)) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_PERIOD).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), dialing).await.context("it does not dial")?
    }

    /// Queues all calls by our own API.
    async fn queue(&mut self) -> Result<()> {
        let requests: Vec<(usize, Value)> =
            self.expected.iter().enumerate().map(|(nth, it)| (nth, self.request(it))).collect();
        let client = &self.client;
        let answers = futures_util::stream::iter(requests)
            .map(|(nth, request)| async move {
                let call = client.post_json("/v1/calls", &request).await?.json()?;
                let id = call.get("id").and_then(Value::as_str).context("no id")?.to_owned();
                Ok::<_, anyhow::Error>(Queued { id, nth })
            })
            .buffer_unordered(REQUESTS);
        let queued: Vec<Result<Queued>> = answers.collect().await;
        self.queued = queued.into_iter().collect::<Result<_>>()?;
        Ok(())
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
                    told.iter().any(|line| line.taken && line.query == query)
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
    async fn until_quiet(&self) {
        for _ in 0..2_000 {
            let Ok(answer) = self.client.get("/healthz").await else {
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

/// The contacts of a run: some may be rung twice, some only within some seconds.
fn contacts(chance: &mut Chance, now: Timestamp, many: usize) -> Vec<Expected> {
    let run = chance.below(1_000);
    let now = now.as_millis();
    let contact = |nth: usize| Expected {
        number: format!("1555{run:03}{nth:04}"),
        attempts_max: if nth % 10 == 7 { 2 } else { 1 },
        window_ms: match nth % 10 {
            3 => Some((now + 4_000, now + 12_000)),
            8 => Some((now, now + 5_000)),
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
