//! A phone of our own, led by hand: for what `sipp` cannot do, and to hear exactly what is sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::g711::Law;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{at, port, within};
use crate::relay::{Weather, in_dialog};
use crate::sip::{Message, audio_port};

/// A phone, or a switch with many of them.
pub(crate) struct Phone {
    /// Where it is called.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    socket: UdpSocket,
    heard: Mutex<Vec<Heard>>,
    changed: Notify,
}

/// A message that it has received.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) from: SocketAddr,
    pub(crate) message: Message,
    pub(crate) at: Instant,
    is_taken: bool,
}

impl Phone {
    /// A phone that answers OPTIONS, and nothing else by itself.
    pub(crate) async fn open() -> Self {
        let socket = UdpSocket::bind(at(port())).await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared { socket, heard: Mutex::default(), changed: Notify::new() });
        let task = tokio::spawn(listen(Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Waits for the next message that fits and was not taken before.
    pub(crate) async fn take(&self, what: &str, fits: impl Fn(&Message) -> bool) -> Heard {
        within(what, async {
            loop {
                let changed = self.shared.changed.notified();
                {
                    let mut heard = self.shared.heard.lock().unwrap();
                    let next = heard.iter_mut().find(|it| !it.is_taken && fits(&it.message));
                    if let Some(next) = next {
                        next.is_taken = true;
                        return next.clone();
                    }
                }
                changed.await;
            }
        })
        .await
    }

    /// Waits for the next request of this method.
    pub(crate) async fn request(&self, method: &str) -> Heard {
        self.take(&format!("{method} comes"), |message| message.is_request(method)).await
    }

    /// Waits for a response to a request of ours.
    pub(crate) async fn response(&self, request: &Message) -> Message {
        let branch = request.branch().to_owned();
        let fits = |message: &Message| {
            message.branch() == branch && message.status().is_some_and(|status| status >= 200)
        };
        self.take(&format!("{} is answered", request.start), fits).await.message
    }

    /// Everything that it has received and that fits.
    pub(crate) fn heard(&self, fits: impl Fn(&Message) -> bool) -> Vec<Heard> {
        let heard = self.shared.heard.lock().unwrap();
        heard.iter().filter(|it| fits(&it.message)).cloned().collect()
    }

    /// Sends a message.
    pub(crate) async fn send(&self, message: &Message, to: SocketAddr) {
        self.shared.socket.send_to(&message.bytes(), to).await.unwrap();
    }

    /// Answers a request, as the callee of this tag.
    pub(crate) async fn answer(&self, request: &Heard, status: u16, words: &str, tag: &str) {
        self.send(&self.response_to(request, status, words, tag), request.from).await;
    }

    /// Accepts an INVITE with this session description.
    pub(crate) async fn accept(&self, invite: &Heard, tag: &str, sdp: &str) {
        let response = self.response_to(invite, 200, "OK", tag).with_sdp(sdp);
        self.send(&response, invite.from).await;
    }

    /// A response with our Contact.
    pub(crate) fn response_to(
        &self,
        request: &Heard,
        status: u16,
        words: &str,
        tag: &str,
    ) -> Message {
        let response = request.message.response(status, words, tag);
        response.with("Contact", format!("<sip:{tag}@{}>", self.address))
    }

    /// Sends a request in the dialog that `invite` began; the answer.
    pub(crate) async fn ask(
        &self,
        invite: &Heard,
        tag: &str,
        method: &str,
        number: u32,
        to: SocketAddr,
    ) -> Message {
        let request = in_dialog(&invite.message, tag, method, number, self.address);
        self.send(&request, to).await;
        self.response(&request).await
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
        if std::thread::panicking() {
            for heard in self.heard(|message| message.method() != "OPTIONS") {
                eprintln!("phone heard {} {}", heard.message.start, heard.message.method());
            }
        }
    }
}

async fn listen(shared: Arc<Shared>) {
    let mut datagram = vec![0; 65_535];
    loop {
        let Ok((length, from)) = shared.socket.recv_from(&mut datagram).await else {
            continue;
        };
        let Some(message) = Message::read(&datagram[..length]) else {
            continue;
        };
        if message.is_request("OPTIONS") && message.tag("To").is_empty() {
            let answer = message.response(200, "OK", "phone");
            shared.socket.send_to(&answer.bytes(), from).await.ok();
            continue;
        }
        let heard = Heard { from, message, at: Instant::now(), is_taken: false };
        shared.heard.lock().unwrap().push(heard);
        shared.changed.notify_waiters();
    }
}

/// One RTP packet as it came.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) at: Instant,
    pub(crate) kind: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

/// The sound side of a phone: keeps what it hears, presses keys.
pub(crate) struct Ear {
    socket: Arc<UdpSocket>,
    packets: Arc<Mutex<Vec<Packet>>>,
    task: JoinHandle<()>,
}

/// Payload type of mu-law.
pub(crate) const PCMU: u8 = 0;
/// Payload type of telephone events, as our answers name it.
pub(crate) const EVENTS: u8 = 101;

impl Ear {
    /// An ear that hears at once.
    pub(crate) async fn open() -> Self {
        let socket = Arc::new(UdpSocket::bind(at(port())).await.unwrap());
        let packets: Arc<Mutex<Vec<Packet>>> = Arc::default();
        let (ear, kept) = (Arc::clone(&socket), Arc::clone(&packets));
        let task = tokio::spawn(async move {
            let mut datagram = vec![0; 2_048];
            while let Ok(length) = ear.recv(&mut datagram).await {
                kept.lock().unwrap().extend(packet(&datagram[..length]));
            }
        });
        Self { socket, packets, task }
    }

    /// What it says of itself.
    pub(crate) fn sdp(&self) -> String {
        let port = self.socket.local_addr().unwrap().port();
        format!(
            "v=0\r\no=callee 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {PCMU} {EVENTS}\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:{EVENTS} telephone-event/8000\r\na=fmtp:{EVENTS} 0-15\r\n"
        )
    }

    /// What it has heard so far.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        self.packets_from(0)
    }

    /// The same without the first of them.
    pub(crate) fn packets_from(&self, first: usize) -> Vec<Packet> {
        self.packets.lock().unwrap()[first..].to_vec()
    }

    /// Speaks silence from now on, as phones do.
    pub(crate) fn speak(&self, invite: &Message) -> Voice {
        self.speak_in(invite, Weather::default())
    }

    /// The same over a network that loses and repeats packets.
    pub(crate) fn speak_in(&self, invite: &Message, weather: Weather) -> Voice {
        let port = audio_port(&invite.body).expect("the offer has audio");
        let (socket, keys) = (Arc::clone(&self.socket), Arc::new(Mutex::new(Vec::new())));
        let sound: Arc<Mutex<VecDeque<u8>>> = Arc::default();
        let waiting = (Arc::clone(&keys), Arc::clone(&sound));
        let task = tokio::spawn(speak(socket, at(port), waiting, weather));
        Voice { keys, sound, task }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a phone sends: silence, and keys when they are pressed.
pub(crate) struct Voice {
    keys: Arc<Mutex<Vec<u8>>>,
    sound: Arc<Mutex<VecDeque<u8>>>,
    task: JoinHandle<()>,
}

impl Voice {
    /// Whether all was said.
    pub(crate) fn is_silent(&self) -> bool {
        self.sound.lock().unwrap().is_empty()
    }

    /// Says this, after what it still says.
    pub(crate) fn say(&self, samples: &[i16]) {
        let bytes = samples.iter().map(|sample| Law::Mu.encode(*sample));
        self.sound.lock().unwrap().extend(bytes);
    }

    /// Presses keys, one after the other.
    pub(crate) fn press(&self, keys: &str) {
        let codes = keys.chars().map(|key| match key {
            '*' => 10,
            '#' => 11,
            digit => u8::try_from(digit.to_digit(10).expect("a key is a digit")).unwrap(),
        });
        self.keys.lock().unwrap().extend(codes);
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Packets of a pressed key (RFC 4733 §2.5): five of 20 ms, the end three times; then a pause.
const KEY_PACKETS: u16 = 8;
const KEY_PAUSE_PACKETS: u16 = 6;

/// What waits to be sent; filled by the test, emptied by the voice.
type Waiting<T> = Arc<Mutex<T>>;

async fn speak(
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    (keys, sound): (Waiting<Vec<u8>>, Waiting<VecDeque<u8>>),
    weather: Weather,
) {
    // Phones pace by a clock, not by pauses: those add up.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let (mut sequence, mut timestamp) = (1_000_u16, 160_u32);
    let mut pressed: Option<(u8, u16, u32)> = None;
    loop {
        if pressed.is_none() {
            let mut waiting = keys.lock().unwrap();
            pressed = (!waiting.is_empty()).then(|| (waiting.remove(0), 0, timestamp));
        }
        let mut datagram = vec![0x80];
        match pressed {
            Some((key, nth, begun)) if nth < KEY_PACKETS => {
                let is_end = nth >= KEY_PACKETS - 3;
                let duration = 160 * (nth + 1).min(KEY_PACKETS - 2);
                datagram.push(EVENTS | if nth == 0 { 0x80 } else { 0 });
                head(&mut datagram, sequence, begun);
                datagram.extend([key, if is_end { 0x80 | 10 } else { 10 }]);
                datagram.extend(duration.to_be_bytes());
            }
            _ => {
                datagram.push(PCMU);
                head(&mut datagram, sequence, timestamp);
                let mut waiting = sound.lock().unwrap();
                let said = waiting.len().min(160);
                datagram.extend(waiting.drain(..said));
                datagram.resize(12 + 160, 0xFF);
            }
        }
        for _ in 0..weather.copies(sequence) {
            socket.send_to(&datagram, to).await.ok();
        }
        pressed = match pressed {
            Some((_, nth, _)) if nth >= KEY_PACKETS + KEY_PAUSE_PACKETS => None,
            Some((key, nth, begun)) => Some((key, nth + 1, begun)),
            None => None,
        };
        (sequence, timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(160));
        pace.tick().await;
    }
}

fn head(datagram: &mut Vec<u8>, sequence: u16, timestamp: u32) {
    datagram.extend(sequence.to_be_bytes());
    datagram.extend(timestamp.to_be_bytes());
    datagram.extend([0xC0, 0xFF, 0xEE, 0x01]);
}

fn packet(datagram: &[u8]) -> Option<Packet> {
    let (head, payload) = datagram.split_at_checked(12)?;
    Some(Packet {
        at: Instant::now(),
        kind: head[1] & 0x7F,
        marker: head[1] & 0x80 != 0,
        sequence: u16::from_be_bytes([head[2], head[3]]),
        timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        payload: payload.to_vec(),
    })
}
