//! `pocketsphinx_batch` as a process: a finite-state grammar, its words, and sound on standard input.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use media::sound::Sound;
use script::srgs::Grammar;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::reading::{Found, read, read_others};
use super::spotting::Spotting;
use crate::files::{blocking, private_dir};
use crate::program::{Limits, ProgramError, run_on_file};

/// How `pocketsphinx` is run.
#[derive(Clone, Debug)]
pub struct PocketSphinx {
    program: PathBuf,
    /// Where the acoustic model and the dictionary are, as Debian has them.
    model: PathBuf,
    /// A directory of our own for what is written for the process.
    dir: PathBuf,
    words: Arc<OnceCell<HashMap<String, String>>>,
    /// The list of what is decoded, which is always the standard input; written once, for others read it at any time.
    control: Arc<OnceCell<String>>,
    /// The phrases that are looked for; written once.
    spotting: Arc<OnceCell<Spotting>>,
    /// Tells files apart that are written at the same moment.
    written: Arc<AtomicU64>,
}

/// Why nothing was recognized.
#[derive(Debug, thiserror::Error)]
pub enum RecognizerError {
    /// The dictionary or our directory cannot be used. The operator repairs it.
    #[error("{path} cannot be used; `apt-get install pocketsphinx-en-us` has the model")]
    Files {
        /// Which file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Recognition is switched off. The operator may switch it on.
    #[error("recognition is switched off in the configuration")]
    Off,
    /// The process failed, or cannot be run. The operator repairs it.
    #[error("{0}; `apt-get install pocketsphinx` has the program")]
    Program(#[from] ProgramError),
    /// More than the machine can recognize in this time. Time repairs it, or more cores.
    #[error("nothing was recognized within {} ms", .0.as_millis())]
    Slow(Duration),
}

/// What the acoustic model hears.
const RATE_HZ: u32 = 16_000;
/// Largest answer of the process: some words for each second.
const OUTPUT_BYTES_MAX: usize = 64 * 1_024;
/// Largest dictionary that is read; Debian's has 3 MB.
const DICTIONARY_BYTES_MAX: u64 = 64 << 20;
/// What a process may use: seconds of a core, and bytes; it takes a tenth, and 60 MB.
const LIMITS: Limits = Limits { cpu_s: 10, memory_bytes: 1 << 30 };
/// Files of words that a process of ours left behind when it was killed; removed at the start.
const SUFFIXES: [&str; 3] = ["fsg", "dict", "nbest"];
/// How the program is run, whatever it is to find.
///
/// Costs tell something only if all sounds of the model are looked at in every frame
/// (`-compallsen`), and real silence is told from what the program takes for silence only if noise
/// is left in (`-remove_noise`). Wide beams keep what else it might have been.
const OPTIONS: [(&str, &str); 7] = [
    ("-hypseg", "/dev/stdout"),
    ("-compallsen", "yes"),
    ("-remove_noise", "no"),
    ("-beam", "1e-80"),
    ("-pbeam", "1e-80"),
    ("-wbeam", "1e-60"),
    ("-nbest", "6"),
];

impl PocketSphinx {
    /// The program, a model, and a directory that belongs to us alone.
    pub fn new(program: impl Into<PathBuf>, model: impl Into<PathBuf>, dir: PathBuf) -> Self {
        Self {
            program: program.into(),
            model: model.into(),
            dir,
            words: Arc::default(),
            control: Arc::default(),
            spotting: Arc::default(),
            written: Arc::default(),
        }
    }

    pub(super) fn model(&self) -> &Path {
        &self.model
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn spotting(&self) -> &OnceCell<Spotting> {
        &self.spotting
    }

    /// Recognizes half a second of silence.
    pub(super) async fn check(&self) -> Result<(), RecognizerError> {
        let dir = self.dir.clone();
        let made = blocking(move || private_dir(&dir).and_then(|()| tidy(&dir))).await;
        made.map_err(|source| files(&self.dir, source))?;
        let fsg = "FSG_BEGIN check\nNUM_STATES 2\nSTART_STATE 0\nFINAL_STATE 1\n\
                   TRANSITION 0 1 1 yes\nFSG_END\n";
        let (fsg, dictionary) = known(fsg, self.words().await?);
        let silence = Utterance(Zeroizing::new(vec![0; 16_000]));
        self.hear(&fsg, &dictionary, &silence).await.map(drop)
    }

    /// What was said in the words of this grammar, if anything, and what else it might have been.
    pub(super) async fn words_of(
        &self,
        grammar: &Grammar,
        utterance: &Utterance,
    ) -> Result<Option<(Found, Vec<(String, f64)>)>, RecognizerError> {
        let Some(fsg) = grammar.to_fsg("outdial") else {
            return Ok(None);
        };
        let (fsg, dictionary) = known(&fsg, self.words().await?);
        if dictionary.is_empty() {
            return Ok(None);
        }
        self.hear(&fsg, &dictionary, utterance).await
    }

    /// The utterance as mere sounds of speech in any order, to which words are compared.
    pub(super) async fn sounds_of(
        &self,
        utterance: &Utterance,
    ) -> Result<Option<Found>, RecognizerError> {
        let (fsg, dictionary) = any_sounds();
        Ok(self.hear(&fsg, &dictionary, utterance).await?.map(|(found, _)| found))
    }

    pub(super) async fn words(&self) -> Result<&HashMap<String, String>, RecognizerError> {
        self.words.get_or_try_init(|| self.read_dictionary()).await
    }

    async fn hear(
        &self,
        fsg: &str,
        dictionary: &str,
        utterance: &Utterance,
    ) -> Result<Option<(Found, Vec<(String, f64)>)>, RecognizerError> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let [fsg_file, dictionary_file] =
            ["fsg", "dict"].map(|suffix| self.dir.join(format!("{number}.{suffix}")));
        let others = format!(".{number}.nbest");
        let others_file = self.dir.join(format!("stdin{others}"));
        let written = Written([fsg_file, dictionary_file, others_file]);
        for (path, text) in written.0.iter().zip([fsg, dictionary]) {
            tokio::fs::write(path, text).await.map_err(|source| files(path, source))?;
        }
        let [fsg, dictionary] = [text(&written.0[0]), text(&written.0[1])];
        let dir = text(&self.dir);
        let named = [
            ("-fsg", fsg.as_str()),
            ("-dict", &dictionary),
            ("-nbestdir", &dir),
            ("-nbestext", &others),
        ];
        let options: Vec<(&str, &str)> = OPTIONS.into_iter().chain(named).collect();
        let output = self.decode(&options, utterance, LIMITS).await?;
        let Some(found) = read(&output) else {
            return Ok(None);
        };
        // Where all was silence there are none.
        let others = tokio::fs::read_to_string(&written.0[2]).await.unwrap_or_default();
        Ok(Some((found, read_others(&others))))
    }

    /// What the program says of an utterance.
    pub(super) async fn decode(
        &self,
        options: &[(&str, &str)],
        utterance: &Utterance,
        limits: Limits,
    ) -> Result<String, RecognizerError> {
        let control = self.control.get_or_try_init(|| self.write_control()).await?;
        let model = text(&self.model.join("en-us"));
        let common = [
            ("-adcin", "yes"),
            ("-ctl", control),
            ("-cepdir", "/dev"),
            ("-cepext", ""),
            ("-hmm", &model),
        ];
        let options = common.iter().chain(options).flat_map(|(name, value)| [*name, *value]);
        let options: Vec<&str> = options.collect();
        // From a pipe it would judge each frame by those before, and silence by speech.
        let sound = &utterance.0;
        let output =
            run_on_file(&self.program, &options, sound, OUTPUT_BYTES_MAX, Some(limits)).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    async fn write_control(&self) -> Result<String, RecognizerError> {
        let control = self.dir.join("control");
        tokio::fs::write(&control, "stdin\n").await.map_err(|source| files(&control, source))?;
        Ok(text(&control))
    }

    async fn read_dictionary(&self) -> Result<HashMap<String, String>, RecognizerError> {
        let path = self.model.join("cmudict-en-us.dict");
        let wanted = path.clone();
        let text = blocking(move || {
            if fs::metadata(&wanted)?.len() > DICTIONARY_BYTES_MAX {
                return Err(io::Error::other("it is too large"));
            }
            fs::read_to_string(&wanted)
        });
        let text = text.await.map_err(|source| files(&path, source))?;
        Ok(blocking(move || dictionary(&text)).await)
    }
}

/// What a callee said, as the acoustic model hears it; wiped from memory when it goes.
pub(super) struct Utterance(Zeroizing<Vec<u8>>);

impl Utterance {
    /// Sound of 8 kHz; `None` where it cannot be made what the model hears.
    pub(super) async fn new(samples: &[i16]) -> Option<Self> {
        let sound = Sound::telephone(samples.to_vec());
        let sound = blocking(move || sound.at_rate(RATE_HZ)).await.ok()?;
        Some(Self::of(sound.samples().iter().copied()))
    }

    /// The same, with what lies between samples on a straight line: the upper half of the spectrum
    /// is a faint mirror image of the lower one, where otherwise it is empty.
    pub(super) fn mirrored(samples: &[i16]) -> Self {
        let next = samples.iter().skip(1).chain(samples.last());
        let between = |(one, next): (&i16, &i16)| [*one, i16::midpoint(*one, *next)];
        Self::of(samples.iter().zip(next).flat_map(between))
    }

    fn of(samples: impl Iterator<Item = i16>) -> Self {
        Self(Zeroizing::new(samples.flat_map(i16::to_le_bytes).collect()))
    }
}

pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Files that go when they are of no use any more.
struct Written([PathBuf; 3]);

impl Drop for Written {
    fn drop(&mut self) {
        // Best effort: what stays is removed at the next start.
        self.0.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

fn tidy(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_ours = |suffix: &std::ffi::OsStr| SUFFIXES.iter().any(|ours| suffix == *ours);
        if path.extension().is_some_and(is_ours) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

pub(super) fn files(path: &Path, source: io::Error) -> RecognizerError {
    RecognizerError::Files { path: path.display().to_string(), source }
}

/// All lines of a dictionary by their word, its variants together.
fn dictionary(text: &str) -> HashMap<String, String> {
    let mut words: HashMap<String, String> = HashMap::new();
    for line in text.lines() {
        let Some((word, _)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let word = word.split('(').next().unwrap_or_default().to_lowercase();
        let lines = words.entry(word).or_default();
        lines.push_str(&line.to_lowercase().replace('\t', " "));
        lines.push('\n');
    }
    // Phones are upper case, words are not.
    for lines in words.values_mut() {
        let upper = lines.lines().filter_map(|line| line.split_once(' '));
        *lines =
            upper.map(|(word, phones)| format!("{word} {}\n", phones.to_uppercase())).collect();
    }
    words
}

/// The grammar without ways over words that nobody knows how to say, and how to say the others.
fn known(fsg: &str, words: &HashMap<String, String>) -> (String, String) {
    let (mut grammar, mut used) = (String::with_capacity(fsg.len()), BTreeSet::new());
    for line in fsg.lines() {
        let mut parts = line.split_whitespace();
        let is_way = parts.next() == Some("TRANSITION");
        if let Some(word) = parts.nth(3).filter(|_| is_way) {
            let word = word.to_lowercase();
            let Some((word, lines)) = words.get_key_value(&word) else {
                tracing::debug!("a word of a grammar is not in the dictionary and is not heard");
                continue;
            };
            used.insert((word, lines));
            grammar.push_str(&line.to_lowercase().replacen("transition", "TRANSITION", 1));
        } else {
            grammar.push_str(line);
        }
        grammar.push('\n');
    }
    (grammar, used.into_iter().map(|(_, lines)| lines.as_str()).collect())
}

/// A grammar of single sounds in any order, and its dictionary.
fn any_sounds() -> (String, String) {
    let mut fsg = "FSG_BEGIN sounds\nNUM_STATES 2\nSTART_STATE 0\nFINAL_STATE 1\n".to_owned();
    let mut dictionary = String::new();
    for phone in PHONES {
        let name = phone.to_lowercase();
        fsg.push_str(&format!("TRANSITION 0 1 {SOUND_CHANCE} sound-{name}\n"));
        dictionary.push_str(&format!("sound-{name} {phone}\n"));
    }
    fsg.push_str("TRANSITION 1 0 1.0\nFSG_END\n");
    (fsg, dictionary)
}

/// The sounds of the acoustic model, without those that are no speech.
const PHONES: [&str; 39] = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
];
/// What makes a row of many short sounds as unlikely as it is in speech.
const SOUND_CHANCE: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_nobody_can_say_leave_the_grammar() {
        let words = dictionary("yes Y EH S\nyes(2) Y AH S\nno\tN OW\n");
        let fsg = "FSG_BEGIN g\nTRANSITION 0 1 1 YES\nTRANSITION 0 1 1 zzyzx\n\
                   TRANSITION 1 2 0.5\nFSG_END\n";
        let (grammar, dictionary) = known(fsg, &words);
        assert_eq!(grammar, "FSG_BEGIN g\nTRANSITION 0 1 1 yes\nTRANSITION 1 2 0.5\nFSG_END\n");
        assert_eq!(dictionary, "yes Y EH S\nyes(2) Y AH S\n");
    }

    #[test]
    fn every_sound_of_the_model_may_follow_every_other() {
        let (fsg, dictionary) = any_sounds();
        assert_eq!(dictionary.lines().count(), PHONES.len());
        assert!(fsg.contains("TRANSITION 0 1 0.01 sound-zh\nTRANSITION 1 0 1.0\nFSG_END\n"));
    }
}
