//! Tools of the house that write files: `cargo run -p xtask -- COMMAND`.

use std::process::ExitCode;

const USAGE: &str = "\
cargo run -p xtask -- COMMAND

  train-callee-type [--data DIR] [--check]
      Trains the model of speech on the recordings in DIR (../shared/data/callee-type), shows how
      it does on recordings that it has not seen, and writes crates/media/src/classify/weights.rs.
      --check writes nothing.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, options)) = arguments.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = match command.as_str() {
        "train-callee-type" => xtask::callee_type::run(options),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
