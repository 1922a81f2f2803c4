//! The whole program on the wire: a real server against real far ends and a customer's application.
//!
//! Every test starts the program as a process of its own, in a directory of its own, and drives it
//! from outside only: HTTP in, SIP and RTP out, HTTP back. Far ends are `sipp`, `baresip`, the
//! simulated carrier, and phones of our own for what those cannot do. Nothing is waited for by the
//! clock: tests wait for what happens, with a generous bound.

mod aculab;
mod bad_input;
mod bad_lists;
mod baresip;
mod bombs;
mod callee_type;
mod carrier;
mod classified;
mod codecs;
mod conferences;
mod connect;
mod crash;
mod crash_rounds;
mod customer;
mod dialogs;
mod documents;
mod ear;
mod elsewhere;
mod failover;
mod fuse;
mod harness;
mod hearing;
mod http;
mod nodes;
mod passwords;
mod phone;
mod postgres;
mod private;
mod record;
mod refer;
mod relay;
mod results;
mod scene;
mod scripts;
mod server;
mod sip;
mod sipp;
mod sound;
mod streams;
mod take_down;
mod torture;
mod transfer;
mod undisturbed;
mod upload;
mod weather;
mod words;
