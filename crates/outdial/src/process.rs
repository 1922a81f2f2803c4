//! What every long-running command does: says that it is up, and ends when it is asked to.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// Writes where a process can be reached into `file`, so that a reader sees all of it or nothing.
pub(crate) fn tell_ready(file: &Path, ready: &Value) -> Result<()> {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, ready.to_string())
        .and_then(|()| std::fs::rename(&partial, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn asked_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
