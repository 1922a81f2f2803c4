//! Far ends to try things with.

mod callee_type;
pub(crate) mod carrier;
pub(crate) mod chaos;
pub(crate) mod receiver;
mod srgs;
mod voicexml;

use std::process::ExitCode;

use anyhow::Result;
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
        Command::CalleeType(options) => callee_type::run(options),
        Command::Carrier(options) => carrier::run(options).await,
        Command::Chaos(options) => chaos::run(options).await,
        Command::Receiver(options) => receiver::run(options).await,
        Command::Srgs(options) => srgs::run(options),
        Command::Voicexml(options) => voicexml::run(options).await,
    }
}
