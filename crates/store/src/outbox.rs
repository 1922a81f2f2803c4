//! Whose turn it is at the outbox: hosts, what they are due, and what is under way to them.
//!
//! What is owed is in the database; who is being served right now is known to this process alone,
//! and a new process begins anew.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::WebhookId;
use domain::time::Timestamp;

/// The hosts that are or were lately owed something.
#[derive(Debug)]
pub(crate) struct Outbox {
    hosts: BTreeMap<String, Host>,
    /// Deliveries to one host at once, as last asked for.
    per_host_max: usize,
}

/// What a committed transaction changed.
#[derive(Debug)]
pub(crate) enum Change {
    /// Forget hosts that are owed nothing: all but these.
    Keep(BTreeSet<String>),
    /// The host is owed something that may be delivered from then on.
    Owe {
        /// The host.
        host: String,
        /// From when on.
        at: Timestamp,
    },
    /// A delivery has come to its end.
    Settle {
        /// The host.
        host: String,
        /// What was delivered.
        webhook: WebhookId,
        /// When it may be delivered again; `None` where it is over.
        next_at: Option<Timestamp>,
    },
}

/// A host whose turn it is.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The host.
    pub host: String,
    /// Deliveries that may begin.
    pub free: usize,
    /// What is under way.
    pub leased: Vec<WebhookId>,
}

#[derive(Debug, Default)]
struct Host {
    /// Never later than the first thing owed that is not under way.
    due_at: Option<Timestamp>,
    /// The same for what was owed since the look that is under way began.
    news: Option<Timestamp>,
    /// What is under way, and until when it is believed to be.
    leases: Vec<(WebhookId, Timestamp)>,
    served_at: Option<Timestamp>,
}

impl Outbox {
    /// Takes note of a committed change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Keep(owed) => self.hosts.retain(|name, host| {
                owed.contains(name) || !host.leases.is_empty() || host.news.is_some()
            }),
            Change::Owe { host, at } => self.hosts.entry(host).or_default().owe(at),
            Change::Settle { host, webhook, next_at } => {
                let host = self.hosts.entry(host).or_default();
                host.leases.retain(|lease| lease.0 != webhook);
                if let Some(next_at) = next_at {
                    host.owe(next_at);
                }
            }
        }
    }

    /// When there may be something to deliver; never later than there is.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.hosts.values().filter_map(|host| host.next(self.per_host_max)).min()
    }

    /// Hosts that may be served now, the one served longest ago first, at most `limit`.
    pub(crate) fn turns(&mut self, now: Timestamp, per_host_max: usize, limit: usize) -> Vec<Turn> {
        self.per_host_max = per_host_max;
        let mut due = Vec::new();
        for (name, host) in &mut self.hosts {
            host.end_leases(now);
            let free = per_host_max.saturating_sub(host.leases.len());
            if free > 0 && host.due_at.is_some_and(|due_at| due_at <= now) {
                host.news = None;
                let leased = host.leases.iter().map(|lease| lease.0).collect();
                due.push((host.served_at, name, free, leased));
            }
        }
        due.sort_by_key(|turn| turn.0);
        due.truncate(limit);
        let turns = due.into_iter().map(|(_, host, free, leased)| Turn {
            host: host.clone(),
            free,
            leased,
        });
        turns.collect()
    }

    /// Ends a host's turn: what it is being served, and when there is more for it.
    pub(crate) fn served(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        host: &str,
        served: &[WebhookId],
        next: Option<Timestamp>,
    ) {
        let host = self.hosts.entry(host.to_owned()).or_default();
        let leases = served.iter().map(|webhook| (*webhook, lease_until));
        host.leases.extend(leases);
        if !served.is_empty() {
            host.served_at = Some(now);
        }
        host.due_at = [next, host.news].into_iter().flatten().min();
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { hosts: BTreeMap::new(), per_host_max: usize::MAX }
    }
}

impl Host {
    fn owe(&mut self, at: Timestamp) {
        self.due_at = [self.due_at, Some(at)].into_iter().flatten().min();
        self.news = [self.news, Some(at)].into_iter().flatten().min();
    }

    /// What was believed to be under way for too long is due again.
    fn end_leases(&mut self, now: Timestamp) {
        for lease in self.leases.extract_if(.., |lease| lease.1 <= now) {
            let at = lease.1;
            self.due_at = [self.due_at, Some(at)].into_iter().flatten().min();
        }
    }

    /// When to look at this host: what it is owed, if it has a place, or the end of a lease.
    fn next(&self, per_host_max: usize) -> Option<Timestamp> {
        let owed = self.due_at.filter(|_| self.leases.len() < per_host_max);
        let lease_end = self.leases.iter().map(|lease| lease.1).min();
        owed.into_iter().chain(lease_end).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "a.example";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn owe(outbox: &mut Outbox, seconds: i64) {
        outbox.apply(Change::Owe { host: HOST.into(), at: at(seconds) });
    }

    #[test]
    fn what_is_owed_during_a_look_is_not_forgotten_by_it() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        assert_eq!(outbox.turns(at(1), 4, 9).len(), 1);
        owe(&mut outbox, 2);
        // The look saw one webhook and nothing after it.
        outbox.served(at(1), at(31), HOST, &[WebhookId(1)], None);
        assert_eq!(outbox.due_at(), Some(at(2)));
    }

    #[test]
    fn look_that_is_given_up_leaves_the_host_due() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        drop(outbox.turns(at(1), 4, 9));
        assert_eq!(outbox.due_at(), Some(at(1)));
        assert_eq!(outbox.turns(at(1), 4, 9).len(), 1);
    }

    #[test]
    fn host_without_a_place_is_looked_at_when_a_lease_ends() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        outbox.turns(at(1), 1, 9);
        outbox.served(at(1), at(31), HOST, &[WebhookId(1)], Some(at(1)));
        assert_eq!(outbox.due_at(), Some(at(31)));
        assert!(outbox.turns(at(30), 1, 9).is_empty());
        assert_eq!(outbox.turns(at(31), 1, 9).len(), 1);
    }

    #[test]
    fn forgotten_host_comes_back_with_what_it_is_owed() {
        let mut outbox = Outbox::default();
        owe(&mut outbox, 1);
        outbox.turns(at(1), 1, 9);
        outbox.served(at(1), at(31), HOST, &[WebhookId(1)], None);
        outbox.apply(Change::Settle { host: HOST.into(), webhook: WebhookId(1), next_at: None });
        outbox.apply(Change::Keep(BTreeSet::new()));
        assert_eq!((outbox.hosts.len(), outbox.due_at()), (0, None));
        owe(&mut outbox, 40);
        assert_eq!(outbox.due_at(), Some(at(40)));
    }
}
