//! SDP, RFC 8866: how the two ends of a call agree on sound, by offer and answer (RFC 3264).
//!
//! In reading order: [`description`] is what a description says, [`parse`] and [`write`](mod@write)
//! turn it from and into text, [`address`] decides where sound may go at all, and [`offer_answer`]
//! is the agreement of one call.

pub mod address;
pub mod description;
pub mod offer_answer;
pub mod parse;
pub mod write;

pub use address::{AddressError, AddressPolicy, check_media_address};
pub use description::{Attribute, Connection, Description, Encoding, Media, Origin};
pub use offer_answer::{Negotiation, NegotiationError, Privacy, Settings, Stream};
pub use parse::SdpError;
