//! Rules of the language one by one: small pages that exit with `pass` where the rule holds.
//!
//! Each rule names its section (VoiceXML 2.0; "2.1 §n" for 2.1). What a page does not catch ends
//! it with what was caught.

use script::step::{Fetch, FetchError, Fetched, Method, StartPage};
use script::vxml::{Limits, check};

use crate::golden::serve;
use crate::world::{World, dialogue, url};

const PASS: &str = "<exit expr=\"'pass'\"/>";

/// A grammar of keys; each alternative stands in an item.
fn keys(alternatives: &[&str]) -> String {
    let items: String = alternatives.iter().map(|it| format!("<item>{it}</item>")).collect();
    format!(
        "<grammar mode='dtmf' version='1.0' root='r' tag-format='semantics/1.0'>\
         <rule id='r'><one-of>{items}</one-of></rule></grammar>"
    )
}

/// A whole page; `{pass}`, `{if … and … fi}` and `{key a | b yek}` in the content stand for what
/// pages repeat.
fn page(content: &str) -> String {
    let mut content = content.replace("{pass}", PASS);
    while let Some((before, rest)) = content.split_once("{if ") {
        let (condition, after) = rest.split_once(" fi}").unwrap();
        let condition = condition.replace(" and ", " &amp;&amp; ");
        content = format!(
            "{before}<if cond=\"{condition}\">{PASS}<else/><exit expr=\"'not so'\"/></if>{after}"
        );
    }
    while let Some((before, rest)) = content.split_once("{key ") {
        let (alternatives, after) = rest.split_once(" yek}").unwrap();
        let alternatives: Vec<&str> = alternatives.split(" | ").collect();
        content = format!("{before}{}{after}", keys(&alternatives));
    }
    format!(
        "<?xml version=\"1.0\"?>\n<vxml version=\"2.1\" xmlns=\"http://www.w3.org/2001/vxml\">\
         <catch><exit expr=\"'caught ' + _event\"/></catch>{content}</vxml>"
    )
}

/// What a page exits with.
fn outcome(content: &str, callee: &str) -> String {
    let text = page(content);
    let server = |fetch: &Fetch| -> Result<Fetched, FetchError> {
        match fetch.url.path() {
            "/page.vxml" => Ok(Fetched {
                url: fetch.url.clone(),
                content_type: "application/voicexml+xml".to_owned(),
                text: text.clone(),
            }),
            _ => serve(fetch),
        }
    };
    let mut world = World::new(Limits::default(), &server, dialogue(callee));
    world.start(StartPage::Url { url: url("page.vxml"), method: Method::Get });
    world.run();
    let value = world.values.iter().find(|(name, _)| name == "exit");
    value.map_or_else(|| format!("no value:\n{}", world.story), |(_, value)| value.clone())
}

/// Each rule: its sentence, a page and what the callee does.
fn hold(rules: &[(&str, &str, &str)]) {
    let told: Vec<String> = rules
        .iter()
        .map(|(rule, content, callee)| (rule, outcome(content, callee)))
        .filter(|(_, outcome)| outcome != "pass")
        .map(|(rule, outcome)| format!("{rule}: {outcome}"))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Pages that are refused before anything of them runs.
fn refused(rules: &[(&str, &str)]) {
    let taken = rules.iter().filter(|(_, content)| check(&page(content)).is_empty());
    let taken: Vec<&str> = taken.map(|(rule, _)| *rule).collect();
    assert_eq!(taken, Vec::<&str>::new());
}

#[test]
fn subdialogs_get_values_and_give_them_back_and_share_nothing() {
    hold(&[
        (
            "§2.3.4: params come before the values of <var>, which later variables see",
            "<form><subdialog name='r' src='#s'><param name='p' value='given'/>\
             <filled>{if r.p=='given' and r.q=='own' and r.d=='given2' fi}</filled></subdialog>\
             </form><form id='s'><var name='p' expr=\"'own'\"/><var name='q' expr=\"'own'\"/>\
             <var name='d' expr=\"p+'2'\"/><block><return namelist='p q d'/></block></form>",
            "",
        ),
        (
            "§2.3.4: what the called one sets, the caller does not see",
            "<var name='d' expr='1'/><form><subdialog name='r' src='#s'><filled>\
             {if d==1 and r.d==7 fi}</filled></subdialog></form><form id='s'><block>\
             <assign name='d' expr='7'/><return namelist='d'/></block></form>",
            "",
        ),
        (
            "§5.3.10: an event with its message is thrown at the caller's item",
            "<form><catch event='ev'>{if _event=='ev' and _message=='m5' fi}</catch>\
             <subdialog name='r' src='#s'/></form><form id='s'><field>{key 1 yek}\
             <noinput><return eventexpr=\"'e'+'v'\" messageexpr=\"'m'+5\"/></noinput>\
             </field></form>",
            "-",
        ),
        (
            "§2.3.4: called again after <clear>, its values are computed again",
            "<form><var name='n' expr='0'/><subdialog name='r' src='#s'>\
             <param name='p' expr='n'/><filled><if cond='n &lt; 2'><assign name='n' expr='n+1'/>\
             <clear namelist='r'/><else/>{if r.p==2 fi}</if></filled></subdialog></form>\
             <form id='s'><var name='p'/><block><return namelist='p'/></block></form>",
            "",
        ),
        (
            "§5.3.10: what is returned must be declared",
            "<form><subdialog name='r' src='#s'/></form><form id='s'><block>\
             <return namelist='nobody'/></block>\
             <catch event='error.semantic'>{pass}</catch></form>",
            "",
        ),
    ]);
}

#[test]
fn items_are_chosen_and_filled_in_the_order_of_the_document() {
    hold(&[
        (
            "§2.4: every <filled> that is due runs, those of items and of the form in order",
            "<form><var name='s' expr=\"''\"/><field name='a'>{key 1 yek}<filled>\
             <assign name='s' expr=\"s+'a'\"/></filled></field><field name='b'>{key 2 yek}<filled>\
             <assign name='s' expr=\"s+'b'\"/></filled></field><filled mode='any' namelist='a b'>\
             <assign name='s' expr=\"s+'y'\"/></filled><filled mode='all' namelist='a b'>\
             <assign name='s' expr=\"s+'l'\"/></filled><block>{if s=='aybyl' fi}</block></form>",
            "1 2",
        ),
        (
            "§2.4: a goto in one <filled> leaves the others out",
            "<form><grammar mode='dtmf' root='r' tag-format='semantics/1.0'><rule id='r'>5\
             <tag>out.a=1;out.b=2;</tag></rule></grammar><initial/><field name='a'>{key 1 yek}\
             <filled><goto nextitem='z'/></filled></field><field name='b'>{key 2 yek}<filled>\
             <exit/></filled></field><block name='z'>{if a==1 and b==2 fi}</block></form>",
            "5",
        ),
        (
            "§2.3.3: a field filled by a grammar of its own answers what was asked for at once",
            "<form><grammar mode='dtmf' root='r' tag-format='semantics/1.0'><rule id='r'>5\
             <tag>out.b=1;</tag></rule></grammar><block><goto nextitem='b'/></block>\
             <initial name='i'/><field name='b'>{key 2 yek}<filled>{if i===true fi}</filled>\
             </field>\
             </form>",
            "2",
        ),
        (
            "§3.1.6: what fills no field leaves <initial> open",
            "<form><grammar mode='dtmf' root='r' tag-format='semantics/1.0'><rule id='r'>5\
             <tag>out.q=1;</tag></rule></grammar><initial name='i'><noinput>{if i===undefined fi}\
             </noinput></initial><field name='b'>{key 2 yek}</field></form>",
            "5 -",
        ),
        (
            "§2.1.4: a condition is looked at again each time",
            "<form><var name='s' expr=\"''\"/><block cond='s.length==1'>{pass}</block>\
             <block><assign name='s' expr=\"s+'b'\"/></block></form>",
            "",
        ),
        (
            "§5.3.7: an item that has a value is visited if it is named",
            "<form><var name='n' expr='0'/><field name='a' expr=\"'x'\">{key 1 yek}<filled>\
             {if n==1 and a==1 fi}</filled></field><block><assign name='n' expr='1'/>\
             <goto nextitem='a'/></block></form>",
            "1",
        ),
    ]);
}

#[test]
fn prompts_are_played_again_only_where_something_asks_for_them() {
    hold(&[
        (
            "App. C: not after a handler, unless it reprompts",
            "<form><field name='a'>{key 1 yek}<prompt><value expr=\"(n++,'')\"/></prompt>\
             <noinput/><nomatch><reprompt/></nomatch><filled>{if n==2 fi}</filled></field></form>\
             <var name='n' expr='0'/>",
            "- - 9 1",
        ),
        (
            "§5.3.6: nor those of the item that a handler goes to",
            "<form><field name='a'>{key 1 yek}<noinput><goto nextitem='b'/></noinput></field>\
             <field name='b'><prompt><value expr=\"(n++,'')\"/></prompt>{key 2 yek}<filled>\
             {if n==0 fi}</filled></field></form><var name='n' expr='0'/>",
            "- 2",
        ),
        (
            "App. C: but those of another dialog are",
            "<form><field name='a'>{key 1 yek}<noinput><goto next='#g'/></noinput></field></form>\
             <form id='g'><field name='b'><prompt><value expr=\"(n++,'')\"/></prompt>{key 2 yek}\
             <filled>{if n==1 fi}</filled></field></form><var name='n' expr='0'/>",
            "- 2",
        ),
    ]);
}

#[test]
fn handlers_are_chosen_by_name_count_condition_and_scope() {
    hold(&[
        (
            "§5.2.4: a higher count outside comes before a lower one inside",
            "<form><catch event='noinput' count='2'>{pass}</catch><field name='a'>{key 1 yek}\
             <catch event='noinput'/></field></form>",
            "- -",
        ),
        (
            "§5.2.2: each name of a list is counted by itself",
            "<form><field name='a'>{key 1 yek}<catch event='noinput nomatch' count='2'>\
             {if _event=='nomatch' fi}</catch><catch event='noinput nomatch'/></field></form>",
            "- 9 9",
        ),
        (
            "§5.2.2: a handler for all events counts all events",
            "<form><field name='a'>{key 1 yek}<catch event='' count='3'>{pass}</catch><catch/>\
             </field></form>",
            "- 9 -",
        ),
        (
            "§5.2.4: names match by whole tokens",
            "<form><catch event='error'><exit/></catch><catch event='errors'>{pass}</catch><block>\
             <throw event='errors.x'/></block></form>",
            "",
        ),
        (
            "§5.3.3: <clear> of an item begins its counts anew",
            "<form><var name='n' expr='0'/><field name='a'>{key 1 yek}<noinput>\
             <assign name='n' expr='n+1'/></noinput><noinput count='2'><clear namelist='a'/>\
             <assign name='n' expr='n+10'/></noinput><filled>{if n==12 fi}</filled></field></form>",
            "- - - 1",
        ),
        (
            "§5.2.2: counts go on when an item is visited again, until the form is entered anew",
            "<form><field name='a'>{key 1 yek}<noinput><goto nextitem='b'/></noinput>\
             <noinput count='2'>{pass}</noinput></field><field name='b'>{key 1 yek}<noinput>\
             <goto nextitem='a'/></noinput></field></form>",
            "- - -",
        ),
        (
            "§5.2.2: _event and _message are there for conditions, and for the handler alone",
            "<form><catch event='e' cond=\"_event=='e' &amp;&amp; _message=='k'\">\
             <assign name='q' expr='_message'/></catch><block><throw event='e' message='k'/>\
             </block>\
             <block>{if q=='k' and typeof _event=='undefined' fi}</block></form><var name='q'/>",
            "",
        ),
    ]);
}

#[test]
fn variables_are_found_and_assigned_where_they_are() {
    hold(&[
        (
            "§5.1.2: a name means the closest variable of it, also in its own declaration",
            "<var name='x' expr='1'/><form><var name='x' expr='x+1'/><block>\
             <var name='x' expr='x+1'/>{if x==3 and dialog.x==2 and document.x==1 fi}\
             </block></form>",
            "",
        ),
        (
            "§5.1.2: a function sees the variables of where it was declared",
            "<script>var c=0; function inc(){ c=c+1; return c; }</script><form>\
             <var name='c' expr='100'/><block><value expr='inc()'/>{if document.c==1 and c==100 fi}\
             </block></form>",
            "",
        ),
        (
            "§5.3.2: elements and properties of declared variables are assigned",
            "<form><var name='a' expr='[{x:1},{x:2}]'/><block><var name='i' expr='1'/>\
             <assign name='a[i].x' expr='9'/><assign name=\"dialog.a[0]['y z']\" expr='8'/>\
             {if a[1].x==9 and a[0]['y z']==8 fi}</block></form>",
            "",
        ),
        (
            "§5.3.2: what is no such thing is not",
            "<form><var name='a' expr='[1]'/><var name='n' expr='0'/><catch event='error.semantic'>\
             <assign name='n' expr='n+1'/></catch><block><assign name='a[0' expr='1'/></block>\
             <block><assign name='a[0];n' expr='1'/></block>\
             <block><assign name='a[1);(2]' expr='1'/></block>\
             <block><assign name='b[0]' expr='1'/></block>\
             <block><assign name='a[]' expr='1'/></block><block>{if n==5 fi}</block></form>",
            "",
        ),
        (
            "§5.3.3: <clear> makes variables of any scope undefined",
            "<var name='y' expr='1'/><form><var name='v' expr='1'/><block><clear namelist='v y'/>\
             {if v===undefined and document.y===undefined fi}</block></form>",
            "",
        ),
    ]);
}

#[test]
fn arrays_are_gone_through_as_they_were_and_marks_are_told() {
    hold(&[
        (
            "2.1 §6: a loop goes through a copy of the array",
            "<form><block><var name='a' expr='[1,2,3]'/><var name='n' expr='0'/>\
             <foreach item='i' array='a'><script>a.push(7);</script><assign name='n' expr='n+i'/>\
             </foreach>{if n==6 fi}</block></form>",
            "",
        ),
        (
            "2.1 §6: its item is a variable like any other, and stays",
            "<form><block><var name='i' expr='8'/><foreach item='i' array='[1,2]'/>{if i==2 fi}\
             </block></form>",
            "",
        ),
        (
            "2.1 §4: the last mark before the input is told with it",
            "<form><field name='f'>{key 1 yek}<prompt><foreach item='i' array='[1,2]'>\
             <mark nameexpr=\"'m'+i\"/>w<value expr='i'/></foreach></prompt><filled>\
             {if f$.markname=='m2' and typeof f$.marktime=='number' and \
             application.lastresult$.markname=='m2' fi}</filled></field></form>",
            "1",
        ),
        (
            "2.1 §4: without a mark nothing is",
            "<form><field name='f'>{key 1 yek}<prompt>none</prompt><filled>\
             {if f$.markname===undefined and f$.marktime===undefined fi}</filled></field></form>",
            "1",
        ),
    ]);
}

#[test]
fn grammars_that_cannot_be_are_told_apart_by_their_events() {
    hold(&[
        (
            "§3.1.1.4: a fragment alone is no address of a grammar",
            "<form><field name='f'><grammar src='#x'/></field>\
             <catch event='error.semantic'>{pass}</catch></form>",
            "",
        ),
        (
            "2.1 §2, §3.1.1.4: also where it is computed",
            "<form><field name='f'><grammar srcexpr=\"'#'+'x'\"/></field>\
             <catch event='error.semantic'>{pass}</catch></form>",
            "",
        ),
        (
            "§5.2.6: a grammar that is not there",
            "<form><field name='f'><grammar src='nosuch.grxml#a'/></field>\
             <catch event='error.badfetch.http.404'>{pass}</catch></form>",
            "",
        ),
        (
            "SISR §3.2: a grammar whose tags are no ECMAScript",
            "<form><field name='f'><grammar src='tags.grxml'/></field>\
             <catch event='error.badfetch'>{if _message.indexOf('no ECMAScript') > 0 fi}</catch>\
             </form>",
            "",
        ),
        (
            "§2.1.6: nothing to listen for",
            "<form><field name='f'/><catch event='error.semantic'>{pass}</catch></form>",
            "",
        ),
    ]);
    refused(&[(
        "SISR §3.2: a page whose own grammar has such tags",
        "<form><field><grammar mode='dtmf' root='r' tag-format='semantics/1.0'><rule id='r'>1\
         <tag>out = ;</tag></rule></grammar></field></form>",
    )]);
}

#[test]
fn tags_of_no_named_format_may_say_what_a_rule_means() {
    hold(&[
        (
            "as in the drafts of SISR",
            "<form><field name='f'><grammar mode='dtmf' root='r' version='1.0'><rule id='r'>1\
             <tag>$ = 'alpha'</tag></rule></grammar><filled>{if f=='alpha' fi}</filled>\
             </field></form>",
            "1",
        ),
        (
            "or as in SISR, in either form of SRGS",
            "<form><field name='f'><grammar type='application/srgs'>#ABNF 1.0;\nmode dtmf;\n\
             root $c;\n$c = 1 {out.x = 'alpha'};</grammar><filled>{if f.x=='alpha' fi}</filled>\
             </field></form>",
            "1",
        ),
        (
            "§2.3.1.3: an option means its value, as its field does",
            "<form><field name='f'><option dtmf='1' value='v'>red</option><filled>\
             {if f=='v' and f$.interpretation=='v' and f$.utterance=='1' fi}</filled></field>\
             </form>",
            "1",
        ),
        (
            "other tags are carried along",
            "<form><field name='f'><grammar mode='dtmf' root='r' version='1.0'><rule id='r'>1\
             <tag>alpha</tag></rule></grammar><filled>{if f=='1' fi}</filled></field></form>",
            "1",
        ),
    ]);
}

#[test]
fn a_form_is_submitted_with_objects_by_their_properties() {
    let told = outcome(
        "<form><subdialog name='who' src='#s'/><field name='pin'>{key 1 yek}</field><block>\
         <submit next='echo.vxml'/></block></form>\
         <form id='s'><var name='name' expr=\"'Ann'\"/><var name='of' expr=\"({a:1})\"/><block>\
         <return namelist='name of'/></block></form>",
        "1",
    );
    // §1.5.3 shows a form that is submitted so; the object itself has no form of its own (§5.3.8).
    assert!(told.contains("pin=1") && told.contains("who.name=Ann"), "{told}");
    assert!(told.contains("who.of.a=1"), "{told}");
    hold(&[(
        "§5.3.8: an object that is named cannot be sent",
        "<form><var name='o' expr='({a:1})'/><block><submit next='echo.vxml' namelist='o'/></block>\
         <catch event='error.semantic'>{pass}</catch></form>",
        "",
    )]);
}

#[test]
fn pages_with_mistakes_are_refused() {
    refused(&[
        ("§5.3.7: two targets", "<form><block><goto next='#a' expr='1'/></block></form>"),
        ("§2.2: a choice to nowhere", "<menu><choice dtmf='1'>x</choice></menu>"),
        (
            "2.1 §6: executable content in a prompt",
            "<form><block><prompt>\
          <foreach item='i' array='[1]'><if cond='true'>x</if></foreach></prompt></block></form>",
        ),
        ("2.1 §6: a loop through nothing", "<form><block><foreach item='i'/></block></form>"),
        ("2.1 §5: data from nowhere", "<form><block><data name='d'/></block></form>"),
        ("§4.1.3: audio from nowhere", "<form><block><prompt><audio/></prompt></block></form>"),
        ("§6.5: a time without a unit", "<form><record name='r' maxtime='5'/></form>"),
        ("§2.1.3: a name twice", "<form><field name='a'/><initial name='a'/></form>"),
        (
            "§6.4: a param with two values",
            "<form><subdialog src='a'>\
          <param name='x' expr='1' value='2'/></subdialog></form>",
        ),
        ("§6.2: a <meta> without content", "<meta name='a'/><form/>"),
        (
            "§6.1.3: a hint that is none",
            "<form><block><goto next='a' fetchhint='b'/></block></form>",
        ),
        (
            "§3.1.1.3: a weight below nothing",
            "<form><field name='f'>\
          <grammar src='a.grxml' weight='-1'/></field></form>",
        ),
        (
            "SSML §3.2.1: a voice of no gender that there is",
            "<form><block><prompt>\
          <voice gender='x'>a</voice></prompt></block></form>",
        ),
        (
            "§5.3.4: two of <else>",
            "<form><block><if cond='true'><else/><else/></if></block></form>",
        ),
    ]);
}

#[test]
fn names_of_events_end_with_as_many_dots_as_they_like() {
    hold(&[
        (
            "§5.2.4: trailing dots are no part of a prefix",
            "<form><catch event='error.semantic.'>{pass}</catch><block><throw \
             event='error.semantic'/></block></form>",
            "",
        ),
        (
            "§5.2.4: what remains of a dot alone takes all",
            "<form><catch event='.'>{pass}</catch><block><throw event='my.own'/></block></form>",
            "",
        ),
        (
            "§5.2.4: but a word is not cut",
            "<form><catch event='erro.'><exit/></catch><catch event='error'>{pass}</catch>\
             <block><throw event='error.x'/></block></form>",
            "",
        ),
        (
            "§5.2.2: and counts like the name without it",
            "<form><catch event='noinput.' count='2'>{pass}</catch><field name='a'>{key 1 yek}\
             <noinput/></field></form>",
            "- -",
        ),
        (
            "§5.2.4: of equal counts the first in the document, whatever its name",
            "<form><catch event=''>{pass}</catch><catch event='noinput'><exit/></catch>\
             <field name='a'>{key 1 yek}</field></form>",
            "-",
        ),
        (
            "§5.2.1: without a message there is none",
            "<form><catch event='e'>{if _message===undefined fi}</catch><block>\
             <throw eventexpr=\"'e'\"/></block></form>",
            "",
        ),
    ]);
}

#[test]
fn results_fill_what_has_their_slots() {
    let form = "<grammar mode='dtmf' root='r' tag-format='semantics/1.0'><rule id='r'>5\
                <tag>out.to={city:'x',code:{iata:7}};out.n=2;</tag></rule></grammar>";
    let nested = format!(
        "<form>{form}<initial/><field name='a' slot='to.code.iata'>{{key 1 yek}}</field>\
         <field name='b' slot='to.city'>{{key 1 yek}}</field><field name='n'>{{key 1 yek}}</field>\
         <filled>{{if a===7 and b=='x' and n===2 and b$.inputmode=='dtmf' fi}}</filled></form>"
    );
    let own = "<form><field name='f'><grammar mode='dtmf' root='r' tag-format='semantics/1.0'>\
               <rule id='r'>5<tag>out.f='v';out.g='w';</tag></rule></grammar><filled>\
               {if f=='v' and f$.interpretation.g=='w' fi}</filled></field></form>";
    let whole = own.replace("name='f'", "name='q'").replace("f=='v'", "q.f=='v'");
    let whole = whole.replace("f$.", "q$.");
    let slot = own.replace("name='f'", "name='f' slot='g'").replace("f=='v'", "f=='w'");
    hold(&[
        ("§3.1.6.1: slots name properties of properties", &nested, "5"),
        ("§3.1.6.2: a field takes the property of its name", own, "5"),
        ("§3.1.6.2: or all of it", &whole, "5"),
        ("§3.1.6.2: or that of its slot", &slot, "5"),
        (
            "§2.4: a filled for any of several runs for the one that was filled",
            "<form><filled mode='any' namelist='a b'>{if a==1 and b===undefined fi}</filled>\
             <field name='a'>{key 1 yek}</field><field name='b'>{key 2 yek}</field></form>",
            "1",
        ),
        (
            "§2.3.1: keys do not count where only speech is wanted",
            "<form><property name='inputmodes' value='voice'/><field name='a'>{key 1 yek}\
             <grammar mode='voice' root='v' version='1.0'><rule id='v'>one</rule></grammar>\
             <filled>{if a=='one' and a$.inputmode=='voice' fi}</filled></field></form>",
            "1 \"one",
        ),
        (
            "§5.1.5: all readings are there, best first, no more than are wanted",
            "<form><property name='maxnbest' value='2'/><field name='a'>\
             <grammar mode='voice' root='v' version='1.0' tag-format='semantics/1.0'>\
             <rule id='v'><one-of><item>one<tag>out=1;</tag></item><item>two<tag>out=2;</tag></item>\
             <item>three<tag>out=3;</tag></item></one-of></rule></grammar><filled>\
             {if application.lastresult$.length==2 and application.lastresult$[0].interpretation==2 \
             and application.lastresult$[1].utterance=='one' and application.lastresult$.utterance\
             =='two' and a==2 fi}</filled></field></form>",
            "\"one:0.6|two:0.8|three:0.55",
        ),
        (
            "§5.1.5: none is that is less sure than the level",
            "<form><property name='confidencelevel' value='0.7'/><property name='maxnbest' \
             value='5'/><field name='a'><grammar mode='voice' root='v' version='1.0'><rule id='v'>\
             <one-of><item>one</item><item>two</item></one-of></rule></grammar><filled>\
             {if application.lastresult$.length==1 and a=='two' fi}</filled></field></form>",
            "\"one:0.6|two:0.8",
        ),
    ]);
}

#[test]
fn contexts_of_subdialogs_are_their_own() {
    hold(&[
        (
            "§2.3.4: <exit> in one ends all, with its values",
            "<form><subdialog name='r' src='#s'><filled><exit/></filled></subdialog></form>\
             <form id='s'><block><exit expr=\"'pass'\"/></block></form>",
            "",
        ),
        (
            "§6.3: the properties of the caller's form are not theirs",
            "<form><property name='inputmodes' value='voice'/><subdialog name='r' src='#s'>\
             <filled>{if r.a==1 fi}</filled></subdialog></form>\
             <form id='s'><field name='a'>{key 1 yek}<noinput><exit/></noinput></field>\
             <block><return namelist='a'/></block></form>",
            "1",
        ),
        (
            "§2.3.4: counts of the caller go on behind it",
            "<form><var name='n' expr='0'/><catch event='e' count='2'>{if n==2 fi}</catch>\
             <catch event='e'><assign name='n' expr='n+1'/></catch>\
             <subdialog name='r' src='#s'><param name='p' expr='n'/>\
             <prompt><value expr=\"(n++,'')\"/></prompt></subdialog></form>\
             <form id='s'><var name='p'/><block><return event='e'/></block></form>",
            "",
        ),
        (
            "§2.3.4: nested, each returns to its own caller",
            "<form><subdialog name='r' src='#s'><filled>{if r.q.v=='deep' fi}</filled></subdialog>\
             </form><form id='s'><subdialog name='q' src='#t'/><block><return namelist='q'/></block>\
             </form><form id='t'><var name='v' expr=\"'deep'\"/><block><return namelist='v'/></block>\
             </form>",
            "",
        ),
        (
            "§5.3.6: a reprompt in one is not one of its caller",
            "<var name='n' expr='0'/><form><field name='a'>{key 1 yek}<prompt>\
             <value expr=\"(n++,'')\"/></prompt><noinput><goto nextitem='r'/></noinput><filled>\
             {if n==2 fi}</filled></field><subdialog name='r' cond='false' src='#s'/></form>\
             <form id='s'><field name='b'>{key 2 yek}<nomatch><reprompt/></nomatch></field><block>\
             <return/></block></form>",
            "- 9 2 1",
        ),
        (
            "§5.3.10: <return> where there is no caller",
            "<form><block><return/></block><catch event='error.semantic'>{pass}</catch></form>",
            "",
        ),
    ]);
}

#[test]
fn executable_content_does_what_it_says_and_nothing_else() {
    hold(&[
        (
            "§5.3.7: an item by an expression",
            "<form><block><goto expritem=\"'z'\"/></block><block><exit/></block>\
             <block name='z'>{pass}</block></form>",
            "",
        ),
        (
            "§5.3.7: an item that is not there",
            "<form><block><goto nextitem='nobody'/></block>\
             <catch event='error.badfetch'>{pass}</catch></form>",
            "",
        ),
        (
            "§5.1.1: a name with a dot is none of a variable",
            "<form><catch event='error.semantic'>{pass}</catch><block><var name='a.b'/></block>\
             </form>",
            "",
        ),
        (
            "§5.3.2: what is not declared cannot be assigned",
            "<form><catch event='error.semantic'>{pass}</catch><block>\
             <assign name='nobody' expr='1'/></block></form>",
            "",
        ),
        (
            "§5.1.2: what a session has is not changed",
            "<form><catch event='error.semantic'>{pass}</catch><block>\
             <assign name='session.connection' expr='1'/>{if session.connection.local.uri==\
             'tel:+15550100' fi}</block></form>",
            "",
        ),
        (
            "§5.3.3: <clear> alone opens all items again, and leaves variables",
            "<form><var name='n' expr='0'/><field name='a'>{key 1 yek}</field><block>\
             <assign name='n' expr='n+1'/><if cond='n == 1'><clear/><else/>{if a==1 fi}</if></block>\
             </form>",
            "1 1",
        ),
        (
            "§2.1.4: an item with a value is not visited",
            "<form><block expr='0'><exit/></block><field name='a' expr='null'>{key 1 yek}</field>\
             <block>{if a===null fi}</block></form>",
            "",
        ),
        (
            "§5.3.12: variables of a script are those of where it stands",
            "<form><block><script>var inner = 1;</script>{if inner==1 and typeof \
             document.inner=='undefined' fi}</block></form>",
            "",
        ),
    ]);
}

#[test]
fn what_is_given_away_is_whole_and_events_stay_where_they_belong() {
    hold(&[
        (
            "2.1 §6: what is no array is not gone through",
            "<form><catch event='error.semantic'>{pass}</catch><block><foreach item='i' \
             array='undefined'><exit/></foreach></block></form>",
            "",
        ),
        (
            "§5.3.9: an object is given back whole",
            "<form><block><var name='pass' expr=\"({a:[1]})\"/><if cond='pass.a[0]==1'>\
             <exit expr=\"'pass'\"/></if></block></form>",
            "",
        ),
        (
            "§5.2.3: what a field's own link leads to",
            "<form><field name='a'>{key 1 yek}<link event='e'>{key 7 yek}</link>\
             <catch event='e'>{if _event=='e' fi}</catch></field></form>",
            "7",
        ),
        (
            "§2.2: a choice that throws, in a subdialog",
            "<form><subdialog name='s' src='#m'><filled>{if s.why=='x' fi}</filled></subdialog></form>\
             <menu id='m'><choice dtmf='1' event='e.x' message='x'>one</choice>\
             <catch event='e'><var name='why' expr='_message'/><return namelist='why'/></catch>\
             </menu>",
            "1",
        ),
    ]);
}
