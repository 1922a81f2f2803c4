//! Session timers (RFC 4028), asked for by us or by the far end.

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::message::Method;
use crate::sip::name::Name;
use crate::sip::ua::*;

fn lab() -> Lab {
    let config = UaConfig { session_expires_s: Some(1_800), ..config() };
    let mut lab = Lab::with(config, &[target(T::Udp, 1)], None);
    lab.dial();
    lab
}

fn up(session_expires: &str, allow: &str) -> Lab {
    let mut lab = lab();
    let mut extra = vec![(Name::Allow, allow)];
    if !session_expires.is_empty() {
        extra.push((Name::SessionExpires, session_expires));
    }
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    lab.story();
    lab
}

#[test]
fn session_is_refreshed_by_update_at_half_time() {
    let mut lab = up("1800;refresher=uac", "INVITE, UPDATE");
    lab.pass_s(899);
    assert_eq!(lab.story(), "");
    lab.pass_s(1);
    assert_eq!(lab.story(), "> UPDATE 2");
    let update = lab.last(&Method::Update);
    assert_eq!(update.headers.get(Name::SessionExpires), Some("1800;refresher=uac"));
    assert_eq!(update.headers.get(Name::Supported), Some("timer"));
    lab.respond_as(&Method::Update, 200, "b", &[(Name::SessionExpires, "600;refresher=uac")], "");
    lab.pass_s(300);
    assert_eq!(lab.story(), "> UPDATE 3");
}

#[test]
fn session_is_refreshed_by_reinvite_where_update_is_unknown() {
    let mut lab = up("1800;refresher=uac", "INVITE, BYE");
    lab.pass_s(900);
    assert_eq!(lab.story(), "> INVITE 2 sdp");
    let reinvite = lab.last(&Method::Invite);
    assert_eq!(reinvite.body, OFFER);
    assert_eq!(reinvite.uri.as_str(), "sip:far@192.0.2.1:5060");
    let extra = [(Name::SessionExpires, "1800;refresher=uac")];
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    assert_eq!(lab.story(), "> ACK 2; refreshed sdp");
    // Its ACK was lost.
    lab.respond_as(&Method::Invite, 200, "b", &extra, ANSWER);
    assert_eq!(lab.story(), "> ACK 2");
    lab.pass_s(900);
    assert_eq!(lab.story(), "> INVITE 3 sdp");
}

#[test]
fn update_refused_as_unknown_becomes_a_reinvite() {
    for status in [405, 501] {
        let mut lab = up("1800;refresher=uac", "UPDATE");
        lab.pass_s(900);
        lab.respond(&Method::Update, status);
        assert_eq!(lab.story(), "> UPDATE 2; > INVITE 3 sdp");
    }
}

#[test]
fn far_end_that_stops_refreshing_is_hung_up() {
    let mut lab = up("1800;refresher=uas", "UPDATE");
    lab.pass_s(1_000);
    // One refresh comes, without anything else.
    let extra = [(Name::SessionExpires, "1800;refresher=uac"), (Name::Supported, "timer")];
    lab.ask(Method::Update, &extra, "");
    let granted = lab.last_response(&Method::Update);
    assert_eq!(granted.headers.get(Name::SessionExpires), Some("1800;refresher=uac"));
    assert_eq!(granted.headers.get(Name::Require), Some("timer"));
    assert_eq!(lab.story(), "> 200 to UPDATE");
    lab.pass_s(1_767);
    assert_eq!(lab.story(), "");
    lab.pass_s(1);
    assert_eq!(lab.story(), "> BYE 2");
    let bye = lab.last(&Method::Bye);
    assert_eq!(bye.headers.get(Name::Reason), Some("SIP;cause=408;text=\"Session expired\""));
    lab.respond(&Method::Bye, 481);
    assert_eq!(lab.story(), "ended Timeout 200");
    lab.assert_clean();
}

#[test]
fn far_end_without_session_timer_is_left_alone() {
    let mut lab = up("", "UPDATE");
    lab.pass_s(100_000);
    assert_eq!((lab.story().as_str(), lab.ua.deadline()), ("", None));
}

#[test]
fn too_short_a_session_is_asked_for_again_longer() {
    let mut lab = lab();
    lab.story();
    lab.respond_as(&Method::Invite, 422, "b", &[(Name::MinSe, "3600")], "");
    assert_eq!(lab.story(), "> ACK 1; > INVITE 2 sdp");
    let again = lab.last(&Method::Invite);
    assert_eq!(again.headers.get(Name::SessionExpires), Some("3600"));
    assert_eq!(again.headers.get(Name::MinSe), Some("3600"));
    // A minimum that is no higher, absurd, or missing, ends it.
    for min_se in ["3600", "4000000000", "90"] {
        let mut lab = self::lab();
        lab.respond_as(&Method::Invite, 422, "b", &[(Name::MinSe, "3600")], "");
        lab.story();
        lab.respond_as(&Method::Invite, 422, "b", &[(Name::MinSe, min_se)], "");
        assert_eq!(lab.story(), "> ACK 2; ended Far 422");
    }
    let mut lab = self::lab();
    lab.respond(&Method::Invite, 422);
    assert!(lab.story().ends_with("> ACK 1; ended Far 422"));
}

#[test]
fn endless_raising_of_the_minimum_ends_the_call() {
    let mut lab = lab();
    lab.story();
    for (n, min_se) in [(1, "2000"), (2, "3000")] {
        lab.respond_as(&Method::Invite, 422, "b", &[(Name::MinSe, min_se)], "");
        assert_eq!(lab.story(), format!("> ACK {n}; > INVITE {} sdp", n + 1));
    }
    lab.respond_as(&Method::Invite, 422, "b", &[(Name::MinSe, "4000")], "");
    assert_eq!(lab.story(), "> ACK 3; ended Far 422");
}

#[test]
fn refresh_too_brief_for_the_far_end_is_sent_again_longer() {
    let mut lab = up("1800;refresher=uac", "UPDATE");
    lab.pass_s(900);
    lab.respond_as(&Method::Update, 422, "b", &[(Name::MinSe, "2400")], "");
    assert_eq!(lab.story(), "> UPDATE 2; > UPDATE 3");
    let again = lab.last(&Method::Update);
    assert_eq!(again.headers.get(Name::SessionExpires), Some("2400;refresher=uac"));
    assert_eq!(again.headers.get(Name::MinSe), Some("2400"));
}

#[test]
fn refreshes_of_both_sides_that_cross_are_put_off() {
    let mut lab = up("1800;refresher=uac", "INVITE");
    lab.pass_s(900);
    lab.story();
    lab.ask(Method::Invite, &[], ANSWER);
    assert_eq!(lab.story(), "> 491 to INVITE");
    lab.respond(&Method::Invite, 491);
    assert_eq!(lab.story(), "> ACK 2");
    lab.pass(std::time::Duration::from_millis(2_000));
    assert!(!lab.story().contains("> INVITE"));
    lab.pass_s(2);
    assert!(lab.story().contains("> INVITE 3 sdp"));
}

#[test]
fn refresh_that_fails_otherwise_is_tried_again() {
    let mut lab = up("1800;refresher=uac", "UPDATE");
    lab.pass_s(900);
    lab.respond(&Method::Update, 500);
    assert_eq!(lab.story(), "> UPDATE 2");
    // Half of what is left until the BYE: (1768 - 900) / 2.
    lab.pass_s(433);
    assert_eq!(lab.story(), "");
    lab.pass_s(1);
    assert_eq!(lab.story(), "> UPDATE 3");
}

#[test]
fn refresh_that_nobody_answers_ends_the_call() {
    let mut lab = up("1800;refresher=uac", "UPDATE");
    lab.pass_s(900 + 32);
    assert!(lab.story().ends_with("> BYE 3"));
    lab.respond(&Method::Bye, 200);
    assert_eq!(lab.story(), "ended Timeout 200");
    let mut lab = up("1800;refresher=uac", "UPDATE");
    lab.pass_s(900);
    lab.respond(&Method::Update, 481);
    assert_eq!(lab.story(), "> UPDATE 2; > BYE 3");
    lab.respond(&Method::Bye, 481);
    assert_eq!(lab.story(), "ended Far 200");
    lab.assert_clean();
}

#[test]
fn far_end_that_asks_for_storms_of_refreshes_is_refused() {
    let mut lab = up("1800;refresher=uac", "UPDATE");
    let extra = [(Name::SessionExpires, "2"), (Name::Supported, "timer")];
    lab.ask(Method::Update, &extra, "");
    assert_eq!(lab.last_response(&Method::Update).status, 422);
    assert_eq!(lab.last_response(&Method::Update).headers.get(Name::MinSe), Some("90"));
    lab.ask(Method::Invite, &extra, ANSWER);
    assert_eq!(lab.last_response(&Method::Invite).status, 422);
    let mut lab = up("0;refresher=uac", "UPDATE");
    lab.pass_s(4);
    assert_eq!(lab.story(), "");
}

#[test]
fn reinvite_of_a_far_end_without_timer_is_watched_by_us() {
    let mut lab = up("1800;refresher=uas", "UPDATE");
    lab.ask(Method::Invite, &[(Name::SessionExpires, "600")], ANSWER);
    lab.feed(Input::Answer { call: CALL, sdp: OFFER.into() });
    let granted = lab.last_response(&Method::Invite);
    assert_eq!(granted.headers.get(Name::SessionExpires), Some("600;refresher=uas"));
    assert_eq!(granted.headers.get(Name::Require), None);
    let ack = lab.far_request(Method::Ack, 101, "b", &[], "");
    lab.receive(ack.into());
    lab.story();
    lab.pass_s(300);
    assert_eq!(lab.story(), "> UPDATE 2");
}

#[test]
fn reinvite_granted_behind_our_bye_is_acknowledged() {
    let mut lab = up("1800;refresher=uac", "INVITE");
    lab.pass_s(900);
    lab.hang_up();
    lab.answer();
    lab.answer();
    assert_eq!(lab.story(), "> INVITE 2 sdp; > BYE 3; > ACK 2; > ACK 2");
    lab.respond(&Method::Bye, 200);
    assert_eq!(lab.story(), "ended Us 200");
    lab.assert_clean();
}

#[test]
fn hang_up_during_our_reinvite_leaves_nothing_behind() {
    let mut lab = up("1800;refresher=uac", "INVITE");
    lab.pass_s(900);
    lab.hang_up();
    lab.respond(&Method::Bye, 200);
    assert_eq!(lab.story(), "> INVITE 2 sdp; > BYE 3; ended Us 200");
    // Its 200 comes late: acknowledged, and its dialog is ended once more.
    lab.answer();
    assert_eq!(lab.story(), "> ACK 2; > BYE 3");
    lab.respond(&Method::Bye, 481);
    lab.assert_clean();
}
