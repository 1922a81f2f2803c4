//! Rules of the language one by one: small pages that exit with `pass` where the rule holds.
//!
//! Each rule names its section (VoiceXML 2.0; "2.1 §n" for 2.1). What a page does not catch ends
//! it with what was caught.

mod answers;
mod content;
mod dialogs;

use script::step::{Fetch, FetchError, Fetched, Method, StartPage};
use script::vxml::{Limits, check};

use crate::golden::serve;
use crate::world::{World, dialogue, url};

const PASS: &str = "<exit expr=\"'pass'\"/>";

/// A grammar of keys; each alternative stands in an item.
fn keys(alternatives: &[&str]) -> String {
    let items: String = alternatives.iter().map(|it| format!("<item>{it}</item>")).collect();
    format!(
        "<grammar mode='dtmf' version='1.0' root='r' tag-format='semantics/1.0'>\
         <rule id='r'><one-of>{items}</one-of></rule></grammar>"
    )
}

/// A whole page; `{pass}`, `{if … and … fi}` and `{key a | b yek}` in the content stand for what
/// pages repeat.
fn page(content: &str) -> String {
    let mut content = content.replace("{pass}", PASS);
    while let Some((before, rest)) = content.split_once("{if ") {
        let (condition, after) = rest.split_once(" fi}").unwrap();
        let condition = condition.replace(" and ", " &amp;&amp; ");
        content = format!(
            "{before}<if cond=\"{condition}\">{PASS}<else/><exit expr=\"'not so'\"/></if>{after}"
        );
    }
    while let Some((before, rest)) = content.split_once("{key ") {
        let (alternatives, after) = rest.split_once(" yek}").unwrap();
        let alternatives: Vec<&str> = alternatives.split(" | ").collect();
        content = format!("{before}{}{after}", keys(&alternatives));
    }
    format!(
        "<?xml version=\"1.0\"?>\n<vxml version=\"2.1\" xmlns=\"http://www.w3.org/2001/vxml\">\
         <catch><exit expr=\"'caught ' + _event\"/></catch>{content}</vxml>"
    )
}

/// What a page exits with.
fn outcome(content: &str, callee: &str) -> String {
    let text = page(content);
    let server = |fetch: &Fetch| -> Result<Fetched, FetchError> {
        match fetch.url.path() {
            "/page.vxml" => Ok(Fetched {
                url: fetch.url.clone(),
                content_type: "application/voicexml+xml".to_owned(),
                text: text.clone(),
            }),
            _ => serve(fetch),
        }
    };
    let mut world = World::new(Limits::default(), &server, dialogue(callee));
    world.start(StartPage::Url { url: url("page.vxml"), method: Method::Get });
    world.run();
    let value = world.values.iter().find(|(name, _)| name == "exit");
    value.map_or_else(|| format!("no value:\n{}", world.story), |(_, value)| value.clone())
}

/// Each rule: its sentence, a page and what the callee does.
fn hold(rules: &[(&str, &str, &str)]) {
    let told: Vec<String> = rules
        .iter()
        .map(|(rule, content, callee)| (rule, outcome(content, callee)))
        .filter(|(_, outcome)| outcome != "pass")
        .map(|(rule, outcome)| format!("{rule}: {outcome}"))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Pages that are refused before anything of them runs.
fn refused(rules: &[(&str, &str)]) {
    let taken = rules.iter().filter(|(_, content)| check(&page(content)).is_empty());
    let taken: Vec<&str> = taken.map(|(rule, _)| *rule).collect();
    assert_eq!(taken, Vec::<&str>::new());
}
