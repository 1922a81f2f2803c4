//! Streams over real loopback sockets: in virtual time, but for one test that uses a real thread.

mod agreement;
mod codecs;
pub(super) mod fixture;
mod keys;
mod load;
mod play;
mod source;
mod taps;
