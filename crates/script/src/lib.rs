//! What to say: both kinds of script speak one vocabulary of steps.

pub mod srgs;
pub mod step;
pub mod vxml;
