//! What is owed to a client's URL, and when to try again.

use std::time::Duration;

use crate::time::Timestamp;

/// Waits between deliveries; the last one repeats until [`GIVE_UP_AFTER`].
///
/// Quick at first for a client that restarts, then patient for one that is down over night.
const WAITS_S: [u64; 8] = [5, 30, 120, 300, 900, 1_800, 3_600, 7_200];
/// A webhook is owed this long; after it the result stays readable by API, marked as given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(72 * 3_600);

/// What follows from a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// The client has it.
    Delivered,
    /// Nobody took it in all that time.
    GivenUp,
    /// Try again, not before this moment.
    RetryAt(Timestamp),
}

/// What follows from delivery number `deliveries` (from 1), made at `now`, of a webhook owed since
/// `owed_since`; `spread` in `0.0..=1.0` moves the retry by up to a fifth of the wait, so that the
/// retries of many results do not meet.
pub fn after_delivery(
    accepted: bool,
    deliveries: u32,
    owed_since: Timestamp,
    now: Timestamp,
    spread: f64,
) -> DeliveryVerdict {
    if accepted {
        return DeliveryVerdict::Delivered;
    }
    if now.since(owed_since) >= GIVE_UP_AFTER {
        return DeliveryVerdict::GivenUp;
    }
    let nth = usize::try_from(deliveries.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = Duration::from_secs(WAITS_S[nth.min(WAITS_S.len() - 1)]);
    DeliveryVerdict::RetryAt(now + wait + wait.mul_f64(spread.clamp(0.0, 1.0) / 5.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWED: Timestamp = Timestamp::from_seconds(1_000);

    fn retry_s(deliveries: u32) -> DeliveryVerdict {
        after_delivery(false, deliveries, OWED, OWED, 0.0)
    }

    #[test]
    fn accepted_delivery_is_the_last() {
        assert_eq!(after_delivery(true, 9, OWED, OWED, 0.0), DeliveryVerdict::Delivered);
    }

    #[test]
    fn refused_delivery_is_tried_again_later_and_later() {
        let at = |s: i64| DeliveryVerdict::RetryAt(Timestamp::from_seconds(1_000 + s));
        assert_eq!(
            [retry_s(1), retry_s(2), retry_s(8), retry_s(99)],
            [at(5), at(30), at(7_200), at(7_200)]
        );
    }

    #[test]
    fn webhook_is_given_up_after_three_days() {
        let now = OWED + GIVE_UP_AFTER;
        assert_eq!(after_delivery(false, 44, OWED, now, 0.0), DeliveryVerdict::GivenUp);
    }
}
