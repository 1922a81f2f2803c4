//! Speech recognition: one adapter, a bounded number at work, each utterance a process with limits.

mod sphinx;

use std::sync::Arc;
use std::time::Duration;

use script::srgs::Grammar;
use script::step::{Hypothesis, ListenError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use self::sphinx::{PocketSphinx, RecognizerError};

/// Who recognizes.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// Nobody: every grammar of words is `error.noresource`.
    Off,
    /// Debian's `pocketsphinx`, a process for each utterance and grammar.
    PocketSphinx(PocketSphinx),
}

/// Recognizes what callees say; clones share their bounds.
#[derive(Clone, Debug)]
pub struct Recognizer {
    adapter: Arc<Adapter>,
    slots: Arc<Semaphore>,
}

/// Grammars that one listening has at most; each costs a process.
const GRAMMARS_MAX: usize = 8;
/// Longest that an utterance may wait and be recognized: beyond it, callees say it once more.
const TIME_MAX: Duration = Duration::from_secs(4);

impl Recognizer {
    /// A recognizer with so many processes at once.
    pub fn new(adapter: Adapter, processes: usize) -> Self {
        Self { adapter: Arc::new(adapter), slots: Arc::new(Semaphore::new(processes.max(1))) }
    }

    /// Recognizes silence, for `doctor` and the start; the error is a sentence for the operator.
    pub async fn check(&self) -> Result<(), RecognizerError> {
        match &*self.adapter {
            Adapter::Off => Err(RecognizerError::Off),
            Adapter::PocketSphinx(sphinx) => timeout(TIME_MAX * 3, sphinx.check())
                .await
                .unwrap_or(Err(RecognizerError::Slow(TIME_MAX * 3))),
        }
    }

    /// Whether these grammars can be listened for.
    pub fn admit(&self, grammars: usize, language: Option<&str>) -> Result<(), ListenError> {
        let none = |why: &str| Err(ListenError::NoResource(why.to_owned()));
        match &*self.adapter {
            Adapter::Off => none("none is connected"),
            Adapter::PocketSphinx(_) if grammars > GRAMMARS_MAX => {
                none(&format!("at most {GRAMMARS_MAX} grammars of words are listened for at once"))
            }
            Adapter::PocketSphinx(_) => match language {
                Some(language) if !is_english(language) => {
                    Err(ListenError::Language(language.chars().take(40).collect()))
                }
                _ => Ok(()),
            },
        }
    }

    /// What was said, best reading first; `samples` are one utterance of 8 kHz.
    ///
    /// No reading: it is none of these grammars.
    pub async fn recognize(
        &self,
        grammars: &[Arc<Grammar>],
        samples: &[i16],
    ) -> Result<Vec<Hypothesis>, RecognizerError> {
        let Adapter::PocketSphinx(sphinx) = &*self.adapter else {
            return Err(RecognizerError::Off);
        };
        let work = async {
            let mut found = Vec::new();
            for grammar in grammars.iter().take(GRAMMARS_MAX) {
                let _slot = self.slots.acquire().await.map_err(|_| RecognizerError::Off)?;
                found.extend(sphinx.recognize(grammar, samples).await?);
            }
            Ok(found)
        };
        let slow = || Err(RecognizerError::Slow(TIME_MAX));
        let mut found: Vec<Hypothesis> =
            timeout(TIME_MAX, work).await.unwrap_or_else(|_| slow())?;
        found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        Ok(found)
    }
}

fn is_english(language: &str) -> bool {
    let primary = language.split('-').next().unwrap_or_default();
    primary.eq_ignore_ascii_case("en")
}

#[cfg(test)]
mod tests;
