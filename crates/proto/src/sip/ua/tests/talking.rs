//! What far ends ask within a call, and who ends it.

use std::time::Duration;

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::message::Method;
use crate::sip::name::Name;
use crate::sip::ua::*;
use crate::sip::value::Reason;

const NEW: &str = "v=0\r\no=new\r\n";

fn status_of(lab: &mut Lab, method: Method, extra: &[(Name, &str)], sdp: &str) -> u16 {
    lab.ask(method.clone(), extra, sdp);
    lab.last_response(&method).status
}

#[test]
fn far_end_hangs_up_and_says_why() {
    let mut lab = Lab::up();
    let bye =
        lab.ask(Method::Bye, &[(Name::Reason, "SIP;cause=200, Q.850;cause=16;text=\"bye\"")], "");
    assert_eq!(lab.story(), "> 200 to BYE; ended Far 200 q850=16");
    // Its 200 was lost.
    lab.receive(bye.into());
    assert_eq!(lab.story(), "> 200 to BYE");
    lab.hang_up();
    assert_eq!(lab.story(), "");
    lab.assert_clean();
}

#[test]
fn both_hang_up_at_once_and_the_call_ends_once() {
    let mut lab = Lab::up();
    lab.hang_up();
    lab.ask(Method::Bye, &[], "");
    assert_eq!(lab.story(), "> BYE 2; > 200 to BYE; ended Us 200");
    lab.respond(&Method::Bye, 481);
    assert_eq!(lab.story(), "");
    lab.assert_clean();
}

#[test]
fn bye_ends_the_call_whatever_becomes_of_it() {
    for status in [200, 408, 481, 500, 603] {
        let mut lab = Lab::up();
        lab.hang_up();
        lab.respond(&Method::Bye, status);
        assert_eq!(lab.story(), "> BYE 2; ended Us 200", "{status}");
        lab.assert_clean();
    }
    let mut lab = Lab::up();
    lab.hang_up_because(Reason::q850(16, ""));
    lab.pass_s(33);
    assert_eq!(lab.story(), format!("{}ended Us 200", "> BYE 2; ".repeat(11)));
    assert_eq!(lab.last(&Method::Bye).headers.get(Name::Reason), Some("Q.850;cause=16"));
    lab.assert_clean();
}

#[test]
fn bye_on_a_connection_that_closed_is_sent_once_more() {
    let mut lab = Lab::on(T::Tcp);
    lab.dial();
    lab.answer();
    lab.story();
    lab.hang_up();
    let flow = flow(T::Tcp, 1);
    lab.feed(Input::FlowFailed { flow, failure: FlowFailure::Closed });
    assert_eq!(lab.story(), "> BYE 2; > BYE 3");
    lab.feed(Input::FlowFailed { flow, failure: FlowFailure::Unreachable });
    assert_eq!(lab.story(), "ended Us 200");
    lab.assert_clean();
}

#[test]
fn request_of_an_unknown_dialog_is_answered_481() {
    let mut lab = Lab::up();
    let mut foreign = lab.far_request(Method::Bye, 200, "other", &[], "");
    lab.receive(foreign.clone().into());
    assert_eq!(lab.story(), "> 481 to BYE");
    foreign.headers.set(Name::CallId, "unknown");
    foreign.headers.set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    lab.receive(foreign.clone().into());
    assert_eq!(lab.story(), "> 481 to BYE");
    let mut ours = lab.far_request(Method::Bye, 200, "b", &[], "");
    ours.headers.set(Name::To, "<sip:us@198.51.100.1>;tag=guessed");
    lab.receive(ours.into());
    assert_eq!(lab.story(), "> 481 to BYE");
    assert_eq!(lab.ua.calls(), 1);
}

#[test]
fn another_trunk_cannot_touch_the_call() {
    let mut lab = Lab::up();
    let (targets, sources) = (vec![target(T::Udp, 2)], Vec::new());
    lab.feed(Input::Trunk { trunk: TrunkKey(2), targets, sources, credentials: None });
    let bye = lab.far_request(Method::Bye, 200, "b", &[], "");
    lab.receive_from(udp(2), bye.into());
    assert_eq!(lab.story(), "> 481 to BYE at 192.0.2.2:5060");
}

#[test]
fn requests_out_of_order_are_refused() {
    let mut lab = Lab::up();
    lab.ask(Method::Info, &[], "");
    let late = lab.far_request(Method::Bye, 101, "b", &[], "");
    lab.receive(late.into());
    assert_eq!(lab.story(), "> 200 to INFO; > 500 to BYE");
}

#[test]
fn every_other_request_within_the_call_gets_its_proper_answer() {
    let mut lab = Lab::up();
    let package = ("Info-Package", "x");
    let expected = [
        (Method::Info, 200),
        (Method::Message, 405),
        (Method::Notify, 489),
        (Method::Options, 200),
        (Method::Prack, 481),
        (Method::Publish, 405),
        (Method::Refer, 405),
        (Method::Register, 405),
        (Method::Subscribe, 405),
        (Method::parse("WEIRD").unwrap(), 501),
    ];
    for (method, status) in expected {
        assert_eq!(status_of(&mut lab, method.clone(), &[], ""), status, "{method}");
        if matches!(status, 405 | 501) {
            let allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO";
            assert_eq!(lab.last_response(&method).headers.get(Name::Allow), Some(allow));
        }
    }
    let mut info = lab.far_request(Method::Info, 900, "b", &[], "");
    info.headers.push_other(&crate::sip::Token::new(package.0).unwrap(), package.1);
    lab.receive(info.into());
    assert_eq!(lab.last_response(&Method::Info).status, 469);
    assert_eq!(lab.ua.calls(), 1);
}

#[test]
fn extensions_we_do_not_know_are_refused_by_name() {
    let mut lab = Lab::up();
    let extra = [(Name::Require, "timer, 100rel, x-y")];
    for method in [Method::Invite, Method::Update, Method::Options, Method::Bye] {
        assert_eq!(status_of(&mut lab, method.clone(), &extra, NEW), 420);
        let refused = lab.last_response(&method);
        assert_eq!(refused.headers.get(Name::Unsupported), Some("100rel, x-y"));
    }
    assert!(!lab.story().contains("offered"));
}

#[test]
fn offer_of_the_far_end_is_handed_up_and_our_answer_sent_until_acknowledged() {
    let mut lab = Lab::up();
    let invite = lab.ask(Method::Invite, &[(Name::Contact, "<sip:moved@192.0.2.1:5099>")], NEW);
    assert_eq!(lab.story(), "> 100 to INVITE; offered sdp");
    lab.receive(invite.clone().into());
    assert_eq!(lab.story(), "> 100 to INVITE");
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    assert_eq!(lab.story(), "> 200 to INVITE sdp");
    let granted = lab.last_response(&Method::Invite);
    assert_eq!(granted.headers.contacts().unwrap().len(), 1);
    lab.pass(Duration::from_millis(1_600));
    assert_eq!(lab.story(), "> 200 to INVITE sdp; > 200 to INVITE sdp");
    // Repeated INVITEs are absorbed: the 200 repeats itself.
    lab.receive(invite.into());
    assert_eq!(lab.story(), "");
    let ack = lab.far_request(Method::Ack, lab.far_cseq, "b", &[], "");
    lab.receive(ack.clone().into());
    lab.receive(ack.into());
    lab.pass_s(40);
    assert_eq!(lab.story(), "acked");
    lab.hang_up();
    assert_eq!(lab.last(&Method::Bye).uri.as_str(), "sip:moved@192.0.2.1:5099");
}

#[test]
fn far_end_without_offer_gets_ours_and_answers_in_the_ack() {
    let mut lab = Lab::up();
    lab.ask(Method::Invite, &[], "");
    assert_eq!(lab.story(), "> 100 to INVITE; offered");
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    // A new offer has to wait for that answer.
    assert_eq!(status_of(&mut lab, Method::Update, &[], NEW), 491);
    let ack = lab.far_request(Method::Ack, 101, "b", &[], ANSWER);
    lab.receive(ack.into());
    assert_eq!(lab.story(), "> 200 to INVITE sdp; > 491 to UPDATE; acked sdp");
}

#[test]
fn answer_that_nobody_acknowledges_ends_the_call() {
    let mut lab = Lab::up();
    lab.ask(Method::Invite, &[], NEW);
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    lab.story();
    lab.pass_s(33);
    let story = lab.story();
    assert_eq!(story, format!("{}> BYE 2; > BYE 2", "> 200 to INVITE sdp; ".repeat(10)));
    lab.respond(&Method::Bye, 200);
    assert_eq!(lab.story(), "ended Timeout 200");
    lab.assert_clean();
}

#[test]
fn lost_ack_does_not_hold_up_the_next_offer() {
    let mut lab = Lab::up();
    lab.ask(Method::Invite, &[], NEW);
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    lab.story();
    lab.ask(Method::Invite, &[], NEW);
    assert_eq!(lab.story(), "> 100 to INVITE; offered sdp");
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    let ack = lab.far_request(Method::Ack, 102, "b", &[], "");
    lab.receive(ack.into());
    assert_eq!(lab.story(), "> 200 to INVITE sdp; acked");
}

#[test]
fn rejected_offer_leaves_the_call_as_it_was() {
    for (given, sent) in [(488, 488), (606, 606), (200, 488), (0, 488)] {
        let mut lab = Lab::up();
        let invite = lab.ask(Method::Invite, &[], NEW);
        lab.feed(Input::Reject { call: CALL, status: given });
        assert_eq!(lab.story(), format!("> 100 to INVITE; offered sdp; > {sent} to INVITE"));
        let mut ack = lab.far_request(Method::Ack, 101, "b", &[], "");
        ack.headers.set(Name::Via, invite.headers.get(Name::Via).unwrap());
        lab.receive(ack.into());
        lab.pass_s(40);
        assert_eq!((lab.story().as_str(), lab.ua.calls()), ("", 1));
    }
}

#[test]
fn overlapping_offers_are_put_off() {
    let mut lab = Lab::up();
    lab.ask(Method::Invite, &[], NEW);
    for method in [Method::Invite, Method::Update] {
        assert_eq!(status_of(&mut lab, method.clone(), &[], NEW), 500);
        let wait = lab.last_response(&method).headers.retry_after().unwrap().unwrap();
        assert!(wait <= 10);
    }
}

#[test]
fn offer_taken_back_is_withdrawn() {
    let mut lab = Lab::up();
    let invite = lab.ask(Method::Invite, &[], NEW);
    let mut cancel = lab.far_request(Method::Cancel, 101, "b", &[], "");
    cancel.headers.set(Name::Via, invite.headers.get(Name::Via).unwrap());
    lab.receive(cancel.clone().into());
    assert_eq!(
        lab.story(),
        "> 100 to INVITE; offered sdp; > 200 to CANCEL; > 487 to INVITE; withdrawn"
    );
    // The engine's reply comes too late; the CANCEL comes again.
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    lab.receive(cancel.into());
    assert_eq!(lab.story(), "> 200 to CANCEL");
    let stray = lab.far_request(Method::Cancel, 150, "b", &[], "");
    lab.receive(stray.into());
    assert_eq!(lab.story(), "> 481 to CANCEL");
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let mut lab = Lab::up();
    let invite = lab.ask(Method::Invite, &[], NEW);
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    lab.story();
    let mut cancel = lab.far_request(Method::Cancel, 101, "b", &[], "");
    cancel.headers.set(Name::Via, invite.headers.get(Name::Via).unwrap());
    lab.receive(cancel.into());
    assert_eq!(lab.story(), "> 200 to CANCEL");
}

#[test]
fn engine_that_does_not_reply_is_not_waited_for() {
    let mut lab = Lab::up();
    lab.ask(Method::Update, &[], NEW);
    lab.story();
    lab.pass_s(9);
    assert_eq!(lab.story(), "> 500 to UPDATE; withdrawn");
    assert_eq!(lab.ua.calls(), 1);
}

#[test]
fn hanging_up_refuses_the_offer_under_way() {
    let mut lab = Lab::up();
    lab.ask(Method::Invite, &[], NEW);
    lab.story();
    lab.hang_up();
    assert_eq!(lab.story(), "> 487 to INVITE; > BYE 2");
    let mut lab = Lab::up();
    lab.ask(Method::Invite, &[], NEW);
    lab.story();
    lab.ask(Method::Bye, &[], "");
    assert_eq!(lab.story(), "> 200 to BYE; > 487 to INVITE; ended Far 200");
    lab.assert_clean();
}

#[test]
fn update_with_and_without_offer() {
    let mut lab = Lab::up();
    assert_eq!(
        status_of(&mut lab, Method::Update, &[(Name::Contact, "<sip:x@192.0.2.1>")], ""),
        200
    );
    assert_eq!(lab.story(), "> 200 to UPDATE");
    lab.ask(Method::Update, &[], NEW);
    assert_eq!(lab.story(), "offered sdp");
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    assert_eq!(lab.story(), "> 200 to UPDATE sdp");
    lab.hang_up();
    assert_eq!(lab.last(&Method::Bye).uri.as_str(), "sip:x@192.0.2.1");
}

#[test]
fn body_that_is_no_session_description_is_refused() {
    let mut lab = Lab::up();
    for method in [Method::Invite, Method::Update] {
        lab.far_cseq += 1;
        let mut request = lab.far_request(method.clone(), lab.far_cseq, "b", &[], "");
        request.set_body("text/plain", "hello");
        lab.receive(request.into());
        let refused = lab.last_response(&method);
        assert_eq!(refused.status, 415);
        assert_eq!(refused.headers.get(Name::Accept), Some("application/sdp"));
    }
}

#[test]
fn early_dialog_may_ask_little() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.story();
    lab.ask(Method::Options, &[], "");
    lab.ask(Method::Update, &[], "");
    lab.ask(Method::Update, &[], NEW);
    lab.ask(Method::Invite, &[], NEW);
    assert_eq!(lab.story(), "> 200 to OPTIONS; > 200 to UPDATE; > 491 to UPDATE; > 491 to INVITE");
    // A fork says goodbye; the INVITE itself goes on.
    lab.ask(Method::Bye, &[], "");
    lab.ask(Method::Options, &[], "");
    lab.answer();
    assert_eq!(lab.story(), "> 200 to BYE; > 481 to OPTIONS; > ACK 1; answered sdp");
}

#[test]
fn early_dialog_whose_answer_was_reliable_may_offer() {
    let mut lab = Lab::new();
    lab.dial();
    let extra = [(Name::Require, "100rel"), (Name::RSeq, "1")];
    lab.respond_as(&Method::Invite, 183, "b", &extra, ANSWER);
    lab.story();
    lab.ask(Method::Update, &[], NEW);
    assert_eq!(lab.story(), "offered sdp");
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    assert_eq!(lab.story(), "> 200 to UPDATE sdp");
}

#[test]
fn early_offer_dies_with_its_call() {
    let mut lab = Lab::new();
    lab.dial();
    let extra = [(Name::Require, "100rel"), (Name::RSeq, "1")];
    lab.respond_as(&Method::Invite, 183, "b", &extra, ANSWER);
    lab.ask(Method::Update, &[], NEW);
    lab.respond(&Method::Prack, 200);
    lab.story();
    lab.respond(&Method::Invite, 486);
    assert_eq!(lab.story(), "> ACK 1; > 487 to UPDATE; ended Far 486");
    lab.assert_clean();
}

#[test]
fn early_offer_may_be_answered_after_the_call_is() {
    let mut lab = Lab::new();
    lab.dial();
    let extra = [(Name::Require, "100rel"), (Name::RSeq, "1")];
    lab.respond_as(&Method::Invite, 183, "b", &extra, ANSWER);
    lab.ask(Method::Update, &[], NEW);
    lab.story();
    lab.respond(&Method::Invite, 200);
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    assert_eq!(lab.story(), "> ACK 1; answered sdp; > 200 to UPDATE sdp");
}

#[test]
fn answer_without_sdp_means_the_session_that_was_agreed_last() {
    let mut lab = Lab::new();
    lab.dial();
    let extra = [(Name::Require, "100rel"), (Name::RSeq, "1")];
    lab.respond_as(&Method::Invite, 183, "b", &extra, ANSWER);
    lab.ask(Method::Update, &[], NEW);
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    let ok = response(&lab.last(&Method::Invite), 200, "b", &[], "");
    lab.ua.handle(lab.now, Input::Received { flow: udp(1), data: ok.to_bytes().into() });
    let answered = std::iter::from_fn(|| lab.ua.poll()).find_map(|effect| match effect {
        Effect::Answered { sdp, .. } => sdp,
        _ => None,
    });
    assert_eq!(answered.as_deref(), Some(NEW.as_bytes()));
}

#[test]
fn next_requests_follow_route_set_and_contact() {
    let mut lab = Lab::new();
    lab.dial();
    let extra = [
        (Name::Contact, "<sip:far@10.0.0.9:5070>"),
        (Name::RecordRoute, "<sip:192.0.2.77;lr>, <sip:192.0.2.88:5080;lr>"),
    ];
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; > ACK 1 at 192.0.2.88:5080; answered sdp");
    let ack = lab.last(&Method::Ack);
    assert_eq!(ack.uri.as_str(), "sip:far@10.0.0.9:5070");
    assert_eq!(ack.headers.routes().unwrap().len(), 2);
    // Its own answer to the BYE may come from there.
    lab.hang_up();
    let ok = response(&lab.last(&Method::Bye), 200, "b", &[], "");
    let peer = "192.0.2.88:5080".parse().unwrap();
    lab.receive_from(Flow { transport: T::Udp, peer }, ok.into());
    assert_eq!(lab.story(), "> BYE 2 at 192.0.2.88:5080; ended Us 200");
}

#[test]
fn contacts_that_cannot_be_meant_are_reached_by_the_way_of_the_invite() {
    let nowhere = [
        "<sip:x@10.0.0.1>",
        "<sip:x@127.0.0.1>",
        "<sip:x@255.255.255.255>",
        "<sip:x@224.0.0.1>",
        "<sip:x@0.0.0.0>",
        "<sip:x@100.64.1.1>",
        "<sip:x@[2001:db8::1]>",
        "<sip:x@somewhere.example>",
        "<sip:x@192.0.2.200;transport=tcp>",
        "<sips:x@192.0.2.200;transport=sctp>",
    ];
    for contact in nowhere {
        let mut lab = Lab::new();
        lab.dial();
        lab.respond_as(&Method::Invite, 200, "b", &[(Name::Contact, contact)], ANSWER);
        assert_eq!(lab.story(), "> INVITE 1 sdp; sent; > ACK 1; answered sdp", "{contact}");
    }
}
