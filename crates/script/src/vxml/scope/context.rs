//! Contexts of subdialogs, values between them, loops and documents: what is more than a variable.

use super::super::document::Expr;
use super::super::fault::Fault;
use super::super::value::Value;
use super::{Frame, Level, OWN_LEVELS, Scopes, Store, check_name};

impl Scopes {
    /// Sets the scopes at hand aside for a subdialog, which sees none of them.
    pub(crate) fn push_frame(&mut self) -> Result<(), Fault> {
        self.frames.push((self.open, self.own_root));
        match &mut self.store {
            Store::Here(here) => {
                let take = |level: Level| std::mem::take(&mut here.variables[level as usize]);
                let variables = OWN_LEVELS.map(take);
                here.frames.push(Frame { variables, open: self.open, own_root: self.own_root });
            }
            Store::Engine(engine) => engine.push_frame()?,
        }
        OWN_LEVELS.into_iter().for_each(|level| self.open[level as usize] = false);
        self.own_root = false;
        Ok(())
    }

    /// Back to the scopes that were set aside last.
    pub(crate) fn pop_frame(&mut self) -> Result<(), Fault> {
        let Some((open, own_root)) = self.frames.pop() else {
            return Ok(());
        };
        (self.open, self.own_root) = (open, own_root);
        match &mut self.store {
            Store::Here(here) => {
                OWN_LEVELS.into_iter().for_each(|level| here.clear(level));
                if let Some(frame) = here.frames.pop() {
                    for (level, variables) in OWN_LEVELS.into_iter().zip(frame.variables) {
                        here.variables[level as usize] = variables;
                    }
                }
                Ok(())
            }
            Store::Engine(engine) => engine.pop_frame(),
        }
    }

    // Values on their way from one context to another.

    pub(crate) fn drop_held(&mut self) -> Result<(), Fault> {
        match &mut self.store {
            Store::Here(here) => {
                here.held.clear();
                Ok(())
            }
            Store::Engine(engine) => engine.drop_held(),
        }
    }

    /// Keeps the value of an expression under a name.
    pub(crate) fn hold(&mut self, name: &str, expr: &Expr) -> Result<(), Fault> {
        self.count()?;
        if let Some(value) = self.simple(&expr.text) {
            return self.hold_value(name, value);
        }
        let held = self.engine()?.hold(name, &expr.text);
        held.map_err(|fault| fault.at(&expr.place))
    }

    /// Keeps the value of a declared variable, under its own name.
    pub(crate) fn hold_variable(&mut self, name: &str) -> Result<(), Fault> {
        self.count()?;
        self.check_declared(name)?;
        let own = name.rsplit('.').next().unwrap_or(name);
        if let Some(value) = self.simple(name) {
            return self.hold_value(own, value);
        }
        self.engine()?.hold(own, name)
    }

    pub(crate) fn hold_value(&mut self, name: &str, value: Value) -> Result<(), Fault> {
        match &mut self.store {
            Store::Here(here) => {
                here.held.retain(|(own, _)| own != name);
                here.held.push((name.to_owned(), value));
                Ok(())
            }
            Store::Engine(engine) => engine.hold_value(name, &value),
        }
    }

    /// Makes the value under a name a variable; false where there is none.
    pub(crate) fn release(&mut self, level: Level, name: &str) -> Result<bool, Fault> {
        let actual = self.actual(level);
        match &mut self.store {
            Store::Here(here) => {
                let Some(at) = here.held.iter().position(|(own, _)| own == name) else {
                    return Ok(false);
                };
                let (_, value) = here.held.swap_remove(at);
                self.set(level, name, value).map(|()| true)
            }
            Store::Engine(engine) => engine.release(actual, name),
        }
    }

    /// Makes one object of all values on their way, and that a variable.
    pub(crate) fn release_all(&mut self, level: Level, variable: &str) -> Result<(), Fault> {
        let actual = self.actual(level);
        match &mut self.store {
            Store::Here(here) => {
                let held = std::mem::take(&mut here.held);
                self.set(level, variable, Value::Record(held))
            }
            Store::Engine(engine) => engine.release_all(actual, variable),
        }
    }

    // Loops and documents.

    /// Evaluates an array for a loop, which goes through a copy of it; its length.
    pub(crate) fn begin_loop(&mut self, depth: usize, array: &Expr) -> Result<usize, Fault> {
        self.count()?;
        let begun = self.engine()?.begin_loop(depth, &array.text);
        begun.map_err(|fault| fault.at(&array.place))
    }

    /// Makes an element of a loop's array a variable.
    pub(crate) fn turn_loop(
        &mut self,
        depth: usize,
        at: usize,
        level: Level,
        name: &str,
    ) -> Result<(), Fault> {
        check_name(name)?;
        self.count()?;
        let level = self.actual(level);
        self.engine()?.turn_loop(depth, at, level, name)
    }

    /// Makes a tree of XML a document that scripts can read, and that a variable.
    pub(crate) fn set_document(
        &mut self,
        level: Level,
        name: &str,
        tree: &Value,
    ) -> Result<(), Fault> {
        check_name(name)?;
        let level = self.actual(level);
        self.engine()?.set_document(level, name, tree)
    }
}
