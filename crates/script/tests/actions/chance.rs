//! Pages, inputs and bytes that chance makes: nothing panics, every application ends.

use domain::time::Timestamp;
use proptest::prelude::*;
use script::actions::{Instance, Limits, Runner, check};
use script::step::{
    FarEndNews, FetchError, FetchId, Fetched, Input, ListenId, PlayError, PlayId, RecordEnd,
    Recorded, RecordingId, Session, StartPage, StayEnd, StayId, Step, Timer, TransferEnd,
    TransferId,
};
use url::Url;

use super::world::World;

const ACTIONS: [&str; 19] = [
    r#"{"play": {"play_list": [{"text_to_say": "Hello."}, {"digits_to_play": "1"}]}}"#,
    r#"{"play": {"play_list": []}}"#,
    r#"{"play": {"play_list": [{"file_to_play": "missing.wav"}], "barge_in_on_digit": false}}"#,
    r#"{"record": {"next_page": {"url": "b"}, "recording_available_page": {"url": "c"}}}"#,
    r#"{"get_number": {"next_page": {"url": "b"}, "prompt": {"play_list": []}}}"#,
    r#"{"get_number": {"next_page": {"url": "a"}, "digit_count": 3, "seconds_timeout": 0}}"#,
    r#"{"get_input": {"next_page": {"url": "c"}, "speech_recognition_options": {"phrases": ["a"]}}}"#,
    r#"{"run_menu": {"menu_options": [{"digit": "1", "next_page": {"url": "a"}}]}}"#,
    r#"{"run_speech_menu": {"menu_options": [{"word": "yes", "next_page": {"url": "a"}}]}}"#,
    r#"{"connect": {"destinations": ["1"], "hold_media": {"play_list": [{"text_to_say": "x"}]}}}"#,
    r#"{"connect": {"destinations": ["1", "2"], "hold_media": {"play_list": []}}}"#,
    r#"{"connect": {"destinations": ["1"], "classify_callee": {}, "secondary_call": {
        "first_page": {"url": "a"}, "final_page": {"url": "b"}}, "next_page": {"url": "c"}}}"#,
    r#"{"conference": {"conference_name": "x", "exit_digits": "1"}}"#,
    r#"{"redirect": {"next_page": {"url": "a"}}}"#,
    r#"{"sleep": {"seconds": 0}}"#,
    r#"{"sleep": {"seconds": 2}}"#,
    r#"{"send_digits": {"digits": "12"}}"#,
    r#"{"start_transcription": {"results_page": {"url": "c"}}}"#,
    r#"{"hang_up": {}}"#,
];

fn any_page() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&ACTIONS[..]), 0..5)
        .prop_map(|actions| format!("{{\"actions\": [{}]}}", actions.join(",")))
}

fn any_input() -> impl Strategy<Value = Input> {
    let id = 0_u32..4;
    let page = any_page().prop_map(|text| Fetched {
        url: Url::parse("http://app.example/a").unwrap(),
        content_type: String::new(),
        text,
    });
    prop_oneof![
        Just(Input::HungUp),
        Just(Input::KeysSent),
        proptest::sample::select(vec!['0', '1', '#', '*', 'D']).prop_map(Input::Key),
        (id.clone(), page)
            .prop_map(|(id, page)| Input::Fetched { fetch: FetchId(id), result: Ok(page) }),
        id.clone()
            .prop_map(|id| Input::Fetched { fetch: FetchId(id), result: Err(FetchError::Timeout) }),
        id.clone().prop_map(|id| Input::PlayEnded { play: PlayId(id) }),
        id.clone().prop_map(|id| Input::PlayFailed {
            play: PlayId(id),
            error: PlayError::NoResource("x".into())
        }),
        id.clone().prop_map(|id| Input::SpeechStarted { listen: ListenId(id) }),
        id.clone().prop_map(|id| Input::Heard {
            listen: ListenId(id),
            heard: script::step::Heard::default()
        }),
        id.clone().prop_map(|id| Input::Recorded {
            recording: RecordingId(id),
            recorded: Recorded {
                end: RecordEnd::Full,
                duration: std::time::Duration::from_secs(3),
                bytes: 5
            }
        }),
        id.clone().prop_map(|id| Input::TransferConnected { transfer: TransferId(id) }),
        (id.clone(), 0_usize..3).prop_map(|(id, nth)| Input::FarEnd {
            transfer: TransferId(id),
            nth,
            news: FarEndNews::Answered
        }),
        id.clone().prop_map(|id| Input::TransferEnded {
            transfer: TransferId(id),
            end: TransferEnd::Busy
        }),
        id.clone().prop_map(|id| Input::StayBegan { stay: StayId(id) }),
        id.prop_map(|id| Input::StayEnded { stay: StayId(id), end: StayEnd::Closed }),
        proptest::sample::select(vec![
            Timer::InterDigit,
            Timer::NoInput,
            Timer::Reply,
            Timer::Retry,
            Timer::Sleep,
            Timer::TransferConnect,
            Timer::TransferMax,
        ])
        .prop_map(Input::Expired),
        Just(Input::Interrupted { page: None }),
        Just(Input::Interrupted {
            page: Some(StartPage::Document(
                "{\"actions\": [{\"sleep\": {\"seconds\": 1}}]}".into()
            ))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn application_of_random_pages_ends_with_one_end(
        (a, b, c) in (any_page(), any_page(), any_page()),
        acts in "([0-9#*]{1,2}|![0-9x]|-|@busy|@3|r2|<[0-9]|\"yes| ){0,12}",
    ) {
        let dialogue = acts.split(' ').collect::<Vec<_>>().join(" ");
        let dialogue = dialogue
            .replace('!', " !").replace('-', " - ").replace('@', " @")
            .replace('r', " r").replace('<', " <").replace('"', " \"")
            .replace("@busy", "@busy ").replace("@3", "@3 ").replace("\"yes", "\"yes ")
            .replace("r2", "r2 ");
        let pages = [("first", a.as_str()), ("a", a.as_str()), ("b", b.as_str()), ("c", c.as_str())];
        let mut world = World::new(&pages, &dialogue);
        world.play_through();
        prop_assert!(world.ended, "{}", world.story);
    }

    #[test]
    fn inputs_in_any_order_are_taken_and_nothing_follows_the_end(
        first in any_page(),
        inputs in proptest::collection::vec(any_input(), 0..60),
    ) {
        let mut runner = Runner::new(Limits::default(), Instance::default());
        let mut now = Timestamp::from_millis(0);
        let mut ends = 0;
        let page = StartPage::Document(first);
        let start = Input::Start { session: Session::default(), page };
        for input in std::iter::once(start).chain(inputs) {
            if let (Input::Expired(_), Some((at, timer))) = (&input, runner.deadline()) {
                now = now.max(at);
                runner.handle(now, Input::Expired(timer));
            } else {
                runner.handle(now, input);
            }
            while let Some(step) = runner.poll() {
                prop_assert_eq!(ends, 0, "{:?} after the end", step);
                ends += u32::from(matches!(step, Step::End { .. }));
            }
        }
    }

    #[test]
    fn any_text_is_a_page_or_has_mistakes(text in ".{0,200}") {
        check(&text, &Limits::default());
    }

    #[test]
    fn page_with_holes_and_twists_is_a_page_or_has_mistakes(
        page in any_page(),
        cuts in proptest::collection::vec((any::<proptest::sample::Index>(), "[\\[\\]{}\",:0-9a-z]?"), 1..6),
    ) {
        let mut signs: Vec<char> = page.chars().collect();
        for (at, sign) in cuts {
            let at = at.index(signs.len());
            match sign.chars().next() {
                Some(sign) => signs[at] = sign,
                None => drop(signs.remove(at)),
            }
        }
        check(&signs.into_iter().collect::<String>(), &Limits::default());
    }
}
