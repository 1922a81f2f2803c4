//! `outdial events`: what happens to an account's calls, one JSON document a line, as it happens.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::cli::Server;
use crate::config::Config;

/// Seconds that a request waits for events: as long as the server lets it.
const WAIT_S: u32 = 30;

/// Which events are printed.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Begin after this event, by its `cursor`, or with `now`; else with the oldest that is kept.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Only events of this campaign.
    #[arg(long, value_name = "ID")]
    campaign: Option<i64>,
    /// Only events of this kind, such as `done`.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Wait for what comes, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Print JSON, one event a line, with its `cursor`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Prints events.
pub(crate) async fn run(config: &Config, options: &Options) -> Result<ExitCode> {
    let client = options.server.client(config)?;
    let mut address = first_address(options);
    let mut out = std::io::stdout().lock();
    loop {
        let part = client.get(&address).await?.json()?;
        for event in part["data"].as_array().into_iter().flatten() {
            let line = if options.json { event.to_string() } else { in_words(event) };
            writeln!(out, "{line}").context("nobody reads the events")?;
        }
        out.flush().context("nobody reads the events")?;
        if !options.follow && part["more"] != true {
            return Ok(ExitCode::SUCCESS);
        }
        part["next"]
            .as_str()
            .context("the server does not say how to go on")?
            .clone_into(&mut address);
    }
}

fn first_address(options: &Options) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(after) = &options.after {
        query.append_pair("after", after);
    }
    if let Some(campaign) = options.campaign {
        query.append_pair("campaign_id", &campaign.to_string());
    }
    if let Some(kind) = &options.kind {
        query.append_pair("kind", kind);
    }
    if options.follow {
        query.append_pair("wait_s", &WAIT_S.to_string());
    }
    format!("/v1/events?{}", query.finish())
}

fn in_words(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let line = format!(
        "{} call {} {} {} {}",
        text("at"),
        text("call_id"),
        text("reference"),
        text("kind"),
        text("detail")
    );
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn event_is_a_line_of_words_without_gaps() {
        let event = json!({ "at": "2026-01-01T00:00:00.000Z", "call_id": "7", "reference": "",
            "kind": "done", "detail": "completed", "cursor": "1-2" });
        assert_eq!(in_words(&event), "2026-01-01T00:00:00.000Z call 7 done completed");
    }
}
