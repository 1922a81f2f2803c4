//! A network between the program and a far end: it sees every message, and makes weather if asked.
//!
//! What it loses, repeats and delays is decided by the seed, the dialed number, the message and how
//! often that message has come, and by nothing else: the same test has the same weather every time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{at, port, within};
use crate::server::Server;
use crate::sip::Message;

/// Longest delay of a message, long enough for it to be overtaken by the next two.
const DELAY_MAX_MS: u64 = 250;

/// How bad the network is, in percent of messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) seed: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) delayed: u64,
}

impl Weather {
    /// Whether nothing happens to messages.
    pub(crate) const fn is_good(&self) -> bool {
        self.lost == 0 && self.repeated == 0 && self.delayed == 0
    }

    /// How often the packet of this number goes on.
    pub(crate) fn copies(&self, packet: u16) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.seed, packet).hash(&mut hasher);
        match hasher.finish() % 100 {
            chance if chance < self.lost => 0,
            chance if chance < self.lost + self.repeated => 2,
            _ => 1,
        }
    }
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum From {
    FarEnd,
    Outdial,
}

/// A message that came by.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) from: From,
    pub(crate) message: Message,
    /// How often it went on: 0 lost, 2 repeated.
    pub(crate) copies: u32,
    pub(crate) at: Instant,
}

/// The network.
pub(crate) struct Relay {
    /// Where the program sends to.
    pub(crate) front: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    front: UdpSocket,
    back: UdpSocket,
    far_end: SocketAddr,
    weather: Weather,
    passed: Mutex<Vec<Passed>>,
    /// Dialed numbers by Call-ID.
    numbers: Mutex<HashMap<String, String>>,
    seen: Mutex<HashMap<u64, u64>>,
    changed: Notify,
}

impl Relay {
    /// A network to `far_end`, which is told to be reached at the front.
    pub(crate) async fn open(far_end: SocketAddr, weather: Weather) -> Self {
        let front = UdpSocket::bind(at(port())).await.unwrap();
        let shared = Arc::new(Shared {
            back: UdpSocket::bind(at(port())).await.unwrap(),
            far_end,
            weather,
            passed: Mutex::default(),
            numbers: Mutex::default(),
            seen: Mutex::default(),
            changed: Notify::new(),
            front,
        });
        let front = shared.front.local_addr().unwrap();
        let task = tokio::spawn(carry(Arc::clone(&shared)));
        Self { front, shared, task }
    }

    /// Everything that came by.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// Messages of one side that fit.
    pub(crate) fn of(&self, from: From, fits: impl Fn(&Message) -> bool) -> Vec<Message> {
        let passed = self.passed().into_iter().filter(|one| one.from == from);
        passed.map(|one| one.message).filter(|message| fits(message)).collect()
    }

    /// Waits for a message of one side that fits.
    pub(crate) async fn until(
        &self,
        what: &str,
        from: From,
        fits: impl Fn(&Message) -> bool,
    ) -> Passed {
        within(what, async {
            loop {
                let changed = self.shared.changed.notified();
                let passed = self.passed();
                let found = passed.into_iter().find(|it| it.from == from && fits(&it.message));
                if let Some(found) = found {
                    return found;
                }
                changed.await;
            }
        })
        .await
    }

    /// The INVITEs of the program, one for each call.
    pub(crate) fn invites(&self) -> Vec<Message> {
        let mut invites = self.of(From::Outdial, |message| message.is_request("INVITE"));
        let mut known = std::collections::HashSet::new();
        invites.retain(|invite| known.insert(invite.call_id().to_owned()));
        invites
    }

    /// Checks that no call is left and that every dialog of the past is unknown to the program.
    pub(crate) async fn assert_no_dialog_stays(&self, server: &Server) {
        server.until_quiet().await;
        for invite in self.invites() {
            for method in ["OPTIONS", "BYE"] {
                let status = self.ask_late(server.sip, &invite, method).await;
                assert_eq!(status, 481, "late {method} in {}", invite.call_id());
            }
        }
    }

    /// Sends a request in a dialog of the past; the status of its answer.
    async fn ask_late(&self, server: SocketAddr, invite: &Message, method: &str) -> u16 {
        let to_tag = self.of(From::FarEnd, |message| {
            message.call_id() == invite.call_id() && !message.tag("To").is_empty()
        });
        let far_tag = to_tag.last().map_or("none", |message| message.tag("To")).to_owned();
        let request = in_dialog(invite, &far_tag, method, 4_711, self.front);
        let branch = request.branch().to_owned();
        for _ in 0..20 {
            self.shared.front.send_to(&request.bytes(), server).await.unwrap();
            let answered = self.until("a late request is answered", From::Outdial, |message| {
                message.branch() == branch && message.status().is_some()
            });
            if let Ok(answer) = timeout(Duration::from_millis(500), answered).await {
                return answer.message.status().unwrap();
            }
        }
        panic!("a late {method} is not answered");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        if std::thread::panicking() {
            let passed = self.passed();
            let begun = passed.first().map(|one| one.at);
            for one in passed.iter().filter(|one| one.message.method() != "OPTIONS") {
                let Passed { from, message, copies, at } = one;
                let time = begun.map_or(Duration::ZERO, |begun| *at - begun);
                eprintln!(
                    "{time:>10.3?} {from:?} x{copies} {} {}",
                    message.start,
                    message.method()
                );
            }
        }
    }
}

/// A request of the far end in the dialog that `invite` began.
pub(crate) fn in_dialog(
    invite: &Message,
    far_tag: &str,
    method: &str,
    number: u32,
    own: SocketAddr,
) -> Message {
    static BRANCH: AtomicU32 = AtomicU32::new(0);
    let branch = BRANCH.fetch_add(1, Ordering::Relaxed);
    Message::new(format!("{method} {} SIP/2.0", invite.contact()))
        .with("Via", format!("SIP/2.0/UDP {own};branch=z9hG4bKwire{branch}"))
        .with("Max-Forwards", "70")
        .with("From", format!("{};tag={far_tag}", invite.header("To")))
        .with("To", invite.header("From"))
        .with("Call-ID", invite.call_id())
        .with("CSeq", format!("{number} {method}"))
        .with("Contact", format!("<sip:callee@{own}>"))
}

async fn carry(shared: Arc<Shared>) {
    let (mut ahead, mut behind) = (vec![0; 65_535], vec![0; 65_535]);
    let mut caller = None;
    loop {
        tokio::select! {
            Ok((length, peer)) = shared.front.recv_from(&mut ahead) => {
                if is_stray(&ahead[..length]) {
                    continue;
                }
                caller = Some(peer);
                shared.from_outdial(&ahead[..length], peer).await;
            }
            Ok((length, _)) = shared.back.recv_from(&mut behind) => {
                if let Some(caller) = caller.filter(|_| !is_stray(&behind[..length])) {
                    pass(&shared, From::FarEnd, &behind[..length], caller).await;
                }
            }
        }
    }
}

/// Whether it is sound (RTP, version 2) that somebody still sends to who had the port before.
fn is_stray(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| byte >> 6 == 2)
}

impl Shared {
    async fn from_outdial(self: &Arc<Self>, datagram: &[u8], peer: SocketAddr) {
        let Some(message) = Message::read(datagram) else {
            panic!("no SIP came from the program: {}", String::from_utf8_lossy(datagram));
        };
        if message.is_request("OPTIONS") && message.tag("To").is_empty() {
            // The network answers for the far end, whose scenario knows only calls.
            let answer = message.response(200, "OK", "network");
            self.front.send_to(&answer.bytes(), peer).await.ok();
            return self.note(From::Outdial, message, 1);
        }
        if message.is_request("INVITE") {
            let (call_id, number) = (message.call_id().to_owned(), message.number().to_owned());
            self.numbers.lock().unwrap().insert(call_id, number);
        }
        if message.branch().starts_with("z9hG4bKwire") && message.status().is_some() {
            // An answer to ourselves.
            return self.note(From::Outdial, message, 1);
        }
        pass(self, From::Outdial, datagram, self.far_end).await;
    }

    fn note(&self, from: From, message: Message, copies: u32) {
        self.passed.lock().unwrap().push(Passed { from, message, copies, at: Instant::now() });
        self.changed.notify_waiters();
    }

    /// The far end's message with our address for its own, so that answers come by here.
    fn renamed(&self, datagram: &[u8]) -> Vec<u8> {
        let front = self.front.local_addr().unwrap().to_string();
        let text = String::from_utf8_lossy(datagram);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        format!("{}\r\n\r\n{body}", head.replace(&self.far_end.to_string(), &front)).into_bytes()
    }

    /// A number from 0 to 99 for this message and this purpose, always the same.
    fn chance(&self, purpose: &str, from: From, message: &Message, nth: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        let numbers = self.numbers.lock().unwrap();
        let number = numbers.get(message.call_id()).map(String::as_str);
        let what = (message.status(), message.header("CSeq"), from, number);
        (self.weather.seed, purpose, what, nth).hash(&mut hasher);
        hasher.finish() % 100
    }

    /// How often this message of this call has come.
    fn nth(&self, from: From, message: &Message) -> u64 {
        let mut hasher = DefaultHasher::new();
        let what = (message.status(), message.header("CSeq"), from, message.call_id());
        what.hash(&mut hasher);
        let mut seen = self.seen.lock().unwrap();
        let nth = seen.entry(hasher.finish()).or_default();
        *nth += 1;
        *nth
    }
}

async fn pass(shared: &Arc<Shared>, from: From, datagram: &[u8], to: SocketAddr) {
    let Some(message) = Message::read(datagram) else {
        panic!("no SIP came from {from:?}: {}", String::from_utf8_lossy(datagram));
    };
    let datagram = if from == From::FarEnd { shared.renamed(datagram) } else { datagram.to_vec() };
    let weather = shared.weather;
    let nth = shared.nth(from, &message);
    let chance = |purpose| shared.chance(purpose, from, &message, nth);
    let copies = match () {
        () if chance("lost") < weather.lost => 0,
        () if chance("repeated") < weather.repeated => 2,
        () => 1,
    };
    let delay = match chance("delayed") {
        chance if chance < weather.delayed => (chance * 37) % DELAY_MAX_MS,
        _ => 0,
    };
    shared.note(from, message, copies);
    for copy in 0..u64::from(copies) {
        let (shared, datagram) = (Arc::clone(shared), datagram.clone());
        let delay = Duration::from_millis(delay + copy * 15);
        let send = async move {
            let socket = if from == From::Outdial { &shared.back } else { &shared.front };
            if !delay.is_zero() {
                sleep(delay).await;
            }
            socket.send_to(&datagram, to).await.ok();
        };
        if delay.is_zero() { send.await } else { drop(tokio::spawn(send)) }
    }
}
