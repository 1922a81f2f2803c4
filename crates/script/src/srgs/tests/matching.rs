//! What matches, what may, and what cannot, word by word.

use super::*;

#[test]
fn both_forms_match_the_same() {
    let pairs = [
        ("a b | c", "<one-of><item>a b</item><item>c</item></one-of>", &["a", "a b", "c", "b"][..]),
        ("a [b] c", "a <item repeat='0-1'>b</item> c", &["a c", "a b c", "a b", "a b b c"]),
        ("a<2>", "<item repeat='2'>a</item>", &["a", "a a", "a a a"]),
        ("a<2-3>", "<item repeat='2-3'>a</item>", &["a", "a a", "a a a", "a a a a"]),
        ("a<2->", "<item repeat='2-'>a</item>", &["a", "a a", "a a a a a a"]),
        ("a<0> b", "<item repeat='0'>a</item> b", &["b", "a b"]),
        (
            "(a | b)<0-> c",
            "<item repeat='0-'><one-of><item>a</item><item>b</item></one-of></item> c",
            &["c", "a b b a c", "a"],
        ),
        ("()", "<item/>", &["", "a"]),
        ("$NULL a", "<ruleref special='NULL'/>a", &["a", ""]),
        (
            "$VOID a | b",
            "<one-of><item><ruleref special='VOID'/>a</item><item>b</item></one-of>",
            &["a", "b"],
        ),
        ("[$VOID] a", "<item repeat='0-1'><ruleref special='VOID'/></item>a", &["a"]),
        ("$GARBAGE a", "<ruleref special='GARBAGE'/>a", &["a", "x a", "x y a", "a a", "x"]),
        ("a $GARBAGE", "a <ruleref special='GARBAGE'/>", &["a", "a x y", "x"]),
        ("{t} a", "<tag>t</tag>a", &["a", ""]),
    ];
    let mut told = Vec::new();
    for (short, long, inputs) in pairs {
        let short_grammar = abnf(&format!("$r = {short};")).unwrap();
        let long_grammar = xml(VOICE, &format!("<rule id='r'>{long}</rule>")).unwrap();
        let verdict = verdicts(&short_grammar, inputs);
        assert_eq!(verdict, verdicts(&long_grammar, inputs), "{short}");
        told.push(format!("{short}   {verdict}"));
    }
    expect_test::expect![[r#"
        a b | c   a: partial, a b: end, c: end, b: no
        a [b] c   a c: end, a b c: end, a b: partial, a b b c: no
        a<2>   a: partial, a a: end, a a a: no
        a<2-3>   a: partial, a a: match, a a a: end, a a a a: no
        a<2->   a: partial, a a: match, a a a a a a: match
        a<0> b   b: end, a b: no
        (a | b)<0-> c   c: end, a b b a c: end, a: partial
        ()   : end, a: no
        $NULL a   a: end, : partial
        $VOID a | b   a: no, b: end
        [$VOID] a   a: end
        $GARBAGE a   a: match, x a: match, x y a: match, a a: match, x: partial
        a $GARBAGE   a: match, a x y: match, x: no
        {t} a   a: end, : partial"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn rules_may_refer_to_themselves() {
    let grammars = [
        ("$r = a | b $r c;", &["a", "b a", "b a c", "b b b a c c c", "b c"][..]),
        ("$r = a | $r b;", &["a", "a b b b b", "b"]),
        ("$r = [$r] [a];", &["", "a", "a a a"]),
        ("$r = $s | a; $s = $r | b;", &["a", "b", "a b"]),
        ("$r = $s; $s = $r;", &["", "a"]),
        ("$r = a $r;", &["a", "a a"]),
        ("$r = ($s $s)<1->; $s = [a];", &["", "a a a"]),
    ];
    let told = grammars.map(|(text, inputs)| match abnf(text) {
        Ok(grammar) => format!("{text}   {}", verdicts(&grammar, inputs)),
        Err(told) => told,
    });
    expect_test::expect![[r#"
        $r = a | b $r c;   a: end, b a: partial, b a c: end, b b b a c c c: end, b c: no
        $r = a | $r b;   a: match, a b b b b: match, b: no
        $r = [$r] [a];   : match, a: match, a a a: match
        $r = $s | a; $s = $r | b;   a: end, b: end, a b: no
        $r = $s; $s = $r;   : no, a: no
        $r = a $r;   a: no, a a: no
        $r = ($s $s)<1->; $s = [a];   : match, a a a: match"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn ways_that_lead_nowhere_are_no_hope() {
    let grammar = abnf("$r = a ($dead | b) | a c $VOID; $dead = x $dead;").unwrap();
    assert_eq!(
        verdicts(&grammar, &["a", "a b", "a x", "a c"]),
        "a: partial, a b: end, a x: no, a c: no"
    );
    assert!(grammar.is_matchable());
    assert!(!abnf("$r = $r a;").unwrap().is_matchable());
}

#[test]
fn words_are_compared_without_regard_to_capitals() {
    let grammar = abnf("$r = Jean \"New York\" ÉTÉ;").unwrap();
    assert_eq!(verdict(&grammar, "JEAN new YORK été"), "end");
    assert_eq!(grammar.vocabulary(), ["jean", "new", "york", "été"]);
}

#[test]
fn what_may_come_next_can_be_asked() {
    let grammar = xml(DTMF, "<rule id='r'>1 <item repeat='0-1'>2</item> #</rule>").unwrap();
    let mut matcher = Matcher::new(grammar).unwrap();
    assert!(matcher.takes("1") && !matcher.takes("2"));
    matcher.feed("1").unwrap();
    assert!(matcher.takes("2") && matcher.takes("#") && !matcher.takes("1"));
}

#[test]
fn without_a_root_any_public_rule_matches() {
    let head = "#ABNF 1.0;\nlanguage en;\n";
    let several = grammar(&format!("{head}public $a = x; public $b = y $c; $c = z;")).unwrap();
    assert_eq!(verdicts(&several, &["x", "y z", "z"]), "x: end, y z: end, z: no");
    assert_eq!(readings(&several, "y z"), "$b[\"y\",$c[\"z\"]]");
    let alone = grammar(&format!("{head}$a = x;")).unwrap();
    assert_eq!(verdict(&alone, "x"), "end");
    let none = grammar(&format!("{head}$a = x; $b = y;")).unwrap_err();
    assert_eq!(none, "1:1: nothing can be matched: a grammar needs a root or a public rule");
    assert!(grammar(head).is_err());
}

#[test]
fn a_row_of_keys_is_a_grammar_too() {
    let grammar = Arc::new(Grammar::keys("4*"));
    assert_eq!(verdicts(&grammar, &["4", "4*", "*"]), "4: partial, 4*: end, *: no");
    let nothing = Arc::new(Grammar::nothing(Mode::Voice));
    assert_eq!((verdict(&nothing, ""), nothing.is_matchable()), ("no", false));
}
