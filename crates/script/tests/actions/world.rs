//! A callee, a web server and a loudspeaker in virtual time, around pages of actions.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use domain::policy::CallRecording;
use domain::time::Timestamp;
use script::actions::{Instance, Limits, PageMethod, Runner, WebPage};
use script::step::{
    Connect, FarEndNews, Fetch, FetchError, FetchId, Fetched, Heard, Hypothesis, Input,
    ListenError, ListenId, Method, PlayError, PlayId, Prompt, RecordEnd, Recorded, RecordingId,
    Session, StartPage, StayEnd, StayId, Step, Timer, Transcribed, TranscriptId, TransferEnd,
    TransferId,
};
use serde_json::Value;
use url::Url;

/// How long each prompt sounds, a fetch takes, a key is pressed, and a far end rings.
const PROMPT: Duration = Duration::from_secs(1);
const FETCH: Duration = Duration::from_millis(100);
const KEY: Duration = Duration::from_millis(200);
const RING: Duration = Duration::from_secs(3);
/// No story here is longer; one that is does not end.
const TURNS_MAX: u32 = 20_000;

/// Something that will happen.
#[derive(Clone, Debug)]
enum Due {
    Fetched(FetchId, Result<Fetched, FetchError>),
    Input(Input),
    Key(char),
    Played(PlayId, Option<PlayError>),
}

/// A call, its callee and the application's server.
pub(crate) struct World {
    pub(crate) runner: Runner,
    /// What pages answer, by path; the last answer of a page repeats.
    pages: BTreeMap<String, VecDeque<Result<String, FetchError>>>,
    acts: VecDeque<String>,
    dues: Vec<(Timestamp, u32, Due)>,
    order: u32,
    now: Timestamp,
    ear: Option<ListenId>,
    record: Option<RecordingId>,
    transfer: Option<TransferId>,
    stay: Option<StayId>,
    transcript: Option<TranscriptId>,
    /// How long what was said last is written down once no more is wanted.
    pub(crate) writing: Duration,
    gone: bool,
    pub(crate) recognizer: bool,
    pub(crate) ended: bool,
    pub(crate) story: String,
    /// What pages were told, in order.
    pub(crate) told: Vec<String>,
}

impl World {
    /// `dialogue`: `12#` keys once prompts are over, `!1` keys into a prompt, `<1` keys while a page
    /// is fetched, `-` silence, `x` and `!x` hanging up, `"yes` words, `r5` five seconds of speech
    /// into a recording, `@busy` and `@5` what the next far end does (`@!5`: it hears its page for
    /// five seconds and is hung up by it), `^url` an interrupt.
    pub(crate) fn new(pages: &[(&str, &str)], dialogue: &str) -> Self {
        let mut answers: BTreeMap<String, VecDeque<_>> = BTreeMap::new();
        for (path, page) in pages {
            let answer = match page.parse::<u16>() {
                Ok(status) => Err(FetchError::Status(status)),
                Err(_) => Ok((*page).to_owned()),
            };
            answers.entry((*path).to_owned()).or_default().push_back(answer);
        }
        let instance = Instance {
            id: "inst-1".into(),
            call: "call-1".into(),
            token: "start".into(),
            outbound_parameters: "order 7".into(),
            error_page: Some(WebPage {
                url: "http://app.example/error".into(),
                method: PageMethod::Post,
            }),
            connects_max: 2,
            recording: "/recordings/1".into(),
            ..Instance::default()
        };
        Self {
            runner: Runner::new(Limits::default(), instance),
            pages: answers,
            acts: dialogue.split_whitespace().map(str::to_owned).collect(),
            dues: Vec::new(),
            order: 0,
            now: Timestamp::from_millis(0),
            ear: None,
            record: None,
            transfer: None,
            stay: None,
            transcript: None,
            writing: Duration::ZERO,
            gone: false,
            recognizer: true,
            ended: false,
            story: String::new(),
            told: Vec::new(),
        }
    }

    /// Runs to the end; the story.
    pub(crate) fn run(mut self) -> String {
        self.play_through();
        self.story
    }

    pub(crate) fn play_through(&mut self) {
        self.start(Method::Post(Vec::new()));
        let mut turns = 0;
        while !self.ended && turns < TURNS_MAX {
            turns += 1;
            self.turn();
        }
        if !self.ended {
            self.tell("… and so on for ever");
        }
    }

    pub(crate) fn start(&mut self, method: Method) {
        let session = Session {
            local_uri: "tel:+15550100".into(),
            remote_uri: "tel:+15550199".into(),
            ..Session::default()
        };
        let url = Url::parse("http://app.example/first").unwrap();
        self.feed(Input::Start { session, page: StartPage::Url { url, method } });
    }

    /// Runs until so many seconds have passed.
    pub(crate) fn run_until(&mut self, seconds: f64) {
        let until = Timestamp::from_millis((seconds * 1_000.0) as i64);
        let next = |world: &Self| {
            let dues = world.dues.iter().map(|(at, ..)| *at);
            dues.chain(world.runner.deadline().map(|(at, _)| at)).min()
        };
        while !self.ended && (self.act() || next(self).is_some_and(|at| at <= until)) {
            if next(self).is_some_and(|at| at <= until) {
                self.turn();
            }
        }
        self.now = until;
    }

    /// Runs to the end; the story.
    pub(crate) fn run_on(mut self) -> String {
        while !self.ended {
            self.turn();
        }
        self.story
    }

    fn turn(&mut self) {
        if self.act() {
            return;
        }
        let next = self.dues.iter().map(|(at, order, _)| (*at, *order)).min();
        let timer = self.runner.deadline();
        match (next, timer) {
            (Some((at, order)), timer) if timer.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                let found = self.dues.iter().position(|due| due.1 == order).unwrap();
                let (_, _, due) = self.dues.remove(found);
                self.happen(due);
            }
            (_, Some((due, timer))) => {
                self.now = self.now.max(due);
                if self.acts.front().is_some_and(|act| act == "-") {
                    self.acts.pop_front();
                }
                self.tell(match timer {
                    Timer::InterDigit => "no more keys",
                    Timer::NoInput => "silence",
                    Timer::Reply => "no reply",
                    Timer::Retry => "asks again",
                    Timer::Sleep => "has slept",
                    Timer::TransferConnect => "nobody answers",
                    Timer::TransferMax => "talked long enough",
                    Timer::FetchAudio | Timer::Term => "an odd timer",
                });
                self.feed(Input::Expired(timer));
            }
            _ => {
                self.tell("nothing happens");
                self.hang_up();
            }
        }
    }

    /// Does what the callee does now, if it is time.
    fn act(&mut self) -> bool {
        let Some(act) = self.acts.front().cloned() else {
            return false;
        };
        let playing = self.dues.iter().any(|due| matches!(due.2, Due::Played(..)));
        let fetching = self.dues.iter().any(|due| matches!(due.2, Due::Fetched(..)));
        let keying = self.dues.iter().any(|due| matches!(due.2, Due::Key(_)));
        let waiting = matches!(
            self.runner.deadline(),
            Some((_, Timer::NoInput | Timer::Reply | Timer::TransferMax))
        );
        let (sign, rest) = act.split_at(1);
        let due = !keying
            && match sign {
                "-" | "@" => false,
                "!" | "^" => playing,
                "<" => fetching,
                "\"" => self.ear.is_some() && !playing,
                "r" => self.record.is_some(),
                _ => (waiting || self.record.is_some()) && !playing && !fetching,
            };
        if !due {
            return false;
        }
        self.acts.pop_front();
        match sign {
            "!" if rest == "x" => self.hang_up(),
            "!" | "<" => self.press(rest),
            "^" => self.interrupt(rest),
            "\"" => self.say(&rest.replace('.', " ")),
            "r" => {
                let seconds = rest.parse().unwrap();
                self.tell(&format!("speaks for {seconds} s"));
                let duration = Duration::from_secs(seconds);
                self.recorded(RecordEnd::Silence, duration, duration + Duration::from_secs(3));
            }
            _ if act == "x" => self.hang_up(),
            _ => self.press(&act),
        }
        true
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let mut at = self.now;
        for key in keys.chars() {
            self.later(at.since(self.now), Due::Key(key));
            at = at + KEY;
        }
    }

    pub(crate) fn interrupt(&mut self, url: &str) {
        self.tell("is interrupted");
        let page = (!url.is_empty()).then(|| StartPage::Url {
            url: Url::parse(&format!("http://app.example/{url}")).unwrap(),
            method: Method::Post(Vec::new()),
        });
        self.feed(Input::Interrupted { page });
    }

    fn say(&mut self, words: &str) {
        let Some(listen) = self.ear.take() else { return };
        self.tell(&format!("says {words:?}"));
        self.feed(Input::SpeechStarted { listen });
        let hypotheses = vec![Hypothesis { words: words.to_owned(), confidence: 0.9 }];
        self.feed(Input::Heard { listen, heard: Heard { hypotheses, recording: None } });
    }

    fn recorded(&mut self, end: RecordEnd, duration: Duration, after: Duration) {
        if let Some(recording) = self.record.take() {
            let recorded = Recorded { end, duration, bytes: duration.as_secs() * 8_000 };
            self.later(after, Due::Input(Input::Recorded { recording, recorded }));
        }
    }

    pub(crate) fn hang_up(&mut self) {
        self.tell("callee hangs up");
        self.gone = true;
        self.dues.retain(|due| matches!(due.2, Due::Fetched(..)));
        self.feed(Input::HungUp);
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Fetched(fetch, result) => self.feed(Input::Fetched { fetch, result }),
            Due::Input(input) => self.feed(input),
            Due::Key(key) => {
                self.tell(&format!("key {key}"));
                self.feed(Input::Key(key));
            }
            Due::Played(play, None) => self.feed(Input::PlayEnded { play }),
            Due::Played(play, Some(error)) => self.feed(Input::PlayFailed { play, error }),
        }
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.order += 1;
        self.dues.push((self.now + after, self.order, due));
    }

    pub(crate) fn feed(&mut self, input: Input) {
        self.runner.handle(self.now, input);
        while let Some(step) = self.runner.poll() {
            assert!(!self.ended, "a step after the end: {step:?}");
            self.take(step);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Play { play, prompts } => self.play(play, &prompts),
            Step::StopPlay => {
                self.dues.retain(|due| !matches!(due.2, Due::Played(..)));
                self.tell("stops playing");
            }
            Step::Fetch(fetch) => self.fetch(&fetch),
            Step::Listen(listen) => {
                let words = listen.grammars[0].grammar().vocabulary().join(" ");
                self.tell(&format!("listens for {words}"));
                self.ear = Some(listen.listen);
                if !self.recognizer {
                    let error = ListenError::NoResource("none".into());
                    let failed = Input::ListenFailed { listen: listen.listen, error };
                    self.later(Duration::ZERO, Due::Input(failed));
                }
            }
            Step::StopListen => self.ear = None,
            Step::Record(record) => {
                let beep = if record.beep { " after a beep" } else { "" };
                self.tell(&format!("records up to {:?}{beep}", record.time_max));
                self.record = Some(record.recording);
                if self.acts.front().is_some_and(|act| act == "-") {
                    self.acts.pop_front();
                    self.recorded(RecordEnd::NoInput, Duration::ZERO, record.timeout);
                }
            }
            Step::StopRecord => {
                self.tell("stops recording");
                self.recorded(RecordEnd::Stopped, Duration::from_secs(2), Duration::ZERO);
            }
            Step::Connect(connect) => self.connect(&connect),
            Step::EndTransfer => {
                self.tell("ends the other call");
                if let Some(transfer) = self.transfer.take() {
                    self.dues.retain(|due| matches!(due.2, Due::Fetched(..)));
                    let end = TransferEnd::Ended;
                    let ended = Input::TransferEnded { transfer, end };
                    self.later(Duration::ZERO, Due::Input(ended));
                }
            }
            step => self.take_rest(step),
        }
    }

    fn take_rest(&mut self, step: Step) {
        match step {
            Step::Join(join) => {
                self.tell(&format!("joins {join:?}"));
                let stay = join.stay;
                self.stay = Some(stay);
                match self.far_end().as_deref() {
                    None => self.stay_ends(StayEnd::Unsupported, Duration::ZERO),
                    Some("full") => self.stay_ends(StayEnd::Full, Duration::ZERO),
                    Some(seconds) => {
                        self.later(Duration::ZERO, Due::Input(Input::StayBegan { stay }));
                        let time = Duration::from_secs(seconds.parse().unwrap_or(1));
                        self.stay_ends(StayEnd::Closed, time);
                    }
                }
            }
            Step::Leave => {
                self.tell("leaves");
                self.dues.retain(|due| !matches!(due.2, Due::Input(Input::StayEnded { .. })));
                self.stay_ends(StayEnd::Left, Duration::ZERO);
            }
            Step::SendKeys { keys } => {
                self.tell(&format!("sends {keys}"));
                self.later(PROMPT, Due::Input(Input::KeysSent));
            }
            Step::Transcribe(wanted) => {
                self.tell(&format!("transcribes {wanted:?}"));
                self.transcript = Some(wanted.transcript);
                let piece = Transcribed {
                    hypotheses: vec![Hypothesis { words: "good morning".into(), confidence: 0.8 }],
                    is_final: true,
                    by_callee: true,
                };
                let (transcript, piece) = (wanted.transcript, Ok(Some(piece)));
                self.later(PROMPT, Due::Input(Input::Transcribed { transcript, piece }));
            }
            Step::StopTranscribe => {
                self.tell("transcribes no more");
                if let Some(transcript) = self.transcript.take() {
                    let over = Input::Transcribed { transcript, piece: Ok(None) };
                    self.later(self.writing, Due::Input(over));
                }
            }
            Step::Log { label, text } => self.tell(&format!("log {label}: {text}")),
            Step::Problem { event, message } => self.tell(&format!("problem {event}: {message}")),
            Step::HangUp => self.tell("hangs up"),
            Step::End { values } => {
                self.tell(&format!("ends with token {:?}", values["token"]));
                self.ended = true;
            }
            step => panic!("a step of another kind: {step:?}"),
        }
    }

    fn stay_ends(&mut self, end: StayEnd, after: Duration) {
        if let Some(stay) = self.stay {
            self.later(after, Due::Input(Input::StayEnded { stay, end }));
        }
    }

    /// What the next far end does.
    fn far_end(&mut self) -> Option<String> {
        let does = self.acts.front()?.strip_prefix('@')?.to_owned();
        self.acts.pop_front();
        Some(does)
    }

    fn connect(&mut self, connect: &Connect) {
        let mut line = format!(
            "calls {} for {:?}, meanwhile {:?}",
            connect.destinations.join(" and "),
            connect.connect_timeout,
            connect.waiting
        );
        if let Some(caller_id) = &connect.caller_id {
            write!(line, ", as {caller_id}").unwrap();
        }
        if let Some(rules) = &connect.classify {
            write!(line, ", machine {:?}, fax {:?}", rules.on_machine, rules.on_fax).unwrap();
        }
        if let Some(script) = &connect.far_script {
            write!(line, ", who hears {} first", script.url.path()).unwrap();
        }
        if connect.recording != CallRecording::None {
            write!(line, ", recorded {:?}", connect.recording).unwrap();
        }
        self.tell(&line);
        self.transfer = Some(connect.transfer);
        self.call(connect.transfer, connect.destinations.len());
    }

    /// All ends of a connect: one far end does what is said, the others end with the whole.
    fn call(&mut self, transfer: TransferId, lines: usize) {
        let news = |nth, news| Due::Input(Input::FarEnd { transfer, nth, news });
        let ends = |end| Due::Input(Input::TransferEnded { transfer, end });
        let fails = |world: &mut Self, after, end| {
            for nth in 0..lines {
                world.later(after, news(nth, FarEndNews::Ended(end)));
            }
            world.later(after, ends(end));
        };
        let does = self.far_end();
        match does.as_deref() {
            None => fails(self, Duration::ZERO, TransferEnd::Unsupported),
            Some("busy") => fails(self, RING, TransferEnd::Busy),
            Some("rings") => {}
            Some("603") => fails(self, RING, TransferEnd::Protocol(603)),
            Some(does) => {
                let refuses = does.strip_prefix('!');
                let seconds = refuses.unwrap_or(does).parse().unwrap_or(1);
                let until = RING + Duration::from_secs(seconds);
                self.later(RING, news(0, FarEndNews::CalleeType("human")));
                self.later(RING, news(0, FarEndNews::Answered));
                for nth in 1..lines {
                    self.later(RING, news(nth, FarEndNews::Ended(TransferEnd::Ended)));
                }
                let end = match refuses {
                    Some(_) => TransferEnd::Ended,
                    None => {
                        self.later(RING, Due::Input(Input::TransferConnected { transfer }));
                        TransferEnd::FarEnd
                    }
                };
                self.later(until, news(0, FarEndNews::Ended(end)));
                self.later(until, ends(end));
            }
        }
    }

    fn play(&mut self, play: PlayId, prompts: &[Prompt]) {
        let row: Vec<String> = prompts.iter().map(shown).collect();
        self.tell(&format!("plays {}", row.join(" + ")));
        assert!(!self.gone, "plays to nobody");
        let broken = prompts.iter().any(
            |prompt| matches!(prompt, Prompt::Audio { url, .. } if url.path().contains("missing")),
        );
        let error = broken.then(|| PlayError::BadFetch("404".into()));
        let time = if broken { FETCH } else { PROMPT * u32::try_from(prompts.len()).unwrap() };
        self.later(time, Due::Played(play, error));
    }

    fn fetch(&mut self, fetch: &Fetch) {
        let told = match &fetch.method {
            Method::Get => {
                let info = fetch.url.query_pairs().find(|(name, _)| name == "instance_info");
                info.map(|(_, info)| info.into_owned()).unwrap_or_default()
            }
            Method::PostJson(told) => told.clone(),
            other => panic!("a page is asked for by {other:?}"),
        };
        let method = if fetch.method == Method::Get { "GET" } else { "POST" };
        let path = fetch.url.path().to_owned();
        let info: Value = serde_json::from_str(&told).unwrap();
        let mut line = format!("{method} {path} token={}", info["token"]);
        if path.starts_with("/final") {
            for part in ["this_call", "dropped_calls"] {
                write!(line, " {part} ").unwrap();
                told_briefly(&info[part], &mut line);
            }
        }
        for part in ["action_result", "error_result"] {
            if let Some(value) = info.get(part) {
                write!(line, " {part} ").unwrap();
                told_briefly(value, &mut line);
            }
        }
        if info["is_notification"] == true {
            line.push_str(" (notification)");
        }
        self.tell(&line);
        self.told.push(told);
        let answers = self.pages.get_mut(path.trim_start_matches('/'));
        let answer = match answers {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
            None => Err(FetchError::Status(404)),
        };
        let fetched = answer.map(|text| Fetched {
            url: fetch.url.clone(),
            content_type: "application/json".into(),
            text,
        });
        self.later(FETCH, Due::Fetched(fetch.fetch, fetched));
    }

    fn tell(&mut self, what: &str) {
        let ms = self.now.since(Timestamp::from_millis(0)).as_millis();
        writeln!(self.story, "{}.{} {what}", ms / 1_000, ms / 100 % 10).unwrap();
    }
}

/// A value with its members in order, whatever order the reader keeps.
fn told_briefly(value: &Value, line: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            line.push('{');
            for (nth, (name, value)) in sorted.into_iter().enumerate() {
                if nth > 0 {
                    line.push_str(", ");
                }
                write!(line, "{name}: ").unwrap();
                told_briefly(value, line);
            }
            line.push('}');
        }
        Value::Array(items) => {
            line.push('[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    line.push_str(", ");
                }
                told_briefly(item, line);
            }
            line.push(']');
        }
        other => write!(line, "{other}").unwrap(),
    }
}

fn shown(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Audio { url, .. } => url.path().to_owned(),
        Prompt::Markup { ssml, .. } => ssml.clone(),
        Prompt::Recording { recording, .. } => format!("recording {}", recording.0),
        Prompt::Speech { text, language: None } => format!("{text:?}"),
        Prompt::Speech { text, language: Some(language) } => format!("{text:?} in {language}"),
        other => format!("{other:?}"),
    }
}
