//! A script that somebody hears who was called for the callee, before the two talk.
//!
//! A task of its own leads it: whoever waits for the far end may stop waiting at any time, and the
//! leg is hung up then.

use std::sync::Arc;
use std::time::Duration;

use domain::cause::Cause;
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, ContactId};
use script::actions::Limits;
use script::step::{FarScript, Input, Session};
use tokio::task::JoinHandle;

use super::far_leg::Up;
use super::listen::{Last, Listening};
use super::record::{BEEP, Recording};
use super::script_host::{Done, ScriptHost, Wish};
use super::{CallParts, next_done, next_listened, next_recorded, sleep_for};
use crate::files::Takes;
use crate::switch::native::{Leg, LegEvent};

/// Longest that somebody may hear a page of his own: the callee waits for him.
const TIME_MAX: Duration = Duration::from_secs(600);

/// How it ended.
pub(super) enum Whispered {
    /// The two may talk.
    Accepted(Up),
    /// The far end is gone.
    Gone(Cause),
    /// The script hung up, or could not be run.
    Refused,
}

/// A script on its way; dropped, the far end is hung up.
pub(super) struct Whisper(JoinHandle<Whispered>);

/// What a far end is to hear.
#[derive(Clone)]
pub(super) struct Whispering {
    pub(super) parts: Arc<CallParts>,
    /// Whose script it is.
    pub(super) account: AccountId,
    /// The attempt and its contact.
    pub(super) attempt: (AttemptId, ContactId),
    pub(super) script: FarScript,
    /// What was recorded in the call.
    pub(super) takes: Takes,
    pub(super) session: Session,
    /// Which far end of the call it is.
    pub(super) nth: u32,
}

/// The far end and its script.
struct Guide {
    whispering: Whispering,
    up: Up,
    host: Option<ScriptHost>,
    recording: Option<Recording>,
    listening: Option<Box<Listening>>,
    refuses: bool,
}

impl Whisper {
    pub(super) fn begin(whispering: Whispering, up: Up) -> Self {
        Self(tokio::runtime::Handle::current().spawn(lead(whispering, up)))
    }

    /// Waits for its end. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Whispered {
        (&mut self.0).await.unwrap_or(Whispered::Refused)
    }
}

impl Drop for Whisper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn lead(whispering: Whispering, up: Up) -> Whispered {
    let Whispering { parts, account, script, takes, session, nth, .. } = whispering.clone();
    let limits = Limits::default();
    let (host, start) =
        ScriptHost::for_far_end((&parts, account), limits, script, (nth, session), takes);
    let mut guide = Guide {
        whispering,
        up,
        host: Some(host),
        recording: None,
        listening: None,
        refuses: false,
    };
    let until = parts.clock.instant() + TIME_MAX;
    guide.feed(start).await;
    while guide.host.is_some() {
        if parts.clock.instant() >= until {
            return Whispered::Refused;
        }
        if let Some(cause) = guide.turn().await {
            return Whispered::Gone(cause);
        }
    }
    match guide {
        Guide { refuses: true, .. } => Whispered::Refused,
        Guide { up, .. } => {
            if let Some(leg) = up.leg() {
                leg.stop_play();
            }
            Whispered::Accepted(up)
        }
    }
}

impl Guide {
    /// Waits for one thing, and takes it in; the cause where the far end is gone.
    async fn turn(&mut self) -> Option<Cause> {
        let now = self.whispering.parts.clock.now();
        let due = self.host.as_ref().and_then(ScriptHost::deadline);
        let sleep = due.map(|(at, _)| at.since(now)).unwrap_or(TIME_MAX);
        tokio::select! {
            event = self.up.next() => return self.hear(event).await,
            done = next_done(&mut self.host) => match done {
                Done::Input(input) => self.feed(*input).await,
                Done::Play { play, items } => {
                    if let Some(leg) = self.up.leg() {
                        leg.play(play, items);
                    }
                }
            },
            input = next_recorded(&mut self.recording) => {
                self.recording = None;
                self.feed(input).await;
            }
            (input, last) = next_listened(&mut self.listening) => {
                self.listening = self.listening.take().filter(|_| last == Last::No);
                self.feed(input).await;
            }
            () = sleep_for(Some(sleep)) => {
                let now = self.whispering.parts.clock.now();
                if let Some((_, timer)) = due.filter(|(at, _)| *at <= now) {
                    self.feed(Input::Expired(timer)).await;
                }
            }
        }
        None
    }

    async fn hear(&mut self, event: LegEvent) -> Option<Cause> {
        let input = match event {
            LegEvent::Ended(cause) | LegEvent::Failed(cause) => return Some(cause),
            LegEvent::Key(key) => Input::Key(key),
            LegEvent::KeysSent => Input::KeysSent,
            LegEvent::MarkReached(play, name) => {
                Input::MarkReached { play, name: name.as_ref().into() }
            }
            LegEvent::PlayEnded(BEEP) => {
                if let Some(recording) = &mut self.recording {
                    recording.beeped(self.up.leg());
                }
                return None;
            }
            LegEvent::PlayEnded(play) => Input::PlayEnded { play },
            LegEvent::Answered | LegEvent::Referred(_) | LegEvent::Ringing => return None,
        };
        self.feed(input).await;
        None
    }

    async fn feed(&mut self, input: Input) {
        let codec = self.up.leg().and_then(Leg::codec);
        let Some(host) = &mut self.host else {
            return;
        };
        let wishes = host.feed(self.whispering.parts.clock.now(), input, codec).await;
        for wish in wishes {
            self.grant(wish).await;
        }
    }

    async fn grant(&mut self, wish: Wish) {
        let (Some(host), Some(leg)) = (&mut self.host, self.up.leg()) else {
            return;
        };
        match wish {
            Wish::End { .. } => self.host = None,
            Wish::HangUp => self.refuses = true,
            Wish::Listen(wanted) => {
                let recognizer = &self.whispering.parts.recognizer;
                match Listening::begin(wanted, recognizer, host.takes().clone(), Some(leg)) {
                    Ok(listening) => self.listening = Some(Box::new(listening)),
                    Err(input) => host.later(*input),
                }
            }
            Wish::Problem(text) => self.note(&text).await,
            Wish::Record(wanted) => {
                self.recording = Some(Recording::begin(wanted, host.takes().clone(), leg));
            }
            Wish::SendKeys(keys) => leg.send_keys(&keys),
            Wish::StopListen => self.listening = None,
            Wish::StopPlay => leg.stop_play(),
            Wish::StopRecord => {
                if let Some(recording) = self.recording.take() {
                    host.later(recording.stop());
                }
            }
            // Its pages are refused what is the callee's.
            Wish::Connect(_)
            | Wish::EndTransfer
            | Wish::Join(_)
            | Wish::Leave
            | Wish::StopTranscribe
            | Wish::Transcribe(_)
            | Wish::Transfer(_) => {}
        }
    }

    async fn note(&mut self, text: &str) {
        let Whispering { parts, attempt: (attempt, contact), .. } = &self.whispering;
        let (now, kind) = (parts.clock.now(), EventKind::ScriptError);
        super::report(parts.store.note(*attempt, *contact, now, kind, text).await);
    }
}
