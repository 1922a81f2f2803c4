//! Our own documents, each with dialogues and the stories they must make.
//!
//! A story stands in `golden/stories`, one dialogue after the other; `UPDATE_EXPECT=1` writes it.

use std::fs;
use std::path::Path;

use expect_test::{expect, expect_file};
use script::step::{Fetch, FetchError, Fetched, Method, StartPage};
use script::vxml::{Limits, say_document};

use crate::world::{World, dialogue, url};

/// Runs a golden document with some dialogues and compares what happens with the story.
fn check(story: &str, page: &str, dialogues: &[&str]) {
    check_with(story, page, dialogues, |_| {});
}

fn check_with(story: &str, page: &str, dialogues: &[&str], prepare: impl Fn(&mut World<'_>)) {
    let mut told = String::new();
    for callee in dialogues {
        let mut world = World::new(Limits::default(), &serve, dialogue(callee));
        prepare(&mut world);
        world.start(StartPage::Url { url: url(page), method: Method::Get });
        world.run();
        let story = world.story.replace("http://golden.test/", "/");
        told.push_str(&format!("callee: {callee}\n{story}\n"));
    }
    let file = format!("{}/tests/golden/stories/{story}.txt", env!("CARGO_MANIFEST_DIR"));
    expect_file![file].assert_eq(&told);
}

/// The golden folder, and some addresses that behave as servers do.
pub(crate) fn serve(fetch: &Fetch) -> Result<Fetched, FetchError> {
    let path = fetch.url.path().trim_start_matches('/');
    if let Some(status) = path.strip_prefix("status/") {
        return Err(FetchError::Status(status.parse().unwrap()));
    }
    let path = path.strip_prefix("slow/").unwrap_or(path);
    let (path, moved) = match path.strip_prefix("moved/") {
        Some(path) => (path, true),
        None => (path, false),
    };
    match path {
        "timeout" => return Err(FetchError::Timeout),
        "refused" => return Err(FetchError::Refused("private network".to_owned())),
        _ => {}
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = fs::read_to_string(folder.join(path)).map_err(|_| FetchError::Status(404))?;
    let content_type = match path.rsplit('.').next() {
        Some("vxml") => "application/voicexml+xml",
        Some("grxml") => "application/srgs+xml",
        Some("js") => "text/javascript",
        _ => "text/plain",
    };
    Ok(Fetched {
        url: if moved { url(path) } else { fetch.url.clone() },
        content_type: content_type.to_owned(),
        text,
    })
}

#[test]
fn prompts_say_what_is_in_them() {
    check("prompts", "prompts.vxml", &[""]);
}

#[test]
fn field_is_filled_by_its_keys() {
    check("field", "field.vxml", &["1234"]);
}

#[test]
fn silence_and_wrong_keys_are_handled_by_count_and_prompts_taper() {
    check("counts", "field.vxml", &["- 12*4 7* - -"]);
}

#[test]
fn menu_goes_where_its_keys_lead() {
    check("menu", "menu.vxml", &["1 3 42 2", "3 4 0 88 * 1 1"]);
}

#[test]
fn builtin_types_understand_keys() {
    let keys = "1 9 1234 4567890# 12*5 9*99# 5550100*12# 20240229 0930 77";
    check("builtins", "builtins.vxml", &[keys]);
}

#[test]
fn builtin_types_refuse_other_keys() {
    let keys = "3 2 1 7 1 12# # 1# 5** * *5# *50# *# 3# 202413 2024022 - 20241231 24 1345 1# 45";
    check("builtins_refuse", "builtins.vxml", &[keys]);
}

#[test]
fn grammars_give_meanings_and_wait_for_what_may_still_come() {
    check("grammars", "grammars.vxml", &["12 1 *5# 7 2 1 2 3", "211 2 21 *# 8 9 1 3"]);
}

#[test]
fn keys_end_by_timer_by_terminating_key_or_by_themselves() {
    check("keys", "keys.vxml", &["12 34 123 1#", "12# 34# 567 1"]);
}

#[test]
fn keys_that_lead_nowhere_do_not_match_at_once() {
    check("wrong_keys", "keys.vxml", &["# 1* 12# 3 - 34 12* 123 2#4 2#3"]);
}

#[test]
fn keys_keyed_ahead_are_taken_in_order_and_prompts_are_left_out() {
    check("keys_ahead", "keys.vxml", &["<12#345678 1"]);
}

#[test]
fn prompts_that_hold_the_floor_are_heard_to_the_end() {
    check("bargein", "bargein.vxml", &["<77 !5 1 !8 2 !3 4"]);
}

#[test]
fn events_find_the_handler_that_is_due() {
    check("events", "events.vxml", &[""]);
}

#[test]
fn failing_handlers_end_in_other_handlers() {
    check("handlers", "handlers.vxml", &[""]);
}

#[test]
fn root_gives_its_pages_variables_handlers_links_and_properties() {
    check("root", "sub/leaf1.vxml", &["- 5", "99", "*0", "*1"]);
    check("leaf", "leaf2.vxml", &[""]);
}

#[test]
fn moves_that_fail_are_heard_on_the_page_that_is_left() {
    check("moves", "moves.vxml", &[""]);
}

#[test]
fn items_are_chosen_in_order_unless_the_script_says_which() {
    check("items", "items.vxml", &[""]);
}

#[test]
fn filled_elements_run_when_their_items_are_filled() {
    check("filled", "filled.vxml", &["1 2 2 * 1"]);
}

#[test]
fn values_are_submitted_in_every_encoding() {
    check("submit", "submit.vxml", &["12 3"]);
}

#[test]
fn scripts_declare_and_fail_within_bounds() {
    check("scripts", "scripts.vxml", &[""]);
}

#[test]
fn session_variables_tell_of_the_call_and_of_the_callee_as_soon_as_known() {
    check("session", "session.vxml", &["!x", "=voice -"]);
}

#[test]
fn callee_type_may_become_known_while_the_script_listens() {
    check("callee_type", "callee_type.vxml", &["!=answeringmachine -"]);
}

#[test]
fn properties_are_looked_up_from_the_item_outwards() {
    check("properties", "properties.vxml", &[""]);
}

#[test]
fn hanging_up_is_heard_while_listening_and_the_script_runs_on() {
    check("hanging_up", "ways_out.vxml", &["x", "!x", "1 !x"]);
}

#[test]
fn hanging_up_during_a_fetch_is_heard_when_the_script_next_listens() {
    check("hanging_up_early", "ways_out.vxml", &["<x", "7 <x"]);
}

#[test]
fn script_that_disconnects_hears_of_it_and_runs_on() {
    check("disconnect", "ways_out.vxml", &["5", "5 !x"]);
}

#[test]
fn script_that_exits_plays_its_last_words() {
    check("exit", "ways_out.vxml", &["6", "8 2 !x"]);
}

#[test]
fn grammars_that_cannot_be_had_are_told_not_skipped() {
    check("unhad", "unhad.vxml", &[""]);
}

#[test]
fn field_for_speech_waits_and_takes_no_keys() {
    check("voice", "voice.vxml", &["5 - !1 -"]);
}

#[test]
fn what_cannot_be_played_is_an_event() {
    check_with("trouble", "trouble.vxml", &[""], |world| world.speech = false);
}

#[test]
fn last_words_that_cannot_be_played_are_told_once() {
    check_with("farewell", "farewell.vxml", &[""], |world| world.speech = false);
    check_with("no_speech", "field.vxml", &[""], |world| world.speech = false);
}

#[test]
fn scripts_without_end_are_ended_by_a_limit_that_is_named() {
    let mut endings = String::new();
    for form in [
        "items",
        "dialogs",
        "pages",
        "events",
        "logs",
        "prompts",
        "text",
        "scripts",
        "work",
        "silence",
        "statements",
        "variables",
    ] {
        let mut world = World::new(Limits::default(), &serve, Vec::new());
        world.start(StartPage::Url {
            url: url(&format!("endless.vxml#{form}")),
            method: Method::Get,
        });
        world.run();
        let told = world.problems.last().cloned().unwrap_or_default();
        endings.push_str(&format!("{form}: {told}\n"));
    }
    let endings = endings.replace("http://golden.test/", "/");
    expect![[r#"
        items: error.limit: /endless.vxml:4:20: limit jumps_max: more than 1000 form items visited without input from the callee
        dialogs: error.limit: /endless.vxml:5:22: limit jumps_max: more than 1000 form items visited without input from the callee
        pages: error.limit: /endless.vxml:6:27: limit documents_max: more than 50 documents fetched without a second for the callee in between
        events: error.limit: /endless.vxml:7:72: limit events_max: more than 100 events without input from the callee
        logs: error.limit: /endless.vxml:8:87: limit log_bytes_max: more than 65536 bytes logged without a second for the callee in between
        prompts: error.limit: /endless.vxml:9:38: limit prompts_max: more than 500 prompts wait to be played
        text: error.limit: /endless.vxml:10:88: limit prompt_bytes_max: more than 262144 bytes of prompts wait to be played
        scripts: error.limit: /endless.vxml:11:38: limit resources_max: more than 100 scripts, grammars and data fetched without a second for the callee in between
        work: error.limit: /endless.vxml:12:95: limit call_ticks_max: the scripts of the call do too much work
        silence: error.limit: /endless.vxml:16:22: limit events_max: more than 100 events without input from the callee
        statements: error.limit: /endless.vxml:13:25: limit statements_max: more than 20000 statements executed without input from the callee
        variables: error.semantic: /endless.vxml:15:29: InternalError: string too long
    "#]].assert_eq(&endings);
}

#[test]
fn text_to_say_is_escaped_and_said() {
    let text = "Tom & <Jerry> say \"hi\"\n]]> & go \u{0}\u{7}\u{fffe}\u{1f600}";
    let mut world = World::new(Limits::default(), &serve, Vec::new());
    world.start(StartPage::Document(say_document(text)));
    world.run();
    expect![[r#"
        0.0 plays "Tom & <Jerry> say "hi" ]]> & go 😀"
        1.0 ends
    "#]]
    .assert_eq(&world.story);
}

#[test]
fn document_without_an_address_cannot_go_to_relative_ones() {
    let text = "<vxml version='2.0'><form><block><goto next='next.vxml'/></block></form></vxml>";
    let mut world = World::new(Limits::default(), &serve, Vec::new());
    world.start(StartPage::Document(text.to_owned()));
    world.run();
    expect![[r#"
        0.0 problem error.badfetch: document:1:34: "next.vxml" is no address (relative URL without a base); the document came without an address of its own, so it must be absolute
        0.0 plays "Sorry, an error has occurred. Goodbye."
        1.0 ends
    "#]].assert_eq(&world.story);
}

#[test]
fn nothing_is_an_answer_where_the_grammar_says_so() {
    let text = "<vxml version='2.1'><form><field name='x' type='digits?minlength=0;maxlength=3'/>\
                <block><exit expr=\"'[' + x + ']'\"/></block></form></vxml>";
    let mut world = World::new(Limits::default(), &serve, dialogue("#"));
    world.start(StartPage::Document(text.to_owned()));
    world.run();
    assert_eq!(world.values, [("exit".to_owned(), "[]".to_owned())]);
}

#[test]
fn first_page_that_cannot_be_had_ends_the_call() {
    check("no_page", "status/404", &[""]);
    check("broken_page", "broken.vxml", &[""]);
    check("no_dialog", "other.vxml#nowhere", &[""]);
}

#[test]
fn late_and_stray_inputs_are_ignored() {
    check("stray", "field.vxml", &["? 1234 ?"]);
    let mut world = World::new(Limits::default(), &serve, Vec::new());
    world.hang_up();
    world.hang_up();
    assert_eq!(world.story, "0.0 callee hangs up\n0.0 ends\n");
}

#[test]
fn one_input_fills_several_fields_and_the_rest_is_asked_for() {
    check("mixed", "mixed.vxml", &["1 1", "- 9 9 4 5 2 1", "2 4 1", "3 - 2 4 2"]);
}

#[test]
fn subdialogs_have_contexts_of_their_own_and_return_values_or_events() {
    check("subdialogs", "subdialogs.vxml", &["7"]);
    check("ends", "ends.vxml", &[""]);
    let mut world = World::new(Limits::default(), &serve, Vec::new());
    world.start(StartPage::Url { url: url("ends.vxml#endless"), method: Method::Get });
    world.run();
    expect![[r#"
        0.0 GET http://golden.test/ends.vxml
        0.1 problem error.limit: http://golden.test/ends.vxml:8:22: limit subdialogs_max: more than 32 subdialogs inside each other
        0.1 ends
    "#]]
    .assert_eq(&world.story);
}

#[test]
fn recordings_end_by_silence_length_keys_or_hanging_up() {
    let callees =
        ["r5", "r30 1", "r3 * r2 # 1", "r1 7 1", "r1 77 1", "!5 r2 1", "r4 x", "r5 x", ""];
    check("record", "record.vxml", &callees);
    check("record_open", "record.vxml#open", &["!0 r2 0", "r9 <5"]);
    check("record_quiet", "record.vxml#quiet", &["r3 5", "r9", "r2"]);
    check("record_wrong", "record.vxml#wrong", &[""]);
}

#[test]
fn transfers_tell_how_they_ended() {
    let callees = ["@5", "@90", "@rings", "@busy", "@netbusy", "@noroute", "@603", "@forbidden"];
    check("transfer", "transfer.vxml", &callees);
    check("transfer_ended", "transfer.vxml", &["!*", "@30 7*", "@30 *1", "@30 x", "@rings !x"]);
    check("transfer_blind", "transfer.vxml#blind", &["@taken", "@unsupported", "@forbidden"]);
    check("transfer_consult", "transfer.vxml#consult", &["@taken", "@busy", "@rings"]);
    check("transfer_wrong", "transfer.vxml#wrong", &[""]);
}

#[test]
fn the_closest_grammar_wins_and_links_lead_where_they_say() {
    check("links", "links.vxml", &["1 2 1 9 7", "6 5 1", "2 4 8", "2 1 5 3"]);
}

#[test]
fn speech_matches_choices_options_and_universals() {
    let callees = [
        "\"sports \"new.york.yankees:0.8|red.sox:0.6|weather:0.5",
        "\"news \"stock \"stock.quotes !\"boston:0.5",
        "\"help \"weather:0.3 \"weather \" \"exit",
    ];
    check("spoken", "spoken.vxml", &callees);
    check_with("deaf", "spoken.vxml", &[""], |world| world.recognizer = false);
}

#[test]
fn only_the_right_word_interrupts_a_prompt_that_waits_for_it() {
    check("hotword", "hotword.vxml", &["!7 !\"never !12 !3 3", "!1 7 12 !\"three \"three"]);
    check("hotword_spoken", "hotword.vxml", &["!\"no !\"stop.it \"three"]);
}

#[test]
fn loops_go_through_a_copy_of_an_array() {
    check("foreach", "foreach.vxml", &["5"]);
}

#[test]
fn xml_is_read_by_scripts_and_changed_by_none() {
    check("data", "data.vxml", &[""]);
}

#[test]
fn long_fetches_are_heard_and_caches_are_told_what_will_do() {
    check("fetching", "fetching.vxml", &["1", "<12 x", "1 <x"]);
}

#[test]
fn handlers_of_last_resort_do_what_the_standard_says() {
    let callees = ["- # \"help \"nothing 1", "\"cancel 5", "\"exit"];
    check("universal", "universal.vxml", &callees);
}

#[test]
fn prompts_taper_by_count_and_condition() {
    check("tapered", "tapered.vxml", &["- - - - - 2 - 1"]);
}

#[test]
fn markup_goes_to_the_synthesizer_and_wrong_properties_are_errors() {
    check("modes", "modes.vxml", &["1 -"]);
}

#[test]
fn objects_are_refused_and_disconnecting_gives_values_back() {
    check("objects", "objects.vxml", &[""]);
}
