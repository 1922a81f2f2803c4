//! Sends what a registration wants sent, and tells it what came back (RFC 3261 §10.2).

use std::time::{Duration, Instant};

use super::api::{Effect, TrunkKey};
use super::call::Outcome;
use super::core::{Core, Due};
use super::proof::Proofs;
use super::tables::{Owner, TransactionId};
use crate::sip::flow::{Flow, Target};
use crate::sip::message::{Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::register::{self, EXPIRES_MAX_S, RegisterResult, Registration};
use crate::sip::timers::Timer;
use crate::sip::tokens::Tokens;
use crate::sip::transaction::MAX_FORWARDS;
use crate::sip::uri::{Host, Uri};
use crate::sip::value::NameAddr;

/// A registration with what its requests are made of.
#[derive(Debug)]
pub(super) struct Registering {
    machine: Registration,
    aor: Uri,
    call_id: String,
    tag: String,
    cseq: u32,
    /// The request under way; answers to earlier ones say nothing any more.
    current: Option<TransactionId>,
    /// What that request asks for, in seconds.
    expires_s: u32,
    /// Addresses that this request was tried at.
    tried: Vec<Flow>,
    way: Option<Target>,
    proofs: Proofs,
}

impl Registering {
    fn new(aor: Uri, tokens: &mut Tokens) -> Self {
        Self {
            machine: Registration::new(tokens.split()),
            aor,
            call_id: tokens.token(),
            tag: tokens.token(),
            cseq: 0,
            current: None,
            expires_s: 0,
            tried: Vec::new(),
            way: None,
            proofs: Proofs::default(),
        }
    }

    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        self.machine.deadline()
    }

    fn build(&self, target: &Target, core: &Core) -> Option<Request> {
        let host = self.aor.host()?;
        let registrar = Uri::sip(None, host, self.aor.port());
        let mut request = Request::new(Method::Register, registrar);
        let contact = core.contact(target.flow.transport, self.aor.user())?;
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, NameAddr::new(self.aor.clone()).with_tag(&self.tag));
        headers.push(Name::To, format_args!("<{}>", self.aor));
        headers.push(Name::CallId, &self.call_id);
        headers.push(Name::CSeq, format_args!("{} REGISTER", self.cseq + 1));
        headers.push(Name::Contact, format_args!("{contact};expires={}", self.expires_s));
        headers.push(Name::Expires, self.expires_s);
        Some(request)
    }

    /// The seconds that a 2xx grants: those of our Contact, else of the message, else ours.
    fn granted(&self, response: &Response, ours: Option<&NameAddr>) -> u32 {
        let contacts = response.headers.contacts().unwrap_or_default();
        let own = contacts.iter().find(|contact| {
            let is_same_host = |ours: &NameAddr| match (ours.uri.host(), contact.uri.host()) {
                (Some(one), Some(two)) => Host::same_as(one, two),
                _ => false,
            };
            ours.is_some_and(|ours| {
                is_same_host(ours)
                    && ours.uri.port() == contact.uri.port()
                    && ours.uri.user() == contact.uri.user()
            })
        });
        let said = own.and_then(|own| own.params.get("expires")).and_then(|text| text.parse().ok());
        said.or_else(|| response.headers.expires().ok().flatten())
            .unwrap_or(self.expires_s)
            .min(EXPIRES_MAX_S)
    }
}

impl Core {
    /// Registers with a trunk and stays registered.
    pub(super) fn register(&mut self, now: Instant, key: TrunkKey, aor: Uri, expires_s: u32) {
        let Some(trunk) = self.trunks.get_mut(&key) else {
            return self.registered(key, not_now());
        };
        let tokens = &mut self.tokens;
        let registration = match &mut trunk.registration {
            Some(registration) if registration.aor.same_as(&aor) => registration,
            // Another address of record is another registration; the old one expires by itself.
            place => place.insert(Box::new(Registering::new(aor, tokens))),
        };
        registration.machine.handle(now, register::Input::Start { expires_s });
        self.drive_registration(now, key);
    }

    /// Ends a registration.
    pub(super) fn unregister(&mut self, now: Instant, key: TrunkKey) {
        let registration = self.trunks.get_mut(&key).and_then(|trunk| trunk.registration.as_mut());
        let Some(registration) = registration else {
            return self.registered(key, RegisterResult::Unregistered);
        };
        registration.machine.handle(now, register::Input::Stop);
        self.drive_registration(now, key);
    }

    /// The registration's timer has run out.
    pub(super) fn registration_due(&mut self, now: Instant, key: TrunkKey, timer: Timer) {
        self.tell_registration(now, key, register::Input::Expired(timer));
    }

    /// A REGISTER was answered, or not.
    pub(super) fn register_outcome(
        &mut self,
        now: Instant,
        key: TrunkKey,
        id: TransactionId,
        outcome: Outcome<'_>,
    ) {
        let Some(mut registration) = self.take_registration(key) else { return };
        if registration.current != Some(id) {
            return self.put_registration(key, registration);
        }
        registration.current = None;
        let input = self.judge(now, key, &mut registration, outcome);
        self.put_registration(key, registration);
        if let Some(input) = input {
            self.tell_registration(now, key, input);
        }
    }

    /// What the outcome means; `None` where another request was sent because of it.
    fn judge(
        &mut self,
        now: Instant,
        key: TrunkKey,
        registration: &mut Registering,
        outcome: Outcome<'_>,
    ) -> Option<register::Input> {
        let response = match outcome {
            Outcome::Response(response) => response,
            Outcome::Closed | Outcome::Failed(_) => {
                let is_sent = self.register_elsewhere(now, key, registration);
                return (!is_sent).then_some(register::Input::Unanswered);
            }
        };
        let headers = &response.headers;
        let retry_after_s = headers.retry_after().ok().flatten();
        let refused = register::Input::Refused { status: response.status, retry_after_s };
        match response.status {
            200..300 => {
                let transport = registration.way.as_ref().map(|way| way.flow.transport);
                let user = registration.aor.user();
                let ours = transport.and_then(|transport| self.contact(transport, user));
                let expires_s = registration.granted(response, ours.as_ref());
                Some(register::Input::Granted { expires_s })
            }
            401 | 407 => {
                let is_sent = self.send_register(now, key, registration, Some(response));
                (!is_sent).then_some(refused)
            }
            423 => Some(match headers.min_expires().ok().flatten() {
                Some(min_expires_s) => register::Input::TooBrief { min_expires_s },
                None => refused,
            }),
            503 => {
                let is_sent = self.register_elsewhere(now, key, registration);
                (!is_sent).then_some(refused)
            }
            _ => Some(refused),
        }
    }

    fn tell_registration(&mut self, now: Instant, key: TrunkKey, input: register::Input) {
        let registration = self.trunks.get_mut(&key).and_then(|trunk| trunk.registration.as_mut());
        if let Some(registration) = registration {
            registration.machine.handle(now, input);
            self.drive_registration(now, key);
        }
    }

    /// Does what the registration wants done.
    fn drive_registration(&mut self, now: Instant, key: TrunkKey) {
        let Some(mut registration) = self.take_registration(key) else { return };
        while let Some(effect) = registration.machine.poll() {
            match effect {
                register::Effect::Send { expires_s } => {
                    registration.expires_s = expires_s;
                    registration.tried.clear();
                    registration.way = self.choose(key, now, &[]);
                    if !self.send_register(now, key, &mut registration, None) {
                        registration.machine.handle(now, register::Input::Unanswered);
                    }
                }
                register::Effect::Result(result) => self.registered(key, result),
            }
        }
        self.put_registration(key, registration);
    }

    fn send_register(
        &mut self,
        now: Instant,
        key: TrunkKey,
        registration: &mut Registering,
        challenge: Option<&Response>,
    ) -> bool {
        let Some(target) = registration.way.clone() else { return false };
        let Some(mut request) = registration.build(&target, self) else { return false };
        if !self.authorize(key, &target, &mut registration.proofs, challenge, &mut request) {
            return false;
        }
        registration.tried.push(target.flow);
        registration.cseq += 1;
        registration.current = self.request(now, request, &target, (key, Owner::Registration));
        registration.current.is_some()
    }

    fn register_elsewhere(
        &mut self,
        now: Instant,
        key: TrunkKey,
        registration: &mut Registering,
    ) -> bool {
        if let Some(way) = &registration.way {
            self.rest(key, way.flow, now + REST);
        }
        registration.way = self.choose(key, now, &registration.tried);
        self.send_register(now, key, registration, None)
    }

    fn take_registration(&mut self, key: TrunkKey) -> Option<Box<Registering>> {
        self.trunks.get_mut(&key)?.registration.take()
    }

    /// Puts it back, and into the heap.
    fn put_registration(&mut self, key: TrunkKey, registration: Box<Registering>) {
        let Self { trunks, deadlines, .. } = self;
        if let Some(trunk) = trunks.get_mut(&key) {
            let deadline = registration.deadline().map(|(at, _)| at);
            deadlines.arm(Due::Trunk(key), deadline, &mut trunk.armed);
            trunk.registration = Some(registration);
        }
    }

    fn registered(&mut self, trunk: TrunkKey, result: RegisterResult) {
        self.effects.push_back(Effect::Registered { trunk, result });
    }
}

/// A trunk that nobody told us about cannot be registered with; whoever asks may ask again.
const fn not_now() -> RegisterResult {
    RegisterResult::Failed { status: None, retry_in: Duration::ZERO }
}

/// How long an address that did not take a REGISTER comes last.
const REST: Duration = Duration::from_secs(60);
