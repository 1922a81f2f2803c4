//! Who carries the calls; so far the embedded SIP and RTP engine alone.

pub(crate) mod native;
