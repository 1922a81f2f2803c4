//! The numbers of a head of candidates: taken, asked about and let go together.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::caps::PastCall;
use domain::ids::{AccountId, AttemptId};
use domain::permit::{Past, Question, day_of};
use domain::time::Timestamp;

use super::{
    CALLS, CALLS_MAX, COUNT_SHOWN, LET_GO, LISTED, LOOKS_BACK_MAX, PASS_ON, SHOWN, TAKE_NUMBER,
    scope,
};
use crate::StoreError;
use crate::driver::{Row, Sql};
use crate::tx::Tx;
use crate::value::{listed, queries, values};

queries! {
    // Numbers are looked at one by one, each by its index, whatever their past.
    CALLS_OF = "SELECT asked.number, past.begun_at, past.ended_at, past.conversation \
        FROM unnest(string_to_array($1, chr(31))) AS asked (number) CROSS JOIN LATERAL \
        (SELECT begun_at, ended_at, conversation, attempt FROM called \
         WHERE called.number = asked.number AND begun_at > $2 AND ($3 = 1 OR account = $4) \
         ORDER BY begun_at DESC, attempt DESC LIMIT $5) AS past \
        ORDER BY past.begun_at DESC, past.attempt DESC";
    LISTED_OF = "SELECT listed.number, lists.name, listed.added_at FROM lists \
        JOIN listed ON listed.list = lists.id WHERE lists.account = $1 \
        AND listed.number = ANY (string_to_array($2, chr(31))) ORDER BY lists.name";
    SHOWN_OF = "SELECT caller_id, calls FROM shown \
        WHERE day = $1 AND caller_id = ANY (string_to_array($2, chr(31)))";
    // In one order, so that two nodes do not wait for each other.
    TAKE_NUMBERS = "INSERT INTO live_numbers (scope, number, attempt) \
        SELECT scope, number, attempt FROM unnest(\
        CAST(string_to_array($1, ',') AS bigint[]), string_to_array($2, chr(31)), \
        CAST(string_to_array($3, ',') AS bigint[])) AS asked (scope, number, attempt) \
        ORDER BY scope, number ON CONFLICT (scope, number) DO NOTHING RETURNING scope, number";
}

/// What separates texts of a list.
const BETWEEN: char = '\u{1f}';
/// Fewer numbers are asked about one by one.
const MANY: usize = 3;

/// Among whose calls a number may be called once at a time, and the number.
type Key = (i64, String);

/// The numbers of a head.
pub(crate) struct Taken {
    /// Those that were free; each for the attempt that it was taken for, and whether one calls it.
    free: BTreeMap<Key, Hold>,
    calls: HashMap<(i64, String), Vec<PastCall>>,
    listed: HashMap<(AccountId, String), Vec<(String, Timestamp)>>,
    shown: BTreeMap<String, u32>,
    /// How often caller IDs are shown by the calls of this head.
    showing: BTreeMap<String, u32>,
}

struct Hold {
    taken_for: AttemptId,
    called_by: Option<AttemptId>,
}

impl Taken {
    /// Takes the numbers of the questions that nobody has, for attempts numbered from `first` on.
    ///
    /// In PostgreSQL this waits for transactions that are just taking one of them.
    pub(crate) fn take(
        tx: &Tx<'_>,
        questions: &[(AccountId, &Question)],
        first: AttemptId,
    ) -> Result<Self, StoreError> {
        let mut keys: BTreeMap<Key, AttemptId> = BTreeMap::new();
        for ((account, question), attempt) in questions.iter().zip(first.0..) {
            keys.entry(key(question, *account)).or_insert(AttemptId(attempt));
        }
        let numbers = list(keys.keys().map(|(_, number)| number.as_str()));
        let taken: Vec<Key> = match (tx.sql(), numbers) {
            (Sql::Postgres(_), Some(numbers)) if keys.len() >= MANY => {
                let scopes = listed(keys.keys().map(|(scope, _)| *scope));
                let attempts = listed(keys.values().map(|attempt| attempt.0));
                let values = values![scopes.as_str(), numbers.as_str(), attempts.as_str()];
                tx.all(TAKE_NUMBERS, values, |row| Ok((row.int()?, row.text()?)))?
            }
            _ => {
                let mut taken = Vec::new();
                for ((scope, number), attempt) in &keys {
                    if tx.run(TAKE_NUMBER, values![*scope, number.as_str(), *attempt])? > 0 {
                        taken.push((*scope, number.clone()));
                    }
                }
                taken
            }
        };
        let hold = |key: Key| {
            let taken_for = keys.get(&key).copied()?;
            Some((key, Hold { taken_for, called_by: None }))
        };
        Ok(Self {
            free: taken.into_iter().filter_map(hold).collect(),
            calls: HashMap::new(),
            listed: HashMap::new(),
            shown: BTreeMap::new(),
            showing: BTreeMap::new(),
        })
    }

    /// Reads what the past of the numbers is.
    pub(crate) fn look_back(
        &mut self,
        tx: &Tx<'_>,
        now: Timestamp,
        questions: &[(AccountId, &Question)],
    ) -> Result<(), StoreError> {
        // Mostly all contacts of a campaign are asked about alike.
        let mut groups: BTreeMap<(AccountId, bool, Duration), Vec<&str>> = BTreeMap::new();
        let mut caller_ids: Vec<&str> = Vec::new();
        for (account, question) in questions {
            let group = (*account, question.of_all_accounts, question.looks_back);
            groups.entry(group).or_default().push(&question.number);
            caller_ids.extend(question.caller_ids.iter().map(String::as_str));
        }
        for ((account, of_all, looks_back), mut numbers) in groups {
            numbers.sort_unstable();
            numbers.dedup();
            if !looks_back.is_zero() {
                let since = now - looks_back.min(LOOKS_BACK_MAX);
                self.read_calls(tx, &numbers, since, of_all, account)?;
            }
            self.read_lists(tx, &numbers, account)?;
        }
        caller_ids.sort_unstable();
        caller_ids.dedup();
        self.read_shown(tx, &caller_ids, day_of(now))
    }

    /// What the past of a number is for the next candidate.
    pub(crate) fn past(&self, account: AccountId, question: &Question) -> Past {
        let key = key(question, account);
        let is_free = self.free.get(&key).is_some_and(|hold| hold.called_by.is_none());
        let calls = match question.looks_back.is_zero() {
            true => Vec::new(),
            false => self.calls.get(&key).cloned().unwrap_or_default(),
        };
        let listed = (account, question.number.clone());
        let shown = |caller_id: &String| {
            let before = self.shown.get(caller_id).copied();
            let now = self.showing.get(caller_id).copied();
            let calls = before.into_iter().chain(now).reduce(u32::saturating_add)?;
            Some((caller_id.clone(), calls))
        };
        Past {
            is_live: !is_free,
            calls,
            listed: self.listed.get(&listed).cloned().unwrap_or_default(),
            caller_ids: question.caller_ids.iter().filter_map(shown).collect(),
        }
    }

    /// A candidate is called, and shown this caller ID.
    pub(crate) fn call(
        &mut self,
        now: Timestamp,
        account: AccountId,
        question: &Question,
        attempt: AttemptId,
        caller_id: &Option<String>,
    ) {
        let key = key(question, account);
        if let Some(hold) = self.free.get_mut(&key) {
            hold.called_by = Some(attempt);
        }
        let call =
            PastCall { begun_at: now, ended_at: None, is_counted: true, is_conversation: false };
        self.calls.entry(key).or_default().insert(0, call);
        if let Some(caller_id) = caller_id {
            *self.showing.entry(caller_id.clone()).or_default() += 1;
        }
    }

    /// Lets the numbers go that nobody calls, and counts the caller IDs that are shown.
    pub(crate) fn settle(self, tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
        for ((scope, number), Hold { taken_for, called_by }) in &self.free {
            let key = (*scope, number.as_str());
            match called_by {
                Some(attempt) if attempt == taken_for => {}
                Some(attempt) => tx.put(PASS_ON, values![*attempt, key.0, key.1])?,
                None => tx.put(LET_GO, values![key.0, key.1])?,
            }
        }
        for (caller_id, calls) in &self.showing {
            tx.run(COUNT_SHOWN, values![caller_id.as_str(), day_of(now), *calls])?;
        }
        Ok(())
    }

    fn read_calls(
        &mut self,
        tx: &Tx<'_>,
        numbers: &[&str],
        since: Timestamp,
        of_all: bool,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let scope = if of_all { 0 } else { account.0 };
        match (tx.sql(), list(numbers.iter().copied())) {
            (Sql::Postgres(_), Some(numbers)) => {
                let values = values![numbers.as_str(), since, of_all, account, CALLS_MAX];
                let found = tx.all(CALLS_OF, values, |row| Ok((row.text()?, call(row)?)))?;
                for (number, call) in found {
                    self.calls.entry((scope, number)).or_default().push(call);
                }
            }
            _ => {
                for number in numbers {
                    let values = values![*number, since, of_all, account, CALLS_MAX];
                    let calls = tx.all(CALLS, values, call)?;
                    self.calls.insert((scope, (*number).to_owned()), calls);
                }
            }
        }
        Ok(())
    }

    fn read_lists(
        &mut self,
        tx: &Tx<'_>,
        numbers: &[&str],
        account: AccountId,
    ) -> Result<(), StoreError> {
        match (tx.sql(), list(numbers.iter().copied())) {
            (Sql::Postgres(_), Some(numbers)) => {
                let found = tx.all(LISTED_OF, values![account, numbers.as_str()], |row| {
                    Ok((row.text()?, row.text()?, row.time()?))
                })?;
                for (number, name, since) in found {
                    self.listed.entry((account, number)).or_default().push((name, since));
                }
            }
            _ => {
                for number in numbers {
                    let lists = tx.all(LISTED, values![*number, account], |row| {
                        Ok((row.text()?, row.time()?))
                    })?;
                    self.listed.insert((account, (*number).to_owned()), lists);
                }
            }
        }
        Ok(())
    }

    fn read_shown(&mut self, tx: &Tx<'_>, caller_ids: &[&str], day: i64) -> Result<(), StoreError> {
        if caller_ids.is_empty() {
            return Ok(());
        }
        match (tx.sql(), list(caller_ids.iter().copied())) {
            (Sql::Postgres(_), Some(caller_ids)) => {
                let values = values![day, caller_ids.as_str()];
                let found = tx.all(SHOWN_OF, values, |row| Ok((row.text()?, row.number()?)))?;
                self.shown.extend(found);
            }
            _ => {
                for caller_id in caller_ids {
                    let values = values![*caller_id, day];
                    if let Some(calls) = tx.one(SHOWN, values, |row| row.number())? {
                        self.shown.insert((*caller_id).to_owned(), calls);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A call of the past: `begun_at, ended_at, conversation`.
pub(super) fn call(row: &mut Row<'_>) -> Result<PastCall, StoreError> {
    Ok(PastCall {
        begun_at: row.time()?,
        ended_at: row.maybe_time()?,
        is_counted: true,
        is_conversation: row.flag()?,
    })
}

fn key(question: &Question, account: AccountId) -> Key {
    (scope(question, account), question.number.clone())
}

/// Texts as one; `None` where one holds what stands between them, or there are none.
fn list<'t>(texts: impl Iterator<Item = &'t str>) -> Option<String> {
    let mut list = String::new();
    for (nth, text) in texts.enumerate() {
        if text.contains(BETWEEN) {
            return None;
        }
        if nth > 0 {
            list.push(BETWEEN);
        }
        list.push_str(text);
    }
    (!list.is_empty()).then_some(list)
}
