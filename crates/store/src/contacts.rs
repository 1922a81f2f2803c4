//! Taking contacts in, moving them on, and reading them.

use domain::application::Application;
use domain::contact::{Contact, ContactRule, ContactState, NewContact};
use domain::event::{Event, EventKind};
use domain::ids::{AccountId, ApplicationId, AttemptId, CampaignId, ContactId};
use domain::outcome::Disposition;
use domain::region::Country;
use domain::time::{DialWindow, Timestamp};

use crate::driver::Sql;
use crate::inbox::Manner;
use crate::numbers::key;
use crate::share::{OfCampaign, Shared, share};
use crate::tx::{Number, Standing, Tx};
use crate::value::{contact_columns, cut, queries, values};
use crate::{ContactFilter, Cursor, Page, Reader, Store, StoreError, uploads, webhooks};

queries! {
    ADD = "INSERT INTO contacts (id, account, campaign, application, state, parked, next_at, \
        opens_at, closes_at, attempts_max, wait_ms, created_at, dialect, destination, reference, \
        parameters, result_url, priority, rank_at, ring_ms, waits, variables, place, number) \
        VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
        $17, $18, $19, $20, $21, $22, $23)";
    APPLICATION = "SELECT id, account, source, script, parameters, dialect, detection \
        FROM applications WHERE id = $1";
    CONTACT = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE account = $1 AND id = $2"
    );
    EVENTS = "SELECT id, contact, attempt, at, kind, detail FROM events \
        WHERE contact = $1 ORDER BY at, id LIMIT $2";
    HELD = concat!(
        "SELECT ", contact_columns!(), ", contacts.parked, contacts.cancel_asked \
         FROM contacts WHERE id = $1 /*! FOR UPDATE OF contacts */"
    );
    // Of a call that makes mistake after mistake the rest is told all the same.
    HISTORY = "SELECT id, contact, attempt, at, kind, detail FROM events \
        WHERE contact = $1 AND kind <> 'script_error' ORDER BY at, id LIMIT $2";
    LIST = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE account = $1 AND id < $2 \
         ORDER BY id DESC LIMIT $3"
    );
    LIST_CALLING = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE account = $1 AND state = 'calling' \
         AND id IN (SELECT contact FROM attempts WHERE outcome IS NULL) \
         AND id < $2 ORDER BY id DESC"
    );
    // The plus keeps the account's own index out of it: a campaign is the smaller part.
    LIST_CAMPAIGN = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE +account = $1 AND campaign = $2 \
         AND id < $3 ORDER BY id DESC LIMIT $4"
    );
    LIST_ENDED = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE +account = $1 AND campaign = $2 \
         AND state = $3 AND ended_at IS NOT NULL AND id < $4 ORDER BY id DESC LIMIT $5"
    );
    LIST_WAITING = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE +account = $1 AND campaign = $2 \
         AND state = 'waiting' AND id < $3 AND id >= $4 ORDER BY id DESC LIMIT $5"
    );
    LIST_STATE = concat!(
        "SELECT ", contact_columns!(), " FROM contacts WHERE account = $1 AND state = $2 \
         AND id < $3 AND id >= $4 ORDER BY id DESC LIMIT $5"
    );
    // Its row may have been forgotten long since, and its reference not.
    IS_KNOWN = "SELECT id FROM contacts WHERE id = $1 UNION ALL \
        SELECT staged.id FROM staged JOIN uploads u ON u.id = staged.upload \
        WHERE staged.id = $1 AND u.state = 'committed' LIMIT 1";
    MOVE = "UPDATE contacts SET state = $1, parked = $2, next_at = $3, attempts = $4, \
        last_outcome = $5, last_attempt_at = $6, duration_s = $7, ended_at = $8, rank_at = $9, \
        message_left = $10 WHERE id = $11";
    LOOK_END = "SELECT id FROM contacts WHERE account = $1 AND id < $2 \
        ORDER BY id DESC LIMIT 1 OFFSET $3";
    LOOK_END_OF_CAMPAIGN = "SELECT id FROM contacts WHERE campaign = $1 AND id < $2 \
        ORDER BY id DESC LIMIT 1 OFFSET $3";
    FORGET_REFERENCES = "DELETE FROM taken_references WHERE (campaign, reference) IN \
        (SELECT t.campaign, t.reference FROM taken_references AS t WHERE t.taken_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM contacts WHERE contacts.id = t.contact \
        AND contacts.ended_at IS NULL) ORDER BY t.taken_at LIMIT $2)";
    TAKEN_REFERENCE = "SELECT contact FROM taken_references \
        WHERE campaign = $1 AND reference = $2";
    TAKE_OVER_REFERENCE = "UPDATE taken_references SET contact = $1, taken_at = $2 \
        WHERE campaign = $3 AND reference = $4";
    TAKE_REFERENCE = "INSERT INTO taken_references (campaign, reference, contact, taken_at) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (campaign, reference) DO NOTHING";
    TELL = "INSERT INTO events (contact, id, attempt, at, kind, detail, account) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    // Of a contact that was there before this transaction.
    TELL_OF_CALL = "INSERT INTO events (contact, id, attempt, at, kind, detail, account) \
        VALUES ($1, $2, $3, $4, $5, $6, (SELECT account FROM contacts WHERE id = $1))";
}

/// Most events of a contact that are read: a script may note errors without end.
const EVENTS_MAX: u32 = 1_000;
/// Contacts looked through for one page of those in a state where there is no index by state: a page
/// that comes up short still says where to go on.
const LOOK_MAX: u32 = 20_000;

/// A contact as a transaction holds it, with what only the store knows.
pub(crate) struct Held {
    /// The contact.
    pub contact: Contact,
    /// It waits, and its time was ahead when last looked at.
    pub parked: bool,
    /// Somebody asked that it end as soon as its call ends.
    pub cancel_asked: bool,
}

/// The id of a contact that was asked to be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its id.
    pub id: ContactId,
    /// Whether it is new; else its campaign had its reference before.
    pub is_new: bool,
}

impl Store {
    /// Takes contacts in, all or none; campaign and application are created where they are new.
    ///
    /// One transaction: for more than some hundred contacts use an upload. Where the campaign takes
    /// each reference in once, a contact with one that it has had is the contact that had it.
    pub async fn add_contacts(
        &self,
        now: Timestamp,
        rule: &ContactRule,
        contacts: Vec<NewContact>,
    ) -> Result<Vec<ContactId>, StoreError> {
        let rule = rule.clone();
        let home = self.home();
        let added = self.write(contacts.len(), move |tx| add(tx, now, home, &rule, &contacts));
        Ok(added.await?.1.into_iter().map(|given| given.id).collect())
    }

    /// Forgets up to `limit` references that were taken before this moment and whose contacts have
    /// ended; how many there were. A contact with such a reference is new.
    pub async fn purge_references(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError> {
        self.write_with(Manner::PREPARED, limit as usize, move |tx| {
            tx.run(FORGET_REFERENCES, values![before, limit])
        })
        .await
    }
}

impl Store {
    /// What happened to a contact, as [`Reader::history`] says it, for the engine's own use.
    pub async fn history(&self, contact: ContactId) -> Result<Vec<Event>, StoreError> {
        self.eyes().history(contact).await
    }
}

impl Reader {
    /// A contact of the account.
    pub async fn contact(
        &self,
        account: AccountId,
        contact: ContactId,
    ) -> Result<Option<Contact>, StoreError> {
        self.look(move |sql| {
            sql.snapshot(|sql| {
                let values = values![account, contact];
                match sql.one(CONTACT, values, |row| row.contact())? {
                    Some(found) => Ok(Some(found)),
                    None => uploads::committed(sql, account, contact),
                }
            })
        })
        .await
    }

    /// Contacts of the account, newest first, at most `limit` in a page.
    ///
    /// A page may come up short, even empty, and still have a next one. Of an upload that is being
    /// made dialable, only the part that already is.
    pub async fn contacts(
        &self,
        account: AccountId,
        filter: ContactFilter,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Contact>, StoreError> {
        let below = Cursor::before(from);
        self.look(move |sql| {
            sql.snapshot(|sql| match (filter.campaign, filter.state) {
                (None, None) => {
                    let values = values![account, below, limit];
                    let items = sql.all(LIST, values, |row| row.contact())?;
                    Ok(Page::of(items, limit, |item| item.id.0))
                }
                (Some(campaign), None) => {
                    let values = values![account, campaign, below, limit];
                    let items = sql.all(LIST_CAMPAIGN, values, |row| row.contact())?;
                    Ok(Page::of(items, limit, |item| item.id.0))
                }
                (campaign, Some(ContactState::Calling)) => {
                    calling(sql, account, campaign, below, limit)
                }
                (Some(campaign), Some(ContactState::Done(disposition))) => {
                    let values = values![account, campaign, disposition.name(), below, limit];
                    let items = sql.all(LIST_ENDED, values, |row| row.contact())?;
                    Ok(Page::of(items, limit, |item| item.id.0))
                }
                (Some(campaign), Some(ContactState::Waiting)) => {
                    waiting(sql, account, campaign, below, limit)
                }
                (None, Some(state)) => in_state(sql, account, state, below, limit),
            })
        })
        .await
    }

    /// What happened to a contact, oldest first, the first 1,000 facts.
    pub async fn events(&self, contact: ContactId) -> Result<Vec<Event>, StoreError> {
        self.look(move |sql| sql.all(EVENTS, values![contact, EVENTS_MAX], |row| row.event())).await
    }

    /// The same without mistakes of scripts: all that happened to its attempts.
    pub async fn history(&self, contact: ContactId) -> Result<Vec<Event>, StoreError> {
        self.look(move |sql| sql.all(HISTORY, values![contact, EVENTS_MAX], |row| row.event()))
            .await
    }

    /// What runs when somebody answers.
    pub async fn application(
        &self,
        application: ApplicationId,
    ) -> Result<Option<Application>, StoreError> {
        self.look(move |sql| sql.one(APPLICATION, values![application], |row| row.application()))
            .await
    }
}

/// The contact of a campaign that has this reference; `None` where none has, or it is forgotten.
pub(crate) fn with_reference(
    tx: &Tx<'_>,
    campaign: CampaignId,
    reference: &str,
) -> Result<Option<ContactId>, StoreError> {
    let taken = tx.one(TAKEN_REFERENCE, values![campaign, reference], |row| row.int())?;
    match taken {
        Some(taken) => {
            let known = tx.one(IS_KNOWN, values![taken], |row| row.int())?;
            Ok(known.map(ContactId))
        }
        None => Ok(None),
    }
}

/// Takes a reference for a contact; else the contact that has it.
pub(crate) fn take_reference(
    tx: &Tx<'_>,
    now: Timestamp,
    campaign: CampaignId,
    reference: &str,
    contact: ContactId,
) -> Result<Option<ContactId>, StoreError> {
    // Where another server takes it at this moment, this waits for what becomes of that.
    if tx.run(TAKE_REFERENCE, values![campaign, reference, contact, now])? > 0 {
        return Ok(None);
    }
    match with_reference(tx, campaign, reference)? {
        Some(other) if other != contact => Ok(Some(other)),
        Some(_) => Ok(None),
        None => {
            tx.run(TAKE_OVER_REFERENCE, values![contact, now, campaign, reference])?;
            Ok(None)
        }
    }
}

/// Takes ids for `many` contacts.
pub(crate) fn take_ids(tx: &mut Tx<'_>, many: usize) -> Result<Vec<ContactId>, StoreError> {
    let first = tx.numbers(Number::Contact, many)?;
    Ok((first..).take(many).map(ContactId).collect())
}

/// The contact of this id as a transaction holds it.
pub(crate) fn held(tx: &Tx<'_>, contact: ContactId) -> Result<Option<Held>, StoreError> {
    tx.one(HELD, values![contact], |row| {
        Ok(Held { contact: row.contact()?, parked: row.flag()?, cancel_asked: row.flag()? })
    })
}

/// Writes where a contact now stands; where it ended, tells and owes that, too.
pub(crate) fn move_on(
    tx: &mut Tx<'_>,
    from: Standing,
    contact: &Contact,
    parked: bool,
) -> Result<(), StoreError> {
    tx.put(
        MOVE,
        values![
            contact.state.name(),
            parked,
            contact.next_at,
            contact.attempts,
            contact.last_outcome.map(domain::outcome::Outcome::name),
            contact.last_attempt_at,
            contact.duration_s,
            contact.ended_at,
            contact.terms.priority.rank_at(contact.next_at),
            contact.message_left,
            contact.id,
        ],
    )?;
    tx.go(contact.campaign, from, Standing::of(contact.state, parked));
    if let (ContactState::Done(disposition), Some(at)) = (contact.state, contact.ended_at) {
        tell(tx, contact.account, contact.id, None, at, EventKind::Done, disposition.name())?;
        webhooks::owe(tx, contact, at)?;
    }
    Ok(())
}

/// Ends a contact that waits.
pub(crate) fn end_waiting(
    tx: &mut Tx<'_>,
    held: Held,
    at: Timestamp,
    disposition: Disposition,
) -> Result<(), StoreError> {
    let from = Standing::of(held.contact.state, held.parked);
    let mut contact = held.contact;
    contact.state = ContactState::Done(disposition);
    contact.ended_at = Some(at);
    move_on(tx, from, &contact, false)
}

/// Writes down a fact about a contact, and owes it to the endpoints that asked for such.
pub(crate) fn tell(
    tx: &mut Tx<'_>,
    account: AccountId,
    contact: ContactId,
    attempt: Option<AttemptId>,
    at: Timestamp,
    kind: EventKind,
    detail: &str,
) -> Result<(), StoreError> {
    let id = tx.numbers(Number::Event, 1)?;
    let values = values![contact, id, attempt, at, kind.name(), cut(detail), account];
    tx.put(TELL, values)?;
    webhooks::owe_fact(tx, contact, attempt, at, kind, detail)
}

/// The same of a contact in a call, by whoever does not know whose it is.
pub(crate) fn tell_of_call(
    tx: &mut Tx<'_>,
    contact: ContactId,
    attempt: AttemptId,
    at: Timestamp,
    kind: EventKind,
    detail: &str,
) -> Result<(), StoreError> {
    let id = tx.numbers(Number::Event, 1)?;
    let values = values![contact, id, attempt, at, kind.name(), cut(detail)];
    tx.put(TELL_OF_CALL, values)?;
    webhooks::owe_fact(tx, contact, Some(attempt), at, kind, detail)
}

/// Takes contacts in.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    now: Timestamp,
    home: Country,
    rule: &ContactRule,
    contacts: &[NewContact],
) -> Result<(Shared, Vec<Given>), StoreError> {
    let shared = share(tx, now, rule)?;
    let OfCampaign { campaign, unique_references, country, .. } = shared.of_campaign;
    let home = country.unwrap_or(home);
    let ids = take_ids(tx, contacts.len())?;
    let DialWindow { opens_at, closes_at } = rule.window;
    let mut given = Vec::with_capacity(ids.len());
    for (id, contact) in ids.iter().zip(contacts) {
        if unique_references && !contact.reference.is_empty() {
            let had = take_reference(tx, now, campaign, &contact.reference, *id)?;
            if let Some(id) = had {
                given.push(Given { id, is_new: false });
                continue;
            }
        }
        given.push(Given { id: *id, is_new: true });
        let destination = contact.destination.to_string();
        let priority = contact.priority.unwrap_or(rule.terms.priority);
        tx.put(
            ADD,
            values![
                *id,
                rule.account,
                campaign,
                shared.application,
                shared.parked,
                shared.next_at,
                opens_at,
                closes_at,
                rule.retry.attempts_max.max(1),
                rule.retry.wait,
                now,
                rule.dialect,
                destination.as_str(),
                contact.reference.as_str(),
                contact.parameters.as_str(),
                rule.result_url.as_deref(),
                priority,
                priority.rank_at(shared.next_at),
                rule.terms.ring_time_max,
                rule.retry.waits.to_string().as_str(),
                contact.variables.to_string().as_str(),
                contact.place.to_string().as_str(),
                key(&contact.destination, home).as_str(),
            ],
        )?;
        tell(tx, rule.account, *id, None, now, EventKind::Queued, "")?;
    }
    let standing = Standing::of(ContactState::Waiting, shared.parked);
    let many = given.iter().filter(|given| given.is_new).count();
    tx.come(campaign, standing, i64::try_from(many).unwrap_or(i64::MAX));
    Ok((shared, given))
}

/// Those in a call: as many as there are calls, found by their open attempts.
fn calling(
    sql: Sql<'_>,
    account: AccountId,
    campaign: Option<CampaignId>,
    below: i64,
    limit: u32,
) -> Result<Page<Contact>, StoreError> {
    let mut items = sql.all(LIST_CALLING, values![account, below], |row| row.contact())?;
    items.retain(|contact| campaign.is_none_or(|campaign| contact.campaign == campaign));
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Page::of(items, limit, |item| item.id.0))
}

fn waiting(
    sql: Sql<'_>,
    account: AccountId,
    campaign: CampaignId,
    below: i64,
    limit: u32,
) -> Result<Page<Contact>, StoreError> {
    let values = values![campaign, below, LOOK_MAX - 1];
    let end = sql.one(LOOK_END_OF_CAMPAIGN, values, |row| row.int())?;
    let values = values![account, campaign, below, end.unwrap_or(0), limit];
    let items = sql.all(LIST_WAITING, values, |row| row.contact())?;
    Ok(Page::of(items, limit, |item| item.id.0).or_from(end))
}

fn in_state(
    sql: Sql<'_>,
    account: AccountId,
    state: ContactState,
    below: i64,
    limit: u32,
) -> Result<Page<Contact>, StoreError> {
    let values = values![account, below, LOOK_MAX - 1];
    let end = sql.one(LOOK_END, values, |row| row.int())?;
    let values = values![account, state.name(), below, end.unwrap_or(0), limit];
    let items = sql.all(LIST_STATE, values, |row| row.contact())?;
    Ok(Page::of(items, limit, |item| item.id.0).or_from(end))
}
