//! A user agent in virtual time, with a far end whose every word the test chooses.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sip::identity::CallIdentity;
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::parse::parse_datagram;
use crate::sip::testing::start;
use crate::sip::ua::*;
use crate::sip::uri::{Host, Uri};
use crate::sip::value::{NameAddr, Reason};

pub(super) const KEY: [u8; 32] = [9; 32];
pub(super) const TRUNK: TrunkKey = TrunkKey(1);
pub(super) const CALL: CallKey = CallKey(7);

/// Our offer and the far end's answer.
pub(super) const OFFER: &str = "v=0\r\no=us\r\n";
pub(super) const ANSWER: &str = "v=0\r\no=far\r\n";

/// One user agent and what it said.
pub(super) struct Lab {
    pub(super) ua: Ua,
    pub(super) now: Instant,
    start: Instant,
    /// Everything sent, oldest first.
    pub(super) sent: Vec<(Flow, Message)>,
    told: VecDeque<String>,
    /// The far end's own numbers.
    pub(super) far_cseq: u32,
    branches: u32,
}

pub(super) fn config() -> UaConfig {
    let at = |port| Some(HostPort { host: Host::parse("198.51.100.1").unwrap(), port });
    UaConfig {
        contacts: Contacts { udp: at(5060), tcp: at(5060), tls: at(5061) },
        identity_key: KEY,
        limits: Limits::default(),
        session_expires_s: None,
        user_agent: None,
    }
}

/// The far end's nth address.
pub(super) fn peer(n: u8) -> SocketAddr {
    ([192, 0, 2, n], 5060).into()
}

pub(super) fn flow(transport: Transport, n: u8) -> Flow {
    Flow { transport, peer: peer(n) }
}

pub(super) fn udp(n: u8) -> Flow {
    flow(Transport::Udp, n)
}

pub(super) fn target(transport: Transport, n: u8) -> Target {
    let server_name = (transport == Transport::Tls).then(|| "sip.example".into());
    Target { flow: flow(transport, n), server_name }
}

pub(super) fn invite(call: CallKey) -> Invite {
    Invite {
        call,
        trunk: TRUNK,
        to: Uri::parse("sip:+16175550101@sip.example").unwrap(),
        from: NameAddr::parse("\"Outdial\" <sip:+16175550100@dialer.example>").unwrap(),
        caller_id: CallerId::Shown,
        identity: CallIdentity::derive(&KEY, call.0, 1, "dialer.example"),
        offer: Bytes::from_static(OFFER.as_bytes()),
        headers: Vec::new(),
    }
}

impl Lab {
    /// One trunk with one address, over UDP, without credentials.
    pub(super) fn new() -> Self {
        Self::with(config(), &[target(Transport::Udp, 1)], None)
    }

    pub(super) fn on(transport: Transport) -> Self {
        Self::with(config(), &[target(transport, 1)], None)
    }

    pub(super) fn with(
        config: UaConfig,
        targets: &[Target],
        credentials: Option<Credentials>,
    ) -> Self {
        let now = start();
        let mut lab = Self {
            ua: Ua::new(config, 1),
            now,
            start: now,
            sent: Vec::new(),
            told: VecDeque::new(),
            far_cseq: 100,
            branches: 0,
        };
        let (targets, sources) = (targets.to_vec(), Vec::new());
        lab.feed(Input::Trunk { trunk: TRUNK, targets, sources, credentials });
        lab
    }

    /// A call that is up; its story so far is forgotten.
    pub(super) fn up() -> Self {
        let mut lab = Self::new();
        lab.dial();
        lab.answer();
        lab.story();
        lab
    }

    pub(super) fn feed(&mut self, input: Input) {
        self.ua.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.ua.poll() {
            let told = match effect {
                Effect::Send { flow, server_name, data } => {
                    let sent = self.note(flow, &data);
                    match server_name {
                        Some(name) => format!("{sent} ({name})"),
                        None => sent,
                    }
                }
                effect => tell(&effect),
            };
            self.told.push_back(told);
        }
    }

    fn note(&mut self, flow: Flow, data: &Bytes) -> String {
        let Ok(message) = parse_datagram(data) else {
            return format!("> {data:?}");
        };
        let mut told = match &message {
            Message::Request(request) => {
                format!("> {} {}", request.method, request.headers.cseq().unwrap().0)
            }
            Message::Response(response) => {
                format!("> {} to {}", response.status, response.headers.cseq().unwrap().1)
            }
        };
        if !message.body().is_empty() {
            told.push_str(" sdp");
        }
        if flow.peer != peer(1) {
            write!(told, " at {}", flow.peer).unwrap();
        }
        self.sent.push((flow, message));
        told
    }

    /// What was sent and told since the last story.
    pub(super) fn story(&mut self) -> String {
        let lines: Vec<String> = self.told.drain(..).collect();
        lines.join("; ")
    }

    /// Lets time pass; timers fire when they are due.
    pub(super) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some((at, timer)) = self.ua.deadline().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.feed(Input::Expired(timer));
        }
        self.now = until;
    }

    pub(super) fn pass_s(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Lets time pass until something is said; gives the seconds that took.
    pub(super) fn wait(&mut self) -> u64 {
        let since = self.now;
        while self.told.is_empty() {
            let (at, timer) = self.ua.deadline().expect("something is waited for");
            self.now = self.now.max(at);
            self.feed(Input::Expired(timer));
        }
        self.now.duration_since(since).as_secs()
    }

    /// Seconds since the lab was opened.
    pub(super) fn elapsed_s(&self) -> u64 {
        self.now.duration_since(self.start).as_secs()
    }

    /// Whether nothing is left behind once everything has lingered long enough.
    pub(super) fn assert_clean(&mut self) {
        self.pass_s(70);
        assert_eq!((self.ua.calls(), self.ua.transactions()), (0, 0), "left behind");
        assert_eq!(self.ua.deadline(), None);
    }

    pub(super) fn dial(&mut self) {
        self.feed(Input::Invite(Box::new(invite(CALL))));
    }

    pub(super) fn hang_up(&mut self) {
        self.feed(Input::HangUp { call: CALL, reason: None });
    }

    pub(super) fn hang_up_because(&mut self, reason: Reason) {
        self.feed(Input::HangUp { call: CALL, reason: Some(reason) });
    }

    /// The last request of this method that was sent.
    pub(super) fn last(&self, method: &Method) -> Request {
        let requests = self.sent.iter().rev().filter_map(|(_, message)| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        });
        let mut requests = requests.filter(|request| request.method == *method);
        requests.next().unwrap_or_else(|| panic!("no {method} was sent")).clone()
    }

    /// The last response that was sent to this method.
    pub(super) fn last_response(&self, method: &Method) -> Response {
        let responses = self.sent.iter().rev().filter_map(|(_, message)| match message {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        });
        let mut responses =
            responses.filter(|response| response.headers.cseq().unwrap().1 == *method);
        responses.next().unwrap_or_else(|| panic!("no response to {method} was sent")).clone()
    }

    /// The far end's response to the last request of this method.
    pub(super) fn respond(&mut self, method: &Method, status: u16) {
        self.respond_as(method, status, "b", &[], "");
    }

    pub(super) fn respond_as(
        &mut self,
        method: &Method,
        status: u16,
        tag: &str,
        extra: &[(Name, &str)],
        sdp: &str,
    ) {
        let request = self.last(method);
        let response = response(&request, status, tag, extra, sdp);
        self.receive(response.into());
    }

    /// 200 with an answer.
    pub(super) fn answer(&mut self) {
        self.respond_as(&Method::Invite, 200, "b", &[], ANSWER);
    }

    /// A message of the far end, from its first address.
    pub(super) fn receive(&mut self, message: Message) {
        self.receive_from(udp(1), message);
    }

    pub(super) fn receive_from(&mut self, flow: Flow, message: Message) {
        self.feed(Input::Received { flow, data: message.to_bytes().into() });
    }

    pub(super) fn receive_text(&mut self, flow: Flow, text: &str) {
        self.feed(Input::Received { flow, data: text.replace('\n', "\r\n").into() });
    }

    /// A request of the far end within the call, with its next number.
    pub(super) fn ask(&mut self, method: Method, extra: &[(Name, &str)], sdp: &str) -> Request {
        self.far_cseq += 1;
        let request = self.far_request(method, self.far_cseq, "b", extra, sdp);
        self.receive(request.clone().into());
        request
    }

    /// The same, not sent yet and with everything chosen.
    pub(super) fn far_request(
        &mut self,
        method: Method,
        cseq: u32,
        tag: &str,
        extra: &[(Name, &str)],
        sdp: &str,
    ) -> Request {
        self.branches += 1;
        let identity = CallIdentity::derive(&KEY, CALL.0, 1, "dialer.example");
        let uri = Uri::parse("sip:16175550100@198.51.100.1:5060").unwrap();
        let branch = self.branches;
        let cseq = format!("{cseq} {method}");
        let mut request = Request::new(method, uri);
        let headers = &mut request.headers;
        let via = format_args!("SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKfar{branch}").to_string();
        headers.push(Name::Via, via);
        headers.push(Name::MaxForwards, 70);
        headers.push(Name::From, format_args!("<sip:+16175550101@sip.example>;tag={tag}"));
        let to_tag = &identity.from_tag;
        headers.push(Name::To, format_args!("<sip:+16175550100@dialer.example>;tag={to_tag}"));
        headers.push(Name::CallId, &identity.call_id);
        headers.push(Name::CSeq, cseq);
        for (name, value) in extra {
            headers.set(*name, value);
        }
        if !sdp.is_empty() {
            request.set_body("application/sdp", sdp.to_owned());
        }
        request
    }
}

/// A far end's response with what a response to this request has.
pub(super) fn response(
    request: &Request,
    status: u16,
    tag: &str,
    extra: &[(Name, &str)],
    sdp: &str,
) -> Response {
    let tag = (status > 100 && !tag.is_empty()).then_some(tag);
    let mut response = Response::to_request(request, status, "Because", tag);
    if matches!(request.method, Method::Invite | Method::Update) {
        response.headers.push(Name::Contact, "<sip:far@192.0.2.1:5060>");
    }
    for (name, value) in extra {
        response.headers.set(*name, value);
    }
    if !sdp.is_empty() {
        response.set_body("application/sdp", sdp.to_owned());
    }
    response
}

fn tell(effect: &Effect) -> String {
    let sdp = |sdp: &Option<Bytes>| if sdp.is_some() { " sdp" } else { "" };
    match effect {
        Effect::Acked { sdp: body, .. } => format!("acked{}", sdp(body)),
        Effect::Answered { sdp: body, .. } => format!("answered{}", sdp(body)),
        Effect::Ended { end, .. } => {
            let mut told = format!("ended {:?}", end.by);
            if let Some(status) = end.status {
                write!(told, " {status}").unwrap();
            }
            if let Some(cause) = end.q850 {
                write!(told, " q850={cause}").unwrap();
            }
            if let Some(retry_after_s) = end.retry_after_s {
                write!(told, " retry={retry_after_s}").unwrap();
            }
            told
        }
        Effect::Offered { sdp: body, .. } => format!("offered{}", sdp(body)),
        Effect::Orphan { attempt } => format!("orphan {attempt}"),
        Effect::Probed { target, result, .. } => format!("probed {} {result:?}", target.flow.peer),
        Effect::Progress { status, sdp: body, tag, q850, .. } => {
            let mut told = format!("progress {status}{}", sdp(body));
            if let Some(tag) = tag {
                write!(told, " {tag}").unwrap();
            }
            if let Some(cause) = q850 {
                write!(told, " q850={cause}").unwrap();
            }
            told
        }
        Effect::Referred { result, .. } => format!("referred {result:?}"),
        Effect::Refreshed { .. } => "refreshed sdp".to_owned(),
        Effect::Registered { result, .. } => format!("{result:?}"),
        Effect::Send { .. } => unreachable!("what is sent is noted"),
        Effect::Sent { .. } => "sent".to_owned(),
        Effect::Withdrawn { .. } => "withdrawn".to_owned(),
    }
}
