//! Settings of trunks.

use std::fmt;

use engine::config::HandOver;
use proto::rtp::Codec;

/// How SIP travels to a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

/// User and password for digest authentication.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The user.
    pub(crate) username: String,
    /// The password; never shown.
    pub(crate) password: String,
    /// The only realm that they are for.
    pub(crate) realm: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One route to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrunkSettings {
    /// Name in logs and figures.
    pub(crate) name: String,
    /// Hosts with optional port, in order of preference.
    pub(crate) hosts: Vec<String>,
    /// How SIP travels.
    pub(crate) transport: Transport,
    /// Concurrent calls.
    pub(crate) slots: u32,
    /// New calls in any one second.
    pub(crate) calls_per_second: u32,
    /// Caller ID of calls that name none.
    pub(crate) caller_id: Option<String>,
    /// Domain in From and REGISTER.
    pub(crate) domain: Option<String>,
    /// For digest authentication.
    pub(crate) credentials: Option<Credentials>,
    /// Whether to register.
    pub(crate) register: bool,
    /// Whether sound is protected.
    pub(crate) srtp: bool,
    /// What is spoken, best first; at least one.
    pub(crate) codecs: Vec<Codec>,
    /// How callees are handed over to others.
    pub(crate) transfer: HandOver,
    /// Whether audio addresses on this machine are accepted.
    pub(crate) allow_loopback: bool,
}
