//! Durations and names of SIP's timers, and the heap that tells which one is due next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Estimate of the round trip: the first retransmission comes after it (RFC 3261 §17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);

/// Longest pause between retransmissions of anything but an INVITE (RFC 3261 §17.1.2.2).
pub const T2: Duration = Duration::from_secs(4);

/// Longest time a message stays in the network (RFC 3261 §17.1.2.2).
pub const T4: Duration = Duration::from_secs(5);

/// 64 * T1: how long a transaction tries, and how long its echoes are remembered.
pub const PATIENCE: Duration = Duration::from_secs(32);

/// What a machine of `sip` waits for. Letters are those of RFC 3261 appendix A and RFC 6026.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// Retransmits an INVITE.
    A,
    /// Gives up on an INVITE that nobody answered.
    B,
    /// Keeps a refused INVITE for repeated refusals.
    D,
    /// Retransmits a request other than INVITE.
    E,
    /// Gives up on a request other than INVITE.
    F,
    /// Retransmits the refusal of an INVITE.
    G,
    /// Gives up waiting for the ACK of a refusal.
    H,
    /// Keeps an acknowledged refusal for repeated ACKs.
    I,
    /// Keeps an answered request for its repetitions.
    J,
    /// Keeps a finished request for repeated responses.
    K,
    /// Keeps an accepted INVITE for its repetitions (RFC 6026 §7.1).
    L,
    /// Keeps an accepted INVITE for repeated and forked 2xx (RFC 6026 §7.2).
    M,
    /// Gives up on an INVITE that stays silent after its CANCEL (RFC 3261 §9.1).
    Canceled,
    /// Retransmits a 2xx to an INVITE, or gives up waiting for its ACK (RFC 3261 §13.3.1.4).
    Ack,
    /// The layer above did not answer an offer in time.
    Answer,
    /// A request asked to be repeated later (491, 500 with Retry-After) is sent again.
    Again,
    /// Nothing is heard any more of a referral (RFC 3515).
    Refer,
    /// The session is refreshed (RFC 4028 §7.2).
    Refresh,
    /// The far end did not refresh the session (RFC 4028 §10).
    Expire,
    /// A registration is refreshed or tried again.
    Register,
}

/// The pause after a pause: doubled, never over `longest`.
pub fn doubled(pause: Duration, longest: Duration) -> Duration {
    pause.saturating_mul(2).min(longest)
}

/// Who is to be woken when; entries are never removed, only found stale.
///
/// The owner remembers the one instant it is armed for ([`Armed`]) and ignores every other entry
/// that comes up for it. So arming costs O(log n), disarming nothing, and a heap holds at most
/// the entries of the last [`PATIENCE`], however many transactions linger.
#[derive(Debug)]
pub struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, u64, K)>>,
    /// Makes entries of one instant come up in the order they were made.
    count: u64,
}

/// The entry of [`Deadlines`] that counts for its owner.
pub type Armed = Option<Instant>;

impl<K: Copy + Ord> Default for Deadlines<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }
}

impl<K: Copy + Ord> Deadlines<K> {
    /// Makes sure that `key` comes up at `deadline` or before; `armed` is the owner's note.
    pub fn arm(&mut self, key: K, deadline: Option<Instant>, armed: &mut Armed) {
        let Some(at) = deadline else { return };
        if armed.is_some_and(|before| before <= at) {
            return;
        }
        *armed = Some(at);
        self.count += 1;
        self.heap.push(Reverse((at, self.count, key)));
    }

    /// The next entry that is due, with the instant it was made for.
    pub fn due(&mut self, now: Instant) -> Option<(Instant, K)> {
        let Reverse((at, _, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, key))| (at, key))
    }

    /// The earliest entry, stale or not.
    pub fn first(&self) -> Option<(Instant, K)> {
        self.heap.peek().map(|Reverse((at, _, key))| (*at, *key))
    }

    /// Takes the earliest entry away; its owner is gone or armed for another instant.
    pub fn drop_first(&mut self) {
        self.heap.pop();
    }

    /// How many entries there are, stale ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::testing::start;

    #[test]
    fn earliest_deadline_comes_up_first() {
        let (mut deadlines, t) = (Deadlines::default(), start());
        for (key, ms) in [(1, 30), (2, 10), (3, 20)] {
            deadlines.arm(key, Some(t + Duration::from_millis(ms)), &mut None);
        }
        let late = t + Duration::from_secs(1);
        let order: Vec<i32> =
            std::iter::from_fn(|| deadlines.due(late).map(|(_, key)| key)).collect();
        assert_eq!(order, [2, 3, 1]);
    }

    #[test]
    fn later_deadline_of_an_armed_owner_makes_no_second_entry() {
        let (mut deadlines, t, mut armed) = (Deadlines::default(), start(), None);
        deadlines.arm(1, Some(t + T1), &mut armed);
        deadlines.arm(1, Some(t + T2), &mut armed);
        assert_eq!((deadlines.len(), armed), (1, Some(t + T1)));
    }

    #[test]
    fn earlier_deadline_of_an_armed_owner_makes_the_first_entry_stale() {
        let (mut deadlines, t, mut armed) = (Deadlines::default(), start(), None);
        deadlines.arm(1, Some(t + T2), &mut armed);
        deadlines.arm(1, Some(t + T1), &mut armed);
        assert_eq!(deadlines.first(), Some((t + T1, 1)));
        assert_eq!((deadlines.len(), armed), (2, Some(t + T1)));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let (mut deadlines, t) = (Deadlines::default(), start());
        deadlines.arm(1, Some(t + T1), &mut None);
        assert_eq!(deadlines.due(t + T1 - Duration::from_nanos(1)), None);
        assert_eq!(deadlines.due(t + T1), Some((t + T1, 1)));
        assert!(deadlines.is_empty());
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(doubled(T1, T2), Duration::from_secs(1));
        assert_eq!(doubled(T2, T2), T2);
    }
}
