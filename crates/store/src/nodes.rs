//! Several servers on one PostgreSQL: leases on its clock, epochs, and what each may use of a trunk.
//!
//! SQLite has one server, held to it by a lock of the file: its lease never ends, and all of every
//! trunk is its own. The queries here are for PostgreSQL alone.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::time::Duration;

use domain::attempt::Attempt;
use domain::contact::Contact;
use domain::ids::{AttemptId, TrunkId};
use domain::time::Timestamp;
use domain::trunk::TrunkLimits;

use crate::driver::{Row, Sql, unavailable};
use crate::outbox::Change;
use crate::value::{queries, values};
use crate::{Store, StoreError, lead, webhooks};

queries! {
    ASKED = "SELECT attempt FROM cancel_asks WHERE node = $1";
    BEGIN_GUARD = "INSERT INTO node_guards (epoch, commits, fenced) VALUES ($1, 0, 0)";
    BEGIN_NODE = "INSERT INTO nodes (epoch, node, place, state, expires_at, ring_ms, call_ms) \
        VALUES ($1, $2, $3, 'alive', \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) + $4, $5, $6)";
    FENCE = "UPDATE node_guards SET fenced = 1 WHERE epoch = $1";
    FORGET_ASKED = "DELETE FROM cancel_asks WHERE node = $1 AND attempt = $2";
    FORGET_LOST = "DELETE FROM lost_calls WHERE epoch IN (SELECT epoch FROM nodes WHERE node = $1)";
    // A checked import waits for its commit through any restart.
    FORGET_UPLOADS = "UPDATE uploads SET state = 'aborted' WHERE state = 'open' AND node = $1 \
        AND id NOT IN (SELECT imports.upload FROM imports WHERE imports.state = 'checked')";
    GRANTS = "SELECT trunk, slots, rate, version, expires_at - \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) \
        FROM trunk_shares WHERE epoch = $1 ORDER BY trunk";
    KEEPER = "SELECT node_names.node, node_names.address, node_names.seen_at \
        FROM attempts JOIN node_names ON node_names.node = attempts.node WHERE attempts.id = $1";
    KEEP_NAME = "INSERT INTO node_names (identity) VALUES ($1) ON CONFLICT (identity) DO NOTHING";
    LEAVE = "UPDATE nodes SET state = 'left', \
        expires_at = CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) \
        WHERE epoch = $1 AND state = 'alive'";
    LIVING = "SELECT epoch, place, expires_at - \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) \
        FROM nodes WHERE node = $1 AND state = 'alive' ORDER BY epoch FOR UPDATE";
    NAME = "SELECT node FROM node_names WHERE identity = $1";
    NEW_IDENTITY = "SELECT CAST(gen_random_uuid() AS text)";
    OUST = "UPDATE nodes SET state = 'over' WHERE epoch = $1";
    RECLAIM = "UPDATE attempts SET epoch = $1 WHERE epoch = $2 AND outcome IS NULL";
    RENEW = "UPDATE nodes SET expires_at = \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) + $1, ring_ms = $2, \
        call_ms = $3 WHERE epoch = $4 AND state = 'alive'";
    REPORT = "INSERT INTO trunk_shares (trunk, epoch, seen, busy, wanted, all_slots, all_rate) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (trunk, epoch) DO UPDATE SET \
        seen = excluded.seen, busy = excluded.busy, wanted = excluded.wanted, \
        all_slots = excluded.all_slots, all_rate = excluded.all_rate";
    SEEN = "UPDATE node_names SET address = $1, seen_at = \
        CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) WHERE node = $2";
    SETTLED = "SELECT commits FROM node_guards WHERE epoch = $1 FOR UPDATE";
    TAKE_ORPHANS = "UPDATE webhooks SET node = $1 WHERE node = 0 AND state = 'owed'";
    TAKE_TURNS = "SELECT 1 FROM pg_advisory_xact_lock(7305738)";
    TELL_GUARD = "UPDATE node_guards SET commits = $1 WHERE epoch = $2 AND fenced = 0";
}

/// How long a node is believed to live without a word.
pub const LEASE_TIME: Duration = Duration::from_secs(10);
/// How much earlier it stops to start calls by its own clock: a clock that runs slow, a thread that
/// is late, an INVITE on its way.
pub const LEASE_SAFETY: Duration = Duration::from_millis(1_500);

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// Where the others ask it for what only it has, as `http://10.0.0.5:8080`.
    pub address: String,
    /// Its trunks.
    pub trunks: Vec<TrunkReport>,
    /// How long its phones may ring.
    pub ring_time_max: Duration,
    /// How long its calls may last.
    pub call_time_max: Duration,
}

/// A server of this database, as another one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// Its number.
    pub node: i64,
    /// Where it is asked; empty where it has not said so yet.
    pub address: String,
    /// When it was last heard, by the database's clock.
    pub seen_at: Timestamp,
}

/// What a node says of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkReport {
    /// The trunk.
    pub trunk: TrunkId,
    /// What the whole trunk allows, by the settings of this node.
    pub limits: TrunkLimits,
    /// Calls under way.
    pub busy: u32,
    /// Calls that it could have under way, those included.
    pub wanted: u32,
    /// The version of the grant by which it goes.
    pub seen: i64,
}

/// What a node hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTick {
    /// The epoch in which its calls begin.
    pub epoch: i64,
    /// How long it may go on without another word, counted from when it asked; `None`: for ever.
    pub valid_for: Option<Duration>,
    /// What it may use of its trunks.
    pub grants: Vec<TrunkGrant>,
    /// Calls of its own that somebody asked another node to end.
    pub canceled: Vec<AttemptId>,
    /// Attempts that dead nodes left open, and whose time to ring is over.
    pub to_settle: Vec<(Attempt, Contact)>,
    /// Whether this node shares the trunks out.
    pub leads: bool,
}

/// What a node may use of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkGrant {
    /// The trunk.
    pub trunk: TrunkId,
    /// Its part of it.
    pub limits: TrunkLimits,
    /// Which grant this is, to be told as seen.
    pub version: i64,
    /// How long it holds, counted from when it was asked for; `None`: for ever.
    pub valid_for: Option<Duration>,
}

/// Why a transaction of this epoch was refused.
#[derive(Debug, thiserror::Error)]
#[error("this node was taken for dead, epoch {0} is over")]
pub(crate) struct Fenced(pub i64);

impl Store {
    /// Renews this node's lease, tells how it is doing, and hears what it may use; where it leads,
    /// shares the trunks out. To be called every second.
    ///
    /// Fails where the database cannot be reached: then what was last heard holds on until it ends.
    pub async fn tick(&self, report: NodeReport) -> Result<NodeTick, StoreError> {
        let Some(node) = self.node_desk() else {
            return Ok(alone(self.epoch(), &report));
        };
        let (epoch, number, outbox) = (self.epoch(), self.node(), self.outbox());
        if !node.look(move |sql| renew(sql, epoch, number, &report)).await? {
            // A write is refused in the old epoch, upon which the writer begins a new one.
            self.write(1, |_| Ok(())).await?;
            return Err(unavailable(Fenced(epoch)));
        }
        let led = node.look(move |sql| lead::lead(sql, epoch, number)).await?;
        let (leads, to_settle) = match led {
            Some(led) => {
                webhooks::locked(&outbox, |outbox| {
                    led.owed.into_iter().for_each(|change: Change| outbox.apply(change));
                });
                (true, led.to_settle)
            }
            None => (false, Vec::new()),
        };
        let heard = node.look(move |sql| hear(sql, epoch, number)).await?;
        let (grants, canceled) = heard;
        let valid_for = Some(LEASE_TIME.saturating_sub(LEASE_SAFETY));
        Ok(NodeTick { epoch, valid_for, grants, canceled, to_settle, leads })
    }

    /// The other server that made an attempt, and has the files of it; `None`: it was this one.
    pub async fn other_keeper(&self, attempt: AttemptId) -> Result<Option<NodePlace>, StoreError> {
        if self.node_desk().is_none() {
            return Ok(None);
        }
        let own = self.node();
        let read = |row: &mut Row<'_>| {
            let (node, address) = (row.int()?, row.text()?);
            Ok(NodePlace { node, address, seen_at: Timestamp::from_millis(row.int()?) })
        };
        let keeper = self.eyes().look(move |sql| sql.one(KEEPER, values![attempt], read)).await?;
        Ok(keeper.filter(|keeper| keeper.node != own))
    }
}

/// The one server has all there is, for ever.
fn alone(epoch: i64, report: &NodeReport) -> NodeTick {
    let grant = |trunk: &TrunkReport| TrunkGrant {
        trunk: trunk.trunk,
        limits: trunk.limits,
        version: 0,
        valid_for: None,
    };
    NodeTick {
        epoch,
        valid_for: None,
        grants: report.trunks.iter().map(grant).collect(),
        canceled: Vec::new(),
        to_settle: Vec::new(),
        leads: true,
    }
}

/// Renews the lease and writes the report; `false` where the epoch is over.
///
/// The address stands with the name of the node, which is not forgotten as its epochs are.
fn renew(sql: Sql<'_>, epoch: i64, node: i64, report: &NodeReport) -> Result<bool, StoreError> {
    sql.transaction(|sql| {
        let values = values![LEASE_TIME, report.ring_time_max, report.call_time_max, epoch];
        if sql.run(RENEW, values)? == 0 {
            return Ok(false);
        }
        for trunk in &report.trunks {
            let TrunkReport { trunk, limits, busy, wanted, seen } = *trunk;
            let (slots, rate) = (limits.slots, limits.calls_per_second);
            sql.put(REPORT, values![trunk, epoch, seen, busy, wanted, slots, rate])?;
        }
        sql.put(SEEN, values![report.address.as_str(), node])?;
        // From here on it counts itself what its calls of before take.
        sql.put(FORGET_LOST, values![node])?;
        Ok(true)
    })
}

type Heard = (Vec<TrunkGrant>, Vec<AttemptId>);

fn hear(sql: Sql<'_>, epoch: i64, node: i64) -> Result<Heard, StoreError> {
    let grants = sql.all(GRANTS, values![epoch], |row| {
        Ok(TrunkGrant {
            trunk: TrunkId(row.int()?),
            limits: TrunkLimits { slots: row.number()?, calls_per_second: row.number()? },
            version: row.int()?,
            valid_for: Some(until_then(row)?.saturating_sub(LEASE_SAFETY)),
        })
    })?;
    let asked = sql.all(ASKED, values![node], |row| row.int().map(AttemptId))?;
    for attempt in &asked {
        // What is not forgotten is asked once more, which does no harm.
        sql.run(FORGET_ASKED, values![node, *attempt])?;
    }
    Ok((grants, asked))
}

fn until_then(row: &mut Row<'_>) -> Result<Duration, StoreError> {
    Ok(Duration::from_millis(u64::try_from(row.int()?).unwrap_or(0)))
}

/// What an opening found.
pub(crate) enum Entry {
    /// It is in.
    In {
        /// The node's number.
        node: i64,
        /// The number of this opening.
        epoch: i64,
    },
    /// A process that may live holds the same node; it is believed to live for so long yet.
    Wait(Duration),
}

/// Lets this process in as the node `identity`, in an epoch of its own, and ends those before it.
///
/// `place` says where its files are: from one place no two processes live, for the lock of the
/// files is held. The same node from elsewhere, a copied disk say, must first fall silent.
pub(crate) fn enter(
    sql: Sql<'_>,
    identity: &str,
    place: &str,
    next_epoch: impl FnOnce() -> Result<i64, StoreError>,
) -> Result<Entry, StoreError> {
    sql.one(TAKE_TURNS, &[], |_| Ok(()))?;
    sql.run(KEEP_NAME, values![identity])?;
    let node = sql.one(NAME, values![identity], |row| row.int())?;
    let node = node.ok_or_else(|| StoreError::Damaged("a node without a number".into()))?;
    let living =
        sql.all(LIVING, values![node], |row| Ok((row.int()?, row.text()?, until_then(row)?)))?;
    let other = living.iter().find(|(_, at, left)| at != place && !left.is_zero());
    if let Some((_, _, left)) = other {
        return Ok(Entry::Wait(*left));
    }
    for (old, _, _) in &living {
        sql.run(OUST, values![*old])?;
        sql.run(FENCE, values![*old])?;
    }
    sql.run(FORGET_UPLOADS, values![node])?;
    sql.run(TAKE_ORPHANS, values![node])?;
    let epoch = next_epoch()?;
    begin(sql, node, epoch, place)?;
    Ok(Entry::In { node, epoch })
}

/// Begins a new epoch of a process that was taken for dead and lives; what it has under way is its
/// own again, as far as nobody has settled it.
pub(crate) fn reenter(
    sql: Sql<'_>,
    node: i64,
    old: i64,
    place: &str,
    epoch: i64,
) -> Result<(), StoreError> {
    begin(sql, node, epoch, place)?;
    sql.run(RECLAIM, values![epoch, old]).map(drop)
}

fn begin(sql: Sql<'_>, node: i64, epoch: i64, place: &str) -> Result<(), StoreError> {
    let unknown = Duration::from_secs(3_600);
    sql.run(BEGIN_NODE, values![epoch, node, place, LEASE_TIME, unknown, unknown])?;
    sql.run(BEGIN_GUARD, values![epoch]).map(drop)
}

/// Leaves in good order: what this node owes is taken over at once.
pub(crate) fn leave(sql: Sql<'_>, epoch: i64) -> Result<(), StoreError> {
    sql.run(LEAVE, values![epoch]).map(drop)
}

/// Writes that transaction `number` of the epoch is committed with what goes before; `false` where
/// the epoch is over.
pub(crate) fn tell_guard(sql: Sql<'_>, epoch: i64, number: i64) -> Result<bool, StoreError> {
    Ok(sql.run(TELL_GUARD, values![number, epoch])? > 0)
}

/// Whether transaction `number` of the epoch is committed; waits for one that is still under way.
pub(crate) fn is_settled(sql: Sql<'_>, epoch: i64, number: i64) -> Result<bool, StoreError> {
    let commits = sql.one(SETTLED, values![epoch], |row| row.int())?;
    Ok(commits.is_some_and(|commits| commits >= number))
}

/// The identity that a node keeps in `file`; a new one where there is none.
pub(crate) fn identity(sql: Sql<'_>, file: &mut File) -> Result<String, StoreError> {
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unavailable)?;
    if !text.trim().is_empty() {
        return Ok(text.trim().to_owned());
    }
    let new = sql.one(NEW_IDENTITY, &[], |row| row.text())?;
    let new = new.ok_or_else(|| StoreError::Damaged("no identity".into()))?;
    file.rewind().and_then(|()| file.write_all(new.as_bytes())).map_err(unavailable)?;
    file.sync_all().map_err(unavailable)?;
    Ok(new)
}
