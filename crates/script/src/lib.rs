//! What to say: both kinds of script speak one vocabulary of steps.

pub mod actions;
mod http_equiv;
pub mod machine;
pub mod srgs;
pub mod step;
pub mod vxml;

pub use http_equiv::http_equivs;
