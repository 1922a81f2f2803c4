//! Grammars in documents: inline, fetched, builtin.

use super::*;

const SRGS: &str = "xmlns='http://www.w3.org/2001/06/grammar' version='1.0'";

fn limits() -> Limits {
    Limits::default()
}

fn url(text: &str) -> Url {
    Url::parse("http://example.com/app/").unwrap().join(text).unwrap()
}

/// What keys or words come to.
fn verdict(grammar: &Arc<Grammar>, said: &[&str]) -> &'static str {
    let mut matcher = Matcher::new(Arc::clone(grammar)).unwrap();
    for word in said {
        matcher.feed(word).unwrap();
    }
    match (matcher.verdict().complete, matcher.verdict().more) {
        (true, true) => "match",
        (true, false) => "end",
        (false, true) => "partial",
        (false, false) => "no",
    }
}

fn meaning(grammar: &Arc<Grammar>, said: &[&str]) -> Option<Meaning> {
    let mut matcher = Matcher::new(Arc::clone(grammar)).unwrap();
    let words: Vec<String> = said.iter().map(|word| (*word).to_owned()).collect();
    for word in &words {
        matcher.feed(word).unwrap();
    }
    matcher.meaning(&words).map(Result::unwrap)
}

/// Compiles the first `<grammar>` of a page.
fn inline(page: &str, base: Option<&Url>) -> Result<Inline, String> {
    let rows = Rows::new(&Arc::from("page"), page);
    let document = super::super::xml::parse(page, &rows, 100_000).unwrap();
    let node = document.descendants().find(|node| node.tag_name().name() == "grammar").unwrap();
    compile(node, &rows, base, 20_000).map_err(|mistakes| told(&mistakes))
}

fn told(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn compiled(page: &str) -> Result<Arc<Grammar>, String> {
    match inline(page, None)? {
        Inline::Compiled(grammar) => Ok(Arc::from(grammar)),
        Inline::Draft(_) => Err("a draft".to_owned()),
    }
}

#[test]
fn an_inline_grammar_needs_neither_version_nor_language_nor_namespace() {
    let page = "<vxml xml:lang='fr'><field><grammar root='r'><rule id='r'>oui <item>non</item>\
                </rule></grammar></field></vxml>";
    let grammar = compiled(page).unwrap();
    assert_eq!((grammar.mode(), grammar.languages()), (Mode::Voice, vec!["fr"]));
    assert_eq!(verdict(&grammar, &["oui", "non"]), "end");
}

#[test]
fn mistakes_of_an_inline_grammar_are_told_by_the_rows_of_the_page() {
    let page = "<vxml>\n <grammar mode='dtmf' root='q'>\n  <rule id='r'>one\n\
                <item repeat='x'>1</item></rule></grammar></vxml>";
    assert_eq!(
        compiled(page).unwrap_err(),
        "2:2: the root names q; there is no such rule; 3:16: o in \"one\" is no key; keys are 0-9, \
         * or star, # or pound, A-D; 4:1: repeat=\"x\"; it is written as 3, 2-4 or 1-"
    );
    let empty = "<vxml>\n <grammar><rule id='a'>x</rule><rule id='b'>x</rule></grammar></vxml>";
    assert!(compiled(empty).unwrap_err().starts_with("2:2: nothing can be matched"));
}

#[test]
fn an_inline_grammar_may_be_abnf() {
    let page =
        "<vxml>\n<grammar><![CDATA[\n#ABNF 1.0;\nroot $r;\n$r = yes | <;\n]]></grammar></vxml>";
    let rows = Rows::new(&Arc::from("page"), page);
    let at = page.find("#ABNF").unwrap();
    let end = page.find("]]>").unwrap();
    let wrong = compile_text(&page[at..end], "application/srgs", &rows, at, None, 100);
    assert_eq!(
        told(&wrong.unwrap_err()),
        "5:12: < means nothing here; as part of a token it stands in \"\""
    );
    let right = compile_text("#ABNF 1.0;\n$r = yes;", "", &rows, at, None, 100);
    assert!(matches!(right, Ok(Inline::Compiled(_))));
}

#[test]
fn an_inline_grammar_that_refers_to_others_waits_for_them() {
    let page = "<vxml><grammar root='r'><rule id='r'>go <ruleref uri='there.gram#x'/></rule>\
                </grammar></vxml>";
    let Ok(Inline::Draft(draft)) = inline(page, Some(&url("page.vxml"))) else {
        panic!("it is no draft");
    };
    let place = Place::whole(&Arc::from("page"));
    let mut shelf = Shelf::default();
    let Ok(Shelved::Needs(needed)) = shelf.of(&draft, &place, &limits()) else {
        panic!("it needs nothing");
    };
    assert_eq!(needed, url("there.gram"));
    let text = "#ABNF 1.0;\nlanguage en;\npublic $x = home;\n";
    shelf.add(&needed, &needed, "text/plain", text, &limits()).unwrap();
    let Ok(Shelved::Ready(grammar)) = shelf.of(&draft, &place, &limits()) else {
        panic!("it is not ready");
    };
    assert_eq!(verdict(&grammar, &["go", "home"]), "end");
    // The next time it is at hand.
    let again = shelf.of(&draft, &place, &limits());
    assert!(matches!(again, Ok(Shelved::Ready(same)) if Arc::ptr_eq(&same, &grammar)));
    // Without an address the page can refer to nothing that can be had.
    assert!(matches!(inline(page, None), Ok(Inline::Draft(_))));
}

#[test]
fn a_fetched_grammar_is_had_by_its_address_and_rule() {
    let mut shelf = Shelf::default();
    let text = format!(
        "<grammar {SRGS} mode='dtmf' root='a'><rule id='a'>1</rule>\
         <rule id='b' scope='public'>2</rule><rule id='c'>3</rule></grammar>"
    );
    let plain = url("g.grxml");
    assert!(
        matches!(shelf.at(&url("g.grxml#b"), &limits()), Ok(Shelved::Needs(it)) if it == plain)
    );
    shelf.add(&plain, &url("moved/g.grxml"), "application/srgs+xml", &text, &limits()).unwrap();
    let ready = |shelf: &mut Shelf, name: &str| match shelf.at(&url(name), &limits()) {
        Ok(Shelved::Ready(grammar)) => Ok(grammar),
        Ok(Shelved::Needs(url)) => Err(format!("needs {url}")),
        Err(Unfit::Fault(fault)) => Err(fault.message),
        Err(Unfit::Mistakes(name, mistakes)) => Err(format!("{name} {}", told(&mistakes))),
    };
    assert_eq!(verdict(&ready(&mut shelf, "g.grxml").unwrap(), &["1"]), "end");
    assert_eq!(verdict(&ready(&mut shelf, "g.grxml#b").unwrap(), &["2"]), "end");
    let private = ready(&mut shelf, "g.grxml#c").unwrap_err();
    assert!(
        private.contains("http://example.com/app/moved/g.grxml") && private.contains("private")
    );
    let narrow = Limits { grammar_states_max: shelf.states + 1, ..limits() };
    shelf.ready.clear();
    assert!(matches!(shelf.at(&plain, &narrow), Err(Unfit::Mistakes(..))));
    shelf.clear();
    assert!(ready(&mut shelf, "g.grxml").is_err());
}

#[test]
fn what_was_fetched_is_judged_by_its_type_or_its_look() {
    let mut shelf = Shelf::default();
    let mut add = |media_type: &str, text: &str| match shelf.add(
        &url("g"),
        &url("g"),
        media_type,
        text,
        &limits(),
    ) {
        Ok(()) => "fine".to_owned(),
        Err(Unfit::Fault(fault)) => fault.event,
        Err(Unfit::Mistakes(_, mistakes)) => mistakes[0].to_string(),
    };
    let abnf = "#ABNF 1.0;\nlanguage en;\n$a = x;\n";
    let told = [
        add("application/srgs", abnf),
        add("text/html", abnf),
        add("text/html; charset=utf-8", "<html/>"),
        add("audio/basic", "sound"),
        add("application/srgs+xml", abnf),
        add("", "words"),
    ];
    expect_test::expect![[r##"
        fine
        fine
        1:1: the root is <html>; a grammar has <grammar>
        error.unsupported.format
        1:1: this is no XML, which begins with <; it begins with "#ABNF 1.0;\nlanguage en;\n$a = x"
        1:1: a grammar begins with: #ABNF 1.0;"##]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn builtin_types_have_addresses() {
    let at = |address: &str| match builtin_at(address) {
        None => "none".to_owned(),
        Some(Ok(grammar)) => format!("{:?}", grammar.mode()),
        Some(Err(fault)) => fault.event,
    };
    let addresses = [
        "builtin:dtmf/digits?length=4",
        "builtin:grammar/boolean",
        "builtin:time",
        "builtin:dtmf/money",
        "builtin:grammar/digits?length=x",
        "http://example.com/",
    ];
    expect_test::expect![[r#"
        Dtmf
        Voice
        Voice
        error.unsupported.builtin
        error.badfetch
        none"#]]
    .assert_eq(&addresses.map(at).join("\n"));
}

#[test]
fn meanings_are_values_or_programs() {
    let boolean = Arc::new(builtin_of("boolean?y=7", Mode::Dtmf).unwrap());
    assert_eq!(meaning(&boolean, &["7"]), Some(Meaning::Is(Value::Bool(true))));
    assert_eq!(meaning(&boolean, &["1"]), None);
    let keys = Arc::new(Grammar::keys("12"));
    assert_eq!(meaning(&keys, &["1", "2"]), Some(Meaning::Is(Value::text("12"))));
    let page = "<vxml><grammar mode='dtmf' tag-format='semantics/1.0'><rule id='r'>1<tag>out = 5\
                </tag></rule></grammar></vxml>";
    let scripted = compiled(page).unwrap();
    let Some(Meaning::Computed(program)) = meaning(&scripted, &["1"]) else {
        panic!("it is a program");
    };
    assert!(program.contains("out = 5\n;\nreturn out"), "{program}");
}
