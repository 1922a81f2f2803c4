//! A sender of sound that does nothing else: as even as this machine lets any program be.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// A packet of 20 ms.
const PACKET: [u8; 172] = [0x80; 172];
/// Packets of a stream are this far apart; streams begin one after the other within it.
const FRAME: Duration = Duration::from_millis(20);

/// A running sender.
pub(super) struct Sender {
    is_over: Arc<AtomicBool>,
}

impl Sender {
    /// Sends `streams` streams to a port of loopback, each from a port of its own.
    pub(super) fn start(streams: u32, port: u16) -> Result<Self> {
        let open = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(("127.0.0.1", port))?;
            Ok(socket)
        };
        let sockets: std::io::Result<Vec<UdpSocket>> = (0..streams).map(open).collect();
        let sockets = sockets.context("the sender has no sockets")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ours = Arc::clone(&is_over);
        let send = move || send(&sockets, &ours);
        std::thread::Builder::new().name("sender".into()).spawn(send)?;
        Ok(Self { is_over })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

fn send(sockets: &[UdpSocket], is_over: &AtomicBool) {
    engine::rtp_io::go_first();
    let clock = engine::clock::Clock::new();
    let apart = FRAME / u32::try_from(sockets.len().max(1)).unwrap_or(u32::MAX);
    let mut due = clock.instant();
    while !is_over.load(Ordering::Acquire) {
        for socket in sockets {
            let early = due.saturating_duration_since(clock.instant());
            if early > Duration::from_millis(1) {
                pause(early);
            }
            // A full buffer loses a packet here as it does anywhere.
            socket.send(&PACKET).ok();
            due += apart;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "time is all that this thread waits for")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
