//! LOOP: forgets what is kept for a time only: delivered webhooks, answers to repeated requests, keys,
//! what happened to calls, references, and when numbers were called.

use std::time::{Duration, UNIX_EPOCH};

use domain::time::Timestamp;
use store::{Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::KeepConfig;
use crate::files::{TapeDir, blocking};

/// Time between two rounds.
const PERIOD: Duration = Duration::from_secs(10 * 60);
/// Rows that one transaction forgets: a few milliseconds of the writer's time.
const ROWS_MAX: u32 = 200;
/// Pause between two transactions of a round, so that calls come first.
const PAUSE: Duration = Duration::from_millis(50);

/// What the loop works with.
pub(crate) struct Reaper<N, L> {
    /// How long what is kept.
    pub keep: KeepConfig,
    /// How far back caps look at calls to a number, of those that look furthest.
    pub looks_back: L,
    /// The time that is stored.
    pub now: N,
    /// Where it is kept.
    pub store: Store,
    /// Recordings of calls.
    pub tapes: TapeDir,
}

impl<N, L> Reaper<N, L>
where
    N: Fn() -> Timestamp + Send + Sync + 'static,
    L: Fn() -> Duration + Send + Sync + 'static,
{
    /// Forgets, round by round, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                round = self.round() => {
                    if let Err(error) = round {
                        tracing::warn!(%error, "nothing is forgotten: the store does not answer");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PERIOD) => {}
            }
        }
    }

    async fn round(&self) -> Result<(), StoreError> {
        let now = (self.now)();
        let (tapes, keep) = (self.tapes.clone(), self.keep.recordings);
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        let wall = UNIX_EPOCH + Duration::from_millis(millis);
        if let Err(error) = blocking(move || tapes.purge(wall, keep)).await {
            tracing::warn!(%error, "old recordings cannot be removed");
        }
        self.store.purge_keys(now).await?;
        while self.store.purge_answers(now - self.keep.answers, ROWS_MAX).await? > 0 {
            sleep(PAUSE).await;
        }
        let called = self.keep.called.max((self.looks_back)());
        while self.store.purge_called(now - called, ROWS_MAX).await? > 0 {
            sleep(PAUSE).await;
        }
        while self.store.purge_events(now - self.keep.events, ROWS_MAX).await? > 0 {
            sleep(PAUSE).await;
        }
        while self.store.purge_references(now - self.keep.references, ROWS_MAX).await? > 0 {
            sleep(PAUSE).await;
        }
        while self.store.purge_webhooks(now - self.keep.webhooks, ROWS_MAX).await? > 0 {
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::application::{ApplicationSpec, Dialect, ScriptSource};
    use domain::contact::{ContactRule, NewContact};
    use domain::dial_queue::Share;
    use domain::ids::TrunkId;
    use domain::outcome::Outcome;
    use domain::permit::{Freely, Question};
    use domain::retry::RetryRule;
    use domain::terms::Terms;
    use domain::time::DialWindow;
    use domain::webhook::KeyPair;
    use store::{Answer, Met, Once, Rotation, StoreConfig};

    use super::*;
    use crate::call_task::never_dialed;

    fn kept_for(time: Duration) -> KeepConfig {
        KeepConfig {
            answers: time,
            called: time,
            events: time,
            recordings: time,
            references: time,
            webhooks: time,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_for_a_time_is_forgotten_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(directory.path().join("store.db"));
        let (store, reader) = Store::open(config).await.unwrap();
        let begin = Timestamp::from_seconds(1_000_000);
        let account = store.create_account(begin, "client", None).await.unwrap().id;
        let key = |name: &str| Once { account, key: name.into(), fingerprint: [1; 32] };
        let rotate = async |name: &str, at: Timestamp| {
            let new = KeyPair::new([2; 32], [3; 32]);
            let rotation = Rotation { account, of: None, new, expires_at: at };
            let content_type = String::new();
            let answer = Answer {
                status: 201,
                content_type,
                location: None,
                body: "{}".into(),
                parts: None,
            };
            store.rotate_key(at, rotation, Some(key(name)), answer).await.unwrap()
        };
        assert_eq!(rotate("old", begin).await, Met::Done(true));
        let later = begin + Duration::from_secs(3_601);
        assert_eq!(rotate("new", later).await, Met::Done(true));
        let hour = Duration::from_secs(3_600);
        let keep = kept_for(hour);
        let tapes = TapeDir::open(&directory.path().join("recordings")).unwrap();
        let looks_back = || Duration::ZERO;
        let reaper = Reaper { keep, looks_back, now: move || later, store: store.clone(), tapes };
        reaper.round().await.unwrap();
        assert_eq!(reader.answer(key("old")).await.unwrap(), None);
        assert!(reader.answer(key("new")).await.unwrap().is_some());
        assert_eq!(store.signing_keys(account, None).await.unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_to_numbers_are_remembered_as_long_as_caps_look_back() {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(directory.path().join("store.db"));
        let (store, reader) = Store::open(config).await.unwrap();
        let begin = Timestamp::from_seconds(1_000_000);
        let account = store.create_account(begin, "client", None).await.unwrap().id;
        let rule = ContactRule {
            account,
            campaign: "calls".into(),
            application: ApplicationSpec {
                script: ScriptSource::Say("hello".into()),
                parameters: String::new(),
                dialect: Dialect(0),
                detection: None,
            },
            window: DialWindow::ALWAYS,
            retry: RetryRule::ONCE,
            terms: Terms::default(),
            result_url: None,
            dialect: Dialect(0),
        };
        let contact = NewContact::new("+12125550101".parse().unwrap());
        store.add_contacts(begin, &rule, vec![contact.clone()]).await.unwrap();
        let campaign = store.campaign_named(begin, account, "calls").await.unwrap().id;
        let share = Share { campaign, trunks: vec![TrunkId(1)] };
        let begun = store.begin_attempts(begin, vec![share], Arc::new(Freely)).await.unwrap().begun;
        let end = never_dialed(begin, Outcome::Busy, String::new());
        store.finish_attempt(begun[0].attempt.id, &end).await.unwrap();
        let remembered = async |now| {
            let question = Question {
                number: "+12125550101".into(),
                looks_back: Duration::from_secs(30 * 86_400),
                of_all_accounts: false,
                caller_ids: Vec::new(),
            };
            reader.past(now, account, question).await.unwrap().calls.len()
        };
        let (hour, week) = (Duration::from_secs(3_600), Duration::from_secs(7 * 86_400));
        let keep = kept_for(hour);
        let looks_back = move || week;
        let tapes = TapeDir::open(&directory.path().join("recordings")).unwrap();
        let reaper_at = |now| {
            let (store, tapes) = (store.clone(), tapes.clone());
            Reaper { keep, looks_back, now: move || now, store, tapes }
        };
        let soon = begin + week;
        reaper_at(soon).round().await.unwrap();
        assert_eq!(remembered(soon).await, 1);
        let later = soon + Duration::from_secs(1);
        reaper_at(later).round().await.unwrap();
        assert_eq!(remembered(later).await, 0);
    }
}
