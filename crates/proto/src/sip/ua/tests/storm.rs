//! Both ends behind a network that loses, doubles and overtakes, for hundreds of seeds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::lab::*;
use crate::sip::flow::Transport as T;
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::name::Name;
use crate::sip::parse::parse_datagram;
use crate::sip::timers::{PATIENCE, T1, T2};
use crate::sip::tokens::Tokens;
use crate::sip::transaction::{Client, Effect as Step, Server, ServerInvite};
use crate::sip::transaction::{client, server, server_invite};
use crate::sip::ua::*;

/// What a callee does, chosen by the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Answers { hangs_up: bool },
    Busy,
    NeverAnswers,
}

/// A far end that follows RFC 3261, on the same transaction machines as we.
struct Far {
    habit: Habit,
    reliable_s: u64,
    invite: Option<(Request, ServerInvite)>,
    others: BTreeMap<String, Server>,
    bye: Option<Client>,
    phase: FarPhase,
    /// The 2xx, repeated until the ACK comes.
    answer: Option<(Bytes, Instant, Duration, Instant)>,
    act_at: Option<Instant>,
    out: Vec<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FarPhase {
    Idle,
    Ringing,
    Answered,
    Up,
    Over,
}

impl Far {
    fn new(habit: Habit, reliable_s: u64) -> Self {
        Self {
            habit,
            reliable_s,
            invite: None,
            others: BTreeMap::new(),
            bye: None,
            phase: FarPhase::Idle,
            answer: None,
            act_at: None,
            out: Vec::new(),
        }
    }

    fn receive(&mut self, now: Instant, message: Message) {
        match message {
            Message::Request(request) => self.request(now, request),
            Message::Response(response) => {
                if let Some(bye) = &mut self.bye {
                    bye.handle(now, client::Input::Response(response.status));
                }
            }
        }
        self.drain();
    }

    fn request(&mut self, now: Instant, request: Request) {
        match request.method {
            Method::Invite => match &mut self.invite {
                Some((_, machine)) => machine.handle(now, server_invite::Input::Repeated),
                None => self.ring(now, request),
            },
            Method::Ack => {
                if let Some((_, machine)) = &mut self.invite {
                    machine.handle(now, server_invite::Input::Ack);
                }
                self.answer = None;
                if self.phase == FarPhase::Answered {
                    self.phase = FarPhase::Up;
                    let hangs_up = matches!(self.habit, Habit::Answers { hangs_up: true });
                    self.act_at = hangs_up.then(|| now + Duration::from_secs(self.reliable_s));
                }
            }
            Method::Bye | Method::Cancel => {
                let key =
                    request.headers.get(Name::Via).unwrap().to_owned() + request.method.as_str();
                if let Some(known) = self.others.get_mut(&key) {
                    return known.handle(now, server::Input::Repeated);
                }
                let is_bye = request.method == Method::Bye;
                let known = self.invite.is_some();
                let mut machine = Server::new(T::Udp);
                let status = if known { 200 } else { 481 };
                let ok = response(&request, status, "far", &[], "").to_bytes();
                machine.handle(now, server::Input::Respond(status, ok.into()));
                self.others.insert(key, machine);
                if is_bye {
                    self.over();
                } else if self.phase == FarPhase::Ringing {
                    self.refuse(now, 487);
                }
            }
            _ => panic!("{} was not to be sent", request.method),
        }
    }

    fn ring(&mut self, now: Instant, request: Request) {
        let mut machine = ServerInvite::new(T::Udp);
        for status in [100, 180] {
            let bytes = response(&request, status, "far", &[], "").to_bytes();
            machine.handle(now, server_invite::Input::Respond(status, bytes.into()));
            while let Some(Step::Send(data)) = machine.poll() {
                self.out.push(data);
            }
        }
        self.invite = Some((request, machine));
        self.phase = FarPhase::Ringing;
        self.act_at = Some(now + Duration::from_secs(3));
    }

    fn refuse(&mut self, now: Instant, status: u16) {
        if let Some((request, machine)) = &mut self.invite {
            let bytes = response(request, status, "far", &[], "").to_bytes();
            machine.handle(now, server_invite::Input::Respond(status, bytes.into()));
        }
        self.over();
    }

    fn over(&mut self) {
        self.phase = FarPhase::Over;
        self.answer = None;
        self.act_at = None;
    }

    /// Does what its habit says, and what its timers say.
    fn fire(&mut self, now: Instant) {
        if self.act_at.is_some_and(|at| at <= now) {
            self.act_at = None;
            match (self.phase, self.habit) {
                (FarPhase::Ringing, Habit::Busy) => self.refuse(now, 486),
                (FarPhase::Ringing, Habit::Answers { .. }) => self.pick_up(now),
                (FarPhase::Up, Habit::Answers { hangs_up: true }) => self.hang_up(now),
                _ => {}
            }
        }
        if let Some((bytes, at, pause, until)) = &mut self.answer {
            if *until <= now {
                self.answer = None;
                self.hang_up(now);
            } else if *at <= now {
                self.out.push(bytes.clone());
                *pause = (*pause * 2).min(T2);
                *at = now + *pause;
            }
        }
        if let Some((_, machine)) = &mut self.invite
            && let Some((_, timer)) = machine.deadline().filter(|(at, _)| *at <= now)
        {
            machine.handle(now, server_invite::Input::Expired(timer));
        }
        for machine in self.others.values_mut() {
            if let Some((_, timer)) = machine.deadline().filter(|(at, _)| *at <= now) {
                machine.handle(now, server::Input::Expired(timer));
            }
        }
        if let Some(bye) = &mut self.bye
            && let Some((_, timer)) = bye.deadline().filter(|(at, _)| *at <= now)
        {
            bye.handle(now, client::Input::Expired(timer));
        }
        self.drain();
    }

    fn pick_up(&mut self, now: Instant) {
        if let Some((request, machine)) = &mut self.invite {
            let ok = Bytes::from(response(request, 200, "far", &[], ANSWER).to_bytes());
            machine.handle(now, server_invite::Input::Respond(200, ok.clone()));
            self.answer = Some((ok, now + T1, T1, now + PATIENCE));
            self.phase = FarPhase::Answered;
        }
    }

    fn hang_up(&mut self, now: Instant) {
        self.over();
        let Some((invite, _)) = &self.invite else { return };
        let mut bye = Request::new(Method::Bye, invite.headers.contacts().unwrap()[0].uri.clone());
        let headers = &mut bye.headers;
        headers.push(Name::Via, "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKfarbye");
        headers.push(Name::From, format_args!("{};tag=far", invite.headers.get(Name::To).unwrap()));
        headers.push(Name::To, invite.headers.get(Name::From).unwrap());
        headers.push(Name::CallId, invite.headers.call_id().unwrap());
        headers.push(Name::CSeq, "1 BYE");
        self.bye = Some(Client::new(now, bye.to_bytes().into(), T::Udp));
    }

    fn drain(&mut self) {
        let mut steps = Vec::new();
        if let Some((_, machine)) = &mut self.invite {
            steps.extend(std::iter::from_fn(|| machine.poll()));
        }
        for machine in self.others.values_mut() {
            steps.extend(std::iter::from_fn(|| machine.poll()));
        }
        if let Some(bye) = &mut self.bye {
            steps.extend(std::iter::from_fn(|| bye.poll()));
        }
        for step in steps {
            if let Step::Send(data) | Step::Resend(data) = step {
                self.out.push(data);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let answer = self.answer.as_ref().map(|(_, at, _, until)| *at.min(until));
        let invite = self.invite.as_ref().and_then(|(_, machine)| machine.deadline());
        let bye = self.bye.as_ref().and_then(Client::deadline);
        let others = self.others.values().filter_map(Server::deadline);
        let timers = invite.into_iter().chain(bye).chain(others).map(|(at, _)| at);
        timers.chain(answer).chain(self.act_at).min()
    }
}

/// What the network does to each datagram, in percent; delays in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Weather {
    lost: u64,
    doubled: u64,
    delay_max: u64,
}

/// A datagram under way: when it arrives, its number, to whom, and its octets.
type Parcel = Reverse<(Instant, u64, Party, Vec<u8>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Far,
    Us,
}

/// One call through the storm.
struct Storm {
    lab: Lab,
    far: Far,
    wire: BinaryHeap<Parcel>,
    count: u64,
    dice: Tokens,
    weather: Weather,
    hang_up_at: Option<Instant>,
    told: Vec<Effect>,
}

impl Storm {
    fn new(seed: u64, weather: Weather) -> Self {
        let mut dice = Tokens::new(&[3; 32], seed);
        let habit = match dice.between(0, 4) {
            0 => Habit::Busy,
            1 => Habit::NeverAnswers,
            2 => Habit::Answers { hangs_up: true },
            _ => Habit::Answers { hangs_up: false },
        };
        let hang_up_ms = match dice.between(0, 2) {
            // Around the moment of the answer, so that CANCEL and 200 cross.
            0 => dice.between(2_500, 3_700),
            1 => dice.between(0, 8_000),
            _ => dice.between(20_000, 50_000),
        };
        let mut lab = Lab::new();
        lab.ua.handle(lab.now, Input::Invite(Box::new(invite(CALL))));
        let hang_up_at = Some(lab.now + Duration::from_millis(hang_up_ms));
        let far = Far::new(habit, dice.between(0, 5));
        let (wire, told) = (BinaryHeap::new(), Vec::new());
        Self { lab, far, wire, count: 0, dice, weather, hang_up_at, told }
    }

    /// Puts on the wire what both ends have to say, as the weather will have it.
    fn carry(&mut self) {
        let from_far = self.far.out.drain(..);
        let mut out: Vec<(Party, Bytes)> = from_far.map(|data| (Party::Us, data)).collect();
        while let Some(effect) = self.lab.ua.poll() {
            match effect {
                Effect::Send { data, .. } => out.push((Party::Far, data)),
                effect => self.told.push(effect),
            }
        }
        for (to, data) in out {
            let copies = 1 + u64::from(self.dice.between(0, 99) < self.weather.doubled);
            for _ in 0..copies {
                if self.dice.between(0, 99) < self.weather.lost {
                    continue;
                }
                let delay_ms = self.dice.between(1, self.weather.delay_max);
                let at = self.lab.now + Duration::from_millis(delay_ms);
                self.count += 1;
                self.wire.push(Reverse((at, self.count, to, data.to_vec())));
            }
        }
    }

    /// Goes on to the next thing that happens; whether anything does.
    fn step(&mut self) -> bool {
        let arrival = self.wire.peek().map(|Reverse((at, ..))| *at);
        let timer = self.lab.ua.deadline().map(|(at, _)| at);
        let next = [arrival, timer, self.far.deadline(), self.hang_up_at];
        let Some(next) = next.into_iter().flatten().min() else { return false };
        let now = next.max(self.lab.now);
        self.lab.now = now;
        if self.hang_up_at.take_if(|at| *at <= now).is_some() {
            self.lab.ua.handle(now, Input::HangUp { call: CALL, reason: None });
        } else if arrival.is_some_and(|at| at <= now) {
            match self.wire.pop() {
                Some(Reverse((_, _, Party::Far, data))) => {
                    self.far.receive(now, parse_datagram(&data).unwrap());
                }
                Some(Reverse((_, _, Party::Us, data))) => {
                    self.lab.ua.handle(now, Input::Received { flow: udp(1), data: data.into() });
                }
                None => {}
            }
        } else {
            self.far.fire(now);
            if let Some((_, timer)) = self.lab.ua.deadline().filter(|(at, _)| *at <= now) {
                self.lab.ua.handle(now, Input::Expired(timer));
            }
        }
        true
    }
}

/// One call through the storm; what the engine was told of it.
fn call_through(seed: u64, weather: Weather) -> Vec<Effect> {
    let mut storm = Storm::new(seed, weather);
    storm.carry();
    while storm.step() {
        storm.carry();
        assert!(storm.lab.elapsed_s() < 600, "seed {seed} does not come to an end");
    }
    let Storm { lab, far, told, .. } = storm;
    assert_eq!(lab.ua.calls(), 0, "seed {seed}: call left behind");
    assert_eq!(lab.ua.transactions(), 0, "seed {seed}: transaction left behind");
    let far_is_over = matches!(far.phase, FarPhase::Over | FarPhase::Idle);
    // Who never heard our CANCEL goes on ringing: that is his.
    let rings_on = far.phase == FarPhase::Ringing && far.habit == Habit::NeverAnswers;
    assert!(far_is_over || rings_on, "seed {seed}: {:?} left behind, {:?}", far.phase, far.habit);
    told
}

fn check_story(seed: u64, told: &[Effect]) {
    let count = |is: fn(&Effect) -> bool| told.iter().filter(|effect| is(effect)).count();
    assert_eq!(count(|effect| matches!(effect, Effect::Sent { .. })), 1, "seed {seed}");
    let ends = count(|effect| matches!(effect, Effect::Ended { .. }));
    assert_eq!(ends, 1, "seed {seed}: {told:?}");
    let answers = count(|effect| matches!(effect, Effect::Answered { .. }));
    assert!(answers <= 1, "seed {seed}: {told:?}");
    // Only a 2xx that comes when all was given up may follow the end.
    let end = told.iter().position(|effect| matches!(effect, Effect::Ended { .. })).unwrap();
    for late in &told[end + 1..] {
        assert!(matches!(late, Effect::Orphan { .. }), "seed {seed}: {late:?} after the end");
    }
}

#[test]
fn every_call_ends_once_in_fair_weather() {
    for seed in 0..200 {
        let weather = Weather { lost: 0, doubled: 0, delay_max: 30 };
        let told = call_through(seed, weather);
        check_story(seed, &told);
        assert!(!told.iter().any(|effect| matches!(effect, Effect::Orphan { .. })));
    }
}

#[test]
fn every_call_ends_once_and_nothing_is_left_at_20_percent_loss() {
    for seed in 0..400 {
        let weather = Weather { lost: 20, doubled: 20, delay_max: 400 };
        check_story(seed, &call_through(seed, weather));
    }
}

#[test]
fn storms_bring_every_kind_of_end() {
    let mut ends = BTreeMap::new();
    for seed in 0..400 {
        let weather = Weather { lost: 20, doubled: 20, delay_max: 400 };
        let told = call_through(seed, weather);
        let is_answered = told.iter().any(|effect| matches!(effect, Effect::Answered { .. }));
        for effect in &told {
            if let Effect::Ended { end, .. } = effect {
                *ends.entry(format!("{:?} {:?} {is_answered}", end.by, end.status)).or_insert(0) +=
                    1;
            }
        }
    }
    for kind in [
        "Far Some(200) true",
        "Far Some(486) false",
        "Us Some(200) false",
        "Us Some(200) true",
        "Us Some(487) false",
    ] {
        assert!(ends.get(kind).is_some_and(|count| *count >= 10), "{kind} is rare: {ends:?}");
    }
}

#[test]
fn every_call_ends_once_when_most_is_lost() {
    for seed in 0..200 {
        let weather = Weather { lost: 60, doubled: 10, delay_max: 2_000 };
        check_story(seed, &call_through(seed, weather));
    }
}

#[test]
fn five_thousand_calls_and_what_they_leave_cost_little() {
    let mut lab = Lab::new();
    let calls = 5_000;
    for n in 0..calls {
        lab.feed(Input::Invite(Box::new(invite(CallKey(n)))));
        lab.respond(&Method::Invite, 100);
        lab.answer();
        lab.sent.clear();
    }
    lab.story();
    assert_eq!(lab.ua.calls(), 5_000);
    for n in 0..calls {
        lab.feed(Input::HangUp { call: CallKey(n), reason: None });
        lab.respond(&Method::Bye, 200);
        lab.sent.clear();
    }
    assert_eq!(lab.story().matches("ended Us 200").count(), 5_000);
    assert_eq!((lab.ua.calls(), lab.ua.transactions()), (0, 10_000));
    lab.assert_clean();
}

#[test]
fn network_that_stood_still_is_not_met_with_all_repetitions_at_once() {
    let mut few = config();
    few.limits.resends_per_s = 100;
    let mut lab = Lab::with(few, &[target(T::Udp, 1)], None);
    for n in 0..1_000 {
        lab.feed(Input::Invite(Box::new(invite(CallKey(n)))));
    }
    lab.story();
    lab.pass(Duration::from_millis(500));
    assert_eq!(lab.story().matches("> INVITE").count(), 100);
    assert_eq!(lab.ua.counters().resends_suppressed, 900);
    lab.pass_s(40);
    assert_eq!(lab.story().matches("ended Timeout").count(), 1_000);
}

#[test]
fn idle_call_is_small() {
    assert!(size_of::<Response>() < 200);
    let size = size_of::<super::super::call::Call>();
    assert!(size <= 1_024, "a call has {size} octets besides its texts");
}
