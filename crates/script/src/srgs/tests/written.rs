//! Grammars as recognizers take them.

use super::*;

#[test]
fn a_grammar_is_written_as_jsgf() {
    let grammar = abnf(
        "public $r = [please] (/2/ call | /1/ \"ring up\") $who<1-3> {tag} | $GARBAGE help | $VOID no;\n\
         $who = Jean-Luc | don't | mr. $r | ($NULL) | so<2->;",
    )
    .unwrap();
    expect_test::expect![[r#"
        #JSGF V1.0 UTF-8;
        grammar my_grammar;
        public <r0_r> = [(please)] (/0.666667/ call | /0.333333/ ring up) (<r1_who>) [(<r1_who>) [(<r1_who>)]] | help;
        <r1_who> = jean-luc | don't | mr. <r0_r> | <NULL> | (so) (so) (so)*;
    "#]].assert_eq(&grammar.to_jsgf("my grammar").unwrap());
}

#[test]
fn public_rules_without_a_root_are_alternatives() {
    let grammar = grammar("#ABNF 1.0;\nlanguage en;\npublic $a = x | y; public $b = z;").unwrap();
    expect_test::expect![[r#"
        #JSGF V1.0 UTF-8;
        grammar two;
        public <r0_grammar> = <r0_s0>;
        <r0_s0> = <r1_a> <r0_s1> | <r2_b> <r0_s1>;
        <r0_s1> = <r0_s4>;
        <r0_s4> = <NULL>;
        <r2_b> = z;
        <r1_a> = x | y;
    "#]]
    .assert_eq(&grammar.to_jsgf("two").unwrap());
}

#[test]
fn a_grammar_is_written_as_a_finite_automaton() {
    let grammar = abnf("$r = /3/ hello [there] | /1/ \"good bye\" {t};").unwrap();
    expect_test::expect![[r#"
        FSG_BEGIN greeting
        NUM_STATES 7
        START_STATE 0
        FINAL_STATE 1
        TRANSITION 0 2 1.000000
        TRANSITION 0 3 0.333333
        TRANSITION 3 4 1.000000 good
        TRANSITION 4 1 1.000000 bye
        TRANSITION 2 5 1.000000 hello
        TRANSITION 5 1 1.000000
        TRANSITION 5 6 1.000000
        TRANSITION 6 1 1.000000 there
        FSG_END
    "#]]
    .assert_eq(&grammar.to_fsg("greeting").unwrap());
}

#[test]
fn what_holds_itself_is_unfolded_a_few_times() {
    let fsg = abnf("$r = a | b $r c;").unwrap().to_fsg("nested").unwrap();
    assert_eq!(fsg.matches(" a\n").count(), 3);
    assert!(fsg.lines().count() < 60);
    let bomb = abnf("$r = x | $r $r | $r $r $r;").unwrap().to_fsg("bomb").unwrap();
    assert!(bomb.len() < 10_000_000);
}

#[test]
fn nothing_is_not_written() {
    let nothing = Grammar::nothing(Mode::Voice);
    assert_eq!((nothing.to_jsgf("x"), nothing.to_fsg("x")), (None, None));
    assert_eq!(abnf("$r = $VOID;").unwrap().to_jsgf("x"), None);
}

#[test]
fn a_phrase_is_written_too() {
    let grammar = Grammar::phrase("New news", true).unwrap();
    expect_test::expect![[r#"
        #JSGF V1.0 UTF-8;
        grammar phrase;
        public <r0_phrase> = <r0_s0>;
        <r0_s0> = <r0_s2> | <r0_s4>;
        <r0_s4> = news <r0_s5>;
        <r0_s5> = <r0_s1>;
        <r0_s1> = <r0_s6>;
        <r0_s6> = <NULL>;
        <r0_s2> = new <r0_s3>;
        <r0_s3> = <r0_s1> | <r0_s4>;
    "#]]
    .assert_eq(&grammar.to_jsgf("phrase").unwrap());
    assert_eq!(grammar.vocabulary(), ["new", "news"]);
}

/// An automaton as it is written, walked: whether it takes these words.
pub(super) fn walks(fsg: &str, words: &[&str]) -> bool {
    let mut edges = Vec::new();
    let (mut start, mut end) = (0, 0);
    for line in fsg.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| parts[at].parse::<usize>().unwrap();
        match parts[0] {
            "START_STATE" => start = number(1),
            "FINAL_STATE" => end = number(1),
            "TRANSITION" => edges.push((number(1), number(2), parts.get(4).copied())),
            _ => {}
        }
    }
    let silent = |mut states: Vec<usize>| {
        let mut at = 0;
        while at < states.len() {
            for (from, to, word) in &edges {
                if *from == states[at] && word.is_none() && !states.contains(to) {
                    states.push(*to);
                }
            }
            at += 1;
        }
        states
    };
    let mut states = silent(vec![start]);
    for said in words {
        let next =
            edges.iter().filter(|(from, _, word)| states.contains(from) && *word == Some(said));
        states = silent(next.map(|(_, to, _)| *to).collect());
    }
    states.contains(&end)
}

#[test]
fn the_automaton_takes_what_the_grammar_takes() {
    let grammar = abnf("$r = ($a | b)<1-2> [c]; $a = a | x y;").unwrap();
    let fsg = grammar.to_fsg("same").unwrap();
    for words in [&["a"][..], &["b", "x", "y", "c"], &["x"], &["c"], &[], &["a", "a", "a"]] {
        let complete = fed(&grammar, &words.join(" ")).0.verdict().complete;
        assert_eq!(walks(&fsg, words), complete, "{words:?}");
    }
}
