//! Hears all streams of a step at one port, and measures the time between their packets.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// Room for what comes while this thread is not on a processor.
const BUFFER_BYTES: usize = 32 * 1_024 * 1_024;
/// Gaps are counted in steps of 100 µs up to this.
const GAP_MAX_MS: usize = 2_000;

/// An open ear.
pub(super) struct Ear {
    port: u16,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    streams: Mutex<HashMap<SocketAddr, Instant>>,
    /// Gaps counted since measuring began.
    gaps: Mutex<Vec<u64>>,
    max: Mutex<Duration>,
    is_measuring: AtomicBool,
    is_over: AtomicBool,
}

/// What was measured.
pub(super) struct Gaps {
    pub(super) streams: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Ear {
    /// Listens at a free port of loopback.
    pub(super) fn open() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).context("no free port on loopback")?;
        let socket: UdpSocket = socket.into();
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let port = socket.local_addr()?.port();
        let heard = Arc::new(Heard::default());
        let ours = Arc::clone(&heard);
        std::thread::Builder::new().name("ear".into()).spawn(move || listen(&socket, &ours))?;
        Ok(Self { port, heard })
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Streams heard so far.
    pub(super) fn streams(&self) -> usize {
        self.heard.streams.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Measures for `time`.
    pub(super) async fn measure(&self, time: Duration) -> Gaps {
        self.heard.is_measuring.store(true, Ordering::Release);
        tokio::time::sleep(time).await;
        self.heard.is_measuring.store(false, Ordering::Release);
        let gaps = self.heard.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        let max = *self.heard.max.lock().unwrap_or_else(PoisonError::into_inner);
        Gaps {
            streams: self.streams(),
            p50_ms: quantile(&gaps, 0.50),
            p99_ms: quantile(&gaps, 0.99),
            max_ms: max.as_secs_f64() * 1_000.0,
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.heard.is_over.store(true, Ordering::Release);
    }
}

fn listen(socket: &UdpSocket, heard: &Heard) {
    let clock = engine::clock::Clock::new();
    let mut datagram = [0; 2_048];
    while !heard.is_over.load(Ordering::Acquire) {
        let Ok((_, from)) = socket.recv_from(&mut datagram) else {
            continue;
        };
        let now = clock.instant();
        let mut streams = heard.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let before = streams.insert(from, now);
        drop(streams);
        if let Some(before) = before.filter(|_| heard.is_measuring.load(Ordering::Acquire)) {
            count(heard, now.duration_since(before));
        }
    }
}

fn count(heard: &Heard, gap: Duration) {
    let mut gaps = heard.gaps.lock().unwrap_or_else(PoisonError::into_inner);
    let slots = GAP_MAX_MS * 10;
    gaps.resize(slots + 1, 0);
    let slot = usize::try_from(gap.as_micros() / 100).unwrap_or(slots).min(slots);
    gaps[slot] += 1;
    let mut max = heard.max.lock().unwrap_or_else(PoisonError::into_inner);
    *max = (*max).max(gap);
}

/// The gap in milliseconds below which this share of them lies.
fn quantile(gaps: &[u64], share: f64) -> f64 {
    let total: u64 = gaps.iter().sum();
    let wanted = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (slot, count) in gaps.iter().enumerate() {
        seen += count;
        if seen >= wanted && total > 0 {
            return slot as f64 / 10.0;
        }
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_is_the_gap_below_which_that_share_lies() {
        let mut gaps = vec![0; 400];
        gaps[200] = 98;
        gaps[250] = 2;
        assert_eq!([quantile(&gaps, 0.5), quantile(&gaps, 0.99)], [20.0, 25.0]);
    }

    #[test]
    fn silence_is_no_even_stream() {
        assert_eq!(quantile(&[], 0.99), f64::INFINITY);
    }
}
