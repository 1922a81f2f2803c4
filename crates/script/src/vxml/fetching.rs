//! Waits for what is fetched, and plays something meanwhile (VoiceXML 2.0 §6.1.4, §6.3.5).

use domain::time::Timestamp;
use url::Url;

use super::document::FetchRule;
use super::fault::Fault;
use super::fia::{HangUp, Phase, Vxml};
use super::load::Loading;
use super::prompt::{Playing, resolve};
use super::property::FetchAudioRule;
use crate::step::{Fetch, FetchError, FetchId, Fetched, Method, PlayId, Prompt, Step, Timer};

/// A fetch under way.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) fetch: FetchId,
    loading: Loading,
    /// Prompts that are heard to their end before anything else.
    playing: Playing,
    meanwhile: Meanwhile,
    /// What came, while something must be heard a while longer.
    arrived: Option<Result<Fetched, FetchError>>,
}

/// What is heard while the fetch takes its time.
#[derive(Debug)]
enum Meanwhile {
    Nothing,
    Playing { play: PlayId, until: Timestamp },
    Waiting { url: Url, from: Timestamp, rule: FetchAudioRule },
}

impl Fetching {
    /// Whether the callee hears something meanwhile.
    pub(super) fn is_heard(&self) -> bool {
        !self.playing.is_empty() || matches!(self.meanwhile, Meanwhile::Playing { .. })
    }

    pub(super) fn deadline(&self) -> Option<(Timestamp, Timer)> {
        match (&self.meanwhile, &self.arrived) {
            (Meanwhile::Playing { until, .. }, Some(_)) => Some((*until, Timer::FetchAudio)),
            (Meanwhile::Waiting { from, .. }, None) if self.playing.is_empty() => {
                Some((*from, Timer::FetchAudio))
            }
            _ => None,
        }
    }
}

impl Vxml {
    /// Asks for something; what the script does next waits for it.
    pub(super) fn request(
        &mut self,
        mut url: Url,
        method: Method,
        rule: &FetchRule,
        to: Loading,
    ) -> Result<(), Fault> {
        url.set_fragment(None);
        let meanwhile = self.meanwhile(rule)?;
        let playing = match meanwhile {
            Meanwhile::Nothing => Playing::default(),
            // What was queued before is heard before (§4.1.8).
            Meanwhile::Playing { .. } | Meanwhile::Waiting { .. } => self.flush(),
        };
        self.fetches += 1;
        let fetch = Fetch {
            fetch: FetchId(self.fetches),
            url,
            method,
            timeout: rule.timeout,
            maxage_s: rule.maxage_s,
            maxstale_s: rule.maxstale_s,
        };
        self.phase = Phase::Fetching(Box::new(Fetching {
            fetch: fetch.fetch,
            loading: to,
            playing,
            meanwhile,
            arrived: None,
        }));
        self.steps.push_back(Step::Fetch(fetch));
        Ok(())
    }

    fn meanwhile(&self, rule: &FetchRule) -> Result<Meanwhile, Fault> {
        let Some(audio) = rule.audio.as_ref().filter(|_| self.hang_up == HangUp::No) else {
            return Ok(Meanwhile::Nothing);
        };
        // Audio that leads nowhere is not heard; the fetch goes on (§6.1.4).
        let Ok(url) = resolve(self.pages.base().as_ref(), audio) else {
            return Ok(Meanwhile::Nothing);
        };
        let rule = self.properties().fetch_audio_rule()?;
        Ok(Meanwhile::Waiting { url, from: self.now + rule.delay, rule })
    }

    /// What was awaited is here, or is not to be had.
    pub(super) fn fetched(&mut self, result: Result<Fetched, FetchError>) {
        if let Phase::Fetching(fetching) = &mut self.phase {
            fetching.arrived = Some(result);
        }
        self.land();
    }

    pub(super) fn fetch_play_ended(&mut self, ended: PlayId) {
        if let Phase::Fetching(fetching) = &mut self.phase {
            fetching.playing.ended(ended);
            if matches!(fetching.meanwhile, Meanwhile::Playing { play, .. } if play == ended) {
                fetching.meanwhile = Meanwhile::Nothing;
            }
        }
        self.land();
    }

    pub(super) fn fetch_expired(&mut self) {
        let now = self.now;
        let Phase::Fetching(fetching) = &mut self.phase else {
            return;
        };
        if fetching.arrived.is_some() {
            self.land();
            return;
        }
        let waiting = std::mem::replace(&mut fetching.meanwhile, Meanwhile::Nothing);
        let Meanwhile::Waiting { url, rule, .. } = waiting else {
            fetching.meanwhile = waiting;
            return;
        };
        let play = self.next_play();
        if let Phase::Fetching(fetching) = &mut self.phase {
            fetching.meanwhile = Meanwhile::Playing { play, until: now + rule.minimum };
        }
        let prompt = Prompt::Audio {
            url,
            timeout: None,
            maxage_s: None,
            maxstale_s: None,
            fallback: Vec::new(),
        };
        self.steps.push_back(Step::Play { play, prompts: vec![prompt] });
    }

    /// The callee hung up: there is nobody to hear anything.
    pub(super) fn fetch_hung_up(&mut self) {
        self.lose_callee();
        if let Phase::Fetching(fetching) = &mut self.phase {
            fetching.playing.clear();
            fetching.meanwhile = Meanwhile::Nothing;
        }
        self.land();
    }

    /// Goes on with what came, unless something must be heard longer.
    fn land(&mut self) {
        let now = self.now;
        let Phase::Fetching(fetching) = &mut self.phase else {
            return;
        };
        let held = match fetching.meanwhile {
            Meanwhile::Playing { until, .. } => now < until,
            Meanwhile::Nothing | Meanwhile::Waiting { .. } => false,
        };
        if held || !fetching.playing.is_empty() {
            return;
        }
        let Some(result) = fetching.arrived.take() else {
            return;
        };
        let Phase::Fetching(fetching) = std::mem::replace(&mut self.phase, Phase::Busy) else {
            return;
        };
        if matches!(fetching.meanwhile, Meanwhile::Playing { .. }) {
            self.steps.push_back(Step::StopPlay);
        }
        self.take_fetched(result, fetching.loading);
    }
}
