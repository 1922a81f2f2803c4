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
use super::connect::Connecting;
use super::instance::{Instance, News, Standing};
use super::json::{Json, Object};
use super::limits::{Limits, Usage};
use super::page::{self, Action};
use super::play::{PageMethod, Player, WebPage};
use super::record::Recording;
use super::transcription::Transcript;
use crate::step::{
    Fetch, FetchError, FetchId, Fetched, Input, ListenId, Method, PlayError, PlayId, RecordingId,
    Session, StartPage, Step, Timer,
};

/// How often the error page is asked for, where it does not answer.
const ERROR_PAGE_TRIES: u32 = 3;
/// The wait before the second try; before later ones it doubles.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How long pages may still be told something once the call is over.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(10);
/// Most pages that are being told something at once.
const NOTICES_MAX: usize = 32;

/// One running application.
pub struct Runner {
    pub(super) limits: Limits,
    pub(super) instance: Instance,
    pub(super) usage: Usage,
    pub(super) now: Timestamp,
    began_at: Timestamp,
    pub(super) phase: Phase,
    pub(super) steps: VecDeque<Step>,
    /// What is left of the page.
    actions: VecDeque<Action>,
    /// The action under way.
    current: &'static str,
    /// Where the page came from.
    base: Option<Url>,
    token: String,
    session: Session,
    /// Keys that wait for somebody to ask for them.
    pub(super) ahead: Zeroizing<String>,
    /// What was recorded, by name.
    pub(super) kept: Vec<(String, RecordingId)>,
    pub(super) ids: Ids,
    /// Pages that are being told something.
    notices: Vec<FetchId>,
    pub(super) transcript: Option<Transcript>,
    /// Words are being listened to.
    pub(super) ear: Option<ListenId>,
    pub(super) is_gone: bool,
}

/// The last number of each kind.
#[derive(Debug, Default)]
pub(super) struct Ids {
    fetch: u32,
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

/// A page that is asked for.
#[derive(Debug)]
pub(super) struct Fetching {
    fetch: FetchId,
    url: Url,
    method: Method,
    kind: Kind,
    tries: u32,
    /// It did not answer, and is asked again then.
    retry_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is told what was wrong with another one.
    Error,
    Page,
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
            kept: Vec::new(),
            ids: Ids::default(),
            notices: Vec::new(),
            transcript: None,
            ear: None,
            is_gone: false,
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
            (Phase::Fetching(own), Input::Fetched { fetch, result }) if own.fetch == fetch => {
                self.page_came(result);
            }
            (Phase::Closing(_), Input::Expired(Timer::Reply)) => self.end(),
            (Phase::Closing(_), _) => {}
            (_, Input::Transcribed { transcript, piece })
                if self.transcript.as_ref().is_some_and(|it| it.transcript == transcript) =>
            {
                self.transcribed(piece);
            }
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
            Phase::Fetching(fetching) => fetching.retry_at.map(|at| (at, Timer::Retry)),
            Phase::Recording(recording) => recording.deadline,
            Phase::Sleeping(at) => Some((*at, Timer::Sleep)),
            Phase::Staying(staying) => staying.deadline,
            Phase::Busy | Phase::Ended | Phase::Idle | Phase::Playing(_) | Phase::Sending => None,
        }
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
                self.close();
                return;
            }
            self.begin(action);
        }
    }

    fn begin(&mut self, action: Action) {
        self.current = action.name();
        if !matches!(action, Action::Ask(_)) {
            // Keys are kept for a question that follows directly.
            self.ahead = Zeroizing::new(String::new());
        }
        match action {
            Action::Answer => {}
            Action::Ask(question) => self.begin_asking(*question),
            Action::Conference(conference) => self.begin_conference(*conference),
            Action::Connect(connect) => self.begin_connect(*connect),
            Action::HangUp => self.close(),
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

    // Pages.

    /// The rest of the page is dropped: another one goes on, and is told what came of an action.
    pub(super) fn follow(&mut self, page: &WebPage, action: &'static str, result: Object) {
        let news = News { result: Some((action, Some(result))), ..News::default() };
        match self.address(&page.url) {
            Ok(url) => self.ask_page(url, page.method, Kind::Page, news),
            Err(why) => self.fail(&why),
        }
    }

    /// An action cannot be done: the error page goes on, or the call ends.
    pub(super) fn fail(&mut self, why: &str) {
        let action = self.current;
        self.tell(action, why);
        self.fail_with(vec![("action", Json::text(action)), ("result", Json::text(why))]);
    }

    fn fail_with(&mut self, error: Object) {
        self.actions.clear();
        self.phase = Phase::Busy;
        let Some(page) = self.instance.error_page.clone().filter(|_| !self.is_gone) else {
            return;
        };
        let news = News { error: Some(error), ..News::default() };
        match self.address(&page.url) {
            Ok(url) => self.ask_page(url, page.method, Kind::Error, news),
            Err(why) => self.tell("error_page", &why),
        }
    }

    /// Where a page is that this page names.
    pub(super) fn address(&self, address: &str) -> Result<Url, String> {
        let parsed = match &self.base {
            Some(base) => base.join(address.trim()),
            None => Url::parse(address.trim()),
        };
        parsed.map_err(|error| format!("{address:?} is no address: {error}"))
    }

    fn ask_page(&mut self, url: Url, method: PageMethod, kind: Kind, news: News) {
        self.actions.clear();
        self.phase = Phase::Busy;
        if let Err(why) = self.usage.page(&self.limits) {
            self.tell("limit", &why);
            return;
        }
        let (fetch, url, method) = self.request(url, method, news);
        self.fetch(fetch, url.clone(), method.clone());
        self.phase =
            Phase::Fetching(Fetching { fetch, url, method, kind, tries: 1, retry_at: None });
    }

    /// A request that tells a page how things stand.
    fn request(&mut self, mut url: Url, method: PageMethod, news: News) -> (FetchId, Url, Method) {
        let standing = Standing {
            session: &self.session,
            token: &self.token,
            lasted: self.now.since(self.began_at),
            is_gone: self.is_gone,
        };
        let info = self.instance.info(standing, news);
        url.set_fragment(None);
        let method = match method {
            PageMethod::Get => {
                url.query_pairs_mut().append_pair("instance_info", &info);
                Method::Get
            }
            PageMethod::Post => Method::PostJson(info),
        };
        self.ids.fetch += 1;
        (FetchId(self.ids.fetch), url, method)
    }

    fn fetch(&mut self, fetch: FetchId, url: Url, method: Method) {
        // What is told differs from page to page: an older answer is never the right one.
        let maxage_s = Some(0);
        self.steps.push_back(Step::Fetch(Fetch {
            fetch,
            url,
            method,
            timeout: None,
            maxage_s,
            maxstale_s: None,
        }));
    }

    fn page_came(&mut self, result: Result<Fetched, FetchError>) {
        let Phase::Fetching(fetching) = std::mem::take(&mut self.phase) else {
            return;
        };
        match result {
            Ok(page) => {
                let text = page.text;
                match fetching.kind {
                    Kind::Error => self.read_last(page.url, &text),
                    Kind::Page => self.read(Some(page.url), &text),
                }
            }
            Err(error) if fetching.kind == Kind::Error => self.retry(fetching, &error),
            Err(error) => {
                let why = format!("page cannot be had: {error}");
                self.tell("page", &format!("{}: {why}", shown(&fetching.url)));
                self.fail_with(vec![
                    ("action", Json::text("")),
                    ("result", Json::text(&why)),
                    ("url", Json::text(shown(&fetching.url).as_str())),
                ]);
            }
        }
    }

    fn retry(&mut self, mut fetching: Fetching, error: &FetchError) {
        let why = format!("{}: page cannot be had: {error}", shown(&fetching.url));
        self.tell("error_page", &why);
        if fetching.tries < ERROR_PAGE_TRIES {
            let wait = RETRY_WAIT * 2_u32.saturating_pow(fetching.tries - 1);
            fetching.retry_at = Some(self.now + wait);
            self.phase = Phase::Fetching(fetching);
        }
    }

    fn ask_again(&mut self) {
        let Phase::Fetching(mut fetching) = std::mem::take(&mut self.phase) else {
            return;
        };
        self.ids.fetch += 1;
        fetching.fetch = FetchId(self.ids.fetch);
        fetching.tries += 1;
        fetching.retry_at = None;
        self.fetch(fetching.fetch, fetching.url.clone(), fetching.method.clone());
        self.phase = Phase::Fetching(fetching);
    }

    /// Takes a page over, or says what is wrong with it.
    fn read(&mut self, url: Option<Url>, text: &str) {
        let at = url.as_ref().map(shown).unwrap_or_default();
        if url.is_some() {
            self.base = url;
        }
        if let Err(mistakes) = self.take_over(text) {
            let named = mistakes.iter().map(|mistake| Json::text(mistake)).collect();
            let first = mistakes.first().map_or("", String::as_str);
            let error = vec![
                ("action", Json::text("")),
                ("result", Json::text(first)),
                ("url", Json::text(&at)),
                ("mistakes", Json::List(named)),
            ];
            self.fail_with(error);
        }
    }

    /// The same of an error page: what is wrong with it is told to nobody but the log.
    fn read_last(&mut self, url: Url, text: &str) {
        self.base = Some(url);
        if self.take_over(text).is_err() {
            self.actions.clear();
        }
    }

    fn take_over(&mut self, text: &str) -> Result<(), Vec<String>> {
        self.phase = Phase::Busy;
        match page::parse(text, &self.limits) {
            Ok(page) => {
                self.token = page.token.unwrap_or_else(|| std::mem::take(&mut self.token));
                self.actions = page.actions.into();
                Ok(())
            }
            Err(mistakes) => {
                let named: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                let at = self.base.as_ref().map(shown).unwrap_or_default();
                for mistake in &named {
                    self.tell("page", &format!("{at}:{mistake}"));
                }
                Err(named)
            }
        }
    }

    /// Tells a page something that changes nothing here.
    pub(super) fn notify(&mut self, page: &WebPage, action: &'static str, result: Object) {
        let result = Some((action, Some(result)));
        self.send_notice(page, News { result, is_notification: true, ..News::default() });
    }

    pub(super) fn tell_transcript(&mut self, page: &WebPage, result: Object) {
        let result = Some(("start_transcription", Some(result)));
        let news = News { result, is_notification: true, is_transcript: true, ..News::default() };
        self.send_notice(page, news);
    }

    fn send_notice(&mut self, page: &WebPage, news: News) {
        let asked = match self.address(&page.url) {
            Ok(_) if self.notices.len() >= NOTICES_MAX => {
                Err("too many pages are being told".into())
            }
            Ok(url) => self.usage.page(&self.limits).map(|()| url),
            Err(why) => Err(why),
        };
        match asked {
            Ok(url) => {
                let (fetch, url, method) = self.request(url, page.method, news);
                self.fetch(fetch, url, method);
                self.notices.push(fetch);
            }
            Err(why) => self.tell("notification", &why),
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
            Phase::Fetching(_) => self.type_ahead(key),
            Phase::Playing(_) => self.play_key(key),
            Phase::Recording(_) => self.record_key(key),
            Phase::Staying(_) => self.stay_key(key),
            Phase::Busy
            | Phase::Closing(_)
            | Phase::Connecting(_)
            | Phase::Ended
            | Phase::Idle
            | Phase::Sending
            | Phase::Sleeping(_) => {}
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
        let action = self.current;
        self.stop();
        self.actions.clear();
        self.phase = Phase::Busy;
        if let Some(page) = page {
            let result = (!action.is_empty()).then_some((action, None));
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
    }

    // The end.

    /// The call is over; the application ends when all pages have been told.
    fn close(&mut self) {
        if self.transcript.take().is_some() {
            self.steps.push_back(Step::StopTranscribe);
        }
        self.ahead = Zeroizing::new(String::new());
        if self.notices.is_empty() {
            self.end();
            return;
        }
        if !self.is_gone {
            self.steps.push_back(Step::HangUp);
        }
        self.phase = Phase::Closing(self.now + CLOSING_TIME_MAX);
    }

    fn close_when_told(&mut self) {
        if self.notices.is_empty() && matches!(self.phase, Phase::Closing(_)) {
            self.end();
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        let values = [("token".to_owned(), self.token.clone())].into();
        self.steps.push_back(Step::End { values });
    }
}

/// An address without what may be somebody's own: its query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
