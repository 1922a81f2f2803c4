//! Far ends to try things with.

mod callee_type;
pub(crate) mod carrier;
pub(crate) mod chaos;
pub(crate) mod receiver;
mod srgs;
mod voicexml;

use std::fs::OpenOptions;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;

/// The laboratory's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Who or what is heard in recordings: scores lists of them, or explains one.
    CalleeType(callee_type::Options),
    /// A simulated carrier: real SIP and RTP, with callees that behave as their habits say.
    Carrier(carrier::Options),
    /// Faults on the real program, judged by carrier and customer.
    Chaos(chaos::Options),
    /// A customer's application, with a record of what it is told and troubles on demand.
    Receiver(receiver::Options),
    /// Conformance tests of SRGS: folders with lists of grammars, inputs and what they come to.
    Srgs(srgs::Options),
    /// Conformance tests of VoiceXML: a folder with a manifest and its pages.
    Voicexml(voicexml::Options),
}

/// Runs a command of the laboratory.
pub(crate) async fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::CalleeType(options) => callee_type::run(options).await,
        Command::Carrier(options) => carrier::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::Receiver(options) => receiver::run(options).await,
        Command::Srgs(options) => srgs::run(options),
        Command::Voicexml(options) => voicexml::run(options).await,
    }
}

/// Whether a report can be written, before minutes are spent on it.
fn check_writable(file: Option<&Path>) -> Result<()> {
    if let Some(file) = file {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_that_cannot_be_written_is_told_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.json");
        std::fs::write(&old, "{}").unwrap();
        assert!(check_writable(None).is_ok());
        assert!(check_writable(Some(&folder.path().join("new.json"))).is_ok());
        assert!(check_writable(Some(&old)).is_ok());
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "{}");
        let wrong = check_writable(Some(&folder.path().join("none/new.json"))).unwrap_err();
        assert!(wrong.to_string().starts_with("cannot write "), "{wrong}");
        assert!(check_writable(Some(folder.path())).is_err());
    }
}
