//! `outdial demo`: sixty real calls over loopback, from the upload of a list to its last result.

mod callees;
mod customer;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use self::callees::{ATTEMPTS_MAX, Callee};
use self::customer::Customer;
use self::report::Report;
use crate::cli::EXIT_FAILED;
use crate::client::ApiClient;
use crate::stage::{ANY_PORT, Account, CALL_TIME_MAX_S, Running, ServerPlan, multipart};

/// Shortest wait between attempts that the list's service takes, in seconds.
const RETRY_WAIT_S: u32 = 60;
/// A phone of the demo rings so long at most, in seconds; forty-five would only take longer.
const RING_TIME_MAX_S: u32 = 15;
/// Longest time for all results.
const RESULTS_TIME_MAX: Duration = Duration::from_secs(170);
/// The campaign's name.
const CAMPAIGN: &str = "demo";

/// How to show it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End when the results are in; without it, the server stays up to be tried.
    #[arg(long)]
    exit: bool,
    /// Write the report as JSON into this file (docs/reports.md).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Directory for its files; a new one without it.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Address of the API; a free port of loopback without it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    api: String,
    /// Chance of the callees' pace.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the demo; exit code 1 if a result is missing or wrong.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let dir = directory(options.dir.as_deref())?;
    let callees = callees::all();
    let clock = engine::clock::Clock::new();
    let started = clock.instant();

    let (habits, record) = (dir.join("habits.toml"), dir.join("carrier-calls.jsonl"));
    std::fs::write(&habits, callees::habits(&callees, options.seed))?;
    let carrier = Running::carrier(&dir, &habits, &record).await?;
    let customer = Customer::default();
    let application = customer.serve().await?;
    let plan = ServerPlan {
        dir: dir.clone(),
        trunk: carrier.told("sip").to_owned(),
        slots: 30,
        calls_per_second: 20,
        ring_time_max_s: RING_TIME_MAX_S,
        api: options.api.clone(),
        sip: ANY_PORT.into(),
        store_url: None,
        call_time_max_s: CALL_TIME_MAX_S,
    };
    let account = plan.prepare("demo").await?;
    let server = plan.serve(None).await?;
    let api = format!("http://{}", server.told("api"));
    println!("server       {api}   log {}", dir.join("server.log").display());
    println!("carrier      {}   log {}", carrier.told("sip"), dir.join("carrier.log").display());
    println!("application  http://{application}");

    let uploaded = clock.instant();
    upload(&api, &account, &callees, &format!("http://{application}")).await?;
    let cpu_before = server.cpu_s();
    wait_for_results(&customer, callees.len()).await;
    let took = clock.instant().duration_since(uploaded);

    let report = Report::make(
        &callees,
        &customer,
        &report::Measured {
            calls: record,
            cpu_s: server.cpu_s() - cpu_before,
            duration: took,
            memory_bytes_max: server.memory_bytes_max(),
            start_up: uploaded.duration_since(started),
        },
    )?;
    print!("\n{}", report.table());
    if let Some(file) = &options.json {
        std::fs::write(file, report.json()?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let code = if report.is_right() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) };
    if options.exit {
        server.stop().await.context("the server did not end well")?;
        carrier.stop().await.context("the carrier did not end well")?;
        if options.dir.is_none() && report.is_right() {
            std::fs::remove_dir_all(&dir).ok();
        }
        return Ok(code);
    }
    stay(&api, &account, server, carrier).await?;
    Ok(code)
}

/// Leaves everything up until Ctrl-C, and says how to use it.
async fn stay(api: &str, account: &Account, server: Running, carrier: Running) -> Result<()> {
    let Account { login, pin, api_key } = account;
    println!("The server stays up. Call somebody of the demo yourself, in another terminal:\n");
    println!("  OUTDIAL_SERVER={api} OUTDIAL_API_KEY={api_key} \\");
    println!("    outdial call 15550100000 --say 'Hello from Outdial' --watch\n");
    println!("  curl {api}/webservice/queuecall.php -d login={login} -d pin={pin} \\");
    println!("    -d phone_number=15550100001 -d start_url=http://127.0.0.1:8000/start.vxml\n");
    println!("Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    println!("ending: live calls are let end");
    server.stop().await.context("the server did not end well")?;
    carrier.stop().await.context("the carrier did not end well")
}

fn directory(named: Option<&Path>) -> Result<PathBuf> {
    let dir = named.map_or_else(
        || std::env::temp_dir().join(format!("outdial-demo-{}", std::process::id())),
        Path::to_owned,
    );
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if dir.join("outdial.db").exists() {
        bail!("{} has been used before: name a new directory", dir.display());
    }
    // The processes run in it, so its path must not depend on where we are.
    dir.canonicalize().with_context(|| format!("cannot use {}", dir.display()))
}

/// Uploads the list as a customer's own program would.
async fn upload(api: &str, account: &Account, callees: &[Callee], application: &str) -> Result<()> {
    let list: String = callees
        .iter()
        .enumerate()
        .map(|(nth, callee)| format!("{}\tcallee-{nth}\tname=Callee {nth}\n", callee.number))
        .collect();
    let (start_url, result_url) = (format!("{application}/start"), format!("{application}/result"));
    let (retries, wait) = ((ATTEMPTS_MAX - 1).to_string(), RETRY_WAIT_S.to_string());
    let fields = [
        ("login", account.login.as_str()),
        ("pin", &account.pin),
        ("campaign", CAMPAIGN),
        ("campaign_parameters", "appointment"),
        ("start_url", &start_url),
        ("result_url", &result_url),
        ("max_retries", &retries),
        ("retry_interval", &wait),
    ];
    let (content_type, body) = multipart(&fields, ("phone_list", "list.txt", &list));
    let client = ApiClient::new(api, None);
    let answer = client.post("/webservice/queuecalls.php", &content_type, body).await?;
    let queued = answer.body.matches("call_id=\"").count();
    if answer.status != 200 || queued != callees.len() {
        bail!("{queued} of {} lines are queued:\n{}", callees.len(), answer.body);
    }
    println!("list         {queued} numbers uploaded\n");
    Ok(())
}

async fn wait_for_results(customer: &Customer, wanted: usize) {
    let bar = ProgressBar::new(wanted as u64);
    let style = ProgressStyle::with_template("{elapsed} {bar:40} {pos} of {len} results")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(250));
    let all = async {
        loop {
            let results = customer.results().len();
            bar.set_position(results as u64);
            if results >= wanted {
                return;
            }
            customer.more().await;
        }
    };
    let complete = tokio::time::timeout(RESULTS_TIME_MAX, all).await.is_ok();
    bar.finish_and_clear();
    if !complete {
        println!("gave up waiting after {} s", RESULTS_TIME_MAX.as_secs());
    }
}
