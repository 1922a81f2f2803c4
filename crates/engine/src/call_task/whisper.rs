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
use super::script_host::{Done, ScriptHost, Wish};
use super::scripted::Scripted;
use super::{CallParts, sleep_for};
use crate::files::Takes;
use crate::switch::{Leg, LegEvent};

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
    script: Scripted,
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
    let mut guide = Guide { whispering, up, script: Scripted::default(), refuses: false };
    guide.script.begin(host);
    let until = parts.clock.instant() + TIME_MAX;
    guide.feed(start).await;
    while guide.script.runs() {
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
        let due = self.script.deadline();
        let sleep = due.map(|(at, _)| at.since(now)).unwrap_or(TIME_MAX);
        tokio::select! {
            event = self.up.next() => return self.hear(event).await,
            done = self.script.next() => match done {
                Done::Input(input) => self.feed(*input).await,
                Done::Play { play, items } => {
                    if let Some(leg) = self.up.leg() {
                        leg.play(play, items);
                    }
                }
            },
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
        if let LegEvent::Ended(cause) | LegEvent::Failed(cause) = event {
            return Some(cause);
        }
        if let Some(input) = self.script.told(event, self.up.leg()) {
            self.feed(input).await;
        }
        None
    }

    async fn feed(&mut self, input: Input) {
        let codec = self.up.leg().and_then(Leg::codec);
        let wishes = self.script.feed(self.whispering.parts.clock.now(), input, codec).await;
        for wish in wishes {
            let recognizer = &self.whispering.parts.recognizer;
            match self.script.grant(wish, self.up.leg(), recognizer) {
                Some(Wish::End { .. }) => self.script.end(),
                Some(Wish::HangUp) => self.refuses = true,
                Some(Wish::Problem(text)) => self.note(&text).await,
                // Its pages are refused what is the callee's.
                Some(_) | None => {}
            }
        }
    }

    async fn note(&mut self, text: &str) {
        let Whispering { parts, attempt: (attempt, contact), .. } = &self.whispering;
        let (now, kind) = (parts.clock.now(), EventKind::ScriptError);
        super::report(parts.store.note(*attempt, *contact, now, kind, text).await);
    }
}
