//! MACHINE for one stream both ways: `handle`, `poll`, `deadline`, and two verbs of the 20 ms
//! clock.
//!
//! [`Session::send_frame`] and [`Session::hear`] stand beside the three verbs because they run a
//! hundred times a second in every call: they take and give one frame by reference, without an
//! effect between. Each is to be called exactly once every 20 ms; [`Session::poll`] is drained
//! after them as after `handle`.

#[cfg(test)]
mod codecs_tests;
mod control;
#[cfg(test)]
mod control_tests;
mod counters;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use counters::{DropReason, Drops, FarReport, Statistics};
use terms::Kind;
pub use terms::{Direction, ReceiveTypes, Terms};

use super::codec::Codec;
use super::decoding::{Coded, Samples};
use super::interval::Interval;
use super::jitter::{JitterBuffer, PAYLOAD_BYTES_MAX, Popped, Pushed};
use super::packet::{HEADER_BYTES, Header, Packet, is_rtcp};
use super::random::Random;
use super::reception::{Reception, Verdict};
use super::rtcp::{NtpTime, RtcpBytes};
use super::source::{SourceGuard, SourceVerdict};
use super::telephone_event::{Clocks, Key, KeyReceiver, KeySender, KeyTick, KeyTiming};
use super::{FRAME_MS, Frame};
use control::Control;

/// Longest payload that is sent, in bytes: a frame of any codec.
pub const PAYLOAD_SENT_BYTES_MAX: usize = 400;
/// Bytes of a packet with one frame of sound.
pub const PACKET_BYTES_MAX: usize = HEADER_BYTES + PAYLOAD_SENT_BYTES_MAX;

/// How a stream begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// SSRC, sequence, timestamp, name and the spread of the reports follow from it; from the
    /// system's generator, since whoever guesses them can slip packets in.
    pub seed: u64,
    /// The beginning.
    pub now: Instant,
    /// The same moment by the wall clock; reports tell it.
    pub wall: NtpTime,
    /// What was agreed.
    pub terms: Terms,
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram came to the RTP port.
    Datagram {
        /// Who sent it.
        from: SocketAddr,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A datagram came to the RTCP port.
    Control {
        /// Who sent it.
        from: SocketAddr,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A key is to be sent, behind those that wait.
    Press {
        /// Which.
        key: Key,
        /// How long.
        timing: KeyTiming,
    },
    /// What [`Effect::Decode`] asked for, or what was made up for packets before it.
    Decoded {
        /// How it was encoded.
        codec: Codec,
        /// Number of the packet.
        sequence: u16,
        /// Time of the first sample, as it was asked for.
        timestamp: u32,
        /// The samples, [companded](Codec::companded).
        samples: &'a [u8],
    },
    /// Keys that have not begun are not to be sent after all.
    ClearKeys,
    /// A new offer was answered.
    Renegotiated(Terms),
    /// The deadline passed.
    Expired(Timer),
    /// The call is over.
    Close,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Decode this and give it back as [`Input::Decoded`], or forget it.
    Decode(Coded),
    /// The far end pressed a key; once per press, when it begins.
    KeyPressed(Key),
    /// Send this from the RTCP port, or from the RTP port if they share one.
    SendControl {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: RtcpBytes,
    },
    /// Sound goes there from now on; [`Outgoing::to`] says so too.
    RemoteMoved(SocketAddr),
    /// The far end takes no telephone events: play this key's tone in the sound.
    PlayKey {
        /// Which.
        key: Key,
        /// How long.
        timing: KeyTiming,
    },
    /// The last key that waited is sent, pause included; not said of keys that are to be played.
    KeysSent,
    /// Nothing follows.
    Closed,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// An RTCP report is due.
    Report,
}

/// One packet to send now.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// The whole packet; at most [`PACKET_BYTES_MAX`].
    pub bytes: &'a [u8],
}

/// One stream of a call, both ways.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    started: Instant,
    terms: Terms,
    guard: SourceGuard,
    /// The source that is heard.
    reception: Option<Reception>,
    /// Another SSRC from the same address that is being tried.
    rival: Option<Reception>,
    buffer: JitterBuffer,
    keys_in: KeyReceiver,
    keys_out: KeySender,
    /// Time of what is decoded before it waits.
    samples: Samples,
    out: Sender,
    random: Random,
    control: Control,
    statistics: Statistics,
    last_heard: Option<Instant>,
    effects: VecDeque<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closed,
}

/// The way out: numbers that go up, and the packet last written.
#[derive(Debug)]
struct Sender {
    ssrc: u32,
    sequence: u16,
    /// Of the frame that comes next.
    timestamp: u32,
    /// When the frame before was due.
    ticked_at: Instant,
    /// Whether the next sound follows a silence and is marked (RFC 3551 §4.1).
    after_silence: bool,
    packet: [u8; PACKET_BYTES_MAX],
}

/// Whether a packet's sequence number lets it in.
enum Admission {
    /// It belongs to the stream.
    Member,
    /// Its source is on probation: sound may wait in the buffer, keys do not count.
    Tentative,
    Dropped(DropReason),
}

impl Session {
    /// A stream about to begin.
    pub fn new(setup: Setup) -> Self {
        let Setup { seed, now, wall, terms } = setup;
        let mut random = Random::new(seed);
        let mut keys_out = KeySender::default();
        keys_out.set_clock(terms.event_clock_hz);
        let out = Sender {
            ssrc: random.next_u32(),
            // Below half, so that the first wrap is minutes away and cannot confuse a receiver.
            sequence: random.next_u16() >> 1,
            timestamp: random.next_u32(),
            ticked_at: now,
            after_silence: true,
            packet: [0; PACKET_BYTES_MAX],
        };
        Self {
            phase: Phase::Open,
            started: now,
            terms,
            guard: SourceGuard::new(terms.remote, terms.learning),
            reception: None,
            rival: None,
            buffer: JitterBuffer::new(terms.codec),
            keys_in: KeyReceiver::default(),
            keys_out,
            samples: Samples::default(),
            out,
            control: Control::new(wall, &mut random, Interval::new(now, seed)),
            random,
            statistics: Statistics::default(),
            last_heard: None,
            effects: VecDeque::new(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match (self.phase, input) {
            (Phase::Open, Input::Datagram { from, bytes }) => self.receive(now, from, bytes),
            (Phase::Open, Input::Control { from, bytes }) => self.hear_control(now, from, bytes),
            (Phase::Open, Input::Decoded { codec, sequence, timestamp, samples }) => {
                self.take_samples(codec, sequence, timestamp, samples);
            }
            (Phase::Open, Input::Press { key, timing }) => self.press(key, timing),
            (Phase::Open, Input::ClearKeys) => drop(self.keys_out.take_waiting()),
            (Phase::Open, Input::Renegotiated(terms)) => self.renegotiate(terms),
            (Phase::Open, Input::Expired(Timer::Report)) => self.report_if_due(now),
            (Phase::Open, Input::Close) => self.close(now),
            // Datagrams and timers that were on their way when the call ended.
            (Phase::Closed, _) => tracing::trace!("input after close ignored"),
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to wake me, and for what.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        match self.phase {
            Phase::Open => Some((self.control.due(), Timer::Report)),
            Phase::Closed => None,
        }
    }

    /// The next 20 ms outwards, encoded by the terms' codec: the packet to send, if any. `None` is
    /// silence that is not sent; so is what is longer than [`PAYLOAD_SENT_BYTES_MAX`], or nothing.
    /// Keys that wait take the place of the frame.
    pub fn send_frame(&mut self, now: Instant, frame: Option<&[u8]>) -> Option<Outgoing<'_>> {
        let timestamp = self.out.timestamp;
        self.out.timestamp = timestamp.wrapping_add(self.frame_ticks());
        self.out.ticked_at = now;
        if self.phase == Phase::Closed || !self.terms.may_send() {
            self.out.after_silence = true;
            return None;
        }
        if let Some(payload_type) = self.terms.telephone_event {
            match self.keys_out.tick(timestamp) {
                KeyTick::Packet(event) => {
                    self.out.after_silence = true;
                    let (marker, timestamp) = (event.marker, event.timestamp);
                    return Some(self.write(marker, payload_type, timestamp, &event.payload));
                }
                KeyTick::Done => self.effects.push_back(Effect::KeysSent),
                KeyTick::Idle | KeyTick::Pause => {}
            }
        }
        let fits = |frame: &&[u8]| (1..=PAYLOAD_SENT_BYTES_MAX).contains(&frame.len());
        let Some(frame) = frame.filter(fits) else {
            self.out.after_silence = true;
            return None;
        };
        let marker = std::mem::take(&mut self.out.after_silence);
        Some(self.write(marker, self.terms.payload_type, timestamp, frame))
    }

    /// The next 20 ms inwards, in [`Self::codec_heard`]; always fills `out`.
    pub fn hear(&mut self, out: &mut Frame) -> Popped {
        if self.phase == Phase::Closed || !self.terms.direction.receives() {
            out.fill(self.buffer.codec().silence());
            return Popped::Empty;
        }
        self.buffer.pop(out)
    }

    /// The law of the frame that [`Self::hear`] gave last.
    pub const fn codec_heard(&self) -> Codec {
        self.buffer.codec().companded()
    }

    /// The terms in force.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where sound goes to and comes from.
    pub const fn remote(&self) -> SocketAddr {
        self.guard.address()
    }

    /// When the last packet of the stream came.
    pub const fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Whether keys are being sent or wait.
    pub fn is_pressing(&self) -> bool {
        self.keys_out.is_busy()
    }

    /// The stream's figures up to now.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.statistics;
        statistics.buffer = self.buffer.counters();
        if let Some(reception) = &self.reception {
            statistics.packets_lost = reception.lost();
            statistics.jitter = ticks(reception.jitter(), self.buffer.codec().clock_hz());
        }
        statistics
    }

    fn write(
        &mut self,
        marker: bool,
        payload_type: u8,
        timestamp: u32,
        payload: &[u8],
    ) -> Outgoing<'_> {
        let out = &mut self.out;
        let (sequence, ssrc) = (out.sequence, out.ssrc);
        let header = Header { marker, payload_type, sequence, timestamp, ssrc };
        let length = HEADER_BYTES + payload.len();
        out.packet[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        out.packet[HEADER_BYTES..length].copy_from_slice(payload);
        out.sequence = sequence.wrapping_add(1);
        self.statistics.packets_sent += 1;
        self.statistics.bytes_sent += payload.len() as u64;
        Outgoing { to: self.guard.address(), bytes: &out.packet[..length] }
    }

    /// Takes a datagram of the RTP port: source first, then form, then sense.
    fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        if !self.guard.may_pass(from) {
            return self.discard(DropReason::Source);
        }
        if self.terms.rtcp_mux && is_rtcp(bytes) {
            return self.hear_control(now, from, bytes);
        }
        let Ok(packet) = Packet::parse(bytes) else {
            return self.discard(DropReason::Malformed);
        };
        let Some(kind) = self.terms.receive.kind(packet.header.payload_type) else {
            return self.discard(DropReason::PayloadType);
        };
        if packet.payload.is_empty() || packet.payload.len() > PAYLOAD_BYTES_MAX {
            return self.discard(DropReason::Size);
        }
        match self.guard.judge(from, &packet.header) {
            SourceVerdict::Trusted => {}
            SourceVerdict::Learned | SourceVerdict::Returned => self.follow_source(),
            SourceVerdict::Unsettled => return self.discard(DropReason::Unsettled),
            SourceVerdict::Foreign => return self.discard(DropReason::Source),
        }
        if !self.terms.direction.receives() {
            return self.discard(DropReason::OnHold);
        }
        let is_member = match self.admit(&packet.header) {
            Admission::Member => true,
            Admission::Tentative => false,
            Admission::Dropped(reason) => return self.discard(reason),
        };
        self.statistics.packets_received += 1;
        self.statistics.bytes_received += packet.payload.len() as u64;
        self.last_heard = Some(now);
        match kind {
            Kind::Audio(codec) => self.take_audio(now, codec, &packet),
            Kind::TelephoneEvent(clock_hz) if is_member => self.take_event(clock_hz, &packet),
            Kind::ComfortNoise | Kind::TelephoneEvent(_) => {}
        }
    }

    /// Judges SSRC and sequence number (RFC 3550 §8.2, §A.1).
    fn admit(&mut self, header: &Header) -> Admission {
        let reception = match &mut self.reception {
            Some(reception) if reception.ssrc() == header.ssrc => reception,
            // A source that proved itself gives way only to one that does so too.
            Some(reception) if reception.is_valid() => return self.try_rival(header),
            reception => {
                self.buffer.reset(self.buffer.codec());
                reception.insert(Reception::new(header.ssrc, header.sequence))
            }
        };
        match reception.judge(header.sequence) {
            Verdict::Accepted => {
                self.rival = None;
                Admission::Member
            }
            Verdict::Restarted => {
                self.buffer.reset(self.buffer.codec());
                self.keys_in = KeyReceiver::default();
                Admission::Member
            }
            Verdict::Probation { fresh } => {
                if fresh {
                    self.buffer.reset(self.buffer.codec());
                }
                Admission::Tentative
            }
            Verdict::Jump => Admission::Dropped(DropReason::Sequence),
        }
    }

    /// Another SSRC from the right address: believed after packets in a row without any of the
    /// present one between, so that two streams at once do not alternate.
    fn try_rival(&mut self, header: &Header) -> Admission {
        if self.rival.as_ref().is_none_or(|rival| rival.ssrc() != header.ssrc) {
            self.rival = Some(Reception::new(header.ssrc, header.sequence));
        }
        let judged = self.rival.as_mut().map(|rival| rival.judge(header.sequence));
        if judged != Some(Verdict::Accepted) {
            return Admission::Dropped(DropReason::Ssrc);
        }
        self.reception = self.rival.take();
        self.buffer.reset(self.buffer.codec());
        self.keys_in = KeyReceiver::default();
        self.control.forget_source();
        Admission::Member
    }

    fn take_audio(&mut self, now: Instant, codec: Codec, packet: &Packet<'_>) {
        let header = &packet.header;
        if codec != self.buffer.codec() {
            self.buffer.reset(codec);
        }
        if let Some(reception) = &mut self.reception {
            let arrival = clock(now.duration_since(self.started), codec.clock_hz());
            reception.time(arrival, header.timestamp);
        }
        let Header { sequence, timestamp, ssrc, .. } = *header;
        if codec.is_companded() {
            return self.take_samples(codec, sequence, timestamp, packet.payload);
        }
        let timestamp = self.samples.at(codec, timestamp);
        let payload = packet.payload.into();
        self.effects.push_back(Effect::Decode(Coded { codec, ssrc, sequence, timestamp, payload }));
    }

    /// Lets samples wait for their time.
    fn take_samples(&mut self, codec: Codec, sequence: u16, timestamp: u32, samples: &[u8]) {
        // The far end has gone over to another codec meanwhile.
        if codec != self.buffer.codec() {
            return self.discard(DropReason::PayloadType);
        }
        match self.buffer.push(sequence, timestamp, samples) {
            Pushed::Accepted => {}
            Pushed::Duplicate => self.discard(DropReason::Duplicate),
            Pushed::Late | Pushed::Misfit => self.discard(DropReason::Late),
        }
    }

    fn take_event(&mut self, clock_hz: u32, packet: &Packet<'_>) {
        // By the sound's clock; who sends events alone has theirs.
        let stream_hz = self.buffer.codec().clock_hz().max(clock_hz);
        let clocks = Clocks { stream_hz, event_hz: clock_hz };
        if self.keys_in.clocks() != clocks {
            self.keys_in = KeyReceiver::new(clocks);
        }
        let Header { marker, timestamp, .. } = packet.header;
        let effects = &mut self.effects;
        let is_event = self.keys_in.receive(marker, timestamp, packet.payload, |key| {
            effects.push_back(Effect::KeyPressed(key));
        });
        if !is_event {
            self.discard(DropReason::Malformed);
        }
    }

    /// The source is another from now on, so nothing known of the old one holds.
    fn follow_source(&mut self) {
        self.reception = None;
        self.rival = None;
        self.keys_in = KeyReceiver::default();
        self.control.forget_source();
        self.effects.push_back(Effect::RemoteMoved(self.guard.address()));
    }

    fn press(&mut self, key: Key, timing: KeyTiming) {
        if self.terms.telephone_event.is_none() {
            self.effects.push_back(Effect::PlayKey { key, timing });
        } else if !self.keys_out.press(key, timing) {
            tracing::debug!("key dropped: too many wait");
        }
    }

    fn renegotiate(&mut self, terms: Terms) {
        let before = self.guard.address();
        let old = std::mem::replace(&mut self.terms, terms);
        // On hold with an unspecified address the far end stays where it was.
        let is_elsewhere = (terms.remote, terms.learning) != (old.remote, old.learning);
        if is_elsewhere && terms.is_reachable() {
            self.guard = SourceGuard::new(terms.remote, terms.learning);
            self.reception = None;
            self.rival = None;
            self.keys_in = KeyReceiver::default();
            self.control.forget_source();
            if self.guard.address() != before {
                self.effects.push_back(Effect::RemoteMoved(self.guard.address()));
            }
        }
        if terms.codec != old.codec || terms.payload_type != old.payload_type {
            self.out.after_silence = true;
        }
        if terms.codec.clock_hz() != old.codec.clock_hz() {
            // Two clocks in one source confuse receivers (RFC 7160 §4.1): it becomes another.
            self.out.ssrc = self.random.next_u32();
            self.out.timestamp = self.random.next_u32();
        }
        self.keys_out.set_clock(terms.event_clock_hz);
        if !terms.direction.receives() {
            self.buffer.reset(self.buffer.codec());
        }
        if terms.telephone_event.is_none() {
            let waiting = self.keys_out.take_waiting();
            let played = waiting.map(|(key, timing)| Effect::PlayKey { key, timing });
            self.effects.extend(played);
        }
    }

    fn close(&mut self, now: Instant) {
        self.say_goodbye(now);
        self.phase = Phase::Closed;
        self.effects.push_back(Effect::Closed);
    }

    /// Ticks of the clock in a frame of what we send.
    const fn frame_ticks(&self) -> u32 {
        self.terms.codec.clock_hz() / (1_000 / FRAME_MS)
    }

    const fn discard(&mut self, reason: DropReason) {
        self.statistics.drops.add(reason);
    }
}

/// A span in ticks of a clock, modulo 2^32.
const fn clock(span: Duration, hz: u32) -> u32 {
    let seconds = (span.as_secs() as u32).wrapping_mul(hz);
    let ticks = span.subsec_nanos() as u64 * hz as u64 / 1_000_000_000;
    seconds.wrapping_add(ticks as u32)
}

/// Ticks of a clock as a span.
fn ticks(ticks: u32, hz: u32) -> Duration {
    Duration::from_micros(u64::from(ticks) * 1_000_000 / u64::from(hz))
}
