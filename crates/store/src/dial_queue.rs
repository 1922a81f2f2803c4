//! The dial queue: which campaigns have contacts to dial, taking them, and keeping time for them.

use domain::attempt::Attempt;
use domain::campaign::CampaignState;
use domain::cause::Cause;
use domain::contact::Contact;
use domain::dial_queue::{Demand, Share};
use domain::event::EventKind;
use domain::ids::{AttemptId, CampaignId, ContactId, TrunkId};
use domain::outcome::Disposition;
use domain::time::Timestamp;

use crate::contacts::{end_waiting, held, tell};
use crate::dialect::{CLAIM_READY, PROMOTE_DUE};
use crate::tx::{Standing, Tx};
use crate::value::{queries, values};
use crate::{Begun, Store, StoreError};

queries! {
    BEGIN_ATTEMPT = "INSERT INTO attempts (contact, number, trunk, epoch, started_at) \
        VALUES ($1, $2, $3, $4, $5) RETURNING id";
    CAMPAIGN_STATE = "SELECT state FROM campaigns WHERE id = $1";
    CLOSED = "SELECT id FROM contacts WHERE state = 'waiting' AND closes_at <= $1 \
        ORDER BY closes_at, id LIMIT $2";
    DEMANDS = "SELECT n.campaign, n.ready FROM campaign_counts n \
        JOIN campaigns ON campaigns.id = n.campaign \
        WHERE n.ready > 0 AND campaigns.state = 'running' ORDER BY n.campaign";
    NEXT_CLOSING = "SELECT closes_at FROM contacts \
        WHERE state = 'waiting' AND closes_at IS NOT NULL ORDER BY closes_at, id LIMIT 1";
    NEXT_PARKED = "SELECT next_at FROM contacts WHERE state = 'waiting' AND parked = 1 \
        ORDER BY next_at, id LIMIT 1";
}

impl Store {
    /// Running campaigns with contacts that are due, at most `limit` said for each.
    ///
    /// Knows what [`Store::promote_due`] has made due and [`Store::expire`] has not ended; so call
    /// those first.
    pub async fn demands(&self, limit: u32) -> Result<Vec<Demand>, StoreError> {
        self.eyes()
            .look(move |sql| {
                sql.all(DEMANDS, &[], |row| {
                    Ok(Demand {
                        campaign: CampaignId(row.int()?),
                        ready: u32::try_from(row.int()?).unwrap_or(u32::MAX).min(limit),
                    })
                })
            })
            .await
    }

    /// Takes contacts and writes their attempts down, in one durable transaction; only then may
    /// anything be sent.
    ///
    /// In a campaign the contact goes first that has been due longest, then the one taken in first.
    /// The nth attempt of the answer takes the nth trunk; fewer attempts than asked for come back
    /// where campaigns have been stopped or contacts ended since, or trunks are too few. Do not
    /// drop the future halfway: its attempts would stay open until the next start.
    pub async fn begin_attempts(
        &self,
        now: Timestamp,
        shares: &[Share],
        trunks: &[TrunkId],
    ) -> Result<Vec<Begun>, StoreError> {
        let (shares, trunks) = (shares.to_vec(), trunks.to_vec());
        self.write(3 * trunks.len(), move |tx| {
            let mut free = trunks.iter().copied();
            let mut begun = Vec::with_capacity(trunks.len());
            for share in &shares {
                begin_share(tx, now, *share, &mut free, &mut begun)?;
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
        self.write_softly(200, move |tx| {
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
        self.write(200, move |tx| {
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
    share: Share,
    trunks: &mut impl ExactSizeIterator<Item = TrunkId>,
    begun: &mut Vec<Begun>,
) -> Result<(), StoreError> {
    let state =
        tx.one(CAMPAIGN_STATE, values![share.campaign], |row| row.name(CampaignState::from_name))?;
    if state != Some(CampaignState::Running) {
        return Ok(());
    }
    let most = share.contacts.min(u32::try_from(trunks.len()).unwrap_or(u32::MAX));
    let values = values![now, share.campaign, most];
    let mut claimed = tx.all(CLAIM_READY, values, |row| row.contact())?;
    // Rows come back in any order.
    claimed.sort_by_key(|contact| (contact.next_at, contact.id));
    for (contact, trunk) in claimed.into_iter().zip(trunks) {
        begun.push(begin_one(tx, now, contact, trunk)?);
    }
    Ok(())
}

fn begin_one(
    tx: &mut Tx<'_>,
    now: Timestamp,
    contact: Contact,
    trunk: TrunkId,
) -> Result<Begun, StoreError> {
    let number = contact.attempts;
    let values = values![contact.id, number, trunk, tx.epoch, now];
    let id = AttemptId(tx.the(BEGIN_ATTEMPT, values, |row| row.int())?);
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
