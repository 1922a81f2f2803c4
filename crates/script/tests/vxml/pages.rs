//! How many pages a call may have: surveys go on to their end, what runs away does not.

use script::step::{Fetch, FetchError, Fetched, Method, StartPage};
use script::vxml::Limits;

use crate::world::{World, dialogue, url};

/// A page that does this and goes on to the next, whose number stands for `N`; the last one exits.
fn survey(content: &'static str, pages: u32) -> impl Fn(&Fetch) -> Result<Fetched, FetchError> {
    move |fetch| {
        let number: u32 = fetch.url.query().and_then(|it| it.parse().ok()).unwrap_or(1);
        let onward = match number < pages {
            true => format!("<goto next='?{}'/>", number + 1),
            false => "<exit expr=\"'done'\"/>".to_owned(),
        };
        let content = content.replace("ONWARD", &onward).replace('N', &number.to_string());
        let script = fetch.url.path().ends_with(".js");
        let page = format!("<vxml version='2.1'>{content}</vxml>");
        Ok(Fetched {
            url: fetch.url.clone(),
            content_type: String::new(),
            text: if script { "var more = 1;".to_owned() } else { page },
        })
    }
}

/// How the call ends, and how many seconds it took.
fn end(content: &'static str, pages: u32, callee: &str, limits: Limits) -> (String, i64) {
    let server = survey(content, pages);
    let mut world = World::new(limits, &server, dialogue(callee));
    let first = if content.contains("fetchaudio") { "slow/page.vxml" } else { "page.vxml" };
    world.start(StartPage::Url { url: url(first), method: Method::Get });
    world.run();
    let problem = world.problems.first().map(|it| it.chars().take(200).collect());
    let value = world.values.first().map(|(_, value)| value.clone());
    (problem.or(value).unwrap_or_default(), world.now.as_millis() / 1_000)
}

const ASKS: &str = "<script src='more.js?N'/><form><field name='answer'>\
    <prompt>Question N</prompt><grammar src='builtin:dtmf/boolean'/>\
    <filled><log>N <value expr='answer'/></log>ONWARD</filled></field></form>";

#[test]
fn survey_of_many_pages_with_an_answer_on_each_goes_to_its_end() {
    let keys = "1 ".repeat(300);
    assert_eq!(end(ASKS, 300, &keys, Limits::default()).0, "done");
}

#[test]
fn pages_that_are_listened_to_go_to_their_end() {
    let waits = "<form><field><prompt timeout='1s'>Tip N</prompt>\
                 <grammar src='builtin:dtmf/boolean'/><noinput>ONWARD</noinput></field></form>";
    assert_eq!(end(waits, 80, "", Limits::default()).0, "done");
    let talks = "<form><transfer dest='tel:+1555' bridge='true'><filled>ONWARD</filled>\
                 </transfer></form>";
    assert_eq!(end(talks, 80, &"@9 ".repeat(80), Limits::default()).0, "done");
    let records = "<form><record maxtime='5s'><filled>ONWARD</filled></record></form>";
    assert_eq!(end(records, 80, &"r9 ".repeat(80), Limits::default()).0, "done");
    let hears = "<property name='fetchaudio' value='a.wav'/><form><block><prompt>Tip N</prompt>\
                 ONWARD</block></form>";
    assert_eq!(end(hears, 80, "", Limits::default()).0, "done");
    let (gone, _) = end(hears, 80, "<x", Limits::default());
    assert!(gone.contains("documents_max"), "{gone}: nobody hears anything after hanging up");
}

#[test]
fn pages_that_run_away_are_stopped_early() {
    let cases = [
        "<form><block>ONWARD</block></form>",
        "<form><block><prompt>Nobody waits for this</prompt>ONWARD</block></form>",
        "<form><field><prompt timeout='100ms'/><grammar src='builtin:dtmf/boolean'/>\
         <noinput>ONWARD</noinput></field></form>",
        "<catch>ONWARD</catch><form><block><throw event='a'/></block></form>",
    ];
    for case in cases {
        let (end, seconds) = end(case, 10_000, "", Limits::default());
        assert!(end.contains("limit documents_max: more than 50 documents"), "{case}: {end}");
        assert!(seconds <= 15, "{case}: {seconds} s");
    }
}

#[test]
fn scripts_that_are_fetched_over_and_over_are_stopped_early() {
    let content = "<form><block><script src='a.js?N'/><script src='b.js?N'/>\
                   <script src='c.js?N'/></block><block>ONWARD</block></form>";
    let (end, _) = end(content, 10_000, "", Limits::default());
    assert!(end.contains("limit resources_max: more than 100 scripts"), "{end}");
}

#[test]
fn no_call_has_more_pages_than_the_server_allows() {
    let limits = Limits { pages_max: 70, ..Limits::default() };
    let (told, _) = end(ASKS, 300, &"1 ".repeat(300), limits);
    assert!(told.contains("limit pages_max: more than 70 documents fetched in a call"), "{told}");
    let limits = Limits { call_resources_max: 70, ..Limits::default() };
    let (told, _) = end(ASKS, 300, &"1 ".repeat(300), limits);
    assert!(told.contains("call_resources_max"), "{told}");
}

#[test]
fn long_call_goes_on_without_its_log_when_that_is_full() {
    let server = survey(ASKS, 60);
    let limits = Limits { call_log_bytes_max: 100, ..Limits::default() };
    let mut world = World::new(limits, &server, dialogue(&"1 ".repeat(60)));
    world.start(StartPage::Url { url: url("page.vxml"), method: Method::Get });
    world.run();
    assert_eq!(world.values.first().map(|(_, value)| value.as_str()), Some("done"));
    assert!((10..30).contains(&world.logs.len()), "{:?}", world.logs);
    assert_eq!(world.problems.len(), 1, "{:?}", world.problems);
    assert!(world.problems[0].contains("limit call_log_bytes_max"), "{:?}", world.problems);
}
