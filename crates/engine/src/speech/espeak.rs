//! `espeak-ng` as a process: text in, WAV out; no shell, no options from outside, killed when slow.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::voices::{Voices, is_language};
use crate::program::{Limits, ProgramError, run};

/// How `espeak-ng` is run.
#[derive(Clone, Debug)]
pub struct EspeakNg {
    /// The program: a path, or a name to look for in the usual directories.
    pub program: PathBuf,
    /// Speed, 80 to 450.
    pub words_per_minute: u16,
    /// Voices by language in lower case, before those that the program lists.
    pub voices: BTreeMap<String, String>,
    listed: Arc<OnceCell<Voices>>,
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As SSML.
    Markup,
    /// As it is.
    Plain,
}

/// Why a text could not be spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SynthesisError {
    /// The program ended with an error. Its message names what to repair.
    #[error("{program} failed: {detail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended, and what it said last.
        detail: String,
    },
    /// No voice speaks this language. The script's author or the configuration repairs it.
    #[error("no voice for language {0}")]
    Language(String),
    /// The program is not installed or may not be run. The operator repairs it.
    #[error("{program} cannot be run ({detail}); install it with `apt-get install espeak-ng`")]
    Missing {
        /// The program.
        program: String,
        /// What the system said.
        detail: String,
    },
    /// The program ran, and gave no sound. The operator looks at its installation.
    #[error("{0} gave no sound")]
    NoSound(String),
    /// Speech is switched off. The operator may switch it on.
    #[error("speech is switched off in the configuration")]
    Off,
    /// More than the machine can speak in this time. Time repairs it, or more cores.
    #[error("no speech within {} ms", .0.as_millis())]
    Slow(Duration),
    /// The sound is longer than anybody would listen to.
    #[error("{program} gave more than {WAV_BYTES_MAX} bytes of sound")]
    TooLong {
        /// The program.
        program: String,
    },
}

/// Largest sound that is taken from the program: ten minutes of 16-bit samples at 22.05 kHz.
const WAV_BYTES_MAX: usize = 2 * 22_050 * 600;
/// Largest list of voices; Debian's has 11 kB.
const LISTING_BYTES_MAX: usize = 1 << 20;
/// What a process may use: a text of the greatest length takes a second and 50 MB.
const LIMITS: Limits = Limits { cpu_s: 30, memory_bytes: 1 << 30 };
/// How long the list of voices may take.
const LISTING_TIME_MAX: Duration = Duration::from_secs(5);
/// The speeds that the program knows.
const WORDS_PER_MINUTE: std::ops::RangeInclusive<u16> = 80..=450;
/// Slower than the program's own 175: a telephone is harder to understand than a loudspeaker.
const WORDS_PER_MINUTE_DEFAULT: u16 = 160;

impl Default for EspeakNg {
    fn default() -> Self {
        Self::at("espeak-ng")
    }
}

impl EspeakNg {
    /// A program with the usual speed and its own voices.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self::new(program, WORDS_PER_MINUTE_DEFAULT, BTreeMap::new())
    }

    /// The program, its speed, and the operator's choice of voices by language in lower case.
    pub fn new(
        program: impl Into<PathBuf>,
        words_per_minute: u16,
        voices: BTreeMap<String, String>,
    ) -> Self {
        Self { program: program.into(), words_per_minute, voices, listed: Arc::default() }
    }

    /// The voice that speaks a language.
    pub(super) async fn voice(&self, language: &str) -> Result<String, SynthesisError> {
        if !is_language(language) {
            return Err(SynthesisError::Language(language.chars().take(40).collect()));
        }
        if let Some(voice) = self.voices.get(&language.to_ascii_lowercase()) {
            return Ok(voice.clone());
        }
        let listed = self.listed.get_or_try_init(|| self.list_voices()).await?;
        let voice = listed.find(language).map(str::to_owned);
        voice.ok_or_else(|| SynthesisError::Language(language.to_owned()))
    }

    /// Speaks a text into a WAV file; who waits no longer has the program killed.
    ///
    /// The text goes through standard input, so it is never an option, whatever it begins with;
    /// the voice is the value of an option and cannot be one itself.
    ///
    /// Its loudness is left as it is: with its default amplitude the program speaks at -19 to
    /// -21 dB of full scale (measured over six languages), which is what telephones expect.
    pub(super) async fn wav(
        &self,
        text: &str,
        voice: &str,
        manner: Manner,
    ) -> Result<Vec<u8>, SynthesisError> {
        let speed = self.words_per_minute.clamp(*WORDS_PER_MINUTE.start(), *WORDS_PER_MINUTE.end());
        let speed = speed.to_string();
        let mut options = vec!["--stdin", "--stdout", "-b", "1", "-s", &speed, "-v", voice];
        if manner == Manner::Markup {
            options.push("-m");
        }
        let wav = self.run(&options, text.as_bytes(), WAV_BYTES_MAX).await?;
        if wav.is_empty() { Err(SynthesisError::NoSound(self.name())) } else { Ok(wav) }
    }

    async fn list_voices(&self) -> Result<Voices, SynthesisError> {
        let listing = timeout(LISTING_TIME_MAX, self.run(&["--voices"], b"", LISTING_BYTES_MAX))
            .await
            .map_err(|_| SynthesisError::Slow(LISTING_TIME_MAX))??;
        let voices = Voices::parse(&String::from_utf8_lossy(&listing));
        if voices.is_empty() {
            let detail = "it lists no voices".to_owned();
            return Err(SynthesisError::Failed { program: self.name(), detail });
        }
        Ok(voices)
    }

    /// Runs the program within limits; dropped, the program is killed.
    async fn run(
        &self,
        options: &[&str],
        input: &[u8],
        output_bytes_max: usize,
    ) -> Result<Vec<u8>, SynthesisError> {
        Ok(run(&self.program, options, input, output_bytes_max, Some(LIMITS)).await?)
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }
}

impl From<ProgramError> for SynthesisError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Failed { program, detail } => Self::Failed { program, detail },
            ProgramError::Missing { program, detail } => Self::Missing { program, detail },
            ProgramError::TooLong { program, .. } => Self::TooLong { program },
        }
    }
}
