//! MACHINE: pages of actions, from answer to end; `handle`, `poll`, `deadline`.
//!
//! A page is asked for, read whole, and its actions are done one after the other. An action that
//! names a page ends its own page: the next one is told what came of it. After the last action of a
//! page the call is hung up. What each action does is in the file of its name.

use std::collections::VecDeque;
use std::time::Duration;

use domain::time::Timestamp;
use url::Url;
use zeroize::Zeroizing;

use super::collect::Asking;
use super::conference::Staying;
use super::connecting::Connecting;
use super::fetching::{Fetching, Kind};
use super::instance::{Instance, News};
use super::limits::{Limits, Usage};
use super::page::{Action, KeysBefore};
use super::play::{PageMethod, Player, WebPage};
use super::record::Recording;
use super::transcription::Transcript;
use crate::step::{
    FarScript, FetchId, Input, ListenId, Method, PlayError, PlayId, RecordingId, Session,
    StartPage, Step, Timer,
};

/// How long pages may still be told something once the call is over.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(10);
/// How long what was said may still be written down once the call is over; with the time to tell
/// of it, it is less than the call waits for its script.
const WRITING_TIME_MAX: Duration = Duration::from_secs(40);
/// Numbers of recordings of one far end: no script has so many.
const FAR_RECORDINGS_MAX: u32 = 10_000;
/// One running application.
pub struct Runner {
    pub(super) limits: Limits,
    pub(super) instance: Instance,
    pub(super) usage: Usage,
    pub(super) now: Timestamp,
    pub(super) began_at: Timestamp,
    pub(super) phase: Phase,
    pub(super) steps: VecDeque<Step>,
    /// What is left of the page.
    pub(super) actions: VecDeque<Action>,
    /// The action under way.
    pub(super) current: &'static str,
    /// Where the page came from.
    pub(super) base: Option<Url>,
    pub(super) token: String,
    pub(super) session: Session,
    /// Keys that wait for somebody to ask for them.
    pub(super) ahead: Zeroizing<String>,
    /// Nothing of the page has been played, asked or done with others yet.
    pub(super) is_page_new: bool,
    /// What was recorded, by name.
    pub(super) kept: Vec<(String, RecordingId)>,
    pub(super) ids: Ids,
    /// Pages that are being told something.
    pub(super) notices: Vec<FetchId>,
    pub(super) transcript: Option<Transcript>,
    /// Words are being listened to.
    pub(super) ear: Option<ListenId>,
    pub(super) is_gone: bool,
    /// A far end is not to talk with the callee: its page said so, or cannot be had.
    pub(super) refuses: bool,
}

/// The last number of each kind.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) fetch: u32,
    pub(super) far_end: u32,
    pub(super) listen: u32,
    pub(super) play: u32,
    pub(super) recording: u32,
    pub(super) stay: u32,
    pub(super) transcript: u32,
    pub(super) transfer: u32,
}

/// Where the application stands between inputs.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// Before the start.
    Idle,
    Asking(Box<Asking>),
    /// The next action is to begin; never between inputs.
    #[default]
    Busy,
    /// The call is over; pages are still being told.
    Closing(Timestamp),
    Connecting(Box<Connecting>),
    Ended,
    Fetching(Fetching),
    Playing(Player),
    Recording(Box<Recording>),
    Sending,
    Sleeping(Timestamp),
    Staying(Box<Staying>),
}

impl Runner {
    /// An application that has not begun.
    pub fn new(limits: Limits, instance: Instance) -> Self {
        Self {
            limits,
            token: instance.token.clone(),
            instance,
            usage: Usage::default(),
            now: Timestamp::default(),
            began_at: Timestamp::default(),
            phase: Phase::Idle,
            steps: VecDeque::new(),
            actions: VecDeque::new(),
            current: "",
            base: None,
            session: Session::default(),
            ahead: Zeroizing::new(String::new()),
            is_page_new: false,
            kept: Vec::new(),
            ids: Ids::default(),
            notices: Vec::new(),
            transcript: None,
            ear: None,
            is_gone: false,
            refuses: false,
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now;
        match (&self.phase, input) {
            (Phase::Ended, _) => {}
            (_, Input::CalleeType(who)) => who.clone_into(&mut self.session.callee_type),
            (Phase::Idle, Input::Start { session, page }) => self.start(session, page),
            (Phase::Idle, Input::HungUp) => self.end(),
            (_, Input::Fetched { fetch, .. }) if self.notices.contains(&fetch) => {
                self.notices.retain(|notice| *notice != fetch);
                self.close_when_told();
            }
            (Phase::Fetching(own), Input::Fetched { fetch, result }) if own.is(fetch) => {
                self.page_came(result);
            }
            (Phase::Closing(_), Input::Expired(Timer::Reply)) => self.closing_expired(),
            (_, Input::Transcribed { transcript, piece })
                if self.transcript.as_ref().is_some_and(|it| it.transcript == transcript) =>
            {
                self.transcribed(piece);
            }
            (Phase::Closing(_), _) => {}
            // Without a callee nothing goes on; what is left is only told.
            (_, Input::Interrupted { .. }) if self.is_gone => {}
            (_, Input::Interrupted { page }) => self.interrupted(page),
            (Phase::Recording(_), Input::HungUp) => {
                self.is_gone = true;
                self.actions.clear();
                self.record_hung_up();
            }
            (_, Input::HungUp) => self.hung_up(),
            (_, Input::Key(key)) => self.key(key),
            (_, Input::PlayEnded { play }) => self.part_ended(Some(play)),
            (_, Input::KeysSent) => self.part_ended(None),
            (_, Input::PlayFailed { play, error }) => self.part_failed(play, &error),
            (_, Input::Expired(timer)) => self.expired(timer),
            (_, input) => self.done_for(input),
        }
        self.go_on();
    }

    /// What it wants done, oldest first.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When to wake it, and for what.
    pub fn deadline(&self) -> Option<(Timestamp, Timer)> {
        match &self.phase {
            Phase::Asking(asking) => asking.deadline,
            Phase::Closing(at) => Some((*at, Timer::Reply)),
            Phase::Connecting(connecting) => connecting.deadline,
            Phase::Fetching(fetching) => fetching.deadline(),
            Phase::Recording(recording) => recording.deadline,
            Phase::Sleeping(at) => Some((*at, Timer::Sleep)),
            Phase::Staying(staying) => staying.deadline,
            Phase::Busy | Phase::Ended | Phase::Idle | Phase::Playing(_) | Phase::Sending => None,
        }
    }

    /// An application for somebody whom a `connect` calls; `nth` tells him from others of the call.
    pub fn of_far_end(limits: Limits, script: FarScript, nth: u32) -> Self {
        let call = script.instance.far_call(nth);
        let mut runner = Self::new(limits, Instance { call, ..script.instance });
        runner.kept = script.kept;
        // What is recorded of him stands beside what was recorded of the callee.
        runner.ids.recording = nth.saturating_mul(FAR_RECORDINGS_MAX);
        runner
    }

    /// Our own address, as the callee is shown it.
    pub(super) fn caller(&self) -> &str {
        &self.session.local_uri
    }

    /// The token as the application gave it last.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What was asked of the call is done, or cannot be.
    fn done_for(&mut self, input: Input) {
        match (&self.phase, input) {
            (Phase::Asking(_), Input::Heard { listen, heard }) if self.ear == Some(listen) => {
                self.ask_heard(&heard);
            }
            (Phase::Asking(_), Input::ListenFailed { listen, error })
                if self.ear == Some(listen) =>
            {
                self.ask_deaf(&error);
            }
            (Phase::Playing(_), Input::SpeechStarted { listen }) if self.ear == Some(listen) => {
                self.play_speech();
            }
            (_, Input::ListenFailed { listen, error }) if self.ear == Some(listen) => {
                self.ear = None;
                self.tell(self.current, &error.to_string());
            }
            (Phase::Recording(own), Input::Recorded { recording, recorded })
                if own.recording == recording =>
            {
                self.recorded(recorded);
            }
            (Phase::Recording(own), Input::RecordFailed { recording, reason })
                if own.recording == recording =>
            {
                self.record_failed(&reason);
            }
            (Phase::Connecting(own), Input::FarEnd { transfer, nth, news })
                if own.transfer == transfer =>
            {
                self.far_end(nth, news);
            }
            (Phase::Connecting(own), Input::TransferConnected { transfer })
                if own.transfer == transfer =>
            {
                self.connected();
            }
            (Phase::Connecting(own), Input::TransferEnded { transfer, end })
                if own.transfer == transfer =>
            {
                self.connect_ended(end);
            }
            (Phase::Staying(own), Input::StayBegan { stay }) if own.stay == stay => {
                self.stay_began();
            }
            (Phase::Staying(own), Input::StayEnded { stay, end }) if own.stay == stay => {
                self.stay_ended(end);
            }
            // Late or repeated: the call, the servers and the timers race, and the first one wins.
            (phase, input) => tracing::trace!(?phase, ?input, "ignored"),
        }
    }

    fn start(&mut self, session: Session, page: StartPage) {
        self.session = session;
        self.began_at = self.now;
        self.phase = Phase::Busy;
        self.open(page, News::default());
    }

    /// Goes on with a page that is named from outside.
    fn open(&mut self, page: StartPage, news: News) {
        match page {
            StartPage::Document(text) => self.read(None, &text),
            StartPage::Url { url, method } => {
                let method = match method {
                    Method::Get => PageMethod::Get,
                    _ => PageMethod::Post,
                };
                self.ask_page(url, method, Kind::Page, news);
            }
        }
    }

    // Actions.

    /// Begins actions until one of them takes time, or none is left.
    fn go_on(&mut self) {
        while matches!(self.phase, Phase::Busy) {
            if self.is_gone {
                self.close();
                return;
            }
            let Some(action) = self.actions.pop_front() else {
                self.close();
                return;
            };
            if let Err(why) = self.usage.action(&self.limits) {
                self.tell("limit", &why);
                self.refuses = true;
                self.close();
                return;
            }
            self.begin(action);
        }
    }

    fn begin(&mut self, action: Action) {
        self.current = action.name();
        let keys = action.keys_before();
        let came_with_page = std::mem::replace(&mut self.is_page_new, false);
        match keys {
            KeysBefore::Kept => self.is_page_new = came_with_page,
            KeysBefore::MayStopIt if came_with_page => {}
            KeysBefore::Forgotten | KeysBefore::MayStopIt => {
                self.ahead = Zeroizing::new(String::new());
            }
        }
        match action {
            Action::Answer => {}
            Action::Ask(question) => self.begin_asking(*question),
            Action::Conference(_) | Action::StartTranscription(_) if self.instance.is_far_end => {
                self.fail("not before the two talk: it is for the callee's own call");
            }
            Action::Conference(conference) => self.begin_conference(*conference),
            Action::Connect(connect) => self.begin_connect(*connect),
            Action::HangUp => {
                self.refuses = true;
                self.close();
            }
            Action::Play(list) => self.begin_play(&list),
            Action::Record(record) => self.begin_record(*record),
            Action::Redirect(page) => self.redirect(&page),
            Action::SendDigits(keys) => self.begin_send_digits(keys),
            Action::Sleep(time) => self.begin_sleep(time),
            Action::StartTranscription(transcription) => self.start_transcription(*transcription),
            Action::StopTranscription => self.stop_transcription(),
        }
    }

    /// `redirect`: the next page is told nothing of it.
    fn redirect(&mut self, page: &WebPage) {
        match self.address(&page.url) {
            Ok(url) => self.ask_page(url, page.method, Kind::Page, News::default()),
            Err(why) => self.fail(&why),
        }
    }

    /// A line for the developer.
    pub(super) fn tell(&mut self, event: &str, message: &str) {
        if self.usage.problem(message.len(), &self.limits) {
            let (event, message) = (event.to_owned(), message.to_owned());
            self.steps.push_back(Step::Problem { event, message });
        }
    }

    // What happens.

    fn key(&mut self, key: char) {
        match &self.phase {
            Phase::Asking(_) => self.ask_key(key),
            Phase::Fetching(_) | Phase::Sending | Phase::Sleeping(_) => self.type_ahead(key),
            Phase::Playing(_) => self.play_key(key),
            Phase::Recording(_) => self.record_key(key),
            Phase::Staying(_) => self.stay_key(key),
            // Of two who talk, each presses keys for the other.
            Phase::Connecting(_) => {}
            Phase::Busy | Phase::Closing(_) | Phase::Ended | Phase::Idle => {}
        }
    }

    /// Keeps a key for whoever asks next.
    pub(super) fn type_ahead(&mut self, key: char) {
        if self.ahead.len() < self.limits.keys_max {
            self.ahead.push(key);
        }
    }

    /// Something is played, or keys are sent, to the end.
    fn part_ended(&mut self, play: Option<PlayId>) {
        let of = |player: &Player| match play {
            Some(play) => player.plays(play),
            None => player.sends_keys(),
        };
        match &self.phase {
            Phase::Asking(asking) if asking.player().is_some_and(of) => self.ask_part_ended(),
            Phase::Connecting(own) if play.map_or(own.sends_keys(), |play| own.plays(play)) => {
                self.hold_part_ended();
            }
            Phase::Playing(player) if of(player) => self.play_part_ended(),
            Phase::Sending if play.is_none() => self.digits_sent(),
            phase => tracing::trace!(?phase, ?play, "ended late"),
        }
    }

    fn part_failed(&mut self, play: PlayId, error: &PlayError) {
        match &self.phase {
            Phase::Asking(asking) if asking.player().is_some_and(|it| it.plays(play)) => {
                self.ask_play_failed(error);
            }
            Phase::Connecting(own) if own.plays(play) => self.hold_failed(error),
            Phase::Playing(player) if player.plays(play) => self.play_failed(error),
            phase => tracing::trace!(?phase, ?play, "failed late"),
        }
    }

    fn expired(&mut self, timer: Timer) {
        if self.deadline().is_none_or(|(at, due)| due != timer || at > self.now) {
            return;
        }
        match &self.phase {
            Phase::Asking(_) => self.ask_expired(),
            Phase::Connecting(_) => self.connect_expired(timer),
            Phase::Fetching(_) => self.ask_again(),
            Phase::Recording(_) => self.record_failed("the recording did not end"),
            Phase::Sleeping(_) => self.slept(),
            Phase::Staying(_) => self.stay_expired(),
            Phase::Busy
            | Phase::Closing(_)
            | Phase::Ended
            | Phase::Idle
            | Phase::Playing(_)
            | Phase::Sending => {}
        }
    }

    /// The action under way stops, and the rest of the page is dropped.
    fn interrupted(&mut self, page: Option<StartPage>) {
        // What has ended before, and was told to the page that is on its way, is not under way.
        let action = (!matches!(self.phase, Phase::Fetching(_))).then_some(self.current);
        self.stop();
        self.actions.clear();
        self.phase = Phase::Busy;
        if let Some(page) = page {
            let result = action.map(|action| (action, None));
            self.open(page, News { result, ..News::default() });
        }
    }

    fn hung_up(&mut self) {
        self.is_gone = true;
        self.stop();
        self.actions.clear();
        self.phase = Phase::Busy;
    }

    /// Stops what is under way.
    fn stop(&mut self) {
        self.stop_listening();
        let step = match &self.phase {
            Phase::Asking(_) | Phase::Playing(_) => Step::StopPlay,
            Phase::Connecting(_) => Step::EndTransfer,
            Phase::Recording(_) => Step::StopRecord,
            Phase::Staying(_) => Step::Leave,
            Phase::Busy
            | Phase::Closing(_)
            | Phase::Ended
            | Phase::Fetching(_)
            | Phase::Idle
            | Phase::Sending
            | Phase::Sleeping(_) => return,
        };
        if matches!(self.phase, Phase::Connecting(_)) {
            self.steps.push_back(Step::StopPlay);
        }
        self.steps.push_back(step);
        self.connect_stopped();
        self.stay_stopped();
    }

    // The end.

    /// The call is over; the application ends when all pages have been told.
    fn close(&mut self) {
        if self.transcript.is_some() {
            self.steps.push_back(Step::StopTranscribe);
        }
        self.ahead = Zeroizing::new(String::new());
        // A far end goes on to the callee, unless it was refused.
        let hangs_up = !self.is_gone && (!self.instance.is_far_end || self.refuses);
        if hangs_up && (self.instance.is_far_end || !self.is_all_told()) {
            self.steps.push_back(Step::HangUp);
        }
        if self.is_all_told() {
            self.end();
            return;
        }
        let writes = self.transcript.is_some();
        self.close_within(if writes { WRITING_TIME_MAX } else { CLOSING_TIME_MAX });
    }

    fn close_within(&mut self, time_max: Duration) {
        self.phase = Phase::Closing(self.now + time_max);
    }

    /// Nothing more is written down now; that it has ended is told all the same.
    fn closing_expired(&mut self) {
        if self.transcript.is_none() {
            self.end();
            return;
        }
        let why = "the recognizer is too slow: what was said last is not written down";
        self.transcribed(Err(why.to_owned()));
    }

    /// What was said is written down: only pages are still told.
    pub(super) fn written_down(&mut self) {
        self.transcript = None;
        if matches!(self.phase, Phase::Closing(_)) {
            self.close_within(CLOSING_TIME_MAX);
        }
    }

    pub(super) fn close_when_told(&mut self) {
        if self.is_all_told() && matches!(self.phase, Phase::Closing(_)) {
            self.end();
        }
    }

    /// Whether nobody waits for what was said, or takes what was told.
    fn is_all_told(&self) -> bool {
        self.notices.is_empty() && self.transcript.is_none()
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        let values = [("token".to_owned(), self.token.clone())].into();
        self.steps.push_back(Step::End { values });
    }
}
