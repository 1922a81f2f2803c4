//! Dialogs: which item is visited, which handler takes an event, what a subdialog is given.

use super::hold;

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
