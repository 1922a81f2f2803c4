//! What is owed to a client's URL: of which facts, when to try again, when to leave it in peace.

mod circuit;
mod endpoint;

use std::time::Duration;

use crate::event::EventKind;
use crate::outcome::Disposition;
use crate::time::Timestamp;

pub use circuit::Circuit;
pub use endpoint::{DisableReason, Endpoint, EndpointState, FAILING_MAX, KeyPair};

/// Waits between deliveries by [`Schedule::Legacy`]; the last one repeats until [`GIVE_UP_AFTER`].
///
/// Quick at first for a client that restarts, then patient for one that is down over night.
const LEGACY_WAITS_S: [u64; 8] = [5, 30, 120, 300, 900, 1_800, 3_600, 7_200];
/// By [`Schedule::Legacy`] a webhook is owed this long; after it the result stays readable by API,
/// marked as given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(72 * 3_600);
/// Waits between deliveries by [`Schedule::Standard`]: ten deliveries in 75 h 35 min (Standard
/// Webhooks 1.0.0, "Deliverability and reliability").
const STANDARD_WAITS_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// A kind of fact that clients are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// An attempt was answered.
    CallAnswered,
    /// It is known who or what answered.
    CallCalleeDetected,
    /// An attempt began.
    CallDialing,
    /// An attempt ended; the detail is the outcome's name.
    CallEnded,
    /// The message for a machine was played to its end.
    CallMessageLeft,
    /// Another attempt will follow; the detail is its time in seconds since the epoch.
    CallRetryScheduled,
    /// The far end of an attempt rings.
    CallRinging,
    /// A script went wrong; the detail says how.
    CallScriptError,
    /// A contact ended: somebody asked that it not be dialed any more.
    ContactCanceled,
    /// A contact ended: an attempt was answered.
    ContactCompleted,
    /// A contact ended: its window closed first.
    ContactExpired,
    /// A contact ended: its attempts are used up.
    ContactFailed,
    /// A client tries out its own server.
    Test,
}

impl Topic {
    /// Every topic that an endpoint can ask for.
    pub const ALL: [Self; 12] = [
        Self::CallAnswered,
        Self::CallCalleeDetected,
        Self::CallDialing,
        Self::CallEnded,
        Self::CallMessageLeft,
        Self::CallRetryScheduled,
        Self::CallRinging,
        Self::CallScriptError,
        Self::ContactCanceled,
        Self::ContactCompleted,
        Self::ContactExpired,
        Self::ContactFailed,
    ];

    /// The name that is stored and shown; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallAnswered => "call.answered",
            Self::CallCalleeDetected => "call.callee_detected",
            Self::CallDialing => "call.dialing",
            Self::CallEnded => "call.ended",
            Self::CallMessageLeft => "call.message_left",
            Self::CallRetryScheduled => "call.retry_scheduled",
            Self::CallRinging => "call.ringing",
            Self::CallScriptError => "call.script_error",
            Self::ContactCanceled => "contact.canceled",
            Self::ContactCompleted => "contact.completed",
            Self::ContactExpired => "contact.expired",
            Self::ContactFailed => "contact.failed",
            Self::Test => "webhook.test",
        }
    }

    /// The topic of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let every = Self::ALL.into_iter().chain([Self::Test]);
        every.into_iter().find(|topic| topic.name() == name)
    }

    /// The topic of a contact's end.
    pub const fn of_end(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Canceled => Self::ContactCanceled,
            Disposition::Completed => Self::ContactCompleted,
            Disposition::Expired => Self::ContactExpired,
            Disposition::Failed => Self::ContactFailed,
        }
    }

    /// The topic of a fact about an attempt; `None` for facts that are no attempt's, or that have
    /// a topic by their disposition.
    pub const fn of_fact(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Answered => Some(Self::CallAnswered),
            EventKind::CalleeDetected => Some(Self::CallCalleeDetected),
            EventKind::Dialing => Some(Self::CallDialing),
            EventKind::Ended => Some(Self::CallEnded),
            EventKind::MessageLeft => Some(Self::CallMessageLeft),
            EventKind::RetryScheduled => Some(Self::CallRetryScheduled),
            EventKind::Ringing => Some(Self::CallRinging),
            EventKind::ScriptError => Some(Self::CallScriptError),
            EventKind::Done
            | EventKind::Held
            | EventKind::Queued
            | EventKind::Recorded
            | EventKind::Refused
            | EventKind::Rerouted
            | EventKind::TokenGiven => None,
        }
    }
}

/// Topics that an endpoint asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics(Vec<Topic>);

impl Topics {
    /// All ends of contacts: what an endpoint is told that asks for nothing else.
    pub fn ends() -> Self {
        let ends = Topic::ALL.into_iter().filter(|topic| topic.name().starts_with("contact."));
        ends.collect()
    }

    /// Whether this topic is among them.
    pub fn contains(&self, topic: Topic) -> bool {
        self.0.contains(&topic)
    }

    /// The topics, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Topic> + '_ {
        self.0.iter().copied()
    }

    /// Reads names with blanks between them, as [`Topics::names`] writes them; unknown ones are
    /// those of a newer program, and left out.
    pub fn from_names(names: &str) -> Self {
        names.split(' ').filter_map(Topic::from_name).collect()
    }

    /// The names with blanks between them.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.iter().map(Topic::name).collect();
        names.join(" ")
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        let mut topics: Vec<Topic> = topics.into_iter().collect();
        topics.sort_unstable();
        topics.dedup();
        Self(topics)
    }
}

/// When a webhook is delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// As older systems do: again and again for three days.
    Legacy,
    /// Ten deliveries over three days (Standard Webhooks 1.0.0).
    Standard,
}

/// What a client's server made of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It said that it wants no more (410).
    Gone,
    /// It did not take it, or nobody answered.
    Refused,
    /// It took it.
    Taken,
}

/// What follows from a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// The client has it.
    Delivered,
    /// Nobody took it in all that time.
    GivenUp,
    /// Nobody will ever take it: the endpoint is not told of anything more.
    Gone,
    /// Try again, not before this moment.
    RetryAt(Timestamp),
}

/// What follows from delivery number `deliveries` (from 1), made at `now`, of a webhook owed since
/// `owed_since`; `spread` in `0.0..=1.0` moves the retry by up to a fifth of the wait, so that the
/// retries of many results do not meet.
pub fn after_delivery(
    schedule: Schedule,
    reception: Reception,
    deliveries: u32,
    owed_since: Timestamp,
    now: Timestamp,
    spread: f64,
) -> DeliveryVerdict {
    match reception {
        Reception::Gone => return DeliveryVerdict::Gone,
        Reception::Refused => {}
        Reception::Taken => return DeliveryVerdict::Delivered,
    }
    let nth = usize::try_from(deliveries.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait_s = match schedule {
        Schedule::Legacy if now.since(owed_since) >= GIVE_UP_AFTER => None,
        Schedule::Legacy => Some(LEGACY_WAITS_S[nth.min(LEGACY_WAITS_S.len() - 1)]),
        Schedule::Standard => STANDARD_WAITS_S.get(nth).copied(),
    };
    let Some(wait) = wait_s.map(Duration::from_secs) else {
        return DeliveryVerdict::GivenUp;
    };
    DeliveryVerdict::RetryAt(now + wait + wait.mul_f64(spread.clamp(0.0, 1.0) / 5.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWED: Timestamp = Timestamp::from_seconds(1_000);

    fn refused(schedule: Schedule, deliveries: u32) -> DeliveryVerdict {
        after_delivery(schedule, Reception::Refused, deliveries, OWED, OWED, 0.0)
    }

    #[test]
    fn delivery_that_was_taken_is_the_last() {
        for schedule in [Schedule::Legacy, Schedule::Standard] {
            let verdict = after_delivery(schedule, Reception::Taken, 9, OWED, OWED, 0.0);
            assert_eq!(verdict, DeliveryVerdict::Delivered);
        }
    }

    #[test]
    fn server_that_is_gone_is_asked_no_more() {
        for schedule in [Schedule::Legacy, Schedule::Standard] {
            let verdict = after_delivery(schedule, Reception::Gone, 1, OWED, OWED, 0.0);
            assert_eq!(verdict, DeliveryVerdict::Gone);
        }
    }

    #[test]
    fn legacy_delivery_is_tried_again_later_and_later() {
        let at = |s: i64| DeliveryVerdict::RetryAt(Timestamp::from_seconds(1_000 + s));
        assert_eq!(
            [1, 2, 8, 99].map(|nth| refused(Schedule::Legacy, nth)),
            [at(5), at(30), at(7_200), at(7_200)]
        );
    }

    #[test]
    fn legacy_webhook_is_given_up_after_three_days() {
        let now = OWED + GIVE_UP_AFTER;
        let verdict = after_delivery(Schedule::Legacy, Reception::Refused, 44, OWED, now, 0.0);
        assert_eq!(verdict, DeliveryVerdict::GivenUp);
    }

    #[test]
    fn standard_schedule_has_ten_deliveries_in_75_hours_and_35_minutes() {
        let mut now = OWED;
        for delivery in 1..=9 {
            let verdict =
                after_delivery(Schedule::Standard, Reception::Refused, delivery, OWED, now, 0.0);
            let DeliveryVerdict::RetryAt(at) = verdict else {
                panic!("delivery {delivery}: {verdict:?}");
            };
            now = at;
        }
        assert_eq!(now.since(OWED), Duration::from_secs(75 * 3_600 + 35 * 60 + 5));
        assert_eq!(refused(Schedule::Standard, 10), DeliveryVerdict::GivenUp);
    }

    #[test]
    fn retry_is_moved_by_at_most_a_fifth_of_its_wait() {
        for (spread, expected_ms) in [(0.0, 5_000), (0.5, 5_500), (1.0, 6_000), (9.0, 6_000)] {
            let verdict =
                after_delivery(Schedule::Standard, Reception::Refused, 1, OWED, OWED, spread);
            let at = OWED + Duration::from_millis(expected_ms);
            assert_eq!(verdict, DeliveryVerdict::RetryAt(at));
        }
    }

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in Topic::ALL.into_iter().chain([Topic::Test]) {
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
        }
        assert_eq!(Topic::from_name("contact.born"), None);
    }

    #[test]
    fn every_end_of_a_contact_has_a_topic_and_every_fact_of_a_call() {
        assert_eq!(Topics::ends().iter().count(), 4);
        let facts = EventKind::ALL.into_iter().filter_map(Topic::of_fact);
        let topics: Topics = facts.chain(Topics::ends().iter()).collect();
        assert_eq!(topics, Topic::ALL.into_iter().collect());
    }

    #[test]
    fn topics_are_written_in_one_order_and_read_back() {
        let topics: Topics =
            [Topic::ContactFailed, Topic::CallEnded, Topic::ContactFailed].into_iter().collect();
        assert_eq!(topics.names(), "call.ended contact.failed");
        assert_eq!(Topics::from_names(&topics.names()), topics);
        assert_eq!(Topics::from_names("call.ended call.unheard_of contact.failed"), topics);
        assert_eq!(Topics::from_names(""), Topics::default());
    }
}
