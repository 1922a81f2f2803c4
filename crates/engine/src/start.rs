//! Starts every loop there is, in one screenful, and ends them in order.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::attempt::Attempt;
use domain::contact::Contact;
use domain::ids::TrunkId;
use domain::time::Timestamp;
use domain::trunk::TrunkGate;
use facade::zone::Zone;
use media::classify::Settings;
use media::sound::{Encoded, Hint};
use proto::rtp::Codec;
use proto::sip::flow::Target;
use proto::sip::ua::{ProbeResult, TrunkKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use store::{Reader, Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::answered::AnsweredCalls;
use crate::call_task::CallParts;
use crate::calls::LiveCalls;
use crate::clock::{Clock, thread_time};
use crate::config::{Config, FetchConfig, RtpConfig};
use crate::control::{Control, Parts};
use crate::dialer::Dialer;
use crate::evaluations::Evaluations;
use crate::fetch::Fetcher;
use crate::files::{AudioFiles, CacheConfig, SoundCache, TapeDir};
use crate::health::HealthBoard;
use crate::http::{HttpClient, HttpPolicy, tls_config};
use crate::journal::Journal;
use crate::node::{Membership, Node};
use crate::peers::Peers;
use crate::policies::Policies;
use crate::reaper::Reaper;
use crate::recognizer::{self, PocketSphinx, Recognizer, RecognizerError};
use crate::recovery::{RecoveryError, recover};
use crate::rooms::Rooms;
use crate::rtp_io::law::law;
use crate::rtp_io::{MediaConfig, MediaEngine, MediaError};
use crate::signing::KeyMaker;
use crate::sip_io::{self, Sip, Sockets};
use crate::slots;
use crate::speech::{Adapter, EspeakNg, Speech, SpeechConfig};
use crate::switch::native::NativeSwitch;
use crate::wake::Wakes;
use crate::webhooks::Webhooks;

/// Answers of start pages kept in memory.
const PAGE_CACHE_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Longest wait at the end for deliveries and registrations under way.
const LOOP_END_MAX: Duration = Duration::from_secs(20);

/// A running engine.
pub struct Engine {
    control: Control,
    sip_address: SocketAddr,
    draining: Arc<Parts>,
    /// Stops the dialer; the rest goes on until the last call has ended.
    stop_dialing: CancellationToken,
    stop: CancellationToken,
    dialer: JoinHandle<()>,
    loops: Vec<JoinHandle<()>>,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or a file. The operator repairs it.
    #[error("{what}")]
    Files {
        /// What was wrong.
        what: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A certificate, a network or a resolver. The operator repairs it.
    #[error("{what}")]
    Http {
        /// What was wrong.
        what: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No ports for audio, or no thread. The operator repairs it.
    #[error("cannot start audio")]
    Media(#[from] MediaError),
    /// A port is taken, or an address is not ours. The operator repairs it.
    #[error("cannot open {what}")]
    Port {
        /// Which.
        what: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What the process before left cannot be settled.
    #[error("cannot settle the calls of the process before")]
    Recovery(#[from] RecoveryError),
    /// The store is away.
    #[error("store is unavailable")]
    Store(#[from] StoreError),
    /// There is no such time zone. The operator repairs it.
    #[error("there is no time zone {0:?}, use an IANA name")]
    Zone(String),
}

/// Starts the engine: settles the past, opens the sockets, starts the loops.
pub async fn start(config: Config, store: Store, reader: Reader) -> Result<Engine, StartError> {
    let (clock, health) = (Clock::new(), HealthBoard::default());
    let identity_key = store.identity_key(config.secret).await?;
    let sockets = Sockets::open(config.sip.bind)
        .map_err(|source| port(format!("sip.bind {}", config.sip.bind), source))?;
    let sip_address = sockets.address().map_err(|source| port("the SIP port".into(), source))?;
    let journal = config.data_dir.join("outdial.journal");
    let past = recover(&store, &journal, clock.now(), config.call_limits.ring_time_max).await?;

    let (stop, stop_dialing) = (CancellationToken::new(), CancellationToken::new());
    let sip_start = sip_start(&config, &clock, &health, identity_key, &stop)?;
    let (sip, sip_loop) =
        sip_io::start(sockets, sip_start).map_err(|source| port("the SIP port".into(), source))?;
    let media = MediaEngine::start(media_config(&config), clock.clone())?;
    let (http, cache) = (http_client(&config.fetch, &clock)?, sound_cache(&config)?);
    let (speech, recognizer, classify) = speech_and_hearing(&config, cache.clone(), &health).await;
    let switch = switch(&config, (sip, media), past.journal, &past.in_doubt, identity_key)?;

    let (wakes, calls) = (Wakes::default(), LiveCalls::default());
    let policies = Policies::read(&config.dialing, reader.clone()).await?;
    let ((desk, asked), tapes) = (slots::desk(), tapes(&config)?);
    let parts = Arc::new(CallParts {
        classify,
        clock: clock.clone(),
        desk,
        evaluations: Evaluations::default(),
        fetcher: Fetcher::new(http.clone(), clock.clone(), PAGE_CACHE_BYTES_MAX),
        limits: config.call_limits,
        files: AudioFiles::new(cache),
        policies: policies.clone(),
        reader: reader.clone(),
        recognizer,
        rooms: Rooms::with_music(hold_music(&config)?),
        speech,
        script_limits: script_limits(config.pages_max),
        seed: config.seed("scripts"),
        store: store.clone(),
        switch,
        tapes: tapes.clone(),
        calls: calls.clone(),
    });
    let gates = (gates(&config, &past.held), past.held);
    let said = (policies.clone(), config.dialing.sharing);
    let (node, membership) = node(&config, &clock, (&store, &health), &calls, &wakes);
    let (dialed, woken, shown) = (calls.clone(), wakes.clone(), health.clone());
    let dialer = Dialer::new(dialed, gates, shown, membership, parts, said, woken);
    let runtime = tokio::runtime::Handle::current();
    let dialer = runtime.spawn(dialer.run(asked, stop_dialing.clone(), config.drain_time_max));
    let (keys, peers) = (KeyMaker::new(config.secret), peers(&config, identity_key, &store)?);
    let webhooks = webhooks(&config, (&clock, &store), (&http, &keys), &wakes)?;
    let webhooks = runtime.spawn(webhooks.run(stop.clone()));
    let reaper = reaper(&config, &clock, &store, &policies, &tapes).run(stop.clone());
    let (node, reaper) = (runtime.spawn(node.run(stop.clone())), runtime.spawn(reaper));
    let loops = vec![sip_loop, node, webhooks, reaper];

    let parts = Arc::new(Parts {
        calls,
        clock,
        draining: AtomicBool::new(false),
        health,
        http,
        keys,
        peers,
        policies,
        reader,
        store,
        tapes,
        trunks: config.trunks.clone(),
        wakes,
    });
    let control = Control::new(Arc::clone(&parts));
    Ok(Engine { control, sip_address, draining: parts, stop_dialing, stop, dialer, loops })
}

impl Engine {
    /// The engine's verbs.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Where SIP is received.
    pub fn sip_address(&self) -> SocketAddr {
        self.sip_address
    }

    /// Ends it: no new calls, live ones end, what is owed is tried once more, then the loops stop.
    pub async fn drain(self) {
        self.draining.draining.store(true, Ordering::Release);
        self.stop_dialing.cancel();
        if let Err(error) = self.dialer.await {
            tracing::error!(%error, "the dialer broke");
        }
        self.stop.cancel();
        for task in self.loops {
            // Nothing is lost by not waiting: what is owed is on disk.
            match tokio::time::timeout(LOOP_END_MAX, task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a loop broke"),
                Err(_) => tracing::warn!("a loop did not end in time, not waiting for it"),
            }
        }
    }
}

/// What is heard in conferences where nobody is to be heard.
fn hold_music(config: &Config) -> Result<Option<Encoded>, StartError> {
    let Some(file) = &config.hold_music else {
        return Ok(None);
    };
    let failed =
        |source| StartError::Files { what: format!("hold music {}", file.display()), source };
    let bytes = std::fs::read(file).map_err(failed)?;
    let sound = crate::files::encode(&bytes, Hint::default(), Codec::Pcmu);
    let sound = sound.map_err(|error| failed(io::Error::other(error)))?;
    Ok(Some(Encoded::new(law(Codec::Pcmu), sound.into())))
}

/// Asks every trunk whether it answers, without dialing; for `doctor`.
pub async fn probe_trunks(
    config: Config,
) -> Result<Vec<(String, Result<String, String>)>, StartError> {
    let sockets = Sockets::open(config.sip.bind)
        .map_err(|source| port(format!("sip.bind {}", config.sip.bind), source))?;
    let stop = CancellationToken::new();
    let mut trunks = config.trunks.clone();
    // Who only asks does not register: that would take the calls of a running server.
    trunks.iter_mut().for_each(|trunk| trunk.register = false);
    let config = Config { trunks, ..config };
    let (clock, health) = (Clock::new(), HealthBoard::default());
    let start = sip_start(&config, &clock, &health, config.secret, &stop)?;
    let (sip, task) =
        sip_io::start(sockets, start).map_err(|source| port("the SIP port".into(), source))?;
    let mut found = Vec::new();
    for trunk in &config.trunks {
        found.push((trunk.name.clone(), told(&probe(&sip, trunk.id).await)));
    }
    stop.cancel();
    task.await.ok();
    Ok(found)
}

fn sip_start(
    config: &Config,
    clock: &Clock,
    health: &HealthBoard,
    identity_key: [u8; 32],
    stop: &CancellationToken,
) -> Result<sip_io::Start, StartError> {
    Ok(sip_io::Start {
        clock: clock.clone(),
        config: config.sip.clone(),
        health: health.clone(),
        identity_key,
        seed: config.seed("sip"),
        stop: stop.clone(),
        tls: Arc::new(tls(config)?),
        trunks: config.trunks.clone(),
    })
}

async fn probe(sip: &Sip, trunk: TrunkId) -> Vec<(Target, ProbeResult)> {
    sip.probe(TrunkKey(trunk.0)).await
}

/// What a probe found, for people: good if one address answers.
fn told(found: &[(Target, ProbeResult)]) -> Result<String, String> {
    if found.is_empty() {
        return Err("its hosts cannot be found: check the names and DNS".into());
    }
    let lines: Vec<String> = found
        .iter()
        .map(|(target, result)| match result {
            ProbeResult::Alive { status, round_trip } => {
                format!("{} answers {status} after {} ms", target.flow, round_trip.as_millis())
            }
            ProbeResult::Down { status: Some(status) } => {
                format!("{} answers {status}: it takes no calls", target.flow)
            }
            ProbeResult::Down { status: None } => {
                format!("{} does not answer OPTIONS: check address and firewall", target.flow)
            }
        })
        .collect();
    let is_alive = |result: &ProbeResult| matches!(result, ProbeResult::Alive { .. });
    let lines = lines.join("; ");
    if found.iter().any(|(_, result)| is_alive(result)) { Ok(lines) } else { Err(lines) }
}

/// The embedded engine, which ends what the process before has left at the far ends.
fn switch(
    config: &Config,
    (sip, media): (Sip, MediaEngine),
    journal: Journal,
    in_doubt: &[(Attempt, Contact)],
    identity_key: [u8; 32],
) -> Result<NativeSwitch, StartError> {
    let open = |name: &str| {
        let path = config.data_dir.join(name);
        let what = format!("cannot use {}", path.display());
        AnsweredCalls::open(&path).map_err(|source| StartError::Files { what, source })
    };
    let (answered, kept) = open("outdial.answered")?;
    let (legs, kept_legs) = open("outdial.legs")?;
    let (trunks, host) = (config.trunks.clone(), config.sip.advertise);
    let switch =
        NativeSwitch::new(sip, media, journal, (answered, legs), trunks, identity_key, host);
    switch.take_down(&tokio::runtime::Handle::current(), in_doubt, (kept, kept_legs));
    Ok(switch)
}

/// What keeps this node's lease, and what it may use by it.
fn node(
    config: &Config,
    clock: &Clock,
    (store, health): (&Store, &HealthBoard),
    calls: &LiveCalls,
    wakes: &Wakes,
) -> (Node, Membership) {
    let membership = Membership::default();
    let node = Node {
        address: config.address.clone(),
        calls: calls.clone(),
        clock: clock.clone(),
        health: health.clone(),
        limits: config.call_limits,
        membership: membership.clone(),
        store: store.clone(),
        wakes: wakes.clone(),
    };
    (node, membership)
}

/// Speech both ways, tried out; what does not work is told, and calls go on without it.
async fn speech_and_hearing(
    config: &Config,
    cache: SoundCache,
    health: &HealthBoard,
) -> (Speech, Recognizer, Settings) {
    let speech = speech(&config.speech, cache);
    check_speech(&speech, health).await;
    let recognizer = recognizer(&config.recognition, &config.data_dir);
    let classify = classify(config.classify, &recognizer).await;
    (speech, recognizer, classify)
}

fn webhooks(
    config: &Config,
    (clock, store): (&Clock, &Store),
    (http, keys): (&HttpClient, &KeyMaker),
    wakes: &Wakes,
) -> Result<Webhooks<impl Fn() -> Timestamp + use<>>, StartError> {
    let time = clock.clone();
    Ok(Webhooks {
        http: http.clone(),
        keys: keys.clone(),
        now: move || time.now(),
        store: store.clone(),
        wake: wakes.webhooks.clone(),
        zone: zone(&config.time_zone)?,
    })
}

fn reaper(
    config: &Config,
    clock: &Clock,
    store: &Store,
    policies: &Policies,
    tapes: &TapeDir,
) -> Reaper<impl Fn() -> Timestamp + use<>, impl Fn() -> Duration + use<>> {
    let (keep, time, store) = (config.keep, clock.clone(), store.clone());
    let (policies, tapes) = (policies.clone(), tapes.clone());
    let looks_back = move || policies.looks_back();
    Reaper { keep, looks_back, now: move || time.now(), store, tapes }
}

fn gates(config: &Config, held: &[(Timestamp, TrunkId)]) -> Vec<(String, TrunkGate)> {
    let gate = |trunk: &crate::config::TrunkConfig| {
        let mut gate = TrunkGate::new(trunk.id, trunk.limits);
        for (until, _) in held.iter().filter(|(_, held)| *held == trunk.id) {
            // Started by the process before; the rate of this one is not touched by it.
            gate.start(*until - config.call_limits.ring_time_max);
        }
        (trunk.name.clone(), gate)
    };
    config.trunks.iter().map(gate).collect()
}

fn media_config(config: &Config) -> MediaConfig {
    let RtpConfig { advertise, bind, port_max, port_min, threads } = config.rtp;
    let defaults = MediaConfig::new(bind, advertise, config.seed("media"));
    MediaConfig { port_max, port_min, threads, ..defaults }
}

fn zone(name: &str) -> Result<Zone, StartError> {
    Zone::named(name).ok_or_else(|| StartError::Zone(name.to_owned()))
}

fn http_client(config: &FetchConfig, clock: &Clock) -> Result<HttpClient, StartError> {
    let wrong = |what: String, source| StartError::Http { what, source };
    let mut allowed = Vec::new();
    for network in &config.allow_private {
        let parsed = network.parse().map_err(io::Error::other);
        allowed.push(
            parsed.map_err(|source| wrong(format!("fetch.allow_private {network:?}"), source))?,
        );
    }
    let policy = HttpPolicy {
        allowed,
        extra_roots: certificates(config.ca_file.as_deref())?,
        own: config.own_addresses.clone(),
        ..HttpPolicy::default()
    };
    HttpClient::new(policy, clock.clone())
        .map_err(|source| wrong("cannot set up outgoing HTTP".into(), source))
}

/// The other servers; those behind TLS are trusted by the authorities that pages are.
fn peers(config: &Config, shared: [u8; 32], store: &Store) -> Result<Peers, StartError> {
    let roots = certificates(config.fetch.ca_file.as_deref())?;
    Peers::new(shared, store.node(), &roots).map_err(|source| StartError::Http {
        what: "cannot set up requests to other servers".into(),
        source,
    })
}

fn tls(config: &Config) -> Result<rustls::ClientConfig, StartError> {
    let roots = certificates(config.sip.ca_file.as_deref())?;
    tls_config(&roots, true).map_err(|error| StartError::Http {
        what: "cannot set up TLS".into(),
        source: io::Error::other(error),
    })
}

fn certificates(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let wrong = |error: rustls_pki_types::pem::Error| StartError::Http {
        what: format!("cannot read certificates from {}", file.display()),
        source: io::Error::other(error.to_string()),
    };
    CertificateDer::pem_file_iter(file)
        .map_err(wrong)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)
}

/// What scripts may use. Their work is counted, which bounds it alike on every machine; the time
/// is for what the count does not see, builtins on texts of megabytes, and large enough that a
/// slow machine meets the count first.
fn script_limits(pages_max: u32) -> script::vxml::Limits {
    script::vxml::Limits {
        pages_max,
        call_resources_max: pages_max.saturating_mul(PAGE_RESOURCES),
        stopwatch: Some(thread_time),
        evaluation_time_max: Duration::from_secs(4),
        call_time_max: Duration::from_secs(20),
        ..script::vxml::Limits::default()
    }
}

/// Scripts, grammars and data that a page of a script fetches at most, taking all pages together.
const PAGE_RESOURCES: u32 = 5;

fn tapes(config: &Config) -> Result<TapeDir, StartError> {
    let dir = config.data_dir.join("recordings");
    let what = format!("cannot keep recordings in {}", dir.display());
    TapeDir::open(&dir).map_err(|source| StartError::Files { what, source })
}

fn sound_cache(config: &Config) -> Result<SoundCache, StartError> {
    let dir = config.data_dir.join("speech");
    let what = format!("cannot keep speech in {}", dir.display());
    let cache = CacheConfig { dir: Some(dir), ..CacheConfig::default() };
    SoundCache::open(&cache).map_err(|source| StartError::Files { what, source })
}

/// A clear word now if nothing can be spoken; scripts will be told `error.noresource`.
async fn check_speech(speech: &Speech, health: &HealthBoard) {
    if let Err(error) = speech.check().await {
        tracing::error!("texts cannot be spoken: {error}");
        health.speech(Some(error.to_string()));
    }
}

/// How who answered is told: without words where speech is not recognized, which the log says now.
/// Calls go on then, and keys still work.
async fn classify(settings: Settings, recognizer: &Recognizer) -> Settings {
    match recognizer.check().await {
        Ok(()) => return settings,
        Err(RecognizerError::Off) => {}
        Err(error) => tracing::warn!("speech is not recognized: {error}"),
    }
    Settings { words_time: Duration::ZERO, ..settings }
}

/// The recognizer that the settings name; what it writes for its processes is in `data_dir`.
pub fn recognizer(config: &crate::config::RecognitionConfig, data_dir: &Path) -> Recognizer {
    let adapter = if config.program.is_empty() {
        recognizer::Adapter::Off
    } else {
        let dir = data_dir.join("recognizer");
        // The process stands elsewhere.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        recognizer::Adapter::PocketSphinx(PocketSphinx::new(&config.program, &config.model, dir))
    };
    Recognizer::new(adapter, config.processes)
}

/// The speaker that the settings name.
pub fn speech(config: &crate::config::SpeechConfig, cache: SoundCache) -> Speech {
    let settings = SpeechConfig {
        adapter: Adapter::EspeakNg(EspeakNg::at(&config.program)),
        language: config.language.clone(),
        concurrent_max: config.processes,
        ..SpeechConfig::default()
    };
    Speech::new(settings, cache)
}

fn port(what: String, source: io::Error) -> StartError {
    StartError::Port { what, source }
}
