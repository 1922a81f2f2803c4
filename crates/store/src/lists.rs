//! Lists of numbers that are not called, and opting out.

use domain::contact::ContactState;
use domain::event::EventKind;
use domain::ids::{AccountId, ContactId};
use domain::number::canonical::Canonical;
use domain::outcome::Disposition;
use domain::policy::DO_NOT_CALL;
use domain::time::Timestamp;

use crate::accounts::unknown_account;
use crate::contacts::{end_waiting, held, tell};
use crate::tx::Tx;
use crate::value::{cut, queries, values};
use crate::{Reader, Store, StoreError};

queries! {
    ACCOUNT_EXISTS = "SELECT id FROM accounts WHERE id = $1";
    ADD_NUMBER = "INSERT INTO listed (list, number, added_at, reason) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (list, number) DO NOTHING";
    CREATE_LIST = "INSERT INTO lists (account, name, created_at) VALUES ($1, $2, $3) \
        ON CONFLICT (account, name) DO NOTHING";
    FIND_LIST = "SELECT id FROM lists WHERE account = $1 AND name = $2";
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
        self.write(1, move |tx| {
            known(tx, account)?;
            Ok(tx.run(CREATE_LIST, values![account, name.as_str(), now])? > 0)
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
        let home = self.home();
        let mut added = 0;
        for part in numbers.chunks(ADD_ROWS) {
            let keys = part.iter().map(|number| Canonical::of(number, home).key().to_owned());
            let keys: Vec<String> = keys.collect();
            let (list, reason) = (list.clone(), reason.clone());
            added += self
                .write(part.len(), move |tx| {
                    let id = list_id(tx, now, account, &list)?;
                    let mut added = 0;
                    for key in &keys {
                        let values = values![id, key.as_str(), now, reason.as_str()];
                        added += u64::try_from(tx.run(ADD_NUMBER, values)?).unwrap_or(u64::MAX);
                    }
                    Ok(added)
                })
                .await?;
        }
        Ok(added)
    }

    /// Takes a number from a list; `false` where it was not on it.
    pub async fn list_remove(
        &self,
        account: AccountId,
        list: &str,
        number: &str,
    ) -> Result<bool, StoreError> {
        let (list, key) = (list.to_owned(), Canonical::of(number, self.home()).key().to_owned());
        self.write(1, move |tx| {
            let id = tx.one(FIND_LIST, values![account, list.as_str()], |row| row.int())?;
            match id {
                Some(id) => Ok(tx.run(REMOVE_NUMBER, values![id, key.as_str()])? > 0),
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
        let key = Canonical::of(number, self.home()).key().to_owned();
        let mut ended = 0;
        loop {
            let key = key.clone();
            let part = self.write(200, move |tx| end_part(tx, now, account, &key)).await?;
            ended += u64::from(part);
            if part < END_ROWS {
                return Ok(ended);
            }
        }
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

fn known(tx: &Tx<'_>, account: AccountId) -> Result<(), StoreError> {
    let found = tx.one(ACCOUNT_EXISTS, values![account], |_| Ok(()))?;
    found.ok_or_else(|| unknown_account(account))
}

fn list_id(tx: &Tx<'_>, now: Timestamp, account: AccountId, name: &str) -> Result<i64, StoreError> {
    known(tx, account)?;
    tx.run(CREATE_LIST, values![account, name, now])?;
    tx.the(FIND_LIST, values![account, name], |row| row.int())
}

fn end_part(
    tx: &mut Tx<'_>,
    now: Timestamp,
    account: AccountId,
    number: &str,
) -> Result<u32, StoreError> {
    let values = values![account, number, END_ROWS];
    let waiting = tx.all(WAITING_WITH, values, |row| row.int())?;
    for id in &waiting {
        let id = ContactId(*id);
        let Some(held) = held(tx, id)?.filter(|held| held.contact.state == ContactState::Waiting)
        else {
            continue;
        };
        tell(tx, id, None, now, EventKind::Refused, "do-not-call: opted out")?;
        end_waiting(tx, held, now, Disposition::Canceled)?;
    }
    Ok(u32::try_from(waiting.len()).unwrap_or(u32::MAX))
}
