//! The dial queue: which campaigns have contacts to dial, taking them, and keeping time for them.

use std::sync::Arc;
use std::time::Duration;

use domain::attempt::Attempt;
use domain::cause::Cause;
use domain::contact::{Contact, ContactState};
use domain::dial_queue::{Demand, Share};
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId, TrunkId};
use domain::outcome::Disposition;
use domain::permit::{Judge, Permit, Weighing};
use domain::time::{DialWindow, Timestamp};

use crate::contacts::{end_waiting, held, tell};
use crate::driver::Sql;
use crate::inbox::Manner;
use crate::tx::{Number, Standing, Tx};
use crate::value::{queries, values};
use crate::{Begun, Claimed, Store, StoreError, numbers};

queries! {
    BEGIN_ATTEMPT = "INSERT INTO attempts (id, contact, number, trunk, epoch, started_at, node, \
        weighed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    CALL = "UPDATE contacts SET state = 'calling', attempts = attempts + 1, \
        last_attempt_at = $1, held = '' WHERE id = $2";
    CAMPAIGN_RUNS = "SELECT campaigns.policy_version FROM campaigns \
        JOIN accounts ON accounts.id = campaigns.account \
        WHERE campaigns.id = $1 AND campaigns.state = 'running' AND accounts.suspended = 0 \
        AND NOT EXISTS (SELECT 1 FROM counters WHERE name = 'suspended' AND value = 1)";
    CLOSED = "SELECT id FROM contacts WHERE state = 'waiting' AND closes_at <= $1 \
        ORDER BY closes_at, id LIMIT $2 /*! FOR UPDATE SKIP LOCKED */";
    DEMANDS = "SELECT campaigns.account, campaigns.id, CAST(sum(n.ready) AS bigint), \
        accounts.weight FROM campaign_sums n JOIN campaigns ON campaigns.id = n.campaign \
        JOIN accounts ON accounts.id = campaigns.account \
        WHERE n.ready <> 0 AND campaigns.state = 'running' AND accounts.suspended = 0 \
        AND NOT EXISTS (SELECT 1 FROM counters WHERE name = 'suspended' AND value = 1) \
        GROUP BY campaigns.account, campaigns.id, accounts.weight \
        HAVING sum(n.ready) > 0 ORDER BY campaigns.id";
    HOLD = "UPDATE contacts SET parked = 1, next_at = $1, held = $2 WHERE id = $3";
    HELD_BY = "SELECT held FROM contacts WHERE id = $1";
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

/// Contacts of a campaign that are weighed in one transaction beyond those that are asked for: a few
/// milliseconds of the writer's time.
const SPARE_LOOKS: usize = 200;
/// Shortest time that a contact is held.
const HOLD_MIN: Duration = Duration::from_secs(1);

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
                        let account_weight = row.number()?;
                        let demand = Demand::new(account, campaign, size.min(limit));
                        Ok(Demand { size, account_weight, ..demand })
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
            let mut claim = Claim { now, judge: &*judge, claimed, spare: None };
            for share in &shares {
                claim.share(tx, share)?;
            }
            if let Some(spare) = claim.spare {
                tx.put_back(Number::Attempt, spare.0);
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

/// A claim under way.
struct Claim<'j> {
    now: Timestamp,
    judge: &'j dyn Judge,
    claimed: Claimed,
    /// An id that was taken for a contact which is not dialed.
    spare: Option<AttemptId>,
}

/// What came of one contact.
enum Turn {
    Begun,
    Passed,
    Unknown,
}

impl Claim<'_> {
    fn share(&mut self, tx: &mut Tx<'_>, share: &Share) -> Result<(), StoreError> {
        let campaign = share.campaign;
        let version = tx.one(CAMPAIGN_RUNS, values![campaign], |row| row.number())?;
        let Some(version) = version else {
            return Ok(());
        };
        let mut trunks = share.trunks.iter().copied().peekable();
        let mut looks = SPARE_LOOKS + trunks.len();
        while trunks.peek().is_some() {
            let most = trunks.len().min(looks);
            if most == 0 {
                self.claimed.unfinished.push(campaign);
                return Ok(());
            }
            looks -= most;
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            let head = head(tx, self.now, campaign, most)?;
            if head.is_empty() {
                return Ok(());
            }
            for contact in head {
                let Some(trunk) = trunks.peek().copied() else {
                    return Ok(());
                };
                match self.contact(tx, contact, version, trunk)? {
                    Turn::Begun => drop(trunks.next()),
                    Turn::Passed => {}
                    Turn::Unknown => {
                        self.claimed.unknown.push(campaign);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn contact(
        &mut self,
        tx: &mut Tx<'_>,
        contact: ContactId,
        version: u32,
        trunk: TrunkId,
    ) -> Result<Turn, StoreError> {
        let Some(held) = held(tx, contact)? else {
            return Ok(Turn::Passed);
        };
        let account = held.contact.account;
        let question = self.judge.question(&held.contact);
        let attempt = match self.spare.take() {
            Some(spare) => spare,
            None => AttemptId(tx.numbers(Number::Attempt, 1)?),
        };
        // First the number, then its past: whoever had it before has written that down by now.
        let taken = numbers::take(tx, &question, account, attempt)?;
        let past = numbers::past(tx.sql(), self.now, account, &question, !taken)?;
        let weighing = self.judge.weigh(self.now, &held.contact, version, &past);
        let permit = weighing.as_ref().map(|weighing| weighing.permit.clone());
        if let Some(Permit::Dial(caller_id)) = permit {
            let weighed = weighing.map(|weighing| weighing.to_string()).unwrap_or_default();
            let begin = Begin { now: self.now, attempt, trunk, weighed: &weighed };
            let begun = begin.write(tx, held.contact, &question.number, caller_id)?;
            self.claimed.begun.push(begun);
            return Ok(Turn::Begun);
        }
        if taken {
            numbers::let_go(tx, attempt)?;
        }
        self.spare = Some(attempt);
        let reason = weighing.as_ref().and_then(Weighing::reason).unwrap_or_default();
        match permit {
            None => return Ok(Turn::Unknown),
            Some(Permit::End(disposition)) => {
                tell(tx, contact, None, self.now, EventKind::Refused, &reason)?;
                end_waiting(tx, held, self.now, disposition)?;
                self.claimed.ended += 1;
            }
            Some(Permit::NotBefore(until)) => {
                hold(tx, self.now, &held.contact, until, &reason)?;
                self.claimed.held += 1;
            }
            Some(Permit::Dial(_)) => {}
        }
        Ok(Turn::Passed)
    }
}

/// Lets a contact wait until then; why is told where it is not what was told last.
fn hold(
    tx: &mut Tx<'_>,
    now: Timestamp,
    contact: &Contact,
    until: Timestamp,
    reason: &str,
) -> Result<(), StoreError> {
    let rule = reason.split(':').next().unwrap_or_default();
    let before = tx.the(HELD_BY, values![contact.id], |row| row.text())?;
    // One that may be dialed at once would be looked at for ever.
    let until = until.max(now + HOLD_MIN);
    tx.run(HOLD, values![until, rule, contact.id])?;
    if before != rule {
        tell(tx, contact.id, None, now, EventKind::Held, reason)?;
    }
    tx.go(contact.campaign, Standing::Ready, Standing::Parked);
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

/// An attempt that is about to be written down.
struct Begin<'a> {
    now: Timestamp,
    attempt: AttemptId,
    trunk: TrunkId,
    weighed: &'a str,
}

impl Begin<'_> {
    fn write(
        &self,
        tx: &mut Tx<'_>,
        mut contact: Contact,
        number: &str,
        caller_id: Option<String>,
    ) -> Result<Begun, StoreError> {
        let Self { now, attempt: id, trunk, weighed } = *self;
        tx.put(CALL, values![now, contact.id])?;
        contact.state = ContactState::Calling;
        contact.attempts += 1;
        contact.last_attempt_at = Some(now);
        let nth = contact.attempts;
        let values = values![id, contact.id, nth, trunk, tx.epoch, now, tx.node, weighed];
        tx.put(BEGIN_ATTEMPT, values)?;
        numbers::begin(tx, now, &contact, number, id, caller_id.as_deref())?;
        tell(tx, contact.id, Some(id), now, EventKind::Dialing, "")?;
        tx.go(contact.campaign, Standing::Ready, Standing::Calling);
        let attempt = Attempt {
            id,
            contact: contact.id,
            number: nth,
            trunk,
            started_at: now,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            outcome: None,
            cause: Cause::default(),
            detected: String::new(),
            message_left: false,
        };
        let application = tx.application(contact.application)?;
        Ok(Begun { application, attempt, contact, caller_id })
    }
}
