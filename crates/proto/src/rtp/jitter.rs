//! The jitter buffer: sound goes in as it arrives and comes out every 20 ms, in fixed memory.
//!
//! It holds samples, not packets: a ring indexed by the RTP timestamp with one bit a sample for
//! "is here". Order, repetition, wrap and any packet length up to [`PAYLOAD_BYTES_MAX`] follow
//! from that without special cases.
//!
//! How much it delays follows from what arrives. It begins with [`DELAY_SAMPLES`]. A packet that
//! comes just after the buffer ran dry is played nevertheless, and the delay is larger from then
//! on; packets that come too late behind others have a frame inserted; if for five seconds every
//! packet had time to spare, frames are skipped, quiet ones first. Those three also follow a
//! sender whose clock is not ours.

#[cfg(test)]
mod tests;

use super::{Codec, FRAME_SAMPLES, Frame};

/// Delay at the start of a talk spurt: two frames, which covers the jitter of most networks.
pub const DELAY_SAMPLES: u32 = 320;
/// Most sound that may wait, 400 ms: beyond that people talk over each other.
pub const DEPTH_SAMPLES_MAX: u32 = 3_200;
/// Longest payload taken, 120 ms of sound.
pub const PAYLOAD_BYTES_MAX: usize = 960;

/// Samples the ring holds; a power of two above [`DEPTH_SAMPLES_MAX`].
const RING_SAMPLES: usize = 4_096;
const RING_MASK: u32 = RING_SAMPLES as u32 - 1;
const WORDS: usize = RING_SAMPLES / 64;
const FRAME: u32 = FRAME_SAMPLES as u32;
/// Packets after which the delay is looked at again, five seconds of them.
const WINDOW_PACKETS: u32 = 250;
/// Time to spare, in samples, that every packet of a window must have for the delay to shrink.
const SPARE_SAMPLES_MAX: i32 = 400;
/// Time to spare that shrinking leaves.
const SPARE_SAMPLES_KEPT: i32 = 240;
/// Packets that may come too late in a window before the delay grows: one in a hundred.
const LATE_PACKETS_MAX: u32 = 3;
/// Farthest that playing goes back for a packet that came after the buffer ran dry, 200 ms.
const REWIND_SAMPLES_MAX: u32 = 1_600;
/// Empty frames after which what comes next begins a new talk spurt.
const SPURT_FRAMES: u32 = 5;
/// Frames a pending skip waits for a quiet one, half a second.
const SKIP_WAIT_FRAMES: u32 = 25;
/// Frames made up when packets are missing, each fainter than the one before; then silence.
const CONCEALED_FRAMES_MAX: u32 = 3;

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the buffer, at least in part.
    Accepted,
    /// It was here before.
    Duplicate,
    /// Its time has passed.
    Late,
    /// It lies too far ahead or behind, is empty or longer than any packet is.
    Misfit,
}

/// What a frame that came out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// Sound as it was sent.
    Audio,
    /// Wholly or partly made up, because packets are missing.
    Concealed,
    /// Silence: nothing was sent, or nothing yet.
    Empty,
}

/// What the buffer did so far, in frames or packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Frames made up for missing packets.
    pub concealed: u64,
    /// Packets whose time had passed.
    pub late: u64,
    /// Packets that were here before.
    pub duplicate: u64,
    /// Frames inserted or delay added, to wait longer.
    pub grown: u64,
    /// Frames left out, to wait less.
    pub skipped: u64,
    /// Times playing began anew somewhere else: talk spurts, jumps of the timestamp, bursts.
    pub anchored: u64,
}

/// The buffer of one stream; about 5 kB, allocated once.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    codec: Codec,
    ring: Box<[u8; RING_SAMPLES]>,
    present: [u64; WORDS],
    phase: Phase,
    /// Timestamp of the next sample to come out.
    play_at: u32,
    /// Timestamp behind the newest sample.
    head: u32,
    seen: Seen,
    /// Least time to spare of the packets of this window, in samples.
    spare_min: i32,
    window_packets: u32,
    late_packets: u32,
    /// Frames to leave out, and frames waited so far for a quiet one.
    skips: u32,
    skip_waited: u32,
    insert: bool,
    last: Frame,
    /// Frames without any sound since the last with.
    empty_frames: u32,
    counters: JitterCounters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    Unset,
    /// The delay passes before the sample with this timestamp.
    Filling(u32),
    /// Sound comes out.
    Playing,
}

impl JitterBuffer {
    /// An empty buffer for sound of `codec`.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            ring: Box::new([0; RING_SAMPLES]),
            present: [0; WORDS],
            phase: Phase::Unset,
            play_at: 0,
            head: 0,
            seen: Seen::default(),
            spare_min: i32::MAX,
            window_packets: 0,
            late_packets: 0,
            skips: 0,
            skip_waited: 0,
            insert: false,
            last: [codec.silence(); FRAME_SAMPLES],
            empty_frames: 0,
            counters: JitterCounters::default(),
        }
    }

    /// Forgets what waits, because another source or another codec begins; keeps the counters.
    pub fn reset(&mut self, codec: Codec) {
        self.codec = codec;
        self.present = [0; WORDS];
        self.phase = Phase::Unset;
        self.seen = Seen::default();
        self.last = [codec.silence(); FRAME_SAMPLES];
        self.empty_frames = 0;
        self.start_window();
    }

    /// Takes the payload of one packet.
    pub fn push(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) -> Pushed {
        if payload.is_empty() || payload.len() > PAYLOAD_BYTES_MAX {
            return Pushed::Misfit;
        }
        let age = self.seen.note(sequence);
        if age == Age::Repeated {
            self.counters.duplicate += 1;
            return Pushed::Duplicate;
        }
        if self.phase == Phase::Unset {
            self.anchor(timestamp);
        }
        if let Some(refused) = self.make_room(age, timestamp, payload.len() as u32) {
            return refused;
        }
        let margin = distance(timestamp, self.play_at);
        if age == Age::Newest {
            self.measure(margin);
        }
        // The part that is past is dropped, the rest is played.
        let past = margin.min(0).unsigned_abs();
        let start = timestamp.wrapping_add(past);
        let payload = &payload[past as usize..];
        self.write(start, payload);
        let end = start.wrapping_add(payload.len() as u32);
        if distance(end, self.head) > 0 {
            self.head = end;
        }
        Pushed::Accepted
    }

    /// Gives the next 20 ms; always fills `out`.
    pub fn pop(&mut self, out: &mut Frame) -> Popped {
        if self.phase == Phase::Unset {
            out.fill(self.codec.silence());
            return Popped::Empty;
        }
        if std::mem::take(&mut self.insert) {
            self.counters.grown += 1;
            self.conceal(out);
            return Popped::Concealed;
        }
        if self.skips > 0 {
            self.skip_a_frame_if_quiet();
        }
        let present = self.count(self.play_at);
        let popped = match present {
            FRAME => {
                self.read(out);
                self.last = *out;
                self.empty_frames = 0;
                self.phase = Phase::Playing;
                Popped::Audio
            }
            0 if self.is_filling() => {
                out.fill(self.codec.silence());
                Popped::Empty
            }
            0 => self.miss(out),
            _ => {
                self.conceal(out);
                self.overlay(out);
                self.last = *out;
                self.empty_frames = 0;
                self.phase = Phase::Playing;
                self.counters.concealed += 1;
                Popped::Concealed
            }
        };
        if present > 0 {
            self.clear(self.play_at, FRAME);
        }
        self.play_at = self.play_at.wrapping_add(FRAME);
        popped
    }

    /// The law of the samples that come out.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// What the buffer did so far.
    pub const fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// Sound that waits, in samples; at most [`DEPTH_SAMPLES_MAX`].
    pub fn depth(&self) -> u32 {
        match self.phase {
            Phase::Unset => 0,
            Phase::Filling(_) | Phase::Playing => {
                distance(self.head, self.play_at).max(0).unsigned_abs()
            }
        }
    }

    /// Moves playing so that a packet fits, or says why it does not.
    fn make_room(&mut self, age: Age, timestamp: u32, length: u32) -> Option<Pushed> {
        let margin = distance(timestamp, self.play_at);
        let is_past = margin < 0 && margin.unsigned_abs() >= length;
        let is_too_far = margin.saturating_add_unsigned(length) > DEPTH_SAMPLES_MAX as i32;
        let is_dry = distance(self.play_at, self.head) >= 0;
        match age {
            Age::Newest if is_dry && self.empty_frames >= SPURT_FRAMES => self.anchor(timestamp),
            Age::Newest if is_dry && margin < 0 => self.rewind(timestamp),
            // Sent later yet stamped earlier than what was played: the sender's clock jumped.
            Age::Newest if is_past => self.anchor(timestamp),
            Age::Newest if is_too_far => {
                self.advance(timestamp.wrapping_sub(DELAY_SAMPLES));
            }
            Age::Older if is_past => {
                self.late();
                return Some(Pushed::Late);
            }
            Age::Older if is_too_far => return Some(Pushed::Misfit),
            Age::Newest | Age::Older | Age::Repeated => {}
        }
        None
    }

    /// Begins to play at `timestamp`, after the usual delay.
    fn anchor(&mut self, timestamp: u32) {
        self.present = [0; WORDS];
        self.play_at = timestamp.wrapping_sub(DELAY_SAMPLES);
        self.head = timestamp;
        self.phase = Phase::Filling(timestamp);
        self.empty_frames = 0;
        self.counters.anchored += 1;
        self.start_window();
    }

    /// Goes back to a packet that came after the buffer ran dry; nothing is heard twice.
    fn rewind(&mut self, timestamp: u32) {
        let back = distance(self.play_at, timestamp);
        let is_unheard = distance(timestamp, self.head) >= 0;
        if is_unheard && back.unsigned_abs() <= REWIND_SAMPLES_MAX {
            self.play_at = timestamp;
            self.counters.grown += 1;
            self.start_window();
        } else {
            self.anchor(timestamp);
        }
    }

    /// Leaves out what lies before `play_at`, because too much waits.
    fn advance(&mut self, play_at: u32) {
        let ahead = distance(play_at, self.play_at);
        if ahead < RING_SAMPLES as i32 {
            self.clear(self.play_at, ahead.max(0).unsigned_abs());
            self.play_at = play_at;
            self.counters.anchored += 1;
            self.start_window();
        } else {
            self.anchor(play_at.wrapping_add(DELAY_SAMPLES));
        }
    }

    /// A packet came behind its time though others had come: wait longer if that is common.
    fn late(&mut self) {
        self.counters.late += 1;
        self.late_packets += 1;
        if self.late_packets >= LATE_PACKETS_MAX && self.depth() + FRAME < DEPTH_SAMPLES_MAX / 2 {
            self.insert = true;
            self.start_window();
        }
    }

    /// Notes how much time a packet had to spare; shrinks the delay when all had plenty.
    fn measure(&mut self, margin: i32) {
        self.spare_min = self.spare_min.min(margin);
        self.window_packets += 1;
        if self.window_packets == WINDOW_PACKETS {
            let spare = self.spare_min;
            self.start_window();
            if spare > SPARE_SAMPLES_MAX {
                self.skips = (spare - SPARE_SAMPLES_KEPT).unsigned_abs() / FRAME;
            }
        }
    }

    fn start_window(&mut self) {
        self.spare_min = i32::MAX;
        self.window_packets = 0;
        self.late_packets = 0;
        self.skips = 0;
        self.skip_waited = 0;
    }

    /// Leaves one frame out, a quiet one if there is one soon.
    fn skip_a_frame_if_quiet(&mut self) {
        self.skip_waited += 1;
        if self.count(self.play_at) == FRAME {
            let mut next = [0; FRAME_SAMPLES];
            self.read(&mut next);
            if self.skip_waited < SKIP_WAIT_FRAMES && !self.codec.is_quiet(&next) {
                return;
            }
        }
        self.clear(self.play_at, FRAME);
        self.play_at = self.play_at.wrapping_add(FRAME);
        self.skips -= 1;
        self.skip_waited = 0;
        self.counters.skipped += 1;
    }

    /// Whether the delay before the first sample still passes.
    fn is_filling(&self) -> bool {
        matches!(self.phase, Phase::Filling(first) if distance(first, self.play_at) > 0)
    }

    /// No sample of this frame is here.
    fn miss(&mut self, out: &mut Frame) -> Popped {
        if self.empty_frames < CONCEALED_FRAMES_MAX {
            self.conceal(out);
            self.empty_frames += 1;
            self.counters.concealed += 1;
            Popped::Concealed
        } else {
            self.empty_frames = self.empty_frames.saturating_add(1);
            out.fill(self.codec.silence());
            Popped::Empty
        }
    }

    /// The last frame once more, fainter with each that is missing.
    fn conceal(&self, out: &mut Frame) {
        let times = (self.empty_frames + 1).min(8) as u8;
        for (sample, last) in out.iter_mut().zip(&self.last) {
            *sample = self.codec.halved(*last, times);
        }
    }

    /// Puts the samples that are here over made up ones.
    fn overlay(&self, out: &mut Frame) {
        for (offset, sample) in out.iter_mut().enumerate() {
            let at = (self.play_at.wrapping_add(offset as u32) & RING_MASK) as usize;
            if self.present[at / 64] >> (at % 64) & 1 == 1 {
                *sample = self.ring[at];
            }
        }
    }

    fn read(&self, out: &mut Frame) {
        let at = (self.play_at & RING_MASK) as usize;
        let first = FRAME_SAMPLES.min(RING_SAMPLES - at);
        out[..first].copy_from_slice(&self.ring[at..at + first]);
        out[first..].copy_from_slice(&self.ring[..FRAME_SAMPLES - first]);
    }

    fn write(&mut self, timestamp: u32, payload: &[u8]) {
        let at = (timestamp & RING_MASK) as usize;
        let first = payload.len().min(RING_SAMPLES - at);
        self.ring[at..at + first].copy_from_slice(&payload[..first]);
        self.ring[..payload.len() - first].copy_from_slice(&payload[first..]);
        for (word, mask) in masks(timestamp, payload.len() as u32) {
            self.present[word] |= mask;
        }
    }

    fn clear(&mut self, timestamp: u32, length: u32) {
        for (word, mask) in masks(timestamp, length) {
            self.present[word] &= !mask;
        }
    }

    /// Samples of one frame that are here.
    fn count(&self, timestamp: u32) -> u32 {
        masks(timestamp, FRAME).map(|(word, mask)| (self.present[word] & mask).count_ones()).sum()
    }
}

/// The words of the bit set that a run of samples touches, each with its bits.
fn masks(timestamp: u32, length: u32) -> impl Iterator<Item = (usize, u64)> {
    let mut at = timestamp & RING_MASK;
    let mut left = length.min(RING_SAMPLES as u32);
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let bit = at % 64;
        let bits = left.min(64 - bit);
        let word = (at / 64) as usize;
        at = (at + bits) & RING_MASK;
        left -= bits;
        Some((word, (u64::MAX >> (64 - bits)) << bit))
    })
}

/// How far `timestamp` lies ahead of `origin`; negative behind it. Wraps as timestamps do.
const fn distance(timestamp: u32, origin: u32) -> i32 {
    timestamp.wrapping_sub(origin) as i32
}

/// The sequence numbers that came lately: the highest and a bit for each of the 64 up to it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    highest: u16,
    bits: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Sent after all that came before.
    Newest,
    /// Overtaken by another.
    Older,
    /// Here before.
    Repeated,
}

impl Seen {
    fn note(&mut self, sequence: u16) -> Age {
        let ahead = sequence.wrapping_sub(self.highest) as i16;
        if self.bits == 0 || ahead > 0 {
            let shift = if self.bits == 0 { 64 } else { u32::from(ahead.unsigned_abs()) };
            self.bits = self.bits.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = sequence;
            return Age::Newest;
        }
        match 1u64.checked_shl(u32::from(ahead.unsigned_abs())) {
            Some(bit) if self.bits & bit != 0 => Age::Repeated,
            Some(bit) => {
                self.bits |= bit;
                Age::Older
            }
            // Too old to know; its time has passed in any case.
            None => Age::Older,
        }
    }
}
