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
use script::step::Hypothesis;
use tokio::sync::OnceCell;

use crate::files::{blocking, private_dir};
use crate::program::{Limits, ProgramError, run};

/// How `pocketsphinx` is run.
#[derive(Clone, Debug)]
pub struct PocketSphinx {
    program: PathBuf,
    /// Where the acoustic model and the dictionary are, as Debian has them.
    model: PathBuf,
    /// A directory of our own for what is written for the process.
    dir: PathBuf,
    words: Arc<OnceCell<HashMap<String, String>>>,
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
/// Largest answer of the process; its words are those of the grammar.
const OUTPUT_BYTES_MAX: usize = 64 * 1_024;
/// Largest dictionary that is read; Debian's has 3 MB.
const DICTIONARY_BYTES_MAX: u64 = 64 << 20;
/// What a process may use: seconds of a core, and bytes; it takes a tenth, and 60 MB.
const LIMITS: Limits = Limits { cpu_s: 10, memory_bytes: 1 << 30 };
/// Files of words that a process of ours left behind when it was killed; removed at the start.
const SUFFIXES: [&str; 2] = ["fsg", "dict"];

impl PocketSphinx {
    /// The program, a model, and a directory that belongs to us alone.
    pub fn new(program: impl Into<PathBuf>, model: impl Into<PathBuf>, dir: PathBuf) -> Self {
        Self {
            program: program.into(),
            model: model.into(),
            dir,
            words: Arc::default(),
            written: Arc::default(),
        }
    }

    /// Recognizes half a second of silence.
    pub(super) async fn check(&self) -> Result<(), RecognizerError> {
        let dir = self.dir.clone();
        let made = blocking(move || private_dir(&dir).and_then(|()| tidy(&dir))).await;
        made.map_err(|source| files(&self.dir, source))?;
        let fsg = "FSG_BEGIN check\nNUM_STATES 2\nSTART_STATE 0\nFINAL_STATE 1\n\
                   TRANSITION 0 1 1 yes\nFSG_END\n";
        self.hear(fsg.to_owned(), &[0; 4_000]).await.map(drop)
    }

    /// What was said in the words of this grammar, if anything.
    pub(super) async fn recognize(
        &self,
        grammar: &Grammar,
        samples: &[i16],
    ) -> Result<Option<Hypothesis>, RecognizerError> {
        match grammar.to_fsg("outdial") {
            Some(fsg) => self.hear(fsg, samples).await,
            None => Ok(None),
        }
    }

    async fn hear(
        &self,
        fsg: String,
        samples: &[i16],
    ) -> Result<Option<Hypothesis>, RecognizerError> {
        let words = self.words.get_or_try_init(|| self.read_dictionary()).await?;
        let (fsg, dictionary) = known(&fsg, words);
        if dictionary.is_empty() {
            return Ok(None);
        }
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let paths = SUFFIXES.map(|suffix| self.dir.join(format!("{number}.{suffix}")));
        let written = Written(paths);
        for (path, text) in written.0.iter().zip([&fsg, &dictionary]) {
            tokio::fs::write(path, text).await.map_err(|source| files(path, source))?;
        }
        let sound = Sound::telephone(samples.to_vec());
        let sound = blocking(move || sound.at_rate(RATE_HZ)).await;
        let Ok(sound) = sound else {
            return Ok(None);
        };
        let raw: Vec<u8> = sound.samples().iter().flat_map(|one| one.to_le_bytes()).collect();
        let control = self.dir.join("control");
        tokio::fs::write(&control, "stdin\n").await.map_err(|source| files(&control, source))?;
        let model = self.model.join("en-us");
        let text = |path: &Path| path.display().to_string();
        let [fsg, dictionary] = [text(&written.0[0]), text(&written.0[1])];
        let (control, model) = (text(&control), text(&model));
        let options = [
            ("-adcin", "yes"),
            ("-ctl", &control),
            ("-cepdir", "/dev"),
            ("-cepext", ""),
            ("-hypseg", "/dev/stdout"),
            ("-fsg", &fsg),
            ("-dict", &dictionary),
            ("-hmm", &model),
        ];
        let options: Vec<&str> = options.iter().flat_map(|(name, value)| [*name, *value]).collect();
        let output = run(&self.program, &options, &raw, OUTPUT_BYTES_MAX, Some(LIMITS)).await?;
        Ok(read(&String::from_utf8_lossy(&output)))
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

/// Files that go when they are of no use any more.
struct Written([PathBuf; 2]);

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

fn files(path: &Path, source: io::Error) -> RecognizerError {
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

/// Reads the segments that the program found: `stdin S 0 T t A a L l begin score lm word … end`.
fn read(output: &str) -> Option<Hypothesis> {
    let line = output.lines().rfind(|line| line.starts_with("stdin "))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let segments = fields.get(9..)?;
    let (mut words, mut worst) = (Vec::new(), 0.0_f64);
    for (at, segment) in (0..).step_by(4).zip(segments.chunks(4)) {
        let [begin, score, _, word] = segment else {
            break;
        };
        let end = segments.get(at + 4)?;
        let (begin, end) = (begin.parse::<f64>().ok()?, end.parse::<f64>().ok()?);
        let score = -score.parse::<f64>().ok()?;
        if *word == "<sil>" || word.starts_with("++") {
            if end - begin >= SILENCE_FRAMES_MIN {
                worst = worst.max(score / (end - begin));
            }
        } else if *word != "(NULL)" {
            words.push(word.split('(').next().unwrap_or_default());
        }
    }
    let confidence = CONFIDENCE_MAX - (worst - SILENCE_COST).max(0.0) * COST_WEIGHT;
    let words = words.join(" ");
    (!words.is_empty()).then(|| Hypothesis { words, confidence: confidence.clamp(0.05, 1.0) })
}

/// The program takes what is in no grammar for silence, and that at a high cost a frame: this tells
/// it from real silence, whose cost stays below so much.
const SILENCE_COST: f64 = 11.0;
/// Silence of fewer frames (of 10 ms) says nothing.
const SILENCE_FRAMES_MIN: f64 = 20.0;
/// Confidence where silence is silence, and how much of it each further point of cost takes.
const CONFIDENCE_MAX: f64 = 0.9;
const COST_WEIGHT: f64 = 0.07;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_read_as_words_with_a_confidence() {
        let yes = "stdin S 0 T -2342 A -1331 L -1011 0 -141 -337 <sil> 28 -732 0 yes 64 -315 \
                   -337 <sil> 121\n";
        let heard = read(yes).unwrap();
        assert_eq!((heard.words.as_str(), heard.confidence > 0.8), ("yes", true));
        let more = "x\nstdin S 0 T -1 A -1 L -1 0 -231 -337 <sil> 30 -1510 0 one(2) 60 0 0 (NULL) \
                    61 -1634 0 two 88 -451 -337 <sil> 175\n";
        assert_eq!(read(more).unwrap().words, "one two");
        let other = "stdin S 0 T -6620 A -5946 L -674 0 -4166 -337 <sil> 113 -1455 0 one 140 -325 \
                     -337 <sil> 188\n";
        assert!(read(other).unwrap().confidence < 0.3);
    }

    #[test]
    fn odd_output_is_no_word() {
        for output in ["", "stdin", "stdin S 0 T 0 A 0 L 0", "stdin S 0 T 0 A 0 L 0 0 x y", "\u{0}"]
        {
            assert_eq!(read(output), None, "{output:?}");
        }
        let cut = "stdin S 0 T -1 A -1 L -1 0 -231 -337 yes";
        assert_eq!(read(cut), None);
    }

    #[test]
    fn words_that_nobody_can_say_leave_the_grammar() {
        let words = dictionary("yes Y EH S\nyes(2) Y AH S\nno\tN OW\n");
        let fsg = "FSG_BEGIN g\nTRANSITION 0 1 1 YES\nTRANSITION 0 1 1 zzyzx\n\
                   TRANSITION 1 2 0.5\nFSG_END\n";
        let (grammar, dictionary) = known(fsg, &words);
        assert_eq!(grammar, "FSG_BEGIN g\nTRANSITION 0 1 1 yes\nTRANSITION 1 2 0.5\nFSG_END\n");
        assert_eq!(dictionary, "yes Y EH S\nyes(2) Y AH S\n");
    }
}
