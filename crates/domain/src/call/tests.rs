//! Arrows of the call machine, as stories.

use super::*;
use crate::application::ScriptSource;
use crate::detection::{Heard, OnFax, OnMachine, ScriptStart};

const LIMITS: CallLimits = CallLimits {
    ring_time_max: Duration::from_secs(45),
    call_time_max: Duration::from_secs(3_600),
};

fn status(sip_status: u16) -> Input {
    Input::LegEnded(Cause { sip_status: Some(sip_status), ..Cause::default() })
}

/// Feeds `inputs` (seconds, input) and tells every effect; deadlines in between fire by themselves.
fn story(post_dial: Option<&str>, inputs: Vec<(i64, Input)>) -> Vec<String> {
    tell(post_dial, None, inputs)
}

fn tell(
    post_dial: Option<&str>,
    rules: Option<DetectionRules>,
    inputs: Vec<(i64, Input)>,
) -> Vec<String> {
    let mut call = Call::new(Timestamp::from_seconds(0), LIMITS, post_dial.map(Into::into), rules);
    let mut told = Vec::new();
    let mut drain = |call: &mut Call| {
        while let Some(effect) = call.poll() {
            told.push(match effect {
                Effect::Finish(end) => format!(
                    "finish {} {}s {:?} {}{}",
                    end.outcome.name(),
                    end.duration_s(),
                    end.cause.sip_status,
                    end.cause.text,
                    if end.message_left { " message left" } else { "" }
                ),
                Effect::DialElsewhere(cause) => elsewhere(cause.sip_status.unwrap_or_default()),
                Effect::Note(kind, detail) if detail.is_empty() => kind.name().into(),
                Effect::Note(kind, detail) => format!("{} {detail}", kind.name()),
                Effect::SendKeys(keys) => format!("keys {keys}"),
                other => format!("{other:?}"),
            });
        }
    };
    drain(&mut call);
    for (second, input) in inputs {
        let at = Timestamp::from_seconds(second);
        while let Some((due, timer)) = call.deadline().filter(|(due, _)| *due <= at) {
            call.handle(due, Input::Expired(timer));
            drain(&mut call);
        }
        call.handle(at, input);
        drain(&mut call);
    }
    told
}

#[test]
fn answered_call_runs_its_script_and_is_hung_up() {
    let told = story(
        None,
        vec![
            (1, Input::Ringing),
            (5, Input::Answered),
            (20, Input::ScriptEnded),
            (20, status(200)),
        ],
    );
    assert_eq!(
        told,
        ["Dial", "ringing", "answered", "RunScript", "HangUp", "finish answered 15s Some(200) "]
    );
}

#[test]
fn busy_call_finishes_at_once() {
    assert_eq!(story(None, vec![(1, status(486))]), ["Dial", "finish busy 0s Some(486) "]);
}

#[test]
fn call_that_rings_too_long_is_canceled_as_not_answered() {
    let told = story(None, vec![(1, Input::Ringing), (46, status(487))]);
    assert_eq!(
        told,
        ["Dial", "ringing", "HangUp", "finish no_answer 0s Some(487) nobody answered in time"]
    );
}

#[test]
fn answer_that_crosses_the_cancel_changes_nothing() {
    let told = story(None, vec![(46, Input::Answered), (47, status(200))]);
    assert_eq!(told, ["Dial", "HangUp", "finish no_answer 0s Some(200) nobody answered in time"]);
}

#[test]
fn far_end_hang_up_lets_the_script_come_to_its_end() {
    let told = story(
        None,
        vec![(0, Input::Answered), (3, Input::LegEnded(Cause::default())), (5, Input::ScriptEnded)],
    );
    assert_eq!(told, ["Dial", "answered", "RunScript", "EndScript", "finish answered 3s None "]);
}

#[test]
fn script_that_does_not_end_after_the_call_is_not_waited_for() {
    let told = story(
        None,
        vec![
            (0, Input::Answered),
            (3, Input::LegEnded(Cause::default())),
            (64, Input::ScriptEnded),
        ],
    );
    assert_eq!(told.last().unwrap(), "finish answered 3s None ");
}

#[test]
fn keys_after_the_answer_go_out_before_the_script_starts() {
    let told = story(Some("2"), vec![(0, Input::Answered), (1, Input::KeysSent)]);
    assert_eq!(told, ["Dial", "answered", "keys 2", "RunScript"]);
}

#[test]
fn canceled_call_tells_why() {
    let cancel = Input::Cancel { reason: "canceled by the client".into() };
    let told = story(None, vec![(2, cancel), (3, status(487))]);
    assert_eq!(told, ["Dial", "HangUp", "finish canceled 0s Some(487) canceled by the client"]);
}

#[test]
fn canceled_conversation_ends_script_and_leg() {
    let cancel = Input::Cancel { reason: "shutdown".into() };
    let told = story(
        None,
        vec![(0, Input::Answered), (9, cancel), (9, Input::ScriptEnded), (9, status(200))],
    );
    assert_eq!(told[3..], ["EndScript", "HangUp", "finish answered 9s Some(200) "]);
}

#[test]
fn leg_that_never_confirms_its_end_does_not_hold_the_slot_for_ever() {
    let told =
        story(None, vec![(0, Input::Answered), (9, Input::ScriptEnded), (99, Input::Ringing)]);
    assert_eq!(
        told.last().unwrap(),
        "finish answered 49s None far end did not confirm the hang-up"
    );
}

#[test]
fn conversation_without_end_is_cut_at_its_limit() {
    let told =
        story(None, vec![(0, Input::Answered), (3_601, status(200)), (3_602, Input::ScriptEnded)]);
    assert_eq!(told[3..], ["EndScript", "HangUp", "finish answered 3601s Some(200) "]);
}

#[test]
fn script_that_disconnects_runs_on_after_the_call() {
    let told = story(
        None,
        vec![
            (0, Input::Answered),
            (5, Input::ScriptHangUp),
            (6, status(200)),
            (8, Input::ScriptEnded),
        ],
    );
    assert_eq!(told[3..], ["HangUp", "finish answered 6s Some(200) "]);
}

fn found(heard: Heard, is_firm: bool, after_ms: u64) -> Input {
    let after = Duration::from_millis(after_ms);
    Input::Detected(Detected { heard, code: "", percent: 90, after, is_firm })
}

fn message() -> OnMachine {
    OnMachine::LeaveMessage(ScriptSource::Say("call us".into()))
}

/// The story of a call by these rules; its answer is at second 0.
fn heard(rules: DetectionRules, inputs: Vec<(i64, Input)>) -> String {
    let answered = std::iter::once((0, Input::Answered));
    tell(None, Some(rules), answered.chain(inputs).collect()).join(", ")
}

fn rules(start: ScriptStart, on_machine: OnMachine) -> DetectionRules {
    DetectionRules { start, on_machine, ..DetectionRules::TELL }
}

#[test]
fn script_runs_at_once_and_is_told_who_it_is() {
    let told = heard(
        DetectionRules::TELL,
        vec![
            (2, found(Heard::Human, false, 1_800)),
            (4, found(Heard::Human, true, 1_800)),
            (9, Input::ScriptEnded),
            (9, status(200)),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, RunScript, callee_detected human 90% after 1800 ms, \
         TellCallee(Human), HangUp, finish human 9s Some(200) "
    );
}

#[test]
fn early_person_may_turn_out_to_be_a_machine() {
    let told = heard(
        DetectionRules::TELL,
        vec![
            (2, found(Heard::Human, false, 1_800)),
            (4, found(Heard::Machine, true, 3_900)),
            (9, status(200)),
            (9, Input::ScriptEnded),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, RunScript, callee_detected human 90% after 1800 ms, \
         TellCallee(Human), callee_detected machine 90% after 3900 ms, TellCallee(Machine), \
         EndScript, finish machine 9s Some(200) "
    );
}

#[test]
fn machine_is_hung_up_on_when_it_is_beyond_doubt_and_not_before() {
    let told = heard(
        rules(ScriptStart::AtOnce, OnMachine::HangUp),
        vec![
            (2, found(Heard::Machine, false, 1_800)),
            (3, found(Heard::Machine, true, 2_900)),
            (3, Input::ScriptEnded),
            (3, status(200)),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, RunScript, callee_detected machine 90% after 2900 ms, EndScript, \
         HangUp, finish machine 3s Some(200) "
    );
}

#[test]
fn machine_without_a_script_is_hung_up_on_too() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![(3, found(Heard::Machine, true, 2_900)), (3, status(200))],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, callee_detected machine 90% after 2900 ms, HangUp, \
         finish machine 3s Some(200) "
    );
}

#[test]
fn script_that_waits_for_a_person_starts_with_the_person() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![(2, found(Heard::Human, false, 1_500)), (5, Input::ScriptEnded), (5, status(200))],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, callee_detected human 90% after 1500 ms, RunScript, HangUp, \
         finish human 5s Some(200) "
    );
}

#[test]
fn person_who_waits_in_silence_hears_the_script_before_the_verdict() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![(2, Input::Quiet), (4, found(Heard::Human, false, 3_500))],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, RunScript, callee_detected human 90% after 3500 ms, \
         TellCallee(Human)"
    );
}

#[test]
fn script_starts_without_a_verdict_when_the_time_is_over() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![(9, Input::ScriptEnded), (9, status(200))],
    );
    assert_eq!(told, "Dial, Listen, answered, RunScript, HangUp, finish answered 9s Some(200) ");
}

#[test]
fn script_that_runs_is_told_when_nobody_can_tell() {
    let told = heard(DetectionRules::TELL, vec![(6, Input::Quiet)]);
    assert_eq!(told, "Dial, Listen, answered, RunScript, TellCallee(Unknown)");
}

#[test]
fn script_waits_for_the_end_of_a_greeting() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::Wait),
        vec![
            (3, found(Heard::Machine, true, 2_900)),
            (7, Input::Quiet),
            (8, Input::GreetingEnded { by_beep: true }),
            (12, Input::ScriptEnded),
            (12, status(200)),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, callee_detected machine 90% after 2900 ms, RunScript, HangUp, \
         finish machine 12s Some(200) "
    );
}

#[test]
fn message_is_left_after_the_greeting_and_noted() {
    let told = heard(
        rules(ScriptStart::WhenKnown, message()),
        vec![
            (3, found(Heard::Machine, true, 2_900)),
            (8, Input::GreetingEnded { by_beep: true }),
            (12, Input::MessageLeft),
            (12, Input::ScriptEnded),
            (12, status(200)),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, callee_detected machine 90% after 2900 ms, \
         RunMessage(Say(\"call us\")), message_left, HangUp, \
         finish machine 12s Some(200)  message left"
    );
}

#[test]
fn message_begins_again_when_the_beep_comes_after_all() {
    let told = heard(
        rules(ScriptStart::WhenKnown, message()),
        vec![
            (3, found(Heard::Machine, true, 2_900)),
            (8, Input::GreetingEnded { by_beep: false }),
            (9, Input::GreetingEnded { by_beep: true }),
            (11, status(200)),
            (11, Input::ScriptEnded),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, callee_detected machine 90% after 2900 ms, \
         RunMessage(Say(\"call us\")), RunMessage(Say(\"call us\")), EndScript, \
         finish machine 11s Some(200) "
    );
}

#[test]
fn message_takes_the_place_of_a_script_that_runs() {
    let told = heard(
        rules(ScriptStart::AtOnce, message()),
        vec![
            (3, found(Heard::Machine, true, 2_900)),
            (4, Input::ScriptEnded),
            (8, Input::GreetingEnded { by_beep: true }),
            (12, Input::MessageLeft),
            (12, Input::ScriptEnded),
            (12, status(200)),
        ],
    );
    assert_eq!(
        told,
        "Dial, Listen, answered, RunScript, callee_detected machine 90% after 2900 ms, EndScript, \
         RunMessage(Say(\"call us\")), message_left, HangUp, \
         finish machine 12s Some(200)  message left"
    );
}

#[test]
fn greeting_that_never_ends_is_spoken_into() {
    let told = heard(
        rules(ScriptStart::WhenKnown, message()),
        vec![(3, found(Heard::Machine, true, 2_900)), (90, Input::Quiet)],
    );
    assert!(told.ends_with("RunMessage(Say(\"call us\"))"), "{told}");
}

#[test]
fn machine_that_hangs_up_during_its_greeting_was_left_no_message() {
    let told = heard(
        rules(ScriptStart::WhenKnown, message()),
        vec![(3, found(Heard::Machine, true, 2_900)), (6, status(200))],
    );
    assert!(told.ends_with("finish machine 6s Some(200) "), "{told}");
}

#[test]
fn fax_machine_is_hung_up_on_where_the_rules_say_so() {
    for (on_fax, expected) in [(OnFax::HangUp, "HangUp"), (OnFax::Continue, "RunScript")] {
        let rules = DetectionRules { on_fax, ..rules(ScriptStart::WhenKnown, OnMachine::HangUp) };
        let told = heard(rules, vec![(1, found(Heard::Fax, true, 800))]);
        assert_eq!(
            told,
            format!("Dial, Listen, answered, callee_detected fax 90% after 800 ms, {expected}")
        );
    }
}

#[test]
fn tones_after_the_answer_end_the_call_as_if_it_had_not_been_answered() {
    for (heard_tone, outcome) in [
        (Heard::SitNumber, "intercepted"),
        (Heard::SitNetwork, "no_circuit"),
        (Heard::Busy, "busy"),
        (Heard::Reorder, "no_circuit"),
    ] {
        let told = heard(
            DetectionRules::TELL,
            vec![(1, found(heard_tone, true, 900)), (1, Input::ScriptEnded), (1, status(200))],
        );
        let end = format!("EndScript, HangUp, finish {outcome} 1s Some(200) ");
        assert!(told.ends_with(&end), "{told}");
    }
}

#[test]
fn tones_before_the_answer_give_the_call_up() {
    let told = tell(
        None,
        Some(DetectionRules::TELL),
        vec![(1, Input::Ringing), (2, found(Heard::SitNumber, true, 0)), (2, status(487))],
    );
    assert_eq!(
        told[2..],
        [
            "ringing",
            "callee_detected sit_number 90% after 0 ms",
            "HangUp",
            "finish intercepted 0s Some(487) the network said so by tones: \
             sit_number 90% after 0 ms",
        ]
    );
}

#[test]
fn ring_after_the_answer_starts_the_time_again() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![
            (4, found(Heard::Ringback, false, 3_900)),
            (7, found(Heard::Ringback, false, 3_900)),
            (11, found(Heard::Human, false, 10_500)),
        ],
    );
    assert_eq!(told, "Dial, Listen, answered, callee_detected human 90% after 10500 ms, RunScript");
}

#[test]
fn screener_is_spoken_to_for_a_person_may_still_answer() {
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![(3, found(Heard::CallScreener, true, 2_900)), (4, status(200))],
    );
    assert!(told.contains("RunScript"), "{told}");
}

#[test]
fn what_is_heard_while_keys_are_sent_counts_after_them() {
    let told = tell(
        Some("1"),
        Some(rules(ScriptStart::WhenKnown, OnMachine::HangUp)),
        vec![
            (0, Input::Answered),
            (1, found(Heard::Machine, true, 900)),
            (2, Input::KeysSent),
            (2, status(200)),
        ],
    );
    assert_eq!(
        told[2..],
        [
            "answered",
            "keys 1",
            "callee_detected machine 90% after 900 ms",
            "HangUp",
            "finish machine 2s Some(200) ",
        ]
    );
}

#[test]
fn canceled_call_that_is_still_classified_hangs_up() {
    let cancel = Input::Cancel { reason: "shutdown".into() };
    let told = heard(
        rules(ScriptStart::WhenKnown, OnMachine::HangUp),
        vec![(1, cancel), (1, status(200))],
    );
    assert_eq!(told, "Dial, Listen, answered, HangUp, finish answered 1s Some(200) ");
}

#[test]
fn callee_who_was_handed_over_stays_when_the_script_ends_and_leaves_with_the_second_leg() {
    let told = story(
        None,
        vec![
            (0, Input::Answered),
            (5, Input::HandedOver),
            (6, Input::ScriptHangUp),
            (6, Input::ScriptEnded),
            (90, Input::BridgeEnded),
            (90, status(200)),
        ],
    );
    assert_eq!(told[3..], ["HangUp", "finish answered 90s Some(200) "]);
}

#[test]
fn second_leg_ends_with_the_callee_and_with_the_call() {
    let handed_over = [(0, Input::Answered), (5, Input::HandedOver)];
    let ended = (6, Input::ScriptEnded);
    let gone = [handed_over.to_vec(), vec![ended.clone(), (9, status(200))]].concat();
    assert_eq!(story(None, gone)[3..], ["EndBridge", "finish answered 9s Some(200) "]);
    let early = [handed_over.to_vec(), vec![(5, status(200)), ended.clone()]].concat();
    assert_eq!(story(None, early)[3..], ["EndBridge", "finish answered 5s Some(200) "]);
    let cancel = Input::Cancel { reason: "shutdown".into() };
    let canceled = [handed_over.to_vec(), vec![ended.clone(), (9, cancel), (9, status(200))]];
    let canceled = story(None, canceled.concat());
    assert_eq!(canceled[3..], ["EndBridge", "HangUp", "finish answered 9s Some(200) "]);
    let long = [handed_over.to_vec(), vec![ended, (3_601, status(200))]].concat();
    assert_eq!(story(None, long)[3..], ["EndBridge", "HangUp", "finish answered 3601s Some(200) "]);
}

#[test]
fn second_leg_that_ends_before_the_script_lets_it_come_to_its_end() {
    let told = story(
        None,
        vec![
            (0, Input::Answered),
            (5, Input::HandedOver),
            (6, Input::BridgeEnded),
            (7, status(200)),
            (8, Input::ScriptEnded),
        ],
    );
    assert_eq!(told[3..], ["HangUp", "finish answered 7s Some(200) "]);
}

fn refused(sip_status: u16) -> Input {
    Input::TrunkFailed(Cause { sip_status: Some(sip_status), ..Cause::default() })
}

#[test]
fn call_that_a_trunk_refused_goes_over_another_one() {
    let told = story(
        None,
        vec![
            (1, refused(503)),
            (2, Input::Rerouted),
            (3, Input::Ringing),
            (5, Input::Answered),
            (20, Input::ScriptEnded),
            (20, status(200)),
        ],
    );
    assert_eq!(told[1..3], [elsewhere(503), "Dial".to_owned()]);
    assert_eq!(told.last().unwrap(), "finish answered 15s Some(200) ");
}

#[test]
fn call_without_another_trunk_ends_with_the_words_of_the_last_one() {
    let told = story(None, vec![(1, refused(503)), (2, Input::Rerouted), (3, refused(401))]);
    assert_eq!(told[3..], [elsewhere(401)]);
    let told = story(None, vec![(1, refused(503)), (1, status(503))]);
    assert_eq!(told[2..], ["finish line_failure 0s Some(503) "]);
}

#[test]
fn call_that_is_canceled_between_two_trunks_rings_nobody() {
    let cancel = Input::Cancel { reason: "changed my mind".into() };
    let told = story(None, vec![(1, refused(503)), (2, cancel), (3, Input::Rerouted)]);
    assert_eq!(told[2..], ["finish canceled 0s Some(503) changed my mind"]);
}

#[test]
fn call_that_waits_too_long_for_a_trunk_is_a_line_failure() {
    let told = story(None, vec![(1, refused(503)), (50, Input::Rerouted)]);
    assert_eq!(told[2..], ["finish line_failure 0s Some(503) "]);
}

#[test]
fn time_to_ring_is_one_for_all_trunks() {
    let told = story(None, vec![(40, refused(503)), (41, Input::Rerouted), (46, status(487))]);
    assert_eq!(told[3..], ["HangUp", "finish no_answer 0s Some(487) nobody answered in time"]);
}

#[test]
fn call_that_rang_is_not_taken_elsewhere() {
    let told = story(None, vec![(1, Input::Ringing), (2, refused(503))]);
    assert_eq!(told[2..], ["finish line_failure 0s Some(503) "]);
}

#[test]
fn call_that_is_being_canceled_is_not_taken_elsewhere() {
    let cancel = Input::Cancel { reason: "changed my mind".into() };
    let told = story(None, vec![(1, cancel), (2, refused(503))]);
    assert_eq!(told, ["Dial", "HangUp", "finish canceled 0s Some(503) changed my mind"]);
}

fn elsewhere(sip_status: u16) -> String {
    format!("elsewhere {sip_status}")
}
