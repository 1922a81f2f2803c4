//! The past of numbers: who was called when, who is in a call now, which caller IDs were shown.

pub(crate) mod taken;

use std::time::Duration;

use domain::contact::Contact;
use domain::ids::{AccountId, AttemptId};
use domain::number::Destination;
use domain::number::canonical::Canonical;
use domain::outcome::{CalleeType, Outcome};
use domain::permit::{Past, Question, day_of};
use domain::region::Country;
use domain::time::Timestamp;

pub(crate) use self::taken::Taken;
use self::taken::call;
use crate::driver::Sql;
use crate::tx::Tx;
use crate::value::{queries, values};
use crate::{Reader, Store, StoreError};

queries! {
    CALLS = "SELECT begun_at, ended_at, conversation FROM called \
        WHERE number = $1 AND begun_at > $2 AND ($3 = 1 OR account = $4) \
        ORDER BY begun_at DESC, attempt DESC LIMIT $5";
    COUNT_SHOWN = "INSERT INTO shown (caller_id, day, calls) VALUES ($1, $2, $3) \
        ON CONFLICT (caller_id, day) DO UPDATE SET calls = shown.calls + excluded.calls";
    END_CALL = "UPDATE called SET ended_at = $1, conversation = $2 WHERE attempt = $3";
    FORGET_CALL = "DELETE FROM called WHERE attempt = $1";
    FORGET_LIVE = "DELETE FROM live_numbers WHERE attempt = $1";
    IS_LIVE = "SELECT attempt FROM live_numbers WHERE scope = $1 AND number = $2";
    LET_GO = "DELETE FROM live_numbers WHERE scope = $1 AND number = $2";
    LISTED = "SELECT lists.name, listed.added_at FROM lists \
        JOIN listed ON listed.list = lists.id AND listed.number = $1 \
        WHERE lists.account = $2 ORDER BY lists.name";
    NOTE_CALL = "INSERT INTO called (attempt, account, number, begun_at) VALUES ($1, $2, $3, $4)";
    PASS_ON = "UPDATE live_numbers SET attempt = $1 WHERE scope = $2 AND number = $3";
    PURGE_CALLED = "DELETE FROM called WHERE attempt IN (SELECT attempt FROM called \
        WHERE begun_at < $1 AND ended_at IS NOT NULL ORDER BY begun_at LIMIT $2)";
    PURGE_SHOWN = "DELETE FROM shown WHERE day < $1";
    SHOWN = "SELECT calls FROM shown WHERE caller_id = $1 AND day = $2";
    TAKE_NUMBER = "INSERT INTO live_numbers (scope, number, attempt) VALUES ($1, $2, $3) \
        ON CONFLICT (scope, number) DO NOTHING";
}

/// Calls of the past that are looked at: more than any cap counts.
const CALLS_MAX: u32 = 1_000;
/// Calls older than this are looked at by no rule: a year and some days.
const LOOKS_BACK_MAX: Duration = Duration::from_secs(400 * 86_400);

impl Store {
    /// Forgets up to `limit` calls to numbers that began before `before`; how many there were.
    pub async fn purge_called(&self, before: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.write(200, move |tx| {
            tx.run(PURGE_SHOWN, values![day_of(before)])?;
            let purged = tx.run(PURGE_CALLED, values![before, limit])?;
            Ok(u32::try_from(purged).unwrap_or(u32::MAX))
        })
        .await
    }
}

impl Reader {
    /// What the past of a number is, for who explains.
    pub async fn past(
        &self,
        now: Timestamp,
        account: AccountId,
        question: Question,
    ) -> Result<Past, StoreError> {
        self.look(move |sql| {
            sql.snapshot(|sql| {
                let scope = scope(&question, account);
                let live = sql.one(IS_LIVE, values![scope, question.number.as_str()], |_| Ok(()));
                past(sql, now, account, &question, live?.is_some())
            })
        })
        .await
    }
}

/// The form in which the number of a destination is compared.
pub(crate) fn key(destination: &Destination, home: Country) -> String {
    Canonical::of(destination.dialed(), home).key().to_owned()
}

/// Writes down that a number is called.
pub(crate) fn begin(
    tx: &Tx<'_>,
    now: Timestamp,
    contact: &Contact,
    number: &str,
    attempt: AttemptId,
) -> Result<(), StoreError> {
    tx.put(NOTE_CALL, values![attempt, contact.account, number, now])
}

/// Writes down how a call to a number ended, and lets the number go.
pub(crate) fn end(
    tx: &Tx<'_>,
    at: Timestamp,
    attempt: AttemptId,
    outcome: Outcome,
) -> Result<(), StoreError> {
    let conversation = matches!(
        outcome,
        Outcome::Answered(CalleeType::CallScreener | CalleeType::Human | CalleeType::Unknown)
    );
    tx.put(END_CALL, values![at, conversation, attempt])?;
    tx.put(FORGET_LIVE, values![attempt])
}

/// Lets a number go of which nothing was sent.
pub(crate) fn release(tx: &Tx<'_>, attempt: AttemptId) -> Result<(), StoreError> {
    tx.run(FORGET_CALL, values![attempt])?;
    tx.run(FORGET_LIVE, values![attempt]).map(drop)
}

/// What the past of a number is.
pub(crate) fn past(
    sql: Sql<'_>,
    now: Timestamp,
    account: AccountId,
    question: &Question,
    is_live: bool,
) -> Result<Past, StoreError> {
    let number = question.number.as_str();
    let mut past = Past { is_live, ..Past::default() };
    if !question.looks_back.is_zero() {
        let since = now - question.looks_back.min(LOOKS_BACK_MAX);
        let all = question.of_all_accounts;
        let values = values![number, since, all, account, CALLS_MAX];
        past.calls = sql.all(CALLS, values, call)?;
    }
    past.listed =
        sql.all(LISTED, values![number, account], |row| Ok((row.text()?, row.time()?)))?;
    for caller_id in &question.caller_ids {
        let values = values![caller_id.as_str(), day_of(now)];
        if let Some(calls) = sql.one(SHOWN, values, |row| row.number())? {
            past.caller_ids.push((caller_id.clone(), calls));
        }
    }
    Ok(past)
}

/// Among whose calls a number may be called once at a time.
const fn scope(question: &Question, account: AccountId) -> i64 {
    if question.of_all_accounts { 0 } else { account.0 }
}
