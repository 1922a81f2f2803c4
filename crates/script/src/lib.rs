//! What to say: both kinds of script speak one vocabulary of steps.

pub mod actions;
pub mod machine;
pub mod srgs;
pub mod step;
pub mod vxml;
