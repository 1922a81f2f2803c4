//! The sound side of a phone of our own: hears and speaks in any codec, presses keys.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::FRAME_SAMPLES;
use media::coder::{Coding, DECODED_SAMPLES_MAX, Decoder, ENCODED_BYTES_MAX, Encoder};
use media::g711::Law;
use proto::rtp::Codec;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{at, ports};
use crate::relay::Weather;
use crate::sip::{Message, audio_port};

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
    codec: Codec,
    socket: Arc<UdpSocket>,
    packets: Arc<Mutex<Vec<Packet>>>,
    task: JoinHandle<()>,
}

/// Payload type of mu-law.
pub(crate) const PCMU: u8 = 0;
/// Payload type of telephone events by the telephone's clock, as our answers name it.
pub(crate) const EVENTS: u8 = 101;
/// The same by the clock of Opus.
const EVENTS_48: u8 = 110;

impl Ear {
    /// An ear that hears at once, and speaks mu-law.
    pub(crate) async fn open() -> Self {
        Self::speaking(Codec::Pcmu).await
    }

    /// The same that speaks nothing but this codec.
    pub(crate) async fn speaking(codec: Codec) -> Self {
        // The one behind it is for reports (RTCP), of which it takes no notice.
        let socket = Arc::new(UdpSocket::bind(at(ports(2))).await.unwrap());
        let packets: Arc<Mutex<Vec<Packet>>> = Arc::default();
        let (ear, kept) = (Arc::clone(&socket), Arc::clone(&packets));
        let task = tokio::spawn(async move {
            let mut datagram = vec![0; 2_048];
            while let Ok(length) = ear.recv(&mut datagram).await {
                kept.lock().unwrap().extend(packet(&datagram[..length]));
            }
        });
        Self { codec, socket, packets, task }
    }

    /// What it says of itself.
    pub(crate) fn sdp(&self) -> String {
        let port = self.socket.local_addr().unwrap().port();
        let (kind, name, clock) =
            (self.codec.payload_type(), self.codec.name(), self.codec.clock_hz());
        let channels = if self.codec == Codec::Opus { "/2" } else { "" };
        let (events, ticks) = (events(self.codec), clock);
        format!(
            "v=0\r\no=callee 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {kind} {events}\r\na=rtpmap:{kind} {name}/{clock}{channels}\r\n\
             a=rtpmap:{events} telephone-event/{ticks}\r\na=fmtp:{events} 0-15\r\n"
        )
    }

    /// How much it has heard so far, in samples: what [`Self::heard`] has, without decoding it.
    pub(crate) fn heard_len(&self) -> usize {
        let packets = self.packets.lock().unwrap();
        let kind = self.codec.payload_type();
        packets.iter().filter(|packet| packet.kind == kind).count() * FRAME_SAMPLES
    }

    /// What it has heard so far, as sound.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let packets = self.packets.lock().unwrap();
        let sound = packets.iter().filter(|packet| packet.kind == self.codec.payload_type());
        let Some(coding) = coding(self.codec) else {
            return sound.flat_map(|it| &it.payload).map(|byte| Law::Mu.decode(*byte)).collect();
        };
        let (mut decoder, mut out) = (Decoder::new(coding), [0; DECODED_SAMPLES_MAX]);
        let mut heard = Vec::new();
        for packet in sound {
            let count = decoder.decode(&packet.payload, &mut out).unwrap_or(0);
            heard.extend_from_slice(&out[..count]);
        }
        heard
    }

    /// Whether this key was pressed for it.
    pub(crate) fn has_key(&self, key: char) -> bool {
        let kind = events(self.codec);
        let packets = self.packets.lock().unwrap();
        packets.iter().any(|it| it.kind == kind && it.payload.first() == Some(&code(key)))
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
        let sound: Arc<Mutex<VecDeque<i16>>> = Arc::default();
        let waiting = (Arc::clone(&keys), Arc::clone(&sound));
        let task = tokio::spawn(speak(self.codec, socket, at(port), waiting, weather));
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
    sound: Arc<Mutex<VecDeque<i16>>>,
    task: JoinHandle<()>,
}

impl Voice {
    /// Whether all was said.
    pub(crate) fn is_silent(&self) -> bool {
        self.sound.lock().unwrap().is_empty()
    }

    /// Says this, after what it still says.
    pub(crate) fn say(&self, samples: &[i16]) {
        self.sound.lock().unwrap().extend(samples);
    }

    /// Presses keys, one after the other.
    pub(crate) fn press(&self, keys: &str) {
        self.keys.lock().unwrap().extend(keys.chars().map(code));
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
    codec: Codec,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    (keys, sound): (Waiting<Vec<u8>>, Waiting<VecDeque<i16>>),
    weather: Weather,
) {
    let mut encoder = coding(codec).map(|coding| Encoder::new(coding, false));
    // Ticks of the codec's clock in a packet.
    let ticks = codec.clock_hz() / 50;
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
                let duration = ticks as u16 * (nth + 1).min(KEY_PACKETS - 2);
                datagram.push(events(codec) | if nth == 0 { 0x80 } else { 0 });
                head(&mut datagram, sequence, begun);
                datagram.extend([key, if is_end { 0x80 | 10 } else { 10 }]);
                datagram.extend(duration.to_be_bytes());
            }
            _ => {
                datagram.push(codec.payload_type());
                head(&mut datagram, sequence, timestamp);
                let mut frame = [0; FRAME_SAMPLES];
                let mut waiting = sound.lock().unwrap();
                let said = waiting.len().min(FRAME_SAMPLES);
                frame.iter_mut().zip(waiting.drain(..said)).for_each(|(to, said)| *to = said);
                match &mut encoder {
                    Some(encoder) => {
                        let mut payload = [0; ENCODED_BYTES_MAX];
                        let length = encoder.encode(&frame, &mut payload);
                        datagram.extend(&payload[..length]);
                    }
                    None => datagram.extend(frame.map(|sample| Law::Mu.encode(sample))),
                }
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
        (sequence, timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(ticks));
        pace.tick().await;
    }
}

/// Which of the codecs that remember it is.
fn coding(codec: Codec) -> Option<Coding> {
    match codec {
        Codec::G722 => Some(Coding::G722),
        Codec::Opus => Some(Coding::Opus),
        Codec::Pcma | Codec::Pcmu => None,
    }
}

/// Payload type of keys beside a codec: they go by its clock (RFC 4733 §2.1).
fn events(codec: Codec) -> u8 {
    if codec == Codec::Opus { EVENTS_48 } else { EVENTS }
}

/// The event of a key (RFC 4733 §3.2).
fn code(key: char) -> u8 {
    match key {
        '*' => 10,
        '#' => 11,
        digit => u8::try_from(digit.to_digit(10).expect("a key is a digit")).unwrap(),
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
