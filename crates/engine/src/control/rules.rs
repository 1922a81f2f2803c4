//! Verbs about rules: policies, lists of numbers that are not called, pauses, and why not now.

use std::sync::Arc;

use domain::calling_hours::RuleBook;
use domain::campaign::CampaignState;
use domain::contact::{Contact, ContactState};
use domain::ids::{AccountId, CampaignId, ContactId};
use domain::number::canonical::Canonical;
use domain::permit::{Check, Judge, Weighing};
use domain::policy::CampaignPolicy;
use domain::region::Country;
use facade::native::policy;
use store::{AccountTerms, Answer, Met, Once, StoreError, Suspender, TermsChange};

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
        let policy = policy::from_stored(&row.text, &standard, &self.law()).map_err(|_| {
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

    /// Creates a list of numbers that are not called, once for all requests with this key;
    /// `false`: there is one of this name.
    pub async fn create_list(
        &self,
        account: AccountId,
        name: &str,
        key: Option<Once>,
        answer: impl Fn() -> Answer + Send + 'static,
    ) -> Result<Met<bool>, StoreError> {
        self.0.store.create_list_once(self.now(), account, name, key, answer).await
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

    /// The same, once for all requests with this key.
    pub async fn list_add_once(
        &self,
        account: AccountId,
        list: &str,
        numbers: Vec<String>,
        reason: &str,
        once: (Option<Once>, impl Fn(u64) -> Answer + Send + 'static),
    ) -> Result<Met<u64>, StoreError> {
        self.0.store.list_add_once(self.now(), account, list, numbers, reason, once).await
    }

    /// A callee wants no more calls: what waits for it ends, what is under way goes on. How many
    /// contacts ended; once for all requests with this key.
    pub async fn opt_out(
        &self,
        account: AccountId,
        number: &str,
        reason: &str,
        once: (Option<Once>, impl Fn(u64) -> Answer + Send + 'static),
    ) -> Result<Met<u64>, StoreError> {
        let ended = self.0.store.opt_out_once(self.now(), account, number, reason, once).await?;
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

    /// Lets nothing of an account be dialed, or no longer so; calls under way go on. It is dialed
    /// again once nobody suspends it.
    pub async fn suspend_account(
        &self,
        account: AccountId,
        by: Suspender,
        suspended: bool,
    ) -> Result<(), StoreError> {
        self.0.store.suspend_account(account, by, suspended).await?;
        self.0.wakes.dialer.wake();
        Ok(())
    }

    /// Lets nothing of anybody be dialed, or everything again; calls under way go on.
    pub async fn suspend(&self, suspended: bool) -> Result<(), StoreError> {
        self.0.store.suspend(suspended).await?;
        self.0.wakes.dialer.wake();
        Ok(())
    }

    /// Changes an account's part among all accounts, how much it may do at once, where it is and
    /// what it may show; `None`: there is no such account.
    pub async fn change_account(
        &self,
        account: AccountId,
        change: TermsChange,
    ) -> Result<Option<AccountTerms>, StoreError> {
        let changed = self.0.store.change_account(account, change).await?;
        self.terms_changed().await?;
        Ok(changed)
    }

    /// Lets an account show these caller IDs; how many are new.
    pub async fn verify_caller_ids(
        &self,
        account: AccountId,
        numbers: Vec<String>,
    ) -> Result<u64, StoreError> {
        let added = self.0.store.verify_caller_ids(self.now(), account, numbers).await?;
        self.terms_changed().await?;
        Ok(added)
    }

    /// Lets an account show a caller ID no longer; `false`: it was not verified.
    pub async fn forget_caller_id(
        &self,
        account: AccountId,
        number: &str,
    ) -> Result<bool, StoreError> {
        let forgotten = self.0.store.forget_caller_id(account, number).await?;
        self.terms_changed().await?;
        Ok(forgotten)
    }

    /// Whether an account may show a caller ID, as far as this node has heard.
    pub fn may_show(&self, account: AccountId, caller_id: &str) -> bool {
        self.0.policies.bench().may_show(account, caller_id)
    }

    /// Where an account is: its own country, else the server's.
    pub fn country(&self, account: AccountId) -> Country {
        self.0.policies.bench().home(account).country
    }

    /// Where accounts are of which nothing else is said.
    pub fn home(&self) -> Country {
        self.0.policies.bench().ground.home.country
    }

    /// The rules of the law by which calls are weighed.
    pub fn law(&self) -> Arc<RuleBook> {
        Arc::clone(&self.0.policies.bench().ground.rules)
    }

    /// A number of an account in the form in which numbers are compared.
    pub fn canonical(&self, account: AccountId, number: &str) -> Canonical {
        Canonical::of(number, self.country(account))
    }

    /// The lists that a campaign heeds beside the one that all do.
    pub(crate) fn lists_of(&self, campaign: CampaignId) -> Vec<String> {
        self.0.policies.bench().policy(campaign).lists.clone()
    }

    /// The same of campaigns that say nothing.
    pub(crate) fn standard_lists(&self) -> Vec<String> {
        self.0.policies.bench().standard.lists.clone()
    }

    async fn terms_changed(&self) -> Result<(), StoreError> {
        self.0.policies.reload().await?;
        self.0.wakes.dialer.wake();
        Ok(())
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
        let terms = reader.terms_of(account).await?;
        let is_paused = terms.is_some_and(|terms| terms.is_suspended);
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
