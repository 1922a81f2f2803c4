//! One outgoing call: MACHINE from the INVITE to the last response to its BYE.
//!
//! `handle` takes what far end, engine and timers do; effects and transactions go to the [`Core`];
//! `deadline` says when it wants to be woken. Its phases' work is in `dialing`, `talking` and
//! `refresh`.

use std::time::Instant;

use bytes::Bytes;

use super::api::{CallKey, Effect, End, EndedBy, TrunkKey};
use super::core::{Core, next_target};
use super::dialing::Dialing;
use super::proof::Proofs;
use super::referring::{REPLACES, Refer};
use super::refresh::Refresh;
use super::tables::{Owner, Role, TransactionId};
use super::talking::{Offered, Unacked};
use crate::sip::dialog::Dialog;
use crate::sip::flow::Target;
use crate::sip::header::Headers;
use crate::sip::message::{Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::session::{self, SessionTimer};
use crate::sip::timers::{Armed, Timer};
use crate::sip::transaction::Finish;
use crate::sip::uri::Uri;
use crate::sip::value::Reason;

/// One outgoing call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) key: CallKey,
    pub(super) call_id: Box<str>,
    pub(super) trunk: TrunkKey,
    pub(super) phase: Phase,
    /// What the INVITE is made of, until it has its final response.
    pub(super) dialing: Option<Box<Dialing>>,
    /// The confirmed dialog.
    pub(super) dialog: Option<Box<Dialog>>,
    /// The way that the INVITE took.
    pub(super) way: Target,
    pub(super) local_tag: Box<str>,
    /// The user part of our Contact.
    pub(super) contact_user: Option<Box<str>>,
    /// Our last SDP: what a refresh by re-INVITE says again.
    pub(super) local_sdp: Bytes,
    /// Whether the far end takes UPDATE.
    pub(super) can_update: bool,
    /// Whether the far end knows Replaces (RFC 3891 §6.2).
    pub(super) knows_replaces: bool,
    /// The far end's shortest session interval, where it told one.
    pub(super) min_se_s: Option<u32>,
    pub(super) session: SessionTimer,
    /// The far end's offer that the engine has not replied to.
    pub(super) offered: Option<Box<Offered>>,
    /// Our 2xx to a re-INVITE that has no ACK yet.
    pub(super) unacked: Option<Box<Unacked>>,
    /// Our referral under way.
    pub(super) refer: Option<Box<Refer>>,
    /// Our refresh under way.
    pub(super) refresh: Option<Refresh>,
    pub(super) proofs: Proofs,
    /// The telephone network's cause, as the far end told it last.
    pub(super) q850: Option<u8>,
    /// What is said when the BYE is answered.
    end: Option<End>,
    /// BYEs that may still be sent anew because the first did not get through.
    byes_left: u8,
    pub(super) armed: Armed,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The INVITE has no final response.
    Dialing,
    /// The same, and the engine hung up.
    Canceling,
    /// Answered.
    Up,
    /// Our BYE has no final response.
    Leaving,
    /// `Ended` was said.
    Over,
}

/// What can happen to a call.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// The ACK of a 2xx of ours.
    Acked(&'a Request),
    /// The engine accepts the offer under way.
    Answer(Bytes),
    /// Our BYE was answered, or not.
    Bye(Outcome<'a>),
    /// The far end took its re-INVITE back.
    Canceled(TransactionId),
    /// Send the INVITE.
    Dial,
    /// A timer this machine asked for has run out.
    Expired,
    /// The engine hangs up.
    HangUp(Option<Reason>),
    /// The INVITE was answered, or not.
    Invite(TransactionId, Outcome<'a>),
    /// The engine wants the far end to call somebody else.
    Refer(Uri),
    /// The engine wants the far end to take our place in a call, which this address names; `None`:
    /// it cannot.
    ReferInPlace(Option<Uri>),
    /// Our REFER was answered, or not.
    Referred(Outcome<'a>),
    /// Our refresh was answered, or not.
    Refresh(TransactionId, Outcome<'a>),
    /// The engine refuses the offer under way.
    Reject(u16),
    /// The far end asks something, within the dialog.
    Request(TransactionId, Box<Request>),
}

/// What became of a request of ours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// The connection closed behind the request; it may have arrived.
    Closed,
    Failed(Finish),
    Response(&'a Response),
}

impl Event<'_> {
    /// For the log, which shows no messages.
    const fn name(&self) -> &'static str {
        match self {
            Self::Acked(_) => "acked",
            Self::Answer(_) => "answer",
            Self::Bye(_) => "bye",
            Self::Canceled(_) => "canceled",
            Self::Dial => "dial",
            Self::Expired => "expired",
            Self::HangUp(_) => "hang up",
            Self::Invite(..) => "invite",
            Self::Refer(_) => "refer",
            Self::ReferInPlace(_) => "refer in place",
            Self::Referred(_) => "referred",
            Self::Refresh(..) => "refresh",
            Self::Reject(_) => "reject",
            Self::Request(..) => "request",
        }
    }
}

impl Outcome<'_> {
    /// 100 to 699, or 0 where no response came.
    const fn status(self) -> u16 {
        match self {
            Self::Closed | Self::Failed(_) => 0,
            Self::Response(response) => response.status,
        }
    }
}

impl Call {
    /// A call that is about to be dialed; see `dial`.
    pub(super) fn new(dialing: Dialing, way: Target) -> Self {
        let invite = &dialing.invite;
        let is_plain = |user: &&str| user.bytes().all(|octet| octet.is_ascii_alphanumeric());
        let user = invite.from.uri.user().map(|user| user.trim_start_matches('+'));
        let user = user.filter(|_| invite.is_shown()).filter(is_plain);
        Self {
            key: invite.call,
            call_id: invite.identity.call_id.as_str().into(),
            trunk: invite.trunk,
            phase: Phase::Dialing,
            dialog: None,
            way,
            local_tag: invite.identity.from_tag.as_str().into(),
            contact_user: user.map(Into::into),
            local_sdp: invite.offer.clone(),
            can_update: false,
            knows_replaces: false,
            min_se_s: None,
            session: SessionTimer::default(),
            offered: None,
            unacked: None,
            refer: None,
            refresh: None,
            proofs: Proofs::default(),
            q850: None,
            end: None,
            byes_left: BYES_MAX,
            armed: None,
            dialing: Some(Box::new(dialing)),
        }
    }

    /// One thing happened.
    pub(super) fn handle(&mut self, now: Instant, event: Event<'_>, core: &mut Core) {
        use Outcome::{Closed, Failed, Response};
        use Phase::{Canceling, Dialing, Leaving, Over, Up};
        let status = match &event {
            Event::Bye(outcome) | Event::Invite(_, outcome) | Event::Refresh(_, outcome) => {
                outcome.status()
            }
            _ => 0,
        };
        match (self.phase, event, status) {
            (Dialing, Event::Dial, _) => self.dial(now, core),
            (Dialing, Event::HangUp(reason), _) => self.hang_up(now, reason, core),
            (Dialing, Event::Invite(_, Response(r)), 100..200) => self.progress(now, r, core),
            (Canceling, Event::Invite(..), 100..200) => self.cancel(now, core),
            (Dialing, Event::Invite(id, Response(r)), 200..300) => self.answered(now, id, r, core),
            (Canceling, Event::Invite(id, Response(r)), 200..300) => {
                self.answered_too_late(now, id, r, core);
            }
            (Dialing, Event::Invite(_, Response(r)), 401 | 407) => self.prove(now, r, core),
            (Dialing, Event::Invite(_, Response(r)), 421) => self.offer_reliable(now, r, core),
            (Dialing, Event::Invite(_, Response(r)), 422) => self.ask_longer(now, r, core),
            (Dialing, Event::Invite(_, Response(r)), 503) => self.unavailable(now, r, core),
            (Dialing | Canceling, Event::Invite(_, Response(r)), _) => self.refused(now, r, core),
            (Dialing, Event::Invite(_, Failed(Finish::Transport)), _) => {
                self.undelivered(now, core)
            }
            (Dialing, Event::Invite(_, Closed), _) => self.cut_off(now, core),
            (Dialing, Event::Invite(_, Failed(_)), _) => self.unanswered(now, core),
            (Canceling, Event::Invite(_, Closed | Failed(_)), _) => self.gave_up(now, core),

            (Up, Event::HangUp(reason), _) => self.leave(now, reason, End::us(), core),
            (Up, Event::Refer(to), _) => self.refer(now, to, core),
            (Up, Event::ReferInPlace(place), _) => self.refer_in_place(now, place, core),
            (Up, Event::Referred(outcome), _) => self.refer_answered(now, outcome, core),
            (Up, Event::Refresh(id, outcome), _) => self.refreshed(now, id, outcome, core),
            (Up, Event::Expired, _) => self.expired(now, core),
            // What crosses our BYE: a re-INVITE of ours is granted, and wants its ACK.
            (Leaving, Event::Refresh(id, Response(r)), 200..300) => self.acknowledge(id, r, core),
            (Leaving, Event::Bye(Response(r)), 401 | 407) => self.prove_bye(now, r, core),
            (Leaving, Event::Bye(Closed | Failed(Finish::Transport)), _) => {
                self.repeat_bye(now, core)
            }
            (Leaving, Event::Bye(_), 200..) => self.finish(now, core),
            (Leaving, Event::Bye(Failed(_)), _) => self.finish(now, core),

            (Dialing | Canceling | Up, Event::Answer(sdp), _) => self.answer(now, sdp, core),
            (Dialing | Canceling | Up, Event::Reject(status), _) => self.reject(now, status, core),
            (Dialing | Canceling | Up, Event::Canceled(id), _) => self.withdraw(now, id, core),
            (Dialing | Canceling, Event::Expired, _) => self.expired(now, core),
            (Dialing | Canceling | Up | Leaving, Event::Request(id, request), _) => {
                self.requested(now, id, request, core);
            }
            (Up, Event::Acked(ack), _) => self.acked(now, ack, core),
            // Late: provisional responses to a BYE, ACKs and replies that lost their race, a
            // second HangUp, a refresh refused after the goodbye.
            (Dialing | Canceling | Up | Leaving | Over, event, _) => {
                let event = event.name();
                tracing::trace!(call.id = self.key.0, phase = ?self.phase, event, "ignored");
            }
        }
    }

    /// When to wake this machine, and for what.
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        let offered = self.offered.as_ref().map(|offered| (offered.reply_by, Timer::Answer));
        let unacked = self.unacked.as_ref().map(|unacked| (unacked.next_at(), Timer::Ack));
        let again = self.refresh.as_ref().and_then(Refresh::again_at);
        let again = again.map(|at| (at, Timer::Again));
        let refer = self.refer.as_ref().map(|refer| (refer.give_up_at(), Timer::Refer));
        let all = [offered, unacked, again, refer, self.session.deadline()];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether `Ended` was said.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Ends the session with BYE; `Ended` follows when that is answered.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        reason: Option<Reason>,
        end: End,
        core: &mut Core,
    ) {
        self.phase = Phase::Leaving;
        self.end = Some(End { q850: end.q850.or(self.q850), ..end });
        self.stop_talking(now, core);
        if !self.bye(now, reason.as_ref(), None, core) {
            // Without room for a BYE the far end finds out by itself: the call is over for us.
            self.finish(now, core);
        }
    }

    /// Says `Ended`.
    pub(super) fn end(&mut self, now: Instant, end: End, core: &mut Core) {
        self.stop_talking(now, core);
        self.phase = Phase::Over;
        self.dialing = None;
        let end = End { q850: end.q850.or(self.q850), ..end };
        core.effects.push_back(Effect::Ended { call: self.key, end });
    }

    /// Says `Ended` as it was decided when the BYE was sent.
    pub(super) fn finish(&mut self, now: Instant, core: &mut Core) {
        let end = self.end.take().unwrap_or_else(End::us);
        self.end(now, end, core);
    }

    /// Nothing of the session is waited for any more; an offer under way is refused.
    pub(super) fn stop_talking(&mut self, now: Instant, core: &mut Core) {
        self.session.handle(now, session::Input::Off);
        self.refer_ends(false, core);
        self.refresh = None;
        self.unacked = None;
        if let Some(offered) = self.offered.take() {
            let response = core.response(&offered.request, 487, None);
            core.respond(now, offered.transaction, &response);
        }
    }

    /// The next request in the confirmed dialog, and where it goes.
    pub(super) fn request(&mut self, method: Method) -> Option<(Request, Target)> {
        let dialog = self.dialog.as_mut()?;
        let target = next_target(dialog, &self.way);
        let request = dialog.request(method);
        Some((request, target))
    }

    /// Our Contact by the way that this request or response goes.
    pub(super) fn push_contact(&self, headers: &mut Headers, target: &Target, core: &Core) {
        if let Some(contact) = core.contact(target.flow.transport, self.contact_user.as_deref()) {
            headers.push(Name::Contact, contact);
        }
    }

    /// Remembers what each response of the far end tells in passing.
    pub(super) fn learn(&mut self, headers: &Headers) {
        if let Some(cause) = headers.q850_cause().and_then(|cause| u8::try_from(cause).ok()) {
            self.q850 = Some(cause);
        }
        if headers.has(Name::Allow) {
            self.can_update = headers.allow().any(|method| method == Method::Update);
        }
        if headers.has(Name::Supported) {
            self.knows_replaces = headers.supported().any(|tag| tag.eq_ignore_ascii_case(REPLACES));
        }
    }

    fn bye(
        &mut self,
        now: Instant,
        reason: Option<&Reason>,
        challenge: Option<&Response>,
        core: &mut Core,
    ) -> bool {
        let Some((mut bye, target)) = self.request(Method::Bye) else { return false };
        if let Some(reason) = reason {
            bye.headers.push(Name::Reason, reason);
        }
        let owner = (self.trunk, Owner::Call(self.key, Role::Bye));
        core.authorize(self.trunk, &target, &mut self.proofs, challenge, &mut bye)
            && core.request(now, bye, &target, owner).is_some()
    }

    fn prove_bye(&mut self, now: Instant, response: &Response, core: &mut Core) {
        if !self.bye(now, None, Some(response), core) {
            self.finish(now, core);
        }
    }

    /// The connection closed under the BYE: a new one is opened for another, once.
    fn repeat_bye(&mut self, now: Instant, core: &mut Core) {
        let may_repeat = self.byes_left > 0;
        self.byes_left = 0;
        if !may_repeat || !self.bye(now, None, None, core) {
            self.finish(now, core);
        }
    }
}

impl End {
    /// The engine hung up an answered call.
    pub(super) fn us() -> Self {
        Self {
            by: EndedBy::Us,
            status: Some(200),
            q850: None,
            text: "hung up".into(),
            retry_after_s: None,
        }
    }

    /// What we found out ourselves.
    pub(super) fn found(by: EndedBy, status: Option<u16>, text: &str) -> Self {
        Self { by, status, q850: None, text: text.into(), retry_after_s: None }
    }

    /// What a final response says.
    pub(super) fn far(response: &Response) -> Self {
        let headers = &response.headers;
        Self {
            by: EndedBy::Far,
            status: Some(response.status),
            q850: headers.q850_cause().and_then(|cause| u8::try_from(cause).ok()),
            text: told(headers).unwrap_or_else(|| shortened(&response.reason)),
            retry_after_s: headers.retry_after().ok().flatten(),
        }
    }

    /// What the far end's BYE says.
    pub(super) fn bye(bye: &Request) -> Self {
        Self {
            by: EndedBy::Far,
            status: Some(200),
            q850: bye.headers.q850_cause().and_then(|cause| u8::try_from(cause).ok()),
            text: told(&bye.headers).unwrap_or_else(|| "hung up by the far end".into()),
            retry_after_s: None,
        }
    }
}

/// The words of the first Reason that has some.
fn told(headers: &Headers) -> Option<Box<str>> {
    let reasons = headers.reasons().ok()?;
    reasons.iter().find_map(|reason| reason.text.as_deref().map(shortened))
}

fn shortened(text: &str) -> Box<str> {
    text.chars().take(TEXT_CHARS_MAX).collect::<String>().into()
}

/// Longest text of a far end that is passed on, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// How often a BYE that did not get through is sent anew.
const BYES_MAX: u8 = 1;
