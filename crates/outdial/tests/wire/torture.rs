//! Messages at the corners of the grammar, and beyond, sent to the live port by UDP and TCP.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::{Stage, at, port, within};
use crate::phone::Phone;
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;

/// Our own messages; `proto` has a verdict on each.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/tests/torture");
/// Those of RFC 4475 and RFC 5118, where they are at hand.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/sip");
/// Messages made from good ones by chance.
const MUTANTS: u64 = 400;
/// Memory that the server may gain by all of it, in kB.
const GROWTH_MAX_KIB: u64 = 32 * 1_024;

/// The trunk's side: sends what it likes, and asks whether the server still answers.
struct Tormentor {
    socket: UdpSocket,
    server: SocketAddr,
    asked: u32,
}

impl Tormentor {
    async fn new(server: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind(at(port())).await.unwrap(), server, asked: 0 }
    }

    fn options(&mut self, transport: &str) -> Message {
        self.asked += 1;
        let (asked, own) = (self.asked, self.socket.local_addr().unwrap());
        Message::new(format!("OPTIONS sip:{} SIP/2.0", self.server))
            .with("Via", format!("SIP/2.0/{transport} {own};branch=z9hG4bKalive{asked};rport"))
            .with("Max-Forwards", "70")
            .with("From", format!("<sip:carrier@{own}>;tag=alive{asked}"))
            .with("To", format!("<sip:{}>", self.server))
            .with("Call-ID", format!("alive-{asked}@{own}"))
            .with("CSeq", "1 OPTIONS")
    }

    /// Sends a datagram, then asks whether the server is alive.
    async fn by_udp(&mut self, name: &str, octets: &[u8]) {
        // What no datagram can carry cannot be sent at all.
        if octets.len() < 65_000 {
            self.socket.send_to(octets, self.server).await.unwrap();
        }
        let options = self.options("UDP");
        let alive = async {
            loop {
                self.socket.send_to(&options.bytes(), self.server).await.unwrap();
                if timeout(Duration::from_millis(500), self.answer(&options)).await.is_ok() {
                    return;
                }
            }
        };
        within(&format!("OPTIONS by UDP is answered after {name}"), alive).await;
    }

    async fn answer(&self, options: &Message) {
        let mut datagram = vec![0; 65_535];
        loop {
            let length = self.socket.recv(&mut datagram).await.unwrap();
            let message = Message::read(&datagram[..length]);
            let is_answer =
                |it: &Message| it.branch() == options.branch() && it.status() == Some(200);
            if message.as_ref().is_some_and(is_answer) {
                return;
            }
        }
    }

    /// Sends octets over a connection of their own, then asks over another one.
    async fn by_tcp(&mut self, name: &str, octets: &[u8]) {
        let mut stream = TcpStream::connect(self.server).await.unwrap();
        // The server may hang up in the middle of nonsense.
        stream.write_all(octets).await.ok();
        stream.shutdown().await.ok();
        let mut stream = TcpStream::connect(self.server).await.unwrap();
        stream.write_all(&self.options("TCP").bytes()).await.unwrap();
        let alive = async {
            let (mut answer, mut piece) = (Vec::new(), [0; 2_048]);
            while !answer.starts_with(b"SIP/2.0 200") {
                let length = stream.read(&mut piece).await.unwrap();
                assert!(length > 0, "{name}: the connection is closed instead of an answer");
                answer.extend_from_slice(&piece[..length]);
            }
        };
        within(&format!("OPTIONS by TCP is answered after {name}"), alive).await;
    }
}

/// Sends all messages both ways; the server must live on, small, without calls, and still dial.
async fn survives(messages: Vec<(String, Vec<u8>)>) {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = Settings { log: "info", ..Settings::default() };
    let server = Server::start(&stage, phone.address, &settings).await;
    // Requests are taken from trunks only, and this one is known once it has been looked up.
    server.until_dialing().await;
    let mut tormentor = Tormentor::new(server.sip).await;
    tormentor.by_udp("nothing", b"").await;
    tormentor.by_tcp("nothing", b"").await;
    let before = server.memory_kib("VmRSS");
    for (name, octets) in &messages {
        tormentor.by_udp(name, octets).await;
        tormentor.by_tcp(name, octets).await;
    }
    let after = server.memory_kib("VmRSS");
    println!("{} messages by UDP and by TCP: {before} kB before, {after} kB after", messages.len());
    assert!(after < before + GROWTH_MAX_KIB, "memory grew from {before} to {after} kB");
    server.until_quiet().await;

    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    phone.answer(&invite, 486, "Busy Here", "busy").await;
    phone.request("ACK").await;
    Expected::failed("busy", 1).check(&customer.result().await, NUMBER);
    server.stop().await;
}

/// The octets of a message as `proto`'s files spell it: `\xHH`, and lines that end with CR LF.
fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\\' if rest.first() == Some(&b'x') => {
                let digits = std::str::from_utf8(&rest[1..3]).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[3..];
            }
            octet => out.push(octet),
        }
    }
    out
}

fn own_messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for entry in std::fs::read_dir(OWN).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for section in text.split("### ").skip(1) {
            let name = section.lines().next().unwrap_or_default().to_owned();
            // Name, purpose and verdict stand before the message.
            let message: String = section.split_inclusive('\n').skip(3).collect();
            messages.push((name, octets(&message)));
        }
    }
    messages
}

/// Good messages with octets changed, doubled, cut out or cut off, by a seed.
fn mutants() -> Vec<(String, Vec<u8>)> {
    let mut state = 0x5EED_u64;
    let mut chance = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let originals = own_messages();
    let mutant = |nth: u64| {
        let (name, octets) = &originals[chance(originals.len())];
        let mut octets = octets.clone();
        for _ in 0..=chance(4) {
            let place = chance(octets.len());
            match chance(5) {
                0 => octets.truncate(place),
                1 => octets.insert(place, u8::try_from(chance(256)).unwrap()),
                2 => drop(octets.drain(place..octets.len().min(place + chance(30)))),
                3 => {
                    let piece = octets[place..octets.len().min(place + chance(40))].to_vec();
                    octets.splice(place..place, piece);
                }
                _ if octets.is_empty() => {}
                _ => octets[place] = u8::try_from(chance(256)).unwrap(),
            }
        }
        (format!("mutant {nth} of {name}"), octets)
    };
    (0..MUTANTS).map(mutant).collect()
}

/// What a stream can do wrong that no datagram can.
fn streams() -> Vec<(String, Vec<u8>)> {
    let head = "INVITE sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx\r\n";
    let cases: [(&str, Vec<u8>); 6] = [
        ("a body that never comes", format!("{head}Content-Length: 99999999\r\n\r\n").into()),
        ("a length below zero", format!("{head}Content-Length: -1\r\n\r\n").into()),
        ("a header without end", format!("{head}X: {}", "x".repeat(300_000)).into()),
        ("headers without end", format!("{head}{}", "X: y\r\n".repeat(60_000)).into()),
        ("line breaks only", b"\r\n".repeat(100_000)),
        ("noise", (0..200_000_u32).map(|nth| ((nth * 7_919) >> 5) as u8).collect()),
    ];
    cases.into_iter().map(|(name, octets)| (name.to_owned(), octets)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn server_answers_after_each_of_our_odd_messages() {
    let messages = [own_messages(), streams()].concat();
    assert!(messages.len() > 60, "only {} messages were found", messages.len());
    survives(messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_answers_after_each_of_many_broken_messages() {
    survives(mutants()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_answers_after_each_torture_message_of_the_rfcs() {
    if !Path::new(SHARED).is_dir() {
        println!("skipped: no ../shared");
        return;
    }
    let mut messages = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        for entry in std::fs::read_dir(Path::new(SHARED).join(rfc)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "dat") {
                let name = format!("{rfc} {}", path.file_stem().unwrap().display());
                messages.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    messages.sort();
    assert!(messages.len() >= 58, "only {} messages were found", messages.len());
    survives(messages).await;
}
