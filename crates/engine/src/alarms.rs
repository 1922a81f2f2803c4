//! What is wrong with the database, by what it says of itself from time to time.

use std::time::{Duration, Instant};

use store::DatabaseState;

/// How old a snapshot may be: each minute of one costs a good part of what the queue does.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(60);
/// Connections that should be free: as many as one server needs to come back.
const CONNECTIONS_FREE_MIN: i64 = 6;

/// What was heard of the database so far.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// The oldest transaction that somebody may still want to see, and since when it is that one.
    horizon: Option<(i64, Instant)>,
}

impl Alarms {
    /// Takes in how the database is doing at `now`; what is wrong with it.
    pub(crate) fn hear(&mut self, now: Instant, state: &DatabaseState) -> Vec<String> {
        let before = self.horizon.filter(|(old, _)| Some(*old) == state.horizon);
        self.horizon = before.or_else(|| state.horizon.map(|horizon| (horizon, now)));
        let mut alarms = Vec::new();
        let age = self.horizon.map(|(_, since)| now.duration_since(since));
        if age.is_some_and(|age| age >= SNAPSHOT_AGE_MAX) {
            let limit_s = SNAPSHOT_AGE_MAX.as_secs();
            alarms.push(format!("database keeps a snapshot older than {limit_s} s"));
        }
        if state.connections_max - state.connections < CONNECTIONS_FREE_MIN {
            alarms.push("database has hardly a connection left".into());
        }
        if !state.cleans_up {
            alarms.push("database does not clean up: autovacuum is off".into());
        }
        alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const GOOD: DatabaseState =
        DatabaseState { horizon: None, connections: 6, connections_max: 97, cleans_up: true };

    fn old(horizon: i64) -> DatabaseState {
        DatabaseState { horizon: Some(horizon), ..GOOD }
    }

    #[test]
    fn snapshot_that_stays_for_a_minute_is_told() {
        let (mut alarms, start) = (Alarms::default(), Clock::new().instant());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(alarms.hear(start, &old(7)).is_empty());
        assert!(alarms.hear(after(59), &old(7)).is_empty());
        assert_eq!(alarms.hear(after(60), &old(7)), ["database keeps a snapshot older than 60 s"]);
        // It ended, and others are young.
        assert!(alarms.hear(after(70), &old(9)).is_empty());
        assert!(alarms.hear(after(80), &GOOD).is_empty());
        assert!(alarms.hear(after(140), &old(9)).is_empty());
    }

    #[test]
    fn last_connections_and_no_cleaning_up_are_told() {
        let (mut alarms, now) = (Alarms::default(), Clock::new().instant());
        let full = DatabaseState { connections: 92, ..GOOD };
        assert_eq!(alarms.hear(now, &full), ["database has hardly a connection left"]);
        let dirty = DatabaseState { cleans_up: false, ..GOOD };
        let told = alarms.hear(now, &dirty);
        assert_eq!(told, ["database does not clean up: autovacuum is off"]);
    }
}
