//! Words beside a recording or a transfer: which end it, and what comes of all others
//! (VoiceXML 2.0 §2.3.6, §2.3.7.2.2).

use expect_test::{Expect, expect};
use script::step::StartPage;
use script::vxml::Limits;

use crate::golden::serve;
use crate::world::{World, dialogue};

/// A grammar of these words.
fn words(words: &str) -> String {
    let items: String = words.split('|').map(|it| format!("<item>{it}</item>")).collect();
    format!(
        "<grammar mode='voice' version='1.0' root='r' xml:lang='en-US'>\
         <rule id='r'><one-of>{items}</one-of></rule></grammar>"
    )
}

fn story(content: &str, callee: &str, recognizer: bool) -> String {
    let mut page = content.to_owned();
    while let Some((before, rest)) = page.split_once("{say ") {
        let (said, after) = rest.split_once('}').unwrap();
        page = format!("{before}{}{after}", words(said));
    }
    let page = format!("<vxml version='2.1' xmlns='http://www.w3.org/2001/vxml'>{page}</vxml>");
    let mut world = World::new(Limits::default(), &serve, dialogue(callee));
    world.recognizer = recognizer;
    world.start(StartPage::Document(page));
    world.run();
    world.story
}

fn told(content: &str, callee: &str, expected: &Expect) {
    expected.assert_eq(&story(content, callee, true));
}

const RECORD: &str = "<form><record name='r' maxtime='60s'><prompt>Speak</prompt>{say stop|that is all}\
    <filled><exit expr=\"r$.duration + ' ' + r$.termchar + ' ' + r$.utterance + ' ' + \
    r$.inputmode + ' ' + r$.maxtime + ' ' + r$.interpretation\"/></filled>\
    <noinput><exit expr=\"'noinput'\"/></noinput></record></form>";

#[test]
fn word_of_its_own_ends_a_recording_which_fills_its_item() {
    told(
        RECORD,
        "r5 \"so.I.said \"that.is.all",
        &expect![[r#"
        0.0 plays "Speak"
        0.0 listens with 1 grammars
        1.0 records audio/x-wav for 60s, silence 3s
        1.0 speaks for 5 s
        1.0 says so I said (0.9)
        1.0 listens with 1 grammars
        1.0 says that is all (0.9)
        1.0 stops recording
        1.0 ends exit=5000 undefined that is all voice false that is all
    "#]],
    );
}

#[test]
fn words_that_are_no_match_are_what_is_recorded() {
    told(
        RECORD,
        "r5 \"stop.it \"stop:0.2",
        &expect![[r#"
            0.0 plays "Speak"
            0.0 listens with 1 grammars
            1.0 records audio/x-wav for 60s, silence 3s
            1.0 speaks for 5 s
            1.0 says stop it (0.9)
            1.0 listens with 1 grammars
            1.0 says stop (0.2)
            1.0 listens with 1 grammars
            9.0 ends exit=5000 undefined undefined undefined false undefined
        "#]],
    );
}

#[test]
fn word_before_there_is_a_recording_leaves_the_item_as_it_is() {
    told(
        RECORD,
        "!\"stop -",
        &expect![[r#"
        0.0 plays "Speak"
        0.0 listens with 1 grammars
        0.0 says stop (0.9)
        0.0 stops playing
        0.0 plays "Speak"
        0.0 listens with 1 grammars
        1.0 records audio/x-wav for 60s, silence 3s
        6.0 ends exit=noinput
    "#]],
    );
}

#[test]
fn recording_goes_on_where_no_word_can_be_recognized() {
    expect![[r#"
        0.0 plays "Speak"
        0.0 listens with 1 grammars
        1.0 records audio/x-wav for 60s, silence 3s
        1.0 speaks for 5 s
        1.0 says stop (0.9)
        9.0 ends exit=5000 undefined undefined undefined false undefined
    "#]]
    .assert_eq(&story(RECORD, "r5 \"stop", false));
}

#[test]
fn word_that_leads_elsewhere_ends_a_recording_that_is_not_modal() {
    let page = "<link event='help'>{say help}</link><form><help><exit expr=\"'help ' + r\"/></help>\
                <record name='r' modal='false'><filled><exit expr=\"'filled'\"/></filled></record>\
                </form>";
    told(
        page,
        "r5 \"help",
        &expect![[r#"
        0.0 records audio/x-wav for 60s, silence 3s
        0.0 listens with 1 grammars
        0.0 speaks for 5 s
        0.0 says help (0.9)
        0.0 stops recording
        0.0 ends exit=help undefined
    "#]],
    );
    let modal = page.replace("modal='false'", "");
    told(
        &modal,
        "r5 \"help",
        &expect![[r#"
        0.0 records audio/x-wav for 60s, silence 3s
        0.0 speaks for 5 s
        8.0 ends exit=filled
    "#]],
    );
}

const TRANSFER: &str = "<link event='help'>{say help}</link><form>\
    <transfer name='t' type='bridge' dest='tel:+1555'><prompt>Wait</prompt>{say cancel|hang up}\
    <grammar mode='dtmf' version='1.0' root='k'><rule id='k'>9</rule></grammar>\
    <filled><exit expr=\"t + ' ' + t$.duration + ' ' + t$.utterance + ' ' + t$.inputmode\"/>\
    </filled></transfer></form>";

#[test]
fn word_of_its_own_ends_a_bridge() {
    told(
        TRANSFER,
        "@60 \"hello.how.are.you \"help \"hang.up",
        &expect![[r#"
        0.0 plays "Wait"
        0.0 listens with 1 grammars
        1.0 transfers Bridge to tel:+1555 within 30s
        4.0 far end answers
        4.0 says hello how are you (0.9)
        4.0 listens with 1 grammars
        4.0 says help (0.9)
        4.0 listens with 1 grammars
        4.0 says hang up (0.9)
        4.0 ends the transfer
        4.0 ends exit=near_end_disconnect 0 hang up voice
    "#]],
    );
}

#[test]
fn word_before_the_call_begins_cancels_it() {
    told(
        TRANSFER,
        "!\"cancel",
        &expect![[r#"
        0.0 plays "Wait"
        0.0 listens with 1 grammars
        0.0 says cancel (0.9)
        0.0 stops playing
        0.0 ends exit=near_end_disconnect 0 cancel voice
    "#]],
    );
}

#[test]
fn bridge_goes_on_where_no_word_can_be_recognized() {
    expect![[r#"
        0.0 plays "Wait"
        0.0 listens with 1 grammars
        1.0 transfers Bridge to tel:+1555 within 30s
        4.0 far end answers
        4.0 says cancel (0.9)
        8.0 far end hangs up
        8.0 ends exit=far_end_disconnect 4 undefined undefined
    "#]]
    .assert_eq(&story(TRANSFER, "@4 \"cancel", false));
}

#[test]
fn key_and_far_end_and_hanging_up_end_the_listening_too() {
    told(
        TRANSFER,
        "@60 9",
        &expect![[r#"
        0.0 plays "Wait"
        0.0 listens with 1 grammars
        1.0 transfers Bridge to tel:+1555 within 30s
        4.0 far end answers
        4.2 key 9
        4.2 ends the transfer
        4.2 ends exit=near_end_disconnect 0.2 9 dtmf
    "#]],
    );
    told(
        TRANSFER,
        "@busy",
        &expect![[r#"
        0.0 plays "Wait"
        0.0 listens with 1 grammars
        1.0 transfers Bridge to tel:+1555 within 30s
        4.0 transfer ends: Busy
        4.0 ends exit=busy 0 undefined undefined
    "#]],
    );
    told(
        TRANSFER,
        "@60 x",
        &expect![[r#"
        0.0 plays "Wait"
        0.0 listens with 1 grammars
        1.0 transfers Bridge to tel:+1555 within 30s
        4.0 far end answers
        4.0 callee hangs up
        4.0 ends the transfer
        4.0 ends
    "#]],
    );
}

#[test]
fn nobody_listens_to_a_callee_who_is_handed_over() {
    told(
        &TRANSFER.replace("'bridge'", "'blind'"),
        "@taken",
        &expect![[r#"
        0.0 plays "Wait"
        1.0 transfers Blind to tel:+1555 within 30s
        4.0 transfer ends: Transferred
        4.0 ends
    "#]],
    );
}

#[test]
fn prompt_that_holds_the_floor_is_heard_before_words_are() {
    let page = TRANSFER.replace("<prompt>", "<prompt bargein='false'>");
    told(
        &page,
        "@60 \"cancel",
        &expect![[r#"
        0.0 plays "Wait"
        1.0 transfers Bridge to tel:+1555 within 30s
        1.0 listens with 1 grammars
        4.0 far end answers
        4.0 says cancel (0.9)
        4.0 ends the transfer
        4.0 ends exit=near_end_disconnect 0 cancel voice
    "#]],
    );
}
