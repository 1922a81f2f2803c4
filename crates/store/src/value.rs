//! From the domain's types to a query's parameters and back.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use domain::account::{Account, ApiKey};
use domain::application::{
    Application, ApplicationSpec, Deployment, Dialect, ScriptSource, Service,
};
use domain::attempt::Attempt;
use domain::campaign::{Campaign, CampaignCounts, CampaignState};
use domain::cause::Cause;
use domain::contact::{Contact, ContactState};
use domain::detection::Detection;
use domain::event::{Event, EventKind};
use domain::ids::{
    AccountId, AppId, ApplicationId, AttemptId, CampaignId, ContactId, DeliveryId, DeploymentId,
    EndpointId, EventId, TrunkId, WebhookId,
};
use domain::number::Destination;
use domain::outcome::Outcome;
use domain::region::Country;
use domain::retry::RetryRule;
use domain::terms::{Priority, Terms};
use domain::time::{DialWindow, Timestamp};

use crate::driver::{Row, Value};
use crate::{
    CampaignRow, Delivery, Import, ImportState, PolicyRow, StoreError, UploadId, Webhook,
    WebhookState,
};

/// Columns of a contact, in the order of [`Row::contact`]; the query's table is `contacts`.
macro_rules! contact_columns {
    () => {
        "contacts.id, contacts.account, contacts.campaign, contacts.application, contacts.state, \
         contacts.next_at, contacts.opens_at, contacts.closes_at, contacts.attempts, \
         contacts.attempts_max, contacts.wait_ms, contacts.last_outcome, contacts.last_attempt_at, \
         contacts.duration_s, contacts.created_at, contacts.ended_at, contacts.dialect, \
         contacts.destination, contacts.reference, contacts.parameters, contacts.result_url, \
         (SELECT campaigns.redial_in_doubt FROM campaigns WHERE campaigns.id = contacts.campaign), \
         contacts.priority, contacts.ring_ms, contacts.waits, contacts.variables, contacts.place, \
         contacts.message_left"
    };
}
pub(crate) use contact_columns;

/// Columns of an attempt, in the order of [`Row::attempt`]; the query's table is `attempts`.
macro_rules! attempt_columns {
    () => {
        "attempts.id, attempts.contact, attempts.number, attempts.trunk, attempts.started_at, \
         attempts.ringing_at, attempts.answered_at, attempts.ended_at, attempts.outcome, \
         attempts.sip_status, attempts.q850, attempts.cause, attempts.detected, \
         attempts.message_left"
    };
}
pub(crate) use attempt_columns;

/// Parameters of a query, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::driver::Value::from($value)),*]
    };
}
pub(crate) use values;

/// Names a file's queries, and lists them so that tests can check every one of them.
macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*

        /// Every query of this file by name.
        #[cfg(test)]
        pub(crate) const QUERIES: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use queries;

/// Numbers as one parameter, as PostgreSQL's `string_to_array(…, ',')` takes them apart.
pub(crate) fn listed(numbers: impl Iterator<Item = i64>) -> String {
    let mut list = String::new();
    for number in numbers {
        let comma = if list.is_empty() { "" } else { "," };
        // A string takes all that is written into it.
        let _ = write!(list, "{comma}{number}");
    }
    list
}

macro_rules! id_values {
    ($($id:ident),*) => {$(
        impl From<$id> for Value<'_> {
            fn from(id: $id) -> Self {
                Self::Int(id.0)
            }
        }
    )*};
}

id_values!(
    AccountId,
    AppId,
    ApplicationId,
    AttemptId,
    CampaignId,
    ContactId,
    DeploymentId,
    EndpointId,
    TrunkId,
    UploadId,
    WebhookId
);

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.as_millis())
    }
}

impl From<Duration> for Value<'_> {
    fn from(duration: Duration) -> Self {
        Self::Int(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

impl From<Priority> for Value<'_> {
    fn from(priority: Priority) -> Self {
        Self::Int(i64::from(priority.number()))
    }
}

impl From<Dialect> for Value<'_> {
    fn from(dialect: Dialect) -> Self {
        Self::Int(i64::from(dialect.0))
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v [u8; 32]> for Value<'v> {
    fn from(bytes: &'v [u8; 32]) -> Self {
        Self::Blob(bytes)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Row<'_> {
    /// The next column, a flag.
    pub(crate) fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.int()? != 0)
    }

    /// The next column, a priority.
    pub(crate) fn priority(&mut self) -> Result<Priority, StoreError> {
        let number = self.number()?;
        Priority::new(number).ok_or_else(|| self.damaged(&number.to_string()))
    }

    /// The next column, a number of the type that is asked for.
    pub(crate) fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        let number = self.int()?;
        N::try_from(number).map_err(|_| self.damaged(&number.to_string()))
    }

    /// The next column, a number or nothing.
    pub(crate) fn maybe_number<N: TryFrom<i64>>(&mut self) -> Result<Option<N>, StoreError> {
        let number = self.maybe_int()?;
        let fits = number.map(N::try_from).transpose();
        fits.map_err(|_| self.damaged("a number out of range"))
    }

    /// The next column, a moment.
    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp::from_millis)
    }

    /// The next column, a moment or nothing.
    pub(crate) fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_int()?.map(Timestamp::from_millis))
    }

    /// The next column, a name that `read` knows.
    pub(crate) fn name<T>(
        &mut self,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let name = self.text()?;
        read(&name).ok_or_else(|| self.damaged(&format!("the unknown name {name:?}")))
    }

    /// The next column, a country or nothing.
    pub(crate) fn maybe_country(&mut self) -> Result<Option<Country>, StoreError> {
        let text = self.maybe_text()?;
        let country = text.as_deref().map(str::parse).transpose();
        country.map_err(|_| self.damaged("a text that is no country"))
    }

    fn dialect(&mut self) -> Result<Dialect, StoreError> {
        self.number().map(Dialect)
    }

    fn maybe_outcome(&mut self) -> Result<Option<Outcome>, StoreError> {
        let name = self.maybe_text()?;
        name.map(|name| Outcome::from_name(&name).ok_or(name))
            .transpose()
            .map_err(|name| self.damaged(&format!("the unknown name {name:?}")))
    }

    /// An account: `id, login, pin_hash, created_at`.
    pub(crate) fn account(&mut self) -> Result<Account, StoreError> {
        Ok(Account {
            id: AccountId(self.int()?),
            login: self.text()?,
            pin_hash: self.maybe_text()?,
            created_at: self.time()?,
        })
    }

    /// A key: `key_id, secret_hash, account, created_at`.
    pub(crate) fn api_key(&mut self) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            key_id: self.text()?,
            secret_hash: self.bytes32()?,
            account: AccountId(self.int()?),
            created_at: self.time()?,
        })
    }

    /// A service: `account, name, config, password_hash, created_at, changed_at`.
    pub(crate) fn service(&mut self) -> Result<Service, StoreError> {
        Ok(Service {
            account: AccountId(self.int()?),
            name: self.text()?,
            config: self.text()?,
            password_hash: self.maybe_text()?,
            created_at: self.time()?,
            changed_at: self.time()?,
        })
    }

    /// An application: `id, account, source, script, parameters, dialect, detection`.
    pub(crate) fn application(&mut self) -> Result<Application, StoreError> {
        let (id, account) = (ApplicationId(self.int()?), AccountId(self.int()?));
        let spec = ApplicationSpec {
            script: self.script()?,
            parameters: self.text()?,
            dialect: self.dialect()?,
            detection: self.detection()?,
        };
        Ok(Application { id, account, spec })
    }

    /// Whether it is found out who answered: `detection`.
    fn detection(&mut self) -> Result<Option<Detection>, StoreError> {
        let text = self.text()?;
        let rules = (!text.is_empty()).then(|| text.parse()).transpose();
        rules.map_err(|_| self.damaged("rules for who answered that nobody wrote"))
    }

    /// A script: `source, script`.
    fn script(&mut self) -> Result<ScriptSource, StoreError> {
        let source = self.name(|name| match name {
            "document" => Some(ScriptSource::Document as fn(String) -> ScriptSource),
            "say" => Some(ScriptSource::Say),
            "url" => Some(ScriptSource::Url),
            _ => None,
        })?;
        match source(self.text()?) {
            ScriptSource::Url(url) => match url.strip_prefix(ACTIONS_SCHEME).map(str::parse) {
                Some(Ok(pages)) => Ok(ScriptSource::Actions(pages)),
                Some(Err(error)) => Err(StoreError::Damaged(format!("{error}"))),
                None => Ok(ScriptSource::Url(url)),
            },
            source => Ok(source),
        }
    }

    /// A deployment: `id, app, account, name, created_at, deleted_at, source, script`.
    pub(crate) fn deployment(&mut self) -> Result<Deployment, StoreError> {
        Ok(Deployment {
            id: DeploymentId(self.int()?),
            app: AppId(self.int()?),
            account: AccountId(self.int()?),
            name: self.text()?,
            created_at: self.time()?,
            deleted_at: self.maybe_time()?,
            script: self.script()?,
        })
    }

    /// A campaign: `id, account, name, state, redial_in_doubt, unique_references, created_at`.
    pub(crate) fn campaign(&mut self) -> Result<Campaign, StoreError> {
        Ok(Campaign {
            id: CampaignId(self.int()?),
            account: AccountId(self.int()?),
            name: self.text()?,
            state: self.name(CampaignState::from_name)?,
            redial_in_doubt: self.flag()?,
            unique_references: self.flag()?,
            created_at: self.time()?,
        })
    }

    /// What a campaign says about dialing: `id, account, policy_version, policy`.
    pub(crate) fn policy(&mut self) -> Result<PolicyRow, StoreError> {
        Ok(PolicyRow {
            campaign: CampaignId(self.int()?),
            account: AccountId(self.int()?),
            version: self.number()?,
            text: self.text()?,
        })
    }

    /// Counts: `waiting, calling, completed, failed, expired, canceled`.
    pub(crate) fn counts(&mut self) -> Result<CampaignCounts, StoreError> {
        Ok(CampaignCounts {
            waiting: self.number()?,
            calling: self.number()?,
            completed: self.number()?,
            failed: self.number()?,
            expired: self.number()?,
            canceled: self.number()?,
        })
    }

    /// A campaign, then its counts.
    pub(crate) fn campaign_row(&mut self) -> Result<CampaignRow, StoreError> {
        Ok(CampaignRow { campaign: self.campaign()?, counts: self.counts()? })
    }

    /// An import: `upload, state, file_name, report, created_at`, and whether its upload is open.
    pub(crate) fn import(&mut self) -> Result<Import, StoreError> {
        let id = UploadId(self.int()?);
        let state = self.name(ImportState::from_name)?;
        let (file_name, report, created_at) = (self.text()?, self.text()?, self.time()?);
        // The process that read the file has ended, and its upload was forgotten at the next start.
        let lost = state == ImportState::Checking && !self.flag()?;
        let state = if lost { ImportState::Discarded } else { state };
        Ok(Import { id, state, file_name, report, created_at })
    }

    /// A contact: the columns of [`contact_columns`].
    pub(crate) fn contact(&mut self) -> Result<Contact, StoreError> {
        let id = ContactId(self.int()?);
        let account = AccountId(self.int()?);
        let campaign = CampaignId(self.int()?);
        let application = ApplicationId(self.int()?);
        let state = self.name(ContactState::from_name)?;
        let next_at = self.time()?;
        let window = DialWindow { opens_at: self.maybe_time()?, closes_at: self.maybe_time()? };
        let attempts = self.number()?;
        let (attempts_max, wait_ms) = (self.number()?, self.number()?);
        let last_outcome = self.maybe_outcome()?;
        let last_attempt_at = self.maybe_time()?;
        let duration_s = self.number()?;
        let created_at = self.time()?;
        let ended_at = self.maybe_time()?;
        let dialect = self.dialect()?;
        let destination = self.name(|text| Destination::stored(text).ok())?;
        let (reference, parameters) = (self.text()?, self.text()?);
        let result_url = self.maybe_text()?;
        let redial_in_doubt = self.flag()?;
        let priority = self.priority()?;
        let ring_time_max = self.maybe_number()?.map(Duration::from_millis);
        let waits = self.name(|text| text.parse().ok())?;
        Ok(Contact {
            id,
            account,
            campaign,
            application,
            state,
            next_at,
            window,
            attempts,
            last_outcome,
            last_attempt_at,
            duration_s,
            created_at,
            ended_at,
            dialect,
            destination,
            reference,
            parameters,
            result_url,
            retry: RetryRule {
                attempts_max,
                wait: Duration::from_millis(wait_ms),
                waits,
                redial_in_doubt,
            },
            terms: Terms { priority, ring_time_max },
            variables: self.name(|text| text.parse().ok())?,
            place: self.name(|text| text.parse().ok())?,
            message_left: self.flag()?,
        })
    }

    /// An attempt: the columns of [`attempt_columns`].
    pub(crate) fn attempt(&mut self) -> Result<Attempt, StoreError> {
        Ok(Attempt {
            id: AttemptId(self.int()?),
            contact: ContactId(self.int()?),
            number: self.number()?,
            trunk: TrunkId(self.int()?),
            started_at: self.time()?,
            ringing_at: self.maybe_time()?,
            answered_at: self.maybe_time()?,
            ended_at: self.maybe_time()?,
            outcome: self.maybe_outcome()?,
            cause: Cause {
                sip_status: self.maybe_number()?,
                q850: self.maybe_number()?,
                text: self.text()?,
            },
            detected: self.text()?,
            message_left: self.flag()?,
        })
    }

    /// An event: `id, contact, attempt, at, kind, detail`.
    pub(crate) fn event(&mut self) -> Result<Event, StoreError> {
        Ok(Event {
            id: EventId(self.int()?),
            contact: ContactId(self.int()?),
            attempt: self.maybe_int()?.map(AttemptId),
            at: self.time()?,
            kind: self.name(EventKind::from_name)?,
            detail: self.text()?,
        })
    }

    /// A webhook: `id, contact, url, state, deliveries, owed_since, next_at`.
    pub(crate) fn webhook(&mut self) -> Result<Webhook, StoreError> {
        Ok(Webhook {
            id: WebhookId(self.int()?),
            contact: ContactId(self.int()?),
            url: self.text()?,
            state: self.name(WebhookState::from_name)?,
            deliveries: self.number()?,
            owed_since: self.time()?,
            next_at: self.time()?,
        })
    }

    /// A delivery: `id, webhook, at, accepted, status, detail`.
    pub(crate) fn delivery(&mut self) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            id: DeliveryId(self.int()?),
            webhook: WebhookId(self.int()?),
            at: self.time()?,
            accepted: self.flag()?,
            status: self.maybe_number()?,
            detail: self.text()?,
        })
    }
}

/// The name under which a script's source is stored, and its text.
pub(crate) fn script_columns(script: &ScriptSource) -> (&'static str, Cow<'_, str>) {
    match script {
        ScriptSource::Actions(pages) => ("url", format!("{ACTIONS_SCHEME}{pages}").into()),
        ScriptSource::Document(text) => ("document", text.into()),
        ScriptSource::Say(text) => ("say", text.into()),
        ScriptSource::Url(text) => ("url", text.into()),
    }
}

/// What addresses of pages of actions begin with: a scheme that nothing else can have.
const ACTIONS_SCHEME: &str = "actions:";

/// The part of `text` that is kept of words for people, cut between characters.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(DETAIL_BYTES_MAX)]
}

/// Shared applications: documents may be long, and contacts of a campaign run the same.
pub(crate) type SharedApplication = Arc<Application>;

/// Longest detail of an event, a delivery or a cause that is kept: a far end writes it.
const DETAIL_BYTES_MAX: usize = 1_000;
