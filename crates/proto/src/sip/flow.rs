//! Where messages go and come from: transports, flows, and the addresses of a trunk.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::value;

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// Messages one after the other on a connection.
    Tcp,
    /// The same, encrypted.
    Tls,
}

impl Transport {
    /// Whether messages get lost here, so that we must repeat them ourselves.
    pub const fn repeats(self) -> bool {
        matches!(self, Self::Udp)
    }

    /// The port where a URI or Via names none (RFC 3261 §19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// As a URI's `transport` parameter writes it: `udp`.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Reads a URI's `transport` parameter or a Via's transport, without case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|transport| transport.param().eq_ignore_ascii_case(text))
    }
}

impl From<Transport> for value::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param())
    }
}

/// One peer by one transport: a UDP peer, or the connection to (or from) a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// How messages travel.
    pub transport: Transport,
    /// The peer's address; of an incoming connection, the port it came from.
    pub peer: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.peer)
    }
}

/// One address of a trunk, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Transport and address.
    pub flow: Flow,
    /// The name that the peer's certificate must have (TLS); the name the address was found by.
    pub server_name: Option<Arc<str>>,
}
