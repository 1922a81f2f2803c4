//! The XML form: elements, attributes, and what is wrong with it.

use super::*;

#[test]
fn declarations_say_what_a_grammar_is() {
    let draft = draft(
        "<?xml version='1.0'?><grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0'\n\
         xml:lang='en-GB' xml:base='http://example.com/g/' mode='voice' root='a'\n\
         tag-format='semantics/1.0'><lexicon uri='a.pls' type='application/pls+xml'/>\n\
         <meta name='author' content='me'/><meta http-equiv='Expires' content='0'/>\n\
         <metadata><x:y xmlns:x='urn:x'>any</x:y></metadata><tag>var x = 1</tag>\n\
         <rule id='a' scope='public'><example>hi</example>hi</rule><rule id='b'>ho</rule></grammar>",
    )
    .unwrap();
    assert_eq!((draft.form(), draft.mode()), (Form::Xml, Mode::Voice));
    assert_eq!((draft.language(), draft.root()), (Some("en-GB"), Some("a")));
    assert_eq!(draft.lexicons()[0].media_type.as_deref(), Some("application/pls+xml"));
    assert_eq!(draft.metas().len(), 2);
    assert_eq!(draft.head.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["var x = 1"]);
    assert_eq!(draft.public_rules().collect::<Vec<_>>(), ["a"]);
    assert_eq!(draft.base.as_ref().map(Url::as_str), Some("http://example.com/g/"));
}

#[test]
fn all_mistakes_are_told_with_row_and_column() {
    let wrong = draft(
        "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='2.0' mode='tones'\n\
         root='nowhere' flavour='sweet'>\n\
         text\n\
         <meta name='a'/>\n\
         <lexicon/>\n\
         <rule>no name</rule>\n\
         <rule id='a'/>\n\
         <rule id='a'>twice</rule>\n\
         <rule id='GARBAGE'>mine</rule>\n\
         <rule id='b.c'>dot</rule>\n\
         <rule id='d' scope='secret'><item repeat='3-1'>x</item></rule>\n\
         <rule id='e'><item repeat='1-' repeat-prob='1.5'>x</item></rule>\n\
         <rule id='f'><one-of>text<item weight='-1'>x</item><token/></one-of></rule>\n\
         <rule id='g'><one-of/></rule>\n\
         <rule id='h'><ruleref/><ruleref uri='#a' special='NULL'/><ruleref special='MAGIC'/></rule>\n\
         <rule id='i'><ruleref uri='#nowhere'/><ruleref uri='#VOID'/></rule>\n\
         <rule id='j'><ruleref uri='other.grxml'/></rule>\n\
         <rule id='k'><ruleref uri='http://example.com/a' type='application/pdf'/></rule>\n\
         <rule id='l'><block/><item colour='red' xml:lang='e_n'>x</item></rule>\n\
         <rule id='m'>a \"quotation without end</rule>\n\
         <rule id='n'><token>a<item>b</item></token><ruleref uri='#a'>text</ruleref></rule>\n\
         </grammar>",
    );
    expect_test::expect![[r#"
        1:1: <grammar> needs version="1.0"
        1:1: mode tones; it is dtmf or voice
        1:1: a grammar of words needs its language, as: xml:lang="en-US"
        1:1: the root names nowhere; there is no such rule
        2:16: <grammar> has no attribute flavour; it may have mode, root, tag-format, version
        3:1: text may not stand in <grammar>
        4:1: <meta> needs content and one of name, http-equiv
        5:1: <lexicon> needs uri
        6:1: <rule> needs an id
        7:1: <rule> is empty; a rule that matches nothing has <item/>
        8:1: a second rule is named a
        9:1: GARBAGE is a special rule and cannot be defined
        10:1: "b.c" cannot name a rule; a name begins with a letter and has no blank, dot, colon or hyphen
        11:1: scope="secret"; it is public or private
        11:29: repeat="3-1"; it is written as 3, 2-4 or 1-
        12:14: repeat-prob="1.5"; it is a number from 0.0 to 1.0
        13:22: text may not stand in <one-of>
        13:26: weight="-1"; it is a number like 2, 0.5 or 3.1
        13:52: <token> may not stand in <one-of>; there may stand <item>
        14:14: <one-of> needs at least one <item>
        15:14: <ruleref> needs exactly one of uri, special
        15:24: <ruleref> needs exactly one of uri, special
        15:58: special="MAGIC"; it is one of NULL, VOID, GARBAGE
        16:14: a reference names nowhere; there is no such rule
        16:39: the special rule VOID is written as special="VOID"
        17:14: the address "other.grxml": relative URL without a base
        18:14: grammars of type application/pdf are not understood; application/srgs+xml and application/srgs are
        19:14: <block> may not stand in <rule>; there may stand <example>, <item>, <one-of>, <ruleref>, <tag>, <token>
        19:22: "e_n" is no language; one is written as en or en-US
        19:28: <item> has no attribute colour; it may have repeat, repeat-prob, weight
        20:14: a quotation mark without its other one
        21:22: <item> may not stand in <token>; nothing may
        21:62: text may not stand in <ruleref>"#]].assert_eq(&wrong.unwrap_err());
}

#[test]
fn a_document_that_is_none_is_told_at_once() {
    let texts = [
        "<vxml/>",
        "<grammar/>",
        "<grammar version='1.0' xml:lang='en'><rule id='a'>x</rule></grammar>",
        "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0'>\n<rule id='a'>x</rule></grammar>",
        "<grammar",
        "<!DOCTYPE grammar [<!ENTITY a 'b'>]><grammar version='1.0'/>",
    ];
    let told = texts.map(|text| draft(text).map(|_| "fine".to_owned()).unwrap_or_else(|told| told));
    expect_test::expect![[r#"
        1:1: the root is <vxml>; a grammar has <grammar>
        1:1: <grammar> needs xmlns="http://www.w3.org/2001/06/grammar"
        1:1: <grammar> needs version="1.0"
        1:1: a grammar of words needs its language, as: xml:lang="en-US"
        1:1: <grammar> needs xmlns="http://www.w3.org/2001/06/grammar"
        1:1: a grammar of words needs its language, as: xml:lang="en-US"
        1:1: the tag <grammar is never closed: > is missing
        1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn embedded_grammars_have_version_and_language_from_around() {
    let given = Given { url: None, media_type: "", embedded: true, bytes_max: 1_000 };
    assert!(read("<grammar><rule id='a'>x</rule></grammar>", &given).is_ok());
}

#[test]
fn tokens_are_words_quoted_words_and_token_elements() {
    let grammar = xml(
        VOICE,
        "<rule id='r'>go to <one-of><item>\"San Francisco\"</item><item><token> New\n York \
         </token></item><item><token>\"Las Vegas\"</token></item></one-of> don&apos;t</rule>",
    )
    .unwrap();
    let said = ["go to san francisco don't", "go to New York don't", "go to Las Vegas don't"];
    expect_test::expect![[r#"
        $r["go","to","San Francisco","don't"]
        $r["go","to","New York","don't"]
        $r["go","to","Las Vegas","don't"]"#]]
    .assert_eq(&said.map(|said| readings(&grammar, said)).join("\n"));
}

#[test]
fn comments_do_not_part_words() {
    let grammar = xml(
        VOICE,
        "<rule id='r'>one<!-- x -->way \"New<!-- y --> York\"<item/>s<![CDATA[ea]]></rule>",
    );
    assert_eq!(
        readings(&grammar.unwrap(), "oneway new york sea"),
        "$r[\"oneway\",\"New York\",\"sea\"]"
    );
}

#[test]
fn languages_are_inherited_until_another_is_said() {
    let grammar = xml(
        VOICE,
        "<rule id='r'><item xml:lang='fr'>oui <one-of xml:lang='de'><item>ja</item>\
         <item xml:lang='it'>si</item></one-of> bien</item> yes <token xml:lang='es'>claro</token>\
         </rule>",
    )
    .unwrap();
    assert_eq!(grammar.languages(), ["en", "fr", "de", "it", "es"]);
}

#[test]
fn elements_of_other_vocabularies_may_be_left_out_and_may_be_matched() {
    let grammar = xml(
        "xml:lang='en' xmlns:x='urn:x' x:y='z'",
        "<x:note>ignored</x:note><rule id='r'><x:maybe>this is a <x:b>very</x:b></x:maybe>\
         <item x:w='3'>test</item><x:empty/></rule>",
    )
    .unwrap();
    expect_test::expect!["test: end, this is a test: end, this is a very test: end, this test: no"]
        .assert_eq(&verdicts(
            &grammar,
            &["test", "this is a test", "this is a very test", "this test"],
        ));
}

#[test]
fn a_document_type_without_declarations_is_no_matter() {
    let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE grammar PUBLIC \"-//W3C//DTD GRAMMAR 1.0//EN\" \
                \"http://www.w3.org/TR/speech-grammar/grammar.dtd\">\n<grammar version='1.0' \
                xmlns='http://www.w3.org/2001/06/grammar' xml:lang='en'><rule id='a'>x</rule></grammar>";
    assert!(draft(text).is_ok());
}

#[test]
fn the_media_type_says_the_form_or_the_text_does() {
    let abnf = "#ABNF 1.0;\nlanguage en;\n$a = x;\n";
    let form = |media_type, text| {
        let given = Given { url: None, media_type, embedded: false, bytes_max: 1_000 };
        read(text, &given).map(|draft| draft.form()).map_err(|mistakes| told(&mistakes))
    };
    for media_type in
        ["", "text/plain; charset=utf-8", "application/srgs", "application/octet-stream"]
    {
        assert_eq!(form(media_type, abnf), Ok(Form::Abnf));
    }
    assert!(form("application/srgs+xml", abnf).is_err());
    assert!(is_grammar_type("Application/SRGS+XML; charset=utf-8") && is_grammar_type("text/xml"));
    assert!(!is_grammar_type("text/html") && !is_grammar_type("application/x-nuance-gsl"));
}

#[test]
fn bytes_are_read_as_they_or_their_media_type_say() {
    let given = |media_type| Given { url: None, media_type, embedded: false, bytes_max: 200 };
    let latin = b"#ABNF 1.0;\nlanguage sv;\nroot $r;\n$r = r\xe4tt;\n";
    let read = read_bytes(latin, &given("application/srgs; charset=\"iso-8859-1\""));
    let grammar = match link(&Arc::new(read.unwrap()), None, &Library::default(), STATES_MAX) {
        Ok(Linked::Ready(grammar)) => Arc::from(grammar),
        other => panic!("{other:?}"),
    };
    assert_eq!(verdict(&grammar, "rätt"), "end");
    assert_eq!(
        told(&read_bytes(b"<grammar>\xe4</grammar>", &given("")).unwrap_err()),
        "1:1: the text is not well-formed UTF-8"
    );
    assert_eq!(
        told(&read_bytes(&[b' '; 201], &given("")).unwrap_err()),
        "1:1: the text has 201 bytes; at most 200 are read"
    );
}
