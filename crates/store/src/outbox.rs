//! Whose turn it is at the outbox: lanes, what they are due, and what is under way in them.
//!
//! What is owed is in the database; who is being served right now is known to this process alone,
//! and a new process begins anew.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::WebhookId;
use domain::time::Timestamp;

/// The lanes in which something is or was lately owed: one for each endpoint, one for each host of an
/// account's result URLs.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: BTreeMap<String, Lane>,
    /// Deliveries in one lane at once, as last asked for.
    per_lane_max: usize,
}

/// What a committed transaction changed.
#[derive(Debug)]
pub(crate) enum Change {
    /// Forget lanes that are owed nothing: all but these.
    Keep(BTreeSet<String>),
    /// The lane is owed something that may be delivered from then on.
    Owe {
        /// The lane.
        lane: String,
        /// From when on.
        at: Timestamp,
    },
    /// A delivery has come to its end.
    Settle {
        /// The lane.
        lane: String,
        /// What was delivered.
        webhook: WebhookId,
        /// When it may be delivered again; `None` where it is over.
        next_at: Option<Timestamp>,
    },
}

/// A lane whose turn it is.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The lane.
    pub lane: String,
    /// Deliveries that may begin.
    pub free: usize,
    /// What is under way.
    pub leased: Vec<WebhookId>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Never later than the first thing owed that is not under way.
    due_at: Option<Timestamp>,
    /// The same for what was owed since the look that is under way began.
    news: Option<Timestamp>,
    /// What is under way, and until when it is believed to be.
    leases: Vec<(WebhookId, Timestamp)>,
    served_at: Option<Timestamp>,
    limit: Option<Limit>,
}

/// What a lane is held to while its server does not do well.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Deliveries at once.
    most: usize,
    /// Until when there are none.
    peace_until: Option<Timestamp>,
}

impl Outbox {
    /// Takes note of a committed change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Keep(owed) => self.lanes.retain(|name, lane| {
                let busy = !lane.leases.is_empty() || lane.news.is_some();
                owed.contains(name) || busy || lane.limit.is_some()
            }),
            Change::Owe { lane, at } => self.lanes.entry(lane).or_default().owe(at),
            Change::Settle { lane, webhook, next_at } => {
                let lane = self.lanes.entry(lane).or_default();
                lane.leases.retain(|lease| lease.0 != webhook);
                if let Some(next_at) = next_at {
                    lane.owe(next_at);
                }
            }
        }
    }

    /// Holds a lane to so many deliveries at once, and to none until a moment; `None` frees it.
    pub(crate) fn limit(&mut self, lane: &str, limit: Option<(usize, Option<Timestamp>)>) {
        let limit = limit.map(|(most, peace_until)| Limit { most, peace_until });
        match (self.lanes.get_mut(lane), limit) {
            (Some(lane), limit) => lane.limit = limit,
            (None, Some(_)) => {
                let new = Lane { limit, ..Lane::default() };
                self.lanes.insert(lane.to_owned(), new);
            }
            (None, None) => {}
        }
    }

    /// When there may be something to deliver; never later than there is.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.lanes.values().filter_map(|lane| lane.next(self.per_lane_max)).min()
    }

    /// Lanes that may be served now, the one served longest ago first, at most `limit`.
    pub(crate) fn turns(&mut self, now: Timestamp, per_lane_max: usize, limit: usize) -> Vec<Turn> {
        self.per_lane_max = per_lane_max;
        let mut due = Vec::new();
        for (name, lane) in &mut self.lanes {
            lane.end_leases(now);
            let free = lane.places(per_lane_max).saturating_sub(lane.leases.len());
            let free = if lane.peace_until().is_some_and(|until| now < until) { 0 } else { free };
            if free > 0 && lane.due_at.is_some_and(|due_at| due_at <= now) {
                lane.news = None;
                let leased = lane.leases.iter().map(|lease| lease.0).collect();
                due.push((lane.served_at, name, free, leased));
            }
        }
        due.sort_by_key(|turn| turn.0);
        due.truncate(limit);
        let turns = due.into_iter().map(|(_, lane, free, leased)| Turn {
            lane: lane.clone(),
            free,
            leased,
        });
        turns.collect()
    }

    /// Ends a lane's turn: what it is being served, and when there is more for it.
    pub(crate) fn served(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        lane: &str,
        served: &[WebhookId],
        next: Option<Timestamp>,
    ) {
        let lane = self.lanes.entry(lane.to_owned()).or_default();
        let leases = served.iter().map(|webhook| (*webhook, lease_until));
        lane.leases.extend(leases);
        if !served.is_empty() {
            lane.served_at = Some(now);
        }
        lane.due_at = [next, lane.news].into_iter().flatten().min();
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), per_lane_max: usize::MAX }
    }
}

impl Lane {
    fn owe(&mut self, at: Timestamp) {
        self.due_at = [self.due_at, Some(at)].into_iter().flatten().min();
        self.news = [self.news, Some(at)].into_iter().flatten().min();
    }

    fn places(&self, per_lane_max: usize) -> usize {
        self.limit.map_or(per_lane_max, |limit| limit.most.min(per_lane_max))
    }

    fn peace_until(&self) -> Option<Timestamp> {
        self.limit.and_then(|limit| limit.peace_until)
    }

    /// What was believed to be under way for too long is due again.
    fn end_leases(&mut self, now: Timestamp) {
        for lease in self.leases.extract_if(.., |lease| lease.1 <= now) {
            let at = lease.1;
            self.due_at = [self.due_at, Some(at)].into_iter().flatten().min();
        }
    }

    /// When to look at this lane: what it is owed, if it has a place, or the end of a lease.
    fn next(&self, per_lane_max: usize) -> Option<Timestamp> {
        let owed = self.due_at.filter(|_| self.leases.len() < self.places(per_lane_max));
        let owed = owed.map(|due_at| self.peace_until().map_or(due_at, |until| due_at.max(until)));
        let lease_end = self.leases.iter().map(|lease| lease.1).min();
        owed.into_iter().chain(lease_end).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: &str = "a.example";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn owe(outbox: &mut Outbox, seconds: i64) {
        outbox.apply(Change::Owe { lane: LANE.into(), at: at(seconds) });
    }

    #[test]
    fn what_is_owed_during_a_look_is_not_forgotten_by_it() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        assert_eq!(outbox.turns(at(1), 4, 9).len(), 1);
        owe(&mut outbox, 2);
        // The look saw one webhook and nothing after it.
        outbox.served(at(1), at(31), LANE, &[WebhookId(1)], None);
        assert_eq!(outbox.due_at(), Some(at(2)));
    }

    #[test]
    fn look_that_is_given_up_leaves_the_lane_due() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        drop(outbox.turns(at(1), 4, 9));
        assert_eq!(outbox.due_at(), Some(at(1)));
        assert_eq!(outbox.turns(at(1), 4, 9).len(), 1);
    }

    #[test]
    fn lane_without_a_place_is_looked_at_when_a_lease_ends() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        outbox.turns(at(1), 1, 9);
        outbox.served(at(1), at(31), LANE, &[WebhookId(1)], Some(at(1)));
        assert_eq!(outbox.due_at(), Some(at(31)));
        assert!(outbox.turns(at(30), 1, 9).is_empty());
        assert_eq!(outbox.turns(at(31), 1, 9).len(), 1);
    }

    #[test]
    fn forgotten_lane_comes_back_with_what_it_is_owed() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        outbox.turns(at(1), 1, 9);
        outbox.served(at(1), at(31), LANE, &[WebhookId(1)], None);
        outbox.apply(Change::Settle { lane: LANE.into(), webhook: WebhookId(1), next_at: None });
        outbox.apply(Change::Keep(BTreeSet::new()));
        assert_eq!((outbox.lanes.len(), outbox.due_at()), (0, None));
        owe(&mut outbox, 40);
        assert_eq!(outbox.due_at(), Some(at(40)));
    }

    #[test]
    fn lane_that_is_left_in_peace_is_looked_at_when_that_is_over() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        outbox.turns(at(0), 4, 9);
        outbox.limit(LANE, Some((1, Some(at(30)))));
        assert_eq!(outbox.due_at(), Some(at(30)));
        assert!(outbox.turns(at(29), 4, 9).is_empty());
        let turns = outbox.turns(at(30), 4, 9);
        assert_eq!(turns.iter().map(|turn| turn.free).collect::<Vec<_>>(), [1]);
        outbox.limit(LANE, None);
        assert_eq!(outbox.turns(at(30), 4, 9)[0].free, 4);
        assert_eq!(outbox.due_at(), Some(at(1)));
    }

    #[test]
    fn lane_is_held_to_its_limit_even_before_it_is_owed_anything() {
        let mut outbox = Outbox::default();
        outbox.limit(LANE, Some((1, None)));
        outbox.apply(Change::Keep(BTreeSet::new()));
        owe(&mut outbox, 1);
        assert_eq!(outbox.turns(at(1), 4, 9)[0].free, 1);
    }
}
