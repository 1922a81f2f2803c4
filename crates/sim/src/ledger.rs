//! The store as plain Rust: the model that every database must agree with, step by step.
//!
//! What is left out: accounts and keys, and how long anything takes.

mod claim;
mod endpoints;
mod numbers;
mod outbox;

use std::collections::{BTreeMap, BTreeSet};

use domain::application::{Application, ApplicationSpec};
use domain::attempt::{Attempt, AttemptEnd};
use domain::campaign::{Campaign, CampaignCounts, CampaignState};
use domain::contact::{Contact, ContactRule, ContactState, NewContact};
use domain::dial_queue::Demand;
use domain::event::EventKind;
use domain::ids::{
    AccountId, ApplicationId, AttemptId, CampaignId, ContactId, EndpointId, TrunkId, WebhookId,
};
use domain::outcome::Disposition;
use domain::retry::Verdict;
use domain::terms::Terms;
use domain::time::Timestamp;
use domain::webhook::{Endpoint, Topic};

pub use outbox::Hook;

/// The store as plain Rust.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Campaigns by id, which are given from 1.
    pub campaigns: BTreeMap<CampaignId, Campaign>,
    /// Applications, the first with id 1.
    pub applications: Vec<Application>,
    /// Contacts by id; ids are given from 1, to those of open uploads, too.
    pub contacts: BTreeMap<ContactId, Entry>,
    /// Attempts by id, which are given from 1.
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// Webhooks by id, which are given from 1.
    pub webhooks: BTreeMap<WebhookId, Hook>,
    /// Endpoints by id, which are given from 1.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    /// Whether nothing of anybody is dialed.
    pub is_suspended: bool,
    /// Accounts of which nothing is dialed.
    pub suspended: BTreeSet<AccountId>,
    /// What campaigns said of dialing: version and text.
    pub policies: BTreeMap<CampaignId, (u32, String)>,
    numbers_called: numbers::Numbers,
    uploads: BTreeMap<i64, Upload>,
    served: BTreeMap<String, Timestamp>,
    numbers: Numbers,
}

/// A contact, and what the store keeps beside it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The contact.
    pub contact: Contact,
    /// What happened: attempt, moment, kind, detail.
    pub events: Vec<(Option<AttemptId>, Timestamp, EventKind, String)>,
    parked: bool,
    cancel_asked: bool,
    /// The rule by which it was last made to wait.
    held: String,
    /// When it was due before anything made it wait: its place in the order.
    due_at: Timestamp,
}

/// What came of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Attempts that were begun, and the caller IDs that they show.
    pub begun: Vec<(Contact, Attempt, Option<String>)>,
    /// Contacts that were made to wait.
    pub held: u32,
    /// Contacts that were ended.
    pub ended: u32,
    /// Campaigns whose policy the judge does not know.
    pub unknown: Vec<CampaignId>,
}

/// What a cancel met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The contact has ended already.
    AlreadyDone,
    /// It is in a call, and will not be dialed again.
    Calling(AttemptId),
    /// It waited, and has ended.
    Canceled,
    /// The account has no such contact.
    NotFound,
}

#[derive(Clone, Debug)]
struct Upload {
    now: Timestamp,
    rule: ContactRule,
    staged: Vec<(ContactId, NewContact)>,
}

#[derive(Clone, Debug, Default)]
struct Numbers {
    contact: i64,
    attempt: i64,
    webhook: i64,
    endpoint: i64,
    upload: i64,
}

impl Ledger {
    /// Creates a campaign; `None` where the account has one of this name.
    pub fn create_campaign(
        &mut self,
        now: Timestamp,
        account: AccountId,
        name: &str,
        state: CampaignState,
        redial_in_doubt: bool,
    ) -> Option<Campaign> {
        if self.campaign_by_name(account, name).is_some() {
            return None;
        }
        let campaign = Campaign {
            id: CampaignId(next(self.campaigns.len())),
            account,
            name: name.to_owned(),
            state,
            redial_in_doubt,
            unique_references: false,
            created_at: now,
        };
        self.campaigns.insert(campaign.id, campaign.clone());
        Some(campaign)
    }

    /// Starts or stops a campaign; `false` where the account has no such campaign.
    pub fn set_campaign_state(
        &mut self,
        account: AccountId,
        campaign: CampaignId,
        state: CampaignState,
    ) -> bool {
        let found = self.campaigns.get_mut(&campaign);
        let found = found.filter(|campaign| campaign.account == account);
        found.map(|campaign| campaign.state = state).is_some()
    }

    /// Says whether attempts in doubt may be repeated, in contacts taken in before, too.
    pub fn set_redial_in_doubt(
        &mut self,
        account: AccountId,
        campaign: CampaignId,
        redial_in_doubt: bool,
    ) -> bool {
        let found = self.campaigns.get_mut(&campaign);
        let Some(found) = found.filter(|campaign| campaign.account == account) else {
            return false;
        };
        found.redial_in_doubt = redial_in_doubt;
        for entry in self.contacts.values_mut() {
            if entry.contact.campaign == campaign {
                entry.contact.retry.redial_in_doubt = redial_in_doubt;
            }
        }
        true
    }

    /// How the contacts of a campaign stand.
    pub fn counts(&self, campaign: CampaignId) -> CampaignCounts {
        let mut counts = CampaignCounts::default();
        for entry in self.contacts.values() {
            if entry.contact.campaign == campaign {
                *match entry.contact.state {
                    ContactState::Waiting => &mut counts.waiting,
                    ContactState::Calling => &mut counts.calling,
                    ContactState::Done(Disposition::Completed) => &mut counts.completed,
                    ContactState::Done(Disposition::Failed) => &mut counts.failed,
                    ContactState::Done(Disposition::Expired) => &mut counts.expired,
                    ContactState::Done(Disposition::Canceled) => &mut counts.canceled,
                } += 1;
            }
        }
        counts
    }

    /// Takes contacts in.
    pub fn add_contacts(
        &mut self,
        now: Timestamp,
        rule: &ContactRule,
        contacts: Vec<NewContact>,
    ) -> Vec<ContactId> {
        self.share(now, rule);
        let ids = self.take_ids(contacts.len());
        for (id, contact) in ids.iter().zip(contacts) {
            self.take_in(now, rule, *id, contact);
        }
        ids
    }

    /// Begins an upload.
    pub fn begin_upload(&mut self, now: Timestamp, rule: &ContactRule) -> i64 {
        self.share(now, rule);
        self.numbers.upload += 1;
        let upload = Upload { now, rule: rule.clone(), staged: Vec::new() };
        self.uploads.insert(self.numbers.upload, upload);
        self.numbers.upload
    }

    /// Adds contacts to an upload; `None` where it is not open.
    pub fn upload_add(&mut self, upload: i64, contacts: Vec<NewContact>) -> Option<Vec<ContactId>> {
        self.uploads.get(&upload)?;
        let ids = self.take_ids(contacts.len());
        let staged = ids.iter().copied().zip(contacts);
        self.uploads.get_mut(&upload)?.staged.extend(staged);
        Some(ids)
    }

    /// Commits an upload; `false` where it is not open.
    pub fn commit_upload(&mut self, upload: i64) -> bool {
        let Some(upload) = self.uploads.remove(&upload) else {
            return false;
        };
        for (id, contact) in upload.staged {
            self.take_in(upload.now, &upload.rule, id, contact);
        }
        true
    }

    /// Forgets an upload; `false` where it is not open.
    pub fn abort_upload(&mut self, upload: i64) -> bool {
        self.uploads.remove(&upload).is_some()
    }

    /// What a crash and a new start do: open uploads are gone, webhooks and their turns begin anew.
    pub fn reopen(&mut self) {
        self.uploads.clear();
        self.served.clear();
        for hook in self.webhooks.values_mut() {
            hook.leased_until = None;
        }
    }

    /// Running campaigns with contacts that may be dialed now, at most `limit` said for each.
    pub fn demands(&self, now: Timestamp, limit: u32) -> Vec<Demand> {
        let running = self.campaigns.values();
        running
            .filter(|campaign| self.runs(campaign.id))
            .map(|campaign| {
                let ready = self.ready(now, campaign.id).len().min(limit as usize) as u32;
                let size = self.waiting().filter(|entry| !entry.parked);
                let size = size.filter(|entry| entry.contact.campaign == campaign.id).count();
                let demand = Demand::new(campaign.account, campaign.id, ready);
                Demand { size: size as u32, ..demand }
            })
            .filter(|demand| demand.ready > 0)
            .collect()
    }

    /// Makes up to `limit` contacts due whose waiting time is over.
    pub fn promote_due(&mut self, now: Timestamp, limit: u32) -> u32 {
        let mut due: Vec<_> = self.waiting().filter(|entry| entry.parked).collect();
        due.retain(|entry| entry.contact.next_at <= now);
        due.sort_by_key(|entry| (entry.contact.next_at, entry.contact.id));
        let due: Vec<_> = due.iter().map(|entry| entry.contact.id).collect();
        let due = &due[..due.len().min(limit as usize)];
        for id in due {
            self.entry(*id).parked = false;
        }
        due.len() as u32
    }

    /// Ends up to `limit` waiting contacts whose window has closed.
    pub fn expire(&mut self, now: Timestamp, limit: u32) -> u32 {
        let mut closed: Vec<_> = self.waiting().map(|entry| &entry.contact).collect();
        closed.retain(|contact| contact.window.has_closed(now));
        closed.sort_by_key(|contact| (contact.window.closes_at, contact.id));
        let closed: Vec<_> = closed.iter().map(|contact| contact.id).collect();
        let closed = &closed[..closed.len().min(limit as usize)];
        for id in closed {
            self.end(*id, now, Disposition::Expired);
        }
        closed.len() as u32
    }

    /// When [`Self::promote_due`] or [`Self::expire`] has something to do next.
    pub fn next_due(&self) -> Option<Timestamp> {
        let parked = self.waiting().filter(|entry| entry.parked);
        let parked = parked.map(|entry| entry.contact.next_at);
        let closing = self.waiting().filter_map(|entry| entry.contact.window.closes_at);
        parked.chain(closing).min()
    }

    /// Notes a fact about an attempt.
    pub fn note(
        &mut self,
        attempt: AttemptId,
        contact: ContactId,
        at: Timestamp,
        kind: EventKind,
        detail: &str,
    ) {
        if let Some(attempt) = self.attempts.get_mut(&attempt) {
            match kind {
                EventKind::Ringing => attempt.ringing_at = attempt.ringing_at.or(Some(at)),
                EventKind::Answered => attempt.answered_at = attempt.answered_at.or(Some(at)),
                _ => {}
            }
        }
        self.tell(contact, Some(attempt), at, kind, detail);
    }

    /// Ends an attempt: the contact after it, what follows, and whether it had ended before.
    pub fn finish_attempt(
        &mut self,
        id: AttemptId,
        end: &AttemptEnd,
    ) -> Option<(Contact, Verdict, bool)> {
        let attempt = self.attempts.get_mut(&id)?;
        let contact = attempt.contact;
        if attempt.outcome.is_some() {
            let contact = self.contacts[&contact].contact.clone();
            let verdict = match contact.state {
                ContactState::Done(disposition) => Verdict::End(disposition),
                ContactState::Calling | ContactState::Waiting => Verdict::DialAt(contact.next_at),
            };
            return Some((contact, verdict, true));
        }
        attempt.outcome = Some(end.outcome);
        attempt.ended_at = Some(end.ended_at);
        attempt.ringing_at = end.ringing_at.or(attempt.ringing_at);
        attempt.answered_at = end.answered_at.or(attempt.answered_at);
        attempt.cause = end.cause.clone();
        attempt.detected = end.detected.clone();
        attempt.message_left = end.message_left;
        self.numbers_called.end(id, end);
        self.tell(contact, Some(id), end.ended_at, EventKind::Ended, end.outcome.name());
        let verdict = self.follow(contact, end);
        match verdict {
            Verdict::DialAt(at) => {
                let seconds = at.as_seconds().to_string();
                self.tell(contact, Some(id), end.ended_at, EventKind::RetryScheduled, &seconds);
            }
            Verdict::End(disposition) => self.end(contact, end.ended_at, disposition),
        }
        Some((self.contacts[&contact].contact.clone(), verdict, false))
    }

    /// Undoes an attempt of which nothing was sent; `false` where it is not open.
    pub fn release_attempt(&mut self, now: Timestamp, id: AttemptId) -> bool {
        let open = self.attempts.get(&id).filter(|attempt| attempt.outcome.is_none());
        let Some(contact) = open.map(|attempt| attempt.contact) else {
            return false;
        };
        self.attempts.remove(&id);
        self.owe_nothing_of(id);
        self.numbers_called.release(id);
        let tried = self.attempts.values().filter(|attempt| attempt.contact == contact);
        let last = tried.map(|attempt| attempt.started_at).max();
        let entry = self.entry(contact);
        entry.events.retain(|event| event.0 != Some(id));
        entry.contact.attempts -= 1;
        entry.contact.last_attempt_at = last;
        entry.contact.state = ContactState::Waiting;
        entry.due_at = entry.contact.next_at;
        if entry.cancel_asked {
            self.end(contact, now, Disposition::Canceled);
        }
        true
    }

    /// Attempts begun and not ended.
    pub fn open_attempts(&self) -> Vec<Attempt> {
        let open = self.attempts.values().filter(|attempt| attempt.outcome.is_none());
        open.cloned().collect()
    }

    /// Ends a waiting contact as canceled; one in a call is not dialed again.
    pub fn cancel_contact(&mut self, now: Timestamp, account: AccountId, id: ContactId) -> Cancel {
        let entry = self.contacts.get_mut(&id);
        let Some(entry) = entry.filter(|entry| entry.contact.account == account) else {
            return Cancel::NotFound;
        };
        match entry.contact.state {
            ContactState::Calling => {
                entry.cancel_asked = true;
                let mut open = self.attempts.values().filter(|attempt| attempt.contact == id);
                let open = open.rfind(|attempt| attempt.outcome.is_none());
                Cancel::Calling(open.expect("a contact in a call has an open attempt").id)
            }
            ContactState::Done(_) => Cancel::AlreadyDone,
            ContactState::Waiting => {
                self.end(id, now, Disposition::Canceled);
                Cancel::Canceled
            }
        }
    }

    /// Ends all contacts as canceled that wait in a campaign.
    pub fn cancel_waiting(
        &mut self,
        now: Timestamp,
        account: AccountId,
        campaign: CampaignId,
    ) -> u64 {
        let contacts = self.waiting().map(|entry| &entry.contact);
        let waiting: Vec<_> = contacts
            .filter(|contact| contact.account == account && contact.campaign == campaign)
            .map(|contact| contact.id)
            .collect();
        for id in &waiting {
            self.end(*id, now, Disposition::Canceled);
        }
        waiting.len() as u64
    }

    fn campaign_by_name(&self, account: AccountId, name: &str) -> Option<&Campaign> {
        let mut campaigns = self.campaigns.values();
        campaigns.find(|campaign| campaign.account == account && campaign.name == name)
    }

    /// Creates the campaign and the application of a rule where they are new.
    fn share(&mut self, now: Timestamp, rule: &ContactRule) -> (Campaign, ApplicationId) {
        self.create_campaign(now, rule.account, &rule.campaign, CampaignState::Running, false);
        let campaign = self.campaign_by_name(rule.account, &rule.campaign).cloned();
        let campaign = campaign.expect("the campaign was created where it was new");
        (campaign, self.application(rule.account, &rule.application))
    }

    fn application(&mut self, account: AccountId, spec: &ApplicationSpec) -> ApplicationId {
        let mut known = self.applications.iter();
        if let Some(known) = known.find(|known| known.account == account && known.spec == *spec) {
            return known.id;
        }
        let id = ApplicationId(next(self.applications.len()));
        let spec = spec.clone();
        self.applications.push(Application { id, account, spec });
        id
    }

    fn take_ids(&mut self, many: usize) -> Vec<ContactId> {
        let first = self.numbers.contact + 1;
        self.numbers.contact += many as i64;
        (first..=self.numbers.contact).map(ContactId).collect()
    }

    fn take_in(&mut self, now: Timestamp, rule: &ContactRule, id: ContactId, new: NewContact) {
        let (campaign, application) = self.share(now, rule);
        let next_at = rule.window.opens_at.map_or(now, |opens_at| opens_at.max(now));
        let contact = Contact {
            id,
            account: rule.account,
            campaign: campaign.id,
            application,
            destination: new.destination,
            reference: new.reference,
            parameters: new.parameters,
            window: rule.window,
            retry: rule.retry,
            terms: Terms { priority: new.priority.unwrap_or(rule.terms.priority), ..rule.terms },
            variables: new.variables.clone(),
            place: new.place.clone(),
            result_url: rule.result_url.clone(),
            dialect: rule.dialect,
            state: ContactState::Waiting,
            attempts: 0,
            next_at,
            last_outcome: None,
            last_attempt_at: None,
            duration_s: 0,
            message_left: false,
            created_at: now,
            ended_at: None,
        };
        let entry = Entry {
            contact,
            events: Vec::new(),
            parked: next_at > now,
            cancel_asked: false,
            held: String::new(),
            due_at: next_at,
        };
        self.contacts.insert(id, entry);
        self.entry(id).contact.retry.redial_in_doubt = campaign.redial_in_doubt;
        self.tell(id, None, now, EventKind::Queued, "");
    }

    fn begin(&mut self, now: Timestamp, id: ContactId, trunk: TrunkId) -> (Contact, Attempt) {
        self.numbers.attempt += 1;
        let attempt = AttemptId(self.numbers.attempt);
        self.tell(id, Some(attempt), now, EventKind::Dialing, "");
        self.entry(id).held.clear();
        let contact = &mut self.entry(id).contact;
        contact.state = ContactState::Calling;
        contact.attempts += 1;
        contact.last_attempt_at = Some(now);
        let contact = contact.clone();
        let attempt = Attempt::begun(attempt, id, contact.attempts, trunk, now);
        self.attempts.insert(attempt.id, attempt.clone());
        (contact, attempt)
    }

    /// Moves the contact of an ended attempt on, as far as it does not end.
    fn follow(&mut self, id: ContactId, end: &AttemptEnd) -> Verdict {
        let entry = self.entry(id);
        let contact = &mut entry.contact;
        let rule = contact.retry;
        let verdict =
            rule.after_attempt(contact.attempts, end.outcome, end.ended_at, &contact.window);
        contact.last_outcome = Some(end.outcome);
        contact.duration_s = end.duration_s();
        contact.message_left = end.message_left;
        match verdict {
            Verdict::DialAt(_) if entry.cancel_asked => Verdict::End(Disposition::Canceled),
            Verdict::DialAt(at) => {
                contact.state = ContactState::Waiting;
                contact.next_at = at;
                entry.due_at = at;
                entry.parked = at > end.ended_at;
                verdict
            }
            Verdict::End(_) => verdict,
        }
    }

    fn end(&mut self, id: ContactId, at: Timestamp, disposition: Disposition) {
        self.tell(id, None, at, EventKind::Done, disposition.name());
        let contact = &mut self.entry(id).contact;
        contact.state = ContactState::Done(disposition);
        contact.ended_at = Some(at);
        self.owe_end(id, Topic::of_end(disposition), at);
    }

    fn tell(
        &mut self,
        contact: ContactId,
        attempt: Option<AttemptId>,
        at: Timestamp,
        kind: EventKind,
        detail: &str,
    ) {
        let event = (attempt, at, kind, detail.to_owned());
        self.entry(contact).events.push(event);
        self.owe_fact(contact, attempt, at, kind);
    }

    fn ready(&self, now: Timestamp, campaign: CampaignId) -> Vec<ContactId> {
        let waiting = self.waiting().filter(|entry| !entry.parked);
        let mut ready: Vec<_> = waiting.collect();
        ready.retain(|entry| {
            entry.contact.campaign == campaign && entry.contact.window.is_open(now)
        });
        ready.sort_by_key(|entry| {
            (entry.contact.terms.priority.rank_at(entry.due_at), entry.contact.id)
        });
        ready.iter().map(|entry| entry.contact.id).collect()
    }

    fn waiting(&self) -> impl Iterator<Item = &Entry> {
        let waiting = |entry: &&Entry| entry.contact.state == ContactState::Waiting;
        self.contacts.values().filter(waiting)
    }

    fn entry(&mut self, id: ContactId) -> &mut Entry {
        let entry = self.contacts.get_mut(&id);
        entry.expect("who is told about was taken in")
    }
}

/// The number after `count` numbers from 1.
fn next(count: usize) -> i64 {
    count as i64 + 1
}
