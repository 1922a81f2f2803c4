//! What outbound calling is: types and decisions, in reading order below; no IO, no clock, no chance.

pub mod ids;
pub mod terms;
pub mod time;

pub mod number;
pub mod region;

pub mod dated;
pub mod zones;

pub mod applies;
pub mod calling_hours;
pub mod caps;
pub mod holidays;

pub mod account;
pub mod application;
pub mod campaign;
pub mod contact;

pub mod attempt;
pub mod cause;
pub mod detection;
pub mod failover;
pub mod outcome;
pub mod retry;

pub mod caller_ids;
pub mod destinations;
pub mod permit;
pub mod policy;

pub mod dial_queue;
pub mod gate;
pub mod pacing;
pub mod trunk;
pub mod trunk_share;

pub mod call;
pub mod event;
pub mod webhook;
