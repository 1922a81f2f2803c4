//! `outdial list`: files of numbers that are not called, given to a running server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio_util::io::ReaderStream;

use crate::cli::{EXIT_FAILED, Server};
use crate::config::Config;

/// Lists of numbers that are not called.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add the numbers of a CSV file to a list, which is created where it is new.
    Add(Options),
}

/// Which file goes on which list.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the list; `do-not-call` is heeded by all campaigns.
    list: String,
    /// The file: CSV with any delimiter and in any encoding, a column holds the numbers.
    file: PathBuf,
    /// Why, for people.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Adds a file; exit code 1 if some rows have no number.
pub(crate) async fn run(config: &Config, Command::Add(options): &Command) -> Result<ExitCode> {
    let client = options.server.client(config)?;
    let path = &options.file;
    let file = tokio::fs::File::open(path).await;
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    let mut address = url::Url::parse("http://list/v1/lists").context("this is no address")?;
    if let Ok(mut parts) = address.path_segments_mut() {
        parts.extend([options.list.as_str(), "file"]);
    }
    if !options.reason.is_empty() {
        address.query_pairs_mut().append_pair("reason", &options.reason);
    }
    let query = address.query().map(|query| format!("?{query}")).unwrap_or_default();
    let body = StreamBody::new(ReaderStream::new(file).map_ok(Frame::data));
    let to = format!("{}{query}", address.path());
    let told = client.post_stream(&to, "text/csv", body).await?.json()?;
    let number = |name: &str| told[name].as_u64().unwrap_or_default();
    if options.json {
        println!("{told:#}");
    } else {
        println!("{} rows: {} numbers are new on the list", number("rows"), number("count"));
        for kind in told["faults"].as_array().into_iter().flatten() {
            let text = |name: &str| kind[name].as_str().unwrap_or_default().to_owned();
            println!("{} x {}: {}", kind["count"], text("fault"), text("fix"));
        }
    }
    Ok(if number("rejected") == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}
