//! Our own API: JSON under `/v1`, problems by RFC 9457, results by POST of JSON.
//!
//! docs/api/native.md says the same in prose, docs/api/openapi.json for programs.

pub mod account;
pub mod answer;
pub mod callback;
pub mod deployment;
pub mod detection;
pub mod event;
pub mod explain;
pub mod import;
mod json;
pub mod policy;
pub mod problem;
pub mod request;
mod rule;
pub mod signature;
pub mod webhooks;
pub mod words;
