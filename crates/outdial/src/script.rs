//! `outdial script`: for people who write scripts.

pub(crate) mod rehearsal;
pub(crate) mod site;
mod terminal_callee;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use engine::clock::Clock;
use engine::fetch::Fetcher;
use engine::http::{CookieJar, HttpClient, HttpPolicy};
use script::step::{Fetch, FetchId, Method, StartPage};
use url::Url;

use self::rehearsal::Rehearsal;
use self::site::Site;
use self::terminal_callee::TerminalCallee;
use crate::cli::EXIT_FAILED;

/// The commands for scripts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find all mistakes in VoiceXML documents and pages of actions, with line and column.
    Check {
        /// Files or http addresses; what begins with `{` or is named .json is a page of actions.
        #[arg(required = true, value_name = "FILE|URL")]
        documents: Vec<String>,
    },
    /// Talk to a VoiceXML document or a page of actions: text out, keys or words in, events shown.
    Run {
        /// A file, whose neighbours can be fetched too, or an http address.
        #[arg(value_name = "FILE|URL")]
        document: String,
    },
}

/// Bytes of answers that are kept while a command runs.
const CACHE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Runs a command for scripts.
pub(crate) async fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Check { documents } => check(documents).await,
        Command::Run { document } => talk(document).await,
    }
}

/// Something that fetches pages, from this machine too.
pub(crate) fn fetcher() -> Result<Fetcher> {
    let clock = Clock::new();
    let policy = HttpPolicy::default().with_loopback();
    let http = HttpClient::new(policy, clock.clone()).context("cannot set up outgoing HTTP")?;
    Ok(Fetcher::new(http, clock, CACHE_BYTES_MAX))
}

async fn check(documents: &[String]) -> Result<ExitCode> {
    let mut wrong = 0;
    for document in documents {
        let text = match address(document) {
            Some(url) => page(url).await?,
            None => read(Path::new(document))?,
        };
        let mistakes = if is_actions(document, &text) {
            script::actions::check(&text, &script::actions::Limits::default())
        } else {
            script::vxml::check(&text)
        };
        for mistake in &mistakes {
            println!("{document}:{mistake}");
        }
        wrong += mistakes.len();
    }
    if wrong == 0 {
        println!("no mistakes in {} documents", documents.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("{wrong} mistakes");
    Ok(ExitCode::from(EXIT_FAILED))
}

async fn talk(document: &str) -> Result<ExitCode> {
    let (url, text, _site) = match address(document) {
        // Whoever serves a page may count its requests: of an address only its name is looked at.
        Some(url) => (url, String::new(), None),
        None => {
            let (url, site) = serve_beside(Path::new(document)).await?;
            (url, read(Path::new(document))?, Some(site))
        }
    };
    let callee = TerminalCallee::default();
    let mut rehearsal = if is_actions(document, &text) {
        Rehearsal::of_actions(fetcher()?, callee)
    } else {
        Rehearsal::new(fetcher()?, callee)
    };
    let ended = rehearsal.run(StartPage::Url { url, method: Method::Get }).await;
    Ok(if ended.is_some() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Whether this is a page of actions.
fn is_actions(document: &str, text: &str) -> bool {
    let path = address(document).map_or_else(|| document.to_owned(), |url| url.path().to_owned());
    let is_json = Path::new(&path).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    is_json || text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
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

async fn page(url: Url) -> Result<String> {
    let fetch = Fetch {
        fetch: FetchId(1),
        url: url.clone(),
        method: Method::Get,
        timeout: None,
        maxage_s: None,
        maxstale_s: None,
    };
    let fetched = fetcher()?.page(&fetch, &CookieJar::default()).await;
    Ok(fetched.with_context(|| format!("cannot fetch {url}"))?.text)
}
