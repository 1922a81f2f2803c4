//! Phrases looked for in what is said: `pocketsphinx_batch` as a spotter of a fixed list.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use media::classify::SPOTTED;

use super::reading::said;
use super::sphinx::{PocketSphinx, RecognizerError, Utterance, files, text};
use crate::program::Limits;

/// What a process may use: it takes a tenth of a second of a core for three of speech, and 12 MB.
const LIMITS: Limits = Limits { cpu_s: 10, memory_bytes: 1 << 30 };
/// Longest that looking may take, and wait for its turn: nobody waits for it longer than a machine
/// that is about to be hung up on.
pub(super) const TIME_MAX: Duration = Duration::from_secs(2);
/// Shortest phrase that is looked for, in sounds: shorter ones are heard in anything.
const SOUNDS_MIN: usize = 9;
/// How unlikely a phrase may be against any other sounds, as a power of ten: so much for each
/// sound beyond those that are given. Found with recordings of people and machines
/// (docs/callee-type.md): a long phrase that nearly fits is rarely something else.
const PER_SOUND: usize = 6;
const GIVEN: usize = 32;

/// Files that tell the program what to look for.
#[derive(Clone, Debug)]
pub(super) struct Spotting {
    phrases: String,
    dictionary: String,
}

impl PocketSphinx {
    /// Which of the phrases that tell machines were said; none, unless some are heard twice: in
    /// the sound as it is, and with its mirror image above what a telephone line lets through.
    /// What noise makes of a sentence is rarely heard in both.
    pub(super) async fn spot(&self, samples: &[i16]) -> Result<Vec<&'static str>, RecognizerError> {
        let Some(utterance) = Utterance::new(samples).await else {
            return Ok(Vec::new());
        };
        let found = self.look(&utterance).await?;
        if found.is_empty() || self.look(&Utterance::mirrored(samples)).await?.is_empty() {
            return Ok(Vec::new());
        }
        Ok(found)
    }

    async fn look(&self, utterance: &Utterance) -> Result<Vec<&'static str>, RecognizerError> {
        let spotting = self.spotting().get_or_try_init(|| self.write_phrases()).await?;
        let options = [
            ("-hyp", "/dev/stdout"),
            ("-kws", spotting.phrases.as_str()),
            ("-dict", &spotting.dictionary),
        ];
        let output = self.decode(&options, utterance, LIMITS).await?;
        Ok(read(&output, SPOTTED))
    }

    async fn write_phrases(&self) -> Result<Spotting, RecognizerError> {
        let (list, dictionary) = list(SPOTTED, self.words().await?);
        let [list_file, dictionary_file] =
            ["phrases.list", "phrases.words"].map(|name| self.dir().join(name));
        for (path, content) in [(&list_file, list), (&dictionary_file, dictionary)] {
            tokio::fs::write(path, content).await.map_err(|source| files(path, source))?;
        }
        Ok(Spotting { phrases: text(&list_file), dictionary: text(&dictionary_file) })
    }
}

/// The program's list of phrases with their thresholds, and how to say their words. Phrases with
/// words that nobody knows how to say are left out, and short ones.
fn list(phrases: &[&str], words: &HashMap<String, String>) -> (String, String) {
    let (mut list, mut used) = (String::new(), BTreeSet::new());
    for phrase in phrases {
        let said: Option<Vec<&String>> =
            phrase.split_whitespace().map(|word| words.get(word)).collect();
        let Some(said) = said else {
            tracing::debug!(phrase, "has words that are not in the dictionary");
            continue;
        };
        let sounds: usize = said.iter().map(|lines| sounds(lines)).sum();
        if sounds >= SOUNDS_MIN {
            list.push_str(&format!("{phrase} /1e-{}/\n", sounds * PER_SOUND - GIVEN));
            used.extend(said);
        }
    }
    (list, used.into_iter().map(String::as_str).collect())
}

/// How many sounds a word has, by the first of its dictionary's lines.
fn sounds(lines: &str) -> usize {
    lines.lines().next().map_or(0, |line| line.split_whitespace().count().saturating_sub(1))
}

/// Reads which phrases the program found: `after the tone  you have reached (stdin 0)`.
fn read<'a>(output: &str, phrases: &[&'a str]) -> Vec<&'a str> {
    let words: Vec<&str> = said(output).split_whitespace().collect();
    let found = format!(" {} ", words.join(" "));
    let is_said = |phrase: &&str| found.contains(&format!(" {phrase} "));
    phrases.iter().copied().filter(is_said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_phrases_may_fit_less_well_and_short_or_unknown_ones_are_left_out() {
        let words = [
            ("after", "after AE F T ER\n"),
            ("the", "the DH AH\nthe(2) DH IY\n"),
            ("tone", "tone T OW N\n"),
            ("signal", "signal S IH G N AH L\n"),
        ];
        let words = words.map(|(word, lines)| (word.to_owned(), lines.to_owned())).into();
        let phrases = ["the tone", "after the tone", "after the signal", "after the xyzzy"];
        let (list, dictionary) = list(&phrases, &words);
        assert_eq!(list, "after the tone /1e-22/\nafter the signal /1e-40/\n");
        assert_eq!(
            dictionary,
            "after AE F T ER\nsignal S IH G N AH L\nthe DH AH\nthe(2) DH IY\ntone T OW N\n"
        );
    }

    #[test]
    fn phrases_that_were_found_are_read_and_nothing_else_is() {
        let phrases = ["after the tone", "you have reached", "the tone"];
        let found = read("x\nafter the tone  you have reached  (stdin 0)\n", &phrases);
        assert_eq!(found, phrases);
        assert_eq!(read("atone you have reached (stdin -1)", &phrases), ["you have reached"]);
        for output in ["", "(stdin 0)", "stdin", "you have reached", "\u{0}"] {
            assert!(read(output, &phrases).is_empty(), "{output:?}");
        }
    }
}
