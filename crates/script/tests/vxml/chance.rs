//! Chance: any keys, silences and hang-ups, at any time, on any golden document, also broken ones.

use proptest::prelude::*;
use script::step::{
    Fetch, FetchError, FetchId, Fetched, Heard, Hypothesis, Input, ListenError, ListenId, Method,
    PlayError, PlayId, RecordEnd, Recorded, RecordingId, StartPage, Step, Timer, TransferEnd,
    TransferId,
};
use script::vxml::{Limits, Vxml, check};

use crate::golden::serve;
use crate::world::{Act, FarEnd, World, url};

const PAGES: &[&str] = &[
    "prompts.vxml",
    "field.vxml",
    "menu.vxml",
    "builtins.vxml",
    "grammars.vxml",
    "keys.vxml",
    "bargein.vxml",
    "events.vxml",
    "handlers.vxml",
    "root.vxml",
    "sub/leaf1.vxml",
    "leaf2.vxml",
    "moves.vxml",
    "items.vxml",
    "filled.vxml",
    "submit.vxml",
    "session.vxml",
    "properties.vxml",
    "ways_out.vxml",
    "unhad.vxml",
    "voice.vxml",
    "trouble.vxml",
    "farewell.vxml",
    "callee_type.vxml",
    "endless.vxml#items",
    "endless.vxml#events",
    "endless.vxml#silence",
    "broken.vxml",
    "mixed.vxml",
    "subdialogs.vxml",
    "ends.vxml",
    "ends.vxml#endless",
    "record.vxml",
    "record.vxml#open",
    "record.vxml#quiet",
    "transfer.vxml",
    "transfer.vxml#blind",
    "transfer.vxml#consult",
    "links.vxml",
    "spoken.vxml",
    "hotword.vxml",
    "foreach.vxml",
    "data.vxml",
    "fetching.vxml",
    "universal.vxml",
    "tapered.vxml",
    "modes.vxml",
    "objects.vxml",
];

/// Small enough that hundreds of scripts without end are ended in no time.
fn limits() -> Limits {
    Limits { events_max: 20, jumps_max: 100, evaluation_ticks_max: 20, ..Limits::default() }
}

fn page() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PAGES)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => "[0-9*#]{1,6}".prop_map(Act::Keys),
        2 => "[0-9*#A-Dx]{1,4}".prop_map(Act::Barge),
        2 => "[0-9*#]{1,8}".prop_map(Act::Early),
        2 => Just(Act::Silence),
        1 => prop::sample::select(vec!["help", "sports", "stop it", "three"])
            .prop_map(|words| Act::Says(vec![(words.to_owned(), 0.7)])),
        1 => (0_u64..30).prop_map(Act::Records),
        1 => (0_u64..90).prop_map(|seconds| Act::FarEnd(FarEnd::Answers(seconds))),
        1 => Just(Act::FarEnd(FarEnd::Rings)),
        1 => Just(Act::FarEnd(FarEnd::Ends(TransferEnd::Transferred))),
        1 => Just(Act::Is("voice")),
        1 => Just(Act::IsInPrompt("fax")),
        1 => Just(Act::Stray),
        1 => Just(Act::HangUp),
        1 => Just(Act::HangUpInPrompt),
        1 => Just(Act::HangUpEarly),
    ]
}

/// Anything at all, sensible or not.
fn input() -> impl Strategy<Value = (i64, Input)> {
    let timer = prop::sample::select(vec![
        Timer::FetchAudio,
        Timer::InterDigit,
        Timer::NoInput,
        Timer::Reply,
        Timer::Term,
        Timer::TransferConnect,
        Timer::TransferMax,
    ]);
    let play = (0_u32..12).prop_map(PlayId);
    let error = prop_oneof![
        Just(PlayError::NoResource("x".to_owned())),
        Just(PlayError::Language("y".to_owned())),
        Just(PlayError::BadFetch("z".to_owned())),
    ];
    let input = prop_oneof![
        6 => any::<char>().prop_map(Input::Key),
        10 => prop::sample::select("0123456789*#".chars().collect::<Vec<_>>()).prop_map(Input::Key),
        4 => timer.prop_map(Input::Expired),
        4 => play.clone().prop_map(|play| Input::PlayEnded { play }),
        2 => (play, error).prop_map(|(play, error)| Input::PlayFailed { play, error }),
        1 => (0_u32..12).prop_map(|fetch| Input::Fetched {
            fetch: FetchId(fetch),
            result: Err(FetchError::Timeout),
        }),
        4 => of_speech(),
        4 => of_recordings_and_transfers(),
        1 => Just(Input::CalleeType("voice")),
        1 => Just(Input::HungUp),
    ];
    (0_i64..8_000, input)
}

fn of_speech() -> impl Strategy<Value = Input> {
    let listen = (0_u32..6).prop_map(ListenId);
    let words = prop::sample::select(vec!["", "sports", "one", "help", "7", "no such word"]);
    prop_oneof![
        listen.clone().prop_map(|listen| Input::SpeechStarted { listen }),
        listen.clone().prop_map(|listen| Input::SpeechTooLong { listen }),
        listen.clone().prop_map(|listen| Input::ListenFailed {
            listen,
            error: ListenError::NoResource("x".to_owned()),
        }),
        (listen, words, 0.0..1.0).prop_map(|(listen, words, confidence)| Input::Heard {
            listen,
            heard: Heard {
                hypotheses: vec![Hypothesis { words: words.to_owned(), confidence }],
                recording: None,
            },
        }),
    ]
}

fn of_recordings_and_transfers() -> impl Strategy<Value = Input> {
    let recording = (0_u32..6).prop_map(RecordingId);
    let transfer = (0_u32..4).prop_map(TransferId);
    let end = prop::sample::select(vec![RecordEnd::Full, RecordEnd::NoInput, RecordEnd::Silence]);
    let over = prop::sample::select(vec![
        TransferEnd::Busy,
        TransferEnd::FarEnd,
        TransferEnd::Protocol(500),
        TransferEnd::Transferred,
        TransferEnd::Unsupported,
    ]);
    prop_oneof![
        (recording.clone(), end, 0_u64..9).prop_map(|(recording, end, bytes)| Input::Recorded {
            recording,
            recorded: Recorded { end, duration: std::time::Duration::ZERO, bytes },
        }),
        recording.prop_map(|recording| Input::RecordFailed { recording, reason: "x".to_owned() }),
        transfer.clone().prop_map(|transfer| Input::TransferConnected { transfer }),
        (transfer, over).prop_map(|(transfer, end)| Input::TransferEnded { transfer, end }),
    ]
}

/// Answers fetches and takes steps until the machine wants nothing more; true at the end.
fn settle(vxml: &mut Vxml, now: i64, fails: bool) -> bool {
    let mut waiting = Vec::new();
    let mut owed = Vec::new();
    for _ in 0..20_000 {
        while let Some(step) = vxml.poll() {
            match step {
                Step::End { .. } => {
                    assert_eq!(vxml.poll(), None, "nothing follows the end");
                    return true;
                }
                Step::Fetch(fetch) => waiting.push(fetch),
                // Names count up, so that any of them may be the one at hand.
                Step::EndTransfer => {
                    owed.extend((0..9).map(|id| Input::TransferEnded {
                        transfer: TransferId(id),
                        end: TransferEnd::Ended,
                    }));
                }
                Step::StopRecord => {
                    owed.extend((0..200).map(|id| Input::Recorded {
                        recording: RecordingId(id),
                        recorded: Recorded {
                            end: RecordEnd::Stopped,
                            duration: std::time::Duration::from_secs(1),
                            bytes: 8_000,
                        },
                    }));
                }
                Step::Connect(_)
                | Step::HangUp
                | Step::Join(_)
                | Step::Leave
                | Step::Listen(_)
                | Step::Log { .. }
                | Step::Play { .. }
                | Step::Problem { .. }
                | Step::Record(_)
                | Step::SendKeys { .. }
                | Step::StopListen
                | Step::StopPlay
                | Step::StopTranscribe
                | Step::Transcribe(_)
                | Step::Transfer(_) => {}
            }
        }
        if let Some(input) = owed.pop() {
            vxml.handle(at(now), input);
            continue;
        }
        let Some(fetch) = waiting.pop() else {
            return false;
        };
        let result = answer(&fetch, fails);
        let fetch = fetch.fetch;
        vxml.handle(at(now), Input::Fetched { fetch, result });
    }
    panic!("the script fetches for ever");
}

fn answer(fetch: &Fetch, fails: bool) -> Result<Fetched, FetchError> {
    if fails && fetch.fetch.0 > 1 { Err(FetchError::Status(500)) } else { serve(fetch) }
}

fn at(millis: i64) -> domain::time::Timestamp {
    domain::time::Timestamp::from_millis(millis)
}

fn start(page: &str) -> Input {
    let page = StartPage::Url { url: url(page), method: Method::Get };
    Input::Start { session: World::session(), page }
}

/// The same document with some of its text gone, doubled or changed.
fn broken(text: &str, cuts: &[(usize, usize, u8)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (from, length, what) in cuts {
        let from = from % chars.len().max(1);
        let to = (from + length % 40).min(chars.len());
        let part: Vec<char> = chars[from..to].to_vec();
        match what % 4 {
            0 => drop(chars.drain(from..to)),
            1 => chars.splice(from..from, part).for_each(drop),
            2 => chars.splice(from..to, "<&\"'>/=".chars()).for_each(drop),
            _ => chars[from..to].reverse(),
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn any_callee_comes_to_an_end(page in page(), acts in prop::collection::vec(act(), 0..12)) {
        let mut world = World::new(limits(), &serve, acts);
        world.feed(start(page));
        world.run();
        prop_assert!(world.ended, "{}", world.story);
    }

    #[test]
    fn any_inputs_are_survived_and_after_hanging_up_the_end_comes(
        page in page(),
        inputs in prop::collection::vec(input(), 0..60),
        fails in any::<bool>(),
    ) {
        let mut vxml = Vxml::new(limits(), 3);
        let mut now = 0;
        vxml.handle(at(now), start(page));
        let mut ended = settle(&mut vxml, now, fails);
        for (later, input) in inputs {
            now += later;
            vxml.handle(at(now), input);
            ended = ended || settle(&mut vxml, now, fails);
        }
        vxml.handle(at(now), Input::HungUp);
        ended = ended || settle(&mut vxml, now, fails);
        prop_assert!(ended);
        prop_assert_eq!(vxml.deadline(), None);
    }

    #[test]
    fn broken_documents_are_judged_and_run_without_harm(
        page in page(),
        cuts in prop::collection::vec(any::<(usize, usize, u8)>(), 1..4),
        keys in "[0-9*#]{0,8}",
    ) {
        let page = page.split('#').next().unwrap_or_default();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
        let text = std::fs::read_to_string(format!("{folder}{page}")).unwrap();
        let text = broken(&text, &cuts);
        // What is wrong in ECMAScript, or leads nowhere, is only told when it is run.
        let later = |message: &str| {
            let parts = ["Error: ", "integer", "there is no dialog", "there is no form item"];
            parts.iter().any(|part| message.contains(part))
        };
        let mut mistakes = check(&text);
        mistakes.retain(|mistake| !later(&mistake.message));
        let mut vxml = Vxml::new(limits(), 3);
        let page = StartPage::Document(text);
        vxml.handle(at(0), Input::Start { session: World::session(), page });
        if !mistakes.is_empty() {
            let first = vxml.poll();
            let wanted = "error.badfetch";
            let told = matches!(&first, Some(Step::Problem { event, .. }) if event == wanted);
            prop_assert!(told, "{first:?}");
        }
        let mut ended = settle(&mut vxml, 0, false);
        for key in keys.chars() {
            vxml.handle(at(1_000), Input::Key(key));
            ended = ended || settle(&mut vxml, 1_000, false);
        }
        vxml.handle(at(2_000), Input::HungUp);
        prop_assert!(ended || settle(&mut vxml, 2_000, false));
    }
}

#[test]
fn the_machine_may_be_moved_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Vxml>();
    let mut vxml = Vxml::new(Limits::default(), 1);
    let page = StartPage::Document(
        "<vxml version='2.0'><form><var name='n' expr='[1, 2].length'/>\
         <field name='x' type='digits?length=1'>\
         <filled><exit expr='n + x'/></filled></field></form></vxml>"
            .to_owned(),
    );
    vxml.handle(at(0), Input::Start { session: World::session(), page });
    let vxml = std::thread::spawn(move || {
        vxml.handle(at(1), Input::Key('5'));
        vxml
    });
    let mut vxml = vxml.join().unwrap();
    let end = std::iter::from_fn(|| vxml.poll()).last();
    let Some(Step::End { values }) = end else {
        panic!("it ends");
    };
    assert_eq!(values["exit"], "25");
}
