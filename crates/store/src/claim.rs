//! A claim inside its transaction: candidates are read, asked about and judged a head at a time.
//!
//! A head costs a handful of questions whatever its length. What candidates of one head do to each
//! other (the same number, the same caller ID) is kept in mind, for the database does not say it.

use domain::attempt::Attempt;
use domain::contact::{Contact, ContactState};
use domain::dial_queue::Share;
use domain::event::EventKind;
use domain::ids::{AttemptId, CampaignId, TrunkId};
use domain::permit::{Judge, Permit, Question, Weighing};
use domain::time::{DialWindow, Timestamp};

use crate::contacts::{Held, end_waiting, tell};
use crate::dial_queue::{HEAD_MAX, HOLD_MIN, SPARE_LOOKS, policy_version};
use crate::numbers::{self, Taken};
use crate::tx::{Number, Standing, Tx};
use crate::value::{contact_columns, queries, values};
use crate::{Begun, Claimed, StoreError};

queries! {
    BEGIN_ATTEMPT = "INSERT INTO attempts (id, contact, number, trunk, epoch, started_at, node, \
        weighed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    CALL = "UPDATE contacts SET state = 'calling', attempts = attempts + 1, \
        last_attempt_at = $1, held = '' WHERE id = $2";
    HOLD = "UPDATE contacts SET parked = 1, next_at = $1, held = $2 WHERE id = $3";
    READY = concat!(
        "SELECT ", contact_columns!(), ", contacts.cancel_asked, contacts.held FROM contacts \
         WHERE campaign = $1 AND state = 'waiting' AND parked = 0 AND next_at <= $2 \
         ORDER BY rank_at, id LIMIT $3 /*! FOR UPDATE OF contacts SKIP LOCKED */"
    );
}

/// A claim under way.
pub(crate) struct Claim<'j> {
    /// Now.
    pub now: Timestamp,
    /// Who decides.
    pub judge: &'j dyn Judge,
    /// What has come of it so far.
    pub claimed: Claimed,
}

/// A contact that may be dialed if the judge permits.
struct Candidate {
    held: Held,
    /// The rule that made it wait last.
    held_by: String,
    question: Question,
}

/// What came of a head.
enum Head {
    /// All were judged.
    Judged,
    /// The judge does not know the campaign's policy.
    Unknown,
}

impl Claim<'_> {
    /// Claims what a share asks for.
    pub(crate) fn share(&mut self, tx: &mut Tx<'_>, share: &Share) -> Result<(), StoreError> {
        let campaign = share.campaign;
        let Some(version) = policy_version(tx, campaign)? else {
            return Ok(());
        };
        let mut trunks = share.trunks.as_slice();
        let mut looks = SPARE_LOOKS + trunks.len();
        while !trunks.is_empty() {
            let most = trunks.len().min(looks);
            if most == 0 {
                self.claimed.unfinished.push(campaign);
                return Ok(());
            }
            looks -= most;
            let head = self.head(tx, campaign, u32::try_from(most).unwrap_or(u32::MAX))?;
            if head.is_empty() {
                return Ok(());
            }
            let before = self.claimed.begun.len();
            if let Head::Unknown = self.judge_head(tx, head, version, trunks)? {
                self.claimed.unknown.push(campaign);
                return Ok(());
            }
            trunks = &trunks[self.claimed.begun.len() - before..];
        }
        Ok(())
    }

    /// The first `most` contacts of a campaign whose window is open.
    fn head(
        &self,
        tx: &Tx<'_>,
        campaign: CampaignId,
        most: u32,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut look = most.min(HEAD_MAX);
        loop {
            let first = tx.all(READY, values![campaign, self.now, look], |row| {
                let contact = row.contact()?;
                let held = Held { contact, parked: false, cancel_asked: row.flag()? };
                Ok((held, row.text()?))
            })?;
            let found = u32::try_from(first.len()).unwrap_or(u32::MAX);
            let is_open = |held: &Held| {
                let DialWindow { opens_at, closes_at } = held.contact.window;
                DialWindow { opens_at, closes_at }.is_open(self.now)
            };
            let mut open: Vec<(Held, String)> =
                first.into_iter().filter(|(held, _)| is_open(held)).collect();
            let enough = usize::try_from(most).is_ok_and(|most| open.len() >= most);
            if enough || found < look || look == HEAD_MAX {
                open.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                let candidate = |(held, held_by): (Held, String)| {
                    let question = self.judge.question(&held.contact);
                    Candidate { held, held_by, question }
                };
                return Ok(open.into_iter().map(candidate).collect());
            }
            look = HEAD_MAX;
        }
    }

    /// Judges the candidates of a head in their order, who are no more than there are trunks.
    fn judge_head(
        &mut self,
        tx: &mut Tx<'_>,
        head: Vec<Candidate>,
        version: u32,
        trunks: &[TrunkId],
    ) -> Result<Head, StoreError> {
        let many = head.len();
        let first = tx.numbers(Number::Attempt, many)?;
        let questions: Vec<_> = head
            .iter()
            .map(|candidate| (candidate.held.contact.account, &candidate.question))
            .collect();
        // First the numbers, then their past: whoever had one before has written that down by now.
        let mut taken = Taken::take(tx, &questions, AttemptId(first))?;
        taken.look_back(tx, self.now, &questions)?;
        let mut trunks = trunks.iter();
        let mut next = first;
        let mut judged = Head::Judged;
        for candidate in head {
            let (contact, question) = (&candidate.held.contact, &candidate.question);
            let past = taken.past(contact.account, question);
            let Some(weighing) = self.judge.weigh(self.now, contact, version, &past) else {
                judged = Head::Unknown;
                break;
            };
            let reason = weighing.reason().unwrap_or_default();
            match &weighing.permit {
                Permit::Dial(caller_id) => {
                    let Some(trunk) = trunks.next() else {
                        break;
                    };
                    let begin = Begin {
                        now: self.now,
                        attempt: AttemptId(next),
                        trunk: *trunk,
                        weighing: &weighing,
                        caller_id: caller_id.clone(),
                    };
                    next += 1;
                    taken.call(self.now, contact.account, question, begin.attempt, caller_id);
                    let begun = begin.write(tx, candidate)?;
                    self.claimed.begun.push(begun);
                }
                Permit::End(disposition) => {
                    let (account, kind) = (contact.account, EventKind::Refused);
                    tell(tx, account, contact.id, None, self.now, kind, &reason)?;
                    end_waiting(tx, candidate.held, self.now, *disposition)?;
                    self.claimed.ended += 1;
                }
                Permit::NotBefore(until) => {
                    let until = *until;
                    hold(tx, self.now, &candidate, until, &reason)?;
                    self.claimed.held += 1;
                }
            }
        }
        taken.settle(tx, self.now)?;
        let used = usize::try_from(next - first).unwrap_or(many);
        tx.put_back(Number::Attempt, next, many - used);
        Ok(judged)
    }
}

/// Lets a contact wait until then; why is told where it is not what was told last.
fn hold(
    tx: &mut Tx<'_>,
    now: Timestamp,
    candidate: &Candidate,
    until: Timestamp,
    reason: &str,
) -> Result<(), StoreError> {
    let rule = reason.split(':').next().unwrap_or_default();
    let Contact { id: contact, account, campaign, .. } = candidate.held.contact;
    // One that may be dialed at once would be looked at for ever.
    let until = until.max(now + HOLD_MIN);
    tx.put(HOLD, values![until, rule, contact])?;
    if candidate.held_by != rule {
        tell(tx, account, contact, None, now, EventKind::Held, reason)?;
    }
    tx.go(campaign, Standing::Ready, Standing::Parked);
    Ok(())
}

/// An attempt that is about to be written down.
struct Begin<'a> {
    now: Timestamp,
    attempt: AttemptId,
    trunk: TrunkId,
    weighing: &'a Weighing,
    caller_id: Option<String>,
}

impl Begin<'_> {
    fn write(self, tx: &mut Tx<'_>, candidate: Candidate) -> Result<Begun, StoreError> {
        let Self { now, attempt: id, trunk, weighing, caller_id } = self;
        let Candidate { held: Held { mut contact, .. }, question, .. } = candidate;
        tx.put(CALL, values![now, contact.id])?;
        contact.state = ContactState::Calling;
        contact.attempts += 1;
        contact.last_attempt_at = Some(now);
        let attempt = Attempt::begun(id, contact.id, contact.attempts, trunk, now);
        let weighed = weighing.to_string();
        let (nth, weighed) = (attempt.number, weighed.as_str());
        let values = values![id, contact.id, nth, trunk, tx.epoch, now, tx.node, weighed];
        tx.put(BEGIN_ATTEMPT, values)?;
        numbers::begin(tx, now, &contact, &question.number, id)?;
        tell(tx, contact.account, contact.id, Some(id), now, EventKind::Dialing, "")?;
        tx.go(contact.campaign, Standing::Ready, Standing::Calling);
        let application = tx.application(contact.application)?;
        Ok(Begun { application, attempt, contact, caller_id })
    }
}
