//! `outdial dialing`: whether anything is dialed, said to a running server.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::cli::Server;
use crate::config::Config;

/// Whether anything is dialed; calls under way go on whatever is said.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Dial again.
    Resume(Options),
    /// Say whether anything is dialed.
    Show(Options),
    /// Dial nothing: of nobody, or of one account.
    Suspend(Options),
}

/// Of whom, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Id of the account; without it all of the server. `own` is the account of the key.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Runs a command.
pub(crate) async fn run(config: &Config, command: &Command) -> Result<ExitCode> {
    let (options, verb) = match command {
        Command::Resume(options) => (options, Some("resume")),
        Command::Show(options) => (options, None),
        Command::Suspend(options) => (options, Some("suspend")),
    };
    let client = options.server.client(config)?;
    let of = match options.account.as_deref() {
        None => "/v1/dialing".to_owned(),
        Some("own") => "/v1/account".to_owned(),
        Some(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => format!("/v1/accounts/{id}"),
        Some(id) => bail!("{id:?} is no id of an account, use a number or `own`"),
    };
    let answer = match verb {
        Some(verb) => client.post(&format!("{of}/{verb}"), "application/json", "").await?.json()?,
        None => client.get(&of).await?.json()?,
    };
    println!("{answer:#}");
    Ok(ExitCode::SUCCESS)
}
