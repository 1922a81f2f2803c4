//! Rows that the operations of a group are about to read, read together before they run.
//!
//! On PostgreSQL a question costs a round trip; a hundred ends of calls ask two each. What was read
//! ahead is locked until the commit, is taken out by whoever uses it, and is forgotten as soon as
//! anything like it is changed in the group past [`Tx::put`]. So is what calls taken in one by one
//! share, which is looked up once for a group.

use std::collections::HashMap;

use domain::attempt::Attempt;
use domain::ids::{AccountId, ApplicationId, AttemptId, EndpointId, WebhookId};

use crate::contacts::Held;
use crate::driver::Sql;
use crate::share::OfCampaign;
use crate::tx::Tx;
use crate::value::{attempt_columns, contact_columns, listed, queries, values};
use crate::{StoreError, WebhookState};

queries! {
    ATTEMPTS = concat!(
        "SELECT ", attempt_columns!(), ", ", contact_columns!(),
        ", contacts.parked, contacts.cancel_asked \
         FROM attempts JOIN contacts ON contacts.id = attempts.contact \
         WHERE attempts.id = ANY (CAST(string_to_array($1, ',') AS bigint[])) \
         ORDER BY contacts.id FOR UPDATE OF attempts, contacts"
    );
    WEBHOOKS = "SELECT id, endpoint, state, lane FROM webhooks \
        WHERE id = ANY (CAST(string_to_array($1, ',') AS bigint[])) ORDER BY id FOR UPDATE";
}

/// Fewer are read one by one.
const MANY: usize = 3;

/// What an operation will read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// An attempt and its contact.
    Attempt(AttemptId),
    /// Nothing that is known before.
    Nothing,
    /// A webhook.
    Webhook(WebhookId),
}

/// What was read ahead.
#[derive(Default)]
pub(crate) struct Ahead {
    applications: HashMap<(AccountId, [u8; 32]), ApplicationId>,
    attempts: HashMap<AttemptId, (Attempt, Held)>,
    campaigns: HashMap<(AccountId, String), OfCampaign>,
    webhooks: HashMap<WebhookId, WebhookAhead>,
}

/// The tables whose rows are kept here, or say something of these.
const TABLES: [&str; 6] =
    ["accounts", "applications", "attempts", "campaigns", "contacts", "webhooks"];

/// Whether a statement may change what was read ahead.
pub(crate) fn is_changed_by(sql: &str) -> bool {
    let table = |sql: &str| {
        let table = sql.split([' ', '(']).next().unwrap_or_default();
        TABLES.contains(&table)
    };
    let verbs = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];
    match verbs.iter().find_map(|verb| sql.strip_prefix(verb)) {
        Some(rest) => table(rest),
        None => !sql.starts_with("SELECT"),
    }
}

/// A webhook as it was read ahead.
#[derive(Clone, Debug)]
pub(crate) struct WebhookAhead {
    /// The endpoint that it goes to, where it is one's.
    pub endpoint: Option<EndpointId>,
    /// How it stands.
    pub state: WebhookState,
    /// Whose turns it takes.
    pub lane: String,
}

impl Ahead {
    /// Reads what is wanted; for a connection where a question costs a round trip.
    pub(crate) fn read(
        sql: Sql<'_>,
        wants: impl Iterator<Item = Want>,
    ) -> Result<Self, StoreError> {
        let (mut attempts, mut webhooks) = (Vec::new(), Vec::new());
        for want in wants {
            match want {
                Want::Attempt(attempt) => attempts.push(attempt.0),
                Want::Nothing => {}
                Want::Webhook(webhook) => webhooks.push(webhook.0),
            }
        }
        let mut ahead = Self::default();
        if attempts.len() >= MANY {
            let found =
                sql.all(ATTEMPTS, values![listed(attempts.iter().copied()).as_str()], |row| {
                    let attempt = row.attempt()?;
                    let contact = row.contact()?;
                    Ok((attempt, Held { contact, parked: row.flag()?, cancel_asked: row.flag()? }))
                })?;
            ahead.attempts = found.into_iter().map(|found| (found.0.id, found)).collect();
        }
        if webhooks.len() >= MANY {
            let found =
                sql.all(WEBHOOKS, values![listed(webhooks.iter().copied()).as_str()], |row| {
                    let id = WebhookId(row.int()?);
                    let endpoint = row.maybe_int()?.map(EndpointId);
                    let (state, lane) = (row.name(WebhookState::from_name)?, row.text()?);
                    Ok((id, WebhookAhead { endpoint, state, lane }))
                })?;
            ahead.webhooks = found.into_iter().collect();
        }
        Ok(ahead)
    }
}

impl Tx<'_> {
    /// An attempt and its contact, if they were read ahead and nothing has changed since.
    pub(crate) fn attempt_ahead(&mut self, attempt: AttemptId) -> Option<(Attempt, Held)> {
        self.ahead_mut().attempts.remove(&attempt)
    }

    /// The application of this hash, if it was looked up and nothing has changed since.
    pub(crate) fn application_ahead(
        &mut self,
        account: AccountId,
        hash: [u8; 32],
    ) -> Option<ApplicationId> {
        self.ahead_mut().applications.get(&(account, hash)).copied()
    }

    /// The campaign of this name, likewise.
    pub(crate) fn campaign_ahead(&mut self, account: AccountId, name: &str) -> Option<OfCampaign> {
        self.ahead_mut().campaigns.get(&(account, name.to_owned())).copied()
    }

    /// An application was looked up.
    pub(crate) fn keep_application_ahead(
        &mut self,
        account: AccountId,
        hash: [u8; 32],
        found: ApplicationId,
    ) {
        self.ahead_mut().applications.insert((account, hash), found);
    }

    /// A campaign was looked up.
    pub(crate) fn keep_campaign_ahead(
        &mut self,
        account: AccountId,
        name: &str,
        found: OfCampaign,
    ) {
        self.ahead_mut().campaigns.insert((account, name.to_owned()), found);
    }

    /// A webhook, if it was read ahead and nothing has changed since.
    pub(crate) fn webhook_ahead(&mut self, webhook: WebhookId) -> Option<WebhookAhead> {
        self.ahead_mut().webhooks.remove(&webhook)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_changes_what_was_read_ahead_where_it_is_of_the_same_tables() {
        let others = [
            "SELECT id FROM contacts FOR UPDATE",
            "INSERT INTO live_numbers (scope) VALUES ($1)",
            "INSERT INTO campaign_sums (ready) VALUES ($1)",
            "DELETE FROM cancel_asks WHERE node = $1",
        ];
        assert!(!others.into_iter().any(is_changed_by));
        let same = [
            "UPDATE contacts SET cancel_asked = 1 WHERE id = $1",
            "DELETE FROM attempts WHERE id = $1",
            "INSERT INTO webhooks(id) VALUES ($1)",
            "WITH old AS (DELETE FROM contacts RETURNING id) SELECT id FROM old",
        ];
        assert!(same.into_iter().all(is_changed_by));
    }
}
