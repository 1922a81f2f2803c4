//! What goes over the wire: SIP, SDP, RTP and SRTP. Knows no campaign; bytes in, bytes and events out.
//!
//! [`sip`] makes the call, [`sdp`] agrees on its sound, [`rtp`] carries it and [`srtp`] keeps
//! it private. Nothing here touches a socket, a clock or randomness: time and seeds are arguments.

pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod srtp;
