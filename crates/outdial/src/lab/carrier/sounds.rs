//! What callees let be heard: voices, a beep, a fax machine's tone, information tones.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use engine::files::{CacheConfig, SoundCache};
use engine::rtp_io::{Heard, Listener, PlayItem};
use media::g711::Law;
use media::playlist::{Bargein, Playable};
use media::sound::{Hint, Limits, Sound as Recording};
use media::tone::{Sit, Tone};
use proto::rtp::Codec;
use tokio::sync::Notify;

use super::callee::Sound;

/// Loudest sample of what still counts as silence.
const QUIET_MAX: u16 = 600;

/// All sounds, made once.
#[derive(Clone)]
pub(super) struct Sounds(Arc<Made>);

struct Made {
    hello: Vec<PlayItem>,
    greeting: Vec<PlayItem>,
    fax: Vec<PlayItem>,
    out_of_service: Vec<PlayItem>,
}

impl Sounds {
    /// Speaks the voices; without a synthesizer, tones take their place.
    pub(super) async fn make() -> Self {
        let hello = voice("Hello?", 700).await;
        let mut greeting =
            voice("You have reached Ann Lee. Please leave a message after the tone.", 3_500).await;
        greeting.push(item(Playable::Silence(Duration::from_millis(400))));
        greeting.push(item(Playable::Tone(Tone::beep(1_000.0, Duration::from_millis(400)))));
        let mut out_of_service = vec![item(Playable::Tone(Tone::sit(Sit::VacantCode)))];
        out_of_service.extend(voice("The number you have dialed is not in service.", 2_000).await);
        let fax = vec![item(Playable::Tone(Tone::ced()))];
        Self(Arc::new(Made { hello, greeting, fax, out_of_service }))
    }

    pub(super) fn of(&self, sound: Sound) -> Vec<PlayItem> {
        match sound {
            Sound::Fax => self.0.fax.clone(),
            Sound::Greeting => self.0.greeting.clone(),
            Sound::Hello => self.0.hello.clone(),
            Sound::OutOfService => self.0.out_of_service.clone(),
        }
    }
}

fn item(sound: Playable) -> PlayItem {
    PlayItem { sound, bargein: Bargein::Allowed }
}

/// A recording of any form that is known.
pub(super) async fn file(file: &Path) -> Result<Vec<PlayItem>> {
    let bytes = tokio::fs::read(file).await?;
    let sound = Recording::read(&bytes, Hint::default(), &Limits::default())?;
    let sound = sound.at_rate(media::RATE_HZ)?;
    Ok(vec![item(Playable::Audio(sound.encode(Law::Mu)))])
}

async fn voice(text: &str, tone_ms: u64) -> Vec<PlayItem> {
    let config = engine::config::SpeechConfig {
        language: "en-US".into(),
        processes: 2,
        program: "espeak-ng".into(),
    };
    let spoken = match SoundCache::open(&CacheConfig::default()) {
        Ok(cache) => engine::speech(&config, cache).speak(text, None, Codec::Pcmu).await.ok(),
        Err(_) => None,
    };
    let tone = || Playable::Tone(Tone::sine(300.0, -15.0, Duration::from_millis(tone_ms)));
    vec![item(spoken.map_or_else(tone, Playable::Audio))]
}

/// Tells once when the caller is first heard.
pub(super) fn wait_for_sound(first: Arc<Notify>) -> Listener {
    let mut waits = true;
    Box::new(move |heard: Heard<'_>| {
        if waits && heard.samples.iter().any(|sample| sample.unsigned_abs() > QUIET_MAX) {
            waits = false;
            first.notify_one();
        }
    })
}
