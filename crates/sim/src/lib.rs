//! What tests need beside the program: models that it must agree with.

pub mod chance;
pub mod checkers;
pub mod ledger;
pub mod plan;
pub mod world;
