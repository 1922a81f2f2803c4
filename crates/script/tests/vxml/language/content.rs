//! Content: prompts, variables, loops, submits, and pages that are refused for what is in them.

use super::{hold, outcome, refused};

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
