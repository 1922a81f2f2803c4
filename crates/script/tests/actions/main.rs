//! Pages of actions against a scripted callee and server, in virtual time.

mod bombs;
mod chance;
mod connect;
mod golden;
mod stops;
mod world;
