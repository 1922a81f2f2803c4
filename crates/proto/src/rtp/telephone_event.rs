//! Key presses as telephone events: sent as a run of packets, heard once each (RFC 4733).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::{CLOCK_HZ, FRAME_MS};

/// Bytes of one event in a payload (§2.3).
pub const EVENT_BYTES: usize = 4;
/// Keys that may wait to be sent; twice the longest run that a destination may carry.
pub const KEYS_WAITING_MAX: usize = 128;
/// Times the last packet of a press is sent, so that its end is heard despite loss (§2.5.1.4).
pub const END_PACKETS: u32 = 3;

/// Events looked at in one packet; nobody presses more keys in a frame.
const EVENTS_PER_PACKET_MAX: usize = 4;
/// Level of the key in -dBm0; the usual one of a telephone.
const VOLUME: u8 = 10;
/// Longest segment of an event: what 16 bits of duration hold (§2.5.1.3).
const SEGMENT_TICKS: u32 = 0xffff;
/// A press may go on that long after the last packet heard of it, in milliseconds. Shorter
/// than the pause between two presses of one key, which is 40 ms at least (ITU-T Q.24).
const CONTINUATION_MS: u32 = 30;
/// A timestamp further back than this, in seconds, is no late packet but a clock that was set anew.
const LATE_S_MAX: u32 = 2;

/// A key of the telephone: `0-9 * # A-D`, events 0 to 15 (RFC 4733 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u8);

impl Key {
    /// The key of an event code; `None` for events that are no keys.
    pub const fn from_event(event: u8) -> Option<Self> {
        if event < 16 { Some(Self(event)) } else { None }
    }

    /// The key written so; letters in either case.
    pub const fn from_char(sign: char) -> Option<Self> {
        match sign.to_ascii_uppercase() {
            digit @ '0'..='9' => Some(Self(digit as u8 - b'0')),
            '*' => Some(Self(10)),
            '#' => Some(Self(11)),
            letter @ 'A'..='D' => Some(Self(letter as u8 - b'A' + 12)),
            _ => None,
        }
    }

    /// The event code, 0 to 15.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// How the key is written.
    pub const fn to_char(self) -> char {
        b"0123456789*#ABCD"[self.0 as usize] as char
    }
}

impl fmt::Debug for Key {
    // Keys may be somebody's PIN: the log learns that there was one, not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(_)")
    }
}

/// How long a key sounds and how long the pause after it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTiming {
    /// Length of the tone, 40 ms to 6 s, rounded up to frames; at 48 kHz to 1.36 s.
    pub on: Duration,
    /// Length of the pause after it, 60 ms to 6 s, rounded up to frames; the repeated end packets
    /// fall into it.
    pub off: Duration,
}

impl Default for KeyTiming {
    /// 100 ms and 100 ms: twice what the slowest receiver needs (ITU-T Q.24 wants 40 and 40).
    fn default() -> Self {
        Self { on: Duration::from_millis(100), off: Duration::from_millis(100) }
    }
}

impl KeyTiming {
    /// Frames of tone and of pause.
    fn frames(self) -> (u32, u32) {
        let frames = |span: Duration, least_ms: u128| {
            (span.as_millis().clamp(least_ms, 6_000) as u32).div_ceil(FRAME_MS)
        };
        (frames(self.on, 40), frames(self.off, 60))
    }
}

/// The 32 bits of one event (§2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event code.
    pub event: u8,
    /// Whether this packet ends the event.
    pub end: bool,
    /// Level in -dBm0, 0 to 63.
    pub volume: u8,
    /// How long the event has lasted, in ticks of the clock.
    pub duration: u16,
}

impl Event {
    /// Reads the four bytes; every value means something.
    pub const fn from_bytes(bytes: [u8; EVENT_BYTES]) -> Self {
        Self {
            event: bytes[0],
            end: bytes[1] & 0x80 != 0,
            volume: bytes[1] & 0x3f,
            duration: u16::from_be_bytes([bytes[2], bytes[3]]),
        }
    }

    /// The four bytes on the wire; the reserved bit is zero.
    pub const fn to_bytes(self) -> [u8; EVENT_BYTES] {
        let duration = self.duration.to_be_bytes();
        [self.event, (self.end as u8) << 7 | self.volume & 0x3f, duration[0], duration[1]]
    }
}

/// Sends keys one after the other, a packet every frame while one is held.
#[derive(Clone, Debug)]
pub struct KeySender {
    waiting: VecDeque<(Key, KeyTiming)>,
    current: Option<Press>,
    clock_hz: u32,
}

impl Default for KeySender {
    /// Nothing waits; the clock is the telephone's.
    fn default() -> Self {
        Self { waiting: VecDeque::new(), current: None, clock_hz: CLOCK_HZ }
    }
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: Key,
    timestamp: u32,
    /// Frames since the press began, this one not counted.
    elapsed: u32,
    on: u32,
    off: u32,
    /// Ticks of the clock in a frame.
    ticks: u32,
}

/// One event packet to send in place of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// First packet of a press.
    pub marker: bool,
    /// When the press began; the same in all its packets.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; EVENT_BYTES],
}

/// What a frame of the clock asks of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTick {
    /// No key is being sent: sound may go.
    Idle,
    /// The pause after a key: sound may go, the next key waits.
    Pause,
    /// The pause after the last key ends with this frame.
    Done,
    /// A packet that takes the place of this frame's sound.
    Packet(EventPacket),
}

impl KeySender {
    /// Puts a key behind those that wait; `false` if [`KEYS_WAITING_MAX`] wait already.
    #[must_use]
    pub fn press(&mut self, key: Key, timing: KeyTiming) -> bool {
        let room = self.waiting.len() < KEYS_WAITING_MAX;
        if room {
            self.waiting.push_back((key, timing));
        }
        room
    }

    /// The clock in which durations are told from the next key on, in ticks a second.
    pub const fn set_clock(&mut self, clock_hz: u32) {
        self.clock_hz = clock_hz;
    }

    /// Takes back the keys that have not begun; the one being sent is finished.
    pub fn take_waiting(&mut self) -> impl Iterator<Item = (Key, KeyTiming)> {
        self.waiting.drain(..)
    }

    /// Whether a key is being sent or waits.
    pub fn is_busy(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// One frame of the clock passes, whose first sample has `timestamp`.
    pub fn tick(&mut self, timestamp: u32) -> KeyTick {
        let mut press = match self.current.take() {
            Some(press) => press,
            None => match self.waiting.pop_front() {
                Some((key, timing)) => {
                    let (on, off) = timing.frames();
                    let ticks = self.clock_hz / (1_000 / FRAME_MS);
                    // What 16 bits of duration hold; longer presses would need segments.
                    let on = on.min(SEGMENT_TICKS / ticks);
                    Press { key, timestamp, elapsed: 0, on, off, ticks }
                }
                None => return KeyTick::Idle,
            },
        };
        let frame = press.elapsed;
        press.elapsed += 1;
        let tick = if frame < press.on + END_PACKETS - 1 {
            let frames = press.elapsed.min(press.on);
            let event = Event {
                event: press.key.event(),
                end: press.elapsed >= press.on,
                volume: VOLUME,
                duration: (frames * press.ticks) as u16,
            };
            KeyTick::Packet(EventPacket {
                marker: frame == 0,
                timestamp: press.timestamp,
                payload: event.to_bytes(),
            })
        } else if press.elapsed >= press.on + press.off && self.waiting.is_empty() {
            KeyTick::Done
        } else {
            KeyTick::Pause
        };
        if press.elapsed < press.on + press.off {
            self.current = Some(press);
        }
        tick
    }
}

/// Hears one press in all the packets that tell of it.
///
/// A press is known by the timestamp of its beginning. It counts when the first of its packets
/// arrives, whichever that is, so loss of the beginning or of the end changes nothing.
#[derive(Clone, Debug)]
pub struct KeyReceiver {
    newest: Option<Heard>,
    clocks: Clocks,
}

/// The clocks of a stream that carries events, in ticks a second.
///
/// They are to be the same (RFC 4733 §2.1). But many who speak Opus name events at 8 kHz alone, and
/// then tell durations in that clock and timestamps in that of the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Of timestamps.
    pub stream_hz: u32,
    /// Of durations.
    pub event_hz: u32,
}

impl Default for Clocks {
    /// Both are the telephone's.
    fn default() -> Self {
        Self { stream_hz: CLOCK_HZ, event_hz: CLOCK_HZ }
    }
}

impl Default for KeyReceiver {
    /// One that has heard nothing, by the telephone's clock.
    fn default() -> Self {
        Self::new(Clocks::default())
    }
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    event: u8,
    timestamp: u32,
    duration: u32,
    ended: bool,
}

impl KeyReceiver {
    /// One that has heard nothing.
    pub const fn new(clocks: Clocks) -> Self {
        Self { newest: None, clocks }
    }

    /// By which clocks it hears.
    pub const fn clocks(&self) -> Clocks {
        self.clocks
    }

    /// Takes one packet's payload; calls `pressed` for each press that begins with it.
    ///
    /// Returns `false` if the payload is no event at all.
    pub fn receive(
        &mut self,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
        mut pressed: impl FnMut(Key),
    ) -> bool {
        let (blocks, _) = payload.as_chunks::<EVENT_BYTES>();
        let mut start = timestamp;
        for (position, block) in blocks.iter().take(EVENTS_PER_PACKET_MAX).enumerate() {
            let event = Event::from_bytes(*block);
            // Several events may share a packet, one after the other in time (§2.5.1.5); zeros
            // behind the first are somebody's padding, not presses of 0.
            if position > 0 && event.duration == 0 {
                break;
            }
            if self.is_new(marker && position == 0, start, event)
                && let Some(key) = Key::from_event(event.event)
            {
                pressed(key);
            }
            start = start.wrapping_add(self.clocks.span(event.duration));
        }
        !blocks.is_empty()
    }

    /// Whether the event is a press not heard of before; notes it.
    fn is_new(&mut self, marker: bool, timestamp: u32, event: Event) -> bool {
        let duration = self.clocks.span(event.duration);
        let fresh = Heard { event: event.event, timestamp, duration, ended: event.end };
        let Some(newest) = &mut self.newest else {
            self.newest = Some(fresh);
            return true;
        };
        let ahead = timestamp.wrapping_sub(newest.timestamp);
        if ahead == 0 && event.event == newest.event {
            newest.duration = newest.duration.max(duration);
            newest.ended |= event.end;
            return false;
        }
        let behind = ahead.wrapping_neg();
        if behind > 0 && behind <= LATE_S_MAX * self.clocks.stream_hz {
            return false;
        }
        if newest.goes_on(marker, ahead, fresh, self.clocks) {
            *newest = fresh;
            return false;
        }
        *newest = fresh;
        true
    }
}

impl Clocks {
    /// A duration in ticks of the stream's clock.
    const fn span(self, duration: u16) -> u32 {
        let span = duration as u64 * self.stream_hz as u64 / self.event_hz as u64;
        // At most six times 16 bits, for the clocks that there are.
        span as u32
    }
}

impl Heard {
    /// Whether `next`, which begins `ahead` ticks later, is the same press continued: a further
    /// segment of a long one (§2.5.1.3), or a sender that moves the timestamp with each packet.
    fn goes_on(self, marker: bool, ahead: u32, next: Self, clocks: Clocks) -> bool {
        let continuation = CONTINUATION_MS * clocks.stream_hz / 1_000;
        let near = ahead <= self.duration + continuation || ahead == SEGMENT_TICKS;
        !marker && !self.ended && self.event == next.event && near
    }
}
