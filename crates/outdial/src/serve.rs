//! `outdial serve`: the server, from its settings to its last call.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use domain::call::CallLimits;
use domain::ids::TrunkId;
use domain::trunk::TrunkLimits;
use engine::config::{
    FetchConfig, KeepConfig, RecognitionConfig, RtpConfig, SipConfig, SpeechConfig, TrunkConfig,
};
use proto::sip::flow::Transport;
use store::{Store, TermsChange};
use tokio::net::TcpListener;

use crate::config::{self, Config, TrunkSettings, local_address};
use crate::process::{asked_to_end, tell_ready};

/// How to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the addresses that the server listens on into this file, as JSON, once it is up.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Runs the server until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(config: Config, options: Options) -> Result<ExitCode> {
    let listener = TcpListener::bind(config.api_listen)
        .await
        .with_context(|| format!("api.listen: cannot listen at {}", config.api_listen))?;
    let api_address = listener.local_addr()?;
    let (store, reader) = Store::open(config.store())
        .await
        .with_context(|| format!("store: cannot open {}", config.store().place()))?;
    first_account(&store, &reader).await?;

    let engine_config = engine_config(&config, api_address)?;
    let engine = engine::start(engine_config, store.clone(), reader.clone())
        .await
        .context("cannot start")?;
    let metrics = api::metrics::install();
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::task::spawn(api::serve(
        listener,
        api::Api {
            control: engine.control().clone(),
            metrics,
            secret: random()?,
            time_zone: config.time_zone.clone(),
        },
        stop.clone(),
    ));
    tracing::info!(api = %api_address, sip = %engine.sip_address(), "outdial is up");
    if let Some(file) = options.ready_file {
        let ready = serde_json::json!({
            "api": api_address.to_string(),
            "sip": engine.sip_address().to_string(),
        });
        tell_ready(&file, &ready)?;
    }

    asked_to_end().await?;
    // The API answers while calls drain, so that clients can see them end.
    engine.drain().await;
    stop.cancel();
    serving.await.context("the API broke")??;
    store.close().await.context("the store did not close")?;
    tracing::info!("outdial has ended");
    Ok(ExitCode::SUCCESS)
}

/// A store without accounts gets one, so that a first start can be used at once.
async fn first_account(store: &Store, reader: &store::Reader) -> Result<()> {
    if !reader.accounts().await?.is_empty() {
        return Ok(());
    }
    let secrets = crate::account::create(store, "admin").await?;
    // Whoever starts a server runs it.
    if let Some(account) = reader.account_by_login("admin").await? {
        let change = TermsChange { is_operator: Some(true), ..TermsChange::default() };
        store.change_account(account.id, change).await?;
    }
    eprintln!("This store is new. Its first account, shown this once:");
    eprintln!("  login    {}", secrets.login);
    eprintln!("  PIN      {}", secrets.pin);
    eprintln!("  API key  {}", secrets.api_key);
    Ok(())
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes)
}

fn engine_config(config: &Config, api: SocketAddr) -> Result<engine::config::Config> {
    // What is bound to any address must name one; a machine without a route only has loopback.
    let own = || local_address().unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    let named = |bind: std::net::IpAddr| if bind.is_unspecified() { own() } else { bind };
    let parent = config.store_path.parent().map(PathBuf::from).unwrap_or_default();
    let data_dir = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent };
    Ok(engine::config::Config {
        address: config.api_advertise.clone().map_or_else(
            || format!("http://{}", SocketAddr::new(named(api.ip()), api.port())),
            |url| url.0,
        ),
        call_limits: CallLimits {
            ring_time_max: config.ring_time_max,
            call_time_max: config.call_time_max,
        },
        classify: config.classify,
        data_dir,
        dialing: config.dialing.clone(),
        drain_time_max: config.drain_time_max,
        fetch: FetchConfig {
            allow_private: config.fetch_allow.clone(),
            ca_file: config.fetch_ca.clone(),
            own_addresses: vec![api],
        },
        hold_music: config.hold_music.clone(),
        pages_max: config.pages_max,
        keep: KeepConfig {
            answers: config.keep_answers,
            called: config.keep_called,
            events: config.keep_events,
            recordings: config.keep_recordings,
            references: config.keep_references,
            webhooks: config.keep_webhooks,
        },
        recognition: RecognitionConfig {
            model: config.recognition_model.clone(),
            processes: config.recognition_processes,
            program: config.recognition_program.clone(),
        },
        rtp: RtpConfig {
            advertise: config.rtp_advertise.unwrap_or_else(|| named(config.rtp_bind)),
            bind: config.rtp_bind,
            port_max: config.rtp_ports.1,
            port_min: config.rtp_ports.0,
            threads: config.rtp_threads,
        },
        secret: random()?,
        sip: SipConfig {
            advertise: config.sip_advertise.unwrap_or_else(|| named(config.sip_bind.ip())),
            bind: config.sip_bind,
            ca_file: config.sip_ca.clone(),
            session_expires: config.sip_session,
        },
        speech: SpeechConfig {
            language: config.speech_language.clone(),
            processes: config.speech_processes,
            program: config.speech_program.clone(),
        },
        time_zone: config.time_zone.clone(),
        trunks: config.trunks.iter().zip(1..).map(|(trunk, id)| trunk_config(trunk, id)).collect(),
    })
}

fn trunk_config(trunk: &TrunkSettings, id: i64) -> TrunkConfig {
    let credentials = trunk.credentials.as_ref();
    TrunkConfig {
        allow_loopback: trunk.allow_loopback,
        srtp: trunk.srtp,
        caller_id: trunk.caller_id.clone(),
        codecs: trunk.codecs.clone(),
        domain: trunk.domain.clone(),
        hosts: trunk.hosts.clone(),
        id: TrunkId(id),
        limits: TrunkLimits { slots: trunk.slots, calls_per_second: trunk.calls_per_second },
        name: trunk.name.clone(),
        realm: credentials.and_then(|credentials| credentials.realm.clone()),
        register: trunk.register,
        transfer: trunk.transfer,
        transport: match trunk.transport {
            config::Transport::Udp => Transport::Udp,
            config::Transport::Tcp => Transport::Tcp,
            config::Transport::Tls => Transport::Tls,
        },
        user: credentials.map(|user| (user.username.clone(), user.password.clone())),
    }
}

/// Whether texts can be spoken; says what speaks, or what is missing.
pub(crate) async fn speech_check(config: &Config) -> Result<String, String> {
    let engine = engine_config(config, config.api_listen).map_err(|error| error.to_string())?;
    let cache = engine::files::SoundCache::open(&engine::files::CacheConfig::default())
        .map_err(|error| error.to_string())?;
    let program = &config.speech_program;
    match engine::speech(&engine.speech, cache).check().await {
        Ok(()) => Ok(format!("{program} speaks {}", config.speech_language)),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether speech can be recognized; says what does it, or what is missing.
pub(crate) async fn recognition_check(config: &Config) -> Result<String, String> {
    let program = &config.recognition_program;
    if program.is_empty() {
        return Ok("switched off: callees answer by keys".to_owned());
    }
    let engine = engine_config(config, config.api_listen).map_err(|error| error.to_string())?;
    let checked = engine::recognizer(&engine.recognition, &engine.data_dir).check().await;
    match checked {
        Ok(()) => Ok(format!("{program} hears by {}", config.recognition_model)),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks every trunk's addresses by OPTIONS: for each trunk what was found, or what to repair.
pub(crate) async fn probe_trunks(config: &Config) -> Result<Vec<(String, Result<String, String>)>> {
    let mut engine = engine_config(config, config.api_listen)?;
    // The server may be running on the configured port; the answers come to any.
    engine.sip.bind.set_port(0);
    engine::probe_trunks(engine).await.context("cannot open a SIP port")
}
