//! MACHINE: a script, whatever its language; `handle`, `poll`, `deadline`.

use domain::time::Timestamp;

use crate::actions::Runner;
use crate::step::{Input, Step, Timer};
use crate::vxml::Vxml;

/// A running script.
pub enum Script {
    /// Pages of actions.
    Actions(Box<Runner>),
    /// VoiceXML documents.
    Vxml(Box<Vxml>),
}

impl Script {
    /// One thing happened.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        match self {
            Self::Actions(runner) => runner.handle(now, input),
            Self::Vxml(vxml) => vxml.handle(now, input),
        }
    }

    /// What it wants done, oldest first.
    pub fn poll(&mut self) -> Option<Step> {
        match self {
            Self::Actions(runner) => runner.poll(),
            Self::Vxml(vxml) => vxml.poll(),
        }
    }

    /// When to wake it, and for what.
    pub fn deadline(&self) -> Option<(Timestamp, Timer)> {
        match self {
            Self::Actions(runner) => runner.deadline(),
            Self::Vxml(vxml) => vxml.deadline(),
        }
    }
}
