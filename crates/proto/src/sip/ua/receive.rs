//! What comes in: who may speak, what it belongs to, and what is refused outside of calls.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::Ua;
use super::admission::Source;
use super::api::{Effect, FlowFailure, TrunkKey};
use super::call::{Event, Outcome};
use super::core::reply_flow;
use super::tables::{ClientMachine, Owner, Role, ServerMachine, TransactionId, server_key};
use super::talking::{capabilities, refuse_extensions};
use crate::sip::flow::{Flow, Target};
use crate::sip::framer::Frame;
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::parse::{ParseError, is_keep_alive, parse_datagram};
use crate::sip::transaction::{Finish, client, client_invite, server_invite};
use crate::sip::value::Reason;

/// Messages.
impl Ua {
    /// A datagram, or one whole message.
    pub(super) fn received(&mut self, now: Instant, flow: Flow, data: &[u8]) {
        if is_keep_alive(data) {
            return;
        }
        let is_response = data.trim_ascii_start().starts_with(b"SIP/");
        if !self.admit(now, flow, is_response) {
            return;
        }
        match parse_datagram(data) {
            Ok(message) => self.read(now, flow, message),
            Err(error) => self.refuse_broken(flow, &error),
        }
    }

    /// What a connection brought.
    pub(super) fn framed(&mut self, now: Instant, flow: Flow, frame: Frame) {
        let is_response = matches!(frame, Frame::Message(Message::Response(_)));
        if !self.admit(now, flow, is_response) {
            return;
        }
        match frame {
            Frame::Broken(error) | Frame::Invalid(error) => self.refuse_broken(flow, &error),
            Frame::Message(message) => self.read(now, flow, message),
            Frame::Ping => {
                let data = Bytes::from_static(b"\r\n");
                self.core.effects.push_back(Effect::Send { flow, server_name: None, data });
            }
            Frame::Pong => {}
        }
    }

    /// Whether a message from there is read at all. Requests are, of trunks only; strangers hear
    /// nothing, for whoever scans shall not learn that somebody is here.
    fn admit(&mut self, now: Instant, flow: Flow, is_response: bool) -> bool {
        let address = flow.peer.ip();
        if !is_response && !self.admission.is_trunk(address) {
            self.core.counters.strangers += 1;
            return false;
        }
        match self.admission.admit(now, address) {
            Source::Trunk | Source::Stranger => true,
            Source::Flood => {
                self.core.counters.floods += 1;
                false
            }
        }
    }

    fn read(&mut self, now: Instant, flow: Flow, message: Message) {
        match message {
            Message::Request(request) => self.request(now, flow, request),
            Message::Response(response) => self.response(now, flow, &response),
        }
    }

    /// A message that cannot be read: 400 where it says whom to answer.
    fn refuse_broken(&mut self, flow: Flow, error: &ParseError) {
        self.core.counters.malformed += 1;
        tracing::debug!(peer = %flow, %error, "malformed");
        let Some(reply) = error.reply().filter(|_| self.admission.is_trunk(flow.peer.ip())) else {
            return;
        };
        let mut reply = reply.clone();
        let Ok(via) = reply.headers.via_top() else { return };
        if reply.headers.stamp_via(flow.peer).is_ok() {
            let (flow, data) = (reply_flow(flow, &via), Bytes::from(reply.to_bytes()));
            self.core.effects.push_back(Effect::Send { flow, server_name: None, data });
        }
    }
}

/// Requests.
impl Ua {
    fn request(&mut self, now: Instant, flow: Flow, mut request: Request) {
        let Ok(via) = request.headers.via_top() else { return };
        let key = server_key(&request, &via, &request.method);
        let invite_key = server_key(&request, &via, &Method::Invite);
        if request.method == Method::Ack {
            return self.acknowledged(now, flow, &invite_key, &request);
        }
        if let Some(id) = self.core.servers.find(&key) {
            if let Some(transaction) = self.core.servers.get(id) {
                transaction.machine.repeated(now);
            }
            return self.core.drain_server(now, id);
        }
        if request.headers.stamp_via(flow.peer).is_err() {
            return;
        }
        let reply_to = reply_flow(flow, &via);
        if self.core.servers.len() >= self.core.config.limits.transactions_max {
            return self.shed(reply_to, &request);
        }
        let id = self.core.servers.insert(key, reply_to, &request.method);
        match request.method {
            Method::Cancel => self.canceled(now, id, &invite_key, &request),
            _ => self.dispatch(now, flow.peer.ip(), id, request),
        }
        self.core.drain_server(now, id);
    }

    /// No room: said once, without a transaction.
    fn shed(&mut self, flow: Flow, request: &Request) {
        self.core.counters.requests_shed += 1;
        let tag = self.core.tokens.token();
        let mut response = self.core.response(request, 503, Some(&tag));
        response.headers.push(Name::RetryAfter, SHED_RETRY_S);
        let data = Bytes::from(response.to_bytes());
        self.core.effects.push_back(Effect::Send { flow, server_name: None, data });
    }

    /// An ACK belongs to the refused INVITE of its branch, or to the dialog of a 2xx.
    fn acknowledged(&mut self, now: Instant, flow: Flow, invite_key: &str, ack: &Request) {
        if let Some(id) = self.core.servers.find(invite_key)
            && let Some(transaction) = self.core.servers.get(id)
            && let ServerMachine::Invite(machine) = &mut transaction.machine
        {
            machine.handle(now, server_invite::Input::Ack);
            self.core.drain_server(now, id);
        }
        if let Some(key) = self.call_of(flow.peer.ip(), ack) {
            self.call_event(now, key, Event::Acked(ack));
        }
    }

    /// A CANCEL is answered itself; the INVITE it means is answered by its call (§9.2).
    fn canceled(&mut self, now: Instant, id: TransactionId, invite_key: &str, cancel: &Request) {
        let invite = self.core.servers.find(invite_key);
        let status = if invite.is_some() { 200 } else { 481 };
        let tag = self.core.tokens.token();
        let response = self.core.response(cancel, status, Some(&tag));
        self.core.respond(now, id, &response);
        let Some(invite) = invite else { return };
        let call = self.core.servers.get(invite).and_then(|transaction| transaction.call);
        if let Some(call) = call {
            self.call_event(now, call, Event::Canceled(invite));
        }
    }

    fn dispatch(&mut self, now: Instant, address: IpAddr, id: TransactionId, request: Request) {
        match self.call_of(address, &request) {
            Some(key) => {
                self.call_event(now, key, Event::Request(id, Box::new(request)));
            }
            None => self.outside(now, id, &request),
        }
    }

    /// The call that a request of a trunk means: by Call-ID, by our tag, by the trunk's address.
    fn call_of(&self, address: IpAddr, request: &Request) -> Option<super::CallKey> {
        let key = self.by_call_id.get(request.headers.call_id().ok()?)?;
        let call = self.calls.get(key)?;
        let to = request.headers.to().ok()?;
        let is_ours = to.tag() == Some(&call.local_tag) && self.core.is_source(call.trunk, address);
        is_ours.then_some(*key)
    }

    /// A request outside of calls, to an agent that only calls out.
    ///
    /// An INVITE gets 480: mostly somebody calls back the number that we showed. 480 lets the
    /// carrier divert him as its customer has set up for a number that is not reached; 403 and 405
    /// read like a fault of the account, and 603 would stop all other ways to reach the number.
    /// One that wants to take another's place in a call is told that there is no such call.
    fn outside(&mut self, now: Instant, id: TransactionId, request: &Request) {
        let to = request.headers.to().ok();
        let is_within = to.as_ref().is_some_and(|to| to.tag().is_some());
        let status = match &request.method {
            _ if is_within => 481,
            Method::Options => {
                let refused = refuse_extensions(request, &mut self.core);
                let response = refused.unwrap_or_else(|| capabilities(request, &mut self.core));
                return self.core.respond(now, id, &response);
            }
            Method::Invite if request.headers.has(Name::Replaces) => {
                if let Some(response) = refuse_extensions(request, &mut self.core) {
                    return self.core.respond(now, id, &response);
                }
                // Two calls at once cannot be replaced (RFC 3891 §3).
                if request.headers.get_all(Name::Replaces).count() > 1 { 400 } else { 481 }
            }
            Method::Invite => 480,
            Method::Notify | Method::Subscribe => 489,
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Info
            | Method::Prack
            | Method::Update => 481,
            Method::Message | Method::Publish | Method::Refer | Method::Register => 405,
            Method::Other(_) => 501,
        };
        let tag = self.core.tokens.token();
        let response = self.core.response(request, status, Some(&tag));
        self.core.respond(now, id, &response);
    }
}

/// Responses.
impl Ua {
    fn response(&mut self, now: Instant, flow: Flow, response: &Response) {
        let headers = &response.headers;
        // RFC 3261 §8.1.3.3: one Via is ours; more of them mean that it was meant for another.
        let via =
            headers.vias().ok().filter(|vias| vias.len() == 1).and_then(|mut vias| vias.pop());
        let found = via.and_then(|via| {
            let (_, method) = headers.cseq().ok()?;
            self.core.clients.find(via.branch()?, &method)
        });
        let Some(id) = found else { return self.unmatched(now, flow, response) };
        let Some(transaction) = self.core.clients.get(id) else { return };
        let (trunk, target) = (transaction.trunk, transaction.target.clone());
        let is_peer = target.flow.peer.ip().to_canonical() == flow.peer.ip().to_canonical();
        if !is_peer && !self.core.is_source(trunk, flow.peer.ip()) {
            self.core.counters.strangers += 1;
            return;
        }
        let Some(transaction) = self.core.clients.get(id) else { return };
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                machine.handle(now, client_invite::Input::Response(response));
            }
            ClientMachine::Other(machine) => {
                machine.handle(now, client::Input::Response(response.status));
            }
        }
        let drained = self.core.drain_client(now, id);
        let owner = self.owner(id, drained.deliver && !response.is_provisional());
        if drained.deliver {
            self.outcome(now, (trunk, id), owner, Outcome::Response(response), &target);
        }
        if drained.finish.is_some() {
            self.core.clients.remove(id);
        }
    }

    /// Whom the outcome is for; with the final one he is told for the last time.
    fn owner(&mut self, id: TransactionId, is_final: bool) -> Owner {
        let Some(transaction) = self.core.clients.get(id) else { return Owner::Nobody };
        match transaction.owner {
            _ if is_final => std::mem::replace(&mut transaction.owner, Owner::Nobody),
            Owner::Call(call, role) => Owner::Call(call, role),
            // Only calls care for provisional responses.
            Owner::Farewell(_) | Owner::Nobody | Owner::Probe(_) | Owner::Registration => {
                Owner::Nobody
            }
        }
    }

    /// Tells a request's owner what became of it.
    fn outcome(
        &mut self,
        now: Instant,
        (trunk, id): (TrunkKey, TransactionId),
        owner: Owner,
        outcome: Outcome<'_>,
        target: &Target,
    ) {
        match (owner, outcome) {
            (Owner::Call(call, role), _) => {
                let event = match role {
                    Role::Bye => Event::Bye(outcome),
                    Role::Invite => Event::Invite(id, outcome),
                    // Whatever becomes of a PRACK shows in the INVITE.
                    Role::Prack => return,
                    Role::Refer => Event::Referred(outcome),
                    Role::Refresh => Event::Refresh(id, outcome),
                };
                let is_told = self.call_event(now, call, event);
                if let Outcome::Response(response) = outcome
                    && !is_told
                {
                    self.accepted_by_others(now, (trunk, id), response, target);
                }
            }
            (Owner::Farewell(farewell), _) => {
                self.core.farewell_outcome(now, trunk, farewell, outcome);
            }
            (Owner::Nobody, Outcome::Response(response)) => {
                self.accepted_by_others(now, (trunk, id), response, target);
            }
            (Owner::Nobody, Outcome::Closed | Outcome::Failed(_)) => {}
            (Owner::Probe(run), _) => self.core.probe_outcome(now, trunk, run, outcome),
            (Owner::Registration, _) => self.core.register_outcome(now, trunk, id, outcome),
        }
    }

    /// A further 2xx to an INVITE: a repetition gets its ACK again, another fork ACK and BYE.
    fn accepted_by_others(
        &mut self,
        now: Instant,
        (trunk, id): (TrunkKey, TransactionId),
        response: &Response,
        target: &Target,
    ) {
        let is_invite = matches!(response.headers.cseq(), Ok((_, Method::Invite)));
        if !is_invite || !response.is_success() {
            return;
        }
        let to = response.headers.to().ok();
        let tag = to.as_ref().and_then(|to| to.tag()).unwrap_or_default();
        if !self.core.acknowledge_again(id, tag) {
            let reason = Reason::sip(200, "Call completed elsewhere");
            self.core.dismiss(now, (trunk, id), response, target.clone(), &reason);
        }
    }

    /// A response that no transaction waits for.
    fn unmatched(&mut self, now: Instant, flow: Flow, response: &Response) {
        let is_invite = matches!(response.headers.cseq(), Ok((_, Method::Invite)));
        let trunk = self.core.trunk_at(flow);
        let is_handled = match trunk.filter(|_| is_invite && !response.is_provisional()) {
            Some((trunk, way)) if response.is_success() => {
                self.late_success(now, trunk, way, response)
            }
            Some((_, way)) => self.late_refusal(&way, response),
            None => false,
        };
        self.core.counters.unmatched += u64::from(!is_handled);
    }

    /// A 2xx that came when its INVITE was forgotten; whether it was ours.
    fn late_success(
        &mut self,
        now: Instant,
        trunk: TrunkKey,
        way: Target,
        response: &Response,
    ) -> bool {
        let call_id = response.headers.call_id().unwrap_or_default();
        let live = self.by_call_id.get(call_id).and_then(|key| self.calls.get(key));
        let to = response.headers.to().ok();
        let tag = to.as_ref().and_then(|to| to.tag()).unwrap_or_default();
        if let Some(dialog) = live.and_then(|call| call.dialog.as_ref())
            && dialog.remote_tag() == tag
        {
            // It belongs to the call that is up; ending it would end that call.
            return false;
        }
        let is_live = live.is_some();
        self.core.adopt(now, trunk, response, way, is_live)
    }
}

/// Flows and timers.
impl Ua {
    /// A flow does not work: who waits for a response by it learns that now.
    pub(super) fn flow_failed(&mut self, now: Instant, flow: Flow, failure: FlowFailure) {
        for id in self.core.clients.waiting_on(flow) {
            if let Some(transaction) = self.core.clients.get(id) {
                transaction.machine.transport_failed(now);
                self.client_moved(now, id, failure);
            }
        }
        for id in self.core.servers.connected_by(flow) {
            if let Some(transaction) = self.core.servers.get(id) {
                transaction.machine.transport_failed(now);
                self.core.drain_server(now, id);
            }
        }
    }

    /// Drains a client transaction that was fed no response; tells its owner if it is over.
    pub(super) fn client_moved(&mut self, now: Instant, id: TransactionId, failure: FlowFailure) {
        let drained = self.core.drain_client(now, id);
        let Some(finish) = drained.finish else { return };
        let Some(transaction) = self.core.clients.remove(id) else { return };
        let outcome = match finish {
            Finish::Done => return,
            Finish::Transport if failure == FlowFailure::Closed => Outcome::Closed,
            Finish::Timeout | Finish::Transport => Outcome::Failed(finish),
        };
        let (trunk, target) = (transaction.trunk, transaction.target);
        self.outcome(now, (trunk, id), transaction.owner, outcome, &target);
    }
}

/// What a trunk is asked to wait whose request found no room, in seconds.
const SHED_RETRY_S: u32 = 5;
