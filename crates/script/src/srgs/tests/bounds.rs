//! Grammars made to take for ever, or all memory, do neither.

use super::*;

/// Feeds a hundred of a word, or as many as are taken, and asks what they mean.
fn endures(grammar: &Arc<Grammar>, word: &str) -> Result<usize, Excess> {
    let mut matcher = Matcher::new(Arc::clone(grammar))?;
    let mut words = Vec::new();
    for _ in 0..100 {
        matcher.feed(word)?;
        words.push(word.to_owned());
    }
    if let Some(meaning) = matcher.interpret(&words, 1.0) {
        meaning?;
    }
    let readings = matcher.parses(10).len();
    assert!(matcher.work() <= 400_000);
    Ok(readings)
}

#[test]
fn grammars_with_exponentially_many_readings_are_matched() {
    let bombs = [
        "$r = x | $r $r;",
        "$r = x | $r $r | $r $r $r;",
        "$r = ((x<0->)<0->)<0->;",
        "$r = (x | x x | x x x)<0->;",
        "$r = (x<0-1>)<0-1000>;",
        "$r = $a $a; $a = () | $r | x;",
        "$r = [$r]<0-400> x;",
        "$r = $a<1->; $a = $b | $c; $b = x; $c = $d $d; $d = [x];",
        "$r = $GARBAGE $GARBAGE $GARBAGE x;",
        "$r = $r x | $r x x | x;",
        "$r = x $r | x x $r | x;",
        "$r = {a} $r {b} | ($r | $r | $r) | x;",
    ];
    let told = bombs.map(|bomb| match endures(&abnf(bomb).unwrap(), "x") {
        Ok(readings) => format!("{bomb} {readings}"),
        Err(excess) => format!("{bomb} {excess}"),
    });
    expect_test::expect![[r#"
        $r = x | $r $r; 10
        $r = x | $r $r | $r $r $r; 10
        $r = ((x<0->)<0->)<0->; 1
        $r = (x | x x | x x x)<0->; 1
        $r = (x<0-1>)<0-1000>; the grammar is too ambiguous: there are too many ways to read the input
        $r = $a $a; $a = () | $r | x; 10
        $r = [$r]<0-400> x; the grammar is too ambiguous: there are too many ways to read the input
        $r = $a<1->; $a = $b | $c; $b = x; $c = $d $d; $d = [x]; 10
        $r = $GARBAGE $GARBAGE $GARBAGE x; 1
        $r = $r x | $r x x | x; 10
        $r = x $r | x x $r | x; 10
        $r = {a} $r {b} | ($r | $r | $r) | x; 0"#]].assert_eq(&told.join("\n"));
}

#[test]
fn a_thousand_words_are_read_and_no_more() {
    let grammar = abnf("$r = x<0->;").unwrap();
    let mut matcher = Matcher::new(Arc::clone(&grammar)).unwrap();
    let mut fed = 0;
    while fed < 2_000 && matcher.feed("x").is_ok() {
        fed += 1;
    }
    assert_eq!(fed, 1_000);
    assert_eq!(matcher.parses(3).len(), 1);
}

#[test]
fn repeats_that_multiply_are_refused_by_their_size() {
    let told = [
        "$r = ((x<100>)<100>)<100>;",
        "$r = x<1000000000>;",
        "$r = x<1000000000->;",
        "$r = ()<1000000000> x;",
        "$r = $a<100000>; $a = x;",
    ]
    .map(|bomb| abnf(bomb).map(|_| "fine".to_owned()).unwrap_or_else(|told| told));
    expect_test::expect![[r#"
        4:1: too large: grammars may have 20000 states here
        4:1: too large: grammars may have 20000 states here
        4:1: too large: grammars may have 20000 states here
        fine
        4:1: too large: grammars may have 20000 states here"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn rules_that_double_do_not_grow() {
    let mut rules = "$r = $a0;".to_owned();
    for n in 0..30 {
        rules.push_str(&format!("$a{n} = $a{} $a{};", n + 1, n + 1));
    }
    rules.push_str("$a30 = x;");
    let grammar = abnf(&rules).unwrap();
    assert!(grammar.states() < 1_000);
    let fsg = grammar.to_fsg("bomb").unwrap();
    assert!(fsg.len() < 10_000_000, "{}", fsg.len());
    assert!(grammar.to_jsgf("bomb").unwrap().len() < 10_000);
}

#[test]
fn deep_brackets_and_elements_are_refused() {
    let deep = abnf(&format!("$r = {}x{};", "(".repeat(10_000), ")".repeat(10_000)));
    assert_eq!(deep.unwrap_err(), "4:70: brackets nested deeper than 64");
    let most = abnf(&format!("$r = {}x{};", "(".repeat(64), ")".repeat(64)));
    assert!(most.is_ok());
    let deep = xml(VOICE, &format!("<rule id='r'>{}</rule>", "<item>".repeat(10_000)));
    assert!(deep.unwrap_err().contains("deeper than 64"));
}

#[test]
fn a_hundred_mistakes_are_told_and_a_million_marks_are_read_fast() {
    let told = draft(&format!("#ABNF 1.0;\nmode dtmf;\n{}", "$a = *;\n".repeat(10_000)));
    assert_eq!(told.unwrap_err().lines().count(), 100);
    for mark in
        ["{", "{;", "\"", "\";", "/*", "base <;", "$a = <;", "$a = /;", "(", "$", "!", "$a = $<"]
    {
        let text = format!("#ABNF 1.0;\n{}", mark.repeat(900_000 / mark.len()));
        assert!(draft(&text).is_err(), "{mark}");
    }
}

#[test]
fn texts_and_token_lists_have_a_greatest_length() {
    assert!(draft(&" ".repeat(1_000_001)).unwrap_err().contains("at most 1000000"));
    let words = "x ".repeat(200_000);
    let long = draft(&format!("#ABNF 1.0;\nlanguage en;\n$r = {words};\n"));
    assert_eq!(long.unwrap_err(), "3:100006: more than 100000 tokens".replace("100006", "200006"));
}

#[test]
fn long_tags_passed_by_every_word_are_given_up() {
    let tag = "y".repeat(10_000);
    let grammar = scripted(&format!("$r = (x {{out = '{tag}'}})<1->;"));
    let (matcher, words) = fed(&grammar, &"x ".repeat(50));
    let meaning = matcher.interpret(&words, 1.0).unwrap();
    assert_eq!(
        meaning.unwrap_err().to_string(),
        "the grammar is too ambiguous: the tags that the input passes are too long"
    );
}

#[test]
fn scripts_that_bomb_are_stopped() {
    let grammar = scripted(
        "$r = loop {!{for(;;){}}!} | array {var a = []; for(;;) a.push(a.length)} \
         | string {!{var s = 'x'; for(;;) s += s}!} | deep {!{(function f(){f()})()}!};",
    );
    for said in ["loop", "array", "string", "deep"] {
        assert!(worth(&grammar, said).starts_with("error: "), "{said} {}", worth(&grammar, said));
    }
}
