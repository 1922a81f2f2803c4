//! The embedded engine: one leg is one SIP call and one audio stream, wired to each other.

mod take_down;

use std::sync::Arc;

use domain::attempt::Attempt;
use domain::cause::Cause;
use domain::failover::{Reach, rang_nobody};
use domain::ids::{AttemptId, TrunkId};
use domain::number::Destination;
use domain::number::sip_address::SipNumber;
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use proto::rtp::source::Learning;
use proto::rtp::{Codec, Terms};
use proto::sdp::{AddressPolicy, Negotiation, NegotiationError, Privacy, Settings};
use proto::sip::identity::CallIdentity;
use proto::sip::ua::{
    CallKey, CallerId, DialogSeed, Effect, End, EndedBy, Input, Invite, TrunkKey,
};
use proto::sip::uri::Uri;
use proto::sip::value::NameAddr;
use proto::srtp::keys::MASTER_BYTES;
use proto::srtp::{MasterKey, Suite};

use super::LegEvent;
use crate::answered::{AnsweredCalls, Slot};
use crate::config::{HandOver, TrunkConfig};
use crate::journal::Journal;
use crate::rtp_io::{MediaEngine, MediaEvent, Sound, Stream, StreamStats};
use crate::sip_io::{CallEvents, Sip, address_of};

/// From of a caller who shows no number (RFC 3323 §4.1.1.3).
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// The embedded engine; clones are the same.
#[derive(Clone)]
pub(crate) struct NativeSwitch(Arc<Inner>);

struct Inner {
    answered: AnsweredCalls,
    /// Second legs that were sent, for a later process to take down.
    legs: AnsweredCalls,
    /// Who we are in Call-IDs.
    host: String,
    identity_key: [u8; 32],
    journal: Journal,
    media: MediaEngine,
    sip: Sip,
    trunks: Vec<TrunkConfig>,
}

/// What to dial.
#[derive(Clone, Debug)]
pub(crate) struct LegOrder<'a> {
    /// The leg's name: its attempt's, or below zero that of a second leg.
    pub(crate) key: i64,
    pub(crate) trunk: TrunkId,
    pub(crate) destination: &'a Destination,
    /// Further headers of its INVITE.
    pub(crate) headers: Vec<(String, String)>,
}

impl LegOrder<'_> {
    /// What a later process needs to cancel it: number and caller ID.
    fn seed(&self) -> DialogSeed {
        let caller_id = self.destination.caller_id().unwrap_or_default();
        DialogSeed::new(format!("{} {caller_id}", self.destination.dialed()))
    }
}

/// One leg.
pub(crate) struct Leg {
    answered: AnsweredCalls,
    call: CallKey,
    events: CallEvents,
    negotiation: Negotiation,
    sip: Sip,
    /// Where it is kept for a later process while it is answered.
    slot: Option<Slot>,
    /// The same of a second leg from its INVITE on.
    sent: Option<Slot>,
    /// `None` once the leg is over.
    stream: Option<Stream>,
    /// It is over, and is said to be once its audio is, too.
    ending: Option<Ending>,
    learning: Learning,
    trunk: TrunkId,
    is_ringing: bool,
    /// Something was heard of the callee, be it only that the call is on its way to him.
    is_heard: bool,
    /// Why we ended it, where that is not the call machine's wish.
    failure: Option<String>,
    /// The telephone network's cause, as an announcement told it before the end.
    q850: Option<u8>,
}

/// How a leg ended, and the figures of its audio while they are on their way.
struct Ending {
    end: End,
    stats: Option<BoxFuture<'static, StreamStats>>,
}

impl NativeSwitch {
    pub(crate) fn new(
        sip: Sip,
        media: MediaEngine,
        journal: Journal,
        (answered, legs): (AnsweredCalls, AnsweredCalls),
        trunks: Vec<TrunkConfig>,
        identity_key: [u8; 32],
        host: std::net::IpAddr,
    ) -> Self {
        let host = host.to_string();
        Self(Arc::new(Inner { answered, host, identity_key, journal, legs, media, sip, trunks }))
    }

    /// The trunks that are at this host, as it is configured: with its port, if it has one there.
    pub(crate) fn trunks_at(&self, address: &SipNumber) -> Vec<TrunkId> {
        let trunks = self.0.trunks.iter().filter(|trunk| trunk.is_at(address));
        trunks.map(|trunk| trunk.id).collect()
    }

    /// Who we are, to others.
    pub(crate) fn host(&self) -> &str {
        &self.0.host
    }

    /// Sends the INVITE of an attempt that is on disk. An error means that nothing was sent.
    pub(crate) fn dial(
        &self,
        now: Timestamp,
        attempt: &Attempt,
        destination: &Destination,
    ) -> Result<Leg, Cause> {
        let (key, trunk, headers) = (attempt.id.0, attempt.trunk, Vec::new());
        self.dial_leg(now, LegOrder { key, trunk, destination, headers })
    }

    /// Sends the INVITE of any leg; an error means that nothing was sent.
    pub(crate) fn dial_leg(&self, now: Timestamp, order: LegOrder<'_>) -> Result<Leg, Cause> {
        let inner = &*self.0;
        let failed = |text: String| Cause::local(text);
        let trunk = inner.trunks.iter().find(|trunk| trunk.id == order.trunk);
        let trunk = trunk.ok_or_else(|| failed("the trunk is not configured any more".into()))?;
        let stream = inner.media.open().map_err(|error| failed(error.to_string()))?;
        let mut negotiation = Negotiation::new(Settings {
            local: stream.local_rtp(),
            session_id: order.key.unsigned_abs(),
            codecs: trunk.codecs.clone(),
            policy: if trunk.allow_loopback {
                AddressPolicy::LoopbackAllowed
            } else {
                AddressPolicy::RemoteOnly
            },
            privacy: if trunk.srtp { private(AttemptId(order.key))? } else { Privacy::Plain },
        });
        let (key, trunk_id) = (order.key, order.trunk);
        // From here on the phone may ring: the disk must know before the network does.
        let sent = if key < 0 {
            let sent = inner.legs.keep(AttemptId(key), trunk_id, &order.seed());
            Some(sent.ok_or_else(|| failed("the file of legs cannot be written".into()))?)
        } else {
            self.sent(now, AttemptId(key))?;
            None
        };
        let invite = match self.invite(trunk, order, negotiation.offer()) {
            Ok(invite) => invite,
            Err(cause) => {
                sent.into_iter().for_each(Slot::forget);
                return Err(cause);
            }
        };
        let events = inner.sip.dial(invite);
        let events = events.ok_or_else(|| failed("SIP is overloaded".into()))?;
        Ok(Leg {
            answered: inner.answered.clone(),
            call: CallKey(key),
            events,
            failure: None,
            is_ringing: false,
            is_heard: false,
            learning: Learning::FirstPackets,
            negotiation,
            q850: None,
            sip: inner.sip.clone(),
            slot: None,
            ending: None,
            sent,
            stream: Some(stream),
            trunk: trunk_id,
        })
    }

    /// Writes down that something of an attempt may have been noticed: from here on it is not begun
    /// again unless somebody says so.
    pub(crate) fn sent(&self, now: Timestamp, attempt: AttemptId) -> Result<(), Cause> {
        let written = self.0.journal.sent(attempt, now);
        written.map_err(|error| Cause::local(format!("the journal cannot be written: {error}")))
    }

    /// Whether callees of this trunk are handed over by REFER.
    pub(crate) fn refers(&self, trunk: TrunkId) -> bool {
        let trunk = self.0.trunks.iter().find(|known| known.id == trunk);
        trunk.is_some_and(|trunk| trunk.transfer == HandOver::Refer)
    }

    /// Asks a leg's far end to call this number in our place, with these headers in its INVITE;
    /// [`LegEvent::Referred`] tells how that came out.
    pub(crate) fn refer(
        &self,
        leg: &Leg,
        to: &Destination,
        headers: &[(String, String)],
    ) -> Result<(), Cause> {
        let trunk = self.0.trunks.iter().find(|trunk| trunk.id == leg.trunk);
        let trunk = trunk.ok_or_else(|| Cause::local("the trunk is not configured any more"))?;
        let wrong = |error: &dyn std::fmt::Display| {
            Cause::local(format!("the number makes no SIP address: {error}"))
        };
        let mut uri = address_of(trunk, to.dialed()).map_err(|error| wrong(&error))?;
        // Headers of the INVITE that it leads to stand in the address (RFC 3515 §2.1).
        for (nth, (name, value)) in headers.iter().enumerate() {
            let value = value.replace(';', "%3B").replace('=', "%3D");
            let mark = if nth == 0 { '?' } else { '&' };
            let told = format!("{uri}{mark}{name}={value}");
            uri = Uri::parse(&told).map_err(|error| wrong(&error))?;
        }
        self.0.sip.tell(Input::Refer { call: leg.call, to: uri });
        Ok(())
    }

    /// Asks a leg's far end to take our place beside the other's, so that the two talk without us;
    /// [`LegEvent::Referred`] tells how that came out. `false`: their trunks do no such thing.
    pub(crate) fn refer_in_place(&self, leg: &Leg, other: &Leg) -> bool {
        let is_done = leg.trunk == other.trunk && self.refers(leg.trunk);
        if is_done {
            self.0.sip.tell(Input::ReferInPlaceOf { call: leg.call, other: other.call });
        }
        is_done
    }

    fn invite(
        &self,
        trunk: &TrunkConfig,
        order: LegOrder<'_>,
        offer: bytes::Bytes,
    ) -> Result<Box<Invite>, Cause> {
        let wrong = |what: &str, error: &dyn std::fmt::Display| {
            Cause::local(format!("{what} makes no SIP address: {error}"))
        };
        let LegOrder { key, destination, headers: beside, .. } = order;
        let to = address_of(trunk, destination.dialed()).map_err(|e| wrong("the number", &e))?;
        let caller_id = destination.caller_id().or(trunk.caller_id.as_deref());
        let (from, mut headers) = match caller_id {
            Some(number) => {
                let uri = address_of(trunk, number).map_err(|e| wrong("the caller ID", &e))?;
                (NameAddr::new(uri), Vec::new())
            }
            None => {
                let uri = Uri::parse(ANONYMOUS).map_err(|e| wrong("anonymous", &e))?;
                let from = NameAddr { display: Some("Anonymous".into()), ..NameAddr::new(uri) };
                (from, vec![("Privacy".to_owned(), "id".to_owned())])
            }
        };
        headers.extend(beside);
        Ok(Box::new(Invite {
            call: CallKey(key),
            trunk: TrunkKey(trunk.id.0),
            to,
            from,
            caller_id: CallerId::Shown,
            identity: CallIdentity::derive(&self.0.identity_key, key, trunk.id.0, &self.0.host),
            offer,
            headers,
        }))
    }
}

impl Leg {
    /// The next thing that happens. May be dropped and asked again; nothing is lost by it.
    pub(crate) async fn next(&mut self) -> LegEvent {
        loop {
            if let Some(event) = self.over().await {
                return event;
            }
            let event = tokio::select! {
                effect = self.events.recv() => match effect {
                    Some(effect) => self.signalled(effect),
                    None => Some(LegEvent::Ended(Cause::local("SIP has stopped"))),
                },
                event = heard(&mut self.stream) => self.heard(event),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The law in which we make what we send at present; `None` before anything is agreed.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.negotiation.stream().map(|stream| stream.codec.companded())
    }

    /// Whether the far end's keys come as events, and not only as tones in its sound.
    pub(crate) fn has_key_events(&self) -> bool {
        self.negotiation.stream().is_some_and(|stream| stream.telephone_event.is_some())
    }

    /// What it plays and hears, until it is over.
    pub(crate) fn sound(&self) -> Option<&Sound> {
        self.stream.as_deref()
    }

    /// Ends the call: CANCEL before its answer, BYE after it.
    pub(crate) fn hang_up(&self) {
        self.sip.tell(Input::HangUp { call: self.call, reason: None });
    }

    fn signalled(&mut self, effect: Effect) -> Option<LegEvent> {
        match effect {
            Effect::Progress { status, sdp, q850, .. } => {
                self.q850 = q850.or(self.q850);
                if let Some(sdp) = sdp {
                    // Early sound; what it cannot be agreed on now may be with the answer.
                    self.agree(&sdp).ok();
                }
                self.is_heard |= status > 100;
                let rings = matches!(status, 180..=183) && !self.is_ringing;
                self.is_ringing |= rings;
                rings.then_some(LegEvent::Ringing)
            }
            Effect::Answered { sdp, seed, .. } => {
                let attempt = AttemptId(self.call.0);
                self.is_heard = true;
                self.slot = seed.and_then(|seed| self.answered.keep(attempt, self.trunk, &seed));
                let agreed = match sdp {
                    Some(sdp) => self.agree(&sdp).map_err(|error| chain(&error)),
                    None => Err("the answer has no session description".into()),
                };
                match agreed {
                    Ok(()) => Some(LegEvent::Answered),
                    Err(error) => {
                        self.fail(format!("answered without usable audio: {error}"));
                        None
                    }
                }
            }
            Effect::Offered { sdp, .. } => {
                self.reply(sdp.as_deref());
                None
            }
            Effect::Acked { sdp: Some(sdp), .. } | Effect::Refreshed { sdp, .. } => {
                if let Err(error) = self.agree(&sdp) {
                    tracing::info!(call.id = self.call.0, %error, "audio stays as it was");
                }
                None
            }
            Effect::Referred { result, .. } => Some(LegEvent::Referred(result)),
            Effect::Ended { end, .. } => {
                [self.slot.take(), self.sent.take()].into_iter().flatten().for_each(Slot::forget);
                let stats = self.stream.take().map(|stream| stream.close().boxed());
                self.ending = Some(Ending { end, stats });
                None
            }
            _ => None,
        }
    }

    fn heard(&mut self, event: Option<MediaEvent>) -> Option<LegEvent> {
        match event {
            Some(MediaEvent::Failed(failure)) => {
                self.fail(failure.to_string());
                None
            }
            Some(MediaEvent::Key(key)) => Some(LegEvent::Key(key.to_char())),
            Some(MediaEvent::KeysSent) => Some(LegEvent::KeysSent),
            Some(MediaEvent::MarkReached(play, name)) => Some(LegEvent::MarkReached(play, name)),
            Some(MediaEvent::PlayEnded(play)) => Some(LegEvent::PlayEnded(play)),
            Some(MediaEvent::RemoteHeard) => None,
            Some(MediaEvent::RemoteSilent) => {
                tracing::info!(call.id = self.call.0, "no audio comes from the far end");
                None
            }
            None => {
                self.stream = None;
                None
            }
        }
    }

    /// Takes the far end's answer to our offer.
    fn agree(&mut self, answer: &[u8]) -> Result<(), NegotiationError> {
        let agreed = self.negotiation.answered(answer)?;
        self.connect(agreed.terms(self.learning));
        Ok(())
    }

    /// Lets sound flow as it was agreed.
    fn connect(&mut self, terms: Terms) {
        if let Some(stream) = &mut self.stream {
            stream.protect(self.negotiation.protection().cloned());
            stream.connect(terms);
        }
    }

    /// Answers the far end's offer, or offers where it has none.
    fn reply(&mut self, offer: Option<&[u8]>) {
        let call = self.call;
        let Some(offer) = offer else {
            let sdp = self.negotiation.offer();
            return self.sip.tell(Input::Answer { call, sdp });
        };
        match self.negotiation.answer(offer) {
            Ok((sdp, agreed)) => {
                self.connect(agreed.terms(self.learning));
                self.sip.tell(Input::Answer { call, sdp });
            }
            Err(error) => {
                tracing::info!(call.id = call.0, %error, "the far end's offer is refused");
                self.sip.tell(Input::Reject { call, status: error.status() });
            }
        }
    }

    /// Ends a call that is of no use.
    fn fail(&mut self, failure: String) {
        tracing::warn!(call.id = self.call.0, failure, "hanging up");
        self.failure.get_or_insert(failure);
        self.hang_up();
    }

    /// How it ended, once its audio has; kept until then, for nobody may wait so long.
    async fn over(&mut self) -> Option<LegEvent> {
        if let Some(Ending { stats: Some(closing), .. }) = &mut self.ending {
            let stats = closing.await;
            tracing::debug!(call.id = self.call.0, ?stats, "audio ended");
        }
        let Ending { end, .. } = self.ending.take()?;
        Some(self.ended(end))
    }

    fn ended(&mut self, end: End) -> LegEvent {
        let reach = match end.by {
            _ if self.is_heard || self.failure.is_some() => Reach::Unknown,
            EndedBy::NotSent | EndedBy::Unreachable => Reach::Nobody,
            EndedBy::Far => Reach::Refused,
            EndedBy::Timeout | EndedBy::Transport | EndedBy::Us => Reach::Unknown,
        };
        let cause = self.cause(end);
        if rang_nobody(reach, &cause) { LegEvent::Failed(cause) } else { LegEvent::Ended(cause) }
    }

    fn cause(&mut self, end: End) -> Cause {
        let q850 = end.q850.or(self.q850);
        match self.failure.take() {
            // An answer that was of no use is none.
            Some(text) => Cause { sip_status: None, q850: None, text },
            None => {
                // No INVITE left, or nobody took it: the network's words are not about the callee.
                let is_ours = matches!(end.by, EndedBy::NotSent | EndedBy::Unreachable);
                Cause {
                    sip_status: end.status,
                    q850: q850.filter(|_| !is_ours),
                    text: end.text.into(),
                }
            }
        }
    }
}

async fn heard(stream: &mut Option<Stream>) -> Option<MediaEvent> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// New keys for the sound of one call.
fn private(attempt: AttemptId) -> Result<Privacy, Cause> {
    let mut keys = Vec::with_capacity(Suite::ALL.len());
    for _ in Suite::ALL {
        let mut bytes = [0; MASTER_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            tracing::error!(call.id = %attempt, %error, "the system gives no keys");
            Cause::local("the system gives no random bytes for keys")
        })?;
        keys.push(MasterKey::new(bytes));
    }
    let keys = keys.try_into().expect("there is a key for each suite");
    Ok(Privacy::Srtp(keys))
}
