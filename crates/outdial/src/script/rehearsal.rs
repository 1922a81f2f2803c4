//! A call without a telephone: runs a script with a callee who acts, in time that does not pass.
//!
//! Pages and sounds are really fetched; prompts take a second, and silence no time at all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use domain::time::Timestamp;
use engine::clock::Clock;
use engine::fetch::Fetcher;
use engine::files::{AudioWish, Take, Takes};
use engine::http::CookieJar;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use script::actions::{Instance, Runner};
use script::machine::Script;
use script::step::{
    Connect, Fetch, Heard, Hypothesis, Input, Listen, PlayId, Prompt, Record, RecordEnd, Recorded,
    RecordingId, Session, StartPage, StayEnd, Step, Timer, Transfer, TransferEnd, TransferKind,
};
use script::vxml::{Limits, Vxml};

/// Who takes part in a rehearsal.
pub(crate) trait Callee: Send {
    /// What happens, to be seen.
    fn sees(&mut self, event: Event<'_>);
    /// What the callee does, now that it is his turn.
    fn acts(&mut self, turn: Turn) -> Act;
    /// What the far end of a transfer does.
    fn far_end(&mut self, transfer: &Transfer) -> FarEnd;
}

/// Something that happens in a rehearsal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'e> {
    /// A sound is played.
    Audio(&'e str),
    /// The script has ended, with these values.
    Ended(&'e BTreeMap<String, String>),
    /// The script wants the call to end.
    HangsUp,
    /// Keys are sent to the callee.
    Keys(&'e str),
    Log {
        label: &'e str,
        text: &'e str,
    },
    /// A sound cannot be had: its fallback is played, or nothing.
    NoAudio {
        address: &'e str,
        reason: &'e str,
    },
    Problem {
        event: &'e str,
        message: &'e str,
    },
    /// The script records; a beep comes first where it asks for one.
    Records(&'e Record),
    /// A text is spoken.
    Says(&'e str),
    /// What waits for something else has its time.
    TimeRuns(Timer),
    Transfers(&'e Transfer),
}

/// Whose turn it is for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Listening {
        speech: bool,
    },
    Recording,
    /// The two talk, and keys may end it.
    Talking,
}

/// What a callee does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    HangUp,
    /// Presses these keys.
    Keys(String),
    /// Does or says something that means nothing.
    Noise,
    /// Nothing.
    Silence,
    /// Speaks for a while, into a recording.
    Speech(Duration),
    /// Says these words.
    Words(String),
}

/// What a far end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FarEnd {
    /// Answers, and hangs up after a while where that is said.
    Answers(Option<Duration>),
    /// Does not get so far.
    Ends(TransferEnd),
    /// Rings and does not answer.
    Rings,
}

/// Most things that happen in a rehearsal: a script that goes on for ever ends here.
const TURNS_MAX: u32 = 20_000;
/// How long a prompt sounds.
const PROMPT_TIME: Duration = Duration::from_secs(1);
/// Words that no grammar has.
const NOISE: &str = "unrecognizable";
/// A key that hardly any grammar has.
const NOISE_KEY: &str = "D";
/// Others that pages of actions may call at once.
const CONNECTS_MAX: usize = 8;
/// How long it takes to press a key.
const KEY_TIME: Duration = Duration::from_millis(200);
/// How long a far end rings before it answers.
const RING_TIME: Duration = Duration::from_secs(3);
/// Samples, of a byte each, in a millisecond of recorded sound.
const SAMPLES_PER_MS: u128 = 8;
/// A sample of silence, or nearly so, by either law.
const SILENCE: u8 = 0xd5;
/// How long and of what media type the sound of something said is.
const UTTERANCE_TIME: Duration = Duration::from_secs(1);
const UTTERANCE_TYPE: &str = "audio/x-wav";

/// A call without a telephone.
pub(crate) struct Rehearsal<C> {
    script: Script,
    fetcher: Fetcher,
    cookies: CookieJar,
    clock: Clock,
    pub(crate) callee: C,
    now: Timestamp,
    plays: VecDeque<(PlayId, Vec<Prompt>)>,
    fetches: VecDeque<Fetch>,
    ear: Option<Listen>,
    record: Option<Record>,
    /// What was recorded: silence, as long as what was said.
    takes: Takes,
    transfer: Option<(Transfer, FarEnd, Connected)>,
    /// What is to be told to the script before anything else.
    owed: VecDeque<Input>,
    gone: bool,
    ended: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connected {
    No,
    Yes,
}

impl<C: Callee> Rehearsal<C> {
    /// Of VoiceXML documents.
    pub(crate) fn new(fetcher: Fetcher, callee: C) -> Self {
        Self::of(Script::Vxml(Box::new(Vxml::new(Limits::default(), 1))), fetcher, callee)
    }

    /// Of pages of actions.
    pub(crate) fn of_actions(fetcher: Fetcher, callee: C) -> Self {
        let instance = Instance {
            id: "rehearsal".into(),
            call: "rehearsal".into(),
            connects_max: CONNECTS_MAX,
            ..Instance::default()
        };
        let limits = script::actions::Limits::default();
        Self::of(Script::Actions(Box::new(Runner::new(limits, instance))), fetcher, callee)
    }

    fn of(script: Script, fetcher: Fetcher, callee: C) -> Self {
        let clock = Clock::new();
        Self {
            script,
            fetcher,
            cookies: CookieJar::default(),
            now: clock.now(),
            clock,
            callee,
            plays: VecDeque::new(),
            fetches: VecDeque::new(),
            ear: None,
            record: None,
            takes: Takes::default(),
            transfer: None,
            owed: VecDeque::new(),
            gone: false,
            ended: None,
        }
    }

    /// Runs to the end; the values that the script gave back, `None` where it does not end.
    pub(crate) async fn run(&mut self, page: StartPage) -> Option<BTreeMap<String, String>> {
        let session = Session {
            local_uri: "tel:+15550100".into(),
            remote_uri: "tel:+15550199".into(),
            protocol_name: "sip".into(),
            protocol_version: "2.0".into(),
            callee_type: "unknown".into(),
            ..Session::default()
        };
        self.feed(Input::Start { session, page });
        for _ in 0..TURNS_MAX {
            if self.ended.is_some() {
                break;
            }
            self.turn().await;
        }
        self.ended.take()
    }

    /// The next thing that happens.
    async fn turn(&mut self) {
        if let Some(input) = self.owed.pop_front() {
            self.feed(input);
        } else if let Some((play, prompts)) = self.plays.pop_front() {
            self.play(play, &prompts).await;
        } else if let Some(fetch) = self.fetches.pop_front() {
            self.get(&fetch).await;
        } else if let Some(record) = self.record.take() {
            self.record(record);
        } else if let Some(transfer) = self.transfer.take() {
            self.transfer(transfer);
        } else if self.is_turn_of_callee() {
            self.take_turn();
        } else if let Some((at, timer)) = self.script.deadline() {
            self.expire(at, timer);
        } else {
            // Nothing more can happen but this.
            self.hang_up();
        }
    }

    fn feed(&mut self, input: Input) {
        self.script.handle(self.now, input);
        while let Some(step) = self.script.poll() {
            self.take(step);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::End { values } => {
                self.callee.sees(Event::Ended(&values));
                self.ended = Some(values);
            }
            Step::Connect(connect) => self.connect(connect),
            Step::EndTransfer => {
                if let Some((transfer, ..)) = self.transfer.take() {
                    let end = TransferEnd::Ended;
                    self.owed.push_back(Input::TransferEnded { transfer: transfer.transfer, end });
                }
            }
            Step::Fetch(fetch) => self.fetches.push_back(fetch),
            Step::HangUp => {
                self.callee.sees(Event::HangsUp);
                self.gone = true;
            }
            Step::Join(join) => {
                let (stay, end) = (join.stay, StayEnd::Unsupported);
                self.owed.push_back(Input::StayEnded { stay, end });
            }
            Step::Leave | Step::StopTranscribe => {}
            Step::Listen(listen) => self.ear = Some(listen),
            Step::Log { label, text } => {
                self.callee.sees(Event::Log { label: &label, text: &text })
            }
            Step::Play { play, prompts } => self.plays.push_back((play, prompts)),
            Step::Problem { event, message } => {
                self.callee.sees(Event::Problem { event: &event, message: &message });
            }
            Step::Record(record) => {
                self.callee.sees(Event::Records(&record));
                self.record = Some(record);
            }
            Step::SendKeys { keys } => {
                self.callee.sees(Event::Keys(&keys));
                self.owed.push_back(Input::KeysSent);
            }
            Step::StopListen => self.ear = None,
            Step::StopPlay => self.plays.clear(),
            Step::StopRecord => {
                if let Some(record) = self.record.take() {
                    self.end_record(&record, RecordEnd::Stopped, Duration::from_secs(1));
                }
            }
            Step::Transcribe(wanted) => {
                let piece = Err("nobody writes down what is said in a rehearsal".to_owned());
                let transcript = wanted.transcript;
                self.owed.push_back(Input::Transcribed { transcript, piece });
            }
            Step::Transfer(transfer) => {
                self.callee.sees(Event::Transfers(&transfer));
                let does = self.callee.far_end(&transfer);
                self.transfer = Some((transfer, does, Connected::No));
            }
        }
    }

    /// Of several far ends the first one answers.
    fn connect(&mut self, connect: Connect) {
        let destination = connect.destinations.into_iter().next().unwrap_or_default();
        self.take(Step::Transfer(Transfer {
            transfer: connect.transfer,
            kind: TransferKind::Bridge,
            destination,
            connect_timeout: connect.connect_timeout,
            aai: String::new(),
        }));
    }

    // Output.

    async fn play(&mut self, play: PlayId, prompts: &[Prompt]) {
        let mut time = Duration::ZERO;
        for prompt in prompts {
            if let Prompt::Mark(name) = prompt {
                self.feed(Input::MarkReached { play, name: name.clone() });
            } else {
                self.sound(prompt).await;
                time += PROMPT_TIME;
            }
        }
        self.now = self.now + time;
        self.feed(Input::PlayEnded { play });
    }

    /// Lets a prompt be heard, or what stands for it. Boxed, since fallbacks have fallbacks.
    fn sound<'a>(&'a mut self, prompt: &'a Prompt) -> BoxFuture<'a, ()> {
        async move {
            match prompt {
                Prompt::Audio { url, timeout, maxage_s, maxstale_s, fallback } => {
                    let wish = AudioWish {
                        url: url.clone(),
                        timeout: *timeout,
                        maxage_s: *maxage_s,
                        maxstale_s: *maxstale_s,
                    };
                    match self.fetcher.audio(&wish, &self.cookies).await {
                        Ok(_) => self.callee.sees(Event::Audio(url.as_str())),
                        Err(error) => {
                            let (address, reason) = (url.as_str(), error.to_string());
                            self.callee.sees(Event::NoAudio { address, reason: &reason });
                            for prompt in fallback {
                                self.sound(prompt).await;
                            }
                        }
                    }
                }
                Prompt::Markup { text, .. } | Prompt::Speech { text, .. } => {
                    self.callee.sees(Event::Says(text));
                }
                Prompt::Mark(_) | Prompt::Silence(_) => {}
                Prompt::Recording { .. } => self.callee.sees(Event::Audio("recording")),
            }
        }
        .boxed()
    }

    async fn get(&mut self, fetch: &Fetch) {
        let begun = self.clock.instant();
        let result = self.fetcher.page_with(fetch, &self.cookies, &self.takes).await;
        let arrived = self.now + self.clock.instant().duration_since(begun);
        // What the script does while it waits would have been done by now.
        while let Some((at, timer)) = self.script.deadline().filter(|(at, _)| *at <= arrived) {
            self.expire(at, timer);
        }
        self.now = arrived.max(self.now);
        self.feed(Input::Fetched { fetch: fetch.fetch, result });
    }

    // Input.

    fn is_turn_of_callee(&self) -> bool {
        let silence = matches!(self.script.deadline(), Some((_, Timer::NoInput)));
        !self.gone && (silence || self.ear.is_some())
    }

    fn take_turn(&mut self) {
        match self.callee.acts(Turn::Listening { speech: self.ear.is_some() }) {
            Act::HangUp => self.hang_up(),
            Act::Keys(keys) => self.press(&keys),
            Act::Noise => match self.ear.take() {
                Some(listen) => self.say(&listen, NOISE.to_owned()),
                None => self.press(NOISE_KEY),
            },
            Act::Silence | Act::Speech(_) => self.stay_silent(),
            Act::Words(words) => match self.ear.take() {
                Some(listen) => self.say(&listen, words),
                None => self.stay_silent(),
            },
        }
    }

    fn stay_silent(&mut self) {
        match self.script.deadline() {
            Some((at, timer)) => self.expire(at, timer),
            None => self.hang_up(),
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.now = self.now + KEY_TIME;
            self.feed(Input::Key(key));
        }
    }

    fn say(&mut self, asked: &Listen, words: String) {
        let listen = asked.listen;
        self.feed(Input::SpeechStarted { listen });
        let hypotheses = vec![Hypothesis { words, confidence: 0.9 }];
        let recording = asked.recording.map(|recording| {
            self.keep(recording, UTTERANCE_TYPE, RecordEnd::Silence, UTTERANCE_TIME)
        });
        self.feed(Input::Heard { listen, heard: Heard { hypotheses, recording } });
    }

    fn expire(&mut self, at: Timestamp, timer: Timer) {
        self.now = at.max(self.now);
        self.callee.sees(Event::TimeRuns(timer));
        self.feed(Input::Expired(timer));
    }

    fn hang_up(&mut self) {
        self.gone = true;
        self.ear = None;
        self.plays.clear();
        self.feed(Input::HungUp);
    }

    // Recordings and transfers.

    fn record(&mut self, record: Record) {
        match self.callee.acts(Turn::Recording) {
            Act::HangUp => {
                self.record = Some(record);
                self.hang_up();
            }
            Act::Keys(keys) => {
                self.record = Some(record);
                self.now = self.now + Duration::from_secs(1);
                self.press(&keys);
            }
            Act::Noise => self.speak_into(&record, Duration::from_secs(2)),
            Act::Silence => {
                self.now = self.now + record.timeout;
                self.end_record(&record, RecordEnd::NoInput, Duration::ZERO);
            }
            Act::Speech(time) => self.speak_into(&record, time),
            Act::Words(words) => match self.ear.take() {
                // They may be what ends it.
                Some(listen) => {
                    self.record = Some(record);
                    self.now = self.now + UTTERANCE_TIME;
                    self.say(&listen, words);
                }
                None => self.speak_into(&record, Duration::from_secs(5)),
            },
        }
    }

    fn speak_into(&mut self, record: &Record, time: Duration) {
        let full = time >= record.time_max;
        let end = if full { RecordEnd::Full } else { RecordEnd::Silence };
        let time = time.min(record.time_max);
        self.now = self.now + time;
        self.end_record(record, end, time);
    }

    fn end_record(&mut self, record: &Record, end: RecordEnd, duration: Duration) {
        let recorded = self.keep(record.recording, &record.media_type, end, duration);
        self.owed.push_back(Input::Recorded { recording: record.recording, recorded });
    }

    /// Keeps a recording of this length, so that pages can send it.
    fn keep(
        &self,
        recording: RecordingId,
        media_type: &str,
        end: RecordEnd,
        duration: Duration,
    ) -> Recorded {
        let samples = usize::try_from(duration.as_millis() * SAMPLES_PER_MS).unwrap_or(0);
        let sound = vec![SILENCE; samples];
        let law = Take::law_of(media_type);
        let kept = (samples > 0).then(|| self.takes.keep(recording, media_type, law, sound));
        Recorded { end, duration, bytes: kept.flatten().unwrap_or(0) }
    }

    fn transfer(&mut self, (transfer, does, connected): (Transfer, FarEnd, Connected)) {
        let id = transfer.transfer;
        match (does, connected) {
            (FarEnd::Ends(end), _) => self.feed(Input::TransferEnded { transfer: id, end }),
            (FarEnd::Answers(_), Connected::No) => {
                let at = self.now + RING_TIME;
                self.transfer = Some((transfer, does, Connected::No));
                if let Some((due, timer)) = self.script.deadline().filter(|(due, _)| *due < at) {
                    self.expire(due, timer);
                    return;
                }
                self.now = at;
                self.transfer =
                    self.transfer.take().map(|(it, does, _)| (it, does, Connected::Yes));
                self.feed(Input::TransferConnected { transfer: id });
            }
            (FarEnd::Answers(time), Connected::Yes) => {
                self.transfer = Some((transfer, does, connected));
                match self.callee.acts(Turn::Talking) {
                    Act::HangUp => self.hang_up(),
                    Act::Keys(keys) => self.press(&keys),
                    Act::Words(words) => match self.ear.take() {
                        Some(listen) => self.say(&listen, words),
                        None => self.talk(id, time),
                    },
                    Act::Noise | Act::Silence | Act::Speech(_) => self.talk(id, time),
                }
            }
            (FarEnd::Rings, _) => {
                self.transfer = Some((transfer, does, connected));
                self.stay_silent();
            }
        }
    }

    /// The two talk until the script or the far end has had enough.
    fn talk(&mut self, id: script::step::TransferId, time: Option<Duration>) {
        let hangs_up_at = time.map(|time| self.now + time);
        match (self.script.deadline(), hangs_up_at) {
            (Some((due, timer)), at) if at.is_none_or(|at| due <= at) => self.expire(due, timer),
            (_, Some(at)) => {
                self.now = at;
                self.transfer = None;
                let end = TransferEnd::FarEnd;
                self.feed(Input::TransferEnded { transfer: id, end });
            }
            // Nobody ends it: the callee does.
            (_, None) => self.hang_up(),
        }
    }
}
