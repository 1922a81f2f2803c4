//! The front door of `sip`: MACHINE of a user agent that only calls out, holding all its calls.
//!
//! `handle` takes messages, timers and the engine's wishes; `poll` gives what to send and what
//! happened; `deadline` says when it wants to be woken. Feed one, drain all.

mod abandon;
mod admission;
mod api;
mod body;
mod call;
mod core;
mod dialing;
mod farewell;
mod probe;
mod proof;
mod receive;
mod referring;
mod refresh;
mod registering;
mod tables;
mod talking;
mod trunk;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Instant;

pub use super::auth::Credentials;
pub use super::flow::{Flow, Target, Transport};
pub use super::register::RegisterResult;
pub use super::timers::Timer;
pub use abandon::DialogSeed;
pub use api::{
    CallKey, CallerId, Contacts, Counters, Effect, End, EndedBy, FlowFailure, HostPort, Input,
    Invite, Limits, ProbeResult, TrunkKey, UaConfig,
};
pub use referring::Referral;

use admission::Admission;
use call::{Call, Event};
use core::{Core, Due};
use dialing::Dialing;

use super::timers::Armed;
use super::uri::Uri;

/// All calls, registrations and probes of one process.
#[derive(Debug)]
pub struct Ua {
    core: Core,
    admission: Admission,
    calls: HashMap<CallKey, Box<Call>>,
    by_call_id: HashMap<Box<str>, CallKey>,
}

impl Ua {
    /// A user agent without trunks and calls.
    ///
    /// From the seed and the identity key come all names that the engine does not choose; the
    /// seed must differ from run to run.
    pub fn new(config: UaConfig, seed: u64) -> Self {
        let limits = config.limits;
        Self {
            core: Core::new(config, seed),
            admission: Admission::new(limits.source_rate_per_s, limits.source_burst),
            calls: HashMap::new(),
            by_call_id: HashMap::new(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Abandon(invite) => self.abandon(now, &invite),
            Input::AbandonDialog { trunk, seed } => self.abandon_dialog(now, trunk, &seed),
            Input::Answer { call, sdp } => self.tell(now, call, Event::Answer(sdp)),
            Input::Expired(_) => self.fire(now),
            Input::FlowFailed { flow, failure } => self.flow_failed(now, flow, failure),
            Input::Framed { flow, frame } => self.framed(now, flow, *frame),
            Input::HangUp { call, reason } => self.tell(now, call, Event::HangUp(reason)),
            Input::Invite(invite) => self.invite(now, *invite),
            Input::Probe { trunk } => self.core.probe(now, trunk),
            Input::Received { flow, data } => self.received(now, flow, &data),
            Input::Refer { call, to } => self.tell(now, call, Event::Refer(to)),
            Input::ReferInPlaceOf { call, other } => {
                let place = self.place_of(call, other);
                self.tell(now, call, Event::ReferInPlace(place));
            }
            Input::Register { trunk, aor, expires_s } => {
                self.core.register(now, trunk, aor, expires_s);
            }
            Input::Reject { call, status } => self.tell(now, call, Event::Reject(status)),
            Input::Trunk { trunk, targets, sources, credentials } => {
                let in_use = self.addresses_in_use(trunk);
                self.core.set_trunk(trunk, targets, sources, in_use, credentials);
                let sources = self.core.trunks.values().flat_map(|trunk| trunk.sources());
                self.admission.set_trunks(sources);
            }
            Input::Unregister { trunk } => self.core.unregister(now, trunk),
        }
        self.settle();
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.core.effects.pop_front()
    }

    /// When to wake this machine, and for what.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        let (at, due) = self.core.deadlines.first()?;
        let timer = self.waits_for(due).map_or(Timer::Again, |(_, timer)| timer);
        Some((at, timer))
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Transactions of both sides, lingering ones included.
    pub fn transactions(&self) -> usize {
        self.core.clients.len() + self.core.servers.len()
    }

    /// What was dropped or left out so far.
    pub const fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Whether a connection from this address is worth accepting: a trunk has it.
    pub fn is_trunk_address(&self, address: IpAddr) -> bool {
        self.admission.is_trunk(address)
    }

    fn invite(&mut self, now: Instant, invite: Invite) {
        let key = invite.call;
        debug_assert!(!self.calls.contains_key(&key), "a call's key is free when it is dialed");
        if self.calls.contains_key(&key) {
            return;
        }
        let call_id: Box<str> = invite.identity.call_id.as_str().into();
        let refused = match self.core.choose(invite.trunk, now, &[]) {
            _ if self.calls.len() >= self.core.config.limits.calls_max => Err("too many calls"),
            _ if self.by_call_id.contains_key(&call_id) => Err("Call-ID is in use"),
            None => Err("trunk has no address"),
            Some(way) if self.core.config.contacts.of(way.flow.transport).is_none() => {
                Err("no contact for the trunk's transport")
            }
            Some(way) => Ok(way),
        };
        let way = match refused {
            Ok(way) => way,
            Err(text) => {
                let end = End::found(EndedBy::NotSent, None, text);
                return self.core.effects.push_back(Effect::Ended { call: key, end });
            }
        };
        let dialing = Dialing::new(invite, self.core.config.session_expires_s);
        self.calls.insert(key, Box::new(Call::new(dialing, way)));
        self.by_call_id.insert(call_id, key);
        self.call_event(now, key, Event::Dial);
    }

    /// Where the trunk's calls are up, for it may have moved meanwhile.
    fn addresses_in_use(&self, trunk: TrunkKey) -> Vec<IpAddr> {
        let calls = self.calls.values().filter(|call| call.trunk == trunk);
        let addresses = calls.map(|call| call.way.flow.peer.ip().to_canonical());
        addresses.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The address by which the far end of `call` takes our place in `other`, if it can.
    fn place_of(&self, call: CallKey, other: CallKey) -> Option<Uri> {
        let (call, other) = (self.calls.get(&call)?, self.calls.get(&other)?);
        let fits = call.key != other.key && call.trunk == other.trunk && call.knows_replaces;
        fits.then(|| other.place()).flatten()
    }

    fn tell(&mut self, now: Instant, key: CallKey, event: Event<'_>) {
        self.call_event(now, key, event);
    }

    /// Feeds a call and forgets it when it is over; whether there is such a call.
    fn call_event(&mut self, now: Instant, key: CallKey, event: Event<'_>) -> bool {
        let Some(call) = self.calls.get_mut(&key) else { return false };
        call.handle(now, event, &mut self.core);
        if call.is_over() {
            self.by_call_id.remove(&call.call_id);
            self.calls.remove(&key);
        } else {
            let deadline = call.deadline().map(|(at, _)| at);
            self.core.deadlines.arm(Due::Call(key), deadline, &mut call.armed);
        }
        true
    }

    /// Does all that is due.
    fn fire(&mut self, now: Instant) {
        while let Some((at, due)) = self.core.deadlines.due(now) {
            if self.disarm(at, due) {
                match self.waits_for(due) {
                    Some((deadline, timer)) if deadline <= now => self.expire(now, due, timer),
                    Some((deadline, _)) => self.arm(due, deadline),
                    None => {}
                }
            }
        }
    }

    fn expire(&mut self, now: Instant, due: Due, timer: Timer) {
        tracing::trace!(?due, ?timer, "expired");
        match due {
            Due::Call(key) => {
                self.call_event(now, key, Event::Expired);
            }
            Due::Client(id) => {
                if let Some(transaction) = self.core.clients.get(id) {
                    transaction.machine.expired(now, timer);
                    self.client_moved(now, id, FlowFailure::Unreachable);
                }
            }
            Due::Server(id) => {
                if let Some(transaction) = self.core.servers.get(id) {
                    transaction.machine.expired(now, timer);
                    self.core.drain_server(now, id);
                }
            }
            Due::Trunk(key) => self.core.registration_due(now, key, timer),
        }
    }

    /// Takes stale entries off the heap, so that `deadline` names one that is real.
    fn settle(&mut self) {
        while let Some((at, due)) = self.core.deadlines.first() {
            let is_armed = self.armed(due).is_some_and(|armed| *armed == Some(at));
            match self.waits_for(due).filter(|_| is_armed) {
                Some((deadline, _)) if deadline <= at => return,
                other => {
                    self.core.deadlines.drop_first();
                    if is_armed {
                        self.disarm(at, due);
                    }
                    if let Some((deadline, _)) = other {
                        self.arm(due, deadline);
                    }
                }
            }
        }
    }

    /// What the owner of a heap entry waits for now; `None` where it is gone or waits no more.
    fn waits_for(&self, due: Due) -> Option<(Instant, Timer)> {
        match due {
            Due::Call(key) => self.calls.get(&key)?.deadline(),
            Due::Client(id) => self.core.clients.deadline(id),
            Due::Server(id) => self.core.servers.deadline(id),
            Due::Trunk(key) => self.core.trunks.get(&key)?.registration.as_ref()?.deadline(),
        }
    }

    fn armed(&mut self, due: Due) -> Option<&mut Armed> {
        match due {
            Due::Call(key) => self.calls.get_mut(&key).map(|call| &mut call.armed),
            Due::Client(id) => self.core.clients.get(id).map(|client| &mut client.armed),
            Due::Server(id) => self.core.servers.get(id).map(|server| &mut server.armed),
            Due::Trunk(key) => self.core.trunks.get_mut(&key).map(|trunk| &mut trunk.armed),
        }
    }

    /// The entry of this instant came up; whether it was the one that counts.
    fn disarm(&mut self, at: Instant, due: Due) -> bool {
        match self.armed(due) {
            Some(armed) if *armed == Some(at) => {
                *armed = None;
                true
            }
            Some(_) | None => false,
        }
    }

    fn arm(&mut self, due: Due, deadline: Instant) {
        let mut armed = None;
        self.core.deadlines.arm(due, Some(deadline), &mut armed);
        if let Some(place) = self.armed(due) {
            *place = armed;
        }
    }
}

#[cfg(test)]
mod tests;
