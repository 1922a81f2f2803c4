//! What tests need beside the program: models that it must agree with.

pub mod ledger;
