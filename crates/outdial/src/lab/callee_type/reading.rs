//! Words of recordings, read by the recognizer that calls have by default.

use std::time::Duration;

use anyhow::{Context, Result};
use engine::config::RecognitionConfig;
use engine::recognizer::Recognizer;
use media::classify::trial::Words;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::config::Config;

/// How long reading takes in a trial, so that the same recordings give the same score on every
/// machine: a tenth of a second of a core, and a busy machine.
const READING_TIME: Duration = Duration::from_millis(500);

/// Reads words, or says why not.
pub(super) struct Reading {
    recognizer: Result<Recognizer, String>,
    /// The recognizer's name.
    program: String,
    runtime: Handle,
    /// Where the recognizer writes.
    _dir: TempDir,
}

impl Reading {
    /// With the recognizer that a server would have here, if it is there; `wait_ms` of zero asks
    /// for none.
    pub(super) async fn begin(wait_ms: u64) -> Result<Self> {
        let dir = tempfile::tempdir().context("there is no directory for temporary files")?;
        let config = Config::load(None)?;
        let program = config.recognition_program;
        let recognizer = if wait_ms == 0 {
            Err("not read".to_owned())
        } else {
            let processes = std::thread::available_parallelism().map_or(1, usize::from);
            let model = config.recognition_model;
            let config = RecognitionConfig { model, processes, program: program.clone() };
            let recognizer = engine::recognizer(&config, dir.path());
            let checked = recognizer.check().await;
            checked.map(|()| recognizer).map_err(|error| format!("not read: {error}"))
        };
        Ok(Self { recognizer, program, runtime: Handle::current(), _dir: dir })
    }

    /// Whether words are read.
    pub(super) fn is_on(&self) -> bool {
        self.recognizer.is_ok()
    }

    /// Who reads them, or why nobody does.
    pub(super) fn told(&self) -> String {
        match &self.recognizer {
            Ok(_) => format!("read by {}", self.program),
            Err(why) => why.clone(),
        }
    }

    /// For a trial.
    pub(super) fn words<'a>(&self, read: &'a dyn Fn(&[i16]) -> String) -> Option<Words<'a>> {
        self.is_on().then_some(Words { read, time: READING_TIME })
    }

    /// What was said; not from a thread of the runtime.
    pub(super) fn read(&self, samples: &[i16]) -> String {
        let Ok(recognizer) = &self.recognizer else { return String::new() };
        match self.runtime.block_on(recognizer.spot(samples)) {
            Ok(phrases) => phrases.join(", "),
            Err(error) => {
                eprintln!("outdial: words are not read: {error}");
                String::new()
            }
        }
    }
}
