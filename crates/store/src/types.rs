//! What the store hands out beside the domain's own types, and how its verbs fail.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::application::{Application, Dialect};
use domain::attempt::Attempt;
use domain::campaign::{Campaign, CampaignCounts};
use domain::contact::{Contact, ContactState};
use domain::ids::{
    AccountId, AttemptId, CampaignId, ContactId, DeliveryId, EndpointId, TrunkId, WebhookId,
};
use domain::outcome::Outcome;
use domain::region::Country;
use domain::retry::Verdict;
use domain::time::Timestamp;
use domain::webhook::Topic;

use crate::postgres::{Known, Target};

/// Where the store is and how it groups its work.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The database file; `-wal`, `-shm` and `.lock` files appear beside it. With a `url` only the
    /// lock is there, which keeps a second server off the same directory.
    pub path: PathBuf,
    /// A PostgreSQL database, as `postgres://role:password@host/database`, instead of the file.
    pub url: Option<String>,
    /// The country as whose numbers are read that name none.
    pub home: Country,
    /// How long an operation that a client waits for waits for others to share its commit.
    pub group_window: Duration,
    /// How much longer attempts wait for that when they begin and end: calls come one by one.
    pub dial_window: Duration,
    /// Most operations that share one commit.
    pub group_ops_max: usize,
    /// How long notes may wait for a commit of something that cannot wait.
    pub note_delay_max: Duration,
    /// How often what was written ahead moves into the database file.
    pub checkpoint_every: Duration,
    /// Threads that read.
    pub readers: usize,
    /// Operations that may wait for the writer; further callers wait for a place.
    pub waiting_ops_max: usize,
    /// Largest database file, in bytes; more is refused as a full disk is.
    pub file_bytes_max: Option<u64>,
    /// What this store's connections tell each other of the servers that the URL names.
    pub known: Known,
}

impl StoreConfig {
    /// The settings for a server, with the database file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            url: None,
            home: Country::US,
            group_window: Duration::from_millis(3),
            dial_window: Duration::from_millis(9),
            group_ops_max: 256,
            note_delay_max: Duration::from_millis(100),
            checkpoint_every: Duration::from_millis(250),
            readers: 2,
            waiting_ops_max: 4_096,
            file_bytes_max: None,
            known: Known::default(),
        }
    }

    /// The same with a PostgreSQL database, where there is a URL of one.
    #[must_use]
    pub fn at_url(self, url: Option<String>) -> Self {
        Self { url, ..self }
    }

    /// Where the database is, for people: without secrets.
    pub fn place(&self) -> String {
        match &self.url {
            Some(url) => {
                Target::parse(url).map_or_else(|_| "an unreadable URL".into(), |t| t.shown())
            }
            None => self.path.display().to_string(),
        }
    }
}

/// Why the store did not do or say something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is closed or closing. Nobody repairs it: the program is ending.
    #[error("store is closed")]
    Closed,
    /// A row holds what this program never writes. A person with database access repairs it.
    #[error("store holds {0}")]
    Damaged(String),
    /// Another process has the same database open. The operator repairs it.
    #[error("{} is in use by another server", .0.display())]
    InUse(PathBuf),
    /// The database was written by a newer program. The operator repairs it.
    #[error("database has schema {found}, this program knows up to {known}")]
    TooNew {
        /// Version found in the file.
        found: i64,
        /// Newest version of this program.
        known: i64,
    },
    /// Disk full, I/O error, and their like; nothing was changed. Time or the operator repairs it.
    #[error("store is unavailable")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The caller named something that does not exist. The caller repairs it.
    #[error("{what} {id} does not exist")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// The id by which it was asked for.
        id: i64,
    },
}

/// Why something with a unique name was not created.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CreateError {
    /// The name, login or key id is taken. The client chooses another.
    #[error("{0:?} is taken")]
    Taken(String),
    /// The store failed. Time repairs it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An upload under way: contacts that are taken in together or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(pub i64);

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportState {
    /// Its file has been read; it waits for its commit.
    Checked,
    /// Its file is being read.
    Checking,
    /// Its contacts are taken in.
    Committed,
    /// It was thrown away, or the process that read its file has ended.
    Discarded,
}

impl ImportState {
    /// The name that is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Checking => "checking",
            Self::Committed => "committed",
            Self::Discarded => "discarded",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Checked, Self::Checking, Self::Committed, Self::Discarded];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// A file of contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: UploadId,
    /// Where it stands.
    pub state: ImportState,
    /// Name of the file, as the client gave it.
    pub file_name: String,
    /// What was found in it, as the client is told; empty before it is checked.
    pub report: String,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// An attempt that is written down and may now be dialed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Whom it tries; already `Calling`, this attempt counted.
    pub contact: Contact,
    /// The attempt.
    pub attempt: Attempt,
    /// What runs when somebody answers; shared, for documents may be long.
    pub application: Arc<Application>,
    /// Who is shown as calling; the trunk's own without it.
    pub caller_id: Option<String>,
}

/// An attempt that a trunk refused before anything rang, on its way to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reroute {
    /// The attempt.
    pub attempt: AttemptId,
    /// Whom it tries.
    pub contact: ContactId,
    /// The trunk that it takes now.
    pub trunk: TrunkId,
    /// Which trunk refused it, and in which words.
    pub refusal: String,
}

/// What came of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Attempts that are written down and may now be dialed.
    pub begun: Vec<Begun>,
    /// Contacts that the judge made wait.
    pub held: u32,
    /// Contacts that the judge ended.
    pub ended: u32,
    /// Campaigns of which the judge does not know the policy that the store has.
    pub unknown: Vec<CampaignId>,
    /// Campaigns at whose head more were looked at than one transaction does, and more are left.
    pub unfinished: Vec<CampaignId>,
}

/// What the end of an attempt brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The contact after it.
    pub contact: Contact,
    /// What follows for the contact.
    pub verdict: Verdict,
    /// The attempt had ended before: nothing was changed, and the rest says how things stand.
    pub repeated: bool,
}

/// What a cancel met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The contact has ended already; nothing was changed.
    AlreadyDone,
    /// It is in a call: the contact will not be dialed again, ending the call is the caller's part.
    Calling(AttemptId),
    /// It waited, and has ended as canceled.
    Canceled,
    /// The account has no such contact.
    NotFound,
}

/// A webhook leased for one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Its id, the same at every delivery.
    pub webhook: WebhookId,
    /// Whose it is.
    pub account: AccountId,
    /// The endpoint that is told; `None`: the result URL of its contact.
    pub endpoint: Option<EndpointId>,
    /// Where it goes.
    pub url: String,
    /// With what it takes turns.
    pub lane: String,
    /// In whose words, if it goes to a result URL.
    pub dialect: Dialect,
    /// What it tells of.
    pub topic: Topic,
    /// The attempt that it concerns.
    pub attempt: Option<AttemptId>,
    /// When it happened.
    pub at: Timestamp,
    /// The detail of its topic.
    pub detail: String,
    /// Deliveries made before this one, since it is owed.
    pub deliveries: u32,
    /// Since when it is owed.
    pub owed_since: Timestamp,
    /// Its endpoint is disabled or deleted: it is to be dropped.
    pub muted: bool,
    /// Whom it tells of; nobody, where an endpoint is tried out.
    pub contact: Option<Contact>,
}

/// What came of one try at delivering a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// When.
    pub at: Timestamp,
    /// Whether the client took it.
    pub accepted: bool,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub latency: Duration,
    /// The first characters of the answer, for people.
    pub answer: String,
    /// What else there is to say, for people.
    pub detail: String,
}

/// Whether a webhook's client has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookState {
    /// The client took it.
    Delivered,
    /// Nobody took it in all that time.
    GivenUp,
    /// It is still to be delivered.
    Owed,
}

impl WebhookState {
    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::Owed => "owed",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Delivered, Self::GivenUp, Self::Owed].into_iter().find(|state| state.name() == name)
    }
}

/// What is owed to a client's URL, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The contact whose end it tells.
    pub contact: ContactId,
    /// Where it goes.
    pub url: String,
    /// Whether the client has it.
    pub state: WebhookState,
    /// Deliveries made.
    pub deliveries: u32,
    /// Since when it is owed.
    pub owed_since: Timestamp,
    /// Not delivered before this moment.
    pub next_at: Timestamp,
}

/// One try at delivering a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; grows with time.
    pub id: DeliveryId,
    /// What was delivered.
    pub webhook: WebhookId,
    /// When.
    pub at: Timestamp,
    /// Whether the client took it.
    pub accepted: bool,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What else there is to say, for people.
    pub detail: String,
}

/// A campaign and how its contacts stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignRow {
    /// The campaign.
    pub campaign: Campaign,
    /// How its contacts stand.
    pub counts: CampaignCounts,
}

/// Which contacts of an account to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContactFilter {
    /// Only those of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only those that stand here.
    pub state: Option<ContactState>,
}

/// A part of a list, newest first, and where the rest begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page of at most `limit` items, found newest first; a full one has a next page.
    pub(crate) fn of(items: Vec<T>, limit: u32, id: impl FnOnce(&T) -> i64) -> Self {
        let full = u32::try_from(items.len()).is_ok_and(|found| found == limit);
        let last = items.last().filter(|_| full);
        let next = last.map(|last| Cursor(id(last)));
        Self { items, next }
    }

    /// The same where more is to be looked through below `end`, though the page is not full.
    pub(crate) fn or_from(mut self, end: Option<i64>) -> Self {
        self.next = self.next.or(end.map(Cursor));
        self
    }
}

/// Where a page begins. Clients give back the text they were given and read nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) i64);

/// The text is no cursor that a page gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cursor is not one that a page gave")]
pub struct CursorError;

impl Cursor {
    /// The id below which a page begins.
    pub(crate) fn before(from: Option<Self>) -> i64 {
        from.map_or(i64::MAX, |cursor| cursor.0)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits = text.strip_prefix('c').ok_or(CursorError)?;
        // `from_str_radix` would take a sign, which no page writes.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        i64::from_str_radix(digits, 16).map(Self).map_err(|_| CursorError)
    }
}

/// Sums over the whole store, kept as they change, cheap to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Contacts of all campaigns by where they stand.
    pub contacts: CampaignCounts,
    /// Attempts ended so far by outcome, in the order of [`Outcome::ALL`], zeros included.
    pub outcomes: Vec<(Outcome, u64)>,
    /// Webhooks still to be delivered.
    pub webhooks_owed: u64,
    /// Webhooks that clients took.
    pub webhooks_delivered: u64,
    /// Webhooks that nobody took.
    pub webhooks_given_up: u64,
}
