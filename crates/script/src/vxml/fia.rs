//! MACHINE: a VoiceXML session, from answer to end (VoiceXML 2.0 App. C).
//!
//! `handle` one input, `poll` all steps, mind the `deadline`. Between inputs a session is in one
//! of few phases; while an input is handled it runs, statement by statement, until it needs
//! something from outside again. The work is in the files beside: [`run`](super::run) does
//! statements, [`form`](super::form) selects and fills, [`listen`](super::listen) takes keys,
//! [`load`](super::load) gets pages, [`throw`](super::throw) finds handlers.

use std::collections::{BTreeMap, VecDeque};

use domain::time::Timestamp;
use zeroize::Zeroizing;

use super::fault::Fault;
use super::fetching::Fetching;
use super::form::{Activation, Visit};
use super::grammar::Shelf;
use super::limits::{ATTENTION, Limits, Line, Usage};
use super::listen::Listening;
use super::load::Pages;
use super::place::Place;
use super::prompt::{Playing, PromptQueue};
use super::property::Properties;
use super::record::Recording;
use super::run::{Next, Running};
use super::scope::Scopes;
use super::subdialog::Frame;
use super::transfer::Transferring;
use super::value::Value;
use crate::step::{Input, PlayError, PlayId, Session, StartPage, Step, Timer};

/// One VoiceXML session.
pub struct Vxml {
    pub(super) limits: Limits,
    pub(super) usage: Usage,
    pub(super) now: Timestamp,
    pub(super) phase: Phase,
    pub(super) steps: VecDeque<Step>,
    pub(super) scopes: Scopes,
    pub(super) pages: Pages,
    /// The dialog at hand.
    pub(super) visit: Option<Visit>,
    /// Statements under way; they come before the task.
    pub(super) running: Option<Running>,
    /// What comes next.
    pub(super) task: Task,
    /// Grammars being made ready for the item at hand.
    pub(super) activation: Option<Activation>,
    pub(super) prompts: PromptQueue,
    /// Keys pressed while nobody listened.
    pub(super) ahead: Zeroizing<String>,
    /// Fetched grammars.
    pub(super) grammars: Shelf,
    pub(super) hang_up: HangUp,
    /// The values to end with, once the script has asked to exit.
    pub(super) exit: Option<BTreeMap<String, String>>,
    /// Contexts that wait for subdialogs, outermost first.
    pub(super) frames: Vec<Frame>,
    /// Since when the callee is heard, or hears something; kept between inputs.
    attending_since: Option<Timestamp>,
    /// Values for the form of a subdialog that is yet to be entered, and where they were given.
    pub(super) params: Vec<(String, Place)>,
    plays: u32,
    pub(super) fetches: u32,
    pub(super) listens: u32,
    pub(super) recordings: u32,
    pub(super) transfers: u32,
}

/// Where the session stands between inputs.
pub(super) enum Phase {
    /// Before the start.
    Idle,
    /// Running; never between inputs.
    Busy,
    Fetching(Box<Fetching>),
    Listening(Box<Listening>),
    Recording(Box<Recording>),
    Transferring(Box<Transferring>),
    /// The last prompts play before this is done.
    Draining(Playing, Drained),
    Ended,
}

/// What waits for the last prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    Disconnect,
    Exit,
}

/// What comes next, when no statement is left.
#[derive(Debug, Default)]
pub(super) enum Task {
    /// Listen for the item at hand.
    Collect,
    /// Go into a dialog of the page, with what was matched already, if anything.
    Enter(usize, Option<Value>),
    /// Run what is to be done for filled items.
    Filled(VecDeque<usize>, Vec<usize>),
    /// Initialize the page, then go into this dialog.
    InitDocument(Option<usize>),
    /// Initialize the application root first.
    InitRoot(Option<usize>),
    #[default]
    Select,
}

/// What is known of the callee's hanging up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HangUp {
    No,
    /// It happened, and the document will hear of it when it next listens (§4.1.8).
    Pending,
    /// The document has heard of it: from now on there is neither input nor output.
    Heard,
}

impl Vxml {
    /// A session that has not begun; `seed` is all the chance there is in it.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            usage: Usage::default(),
            now: Timestamp::default(),
            phase: Phase::Idle,
            steps: VecDeque::new(),
            scopes: Scopes::new(&limits, seed),
            pages: Pages::default(),
            visit: None,
            running: None,
            task: Task::default(),
            activation: None,
            prompts: PromptQueue::default(),
            ahead: Zeroizing::new(String::new()),
            grammars: Shelf::default(),
            hang_up: HangUp::No,
            exit: None,
            frames: Vec::new(),
            attending_since: None,
            params: Vec::new(),
            plays: 0,
            fetches: 0,
            listens: 0,
            recordings: 0,
            transfers: 0,
            limits,
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.set_time(now);
        match (&self.phase, input) {
            (Phase::Ended, _) => {}
            (_, Input::CalleeType(who)) => self.callee_type(who),
            (Phase::Idle, Input::Start { session, page }) => self.start(session, page),
            (Phase::Idle, Input::HungUp) => self.end(),
            (Phase::Fetching(own), Input::Fetched { fetch, result }) if own.fetch == fetch => {
                self.fetched(result);
            }
            (Phase::Fetching(..) | Phase::Draining(..), Input::Key(key)) => self.type_ahead(key),
            (_, Input::Expired(timer)) => self.expired(timer),
            (Phase::Fetching(..), Input::HungUp) => self.fetch_hung_up(),
            (Phase::Fetching(..), Input::PlayEnded { play } | Input::PlayFailed { play, .. }) => {
                self.fetch_play_ended(play)
            }
            (Phase::Listening(_), Input::Key(key)) => self.key(key),
            (Phase::Listening(_), Input::PlayEnded { play }) => self.play_ended(play),
            (Phase::Listening(_), Input::PlayFailed { play, error }) => {
                self.play_failed(play, &error);
            }
            (Phase::Listening(_), Input::MarkReached { play, name }) => {
                self.mark_reached(play, name);
            }
            (_, Input::Heard { listen, heard }) if self.hears(listen) => self.heard(heard),
            (_, Input::ListenFailed { listen, error }) if self.hears(listen) => {
                self.listen_failed(&error);
            }
            (_, Input::SpeechStarted { listen }) if self.hears(listen) => self.speech_started(),
            (_, Input::SpeechTooLong { listen }) if self.hears(listen) => self.speech_too_long(),
            (Phase::Listening(_), Input::HungUp) => self.hung_up(),
            (Phase::Recording(_), Input::Key(key)) => self.record_key(key),
            (Phase::Recording(_), Input::PlayEnded { play }) => self.record_play_ended(play),
            (Phase::Recording(_), Input::PlayFailed { play, error }) => {
                self.record_play_failed(play, &error);
            }
            (_, Input::Recorded { recording, recorded }) if self.records(recording) => {
                self.recorded(recorded);
            }
            (_, Input::RecordFailed { recording, reason }) if self.records(recording) => {
                self.record_failed(&reason);
            }
            (Phase::Recording(_), Input::HungUp) => self.record_hung_up(),
            (Phase::Transferring(_), Input::Key(key)) => self.transfer_key(key),
            (Phase::Transferring(_), Input::PlayEnded { play }) => self.transfer_play_ended(play),
            (Phase::Transferring(_), Input::PlayFailed { play, error }) => {
                self.transfer_play_failed(play, &error);
            }
            (_, Input::TransferConnected { transfer }) if self.transfers(transfer) => {
                self.transfer_connected();
            }
            (_, Input::TransferEnded { transfer, end }) if self.transfers(transfer) => {
                self.transfer_ended(end);
            }
            (Phase::Transferring(_), Input::HungUp) => self.transfer_hung_up(),
            (Phase::Draining(..), Input::PlayEnded { play }) => self.drained(play),
            (Phase::Draining(..), Input::PlayFailed { play, error }) => {
                self.drain_failed(play, &error);
            }
            (Phase::Draining(..), Input::HungUp) => {
                self.lose_callee();
                self.all_drained();
            }
            // Late or out of place: what it belonged to is over. Keys are not named: they may
            // be a secret.
            (_, input) => tracing::trace!(kind = kind(&input), "ignored"),
        }
        self.run();
    }

    fn set_time(&mut self, now: Timestamp) {
        self.now = now;
        self.scopes.set_time(now);
        if self.attending_since.is_some_and(|since| now.since(since) >= ATTENTION) {
            self.usage.attended();
        }
    }

    /// Whether the callee is heard, or hears something.
    fn attends(&self) -> bool {
        match &self.phase {
            Phase::Listening(_) | Phase::Recording(_) | Phase::Transferring(_) => true,
            Phase::Fetching(fetching) => fetching.is_heard(),
            Phase::Idle | Phase::Busy | Phase::Draining(..) | Phase::Ended => false,
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When to wake the session, and for what.
    pub fn deadline(&self) -> Option<(Timestamp, Timer)> {
        match &self.phase {
            Phase::Fetching(fetching) => fetching.deadline(),
            Phase::Listening(listening) => listening.deadline,
            Phase::Recording(recording) => recording.deadline,
            Phase::Transferring(transferring) => transferring.deadline,
            Phase::Idle | Phase::Busy | Phase::Draining(..) | Phase::Ended => None,
        }
    }

    /// A timer may run out while what stops it is on its way: then it is not due any more.
    fn expired(&mut self, timer: Timer) {
        if !self.deadline().is_some_and(|(at, own)| own == timer && at <= self.now) {
            return;
        }
        match &self.phase {
            Phase::Fetching(_) => self.fetch_expired(),
            Phase::Listening(_) => self.listen_expired(timer),
            Phase::Recording(_) => self.record_expired(timer),
            Phase::Transferring(_) => self.transfer_expired(timer),
            Phase::Idle | Phase::Busy | Phase::Draining(..) | Phase::Ended => {}
        }
    }

    fn start(&mut self, session: Session, page: StartPage) {
        self.phase = Phase::Busy;
        self.scopes.import(&session.parameters);
        let begun = self.scopes.set_session("connection", connection(session)).and_then(|()| {
            self.scopes.open(super::scope::Level::Application)?;
            self.load_first(page)
        });
        if let Err(fault) = begun {
            self.raise(fault);
        }
    }

    /// Runs until something from outside is needed.
    fn run(&mut self) {
        while matches!(self.phase, Phase::Busy) {
            if let Err(fault) = self.advance() {
                self.raise(fault);
            }
        }
        let since = self.attending_since.unwrap_or(self.now);
        self.attending_since = self.attends().then_some(since);
    }

    /// One statement, or one turn of the interpretation algorithm.
    fn advance(&mut self) -> Result<(), Fault> {
        if let Some(running) = &mut self.running {
            return match running.next() {
                Next::Statement(block, at) => self.execute(&block[at]),
                Next::Turn { foreach, depth, at } => self.turn(&foreach, depth, at),
                Next::End => self.content_ended(),
            };
        }
        match std::mem::take(&mut self.task) {
            Task::Collect => self.collect(),
            Task::Enter(dialog, matched) => self.enter(dialog, matched),
            Task::Filled(rest, just) => self.next_filled(rest, &just),
            Task::InitDocument(dialog) => self.init_document(dialog),
            Task::InitRoot(dialog) => self.init_root(dialog),
            Task::Select => self.select(),
        }
    }

    // Steps.

    /// Says what went wrong to whoever wrote the script.
    pub(super) fn problem(&mut self, event: &str, message: String) {
        match self.usage.log(message.len(), &self.limits) {
            Ok(Line::Lost) => {}
            used => {
                self.steps.push_back(Step::Problem { event: event.to_owned(), message });
                if let Err(fault) = used {
                    self.limit_reached(&fault);
                }
            }
        }
    }

    pub(super) fn next_play(&mut self) -> PlayId {
        self.plays += 1;
        PlayId(self.plays)
    }

    /// Plays all that waits; the groups that now play, and what may interrupt each.
    pub(super) fn flush(&mut self) -> Playing {
        let groups = self.prompts.take();
        if self.hang_up != HangUp::No {
            return Playing::default();
        }
        let mut playing = Playing::default();
        for (bargein, prompts) in groups {
            let play = self.next_play();
            self.steps.push_back(Step::Play { play, prompts });
            playing.push(play, bargein);
        }
        playing
    }

    // The end.

    /// The script wants to end: what was queued is played first.
    pub(super) fn begin_exit(&mut self, values: BTreeMap<String, String>) {
        self.running = None;
        self.task = Task::Select;
        self.exit.get_or_insert_default().extend(values);
        self.drain(Drained::Exit);
    }

    pub(super) fn drain(&mut self, then: Drained) {
        self.phase = Phase::Draining(self.flush(), then);
        self.after_drain();
    }

    fn drained(&mut self, ended: PlayId) {
        if let Phase::Draining(playing, _) = &mut self.phase {
            playing.ended(ended);
        }
        self.after_drain();
    }

    fn all_drained(&mut self) {
        if let Phase::Draining(playing, _) = &mut self.phase {
            playing.clear();
        }
        self.after_drain();
    }

    fn after_drain(&mut self) {
        let Phase::Draining(playing, then) = &self.phase else {
            return;
        };
        match (playing.is_empty(), then) {
            (false, _) => {}
            (true, Drained::Exit) => self.end(),
            (true, Drained::Disconnect) => self.disconnected(),
        }
    }

    /// A last prompt could not be had: the document may hear of it once, then it is over.
    fn drain_failed(&mut self, failed: PlayId, error: &PlayError) {
        let Phase::Draining(playing, then) = &mut self.phase else {
            return;
        };
        if !playing.contains(failed) {
            return;
        }
        playing.ended(failed);
        let (then, last) = (*then, playing.is_empty());
        let fault = Self::play_fault(error);
        if then == Drained::Exit && last && !self.pages.farewell_failed {
            self.pages.farewell_failed = true;
            self.phase = Phase::Busy;
            self.raise(fault);
        } else {
            let place = self.visit.as_ref().map(|visit| visit.place().clone());
            let fault = place.into_iter().fold(fault, |fault, place| fault.at(&place));
            self.problem(&fault.event, fault.text());
            self.after_drain();
        }
    }

    pub(super) fn limit_reached(&mut self, fault: &Fault) {
        if !matches!(self.phase, Phase::Ended) {
            self.steps
                .push_back(Step::Problem { event: fault.event.clone(), message: fault.text() });
            self.end();
        }
    }

    pub(super) fn end(&mut self) {
        let values = self.exit.take().unwrap_or_default();
        self.phase = Phase::Ended;
        self.running = None;
        self.activation = None;
        self.visit = None;
        self.frames.clear();
        self.pages = Pages::default();
        self.prompts = PromptQueue::default();
        self.ahead = Zeroizing::new(String::new());
        self.scopes = Scopes::new(&self.limits, 0);
        self.steps.push_back(Step::End { values });
    }

    // What is in force.

    /// The properties of the item, dialog, page and root at hand.
    pub(super) fn properties(&self) -> Properties<'_> {
        self.pages.properties(self.visit.as_ref())
    }

    fn callee_type(&mut self, who: &str) {
        self.scopes.update_session("connection", "callee_type", Value::text(who));
    }

    /// The callee is gone, and the document will hear of it.
    pub(super) fn lose_callee(&mut self) {
        if self.hang_up == HangUp::No {
            self.hang_up = HangUp::Pending;
        }
    }
}

/// The session variables of a call (VoiceXML 2.0 §5.1.4).
fn connection(session: Session) -> Value {
    let record = |pairs: Vec<(&str, Value)>| {
        Value::Record(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let uri = |uri: String| record(vec![("uri", Value::text(uri))]);
    let parameters = session.parameters.into_iter();
    let parameters = parameters.map(|(name, value)| (name, Value::text(value))).collect();
    record(vec![
        ("local", uri(session.local_uri)),
        ("remote", uri(session.remote_uri)),
        (
            "protocol",
            record(vec![
                ("name", Value::text(session.protocol_name)),
                ("version", Value::text(session.protocol_version)),
            ]),
        ),
        ("parameters", Value::Record(parameters)),
        ("callee_type", Value::text(session.callee_type)),
    ])
}

fn kind(input: &Input) -> &'static str {
    match input {
        Input::Start { .. } => "Start",
        Input::Fetched { .. } => "Fetched",
        Input::Heard { .. } => "Heard",
        Input::Key(_) => "Key",
        Input::ListenFailed { .. } => "ListenFailed",
        Input::MarkReached { .. } => "MarkReached",
        Input::Recorded { .. } => "Recorded",
        Input::RecordFailed { .. } => "RecordFailed",
        Input::SpeechStarted { .. } => "SpeechStarted",
        Input::SpeechTooLong { .. } => "SpeechTooLong",
        Input::TransferConnected { .. } => "TransferConnected",
        Input::FarEnd { .. } => "FarEnd",
        Input::TransferEnded { .. } => "TransferEnded",
        Input::PlayEnded { .. } => "PlayEnded",
        Input::PlayFailed { .. } => "PlayFailed",
        Input::CalleeType(_) => "CalleeType",
        Input::HungUp => "HungUp",
        Input::Expired(_) => "Expired",
        Input::Interrupted { .. } => "Interrupted",
        Input::KeysSent => "KeysSent",
        Input::StayBegan { .. } => "StayBegan",
        Input::StayEnded { .. } => "StayEnded",
        Input::Transcribed { .. } => "Transcribed",
    }
}
