//! Bytes between sockets and the SIP user agent, and nothing else.

mod connections;
mod resolve;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::sip::auth::Credentials;
use proto::sip::flow::{Flow, Target, Transport};
use proto::sip::register::RegisterResult;
use proto::sip::ua::{
    CallKey, Contacts, Effect, End, FlowFailure, HostPort, Input, Invite, Limits, ProbeResult,
    TrunkKey, Ua, UaConfig,
};
use proto::sip::uri::Uri;
use rustls::ClientConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::connections::{Connections, Heard};
use self::resolve::Lookup;
use crate::clock::Clock;
use crate::config::{SipConfig, TrunkConfig};
use crate::health::HealthBoard;

/// Bytes that the kernel keeps for us; the default overflows at 400 calls a second.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1_024 * 1_024;
/// Longest datagram; longer ones do not exist in UDP.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams read before anything else gets its turn.
const READ_BATCH: usize = 64;
/// Commands that may wait for the loop.
const COMMANDS_MAX: usize = 4_096;
/// Events that may wait for a call; a far end that sends more has most of them dropped.
const EVENTS_MAX: usize = 64;
/// Ports that are tried where any will do.
const FREE_PORT_TRIES: u32 = 16;
/// How often trunks are looked up and asked whether they live.
const PROBE_PERIOD: Duration = Duration::from_secs(30);
/// Registrations asked for, in seconds.
const REGISTER_EXPIRES_S: u32 = 600;
/// Longest wait at shutdown for registrations to be taken back.
const UNREGISTER_TIME_MAX: Duration = Duration::from_secs(2);

/// What a call hears from its signalling; effects of the user agent, as they are.
pub(crate) type CallEvents = mpsc::Receiver<Effect>;

enum Command {
    Abandon { trunk: TrunkKey, input: Input, done: oneshot::Sender<()> },
    Dial { invite: Box<Invite>, events: mpsc::Sender<Effect> },
    Input(Input),
    Probe { trunk: TrunkKey, found: oneshot::Sender<Vec<(Target, ProbeResult)>> },
}

/// The way to the user agent; clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Sip {
    commands: mpsc::Sender<Command>,
    runtime: tokio::runtime::Handle,
}

impl Sip {
    /// Places a call; what comes of it is heard from the answer. `None`: the loop is stuck or gone.
    pub(crate) fn dial(&self, invite: Box<Invite>) -> Option<CallEvents> {
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        self.commands.try_send(Command::Dial { invite, events }).ok().map(|()| heard)
    }

    /// Tells the user agent something; never lost while the loop lives.
    pub(crate) fn tell(&self, input: Input) {
        if let Err(mpsc::error::TrySendError::Full(command)) =
            self.commands.try_send(Command::Input(input))
        {
            let commands = self.commands.clone();
            self.runtime.spawn(async move { commands.send(command).await });
        }
    }

    /// Tells the user agent to take down a call of an earlier life, and waits until it has; it has
    /// to wait until the trunk's addresses are known. `false`: the loop is gone.
    pub(crate) async fn abandon(&self, trunk: TrunkKey, input: Input) -> bool {
        let (done, taken_down) = oneshot::channel();
        let command = Command::Abandon { trunk, input, done };
        self.commands.send(command).await.is_ok() && taken_down.await.is_ok()
    }

    /// Asks every address of a trunk whether it lives; waits for all answers.
    pub(crate) async fn probe(&self, trunk: TrunkKey) -> Vec<(Target, ProbeResult)> {
        let (found, result) = oneshot::channel();
        if self.commands.send(Command::Probe { trunk, found }).await.is_err() {
            return Vec::new();
        }
        result.await.unwrap_or_default()
    }
}

/// What the loop is started with.
pub(crate) struct Start {
    pub(crate) clock: Clock,
    pub(crate) config: SipConfig,
    pub(crate) health: HealthBoard,
    pub(crate) identity_key: [u8; 32],
    pub(crate) seed: u64,
    pub(crate) stop: CancellationToken,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) trunks: Vec<TrunkConfig>,
}

/// The sockets, opened before anything runs, so that a taken port is told at once.
pub(crate) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Opens UDP and TCP at the same address; with port 0, at one that is free for both.
    pub(crate) fn open(bind: SocketAddr) -> io::Result<Self> {
        let mut opened = Self::open_both(bind);
        for _ in 1..FREE_PORT_TRIES {
            match &opened {
                // The port that UDP was given may be taken in TCP.
                Err(error) if bind.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                    opened = Self::open_both(bind);
                }
                _ => break,
            }
        }
        opened
    }

    fn open_both(bind: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.set_nonblocking(true)?;
        socket.bind(&bind.into())?;
        let udp = UdpSocket::from_std(socket.into())?;
        let bind = udp.local_addr()?;
        let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&bind.into())?;
        socket.listen(128)?;
        Ok(Self { udp, tcp: TcpListener::from_std(socket.into())? })
    }

    /// Where they are open.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }
}

/// Starts the loop; the handle ends when `stop` was asked for and registrations are taken back.
pub(crate) fn start(
    sockets: Sockets,
    start: Start,
) -> io::Result<(Sip, tokio::task::JoinHandle<()>)> {
    let (commands, asked) = mpsc::channel(COMMANDS_MAX);
    let runtime = tokio::runtime::Handle::current();
    let port = sockets.address()?.port();
    let (heard, hear) = mpsc::channel(1_024);
    let (resolved, resolve) = mpsc::channel(16);
    let at = HostPort { host: start.config.advertise.into(), port };
    let session = start.config.session_expires;
    let config = UaConfig {
        contacts: Contacts { udp: Some(at.clone()), tcp: Some(at.clone()), tls: Some(at) },
        identity_key: start.identity_key,
        limits: Limits::default(),
        session_expires_s: session.and_then(|time| u32::try_from(time.as_secs()).ok()),
        user_agent: Some("Outdial".into()),
    };
    let mut sip_loop = Loop {
        ua: Ua::new(config, start.seed),
        connections: Connections::new(start.tls, heard),
        calls: HashMap::new(),
        probes: HashMap::new(),
        abandoned: HashMap::new(),
        sources: HashSet::new(),
        alive: HashMap::new(),
        runtime: runtime.clone(),
        udp: Arc::new(sockets.udp),
        tcp: sockets.tcp,
        clock: start.clock,
        health: start.health,
        trunks: start.trunks.clone(),
    };
    runtime.spawn(look_up(start.trunks, resolved, start.stop.clone()));
    let stop = start.stop;
    let task = runtime.spawn(async move { sip_loop.run(asked, hear, resolve, stop).await });
    Ok((Sip { commands, runtime }, task))
}

/// Looks the trunks' hosts up, now and again.
async fn look_up(
    trunks: Vec<TrunkConfig>,
    found: mpsc::Sender<(TrunkKey, Vec<Target>)>,
    stop: CancellationToken,
) {
    let lookup = Lookup::new();
    loop {
        for trunk in &trunks {
            let targets = lookup.targets(&trunk.hosts, trunk.transport).await;
            if found.send((TrunkKey(trunk.id.0), targets)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PROBE_PERIOD) => {}
        }
    }
}

struct Loop {
    ua: Ua,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    connections: Connections,
    calls: HashMap<CallKey, mpsc::Sender<Effect>>,
    probes: HashMap<TrunkKey, Asked>,
    /// Calls to take down of trunks whose addresses are not known yet.
    abandoned: HashMap<TrunkKey, Vec<(Input, oneshot::Sender<()>)>>,
    /// Addresses that may open connections to us.
    sources: HashSet<IpAddr>,
    /// Which addresses of which trunk answered last.
    alive: HashMap<TrunkKey, HashMap<SocketAddr, bool>>,
    clock: Clock,
    health: HealthBoard,
    runtime: tokio::runtime::Handle,
    trunks: Vec<TrunkConfig>,
}

/// Who waits for a probe, and what has been found so far.
#[derive(Default)]
struct Asked {
    waiting: Vec<oneshot::Sender<Vec<(Target, ProbeResult)>>>,
    found: Vec<(Target, ProbeResult)>,
    targets: usize,
}

impl Loop {
    async fn run(
        &mut self,
        mut asked: mpsc::Receiver<Command>,
        mut hear: mpsc::Receiver<Heard>,
        mut resolve: mpsc::Receiver<(TrunkKey, Vec<Target>)>,
        stop: CancellationToken,
    ) {
        let udp = Arc::clone(&self.udp);
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        let mut leave_at = None;
        loop {
            self.drain();
            let due = self.ua.deadline();
            let wait = due.map(|(at, _)| at.saturating_duration_since(self.clock.instant()));
            tokio::select! {
                Some(command) = asked.recv() => self.command(command),
                Ok(()) = udp.readable() => self.read(&mut datagram),
                Some(heard) = hear.recv() => self.hear(heard),
                Ok((stream, peer)) = self.tcp.accept() => {
                    self.connections.accept(stream, peer, &self.sources);
                }
                Some((trunk, targets)) = resolve.recv() => self.resolved(trunk, targets),
                () = sleep(wait) => {
                    if let Some((_, timer)) = due {
                        self.ua.handle(self.clock.instant(), Input::Expired(timer));
                    }
                }
                () = stop.cancelled(), if leave_at.is_none() => leave_at = Some(self.leave()),
                () = until(leave_at) => return,
            }
        }
    }

    /// Takes registrations back; until when to wait for their confirmation.
    fn leave(&mut self) -> tokio::time::Instant {
        let mut wait = Duration::ZERO;
        for trunk in self.trunks.iter().filter(|trunk| trunk.register) {
            let trunk = TrunkKey(trunk.id.0);
            self.ua.handle(self.clock.instant(), Input::Unregister { trunk });
            wait = UNREGISTER_TIME_MAX;
        }
        tokio::time::Instant::from_std(self.clock.instant()) + wait
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Abandon { trunk, input, done } => {
                self.abandoned.entry(trunk).or_default().push((input, done));
                if self.alive.contains_key(&trunk) {
                    self.take_down(trunk);
                }
            }
            Command::Dial { invite, events } => {
                self.calls.insert(invite.call, events);
                self.handle(Input::Invite(invite));
            }
            Command::Input(input) => self.handle(input),
            Command::Probe { trunk, found } => {
                let asked = self.probes.entry(trunk).or_default();
                asked.waiting.push(found);
                asked.targets = self.alive.get(&trunk).map_or(0, HashMap::len);
                if asked.targets == 0 {
                    self.probes.remove(&trunk);
                } else {
                    self.handle(Input::Probe { trunk });
                }
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.ua.handle(self.clock.instant(), input);
        self.drain();
    }

    fn read(&mut self, datagram: &mut [u8]) {
        for _ in 0..READ_BATCH {
            match self.udp.try_recv_from(datagram) {
                Ok((length, peer)) => {
                    let flow = Flow { transport: Transport::Udp, peer };
                    let data = Bytes::copy_from_slice(&datagram[..length]);
                    self.handle(Input::Received { flow, data });
                }
                // Errors here belong to datagrams sent earlier; their calls time out or are told
                // by probes. The socket itself stays good.
                Err(_) => return,
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Frame { flow, frame } => self.handle(Input::Framed { flow, frame }),
            Heard::Gone { flow, nth, made } => {
                if self.connections.forget(flow, nth) {
                    let failure = if made { FlowFailure::Closed } else { FlowFailure::Unreachable };
                    self.handle(Input::FlowFailed { flow, failure });
                }
            }
        }
    }

    fn resolved(&mut self, key: TrunkKey, targets: Vec<Target>) {
        let Some(trunk) = self.trunks.iter().find(|trunk| trunk.id.0 == key.0).cloned() else {
            return;
        };
        let targets = self.within_reach(targets);
        // A name that cannot be found for a moment does not take a working trunk away.
        if !targets.is_empty() {
            let first = !self.alive.contains_key(&key);
            let known = self.alive.entry(key).or_default();
            known.retain(|peer, _| targets.iter().any(|target| target.flow.peer == *peer));
            for target in &targets {
                known.entry(target.flow.peer).or_insert(false);
                self.sources.insert(target.flow.peer.ip());
            }
            let credentials = trunk.user.clone().map(|(username, password)| Credentials {
                username,
                password,
                realm: trunk.realm.clone(),
            });
            self.handle(Input::Trunk { trunk: key, targets, sources: Vec::new(), credentials });
            if first && trunk.register {
                self.register(&trunk);
            }
            self.take_down(key);
            self.show(key);
        }
        self.handle(Input::Probe { trunk: key });
    }

    /// The addresses that our socket can send to: a name with addresses of both families has some
    /// that one bound to the other never reaches.
    fn within_reach(&self, mut targets: Vec<Target>) -> Vec<Target> {
        let is_v4 = self.udp.local_addr().is_ok_and(|own| own.is_ipv4());
        targets.retain(|Target { flow, .. }| {
            let reaches = flow.transport != Transport::Udp || flow.peer.is_ipv4() == is_v4;
            if !reaches {
                tracing::debug!(%flow, "trunk address of the other family left out");
            }
            reaches
        });
        targets
    }

    fn take_down(&mut self, trunk: TrunkKey) {
        for (input, done) in self.abandoned.remove(&trunk).unwrap_or_default() {
            self.handle(input);
            // Who asked may be gone; it is done all the same.
            done.send(()).ok();
        }
    }

    fn register(&mut self, trunk: &TrunkConfig) {
        let user = trunk.user.as_ref().map_or("", |(user, _)| user);
        match address_of(trunk, user) {
            Ok(aor) => {
                let trunk = TrunkKey(trunk.id.0);
                self.handle(Input::Register { trunk, aor, expires_s: REGISTER_EXPIRES_S });
            }
            Err(error) => tracing::error!(trunk = %trunk.name, %error, "cannot register"),
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.ua.poll() {
            match effect {
                Effect::Send { flow, server_name, data } => {
                    self.send(flow, server_name.as_deref(), data);
                }
                Effect::Registered { trunk, result } => self.registered(trunk, &result),
                Effect::Probed { trunk, target, result } => self.probed(trunk, target, result),
                Effect::Orphan { attempt } => {
                    tracing::warn!(call.id = attempt, "answered after a restart, hung up");
                }
                Effect::Sent { .. } => {}
                Effect::Acked { call, .. }
                | Effect::Answered { call, .. }
                | Effect::Offered { call, .. }
                | Effect::Progress { call, .. }
                | Effect::Referred { call, .. }
                | Effect::Refreshed { call, .. }
                | Effect::Withdrawn { call } => self.tell(call, effect),
                Effect::Ended { call, ref end } => {
                    log_end(call, end);
                    self.tell(call, effect);
                    self.calls.remove(&call);
                }
            }
        }
    }

    /// Tells a call. What it waits for may not be lost, and waits for room.
    fn tell(&mut self, call: CallKey, effect: Effect) {
        let Some(events) = self.calls.get(&call) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(effect)) = events.try_send(effect)
            && is_needed(&effect)
        {
            let events = events.clone();
            self.runtime.spawn(async move { events.send(effect).await });
        }
    }

    fn send(&mut self, flow: Flow, server_name: Option<&str>, data: Bytes) {
        if flow.transport == Transport::Udp {
            // A full socket loses the datagram as the network would: SIP sends it again.
            if let Err(error) = self.udp.try_send_to(&data, flow.peer) {
                tracing::debug!(%flow, %error, "datagram not sent");
            }
        } else if !self.connections.send(flow, server_name, data) {
            let failure = FlowFailure::Unreachable;
            self.ua.handle(self.clock.instant(), Input::FlowFailed { flow, failure });
        }
    }

    fn registered(&mut self, key: TrunkKey, result: &RegisterResult) {
        let Some(trunk) = self.trunks.iter().find(|trunk| trunk.id.0 == key.0) else {
            return;
        };
        let holds = matches!(result, RegisterResult::Registered { .. });
        if holds {
            tracing::info!(trunk = %trunk.name, ?result, "registered");
        } else {
            tracing::warn!(trunk = %trunk.name, ?result, "not registered");
        }
        self.health.trunk(&trunk.name, |health| health.registered = Some(holds));
    }

    fn probed(&mut self, key: TrunkKey, target: Target, result: ProbeResult) {
        let is_alive = matches!(result, ProbeResult::Alive { .. });
        let known = self.alive.entry(key).or_default();
        if known.insert(target.flow.peer, is_alive) != Some(is_alive) {
            tracing::info!(trunk.id = key.0, target = %target.flow, is_alive, "trunk address");
        }
        self.show(key);
        if let Some(asked) = self.probes.get_mut(&key) {
            asked.found.push((target, result));
            if asked.found.len() >= asked.targets
                && let Some(asked) = self.probes.remove(&key)
            {
                for waiting in asked.waiting {
                    waiting.send(asked.found.clone()).ok();
                }
            }
        }
    }

    fn show(&self, key: TrunkKey) {
        let Some(trunk) = self.trunks.iter().find(|trunk| trunk.id.0 == key.0) else {
            return;
        };
        let known = self.alive.get(&key);
        self.health.trunk(&trunk.name, |health| {
            health.addresses = known.map_or(0, HashMap::len);
            let alive = known.map_or(0, |known| known.values().filter(|alive| **alive).count());
            health.is_silent = alive == 0 && (health.is_silent || health.addresses_alive > 0);
            health.addresses_alive = alive;
            if trunk.register {
                health.registered.get_or_insert(false);
            }
        });
    }
}

/// A trunk's address of record, or any user's address at its domain.
pub(crate) fn address_of(trunk: &TrunkConfig, user: &str) -> Result<Uri, String> {
    let host = trunk.domain.as_ref().or(trunk.hosts.first()).map_or("", String::as_str);
    format!("sip:{user}@{host}").parse().map_err(|error| format!("{error}"))
}

/// Whether a call would wait for ever without this.
const fn is_needed(effect: &Effect) -> bool {
    matches!(effect, Effect::Answered { .. } | Effect::Ended { .. } | Effect::Referred { .. })
}

fn log_end(call: CallKey, end: &End) {
    tracing::debug!(
        call.id = call.0, by = ?end.by, sip.status = end.status, q850 = end.q850,
        text = %end.text, "leg ended"
    );
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
