//! Rows that the operations of a group are about to read, read together before they run.
//!
//! On PostgreSQL a question costs a round trip; a hundred ends of calls ask two each. What was read
//! ahead is locked until the commit, is taken out by whoever uses it, and is forgotten as soon as
//! anything in the group is changed past [`Tx::put`].

use std::collections::HashMap;
use std::fmt::Write as _;

use domain::attempt::Attempt;
use domain::ids::{AttemptId, EndpointId, WebhookId};

use crate::contacts::Held;
use crate::driver::Sql;
use crate::tx::Tx;
use crate::value::{attempt_columns, contact_columns, queries, values};
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
    attempts: HashMap<AttemptId, (Attempt, Held)>,
    webhooks: HashMap<WebhookId, WebhookAhead>,
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
            let found = sql.all(ATTEMPTS, values![list(&attempts).as_str()], |row| {
                let attempt = row.attempt()?;
                let contact = row.contact()?;
                Ok((attempt, Held { contact, parked: row.flag()?, cancel_asked: row.flag()? }))
            })?;
            ahead.attempts = found.into_iter().map(|found| (found.0.id, found)).collect();
        }
        if webhooks.len() >= MANY {
            let found = sql.all(WEBHOOKS, values![list(&webhooks).as_str()], |row| {
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

    /// A webhook, if it was read ahead and nothing has changed since.
    pub(crate) fn webhook_ahead(&mut self, webhook: WebhookId) -> Option<WebhookAhead> {
        self.ahead_mut().webhooks.remove(&webhook)
    }
}

fn list(ids: &[i64]) -> String {
    let mut list = String::new();
    for id in ids {
        let comma = if list.is_empty() { "" } else { "," };
        // A string takes all that is written into it.
        let _ = write!(list, "{comma}{id}");
    }
    list
}
