//! MACHINE, by its owner's clock: when a server that fails is left in peace, and how it comes back.

use std::time::Duration;

use super::Reception;
use crate::time::Timestamp;

/// Refusals in a row from which on the server is left in peace.
const REFUSALS_MAX: u32 = 5;
/// How long, the first time; it doubles with each refusal that follows.
const PEACE_MIN: Duration = Duration::from_secs(30);
/// How long at most, so that a server that is well again has its results within minutes.
const PEACE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a server may ask for itself, for all that it is owed; what a single result was asked to
/// wait may be longer.
const ASKED_MAX: Duration = Duration::from_secs(3_600);

/// A circuit breaker: closed while all is well, half open while the server fails, open while it is
/// left in peace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circuit {
    refusals: u32,
    open_until: Option<Timestamp>,
}

impl Circuit {
    /// Takes note of what came of a delivery; `asked` is how long the server asked to be left in
    /// peace, if it did.
    pub fn note(&mut self, now: Timestamp, reception: Reception, asked: Option<Duration>) {
        if reception == Reception::Taken {
            *self = Self::default();
            return;
        }
        if asked.is_none() && self.open_until(now).is_some() {
            // Begun before it was left in peace: that says nothing new.
            return;
        }
        self.refusals = self.refusals.saturating_add(1);
        let doubled = self.refusals.checked_sub(REFUSALS_MAX).map(|more| {
            let times = 2_u32.saturating_pow(more);
            PEACE_MIN.saturating_mul(times).min(PEACE_MAX)
        });
        let asked = asked.map(|asked| asked.min(ASKED_MAX));
        let wait = doubled.into_iter().chain(asked).max();
        if let Some(wait) = wait {
            self.open_until = self.open_until.max(Some(now + wait));
        }
    }

    /// Until when nothing may be delivered; `None` where something may.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.open_until.filter(|until| now < *until)
    }

    /// How many deliveries may be under way, of `most` to a server that is well: one is enough to
    /// see a failing one come back.
    pub fn places(&self, now: Timestamp, most: u32) -> u32 {
        match (self.open_until(now), self.refusals) {
            (Some(_), _) => 0,
            (None, 0) => most,
            (None, _) => most.min(1),
        }
    }

    /// Whether the server took what it was told last.
    pub const fn is_well(&self) -> bool {
        self.refusals == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// A circuit after so many refusals in a row, and the moment of the last one.
    fn refused(times: u32) -> (Circuit, Timestamp) {
        let (mut circuit, mut now) = (Circuit::default(), at(0));
        for _ in 0..times {
            now = circuit.open_until(now).unwrap_or(now);
            circuit.note(now, Reception::Refused, None);
        }
        (circuit, now)
    }

    #[test]
    fn server_that_is_well_has_all_its_places() {
        assert_eq!(Circuit::default().places(at(0), 8), 8);
    }

    #[test]
    fn server_that_fails_has_one_place_until_it_takes_something() {
        let (mut circuit, now) = refused(1);
        assert_eq!(circuit.places(now, 8), 1);
        circuit.note(at(1), Reception::Taken, None);
        assert_eq!(circuit.places(at(1), 8), 8);
    }

    #[test]
    fn server_that_fails_again_and_again_is_left_in_peace_longer_and_longer() {
        let seconds = |times| {
            let (circuit, now) = refused(times);
            circuit.open_until(now).map(|until| until.since(now).as_secs())
        };
        let expected = [None, Some(30), Some(60), Some(120), Some(480), Some(600), Some(600)];
        assert_eq!([4, 5, 6, 7, 9, 10, 99].map(seconds), expected);
        let (circuit, _) = refused(5);
        assert_eq!(circuit.places(at(29), 8), 0);
        assert_eq!(circuit.places(at(30), 8), 1);
    }

    #[test]
    fn deliveries_that_were_under_way_when_it_began_to_fail_do_not_count_twice() {
        let (mut circuit, now) = refused(5);
        let before = circuit;
        circuit.note(now, Reception::Refused, None);
        assert_eq!(circuit, before);
    }

    #[test]
    fn server_that_asks_for_peace_has_it_for_an_hour_at_most() {
        let mut circuit = Circuit::default();
        circuit.note(at(0), Reception::Refused, Some(Duration::from_secs(120)));
        assert_eq!(circuit.open_until(at(0)), Some(at(120)));
        circuit.note(at(0), Reception::Refused, Some(Duration::from_secs(86_400)));
        assert_eq!(circuit.open_until(at(0)), Some(at(3_600)));
        // What it said before is not taken back by a shorter wish.
        circuit.note(at(1), Reception::Refused, Some(Duration::from_secs(1)));
        assert_eq!(circuit.open_until(at(1)), Some(at(3_600)));
    }
}
