//! `outdial call`: one call through a running server, watched until its end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use crate::cli::{EXIT_FAILED, Server};
use crate::client::ApiClient;
use crate::config::Config;

/// How often the call is looked at.
const WATCH_PERIOD: Duration = Duration::from_millis(200);

/// What to call, and with what.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("script").required(true))]
pub(crate) struct Options {
    /// Number to dial; a `tel:` form with `;ani=` and `;postd=` is good too.
    number: String,
    /// Text to speak.
    #[arg(long, group = "script", value_name = "TEXT")]
    say: Option<String>,
    /// Address of a VoiceXML page.
    #[arg(long, group = "script", value_name = "URL")]
    vxml: Option<String>,
    /// File with a VoiceXML document.
    #[arg(long, group = "script", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Caller ID to show.
    #[arg(long, value_name = "NUMBER")]
    caller_id: Option<String>,
    /// Show what happens until the call has ended; exit code 1 unless somebody answered.
    #[arg(long)]
    watch: bool,
    /// Print the call as JSON; with --watch, as it ended.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Places the call.
pub(crate) async fn run(config: &Config, options: &Options) -> Result<ExitCode> {
    let client = options.server.client(config)?;
    let call = client.post_json("/v1/calls", &request(options)?).await?.json()?;
    let id = call.get("id").and_then(Value::as_str).context("the server named no call")?.to_owned();
    if !options.watch {
        if options.json {
            println!("{call:#}");
        } else {
            println!("call {id} is queued");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let ended = watch(&client, &id, options.json).await?;
    if options.json {
        println!("{ended:#}");
    }
    let completed = ended.get("state").and_then(Value::as_str) == Some("completed");
    Ok(if completed { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn request(options: &Options) -> Result<Value> {
    let mut request = json!({ "destination": options.number });
    if let Some(text) = &options.say {
        request["say"] = json!(text);
    }
    if let Some(url) = &options.vxml {
        request["vxml_url"] = json!(url);
    }
    if let Some(file) = &options.file {
        let document = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        request["document"] = json!(document);
    }
    if let Some(caller_id) = &options.caller_id {
        request["caller_id"] = json!(caller_id);
    }
    Ok(request)
}

/// Prints each event as it comes, until the call has ended.
async fn watch(client: &ApiClient, id: &str, quiet: bool) -> Result<Value> {
    let mut shown = 0;
    loop {
        let call = client.get(&format!("/v1/calls/{id}")).await?.json()?;
        let events = call.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        for event in events.iter().skip(shown).filter(|_| !quiet) {
            println!("{}", line(event));
        }
        shown = shown.max(events.len());
        let state = call.get("state").and_then(Value::as_str).unwrap_or_default();
        if !matches!(state, "waiting" | "calling") {
            if !quiet {
                println!("{}", summary(&call));
            }
            return Ok(call);
        }
        tokio::time::sleep(WATCH_PERIOD).await;
    }
}

fn line(event: &Value) -> String {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = text("at").split('T').nth(1).unwrap_or_else(|| text("at"));
    format!("{time:<14} {:<16} {}", text("kind"), text("detail")).trim_end().to_owned()
}

fn summary(call: &Value) -> String {
    let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| call.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (state, outcome) = (text("state"), text("outcome"));
    let attempts = number("attempts_made");
    format!(
        "call {} {state}: {outcome}, {attempts} attempts, {} s",
        text("id"),
        number("duration_s")
    )
}
