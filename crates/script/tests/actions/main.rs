//! Pages of actions against a scripted callee and server, in virtual time.

mod bombs;
mod chance;
mod golden;
mod world;
