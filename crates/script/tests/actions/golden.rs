//! Pages and what comes of them, story by story.

use expect_test::{Expect, expect};

use super::world::World;

#[track_caller]
pub(crate) fn story(pages: &[(&str, &str)], dialogue: &str, expected: Expect) {
    expected.assert_eq(&World::new(pages, dialogue).run());
}

/// Checklist 2-011, 2-012, 2-013.
#[test]
fn first_page_plays_and_records_and_the_call_ends_after_all_actions() {
    let first = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Leave a message."}]}},
        {"record": {"next_page": {"url": "recorded"}, "beep_on_start": true}}], "token": "t2"}"##;
    let recorded = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Thank you."}]}}]}"##;
    story(
        &[("first", first), ("recorded", recorded)],
        "r5",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 plays "Leave a message."
            1.1 records up to 60s after a beep
            1.1 speaks for 5 s
            9.1 POST /recorded token="t2" action_result {action: "record", result: {barge_in_digit: "", contains_sound: true, filename: "inst-1-1.wav", id: "", seconds_duration: 5.0}}
            9.2 plays "Thank you."
            10.2 ends with token "t2"
        "#]],
    );
}

#[test]
fn page_is_told_who_asks_and_about_which_call() {
    let mut world = World::new(&[("first", "{\"actions\": []}")], "");
    world.play_through();
    expect![[r#"{"application_instance_id":"inst-1","token":"start","log_filename":"","this_call":{"call_id":"call-1","call_direction":"out","call_from":"+15550100","call_to":"+15550199","call_target":"+15550199","call_divert":"","seconds_call_duration":0.0,"call_state":"answered","application_parameters":"","outbound_parameters":"order 7"},"is_notification":false}"#]].assert_eq(&world.told[0]);
}

#[test]
fn page_that_is_got_finds_what_it_is_told_in_its_query() {
    let page = r##"{"actions": [{"redirect": {"next_page": {"url": "b?x=1", "method": "GET"}}}]}"##;
    story(
        &[("first", page), ("b", "")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 GET /b token="start"
              0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn redirect_leads_on_and_what_stands_behind_it_is_not_done() {
    let page = r##"{"actions": [{"redirect": {"next_page": {"url": "sub/b"}}}, {"sleep": {"seconds": 9}}]}"##;
    let b = r##"{"actions": [{"redirect": {"next_page": {"url": "c"}}}], "token": "from b"}"##;
    story(
        &[("first", page), ("sub/b", b), ("sub/c", "{\"actions\": []}")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 POST /sub/b token="start"
              0.2 POST /sub/c token="from b"
              0.3 ends with token "from b"
        "#]],
    );
}

#[test]
fn play_takes_texts_files_pages_voices_and_keys() {
    let page = r##"{"actions": [{"play": {"play_list": [
        {"text_to_say": "One & two", "tts_voice": "Ann"}, {"text_to_say": "Drei", "tts_voice": "de-DE"},
        {"file_to_play": "welcome.wav"}, {"file_to_play": {"url": "/sound?n=1", "method": "GET"}},
        {"digits_to_play": "12#"}, {"text_to_say": "Done", "text_is_private": true}]}}]}"##;
    story(
        &[("first", page)],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays <voice name="Ann">One &amp; two</voice> + "Drei" in de-DE + /welcome.wav + /sound
              4.1 sends 12#
              5.1 plays "Done"
              6.1 ends with token "start"
        "#]],
    );
}

#[test]
fn digit_that_barges_in_is_an_answer_to_the_question_that_follows() {
    let page = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Long."}]}},
        {"get_number": {"prompt": {"play_list": [{"text_to_say": "Number?"}]}, "digit_count": 2,
        "next_page": {"url": "got"}}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "!42",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Long."
              0.1 key 4
              0.1 stops playing
              0.3 key 2
              0.3 POST /got token="start" action_result {action: "get_number", result: {entered_number: "42"}}
              0.4 ends with token "start"
        "#]],
    );
}

#[test]
fn digit_does_not_stop_what_is_not_to_be_stopped() {
    let page = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Long."}],
        "barge_in_on_digit": false}}, {"run_menu": {"menu_options": [
        {"digit": "1", "next_page": {"url": "one"}}]}}]}"##;
    story(
        &[("first", page), ("one", "")],
        "!1 1",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Long."
              0.1 key 1
              1.1 key 1
              1.1 POST /one token="start" action_result {action: "run_menu", result: {selected_digit: "1"}}
              1.2 ends with token "start"
        "#]],
    );
}

#[test]
fn number_ends_by_its_key_and_help_repeats_the_question() {
    let page = r##"{"actions": [{"get_number": {"next_page": {"url": "got"},
        "prompt": {"play_list": [{"text_to_say": "Number?"}]}}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "12* 345#",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Number?"
              1.1 key 1
              1.3 key 2
              1.5 key *
              1.5 plays "Number?"
              2.5 key 3
              2.7 key 4
              2.9 key 5
              3.1 key #
              3.1 POST /got token="start" action_result {action: "get_number", result: {entered_number: "345"}}
              3.2 ends with token "start"
        "#]],
    );
}

#[test]
fn number_that_does_not_come_is_asked_for_again_until_the_last_message() {
    let page = r##"{"actions": [{"get_number": {"next_page": {"url": "got"}, "digit_count": 4,
        "prompt": {"play_list": [{"text_to_say": "Number?"}]}, "valid_digits": "123",
        "on_digit_timeout_messages": [{"play_list": [{"text_to_say": "Again."}]},
            {"play_list": [{"text_to_say": "Goodbye."}]}],
        "on_invalid_digit_messages": [{"play_list": [{"text_to_say": "Not that."}]},
            {"play_list": [{"text_to_say": "No."}]}]}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "- 19 12 - -",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 plays "Number?"
            6.1 silence
            6.1 plays "Again."
            7.1 plays "Number?"
            8.1 key 1
            8.3 key 9
            8.3 plays "Not that."
            9.3 plays "Number?"
            10.3 key 1
            10.5 key 2
            15.5 no more keys
            15.5 plays "Goodbye."
            16.5 POST /got token="start" action_result {action: "get_number", result: {entered_number: "12"}}
            16.6 ends with token "start"
        "#]],
    );
}

#[test]
fn number_without_time_is_what_was_keyed_before() {
    let page = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Hm."}]}},
        {"get_number": {"next_page": {"url": "got"}, "seconds_timeout": 0}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "!7",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Hm."
              0.1 key 7
              0.1 stops playing
              0.1 POST /got token="start" action_result {action: "get_number", result: {entered_number: "7"}}
              0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn menu_leads_to_the_page_of_its_digit_also_of_one_typed_ahead() {
    let menu = r##"{"actions": [{"run_menu": {"prompt": {"play_list": [{"text_to_say": "One or two?"}]},
        "menu_options": [{"digit": "1", "next_page": {"url": "first"}},
            {"digit": "2", "next_page": {"url": "two", "method": "GET"}}]}}]}"##;
    story(
        &[("first", menu), ("two", "")],
        "1 <2",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "One or two?"
              1.1 key 1
              1.1 POST /first token="start" action_result {action: "run_menu", result: {selected_digit: "1"}}
              1.1 key 2
              1.2 GET /two token="start" action_result {action: "run_menu", result: {selected_digit: "2"}}
              1.3 ends with token "start"
        "#]],
    );
}

#[test]
fn menu_without_an_answer_goes_on_with_the_next_action() {
    let menu = r##"{"actions": [{"run_menu": {"menu_options": [{"digit": "1",
        "next_page": {"url": "one"}}]}}, {"play": {"play_list": [{"text_to_say": "Bye."}]}}]}"##;
    story(
        &[("first", menu)],
        "- 5 -",
        expect![[r#"
            0.0 POST /first token="start"
            5.1 silence
            5.1 plays "No key was pressed. Please try again."
            6.1 key 5
            6.1 plays "That is not one of the choices. Please try again."
            12.1 silence
            12.1 plays "No key was pressed."
            13.1 plays "Bye."
            14.1 ends with token "start"
        "#]],
    );
}

#[test]
fn input_may_be_words_or_keys() {
    let page = r##"{"actions": [{"get_input": {"next_page": {"url": "got"},
        "prompt": {"play_list": [{"text_to_say": "Which?"}]},
        "speech_recognition_options": {"phrases": ["blue whale", "ant"], "language": "en-US"},
        "digit_input_options": {"digit_count": 2}}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "\"blue.whale",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Which?"
              1.1 listens for ant blue whale
              1.1 says "blue whale"
              1.1 POST /got token="start" action_result {action: "get_input", result: {digit_input: "", input_type: "speech", speech_input: {alternatives: [{confidence: 0.9, text: "blue whale"}]}}}
              1.2 ends with token "start"
        "#]],
    );
    story(
        &[("first", page), ("got", "")],
        "17",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Which?"
              1.1 listens for ant blue whale
              1.1 key 1
              1.3 key 7
              1.3 POST /got token="start" action_result {action: "get_input", result: {digit_input: "17", input_type: "digits"}}
              1.4 ends with token "start"
        "#]],
    );
}

#[test]
fn input_without_a_recognizer_is_keyed() {
    let page = r##"{"actions": [{"get_input": {"next_page": {"url": "got"},
        "speech_recognition_options": {"phrases": ["ant"]},
        "on_input_timeout_messages": [{"play_list": [{"text_to_say": "Bye."}]}]}}]}"##;
    let mut world = World::new(&[("first", page), ("got", "")], "1 -");
    world.recognizer = false;
    expect![[r#"
          0.0 POST /first token="start"
          0.1 listens for ant
          0.1 problem get_input: no speech recognizer: none
          0.1 key 1
          5.1 no more keys
          5.1 plays "Bye."
          6.1 POST /got token="start" action_result {action: "get_input", result: {digit_input: "1", input_type: "digits"}}
          6.2 ends with token "start"
    "#]].assert_eq(&world.run());
}

#[test]
fn speech_menu_takes_words_help_and_digits() {
    let page = r##"{"actions": [{"run_speech_menu": {
        "prompt": {"play_list": [{"text_to_say": "Yes or no?"}]},
        "menu_options": [{"word": "Yes, please!", "next_page": {"url": "yes"}},
            {"word": "no", "digit": "2", "next_page": {"url": "no"}}]}}]}"##;
    story(
        &[("first", page), ("yes", "")],
        "\"help \"yes.please",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Yes or no?"
              1.1 listens for help no please yes
              1.1 says "help"
              1.1 plays "Yes or no?"
              2.1 listens for help no please yes
              2.1 says "yes please"
              2.1 POST /yes token="start" action_result {action: "run_speech_menu", result: {selection: "Yes, please!"}}
              2.2 ends with token "start"
        "#]],
    );
    story(
        &[("first", page), ("no", "")],
        "2",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Yes or no?"
              1.1 listens for help no please yes
              1.1 key 2
              1.1 POST /no token="start" action_result {action: "run_speech_menu", result: {selection: "2"}}
              1.2 ends with token "start"
        "#]],
    );
}

#[test]
fn recording_can_be_ended_by_a_key_told_of_and_played() {
    let page = r##"{"actions": [{"record": {"next_page": {"url": "got"}, "id": "greeting",
        "recording_available_page": {"url": "available"}, "barge_in_digits": "#9"}}]}"##;
    let got = r##"{"actions": [{"play": {"play_list": [{"file_to_play": "inst-1-1.wav"}]}}]}"##;
    story(
        &[("first", page), ("got", got), ("available", "")],
        "5 9",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 records up to 60s
              0.1 key 5
              0.1 key 9
              0.1 stops recording
              0.1 POST /available token="start" action_result {action: "record", result: {barge_in_digit: "9", contains_sound: true, filename: "inst-1-1.wav", id: "greeting", seconds_duration: 2.0}} (notification)
              0.1 POST /got token="start" action_result {action: "record", result: {barge_in_digit: "9", contains_sound: true, filename: "inst-1-1.wav", id: "greeting", seconds_duration: 2.0}}
              0.2 plays recording 1
              1.2 ends with token "start"
        "#]],
    );
}

#[test]
fn recording_of_silence_has_no_file() {
    let page = r##"{"actions": [{"record": {"next_page": {"url": "got"},
        "milliseconds_max_initial_silence": 2000}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "-",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 records up to 60s
              2.1 POST /got token="start" action_result {action: "record", result: {barge_in_digit: "", contains_sound: false, filename: "", id: "", seconds_duration: 0.0}}
              2.2 ends with token "start"
        "#]],
    );
}

#[test]
fn recording_is_told_of_when_the_callee_hangs_up() {
    let page = r##"{"actions": [{"record": {"next_page": {"url": "got"},
        "recording_available_page": {"url": "available"}}}]}"##;
    story(
        &[("first", page), ("available", "")],
        "x",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 records up to 60s
              0.1 callee hangs up
              0.1 stops recording
              0.1 POST /available token="start" action_result {action: "record", result: {barge_in_digit: "", contains_sound: true, filename: "inst-1-1.wav", id: "", seconds_duration: 2.0}} (notification)
              0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn conference_is_left_by_a_key_or_ends_by_itself() {
    let page = r##"{"actions": [{"connect_to_conference": {"conference_name": "sales", "talker": false,
        "exit_digits": "*", "next_page": {"url": "got"}}}]}"##;
    story(
        &[("first", page), ("got", "")],
        "@60 5*",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 joins Join { stay: StayId(1), room: "sales", speaks: false, begins: true, ends: false, sounds: false, recording: None }
            0.1 key 5
            0.3 key *
            0.3 leaves
            0.3 POST /got token="start" action_result {action: "connect_to_conference", result: {call_cause: "hung_up", seconds_connected_duration: 0.2}}
            0.4 ends with token "start"
        "#]],
    );
    story(
        &[("first", page), ("got", "")],
        "@60",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 joins Join { stay: StayId(1), room: "sales", speaks: false, begins: true, ends: false, sounds: false, recording: None }
            60.1 POST /got token="start" action_result {action: "connect_to_conference", result: {call_cause: "completed", seconds_connected_duration: 60.0}}
            60.2 ends with token "start"
        "#]],
    );
    story(
        &[("first", page), ("got", "")],
        "@full",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 joins Join { stay: StayId(1), room: "sales", speaks: false, begins: true, ends: false, sounds: false, recording: None }
            0.1 POST /got token="start" action_result {action: "connect_to_conference", result: {call_cause: "busy", seconds_connected_duration: 0.0}}
            0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn what_cannot_be_done_here_is_told_to_the_error_page() {
    let page = r##"{"actions": [{"conference": {"conference_name": "sales"}}]}"##;
    let error = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Sorry."}]}}]}"##;
    story(
        &[("first", page), ("error", error)],
        "",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 joins Join { stay: StayId(1), room: "sales", speaks: true, begins: true, ends: false, sounds: false, recording: None }
            0.1 problem conference: there are no conferences here
            0.1 POST /error token="start" error_result {action: "conference", result: "there are no conferences here"}
            0.2 plays "Sorry."
            1.2 ends with token "start"
        "#]],
    );
}

#[test]
fn transcription_is_told_piece_by_piece_until_it_is_stopped() {
    let page = r##"{"actions": [{"start_transcription": {"results_page": {"url": "text"}, "id": "a"}},
        {"sleep": {"seconds": 3}}, {"stop_transcription": {}}, {"sleep": {"seconds": 1}}]}"##;
    story(
        &[("first", page), ("text", "")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 transcribes Transcribe { transcript: TranscriptId(1), language: None, callee: true, heard: true, interim: false }
              1.1 POST /text token="" action_result {action: "start_transcription", result: {completed: false, id: "a", transcription: [{alternatives: [{confidence: 0.8, text: "good morning"}], direction: "inbound", final: true}]}} (notification)
              3.1 has slept
              3.1 transcribes no more
              3.1 POST /text token="" action_result {action: "start_transcription", result: {completed: true, id: "a", transcription: []}} (notification)
              4.1 has slept
              4.1 ends with token "start"
        "#]],
    );
}

#[test]
fn keys_are_sent_and_time_is_slept() {
    let page = r##"{"actions": [{"answer": {}}, {"send_digits": {"digits": "1,2#"}},
        {"sleep": {"seconds": 1.5}}, {"hang_up": null}, {"sleep": {"seconds": 60}}]}"##;
    story(
        &[("first", page)],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 sends 1,2#
              2.6 has slept
              2.6 ends with token "start"
        "#]],
    );
}

#[test]
fn callee_who_hangs_up_ends_it_whatever_goes_on() {
    let page = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Hello."}]}}]}"##;
    story(
        &[("first", page)],
        "!x",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Hello."
              0.1 callee hangs up
              0.1 stops playing
              0.1 ends with token "start"
        "#]],
    );
}

#[test]
fn interrupt_stops_the_action_and_its_page_goes_on() {
    let page = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Hello."}]}},
        {"sleep": {"seconds": 9}}]}"##;
    story(
        &[("first", page), ("other", "")],
        "^other",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Hello."
              0.1 is interrupted
              0.1 stops playing
              0.1 POST /other token="start" action_result {action: "play"}
              0.2 ends with token "start"
        "#]],
    );
    story(
        &[("first", page)],
        "^",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays "Hello."
              0.1 is interrupted
              0.1 stops playing
              0.1 ends with token "start"
        "#]],
    );
}

#[test]
fn page_with_mistakes_is_not_begun_and_the_error_page_is_told_all_of_them() {
    let page = r##"{"actions": [{"play": {"play_list": [{"text_to_say": "Hello."}]}},
 {"get_number": {"digit_count": "four", "end_digit": "12", "prompt": 5}},
 {"dance": {}}, {"play": {"play_list": [{}], "barge_in_on_digit": "yes"}}, 7,
 {"connect": {"destinations": ["loc:x"]}}, {"sleep": {}}]}"##;
    story(
        &[("first", page), ("error", "")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 problem page: http://app.example/first:2:17: actions[1].get_number.next_page: found nothing, expected a page such as {"url": "next"}
              0.1 problem page: http://app.example/first:2:33: actions[1].get_number.digit_count: found "four", expected a whole number from 0 to 100
              0.1 problem page: http://app.example/first:2:54: actions[1].get_number.end_digit: found "12", expected one of 0-9 A-D * #, or an empty text for none
              0.1 problem page: http://app.example/first:2:70: actions[1].get_number.prompt: found 5, expected an object such as {"play_list": [{"text_to_say": "Hello."}]}
              0.1 problem page: http://app.example/first:3:12: actions[2].dance: found an action that is not here, expected one of the actions here (answer, conference, connect, connect_to_conference, get_input, get_number, hang_up, play, record, redirect, run_menu, run_speech_menu, send_digits, sleep, start_transcription, stop_transcription): there is no such action
              0.1 problem page: http://app.example/first:3:41: actions[3].play.play_list[0]: found none of them, expected one of text_to_say, file_to_play, digits_to_play
              0.1 problem page: http://app.example/first:3:67: actions[3].play.barge_in_on_digit: found "yes", expected true or false
              0.1 problem page: http://app.example/first:3:76: actions[4]: found 7, expected an object with one member, the action's name
              0.1 problem page: http://app.example/first:4:31: actions[5].connect.destinations: found "loc:x", expected a telephone number such as tel:+15550100, or sip:name@host
              0.1 problem page: http://app.example/first:4:54: actions[6].sleep.seconds: found nothing, expected how long, in seconds
              0.1 POST /error token="start" error_result {action: "", mistakes: ["2:17: actions[1].get_number.next_page: found nothing, expected a page such as {\"url\": \"next\"}", "2:33: actions[1].get_number.digit_count: found \"four\", expected a whole number from 0 to 100", "2:54: actions[1].get_number.end_digit: found \"12\", expected one of 0-9 A-D * #, or an empty text for none", "2:70: actions[1].get_number.prompt: found 5, expected an object such as {\"play_list\": [{\"text_to_say\": \"Hello.\"}]}", "3:12: actions[2].dance: found an action that is not here, expected one of the actions here (answer, conference, connect, connect_to_conference, get_input, get_number, hang_up, play, record, redirect, run_menu, run_speech_menu, send_digits, sleep, start_transcription, stop_transcription): there is no such action", "3:41: actions[3].play.play_list[0]: found none of them, expected one of text_to_say, file_to_play, digits_to_play", "3:67: actions[3].play.barge_in_on_digit: found \"yes\", expected true or false", "3:76: actions[4]: found 7, expected an object with one member, the action's name", "4:31: actions[5].connect.destinations: found \"loc:x\", expected a telephone number such as tel:+15550100, or sip:name@host", "4:54: actions[6].sleep.seconds: found nothing, expected how long, in seconds"], result: "2:17: actions[1].get_number.next_page: found nothing, expected a page such as {\"url\": \"next\"}", url: "http://app.example/first"}
              0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn page_that_is_not_json_is_told_to_the_error_page() {
    story(
        &[("first", "<html>\n oops"), ("error", "")],
        "",
        expect![[r#"
            0.0 POST /first token="start"
            0.1 problem page: http://app.example/first:1:1: the page is not JSON: expected value
            0.1 POST /error token="start" error_result {action: "", mistakes: ["1:1: the page is not JSON: expected value"], result: "1:1: the page is not JSON: expected value", url: "http://app.example/first"}
            0.2 ends with token "start"
        "#]],
    );
    story(
        &[("first", "[1]"), ("error", "")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 problem page: http://app.example/first:1:1: page: found a list of 1, expected an object such as {"actions": [{"hang_up": {}}]}
              0.1 POST /error token="start" error_result {action: "", mistakes: ["1:1: page: found a list of 1, expected an object such as {\"actions\": [{\"hang_up\": {}}]}"], result: "1:1: page: found a list of 1, expected an object such as {\"actions\": [{\"hang_up\": {}}]}", url: "http://app.example/first"}
              0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn error_page_is_asked_three_times_and_then_the_call_ends() {
    story(
        &[("first", "500"), ("error", "503")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 problem page: http://app.example/first: page cannot be had: server answered 500
              0.1 POST /error token="start" error_result {action: "", result: "page cannot be had: server answered 500", url: "http://app.example/first"}
              0.2 problem error_page: http://app.example/error: page cannot be had: server answered 503
              1.2 asks again
              1.2 POST /error token="start" error_result {action: "", result: "page cannot be had: server answered 500", url: "http://app.example/first"}
              1.3 problem error_page: http://app.example/error: page cannot be had: server answered 503
              3.3 asks again
              3.3 POST /error token="start" error_result {action: "", result: "page cannot be had: server answered 500", url: "http://app.example/first"}
              3.4 problem error_page: http://app.example/error: page cannot be had: server answered 503
              3.4 ends with token "start"
        "#]],
    );
}

#[test]
fn error_page_with_mistakes_ends_the_call() {
    story(
        &[("first", "404"), ("error", "{\"actions\": 1}")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 problem page: http://app.example/first: page cannot be had: server answered 404
              0.1 POST /error token="start" error_result {action: "", result: "page cannot be had: server answered 404", url: "http://app.example/first"}
              0.2 problem page: http://app.example/error:1:13: actions: found 1, expected a list such as [{"play": {"play_list": []}}]
              0.2 ends with token "start"
        "#]],
    );
}

#[test]
fn file_that_cannot_be_had_is_told_to_the_error_page() {
    let page = r##"{"actions": [{"play": {"play_list": [{"file_to_play": "missing.wav"}]}},
        {"sleep": {"seconds": 9}}]}"##;
    story(
        &[("first", page), ("error", "")],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              0.1 plays /missing.wav
              0.2 problem play: audio cannot be had: 404
              0.2 POST /error token="start" error_result {action: "play", result: "audio cannot be had: 404"}
              0.3 ends with token "start"
        "#]],
    );
}

#[test]
fn unknown_members_are_named_by_the_checker_and_passed_over_by_the_runner() {
    let page =
        "{\"actions\": [\n  {\"sleep\": {\"seconds\": 1, \"minutes\": 2}}], \"tokn\": \"x\"}";
    story(
        &[("first", page)],
        "",
        expect![[r#"
              0.0 POST /first token="start"
              1.1 has slept
              1.1 ends with token "start"
        "#]],
    );
    let found = script::actions::check(page, &script::actions::Limits::default());
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    expect![[r#"
        2:39: actions[0].sleep.minutes: is not known here and passed over; known: seconds
        2:53: tokn: is not known here and passed over; known: token, actions"#]]
    .assert_eq(&lines.join("\n"));
}
