//! `outdial account`: who may use the server. Secrets are shown once, when they are made.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use domain::ids::AccountId;
use domain::number::Destination;
use domain::region::Country;
use serde_json::json;
use store::{CreateError, Reader, Store, StoreError, Suspender, TermsChange};

use crate::config::Config;

/// The account commands; the server must not be running, for it alone writes to its store.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an account; prints its PIN and its API key, once.
    Create {
        /// Login name, at most 128 characters.
        login: String,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List accounts.
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say which caller IDs an account may show, and show them all; add those that you have verified
    /// to be its own.
    CallerId {
        /// Login name.
        login: String,
        /// A number that it may show from now on. Can be given several times.
        #[arg(long, value_name = "NUMBER")]
        add: Vec<String>,
        /// A number that it may show no longer.
        #[arg(long, value_name = "NUMBER")]
        remove: Vec<String>,
    },
    /// Let an account be dialed again that was suspended here or by an operator.
    Resume {
        /// Login name.
        login: String,
    },
    /// Change where an account is, how much of the server is its own, and what it may do.
    Set(Set),
    /// Let nothing of an account be dialed; calls under way go on.
    Suspend {
        /// Login name.
        login: String,
    },
    /// Give an account a new PIN and a further API key.
    Renew {
        /// Login name.
        login: String,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What to change; what is not given stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Login name.
    login: String,
    /// Where it is, two letters such as GB; `server` for where the server is.
    #[arg(long, value_name = "COUNTRY")]
    country: Option<String>,
    /// Its part among all accounts, 1 to 100.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    weight: Option<u32>,
    /// Calls that it may have at once; 0: as many as the trunks allow.
    #[arg(long, value_name = "NUMBER")]
    calls_max: Option<u32>,
    /// Calls that it may begin in a second; 0: as many as the trunks allow.
    #[arg(long, value_name = "NUMBER")]
    calls_per_second: Option<u32>,
    /// Whether it shows no caller ID that is not verified.
    #[arg(long, value_name = "BOOL")]
    verified_only: Option<bool>,
    /// Whether its keys may change what holds for others, and suspend the server.
    #[arg(long, value_name = "BOOL")]
    operator: Option<bool>,
}

/// What is shown once.
pub(crate) struct Secrets {
    pub(crate) login: String,
    pub(crate) pin: String,
    pub(crate) api_key: String,
}

/// Runs an account command.
pub(crate) async fn run(config: &Config, command: &Command) -> Result<ExitCode> {
    let (store, reader) = open(config).await?;
    let done = match command {
        Command::Create { login, json } => {
            create(&store, login).await.map(|secrets| show(&secrets, *json))
        }
        Command::CallerId { login, add, remove } => {
            caller_ids((&store, &reader), login, add, remove).await
        }
        Command::List { json } => list(&reader, *json).await,
        Command::Resume { login } => suspend((&store, &reader), login, false).await,
        Command::Set(set) => change((&store, &reader), set).await,
        Command::Suspend { login } => suspend((&store, &reader), login, true).await,
        Command::Renew { login, json } => {
            renew(&store, &reader, login).await.map(|secrets| show(&secrets, *json))
        }
    };
    store.close().await.context("the store did not close")?;
    done.map(|()| ExitCode::SUCCESS)
}

async fn open(config: &Config) -> Result<(Store, Reader)> {
    match Store::open(config.store()).await {
        Ok(opened) => Ok(opened),
        Err(StoreError::InUse(path)) => {
            bail!("{} is in use: stop the server first, its store has one writer", path.display())
        }
        Err(error) => Err(error).context("cannot open the store"),
    }
}

/// Creates an account with a PIN and an API key.
pub(crate) async fn create(store: &Store, login: &str) -> Result<Secrets> {
    if login.is_empty() || login.chars().count() > 128 {
        bail!("a login has 1 to 128 characters");
    }
    let now = engine::clock::Clock::new().now();
    let pin = api::auth::new_pin(crate::serve::random()?);
    let hash = api::auth::hash_pin(&pin, crate::serve::random()?)?;
    let account = match store.create_account(now, login, Some(&hash)).await {
        Ok(account) => account,
        Err(CreateError::Taken(login)) => bail!("login {login:?} is taken"),
        Err(error) => return Err(error).context("cannot create the account"),
    };
    let (api_key, row) = api::auth::new_api_key(account.id, now, crate::serve::random()?);
    store.create_api_key(row).await.context("cannot create the API key")?;
    Ok(Secrets { login: login.to_owned(), pin, api_key })
}

async fn renew(store: &Store, reader: &Reader, login: &str) -> Result<Secrets> {
    let account = reader.account_by_login(login).await?;
    let account = account.with_context(|| format!("there is no account {login:?}"))?;
    let now = engine::clock::Clock::new().now();
    let pin = api::auth::new_pin(crate::serve::random()?);
    let hash = api::auth::hash_pin(&pin, crate::serve::random()?)?;
    store.set_pin_hash(account.id, Some(&hash)).await?;
    let (api_key, row) = api::auth::new_api_key(account.id, now, crate::serve::random()?);
    store.create_api_key(row).await.context("cannot create the API key")?;
    Ok(Secrets { login: login.to_owned(), pin, api_key })
}

async fn id_of(reader: &Reader, login: &str) -> Result<AccountId> {
    let account = reader.account_by_login(login).await?;
    Ok(account.with_context(|| format!("there is no account {login:?}"))?.id)
}

async fn suspend((store, reader): (&Store, &Reader), login: &str, suspended: bool) -> Result<()> {
    let account = id_of(reader, login).await?;
    store.suspend_account(account, Suspender::Operator, suspended).await?;
    tell(reader, login, account).await
}

async fn change((store, reader): (&Store, &Reader), set: &Set) -> Result<()> {
    let account = id_of(reader, &set.login).await?;
    let country = match set.country.as_deref() {
        None => None,
        Some("server") => Some(None),
        Some(text) => Some(Some(text.parse::<Country>().context("--country")?)),
    };
    // Nobody wants an account of no calls at all: that is what suspending is for.
    let bound = |most: Option<u32>| most.map(|most| Some(most).filter(|most| *most > 0));
    let change = TermsChange {
        weight: set.weight,
        calls_max: bound(set.calls_max),
        calls_per_second: bound(set.calls_per_second),
        country,
        is_operator: set.operator,
        verified_only: set.verified_only,
    };
    store.change_account(account, change).await?;
    tell(reader, &set.login, account).await
}

/// Prints how an account is dialed.
async fn tell(reader: &Reader, login: &str, account: AccountId) -> Result<()> {
    let terms = reader.terms_of(account).await?.context("the account is gone")?;
    let bound = |most: Option<u32>| most.map_or("no bound".to_owned(), |most| most.to_string());
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    println!("login             {login}");
    println!("country           {}", terms.country.map_or("server".into(), |own| own.to_string()));
    println!("weight            {}", terms.weight);
    println!("calls at once     {}", bound(terms.limits.calls_max));
    println!("calls per second  {}", bound(terms.limits.calls_per_second));
    println!("verified only     {}", yes(terms.verified_only));
    println!("operator          {}", yes(terms.is_operator));
    println!("suspended         {}", yes(terms.is_suspended));
    Ok(())
}

async fn caller_ids(
    (store, reader): (&Store, &Reader),
    login: &str,
    add: &[String],
    remove: &[String],
) -> Result<()> {
    let account = id_of(reader, login).await?;
    for number in add.iter().chain(remove) {
        let read = Destination::number(number).map(drop);
        read.with_context(|| format!("{number:?} is no number"))?;
    }
    if !add.is_empty() {
        let now = engine::clock::Clock::new().now();
        store.verify_caller_ids(now, account, add.to_vec()).await?;
    }
    for number in remove {
        if !store.forget_caller_id(account, number).await? {
            bail!("{number} was not verified");
        }
    }
    let mut after = String::new();
    loop {
        let page = reader.verified_caller_ids(account, &after, PAGE).await?;
        page.iter().for_each(|row| println!("{}", row.number));
        match page.last() {
            Some(last) => after.clone_from(&last.number),
            None => return Ok(()),
        }
    }
}

/// Numbers that are read at once.
const PAGE: u32 = 1_000;

fn show(secrets: &Secrets, json: bool) {
    if json {
        let Secrets { login, pin, api_key } = secrets;
        println!("{}", json!({ "login": login, "pin": pin, "api_key": api_key }));
    } else {
        println!("login    {}", secrets.login);
        println!("PIN      {}", secrets.pin);
        println!("API key  {}", secrets.api_key);
        println!("Keep them: they are shown this once.");
    }
}

async fn list(reader: &Reader, json: bool) -> Result<()> {
    let accounts = reader.accounts().await?;
    if json {
        let rows: Vec<_> = accounts
            .iter()
            .map(|account| json!({ "id": account.id.0, "login": account.login }))
            .collect();
        println!("{}", serde_json::Value::from(rows));
    } else {
        for account in accounts {
            println!("{:>6}  {}", account.id, account.login);
        }
    }
    Ok(())
}
