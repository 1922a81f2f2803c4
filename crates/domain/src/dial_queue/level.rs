//! Turns among the children of one node: each gets its weight's part, exact to one contact.
//!
//! This is worst-case fair weighted fair queueing (Bennett and Zhang, 1996) with a contact as the
//! unit. `now` is the time of an ideal server that serves all children at once, each by its weight.
//! A contact may go once its ideal service has begun, and among those the one goes whose ideal
//! service ends first. Who was served ahead of its ideal keeps that debt when it pauses.

use std::collections::{BTreeMap, BTreeSet};

/// Ideal time that one contact takes of a child that has the level for itself, at weight 1. Fine
/// enough that what is lost by dividing stays below a contact in a thousand million.
const CONTACT: u128 = 1 << 60;

/// What `now` may have lost by dividing since the ideal service of a contact should have begun:
/// without it, who has just begun would now and then come one contact too late.
const SLACK: u128 = CONTACT >> 24;

/// Turns among children named by `K`.
#[derive(Clone, Debug)]
pub(super) struct Level<K> {
    now: u128,
    /// How often anybody was served.
    served: u64,
    seats: BTreeMap<K, Seat>,
    /// Weights of all that the ideal server is serving.
    weights: u128,
    /// Who wants, and whose ideal service has begun: by its end, by rank, by who waits longest.
    due: BTreeSet<(u128, u64, u64, K)>,
    /// Who wants, and whose ideal service has not begun: by its beginning.
    early: BTreeSet<(u128, K)>,
    /// Whom the ideal server is serving: by when it will have served all that they want.
    ideal: BTreeSet<(u128, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    /// When the ideal service of the next contact begins.
    starts: u128,
    weight: u128,
    rank: u64,
    /// When it was served last, by [`Level::served`].
    last: u64,
    /// Contacts that it wants.
    left: u128,
    wish: Wish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// It wants nothing.
    Nothing,
    /// It wants contacts, and there is no room for them in this round.
    Out,
    /// It wants contacts.
    Contacts,
}

impl<K> Default for Level<K> {
    fn default() -> Self {
        Self {
            now: 0,
            served: 0,
            seats: BTreeMap::new(),
            weights: 0,
            due: BTreeSet::new(),
            early: BTreeSet::new(),
            ideal: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord> Level<K> {
    /// Lets go of all who want no more, as `still` says of each that did.
    pub(super) fn keep(&mut self, still: impl Fn(K) -> bool) {
        let wanting = self.seats.iter().filter(|(_, seat)| seat.wish != Wish::Nothing);
        let gone: Vec<K> =
            wanting.map(|(child, _)| *child).filter(|child| !still(*child)).collect();
        gone.into_iter().for_each(|child| self.leave(child));
    }

    /// A child wants `contacts` from now on; among equals the lower `rank` goes first.
    pub(super) fn want(&mut self, child: K, contacts: u64, weight: u32, rank: u64) {
        let before = self.take(child);
        let weight = u128::from(weight.max(1));
        let starts = before.map_or(self.now, |seat| self.reckoned(seat, weight));
        let last = before.map_or(0, |seat| seat.last);
        let (left, wish) = (u128::from(contacts), Wish::Contacts);
        self.seat(child, Seat { starts, weight, rank, last, left, wish });
    }

    /// A child wants nothing more; what it was served ahead of its ideal is kept.
    pub(super) fn leave(&mut self, child: K) {
        self.wish(child, Wish::Nothing);
    }

    /// There is no room for a child until it wants again.
    pub(super) fn sit_out(&mut self, child: K) {
        self.wish(child, Wish::Out);
    }

    /// Whose turn it is; nobody's where nobody wants.
    pub(super) fn next(&mut self) -> Option<K> {
        self.wake();
        if self.due.is_empty() {
            // Nobody is left whose ideal service has begun: the ideal server goes on to the next.
            self.now = self.now.max(self.early.first()?.0);
            self.wake();
        }
        self.due.first().map(|entry| entry.3)
    }

    /// Whether nobody wants anything that there is room for.
    pub(super) fn is_done(&self) -> bool {
        self.due.is_empty() && self.early.is_empty()
    }

    /// A child is served one contact.
    pub(super) fn serve(&mut self, child: K) {
        self.served += 1;
        if let Some(seat) = self.take(child) {
            let left = seat.left.saturating_sub(1);
            self.seat(child, Seat { starts: seat.ends(), last: self.served, left, ..seat });
        }
        self.advance();
    }

    /// Contacts of a child that were not dialed after all.
    pub(super) fn give_back(&mut self, child: K, contacts: u32) {
        if let Some(seat) = self.take(child) {
            let back = u128::from(contacts) * (CONTACT / seat.weight);
            self.seat(child, Seat { starts: seat.starts.saturating_sub(back), ..seat });
        }
    }

    /// Whether nothing of the past matters any more.
    pub(super) fn is_idle(&self) -> bool {
        self.seats.is_empty()
    }

    /// When the next contact of a seat begins if it weighs `weight` from now on: what it is behind
    /// or ahead, counted in contacts, stays the same. Nobody is further behind than the contact that
    /// is due and one more, for what there was no room for is not saved up; and who did not want is
    /// not behind.
    fn reckoned(&self, seat: Seat, weight: u128) -> u128 {
        if seat.starts > self.now {
            self.now + (seat.starts - self.now) * seat.weight / weight
        } else if seat.wish == Wish::Nothing {
            self.now
        } else {
            let behind = ((self.now - seat.starts) * seat.weight).min(2 * CONTACT);
            self.now.saturating_sub(behind / weight)
        }
    }

    fn wish(&mut self, child: K, wish: Wish) {
        if let Some(seat) = self.take(child) {
            self.seat(child, Seat { wish, left: 0, ..seat });
        }
    }

    /// Lets the ideal server work for as long as one contact takes.
    fn advance(&mut self) {
        let mut left = CONTACT;
        while let Some((until, child)) = self.ideal.first().copied() {
            let work = until.saturating_sub(self.now) * self.weights;
            if work > left {
                break;
            }
            left -= work;
            self.now = self.now.max(until);
            // Seated anew, it is no longer among those.
            if let Some(seat) = self.take(child) {
                self.seat(child, seat);
            }
        }
        if let Some(step) = left.checked_div(self.weights) {
            self.now += step;
        }
    }

    fn wake(&mut self) {
        while let Some((starts, child)) = self.early.first().copied()
            && starts <= self.now + SLACK
        {
            self.early.pop_first();
            if let Some(seat) = self.seats.get(&child) {
                self.due.insert((seat.ends(), seat.rank, seat.last, child));
            }
        }
    }

    /// Puts a child where it belongs; one that neither wants nor is ahead belongs nowhere.
    fn seat(&mut self, child: K, seat: Seat) {
        let until = seat.until();
        if until > self.now {
            self.weights += seat.weight;
            self.ideal.insert((until, child));
        } else if seat.wish == Wish::Nothing {
            return;
        }
        if seat.wish == Wish::Contacts {
            // From here it goes on to those whose service has begun.
            self.early.insert((seat.starts, child));
        }
        self.seats.insert(child, seat);
    }

    /// Takes a child from wherever it is.
    fn take(&mut self, child: K) -> Option<Seat> {
        let seat = self.seats.remove(&child)?;
        self.due.remove(&(seat.ends(), seat.rank, seat.last, child));
        self.early.remove(&(seat.starts, child));
        if self.ideal.remove(&(seat.until(), child)) {
            self.weights -= seat.weight;
        }
        Some(seat)
    }
}

impl Seat {
    /// When the ideal service of the next contact ends.
    const fn ends(&self) -> u128 {
        self.starts + CONTACT / self.weight
    }

    /// When the ideal service of all that it wants ends.
    const fn until(&self) -> u128 {
        self.starts + self.left * (CONTACT / self.weight)
    }
}
