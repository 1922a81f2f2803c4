//! A callee, a web server and a loudspeaker in virtual time, around one script.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use domain::time::Timestamp;
use script::step::{
    Fetch, FetchError, FetchId, Fetched, Input, Method, PlayError, PlayId, Prompt, Session,
    StartPage, Step, Timer,
};
use script::vxml::{Limits, Vxml};
use url::Url;

/// What the callee does, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// Presses keys once the prompts are over.
    Keys(String),
    /// Presses keys while a prompt plays.
    Barge(String),
    /// Presses keys at once, whatever happens.
    Early(String),
    /// Hangs up once the prompts are over.
    HangUp,
    /// Hangs up while a prompt plays.
    HangUpInPrompt,
    /// Hangs up at once.
    HangUpEarly,
    /// Keeps silent until a timer runs out.
    Silence,
    /// Is found out to be this, at once or while a prompt plays.
    Is(&'static str),
    IsInPrompt(&'static str),
    /// Does nothing; the engine says things that belong to nothing any more.
    Stray,
}

/// Reads a dialogue: `12#` keys after the prompt, `!1` keys into the prompt, `<1` keys at once,
/// `-` silence, `x` `!x` `<x` hanging up, `=voice` and `!=answeringmachine` callee
/// type, `?` a stray input.
pub(crate) fn dialogue(text: &str) -> Vec<Act> {
    text.split_whitespace()
        .map(|word| match word {
            "x" => Act::HangUp,
            "!x" => Act::HangUpInPrompt,
            "<x" => Act::HangUpEarly,
            "-" => Act::Silence,
            "=voice" => Act::Is("voice"),
            "!=answeringmachine" => Act::IsInPrompt("answeringmachine"),
            "?" => Act::Stray,
            _ => match (word.strip_prefix('!'), word.strip_prefix('<')) {
                (Some(keys), _) => Act::Barge(keys.to_owned()),
                (_, Some(keys)) => Act::Early(keys.to_owned()),
                (None, None) => Act::Keys(word.to_owned()),
            },
        })
        .collect()
}

/// The server: what it answers to a fetch.
pub(crate) type Server<'s> = dyn Fn(&Fetch) -> Result<Fetched, FetchError> + 's;

pub(crate) struct World<'s> {
    pub(crate) vxml: Vxml,
    pub(crate) server: &'s Server<'s>,
    /// Whether there is a synthesizer.
    pub(crate) speech: bool,
    pub(crate) now: Timestamp,
    pub(crate) acts: VecDeque<Act>,
    pub(crate) story: String,
    pub(crate) ended: bool,
    /// The values of the end.
    pub(crate) values: Vec<(String, String)>,
    pub(crate) logs: Vec<String>,
    pub(crate) problems: Vec<String>,
    playing: VecDeque<(PlayId, Timestamp, Option<PlayError>)>,
    fetching: Option<(FetchId, Timestamp, Result<Fetched, FetchError>)>,
    keys: VecDeque<char>,
    next_key_at: Timestamp,
    gone: bool,
    turns: u32,
}

/// How long each prompt sounds, a fetch takes, and the pause between two keys.
const PROMPT: Duration = Duration::from_secs(1);
const FETCH: Duration = Duration::from_millis(100);
const KEY: Duration = Duration::from_millis(200);
/// No story here is longer; one that is does not end.
const TURNS_MAX: u32 = 20_000;

impl<'s> World<'s> {
    pub(crate) fn new(limits: Limits, server: &'s Server<'s>, acts: Vec<Act>) -> Self {
        Self {
            vxml: Vxml::new(limits, 7),
            server,
            speech: true,
            now: Timestamp::from_millis(0),
            acts: acts.into(),
            story: String::new(),
            ended: false,
            values: Vec::new(),
            logs: Vec::new(),
            problems: Vec::new(),
            playing: VecDeque::new(),
            fetching: None,
            keys: VecDeque::new(),
            next_key_at: Timestamp::from_millis(0),
            gone: false,
            turns: 0,
        }
    }

    pub(crate) fn session() -> Session {
        Session {
            local_uri: "tel:+15550100".to_owned(),
            remote_uri: "tel:+15550199".to_owned(),
            protocol_name: "sip".to_owned(),
            protocol_version: "2.0".to_owned(),
            callee_type: "processing".to_owned(),
            parameters: [("order", "A-17"), ("name", "Ann & Bob")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    pub(crate) fn start(&mut self, page: StartPage) {
        let session = Self::session();
        self.feed(Input::Start { session, page });
    }

    /// Runs to the end of the script, or until the story is longer than any should be.
    pub(crate) fn run(&mut self) {
        while !self.ended && self.turns < TURNS_MAX {
            self.turns += 1;
            self.turn();
        }
        if !self.ended {
            self.tell("… and so on for ever");
        }
    }

    /// The next thing that happens.
    pub(crate) fn turn(&mut self) {
        if self.act_now() {
            return;
        }
        let play = self.playing.front().map(|(_, at, _)| *at);
        let fetch = self.fetching.as_ref().map(|(_, at, _)| *at);
        let timer = self.vxml.deadline().map(|(at, _)| at);
        let key = (!self.keys.is_empty()).then_some(self.next_key_at);
        let times = [play, fetch, timer, key];
        let Some(next) = times.iter().flatten().min().copied() else {
            // Nothing under way: the callee hangs up on a script that hangs.
            self.tell("nothing happens");
            self.hang_up();
            return;
        };
        self.now = next.max(self.now);
        if key == Some(next) {
            self.press();
        } else if play == Some(next) {
            self.play_over();
        } else if fetch == Some(next) {
            let (fetch, _, result) = self.fetching.take().expect("a fetch is under way");
            self.feed(Input::Fetched { fetch, result });
        } else if let Some((_, timer)) = self.vxml.deadline() {
            if self.acts.front() == Some(&Act::Silence) {
                self.acts.pop_front();
            }
            self.tell(match timer {
                Timer::InterDigit => "no more keys",
                Timer::NoInput => "silence",
                Timer::Term => "no terminating key",
            });
            self.feed(Input::Expired(timer));
        }
    }

    /// Does what the callee does at this point; false where it is not time yet.
    fn act_now(&mut self) -> bool {
        let in_prompt = !self.playing.is_empty();
        let listening = matches!(self.vxml.deadline(), Some((_, Timer::NoInput)));
        if !self.keys.is_empty() {
            return false;
        }
        let due = match self.acts.front() {
            None | Some(Act::Silence) => false,
            Some(Act::Early(_) | Act::HangUpEarly | Act::Is(_) | Act::Stray) => true,
            Some(Act::Barge(_) | Act::HangUpInPrompt | Act::IsInPrompt(_)) => in_prompt,
            Some(Act::Keys(_) | Act::HangUp) => listening && !in_prompt,
        };
        if !due {
            return false;
        }
        match self.acts.pop_front() {
            Some(Act::Keys(keys) | Act::Barge(keys)) => {
                self.keys.extend(keys.chars());
                self.next_key_at = self.now + KEY;
            }
            Some(Act::Early(keys)) => {
                self.keys.extend(keys.chars());
                self.next_key_at = self.now;
            }
            Some(Act::HangUp | Act::HangUpInPrompt | Act::HangUpEarly) => self.hang_up(),
            Some(Act::Is(who) | Act::IsInPrompt(who)) => {
                self.tell(&format!("callee is {who}"));
                self.feed(Input::CalleeType(who));
            }
            Some(Act::Stray) => {
                let play = PlayId(9_999);
                self.feed(Input::PlayEnded { play });
                let error = PlayError::NoResource("late".to_owned());
                self.feed(Input::PlayFailed { play, error });
                let result = Err(FetchError::Timeout);
                self.feed(Input::Fetched { fetch: FetchId(9_999), result });
                self.feed(Input::Expired(Timer::Term));
                let page = StartPage::Document(String::new());
                self.feed(Input::Start { session: Session::default(), page });
            }
            Some(Act::Silence) | None => {}
        }
        true
    }

    fn press(&mut self) {
        if let Some(key) = self.keys.pop_front() {
            self.next_key_at = self.now + KEY;
            self.tell(&format!("key {key}"));
            self.feed(Input::Key(key));
        }
    }

    pub(crate) fn hang_up(&mut self) {
        if !self.gone {
            self.tell("callee hangs up");
        }
        self.gone = true;
        self.keys.clear();
        self.playing.clear();
        self.feed(Input::HungUp);
    }

    fn play_over(&mut self) {
        let Some((play, _, error)) = self.playing.pop_front() else {
            return;
        };
        match error {
            None => self.feed(Input::PlayEnded { play }),
            Some(error) => self.feed(Input::PlayFailed { play, error }),
        }
    }

    pub(crate) fn feed(&mut self, input: Input) {
        self.vxml.handle(self.now, input);
        while let Some(step) = self.vxml.poll() {
            assert!(!self.ended, "a step after the end: {step:?}");
            self.take(step);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Play { play, prompts } => {
                self.tell(&format!("plays {}", row(&prompts)));
                assert!(!self.gone, "plays to nobody");
                let from = self.playing.back().map_or(self.now, |(_, at, _)| *at);
                let error = prompts.iter().find_map(|prompt| self.failure(prompt));
                let long = PROMPT * u32::try_from(prompts.len()).unwrap_or(1);
                let over = if error.is_some() { from } else { from + long };
                self.playing.push_back((play, over, error));
            }
            Step::StopPlay => {
                self.tell("stops playing");
                self.playing.clear();
            }
            Step::Fetch(fetch) => {
                self.tell(&request(&fetch));
                let result = (self.server)(&fetch);
                self.fetching = Some((fetch.fetch, self.now + FETCH, result));
            }
            Step::Log { label, text } => {
                self.tell(&format!(
                    "logs {label}{}{text}",
                    if label.is_empty() { "" } else { ": " }
                ));
                self.logs.push(format!("{label} {text}"));
            }
            Step::Problem { event, message } => {
                self.tell(&format!("problem {event}: {message}"));
                self.problems.push(format!("{event}: {message}"));
            }
            Step::HangUp => {
                self.tell("hangs up");
                self.gone = true;
                self.keys.clear();
            }
            Step::End { values } => {
                let values: Vec<_> = values.into_iter().collect();
                let shown: Vec<_> =
                    values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                self.tell(&format!("ends {}", shown.join(" ")));
                self.values = values;
                self.ended = true;
            }
        }
    }

    /// Why a prompt cannot be had here: addresses with `missing` and the language `xx`.
    fn failure(&self, prompt: &Prompt) -> Option<PlayError> {
        match prompt {
            Prompt::Silence(_) => None,
            Prompt::Speech { language, .. } if language.as_deref() == Some("xx") => {
                Some(PlayError::Language("xx".to_owned()))
            }
            Prompt::Speech { .. } if !self.speech => {
                Some(PlayError::NoResource("espeak-ng is not installed".to_owned()))
            }
            Prompt::Speech { .. } => None,
            Prompt::Audio { url, fallback, .. } if url.as_str().contains("missing") => {
                match fallback.is_empty() {
                    true => Some(PlayError::BadFetch(format!("{url}: server answered 404"))),
                    false => fallback.iter().find_map(|prompt| self.failure(prompt)),
                }
            }
            Prompt::Audio { .. } => None,
        }
    }

    fn tell(&mut self, what: &str) {
        let millis = self.now.as_millis();
        let _ = writeln!(self.story, "{}.{} {}", millis / 1_000, millis % 1_000 / 100, what.trim());
    }
}

fn request(fetch: &Fetch) -> String {
    let mut text = match &fetch.method {
        Method::Get => format!("GET {}", fetch.url),
        Method::Post(fields) => format!("POST {} {}", fetch.url, form(fields)),
        Method::PostMultipart(fields) => format!("POST multipart {} {}", fetch.url, form(fields)),
    };
    if let Some(timeout) = fetch.timeout {
        let _ = write!(text, " within {timeout:?}");
    }
    if let Some(maxage) = fetch.maxage_s {
        let _ = write!(text, " maxage {maxage}");
    }
    if let Some(maxstale) = fetch.maxstale_s {
        let _ = write!(text, " maxstale {maxstale}");
    }
    text
}

fn form(fields: &[(String, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.join("&")
}

fn row(prompts: &[Prompt]) -> String {
    prompts.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn one(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Audio { url, timeout, fallback } => {
            let mut text = format!("<{url}>");
            if let Some(timeout) = timeout {
                let _ = write!(text, " within {timeout:?}");
            }
            if !fallback.is_empty() {
                let _ = write!(text, " or else {}", row(fallback));
            }
            text
        }
        Prompt::Silence(pause) => format!("{pause:?} of silence"),
        Prompt::Speech { text, language: None } => format!("\"{text}\""),
        Prompt::Speech { text, language: Some(language) } => format!("\"{text}\" in {language}"),
    }
}

/// An address of the golden documents.
pub(crate) fn url(name: &str) -> Url {
    Url::parse("http://golden.test/").and_then(|base| base.join(name)).expect("names are addresses")
}
