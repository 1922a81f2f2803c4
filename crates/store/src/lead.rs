//! The one node that leads: takes silent ones for dead, settles what they left, shares trunks out.
//!
//! Which node leads is a row with a lease, held locked for as long as its work takes: there are
//! never two. All that it decides by is in the database, so that another can go on any moment.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::attempt::Attempt;
use domain::contact::Contact;
use domain::ids::TrunkId;
use domain::time::Timestamp;
use domain::trunk::TrunkLimits;
use domain::trunk_share::{ShareUse, share_out};

use crate::StoreError;
use crate::driver::{Row, Sql};
use crate::nodes::LEASE_TIME;
use crate::outbox::Change;
use crate::value::{attempt_columns, contact_columns, queries, values};

queries! {
    ABORT_UPLOADS = "UPDATE uploads SET state = 'aborted' WHERE state = 'open' AND node = $1 \
        AND id NOT IN (SELECT imports.upload FROM imports WHERE imports.state = 'checked')";
    ADOPT = "UPDATE webhooks SET node = $1 WHERE id IN (SELECT id FROM webhooks \
        WHERE node = $2 AND state = 'owed' ORDER BY lane, next_at, id LIMIT $3 \
        FOR UPDATE SKIP LOCKED) RETURNING lane, next_at";
    FENCE = "UPDATE node_guards SET fenced = 1 WHERE epoch = $1";
    FORGET_GUARDS = "DELETE FROM node_guards WHERE epoch NOT IN (SELECT epoch FROM nodes)";
    FORGET_LOST = "DELETE FROM lost_calls WHERE until <= $1";
    FORGET_NODES = "DELETE FROM nodes WHERE state IN ('left', 'over') AND expires_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM attempts \
            WHERE attempts.epoch = nodes.epoch AND attempts.outcome IS NULL)";
    FORGET_SHARES = "DELETE FROM trunk_shares WHERE greatest(expires_at, held_until) < $1 \
        AND epoch NOT IN (SELECT epoch FROM nodes WHERE state = 'alive')";
    GRANT = "UPDATE trunk_shares SET slots = $1, rate = $2, version = $3, expires_at = $4, \
        held_slots = $5, held_rate = $6, held_until = $7 WHERE trunk = $8 AND epoch = $9";
    LEAD = "UPDATE leaders SET epoch = $1, expires_at = \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) + $2 \
        WHERE one = 1 AND (epoch = $1 OR expires_at < \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)) \
        RETURNING CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";
    LOSE = "UPDATE nodes SET state = 'lost', lost_at = $1 WHERE epoch IN (SELECT epoch FROM nodes \
        WHERE state = 'alive' AND expires_at < $1 FOR UPDATE SKIP LOCKED) RETURNING epoch, node";
    // Those that ring may be answered yet: nobody hears of them.
    LOSE_CALLS = "INSERT INTO lost_calls (attempt, epoch, trunk, until) \
        SELECT attempts.id, attempts.epoch, attempts.trunk, $1 + nodes.call_ms + \
        CASE WHEN attempts.answered_at IS NULL THEN nodes.ring_ms ELSE 0 END \
        FROM attempts JOIN nodes ON nodes.epoch = attempts.epoch \
        WHERE attempts.epoch = $2 AND attempts.outcome IS NULL \
        ON CONFLICT (attempt) DO NOTHING";
    LOST = "SELECT epoch FROM nodes WHERE state = 'lost' \
        AND lost_at + greatest(ring_ms, $1) <= $2 ORDER BY epoch";
    LOST_CALLS = "SELECT trunk, count(*) FROM lost_calls GROUP BY trunk";
    LEFT_OPEN = concat!(
        "SELECT ", attempt_columns!(), ", ", contact_columns!(),
        " FROM attempts JOIN contacts ON contacts.id = attempts.contact \
         WHERE attempts.epoch = $1 AND attempts.outcome IS NULL ORDER BY attempts.id LIMIT $2"
    );
    OVER = "UPDATE nodes SET state = 'over' WHERE epoch = $1";
    SHARES = "SELECT trunk_shares.trunk, trunk_shares.epoch, trunk_shares.slots, \
        trunk_shares.rate, trunk_shares.version, trunk_shares.expires_at, \
        trunk_shares.held_slots, trunk_shares.held_rate, trunk_shares.held_until, \
        trunk_shares.seen, trunk_shares.busy, trunk_shares.wanted, trunk_shares.all_slots, \
        trunk_shares.all_rate, coalesce(nodes.expires_at, 0) \
        FROM trunk_shares LEFT JOIN nodes \
        ON nodes.epoch = trunk_shares.epoch AND nodes.state = 'alive' \
        ORDER BY trunk_shares.trunk, trunk_shares.epoch";
    SILENT = "SELECT node FROM nodes GROUP BY node \
        HAVING max(CASE WHEN state = 'alive' THEN 1 ELSE 0 END) = 0 AND max(expires_at) < $1";
}

/// How long a leader leads without a word; shorter than a lease, so that grants outlive a change.
const LEAD_TIME: Duration = Duration::from_secs(5);
/// Least time that a call of a dead node may go on to ring: that of an INVITE's transaction
/// (RFC 3261 §17.1.1.2, 64 T1).
const RING_TIME_MIN: Duration = Duration::from_secs(32);
/// Attempts of dead nodes settled at one tick.
const SETTLE_MAX: u32 = 500;
/// Webhooks of a dead node taken over at one tick.
const ADOPT_MAX: u32 = 1_000;
/// How long it is remembered which nodes there were.
const REMEMBER: Duration = Duration::from_secs(24 * 3_600);
/// The window in which starts are counted: what a grant allowed may have been used just before its
/// end, so its rate rests for as long.
const RATE_REST_MS: i64 = 1_020;

/// What a leader's turn brought about.
pub(crate) struct Led {
    /// What the outbox must know.
    pub owed: Vec<Change>,
    /// Attempts to be ended as in doubt.
    pub to_settle: Vec<(Attempt, Contact)>,
}

/// Leads, where nobody else does.
pub(crate) fn lead(sql: Sql<'_>, epoch: i64, node: i64) -> Result<Option<Led>, StoreError> {
    sql.transaction(|sql| {
        let Some(now) = sql.one(LEAD, values![epoch, LEAD_TIME], |row| row.int())? else {
            return Ok(None);
        };
        lose(sql, now)?;
        let to_settle = settle(sql, now)?;
        let owed = adopt(sql, node, now)?;
        share(sql, now)?;
        sql.put(FORGET_LOST, values![now])?;
        let forgotten = now - i64::try_from(REMEMBER.as_millis()).unwrap_or(i64::MAX);
        sql.put(FORGET_NODES, values![forgotten])?;
        sql.put(FORGET_GUARDS, &[])?;
        Ok(Some(Led { owed, to_settle }))
    })
}

/// Takes for dead whose lease is over: from then on no transaction of theirs is committed.
fn lose(sql: Sql<'_>, now: i64) -> Result<(), StoreError> {
    let lost = sql.all(LOSE, values![now], |row| Ok((row.int()?, row.int()?)))?;
    for (epoch, node) in lost {
        tracing::warn!(epoch, node, "a node fell silent and is taken for dead");
        sql.run(FENCE, values![epoch])?;
        sql.run(LOSE_CALLS, values![now, epoch])?;
        sql.run(ABORT_UPLOADS, values![node])?;
    }
    Ok(())
}

/// What dead nodes left open long enough ago that no phone rings by it any more.
fn settle(sql: Sql<'_>, now: i64) -> Result<Vec<(Attempt, Contact)>, StoreError> {
    let mut open = Vec::new();
    for epoch in sql.all(LOST, values![RING_TIME_MIN, now], |row| row.int())? {
        let left = sql.all(LEFT_OPEN, values![epoch, SETTLE_MAX], |row| {
            Ok((row.attempt()?, row.contact()?))
        })?;
        if left.is_empty() {
            sql.run(OVER, values![epoch])?;
        }
        open.extend(left);
    }
    Ok(open)
}

/// Takes over what silent nodes owe.
fn adopt(sql: Sql<'_>, node: i64, now: i64) -> Result<Vec<Change>, StoreError> {
    let mut owed = Vec::new();
    for silent in sql.all(SILENT, values![now], |row| row.int())? {
        owed.extend(sql.all(ADOPT, values![node, silent, ADOPT_MAX], |row| {
            let (lane, at): (String, Timestamp) = (row.text()?, row.time()?);
            Ok(Change::Owe { lane, at })
        })?);
    }
    Ok(owed)
}

/// A row of `trunk_shares`.
#[derive(Clone, Debug)]
struct Share {
    trunk: TrunkId,
    epoch: i64,
    limits: TrunkLimits,
    version: i64,
    expires_at: i64,
    held: TrunkLimits,
    held_until: i64,
    seen: i64,
    busy: u32,
    wanted: u32,
    whole: TrunkLimits,
    /// Until when its node is believed to live; 0: it is not.
    lives_until: i64,
}

impl Share {
    fn read(row: &mut Row<'_>) -> Result<Self, StoreError> {
        fn limits(row: &mut Row<'_>) -> Result<TrunkLimits, StoreError> {
            Ok(TrunkLimits { slots: row.number()?, calls_per_second: row.number()? })
        }
        Ok(Self {
            trunk: TrunkId(row.int()?),
            epoch: row.int()?,
            limits: limits(row)?,
            version: row.int()?,
            expires_at: row.int()?,
            held: limits(row)?,
            held_until: row.int()?,
            seen: row.int()?,
            busy: row.number()?,
            wanted: row.number()?,
            whole: limits(row)?,
            lives_until: row.int()?,
        })
    }

    /// The larger grants of before: from when it goes by the newest, only what they began counts.
    fn hear(&mut self, now: i64) {
        if self.seen == self.version {
            self.held_until = self.held_until.min(now + RATE_REST_MS);
            self.held.slots = 0;
        }
        if self.held_until + RATE_REST_MS <= now {
            self.held = TrunkLimits::default();
        }
    }

    /// The most that it may use now or soon.
    fn usable(&self, now: i64) -> TrunkLimits {
        let slots = if self.expires_at > now { self.limits.slots } else { 0 };
        let rested = self.expires_at + RATE_REST_MS <= now;
        let rate = if rested { 0 } else { self.limits.calls_per_second };
        let held_slots = if self.held_until > now { self.held.slots } else { 0 };
        // Calls of a node that is not heard of are counted one by one.
        let busy = if self.lives_until > 0 { self.busy } else { 0 };
        TrunkLimits {
            slots: slots.max(held_slots).max(busy),
            calls_per_second: rate.max(self.held.calls_per_second),
        }
    }

    /// Goes by a new grant from now on.
    fn grant(&mut self, grant: TrunkLimits, now: i64) {
        let smaller = grant.slots < self.limits.slots
            || grant.calls_per_second < self.limits.calls_per_second;
        if smaller && self.expires_at + RATE_REST_MS > now {
            self.held = TrunkLimits {
                slots: self.held.slots.max(self.limits.slots),
                calls_per_second: self.held.calls_per_second.max(self.limits.calls_per_second),
            };
            self.held_until = self.held_until.max(self.expires_at);
        }
        if grant != self.limits {
            self.version += 1;
        }
        self.limits = grant;
        // No grant outlives the lease by which its node is believed to live.
        let until = now + i64::try_from(LEASE_TIME.as_millis()).unwrap_or(i64::MAX);
        self.expires_at = until.min(self.lives_until);
    }
}

/// Shares every trunk out among the nodes that live.
fn share(sql: Sql<'_>, now: i64) -> Result<(), StoreError> {
    sql.run(FORGET_SHARES, values![now - RATE_REST_MS])?;
    let lost = sql.all(LOST_CALLS, &[], |row| Ok((TrunkId(row.int()?), row.number()?)))?;
    let lost: BTreeMap<TrunkId, u32> = lost.into_iter().collect();
    let mut shares = sql.all(SHARES, &[], Share::read)?;
    for trunk in shares.chunk_by_mut(|a, b| a.trunk == b.trunk) {
        let lost = trunk.first().and_then(|share| lost.get(&share.trunk)).copied();
        share_trunk(trunk, lost.unwrap_or(0), now);
        for share in trunk.iter().filter(|share| share.lives_until > now) {
            let (grant, held) = (share.limits, share.held);
            sql.put(
                GRANT,
                values![
                    grant.slots,
                    grant.calls_per_second,
                    share.version,
                    share.expires_at,
                    held.slots,
                    held.calls_per_second,
                    share.held_until,
                    share.trunk,
                    share.epoch,
                ],
            )?;
        }
    }
    Ok(())
}

fn share_trunk(shares: &mut [Share], lost: u32, now: i64) {
    shares.iter_mut().for_each(|share| share.hear(now));
    let uses: Vec<ShareUse> = shares
        .iter()
        .map(|share| ShareUse {
            usable: share.usable(now),
            wanted: if share.lives_until > now { share.wanted } else { 0 },
        })
        .collect();
    // What those may use who get nothing any more is not to be shared out.
    let gone = shares.iter().zip(&uses).filter(|(share, _)| share.lives_until <= now);
    let (gone_slots, gone_rate) = gone.fold((0_u32, 0_u32), |(slots, rate), (_, used)| {
        (slots.saturating_add(used.usable.slots), rate.saturating_add(used.usable.calls_per_second))
    });
    let living: Vec<usize> =
        (0..shares.len()).filter(|nth| shares[*nth].lives_until > now).collect();
    // Where settings differ, the smallest is kept.
    let whole = |of: fn(TrunkLimits) -> u32| {
        living.iter().map(|nth| of(shares[*nth].whole)).min().unwrap_or(0)
    };
    let limits = TrunkLimits {
        slots: whole(|limits| limits.slots).saturating_sub(gone_slots),
        calls_per_second: whole(|limits| limits.calls_per_second).saturating_sub(gone_rate),
    };
    let uses: Vec<ShareUse> = living.iter().map(|nth| uses[*nth]).collect();
    let grants = share_out(limits, lost, &uses);
    for (nth, grant) in living.into_iter().zip(grants) {
        shares[nth].grant(grant, now);
    }
}
