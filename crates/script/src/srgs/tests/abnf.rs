//! The ABNF form: its header, declarations, tokens, expansions, and what is wrong with it.

use super::*;

#[test]
fn the_header_is_the_first_row_and_says_the_version() {
    let headers = [
        "#ABNF 1.0;\n",
        "#ABNF 1.0 UTF-8;\n",
        "\u{feff}#ABNF 1.0 ISO-8859-1;\r\n",
        "#ABNF 1.0; \t\n",
        "#ABNF 1.0;",
        " #ABNF 1.0;\n",
        "#ABNF 1.0; // why\n",
        "#ABNF 1.0;/*\n*/",
        "#ABNF;\n",
        "#ABNF ;\n",
        "#ABNF 2.0;\n",
        "#ABNF V1.0;\n",
        "#ABNF  1.0;\n",
        "#ABNF 1.0 ;\n",
        "#ABNF 1.0\n",
        "#JSGF V1.0;\n",
        "",
    ];
    let told = headers.map(|header| match draft(&format!("{header}mode dtmf;\n$r = 1;\n")) {
        Ok(_) => format!("{header:?} is one"),
        Err(told) if told.contains("header") => format!("{header:?} {told}"),
        Err(told) => format!("{header:?} {told}"),
    });
    expect_test::expect![[r##"
        "#ABNF 1.0;\n" is one
        "#ABNF 1.0 UTF-8;\n" is one
        "\u{feff}#ABNF 1.0 ISO-8859-1;\r\n" is one
        "#ABNF 1.0; \t\n" is one
        "#ABNF 1.0;" 1:11: the header stands in a row of its own
        " #ABNF 1.0;\n" 1:1: a grammar begins with: #ABNF 1.0;
        "#ABNF 1.0; // why\n" 1:12: the header stands in a row of its own
        "#ABNF 1.0;/*\n*/" 1:11: the header stands in a row of its own
        "#ABNF;\n" 1:1: a grammar begins with: #ABNF 1.0;
        "#ABNF ;\n" 1:7: the version is 1.0, as in: #ABNF 1.0;
        "#ABNF 2.0;\n" 1:7: the version is 1.0, as in: #ABNF 1.0;
        "#ABNF V1.0;\n" 1:7: the version is 1.0, as in: #ABNF 1.0;
        "#ABNF  1.0;\n" 1:7: the version is 1.0, as in: #ABNF 1.0;
        "#ABNF 1.0 ;\n" 1:11: an encoding or a semicolon is wanted, as: #ABNF 1.0 UTF-8;
        "#ABNF 1.0\n" 1:10: a semicolon ends the header, as in: #ABNF 1.0;
        "#JSGF V1.0;\n" 1:1: a grammar begins with: #ABNF 1.0;
        "" 1:1: a grammar begins with: #ABNF 1.0;"##]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn declarations_say_what_a_grammar_is() {
    let draft = draft(
        "#ABNF 1.0;\n\
         // what it is\n\
         language en-GB; mode voice; root $a; tag-format <semantics/1.0-literals>;\n\
         base <http://example.com/grammars/>;\n\
         lexicon <http://example.com/a.pls>; lexicon <b.pls>~<application/pls+xml>;\n\
         meta \"author\" is 'Me \"self\"'; http-equiv 'Expires' is '0';\n\
         {var x = 1}; {!{ if (x) { x = 2 } }!};\n\
         /** words\n * @example hello */\n\
         public $a = hello; private $b = there; $c = you;\n",
    )
    .unwrap();
    assert_eq!(draft.language(), Some("en-GB"));
    assert_eq!((draft.form(), draft.mode()), (Form::Abnf, Mode::Voice));
    assert_eq!(draft.root(), Some("a"));
    assert_eq!(draft.base.as_ref().map(Url::as_str), Some("http://example.com/grammars/"));
    let lexicons: Vec<_> =
        draft.lexicons().iter().map(|it| (it.uri.as_str(), it.media_type.as_deref())).collect();
    assert_eq!(
        lexicons,
        [("http://example.com/a.pls", None), ("b.pls", Some("application/pls+xml"))]
    );
    let metas: Vec<_> = draft.metas().iter().map(|it| (&*it.name, &*it.content)).collect();
    assert_eq!(metas, [("author", "Me \"self\""), ("Expires", "0")]);
    assert_eq!(
        draft.head.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        ["var x = 1", " if (x) { x = 2 } "]
    );
    assert_eq!(draft.public_rules().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn all_mistakes_are_told_with_row_and_column() {
    let wrong = draft(
        "#ABNF 1.0;\n\
         mode tones;\n\
         root $nowhere;\n\
         root $again;\n\
         flavour sweet;\n\
         meta author is me;\n\
         $a = one | ;\n\
         $b = two <3-1>;\n\
         $b = a second;\n\
         $GARBAGE = mine;\n\
         $c = $missing $<> $<x.gram>;\n\
         $d-e = hyphen;\n\
         $f = /heavy/ load | /-1/ light;\n\
         $g = (open;\n\
         $h = many* some+ any?;\n\
         $i = {tag} so };\n\
         $j = \"no end;\n",
    );
    expect_test::expect![[r#"
        1:1: a grammar of words needs its language, as: language en-US;
        2:6: mode tones; it is dtmf or voice
        4:1: a second root; a grammar has one
        4:6: the root names again; there is no such rule
        5:1: there is no declaration flavour; there are base, http-equiv, language, lexicon, meta, mode, root and tag-format
        6:6: a text in quotation marks is wanted
        7:12: something to match is wanted here; () matches nothing
        8:10: the repeat <3-1>; it is written as <3>, <2-4> or <1->
        9:1: a second rule is named b
        10:1: GARBAGE is a special rule and cannot be defined
        11:6: a reference names missing; there is no such rule
        11:15: a reference to nothing; it names a rule or a grammar
        11:19: the address "x.gram": relative URL without a base
        12:1: "d-e" cannot name a rule; a name begins with a letter and has no blank, dot, colon or hyphen
        13:6: the weight /heavy/; it is a number like 2, 0.5 or 3.1
        13:21: the weight /-1/; it is a number like 2, 0.5 or 3.1
        14:11: a bracket without its other one; here is ;
        15:10: * means nothing here; as part of a token it stands in ""
        15:16: + means nothing here; as part of a token it stands in ""
        15:21: ? means nothing here; as part of a token it stands in ""
        16:15: } means nothing here; as part of a token it stands in ""
        17:6: a quotation mark without its other one"#]].assert_eq(&wrong.unwrap_err());
}

#[test]
fn a_rule_is_wrong_where_its_expansion_is() {
    let wrong = [
        "",
        "()",
        "[]",
        "a | b |",
        "| a",
        "a )",
        "a <2",
        "a <2><3>",
        "a <1-2/0.5/>",
        "a <1-2/1.5/>",
        "a <-2>",
        "'a'",
        "\"\"",
        "a!",
        "a!e_n",
        "a !fr <2>",
        "{a} !fr",
        "/2/ a",
        "/2 a",
        "a = b",
        "don't",
        "a, b",
        "$",
        "$NULL $VOID",
        "$<#r>",
        "$<builtin:nothing>",
    ];
    let told = wrong.map(|rule| match abnf(&format!("$r = {rule};")) {
        Ok(_) => format!("{rule} is fine"),
        Err(told) => format!("{rule} {told}"),
    });
    expect_test::expect![[r#"
         4:6: something to match is wanted here; () matches nothing
        () is fine
        [] 4:7: something to match is wanted here; () matches nothing
        a | b | 4:13: something to match is wanted here; () matches nothing
        | a 4:6: something to match is wanted here; () matches nothing
        a ) 4:8: a semicolon ends a rule; here is )
        a <2 4:10: a repeat is written as <3>, <2-4> or <1->; here is ;
        a <2><3> 4:11: a second repeat; put brackets around the first
        a <1-2/0.5/> is fine
        a <1-2/1.5/> 4:8: the probability /1.5/; it is from 0.0 to 1.0
        a <-2> 4:8: the repeat <-2>; it is written as <3>, <2-4> or <1->
        'a' 4:6: tokens stand in double quotation marks, or in none
        "" 4:6: an empty token; it has at least one character
        a! 4:8: here stands a language, as in: oui!fr
        a!e_n 4:8: "e_n" is no language; one is written as en or en-US
        a !fr <2> is fine
        {a} !fr 4:10: ! means nothing here; as part of a token it stands in ""
        /2/ a is fine
        /2 a 4:6: a slash without its other one
        a = b 4:8: = means nothing here; as part of a token it stands in ""
        don't is fine
        a, b 4:7: , means nothing here; as part of a token it stands in ""
        $ 4:6: a $ without the name of a rule
        $NULL $VOID is fine
        $<#r> is fine
        $<builtin:nothing> 4:6: there is no builtin type nothing; there are boolean, currency, date, digits, number, phone and time"#]].assert_eq(&told.join("\n"));
}

#[test]
fn declarations_come_first_and_some_only_once() {
    let wrong = draft(
        "#ABNF 1.0;\nlanguage en; language fr;\n$a = x;\nmode voice;\nnothing;\npublic b = y;\n",
    );
    expect_test::expect![[r#"
        2:14: a second language; a grammar has one
        4:1: mode: declarations come before the rules
        5:1: a rule is wanted, as: public $name = words; not nothing
        6:8: the name of a rule is wanted, as $name"#]]
    .assert_eq(&wrong.unwrap_err());
}

#[test]
fn a_grammar_of_words_has_a_language_and_one_of_keys_needs_none() {
    expect_test::expect!["1:1: a grammar of words needs its language, as: language en-US;"]
        .assert_eq(&draft("#ABNF 1.0;\n$a = x;\n").unwrap_err());
    assert!(draft("#ABNF 1.0;\nmode dtmf;\n$a = 1;\n").is_ok());
    let given = Given { url: None, media_type: "", embedded: true, bytes_max: 1_000 };
    assert!(read("\n  #ABNF 1.0;\n$a = x;\n", &given).is_ok());
}

#[test]
fn quotes_brackets_and_comments_stand_where_they_like() {
    let grammar = abnf(
        "/* a comment with ; and $ and \" in it */\n\
         public $r // another ; one\n = (\"San Francisco\"|\"New\n  York\")/**/[(please)] ( ( now ) );",
    )
    .unwrap();
    expect_test::expect!["san francisco now: end, new york please now: end, new york please: partial, york now: no, san: partial"].assert_eq(&verdicts(
        &grammar,
        &["san francisco now", "new york please now", "new york please", "york now", "san"],
    ));
}

#[test]
fn operators_bind_to_what_stands_before_them() {
    let grammar = abnf("$r = very<0-2> big | so (very very)<2> small;").unwrap();
    expect_test::expect!["big: end, very very big: end, very very very big: no, so very very very very small: end, so very: partial"].assert_eq(&verdicts(
        &grammar,
        &["big", "very very big", "very very very big", "so very very very very small", "so very"],
    ));
}

#[test]
fn languages_hold_for_a_token_or_for_what_is_in_brackets() {
    let grammar =
        abnf("$r = yes | oui!fr | (ja doch | ja!nn) !de-CH | [si!it claro] !es \"bien sûr\"!fr;");
    let grammar = grammar.unwrap();
    let languages: Vec<_> = grammar
        .network
        .tokens
        .iter()
        .map(|token| format!("{}!{}", token.text, token.language.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        languages.join(" "),
        "yes!en oui!fr ja!de-CH doch!de-CH ja!nn si!it claro!es bien sûr!fr"
    );
    assert_eq!(grammar.languages(), ["en", "fr", "de-CH", "nn", "it", "es"]);
}

#[test]
fn keys_are_written_by_themselves_by_name_or_in_quotes() {
    let text = "#ABNF 1.0;\nmode dtmf;\nroot $r;\n$r = 1 2 \"*\" pound star | dtmf-3 | 45 | a;";
    let grammar = grammar(text).unwrap();
    expect_test::expect!["12*#*: end, 3: end, 45: end, 4: partial, A: end, 12: partial"]
        .assert_eq(&verdicts(&grammar, &["12*#*", "3", "45", "4", "A", "12"]));
    let wrong = super::grammar("#ABNF 1.0;\nmode dtmf;\n$r = *;\n$s = #;\n$t = one;\n$u = \"x\";");
    expect_test::expect![[r#"
        3:6: * means nothing here; as part of a token it stands in ""
        4:6: # means nothing here; as part of a token it stands in ""
        5:6: o in "one" is no key; keys are 0-9, * or star, # or pound, A-D
        6:6: x in "x" is no key; keys are 0-9, * or star, # or pound, A-D"#]]
    .assert_eq(&wrong.unwrap_err());
}

#[test]
fn a_base_may_be_declared_as_drafts_had_it() {
    let text = "#ABNF 1.0;\nlanguage en;\nmeta 'base' is 'http://example.com/a/';\n$r = $<b.gram>;";
    assert_eq!(grammar(text).unwrap_err(), "needs http://example.com/a/b.gram");
}

#[test]
fn a_declared_base_wins_over_that_of_a_meta_wherever_it_stands() {
    let (base, meta) = ("base <http://own.example/x/>;", "meta 'base' is 'http://other.example/';");
    for declarations in [format!("{base}\n{meta}"), format!("{meta}\n{base}")] {
        let text = format!("#ABNF 1.0;\nlanguage en;\n{declarations}\n$r = $<b.gram>;");
        assert_eq!(grammar(&text).unwrap_err(), "needs http://own.example/x/b.gram");
    }
}
