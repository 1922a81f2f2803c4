//! One call as its callee leads it: MACHINE; `handle`, `poll`, `deadline`.
//!
//! The user agent server of RFC 3261 in its plainest form, written apart from the one it is used to
//! judge: final responses are repeated until their ACK, BYE until its answer, and every repeated
//! request gets the same answer again.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::sip::message::{Method, Request, Response};
use proto::sip::name::Name;
use proto::sip::uri::{Host, Uri};
use proto::sip::value::{NameAddr, Transport, Via};

use super::habits::{Habit, Kind};

/// First wait before something is repeated (T1), and the longest (T2), RFC 3261 §17.
const REPEAT_FIRST: Duration = Duration::from_millis(500);
const REPEAT_MAX: Duration = Duration::from_secs(4);
/// How long anything is repeated, and how long an ended call still answers repeated requests.
const PATIENCE: Duration = Duration::from_secs(32);
/// A person listens so long before pressing a key.
const KEYS_AFTER: Duration = Duration::from_millis(2_500);
/// A person in a hurry.
const HANGS_UP_AFTER: Duration = Duration::from_secs(2);
/// The tones and words of an announcement.
const ANNOUNCEMENT: Duration = Duration::from_millis(2_500);
/// Nobody, and no machine, stays longer.
const STAYS_MAX: Duration = Duration::from_secs(120);

/// Something to be heard at the caller's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sound {
    /// A fax machine's answer.
    Fax,
    /// "Hello?"
    Hello,
    /// A greeting, then a beep.
    Greeting,
    /// Special information tones and an announcement.
    OutOfService,
}

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Input {
    /// The deadline has come.
    Expired,
    /// A request of this call.
    Request(Box<Request>),
    /// A final response to our BYE.
    Answered,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Write this down.
    Log(&'static str),
    /// The call is over and its echoes have died away; the last effect.
    Over,
    /// Let the caller hear this.
    Play(Sound),
    /// Let the caller hear this file.
    PlayFile(PathBuf),
    /// Press these keys.
    Press(String),
    /// Stop audio.
    Silence,
    /// Send this to the caller.
    Send(Bytes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// 100 is out.
    Called,
    /// 180 or 183 is out.
    Ringing,
    /// 200 is out, its ACK is not yet in.
    Answered,
    /// A refusal is out, its ACK is not yet in.
    Refused,
    Talking,
    /// Our BYE is out.
    HangingUp,
    /// Over, but for echoes.
    Ended,
    Over,
}

/// What tells a call's messages: who it is towards the caller.
pub(super) struct Identity {
    pub(super) to_tag: String,
    pub(super) branch: String,
    /// Host and port in Contact and Via.
    pub(super) host: Host,
    pub(super) port: u16,
}

/// One call.
pub(super) struct Callee {
    habit: Habit,
    invite: Box<Request>,
    identity: Identity,
    /// Our SDP; `None` where the habit needs no audio.
    answer: Option<Bytes>,
    phase: Phase,
    /// When to go on with the habit, or to give up.
    due: Option<Instant>,
    /// What is repeated until it is confirmed.
    repeat: Option<Repeat>,
    /// The last answer to the INVITE, for its repetitions.
    last: Bytes,
    pressed: bool,
    effects: VecDeque<Effect>,
}

struct Repeat {
    message: Bytes,
    at: Instant,
    wait: Duration,
    until: Instant,
}

impl Callee {
    /// A call that has just come in.
    pub(super) fn new(
        now: Instant,
        invite: Box<Request>,
        habit: Habit,
        identity: Identity,
        answer: Option<Bytes>,
    ) -> Self {
        let due = now + Duration::from_millis(habit.ring_after_ms);
        let mut callee = Self {
            habit,
            invite,
            identity,
            answer,
            phase: Phase::Called,
            due: Some(due),
            repeat: None,
            last: Bytes::new(),
            pressed: false,
            effects: VecDeque::new(),
        };
        callee.effects.push_back(Effect::Log("invite"));
        callee.respond(100, "Trying", false);
        callee
    }

    /// One thing happened.
    pub(super) fn handle(&mut self, now: Instant, input: Input) {
        match (self.phase, input) {
            (Phase::Over, _) => {}
            (_, Input::Request(request)) => self.asked(now, &request),
            (Phase::HangingUp, Input::Answered) => self.end(now, "hung_up"),
            (_, Input::Answered) => {}
            (_, Input::Expired) => self.expire(now),
        }
    }

    /// What to do about it, oldest first.
    pub(super) fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to wake it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let repeat = self.repeat.as_ref().map(|repeat| repeat.at);
        [self.due, repeat].into_iter().flatten().min()
    }

    fn asked(&mut self, now: Instant, request: &Request) {
        match (&request.method, self.phase) {
            (Method::Invite, _) if self.is_first_invite(request) => {
                self.effects.push_back(Effect::Send(self.last.clone()));
            }
            (Method::Invite, Phase::Talking) => self.renew(now, request),
            (Method::Ack, Phase::Answered) => self.acknowledged(now),
            (Method::Ack, Phase::Refused) => self.end(now, "refused"),
            (Method::Ack, Phase::Talking) => self.repeat = None,
            (Method::Ack, _) => {}
            (Method::Cancel, Phase::Called | Phase::Ringing) => {
                self.reply(request, 200, "OK");
                self.effects.push_back(Effect::Log("canceled"));
                self.refuse(now, 487, "Request Terminated");
            }
            (Method::Cancel, _) => self.reply(request, 200, "OK"),
            (Method::Bye, Phase::Answered | Phase::Talking | Phase::HangingUp) => {
                self.reply(request, 200, "OK");
                self.end(now, "caller_hung_up");
            }
            (Method::Bye, Phase::Ended) => self.reply(request, 200, "OK"),
            (Method::Bye, _) => self.reply(request, 481, "Call/Transaction Does Not Exist"),
            (Method::Options | Method::Update, _) => self.reply(request, 200, "OK"),
            _ => self.reply(request, 405, "Method Not Allowed"),
        }
    }

    /// A session refresh: the same session again.
    fn renew(&mut self, now: Instant, request: &Request) {
        let mut response = self.response(request, 200, "OK");
        if let Some(answer) = &self.answer {
            response.set_body("application/sdp", answer.clone());
        }
        let message = Bytes::from(response.to_bytes());
        self.effects.push_back(Effect::Send(message.clone()));
        self.repeat_until_confirmed(now, message);
    }

    fn acknowledged(&mut self, now: Instant) {
        self.repeat = None;
        self.phase = Phase::Talking;
        let (sound, stays) = match self.habit.kind {
            Kind::Fax => (Sound::Fax, STAYS_MAX),
            Kind::HangsUp => (Sound::Hello, HANGS_UP_AFTER),
            Kind::Machine => (Sound::Greeting, STAYS_MAX),
            _ if self.habit.keys.is_empty() => (Sound::Hello, STAYS_MAX),
            _ => (Sound::Hello, KEYS_AFTER),
        };
        self.effects.push_back(match (self.habit.kind, &self.habit.plays) {
            (Kind::Plays, Some(file)) => Effect::PlayFile(file.clone()),
            _ => Effect::Play(sound),
        });
        self.due = Some(now + stays);
    }

    fn expire(&mut self, now: Instant) {
        if let Some(repeat) = self.repeat.as_mut().filter(|repeat| repeat.at <= now) {
            if now >= repeat.until {
                return self.end(now, "unconfirmed");
            }
            repeat.wait = (repeat.wait * 2).min(REPEAT_MAX);
            repeat.at = now + repeat.wait;
            let message = repeat.message.clone();
            self.effects.push_back(Effect::Send(message));
        }
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        match self.phase {
            Phase::Called => self.ring(now),
            Phase::Ringing => self.pick_up(now),
            Phase::Talking if !self.habit.keys.is_empty() && !self.pressed => {
                self.pressed = true;
                self.effects.push_back(Effect::Press(self.habit.keys.clone()));
                self.due = Some(now + STAYS_MAX);
            }
            Phase::Talking => self.hang_up(now),
            Phase::Ended => {
                self.phase = Phase::Over;
                self.effects.push_back(Effect::Over);
            }
            Phase::Answered | Phase::HangingUp | Phase::Over | Phase::Refused => {}
        }
    }

    fn ring(&mut self, now: Instant) {
        self.phase = Phase::Ringing;
        if self.habit.kind == Kind::Sit {
            self.respond(183, "Session Progress", true);
            self.effects.push_back(Effect::Play(Sound::OutOfService));
            self.due = Some(now + ANNOUNCEMENT);
            return;
        }
        // Who is busy does not ring; for all others a phone has begun to.
        if !matches!(self.habit.kind, Kind::Busy | Kind::Congested | Kind::Wrong) {
            self.respond(180, "Ringing", false);
            self.effects.push_back(Effect::Log("ringing"));
        }
        let rings = self.habit.kind != Kind::NoAnswer;
        self.due = rings.then(|| now + Duration::from_millis(self.habit.ring_ms));
    }

    fn pick_up(&mut self, now: Instant) {
        if let Some((status, reason)) = self.habit.kind.refusal() {
            return self.refuse(now, status, reason);
        }
        self.phase = Phase::Answered;
        self.respond(200, "OK", true);
        self.effects.push_back(Effect::Log("answered"));
        self.repeat_until_confirmed(now, self.last.clone());
    }

    fn refuse(&mut self, now: Instant, status: u16, reason: &str) {
        self.phase = Phase::Refused;
        self.due = None;
        self.respond(status, reason, false);
        self.effects.push_back(Effect::Silence);
        self.repeat_until_confirmed(now, self.last.clone());
    }

    fn hang_up(&mut self, now: Instant) {
        self.phase = Phase::HangingUp;
        self.effects.push_back(Effect::Silence);
        let bye = Bytes::from(self.bye().to_bytes());
        self.effects.push_back(Effect::Send(bye.clone()));
        self.repeat_until_confirmed(now, bye);
    }

    fn end(&mut self, now: Instant, how: &'static str) {
        self.phase = Phase::Ended;
        self.repeat = None;
        self.due = Some(now + PATIENCE);
        self.effects.push_back(Effect::Silence);
        self.effects.push_back(Effect::Log(how));
    }

    fn repeat_until_confirmed(&mut self, now: Instant, message: Bytes) {
        let (wait, until) = (REPEAT_FIRST, now + PATIENCE);
        self.repeat = Some(Repeat { message, at: now + wait, wait, until });
    }

    fn is_first_invite(&self, request: &Request) -> bool {
        let branch = |request: &Request| {
            request.headers.via_top().ok().and_then(|via| via.branch().map(str::to_owned))
        };
        branch(request) == branch(&self.invite)
    }

    /// Answers the INVITE.
    fn respond(&mut self, status: u16, reason: &str, with_sdp: bool) {
        let mut response = self.response(&self.invite, status, reason);
        if let Some(answer) = self.answer.as_ref().filter(|_| with_sdp) {
            response.set_body("application/sdp", answer.clone());
        }
        self.last = Bytes::from(response.to_bytes());
        self.effects.push_back(Effect::Send(self.last.clone()));
    }

    fn reply(&mut self, request: &Request, status: u16, reason: &str) {
        let response = self.response(request, status, reason);
        self.effects.push_back(Effect::Send(Bytes::from(response.to_bytes())));
    }

    fn response(&self, request: &Request, status: u16, reason: &str) -> Response {
        let tag = (status > 100).then_some(self.identity.to_tag.as_str());
        let mut response = Response::to_request(request, status, reason, tag);
        response.headers.copy_from(&request.headers, Name::RecordRoute);
        if status > 100 && status < 300 {
            let Identity { host, port, .. } = &self.identity;
            response.headers.push(Name::Contact, format_args!("<sip:{host}:{port}>"));
        }
        response
    }

    fn bye(&self) -> Request {
        let headers = &self.invite.headers;
        let contact = headers.contacts().ok().and_then(|all| all.into_iter().next());
        let target: Uri = contact.map_or_else(|| self.invite.uri.clone(), |contact| contact.uri);
        let mut bye = Request::new(Method::Bye, target);
        let Identity { to_tag, branch, host, port } = &self.identity;
        let via = Via::ours(Transport::Udp, host.clone(), Some(*port), branch);
        bye.headers.push(Name::Via, via);
        bye.headers.push(Name::MaxForwards, 70);
        for route in headers.record_routes().unwrap_or_default() {
            bye.headers.push(Name::Route, route);
        }
        if let Ok(to) = headers.to() {
            bye.headers.push(Name::From, NameAddr::new(to.uri).with_tag(to_tag));
        }
        bye.headers.push(Name::To, headers.get(Name::From).unwrap_or_default());
        bye.headers.copy_from(headers, Name::CallId);
        bye.headers.push(Name::CSeq, "1 BYE");
        bye
    }
}
