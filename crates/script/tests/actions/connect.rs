//! `connect`: who is called, what he hears before he talks, and what is told of each.

use expect_test::expect;
use script::actions::{Instance, Limits, PageMethod, Runner};
use script::step::{
    FarScript, FetchError, Fetched, Input, Method, RecordingId, Session, StartPage, Step,
};

use super::golden::story;

#[test]
fn connect_lets_two_talk_and_tells_how_long() {
    let page = r##"{"actions": [{"connect": {"destinations": ["+15550111"], "next_page": {"url": "got"},
        "hold_media": {"play_list": [{"file_to_play": "hold.wav"}]},
        "secondary_call": {"final_page": {"url": "final2"}}}}]}"##;
    story(
        &[("first", page), ("got", ""), ("final2", "")],
        "@7",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 calls tel:+15550111 for 30s, meanwhile Script
            0.1 plays /hold.wav
            1.1 plays /hold.wav
            2.1 plays /hold.wav
            3.1 stops playing
            10.1 POST /final2 token="start" this_call {application_parameters: "", call_cause: "hung_up", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "200", call_state: "idle", call_target: "+15550111", call_to: "+15550111", far_end_type: "human", outbound_parameters: "order 7", seconds_call_duration: 7.0} dropped_calls [] action_result {action: "connect", result: {call_cause: "hung_up", call_raw_cause: "200", calls: [{call_cause: "hung_up", call_id: "call-1-1", call_raw_cause: "200", call_to: "+15550111"}], seconds_connected_duration: 7.0}}
            10.1 POST /got token="start" action_result {action: "connect", result: {call_cause: "hung_up", call_raw_cause: "200", calls: [{call_cause: "hung_up", call_id: "call-1-1", call_raw_cause: "200", call_to: "+15550111"}], seconds_connected_duration: 7.0}}
            10.2 ends with token "start"
        "#]],
    );
}

#[test]
fn connect_ends_when_nobody_answers_or_they_have_talked_long_enough() {
    let page = r##"{"actions": [{"connect": {"destinations": ["+15550111"], "next_page": {"url": "got"},
        "seconds_answer_timeout": 5, "secondary_call": {"minutes_max_call_duration": 1}}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "@rings",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 calls tel:+15550111 for 5s, meanwhile Tone
            5.1 nobody answers
            5.1 ends the other call
            5.1 POST /got token="start" action_result {action: "connect", result: {call_cause: "no_answer", call_raw_cause: "480", calls: [{call_cause: "no_answer", call_id: "call-1-1", call_raw_cause: "480", call_to: "+15550111"}], seconds_connected_duration: 0.0}}
            5.2 ends with token "start"
        "#]],
    );
    story(
        &[("first", page), ("got", "")],
        "@600",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 calls tel:+15550111 for 5s, meanwhile Tone
            63.1 talked long enough
            63.1 ends the other call
            63.1 POST /got token="start" action_result {action: "connect", result: {call_cause: "completed", call_raw_cause: "200", calls: [{call_cause: "completed", call_id: "call-1-1", call_raw_cause: "200", call_to: "+15550111"}], seconds_connected_duration: 60.0}}
            63.2 ends with token "start"
        "#]],
    );
}

#[test]
fn connect_calls_several_at_once_with_a_page_for_who_answers() {
    let page = r##"{"actions": [{"connect": {"destinations": ["tel:+15550111", "ann@example.com"],
        "call_from": "+15550100", "secondary_call": {"first_page": {"url": "whisper"},
        "call_recording": true, "final_page": {"url": "final2"}}}},
        {"play": {"play_list": [{"text_to_say": "Bye."}]}}]}"##;
    story(
        &[("first", page), ("final2", "")],
        "@9",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 calls tel:+15550111 and sip:ann@example.com for 30s, meanwhile Tone, as +15550100, who hears /whisper first, recorded Mixed
            12.1 POST /final2 token="start" this_call {application_parameters: "", call_cause: "hung_up", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "200", call_recording_filename: "/recordings/1", call_state: "idle", call_target: "+15550111", call_to: "+15550111", far_end_type: "human", outbound_parameters: "order 7", seconds_call_duration: 9.0} dropped_calls [{application_parameters: "", call_cause: "dropped", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-2", call_raw_cause: "487", call_state: "idle", call_target: "sip:ann@example.com", call_to: "sip:ann@example.com", outbound_parameters: "order 7", seconds_call_duration: 0.0}] action_result {action: "connect", result: {call_cause: "hung_up", call_raw_cause: "200", calls: [{call_cause: "hung_up", call_id: "call-1-1", call_raw_cause: "200", call_to: "+15550111"}, {call_cause: "dropped", call_id: "call-1-2", call_raw_cause: "487", call_to: "sip:ann@example.com"}], seconds_connected_duration: 9.0}}
            12.1 plays "Bye."
            13.1 ends with token "start"
        "#]],
    );
}

#[test]
fn far_end_that_refuses_after_its_page_is_told_as_answered_and_not_connected() {
    let page = r##"{"actions": [{"connect": {"destinations": ["1", "2"], "seconds_answer_timeout": 4,
        "classify_callee": {"hang_up_on_answering_machine": false}, "secondary_call":
        {"first_page": {"url": "whisper"}, "call_recording": true, "call_recording_mode": "separate"},
        "next_page": {"url": "got"}}}]}"##;
    // It takes longer over its page than it may ring: that is no matter.
    story(
        &[("first", page), ("got", "")],
        "@!5",
        expect![[r#"
        0.0 POST /first token="start"
        0.1 calls tel:1 and tel:2 for 4s, meanwhile Tone, machine Wait, fax HangUp, who hears /whisper first, recorded Separate
        8.1 POST /got token="start" action_result {action: "connect", result: {call_cause: "completed", call_raw_cause: "200", calls: [{call_cause: "completed", call_id: "call-1-1", call_raw_cause: "200", call_to: "1"}, {call_cause: "dropped", call_id: "call-1-2", call_raw_cause: "487", call_to: "2"}], seconds_connected_duration: 0.0}}
        8.2 ends with token "start"
    "#]],
    );
}

#[test]
fn everybody_who_is_busy_is_told_of_one_by_one() {
    let page = r##"{"actions": [{"connect": {"destinations": ["1", "2"], "pass_early_media": false,
        "secondary_call": {"final_page": {"url": "final2"}}, "next_page": {"url": "got"}}}]}"##;
    story(
        &[("first", page), ("got", ""), ("final2", "")],
        "@busy",
        expect![[r#"
        0.0 POST /first token="start"
        0.1 calls tel:1 and tel:2 for 30s, meanwhile Tone
        3.1 POST /final2 token="start" this_call {application_parameters: "", call_cause: "busy", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-2", call_raw_cause: "486", call_state: "idle", call_target: "2", call_to: "2", outbound_parameters: "order 7", seconds_call_duration: 0.0} dropped_calls [{application_parameters: "", call_cause: "busy", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "486", call_state: "idle", call_target: "1", call_to: "1", outbound_parameters: "order 7", seconds_call_duration: 0.0}] action_result {action: "connect", result: {call_cause: "busy", call_raw_cause: "486", calls: [{call_cause: "busy", call_id: "call-1-1", call_raw_cause: "486", call_to: "1"}, {call_cause: "busy", call_id: "call-1-2", call_raw_cause: "486", call_to: "2"}], seconds_connected_duration: 0.0}}
        3.1 POST /got token="start" action_result {action: "connect", result: {call_cause: "busy", call_raw_cause: "486", calls: [{call_cause: "busy", call_id: "call-1-1", call_raw_cause: "486", call_to: "1"}, {call_cause: "busy", call_id: "call-1-2", call_raw_cause: "486", call_to: "2"}], seconds_connected_duration: 0.0}}
        3.2 ends with token "start"
    "#]],
    );
}

/// What runs on somebody who is called by a connect: fed by hand, for it has no callee.
fn of_far_end(page: &str, more: &[&str]) -> Vec<String> {
    let instance = Instance { call: "call-1".into(), is_far_end: true, ..Instance::default() };
    let url = url::Url::parse("http://app.example/whisper").unwrap();
    let kept = vec![("inst-1-1.wav".to_owned(), RecordingId(1))];
    let script = FarScript { url: url.clone(), method: PageMethod::Post, instance, kept };
    let mut runner = Runner::of_far_end(Limits::default(), script, 2);
    let page_url = StartPage::Url { url: url.clone(), method: Method::Post(Vec::new()) };
    let mut inputs = vec![Input::Start { session: Session::default(), page: page_url }];
    let mut answers = std::iter::once(page).chain(more.iter().copied());
    let mut steps = Vec::new();
    while let Some(input) = inputs.pop() {
        runner.handle(domain::time::Timestamp::from_millis(0), input);
        while let Some(step) = runner.poll() {
            match &step {
                Step::Fetch(fetch) => {
                    let text = answers.next().map(str::to_owned);
                    let fetched = text.map(|text| Fetched {
                        url: url.clone(),
                        content_type: String::new(),
                        text,
                    });
                    let result = fetched.ok_or(FetchError::Status(500));
                    inputs.push(Input::Fetched { fetch: fetch.fetch, result });
                }
                Step::Play { play, .. } => inputs.push(Input::PlayEnded { play: *play }),
                _ => {}
            }
            let text = format!("{step:?}");
            steps.push(text.split(['(', ' ']).next().unwrap_or_default().to_owned());
        }
    }
    steps
}

#[test]
fn far_end_talks_when_its_page_is_over_unless_that_hung_up_or_could_not_be_had() {
    let greets = r##"{"actions": [{"play": {"play_list": [{"file_to_play": "inst-1-1.wav"}]}}]}"##;
    assert_eq!(of_far_end(greets, &[]), ["Fetch", "Play", "End"]);
    assert_eq!(of_far_end("", &[]), ["Fetch", "End"]);
    let refuses = r##"{"actions": [{"hang_up": {}}]}"##;
    assert_eq!(of_far_end(refuses, &[]), ["Fetch", "HangUp", "End"]);
    let lost = r##"{"actions": [{"redirect": {"next_page": {"url": "gone"}}}]}"##;
    assert_eq!(of_far_end(lost, &[]), ["Fetch", "Fetch", "Problem", "HangUp", "End"]);
    let calls = r##"{"actions": [{"connect": {"destinations": ["1"]}}]}"##;
    assert_eq!(of_far_end(calls, &[]), ["Fetch", "Problem", "HangUp", "End"]);
    let joins = r##"{"actions": [{"conference": {"conference_name": "x"}}]}"##;
    assert_eq!(of_far_end(joins, &[]), ["Fetch", "Problem", "HangUp", "End"]);
}

#[test]
fn connect_to_more_than_the_service_has_channels_for_is_an_error() {
    let page = r##"{"actions": [{"connect": {"destinations": ["1", "2", "3"]}}]}"##;
    story(
        &[("first", page), ("error", "")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 problem connect: 3 destinations are to be called at once; the service has 2 extra channels
              0.1 POST /error token="start" error_result {action: "connect", result: "3 destinations are to be called at once; the service has 2 extra channels"}
              0.2 ends with token "start"
        "#]],
    );
}
