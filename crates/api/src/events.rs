//! Following an account's events: by a cursor, and waiting for what comes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use domain::ids::AccountId;
use facade::native::answer::Part;
use facade::native::event::{EventList, EventQuery, FollowedEvent, NOW};
use facade::native::problem::ProblemCode;
use store::{EventCursor, EventFilter, EventPart, EventsRead, ReadFrom, StoreError, ToldEvent};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::{sleep, timeout};

use crate::error::Fault;
use crate::native::Caller;
use crate::{Parts, Shared};

/// Requests that wait for events at once; more are answered at once, so that those who follow leave
/// places to all others.
const FOLLOWERS_MAX: usize = 128;
/// Time between two looks of all who wait together: they ask the database once for all of them.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Follows what happens to your calls: events in the order in which they can be told, oldest first.
///
/// Keep `next`, or the `cursor` of the last event that you have worked through, and go on from there:
/// no event is skipped, and none is told twice.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(
        ("after" = Option<String>, Query,
            description = "A `cursor`, or `now`. Without it: the oldest event that is kept."),
        ("campaign_id" = Option<i64>, Query, minimum = 1,
            description = "Only events of this campaign."),
        ("kind" = Option<facade::native::words::EventWord>, Query,
            description = "Only events of this kind."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "Most events in the part. Default: 200."),
        ("wait_s" = Option<u32>, Query, minimum = 0, maximum = 30,
            description = "Seconds to wait for an event where there is none yet. Default: 0.")),
    responses(
        (status = 200, description = "Events, and where to go on.", body = EventList),
        (status = 410, description = "Events after this cursor are forgotten already.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn list_events(
    State(shared): State<Shared>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<EventList>, Fault> {
    let refused = |refusals| Fault::refused(Part::Query, refusals);
    let query = EventQuery::parse(query.as_deref().unwrap_or_default()).map_err(refused)?;
    let from = match query.after.as_deref() {
        None => ReadFrom::Oldest,
        Some(NOW) => ReadFrom::Now,
        Some(after) => {
            let cursor = after.parse();
            let unknown = |_| refused(vec![EventQuery::unknown_after(after)]);
            ReadFrom::After(cursor.map_err(unknown)?)
        }
    };
    let mut part = read(&shared, account, from, &query).await?;
    if query.wait_s > 0 && part.items.is_empty() && !part.more {
        let wait = Duration::from_secs(query.wait_s.into());
        let waited = timeout(wait, wait_for_some(&shared, account, &mut part, &query)).await;
        waited.unwrap_or(Ok(()))?;
    }
    let next = format!("/v1/events?{}", query.following(&part.next.to_string()));
    let data = part.items.into_iter().map(told).collect();
    Ok(Json(EventList { data, next, more: part.more }))
}

fn told(told: ToldEvent) -> FollowedEvent {
    FollowedEvent::new(&told.event, told.cursor.to_string(), told.campaign, told.reference)
}

async fn read(
    shared: &Parts,
    account: AccountId,
    from: ReadFrom,
    query: &EventQuery,
) -> Result<EventPart, Fault> {
    let filter = EventFilter { campaign: query.campaign, kind: query.kind };
    let reader = shared.control.reader();
    match reader.events_of_account(account, from, filter, query.limit).await? {
        EventsRead::Part(part) => Ok(part),
        EventsRead::Gone => Err(Fault::new(
            ProblemCode::CursorGone,
            "events after this cursor are forgotten already; without after you are told all that \
             are kept",
        )),
    }
}

/// Reads on until there is something to tell, or the server shuts down.
async fn wait_for_some(
    shared: &Parts,
    account: AccountId,
    part: &mut EventPart,
    query: &EventQuery,
) -> Result<(), Fault> {
    let Some(mut follower) = shared.followers.join(account) else {
        return Ok(());
    };
    while part.items.is_empty() && !part.more {
        if !follower.wait_past(shared, part.next).await? {
            return Ok(());
        }
        *part = read(shared, account, ReadFrom::After(part.next), query).await?;
    }
    Ok(())
}

/// Those who wait for events. One of them looks for all, every [`LOOK_EVERY`]; where it goes,
/// another one does.
pub(crate) struct Followers {
    waiting: Mutex<BTreeMap<AccountId, usize>>,
    /// Held by the one that looks.
    turn: AsyncMutex<()>,
    newest: watch::Sender<BTreeMap<AccountId, EventCursor>>,
}

/// A place among those who wait.
struct Follower<'a> {
    followers: &'a Followers,
    account: AccountId,
    newest: watch::Receiver<BTreeMap<AccountId, EventCursor>>,
}

impl Default for Followers {
    fn default() -> Self {
        let newest = watch::Sender::new(BTreeMap::new());
        Self { waiting: Mutex::default(), turn: AsyncMutex::default(), newest }
    }
}

impl Followers {
    /// A place among those who wait; `None` where all are taken.
    fn join(&self, account: AccountId) -> Option<Follower<'_>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.values().sum::<usize>() >= FOLLOWERS_MAX {
            return None;
        }
        *waiting.entry(account).or_default() += 1;
        Some(Follower { followers: self, account, newest: self.newest.subscribe() })
    }

    /// The accounts of those who wait.
    fn accounts(&self) -> Vec<AccountId> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.keys().copied().collect()
    }

    /// Looks for all who wait, every so often, until this future is dropped or the server shuts down.
    async fn look_for_all(&self, shared: &Parts) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        while !shared.control.is_draining() {
            sleep(LOOK_EVERY).await;
            let newest = shared.control.reader().newest_events(self.accounts()).await?;
            self.newest.send_replace(newest.into_iter().collect());
        }
        Ok(())
    }
}

impl Follower<'_> {
    /// Waits until the account has an event past this place; `false` where the server shuts down.
    async fn wait_past(&mut self, shared: &Parts, place: EventCursor) -> Result<bool, StoreError> {
        let (account, newest) = (self.account, &mut self.newest);
        let past = async {
            while newest.changed().await.is_ok() {
                if newest.borrow_and_update().get(&account).is_some_and(|newest| *newest > place) {
                    return true;
                }
            }
            false
        };
        tokio::select! {
            came = past => Ok(came),
            looked = self.followers.look_for_all(shared) => looked.map(|()| false),
        }
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        let mut waiting = self.followers.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(many) = waiting.get_mut(&self.account) {
            *many -= 1;
            if *many == 0 {
                waiting.remove(&self.account);
            }
        }
    }
}
