//! MAIN: commands, settings, and nothing that decides.

mod config;

fn main() {
    let file = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    match config::Config::load(file.as_deref()) {
        Ok(config) => println!("{config:?} {}", config::example()),
        Err(mistakes) => eprintln!("{mistakes}"),
    }
}
