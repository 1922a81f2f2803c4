//! What a call makes of who answered: when its script starts, and what a machine is met with.

use std::time::Duration;

use super::{Call, Effect, Phase, Timer};
use crate::detection::{AnswerClock, Detected, Heard, OnFax, OnMachine, ScriptStart};
use crate::event::EventKind;
use crate::outcome::{CalleeType, Outcome};
use crate::time::Timestamp;

/// How much longer than agreed is waited for a verdict, so that one on time is not overtaken.
const CLASSIFY_LATE_MAX: Duration = Duration::from_millis(200);
/// Longest greeting; the classifier itself gives up after 60 s, and this is for one that is silent.
const GREETING_TIME_MAX: Duration = Duration::from_secs(75);

impl Call {
    /// Who answered, as far as the script may know: `None` while it is not known yet.
    ///
    /// A person is believed at once, though that may still be taken back; a machine only when it
    /// is beyond doubt, for nobody hangs up on a person.
    pub fn callee_type(&self) -> Option<CalleeType> {
        let Some(found) = self.detected.as_ref().filter(|_| self.rules.is_some()) else {
            let is_known = self.rules.is_none() || self.is_overdue;
            return is_known.then_some(CalleeType::Unknown);
        };
        let callee_type = found.heard.callee_type();
        let is_known = found.is_firm || self.is_overdue || found.heard == Heard::Human;
        is_known.then_some(callee_type)
    }

    /// Whether a machine's greeting is to be heard to its end.
    pub fn awaits_greeting(&self) -> bool {
        let on_machine = self.rules.as_ref().map(|rules| &rules.on_machine);
        matches!(on_machine, Some(OnMachine::LeaveMessage(_) | OnMachine::Wait))
    }

    /// Sound before the answer: only tones of the network mean that nobody will.
    pub(super) fn hear_early(&mut self, now: Timestamp, found: Detected) {
        let failure = found.heard.failure();
        if let Some(outcome) = failure {
            self.note_detected(&found);
            self.give_up(now, outcome, format!("the network said so by tones: {found}"));
        }
        self.detected = Some(found);
    }

    /// The call is answered, and keys are sent: the script starts, or waits for a verdict.
    pub(super) fn begin(&mut self, now: Timestamp) {
        let Some(rules) = &self.rules else {
            return self.run_script();
        };
        self.listen_deadline =
            Some((now + rules.decide_within + CLASSIFY_LATE_MAX, Timer::Classify));
        match rules.start {
            ScriptStart::AtOnce => self.run_script(),
            ScriptStart::WhenKnown => self.phase = Phase::Classifying,
        }
        if let Some(found) = self.detected.clone() {
            if found.is_firm {
                self.note_detected(&found);
            }
            self.consider(now);
        }
    }

    /// More is known.
    pub(super) fn hear(&mut self, now: Timestamp, found: Detected) {
        let is_news = self.detected.as_ref().is_none_or(|known| {
            let is_firmer = found.is_firm && !known.is_firm;
            known.heard != found.heard || (is_firmer && known.heard != Heard::Human)
        });
        if is_news && (found.is_firm || found.heard == Heard::Human) {
            self.note_detected(&found);
        }
        self.detected = Some(found);
        self.consider(now);
        self.tell();
    }

    /// It should be known by now.
    pub(super) fn settle(&mut self) {
        self.listen_deadline = None;
        self.is_overdue = true;
        if self.phase == Phase::Classifying {
            self.run_script();
        }
        self.tell();
    }

    /// The greeting is over, or it began too early and its beep came after all.
    pub(super) fn speak_to_machine(&mut self) {
        self.listen_deadline = None;
        match self.rules.as_ref().map(|rules| &rules.on_machine) {
            Some(OnMachine::LeaveMessage(message)) => {
                let message = message.clone();
                self.phase = Phase::LeavingMessage;
                self.has_script = true;
                self.effects.push_back(Effect::RunMessage(message));
            }
            Some(OnMachine::Continue | OnMachine::HangUp | OnMachine::Wait) | None => {
                self.run_script();
            }
        }
    }

    pub(super) fn note_message(&mut self) {
        self.message_left = true;
        self.note(EventKind::MessageLeft);
    }

    /// How an answered call ended.
    pub(super) fn answered_outcome(&self) -> Outcome {
        let heard = self.detected.as_ref().map(|found| found.heard);
        let answered = heard.map_or(CalleeType::Unknown, Heard::callee_type);
        heard.and_then(Heard::failure).unwrap_or(Outcome::Answered(answered))
    }

    /// Does what the rules say of what is known.
    fn consider(&mut self, now: Timestamp) {
        let (Some(rules), Some(found)) = (&self.rules, &self.detected) else {
            return;
        };
        if found.heard.failure().is_some() {
            return self.leave(now);
        }
        let waits = self.phase == Phase::Classifying;
        match (found.heard.callee_type(), found.is_firm) {
            _ if found.heard == Heard::Ringback && rules.clock == AnswerClock::Answer => {
                // Nobody has answered yet: the time begins again with each ring.
                self.is_overdue = false;
                self.listen_deadline =
                    Some((now + rules.decide_within + CLASSIFY_LATE_MAX, Timer::Classify));
            }
            (CalleeType::Fax, true) if rules.on_fax == OnFax::HangUp => self.leave(now),
            (CalleeType::Machine, true) => self.meet_machine(now),
            (CalleeType::Human, _)
            | (CalleeType::CallScreener | CalleeType::Fax | CalleeType::Unknown, true)
                if waits =>
            {
                self.run_script();
            }
            _ => {}
        }
    }

    fn meet_machine(&mut self, now: Timestamp) {
        let Some(rules) = &self.rules else { return };
        let waits = self.phase == Phase::Classifying;
        match rules.on_machine {
            OnMachine::Continue if waits => self.run_script(),
            OnMachine::HangUp => self.leave(now),
            OnMachine::LeaveMessage(_) => {
                // For the script the call is over here; what it does at its end it may still do.
                if self.has_script {
                    self.effects.push_back(Effect::EndScript);
                }
                self.await_greeting(now);
            }
            OnMachine::Wait if waits => self.await_greeting(now),
            OnMachine::Continue | OnMachine::Wait => {}
        }
    }

    fn await_greeting(&mut self, now: Timestamp) {
        self.phase = Phase::AwaitingGreeting;
        self.listen_deadline = Some((now + GREETING_TIME_MAX, Timer::Greeting));
    }

    /// Tells a running script what has become known.
    fn tell(&mut self) {
        let known = self.callee_type();
        if self.phase == Phase::Talking
            && known != self.told
            && let Some(callee_type) = known
        {
            self.told = known;
            self.effects.push_back(Effect::TellCallee(callee_type));
        }
    }

    fn note_detected(&mut self, found: &Detected) {
        self.effects.push_back(Effect::Note(EventKind::CalleeDetected, found.to_string()));
    }
}
