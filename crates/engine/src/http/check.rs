//! Whether an address answers 200, asked before something is queued for it.
//!
//! Who may queue calls may make us ask any address, so the answer is kept so small that it is no
//! port scanner: yes or no, not more often than a host can bear, nothing of what was found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use url::Url;

use super::slots::Slots;
use super::{HttpClient, Purpose, Request};

/// How long an answer holds for further calls with the same URL.
const HOLDS_FOR: Duration = Duration::from_secs(5);
/// Answers that are kept at once; beyond it every check asks.
const KEPT_MAX: usize = 4_096;
/// Time between checks of one host, once its burst is used up.
const INTERVAL: Duration = Duration::from_millis(50);
/// Checks of one host that may come at once.
const BURST: u32 = 100;
/// Longest wait for a turn; a longer one is refused at once.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Hosts whose pace is remembered.
const PACES_MAX: usize = 4_096;
/// Checks that run at once, whatever their hosts.
const AT_ONCE_MAX: usize = 64;

/// Why nothing is queued for an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Too many addresses of one host are being checked. Time repairs it.
    #[error("too many addresses of its host are being checked, try again later")]
    Busy,
    /// It is no URL, or one that is not permitted as it stands. Its author repairs it.
    #[error("it is refused: {0}")]
    Refused(String),
    /// It did not answer 200, for whatever reason. Its owner repairs it.
    #[error("it did not answer 200 to a GET")]
    Unreachable,
}

/// What is known of checks made and under way.
pub(super) struct Checks {
    recent: Mutex<HashMap<String, Arc<OnceCell<Checked>>>>,
    paces: Mutex<HashMap<String, Pace>>,
    at_once: Slots,
}

#[derive(Clone, Copy)]
struct Checked {
    reachable: bool,
    at: Instant,
}

impl Default for Checks {
    fn default() -> Self {
        Self { recent: Mutex::default(), paces: Mutex::default(), at_once: Slots::new(AT_ONCE_MAX) }
    }
}

impl HttpClient {
    /// Whether `url` answers a GET with 200, without redirect.
    ///
    /// Calls with one URL share one request while it runs and for some seconds afterwards.
    pub async fn check(&self, url: &str) -> Result<(), CheckError> {
        let (url, host) = self.permitted(url).inspect_err(|_| count("refused"))?;
        let checks = &self.0.checks;
        let cell = checks.cell(url.as_str(), self.0.clock.instant());
        // One asks, the others wait for it; should it give up, the next one asks.
        let ask = || self.ask_once(url, &host);
        let checked = cell.get_or_try_init(ask).await.inspect_err(|_| count("busy"))?;
        count(if checked.reachable { "reachable" } else { "unreachable" });
        if checked.reachable { Ok(()) } else { Err(CheckError::Unreachable) }
    }

    /// Whether `url` may be asked at all, judged as it stands: nothing is sent, and the name is not
    /// resolved yet.
    pub fn may_ask(&self, url: &str) -> Result<(), CheckError> {
        self.permitted(url).map(drop)
    }

    /// The URL and its host, judged as it stands; the name is not resolved yet.
    fn permitted(&self, url: &str) -> Result<(Url, String), CheckError> {
        let refused = |reason: String| CheckError::Refused(reason);
        let mut url = Url::parse(url).map_err(|error| refused(format!("it is no URL: {error}")))?;
        url.set_fragment(None);
        let target = self.0.connector.policy().target(&url).map_err(|refusal| {
            refusal.note(&url, Purpose::Check);
            refused(refusal.to_string())
        })?;
        Ok((url, target.host.to_string()))
    }

    async fn ask_once(&self, url: Url, host: &str) -> Result<Checked, CheckError> {
        let shared = &self.0;
        let wait = shared.checks.pace(host, shared.clock.instant()).ok_or(CheckError::Busy)?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let turn = shared.checks.at_once.take("");
        let _turn = timeout(WAIT_MAX, turn).await.map_err(|_| CheckError::Busy)?;
        let reachable = match self.send(Request::get(url, Purpose::Check)).await {
            Ok(answer) => answer.status == 200,
            // For the client's eyes there is one reason; ours see more.
            Err(error) => {
                tracing::debug!(url.host = host, %error, "address is not reachable");
                false
            }
        };
        Ok(Checked { reachable, at: shared.clock.instant() })
    }
}

impl Checks {
    /// Where the answer for `url` is, or will be.
    fn cell(&self, url: &str, now: Instant) -> Arc<OnceCell<Checked>> {
        let holds = |cell: &OnceCell<Checked>| {
            cell.get().is_none_or(|checked| now.duration_since(checked.at) < HOLDS_FOR)
        };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = recent.get(url).filter(|cell| holds(cell)) {
            return cell.clone();
        }
        let cell = Arc::new(OnceCell::new());
        if recent.len() >= KEPT_MAX {
            recent.retain(|_, cell| holds(cell) && (cell.initialized() || in_use(cell)));
        }
        if recent.len() < KEPT_MAX {
            recent.insert(url.to_owned(), cell.clone());
        }
        cell
    }

    /// How long the next check of `host` has to wait; `None` where that is too long.
    fn pace(&self, host: &str, now: Instant) -> Option<Duration> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= PACES_MAX && !paces.contains_key(host) {
            paces.retain(|_, pace| !pace.is_idle(now));
            if paces.len() >= PACES_MAX {
                return None;
            }
        }
        paces.entry(host.to_owned()).or_insert(Pace { even_at: now }).take(now)
    }
}

/// Whether somebody besides the table waits for the answer.
fn in_use(cell: &Arc<OnceCell<Checked>>) -> bool {
    Arc::strong_count(cell) > 1
}

/// The pace of one host: a burst, then one after another (the generic cell rate algorithm).
struct Pace {
    /// When all that was taken would have come one after another.
    even_at: Instant,
}

impl Pace {
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let even_at = self.even_at.max(now) + INTERVAL;
        let wait = even_at.duration_since(now).saturating_sub(INTERVAL * BURST);
        if wait > WAIT_MAX {
            return None;
        }
        self.even_at = even_at;
        Some(wait)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.even_at <= now
    }
}

fn count(result: &'static str) {
    metrics::counter!("outdial_url_checks_total", "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn host_is_checked_in_a_burst_then_at_its_pace_then_not_at_all() {
        let checks = Checks::default();
        let now = Clock::new().instant();
        let waits: Vec<Option<Duration>> =
            std::iter::repeat_with(|| checks.pace("app.example", now)).take(202).collect();
        assert_eq!(waits[99], Some(Duration::ZERO));
        assert_eq!(waits[100], Some(Duration::from_millis(50)));
        assert_eq!(waits[199], Some(Duration::from_secs(5)));
        assert_eq!(waits[200], None);
        assert_eq!(checks.pace("other.example", now), Some(Duration::ZERO));
        assert_eq!(checks.pace("app.example", now + WAIT_MAX), Some(Duration::from_millis(50)));
        assert_eq!(checks.pace("app.example", now + Duration::from_secs(60)), Some(Duration::ZERO));
    }

    #[test]
    fn paces_and_answers_are_bounded() {
        let checks = Checks::default();
        let now = Clock::new().instant();
        for number in 0..PACES_MAX {
            assert!(checks.pace(&number.to_string(), now).is_some());
            let cell = checks.cell(&number.to_string(), now);
            cell.set(Checked { reachable: true, at: now }).ok();
        }
        assert_eq!(checks.pace("one more", now), None);
        assert!(checks.pace("1", now).is_some());
        checks.cell("one more", now);
        assert_eq!(checks.recent.lock().unwrap().len(), KEPT_MAX);
        let later = now + Duration::from_secs(9);
        assert!(checks.pace("one more", later).is_some());
        checks.cell("one more", later);
        assert_eq!(checks.recent.lock().unwrap().len(), 1);
    }
}
