//! Any text, read as either form, is a grammar or has mistakes; and no input breaks it.

use proptest::prelude::*;

use super::*;

/// Pieces that ABNF is made of, so that chance comes to something.
const ABNF: &[&str] = &[
    "#ABNF 1.0;\n",
    "language ",
    "en",
    "mode ",
    "dtmf",
    "voice",
    "root ",
    "$a",
    "$b",
    "public ",
    "private ",
    "=",
    ";",
    "|",
    "(",
    ")",
    "[",
    "]",
    "<",
    "0-1",
    "2-",
    ">",
    "/",
    "0.5",
    "x ",
    "1 ",
    "\"",
    "'",
    "{",
    "}",
    "{!{",
    "}!}",
    "!",
    "$",
    "$NULL",
    "$VOID",
    "$GARBAGE",
    "$<b.gram#c>",
    "~",
    "//",
    "/*",
    "*/",
    "\n",
    " ",
    "base ",
    "meta ",
    "is ",
    "lexicon ",
    "tag-format ",
    "<semantics/1.0>",
    "é",
    "예",
    "\u{301}",
    "\u{2028}",
    "-",
    ".",
    ":",
    "*",
    "\u{0}",
];

/// Pieces that the XML form is made of.
const XML: &[&str] = &[
    "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0' ",
    "mode='dtmf' ",
    "xml:lang='en' ",
    "root='a'",
    ">",
    "/>",
    "<rule id='a'",
    "<rule id='b' scope='public'>",
    "</rule>",
    "<one-of>",
    "</one-of>",
    "<item",
    " repeat='0-1'",
    " repeat='2-' repeat-prob='.5'",
    " weight='3'",
    ">",
    "</item>",
    "<ruleref uri='#a'/>",
    "<ruleref uri='#b'/>",
    "<ruleref special='GARBAGE'/>",
    "<ruleref special='VOID'/>",
    "<token>",
    "</token>",
    "<tag>",
    "</tag>",
    "x ",
    "1 ",
    "\"",
    "&amp;",
    "&#x0;",
    "&b;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "</grammar>",
    "<meta name='base' content='http://a.b/'/>",
    "é",
    "\u{0}",
    "<x:y>",
    "<?p?>",
];

fn made_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|it| it.concat())
}

const LEAVES: &[&str] = &["x", "y", "\"x y\"", "$a", "$b", "()", "$VOID", "$GARBAGE", "{t}", "{u}"];
/// Leaves of what an automaton can tell exactly.
const PLAIN_LEAVES: &[&str] = &["x", "y", "\"x y\"", "()", "$VOID", "{t}"];

/// An expansion that is well made.
fn expansion(leaves: &'static [&'static str]) -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(leaves).prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.join(" ")),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("({})", parts.join(" | "))),
            inner.clone().prop_map(|body| format!("[{body}]")),
            (inner.clone(), 0_u32..3, 0_u32..3)
                .prop_map(|(body, least, more)| format!("({body})<{least}-{}>", least + more)),
            inner.clone().prop_map(|body| format!("({body})<1-/0.5/>")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("(/2/ {one} | {other})")),
        ]
    })
}

fn tried(text: &str) {
    for media_type in ["", "application/srgs", "application/srgs+xml"] {
        for embedded in [false, true] {
            let given = Given { url: None, media_type, embedded, bytes_max: 100_000 };
            let Ok(draft) = read(text, &given) else { continue };
            let linked = link(&Arc::new(draft), None, &Library::default(), 2_000);
            let Ok(Linked::Ready(grammar)) = linked else { continue };
            let grammar = Arc::from(grammar);
            said(&grammar, &["x", "1", "x", "y"]);
            let _ = (grammar.to_jsgf("g"), grammar.to_fsg("g"), grammar.vocabulary());
        }
    }
}

/// Feeds words; what is told on the way must agree with itself.
fn said(grammar: &Arc<Grammar>, words: &[&str]) {
    let Ok(mut matcher) = Matcher::new(Arc::clone(grammar)) else { return };
    let mut fed = Vec::new();
    for word in words {
        let (before, takes) = (matcher.verdict(), matcher.takes(word));
        let Ok(after) = matcher.feed(word) else { return };
        fed.push((*word).to_owned());
        assert!(before.more || !after.complete, "more came than was hoped for");
        assert_eq!(takes, after.complete || after.more, "what is taken leads on");
        let parses = matcher.parses(20);
        assert_eq!(after.complete, !parses.is_empty());
        assert!(parses.windows(2).all(|pair| pair[0].cost <= pair[1].cost), "best first");
        if let Some(first) = parses.first() {
            assert_eq!(first.cost, matcher.parses(1)[0].cost, "the best is found alone too");
        }
        assert!(parses.iter().all(|parse| parse.to_text(grammar).contains('[')));
        let _ = matcher.readings(&fed, 3, 1.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        tried(&text);
        tried(&format!("#ABNF 1.0;\n{text}"));
    }

    #[test]
    fn pieces_of_abnf_are_read_or_refused(text in made_of(ABNF)) {
        tried(&text);
        tried(&format!("#ABNF 1.0;\nlanguage en;\nroot $a;\n$a = {text};\n$b = x;\n"));
    }

    #[test]
    fn pieces_of_xml_are_read_or_refused(text in made_of(XML)) {
        tried(&text);
        tried(&format!(
            "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0' xml:lang='en' \
             root='a'><rule id='a'>{text}</rule><rule id='b'>x</rule></grammar>"
        ));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let given = Given { url: None, media_type: "", embedded: false, bytes_max: 100_000 };
        let _ = read_bytes(&bytes, &given);
    }

    #[test]
    fn any_grammar_says_the_same_on_all_ways(
        a in expansion(LEAVES),
        b in expansion(LEAVES),
        words in prop::collection::vec(prop::sample::select(&["x", "y", "z"][..]), 0..6),
    ) {
        let text = format!("#ABNF 1.0;\nlanguage en;\nroot $a;\n$a = {a};\n$b = {b};\n");
        if let Ok(grammar) = grammar(&text) {
            said(&grammar, &words);
        }
    }

    #[test]
    fn any_automaton_takes_what_its_grammar_takes(
        a in expansion(PLAIN_LEAVES),
        b in expansion(PLAIN_LEAVES),
        words in prop::collection::vec(prop::sample::select(&["x", "y"][..]), 0..5),
    ) {
        let text = format!("#ABNF 1.0;\nlanguage en;\nroot $a;\n$a = {a} | $b {a};\n$b = {b};\n");
        let Ok(grammar) = grammar(&text) else { return Ok(()) };
        let complete = fed(&grammar, &words.join(" ")).0.verdict().complete;
        let taken = grammar.to_fsg("g").is_some_and(|fsg| super::written::walks(&fsg, &words));
        prop_assert_eq!(taken, complete, "{}", text);
    }
}
