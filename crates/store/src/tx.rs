//! A transaction as the verbs see it: SQL, the counts that go with it, and what recurs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::contact::ContactState;
use domain::ids::{ApplicationId, CampaignId};
use domain::outcome::{Disposition, Outcome};

use crate::sqlite::{Row, Sql, Value};
use crate::value::{SharedApplication, queries, values};
use crate::{StoreError, WebhookState};

queries! {
    ADD_CAMPAIGN_COUNTS = "UPDATE campaign_counts SET ready = ready + $1, waiting = waiting + $2, \
        calling = calling + $3, completed = completed + $4, failed = failed + $5, \
        expired = expired + $6, canceled = canceled + $7 WHERE campaign = $8";
    ADD_COUNTER = "INSERT INTO counters (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value";
    ADD_OUTCOME = "INSERT INTO outcome_counts (outcome, attempts) VALUES ($1, $2) \
        ON CONFLICT (outcome) DO UPDATE SET attempts = outcome_counts.attempts + excluded.attempts";
    READ_APPLICATION = "SELECT id, account, source, script, parameters, dialect \
        FROM applications WHERE id = $1";
    TAKE_NUMBERS = "INSERT INTO counters (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value";
}

/// A transaction under way, or the part of a shared one that is one operation's.
pub(crate) struct Tx<'w> {
    sql: Sql<'w>,
    counts: Counts,
    /// Work for the writer's idle moments was left behind.
    pub chores: bool,
    /// Number of this opening of the store.
    pub epoch: i64,
    applications: &'w mut Applications,
}

/// Where a contact stands, as the counts tell contacts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Waiting, and its time has come.
    Ready,
    /// Waiting, and its time lies ahead.
    Parked,
    /// In a call.
    Calling,
    /// Ended.
    Done(Disposition),
}

/// What changes in the sums, gathered over a group so that each is written once.
#[derive(Default)]
pub(crate) struct Counts {
    campaigns: BTreeMap<CampaignId, [i64; 7]>,
    counters: BTreeMap<&'static str, i64>,
    outcomes: BTreeMap<&'static str, i64>,
}

/// Applications read lately; they never change.
#[derive(Default)]
pub(crate) struct Applications {
    known: HashMap<ApplicationId, SharedApplication>,
    bytes: usize,
}

impl<'w> Tx<'w> {
    /// A part of the transaction that is open on `sql`.
    pub(crate) fn new(sql: Sql<'w>, epoch: i64, applications: &'w mut Applications) -> Self {
        Self { sql, counts: Counts::default(), chores: false, epoch, applications }
    }

    /// What changed in the sums.
    pub(crate) fn into_counts(self) -> Counts {
        self.counts
    }

    /// Runs a statement that gives no rows; how many it changed.
    pub(crate) fn run(&self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.sql.run(sql, values)
    }

    /// Reads the first row, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.sql.one(sql, values, read)
    }

    /// Reads the one row that such a statement always gives.
    pub(crate) fn the<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let row = self.sql.one(sql, values, read)?;
        row.ok_or_else(|| StoreError::Damaged(format!("no row for {sql:?}")))
    }

    /// Reads all rows.
    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.sql.all(sql, values, read)
    }

    /// Takes `many` numbers that nobody gets again; the first of them.
    pub(crate) fn numbers(&self, name: &str, many: usize) -> Result<i64, StoreError> {
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        let last = self.the(TAKE_NUMBERS, values![name, many], |row| row.int())?;
        Ok(last - many + 1)
    }

    /// The application of this id, shared with whoever else runs it.
    pub(crate) fn application(
        &mut self,
        id: ApplicationId,
    ) -> Result<SharedApplication, StoreError> {
        if let Some(known) = self.applications.known.get(&id) {
            return Ok(Arc::clone(known));
        }
        let read = self.the(READ_APPLICATION, values![id], |row| row.application())?;
        Ok(self.applications.keep(Arc::new(read)))
    }

    /// Counts `many` contacts of a campaign that come to stand somewhere.
    pub(crate) fn come(&mut self, campaign: CampaignId, to: Standing, many: i64) {
        let counts = self.counts.campaigns.entry(campaign).or_default();
        match to {
            Standing::Ready => {
                counts[0] += many;
                counts[1] += many;
            }
            Standing::Parked => counts[1] += many,
            Standing::Calling => counts[2] += many,
            Standing::Done(Disposition::Completed) => counts[3] += many,
            Standing::Done(Disposition::Failed) => counts[4] += many,
            Standing::Done(Disposition::Expired) => counts[5] += many,
            Standing::Done(Disposition::Canceled) => counts[6] += many,
        }
    }

    /// Counts one contact of a campaign that stood here and now stands there.
    pub(crate) fn go(&mut self, campaign: CampaignId, from: Standing, to: Standing) {
        self.come(campaign, from, -1);
        self.come(campaign, to, 1);
    }

    /// Counts a webhook that comes into a state, or leaves it by -1.
    pub(crate) fn count_webhook(&mut self, state: WebhookState, by: i64) {
        let counter = webhook_counter(state);
        *self.counts.counters.entry(counter).or_default() += by;
    }

    /// Counts an attempt that ended.
    pub(crate) fn count_outcome(&mut self, outcome: Outcome) {
        *self.counts.outcomes.entry(outcome.name()).or_default() += 1;
    }
}

impl Counts {
    /// Adds what another operation of the group changed.
    pub(crate) fn add(&mut self, other: Self) {
        for (campaign, changes) in other.campaigns {
            let sums = self.campaigns.entry(campaign).or_default();
            for (sum, change) in sums.iter_mut().zip(changes) {
                *sum += change;
            }
        }
        for (counter, change) in other.counters {
            *self.counters.entry(counter).or_default() += change;
        }
        for (outcome, change) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += change;
        }
    }

    /// Writes the sums, at the end of their transaction.
    pub(crate) fn write(self, sql: Sql<'_>) -> Result<(), StoreError> {
        for (campaign, [ready, waiting, calling, completed, failed, expired, canceled]) in
            self.campaigns
        {
            sql.run(
                ADD_CAMPAIGN_COUNTS,
                values![ready, waiting, calling, completed, failed, expired, canceled, campaign],
            )?;
        }
        for (counter, change) in self.counters {
            sql.run(ADD_COUNTER, values![counter, change])?;
        }
        for (outcome, change) in self.outcomes {
            sql.run(ADD_OUTCOME, values![outcome, change])?;
        }
        Ok(())
    }
}

/// The name under which webhooks of a state are counted.
pub(crate) const fn webhook_counter(state: WebhookState) -> &'static str {
    match state {
        WebhookState::Delivered => "webhooks_delivered",
        WebhookState::GivenUp => "webhooks_given_up",
        WebhookState::Owed => "webhooks_owed",
    }
}

impl Standing {
    /// Where a contact of this state stands, `parked` where it waits for its time.
    pub(crate) const fn of(state: ContactState, parked: bool) -> Self {
        match (state, parked) {
            (ContactState::Waiting, false) => Self::Ready,
            (ContactState::Waiting, true) => Self::Parked,
            (ContactState::Calling, _) => Self::Calling,
            (ContactState::Done(disposition), _) => Self::Done(disposition),
        }
    }
}

impl Applications {
    /// Forgets all: what was read in a transaction that failed may never have been.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn keep(&mut self, application: SharedApplication) -> SharedApplication {
        let bytes = application.spec.parameters.len()
            + crate::value::script_columns(&application.spec.script).1.len();
        if self.bytes + bytes > APPLICATION_BYTES_MAX {
            self.clear();
        }
        self.bytes += bytes;
        self.known.insert(application.id, Arc::clone(&application));
        application
    }
}

/// Applications kept at hand, in bytes: a campaign runs one, and documents have up to some 100 KB.
const APPLICATION_BYTES_MAX: usize = 8 * 1_024 * 1_024;
