//! What campaigns and accounts say about dialing, and whether anything is dialed at all.

use domain::gate::Limits;
use domain::ids::{AccountId, AttemptId, CampaignId};

use crate::accounts::unknown_account;
use crate::value::{queries, values};
use crate::{Reader, Store, StoreError};

queries! {
    ACCOUNTS = "SELECT id, weight, suspended, calls_max, calls_per_second FROM accounts \
        ORDER BY id";
    IS_SUSPENDED = "SELECT value FROM counters WHERE name = 'suspended'";
    POLICIES = "SELECT id, account, policy_version, policy FROM campaigns \
        WHERE policy_version > 0 ORDER BY id";
    POLICY = "SELECT id, account, policy_version, policy FROM campaigns \
        WHERE account = $1 AND id = $2";
    SET_LIMITS = "UPDATE accounts SET calls_max = $1, calls_per_second = $2 WHERE id = $3";
    SET_POLICY = "UPDATE campaigns SET policy = $1, policy_version = policy_version + 1 \
        WHERE account = $2 AND id = $3 AND ($4 < 0 OR policy_version = $4) \
        RETURNING policy_version";
    SET_SUSPENDED = "INSERT INTO counters (name, value) VALUES ('suspended', $1) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    SET_WEIGHT = "UPDATE accounts SET weight = $1 WHERE id = $2";
    SUSPEND = "UPDATE accounts SET suspended = $1 WHERE id = $2";
    WEIGHED = "SELECT weighed FROM attempts WHERE id = $1";
}

/// What a campaign says about dialing, in the words of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its owner.
    pub account: AccountId,
    /// How often it was said; 0: never.
    pub version: u32,
    /// What was said.
    pub text: String,
}

/// How an account is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountTerms {
    /// The account.
    pub account: AccountId,
    /// Its part among all accounts.
    pub weight: u32,
    /// Whether nothing of it is dialed.
    pub is_suspended: bool,
    /// How much it may do at once.
    pub limits: Limits,
}

impl Store {
    /// Says what a campaign's policy is from now on; its new version.
    ///
    /// With `expected` only where that is still its version. `None`: it is not, or the account has no
    /// such campaign.
    pub async fn set_policy(
        &self,
        account: AccountId,
        campaign: CampaignId,
        text: &str,
        expected: Option<u32>,
    ) -> Result<Option<u32>, StoreError> {
        let text = text.to_owned();
        self.write(1, move |tx| {
            let expected = expected.map_or(-1, i64::from);
            let values = values![text.as_str(), account, campaign, expected];
            tx.one(SET_POLICY, values, |row| row.number())
        })
        .await
    }

    /// Gives an account its part among all accounts.
    pub async fn set_account_weight(
        &self,
        account: AccountId,
        weight: u32,
    ) -> Result<(), StoreError> {
        self.change_account(account, move |account| (SET_WEIGHT, vec![i64::from(weight), account]))
            .await
    }

    /// Says how much an account may do at once.
    pub async fn set_account_limits(
        &self,
        account: AccountId,
        limits: Limits,
    ) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            let values = values![limits.calls_max, limits.calls_per_second, account];
            match tx.run(SET_LIMITS, values)? {
                0 => Err(unknown_account(account)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Lets nothing of an account be dialed, or everything again. Calls under way go on.
    pub async fn suspend_account(
        &self,
        account: AccountId,
        suspended: bool,
    ) -> Result<(), StoreError> {
        self.change_account(account, move |account| (SUSPEND, vec![i64::from(suspended), account]))
            .await
    }

    /// Lets nothing of anybody be dialed, or everything again. Calls under way go on.
    pub async fn suspend(&self, suspended: bool) -> Result<(), StoreError> {
        self.write(1, move |tx| tx.run(SET_SUSPENDED, values![suspended]).map(drop)).await
    }

    async fn change_account(
        &self,
        account: AccountId,
        change: impl Fn(i64) -> (&'static str, Vec<i64>) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            let (sql, numbers) = change(account.0);
            match tx.run(sql, values![numbers[0], numbers[1]])? {
                0 => Err(unknown_account(account)),
                _ => Ok(()),
            }
        })
        .await
    }
}

impl Reader {
    /// What a campaign says about dialing; `None` where the account has no such campaign.
    pub async fn policy(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<Option<PolicyRow>, StoreError> {
        self.look(move |sql| sql.one(POLICY, values![account, campaign], |row| row.policy())).await
    }

    /// All policies that were ever said.
    pub async fn policies(&self) -> Result<Vec<PolicyRow>, StoreError> {
        self.look(|sql| sql.all(POLICIES, &[], |row| row.policy())).await
    }

    /// How each account is dialed.
    pub async fn account_terms(&self) -> Result<Vec<AccountTerms>, StoreError> {
        self.look(|sql| {
            sql.all(ACCOUNTS, &[], |row| {
                Ok(AccountTerms {
                    account: AccountId(row.int()?),
                    weight: row.number()?,
                    is_suspended: row.flag()?,
                    limits: Limits {
                        calls_max: row.maybe_number()?,
                        calls_per_second: row.maybe_number()?,
                    },
                })
            })
        })
        .await
    }

    /// Whether nothing of anybody is dialed.
    pub async fn is_suspended(&self) -> Result<bool, StoreError> {
        let value = self.look(|sql| sql.one(IS_SUSPENDED, &[], |row| row.flag())).await?;
        Ok(value.unwrap_or(false))
    }

    /// What was weighed before an attempt, as `domain::permit::stored_checks` reads it.
    pub async fn weighed(&self, attempt: AttemptId) -> Result<Option<String>, StoreError> {
        self.look(move |sql| sql.one(WEIGHED, values![attempt], |row| row.text())).await
    }
}
