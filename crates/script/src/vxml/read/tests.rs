//! Documents, right and wrong, and how their mistakes are told.

use super::super::say_document;
use super::*;

fn check(text: &str) -> Vec<Mistake> {
    read(text, &Arc::from("document"), None, &Limits::default()).err().unwrap_or_default()
}

/// All that is wrong with a document.
fn mistakes(text: &str) -> String {
    check(text).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A document around some dialogs.
fn page(dialogs: &str) -> String {
    format!("<vxml version='2.1' xmlns='http://www.w3.org/2001/vxml'>{dialogs}</vxml>")
}

fn in_form(content: &str) -> String {
    page(&format!("<form>{content}</form>"))
}

#[test]
fn a_document_to_say_has_no_mistakes() {
    assert_eq!(mistakes(&say_document("a < b & c")), "");
    assert_eq!(mistakes(&page("")), "");
}

#[test]
fn every_mistake_is_found_with_its_place() {
    let text = "<?xml version='1.0'?>\n<vxml version=\"3.0\" \
     xmlns=\"http://www.w3.org/2001/vxml\">\n  \
                <form id='a'>\n    <block><goto next='x' expr='y'/></block>\n    text\n    <bloc/>\n  </form>\n  \
                <form id='a' colour='red'/>\n</vxml>";
    expect_test::expect![[r#"
        2:1: VoiceXML version 3.0; 2.0 and 2.1 are understood
        4:12: <goto> has both next and expr; it takes one of them
        4:45: text "text" may not stand in <form>
        6:5: <bloc> is no element of VoiceXML 2.1; it stands in <form>; there may stand <block>, <catch>, <data>, <error>, <field>, <filled>, <grammar>, <help>, <initial>, <link>, <noinput>, <nomatch>, <object>, <property>, <record>, <script>, <subdialog>, <transfer>, <var>
        8:3: a second dialog has the id a
        8:16: <form> has no attribute colour; it may have id, scope"#]].assert_eq(&mistakes(text));
}

#[test]
fn roots_that_are_no_voicexml_are_refused() {
    let texts = [
        "<html/>",
        "<vxml version='2.0' xmlns='http://example.com/'/>",
        "<vxml/>",
        "<vxml version='1.0'/>",
        "",
        "<vxml version='2.0'>",
        "<vxml version='2.0'>&nbsp;</vxml>",
        "<vxml version='2.0' xml:base='::'/>",
    ];
    expect_test::expect![[r#"
        1:1: the root is <html>; a VoiceXML page has <vxml>
        1:1: the namespace is http://example.com/; VoiceXML has http://www.w3.org/2001/vxml
        1:1: <vxml> needs version="2.0" or version="2.1"
        1:1: VoiceXML version 1.0; 2.0 and 2.1 are understood
        1:1: the document is empty
        1:1: <vxml> is never closed: </vxml> is missing
        1:21: there is no &nbsp; in XML; write the sign itself
        1:1: xml:base="::" is no address: relative URL without a base"#]]
    .assert_eq(&texts.map(mistakes).join("\n"));
}

#[test]
fn elements_that_need_one_of_several_attributes_get_exactly_one() {
    let contents = [
        "<block><submit/></block>",
        "<block><submit next='a' expr='b'/></block>",
        "<block><throw/></block>",
        "<block><throw event='a' message='b' messageexpr='c'/></block>",
        "<block><script/></block>",
        "<block><script src='a'>b</script></block>",
        "<block><audio/></block>",
        "<block><audio src='a' expr='b'/></block>",
        "<block><exit expr='1' namelist='a'/></block>",
        "<field name='a'><grammar/></field>",
        "<field name='a'><grammar src='b' srcexpr='c'/></field>",
        "<field name='a'><grammar src='b' mode='dtmf'><rule id='r'>1</rule></grammar></field>",
        "<link dtmf='1'/>",
        "<link next='a'/>",
        "<link next='a' event='b' dtmf='1'/>",
        "<block><var/><assign name='a'/><value/></block>",
        "<block><prompt><say-as>1</say-as><sub/></prompt></block>",
    ];
    let told = contents.map(|content| mistakes(&in_form(content)));
    expect_test::expect![[r#"
        1:70: <submit> needs exactly one of next, expr
        1:70: <submit> has both next and expr; it takes one of them
        1:70: <throw> needs exactly one of event, eventexpr
        1:70: <throw> has both message and messageexpr; it takes one of them
        1:70: <script> needs exactly one of src, srcexpr or code
        1:70: <script> has both src and code; it takes one of them
        1:70: <audio> needs exactly one of src, expr
        1:70: <audio> has both src and expr; it takes one of them
        1:70: <exit> has both expr and namelist; it takes one of them
        1:79: <grammar> needs exactly one of src, srcexpr or rules
        1:79: <grammar> has both src and srcexpr; it takes one of them
        1:79: <grammar> has both src and rules; it takes one of them
        1:63: <link> needs exactly one of next, expr, event, eventexpr

        1:63: <link> has both next and event; it takes one of them
        1:70: <var> needs the attribute name
        1:76: <assign> needs the attribute expr
        1:94: <value> needs the attribute expr
        1:78: <say-as> needs the attribute interpret-as
        1:96: <sub> needs the attribute alias"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn values_of_attributes_are_checked() {
    let contents = [
        "<block><prompt timeout='5'/></block>",
        "<block><prompt timeout='-1s'/></block>",
        "<block><prompt bargein='yes' bargeintype='loud' count='0'/></block>",
        "<block><prompt><break time='long' strength='huge'/></prompt></block>",
        "<block><goto next='a' maxage='old' fetchtimeout='1m'/></block>",
        "<block><submit next='a' method='put' enctype='text/plain'/></block>",
        "<catch count='x'/>",
        "<field name='a'><filled mode='any' namelist='a'/></field>",
        "<filled namelist='nobody'/>",
        "<filled mode='some'/>",
        "<field name='a'/><block name='a'/>",
        "<field name='a'><option dtmf='1x'>b</option></field>",
        "<field name='a'><grammar mode='dtmf' root='q'><rule id='r'>1</rule></grammar></field>",
        "<block><if cond='1'><else/><elseif cond='2'/></if></block>",
        "<block><if/></block>",
    ];
    let told = contents.map(|content| mistakes(&in_form(content)));
    expect_test::expect![[r#"
        1:70: timeout="5"; a time is written as 3s, 0.5s or 850ms
        1:70: timeout="-1s"; a time is written as 3s, 0.5s or 850ms
        1:70: bargein="yes"; it is true or false
        1:70: bargeintype="loud"; it is speech or hotword
        1:70: count="0"; counts start at 1
        1:78: strength="huge"; it is medium or none or x-weak or weak or strong or x-strong
        1:78: time="long"; a pause is written as 500ms or 2s
        1:70: fetchtimeout="1m"; a time is written as 3s, 0.5s or 850ms
        1:70: maxage="old"; it is a whole number from 0
        1:70: method="put"; it is get or post
        1:70: enctype="text/plain"; it is application/x-www-form-urlencoded or multipart/form-data
        1:63: count="x"; it is a whole number from 0
        1:79: <filled> inside an input item has no mode and no namelist; those are for a <filled> of the form
        1:63: <filled> waits for nobody, which is no input item
        1:63: mode="some"; it is all or any
        1:80: a second form item has the name a
        1:79: dtmf="1x": x is no key; keys are 0-9 * # A-D
        1:79: the root names q; there is no such rule
        1:90: <elseif> after <else>; <else> comes last
        1:70: <if> needs the attribute cond"#]].assert_eq(&told.join("\n"));
}

#[test]
fn menus_number_their_choices_or_leave_it_to_the_document() {
    let menus = [
        "<menu/>",
        "<menu dtmf='true'><choice dtmf='1' next='#a'>b</choice></menu>",
        "<menu dtmf='true'><choice dtmf='#' next='#a'>b</choice><choice next='#c'>d</choice>\
         </menu>",
        "<menu dtmf='maybe'><choice>b</choice></menu>",
        "<menu accept='any'><choice next='#a' accept='all'>b</choice></menu>",
    ];
    expect_test::expect![[r#"

        1:75: dtmf="1" in a menu that numbers its choices; only 0, * and # are free

        1:57: dtmf="maybe"; it is true or false
        1:76: <choice> needs exactly one of next, expr, event, eventexpr
        1:57: accept="any"; it is exact or approximate
        1:76: accept="all"; it is exact or approximate"#]]
    .assert_eq(&menus.map(|menu| mistakes(&page(menu))).join("\n"));
}

#[test]
fn a_numbering_menu_gives_keys_to_nine_choices() {
    let choices = "<choice next='#a'>x</choice>".repeat(11);
    let text =
        page(&format!("<menu dtmf='true'>{choices}<choice dtmf='0' next='#b'>y</choice></menu>"));
    let document = read(&text, &Arc::from("x"), None, &Limits::default()).unwrap();
    let super::super::document::ItemKind::Menu(menu) = &document.dialogs[0].items[0].kind else {
        panic!("a menu has a menu item");
    };
    let keys: Vec<_> = menu.choices.iter().map(|choice| choice.choosable.keys.as_str()).collect();
    assert_eq!(keys.join(","), "1,2,3,4,5,6,7,8,9,,,0");
}

#[test]
fn foreign_attributes_and_metadata_are_nobodys_mistake() {
    let text = "<vxml version='2.1' xmlns='http://www.w3.org/2001/vxml' xml:lang='en' \
                xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b'>\
                <meta name='a' content='b'/><metadata><rdf:RDF xmlns:rdf='urn:x'><a b='c'/></rdf:RDF></metadata>\
                <form><block xml:space='preserve'/></form></vxml>";
    assert_eq!(mistakes(text), "");
}

#[test]
fn foreign_elements_elsewhere_are_mistakes() {
    let text = page("<form><x:block xmlns:x='urn:x'/></form>");
    assert!(mistakes(&text).contains("<block> is no element of VoiceXML 2.1"));
}

#[test]
fn mistakes_without_number_are_told_in_number() {
    let text = in_form(&"<nonsense/>".repeat(5_000));
    assert_eq!(check(&text).len(), super::super::schema::MISTAKES_MAX);
}

#[test]
fn documents_nested_or_grown_too_far_are_refused() {
    let deep = format!("<block>{}{}</block>", "<if cond='1'>".repeat(70), "</if>".repeat(70));
    assert!(mistakes(&in_form(&deep)).contains("nested deeper"));
    assert!(mistakes(&in_form(&"<block/>".repeat(30_000))).contains("more than 20000 elements"));
    assert!(mistakes(&in_form(&" ".repeat(1_100_000))).contains("at most 1048576 are read"));
}

#[test]
fn times_are_written_with_their_unit() {
    let read = |text| parse_duration(text).map(|time| time.as_millis());
    let times = ["10s", "850ms", "0.7s", "+1.5s", ".5s", " 2s ", "0s"].map(read);
    assert_eq!(times, [10_000, 850, 700, 1_500, 500, 2_000, 0].map(Some));
    let wrong =
        ["10", "s", "ms", "1.s", "-1s", "1m", "1e3s", "NaNs", "999999999s", "1 s", "1.2.3s"];
    assert_eq!(wrong.map(read), wrong.map(|_| None));
}
