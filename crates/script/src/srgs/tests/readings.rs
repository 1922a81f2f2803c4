//! All ways to read an input, in the order of preference.

use super::*;

#[test]
fn readings_come_in_the_order_of_the_document() {
    let grammar = abnf("$r = $a | $b | x {third}; $a = x {first}; $b = x {second};").unwrap();
    expect_test::expect![[r#"
        $r[$a["x",{!{first}!}]]
        $r[$b["x",{!{second}!}]]
        $r["x",{!{third}!}]"#]]
    .assert_eq(&readings(&grammar, "x"));
}

#[test]
fn weights_come_before_the_order_of_the_document() {
    let grammar =
        abnf("$r = /1/ $a | /4/ $b | /2/ x {c} | /.5/ x {d} | x {e}; $a = x; $b = x;").unwrap();
    expect_test::expect![[r#"
        $r[$b["x"]]
        $r["x",{!{c}!}] 0.500
        $r[$a["x"]] 0.250
        $r["x",{!{e}!}] 0.250
        $r["x",{!{d}!}] 0.125"#]]
    .assert_eq(&readings(&grammar, "x"));
}

#[test]
fn weights_multiply_along_the_way() {
    let grammar =
        abnf("$r = /1/ $a $a | /2/ $b $b; $a = /1/ x {p} | /1/ x {q}; $b = /1/ x {p} | /4/ x {q};")
            .unwrap();
    expect_test::expect![[r#"
        $r[$b["x",{!{q}!}],$b["x",{!{q}!}]]
        $r[$a["x",{!{p}!}],$a["x",{!{p}!}]] 0.500
        $r[$a["x",{!{q}!}],$a["x",{!{p}!}]] 0.500
        $r[$a["x",{!{p}!}],$a["x",{!{q}!}]] 0.500
        $r[$a["x",{!{q}!}],$a["x",{!{q}!}]] 0.500
        $r[$b["x",{!{p}!}],$b["x",{!{q}!}]] 0.250
        $r[$b["x",{!{q}!}],$b["x",{!{p}!}]] 0.250
        $r[$b["x",{!{p}!}],$b["x",{!{p}!}]] 0.062"#]]
    .assert_eq(&readings(&grammar, "x x"));
}

#[test]
fn a_weight_of_nothing_is_all_but_impossible() {
    let grammar = abnf("$r = /0/ x {never} | /1/ x {always} | /0/ y;").unwrap();
    expect_test::expect![[r#"
        $r["x",{!{always}!}]
        $r["x",{!{never}!}] 0.000"#]]
    .assert_eq(&readings(&grammar, "x"));
    assert_eq!(verdict(&grammar, "y"), "end");
}

#[test]
fn repeats_have_probabilities() {
    let likely = abnf("$r = x<0-2 /0.9/> {few} x<0-2>;").unwrap();
    let unlikely = abnf("$r = x<0-2 /0.1/> {few} x<0-2>;").unwrap();
    expect_test::expect![[r#"
        $r["x","x",{!{few}!}] 0.810
        $r[{!{few}!},"x","x"] 0.100
        $r["x",{!{few}!},"x"] 0.090

        $r[{!{few}!},"x","x"] 0.900
        $r["x",{!{few}!},"x"] 0.090
        $r["x","x",{!{few}!}] 0.010"#]]
    .assert_eq(&format!("{}\n\n{}", readings(&likely, "x x"), readings(&unlikely, "x x")));
    let any = xml(
        VOICE,
        "<rule id='r'><item repeat='1-' repeat-prob='.25'>x</item><tag>t</tag>\
         <item repeat='0-'>x</item></rule>",
    );
    expect_test::expect![[r#"
        $r["x",{!{t}!},"x","x"] 0.750
        $r["x","x",{!{t}!},"x"] 0.187
        $r["x","x","x",{!{t}!}] 0.047"#]]
    .assert_eq(&readings(&any.unwrap(), "x x x"));
}

#[test]
fn garbage_takes_as_little_as_it_can() {
    let grammar = abnf("$r = $GARBAGE help [$GARBAGE {more}] | please help;").unwrap();
    expect_test::expect![[r#"
        $r["please","help"]
        $r["help",{!{more}!}]
        $r["help"]"#]]
    .assert_eq(&readings(&grammar, "please help"));
    expect_test::expect![[r#"
        $r["help",{!{more}!}]
        $r["help"]"#]]
    .assert_eq(&readings(&grammar, "help help"));
}

#[test]
fn what_repeats_nothing_is_read_once() {
    let grammar = abnf("$r = x ({t})<2-> ($NULL)<5> [{u}] (())<0->;").unwrap();
    expect_test::expect![[r#"
        $r["x",{!{t}!},{!{u}!}]
        $r["x",{!{t}!}]"#]]
    .assert_eq(&readings(&grammar, "x"));
}

#[test]
fn rules_in_circles_are_read_a_finite_number_of_times() {
    let circle = abnf("$r = $r | $s | x; $s = $r {s};").unwrap();
    expect_test::expect![[r#"$r["x"]"#]].assert_eq(&readings(&circle, "x"));
    let empty = abnf("$r = $e $e x $e; $e = [$e {e}] [y];").unwrap();
    expect_test::expect![[r#"$r[$e[],$e[],"x",$e[]]"#]].assert_eq(&readings(&empty, "x"));
}

#[test]
fn no_reading_is_told_twice_and_the_best_is_the_first() {
    let grammar = abnf("$r = $r $r | x {a} | x {b};").unwrap();
    let (matcher, words) = fed(&grammar, "x x x");
    let all = matcher.readings(&words, 1_000, 1.0).unwrap();
    let texts: std::collections::BTreeSet<_> = all.iter().map(|it| it.text.clone()).collect();
    // Two ways to put brackets, two tags for each of three words.
    assert_eq!((all.len(), texts.len()), (16, 16));
    assert_eq!(all[0].text, matcher.readings(&words, 1, 1.0).unwrap()[0].text);
    assert_eq!(matcher.parses(5).len(), 5);
    assert!(matcher.parses(0).is_empty());
}

#[test]
fn tokens_and_tags_are_told_as_written() {
    let grammar = abnf("$r = \"New York\" {!{a}b}!} City {c};").unwrap();
    let (matcher, words) = fed(&grammar, "new york city");
    let reading = matcher.readings(&words, 1, 1.0).unwrap().remove(0);
    assert_eq!(
        (reading.tokens, reading.tags),
        (vec!["New York".to_owned(), "City".to_owned()], vec!["a}b".to_owned(), "c".to_owned()],)
    );
}
