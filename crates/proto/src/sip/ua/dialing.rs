//! A call until its INVITE has a final response: RFC 3261 §13.2 and §9.1, failover, forks.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::abandon::DialogSeed;
use super::api::{CallerId, Effect, End, EndedBy, Invite};
use super::body::Body;
use super::call::{Call, Phase};
use super::core::{ALLOW, Core, next_target};
use super::proof::Proofs;
use super::tables::{ClientMachine, Owner, Role, TransactionId};
use crate::sip::dialog::Dialog;
use crate::sip::flow::Flow;
use crate::sip::grammar::Token;
use crate::sip::message::{Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::session::SESSION_EXPIRES_MAX_S;
use crate::sip::transaction::{MAX_FORWARDS, cancel, client_invite};
use crate::sip::uri::Uri;
use crate::sip::value::{NameAddr, RAck, Reason};

/// What an INVITE is made of, and what came back so far.
#[derive(Debug)]
pub(super) struct Dialing {
    pub(super) invite: Invite,
    cseq: u32,
    transaction: Option<TransactionId>,
    /// Addresses that were tried.
    tried: Vec<Flow>,
    early: Vec<Early>,
    /// Whether more than 100 came: somebody may be rung.
    is_ringing: bool,
    /// Why the engine hung up.
    reason: Option<Reason>,
    is_cancel_sent: bool,
    session_expires_s: Option<u32>,
    /// How often 422 may still raise the interval.
    raises_left: u8,
    /// Whether the far end requires reliable provisional responses (421).
    is_reliable: bool,
    is_sent: bool,
    /// The last INVITE's proofs, which its ACK repeats (§13.2.2.4).
    proofs: Vec<(Name, String)>,
}

/// One early dialog: one fork.
#[derive(Debug)]
struct Early {
    dialog: Dialog,
    /// The last reliable response's number.
    rseq: Option<u32>,
    /// Whether a reliable response brought the answer, so that there may be a new offer.
    is_agreed: bool,
    sdp: Option<Bytes>,
}

impl Dialing {
    pub(super) fn new(invite: Invite, session_expires_s: Option<u32>) -> Self {
        Self {
            invite,
            cseq: 1,
            transaction: None,
            tried: Vec::new(),
            early: Vec::new(),
            is_ringing: false,
            reason: None,
            is_cancel_sent: false,
            session_expires_s,
            raises_left: RAISES_MAX,
            is_reliable: false,
            is_sent: false,
            proofs: Vec::new(),
        }
    }

    /// The early dialog with this far tag, and whether it may see a new offer.
    pub(super) fn early(&mut self, tag: &str) -> Option<(&mut Dialog, bool)> {
        let found = self.early.iter_mut().find(|early| early.dialog.remote_tag() == tag)?;
        Some((&mut found.dialog, found.is_agreed))
    }

    /// One fork changed its session before it answered: an answer without SDP means this one.
    pub(super) fn set_sdp(&mut self, tag: &str, sdp: Bytes) {
        let found = self.early.iter_mut().find(|early| early.dialog.remote_tag() == tag);
        if let Some(early) = found {
            early.sdp = Some(sdp);
        }
    }

    /// One fork gave up.
    pub(super) fn forget(&mut self, tag: &str) {
        self.early.retain(|early| early.dialog.remote_tag() != tag);
    }
}

impl Invite {
    pub(super) fn is_shown(&self) -> bool {
        self.caller_id == CallerId::Shown
    }
}

/// Sending.
impl Call {
    /// Sends the first INVITE, or says why not.
    pub(super) fn dial(&mut self, now: Instant, core: &mut Core) {
        if !self.send_invite(now, None, core) {
            let end = End::found(EndedBy::NotSent, None, "no room for another transaction");
            self.end(now, end, core);
        }
    }

    /// Sends the INVITE as a transaction of its own: first, changed, or to another address.
    fn send_invite(&mut self, now: Instant, challenge: Option<&Response>, core: &mut Core) -> bool {
        let Some(mut request) = self.build_invite(core) else { return false };
        let Some(dialing) = self.dialing.as_mut() else { return false };
        if !core.authorize(self.trunk, &self.way, &mut self.proofs, challenge, &mut request) {
            return false;
        }
        dialing.proofs = [Name::Authorization, Name::ProxyAuthorization]
            .into_iter()
            .flat_map(|name| request.headers.get_all(name).map(move |value| (name, value.into())))
            .collect();
        dialing.early.clear();
        if !dialing.tried.contains(&self.way.flow) {
            dialing.tried.push(self.way.flow);
        }
        let owner = (self.trunk, Owner::Call(self.key, Role::Invite));
        let branch = dialing.invite.identity.branch(dialing.cseq, self.way.flow);
        let sent = core.request_as(now, request, &self.way, owner, &branch);
        dialing.transaction = sent;
        if sent.is_some() && !dialing.is_sent {
            dialing.is_sent = true;
            core.effects.push_back(Effect::Sent { call: self.key });
        }
        sent.is_some()
    }

    fn build_invite(&self, core: &Core) -> Option<Request> {
        let dialing = self.dialing.as_ref()?;
        let Dialing { invite, cseq, .. } = dialing.as_ref();
        let mut request = begin_invite(invite, *cseq);
        let headers = &mut request.headers;
        self.push_contact(headers, &self.way, core);
        headers.push(Name::Allow, ALLOW);
        headers.push(Name::Supported, if dialing.is_reliable { "timer, 100rel" } else { "timer" });
        if let Some(interval_s) = dialing.session_expires_s {
            headers.push(Name::SessionExpires, interval_s);
        }
        if let Some(min_se_s) = self.min_se_s {
            headers.push(Name::MinSe, min_se_s);
        }
        for (name, value) in &invite.headers {
            match Token::new(name) {
                Some(token) if Name::from_text(name).is_none_or(is_free) => {
                    headers.push_other(&token, value);
                }
                Some(_) | None => tracing::debug!(header = name, "left out"),
            }
        }
        if !invite.is_shown() {
            headers.set(Name::Privacy, "id");
            if !headers.has(Name::PAssertedIdentity) {
                headers.set(Name::PPreferredIdentity, &invite.from);
            }
        }
        request.set_body("application/sdp", invite.offer.clone());
        Some(request)
    }
}

/// Hanging up.
impl Call {
    /// The engine hangs up: CANCEL once something was heard, for before that it may overtake its
    /// INVITE (RFC 3261 §9.1).
    pub(super) fn hang_up(&mut self, now: Instant, reason: Option<Reason>, core: &mut Core) {
        self.phase = Phase::Canceling;
        if let Some(dialing) = self.dialing.as_mut() {
            dialing.reason = reason;
        }
        self.cancel(now, core);
    }

    /// Sends the CANCEL, if its time has come and it was not sent.
    pub(super) fn cancel(&mut self, now: Instant, core: &mut Core) {
        let Some(dialing) = self.dialing.as_mut().filter(|dialing| !dialing.is_cancel_sent) else {
            return;
        };
        let Some(id) = dialing.transaction else { return };
        let Some(transaction) = core.clients.get(id) else { return };
        let ClientMachine::Invite(machine) = &mut transaction.machine else { return };
        if !machine.is_proceeding() {
            return;
        }
        let Some(skeleton) = machine.skeleton() else { return };
        let request = cancel(skeleton, dialing.reason.as_ref());
        machine.handle(now, client_invite::Input::Canceled);
        dialing.is_cancel_sent = true;
        let branch = request.headers.via_top().ok();
        let branch = branch.and_then(|via| via.branch().map(ToOwned::to_owned)).unwrap_or_default();
        core.drain_client(now, id);
        let owner = (self.trunk, Owner::Nobody);
        // Without room for it, the far end is left to ring until the wait after it ends.
        core.request_as(now, request, &self.way, owner, &branch);
    }
}

/// Answers.
impl Call {
    /// A provisional response: a fork rings, or is asked to be acknowledged (RFC 3262).
    pub(super) fn progress(&mut self, now: Instant, response: &Response, core: &mut Core) {
        self.learn(&response.headers);
        let Some(dialing) = self.dialing.as_mut() else { return };
        let tag = response.headers.to().ok().and_then(|to| to.tag().map(Box::<str>::from));
        let sdp = Body::of(&response.headers, &response.body).sdp();
        dialing.is_ringing |= response.status > 100;
        if response.status > 100
            && let Some(tag) = &tag
        {
            let request_uri = &dialing.invite.to;
            let known = dialing.early.iter().position(|early| early.dialog.remote_tag() == &**tag);
            let at = match known {
                Some(at) => Some(at),
                None if dialing.early.len() < EARLY_MAX => {
                    open_early(&mut dialing.early, response, request_uri)
                }
                None => None,
            };
            if let Some(at) = at {
                let early = &mut dialing.early[at];
                early.dialog.refresh_target(&response.headers);
                match acknowledge_reliable(early, response, sdp.is_some()) {
                    Reliable::No => {}
                    Reliable::Repeated => return,
                    Reliable::Yes(mut prack) => {
                        let target = next_target(&early.dialog, &self.way);
                        let (trunk, mut proofs) = (self.trunk, Proofs::default());
                        core.authorize(trunk, &target, &mut proofs, None, &mut prack);
                        let owner = (self.trunk, Owner::Call(self.key, Role::Prack));
                        core.request(now, prack, &target, owner);
                    }
                }
                if sdp.is_some() {
                    early.sdp.clone_from(&sdp);
                }
            }
        }
        let (call, status, q850) = (self.key, response.status, self.q850);
        core.effects.push_back(Effect::Progress { call, status, sdp, tag, q850 });
    }

    /// Somebody answered, and the engine still wants him.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        id: TransactionId,
        response: &Response,
        core: &mut Core,
    ) {
        let Some(early_sdp) = self.confirm(now, id, response, core) else { return };
        self.phase = Phase::Up;
        // What an announcement before the answer meant is past.
        self.q850 = None;
        self.agree(now, response);
        let sdp = Body::of(&response.headers, &response.body).sdp().or(early_sdp);
        let seed = self.dialog.as_ref().map(|dialog| DialogSeed::of(dialog, self.way.flow));
        core.effects.push_back(Effect::Answered { call: self.key, sdp, seed });
    }

    /// The 2xx crossed our CANCEL: ACK, then BYE (RFC 3261 §9.1, §15).
    pub(super) fn answered_too_late(
        &mut self,
        now: Instant,
        id: TransactionId,
        response: &Response,
        core: &mut Core,
    ) {
        let reason = self.dialing.as_mut().and_then(|dialing| dialing.reason.take());
        if self.confirm(now, id, response, core).is_some() {
            self.leave(now, reason, End::us(), core);
        }
    }

    /// Opens the dialog and acknowledges; gives the SDP that came before, if any did.
    fn confirm(
        &mut self,
        now: Instant,
        id: TransactionId,
        response: &Response,
        core: &mut Core,
    ) -> Option<Option<Bytes>> {
        self.learn(&response.headers);
        let dialing = self.dialing.take()?;
        let tag = response.headers.to().ok()?.tag().unwrap_or_default().to_owned();
        let early = dialing.early.into_iter().find(|early| early.dialog.remote_tag() == tag);
        let (dialog, early_sdp) = match early {
            Some(Early { mut dialog, sdp, .. }) => {
                dialog.confirm(response);
                (Some(dialog), sdp)
            }
            None => (Dialog::open(response, &dialing.invite.to), None),
        };
        let Some(dialog) = dialog else {
            // The parser lets no response through that names no dialog.
            let end = End::found(EndedBy::Far, Some(response.status), "answer names no dialog");
            self.end(now, end, core);
            return None;
        };
        let mut ack = dialog.ack(dialing.cseq);
        for (name, value) in &dialing.proofs {
            ack.headers.push(*name, value);
        }
        let target = next_target(&dialog, &self.way);
        self.dialog = Some(Box::new(dialog));
        core.acknowledge(id, &tag, ack, target);
        Some(early_sdp)
    }
}

/// Refusals.
impl Call {
    /// 401 or 407: tries again with a proof, once for each realm.
    pub(super) fn prove(&mut self, now: Instant, response: &Response, core: &mut Core) {
        if !self.dial_changed(now, Some(response), core) {
            self.refused(now, response, core);
        }
    }

    /// 421: the far end requires reliable provisional responses.
    pub(super) fn offer_reliable(&mut self, now: Instant, response: &Response, core: &mut Core) {
        let wanted = response.headers.require().any(|tag| tag.eq_ignore_ascii_case("100rel"));
        if let Some(dialing) = self.dialing.as_mut()
            && wanted
            && !dialing.is_reliable
        {
            dialing.is_reliable = true;
            if self.dial_changed(now, None, core) {
                return;
            }
        }
        self.refused(now, response, core);
    }

    /// 422: the session interval is too short for somebody in the way (RFC 4028 §7.3).
    pub(super) fn ask_longer(&mut self, now: Instant, response: &Response, core: &mut Core) {
        let min_se_s = response.headers.min_se().ok().flatten();
        if let (Some(dialing), Some(min_se_s)) = (self.dialing.as_mut(), min_se_s)
            && min_se_s <= SESSION_EXPIRES_MAX_S
            && dialing.raises_left > 0
            && dialing.session_expires_s.is_some_and(|interval_s| interval_s < min_se_s)
        {
            dialing.raises_left -= 1;
            dialing.session_expires_s = Some(min_se_s);
            self.min_se_s = Some(min_se_s);
            if self.dial_changed(now, None, core) {
                return;
            }
        }
        self.refused(now, response, core);
    }

    /// 503: this address cannot work now; the next one may, unless somebody was rung already.
    pub(super) fn unavailable(&mut self, now: Instant, response: &Response, core: &mut Core) {
        let asked = response.headers.retry_after().ok().flatten();
        let pause = Duration::from_secs(u64::from(asked.unwrap_or(0))).clamp(REST_MIN, REST_MAX);
        core.rest(self.trunk, self.way.flow, now + pause);
        let is_ringing = self.dialing.as_ref().is_some_and(|dialing| dialing.is_ringing);
        if is_ringing || !self.dial_elsewhere(now, core) {
            self.refused(now, response, core);
        }
    }

    /// The transport could not deliver: the next address.
    pub(super) fn undelivered(&mut self, now: Instant, core: &mut Core) {
        core.rest(self.trunk, self.way.flow, now + REST_MIN);
        if !self.dial_elsewhere(now, core) {
            let text = "no address of the trunk can be reached";
            self.end(now, End::found(EndedBy::Unreachable, None, text), core);
        }
    }

    /// The connection closed behind the INVITE: it may have arrived, so nobody else is tried.
    pub(super) fn cut_off(&mut self, now: Instant, core: &mut Core) {
        let text = "connection closed behind the INVITE";
        self.end(now, End::found(EndedBy::Transport, None, text), core);
    }

    /// Any other final response, and 487 after our CANCEL.
    pub(super) fn refused(&mut self, now: Instant, response: &Response, core: &mut Core) {
        self.learn(&response.headers);
        let by = match (self.phase, response.status) {
            // Others may have ended it in the same moment; only 487 says that it was our CANCEL.
            (Phase::Canceling, 487) => EndedBy::Us,
            _ => EndedBy::Far,
        };
        self.end(now, End { by, ..End::far(response) }, core);
    }

    /// Timer B: somebody may be ringing all the same, so no other address is tried.
    pub(super) fn unanswered(&mut self, now: Instant, core: &mut Core) {
        let end = End::found(EndedBy::Timeout, None, "no response to the INVITE");
        self.end(now, end, core);
    }

    /// The far end stays silent after our CANCEL, or was silent all the time.
    pub(super) fn gave_up(&mut self, now: Instant, core: &mut Core) {
        self.end(now, End::found(EndedBy::Us, None, "no final response after hanging up"), core);
    }

    fn dial_changed(
        &mut self,
        now: Instant,
        challenge: Option<&Response>,
        core: &mut Core,
    ) -> bool {
        if let Some(dialing) = self.dialing.as_mut() {
            dialing.cseq += 1;
        }
        self.send_invite(now, challenge, core)
    }

    /// The same INVITE to the next address, as a transaction of its own (RFC 3263 §4.3).
    fn dial_elsewhere(&mut self, now: Instant, core: &mut Core) -> bool {
        let Some(dialing) = self.dialing.as_ref() else { return false };
        if dialing.tried.len() >= ADDRESSES_MAX {
            return false;
        }
        let Some(target) = core.choose(self.trunk, now, &dialing.tried) else { return false };
        self.way = target;
        self.send_invite(now, None, core)
    }
}

/// What a provisional response wants (RFC 3262 §4).
enum Reliable {
    No,
    /// It was acknowledged before, or one before it is missing.
    Repeated,
    Yes(Request),
}

fn acknowledge_reliable(early: &mut Early, response: &Response, has_sdp: bool) -> Reliable {
    let headers = &response.headers;
    let wanted = headers.require().any(|tag| tag.eq_ignore_ascii_case("100rel"));
    let Some(rseq) = headers.rseq().ok().flatten().filter(|_| wanted) else {
        return Reliable::No;
    };
    if early.rseq.is_some_and(|last| Some(rseq) != last.checked_add(1)) {
        return Reliable::Repeated;
    }
    let Ok((cseq, method)) = headers.cseq() else { return Reliable::No };
    early.rseq = Some(rseq);
    early.is_agreed |= has_sdp;
    let mut prack = early.dialog.request(Method::Prack);
    prack.headers.push(Name::RAck, RAck { response: rseq, request: cseq, method });
    Reliable::Yes(prack)
}

fn open_early(early: &mut Vec<Early>, response: &Response, request_uri: &Uri) -> Option<usize> {
    let dialog = Dialog::open(response, request_uri)?;
    early.push(Early { dialog, rseq: None, is_agreed: false, sdp: None });
    Some(early.len() - 1)
}

/// An INVITE with what it is known by, and without the rest.
pub(super) fn begin_invite(invite: &Invite, cseq: u32) -> Request {
    let to = invite.to.for_request_line().into_owned();
    let mut request = Request::new(Method::Invite, to);
    let headers = &mut request.headers;
    headers.push(Name::MaxForwards, MAX_FORWARDS);
    headers.push(Name::From, from(invite));
    headers.push(Name::To, format_args!("<{}>", invite.to));
    headers.push(Name::CallId, &invite.identity.call_id);
    headers.push(Name::CSeq, format_args!("{cseq} INVITE"));
    request
}

fn from(invite: &Invite) -> NameAddr {
    let shown = match invite.caller_id {
        CallerId::Shown => invite.from.clone(),
        CallerId::Withheld => {
            NameAddr { display: Some("Anonymous".into()), ..NameAddr::new(anonymous()) }
        }
    };
    shown.with_tag(&invite.identity.from_tag)
}

/// RFC 3323 §4.1.1.3.
fn anonymous() -> Uri {
    Uri::parse("sip:anonymous@anonymous.invalid").expect("a URI of this file is a URI")
}

/// Whether the caller may set this header; the others are the user agent's own.
const fn is_free(name: Name) -> bool {
    !matches!(
        name,
        Name::Allow
            | Name::Authorization
            | Name::CallId
            | Name::Contact
            | Name::ContentEncoding
            | Name::ContentLength
            | Name::ContentType
            | Name::CSeq
            | Name::From
            | Name::MaxForwards
            | Name::MinSe
            | Name::ProxyAuthorization
            | Name::ProxyRequire
            | Name::RAck
            | Name::RecordRoute
            | Name::Require
            | Name::Route
            | Name::RSeq
            | Name::SessionExpires
            | Name::Supported
            | Name::To
            | Name::UserAgent
            | Name::Via
    )
}

/// The trunk's address rests so long after it failed, at least; calls begin with others then.
const REST_MIN: Duration = Duration::from_secs(30);

/// The same at most, whatever Retry-After says: a trunk is never lost for long.
const REST_MAX: Duration = Duration::from_secs(600);

/// Most addresses that one call tries.
pub(super) const ADDRESSES_MAX: usize = 8;

/// Most forks whose early dialogs are kept apart.
const EARLY_MAX: usize = 8;

/// How often one INVITE is sent anew because of 422; two hops may disagree once each.
const RAISES_MAX: u8 = 2;
