//! What we do: the only loops, sockets, HTTP client, clock and random seed.
//!
//! [`start`] starts every loop there is; [`control::Control`] has the verbs that the API may use.

mod alarms;
mod answered;
mod call_task;
mod calls;
pub mod clock;
pub mod config;
pub mod control;
mod dialer;
mod evaluations;
pub mod fetch;
pub mod files;
mod gates;
pub mod health;
mod hooks;
pub mod http;
pub mod imports;
mod journal;
mod node;
pub mod peers;
mod policies;
pub mod program;
mod reaper;
pub mod recognizer;
mod recovery;
mod rooms;
pub mod rtp_io;
pub mod signing;
mod sip_io;
mod slots;
pub mod speech;
mod start;
mod switch;
mod wake;
pub mod webhooks;

pub use start::{Engine, StartError, probe_trunks, recognizer, speech, start};
