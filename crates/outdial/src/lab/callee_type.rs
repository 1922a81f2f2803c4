//! `outdial lab callee-type`: scores recordings whose truth is known, or explains what is heard.
//!
//! Every recording is sent through mu-law, as a call would, and played from the moment of the
//! answer. docs/callee-type.md says how to read the figures.

mod picture;
mod reading;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use media::classify::trial::{self, Heard, Line, Recording, Score};
use media::classify::{Effect, MODEL, Settings};
use media::g711::Law;
use media::sound::{Hint, Limits, Sound};

use self::reading::Reading;

/// Name of the list of recordings in a directory.
const MANIFEST: &str = "manifest.csv";
/// Recordings of a directory without a list, at most.
const FILES_MAX: usize = 100_000;

/// What to listen to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A directory with a manifest.csv is scored; recordings, alone or in a directory without one,
    /// are explained.
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    /// Add white noise of this level in dBov; a bad line has -45.
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    noise: Option<f32>,
    /// Largest share of people who may be taken for machines.
    #[arg(long, value_name = "SHARE")]
    humans_taken_max: Option<f32>,
    /// Shortest pause after which a person is told, in milliseconds.
    #[arg(long, value_name = "MS")]
    person_pause: Option<u64>,
    /// Write the score as JSON into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the one recording into this file: waveform, timing, and the verdict over time.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How long a machine waits for its words to be read, in milliseconds; 0 tells by sound alone.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    words: u64,
    /// Name every recording that was told wrong.
    #[arg(long)]
    wrong: bool,
}

impl Options {
    fn settings(&self) -> Settings {
        let mut settings = trial::settings();
        settings.humans_taken_max = self.humans_taken_max.unwrap_or(settings.humans_taken_max);
        if let Some(ms) = self.person_pause {
            settings.person_pause = Duration::from_millis(ms);
        }
        settings.words_time = Duration::from_millis(self.words);
        settings
    }

    fn line(&self) -> Line {
        Line { noise_dbov: self.noise, law: Some(Law::Mu) }
    }

    /// The recording as it comes out of the line.
    fn hear(&self, path: &Path) -> Result<Vec<i16>> {
        let read = || -> Result<Vec<i16>> {
            let sound = Sound::read(&std::fs::read(path)?, Hint::default(), &Limits::default())?;
            Ok(sound.at_rate(media::RATE_HZ)?.samples().to_vec())
        };
        let mut samples = read().with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.line().send(&mut samples, seed(&name));
        Ok(samples)
    }
}

/// The same noise for the same recording, wherever it lies (FNV-1a).
fn seed(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Scores or explains; exit code 1 if a recording of a list cannot be read.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let reading = Reading::begin(options.words).await?;
    tokio::task::block_in_place(|| listen(options, &reading))
}

fn listen(options: &Options, reading: &Reading) -> Result<ExitCode> {
    let scored: Vec<&PathBuf> =
        options.paths.iter().filter(|path| path.join(MANIFEST).is_file()).collect();
    match (scored.as_slice(), options.paths.as_slice()) {
        ([_], [dir]) => score(options, reading, dir),
        ([], paths) => {
            if options.json.is_some() {
                bail!("there is no score without a {MANIFEST}, so no JSON");
            }
            explain(options, reading, &recordings(paths)?)
        }
        _ => bail!("one directory with a {MANIFEST} at a time"),
    }
}

/// Files as they are, and the WAV files of directories, sorted.
fn recordings(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let dir = std::fs::read_dir(path).with_context(|| format!("cannot read {path:?}"))?;
        let is_wav = |file: &PathBuf| file.extension().is_some_and(|end| end == "wav");
        let mut found: Vec<PathBuf> =
            dir.flatten().map(|entry| entry.path()).filter(is_wav).take(FILES_MAX).collect();
        found.sort();
        files.append(&mut found);
    }
    if files.is_empty() {
        bail!("there are neither a {MANIFEST} nor recordings");
    }
    Ok(files)
}

fn score(options: &Options, reading: &Reading, dir: &Path) -> Result<ExitCode> {
    super::check_writable(options.json.as_deref())?;
    let path = dir.join(MANIFEST);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let list = trial::manifest(&text).with_context(|| path.display().to_string())?;
    let heard = listen_to_all(options, reading, dir, &list);
    let mut score = Score::default();
    let mut is_complete = true;
    for (recording, heard) in list.iter().zip(heard) {
        match heard {
            Ok((heard, duration)) => {
                score.add(recording, &heard, duration);
                if options.wrong && !trial::is_right(&recording.label, heard.verdict.callee) {
                    println!("{}", report::wrong(recording, &heard));
                }
            }
            Err(error) => {
                eprintln!("outdial: {error:#}");
                is_complete = false;
            }
        }
    }
    println!("{}  words: {}", report::text(&score), reading.told());
    if let Some(file) = &options.json {
        std::fs::write(file, report::json(&score, options.noise, reading.is_on()))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// On all processors, in the list's order.
fn listen_to_all(
    options: &Options,
    reading: &Reading,
    dir: &Path,
    list: &[Recording],
) -> Vec<Result<(Heard, Duration)>> {
    let start = start();
    let one = |recording: &Recording| {
        let samples = options.hear(&dir.join(&recording.file))?;
        let duration = Duration::from_millis(samples.len() as u64 * 1_000 / 8_000);
        let read = |samples: &[i16]| reading.read(samples);
        let words = reading.words(&read);
        Ok((trial::listen(&samples, options.settings(), &MODEL, start, words), duration))
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = list.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = list
            .chunks(part)
            .map(|part| scope.spawn(|| part.iter().map(one).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("listening does not panic")).collect()
    })
}

fn explain(options: &Options, reading: &Reading, files: &[PathBuf]) -> Result<ExitCode> {
    if options.svg.is_some() && files.len() != 1 {
        bail!("a picture shows one recording");
    }
    for file in files {
        let samples = options.hear(file)?;
        println!("{}", file.display());
        let read = |samples: &[i16]| {
            let words = reading.read(samples);
            println!("  heard: {}", if words.is_empty() { "nothing" } else { &words });
            words
        };
        let words = reading.words(&read);
        let said = trial::effects(&samples, options.settings(), &MODEL, start(), words);
        for (_, effect) in &said {
            println!("  {}", describe(effect));
        }
        if let Some(svg) = &options.svg {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            std::fs::write(svg, picture::draw(&name, &samples, &said))
                .with_context(|| format!("cannot write {}", svg.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line on what was said, with the time since the answer.
fn describe(effect: &Effect) -> String {
    let verdict = |verdict: &media::classify::Verdict| {
        let code = report::code(verdict.callee);
        format!("{}{code} {:.2}", verdict.callee.name(), verdict.probability)
    };
    let line = |at: Duration, text: String| format!("{:7.2} s  {text}", at.as_secs_f32());
    match effect {
        Effect::BeepEnded { at } => line(*at, "beep ended".into()),
        Effect::BeepStarted { from, hz } => line(*from, format!("beep of {hz:.0} Hz")),
        Effect::Confirmed(said) => line(said.at, format!("confirmed: {}", verdict(said))),
        Effect::Decided(said) => line(said.at, format!("decided: {}", verdict(said))),
        Effect::Finished(said) => line(said.at, format!("finished: {}", verdict(said))),
        Effect::GreetingEnded { at, by_beep } => {
            line(*at, format!("greeting ended by {}", if *by_beep { "beep" } else { "silence" }))
        }
        Effect::Quiet { at } => line(*at, "quiet".into()),
        Effect::WordsWanted { at } => line(*at, "its words should be read".into()),
        Effect::Revised { was, verdict: said } => {
            line(said.at, format!("revised: {}, not {}", verdict(said), was.name()))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a trial counts from any moment")]
fn start() -> Instant {
    Instant::now()
}
