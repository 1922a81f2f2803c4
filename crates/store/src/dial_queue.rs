//! The dial queue: which campaigns have contacts to dial, taking them, and keeping time for them.

use domain::attempt::Attempt;
use domain::campaign::CampaignState;
use domain::cause::Cause;
use domain::dial_queue::{Demand, Share};
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId, TrunkId};
use domain::outcome::Disposition;
use domain::time::{DialWindow, Timestamp};

use crate::contacts::{end_waiting, held, tell};
use crate::driver::Sql;
use crate::inbox::Manner;
use crate::tx::{Number, Standing, Tx};
use crate::value::{contact_columns, queries, values};
use crate::{Begun, Store, StoreError};

queries! {
    BEGIN_ATTEMPT = "INSERT INTO attempts (id, contact, number, trunk, epoch, started_at, node) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    CALL = concat!(
        "UPDATE contacts SET state = 'calling', attempts = attempts + 1, last_attempt_at = $1 \
         WHERE id = $2 RETURNING ",
        contact_columns!()
    );
    CAMPAIGN_STATE = "SELECT state FROM campaigns WHERE id = $1";
    CLOSED = "SELECT id FROM contacts WHERE state = 'waiting' AND closes_at <= $1 \
        ORDER BY closes_at, id LIMIT $2 /*! FOR UPDATE SKIP LOCKED */";
    DEMANDS = "SELECT campaigns.account, campaigns.id, CAST(sum(n.ready) AS bigint) \
        FROM campaign_sums n JOIN campaigns ON campaigns.id = n.campaign \
        WHERE n.ready <> 0 AND campaigns.state = 'running' \
        GROUP BY campaigns.account, campaigns.id HAVING sum(n.ready) > 0 ORDER BY campaigns.id";
    OPEN_ONES = "SELECT count(*) FROM (SELECT closes_at FROM (SELECT closes_at FROM contacts \
        WHERE campaign = $1 AND state = 'waiting' AND parked = 0 AND next_at <= $2 \
        ORDER BY rank_at, id LIMIT $3) AS head \
        WHERE closes_at IS NULL OR closes_at > $2 LIMIT $4) AS open_ones";
    NEXT_CLOSING = "SELECT closes_at FROM contacts \
        WHERE state = 'waiting' AND closes_at IS NOT NULL ORDER BY closes_at, id LIMIT 1";
    PROMOTE_DUE = "UPDATE contacts SET parked = 0 WHERE id IN \
        (SELECT id FROM contacts WHERE state = 'waiting' AND parked = 1 AND next_at <= $1 \
         ORDER BY next_at, id LIMIT $2 /*! FOR UPDATE SKIP LOCKED */) RETURNING campaign";
    READY = "SELECT id, opens_at, closes_at FROM contacts \
        WHERE campaign = $1 AND state = 'waiting' AND parked = 0 AND next_at <= $2 \
        ORDER BY rank_at, id LIMIT $3 /*! FOR UPDATE SKIP LOCKED */";
    NEXT_PARKED = "SELECT next_at FROM contacts WHERE state = 'waiting' AND parked = 1 \
        ORDER BY next_at, id LIMIT 1";
}

/// Contacts at the head of a campaign that are looked at for such whose window is open: after the
/// closing of a long list its contacts stand there until they are expired.
const HEAD_MAX: u32 = 1_000;

/// Attempts begun together that wait for no others.
const COMPANY: usize = 8;

impl Store {
    /// Running campaigns with contacts that may be dialed now, at most `limit` said for each.
    ///
    /// Knows what [`Store::promote_due`] has made due; so call that first.
    pub async fn demands(&self, now: Timestamp, limit: u32) -> Result<Vec<Demand>, StoreError> {
        self.eyes()
            .look(move |sql| {
                sql.snapshot(|sql| {
                    let mut demands = sql.all(DEMANDS, &[], |row| {
                        let (account, campaign) = (AccountId(row.int()?), CampaignId(row.int()?));
                        let size = u32::try_from(row.int()?).unwrap_or(u32::MAX);
                        Ok(Demand { size, ..Demand::new(account, campaign, size.min(limit)) })
                    })?;
                    let closing = sql.one(NEXT_CLOSING, &[], |row| row.time())?;
                    if closing.is_some_and(|closing| closing <= now) {
                        for demand in &mut demands {
                            demand.ready = open_ones(sql, now, demand.campaign, limit)?;
                        }
                        demands.retain(|demand| demand.ready > 0);
                    }
                    Ok(demands)
                })
            })
            .await
    }

    /// Takes contacts and writes their attempts down, in one durable transaction; only then may
    /// anything be sent.
    ///
    /// In a campaign the contact goes first that ranks first (`Priority::rank_at`), then the one
    /// taken in first.
    /// The nth contact of a share takes its nth trunk; fewer attempts than asked for come back
    /// where campaigns have been stopped or contacts ended since, or more than 1,000 are asked of
    /// one campaign. Do not drop the future halfway: its attempts would stay open until the next
    /// start.
    pub async fn begin_attempts(
        &self,
        now: Timestamp,
        shares: Vec<Share>,
    ) -> Result<Vec<Begun>, StoreError> {
        let most = shares.iter().map(|share| share.trunks.len()).sum();
        // Many are company enough for each other.
        let manner = if most < COMPANY { Manner::DIALED } else { Manner::ASKED };
        self.write_with(manner, 3 * most, move |tx| {
            let mut begun = Vec::with_capacity(most);
            for share in &shares {
                begin_share(tx, now, share, &mut begun)?;
            }
            Ok(begun)
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
        self.eyes()
            .look(|sql| {
                sql.snapshot(|sql| {
                    let parked = sql.one(NEXT_PARKED, &[], |row| row.time())?;
                    let closing = sql.one(NEXT_CLOSING, &[], |row| row.time())?;
                    Ok(parked.into_iter().chain(closing).min())
                })
            })
            .await
    }
}

fn begin_share(
    tx: &mut Tx<'_>,
    now: Timestamp,
    share: &Share,
    begun: &mut Vec<Begun>,
) -> Result<(), StoreError> {
    let state =
        tx.one(CAMPAIGN_STATE, values![share.campaign], |row| row.name(CampaignState::from_name))?;
    if state != Some(CampaignState::Running) {
        return Ok(());
    }
    let most = u32::try_from(share.trunks.len()).unwrap_or(u32::MAX);
    for (contact, trunk) in head(tx, now, share.campaign, most)?.into_iter().zip(&share.trunks) {
        begun.push(begin_one(tx, now, contact, *trunk)?);
    }
    Ok(())
}

/// The first `most` contacts of a campaign whose window is open.
fn head(
    tx: &Tx<'_>,
    now: Timestamp,
    campaign: CampaignId,
    most: u32,
) -> Result<Vec<ContactId>, StoreError> {
    let mut look = most.min(HEAD_MAX);
    loop {
        let first = tx.all(READY, values![campaign, now, look], |row| {
            let contact = ContactId(row.int()?);
            let opens_at = row.maybe_time()?;
            let closes_at = row.maybe_time()?;
            let open = DialWindow { opens_at, closes_at }.is_open(now);
            Ok(open.then_some(contact))
        })?;
        let found = u32::try_from(first.len()).unwrap_or(u32::MAX);
        let mut open: Vec<ContactId> = first.into_iter().flatten().collect();
        let enough = usize::try_from(most).is_ok_and(|most| open.len() >= most);
        if enough || found < look || look == HEAD_MAX {
            open.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            return Ok(open);
        }
        look = HEAD_MAX;
    }
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

fn begin_one(
    tx: &mut Tx<'_>,
    now: Timestamp,
    contact: ContactId,
    trunk: TrunkId,
) -> Result<Begun, StoreError> {
    let contact = tx.the(CALL, values![now, contact], |row| row.contact())?;
    let number = contact.attempts;
    let id = AttemptId(tx.numbers(Number::Attempt, 1)?);
    tx.put(BEGIN_ATTEMPT, values![id, contact.id, number, trunk, tx.epoch, now, tx.node])?;
    tell(tx, contact.id, Some(id), now, EventKind::Dialing, "")?;
    tx.go(contact.campaign, Standing::Ready, Standing::Calling);
    let attempt = Attempt {
        id,
        contact: contact.id,
        number,
        trunk,
        started_at: now,
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        outcome: None,
        cause: Cause::default(),
    };
    Ok(Begun { application: tx.application(contact.application)?, attempt, contact })
}
