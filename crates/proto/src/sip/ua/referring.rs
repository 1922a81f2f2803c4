//! Asks the far end to call somebody else in our place: REFER and its NOTIFYs (RFC 3515, RFC 4488);
//! or to take our place in a call that is up, with Replaces (RFC 3891, RFC 5589 §7).

use std::time::{Duration, Instant};

use super::api::Effect;
use super::call::{Call, Outcome, Phase};
use super::core::{ALLOW, Core};
use super::tables::{Owner, Role, TransactionId};
use crate::sip::message::{Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::uri::Uri;

/// How a referral came out: said once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referral {
    /// The far end has reached whom it was to call; or it took the task and wants to be left.
    Done,
    /// It called, and was refused with this status.
    Failed(u16),
    /// It does not take the task, and says this status; 0 where it said nothing.
    Refused(u16),
    /// It took the task, and then nothing was heard, or nothing of a result.
    Unknown,
}

/// A referral under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refer {
    to: Whom,
    stage: Stage,
    /// The number of our REFER, which names its subscription (RFC 3515 §2.4.6).
    cseq: u32,
    give_up_at: Instant,
}

/// Whom the far end is to call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    /// Somebody who is not called yet.
    Another(Uri),
    /// Who talks with us in another call, which the new one replaces.
    Partner(Uri),
}

impl Whom {
    const fn uri(&self) -> &Uri {
        match self {
            Self::Another(uri) | Self::Partner(uri) => uri,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The REFER has no final response.
    Asked,
    /// The far end does it; NOTIFYs tell how it goes.
    Accepted,
}

/// What a NOTIFY says of a referral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Notice {
    /// The status of the far end's own INVITE, where it names one.
    status: Option<u16>,
    /// Whether no further NOTIFY comes.
    is_last: bool,
}

impl Refer {
    pub(super) const fn give_up_at(&self) -> Instant {
        self.give_up_at
    }

    /// Whether the far end has taken the task.
    const fn is_accepted(&self) -> bool {
        matches!(self.stage, Stage::Accepted)
    }
}

impl Call {
    /// The engine wants the far end to call somebody else. One referral at a time.
    pub(super) fn refer(&mut self, now: Instant, to: Uri, core: &mut Core) {
        if self.refer.is_none() {
            self.send_refer(now, Whom::Another(to), None, core);
        }
    }

    /// The engine wants the far end to take our place in another call.
    pub(super) fn refer_in_place(&mut self, now: Instant, place: Option<Uri>, core: &mut Core) {
        match place {
            _ if self.refer.is_some() => {}
            Some(place) => self.send_refer(now, Whom::Partner(place), None, core),
            None => self.referral(Referral::Refused(0), core),
        }
    }

    /// The address that has whoever calls it take our place in this call: its far end's own, with
    /// Replaces as that far end sees the dialog, whose local tag is its own (RFC 3891 §3).
    ///
    /// Who does not know the header must not ring the far end for it: Require says so.
    pub(super) fn place(&self) -> Option<Uri> {
        let dialog = self.dialog.as_ref().filter(|_| self.phase == Phase::Up)?;
        let remote_tag = Some(dialog.remote_tag()).filter(|tag| !tag.is_empty())?;
        if !self.knows_replaces {
            return None;
        }
        let (call_id, local_tag) = (&self.call_id, &self.local_tag);
        let replaced = format!("{call_id};to-tag={remote_tag};from-tag={local_tag}");
        let uri = dialog.remote_target().with_header("Replaces", &replaced)?;
        uri.with_header("Require", REPLACES)
    }

    fn send_refer(
        &mut self,
        now: Instant,
        to: Whom,
        challenge: Option<&Response>,
        core: &mut Core,
    ) {
        let Some((mut request, target)) = self.request(Method::Refer) else {
            return self.referral(Referral::Refused(0), core);
        };
        let cseq = request.headers.cseq().map_or(0, |(cseq, _)| cseq);
        let headers = &mut request.headers;
        self.push_contact(headers, &target, core);
        headers.push(Name::ReferTo, format_args!("<{}>", to.uri()));
        headers.push(Name::Allow, format_args!("{ALLOW}, NOTIFY"));
        if matches!(to, Whom::Another(_)) {
            // Who cannot tell how it goes says so (RFC 4488 §4). Of a place that is to be taken it
            // must be known: until then we keep it.
            headers.push(Name::Supported, "norefersub");
        }
        let owner = (self.trunk, Owner::Call(self.key, Role::Refer));
        let is_sent =
            core.authorize(self.trunk, &target, &mut self.proofs, challenge, &mut request)
                && core.request(now, request, &target, owner).is_some();
        if !is_sent {
            return self.referral(Referral::Refused(0), core);
        }
        let give_up_at = now + ASKED_TIME_MAX;
        self.refer = Some(Box::new(Refer { to, stage: Stage::Asked, cseq, give_up_at }));
    }

    /// Our REFER was answered, or not.
    pub(super) fn refer_answered(&mut self, now: Instant, outcome: Outcome<'_>, core: &mut Core) {
        let response = match outcome {
            Outcome::Response(response) if response.is_provisional() => return,
            Outcome::Response(response) => response,
            Outcome::Closed | Outcome::Failed(_) => {
                return self.referral(Referral::Refused(0), core);
            }
        };
        let Some(refer) = &mut self.refer else { return };
        match response.status {
            200..300 if refer.is_accepted() => {}
            200..300 if says_no_subscription(response) && matches!(refer.to, Whom::Another(_)) => {
                self.referral(Referral::Done, core);
            }
            200..300 => {
                refer.stage = Stage::Accepted;
                refer.give_up_at = now + FIRST_NOTICE_MAX;
            }
            401 | 407 => {
                let to = refer.to.clone();
                self.refer = None;
                self.send_refer(now, to, Some(response), core);
            }
            status => self.referral(Referral::Refused(status), core),
        }
    }

    /// NOTIFY: of our referral; others are not known here (RFC 6665 §4.1.3).
    pub(super) fn notified(
        &mut self,
        now: Instant,
        id: TransactionId,
        notify: &Request,
        core: &mut Core,
    ) {
        let event = notify.headers.get(Name::Event).unwrap_or_default();
        let status = match (is_referral(event), &self.refer) {
            (false, _) => 489,
            (true, Some(refer)) if names(event, refer.cseq) => 200,
            (true, _) => 481,
        };
        let response = core.response(notify, status, Some(&self.local_tag));
        core.respond(now, id, &response);
        let Some(refer) = self.refer.as_mut().filter(|_| status == 200) else { return };
        // It may overtake the response to the REFER.
        refer.stage = Stage::Accepted;
        refer.give_up_at = now + NEXT_NOTICE_MAX;
        let notice = Notice::read(notify);
        match notice {
            Notice { status: Some(200..300), .. } => self.referral(Referral::Done, core),
            Notice { status: Some(status @ 300..700), .. } => {
                self.referral(Referral::Failed(status), core);
            }
            Notice { is_last: true, .. } => self.referral(Referral::Unknown, core),
            Notice { is_last: false, .. } => {}
        }
    }

    /// Something is due: maybe the far end was silent for too long.
    pub(super) fn refer_due(&mut self, now: Instant, core: &mut Core) {
        match &self.refer {
            Some(refer) if refer.give_up_at > now => {}
            Some(refer) if refer.is_accepted() => self.referral(Referral::Unknown, core),
            Some(_) => self.referral(Referral::Refused(0), core),
            None => {}
        }
    }

    /// The call ends: a far end that had taken the task and hangs up has done it.
    pub(super) fn refer_ends(&mut self, is_left_by_far: bool, core: &mut Core) {
        if self.refer.as_ref().is_some_and(|refer| refer.is_accepted() && is_left_by_far) {
            self.referral(Referral::Done, core);
        }
        self.refer = None;
    }

    fn referral(&mut self, result: Referral, core: &mut Core) {
        self.refer = None;
        core.effects.push_back(Effect::Referred { call: self.key, result });
    }
}

impl Notice {
    fn read(notify: &Request) -> Self {
        let state = notify.headers.get(Name::SubscriptionState).unwrap_or_default();
        let state = state.split(';').next().unwrap_or_default().trim();
        let content = notify.headers.get(Name::ContentType).unwrap_or_default();
        let content = content.split(';').next().unwrap_or_default().trim();
        let status = content
            .eq_ignore_ascii_case("message/sipfrag")
            .then(|| status_line(&notify.body))
            .flatten();
        Self { status, is_last: state.eq_ignore_ascii_case("terminated") }
    }
}

/// The status of a fragment's first line, `SIP/2.0 200 OK` (RFC 3420).
fn status_line(body: &[u8]) -> Option<u16> {
    let line = body.split(|octet| matches!(octet, b'\r' | b'\n')).next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let is_status = words.next()?.eq_ignore_ascii_case("SIP/2.0");
    let status = words.next().filter(|digits| digits.len() == 3)?.parse().ok()?;
    (is_status && (100..700).contains(&status)).then_some(status)
}

/// Whether an event is that of referrals.
fn is_referral(event: &str) -> bool {
    event.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("refer")
}

/// Whether an event is of the REFER with this number: `refer;id=93809823`, or without an id.
fn names(event: &str, cseq: u32) -> bool {
    let mut parameters = event.split(';').skip(1).filter_map(|one| one.split_once('='));
    let id = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("id"));
    id.is_none_or(|(_, id)| id.trim().parse() == Ok(cseq))
}

/// `Refer-Sub: false`: no NOTIFY will come (RFC 4488 §4).
fn says_no_subscription(response: &Response) -> bool {
    let said = response.headers.get_other("Refer-Sub").unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("false")
}

/// The option tag of RFC 3891.
pub(super) const REPLACES: &str = "replaces";
/// Longest wait for an answer to a REFER; its transaction gives up before (timer F).
const ASKED_TIME_MAX: Duration = Duration::from_secs(40);
/// Longest wait for the first NOTIFY, which is to come at once (RFC 3515 §2.4.4).
const FIRST_NOTICE_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the next one: a phone rings for three minutes at most (RFC 3261 §16.6, timer C).
const NEXT_NOTICE_MAX: Duration = Duration::from_secs(185);
