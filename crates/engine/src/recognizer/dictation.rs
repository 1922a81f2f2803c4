//! Free speech written down: `pocketsphinx_batch` with the language model that Debian has.

use std::time::Duration;

use media::sound::Sound;
use script::step::Hypothesis;

use super::sphinx::{PocketSphinx, RATE_HZ, RecognizerError, files};
use crate::files::blocking;
use crate::program::{Limits, run_on_file};

/// Largest answer of the process: some words for each second.
const OUTPUT_BYTES_MAX: usize = 64 * 1_024;
/// What a process may use: it takes one and a half seconds of a core to begin with, and 200 MB.
const LIMITS: Limits = Limits { cpu_s: 30, memory_bytes: 1 << 30 };
/// Longest that an utterance may take; nobody waits for it but a page.
pub(super) const TIME_MAX: Duration = Duration::from_secs(30);
/// The program tells no confidence in words of free speech: this says neither yes nor no.
const CONFIDENCE: f64 = 0.5;

impl PocketSphinx {
    /// Whether the model of the language is there.
    pub(super) async fn check_dictation(&self) -> Result<(), RecognizerError> {
        let model = self.language_model();
        let found = tokio::fs::metadata(&model).await;
        found.map(drop).map_err(|source| files(&model, source))
    }

    /// What was said, in any words; no reading where there were none.
    pub(super) async fn dictate(
        &self,
        samples: &[i16],
    ) -> Result<Option<Hypothesis>, RecognizerError> {
        let sound = Sound::telephone(samples.to_vec());
        let Ok(sound) = blocking(move || sound.at_rate(RATE_HZ)).await else {
            return Ok(None);
        };
        let raw: Vec<u8> = sound.samples().iter().flat_map(|one| one.to_le_bytes()).collect();
        let control = self.dir().join("control");
        tokio::fs::write(&control, "stdin\n").await.map_err(|source| files(&control, source))?;
        let text = |path: std::path::PathBuf| path.display().to_string();
        let (control, words) = (text(control), text(self.model().join("cmudict-en-us.dict")));
        let (language, voices) = (text(self.language_model()), text(self.model().join("en-us")));
        let options = [
            ["-adcin", "yes"],
            ["-ctl", &control],
            ["-cepdir", "/dev"],
            ["-cepext", ""],
            ["-hyp", "/dev/stdout"],
            ["-lm", &language],
            ["-dict", &words],
            ["-hmm", &voices],
        ];
        let options = options.as_flattened();
        // From a pipe it would judge each frame by those before.
        let output =
            run_on_file(self.program(), options, &raw, OUTPUT_BYTES_MAX, Some(LIMITS)).await?;
        Ok(read(&String::from_utf8_lossy(&output)))
    }

    fn language_model(&self) -> std::path::PathBuf {
        self.model().join("en-us.lm.bin")
    }
}

/// Reads the words that the program found: `good morning (stdin -4631)`.
fn read(output: &str) -> Option<Hypothesis> {
    let line = output.lines().rfind(|line| line.contains("(stdin "))?;
    let (words, _) = line.rsplit_once("(stdin ")?;
    let is_word = |word: &&str| !word.starts_with(['<', '[', '+']);
    let words: Vec<&str> = words.split_whitespace().filter(is_word).collect();
    let words: Vec<&str> = words.iter().map(|it| it.split('(').next().unwrap_or(it)).collect();
    let words = words.join(" ");
    (!words.is_empty()).then_some(Hypothesis { words, confidence: CONFIDENCE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_without_noises_and_variants() {
        let heard = read("x\n<s> good morning(2) [NOISE] <sil> all ++UM++ (stdin -13036482)\n");
        assert_eq!(heard.unwrap().words, "good morning all");
        for output in ["", "(stdin -1)", "stdin", "<s> </s> (stdin 5", "\u{0}"] {
            assert_eq!(read(output), None, "{output:?}");
        }
    }
}
