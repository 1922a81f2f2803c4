//! One stream on its media thread: sockets, protocol machine, player; works when its slot is due.

mod inward;
mod outward;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::rtp::session::Statistics;
use proto::rtp::{Codec, Effect, Input, Session, Terms, Timer};
use script::step::PlayId;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::frames::{Frames, Taps};
use super::inband::{KeyEar, KeyTones};
use super::keys::KeyPlan;
use super::lease::PortLease;
use super::listener::Listener;
use super::mailbox::{Command, Mailbox, Taken};
use super::player::Player;
use super::privacy::Privacy;
use super::sockets::SocketPair;
use super::transcoder::Transcoder;
use super::wheel::CatchUp;
use super::{Failure, MediaEvent, Setup, StreamStats};

/// One stream, owned by one media thread from its first `connect` to its close.
pub(super) struct Endpoint {
    mailbox: Arc<Mailbox>,
    outbox: Outbox,
    sockets: SocketPair,
    lease: PortLease,
    options: Options,
    /// `None` until the far end is known.
    live: Option<Box<Live>>,
    /// Turn of the wheel at which it last worked; `None` before the first.
    turn: Option<u64>,
    counters: Counters,
    closing: Option<Option<oneshot::Sender<StreamStats>>>,
    player: Player<PlayId>,
    plan: KeyPlan,
    listener: Option<Listener>,
    taps: Taps,
    /// What is sent while nothing plays, as another leg says it.
    relay: Option<Frames>,
    privacy: Privacy,
}

/// What a stream has before the far end is known.
pub(super) struct Reserved {
    pub(super) events: mpsc::Sender<MediaEvent>,
    pub(super) sockets: SocketPair,
    pub(super) lease: PortLease,
}

/// What exists once the far end is known.
struct Live {
    session: Session,
    /// When the terms in force came; what is heard of the far end counts from here.
    terms_at: Instant,
    /// Keys that are sent as tones, because the far end takes no telephone events.
    tones: KeyTones,
    /// Hears keys in the sound, where telephone events were not agreed on.
    ear: Option<Box<KeyEar>>,
    remote: Remote,
    transcoder: Transcoder,
}

/// What was last told of the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remote {
    Heard,
    /// Not a packet so far.
    Unheard,
    Silent,
}

/// How a stream behaves; the same for all of an engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Send silence while nothing plays.
    pub(super) send_silence: bool,
    /// After so long without a packet the far end is told to be silent.
    pub(super) silence_time_max: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    forged: u64,
    frames_skipped: u64,
    sends_failed: u64,
}

/// Events on their way to the async side, in order.
pub(super) struct Outbox {
    sender: mpsc::Sender<MediaEvent>,
    /// Those that the receiver had no room for yet.
    pending: VecDeque<MediaEvent>,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Closed,
    Open,
}

/// Room that the streams of a thread share, for what lasts no longer than a tick.
pub(super) struct Scratch {
    commands: Vec<Command>,
    datagram: [u8; DATAGRAM_BYTES_MAX],
}

/// Largest datagram that is looked at; whatever is longer is cut, and then refused by its size.
const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Events that wait for a call that takes none; more than all playings and keys that may wait.
const PENDING_MAX: usize = 1_024;
/// RTP packets taken at a tick. One is usual; the rest waits in the kernel, or is dropped there.
const PACKETS_MAX: usize = 16;
/// RTCP packets taken at a look.
const REPORTS_MAX: usize = 4;
/// Turns between looks at RTCP, 40 ms: reports come every five seconds, and each look at an empty
/// socket costs as much as a tenth of a packet. A round trip is measured so much too long, at most.
const CONTROL_TURNS: u64 = 2;
/// Frames of pause after a stall that are counted one by one, a minute; no call outlives more.
const SKIPPED_MAX: u32 = 3_000;
/// Frames heard at once after a stall; more is not in the buffer.
const HEARD_MAX: u32 = 20;

impl Scratch {
    pub(super) fn new() -> Self {
        Self { commands: Vec::new(), datagram: [0; DATAGRAM_BYTES_MAX] }
    }
}

impl Endpoint {
    pub(super) fn new(reserved: Reserved, mailbox: Arc<Mailbox>, options: Options) -> Self {
        Self {
            mailbox,
            outbox: Outbox::new(reserved.events),
            sockets: reserved.sockets,
            lease: reserved.lease,
            options,
            live: None,
            turn: None,
            counters: Counters::default(),
            closing: None,
            player: Player::default(),
            plan: KeyPlan::default(),
            listener: None,
            taps: Taps::default(),
            relay: None,
            privacy: Privacy::default(),
        }
    }

    /// Does what is due at a turn of the wheel: commands, 20 ms outwards, 20 ms inwards, reports.
    pub(super) fn tick(&mut self, now: Instant, turn: u64, scratch: &mut Scratch) -> Fate {
        let missed = self.turn.map_or(0, |last| turn.saturating_sub(last + 1));
        self.turn = Some(turn);
        self.obey(now, scratch);
        if let Some(receipt) = self.closing.take() {
            self.close(now, receipt);
            return Fate::Closed;
        }
        self.speak(now, CatchUp::after(missed));
        self.hear(now, missed, scratch);
        // Half of the streams at one turn, half at the next.
        if (turn + u64::from(self.lease.port() / 2)).is_multiple_of(CONTROL_TURNS) {
            self.exchange_reports(now, scratch);
        }
        self.drain(now);
        self.outbox.flush();
        Fate::Open
    }

    /// Ends a stream whose work panicked; what is left of it is not touched.
    pub(super) fn abandon(&mut self) {
        self.outbox.push(MediaEvent::Failed(Failure::Internal));
        self.outbox.flush();
    }

    /// The ports, once the rest is gone.
    pub(super) fn into_lease(self) -> PortLease {
        self.mailbox.shut();
        self.lease
    }

    fn obey(&mut self, now: Instant, scratch: &mut Scratch) {
        let mut commands = std::mem::take(&mut scratch.commands);
        if self.mailbox.take(&mut commands) == Taken::Overflowed {
            self.fail(Failure::Overflow);
        }
        for command in commands.drain(..) {
            match command {
                Command::Close(receipt) => self.closing = Some(receipt),
                Command::Connect(setup) => self.connect(now, setup),
                Command::Keys(keys) => self.plan.add(&keys),
                Command::Listen(listener) => self.listener = listener,
                Command::Play(play, items) => {
                    // Until the far end is known, any codec will do: each frame names its own.
                    let codec =
                        self.live.as_ref().map_or(Codec::Pcmu, |live| live.session.terms().codec);
                    if !self.player.play(play, codec, items) {
                        self.fail(Failure::Overflow);
                    }
                }
                Command::Relay(frames) => self.relay = frames,
                Command::Protect(protection) => self.privacy.agree(protection),
                Command::Renegotiate(terms) => self.renegotiate(now, terms),
                Command::StopPlay => {
                    self.player.stop();
                    self.outbox.forget_ends();
                }
                Command::Tap(directions, sink) => self.taps.add(directions, sink),
            }
        }
        scratch.commands = commands;
    }

    fn connect(&mut self, now: Instant, setup: Setup) {
        let terms = setup.terms;
        self.live = Some(Box::new(Live {
            session: Session::new(setup),
            terms_at: now,
            tones: KeyTones::default(),
            ear: KeyEar::if_needed(&terms),
            remote: Remote::Unheard,
            transcoder: Transcoder::default(),
        }));
    }

    fn renegotiate(&mut self, now: Instant, terms: Terms) {
        let Some(live) = &mut self.live else {
            return;
        };
        let is_elsewhere = live.session.terms().remote != terms.remote;
        if is_elsewhere && let Err(error) = self.sockets.disconnect() {
            tracing::warn!(%error, "media port was lost while the far end moved");
            self.fail(Failure::Port);
            return;
        }
        live.session.handle(now, Input::Renegotiated(terms));
        live.terms_at = now;
        match (terms.telephone_event, live.ear.is_some()) {
            (Some(_), _) => live.ear = None,
            (None, true) => {}
            (None, false) => live.ear = KeyEar::if_needed(&terms),
        }
        self.drain(now);
        // A press that was being sent as an event ended with the events themselves.
        if terms.telephone_event.is_none()
            && self.live.as_ref().is_some_and(|live| live.tones.is_idle())
        {
            self.plan.sent();
        }
    }

    fn close(&mut self, now: Instant, receipt: Option<oneshot::Sender<StreamStats>>) {
        if let Some(live) = &mut self.live {
            live.session.handle(now, Input::Close);
        }
        self.drain(now);
        if let Some(receipt) = receipt {
            // Who closes and does not wait for the figures does not want them.
            let _ = receipt.send(self.stats());
        }
    }

    /// Reports both ways, and whether the far end has fallen silent.
    fn exchange_reports(&mut self, now: Instant, scratch: &mut Scratch) {
        self.hear_reports(now, scratch);
        let Some(live) = &mut self.live else {
            return;
        };
        if let Some((at, timer @ Timer::Report)) = live.session.deadline()
            && at <= now
        {
            live.session.handle(now, Input::Expired(timer));
        }
        let heard = live.session.last_heard();
        let since = heard.map_or(live.terms_at, |heard| heard.max(live.terms_at));
        let is_silent = now.saturating_duration_since(since) >= self.options.silence_time_max;
        let expected = live.session.terms().direction.receives();
        let remote = match live.remote {
            Remote::Heard | Remote::Unheard if is_silent && expected => Remote::Silent,
            Remote::Silent | Remote::Unheard if heard.is_some() && !is_silent => Remote::Heard,
            remote => remote,
        };
        if remote != live.remote {
            live.remote = remote;
            match remote {
                Remote::Heard => self.outbox.push(MediaEvent::RemoteHeard),
                Remote::Silent => self.outbox.push(MediaEvent::RemoteSilent),
                Remote::Unheard => {}
            }
        }
    }

    /// Does what the protocol machine wants.
    fn drain(&mut self, now: Instant) {
        let Some(live) = &mut self.live else {
            return;
        };
        while let Some(effect) = live.session.poll() {
            match effect {
                Effect::Closed => {}
                Effect::Decode(coded) => live.decode(now, &coded),
                Effect::KeyPressed(key) => self.outbox.push(MediaEvent::Key(key)),
                Effect::KeysSent => self.plan.sent(),
                Effect::PlayKey { key, timing } => {
                    live.tones.play(live.session.terms().codec, key, timing);
                }
                Effect::RemoteMoved(to) => {
                    tracing::debug!(%to, at = ?now, "far end's audio comes from elsewhere");
                }
                Effect::SendControl { to, bytes } => {
                    let Some(bytes) = self.privacy.seal_report(&bytes) else {
                        continue;
                    };
                    let sent = if live.session.terms().rtcp_mux {
                        self.sockets.send(to, bytes)
                    } else {
                        self.sockets.send_control(to, bytes)
                    };
                    self.counters.sends_failed += u64::from(sent.is_err());
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.outbox.push(MediaEvent::Failed(failure));
    }

    fn stats(&self) -> StreamStats {
        let live = self.live.as_ref();
        StreamStats {
            forged: self.counters.forged,
            malformed: live.map_or(0, |live| live.transcoder.malformed),
            frames_skipped: self.counters.frames_skipped,
            sends_failed: self.counters.sends_failed,
            stream: live.map_or_else(Statistics::default, |live| live.session.statistics()),
        }
    }
}

impl Outbox {
    pub(super) fn new(sender: mpsc::Sender<MediaEvent>) -> Self {
        Self { sender, pending: VecDeque::new() }
    }

    pub(super) fn push(&mut self, event: MediaEvent) {
        if self.pending.len() < PENDING_MAX || matches!(event, MediaEvent::Failed(_)) {
            self.pending.push_back(event);
        } else {
            tracing::debug!("event of a stream is forgotten: nobody takes them");
        }
    }

    /// Ends and marks of playings that were stopped before anybody heard of them.
    pub(super) fn forget_ends(&mut self) {
        let is_of_play = |event: &MediaEvent| {
            matches!(event, MediaEvent::MarkReached(..) | MediaEvent::PlayEnded(_))
        };
        self.pending.retain(|event| !is_of_play(event));
    }

    /// Gives what the receiver has room for. Never waits.
    pub(super) fn flush(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            if let Err(TrySendError::Full(event)) = self.sender.try_send(event) {
                self.pending.push_front(event);
                return;
            }
        }
    }
}
