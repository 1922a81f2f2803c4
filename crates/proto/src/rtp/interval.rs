//! When the next RTCP report is due (RFC 3550 §6.2, §6.3.1, for two members).

use std::time::{Duration, Instant};

use super::random::Random;

/// Least mean time between two reports (§6.2). A call has two members and 64 kbit/s, so the share
/// of the bandwidth that RTCP may take would allow more; the least time is what counts.
pub const INTERVAL_MIN: Duration = Duration::from_secs(5);
/// e - 3/2: corrects for the reconsideration of others, so that the mean comes out right (§6.3.1).
const COMPENSATION: f64 = std::f64::consts::E - 1.5;

/// The clock of the reports.
#[derive(Clone, Debug)]
pub struct Interval {
    random: Random,
    due: Instant,
}

impl Interval {
    /// The first report comes after half the usual time (§6.2).
    pub fn new(now: Instant, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let due = now + spread(&mut random, INTERVAL_MIN / 2);
        Self { random, due }
    }

    /// When the next report is due.
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// Notes that a report was sent.
    pub fn sent(&mut self, now: Instant) {
        self.due = now + spread(&mut self.random, INTERVAL_MIN);
    }
}

/// Half to one and a half times `mean`, so that calls begun together do not report together.
fn spread(random: &mut Random, mean: Duration) -> Duration {
    mean.mul_f64((0.5 + random.next_unit()) / COMPENSATION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::fixture;

    #[test]
    fn reports_are_spread_around_five_seconds_and_the_first_comes_sooner() {
        let start = fixture::start();
        for seed in 0..100 {
            let mut interval = Interval::new(start, seed);
            let first = interval.due() - start;
            assert!(first >= Duration::from_millis(1_025), "{first:?}");
            assert!(first <= Duration::from_millis(3_080), "{first:?}");
            let mut now = interval.due();
            for _ in 0..20 {
                interval.sent(now);
                let gap = interval.due() - now;
                assert!(gap >= Duration::from_millis(2_050), "{gap:?}");
                assert!(gap <= Duration::from_millis(6_160), "{gap:?}");
                now = interval.due();
            }
        }
    }
}
