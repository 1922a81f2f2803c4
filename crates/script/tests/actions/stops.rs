//! What is stopped from outside, in every state: interrupts, and callees who hang up.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::world::World;

const OTHER: &str = r##"{"actions": [{"sleep": {"seconds": 5}}]}"##;

/// What stops the application.
#[derive(Clone, Copy)]
enum Stop {
    HangUp,
    Interrupt(&'static str),
}

/// A page, stopped by these after so many seconds; the story.
fn stopped(page: &str, dialogue: &str, stops: &[(f64, Stop)], expected: Expect) {
    let more = [("final2", ""), ("got", OTHER), ("other", OTHER), ("third", OTHER)];
    let mut world = World::new(&[&[("first", page)], &more[..]].concat(), dialogue);
    world.start(script::step::Method::Post(Vec::new()));
    for (at, stop) in stops {
        world.run_until(*at);
        match stop {
            Stop::HangUp => world.hang_up(),
            Stop::Interrupt(page) => world.interrupt(page),
        }
    }
    expected.assert_eq(&world.run_on());
}

const BY_OTHER: Stop = Stop::Interrupt("other");

#[test]
fn interrupt_while_a_page_is_fetched_is_not_lost_and_the_page_is() {
    let page = r##"{"actions": [{"redirect": {"next_page": {"url": "got"}}}]}"##;
    // Before the first page has come, and before the second one has.
    stopped(
        page,
        "",
        &[(0.05, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.0 is interrupted
        0.0 POST /other token="start"
        5.1 has slept
        5.1 ends with token "start"
    "#]],
    );
    stopped(
        page,
        "",
        &[(0.15, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 POST /got token="start"
        0.1 is interrupted
        0.1 POST /other token="start"
        5.2 has slept
        5.2 ends with token "start"
    "#]],
    );
    // What was asked and answered is told to the page that is fetched; it is not under way.
    let asks =
        r##"{"actions": [{"get_number": {"digit_count": 1, "next_page": {"url": "got"}}}]}"##;
    stopped(
        asks,
        "7",
        &[(0.15, BY_OTHER)],
        expect![[r#"
            0.0 POST /first token="start"
            0.1 key 7
            0.1 POST /got token="start" action_result {action: "get_number", result: {entered_number: "7"}}
            0.1 is interrupted
            0.1 POST /other token="start"
            5.2 has slept
            5.2 ends with token "start"
        "#]],
    );
}

#[test]
fn second_interrupt_is_the_one_that_counts() {
    let page = r##"{"actions": [{"sleep": {"seconds": 60}}]}"##;
    let third = Stop::Interrupt("third");
    stopped(
        page,
        "",
        &[(1.0, BY_OTHER), (1.05, third)],
        expect![[r#"
        0.0 POST /first token="start"
        1.0 is interrupted
        1.0 POST /other token="start" action_result {action: "sleep"}
        1.0 is interrupted
        1.0 POST /third token="start"
        6.1 has slept
        6.1 ends with token "start"
    "#]],
    );
    stopped(
        page,
        "",
        &[(1.0, BY_OTHER), (2.0, third), (2.0, Stop::Interrupt(""))],
        expect![[r#"
        0.0 POST /first token="start"
        1.0 is interrupted
        1.0 POST /other token="start" action_result {action: "sleep"}
        2.0 is interrupted
        2.0 POST /third token="start" action_result {action: "sleep"}
        2.0 is interrupted
        2.0 ends with token "start"
    "#]],
    );
}

#[test]
fn interrupt_stops_questions_recordings_and_keys_that_are_sent() {
    let asks = r##"{"actions": [{"get_number": {"digit_count": 1, "next_page": {"url": "got"},
        "prompt": {"play_list": [{"text_to_say": "Number?"}]}}}]}"##;
    stopped(
        asks,
        "",
        &[(0.5, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 plays "Number?"
        0.5 is interrupted
        0.5 stops playing
        0.5 POST /other token="start" action_result {action: "get_number"}
        5.6 has slept
        5.6 ends with token "start"
    "#]],
    );
    stopped(
        asks,
        "",
        &[(2.0, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 plays "Number?"
        2.0 is interrupted
        2.0 stops playing
        2.0 POST /other token="start" action_result {action: "get_number"}
        7.1 has slept
        7.1 ends with token "start"
    "#]],
    );
    let records = r##"{"actions": [{"record": {"next_page": {"url": "got"}}}]}"##;
    stopped(
        records,
        "",
        &[(2.0, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 records up to 60s
        2.0 is interrupted
        2.0 stops recording
        2.0 POST /other token="start" action_result {action: "record"}
        7.1 has slept
        7.1 ends with token "start"
    "#]],
    );
    let sends = r##"{"actions": [{"send_digits": {"digits": "123"}}]}"##;
    stopped(
        sends,
        "",
        &[(0.15, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 sends 123
        0.1 is interrupted
        0.1 POST /other token="start" action_result {action: "send_digits"}
        5.2 has slept
        5.2 ends with token "start"
    "#]],
    );
}

const CONNECTS: &str = r##"{"actions": [{"connect": {"destinations": ["+15550111"],
    "next_page": {"url": "got"}, "secondary_call": {"final_page": {"url": "final2"}}}}]}"##;

#[test]
fn interrupt_ends_the_other_call_and_its_final_page_is_told() {
    // While it rings, and while the two talk.
    stopped(
        CONNECTS,
        "@rings",
        &[(2.0, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 calls tel:+15550111 for 30s, meanwhile Tone
        2.0 is interrupted
        2.0 stops playing
        2.0 ends the other call
        2.0 POST /final2 token="start" this_call {application_parameters: "", call_cause: "dropped", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "487", call_state: "idle", call_target: "+15550111", call_to: "+15550111", outbound_parameters: "order 7", seconds_call_duration: 0.0} dropped_calls [] action_result {action: "connect", result: {call_cause: "dropped", call_raw_cause: "487", calls: [{call_cause: "dropped", call_id: "call-1-1", call_raw_cause: "487", call_to: "+15550111"}], seconds_connected_duration: 0.0}}
        2.0 POST /other token="start" action_result {action: "connect"}
        7.1 has slept
        7.1 ends with token "start"
    "#]],
    );
    stopped(
        CONNECTS,
        "@60",
        &[(5.1, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 calls tel:+15550111 for 30s, meanwhile Tone
        5.1 is interrupted
        5.1 stops playing
        5.1 ends the other call
        5.1 POST /final2 token="start" this_call {application_parameters: "", call_cause: "completed", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "200", call_state: "idle", call_target: "+15550111", call_to: "+15550111", far_end_type: "human", outbound_parameters: "order 7", seconds_call_duration: 2.0} dropped_calls [] action_result {action: "connect", result: {call_cause: "completed", call_raw_cause: "200", calls: [{call_cause: "completed", call_id: "call-1-1", call_raw_cause: "200", call_to: "+15550111"}], seconds_connected_duration: 2.0}}
        5.1 POST /other token="start" action_result {action: "connect"}
        10.2 has slept
        10.2 ends with token "start"
    "#]],
    );
}

#[test]
fn callee_who_hangs_up_ends_the_other_call_and_its_final_page_is_told() {
    stopped(
        CONNECTS,
        "@rings",
        &[(2.0, Stop::HangUp)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 calls tel:+15550111 for 30s, meanwhile Tone
        2.0 callee hangs up
        2.0 stops playing
        2.0 ends the other call
        2.0 POST /final2 token="start" this_call {application_parameters: "", call_cause: "dropped", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "487", call_state: "idle", call_target: "+15550111", call_to: "+15550111", outbound_parameters: "order 7", seconds_call_duration: 0.0} dropped_calls [] action_result {action: "connect", result: {call_cause: "dropped", call_raw_cause: "487", calls: [{call_cause: "dropped", call_id: "call-1-1", call_raw_cause: "487", call_to: "+15550111"}], seconds_connected_duration: 0.0}}
        2.1 ends with token "start"
    "#]],
    );
    stopped(
        CONNECTS,
        "@60",
        &[(5.1, Stop::HangUp)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 calls tel:+15550111 for 30s, meanwhile Tone
        5.1 callee hangs up
        5.1 stops playing
        5.1 ends the other call
        5.1 POST /final2 token="start" this_call {application_parameters: "", call_cause: "completed", call_direction: "out", call_divert: "", call_from: "+15550100", call_id: "call-1-1", call_raw_cause: "200", call_state: "idle", call_target: "+15550111", call_to: "+15550111", far_end_type: "human", outbound_parameters: "order 7", seconds_call_duration: 2.0} dropped_calls [] action_result {action: "connect", result: {call_cause: "completed", call_raw_cause: "200", calls: [{call_cause: "completed", call_id: "call-1-1", call_raw_cause: "200", call_to: "+15550111"}], seconds_connected_duration: 2.0}}
        5.2 ends with token "start"
    "#]],
    );
}

const MEETS: &str = r##"{"actions": [{"conference": {"conference_name": "talk",
    "next_page": {"url": "got"}, "secondary_call": {"final_page": {"url": "final2"}}}}]}"##;

#[test]
fn whoever_leaves_a_conference_by_force_has_its_final_page_told() {
    stopped(
        MEETS,
        "@60",
        &[(4.1, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 joins Join { stay: StayId(1), room: "talk", speaks: true, begins: true, ends: false, sounds: false, recording: None }
        4.1 is interrupted
        4.1 leaves
        4.1 POST /final2 token="start" this_call null dropped_calls null action_result {action: "conference", result: {call_cause: "hung_up", seconds_connected_duration: 4.0}} (notification)
        4.1 POST /other token="start" action_result {action: "conference"}
        9.2 has slept
        9.2 ends with token "start"
    "#]],
    );
    stopped(
        MEETS,
        "@60",
        &[(4.1, Stop::HangUp)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 joins Join { stay: StayId(1), room: "talk", speaks: true, begins: true, ends: false, sounds: false, recording: None }
        4.1 callee hangs up
        4.1 leaves
        4.1 POST /final2 token="start" this_call null dropped_calls null action_result {action: "conference", result: {call_cause: "hung_up", seconds_connected_duration: 4.0}} (notification)
        4.2 ends with token "start"
    "#]],
    );
}

#[test]
fn interrupt_after_the_end_changes_nothing() {
    // What was recorded is told of yet; nobody is there for another page.
    let records = r##"{"actions": [{"record": {"next_page": {"url": "got"},
        "recording_available_page": {"url": "final2"}}}]}"##;
    stopped(
        records,
        "",
        &[(2.0, Stop::HangUp), (2.0, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 records up to 60s
        2.0 callee hangs up
        2.0 stops recording
        2.0 POST /final2 token="start" this_call null dropped_calls null action_result {action: "record", result: {barge_in_digit: "", contains_sound: true, filename: "inst-1-1.wav", id: "", seconds_duration: 2.0}} (notification)
        2.0 is interrupted
        2.1 ends with token "start"
    "#]],
    );
    let ends = r##"{"actions": [{"conference": {"conference_name": "talk",
        "secondary_call": {"final_page": {"url": "final2"}}}}]}"##;
    stopped(
        ends,
        "@3",
        &[(3.15, BY_OTHER)],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 joins Join { stay: StayId(1), room: "talk", speaks: true, begins: true, ends: false, sounds: false, recording: None }
        3.1 POST /final2 token="start" this_call null dropped_calls null action_result {action: "conference", result: {call_cause: "completed", seconds_connected_duration: 3.0}} (notification)
        3.1 hangs up
        3.1 is interrupted
        3.2 ends with token "start"
    "#]],
    );
}

/// A page of this and a question, with keys pressed so many seconds after its beginning.
fn keyed(before: &str, presses: &[(f64, &str)], expected: Expect) {
    let question = r##"{"get_number": {"digit_count": 2, "next_page": {"url": "got"},
        "prompt": {"play_list": [{"text_to_say": "Number?"}]}}}"##;
    let page = format!(r##"{{"actions": [{before}, {question}]}}"##);
    let mut world = World::new(&[("first", page.as_str()), ("got", "")], "@60");
    world.start(script::step::Method::Post(Vec::new()));
    for (at, keys) in presses {
        world.run_until(*at);
        world.press(keys);
    }
    expected.assert_eq(&world.run_on());
}

const HELLO: &str = r##"{"play": {"play_list": [{"text_to_say": "Hello."}]}}"##;

#[test]
fn keys_that_came_while_the_page_did_stop_what_it_plays_first_where_that_may_be_stopped() {
    // While the page is fetched: what is played first, and may be stopped, is stopped by them.
    keyed(
        HELLO,
        &[(0.01, "4"), (0.5, "2")],
        expect![[r#"
        0.0 POST /first token="start"
        0.0 key 4
        0.5 key 2
        0.5 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
        0.6 ends with token "start"
    "#]],
    );
    // What may not be stopped is heard to its end, and keys before it were for nobody.
    let whole =
        r##"{"play": {"barge_in_on_digit": false, "play_list": [{"text_to_say": "Hello."}]}}"##;
    keyed(
        whole,
        &[(0.01, "4"), (1.5, "42")],
        expect![[r#"
        0.0 POST /first token="start"
        0.0 key 4
        0.1 plays "Hello."
        1.1 plays "Number?"
        1.5 key 4
        1.5 stops playing
        1.7 key 2
        1.7 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
        1.8 ends with token "start"
    "#]],
    );
    // A key that stops one is not for the next one, which is heard.
    let two = format!("{HELLO}, {HELLO}");
    keyed(
        &two,
        &[(0.01, "4"), (1.5, "42")],
        expect![[r#"
        0.0 POST /first token="start"
        0.0 key 4
        0.1 plays "Hello."
        1.1 plays "Number?"
        1.5 key 4
        1.5 stops playing
        1.7 key 2
        1.7 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
        1.8 ends with token "start"
    "#]],
    );
}

#[test]
fn keys_count_for_the_question_that_follows_and_not_where_somebody_else_was_meant() {
    // While nothing is said, and while keys are sent.
    keyed(
        r##"{"sleep": {"seconds": 2}}"##,
        &[(1.0, "4"), (2.5, "2")],
        expect![[r#"
        0.0 POST /first token="start"
        1.0 key 4
        2.1 has slept
        2.5 key 2
        2.5 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
        2.6 ends with token "start"
    "#]],
    );
    keyed(
        r##"{"send_digits": {"digits": "1"}}"##,
        &[(0.11, "42")],
        expect![[r#"
        0.0 POST /first token="start"
        0.1 sends 1
        0.1 key 4
        0.3 key 2
        1.1 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
        1.2 ends with token "start"
    "#]],
    );
    // Not those that were meant for somebody else.
    let meets = r##"{"conference": {"conference_name": "talk", "exit_digits": "#"}}"##;
    keyed(
        meets,
        &[(0.01, "9"), (0.5, "9"), (1.0, "#"), (2.5, "42")],
        expect![[r#"
            0.0 POST /first token="start"
            0.0 key 9
            0.1 joins Join { stay: StayId(1), room: "talk", speaks: true, begins: true, ends: false, sounds: false, recording: None }
            0.5 key 9
            1.0 key #
            1.0 leaves
            1.0 plays "Number?"
            2.5 key 4
            2.7 key 2
            2.7 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
            2.8 ends with token "start"
        "#]],
    );
}

#[test]
fn transcription_is_told_to_its_end_however_long_the_recognizer_takes() {
    let page = r##"{"actions": [{"start_transcription": {"results_page": {"url": "text"}}},
        {"sleep": {"seconds": 9}}]}"##;
    let written_in = |seconds| {
        let mut world = World::new(&[("first", page), ("text", "")], "");
        world.writing = Duration::from_secs(seconds);
        world.start(script::step::Method::Post(Vec::new()));
        world.run_until(2.0);
        world.hang_up();
        world.run_on()
    };
    expect![[r#"
        0.0 POST /first token="start"
        0.1 transcribes Transcribe { transcript: TranscriptId(1), language: None, callee: true, heard: true, interim: false }
        1.1 POST /text token="" action_result {action: "start_transcription", result: {completed: false, id: "", transcription: [{alternatives: [{confidence: 0.8, text: "good morning"}], direction: "inbound", final: true}]}} (notification)
        2.0 callee hangs up
        2.0 transcribes no more
        32.0 POST /text token="" action_result {action: "start_transcription", result: {completed: true, id: "", transcription: []}} (notification)
        32.1 ends with token "start"
    "#]]
    .assert_eq(&written_in(30));
    expect![[r#"
        0.0 POST /first token="start"
        0.1 transcribes Transcribe { transcript: TranscriptId(1), language: None, callee: true, heard: true, interim: false }
        1.1 POST /text token="" action_result {action: "start_transcription", result: {completed: false, id: "", transcription: [{alternatives: [{confidence: 0.8, text: "good morning"}], direction: "inbound", final: true}]}} (notification)
        2.0 callee hangs up
        2.0 transcribes no more
        42.0 no reply
        42.0 POST /text token="" action_result {action: "start_transcription", result: {completed: true, id: "", transcription: []}} (notification)
        42.0 problem start_transcription: the recognizer is too slow: what was said last is not written down
        42.1 ends with token "start"
    "#]]
    .assert_eq(&written_in(100));
}
