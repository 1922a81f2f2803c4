//! Audio of all calls: sockets and media threads around the machine in `proto::rtp`.
//!
//! [`MediaEngine::open`] reserves ports for a call, [`Stream::connect`] begins to send and to hear
//! once the far end is known. Each media thread has a wheel of 1 ms slots; a stream works when its
//! slot is due, every 20 ms, and never waits for anybody (`worker`). What a call wants goes into
//! the stream's mailbox and is done at its next slot; what happened comes out of [`Sound::next`].

mod endpoint;
pub(crate) mod frames;
mod inband;
mod keys;
pub(crate) mod law;
mod lease;
mod listener;
mod mailbox;
mod player;
mod ports;
mod precedence;
mod privacy;
mod seated;
mod sockets;
#[cfg(test)]
mod tests;
mod transcoder;
mod wheel;
mod worker;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use media::playlist::Item as PlayItem;
use proto::rtp::rtcp::NtpTime;
use proto::rtp::session::Statistics;
use proto::rtp::{Key, Setup, Terms};
use proto::srtp::Protection;
use script::step::PlayId;
use tokio::sync::{mpsc, oneshot};

use self::endpoint::{Endpoint, Options, Reserved};
pub use self::frames::{Directions, FrameSink, Frames, LegFrame};
use self::lease::{PortLease, SharedPorts};
pub use self::listener::{Heard, Listener};
use self::mailbox::{Command, Mailbox};
use self::ports::{Chance, PortPool};
pub use self::precedence::{go_first, stand_back};
use self::sockets::SocketPair;
use self::worker::{Shared, Worker};
use crate::clock::Clock;

/// How audio is sent and received.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Address told to the far end.
    pub advertise: IpAddr,
    /// Address that audio is received on.
    pub bind: IpAddr,
    /// Last port.
    pub port_max: u16,
    /// First port; a stream takes an even one for RTP and the next one for RTCP.
    pub port_min: u16,
    /// 64 bits that nobody can guess; ports, SSRCs and sequence numbers follow from them.
    pub seed: u64,
    /// Whether silence is sent while nothing plays. Many far ends take a stream that stops for a
    /// dead call, and a NAT forgets it; what it saves is most of a silent call's cost.
    pub send_silence: bool,
    /// After so long without a packet comes [`MediaEvent::RemoteSilent`].
    pub silence_time_max: Duration,
    /// Media threads.
    pub threads: usize,
}

impl MediaConfig {
    /// One thread, ports 20000 to 39999, silence sent.
    pub const fn new(bind: IpAddr, advertise: IpAddr, seed: u64) -> Self {
        Self {
            advertise,
            bind,
            port_max: 39_999,
            port_min: 20_000,
            seed,
            send_silence: true,
            silence_time_max: SILENCE_TIME_MAX,
            threads: 1,
        }
    }
}

/// Longer than anybody who sends no packets in silence listens without a word.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(60);
/// Pairs of ports that are tried for one stream; others may use ports of the range too.
const BIND_TRIES_MAX: usize = 50;
/// Events that wait in the channel to a call; further ones wait on the media thread.
const EVENTS_MAX: usize = 64;

/// Why there is no audio for a call.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Every port of the range is in use. The operator widens the range.
    #[error("no RTP port is free between {min} and {max}")]
    PortsExhausted {
        /// First port of the range.
        min: u16,
        /// Last port of the range.
        max: u16,
    },
    /// The system gives no socket: too many files, or an address that is not this machine's. The
    /// operator repairs it.
    #[error("no RTP socket on {address}")]
    Socket {
        /// Where it was to be.
        address: IpAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gives no thread. The operator repairs it.
    #[error("media thread cannot be started")]
    Thread(#[source] io::Error),
}

/// What happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The stream is of no use any more; the call should end.
    Failed(Failure),
    /// The far end pressed a key; once per press, when it begins.
    Key(Key),
    /// All keys of [`Sound::send_keys`] are sent, and their pauses over.
    KeysSent,
    /// What plays has come to this mark. [`Sound::stop_play`] may cross with it.
    MarkReached(PlayId, Arc<str>),
    /// The last sample of this playing is out. [`Sound::stop_play`] may cross with it.
    PlayEnded(PlayId),
    /// The far end's first packet came, or the first after [`Self::RemoteSilent`].
    RemoteHeard,
    /// Nothing has come from the far end for `silence_time_max`, although it may speak.
    RemoteSilent,
}

/// Why a stream is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A fault of ours.
    #[error("media stream failed")]
    Internal,
    /// The script wants more at once than a stream can hold.
    #[error("more is waiting to be played than a stream holds")]
    Overflow,
    /// Another program took the port while the far end moved.
    #[error("media port was lost")]
    Port,
}

/// A stream's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets that were not authentic, or came again; only where sound is protected.
    pub forged: u64,
    /// Packets whose sound could not be decoded.
    pub malformed: u64,
    /// Frames that were not sent in time because the machine stood still; heard as a pause.
    pub frames_skipped: u64,
    /// Packets that the system refused to send.
    pub sends_failed: u64,
    /// Packets sent, received, lost, late, dropped by reason; jitter.
    pub stream: Statistics,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaLoad {
    /// Most that a slot of a wheel was late since this was asked last; beyond 20 ms, callees hear.
    pub late_max: Duration,
    /// Pairs of ports that nobody uses.
    pub port_pairs_free: usize,
    /// Slots that were worked on since this was asked last.
    pub slots: u64,
    /// Those of them that were late by 5 ms or more. More than one in a hundred is too much load.
    pub slots_late: u64,
    /// Streams that are connected.
    pub streams: usize,
}

/// All media threads; clones are the same. They end when the last clone and stream are gone.
#[derive(Clone)]
pub struct MediaEngine(Arc<Inner>);

struct Inner {
    config: MediaConfig,
    clock: Clock,
    ports: SharedPorts,
    threads: Vec<Arc<Shared>>,
    chance: Mutex<Chance>,
}

impl MediaEngine {
    /// Starts the media threads.
    pub fn start(config: MediaConfig, clock: Clock) -> Result<Self, MediaError> {
        let mut chance = Chance::new(b"threads", config.seed);
        let mut inner = Inner::new(config, clock);
        for number in 0..inner.config.threads.max(1) {
            let worker = inner.add_worker(chance.next());
            let clock = inner.clock.clone();
            // Where a later one cannot be started, dropping `inner` ends those that run.
            std::thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || {
                    precedence::go_first();
                    worker.run(&clock);
                })
                .map_err(MediaError::Thread)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Reserves ports for a call. Nothing is sent or heard before [`Stream::connect`].
    pub fn open(&self) -> Result<Stream, MediaError> {
        let config = &self.0.config;
        let exhausted =
            || MediaError::PortsExhausted { min: config.port_min, max: config.port_max };
        // Pairs that another program uses rest like used ones, once another was found.
        let mut refused = Vec::new();
        while refused.len() < BIND_TRIES_MAX {
            let lease = self.0.ports.take().ok_or_else(exhausted)?;
            match SocketPair::bind(config.bind, lease.port()) {
                Ok(sockets) => return Ok(self.stream(sockets, lease)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => refused.push(lease),
                Err(source) => return Err(MediaError::Socket { address: config.bind, source }),
            }
        }
        Err(exhausted())
    }

    /// How much there is to do.
    pub fn load(&self) -> MediaLoad {
        let mut load = MediaLoad { port_pairs_free: self.0.ports.free(), ..MediaLoad::default() };
        for thread in &self.0.threads {
            let one = thread.take_load();
            load.late_max = load.late_max.max(one.late_max);
            load.slots += one.slots;
            load.slots_late += one.slots_late;
            load.streams += one.streams;
        }
        load
    }

    fn stream(&self, sockets: SocketPair, lease: PortLease) -> Stream {
        let address = self.0.config.advertise;
        let (rtp, rtcp) = (lease.port(), lease.port() + 1);
        let (sound, _, events) = Sound::new();
        Stream {
            engine: self.clone(),
            reserved: Some(Reserved { events, sockets, lease }),
            sound,
            rtp: SocketAddr::new(address, rtp),
            rtcp: SocketAddr::new(address, rtcp),
        }
    }
}

impl Inner {
    fn new(config: MediaConfig, clock: Clock) -> Self {
        let pool = PortPool::new(config.port_min, config.port_max, config.seed);
        Self {
            ports: SharedPorts::new(clock.clone(), pool),
            threads: Vec::new(),
            chance: Mutex::new(Chance::new(b"streams", config.seed)),
            clock,
            config,
        }
    }

    /// Makes the worker of one more thread.
    fn add_worker(&mut self, seed: u64) -> Worker {
        let shared = Arc::new(Shared::default());
        self.threads.push(shared.clone());
        Worker::new(shared, self.clock.instant(), seed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.stop());
    }
}

/// The audio of one call; dropped, it is closed.
pub struct Stream {
    engine: MediaEngine,
    /// What is reserved, until the stream is connected and belongs to a media thread.
    reserved: Option<Reserved>,
    sound: Sound,
    rtp: SocketAddr,
    rtcp: SocketAddr,
}

/// What a leg plays, presses and hears, whatever carries it; dropped, it is closed.
pub struct Sound {
    mailbox: Arc<Mailbox>,
    events: mpsc::Receiver<MediaEvent>,
}

impl Sound {
    /// Sound that one carries who obeys the mailbox and tells events.
    fn new() -> (Self, Arc<Mailbox>, mpsc::Sender<MediaEvent>) {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let mailbox = Arc::<Mailbox>::default();
        (Self { mailbox: Arc::clone(&mailbox), events }, mailbox, sender)
    }

    /// Sound of a leg in a room of our own: what it says goes to `said`, what comes out of `heard`
    /// is heard, and keys are pressed by `press`. It is over when `heard` is.
    pub(crate) fn in_room(
        said: FrameSink,
        heard: Frames,
        press: impl FnMut(Key) + Send + 'static,
    ) -> Self {
        let (sound, mailbox, events) = Self::new();
        seated::begin(mailbox, events, (said, heard), Box::new(press));
        sound
    }

    /// Plays these in order, after what is still playing; [`MediaEvent::PlayEnded`] tells the end.
    pub fn play(&self, play: PlayId, items: Vec<PlayItem>) {
        self.mailbox.post(Command::Play(play, items));
    }

    /// Stops with the next frame and forgets what was to come; no end is told.
    pub fn stop_play(&self) {
        self.mailbox.post(Command::StopPlay);
    }

    /// Presses keys: `0-9 A-D * #`, with pauses `p` of one second, `,` of two and `w` of a half.
    ///
    /// As telephone events where the far end takes them, else as tones; what plays waits.
    pub fn send_keys(&self, keys: &str) {
        self.mailbox.post(Command::Keys(keys.to_owned()));
    }

    /// Lets somebody hear the far end, or nobody; costs nothing while nobody does.
    pub fn listen(&self, listener: Option<Listener>) {
        self.mailbox.post(Command::Listen(listener));
    }

    /// What the far end says from now on, early sound before the answer included, and what it is
    /// sent, where that is asked for; for as many as want it, each at his own pace.
    pub fn tap(&self, directions: Directions) -> Frames {
        let (sink, frames) = frames::channel();
        self.mailbox.post(Command::Tap(directions, sink));
        frames
    }

    /// Sends these frames whenever nothing plays, until they end; `None` for silence.
    pub fn relay(&self, frames: Option<Frames>) {
        self.mailbox.post(Command::Relay(frames));
    }

    /// The next thing that happened; `None` once the sound is over.
    ///
    /// May be dropped and asked again; no event is lost by it.
    pub async fn next(&mut self) -> Option<MediaEvent> {
        self.events.recv().await
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.mailbox.post(Command::Close(None));
    }
}

impl Deref for Stream {
    type Target = Sound;

    fn deref(&self) -> &Sound {
        &self.sound
    }
}

impl DerefMut for Stream {
    fn deref_mut(&mut self) -> &mut Sound {
        &mut self.sound
    }
}

impl Stream {
    /// Where we want the far end's audio; for the offer.
    pub const fn local_rtp(&self) -> SocketAddr {
        self.rtp
    }

    /// Where we want its reports: the port above (RFC 3550 §11).
    pub const fn local_rtcp(&self) -> SocketAddr {
        self.rtcp
    }

    /// Begins to send and to hear; later, follows a new agreement: hold, resume, another codec or
    /// address. What plays goes on; on hold it waits.
    pub fn connect(&mut self, terms: Terms) {
        let Some(reserved) = self.reserved.take() else {
            self.mailbox.post(Command::Renegotiate(terms));
            return;
        };
        let inner = &self.engine.0;
        let seed = inner.chance.lock().unwrap_or_else(PoisonError::into_inner).next();
        let wall = u64::try_from(inner.clock.now().as_millis()).unwrap_or_default();
        let wall = NtpTime::from_unix(Duration::from_millis(wall));
        self.mailbox.post(Command::Connect(Setup {
            seed,
            now: inner.clock.instant(),
            wall,
            terms,
        }));
        let options = Options {
            send_silence: inner.config.send_silence,
            silence_time_max: inner.config.silence_time_max,
        };
        let endpoint = Endpoint::new(reserved, Arc::clone(&self.mailbox), options);
        let lightest = inner.threads.iter().min_by_key(|thread| thread.streams());
        lightest.expect("an engine has at least one media thread").admit(endpoint);
    }

    /// How sound is protected from now on; before [`Self::connect`] of the terms that it belongs to.
    pub fn protect(&self, protection: Option<Protection>) {
        self.mailbox.post(Command::Protect(protection));
    }

    /// Ends the stream and gives its figures.
    pub async fn close(self) -> StreamStats {
        if self.reserved.is_some() {
            return StreamStats::default();
        }
        let (receipt, stats) = oneshot::channel();
        self.mailbox.post(Command::Close(Some(receipt)));
        // A stream that failed has none to give.
        stats.await.unwrap_or_default()
    }
}
