//! Lists of numbers that are not called, and opting out.

use domain::contact::ContactState;
use domain::event::EventKind;
use domain::ids::{AccountId, ContactId};
use domain::number::canonical::Canonical;
use domain::outcome::Disposition;
use domain::policy::DO_NOT_CALL;
use domain::region::Country;
use domain::time::Timestamp;

use crate::accounts::unknown_account;
use crate::contacts::{end_waiting, held, tell};
use crate::driver::{Row, Value};
use crate::idempotency::once;
use crate::tx::Tx;
use crate::value::{cut, queries, values};
use crate::{Answer, Met, Once, Reader, Store, StoreError};

queries! {
    ADD_NUMBER = "INSERT INTO listed (list, number, added_at, reason) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (list, number) DO NOTHING";
    COUNTRY = "SELECT country FROM accounts WHERE id = $1";
    CREATE_LIST = "INSERT INTO lists (account, name, created_at) VALUES ($1, $2, $3) \
        ON CONFLICT (account, name) DO NOTHING";
    FIND_LIST = "SELECT id FROM lists WHERE account = $1 AND name = $2";
    // As many at once as are asked for; numbers that are empty are on no list.
    LISTED_AMONG = "SELECT listed.number, lists.name FROM lists \
        JOIN listed ON listed.list = lists.id AND listed.number IN ( \
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
        $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, \
        $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50) \
        WHERE lists.account = $51 ORDER BY lists.name";
    LISTS = "SELECT name, created_at, (SELECT count(*) FROM listed WHERE listed.list = lists.id) \
        FROM lists WHERE account = $1 ORDER BY name";
    NUMBERS = "SELECT number, added_at, reason FROM listed WHERE list = $1 AND number > $2 \
        ORDER BY number LIMIT $3";
    ON_LISTS = "SELECT lists.name, listed.number, listed.added_at, listed.reason FROM lists \
        JOIN listed ON listed.list = lists.id AND listed.number = $1 \
        WHERE lists.account = $2 ORDER BY lists.name";
    REMOVE_NUMBER = "DELETE FROM listed WHERE list = $1 AND number = $2";
    WAITING_WITH = "SELECT id FROM contacts WHERE account = $1 AND number = $2 \
        AND state = 'waiting' ORDER BY id LIMIT $3";
}

/// Numbers that one transaction adds to a list: a few milliseconds of the writer's time.
const ADD_ROWS: usize = 500;
/// Numbers that one statement looks for on lists.
const LOOK_ROWS: usize = 50;
/// Contacts that one transaction ends.
const END_ROWS: u32 = 200;

/// A list of numbers that are not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRow {
    /// Its name, unique in the account.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Numbers on it.
    pub numbers: u64,
}

/// A number on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNumber {
    /// The list.
    pub list: String,
    /// The number in the form in which numbers are compared.
    pub number: String,
    /// Since when.
    pub added_at: Timestamp,
    /// Why, in the words of who added it.
    pub reason: String,
}

impl Store {
    /// Creates a list; `false` where the account has one of this name.
    pub async fn create_list(
        &self,
        now: Timestamp,
        account: AccountId,
        name: &str,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(1, move |tx| create(tx, now, account, &name)).await
    }

    /// The same, once for all requests with this key; `answer` says what is kept.
    pub async fn create_list_once(
        &self,
        now: Timestamp,
        account: AccountId,
        name: &str,
        key: Option<Once>,
        answer: impl Fn() -> Answer + Send + 'static,
    ) -> Result<Met<bool>, StoreError> {
        let name = name.to_owned();
        self.write(2, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                let created = create(tx, now, account, &name)?;
                Ok((created, (created && key.is_some()).then(&answer)))
            })
        })
        .await
    }

    /// Adds numbers to a list, which is created where it is new; how many were not on it before.
    ///
    /// In parts, each a transaction of its own. Whoever waits with such a number is ended when his
    /// turn comes; [`Store::opt_out`] ends at once.
    pub async fn list_add(
        &self,
        now: Timestamp,
        account: AccountId,
        list: &str,
        numbers: Vec<String>,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let (list, reason) = (list.to_owned(), cut(reason).to_owned());
        let mut added = 0;
        for part in numbers.chunks(ADD_ROWS) {
            let (list, reason, part) = (list.clone(), reason.clone(), part.to_owned());
            let home = self.home();
            let work =
                move |tx: &mut Tx<'_>| add_part(tx, now, (account, home), &list, &part, &reason);
            added += self.write(ADD_ROWS, work).await?;
        }
        Ok(added)
    }

    /// The same, once for all requests with this key, which is written with the last part.
    pub async fn list_add_once(
        &self,
        now: Timestamp,
        account: AccountId,
        list: &str,
        mut numbers: Vec<String>,
        reason: &str,
        (key, answer): (Option<Once>, impl Fn(u64) -> Answer + Send + 'static),
    ) -> Result<Met<u64>, StoreError> {
        let last = numbers.split_off(numbers.len().saturating_sub(ADD_ROWS));
        let before = self.list_add(now, account, list, numbers, reason).await?;
        let (list, reason, home) = (list.to_owned(), cut(reason).to_owned(), self.home());
        self.write(ADD_ROWS, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                let part = add_part(tx, now, (account, home), &list, &last, &reason)?;
                let added = before + part;
                Ok((added, key.is_some().then(|| answer(added))))
            })
        })
        .await
    }

    /// Takes a number from a list; `false` where it was not on it.
    pub async fn list_remove(
        &self,
        account: AccountId,
        list: &str,
        number: &str,
    ) -> Result<bool, StoreError> {
        let (list, number, home) = (list.to_owned(), number.to_owned(), self.home());
        self.write(1, move |tx| {
            let home = known(tx, account)?.unwrap_or(home);
            let key = Canonical::of(&number, home);
            let id = tx.one(FIND_LIST, values![account, list.as_str()], |row| row.int())?;
            match id {
                Some(id) => Ok(tx.run(REMOVE_NUMBER, values![id, key.key()])? > 0),
                None => Ok(false),
            }
        })
        .await
    }

    /// A callee wants no more calls of an account: its number goes on the account's list, and all
    /// that waits for it ends as canceled. Answers how many contacts that were.
    ///
    /// From the first transaction on nothing to it is begun; calls under way go on.
    pub async fn opt_out(
        &self,
        now: Timestamp,
        account: AccountId,
        number: &str,
        reason: &str,
    ) -> Result<u64, StoreError> {
        self.list_add(now, account, DO_NOT_CALL, vec![number.to_owned()], reason).await?;
        let mut ended = 0;
        loop {
            let (number, home) = (number.to_owned(), self.home());
            let part = move |tx: &mut Tx<'_>| end_part(tx, now, (account, home), &number);
            let part = self.write(END_ROWS as usize, part).await?;
            ended += u64::from(part);
            if part < END_ROWS {
                return Ok(ended);
            }
        }
    }

    /// The same, once for all requests with this key, which is written when all have ended.
    pub async fn opt_out_once(
        &self,
        now: Timestamp,
        account: AccountId,
        number: &str,
        reason: &str,
        (key, answer): (Option<Once>, impl Fn(u64) -> Answer + Send + 'static),
    ) -> Result<Met<u64>, StoreError> {
        let before = self.opt_out(now, account, number, reason).await?;
        let (number, home) = (number.to_owned(), self.home());
        self.write(END_ROWS as usize, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                // Who was taken in meanwhile is on the list too, and ends when his turn comes.
                let ended = before + u64::from(end_part(tx, now, (account, home), &number)?);
                Ok((ended, key.is_some().then(|| answer(ended))))
            })
        })
        .await
    }
}

impl Reader {
    /// The lists of an account, by name.
    pub async fn lists(&self, account: AccountId) -> Result<Vec<ListRow>, StoreError> {
        self.look(move |sql| {
            sql.all(LISTS, values![account], |row| {
                Ok(ListRow { name: row.text()?, created_at: row.time()?, numbers: row.number()? })
            })
        })
        .await
    }

    /// Numbers of a list after `after`, at most `limit`; `None` where the account has no such list.
    pub async fn list_numbers(
        &self,
        account: AccountId,
        list: &str,
        after: &str,
        limit: u32,
    ) -> Result<Option<Vec<ListedNumber>>, StoreError> {
        let (name, after) = (list.to_owned(), after.to_owned());
        self.look(move |sql| {
            let id = sql.one(FIND_LIST, values![account, name.as_str()], |row| row.int())?;
            let Some(id) = id else {
                return Ok(None);
            };
            let values = values![id, after.as_str(), limit];
            let numbers = sql.all(NUMBERS, values, |row| {
                Ok(ListedNumber {
                    list: name.clone(),
                    number: row.text()?,
                    added_at: row.time()?,
                    reason: row.text()?,
                })
            })?;
            Ok(Some(numbers))
        })
        .await
    }

    /// Which of these numbers, in the form in which numbers are compared, are on lists of an account:
    /// the number and the list's name.
    pub async fn listed_among(
        &self,
        account: AccountId,
        numbers: Vec<String>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.look(move |sql| {
            let mut listed = Vec::new();
            for part in numbers.chunks(LOOK_ROWS) {
                let part = part.iter().map(|number| Value::from(number.as_str()));
                let empty = std::iter::repeat_with(|| Value::from(""));
                let mut values: Vec<Value<'_>> = part.chain(empty).take(LOOK_ROWS).collect();
                values.push(Value::from(account));
                let row = |row: &mut Row<'_>| Ok((row.text()?, row.text()?));
                listed.extend(sql.all(LISTED_AMONG, &values, row)?);
            }
            Ok(listed)
        })
        .await
    }

    /// The lists of an account that a number is on.
    pub async fn on_lists(
        &self,
        account: AccountId,
        number: &Canonical,
    ) -> Result<Vec<ListedNumber>, StoreError> {
        let key = number.key().to_owned();
        self.look(move |sql| {
            sql.all(ON_LISTS, values![key.as_str(), account], |row| {
                Ok(ListedNumber {
                    list: row.text()?,
                    number: row.text()?,
                    added_at: row.time()?,
                    reason: row.text()?,
                })
            })
        })
        .await
    }
}

/// The country of an account, where it has one of its own.
fn known(tx: &Tx<'_>, account: AccountId) -> Result<Option<Country>, StoreError> {
    let found = tx.one(COUNTRY, values![account], |row| row.maybe_country())?;
    found.ok_or_else(|| unknown_account(account))
}

fn create(tx: &Tx<'_>, now: Timestamp, account: AccountId, name: &str) -> Result<bool, StoreError> {
    known(tx, account)?;
    Ok(tx.run(CREATE_LIST, values![account, name, now])? > 0)
}

/// Adds numbers to a list, which is created where it is new; how many were not on it before.
fn add_part(
    tx: &Tx<'_>,
    now: Timestamp,
    (account, home): (AccountId, Country),
    list: &str,
    numbers: &[String],
    reason: &str,
) -> Result<u64, StoreError> {
    let home = known(tx, account)?.unwrap_or(home);
    tx.run(CREATE_LIST, values![account, list, now])?;
    let id = tx.the(FIND_LIST, values![account, list], |row| row.int())?;
    let mut added = 0;
    for number in numbers {
        let key = Canonical::of(number, home);
        let values = values![id, key.key(), now, reason];
        added += u64::try_from(tx.run(ADD_NUMBER, values)?).unwrap_or(u64::MAX);
    }
    Ok(added)
}

fn end_part(
    tx: &mut Tx<'_>,
    now: Timestamp,
    (account, home): (AccountId, Country),
    number: &str,
) -> Result<u32, StoreError> {
    let number = Canonical::of(number, known(tx, account)?.unwrap_or(home));
    let values = values![account, number.key(), END_ROWS];
    let waiting = tx.all(WAITING_WITH, values, |row| row.int())?;
    for id in &waiting {
        let id = ContactId(*id);
        let Some(held) = held(tx, id)?.filter(|held| held.contact.state == ContactState::Waiting)
        else {
            continue;
        };
        tell(tx, account, id, None, now, EventKind::Refused, "do-not-call: opted out")?;
        end_waiting(tx, held, now, Disposition::Canceled)?;
    }
    Ok(u32::try_from(waiting.len()).unwrap_or(u32::MAX))
}
