//! Aculab Cloud: outbound services, `service_start`, and the final page.
//!
//! docs/api/aculab.md says the same in prose, with what is of our own making.

pub mod answer;
pub mod callback;
pub mod contract;
pub mod request;
pub mod service;
pub mod words;
