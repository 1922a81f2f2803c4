//! Transactions: one MACHINE per diagram of RFC 3261 §17, with the corrections of RFC 6026.
//!
//! A transaction knows no addresses and no dialogs. It takes messages that were already matched to
//! it, says what to send and what to pass up, and ends with one `Terminated`.

pub mod client;
pub mod client_invite;
pub mod server;
pub mod server_invite;

pub use client::Client;
pub use client_invite::ClientInvite;
pub use server::Server;
pub use server_invite::ServerInvite;

use bytes::Bytes;

use super::flow::Transport;
use super::message::{Method, Request, Response};
use super::name::Name;
use super::value::Reason;

/// What a transaction wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What was just handled goes up to the layer above.
    Deliver,
    /// Puts a timer's repetition on the wire; under overload it may be left out.
    Resend(Bytes),
    /// Puts a message on the wire.
    Send(Bytes),
    /// The transaction is over and says nothing after this.
    Terminated(Finish),
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// In order.
    Done,
    /// Nobody answered (timers B, F, H, or the wait after a CANCEL).
    Timeout,
    /// The transport could not deliver.
    Transport,
}

/// How many repetitions by the peer one transaction answers.
///
/// A peer that follows RFC 3261 repeats 11 times in 32 s at most; the rest is room for a network
/// that duplicates. More than that is a fault or an attack, and gets silence.
pub const REPEATS_MAX: u8 = 32;

/// What ACK and CANCEL of an INVITE are made of: everything but the To of the ACK.
///
/// RFC 3261 §9.1 and §17.1.1.3: same Request-URI, Call-ID, From, Route, CSeq number and a single
/// Via, the top one.
pub fn skeleton(invite: &Request) -> Request {
    let mut skeleton = Request::new(Method::Ack, invite.uri.clone());
    let headers = &mut skeleton.headers;
    if let Some(via) = invite.headers.get(Name::Via) {
        headers.push(Name::Via, via);
    }
    headers.push(Name::MaxForwards, MAX_FORWARDS);
    for name in [Name::Route, Name::From, Name::To, Name::CallId, Name::CSeq] {
        headers.copy_from(&invite.headers, name);
    }
    skeleton
}

/// The ACK of a refused INVITE (RFC 3261 §17.1.1.3).
fn ack(mut skeleton: Request, response: &Response) -> Bytes {
    skeleton.method = Method::Ack;
    if let Some(to) = response.headers.get(Name::To) {
        skeleton.headers.set(Name::To, to);
    }
    skeleton.headers.set(Name::CSeq, format_args!("{} ACK", cseq_number(&skeleton)));
    skeleton.to_bytes().into()
}

/// The CANCEL of an INVITE (RFC 3261 §9.1), with the reason if there is one (RFC 3326).
pub fn cancel(skeleton: &Request, reason: Option<&Reason>) -> Request {
    let mut cancel = skeleton.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set(Name::CSeq, format_args!("{} CANCEL", cseq_number(skeleton)));
    if let Some(reason) = reason {
        cancel.headers.push(Name::Reason, reason);
    }
    cancel
}

fn cseq_number(request: &Request) -> u32 {
    request.headers.cseq().map_or(1, |(number, _)| number)
}

/// How many hops our requests may take (RFC 3261 §8.1.1.6).
pub const MAX_FORWARDS: u32 = 70;

/// The effects of one `handle`: at most three, kept in place so that a lingering transaction
/// owns no queue.
#[derive(Debug, Default)]
struct Effects {
    items: [Option<Effect>; 3],
}

impl Effects {
    fn push(&mut self, effect: Effect) {
        let free = self.items.iter_mut().find(|item| item.is_none());
        debug_assert!(free.is_some(), "effects are drained after each handle");
        if let Some(free) = free {
            *free = Some(effect);
        }
    }

    fn pop(&mut self) -> Option<Effect> {
        let first = self.items[0].take();
        self.items.rotate_left(1);
        first
    }
}

#[cfg(test)]
mod tests;
