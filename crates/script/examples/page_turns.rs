//! How many pages a core turns in a second, and what a call that waits costs in memory.
//!
//! A turn is what a server does between a key and the next question: the key is matched, its
//! meaning computed, a form filled, a page read and checked, its prompts made. Beside it, in the
//! same run, what cannot be left out: the page parsed as XML, and the same expressions evaluated in
//! a bare engine. `make bench` runs it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::time::Timestamp;
use script::step::{Fetched, Input, Method, Session, StartPage, Step};
use script::vxml::{Limits, Vxml};
use url::Url;

/// A page as applications have them: a menu by keys, values, a condition, a script.
const PAGE: &str = r##"<?xml version="1.0" encoding="UTF-8"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en-US">
  <property name="timeout" value="5s"/>
  <var name="order" expr="{number: 17, items: ['tea', 'milk']}"/>
  <script>function words(n) { return n == 1 ? 'one item' : n + ' items'; }</script>
  <catch event="com.example.again"><reprompt/></catch>
  <noinput>We did not hear you. <reprompt/></noinput>
  <form id="main">
    <block><prompt>Your order has <value expr="words(order.items.length)"/>.</prompt></block>
    <field name="choice">
      <prompt>To hear it press 1, to change it press 2, to talk to somebody press 0.</prompt>
      <option dtmf="1" value="hear">hear</option>
      <option dtmf="2" value="change">change</option>
      <option dtmf="0" value="agent">agent</option>
      <grammar mode="dtmf" version="1.0" root="code" tag-format="semantics/1.0">
        <rule id="code">* <item repeat="4"><ruleref uri="#digit"/></item><tag>out = 'code';</tag></rule>
        <rule id="digit"><one-of><item>1</item><item>2</item><item>3</item></one-of></rule>
      </grammar>
      <filled>
        <if cond="choice == 'agent'"><throw event="com.example.again"/></if>
        <var name="number" expr="order.number + 1"/>
        <submit next="/page" method="post" namelist="choice number"/>
      </filled>
    </field>
  </form>
</vxml>"##;

/// The expressions of one turn.
const EXPRESSIONS: [&str; 5] = [
    "({number: 17, items: ['tea', 'milk']})",
    "(function words(n) { return n == 1 ? 'one item' : n + ' items'; })",
    "String([1, 2].length)",
    "'hear' == 'agent'",
    "17 + 1",
];

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(5);
/// Pages of one call: below its limit.
const PAGES: usize = 20;
/// Calls that wait at once.
const IDLE: usize = 1_000;

#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
fn now() -> Instant {
    Instant::now()
}

/// How often `work` is done in a second; it says how often each time.
fn per_second(mut work: impl FnMut() -> usize) -> f64 {
    work();
    let begun = now();
    let mut done = 0;
    while begun.elapsed() < TIME {
        done += work();
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Feeds one input; takes all steps; the fetch and the playing among them.
fn feed(machine: &mut Vxml, input: Input) -> (Option<Step>, Vec<Input>) {
    machine.handle(Timestamp::from_millis(1_000), input);
    let (mut fetch, mut ended) = (None, Vec::new());
    while let Some(step) = machine.poll() {
        match step {
            Step::Play { play, .. } => ended.push(Input::PlayEnded { play }),
            Step::Fetch(_) => fetch = Some(step),
            Step::End { .. } | Step::Problem { .. } => panic!("{step:?}"),
            _ => {}
        }
    }
    (fetch, ended)
}

/// A call that has heard its menu and waits for a key.
fn waiting() -> Vxml {
    let mut machine = Vxml::new(Limits::default(), 7);
    let page = StartPage::Url { url: address(), method: Method::Get };
    let (fetch, _) = feed(&mut machine, Input::Start { session: Session::default(), page });
    turn(&mut machine, fetch);
    machine
}

fn address() -> Url {
    Url::parse("http://app.example/page").expect("an address")
}

/// Gives it the page that it fetches, and plays all prompts to their ends.
fn turn(machine: &mut Vxml, fetch: Option<Step>) {
    let Some(Step::Fetch(fetch)) = fetch else { panic!("a page is fetched") };
    let content_type = "application/voicexml+xml".to_owned();
    let page = Fetched { url: address(), content_type, text: PAGE.to_owned() };
    let (_, mut ended) = feed(machine, Input::Fetched { fetch: fetch.fetch, result: Ok(page) });
    while let Some(input) = ended.pop() {
        ended.extend(feed(machine, input).1);
    }
}

/// A call through its pages.
fn call() -> usize {
    let mut machine = waiting();
    for _ in 1..PAGES {
        let (fetch, _) = feed(&mut machine, Input::Key('1'));
        turn(&mut machine, fetch);
    }
    PAGES
}

/// The same pages as XML and expressions only: one engine a call, as we have.
fn bare_call() -> usize {
    let runtime = rquickjs::Runtime::new().expect("an engine");
    let context = rquickjs::Context::full(&runtime).expect("a context");
    for _ in 0..PAGES {
        let document = roxmltree::Document::parse(PAGE).expect("a page");
        black_box(document.descendants().count());
        context.with(|ctx| {
            for expression in EXPRESSIONS {
                let value: rquickjs::Value<'_> = ctx.eval(expression).expect("an expression");
                black_box(value.is_undefined());
            }
        });
    }
    PAGES
}

/// Memory of this process in bytes.
fn memory_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0) * 1_024
}

fn main() {
    let is_profiled = std::env::args().any(|argument| argument == "--profile");
    let ours = per_second(call);
    if is_profiled {
        return;
    }
    let bare = per_second(bare_call);
    let before = memory_bytes();
    let calls: Vec<Vxml> = (0..IDLE).map(|_| waiting()).collect();
    let each = (memory_bytes().saturating_sub(before)) / IDLE;
    println!("page turns a second, one core     {ours:>10.0}");
    println!("XML and expressions alone         {bare:>10.0}");
    println!("ratio                             {:>10.2}", ours / bare);
    println!("memory of a call in a menu, bytes {each:>10}");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine               {:>10}", load.split(' ').next().unwrap_or("?"));
    drop(calls);
}
