//! An engine whose wheel a test turns by hand, and far ends that write down what they get.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use media::playlist::{Bargein, Item, Playable};
use media::sound::Encoded;
use proto::rtp::packet::Packet;
use proto::rtp::{Codec, FRAME_SAMPLES, Terms};
use tokio::sync::mpsc::error::TryRecvError;

use crate::clock::Clock;
use crate::rtp_io::law::law;
use crate::rtp_io::worker::Worker;
use crate::rtp_io::{Inner, MediaConfig, MediaEngine, MediaEvent, Stream};

/// Payload type of telephone events in all tests.
pub(super) const EVENTS: u8 = 101;

/// Addresses of this machine that no other test uses, so that ports never collide.
pub(in crate::rtp_io) fn own_address() -> IpAddr {
    static NEXT: Mutex<u8> = Mutex::new(2);
    let mut next = NEXT.lock().unwrap();
    *next += 1;
    // The process number keeps two runs of the tests at the same time apart.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high.wrapping_add(1).max(1), low, *next))
}

/// An engine of one worker without a thread: time passes when the test says so.
pub(super) struct Rig {
    pub(super) engine: MediaEngine,
    worker: Worker,
    pub(super) now: Instant,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// An engine with a configuration of the test's own.
    pub(super) fn with(change: impl FnOnce(&mut MediaConfig)) -> Self {
        let address = own_address();
        let mut config = MediaConfig::new(address, address, 7);
        change(&mut config);
        let clock = Clock::new();
        let now = clock.instant();
        let mut inner = Inner::new(config, clock);
        let worker = inner.add_worker(7);
        Self { engine: MediaEngine(Arc::new(inner)), worker, now }
    }

    /// A stream to that far end.
    pub(super) fn connect(&self, terms: Terms) -> Stream {
        let mut stream = self.engine.open().unwrap();
        stream.connect(terms);
        stream
    }

    /// Two streams that talk to each other.
    pub(super) fn pair(&self, telephone_event: Option<u8>) -> (Stream, Stream) {
        let (mut a, mut b) = (self.engine.open().unwrap(), self.engine.open().unwrap());
        a.connect(Terms::new(b.local_rtp(), Codec::Pcmu, telephone_event));
        b.connect(Terms::new(a.local_rtp(), Codec::Pcmu, telephone_event));
        (a, b)
    }

    /// Lets time pass, a millisecond at a time.
    pub(super) fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.stall(1);
        }
    }

    /// Lets time pass at once, as if the machine had stood still.
    pub(super) fn stall(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        let now = Cell::new(self.now);
        self.worker.turn(|| now.get());
        self.worker.welcome();
        self.worker.give_back();
    }

    /// Lets time pass until the future is done.
    pub(super) async fn until<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                done = &mut future => return done,
                () = tokio::task::yield_now() => self.pass(1),
            }
        }
    }

    pub(super) fn streams_by_slot(&self) -> Vec<usize> {
        self.worker.streams_by_slot()
    }
}

/// All that has happened to a stream so far.
pub(super) fn events(stream: &mut Stream) -> Vec<MediaEvent> {
    let mut events = Vec::new();
    loop {
        match stream.events.try_recv() {
            Ok(event) => events.push(event),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return events,
        }
    }
}

/// A far end that hears and does not answer.
pub(super) struct FarEnd {
    pub(super) socket: UdpSocket,
}

/// One packet as the far end got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) from: SocketAddr,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) payload: Vec<u8>,
}

impl FarEnd {
    pub(super) fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// What was agreed with it: mu-law and telephone events; no reports, since the port above may
    /// be another far end's.
    pub(super) fn terms(&self) -> Terms {
        Terms { remote_rtcp: None, ..Terms::new(self.address(), Codec::Pcmu, Some(EVENTS)) }
    }

    /// All packets that have come since the last look.
    pub(super) fn got(&self) -> Vec<Got> {
        let mut buffer = [0; 2_048];
        let mut got = Vec::new();
        while let Ok((bytes, from)) = self.socket.recv_from(&mut buffer) {
            let packet = Packet::parse(&buffer[..bytes]).unwrap();
            got.push(Got {
                from,
                marker: packet.header.marker,
                payload_type: packet.header.payload_type,
                sequence: packet.header.sequence,
                timestamp: packet.header.timestamp,
                ssrc: packet.header.ssrc,
                payload: packet.payload.to_vec(),
            });
        }
        got
    }

    /// Sends packets of one stream: frame after frame, the number of each in its samples.
    pub(super) fn say(&self, to: SocketAddr, ssrc: u32, frames: std::ops::Range<u16>, byte: u8) {
        for number in frames {
            let header = proto::rtp::packet::Header {
                marker: false,
                payload_type: 0,
                sequence: number,
                timestamp: u32::from(number) * FRAME_SAMPLES as u32,
                ssrc,
            };
            let mut packet = header.to_bytes().to_vec();
            packet.extend_from_slice(&[byte; FRAME_SAMPLES]);
            self.socket.send_to(&packet, to).unwrap();
        }
    }
}

/// The payloads one behind the other.
pub(super) fn payloads(got: &[Got]) -> Vec<u8> {
    got.iter().flat_map(|packet| packet.payload.iter().copied()).collect()
}

/// Whether these are packets of one stream without a hole, in numbers and in time.
pub(super) fn is_continuous(got: &[Got]) -> bool {
    got.windows(2).all(|pair| {
        pair[1].from == pair[0].from
            && pair[1].ssrc == pair[0].ssrc
            && pair[1].sequence == pair[0].sequence.wrapping_add(1)
            && pair[1].timestamp == pair[0].timestamp.wrapping_add(FRAME_SAMPLES as u32)
    })
}

/// A sound that is unlike any part of itself, and unlike those of other seeds.
pub(super) fn sound(seed: u64, samples: usize) -> Encoded {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = (0..samples).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    Encoded::new(law(Codec::Pcmu), bytes.collect())
}

pub(super) fn item(sound: &Encoded) -> Item {
    Item { sound: Playable::Audio(sound.clone()), bargein: Bargein::Allowed }
}
