//! A script at work on one leg: its pages and prompts, and what it records and listens to there.

use domain::time::Timestamp;
use proto::rtp::Codec;
use script::step::{Input, Listen, Record, Timer};

use super::listen::{Last, Listening, Rest};
use super::next_of;
use super::record::{BEEP, Recording};
use super::script_host::{Done, ScriptHost, Wish};
use crate::files::Takes;
use crate::recognizer::Recognizer;
use crate::switch::{Leg, LegEvent};

/// A script, and what it has of its leg under way; without one nothing comes of anything.
#[derive(Default)]
pub(super) struct Scripted {
    host: Option<ScriptHost>,
    recording: Option<Recording>,
    listening: Option<Box<Listening>>,
    /// Where the last listening has left off.
    rest: Option<Rest>,
    /// Whether the keys on their way to the far end are the script's.
    sends_keys: bool,
}

impl Scripted {
    /// Runs this one from now on, in place of whatever runs.
    pub(super) fn begin(&mut self, host: ScriptHost) {
        *self = Self { host: Some(host), ..Self::default() };
    }

    /// It is over, with all that it had under way.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether a script runs.
    pub(super) fn runs(&self) -> bool {
        self.host.is_some()
    }

    /// What was recorded for it.
    pub(super) fn takes(&self) -> Option<Takes> {
        self.host.as_ref().map(|host| host.takes().clone())
    }

    /// When to wake it, and for what.
    pub(super) fn deadline(&self) -> Option<(Timestamp, Timer)> {
        self.host.as_ref().and_then(ScriptHost::deadline)
    }

    /// One thing happened; what it wants now.
    pub(super) async fn feed(
        &mut self,
        now: Timestamp,
        input: Input,
        codec: Option<Codec>,
    ) -> Vec<Wish> {
        match &mut self.host {
            Some(host) => host.feed(now, input, codec).await,
            None => Vec::new(),
        }
    }

    /// Feeds it this once it has done what it does now.
    pub(super) fn later(&mut self, input: Input) {
        if let Some(host) = &mut self.host {
            host.later(input);
        }
    }

    /// Waits for what comes of its work. May be dropped and asked again; nothing is lost by it.
    pub(super) async fn next(&mut self) -> Done {
        tokio::select! {
            done = next_of(self.host.as_mut(), ScriptHost::next) => done,
            input = next_of(self.recording.as_mut(), Recording::next) => {
                self.recording = None;
                Done::Input(Box::new(input))
            }
            (input, last) = next_of(self.listening.as_deref_mut(), Listening::next) => {
                if last == Last::Yes {
                    self.rest = self.listening.take().and_then(|over| over.rest());
                }
                Done::Input(Box::new(input))
            }
        }
    }

    /// What it is to be told of this event of its leg; nothing where that is not its business.
    pub(super) fn told(&mut self, event: LegEvent, leg: Option<&Leg>) -> Option<Input> {
        match event {
            LegEvent::Key(key) => Some(Input::Key(key)),
            LegEvent::KeysSent => std::mem::take(&mut self.sends_keys).then_some(Input::KeysSent),
            LegEvent::MarkReached(play, name) => {
                Some(Input::MarkReached { play, name: name.as_ref().into() })
            }
            LegEvent::PlayEnded(BEEP) => {
                if let Some(recording) = &mut self.recording {
                    recording.beeped(leg);
                }
                None
            }
            LegEvent::PlayEnded(play) => Some(Input::PlayEnded { play }),
            LegEvent::Answered
            | LegEvent::Ended(_)
            | LegEvent::Failed(_)
            | LegEvent::Referred(_)
            | LegEvent::Ringing => None,
        }
    }

    /// Does what it wants of its leg; gives back what is more than that.
    pub(super) fn grant(
        &mut self,
        wish: Wish,
        leg: Option<&Leg>,
        recognizer: &Recognizer,
    ) -> Option<Wish> {
        match (wish, leg) {
            (Wish::Listen(wanted), _) => self.listen(wanted, leg, recognizer),
            (Wish::Record(wanted), _) => self.record(wanted, leg),
            (Wish::SendKeys(keys), Some(leg)) => {
                leg.send_keys(&keys);
                self.sends_keys = true;
            }
            (Wish::SendKeys(_), None) => self.later(Input::KeysSent),
            (Wish::StopListen, _) => (self.listening, self.rest) = (None, None),
            (Wish::StopPlay, Some(leg)) => leg.stop_play(),
            (Wish::StopPlay, None) => {}
            (Wish::StopRecord, _) => {
                if let Some(recording) = self.recording.take() {
                    self.later(recording.stop());
                }
            }
            (wish, _) => return Some(wish),
        }
        None
    }

    /// Records the far end, if it is there.
    fn record(&mut self, wanted: Record, leg: Option<&Leg>) {
        match (leg, self.takes()) {
            (Some(leg), Some(takes)) => {
                self.recording = Some(Recording::begin(wanted, takes, leg));
            }
            _ => {
                let (recording, reason) = (wanted.recording, "the callee is gone".to_owned());
                self.later(Input::RecordFailed { recording, reason });
            }
        }
    }

    /// Listens to the far end, where there is a recognizer.
    fn listen(&mut self, wanted: Listen, leg: Option<&Leg>, recognizer: &Recognizer) {
        let Some(takes) = self.takes() else {
            return;
        };
        let rest = self.rest.take().filter(|_| wanted.goes_on);
        match Listening::begin(wanted, recognizer, takes, leg, rest) {
            Ok(listening) => self.listening = Some(Box::new(listening)),
            Err(input) => self.later(*input),
        }
    }
}
