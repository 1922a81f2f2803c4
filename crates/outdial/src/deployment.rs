//! `outdial deployment`: the scripts that clients name by application and deployment numbers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Server;
use crate::client::ApiClient;
use crate::config::Config;

/// The deployment commands; they speak to a running server.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a deployment; prints where its calls are queued.
    Create {
        #[command(flatten)]
        script: Script,
        /// Number of its application, as clients have it; the next free one where none is given.
        #[arg(long, value_name = "NUMBER")]
        application: Option<u32>,
        /// Its own number, likewise.
        #[arg(long, value_name = "NUMBER")]
        id: Option<u32>,
        #[command(flatten)]
        options: Options,
    },
    /// Delete a deployment, and cancel all calls that wait for it.
    Delete {
        /// Its number.
        id: u32,
        #[command(flatten)]
        options: Options,
    },
    /// List deployments, newest first.
    List {
        #[command(flatten)]
        options: Options,
    },
    /// Give a deployment another name and script; calls queued before keep theirs.
    Update {
        /// Its number.
        id: u32,
        #[command(flatten)]
        script: Script,
        #[command(flatten)]
        options: Options,
    },
}

/// What a deployment runs.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("script").required(true))]
pub(crate) struct Script {
    /// What you call it.
    #[arg(long)]
    name: String,
    /// Text to speak.
    #[arg(long, group = "script", value_name = "TEXT")]
    say: Option<String>,
    /// Address of a VoiceXML page.
    #[arg(long, group = "script", value_name = "URL")]
    vxml_url: Option<String>,
    /// File with a VoiceXML document.
    #[arg(long, group = "script", value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What all of them take.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Runs a deployment command.
pub(crate) async fn run(config: &Config, command: &Command) -> Result<ExitCode> {
    match command {
        Command::Create { script, application, id, options } => {
            let mut body = script.json()?;
            if let Some(application) = application {
                body["application_id"] = json!(application);
            }
            if let Some(id) = id {
                body["id"] = json!(id);
            }
            let client = options.server.client(config)?;
            show(&client.post_json("/v1/deployments", &body).await?.json()?, options.json);
        }
        Command::Delete { id, options } => {
            options
                .server
                .client(config)?
                .delete(&format!("/v1/deployments/{id}"))
                .await?
                .json()?;
            if !options.json {
                println!("deployment {id} is deleted");
            }
        }
        Command::List { options } => list(&options.server.client(config)?, options.json).await?,
        Command::Update { id, script, options } => {
            let path = format!("/v1/deployments/{id}");
            let client = options.server.client(config)?;
            show(&client.put_json(&path, &script.json()?).await?.json()?, options.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Script {
    fn json(&self) -> Result<Value> {
        let mut body = json!({ "name": self.name });
        if let Some(text) = &self.say {
            body["say"] = json!(text);
        }
        if let Some(url) = &self.vxml_url {
            body["vxml_url"] = json!(url);
        }
        if let Some(file) = &self.file {
            let document = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            body["document"] = json!(document);
        }
        Ok(body)
    }
}

async fn list(client: &ApiClient, as_json: bool) -> Result<()> {
    let mut path = Some("/v1/deployments?limit=200".to_owned());
    let mut all = Vec::new();
    while let Some(page) = path {
        let mut page = client.get(&page).await?.json()?;
        path = page["next"].as_str().map(str::to_owned);
        all.append(page["data"].as_array_mut().context("the server sent no list")?);
    }
    if as_json {
        println!("{:#}", Value::from(all));
    } else {
        all.iter().for_each(|deployment| show(deployment, false));
    }
    Ok(())
}

fn show(deployment: &Value, as_json: bool) {
    if as_json {
        println!("{deployment:#}");
        return;
    }
    let text = |name: &str| deployment[name].as_str().unwrap_or_default();
    println!("{:>6}  {}  {}", text("id"), text("queue_path"), text("name"));
}
