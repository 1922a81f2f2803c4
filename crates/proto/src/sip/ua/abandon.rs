//! Calls of an earlier life: CANCEL to what may still ring, BYE to what was answered, ACK to what
//! is refused only now.

use std::time::Instant;

use bytes::Bytes;

use super::Ua;
use super::api::{Invite, TrunkKey};
use super::core::Core;
use super::dialing::{ADDRESSES_MAX, begin_invite};
use super::farewell::caller_gone;
use super::tables::Owner;
use crate::sip::dialog::Dialog;
use crate::sip::flow::{Flow, Target};
use crate::sip::identity::CallIdentity;
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::parse::parse_datagram;
use crate::sip::transaction::{MAX_FORWARDS, cancel, skeleton};
use crate::sip::uri::Host;
use crate::sip::value::{BRANCH_COOKIE, Reason, Via};

/// What a later life needs to hang up an answered call: text to be kept, and given back unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogSeed(Box<str>);

impl DialogSeed {
    /// What was kept.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// What is to be kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The seed of a dialog whose INVITE went by this flow: the 2xx in short, whose Via names the
    /// far end's side of the flow.
    pub(super) fn of(dialog: &Dialog, flow: Flow) -> Self {
        let mut response = dialog.to_response(AHEAD);
        let (host, port) = (Host::from(flow.peer.ip()), Some(flow.peer.port()));
        let via = Via::ours(flow.transport.into(), host, port, &format!("{BRANCH_COOKIE}seed"));
        response.headers.insert_top(Name::Via, via);
        Self(String::from_utf8_lossy(&response.to_bytes()).into())
    }

    /// The dialog's 2xx; `None` where the text is none of ours.
    fn open(&self) -> Option<Response> {
        match parse_datagram(self.0.as_bytes()) {
            Ok(Message::Response(response)) if response.is_success() => Some(response),
            Ok(_) | Err(_) => None,
        }
    }
}

impl Ua {
    /// Cancels what an earlier life may have dialed.
    pub(super) fn abandon(&mut self, now: Instant, invite: &Invite) {
        if !self.is_live(&invite.identity.call_id) {
            self.core.cancel_all(now, invite);
        }
    }

    /// Hangs up what was answered in an earlier life.
    pub(super) fn abandon_dialog(&mut self, now: Instant, trunk: TrunkKey, seed: &DialogSeed) {
        let Some(response) = seed.open() else { return };
        if !response.headers.call_id().is_ok_and(|call_id| self.is_live(call_id)) {
            self.core.hang_up_seed(now, trunk, &response);
        }
    }

    /// A refusal that came when its INVITE was forgotten; whether it was ours.
    pub(super) fn late_refusal(&mut self, way: &Target, response: &Response) -> bool {
        let call_id = response.headers.call_id().unwrap_or_default();
        !self.is_live(call_id) && self.core.acknowledge_refusal(way, response).is_some()
    }

    fn is_live(&self, call_id: &str) -> bool {
        self.by_call_id.contains_key(call_id)
    }
}

impl Core {
    /// Sends a CANCEL for each INVITE that may have been sent (RFC 3261 §9.1), all at once.
    ///
    /// It may have been sent again after a challenge, or to another address, and nobody remembers;
    /// but its names are known. Whoever has no such INVITE says 481, or nothing at all, so no
    /// CANCEL may wait for the answer to another.
    fn cancel_all(&mut self, now: Instant, invite: &Invite) {
        let Some(trunk) = self.trunks.get(&invite.trunk) else { return };
        let targets: Vec<Target> = trunk.targets.iter().take(ADDRESSES_MAX).cloned().collect();
        let reason = caller_gone();
        for target in &targets {
            for cseq in 1..=CSEQ_MAX {
                self.cancel_one(now, invite, target, cseq, &reason);
            }
        }
    }

    fn cancel_one(
        &mut self,
        now: Instant,
        invite: &Invite,
        target: &Target,
        cseq: u32,
        reason: &Reason,
    ) {
        let branch = invite.identity.branch(cseq, target.flow);
        let Some(via) = self.via(target.flow.transport, &branch) else { return };
        let mut canceled = begin_invite(invite, cseq);
        canceled.headers.insert_top(Name::Via, via);
        let request = cancel(&skeleton(&canceled), Some(reason));
        self.request_as(now, request, target, (invite.trunk, Owner::Nobody), &branch);
    }

    /// Ends the dialog that this 2xx of a seed opens; only calls of ours can be meant.
    fn hang_up_seed(&mut self, now: Instant, trunk: TrunkKey, response: &Response) -> Option<()> {
        let headers = &response.headers;
        CallIdentity::recognise(&self.config.identity_key, headers.call_id().ok()?)?;
        let dialog = Dialog::open(response, &headers.to().ok()?.uri)?;
        let via = headers.via_top().ok()?;
        // The trunk may have moved since: its first address then knows where its callee is.
        let known = &self.trunks.get(&trunk)?.targets;
        let same = known.iter().find(|target| {
            let peer = target.flow.peer;
            via.transport == target.flow.transport.into()
                && (via.host.ip(), via.port) == (Some(peer.ip()), Some(peer.port()))
        });
        let way = same.cloned().or_else(|| self.choose(trunk, now, &[]))?;
        self.leave_dialog(now, trunk, dialog, way, &caller_gone());
        Some(())
    }

    /// Acknowledges the refusal of an INVITE that no transaction of ours waits for, if its Call-ID
    /// is one that we made: without the ACK it would be repeated for 32 s. The response has all
    /// that the ACK needs (RFC 3261 §17.1.1.3), for our To is the Request-URI.
    fn acknowledge_refusal(&mut self, way: &Target, response: &Response) -> Option<()> {
        let headers = &response.headers;
        CallIdentity::recognise(&self.config.identity_key, headers.call_id().ok()?)?;
        let (via, (cseq, _)) = (headers.via_top().ok()?, headers.cseq().ok()?);
        let uri = headers.to().ok()?.uri.for_request_line().into_owned();
        let mut ack = Request::new(Method::Ack, uri);
        let branch = via.branch()?.to_owned();
        let via = Via::ours(via.transport, via.host, via.port, &branch);
        ack.headers.push(Name::Via, via);
        ack.headers.push(Name::MaxForwards, MAX_FORWARDS);
        for name in [Name::From, Name::To, Name::CallId] {
            ack.headers.copy_from(headers, name);
        }
        ack.headers.push(Name::CSeq, format_args!("{cseq} ACK"));
        self.send(way, Bytes::from(ack.to_bytes()));
        Some(())
    }
}

/// How often one address may have been sent the INVITE, changed each time, so that each is
/// canceled: a proxy and a server that each ask for a password, and a session interval raised.
const CSEQ_MAX: u32 = 4;

/// How many requests a seed allows for that the call has sent since its answer: a refresh every
/// few minutes for days.
const AHEAD: u32 = 10_000;
