//! Looks whether a text is ECMAScript, without running it.

use super::super::fault::Fault;
use super::{Engine, complete, refuse_bigints};

impl Engine {
    /// What is wrong with the form of an expression.
    pub(crate) fn check_expression(&self, text: &str) -> Result<(), Fault> {
        refuse_bigints(text)?;
        self.enter(|ctx| complete(ctx, text))
    }

    /// What is wrong with the form of a script.
    pub(crate) fn check_script(&mut self, text: &str) -> Result<(), Fault> {
        refuse_bigints(text)?;
        self.declared(text).map(|_| ())
    }
}
