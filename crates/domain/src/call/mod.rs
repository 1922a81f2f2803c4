//! MACHINE: one attempt from INVITE to end; `handle`, `poll`, `deadline`.

mod effect;
mod input;
mod listening;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use effect::Effect;
pub use input::Input;

use crate::attempt::AttemptEnd;
use crate::cause::Cause;
use crate::detection::{Detected, DetectionRules};
use crate::event::EventKind;
use crate::outcome::{CalleeType, Outcome};
use crate::time::Timestamp;

/// What a call is bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Longest time from INVITE to answer. Plum and Fuse: 45 s.
    pub ring_time_max: Duration,
    /// Longest time from answer to hang-up.
    pub call_time_max: Duration,
}

/// Longest time a script may run on after the call is gone (VoiceXML 2.0 §1.5.4).
const FINAL_PROCESSING_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a leg to confirm its end: SIP gives up after 64*T1 = 32 s by itself.
const LEG_END_MAX: Duration = Duration::from_secs(40);

/// Why a call wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The answered call has lasted as long as it may.
    CallTime,
    /// It should be known by now who answered.
    Classify,
    /// The script has had its time after the call.
    FinalProcessing,
    /// A machine's greeting has lasted longer than any.
    Greeting,
    /// The leg did not confirm its end.
    LegEnd,
    /// Nobody answered in time.
    Ring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// INVITE is out, nothing rings yet.
    Dialing,
    /// A trunk refused; no leg is there until another one is found.
    Rerouting,
    Ringing,
    /// Answered; keys are being sent before the script starts.
    SendingKeys,
    /// Answered; the script waits until it is known by whom.
    Classifying,
    /// The script runs.
    Talking,
    /// A machine answered, and its greeting goes on; the script waits, or comes to its end.
    AwaitingGreeting,
    /// The message for the machine plays.
    LeavingMessage,
    /// The callee talks with a second leg; the script comes to its end beside them.
    HandedOver,
    /// The callee talks with a second leg; no script runs.
    Bridged,
    /// We hung up and wait for the leg to end; no script runs.
    HangingUp,
    /// We hung up on the script's behalf or our own; leg and script are both still to end.
    Closing,
    /// The leg is gone; the script comes to its end.
    FinalProcessing,
    Done,
}

/// One attempt: a leg, the script that it runs, and the leg that it may be handed over to.
#[derive(Debug)]
pub struct Call {
    limits: CallLimits,
    post_dial: Option<String>,
    /// How it is found out who answers; `None`: not at all.
    rules: Option<DetectionRules>,
    phase: Phase,
    deadline: Option<(Timestamp, Timer)>,
    /// A nearer one of classifying and greetings, beside that of the call.
    listen_deadline: Option<(Timestamp, Timer)>,
    effects: VecDeque<Effect>,
    detected: Option<Detected>,
    /// What the script was last told.
    told: Option<CalleeType>,
    /// Whether it should be known by now who answered.
    is_overdue: bool,
    /// Whether a script runs, or comes to its end.
    has_script: bool,
    message_left: bool,
    ringing_at: Option<Timestamp>,
    answered_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// Why we ended it before the answer; the network's own word for that is only 487.
    gave_up: Option<(Outcome, Cause)>,
    cause: Cause,
}

impl Call {
    /// A call that begins now; `post_dial` are the keys to send after the answer.
    /// Without `rules` nobody listens for who answers.
    pub fn new(
        now: Timestamp,
        limits: CallLimits,
        post_dial: Option<String>,
        rules: Option<DetectionRules>,
    ) -> Self {
        let listen = rules.is_some().then_some(Effect::Listen);
        Self {
            limits,
            post_dial,
            rules,
            phase: Phase::Dialing,
            deadline: Some((now + limits.ring_time_max, Timer::Ring)),
            listen_deadline: None,
            effects: [Effect::Dial].into_iter().chain(listen).collect(),
            detected: None,
            told: None,
            is_overdue: false,
            has_script: false,
            message_left: false,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            gave_up: None,
            cause: Cause::default(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        match self.phase {
            Phase::Dialing | Phase::Rerouting | Phase::Ringing => self.handle_dialing(now, input),
            Phase::SendingKeys
            | Phase::Classifying
            | Phase::Talking
            | Phase::AwaitingGreeting
            | Phase::LeavingMessage => self.handle_answered(now, input),
            Phase::HandedOver | Phase::Bridged => self.handle_bridged(now, input),
            Phase::Closing | Phase::HangingUp | Phase::FinalProcessing | Phase::Done => {
                self.handle_ending(now, input);
            }
        }
    }

    fn handle_dialing(&mut self, now: Timestamp, input: Input) {
        match (self.phase, input) {
            (Phase::Dialing, Input::Ringing) => self.ring(now),
            (Phase::Dialing, Input::TrunkFailed(cause)) => self.reroute(cause),
            (Phase::Rerouting, Input::Rerouted) => {
                self.phase = Phase::Dialing;
                self.effects.push_back(Effect::Dial);
            }
            (Phase::Rerouting, Input::Cancel { reason }) => {
                self.gave_up = Some((Outcome::Canceled, Cause::local(reason)));
                self.end_unsent(now);
            }
            // Nobody's phone rang in all that time: it is not that nobody answered.
            (Phase::Rerouting, Input::Expired(Timer::Ring)) => self.end_unsent(now),
            (Phase::Dialing | Phase::Ringing, Input::Answered) => self.answer(now),
            (Phase::Dialing | Phase::Ringing, Input::Expired(Timer::Ring)) => {
                self.give_up(now, Outcome::NoAnswer, "nobody answered in time".into());
            }
            (Phase::Dialing | Phase::Ringing, Input::Cancel { reason }) => {
                self.give_up(now, Outcome::Canceled, reason);
            }
            (Phase::Dialing | Phase::Ringing, Input::Detected(found)) => {
                self.hear_early(now, found);
            }
            (_, Input::LegEnded(cause) | Input::TrunkFailed(cause)) => self.lose_all(now, cause),
            (phase, input) => ignore(phase, &input),
        }
    }

    fn handle_answered(&mut self, now: Timestamp, input: Input) {
        match (self.phase, input) {
            (Phase::SendingKeys, Input::KeysSent) => self.begin(now),
            (Phase::SendingKeys, Input::Detected(found)) => self.detected = Some(found),
            (Phase::Classifying | Phase::Talking, Input::Detected(found)) => self.hear(now, found),
            (Phase::Classifying, Input::Quiet) => self.run_script(),
            (Phase::Classifying | Phase::Talking, Input::Expired(Timer::Classify)) => self.settle(),
            (
                Phase::AwaitingGreeting,
                Input::GreetingEnded { .. } | Input::Expired(Timer::Greeting),
            ) => self.speak_to_machine(),
            (Phase::AwaitingGreeting, Input::ScriptEnded) => self.has_script = false,
            // It was silence that ended the greeting before, and nothing of the message was taken.
            (Phase::LeavingMessage, Input::GreetingEnded { by_beep: true }) => {
                self.speak_to_machine();
            }
            (Phase::LeavingMessage, Input::MessageLeft) => self.note_message(),
            (Phase::Talking | Phase::LeavingMessage, Input::ScriptEnded) => {
                self.hang_up(now, Phase::HangingUp);
            }
            (Phase::Talking | Phase::LeavingMessage, Input::ScriptHangUp) => {
                self.hang_up(now, Phase::Closing);
            }
            (Phase::Talking, Input::HandedOver) => {
                // Who answered is nobody's question any more.
                self.listen_deadline = None;
                self.phase = Phase::HandedOver;
            }
            (_, Input::Cancel { .. } | Input::Expired(Timer::CallTime)) => self.leave(now),
            (
                Phase::Talking | Phase::AwaitingGreeting | Phase::LeavingMessage,
                Input::LegEnded(cause),
            ) => self.be_left(now, cause),
            (_, Input::LegEnded(cause)) => self.lose_all(now, cause),
            (phase, input) => ignore(phase, &input),
        }
    }

    /// The callee talks with somebody else, through us.
    fn handle_bridged(&mut self, now: Timestamp, input: Input) {
        match (self.phase, input) {
            (Phase::HandedOver, Input::ScriptEnded) => self.phase = Phase::Bridged,
            (Phase::HandedOver, Input::BridgeEnded) => self.hang_up(now, Phase::Closing),
            (Phase::HandedOver, Input::Cancel { .. } | Input::Expired(Timer::CallTime)) => {
                self.effects.push_back(Effect::EndBridge);
                self.hang_up(now, Phase::Closing);
            }
            (Phase::HandedOver, Input::LegEnded(cause)) => {
                self.effects.push_back(Effect::EndBridge);
                self.lose_leg(now, cause);
            }
            (Phase::Bridged, Input::BridgeEnded) => self.hang_up(now, Phase::HangingUp),
            (Phase::Bridged, Input::Cancel { .. } | Input::Expired(Timer::CallTime)) => {
                self.effects.push_back(Effect::EndBridge);
                self.hang_up(now, Phase::HangingUp);
            }
            (Phase::Bridged, Input::LegEnded(cause)) => {
                self.effects.push_back(Effect::EndBridge);
                self.lose_all(now, cause);
            }
            (phase, input) => ignore(phase, &input),
        }
    }

    fn handle_ending(&mut self, now: Timestamp, input: Input) {
        let silent = || Cause::local("far end did not confirm the hang-up");
        match (self.phase, input) {
            (Phase::Closing, Input::LegEnded(cause)) => self.lose_leg(now, cause),
            (Phase::Closing, Input::ScriptEnded) => self.phase = Phase::HangingUp,
            (Phase::Closing, Input::Expired(Timer::LegEnd)) => self.lose_leg(now, silent()),
            (Phase::HangingUp, Input::Expired(Timer::LegEnd)) => self.lose_all(now, silent()),
            // It was on its way when we hung up, so no other trunk is asked.
            (Phase::HangingUp, Input::LegEnded(cause) | Input::TrunkFailed(cause)) => {
                self.lose_all(now, cause);
            }
            (
                Phase::FinalProcessing,
                Input::ScriptEnded | Input::Expired(Timer::FinalProcessing),
            ) => self.finish(),
            (phase, input) => ignore(phase, &input),
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to wake it, and for what.
    pub fn deadline(&self) -> Option<(Timestamp, Timer)> {
        self.listen_deadline.into_iter().chain(self.deadline).min_by_key(|(at, _)| *at)
    }

    fn reroute(&mut self, cause: Cause) {
        self.phase = Phase::Rerouting;
        self.cause = cause.clone();
        self.effects.push_back(Effect::DialElsewhere(cause));
    }

    /// Ends it while no leg is there, for the cause that the last trunk gave.
    fn end_unsent(&mut self, now: Timestamp) {
        self.ended_at = Some(now);
        self.finish();
    }

    fn ring(&mut self, now: Timestamp) {
        self.phase = Phase::Ringing;
        self.ringing_at = Some(now);
        self.note(EventKind::Ringing);
    }

    fn answer(&mut self, now: Timestamp) {
        self.answered_at = Some(now);
        self.deadline = Some((now + self.limits.call_time_max, Timer::CallTime));
        self.note(EventKind::Answered);
        match self.post_dial.take() {
            Some(keys) => {
                self.phase = Phase::SendingKeys;
                self.effects.push_back(Effect::SendKeys(keys));
            }
            None => self.begin(now),
        }
    }

    fn run_script(&mut self) {
        self.phase = Phase::Talking;
        self.has_script = true;
        self.told = self.callee_type();
        self.effects.push_back(Effect::RunScript);
    }

    fn note(&mut self, kind: EventKind) {
        self.effects.push_back(Effect::Note(kind, String::new()));
    }

    /// Ends an answered call of our own accord.
    fn leave(&mut self, now: Timestamp) {
        if self.has_script {
            self.effects.push_back(Effect::EndScript);
            self.hang_up(now, Phase::Closing);
        } else {
            self.hang_up(now, Phase::HangingUp);
        }
    }

    /// The callee has ended an answered call.
    fn be_left(&mut self, now: Timestamp, cause: Cause) {
        if self.has_script {
            self.effects.push_back(Effect::EndScript);
            self.lose_leg(now, cause);
        } else {
            self.lose_all(now, cause);
        }
    }

    fn give_up(&mut self, now: Timestamp, outcome: Outcome, reason: String) {
        self.gave_up = Some((outcome, Cause::local(reason)));
        self.hang_up(now, Phase::HangingUp);
    }

    fn hang_up(&mut self, now: Timestamp, phase: Phase) {
        self.phase = phase;
        self.listen_deadline = None;
        self.deadline = Some((now + LEG_END_MAX, Timer::LegEnd));
        self.effects.push_back(Effect::HangUp);
    }

    fn lose_leg(&mut self, now: Timestamp, cause: Cause) {
        self.end_leg(now, cause);
        self.phase = Phase::FinalProcessing;
        self.deadline = Some((now + FINAL_PROCESSING_MAX, Timer::FinalProcessing));
    }

    /// The leg is gone, and no script is left to come to its end.
    fn lose_all(&mut self, now: Timestamp, cause: Cause) {
        self.end_leg(now, cause);
        self.finish();
    }

    fn end_leg(&mut self, now: Timestamp, cause: Cause) {
        self.ended_at = Some(now);
        self.listen_deadline = None;
        self.cause = cause;
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        self.deadline = None;
        let ended_at = self.ended_at.expect("a call finishes after its leg has ended");
        let (outcome, cause) = match (self.answered_at, self.gave_up.take()) {
            (Some(_), _) => (self.answered_outcome(), std::mem::take(&mut self.cause)),
            (None, Some((outcome, mut cause))) => {
                cause.sip_status = self.cause.sip_status;
                cause.q850 = self.cause.q850;
                (outcome, cause)
            }
            (None, None) => (self.cause.outcome(), std::mem::take(&mut self.cause)),
        };
        self.effects.push_back(Effect::Finish(AttemptEnd {
            outcome,
            cause,
            ringing_at: self.ringing_at,
            answered_at: self.answered_at,
            ended_at,
            detected: self.detected.as_ref().map(Detected::to_string).unwrap_or_default(),
            message_left: self.message_left,
        }));
    }
}

/// Late or repeated: leg, script and timers race, and the first one wins. A 200 that crossed our
/// CANCEL is among it; ACK and BYE take the leg down.
fn ignore(phase: Phase, input: &Input) {
    tracing::trace!(?phase, ?input, "ignored");
}
