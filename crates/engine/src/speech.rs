//! Text to speech: one adapter, a bounded number at work, everything made once.

mod espeak;
mod ssml;
mod voices;

use std::sync::Arc;
use std::time::Duration;

use media::sound::{Encoded, Hint};
use proto::rtp::Codec;
use script::step::PlayError;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use espeak::Manner;
pub use espeak::{EspeakNg, SynthesisError};

use crate::files::{self, Key, SoundCache};
use crate::rtp_io::law::law;

/// Who speaks.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// Debian's `espeak-ng`, a process for each text.
    EspeakNg(EspeakNg),
    /// Nobody: every text is `error.noresource`.
    Off,
}

/// How texts become speech.
#[derive(Clone, Debug)]
pub struct SpeechConfig {
    /// Who speaks.
    pub adapter: Adapter,
    /// Language of texts that name none, as `en-US`.
    pub language: String,
    /// Texts that are spoken at the same time; others wait.
    pub concurrent_max: usize,
    /// How long a text may wait and be spoken, together.
    pub time_max: Duration,
    /// Longest text, in characters.
    pub text_chars_max: usize,
}

impl Default for SpeechConfig {
    fn default() -> Self {
        Self {
            adapter: Adapter::EspeakNg(EspeakNg::default()),
            language: "en-US".into(),
            concurrent_max: CONCURRENT_MAX,
            time_max: SPEECH_TIME_MAX,
            text_chars_max: TEXT_CHARS_MAX,
        }
    }
}

/// Processes at work; a text takes some 20 ms of one core, so that more would only wait for each
/// other, and for the media threads.
const CONCURRENT_MAX: usize = 4;
/// Longest that a caller hears nothing because of a text; VoiceXML gives no figure.
const SPEECH_TIME_MAX: Duration = Duration::from_secs(5);
/// About five minutes of speech.
const TEXT_CHARS_MAX: usize = 4_000;
/// Version of what follows from a text; another number when the sound of old texts changes.
const RECIPE: &[u8] = b"speech 1";
const RECIPE_MARKUP: &[u8] = b"ssml 1";
/// How much longer a text may be with its markup than without.
const MARKUP_TIMES_MAX: usize = 8;

/// Speaks texts; clones share their cache and their bounds.
#[derive(Clone, Debug)]
pub struct Speech {
    config: Arc<SpeechConfig>,
    cache: SoundCache,
    slots: Arc<Semaphore>,
}

impl Speech {
    /// A speaker that keeps what it spoke in `cache`.
    pub fn new(config: SpeechConfig, cache: SoundCache) -> Self {
        let slots = Arc::new(Semaphore::new(config.concurrent_max.max(1)));
        Self { config: Arc::new(config), cache, slots }
    }

    /// Speaks a few words, for `doctor` and the start; the error is a sentence for the operator.
    pub async fn check(&self) -> Result<(), SynthesisError> {
        match &self.config.adapter {
            Adapter::EspeakNg(espeak) => {
                let voice = espeak.voice(&self.config.language).await?;
                let wav = timeout(
                    self.config.time_max,
                    espeak.wav("one two three", &voice, Manner::Plain),
                )
                .await
                .map_err(|_| SynthesisError::Slow(self.config.time_max))??;
                if files::encode(&wav, Hint::None, Codec::Pcmu).is_ok_and(|sound| !sound.is_empty())
                {
                    Ok(())
                } else {
                    Err(SynthesisError::NoSound(espeak.program.display().to_string()))
                }
            }
            Adapter::Off => Err(SynthesisError::Off),
        }
    }

    /// The text as sound in `codec`; empty where there is nothing to say.
    ///
    /// `language` as `en-US`; `None` for the configured one. Markup in the text is read out.
    pub async fn speak(
        &self,
        text: &str,
        language: Option<&str>,
        codec: Codec,
    ) -> Result<Encoded, PlayError> {
        let chars = text.chars().count();
        if chars > self.config.text_chars_max {
            let max = self.config.text_chars_max;
            return Err(PlayError::BadFetch(format!(
                "text to speak has {chars} characters; at most {max} are spoken at once"
            )));
        }
        self.say(&plain(text), Manner::Plain, language, codec).await
    }

    /// A text with SSML around its parts as sound in `codec`; `text` is the same without.
    ///
    /// Where the markup is more than the synthesizer is trusted with, the text is spoken plainly.
    pub async fn speak_markup(
        &self,
        ssml: &str,
        text: &str,
        language: Option<&str>,
        codec: Codec,
    ) -> Result<Encoded, PlayError> {
        let chars_max = self.config.text_chars_max.saturating_mul(MARKUP_TIMES_MAX);
        let fits = ssml.len() <= chars_max && text.chars().count() <= self.config.text_chars_max;
        match ssml::guarded(ssml).filter(|_| fits && !plain(text).is_empty()) {
            Some(ssml) => self.say(&ssml, Manner::Markup, language, codec).await,
            None => self.speak(text, language, codec).await,
        }
    }

    async fn say(
        &self,
        text: &str,
        manner: Manner,
        language: Option<&str>,
        codec: Codec,
    ) -> Result<Encoded, PlayError> {
        if text.is_empty() {
            return Ok(Encoded::new(law(codec), Arc::default()));
        }
        let language = language.unwrap_or(&self.config.language);
        match &self.config.adapter {
            Adapter::EspeakNg(espeak) => {
                let voice = espeak.voice(language).await?;
                let speed = espeak.words_per_minute.to_be_bytes();
                let key = Key::of(&[
                    match manner {
                        Manner::Markup => RECIPE_MARKUP,
                        Manner::Plain => RECIPE,
                    },
                    espeak.program.as_os_str().as_encoded_bytes(),
                    codec.name().as_bytes(),
                    voice.as_bytes(),
                    &speed,
                    text.as_bytes(),
                ]);
                let make = self.in_time(async { espeak.wav(text, &voice, manner).await }, codec);
                Ok(Encoded::new(law(codec), self.cache.sound(key, make).await?))
            }
            Adapter::Off => Err(SynthesisError::Off.into()),
        }
    }

    /// Waits for a slot, has it spoken and encoded, all within `time_max`.
    async fn in_time<F>(&self, wav: F, codec: Codec) -> Result<Vec<u8>, PlayError>
    where
        F: Future<Output = Result<Vec<u8>, SynthesisError>>,
    {
        let work = async {
            let _slot = self.slots.acquire().await.map_err(|_| SynthesisError::Off)?;
            let wav = wav.await?;
            files::blocking(move || files::encode(&wav, Hint::None, codec))
                .await
                .map_err(|error| PlayError::NoResource(format!("synthesizer's sound: {error}")))
        };
        let max = self.config.time_max;
        timeout(max, work).await.unwrap_or_else(|_| Err(SynthesisError::Slow(max).into()))
    }
}

impl From<SynthesisError> for PlayError {
    fn from(error: SynthesisError) -> Self {
        match error {
            SynthesisError::Language(language) => Self::Language(language),
            SynthesisError::TooLong { .. } => Self::BadFetch(error.to_string()),
            SynthesisError::Failed { .. }
            | SynthesisError::Missing { .. }
            | SynthesisError::NoSound(_)
            | SynthesisError::Off
            | SynthesisError::Slow(_) => Self::NoResource(error.to_string()),
        }
    }
}

/// The text without what a synthesizer might take for a command: control characters (espeak-ng's
/// embedded commands begin with one) and its `[[phonemes]]`; white space is one blank.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !plain.is_empty() {
            plain.push(' ');
        }
        let mut last = ' ';
        for c in word.chars() {
            if (c, last) == ('[', '[') {
                plain.push(' ');
            }
            plain.push(c);
            last = c;
        }
    }
    plain
}

#[cfg(test)]
mod tests;
