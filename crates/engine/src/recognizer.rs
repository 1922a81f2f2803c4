//! Speech recognition: one adapter, a bounded number at work, each utterance a process with limits.

mod dictation;
mod reading;
mod sphinx;
mod spotting;

use std::sync::Arc;
use std::time::Duration;

use script::srgs::Grammar;
use script::step::{Hypothesis, ListenError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::reading::{among, hypotheses};
use self::sphinx::Utterance;

pub use self::sphinx::{PocketSphinx, RecognizerError};

/// Who recognizes.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// Nobody: every grammar of words is `error.noresource`.
    Off,
    /// Debian's `pocketsphinx`, a process for each grammar of an utterance and one for its sounds.
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
const TIME_MAX: Duration = Duration::from_secs(6);
/// Longest that the first look may take: nobody waits, and all is read for the first time.
const CHECK_TIME_MAX: Duration = Duration::from_secs(18);

impl Recognizer {
    /// A recognizer with so many processes at once.
    pub fn new(adapter: Adapter, processes: usize) -> Self {
        Self { adapter: Arc::new(adapter), slots: Arc::new(Semaphore::new(processes.max(1))) }
    }

    /// Recognizes silence, for `doctor` and the start; the error is a sentence for the operator.
    pub async fn check(&self) -> Result<(), RecognizerError> {
        in_time(CHECK_TIME_MAX, self.sphinx()?.check()).await
    }

    /// Whether these grammars can be listened for; `language` is that of the page, for grammars
    /// that say nothing of their own.
    pub fn admit<'g>(
        &self,
        grammars: impl ExactSizeIterator<Item = &'g Arc<Grammar>>,
        language: Option<&str>,
    ) -> Result<(), ListenError> {
        let none = |why: &str| Err(ListenError::NoResource(why.to_owned()));
        match &*self.adapter {
            Adapter::Off => none("none is connected"),
            Adapter::PocketSphinx(_) if grammars.len() > GRAMMARS_MAX => {
                none(&format!("at most {GRAMMARS_MAX} grammars of words are listened for at once"))
            }
            Adapter::PocketSphinx(_) => {
                for grammar in grammars {
                    // One that is English in part is heard in that part.
                    let own = grammar.languages();
                    let spoken = if own.is_empty() { language.as_slice() } else { &own };
                    if let (Some(first), false) =
                        (spoken.first(), spoken.iter().any(|one| is_english(one)))
                    {
                        return Err(ListenError::Language(first.chars().take(40).collect()));
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether free speech in this language can be written down.
    pub async fn admit_dictation(&self, language: Option<&str>) -> Result<(), ListenError> {
        let Adapter::PocketSphinx(sphinx) = &*self.adapter else {
            return Err(ListenError::NoResource("none is connected".to_owned()));
        };
        if let Some(other) = language.filter(|language| !is_english(language)) {
            return Err(ListenError::Language(other.chars().take(40).collect()));
        }
        let checked = sphinx.check_dictation().await;
        checked.map_err(|error| ListenError::NoResource(error.to_string()))
    }

    /// What was said in any words, if there were any; `samples` are one utterance of 8 kHz.
    pub async fn dictate(&self, samples: &[i16]) -> Result<Option<Hypothesis>, RecognizerError> {
        let sphinx = self.sphinx()?;
        let Some(utterance) = Utterance::new(samples).await else {
            return Ok(None);
        };
        let work = async {
            let _slot = self.slot().await?;
            sphinx.dictate(&utterance).await
        };
        in_time(dictation::TIME_MAX, work).await
    }

    /// Which of the phrases that tell machines were said ([`media::classify::SPOTTED`]); `samples`
    /// are one utterance of 8 kHz.
    pub async fn spot(&self, samples: &[i16]) -> Result<Vec<&'static str>, RecognizerError> {
        let sphinx = self.sphinx()?;
        let work = async {
            let _slot = self.slot().await?;
            sphinx.spot(samples).await
        };
        in_time(spotting::TIME_MAX, work).await
    }

    /// What was said, best reading first; `samples` are one utterance of 8 kHz.
    ///
    /// No reading: it is none of these grammars.
    pub async fn recognize(
        &self,
        grammars: &[Arc<Grammar>],
        samples: &[i16],
    ) -> Result<Vec<Hypothesis>, RecognizerError> {
        let sphinx = self.sphinx()?;
        if grammars.is_empty() {
            return Ok(Vec::new());
        }
        let Some(utterance) = Utterance::new(samples).await else {
            return Ok(Vec::new());
        };
        let sounds = async {
            let _slot = self.slot().await?;
            sphinx.sounds_of(&utterance).await
        };
        let words = async {
            let mut found = Vec::new();
            for grammar in grammars.iter().take(GRAMMARS_MAX) {
                let _slot = self.slot().await?;
                found.extend(sphinx.words_of(grammar, &utterance).await?);
            }
            Ok(found)
        };
        let work = async {
            let (sounds, words) = tokio::try_join!(sounds, words)?;
            let read = |(found, others): &(_, Vec<_>)| hypotheses(found, sounds.as_ref(), others);
            Ok(among(words.iter().map(read).collect()))
        };
        in_time(TIME_MAX, work).await
    }

    fn sphinx(&self) -> Result<&PocketSphinx, RecognizerError> {
        match &*self.adapter {
            Adapter::Off => Err(RecognizerError::Off),
            Adapter::PocketSphinx(sphinx) => Ok(sphinx),
        }
    }

    /// The right to one process, as soon as there is one.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, RecognizerError> {
        self.slots.acquire().await.map_err(|_| RecognizerError::Off)
    }
}

/// Work that is given up when it takes longer, the wait for its turn included.
async fn in_time<T>(
    time_max: Duration,
    work: impl Future<Output = Result<T, RecognizerError>>,
) -> Result<T, RecognizerError> {
    timeout(time_max, work).await.unwrap_or(Err(RecognizerError::Slow(time_max)))
}

fn is_english(language: &str) -> bool {
    let primary = language.split('-').next().unwrap_or_default();
    primary.eq_ignore_ascii_case("en")
}

#[cfg(test)]
mod tests;
