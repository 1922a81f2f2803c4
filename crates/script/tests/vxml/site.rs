//! Rules that need several pages: roots, what is relative to what, and what lives on.

use script::step::{Fetch, FetchError, Fetched, Method, StartPage};
use script::vxml::Limits;

use crate::world::{World, dialogue, url};

const KEY: &str = "<grammar mode='dtmf' version='1.0' root='r'><rule id='r'>1</rule></grammar>";

/// What the first of these pages exits with; `@KEY@` stands for a grammar of key 1.
fn outcome(pages: &[(&str, &str)], callee: &str) -> String {
    let server = |fetch: &Fetch| -> Result<Fetched, FetchError> {
        let path = fetch.url.path().trim_start_matches('/');
        let (_, content) =
            pages.iter().find(|(name, _)| *name == path).ok_or(FetchError::Status(404))?;
        let (attributes, content) = content.split_once('|').unwrap_or(("", content));
        let content = content.replace("@KEY@", KEY);
        Ok(Fetched {
            url: fetch.url.clone(),
            content_type: String::new(),
            text: format!("<vxml version='2.1' {attributes}>{content}</vxml>"),
        })
    };
    let mut world = World::new(Limits::default(), &server, dialogue(callee));
    world.start(StartPage::Url { url: url(pages[0].0), method: Method::Get });
    world.run();
    let value = world.values.iter().find(|(name, _)| name == "exit");
    value.map_or_else(|| format!("no value:\n{}", world.story), |(_, value)| value.clone())
}

const PASS: &str = "<form><block><exit expr=\"'pass'\"/></block></form>";

#[test]
fn handler_of_the_root_goes_where_the_active_page_would_go() {
    // §5.2.4: as if by copy.
    let pages = [
        (
            "app/sub/leaf.vxml",
            "application='../root.vxml'|<form><block><throw event='e'/></block></form>",
        ),
        ("app/root.vxml", "<catch event='e'><goto next='there.vxml'/></catch><form/>"),
        ("app/sub/there.vxml", PASS),
    ];
    assert_eq!(outcome(&pages, ""), "pass");
}

#[test]
fn link_of_the_root_goes_where_the_root_says_and_is_heard_in_its_pages() {
    let pages = [
        (
            "app/sub/leaf.vxml",
            "application='../root.vxml'|<form><field name='f'><option dtmf='2'>x</option></field></form>",
        ),
        ("app/root.vxml", "<link next='there.vxml'>@KEY@</link><form/>"),
        ("app/there.vxml", PASS),
    ];
    assert_eq!(outcome(&pages, "1"), "pass");
}

#[test]
fn base_of_a_page_is_what_its_addresses_are_relative_to() {
    let pages = [
        ("a.vxml", "xml:base='/deep/er/'|<form><block><goto next='b.vxml'/></block></form>"),
        ("deep/er/b.vxml", PASS),
    ];
    assert_eq!(outcome(&pages, ""), "pass");
}

#[test]
fn variables_of_the_root_live_as_long_as_its_application() {
    let leaf = |next: &str| {
        format!(
            "application='root.vxml'|<form><block><assign name='application.n' \
             expr='application.n+1'/>{next}</block></form>"
        )
    };
    let told = "<exit expr='application.n'/>";
    let root = "<var name='n' expr='0'/><form><block><exit expr=\"'root ' + n\"/></block></form>";
    let goto = |to: &str| leaf(&format!("<goto next='{to}'/>"));
    let submit = |to: &str| leaf(&format!("<submit next='{to}'/>"));
    let run = |first: &str, second: &str| {
        let pages = [
            ("a.vxml", first),
            ("b.vxml", second),
            ("root.vxml", root),
            (
                "other.vxml",
                "application='root2.vxml'|<form><block><exit expr='typeof n'/></block></form>",
            ),
            ("root2.vxml", "<form/>"),
        ];
        outcome(&pages, "")
    };
    // §1.5.2: from leaf to leaf they stay, by whatever way.
    assert_eq!(run(&goto("b.vxml"), &leaf(told)), "2");
    assert_eq!(run(&submit("b.vxml"), &leaf(told)), "2");
    // To the root by goto as well; by submit it begins anew.
    assert_eq!(run(&goto("root.vxml"), ""), "root 1");
    assert_eq!(run(&submit("root.vxml"), ""), "root 0");
    // To another application nothing comes along.
    assert_eq!(run(&goto("other.vxml"), ""), "undefined");
}

#[test]
fn subdialog_of_another_application_leaves_that_of_its_caller_alone() {
    let pages = [
        (
            "a.vxml",
            "application='root.vxml'|<form><block><assign name='application.n' expr='5'/></block>\
             <subdialog name='s' src='sub.vxml'><filled><exit expr=\"s.n + ' ' + application.n\"/>\
             </filled></subdialog></form>",
        ),
        ("root.vxml", "<var name='n' expr='0'/><form/>"),
        (
            "sub.vxml",
            "application='root.vxml'|<form><var name='n' expr='application.n'/><block>\
             <assign name='application.n' expr='9'/><return namelist='n'/></block></form>",
        ),
    ];
    // §2.3.4: a context of its own, also of the same root.
    assert_eq!(outcome(&pages, ""), "0 5");
}

#[test]
fn form_of_the_root_that_is_heard_everywhere_is_gone_to_when_it_matches() {
    let pages = [
        (
            "leaf.vxml",
            "application='root.vxml'|<form><field name='f'><option dtmf='2'>x</option></field></form>",
        ),
        (
            "root.vxml",
            "<var name='n' expr='3'/><form id='first'><block><exit/></block></form>\
             <form id='wide' scope='document'><grammar mode='dtmf' version='1.0' root='r' \
             tag-format='semantics/1.0'><rule id='r'>1<tag>out.g='pass';</tag></rule></grammar>\
             <field name='g'>@KEY@<filled><exit expr='g + document.n'/></filled></field></form>",
        ),
    ];
    assert_eq!(outcome(&pages, "1"), "pass3");
}

#[test]
fn page_that_is_not_to_be_had_is_told_in_the_page_that_asked_for_it() {
    let caught = "<catch event='error'><exit expr='_event'/></catch>";
    let run = |content: &str, more: (&str, &str)| {
        let content = format!("{caught}<form><block>{content}</block></form>");
        outcome(&[("a.vxml", &content), more], "")
    };
    let none = ("none", "");
    assert_eq!(run("<goto next='gone.vxml'/>", none), "error.badfetch.http.404");
    assert_eq!(run("<goto next='b.vxml'/>", ("b.vxml", "<form><block/>")), "error.badfetch");
    assert_eq!(run("<goto next='b.vxml#x'/>", ("b.vxml", PASS)), "error.badfetch");
    let rootless = ("b.vxml", "application='gone.vxml'|<form/>");
    assert_eq!(run("<goto next='b.vxml'/>", rootless), "error.badfetch.http.404");
    let rooted_root = ("b.vxml", "application='b.vxml'|<form/>");
    assert_eq!(run("<goto next='b.vxml'/>", rooted_root), "error.semantic");
}

#[test]
fn properties_of_root_page_form_and_item_override_each_other_from_the_outside_in() {
    let leaf = |page: &str, form: &str, item: &str| {
        let property = |mode: &str| match mode {
            "" => String::new(),
            mode => format!("<property name='inputmodes' value='{mode}'/>"),
        };
        format!(
            "application='root.vxml'|{}<form>{}<field name='f'>{}@KEY@<filled>\
             <exit expr=\"'heard'\"/></filled><noinput><exit expr=\"'deaf'\"/></noinput></field></form>",
            property(page),
            property(form),
            property(item),
        )
    };
    let run = |page: &str, form: &str, item: &str| {
        let root = "<property name='inputmodes' value='voice'/><form/>";
        outcome(&[("a.vxml", &leaf(page, form, item)), ("root.vxml", root)], "1")
    };
    let told =
        [run("", "", ""), run("dtmf", "", ""), run("dtmf", "voice", ""), run("", "voice", "dtmf")];
    assert_eq!(told, ["deaf", "heard", "deaf", "heard"]);
}

#[test]
fn data_is_read_with_names_spaces_and_lists_and_only_where_it_may_be() {
    let xml = "xmlns:n='urn:n'|<n:a n:k='v'>1</n:a><a>2</a><a>3</a>";
    let page = "<catch event='error'><exit expr='_event'/></catch><form><data name='d' src='d.xml'/>\
        <block><var name='all' expr=\"d.getElementsByTagName('a')\"/><var name='sum' expr='0'/>\
        <script>for (var i = 0; i &lt; all.length; i++) sum += Number(all.item(i).firstChild.data);\
        </script><exit expr=\"sum + d.getElementsByTagNameNS('urn:n','a').item(0)\
        .getAttributeNS('urn:n','k') + d.documentElement.nodeName\"/></block></form>";
    assert_eq!(outcome(&[("a.vxml", page), ("d.xml", xml)], ""), "5vvxml");
    // 2.1 §6: a list of nodes is no array.
    let looped = "<catch event='error'><exit expr='_event'/></catch><form>\
        <data name='d' src='d.xml'/><block><foreach item='one' \
        array=\"d.getElementsByTagName('a')\"><exit/></foreach></block></form>";
    assert_eq!(outcome(&[("a.vxml", looped), ("d.xml", xml)], ""), "error.semantic");
    let written = "<catch event='error'><exit expr='_event'/></catch><form>\
        <data name='d' src='d.xml'/><block><script>d.documentElement.firstChild.data = 'x'; \
        d.documentElement.removeChild(d.documentElement.firstChild);</script>\
        <exit expr=\"'changed'\"/></block></form>";
    assert_ne!(outcome(&[("a.vxml", written), ("d.xml", xml)], ""), "changed");
}
