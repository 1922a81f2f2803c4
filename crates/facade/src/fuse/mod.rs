//! Plum Fuse: `queue`, `bulk_queue`, the state of a call, `cancel`, and result_url.
//!
//! docs/api/fuse.md says the same in prose, with the quirks that are kept.

pub mod answer;
pub mod callback;
pub mod contract;
pub mod list;
pub mod request;
pub mod words;
