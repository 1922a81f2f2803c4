//! Counts failed tries to get in, and says who has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use domain::time::Timestamp;

/// Time after which failures are forgotten.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failures of one login from one address: a person who mistypes a PIN has enough.
const PAIR_FAILURES_MAX: u32 = 10;
/// Failures from one address: a proxy may stand for many clients.
const SOURCE_FAILURES_MAX: u32 = 100;
/// Failures of one login from anywhere: more than any client makes, few enough that a PIN of eight
/// digits holds for centuries.
const LOGIN_FAILURES_MAX: u32 = 200;
/// Most subjects remembered; each takes some 200 bytes.
const SUBJECTS_MAX: usize = 20_000;

/// Whose failures are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A login, from anywhere.
    Login(String),
    /// A login from one address.
    Pair(String, IpAddr),
    /// An address, with any login or key.
    Source(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Timestamp,
    failures: u32,
}

/// Failures by subject.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    counts: HashMap<Subject, Count>,
}

impl Subject {
    /// All subjects of a try with this login from this address.
    pub(crate) fn of_login(login: &str, source: IpAddr) -> [Self; 3] {
        let source = network(source);
        [Self::Login(login.into()), Self::Pair(login.into(), source), Self::Source(source)]
    }

    /// The subject of a try with a key from this address.
    pub(crate) fn of_key(source: IpAddr) -> [Self; 1] {
        [Self::Source(network(source))]
    }

    const fn failures_max(&self) -> u32 {
        match self {
            Self::Login(_) => LOGIN_FAILURES_MAX,
            Self::Pair(..) => PAIR_FAILURES_MAX,
            Self::Source(_) => SOURCE_FAILURES_MAX,
        }
    }
}

/// One subscriber of IPv6 has a whole /64.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Throttle {
    /// How long the next try has to wait; `None`: not at all.
    pub(crate) fn wait(&self, subjects: &[Subject], now: Timestamp) -> Option<Duration> {
        subjects
            .iter()
            .filter_map(|subject| {
                let count = self.counts.get(subject)?;
                let over = now.since(count.since);
                (count.failures >= subject.failures_max() && over < WINDOW).then(|| WINDOW - over)
            })
            .max()
    }

    /// Counts a failure.
    pub(crate) fn fail(&mut self, subjects: &[Subject], now: Timestamp) {
        self.make_room(now);
        for subject in subjects {
            let count =
                self.counts.entry(subject.clone()).or_insert(Count { since: now, failures: 0 });
            if now.since(count.since) >= WINDOW {
                *count = Count { since: now, failures: 0 };
            }
            count.failures = count.failures.saturating_add(1);
        }
    }

    /// Forgets what is over; under attack from very many sources also those who hardly count.
    fn make_room(&mut self, now: Timestamp) {
        if self.counts.len() < SUBJECTS_MAX {
            return;
        }
        self.counts.retain(|_, count| now.since(count.since) < WINDOW);
        if self.counts.len() >= SUBJECTS_MAX {
            self.counts.retain(|_, count| count.failures >= PAIR_FAILURES_MAX / 2);
        }
        if self.counts.len() >= SUBJECTS_MAX {
            self.counts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn failed(throttle: &mut Throttle, login: &str, source: IpAddr, times: u32) {
        for _ in 0..times {
            throttle.fail(&Subject::of_login(login, source), NOW);
        }
    }

    #[test]
    fn login_has_to_wait_after_too_many_failures_from_one_address() {
        let mut throttle = Throttle::default();
        failed(&mut throttle, "ann", HOME, 9);
        assert_eq!(throttle.wait(&Subject::of_login("ann", HOME), NOW), None);
        failed(&mut throttle, "ann", HOME, 1);
        assert_eq!(throttle.wait(&Subject::of_login("ann", HOME), NOW), Some(WINDOW));
    }

    #[test]
    fn other_logins_and_addresses_need_not_wait() {
        let mut throttle = Throttle::default();
        failed(&mut throttle, "ann", HOME, 10);
        let away = "198.51.100.7".parse().unwrap();
        assert_eq!(throttle.wait(&Subject::of_login("bo", HOME), NOW), None);
        assert_eq!(throttle.wait(&Subject::of_login("ann", away), NOW), None);
    }

    #[test]
    fn address_that_tries_many_logins_has_to_wait_with_all() {
        let mut throttle = Throttle::default();
        (0..100).for_each(|n| failed(&mut throttle, &format!("user{n}"), HOME, 1));
        assert!(throttle.wait(&Subject::of_login("new", HOME), NOW).is_some());
        assert!(throttle.wait(&Subject::of_key(HOME), NOW).is_some());
    }

    #[test]
    fn login_tried_from_everywhere_has_to_wait_everywhere() {
        let mut throttle = Throttle::default();
        for n in 0..200 {
            failed(&mut throttle, "ann", IpAddr::from([198, 51, 100, n]), 1);
        }
        assert!(throttle.wait(&Subject::of_login("ann", HOME), NOW).is_some());
    }

    #[test]
    fn subscriber_of_ipv6_is_one_source() {
        let mut throttle = Throttle::default();
        failed(&mut throttle, "ann", "2001:db8::1".parse().unwrap(), 10);
        let neighbour = "2001:db8::ffff:2".parse().unwrap();
        assert!(throttle.wait(&Subject::of_login("ann", neighbour), NOW).is_some());
    }

    #[test]
    fn failures_are_forgotten_after_a_quarter_of_an_hour() {
        let mut throttle = Throttle::default();
        failed(&mut throttle, "ann", HOME, 10);
        let later = NOW + WINDOW;
        assert_eq!(throttle.wait(&Subject::of_login("ann", HOME), later), None);
        throttle.fail(&Subject::of_login("ann", HOME), later);
        assert_eq!(throttle.wait(&Subject::of_login("ann", HOME), later), None);
    }

    #[test]
    fn memory_is_bounded_however_many_try() {
        let mut throttle = Throttle::default();
        for n in 0..SUBJECTS_MAX {
            throttle.fail(&Subject::of_login(&n.to_string(), HOME), NOW);
        }
        assert!(throttle.counts.len() <= SUBJECTS_MAX + 3);
    }
}
