//! LOOP: posts what clients are owed until it is taken, each of their servers in a lane of its own.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::attempt::Attempt;
use domain::event::Event;
use domain::number::Masked;
use domain::time::Timestamp;
use domain::webhook::{Circuit, DeliveryVerdict, DisableReason, Reception, Topic, after_delivery};
use facade::native::callback::{self, Fact};
use facade::native::signature;
use facade::zone::Zone;
use facade::{Facade, ResultBody};
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use store::{Owed, Store, StoreError, Tried};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::http::{Answer, HttpClient, Purpose, Request, date};
use crate::signing::KeyMaker;
use crate::wake::Wake;

/// Deliveries under way in one lane. A server that takes results slowly still takes them in time.
const PER_LANE_MAX: u32 = 8;
/// Deliveries under way at once, each a connection and some kilobytes.
const UNDER_WAY_MAX: usize = 512;
/// Webhooks leased at once, those included that wait in the lane of a failing server.
const LEASED_MAX: usize = 2_048;
/// Webhooks leased in one transaction.
const BATCH_MAX: usize = 200;
/// How long a delivery may take. Some clients do their bookkeeping before they answer.
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a webhook is ours: a full lane of a silent server, one after another.
const LEASE_TIME: Duration = Duration::from_secs(180);
/// No delivery begins when less of its lease is left, so that no other begins beside it.
const LEASE_LEFT_MIN: Duration = Duration::from_secs(30);
/// Longest time between two looks, when nobody wakes the loop.
const PERIOD: Duration = Duration::from_secs(5);
/// Wait after a failure of the store before the next try.
const STORE_RETRY: Duration = Duration::from_millis(500);
/// How often a delivery is recorded anew while the store is away, before its lease must do.
const RECORD_TRIES_MAX: u32 = 120;
/// Longest wait that a client may ask for by `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Failing lanes that are remembered; beyond it some are tried as if they were well.
const FAILING_LANES_MAX: usize = 10_000;
/// How much of an answer is kept for the log of deliveries, in characters.
const ANSWER_CHARS_MAX: usize = 200;

/// What the loop works with.
pub struct Webhooks<N> {
    /// Through what they are posted.
    pub http: HttpClient,
    /// Makes keys for accounts that have none.
    pub keys: KeyMaker,
    /// The time that is stored.
    pub now: N,
    /// Where they are owed.
    pub store: Store,
    /// Woken when something is owed.
    pub wake: Wake,
    /// By whose clock dates in results are written.
    pub zone: Zone,
}

/// What is leased, lane by lane.
#[derive(Default)]
struct Desk {
    lanes: HashMap<String, Lane>,
    /// Of the lanes whose server did not take what it was told last.
    circuits: HashMap<String, Circuit>,
    under_way: JoinSet<Done>,
    lane_of: HashMap<Id, String>,
    waiting: usize,
    store_away: bool,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Leased>,
    under_way: u32,
}

struct Leased {
    owed: Owed,
    until: Timestamp,
}

/// What a delivery says about its lane.
struct Done {
    at: Timestamp,
    /// `None`, where nobody was asked.
    reception: Option<Reception>,
    /// How long the server asked to be left in peace.
    asked: Option<Duration>,
    /// For the log: what was delivered and why it was not taken.
    story: String,
}

/// What came of a POST.
struct Posted {
    reception: Reception,
    status: Option<u16>,
    answer: String,
    detail: String,
    retry_after: Option<Duration>,
    /// Under which name it is counted.
    result: &'static str,
}

impl<N> Webhooks<N>
where
    N: Fn() -> Timestamp + Send + Sync + 'static,
{
    /// Delivers until `stop`, then waits for the deliveries under way and records them.
    ///
    /// Cut off at any point, everything not recorded is delivered again later.
    pub async fn run(self, stop: CancellationToken) {
        let shared = Arc::new(self);
        let mut desk = Desk::default();
        while !stop.is_cancelled() {
            let pause = shared.look(&mut desk).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = shared.wake.woken() => {}
                Some(ended) = desk.under_way.join_next_with_id() => shared.end(&mut desk, ended),
                () = sleep(pause) => {}
            }
            while let Some(ended) = desk.under_way.try_join_next_with_id() {
                shared.end(&mut desk, ended);
            }
        }
        // What waits in lanes is not begun any more; it is due again when its lease runs out.
        while let Some(ended) = desk.under_way.join_next_with_id().await {
            shared.end(&mut desk, ended);
        }
    }

    /// Leases what is due and begins what may begin; answers when to look again at the latest.
    async fn look(self: &Arc<Self>, desk: &mut Desk) -> Duration {
        let now = (self.now)();
        let free = LEASED_MAX.saturating_sub(desk.waiting + desk.under_way.len());
        let limit = u32::try_from(free.min(BATCH_MAX)).unwrap_or(0);
        let until = now + LEASE_TIME;
        let due_at = async {
            if limit > 0 {
                let owed = self.store.lease_webhooks(now, until, limit, PER_LANE_MAX).await?;
                owed.into_iter().for_each(|owed| desk.take(Leased { owed, until }));
            }
            self.store.webhooks_due_at().await
        }
        .await;
        self.begin(desk, now);
        match due_at {
            Ok(due_at) => {
                desk.store_away = false;
                let due_at = due_at.filter(|_| limit > 0);
                due_at.map_or(PERIOD, |due_at| due_at.since(now).min(PERIOD))
            }
            Err(error) => {
                if !std::mem::replace(&mut desk.store_away, true) {
                    tracing::error!(%error, "cannot deliver results: the store does not answer");
                }
                STORE_RETRY
            }
        }
    }

    /// Begins deliveries in every lane that has room.
    fn begin(self: &Arc<Self>, desk: &mut Desk, now: Timestamp) {
        let Desk { lanes, circuits, under_way, lane_of, waiting, .. } = desk;
        for (name, lane) in lanes.iter_mut() {
            let circuit = circuits.get(name).copied().unwrap_or_default();
            while lane.under_way < circuit.places(now, PER_LANE_MAX)
                && under_way.len() < UNDER_WAY_MAX
            {
                let Some(leased) = lane.waiting.pop_front() else { break };
                *waiting -= 1;
                if leased.until.since(now) < LEASE_LEFT_MIN {
                    continue;
                }
                lane.under_way += 1;
                let this = self.clone();
                let task = under_way.spawn(async move { this.deliver(leased).await });
                lane_of.insert(task.id(), name.clone());
            }
        }
        lanes.retain(|_, lane| lane.under_way > 0 || !lane.waiting.is_empty());
        metrics::gauge!("outdial_webhooks_under_way").set(f64_of(under_way.len()));
    }

    /// Notes that a delivery has ended. A lane is spoken of when it begins to fail, and when it
    /// takes results again, not at each of the thousands that may be owed in it.
    fn end(&self, desk: &mut Desk, ended: Result<(Id, Done), JoinError>) {
        let (id, done) = match ended {
            Ok((id, done)) => (id, Some(done)),
            Err(error) => {
                tracing::error!(%error, "a delivery broke off, it will be repeated");
                (error.id(), None)
            }
        };
        let Some(name) = desk.lane_of.remove(&id) else { return };
        if let Some(lane) = desk.lanes.get_mut(&name) {
            lane.under_way -= 1;
        }
        let Some(Done { at, reception: Some(reception), asked, story }) = done else { return };
        let known = desk.circuits.get(&name).copied();
        if known.is_none() && desk.circuits.len() >= FAILING_LANES_MAX {
            return;
        }
        let mut circuit = known.unwrap_or_default();
        circuit.note(at, reception, asked);
        if circuit.is_well() {
            if desk.circuits.remove(&name).is_some() {
                self.store.limit_lane(&name, None);
                tracing::info!(lane = name, "takes results again");
            }
            return;
        }
        if known.is_none() {
            tracing::warn!(lane = name, "{story}; it is tried again");
        }
        let open_until = circuit.open_until(at);
        if let Some(until) = open_until {
            let wait_s = until.since(at).as_secs();
            tracing::debug!(lane = name, wait_s, "is left in peace");
            desk.give_back(&self.store, &name, at);
        }
        self.store.limit_lane(&name, Some((1, open_until)));
        desk.circuits.insert(name, circuit);
    }

    /// One delivery: post, judge, record.
    async fn deliver(&self, Leased { owed, until }: Leased) -> Done {
        let began = (self.now)();
        let nobody = Done { at: began, reception: None, asked: None, story: String::new() };
        if owed.muted {
            if let Err(error) = self.store.drop_webhook(owed.webhook, began).await {
                tracing::warn!(webhook.id = %owed.webhook, %error, "webhook is not dropped");
            }
            return nobody;
        }
        // Until the store has said what is told, nobody has been told.
        let posted = match once_it_answers(&self.now, until, || self.post(&owed)).await {
            Ok(posted) => posted,
            Err(error) => {
                // Its lease runs out, and then it is due again.
                tracing::warn!(webhook.id = %owed.webhook, %error, "webhook cannot be signed");
                return nobody;
            }
        };
        metrics::counter!("outdial_webhook_deliveries_total", "result" => posted.result)
            .increment(1);
        let at = (self.now)();
        let verdict = verdict(&owed, &posted, at);
        let Posted { reception, status, answer, detail, retry_after, .. } = posted;
        let story = story(&owed, &detail);
        if matches!(verdict, DeliveryVerdict::GivenUp | DeliveryVerdict::Gone) {
            tracing::error!(
                webhook.id = %owed.webhook, "given up after {} deliveries: {story}",
                owed.deliveries + 1,
            );
        } else if reception != Reception::Taken {
            tracing::debug!(webhook.id = %owed.webhook, ?verdict, "{story}");
        }
        let accepted = reception == Reception::Taken;
        let tried = Tried { at, accepted, status, latency: at.since(began), answer, detail };
        self.record(&owed, tried, verdict).await;
        Done { at, reception: Some(reception), asked: retry_after, story }
    }

    async fn post(&self, owed: &Owed) -> Result<Posted, StoreError> {
        let (events, attempts) = self.history(owed).await?;
        let body = match self.body(owed, &events, &attempts) {
            Ok(body) => body,
            Err(detail) => return Ok(Posted::failed("unknown_facade", detail.to_owned())),
        };
        let url = match Url::parse(&owed.url) {
            Ok(url) => url,
            Err(error) => return Ok(Posted::failed("refused", format!("it is no URL: {error}"))),
        };
        let content_type = HeaderValue::from_static(body.content_type);
        let own = owed.endpoint.is_none();
        let got = Facade::of(owed.dialect).filter(|_| own).and_then(|it| it.got(&url, &body.body));
        let request = Request {
            headers: self.identity(owed, body.body.as_bytes()).await?,
            // The same for a server that is silent: it may be at work.
            timeout: Some(DELIVERY_TIME_MAX),
            ..match got {
                Some(url) => Request::get(url, Purpose::Webhook),
                None => Request::post(url, content_type, Bytes::from(body.body), Purpose::Webhook),
            }
        };
        Ok(match self.http.send(request).await {
            Ok(answer) => Posted::answered(speaks(owed), &answer, (self.now)()),
            Err(error) => Posted::failed(error.name(), error.to_string()),
        })
    }

    /// What is posted, the same at every delivery.
    fn body(
        &self,
        owed: &Owed,
        events: &[Event],
        attempts: &[Attempt],
    ) -> Result<ResultBody, &'static str> {
        if owed.endpoint.is_some() {
            let fact = Fact {
                topic: owed.topic,
                at: owed.at,
                attempt: owed.attempt,
                detail: &owed.detail,
                contact: owed.contact.as_ref(),
            };
            let body = callback::message(fact);
            return Ok(ResultBody { content_type: "application/json", body });
        }
        let facade = Facade::of(owed.dialect)
            .ok_or("it is in the words of a facade that this version does not know")?;
        let contact = owed.contact.as_ref().ok_or("it tells of nobody")?;
        Ok(facade.result(contact, events, attempts, &self.zone))
    }

    /// By what a client knows who tells it, and a delivery that is repeated (Standard Webhooks
    /// 1.0.0).
    async fn identity(&self, owed: &Owed, body: &[u8]) -> Result<HeaderMap, StoreError> {
        let now = (self.now)();
        let keys = match owed.endpoint {
            Some(_) => self.store.signing_keys(owed.account, owed.endpoint).await?,
            None if speaks(owed).signs() => {
                self.store.result_keys(now, owed.account, self.keys.make()).await?
            }
            None => Vec::new(),
        };
        let headers = signature::headers(&keys, owed.webhook, now, body);
        let headers = headers.into_iter().filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        });
        Ok(headers.collect())
    }

    /// What happened to the contact, where results of its facade tell it.
    async fn history(&self, owed: &Owed) -> Result<(Vec<Event>, Vec<Attempt>), StoreError> {
        let tells =
            owed.endpoint.is_none() && Facade::of(owed.dialect).is_some_and(Facade::tells_events);
        match &owed.contact {
            Some(contact) if tells => {
                let events = self.store.history(contact.id).await?;
                Ok((events, self.store.attempts(contact.id).await?))
            }
            Some(_) | None => Ok((Vec::new(), Vec::new())),
        }
    }

    /// Records a delivery, and tries on while the store is away: what is not recorded is delivered
    /// once more.
    async fn record(&self, owed: &Owed, tried: Tried, verdict: DeliveryVerdict) {
        for _ in 0..RECORD_TRIES_MAX {
            let recorded = self.store.record_delivery(owed.webhook, tried.clone(), verdict);
            match recorded.await {
                Ok(None) => return,
                Ok(Some(why)) => return note_disabled(owed, why),
                Err(StoreError::Unavailable(_)) => sleep(STORE_RETRY).await,
                // Its attempt was undone meanwhile.
                Err(StoreError::Unknown { .. }) => return,
                Err(error) => {
                    tracing::warn!(webhook.id = %owed.webhook, %error, "delivery is not recorded");
                    return;
                }
            }
        }
        tracing::error!(webhook.id = %owed.webhook, "delivery is not recorded, so it is repeated");
    }
}

/// What the store says, asked again while it is away and enough of the lease is left for a delivery: a
/// moment without it must not cost a whole lease.
async fn once_it_answers<T, F>(
    now: impl Fn() -> Timestamp,
    until: Timestamp,
    ask: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_))
                if until.since(now()) >= LEASE_LEFT_MIN + STORE_RETRY =>
            {
                sleep(STORE_RETRY).await;
            }
            answer => return answer,
        }
    }
}

impl Desk {
    fn take(&mut self, leased: Leased) {
        self.waiting += 1;
        self.lanes.entry(leased.owed.lane.clone()).or_default().waiting.push_back(leased);
    }

    /// Gives back what waits in a lane, for it waits long.
    fn give_back(&mut self, store: &Store, name: &str, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        self.waiting -= lane.waiting.len();
        let webhooks = lane.waiting.drain(..).map(|leased| leased.owed.webhook);
        store.give_back_webhooks(now, name, webhooks);
    }
}

impl Posted {
    fn failed(result: &'static str, detail: String) -> Self {
        let (reception, answer) = (Reception::Refused, String::new());
        Self { reception, status: None, answer, detail, retry_after: None, result }
    }

    fn answered(facade: Facade, answer: &Answer, now: Timestamp) -> Self {
        let reception = facade.reception(answer.status, &answer.body);
        let taken = reception == Reception::Taken;
        let detail = match answer.status {
            _ if taken => String::new(),
            200..300 => "the answer does not say that the result was taken".to_owned(),
            300..400 => "the answer is a redirect, which is not followed".to_owned(),
            status => format!("the server answered {status}"),
        };
        let retry_after = match answer.status {
            429 | 502..=504 => retry_after(&answer.headers, now),
            _ => None,
        };
        let result = if taken { "accepted" } else { "not_taken" };
        let (status, answer) = (Some(answer.status), beginning(&answer.body));
        Self { reception, status, answer, detail, retry_after, result }
    }
}

/// In whose words a webhook is: endpoints are told in our own.
fn speaks(owed: &Owed) -> Facade {
    let of_contact = Facade::of(owed.dialect).filter(|_| owed.endpoint.is_none());
    of_contact.unwrap_or(Facade::Native)
}

/// When to try again; later than by our own rule where the client asks for it.
fn verdict(owed: &Owed, posted: &Posted, now: Timestamp) -> DeliveryVerdict {
    let delivery = owed.deliveries.saturating_add(1);
    let spread = spread(owed.webhook.0, delivery);
    if owed.topic == Topic::Test && posted.reception == Reception::Refused {
        // Whoever tries a server out looks on.
        return DeliveryVerdict::GivenUp;
    }
    let schedule = speaks(owed).schedule();
    match after_delivery(schedule, posted.reception, delivery, owed.owed_since, now, spread) {
        DeliveryVerdict::RetryAt(at) => {
            let asked = posted.retry_after.map_or(at, |wait| now + wait);
            DeliveryVerdict::RetryAt(at.max(asked))
        }
        verdict @ (DeliveryVerdict::Delivered
        | DeliveryVerdict::GivenUp
        | DeliveryVerdict::Gone) => verdict,
    }
}

/// What was not taken, and why, for the log.
fn story(owed: &Owed, detail: &str) -> String {
    let topic = owed.topic.name();
    match &owed.contact {
        Some(contact) => {
            let number = Masked(contact.destination.dialed()).to_string();
            format!("{topic} of contact {} ({number}) was not taken: {detail}", contact.id)
        }
        None => format!("{topic} was not taken: {detail}"),
    }
}

fn note_disabled(owed: &Owed, why: DisableReason) {
    let endpoint = owed.endpoint.map(|endpoint| endpoint.0);
    let reason = match why {
        DisableReason::Client => "its client said so",
        DisableReason::Failing => "it took nothing for five days",
        DisableReason::Gone => "it answered 410",
    };
    tracing::warn!(endpoint.id = endpoint, account.id = %owed.account, "endpoint is disabled: {reason}");
}

/// The first characters of an answer, as people can read them.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * ANSWER_CHARS_MAX)]);
    let readable = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().take(ANSWER_CHARS_MAX).map(readable).collect()
}

/// How long the server asks to be left in peace, in seconds or until a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date::parse(text)?.since(now),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// A number in `0.0..1.0` that differs between webhooks and their deliveries (the finisher of
/// splitmix64), so that the retries of many results do not meet.
fn spread(webhook: i64, delivery: u32) -> f64 {
    let mut bits = webhook.cast_unsigned() ^ (u64::from(delivery) << 48);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

fn f64_of(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
