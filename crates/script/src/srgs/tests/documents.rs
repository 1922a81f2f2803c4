//! References between documents.

use super::*;

fn url(name: &str) -> Url {
    Url::parse("http://example.com/g/").unwrap().join(name).unwrap()
}

fn document(name: &str, text: &str) -> Result<Arc<Draft>, String> {
    let url = url(name);
    let given = Given { url: Some(&url), media_type: "", embedded: false, bytes_max: 100_000 };
    read(text, &given).map(Arc::new).map_err(|mistakes| told(&mistakes))
}

/// A document of words in the ABNF form.
fn words(name: &str, rest: &str) -> Arc<Draft> {
    document(name, &format!("#ABNF 1.0;\nlanguage en;\n{rest}\n")).unwrap()
}

/// Links the first of some documents; what is fetched is told in order.
fn linked(rule: Option<&str>, documents: &[Arc<Draft>]) -> Result<(Arc<Grammar>, String), String> {
    let mut library = Library::default();
    let mut fetched = Vec::new();
    loop {
        match link(&documents[0], rule, &library, STATES_MAX) {
            Ok(Linked::Ready(grammar)) => return Ok((Arc::from(grammar), fetched.join(" "))),
            Ok(Linked::Needs(urls)) => {
                for needed in urls {
                    fetched.push(needed.path().trim_start_matches("/g/").to_owned());
                    let found = documents.iter().find(|it| it.url.as_ref() == Some(&needed));
                    match found {
                        Some(draft) => library.add(&needed, Arc::clone(draft)),
                        None => library.miss(&needed, "404"),
                    }
                }
            }
            Err(mistakes) => return Err(told(&mistakes)),
        }
    }
}

#[test]
fn roots_and_public_rules_of_other_documents_are_matched() {
    let documents = [
        words("a.gram", "root $r; $r = [$<b.gram#please>] go $<b.gram> | $<./c/d.grxml#x>;"),
        words(
            "b.gram",
            "root $where; $where = $<c/d.grxml>; public $please = please | $<#kindly>; $kindly = kindly;",
        ),
        document(
            "c/d.grxml",
            "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0' xml:lang='en' \
             root='home'><rule id='home'>home</rule><rule id='x' scope='public'>exit \
             <ruleref uri='../b.gram#please'/></rule></grammar>",
        )
        .unwrap(),
    ];
    let (grammar, fetched) = linked(None, &documents).unwrap();
    assert_eq!(fetched, "b.gram c/d.grxml");
    let said = ["please go home", "go home", "exit kindly", "kindly", "go"];
    expect_test::expect![[r#"
        please go home: end, go home: end, exit kindly: end, kindly: partial, go: partial
        $r[$<b.gram#please>["please"],"go",$<b.gram>[$<c/d.grxml>["home"]]]
        $r[$<./c/d.grxml#x>["exit",$<../b.gram#please>[$kindly["kindly"]]]]"#]]
    .assert_eq(&format!(
        "{}\n{}\n{}",
        verdicts(&grammar, &said),
        readings(&grammar, "please go home"),
        readings(&grammar, "exit kindly"),
    ));
    assert_eq!(grammar.drafts().count(), 3);
}

#[test]
fn documents_may_refer_to_each_other_in_circles() {
    let documents = [
        words("a.gram", "root $r; public $r = x | y $<b.gram>;"),
        words("b.gram", "root $s; $s = z $<a.gram#r> | $<b.gram#s>;"),
    ];
    let (grammar, fetched) = linked(None, &documents).unwrap();
    assert_eq!(fetched, "b.gram");
    assert_eq!(
        verdicts(&grammar, &["x", "y z x", "y z y z x", "y x"]),
        "x: end, y z x: end, y z y z x: end, y x: no"
    );
}

#[test]
fn only_what_the_root_needs_is_asked_for() {
    let draft = words("a.gram", "root $r; $r = x; public $s = $<b.gram>;");
    assert!(matches!(link(&draft, None, &Library::default(), 100), Ok(Linked::Ready(_))));
    let needs = link(&draft, Some("s"), &Library::default(), 100);
    assert!(matches!(needs, Ok(Linked::Needs(urls)) if urls == [url("b.gram")]));
}

#[test]
fn what_is_wrong_with_references_is_told_where_they_stand() {
    let documents = [
        words(
            "a.gram",
            "root $r;\n$r = $<b.gram>\n| $<b.gram#secret>\n| $<b.gram#none>\n| $<missing.gram>\n\
             | $<keys.gram>\n| $<b.gram#open>~<application/srgs+xml>\n| $<builtin:nothing>\n\
             | $<builtin:dtmf/digits>\n| $<c.gram#bad>;",
        ),
        words("b.gram", "$secret = x; public $open = y;"),
        words("c.gram", "public $bad = x\n$<b.gram#secret>;"),
        document("keys.gram", "#ABNF 1.0;\nmode dtmf;\nroot $k;\n$k = 1;").unwrap(),
    ];
    expect_test::expect![[r#"
        4:6: http://example.com/g/b.gram has no root; the reference must name a rule
        5:3: the rule secret of http://example.com/g/b.gram is private
        6:3: http://example.com/g/b.gram has no rule none
        7:3: the grammar http://example.com/g/missing.gram cannot be had: 404
        8:3: the grammar http://example.com/g/keys.gram is of mode dtmf, this of voice
        9:3: the grammar http://example.com/g/b.gram is of another media type than promised here
        10:3: there is no builtin type nothing; there are boolean, currency, date, digits, number, phone and time
        11:3: builtin:dtmf/digits is not of mode voice
        12:3: http://example.com/g/c.gram:4:1: the rule secret of http://example.com/g/b.gram is private"#]].assert_eq(&linked(None, &documents).unwrap_err());
}

#[test]
fn a_rule_is_activated_by_its_name_when_it_is_public() {
    let draft = [words("a.gram", "root $r; $r = x; public $p = y; $q = z;")];
    assert_eq!(verdict(&linked(Some("p"), &draft).unwrap().0, "y"), "end");
    assert_eq!(verdict(&linked(Some("r"), &draft).unwrap().0, "x"), "end");
    expect_test::expect![[r#"
        3:33: the rule q is private; it needs scope public
        1:1: there is no rule n"#]]
    .assert_eq(
        &[linked(Some("q"), &draft), linked(Some("n"), &draft)]
            .map(|it| it.unwrap_err())
            .join("\n"),
    );
}

#[test]
fn bases_move_references() {
    let draft = document(
        "a.grxml",
        "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0' xml:lang='en' \
         xml:base='sub/' root='r'><rule id='r'><ruleref uri='b.grxml'/></rule></grammar>",
    )
    .unwrap();
    let needs = link(&draft, None, &Library::default(), 100);
    assert!(matches!(needs, Ok(Linked::Needs(urls)) if urls == [url("sub/b.grxml")]));
    let moved = words("a.gram", "base <http://elsewhere.example/>; root $r; $r = $<b.gram>;");
    let needs = link(&moved, None, &Library::default(), 100);
    assert!(
        matches!(needs, Ok(Linked::Needs(urls)) if urls[0].host_str() == Some("elsewhere.example"))
    );
}

#[test]
fn each_document_reads_its_tags_in_its_own_way() {
    let documents = [
        words(
            "a.gram",
            "tag-format <semantics/1.0>; {var n = 'a'}; root $r;\n\
             $r = $<b.gram#b> {out.b = rules.b} $<c.gram#c> {out.c = rules.c} \
             $<d.gram#d> {out.d = rules.d; out.n = n} $<builtin:boolean> {out.yes = rules.boolean};",
        ),
        words(
            "b.gram",
            "tag-format <semantics/1.0>; {var n = 'b'}; public $b = x {out = n + typeof out};",
        ),
        words("c.gram", "tag-format <semantics/1.0-literals>; public $c = x { the c };"),
        words("d.gram", "public $d = x {unread} y;"),
    ];
    let (grammar, _) = linked(None, &documents).unwrap();
    expect_test::expect![[r#"{"b":"bobject","c":"the c","d":"x y","n":"a","yes":true}"#]]
        .assert_eq(&worth(&grammar, "x x x y yes"));
}

#[test]
fn a_document_of_literals_takes_what_its_reference_means() {
    let documents = [
        words(
            "a.gram",
            "tag-format <semantics/1.0-literals>; root $r; $r = go $<b.gram#b> | stop {s};",
        ),
        words("b.gram", "tag-format <semantics/1.0>; public $b = x {out.deep = 1};"),
    ];
    let (grammar, _) = linked(None, &documents).unwrap();
    assert_eq!(
        (worth(&grammar, "go x"), worth(&grammar, "stop")),
        ("{\"deep\":1}".to_owned(), "\"s\"".to_owned())
    );
}

#[test]
fn builtin_types_are_rules_too() {
    let grammar = grammar(
        "#ABNF 1.0;\nmode dtmf;\ntag-format <semantics/1.0>;\nroot $r;\n\
         $r = $<builtin:dtmf/digits?length=3> {out.code = rules.digits} \"*\" \
         $<builtin:boolean?y=7;n=9> {out.sure = rules.boolean};",
    );
    let grammar = grammar.unwrap();
    assert_eq!(verdicts(&grammar, &["123*7", "123*1", "12*7"]), "123*7: end, 123*1: no, 12*7: no");
    assert_eq!(worth(&grammar, "123*9"), "{\"code\":\"123\",\"sure\":false}");
}

#[test]
fn references_without_end_come_to_an_end() {
    let mut library = Library::default();
    let first = words("0.gram", "root $r; public $r = x $<1.gram>;");
    let mut rounds = 0;
    let told = loop {
        match link(&first, None, &library, STATES_MAX) {
            Ok(Linked::Needs(urls)) => {
                rounds += 1;
                let name = format!("{rounds}.gram");
                assert_eq!(urls, [url(&name)]);
                let next = words(&name, &format!("root $r; public $r = x $<{}.gram>;", rounds + 1));
                library.add(&urls[0], next);
            }
            Ok(Linked::Ready(_)) => panic!("it has no end"),
            Err(mistakes) => break told(&mistakes),
        }
    };
    expect_test::expect![
        "3:24: http://example.com/g/49.gram:3:24: the grammar refers to more than 50 others"
    ]
    .assert_eq(&told);
}
