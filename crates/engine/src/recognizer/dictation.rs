//! Free speech written down: `pocketsphinx_batch` with the language model that Debian has.

use std::time::Duration;

use script::step::Hypothesis;

use super::reading::said;
use super::sphinx::{PocketSphinx, RecognizerError, Utterance, files, text};
use crate::program::Limits;

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
        utterance: &Utterance,
    ) -> Result<Option<Hypothesis>, RecognizerError> {
        let words = text(&self.model().join("cmudict-en-us.dict"));
        let language = text(&self.language_model());
        let options = [("-hyp", "/dev/stdout"), ("-lm", &language), ("-dict", &words)];
        Ok(read(&self.decode(&options, utterance, LIMITS).await?))
    }

    fn language_model(&self) -> std::path::PathBuf {
        self.model().join("en-us.lm.bin")
    }
}

/// Reads the words that the program found, without noises and the numbers of pronunciations.
fn read(output: &str) -> Option<Hypothesis> {
    let is_word = |word: &&str| !word.starts_with(['<', '[', '+']);
    let words: Vec<&str> = said(output).split_whitespace().filter(is_word).collect();
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
