//! What all parts of the user agent work with: transactions, trunks, timers, and the way out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;

use super::admission::Bucket;
use super::api::{CallKey, Counters, Effect, HostPort, TrunkKey, UaConfig};
use super::tables::{Acknowledged, ClientMachine, Clients, Owner, Servers, TransactionId};
use super::trunk::Trunk;
use crate::sip::dialog::Dialog;
use crate::sip::flow::{Flow, Target, Transport};
use crate::sip::message::{Method, Request, Response, reason_phrase};
use crate::sip::name::Name;
use crate::sip::timers::Deadlines;
use crate::sip::tokens::Tokens;
use crate::sip::transaction::{self, Client, ClientInvite, Finish, REPEATS_MAX};
use crate::sip::uri::Uri;
use crate::sip::value::{NameAddr, Via};

/// Methods that we take, in or out of a dialog.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO";

/// Who waits in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Call(CallKey),
    Client(TransactionId),
    Server(TransactionId),
    Trunk(TrunkKey),
}

/// What all parts of the user agent work with.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: UaConfig,
    pub(super) tokens: Tokens,
    pub(super) trunks: BTreeMap<TrunkKey, Trunk>,
    pub(super) clients: Clients,
    pub(super) servers: Servers,
    pub(super) deadlines: Deadlines<Due>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) counters: Counters,
    resends: Bucket,
}

/// What a transaction said when it was drained.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drained {
    /// What it was fed goes up.
    pub(super) deliver: bool,
    /// It is over, and was removed.
    pub(super) finish: Option<Finish>,
}

impl Core {
    pub(super) fn new(config: UaConfig, seed: u64) -> Self {
        let resends_per_s = config.limits.resends_per_s;
        Self {
            tokens: Tokens::new(&config.identity_key, seed),
            config,
            trunks: BTreeMap::new(),
            clients: Clients::default(),
            servers: Servers::default(),
            deadlines: Deadlines::default(),
            effects: VecDeque::new(),
            counters: Counters::default(),
            resends: Bucket::new(resends_per_s, resends_per_s),
        }
    }

    /// Sends a request in a transaction of its own; its Via is added here.
    ///
    /// `None` where there is no room for it, or no way to be reached by that transport.
    pub(super) fn request(
        &mut self,
        now: Instant,
        request: Request,
        target: &Target,
        owner: (TrunkKey, Owner),
    ) -> Option<TransactionId> {
        let branch = self.tokens.branch();
        self.request_as(now, request, target, owner, &branch)
    }

    /// The same with a branch that was chosen before.
    pub(super) fn request_as(
        &mut self,
        now: Instant,
        mut request: Request,
        target: &Target,
        owner: (TrunkKey, Owner),
        branch: &str,
    ) -> Option<TransactionId> {
        let transport = target.flow.transport;
        if self.clients.len() >= self.config.limits.transactions_max {
            return None;
        }
        // A CANCEL brings the Via of its INVITE.
        if request.method != Method::Cancel {
            let via = self.via(transport, branch)?;
            request.headers.insert_top(Name::Via, via);
            if let Some(agent) = &self.config.user_agent {
                request.headers.push(Name::UserAgent, agent);
            }
        }
        let machine = match request.method {
            Method::Invite => ClientMachine::Invite(ClientInvite::new(now, &request, transport)),
            _ => {
                let message = Bytes::from(request.to_bytes());
                ClientMachine::Other(Client::new(now, message, transport))
            }
        };
        let (name, target) = ((branch, &request.method), target.clone());
        let id = self.clients.insert(name, machine, target, owner)?;
        self.drain_client(now, id);
        Some(id)
    }

    /// Sends the ACK of a 2xx, and again for each repetition of that 2xx.
    pub(super) fn acknowledge(
        &mut self,
        id: TransactionId,
        tag: &str,
        mut ack: Request,
        target: Target,
    ) {
        let branch = self.tokens.branch();
        let Some(via) = self.via(target.flow.transport, &branch) else { return };
        ack.headers.insert_top(Name::Via, via);
        let ack = Bytes::from(ack.to_bytes());
        self.send(&target, ack.clone());
        if let Some(transaction) = self.clients.get(id)
            && transaction.acks.len() < FORKS_MAX
        {
            let tag = tag.into();
            let acknowledged = Acknowledged { tag, ack, target, repeats_left: REPEATS_MAX };
            transaction.acks.push(acknowledged);
        }
    }

    /// Answers a 2xx that was acknowledged before; whether it was.
    pub(super) fn acknowledge_again(&mut self, id: TransactionId, tag: &str) -> bool {
        let Some(transaction) = self.clients.get(id) else { return false };
        let is_full = transaction.acks.len() >= FORKS_MAX;
        let Some(known) = transaction.acks.iter_mut().find(|known| *known.tag == *tag) else {
            // More forks than any network makes: the rest gets silence.
            return is_full;
        };
        if known.repeats_left > 0 {
            known.repeats_left -= 1;
            let (target, ack) = (known.target.clone(), known.ack.clone());
            self.send(&target, ack);
        }
        true
    }

    /// Does what a client transaction wants; its owner removes it when it is over.
    pub(super) fn drain_client(&mut self, now: Instant, id: TransactionId) -> Drained {
        let Self { clients, effects, resends, counters, deadlines, .. } = self;
        let mut drained = Drained::default();
        let Some(transaction) = clients.get(id) else { return drained };
        while let Some(effect) = transaction.machine.poll() {
            match effect {
                transaction::Effect::Deliver => drained.deliver = true,
                transaction::Effect::Resend(_) if !resends.take(now) => {
                    counters.resends_suppressed += 1;
                }
                transaction::Effect::Resend(data) | transaction::Effect::Send(data) => {
                    effects.push_back(send(&transaction.target, data));
                }
                transaction::Effect::Terminated(finish) => drained.finish = Some(finish),
            }
        }
        let deadline = transaction.machine.deadline().map(|(at, _)| at);
        deadlines.arm(Due::Client(id), deadline, &mut transaction.armed);
        if !transaction.machine.is_open() {
            let flow = transaction.target.flow;
            clients.settled(flow, id);
        }
        drained
    }

    /// Does what a server transaction wants; removes it when it is over.
    pub(super) fn drain_server(&mut self, now: Instant, id: TransactionId) {
        let Self { servers, effects, resends, counters, deadlines, .. } = self;
        let Some(transaction) = servers.get(id) else { return };
        let mut is_over = false;
        let flow = transaction.flow;
        while let Some(effect) = transaction.machine.poll() {
            match effect {
                // An ACK that was matched to its dialog already went up.
                transaction::Effect::Deliver => {}
                transaction::Effect::Resend(_) if !resends.take(now) => {
                    counters.resends_suppressed += 1;
                }
                transaction::Effect::Resend(data) | transaction::Effect::Send(data) => {
                    effects.push_back(Effect::Send { flow, server_name: None, data });
                }
                transaction::Effect::Terminated(_) => is_over = true,
            }
        }
        let deadline = transaction.machine.deadline().map(|(at, _)| at);
        deadlines.arm(Due::Server(id), deadline, &mut transaction.armed);
        if is_over {
            servers.remove(id);
        }
    }

    /// Answers a request within its transaction.
    pub(super) fn respond(&mut self, now: Instant, id: TransactionId, response: &Response) {
        self.respond_bytes(now, id, response.status, response.to_bytes().into());
    }

    /// The same with a response that is written already.
    pub(super) fn respond_bytes(
        &mut self,
        now: Instant,
        id: TransactionId,
        status: u16,
        message: Bytes,
    ) {
        if let Some(transaction) = self.servers.get(id) {
            transaction.machine.respond(now, status, message);
            self.drain_server(now, id);
        }
    }

    /// A response with the headers that each of ours has.
    pub(super) fn response(&self, request: &Request, status: u16, tag: Option<&str>) -> Response {
        let reason = match status {
            469 => "Bad Info Package",
            489 => "Bad Event",
            _ => reason_phrase(status),
        };
        let mut response = Response::to_request(request, status, reason, tag);
        response.headers.copy_from(&request.headers, Name::Timestamp);
        if let Some(agent) = &self.config.user_agent {
            response.headers.push(Name::Server, agent);
        }
        if matches!(status, 405 | 501) {
            response.headers.push(Name::Allow, ALLOW);
        }
        response
    }

    /// Sends a message outside of transactions.
    pub(super) fn send(&mut self, target: &Target, data: Bytes) {
        self.effects.push_back(send(target, data));
    }

    /// Our Via; `None` where we cannot be reached by that transport.
    pub(super) fn via(&self, transport: Transport, branch: &str) -> Option<Via> {
        let HostPort { host, port } = self.config.contacts.of(transport)?;
        Some(Via::ours(transport.into(), host.clone(), Some(*port), branch))
    }

    /// Our Contact; `None` where we cannot be reached by that transport.
    pub(super) fn contact(&self, transport: Transport, user: Option<&str>) -> Option<NameAddr> {
        let HostPort { host, port } = self.config.contacts.of(transport)?;
        let uri = Uri::sip(user, host, Some(*port));
        Some(NameAddr::new(match transport {
            Transport::Udp => uri,
            Transport::Tcp | Transport::Tls => uri.with_param("transport", transport.param()),
        }))
    }

    /// Whether this address may send us requests on behalf of the trunk.
    pub(super) fn is_source(&self, trunk: TrunkKey, address: IpAddr) -> bool {
        self.trunks.get(&trunk).is_some_and(|trunk| trunk.is_source(address))
    }
}

/// Where the next request of a dialog goes: to the address that its route names, or else by the
/// way that the INVITE took.
///
/// Names are not resolved here: a far end that names itself or its proxy by name is behind the
/// trunk's own address. Over TLS the connection is kept, for only its name was checked. An address
/// that the trunk's own cannot mean (private behind public, loopback, multicast) is one that its
/// network wrote without thinking of us.
pub(super) fn next_target(dialog: &Dialog, way: &Target) -> Target {
    let uri = dialog.next_hop();
    let transport = match uri.param("transport") {
        Some(name) => Transport::parse(name),
        None => Some(way.flow.transport),
    };
    match (uri.socket_addr(), transport) {
        (Some(peer), Some(transport))
            if way.flow.transport != Transport::Tls
                && transport == way.flow.transport
                && is_reachable_beside(peer.ip(), way.flow.peer.ip()) =>
        {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            Target { flow: Flow { transport, peer }, server_name: None }
        }
        _ => way.clone(),
    }
}

fn is_reachable_beside(address: IpAddr, known: IpAddr) -> bool {
    let (address, known) = (address.to_canonical(), known.to_canonical());
    let is_private = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && (second & 0xc0) == 64)
        }
        IpAddr::V6(address) => (address.segments()[0] & 0xfe00) == 0xfc00,
    };
    let is_nowhere = match address {
        IpAddr::V4(address) => {
            address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_multicast()
                || (address.segments()[0] & 0xffc0) == 0xfe80
        }
    };
    !is_nowhere
        && address.is_ipv4() == known.is_ipv4()
        && (!address.is_loopback() || known.is_loopback())
        && (!is_private(address) || is_private(known) || known.is_loopback())
}

/// Where the responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4).
///
/// On a connection, the connection. Else the source's address, and its port only where the Via
/// asks for that; a Via's `maddr` is not followed.
pub(super) fn reply_flow(source: Flow, via: &Via) -> Flow {
    if !source.transport.repeats() || via.rport().is_some() {
        return source;
    }
    let port = via.port.unwrap_or(source.transport.default_port());
    Flow { peer: SocketAddr::new(source.peer.ip(), port), ..source }
}

fn send(target: &Target, data: Bytes) -> Effect {
    Effect::Send { flow: target.flow, server_name: target.server_name.clone(), data }
}

/// Most 2xx of different forks that one INVITE acknowledges.
const FORKS_MAX: usize = 16;
