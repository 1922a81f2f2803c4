//! The media thread: turns the wheel, lets the streams of each slot work, sleeps until the next.
//!
//! It is a thread of its own, not a task: neither an endless script nor a busy runtime disturbs
//! it. It never waits for a lock, and nothing it does depends on how fast anybody else is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::MediaLoad;
use super::endpoint::{Endpoint, Fate, Scratch};
use super::lease::PortLease;
use super::ports::Chance;
use super::wheel::{SLOTS, Wheel};
use crate::clock::Clock;

/// What a media thread shares with the rest of the engine.
#[derive(Default)]
pub(super) struct Shared {
    arrivals: Mutex<Vec<Endpoint>>,
    /// Whether somebody waits in `arrivals`; set and cleared under the lock.
    has_arrivals: AtomicBool,
    stopping: AtomicBool,
    /// Streams of this thread, those that wait in `arrivals` included.
    streams: AtomicUsize,
    punctuality: Punctuality,
    thread: OnceLock<Thread>,
}

/// How late slots were since this was asked last.
#[derive(Default)]
struct Punctuality {
    late_us_max: AtomicU64,
    slots: AtomicU64,
    slots_late: AtomicU64,
}

/// One media thread's streams.
pub(super) struct Worker {
    shared: Arc<Shared>,
    wheel: Wheel,
    slots: [Vec<Endpoint>; SLOTS],
    /// The turn at which each slot worked last; `None` where it had no streams.
    worked: [Option<u64>; SLOTS],
    scratch: Scratch,
    chance: Chance,
    /// Ports of closed streams that the pool had no time for.
    leaving: Vec<PortLease>,
}

/// From here on a slot counts as late: with 5 ms, packets are 25 ms apart.
const LATE_MIN: Duration = Duration::from_millis(5);
/// How long to sleep before what was locked is tried again.
const LOCKED_TIME: Duration = Duration::from_millis(1);

impl Shared {
    /// Gives the thread a stream.
    pub(super) fn admit(&self, endpoint: Endpoint) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        {
            let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.push(endpoint);
            self.has_arrivals.store(true, Ordering::Release);
        }
        self.wake();
    }

    /// Lets the thread end once its last stream is closed.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// How many streams it has.
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// How late slots were since this was asked last, and how much there is to do.
    pub(super) fn take_load(&self) -> MediaLoad {
        let punctuality = &self.punctuality;
        let late_us_max = punctuality.late_us_max.swap(0, Ordering::Relaxed);
        MediaLoad {
            late_max: Duration::from_micros(late_us_max),
            port_pairs_free: 0,
            slots: punctuality.slots.swap(0, Ordering::Relaxed),
            slots_late: punctuality.slots_late.swap(0, Ordering::Relaxed),
            streams: self.streams(),
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Punctuality {
    /// Notes a slot that works so late, after missing so many turns.
    fn note(&self, late: Duration, missed: u64) {
        let missed_ms = missed.saturating_mul(SLOTS as u64);
        let late = late.saturating_add(Duration::from_millis(missed_ms));
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.late_us_max.fetch_max(late_us, Ordering::Relaxed);
        self.slots.fetch_add(1, Ordering::Relaxed);
        self.slots_late.fetch_add(u64::from(late >= LATE_MIN), Ordering::Relaxed);
    }
}

impl Worker {
    /// A worker whose wheel begins to turn now.
    pub(super) fn new(shared: Arc<Shared>, now: Instant, seed: u64) -> Self {
        Self {
            shared,
            wheel: Wheel::new(now),
            slots: std::array::from_fn(|_| Vec::new()),
            worked: [None; SLOTS],
            scratch: Scratch::new(),
            chance: Chance::new(b"slots", seed),
            leaving: Vec::new(),
        }
    }

    /// Works until the engine stops; the body of a media thread.
    pub(super) fn run(mut self, clock: &Clock) {
        let _ = self.shared.thread.set(std::thread::current());
        loop {
            // First what is due, then who comes new: so that the wheel stands at the present, and
            // the first frame of a new stream is one frame before its second.
            self.turn(|| clock.instant());
            let settled = self.welcome() & self.give_back();
            if self.shared.stopping.load(Ordering::Acquire) && self.is_empty() {
                return;
            }
            match self.wheel.wake_at(|slot| !self.slots[slot].is_empty()) {
                Some(at) => {
                    let wait = at.saturating_duration_since(clock.instant());
                    if !wait.is_zero() {
                        std::thread::park_timeout(wait);
                    }
                }
                None if settled => std::thread::park(),
                None => std::thread::park_timeout(LOCKED_TIME),
            }
        }
    }

    /// Lets every stream work whose slot is due; at most one turn of the wheel, so that under too
    /// much load new streams and the end are still seen.
    pub(super) fn turn(&mut self, now: impl Fn() -> Instant) {
        for _ in 0..SLOTS {
            let Some(due) = self.wheel.due(now()) else {
                return;
            };
            let last = self.worked[due.slot].take();
            if self.slots[due.slot].is_empty() {
                continue;
            }
            let now = now();
            let missed = last.map_or(0, |last| due.turn.saturating_sub(last + 1));
            self.shared.punctuality.note(self.wheel.lateness(now), missed);
            self.worked[due.slot] = Some(due.turn);
            self.work(due.slot, now, due.turn);
        }
    }

    fn work(&mut self, slot: usize, now: Instant, turn: u64) {
        let (streams, scratch) = (&mut self.slots[slot], &mut self.scratch);
        let mut at = 0;
        while let Some(endpoint) = streams.get_mut(at) {
            // A fault in one call must not silence the thousand others.
            let fate = catch_unwind(AssertUnwindSafe(|| endpoint.tick(now, turn, scratch)));
            match fate {
                Ok(Fate::Open) => at += 1,
                Ok(Fate::Closed) | Err(_) => {
                    let mut gone = streams.swap_remove(at);
                    if fate.is_err() {
                        tracing::error!("a media stream failed and is closed");
                        gone.abandon();
                    }
                    self.leaving.push(gone.into_lease());
                    self.shared.streams.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes new streams in; `false` where that has to be tried again.
    pub(super) fn welcome(&mut self) -> bool {
        if !self.shared.has_arrivals.load(Ordering::Acquire) {
            return true;
        }
        let mut waiting = match self.shared.arrivals.try_lock() {
            Ok(waiting) => waiting,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        self.shared.has_arrivals.store(false, Ordering::Release);
        let arrivals = std::mem::take(&mut *waiting);
        drop(waiting);
        for endpoint in arrivals {
            let slot = self.lightest_slot();
            self.slots[slot].push(endpoint);
        }
        true
    }

    /// The slot with the fewest streams; among equals, one by chance.
    fn lightest_slot(&mut self) -> usize {
        let first = self.chance.below(SLOTS);
        (0..SLOTS)
            .map(|step| (first + step) % SLOTS)
            .min_by_key(|slot| self.slots[*slot].len())
            .unwrap_or(first)
    }

    /// Gives the ports of closed streams back; `false` where that has to be tried again.
    pub(super) fn give_back(&mut self) -> bool {
        while let Some(lease) = self.leaving.pop() {
            if let Err(lease) = lease.try_return() {
                self.leaving.push(lease);
                return false;
            }
        }
        true
    }

    #[cfg(test)]
    pub(super) fn streams_by_slot(&self) -> Vec<usize> {
        self.slots.iter().map(Vec::len).collect()
    }

    fn is_empty(&self) -> bool {
        self.slots.iter().all(Vec::is_empty) && !self.shared.has_arrivals.load(Ordering::Acquire)
    }
}
