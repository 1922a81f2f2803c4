//! Answers: grammars that are refused, what their tags mean, and the fields that results fill.

use super::{hold, refused};

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
