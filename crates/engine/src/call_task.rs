//! One task per call: drains the machines, waits, feeds; decides nothing.

mod ear;
mod far_leg;
mod listen;
mod record;
mod refer;
mod script_host;
mod scripted;
mod stay;
mod tape;
mod transcript;
mod transfer;
mod utterance;
mod whisper;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::application::ScriptSource;
use domain::attempt::AttemptEnd;
use domain::call::{Call, CallLimits, Effect, Input, Timer};
use domain::cause::Cause;
use domain::detection::Detection;
use domain::event::EventKind;
use domain::number::Masked;
use domain::outcome::Outcome;
use domain::time::Timestamp;
use facade::Facade;
use script::step::{Input as ScriptInput, PlayId};
use store::{Begun, Reader, Store};
use tokio::sync::mpsc;

use self::ear::Ear;
use self::refer::{Referring, Replacing};
use self::script_host::{Done, ScriptHost, Wish};
use self::scripted::Scripted;
use self::stay::Stay;
use self::tape::Tape;
use self::transcript::Transcript;
use self::transfer::Bridge;
use crate::calls::{CallAsk, LiveCalls, Running};
use crate::clock::Clock;
use crate::dialer::reroute::{Ask, Reroutes};
use crate::evaluations::Evaluations;
use crate::fetch::Fetcher;
use crate::files::{AudioFiles, TapeDir};
use crate::policies::Policies;
use crate::recognizer::Recognizer;
use crate::rooms::Rooms;
use crate::rtp_io::PlayItem;
use crate::slots::SlotDesk;
use crate::speech::Speech;
use crate::switch::native::NativeSwitch;
use crate::switch::{Leg, LegEvent};

/// What every call needs.
pub(crate) struct CallParts {
    pub(crate) clock: Clock,
    pub(crate) desk: SlotDesk,
    pub(crate) evaluations: Evaluations,
    pub(crate) fetcher: Fetcher,
    pub(crate) files: AudioFiles,
    /// How who answered is told, where rules do not say.
    pub(crate) classify: media::classify::Settings,
    pub(crate) limits: CallLimits,
    pub(crate) policies: Policies,
    pub(crate) reader: Reader,
    pub(crate) recognizer: Recognizer,
    pub(crate) rooms: Rooms,
    pub(crate) script_limits: script::vxml::Limits,
    /// All the chance there is in scripts.
    pub(crate) seed: u64,
    pub(crate) speech: Speech,
    pub(crate) store: Store,
    pub(crate) switch: NativeSwitch,
    pub(crate) tapes: TapeDir,
    pub(crate) calls: LiveCalls,
}

/// One call.
struct CallTask {
    parts: Arc<CallParts>,
    begun: Begun,
    call: Call,
    leg: Option<Leg>,
    /// Who listens for who answers, as long as there is something to find out.
    ear: Option<Ear>,
    script: Scripted,
    /// What became of the message for a machine, if the script is that.
    message: Option<Message>,
    /// What records all of it, where its campaign wants that.
    tape: Option<Tape>,
    /// Whether only parts of the call are on it, as its script wants.
    tapes_parts: bool,
    /// What is said, written down.
    transcript: Option<Transcript>,
    /// Whom the callee talks with, or will.
    bridge: Option<Bridge>,
    /// Whom the callee is to be handed over to by his own side.
    referring: Option<Referring>,
    /// Our place beside whom he talks with is to be taken by his own side.
    replacing: Option<Replacing>,
    /// The conference that the callee is in.
    stay: Option<Stay>,
    /// Second legs so far.
    legs: i64,
    /// Whether the callee talks with a second leg and no more with the script.
    is_handed_over: bool,
    /// What is to be fed to the call machine next.
    inputs: VecDeque<Input>,
    reroutes: Reroutes,
}

/// A message for a machine that is being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// Nothing went wrong so far.
    Whole,
    /// Something of it could not be played.
    Broken,
}

impl CallParts {
    /// Whether it is found out who answers this attempt, and what follows: as its request says,
    /// else as its campaign says, else as is usual for the facade.
    fn detection(&self, begun: &Begun) -> Detection {
        let spec = &begun.application.spec;
        let said = spec.detection.clone();
        said.or_else(|| self.policies.bench().policy(begun.contact.campaign).detection.clone())
            .or_else(|| Facade::of(spec.dialect).map(Facade::usual_detection))
            .unwrap_or_default()
    }
}

/// Leads one attempt from its INVITE to its end.
pub(crate) async fn run(
    parts: Arc<CallParts>,
    begun: Begun,
    mut asked: mpsc::Receiver<CallAsk>,
    asks: mpsc::UnboundedSender<Ask>,
) -> AttemptEnd {
    let now = parts.clock.now();
    if let Ok(CallAsk::Cancel(reason)) = asked.try_recv() {
        return never_dialed(now, Outcome::Canceled, reason);
    }
    let post_dial = begun.contact.destination.post_dial().map(str::to_owned);
    let limits = CallLimits {
        ring_time_max: begun.contact.terms.ring_time_max.unwrap_or(parts.limits.ring_time_max),
        call_time_max: call_time_max(&begun, parts.limits.call_time_max),
    };
    let rules = parts.detection(&begun).rules().cloned();
    let call = Call::new(now, limits, post_dial, rules);
    let reroutes = Reroutes::new(asks, begun.attempt.trunk);
    let mut task = CallTask {
        parts,
        begun,
        call,
        leg: None,
        ear: None,
        script: Scripted::default(),
        message: None,
        tape: None,
        tapes_parts: false,
        transcript: None,
        bridge: None,
        referring: None,
        replacing: None,
        stay: None,
        legs: 0,
        is_handed_over: false,
        inputs: VecDeque::new(),
        reroutes,
    };
    loop {
        if let Some(end) = task.act().await {
            task.finish_tape().await;
            return end;
        }
        match task.inputs.pop_front() {
            Some(input) => task.call.handle(task.parts.clock.now(), input),
            None => task.wait(&mut asked).await,
        }
    }
}

/// How long the call may last: what its application says, within the server's limit.
fn call_time_max(begun: &Begun, limit: Duration) -> Duration {
    match &begun.application.spec.script {
        ScriptSource::Actions(pages) => pages
            .minutes_max
            .map_or(limit, |minutes| Duration::from_secs(u64::from(minutes) * 60).min(limit)),
        ScriptSource::Document(_) | ScriptSource::Say(_) | ScriptSource::Url(_) => limit,
    }
}

/// The end of an attempt of which nothing was sent.
pub(crate) fn never_dialed(now: Timestamp, outcome: Outcome, reason: String) -> AttemptEnd {
    let cause = Cause::local(reason);
    AttemptEnd {
        outcome,
        cause,
        ringing_at: None,
        answered_at: None,
        ended_at: now,
        detected: String::new(),
        message_left: false,
    }
}

impl CallTask {
    /// Does what the call machine wants; its end, if that is reached.
    async fn act(&mut self) -> Option<AttemptEnd> {
        while let Some(effect) = self.call.poll() {
            match effect {
                Effect::Dial => self.dial(),
                Effect::DialElsewhere(cause) => {
                    self.reroutes.ask(self.begun.attempt.id, cause);
                }
                Effect::EndBridge => self.bridge = None,
                Effect::EndScript => {
                    self.set_script(Running::Over);
                    self.feed(ScriptInput::HungUp).await;
                }
                Effect::Finish(end) => return Some(end),
                Effect::HangUp => {
                    if let Some(leg) = &mut self.leg {
                        leg.hang_up();
                    }
                }
                Effect::Note(kind, detail) => self.note(kind, &detail).await,
                Effect::Listen => self.listen(),
                Effect::RunMessage(message) => self.run_message(&message).await,
                Effect::RunScript => {
                    let script = self.begun.application.spec.script.clone();
                    self.run_script(&script).await;
                }
                Effect::SendKeys(keys) => match &mut self.leg {
                    Some(leg) => leg.send_keys(&keys),
                    None => self.inputs.push_back(Input::KeysSent),
                },
                Effect::TellCallee(callee_type) => {
                    let word = self.facade().session_callee_type(Some(callee_type));
                    self.feed(ScriptInput::CalleeType(word)).await;
                }
            }
        }
        None
    }

    /// In whose words the script is told things.
    fn facade(&self) -> Facade {
        Facade::of(self.begun.application.spec.dialect).unwrap_or(Facade::Native)
    }

    fn dial(&mut self) {
        if self.begun.contact.destination.room().is_some() {
            return self.enter();
        }
        let (contact, attempt) = (&self.begun.contact, &self.begun.attempt);
        tracing::info!(
            call.id = %attempt.id, contact.id = %contact.id, trunk.id = %attempt.trunk,
            "dialing {}", Masked(contact.destination.dialed())
        );
        // The caller ID that was weighed: the contact's own, or one of its campaign's pool.
        let shown = self.begun.caller_id.as_deref();
        let shown = shown.and_then(|id| contact.destination.clone().with_caller_id(id).ok());
        let destination = shown.as_ref().unwrap_or(&contact.destination);
        match self.parts.switch.dial(self.parts.clock.now(), attempt, destination) {
            Ok(leg) => self.leg = Some(Leg::Sip(Box::new(leg))),
            Err(cause) => self.inputs.push_back(Input::LegEnded(cause)),
        }
    }

    /// Listens from the first sound on, where there will be any.
    fn listen(&mut self) {
        let detection = self.parts.detection(&self.begun);
        if let (Some(leg), Some(rules)) = (&self.leg, detection.rules()) {
            let settings = ear::settings(self.parts.classify, rules, self.call.awaits_greeting());
            self.ear = Some(Ear::open(&self.parts, leg.listen(), settings));
        }
    }

    /// Plays the message for a machine from its beginning, in place of whatever runs.
    async fn run_message(&mut self, message: &ScriptSource) {
        if let Some(leg) = &mut self.leg {
            leg.stop_play();
        }
        self.script.end();
        // Of what runs no end is told any more.
        self.inputs.retain(|input| !matches!(input, Input::MessageLeft | Input::ScriptEnded));
        self.message = Some(Message::Whole);
        self.run_script(message).await;
    }

    async fn run_script(&mut self, script: &ScriptSource) {
        let callee_type = self.call.callee_type();
        match ScriptHost::start(&self.parts, &self.begun, script, callee_type) {
            Ok((script, start)) => {
                self.set_script(Running::Now);
                self.script.begin(script);
                self.feed(start).await;
            }
            Err(problem) => {
                self.note(EventKind::ScriptError, &problem).await;
                self.inputs.push_back(Input::ScriptEnded);
            }
        }
    }

    /// Waits for one thing to happen, and takes it in.
    async fn wait(&mut self, asked: &mut mpsc::Receiver<CallAsk>) {
        let now = self.parts.clock.now();
        let call_due = self.call.deadline();
        let script_due = self.script.deadline();
        let due = [call_due.map(|due| due.0), script_due.map(|due| due.0)];
        let sleep = due.into_iter().flatten().min().map(|due| due.since(now));

        tokio::select! {
            event = next_of(self.leg.as_mut(), Leg::next) => self.hear(event).await,
            found = next_of(self.ear.as_mut(), Ear::next) => match found {
                Some(found) => self.inputs.push_back(found),
                None => self.ear = None,
            },
            done = self.script.next() => match done {
                Done::Input(input) => self.feed(*input).await,
                Done::Play { play, items } => self.play(play, items),
            },
            input = next_of(self.transcript.as_mut(), Transcript::next) => self.feed(input).await,
            event = next_of(self.stay.as_mut(), Stay::next) => self.heard_in_room(event).await,
            event = next_of(self.bridge.as_mut(), Bridge::next) => self.bridged(event).await,
            answer = next_of(self.referring.as_mut(), Referring::next) => {
                self.weighed(answer).await;
            }
            () = next_of(self.replacing.as_mut(), Replacing::next) => self.replaced(None),
            Some(ask) = asked.recv() => match ask {
                CallAsk::Cancel(reason) => self.inputs.push_back(Input::Cancel { reason }),
                CallAsk::Interrupt(page) => {
                    let page = page.as_ref().and_then(script_host::start_page);
                    self.feed(ScriptInput::Interrupted { page }).await;
                }
            },
            next = self.reroutes.next() => self.inputs.push_back(match next {
                Ok(trunk) => {
                    self.begun.attempt.trunk = trunk;
                    Input::Rerouted
                }
                Err(cause) => Input::LegEnded(cause),
            }),
            () = sleep_for(sleep) => self.expire(call_due, script_due).await,
        }
    }

    async fn expire(
        &mut self,
        call_due: Option<(Timestamp, Timer)>,
        script_due: Option<(Timestamp, script::step::Timer)>,
    ) {
        let now = self.parts.clock.now();
        if let Some((_, timer)) = call_due.filter(|(at, _)| *at <= now) {
            tracing::debug!(call.id = %self.begun.attempt.id, ?timer, "call timer");
            self.inputs.push_back(Input::Expired(timer));
        }
        if let Some((_, timer)) = script_due.filter(|(at, _)| *at <= now) {
            self.feed(ScriptInput::Expired(timer)).await;
        }
    }

    async fn hear(&mut self, event: LegEvent) {
        match event {
            LegEvent::Answered => {
                if let Some(ear) = &mut self.ear {
                    ear.answered();
                }
                let bench = self.parts.policies.bench();
                self.begin_tape(bench.policy(self.begun.contact.campaign).recording);
                self.inputs.push_back(Input::Answered);
            }
            LegEvent::Ended(cause) => {
                self.leg = None;
                self.inputs.push_back(Input::LegEnded(cause));
            }
            LegEvent::Failed(cause) => {
                self.leg = None;
                self.inputs.push_back(Input::TrunkFailed(cause));
            }
            LegEvent::Referred(result) => self.hear_referral(result).await,
            LegEvent::Ringing => self.inputs.push_back(Input::Ringing),
            LegEvent::KeysSent => match self.script.told(LegEvent::KeysSent, None) {
                Some(input) => self.feed(input).await,
                None => self.inputs.push_back(Input::KeysSent),
            },
            event => {
                if let LegEvent::Key(key) = event {
                    self.pass_key(key);
                }
                if let Some(input) = self.script.told(event, self.leg.as_ref()) {
                    self.feed(input).await;
                }
            }
        }
    }

    /// Feeds the script, and does what it wants.
    async fn feed(&mut self, input: ScriptInput) {
        let codec = self.leg.as_ref().and_then(Leg::codec);
        let mut ended = false;
        let wishes = self.script.feed(self.parts.clock.now(), input, codec).await;
        for wish in wishes {
            let (leg, recognizer) = (self.leg.as_ref(), &self.parts.recognizer);
            let Some(wish) = self.script.grant(wish, leg, recognizer) else {
                continue;
            };
            match wish {
                Wish::End { token, opts_out } => {
                    ended = true;
                    self.note_token(token).await;
                    if opts_out {
                        self.opt_out().await;
                    }
                }
                Wish::Connect(wanted) => self.connect(wanted),
                Wish::EndTransfer => self.end_transfer(),
                Wish::HangUp => {
                    self.set_script(Running::Over);
                    self.inputs.push_back(Input::ScriptHangUp);
                }
                Wish::Join(wanted) => self.join(wanted),
                Wish::Leave => self.leave(),
                Wish::Problem(text) => {
                    self.message = self.message.map(|_| Message::Broken);
                    self.note(EventKind::ScriptError, &text).await;
                }
                Wish::StopTranscribe => self.stop_transcribing(),
                Wish::Transcribe(wanted) => self.transcribe(wanted).await,
                Wish::Transfer(wanted) => self.transfer(wanted),
                // Granted already.
                Wish::Listen(_)
                | Wish::Record(_)
                | Wish::SendKeys(_)
                | Wish::StopListen
                | Wish::StopPlay
                | Wish::StopRecord => {}
            }
        }
        if ended {
            self.set_script(Running::Over);
            self.script.end();
            self.transcript = None;
            self.stay = None;
            self.referring = None;
            self.bridge = self.bridge.take().filter(|_| self.is_handed_over);
            if self.message.take() == Some(Message::Whole) {
                self.inputs.push_back(Input::MessageLeft);
            }
            self.inputs.push_back(Input::ScriptEnded);
        }
    }

    fn set_script(&self, script: Running) {
        self.parts.calls.set_script(self.begun.attempt.id, script);
    }

    /// Tells the script something, once it has done what it does now.
    fn answer(&mut self, input: ScriptInput) {
        self.script.later(input);
    }

    /// The callee wants no more calls of the account, and said so to the script.
    async fn opt_out(&mut self) {
        let contact = &self.begun.contact;
        if contact.destination.room().is_some() {
            // Whoever said so, it is nobody's number.
            return;
        }
        let (now, number) = (self.parts.clock.now(), contact.destination.dialed());
        let reason = format!("said in call {}", contact.id);
        let done = self.parts.store.opt_out(now, contact.account, number, &reason).await;
        report(done.map(drop));
    }

    /// Keeps what the application called its call last, for who is told of its end.
    async fn note_token(&mut self, token: Option<String>) {
        if let Some(token) = token.filter(|token| *token != self.begun.contact.reference) {
            self.note(EventKind::TokenGiven, &token).await;
        }
    }

    fn play(&mut self, play: PlayId, items: Vec<PlayItem>) {
        match &mut self.leg {
            Some(leg) => leg.play(play, items),
            None => tracing::trace!("nobody is there to hear"),
        }
    }

    async fn note(&mut self, kind: EventKind, detail: &str) {
        let attempt = &self.begun.attempt;
        let now = self.parts.clock.now();
        report(self.parts.store.note(attempt.id, attempt.contact, now, kind, detail).await);
    }
}

/// A fact that could not be written is missing from the history; the call's end is not lost by it.
fn report(noted: Result<(), store::StoreError>) {
    if let Err(error) = noted {
        tracing::warn!(%error, "an event could not be written");
    }
}

/// What comes next of something that may not be there; while it is not, nothing ever does.
async fn next_of<'t, T, F: Future>(
    there: Option<&'t mut T>,
    next: impl FnOnce(&'t mut T) -> F,
) -> F::Output {
    match there {
        Some(there) => next(there).await,
        None => std::future::pending().await,
    }
}

async fn sleep_for(time: Option<Duration>) {
    match time {
        // Timers round down; a millisecond more is better than to wake in vain.
        Some(time) => tokio::time::sleep(time + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}
