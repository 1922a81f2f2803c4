//! `outdial script`: for people who write scripts.

mod check;
pub(crate) mod rehearsal;
pub(crate) mod site;
mod terminal_callee;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;
use engine::clock::Clock;
use engine::fetch::Fetcher;
use engine::http::{HttpClient, HttpPolicy};
use script::step::{Method, StartPage};
use url::Url;

use self::check::Kind;
use self::rehearsal::Rehearsal;
use self::site::Site;
use self::terminal_callee::TerminalCallee;
use crate::cli::EXIT_FAILED;

/// The commands for scripts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find all mistakes in VoiceXML documents, grammars and pages of actions, with row and column.
    ///
    /// Exit code 1 if there are any, or if a document cannot be had; all others are checked all the
    /// same.
    Check {
        /// Files or http addresses. .json, or what begins with `{`, is a page of actions; .gram,
        /// .grxml, or what begins with `#ABNF` or `<grammar>`, is a grammar.
        #[arg(required = true, value_name = "FILE|URL")]
        documents: Vec<String>,
        /// Write what was found as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Talk to a VoiceXML document or a page of actions: text out, keys or words in, events shown.
    ///
    /// Exit code 1 if the script does not end, or if its first page cannot be had or has mistakes.
    Run {
        /// A file, whose neighbours can be fetched too, or an http address.
        #[arg(value_name = "FILE|URL")]
        document: String,
        /// Write each thing that happens as a row of JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Bytes of answers that are kept while a command runs.
const CACHE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Runs a command for scripts.
pub(crate) async fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Check { documents, json } => check::run(documents, *json).await,
        Command::Run { document, json } => talk(document, *json).await,
    }
}

/// Something that fetches pages, from this machine too.
pub(crate) fn fetcher() -> Result<Fetcher> {
    let clock = Clock::new();
    let policy = HttpPolicy::default().with_loopback();
    let http = HttpClient::new(policy, clock.clone()).context("cannot set up outgoing HTTP")?;
    Ok(Fetcher::new(http, clock, CACHE_BYTES_MAX))
}

async fn talk(document: &str, json: bool) -> Result<ExitCode> {
    let (url, text, _site) = match address(document) {
        // Whoever serves a page may count its requests: of an address only its name is looked at.
        Some(url) => (url, String::new(), None),
        None => {
            let (url, site) = serve_beside(Path::new(document)).await?;
            (url, read(Path::new(document))?, Some(site))
        }
    };
    let callee = TerminalCallee::new(json);
    let mut rehearsal = match check::kind_of(document, &text) {
        Kind::Actions => Rehearsal::of_actions(fetcher()?, callee),
        Kind::Grammar => bail!("{document} is a grammar; a page that uses it can be run"),
        Kind::Vxml => Rehearsal::new(fetcher()?, callee),
    };
    let ended = rehearsal.run(StartPage::Url { url, method: Method::Get }).await;
    let ran = ended.is_some() && rehearsal.callee.has_begun();
    Ok(if ran { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// A document's address, where its folder is served for as long as the site lives.
async fn serve_beside(file: &Path) -> Result<(Url, Site)> {
    // Whether it is there is told now, not by a script that begins with an error.
    read(file)?;
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| anyhow!("{} has no name", file.display()))?;
    let site = Site::serve(folder, "127.0.0.1:0").await?;
    let mut url = Url::parse(&format!("http://{}/", site.address()))?;
    url.set_path(name);
    Ok((url, site))
}

fn address(document: &str) -> Option<Url> {
    let url = Url::parse(document).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

fn read(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = engine::fetch::decode("", &bytes);
    text.map_err(|wrong| anyhow!("{}: {wrong}", file.display()))
}
