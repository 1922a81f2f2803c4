//! The two sockets of a stream: bound, small, never blocking.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// A pair of sockets on an even port and the odd one above it.
#[derive(Debug)]
pub(super) struct SocketPair {
    address: IpAddr,
    port: u16,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// Where the RTP socket is connected to: only from there it hears, and only there it sends.
    connected: Option<SocketAddr>,
}

/// What came of looking for a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// One was there: who sent it, and its length in the buffer.
    Datagram(SocketAddr, usize),
    /// None is there.
    Nothing,
}

/// Bytes that the kernel keeps for RTP; with its overhead some twenty packets, 400 ms of sound.
///
/// What comes while nobody reads is dropped there, at no cost to us.
const RTP_BUFFER_BYTES: usize = 16 << 10;
/// Bytes that the kernel keeps for RTCP: a few reports.
const RTCP_BUFFER_BYTES: usize = 4 << 10;
/// Expedited Forwarding (RFC 3246) in the upper six bits: voice before mail in the same pipe.
const TRAFFIC_CLASS: u32 = 46 << 2;
/// Pending errors (ICMP) that one look clears away before it gives up until the next.
const ERRORS_MAX: usize = 4;

impl SocketPair {
    /// Binds both ports, or neither.
    pub(super) fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let rtp = bind(SocketAddr::new(address, port), RTP_BUFFER_BYTES)?;
        let rtcp = bind(SocketAddr::new(address, port + 1), RTCP_BUFFER_BYTES)?;
        Ok(Self { address, port, rtp, rtcp, connected: None })
    }

    /// Hears and sends RTP only where `to` is: the kernel keeps strangers' packets out of the
    /// buffer, and a packet costs an eighth less to send (2.6 against 3.0 µs on loopback).
    pub(super) fn connect(&mut self, to: SocketAddr) {
        if self.rtp.connect(to).is_ok() {
            self.connected = Some(to);
        }
    }

    /// Hears everybody again; fails where the port was taken by another program meanwhile.
    pub(super) fn disconnect(&mut self) -> io::Result<()> {
        if self.connected.take().is_some() {
            // A socket cannot be disconnected without unsafe code, but it can be made anew: first
            // away from the port, so that the new one finds it free.
            self.rtp = bind(SocketAddr::new(self.address, 0), RTP_BUFFER_BYTES)?;
            self.rtp = bind(SocketAddr::new(self.address, self.port), RTP_BUFFER_BYTES)?;
        }
        Ok(())
    }

    /// Whether RTP is heard from one address only.
    pub(super) const fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Sends RTP.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let sent = if self.connected == Some(to) {
            // A pending ICMP error is told in place of sending; told once, it is gone.
            self.rtp.send(bytes).or_else(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => self.rtp.send(bytes),
                _ => Err(error),
            })
        } else {
            self.rtp.send_to(bytes, to)
        };
        sent.map(|_| ())
    }

    /// Sends RTCP.
    pub(super) fn send_control(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.rtcp.send_to(bytes, to).map(|_| ())
    }

    /// The next RTP datagram.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Received {
        receive(&self.rtp, buffer)
    }

    /// The next RTCP datagram.
    pub(super) fn receive_control(&self, buffer: &mut [u8]) -> Received {
        receive(&self.rtcp, buffer)
    }
}

fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(buffer_bytes)?;
    // A wish: some kernels and containers do not grant it, and the call works without.
    let _ = match address {
        SocketAddr::V4(_) => socket.set_tos_v4(TRAFFIC_CLASS),
        SocketAddr::V6(_) => socket.set_tclass_v6(TRAFFIC_CLASS),
    };
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Received {
    for _ in 0..ERRORS_MAX {
        match socket.recv_from(buffer) {
            Ok((bytes, from)) => return Received::Datagram(from, bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // What a router said of an earlier packet of ours; the next look may find a datagram.
            Err(_) => {}
        }
    }
    Received::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp_io::tests::fixture::own_address;

    /// A pair on an address of its own.
    fn pair() -> SocketPair {
        SocketPair::bind(own_address(), 20_000).unwrap()
    }

    fn peer() -> (UdpSocket, SocketAddr) {
        let peer = UdpSocket::bind((own_address(), 0)).unwrap();
        let address = peer.local_addr().unwrap();
        (peer, address)
    }

    fn heard(pair: &SocketPair) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2_048];
        let mut heard = Vec::new();
        while let Received::Datagram(_, bytes) = pair.receive(&mut buffer) {
            heard.push(buffer[..bytes].to_vec());
        }
        heard
    }

    #[test]
    fn port_in_use_is_an_error_and_leaves_neither_bound() {
        let pair = pair();
        let address = pair.address;
        assert!(SocketPair::bind(address, pair.port).is_err());
        let port = pair.port;
        let rtcp = pair.rtcp;
        drop(pair.rtp);
        assert!(SocketPair::bind(address, port).is_err(), "the odd port is still taken");
        drop(rtcp);
        assert!(SocketPair::bind(address, port).is_ok(), "the even port was let go");
    }

    #[test]
    fn connected_pair_hears_only_its_peer_and_everybody_after_disconnecting() {
        let mut pair = pair();
        let (friend, address) = peer();
        let (stranger, _) = peer();
        let to = SocketAddr::new(pair.address, pair.port);
        pair.connect(address);
        friend.send_to(b"friend", to).unwrap();
        stranger.send_to(b"stranger", to).unwrap();
        assert_eq!(heard(&pair), [b"friend"]);
        pair.disconnect().unwrap();
        assert!(!pair.is_connected());
        stranger.send_to(b"stranger", to).unwrap();
        assert_eq!(heard(&pair), [b"stranger"]);
    }

    #[test]
    fn packets_that_nobody_reads_are_dropped_early() {
        let pair = pair();
        let (peer, _) = peer();
        for number in 0..1_000u32 {
            let mut packet = [0; 172];
            packet[..4].copy_from_slice(&number.to_be_bytes());
            peer.send_to(&packet, SocketAddr::new(pair.address, pair.port)).unwrap();
        }
        let kept = heard(&pair).len();
        assert!((10..100).contains(&kept), "{kept} packets were kept");
    }

    #[test]
    fn peer_that_is_gone_does_not_stop_the_sending() {
        let mut pair = pair();
        let (gone, address) = peer();
        pair.connect(address);
        drop(gone);
        for _ in 0..3 {
            // Its host answers "port unreachable", which comes back as an error of the next call.
            let _ = pair.send(address, b"x");
            assert_eq!(heard(&pair), Vec::<Vec<u8>>::new());
        }
        let back = UdpSocket::bind(address).unwrap();
        pair.send(address, b"again").unwrap();
        let mut buffer = [0; 10];
        assert_eq!(back.recv(&mut buffer).unwrap(), 5);
    }
}
