//! A callee, a web server and a loudspeaker in virtual time, around one script.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use domain::time::Timestamp;
use script::step::{
    Fetch, FetchError, FetchId, Fetched, Heard, Hypothesis, Input, ListenError, ListenId, Method,
    Part, PlayError, PlayId, Prompt, Record, RecordEnd, Recorded, Session, StartPage, Step, Timer,
    Transfer, TransferEnd,
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
    /// Says this once the prompts are over, as sure as that; several readings are told apart by |.
    Says(Vec<(String, f64)>),
    /// Says this while a prompt plays.
    Talks(Vec<(String, f64)>),
    /// Speaks into a recording for so many seconds.
    Records(u64),
    /// What the far end of the next transfer does.
    FarEnd(FarEnd),
    /// Is found out to be this, at once or while a prompt plays.
    Is(&'static str),
    IsInPrompt(&'static str),
    /// Does nothing; the engine says things that belong to nothing any more.
    Stray,
}

/// What the far end of a transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FarEnd {
    /// Answers after three seconds and hangs up after so many more.
    Answers(u64),
    /// The transfer ends so.
    Ends(TransferEnd),
    /// Rings for ever.
    Rings,
}

fn far_end(word: &str) -> FarEnd {
    match word {
        "rings" => FarEnd::Rings,
        "busy" => FarEnd::Ends(TransferEnd::Busy),
        "netbusy" => FarEnd::Ends(TransferEnd::NetworkBusy),
        "noroute" => FarEnd::Ends(TransferEnd::NoRoute),
        "603" => FarEnd::Ends(TransferEnd::Protocol(603)),
        "taken" => FarEnd::Ends(TransferEnd::Transferred),
        "unsupported" => FarEnd::Ends(TransferEnd::Unsupported),
        "forbidden" => FarEnd::Ends(TransferEnd::NoAuthorization),
        seconds => FarEnd::Answers(seconds.parse().unwrap()),
    }
}

/// `one.two:0.8|three`: words with points between, and how sure the recognizer is.
fn readings(text: &str) -> Vec<(String, f64)> {
    let reading = |reading: &str| {
        let (words, confidence) = reading.split_once(':').unwrap_or((reading, "0.9"));
        (words.replace('.', " "), confidence.parse().unwrap())
    };
    text.split('|').filter(|text| !text.is_empty()).map(reading).collect()
}

/// Reads a dialogue: `12#` keys after the prompt, `!1` keys into the prompt, `<1` keys at once,
/// `-` silence, `x` `!x` `<x` hanging up, `=voice` and `!=answeringmachine` callee
/// type, `?` a stray input, `"one.two:0.8` and `!"one` speech, `r5` five seconds of speech into a
/// recording, `@busy` the far end of a transfer.
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
            _ if word.starts_with('"') => Act::Says(readings(&word[1..])),
            _ if word.starts_with("!\"") => Act::Talks(readings(&word[2..])),
            _ if word.starts_with('@') => Act::FarEnd(far_end(&word[1..])),
            _ if word.starts_with('r') => Act::Records(word[1..].parse().unwrap()),
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
    /// Whether there is a recognizer.
    pub(crate) recognizer: bool,
    ear: Option<ListenId>,
    record: Option<(Record, Timestamp)>,
    /// How long the callee speaks into the recording.
    spoken: Option<u64>,
    transfer: Option<(Transfer, FarEnd, Timestamp, bool)>,
    marks: VecDeque<(Timestamp, PlayId, String)>,
    /// What the engine says to a step at once.
    answers: Vec<Input>,
    stop_record: bool,
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
            recognizer: true,
            ear: None,
            record: None,
            spoken: None,
            transfer: None,
            marks: VecDeque::new(),
            answers: Vec::new(),
            stop_record: false,
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
        let record = self.record.as_ref().map(|(_, at)| *at);
        let far_end = self
            .transfer
            .as_ref()
            .and_then(|(_, does, at, _)| (*does != FarEnd::Rings).then_some(*at));
        let mark = self.marks.front().map(|(at, ..)| *at);
        let times = [play, fetch, timer, key, record, far_end, mark];
        let Some(next) = times.iter().flatten().min().copied() else {
            // Nothing under way: the callee hangs up on a script that hangs.
            self.tell("nothing happens");
            self.hang_up();
            return;
        };
        self.now = next.max(self.now);
        if key == Some(next) {
            self.press();
        } else if mark == Some(next) {
            let (_, play, name) = self.marks.pop_front().expect("a mark is due");
            self.feed(Input::MarkReached { play, name });
        } else if record == Some(next) {
            self.record_over(None);
        } else if far_end == Some(next) {
            self.far_end_acts();
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
                Timer::FetchAudio => "the fetch takes long",
                Timer::InterDigit => "no more keys",
                Timer::NoInput => "silence",
                Timer::Reply => "no reply",
                Timer::Retry => "asks again",
                Timer::Sleep => "has slept",
                Timer::Term => "no terminating key",
                Timer::TransferConnect => "nobody answers",
                Timer::TransferMax => "talked long enough",
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
        let recording = self.record.is_some() || self.transfer.is_some();
        let due = match self.acts.front() {
            None | Some(Act::Silence | Act::FarEnd(_)) => false,
            Some(Act::Says(_)) if recording => self.ear.is_some() && self.ready_in_recording(),
            Some(Act::Says(_)) => self.ear.is_some() && !in_prompt,
            Some(Act::Talks(_)) => self.ear.is_some() && in_prompt,
            Some(Act::Records(_)) => self.record.is_some() && self.spoken.is_none(),
            Some(Act::Keys(_) | Act::HangUp) if recording => self.ready_in_recording(),
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
            Some(Act::Says(said) | Act::Talks(said)) => self.say(&said),
            Some(Act::Records(seconds)) => {
                self.tell(&format!("speaks for {seconds} s"));
                self.spoken = Some(seconds);
                self.plan_record();
            }
            Some(Act::Silence | Act::FarEnd(_)) | None => {}
        }
        true
    }

    /// Keys and hanging up come after a second of recording or of talking.
    fn ready_in_recording(&mut self) -> bool {
        let talking = self.transfer.as_ref().is_none_or(|(.., connected)| *connected);
        talking && self.record.is_none() || self.spoken.is_some()
    }

    fn say(&mut self, said: &[(String, f64)]) {
        let Some(listen) = self.ear else {
            return;
        };
        let words: Vec<_> = said.iter().map(|(words, sure)| format!("{words} ({sure})")).collect();
        self.tell(&format!("says {}", words.join(" or ")));
        self.feed(Input::SpeechStarted { listen });
        let hypotheses = said
            .iter()
            .map(|(words, confidence)| Hypothesis { words: words.clone(), confidence: *confidence })
            .collect();
        let recorded = Recorded {
            end: RecordEnd::Silence,
            duration: Duration::from_millis(700),
            bytes: 5_644,
        };
        let heard = Heard { hypotheses, recording: Some(recorded) };
        self.ear = None;
        self.feed(Input::Heard { listen, heard });
    }

    /// When the recording under way ends by itself.
    fn plan_record(&mut self) {
        if let Some((record, at)) = &mut self.record {
            *at = self.now
                + match self.spoken {
                    None => record.timeout,
                    Some(seconds) => {
                        (Duration::from_secs(seconds) + record.final_silence).min(record.time_max)
                    }
                };
        }
    }

    fn record_over(&mut self, stopped: Option<RecordEnd>) {
        let Some((record, _)) = self.record.take() else {
            return;
        };
        let spoken = Duration::from_secs(self.spoken.take().unwrap_or(0));
        let end = stopped.unwrap_or(match spoken {
            Duration::ZERO => RecordEnd::NoInput,
            spoken if spoken >= record.time_max => RecordEnd::Full,
            _ => RecordEnd::Silence,
        });
        let duration = spoken.min(record.time_max);
        let bytes = duration.as_secs() * 8_000;
        let recorded = Recorded { end, duration, bytes };
        self.feed(Input::Recorded { recording: record.recording, recorded });
    }

    fn far_end_acts(&mut self) {
        let Some((transfer, does, _, connected)) = self.transfer.take() else {
            return;
        };
        match does {
            FarEnd::Answers(seconds) if !connected => {
                self.tell("far end answers");
                let at = self.now + Duration::from_secs(seconds);
                let id = transfer.transfer;
                self.transfer = Some((transfer, does, at, true));
                self.feed(Input::TransferConnected { transfer: id });
            }
            FarEnd::Answers(_) => {
                self.tell("far end hangs up");
                let end = TransferEnd::FarEnd;
                self.feed(Input::TransferEnded { transfer: transfer.transfer, end });
            }
            FarEnd::Ends(end) => {
                self.tell(&format!("transfer ends: {end:?}"));
                self.feed(Input::TransferEnded { transfer: transfer.transfer, end });
            }
            FarEnd::Rings => {}
        }
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
        self.marks.clear();
        self.ear = None;
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
        if std::mem::take(&mut self.stop_record) {
            self.record_over(Some(RecordEnd::Stopped));
        }
        while let Some(answer) = self.answers.pop() {
            self.feed(answer);
        }
    }

    /// Steps of speech, recordings and transfers.
    fn take_of_callee(&mut self, step: Step) {
        match step {
            Step::Listen(listen) => {
                let sound = if listen.recording.is_some() { ", keeping the sound" } else { "" };
                self.tell(&format!("listens with {} grammars{sound}", listen.grammars.len()));
                self.ear = Some(listen.listen);
                if !self.recognizer {
                    let error = ListenError::NoResource("none is connected".to_owned());
                    self.answers.push(Input::ListenFailed { listen: listen.listen, error });
                }
            }
            Step::StopListen => self.ear = None,
            Step::Record(record) => {
                let beep = if record.beep { " after a beep" } else { "" };
                self.tell(&format!(
                    "records {}{beep} for {:?}, silence {:?}",
                    record.media_type, record.time_max, record.final_silence
                ));
                self.record = Some((record, self.now));
                self.plan_record();
            }
            Step::StopRecord => {
                self.tell("stops recording");
                self.stop_record = true;
            }
            Step::Transfer(transfer) => {
                self.tell(&format!(
                    "transfers {:?} to {} within {:?}{}{}",
                    transfer.kind,
                    transfer.destination,
                    transfer.connect_timeout,
                    if transfer.aai.is_empty() { "" } else { " saying " },
                    transfer.aai
                ));
                let does = match self.acts.front() {
                    Some(Act::FarEnd(does)) => *does,
                    _ => FarEnd::Ends(TransferEnd::Unsupported),
                };
                if matches!(self.acts.front(), Some(Act::FarEnd(_))) {
                    self.acts.pop_front();
                }
                let at = self.now + Duration::from_secs(3);
                self.transfer = Some((transfer, does, at, false));
            }
            Step::EndTransfer => {
                self.tell("ends the transfer");
                if let Some((transfer, ..)) = self.transfer.take() {
                    let end = TransferEnd::Ended;
                    self.answers.push(Input::TransferEnded { transfer: transfer.transfer, end });
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Play { play, prompts } => {
                self.tell(&format!("plays {}", row(&prompts)));
                let begins = self.playing.back().map_or(self.now, |(_, at, _)| *at);
                for (at, prompt) in prompts.iter().enumerate() {
                    if let Prompt::Mark(name) = prompt {
                        let before = PROMPT * u32::try_from(at).unwrap_or(1);
                        self.marks.push_back((begins + before, play, name.clone()));
                    }
                }
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
                self.marks.clear();
            }
            Step::Fetch(fetch) => {
                self.tell(&request(&fetch));
                let result = (self.server)(&fetch);
                let slow = fetch.url.path().contains("/slow/");
                let long = if slow { FETCH * 100 } else { FETCH };
                self.fetching = Some((fetch.fetch, self.now + long, result));
            }
            Step::EndTransfer
            | Step::Listen(_)
            | Step::Record(_)
            | Step::StopListen
            | Step::StopRecord
            | Step::Transfer(_) => self.take_of_callee(step),
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
            Step::Connect(_)
            | Step::Join(_)
            | Step::Leave
            | Step::SendKeys { .. }
            | Step::StopTranscribe
            | Step::Transcribe(_) => panic!("no document asks for {step:?}"),
        }
    }

    /// Why a prompt cannot be had here: addresses with `missing` and the language `xx`.
    fn failure(&self, prompt: &Prompt) -> Option<PlayError> {
        match prompt {
            Prompt::Mark(_) | Prompt::Recording { .. } | Prompt::Silence(_) => None,
            Prompt::Markup { language, .. } | Prompt::Speech { language, .. }
                if language.as_deref() == Some("xx") =>
            {
                Some(PlayError::Language("xx".to_owned()))
            }
            Prompt::Markup { .. } | Prompt::Speech { .. } if !self.speech => {
                Some(PlayError::NoResource("espeak-ng is not installed".to_owned()))
            }
            Prompt::Markup { .. } | Prompt::Speech { .. } => None,
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
        Method::PostJson(text) => format!("POST {} {text}", fetch.url),
        Method::PostMultipart(parts) => {
            let fields: Vec<_> = parts
                .iter()
                .map(|(name, part)| match part {
                    Part::Text(text) => (name.clone(), text.clone()),
                    Part::Recording(recording) => (name.clone(), format!("<{}>", recording.0)),
                })
                .collect();
            format!("POST multipart {} {}", fetch.url, form(&fields))
        }
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
        Prompt::Mark(name) => format!("mark {name}"),
        Prompt::Markup { ssml, language, .. } => match language {
            None => format!("'{ssml}'"),
            Some(language) => format!("'{ssml}' in {language}"),
        },
        Prompt::Recording { recording, fallback } if fallback.is_empty() => {
            format!("recording {}", recording.0)
        }
        Prompt::Recording { recording, fallback } => {
            format!("recording {} or else {}", recording.0, row(fallback))
        }
        Prompt::Audio { url, timeout, maxage_s, maxstale_s, fallback } => {
            let mut text = format!("<{url}>");
            if let Some(maxage) = maxage_s {
                let _ = write!(text, " maxage {maxage}");
            }
            if let Some(maxstale) = maxstale_s {
                let _ = write!(text, " maxstale {maxstale}");
            }
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
