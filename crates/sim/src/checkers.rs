//! What must hold in every run, looked at from outside: by what the carrier sees and clients said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use domain::caps::Limit;
use domain::contact::{Contact, ContactState};
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId};
use domain::policy::CampaignPolicy;
use domain::time::Timestamp;
use domain::trunk::TrunkLimits;

use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::world::DayReport;

/// Hours of the federal rule, in minutes of the callee's day, in every zone of the numbers' states.
const LAW: (i64, i64) = (8 * 60, 21 * 60);
/// Area codes of the plan, and the offsets from UTC in minutes that hold in all their zones: in
/// winter and in summer. Some lie in two zones.
const OFFSETS: [(&str, &[i64], &[i64]); 8] = [
    ("212", &[-300], &[-240]),
    ("312", &[-360], &[-300]),
    ("303", &[-420], &[-360]),
    ("213", &[-480], &[-420]),
    ("907", &[-540, -600], &[-480, -540]),
    ("808", &[-600], &[-600]),
    ("850", &[-360, -300], &[-300, -240]),
    ("602", &[-420], &[-420]),
];
/// When summer time of 2026 begins and ends in the easternmost and the westernmost of these zones, in
/// seconds since the epoch; in between, either may hold.
const SPRING: (i64, i64) = (1_772_953_200, 1_772_971_200);
const AUTUMN: (i64, i64) = (1_793_512_800, 1_793_530_800);

/// Watches a day.
pub struct Checkers {
    trunks: Vec<TrunkLimits>,
    dialogs: BTreeMap<AttemptId, Dialog>,
    live: BTreeMap<usize, BTreeSet<AttemptId>>,
    starts: BTreeMap<usize, VecDeque<Timestamp>>,
    /// Calls to each number, of each account: caps are an account's.
    phones: BTreeMap<(AccountId, String), Vec<AttemptId>>,
    canceled: BTreeMap<ContactId, Timestamp>,
    opted_out: BTreeMap<(AccountId, String), Timestamp>,
    stopped: Vec<(CampaignId, Timestamp, Timestamp)>,
    suspended: Vec<(Timestamp, Timestamp)>,
    finished: BTreeSet<AttemptId>,
    crashes: usize,
    complaints: Vec<Complaint>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What kind of thing.
    pub kind: Kind,
    /// When and what, for people.
    pub what: String,
}

/// What kind of thing must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something is left over, or happened twice inside.
    Broken,
    /// More at once, in a second, or to one number than is allowed.
    Caps,
    /// A result that is missing, or one too many.
    Results,
    /// A phone that rang once too often.
    RungTwice,
    /// A call when none was allowed, or to whom none was.
    Window,
}

struct Dialog {
    contact: ContactId,
    begins: Timestamp,
    ends: Option<Timestamp>,
    trunk: usize,
    /// Its process has died; the phone may ring on until it is taken down.
    orphaned: bool,
    /// A trunk refused it before anything rang: it may be seen once more, over another one.
    refused: bool,
}

impl Checkers {
    /// Watches a day of this plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            trunks: plan.trunks.clone(),
            dialogs: BTreeMap::new(),
            live: BTreeMap::new(),
            starts: BTreeMap::new(),
            phones: BTreeMap::new(),
            canceled: BTreeMap::new(),
            opted_out: BTreeMap::new(),
            stopped: Vec::new(),
            suspended: Vec::new(),
            finished: BTreeSet::new(),
            crashes: 0,
            complaints: Vec::new(),
        }
    }

    fn complain(&mut self, now: Timestamp, kind: Kind, what: &str) {
        let what = format!("{}: {what}", now.as_seconds());
        self.complaints.push(Complaint { kind, what });
    }

    fn conclude(&mut self, kind: Kind, what: String) {
        self.complaints.push(Complaint { kind, what });
    }

    /// The carrier sees an INVITE.
    pub fn invited(
        &mut self,
        now: Timestamp,
        attempt: AttemptId,
        contact: &Contact,
        policy: &CampaignPolicy,
        trunk: usize,
        number: &str,
    ) {
        let (ends, orphaned, refused) = (None, false, false);
        let dialog = Dialog { contact: contact.id, begins: now, ends, trunk, orphaned, refused };
        let before = self.dialogs.insert(attempt, dialog);
        self.check_times(now, contact, policy, number);
        self.check_words(now, contact, number);
        self.check_trunk(now, attempt, trunk);
        if let Some(before) = before {
            if !before.refused {
                self.complain(now, Kind::RungTwice, "an attempt was sent twice");
            } else if before.trunk == trunk {
                self.complain(now, Kind::Broken, "a trunk was tried again that had refused");
            }
            // It is the one call to its number still, begun when it was first sent.
            self.dialogs.entry(attempt).and_modify(|dialog| dialog.begins = before.begins);
            return;
        }
        let attempts = self.dialogs.values().filter(|dialog| dialog.contact == contact.id).count();
        if attempts > usize::try_from(contact.retry.attempts_max).unwrap_or(usize::MAX) {
            self.complain(now, Kind::RungTwice, "a contact was rung more often than its budget");
        }
        self.check_phone(now, attempt, policy, (contact.account, number.to_owned()));
    }

    /// No phone rings twice at once, nor sooner or more often than the campaign's caps say.
    fn check_phone(
        &mut self,
        now: Timestamp,
        attempt: AttemptId,
        policy: &CampaignPolicy,
        phone: (AccountId, String),
    ) {
        let calls = self.phones.entry(phone).or_default();
        let before: Vec<(Timestamp, Option<Timestamp>, bool)> = calls
            .iter()
            .filter_map(|call| self.dialogs.get(call))
            .map(|dialog| (dialog.begins, dialog.ends, dialog.orphaned))
            .collect();
        calls.push(attempt);
        if before.iter().any(|(_, ends, orphaned)| ends.is_none() && !orphaned) {
            self.complain(now, Kind::RungTwice, "a phone was rung while it was in a call of ours");
        }
        for cap in &policy.caps {
            let broken = match cap {
                Limit::AfterConversation { .. } => false,
                Limit::Calls { calls_max, within } => {
                    let since = |begins: &Timestamp| now.since(*begins) < *within;
                    let recent = before.iter().filter(|(begins, ..)| since(begins)).count();
                    recent + 1 > usize::try_from(*calls_max).unwrap_or(usize::MAX)
                }
                Limit::Gap { at_least } => before
                    .iter()
                    .any(|(_, ends, _)| ends.is_some_and(|ends| now.since(ends) < *at_least)),
            };
            if broken {
                self.complain(now, Kind::Caps, &format!("{cap:?} was broken"));
            }
        }
    }

    /// No call outside of windows and hours.
    fn check_times(
        &mut self,
        now: Timestamp,
        contact: &Contact,
        policy: &CampaignPolicy,
        number: &str,
    ) {
        if !contact.window.is_open(now) {
            self.complain(now, Kind::Window, "a contact was rung outside of its window");
        }
        if !policy.window.is_open(now) {
            self.complain(now, Kind::Window, "a campaign dialed outside of its window");
        }
        let own = policy.hours.as_ref().map(|_| (10 * 60, 18 * 60));
        let law = policy.hours_of_law.then_some(LAW);
        for (opens, closes) in own.into_iter().chain(law) {
            for offset in offsets(now, number) {
                let minute = (now.as_seconds() / 60 + offset).rem_euclid(24 * 60);
                if !(opens..closes).contains(&minute) {
                    self.complain(
                        now,
                        Kind::Window,
                        &format!("{number} was rung at minute {minute} of its day"),
                    );
                }
            }
        }
    }

    /// No call after a client, or the callee, said no.
    fn check_words(&mut self, now: Timestamp, contact: &Contact, number: &str) {
        if self.canceled.contains_key(&contact.id) {
            self.complain(now, Kind::Window, "a contact was rung after its cancel");
        }
        if self.opted_out.contains_key(&(contact.account, number.to_owned())) {
            self.complain(now, Kind::Window, "somebody was rung who had opted out");
        }
        let campaign = contact.campaign;
        if self.stopped.iter().any(|(id, from, to)| *id == campaign && now > *from && now < *to) {
            self.complain(now, Kind::Window, "a stopped campaign dialed");
        }
        if self.suspended.iter().any(|(from, to)| now > *from && now < *to) {
            self.complain(now, Kind::Window, "something was dialed while all was suspended");
        }
    }

    /// No trunk above its slots, nor above its calls per second.
    fn check_trunk(&mut self, now: Timestamp, attempt: AttemptId, trunk: usize) {
        let limits = self.trunks[trunk];
        let live = self.live.entry(trunk).or_default();
        live.insert(attempt);
        let crowded = live.len() > usize::try_from(limits.slots).unwrap_or(usize::MAX);
        let starts = self.starts.entry(trunk).or_default();
        starts.push_back(now);
        while starts.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(1)) {
            starts.pop_front();
        }
        let fast = starts.len() > usize::try_from(limits.calls_per_second).unwrap_or(usize::MAX);
        if crowded {
            self.complain(now, Kind::Caps, "a trunk had more calls than slots");
        }
        if fast {
            self.complain(now, Kind::Caps, "a trunk had more calls in a second than it may");
        }
    }

    /// The far end has seen the end of a call.
    pub fn ended(&mut self, now: Timestamp, attempt: AttemptId) {
        if let Some(dialog) = self.dialogs.get_mut(&attempt) {
            dialog.ends.get_or_insert(now);
            self.live.entry(dialog.trunk).or_default().remove(&attempt);
        }
    }

    /// A trunk has refused a call before anything rang.
    pub fn refused(&mut self, now: Timestamp, attempt: AttemptId) {
        self.ended(now, attempt);
        if let Some(dialog) = self.dialogs.get_mut(&attempt) {
            dialog.refused = true;
        }
    }

    /// A call has come to its one end.
    pub fn finished(&mut self, now: Timestamp, attempt: AttemptId) {
        if !self.finished.insert(attempt) {
            self.complain(now, Kind::Broken, "a call ended twice");
        }
        self.ended(now, attempt);
    }

    /// The process has died.
    pub fn crashed(&mut self, _now: Timestamp) {
        self.crashes += 1;
        self.dialogs.values_mut().filter(|d| d.ends.is_none()).for_each(|d| d.orphaned = true);
    }

    /// The next process has hung up what was left of a call.
    pub fn taken_down(&mut self, now: Timestamp, attempt: AttemptId) {
        self.ended(now, attempt);
    }

    /// A client canceled a contact, and was told so.
    pub fn canceled(&mut self, now: Timestamp, contact: ContactId) {
        self.canceled.entry(contact).or_insert(now);
    }

    /// Somebody opted out.
    pub fn opted_out(&mut self, now: Timestamp, account: AccountId, number: &str) {
        self.opted_out.entry((account, number.to_owned())).or_insert(now);
    }

    /// A campaign was stopped for this time.
    pub fn stopped(&mut self, now: Timestamp, campaign: CampaignId, time: Duration) {
        self.stopped.push((campaign, now, now + time));
    }

    /// Everything was suspended for this time.
    pub fn suspended(&mut self, now: Timestamp, time: Duration) {
        self.suspended.push((now, now + time));
    }

    /// Every contact that is over owes one result to whoever asked for it, and no other does.
    pub fn told(&mut self, ledger: &Ledger) {
        let mut owed: BTreeMap<ContactId, usize> = BTreeMap::new();
        for contact in ledger.webhooks.values().filter_map(|hook| hook.contact) {
            *owed.entry(contact).or_default() += 1;
        }
        for entry in ledger.contacts.values() {
            let contact = &entry.contact;
            let ends =
                entry.events.iter().filter(|e| e.2 == domain::event::EventKind::Done).count();
            let done = matches!(contact.state, ContactState::Done(_));
            if ends != usize::from(done) {
                self.conclude(Kind::Results, format!("contact {} has {ends} ends", contact.id));
            }
            let wanted = usize::from(done && contact.result_url.is_some());
            let found = owed.get(&contact.id).copied().unwrap_or(0);
            if found != wanted {
                self.conclude(
                    Kind::Results,
                    format!("contact {} owes {found} results", contact.id),
                );
            }
        }
    }

    /// After the storm, no slot is taken and no call is left.
    pub fn at_rest(&mut self, busy: u32, calls: usize) {
        if busy > 0 || calls > 0 {
            self.conclude(Kind::Broken, format!("{busy} slots and {calls} calls are left over"));
        }
    }

    /// The report of a day with so many contacts, of which so many ended in doubt; `left` are those
    /// that never came to an end.
    pub fn report(mut self, contacts: usize, in_doubt: usize, left: &[String]) -> DayReport {
        left.iter()
            .for_each(|contact| self.conclude(Kind::Results, format!("never ended: {contact}")));
        let (calls, crashes) = (self.dialogs.len(), self.crashes);
        DayReport { calls, contacts, in_doubt, crashes, complaints: self.complaints }
    }
}

/// The offsets from UTC, in minutes, by which the phone's clock may go.
fn offsets(now: Timestamp, number: &str) -> Vec<i64> {
    let area = number.trim_start_matches("+1").get(..3).unwrap_or_default();
    let Some((_, winter, summer)) = OFFSETS.iter().find(|row| row.0 == area) else {
        return Vec::new();
    };
    let at = now.as_seconds();
    if at < SPRING.0 || at >= AUTUMN.1 {
        winter.to_vec()
    } else if at >= SPRING.1 && at < AUTUMN.0 {
        summer.to_vec()
    } else {
        // In the hours of the change no zone of these is within the hours of any rule.
        Vec::new()
    }
}
