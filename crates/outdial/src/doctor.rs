//! `outdial doctor`: everything that a server needs, checked one by one, each with its repair.

use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::cli::EXIT_FAILED;
use crate::config::Config;

/// A clock further from the database file's idea of time than this is wrong.
const CLOCK_EARLIEST_S: i64 = 1_750_000_000;
/// Longest wait for a trunk's answer.
const PROBE_TIME_MAX: Duration = Duration::from_secs(10);

/// How to report.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
struct Check {
    /// What was checked.
    name: String,
    /// `ok`, `warning` or `failed`.
    state: State,
    /// What was found, and what would be right.
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// Runs all checks; exit code 1 if one failed.
pub(crate) async fn run(config: &Config, options: &Options) -> Result<ExitCode> {
    let mut checks = vec![clock(), files(config), home(config), rules(config)];
    checks.extend(ports(config));
    checks.push(store(config).await);
    checks.push(speech(config).await);
    checks.push(recognition(config).await);
    checks.extend(trunks(config).await);

    if options.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        for check in &checks {
            let mark = match check.state {
                State::Ok => "✓",
                State::Warning => "!",
                State::Failed => "✗",
            };
            println!("{mark} {:<18} {}", check.name, check.detail);
        }
    }
    let failed = checks.iter().any(|check| check.state == State::Failed);
    Ok(if failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

fn check(name: &str, found: Result<String, String>) -> Check {
    let (state, detail) = match found {
        Ok(detail) => (State::Ok, detail),
        Err(detail) => (State::Failed, detail),
    };
    Check { name: name.into(), state, detail }
}

fn warning(name: &str, detail: String) -> Check {
    Check { name: name.into(), state: State::Warning, detail }
}

/// A clock that starts in 1970 dials at night.
fn clock() -> Check {
    let now = engine::clock::Clock::new().now();
    let zone = jiff::tz::TimeZone::system();
    let shown = jiff::Timestamp::from_millisecond(now.as_millis())
        .map(|now| now.to_zoned(zone).to_string())
        .unwrap_or_default();
    let found = if now.as_seconds() > CLOCK_EARLIEST_S {
        Ok(shown)
    } else {
        Err(format!("{shown} is in the past: set the clock, windows depend on it"))
    };
    check("clock", found)
}

/// Each call holds two sockets, each client and page one more.
fn files(config: &Config) -> Check {
    let limit = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = limit
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(u64::MAX);
    let calls: u64 = config.trunks.iter().map(|trunk| u64::from(trunk.slots)).sum();
    let needed = calls * 4 + 256;
    if open >= needed {
        check("open files", Ok(format!("{open} allowed, {needed} wanted")))
    } else {
        let repair = "raise LimitNOFILE or `ulimit -n`";
        check(
            "open files",
            Err(format!("{open} allowed, {needed} wanted for {calls} calls: {repair}")),
        )
    }
}

/// As whose numbers those are read that name no country.
fn home(config: &Config) -> Check {
    let domain::zones::Home { country, zone } = &config.dialing.home;
    let zone = zone.as_ref().map_or("all its zones".to_owned(), |zone| zone.name().to_owned());
    check("country", Ok(format!("{country}, {zone}; accounts may be elsewhere")))
}

/// Of which day the rules and tables are by which calls are weighed.
fn rules(config: &Config) -> Check {
    let dialing = &config.dialing;
    let atlas = dialing.atlas.as_deref().unwrap_or(domain::zones::Atlas::built_in());
    let tables = dialing.rules.provenance().iter().chain(atlas.provenance());
    let versions: Vec<String> = tables.map(|table| table.label()).collect();
    check("rules", Ok(versions.join(", ")))
}

fn ports(config: &Config) -> Vec<Check> {
    let tcp = |address| TcpListener::bind(address).map(drop);
    let taken = |error: std::io::Error| format!("{error}: another server, or another program?");
    let (first, last) = config.rtp_ports;
    let free = (first..=last)
        .step_by(usize::from((last - first) / 50).max(1))
        .filter(|port| UdpSocket::bind((config.rtp_bind, *port)).is_ok());
    let (sampled, free) = ((last - first) / (((last - first) / 50).max(1)) + 1, free.count());
    let room = u64::from(last - first).div_ceil(2);
    let calls: u64 = config.trunks.iter().map(|trunk| u64::from(trunk.slots)).sum();
    let audio = if free == 0 {
        Err(format!("none of {sampled} ports tried between {first} and {last} is free"))
    } else if room < calls {
        Err(format!("{first} to {last} has room for {room} calls, trunks allow {calls}: widen it"))
    } else {
        Ok(format!("{first} to {last}, room for {room} calls"))
    };
    vec![
        check(
            "API port",
            tcp(config.api_listen).map(|()| config.api_listen.to_string()).map_err(taken),
        ),
        check(
            "SIP port",
            UdpSocket::bind(config.sip_bind)
                .map(drop)
                .and_then(|()| tcp(config.sip_bind))
                .map(|()| format!("{} over UDP and TCP", config.sip_bind))
                .map_err(taken),
        ),
        check("audio ports", audio),
    ]
}

/// Opens the store and makes it promise something.
async fn store(config: &Config) -> Check {
    let path = config.store().place();
    match store::Store::open(config.store()).await {
        Ok((store, _)) => {
            let flushed = store.flush().await;
            let closed = store.close().await;
            let found = flushed.and(closed).map(|()| format!("{path} writes and syncs"));
            check("store", found.map_err(|error| format!("{path}: {}", chain(&error))))
        }
        Err(store::StoreError::InUse(_)) => {
            warning("store", format!("{path} is in use by a running server, not checked"))
        }
        Err(error) => check("store", Err(format!("{path}: {}", chain(&error)))),
    }
}

/// Without it callees still have keys, so that it is no reason not to start.
async fn recognition(config: &Config) -> Check {
    match crate::serve::recognition_check(config).await {
        Ok(found) => check("recognition", Ok(found)),
        Err(missing) => warning("recognition", missing),
    }
}

async fn speech(config: &Config) -> Check {
    check("speech", crate::serve::speech_check(config).await)
}

/// Asks every trunk's addresses by OPTIONS, from the configured port where it is free.
async fn trunks(config: &Config) -> Vec<Check> {
    if config.trunks.is_empty() {
        return vec![warning("trunks", "none is configured: nothing can be dialed".into())];
    }
    let probed = tokio::time::timeout(PROBE_TIME_MAX, crate::serve::probe_trunks(config)).await;
    match probed {
        Ok(Ok(found)) => {
            found.into_iter().map(|(name, found)| check(&format!("trunk {name}"), found)).collect()
        }
        Ok(Err(error)) => vec![warning("trunks", format!("not asked: {error:#}"))],
        Err(_) => vec![check("trunks", Err("no answer to OPTIONS in 10 s".into()))],
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
