//! `outdial bench`: CPU per call beside sipp's own, calls on one core, delays, and who answered.

mod delay;
mod detections;
mod far_end;
mod gaps;
mod menu;
mod sender;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use self::far_end::{Caller, Customer, FarEnd};
use self::gaps::{Ear, Gaps};
use self::menu::Menu;
use crate::client::ApiClient;
use crate::stage::{ANY_PORT, Account, CALL_TIME_MAX_S, Running, ServerPlan, multipart};
use crate::terminal::table;

/// Longest gap between two packets that nobody hears: a frame of 20 ms and a quarter.
const GAP_P99_MAX_MS: f64 = 25.0;
/// Calls at once that are tried, one after the other.
const STEPS: [u32; 6] = [250, 500, 1_000, 1_500, 2_000, 2_500];
/// How long each step is measured, once all its calls are up.
const STEP_TIME: Duration = Duration::from_secs(8);
/// Longest wait for anything of the bench.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Calls for the figure of CPU per call.
    #[arg(long, default_value_t = 3_000, value_name = "N")]
    calls: u32,
    /// Calls per second for it.
    #[arg(long, default_value_t = 100, value_name = "N")]
    rate: u32,
    /// Write the figures as JSON into this file (docs/reports.md).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure instead how long a call takes from its request to its INVITE.
    #[arg(long)]
    delay: bool,
    /// PostgreSQL to measure delays with, empty; without it a file of SQLite.
    #[arg(long, value_name = "URL", requires = "delay")]
    store_url: Option<String>,
    /// Directory for what is measured; its disk is what commits go to.
    #[arg(long, value_name = "DIR", requires = "delay")]
    dir: Option<PathBuf>,
    /// Measure instead how many of so many callees, answered at once, are told right, and its cost.
    #[arg(long, value_name = "N", conflicts_with = "delay")]
    detections: Option<u32>,
    /// Calls at once in a menu on one core; 0 for none.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    menu_calls: u32,
    /// Leave out the calls of the figure of CPU per call.
    #[arg(long)]
    no_calls: bool,
    /// Leave out the calls on one core.
    #[arg(long)]
    no_media: bool,
    /// Record where the time goes with `perf`, and print the ten first places.
    #[arg(long)]
    profile: bool,
}

/// The figures; documented in docs/reports.md, they stay stable.
#[derive(Debug, Serialize)]
struct Figures {
    calls: u32,
    calls_per_second: u32,
    results: u32,
    cpu_s_per_1000_calls: f64,
    sipp_cpu_s_per_1000_calls: f64,
    ratio_to_sipp: f64,
    memory_bytes_max: u64,
    calls_on_one_core: u32,
    steps: Vec<Step>,
    /// Nothing where it was left out.
    menu: Option<Menu>,
    profile: Vec<Place>,
}

/// Calls at once, and how evenly they were played.
#[derive(Debug, Serialize)]
struct Step {
    calls: u32,
    streams_heard: usize,
    gap_ms_p50: f64,
    gap_ms_p99: f64,
    gap_ms_max: f64,
    cpu_share: f64,
}

/// A place where time goes.
#[derive(Debug, Serialize)]
struct Place {
    share: f64,
    place: String,
}

/// Runs the bench; exit code 1 if a result is missing.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let above = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = above.join(format!("outdial-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    if options.delay {
        return delays(options, &dir).await;
    }
    if let Some(calls) = options.detections {
        return detections(options, calls, &dir).await;
    }
    let measured = measure(options, &dir).await;
    if measured.is_ok() {
        std::fs::remove_dir_all(&dir).ok();
    } else {
        eprintln!("logs are in {}", dir.display());
    }
    let figures = measured?;
    print!("{}", show(&figures));
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if figures.results == figures.calls { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn delays(options: &Options, dir: &Path) -> Result<ExitCode> {
    let Options { calls, rate, store_url, .. } = options;
    let measured = delay::measure(*calls, *rate, store_url.clone(), dir).await;
    match &measured {
        Ok(_) => std::fs::remove_dir_all(dir)?,
        Err(_) => eprintln!("logs are in {}", dir.display()),
    }
    let delays = measured?;
    print!("{}", delays.show());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&delays)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if delays.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn detections(options: &Options, calls: u32, dir: &Path) -> Result<ExitCode> {
    let measured = detections::measure(calls, dir).await;
    match &measured {
        Ok(_) => std::fs::remove_dir_all(dir)?,
        Err(_) => eprintln!("logs are in {}", dir.display()),
    }
    let detections = measured?;
    print!("{}", detections.show());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&detections)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if detections.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options, dir: &Path) -> Result<Figures> {
    let Options { calls, rate, .. } = *options;
    let (mut complete, mut sipp_cpu_s) = (Complete::default(), 0.0);
    if !options.no_calls {
        println!("CPU per call: {calls} calls at {rate} a second, 1 s of prompt each");
        complete = complete_calls(options, &dir.join("complete")).await?;
        println!("sipp's own: the same far end, the same number and rate");
        sipp_cpu_s = sipp_calls(options, &dir.join("sipp")).await?;
    }
    let mut steps = Vec::new();
    if !options.no_media {
        for calls in STEPS {
            println!("calls on one core: {calls} at once");
            let step = calls_at_once(calls, &dir.join(format!("core-{calls}"))).await?;
            let is_even = step.is_even();
            steps.push(step);
            if !is_even {
                break;
            }
        }
    }
    let mut menu = None;
    if options.menu_calls > 0 {
        println!("menu on one core: {} calls at once", options.menu_calls);
        menu = Some(menu::measure(options.menu_calls, &dir.join("menu")).await?);
    }
    let calls = if options.no_calls { 0 } else { calls };
    let per_1000 = |cpu_s: f64| cpu_s / f64::from(calls.max(1)) * 1_000.0;
    Ok(Figures {
        calls,
        calls_per_second: rate,
        results: complete.results,
        cpu_s_per_1000_calls: per_1000(complete.cpu_s),
        sipp_cpu_s_per_1000_calls: per_1000(sipp_cpu_s),
        ratio_to_sipp: complete.cpu_s / sipp_cpu_s.max(f64::EPSILON),
        memory_bytes_max: complete.memory_bytes_max,
        calls_on_one_core: steps.iter().filter(|s| s.is_even()).map(|s| s.calls).max().unwrap_or(0),
        steps,
        menu,
        profile: complete.profile,
    })
}

impl Step {
    fn is_even(&self) -> bool {
        self.gap_ms_p99 < GAP_P99_MAX_MS && self.streams_heard >= self.calls as usize
    }
}

/// What the complete calls cost.
#[derive(Default)]
struct Complete {
    results: u32,
    cpu_s: f64,
    memory_bytes_max: u64,
    profile: Vec<Place>,
}

async fn complete_calls(options: &Options, dir: &Path) -> Result<Complete> {
    std::fs::create_dir_all(dir)?;
    let far_end = FarEnd::start(dir, None).await?;
    let customer = Customer::serve("This takes one second.").await?;
    let (plan, account) = prepare(dir, &far_end, options.rate * 20, options.rate).await?;
    let server = plan.serve(None).await?;
    // The first prompt is spoken and cached before anything is counted.
    upload(&server, &account, &customer, 1, "first").await?;
    customer.results(1, WAIT_MAX).await?;
    let recorder = Recorder::start(options.profile, &server, dir)?;
    let before = server.cpu_s();
    upload(&server, &account, &customer, options.calls, "bench").await?;
    let bar = ProgressBar::new(u64::from(options.calls));
    let wait = WAIT_MAX + Duration::from_secs(u64::from(options.calls / options.rate.max(1)));
    let results = customer.results_shown(options.calls + 1, wait, &bar).await - 1;
    bar.finish_and_clear();
    let cpu_s = server.cpu_s() - before;
    let profile = recorder.finish().await?;
    let memory_bytes_max = server.memory_bytes_max();
    server.stop().await?;
    Ok(Complete { results, cpu_s, memory_bytes_max, profile })
}

async fn sipp_calls(options: &Options, dir: &Path) -> Result<f64> {
    std::fs::create_dir_all(dir)?;
    let far_end = FarEnd::start(dir, None).await?;
    Caller { calls: options.calls, rate: options.rate, talk: Duration::from_millis(1_500) }
        .run(dir, &far_end)
        .await
}

/// Plays `calls` calls at once from a server on one core, heard on the other.
async fn calls_at_once(calls: u32, dir: &Path) -> Result<Step> {
    std::fs::create_dir_all(dir)?;
    let ear = Ear::open()?;
    let far_end = FarEnd::start(dir, Some(ear.port())).await?;
    let customer = Customer::serve_long().await?;
    let (plan, account) = prepare(dir, &far_end, calls, 150).await?;
    let server = plan.serve(Some("0")).await?;
    upload(&server, &account, &customer, calls, "core").await?;
    let up = async {
        while ear.streams() < calls as usize {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let wait = Duration::from_secs(u64::from(calls / 100) + 20);
    let all_up = tokio::time::timeout(wait, up).await.is_ok();
    if !all_up {
        println!("  only {} of {calls} streams came up", ear.streams());
    }
    let before = server.cpu_s();
    let Gaps { streams, p50_ms, p99_ms, max_ms } = ear.measure(STEP_TIME).await;
    let cpu_share = (server.cpu_s() - before) / STEP_TIME.as_secs_f64();
    drop(server);
    Ok(Step {
        calls,
        streams_heard: streams,
        gap_ms_p50: p50_ms,
        gap_ms_p99: p99_ms,
        gap_ms_max: max_ms,
        cpu_share,
    })
}

async fn prepare(
    dir: &Path,
    far_end: &FarEnd,
    slots: u32,
    rate: u32,
) -> Result<(ServerPlan, Account)> {
    let plan = ServerPlan {
        dir: dir.canonicalize()?,
        trunk: far_end.address(),
        slots,
        calls_per_second: rate,
        ring_time_max_s: 45,
        api: ANY_PORT.into(),
        sip: ANY_PORT.into(),
        store_url: None,
        call_time_max_s: CALL_TIME_MAX_S,
    };
    let account = plan.prepare("bench").await?;
    Ok((plan, account))
}

async fn upload(
    server: &Running,
    account: &Account,
    customer: &Customer,
    calls: u32,
    campaign: &str,
) -> Result<()> {
    let list: String = (0..calls).map(|nth| format!("1555{nth:07}\t{campaign}-{nth}\n")).collect();
    let (start_url, result_url) = (customer.url("/start"), customer.url("/result"));
    let fields = [
        ("login", account.login.as_str()),
        ("pin", &account.pin),
        ("campaign", campaign),
        ("start_url", &start_url),
        ("result_url", &result_url),
    ];
    let (content_type, body) = multipart(&fields, ("phone_list", "list.txt", &list));
    let client = ApiClient::new(&format!("http://{}", server.told("api")), None);
    let answer = client.post("/webservice/queuecalls.php", &content_type, body).await?;
    if answer.status != 200 || answer.body.matches("call_id=\"").count() != calls as usize {
        bail!("the list was not taken: {}", answer.body.chars().take(500).collect::<String>());
    }
    Ok(())
}

/// Samples a server with `perf`, where that is asked for.
struct Recorder {
    perf: Option<tokio::process::Child>,
    file: PathBuf,
}

impl Recorder {
    fn start(wanted: bool, server: &Running, dir: &Path) -> Result<Self> {
        let file = dir.join("perf.data");
        let perf = match (wanted, server.id()) {
            (true, Some(id)) => Some(
                tokio::process::Command::new("perf")
                    .args(["record", "-F", "199", "-p", &id.to_string(), "-o"])
                    .arg(&file)
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .context("--profile needs `perf` (Debian: linux-perf)")?,
            ),
            _ => None,
        };
        Ok(Self { perf, file })
    }

    async fn finish(self) -> Result<Vec<Place>> {
        let Some(mut perf) = self.perf else {
            return Ok(Vec::new());
        };
        if let Some(id) = perf.id() {
            let id = id.to_string();
            tokio::process::Command::new("kill").args(["-INT", &id]).status().await?;
        }
        perf.wait().await?;
        let report = tokio::process::Command::new("perf")
            .args(["report", "--stdio", "--no-children", "-g", "none", "-i"])
            .arg(&self.file)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&report.stdout).into_owned();
        let place = |line: &str| {
            let (share, place) = line.trim().split_once('%')?;
            Some(Place { share: share.parse().ok()?, place: place.trim().to_owned() })
        };
        Ok(text.lines().filter_map(place).take(25).collect())
    }
}

fn show(figures: &Figures) -> String {
    let mut text = String::from("\n");
    if figures.calls > 0 {
        text.push_str(&format!(
            "  {:.2} CPU-s per 1,000 complete calls; sipp's own caller {:.2}; ratio {:.1}\n  \
             {} of {} results; {:.0} MB memory at most\n\n",
            figures.cpu_s_per_1000_calls,
            figures.sipp_cpu_s_per_1000_calls,
            figures.ratio_to_sipp,
            figures.results,
            figures.calls,
            figures.memory_bytes_max as f64 / 1e6
        ));
    }
    let rows: Vec<Vec<String>> = figures
        .steps
        .iter()
        .map(|step| {
            vec![
                step.calls.to_string(),
                step.streams_heard.to_string(),
                format!("{:.1}", step.gap_ms_p50),
                format!("{:.1}", step.gap_ms_p99),
                format!("{:.1}", step.gap_ms_max),
                format!("{:.0} %", step.cpu_share * 100.0),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let head = ["calls at once", "heard", "gap p50 ms", "p99 ms", "max ms", "of a core"];
        text.push_str(&table(&head, &rows));
        text.push_str(&format!("\n  {} calls on one core\n", figures.calls_on_one_core));
    }
    if let Some(menu) = &figures.menu {
        text.push_str(&menu.show());
    }
    for place in &figures.profile {
        text.push_str(&format!("  {:>5.1} %  {}\n", place.share, place.place));
    }
    text
}
