//! Plum DEV Outbound: `queuecall.php`, `queuecalls.php`, start_url and result_url.
//!
//! docs/api/plum.md says the same in prose, with the quirks that are kept.

pub mod answer;
pub mod callback;
pub mod contract;
pub mod list;
pub mod request;
pub mod words;
