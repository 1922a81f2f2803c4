//! The command line: every command, its options, and what its exit code means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::client::ApiClient;
use crate::config::{Config, Mistakes};
use crate::{
    account, bench, call, demo, deployment, dialing, doctor, events, import, lab, list, script,
    serve, terminal,
};

/// The command did not do what it was asked for.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The command line or the configuration is wrong; nothing was done.
pub(crate) const EXIT_USAGE: u8 = 2;

/// Outbound calls: queue them over HTTP, dial them over SIP, run a script when somebody answers.
///
/// Exit codes: 0 done, 1 not done, 2 wrong command line or configuration.
#[derive(Debug, Parser)]
#[command(name = "outdial", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Configuration file; `outdial.toml` where it is there.
    #[arg(long, global = true, env = "OUTDIAL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create accounts and their keys.
    #[command(subcommand)]
    Account(account::Command),
    /// Measure CPU per call and calls on one core.
    Bench(bench::Options),
    /// Place one call through a running server.
    Call(call::Options),
    /// Print the annotated example configuration.
    Config,
    /// Sixty real calls over loopback, from upload to result.
    Demo(demo::Options),
    /// Give clients scripts under numbers (docs/api/fuse.md).
    #[command(subcommand)]
    Deployment(deployment::Command),
    /// Suspend and resume dialing of a running server.
    #[command(subcommand)]
    Dialing(dialing::Command),
    /// Check everything that a server needs, one line each.
    Doctor(doctor::Options),
    /// Follow what happens to calls, event by event.
    Events(events::Options),
    /// Look at a file of contacts, then take it in through a running server.
    Import(import::Options),
    /// Far ends to try things with.
    #[command(subcommand)]
    Lab(lab::Command),
    /// Put files of numbers on lists that are not called.
    #[command(subcommand)]
    List(list::Command),
    /// Check VoiceXML documents, and talk to them.
    #[command(subcommand)]
    Script(script::Command),
    /// Run the server.
    Serve(serve::Options),
}

/// Where a running server is, and who asks.
#[derive(Clone, Debug, Args)]
pub(crate) struct Server {
    /// Address of the running server; the configured one where none is given.
    #[arg(long, env = "OUTDIAL_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// API key, as `outdial account create` printed it.
    #[arg(long, env = "OUTDIAL_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

impl Server {
    /// A client of the server with a key.
    pub(crate) fn client(&self, config: &Config) -> Result<ApiClient> {
        let key = self.api_key.clone().filter(|key| !key.is_empty());
        if key.is_none() {
            bail!(
                "an API key is needed: --api-key or OUTDIAL_API_KEY, from `outdial account create`"
            );
        }
        Ok(ApiClient::new(&self.base(config), key))
    }

    /// The server's base address.
    pub(crate) fn base(&self, config: &Config) -> String {
        let own = |listen: SocketAddr| {
            let any = listen.ip().is_unspecified();
            let host = if any { "127.0.0.1".into() } else { listen.ip().to_string() };
            format!("http://{host}:{}", listen.port())
        };
        self.server.clone().unwrap_or_else(|| own(config.api_listen))
    }
}

/// Runs a command.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    if matches!(cli.command, Command::Config) {
        print!("{}", crate::config::example());
        return Ok(ExitCode::SUCCESS);
    }
    let load = || Config::load(cli.config.as_deref());
    // These bring their own configuration.
    match &cli.command {
        Command::Bench(options) => {
            terminal::log("warn", false);
            return block_on(bench::run(options));
        }
        Command::Demo(options) => {
            terminal::log("warn", false);
            return block_on(demo::run(options));
        }
        Command::Lab(command) => {
            terminal::log("info", false);
            return block_on(lab::run(command));
        }
        Command::Script(command) => {
            terminal::log("error", false);
            return block_on(script::run(command));
        }
        _ => {}
    }
    let config = match load() {
        Ok(config) => config,
        Err(mistakes) => return Ok(refuse(&mistakes)),
    };
    match cli.command {
        Command::Account(command) => block_on(account::run(&config, &command)),
        Command::Call(options) => block_on(call::run(&config, &options)),
        Command::Deployment(command) => block_on(deployment::run(&config, &command)),
        Command::Dialing(command) => block_on(dialing::run(&config, &command)),
        Command::Events(options) => block_on(events::run(&config, &options)),
        Command::Import(options) => block_on(import::run(&config, &options)),
        Command::List(command) => block_on(list::run(&config, &command)),
        Command::Doctor(options) => block_on(doctor::run(&config, &options)),
        Command::Serve(options) => {
            terminal::log(&config.log_filter, config.log_json);
            block_on(serve::run(config, options))
        }
        Command::Bench(_)
        | Command::Config
        | Command::Demo(_)
        | Command::Lab(_)
        | Command::Script(_) => {
            unreachable!("handled above, without a configuration")
        }
    }
}

fn refuse(mistakes: &Mistakes) -> ExitCode {
    eprintln!("outdial: {mistakes}");
    ExitCode::from(EXIT_USAGE)
}

/// Longest that the program waits at its end for what was begun on threads of its own.
const LINGER_MAX: Duration = Duration::from_secs(10);

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Audio goes before all that can wait.
        .on_thread_start(engine::rtp_io::stand_back)
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(work);
    // A script that was given up may still compute; the program does not wait for it.
    runtime.shutdown_timeout(LINGER_MAX);
    done
}
