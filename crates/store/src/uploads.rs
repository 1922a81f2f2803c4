//! Long lists: staged in parts, committed by one flag, made dialable in parts.

use domain::contact::{Contact, ContactRule, ContactState, NewContact};
use domain::event::EventKind;
use domain::ids::{AccountId, CampaignId, ContactId};
use domain::outcome::Disposition;
use domain::region::Country;
use domain::time::{DialWindow, Timestamp};

use crate::contacts::{self, Given, take_ids};
use crate::driver::Sql;
use crate::inbox::Manner;
use crate::numbers::key;
use crate::share::share;
use crate::tx::{Number, Standing, Tx};
use crate::value::{queries, values};
use crate::{Store, StoreError, UploadId};

/// The rows of an upload that are contacts already in all but place: those of the committed ones.
macro_rules! staged_contact {
    ($where:literal) => {
        concat!(
            "SELECT staged.id, u.account, u.campaign, u.application, 'waiting', u.next_at, \
             u.opens_at, u.closes_at, 0, u.attempts_max, u.wait_ms, NULL, NULL, 0, u.created_at, \
             NULL, u.dialect, staged.destination, staged.reference, staged.parameters, \
             u.result_url, \
             (SELECT campaigns.redial_in_doubt FROM campaigns WHERE campaigns.id = u.campaign), \
             staged.priority, u.ring_ms, u.waits, staged.variables, staged.place, 0 \
             FROM uploads u JOIN staged ON staged.upload = u.id WHERE u.state = 'committed' AND ",
            $where
        )
    };
}

queries! {
    ABORT = "UPDATE uploads SET state = 'aborted' WHERE id = $1 AND state = 'open'";
    BEGIN = "INSERT INTO uploads (state, account, campaign, application, parked, next_at, \
        opens_at, closes_at, attempts_max, wait_ms, created_at, dialect, result_url, priority, ring_ms, \
        waits, node, unique_references) VALUES ('open', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
        $11, $12, $13, $14, $15, $16, $17) RETURNING id";
    COMMIT = "UPDATE uploads SET state = 'committed' WHERE id = $1 AND state = 'open'";
    COMMITTED = staged_contact!("u.account = $1 AND staged.id = $2");
    FORGET = "DELETE FROM uploads WHERE id = $1";
    FORGET_PART = "DELETE FROM staged WHERE upload = $1 AND id <= $2";
    IS_OPEN = "SELECT u.next_at, u.priority, u.campaign, u.unique_references, accounts.country \
        FROM uploads u JOIN accounts ON accounts.id = u.account \
        WHERE u.id = $1 AND u.state = 'open'";
    NEXT_CHORE = "SELECT id, campaign, parked, CASE WHEN state = 'committed' THEN 1 ELSE 0 END, \
        unique_references, created_at FROM uploads WHERE state <> 'open' ORDER BY id LIMIT 1 /*! FOR UPDATE SKIP LOCKED */";
    NEXT_OF_CAMPAIGN = "SELECT id, campaign, parked, 1, unique_references, created_at FROM uploads \
        WHERE state = 'committed' AND campaign = $1 ORDER BY id LIMIT 1 /*! FOR UPDATE */";
    PART = "SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0) FROM \
        (SELECT id FROM staged WHERE upload = $1 ORDER BY id LIMIT $2) AS part";
    PUBLISH = "INSERT INTO contacts (id, account, campaign, application, state, parked, next_at, \
        opens_at, closes_at, attempts_max, wait_ms, created_at, dialect, destination, reference, \
        parameters, result_url, priority, rank_at, ring_ms, waits, variables, place, number) \
        SELECT staged.id, u.account, u.campaign, u.application, 'waiting', u.parked, u.next_at, \
        u.opens_at, u.closes_at, u.attempts_max, u.wait_ms, u.created_at, u.dialect, \
        staged.destination, staged.reference, staged.parameters, u.result_url, \
        staged.priority, staged.rank_at, u.ring_ms, u.waits, staged.variables, staged.place, \
        staged.number FROM uploads u JOIN staged ON staged.upload = u.id \
        WHERE u.id = $1 AND staged.id >= $2 AND staged.id <= $3 ORDER BY staged.id";
    // Numbered as the contacts are, gaps included.
    PUBLISH_EVENTS = "INSERT INTO events (contact, id, at, kind, detail, account) \
        SELECT staged.id, staged.id + $1, u.created_at, 'queued', '', u.account \
        FROM uploads u JOIN staged ON staged.upload = u.id \
        WHERE u.id = $2 AND staged.id >= $3 AND staged.id <= $4 ORDER BY staged.id";
    REFERENCES = "SELECT id, reference FROM staged WHERE upload = $1 AND id >= $2 AND id <= $3 \
        AND reference <> '' ORDER BY id";
    STAGE = "INSERT INTO staged (upload, id, destination, reference, parameters, priority, \
        rank_at, variables, place, number) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    UNSTAGE = "DELETE FROM staged WHERE upload = $1 AND id = $2";
    WHERE_STAGED = "SELECT u.id, u.campaign, u.parked, 1, u.unique_references, u.created_at \
        FROM uploads u JOIN staged ON staged.upload = u.id \
        WHERE u.state = 'committed' AND u.account = $1 AND staged.id = $2 /*! FOR UPDATE OF u */";
}

/// Rows that one transaction makes dialable or forgets: a few milliseconds of the writer's time.
pub(crate) const CHORE_ROWS: usize = 250;
/// Rows that one transaction stages.
const STAGE_ROWS: usize = 500;

/// An upload that is over one way or the other.
struct Over {
    upload: UploadId,
    campaign: CampaignId,
    parked: bool,
    committed: bool,
    unique_references: bool,
    created_at: Timestamp,
}

impl Store {
    /// Begins to take in a long list, which counts only once it is committed.
    ///
    /// Campaign and application are created where they are new, and stay where it is aborted.
    pub async fn begin_upload(
        &self,
        now: Timestamp,
        rule: &ContactRule,
    ) -> Result<UploadId, StoreError> {
        let rule = rule.clone();
        self.write(3, move |tx| begin(tx, now, &rule)).await
    }

    /// Adds contacts to an upload. They have their ids, and are neither dialed nor shown before the
    /// commit.
    pub async fn upload_add(
        &self,
        upload: UploadId,
        contacts: Vec<NewContact>,
    ) -> Result<Vec<ContactId>, StoreError> {
        let given = self.upload_take(upload, contacts).await?;
        Ok(given.into_iter().map(|given| given.id).collect())
    }

    /// The same, and which of them are new: where the campaign takes each reference in once, a
    /// contact with one that it has had is the contact that had it.
    pub async fn upload_take(
        &self,
        upload: UploadId,
        contacts: Vec<NewContact>,
    ) -> Result<Vec<Given>, StoreError> {
        let home = self.home();
        let mut ids = Vec::with_capacity(contacts.len());
        let mut contacts = contacts.into_iter();
        loop {
            let part: Vec<NewContact> = contacts.by_ref().take(STAGE_ROWS).collect();
            if part.is_empty() {
                return Ok(ids);
            }
            let staged = self
                .write_with(Manner::PREPARED, part.len(), move |tx| stage(tx, home, upload, &part))
                .await?;
            ids.extend(staged);
        }
    }

    /// Commits an upload: from the answer on all its contacts are taken in, a crash included.
    ///
    /// The first become dialable with it, the others in the moments that follow.
    pub async fn commit_upload(&self, upload: UploadId) -> Result<(), StoreError> {
        self.write(CHORE_ROWS, move |tx| commit(tx, upload)).await
    }

    /// Forgets an upload and its contacts.
    pub async fn abort_upload(&self, upload: UploadId) -> Result<(), StoreError> {
        self.write_with(Manner::PREPARED, 1, move |tx| abort(tx, upload)).await
    }
}

/// Commits an upload, and makes the first of its contacts dialable.
pub(crate) fn commit(tx: &mut Tx<'_>, upload: UploadId) -> Result<(), StoreError> {
    if tx.run(COMMIT, values![upload])? == 0 {
        return Err(unknown(upload));
    }
    if chore(tx)? {
        tx.leave_chores();
    }
    Ok(())
}

/// Gives an upload up; what was staged is forgotten in idle moments.
pub(crate) fn abort(tx: &mut Tx<'_>, upload: UploadId) -> Result<(), StoreError> {
    tx.leave_chores();
    match tx.run(ABORT, values![upload])? {
        0 => Err(unknown(upload)),
        _ => Ok(()),
    }
}

/// Makes a part of a committed upload dialable, or forgets a part of an aborted one; whether more
/// is left.
pub(crate) fn chore(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    match tx.one(NEXT_CHORE, &[], over)? {
        Some(next) => carry_on(tx, &next).map(|()| true),
        None => Ok(false),
    }
}

/// Makes a part of a campaign's committed uploads dialable; `false` where nothing was left.
pub(crate) fn chore_of_campaign(tx: &mut Tx<'_>, campaign: CampaignId) -> Result<bool, StoreError> {
    match tx.one(NEXT_OF_CAMPAIGN, values![campaign], over)? {
        Some(next) => carry_on(tx, &next).map(|()| true),
        None => Ok(false),
    }
}

/// Makes a single contact of a committed upload dialable; `false` where none holds it.
pub(crate) fn publish_one(
    tx: &mut Tx<'_>,
    account: AccountId,
    contact: ContactId,
) -> Result<bool, StoreError> {
    let values = values![account, contact];
    let Some(from) = tx.one(WHERE_STAGED, values, over)? else {
        return Ok(false);
    };
    publish(tx, &from, contact.0, contact.0, 1)?;
    tx.run(UNSTAGE, values![from.upload, contact])?;
    Ok(true)
}

/// A contact of a committed upload that has not come to its place yet.
pub(crate) fn committed(
    sql: Sql<'_>,
    account: AccountId,
    contact: ContactId,
) -> Result<Option<Contact>, StoreError> {
    sql.one(COMMITTED, values![account, contact], |row| row.contact())
}

/// Writes down what the contacts of an upload share.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    now: Timestamp,
    rule: &ContactRule,
) -> Result<UploadId, StoreError> {
    let shared = share(tx, now, rule)?;
    let DialWindow { opens_at, closes_at } = rule.window;
    let waits = rule.retry.waits.to_string();
    let values = values![
        rule.account,
        shared.of_campaign.campaign,
        shared.application,
        shared.parked,
        shared.next_at,
        opens_at,
        closes_at,
        rule.retry.attempts_max.max(1),
        rule.retry.wait,
        now,
        rule.dialect,
        rule.result_url.as_deref(),
        rule.terms.priority,
        rule.terms.ring_time_max,
        waits.as_str(),
        tx.node,
        shared.of_campaign.unique_references,
    ];
    tx.the(BEGIN, values, |row| row.int()).map(UploadId)
}

fn stage(
    tx: &mut Tx<'_>,
    home: Country,
    upload: UploadId,
    contacts: &[NewContact],
) -> Result<Vec<Given>, StoreError> {
    let open = tx.one(IS_OPEN, values![upload], |row| {
        let (next_at, priority) = (row.time()?, row.priority()?);
        Ok((next_at, priority, CampaignId(row.int()?), row.flag()?, row.maybe_country()?))
    })?;
    let (next_at, usual, campaign, is_unique, country) = open.ok_or_else(|| unknown(upload))?;
    let home = country.unwrap_or(home);
    let ids = take_ids(tx, contacts.len())?;
    let mut given = Vec::with_capacity(ids.len());
    for (id, contact) in ids.iter().zip(contacts) {
        if is_unique && !contact.reference.is_empty() {
            // Taken only with the commit: whoever commits first has it.
            let had = contacts::with_reference(tx, campaign, &contact.reference)?;
            if let Some(id) = had {
                given.push(Given { id, is_new: false });
                continue;
            }
        }
        given.push(Given { id: *id, is_new: true });
        let destination = contact.destination.to_string();
        let (reference, parameters) = (contact.reference.as_str(), contact.parameters.as_str());
        let priority = contact.priority.unwrap_or(usual);
        let (variables, place) = (contact.variables.to_string(), contact.place.to_string());
        let number = key(&contact.destination, home);
        let values = values![
            upload,
            *id,
            destination.as_str(),
            reference,
            parameters,
            priority,
            priority.rank_at(next_at),
            variables.as_str(),
            place.as_str(),
            number.as_str(),
        ];
        tx.put(STAGE, values)?;
    }
    Ok(given)
}

fn carry_on(tx: &mut Tx<'_>, over: &Over) -> Result<(), StoreError> {
    let most = i64::try_from(CHORE_ROWS).unwrap_or(i64::MAX);
    let part = |row: &mut crate::driver::Row<'_>| Ok((row.int()?, row.int()?, row.int()?));
    let (many, first, last) = tx.the(PART, values![over.upload, most], part)?;
    if over.committed && many > 0 {
        publish(tx, over, first, last, many)?;
    }
    tx.run(FORGET_PART, values![over.upload, last])?;
    if many < most {
        tx.run(FORGET, values![over.upload])?;
    }
    Ok(())
}

fn publish(
    tx: &mut Tx<'_>,
    over: &Over,
    first: i64,
    last: i64,
    many: i64,
) -> Result<(), StoreError> {
    tx.run(PUBLISH, values![over.upload, first, last])?;
    let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let shift = tx.numbers(Number::Event, span)? - first;
    tx.run(PUBLISH_EVENTS, values![shift, over.upload, first, last])?;
    let standing = Standing::of(ContactState::Waiting, over.parked);
    tx.come(over.campaign, standing, many);
    if over.unique_references { end_doubles(tx, over, first, last) } else { Ok(()) }
}

/// Ends those of them as canceled whose references the campaign has had, so that each has a result
/// and none is dialed: they were staged before the others were taken in.
fn end_doubles(tx: &mut Tx<'_>, over: &Over, first: i64, last: i64) -> Result<(), StoreError> {
    let values = values![over.upload, first, last];
    let staged = tx.all(REFERENCES, values, |row| Ok((ContactId(row.int()?), row.text()?)))?;
    for (id, reference) in staged {
        let campaign = over.campaign;
        let taken = contacts::take_reference(tx, over.created_at, campaign, &reference, id)?;
        let Some(other) = taken else { continue };
        let Some(held) = contacts::held(tx, id)? else { continue };
        let at = held.contact.created_at;
        let detail = format!("reference: it is that of call {other}");
        let (kind, account) = (EventKind::Refused, held.contact.account);
        contacts::tell(tx, account, id, None, at, kind, &detail)?;
        contacts::end_waiting(tx, held, at, Disposition::Canceled)?;
    }
    Ok(())
}

fn over(row: &mut crate::driver::Row<'_>) -> Result<Over, StoreError> {
    Ok(Over {
        upload: UploadId(row.int()?),
        campaign: CampaignId(row.int()?),
        parked: row.flag()?,
        committed: row.flag()?,
        unique_references: row.flag()?,
        created_at: row.time()?,
    })
}

const fn unknown(upload: UploadId) -> StoreError {
    StoreError::Unknown { what: "upload", id: upload.0 }
}
