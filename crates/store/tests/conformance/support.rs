//! What the store's tests share: a store in a directory of its own, and things to put into it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::account::Account;
use domain::application::{ApplicationSpec, Dialect, ScriptSource};
use domain::attempt::AttemptEnd;
use domain::cause::Cause;
use domain::contact::{ContactRule, NewContact};
use domain::dial_queue::Share;
use domain::ids::{AccountId, CampaignId, TrunkId};
use domain::outcome::Outcome;
use domain::permit::Freely;
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::{DialWindow, Timestamp};
use store::{Begun, Reader, Store, StoreConfig};
use tempfile::TempDir;

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "each of the two test programs names one of them")]
pub(crate) enum Database {
    Postgres,
    Sqlite,
}

/// A store that is deleted with its test.
pub(crate) struct Home {
    pub(crate) store: Store,
    pub(crate) reader: Reader,
    pub(crate) account: AccountId,
    pub(crate) dir: TempDir,
}

impl Home {
    /// A new store with one account.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, reader) = Store::open(config(dir.path())).await.unwrap();
        let account = account(&store).await.id;
        Self { store, reader, account, dir }
    }

    /// The same store after a process that ended without closing it.
    pub(crate) async fn reopened(self) -> Self {
        drop(self.store);
        let (store, reader) = Store::open(config(self.dir.path())).await.unwrap();
        Self { store, reader, ..self }
    }

    /// Begins up to `contacts` attempts of a campaign.
    pub(crate) async fn begin(
        &self,
        now: Timestamp,
        campaign: CampaignId,
        contacts: u32,
    ) -> Vec<Begun> {
        let trunks = vec![TrunkId(1); contacts as usize];
        let shares = vec![Share { campaign, trunks }];
        self.store.begin_attempts(now, shares, Arc::new(Freely)).await.unwrap().begun
    }

    /// Begins the one attempt that is ready.
    pub(crate) async fn begin_one(&self, now: Timestamp, campaign: CampaignId) -> Begun {
        let begun = self.begin(now, campaign, 1).await;
        begun.into_iter().next().expect("a contact is ready")
    }

    /// The default campaign.
    pub(crate) async fn campaign(&self) -> CampaignId {
        let named = self.store.campaign_named(at(0), self.account, "default").await;
        named.unwrap().id
    }
}

/// The settings of a server whose files are in `dir`, on the database that these tests are about.
pub(crate) fn settings(dir: &Path) -> StoreConfig {
    let url = match crate::DATABASE {
        Database::Postgres => Some(crate::server::url_of(dir)),
        Database::Sqlite => None,
    };
    StoreConfig::new(dir.join("outdial.db")).at_url(url)
}

/// Settings that make a test quick: no waiting for company.
pub(crate) fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        group_window: Duration::ZERO,
        dial_window: Duration::ZERO,
        note_delay_max: Duration::from_millis(1),
        readers: 1,
        ..settings(dir)
    }
}

/// Creates the account that tests use.
pub(crate) async fn account(store: &Store) -> Account {
    store.create_account(at(0), "plum", None).await.unwrap()
}

/// `seconds` after the epoch.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Three attempts a minute apart, always open, with a result to deliver.
pub(crate) fn rule(account: AccountId) -> ContactRule {
    ContactRule {
        account,
        campaign: "default".into(),
        application: ApplicationSpec {
            script: ScriptSource::Say("hello".into()),
            parameters: String::new(),
            dialect: Dialect(0),
            detection: None,
        },
        window: DialWindow::ALWAYS,
        retry: RetryRule { attempts_max: 3, wait: Duration::from_secs(60), ..RetryRule::ONCE },
        terms: Terms::default(),
        result_url: Some("http://a.example/result".into()),
        dialect: Dialect(0),
    }
}

/// `many` contacts with numbers of their own.
pub(crate) fn contacts(many: usize) -> Vec<NewContact> {
    let contact = |nth| NewContact {
        reference: format!("ref {nth}"),
        ..NewContact::new(format!("+1555{nth:07}").parse().unwrap())
    };
    (1..=many).map(contact).collect()
}

/// An attempt that ended at `ended_at`, answered ten seconds before where it was.
pub(crate) fn end(outcome: Outcome, ended_at: Timestamp) -> AttemptEnd {
    let answered = matches!(outcome, Outcome::Answered(_));
    AttemptEnd {
        outcome,
        cause: Cause {
            sip_status: Some(if answered { 200 } else { 486 }),
            q850: Some(16),
            text: "as the far end says".into(),
        },
        ringing_at: None,
        answered_at: answered.then(|| ended_at - Duration::from_secs(10)),
        ended_at,
        detected: if answered { "machine 97% after 2100 ms".into() } else { String::new() },
        message_left: outcome == Outcome::Answered(domain::outcome::CalleeType::Machine),
    }
}
