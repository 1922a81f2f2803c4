//! Reading, on threads of its own and connections that cannot write.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use domain::campaign::CampaignCounts;
use domain::outcome::Outcome;
use tokio::sync::{Semaphore, oneshot};

use crate::driver::{ReadOnly, Sql};
use crate::events::Horizon;
use crate::postgres::Purpose;
use crate::tx::{outcome_counter, webhook_counter};
use crate::value::queries;
use crate::writer::spawn;
use crate::{StoreConfig, StoreError, Totals, WebhookState};

queries! {
    // PostgreSQL sums bigints into a numeric.
    ALL_SUMS = "SELECT name, CAST(sum(value) AS bigint) FROM sums GROUP BY name";
    SUM_COUNTS = "SELECT CAST(coalesce(sum(waiting), 0) AS bigint), \
        CAST(coalesce(sum(calling), 0) AS bigint), CAST(coalesce(sum(completed), 0) AS bigint), \
        CAST(coalesce(sum(failed), 0) AS bigint), CAST(coalesce(sum(expired), 0) AS bigint), \
        CAST(coalesce(sum(canceled), 0) AS bigint) FROM campaign_sums";
}

/// Looks that may wait for a thread; further callers wait for a place.
const LOOKS_MAX: usize = 1_024;

/// Reads the store; cheap to clone. Sees what is committed.
#[derive(Clone)]
pub struct Reader {
    desk: Arc<ReadDesk>,
    /// Up to where events can be told.
    horizon: Arc<Mutex<Horizon>>,
}

type Look = Box<dyn FnOnce(Result<Sql<'_>, StoreError>) + Send>;

struct ReadDesk {
    looks: Arc<Looks>,
}

struct Looks {
    places: Semaphore,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    looks: VecDeque<Look>,
    closed: bool,
}

impl Reader {
    /// Opens connections to the database, each on a thread of its own.
    pub(crate) async fn open(
        config: &StoreConfig,
        threads: usize,
        purpose: Purpose,
    ) -> Result<Self, StoreError> {
        let looks = Arc::new(Looks {
            places: Semaphore::new(LOOKS_MAX),
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        });
        let desk = Arc::new(ReadDesk { looks: Arc::clone(&looks) });
        for _ in 0..threads.max(1) {
            let (config, looks) = (config.clone(), Arc::clone(&looks));
            let (opened, open) = oneshot::channel();
            spawn("store-reader", move || match ReadOnly::open(&config, purpose) {
                Ok(connection) => {
                    // Nobody listens where the opening was given up; then the looks are closed.
                    let _ = opened.send(Ok(()));
                    read(connection, &looks);
                }
                Err(error) => drop(opened.send(Err(error))),
            })?;
            open.await.map_err(|_| StoreError::Closed)??;
        }
        Ok(Self { desk, horizon: Arc::default() })
    }

    /// Sums over the whole store, for metrics.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.look(|sql| {
            sql.snapshot(|sql| {
                let contacts = sql.one(SUM_COUNTS, &[], |row| row.counts())?;
                let sums = sql.all(ALL_SUMS, &[], |row| Ok((row.text()?, row.number()?)))?;
                let sums: HashMap<String, u64> = sums.into_iter().collect();
                let sum = |name: &str| sums.get(name).copied().unwrap_or(0);
                let webhooks = |state| sum(webhook_counter(state));
                let of_outcome = |outcome| (outcome, sum(outcome_counter(outcome)));
                Ok(Totals {
                    contacts: contacts.unwrap_or(CampaignCounts::default()),
                    outcomes: Outcome::ALL.into_iter().map(of_outcome).collect(),
                    webhooks_owed: webhooks(WebhookState::Owed),
                    webhooks_delivered: webhooks(WebhookState::Delivered),
                    webhooks_given_up: webhooks(WebhookState::GivenUp),
                })
            })
        })
        .await
    }

    /// Up to where events can be told.
    pub(crate) fn horizon(&self) -> Arc<Mutex<Horizon>> {
        Arc::clone(&self.horizon)
    }

    /// Runs `look` on a thread that reads.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(Sql<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let looks = &self.desk.looks;
        let _place = looks.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        looks.put(Box::new(move |sql| {
            // Whoever asked may have gone.
            let _ = reply.send(sql.and_then(look));
        }));
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl Looks {
    fn put(&self, look: Look) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.looks.push_back(look);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn next(&self) -> Option<Look> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self
            .arrived
            .wait_while(waiting, |w| w.looks.is_empty() && !w.closed)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.looks.pop_front()
    }
}

impl Drop for ReadDesk {
    fn drop(&mut self) {
        let looks = &self.looks;
        looks.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        looks.arrived.notify_all();
    }
}

/// Looks until all looks are closed.
fn read(mut connection: ReadOnly, looks: &Looks) {
    while let Some(look) = looks.next() {
        // Whoever asked hears that nobody answers; the next one is served.
        if catch_unwind(AssertUnwindSafe(|| look(connection.sql()))).is_err() {
            tracing::error!("a look at the store ended by a panic");
            connection.end_snapshot();
        }
    }
}
