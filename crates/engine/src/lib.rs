//! What we do: the only loops, sockets, HTTP client, clock and random seed.

pub mod clock;
pub mod journal;
pub mod wake;
