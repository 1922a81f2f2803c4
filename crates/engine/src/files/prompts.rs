//! What a script wants to be heard, made into what a stream can send.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use media::playlist::{Bargein, Playable};
use proto::rtp::Codec;
use script::step::{PlayError, Prompt};
use url::Url;

use super::{AudioFile, AudioFiles, Takes};
use crate::rtp_io::PlayItem;
use crate::speech::Speech;

/// Most parts that one playing has, fallbacks included.
const PROMPTS_MAX: usize = 1_000;
/// Parts that are made ready at the same time; one call must not take all the synthesizers.
const PROMPTS_TOGETHER: usize = 4;
/// Longest silence that a script may ask for at once.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(600);

/// An audio file that a prompt asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioWish {
    /// Where it is.
    pub url: Url,
    /// How long its fetch may take; `None` for the fetcher's default.
    pub timeout: Option<Duration>,
    /// Oldest copy that will do, in seconds.
    pub maxage_s: Option<u32>,
    /// How much staler than fresh a copy may be, in seconds.
    pub maxstale_s: Option<u32>,
}

/// Makes prompts ready, in order; `fetch` gets an audio file.
///
/// A file that cannot be had is replaced by its fallback, and left out with a warning where it has
/// none (VoiceXML 2.0 §4.1.3: "no audio is played and no error event is thrown"). A text that
/// cannot be spoken is an error, never silence.
pub async fn prepare<F, Fut, E>(
    speech: &Speech,
    files: &AudioFiles,
    prompts: &[Prompt],
    (codec, takes): (Codec, &Takes),
    fetch: F,
) -> Result<Vec<PlayItem>, PlayError>
where
    F: Fn(AudioWish) -> Fut + Sync,
    Fut: Future<Output = Result<AudioFile, E>> + Send,
    E: fmt::Display + Send,
{
    if count(prompts) > PROMPTS_MAX {
        return Err(PlayError::BadFetch(format!("prompt has more than {PROMPTS_MAX} parts")));
    }
    Maker { speech, files, codec, takes, fetch: &fetch }.all(prompts).await
}

/// All that making a prompt ready needs.
struct Maker<'a, F> {
    speech: &'a Speech,
    files: &'a AudioFiles,
    codec: Codec,
    takes: &'a Takes,
    fetch: &'a F,
}

impl<F, Fut, E> Maker<'_, F>
where
    F: Fn(AudioWish) -> Fut + Sync,
    Fut: Future<Output = Result<AudioFile, E>> + Send,
    E: fmt::Display + Send,
{
    /// Boxed, since fallbacks have fallbacks.
    fn all<'a>(&'a self, prompts: &'a [Prompt]) -> BoxFuture<'a, Result<Vec<PlayItem>, PlayError>> {
        Box::pin(async move {
            let mut items = Vec::with_capacity(prompts.len());
            for together in prompts.chunks(PROMPTS_TOGETHER) {
                let made = together.iter().map(|prompt| self.one(prompt));
                items.extend(try_join_all(made).await?.into_iter().flatten());
            }
            Ok(items)
        })
    }

    async fn one(&self, prompt: &Prompt) -> Result<Vec<PlayItem>, PlayError> {
        match prompt {
            Prompt::Audio { url, timeout, maxage_s, maxstale_s, fallback } => {
                let (url, timeout) = (url.clone(), *timeout);
                let (maxage_s, maxstale_s) = (*maxage_s, *maxstale_s);
                self.audio(AudioWish { url, timeout, maxage_s, maxstale_s }, fallback).await
            }
            Prompt::Mark(name) => Ok(vec![item(Playable::Mark(Arc::from(name.as_str())))]),
            Prompt::Recording { recording, fallback } => match self.takes.find(*recording) {
                Some(take) => Ok(vec![item(Playable::Audio(take.sound().clone()))]),
                None => self.all(fallback).await,
            },
            Prompt::Silence(time) => {
                Ok(vec![item(Playable::Silence((*time).min(SILENCE_TIME_MAX)))])
            }
            Prompt::Markup { ssml, text, language } => {
                let language = language.as_deref();
                let sound = self.speech.speak_markup(ssml, text, language, self.codec).await?;
                Ok(vec![item(Playable::Audio(sound))])
            }
            Prompt::Speech { text, language } => {
                let sound = self.speech.speak(text, language.as_deref(), self.codec).await?;
                Ok(vec![item(Playable::Audio(sound))])
            }
        }
    }

    async fn audio(
        &self,
        wish: AudioWish,
        fallback: &[Prompt],
    ) -> Result<Vec<PlayItem>, PlayError> {
        let url = wish.url.clone();
        let made = match (self.fetch)(wish).await {
            Ok(file) => self.files.encode(file, self.codec).await,
            Err(error) => Err(PlayError::BadFetch(error.to_string())),
        };
        match made {
            Ok(sound) => Ok(vec![item(Playable::Audio(sound))]),
            Err(reason) => {
                let instead = if fallback.is_empty() { "left out" } else { "replaced" };
                // Without query: clients put names and numbers there.
                let (host, path) = (url.host_str().unwrap_or_default(), url.path());
                tracing::warn!(host, path, %reason, "audio of a prompt is {instead}");
                self.all(fallback).await
            }
        }
    }
}

/// A script that listens stops what plays by itself, so that nothing here forbids it.
fn item(sound: Playable) -> PlayItem {
    PlayItem { sound, bargein: Bargein::Allowed }
}

/// Prompts with all their fallbacks.
fn count(prompts: &[Prompt]) -> usize {
    let fallbacks = |prompt: &Prompt| match prompt {
        Prompt::Audio { fallback, .. } | Prompt::Recording { fallback, .. } => count(fallback),
        Prompt::Mark(_) | Prompt::Markup { .. } | Prompt::Silence(_) | Prompt::Speech { .. } => 0,
    };
    prompts.iter().map(|prompt| 1 + fallbacks(prompt)).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::g711::Law;
    use script::step::RecordingId;

    use super::*;
    use crate::files::{CacheConfig, SoundCache};
    use crate::speech::{Adapter, SpeechConfig};

    fn audio(path: &str, fallback: Vec<Prompt>) -> Prompt {
        let url = Url::parse("http://audio.test/").unwrap().join(path).unwrap();
        Prompt::Audio {
            url,
            timeout: Some(Duration::from_secs(3)),
            maxage_s: Some(60),
            maxstale_s: None,
            fallback,
        }
    }

    fn silence(ms: u64) -> Prompt {
        Prompt::Silence(Duration::from_millis(ms))
    }

    fn spoken(text: &str) -> Prompt {
        Prompt::Speech { text: text.to_owned(), language: None }
    }

    /// Files named by a number are there and full of it; `noise` is there and no sound.
    async fn fetch(wish: AudioWish) -> Result<AudioFile, &'static str> {
        assert_eq!((wish.timeout, wish.maxage_s), (Some(Duration::from_secs(3)), Some(60)));
        let path = wish.url.path().trim_start_matches('/');
        let (content_type, bytes) = match path.parse::<u8>() {
            Ok(number) => ("audio/x-alaw-basic", vec![number; 10]),
            Err(_) if path == "noise" => ("audio/mpeg", b"ID3".to_vec()),
            Err(_) => return Err("server answered 404"),
        };
        Ok(AudioFile { content_type: content_type.to_owned(), bytes: Bytes::from(bytes) })
    }

    /// What is played, with speech switched off: `7` for a sound of sevens, `-20` for silence.
    async fn played(prompts: &[Prompt]) -> Result<Vec<i64>, PlayError> {
        let cache = SoundCache::open(&CacheConfig::default()).unwrap();
        let config = SpeechConfig { adapter: Adapter::Off, ..SpeechConfig::default() };
        let speech = Speech::new(config, cache.clone());
        let files = AudioFiles::new(cache);
        let takes = Takes::default();
        takes.keep(RecordingId(7), "audio/x-alaw-basic", Law::A, vec![77; 10]);
        let items = prepare(&speech, &files, prompts, (Codec::Pcma, &takes), fetch).await?;
        let told = items.iter().map(|item| match &item.sound {
            Playable::Audio(sound) => {
                assert_eq!((sound.law(), sound.bytes().len()), (Law::A, 10));
                i64::from(sound.bytes()[0])
            }
            Playable::Silence(time) => -i64::try_from(time.as_millis()).unwrap(),
            Playable::Mark(name) => -i64::try_from(name.len()).unwrap(),
            Playable::Tone(_) => panic!("no prompt is a tone"),
        });
        Ok(told.collect())
    }

    #[tokio::test]
    async fn prompts_are_played_in_order_however_many() {
        let prompts: Vec<_> = (0..50).map(|n| audio(&n.to_string(), vec![])).collect();
        assert_eq!(played(&prompts).await, Ok((0..50).collect()));
        assert_eq!(played(&[]).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn audio_that_cannot_be_had_is_replaced_by_its_fallback_at_its_place() {
        let second = vec![audio("noise", vec![silence(40), audio("9", vec![])])];
        let prompts = [audio("1", vec![]), audio("gone", second), audio("3", vec![silence(1)])];
        assert_eq!(played(&prompts).await, Ok(vec![1, -40, 9, 3]));
    }

    #[tokio::test]
    async fn audio_that_cannot_be_had_and_has_no_fallback_is_left_out() {
        let prompts = [audio("gone", vec![]), audio("2", vec![]), audio("noise", vec![])];
        assert_eq!(played(&prompts).await, Ok(vec![2]));
    }

    #[tokio::test]
    async fn text_that_cannot_be_spoken_is_an_error_and_never_silence() {
        let error = PlayError::NoResource("speech is switched off in the configuration".into());
        assert_eq!(played(&[audio("1", vec![]), spoken("hello")]).await, Err(error.clone()));
        assert_eq!(played(&[audio("gone", vec![spoken("hello")])]).await, Err(error));
    }

    #[tokio::test]
    async fn recording_of_the_call_is_played_and_one_that_is_gone_is_replaced() {
        let recorded = |number| Prompt::Recording {
            recording: RecordingId(number),
            fallback: vec![audio("5", vec![])],
        };
        let prompts = [recorded(7), Prompt::Mark("here".into()), recorded(8)];
        assert_eq!(played(&prompts).await, Ok(vec![77, -4, 5]));
    }

    #[tokio::test]
    async fn fallback_that_is_not_needed_is_not_made() {
        assert_eq!(played(&[audio("1", vec![spoken("hello")])]).await, Ok(vec![1]));
    }

    #[tokio::test]
    async fn silence_and_number_of_parts_are_bounded() {
        assert_eq!(played(&[Prompt::Silence(Duration::MAX)]).await, Ok(vec![-600_000]));
        let nested = (0..20).fold(vec![], |inner, _| vec![audio("gone", inner), silence(1)]);
        assert!(played(&nested).await.is_ok());
        let many = vec![audio("gone", vec![silence(1); 10]); 100];
        let refused = played(&many).await.unwrap_err().to_string();
        assert_eq!(refused, "audio cannot be had: prompt has more than 1000 parts");
    }
}
