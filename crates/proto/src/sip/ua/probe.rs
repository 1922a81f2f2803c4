//! Asks the addresses of a trunk whether they live: OPTIONS (RFC 3261 §11).

use std::time::{Duration, Instant};

use super::api::{Effect, ProbeResult, TrunkKey};
use super::call::Outcome;
use super::core::Core;
use super::proof::Proofs;
use super::tables::Owner;
use crate::sip::flow::{Target, Transport};
use crate::sip::message::{Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::transaction::MAX_FORWARDS;
use crate::sip::uri::{Host, Uri};

/// One question to one address.
#[derive(Debug)]
pub(super) struct ProbeRun {
    target: Target,
    sent_at: Instant,
    call_id: String,
    tag: String,
    cseq: u32,
    proofs: Proofs,
}

impl Core {
    /// Asks every address of a trunk that is not being asked already.
    pub(super) fn probe(&mut self, now: Instant, key: TrunkKey) {
        let Some(trunk) = self.trunks.get_mut(&key) else { return };
        let targets: Vec<_> = trunk
            .targets
            .iter()
            .filter(|target| !trunk.probed.contains(&target.flow))
            .cloned()
            .collect();
        for target in targets {
            let proofs = Proofs::default();
            let (call_id, tag) = (self.tokens.token(), self.tokens.token());
            let run = ProbeRun { target, sent_at: now, call_id, tag, cseq: 0, proofs };
            if let Some(trunk) = self.trunks.get_mut(&key) {
                trunk.probed.push(run.target.flow);
            }
            self.send_probe(now, key, Box::new(run), None);
        }
    }

    /// Sends the OPTIONS, or says that this address cannot be asked.
    fn send_probe(
        &mut self,
        now: Instant,
        key: TrunkKey,
        mut run: Box<ProbeRun>,
        challenge: Option<&Response>,
    ) {
        run.cseq += 1;
        let target = run.target.clone();
        let Some(mut request) = build(&run, self) else {
            return self.probed(now, key, target, ProbeResult::Down { status: None });
        };
        if !self.authorize(key, &target, &mut run.proofs, challenge, &mut request) {
            // It asked for a password that we do not have: it lives.
            let status = challenge.map_or(401, |response| response.status);
            return self.probed(now, key, target, alive(now, &run, status));
        }
        if self.request(now, request, &target, (key, Owner::Probe(run))).is_none() {
            // The owner went with the request; without room for it nothing can be said.
            self.probed(now, key, target, ProbeResult::Down { status: None });
        }
    }

    /// An OPTIONS was answered, or not.
    pub(super) fn probe_outcome(
        &mut self,
        now: Instant,
        key: TrunkKey,
        run: Box<ProbeRun>,
        outcome: Outcome<'_>,
    ) {
        let result = match outcome {
            Outcome::Response(response) if matches!(response.status, 401 | 407) => {
                return self.send_probe(now, key, run, Some(response));
            }
            Outcome::Response(response) if matches!(response.status, 408 | 503) => {
                ProbeResult::Down { status: Some(response.status) }
            }
            Outcome::Response(response) => alive(now, &run, response.status),
            Outcome::Closed | Outcome::Failed(_) => ProbeResult::Down { status: None },
        };
        self.probed(now, key, run.target, result);
    }

    fn probed(&mut self, now: Instant, key: TrunkKey, target: Target, result: ProbeResult) {
        if let Some(trunk) = self.trunks.get_mut(&key) {
            trunk.probed.retain(|flow| *flow != target.flow);
            match result {
                ProbeResult::Alive { .. } => trunk.wake(target.flow),
                ProbeResult::Down { .. } => trunk.rest(target.flow, now + REST),
            }
        }
        self.effects.push_back(Effect::Probed { trunk: key, target, result });
    }
}

fn alive(now: Instant, run: &ProbeRun, status: u16) -> ProbeResult {
    ProbeResult::Alive { status, round_trip: now.saturating_duration_since(run.sent_at) }
}

fn build(run: &ProbeRun, core: &Core) -> Option<Request> {
    let flow = run.target.flow;
    let host = match run.target.server_name.as_deref().map(Host::parse) {
        Some(Ok(name)) => name,
        Some(Err(_)) | None => Host::from(flow.peer.ip()),
    };
    let port = (flow.peer.port() != flow.transport.default_port()).then_some(flow.peer.port());
    let uri = match flow.transport {
        Transport::Udp => Uri::sip(None, &host, port),
        Transport::Tcp | Transport::Tls => {
            Uri::sip(None, &host, port).with_param("transport", flow.transport.param())
        }
    };
    let contact = core.contact(flow.transport, None)?;
    let mut request = Request::new(Method::Options, uri.clone());
    let headers = &mut request.headers;
    headers.push(Name::MaxForwards, MAX_FORWARDS);
    headers.push(Name::From, format_args!("{contact};tag={}", run.tag));
    headers.push(Name::To, format_args!("<{uri}>"));
    headers.push(Name::CallId, &run.call_id);
    headers.push(Name::CSeq, format_args!("{} OPTIONS", run.cseq));
    headers.push(Name::Contact, contact);
    headers.push(Name::Accept, "application/sdp");
    Some(request)
}

/// How long an address that did not answer comes last, unless a probe finds it alive before.
const REST: Duration = Duration::from_secs(300);
