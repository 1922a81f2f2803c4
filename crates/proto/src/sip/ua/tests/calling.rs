//! Calls from the INVITE to its final response, and what may cross it.

use std::time::Duration;

use super::lab::*;
use crate::sip::identity::CallIdentity;
use crate::sip::message::Method;
use crate::sip::name::Name;
use crate::sip::ua::*;
use crate::sip::value::Reason;

#[test]
fn call_is_dialed_rung_answered_and_hung_up() {
    let mut lab = Lab::new();
    lab.dial();
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent");
    lab.respond(&Method::Invite, 100);
    lab.respond_as(&Method::Invite, 183, "b", &[], ANSWER);
    assert_eq!(lab.story(), "progress 100; progress 183 sdp b");
    lab.answer();
    assert_eq!(lab.story(), "> ACK 1; answered sdp");
    lab.pass_s(60);
    assert_eq!(lab.story(), "");
    lab.hang_up();
    assert_eq!(lab.story(), "> BYE 2");
    lab.respond(&Method::Bye, 200);
    assert_eq!(lab.story(), "ended Us 200");
    lab.assert_clean();
}

#[test]
fn invite_says_who_we_are_and_what_we_can() {
    let mut lab = Lab::new();
    let mut invite = invite(CALL);
    invite.headers = vec![
        ("X-Account".into(), "17".into()),
        ("P-Asserted-Identity".into(), "<sip:+16175550100@dialer.example>".into()),
        ("Via".into(), "SIP/2.0/UDP evil".into()),
        ("contact".into(), "<sip:evil>".into()),
        ("No Token".into(), "x".into()),
    ];
    lab.feed(Input::Invite(Box::new(invite)));
    let text = String::from_utf8(lab.last(&Method::Invite).to_bytes()).unwrap();
    let identity = CallIdentity::derive(&KEY, CALL.0, 1, "dialer.example");
    let branch = identity.branch(1, udp(1));
    let CallIdentity { call_id, from_tag, .. } = identity;
    let expected = format!(
        "INVITE sip:+16175550101@sip.example SIP/2.0\n\
         Via: SIP/2.0/UDP 198.51.100.1:5060;branch={branch};rport\n\
         Max-Forwards: 70\n\
         From: \"Outdial\" <sip:+16175550100@dialer.example>;tag={from_tag}\n\
         To: <sip:+16175550101@sip.example>\n\
         Call-ID: {call_id}\n\
         CSeq: 1 INVITE\n\
         Contact: <sip:16175550100@198.51.100.1:5060>\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\n\
         Supported: timer\n\
         X-Account: 17\n\
         P-Asserted-Identity: <sip:+16175550100@dialer.example>\n\
         Content-Type: application/sdp\n\
         Content-Length: 11\n\nv=0\no=us\n"
    );
    assert_eq!(text.replace("\r\n", "\n"), expected);
}

#[test]
fn withheld_number_stays_between_us_and_the_trunk() {
    let mut lab = Lab::new();
    let withheld = Invite { caller_id: CallerId::Withheld, ..invite(CALL) };
    lab.feed(Input::Invite(Box::new(withheld)));
    let sent = lab.last(&Method::Invite);
    let from = sent.headers.from().unwrap();
    assert_eq!(from.uri.as_str(), "sip:anonymous@anonymous.invalid");
    assert_eq!(from.display.as_deref(), Some("Anonymous"));
    assert_eq!(sent.headers.get(Name::Privacy), Some("id"));
    let preferred = sent.headers.get(Name::PPreferredIdentity).unwrap();
    assert_eq!(preferred, "\"Outdial\" <sip:+16175550100@dialer.example>");
    assert_eq!(sent.headers.get(Name::Contact), Some("<sip:198.51.100.1:5060>"));
}

#[test]
fn refusals_end_the_call_with_status_cause_and_words() {
    for (status, by) in [(302, "Far"), (404, "Far"), (480, "Far"), (486, "Far"), (603, "Far")] {
        let mut lab = Lab::new();
        lab.dial();
        lab.respond(&Method::Invite, 180);
        lab.story();
        let extra = [(Name::Reason, "Q.850;cause=17;text=\"User busy\""), (Name::RetryAfter, "9")];
        lab.respond_as(&Method::Invite, status, "b", &extra, "");
        assert_eq!(lab.story(), format!("> ACK 1; ended {by} {status} q850=17 retry=9"));
        // The ACK got lost: the far end repeats itself, the engine hears nothing.
        lab.respond_as(&Method::Invite, status, "b", &extra, "");
        assert_eq!(lab.story(), "> ACK 1");
        lab.assert_clean();
    }
}

#[test]
fn cause_of_an_announcement_is_kept_for_the_end() {
    let mut lab = Lab::new();
    lab.dial();
    let extra = [(Name::Reason, "Q.850;cause=1")];
    lab.respond_as(&Method::Invite, 183, "b", &extra, ANSWER);
    lab.story();
    lab.hang_up();
    lab.respond(&Method::Cancel, 200);
    lab.respond(&Method::Invite, 487);
    assert_eq!(lab.story(), "> CANCEL 1; > ACK 1; ended Us 487 q850=1");
}

#[test]
fn silent_far_end_is_given_up_after_32_seconds_and_nobody_else_is_tried() {
    let targets = [target(Transport::Udp, 1), target(Transport::Udp, 2)];
    let mut lab = Lab::with(config(), &targets, None);
    lab.dial();
    lab.pass_s(33);
    let repeated = "> INVITE 1 sdp; ".repeat(6);
    assert_eq!(lab.story(), format!("> INVITE 1 sdp; sent; {repeated}ended Timeout"));
    lab.assert_clean();
}

#[test]
fn address_that_cannot_work_makes_room_for_the_next() {
    let targets = [1, 2, 3].map(|n| target(Transport::Udp, n));
    let mut lab = Lab::with(config(), &targets, None);
    lab.dial();
    let first = lab.last(&Method::Invite);
    lab.respond_as(&Method::Invite, 503, "b", &[(Name::RetryAfter, "60")], "");
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; > ACK 1; > INVITE 1 sdp at 192.0.2.2:5060");
    let second = lab.last(&Method::Invite);
    assert_ne!(first.headers.get(Name::Via), second.headers.get(Name::Via));
    assert_eq!(first.headers.get(Name::CallId), second.headers.get(Name::CallId));
    lab.feed(Input::FlowFailed { flow: udp(2), failure: FlowFailure::Unreachable });
    assert_eq!(lab.story(), "> INVITE 1 sdp at 192.0.2.3:5060");
    let busy = response(&lab.last(&Method::Invite), 486, "b", &[], "");
    lab.receive_from(udp(3), busy.into());
    assert_eq!(lab.story(), "> ACK 1 at 192.0.2.3:5060; ended Far 486");
    // The next call begins where nobody rests.
    lab.feed(Input::Invite(Box::new(invite(CallKey(8)))));
    assert_eq!(lab.story(), "> INVITE 1 sdp at 192.0.2.3:5060; sent");
    lab.pass_s(90);
    lab.story();
    lab.feed(Input::Invite(Box::new(invite(CallKey(9)))));
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent");
}

#[test]
fn last_address_that_cannot_work_ends_the_call() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond_as(&Method::Invite, 503, "b", &[(Name::RetryAfter, "60")], "");
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; > ACK 1; ended Far 503 retry=60");
    let mut lab = Lab::new();
    lab.dial();
    lab.feed(Input::FlowFailed { flow: udp(1), failure: FlowFailure::Unreachable });
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; ended Unreachable");
    lab.assert_clean();
}

#[test]
fn nobody_else_is_tried_once_somebody_may_be_ringing() {
    let targets = [target(Transport::Udp, 1), target(Transport::Udp, 2)];
    let mut lab = Lab::with(config(), &targets, None);
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.respond(&Method::Invite, 503);
    assert!(lab.story().ends_with("> ACK 1; ended Far 503"));
    // A connection that closes behind the INVITE may have carried it.
    let targets = [target(Transport::Tcp, 1), target(Transport::Tcp, 2)];
    let mut lab = Lab::with(config(), &targets, None);
    lab.dial();
    let flow = flow(Transport::Tcp, 1);
    lab.feed(Input::FlowFailed { flow, failure: FlowFailure::Closed });
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; ended Transport");
    lab.assert_clean();
}

#[test]
fn closed_connection_is_no_failure_while_it_rings() {
    let mut lab = Lab::on(Transport::Tcp);
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.story();
    let flow = flow(Transport::Tcp, 1);
    lab.feed(Input::FlowFailed { flow, failure: FlowFailure::Closed });
    assert_eq!(lab.story(), "");
    lab.answer();
    assert_eq!(lab.story(), "> ACK 1; answered sdp");
}

#[test]
fn tls_trunk_keeps_its_name_and_way() {
    let mut lab = Lab::on(Transport::Tls);
    lab.dial();
    assert_eq!(lab.story(), "> INVITE 1 sdp (sip.example); sent");
    let sent = lab.last(&Method::Invite);
    assert_eq!(
        sent.headers.get(Name::Contact),
        Some("<sip:16175550100@198.51.100.1:5061;transport=tls>")
    );
    // Whatever the Contact says, the checked connection is kept.
    let extra = [(Name::Contact, "<sip:x@203.0.113.9:5060;transport=udp>")];
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    assert_eq!(lab.story(), "> ACK 1 (sip.example); answered sdp");
    assert_eq!(lab.sent.last().unwrap().0, flow(Transport::Tls, 1));
}

#[test]
fn call_that_cannot_be_sent_says_why() {
    let mut lab = Lab::with(config(), &[], None);
    lab.dial();
    assert_eq!(lab.story(), "ended NotSent");
    let mut only_tcp = config();
    only_tcp.contacts.udp = None;
    let mut lab = Lab::with(only_tcp, &[target(Transport::Udp, 1)], None);
    lab.dial();
    assert_eq!(lab.story(), "ended NotSent");
    let mut small = config();
    small.limits.calls_max = 1;
    let mut lab = Lab::with(small, &[target(Transport::Udp, 1)], None);
    lab.dial();
    lab.feed(Input::Invite(Box::new(invite(CallKey(8)))));
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; ended NotSent");
    let mut small = config();
    small.limits.transactions_max = 1;
    let mut lab = Lab::with(small, &[target(Transport::Udp, 1)], None);
    lab.dial();
    lab.feed(Input::Invite(Box::new(invite(CallKey(8)))));
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; ended NotSent");
}

#[test]
fn two_calls_with_one_call_id_are_not_mixed() {
    let mut lab = Lab::new();
    lab.dial();
    lab.feed(Input::Invite(Box::new(Invite { call: CallKey(8), ..invite(CALL) })));
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; ended NotSent");
}

#[test]
fn cancel_waits_for_the_first_provisional_response() {
    let mut lab = Lab::new();
    lab.dial();
    lab.story();
    lab.hang_up_because(Reason::q850(16, "Normal call clearing"));
    assert_eq!(lab.story(), "");
    lab.respond(&Method::Invite, 100);
    assert_eq!(lab.story(), "> CANCEL 1");
    let (cancel, invite) = (lab.last(&Method::Cancel), lab.last(&Method::Invite));
    assert_eq!(cancel.headers.get(Name::Via), invite.headers.get(Name::Via));
    assert_eq!(
        cancel.headers.get(Name::Reason),
        Some("Q.850;cause=16;text=\"Normal call clearing\"")
    );
    // Neither another provisional response nor another wish cancels twice.
    lab.respond(&Method::Invite, 180);
    lab.hang_up();
    assert_eq!(lab.story(), "");
    lab.respond(&Method::Cancel, 200);
    lab.respond(&Method::Invite, 487);
    assert_eq!(lab.story(), "> ACK 1; ended Us 487");
    lab.assert_clean();
}

#[test]
fn hang_up_of_a_silent_call_ends_when_the_invite_does() {
    let mut lab = Lab::new();
    lab.dial();
    lab.hang_up();
    lab.story();
    lab.pass_s(31);
    assert!(!lab.story().contains("ended"));
    lab.pass_s(2);
    assert!(lab.story().ends_with("ended Us"));
    lab.assert_clean();
}

#[test]
fn far_end_silent_after_cancel_is_given_up_after_32_seconds() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.story();
    lab.hang_up();
    lab.respond(&Method::Cancel, 200);
    lab.pass_s(31);
    assert_eq!(lab.story(), "> CANCEL 1");
    lab.pass_s(2);
    assert_eq!(lab.story(), "ended Us");
    lab.assert_clean();
}

#[test]
fn answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.story();
    lab.hang_up_because(Reason::sip(487, "gone"));
    lab.answer();
    assert_eq!(lab.story(), "> CANCEL 1; > ACK 1; > BYE 2");
    assert_eq!(
        lab.last(&Method::Bye).headers.get(Name::Reason),
        Some("SIP;cause=487;text=\"gone\"")
    );
    lab.respond(&Method::Cancel, 481);
    assert_eq!(lab.story(), "");
    // The 200 comes again, for its ACK was lost; also after the BYE was answered.
    lab.answer();
    lab.respond(&Method::Bye, 200);
    lab.answer();
    assert_eq!(lab.story(), "> ACK 1; ended Us 200; > ACK 1");
    lab.assert_clean();
}

#[test]
fn refusal_that_crosses_the_cancel_is_what_it_says() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.hang_up();
    lab.story();
    lab.respond(&Method::Invite, 486);
    assert_eq!(lab.story(), "> ACK 1; ended Far 486");
}

#[test]
fn repeated_answer_is_acknowledged_again_and_a_flood_of_it_is_not() {
    let mut lab = Lab::new();
    lab.dial();
    lab.answer();
    let ack = lab.last(&Method::Ack);
    lab.story();
    lab.answer();
    assert_eq!(lab.story(), "> ACK 1");
    assert_eq!(lab.last(&Method::Ack), ack);
    for _ in 0..1_000 {
        lab.answer();
    }
    assert_eq!(lab.story().matches("ACK").count(), 31);
}

#[test]
fn first_fork_that_answers_wins_and_the_others_are_ended() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond(&Method::Invite, 180);
    lab.respond_as(&Method::Invite, 183, "c", &[], ANSWER);
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent; progress 180 b; progress 183 sdp c");
    lab.respond_as(&Method::Invite, 200, "c", &[], ANSWER);
    assert_eq!(lab.story(), "> ACK 1; answered sdp");
    lab.respond_as(&Method::Invite, 200, "b", &[], ANSWER);
    assert_eq!(lab.story(), "> ACK 1; > BYE 2");
    assert_eq!(lab.last(&Method::Bye).headers.to().unwrap().tag(), Some("b"));
    // The loser's repeated 200 is acknowledged, not ended twice.
    lab.respond_as(&Method::Invite, 200, "b", &[], ANSWER);
    assert_eq!(lab.story(), "> ACK 1");
    lab.respond(&Method::Bye, 200);
    lab.hang_up();
    assert_eq!(lab.story(), "> BYE 2");
    assert_eq!(lab.last(&Method::Bye).headers.to().unwrap().tag(), Some("c"));
    lab.respond_as(&Method::Bye, 200, "c", &[], "");
    assert_eq!(lab.story(), "ended Us 200");
    lab.assert_clean();
}

#[test]
fn fork_that_answers_after_the_call_ended_is_ended_too() {
    let mut lab = Lab::new();
    lab.dial();
    lab.answer();
    lab.hang_up();
    lab.respond(&Method::Bye, 200);
    lab.story();
    lab.respond_as(&Method::Invite, 200, "late", &[], ANSWER);
    assert_eq!(lab.story(), "> ACK 1; > BYE 2");
    lab.assert_clean();
}

#[test]
fn answer_without_sdp_falls_back_to_its_early_media() {
    let mut lab = Lab::new();
    lab.dial();
    lab.respond_as(&Method::Invite, 183, "c", &[], "v=0\r\no=other\r\n");
    lab.respond_as(&Method::Invite, 183, "b", &[], ANSWER);
    lab.story();
    lab.respond(&Method::Invite, 200);
    assert_eq!(lab.story(), "> ACK 1; answered sdp");
    let mut lab = Lab::new();
    lab.dial();
    lab.story();
    lab.respond(&Method::Invite, 200);
    assert_eq!(lab.story(), "> ACK 1; answered");
}

#[test]
fn reliable_provisional_responses_are_acknowledged_in_order() {
    let mut lab = Lab::new();
    lab.dial();
    lab.story();
    let reliable = |rseq| [(Name::Require, "100rel"), (Name::RSeq, rseq)];
    lab.respond_as(&Method::Invite, 183, "b", &reliable("7"), ANSWER);
    assert_eq!(lab.story(), "> PRACK 2; progress 183 sdp b");
    let prack = lab.last(&Method::Prack);
    assert_eq!(prack.headers.get(Name::RAck), Some("7 1 INVITE"));
    assert_eq!(prack.uri.as_str(), "sip:far@192.0.2.1:5060");
    // Repeated, and one too far.
    lab.respond_as(&Method::Invite, 183, "b", &reliable("7"), ANSWER);
    lab.respond_as(&Method::Invite, 180, "b", &reliable("9"), "");
    assert_eq!(lab.story(), "");
    lab.respond_as(&Method::Invite, 180, "b", &reliable("8"), "");
    assert_eq!(lab.story(), "> PRACK 3; progress 180 b");
    lab.respond(&Method::Prack, 200);
    lab.respond(&Method::Invite, 200);
    assert_eq!(lab.story(), "> ACK 1; answered sdp");
    lab.hang_up();
    assert_eq!(lab.story(), "> BYE 4");
}

#[test]
fn far_end_that_requires_reliable_responses_is_offered_them_once() {
    let mut lab = Lab::new();
    lab.dial();
    lab.story();
    lab.respond_as(&Method::Invite, 421, "b", &[(Name::Require, "100rel")], "");
    assert_eq!(lab.story(), "> ACK 1; > INVITE 2 sdp");
    assert_eq!(lab.last(&Method::Invite).headers.get(Name::Supported), Some("timer, 100rel"));
    lab.respond_as(&Method::Invite, 421, "b", &[(Name::Require, "100rel")], "");
    assert_eq!(lab.story(), "> ACK 2; ended Far 421");
    let mut lab = Lab::new();
    lab.dial();
    lab.respond_as(&Method::Invite, 421, "b", &[(Name::Require, "resource-priority")], "");
    assert!(lab.story().ends_with("> ACK 1; ended Far 421"));
}

#[test]
fn invite_goes_again_only_as_often_as_the_timers_say() {
    let mut lab = Lab::new();
    lab.dial();
    lab.pass(Duration::from_millis(499));
    assert_eq!(lab.story(), "> INVITE 1 sdp; sent");
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.story(), "> INVITE 1 sdp");
    lab.respond(&Method::Invite, 100);
    lab.pass_s(200);
    assert_eq!(lab.story(), "progress 100");
    assert_eq!(lab.elapsed_s(), 200);
}
