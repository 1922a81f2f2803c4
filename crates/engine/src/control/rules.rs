//! Verbs about rules: policies, lists of numbers that are not called, pauses, and why not now.

use domain::campaign::CampaignState;
use domain::contact::{Contact, ContactState};
use domain::gate::Limits;
use domain::ids::{AccountId, CampaignId, ContactId};
use domain::number::canonical::Canonical;
use domain::permit::{Check, Judge, Weighing};
use domain::policy::CampaignPolicy;
use facade::native::policy;
use store::StoreError;

use super::Control;

/// Why a contact is not dialed at this moment.
#[derive(Clone, Debug)]
pub struct WhyNot {
    /// The contact.
    pub contact: Contact,
    /// What must be so before anything is weighed: it waits, its campaign runs, nothing is paused.
    pub standing: Vec<Check>,
    /// What would be weighed now.
    pub weighing: Option<Weighing>,
}

impl WhyNot {
    /// The answer in a sentence.
    pub fn sentence(&self) -> String {
        if let Some(check) = self.standing.iter().find(|check| !check.passed) {
            return format!("Not dialed now: {}.", check.seen);
        }
        match self.weighing.as_ref().map(|weighing| (weighing.reason(), weighing)) {
            None => "Not dialed now: its campaign's policy is just being read.".into(),
            Some((Some(reason), _)) => format!("Not dialed now: {reason}."),
            Some((None, _)) => {
                "Nothing forbids it: it is dialed when its turn comes and a trunk has room.".into()
            }
        }
    }
}

impl Control {
    /// What a campaign says about dialing, and which version of it; `None`: the account has no such
    /// campaign.
    pub async fn policy(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<Option<(CampaignPolicy, u32)>, StoreError> {
        let Some(row) = self.0.reader.policy(account, campaign).await? else {
            return Ok(None);
        };
        let standard = self.0.policies.bench().standard.clone();
        if row.version == 0 {
            return Ok(Some((standard, 0)));
        }
        let policy = policy::from_stored(&row.text, &standard).map_err(|_| {
            StoreError::Damaged(format!("a policy of campaign {campaign} that cannot be read"))
        })?;
        Ok(Some((policy, row.version)))
    }

    /// Says what a campaign's policy is from now on, if `expected` is still its version; whether it
    /// was.
    pub async fn set_policy(
        &self,
        account: AccountId,
        campaign: CampaignId,
        policy: &CampaignPolicy,
        expected: u32,
    ) -> Result<bool, StoreError> {
        let text = policy::stored(policy);
        let set = self.0.store.set_policy(account, campaign, &text, Some(expected)).await?;
        self.0.policies.reload().await?;
        self.0.wakes.dialer.wake();
        Ok(set.is_some())
    }

    /// Creates a list of numbers that are not called; `false`: there is one of this name.
    pub async fn create_list(&self, account: AccountId, name: &str) -> Result<bool, StoreError> {
        self.0.store.create_list(self.now(), account, name).await
    }

    /// Adds numbers to a list, which is created where it is new; how many were not on it before.
    pub async fn list_add(
        &self,
        account: AccountId,
        list: &str,
        numbers: Vec<String>,
        reason: &str,
    ) -> Result<u64, StoreError> {
        self.0.store.list_add(self.now(), account, list, numbers, reason).await
    }

    /// Takes a number from a list; `false`: it was not on it.
    pub async fn list_remove(
        &self,
        account: AccountId,
        list: &str,
        number: &str,
    ) -> Result<bool, StoreError> {
        let removed = self.0.store.list_remove(account, list, number).await?;
        self.0.wakes.dialer.wake();
        Ok(removed)
    }

    /// A callee wants no more calls: what waits for it ends, what is under way goes on. How many
    /// contacts ended.
    pub async fn opt_out(
        &self,
        account: AccountId,
        number: &str,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let ended = self.0.store.opt_out(self.now(), account, number, reason).await?;
        self.0.wakes.webhooks.wake();
        Ok(ended)
    }

    /// Ends all contacts as canceled that wait in a campaign; how many there were.
    pub async fn cancel_waiting(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<u64, StoreError> {
        let canceled = self.0.store.cancel_waiting(self.now(), account, campaign).await?;
        self.0.wakes.webhooks.wake();
        Ok(canceled)
    }

    /// Lets nothing of an account be dialed, or everything again; calls under way go on.
    pub async fn suspend_account(
        &self,
        account: AccountId,
        suspended: bool,
    ) -> Result<(), StoreError> {
        self.0.store.suspend_account(account, suspended).await?;
        self.0.wakes.dialer.wake();
        Ok(())
    }

    /// Lets nothing of anybody be dialed, or everything again; calls under way go on.
    pub async fn suspend(&self, suspended: bool) -> Result<(), StoreError> {
        self.0.store.suspend(suspended).await?;
        self.0.wakes.dialer.wake();
        Ok(())
    }

    /// Gives an account its part among all accounts, and says how much it may do at once.
    pub async fn set_account_terms(
        &self,
        account: AccountId,
        weight: u32,
        limits: Limits,
    ) -> Result<(), StoreError> {
        self.0.store.set_account_weight(account, weight).await?;
        self.0.store.set_account_limits(account, limits).await?;
        self.0.policies.reload().await?;
        self.0.wakes.dialer.wake();
        Ok(())
    }

    /// A number in the form in which numbers are compared.
    pub fn canonical(&self, number: &str) -> Canonical {
        Canonical::of(number, self.0.policies.bench().ground.home.country)
    }

    /// Why a contact is not dialed at this moment; `None`: the account has no such contact.
    pub async fn why_not_now(
        &self,
        account: AccountId,
        contact: ContactId,
    ) -> Result<Option<WhyNot>, StoreError> {
        let reader = &self.0.reader;
        let Some(contact) = reader.contact(account, contact).await? else {
            return Ok(None);
        };
        let campaign = reader.campaign(account, contact.campaign).await?;
        let terms = reader.account_terms().await?;
        let is_paused = terms.iter().any(|terms| terms.account == account && terms.is_suspended);
        let runs = campaign.is_some_and(|row| row.campaign.state == CampaignState::Running);
        let all_paused = reader.is_suspended().await?;
        let waits = contact.state == ContactState::Waiting;
        let standing = vec![
            standing("state", waits, "it waits", contact.state.name()),
            standing("campaign", runs, "its campaign runs", "its campaign is stopped"),
            standing("account", !is_paused, "its account is dialed", "its account is suspended"),
            standing("server", !all_paused, "the server dials", "all dialing is suspended"),
        ];
        let now = self.now();
        let bench = self.0.policies.bench();
        let question = bench.question(&contact);
        let past = reader.past(now, account, question).await?;
        let version = reader.policy(account, contact.campaign).await?.map_or(0, |row| row.version);
        let weighing = bench.weigh(now, &contact, version, &past);
        Ok(Some(WhyNot { contact, standing, weighing }))
    }
}

fn standing(rule: &str, passed: bool, yes: &str, no: &str) -> Check {
    let seen = if passed { yes } else { no };
    Check { rule: rule.into(), passed, seen: seen.into(), version: String::new() }
}
