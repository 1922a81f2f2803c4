//! Taking contacts as far as a judge permits, and what is said about dialing.

use std::time::Duration;

use domain::campaign::CampaignState;
use domain::dial_queue::Share;
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId, TrunkId};
use domain::outcome::Disposition;
use domain::permit::{Judge, Past, Permit, Question};
use domain::policy::DO_NOT_CALL;
use domain::time::Timestamp;

use super::{Claimed, Ledger, numbers};

impl Ledger {
    /// Takes contacts and writes their attempts down, as far as the judge permits.
    pub fn begin_attempts(
        &mut self,
        now: Timestamp,
        shares: &[Share],
        judge: &dyn Judge,
    ) -> Claimed {
        let mut claimed = Claimed::default();
        for share in shares.iter().filter(|share| !share.trunks.is_empty()) {
            if !self.runs(share.campaign) {
                continue;
            }
            let version = self.policies.get(&share.campaign).map_or(0, |policy| policy.0);
            let mut trunks = share.trunks.iter().copied().peekable();
            for id in self.ready(now, share.campaign) {
                let Some(trunk) = trunks.peek() else {
                    break;
                };
                let contact = self.contacts[&id].contact.clone();
                let question = judge.question(&contact);
                let past = self.numbers_called.past(now, contact.account, &question);
                let Some(weighing) = judge.weigh(now, &contact, version, &past) else {
                    claimed.unknown.push(share.campaign);
                    break;
                };
                let reason = weighing.reason().unwrap_or_default();
                match &weighing.permit {
                    Permit::Dial(caller_id) => {
                        let (contact, attempt) = self.begin(now, id, *trunk);
                        let shown = caller_id.as_deref();
                        self.numbers_called.begin(now, &contact, &question, attempt.id, shown);
                        claimed.begun.push((contact, attempt, caller_id.clone()));
                        trunks.next();
                    }
                    Permit::End(disposition) => {
                        self.tell(id, None, now, EventKind::Refused, &reason);
                        self.end(id, now, *disposition);
                        claimed.ended += 1;
                    }
                    Permit::NotBefore(until) => {
                        self.hold(now, id, *until, &reason);
                        claimed.held += 1;
                    }
                }
            }
        }
        claimed
    }

    /// Lets an attempt that a trunk refused go over another one; `false` where it may not.
    pub fn reroute_attempt(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        trunk: TrunkId,
        refusal: &str,
        judge: &dyn Judge,
    ) -> bool {
        let Some(attempt) = self.attempts.get(&id).filter(|attempt| attempt.outcome.is_none())
        else {
            return false;
        };
        let entry = &self.contacts[&attempt.contact];
        let mut contact = entry.contact.clone();
        if entry.cancel_asked || !self.runs(contact.campaign) {
            return false;
        }
        let version = self.policies.get(&contact.campaign).map_or(0, |policy| policy.0);
        contact.attempts -= 1;
        let question = judge.question(&contact);
        let mut past = self.numbers_called.past(now, contact.account, &question);
        past.is_live = false;
        past.calls.retain(|call| call.ended_at.is_some());
        let weighing = judge.weigh(now, &contact, version, &past);
        if !weighing.is_some_and(|weighing| matches!(weighing.permit, Permit::Dial(_))) {
            return false;
        }
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.trunk = trunk;
        }
        self.tell(contact.id, Some(id), now, EventKind::Rerouted, refusal);
        true
    }

    /// Says what a campaign's policy is from now on; its new version.
    pub fn set_policy(
        &mut self,
        account: AccountId,
        campaign: CampaignId,
        text: &str,
        expected: Option<u32>,
    ) -> Option<u32> {
        let found = self.campaigns.get(&campaign)?;
        let version = self.policies.get(&campaign).map_or(0, |policy| policy.0);
        if found.account != account || expected.is_some_and(|expected| expected != version) {
            return None;
        }
        self.policies.insert(campaign, (version + 1, text.to_owned()));
        Some(version + 1)
    }

    /// Adds numbers to a list; how many were not on it before.
    pub fn list_add(
        &mut self,
        now: Timestamp,
        account: AccountId,
        list: &str,
        numbers: &[String],
    ) -> u64 {
        self.numbers_called.list_add(now, account, list, numbers)
    }

    /// Takes a number from a list; whether it was on it.
    pub fn list_remove(&mut self, account: AccountId, list: &str, number: &str) -> bool {
        self.numbers_called.list_remove(account, list, number)
    }

    /// Puts a number on the account's list and ends whoever waits with it; how many that were.
    pub fn opt_out(&mut self, now: Timestamp, account: AccountId, number: &str) -> u64 {
        self.list_add(now, account, DO_NOT_CALL, &[number.to_owned()]);
        let key = numbers::key(number);
        let contacts = self.waiting().map(|entry| &entry.contact);
        let waiting: Vec<ContactId> = contacts
            .filter(|contact| contact.account == account)
            .filter(|contact| numbers::key(contact.destination.dialed()) == key)
            .map(|contact| contact.id)
            .collect();
        for id in &waiting {
            self.tell(*id, None, now, EventKind::Refused, "do-not-call: opted out");
            self.end(*id, now, Disposition::Canceled);
        }
        waiting.len() as u64
    }

    /// What the past of a number is.
    pub fn past(&self, now: Timestamp, account: AccountId, question: &Question) -> Past {
        self.numbers_called.past(now, account, question)
    }

    fn hold(&mut self, now: Timestamp, id: ContactId, until: Timestamp, reason: &str) {
        let rule = reason.split(':').next().unwrap_or_default();
        if self.contacts[&id].held != rule {
            self.tell(id, None, now, EventKind::Held, reason);
        }
        let entry = self.entry(id);
        entry.held = rule.to_owned();
        entry.parked = true;
        entry.contact.next_at = until.max(now + Duration::from_secs(1));
    }

    pub(super) fn runs(&self, campaign: CampaignId) -> bool {
        self.campaigns.get(&campaign).is_some_and(|campaign| {
            campaign.state == CampaignState::Running
                && !self.is_suspended
                && !self.suspended.contains(&campaign.account)
        })
    }
}
