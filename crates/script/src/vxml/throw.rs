//! Throws events: counts them, finds their handler and starts it (VoiceXML 2.0 §5.2).

use super::document::Catch;
use super::event::{Candidate, Counters, Event, HANG_UP, best, default_handler, fitting};
use super::fault::{BAD_FETCH, Fault};
use super::fia::{HangUp, Phase, Task, Vxml};
use super::place::Place;
use super::run::{Purpose, Running};
use super::scope::Level;
use super::value::Value;
use crate::step::PlayError;

impl Vxml {
    /// Something went wrong: throws its event, or ends the call where a limit says so.
    pub(super) fn raise(&mut self, mut fault: Fault) {
        if let Some(visit) = &self.visit {
            fault = fault.at(visit.place());
        }
        if fault.is_limit() {
            self.limit_reached(&fault);
            return;
        }
        let event = Event { message: Some(fault.text()), name: fault.event };
        self.throw(event, None);
    }

    /// Throws an event of the platform, which has no message.
    pub(super) fn throw_own(&mut self, name: &str) {
        self.throw(Event { name: name.to_owned(), message: None }, None);
    }

    /// Throws an event where the session stands; `place` is where it was thrown, if a statement
    /// did it.
    pub(super) fn throw(&mut self, event: Event, place: Option<&Place>) {
        tracing::debug!(event = event.name, "thrown");
        if event.name == "error" || event.name.starts_with("error.") {
            let message = event.message.clone();
            let message = match place {
                Some(place) => format!("{place}: {}", message.as_deref().unwrap_or("thrown here")),
                None => message.unwrap_or_default(),
            };
            self.problem(&event.name, message);
        }
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        self.phase = Phase::Busy;
        self.running = None;
        self.activation = None;
        self.task = Task::Select;
        let handled = self.usage.event(&self.limits).and_then(|()| self.handle_event(&event));
        if let Err(fault) = handled {
            // A condition or variable of a handler failed: that is the next event. Their number
            // is limited, and with it this recursion.
            self.raise(fault);
        }
    }

    fn handle_event(&mut self, event: &Event) -> Result<(), Fault> {
        let counters = self.count(&event.name);
        self.scopes.open(Level::Anonymous)?;
        let name = Value::text(event.name.clone());
        self.scopes.set(Level::Anonymous, "_event", name)?;
        let message = event.message.clone().map_or(Value::Undefined, Value::text);
        self.scopes.set(Level::Anonymous, "_message", message)?;
        let mut candidates = Vec::new();
        for candidate in self.candidates(event, &counters) {
            let held = self.scopes.holds(candidate.cond.as_ref());
            if held.map_err(|fault| fault.at(&candidate.place))? {
                candidates.push(candidate);
            }
        }
        if let Some(chosen) = best(candidates) {
            let purpose = Purpose::Catch { reprompt: false };
            self.running = Some(Running::new(&chosen.content, purpose));
        }
        Ok(())
    }

    /// Counts the event where it came: for the item at hand, else the dialog, else the page.
    fn count(&mut self, event: &str) -> Counters {
        let counters = match &mut self.visit {
            Some(visit) => visit.counters(),
            None => &mut self.pages.events,
        };
        counters.count(event);
        counters.clone()
    }

    /// All handlers that fit, from the closest scope to the platform's own.
    fn candidates(&self, event: &Event, counters: &Counters) -> Vec<Candidate> {
        let visit = self.visit.as_ref();
        let item = visit.and_then(|visit| visit.item_at_hand()?.input());
        let page = self.pages.document.as_ref();
        let root = self.pages.root.as_ref();
        let levels: [Option<&[Catch]>; 4] = [
            item.map(|input| input.catches.as_slice()),
            visit.map(|visit| visit.dialog.catches.as_slice()),
            page.map(|page| page.catches.as_slice()),
            root.map(|root| root.catches.as_slice()),
        ];
        let fit = levels.into_iter().flatten();
        let mut fit: Vec<Candidate> =
            fit.flat_map(|catches| fitting(catches, &event.name, counters)).collect();
        fit.push(default_handler(&event.name, self.pages.language()));
        fit
    }

    /// The callee hung up while the script was listening.
    pub(super) fn hung_up(&mut self) {
        self.phase = Phase::Busy;
        self.hear_hang_up();
    }

    /// Tells the document that the callee is gone; it runs on without one.
    pub(super) fn hear_hang_up(&mut self) {
        self.hang_up = HangUp::Heard;
        self.prompts.take();
        self.throw_own(HANG_UP);
    }

    /// What a failed playing means to the document.
    pub(super) fn play_fault(error: &PlayError) -> Fault {
        let event = match error {
            PlayError::BadFetch(_) => BAD_FETCH,
            PlayError::Language(_) => "error.unsupported.language",
            PlayError::NoResource(_) => "error.noresource",
        };
        Fault::new(event, error.to_string())
    }
}
