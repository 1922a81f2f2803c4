//! Events of an account, followed by a cursor: none is skipped, and none is told twice.
//!
//! In PostgreSQL numbers are committed out of their order, so events stand in the order of the
//! transactions that wrote them, and nobody looks further than the oldest one under way. Nobody is
//! told either what a crash could still undo, for what follows it would have the same place: there
//! the transaction's number is given out again. In SQLite one writer commits in the order of
//! numbers, and each opening begins above all that a lost commit may have given out.

use std::fmt;
use std::str::FromStr;
use std::sync::PoisonError;

use domain::event::{Event, EventKind};
use domain::ids::{AccountId, CampaignId};
use domain::time::Timestamp;

use crate::driver::{Row, Sql};
use crate::tx::Tx;
use crate::value::{queries, values};
use crate::{CursorError, Reader, Store, StoreError};

queries! {
    COUNTER = "SELECT value FROM counters WHERE name = 'event_ids'";
    FLOOR = "SELECT CAST(CAST(written AS text) AS bigint), id FROM event_floors \
        WHERE account = $1";
    FORGET = "DELETE FROM events WHERE account = $1 \
        AND (written, id) <= ($2 /*! ::bigint::text::xid8 */, $3)";
    NEWEST = "SELECT CAST(CAST(written AS text) AS bigint), id FROM events WHERE account = $1 \
        AND written < $2 /*! ::bigint::text::xid8 */ \
        ORDER BY written DESC, id DESC LIMIT 1";
    NTH = "SELECT CAST(CAST(written AS text) AS bigint), id FROM events WHERE account = $1 \
        AND (written, id) > ($2 /*! ::bigint::text::xid8 */, $3) \
        AND written < $4 /*! ::bigint::text::xid8 */ \
        ORDER BY written, id LIMIT 1 OFFSET $5";
    OLDEST = "SELECT CAST(CAST(written AS text) AS bigint), id, at FROM events \
        WHERE account = $1 ORDER BY written, id LIMIT $2";
    PART = "SELECT e.id, e.contact, e.attempt, e.at, e.kind, e.detail, \
        CAST(CAST(e.written AS text) AS bigint), contacts.campaign, contacts.reference \
        FROM events AS e JOIN contacts ON contacts.id = e.contact \
        WHERE e.account = $1 AND (e.written, e.id) > ($2 /*! ::bigint::text::xid8 */, $3) \
        AND (e.written, e.id) <= ($4 /*! ::bigint::text::xid8 */, $5) \
        AND (CAST($6 AS bigint) = 0 OR contacts.campaign = $6) \
        AND (CAST($7 AS text) = '' OR e.kind = $7) \
        ORDER BY e.written, e.id LIMIT $8";
    RAISE = "INSERT INTO counters (name, value) VALUES ('event_ids', $1) \
        ON CONFLICT (name) DO UPDATE SET value = CASE WHEN counters.value < excluded.value \
        THEN excluded.value ELSE counters.value END";
    SET_FLOOR = "INSERT INTO event_floors (account, written, id) \
        VALUES ($1, $2 /*! ::bigint::text::xid8 */, $3) \
        ON CONFLICT (account) DO UPDATE SET written = excluded.written, id = excluded.id";
    WITH_OLD = "SELECT id FROM accounts WHERE (SELECT events.at FROM events \
        WHERE events.account = accounts.id ORDER BY events.written, events.id LIMIT 1) < $1 \
        ORDER BY id LIMIT 1";
}

// PostgreSQL's own, and nobody else's.
/// The oldest transaction under way and the next one; up to where the log is written, and up to
/// where it is on disk.
const HORIZON: &str = "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint), \
        CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint), \
        CAST(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS bigint), \
        CAST(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') AS bigint)";
/// Whether there is an event of a transaction that this server has yet to begin: it was restored
/// from another server's dump.
const FROM_ELSEWHERE: &str = "SELECT 1 FROM accounts WHERE (SELECT written FROM events \
        WHERE events.account = accounts.id ORDER BY written DESC, id DESC LIMIT 1) \
        >= pg_snapshot_xmax(pg_current_snapshot()) LIMIT 1";
/// Puts such events before all that come.
const TAKE_IN: &str = "UPDATE events SET written = '0' \
        WHERE written >= pg_snapshot_xmax(pg_current_snapshot())";
/// What was forgotten there is not what is missing here.
const FORGET_FLOORS: &str = "DELETE FROM event_floors \
        WHERE written >= pg_snapshot_xmax(pg_current_snapshot())";

/// Events that one look goes through for those that are wanted: a few milliseconds. A page that comes
/// up short says whether there is more.
const LOOK_MAX: u32 = 2_000;
/// Numbers of events that one opening of a SQLite file may give out, as a power of two: more than
/// it ever does.
const OPENING_BITS: u32 = 32;

/// A place in the order of events, after one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventCursor {
    /// The transaction that wrote it; 0 where one writer commits in order.
    written: i64,
    /// Its number.
    id: i64,
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// After this place.
    After(EventCursor),
    /// With what comes from now on.
    Now,
    /// With the oldest that is kept.
    Oldest,
}

/// Which events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only those of this kind.
    pub kind: Option<EventKind>,
}

/// An event as it is told to those who follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldEvent {
    /// The place after it.
    pub cursor: EventCursor,
    /// What happened.
    pub event: Event,
    /// The campaign of its contact.
    pub campaign: CampaignId,
    /// The client's own id of its contact.
    pub reference: String,
}

/// A part of an account's events, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPart {
    /// Those that are wanted.
    pub items: Vec<ToldEvent>,
    /// Where the next part begins: after all that was looked through.
    pub next: EventCursor,
    /// Whether there may be more already.
    pub more: bool,
}

/// What a look at events found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsRead {
    /// Events between that place and the oldest kept are forgotten, or the place is none of this
    /// database.
    Gone,
    /// A part.
    Part(EventPart),
}

/// Up to where events can be told, and what was seen on the way there.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    /// Below this transaction all is committed or undone, and on disk.
    sure: i64,
    /// The same not yet known to be on disk, and up to where the log must be for it.
    seen: Option<(i64, i64)>,
}

impl Store {
    /// Forgets up to `limit` events of an account that happened before this moment, oldest first; how
    /// many there were.
    pub async fn purge_events(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let with_old = move |sql: Sql<'_>| sql.one(WITH_OLD, values![before], |row| row.int());
        let Some(account) = self.eyes().look(with_old).await? else {
            return Ok(0);
        };
        self.write(usize::try_from(limit).unwrap_or(usize::MAX), move |tx| {
            let place = |row: &mut Row<'_>| Ok((cursor(row)?, row.time()?));
            let oldest = tx.all(OLDEST, values![account, limit], place)?;
            // What stands after one that is kept is kept as well.
            let old = oldest.iter().take_while(|(_, at)| *at < before);
            let Some((last, _)) = old.last() else {
                return Ok(0);
            };
            tx.run(SET_FLOOR, values![account, last.written, last.id])?;
            tx.run(FORGET, values![account, last.written, last.id])
        })
        .await
    }
}

impl Reader {
    /// Events of an account in the order in which they were committed, at most `limit` of them.
    ///
    /// An event is told only once no other one can come before it. A part may come up short, even
    /// empty, and say that there is more.
    pub async fn events_of_account(
        &self,
        account: AccountId,
        from: ReadFrom,
        filter: EventFilter,
        limit: u32,
    ) -> Result<EventsRead, StoreError> {
        let horizon = self.horizon();
        self.look(move |sql| {
            sql.snapshot(|sql| {
                let mut horizon = horizon.lock().unwrap_or_else(PoisonError::into_inner);
                let (below, end) = horizon.look(sql)?;
                drop(horizon);
                let after = match from {
                    ReadFrom::After(after) => after,
                    ReadFrom::Now => newest(sql, account, below)?.unwrap_or_default(),
                    ReadFrom::Oldest => EventCursor::default(),
                };
                let floor = sql.one(FLOOR, values![account], cursor)?.unwrap_or_default();
                let is_gone = after < floor || after >= end;
                if is_gone && matches!(from, ReadFrom::After(_)) {
                    return Ok(EventsRead::Gone);
                }
                part(sql, account, after.max(floor), below, filter, limit).map(EventsRead::Part)
            })
        })
        .await
    }

    /// The place after the newest event of each of these accounts that can be told.
    pub async fn newest_events(
        &self,
        accounts: Vec<AccountId>,
    ) -> Result<Vec<(AccountId, EventCursor)>, StoreError> {
        let horizon = self.horizon();
        self.look(move |sql| {
            sql.snapshot(|sql| {
                let mut horizon = horizon.lock().unwrap_or_else(PoisonError::into_inner);
                let (below, _) = horizon.look(sql)?;
                drop(horizon);
                let mut found = Vec::with_capacity(accounts.len());
                for account in &accounts {
                    let newest = newest(sql, *account, below)?;
                    found.push((*account, newest.unwrap_or_default()));
                }
                Ok(found)
            })
        })
        .await
    }
}

impl Horizon {
    /// Below which transaction events can be told, and the place that none has reached yet.
    fn look(&mut self, sql: Sql<'_>) -> Result<(i64, EventCursor), StoreError> {
        let Sql::Postgres(_) = sql else {
            let last = sql.one(COUNTER, &[], |row| row.int())?;
            return Ok((i64::MAX, EventCursor { written: 0, id: last.unwrap_or(0) + 1 }));
        };
        let four = |row: &mut Row<'_>| Ok((row.int()?, row.int()?, row.int()?, row.int()?));
        let lost = || StoreError::Damaged("a server without a snapshot".into());
        let (oldest, next, written, on_disk) = sql.one(HORIZON, &[], four)?.ok_or_else(lost)?;
        Ok((self.pass(oldest, next, written, on_disk), EventCursor { written: next, id: 0 }))
    }

    /// The same from what the server says: what was seen is sure once the log is on disk up to where
    /// it was written then.
    fn pass(&mut self, oldest: i64, next: i64, written: i64, on_disk: i64) -> i64 {
        if self.sure > next {
            // The server lost commits that were not on disk, and counts from before them.
            *self = Self::default();
        }
        if on_disk >= written {
            self.sure = self.sure.max(oldest);
            self.seen = None;
            return self.sure;
        }
        match self.seen {
            Some((_, until)) if on_disk < until => {}
            Some((seen, _)) => {
                self.sure = self.sure.max(seen);
                self.seen = Some((oldest, written));
            }
            None => self.seen = Some((oldest, written)),
        }
        self.sure
    }
}

/// Prepares the order of events for an opening of the store.
pub(crate) fn enter(tx: &Tx<'_>, epoch: i64) -> Result<(), StoreError> {
    match tx.sql() {
        Sql::Postgres(sql) => {
            if !sql.rows(FROM_ELSEWHERE, &[])?.is_empty() {
                tracing::warn!("the database comes from another server: events begin anew");
                sql.run(TAKE_IN, &[])?;
            }
            sql.run(FORGET_FLOORS, &[])?;
        }
        Sql::Sqlite(_) => {
            let first = epoch.checked_shl(OPENING_BITS).unwrap_or(i64::MAX);
            tx.run(RAISE, values![first])?;
        }
    }
    Ok(())
}

fn part(
    sql: Sql<'_>,
    account: AccountId,
    after: EventCursor,
    below: i64,
    filter: EventFilter,
    limit: u32,
) -> Result<EventPart, StoreError> {
    let EventCursor { written, id } = after;
    let nth = sql.one(NTH, values![account, written, id, below, LOOK_MAX - 1], cursor)?;
    let newest = || newest(sql, account, below).map(Option::unwrap_or_default);
    let end = nth.map_or_else(newest, Ok)?.max(after);
    let values = values![
        account,
        written,
        id,
        end.written,
        end.id,
        filter.campaign.map_or(0, |campaign| campaign.0),
        filter.kind.map_or("", EventKind::name),
        limit,
    ];
    let items = sql.all(PART, values, told)?;
    let full = items.last().filter(|_| u32::try_from(items.len()).is_ok_and(|n| n == limit));
    let next = full.map_or(end, |last| last.cursor);
    Ok(EventPart { more: nth.is_some() || next < end, items, next })
}

/// The place after the newest event of an account that can be told.
fn newest(sql: Sql<'_>, account: AccountId, below: i64) -> Result<Option<EventCursor>, StoreError> {
    sql.one(NEWEST, values![account, below], cursor)
}

fn cursor(row: &mut Row<'_>) -> Result<EventCursor, StoreError> {
    Ok(EventCursor { written: row.int()?, id: row.int()? })
}

fn told(row: &mut Row<'_>) -> Result<ToldEvent, StoreError> {
    let event = row.event()?;
    let cursor = EventCursor { written: row.int()?, id: event.id.0 };
    Ok(ToldEvent { cursor, event, campaign: CampaignId(row.int()?), reference: row.text()? })
}

/// Clients give it back as they were given it, and read nothing in it.
impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.written, self.id)
    }
}

impl FromStr for EventCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let part = |digits: &str| {
            let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let number = i64::from_str_radix(digits, 16).ok();
            number.filter(|_| plain && digits.len() <= 16).ok_or(CursorError)
        };
        let (written, id) = text.split_once('-').ok_or(CursorError)?;
        Ok(Self { written: part(written)?, id: part(id)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_leads_back_to_its_place_and_other_texts_lead_nowhere() {
        let cursor = EventCursor { written: 0xbeef, id: i64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "-", "1", "1-", "+1-1", "-1-1", "1-1-1", "1-ffffffffffffffff", "é-1"] {
            assert_eq!(text.parse::<EventCursor>(), Err(CursorError), "{text}");
        }
    }

    #[test]
    fn horizon_follows_what_is_on_disk() {
        let mut horizon = Horizon::default();
        // All is on disk: up to the oldest transaction under way.
        assert_eq!(horizon.pass(10, 15, 100, 100), 10);
        // The log goes on: what is seen now is sure once the disk has come as far.
        assert_eq!(horizon.pass(20, 25, 200, 150), 10);
        assert_eq!(horizon.pass(30, 35, 300, 199), 10);
        assert_eq!(horizon.pass(40, 45, 400, 200), 20);
        assert_eq!(horizon.pass(50, 55, 500, 400), 40);
        assert_eq!(horizon.pass(60, 65, 600, 600), 60);
    }

    #[test]
    fn horizon_goes_back_where_a_crash_took_transactions_back() {
        let mut horizon = Horizon::default();
        assert_eq!(horizon.pass(1_000, 1_010, 5, 5), 1_000);
        assert_eq!(horizon.pass(900, 905, 9, 5), 0);
        assert_eq!(horizon.pass(900, 905, 9, 9), 900);
    }
}
