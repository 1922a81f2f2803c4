//! A transaction as the verbs see it: SQL, the counts that go with it, and what recurs.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::contact::ContactState;
use domain::ids::{ApplicationId, CampaignId};
use domain::outcome::{CalleeType, Disposition, Outcome};

use crate::ahead::{Ahead, is_changed_by};
use crate::driver::{Row, Sql, Value};
use crate::outbox::Change;
use crate::value::{SharedApplication, queries, values};
use crate::{StoreError, WebhookState};

queries! {
    ADD_CAMPAIGN_SUMS = "INSERT INTO campaign_sums (ready, waiting, calling, completed, failed, \
        expired, canceled, campaign, node) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
        ON CONFLICT (campaign, node) DO UPDATE SET ready = campaign_sums.ready + excluded.ready, \
        waiting = campaign_sums.waiting + excluded.waiting, \
        calling = campaign_sums.calling + excluded.calling, \
        completed = campaign_sums.completed + excluded.completed, \
        failed = campaign_sums.failed + excluded.failed, \
        expired = campaign_sums.expired + excluded.expired, \
        canceled = campaign_sums.canceled + excluded.canceled";
    ADD_COUNTER = "INSERT INTO counters (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value";
    ADD_SUM = "INSERT INTO sums (name, node, value) VALUES ($1, $2, $3) \
        ON CONFLICT (name, node) DO UPDATE SET value = sums.value + excluded.value";
    LISTENER = "SELECT id FROM endpoints WHERE state = 'enabled' LIMIT 1";
    READ_APPLICATION = "SELECT id, account, source, script, parameters, dialect, detection \
        FROM applications WHERE id = $1";
    SET_COUNTER = "UPDATE counters SET value = $1 WHERE name = $2 AND value = $3";
}

/// Numbers set aside at once: a counter is written once for so many rows. A crash loses the rest of
/// them, which is nothing but a gap.
const NUMBERS_AHEAD: i64 = 1_000;

/// A transaction under way, or the part of a shared one that is one operation's.
pub(crate) struct Tx<'w> {
    sql: Sql<'w>,
    /// Number of this opening of the store.
    pub epoch: i64,
    /// Number of this node.
    pub node: i64,
    done: Done,
    memory: &'w mut Memory,
    /// Something was changed past [`Tx::put`]: what was read ahead may be so no more.
    changed: Cell<bool>,
}

/// Whose transactions these are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// Number of the opening of the store.
    pub epoch: i64,
    /// Number of the node; 0 where there is but one.
    pub node: i64,
}

/// What a transaction did beside its SQL; of no account before it is committed.
#[derive(Default)]
pub(crate) struct Done {
    counts: Counts,
    /// What the outbox must know.
    pub outbox: Vec<Change>,
    /// Work for the writer's idle moments was left behind.
    pub chores: bool,
}

/// What the writer need not read again.
#[derive(Default)]
pub(crate) struct Memory {
    /// What the operations of a group will read first.
    pub ahead: Ahead,
    /// The numbers it may give out.
    pub numbers: Numbers,
    /// The applications it has read.
    pub applications: Applications,
    /// Whether any endpoint wants to be told of anything, once a transaction looked that up.
    pub listen: Option<bool>,
}

/// Kinds of things that take their ids from counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Attempts.
    Attempt,
    /// Contacts.
    Contact,
    /// Deliveries.
    Delivery,
    /// Events.
    Event,
    /// Webhooks.
    Webhook,
}

/// Numbers set aside: of each kind the next one, and the last one of those.
#[derive(Clone, Copy, Default)]
pub(crate) struct Numbers([Option<(i64, i64)>; 5]);

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
struct Counts {
    campaigns: BTreeMap<CampaignId, [i64; 7]>,
    counters: BTreeMap<&'static str, i64>,
}

/// Applications read lately; they never change.
#[derive(Default)]
pub(crate) struct Applications {
    known: HashMap<ApplicationId, SharedApplication>,
    bytes: usize,
}

impl<'w> Tx<'w> {
    /// A part of the transaction that is open on `sql`.
    pub(crate) fn new(sql: Sql<'w>, own: Own, memory: &'w mut Memory) -> Self {
        let Own { epoch, node } = own;
        Self { sql, epoch, node, done: Done::default(), memory, changed: Cell::new(false) }
    }

    /// The connection, for statements that know it.
    pub(crate) const fn sql(&self) -> Sql<'w> {
        self.sql
    }

    /// What was done beside the SQL.
    pub(crate) fn into_done(mut self) -> Done {
        self.ahead_mut();
        self.done
    }

    /// What was read ahead and is so still.
    pub(crate) fn ahead_mut(&mut self) -> &mut Ahead {
        if self.changed.take() {
            self.memory.ahead = Ahead::default();
        }
        &mut self.memory.ahead
    }

    /// Notes what a statement does to what was read ahead.
    fn note(&self, sql: &str) {
        if is_changed_by(sql) {
            self.changed.set(true);
        }
    }

    /// Runs a statement that gives no rows; how many it changed.
    pub(crate) fn run(&self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.note(sql);
        self.sql.run(sql, values)
    }

    /// Hands over a change that nothing else handed over looks at: see [`Sql::put`].
    pub(crate) fn put(&self, sql: &'static str, values: &[Value<'_>]) -> Result<(), StoreError> {
        self.sql.put(sql, values)
    }

    /// Reads the first row, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.note(sql);
        self.sql.one(sql, values, read)
    }

    /// Reads the one row that such a statement always gives.
    pub(crate) fn the<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.note(sql);
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
        self.note(sql);
        self.sql.all(sql, values, read)
    }

    /// Takes `many` numbers in a row that nobody gets again; the first of them.
    pub(crate) fn numbers(&mut self, kind: Number, many: usize) -> Result<i64, StoreError> {
        let many = i64::try_from(many).unwrap_or(i64::MAX);
        let set_aside = &mut self.memory.numbers.0[kind as usize];
        if let Some((next, last)) = set_aside
            && many <= *last - *next + 1
        {
            *next += many;
            return Ok(*next - many);
        }
        let taken = many.saturating_add(NUMBERS_AHEAD);
        let values = values![kind.counter(), taken];
        let last = self.sql.count(ADD_COUNTER, values, |row| row.int())?;
        let last = last.ok_or_else(|| StoreError::Damaged("no counter".into()))?;
        let first = match set_aside {
            // Nobody else took any meanwhile: go on without a gap.
            Some((next, old)) if *old == last - taken => *next,
            _ => last - taken + 1,
        };
        *set_aside = Some((first + many, last));
        Ok(first)
    }

    /// Gives `many` numbers back from `first` on that were taken last and not used.
    pub(crate) fn put_back(&mut self, kind: Number, first: i64, many: usize) {
        if let Some((next, _)) = &mut self.memory.numbers.0[kind as usize]
            && i64::try_from(many).is_ok_and(|many| *next == first + many)
        {
            *next = first;
        }
    }

    /// Takes the next number of a counter that is seldom asked.
    pub(crate) fn next(&self, counter: &str) -> Result<i64, StoreError> {
        self.the(ADD_COUNTER, values![counter, 1_i64], |row| row.int())
    }

    /// Gives numbers back that were set aside and not used, at an orderly end.
    pub(crate) fn give_back(&self, numbers: &Numbers) -> Result<(), StoreError> {
        for kind in Number::ALL {
            // As long as nobody took any after them.
            if let Some((next, last)) = numbers.0[kind as usize] {
                self.run(SET_COUNTER, values![next - 1, kind.counter(), last])?;
            }
        }
        Ok(())
    }

    /// Whether any endpoint of any account wants to be told of anything: mostly none.
    pub(crate) fn endpoints_listen(&mut self) -> Result<bool, StoreError> {
        if let Some(listen) = self.memory.listen {
            return Ok(listen);
        }
        let listen = self.one(LISTENER, &[], |_| Ok(()))?.is_some();
        self.memory.listen = Some(listen);
        Ok(listen)
    }

    /// An endpoint may listen from now on that did not before.
    pub(crate) const fn endpoints_changed(&mut self) {
        self.memory.listen = None;
    }

    /// Leaves work for the writer's idle moments.
    pub(crate) const fn leave_chores(&mut self) {
        self.done.chores = true;
    }

    /// Tells the outbox, once this is committed.
    pub(crate) fn outbox(&mut self, change: Change) {
        self.done.outbox.push(change);
    }

    /// The application of this id, shared with whoever else runs it.
    pub(crate) fn application(
        &mut self,
        id: ApplicationId,
    ) -> Result<SharedApplication, StoreError> {
        if let Some(known) = self.memory.applications.known.get(&id) {
            return Ok(Arc::clone(known));
        }
        let read = self.the(READ_APPLICATION, values![id], |row| row.application())?;
        Ok(self.memory.applications.keep(Arc::new(read)))
    }

    /// Counts `many` contacts of a campaign that come to stand somewhere.
    pub(crate) fn come(&mut self, campaign: CampaignId, to: Standing, many: i64) {
        let counts = self.done.counts.campaigns.entry(campaign).or_default();
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
        *self.done.counts.counters.entry(counter).or_default() += by;
    }

    /// Counts an attempt that ended.
    pub(crate) fn count_outcome(&mut self, outcome: Outcome) {
        *self.done.counts.counters.entry(outcome_counter(outcome)).or_default() += 1;
    }
}

impl Done {
    /// Adds what another operation of the group did.
    pub(crate) fn add(&mut self, other: Self) {
        for (campaign, changes) in other.counts.campaigns {
            let sums = self.counts.campaigns.entry(campaign).or_default();
            for (sum, change) in sums.iter_mut().zip(changes) {
                *sum += change;
            }
        }
        for (counter, change) in other.counts.counters {
            *self.counts.counters.entry(counter).or_default() += change;
        }
        self.outbox.extend(other.outbox);
        self.chores |= other.chores;
    }

    /// Writes the sums, at the end of their transaction, to rows that are this node's own.
    pub(crate) fn write(&self, sql: Sql<'_>, node: i64) -> Result<(), StoreError> {
        for (campaign, sums) in &self.counts.campaigns {
            let [ready, waiting, calling, completed, failed, expired, canceled] = *sums;
            let values = values![
                ready, waiting, calling, completed, failed, expired, canceled, *campaign, node
            ];
            sql.put(ADD_CAMPAIGN_SUMS, values)?;
        }
        for (counter, change) in &self.counts.counters {
            sql.put(ADD_SUM, values![*counter, node, *change])?;
        }
        Ok(())
    }
}

impl Number {
    const ALL: [Self; 5] =
        [Self::Attempt, Self::Contact, Self::Delivery, Self::Event, Self::Webhook];

    /// The name of the counter that holds the last number set aside.
    const fn counter(self) -> &'static str {
        match self {
            Self::Attempt => "attempt_ids",
            Self::Contact => "contact_ids",
            Self::Delivery => "delivery_ids",
            Self::Event => "event_ids",
            Self::Webhook => "webhook_ids",
        }
    }
}

/// The name under which attempts of an outcome are counted.
pub(crate) const fn outcome_counter(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(CalleeType::CallScreener) => "attempts_call_screener",
        Outcome::Answered(CalleeType::Fax) => "attempts_fax",
        Outcome::Answered(CalleeType::Human) => "attempts_human",
        Outcome::Answered(CalleeType::Machine) => "attempts_machine",
        Outcome::Answered(CalleeType::Unknown) => "attempts_answered",
        Outcome::Busy => "attempts_busy",
        Outcome::Canceled => "attempts_canceled",
        Outcome::InDoubt => "attempts_in_doubt",
        Outcome::Intercepted => "attempts_intercepted",
        Outcome::InvalidNumber => "attempts_invalid_number",
        Outcome::LineFailure => "attempts_line_failure",
        Outcome::NoAnswer => "attempts_no_answer",
        Outcome::NoCircuit => "attempts_no_circuit",
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
