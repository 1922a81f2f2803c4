//! `outdial account`: who may use the server. Secrets are shown once, when they are made.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::json;
use store::{CreateError, Reader, Store, StoreError};

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
    /// Give an account a new PIN and a further API key.
    Renew {
        /// Login name.
        login: String,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
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
        Command::List { json } => list(&reader, *json).await,
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
