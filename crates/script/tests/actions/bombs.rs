//! Pages that would take all there is: each is contained, and said to be.

use script::actions::{Limits, check};

use super::world::World;

fn first_mistake(page: &str) -> String {
    let found = check(page, &Limits::default());
    assert!(found.len() <= 100);
    found.first().map(|mistake| mistake.message.chars().take(200).collect()).unwrap_or_default()
}

#[test]
fn page_deeper_than_any_should_be_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(first_mistake(&deep).contains("recursion limit"), "{}", first_mistake(&deep));
    let deep = format!("{{\"actions\": [{{\"play\": {}", "{\"a\":".repeat(40_000));
    assert!(first_mistake(&deep).contains("not JSON"));
}

#[test]
fn page_longer_than_any_should_be_is_refused() {
    let long = format!("{{\"actions\": [], \"x\": \"{}\"}}", "y".repeat(300_000));
    assert!(first_mistake(&long).contains("at most 262144 are read"));
}

#[test]
fn page_of_many_actions_things_and_mistakes_is_refused() {
    let many = format!("{{\"actions\": [{}1]}}", "1,".repeat(50_000));
    assert!(first_mistake(&many).contains("at most 100"));
    let many =
        format!("{{\"actions\": [{{\"play\": {{\"play_list\": [{}1]}}}}]}}", "1,".repeat(9_000));
    assert!(first_mistake(&many).contains("at most 100"));
    let odd: String = (0..10_000).map(|n| format!("\"m{n}\": 1,")).collect();
    let odd = format!("{{{odd} \"actions\": []}}");
    assert!(first_mistake(&odd).contains("is not known here"));
}

/// The error page is told all mistakes: a value that is wrong must not be told whole.
#[test]
fn value_that_is_wrong_is_told_by_its_beginning() {
    let long = "y".repeat(100_000);
    let next = r#""next_page": {"url": "n"}"#;
    for properties in [
        format!(r#""conference": {{"conference_name": "{long}"}}"#),
        format!(r#""connect": {{"destinations": ["{long}"], {next}}}"#),
        format!(r#""record": {{"format": "{long}", {next}}}"#),
        format!(r#""send_digits": {{"digits": "{long}"}}"#),
        format!(r#""{long}": {{}}"#),
    ] {
        let page = format!("{{\"actions\": [{{{properties}}}]}}");
        let found = check(&page, &Limits::default());
        let message = &found.first().expect("it is wrong").message;
        assert!(message.len() < 2_000, "{} bytes: {}", message.len(), &message[..200]);
    }
}

#[test]
fn words_to_choose_from_name_the_empty_text_as_one() {
    let page = r#"{"actions": [{"record": {"format": "wav", "next_page": {"url": "n"}}}]}"#;
    let expected = "found \"wav\", expected one of alaw, ulaw, or an empty text";
    assert!(first_mistake(page).contains(expected), "{}", first_mistake(page));
}

#[test]
fn token_that_is_too_long_is_refused() {
    let page = format!("{{\"actions\": [], \"token\": \"{}\"}}", "t".repeat(2_000));
    assert!(first_mistake(&page).contains("at most 1000 bytes"));
}

#[test]
fn pages_that_send_to_each_other_end() {
    let page = r#"{"actions": [{"redirect": {"next_page": {"url": "first"}}}]}"#;
    let story = World::new(&[("first", page)], "").run();
    assert!(story.contains("pages in a row of which the callee notices nothing"), "{story}");
    assert!(story.lines().count() < 40, "{story}");
}

#[test]
fn pages_that_the_callee_notices_end_as_well() {
    let page = r#"{"actions": [{"sleep": {"seconds": 0.1}},
        {"redirect": {"next_page": {"url": "first"}}}]}"#;
    let story = World::new(&[("first", page)], "").run();
    assert!(story.contains("more than 1000 pages asked for in a call"), "{story}");
}

#[test]
fn error_page_that_errs_does_not_go_round() {
    let page = r#"{"actions": [{"play": {"play_list": [{"file_to_play": "missing.wav"}]}}]}"#;
    let story = World::new(&[("first", page), ("error", page)], "").run();
    assert!(story.contains("notices nothing"), "{story}");
}

#[test]
fn keys_that_nobody_asks_for_are_dropped() {
    let page = r##"{"actions": [{"get_number": {"next_page": {"url": "b"}, "end_digit": "#"}}]}"##;
    let keys = format!("<{}", "1".repeat(500));
    let mut world = World::new(&[("first", page), ("b", "")], &keys);
    world.play_through();
    assert!(world.ended);
}
