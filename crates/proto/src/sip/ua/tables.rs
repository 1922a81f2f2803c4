//! The live and lingering transactions of one user agent, found by branch, flow and number.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;

use super::api::{CallKey, TrunkKey};
use super::farewell::Farewell;
use super::probe::ProbeRun;
use crate::sip::flow::{Flow, Target};
use crate::sip::message::{Method, Request};
use crate::sip::timers::{Armed, Timer};
use crate::sip::transaction::{Client, ClientInvite, Effect, Server, ServerInvite};
use crate::sip::transaction::{client, client_invite, server, server_invite};
use crate::sip::value::Via;

/// A transaction's number, never used twice.
pub(super) type TransactionId = u64;

/// Whom the outcome of a client transaction is for.
#[derive(Debug)]
pub(super) enum Owner {
    Call(CallKey, Role),
    Farewell(Box<Farewell>),
    Nobody,
    Probe(Box<ProbeRun>),
    Registration,
}

/// What a client transaction is to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Bye,
    Invite,
    Prack,
    Refer,
    Refresh,
}

/// One request of ours and what became of it.
#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) machine: ClientMachine,
    key: Box<str>,
    pub(super) target: Target,
    pub(super) trunk: TrunkKey,
    pub(super) owner: Owner,
    pub(super) armed: Armed,
    /// The ACKs of each 2xx to an INVITE, by the To tag: repeated 2xx are answered with them.
    pub(super) acks: Vec<Acknowledged>,
}

/// A 2xx that was acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) tag: Box<str>,
    pub(super) ack: Bytes,
    pub(super) target: Target,
    /// How often the ACK may still be repeated.
    pub(super) repeats_left: u8,
}

#[derive(Debug)]
pub(super) enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

impl ClientMachine {
    pub(super) fn poll(&mut self) -> Option<Effect> {
        match self {
            Self::Invite(machine) => machine.poll(),
            Self::Other(machine) => machine.poll(),
        }
    }

    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }

    pub(super) fn expired(&mut self, now: Instant, timer: Timer) {
        match self {
            Self::Invite(machine) => machine.handle(now, client_invite::Input::Expired(timer)),
            Self::Other(machine) => machine.handle(now, client::Input::Expired(timer)),
        }
    }

    pub(super) fn transport_failed(&mut self, now: Instant) {
        match self {
            Self::Invite(machine) => machine.handle(now, client_invite::Input::TransportFailed),
            Self::Other(machine) => machine.handle(now, client::Input::TransportFailed),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_open(),
            Self::Other(machine) => machine.is_open(),
        }
    }
}

/// The client side.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: HashMap<TransactionId, ClientTransaction>,
    by_key: HashMap<Box<str>, TransactionId>,
    /// Those that wait for a response, so that a failed flow finds them.
    waiting: BTreeSet<(Flow, TransactionId)>,
    count: TransactionId,
}

impl Clients {
    /// Adds a transaction; `None` where its branch is in use.
    pub(super) fn insert(
        &mut self,
        (branch, method): (&str, &Method),
        machine: ClientMachine,
        target: Target,
        (trunk, owner): (TrunkKey, Owner),
    ) -> Option<TransactionId> {
        let key = client_key(branch, method);
        if self.by_key.contains_key(&key) {
            return None;
        }
        self.count += 1;
        let id = self.count;
        if machine.is_open() {
            self.waiting.insert((target.flow, id));
        }
        self.by_key.insert(key.clone(), id);
        let (armed, acks) = (None, Vec::new());
        let transaction = ClientTransaction { machine, key, target, trunk, owner, armed, acks };
        self.by_id.insert(id, transaction);
        Some(id)
    }

    pub(super) fn get(&mut self, id: TransactionId) -> Option<&mut ClientTransaction> {
        self.by_id.get_mut(&id)
    }

    /// What a transaction waits for.
    pub(super) fn deadline(&self, id: TransactionId) -> Option<(Instant, Timer)> {
        self.by_id.get(&id)?.machine.deadline()
    }

    /// The transaction that a response with this branch belongs to (RFC 3261 §17.1.3).
    pub(super) fn find(&self, branch: &str, method: &Method) -> Option<TransactionId> {
        self.by_key.get(&client_key(branch, method)).copied()
    }

    pub(super) fn remove(&mut self, id: TransactionId) -> Option<ClientTransaction> {
        let transaction = self.by_id.remove(&id)?;
        self.by_key.remove(&transaction.key);
        self.waiting.remove(&(transaction.target.flow, id));
        Some(transaction)
    }

    /// The transaction waits for nothing more that its flow could fail to bring.
    pub(super) fn settled(&mut self, flow: Flow, id: TransactionId) {
        self.waiting.remove(&(flow, id));
    }

    /// Those that wait for a response by this flow, oldest first.
    pub(super) fn waiting_on(&self, flow: Flow) -> Vec<TransactionId> {
        let all = (flow, 0)..=(flow, TransactionId::MAX);
        self.waiting.range(all).map(|(_, id)| *id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// CANCEL has the branch of its INVITE; all others have one of their own.
fn client_key(branch: &str, method: &Method) -> Box<str> {
    let mut key = branch.to_ascii_lowercase();
    if *method == Method::Cancel {
        key.push_str(" CANCEL");
    }
    key.into()
}

/// One request of a trunk and our answer.
#[derive(Debug)]
pub(super) struct ServerTransaction {
    pub(super) machine: ServerMachine,
    key: Box<str>,
    /// Where responses go.
    pub(super) flow: Flow,
    /// The call whose answer is outstanding.
    pub(super) call: Option<CallKey>,
    pub(super) armed: Armed,
}

#[derive(Debug)]
pub(super) enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

impl ServerMachine {
    pub(super) fn poll(&mut self) -> Option<Effect> {
        match self {
            Self::Invite(machine) => machine.poll(),
            Self::Other(machine) => machine.poll(),
        }
    }

    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }

    pub(super) fn expired(&mut self, now: Instant, timer: Timer) {
        match self {
            Self::Invite(machine) => machine.handle(now, server_invite::Input::Expired(timer)),
            Self::Other(machine) => machine.handle(now, server::Input::Expired(timer)),
        }
    }

    pub(super) fn repeated(&mut self, now: Instant) {
        match self {
            Self::Invite(machine) => machine.handle(now, server_invite::Input::Repeated),
            Self::Other(machine) => machine.handle(now, server::Input::Repeated),
        }
    }

    pub(super) fn respond(&mut self, now: Instant, status: u16, message: Bytes) {
        match self {
            Self::Invite(machine) => {
                machine.handle(now, server_invite::Input::Respond(status, message));
            }
            Self::Other(machine) => machine.handle(now, server::Input::Respond(status, message)),
        }
    }

    pub(super) fn transport_failed(&mut self, now: Instant) {
        match self {
            Self::Invite(machine) => machine.handle(now, server_invite::Input::TransportFailed),
            Self::Other(machine) => machine.handle(now, server::Input::TransportFailed),
        }
    }
}

/// The server side.
#[derive(Debug, Default)]
pub(super) struct Servers {
    by_id: HashMap<TransactionId, ServerTransaction>,
    by_key: HashMap<Box<str>, TransactionId>,
    /// Those on connections; what a datagram's refusal says about lingering answers is nothing.
    connected: BTreeSet<(Flow, TransactionId)>,
    count: TransactionId,
}

impl Servers {
    /// Adds the transaction of a new request.
    pub(super) fn insert(&mut self, key: Box<str>, flow: Flow, method: &Method) -> TransactionId {
        let machine = match method {
            Method::Invite => ServerMachine::Invite(ServerInvite::new(flow.transport)),
            _ => ServerMachine::Other(Server::new(flow.transport)),
        };
        self.count += 1;
        let id = self.count;
        if !flow.transport.repeats() {
            self.connected.insert((flow, id));
        }
        self.by_key.insert(key.clone(), id);
        let transaction = ServerTransaction { machine, key, flow, call: None, armed: None };
        self.by_id.insert(id, transaction);
        id
    }

    pub(super) fn get(&mut self, id: TransactionId) -> Option<&mut ServerTransaction> {
        self.by_id.get_mut(&id)
    }

    /// What a transaction waits for.
    pub(super) fn deadline(&self, id: TransactionId) -> Option<(Instant, Timer)> {
        self.by_id.get(&id)?.machine.deadline()
    }

    pub(super) fn find(&self, key: &str) -> Option<TransactionId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn remove(&mut self, id: TransactionId) -> Option<ServerTransaction> {
        let transaction = self.by_id.remove(&id)?;
        self.by_key.remove(&transaction.key);
        self.connected.remove(&(transaction.flow, id));
        Some(transaction)
    }

    /// Those on this connection, oldest first.
    pub(super) fn connected_by(&self, flow: Flow) -> Vec<TransactionId> {
        let all = (flow, 0)..=(flow, TransactionId::MAX);
        self.connected.range(all).map(|(_, id)| *id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// What a request's server transaction is known by (RFC 3261 §17.2.3).
///
/// ACK and CANCEL give the key of the INVITE they belong to when asked for `Method::Invite`. A
/// client of RFC 2543 has no unique branch; it is known by what it must keep the same.
pub(super) fn server_key(request: &Request, via: &Via, method: &Method) -> Box<str> {
    let mut key = String::with_capacity(96);
    let port = via.port.unwrap_or(0);
    // Writing to a String cannot fail.
    let _ = match via.branch().filter(|_| via.has_unique_branch()) {
        Some(branch) => write!(key, "{branch} {}:{port} {method}", via.host),
        None => {
            let headers = &request.headers;
            let from = headers.from().ok();
            let tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
            let call_id = headers.call_id().unwrap_or_default();
            let number = headers.cseq().map_or(0, |(number, _)| number);
            write!(key, "{} {tag} {call_id} {number} {via} {method}", request.uri)
        }
    };
    key.make_ascii_lowercase();
    key.into()
}
