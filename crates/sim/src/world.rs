//! A day of calls in virtual time: one process that dials by the real rules, a carrier with callees,
//! a store that survives, and troubles. The same seed gives the same day, to the millisecond.
//!
//! What is real: dealing of slots, gates, the weighing of every contact, redial rules, the call
//! machine. What is played: the network, the callees, the passing of time, and crashes. What a crash
//! takes away is what a process has in its memory.

mod slots;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use domain::application::{ApplicationSpec, Dialect, ScriptSource};
use domain::attempt::{Attempt, AttemptEnd};
use domain::call::{Call, CallLimits, Effect, Input};
use domain::campaign::CampaignState;
use domain::cause::Cause;
use domain::contact::{Contact, ContactRule, ContactState, NewContact};
use domain::dial_queue::Turns;
use domain::failover::{Reach, rang_nobody};
use domain::gate::Gate;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId, TrunkId};
use domain::number::canonical::Canonical;
use domain::outcome::Outcome;
use domain::permit::{Bench, Ground};
use domain::policy::CampaignPolicy;
use domain::region::Country;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::Timestamp;
use domain::trunk::TrunkGate;
use domain::zones::Home;

use crate::chance::Chance;
use crate::checkers::{Checkers, Complaint};
use crate::ledger::{Cancel, Ledger};
use crate::plan::{Plan, Trouble};

/// Most attempts begun in one transaction.
const BATCH_MAX: u32 = 50;
/// Longest time between two looks of the dialer.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the dialer looks ahead where nothing is due, so that quiet hours pass quickly.
const IDLE_MAX: Duration = Duration::from_secs(900);
/// How long an answered call may last.
const CALL_TIME_MAX: Duration = Duration::from_secs(600);
/// Longest time that a day may take to come to its end: windows and caps reach into the next days.
const DRAIN_DAYS: u64 = 60;
/// Days after which a day may be over: nothing of its plan is left to happen.
const STORM_DAYS: u64 = 2;

/// A day under way.
pub struct World {
    plan: Plan,
    chance: Chance,
    now: Timestamp,
    queue: BinaryHeap<Reverse<(Timestamp, u64)>>,
    events: BTreeMap<u64, Happening>,
    nth: u64,
    ledger: Ledger,
    accounts: Vec<AccountId>,
    campaigns: Vec<CampaignId>,
    contacts: Vec<Option<ContactId>>,
    policies: BTreeMap<CampaignId, CampaignPolicy>,
    process: Option<Process>,
    /// What the journal says has left; it outlives the process.
    journal: Vec<AttemptId>,
    /// Ends of calls that the store could not take yet.
    owed: Vec<(AttemptId, AttemptEnd)>,
    store_away_until: Timestamp,
    /// Until when campaigns are stopped, and everything is suspended: the longest word holds.
    stopped_until: Vec<Timestamp>,
    suspended_until: Timestamp,
    checkers: Checkers,
}

/// What a process has in its memory.
struct Process {
    incarnation: u64,
    bench: Bench,
    turns: Turns,
    trunks: Vec<TrunkGate>,
    campaigns: BTreeMap<CampaignId, Gate>,
    calls: BTreeMap<AttemptId, Live>,
    /// Slots that calls of the process before may still hold.
    held: Vec<(Timestamp, usize)>,
}

struct Live {
    call: Call,
    campaign: CampaignId,
    trunk: usize,
    /// The trunks that it took, that one included.
    tried: Vec<usize>,
    number: String,
}

#[derive(Clone, Debug)]
enum Happening {
    Call(u64, AttemptId, Input),
    Look(u64),
    Queue(usize),
    RetryOwed,
    StartAgain,
    StartCampaign(usize),
    Resume,
    Trouble(Trouble),
    Wake(u64, AttemptId),
}

/// What came of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayReport {
    /// Calls that the carrier saw.
    pub calls: usize,
    /// Contacts that were queued.
    pub contacts: usize,
    /// Contacts that ended in doubt.
    pub in_doubt: usize,
    /// Crashes of the process.
    pub crashes: usize,
    /// What a checker found wrong.
    pub complaints: Vec<Complaint>,
}

impl World {
    /// Plays the day of a seed to its end.
    pub fn play(seed: u64) -> DayReport {
        let mut world = Self::new(seed);
        world.schedule_all();
        let end = world.plan.begins + Duration::from_secs(86_400 * DRAIN_DAYS);
        while let Some(Reverse((at, nth))) = world.queue.pop() {
            let is_long_after = at > end - Duration::from_secs(86_400 * (DRAIN_DAYS - STORM_DAYS));
            if at > end || (is_long_after && world.is_over()) {
                break;
            }
            world.now = world.now.max(at);
            if let Some(happening) = world.events.remove(&nth) {
                world.happen(happening);
            }
        }
        world.settle()
    }

    fn new(seed: u64) -> Self {
        let plan = Plan::new(seed);
        let mut ledger = Ledger::default();
        let accounts: Vec<AccountId> = (1..=i64::from(plan.accounts)).map(AccountId).collect();
        let mut policies = BTreeMap::new();
        let mut campaigns = Vec::new();
        for (nth, (account, policy)) in plan.campaigns.iter().enumerate() {
            let (account, name) = (accounts[*account as usize], format!("campaign {nth}"));
            let created =
                ledger.create_campaign(plan.begins, account, &name, CampaignState::Running, false);
            let campaign = created.expect("its name is new").id;
            ledger.set_policy(account, campaign, "by plan", None);
            policies.insert(campaign, policy.clone());
            campaigns.push(campaign);
        }
        let (now, campaigns_many) = (plan.begins, campaigns.len());
        Self {
            chance: Chance::new(seed ^ 0x5eed),
            contacts: vec![None; plan.contacts.len()],
            checkers: Checkers::new(&plan),
            plan,
            now,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            nth: 0,
            ledger,
            accounts,
            campaigns,
            policies,
            process: None,
            journal: Vec::new(),
            owed: Vec::new(),
            store_away_until: now,
            stopped_until: vec![now; campaigns_many],
            suspended_until: now,
        }
    }

    /// Whether every contact has ended, and nothing is under way.
    fn is_over(&self) -> bool {
        let mut contacts = self.ledger.contacts.values();
        let is_done = |contact: &Contact| matches!(contact.state, ContactState::Done(_));
        self.contacts.iter().all(Option::is_some)
            && contacts.all(|entry| is_done(&entry.contact))
            && self.owed.is_empty()
            && self.process.as_ref().is_some_and(|process| process.calls.is_empty())
    }

    fn schedule_all(&mut self) {
        self.start_process(Vec::new());
        for nth in 0..self.plan.contacts.len() {
            self.at(self.plan.contacts[nth].at, Happening::Queue(nth));
        }
        for (at, trouble) in self.plan.troubles.clone() {
            self.at(at, Happening::Trouble(trouble));
        }
    }

    fn at(&mut self, at: Timestamp, happening: Happening) {
        self.nth += 1;
        self.events.insert(self.nth, happening);
        self.queue.push(Reverse((at.max(self.now), self.nth)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Call(incarnation, attempt, input) => {
                self.feed(incarnation, attempt, input);
            }
            Happening::Look(incarnation) => self.look(incarnation),
            Happening::Queue(nth) => self.take_in(nth),
            Happening::RetryOwed => self.store_owed(),
            Happening::StartAgain => self.recover(),
            Happening::StartCampaign(nth) if self.now >= self.stopped_until[nth] => {
                self.set_state(nth, CampaignState::Running);
            }
            Happening::Resume if self.now >= self.suspended_until => {
                self.ledger.is_suspended = false;
                self.wake_dialer();
            }
            // Another word, which holds longer, has come meanwhile.
            Happening::StartCampaign(_) | Happening::Resume => {}
            Happening::Trouble(trouble) => self.trouble(trouble),
            Happening::Wake(incarnation, attempt) => self.wake_call(incarnation, attempt),
        }
    }

    fn store_is_away(&self) -> bool {
        self.now < self.store_away_until
    }

    fn take_in(&mut self, nth: usize) {
        if self.store_is_away() {
            // The client hears that the store is away, and asks again.
            let again = self.store_away_until;
            return self.at(again, Happening::Queue(nth));
        }
        let planned = self.plan.contacts[nth].clone();
        let account = self.accounts[self.plan.campaigns[planned.campaign].0 as usize];
        let rule = ContactRule {
            account,
            campaign: format!("campaign {}", planned.campaign),
            application: ApplicationSpec {
                script: ScriptSource::Say("hello".into()),
                parameters: String::new(),
                dialect: Dialect(0),
                detection: None,
            },
            window: planned.window,
            retry: RetryRule {
                attempts_max: planned.attempts_max,
                wait: planned.wait,
                ..RetryRule::ONCE
            },
            terms: Terms { priority: planned.priority, ring_time_max: None },
            result_url: planned.is_told.then(|| "http://client.example/result".into()),
            dialect: Dialect(0),
        };
        let destination = planned.number.parse().expect("the plan's numbers are numbers");
        let ids = self.ledger.add_contacts(self.now, &rule, vec![NewContact::new(destination)]);
        self.contacts[nth] = ids.first().copied();
        self.wake_dialer();
    }

    fn wake_dialer(&mut self) {
        if let Some(process) = &self.process {
            let incarnation = process.incarnation;
            self.at(self.now, Happening::Look(incarnation));
        }
    }

    /// One look of the dialer: what is due, what is free, what to dial.
    fn look(&mut self, incarnation: u64) {
        if self.process.as_ref().is_none_or(|process| process.incarnation != incarnation) {
            return;
        }
        if self.store_is_away() {
            let again = self.now + Duration::from_millis(500);
            return self.at(again, Happening::Look(incarnation));
        }
        let now = self.now;
        while self.ledger.promote_due(now, 500) == 500 {}
        while self.ledger.expire(now, 500) == 500 {}
        let Some(process) = &mut self.process else {
            return;
        };
        process.release_held(now);
        let demands = self.ledger.demands(now, BATCH_MAX + 1);
        let weighted = demands.into_iter().map(|mut demand| {
            demand.weight = self.policies[&demand.campaign].weight;
            demand
        });
        let demands: Vec<_> = weighted.collect();
        let shares = process.deal(now, &demands);
        let more = !demands.is_empty();
        if !shares.is_empty() {
            let claimed = self.ledger.begin_attempts(now, &shares, &process.bench);
            for share in &shares {
                let begun = claimed.begun.iter().filter(|one| one.0.campaign == share.campaign);
                let left = share.trunks.len().saturating_sub(begun.count());
                process.turns.give_back(share.campaign, u32::try_from(left).unwrap_or(0));
            }
            for (contact, attempt, _) in claimed.begun {
                self.begin(&contact, &attempt);
            }
        }
        // What is due next, or soon again where slots were wanting.
        let due = self.ledger.next_due().map_or(now + IDLE_MAX, |due| due.min(now + IDLE_MAX));
        let is_slow = self.process.as_ref().is_some_and(Process::is_held_by_rate);
        // A slot that is wanting comes back with the end of a call, which wakes the dialer.
        let soon = if more && is_slow { now + PERIOD / 5 } else { now + IDLE_MAX };
        self.at(due.min(soon).max(now + Duration::from_millis(100)), Happening::Look(incarnation));
    }

    /// An attempt is on disk: now it may leave.
    fn begin(&mut self, contact: &Contact, attempt: &Attempt) {
        let now = self.now;
        let limits =
            CallLimits { ring_time_max: self.plan.ring_time_max, call_time_max: CALL_TIME_MAX };
        let trunk = usize::try_from(attempt.trunk.0 - 1).unwrap_or_default();
        let Some(process) = &mut self.process else {
            return;
        };
        process.trunks[trunk].start(now);
        process.campaigns.entry(contact.campaign).or_default().start(now);
        let number = Canonical::of(contact.destination.dialed(), Country::US).key().to_owned();
        let (call, campaign) = (Call::new(now, limits, None, None), contact.campaign);
        let live = Live { call, campaign, trunk, tried: vec![trunk], number };
        let incarnation = process.incarnation;
        process.calls.insert(attempt.id, live);
        self.drain(incarnation, attempt.id);
    }

    fn feed(&mut self, incarnation: u64, attempt: AttemptId, input: Input) {
        let now = self.now;
        if self.live(incarnation, attempt).is_none() {
            // Its process is dead; the far end is told that nobody knows the call.
            if matches!(input, Input::LegEnded(_) | Input::TrunkFailed(_)) {
                self.checkers.ended(now, attempt);
            }
            return;
        };
        match input {
            Input::LegEnded(_) => self.checkers.ended(now, attempt),
            Input::TrunkFailed(_) => self.checkers.refused(now, attempt),
            _ => {}
        }
        if let Some(live) = self.live(incarnation, attempt) {
            live.call.handle(now, input);
        }
        self.drain(incarnation, attempt);
    }

    fn wake_call(&mut self, incarnation: u64, attempt: AttemptId) {
        let now = self.now;
        let Some(live) = self.live(incarnation, attempt) else {
            return;
        };
        if let Some((at, timer)) = live.call.deadline()
            && at <= now
        {
            live.call.handle(now, Input::Expired(timer));
        }
        self.drain(incarnation, attempt);
    }

    fn live(&mut self, incarnation: u64, attempt: AttemptId) -> Option<&mut Live> {
        let process = self.process.as_mut().filter(|process| process.incarnation == incarnation)?;
        process.calls.get_mut(&attempt)
    }

    /// Does what a call wants done, and minds its deadline.
    fn drain(&mut self, incarnation: u64, attempt: AttemptId) {
        while let Some(effect) = self.live(incarnation, attempt).and_then(|live| live.call.poll()) {
            match effect {
                Effect::Dial => self.invite(incarnation, attempt),
                Effect::DialElsewhere(cause) => self.reroute(incarnation, attempt, cause),
                Effect::EndScript => {
                    let at = self.now + Duration::from_millis(50);
                    self.at(at, Happening::Call(incarnation, attempt, Input::ScriptEnded));
                }
                Effect::Finish(end) => {
                    self.finish(attempt, end);
                    return;
                }
                Effect::HangUp => {
                    let gone =
                        Happening::Call(incarnation, attempt, Input::LegEnded(Cause::default()));
                    self.at(self.now + Duration::from_millis(80), gone);
                }
                Effect::Note(kind, detail) => {
                    let contact = self.ledger.attempts[&attempt].contact;
                    if !self.store_is_away() {
                        self.ledger.note(attempt, contact, self.now, kind, &detail);
                    }
                }
                Effect::RunScript => {
                    let lasts = Duration::from_secs(self.chance.between(1, 90));
                    let ended = Happening::Call(incarnation, attempt, Input::ScriptEnded);
                    self.at(self.now + lasts, ended);
                }
                // Nobody listens for who answers here, and nobody is handed over, so nothing comes
                // of it.
                Effect::EndBridge
                | Effect::Listen
                | Effect::RunMessage(_)
                | Effect::TellCallee(_) => {}
                Effect::SendKeys(_) => {
                    self.at(self.now, Happening::Call(incarnation, attempt, Input::KeysSent));
                }
            }
        }
        if let Some((at, _)) = self.live(incarnation, attempt).and_then(|live| live.call.deadline())
        {
            self.at(at, Happening::Wake(incarnation, attempt));
        }
    }

    /// The INVITE leaves: marked in the journal first, then seen by the carrier.
    fn invite(&mut self, incarnation: u64, attempt: AttemptId) {
        self.journal.push(attempt);
        let contact = self.ledger.attempts[&attempt].contact;
        let contact = self.ledger.contacts[&contact].contact.clone();
        let policy = self.policies[&contact.campaign].clone();
        let Some(live) = self.live(incarnation, attempt) else {
            return;
        };
        let (trunk, number) = (live.trunk, live.number.clone());
        self.checkers.invited(self.now, attempt, &contact, &policy, trunk, &number);
        let ms = Duration::from_millis;
        let then = |after: Duration, input: Input| (after, input);
        let status =
            |status: u16| Input::LegEnded(Cause { sip_status: Some(status), ..Cause::default() });
        // What the engine makes of a final response before anything rang.
        let refusal = |status: u16| {
            let cause = Cause { sip_status: Some(status), ..Cause::default() };
            match rang_nobody(Reach::Refused, &cause) {
                true => Input::TrunkFailed(cause),
                false => Input::LegEnded(cause),
            }
        };
        if self.chance.percent(self.plan.loss_percent) {
            // No answer at all: SIP gives up after 32 s.
            return self.script(incarnation, attempt, vec![then(ms(32_000), status(408))]);
        }
        let ring = ms(self.chance.between(50, 3_000));
        let answer = ring + Duration::from_secs(self.chance.between(1, 25));
        let hello = answer + Duration::from_secs(self.chance.between(1, 120));
        let story = match self.chance.below(10) {
            0 | 1 => vec![then(ring, status(486))],
            2 => vec![then(ring, status(404))],
            3 => vec![then(ring, refusal(503))],
            4 => vec![then(ring, Input::Ringing)],
            5 => vec![then(ring, Input::Ringing), then(answer, status(603))],
            6 => vec![
                then(ring, Input::Ringing),
                then(answer, Input::Answered),
                then(hello, Input::LegEnded(Cause::default())),
            ],
            _ => vec![then(ring, Input::Ringing), then(answer, Input::Answered)],
        };
        self.script(incarnation, attempt, story);
    }

    /// A trunk refused: the next one with room takes the call, once that is written down.
    fn reroute(&mut self, incarnation: u64, attempt: AttemptId, cause: Cause) {
        let (now, is_away) = (self.now, self.store_is_away());
        let process = self.process.as_mut().filter(|one| one.incarnation == incarnation);
        let process = process.expect("a live call has a process");
        let live = &process.calls[&attempt];
        let is_free = |trunk: usize| process.trunks[trunk].free(now) > 0;
        let mut trunks = (0..process.trunks.len()).filter(|trunk| !live.tried.contains(trunk));
        let next = trunks.find(|trunk| is_free(*trunk)).filter(|_| !is_away);
        let next = next.filter(|next| {
            let (trunk, judge) = (process.trunks[*next].trunk, &process.bench);
            self.ledger.reroute_attempt(now, attempt, trunk, "503", judge)
        });
        let Some(next) = next else {
            return self.at(now, Happening::Call(incarnation, attempt, Input::LegEnded(cause)));
        };
        let live = process.calls.get_mut(&attempt).expect("the call lives");
        process.trunks[live.trunk].end();
        process.trunks[next].start(now);
        live.trunk = next;
        live.tried.push(next);
        live.call.handle(now, Input::Rerouted);
    }

    fn script(&mut self, incarnation: u64, attempt: AttemptId, story: Vec<(Duration, Input)>) {
        for (after, input) in story {
            self.at(self.now + after, Happening::Call(incarnation, attempt, input));
        }
    }

    /// A call has come to its end: its slot is free, and its end is to be stored.
    fn finish(&mut self, attempt: AttemptId, end: AttemptEnd) {
        let process = self.process.as_mut().expect("its process lives");
        let live = process.calls.remove(&attempt).expect("a call ends once");
        process.trunks[live.trunk].end();
        process.campaigns.entry(live.campaign).or_default().end();
        self.checkers.finished(self.now, attempt);
        self.owed.push((attempt, end));
        self.store_owed();
    }

    fn store_owed(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        if self.store_is_away() {
            let again = self.now + Duration::from_millis(500);
            return self.at(again, Happening::RetryOwed);
        }
        for (attempt, end) in std::mem::take(&mut self.owed) {
            self.ledger.finish_attempt(attempt, &end);
        }
        self.wake_dialer();
    }

    fn trouble(&mut self, trouble: Trouble) {
        let away = self.store_is_away();
        match trouble {
            Trouble::Cancel(nth) if !away => self.cancel(nth),
            Trouble::OptOut(nth) if !away => self.opt_out(nth),
            Trouble::Stop(nth, time) if !away => {
                self.set_state(nth, CampaignState::Stopped);
                self.checkers.stopped(self.now, self.campaigns[nth], time);
                self.stopped_until[nth] = self.stopped_until[nth].max(self.now + time);
                self.at(self.now + time, Happening::StartCampaign(nth));
            }
            Trouble::Suspend(time) if !away => {
                self.ledger.is_suspended = true;
                self.checkers.suspended(self.now, time);
                self.suspended_until = self.suspended_until.max(self.now + time);
                self.at(self.now + time, Happening::Resume);
            }
            Trouble::StoreAway(time) => {
                self.store_away_until = self.store_away_until.max(self.now + time);
            }
            Trouble::Crash(time) => {
                // A crash takes what waits for the store as well.
                self.process = None;
                self.owed.clear();
                self.checkers.crashed(self.now);
                self.at(self.now + time, Happening::StartAgain);
            }
            // The client hears that the store is away.
            Trouble::Cancel(_) | Trouble::OptOut(_) | Trouble::Stop(..) | Trouble::Suspend(_) => {}
        }
    }

    fn set_state(&mut self, nth: usize, state: CampaignState) {
        let campaign = self.campaigns[nth];
        let account = self.ledger.campaigns[&campaign].account;
        self.ledger.set_campaign_state(account, campaign, state);
        self.wake_dialer();
    }

    fn cancel(&mut self, nth: usize) {
        let Some(id) = self.contacts[nth] else {
            return;
        };
        let account = self.ledger.contacts[&id].contact.account;
        let canceled = self.ledger.cancel_contact(self.now, account, id);
        self.checkers.canceled(self.now, id);
        if let Cancel::Calling(attempt) = canceled
            && let Some(process) = &self.process
        {
            let (incarnation, reason) = (process.incarnation, "canceled by the client".into());
            self.feed(incarnation, attempt, Input::Cancel { reason });
        }
    }

    fn opt_out(&mut self, nth: usize) {
        let Some(id) = self.contacts[nth] else {
            return;
        };
        let contact = self.ledger.contacts[&id].contact.clone();
        let number = Canonical::of(contact.destination.dialed(), Country::US).key().to_owned();
        self.ledger.opt_out(self.now, contact.account, &number);
        self.checkers.opted_out(self.now, contact.account, &number);
    }

    /// The next process: what was never sent waits again, what may have rung is in doubt.
    fn recover(&mut self) {
        if self.process.is_some() {
            return;
        }
        if self.store_is_away() {
            let again = self.store_away_until;
            return self.at(again, Happening::StartAgain);
        }
        let mut held = Vec::new();
        for attempt in self.ledger.open_attempts() {
            if !self.journal.contains(&attempt.id) {
                self.ledger.release_attempt(self.now, attempt.id);
                continue;
            }
            let end = AttemptEnd {
                outcome: Outcome::InDoubt,
                cause: Cause::default(),
                ringing_at: attempt.ringing_at,
                answered_at: attempt.answered_at,
                ended_at: self.now,
                detected: String::new(),
                message_left: false,
            };
            self.ledger.finish_attempt(attempt.id, &end);
            let trunk = usize::try_from(attempt.trunk.0 - 1).unwrap_or_default();
            held.push((self.now + self.plan.ring_time_max, trunk));
            // It takes down what still rings at the far end.
            self.checkers.taken_down(self.now, attempt.id);
        }
        self.start_process(held);
    }

    fn start_process(&mut self, held: Vec<(Timestamp, usize)>) {
        let home = Home { country: Country::US, zone: None };
        let mut bench = Bench::new(Ground::at(home), CampaignPolicy::default());
        for (campaign, policy) in &self.policies {
            let version = self.ledger.policies.get(campaign).map_or(0, |policy| policy.0);
            bench.policies.insert(*campaign, (version, policy.clone()));
        }
        let trunks = self.plan.trunks.iter().zip(1..);
        let mut trunks: Vec<TrunkGate> =
            trunks.map(|(limits, id)| TrunkGate::new(TrunkId(id), *limits)).collect();
        for (_, trunk) in &held {
            trunks[*trunk].start(self.now);
        }
        let gate = |(campaign, policy): (&CampaignId, &CampaignPolicy)| {
            (*campaign, Gate::new(policy.limits))
        };
        self.nth += 1;
        let incarnation = self.nth;
        self.process = Some(Process {
            incarnation,
            bench,
            turns: Turns::default(),
            trunks,
            campaigns: self.policies.iter().map(gate).collect(),
            calls: BTreeMap::new(),
            held,
        });
        self.at(self.now, Happening::Look(incarnation));
    }

    /// All has happened: what must hold in the end is looked at.
    fn settle(mut self) -> DayReport {
        let contacts: Vec<&Contact> =
            self.ledger.contacts.values().map(|entry| &entry.contact).collect();
        let is_waiting = |contact: &&&Contact| !matches!(contact.state, ContactState::Done(_));
        let in_doubt = contacts.iter().filter(|one| one.last_outcome == Some(Outcome::InDoubt));
        let (many, in_doubt) = (contacts.len(), in_doubt.count());
        let left: Vec<String> =
            contacts.iter().filter(is_waiting).map(|contact| format!("{contact:?}")).collect();
        self.checkers.told(&self.ledger);
        if let Some(process) = &self.process {
            let busy: u32 = process.trunks.iter().map(TrunkGate::busy).sum();
            let held = u32::try_from(process.held.len()).unwrap_or(0);
            self.checkers.at_rest(busy.saturating_sub(held), process.calls.len());
        }
        self.checkers.report(many, in_doubt, &left)
    }
}

impl Process {}
