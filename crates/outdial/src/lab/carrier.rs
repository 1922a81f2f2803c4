//! `outdial lab carrier`: a simulated carrier, a real SIP and RTP far end on loopback.
//!
//! Its callees do what their habits say. It keeps its own record of calls, written through to disk,
//! so that it can judge the program that calls it, even one that is killed.

mod callee;
mod habits;
mod record;
mod sounds;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use engine::clock::Clock;
use engine::rtp_io::{MediaConfig, MediaEngine, Stream};
use proto::rtp::Codec;
use proto::rtp::source::Learning;
use proto::sdp::{AddressPolicy, Negotiation, Privacy, Settings};
use proto::sip::message::{Message, Method, Request, Response};
use proto::sip::parse::parse_datagram;
use proto::sip::uri::Host;
use script::step::PlayId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use self::callee::{Callee, Effect, Identity, Input};
pub(crate) use self::habits::{Habits, Kind};
use self::record::{Entry, Record};
use self::sounds::Sounds;
use crate::process::{asked_to_end, tell_ready};

/// Bytes that the kernel keeps for us.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1_024 * 1_024;
/// Datagrams read before timers get their turn.
const READ_BATCH: usize = 64;
/// Calls at once; beyond it new ones are refused with 503.
const CALLS_MAX: usize = 10_000;

/// Where it is, and who its callees are.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address and port of SIP over UDP.
    #[arg(long, default_value = "127.0.0.1:5070", value_name = "ADDRESS")]
    bind: SocketAddr,
    /// File with the callees' habits; without it everybody is a person.
    #[arg(long, value_name = "FILE")]
    habits: Option<PathBuf>,
    /// Chance of the callees' habits and pace; overrules the file's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write each call's events into this file, as JSON lines, synced to disk.
    #[arg(long, value_name = "FILE")]
    calls: Option<PathBuf>,
    /// Write the address into this file, as JSON, once it is up.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// First and last port of audio.
    #[arg(long, value_names = ["MIN", "MAX"], num_args = 2, default_values_t = [40_000, 59_999])]
    rtp_ports: Vec<u16>,
}

/// Runs it until SIGTERM or SIGINT.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let habits = match &options.habits {
        Some(file) => Habits::load(file, options.seed)?,
        None => Habits::everybody(Kind::Person),
    };
    let socket = open(options.bind)?;
    let address = socket.local_addr()?;
    let clock = Clock::new();
    let mut media =
        MediaConfig::new(address.ip(), address.ip(), u64::from_le_bytes(crate::serve::random()?));
    (media.port_min, media.port_max) = (options.rtp_ports[0], options.rtp_ports[1]);
    let (told, mut tells) = tokio::sync::mpsc::channel(1_024);
    let mut carrier = Carrier {
        address,
        calls: HashMap::new(),
        clock: clock.clone(),
        habits,
        media: MediaEngine::start(media, clock.clone()).context("no audio")?,
        nth: 0,
        record: Record::open(options.calls.as_deref())?,
        socket: Arc::new(socket),
        sounds: Sounds::make().await,
        told,
    };
    if let Some(file) = &options.ready_file {
        tell_ready(file, &serde_json::json!({ "sip": address.to_string() }))?;
    }
    tracing::info!(sip = %address, "the carrier is up");
    let mut ending = pin!(asked_to_end());
    let socket = Arc::clone(&carrier.socket);
    let mut datagram = vec![0; 65_535];
    loop {
        let due = carrier.calls.values().filter_map(|call| call.callee.deadline()).min();
        let wait = due.map(|due| due.saturating_duration_since(clock.instant()));
        tokio::select! {
            Ok(()) = socket.readable() => carrier.read(&mut datagram),
            Some(entry) = tells.recv() => carrier.record.write(&entry),
            () = sleep(wait) => carrier.expire(),
            asked = &mut ending => break asked?,
        }
    }
    carrier.record.finish();
    Ok(ExitCode::SUCCESS)
}

fn open(bind: SocketAddr) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into()).with_context(|| format!("cannot listen at {bind}"))?;
    Ok(UdpSocket::from_std(socket.into())?)
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

struct Carrier {
    address: SocketAddr,
    calls: HashMap<String, Call>,
    clock: Clock,
    habits: Habits,
    media: MediaEngine,
    nth: u64,
    record: Record,
    socket: Arc<UdpSocket>,
    sounds: Sounds,
    /// What streams tell of calls.
    told: tokio::sync::mpsc::Sender<Entry>,
}

/// One call and its audio.
struct Call {
    callee: Callee,
    kind: Kind,
    number: String,
    peer: SocketAddr,
    /// Commands to the task that owns the stream; dropped, the stream ends.
    sound: Option<tokio::sync::mpsc::Sender<SoundCommand>>,
}

enum SoundCommand {
    Play(callee::Sound),
    PlayFile(PathBuf),
    Press(String),
}

impl Carrier {
    fn read(&mut self, datagram: &mut [u8]) {
        for _ in 0..READ_BATCH {
            let Ok((length, peer)) = self.socket.try_recv_from(datagram) else {
                return;
            };
            match parse_datagram(&datagram[..length]) {
                Ok(Message::Request(mut request)) => {
                    request.headers.stamp_via(peer).ok();
                    self.asked(peer, Box::new(request));
                }
                Ok(Message::Response(response)) => self.answered(&response),
                Err(error) => tracing::debug!(%peer, %error, "not SIP"),
            }
        }
    }

    fn asked(&mut self, peer: SocketAddr, request: Box<Request>) {
        let Ok(call_id) = request.headers.call_id().map(str::to_owned) else {
            return;
        };
        if self.calls.contains_key(&call_id) {
            return self.feed(&call_id, Input::Request(request));
        }
        match request.method {
            Method::Invite => self.invited(peer, call_id, request),
            Method::Ack => {}
            Method::Options | Method::Register => self.reply(peer, &request, 200, "OK"),
            Method::Bye | Method::Cancel => {
                self.reply(peer, &request, 481, "Call/Transaction Does Not Exist");
            }
            _ => self.reply(peer, &request, 405, "Method Not Allowed"),
        }
    }

    fn invited(&mut self, peer: SocketAddr, call_id: String, invite: Box<Request>) {
        if self.calls.len() >= CALLS_MAX {
            return self.reply(peer, &invite, 503, "Service Unavailable");
        }
        let number = invite.uri.user().unwrap_or_default().trim_start_matches('+').to_owned();
        let habit = self.habits.next(&number);
        let kind = habit.kind;
        self.nth += 1;
        let nth = self.nth;
        let (answer, sound) = match self.open_audio(&invite, &call_id, &number, kind) {
            Ok(Some((answer, sound))) => (Some(answer), Some(sound)),
            Ok(None) => (None, None),
            Err(error) => {
                tracing::warn!(number, "no audio: {error:#}");
                return self.reply(peer, &invite, 488, "Not Acceptable Here");
            }
        };
        let identity = Identity {
            to_tag: format!("callee-{nth}"),
            branch: format!("z9hG4bK-carrier-{nth}"),
            host: Host::from(self.address.ip()),
            port: self.address.port(),
        };
        let now = self.clock.instant();
        let callee = Callee::new(now, invite, habit, identity, answer);
        self.calls.insert(call_id.clone(), Call { callee, kind, number, peer, sound });
        self.drain(&call_id);
    }

    /// Answers the offer with a stream of our own, for callees that are heard.
    fn open_audio(
        &self,
        invite: &Request,
        call_id: &str,
        number: &str,
        kind: Kind,
    ) -> Result<Option<(Bytes, tokio::sync::mpsc::Sender<SoundCommand>)>> {
        if kind.refusal().is_some() && kind != Kind::Sit || kind == Kind::NoAnswer {
            return Ok(None);
        }
        let mut stream = self.media.open()?;
        let mut negotiation = Negotiation::new(Settings {
            local: stream.local_rtp(),
            session_id: self.nth,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            policy: AddressPolicy::LoopbackAllowed,
            privacy: Privacy::Plain,
        });
        let (answer, agreed) = negotiation.answer(&invite.body)?;
        stream.connect(agreed.terms(Learning::FirstPackets));
        let (commands, receiver) = tokio::sync::mpsc::channel(16);
        let call = CallName { call_id: call_id.to_owned(), number: number.to_owned(), kind };
        tokio::task::spawn(sound(
            stream,
            receiver,
            self.sounds.clone(),
            call,
            self.clock.clone(),
            self.told.clone(),
        ));
        Ok(Some((answer, commands)))
    }

    fn answered(&mut self, response: &Response) {
        let is_final = response.status >= 200;
        let is_bye = matches!(response.headers.cseq(), Ok((_, Method::Bye)));
        if let Ok(call_id) = response.headers.call_id().map(str::to_owned)
            && is_final
            && is_bye
        {
            self.feed(&call_id, Input::Answered);
        }
    }

    fn expire(&mut self) {
        let now = self.clock.instant();
        let is_due = |call: &Call| call.callee.deadline().is_some_and(|due: Instant| due <= now);
        let due: Vec<String> =
            self.calls.iter().filter(|(_, call)| is_due(call)).map(|(id, _)| id.clone()).collect();
        for call_id in due {
            self.feed(&call_id, Input::Expired);
        }
    }

    fn feed(&mut self, call_id: &str, input: Input) {
        if let Some(call) = self.calls.get_mut(call_id) {
            call.callee.handle(self.clock.instant(), input);
            self.drain(call_id);
        }
    }

    fn drain(&mut self, call_id: &str) {
        let Some(call) = self.calls.get_mut(call_id) else {
            return;
        };
        let mut is_over = false;
        while let Some(effect) = call.callee.poll() {
            match effect {
                Effect::Log(event) => self.record.write(&Entry {
                    at_ms: self.clock.now().as_millis(),
                    event,
                    number: call.number.clone(),
                    kind: call.kind.name(),
                    call_id: call_id.to_owned(),
                    detail: String::new(),
                }),
                Effect::Over => is_over = true,
                Effect::Play(sound) => tell(call.sound.as_ref(), SoundCommand::Play(sound)),
                Effect::PlayFile(file) => tell(call.sound.as_ref(), SoundCommand::PlayFile(file)),
                Effect::Press(keys) => tell(call.sound.as_ref(), SoundCommand::Press(keys)),
                Effect::Send(data) => send(&self.socket, call.peer, &data),
                Effect::Silence => call.sound = None,
            }
        }
        if is_over {
            self.calls.remove(call_id);
        }
    }

    fn reply(&self, peer: SocketAddr, request: &Request, status: u16, reason: &str) {
        let response = Response::to_request(request, status, reason, Some("carrier"));
        send(&self.socket, peer, &response.to_bytes());
    }
}

fn tell(sound: Option<&tokio::sync::mpsc::Sender<SoundCommand>>, command: SoundCommand) {
    if let Some(sound) = sound {
        sound.try_send(command).ok();
    }
}

/// A datagram that the kernel does not take is lost, as datagrams are.
fn send(socket: &UdpSocket, peer: SocketAddr, data: &[u8]) {
    if let Err(error) = socket.try_send_to(data, peer) {
        tracing::debug!(%peer, %error, "not sent");
    }
}

/// What a call's entries in the record have in common.
struct CallName {
    call_id: String,
    number: String,
    kind: Kind,
}

/// Owns one call's audio until its commands end: plays, presses, and tells what it hears.
async fn sound(
    mut stream: Stream,
    mut commands: tokio::sync::mpsc::Receiver<SoundCommand>,
    sounds: Sounds,
    call: CallName,
    clock: Clock,
    told: tokio::sync::mpsc::Sender<Entry>,
) {
    let first = Arc::new(tokio::sync::Notify::new());
    stream.listen(Some(sounds::wait_for_sound(Arc::clone(&first))));
    let entry = |event: &'static str, detail: String| Entry {
        at_ms: clock.now().as_millis(),
        event,
        number: call.number.clone(),
        kind: call.kind.name(),
        call_id: call.call_id.clone(),
        detail,
    };
    let mut plays = 0;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(SoundCommand::Play(sound)) => {
                    plays += 1;
                    stream.play(PlayId(plays), sounds.of(sound));
                }
                Some(SoundCommand::PlayFile(file)) => {
                    plays += 1;
                    match sounds::file(&file).await {
                        Ok(items) => stream.play(PlayId(plays), items),
                        Err(error) => tracing::error!(file = %file.display(), %error, "not played"),
                    }
                }
                Some(SoundCommand::Press(keys)) => {
                    stream.send_keys(&keys);
                    told.send(entry("pressed", keys)).await.ok();
                }
                None => break,
            },
            () = first.notified() => {
                told.send(entry("heard", String::new())).await.ok();
            }
            event = stream.next() => match event {
                Some(engine::rtp_io::MediaEvent::Key(key)) => {
                    told.send(entry("key", key.to_char().to_string())).await.ok();
                }
                Some(_) => {}
                None => break,
            },
        }
    }
    stream.close().await;
}
