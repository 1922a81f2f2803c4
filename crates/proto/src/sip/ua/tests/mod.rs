//! The user agent against far ends of every kind, in virtual time.

mod abandon;
mod calling;
mod freshness;
mod lab;
mod passwords;
mod referring;
mod storm;
mod strangers;
mod talking;
mod trunks;
