//! Keeps an answered call fresh: RFC 4028 by UPDATE (RFC 3311) or re-INVITE without a change.

use std::time::{Duration, Instant};

use super::api::{Effect, End, EndedBy};
use super::body::Body;
use super::call::{Call, Outcome};
use super::core::{ALLOW, Core, next_target};
use super::tables::{Owner, Role, TransactionId};
use crate::sip::message::{Method, Response};
use crate::sip::name::Name;
use crate::sip::session::{self, Agreement, SESSION_EXPIRES_MAX_S};
use crate::sip::value::{Reason, Refresher, SessionExpires};

/// Our refresh, under way or put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// Both sides asked at once (491): again then (RFC 3261 §14.1).
    Later(Instant),
    /// A re-INVITE, which holds an offer.
    Reinvite,
    /// An UPDATE without offer.
    Update,
}

impl Refresh {
    /// Whether an offer of ours is under way.
    pub(super) const fn is_offer(&self) -> bool {
        matches!(self, Self::Reinvite)
    }

    pub(super) const fn again_at(&self) -> Option<Instant> {
        match self {
            Self::Later(at) => Some(*at),
            Self::Reinvite | Self::Update => None,
        }
    }
}

impl Call {
    /// Takes over what a 2xx to a request of ours says about the session timer.
    pub(super) fn agree(&mut self, now: Instant, response: &Response) {
        let said = response.headers.session_expires().ok().flatten();
        let input = said.map_or(session::Input::Off, |said| {
            let interval_s = u32::try_from(said.interval.as_secs()).unwrap_or(u32::MAX);
            let refresher = match said.refresher {
                Some(Refresher::Uas) => session::Refresher::Far,
                // RFC 4028 §7.2 wants it said; a far end that did not say it will not refresh.
                Some(Refresher::Uac) | None => session::Refresher::Us,
            };
            session::Input::Agreed(Agreement { interval_s, refresher })
        });
        self.session.handle(now, input);
    }

    /// Does what is due of session timer and put-off refresh.
    pub(super) fn refresh_due(&mut self, now: Instant, core: &mut Core) {
        if let Some((at, timer)) = self.session.deadline()
            && at <= now
        {
            self.session.handle(now, session::Input::Expired(timer));
        }
        while let Some(effect) = self.session.poll() {
            match effect {
                session::Effect::Refresh => self.send_refresh(now, core),
                session::Effect::GiveUp => {
                    let end = End::found(EndedBy::Timeout, Some(200), "session expired");
                    return self.leave(now, Some(Reason::sip(408, "Session expired")), end, core);
                }
            }
        }
        if self.refresh.as_ref().and_then(Refresh::again_at).is_some_and(|at| at <= now) {
            self.refresh = None;
            self.send_refresh(now, core);
        }
    }

    fn send_refresh(&mut self, now: Instant, core: &mut Core) {
        if self.offered.is_some() || self.refresh.is_some() {
            // The far end is changing the session: that will refresh it too.
            return self.session.handle(now, session::Input::RefreshFailed);
        }
        let refresh = if self.can_update { Refresh::Update } else { Refresh::Reinvite };
        self.send_refresh_by(now, refresh, None, core);
    }

    /// Sends it, or puts it off.
    fn send_refresh_by(
        &mut self,
        now: Instant,
        refresh: Refresh,
        challenge: Option<&Response>,
        core: &mut Core,
    ) {
        if self.try_refresh(now, refresh, challenge, core).is_some() {
            self.refresh = Some(refresh);
        } else {
            self.session.handle(now, session::Input::RefreshFailed);
        }
    }

    fn try_refresh(
        &mut self,
        now: Instant,
        refresh: Refresh,
        challenge: Option<&Response>,
        core: &mut Core,
    ) -> Option<TransactionId> {
        let agreement = self.session.agreement()?;
        let method = if refresh.is_offer() { Method::Invite } else { Method::Update };
        let (mut request, target) = self.request(method)?;
        let headers = &mut request.headers;
        self.push_contact(headers, &target, core);
        headers.push(Name::Allow, ALLOW);
        headers.push(Name::Supported, "timer");
        let interval = Duration::from_secs(agreement.interval_s.into());
        let refresher = Some(Refresher::Uac);
        headers.push(Name::SessionExpires, SessionExpires { interval, refresher });
        if let Some(min_se_s) = self.min_se_s {
            headers.push(Name::MinSe, min_se_s);
        }
        if refresh.is_offer() {
            request.set_body("application/sdp", self.local_sdp.clone());
        }
        let owner = (self.trunk, Owner::Call(self.key, Role::Refresh));
        core.authorize(self.trunk, &target, &mut self.proofs, challenge, &mut request)
            .then(|| core.request(now, request, &target, owner))?
    }

    /// Our refresh was answered, or not.
    pub(super) fn refreshed(
        &mut self,
        now: Instant,
        id: TransactionId,
        outcome: Outcome<'_>,
        core: &mut Core,
    ) {
        let response = match outcome {
            Outcome::Response(response) if response.is_provisional() => return,
            Outcome::Response(response) => response,
            Outcome::Closed | Outcome::Failed(_) => {
                self.refresh = None;
                return self.lost(now, None, core);
            }
        };
        let refresh = self.refresh.take();
        match (response.status, refresh) {
            (200..300, _) => self.refresh_granted(now, id, response, core),
            (401 | 407, Some(refresh)) => {
                self.send_refresh_by(now, refresh, Some(response), core);
            }
            (405 | 501, Some(Refresh::Update)) => {
                self.can_update = false;
                self.send_refresh_by(now, Refresh::Reinvite, None, core);
            }
            // RFC 3261 §12.2.1.2: the far end knows the dialog no more, or is gone.
            (408 | 481, _) => self.lost(now, Some(response.status), core),
            (422, Some(refresh)) if self.take_min_se(now, response) => {
                self.send_refresh_by(now, refresh, None, core);
            }
            (491, _) => {
                // We own the Call-ID, so we wait the longer time (RFC 3261 §14.1).
                let pause = core.tokens.duration(GLARE_MIN, GLARE_MAX);
                self.refresh = Some(Refresh::Later(now + pause));
            }
            _ => self.session.handle(now, session::Input::RefreshFailed),
        }
    }

    fn refresh_granted(
        &mut self,
        now: Instant,
        id: TransactionId,
        response: &Response,
        core: &mut Core,
    ) {
        self.learn(&response.headers);
        if let Some(dialog) = self.dialog.as_mut() {
            dialog.refresh_target(&response.headers);
        }
        self.acknowledge(id, response, core);
        let is_answer = matches!(response.headers.cseq(), Ok((_, Method::Invite)));
        let sdp = Body::of(&response.headers, &response.body).sdp().filter(|_| is_answer);
        if let Some(sdp) = sdp {
            core.effects.push_back(Effect::Refreshed { call: self.key, sdp });
        }
        self.agree(now, response);
    }

    /// Sends the ACK of a 2xx, if it was a re-INVITE that was granted.
    pub(super) fn acknowledge(&mut self, id: TransactionId, response: &Response, core: &mut Core) {
        let Some(dialog) = self.dialog.as_ref() else { return };
        let Ok((cseq, Method::Invite)) = response.headers.cseq() else { return };
        let target = next_target(dialog, &self.way);
        core.acknowledge(id, dialog.remote_tag(), dialog.ack(cseq), target);
    }

    /// 422: whether a longer interval can be asked for.
    fn take_min_se(&mut self, now: Instant, response: &Response) -> bool {
        let min_se_s = response.headers.min_se().ok().flatten();
        let current = self.session.agreement();
        let (Some(min_se_s), Some(current)) = (min_se_s, current) else { return false };
        if min_se_s <= current.interval_s || min_se_s > SESSION_EXPIRES_MAX_S {
            return false;
        }
        self.min_se_s = Some(min_se_s);
        self.session.handle(now, session::Input::Lengthen { interval_s: min_se_s });
        true
    }

    /// The far end is gone: BYE all the same, it may hear it.
    fn lost(&mut self, now: Instant, status: Option<u16>, core: &mut Core) {
        let (by, text) = match status {
            Some(481) => (EndedBy::Far, "far end knows the call no more"),
            _ => (EndedBy::Timeout, "no response to the session refresh"),
        };
        let reason = Reason::sip(408, "Session refresh failed");
        self.leave(now, Some(reason), End::found(by, Some(200), text), core);
    }
}

/// Pause before a refresh is tried again that met one of the far end (RFC 3261 §14.1).
const GLARE_MIN: Duration = Duration::from_millis(2_100);

/// The same at most.
const GLARE_MAX: Duration = Duration::from_millis(4_000);
