//! A server of a run: where its files are, how it is reached, and the road to its database.

use anyhow::{Context, Result};

use super::cluster::{Cluster, free_port};
use super::road::Road;
use crate::client::ApiClient;
use crate::stage::{Running, ServerPlan};

/// A server, living or dead.
pub(super) struct Node {
    pub(super) plan: ServerPlan,
    pub(super) client: ApiClient,
    /// Its process, while it lives.
    pub(super) running: Option<Running>,
    /// What it is started within, as `env NAME=VALUE`.
    pub(super) wrapper: Vec<String>,
    /// Its roads to the database and to the standby.
    pub(super) roads: Vec<Road>,
}

impl Node {
    /// A server by `plan`, but with addresses of its own.
    pub(super) fn new(plan: ServerPlan) -> Self {
        // Ports of its own: the next process is reached where this one was.
        let address = || format!("127.0.0.1:{}", free_port());
        let plan = ServerPlan { api: address(), sip: address(), ..plan };
        let client = ApiClient::new(&format!("http://{}", plan.api), None);
        Self { plan, client, running: None, wrapper: Vec::new(), roads: Vec::new() }
    }

    /// Opens roads to these databases, the preferred one first, and goes by them from now on.
    pub(super) async fn join(&mut self, databases: &[&Cluster]) -> Result<()> {
        for database in databases {
            self.roads.push(Road::open(&database.address()).await?);
        }
        let name = self.plan.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hosts: Vec<String> = self.roads.iter().map(|road| road.address.to_string()).collect();
        let which = if hosts.len() > 1 { "&target_session_attrs=read-write" } else { "" };
        let hosts = hosts.join(",");
        // In the clear, for the road listens for commits.
        self.plan.store_url = Some(format!(
            "postgres://app@{hosts}/outdial?sslmode=disable&application_name={name}{which}"
        ));
        Ok(())
    }

    /// Goes by this key from now on.
    pub(super) fn log_in(&mut self, api_key: &str) {
        let base = format!("http://{}", self.plan.api);
        self.client = ApiClient::new(&base, Some(api_key.to_owned()));
    }

    /// Starts it and waits until it is up.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        let running = Running::wrapped(&self.plan.dir, "server", &wrapper, &["serve"]);
        self.running = Some(running.await?);
        Ok(())
    }

    /// Kills it, if it lives.
    pub(super) async fn kill(&mut self) -> Result<()> {
        match self.running.take() {
            Some(running) => running.kill().await,
            None => Ok(()),
        }
    }

    /// Sends it a signal.
    pub(super) async fn signal(&self, name: &str) -> Result<()> {
        self.running.as_ref().context("the server is dead")?.signal(name).await
    }
}
