//! Answers kept for requests that carried a key: the same request, sent again, is done once.
//!
//! A key and the answer to its request are written in the transaction that does what was asked for:
//! a crash leaves both or neither.

use domain::campaign::Campaign;
use domain::contact::{Contact, ContactRule, NewContact};
use domain::ids::AccountId;
use domain::time::Timestamp;

use crate::contacts::Given;
use crate::driver::Row;
use crate::inbox::Manner;
use crate::tx::Tx;
use crate::value::{queries, values};
use crate::{
    CreateError, NewCampaign, Reader, Store, StoreError, UploadId, campaigns, contacts, share,
    uploads,
};

queries! {
    // Where another server claims it at this moment, this waits for what becomes of that.
    CLAIM = "INSERT INTO idempotency_keys (account, name, fingerprint, created_at, status, \
        content_type, body) VALUES ($1, $2, $3, $4, 0, '', '') \
        ON CONFLICT (account, name) DO NOTHING";
    FIND = "SELECT fingerprint, status, content_type, location, body, answer \
        FROM idempotency_keys WHERE account = $1 AND name = $2";
    FORGET = "DELETE FROM idempotency_keys WHERE account = $1 AND name = $2";
    FORGET_OLD = "DELETE FROM idempotency_keys WHERE (account, name) IN \
        (SELECT account, name FROM idempotency_keys WHERE created_at < $1 \
         ORDER BY created_at LIMIT $2)";
    FORGET_OLD_PARTS = "DELETE FROM answer_parts WHERE (answer, part) IN \
        (SELECT answer, part FROM answer_parts WHERE created_at < $1 \
         ORDER BY created_at LIMIT $2)";
    KEEP = "UPDATE idempotency_keys SET status = $1, content_type = $2, location = $3, body = $4, \
        answer = $5 WHERE account = $6 AND name = $7";
    KEEP_PART = "INSERT INTO answer_parts (answer, part, created_at, body) \
        VALUES ($1, $2, $3, $4)";
    PART = "SELECT body FROM answer_parts WHERE answer = $1 AND part = $2";
}

/// Under which name long answers are numbered.
const ANSWERS: &str = "answer_ids";

/// A request that is to be done once, whatever it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who asks.
    pub account: AccountId,
    /// The client's own name for the request.
    pub key: String,
    /// A hash of all that makes the request what it is.
    pub fingerprint: [u8; 32],
}

/// An answer, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its media type.
    pub content_type: String,
    /// Address of what was created.
    pub location: Option<String>,
    /// Its body; empty where it is in parts.
    pub body: String,
    /// Under which number the parts of a long body are kept.
    pub parts: Option<AnswerId>,
}

/// Number of an answer that is kept in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerId(pub i64);

/// A contact that was asked to be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenIn {
    /// The contact.
    pub contact: Contact,
    /// Whether it is new; else its campaign had its reference before, and nothing was done.
    pub is_new: bool,
}

/// What became of a request that carried a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met<T> {
    /// It was done.
    Done(T),
    /// Another request carried this key before.
    KeyReused,
    /// It was done before; this is what was answered.
    Repeated(Answer),
}

impl<T> Met<T> {
    /// What was done as `shape` has it; the rest stays.
    pub fn map<U>(self, shape: impl FnOnce(T) -> U) -> Met<U> {
        match self {
            Self::Done(done) => Met::Done(shape(done)),
            Self::KeyReused => Met::KeyReused,
            Self::Repeated(answer) => Met::Repeated(answer),
        }
    }
}

impl<T, E> Met<Result<T, E>> {
    /// What could not be done is an error; the rest stays.
    pub fn transpose(self) -> Result<Met<T>, E> {
        Ok(match self {
            Self::Done(done) => Met::Done(done?),
            Self::KeyReused => Met::KeyReused,
            Self::Repeated(answer) => Met::Repeated(answer),
        })
    }
}

impl Store {
    /// Takes one contact in, once for all requests with this key; `answer` says what is kept.
    pub async fn add_contact_once(
        &self,
        now: Timestamp,
        rule: &ContactRule,
        contact: NewContact,
        key: Option<Once>,
        mut answer: impl FnMut(&TakenIn) -> Answer + Send + 'static,
    ) -> Result<Met<TakenIn>, StoreError> {
        let (rule, home) = (rule.clone(), self.home());
        self.write(2, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                let new = std::slice::from_ref(&contact);
                let (shared, given) = contacts::add(tx, now, home, &rule, new)?;
                let lost = || StoreError::Damaged("a contact not there".into());
                let Given { id, is_new } = given.first().copied().ok_or_else(lost)?;
                let contact = match is_new {
                    true => share::added(id, now, &shared, &rule, &contact),
                    false => {
                        uploads::publish_one(tx, rule.account, id)?;
                        contacts::held(tx, id)?.ok_or_else(lost)?.contact
                    }
                };
                let taken = TakenIn { contact, is_new };
                let kept = key.is_some().then(|| answer(&taken));
                Ok((taken, kept))
            })
        })
        .await
    }

    /// Creates a campaign, once for all requests with this key; `answer` says what is kept.
    pub async fn create_campaign_once(
        &self,
        now: Timestamp,
        new: NewCampaign,
        key: Option<Once>,
        mut answer: impl FnMut(&Campaign) -> Answer + Send + 'static,
    ) -> Result<Met<Campaign>, CreateError> {
        let name = new.name.clone();
        let met = self.write(2, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                let created = campaigns::create(tx, now, &new)?;
                let kept = created.as_ref().filter(|_| key.is_some()).map(&mut answer);
                Ok((created, kept))
            })
        });
        Ok(match met.await? {
            Met::Done(created) => Met::Done(created.ok_or(CreateError::Taken(name))?),
            Met::KeyReused => Met::KeyReused,
            Met::Repeated(answer) => Met::Repeated(answer),
        })
    }

    /// Keeps an answer to what was done before this and would be done again without harm.
    pub async fn keep_answer(
        &self,
        now: Timestamp,
        key: Once,
        answer: Answer,
    ) -> Result<Met<()>, StoreError> {
        self.write(1, move |tx| once(tx, now, Some(&key), |_| Ok(((), Some(answer.clone()))))).await
    }

    /// Commits an upload, once for all requests with this key; where that was done before, the
    /// upload stays open.
    pub async fn commit_upload_once(
        &self,
        now: Timestamp,
        upload: UploadId,
        key: Option<Once>,
        answer: Answer,
    ) -> Result<Met<()>, StoreError> {
        self.write(uploads::CHORE_ROWS, move |tx| {
            once(tx, now, key.as_ref(), |tx| {
                uploads::commit(tx, upload)?;
                Ok(((), Some(answer.clone())))
            })
        })
        .await
    }

    /// A number under which the parts of a long answer are kept.
    pub async fn next_answer(&self) -> Result<AnswerId, StoreError> {
        self.write_with(Manner::PREPARED, 1, |tx| tx.next(ANSWERS).map(AnswerId)).await
    }

    /// Keeps a part of an answer, from 0; it counts once a key names its answer.
    pub async fn keep_answer_part(
        &self,
        now: Timestamp,
        answer: AnswerId,
        part: u32,
        body: String,
    ) -> Result<(), StoreError> {
        self.write_with(Manner::PREPARED, 20, move |tx| {
            tx.put(KEEP_PART, values![answer.0, part, now, body.as_str()])
        })
        .await
    }

    /// Forgets up to `limit` keys and as many parts of answers that were kept before `before`; how
    /// many there were.
    pub async fn purge_answers(&self, before: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.write_with(Manner::PREPARED, limit as usize, move |tx| {
            let keys = tx.run(FORGET_OLD, values![before, limit])?;
            let parts = tx.run(FORGET_OLD_PARTS, values![before, limit])?;
            Ok(u32::try_from(keys + parts).unwrap_or(u32::MAX))
        })
        .await
    }
}

impl Reader {
    /// What was answered to this request, or that its key belongs to another; `None` where the key
    /// is new.
    pub async fn answer(&self, once: Once) -> Result<Option<Met<()>>, StoreError> {
        self.look(move |sql| {
            let values = values![once.account, once.key.as_str()];
            let kept = sql.one(FIND, values, kept)?;
            Ok(kept.map(|kept| kept.met(&once.fingerprint)))
        })
        .await
    }

    /// A part of a long answer; `None` after the last one.
    pub async fn answer_part(
        &self,
        answer: AnswerId,
        part: u32,
    ) -> Result<Option<String>, StoreError> {
        self.look(move |sql| sql.one(PART, values![answer.0, part], |row| row.text())).await
    }
}

/// Does what a request asks for, unless its key says that it was done; `work` says what came of it
/// and, where something was done, what is answered.
///
/// A request of which nothing was done leaves its key free.
pub(crate) fn once<T>(
    tx: &mut Tx<'_>,
    now: Timestamp,
    once: Option<&Once>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<(T, Option<Answer>), StoreError>,
) -> Result<Met<T>, StoreError> {
    let Some(Once { account, key, fingerprint }) = once else {
        return work(tx).map(|(done, _)| Met::Done(done));
    };
    let (account, key) = (*account, key.as_str());
    if tx.run(CLAIM, values![account, key, fingerprint, now])? == 0 {
        let kept = tx.the(FIND, values![account, key], kept)?;
        return Ok(kept.met(fingerprint));
    }
    let (done, answer) = work(tx)?;
    let Some(answer) = answer else {
        tx.run(FORGET, values![account, key])?;
        return Ok(Met::Done(done));
    };
    let values = values![
        u32::from(answer.status),
        answer.content_type.as_str(),
        answer.location.as_deref(),
        answer.body.as_str(),
        answer.parts.map(|parts| parts.0),
        account,
        key,
    ];
    tx.run(KEEP, values)?;
    Ok(Met::Done(done))
}

/// A key's row.
struct Kept {
    fingerprint: [u8; 32],
    answer: Answer,
}

impl Kept {
    fn met<T>(self, fingerprint: &[u8; 32]) -> Met<T> {
        if self.fingerprint == *fingerprint { Met::Repeated(self.answer) } else { Met::KeyReused }
    }
}

fn kept(row: &mut Row<'_>) -> Result<Kept, StoreError> {
    Ok(Kept {
        fingerprint: row.bytes32()?,
        answer: Answer {
            status: row.number()?,
            content_type: row.text()?,
            location: row.maybe_text()?,
            body: row.text()?,
            parts: row.maybe_int()?.map(AnswerId),
        },
    })
}
