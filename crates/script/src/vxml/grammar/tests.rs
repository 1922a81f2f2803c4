//! Key grammars, read and matched.

use std::sync::Arc;

use super::super::limits::Limits;
use super::*;

fn grammar(text: &str) -> Result<Arc<Grammar>, String> {
    let name = Arc::from("grammar");
    match compile_text(text, &name, None, &Limits::default()) {
        Ok(grammar) => Ok(Arc::new(grammar)),
        Err(Trouble::Fault(fault)) => Err(format!("{} {}", fault.event, fault.text())),
        Err(Trouble::Mistakes(mistakes)) => {
            Err(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
    }
}

/// A grammar around some rules; the root is `r`.
fn rules(rules: &str) -> Result<Arc<Grammar>, String> {
    let head = "version='1.0' mode='dtmf' root='r' xmlns='http://www.w3.org/2001/06/grammar'";
    grammar(&format!("<grammar {head}>{rules}</grammar>"))
}

/// What keys come to: `match`, `match_end` where nothing may follow, `partial` or `no_match`.
fn verdict(grammar: &Arc<Grammar>, keys: &str) -> &'static str {
    let mut matcher = Matcher::new(Arc::clone(grammar)).expect("a grammar to begin with");
    for key in keys.chars() {
        let _ = matcher.feed(&key.to_string());
    }
    let verdict = matcher.verdict();
    match (verdict.complete, verdict.more) {
        (true, true) => "match",
        (true, false) => "match_end",
        (false, true) => "partial",
        (false, false) => "no_match",
    }
}

fn verdicts(text: &str, inputs: &[&str]) -> String {
    match rules(text) {
        Ok(grammar) => {
            let told = inputs.iter().map(|keys| format!("{keys} {}", verdict(&grammar, keys)));
            told.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error,
    }
}

/// The meaning of some keys, programs as they are.
fn meaning(grammar: &Arc<Grammar>, keys: &str) -> String {
    let mut matcher = Matcher::new(Arc::clone(grammar)).expect("a grammar to begin with");
    let tokens: Vec<String> = keys.chars().map(String::from).collect();
    for token in &tokens {
        if let Err(fault) = matcher.feed(token) {
            return fault.to_string();
        }
    }
    match matcher.meaning(&tokens) {
        None => "none".to_owned(),
        Some(Ok(Meaning::Is(value))) => value.to_text(),
        Some(Ok(Meaning::Computed(program))) => program,
        Some(Err(fault)) => fault.message,
    }
}

#[test]
fn sequences_alternatives_and_repeats_match_as_they_are_written() {
    let cases: [(&str, &[&str]); 12] = [
        ("<rule id='r'>1 2 <token>3</token></rule>", &["", "1", "12", "123", "1234", "2"]),
        ("<rule id='r'>123</rule>", &["12", "123"]),
        ("<rule id='r'>star pound dtmf-7 \"8\"</rule>", &["*#78"]),
        (
            "<rule id='r'><one-of><item>1</item><item>12</item><item>3</item></one-of></rule>",
            &["1", "12", "13", "3", "4"],
        ),
        ("<rule id='r'><item repeat='2-3'>1</item></rule>", &["1", "11", "111", "1111"]),
        ("<rule id='r'><item repeat='0-1'>1</item></rule>", &["", "1", "11"]),
        ("<rule id='r'><item repeat='2-'>1</item>#</rule>", &["1#", "11#", "111111#", "111"]),
        ("<rule id='r'><item repeat='0'>1</item>2</rule>", &["2", "1"]),
        ("<rule id='r'><item repeat='0-'><item repeat='0-'>1</item></item></rule>", &["", "1111"]),
        ("<rule id='r'><ruleref special='GARBAGE'/>#</rule>", &["#", "12#", "1#2#", "12"]),
        ("<rule id='r'>1<ruleref special='VOID'/></rule>", &["", "1"]),
        (
            "<rule id='r'><one-of><item>1<ruleref uri='#dead'/></item><item>12</item></one-of>\
             </rule>\
             <rule id='dead'>2<ruleref uri='#dead'/></rule>",
            &["1", "12", "122"],
        ),
    ];
    let told = cases.map(|(text, inputs)| verdicts(text, inputs)).join("\n");
    expect_test::expect![[r#"
         partial, 1 partial, 12 partial, 123 match_end, 1234 no_match, 2 no_match
        12 partial, 123 match_end
        *#78 match_end
        1 match, 12 match_end, 13 no_match, 3 match_end, 4 no_match
        1 partial, 11 match, 111 match_end, 1111 no_match
         match, 1 match_end, 11 no_match
        1# no_match, 11# match_end, 111111# match_end, 111 partial
        2 match_end, 1 no_match
         match, 1111 match
        # match, 12# match, 1#2# match, 12 partial
         no_match, 1 no_match
        1 partial, 12 match_end, 122 no_match"#]]
    .assert_eq(&told);
}

#[test]
fn rules_may_refer_to_themselves() {
    let nested =
        "<rule id='r'><one-of><item>1</item><item>*<ruleref uri='#r'/>#</item></one-of></rule>";
    let left =
        "<rule id='r'><one-of><item>1</item><item><ruleref uri='#r'/>2</item></one-of></rule>";
    let empty = "<rule id='r'><item repeat='0-1'><ruleref uri='#r'/></item>\
     <item repeat='0-1'>1</item></rule>";
    expect_test::expect![[r#"
        1 match_end, *1 partial, *1# match_end, ***1### match_end, *# no_match
        1 match, 12222 match, 2 no_match
         match, 1 match, 111 match"#]]
    .assert_eq(
        &[
            verdicts(nested, &["1", "*1", "*1#", "***1###", "*#"]),
            verdicts(left, &["1", "12222", "2"]),
            verdicts(empty, &["", "1", "111"]),
        ]
        .join("\n"),
    );
}

#[test]
fn grammars_that_are_wrong_say_what_is_wrong() {
    let texts = [
        "<rule id='r'>1 two</rule>",
        "<rule id='q'>1</rule>",
        "<rule id='r'>1</rule><rule id='r'>2</rule>",
        "<rule>1</rule>",
        "<rule id='r'><ruleref uri='#nowhere'/></rule>",
        "<rule id='r'><ruleref/></rule>",
        "<rule id='r'><ruleref special='MAGIC'/></rule>",
        "<rule id='r'><ruleref uri='other.grxml#x'/></rule>",
        "<rule id='r'><item repeat='3-1'>1</item></rule>",
        "<rule id='r'><item repeat='-1'>1</item></rule>",
        "<rule id='r'><item repeat='x'>1</item></rule>",
        "<rule id='r'><item weight='2' colour='red'>1</item><block/></rule>",
        "<rule id='r'><item repeat='100'><item repeat='100'>1</item></item></rule>",
        "<rule id='r'><item repeat='1000000000'/></rule>",
        "",
    ];
    let told = texts.map(|text| rules(text).err().unwrap_or("no mistake".to_owned())).join("\n");
    expect_test::expect![[r#"
        1:100: t in "two" is no key; keys are 0-9, * or star, # or pound, A-D
        1:1: the root names r; there is no such rule
        1:108: a second rule is named r
        1:1: the root names r; there is no such rule; 1:87: <rule> needs an id
        1:100: a reference names nowhere; there is no such rule
        1:100: <ruleref> needs exactly one of uri, special
        1:100: special="MAGIC"; it is one of NULL, VOID, GARBAGE
        1:100: the address "other.grxml#x": relative URL without a base
        1:100: repeat="3-1"; it is written as 3, 2-4 or 1-
        1:100: repeat="-1"; it is written as 3, 2-4 or 1-
        1:100: repeat="x"; it is written as 3, 2-4 or 1-
        1:117: <item> has no attribute colour; it may have repeat, repeat-prob, weight; 1:138: <block> may not stand in <rule>; there may stand <example>, <item>, <one-of>, <ruleref>, <tag>, <token>
        1:87: too large: grammars may have 20000 states here
        no mistake
        1:1: the root names r; there is no such rule"#]].assert_eq(&told);
}

#[test]
fn whole_grammars_that_are_wrong_say_so() {
    let texts = [
        "<vxml/>",
        "<grammar/>",
        "<grammar version='1.0' xmlns='http://www.w3.org/2001/06/grammar' mode='tones'><rule id='a'>1</rule></grammar>",
        "not xml",
        "<grammar version='1.0' xmlns='http://www.w3.org/2001/06/grammar' mode='dtmf'><rule id='a'>1</rule><rule id='b'>2</rule></grammar>",
        "<!DOCTYPE grammar [<!ENTITY a 'b'>]><grammar version='1.0'/>",
    ];
    let told = texts.map(|text| grammar(text).err().unwrap_or("no mistake".to_owned())).join("\n");
    expect_test::expect![[r#"
        1:1: the root is <vxml>; a grammar has <grammar>
        1:1: <grammar> needs xmlns="http://www.w3.org/2001/06/grammar"; 1:1: <grammar> needs version="1.0"; 1:1: a grammar of words needs its language, as: xml:lang="en-US"
        1:1: mode tones; it is dtmf or voice; 1:1: a grammar of words needs its language, as: xml:lang="en-US"
        1:1: a grammar begins with: #ABNF 1.0;
        1:1: nothing can be matched: a grammar needs a root or a public rule
        1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out"#]]
    .assert_eq(&told);
}

#[test]
fn without_a_root_any_public_rule_matches() {
    let text = "<grammar version='1.0' xmlns='http://www.w3.org/2001/06/grammar' mode='dtmf'><rule id='a' scope='public'>1</rule>\
                <rule id='b' scope='public'>2</rule><rule id='c'>3</rule></grammar>";
    let grammar = grammar(text).unwrap();
    assert_eq!(
        ["1", "2", "3"].map(|keys| verdict(&grammar, keys)),
        ["match_end", "match_end", "no_match"]
    );
}

#[test]
fn a_rule_of_a_fetched_grammar_is_matched_by_its_name() {
    let text = "<grammar version='1.0' xmlns='http://www.w3.org/2001/06/grammar' mode='dtmf' root='a'><rule id='a'>1</rule>\
     <rule id='b' scope='public'>2</rule></grammar>";
    let name = Arc::from("grammar");
    let limits = Limits::default();
    let grammar = compile_text(text, &name, Some("b"), &limits).unwrap();
    assert_eq!(verdict(&Arc::new(grammar), "2"), "match_end");
    assert!(compile_text(text, &name, Some("c"), &limits).is_err());
}

#[test]
fn ambiguous_and_recursive_grammars_are_matched_in_bounded_work() {
    let bombs = [
        "<rule id='r'><one-of><item>1</item><item><ruleref uri='#r'/><ruleref uri='#r'/></item>\
         </one-of></rule>",
        "<rule id='r'><item repeat='0-'><item repeat='0-'><item repeat='0-'>1</item></item>\
         </item></rule>",
        "<rule id='r'><item repeat='0-'><one-of><item>1</item><item>11</item><item>111</item>\
         </one-of></item></rule>",
        "<rule id='r'><item repeat='0-1000'><item repeat='0-1'>1</item></item></rule>",
        "<rule id='r'><ruleref uri='#a'/><ruleref uri='#a'/></rule><rule id='a'><one-of><item/>\
         <item><ruleref uri='#r'/></item><item>1</item></one-of></rule>",
        "<rule id='r'><item repeat='0-400'><ruleref uri='#r'/></item>1</rule>",
    ];
    for bomb in bombs {
        let grammar = rules(bomb).unwrap();
        let mut matcher = Matcher::new(Arc::clone(&grammar)).unwrap();
        let mut fed = 0;
        while fed < 100 && matcher.feed("1").is_ok() {
            fed += 1;
        }
        let tokens = vec!["1".to_owned(); fed];
        if fed == 100 {
            assert!(matcher.verdict().complete, "{bomb}");
            assert!(matcher.meaning(&tokens).is_some());
        }
    }
}

#[test]
fn meaning_is_the_input_unless_tags_say_otherwise() {
    let head = "version='1.0' mode='dtmf' root='r' xmlns='http://www.w3.org/2001/06/grammar'";
    let plain = rules("<rule id='r'>1<tag>out = 'not read'</tag>2</rule>").unwrap();
    let literals = grammar(&format!(
        "<grammar {head} tag-format='semantics/1.0-literals'><rule id='r'><one-of>\
         <item><ruleref uri='#a'/><ruleref uri='#b'/></item><item>2<tag> two </tag></item></one-of></rule>\
         <rule id='a'>1<tag>one</tag></rule><rule id='b'>3</rule></grammar>"
    )).unwrap();
    let tagless = grammar(&format!(
        "<grammar {head} tag-format='semantics/1.0'><rule id='r'><item repeat='2'>1</item>\
         </rule></grammar>"
    ))
    .unwrap();
    let told = [
        meaning(&plain, "12"),
        meaning(&plain, "1"),
        meaning(&literals, "2"),
        meaning(&literals, "13"),
        meaning(&tagless, "11"),
    ];
    assert_eq!(told, ["12", "none", "two", "3", "11"]);
}

#[test]
fn tags_of_a_match_are_one_program() {
    let grammar = grammar(
        "<grammar version='1.0' xmlns='http://www.w3.org/2001/06/grammar' mode='dtmf' root='r' tag-format='semantics/1.0'>\
         <tag>var k = 5;</tag>\
         <rule id='r'><tag>out.n = 0</tag><item repeat='1-2'><ruleref uri='#d'/><tag>out.n += rules.d</tag></item></rule>\
         <rule id='d'>1<tag>out = k</tag></rule></grammar>",
    ).unwrap();
    expect_test::expect![[r#"
        (function(){var __rules=[];(function(){var k = 5;
        ;
        __rules[0]=function(){var out={},__last,meta={current:function(){return{text:"1",score:1}},latest:function(){return __last&&{text:__last.text,score:1}}},rules={latest:function(){return __last&&__last.out}};out = k
        ;
        return out};__rules[1]=function(){var out={},__last,meta={current:function(){return{text:"1",score:1}},latest:function(){return __last&&{text:__last.text,score:1}}},rules={latest:function(){return __last&&__last.out}};out.n = 0
        ;
        __last={text:"1",out:__rules[0]()};rules["d"]=__last.out;meta["d"]={text:__last.text,score:1};out.n += rules.d
        ;
        return out};})();return __rules[1]()})()"#]].assert_eq(&meaning(&grammar, "1"));
}

#[test]
fn one_key_sequence_is_a_grammar_too() {
    let grammar = Arc::new(Grammar::keys("4*"));
    assert_eq!(
        ["4", "4*", "*"].map(|keys| verdict(&grammar, keys)),
        ["partial", "match_end", "no_match"]
    );
    let voice = Arc::new(Grammar::voice());
    assert_eq!(verdict(&voice, "1"), "no_match");
}

#[test]
fn builtin_types_say_what_is_wrong_with_their_parameters() {
    let kinds = [
        "digits?minlength=5;maxlength=3",
        "digits?length=3;minlength=4",
        "digits?maxlength=0",
        "digits?length=99999",
        "digits?length=x",
        "boolean?y=1;n=1",
        "boolean?y=12",
        "boolean?y=x",
        "money",
        "",
        "digits?length=3;maxlength=3",
        "digits?minlength=0",
        "digits?flavour=sweet",
    ];
    let told = kinds.map(|kind| match builtin(kind) {
        Ok(_) => format!("{kind} is fine"),
        Err(fault) => format!("{kind}: {} {}", fault.event, fault.message),
    });
    expect_test::expect![[r#"
        digits?minlength=5;maxlength=3: error.badfetch digits: minlength, maxlength and length contradict each other
        digits?length=3;minlength=4: error.badfetch digits: minlength, maxlength and length contradict each other
        digits?maxlength=0: error.badfetch digits: minlength, maxlength and length contradict each other
        digits?length=99999: error.badfetch digits?length=99999: a number up to 1000 is wanted
        digits?length=x: error.badfetch digits?length=x: a number up to 1000 is wanted
        boolean?y=1;n=1: error.badfetch boolean?y=1;n=1: the keys must differ
        boolean?y=12: error.badfetch boolean?y=12: one key is wanted
        boolean?y=x: error.badfetch boolean?y=x: one key is wanted
        money: error.unsupported.builtin there is no builtin type money; there are boolean, currency, date, digits, number, phone and time
        : error.unsupported.builtin there is no builtin type ; there are boolean, currency, date, digits, number, phone and time
        digits?length=3;maxlength=3 is fine
        digits?minlength=0 is fine
        digits?flavour=sweet is fine"#]].assert_eq(&told.join("\n"));
}

#[test]
fn builtin_types_give_their_own_values() {
    let value = |kind: &str, keys: &str| meaning(&Arc::new(builtin(kind).unwrap()), keys);
    assert_eq!(value("time", "1200"), "1200?");
    assert_eq!(value("time", "0005"), "0005h");
    assert_eq!(value("currency", "3*50"), "3.50");
    assert_eq!(value("phone", "12*3"), "12x3");
    assert_eq!(value("digits?minlength=0", ""), "");
    assert_eq!(value("boolean?y=7", "7"), "true");
    assert_eq!(value("boolean?y=7", "2"), "false");
}
