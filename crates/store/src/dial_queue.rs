//! The dial queue: which campaigns have contacts to dial, taking them, and keeping time for them.

use std::sync::Arc;
use std::time::Duration;

use domain::dial_queue::{Demand, Share};
use domain::ids::{AccountId, CampaignId, ContactId};
use domain::outcome::Disposition;
use domain::permit::Judge;
use domain::time::Timestamp;

use crate::claim::Claim;
use crate::contacts::{end_waiting, held};
use crate::driver::{Row, Sql};
use crate::inbox::Manner;
use crate::tx::{Standing, Tx};
use crate::value::{queries, values};
use crate::{Claimed, Store, StoreError};

/// The first closing of a window of those that wait.
macro_rules! next_closing {
    () => {
        "SELECT closes_at FROM contacts \
         WHERE state = 'waiting' AND closes_at IS NOT NULL ORDER BY closes_at, id LIMIT 1"
    };
}

/// When the first of those becomes due that wait for their time.
macro_rules! next_parked {
    () => {
        "SELECT next_at FROM contacts WHERE state = 'waiting' AND parked = 1 \
         ORDER BY next_at, id LIMIT 1"
    };
}

queries! {
    CAMPAIGN_RUNS = "SELECT campaigns.policy_version FROM campaigns \
        JOIN accounts ON accounts.id = campaigns.account \
        WHERE campaigns.id = $1 AND campaigns.state = 'running' AND accounts.suspended = 0 \
        AND NOT EXISTS (SELECT 1 FROM counters WHERE name = 'suspended' AND value = 1)";
    CLOSED = "SELECT id FROM contacts WHERE state = 'waiting' AND closes_at <= $1 \
        ORDER BY closes_at, id LIMIT $2 /*! FOR UPDATE SKIP LOCKED */";
    // The dialer looks at every turn: all that it asks is one question.
    DEMANDS = concat!(
        "SELECT campaigns.account, campaigns.id, CAST(sum(n.ready) AS bigint), \
         accounts.weight, (", next_closing!(), ") \
         FROM campaign_sums n JOIN campaigns ON campaigns.id = n.campaign \
         JOIN accounts ON accounts.id = campaigns.account \
         WHERE n.ready <> 0 AND campaigns.state = 'running' AND accounts.suspended = 0 \
         AND NOT EXISTS (SELECT 1 FROM counters WHERE name = 'suspended' AND value = 1) \
         GROUP BY campaigns.account, campaigns.id, accounts.weight \
         HAVING sum(n.ready) > 0 ORDER BY campaigns.id"
    );
    OPEN_ONES = "SELECT count(*) FROM (SELECT closes_at FROM (SELECT closes_at FROM contacts \
        WHERE campaign = $1 AND state = 'waiting' AND parked = 0 AND next_at <= $2 \
        ORDER BY rank_at, id LIMIT $3) AS head \
        WHERE closes_at IS NULL OR closes_at > $2 LIMIT $4) AS open_ones";
    NEXT_CLOSING = next_closing!();
    NEXT_DUE = concat!("SELECT (", next_parked!(), "), (", next_closing!(), ")");
    PROMOTE_DUE = "UPDATE contacts SET parked = 0 WHERE id IN \
        (SELECT id FROM contacts WHERE state = 'waiting' AND parked = 1 AND next_at <= $1 \
         ORDER BY next_at, id LIMIT $2 /*! FOR UPDATE SKIP LOCKED */) RETURNING campaign";
    NEXT_PARKED = next_parked!();
}

/// Contacts at the head of a campaign that are looked at for such whose window is open: after the
/// closing of a long list its contacts stand there until they are expired.
pub(crate) const HEAD_MAX: u32 = 1_000;

/// Contacts of a campaign that are weighed in one transaction beyond those that are asked for: a few
/// milliseconds of the writer's time.
pub(crate) const SPARE_LOOKS: usize = 200;
/// Shortest time that a contact is held.
pub(crate) const HOLD_MIN: Duration = Duration::from_secs(1);

/// Attempts begun together that wait for no others.
const COMPANY: usize = 8;

impl Store {
    /// Running campaigns with contacts that may be dialed now, at most `limit` said for each.
    ///
    /// Knows what [`Store::promote_due`] has made due; so call that first.
    pub async fn demands(&self, now: Timestamp, limit: u32) -> Result<Vec<Demand>, StoreError> {
        self.eyes()
            .look(move |sql| {
                let mut closing = None;
                let mut demands = sql.all(DEMANDS, &[], |row| {
                    let (account, campaign) = (AccountId(row.int()?), CampaignId(row.int()?));
                    let size = u32::try_from(row.int()?).unwrap_or(u32::MAX);
                    let account_weight = row.number()?;
                    closing = row.maybe_time()?;
                    let demand = Demand::new(account, campaign, size.min(limit));
                    Ok(Demand { size, account_weight, ..demand })
                })?;
                if closing.is_some_and(|closing| closing <= now) {
                    for demand in &mut demands {
                        demand.ready = open_ones(sql, now, demand.campaign, limit)?;
                    }
                    demands.retain(|demand| demand.ready > 0);
                }
                Ok(demands)
            })
            .await
    }

    /// Takes contacts and writes their attempts down, in one durable transaction; only then may
    /// anything be sent.
    ///
    /// In a campaign the contact goes first that ranks first (`Priority::rank_at`), then the one
    /// taken in first.
    /// Of each contact `judge` is asked, inside the transaction and with its number taken, whether
    /// it may be dialed; who may not waits or ends, with an event that says why.
    ///
    /// The nth contact of a share takes its nth trunk; fewer attempts than asked for come back
    /// where campaigns have been stopped or contacts ended since, the judge forbids, or more than
    /// 1,000 are asked of one campaign. Do not drop the future halfway: its attempts would stay
    /// open until the next start.
    pub async fn begin_attempts(
        &self,
        now: Timestamp,
        shares: Vec<Share>,
        judge: Arc<dyn Judge>,
    ) -> Result<Claimed, StoreError> {
        let most: usize = shares.iter().map(|share| share.trunks.len()).sum();
        // Many are company enough for each other.
        let manner = if most < COMPANY { Manner::DIALED } else { Manner::ASKED };
        self.write_with(manner, 3 * most, move |tx| {
            let claimed = Claimed::default();
            let mut claim = Claim { now, judge: &*judge, claimed };
            for share in &shares {
                claim.share(tx, share)?;
            }
            Ok(claim.claimed)
        })
        .await
    }

    /// Makes up to `limit` contacts due whose waiting time is over; how many there were.
    pub async fn promote_due(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let due = self.eyes().look(|sql| {
            let next = sql.one(NEXT_PARKED, &[], |row| row.time())?;
            Ok(next)
        });
        if due.await?.is_none_or(|next| next > now) {
            return Ok(0);
        }
        self.write_with(Manner::PREPARED, 200, move |tx| {
            let promoted = tx.all(PROMOTE_DUE, values![now, limit], |row| row.int())?;
            for campaign in &promoted {
                tx.go(CampaignId(*campaign), Standing::Parked, Standing::Ready);
            }
            Ok(u32::try_from(promoted.len()).unwrap_or(u32::MAX))
        })
        .await
    }

    /// Ends up to `limit` waiting contacts whose window has closed; how many there were.
    pub async fn expire(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let closing = self.eyes().look(|sql| sql.one(NEXT_CLOSING, &[], |row| row.time()));
        if closing.await?.is_none_or(|next| next > now) {
            return Ok(0);
        }
        self.write_with(Manner::DIALED, 200, move |tx| {
            let closed = tx.all(CLOSED, values![now, limit], |row| row.int())?;
            for contact in &closed {
                if let Some(held) = held(tx, ContactId(*contact))? {
                    end_waiting(tx, held, now, Disposition::Expired)?;
                }
            }
            Ok(u32::try_from(closed.len()).unwrap_or(u32::MAX))
        })
        .await
    }

    /// When [`Store::promote_due`] or [`Store::expire`] has something to do next.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due = |row: &mut Row<'_>| Ok([row.maybe_time()?, row.maybe_time()?]);
        let look = move |sql: Sql<'_>| sql.one(NEXT_DUE, &[], due);
        Ok(self.eyes().look(look).await?.into_iter().flatten().flatten().min())
    }
}

/// The version of a campaign's policy; `None` where the campaign may not dial.
pub(crate) fn policy_version(tx: &Tx<'_>, campaign: CampaignId) -> Result<Option<u32>, StoreError> {
    tx.one(CAMPAIGN_RUNS, values![campaign], |row| row.number())
}

/// How many contacts at the head of a campaign have their window open, up to `limit`.
fn open_ones(
    sql: Sql<'_>,
    now: Timestamp,
    campaign: CampaignId,
    limit: u32,
) -> Result<u32, StoreError> {
    let values = values![campaign, now, HEAD_MAX, limit];
    let open = sql.one(OPEN_ONES, values, |row| row.number())?;
    Ok(open.unwrap_or(0))
}
