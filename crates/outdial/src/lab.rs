//! Far ends to try things with.

pub(crate) mod carrier;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// The laboratory's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A simulated carrier: real SIP and RTP, with callees that behave as their habits say.
    Carrier(carrier::Options),
}

/// Runs a command of the laboratory.
pub(crate) async fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Carrier(options) => carrier::run(options).await,
    }
}
