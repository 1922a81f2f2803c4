//! Arrows of the call machine, as stories.

use super::*;

const LIMITS: CallLimits = CallLimits {
    ring_time_max: Duration::from_secs(45),
    call_time_max: Duration::from_secs(3_600),
};

fn status(sip_status: u16) -> Input {
    Input::LegEnded(Cause { sip_status: Some(sip_status), ..Cause::default() })
}

/// Feeds `inputs` (seconds, input) and tells every effect; deadlines in between fire by themselves.
fn story(post_dial: Option<&str>, inputs: Vec<(i64, Input)>) -> Vec<String> {
    let mut call = Call::new(Timestamp::from_seconds(0), LIMITS, post_dial.map(Into::into));
    let mut told = Vec::new();
    let mut drain = |call: &mut Call| {
        while let Some(effect) = call.poll() {
            told.push(match effect {
                Effect::Finish(end) => format!(
                    "finish {} {}s {:?} {}",
                    end.outcome.name(),
                    end.duration_s(),
                    end.cause.sip_status,
                    end.cause.text
                ),
                Effect::Note(kind) => kind.name().into(),
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
