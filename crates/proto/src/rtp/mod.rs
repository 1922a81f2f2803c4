//! RTP for one call: packets, reports, key presses, the jitter buffer and the stream's machine.
//!
//! In reading order: [`packet`] and [`rtcp`] are the formats (RFC 3550), [`reception`] judges
//! sequence numbers and counts what is lost, [`source`] decides whom to believe,
//! [`telephone_event`] turns packets into key presses and back (RFC 4733), [`jitter`] makes an
//! even 20 ms pace of what arrives unevenly, and [`session`] is the machine that joins them.
//!
//! Within, everything is G.711 at 8 kHz: one byte is one sample. What comes in another codec leaves
//! as [`decoding::Coded`] and comes back decoded; what goes out was encoded before.

pub mod codec;
pub mod decoding;
pub mod interval;
pub mod jitter;
pub mod packet;
mod random;
pub mod reception;
pub mod rtcp;
pub mod session;
pub mod source;
pub mod telephone_event;

pub use codec::Codec;
pub use decoding::Coded;
pub use jitter::Popped;
pub use session::{Direction, Effect, Input, ReceiveTypes, Session, Setup, Terms, Timer};
pub use source::Learning;
pub use telephone_event::{Key, KeyTiming};

/// Samples in a second, and ticks of the RTP clock of all codecs but one (RFC 3551 §4.5.14).
pub const CLOCK_HZ: u32 = 8_000;
/// Length of the frames in which sound is sent, heard and counted, in milliseconds.
pub const FRAME_MS: u32 = 20;
/// Samples of one frame, and its bytes in G.711.
pub const FRAME_SAMPLES: usize = 160;

/// One frame of G.711: 20 ms, one byte a sample.
pub type Frame = [u8; FRAME_SAMPLES];

#[cfg(test)]
pub(crate) mod fixture {
    //! The one moment from which the tests of this directory count.

    use std::time::Instant;

    /// Some moment; tests only ever add to it, so which one does not matter.
    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    pub(crate) fn start() -> Instant {
        Instant::now()
    }
}
