//! SIP, RFC 3261 and its extensions: bytes in, bytes and events out.
//!
//! In reading order, the message first:
//! [`grammar`] and [`params`] are the alphabet, [`host`], [`uri`] and [`value`] the words,
//! [`name`] and [`header`] the sentences, [`message`] the letter; [`parse`] and [`framer`] read
//! it from datagrams and streams, `salvage` answers what cannot be read; [`challenge`] is what a
//! 401 asks and [`auth`] what it is answered with; [`identity`] names a call after its attempt.
//!
//! Then the machines: [`timers`] and [`flow`] are what they share, [`transaction`] is one request
//! and its answers, [`dialog`] who speaks with whom, [`session`] and [`register`] keep alive what
//! would expire, and [`ua`] is the front door, all that the engine talks to.

pub mod auth;
pub mod challenge;
pub mod dialog;
pub mod flow;
pub mod framer;
pub mod grammar;
pub mod header;
pub mod host;
pub mod identity;
pub mod message;
pub mod name;
pub mod params;
pub mod parse;
pub mod register;
mod salvage;
pub mod session;
#[cfg(test)]
pub(crate) mod testing;
pub mod timers;
pub mod tokens;
pub mod transaction;
pub mod ua;
pub mod uri;
pub mod value;

pub use auth::{AuthError, AuthTries, Authenticator, Credentials};
pub use framer::{Frame, Framer};
pub use grammar::{SyntaxError, Token};
pub use header::{HeaderError, Headers};
pub use host::Host;
pub use identity::CallIdentity;
pub use message::{Message, Method, Request, Response, reason_phrase};
pub use name::Name;
pub use params::Params;
pub use parse::{Fault, ParseError, parse_datagram};
pub use ua::{Ua, UaConfig};
pub use uri::{Scheme, Uri};
pub use value::{
    BRANCH_COOKIE, MediaType, NameAddr, RAck, Reason, Refresher, SessionExpires, Transport, Via,
};
