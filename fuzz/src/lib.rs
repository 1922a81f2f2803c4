//! What the fuzz targets have in common: a callee and a server for scripts, and keys for grammars.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use domain::time::Timestamp;
use facade::import::ImportOptions;
use proto::rtp::rtcp::NtpTime;
use proto::rtp::{Codec, Setup, Terms};
use proto::sdp::{AddressPolicy, Privacy, Settings};
use script::machine::Script;
use script::srgs::{Draft, Library, Linked, Matcher, link};
use script::step::{
    FetchError, Fetched, Heard, Hypothesis, Input, ListenError, RecordEnd, Recorded, Session,
    StartPage, StayEnd, Step, TransferEnd,
};
use script::vxml::Limits;

/// Turns of one script: none that is contained takes more.
const TURNS_MAX: u32 = 2_000;
/// States of a grammar that is matched.
const STATES_MAX: usize = 5_000;

/// Limits that end scripts without end in no time.
pub fn limits() -> Limits {
    Limits {
        documents_max: 5,
        jumps_max: 50,
        statements_max: 2_000,
        evaluations_max: 2_000,
        events_max: 20,
        resources_max: 10,
        document_bytes_max: 64 * 1_024,
        grammar_states_max: STATES_MAX,
        script_memory_max_bytes: 4 << 20,
        evaluation_ticks_max: 20,
        call_ticks_max: 100,
        ..Limits::default()
    }
}

/// What we say of sound in a call.
pub fn sdp_settings() -> Settings {
    Settings {
        local: (Ipv4Addr::LOCALHOST, 4_000).into(),
        session_id: 1,
        codecs: vec![Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma],
        policy: AddressPolicy::LoopbackAllowed,
        privacy: Privacy::Plain,
    }
}

/// A stream from there.
pub fn rtp_setup(from: SocketAddr) -> Setup {
    /// One beginning for all: what is found must be found again.
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let terms = Terms::new(from, Codec::Pcmu, Some(101));
    Setup { seed: 7, now: *BEGUN, wall: NtpTime::from_unix(Duration::from_secs(1_000)), terms }
}

/// A list of which nothing is said beforehand.
pub fn import_options() -> ImportOptions {
    ImportOptions::default()
}

/// Runs a script to its end; what callee and server do follows from `chance`.
pub fn run(machine: &mut Script, text: &str, chance: &[u8]) {
    let mut world = World { text, chance: chance.iter().cycle(), spent: 0, now_ms: 0 };
    let (session, page) = (Session::default(), StartPage::Document(text.to_owned()));
    let mut waiting = vec![Input::Start { session, page }];
    for turn in 0..TURNS_MAX {
        let input = if waiting.is_empty() { world.by_itself(machine) } else { waiting.remove(0) };
        machine.handle(Timestamp::from_millis(world.now_ms), input);
        while let Some(step) = machine.poll() {
            if matches!(step, Step::End { .. }) {
                return;
            }
            waiting.extend(world.answer(step));
        }
        // Whoever has nothing more to do is hung up on.
        if turn + 1 == TURNS_MAX {
            machine.handle(Timestamp::from_millis(world.now_ms), Input::HungUp);
        }
    }
}

/// Callee and server.
struct World<'t> {
    text: &'t str,
    chance: std::iter::Cycle<std::slice::Iter<'t, u8>>,
    spent: u32,
    now_ms: i64,
}

impl World<'_> {
    fn chance(&mut self) -> u8 {
        self.spent += 1;
        self.chance.next().copied().unwrap_or(0).wrapping_add((self.spent >> 4) as u8)
    }

    /// What happens where nothing is answered: keys, time, hanging up.
    fn by_itself(&mut self, machine: &Script) -> Input {
        let deadline = machine.deadline();
        match (self.chance() % 16, deadline) {
            (0..=7, _) => Input::Key(char::from(b"0123456789*#1255"[usize::from(self.chance() % 16)])),
            (8, _) => Input::HungUp,
            (_, Some((at, timer))) => {
                self.now_ms = self.now_ms.max(at.as_millis());
                Input::Expired(timer)
            }
            (9, None) => Input::Interrupted { page: None },
            (_, None) => Input::CalleeType("machine"),
        }
    }

    fn answer(&mut self, step: Step) -> Option<Input> {
        let chance = self.chance();
        Some(match step {
            Step::Play { play, .. } => Input::PlayEnded { play },
            Step::Fetch(fetch) => {
                let result = match chance % 4 {
                    0 => Err(FetchError::Status(404)),
                    1 => Err(FetchError::Timeout),
                    _ => Ok(Fetched {
                        url: fetch.url,
                        content_type: "text/xml".to_owned(),
                        text: self.text.to_owned(),
                    }),
                };
                Input::Fetched { fetch: fetch.fetch, result }
            }
            Step::Listen(wanted) if chance % 2 == 0 => {
                let error = ListenError::NoResource("none".to_owned());
                Input::ListenFailed { listen: wanted.listen, error }
            }
            Step::Listen(wanted) => {
                let words = self.text.split(['<', '>']).nth(usize::from(chance));
                let words = words.unwrap_or("one").to_owned();
                let hypotheses = vec![Hypothesis { words, confidence: 0.7 }];
                Input::Heard { listen: wanted.listen, heard: Heard { hypotheses, recording: None } }
            }
            Step::Record(wanted) => {
                let duration = Duration::from_secs(u64::from(chance));
                let recorded = Recorded { end: RecordEnd::Silence, duration, bytes: 8_000 };
                Input::Recorded { recording: wanted.recording, recorded }
            }
            Step::Transfer(wanted) => {
                let end = if chance % 2 == 0 { TransferEnd::Busy } else { TransferEnd::FarEnd };
                Input::TransferEnded { transfer: wanted.transfer, end }
            }
            Step::Connect(wanted) => {
                Input::TransferEnded { transfer: wanted.transfer, end: TransferEnd::NoAnswer }
            }
            Step::Join(wanted) => Input::StayEnded { stay: wanted.stay, end: StayEnd::Closed },
            Step::SendKeys { .. } => Input::KeysSent,
            Step::Transcribe(wanted) => {
                Input::Transcribed { transcript: wanted.transcript, piece: Ok(None) }
            }
            _ => return None,
        })
    }
}

/// Links a grammar, and feeds it keys and words that it has; then tells what they mean.
pub fn match_grammar(draft: Draft, chance: &[u8]) {
    let draft = Arc::new(draft);
    let Ok(Linked::Ready(grammar)) = link(&draft, None, &Library::default(), STATES_MAX) else {
        return;
    };
    let grammar = Arc::new(*grammar);
    let vocabulary: Vec<String> =
        grammar.vocabulary().into_iter().take(256).map(str::to_owned).collect();
    if vocabulary.is_empty() {
        return;
    }
    let Ok(mut matcher) = Matcher::new(Arc::clone(&grammar)) else { return };
    let mut said = Vec::new();
    for byte in chance.iter().rev().take(12) {
        let word = &vocabulary[usize::from(*byte) % vocabulary.len()];
        let Ok(verdict) = matcher.feed(word) else { return };
        said.push(word.clone());
        if verdict.complete {
            for reading in matcher.readings(&said, 3, 0.5).unwrap_or_default() {
                // An error is the script's own.
                script::srgs::evaluate(&reading.meaning, &limits()).ok();
            }
        }
    }
}
