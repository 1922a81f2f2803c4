//! Sound of a leg, frame by frame, for whoever takes it off the media threads: taps and relays.
//!
//! The media thread only tries to hand a frame over. Whoever takes too little of it gets silence
//! instead, as much as is missing, and can tell how much that was; pacing knows nothing of it.

use media::{FRAME_SAMPLES, LinearFrame};
use proto::rtp::Popped;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

/// Frames that wait for who takes them: a second, more than any task stands still.
const WAITING_MAX: usize = 50;
/// Frames of silence in a row that stand for missing ones, a minute; no leg is stuck for longer.
const MISSED_MAX: u32 = 3_000;
/// Frames that wait in a relay between two legs before the oldest are left out: 60 ms, since two
/// people who talk notice more.
const RELAYED_MAX: usize = 3;

/// 20 ms of a leg, 16 bits linear at 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegFrame {
    /// What the far end said, in order, out of the jitter buffer.
    pub heard: LinearFrame,
    /// What the far end was sent at the same time; silence for who did not ask for it.
    pub said: LinearFrame,
    /// Whether `heard` was said so, made up for a lost packet, or nothing was said.
    pub popped: Popped,
}

impl LegFrame {
    /// Nothing either way.
    pub const SILENCE: Self =
        Self { heard: [0; FRAME_SAMPLES], said: [0; FRAME_SAMPLES], popped: Popped::Empty };

    /// A frame of one direction.
    pub const fn heard(heard: LinearFrame) -> Self {
        Self { heard, said: [0; FRAME_SAMPLES], popped: Popped::Audio }
    }
}

/// Which directions a tap is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// What is heard and what is said.
    Both,
    /// What the far end says alone.
    Heard,
}

/// One frame on its way, and how many before it are missing.
#[derive(Debug)]
struct Passed {
    missed: u32,
    frame: LegFrame,
}

/// Where frames go in.
#[derive(Debug)]
pub struct FrameSink {
    sender: mpsc::Sender<Passed>,
    missed: u32,
}

/// Where frames come out, every 20 ms one; dropped, nothing more goes in.
#[derive(Debug)]
pub struct Frames {
    receiver: mpsc::Receiver<Passed>,
    /// A frame that is here, and the silence that is to come before it.
    next: Option<Box<Passed>>,
    gaps: u64,
}

/// A way for frames from one side to the other.
pub(crate) fn channel() -> (FrameSink, Frames) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (FrameSink { sender, missed: 0 }, Frames { receiver, next: None, gaps: 0 })
}

impl FrameSink {
    /// Hands a frame over, and never waits; `false` where nobody takes frames any more.
    pub fn push(&mut self, frame: LegFrame) -> bool {
        match self.sender.try_send(Passed { missed: self.missed, frame }) {
            Ok(()) => {
                self.missed = 0;
                true
            }
            Err(TrySendError::Full(_)) => {
                self.miss(1);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// So many frames will never come.
    pub fn miss(&mut self, frames: u32) {
        self.missed = self.missed.saturating_add(frames).min(MISSED_MAX);
    }
}

impl Frames {
    /// The next frame; `None` once the leg is over and all was given.
    ///
    /// May be dropped and asked again; nothing is lost by it.
    pub async fn next(&mut self) -> Option<LegFrame> {
        match self.next {
            Some(_) => self.give(),
            None => {
                let passed = self.receiver.recv().await?;
                self.take(passed)
            }
        }
    }

    /// The next frame if it is here, for who has his own clock; `None` also once there are none.
    pub fn try_next(&mut self) -> Option<LegFrame> {
        match self.next {
            Some(_) => self.give(),
            None => {
                let passed = self.receiver.try_recv().ok()?;
                self.take(passed)
            }
        }
    }

    /// The next frame for a leg that sends it on now; what waits for too long is left out.
    ///
    /// `Err` once nothing will come any more.
    pub(crate) fn relay(&mut self) -> Result<Option<LinearFrame>, ()> {
        // Silence for what is missing would only be late.
        self.next = None;
        while self.receiver.len() > RELAYED_MAX {
            self.receiver.try_recv().ok();
            self.gaps += 1;
        }
        match self.receiver.try_recv() {
            Ok(passed) => Ok(Some(passed.frame.heard)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(()),
        }
    }

    /// Frames so far that are silence because they were missing.
    pub const fn gaps(&self) -> u64 {
        self.gaps
    }

    fn take(&mut self, passed: Passed) -> Option<LegFrame> {
        if passed.missed == 0 {
            return Some(passed.frame);
        }
        self.next = Some(Box::new(passed));
        self.give()
    }

    fn give(&mut self) -> Option<LegFrame> {
        match &mut self.next {
            Some(passed) if passed.missed > 0 => {
                passed.missed -= 1;
                self.gaps += 1;
                Some(LegFrame::SILENCE)
            }
            _ => self.next.take().map(|passed| passed.frame),
        }
    }
}

/// All taps of one leg, on its media thread.
#[derive(Debug, Default)]
pub(super) struct Taps {
    taps: Vec<(Directions, FrameSink)>,
    /// What was said in this tick, for taps that want it.
    said: Vec<LinearFrame>,
}

/// Taps of one leg at once: recorder, recognizer, classifier, bridge, and as many again.
const TAPS_MAX: usize = 8;
/// Frames said that are kept for one tick; after a stall more are heard than that at no time.
const SAID_MAX: usize = 20;

impl Taps {
    /// One more; beyond the limit, it ends at once.
    pub(super) fn add(&mut self, directions: Directions, sink: FrameSink) {
        if self.taps.len() < TAPS_MAX {
            self.taps.push((directions, sink));
        } else {
            tracing::warn!("a leg has {TAPS_MAX} taps, no other is let in");
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taps.is_empty()
    }

    /// Whether it matters what is said.
    pub(super) fn want_said(&self) -> bool {
        self.taps.iter().any(|(directions, _)| *directions == Directions::Both)
    }

    /// 20 ms were said.
    pub(super) fn say(&mut self, frame: LinearFrame) {
        if self.said.len() < SAID_MAX {
            self.said.push(frame);
        }
    }

    /// 20 ms were heard: the `nth` of `count` in this tick. Who takes no more is forgotten.
    pub(super) fn hear(&mut self, heard: LinearFrame, popped: Popped, nth: u32, count: u32) {
        let before = self.said.len().saturating_sub((count - nth) as usize);
        let is_known = self.said.len() >= (count - nth) as usize;
        let said = self.said.get(before).copied().filter(|_| is_known);
        let said = said.unwrap_or([0; FRAME_SAMPLES]);
        self.taps.retain_mut(|(directions, sink)| {
            let said = if *directions == Directions::Both { said } else { [0; FRAME_SAMPLES] };
            sink.push(LegFrame { heard, said, popped })
        });
    }

    /// A tick is over; so many frames of it were lost in a stall.
    pub(super) fn end_tick(&mut self, lost: u32) {
        self.said.clear();
        if lost > 0 {
            self.taps.iter_mut().for_each(|(_, sink)| sink.miss(lost));
        }
    }
}

/// 20 ms of what another leg says, where a leg sends that on; it is let go once nothing will come.
pub(super) fn relayed(relay: &mut Option<Frames>) -> Option<LinearFrame> {
    match relay.as_mut()?.relay() {
        Ok(frame) => frame,
        Err(()) => {
            *relay = None;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sample: i16) -> LegFrame {
        LegFrame::heard([sample; FRAME_SAMPLES])
    }

    fn given(frames: &mut Frames) -> Vec<i16> {
        std::iter::from_fn(|| frames.try_next()).map(|frame| frame.heard[0]).collect()
    }

    #[test]
    fn who_takes_too_little_gets_silence_of_the_same_length_and_is_told_how_much() {
        let (mut sink, mut frames) = channel();
        let many = i16::try_from(WAITING_MAX).unwrap();
        (1..=many + 3).for_each(|nth| assert!(sink.push(frame(nth))));
        assert_eq!(given(&mut frames).len(), WAITING_MAX);
        sink.push(frame(99));
        assert_eq!(given(&mut frames), [0, 0, 0, 99]);
        assert_eq!(frames.gaps(), 3);
    }

    #[tokio::test]
    async fn frames_end_when_the_leg_does_and_the_leg_notices_who_leaves() {
        let (mut sink, mut frames) = channel();
        sink.push(frame(1));
        sink.miss(1);
        drop(sink);
        assert_eq!(frames.next().await.map(|frame| frame.heard[0]), Some(1));
        assert_eq!(frames.next().await, None);
        let (mut sink, frames) = channel();
        drop(frames);
        assert!(!sink.push(frame(1)));
    }

    #[test]
    fn silence_for_a_long_stall_is_bounded() {
        let (mut sink, mut frames) = channel();
        sink.miss(u32::MAX);
        sink.miss(5);
        sink.push(frame(7));
        assert_eq!(given(&mut frames).len(), MISSED_MAX as usize + 1);
    }

    #[test]
    fn relay_leaves_out_what_would_be_late() {
        let (mut sink, mut frames) = channel();
        assert_eq!(frames.relay(), Ok(None));
        (1..=10).for_each(|nth| assert!(sink.push(frame(nth))));
        assert_eq!(frames.relay().unwrap().unwrap()[0], 8);
        assert_eq!(frames.gaps(), 7);
        drop(sink);
        assert_eq!(frames.relay().unwrap().unwrap()[0], 9);
        assert_eq!(frames.relay().unwrap().unwrap()[0], 10);
        assert_eq!(frames.relay(), Err(()));
    }

    #[test]
    fn leg_with_many_taps_lets_no_more_in() {
        let mut taps = Taps::default();
        let mut all: Vec<Frames> = Vec::new();
        for _ in 0..=TAPS_MAX {
            let (sink, frames) = channel();
            taps.add(Directions::Heard, sink);
            all.push(frames);
        }
        taps.hear([5; FRAME_SAMPLES], Popped::Audio, 0, 1);
        let heard = |frames: &mut Frames| frames.try_next().is_some();
        assert_eq!(all.iter_mut().map(heard).filter(|heard| *heard).count(), TAPS_MAX);
        all.clear();
        taps.hear([5; FRAME_SAMPLES], Popped::Audio, 0, 1);
        assert!(taps.is_empty());
    }

    #[test]
    fn what_was_said_stands_beside_what_was_heard_in_the_same_tick() {
        let mut taps = Taps::default();
        let (sink, mut frames) = channel();
        taps.add(Directions::Both, sink);
        taps.say([1; FRAME_SAMPLES]);
        taps.say([2; FRAME_SAMPLES]);
        taps.hear([10; FRAME_SAMPLES], Popped::Audio, 0, 2);
        taps.hear([20; FRAME_SAMPLES], Popped::Audio, 1, 2);
        taps.end_tick(0);
        taps.hear([30; FRAME_SAMPLES], Popped::Audio, 0, 1);
        let both = std::iter::from_fn(|| frames.try_next());
        let both: Vec<_> = both.map(|frame| (frame.said[0], frame.heard[0])).collect();
        assert_eq!(both, [(1, 10), (2, 20), (0, 30)]);
    }
}
