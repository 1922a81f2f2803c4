//! MAIN: commands, settings, and nothing that decides.

mod account;
mod bench;
mod call;
mod cli;
mod client;
mod config;
mod demo;
mod deployment;
mod dialing;
mod doctor;
mod events;
mod import;
mod lab;
mod list;
mod process;
mod script;
mod serve;
mod stage;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("outdial: {error:#}");
            ExitCode::from(cli::EXIT_FAILED)
        }
    }
}
