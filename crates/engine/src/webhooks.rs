//! LOOP: posts the results that clients are owed until they are taken, each host in its own lane.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::number::Masked;
use domain::time::Timestamp;
use domain::webhook::{DeliveryVerdict, Reception, Schedule, after_delivery};
use facade::Facade;
use facade::zone::Zone;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use store::{Owed, Store, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::http::{Answer, HttpClient, Purpose, Request, date};
use crate::wake::Wake;

/// Deliveries under way at one host. A server that takes results slowly still takes them in time.
const PER_HOST_MAX: u32 = 8;
/// Deliveries under way at a host that did not take the last one: enough to notice its return.
const PER_FAILING_HOST_MAX: u32 = 1;
/// Deliveries under way at once, each a connection and some kilobytes.
const UNDER_WAY_MAX: usize = 512;
/// Webhooks leased at once, those included that wait in the lane of a failing host.
const LEASED_MAX: usize = 2_048;
/// Webhooks leased in one transaction.
const BATCH_MAX: usize = 200;
/// How long a delivery may take. Some clients do their bookkeeping before they answer.
const DELIVERY_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a webhook is ours: a full lane of a silent host, one after another.
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
/// Failing hosts that are remembered; beyond it some are tried as if they were well.
const FAILING_HOSTS_MAX: usize = 10_000;

/// What the loop works with.
pub struct Webhooks<N> {
    /// Through what they are posted.
    pub http: HttpClient,
    /// The time that is stored.
    pub now: N,
    /// Where they are owed.
    pub store: Store,
    /// Woken when something is owed.
    pub wake: Wake,
    /// By whose clock dates in results are written.
    pub zone: Zone,
}

/// What is leased, host by host.
#[derive(Default)]
struct Desk {
    lanes: HashMap<String, Lane>,
    failing: HashSet<String>,
    under_way: JoinSet<Done>,
    hosts: HashMap<Id, String>,
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

/// What a delivery says about its host.
struct Done {
    accepted: bool,
    /// For the log: what was delivered and why it was not taken.
    story: String,
}

/// What came of a POST.
struct Posted {
    reception: Reception,
    status: Option<u16>,
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
                Some(ended) = desk.under_way.join_next_with_id() => desk.end(ended),
                () = sleep(pause) => {}
            }
            while let Some(ended) = desk.under_way.try_join_next_with_id() {
                desk.end(ended);
            }
        }
        // What waits in lanes is not begun any more; it is due again when its lease runs out.
        while let Some(ended) = desk.under_way.join_next_with_id().await {
            desk.end(ended);
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
                let owed = self.store.lease_webhooks(now, until, limit, PER_HOST_MAX).await?;
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
        let Desk { lanes, failing, under_way, hosts, waiting, .. } = desk;
        for (host, lane) in lanes.iter_mut() {
            let failing = failing.contains(host);
            let room = if failing { PER_FAILING_HOST_MAX } else { PER_HOST_MAX };
            while lane.under_way < room && under_way.len() < UNDER_WAY_MAX {
                let Some(leased) = lane.waiting.pop_front() else { break };
                *waiting -= 1;
                if leased.until.since(now) < LEASE_LEFT_MIN {
                    continue;
                }
                lane.under_way += 1;
                let this = self.clone();
                let task = under_way.spawn(async move { this.deliver(leased.owed).await });
                hosts.insert(task.id(), host.clone());
            }
        }
        lanes.retain(|_, lane| lane.under_way > 0 || !lane.waiting.is_empty());
        metrics::gauge!("outdial_webhooks_under_way").set(f64_of(under_way.len()));
    }

    /// One delivery: post, judge, record.
    async fn deliver(&self, owed: Owed) -> Done {
        let posted = self.post(&owed).await;
        metrics::counter!("outdial_webhook_deliveries_total", "result" => posted.result)
            .increment(1);
        let at = (self.now)();
        let verdict = verdict(&owed, &posted, at);
        let accepted = posted.reception == Reception::Taken;
        let Posted { status, detail, .. } = posted;
        let number = Masked(owed.contact.destination.dialed()).to_string();
        let story =
            format!("result of contact {} ({number}) was not taken: {detail}", owed.contact.id);
        if matches!(verdict, DeliveryVerdict::GivenUp | DeliveryVerdict::Gone) {
            tracing::error!(
                webhook.id = %owed.webhook, contact.id = %owed.contact.id,
                "given up after {} deliveries: {story}", owed.deliveries + 1,
            );
        } else if !accepted {
            tracing::debug!(webhook.id = %owed.webhook, ?verdict, "{story}");
        }
        self.record(&owed, at, accepted, status, &detail, verdict).await;
        Done { accepted, story }
    }

    async fn post(&self, owed: &Owed) -> Posted {
        let Some(facade) = Facade::of(owed.dialect) else {
            let detail = "it is in the words of a facade that this version does not know";
            return Posted::failed("unknown_facade", detail.to_owned());
        };
        let url = match Url::parse(&owed.url) {
            Ok(url) => url,
            Err(error) => return Posted::failed("refused", format!("it is no URL: {error}")),
        };
        let body = facade.result(&owed.contact, &self.zone);
        let content_type = HeaderValue::from_static(body.content_type);
        let request = Request {
            headers: identity(owed, (self.now)()),
            // The same for a server that is silent: it may be at work.
            timeout: Some(DELIVERY_TIME_MAX),
            ..Request::post(url, content_type, Bytes::from(body.body), Purpose::Webhook)
        };
        match self.http.send(request).await {
            Ok(answer) => Posted::answered(facade, &answer, (self.now)()),
            Err(error) => Posted::failed(error.name(), error.to_string()),
        }
    }

    /// Records a delivery, and tries on while the store is away: what is not recorded is delivered
    /// once more.
    async fn record(
        &self,
        owed: &Owed,
        at: Timestamp,
        accepted: bool,
        status: Option<u16>,
        detail: &str,
        verdict: DeliveryVerdict,
    ) {
        for _ in 0..RECORD_TRIES_MAX {
            let recorded =
                self.store.record_delivery(owed.webhook, at, accepted, status, detail, verdict);
            match recorded.await {
                Ok(()) => return,
                Err(StoreError::Unavailable(_)) => sleep(STORE_RETRY).await,
                Err(error) => {
                    tracing::warn!(webhook.id = %owed.webhook, %error, "delivery is not recorded");
                    return;
                }
            }
        }
        tracing::error!(webhook.id = %owed.webhook, "delivery is not recorded, so it is repeated");
    }
}

impl Desk {
    fn take(&mut self, leased: Leased) {
        self.waiting += 1;
        self.lanes.entry(host(&leased.owed.url)).or_default().waiting.push_back(leased);
    }

    /// Notes that a delivery has ended. A host is spoken of when it begins to fail, and when it
    /// takes results again, not at each of the thousands that may be owed to it.
    fn end(&mut self, ended: Result<(Id, Done), JoinError>) {
        let (id, done) = match ended {
            Ok((id, done)) => (id, Some(done)),
            Err(error) => {
                tracing::error!(%error, "a delivery broke off, it will be repeated");
                (error.id(), None)
            }
        };
        let Some(host) = self.hosts.remove(&id) else { return };
        if let Some(lane) = self.lanes.get_mut(&host) {
            lane.under_way -= 1;
        }
        let Some(done) = done else { return };
        if done.accepted {
            if self.failing.remove(&host) {
                tracing::info!(url.host = host, "takes results again");
            }
        } else if !self.failing.contains(&host) && self.failing.len() < FAILING_HOSTS_MAX {
            tracing::warn!(url.host = host, "{}; it is tried again", done.story);
            self.failing.insert(host);
        }
    }
}

impl Posted {
    fn failed(result: &'static str, detail: String) -> Self {
        let reception = Reception::Refused;
        Self { reception, status: None, detail, retry_after: None, result }
    }

    fn answered(facade: Facade, answer: &Answer, now: Timestamp) -> Self {
        let reception = facade.reception(answer.status, &answer.body);
        let accepted = reception == Reception::Taken;
        let detail = match answer.status {
            _ if accepted => String::new(),
            200..300 => "the answer does not say that the result was taken".to_owned(),
            300..400 => "the answer is a redirect, which is not followed".to_owned(),
            status => format!("the server answered {status}"),
        };
        let retry_after = match answer.status {
            429 | 502..=504 => retry_after(&answer.headers, now),
            _ => None,
        };
        let result = if accepted { "accepted" } else { "not_taken" };
        Self { reception, status: Some(answer.status), detail, retry_after, result }
    }
}

/// When to try again; later than by our own rule where the client asks for it.
fn verdict(owed: &Owed, posted: &Posted, now: Timestamp) -> DeliveryVerdict {
    let delivery = owed.deliveries.saturating_add(1);
    let spread = spread(owed.webhook.0, delivery);
    let schedule = Facade::of(owed.dialect).map_or(Schedule::Legacy, Facade::schedule);
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

/// By what a client knows a repeated delivery (Standard Webhooks 1.0.0).
fn identity(owed: &Owed, now: Timestamp) -> HeaderMap {
    let id = format!("msg_{}", owed.webhook);
    let timestamp = now.as_seconds().to_string();
    let pairs = [("webhook-id", id), ("webhook-timestamp", timestamp)];
    pairs
        .into_iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        })
        .collect()
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

/// The host and port of a URL; what is no URL is a lane of its own.
fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed
        .as_ref()
        .and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    host.unwrap_or_else(|| url.to_owned())
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
