//! SRTP (RFC 3711): sound and reports that only the two ends of a call can read and make.
//!
//! [`keys`] are what the ends tell each other in SDP (RFC 4568), [`context`] are the two ways:
//! [`Sealer`] outwards and [`Opener`] inwards. Ciphers are those of the `aes` and `hmac` crates;
//! here is only what RFC 3711 makes of them.

pub mod context;
pub mod keys;

pub use context::{OpenError, Opener, Sealer};
pub use keys::{MasterKey, Protection, Suite};

/// Most bytes that protection adds to a packet: a tag of ten bytes, and an index for reports.
pub const OVERHEAD_BYTES_MAX: usize = 14;
