//! What tags make of an input (SISR 1.0).

use super::*;

fn literal(rules: &str) -> Arc<Grammar> {
    let text = format!(
        "#ABNF 1.0;\nlanguage en;\ntag-format <semantics/1.0-literals>;\nroot $r;\n{rules}\n"
    );
    grammar(&text).unwrap()
}

#[test]
fn without_a_format_of_tags_input_means_itself() {
    let grammar = abnf("$r = Hello {ignored} $w; $w = \"wide world\" {too};").unwrap();
    assert_eq!(worth(&grammar, "hello wide world"), "\"Hello wide world\"");
    let keys = xml(DTMF, "<rule id='r'>1<tag>x</tag><ruleref special='GARBAGE'/>#</rule>").unwrap();
    assert_eq!(worth(&keys, "199#"), "\"199#\"");
    assert_eq!(worth(&keys, "19"), "no match");
}

#[test]
fn a_literal_is_the_last_tag_or_that_of_the_last_reference() {
    let grammar = literal(
        "$r = one {first} { second } | $a $b | $a $c | two words;\
         $a = x {from a}; $b = y {from b}; $c = z;",
    );
    let said = ["one", "x y", "x z", "two words"];
    expect_test::expect![[r#"
        "second"
        "from b"
        "z"
        "two words""#]]
    .assert_eq(&said.map(|said| worth(&grammar, said)).join("\n"));
}

#[test]
fn out_is_an_object_until_something_is_assigned() {
    let grammar = scripted(
        "$r = a {} | b {out.x = 1} | c {out = 'c'} | d {out = 5; out += 1} | e {out = [1, 2]}\
         | f {out = null} | g {out = undefined} | h {out = true; var local = 1};",
    );
    let said = ["a", "b", "c", "d", "e", "f", "g", "h"];
    expect_test::expect![[r#"
        a {}
        b {"x":1}
        c "c"
        d 6
        e [1,2]
        f null
        g null
        h true"#]]
    .assert_eq(&said.map(|said| format!("{said} {}", worth(&grammar, said))).join("\n"));
}

#[test]
fn rules_hold_what_references_mean() {
    let grammar = scripted(
        "$r = $from {out.from = rules.city} to $to {out.to = rules.latest().name; \
         out.last = rules.to.name} | both $city {out.one = rules.city} $city {out.two = rules.city};\
         $from = from $city {out = rules.latest()};\
         $city = (Boston {out.name = 'BOS'} | \"New York\" {out.name = 'NYC'}) ;\
         $to = $city {out = rules.city};",
    );
    expect_test::expect![[r#"{"from":null,"last":"NYC","to":"NYC"}"#]]
        .assert_eq(&worth(&grammar, "from boston to new york"));
}

#[test]
fn what_is_not_tagged_means_its_last_reference_or_its_text() {
    let grammar =
        scripted("$r = $a $b | $c {out.c = rules.c}; $a = x {out = 1}; $b = $a; $c = y z;");
    assert_eq!(worth(&grammar, "x x"), "1");
    assert_eq!(worth(&grammar, "y z"), "{\"c\":\"y z\"}");
}

#[test]
fn a_grammar_without_any_tags_means_its_input() {
    let grammar = scripted("$r = $d $d; $d = one | two;");
    assert_eq!(worth(&grammar, "one two"), "\"one two\"");
}

#[test]
fn meta_tells_text_and_score() {
    let grammar = scripted(
        "$r = {out.none = rules.latest()} say $w {out.of = meta.w.text; out.latest = \
         meta.latest().text; out.score = meta.latest().score; out.all = meta.current().text; \
         out.own = meta.current().score};\
         $w = \"New York\" | Boston;",
    );
    expect_test::expect![[r#"{"all":"say New York","latest":"New York","none":null,"of":"New York","own":0.5,"score":0.5}"#]].assert_eq(&worth(&grammar, "say new york"));
}

#[test]
fn tags_of_the_head_run_first_and_are_seen_by_all_rules() {
    let grammar = scripted(
        "{!{var n = 40; function twice(x) { return 2 * x }}!};\n$r = $a {out = rules.a + n}; $a = x {out = twice(1)};",
    );
    // A declaration behind a rule is none; heads come first.
    assert!(super::grammar("#ABNF 1.0;\nlanguage en;\n$r = x;\n{var n = 1};").is_err());
    assert_eq!(worth(&grammar, "x"), "42");
}

#[test]
fn repeats_run_their_tags_each_time() {
    let grammar =
        scripted("$r = {out = ''} ($d {out += rules.d})<1->; $d = one {out = 1} | two {out = 2};");
    assert_eq!(worth(&grammar, "one two two"), "\"122\"");
    let keys = xml(
        "mode='dtmf' tag-format='semantics/1.0'",
        "<rule id='r'><tag>out.pin = ''</tag><item repeat='4'><ruleref uri='#d'/>\
         <tag>out.pin += rules.d</tag></item></rule><rule id='d'><one-of><item>1</item>\
         <item>2</item></one-of></rule>",
    );
    assert_eq!(worth(&keys.unwrap(), "1212"), "{\"pin\":\"1212\"}");
}

#[test]
fn scripts_that_fail_say_why() {
    let grammar = scripted("$r = a {out = missing} | c {!{while (true) {}}!} | d {throw 'me'};");
    expect_test::expect![[r#"
        error: ReferenceError: missing is not defined
        error: the script ran too long and was stopped
        error: the script threw "me""#]]
    .assert_eq(&["a", "c", "d"].map(|said| worth(&grammar, said)).join("\n"));
}

#[test]
fn tags_that_are_no_ecmascript_are_mistakes_of_the_grammar() {
    let wrong = super::grammar(
        "#ABNF 1.0;\nlanguage en;\ntag-format <semantics/1.0>;\n{!{function f( {}!};\n\
         $r = a {out = }\n | b {out = 'b'} | c {return 1};\n",
    );
    let told = wrong.unwrap_err();
    let places: Vec<_> = told.lines().filter_map(|it| it.split_once(": ")).map(|it| it.0).collect();
    assert_eq!(places, ["4:1", "5:8", "6:22"], "{told}");
    let wrong =
        xml("mode='dtmf' tag-format='semantics/1.0'", "<rule id='r'>1<tag>out = </tag></rule>");
    let wrong = wrong.unwrap_err();
    assert!(wrong.contains("no ECMAScript"), "{wrong}");
    // In other formats nothing says what a tag may be.
    let literal = literal("$r = a {out = };");
    assert_eq!(worth(&literal, "a"), "\"out =\"");
}

#[test]
fn tags_of_no_named_format_that_assign_what_a_rule_means_are_run() {
    let grammar = abnf(
        "$r = one {$ = 'uno'} | two {out = 'dos'} | to $c {$.to = $$} | by $c {out.by = rules.c}\
         | four; $c = rome {$ = 'R'} | \"new york\" {$.n = 'NY'};",
    );
    let grammar = grammar.unwrap();
    let said = ["one", "two", "to rome", "by new york", "four"];
    expect_test::expect![[r#"
        "uno"
        "dos"
        {"to":"R"}
        {"by":{"n":"NY"}}
        "four""#]]
    .assert_eq(&said.map(|said| worth(&grammar, said)).join("\n"));
    // One that is no ECMAScript says that they are something else.
    let other = abnf("$r = one {out = 'uno'} | two {two words};").unwrap();
    assert_eq!(worth(&other, "one"), "\"one\"");
}

#[test]
fn tags_cannot_reach_out_of_their_rule() {
    let grammar = scripted(
        "$r = {var out2 = 1} $a {out = typeof hidden + typeof rules.a}; $a = x {var hidden = 1; out.x = typeof out2};",
    );
    assert_eq!(worth(&grammar, "x"), "\"undefinedobject\"");
}

#[test]
fn rules_may_be_named_like_functions() {
    let grammar = scripted(
        "$r = $latest {out = rules.latest()} | $current {out = meta.current().text}; $latest = x {out = 1}; $current = y;",
    );
    assert_eq!((worth(&grammar, "x"), worth(&grammar, "y")), ("1".to_owned(), "\"y\"".to_owned()));
}

#[test]
fn deep_input_is_understood_to_a_depth() {
    let grammar = scripted("$r = x {out = 1} | x $r {out = 1 + rules.r};");
    assert_eq!(worth(&grammar, &"x ".repeat(90)), "90");
    assert_eq!(
        worth(&grammar, &"x ".repeat(150)),
        "the grammar is too ambiguous: the input nests too many rules in each other"
    );
}

#[test]
fn of_several_readings_each_has_its_own_meaning() {
    let grammar = scripted("$r = /1/ x {out = 'less'} | /3/ x {out = 'more'};");
    let (matcher, words) = fed(&grammar, "x");
    let told: Vec<_> = matcher
        .readings(&words, 5, 1.0)
        .unwrap()
        .into_iter()
        .map(|it| {
            format!("{} {:.2}", evaluate(&it.meaning, &Limits::default()).unwrap(), it.weight)
        })
        .collect();
    assert_eq!(told, ["\"more\" 1.00", "\"less\" 0.33"]);
}
