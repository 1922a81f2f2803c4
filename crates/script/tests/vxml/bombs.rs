//! Documents that mean harm: each is contained, and a call ends or goes on as its handlers say.

mod list;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use expect_test::expect;
use script::step::StartPage;
use script::vxml::Limits;

use crate::golden::serve;
use crate::world::World;

/// What happened, and the processor time that it took.
fn run(document: String) -> (String, Duration) {
    let mut world = World::new(Limits::default(), &serve, Vec::new());
    let begun = now();
    world.start(StartPage::Document(document));
    world.run();
    let took = now().duration_since(begun);
    assert!(world.ended, "{}", world.story);
    let told = world.problems.first().cloned().unwrap_or_else(|| "nothing".to_owned());
    let told = told.replace(|c: char| !c.is_ascii(), "?");
    (told.chars().take(110).collect(), took)
}

#[expect(clippy::disallowed_methods, reason = "the time that a bomb takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}

/// Longest that one bomb may keep a thread; measured on a busy machine, so with room.
const TIME_MAX: Duration = Duration::from_secs(10);

fn told(bombs: &[(&str, String)]) -> String {
    let mut told = String::new();
    let mut worst = ("", Duration::ZERO);
    for (name, bomb) in bombs {
        let (story, took) = run(bomb.clone());
        let _ = writeln!(told, "{name}: {story}");
        assert!(took < TIME_MAX, "{name} took {took:?}");
        if took > worst.1 {
            worst = (name, took);
        }
    }
    println!("{} bombs contained; the worst, {}, took {:?}", bombs.len(), worst.0, worst.1);
    println!("memory: {}", memory());
    told
}

/// The most memory that this process ever had, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("unknown", str::trim).to_owned()
}

#[test]
fn fifteen_script_bombs_are_contained() {
    expect![[r#"
        loop: error.semantic: document:1:64: the script ran too long and was stopped
        doubling: error.semantic: document:1:64: InternalError: string too long
        growth: error.semantic: document:1:64: InternalError: out of memory
        backtracking: error.semantic: document:1:64: the script ran too long and was stopped
        comparator: error.semantic: document:1:64: the script ran too long and was stopped
        array from: error.semantic: document:1:64: InternalError: out of memory
        padding: error.semantic: document:1:64: InternalError: out of memory
        repeat: error.semantic: document:1:64: InternalError: out of memory
        recursion: error.semantic: document:1:64: RangeError: Maximum call stack size exceeded
        nested text: error.semantic: document:1:64: RangeError: Maximum call stack size exceeded
        big integer: error.semantic: document:1:64: 1n would be a big integer, and there are none here; a text is written '5' + 'n'
        nested data: error.semantic: document:1:64: the script threw a value
        printing: error.semantic: document:1:64: the script ran too long and was stopped
        code from text: error.semantic: document:1:64: the script ran too long and was stopped
        getters: error.semantic: document:1:64: RangeError: Maximum call stack size exceeded
    "#]].assert_eq(&told(&list::scripts()));
}

#[test]
fn bombs_in_values_that_leave_the_scripts_are_contained() {
    let contents = [
        ("exit of a long array", "<exit expr='new Array(4294967295)'/>"),
        (
            "exit of a deep object",
            "<script>var d = {}; for (var i = 0; i &lt; 1e4; i++) d = {d: d};</script><exit expr='d'/>",
        ),
        ("exit of a circle", "<script>var c = {}; c.c = c;</script><exit expr='c'/>"),
        (
            "loop over a long array",
            "<foreach item='x' array='new Array(99999)'><foreach item='y' array='new Array(99999)'><log/></foreach></foreach>",
        ),
        (
            "submit of a long text",
            "<var name='s' expr=\"'x'.repeat(2e6)\"/><submit next='http://a/' namelist='s'/>",
        ),
        ("prompt of a long text", "<prompt><value expr=\"'x'.repeat(2e6)\"/></prompt>"),
        ("event with a long name", "<throw eventexpr=\"'a.'.repeat(1e5)\"/>"),
    ];
    let page = |content: &str| {
        format!(
            "<vxml version='2.1'><error><exit/></error><form><block>{content}</block></form></vxml>"
        )
    };
    let bombs: Vec<_> = contents.map(|(name, content)| (name, page(content))).into();
    expect![[r#"
        exit of a long array: error.semantic: document:1:68: RangeError: the value is too large in "new Array(4294967295)"
        exit of a deep object: error.semantic: document:1:141: RangeError: the value is too large, or part of itself in "d"
        exit of a circle: error.semantic: document:1:105: RangeError: the value is too large, or part of itself in "c"
        loop over a long array: error.limit: document:1:49: limit statements_max: more than 20000 statements executed without input from the c
        submit of a long text: error.limit: document:1:94: limit submit_bytes_max: values of more than 1048576 bytes at once
        prompt of a long text: error.limit: document:1:56: limit prompt_bytes_max: more than 262144 bytes of prompts wait to be played
        event with a long name: error.semantic: document:1:56: "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.?" is no name of an event
    "#]].assert_eq(&told(&bombs));
}

#[test]
fn twelve_xml_bombs_are_contained() {
    expect![[r#"
        billion laughs: error.badfetch: document: 1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out
        quadratic: error.badfetch: document: 1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out
        external entity: error.badfetch: document: 1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out
        parameter entity: error.badfetch: document: 1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out
        unknown entity: error.badfetch: document: 1:34: there is no &x; in XML; write the sign itself
        depth: error.badfetch: document: 1:385: elements nested deeper than 64
        breadth: error.badfetch: document: 1:120016: more than 20000 elements
        attributes: error.badfetch: document: 1:1: an element with more than 64 attributes
        long attribute: error.badfetch: document: 1:1: VoiceXML version 22222222222222222222222222222222222222222222222222222222222222
        long text: error.badfetch: document: 1:1: the text has 2000055 bytes; at most 1048576 are read
        open comment: error.badfetch: document: 1:1: <vxml> is never closed: </vxml> is missing; 1:7: this comment is never closed: 
        namespaces: error.badfetch: document: 1:1773: more than 100 prefixes of namespaces are declared
    "#]].assert_eq(&told(&list::xml()));
}
