//! What campaigns and accounts say about dialing, and whether anything is dialed at all.

use std::collections::BTreeMap;

use domain::gate::Limits;
use domain::ids::{AccountId, AttemptId, CampaignId};
use domain::number::canonical::Canonical;
use domain::region::Country;
use domain::time::Timestamp;

use crate::accounts::unknown_account;
use crate::driver::Row;
use crate::value::{queries, values};
use crate::{Reader, Store, StoreError};

macro_rules! terms_columns {
    () => {
        "id, weight, suspended, calls_max, calls_per_second, country, suspended_by_account, \
         suspended_by_operator, operator, verified_only"
    };
}

queries! {
    ACCOUNTS = concat!("SELECT ", terms_columns!(), " FROM accounts ORDER BY id");
    CHANGE_TERMS = concat!(
        "UPDATE accounts SET weight = $1, calls_max = $2, calls_per_second = $3, country = $4, \
         operator = $5, verified_only = $6 WHERE id = $7 RETURNING ", terms_columns!()
    );
    FORGET_CALLER_ID = "DELETE FROM verified_caller_ids WHERE account = $1 AND number = $2";
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
    SUSPEND_BY_ACCOUNT = "UPDATE accounts SET suspended_by_account = CAST($1 AS INTEGER), \
        suspended = CASE WHEN suspended_by_operator = 1 THEN 1 ELSE CAST($1 AS INTEGER) END WHERE id = $2";
    SUSPEND_BY_OPERATOR = "UPDATE accounts SET suspended_by_operator = CAST($1 AS INTEGER), \
        suspended = CASE WHEN suspended_by_account = 1 THEN 1 ELSE CAST($1 AS INTEGER) END WHERE id = $2";
    TERMS = concat!("SELECT ", terms_columns!(), " FROM accounts WHERE id = $1");
    TERMS_HELD = concat!(
        "SELECT ", terms_columns!(), " FROM accounts WHERE id = $1 /*! FOR UPDATE */"
    );
    VERIFIED = "SELECT accounts.id, v.number FROM accounts \
        LEFT JOIN verified_caller_ids v ON v.account = accounts.id \
        WHERE accounts.verified_only = 1 ORDER BY accounts.id, v.number";
    VERIFIED_OF = "SELECT number, added_at FROM verified_caller_ids WHERE account = $1 \
        AND number > $2 ORDER BY number LIMIT $3";
    VERIFY_CALLER_ID = "INSERT INTO verified_caller_ids (account, number, added_at) \
        VALUES ($1, $2, $3) ON CONFLICT (account, number) DO NOTHING";
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
    /// Where it is; the server's country where it has none of its own.
    pub country: Option<Country>,
    /// Whether it suspended itself.
    pub suspended_by_account: bool,
    /// Whether an operator suspended it.
    pub suspended_by_operator: bool,
    /// Whether its keys may change what holds for others.
    pub is_operator: bool,
    /// Whether it shows no caller ID that is not verified.
    pub verified_only: bool,
}

/// What is to change in how an account is dialed; `None` leaves what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TermsChange {
    /// Its part among all accounts.
    pub weight: Option<u32>,
    /// How many calls it may have at once; `Some(None)`: no bound of its own.
    pub calls_max: Option<Option<u32>>,
    /// How many calls it may begin in a second; as above.
    pub calls_per_second: Option<Option<u32>>,
    /// Where it is; `Some(None)`: where the server is.
    pub country: Option<Option<Country>>,
    /// Whether its keys may change what holds for others.
    pub is_operator: Option<bool>,
    /// Whether it shows no caller ID that is not verified.
    pub verified_only: Option<bool>,
}

/// Who suspends an account: each lets go only what he holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspender {
    /// The account itself.
    Account,
    /// Whoever runs the server.
    Operator,
}

/// A caller ID that an account may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCallerId {
    /// The number in the form in which numbers are compared.
    pub number: String,
    /// Since when.
    pub added_at: Timestamp,
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
        self.set(account, move |account| (SET_WEIGHT, vec![i64::from(weight), account])).await
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

    /// Changes how an account is dialed; `None` where there is no such account.
    pub async fn change_account(
        &self,
        account: AccountId,
        change: TermsChange,
    ) -> Result<Option<AccountTerms>, StoreError> {
        self.write(1, move |tx| {
            let Some(before) = tx.one(TERMS_HELD, values![account], terms)? else {
                return Ok(None);
            };
            let country = change.country.unwrap_or(before.country);
            let values = values![
                change.weight.unwrap_or(before.weight),
                change.calls_max.unwrap_or(before.limits.calls_max),
                change.calls_per_second.unwrap_or(before.limits.calls_per_second),
                country.as_ref().map(Country::as_str),
                change.is_operator.unwrap_or(before.is_operator),
                change.verified_only.unwrap_or(before.verified_only),
                account,
            ];
            tx.one(CHANGE_TERMS, values, terms)
        })
        .await
    }

    /// Lets nothing of an account be dialed, or no longer so; calls under way go on. It is dialed
    /// again once nobody suspends it.
    pub async fn suspend_account(
        &self,
        account: AccountId,
        by: Suspender,
        suspended: bool,
    ) -> Result<(), StoreError> {
        let sql = match by {
            Suspender::Account => SUSPEND_BY_ACCOUNT,
            Suspender::Operator => SUSPEND_BY_OPERATOR,
        };
        self.set(account, move |account| (sql, vec![i64::from(suspended), account])).await
    }

    /// Lets an account show these caller IDs; how many are new.
    pub async fn verify_caller_ids(
        &self,
        now: Timestamp,
        account: AccountId,
        numbers: Vec<String>,
    ) -> Result<u64, StoreError> {
        let home = self.home();
        self.write(numbers.len(), move |tx| {
            let terms = tx.one(TERMS, values![account], terms)?;
            let terms = terms.ok_or_else(|| unknown_account(account))?;
            let mut added = 0;
            for number in &numbers {
                let number = Canonical::of(number, terms.country.unwrap_or(home));
                let run = tx.run(VERIFY_CALLER_ID, values![account, number.key(), now])?;
                added += u64::try_from(run).unwrap_or(u64::MAX);
            }
            Ok(added)
        })
        .await
    }

    /// Lets an account show a caller ID no longer; `false` where it was not verified.
    pub async fn forget_caller_id(
        &self,
        account: AccountId,
        number: &str,
    ) -> Result<bool, StoreError> {
        let (home, number) = (self.home(), number.to_owned());
        self.write(1, move |tx| {
            let terms = tx.one(TERMS, values![account], terms)?;
            let country = terms.and_then(|terms| terms.country).unwrap_or(home);
            let number = Canonical::of(&number, country);
            Ok(tx.run(FORGET_CALLER_ID, values![account, number.key()])? > 0)
        })
        .await
    }

    /// Lets nothing of anybody be dialed, or everything again. Calls under way go on.
    pub async fn suspend(&self, suspended: bool) -> Result<(), StoreError> {
        self.write(1, move |tx| tx.run(SET_SUSPENDED, values![suspended]).map(drop)).await
    }

    async fn set(
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
        self.look(|sql| sql.all(ACCOUNTS, &[], terms)).await
    }

    /// How an account is dialed.
    pub async fn terms_of(&self, account: AccountId) -> Result<Option<AccountTerms>, StoreError> {
        self.look(move |sql| sql.one(TERMS, values![account], terms)).await
    }

    /// The caller IDs that accounts may show which show no others, in the form in which numbers are
    /// compared and in their order.
    pub async fn verified(&self) -> Result<BTreeMap<AccountId, Vec<String>>, StoreError> {
        let row = |row: &mut Row<'_>| Ok((AccountId(row.int()?), row.maybe_text()?));
        let rows = self.look(move |sql| sql.all(VERIFIED, &[], row)).await?;
        let mut verified = BTreeMap::<AccountId, Vec<String>>::new();
        for (account, number) in rows {
            verified.entry(account).or_default().extend(number);
        }
        Ok(verified)
    }

    /// Verified caller IDs of an account after `after`, at most `limit`.
    pub async fn verified_caller_ids(
        &self,
        account: AccountId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<VerifiedCallerId>, StoreError> {
        let after = after.to_owned();
        self.look(move |sql| {
            sql.all(VERIFIED_OF, values![account, after.as_str(), limit], |row| {
                Ok(VerifiedCallerId { number: row.text()?, added_at: row.time()? })
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

fn terms(row: &mut Row<'_>) -> Result<AccountTerms, StoreError> {
    Ok(AccountTerms {
        account: AccountId(row.int()?),
        weight: row.number()?,
        is_suspended: row.flag()?,
        limits: Limits { calls_max: row.maybe_number()?, calls_per_second: row.maybe_number()? },
        country: row.maybe_country()?,
        suspended_by_account: row.flag()?,
        suspended_by_operator: row.flag()?,
        is_operator: row.flag()?,
        verified_only: row.flag()?,
    })
}
