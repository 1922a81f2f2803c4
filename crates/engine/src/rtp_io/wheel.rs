//! When which streams are due: a wheel of 1 ms slots that turns once in a frame of 20 ms.
//!
//! Pure: the time is an argument. Slot `s` is due at `start + n * 20 ms + s` for every `n`, counted
//! from the one start, so that no delay adds up. Streams are spread over the slots, so that a
//! thousand of them are fifty each millisecond and not a thousand at once.

use std::time::{Duration, Instant};

/// Milliseconds of a turn, and slots of the wheel: one frame.
pub(super) const SLOTS: usize = proto::rtp::FRAME_MS as usize;
const TURN_MS: u64 = SLOTS as u64;

/// A clockwork: says which slot is due, and when to look again.
#[derive(Debug)]
pub(super) struct Wheel {
    start: Instant,
    /// First millisecond since the start that was not yet worked on.
    next_ms: u64,
}

/// A slot's moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Which slot.
    pub(super) slot: usize,
    /// Which turn of the wheel; what a stream missed is the difference to the turn it saw last.
    pub(super) turn: u64,
}

impl Wheel {
    /// A wheel whose slot 0 is due at `start`.
    pub(super) const fn new(start: Instant) -> Self {
        Self { start, next_ms: 0 }
    }

    /// The next slot whose moment has come; `None` when all that are due were given.
    ///
    /// After a stall every slot comes once, in order, with its latest turn: the turns in between
    /// are gone, and it is the stream that decides what to make of them.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        let now_ms = now.saturating_duration_since(self.start).as_millis() as u64;
        self.next_ms = self.next_ms.max((now_ms + 1).saturating_sub(TURN_MS));
        if self.next_ms > now_ms {
            return None;
        }
        let due = Due { slot: (self.next_ms % TURN_MS) as usize, turn: self.next_ms / TURN_MS };
        self.next_ms += 1;
        Some(due)
    }

    /// When the next slot that `used` names is due; `None` where it names none.
    pub(super) fn wake_at(&self, used: impl Fn(usize) -> bool) -> Option<Instant> {
        (self.next_ms..self.next_ms + TURN_MS)
            .find(|ms| used((ms % TURN_MS) as usize))
            .map(|ms| self.start + Duration::from_millis(ms))
    }

    /// How late `now` is for what was given last.
    pub(super) fn lateness(&self, now: Instant) -> Duration {
        let given = self.start + Duration::from_millis(self.next_ms.saturating_sub(1));
        now.saturating_duration_since(given)
    }
}

/// What a stream does at a moment after missing some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CatchUp {
    /// Frames to send now: one, or two after a stall.
    pub(super) frames: u32,
    /// Frames of pause before them, which nobody heard: the RTP clock goes on over them.
    pub(super) skipped: u32,
}

impl CatchUp {
    /// One frame more than usual makes good what was missed; whatever is beyond that is a pause.
    ///
    /// Bursts would overrun the far end's jitter buffer and be thrown away there; sound that merely
    /// comes later is still heard whole. With the RTP clock going on, the far end plays a pause
    /// (RFC 3551 §4.1) and its buffer is not late ever after.
    pub(super) fn after(missed: u64) -> Self {
        let frames = if missed == 0 { 1 } else { 2 };
        let skipped = u32::try_from(missed.saturating_sub(1)).unwrap_or(u32::MAX);
        Self { frames, skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn start() -> Instant {
        Clock::new().instant()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// All that is due at `at`, as milliseconds since the start.
    fn drain(wheel: &mut Wheel, at: Instant) -> Vec<u64> {
        std::iter::from_fn(|| wheel.due(at))
            .map(|due| due.turn * TURN_MS + due.slot as u64)
            .collect()
    }

    #[test]
    fn every_slot_comes_once_in_each_turn_and_never_early() {
        let start = start();
        let mut wheel = Wheel::new(start);
        assert_eq!(drain(&mut wheel, start), [0]);
        assert!(drain(&mut wheel, start + Duration::from_micros(999)).is_empty());
        assert_eq!(drain(&mut wheel, start + ms(3)), [1, 2, 3]);
        assert_eq!(drain(&mut wheel, start + ms(22)), (4..=22).collect::<Vec<_>>());
    }

    #[test]
    fn lateness_does_not_add_up() {
        let start = start();
        let mut wheel = Wheel::new(start);
        for turn in 0..100_000u64 {
            let due = wheel.due(start + ms(turn * 20) + Duration::from_micros(700)).unwrap();
            assert_eq!((due.slot, due.turn), (0, turn));
            drain(&mut wheel, start + ms(turn * 20 + 19) + Duration::from_micros(700));
        }
    }

    #[test]
    fn stall_gives_every_slot_once_with_its_latest_turn() {
        let start = start();
        let mut wheel = Wheel::new(start);
        drain(&mut wheel, start + ms(9));
        assert_eq!(drain(&mut wheel, start + ms(110)), (91..=110).collect::<Vec<_>>());
        assert_eq!(drain(&mut wheel, start + ms(111)), [111]);
    }

    #[test]
    fn sleep_of_a_day_is_over_at_once() {
        let start = start();
        let mut wheel = Wheel::new(start);
        let day = 86_400_000;
        assert_eq!(drain(&mut wheel, start + ms(day)).len(), SLOTS);
    }

    #[test]
    fn clock_before_the_start_gives_the_first_slot_and_no_more() {
        let start = start();
        let mut wheel = Wheel::new(start + ms(50));
        assert_eq!(drain(&mut wheel, start), [0]);
        assert!(drain(&mut wheel, start + ms(49)).is_empty());
    }

    #[test]
    fn wake_is_for_the_next_slot_in_use() {
        let start = start();
        let mut wheel = Wheel::new(start);
        drain(&mut wheel, start + ms(7));
        assert_eq!(wheel.wake_at(|slot| slot == 8), Some(start + ms(8)));
        assert_eq!(wheel.wake_at(|slot| slot == 7), Some(start + ms(27)));
        assert_eq!(wheel.wake_at(|_| false), None);
    }

    #[test]
    fn lateness_is_counted_from_the_slot_given_last() {
        let start = start();
        let mut wheel = Wheel::new(start);
        wheel.due(start + ms(3));
        assert_eq!(wheel.lateness(start + ms(3)), ms(3));
    }

    #[test]
    fn short_stall_is_made_good_and_a_long_one_becomes_a_pause() {
        let after = |missed| {
            let catch_up = CatchUp::after(missed);
            (catch_up.frames, catch_up.skipped)
        };
        assert_eq!([0, 1, 2, 5].map(after), [(1, 0), (2, 0), (2, 1), (2, 4)]);
        assert_eq!(after(u64::MAX), (2, u32::MAX));
    }
}
