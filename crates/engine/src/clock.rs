//! The one clock: the only place that asks the machine for the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::time::Timestamp;

/// Tells the time; clones tell the same time.
///
/// A [`Timestamp`] never steps back: when the wall clock is set back, time runs at half speed until
/// the wall has caught up. When it is set forward, we follow at once, for windows must be kept.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    instant: Instant,
    timestamp: Timestamp,
}

impl Clock {
    /// A clock that starts at the machine's time.
    pub fn new() -> Self {
        let reading = Reading { instant: instant(), timestamp: wall() };
        Self(Arc::new(Mutex::new(reading)))
    }

    /// The time that is stored and shown.
    pub fn now(&self) -> Timestamp {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (instant, wall) = (instant(), wall());
        let timestamp = advance(last.timestamp, instant.duration_since(last.instant), wall);
        // A reading within the same millisecond keeps the old pair, so that no fraction is lost.
        if timestamp > last.timestamp {
            *last = Reading { instant, timestamp };
        }
        timestamp
    }

    /// Lets time pass at once.
    #[cfg(test)]
    pub(crate) fn forward(&self, by: Duration) {
        self.now();
        let mut last = self.0.lock().unwrap();
        last.timestamp = last.timestamp + by;
    }

    /// The time that is only waited for.
    pub fn instant(&self) -> Instant {
        instant()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The processor time of this thread so far: what scripts have used of it.
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Where time stands `elapsed` after `last`, when the wall shows `wall`.
fn advance(last: Timestamp, elapsed: Duration, wall: Timestamp) -> Timestamp {
    if wall >= last + elapsed { wall } else { wall.max(last + elapsed / 2) }
}

#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advanced(elapsed_ms: u64, wall_ms: i64) -> i64 {
        let last = Timestamp::from_millis(10_000);
        advance(last, Duration::from_millis(elapsed_ms), Timestamp::from_millis(wall_ms))
            .as_millis()
    }

    #[test]
    fn wall_clock_that_runs_on_is_followed() {
        assert_eq!(advanced(100, 10_100), 10_100);
    }

    #[test]
    fn wall_clock_set_forward_is_followed_at_once() {
        assert_eq!(advanced(100, 90_000), 90_000);
    }

    #[test]
    fn wall_clock_set_back_slows_time_but_does_not_turn_it() {
        assert_eq!(advanced(100, 3_000), 10_050);
    }
}
