//! Attempts: what happens in them, how they end, and what a crash left open.

use domain::attempt::{Attempt, AttemptEnd};
use domain::contact::{Contact, ContactState};
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId};
use domain::outcome::Disposition;
use domain::retry::Verdict;
use domain::time::Timestamp;

use crate::ahead::Want;
use crate::contacts::{Held, end_waiting, held, move_on, tell, tell_of_call};
use crate::driver::{Row, Sql};
use crate::inbox::Manner;
use crate::tx::{Standing, Tx};
use crate::value::{attempt_columns, contact_columns, cut, queries, values};
use crate::{Cancel, Finished, Reader, Store, StoreError, numbers, uploads, webhooks};

queries! {
    ASK_CANCEL = "UPDATE contacts SET cancel_asked = 1 WHERE id = $1";
    ASK_CANCEL_OF_CAMPAIGN = "UPDATE contacts SET cancel_asked = 1 \
        WHERE id IN (SELECT contact FROM attempts WHERE outcome IS NULL) \
        AND account = $1 AND campaign = $2 AND state = 'calling'";
    ATTEMPT = concat!(
        "SELECT ", attempt_columns!(), " FROM attempts WHERE id = $1 /*! FOR UPDATE */"
    );
    ATTEMPTS = concat!(
        "SELECT ", attempt_columns!(), " FROM attempts WHERE contact = $1 ORDER BY number"
    );
    END = "UPDATE attempts SET outcome = $1, ended_at = $2, \
        ringing_at = coalesce($3, ringing_at), answered_at = coalesce($4, answered_at), \
        sip_status = $5, q850 = $6, cause = $7, detected = $8, message_left = $9 WHERE id = $10";
    FORGET = "DELETE FROM attempts WHERE id = $1";
    FORGET_EVENTS = "DELETE FROM events WHERE contact = $1 AND attempt = $2";
    LAST_CONTACT = "SELECT coalesce(max(id), 0) FROM contacts WHERE campaign = $1";
    LAST_STARTED = "SELECT max(started_at) FROM attempts WHERE contact = $1";
    NOTE_ANSWERED = "UPDATE attempts SET answered_at = coalesce(answered_at, $1) WHERE id = $2";
    NOTE_RINGING = "UPDATE attempts SET ringing_at = coalesce(ringing_at, $1) WHERE id = $2";
    OPEN = concat!(
        "SELECT ", attempt_columns!(), ", ", contact_columns!(),
        " FROM attempts JOIN contacts ON contacts.id = attempts.contact \
         WHERE attempts.outcome IS NULL AND attempts.node = $1 ORDER BY attempts.id"
    );
    IN_DOUBT = concat!(
        "SELECT ", attempt_columns!(), ", ", contact_columns!(),
        " FROM attempts JOIN contacts ON contacts.id = attempts.contact \
         WHERE attempts.id = $1 AND attempts.outcome = 'in_doubt' AND attempts.ended_at >= $2"
    );
    ASK_NODE = "INSERT INTO cancel_asks (node, attempt) VALUES ($1, $2) \
        ON CONFLICT (node, attempt) DO NOTHING";
    OPEN_OF_CONTACT = "SELECT id, node FROM attempts WHERE contact = $1 AND outcome IS NULL";
    OWNER = "SELECT account FROM campaigns WHERE id = $1";
    WAITING = "SELECT id FROM contacts WHERE campaign = $1 AND id > $2 AND id <= $3 \
        AND state = 'waiting' ORDER BY id LIMIT $4";
}

/// Contacts that one transaction cancels: a few milliseconds of the writer's time.
const CANCEL_ROWS: u32 = 200;

impl Store {
    /// Notes a fact about a live attempt, in order with everything else this caller writes.
    ///
    /// Answers once the note is taken, before it is on disk: a crash may lose the last tenth of a
    /// second of notes, never what came with the end of an attempt.
    pub async fn note(
        &self,
        attempt: AttemptId,
        contact: ContactId,
        at: Timestamp,
        kind: EventKind,
        detail: &str,
    ) -> Result<(), StoreError> {
        let detail = cut(detail).to_owned();
        self.write_later(move |tx| {
            match kind {
                EventKind::Ringing => tx.put(NOTE_RINGING, values![at, attempt])?,
                EventKind::Answered => tx.put(NOTE_ANSWERED, values![at, attempt])?,
                EventKind::CalleeDetected
                | EventKind::Dialing
                | EventKind::Done
                | EventKind::Ended
                | EventKind::Held
                | EventKind::MessageLeft
                | EventKind::Queued
                | EventKind::Recorded
                | EventKind::Refused
                | EventKind::Rerouted
                | EventKind::RetryScheduled
                | EventKind::ScriptError
                | EventKind::TokenGiven => {}
            }
            tell_of_call(tx, contact, attempt, at, kind, &detail)
        })
        .await
    }

    /// Ends an attempt: its outcome, what follows for the contact, events and owed webhook, at
    /// once.
    ///
    /// A contact whose cancel was asked for meanwhile is not dialed again; it ends as canceled.
    pub async fn finish_attempt(
        &self,
        attempt: AttemptId,
        end: &AttemptEnd,
    ) -> Result<Finished, StoreError> {
        let end = end.clone();
        let want = Want::Attempt(attempt);
        self.write_wanting(Manner::DIALED, 6, want, move |tx| finish(tx, attempt, &end)).await
    }

    /// Undoes an attempt of which nothing was sent; `false` where it is not open.
    ///
    /// The contact waits as before, or ends where its cancel was asked for.
    pub async fn release_attempt(
        &self,
        now: Timestamp,
        attempt: AttemptId,
    ) -> Result<bool, StoreError> {
        self.write_with(Manner::DIALED, 4, move |tx| release(tx, now, attempt)).await
    }

    /// Attempts that this node began and nobody ended, oldest first: after a start, those that a
    /// crash left.
    pub async fn open_attempts(&self) -> Result<Vec<(Attempt, Contact)>, StoreError> {
        let node = self.node();
        let open = move |sql: Sql<'_>| {
            sql.all(OPEN, values![node], |row| Ok((row.attempt()?, row.contact()?)))
        };
        self.eyes().look(open).await
    }

    /// Those of these attempts that ended in doubt, since then.
    pub async fn in_doubt_since(
        &self,
        attempts: Vec<AttemptId>,
        since: Timestamp,
    ) -> Result<Vec<(Attempt, Contact)>, StoreError> {
        let look = move |sql: Sql<'_>| {
            let mut found = Vec::new();
            for attempt in attempts {
                let read = |row: &mut Row<'_>| Ok((row.attempt()?, row.contact()?));
                found.extend(sql.one(IN_DOUBT, values![attempt, since], read)?);
            }
            Ok(found)
        };
        self.eyes().look(look).await
    }

    /// Ends a waiting contact as canceled; one in a call is not dialed again.
    pub async fn cancel_contact(
        &self,
        now: Timestamp,
        account: AccountId,
        contact: ContactId,
    ) -> Result<Cancel, StoreError> {
        self.write(3, move |tx| cancel(tx, now, account, contact)).await
    }

    /// Lets the calls under way in a campaign be the last ones of their contacts; how many there
    /// are. Where one is not answered, its contact ends as canceled.
    pub async fn end_after_calls(
        &self,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<u64, StoreError> {
        self.write(uploads::CHORE_ROWS, move |tx| {
            let asked = tx.run(ASK_CANCEL_OF_CAMPAIGN, values![account, campaign])?;
            Ok(u64::try_from(asked).unwrap_or(u64::MAX))
        })
        .await
    }

    /// Ends all contacts as canceled that wait in a campaign; how many there were.
    ///
    /// In parts, each a transaction of its own. Those in a call are left alone.
    pub async fn cancel_waiting(
        &self,
        now: Timestamp,
        account: AccountId,
        campaign: CampaignId,
    ) -> Result<u64, StoreError> {
        let publish = move |tx: &mut Tx<'_>| {
            let owner = tx.one(OWNER, values![campaign], |row| row.int())?;
            if owner != Some(account.0) {
                return Ok(None);
            }
            let left = uploads::chore_of_campaign(tx, campaign)?;
            let last = tx.the(LAST_CONTACT, values![campaign], |row| row.int())?;
            Ok(Some((left, last)))
        };
        // Contacts taken in from here on are none of those that were meant.
        let last = loop {
            match self.write(uploads::CHORE_ROWS, publish).await? {
                Some((true, _)) => {}
                Some((false, last)) => break last,
                None => return Ok(0),
            }
        };
        let (mut canceled, mut after) = (0, 0);
        loop {
            let part = self
                .write(uploads::CHORE_ROWS, move |tx| cancel_part(tx, now, campaign, after, last))
                .await?;
            canceled += u64::from(part.many);
            match part.last {
                Some(last) => after = last,
                None => return Ok(canceled),
            }
        }
    }
}

impl Reader {
    /// The attempts of a contact, oldest first.
    pub async fn attempts(&self, contact: ContactId) -> Result<Vec<Attempt>, StoreError> {
        self.look(move |sql| sql.all(ATTEMPTS, values![contact], |row| row.attempt())).await
    }
}

fn finish(tx: &mut Tx<'_>, id: AttemptId, end: &AttemptEnd) -> Result<Finished, StoreError> {
    let (attempt, held) = match tx.attempt_ahead(id) {
        Some(ahead) => ahead,
        None => {
            let attempt = tx.one(ATTEMPT, values![id], |row| row.attempt())?;
            let attempt = attempt.ok_or_else(|| unknown(id))?;
            let held = holder(tx, &attempt)?;
            (attempt, held)
        }
    };
    let Held { mut contact, cancel_asked, .. } = held;
    if attempt.outcome.is_some() {
        return Ok(repeated(contact));
    }
    debug_assert_eq!(contact.state, ContactState::Calling, "its attempt is open");
    tx.put(
        END,
        values![
            end.outcome.name(),
            end.ended_at,
            end.ringing_at,
            end.answered_at,
            end.cause.sip_status.map(u32::from),
            end.cause.q850.map(u32::from),
            cut(&end.cause.text),
            cut(&end.detected),
            end.message_left,
            id,
        ],
    )?;
    tx.count_outcome(end.outcome);
    numbers::end(tx, end.ended_at, id, end.outcome)?;
    let account = contact.account;
    let (kind, name) = (EventKind::Ended, end.outcome.name());
    tell(tx, account, contact.id, Some(id), end.ended_at, kind, name)?;

    let verdict =
        contact.retry.after_attempt(contact.attempts, end.outcome, end.ended_at, &contact.window);
    let verdict = match verdict {
        Verdict::DialAt(_) if cancel_asked => Verdict::End(Disposition::Canceled),
        verdict => verdict,
    };
    contact.last_outcome = Some(end.outcome);
    contact.duration_s = end.duration_s();
    contact.message_left = end.message_left;
    let mut parked = false;
    match verdict {
        Verdict::DialAt(at) => {
            contact.state = ContactState::Waiting;
            contact.next_at = at;
            parked = at > end.ended_at;
            let detail = at.as_seconds().to_string();
            let kind = EventKind::RetryScheduled;
            tell(tx, account, contact.id, Some(id), end.ended_at, kind, &detail)?;
        }
        Verdict::End(disposition) => {
            contact.state = ContactState::Done(disposition);
            contact.ended_at = Some(end.ended_at);
        }
    }
    move_on(tx, Standing::Calling, &contact, parked)?;
    Ok(Finished { contact, verdict, repeated: false })
}

/// How things stand for a contact one of whose attempts is reported as ended once more.
fn repeated(contact: Contact) -> Finished {
    let verdict = match contact.state {
        ContactState::Done(disposition) => Verdict::End(disposition),
        ContactState::Calling | ContactState::Waiting => Verdict::DialAt(contact.next_at),
    };
    Finished { contact, verdict, repeated: true }
}

fn release(tx: &mut Tx<'_>, now: Timestamp, id: AttemptId) -> Result<bool, StoreError> {
    let attempt = tx.one(ATTEMPT, values![id], |row| row.attempt())?;
    let Some(attempt) = attempt.filter(|attempt| attempt.outcome.is_none()) else {
        return Ok(false);
    };
    let Held { mut contact, cancel_asked, .. } = holder(tx, &attempt)?;
    tx.run(FORGET_EVENTS, values![contact.id, id])?;
    webhooks::undo(tx, id)?;
    tx.run(FORGET, values![id])?;
    numbers::release(tx, id)?;
    contact.attempts -= 1;
    contact.last_attempt_at = tx.the(LAST_STARTED, values![contact.id], |row| row.maybe_time())?;
    if cancel_asked {
        contact.state = ContactState::Done(Disposition::Canceled);
        contact.ended_at = Some(now);
    } else {
        contact.state = ContactState::Waiting;
    }
    move_on(tx, Standing::Calling, &contact, false)?;
    Ok(true)
}

fn cancel(
    tx: &mut Tx<'_>,
    now: Timestamp,
    account: AccountId,
    id: ContactId,
) -> Result<Cancel, StoreError> {
    let found = match held(tx, id)? {
        None if uploads::publish_one(tx, account, id)? => held(tx, id)?,
        found => found,
    };
    let Some(held) = found.filter(|held| held.contact.account == account) else {
        return Ok(Cancel::NotFound);
    };
    match held.contact.state {
        ContactState::Calling => {
            tx.run(ASK_CANCEL, values![id])?;
            let open = |row: &mut Row<'_>| Ok((row.int()?, row.int()?));
            let (attempt, node) = tx.the(OPEN_OF_CONTACT, values![id], open)?;
            if node != tx.node {
                // It hears of it at its next tick.
                tx.run(ASK_NODE, values![node, attempt])?;
            }
            Ok(Cancel::Calling(AttemptId(attempt)))
        }
        ContactState::Done(_) => Ok(Cancel::AlreadyDone),
        ContactState::Waiting => {
            end_waiting(tx, held, now, Disposition::Canceled)?;
            Ok(Cancel::Canceled)
        }
    }
}

/// Contacts that one transaction canceled.
struct Part {
    many: u32,
    /// The last of them; `None` where there were none.
    last: Option<i64>,
}

fn cancel_part(
    tx: &mut Tx<'_>,
    now: Timestamp,
    campaign: CampaignId,
    after: i64,
    last: i64,
) -> Result<Part, StoreError> {
    let values = values![campaign, after, last, CANCEL_ROWS];
    let waiting = tx.all(WAITING, values, |row| row.int())?;
    for contact in &waiting {
        if let Some(held) = held(tx, ContactId(*contact))? {
            end_waiting(tx, held, now, Disposition::Canceled)?;
        }
    }
    Ok(Part {
        many: u32::try_from(waiting.len()).unwrap_or(u32::MAX),
        last: waiting.last().copied(),
    })
}

/// The contact that an attempt tries.
fn holder(tx: &Tx<'_>, attempt: &Attempt) -> Result<Held, StoreError> {
    held(tx, attempt.contact)?
        .ok_or_else(|| StoreError::Damaged(format!("attempt {} without a contact", attempt.id)))
}

const fn unknown(attempt: AttemptId) -> StoreError {
    StoreError::Unknown { what: "attempt", id: attempt.0 }
}
