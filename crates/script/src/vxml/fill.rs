//! Fills items with what was understood, and runs what waits for that (VoiceXML 2.0 §2.4, §3.1.6).

use std::collections::VecDeque;
use std::sync::Arc;

use super::document::{Dialog, Filled, FilledMode, Item, ItemKind};
use super::fault::Fault;
use super::fia::{Task, Vxml};
use super::run::{Purpose, Running};
use super::scope::Level;
use super::value::Value;

impl Vxml {
    /// Fills the field at hand: with the property that has its slot's name, or with the whole
    /// result (§3.1.6.2).
    pub(super) fn fill_field(&mut self, value: Value) -> Result<(), Fault> {
        let Some((at, dialog)) =
            self.visit.as_ref().and_then(|visit| Some((visit.item?, Arc::clone(&visit.dialog))))
        else {
            return Ok(());
        };
        let item = &dialog.items[at];
        let own = match &item.kind {
            ItemKind::Field(field) => value.path(&field.slot).cloned(),
            _ => None,
        };
        self.fill(item, own.unwrap_or(value))?;
        self.initials_are_answered(&dialog)?;
        self.begin_filled(vec![at]);
        Ok(())
    }

    /// Once the callee has filled a field, what was asked for at once is answered; the rest is
    /// asked for one by one (§2.3.3, App. C).
    fn initials_are_answered(&mut self, dialog: &Dialog) -> Result<(), Fault> {
        for item in &dialog.items {
            if matches!(item.kind, ItemKind::Initial(_)) {
                self.scopes.set(Level::Dialog, &item.name, Value::Bool(true))?;
            }
        }
        Ok(())
    }

    /// Fills every field whose slot the result has (§3.1.6.1).
    pub(super) fn fill_form(&mut self, value: &Value) -> Result<(), Fault> {
        let Some(dialog) = self.visit.as_ref().map(|visit| Arc::clone(&visit.dialog)) else {
            return Ok(());
        };
        let mut just = Vec::new();
        for (at, item) in dialog.items.iter().enumerate() {
            let ItemKind::Field(field) = &item.kind else {
                continue;
            };
            let slot = if field.slot.is_empty() { &item.name } else { &field.slot };
            if let Some(own) = value.path(slot) {
                self.fill(item, own.clone())?;
                just.push(at);
            }
        }
        if !just.is_empty() {
            self.initials_are_answered(&dialog)?;
        }
        self.begin_filled(just);
        Ok(())
    }

    /// Sets an item's variable and its shadow, which says how it came (§2.3.1).
    fn fill(&mut self, item: &Item, value: Value) -> Result<(), Fault> {
        let shadow = self.pages.last_result.clone();
        self.scopes.set(Level::Dialog, &format!("{}$", item.name), shadow)?;
        self.scopes.set(Level::Dialog, &item.name, value)
    }

    /// These items have just been filled: what is to be done about it.
    pub(super) fn begin_filled(&mut self, just: Vec<usize>) {
        let filled = self.visit.as_ref().map_or(0, |visit| visit.dialog.filled.len());
        self.task = Task::Filled((0..filled).collect(), just);
    }

    /// The next `<filled>` that is due, in the order of the document.
    pub(super) fn next_filled(
        &mut self,
        mut rest: VecDeque<usize>,
        just: &[usize],
    ) -> Result<(), Fault> {
        let Some(dialog) = self.visit.as_ref().map(|visit| Arc::clone(&visit.dialog)) else {
            return Ok(());
        };
        while let Some(at) = rest.pop_front() {
            let filled = &dialog.filled[at];
            self.usage.statement(&self.limits)?;
            if self.is_due(&dialog, filled, just)? {
                if let Some(visit) = &mut self.visit {
                    visit.item = filled.item;
                }
                self.scopes.open(Level::Anonymous)?;
                let purpose = Purpose::Filled(rest, just.to_vec());
                self.running = Some(Running::new(&filled.content, purpose));
                return Ok(());
            }
        }
        self.task = Task::Select;
        Ok(())
    }

    fn is_due(&self, dialog: &Dialog, filled: &Filled, just: &[usize]) -> Result<bool, Fault> {
        let awaited: Vec<usize> = match &filled.awaited {
            Some(awaited) => awaited.clone(),
            None => {
                let inputs = dialog.items.iter().enumerate();
                inputs.filter(|(_, item)| item.is_input()).map(|(at, _)| at).collect()
            }
        };
        if !awaited.iter().any(|item| just.contains(item)) {
            return Ok(false);
        }
        if filled.mode == FilledMode::Any {
            return Ok(true);
        }
        for item in awaited {
            if self.scopes.get(Level::Dialog, &dialog.items[item].name)?.is_undefined() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
