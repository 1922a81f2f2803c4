//! What the far end asks within a call: BYE, offers, and the rest (RFC 3261 §12.2.2, §14.2).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::api::{Effect, End, EndedBy};
use super::body::Body;
use super::call::{Call, Phase};
use super::core::{ALLOW, Core};
use super::tables::{ServerMachine, TransactionId};
use crate::sip::dialog::Dialog;
use crate::sip::message::{Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::session::{self, Agreement, MIN_SE_S, TooBrief, answer_refresh};
use crate::sip::timers::{PATIENCE, T1, T2, doubled};
use crate::sip::transaction::server_invite;
use crate::sip::value::{Reason, Refresher, SessionExpires};

/// The far end's offer (or its wish for ours) that the engine has not replied to.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) transaction: TransactionId,
    pub(super) request: Request,
    pub(super) reply_by: Instant,
    /// What the session timer will be.
    agreement: Option<Agreement>,
}

/// Our 2xx to a re-INVITE, repeated until its ACK comes (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    transaction: TransactionId,
    message: Bytes,
    cseq: u32,
    /// Whether the 2xx had our offer, so that the ACK has the answer.
    is_our_offer: bool,
    pause: Duration,
    repeat_at: Instant,
    give_up_at: Instant,
}

impl Unacked {
    pub(super) fn next_at(&self) -> Instant {
        self.repeat_at.min(self.give_up_at)
    }
}

/// Requests of the far end.
impl Call {
    /// The far end asks something within a dialog of this call.
    pub(super) fn requested(
        &mut self,
        now: Instant,
        id: TransactionId,
        request: Box<Request>,
        core: &mut Core,
    ) {
        let far_tag = far_tag(&request);
        let Some((dialog, is_agreed)) = self.dialog_with(&far_tag) else {
            return self.reply(now, id, &request, 481, core);
        };
        let in_order = request.headers.cseq().ok().map(|(cseq, _)| dialog.check_order(cseq));
        if !matches!(in_order, Some(Ok(()))) {
            return self.reply(now, id, &request, 500, core);
        }
        if let Some(response) = refuse_extensions(&request, core) {
            return core.respond(now, id, &response);
        }
        match (self.phase, &request.method) {
            (Phase::Up, Method::Bye) => self.hung_up(now, id, &request, core),
            (Phase::Leaving, Method::Bye) => {
                // Both hang up at once; ours was first.
                self.reply(now, id, &request, 200, core);
                self.finish(now, core);
            }
            (Phase::Dialing | Phase::Canceling, Method::Bye) => {
                // A fork leaves before it answered; the INVITE itself goes on.
                if let Some(dialing) = self.dialing.as_mut() {
                    dialing.forget(&far_tag);
                }
                self.reply(now, id, &request, 200, core);
            }
            (Phase::Leaving | Phase::Over, _) => self.reply(now, id, &request, 481, core),
            (Phase::Dialing | Phase::Canceling, Method::Invite) => {
                self.reply(now, id, &request, 491, core);
            }
            (Phase::Up, Method::Invite) => self.reinvited(now, id, request, core),
            (_, Method::Update) => self.updated(now, id, request, is_agreed, core),
            (_, Method::Options) => {
                let response = capabilities(&request, core);
                core.respond(now, id, &response);
            }
            (_, Method::Info) => self.informed(now, id, &request, core),
            // Only a referral of ours can be meant.
            (_, Method::Notify) => self.notified(now, id, &request, core),
            // Nobody else decides whom we call: his REFER is as unknown to us as its method is
            // missing in Allow (RFC 3515 §2.4.2 leaves the status to us).
            // We never send a reliable provisional response.
            (_, Method::Ack | Method::Cancel | Method::Prack) => {
                self.reply(now, id, &request, 481, core);
            }
            (
                _,
                Method::Message
                | Method::Publish
                | Method::Refer
                | Method::Register
                | Method::Subscribe,
            ) => self.reply(now, id, &request, 405, core),
            (_, Method::Other(_)) => self.reply(now, id, &request, 501, core),
        }
    }

    /// The dialog with the far end of this tag, and whether it may see a new offer.
    fn dialog_with(&mut self, far_tag: &str) -> Option<(&mut Dialog, bool)> {
        match (&mut self.dialog, &mut self.dialing) {
            (Some(dialog), _) if dialog.remote_tag() == far_tag => Some((dialog, true)),
            (None, Some(dialing)) => dialing.early(far_tag),
            (Some(_) | None, _) => None,
        }
    }

    fn reply(
        &self,
        now: Instant,
        id: TransactionId,
        request: &Request,
        status: u16,
        core: &mut Core,
    ) {
        let mut response = core.response(request, status, Some(&self.local_tag));
        if status == 500 {
            // RFC 3261 §14.2: from 0 to 10 seconds, so that both do not come back at once.
            response.headers.push(Name::RetryAfter, core.tokens.between(0, 10));
        }
        core.respond(now, id, &response);
    }

    fn hung_up(&mut self, now: Instant, id: TransactionId, bye: &Request, core: &mut Core) {
        self.reply(now, id, bye, 200, core);
        self.refer_ends(true, core);
        self.end(now, End::bye(bye), core);
    }

    /// INFO: what old devices send without a package is taken and means nothing to us; packages
    /// we did not ask for are refused (RFC 6086 §4.2.2).
    fn informed(&mut self, now: Instant, id: TransactionId, info: &Request, core: &mut Core) {
        let status = if info.headers.get_other("Info-Package").is_some() { 469 } else { 200 };
        self.reply(now, id, info, status, core);
    }

    /// A re-INVITE: an offer, or the wish for ours (§14.2).
    fn reinvited(
        &mut self,
        now: Instant,
        id: TransactionId,
        invite: Box<Request>,
        core: &mut Core,
    ) {
        if self.is_offering() {
            return self.reply(now, id, &invite, 491, core);
        }
        if self.offered.is_some() {
            return self.reply(now, id, &invite, 500, core);
        }
        let sdp = match Body::of(&invite.headers, &invite.body) {
            Body::Empty => None,
            Body::Other => return self.refuse_body(now, id, &invite, core),
            Body::Sdp(sdp) => Some(sdp),
        };
        // An INVITE after our 2xx says that the 2xx arrived, whatever became of its ACK.
        self.unacked = None;
        let trying = core.response(&invite, 100, None);
        core.respond(now, id, &trying);
        self.offer(now, id, invite, sdp, core);
    }

    /// UPDATE: a refresh, or an offer (RFC 3311 §5.2).
    fn updated(
        &mut self,
        now: Instant,
        id: TransactionId,
        update: Box<Request>,
        is_agreed: bool,
        core: &mut Core,
    ) {
        let sdp = match Body::of(&update.headers, &update.body) {
            Body::Empty => return self.refreshed_by_far(now, id, &update, core),
            Body::Other => return self.refuse_body(now, id, &update, core),
            Body::Sdp(sdp) => sdp,
        };
        if !is_agreed || self.is_offering() {
            return self.reply(now, id, &update, 491, core);
        }
        if self.offered.is_some() {
            return self.reply(now, id, &update, 500, core);
        }
        self.offer(now, id, update, Some(sdp), core);
    }

    /// Whether an offer of ours has no answer yet.
    fn is_offering(&self) -> bool {
        self.refresh.as_ref().is_some_and(|refresh| refresh.is_offer())
            || self.unacked.as_ref().is_some_and(|unacked| unacked.is_our_offer)
    }

    fn offer(
        &mut self,
        now: Instant,
        id: TransactionId,
        request: Box<Request>,
        sdp: Option<Bytes>,
        core: &mut Core,
    ) {
        let Ok(agreement) = self.agreement_for(&request, core) else {
            return self.refuse_interval(now, id, &request, core);
        };
        if let Some(transaction) = core.servers.get(id) {
            transaction.call = Some(self.key);
        }
        let (transaction, request, reply_by) = (id, *request, now + REPLY_MAX);
        self.offered = Some(Box::new(Offered { transaction, request, reply_by, agreement }));
        core.effects.push_back(Effect::Offered { call: self.key, sdp });
    }

    fn refreshed_by_far(
        &mut self,
        now: Instant,
        id: TransactionId,
        update: &Request,
        core: &mut Core,
    ) {
        let Ok(agreement) = self.agreement_for(update, core) else {
            return self.refuse_interval(now, id, update, core);
        };
        let response = self.grant(now, update, agreement, core);
        core.respond(now, id, &response);
    }

    fn refuse_body(&self, now: Instant, id: TransactionId, request: &Request, core: &mut Core) {
        let mut response = core.response(request, 415, Some(&self.local_tag));
        response.headers.push(Name::Accept, "application/sdp");
        response.headers.push(Name::AcceptEncoding, "identity");
        core.respond(now, id, &response);
    }

    fn refuse_interval(&self, now: Instant, id: TransactionId, request: &Request, core: &mut Core) {
        let mut response = core.response(request, 422, Some(&self.local_tag));
        response.headers.push(Name::MinSe, MIN_SE_S);
        core.respond(now, id, &response);
    }

    fn agreement_for(&self, request: &Request, core: &Core) -> Result<Option<Agreement>, TooBrief> {
        let asked = request.headers.session_expires().ok().flatten().map(|asked| {
            let interval_s = u32::try_from(asked.interval.as_secs()).unwrap_or(u32::MAX);
            let refresher = asked.refresher.map(|refresher| match refresher {
                Refresher::Uac => session::Refresher::Far,
                Refresher::Uas => session::Refresher::Us,
            });
            (interval_s, refresher)
        });
        let knows_timer = request.headers.supports("timer");
        let current = self.session.agreement();
        answer_refresh(asked, knows_timer, current, core.config.session_expires_s)
    }

    /// The 2xx to an INVITE or UPDATE, and what it means for target and session timer.
    fn grant(
        &mut self,
        now: Instant,
        request: &Request,
        agreement: Option<Agreement>,
        core: &Core,
    ) -> Response {
        if let Some((dialog, _)) = self.dialog_with(&far_tag(request)) {
            dialog.refresh_target(&request.headers);
        }
        self.learn(&request.headers);
        let mut response = core.response(request, 200, Some(&self.local_tag));
        let headers = &mut response.headers;
        // RFC 3261 §12.1.1 asks for Record-Route in what opens a dialog only.
        self.push_contact(headers, &self.way, core);
        headers.push(Name::Allow, ALLOW);
        headers.push(Name::Supported, "timer");
        let Some(agreed) = agreement else {
            self.session.handle(now, session::Input::Off);
            return response;
        };
        let written = match agreed.refresher {
            session::Refresher::Far => Refresher::Uac,
            session::Refresher::Us => Refresher::Uas,
        };
        if written == Refresher::Uac {
            headers.push(Name::Require, "timer");
        }
        let interval = Duration::from_secs(agreed.interval_s.into());
        let refresher = Some(written);
        headers.push(Name::SessionExpires, SessionExpires { interval, refresher });
        self.session.handle(now, session::Input::Agreed(agreed));
        response
    }
}

/// Replies of the engine.
impl Call {
    /// The engine accepts the offer under way.
    pub(super) fn answer(&mut self, now: Instant, sdp: Bytes, core: &mut Core) {
        let Some(offered) = self.offered.take() else { return };
        let Offered { transaction, request, agreement, .. } = *offered;
        let mut response = self.grant(now, &request, agreement, core);
        response.set_body("application/sdp", sdp.clone());
        self.local_sdp = sdp;
        let offer = Body::of(&request.headers, &request.body).sdp();
        if let (Some(dialing), Some(offer)) = (self.dialing.as_mut(), offer) {
            dialing.set_sdp(&far_tag(&request), offer);
        }
        let message = Bytes::from(response.to_bytes());
        if request.method == Method::Invite {
            let cseq = request.headers.cseq().map_or(0, |(cseq, _)| cseq);
            self.unacked = Some(Box::new(Unacked {
                transaction,
                message: message.clone(),
                cseq,
                is_our_offer: request.body.is_empty(),
                pause: T1,
                repeat_at: now + T1,
                give_up_at: now + PATIENCE,
            }));
        }
        core.respond_bytes(now, transaction, 200, message);
    }

    /// The engine refuses the offer under way.
    pub(super) fn reject(&mut self, now: Instant, status: u16, core: &mut Core) {
        let Some(offered) = self.offered.take() else { return };
        let status = if (400..700).contains(&status) { status } else { 488 };
        self.reply(now, offered.transaction, &offered.request, status, core);
    }

    /// The far end took its re-INVITE back (§9.2).
    pub(super) fn withdraw(&mut self, now: Instant, id: TransactionId, core: &mut Core) {
        if let Some(offered) = self.offered.take_if(|offered| offered.transaction == id) {
            self.reply(now, id, &offered.request, 487, core);
            core.effects.push_back(Effect::Withdrawn { call: self.key });
        }
    }

    /// The ACK of our 2xx arrived.
    pub(super) fn acked(&mut self, now: Instant, ack: &Request, core: &mut Core) {
        let cseq = ack.headers.cseq().map_or(0, |(cseq, _)| cseq);
        let Some(unacked) = self.unacked.take_if(|unacked| unacked.cseq == cseq) else { return };
        if let Some(transaction) = core.servers.get(unacked.transaction)
            && let ServerMachine::Invite(machine) = &mut transaction.machine
        {
            machine.handle(now, server_invite::Input::Ack);
            core.drain_server(now, unacked.transaction);
        }
        let sdp = Body::of(&ack.headers, &ack.body).sdp().filter(|_| unacked.is_our_offer);
        core.effects.push_back(Effect::Acked { call: self.key, sdp });
    }
}

/// Timers.
impl Call {
    /// Something is due: which of them, `deadline` has said.
    pub(super) fn expired(&mut self, now: Instant, core: &mut Core) {
        if let Some(offered) = self.offered.take_if(|offered| offered.reply_by <= now) {
            self.reply(now, offered.transaction, &offered.request, 500, core);
            core.effects.push_back(Effect::Withdrawn { call: self.key });
        }
        if self.unacked.as_ref().is_some_and(|unacked| unacked.give_up_at <= now) {
            let end = End::found(EndedBy::Timeout, Some(200), "no ACK to our answer");
            let reason = Reason::sip(408, "No ACK");
            return self.leave(now, Some(reason), end, core);
        }
        if let Some(unacked) = self.unacked.as_mut().filter(|unacked| unacked.repeat_at <= now) {
            unacked.pause = doubled(unacked.pause, T2);
            unacked.repeat_at = now + unacked.pause;
            let (id, message) = (unacked.transaction, unacked.message.clone());
            core.respond_bytes(now, id, 200, message);
        }
        self.refer_due(now, core);
        self.refresh_due(now, core);
    }
}

/// The tag of the far end that asks; empty for one of RFC 2543.
fn far_tag(request: &Request) -> Box<str> {
    let from = request.headers.from().ok();
    from.as_ref().and_then(|from| from.tag()).unwrap_or_default().into()
}

/// 420, where the request requires what we do not know (RFC 3261 §8.2.2.3).
pub(super) fn refuse_extensions(request: &Request, core: &mut Core) -> Option<Response> {
    let unknown: Vec<&str> =
        request.headers.require().filter(|tag| !tag.eq_ignore_ascii_case("timer")).collect();
    if unknown.is_empty() {
        return None;
    }
    let tag = core.tokens.token();
    let mut response = core.response(request, 420, Some(&tag));
    response.headers.push(Name::Unsupported, unknown.join(", "));
    Some(response)
}

/// 200 to OPTIONS (RFC 3261 §11.2).
pub(super) fn capabilities(request: &Request, core: &mut Core) -> Response {
    let tag = core.tokens.token();
    let mut response = core.response(request, 200, Some(&tag));
    let headers = &mut response.headers;
    headers.push(Name::Allow, ALLOW);
    headers.push(Name::Accept, "application/sdp");
    headers.push(Name::AcceptEncoding, "identity");
    headers.push(Name::Supported, "timer");
    response
}

/// How long the engine may take to reply to an offer: a far end waits 32 s for an UPDATE.
const REPLY_MAX: Duration = Duration::from_secs(8);
